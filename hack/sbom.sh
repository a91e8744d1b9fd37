#!/usr/bin/env bash
# Prints the bill of materials of the shipped binary as CycloneDX 1.5 JSON: every crate that is compiled into it, with version,
# licence and the checksum that Cargo.lock holds it to. The same sources give the same bytes.
#
#   sbom.sh [TARGET]        TARGET: x86_64-unknown-linux-gnu if not given
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
target=${1:-x86_64-unknown-linux-gnu}
name=sending-domain-operator

crates() {
  cargo tree --locked --package "$name" --edges normal --target "$target" --prefix none --format '{p}|{l}' |
    sed -E 's/ \(\*\)//; s/ \(proc-macro\)//; s/ \([^)]*\)\|/|/' | LC_ALL=C sort -u
}

# Cargo.lock: NAME VERSION CHECKSUM of each crate.
checksums() {
  awk -F'"' '/^name = /{ n = $2 } /^version = /{ v = $2 } /^checksum = /{ print n, v, $2 }' Cargo.lock
}

crates | awk -F'[ |]' -v name="$name" -v sums="$(checksums)" '
  function quoted(text) { gsub(/[\\"]/, "\\\\&", text); return "\"" text "\"" }
  BEGIN {
    count = split(sums, lines, "\n")
    for (i = 1; i <= count; i++) { split(lines[i], part, " "); sum[part[1] " " part[2]] = part[3] }
  }
  {
    crate = $1; version = substr($2, 2); licence = substr($0, index($0, "|") + 1)
    gsub(/ *\/ */, " OR ", licence)
    purl = "pkg:cargo/" crate "@" version
    if (crate == name) { own = version; next }
    hash = sum[crate " " version]
    if (hash == "") { print "sbom: no checksum of " crate " " version > "/dev/stderr"; exit 1 }
    parts = parts (parts == "" ? "" : ",\n    ") \
      "{\"type\":\"library\",\"bom-ref\":" quoted(purl) ",\"name\":" quoted(crate) ",\"version\":" quoted(version) \
      ",\"purl\":" quoted(purl) ",\"licenses\":[{\"expression\":" quoted(licence) "}]" \
      ",\"hashes\":[{\"alg\":\"SHA-256\",\"content\":" quoted(hash) "}]}"
  }
  END {
    if (own == "") exit 1
    purl = "pkg:cargo/" name "@" own
    print "{\n  \"bomFormat\": \"CycloneDX\",\n  \"specVersion\": \"1.5\",\n  \"version\": 1,"
    print "  \"metadata\": {\"component\": {\"type\":\"application\",\"bom-ref\":" quoted(purl) ",\"name\":" quoted(name) \
      ",\"version\":" quoted(own) ",\"purl\":" quoted(purl) ",\"licenses\":[{\"expression\":\"Apache-2.0\"}]}},"
    print "  \"components\": [\n    " parts "\n  ]\n}"
  }'
