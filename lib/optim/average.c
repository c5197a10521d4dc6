#include "optim/average.h"

void rv_average(int n, const rv_real *const *set, int64_t size, rv_real *out) {
    RV_ASSERT(n >= 1);
    for (int64_t i = 0; i < size; i++) {
        double sum = 0;
        for (int k = 0; k < n; k++) sum += (double)set[k][i];
        out[i] = (rv_real)(sum / n);
    }
}
