#include "models/language_model.h"

#include <string.h>

#include "kernels/gemm.h"
#include "kernels/top_k.h"

struct rv_lm {
    rv_lm_config config;
    rv_decoder *decoder;
    rv_tensor *head_weight, *head_bias; /* weight is the embedding when tied */
};

rv_lm *rv_lm_create(rv_params *params, const rv_lm_config *config) {
    rv_lm *lm = rv_alloc(sizeof *lm);
    if (!lm) return NULL;
    lm->config = *config;
    const rv_decoder_kind *kind = config->decoder.kind;
    lm->decoder = kind->create(params, &config->decoder);
    if (!lm->decoder) {
        rv_free(lm);
        return NULL;
    }
    int64_t V = config->decoder.vocab_size, D = kind->hidden_size(&config->decoder);
    if (config->tie_embeddings) {
        RV_ASSERT(D == config->decoder.embedding_dim);
        lm->head_weight = kind->embedding(lm->decoder);
    } else {
        lm->head_weight = rv_params_add(params, config->head_init, 2, (int64_t[]){V, D}, "head.weight");
    }
    if (config->head_bias) lm->head_bias = rv_params_add(params, config->head_bias_init, 1, &V, "head.bias");
    return lm;
}

void rv_lm_destroy(rv_lm *lm) {
    if (!lm) return;
    lm->config.decoder.kind->destroy(lm->decoder);
    rv_free(lm);
}

const rv_lm_config *rv_lm_get_config(const rv_lm *lm) { return &lm->config; }
rv_decoder *rv_lm_decoder(const rv_lm *lm) { return lm->decoder; }

/* A decoder of another kind has no mask: 0. */
bool rv_lm_sees_future(const rv_lm *lm) { return lm->config.decoder.transformer.mask != RV_MASK_BEFORE; }

int64_t rv_lm_row(const rv_lm *lm, int64_t B, int64_t T, int64_t b, int64_t t) {
    return lm->config.decoder.kind->time_major ? t * B + b : b * T + t;
}

const int32_t *rv_lm_arrange(rv_tape *tape, const rv_lm *lm, const int32_t *ids, int64_t B, int64_t T) {
    int32_t *r = rv_tape_alloc(tape, (size_t)(B * T) * sizeof *r);
    for (int64_t b = 0; r && b < B; b++)
        for (int64_t t = 0; t < T; t++) r[rv_lm_row(lm, B, T, b, t)] = ids[b * T + t];
    return r;
}

/* What the head sees: (B T, D). */
static rv_tensor *hidden(rv_tape *tape, rv_lm *lm, const int32_t *x, int64_t B, int64_t T, rv_decoder_state *state, const rv_memory *memory) {
    const int32_t *ids = rv_lm_arrange(tape, lm, x, B, T);
    rv_tensor *h = ids ? lm->config.decoder.kind->forward(tape, lm->decoder, ids, B, T, state, memory) : NULL;
    h = rv_watch_states(tape, h, "head", lm->config.decoder.kind->time_major, "head");
    return h ? rv_reshape(tape, h, 2, (int64_t[]){B * T, rv_dim(h, -1)}) : NULL;
}

rv_tensor *rv_lm_logits(rv_tape *tape, rv_lm *lm, const int32_t *x, int64_t B, int64_t T, rv_decoder_state *state, const rv_memory *memory) {
    return rv_linear(tape, hidden(tape, lm, x, B, T, state, memory), lm->head_weight, lm->head_bias, RV_ACT_NONE);
}

rv_tensor *rv_lm_logits_loss(rv_tape *tape, rv_lm *lm, rv_tensor *logits, const int32_t *y, int64_t B, int64_t T, double label_smoothing) {
    const int32_t *targets = rv_lm_arrange(tape, lm, y, B, T);
    return logits && targets ? rv_cross_entropy(tape, logits, targets, -1, label_smoothing) : NULL;
}

rv_tensor *rv_lm_loss(rv_tape *tape, rv_lm *lm, const int32_t *x, const int32_t *y, int64_t B, int64_t T, rv_decoder_state *state,
                      const rv_memory *memory, double label_smoothing) {
    rv_tensor *h = hidden(tape, lm, x, B, T, state, memory);
    const int32_t *targets = h ? rv_lm_arrange(tape, lm, y, B, T) : NULL;
    return targets ? rv_linear_cross_entropy(tape, h, lm->head_weight, lm->head_bias, targets, -1, label_smoothing) : NULL;
}

bool rv_lm_score(rv_tape *tape, rv_lm *lm, const int32_t *x, const int32_t *y, int64_t B, int64_t T, rv_decoder_state *state, const rv_memory *memory,
                 double *nats, int32_t *best) {
    enum { BLOCK = 512 }; /* rows whose logits are in memory at a time */
    const int64_t rows = B * T, V = lm->config.decoder.vocab_size, most = rows < BLOCK ? rows : BLOCK;
    bool no_grad = rv_tape_no_grad(tape, true);
    rv_tensor *h = hidden(tape, lm, x, B, T, state, memory);
    rv_tape_no_grad(tape, no_grad);
    rv_real *z = rv_tape_alloc(tape, (size_t)(most * V) * sizeof *z), *lse = rv_tape_alloc(tape, (size_t)(2 * most) * sizeof *lse);
    int32_t *id = rv_tape_alloc(tape, (size_t)rows * sizeof *id);
    double *of_row = rv_tape_alloc(tape, (size_t)rows * sizeof *of_row);
    const int32_t *target = h ? rv_lm_arrange(tape, lm, y, B, T) : NULL;
    if (!h || !z || !lse || !id || !of_row || !target) return false;
    const int64_t D = rv_dim(h, -1);
    for (int64_t r = 0; r < rows; r += most) {
        const int64_t n = rows - r < most ? rows - r : most;
        rv_gemm_run(&(rv_gemm){.tb = true, .m = n, .n = V, .k = D, .a = h->x + r * D, .b = lm->head_weight->x, .c = z, .lda = D, .ldb = D, .ldc = V,
                               .bias = lm->head_bias ? lm->head_bias->x : NULL});
        rv_top_k(n, V, z, 1, lse, lse + most, id + r);
        for (int64_t i = 0; i < n; i++) {
            const int32_t t = target[r + i];
            if (t >= V) {
                rv_tape_fail(tape, RV_EDATA, "target %d is not in [0, %lld); was the text encoded with another vocabulary?", (int)t, (long long)V);
                return false;
            }
            of_row[r + i] = t < 0 ? 0 : (double)lse[i] - (double)z[i * V + t];
        }
    }
    for (int64_t b = 0; b < B; b++)
        for (int64_t t = 0; t < T; t++) {
            const int64_t r = rv_lm_row(lm, B, T, b, t);
            nats[b * T + t] = of_row[r];
            best[b * T + t] = id[r];
        }
    return true;
}

rv_decoder_state *rv_lm_state_create(const rv_lm *lm, int64_t B, int64_t capacity) {
    return lm->config.decoder.kind->state_create(lm->decoder, B, capacity);
}

double rv_lm_weight_flops(const rv_lm *lm, const rv_param *p) {
    bool looked_up = !strcmp(p->name, "decoder.embedding.weight") || !strcmp(p->name, "decoder.position.weight");
    return p->t.ndim >= 2 && (!looked_up || &p->t == lm->head_weight) ? 2 * (double)rv_numel(&p->t) : 0;
}

double rv_lm_flops(const rv_lm *lm, const rv_params *params, int64_t T) {
    const rv_decoder_config *d = &lm->config.decoder;
    double flops = 2 * d->kind->attention_macs(d, T);
    for (int i = 0; i < params->n; i++) flops += rv_lm_weight_flops(lm, params->p[i]);
    return flops;
}
