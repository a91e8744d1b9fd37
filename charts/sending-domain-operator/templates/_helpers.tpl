{{- define "operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of every object. Suffixes must fit into 63 characters too: the longest is "-leader-election". */}}
{{- define "operator.fullname" -}}
{{- $name := include "operator.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 47 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 47 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 47 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "operator.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{/* What never changes: a Deployment's selector cannot. */}}
{{- define "operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/component: controller
{{- end }}

{{- define "operator.labels" -}}
{{ include "operator.labelsWith" (list . dict) }}
{{- end }}

{{/* (list $ MORE): the labels of an object that has MORE of its own. Nobody may give other values to those that others select by,
nor to Helm's; the rest is the user's. */}}
{{- define "operator.labelsWith" -}}
{{- $root := first . }}
{{- $fixed := include "operator.selectorLabels" $root | fromYaml }}
{{- $_ := set $fixed "app.kubernetes.io/managed-by" $root.Release.Service }}
{{- $_ := set $fixed "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") }}
{{- $usual := dict "app.kubernetes.io/part-of" "sending-domain-operator" "app.kubernetes.io/version" $root.Chart.AppVersion }}
{{- mustMerge $fixed (deepCopy (last .)) (deepCopy $root.Values.commonLabels) $usual | toYaml }}
{{- end }}

{{- define "operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "operator.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry }}
{{- $repository := .Values.image.repository }}
{{- if $registry }}{{ $repository = printf "%s/%s" $registry $repository }}{{ end }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "operator.pullSecrets" -}}
{{- $secrets := list }}
{{- range concat (.Values.global.imagePullSecrets | default list) (.Values.imagePullSecrets | default list) }}
{{- if kindIs "string" . }}{{ $secrets = append $secrets (dict "name" .) }}{{ else }}{{ $secrets = append $secrets . }}{{ end }}
{{- end }}
{{- if $secrets }}{{ toYaml (uniq $secrets) }}{{ end }}
{{- end }}

{{- define "operator.leaseNamespace" -}}
{{- default (include "operator.namespace" .) .Values.leaderElection.namespace }}
{{- end }}

{{- define "operator.leaseName" -}}
{{- default "sending-domain-operator" .Values.leaderElection.id }}
{{- end }}

{{/* One flag for each value that is set; false and 0 are set, null and empty are not. An address ":PORT" is of both families of IP, and an unquoted off is false in YAML. */}}
{{- define "operator.args" -}}
- run
{{- $o := .Values.operator }}
{{- $flags := list
  (list "watch-namespace" (join "," $o.watchNamespaces))
  (list "watch-label-selector" $o.watchLabelSelector)
  (list "owner-id" $o.ownerID)
  (list "aws-region" $o.awsRegion)
  (list "ses-requests-per-second" $o.sesRequestsPerSecond)
  (list "ambient-credentials" $o.ambientCredentials)
  (list "allow-adoption" $o.allowAdoption)
  (list "require-namespace-claims" $o.requireNamespaceClaims)
  (list "cloudflare-base-url" $o.cloudflareBaseURL)
  (list "cloudflare-requests-per-5m" $o.cloudflareRequestsPer5m)
  (list "dns-check" (ternary "off" (toString $o.dnsCheck) (eq (toString $o.dnsCheck) "false")))
  (list "dns-resolvers" (join "," $o.dnsResolvers))
  (list "dns-authoritative-port" $o.dnsAuthoritativePort)
  (list "dns-allow-private-nameservers" $o.dnsAllowPrivateNameservers)
  (list "pending-interval" $o.pendingInterval)
  (list "verified-interval" $o.verifiedInterval)
  (list "cleanup-grace" $o.cleanupGrace)
  (list "metrics-address" (ternary (printf "%s:%d" .Values.metrics.bindAddress (int .Values.metrics.port)) "0" .Values.metrics.enabled))
  (list "health-address" (printf ":%d" (int .Values.healthPort)))
  (list "leader-elect" .Values.leaderElection.enabled)
  (list "leader-election-namespace" (ternary .Values.leaderElection.namespace "" .Values.leaderElection.enabled))
  (list "leader-election-id" (ternary .Values.leaderElection.id "" .Values.leaderElection.enabled))
  (list "dry-run" $o.dryRun)
  (list "log-format" $o.logFormat)
  (list "log-level" $o.logLevel)
}}
{{- range $flags }}
{{- $value := index . 1 }}
{{- if not (kindIs "invalid" $value) }}
{{- /* Numbers of a values file are floats, which are printed as 1e+06. */}}
{{- $text := toString $value }}
{{- if kindIs "float64" $value }}{{ $text = toString (int64 $value) }}{{ end }}
{{- if ne $text "" }}
- {{ printf "--%s=%s" (index . 0) $text | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "operator.proxyEnv" -}}
{{- with .Values.httpProxy }}
- name: HTTP_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with .Values.httpsProxy }}
- name: HTTPS_PROXY
  value: {{ . | quote }}
{{- end }}
{{- if or .Values.httpProxy .Values.httpsProxy .Values.noProxy }}
- name: NO_PROXY
  value: {{ concat (splitList "," (nospace .Values.noProxy)) (include "operator.awsCredentialAddresses" . | fromJsonArray) | compact | uniq | join "," | quote }}
{{- end }}
{{- end }}

{{/* "true" if only what is in the pod reaches the operator's metrics: the port named metrics is then a proxy's. */}}
{{- define "operator.metricsWithinPod" -}}
{{- if or (hasPrefix "127." .Values.metrics.bindAddress) (eq "[::1]" .Values.metrics.bindAddress) -}}
true
{{- end }}
{{- end }}

{{/* The metadata service and the agent of EKS Pod Identity: on the node itself, and asked by http. */}}
{{- define "operator.awsCredentialAddresses" -}}
["169.254.169.254", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23"]
{{- end }}

{{/* The ports where resolvers and name servers are. */}}
{{- define "operator.dnsPorts" -}}
{{- $ports := append .Values.networkPolicy.dnsPorts (default 53 .Values.operator.dnsAuthoritativePort) }}
{{- range .Values.operator.dnsResolvers }}
{{- with regexFind "^([0-9.]+|\\[.+\\]):[0-9]+$" . }}
{{- $ports = append $ports (regexFind "[0-9]+$" .) }}
{{- end }}
{{- end }}
{{- include "operator.ports" $ports }}
{{- end }}

{{/* The ports of the API server, AWS, Cloudflare, DNS over HTTPS, and proxies on the way. */}}
{{- define "operator.tlsPorts" -}}
{{- $ports := append .Values.networkPolicy.apiServerPorts 443 }}
{{- range concat (list .Values.httpProxy .Values.httpsProxy .Values.operator.cloudflareBaseURL) .Values.operator.dnsResolvers }}
{{- $authority := regexFind "^https?://[^/]+" . }}
{{- with regexFind ":[0-9]+$" $authority }}
{{- $ports = append $ports (trimPrefix ":" .) }}
{{- else }}
{{- if hasPrefix "http://" $authority }}{{ $ports = append $ports 80 }}{{ end }}
{{- end }}
{{- end }}
{{- include "operator.ports" $ports }}
{{- end }}

{{/* Each once and in order, whatever type they come as. */}}
{{- define "operator.ports" -}}
{{- $ports := list }}
{{- range . }}{{ $ports = append $ports (printf "%05d" (int .)) }}{{ end }}
{{- $numbers := list }}
{{- range sortAlpha (uniq $ports) }}{{ $numbers = append $numbers (atoi .) }}{{ end }}
{{- toJson $numbers }}
{{- end }}

{{/* Replicas keep off each other's node. */}}
{{- define "operator.affinity" -}}
{{- $affinity := deepCopy .Values.affinity }}
{{- if and .Values.podAntiAffinity (not (hasKey $affinity "podAntiAffinity")) }}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "operator.selectorLabels" . | fromYaml)) }}
{{- if eq .Values.podAntiAffinity "hard" }}
{{- $_ := set $affinity "podAntiAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term)) }}
{{- else }}
{{- $preferred := dict "weight" 100 "podAffinityTerm" $term }}
{{- $_ := set $affinity "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list $preferred)) }}
{{- end }}
{{- end }}
{{- with $affinity }}{{ toYaml . }}{{ end }}
{{- end }}

{{/* (dict "root" $ "mode" … "api" … "what" …): "true" if the object is to be rendered. */}}
{{- define "operator.renders" -}}
{{- if or (eq .mode "alwaysRender") (.root.Capabilities.APIVersions.Has .api) -}}
true
{{- else if eq .mode "failIfMissing" -}}
{{- fail (printf "%s.enabled: the cluster has no %s; install the Prometheus operator first, or set renderMode" .what .api) }}
{{- end }}
{{- end }}

{{/* What is wrong between values; within one, the schema says so. */}}
{{- define "operator.check" -}}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection.enabled) }}
{{- fail "leaderElection.enabled must be true with more than one replica: two would work on the same domains" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not (and .Values.metrics.enabled .Values.metrics.service.enabled)) }}
{{- fail "metrics.serviceMonitor.enabled needs metrics.enabled and metrics.service.enabled" }}
{{- end }}
{{- if and .Values.metrics.podMonitor.enabled (not .Values.metrics.enabled) }}
{{- fail "metrics.podMonitor.enabled needs metrics.enabled" }}
{{- end }}
{{- if and .Values.metrics.podMonitor.enabled .Values.metrics.serviceMonitor.enabled }}
{{- fail "metrics.podMonitor.enabled and metrics.serviceMonitor.enabled would scrape everything twice: choose one" }}
{{- end }}
{{- if and (include "operator.metricsWithinPod" .) (or .Values.metrics.podMonitor.enabled .Values.metrics.serviceMonitor.enabled) }}
{{- $ports := list }}
{{- range concat .Values.initContainers .Values.extraContainers }}
{{- range .ports }}{{ $ports = append $ports .name }}{{ end }}
{{- end }}
{{- if not (has "metrics" $ports) }}
{{- fail (printf "metrics.bindAddress: nobody outside the pod reaches %s: give the port of a proxy in extraContainers the name metrics" .Values.metrics.bindAddress) }}
{{- end }}
{{- end }}
{{- if and .Values.metrics.enabled (eq (int .Values.metrics.port) (int .Values.healthPort)) }}
{{- fail "metrics.port and healthPort must differ" }}
{{- end }}
{{- $names := list "POD_NAME" "POD_NAMESPACE" }}
{{- /* Of proxies programs know both spellings, and do not agree which wins. */}}
{{- range include "operator.proxyEnv" . | fromYamlArray }}{{ $names = append (append $names .name) (lower .name) }}{{ end }}
{{- range .Values.extraEnv }}
{{- if has .name $names }}
{{- fail (printf "extraEnv: %s is set already: each name once, and proxies by httpProxy, httpsProxy and noProxy" .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- if and (not (kindIs "invalid" .Values.podDisruptionBudget.minAvailable)) (not (kindIs "invalid" .Values.podDisruptionBudget.maxUnavailable)) }}
{{- fail "podDisruptionBudget: set minAvailable or maxUnavailable, not both" }}
{{- end }}
{{- end }}

{{- define "operator.subject" -}}
- kind: ServiceAccount
  name: {{ include "operator.serviceAccountName" . }}
  namespace: {{ include "operator.namespace" . }}
{{- end }}
