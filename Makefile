# The commands a person types. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules

# A toolchain that rustup has just installed is not in PATH before the next login.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

CARGO := cargo
heading = @printf '\n== %s\n' '$(1)'

.PHONY: help
help: ## List these commands
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: export LAB := $(LAB)
run: needs ## Install what is missing, build, open the lab; LAB=DIR names another lab
	$(CARGO) run --release --locked -- lab $${LAB:+"$$LAB"}

.PHONY: test
test: needs needs-checks fmt-check lint deny core-alone ## Install what is missing, pass every check and test
	$(call heading,tests)
	scripts/tests.sh debug atomics release
	@tests/vm/suite.sh --leave-out

.PHONY: lint
lint: needs ## clippy on every target and rustdoc, warnings denied
	$(call heading,clippy and rustdoc)
	$(CARGO) clippy --locked --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --document-private-items --quiet
	$(CARGO) clippy --locked --manifest-path tests/vm/guest/Cargo.toml --target-dir target/vm/cargo \
		--all-targets -- -D warnings
	$(CARGO) clippy --locked --manifest-path tests/atomics/Cargo.toml --target-dir target/atomics \
		--workspace --all-targets -- -D warnings

.PHONY: fmt
fmt: needs-checks ## Format every source file
	$(CARGO) fmt
	$(CARGO) fmt --all --manifest-path tests/atomics/Cargo.toml
	$(CARGO) fmt --manifest-path tests/core_alone/Cargo.toml
	$(CARGO) fmt --manifest-path tests/fuzz/Cargo.toml
	$(CARGO) fmt --manifest-path tests/vm/guest/Cargo.toml
	rustfmt --edition 2021 kmod/dm_remap_main.rs kmod/kernel/lib.rs

.PHONY: fmt-check
fmt-check: needs-checks
	$(call heading,rustfmt)
	$(CARGO) fmt --check
	$(CARGO) fmt --all --check --manifest-path tests/atomics/Cargo.toml
	$(CARGO) fmt --check --manifest-path tests/core_alone/Cargo.toml
	$(CARGO) fmt --check --manifest-path tests/fuzz/Cargo.toml
	$(CARGO) fmt --check --manifest-path tests/vm/guest/Cargo.toml
	rustfmt --edition 2021 --check kmod/dm_remap_main.rs kmod/kernel/lib.rs

# Advisories are not among the checks: deny.toml says why.
.PHONY: deny
deny: needs ## Check the dependencies: bans, licences, sources
	$(call heading,cargo-deny)
	scripts/cargo-deny.sh --locked check bans licenses sources

.PHONY: core-alone
core-alone: needs needs-checks ## Compile and lint remap_core alone, as the kernel sees it
	$(call heading,remap_core alone without std)
	$(CARGO) clippy --locked --manifest-path tests/core_alone/Cargo.toml \
		--target-dir target/core_alone -- -D warnings
	$(CARGO) build --locked --manifest-path tests/core_alone/Cargo.toml \
		--target-dir target/core_alone

.PHONY: test-release
test-release: needs ## Run the exhaustive tests alone, optimised
	scripts/tests.sh release

.PHONY: fuzz
fuzz: needs ## Fuzz every decoder for 30 s; FUZZ_SECONDS=N for longer; needs cargo-fuzz
	scripts/fuzz.sh $(or $(FUZZ_SECONDS),30)

.PHONY: kill-test
kill-test: needs ## Kill 200 processes at work and look at what each leaves
	KILLS=200 $(CARGO) test --locked --release --test kill_nine -- --nocapture

.PHONY: bench
bench: needs ## Measure what an operator waits for, beside other tools
	tools=$$(scripts/bench-needs.sh) && PATH="$$tools:$$PATH:/usr/sbin:/sbin" $(CARGO) bench --locked --bench operator
	$(CARGO) bench --locked --bench block_devices

.PHONY: pictures
pictures: needs ## Draw the pictures of the documentation anew
	$(CARGO) run --locked --example pictures

.PHONY: object
object: ## Compile the Rust side of the module, which is the same for every kernel
	@scripts/object.sh

.PHONY: vm-guest
vm-guest: needs ## Build the machines the kernel tests run on, once; ANEW=1 from the newest kernels
	@. tests/vm/kernels.sh; for kernel in "$${stock_kernels[@]}"; do \
		tests/vm/guest.sh --kernel "$$kernel" $(if $(ANEW),--anew); done

.PHONY: vm-test
vm-test: needs ## Compile the kernel module, boot kernels with it, test it; TEST=part of a name
	@tests/vm/suite.sh '$(TEST)'

.PHONY: vm-cold
vm-cold: needs ## Start a machine cold ten times over md, LVM, btrfs, LUKS; COLD=N for more or fewer
	@COLD=$(or $(COLD),10) tests/vm/starts.sh system-cold

.PHONY: deb
deb: needs ## Build the Debian packages of the program and of the module, in target/deb
	@scripts/deb.sh

.PHONY: vm-debug
vm-debug: needs ## The kernel tests on a kernel that looks for its own mistakes; built once
	$(call heading,kernel tests with lockdep and KASAN and kmemleak)
	@tests/vm/run.sh --debug '$(TEST)'

.PHONY: bench-vm
bench-vm: needs ## Measure what the kernel target costs, in instructions
	$(call heading,cost of the kernel target)
	@tests/vm/bench.sh

.PHONY: needs needs-checks
needs:
	@scripts/build-needs.sh
needs-checks:
	@scripts/build-needs.sh checks

.PHONY: clean
clean: ## Remove what was built
	$(CARGO) clean
