#!/bin/bash
# Runs a command inside the guest's root, with /proc and /dev for as long as it runs.
#   tests/vm/enter.sh ROOT COMMAND...
# A folder given as BIND=FROM:TO in the environment is there too, for as long.
set -euo pipefail
if [ "$(id -u)" -ne 0 ]; then exec sudo BIND="${BIND:-}" "$0" "$@"; fi
BIND=${BIND:-} exec nice "$(dirname "$0")/apart.sh" bash -euc '
    root=$1; shift
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    if [ -n "$BIND" ]; then
        mkdir -p "$root${BIND##*:}"
        mount --bind "${BIND%%:*}" "$root${BIND##*:}"
    fi
    exec env -i PATH=/usr/sbin:/usr/bin HOME=/root LC_ALL=C.UTF-8 TMPDIR=/tmp chroot "$root" "$@"
' enter "$@"
