#include "tensor/tensor.h"

#include <stdio.h>

bool rv_same_shape(const rv_tensor *a, const rv_tensor *b) {
    if (a->ndim != b->ndim) return false;
    for (int i = 0; i < a->ndim; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

const char *rv_shape_text(const rv_tensor *t, char *buf, size_t size) {
    int n = snprintf(buf, size, "(");
    for (int i = 0; i < t->ndim && n >= 0 && (size_t)n < size; i++)
        n += snprintf(buf + n, size - (size_t)n, "%s%lld", i ? ", " : "", (long long)t->dim[i]);
    if (n >= 0 && (size_t)n < size) snprintf(buf + n, size - (size_t)n, ")");
    return buf;
}
