# Sourced by other scripts, which stop where it fails. On Debian and Ubuntu it installs what is missing and asks nothing;
# elsewhere it names what is missing and the command that should install it.
#   ravel_setup [test] [package]          the rows 'build' below, and those named
#   ravel_debian_packages GROUP ...       Debian's names of the rows, one a line

# needed for|what|seen by|Debian, Ubuntu|Fedora|Arch|Alpine|openSUSE|Homebrew|its source, where a system has no package (-)
# Seen by: a command, pc:MODULE of pkg-config, or h:HEADER that the C compiler finds. Users of clang need the rows 'clang'.
# Only Debian's names have been tried.
RAVEL_NEEDS='
build|a C compiler|h:stdio.h|gcc libc6-dev|gcc|gcc|build-base|gcc|gcc|
build|meson|meson|meson|meson|meson|meson|meson|meson|
build|ninja|ninja|ninja-build|ninja-build|ninja|samurai|ninja|ninja|
build|pkg-config|pkg-config|pkgconf|pkgconf-pkg-config|pkgconf|pkgconf|pkgconf-pkg-config|pkgconf|
build|HDF5|pc:hdf5-serial or pc:hdf5 or h5cc|libhdf5-dev|hdf5-devel|hdf5|hdf5-dev|hdf5-devel|hdf5|
build|libyaml|pc:yaml-0.1|libyaml-dev|libyaml-devel|libyaml|yaml-dev|libyaml-devel|libyaml|
build|Random123|h:Random123/philox.h|librandom123-dev|Random123-devel|-|-|-|-|https://github.com/DEShawResearch/random123 (copy include/Random123)
build|utf8proc|pc:libutf8proc|libutf8proc-dev|utf8proc-devel|libutf8proc|utf8proc-dev|utf8proc-devel|utf8proc|
build|jansson|pc:jansson|libjansson-dev|jansson-devel|jansson|jansson-dev|libjansson-devel|jansson|
build|xxHash|pc:libxxhash|libxxhash-dev|xxhash-devel|xxhash|xxhash-dev|xxhash-devel|xxhash|
build|OpenSSL|pc:libcrypto|libssl-dev|openssl-devel|openssl|openssl-dev|libopenssl-devel|openssl@3|
build|libcurl 7.85 or later|pc:libcurl >= 7.85|libcurl4-openssl-dev|libcurl-devel|curl|curl-dev|libcurl-devel|curl|
build|zlib|pc:zlib|zlib1g-dev|zlib-devel|zlib|zlib-dev|zlib-devel|zlib|
clang|the OpenMP of clang|h:omp.h|libomp-dev|libomp-devel|openmp|openmp-dev|libomp-devel|libomp|
test|Criterion|pc:criterion|libcriterion-dev|-|criterion|-|libcriterion-devel|criterion|https://github.com/Snaipe/Criterion
test|Python|python3|python3|python3|python|python3|python3|python|
package|dpkg-buildpackage|dpkg-buildpackage|build-essential|-|-|-|-|-|https://www.debian.org (packages are built on Debian or Ubuntu)
package|debhelper|dh|debhelper|-|-|-|-|-|https://www.debian.org (packages are built on Debian or Ubuntu)
package|git|git|git|git|git|git|git|git|
package|lintian|lintian|lintian|-|-|-|-|-|https://www.debian.org (packages are built on Debian or Ubuntu)
'

ravel_debian_packages() {
    local group what seen debian rest
    while IFS='|' read -r group what seen debian rest; do
        case " $* " in *" $group "*) printf '%s\n' $debian ;; esac
    done <<<"$RAVEL_NEEDS"
}

# Whether one of the ways to see it, joined by ' or ', does.
ravel__is_there() {
    local rest="$1 or " way
    while [ -n "$rest" ]; do
        way=${rest%%" or "*} rest=${rest#*" or "}
        case $way in
        pc:*) pkg-config --exists "${way#pc:}" 2>/dev/null && return 0 ;;
        h:*) echo "#include <${way#h:}>" | ${CC:-cc} -E -x c - >/dev/null 2>&1 && return 0 ;;
        *) command -v "$way" >/dev/null && return 0 ;;
        esac
    done
    return 1
}

# Into the caller's system, installer and tried; the installer is empty where nothing is known.
ravel__find_system() {
    local file=${RAVEL_OS_RELEASE:-/etc/os-release} id
    system='this system' installer='' tried=' (not tried by ravel'"'"'s developers, who have Debian)'
    if [ "$(uname)" = Darwin ]; then
        system=macOS installer='brew install'
        return
    fi
    [ -r "$file" ] || return 0
    system=$(. "$file" && echo "${PRETTY_NAME:-${ID:-this system}}")
    for id in $(. "$file" && echo "${ID:-} ${ID_LIKE:-}"); do
        case $id in
        debian | ubuntu) installer='apt-get install' tried='' ;;
        fedora | rhel | centos) installer='dnf install' ;;
        arch) installer='pacman -S' ;;
        alpine) installer='apk add' ;;
        opensuse* | suse) installer='zypper install' ;;
        *) continue ;;
        esac
        return
    done
}

# Rows of the groups that are missing, into the caller's missing (text), packages and elsewhere (text).
ravel__look() {
    local group what seen debian fedora arch alpine suse brew source names
    missing='' packages='' elsewhere=''
    while IFS='|' read -r group what seen debian fedora arch alpine suse brew source; do
        case " $* " in *" $group "*) ;; *) continue ;; esac
        ravel__is_there "$seen" && continue
        missing+="${missing:+, }$what ($seen)"
        case $installer in
        dnf*) names=$fedora ;;
        pacman*) names=$arch ;;
        apk*) names=$alpine ;;
        zypper*) names=$suse ;;
        brew*) names=$brew ;;
        *) names=$debian ;;
        esac
        if [ "$names" = - ]; then
            elsewhere+="${elsewhere:+; }$what: $source"
        else
            packages+="${packages:+ }$names"
        fi
    done <<<"$RAVEL_NEEDS"
}

ravel__apt_install() {
    local sudo=''
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 0 # the caller says what to run
        sudo='sudo -n'
    fi
    echo "setup: installing $*"
    local apt="$sudo env DEBIAN_FRONTEND=noninteractive apt-get -y -qq --no-install-recommends -o Dpkg::Use-Pty=0"
    $apt install "$@" >/dev/null 2>&1 && return 0 # the package lists may be fresh enough
    $apt update >/dev/null || echo "setup: apt-get update failed; going on with the lists that are there" >&2
    $apt install "$@" >/dev/null || echo "setup: apt-get could not install: $*" >&2
}

ravel_setup() {
    local system installer tried missing packages elsewhere sudo='sudo '
    ravel__find_system
    case $(${CC:-cc} --version 2>/dev/null) in *clang*) set -- "$@" clang ;; esac
    ravel__look build "$@"
    if [ -n "$packages" ] && [ "$installer" = 'apt-get install' ] && command -v apt-get >/dev/null; then
        ravel__apt_install $packages
        ravel__look build "$@"
    fi
    [ -n "$missing" ] || return 0
    {
        echo "setup: missing: $missing"
        [ "$(id -u)" -ne 0 ] && [ "$installer" != 'brew install' ] || sudo=''
        if [ -z "$installer" ]; then
            echo "setup: no package names are known for $system; on Debian they are: $packages"
        elif [ -n "$packages" ]; then
            echo "setup: on $system run this$tried, then try again:"
            echo "  $sudo$installer $packages"
        fi
        [ -z "$elsewhere" ] || echo "setup: no package is known there, so from the source: $elsewhere"
    } >&2
    return 1
}
