#!/bin/sh
# Install into an empty folder and build a program against what is there.   install.sh BUILD_DIRECTORY [COMPILER ...]
set -e
build=$1
shift
[ $# -gt 0 ] || set -- cc
command -v pkg-config >/dev/null || { echo "pkg-config is not installed"; exit 77; }
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
DESTDIR=$root meson install -C "$build" --no-rebuild --quiet
prefix=$(dirname "$(dirname "$(find "$root" -path '*/bin/ravel')")")
pc=$(find "$root" -name ravel.pc)

cat >"$root/program.c" <<'END'
#include <ravel.h>
#include <stdio.h>

int main(void) {
    rv_params *ps = rv_params_create();
    rv_tensor *w = rv_params_add(ps, (rv_init){.kind = RV_INIT_CONSTANT, .a = 3}, 2, (int64_t[]){2, 2}, "w");
    if (rv_params_materialise(ps, 1) != RV_OK) return 1;
    printf("%g\n", (double)w->x[3]);
    rv_params_destroy(ps);
    return 0;
}
END
# pkg-config's sysroot turns the installed paths into those under $root.
export PKG_CONFIG_PATH="$(dirname "$pc")" PKG_CONFIG_SYSROOT_DIR="$root"
"$@" -Wall -Wextra -Werror "$root/program.c" $(pkg-config --cflags --libs ravel) -o "$root/program"
export LD_LIBRARY_PATH="$(dirname "$(find "$root" -name 'libravel.so' | head -1)")"
[ "$("$root/program")" = 3 ]
"$prefix/bin/ravel" --version
"$prefix/bin/ravel" --help >/dev/null

# Nothing but the public interface is visible.
stray=$(nm -D --defined-only "$LD_LIBRARY_PATH/libravel.so" | awk '$2 ~ /[TDRBV]/ && $3 !~ /^rv_/ && $3 !~ /^_(init|fini|end|edata)$|^__bss_start$/ {print $3}')
[ -z "$stray" ] || { echo "libravel exports: $stray"; exit 1; }
for f in share/man/man1/ravel.1 share/bash-completion/completions/ravel include/ravel/kernels/kernels.def; do
    [ -f "$prefix/$f" ] || { echo "$f is not installed"; exit 1; }
done
bash -n "$prefix/share/bash-completion/completions/ravel"

# Experiments and data sets go with the command, under a DESTDIR as here and where the tree is moved; nothing is written there.
mkdir "$root/empty" "$root/moved"
cd "$root/empty"
unset RAVEL_EXPERIMENTS RAVEL_DATASETS
"$prefix/bin/ravel" data list | grep -q '^dates '
cp -r "$prefix/bin" "$prefix/share" "$root/moved"
before=$(cd "$root/moved" && find . | sort)
"$root/moved/bin/ravel" compare quickstart --quiet -j 2 compare.seeds='[1]' compare.budget='!replace {train_steps: 2}' compare.settings='{train.lr_scheduler.warmup_steps: [0]}' \
    compare.tune=null compare.cost=null compare.gradient_flow=false compare.report.resamples=10 >out 2>&1 || { cat out; exit 1; }
grep -q 'runs/quickstart/report.html' out && [ -f runs/quickstart/report.html ] || { cat out; exit 1; }
[ "$before" = "$(cd "$root/moved" && find . | sort)" ] || { echo "ravel compare wrote into the installed tree"; exit 1; }
# Without them, a list that is empty says where it looked.
rm -r "$root/moved/share"
if "$root/moved/bin/ravel" data list >out 2>&1 && [ ! -s out ]; then echo "an empty list of data sets, and no word why"; exit 1; fi
cd /
echo "installed: $(find "$root" -type f | wc -l) files"
