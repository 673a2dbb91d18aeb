#!/bin/bash
# Builds the two packages with what Debian's base system has.
#   scripts/deb.sh [BINARY]     of this program; builds the release without one
# They go to target/deb: dmremap-tui, with everything that starts with the machine, and
# dm-remap-v4-dkms, the source of the module with its Rust side compiled.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/build-needs.sh deb
out=$PWD/target/deb
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
module_version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' kmod/dkms.conf)
architecture=$(dpkg --print-architecture)
binary=${1:-}
if [ -z "$binary" ]; then
    cargo build --release --locked --bin dmremap-tui
    binary=${CARGO_TARGET_DIR:-target}/release/dmremap-tui
fi
tools=(dm-remap-scan dm-remap-write-metadata)
scripts/object.sh

# The packages whose libraries the program is linked with; with dpkg-dev also from which
# version on.
libraries() {
    local program=$1 library found
    if command -v dpkg-shlibdeps >/dev/null; then
        # It wants to be called where a source package is.
        mkdir -p "$out/shlibs/debian"
        printf 'Source: dmremap-tui\n' > "$out/shlibs/debian/control"
        found=$(cd "$out/shlibs" && dpkg-shlibdeps -O "$program" 2>/dev/null | sed -n 's/^shlibs:Depends=//p') || found=
        rm -r "$out/shlibs"
        if [ -n "$found" ]; then printf '%s\n' "$found"; return; fi
    fi
    ldd "$program" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p' | while read -r library; do
        # The archive may know it by the path that it had before /lib became a link.
        dpkg -S "$(realpath "$library")" 2>/dev/null || dpkg -S "${library#/usr}"
    done | cut -d: -f1 | sort -u | paste -sd, | sed 's/,/, /g'
}

# Fills in what a package's own files leave open, and puts them where dpkg-deb looks.
#   control NAME VERSION [LIBRARIES]
control() {
    local name=$1 file; shift
    mkdir -p "$out/$name/DEBIAN"
    for file in assets/debian/"$name"/*; do
        sed "s/@VERSION@/$1/; s/@ARCHITECTURE@/$architecture/; s/@SHLIBS@/${2:-}/" "$file" \
            > "$out/$name/DEBIAN/$(basename "$file")"
        chmod "$([ -x "$file" ] && printf 755 || printf 644)" "$out/$name/DEBIAN/$(basename "$file")"
    done
    (cd "$out/$name" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum > DEBIAN/md5sums)
}

# What every package has to say of itself.
documents() {
    local to=$1
    # Debian has the licence's text for all its packages in one place.
    install -D -m 644 assets/debian/copyright "$to/copyright"
    gzip -9nc CHANGELOG.md > "$to/changelog.gz"
    chmod 644 "$to/changelog.gz"
}

# Manual pages of the program, of each of its commands and of the tools.
pages() {
    local root=$1 name command
    mkdir -p "$root/usr/share/man/man1"
    page() { "$binary" man "${@:2}" | gzip -9n > "$root/usr/share/man/man1/$1.1.gz"; }
    page dmremap-tui
    for name in "${tools[@]}"; do page "$name" "$name"; done
    "$binary" --help | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on && /^  [^ ]/ { print $1 }' |
        grep -vx help | while read -r command; do page "dmremap-tui-$command" "$command"; done
}

completions() {
    local root=$1 name of
    for name in dmremap-tui "${tools[@]}"; do
        of=(); [ "$name" = dmremap-tui ] || of=(--of "$name")
        put() { install -D -m 644 /dev/stdin "$root/usr/share/$1"; }
        "$binary" completions bash "${of[@]}" | put "bash-completion/completions/$name"
        "$binary" completions zsh "${of[@]}" | put "zsh/vendor-completions/_$name"
        "$binary" completions fish "${of[@]}" | put "fish/vendor_completions.d/$name.fish"
    done
}

application() {
    local root=$out/dmremap-tui name
    install -D "$binary" "$root/usr/bin/dmremap-tui"
    strip "$root/usr/bin/dmremap-tui"
    for name in "${tools[@]}"; do ln -s dmremap-tui "$root/usr/bin/$name"; done
    install -D -m 644 -t "$root/usr/lib/udev/rules.d" assets/udev/*.rules
    install -D -m 644 -t "$root/usr/lib/systemd/system" assets/systemd/*.service
    install -D -m 755 -t "$root/usr/share/initramfs-tools/hooks" assets/initramfs-tools/dmremap
    install -D -m 755 -t "$root/usr/lib/dracut/modules.d/90dmremap" assets/dracut/90dmremap/module-setup.sh
    install -D -m 644 -t "$root/etc" assets/dmremap.toml
    install -D -m 644 -t "$root/usr/share/doc/dmremap-tui" README.md docs/*.md
    "$binary" config --template | install -D -m 644 /dev/stdin "$root/usr/share/doc/dmremap-tui/examples/config.toml"
    documents "$root/usr/share/doc/dmremap-tui"
    pages "$root"
    completions "$root"
    control dmremap-tui "$version" "$(libraries "$root/usr/bin/dmremap-tui")"
}

module() {
    local root=$out/dm-remap-v4-dkms source
    source=$root/usr/src/dm-remap-v4-$module_version
    mkdir -p "$source"
    # What a build leaves beside the sources is not among them.
    (cd kmod && find . -type f \( -name '*.rs' -o -name '*.[ch]' -o -name '*.sh' -o -name Kbuild -o -name Makefile \
        -o -name dkms.conf -o -name '*.o_shipped' \) ! -name '*.mod.c' -print0 | xargs -0 cp --parents -t "$source")
    documents "$root/usr/share/doc/dm-remap-v4-dkms"
    control dm-remap-v4-dkms "$module_version"
}

rm -rf "$out"
mkdir -p "$out"
umask 022
application
module
for name in dmremap-tui dm-remap-v4-dkms; do
    dpkg-deb --root-owner-group --build "$out/$name" "$out" >/dev/null
    rm -r "${out:?}/$name"
done
ls "$out"/*.deb
