#!/bin/sh
# Installs what a build needs beside the Rust toolchain, where it is missing: a C
# linker with the C library's development files, and what the bindings to the kernel's
# device-mapper and to libblkid are generated with. What is there is left alone.
set -eu

say() { printf '%s\n' "$*" >&2; }

compiles() {
    # The probe links as well: a compiler that came without the C library's development
    # files does not pass.
    probe=$(mktemp) || exit 1
    printf '%s\nint main(void) { return 0; }\n' "$1" |
        cc -x c - -o "$probe" 2>/dev/null && status=0 || status=1
    rm -f "$probe"
    return "$status"
}

has_libclang() {
    # Where bindgen looks for it; a distribution may keep it in a folder of its own.
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    for file in /usr/lib/llvm*/lib/libclang*.so* /usr/lib*/libclang*.so* /usr/lib/*/libclang*.so*; do
        [ -e "$file" ] && return 0
    done
    return 1
}

# The packages that are missing, by their names in Debian.
missing() {
    compiles '#include <stdlib.h>' || printf 'gcc libc6-dev '
    has_libclang || printf 'libclang-dev '
    command -v pkg-config >/dev/null || printf 'pkg-config '
    [ -e /usr/include/libdevmapper.h ] || printf 'libdevmapper-dev '
    [ -e /usr/include/blkid/blkid.h ] || printf 'libblkid-dev '
}

if ! command -v cargo >/dev/null; then
    say "cargo is missing: install the Rust toolchain first (rustup, or your distribution's package)."
    exit 1
fi

packages=$(missing)
if [ -z "$packages" ]; then
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    say "Missing for a build, by their names in Debian: $packages"
    say "This system has no apt: install their likes with your package manager. They are a C"
    say "compiler with the C library's development files, libclang, pkg-config and the"
    say "development files of libdevmapper and libblkid."
    exit 1
fi

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    say "Packages that a build needs are missing, and installing them needs root. As root, run:"
    say "    apt-get update && apt-get install $packages"
    exit 1
fi

say "installing what a build needs: $packages"
# Package lists that are old or absent name files that the archive no longer has.
$as_root apt-get -q update
# The names are words of their own.
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y --no-install-recommends install $packages

packages=$(missing)
if [ -n "$packages" ]; then
    say "Still missing, although it was installed: $packages"
    exit 1
fi
