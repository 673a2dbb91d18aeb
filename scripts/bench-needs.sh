#!/bin/sh
# Installs what the benchmarks compare with, where it is missing: from the archive, and bottom,
# which not every release of Debian has, from its crate, once, into the user's cache. Prints
# the folder of what was built. A comparison whose other side is missing is left out, and
# said to be.
set -eu

bottom=0.13.0
root=${XDG_CACHE_HOME:-${HOME:?}/.cache}/dmremap/tools/bottom-$bottom

has() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]; }

missing=
for need in mdadm:mdadm blkid:util-linux xxd:xxd btop:btop; do
    has "${need%%:*}" || missing="$missing ${need##*:}"
done
if [ -n "$missing" ] && command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
elif [ -n "$missing" ]; then
    printf 'Not installed, and not compared with:%s\n' "$missing" >&2
fi
if ! has btm && [ ! -x "$root/bin/btm" ]; then
    printf 'building bottom %s, once, into %s\n' "$bottom" "$root" >&2
    cargo install --quiet --locked --version "$bottom" --root "$root" bottom ||
        printf 'Not built, and not compared with: bottom\n' >&2
fi
printf '%s\n' "$root/bin"
