#!/bin/sh
# Installs what the benchmarks compare with, where it is missing and apt can get it. A
# comparison whose other side is missing is left out, and said to be.
set -eu

missing=
for need in mdadm:mdadm blkid:util-linux xxd:xxd; do
    command -v "${need%%:*}" >/dev/null || [ -x "/usr/sbin/${need%%:*}" ] || [ -x "/sbin/${need%%:*}" ] ||
        missing="$missing ${need##*:}"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    printf 'Not installed, and not compared with:%s\n' "$missing" >&2
    exit 0
fi
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
