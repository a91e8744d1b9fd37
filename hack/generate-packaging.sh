#!/usr/bin/env bash
# Makes what is made of something else: the chart's copies of the CRD, RBAC and admission policies, its README, the alerts
# for kustomize, the single-file manifest and Argo CD's ConfigMap.
#
#   generate-packaging.sh           writes them
#   generate-packaging.sh --check   writes nothing; fails and shows the difference where one is stale
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
check=''
case ${1:-} in
  --check) check=1 ;;
  '') ;;
  *)
    echo "generate-packaging: unknown argument $1: only --check is known" >&2
    exit 1
    ;;
esac
tools=$(hack/build-tools.sh helm helm-docs kube-verdict)
PATH="$(printf '%s' "$tools" | tr '\n' ':'):$PATH"
command -v kubectl >/dev/null || PATH="$PATH:$(hack/build-controlplane.sh):$(hack/build-controlplane.sh --where)"
chart=charts/sending-domain-operator
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# into FILE: takes over standard input, or compares with it. It runs at the end of a pipe, so it tells by a file.
into() {
  if [ -z "$check" ]; then
    mkdir -p "$(dirname "$1")"
    # Only when all of it is there.
    cat >"$work/new" && cp "$work/new" "$1"
    return
  fi
  diff -u "$1" - --label "$1" --label 'what it is made of' >&2 || touch "$work/stale"
}

cat crds/sendingdomains.yaml | into config/crd/bases/sendingdomains.yaml
cat crds/sendingdomains.yaml | into "$chart/files/crd.yaml"
cat config/rbac/role.yaml | into "$chart/files/role.yaml"
for policy in config/admission/*.yaml; do
  case $policy in
    */kustomization.yaml | */'*.yaml') ;;
    *) cat "$policy" | into "$chart/files/admission/$(basename "$policy")" ;;
  esac
done
{
  echo '# The alerts of the chart, files/alerts.yaml, as an object: made by `make generate`.'
  helm template sending-domain-operator "$chart" --namespace sending-domain-operator-system \
    --set metrics.prometheusRule.enabled=true,metrics.prometheusRule.renderMode=alwaysRender \
    --show-only templates/prometheusrule.yaml | grep -Ev '^---|^# Source|managed-by|helm.sh/chart'
} | into config/prometheus/prometheus_rule.yaml
{
  echo '# The operator and all that it needs, made by `make generate` from config/default:'
  echo '#   kubectl apply --server-side -f install.yaml'
  kubectl kustomize config/default
} | into dist/install.yaml
kube-verdict configmap deploy/argocd/resource_customizations/sendingdomain.dev/SendingDomain | into deploy/argocd/argocd-cm.yaml
helm-docs --chart-search-root charts --sort-values-order file --log-level warning --dry-run | into "$chart/README.md"

[ ! -e "$work/stale" ] || {
  echo 'stale: run `make generate`' >&2
  exit 1
}
