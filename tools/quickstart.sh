#!/bin/bash
# From nothing to a report: installs what is missing, builds, and compares a bottleneck, Bahdanau's attention and a transformer
# on 10,000 generated dates. Debian 12 or later; two to four minutes on two cores.   tools/quickstart.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/setup.sh

echo "== 1/3 packages"
ravel_setup
echo "== 2/3 build"
[ -f build/build.ninja ] || meson setup build --buildtype=release >/dev/null
ninja -C build tools/ravel
echo "== 3/3 compare"
build/tools/ravel compare experiments/quickstart/compare.yaml

cat <<'END'

Done. Open runs/quickstart/report.html in a browser: who wins at which length, where attention looks, what each model costs,
how far its gradients reach. Everything shown there comes from runs/quickstart.

Next
  echo '3 March 2001' | build/tools/ravel translate runs/quickstart/cells/bahdanau-s1 --stdin
  build/tools/ravel compare experiments/quickstart/compare.yaml compare.name=longer compare.budget.train_tokens=6e5
  build/tools/ravel train experiments/quickstart/transformer.yaml seed=7 name=mine
  build/tools/ravel report runs/mine
  build/tools/ravel --help        all commands
  tools/check.sh                  build and run every test
END
