/* Matching: which widths make a model as large, or as costly, as another.
 *
 * All widths that the file gives are scaled by one factor, and rounded to what the model allows. Where steps of the
 * narrowest unit are too coarse (heads divide a transformer's width), the widths beside the states (feed-forward,
 * attention, readout) are then scaled a little more or less. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compare/compare_private.h"
#include "train/model_config.h"

enum { WIDEST = 65536 };

typedef struct {
    int n;
    rv_model_width w[RV_MODEL_WIDTHS];
} widths;

/* The widths when the first is k units, the fine ones times `fine`. with_all: those that are not given, too. */
static void scale(const widths *s, int64_t k, double fine, bool with_all, rv__widths *out) {
    double factor = (double)(k * s->w[0].unit) / (double)s->w[0].base;
    int64_t value[RV_MODEL_WIDTHS];
    out->n = 0;
    for (int i = 0; i < s->n; i++) {
        const rv_model_width *w = &s->w[i];
        double x = factor * (double)w->base * (w->fine ? fine : 1);
        value[i] = w->follows >= 0 ? w->times * value[w->follows] : (int64_t)llround(x / (double)w->unit) * w->unit;
        if (i == 0) value[i] = k * w->unit;
        if (value[i] < w->unit) value[i] = w->unit;
        if (!w->given && !with_all) continue;
        out->key[out->n] = w->key;
        out->width[out->n++] = value[i];
    }
}

void rv__widths_of(const rv_config *config, rv__widths *out) {
    widths s;
    s.n = rv_model_widths(config, s.w);
    out->n = 0;
    for (int i = 0; i < s.n; i++)
        if (s.w[i].given) out->key[out->n] = s.w[i].key, out->width[out->n++] = s.w[i].base;
}

typedef struct {
    const widths *s;
    double target, tolerance;
    rv__size_of size;
    void *ctx;
    rv__widths best;
    double best_value;
    bool any;
} search;

static double off(const search *f, double value) { return fabs(value / f->target - 1); }

/* The size at k units; the nearest so far is kept. */
static rv_status try(search *f, int64_t k, double fine, bool with_all, double *value) {
    rv__widths w;
    scale(f->s, k, fine, with_all, &w);
    RV_TRY(f->size(f->ctx, &w, value));
    if (f->any && off(f, *value) >= off(f, f->best_value)) return RV_OK;
    f->best = w;
    f->best_value = *value;
    f->any = true;
    return RV_OK;
}

/* The fine widths at k units, by halving the interval of their factor. */
static rv_status refine(search *f, int64_t k) {
    double low = 0.25, high = 4, value;
    for (int i = 0; i < 24 && off(f, f->best_value) > f->tolerance; i++) {
        double middle = sqrt(low * high);
        RV_TRY(try(f, k, middle, true, &value));
        if (value < f->target)
            low = middle;
        else
            high = middle;
    }
    return RV_OK;
}

rv_status rv__match_widths(const rv_config *config, double target, double tolerance, rv__size_of size, void *ctx,
                           rv__widths *out, double *value) {
    widths s;
    s.n = rv_model_widths(config, s.w);
    search f = {.s = &s, .target = target, .tolerance = tolerance, .size = size, .ctx = ctx};
    RV_ASSERT(s.n > 0);
    /* Between `low` units, which are too few, and `high`, which are enough. */
    int64_t most = WIDEST / s.w[0].unit, low = 0, high = s.w[0].base / s.w[0].unit;
    if (high < 1) high = 1;
    for (;;) {
        RV_TRY(try(&f, high, 1, false, value));
        if (*value >= target || high >= most) break;
        low = high;
        high = 2 * high < most ? 2 * high : most;
    }
    while (high - low > 1) {
        int64_t middle = (low + high) / 2;
        RV_TRY(try(&f, middle, 1, false, value));
        if (*value < target)
            low = middle;
        else
            high = middle;
    }
    bool fine = false;
    for (int i = 0; i < s.n; i++) fine |= s.w[i].fine;
    if (fine && off(&f, f.best_value) > tolerance) {
        RV_TRY(refine(&f, high));
        if (low > 0) RV_TRY(refine(&f, low));
    }
    *out = f.best;
    *value = f.best_value;
    return RV_OK;
}
