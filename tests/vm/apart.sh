#!/bin/sh
# Runs a command in a mount namespace of its own: what it mounts is seen by nobody else,
# and gone when it ends.
set -eu
# Where the root is no mount point, as in a chroot, there is nothing of it to make private.
# shellcheck disable=SC2016
exec unshare --mount --propagation unchanged sh -euc '
    mount --make-rprivate / 2>/dev/null || true
    exec "$@"
' apart "$@"
