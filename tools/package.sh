#!/bin/bash
# Debian packages of the last commit: ravel, libravel0, libravel-dev, from the packaging in tools/debian. Installs what is
# missing, builds, runs the tests of the suite isa, checks with lintian.   tools/package.sh [OUTPUT_DIR]   (default: build-package)
# DEB_BUILD_OPTIONS=nocheck leaves the tests out; DEB_BUILD_OPTIONS=parallel=N uses N cores instead of all.
set -euo pipefail
output=$(realpath -m "${1:-$(dirname "$0")/../build-package}")
cd "$(dirname "$0")/.."
. tools/setup.sh

fail() {
    echo "package: $1" >&2
    exit 1
}

ravel_setup test package || fail "building packages needs the ones named above"
commit=$(git rev-parse --verify --short HEAD) || fail "this is no git checkout; the packages are made of its last commit"
[ -z "$(git status --porcelain)" ] || echo "package: there are changes that are not committed; the packages are of $commit, without them" >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$output"
version=$(sed -n '1s/.*(\(.*\)).*/\1/p' tools/debian/changelog)
source=$work/ravel-$version
git archive --prefix="ravel-$version/" HEAD | tar -x -C "$work"
cp -r "$source/tools/debian" "$source/debian"

echo "== 1/2 build $version of $commit (log: $output/build.log)"
(cd "$source" && dpkg-buildpackage -us -uc) >"$output/build.log" 2>&1 || {
    tail -40 "$output/build.log" >&2
    fail "dpkg-buildpackage failed; $output/build.log says why"
}
cp "$work"/*.{deb,dsc,tar.*,buildinfo,changes} "$output"
echo "== 2/2 lintian"
lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$work"/*.changes || fail "lintian found errors or warnings"
echo "no errors or warnings; in $output:"
cd "$work" && du -h --apparent-size *.deb *.dsc *.changes
