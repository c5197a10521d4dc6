#include "timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double rv__quantile(double *v, int n, double q) {
    qsort(v, (size_t)n, sizeof *v, ascending);
    double at = q * (n - 1);
    int i = (int)at;
    return i + 1 < n ? v[i] + (at - i) * (v[i + 1] - v[i]) : v[i];
}

void rv__progress(int done, int total, const char *now) {
    static double begin;
    if (!isatty(STDERR_FILENO)) return;
    if (done == 0) begin = rv_now();
    char left[32] = "";
    if (done) {
        int s = (int)((rv_now() - begin) / done * (total - done));
        snprintf(left, sizeof left, ", %d:%02d left", s / 60, s % 60);
    }
    if (done < total)
        fprintf(stderr, "\r\033[K%d/%d %s%s", done + 1, total, now, left);
    else
        fprintf(stderr, "\r\033[K");
    fflush(stderr);
}
