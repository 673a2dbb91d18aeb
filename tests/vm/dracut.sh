#!/bin/bash
# Has dracut make images in a copy of a system that has our packages, and looks at what is in them.
#   tests/vm/dracut.sh ROOT PACKAGE WORK
# Each step is reported as a test; their counts are left in WORK/starts-dracut.counts.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$1 package=$2 work=$3
if [ "$(id -u)" -ne 0 ]; then exec sudo "$0" "$@"; fi
copy=$work/dracut
rm -rf --one-file-system "$copy"
cp -a "$root" "$copy"
cp "$package" "$copy/package.deb"
status=0
# The script is the root's own from here on.
# shellcheck disable=SC2016
"$here/enter.sh" "$copy" bash -c '
    set -uo pipefail
    passed=0 failed=0
    program=/usr/bin/dmremap-tui rule=/usr/lib/udev/rules.d/63-z-dmremap.rules list=/etc/dmremap.toml
    expect() {
        local name=$1 began=$SECONDS; shift
        if "$@" > /tmp/said 2>&1; then
            printf "ok      %s (%d s)\n" "$name" $((SECONDS - began)); passed=$((passed + 1))
        else
            printf "FAILED  %s\n" "$name"; sed "s/^/        /" /tmp/said; failed=$((failed + 1))
        fi
    }
    # Makes an image, and unpacks it.
    make_image() {
        rm -rf /tmp/image /tmp/unpacked
        dracut --force --no-hostonly --no-kernel --no-compress "$@" /tmp/image 1.0 && mkdir /tmp/unpacked &&
            (cd /tmp/unpacked && lsinitrd --unpack /tmp/image)
    }
    # As a machine does that asks for the module whatever its list says.
    make_asked() { make_image --modules "base udev-rules mdraid dmremap"; }
    list_one() { printf "[[assembly.allow]]\nname = \"x\"\n" > "$list"; }
    has_nothing() { [ ! -e "/tmp/unpacked$program" ] && [ ! -e "/tmp/unpacked$rule" ] && [ ! -e "/tmp/unpacked$list" ]; }
    leaves_out() {
        : > "$list"
        make_image && has_nothing && [ -e /tmp/unpacked/usr/lib/udev/rules.d/64-md-raid-assembly.rules ]
    }
    takes_in() {
        list_one
        # The program runs there, with all its libraries, and reads the list; the rule is the one of the package.
        make_image && chroot /tmp/unpacked "$program" allow | grep -w x &&
            cmp "$rule" "/tmp/unpacked$rule" && lsinitrd -m /tmp/image | grep -x dmremap
    }
    # Makes an image while a file is away: it is made, and there is a warning.
    makes_without() {
        local made=0
        list_one
        mv "$1" /var/away
        make_asked > /tmp/told 2>&1 || made=$?
        mv /var/away "$1"
        cat /tmp/told
        [ "$made" -eq 0 ] && [ -s /tmp/image ] && grep -q "^dracut\[W\]: dmremap: " /tmp/told
    }
    warns() { makes_without "$program" && makes_without "$rule" && makes_without "$list"; }
    makes_of_nonsense() {
        printf "[assembly]\npolicy = 7\n" > "$list"
        make_image && has_nothing && make_asked
    }
    dpkg --install /package.deb >/dev/null 2>&1
    expect dracut-leaves-out-what-nothing-listed-needs leaves_out
    expect dracut-takes-in-what-hides-a-listed-main takes_in
    expect dracut-warns-of-what-is-missing-and-makes-the-image warns
    expect dracut-makes-an-image-whatever-the-list-says makes_of_nonsense
    printf "%d %d\n" "$passed" "$failed" > /var/counts
    [ "$failed" -eq 0 ]
' inside || status=$?
[ ! -e "$copy/var/counts" ] || mv "$copy/var/counts" "$work/starts-dracut.counts"
rm -rf --one-file-system "$copy"
exit "$status"
