#!/bin/bash
# Fills the empty folder WORK with the root of a small Debian that starts with systemd and
# udev, for tests of what happens by itself while a machine starts.
#   system.sh SUITE BASE WORK     of the release that the kernel of SUITE runs with
# It has no kernel: that of the other guest serves, which says here what it is.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
suite=$1 base=$2 work=$3
# shellcheck source=scripts/archive.sh
. "$top/scripts/archive.sh"

open_archive
# What a machine has, with all that takes disks by itself while it starts: md, LVM, btrfs, LUKS,
# from the initramfs on. dmsetup for its udev rules; mke2fs makes what is mounted.
include=systemd,systemd-sysv,systemd-cryptsetup,udev,dbus,kmod,dmsetup,e2fsprogs,mount
include+=,initramfs-tools,lvm2,mdadm,btrfs-progs,cryptsetup,fdisk
apt-config dump --format '%F "%v";%n' Acquire > "$work/apt.conf"
as_root nice "$here/apart.sh" mmdebstrap -q --mode=root --variant=minbase --aptopt="$work/apt.conf" \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --include="$include" \
    "$base" "$work/root" - < "$work/sources.list"
as_root rm -rf --one-file-system "$work/root/var/cache/apt" "$work/root/var/lib/apt/lists"
# The other maker of images is no part of the system: it is installed where it is tried.
mkdir -p "$work/debs"
(cd "$work/debs" && apt_for_guest apt-get download dracut-core)
mv "$work"/debs/dracut-core_*.deb "$work/dracut.deb"
printf '%s\n' "$base" > "$work/release"
close_archive
