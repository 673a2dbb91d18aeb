#!/bin/bash
# Builds the guest with a distribution's own kernel, in the empty folder WORK.
#   stock.sh SUITE BASE WORK     the kernel of SUITE, compiled with the tools of BASE
# What is made of one kernel alone is kept beside the guests, and serves the next one too.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
suite=$1 base=$2 work=$3
# shellcheck source=tests/vm/archive.sh
. "$here/archive.sh"

# The packages of the kernel's image: its own and those it needs of the same release.
image_packages() {
    printf 'linux-image-%s\n' "$release"
    apt_for_guest apt-cache depends -i "linux-image-$release" |
        awk -v tail="-$release" '/Depends:/ && substr($2, length($2) - length(tail) + 1) == tail { print $2 }'
}

# Makes of the kernel's image and source what is not among the packages.
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

open_archive
say "kernel $release from $suite, compiled with the tools of $base"
recipe=$(sed '/^ *#/d; /^ *$/d' "$here/headers.sh" | sha256sum | cut -c1-12)
kernel=$(dirname "$work")/kernel-$release-$recipe
# What the root holds for the tests: what a module is compiled with, dkms, and the programs
# that make and check file systems.
inside=linux-headers-$release,e2fsprogs,xfsprogs,dkms
if [ -e "$kernel" ]; then
    make_root "$inside"
else
    mapfile -t packages < <(image_packages)
    # One waits for the net while the other unpacks.
    fetch "$work/build" "${packages[@]}" & fetching=$!
    make_root "$inside" || { wait; exit 1; }
    wait "$fetching"
    make_kernel
fi
touch "$kernel"
as_root tar -C "$work/root/usr/src/linux-headers-$release" -xf "$kernel/rust.tar"
cp -a "$kernel/modules" "$kernel/vmlinux" "$work/"
printf '%s\n' "$release" > "$work/release"
close_archive
