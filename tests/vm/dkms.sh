#!/bin/bash
# Installs the module's package where dkms is, in a copy of the guest's root, which has no Rust, and
# looks at what dkms makes of it. The module that it built and installed is left in WORK.
#   tests/vm/dkms.sh KERNEL GUEST PACKAGE WORK
# Each step is reported as a test; their counts are left in WORK/starts-dkms-KERNEL.counts, the module
# in WORK/dkms-KERNEL.ko.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kernel=$1 guest=$2 package=$3 work=$4
if [ "$(id -u)" -ne 0 ]; then exec sudo "$0" "$@"; fi
copy=$work/dkms-$kernel
release=$(cat "$guest/release")
rm -rf --one-file-system "$copy"
mkdir -p "$copy"/{changes,work,root}
# The script is the root's own from here on.
# shellcheck disable=SC2016
nice "$here/apart.sh" bash -euc '
    guest=$1 copy=$2 package=$3 release=$4 kernel=$5
    # Where one layer cannot lie over another, as in some containers, the whole is copied.
    mount -t overlay none -o "lowerdir=$guest/root,upperdir=$copy/changes,workdir=$copy/work" "$copy/root" 2>/dev/null ||
        cp -a "$guest/root/." "$copy/root/"
    cp "$package" "$copy/root/package.deb"
    mount -t proc proc "$copy/root/proc"
    mount --rbind /dev "$copy/root/dev"
    mkdir -p "$copy/out"
    mount --bind "$copy/out" "$copy/root/mnt"
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 chroot "$copy/root" bash -c "$6" inside "$release" "$kernel"
' dkms "$guest" "$copy" "$package" "$release" "$kernel" '
    set -uo pipefail
    release=$1 kernel=$2 passed=0 failed=0
    installed=/lib/modules/$release/updates/dkms/dm_remap_v4.ko
    version=$(dpkg-deb --field /package.deb Version)
    expect() {
        local name=$1 began=$SECONDS; shift
        if "$@" > /tmp/said 2>&1; then
            printf "ok      %s: %s (%d s)\n" "$kernel" "$name" $((SECONDS - began)); passed=$((passed + 1))
        else
            printf "FAILED  %s: %s\n" "$kernel" "$name"; sed "s/^/        /" /tmp/said; failed=$((failed + 1))
        fi
    }
    # Makes up the headers of a kernel with this configuration.
    make_up() {
        local tree=/lib/modules/$1/build; shift
        mkdir -p "$tree/include/config"
        touch "$tree/Makefile"
        printf "%s\n" "$@" | tee "$tree/include/config/auto.conf" > "$tree/.config"
    }
    has_no_rust() { ! command -v rustc && ! command -v bindgen; }
    builds_and_installs() {
        local TIMEFORMAT="%U %S" used
        # A kernel comes with an index of its modules; dkms brings up to date what is there.
        depmod "$release"
        # It has a key to sign modules with made once, of whatever module.
        dkms generate_mok || true
        { time dpkg --install /package.deb; } 2> /tmp/used || { cat /tmp/used /var/lib/dkms/dm-remap-v4/*/build/make.log; return 1; }
        used=$(tail -n 1 /tmp/used | awk "{ printf \"%d\", \$1 + \$2 + 0.5 }")
        cat /tmp/used
        printf "%s\n" "$used" > /tmp/seconds
        ! grep -i warning "/var/lib/dkms/dm-remap-v4/$version/$release/x86_64/log/make.log" || return 1
        dkms status
        dkms status | grep -qxF "dm-remap-v4/$version, $release, x86_64: installed" && modinfo "$installed" &&
            [ "$(modinfo -k "$release" -n dm_remap_v4)" = "$installed" ] && cp "$installed" /mnt/
    }
    takes_ten_seconds() { printf "%s s of CPU\n" "$(cat /tmp/seconds)" && [ "$(cat /tmp/seconds)" -lt 10 ]; }
    passes_over() {
        local status=0
        make_up 6.99-plain CONFIG_X86_64=y
        # That is what the packages of a new kernel have dkms do; it must not fail for us.
        # The one of Debian 12 fails whatever module is not for a kernel.
        dkms autoinstall -k 6.99-plain || [ "$kernel" = bookworm ] || return 1
        dkms build "dm-remap-v4/$version" -k 6.99-plain || status=$?
        # That is how dkms says that a module is not for this kernel.
        [ "$status" -eq 77 ] && [ ! -e /lib/modules/6.99-plain/updates ]
    }
    says_what_is_missing() {
        local log=/var/lib/dkms/dm-remap-v4/$version/build/make.log
        make_up 6.99-lacking CONFIG_BLK_DEV_DM=m CONFIG_X86_64=y "CONFIG_CC_VERSION_TEXT=\"gcc-99 (of nobody) 99.1\""
        ! dkms build "dm-remap-v4/$version" -k 6.99-lacking && cat "$log" &&
            grep -qF "the C compiler gcc-99, which this kernel was built with, is missing" "$log" &&
            dkms status | grep -qxF "dm-remap-v4/$version, $release, x86_64: installed"
    }
    takes_out() {
        dpkg --purge dm-remap-v4-dkms && [ -z "$(dkms status -m dm-remap-v4)" ] && [ ! -e "$installed" ] &&
            ! modinfo -k "$release" -n dm_remap_v4 && [ ! -e "/usr/src/dm-remap-v4-$version" ] &&
            [ ! -e /var/lib/dkms/dm-remap-v4 ] && [ -z "$(find /usr /lib/modules /etc -name "*dm[-_]remap*")" ]
    }
    expect dkms-is-where-no-rust-is has_no_rust
    expect dkms-builds-and-installs-the-module builds_and_installs
    expect dkms-takes-less-than-ten-seconds-of-a-processor takes_ten_seconds
    expect dkms-passes-over-a-kernel-without-device-mapper passes_over
    expect dkms-says-what-is-missing says_what_is_missing
    expect dkms-takes-the-module-out-with-its-package takes_out
    printf "%d %d\n" "$passed" "$failed" > /mnt/counts
    [ "$failed" -eq 0 ]
' || status=$?
[ ! -e "$copy/out/counts" ] || mv "$copy/out/counts" "$work/starts-dkms-$kernel.counts"
[ ! -e "$copy/out/dm_remap_v4.ko" ] || mv "$copy/out/dm_remap_v4.ko" "$work/dkms-$kernel.ko"
rm -rf --one-file-system "$copy"
exit "${status:-0}"
