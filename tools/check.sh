#!/bin/bash
# From nothing to every test run: installs what is missing, builds a release and a sanitised build, tests both.
# Usage: tools/check.sh [PREFIX]     (build directories PREFIX-release, -asan, -tsan and -aarch64; default build-check)
# Where clang, its sanitizers and libomp are installed (Debian: clang libomp-dev), data races are looked for too.
# Where a cross compiler and qemu-user are installed, a build for aarch64 is tested too (tools/cross-aarch64.sh).
# RAVEL_DATA_MIRROR=DIR takes data sets from a folder instead of the network; without it tests of real data are skipped.
# The last line is 'N passed, N failed, N skipped'; the exit status is 0 only if nothing failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. tools/setup.sh
prefix=${1:-build-check}
[ -z "${RAVEL_DATA_MIRROR:-}" ] || export RAVEL_DATA_MIRROR=$(realpath "$RAVEL_DATA_MIRROR")

ravel_setup test || exit 1
logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"' EXIT

# build NAME [meson options]. What GCC warns of in instrumented code is no news of the source: the release build decides.
build() {
    local dir=$prefix-$1
    shift
    echo "== $dir: build"
    meson setup "$dir" "$@" $([ -f "$dir/build.ninja" ] && echo --reconfigure) >"$logs/meson" || { cat "$logs/meson"; return 1; }
    ninja -C "$dir" all meson-test-prereq >"$logs/ninja" || { tail -40 "$logs/ninja"; return 1; }
    [ "$dir" != "$prefix-release" ] || ! grep -E 'warning:' "$logs/ninja" || { echo "$dir: the build has warnings"; return 1; }
}

# run_tests DIRECTORY [meson test options]: every result is shown as it comes
run_tests() {
    PYTHONUNBUFFERED=1 meson test -C "$@" --print-errorlogs 2>&1 | sed -uE '/^ninja|^$|^Full log|^No suitable/d' || failed=1
}

failed=0
rm -f "$prefix"-*/meson-logs/*.json
build release --buildtype=release || exit 1
echo "== $prefix-release: tests"
run_tests "$prefix-release" --no-suite timing
# What measures time runs alone.
run_tests "$prefix-release" --suite timing --num-processes 1 --logbase timing
# The older instruction sets of this CPU must pass what depends on them; its own has just been tested.
own=$("$prefix-release/tools/ravel" doctor --json 2>/dev/null | sed -n 's/^ *"instructions": "\(.*\)",$/\1/p')
for isa in avx2 base; do
    [ "$isa" != "$own" ] || continue
    RAVEL_ISA=$isa "$prefix-release/tools/ravel" doctor --json >/dev/null 2>&1 || continue
    echo "== $prefix-release: tests with RAVEL_ISA=$isa"
    RAVEL_ISA=$isa run_tests "$prefix-release" --no-rebuild --suite isa --logbase "$isa"
done

# A sanitiser's report inside a test process need not fail the test (Criterion forks, leaks are found at exit): every
# report goes to a file here, and any file is a failure. Thread-local blocks of libraries loaded late are left alone:
# the sanitizer guesses their size from the words before them, and with oneDNN's read from addresses that are none.
build asan --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false || exit 1
mkdir "$logs/reports"
asan=detect_leaks=1:allocator_may_return_null=1:detect_odr_violation=0:intercept_tls_get_addr=0
export ASAN_OPTIONS=log_path=$logs/reports/asan:$asan
export UBSAN_OPTIONS=log_path=$logs/reports/ubsan:print_stacktrace=1
echo "== $prefix-asan: tests under AddressSanitizer and UndefinedBehaviorSanitizer"
run_tests "$prefix-asan" --no-suite timing --no-suite install --timeout-multiplier 4
reports=$(find "$logs/reports" -type f | wc -l)
if [ "$reports" -gt 0 ]; then
    echo "sanitizers: $reports reports; the first ones:"
    find "$logs/reports" -type f | sort | head -3 | xargs head -40
fi

# GCC's OpenMP cannot tell ThreadSanitizer about its barriers; libomp can, through Archer.
clang=$(command -v clang || command -v clang-14)
if [ -z "$clang" ] || [ -z "$(find /usr/lib/llvm* -name libarcher.so 2>/dev/null)" ] ||
    ! echo 'int main(void) { return 0; }' | $clang -fsanitize=thread -fopenmp -x c - -o "$logs/probe" 2>/dev/null; then
    echo "== $prefix-tsan: skipped, no clang with ThreadSanitizer, libomp and Archer (Debian: clang libomp-dev)"
else
    dir=$prefix-tsan
    echo "== $dir: data races under ThreadSanitizer"
    { [ -f "$dir/build.ninja" ] || CC=$clang meson setup "$dir" --buildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false; } >"$logs/meson" 2>&1 ||
        { cat "$logs/meson"; failed=1; }
    ninja -C "$dir" tests/race >"$logs/ninja" 2>&1 || { tail -40 "$logs/ninja"; failed=1; }
    run_tests "$dir" --no-rebuild --suite race
fi

echo "== $prefix-aarch64: tests of a build for aarch64, under qemu-user"
broken=0 # a stage that ends before its first test has no log to count its failure in
tools/cross-aarch64.sh "$prefix" || [ $? -eq 77 ] || { failed=1; [ -f "$prefix-aarch64/meson-logs/testlog.json" ] || broken=1; }

tests/summary.py --extra-failures $((reports + broken)) "$prefix-release/meson-logs/testlog.json" "$prefix-release/meson-logs/timing.json" \
    "$prefix-release"/meson-logs/{avx2,base}.json \
    "$prefix-asan/meson-logs/testlog.json" "$prefix-tsan/meson-logs/testlog.json" "$prefix-aarch64/meson-logs/testlog.json" || failed=1
exit $failed
