#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Says what a kernel tree lacks for this module, all of it at once.
#   check-tree.sh TREE
set -eu
tree=$1
lacks=0

lack() {
    printf '%s: %s\n' "$tree" "$1" >&2
    lacks=1
}

if [ ! -e "$tree/Makefile" ]; then
    lack 'no kernel tree is here; name one with KDIR=TREE'
    exit 1
fi

config=$tree/include/config/auto.conf
set_to() { sed -n "s/^$1=//p" "$config" | tr -d '"'; }

if [ ! -e "$config" ]; then
    lack 'not configured: run make olddefconfig modules_prepare in it'
elif [ "$(set_to CONFIG_RUST)" != y ]; then
    lack 'CONFIG_RUST is not set; this module is written in Rust'
else
    wanted=$(set_to CONFIG_RUSTC_VERSION)
    if version=$(${RUSTC:-rustc} --version 2>/dev/null); then
        here=$(printf '%s\n' "$version" | awk '{ split($2, v, "."); printf "%d%03d%02d", v[1], v[2], v[3] }')
        [ "$here" = "$wanted" ] ||
            lack "built with $(set_to CONFIG_RUSTC_VERSION_TEXT); here is $version"
    else
        lack "rustc is missing; it must be $(set_to CONFIG_RUSTC_VERSION_TEXT)"
    fi
    command -v "${BINDGEN:-bindgen}" >/dev/null || lack 'bindgen is missing'
    [ -e "$tree/rust/libkernel.rmeta" ] ||
        lack 'the Rust part (rust/libkernel.rmeta) is missing: run make modules_prepare in the kernel source'
fi
case $(set_to CONFIG_BLK_DEV_DM 2>/dev/null) in
    y | m) ;;
    *) [ ! -e "$config" ] || lack 'CONFIG_BLK_DEV_DM is not set' ;;
esac
exit "$lacks"
