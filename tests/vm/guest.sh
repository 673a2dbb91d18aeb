#!/bin/bash
# Finds the guest that the kernel tests run on, and builds it if it is missing.
#   tests/vm/guest.sh [--debug|--system] [--anew]      prints the folder that holds it
#     --debug   the one whose kernel looks for its own mistakes, see debug.sh
#     --system  the one that starts as a whole machine does, see system.sh
#     --anew    build it anew, from the newest kernel the index offers
# The folder is kept in the user's cache under a name that follows from the recipes:
#   root/      Debian with the kernel's headers and their Rust part
#   vmlinux    the kernel, to be booted directly
#   modules/   its modules
#   release    the kernel's release
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/dmremap/vm

# Kernels with Rust: a suite, and the suite whose compiler built its kernel. The first
# that can be had and fits is taken.
candidates=(trixie-backports:trixie sid:sid)

say() { printf '%s\n' "$*" >&2; }
die() { say "guest.sh: $*"; exit 1; }

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# What no package can bring is asked for before minutes are spent.
need_machine() {
    [ "$(uname -m)" = x86_64 ] || die "the guest is an x86-64 machine with a kernel compiled on it; here is $(uname -m)"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            die "the guest's root is made with mmdebstrap and entered with chroot: run this as root, or install sudo"
        sudo -v || die "the guest's root is made and entered as root, and sudo does not let you: run this as root"
    fi
    # shellcheck disable=SC2016
    as_root "$here/apart.sh" sh -c 'mount -t tmpfs none "$1"' probe "$here" 2>/dev/null ||
        die "root may mount nothing here (a container without CAP_SYS_ADMIN?): run this where it may, such as on the machine itself"
}

need_tools() {
    local missing=() tool
    for tool in mmdebstrap:mmdebstrap qemu-system-x86_64:qemu-system-x86 cpio:cpio xz:xz-utils; do
        command -v "${tool%%:*}" >/dev/null || missing+=("${tool##*:}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "install with your package manager: ${missing[*]}"
    say "installing ${missing[*]}"
    as_root apt-get -q update >&2
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends install "${missing[@]}" >&2
}

# A name that changes with what the recipes do, but not with what they say of it.
key_of() { (cd "$here" && sed '/^ *#/d; /^ *$/d' "$@") | sha256sum | cut -c1-12; }

# What nobody has asked for in two weeks is of an older recipe; what is half made was
# interrupted, for the lock is held here.
tidy() {
    find "$cache" -mindepth 1 -maxdepth 1 \( -name "new.$kind.*" -o -mtime +14 \) ! -name 'lock.*' -print0 |
        as_root xargs -0r rm -rf --one-file-system
}

# Has a recipe fill a folder, and takes the folder in as $1 if it comes through.
make_with() {
    local as=$1 work; shift
    tidy
    work=$(mktemp -d "$cache/new.$kind.XXXXXX")
    chmod 755 "$work"
    if "$@" "$work" >&2; then
        as_root rm -rf --one-file-system "$as"
        mv "$work" "$as"
    else
        as_root rm -rf --one-file-system "$work"
        return 1
    fi
}

# Builds the guest with the first kernel that can be had and fits.
build_with() {
    local recipe=$1 candidate
    for candidate in "${candidates[@]}"; do
        ! make_with "$guest" "$here/$recipe" "${candidate%%:*}" "${candidate##*:}" || return 0
        say "${candidate%%:*} does not serve; trying the next suite"
    done
    die "no suite offers a kernel that fits"
}

kind=stock
anew=
for argument in "$@"; do
    case $argument in
        --debug) kind=debug ;;
        --system) kind=system ;;
        --anew) anew=1 ;;
        *) die "no such option: $argument" ;;
    esac
done

# Interrupted, it does not go on to the next suite.
trap 'exit 130' INT TERM
need_machine
need_tools
mkdir -p "$cache"
# Two builds at once would do everything twice.
exec 9> "$cache/lock.$kind"
flock 9

case $kind in
    stock) guest=$cache/stock-$(key_of archive.sh stock.sh headers.sh) ;;
    debug) guest=$cache/debug-$(key_of archive.sh debug.sh kernel.sh debug.config) ;;
    system) guest=$cache/system-$(key_of archive.sh system.sh) ;;
esac
if [ -n "$anew" ] || [ ! -e "$guest/release" ]; then build_with "$kind.sh"; fi
touch "$guest"
say "guest: kernel $(cat "$guest/release") in $guest"
printf '%s\n' "$guest"
