#!/bin/sh
# Installs what is missing of what a purpose needs. Each need is tried as it will be used, before
# anything is installed and again afterwards; what works is left alone.
#   scripts/build-needs.sh [PURPOSE...]
#     build     what cargo builds the program with; without a PURPOSE it is this
#     checks    the formatter and the linter of the toolchain
#     deb       what packages are built with
#     guest     what the virtual machine of the kernel tests is made and run with
#     compare   the programs that benchmarks compare with; nothing fails without them
# NEEDS_ROOT names a folder that stands for the system's own ones, for tests.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)

# The one list: purpose, packages of Debian, how it is tried, what it is. With a + before them,
# packages are tried only if those above work, with which they are tried.
list='
build   | rustup:                | checks_crate        | a Rust toolchain that takes this crate
build   | gcc libc6-dev          | links_programs      | a C compiler and linker, and the development files of the C library
build   | pkg-config             | runs_pkg_config     | the program that tells where libraries are
build   | +libdevmapper-dev      | links_library devmapper 1.02.151 libdevmapper.h dm_get_library_version | the development files of libdevmapper
build   | +libblkid-dev          | links_library blkid 2.33.2 blkid.h blkid_parse_version_string          | the development files of libblkid
build   | +libclang-dev          | reads_headers       | libclang with its headers, by which bindings are generated
checks  | rustup:rustfmt         | runs rustfmt        | the formatter of the toolchain
checks  | rustup:rustfmt         | runs cargo fmt      | the formatter of the toolchain
checks  | rustup:clippy          | runs cargo clippy   | the linter of the toolchain
deb     | dpkg                   | runs dpkg-deb       | the builder of packages
deb     | binutils               | strips              | the program that takes the names out of programs
deb     | gzip                   | runs gzip           | the compressor
deb     | findutils              | runs find           | the finder of files
deb     | libc-bin               | runs ldd            | the program that tells what a program is linked with
guest   | mmdebstrap             | runs mmdebstrap     | the maker of root file systems
guest   | qemu-system-x86        | starts_emulator     | the emulator
guest   | e2fsprogs              | makes_file_system   | the maker of file systems
guest   | cpio                   | runs cpio           | the archiver
guest   | xz-utils               | runs xz             | the compressor of the kernel
guest   | gzip                   | runs gzip           | the compressor of the first file system
guest   | binutils               | strips              | the program that takes the names out of programs
guest   | dpkg                   | runs dpkg-deb       | the opener of packages
guest   | util-linux             | runs unshare        | mount namespaces
compare | mdadm                  | runs mdadm          | mdadm
compare | util-linux             | runs blkid          | blkid
compare | xxd                    | runs xxd            | xxd
compare | btop                   | runs btop           | btop
'

# What in the environment has a say in these, a variable that is set wrongly being no package's
# fault.
steering='LIBCLANG_PATH LLVM_CONFIG_PATH CLANG_PATH BINDGEN_EXTRA_CLANG_ARGS
    PKG_CONFIG PKG_CONFIG_PATH PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR DEVMAPPER_NO_PKG_CONFIG BLKID_NO_PKG_CONFIG
    LD_LIBRARY_PATH LD_PRELOAD LIBRARY_PATH CPATH C_INCLUDE_PATH COMPILER_PATH GCC_EXEC_PREFIX
    RUSTUP_TOOLCHAIN RUSTC RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
    CARGO_BUILD_TARGET CARGO_BUILD_RUSTC CARGO_BUILD_RUSTC_WRAPPER CARGO_BUILD_RUSTFLAGS
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER'

# Administrators' programs are not in everybody's PATH, nor is a toolchain that rustup has just
# installed.
rust_programs=${CARGO_HOME:-${HOME:-/root}/.cargo}/bin
PATH=$PATH:$rust_programs:/usr/local/sbin:/usr/sbin:/sbin
export PATH
usual_path=$rust_programs
for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
    usual_path=$usual_path:${NEEDS_ROOT:-}$folder
done

say() { printf '%s\n' "$*" >&2; }

# How each is tried. What they say tells why they fail.

runs() {
    case $1 in
        cargo) "$@" --version ;;
        *) "$1" --version </dev/null ;;
    esac
}

checks_crate() {
    mkdir -p "$scratch/crate/src" &&
        printf '[package]\nname = "needs"\nedition = "2021"\n%s\n[workspace]\n' \
            "$(grep '^rust-version' "$top/Cargo.toml")" > "$scratch/crate/Cargo.toml" &&
        printf 'fn main() {}\n' > "$scratch/crate/src/main.rs" &&
        on_crate check && touch "$scratch/checked"
}

# In the folder where the build will be, for what is set there.
on_crate() {
    (cd "$top" && cargo "$1" --quiet --offline --manifest-path "$scratch/crate/Cargo.toml" --target-dir "$scratch/target")
}

# A program of C's in $scratch/NAME, from standard input; it must run, too.
compiles() {
    cat > "$scratch/$1.c" || return 1
    program=$scratch/$1
    shift
    cc "$program.c" -o "$program" "$@" && "$program"
}

# Cargo may have been told of another linker, which is tried if there is a toolchain to try it with.
links_programs() {
    compiles plain <<'PROGRAM' && { [ ! -e "$scratch/checked" ] || on_crate run; }
#include <stdlib.h>
#include <linux/dm-ioctl.h>
#include <sys/sem.h>
int main(void) { return 0; }
PROGRAM
}

runs_pkg_config() {
    tool=${PKG_CONFIG:-pkg-config}
    command -v "$tool" >/dev/null || tool=${PKG_CONFIG:-pkgconf}
    "$tool" --version
}

# Where a library is, as the crate pkg-config asks.
flags_of() {
    if env | grep -q "^$(printf '%s' "$1" | tr '[:lower:]' '[:upper:]')_NO_PKG_CONFIG="; then
        say "pkg-config is not asked for $1"
        return 1
    fi
    runs_pkg_config >/dev/null && "$tool" --libs --cflags "$1" "$1 >= $2"
}

links_library() {
    rm -f "$scratch/$1.flags"
    flags=$(flags_of "$1" "$2") || return 1
    # The words are arguments of their own.
    # shellcheck disable=SC2086
    compiles "$1" $flags <<PROGRAM || return 1
#include <$3>
void *volatile used;
int main(void) { used = (void *)$4; return !used; }
PROGRAM
    printf '#include <%s>\n' "$3" > "$scratch/$1.header"
    printf '%s\n' "$flags" > "$scratch/$1.flags"
}

# The folders that a compiler called clang would look in, which bindgen adds.
folders_of_clang() {
    (IFS=:; for folder in $PATH; do printf '%s\n' "$folder"/clang "$folder"/clang-[0-9]*; done) |
        { printf '%s\n' "${CLANG_PATH:-}"; cat; } |
        while read -r clang; do
            if [ -f "$clang" ] && [ -x "$clang" ]; then
                "$clang" -E -x c - -v </dev/null 2>&1 >/dev/null |
                    sed -n '/search starts here/,/^End of search/s/^ /-isystem /p'
                break
            fi
        done
}

# Of the libraries those that are there, so that no need is told for another.
reads_headers() {
    found='' included=
    printf '#include <%s>\n' stddef.h stdint.h linux/dm-ioctl.h sys/sem.h > "$scratch/headers.h"
    for library in devmapper blkid; do
        if [ -e "$scratch/$library.flags" ]; then
            found="$found $(cat "$scratch/$library.flags")"
            cat "$scratch/$library.header" >> "$scratch/headers.h"
        fi
    done
    for word in $found; do
        case $word in -I*) included="$included $word" ;; esac
    done
    cc "$top/scripts/libclang.c" -o "$scratch/libclang" -ldl || return 1
    # shellcheck disable=SC2046,SC2086
    "$scratch/libclang" "$scratch/headers.h" $included ${BINDGEN_EXTRA_CLANG_ARGS:-} $(folders_of_clang)
}

strips() {
    compiles stripped <<'PROGRAM' && strip -o "$scratch/bare" "$scratch/stripped" && "$scratch/bare"
int main(void) { return 0; }
PROGRAM
}

starts_emulator() {
    printf 'quit\n' | timeout 60 qemu-system-x86_64 -accel tcg -cpu max -M q35 -m 64M -nodefaults -nographic -S -monitor stdio
}

makes_file_system() {
    truncate -s 1M "$scratch/image" && mke2fs -q -F -t ext4 "$scratch/image"
}

# What fails, told apart from what is set wrongly.

# The variables without which a probe succeeds: the first that suffices alone, or all of them. PATH
# is one where the system's own programs succeed.
at_fault() {
    all=
    for name in $steering; do
        env | grep -q "^$name=" || continue
        all="$all $name"
        if (unset "$name" && "$@") >/dev/null 2>&1 </dev/null; then
            printf '%s\n' "$name"
            return
        fi
    done
    # The names are words of their own.
    # shellcheck disable=SC2086
    if [ -n "$all" ] && (unset $all && "$@") >/dev/null 2>&1 </dev/null; then
        printf '%s\n' "${all# }"
    elif (PATH=$usual_path && "$@") >/dev/null 2>&1 </dev/null; then
        printf 'PATH\n'
    fi
}

# Tries a need, $1 being its packages, $2 what it is.
try() {
    packages=$1 what=$2
    shift 2
    if "$@" > "$scratch/said" 2>&1 </dev/null; then return 0; fi
    variables=$(at_fault "$@")
    if [ -n "$variables" ]; then
        blamed="$blamed $variables"
        for name in $variables; do say "  $name=$(printenv "$name")"; done 2>> "$scratch/reasons"
    else
        missing="$missing $packages"
    fi
    {
        packages=${packages#rustup:}
        say "  ${packages:+$packages: }$what"
        tail -n 4 "$scratch/said" | cut -c 1-300 | sed 's/^/      /' >&2
    } 2>> "$scratch/reasons"
    return 1
}

# Tries every need of the purposes. Sets $missing to the packages of those that fail, $untried to those
# of what cannot be tried then, and $blamed to variables; $scratch/reasons says why.
look() {
    missing='' untried='' blamed='' sound=1
    : > "$scratch/reasons"
    while IFS='|' read -r purpose packages probe what; do
        case " $purposes " in *" ${purpose%% *} "*) ;; *) continue ;; esac
        # Blanks around and between words do not count.
        # shellcheck disable=SC2086
        set -- $packages
        case $* in
            +*)
                set -- "${1#+}"
                [ -n "$sound" ] || { untried="$untried $*"; continue; }
                # shellcheck disable=SC2086
                try "$*" "${what# }" $probe || true
                ;;
            *)
                # shellcheck disable=SC2086
                try "$*" "${what# }" $probe || sound=
                ;;
        esac
    done <<LIST
$(printf '%s\n' "$list" | grep '|')
LIST
    missing=$(once "$missing")
}

# Words without those that came before.
once() { printf '%s\n' "$1" | tr ' ' '\n' | awk 'NF && !seen[$0]++' | paste -sd ' ' -; }

# Of packages the parts of the toolchain, which rustup has; what the system has; all by their names in Debian.
parts() { printf '%s\n' "$1" | tr ' ' '\n' | sed -n 's/^rustup://p' | paste -sd ' ' -; }
systems() { printf '%s\n' "$1" | tr ' ' '\n' | grep -v '^rustup:' | paste -sd ' ' -; }
in_debian() { printf '%s\n' "$1" | sed 's/rustup:clippy/rust-clippy/g; s/rustup://g'; }

# Packages that stand as installed and have lost files, among some and all that they stand on:
# installing what is there takes a word of its own.
damaged() {
    # shellcheck disable=SC2086
    {
        printf '%s\n' $1
        apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks \
            --no-replaces --no-enhances $1
    } 2>/dev/null | grep '^[a-z]' | sort -u | while read -r package; do
        ! dpkg --verify "$package" 2>/dev/null |
            grep -qE '^(missing|..5).* /(usr/)?(s?bin|include|lib[0-9a-z]*|share/pkgconfig)/' || printf '%s ' "$package"
    done
}

# Ends with what fails, why, and what to do.
give_up() {
    [ -z "$untried" ] || say "  $(once "$untried"): cannot be tried before that"
    say "$@"
    exit 1
}

# Installs packages and parts of the toolchain; a word before them is an option of apt-get's.
install() {
    option=
    case $1 in --*) option=$1 && shift ;; esac
    if [ -n "$(parts "$1")" ] && runs rustup >/dev/null 2>&1; then
        say "installing parts of the toolchain: $(parts "$1")"
        # shellcheck disable=SC2046
        rustup component add $(parts "$1") >&2 || give_up "rustup could not add them: $(parts "$1")"
        names=$(systems "$1")
    else
        names=$(in_debian "$1")
    fi
    [ -n "$names" ] || return 0
    if ! runs apt-get >/dev/null 2>&1; then
        give_up "This system has no apt. By their names in Debian, these are missing: $(once "$names $untried")" \
            "Install their likes with your package manager."
    fi
    command="apt-get update && apt-get install ${option:+$option }$(once "$names $untried")"
    if [ "$(id -u)" -eq 0 ]; then
        as_root=
    elif sudo --version >/dev/null 2>&1; then
        as_root=sudo
    else
        give_up "Installing them needs root. As root, run:" "    $command"
    fi
    say "installing what is needed: $names"
    # Package lists that are old or absent name files that the archive no longer has.
    # shellcheck disable=SC2086
    if ! $as_root apt-get -q update >&2 || ! $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends $option install $names >&2; then
        give_up "apt could not install them. As root, run:" "    $command"
    fi
}

purposes=${*:-build}
for purpose in $purposes; do
    printf '%s\n' "$list" | grep -q "^$purpose " || { say "build-needs.sh: no such purpose: $purpose"; exit 2; }
done
# What is built must be able to run there.
target=${CARGO_TARGET_DIR:-$top/target}
mkdir -p "$target" && target=$(cd "$target" && pwd) && scratch=$(mktemp -d "$target/needs.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

tried='' renewed=
while look; [ -n "$missing$blamed" ]; do
    say "What is needed and does not work:"
    cat "$scratch/reasons" >&2
    case " $blamed " in
        '  ') ;;
        *' PATH '*) give_up "It works with the system's own programs, which others come before: PATH=$usual_path" ;;
        *) give_up "It works without what is set in the environment: unset $(once "$blamed")" ;;
    esac
    case " $missing " in
        *' rustup: '*)
            give_up "Install a Rust toolchain first, $(grep '^rust-version' "$top/Cargo.toml") or newer, with rustup or a package."
            ;;
    esac
    if [ "$missing" != "$tried" ]; then
        tried=$missing
        install "$missing"
        continue
    fi
    lost=$(damaged "$(in_debian "$missing")")
    if [ -n "$renewed" ] || [ -z "$lost" ]; then
        give_up "Still missing, although it was installed: $(in_debian "$missing")"
    fi
    renewed=1
    say "Files of these are gone or changed: $lost"
    install --reinstall "$lost"
done
