# Builds what is released: static binaries for this machine, without its paths in them. Sourced by the build-*.sh beside it.
# The same sources and SOURCE_DATE_EPOCH give the same bytes; without it, the time of the last commit is told.

epoch_of() { printf '%s\n' "${SOURCE_DATE_EPOCH:-$(git -C "$1" log -1 --format=%ct 2>/dev/null || echo 0)}"; }

# build_static ROOT NAME: prints the path of the binary.
build_static() {
  local root=$1 name=$2 target home flags
  target="$(uname -m)-unknown-linux-gnu"
  home=${CARGO_HOME:-$HOME/.cargo}
  flags="-C target-feature=+crt-static --remap-path-prefix=$home=/cargo --remap-path-prefix=$root=/src"
  CFLAGS="-ffile-prefix-map=$home=/cargo -ffile-prefix-map=$root=/src" RUSTFLAGS="$flags" SOURCE_DATE_EPOCH=$(epoch_of "$root") \
    cargo build --manifest-path "$root/Cargo.toml" --release --locked --target "$target" --bin "$name" >&2
  printf '%s\n' "${CARGO_TARGET_DIR:-$root/target}/$target/release/$name"
}
