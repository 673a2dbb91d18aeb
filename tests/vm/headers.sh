#!/bin/bash
# Inside the guest's root: makes what the kernel's packages lack of the kernel's source.
#   headers.sh RELEASE SOURCE
# Leaves in /build, where the packaged boot image is:
#   rust.tar          the Rust part of the headers
#   dm-dust/*.ko      a target that is not among the packaged modules
#   vmlinux           the kernel's ELF image
# The Rust part is regenerated from the same source with the same configuration and
# compiler, and taken only if every symbol it exports is one that the packaged kernel
# exports.
set -euo pipefail
release=$1 source=$2
headers=/usr/src/linux-headers-$release
build=/build/kernel

grep -q '^CONFIG_RUST=y' "$headers/.config" || { echo "kernel $release is built without Rust"; exit 1; }
wanted=$(sed -n 's/^CONFIG_RUSTC_VERSION=//p' "$headers/.config")
compiler=$(rustc --version | awk '{ split($2, v, "."); printf "%d%03d%02d", v[1], v[2], v[3] }')
[ "$wanted" = "$compiler" ] || { echo "kernel $release wants rustc $wanted, here is $compiler"; exit 1; }

mkdir -p "$build"
cp "$headers/.config" "$build/.config"
cc=$(sed -n 's/^CONFIG_CC_VERSION_TEXT="\([^ "]*\).*/\1/p' "$headers/.config")
make -s -C "$source" O="$build" LOCALVERSION="+${release#*+}" CC="$cc" HOSTCC=gcc-14 \
    -j"$(nproc)" olddefconfig modules_prepare

sed -n 's/^EXPORT_SYMBOL_RUST_GPL(\(.*\));$/\1/p' "$build"/rust/exports_*_generated.h | sort -u > "$build/exported"
cut -f2 "$headers/Module.symvers" | sort -u > "$build/packaged"
count=$(wc -l < "$build/exported")
strangers=$(comm -23 "$build/exported" "$build/packaged" | wc -l)
if [ "$count" -lt 1000 ] || [ "$strangers" -ne 0 ]; then
    echo "the regenerated part is not that of kernel $release: $strangers of $count symbols differ"
    exit 1
fi
echo "all $count exported Rust symbols are those of the packaged kernel"
(cd "$build" && tar -cf /build/rust.tar rust/*.rmeta rust/*.so scripts/target.json)

mkdir -p /build/dm-dust
cp "$source/drivers/md/dm-dust.c" /build/dm-dust/
echo 'obj-m := dm-dust.o' > /build/dm-dust/Kbuild
make -s -C "$headers" M=/build/dm-dust modules

"$source/scripts/extract-vmlinux" /build/vmlinuz > /build/vmlinux
