#!/bin/bash
# What the recipes for guests share; they source it, having set $suite, $base and $work:
# the suite that the kernel is of, the one that the tools are of, and the folder to fill.
say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# apt-get and apt-cache on the suites of the guest, apart from the machine's packages.
apt_for_guest() {
    local tool=$1; shift
    "$tool" -q -o Dir::State="$work/apt" -o Dir::State::status=/dev/null -o Dir::Cache="$work/apt" \
        -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o APT::Default-Release= \
        -o APT::Sandbox::User=root -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

# A recipe ends so where no archive can be had.
out_of_reach() { say "$(basename "$0"): $*"; exit 77; }

# Reads the index, and sets $release to the newest kernel of the suite and $series to its
# series. The archive's address is the machine's own: where its apt gets Debian from.
open_archive() {
    local uri
    # shellcheck disable=SC2016
    uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sort -u | head -n 1) || uri=
    [ -n "$uri" ] || out_of_reach "this machine's apt knows no archive of Debian's"
    printf "deb $uri %s main\n" "$base" > "$work/sources.list"
    [ "$suite" = "$base" ] || printf "deb $uri %s main\n" "$suite" >> "$work/sources.list"
    mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial"
    apt_for_guest apt-get -o APT::Update::Error-Mode=any update || out_of_reach "$uri has no index of $suite that can be read"
    release=$(apt_for_guest apt-cache -t "$suite" depends -i linux-headers-cloud-amd64 |
        sed -n 's/.*Depends: linux-headers-\([0-9].*-cloud-amd64\)$/\1/p' | head -n 1)
    [ -n "$release" ] || die "$suite has no linux-headers-cloud-amd64"
    series=$(cut -d. -f1,2 <<< "${release%%[!0-9.]*}")
}

# Downloads packages and unpacks them into $work/image; the kernel's source, which is
# among them, is unpacked into the folder $1.
fetch() {
    local source=$1 deb; shift
    mkdir -p "$work/debs" "$source"
    (cd "$work/debs" && apt_for_guest apt-get download "$@" "linux-source-$series")
    for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/image"; done
    nice xz -dc "$work/image/usr/src/linux-source-$series.tar.xz" | tar -C "$source" -xf -
}

# Makes $work/root of what compiles a kernel and the packages named.
make_root() {
    local include=make,gcc-14,libc6-dev,rustc,rust-src,bindgen,file,flex,bison,bc,libelf-dev,libssl-dev
    include+=,libdw-dev,pahole,python3-minimal,perl-base,xz-utils,zstd,kmod,$1
    # Downloads go the machine's own way, whatever its apt was told about it.
    apt-config dump --format '%F "%v";%n' Acquire > "$work/apt.conf"
    # In a mount namespace of its own nothing stays mounted when it is interrupted.
    as_root nice "$here/apart.sh" mmdebstrap -q --mode=root --variant=minbase --aptopt="$work/apt.conf" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --include="$include" \
        "$base" "$work/root" - < "$work/sources.list"
}

# Leaves of the folder what the guest is made of.
close_archive() {
    as_root rm -rf --one-file-system "$work/image" "$work/build" "$work/debs" "$work/apt" "$work/apt.conf"
}
