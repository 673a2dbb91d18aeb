#!/bin/bash
# Finds the guest that the kernel tests run on, and builds it if it is missing.
#   tests/vm/guest.sh [--kernel SUITE|--debug|--system] [--anew]
# Prints the folder that holds it. On a machine that can have none it prints why, and ends with 77.
#     --kernel SUITE  the one with the kernel of this suite of Debian's; trixie-backports without it
#     --debug         the one whose kernel looks for its own mistakes, see debug.sh
#     --system        the one that starts as a whole machine does, see system.sh
#     --anew          build it anew, from the newest kernel the index offers
# The folder is kept in the user's cache under a name that follows from the recipes:
#   root/      Debian with the kernel's headers
#   vmlinux    the kernel, to be booted directly
#   modules/   its modules
#   release    the kernel's release
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/dmremap/vm

# The kernel to take: its suite, and the suite whose compiler built it. The first that can be had
# and fits is taken.
candidates=(trixie-backports:trixie sid:sid)

say() { printf '%s\n' "$*" >&2; }
die() { say "guest.sh: $*"; exit 1; }
cannot() { say "guest.sh: $*"; printf '%s\n' "$*"; exit 77; }

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# What no package can bring is asked for before minutes are spent.
need_machine() {
    [ "$(uname -m)" = x86_64 ] || cannot "the guest is an x86-64 machine with a kernel compiled on it; here is $(uname -m)"
    if [ "$(id -u)" -ne 0 ]; then
        sudo --version >/dev/null 2>&1 ||
            cannot "the guest's root is made with mmdebstrap and entered with chroot: run this as root, or install sudo"
        sudo -v || cannot "the guest's root is made and entered as root, and sudo does not let you: run this as root"
    fi
    # shellcheck disable=SC2016
    as_root "$here/apart.sh" sh -c 'mount -t tmpfs none "$1"' probe "$here" 2>/dev/null ||
        cannot "root may mount nothing here (a container without CAP_SYS_ADMIN?): run this where it may, such as on the machine itself"
    "$here/../../scripts/build-needs.sh" guest >&2 ||
        cannot "programs that the guest is made and run with are missing and could not be installed"
}

# A name that changes with what the recipes do, but not with what they say of it.
key_of() { (cd "$here" && sed '/^ *#/d; /^ *$/d' "$@") | sha256sum | cut -c1-12; }

# What nobody has asked for in two weeks is of an older recipe; what is half made was
# interrupted, for the lock is held here.
tidy() {
    find "$cache" -mindepth 1 -maxdepth 1 \( -name "new.$lock.*" -o -mtime +14 \) ! -name 'lock.*' -print0 |
        as_root xargs -0r rm -rf --one-file-system
}

# Has a recipe fill a folder, and takes the folder in as $1 if it comes through; else ends as the
# recipe did.
make_with() {
    local as=$1 work status=0; shift
    tidy
    work=$(mktemp -d "$cache/new.$lock.XXXXXX")
    chmod 755 "$work"
    "$@" "$work" >&2 || status=$?
    if [ "$status" -eq 0 ]; then
        as_root rm -rf --one-file-system "$as"
        mv "$work" "$as"
    else
        as_root rm -rf --one-file-system "$work"
    fi
    return "$status"
}

# Builds the guest with the first kernel that can be had and fits.
build_with() {
    local recipe=$1 candidate status out_of_reach=1
    for candidate in "${candidates[@]}"; do
        status=0
        make_with "$guest" "$here/$recipe" "${candidate%%:*}" "${candidate##*:}" || status=$?
        [ "$status" -ne 0 ] || return 0
        [ "$status" -eq 77 ] || out_of_reach=
        say "${candidate%%:*} does not serve"
    done
    [ -z "$out_of_reach" ] || cannot "the guest is made of Debian's packages, and this machine's apt reaches no archive of Debian's"
    die "no suite offers a kernel that fits"
}

kind=stock suite=trixie-backports anew=
while [ $# -gt 0 ]; do
    case $1 in
        --kernel) suite=${2:?a suite}; shift ;;
        --debug) kind=debug ;;
        --system) kind=system ;;
        --anew) anew=1 ;;
        *) die "no such option: $1" ;;
    esac
    shift
done

# Interrupted, it does not go on to the next suite.
trap 'exit 130' INT TERM
need_machine
mkdir -p "$cache"
# Two builds at once would do everything twice.
lock=$kind
[ "$kind" != stock ] || lock=$kind-$suite
exec 9> "$cache/lock.$lock"
flock 9

archive=../../scripts/archive.sh
case $kind in
    stock)
        guest=$cache/stock-$suite-$(key_of "$archive" stock.sh)
        candidates=("$suite:${suite%-backports}")
        ;;
    debug) guest=$cache/debug-$(key_of "$archive" debug.sh kernel.sh debug.config) ;;
    system) guest=$cache/system-$(key_of "$archive" system.sh) ;;
esac
if [ -n "$anew" ] || [ ! -e "$guest/release" ]; then build_with "$kind.sh"; fi
touch "$guest"
say "guest: kernel $(cat "$guest/release") in $guest"
printf '%s\n' "$guest"
