#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Compiles the Rust side of the module into one relocatable object for every x86-64 kernel.
#   build-object.sh OUT
# Leaves OUT/dm_remap_rs.o. What is made of the language's own library alone stays in OUT and
# serves the next time. In the environment:
#   RUSTC, LD, OBJCOPY   the tools; rustc is of the version below, or what it says is refused
#   RUST_SRC             the folder library/ of the compiler's source
# Equal sources and tools make equal bytes, wherever they are.
set -eu
wanted=1.85
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
: "${RUSTC:=rustc}" "${LD:=ld}" "${OBJCOPY:=objcopy}"
# The target and most of the flags are the compiler's unstable ones, and the kernel's too.
export RUSTC_BOOTSTRAP=1
version=$($RUSTC --version)
case $version in
    "rustc $wanted."*) ;;
    *) echo "build-object.sh: it takes rustc $wanted, here is $version" >&2; exit 1 ;;
esac
: "${RUST_SRC:=$($RUSTC --print sysroot)/lib/rustlib/src/rust/library}"
[ -e "$RUST_SRC/core/src/lib.rs" ] || {
    echo "build-object.sh: the source of the language's library is not in $RUST_SRC; it is in the package rust-src" >&2
    exit 1
}

# As the kernel compiles its own: no vector registers, calls and returns that can be patched
# against what processors leak, and code and data in the kernel's part of memory. All of it is
# what the strictest kernel wants; where a kernel wants less, it is patched away or costs nothing.
cat > "$out/target.json" <<'JSON'
{
    "arch": "x86_64", "llvm-target": "x86_64-unknown-none-elf", "os": "none", "env": "",
    "data-layout": "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128",
    "target-endian": "little", "target-pointer-width": "64", "target-c-int-width": "32",
    "features": "-mmx,-sse,-sse2,-sse3,-ssse3,-sse4.1,-sse4.2,-avx,-avx2,+soft-float,+retpoline-external-thunk,+retpoline-indirect-branches,+retpoline-indirect-calls",
    "linker": "ld", "linker-flavor": "gnu", "panic-strategy": "abort", "disable-redzone": true,
    "code-model": "kernel", "relocation-model": "static", "max-atomic-width": 64,
    "executables": false, "stack-probes": { "kind": "none" }, "eh-frame-header": false,
    "function-sections": false
}
JSON
flags="-Zunstable-options --target $out/target.json --edition 2021 -Cpanic=abort -Copt-level=2 -Ccodegen-units=1
    -Cdebuginfo=0 -Cembed-bitcode=yes -Coverflow-checks=y -Cforce-unwind-tables=n -Csymbol-mangling-version=v0
    -Zfunction-return=thunk-extern -Zcf-protection=branch -Zpatchable-function-entry=16,16 -Zfunction-sections=n
    --remap-path-prefix=$here=. --remap-path-prefix=$RUST_SRC=rust --out-dir $out -L $out"

# The library that comes compiled is position-independent and has no thunks.
stamp=$version-$(printf '%s' "$flags" | cat - "$out/target.json" | sed "s|$here||g; s|$out||g; s|$RUST_SRC||g" | cksum | cut -d' ' -f1)
if [ "$(cat "$out/core.stamp" 2>/dev/null)" != "$stamp" ]; then
    rm -f "$out"/lib*.rlib
    # shellcheck disable=SC2086
    $RUSTC $flags --cap-lints allow --crate-name core --crate-type rlib --cfg no_fp_fmt_parse "$RUST_SRC/core/src/lib.rs"
    # The functions of C that it calls are the kernel's: mem* and the like.
    echo '#![feature(no_core, compiler_builtins)] #![compiler_builtins] #![no_core] extern crate core;' > "$out/builtins.rs"
    # shellcheck disable=SC2086
    $RUSTC $flags --cap-lints allow --crate-name compiler_builtins --crate-type rlib -Zforce-unstable-if-unmarked \
        --extern core="$out/libcore.rlib" --remap-path-prefix="$out"=builtins "$out/builtins.rs"
    printf '%s' "$stamp" > "$out/core.stamp"
fi

# shellcheck disable=SC2086
$RUSTC $flags -Dwarnings --crate-name kernel --crate-type rlib "$here/kernel/lib.rs"
# shellcheck disable=SC2086
$RUSTC $flags -Dwarnings --crate-name dm_remap_v4 --crate-type staticlib -Zcrate-attr=no_std -Clto=fat \
    --extern kernel="$out/libkernel.rlib" "$here/dm_remap_main.rs"

# One object, of whose names only those that the glue calls stay, and which says nothing of where
# it was made. Padding before functions is the compiler's; the table of it is for tracers, which do
# not get into a module's part that is not C.
$LD -r -o "$out/dm_remap_rs.o" --whole-archive "$out/libdm_remap_v4.a"
$OBJCOPY --remove-section=.note.gnu.property --remove-section=.comment --remove-section=.llvmbc \
    --remove-section=.llvmcmd --remove-section=__patchable_function_entries \
    --wildcard --keep-global-symbol='dm_remap_rs_*' --strip-debug "$out/dm_remap_rs.o"
