#!/bin/bash
# Runs a command of this checkout in a bare Debian of another release: debootstrap into a folder (once per release, kept), a
# copy of it for this run (removed afterwards), a copy of the checkout inside, the command there.
#   tools/in-release.sh [-k] [-s DIR] RELEASE COMMAND [ARGUMENTS ...]
#   tools/in-release.sh trixie tools/check.sh
#   tools/in-release.sh -s /tmp/exchange bookworm bash -c 'tools/quickstart.sh && cp -r runs /share'
# RELEASE is Debian's word (bookworm, trixie, sid); the command starts in the copied checkout, which holds the working tree
# without what git ignores. -s DIR: the folder appears there as /share. -k: the run's folder is kept, and named at the end.
# RAVEL_DATA_MIRROR is passed on. RAVEL_RELEASES: where the releases are kept (default /var/tmp/ravel-releases).
# RAVEL_DEBIAN_MIRROR: where debootstrap loads them from (default http://deb.debian.org/debian).
# Exit status: the command's; 69 where this cannot run here, with the reason.
set -euo pipefail
cannot() { echo "in-release: $*" >&2; exit 69; }
usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; }

keep=no share=
while getopts ks: option; do
    case $option in
    k) keep=yes ;;
    s) share=$(realpath -e "$OPTARG") || cannot "-s $OPTARG: no such folder" ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || usage
release=$1
shift
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || cannot "debootstrap and chroot need root; try: sudo $0 $release $*"
command -v debootstrap >/dev/null || cannot "debootstrap is missing; on Debian: apt-get install debootstrap"
git rev-parse --is-inside-work-tree >/dev/null || cannot "this is no checkout of git, which says what belongs into the copy"
unshare --mount --pid --fork true 2>/dev/null || cannot "this system (a container?) does not allow mounts of our own: unshare --mount fails"

store=${RAVEL_RELEASES:-/var/tmp/ravel-releases}
mirror=${RAVEL_DEBIAN_MIRROR:-http://deb.debian.org/debian}
mkdir -p "$store"
exec 9>"$store/$release.lock"
flock 9
if [ ! -d "$store/$release" ]; then
    echo "in-release: debootstrap $release from $mirror" >&2
    rm -rf "$store/$release.new"
    debootstrap --variant=minbase "$release" "$store/$release.new" "$mirror" >"$store/$release.log" 2>&1 ||
        cannot "debootstrap $release failed: is $mirror reachable, and is that a release it has? $(tail -1 "$store/$release.log") (all of it: $store/$release.log)"
    mv "$store/$release.new" "$store/$release"
fi
root=$(mktemp -d "$store/$release-run-XXXXXX")
[ $keep = yes ] || trap 'rm -rf --one-file-system "$root"' EXIT
cp -a --reflink=auto "$store/$release/." "$root"
flock -u 9

mkdir -p "$root/ravel" "$root/share" "$root/data"
cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done | tar -c --null -T - | tar -x -C "$root/ravel"
data=
[ -z "${RAVEL_DATA_MIRROR:-}" ] || data=$(realpath -e "$RAVEL_DATA_MIRROR")

# Mounts and processes live in namespaces of their own: nothing is left of them, however this ends.
status=0
root=$root share=$share data=$data unshare --mount --pid --fork --kill-child bash -euc '
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    [ -z "$share" ] || mount --bind "$share" "$root/share"
    [ -z "$data" ] || { mount --bind "$data" "$root/data"; data=/data; }
    exec chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        ${data:+RAVEL_DATA_MIRROR=$data} bash -c "cd /ravel && exec \"\$@\"" - "$@"
' - "$@" 9>&- || status=$?
[ $keep = no ] || echo "in-release: kept $root" >&2
exit $status
