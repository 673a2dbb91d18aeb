#!/bin/sh
# Installs what the benchmarks compare with, where it is missing and apt can get it. A
# comparison whose other side is missing is left out, and said to be.
set -eu

has() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]; }

missing=
for need in mdadm:mdadm blkid:util-linux xxd:xxd btop:btop; do
    has "${need%%:*}" || missing="$missing ${need##*:}"
done
# Not every release of Debian has it, nor do all call it the same.
if ! has btm && command -v apt-cache >/dev/null; then
    missing="$missing $(apt-cache search --names-only '^(btm|bottom)$' | cut -d ' ' -f 1 | head -n 1)"
    missing=${missing% }
fi
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    printf 'Not installed, and not compared with:%s\n' "$missing" >&2
    exit 0
fi
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
