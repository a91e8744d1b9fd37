#!/usr/bin/env bash
# Builds the Go programs that the tests of the chart, the manifests and the alerts use, each from the module tools/NAME
# that pins it (a module of its own: their dependencies clash), once, into a cache outside the tree.
#
#   build-tools.sh NAME...   builds what is missing of helm, helm-unittest, helm-docs, promtool, kube-verdict; then
#                            prints a directory for each that holds it, and nothing else, on stdout
#
# SENDING_DOMAIN_TESTBED_CACHE    where the cache lies (else $XDG_CACHE_HOME or ~/.cache, /sending-domain-operator)
set -euo pipefail

what='the tools for the tests'
recipe=1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib/go-build.sh"

package_of() {
  case $1 in
    helm) echo helm.sh/helm/v4/cmd/helm ;;
    helm-unittest) echo github.com/helm-unittest/helm-unittest/cmd/helm-unittest ;;
    helm-docs) echo github.com/norwoodj/helm-docs/cmd/helm-docs ;;
    promtool) echo github.com/prometheus/prometheus/cmd/promtool ;;
    kube-verdict) echo . ;;
    *) die "no tool $1: known are helm, helm-unittest, helm-docs, promtool and kube-verdict" ;;
  esac
}

version_of() { awk -v module="$1" '$1 == module { print $2; exit }' "$here/tools/$2/go.mod"; }

# Prints the directory of a tool in the cache. A tool of ours is a new one when its source changes.
dir_of() {
  local module="$here/tools/$1" sources=()
  [ "$(package_of "$1")" != . ] || sources=("$module"/*.go)
  printf '%s/%s-%s\n' "$(cache_base)" "$1" "$(key_of "$module/go.mod" "$module/go.sum" ${sources+"${sources[@]}"})"
}

missing() {
  local name
  for name in "$@"; do
    [ -x "$(dir_of "$name")/$name" ] || echo "$name"
  done
}

# What the programs are to call themselves, and what they can do without.
set_flags() {
  ldflags='-s -w' tags=''
  case $1 in
    helm) ldflags="$ldflags -X helm.sh/helm/v4/internal/version.version=$(version_of helm.sh/helm/v4 helm)" ;;
    # Service discovery: dozens of cloud SDKs.
    promtool) tags=remove_all_sd ;;
  esac
}

ensure() {
  [ -n "$(missing "$@")" ] || return 0
  require_go
  local base names count=0 name
  base=$(cache_base)
  mkdir -p "$base"
  clean_up_at_the_end
  take_lock "$base"
  names=$(missing "$@")
  [ -n "$names" ] || return 0
  work=$(mktemp -d "$base/.build.XXXXXX")
  set -- $names
  say "building $what, once (all of them take some 8 minutes on 2 cores): $*"
  say "into $base"
  for name in "$@"; do
    count=$((count + 1))
    mkdir -p "$(dir_of "$name")"
    set_flags "$name"
    build "$here/tools/$name" "$(package_of "$name")" "$(dir_of "$name")/$name" "$count" "$#"
  done
}

[ $# -gt 0 ] || die 'which tool? (see the head of this file)'
for name in "$@"; do package_of "$name" >/dev/null; done
ensure "$@"
for name in "$@"; do dir_of "$name"; done
