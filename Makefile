# The commands of this repository; `make help` lists them. Each says in one line what to install if a tool is missing.
.DEFAULT_GOAL := help
SHELL := bash
MAKEFLAGS += --no-print-directory

KEEP ?=
RUST := Rust 1.94.1 or newer with rustfmt and clippy
# Built once and handed on: each test program would otherwise ask the script again.
ASSETS := TESTBED_ASSETS=$$(hack/build-controlplane.sh) && export TESTBED_ASSETS

# Every test program of the operator but those whose tests mostly wait, which run more of them at once than there are cores.
WAITING := e2e plugin
OTHERS := $(filter-out $(WAITING),$(basename $(notdir $(wildcard tests/*.rs))) $(patsubst tests/%/main.rs,%,$(wildcard tests/*/main.rs)))

# What tests/packaging and the chart's tests run.
TOOLS := helm helm-unittest helm-docs promtool kube-verdict

# need TOOL,WHAT TO INSTALL
need = command -v $(1) >/dev/null 2>&1 || { echo "no $(1): install $(2)" >&2; exit 1; }

BENCH ?=

.PHONY: help lint-manifests build image test-image controlplane tools demo bench test test-chart test-alerts test-packaging lint generate rust

help: ## This list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  make demo KEEP=1     the same, and leaves it up to play with"

build: rust ## The operator and the kubectl plugin
	@cargo build

controlplane: ## etcd, kube-apiserver, kube-controller-manager (and kubectl), built once into a cache
	@hack/build-controlplane.sh

demo: rust ## From `kubectl apply` to Verified on a real control plane, all on this machine
	@$(ASSETS) && cargo build --workspace && cargo run -q -p testbed --bin demo -- $(if $(KEEP),--keep)

bench: rust ## What a fleet of 100 domains costs an SES of one request per second; takes half an hour
	@$(ASSETS) && cargo build --release && cargo run -q --release -p testbed --bin bench -- $(BENCH)

tools: ## helm, helm-unittest, helm-docs, promtool and Argo CD's engines for the tests, built once into a cache
	@hack/build-tools.sh $(TOOLS) >/dev/null

# The tools are compiled while cargo is busy; should that fail, the targets that need them try again and say why.
test: lint ## Formatting, lints and every test: Rust, chart, alerts, manifests, and all of it on a real control plane
	@hack/build-tools.sh $(TOOLS) >/dev/null & tools=$$!; trap 'kill $$tools 2>/dev/null' EXIT; \
	  $(ASSETS) && cargo test -p testbed && cargo test --doc \
	  && cargo test --lib --bins $(OTHERS:%=--test %) \
	  && $(MAKE) test-chart test-alerts test-packaging \
	  && RUST_TEST_THREADS=$${RUST_TEST_THREADS:-5} cargo test $(WAITING:%=--test %)

test-chart: ## The chart's own tests, by helm-unittest
	@tools=$$(hack/build-tools.sh helm-unittest) && "$$tools/helm-unittest" --strict charts/sending-domain-operator

test-alerts: ## The alerts, by promtool: each fires once and keeps silent once
	@tools=$$(hack/build-tools.sh promtool) && \
		"$$tools/promtool" check rules --lint=all charts/sending-domain-operator/files/alerts.yaml && \
		"$$tools/promtool" test rules tests/alerts/alerts_test.yaml

test-packaging: ## Chart, manifests and Argo CD's scripts: helm, kubectl and Argo CD's engines on a real API server
	@hack/build-tools.sh $(TOOLS) >/dev/null && PATH="$$(hack/go.sh):$$PATH" && cd tests/packaging && \
		GOTOOLCHAIN=local GOWORK=off go vet ./... && GOTOOLCHAIN=local GOWORK=off go test -count=1 ./...

lint: rust ## Formatting and lints
	@cargo fmt --version >/dev/null 2>&1 || { echo "no rustfmt: install $(RUST)" >&2; exit 1; }
	@cargo clippy --version >/dev/null 2>&1 || { echo "no clippy: install $(RUST)" >&2; exit 1; }
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- -D warnings

# What the linters are not asked, and why, is in .checkov.yaml and .yamllint. kube-score wants images pulled always: see there.
lint-manifests: ## Chart and manifests, by linters of others: checkov, kube-linter, kube-score, yamllint
	@for tool in checkov kube-linter kube-score yamllint; do $(call need,$$tool,it as its project says); done
	@yamllint --strict .
	@checkov --directory . --compact --quiet --skip-download
	@kube-linter lint dist charts/sending-domain-operator
	@kube-score score --ignore-test container-image-pull-policy dist/install.yaml

image: rust ## The image, without a container engine; prints its digest
	@hack/build-image.sh

test-image: rust ## The image, built and run on nothing but itself
	@$(ASSETS) && archive=target/image/test.oci.tar && hack/build-image.sh --output "$$archive" && \
		IMAGE_ARCHIVE="$$PWD/$$archive" cargo test --test image -- --include-ignored

generate: rust ## The CRD and docs/reference, from the Rust types, and what is made of them and of the chart
	@mkdir -p crds && cargo run -q -- crd > crds/.new.yaml && mv crds/.new.yaml crds/sendingdomains.yaml
	@UPDATE_REFERENCE=1 cargo test -q --test docs the_pages_are_current >/dev/null
	@hack/generate-packaging.sh

rust:
	@$(call need,cargo,$(RUST))
	@$(call need,cc,a C compiler such as gcc or clang)
