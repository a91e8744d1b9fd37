#!/usr/bin/env bash
# Builds the image without any container engine: a static binary and CA roots in one layer, as an OCI archive. The same input
# gives the same bytes, whoever runs it and when.
#
#   build-image.sh [OPTION...] [ARCH=BINARY...]
#     ARCH=BINARY             a binary that is built already, for amd64 or arm64; several make one index for all. Without any,
#                             the one for this machine is built
#     --output FILE           the archive (else target/image/sending-domain-operator-VERSION.oci.tar)
#     --ca-certificates FILE  the CA roots in PEM (else those of this machine)
#
# Prints the digest of the index, by which a registry knows the image, and nothing else on stdout. SOURCE_DATE_EPOCH, if set, is
# the time that the image tells; else it tells that of the last commit.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib/go-build.sh"
. "$here/lib/static-build.sh"
root=$(dirname "$here")
name=sending-domain-operator
version=$(awk -F'"' '/^version = /{ print $2; exit }' "$root/Cargo.toml")
output="$root/target/image/$name-$version.oci.tar"
roots=''
binaries=()

while [ $# -gt 0 ]; do
  case $1 in
    --output) output=${2:?a file}; shift 2 ;;
    --ca-certificates) roots=${2:?a file}; shift 2 ;;
    amd64=* | arm64=*) binaries+=("$1"); shift ;;
    *) die "unknown argument $1: see the head of this file" ;;
  esac
done

epoch=$(epoch_of "$root")
revision=$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)
created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ 2>/dev/null || date -u -r "$epoch" +%Y-%m-%dT%H:%M:%SZ)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
layout="$work/layout"
mkdir -p "$layout/blobs/sha256" "$(dirname "$output")"

find_roots() {
  local file
  for file in "$roots" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    [ -z "$file" ] || [ ! -s "$file" ] || { printf '%s\n' "$file"; return; }
    [ -z "$roots" ] || die "no CA roots in $roots"
  done
  die 'no CA roots: install ca-certificates, or name a file by --ca-certificates'
}

# One tar for all: sorted, without times, owners and modes of this machine.
pack() {
  tar --directory "$1" --sort=name --format=ustar --mtime="@$epoch" --owner=0 --group=0 --numeric-owner -cf - "${@:2}"
}

# put FILE: takes a blob over into the layout and prints its digest.
put() {
  local digest
  digest=$(sha256 <"$1" | cut -d' ' -f1)
  mv "$1" "$layout/blobs/sha256/$digest"
  printf '%s\n' "$digest"
}

size_of() { wc -c <"$layout/blobs/sha256/$1" | tr -d ' '; }
descriptor() { printf '"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%s' "$1" "$2" "$(size_of "$2")"; }

# image ARCH BINARY: makes layer, configuration and manifest; prints the digest of the manifest.
image() {
  local arch=$1 binary=$2 tree="$work/tree" diff layer config
  rm -rf "$tree"
  install -d -m 0755 "$tree" "$tree/etc" "$tree/etc/ssl" "$tree/etc/ssl/certs"
  install -m 0755 "$binary" "$tree/$name"
  install -m 0644 "$certificates" "$tree/etc/ssl/certs/ca-certificates.crt"
  pack "$tree" etc "$name" >"$work/layer.tar"
  diff=$(sha256 <"$work/layer.tar" | cut -d' ' -f1)
  gzip -n -9 "$work/layer.tar"
  layer=$(put "$work/layer.tar.gz")
  cat >"$work/config" <<JSON
{"architecture":"$arch","os":"linux","created":"$created","config":{"User":"65532:65532","Entrypoint":["/$name"],"Env":["SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],"ExposedPorts":{"8080/tcp":{},"8081/tcp":{}},"WorkingDir":"/","Labels":{"org.opencontainers.image.title":"$name","org.opencontainers.image.version":"$version","org.opencontainers.image.revision":"$revision","org.opencontainers.image.licenses":"Apache-2.0","org.opencontainers.image.source":"https://github.com/sendingdomain/sending-domain-operator"}},"rootfs":{"type":"layers","diff_ids":["sha256:$diff"]},"history":[{"created":"$created","created_by":"hack/build-image.sh"}]}
JSON
  config=$(put "$work/config")
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{%s},"layers":[{%s}]}\n' \
    "$(descriptor config.v1+json "$config")" "$(descriptor layer.v1.tar+gzip "$layer")" >"$work/manifest"
  printf '%s:%s:%s\n' "$(put "$work/manifest")" "$config" "$layer"
}

if [ "${#binaries[@]}" -eq 0 ]; then
  case $(uname -m) in
    x86_64) arch=amd64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) die "no image for $(uname -m)" ;;
  esac
  binary=$(build_static "$root" "$name")
  binaries=("$arch=$binary")
fi
certificates=$(find_roots)

manifests='' loads=''
for pair in "${binaries[@]}"; do
  arch=${pair%%=*} binary=${pair#*=}
  [ -f "$binary" ] || die "no binary $binary"
  IFS=: read -r manifest config layer < <(image "$arch" "$binary")
  manifests+="${manifests:+,}{$(descriptor manifest.v1+json "$manifest"),\"platform\":{\"architecture\":\"$arch\",\"os\":\"linux\"}}"
  # What `docker load` reads; it takes one platform.
  [ -n "$loads" ] || loads="[{\"Config\":\"blobs/sha256/$config\",\"RepoTags\":[\"$name:$version\"],\"Layers\":[\"blobs/sha256/$layer\"]}]"
  say "$arch: layer of $(size_of "$layer") bytes, binary of $(wc -c <"$binary" | tr -d ' ')"
done
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s]}\n' "$manifests" >"$work/index"
index=$(put "$work/index")
# The archive's own index names the image's by its tag.
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{%s,"annotations":{"org.opencontainers.image.ref.name":"%s"}}]}\n' \
  "$(descriptor index.v1+json "$index")" "$version" >"$layout/index.json"
printf '{"imageLayoutVersion":"1.0.0"}\n' >"$layout/oci-layout"
printf '%s\n' "$loads" >"$layout/manifest.json"
pack "$layout" blobs index.json manifest.json oci-layout >"$output"
say "$output"
printf 'sha256:%s\n' "$index"
