#include "ops/ops.h"

const rv_op *const rv_ops[] = {
#define RV_OP(name) &rv__op_##name,
#include "ops/ops.def"
#undef RV_OP
    NULL,
};
