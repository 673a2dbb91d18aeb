#!/bin/bash
# Runs the kernel tests: the object that goes with every kernel, the target in guests, and what a
# machine brings up by itself.
#   tests/vm/suite.sh [--leave-out] [PART]
#     --leave-out   those for which this machine can have no guest are left out, which is no failure
#                   but where CI is set
#     PART          of a test's name; all tests without it
# Tests that are left out are counted at the end, and it is said why. What a suite that changes every
# day cannot offer today is said, and is no failure.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/vm/kernels.sh
. "$here/kernels.sh"
allowed=
if [ "${1:-}" = --leave-out ]; then
    shift
    case ${CI:-} in '' | 0 | false | no) allowed=1 ;; esac
fi
part=${1:-}
status=0 left_out=0 reasons=()

# Counts tests that are left out, by the lines of the input.
#   leave_out REASON
leave_out() {
    local count
    count=$(wc -l)
    left_out=$((left_out + count))
    # A name that no test has is a mistake here, too.
    [ "$count" -gt 0 ] || { printf 'no name of a test has %s\n' "$part" >&2; status=1; }
    [[ " ${reasons[*]-} " == *" $1 "* ]] || reasons+=("$1")
}

# Finds whether there is a guest by these options of guest.sh, and sets $reason if there can be none.
has_guest() {
    local code=0
    reason=$("$here/guest.sh" "$@") || code=$?
    [ "$code" -eq 0 ] || [ "$code" -eq 77 ] || [[ " ${changing_kernels[*]} " == *" ${2:-} "* ]] || exit "$code"
    [ "$code" -eq 0 ]
}

# The compiler comes from the same archive as the guest.
test_object() {
    if has_guest; then
        "$here/object.sh" "$part" || status=1
    else
        leave_out "$reason" < <("$here/object.sh" --list "$part")
    fi
}

test_target() {
    local kernel options=()
    for kernel in "${stock_kernels[@]}"; do
        if has_guest --kernel "$kernel"; then
            options+=(--kernel "$kernel")
        elif [ ${#options[@]} -gt 0 ] && [[ " ${changing_kernels[*]} " == *" $kernel "* ]]; then
            printf 'there is no guest of %s today: its tests are left out\n' "$kernel"
        else
            leave_out "$reason" < <("$here/run.sh" --list --kernel "$kernel" "$part")
        fi
    done
    [ ${#options[@]} -eq 0 ] || "$here/run.sh" "${options[@]}" "$part" || status=1
}

test_starts() {
    if has_guest && has_guest --system && has_guest --kernel bookworm; then
        "$here/starts.sh" "$part" || status=1
    else
        leave_out "$reason" < <("$here/starts.sh" --list "$part")
    fi
}

if [[ -z $part || $part == object* ]]; then
    printf '\n== the object that goes with every kernel\n'
    test_object
fi
if [[ $part != system* && $part != object* ]]; then
    printf '\n== kernel tests in virtual machines\n'
    test_target
fi
if [[ -z $part || $part == system* ]]; then
    printf '\n== what a machine brings up by itself\n'
    test_starts
fi
if [ "$left_out" -gt 0 ]; then
    [ -n "$allowed" ] || status=1
    printf '\nkernel tests: %d left out: %s\n' "$left_out" "$(IFS=';'; printf '%s' "${reasons[*]}")"
fi
exit "$status"
