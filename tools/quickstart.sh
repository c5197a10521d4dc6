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

cat <<'END'

Done: a model was trained on this machine. Look at
  runs/quickstart-dates/samples/        what it writes, as training went on
  runs/quickstart-dates/metrics.jsonl   loss, rate and time of every report
  runs/quickstart-dates/*.h5            its checkpoints; each opens in Python with h5py

Next
  build/tools/ravel generate runs/quickstart-dates     more of its writing
  build/tools/ravel summary experiments/quickstart/dates.yaml
  build/tools/ravel train experiments/quickstart/dates.yaml train.max_steps=2000   go on from the last checkpoint
  build/tools/ravel --help                             all commands
  tools/check.sh                                       build and run every test
END
