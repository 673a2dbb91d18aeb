#!/bin/bash
# Runs tests with plain cargo, and closes with one count over all of them.
#   scripts/tests.sh [debug] [atomics] [release]
# debug    every test, with overflow checks and debug assertions
# atomics  the module's lock-free parts in every order, with dependencies of their own
# release  the exhaustive tests once more, optimised: as the compiler ships the rules
set -euo pipefail

results=$(mktemp)
trap 'rm -f "$results"' EXIT
status=0

# A snapshot that differs fails its test; it never rewrites the accepted one.
export INSTA_UPDATE=no

for profile in "$@"; do
    case $profile in
        debug) arguments=() ;;
        atomics) arguments=(--manifest-path tests/atomics/Cargo.toml --target-dir target/atomics proofs) ;;
        release) arguments=(--release --test exhaustive) ;;
        *) echo "tests.sh: no such profile: $profile" >&2; exit 2 ;;
    esac
    cargo test --locked --no-fail-fast "${arguments[@]}" | tee -a "$results" || status=1
done

awk '
    /^test result: / {
        for (i = 1; i < NF; i++) {
            if ($(i + 1) == "passed;") passed += $i
            if ($(i + 1) == "failed;") failed += $i
        }
    }
    END {
        printf "\ntotal: %d passed, %d failed\n", passed, failed
        exit (passed == 0 || failed > 0)
    }
' "$results" || status=1

exit "$status"
