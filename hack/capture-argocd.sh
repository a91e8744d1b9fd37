#!/usr/bin/env bash
# Captures the objects on which Argo CD's scripts are tested: drives the operator of a demo through the states of a
# SendingDomain, with the simulators' levers, and keeps what `kubectl get -o yaml` prints of each. Then puts the messages of
# the new objects into health_test.yaml; what each verdict has to be stays as it is there.
#
#   capture-argocd.sh       takes some minutes
#
# DEMO    the demo's program (else it is built: needs Rust)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=deploy/argocd/resource_customizations/sendingdomain.dev/SendingDomain
work=$(mktemp -d)
demo_pid=''

finish() {
  [ -z "$demo_pid" ] || kill "$demo_pid" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

die() {
  echo "capture-argocd: $*" >&2
  exit 1
}

# await WHAT COMMAND...: tries every half second, for two minutes.
await() {
  local what=$1
  shift
  for _ in $(seq 240); do
    ! "$@" >/dev/null 2>&1 || return 0
    sleep 0.5
  done
  die "waited in vain for $what"
}

start_demo() {
  TESTBED_ASSETS=$(hack/build-controlplane.sh)
  export TESTBED_ASSETS
  if [ -z "${DEMO:-}" ]; then
    cargo build --workspace
    DEMO=target/debug/demo
  fi
  "$DEMO" --keep >"$work/demo.log" 2>&1 &
  demo_pid=$!
  await 'the demo' grep -q '^DNS answers at' "$work/demo.log"
  eval "$(grep -E '^  export (KUBECONFIG|CF|SES)=' "$work/demo.log")"
  command -v kubectl >/dev/null || PATH="$PATH:$TESTBED_ASSETS"
}

# What the simulators are told.
tell_ses() { curl -sSf -X "$1" "$SES/$2" -H 'content-type: application/json' -d "$3" >/dev/null; }

# The operator stands still between these two: an object is then captured as the API server has it before it is seen.
freeze() { kill -STOP "$(operator)"; }
thaw() { kill -CONT "$(operator)"; }
# The newest one: the demo starts another whenever one has ended.
operator() { pgrep -P "$demo_pid" -n -f sending-domain-operator; }

domain() { # NAME DOMAIN [MORE OF THE SPEC AS JSON]
  kubectl apply -f - >/dev/null <<JSON
{"apiVersion": "sendingdomain.dev/v1alpha1", "kind": "SendingDomain", "metadata": {"name": "$1"},
 "spec": {"domain": "$2"${3:+, $3}}}
JSON
}

cloudflare() { printf '"dns": {"cloudflare": {"apiTokenSecretRef": {"name": "%s"}}}' "$1"; }

patch() { kubectl patch sendingdomain "$1" --type=merge --patch "{\"spec\": $2}" >/dev/null; }

# says NAME REASON: whether the operator says so of the object as it is now.
says() {
  local got
  got=$(kubectl get sendingdomain "$1" \
    -o jsonpath='{.metadata.generation}={.status.observedGeneration} {.status.conditions[?(@.type=="Ready")].reason}')
  [[ $got =~ ^([0-9]+)=([0-9]+)\ $2$ && ${BASH_REMATCH[1]} = "${BASH_REMATCH[2]}" ]]
}

# capture NAME FILE [REASON]: waits for the reason, if one is given.
capture() {
  [ -z "${3:-}" ] || await "$1 to say $3" says "$1" "$3"
  kubectl get sendingdomain "$1" -o yaml >"$work/new.yaml"
  cp "$work/new.yaml" "$folder/testdata/$2.yaml"
  echo "$2"
}

states() {
  kubectl create secret generic refused --from-literal=api-token=0123456789012345678901234567890123456789 >/dev/null
  capture mail-example-com verified Verified
  domain no-secret one.example.com "$(cloudflare absent)"
  domain manual two.example.org
  domain bad-token three.example.com "$(cloudflare refused)"
  domain suspended four.example.org '"suspend": true'
  domain conflict mail.example.com
  capture no-secret waiting-for-secret SecretNotFound
  capture manual waiting-for-dns WaitingForDNS
  capture bad-token stalled-invalid-token InvalidAPIToken
  capture suspended suspended Suspended
  capture conflict stalled-domain-conflict DomainConflict

  # SES looks every minute of its clock, which the demo makes fast.
  tell_ses POST clock '{"rate": 1.0}'
  domain waiting five.example.com "$(cloudflare cloudflare)"
  capture waiting waiting-for-ses WaitingForSES
  tell_ses POST clock '{"rate": 30.0}'

  tell_ses PUT identities/mail.example.com/status '{"dkim": "TEMPORARY_FAILURE", "mailFrom": "TEMPORARY_FAILURE", "pinned": true}'
  kubectl annotate sendingdomain mail-example-com sendingdomain.dev/reconcile-at="$(date -u +%FT%TZ)" >/dev/null
  capture mail-example-com verification-lost VerificationLost

  freeze
  domain created six.example.org
  capture created created
  patch conflict '{"verificationTimeout": "48h"}'
  capture conflict stalled-older-generation
  patch news-example-org '{"verificationTimeout": "48h"}'
  capture news-example-org verified-older-generation
  kubectl delete sendingdomain manual --wait=false >/dev/null
  capture manual deleting
  thaw

  await 'an identity that can fail' says created WaitingForDNS
  tell_ses PUT identities/six.example.org/status '{"dkim": "FAILED", "mailFrom": "FAILED", "pinned": true}'
  capture created stalled-verification-failed VerificationFailed
  patch news-example-org '{"suspend": true}'
  await 'the suspension to be seen' says news-example-org 'Verified|Suspended'
  capture news-example-org suspended-while-verified
}

# What the actions start from, and what they have to make of it.
actions() {
  local from="$folder/testdata" to="$folder/actions/testdata" at=0001-01-01T00:00:00Z
  cp "$from"/{created,verified,suspended-while-verified}.yaml "$to/"
  change() { kubectl "$1" --local -f "$to/$2.yaml" -o yaml "${@:4}" >"$work/new.yaml" && cp "$work/new.yaml" "$to/$3.yaml"; }
  change annotate verified verified-reconciled "sendingdomain.dev/reconcile-at=$at"
  change annotate verified verified-recreated "sendingdomain.dev/recreate-at=$at"
  change patch verified verified-suspended --type=merge --patch '{"spec": {"suspend": true}}'
  change patch suspended-while-verified resumed --type=merge --patch '{"spec": {"suspend": false}}'
}

verdict="$(hack/build-tools.sh kube-verdict)/kube-verdict"
start_demo
states
actions
"$verdict" refresh "$folder" deploy/argocd/argocd-cm.yaml
