#!/bin/bash
# Builds the guest with a distribution's own kernel, from its packages as they are, in the empty
# folder WORK.
#   stock.sh SUITE BASE WORK     the kernel of SUITE, with the tools of BASE
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
suite=$1 base=$2 work=$3
# shellcheck source=scripts/archive.sh
. "$top/scripts/archive.sh"

# The packages of the kernel's image: its own and those it needs of the same release.
image_packages() {
    printf 'linux-image-%s\n' "$release"
    apt_for_guest apt-cache depends -i "linux-image-$release" |
        awk -v tail="-$release" '/Depends:/ && substr($2, length($2) - length(tail) + 1) == tail { print $2 }'
}

# Takes the ELF image out of a boot image, whose header says where it is: booting that directly
# spares each guest the unpacking.
#   unpack_kernel BOOT-IMAGE
unpack_kernel() {
    local image=$1 setup offset length magic unpack
    number() { od -An -v -t "$1" -j "$2" -N "${1#u}" "$image" | tr -d ' '; }
    setup=$(number u1 $((0x1f1))) offset=$(number u4 $((0x248))) length=$(number u4 $((0x24c)))
    offset=$(((setup + 1) * 512 + offset))
    magic=$(od -An -t x1 -j "$offset" -N 4 "$image" | tr -d ' ')
    case $magic in
        fd377a58) unpack='xz -dc' ;;
        28b52ffd) unpack='zstd -dc' ;;
        02214c18) unpack='lz4 -dc' ;;
        *) die "the kernel of $release is packed in a way that is not known: $magic" ;;
    esac
    # Behind what is packed stands its unpacked size, in four bytes.
    dd if="$image" of="$work/packed" bs=1M iflag=skip_bytes,count_bytes skip="$offset" count=$((length - 4)) status=none
    # shellcheck disable=SC2086
    BIND="$work:/mnt" "$here/enter.sh" "$work/root" $unpack /mnt/packed > "$work/vmlinux"
    rm "$work/packed"
}

open_archive
say "kernel $release from $suite, with the tools of $base"
mapfile -t packages < <(image_packages)
# One waits for the net while the other unpacks.
fetch "$work/image" "${packages[@]}" & fetching=$!
# What the root holds for the tests: what a module is compiled with, dkms, and the programs that
# make and check file systems.
make_root "linux-headers-$release,e2fsprogs,xfsprogs,dkms,kmod,xz-utils,zstd,lz4" || { wait; exit 1; }
wait "$fetching"
boot=$(find "$work/image" -name 'vmlinuz*' -type f -print -quit)
[ -n "$boot" ] || die "no kernel image among the packages of $release"
unpack_kernel "$boot"
mv "$(find "$work/image" -path "*/lib/modules/$release" -type d -print -quit)" "$work/modules"
printf '%s\n' "$release" > "$work/release"
close_archive
