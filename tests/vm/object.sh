#!/bin/bash
# Makes the object of the module's Rust side once more elsewhere, which must give the same bytes, and
# looks whether what checks it finds what must never be in it.
#   tests/vm/object.sh [--list] [PART]
#     --list  only names the tests, which takes no compiler
#     PART    of a test's name; all tests without it
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)

if [ "${1:-}" = --list ]; then
    sed -n 's/^expect \(object-[a-z-]*\) .*/\1/p' "$0" | grep -F -- "${2:-}" || true
    exit
fi
part=${1:-} passed=0 failed=0
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$top/scripts/object.sh"
# What the script finds its tools by is the same here.
eval "$("$top/scripts/object.sh" --tools)"
export RUSTC LD OBJCOPY READELF OBJDUMP RUST_SRC

expect() {
    local name=$1 began=$SECONDS; shift
    [[ $name == *"$part"* ]] || return 0
    if "$@" > "$place/said" 2>&1; then
        printf 'ok      %s (%d s)\n' "$name" $((SECONDS - began)); passed=$((passed + 1))
    else
        printf 'FAILED  %s\n' "$name"; sed 's/^/        /' "$place/said"; failed=$((failed + 1))
    fi
}

is_the_same_elsewhere() {
    mkdir -p "$place/a/longer/way"
    cp -r "$top/kmod" "$place/a/longer/way/"
    nice "$place/a/longer/way/kmod/build-object.sh" "$place/made" && cmp "$place/made/dm_remap_rs.o" "$top/target/object/dm_remap_rs.o" &&
        ! grep -qaF -e "$place" -e "$top" -e "$HOME" "$place/made/dm_remap_rs.o"
}

# Adds to the object what the assembler makes of the lines of its input; the check must say so.
#   refuses WHAT-IS-SAID
refuses() {
    $AS -o "$place/bad.o" - && $LD -r -o "$place/whole.o" "$top/target/object/dm_remap_rs.o" "$place/bad.o"
    ! "$top/kmod/check-object.sh" "$place/whole.o" > "$place/refused" 2>&1 || return 1
    cat "$place/refused"
    grep -qF -- "$1" "$place/refused"
}
vectors() { refuses 'vector or floating point in' <<< '.text; one: movaps %xmm0, %xmm1; jmp __x86_return_thunk'; }
floats() { refuses 'vector or floating point in' <<< '.text; one: fadd %st(1), %st; jmp __x86_return_thunk'; }
bare_returns() { refuses 'return without a thunk in' <<< '.text; one: nop; ret'; }
bare_jumps() { refuses 'indirect jump without a thunk in' <<< '.text; one: jmp *%rax'; }
unwinding() { refuses 'section that must not be there: .eh_frame' <<< '.section .eh_frame,"a",@unwind; .quad 0'; }
constructors() { refuses 'section that must not be there: .init_array' <<< '.section .init_array,"aw",@init_array; .quad 0'; }
foreign_relocations() { refuses 'relocation that no module loader knows: R_X86_64_REX_GOTPCRELX' <<< '.text; movq dm_remap_free@GOTPCREL(%rip), %rax; jmp __x86_return_thunk'; }
foreign_symbols() { refuses 'symbol that nobody has: printk' <<< '.text; call printk; jmp __x86_return_thunk'; }
foreign_names() { refuses 'symbol that is not to be seen: one' <<< '.globl one; .text; one: jmp __x86_return_thunk'; }
missing() {
    $OBJCOPY --localize-symbol=dm_remap_rs_map "$top/target/object/dm_remap_rs.o" "$place/whole.o"
    ! "$top/kmod/check-object.sh" "$place/whole.o" > "$place/refused" 2>&1 && cat "$place/refused" &&
        grep -qF 'symbol that is missing: dm_remap_rs_map' "$place/refused"
}
another_compiler() {
    printf '#!/bin/sh\necho "rustc 1.99.0 (something else)"\n' > "$place/rustc"
    chmod +x "$place/rustc"
    ! RUSTC=$place/rustc "$top/kmod/build-object.sh" "$place/other" > "$place/refused" 2>&1 && cat "$place/refused" &&
        grep -qF 'it takes rustc 1.85, here is rustc 1.99.0' "$place/refused"
}

expect object-is-the-same-from-another-folder is_the_same_elsewhere
expect object-check-finds-vector-instructions vectors
expect object-check-finds-floating-point floats
expect object-check-finds-returns-without-a-thunk bare_returns
expect object-check-finds-indirect-jumps-without-a-thunk bare_jumps
expect object-check-finds-tables-for-unwinding unwinding
expect object-check-finds-what-runs-by-itself constructors
expect object-check-finds-relocations-of-no-module foreign_relocations
expect object-check-finds-symbols-that-nobody-has foreign_symbols
expect object-check-finds-names-that-are-not-to-be-seen foreign_names
expect object-check-finds-a-callback-that-is-missing missing
expect object-is-made-by-no-other-compiler another_compiler
printf '\nobject: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
