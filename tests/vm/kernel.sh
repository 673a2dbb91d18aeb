#!/bin/bash
# Inside the guest's root: compiles the kernel of SOURCE with /build/debug.config and
# nothing beside, in the place of its headers.
#   kernel.sh SOURCE
# Leaves in /build: release, vmlinux, modules/.
set -euo pipefail
source=$1
version=$(make -s -C "$source" kernelversion)
build=/usr/src/linux-headers-$version-debug

mkdir -p "$build"
kernel() { make -s -C "$source" O="$build" LLVM=1 -j"$(nproc)" "$@"; }
kernel KCONFIG_ALLCONFIG=/build/debug.config allnoconfig

# What depends on something that is off is left out without a word.
while read -r wanted; do
    grep -qxF -- "$wanted" "$build/.config" || { echo "not to be had: $wanted"; missing=1; }
done < <(grep '^CONFIG_' /build/debug.config)
[ -z "${missing:-}" ] || exit 1

kernel vmlinux modules
kernel -s kernelrelease > /build/release
[ "$(cat /build/release)" = "$version-debug" ]
cp "$build/vmlinux" /build/vmlinux
mkdir /build/modules
find "$build" -name '*.ko' -exec cp -t /build/modules {} +
sed 's/\.o$/.ko/' "$build/modules.builtin" > /build/modules/modules.builtin
