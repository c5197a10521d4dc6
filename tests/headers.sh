#!/bin/sh
# Every header of lib/ compiles alone, as float and as double; the public ones as strict C11 and C23 and as C++17, too, where
# their functions stay C's.   headers.sh [COMPILER ...]   ($CXX: the C++ compiler)
cd "$(dirname "$0")/../lib" || exit 1
[ $# -gt 0 ] || set -- cc
cxx=${CXX:-c++}
bad=0 count=0

# compiles HEADER COMPILER ...: a file that includes HEADER and nothing else
compiles() {
    header=$1
    shift
    count=$((count + 1))
    printf '#include "%s"\n' "$header" | "$@" -Wall -Wextra -Wno-unused-parameter -Wno-unused-function -Werror -fsyntax-only -I. - && return
    echo "$header does not compile alone: $*"
    bad=1
}

for h in $(find . -name '*.h' | sort); do
    # RV_ISA is for the one header that is compiled once per instruction set.
    for real in -URV_DOUBLE -DRV_DOUBLE; do compiles "${h#./}" "$@" -xc -std=gnu11 -DRV_ISA=base $real; done
done

public="ravel.h $(sed -n 's/^#include "\(.*\)"/\1/p' ravel.h)"
for h in $public; do
    for std in c11 c2x; do compiles "$h" "$@" -xc -std=$std; done
done
if command -v "${cxx%% *}" >/dev/null; then
    for h in $public; do compiles "$h" $cxx -xc++ -std=c++17; done
    object=$(mktemp)
    printf '#include "ravel.h"\nint main() { return !rv_params_create() || !rv_ops[0]; }\n' | $cxx -xc++ -std=c++17 -I. -c - -o "$object"
    [ "$(nm -u "$object" | grep -cE ' rv_(params_create|ops)$')" = 2 ] || { echo "C++ gives the library's names its own form"; bad=1; }
    rm -f "$object"
else
    echo "no C++ compiler ($cxx): the public headers were not compiled as C++"
fi
echo "$count compilations"
exit $bad
