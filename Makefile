# make demo: the whole job on this machine.  make test: all tests.  make help: the rest.

# Where cargo builds: CARGO_TARGET_DIR and cargo's configuration have a say. What make itself builds is under target/.
CARGO_TARGET := $(shell cargo metadata --format-version 1 --no-deps --offline 2>/dev/null \
    | sed -n 's|.*"target_directory":"\([^"]*\)".*|\1|p' | sed "s|^$$PWD/||")
export STAGING_SYNC := $(or $(CARGO_TARGET),target)/debug/staging-sync
# What `staging-sync --version` tells.
export STAGING_SYNC_COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null)
POLICY := target/policy.wasm
POLICY_SOURCES := $(shell find plugin/src plugin/Cargo.toml wit -type f) plugin/build.sh Cargo.toml Cargo.lock
DRIFT_REPORT := target/drift-report.wasm
DRIFT_REPORT_SOURCES := $(shell find plugin/examples/drift-report/src plugin/examples/drift-report/Cargo.toml \
    plugin/examples/drift-report/verify.json wit -type f)
# The release build with symbols.
MEASURED = $(or $(CARGO_TARGET),target)/measured
# What `make package` built, if it did.
BOOTSTRAP = $(firstword $(wildcard target/$(shell uname -m)-unknown-linux-gnu/release/bootstrap) $(MEASURED)/bootstrap)
EXAMPLES := target/examples/tested
EXAMPLES_SOURCES := $(shell find plugin/examples host/cli/src/policy \( -name target -o -name node_modules \
    -o -name __pycache__ \) -prune -o -type f -print)

DENY := target/deny/bin/cargo-deny
DENY_VERSION := 0.20.2

.PHONY: demo test test-console test-cfn lint deny bench policy examples package help FORCE

demo: $(STAGING_SYNC) $(POLICY) ## Ticks over a fleet on loopback, and a change of policy between them, explained
	@$(STAGING_SYNC) demo --policy $(POLICY)

test: $(POLICY) $(DRIFT_REPORT) $(EXAMPLES) ## All tests
	cargo test --workspace --locked
	@$(STAGING_SYNC) bench --short --policy $(POLICY)
	@cfn/tests/run.sh
	@host/console/tests/browser/run.sh

test-console: $(STAGING_SYNC) $(POLICY) ## The tests of the console in a browser alone; screenshots in target/console
	@host/console/tests/browser/run.sh

test-cfn: $(POLICY) ## The tests of the CloudFormation templates and scripts alone
	@cfn/tests/run.sh

lint: ## Format and clippy, warnings as errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

deny: ## The rules for dependencies: licences, bans, duplicates, sources (.deny.toml)
	@[ "$$($(DENY) --version 2>/dev/null)" = "cargo-deny $(DENY_VERSION)" ] || \
	    { echo "Installing cargo-deny in target/deny: 3 minutes on 2 cores, once" >&2; cargo install --quiet --locked \
	    --no-default-features --root target/deny cargo-deny@$(DENY_VERSION); }
	@$(DENY) --config .deny.toml check bans licenses sources

bench: $(STAGING_SYNC) $(POLICY) ## The release build measured: ticks, calls, cold starts, the policy, the console; target/bench.json
	@[ -e $(MEASURED)/staging-sync ] || \
	    echo "Building the release: 20 minutes on 2 cores, the first time; measuring takes 10 more" >&2
	@cargo build --locked --quiet --profile measured --workspace --bins
	@$(MEASURED)/staging-sync bench --policy $(POLICY) --bootstrap $(BOOTSTRAP) --json target/bench.json
	@BENCH_JSON=target/bench.json cargo bench --locked --quiet --workspace --profile dev --bench policy

package: $(POLICY) ## The Lambda's zip; ARCH=arm64 for the other architecture, ZIG=1 to link by cargo-zigbuild
	@cfn/package.sh --arch $(or $(ARCH),x86_64) $(if $(ZIG),--zig) $(POLICY)

policy: $(POLICY) ## The default policy, as a component

examples: $(EXAMPLES) ## The default policy in JavaScript and Python, and a new project in Rust: built and compared

# Cargo knows whether there's anything to do; the first time it builds the dependencies, which takes a while.
$(STAGING_SYNC): FORCE
	@[ -e $@ ] || echo "Building the host and its dependencies: 10 to 15 minutes on 2 cores, the first time" >&2
	@cargo build --locked --quiet --workspace # as in `make test`: with other features the dependencies would be built twice

$(POLICY): $(POLICY_SOURCES) | $(STAGING_SYNC)
	@POLICY_PROFILE=policy plugin/build.sh plugin target/policy.core.wasm
	@$(STAGING_SYNC) policy encode target/policy.core.wasm --out $@

$(DRIFT_REPORT): $(DRIFT_REPORT_SOURCES) plugin/build.sh Cargo.toml Cargo.lock | $(STAGING_SYNC)
	@POLICY_PROFILE=policy plugin/build.sh plugin/examples/drift-report target/drift-report.core.wasm
	@$(STAGING_SYNC) policy encode target/drift-report.core.wasm --out $@ \
	    --invariants plugin/examples/drift-report/verify.json

$(EXAMPLES): $(POLICY) $(EXAMPLES_SOURCES) | $(STAGING_SYNC)
	@plugin/examples/test.sh $(STAGING_SYNC) $(POLICY)

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)
