#!/bin/sh
# Installs what the benchmarks compare with, where it is missing: from the archive, and bottom,
# which not every release of Debian has, from its crate, once, into the user's cache. Prints
# the folder of what was built. A comparison whose other side is missing is left out, and
# said to be.
set -eu

bottom=0.13.0
root=${XDG_CACHE_HOME:-${HOME:?}/.cache}/dmremap/tools/bottom-$bottom

cd "$(dirname "$0")/.."
scripts/build-needs.sh compare >&2 || printf 'What is missing is not compared with.\n' >&2
if ! PATH=$PATH:$root/bin btm --version >/dev/null 2>&1; then
    printf 'building bottom %s, once, into %s\n' "$bottom" "$root" >&2
    cargo install --quiet --locked --version "$bottom" --root "$root" bottom ||
        printf 'Not built, and not compared with: bottom\n' >&2
fi
printf '%s\n' "$root/bin"
