#!/bin/bash
# Compiles the module against kernels of Debian's, boots them and runs the kernel tests in guests,
# two side by side.
#   tests/vm/run.sh [--kernel SUITE|--debug] [--list] [PART]
#     --kernel  on the kernel of this suite alone, and of those named by further ones
#     --debug   on the kernel that looks for its own mistakes alone
#     --list    only names the tests that it would run, which takes no guest
#     PART      of a test's name; all tests without it
# What the guests and their kernels said is kept in target/vm.
set -euo pipefail
# shellcheck source=tests/vm/boot.sh
. "$(dirname "$0")/boot.sh"
# shellcheck source=tests/vm/kernels.sh
. "$here/kernels.sh"

kernels=() debug=() list=
while [[ ${1:-} = --* ]]; do
    case $1 in
        --kernel) kernels+=("${2:?a suite}"); shift ;;
        --debug)
            kernels=(debug) debug=(--debug)
            # Every access to memory is looked at there, which takes several times as long.
            limit=${VM_LIMIT:-3600}
            ;;
        --list) list=1 ;;
        *) say "run.sh: no such option: $1"; exit 2 ;;
    esac
    shift
done
filter=${1:-}
[ ${#kernels[@]} -gt 0 ] || kernels=("${stock_kernels[@]}")

# Says how each test of one guest ended; the counts go to a file when it has run them all.
report() {
    awk -v of="$kernel" -v counts="$work/$1.counts" '
        /^vm: ok /     { printf "ok      %s: %s (%d ms)\n", of, $3, $4; fflush(); next }
        /^vm: FAILED / { sub(/^vm: FAILED /, ""); printf "FAILED  %s: %s\n", of, $0; fflush(); next }
        /^vm: log /    { sub(/^vm: log /, "        "); print; fflush(); next }
        /^vm: note /   { sub(/^vm: /, ""); print; fflush(); next }
        /^vm: init/    { begun = 1; next }
        /^vm: begin /  { running = $3; next }
        /^vm: done /   { print $3, $4 > counts; ended = 1; next }
        END { if (begun && !ended) printf "FAILED  %s: the guest died in %s\n", of, running ? running : "its init" }
    '
}

# What a guest is: its words on the kernel's command line and its machine.
#   describe NAME
describe() {
    local disk place=$work/$kernel
    options=(-accel tcg,thread=multi)
    case $1 in
        resets)
            words=dmremap.machine=resets
            options+=(-action reboot=reset)
            mkdir -p "$place"
            for disk in main:64M spare:32M record:32M; do
                # What it was told is in this machine's memory, which a reset of the guest leaves.
                rm -f "$place/${disk%:*}.disk"
                truncate -s "${disk#*:}" "$place/${disk%:*}.disk"
                options+=(-drive "file=$place/${disk%:*}.disk,format=raw,if=virtio,cache=unsafe")
            done
            ;;
        two-processors)
            words=dmremap.machine=two-processors
            # A processor that patches the kernel's code while the other one runs it is more
            # than the emulator's threads can take.
            options=(-smp 2 -accel tcg,thread=single)
            ;;
        short-of-memory)
            words='dmremap.machine=short-of-memory kmemleak=off'
            ;;
        *) words=dmremap.turn=$1 ;;
    esac
    words="dmremap.tests=$filter dmremap.only=$(only "$kernel") dmremap.without=$(without "$kernel" "$1") $words"
}

# Runs the tests of one guest. A kernel that did not come to its init has tested nothing; under
# emulation that happens, and a second try tells whether it means anything.
run_guest() {
    local name=$kernel.${1//\//-of-} try words options
    for try in 1 2; do
        describe "$1"
        boot "$name" "$words" "${options[@]}" | report "$name" || true
        [ ! -e "$work/$name.counts" ] || return 0
        tail -n 40 "$work/$name.dmesg" | sed "s/^/        $name: /"
        ! grep -q '^vm: init' "$work/$name.console" || return 0
        say "$name died before its init, at try $try of 2"
    done
}

mkdir -p "$work"
if [ -n "$list" ]; then
    compile_init
    for kernel in "${kernels[@]}"; do
        for name in $(machines "$kernel"); do
            (describe "$name" && "$init" --list "$words" | sed "s/^/$kernel: /")
        done
    done
    exit
fi
# Another run's guests may have been others.
rm -f "$work"/*.counts
compile "${debug[@]}"
trap 'end_guests; exit 130' INT TERM
count=0
for kernel in "${kernels[@]}"; do
    if [ ${#debug[@]} -gt 0 ]; then prepare "$kernel" --debug; else prepare "$kernel" --kernel "$kernel"; fi
    # Two at a time.
    for name in $(machines "$kernel"); do
        [ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n || true
        run_guest "$name" &
        count=$((count + 1))
    done
done
wait

cat "$work"/*.counts 2>/dev/null | awk -v guests="$count" '
    { passed += $1; failed += $2 }
    END {
        printf "\nvm: %d passed, %d failed", passed, failed
        if (NR < guests) printf ", %d of %d guests did not come to their end", guests - NR, guests
        print ""
        exit (passed == 0 || failed > 0 || NR < guests)
    }
' || { say "kernel tests failed; what was said is in ${work#"$top"/}/*.console and *.dmesg"; exit 1; }
