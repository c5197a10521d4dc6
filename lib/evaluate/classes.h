/** Measures of classification: what each class was taken for. */
#ifndef RV_EVALUATE_CLASSES_H
#define RV_EVALUATE_CLASSES_H

#include <stdint.h>

#include "base/status.h"

/** F1 of one class, 2 / (1/precision + 1/recall), from how often it was right, told, and there; 0 where it was never
 *  right. */
RV_API double rv_f1(double right, double told, double there);
/** The mean of F1 over C classes (macro F1), each counting the same: of (C, 3), how often each was right, told, and
 * there. Classes that are neither there nor told do not count; NaN without any. */
RV_API double rv_macro_f1(int C, const double *of);

#endif
