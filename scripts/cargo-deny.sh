#!/bin/sh
# Runs cargo-deny with the given arguments. The version named here is built once and
# kept in the user's cache, apart from any checkout; the same version found in PATH
# serves as well.
set -eu

version=0.20.2
tools=${XDG_CACHE_HOME:-${HOME:?}/.cache}/dmremap/tools
root=$tools/cargo-deny-$version

if [ "$(cargo-deny --version 2>/dev/null || true)" = "cargo-deny $version" ]; then
    exec cargo-deny "$@"
fi

if ! "$root/bin/cargo-deny" --version >/dev/null 2>&1; then
    # Unoptimised and without debug information it is built in about a minute, where
    # its own release profile takes many; a check takes a second either way.
    printf 'building cargo-deny %s, once, into %s\n' "$version" "$root" >&2
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --force --debug \
        --version "$version" --root "$root" cargo-deny
fi

exec "$root/bin/cargo-deny" "$@"
