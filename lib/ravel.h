/** ravel: sequence-model research on ordinary CPUs. This header gathers the public ones. */
#ifndef RV_RAVEL_H
#define RV_RAVEL_H

#include "base/arena.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "base/status.h"
#include "tensor/tensor.h"
#include "data/batch.h"
#include "data/corpus.h"
#include "data/dataset.h"
#include "data/generate.h"
#include "data/text.h"
#include "data/tokenizer.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"
#include "autograd/tape.h"
#include "ops/ops.h"
#include "nn/params.h"
#include "optim/average.h"
#include "optim/clip.h"
#include "optim/optim.h"
#include "optim/schedule.h"
#include "io/checkpoint.h"
#include "io/metrics.h"
#include "io/run_dir.h"
#include "io/yaml.h"
#include "train/config.h"

#endif
