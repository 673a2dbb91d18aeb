#!/bin/bash
# Measures what the kernel target costs, in instructions: in the guest one takes one virtual
# nanosecond, so the figures are the same in every run and on every machine.
#   tests/vm/bench.sh
# Writes target/bench/vm.json.
set -euo pipefail
# shellcheck source=tests/vm/boot.sh
. "$(dirname "$0")/boot.sh"

mkdir -p "$work" "$top/target/bench"
compile
prepare trixie-backports
trap 'end_guests; exit 130' INT TERM
boot bench 'dmremap.run=bench' -accel tcg,thread=single -icount shift=0,sleep=off | awk '
    /^vm: note / { sub(/^vm: note /, ""); print; fflush() }
' || true
if ! sed -n 's/^vm: json //p' "$work/bench.console" | grep . > "$work/vm.json"; then
    tail -n 40 "$work/bench.dmesg" >&2
    say "the guest measured nothing; what it said is in ${work#"$top"/}/bench.console and bench.dmesg"
    exit 1
fi
mv "$work/vm.json" "$top/target/bench/vm.json"
