#!/bin/bash
# Puts udev's rule, the program that it runs and the list of devices into the initramfs, as soon
# as a device is listed: LVM and md, whose rules are there, would else take main past its device.
# Nothing is assembled there. Whatever is amiss is a warning, never an image that is not made.

# The list decides, whoever the image is for.
check() {
    local listed
    # shellcheck disable=SC2154
    [ -e "$dracutsysrootdir/etc/dmremap.toml" ] || return 1
    # A list that cannot be read lists nothing.
    listed=$(dmremap-tui allow --json) || { dwarn "dmremap: /etc/dmremap.toml cannot be read"; return 1; }
    case $listed in
        *'"policy":"none"'* | *'"allowed":[]'*) return 1 ;;
    esac
    return 0
}

depends() {
    return 0
}

install() {
    inst_multiple /usr/bin/dmremap-tui &&
        inst_simple /etc/dmremap.toml &&
        inst_rules 63-z-dmremap.rules ||
        dwarn "dmremap: the rule and the program could not be copied; LVM and md may take a listed main in the initramfs"
    return 0
}
