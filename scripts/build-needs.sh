#!/bin/sh
# Installs what a build needs beside the Rust toolchain, where it is missing: a C
# linker with the C library's development files. What is there is left alone.
set -eu

say() { printf '%s\n' "$*" >&2; }

links_c() {
    # Compiling includes a header and linking needs the start files, so a compiler
    # that came without the C library's development files does not pass.
    probe=$(mktemp) || exit 1
    printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' |
        cc -x c - -o "$probe" 2>/dev/null && status=0 || status=1
    rm -f "$probe"
    return "$status"
}

if ! command -v cargo >/dev/null; then
    say "cargo is missing: install the Rust toolchain first (rustup, or your distribution's package)."
    exit 1
fi

if links_c; then
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    say "A working C linker is missing (the command cc, with the C library's development"
    say "files), and this system has no apt. Install them with your package manager; the"
    say "packages are often called gcc and glibc-devel, or base-devel."
    exit 1
fi

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    say "A working C linker is missing, and installing one needs root. As root, run:"
    say "    apt-get update && apt-get install gcc libc6-dev"
    exit 1
fi

say "installing a C linker: gcc libc6-dev"
# Package lists that are old or absent name files that the archive no longer has.
$as_root apt-get -q update
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y --no-install-recommends install gcc libc6-dev

if ! links_c; then
    say "cc still cannot link a program, although gcc and libc6-dev are installed."
    exit 1
fi
