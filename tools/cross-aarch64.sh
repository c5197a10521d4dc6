#!/bin/bash
# Builds ravel for aarch64 with Debian's cross compiler and runs what computes, and the command, under qemu-user.
# Usage: tools/cross-aarch64.sh [BUILD_DIRECTORY_PREFIX]     (builds in PREFIX-aarch64; default build-check)
# arm64 packages are downloaded once (40 MB) into PREFIX-aarch64-sysroot; nothing is installed, and root is not needed.
# Exit status: 77 with one line that says why where it cannot run, 0 if all passed, else 1.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. tools/setup.sh
prefix=$(realpath -m "${1:-build-check}")
dir=$prefix-aarch64
root=$prefix-aarch64-sysroot
triplet=aarch64-linux-gnu
# What builds (compiler, meson) is the host's; what it builds against is arm64.
packages="libgomp1 $(ravel_debian_packages build test | grep -- '-dev$' | xargs)"
suites=(autograd io kernels nn ops cross)

skip() {
    echo "skipped, $*"
    exit 77
}

qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static)
command -v apt-get >/dev/null || skip "this is not Debian or Ubuntu"
command -v $triplet-gcc >/dev/null && [ -n "$qemu" ] ||
    skip "no cross compiler or no qemu: apt-get install --no-install-recommends gcc-aarch64-linux-gnu qemu-user"

# The host's package sources, asked for arm64 in an apt state of our own: dpkg of the host never hears of it.
make_sysroot() {
    local apt=$root.part/apt deb link
    rm -rf "$root.part" "$dir" # a build keeps nothing from another sysroot
    mkdir -p "$dir" "$apt"/{lists,cache}/partial "$root.part/usr/lib" || return 1
    : >"$apt/status"
    ln -s usr/lib "$root.part/lib"
    local get=(apt-get -qq -y -o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt"
        -o Dir::Cache::archives="$apt/cache" -o APT::Architecture=arm64 -o APT::Architectures=arm64
        -o APT::Sandbox::User=root -o Debug::NoLocking=1)
    "${get[@]}" update >"$dir/sysroot.log" 2>&1 # a source without arm64 is no failure yet
    "${get[@]}" --no-install-recommends --download-only install $packages >>"$dir/sysroot.log" 2>&1 || return 1
    for deb in "$apt"/cache/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$root.part" || return 1
    done
    find "$root.part" -type l -lname '/*' | while read -r link; do ln -sfn "$root$(readlink "$link")" "$link"; done
    echo "$packages" >"$root.part/packages"
    rm -rf "$apt" "$root" && mv "$root.part" "$root"
}
if [ "$(cat "$root/packages" 2>/dev/null)" != "$packages" ] && ! make_sysroot; then
    rm -rf "$root.part"
    skip "the arm64 packages could not be downloaded ($dir/sysroot.log): $(grep -m 1 '^[EW]:' "$dir/sysroot.log")"
fi

mkdir -p "$dir" || exit 1
$triplet-gcc --sysroot="$root" -O2 -Wall -Wextra -Werror -shared -fPIC -DRV_QEMU="\"$qemu\"" tests/support/qemu_exec.c \
    -o "$dir/qemu_exec.so" || exit 1
cat >"$dir/qemu" <<END
#!/bin/sh
QEMU_LD_PREFIX='$root' QEMU_SET_ENV='LD_PRELOAD=$dir/qemu_exec.so' exec '$qemu' "\$@"
END
chmod +x "$dir/qemu"
cat >"$dir/cross.ini" <<END
[binaries]
c = ['$triplet-gcc', '--sysroot=$root']
ar = '$triplet-gcc-ar'
strip = '$triplet-strip'
pkgconfig = 'pkg-config'
exe_wrapper = '$dir/qemu'
[properties]
sys_root = '$root'
pkg_config_libdir = '$root/usr/lib/$triplet/pkgconfig:$root/usr/share/pkgconfig'
emulator = '$dir/qemu'
native_ravel = '$prefix-release/tools/ravel'
[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'
END

ulimit -c 0 # tests of signals would leave cores of qemu
if ! meson setup "$dir" --cross-file "$dir/cross.ini" --buildtype=release -Dwerror=true \
    $([ -f "$dir/build.ninja" ] && echo --reconfigure) >"$dir/setup.log"; then
    cat "$dir/setup.log"
    exit 1
fi
# It builds what the suites need, and no more. What repeats others in double is left out: five minutes shall be enough.
PYTHONUNBUFFERED=1 meson test -C "$dir" --print-errorlogs --timeout-multiplier 4 "${suites[@]/#/--suite=}" --no-suite f64 2>&1 |
    sed -uE '/^ninja|^$|^Full log|^No suitable|^\[[0-9]+\/[0-9]+\] /d'
