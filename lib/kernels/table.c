/* The table of one instruction set's kernels. */
#include "kernels/isa.h"

#define RV_STR_(x) #x
#define RV_STR(x) RV_STR_(x)

extern const rv_kernels RV_KERNEL_FN(kernels);
const rv_kernels RV_KERNEL_FN(kernels) = {
    .isa = RV_STR(RV_ISA),
    .lanes = RV_LANES,
    .tile_rows = RV_TILE_ROWS,
#if RV_VBYTES == 64 && !defined(RV_DOUBLE)
    .masked = true,
#endif
#define RV_KERNEL(ret, name, args) .name = RV_KERNEL_FN(name),
#include "kernels/kernels.def"
#undef RV_KERNEL
};
