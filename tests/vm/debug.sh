#!/bin/bash
# Builds the guest with a kernel that looks for its own mistakes, in the empty folder WORK:
# the source of SUITE's kernel with debug.config, compiled by the clang of BASE.
#   debug.sh SUITE BASE WORK
# It is clang because the Rust part shares KASAN's instrumentation with no other compiler.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
suite=$1 base=$2 work=$3
# shellcheck source=scripts/archive.sh
. "$top/scripts/archive.sh"

# What compiles a kernel, with Rust.
include=make,gcc-14,libc6-dev,rustc,rust-src,bindgen,file,flex,bison,bc,libelf-dev,libssl-dev,libdw-dev
include+=,pahole,python3-minimal,perl-base,xz-utils,zstd,kmod,clang,lld,llvm

open_archive
mkdir -p "$work/build"
fetch "$work/image" "linux-source-$series" & fetching=$!
make_root "$include" || { wait; exit 1; }
wait "$fetching"
nice xz -dc "$work/image/usr/src/linux-source-$series.tar.xz" | tar -C "$work/build" -xf -

as_root mkdir -p "$work/root/usr/src"
as_root mv "$work/build/linux-source-$series" "$work/root/usr/src/"
cp "$here/debug.config" "$here/kernel.sh" "$work/build/"
say "compiling kernel $series with every check on; this takes a while"
BIND="$work/build:/build" "$here/enter.sh" "$work/root" bash /build/kernel.sh "/usr/src/linux-source-$series"

cp "$work/build/release" "$work/build/vmlinux" "$work/"
cp -r "$work/build/modules" "$work/"
close_archive
