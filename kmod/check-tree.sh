#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Says what is missing for building this module against a kernel tree, all of it at once.
#   check-tree.sh TREE [in-tree]
# With in-tree also what it takes to compile the Rust side against the kernel's own crate.
set -eu
tree=$1
lacks=0
here=$(cd "$(dirname "$0")" && pwd)

lack() {
    printf '%s: %s\n' "$tree" "$1" >&2
    lacks=1
}

if [ ! -e "$tree/Makefile" ]; then
    lack "no kernel headers are here: install those of this kernel (on Debian linux-headers-$(uname -m | sed 's/x86_64/amd64/')), or name a tree with KDIR=TREE"
    exit 1
fi

config=$tree/include/config/auto.conf
set_to() { sed -n "s/^$1=//p" "$config" | tr -d '"'; }

if [ ! -e "$config" ]; then
    lack 'not configured: run make olddefconfig modules_prepare in it'
    exit 1
fi
[ "$(set_to CONFIG_X86_64)" = y ] || lack 'not a kernel for x86-64, the only machine that the Rust side is compiled for'
case $(set_to CONFIG_BLK_DEV_DM) in
    y | m) ;;
    *) lack 'CONFIG_BLK_DEV_DM is not set: this kernel has no device-mapper' ;;
esac
# The compiler begins with its name; clang is told of by its makers instead.
compiler=$(set_to CONFIG_CC_VERSION_TEXT)
case $compiler in
    *clang*) compiler=clang ;;
    *) compiler=${compiler%% *} ;;
esac
[ -z "$compiler" ] || command -v "${CC:-$compiler}" >/dev/null ||
    lack "the C compiler ${CC:-$compiler}, which this kernel was built with, is missing"

if [ "${2:-}" != in-tree ]; then
    [ -e "$here/dm_remap_rs.o_shipped" ] ||
        lack "dm_remap_rs.o_shipped, the compiled Rust side, is missing beside $(basename "$0"): scripts/object.sh makes it"
    exit "$lacks"
fi
if [ "$(set_to CONFIG_RUST)" != y ]; then
    lack 'CONFIG_RUST is not set: in-tree takes a kernel with Rust'
else
    wanted=$(set_to CONFIG_RUSTC_VERSION)
    if version=$(${RUSTC:-rustc} --version 2>/dev/null); then
        found=$(printf '%s\n' "$version" | awk '{ split($2, v, "."); printf "%d%03d%02d", v[1], v[2], v[3] }')
        [ "$found" = "$wanted" ] ||
            lack "built with $(set_to CONFIG_RUSTC_VERSION_TEXT); here is $version"
    else
        lack "rustc is missing; it must be $(set_to CONFIG_RUSTC_VERSION_TEXT)"
    fi
    [ -e "$tree/rust/libkernel.rmeta" ] ||
        lack 'the Rust part (rust/libkernel.rmeta) is missing: run make modules_prepare in the kernel source'
fi
exit "$lacks"
