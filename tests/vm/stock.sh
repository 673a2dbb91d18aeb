#!/bin/bash
# Builds the guest with a distribution's own kernel, in the empty folder WORK.
#   stock.sh SUITE BASE WORK     the kernel of SUITE, compiled with the tools of BASE
# What is made of one kernel alone is kept beside the guests, and serves the next one too.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
suite=$1 base=$2 work=$3

say() { printf '%s\n' "$*" >&2; }
die() { say "stock.sh: $*"; exit 1; }
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# apt-get and apt-cache on the suites of the guest, apart from the machine's packages.
apt_for_guest() {
    local tool=$1; shift
    "$tool" -q -o Dir::State="$work/apt" -o Dir::State::status=/dev/null -o Dir::Cache="$work/apt" \
        -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o APT::Default-Release= \
        -o APT::Sandbox::User=root -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

# The packages of the kernel's image: its own and those it needs of the same release.
image_packages() {
    printf 'linux-image-%s\n' "$release"
    apt_for_guest apt-cache depends -i "linux-image-$release" |
        awk -v tail="-$release" '/Depends:/ && substr($2, length($2) - length(tail) + 1) == tail { print $2 }'
}

# The archive's address is the machine's own: where its apt gets Debian from.
uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sort -u | head -n 1)
[ -n "$uri" ] || die "this machine's apt knows no Debian archive; the guest is made of Debian's packages"
printf "deb $uri %s main\n" "$base" > "$work/sources.list"
[ "$suite" = "$base" ] || printf "deb $uri %s main\n" "$suite" >> "$work/sources.list"
mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial"
apt_for_guest apt-get update

release=$(apt_for_guest apt-cache -t "$suite" depends -i linux-headers-cloud-amd64 |
    sed -n 's/.*Depends: linux-headers-\([0-9].*-cloud-amd64\)$/\1/p' | head -n 1)
[ -n "$release" ] || die "$suite has no linux-headers-cloud-amd64"
series=$(cut -d. -f1,2 <<< "${release%%[!0-9.]*}")
say "kernel $release from $suite, compiled with the tools of $base"

# Everything that is made of the kernel's image and source lies there: built once.
recipe=$(sed '/^ *#/d; /^ *$/d' "$here/headers.sh" | sha256sum | cut -c1-12)
kernel=$(dirname "$work")/kernel-$release-$recipe

# Downloads and unpacks the kernel's image and source.
fetch_kernel() {
    local packages deb
    mkdir -p "$work/debs" "$work/build"
    mapfile -t packages < <(image_packages)
    (cd "$work/debs" && apt_for_guest apt-get download "${packages[@]}" "linux-source-$series")
    for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/image"; done
    nice xz -dc "$work/image/usr/src/linux-source-$series.tar.xz" | tar -C "$work/build" -xf -
}

make_root() {
    local include=make,gcc-14,libc6-dev,rustc,rust-src,bindgen,file,flex,bison,bc,libelf-dev,libssl-dev
    include+=,libdw-dev,pahole,python3-minimal,perl-base,xz-utils,zstd,kmod,linux-headers-$release
    # Downloads go the machine's own way, whatever its apt was told about it.
    apt-config dump --format '%F "%v";%n' Acquire > "$work/apt.conf"
    # In a mount namespace of its own nothing stays mounted when it is interrupted.
    as_root nice "$here/apart.sh" mmdebstrap -q --mode=root --variant=minbase --aptopt="$work/apt.conf" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --include="$include" \
        "$base" "$work/root" - < "$work/sources.list"
}

# Makes $kernel of what fetch_kernel and make_root brought.
make_kernel() {
    local boot
    boot=$(find "$work/image" -name 'vmlinuz*' -type f | head -n 1)
    [ -n "$boot" ] || die "no kernel image among the packages of $release"
    cp "$boot" "$work/build/vmlinuz"
    cp "$here/headers.sh" "$work/build/"
    say "regenerating the Rust part of the headers"
    BIND="$work/build:/build" "$here/enter.sh" "$work/root" bash /build/headers.sh "$release" "/build/linux-source-$series"
    mkdir "$work/kernel"
    mv "$work/image/usr/lib/modules/$release" "$work/kernel/modules"
    cp "$work/build/dm-dust/dm-dust.ko" "$work/kernel/modules/kernel/drivers/md/"
    cp "$work/build/vmlinux" "$work/build/rust.tar" "$work/kernel/"
    rm -rf "$kernel"
    mv "$work/kernel" "$kernel"
}

if [ -e "$kernel" ]; then
    make_root
else
    # One waits for the net while the other unpacks.
    fetch_kernel & fetching=$!
    make_root || { wait; exit 1; }
    wait "$fetching"
    make_kernel
fi
touch "$kernel"
as_root tar -C "$work/root/usr/src/linux-headers-$release" -xf "$kernel/rust.tar"
cp -a "$kernel/modules" "$kernel/vmlinux" "$work/"
printf '%s\n' "$release" > "$work/release"
as_root rm -rf --one-file-system "$work/image" "$work/build" "$work/debs" "$work/apt" "$work/apt.conf"
