/** Kernels: plain loops over memory, no autograd.
 *
 *  The functions listed in kernels.def are compiled once per instruction set from the same source (isa.h gives the
 *  vector type) and called through rv_k(), chosen at run time by what the CPU can do, or forced by the variable
 *  RAVEL_ISA=avx512|avx2|base. They are SERIAL: the caller cuts its work into fixed blocks and runs them in an OpenMP
 *  loop (base/parallel.h). A result must depend on the element's own inputs only, not on where it lies in a vector. */
#ifndef RV_KERNELS_KERNELS_H
#define RV_KERNELS_KERNELS_H

#include "base/parallel.h"
#include "base/rng.h"
#include "kernels/cell.h"
#include "kernels/update.h"
#include "tensor/tensor.h"

/** Activations that a GEMM epilogue and the elementwise ops know. */
typedef enum {
    RV_ACT_NONE,
    RV_ACT_RELU,
    RV_ACT_TANH,
    RV_ACT_SIGMOID,
    RV_ACT_GELU,
    RV_ACT_GELU_TANH,
    RV_ACT_COUNT
} rv_act;

#define RV_PRAGMA(text) _Pragma(#text)
/** for (int64_t i = 0; i < n; i++) { ... }, shared out among so many threads in OpenMP's static or dynamic way; one
 * thread runs it without a team, whose start and end would cost a quarter of a microsecond: as much as many an op of a
 * small model. */
#define RV_FOR_AS(way, i, n, threads, ...)                                                                             \
    do {                                                                                                               \
        const int64_t rv_for_n = (n);                                                                                  \
        const int rv_for_threads = (threads);                                                                          \
        if (rv_for_threads == 1) {                                                                                     \
            for (int64_t i = 0; i < rv_for_n; i++) __VA_ARGS__                                                         \
        } else {                                                                                                       \
            RV_PRAGMA(omp parallel for schedule(way) num_threads(rv_for_threads))                                      \
            for (int64_t i = 0; i < rv_for_n; i++) __VA_ARGS__                                                         \
        }                                                                                                              \
    } while (0)
#define RV_FOR(i, n, threads, ...) RV_FOR_AS(static, i, n, threads, __VA_ARGS__)

typedef struct rv_attend rv_attend;             /* attention.h */
typedef struct rv__gemm_block rv__gemm_block;   /* gemm_block.h */
typedef struct rv__chain_state rv__chain_state; /* chain_private.h; so are the next two */
typedef struct rv__chain_step rv__chain_step;
typedef struct rv__chain_best rv__chain_best;

/** Elements of dropout whose decisions come from the same 16 counters (kernels.def: vmask). */
enum { RV_MASK_GROUP = 128 };

/** Elementwise arithmetic on two operands. */
typedef enum { RV_ARITH_ADD, RV_ARITH_SUB, RV_ARITH_MUL, RV_ARITH_DIV } rv_arith;

typedef struct rv_kernels {
    const char *isa; /**< "avx512", "avx2" or "base" */
    int lanes;       /**< rv_real in a vector */
    int tile_rows;   /**< of the register tile of the matrix product; it has 2 * lanes columns */
    bool masked;     /**< masked loads are as fast as whole ones */
#define RV_KERNEL(ret, name, args) ret(*name) args;
#include "kernels/kernels.def"
#undef RV_KERNEL
} rv_kernels;

/** The best kernels that this CPU has, or those that RAVEL_ISA names (with a warning where the CPU lacks them). */
RV_API const rv_kernels *rv_k(void);
/** Select by name; RV_EUSAGE if unknown or this CPU lacks it. For tests and tools. */
RV_API rv_status rv_select_isa(const char *isa);

#endif
