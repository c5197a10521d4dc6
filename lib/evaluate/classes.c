#include "evaluate/classes.h"

#include <math.h>

double rv_f1(double right, double told, double there) { return right > 0 ? 2 * right / (told + there) : 0; }

double rv_macro_f1(int C, const double *of) {
    double sum = 0;
    int counted = 0;
    for (int c = 0; c < C; c++, of += 3)
        if (of[1] + of[2] > 0) sum += rv_f1(of[0], of[1], of[2]), counted++;
    return counted ? sum / counted : NAN;
}
