/* Axes: ranges, round ticks, numbers people can read, and labels moved apart. */
#include <math.h>
#include <string.h>

#include "report/chart_private.h"

/* ---- numbers ---- */

static void superscript(char *out, int e) {
    static const char *const digit[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    char plain[16];
    snprintf(plain, sizeof plain, "%d", e);
    for (const char *p = plain; *p; p++) strcat(out, *p == '-' ? "⁻" : digit[*p - '0']);
}

static int decimals_of(double step) {
    if (!(step > 0)) return 0;
    const int d = (int)ceil(-log10(step) - 1e-6);
    return d < 0 ? 0 : d > 12 ? 12 : d;
}

void rv__number(char out[RV__NUMBER], double v, double step, double most) {
    static const struct {
        double one;
        const char *name;
    } units[] = {{1e9, "G"}, {1e6, "M"}, {1e3, "k"}};
    const double size = fabs(v);
    const char *minus = v < 0 ? "−" : "";
    if (!isfinite(v)) {
        snprintf(out, RV__NUMBER, "–");
    } else if (size < step * 1e-6 || v == 0) {
        snprintf(out, RV__NUMBER, "0");
    } else if (most < 1e-3 || (size < 1e-3 * (1 - 1e-9) && step < 1e-3) ||
               size >= 1e12) { /* mantissa and power of ten */
        int e = (int)floor(log10(size) + 1e-9);
        const double mantissa = size / pow(10, e);
        const int d = decimals_of(step / pow(10, e));
        if (fabs(mantissa - 1) < 1e-9)
            snprintf(out, RV__NUMBER, "%s10", minus);
        else
            snprintf(out, RV__NUMBER, "%s%.*f·10", minus, d > 6 ? 6 : d, mantissa);
        superscript(out, e);
    } else {
        double one = 1;
        const char *name = "";
        for (size_t i = 0; i < sizeof units / sizeof *units && most >= 1e4; i++)
            if (size >= units[i].one * (1 - 1e-9)) {
                one = units[i].one;
                name = units[i].name;
                break;
            }
        const int d = one > 1 && fabs(size / one - round(size / one)) < 1e-9
                          ? 0
                          : decimals_of(step / one); /* 1M between 0.5M and 1.5M */
        snprintf(out, RV__NUMBER, "%s%.*f%s", minus, d, size / one, name);
    }
}

/* ---- range ---- */

/* The round step (1, 2, 5 times a power of ten) that gives at most about `ticks` of them. */
static double round_step(double range, double ticks) {
    const double raw = range / fmax(ticks, 1), ten = pow(10, floor(log10(raw)));
    const double part = raw / ten;
    return ten * (part <= 1 + 1e-9 ? 1 : part <= 2 + 1e-9 ? 2 : part <= 5 + 1e-9 ? 5 : 10);
}

void rv__axis_range(rv__axis *a, double low, double high, bool log, bool outward, int ticks) {
    *a = (rv__axis){.log = log};
    if (low > high) low = log ? 1 : 0, high = log ? 10 : 1;
    if (log) {
        low = fmax(low, 1e-300), high = fmin(fmax(high, low), 1e300);
        double pad = outward ? 0.04 * (log10(high) - log10(low)) : 0;
        if (high / low < 1.0001) pad = 0.15;
        a->low = fmax(low * pow(10, -pad), 1e-300);
        a->high = fmin(high * pow(10, pad), 1e300);
        return;
    }
    low = fmax(low, -1e300), high = fmin(high, 1e300);
    if (high - low <= 1e-9 * fmax(fabs(low), fabs(high))) {
        const double half = low == 0 && high == 0 ? 0.5 : 0.05 * fmax(fabs(low), fabs(high));
        low -= half, high += half;
    }
    if (outward) {
        const double step = round_step(high - low, ticks);
        low = floor(low / step + 1e-6) * step, high = ceil(high / step - 1e-6) * step;
    }
    a->low = low, a->high = high;
}

bool rv__axis_has(const rv__axis *a, double v) { return isfinite(v) && (!a->log || v > 0); }

double rv__axis_px(const rv__axis *a, double v) {
    const double part =
        a->log ? (log(v) - log(a->low)) / (log(a->high) - log(a->low)) : (v - a->low) / (a->high - a->low);
    return fmin(fmax(a->from + (a->to - a->from) * part, -9999), 9999); /* far outside is outside */
}

/* ---- ticks ---- */

static void add(rv__axis *a, double v, double step, double most) {
    if (a->n == RV__TICKS) return;
    a->tick[a->n] = v;
    rv__number(a->label[a->n++], v, step, most);
}

static void linear_ticks(rv__axis *a, double ticks) {
    const double step = round_step(a->high - a->low, ticks), slack = 1e-6 * step;
    const double most = fmax(fabs(a->low), fabs(a->high));
    a->n = 0;
    for (double k = ceil((a->low - slack) / step); k * step <= a->high + slack && a->n < RV__TICKS; k++)
        add(a, k * step, step, most);
}

/* Powers of ten, or of two: every `each`-th; `between`: with 2 and 5 times them. */
static void power_ticks(rv__axis *a, int each, bool between, bool twos) {
    static const double part[] = {1, 2, 5};
    const double base = twos ? log10(2) : 1, slack = 1e-9;
    a->n = 0;
    const double first = ceil(log10(a->low) / base - (between ? 1 : 0) - slack);
    for (double e = first; e * base <= log10(a->high) + slack && a->n < RV__TICKS; e++) {
        if (fabs(fmod(e, each)) > 0.5) continue;
        for (int i = 0; i < (between ? 3 : 1); i++) {
            const double v = part[i] * (twos ? exp2(e) : pow(10, e));
            if (v < a->low * (1 - slack) || v > a->high * (1 + slack)) continue;
            add(a, v,
                twos && e < 0 ? v
                : twos        ? 1
                              : part[i] * pow(10, e),
                twos && a->high < 2e6 ? 0.01 : fmax(a->high, 1e4));
            if (twos && a->high < 2e6 && e >= 0) snprintf(a->label[a->n - 1], RV__NUMBER, "%.0f", v);
        }
    }
}

/* Whether labels keep apart, and how many there are. */
static bool fits(const rv__axis *a, bool upright) {
    double end = -1e9;
    const double sign = a->to < a->from ? -1 : 1;
    for (int i = 0; i < a->n; i++) {
        const double at = sign * rv__axis_px(a, a->tick[i]),
                     half = upright ? 0.6 * RV__LINE : rv__text_width(a->label[i]) / 2 + 6;
        if (at - half < end) return false;
        end = at + half;
    }
    return a->n < RV__TICKS;
}

void rv__axis_ticks(rv__axis *a, bool upright, bool twos) {
    const double length = fabs(a->to - a->from);
    if (a->log && !twos) {
        power_ticks(a, 1, true, false);
        if (fits(a, upright) && a->n >= 3) return;
    }
    if (a->log && a->high / a->low > (twos ? 3.9 : 30)) /* two doublings are enough */
        for (int each = 1; each < 400; each++) {
            power_ticks(a, each, false, twos);
            if (fits(a, upright)) {
                if (a->n >= 2) return;
                break;
            }
        }
    for (double ticks = fmax(length / (upright ? 40 : 60), upright ? 0 : 5); ticks > 0.5;
         ticks = ticks > 2 ? ticks - 1 : ticks / 2) {
        linear_ticks(a, ticks);
        if (a->n && fits(a, upright)) return;
    }
    for (double ticks = 1; ticks < 100; ticks *= 1.5) { /* no room: one round number somewhere */
        linear_ticks(a, ticks);
        if (a->n) break;
    }
    if (!a->n) return;
    memmove(a->label[0], a->label[a->n / 2], sizeof *a->label);
    a->tick[0] = a->tick[a->n / 2];
    a->n = 1;
}

/* ---- labels ---- */

/* Isotonic regression by pooling neighbours: place i wants y[i] - i gap, and these must not descend. */
void rv__spread(int n, double *y, double gap, double top, double bottom) {
    for (int i = 0; i < n; i++) y[i] -= i * gap;
    for (int i = 1; i < n; i++) {
        /* Pool backwards: entries of a pool are equal, so a pool's start is where the value changes. */
        int from = i;
        double sum = y[i], mean = y[i];
        while (from > 0 && y[from - 1] > mean) {
            const double before = y[from - 1];
            while (from > 0 && y[from - 1] == before) sum += y[--from];
            mean = sum / (i - from + 1);
        }
        for (int k = from; k <= i; k++) y[k] = mean;
    }
    const double last = bottom - (n - 1) * gap;
    for (int i = 0; i < n; i++) y[i] = fmax(fmin(y[i], last), top) + i * gap;
}
