#include "train/task_common.h"

#include "base/log.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

rv_tokenizer_spec rv__tokenizer_spec(const rv_config *c) {
    rv_tokenizer_spec spec = {0};
    if (!rv_config_has(c, "tokenizer.type")) return spec; /* tokenizer.from: none is made */
    rv_tokenizer_type_parse(rv_config_text(c, "tokenizer.type"), &spec.type);
    if (rv_config_has(c, "tokenizer.vocab_size")) spec.vocab_size = rv_config_int(c, "tokenizer.vocab_size");
    if (rv_config_has(c, "tokenizer.min_frequency")) spec.min_frequency = rv_config_int(c, "tokenizer.min_frequency");
    if (rv_config_has(c, "tokenizer.lowercase")) spec.lowercase = rv_config_bool(c, "tokenizer.lowercase");
    if (rv_config_has(c, "tokenizer.normalization")) rv_normal_form_parse(rv_config_text(c, "tokenizer.normalization"), &spec.normalization);
    return spec;
}

static const char *item_path(char *buf, size_t size, const char *name, const char *which) {
    snprintf(buf, size, "/tokenizer/%s%s%s", name, *name ? "/" : "", which);
    return buf;
}

rv_status rv__tokenizer_open(const rv_checkpoint *saved, const char *name, rv_tokenizer **out) {
    char path[64];
    const rv_ck_item *vocab = rv_checkpoint_find(saved, item_path(path, sizeof path, name, "vocab"));
    const rv_ck_item *merges = rv_checkpoint_find(saved, item_path(path, sizeof path, name, "merges"));
    if (!vocab || !merges) return rv_error(RV_ECKPT, "%s holds no tokenizer; it was not written by ravel train", rv_checkpoint_path(saved));
    return rv_tokenizer_load(vocab->data, (size_t)rv_ck_count(vocab), merges->data, (size_t)rv_ck_count(merges), out);
}

void rv__tokenizer_items(rv_items *items, const char *name, const rv__saved_tokenizer *t) {
    char path[64];
    rv_items_add_text(items, item_path(path, sizeof path, name, "vocab"), t->vocab.bytes, t->vocab.len);
    rv_items_add_text(items, item_path(path, sizeof path, name, "merges"), t->merges.bytes, t->merges.len);
}

void rv__saved_tokenizer_free(rv__saved_tokenizer *t) {
    rv_text_free(&t->vocab);
    rv_text_free(&t->merges);
}

const rv_field rv__cursor_fields[] = {
    {"/data/epoch", RV_CK_I64, offsetof(rv_cursor, epoch), 0, false},
    {"/data/position", RV_CK_I64, offsetof(rv_cursor, position), 0, false},
    {"/data/step", RV_CK_I64, offsetof(rv_cursor, step), 0, false},
    {0},
};

rv_status rv__check_corpus(const rv_checkpoint *saved, uint64_t hash) {
    uint64_t then;
    RV_TRY(rv_checkpoint_read(saved, "/data/corpus_hash", RV_CK_U64, 1, &then));
    if (then == hash) return RV_OK;
    return rv_error(RV_ECKPT, "the run was trained on other data: the text has changed since; put the old text back or start a new run (another name or checkpoint.dir)");
}

const char *rv__part_name(rv_subset subset) {
    static const char *const names[] = {[RV_SUBSET_TRAIN] = "training", [RV_SUBSET_VALID] = "validation", [RV_SUBSET_TEST] = "test"};
    return names[subset];
}

rv_status rv__no_part(rv_subset subset) {
    return rv_error(RV_EDATA, "the data has no %s part; name one in data (ravel config explain data)", rv__part_name(subset));
}

double rv__replace_rare(const rv_config *c) {
    return rv_config_has(c, "train.replace_rare") ? rv_config_real(c, "train.replace_rare") : 0;
}

int64_t rv__words_of(const char *line) {
    int64_t words = 0;
    for (const char *s = line; *(s += strspn(s, " \t")); s += strcspn(s, " \t")) words++;
    return words;
}

void rv__say_unknown(rv_subset subset, const char *side, int64_t unknown, int64_t tokens) {
    if (unknown)
        rv_info("%s part: %.3g %% of the %stokens are <unk> (%lld of %lld)", rv__part_name(subset), 100. * (double)unknown / (double)tokens, side,
                (long long)unknown, (long long)tokens);
}

bool rv__watches(const rv_config *c, const char *metric) {
    return rv_config_has(c, "train.early_stopping") && rv_config_is(c, "train.early_stopping.metric", metric);
}

bool rv__wants_metric(const rv_config *c, const char *metric) {
    if (!strcmp(metric, "loss") || rv__watches(c, metric)) return true;
    for (int i = 0, n = rv_config_count(c, "metrics"); i < n; i++)
        if (!strcmp(rv_config_text_at(c, "metrics", i), metric)) return true;
    return false;
}

void rv__add_metric(const rv_config *c, rv_metrics_result *r, const char *name, double value) {
    if (rv__wants_metric(c, name)) r->m[r->n++] = (rv_metric){name, value};
}

void rv__argmax(const rv_lm *lm, const rv_tensor *logits, int64_t B, int64_t T, int32_t *out) {
    int64_t V = rv_dim(logits, -1);
    for (int64_t b = 0; b < B; b++)
        for (int64_t t = 0; t < T; t++) {
            const rv_real *row = logits->x + rv_lm_row(lm, B, T, b, t) * V;
            int64_t best = 0;
            for (int64_t v = 1; v < V; v++)
                if (row[v] > row[best]) best = v;
            out[b * T + t] = (int32_t)best;
        }
}

rv_status rv__score_targets(rv_tape *tape, rv_lm *lm, const int32_t *x, const int32_t *y, int64_t B, int64_t T,
                            rv_decoder_state *state, const rv_memory *memory, const double **nats,
                            const int32_t **best) {
    double *n = rv_tape_alloc(tape, (size_t)(B * T) * sizeof *n);
    int32_t *b = rv_tape_alloc(tape, (size_t)(B * T) * sizeof *b);
    *nats = n, *best = b;
    return n && b && rv_lm_score(tape, lm, x, y, B, T, state, memory, n, b) ? RV_OK : rv_tape_status(tape);
}

void rv__score_sum_rows(const double *nats, const int32_t *best, const int32_t *y, int64_t B, int64_t T,
                        rv__score *score) {
    for (int64_t b = 0; b < B; b++) {
        score[b] = (rv__score){0};
        for (int64_t i = b * T; i < (b + 1) * T; i++) {
            if (y[i] < 0) continue;
            score[b].nats += nats[i];
            score[b].tokens++;
            score[b].correct += best[i] == y[i];
        }
    }
}

rv_status rv__score_rows(rv_tape *tape, rv_lm *lm, const int32_t *x, const int32_t *y, int64_t B, int64_t T,
                         rv_decoder_state *state, const rv_memory *memory, rv__score *score) {
    const double *nats;
    const int32_t *best;
    RV_TRY(rv__score_targets(tape, lm, x, y, B, T, state, memory, &nats, &best));
    rv__score_sum_rows(nats, best, y, B, T, score);
    return RV_OK;
}

rv__score rv__score_sum(int64_t n, const rv__score *score) {
    rv__score all = {0};
    for (int64_t i = 0; i < n; i++) {
        all.nats += score[i].nats;
        all.tokens += score[i].tokens;
        all.correct += score[i].correct;
    }
    return all;
}
