# What people type. Each target says what it does in `make help`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-stop test test-all test-unit test-api bench bench-store image e2e up down fmt lint generate check-generated clean
MAKEFLAGS += --no-print-directory

export CARGO_TARGET_DIR ?= $(CURDIR)/target
# The control plane of `make up`: always in the repository's own target folder, where `make down` finds it.
PLANE := $(CURDIR)/target/controlplane

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}'

demo: | cargo ## Show the product at work on a real API server, then stop everything (KEEP=1 leaves it up; BACKEND=postgres or server; CLUSTER=current)
	@KEEP="$(KEEP)" BACKEND="$(BACKEND)" CLUSTER="$(CLUSTER)" hack/demo

demo-stop: ## Stop what `make demo KEEP=1` left running
	@hack/demo --stop

test: | cargo ## Everything that CI checks: format, lints, generated files, unit, property and control-plane tests
	@$(MAKE) lint check-generated
	@echo '==> control plane (built once, then cached)'
	@hack/controlplane/build
	@hack/postgres/install
	@echo '==> helm and kubeconform (built once, then cached)'
	@hack/tools/build
	@echo '==> tests'
	@cargo test --locked

# What depends on where accounts are: not the schemas, the chart, the command line, and what tests servers and stores by themselves.
BY_BACKEND := crashes:: deletion_ etcd_restored:: identity:: references:: release:: rules_ status:: watch_faults::

test-all: test ## The same, and the tests of the rules once more on account servers, on SQLite and on PostgreSQL
	@for backend in server server-postgres; do \
		echo "==> the rules on a real control plane, with accounts on: $$backend"; \
		DESKPLANE_TEST_BACKEND=$$backend cargo test --locked --test it -- $(BY_BACKEND); \
	done

test-unit: | cargo ## Only the tests that need no control plane: a minute
	@hack/postgres/install
	@cargo test --locked --lib --bins

test-api: | cargo ## 10,000 requests made up from docs/openapi.json against an account server (needs Python 3.10, and PyPI once)
	@hack/test-api

bench: | cargo ## Measure: accounts (below), then the controller: time until Ready, requests, CPU and memory, writes at rest
	@hack/bench

bench-store: | cargo ## Measure the store and the account server on both databases, against the same SQL from a bare client
	@hack/bench accounts

image: | cargo ## Build the container image into an OCI archive in target/ (needs buildah)
	@hack/image

e2e: | cargo ## The Helm chart on a real node, in namespaces of its own (needs root; minutes)
	@hack/e2e

up: ## Start a control plane to play with, with our kinds and policies installed
	@hack/up "$(PLANE)"

down: ## Stop it and throw it away; a controller of your own is named and left alone
	@hack/controlplane/down "$(PLANE)"

fmt: | cargo ## Format the code
	@cargo fmt

lint: | cargo ## Check format and lints
	@echo '==> format'
	@cargo fmt --check
	@echo '==> clippy'
	@cargo clippy --locked --all-targets --quiet -- -D warnings

generate: | cargo ## Write the generated files anew: crds/, docs/openapi.json, the chart's copies, examples/agency/
	@hack/generate .

check-generated: | cargo ## Fail when a generated file is stale
	@echo '==> generated files'
	@hack/check-generated

clean: down demo-stop ## Remove what was built here (the cached control plane stays)
	@cargo clean

.PHONY: cargo
cargo:
	@command -v cargo >/dev/null || { echo "error: Rust is missing: install it from https://rustup.rs, then open a new shell" >&2; exit 1; }
