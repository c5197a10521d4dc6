# Sourced by quickstart.sh, check.sh and package.sh: installs the Debian packages that are missing, and only those. Asks nothing.
# ravel_setup [extra packages ...]

RAVEL_PACKAGES="gcc meson ninja-build pkgconf libhdf5-dev libyaml-dev librandom123-dev libutf8proc-dev libjansson-dev
 libxxhash-dev libssl-dev libcurl4-openssl-dev zlib1g-dev"
RAVEL_TEST_PACKAGES="libcriterion-dev"
RAVEL_PACKAGING_PACKAGES="build-essential debhelper git lintian"

ravel_setup() {
    local missing=() package sudo=()
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        echo "setup: this is not Debian or Ubuntu, so nothing is installed; the build needs: $(echo $RAVEL_PACKAGES "$@")" >&2
        return 0
    fi
    for package in $RAVEL_PACKAGES "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
            echo "setup: packages are missing and installing them needs root. Run this, then try again:" >&2
            echo "  apt-get install ${missing[*]}" >&2
            return 1
        fi
        sudo=(sudo -n)
    fi
    echo "setup: installing ${missing[*]}"
    local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -qq --no-install-recommends -o Dpkg::Use-Pty=0)
    "${apt[@]}" install "${missing[@]}" >/dev/null 2>&1 && return 0 # the package lists may be fresh enough
    "${apt[@]}" update >/dev/null || echo "setup: apt-get update failed; going on with the lists that are there" >&2
    "${apt[@]}" install "${missing[@]}" >/dev/null && return 0
    echo "setup: apt-get could not install: ${missing[*]}" >&2
    return 1
}
