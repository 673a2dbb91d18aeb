#!/bin/bash
# Runs the kernel tests: the target in guests, and what a machine brings up by itself.
#   tests/vm/suite.sh [--leave-out] [PART]
#     --leave-out   those for which this machine can have no guest are left out, which is no failure
#                   but where CI is set
#     PART          of a test's name; all tests without it
# Tests that are left out are counted at the end, and it is said why.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
allowed=
if [ "${1:-}" = --leave-out ]; then
    shift
    case ${CI:-} in '' | 0 | false | no) allowed=1 ;; esac
fi
part=${1:-}
status=0 left_out=0 reasons=()

# Runs a script's tests if the guests that it takes, by the options of guest.sh, can be had.
#   run SCRIPT OPTION...
run() {
    local script=$1 option reason code count; shift
    for option in "$@"; do
        code=0
        # No option is no word.
        # shellcheck disable=SC2086
        reason=$("$here/guest.sh" $option) || code=$?
        case $code in
            0) ;;
            77)
                count=$("$here/$script" --list "$part" | wc -l)
                left_out=$((left_out + count))
                # A name that no test has is a mistake here, too.
                [ "$count" -gt 0 ] || { printf 'no name of a test has %s\n' "$part" >&2; status=1; }
                [[ " ${reasons[*]-} " == *" $reason "* ]] || reasons+=("$reason")
                return
                ;;
            *) exit "$code" ;;
        esac
    done
    "$here/$script" "$part" || status=1
}

if [[ $part != system* ]]; then
    printf '\n== kernel tests in a virtual machine\n'
    run run.sh ''
fi
if [[ -z $part || $part == system* ]]; then
    printf '\n== what a machine brings up by itself\n'
    run starts.sh '' --system
fi
if [ "$left_out" -gt 0 ]; then
    [ -n "$allowed" ] || status=1
    printf '\nkernel tests: %d left out: %s\n' "$left_out" "$(IFS=';'; printf '%s' "${reasons[*]}")"
fi
exit "$status"
