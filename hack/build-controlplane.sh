#!/usr/bin/env bash
# Builds etcd, kube-apiserver, kube-controller-manager and (where the machine has none) kubectl from the Go modules that
# controlplane/go.mod pins, once, into a cache outside the tree.
#
#   build-controlplane.sh           builds what is missing, then prints the directory, and nothing else, on stdout
#   build-controlplane.sh --where   prints the cache directory and builds nothing
#
# KUBEBUILDER_ASSETS              a directory that has etcd and kube-apiserver: it is printed, no control plane is built
# SENDING_DOMAIN_TESTBED_CACHE    where the cache lies (else $XDG_CACHE_HOME or ~/.cache, /sending-domain-operator)
set -euo pipefail

what='the control plane'
recipe=1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
module="$here/controlplane"
. "$here/lib/go-build.sh"

cache_dir() { printf '%s/controlplane-%s\n' "$(cache_base)" "$(key_of "$module/go.mod" "$module/go.sum")"; }

package_of() {
  case $1 in
    etcd) echo go.etcd.io/etcd/server/v3 ;;
    *) echo "k8s.io/kubernetes/cmd/$1" ;;
  esac
}

# Prints the names among "$@" that the cache directory $dir does not hold yet.
missing() {
  local name
  for name in "$@"; do
    [ -x "$dir/$name" ] || echo "$name"
  done
}

# The API server takes its version, and with it what it offers, from linker flags; unset it would call itself v0.0.0.
linker_flags() {
  local version major minor package
  version=$(awk '$1 == "k8s.io/kubernetes" { print $2 }' "$module/go.mod")
  major=${version#v} major=${major%%.*}
  minor=${version#v*.} minor=${minor%%.*}
  printf -- '-s -w'
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    printf -- ' -X %s.gitVersion=%s -X %s.gitMajor=%s -X %s.gitMinor=%s -X %s.gitTreeState=clean' \
      "$package" "$version" "$package" "$major" "$package" "$minor" "$package"
  done
}

# ensure NAME...: builds those of the names that the cache does not hold.
ensure() {
  [ -n "$(missing "$@")" ] || return 0
  require_go
  mkdir -p "$dir"
  clean_up_at_the_end
  take_lock "$dir"
  local names count=0 name
  names=$(missing "$@")
  [ -n "$names" ] || return 0
  work=$(mktemp -d "$dir/.build.XXXXXX")
  ldflags=$(linker_flags)
  set -- $names
  say "building the control plane for the tests and the demo, once (all of it takes 6 to 9 minutes on 2 cores): $*"
  say "into $dir"
  for name in "$@"; do
    count=$((count + 1))
    build "$module" "$(package_of "$name")" "$dir/$name" "$count" "$#"
  done
}

dir=$(cache_dir)
case ${1:-} in
  --where)
    echo "$dir"
    exit 0
    ;;
  '') ;;
  *) die "unknown argument $1: only --where is known" ;;
esac

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  for name in etcd kube-apiserver; do
    [ -x "$KUBEBUILDER_ASSETS/$name" ] ||
      die "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS has no $name: point it at a directory that has, or unset it"
  done
  [ -x "$KUBEBUILDER_ASSETS/kubectl" ] || has kubectl || ensure kubectl
  echo "$KUBEBUILDER_ASSETS"
  exit 0
fi

wanted='etcd kube-apiserver kube-controller-manager'
has kubectl || wanted="$wanted kubectl"
ensure $wanted
echo "$dir"
