/** Dense, row-major tensors of rv_real, aligned to 64 bytes.
 *
 *  Shape letters, everywhere: B batch, T target length, S source length, D model width, H heads (or the hidden
 *  width of a recurrent layer), V vocabulary. Integer data (token ids, lengths) is passed to ops as plain int32_t
 *  arrays, since nothing is ever differentiated with respect to it. */
#ifndef RV_TENSOR_TENSOR_H
#define RV_TENSOR_TENSOR_H

#include <stdint.h>

#include "base/status.h"

/* float; the gradient checks compile the same sources with -DRV_DOUBLE. */
#ifdef RV_DOUBLE
typedef double rv_real;
#else
typedef float rv_real;
#endif

enum { RV_MAX_DIMS = 4 };

typedef struct rv_node rv_node;
typedef struct rv_tensor rv_tensor;
struct rv_tensor {
    rv_real *x; /**< values, row-major, no gaps */
    rv_real *g; /**< gradient of the same shape; NULL until backward needs it */
    int64_t dim[RV_MAX_DIMS];
    int ndim; /**< 0 is a scalar */
    bool needs_grad;
    bool has_grad;   /**< g holds something to add to; false: the first writer overwrites */
    bool owns_grad;  /**< g is the owner's (a parameter), not planned by the tape */
    rv_tensor *base; /**< a reshape: the tensor whose x and g this one shows; else NULL */
    rv_node *node;   /**< what computed it; NULL for leaves */
    int64_t uses;    /**< consumers on the tape (backward's planning) */
};

/** Number of elements. */
static inline int64_t rv_numel(const rv_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->ndim; i++) n *= t->dim[i];
    return n;
}
/** Size of dimension i; negative i counts from the end. */
static inline int64_t rv_dim(const rv_tensor *t, int i) { return t->dim[i < 0 ? t->ndim + i : i]; }
/** Product of all dimensions but the last: the rows of a matrix view. 1 for a scalar. */
static inline int64_t rv_rows(const rv_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i + 1 < t->ndim; i++) n *= t->dim[i];
    return n;
}
/** Equal shapes. */
RV_API bool rv_same_shape(const rv_tensor *a, const rv_tensor *b);
/** Print a shape as "(2, 3)" into buf; returns buf. For error messages. */
RV_API const char *rv_shape_text(const rv_tensor *t, char *buf, size_t size);
enum { RV_SHAPE_TEXT = 96 }; /**< size that a shape's text fits */

#endif
