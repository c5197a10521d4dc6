/* Shapes: sizes, rows, axes from either end, and how they are written in messages. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "tensor/tensor.h"

static const rv_tensor scalar = {.ndim = 0}, vector = {.ndim = 1, .dim = {7}}, cube = {.ndim = 3, .dim = {2, 3, 5}},
                       none = {.ndim = 2, .dim = {4, 0}};

Test(tensor, sizes) {
    cr_expect_eq(rv_numel(&scalar), 1);
    cr_expect_eq(rv_numel(&vector), 7);
    cr_expect_eq(rv_numel(&cube), 30);
    cr_expect_eq(rv_numel(&none), 0);
    const rv_tensor large = {.ndim = 2, .dim = {INT64_C(1) << 33, 3}};
    cr_expect_eq(rv_numel(&large), INT64_C(3) << 33);
}

/* The rows of a matrix view are all dimensions but the last; a scalar is one row. */
Test(tensor, rows) {
    cr_expect_eq(rv_rows(&scalar), 1);
    cr_expect_eq(rv_rows(&vector), 1);
    cr_expect_eq(rv_rows(&cube), 6);
    cr_expect_eq(rv_rows(&none), 4);
}

Test(tensor, axes_from_either_end) {
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(rv_dim(&cube, i), cube.dim[i]);
        cr_expect_eq(rv_dim(&cube, i - 3), cube.dim[i]);
    }
}

/* Dimensions beyond ndim do not count. */
Test(tensor, same_shape) {
    rv_tensor other = {.ndim = 3, .dim = {2, 3, 5, 9}};
    cr_expect(rv_same_shape(&cube, &other));
    cr_expect(rv_same_shape(&scalar, &(rv_tensor){.ndim = 0, .dim = {4}}));
    for (int i = 0; i < 3; i++) {
        rv_tensor changed = cube;
        changed.dim[i]++;
        cr_expect(!rv_same_shape(&cube, &changed), "dimension %d", i);
    }
    other.ndim = 2;
    cr_expect(!rv_same_shape(&cube, &other));
    cr_expect(!rv_same_shape(&vector, &(rv_tensor){.ndim = 2, .dim = {1, 7}}), "(7) and (1, 7) are two shapes");
    cr_expect(!rv_same_shape(&scalar, &(rv_tensor){.ndim = 1, .dim = {1}}));
}

static void expect_text(const rv_tensor *t, const char *want) {
    char buf[RV_SHAPE_TEXT];
    cr_expect_eq(rv_shape_text(t, buf, sizeof buf), buf);
    cr_expect_str_eq(buf, want);
}

Test(tensor, text_of_a_shape) {
    expect_text(&scalar, "()");
    expect_text(&vector, "(7)");
    expect_text(&none, "(4, 0)");
    expect_text(&cube, "(2, 3, 5)");
    const rv_tensor longest = {.ndim = RV_MAX_DIMS, .dim = {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN}};
    expect_text(&longest, "(-9223372036854775808, -9223372036854775808, -9223372036854775808, -9223372036854775808)");
}

/* A smaller buffer holds as much as fits, and its end. */
Test(tensor, text_that_does_not_fit) {
    const char *whole = "(2, 3, 5)";
    for (size_t size = 1; size <= strlen(whole); size++) {
        char buf[RV_SHAPE_TEXT];
        memset(buf, '#', sizeof buf);
        rv_shape_text(&cube, buf, size);
        cr_expect_eq(strlen(buf), size - 1);
        cr_expect(!strncmp(buf, whole, size - 1), "%s in %zu bytes", buf, size);
        for (size_t i = size; i < sizeof buf; i++) cr_assert_eq(buf[i], '#', "byte %zu of %zu was written", i, size);
    }
}
