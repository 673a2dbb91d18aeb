#!/bin/bash
# Has dkms build the module from its package in roots of two releases of Debian, installs the packages into a small system, starts
# it with systemd and udev, has it reset while it works, starts it again, and reports what came
# up by itself. On request a second system, with md, LVM, btrfs, LUKS and swap on devices of ours,
# is started cold through Debian's own initramfs instead, with all its disks and without the spares.
#   tests/vm/starts.sh [--list] [system-cold]
#     --list        only names the tests, which takes no guest
#     system-cold   the second system alone
# COLD says how many cold starts there are: 1, unless it is set.
# What the system and its kernel said is kept in target/vm/starts-*.
set -euo pipefail
# shellcheck source=tests/vm/boot.sh
. "$(dirname "$0")/boot.sh"
place=$work/starts
# The kernels that dkms builds the module for: that of the system, and an older release's.
kernel=trixie-backports dkms_kernels=(trixie-backports bookworm)
# What it starts from beside the kernel.
initrd=()
limit=${VM_LIMIT:-900}
# The disks of each device: a main and a spare of so many MiB.
devices=(store vault worn frail later twin gone stranger)
main_mib=16 spare_mib=8
# Mains that are worn, and where: so many sectors from this one on take no writes.
worn_mains=(store-main vault-main)
bad_places=(20003+8 24577+16)

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# Fills $place/root: the system with the packages installed, the kernel's modules that it
# needs and ours where dkms put it, and what runs there by itself.
fill_root() {
    local root=$place/root modules
    as_root rm -rf --one-file-system "$root"
    as_root cp -a "$system/root" "$root"
    modules=$root/usr/lib/modules/$release
    as_root mkdir -p "$modules/updates/dkms" "$root/var/packages"
    (cd "$guest/modules" && find . \( -path './kernel/drivers/md/*' -o -path './kernel/drivers/block/virtio*' \
        -o -path './kernel/drivers/dax/*' -o -path './kernel/fs/btrfs/*' -o -path './kernel/arch/x86/crypto/*' -o -path './kernel/lib/*' -o -path './kernel/crypto/*' \
        -o -name 'modules.order' -o -name 'modules.builtin*' \) -type f -print0 |
        as_root xargs -0 cp --parents -t "$modules")
    as_root cp "$work/dkms-$kernel.ko" "$modules/updates/dkms/dm_remap_v4.ko"
    as_root cp "$top"/target/deb/*.deb "$root/var/packages/"
    as_root cp "$program" "$root/usr/local/sbin/system-test"
    as_root tee "$root/etc/systemd/system/system-test.service" >/dev/null <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Environment=HOME=/root TERM=linux
ExecStart=/usr/local/sbin/system-test
UNIT
    # Building for a kernel takes a compiler, which this system has not: dkms is not there, and
    # did its work elsewhere.
    # shellcheck disable=SC2016
    "$here/enter.sh" "$root" sh -euc '
        dpkg --install --force-depends /var/packages/*.deb >/dev/null 2>&1
        rm -r /var/packages
        depmod "$1"
        printf "/dev/nvme0n1 / ext4 defaults 0 0\n" > /etc/fstab
        printf "vm\n" > /etc/hostname
        printf "0123456789abcdef0123456789abcdef\n" > /etc/machine-id
        mkdir -p /etc/systemd/system/multi-user.target.wants /var/log/journal
        ln -s ../system-test.service /etc/systemd/system/multi-user.target.wants/
        for unit in getty.target systemd-logind.service systemd-update-utmp.service systemd-networkd.service \
            apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
            fstrim.timer systemd-tmpfiles-setup.service systemd-tmpfiles-clean.timer systemd-hwdb-update.service \
            systemd-timesyncd.service systemd-journal-catalog-update.service systemd-update-done.service \
            ldconfig.service systemd-binfmt.service systemd-firstboot.service dbus.service dbus.socket \
            modprobe@.service systemd-pcrphase.service systemd-user-sessions.service; do
            ln -sf /dev/null "/etc/systemd/system/$unit"
        done
    ' install "$release"
}

make_disks() {
    local name
    rm -f "$place"/*.img
    truncate -s 512M "$place/root.img"
    as_root mke2fs -q -F -t ext4 -O ^has_journal -d "$place/root" "$place/root.img"
    [ "$(id -u)" -eq 0 ] || sudo chown "$(id -u)" "$place/root.img"
    for name in "${devices[@]}"; do
        truncate -s "${main_mib}M" "$place/$name-main.img"
        truncate -s "${spare_mib}M" "$place/$name-spare.img"
    done
}

# Has the system's own tools make the initramfs that it would start from, with what it lists.
make_initramfs() {
    rm -rf "$place/of-root"
    mkdir "$place/of-root"
    debugfs -R "rdump /etc $place/of-root" "$place/root.img" 2>/dev/null
    (cd "$place/of-root/etc" && as_root cp -p dmremap.toml fstab crypttab "$place/root/etc/" &&
        as_root cp -p mdadm/mdadm.conf "$place/root/etc/mdadm/")
    as_root cp "$guest/modules/config" "$place/root/boot/config-$release"
    "$here/enter.sh" "$place/root" mkinitramfs -o /boot/initrd "$release" 2> "$work/starts-initramfs.log"
    cp "$place/root/boot/initrd" "$place/initrd"
    initrd=(-initrd "$place/initrd")
}

# The second system: cold starts over everything that takes disks by itself.
cold_starts() {
    local count
    devices=(array volumes poola poolb vault swap parts part stack)
    main_mib=48 spare_mib=8
    worn_mains=("${devices[@]/%/-main}")
    # Hundreds of sectors of each main that take no writes.
    bad_places=(30001+128 60004+128)
    make_disks
    truncate -s "${main_mib}M" "$place/mirror-disk.img"
    # btrfs takes more room before it begins.
    truncate -s 136M "$place/poola-main.img" "$place/poolb-main.img"
    run cold-make || return 1
    make_initramfs || { cat "$work/starts-initramfs.log"; return 1; }
    for ((count = 1; count <= ${COLD:-1}; count++)); do
        [ "${COLD:-1}" -eq 1 ] || printf 'cold start %d of %d\n' "$count" "$COLD"
        run cold-start || return 1
    done
    run cold-alone "${devices[@]/%/-spare}"
}

# What the emulator is to do to a worn main, at each start alike: fail every write to a bad
# sector. What lay there before can be read.
refusals() {
    local bad sector rules=()
    for bad in "${bad_places[@]}"; do
        for ((sector = ${bad%+*}; sector < ${bad%+*} + ${bad#*+}; sector++)); do
            rules+=("{\"event\":\"none\",\"iotype\":\"write\",\"errno\":5,\"sector\":$sector}")
        done
    done
    (IFS=,; printf '[%s]' "${rules[*]}")
}

# Starts the system with every disk but those named.
#   start STAGE [WITHOUT...]
start() {
    local stage=$1 file serial line image options=(); shift
    for file in "$place"/*-*.img; do
        serial=$(basename "$file" .img)
        [[ " $* " != *" $serial "* ]] || continue
        image="{\"driver\":\"file\",\"filename\":\"$file\"}"
        [[ " ${worn_mains[*]} " != *" $serial "* ]] ||
            image="{\"driver\":\"blkdebug\",\"image\":$image,\"inject-error\":$(refusals)}"
        options+=(-blockdev "{\"driver\":\"raw\",\"node-name\":\"$serial\",\"file\":$image}"
            -device "virtio-blk-pci,drive=$serial,serial=$serial")
    done
    # A busy host may not run the guest for so long that its timer seems to be none.
    line="root=/dev/nvme0n1 rw init=/usr/lib/systemd/systemd console=ttyS1 panic=-1 oops=panic nokaslr"
    line+=" mitigations=off tsc=reliable no_timer_check systemd.show_status=0 systemd.log_level=notice dmremap.stage=$stage"
    line+=" dmremap.bad=$(IFS=,; printf '%s' "${bad_places[*]}")"
    # How long mounts and swap wait for their devices: not for long where these cannot come, and
    # else as long as a busy host takes.
    case $stage in
        cold-alone) line+=" systemd.default_device_timeout_sec=20" ;;
        cold-*) line+=" systemd.default_device_timeout_sec=3600" ;;
    esac
    # What the system had made durable when it was reset, as it told.
    [ "$stage" != after ] || line+=" dmremap.synced=$(sed -n 's/^vm: synced //p' "$work/starts-before.console" | tail -n 1)"
    timeout "$limit" nice qemu-system-x86_64 -accel tcg,thread=multi -cpu max -M q35 -m 768M -smp 1 \
        -drive "if=none,id=root,format=raw,file=$place/root.img" -device nvme,drive=root,serial=root "${options[@]}" \
        -nodefaults -nographic -serial stdio -serial "file:$work/starts-$stage.dmesg" -no-reboot \
        -pidfile "$work/starts.pid" -kernel "$guest/vmlinux" "${initrd[@]}" -append "$line" \
        < /dev/null | sed -u 's/\r//g' | tee "$work/starts-$stage.console"
}

# Says how each test ended, and fails unless all of them passed.
report() {
    awk -v counts="$work/starts-$1.counts" '
        /^vm: ok /     { printf "ok      %s (%d ms)\n", $3, $4; fflush(); next }
        /^vm: FAILED / { sub(/^vm: FAILED /, ""); printf "FAILED  %s\n", $0; fflush(); next }
        /^vm: log /    { sub(/^vm: log /, "        "); print; fflush(); next }
        /^vm: begin /  { running = $3; next }
        /^vm: done /   { print $3, $4 >> counts; ended = 1; passed = $3; failed = $4; next }
        END {
            if (!ended) printf "FAILED  the system died in %s\n", running ? running : "its start"
            exit (!ended || failed > 0 || passed == 0)
        }
    '
}

# Starts the system for one stage. One that did not come to its tests has changed nothing;
# under emulation that happens, and a second try tells whether it means anything.
run() {
    start "$@" | report "$1" && return 0
    ! grep -q '^vm: init' "$work/starts-$1.console" || return 1
    tail -n 40 "$work/starts-$1.dmesg" | sed 's/^/        /'
    say "the system died at its start; trying once more"
    start "$@" | report "$1"
}

if [ "${1:-}" = --list ]; then
    compile_init
    for kernel in "${dkms_kernels[@]}"; do sed -n "s/^ *expect \(dkms-[a-z-]*\) .*/$kernel: \1/p" "$here/dkms.sh"; done
    sed -n 's/^ *expect \(dracut-[a-z-]*\) .*/\1/p' "$here/dracut.sh"
    "$(dirname "$init")/system" --list | grep -v '^system-cold-'
    exit
fi
trap 'end_guests; exit 130' INT TERM
rm -f "$work"/starts-*.counts
mkdir -p "$place"
find_guest
system=$("$here/guest.sh" --system)
compile_init
program=$(dirname "$init")/system
(cd "$top" && nice cargo build --quiet --locked --bin dmremap-tui) >&2
"$top/scripts/deb.sh" "${CARGO_TARGET_DIR:-$top/target}/debug/dmremap-tui" >/dev/null
status=0
for other in "${dkms_kernels[@]}"; do
    "$here/dkms.sh" "$other" "$("$here/guest.sh" --kernel "$other")" "$top"/target/deb/dm-remap-v4-dkms_*.deb "$work" || status=1
done
[ $status -ne 0 ] || fill_root
if [ $status -eq 0 ] && [[ ${1:-} != system-cold* ]]; then
    "$here/dracut.sh" "$place/root" "$system/dracut.deb" "$work" || status=1
fi
if [ $status -eq 0 ] && [[ ${1:-} != system-cold* ]]; then
    make_disks
    truncate -s "${spare_mib}M" "$place/twin-clone.img"
    run before && run after gone-spare || status=1
fi
if [ $status -eq 0 ] && [[ ${1:-} = system-cold* ]]; then cold_starts || status=1; fi
[ $status -ne 0 ] || as_root rm -rf --one-file-system "$place"
cat "$work"/starts-*.counts 2>/dev/null | awk '
    { passed += $1; failed += $2 }
    END { printf "\nsystem: %d passed, %d failed\n", passed, failed }
'
[ $status -eq 0 ] || say "what was said is in ${work#"$top"/}/starts-*.console and starts-*.dmesg"
exit $status
