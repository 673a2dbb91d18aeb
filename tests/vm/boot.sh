#!/bin/bash
# What the scripts that boot a guest share; they source it.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
work=$top/target/vm
# Modules of the kernel that the guest's init loads; what is built in is passed over.
modules=(configfs null_blk dm_mod dm_delay dm_flakey dm_log_writes)
# Those that some kernels have as modules, and others in themselves or not at all.
of_some_kernels=(libcrc32c virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci)
# Those that the kernel of a guest with --debug has not.
not_for_debug=(ext4 xfs virtio_blk dm_bufio dm_persistent_data dm_bio_prison dm_thin_pool)
# Seconds without a word after which a guest is taken for dead; a test says one when it begins.
limit=${VM_LIMIT:-1500}

say() { printf '%s\n' "$*" >&2; }

# Compiles what goes into every guest: its init and the application. The application and file
# systems are left out of a guest with --debug: that kernel has only what the target and its tests
# stand on.
#   compile [--debug]
compile() {
    compile_init
    application=
    if [ "${1:-}" = --debug ]; then
        in_tree=1
    else
        in_tree=
        "$top/scripts/object.sh"
        compile_application
        modules+=("${not_for_debug[@]}")
    fi
}

# Finds the guest of a kernel, compiles the module against it, and packs all of it.
#   prepare KERNEL [OPTION-OF-GUEST.SH...]
prepare() {
    kernel=$1; shift
    find_guest "$@"
    compile_module
    pack
}

# Finds the guest of $kernel, whose files are kept in a folder of this name.
find_guest() {
    guest=$("$here/guest.sh" "$@")
    release=$(cat "$guest/release")
    mkdir -p "$work/$kernel"
}

compile_module() {
    local tree=/usr/src/linux-headers-$release what=modules arguments=()
    ! grep -q '^CONFIG_CC_IS_CLANG=y' "$guest/root$tree/.config" || arguments=(LLVM=1)
    [ -z "$in_tree" ] || what=in-tree
    # The build writes beside the sources, so it gets a copy of them; times are kept, for make.
    module=$work/$kernel/kmod-$(basename "$guest")
    mkdir -p "$module"
    (cd "$top/kmod" && find . -type f \( -name '*.rs' -o -name '*.[ch]' -o -name '*.sh' -o -name Kbuild -o -name Makefile \
        -o -name '*.o_shipped' \) ! -name '*.mod.c' | sort) > "$work/$kernel/sources"
    if [ -e "$module/.sources" ]; then
        comm -23 "$module/.sources" "$work/$kernel/sources" | (cd "$module" && xargs -r rm -f)
    fi
    (cd "$top/kmod" && xargs cp -u --preserve=timestamps,mode --parents -t "$module") < "$work/$kernel/sources"
    mv "$work/$kernel/sources" "$module/.sources"
    BIND="$module:/kmod" "$here/enter.sh" "$guest/root" make -s -C /kmod KDIR="$tree" "${arguments[@]}" "$what" > "$work/$kernel/build.log" 2>&1 ||
        { cat "$work/$kernel/build.log" >&2; return 1; }
    # A warning of the compiler, of objtool or of modpost is a mistake of ours.
    if grep -i warning "$work/$kernel/build.log" >&2; then
        say "the module is not compiled for $release without warnings"
        return 1
    fi
}

compile_init() {
    local triple
    triple=$(rustc -vV | sed -n 's/^host: //p')
    # Without libraries of its own the guest needs none of its libc's age.
    RUSTFLAGS='-C target-feature=+crt-static' nice cargo build --quiet --locked --target "$triple" \
        --manifest-path "$here/guest/Cargo.toml" --target-dir "$work/cargo" >&2
    init=$work/cargo/$triple/debug/init
}

compile_application() {
    (cd "$top" && nice cargo build --quiet --locked --bin dmremap-tui) >&2
    application=${CARGO_TARGET_DIR:-$top/target}/debug/dmremap-tui
    # Tests of the adapter to device-mapper, which take a kernel that has one.
    adapter_tests=$(cd "$top" && nice cargo test --quiet --locked --no-run --message-format=json --test device_mapper |
        sed -n '/"kind":\["test"\]/s/.*"executable":"\([^"]*\)".*/\1/p')
}

# Puts a program into the guest, with the libraries that it is linked with.
#   take_program FILE NAME ROOT
take_program() {
    local file=$1 name=$2 to=$3 library
    mkdir -p "$to/bin"
    strip -o "$to/bin/$name" "$file"
    ldd "$file" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$to$(dirname "$library")"
        cp -L "$library" "$to$library"
    done
}

# Puts the programs that make and check file systems into the guest, from the root that its
# kernel is of, in a folder of their own: their libraries are not those of this machine.
take_file_system_programs() {
    local to=$1/distribution
    mkdir -p "$to"
    "$here/enter.sh" "$guest/root" ldd /usr/sbin/{mke2fs,e2fsck,mkfs.xfs,xfs_repair} |
        grep -o '/[^ :]*' | sort -u | (cd "$guest/root" && sed 's|^/||' | xargs cp -L --parents -t "$to")
}

# Puts a module of the kernel where the guest's init finds it.
take_module() {
    local name=$1 to=$2 file
    # A module's file may be spelled with either dash.
    file=$(find "$guest/modules" -name "${name//_/[-_]}.ko*" | head -n 1)
    case $file in
        *.xz) xz -dc "$file" > "$to/$name.ko" ;;
        *.ko) cp "$file" "$to/$name.ko" ;;
        *) grep -q "/${name//_/[-_]}\.ko$" "$guest/modules/modules.builtin" ||
            { say "kernel $release has no module $name"; return 1; } ;;
    esac
}

pack() {
    local root=$work/$kernel/initramfs name
    rm -rf "$root"
    mkdir -p "$root/modules"
    for name in "${modules[@]}"; do take_module "$name" "$root/modules"; done
    for name in "${of_some_kernels[@]}"; do take_module "$name" "$root/modules" 2>/dev/null || true; done
    cp "$init" "$root/init"
    cp "$module/dm_remap_v4.ko" "$root/modules/"
    if [ -n "$application" ]; then
        take_program "$application" dmremap-tui "$root"
        take_program "$adapter_tests" device_mapper "$root"
        take_file_system_programs "$root"
    fi
    (cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) > "$work/$kernel/initramfs.gz"
    rm -rf "$root"
}

# Boots a guest of $kernel, whose init's words come out, and are kept in $work/NAME.console; what its
# kernel says is kept in $work/NAME.dmesg.
#   boot NAME 'WORDS OF THE KERNEL COMMAND LINE' QEMU-OPTION...
boot() {
    local name=$1 words=$2 line; shift 2
    # An oops ends the guest at once, and does not leave a test waiting for what will
    # never come. A busy host may not run the guest for seconds: that is no lock-up.
    line="console=ttyS1 ignore_loglevel panic=-1 oops=panic hung_task_panic=1 watchdog_thresh=60"
    line+=" sysctl.kernel.hung_task_timeout_secs=600 rcupdate.rcu_cpu_stall_timeout=120 nokaslr mitigations=off tsc=reliable $words"
    nice qemu-system-x86_64 -cpu max -M q35 -m 1G -smp 1 -no-reboot \
        -nodefaults -nographic -serial stdio -serial "file:$work/$name.dmesg" "$@" \
        -pidfile "$work/$name.pid" -kernel "$guest/vmlinux" -initrd "$work/$kernel/initramfs.gz" -append "$line" \
        < /dev/null | sed -u 's/\r//g' | while_it_speaks "$name" | tee "$work/$name.console"
}

# Passes on what a guest says. However slow the machine is, each word gives it time for the next.
while_it_speaks() {
    local line status
    while true; do
        status=0
        IFS= read -r -t "$limit" line || status=$?
        if [ $status -gt 128 ]; then
            say "$1 said nothing in $limit seconds and is ended"
            kill "$(cat "$work/$1.pid")" || true
        fi
        [ $status -eq 0 ] || return 0
        printf '%s\n' "$line"
    done
}

# Ends the guests that are still running when the script is interrupted.
end_guests() {
    local file
    for file in "$work"/*.pid; do
        [ ! -e "$file" ] || kill "$(cat "$file")" 2>/dev/null || true
    done
}
