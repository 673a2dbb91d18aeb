#!/bin/bash
# Compiles the module against the guest's kernel, boots that kernel and runs the kernel tests
# in guests, two side by side.
#   tests/vm/run.sh [--debug] [--list] [PART]
#     --debug   on the kernel that looks for its own mistakes
#     --list    only names the tests that it would run, which takes no guest
#     PART      of a test's name; all tests without it
# What the guests and their kernels said is kept in target/vm.
set -euo pipefail
# shellcheck source=tests/vm/boot.sh
. "$(dirname "$0")/boot.sh"

kind=()
# Only the kernel of --debug can be told to refuse memory.
without=fault-injection-
guests=(guest-1 guest-2 guest-two-processors guest-resets)
if [ "${1:-}" = --debug ]; then
    kind=(--debug)
    # That kernel has no file systems, no thin volumes and no disks that outlive a reset. Where memory is short
    # kmemleak asks for some with each request, and reclaims in vain; a guest without it takes
    # that test.
    without=application-,file-system-,thin-,memory-runs-short
    guests=(guest-1 guest-2 guest-two-processors guest-short-of-memory)
    # Every access to memory is looked at there, which takes several times as long.
    limit=${VM_LIMIT:-3600}
    shift
fi
list=
if [ "${1:-}" = --list ]; then list=1 && shift; fi
filter=${1:-}

# Says how each test of one guest ended; the counts go to a file when it has run them all.
report() {
    awk -v counts="$work/$1.counts" '
        /^vm: ok /     { printf "ok      %s (%d ms)\n", $3, $4; fflush(); next }
        /^vm: FAILED / { sub(/^vm: FAILED /, ""); printf "FAILED  %s\n", $0; fflush(); next }
        /^vm: log /    { sub(/^vm: log /, "        "); print; fflush(); next }
        /^vm: note /   { sub(/^vm: /, ""); print; fflush(); next }
        /^vm: init/    { begun = 1; next }
        /^vm: begin /  { running = $3; next }
        /^vm: done /   { print $3, $4 > counts; ended = 1; next }
        END { if (begun && !ended) printf "FAILED  the guest died in %s\n", running ? running : "its init" }
    '
}

# What a guest is: its words on the kernel's command line and its machine.
#   describe NAME
describe() {
    local disk
    options=(-accel tcg,thread=multi)
    case $1 in
        guest-resets)
            words=dmremap.machine=resets
            options+=(-action reboot=reset)
            for disk in main:64M spare:32M record:32M; do
                # What it was told is in this machine's memory, which a reset of the guest leaves.
                rm -f "$work/${disk%:*}.disk"
                truncate -s "${disk#*:}" "$work/${disk%:*}.disk"
                options+=(-drive "file=$work/${disk%:*}.disk,format=raw,if=virtio,cache=unsafe")
            done
            ;;
        guest-two-processors)
            words=dmremap.machine=two-processors
            # A processor that patches the kernel's code while the other one runs it is more
            # than the emulator's threads can take.
            options=(-smp 2 -accel tcg,thread=single)
            ;;
        guest-short-of-memory)
            words='dmremap.machine=short-of-memory kmemleak=off'
            without=
            ;;
        *) words=dmremap.turn=${1#guest-}/2 ;;
    esac
    words="dmremap.tests=$filter dmremap.without=$without $words"
}

# Runs the tests of one guest. A kernel that did not come to its init has tested nothing; under
# emulation that happens, and a second try tells whether it means anything.
run_guest() {
    local name=$1 try words options without=$without
    for try in 1 2; do
        describe "$name"
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
    for name in "${guests[@]}"; do
        (describe "$name" && "$init" --list "$words")
    done
    exit
fi
# Another run's guests may have been others.
rm -f "$work"/guest-*.counts
prepare "${kind[@]}"
trap 'end_guests; exit 130' INT TERM
# Two at a time.
for name in "${guests[@]}"; do
    [ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n || true
    run_guest "$name" &
done
wait

cat "$work"/guest-*.counts 2>/dev/null | awk -v guests="${#guests[@]}" '
    { passed += $1; failed += $2 }
    END {
        printf "\nvm: %d passed, %d failed", passed, failed
        if (NR < guests) printf ", %d of %d guests did not come to their end", guests - NR, guests
        print ""
        exit (passed == 0 || failed > 0 || NR < guests)
    }
' || { say "kernel tests failed; what was said is in ${work#"$top"/}/guest-*.console and guest-*.dmesg"; exit 1; }
