#!/usr/bin/env bash
# Builds the kubectl plugin as it is released: one static binary for this machine, with its licence, as a .tar.gz. The same
# input gives the same bytes.
#
#   build-plugin.sh FILE        FILE: the archive
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib/static-build.sh"
root=$(dirname "$here")
archive=${1:?the archive to make}
name=kubectl-sendingdomain
epoch=$(epoch_of "$root")

binary=$(build_static "$root" "$name")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
install -m 0755 "$binary" "$work/$name"
install -m 0644 "$root/LICENSE" "$work/LICENSE"
mkdir -p "$(dirname "$archive")"
tar --directory "$work" --sort=name --format=ustar --mtime="@$epoch" --owner=0 --group=0 --numeric-owner -cf - LICENSE "$name" |
  gzip -n -9 >"$archive"
