/* Stored reference vectors: tests/reference/NAME.h5, made by tests/reference/make_NAME.py. */
#ifndef RV_TESTS_REFERENCE_H
#define RV_TESTS_REFERENCE_H

#include <stdint.h>

/* A dataset of numbers as double, row-major; free() it. `file` is a name in tests/reference ("optim.h5"). ndim and dims
 * (room for 8) may be NULL. Prints what is missing and aborts the test if it cannot be read. */
double *rv_ref_read(const char *file, const char *path, int *ndim, int64_t *dims);
/* Does the path exist? */
int rv_ref_has(const char *file, const char *path);

#endif
