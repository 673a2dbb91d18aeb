#!/bin/bash
# Builds what the kernel tests run on, once: a small root in which a stock kernel's
# modules can be compiled, that kernel itself, and the modules the tests load.
#   tests/vm/guest.sh          prints the folder that holds the guest, building it if it is missing
#   tests/vm/guest.sh --anew   builds it anew, from the newest kernel the index offers
# The folder is kept in the user's cache under a name that follows from these scripts:
#   root/      Debian with the kernel's headers and their Rust part
#   vmlinux    the kernel, to be booted directly
#   modules/   its modules, as they are packaged
#   release    the kernel's release
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/dmremap/vm

# Kernels with Rust: a suite, and the suite whose compiler built its kernel. The first
# that can be had and fits is taken.
candidates=(trixie-backports:trixie sid:sid)

say() { printf '%s\n' "$*" >&2; }
die() { say "guest.sh: $*"; exit 1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"
    else die "building and booting the guest needs root: a root of its own is made and entered"; fi
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

# The archive's address is the machine's own: where its apt gets Debian from.
archive() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sort -u | head -n 1
}

# apt-get and apt-cache on the suites of the guest, apart from the machine's packages.
apt_for() {
    local work=$1 tool=$2; shift 2
    "$tool" -q -o Dir::State="$work/apt" -o Dir::State::status=/dev/null -o Dir::Cache="$work/apt" \
        -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o APT::Default-Release= \
        -o APT::Sandbox::User=root -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

# The packages that make up the kernel image $release: its own and those it needs of the same release.
image_packages() {
    local work=$1 release=$2
    printf 'linux-image-%s\n' "$release"
    apt_for "$work" apt-cache depends -i "linux-image-$release" |
        awk -v tail="-$release" '/Depends:/ && substr($2, length($2) - length(tail) + 1) == tail { print $2 }'
}

build() {
    local suite=$1 base=$2 work=$3 uri release series
    uri=$(archive)
    [ -n "$uri" ] || die "this machine's apt knows no Debian archive; the guest is made of Debian's packages"
    printf "deb $uri %s main\n" "$base" > "$work/sources.list"
    [ "$suite" = "$base" ] || printf "deb $uri %s main\n" "$suite" >> "$work/sources.list"
    mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial" "$work/debs"
    apt_for "$work" apt-get update >&2

    release=$(apt_for "$work" apt-cache -t "$suite" depends -i linux-headers-cloud-amd64 |
        sed -n 's/.*Depends: linux-headers-\([0-9].*-cloud-amd64\)$/\1/p' | head -n 1)
    [ -n "$release" ] || die "$suite has no linux-headers-cloud-amd64"
    series=${release%%[!0-9.]*}; series=$(cut -d. -f1,2 <<< "$series")
    say "kernel $release from $suite, compiled with the tools of $base"

    local include=make,gcc-14,libc6-dev,rustc,rust-src,bindgen,file,flex,bison,bc,libelf-dev,libssl-dev
    include+=,libdw-dev,pahole,python3-minimal,perl-base,xz-utils,zstd,kmod,linux-headers-$release
    # Downloads go the machine's own way, whatever its apt was told about it.
    apt-config dump --format '%F "%v";%n' Acquire > "$work/apt.conf"
    # In a mount namespace of its own nothing stays mounted when it is interrupted.
    as_root nice "$here/apart.sh" \
        mmdebstrap -q --mode=root --variant=minbase --aptopt="$work/apt.conf" --include="$include" \
        "$base" "$work/root" - < "$work/sources.list" >&2

    local packages
    mapfile -t packages < <(image_packages "$work" "$release")
    (cd "$work/debs" && apt_for "$work" apt-get download "${packages[@]}" "linux-source-$series") >&2
    local deb
    for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/image"; done

    say "regenerating the Rust part of the headers"
    as_root mkdir -p "$work/root/build"
    nice xz -dc "$work/image/usr/src/linux-source-$series.tar.xz" | as_root tar -C "$work/root/build" -xf -
    as_root cp "$here/headers.sh" "$work/root/build/"
    "$here/enter.sh" "$work/root" bash /build/headers.sh "$release" "/build/linux-source-$series" >&2
    extract_kernel "$work" "$release" "/build/linux-source-$series"
    as_root rm -rf --one-file-system "$work/root/build"
    mv "$work/image/usr/lib/modules/$release" "$work/modules"
    printf '%s\n' "$release" > "$work/release"
    rm -rf "$work/image" "$work/debs" "$work/apt" "$work/apt.conf"
}

# The kernel's ELF image, out of the compressed boot image that carries it.
extract_kernel() {
    local work=$1 release=$2 source=$3 boot
    boot=$(find "$work/image" -name "vmlinuz*" -type f | head -n 1)
    [ -n "$boot" ] || die "no kernel image among the packages of $release"
    as_root cp "$boot" "$work/root/build/vmlinuz"
    "$here/enter.sh" "$work/root" "$source/scripts/extract-vmlinux" /build/vmlinuz > "$work/vmlinux"
}

# A candidate is tried in a process of its own, where any failing step ends the try.
if [ "${1:-}" = --try ]; then
    build "$2" "$3" "$4"
    exit
fi

key=$(cat "$here"/guest.sh "$here"/headers.sh | sha256sum | cut -c1-12)
guest=$cache/$key
need_tools
if [ "${1:-}" = --anew ] || [ ! -e "$guest/release" ]; then
    mkdir -p "$cache"
    for candidate in "${candidates[@]}"; do
        work=$(mktemp -d "$cache/new.XXXXXX")
        chmod 755 "$work"
        if "$0" --try "${candidate%%:*}" "${candidate##*:}" "$work"; then
            as_root rm -rf --one-file-system "$guest"
            mv "$work" "$guest"
            break
        fi
        as_root rm -rf --one-file-system "$work"
        say "${candidate%%:*} does not serve; trying the next suite"
    done
    [ -e "$guest/release" ] || die "no suite offers a kernel that fits"
fi
say "guest: kernel $(cat "$guest/release") in $guest"
printf '%s\n' "$guest"
