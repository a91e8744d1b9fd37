#!/usr/bin/env bash
# Builds the kubectl plugin as it is released: one static binary for this machine, with its licence, as a .tar.gz. The same
# input gives the same bytes.
#
#   build-plugin.sh FILE        FILE: the archive
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
archive=${1:?the archive to make}
name=kubectl-sendingdomain
target="$(uname -m)-unknown-linux-gnu"
home=${CARGO_HOME:-$HOME/.cargo}
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)}

RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$home=/cargo --remap-path-prefix=$root=/src" \
  CFLAGS="-ffile-prefix-map=$home=/cargo -ffile-prefix-map=$root=/src" SOURCE_DATE_EPOCH=$epoch \
  cargo build --manifest-path "$root/Cargo.toml" --release --locked --target "$target" --bin "$name" >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
install -m 0755 "${CARGO_TARGET_DIR:-$root/target}/$target/release/$name" "$work/$name"
install -m 0644 "$root/LICENSE" "$work/LICENSE"
mkdir -p "$(dirname "$archive")"
tar --directory "$work" --sort=name --format=ustar --mtime="@$epoch" --owner=0 --group=0 --numeric-owner -cf - LICENSE "$name" |
  gzip -n -9 >"$archive"
