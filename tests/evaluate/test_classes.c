/* F1 by hand, and as scikit-learn's f1_score(average="macro", zero_division=0) defines it: over the classes that are
 * there or told. */
#include <criterion/criterion.h>
#include <math.h>

#include "evaluate/classes.h"

Test(classes, f1_of_one_class) {
    cr_expect_float_eq(rv_f1(3, 4, 6), 0.6, 1e-15); /* precision 3/4, recall 1/2 */
    cr_expect_eq(rv_f1(0, 5, 5), 0, "never right");
    cr_expect_eq(rv_f1(0, 0, 5), 0, "never told");
    cr_expect_eq(rv_f1(4, 4, 4), 1);
}

/* Of a confusion matrix (C, C), row the true class, column the one that was told. */
static double of_confusion(int C, const int64_t *confusion) {
    double of[3 * 3] = {0};
    for (int c = 0; c < C; c++)
        for (int k = 0; k < C; k++) {
            of[3 * c + 2] += (double)confusion[c * C + k];
            of[3 * k + 1] += (double)confusion[c * C + k];
            if (c == k) of[3 * c] = (double)confusion[c * C + k];
        }
    return rv_macro_f1(C, of);
}

Test(classes, macro_f1) {
    /* true 0 0 0 1 1 2 2 2 2, told 0 0 1 1 2 2 2 2 0 */
    static const int64_t three[] = {2, 1, 0, 0, 1, 1, 1, 0, 3};
    cr_expect_float_eq(of_confusion(3, three), (2. / 3 + 1. / 2 + 3. / 4) / 3, 1e-15);
}

Test(classes, a_class_that_is_never_right_counts_as_zero) {
    static const int64_t there[] = {3, 0, 2, 0}; /* class 1 is there and never told */
    static const int64_t told[] = {3, 2, 0, 0};  /* it is told and never there */
    cr_expect_float_eq(of_confusion(2, there), 0.5 * 2 * 3 / 8., 1e-15);
    cr_expect_float_eq(of_confusion(2, told), 0.5 * 2 * 3 / 8., 1e-15);
}

Test(classes, a_class_that_is_neither_there_nor_told_does_not_count) {
    static const int64_t three[] = {2, 0, 1, 0, 0, 0, 1, 0, 4};
    static const int64_t two[] = {2, 1, 1, 4};
    cr_expect_float_eq(of_confusion(3, three), of_confusion(2, two), 1e-15);
    cr_expect(isnan(of_confusion(2, (int64_t[]){0, 0, 0, 0})));
}
