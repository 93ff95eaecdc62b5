#!/usr/bin/env bash
# Makes what `cargo xtask windows` builds and runs with, in a new folder:
#
#   sysroot/   a standard library for x86_64-pc-windows-gnu
#   prefix/    an initialised Wine prefix
#   wine-run   what cargo starts Windows programs by
#
# usage: set-up.sh FOLDER
#
# Debian's packages gcc-mingw-w64-x86-64-win32 and wine64 are installed where they are missing, by
# root. A toolchain may come without a way to add a target, so the library is built from Debian's
# package of its source, which has to be of the compiler's own version: -Zbuild-std reads it in the
# place where rustup would put it.
# Exits 3 with one line when something cannot be had here, and otherwise as what failed.

set -euo pipefail

folder=$1
target=x86_64-pc-windows-gnu
suite=trixie-backports
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

cannot() {
    printf '%s\n' "$*" >&2
    exit 3
}

release=$(rustc -vV | sed -n 's/^release: //p')
sysroot=$(rustc --print sysroot)

[ -e "$keyring" ] || cannot "there is no $keyring: the source of Rust's library comes from Debian"
command -v apt-get >/dev/null || cannot "there is no apt-get: the source of Rust's library comes from Debian"

missing=()
command -v x86_64-w64-mingw32-gcc >/dev/null || missing+=(gcc-mingw-w64-x86-64-win32)
[ -x /usr/lib/wine/wine64 ] || missing+=(wine64)
if [ "${#missing[@]}" -gt 0 ]; then
    [ "$(id -u)" -eq 0 ] || cannot "install Debian's ${missing[*]} first"
    echo "  Debian's ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -qq --yes --no-install-recommends "${missing[@]}"; } \
        >/dev/null 2>&1 || cannot "Debian's ${missing[*]} cannot be installed"
fi

# The mirror that this machine is set up with.
mirror=$(cat /etc/apt/sources.list.d/debian.sources 2>/dev/null | awk '/^URIs:/ { print $2; exit }')
[ -n "$mirror" ] || mirror=$(awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^http/) { print $i; exit } }' \
    /etc/apt/sources.list 2>/dev/null || true)
[ -n "$mirror" ] || cannot "no Debian mirror is set up in /etc/apt"

mkdir -p "$folder"
cd "$folder"
folder=$PWD
mkdir -p work/lists/partial work/source work/view/lib/rustlib/src work/seed/src

echo "  the source of Rust's library $release"
# A list of sources of its own, so that the system's stays as it is.
cat > work/source.sources <<LIST
Types: deb
URIs: $mirror
Suites: $suite
Components: main
Signed-By: $keyring
LIST
options=(
    -o "Dir::Etc::sourcelist=$folder/work/source.sources"
    -o Dir::Etc::sourceparts=-
    -o "Dir::State::lists=$folder/work/lists"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o APT::Sandbox::User=root
)
apt-get -qq "${options[@]}" update >/dev/null 2>&1 || cannot "$suite cannot be had from this machine's mirror"
version=$(apt-cache "${options[@]}" madison rust-src | awk -v release="$release" '
    index($3, release "+") == 1 { print $3; exit }')
[ -n "$version" ] || cannot "$suite has no rust-src of the compiler's version $release"
(cd work && apt-get -qq "${options[@]}" download "rust-src=$version" >/dev/null)
dpkg -x work/rust-src_*.deb work/source

echo "  the library for $target"
# The compiler's own sysroot, with the source in it, without touching it.
for entry in "$sysroot"/lib/rustlib/*; do
    ln -sfn "$entry" work/view/lib/rustlib/
done
rm work/view/lib/rustlib/src 2>/dev/null || rmdir work/view/lib/rustlib/src
mkdir work/view/lib/rustlib/src
ln -s "$folder/work/source/usr/src/rustc-$release" work/view/lib/rustlib/src/rust
printf '#!/bin/sh\nexec "%s/bin/rustc" --sysroot "%s/work/view" "$@"\n' "$sysroot" "$folder" > work/rustc
chmod +x work/rustc
cat > work/seed/Cargo.toml <<'MANIFEST'
[package]
name = "seed"
version = "0.0.0"
edition = "2021"

[workspace]

[profile.dev]
opt-level = 1
debug = "line-tables-only"
MANIFEST
echo 'fn main() {}' > work/seed/src/main.rs
(cd work/seed && env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS \
    RUSTC_BOOTSTRAP=1 RUSTC="$folder/work/rustc" CARGO_TARGET_DIR="$folder/work/seed/target" \
    "$sysroot/bin/cargo" build --quiet -Zbuild-std=std,panic_abort,panic_unwind,test --target "$target")
library=sysroot/lib/rustlib/$target/lib
mkdir -p "$library"
cp "work/seed/target/$target"/debug/deps/*.rlib "$library/"

echo "  a Wine prefix"
wine=/usr/lib/wine/wine64
cat > wine-run <<RUN
#!/bin/sh
# Beside this script lies the prefix, wherever the folder is moved to.
here=\$(dirname "\$(readlink -f "\$0")")
export WINEPREFIX="\${WINEPREFIX:-\$here/prefix}" WINEDEBUG="\${WINEDEBUG:--all}" WINEARCH=win64
unset DISPLAY
exec "$wine" "\$@"
RUN
chmod +x wine-run
./wine-run wineboot --init >/dev/null 2>&1
# Wine 8 has no bcryptprimitives.dll, out of which Rust's library takes its random seeds.
cat > work/stub.c <<'STUB'
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);

__declspec(dllexport) BOOL WINAPI ProcessPrng(BYTE *bytes, SIZE_T count) {
    while (count > 0) {
        ULONG piece = count > 65536 ? 65536 : (ULONG)count;
        if (!SystemFunction036(bytes, piece)) return FALSE;
        bytes += piece;
        count -= piece;
    }
    return TRUE;
}
STUB
x86_64-w64-mingw32-gcc -shared -O2 -s -o prefix/drive_c/windows/system32/bcryptprimitives.dll \
    work/stub.c -ladvapi32
# Whatever Wine left running would keep the folder in use.
WINEPREFIX=$folder/prefix /usr/lib/wine/wineserver64 -k 2>/dev/null || true
rm -rf work
