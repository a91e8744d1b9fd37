#!/usr/bin/env bash
# Prints the directory of a Go that is new enough for the tools and the tests written in Go: the machine's own, else one
# from the cache outside the tree, which it is put into first.
set -euo pipefail

what='Go'
recipe=0
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/lib/go-build.sh"
require_go
dirname "$(command -v go)"
