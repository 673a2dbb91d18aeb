#!/bin/bash
# Runs fuzz targets, each for so many seconds, and closes with one line for each.
#   scripts/fuzz.sh [SECONDS [TARGET...]]
# What they find on the way stays in tests/fuzz/target/corpus; the committed corpora are
# only read. An input that breaks something is kept in tests/fuzz/artifacts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-30}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for source in tests/fuzz/fuzz_targets/*.rs; do
        targets+=("$(basename "$source" .rs)")
    done
fi

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "cargo-fuzz is missing: cargo install --locked cargo-fuzz" >&2
    exit 1
fi
if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "a nightly toolchain is missing: rustup toolchain install nightly" >&2
    exit 1
fi

cargo +nightly fuzz build --fuzz-dir tests/fuzz
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
summary=
for target in "${targets[@]}"; do
    found=tests/fuzz/target/corpus/$target
    mkdir -p "$found"
    result="no findings"
    cargo +nightly fuzz run --fuzz-dir tests/fuzz "$target" "$found" "tests/fuzz/corpus/$target" \
        -- -max_total_time="$seconds" -print_final_stats=1 >"$log" 2>&1 ||
        { result=FAILED; status=1; tail -n 60 "$log"; }
    rate=$(awk '/stat::average_exec_per_sec/ { print $2 }' "$log")
    summary+=$(printf '%-16s %8s executions/s  %s' "$target" "${rate:--}" "$result")$'\n'
done
printf '\n%s' "$summary"
exit "$status"
