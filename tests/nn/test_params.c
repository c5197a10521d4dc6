/* Parameters: what a forward pass uses each for, and the work that follows from it. */
#include <criterion/criterion.h>

#include "ravel.h"

/* By hand: 3 source positions and 5 predicted ones; a matrix of 6 x 4 makes 48 FLOPs of each vector it meets. */
Test(params, work_of_each_use) {
    enum { S = 3, T = 5 };
    static const struct {
        rv_use use;
        double matrix;
    } uses[] = {
        {RV_USE_STEP, 48 * T},
        {RV_USE_SOURCE, 48 * S},
        {RV_USE_CROSS, 16 * T + 32 * S}, /* queries are a third of it, keys and values two */
        {RV_USE_EXAMPLE, 48},
        {RV_USE_LOOK_UP, 0},
    };
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        rv_params *ps = rv_params_create();
        const rv_init zero = {RV_INIT_ZERO};
        rv_tensor *matrix = rv_params_add(ps, zero, 2, (int64_t[]){6, 4}, "matrix");
        rv_tensor *vector = rv_params_add(ps, zero, 1, (int64_t[]){6}, "vector");
        rv_tensor *cube = rv_params_add(ps, zero, 3, (int64_t[]){2, 3, 4}, "cube");
        cr_expect_eq(rv_params_use(ps, matrix, uses[i].use), matrix);
        cr_expect_eq(rv_params_use(ps, vector, uses[i].use), vector);
        cr_expect_eq(ps->p[0]->use, uses[i].use);
        cr_expect_eq(rv_param_flops(ps->p[0], S, T), uses[i].matrix, "use %d", (int)uses[i].use);
        cr_expect_eq(rv_param_flops(ps->p[1], S, T), 0, "vectors are added, not multiplied");
        cr_expect_eq(ps->p[2]->use, RV_USE_STEP, "until somebody says so");
        cr_expect_eq(rv_param_flops(ps->p[2], S, T), 48 * T);
        rv_tensor elsewhere = *cube;
        cr_expect_eq(rv_params_use(ps, &elsewhere, RV_USE_LOOK_UP), &elsewhere);
        cr_expect_eq(ps->p[2]->use, RV_USE_STEP, "a tensor of nobody is none of these");
        rv_params_destroy(ps);
    }
}
