#!/usr/bin/env bash
# Prints the manifest by which krew, kubectl's manager of plugins, installs the plugin of a release.
#
#   krew-manifest.sh VERSION ARCHIVE...     ARCHIVE: kubectl-sendingdomain-VERSION-OS-ARCH.tar.gz, as build-plugin.sh makes it
set -euo pipefail

version=${1:?the version}
shift
[ $# -gt 0 ] || { echo 'krew-manifest: no archive' >&2; exit 1; }
home=https://github.com/sendingdomain/sending-domain-operator

cat <<YAML
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: sendingdomain
spec:
  version: v$version
  homepage: $home/blob/v$version/docs/kubectl-plugin.md
  shortDescription: Records, progress and repair of SendingDomains
  description: |
    Shows what has to be in DNS for a SendingDomain and what is there, waits until it can send, says what keeps it from that,
    and imports identities that Amazon SES has already.
  platforms:
YAML
for archive in "$@"; do
  name=$(basename "$archive")
  platform=${name#"kubectl-sendingdomain-$version-"}
  platform=${platform%.tar.gz}
  [ "kubectl-sendingdomain-$version-$platform.tar.gz" = "$name" ] && [ "${platform//[^-]/}" = - ] ||
    { echo "krew-manifest: $name is no archive of the plugin of $version" >&2; exit 1; }
  cat <<YAML
    - selector:
        matchLabels: {os: ${platform%-*}, arch: ${platform#*-}}
      uri: $home/releases/download/v$version/$name
      sha256: $(sha256sum <"$archive" | cut -d' ' -f1)
      bin: kubectl-sendingdomain
      files:
        - {from: kubectl-sendingdomain, to: .}
        - {from: LICENSE, to: .}
YAML
done
