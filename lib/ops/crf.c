/* The loss of a linear chain: with z the scores, log Z(z) - score(z, gold), whose gradient is what the model expects
 * less what is there: the marginals of labels and steps less 1 for each of the gold path's. */
#include <math.h>
#include <string.h>

#include "kernels/flops.h"
#include "ops/ops_private.h"

enum { EMISSIONS, TRANSITION, START, STOP, INPUTS };

/* Gradients of the sum over rows, for an incoming gradient of 1; NULL where none is wanted. */
typedef struct {
    rv_real *d[INPUTS];
    int64_t positions;
} crf_ctx;

static const rv_real *banned(rv_tape *tape, const rv_tensor *x, const uint8_t *allowed) {
    if (!allowed) return x->x;
    const int64_t n = rv_numel(x);
    rv_real *y = rv_tape_alloc(tape, (size_t)n * sizeof *y);
    for (int64_t i = 0; y && i < n; i++) y[i] = allowed[i] ? x->x[i] : -INFINITY;
    return y;
}

/* false: shapes that do not fit are a sticky error. */
static bool check_shapes(rv_tape *tape, const rv_crf_spec *s) {
    const rv_tensor *e = s->emissions;
    char text[RV_SHAPE_TEXT];
    if (e->ndim != 3 || e->dim[1] < 1 || e->dim[2] < 1) {
        rv_tape_fail(tape, RV_ESHAPE, "crf: emissions of shape %s; they need 3 dimensions, (batch, positions, labels)",
                     rv_shape_text(e, text, sizeof text));
        return false;
    }
    const int64_t K = e->dim[2];
    const struct {
        const rv_tensor *x;
        int ndim;
        const char *remedy;
    } parts[] = {{s->transition, 2, "the transitions need a row and a column for each label"},
                 {s->start, 1, "the start needs one element for each label"},
                 {s->stop, 1, "the stop needs one element for each label"}};
    for (int i = 0; i < 3; i++) {
        const rv_tensor *x = parts[i].x;
        if (x->ndim == parts[i].ndim && x->dim[0] == K && x->dim[x->ndim - 1] == K) continue;
        rv__shape_fail(tape, "crf", e, x, parts[i].remedy);
        return false;
    }
    return true;
}

bool rv_crf_chain(rv_tape *tape, const rv_crf_spec *s, rv_chain *chain) {
    if (!s->emissions || !s->transition || !s->start || !s->stop || !check_shapes(tape, s)) return false;
    const int64_t B = s->emissions->dim[0], T = s->emissions->dim[1];
    for (int64_t b = 0; b < B; b++)
        if (s->lengths[b] < 1 || s->lengths[b] > T) {
            rv_tape_fail(tape, RV_EDATA, "crf: row %lld has %d positions; it needs at least 1 and at most %lld",
                         (long long)b, (int)s->lengths[b], (long long)T);
            return false;
        }
    *chain = (rv_chain){.B = B,
                        .T = T,
                        .K = s->emissions->dim[2],
                        .order = 1,
                        .lengths = s->lengths,
                        .emission = s->emissions->x,
                        .start = banned(tape, s->start, s->allowed_start),
                        .stop = banned(tape, s->stop, s->allowed_stop),
                        .transition = banned(tape, s->transition, s->allowed)};
    return chain->start && chain->stop && chain->transition;
}

/* What bans the gold path at this position, or NULL. */
static const char *ban(const rv_crf_spec *s, int64_t K, const int32_t *y, int64_t t, int64_t L) {
    if (t == 0 && s->allowed_start && !s->allowed_start[y[0]]) return "no path may begin with it";
    if (t > 0 && s->allowed && !s->allowed[y[t - 1] * K + y[t]]) return "it may not follow the label before";
    if (t == L - 1 && s->allowed_stop && !s->allowed_stop[y[t]]) return "no path may end with it";
    return NULL;
}

static bool check_gold(rv_tape *tape, const rv_crf_spec *s, const rv_chain *c) {
    for (int64_t b = 0; b < c->B; b++)
        for (int64_t t = 0; t < c->lengths[b]; t++) {
            const int32_t *y = s->tags + b * c->T, tag = y[t];
            const bool there = tag >= 0 && tag < c->K;
            const char *why = there ? ban(s, c->K, y, t, c->lengths[b]) : "there is no such label";
            if (!why) continue;
            rv_tape_fail(tape, RV_EDATA,
                         "crf: gold label %d of row %lld at position %lld: %s; mend the data's labels, or the rules of "
                         "what may follow what",
                         (int)tag, (long long)b, (long long)t, why);
            return false;
        }
    return true;
}

/* d holds what is expected; what is there goes off. Start and stop: the first and the last positions of the rows. */
static void subtract_gold(const rv_chain *c, const int32_t *tags, rv_real *const d[INPUTS]) {
    const int64_t K = c->K;
    memset(d[START], 0, (size_t)K * sizeof(rv_real));
    memset(d[STOP], 0, (size_t)K * sizeof(rv_real));
    for (int64_t b = 0; b < c->B; b++) {
        const int32_t *y = tags + b * c->T;
        rv_real *p = d[EMISSIONS] + b * c->T * K, *last = p + (c->lengths[b] - 1) * K;
        for (int64_t t = 0; t < c->lengths[b]; t++) p[t * K + y[t]] -= 1;
        for (int64_t t = 1; t < c->lengths[b]; t++) d[TRANSITION][y[t - 1] * K + y[t]] -= 1;
        for (int64_t k = 0; k < K; k++) d[START][k] += p[k], d[STOP][k] += last[k];
    }
}

/* Sum of the rows' losses; with d their gradients. */
static double loss_of(rv_tape *tape, const rv_crf_spec *s, const rv_chain *c, rv_real *const d[INPUTS]) {
    double *log_z = rv_tape_alloc(tape, (size_t)c->B * sizeof *log_z), total = 0;
    double *score = rv_tape_alloc(tape, (size_t)c->B * sizeof *score);
    void *room = rv_tape_alloc(tape, rv_chain_room(c));
    if (!log_z || !score || !room) return NAN;
    if (d[EMISSIONS]) {
        rv_chain_expected(c, room, d[EMISSIONS], d[TRANSITION], log_z);
        subtract_gold(c, s->tags, d);
    } else {
        rv_chain_log_z(c, room, log_z);
    }
    rv_chain_score(c, s->tags, score);
    for (int64_t b = 0; b < c->B; b++) total += log_z[b] - score[b];
    return total;
}

rv_tensor *rv_crf(rv_tape *tape, const rv_crf_spec *s) {
    rv_tensor *inputs[INPUTS] = {s->emissions, s->transition, s->start, s->stop};
    if (!s->emissions || !s->transition || !s->start || !s->stop) return NULL;
    rv_tensor *y = rv_tape_tensor(tape, 0, NULL);
    crf_ctx ctx = {0};
    if (y && rv_tape_records(tape, INPUTS, inputs))
        for (int i = 0; i < INPUTS; i++) ctx.d[i] = rv_tape_alloc(tape, (size_t)rv_numel(inputs[i]) * sizeof(rv_real));
    const rv_arena_mark mark = rv_tape_mark(tape);
    rv_chain chain;
    if (!y || !rv_crf_chain(tape, s, &chain) || !check_gold(tape, s, &chain)) return NULL;
    for (int64_t b = 0; b < chain.B; b++) ctx.positions += chain.lengths[b];
    const double loss = loss_of(tape, s, &chain, ctx.d);
    if (rv_tape_status(tape) != RV_OK) return NULL;
    y->x[0] = ctx.positions ? (rv_real)(loss / (double)ctx.positions) : 0;
    rv_tape_rewind(tape, mark);
    rv_node *node = rv_tape_record(tape, &rv__op_crf, INPUTS, inputs, 1, &y, sizeof ctx);
    if (node) *(crf_ctx *)node->ctx = ctx;
    return y;
}

static void crf_backward(rv_tape *tape, rv_node *node) {
    const crf_ctx *c = node->ctx;
    const rv_real scale = c->positions ? rv_out_grad(node, 0)[0] / (rv_real)c->positions : 0;
    for (int i = 0; i < INPUTS; i++) rv__hand_on(node->in[i], c->d[i], scale);
}

/* B rows of T positions with K labels; with mask one in three steps is banned, none of which the gold path takes. */
static rv_tensor *sample_of(rv_tape *t, int64_t B, int64_t T, int64_t K, bool mask) {
    enum { ROWS = 40, LONGEST = 20, LABELS = 17 };
    static int32_t tags[ROWS * LONGEST], lengths[ROWS]; /* the same at every call */
    static uint8_t allowed[LABELS * LABELS], ends[LABELS];
    for (int64_t i = 0; i < K * K; i++) allowed[i] = i % 3 != 1;
    for (int64_t i = 0; i < K; i++) ends[i] = i != 1;
    for (int64_t b = 0; b < B; b++) {
        lengths[b] = (int32_t)(1 + b * 7 % T);
        for (int64_t i = 0; i < T; i++) tags[b * T + i] = -1;
        for (int64_t i = 0; i < lengths[b]; i++) {
            int32_t tag = (int32_t)((5 * b + i * i) % K), *at = tags + b * T + i;
            while (mask && (!ends[tag] || (i && !allowed[at[-1] * K + tag]))) tag = (int32_t)((tag + 1) % K);
            *at = tag;
        }
    }
    rv_tensor *e = rv_sample_leaf(t, -2, 2, RV_DIMS(B, T, K)), *transition = rv_sample_leaf(t, -1, 1, RV_DIMS(K, K));
    rv_tensor *start = rv_sample_leaf(t, -1, 1, RV_DIMS(K)), *stop = rv_sample_leaf(t, -1, 1, RV_DIMS(K));
    return rv_crf(t, &(rv_crf_spec){.emissions = e,
                                    .transition = transition,
                                    .start = start,
                                    .stop = stop,
                                    .tags = tags,
                                    .lengths = lengths,
                                    .allowed = mask ? allowed : NULL,
                                    .allowed_start = mask ? ends : NULL,
                                    .allowed_stop = mask ? ends : NULL});
}

static rv_tensor *crf_sample(rv_tape *t, int k) {
    switch (k) {
    case 0: return sample_of(t, 3, 4, 3, false);
    case 1: return sample_of(t, 5, 3, 5, true);
    case 2: return rv_affine(t, sample_of(t, 2, 1, 4, false), -3, 1); /* a gradient that is not 1 */
    case 3: return sample_of(t, 40, 20, 17, true);
    }
    return NULL;
}
const rv_op rv__op_crf = {"crf", crf_backward, crf_sample, 0, true};
