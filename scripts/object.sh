#!/bin/bash
# Makes the object of the module's Rust side, which goes with every kernel, checks it, and puts it
# where kbuild looks for it: kmod/dm_remap_rs.o_shipped.
#   scripts/object.sh             makes it in target/object
#   scripts/object.sh --tools     prints the tools that it would make it with, as shell variables
# The compiler is Debian's of the suite below, whatever the machine has: its packages are unpacked
# into the user's cache and run from there, without becoming root. That and the sources decide every
# byte. Where nothing changed nothing is done. It ends with 77 where the packages cannot be had.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$top/target/object
suite=trixie base=trixie
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/dmremap
# shellcheck source=scripts/archive.sh
. "$top/scripts/archive.sh"

# Fills the folder $work with compiler and binary utilities, and all that they are linked with.
fetch_tools() {
    local needed
    read_index
    # The compiler's own package asks for a whole C compiler, which it takes to link programs.
    needed=$(apt_for_guest apt-get -s --no-install-recommends install libstd-rust-dev binutils | sed -n 's/^Inst \([^ ]*\).*/\1/p')
    # shellcheck disable=SC2086
    fetch "$work" rustc rust-src $needed
    rm -r "$work/apt" "$work/usr/share" "$work"/usr/lib/rustlib/x86_64-*
    # Of the compiler's source it is the language's own library that is compiled.
    find "$work"/usr/src/rustc-* -mindepth 1 -maxdepth 1 ! -name library -exec rm -r {} +
    [ -x "$work/usr/bin/rustc" ] || die "the package rustc of $suite has no compiler"
}

# Finds the tools, and fetches them the first time.
find_tools() {
    local recipe
    recipe=$({ declare -f fetch_tools; printf '%s' "$suite"; } | sha256sum | cut -c1-12)
    tools=$cache/tools-$recipe
    mkdir -p "$cache"
    exec 8> "$cache/lock.tools"
    flock 8
    if [ ! -d "$tools" ]; then
        find "$cache" -maxdepth 1 -name 'tools-*' -mtime +14 -exec rm -rf {} +
        work=$(mktemp -d "$cache/new.tools.XXXXXX")
        trap 'rm -rf "$work"' EXIT
        say "fetching the compiler of $suite"
        fetch_tools >&2
        mv "$work" "$tools"
        trap - EXIT
    fi
    touch "$tools"
    flock -u 8
}

# A program of the tools, run with their own loader and libraries.
tool() {
    local libraries=$tools/usr/lib/x86_64-linux-gnu
    printf '%s --library-path %s %s/usr/bin/%s' "$libraries/ld-linux-x86-64.so.2" "$libraries" "$tools" "$1"
}

[ "$(uname -m)" = x86_64 ] || { say "object.sh: the object is made on x86-64; here is $(uname -m)"; exit 77; }
find_tools
export RUSTC LD OBJCOPY READELF OBJDUMP RUST_SRC
RUSTC="$(tool rustc) --sysroot $tools/usr"
LD=$(tool ld) OBJCOPY=$(tool objcopy) READELF=$(tool readelf) OBJDUMP=$(tool objdump)
RUST_SRC=$(echo "$tools"/usr/src/rustc-*/library)
if [ "${1:-}" = --tools ]; then
    AS=$(tool as)
    declare -p RUSTC LD OBJCOPY READELF OBJDUMP RUST_SRC AS | sed 's/^declare -[-x]* //'
    exit
fi
mkdir -p "$out"
exec 9> "$out/lock"
flock 9
stamp=$({ cd "$top/kmod" && find . \( -name '*.rs' -o -name '*object.sh' \) -print0 | LC_ALL=C sort -z | xargs -0 cat; basename "$tools"; } | sha256sum)
if [ "$(cat "$out/stamp" 2>/dev/null)" != "$stamp" ] || [ ! -e "$out/dm_remap_rs.o" ]; then
    rm -f "$out/stamp"
    nice "$top/kmod/build-object.sh" "$out" >&2
    "$top/kmod/check-object.sh" "$out/dm_remap_rs.o" >&2
    printf '%s\n' "$stamp" > "$out/stamp"
fi
cmp -s "$out/dm_remap_rs.o" "$top/kmod/dm_remap_rs.o_shipped" || cp "$out/dm_remap_rs.o" "$top/kmod/dm_remap_rs.o_shipped"
