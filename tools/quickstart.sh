#!/bin/bash
# From nothing to a trained model: installs what is missing, builds, trains a small language model on generated dates.
# Debian 12 or later; two or three minutes on two cores.   tools/quickstart.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/setup.sh

echo "== 1/3 packages"
ravel_setup
echo "== 2/3 build"
[ -f build/build.ninja ] || meson setup build --buildtype=release >/dev/null
ninja -C build tools/ravel
echo "== 3/3 train"
build/tools/ravel train experiments/quickstart/dates.yaml

echo
echo "== what it learned: a date as people write it = the date as ISO 8601 has it"
build/tools/ravel generate runs/quickstart
build/tools/ravel generate runs/quickstart --prompt $'\n3 March 2001='

cat <<'END'

Done: a model was trained on this machine, and wrote the lines above. Look at
  runs/quickstart/metrics.jsonl   loss, rate and time, report by report
  runs/quickstart/*.h5            its checkpoints; each opens in Python with h5py

Next
  build/tools/ravel generate runs/quickstart --prompt $'\n7 June 1950='
  build/tools/ravel eval runs/quickstart
  build/tools/ravel train experiments/quickstart/dates.yaml name=wider model.decoder.hidden_size=384
  build/tools/ravel --help        all commands
  tools/check.sh                  build and run every test
END
