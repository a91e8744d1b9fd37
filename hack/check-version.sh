#!/usr/bin/env bash
# Prints the version, once everything that names it agrees: Cargo.toml, the chart's version and appVersion, and the tag.
#
#   check-version.sh [TAG]      TAG: for example v1.2.3; not compared if not given
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
version=$(awk -F'"' '/^version = /{ print $2; exit }' "$root/Cargo.toml")
chart="$root/charts/sending-domain-operator/Chart.yaml"

# differs WHAT HAS
differs() { echo "check-version: $1 is '$2' and Cargo.toml has $version: make them equal" >&2; exit 1; }

field() { sed -nE "s/^$1: *\"?([^\"]*)\"?\$/\1/p" "$chart"; }
for key in version appVersion; do
  [ "$(field "$key")" = "$version" ] || differs "$key of Chart.yaml" "$(field "$key")"
done
[ $# -eq 0 ] || [ "$1" = "v$version" ] || differs "the tag" "$1"
echo "$version"
