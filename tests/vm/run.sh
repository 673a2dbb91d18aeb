#!/bin/bash
# Compiles the module against the guest's kernel, boots that kernel and runs the kernel tests.
#   tests/vm/run.sh [PART]     PART of a test's name; all tests without it
# The console is kept in target/vm/console.log.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
work=$top/target/vm
filter=${1:-}
# Modules of the stock kernel that the tests load; what it has built in is passed over.
modules=(configfs null_blk dm_mod dm_flakey)
# Seconds after which a guest that says nothing more is taken for dead.
limit=${VM_LIMIT:-900}

say() { printf '%s\n' "$*" >&2; }

guest=$("$here/guest.sh")
release=$(cat "$guest/release")

mkdir -p "$work/kmod"
# The build writes beside the sources, so it gets a copy; times are kept, for make.
cp -ru "$top/kmod/." "$work/kmod/"
BIND="$work/kmod:/kmod" "$here/enter.sh" "$guest/root" \
    make -s -C /kmod KDIR="/usr/src/linux-headers-$release" >&2

triple=$(rustc -vV | sed -n 's/^host: //p')
# Without libraries of its own the guest needs none of its libc's age.
RUSTFLAGS='-C target-feature=+crt-static' nice cargo build --quiet --locked --target "$triple" \
    --manifest-path "$here/guest/Cargo.toml" --target-dir "$work/cargo" >&2

# Puts a module of the stock kernel where the guest's init finds it.
take_module() {
    local name=$1 file
    # A module's file may be spelled with either dash.
    file=$(find "$guest/modules" -name "${name//_/[-_]}.ko*" | head -n 1)
    case $file in
        *.xz) xz -dc "$file" > "$work/initramfs/modules/$name.ko" ;;
        *.ko) cp "$file" "$work/initramfs/modules/$name.ko" ;;
        *) grep -q "/${name//_/[-_]}\.ko$" "$guest/modules/modules.builtin" ||
            { say "kernel $release has no module $name"; return 1; } ;;
    esac
}

rm -rf "$work/initramfs"
mkdir -p "$work/initramfs/modules"
for name in "${modules[@]}"; do take_module "$name"; done
cp "$work/cargo/$triple/debug/init" "$work/initramfs/init"
cp "$work/kmod/dm_remap_v4.ko" "$work/initramfs/modules/"
(cd "$work/initramfs" && find . | cpio --quiet -o -H newc | gzip -1) > "$work/initramfs.gz"

# Only oopses and panics reach the console by themselves: other lines of the kernel would
# fall between those of the tests, which read the kernel's log on their own.
status=0
timeout --foreground "$limit" nice qemu-system-x86_64 -accel tcg,thread=multi -cpu max -M q35 -m 1G -smp 1 \
    -nodefaults -nographic -serial stdio -no-reboot \
    -kernel "$guest/vmlinux" -initrd "$work/initramfs.gz" \
    -append "console=ttyS0 loglevel=2 panic=-1 nokaslr mitigations=off tsc=reliable dmremap.tests=$filter" \
    < /dev/null | tr -d '\r' | tee "$work/console.log" | awk '
        /^vm: ok /     { printf "ok      %s (%d ms)\n", $3, $4; fflush(); next }
        /^vm: FAILED / { sub(/^vm: FAILED /, ""); printf "FAILED  %s\n", $0; fflush(); next }
        /^vm: log /    { sub(/^vm: log /, "        "); print; fflush(); next }
        /^vm: begin /  { running = $3; next }
        /^vm: done /   {
            printf "\nvm: %d passed, %d failed\n", $3, $4
            ended = 1
            exit ($3 == 0 || $4 > 0)
        }
        END { if (!ended) { printf "FAILED  the guest died in %s\n", running ? running : "its boot"; exit 1 } }
    ' || status=1

[ "$status" -eq 0 ] || say "kernel tests failed; the console is in ${work#"$top"/}/console.log"
exit "$status"
