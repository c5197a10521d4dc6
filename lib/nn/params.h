/** Parameters: one flat array of values and one of gradients, cut into named tensors with PyTorch's names, shapes and
 *  gate order. Optimiser, clipping, hashing and checkpoints see the flat arrays; layers see the tensors.
 *
 *  Layers declare parameters with rv_params_add while the model is built; rv_params_materialise then allocates and
 *  initialises all at once. */
#ifndef RV_NN_PARAMS_H
#define RV_NN_PARAMS_H

#include "tensor/tensor.h"

/** Initial distributions. a and b are the kind's own numbers. */
typedef enum {
    RV_INIT_ZERO,
    RV_INIT_CONSTANT,       /**< a */
    RV_INIT_UNIFORM,        /**< [-a, a) */
    RV_INIT_NORMAL,         /**< mean 0, deviation a */
    RV_INIT_XAVIER_UNIFORM, /**< gain a (0 stands for 1)      [Glorot 2010] */
    RV_INIT_XAVIER_NORMAL,
    RV_INIT_KAIMING_UNIFORM, /**< a: negative slope, PyTorch's default for linear layers is sqrt(5)  [He 2015] */
    RV_INIT_ORTHOGONAL,      /**< gain a (0 stands for 1); per square block of `gates` stacked matrices  [Saxe 2014] */
} rv_init_kind;
typedef struct {
    rv_init_kind kind;
    double a;
    int gates; /**< stacked matrices (4 for an LSTM's weight_hh); fan and orthogonality are per matrix; 0 stands for 1
                */
    int fixed; /**< not 0: the fixed-th of the `gates` stacked parts (from 1) is the constant b instead (a forget gate's
                  bias) */
    double b;
} rv_init;

/** What a forward pass uses a parameter for, from which its work follows (rv_params_use). */
typedef enum {
    RV_USE_STEP,   /**< a product at each position of what is predicted, or of the only sequence there is */
    RV_USE_SOURCE, /**< at each position of the source */
    RV_USE_CROSS,  /**< a third (queries) at each predicted position, two thirds (keys, values) at each of the source */
    RV_USE_EXAMPLE, /**< once per example */
    RV_USE_LOOK_UP, /**< rows are looked up: no product */
} rv_use;

typedef struct {
    char *name;
    rv_tensor t; /**< x and g point into the flat arrays */
    rv_init init;
    bool decay;  /**< weight decay applies (matrices; not biases and norms) */
    bool frozen; /**< stays as it is: see rv_param_freeze */
    rv_use use;
    double times;   /**< products each time it is used, on average: 1, but more if each position is a word of letters */
    int64_t offset; /**< of x in the flat array, in elements; a multiple of 16 */
} rv_param;

typedef struct {
    rv_param **p; /**< in the order of rv_params_add */
    int n;
    rv_real *x, *g; /**< flat, `size` elements; gaps between tensors are 0 */
    int64_t size;
    bool no_memory;  /**< for a declaration; rv_params_materialise reports it */
    rv_tensor spare; /**< what rv_params_add returns then, so that layers need not look */
} rv_params;

RV_API rv_params *rv_params_create(void);
RV_API void rv_params_destroy(rv_params *ps);
/** Declare a tensor named by the printf-like pattern; decay is set for 2 and more dimensions. The result is owned by
 *  ps; its x is NULL until rv_params_materialise, which also reports a lack of memory here. Aborts on a name used
 * twice. */
RV_API rv_tensor *rv_params_add(rv_params *ps, rv_init init, int ndim, const int64_t *dim, const char *name_fmt, ...)
    RV_PRINTF(5, 6);
/** Say what a tensor of ps is used for; until then it is RV_USE_STEP. Returns the tensor. */
RV_API rv_tensor *rv_params_use(rv_params *ps, rv_tensor *t, rv_use use);
/** FLOPs of a parameter in the forward pass over one example with S source and T predicted positions, two per
 *  multiply-add; vectors count as none. */
RV_API double rv_param_flops(const rv_param *p, double S, double T);
/** Allocate, and draw initial values; each tensor's are a function of (seed, name, shape, init) only. */
RV_API rv_status rv_params_materialise(rv_params *ps, uint64_t seed);
/** By exact name, or NULL. */
RV_API rv_param *rv_params_find(const rv_params *ps, const char *name);
/** Elements of all tensors, without the gaps. */
RV_API int64_t rv_params_count(const rv_params *ps);
/** From the next forward pass on p is a constant: backward computes no gradient of it, and none that only it would have
 *  needed; the norm for clipping leaves it out, and optimisers leave it and their state of it alone. */
RV_API void rv_param_freeze(rv_param *p);
/** Elements of the frozen tensors. */
RV_API int64_t rv_params_frozen(const rv_params *ps);
/** Start a new sum of gradients: nothing is written, the next backward overwrites. */
RV_API void rv_params_zero_grad(rv_params *ps);
/** Zero the gradients that no backward has written since, but for frozen parameters'; call once before clipping and
 *  updating. */
RV_API void rv_params_finish_grad(rv_params *ps);

#endif
