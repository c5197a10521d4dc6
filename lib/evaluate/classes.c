#include "evaluate/classes.h"

#include <math.h>

double rv_f1(double right, double told, double there) { return right > 0 ? 2 * right / (told + there) : 0; }

double rv_macro_f1(int C, const int64_t *confusion) {
    double sum = 0;
    int counted = 0;
    for (int c = 0; c < C; c++) {
        double told = 0, there = 0;
        for (int k = 0; k < C; k++) {
            there += (double)confusion[c * C + k];
            told += (double)confusion[k * C + c];
        }
        if (told + there > 0) sum += rv_f1((double)confusion[c * C + c], told, there), counted++;
    }
    return counted ? sum / counted : NAN;
}
