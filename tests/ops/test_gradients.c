/* Every op's backward against central differences, in double. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "autograd/gradcheck.h"
#include "ops/ops.h"

Test(gradients, every_op) {
    for (int i = 0; rv_ops[i]; i++) {
        const rv_op *op = rv_ops[i];
        rv_gradcheck_report r;
        cr_assert_eq(rv_gradcheck(op, &r), RV_OK, "%s: %s", op->name, rv_error_message());
        cr_expect_gt(r.checked, 0, "%s has no sample", op->name);
        cr_expect_lt(r.worst, op->smooth ? 1e-7 : 1e-6,
                     "%s: sample %d, leaf %d, element %lld: backward %.12g, differences %.12g (error %.2g)", op->name,
                     r.sample, r.leaf, (long long)r.elem, r.analytic, r.numeric, r.worst);
    }
}
