/* Which keys are widths, and how they follow each other. */
#include "train/model_config.h"

typedef struct {
    int n;
    rv_model_width *w;
} widths;

static int64_t gcd(int64_t a, int64_t b) { return b ? gcd(b, a % b) : a; }
static int64_t lcm(int64_t a, int64_t b) { return a / gcd(a, b) * b; }

static rv_model_width *add(widths *s, const rv_config *c, const char *key) {
    if (!rv_config_has(c, key)) return NULL;
    rv_model_width *w = &s->w[s->n++];
    *w = (rv_model_width){
        .key = key, .base = rv_config_int(c, key), .unit = 1, .follows = -1, .given = rv_config_given(c, key)};
    return w;
}

/* Heads of a transformer's part, 0 if it is recurrent or not there. */
static int64_t heads(const rv_config *c, const char *type, const char *key) {
    return rv_config_is(c, type, "transformer") ? rv_config_int(c, key) : 0;
}

static void collect(const rv_config *c, widths *s) {
    s->n = 0;
    int64_t e = heads(c, "model.encoder.type", "model.encoder.num_heads"),
            d = heads(c, "model.decoder.type", "model.decoder.num_heads");
    int64_t unit = lcm(e ? e : 1, d ? d : 1);
    if (rv_config_is(c, "model.position", "sinusoidal")) unit = lcm(unit, 2);
    rv_model_width *enc = add(s, c, "model.encoder.hidden_size"), *dec = add(s, c, "model.decoder.hidden_size");
    if (enc && e) enc->unit = unit;
    if (dec && d) dec->unit = unit;
    if (enc && dec && e && d) dec->follows = 0, dec->times = 1; /* both are as wide as the embedding */
    bool as_wide = rv_config_is(c, "model.bridge", "copy") || rv_config_is(c, "model.attention.score", "dot");
    if (enc && dec && as_wide && !d) {
        dec->follows = 0;
        dec->times = rv_config_is(c, "model.encoder.bidirectional", "true") ? 2 : 1;
    }
    bool reads_state = !rv_config_has(c, "model.readout_size");
    rv_model_width *emb = e || d || (rv_config_ties_output(c) && reads_state) ? add(s, c, "model.embedding_dim") : NULL;
    if (emb && !emb->given)
        s->n--; /* its default follows */
    else if (emb)
        emb->follows = e || !enc ? 0 : 1, emb->times = 1;
    static const char *const beside[] = {"model.encoder.ff_size", "model.decoder.ff_size", "model.attention.size",
                                         "model.pooling_size",    "model.readout_size",    "model.letters.hidden_size"};
    for (int i = 0; i < 6; i++) {
        const bool readout = i == 4;
        if (readout && rv_config_ties_output(c)) continue;
        rv_model_width *w = add(s, c, beside[i]);
        if (w && readout && !w->given)
            s->n--; /* as wide as the embedding, which stays */
        else if (w)
            w->fine = s->n > 1; /* what reads letters may be all that there is */
    }
    if (dec && enc && dec->follows < 0 && !d) dec->fine = true;
}

int rv_model_widths(const rv_config *config, rv_model_width found[RV_MODEL_WIDTHS]) {
    widths s = {.w = found};
    collect(config, &s);
    return s.n;
}
