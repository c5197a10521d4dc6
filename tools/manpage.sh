#!/bin/sh
# manpage.sh VERSION commands.def ravel.1.in > ravel.1: puts the version and the table of commands into the manual page.
commands=$(sed -n 's/^RV_COMMAND(\([a-z_]*\), "\(.*\)")$/.TP\n.B \1\n\2/p' "$2")
awk -v version="$1" -v commands="$commands" '
    $0 == "@COMMANDS@" { print commands; next }
    { gsub(/@VERSION@/, version); print }' "$3"
