# The commands of this repository; `make help` lists them. Each says in one line what to install if a tool is missing.
.DEFAULT_GOAL := help
SHELL := bash
MAKEFLAGS += --no-print-directory

KEEP ?=
RUST := Rust 1.94.1 or newer with rustfmt and clippy
# Built once and handed on: each test program would otherwise ask the script again.
ASSETS := TESTBED_ASSETS=$$(hack/build-controlplane.sh) && export TESTBED_ASSETS

# Every test program of the operator but the one whose tests mostly wait, which runs more of them at once than there are cores.
WAITING := e2e
OTHERS := $(filter-out $(WAITING),$(basename $(notdir $(wildcard tests/*.rs))) $(patsubst tests/%/main.rs,%,$(wildcard tests/*/main.rs)))

# need TOOL,WHAT TO INSTALL
need = command -v $(1) >/dev/null 2>&1 || { echo "no $(1): install $(2)" >&2; exit 1; }

BENCH ?=

.PHONY: help build controlplane demo bench test lint generate rust

help: ## This list
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  make demo KEEP=1   the same, and leaves it up to play with"

build: rust ## The operator
	@cargo build

controlplane: ## etcd, kube-apiserver, kube-controller-manager (and kubectl), built once into a cache
	@hack/build-controlplane.sh

demo: rust ## From `kubectl apply` to Verified on a real control plane, all on this machine
	@$(ASSETS) && cargo build --workspace && cargo run -q -p testbed --bin demo -- $(if $(KEEP),--keep)

bench: rust ## What a fleet of 100 domains costs an SES of one request per second; takes half an hour
	@$(ASSETS) && cargo build --release && cargo run -q --release -p testbed --bin bench -- $(BENCH)

test: lint ## Formatting, lints and every test, those on a real control plane too
	@$(ASSETS) && cargo test -p testbed && cargo test --doc \
	  && cargo test --lib --bins $(OTHERS:%=--test %) \
	  && RUST_TEST_THREADS=$${RUST_TEST_THREADS:-5} cargo test $(WAITING:%=--test %)

lint: rust ## Formatting and lints
	@cargo fmt --version >/dev/null 2>&1 || { echo "no rustfmt: install $(RUST)" >&2; exit 1; }
	@cargo clippy --version >/dev/null 2>&1 || { echo "no clippy: install $(RUST)" >&2; exit 1; }
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- -D warnings

generate: rust ## The CRD, from the Rust types
	@mkdir -p crds && cargo run -q -- crd > crds/.new.yaml && mv crds/.new.yaml crds/sendingdomains.yaml

rust:
	@$(call need,cargo,$(RUST))
	@$(call need,cc,a C compiler such as gcc or clang)
