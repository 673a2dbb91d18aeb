#!/bin/bash
# Puts udev's rule, the program that it runs and the list of devices into the initramfs, as soon
# as a device is listed: LVM and md, whose rules are there, would else take main past its device.
# Nothing is assembled there. Whatever is amiss is a warning, never an image that is not made.

# The list decides, whoever the image is for. 255 is dracut's word for a module that is taken in
# where somebody asks for it alone; 1 would fail the image then.
check() {
    local listed
    # shellcheck disable=SC2154
    [ -e "$dracutsysrootdir/etc/dmremap.toml" ] || return 255
    # A list that cannot be read lists nothing.
    listed=$(/usr/bin/dmremap-tui allow --json) || { dwarn "dmremap: /usr/bin/dmremap-tui cannot read /etc/dmremap.toml"; return 255; }
    case $listed in
        *'"policy":"none"'* | *'"allowed":[]'*) return 255 ;;
    esac
    return 0
}

depends() {
    return 0
}

# dracut passes over a rule that it does not find.
has_rule() {
    local directory
    for directory in etc lib usr/lib; do
        # shellcheck disable=SC2154
        [ ! -e "$initdir/$directory/udev/rules.d/63-z-dmremap.rules" ] || return 0
    done
    return 1
}

install() {
    inst_multiple /usr/bin/dmremap-tui &&
        inst_simple /etc/dmremap.toml &&
        inst_rules 63-z-dmremap.rules &&
        has_rule ||
        dwarn "dmremap: the rule and the program could not be copied; LVM and md may take a listed main in the initramfs"
    return 0
}
