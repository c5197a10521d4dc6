/* Matching: which widths make a model as large, or as costly, as another.
 *
 * All widths that the file gives are scaled by one factor, and rounded to what the model allows. Where steps of the narrowest
 * unit are too coarse (heads divide a transformer's width), the widths beside the states (feed-forward, attention, readout)
 * are then scaled a little more or less. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compare/compare_private.h"

enum { WIDEST = 65536 };

typedef struct {
    const char *key;
    int64_t base, unit;
    int follows; /* another width of which it is `times` as wide, or -1 */
    int64_t times;
    bool fine;   /* may be scaled apart from the others */
    bool given;  /* in the file; others have a default that follows, and are set only to be scaled apart */
} width;

typedef struct {
    int n;
    width w[RV__WIDTHS];
} widths;

static int64_t gcd(int64_t a, int64_t b) { return b ? gcd(b, a % b) : a; }
static int64_t lcm(int64_t a, int64_t b) { return a / gcd(a, b) * b; }

static width *add(widths *s, const rv_config *c, const char *key) {
    if (!rv_config_has(c, key)) return NULL;
    width *w = &s->w[s->n++];
    *w = (width){.key = key, .base = rv_config_int(c, key), .unit = 1, .follows = -1, .given = rv_config_given(c, key)};
    return w;
}

/* Heads of a transformer's part, 0 if it is recurrent or not there. */
static int64_t heads(const rv_config *c, const char *type, const char *key) {
    return rv_config_is(c, type, "transformer") ? rv_config_int(c, key) : 0;
}

/* True if the output layer is the embedding, so that what it reads is as wide as that. */
static bool tied(const rv_config *c) {
    return rv_config_is(c, "model.tie_embeddings", "true") || rv_config_is(c, "model.tie_embeddings", "decoder") || rv_config_is(c, "model.tie_embeddings", "all");
}

static void collect(const rv_config *c, widths *s) {
    s->n = 0;
    int64_t e = heads(c, "model.encoder.type", "model.encoder.num_heads"), d = heads(c, "model.decoder.type", "model.decoder.num_heads");
    int64_t unit = lcm(e ? e : 1, d ? d : 1);
    if (rv_config_is(c, "model.position", "sinusoidal")) unit = lcm(unit, 2);
    width *enc = add(s, c, "model.encoder.hidden_size"), *dec = add(s, c, "model.decoder.hidden_size");
    if (enc && e) enc->unit = unit;
    if (dec && d) dec->unit = unit;
    if (enc && dec && e && d) dec->follows = 0, dec->times = 1; /* both are as wide as the embedding */
    bool as_wide = rv_config_is(c, "model.bridge", "copy") || rv_config_is(c, "model.attention.score", "dot");
    if (enc && dec && as_wide && !d) {
        dec->follows = 0;
        dec->times = rv_config_is(c, "model.encoder.bidirectional", "true") ? 2 : 1;
    }
    bool reads_state = !rv_config_has(c, "model.readout_size");
    width *emb = e || d || (tied(c) && reads_state) ? add(s, c, "model.embedding_dim") : NULL;
    if (emb && !emb->given) s->n--; /* its default follows */
    else if (emb) emb->follows = e || !enc ? 0 : 1, emb->times = 1;
    static const char *const beside[] = {"model.encoder.ff_size", "model.decoder.ff_size", "model.attention.size", "model.pooling_size", "model.readout_size"};
    for (int i = 0; i < 5; i++) {
        const bool readout = i == 4;
        if (readout && tied(c)) continue;
        width *w = add(s, c, beside[i]);
        if (w && readout && !w->given) s->n--; /* as wide as the embedding, which stays */
        else if (w) w->fine = true;
    }
    if (dec && enc && dec->follows < 0 && !d) dec->fine = true;
}

/* The widths when the first is k units, the fine ones times `fine`. with_all: those that are not given, too. */
static void scale(const widths *s, int64_t k, double fine, bool with_all, rv__widths *out) {
    double factor = (double)(k * s->w[0].unit) / (double)s->w[0].base;
    int64_t value[RV__WIDTHS];
    out->n = 0;
    for (int i = 0; i < s->n; i++) {
        const width *w = &s->w[i];
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
    collect(config, &s);
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
        if (value < f->target) low = middle;
        else high = middle;
    }
    return RV_OK;
}

rv_status rv__match_widths(const rv_config *config, double target, double tolerance, rv__size_of size, void *ctx, rv__widths *out, double *value) {
    widths s;
    collect(config, &s);
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
        if (*value < target) low = middle;
        else high = middle;
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
