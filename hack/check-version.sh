#!/usr/bin/env bash
# Prints the version, once everything that names it agrees: Cargo.toml, the chart's version, appVersion and image, the image of
# the manifests, and the tag.
#
#   check-version.sh [TAG]      TAG: for example v1.2.3; not compared if not given
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
version=$(awk -F'"' '/^version = /{ print $2; exit }' Cargo.toml)
chart=charts/sending-domain-operator/Chart.yaml

# differs WHAT HAS
differs() { echo "check-version: $1 is '$2' and Cargo.toml has $version: make them equal" >&2; exit 1; }

field() { sed -nE "s/^$1: *\"?([^\"]*)\"?\$/\1/p" "$chart"; }
for key in version appVersion; do
  [ "$(field "$key")" = "$version" ] || differs "$key of Chart.yaml" "$(field "$key")"
done
for file in "$chart" config/manager/deployment.yaml dist/install.yaml; do
  tag=$(sed -nE 's/^.*image: .*\/sending-domain-operator:([^"]*)"?$/\1/p' "$file")
  [ "$tag" = "$version" ] || differs "the image of $file" "$tag"
done
[ $# -eq 0 ] || [ "$1" = "v$version" ] || differs "the tag" "$1"
echo "$version"
