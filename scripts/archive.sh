#!/bin/bash
# What the recipes share that fetch Debian's packages; they source it, having set $suite, $base and
# $work: the suite that a kernel is of, the one that the tools are of, and the folder to fill.
say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# apt-get and apt-cache on the suites of the recipe, apart from the machine's packages.
apt_for_guest() {
    local tool=$1; shift
    "$tool" -q -o Dir::State="$work/apt" -o Dir::State::status=/dev/null -o Dir::Cache="$work/apt" \
        -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o APT::Default-Release= -o APT::Architecture=amd64 -o APT::Architectures=amd64 \
        -o APT::Sandbox::User=root -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

# A recipe ends so where no archive can be had.
out_of_reach() { say "$(basename "$0"): $*"; exit 77; }

# Reads the index of the suites. The archive's address is the machine's own: where its apt gets
# Debian from.
read_index() {
    local uri
    # shellcheck disable=SC2016
    uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sort -u | head -n 1) || uri=
    [ -n "$uri" ] || out_of_reach "this machine's apt knows no archive of Debian's"
    printf "deb $uri %s main\n" "$base" > "$work/sources.list"
    [ "$suite" = "$base" ] || printf "deb $uri %s main\n" "$suite" >> "$work/sources.list"
    mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial"
    apt_for_guest apt-get -o APT::Update::Error-Mode=any update || out_of_reach "$uri has no index of $suite that can be read"
}

# Reads the index, and sets $release to the newest kernel of the suite and $series to its series.
open_archive() {
    read_index
    release=$(apt_for_guest apt-cache -t "$suite" depends -i linux-headers-cloud-amd64 |
        sed -n 's/.*Depends: linux-headers-\([0-9].*-cloud-amd64\)$/\1/p' | head -n 1)
    [ -n "$release" ] || die "$suite has no linux-headers-cloud-amd64"
    series=$(cut -d. -f1,2 <<< "${release%%[!0-9.]*}")
}

# Downloads packages and unpacks them into the folder $1.
fetch() {
    local to=$1 deb; shift
    mkdir -p "$work/debs"
    (cd "$work/debs" && apt_for_guest apt-get download "$@")
    for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$to"; done
    rm -r "$work/debs"
}

# Makes $work/root of a small Debian with the packages named.
make_root() {
    # Downloads go the machine's own way, whatever its apt was told about it.
    apt-config dump --format '%F "%v";%n' Acquire > "$work/apt.conf"
    # In a mount namespace of its own nothing stays mounted when it is interrupted.
    as_root nice "$top/tests/vm/apart.sh" mmdebstrap -q --mode=root --variant=minbase --aptopt="$work/apt.conf" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --include="$1" \
        "$base" "$work/root" - < "$work/sources.list"
}

# Leaves of the folder what the guest is made of.
close_archive() {
    as_root rm -rf --one-file-system "$work/image" "$work/build" "$work/debs" "$work/apt" "$work/apt.conf"
}
