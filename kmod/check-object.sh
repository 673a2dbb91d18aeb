#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Says what is in an object of the Rust side that must never get into a kernel, all of it at once.
#   check-object.sh OBJECT
# READELF and OBJDUMP in the environment name the tools.
set -eu
object=$1
here=$(cd "$(dirname "$0")" && pwd)
: "${READELF:=readelf}" "${OBJDUMP:=objdump}"
found=$(mktemp)
trap 'rm -f "$found"' EXIT

# Prints each line of the input as a finding.
refuse() { sed "s/^/$1: /" >> "$found"; }

# Sections: code and data, and what a linker needs. No tables for unwinding or exceptions, nothing
# that runs by itself, no debug information with its paths.
$READELF -SW "$object" | sed -n 's/^  \[ *[0-9]*\] \(\.[^ ]*\) .*/\1/p' |
    grep -vxE '(\.rela)?\.(text(\.unlikely\.?)?|rodata(\.[a-z0-9.]+)?|data(\.rel\.ro)?|bss)|\.note\.GNU-stack|\.symtab|\.strtab|\.shstrtab' |
    refuse 'section that must not be there' || true

# Relocations: those that the kernel's module loader knows.
$READELF -rW "$object" | awk '$3 ~ /^R_/ { print $3 }' | sort -u |
    grep -vxE 'R_X86_64_(64|32|32S|PC32|PLT32|PC64)' | refuse 'relocation that no module loader knows' || true

# Symbols: what the glue declares, in both directions, and beside it the C library's functions
# that the kernel has and the thunks.
declared() { grep -oE '\bdm_remap_[a-z0-9_]+\(' "$here/glue/glue.h" | tr -d '(' | sort -u; }
symbols() { $READELF -sW "$object" | awk -v of="$1" '
    $5 == "GLOBAL" || $5 == "WEAK" { if (($7 == "UND") == (of == "wanted")) print $8 }' | sort -u; }
declared > "$found.declared"
symbols wanted | grep -vxE 'mem(cpy|move|set|cmp)|strlen|__x86_return_thunk|__x86_indirect_thunk_r[0-9a-z]+' |
    grep -vxFf "$found.declared" | refuse 'symbol that nobody has' || true
symbols given | grep -vE '^dm_remap_rs_' | refuse 'symbol that is not to be seen' || true
symbols given | grep '^dm_remap_rs_' | grep -vxFf "$found.declared" | refuse 'symbol that the glue does not declare' || true
symbols given > "$found.given"
grep '^dm_remap_rs_' "$found.declared" | grep -vxFf "$found.given" | refuse 'symbol that is missing' || true
rm -f "$found.declared" "$found.given"

# Instructions: no register that the kernel does not save, and no return or indirect jump that
# cannot be patched.
$OBJDUMP -d --no-show-raw-insn "$object" | awk -F '\t' '
    /^[0-9a-f]+ </ { name = $0; sub(/^[^<]*</, "", name); sub(/>:.*/, "", name) }
    $2 ~ /%([xyz]?mm[0-9]|st([^a-z]|$)|k[0-7]([^0-9a-z]|$))/ { print "vector or floating point in " name ": " $2 }
    $2 ~ /^l?retq?([^a-z]|$)/ { print "return without a thunk in " name ": " $2 }
    $2 ~ /^(notrack )?(call|jmp) *\*/ { print "indirect jump without a thunk in " name ": " $2 }
' >> "$found"

[ ! -s "$found" ] || { sed "s|^|$(basename "$object"): |" "$found" >&2; exit 1; }
