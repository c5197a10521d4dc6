#!/bin/sh
# Every header of lib/ compiles alone, as float and as double.   headers.sh [COMPILER ...]
cd "$(dirname "$0")/../lib" || exit 1
[ $# -gt 0 ] || set -- cc
bad=0 count=0
for h in $(find . -name '*.h' | sort); do
    for real in '' -DRV_DOUBLE; do
        # RV_ISA is for the one header that is compiled once per instruction set.
        printf '#include "%s"\n' "${h#./}" |
            "$@" -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-unused-function -Werror -fsyntax-only -I. -DRV_ISA=base $real -xc - || { echo "$h $real does not compile alone"; bad=1; }
        count=$((count + 1))
    done
done
echo "$count compilations"
exit $bad
