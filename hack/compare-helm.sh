#!/usr/bin/env bash
# Renders the chart by the oldest Helm that it supports and by the one of the tests: both have to make the same of it, and refuse
# the same.
#
#   compare-helm.sh [HELM]      HELM: the oldest (else it is compiled, into a directory of its own for the time being: needs Go)
set -euo pipefail

version=3.18.6
cd "$(dirname "${BASH_SOURCE[0]}")/.."
chart=charts/sending-domain-operator
newest=$(hack/build-tools.sh helm)/helm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

oldest=${1:-}
if [ -z "$oldest" ]; then
  PATH="$(hack/go.sh):$PATH"
  (cd "$work" && GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 GOBIN="$work" go install "helm.sh/helm/v3/cmd/helm@v$version")
  oldest="$work/helm"
fi

# What `go install` makes knows no version of Kubernetes.
render() { "$1" template mail "$chart" --namespace mail --kube-version 1.32.0 "${@:2}"; }

# same ARGS...: both render, to the same objects.
same() {
  render "$oldest" "$@" >"$work/oldest"
  render "$newest" "$@" >"$work/newest"
  # They differ in empty lines between objects.
  diff -uB "$work/oldest" "$work/newest" >&2 || { echo "compare-helm: they differ with: $*" >&2; exit 1; }
  [ "$(grep -c '^kind:' "$work/oldest")" -ge 10 ] || { echo "compare-helm: hardly anything is rendered with: $*" >&2; exit 1; }
}

# refused WORDS ARGS...: both say so.
refused() {
  local helm
  for helm in "$oldest" "$newest"; do
    if render "$helm" "${@:2}" >"$work/out" 2>&1 || ! grep -qF -- "$1" "$work/out"; then
      echo "compare-helm: $helm does not say '$1' of: ${*:2}" >&2
      cat "$work/out" >&2
      exit 1
    fi
  done
}

every=''
for value in operator.requireNamespaceClaims admissionPolicies.rootDomain.enabled metrics.{serviceMonitor,prometheusRule,dashboard}.enabled; do
  every+="$value=true,"
done
same
same --set "$every" --set 'metrics.serviceMonitor.renderMode=alwaysRender,metrics.prometheusRule.renderMode=alwaysRender'
same --set 'operator.watchNamespaces={a,b},metrics.bindAddress=127.0.0.1,httpsProxy=http://proxy:3128'
same --set 'podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null,podSecurityContext.fsGroup=null'
! grep -q 65532 "$work/oldest" || { echo 'compare-helm: null does not take a value away' >&2; exit 1; }
refused "additional properties 'replicas' not allowed" --set replicas=1
refused 'leaderElection.enabled must be true' --set leaderElection.enabled=false
"$oldest" lint --strict "$chart" --kube-version 1.32.0 >/dev/null
echo "the chart is the same by Helm $version and by that of the tests"
