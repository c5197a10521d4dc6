#include "train/gold_alignment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/dataset.h"
#include "train/source_private.h"
#include "decode/translate_attention.h"

/* Where the gold links are from, for messages. */
typedef struct {
    rv_links links;
    char path[RV__PATH];
} gold_links;

static rv_status load(const char *path, gold_links *gold) {
    snprintf(gold->path, sizeof gold->path, "%s", path);
    return rv_links_load(path, &gold->links);
}

static rv_status load_gold(const rv_config *config, rv_subset subset, const char *path, gold_links *gold) {
    static const char *const roles[] = {"train.align", "valid.align", "test.align"};
    if (path) return load(path, gold);
    if (!rv_config_has(config, "data.dataset"))
        return rv_error(RV_EUSAGE, "name the file with the gold alignments (--gold FILE, lines such as '0-0 1-2')");
    rv_dataset *ds;
    RV_TRY(rv_dataset_resolve(rv_config_text(config, "data.dataset"), &ds));
    rv_status status = rv_dataset_require(ds, roles[subset], &path);
    if (status == RV_OK) status = load(path, gold);
    rv_dataset_destroy(ds);
    return status;
}

/* Links of one sentence for each head; then for their mean, balanced, and for their mean as it is. */
static rv_status align(const rv_attention_weights *w, const int32_t *target_word, const int32_t *source_word,
                       int32_t targets, int32_t sources, rv_real *mean, rv_real *words, rv_links *lists) {
    int heads = w->layers * w->heads;
    int64_t cells = w->T * w->S;
    memset(mean, 0, (size_t)cells * sizeof *mean);
    for (int k = 0; k <= heads; k++) {
        const rv_real *weights = k < heads ? w->weights + k * cells : mean;
        for (int64_t i = 0; k < heads && i < cells; i++) mean[i] += weights[i] / (rv_real)heads;
        rv_alignment_merge(w->T, w->S, weights, target_word, source_word, targets, sources, words);
        if (k == heads) RV_TRY(rv_alignment_links(targets, sources, words, &lists[heads + 1]));
        rv_alignment_balance(targets, sources, words);
        RV_TRY(rv_alignment_links_both(targets, sources, words, &lists[k]));
    }
    return RV_OK;
}

/* Links of other sentences, or counted from 1, would be misses and no more. The lines are whole where ids were cut. */
static rv_status check_links(const gold_links *gold, const rv_pairs *p, int64_t i, int32_t sources, int32_t targets) {
    const int64_t lines[] = {rv__words_of(p->src[i].bytes), rv__words_of(p->tgt[i].bytes)};
    const int64_t words[] = {lines[0] > sources ? lines[0] : sources, lines[1] > targets ? lines[1] : targets};
    for (int64_t k = gold->links.start[i]; k < gold->links.start[i + 1]; k++) {
        const rv_link *l = &gold->links.link[k];
        if (l->source >= words[0] || l->target >= words[1])
            return rv_error(RV_EDATA,
                            "%s:%lld: the link %d%c%d is beyond the sentence pair, which has %lld and %lld words; they "
                            "count from 0, source first",
                            gold->path, (long long)i + 1, l->source, l->possible ? 'p' : '-', l->target,
                            (long long)words[0], (long long)words[1]);
    }
    return RV_OK;
}

static rv_status align_pair(rv_tape *tape, rv_task *task, const rv_pairs *p, int64_t i, const gold_links *gold,
                            rv_links **lists, rv_gold_alignment *out) {
    int64_t S = rv_pairs_src_length(p, i), T = rv_pairs_tgt_length(p, i);
    const int32_t *src = p->src_ids + p->src_at[i];
    rv_hypothesis forced = {.ids = p->tgt_ids + p->tgt_at[i], .n = T};
    rv_translate_options o = rv_task_search(task);
    rv_attention_weights w;
    RV_TRY(rv_translation_attention(tape, rv_task_model(task), src, S, &forced, &o, &w));
    if (!*lists) {
        out->layers = w.layers;
        out->heads = w.heads;
        *lists = rv_alloc((size_t)(w.layers * w.heads + 2) * sizeof **lists);
        if (!*lists) return RV_ENOMEM;
    }
    size_t cells = (size_t)(w.T * w.S);
    rv_real *mean = rv_tape_alloc(tape, 2 * cells * sizeof *mean);
    int32_t *word = rv_tape_alloc(tape, (size_t)(w.T + w.S) * sizeof *word);
    if (!mean || !word) return rv_tape_status(tape);
    int32_t targets = rv_pieces_words(rv_task_source(task)->out, forced.ids, T, word);
    int32_t sources = rv_pieces_words(rv_task_source(task)->in, src, S, word + w.T);
    word[T] = word[w.T + S] = -1; /* <eos> */
    RV_TRY(check_links(gold, p, i, sources, targets));
    return align(&w, word, word + w.T, targets, sources, mean, mean + cells, *lists);
}

static rv_status count(const rv_links *lists, const rv_links *gold, rv_gold_alignment *out) {
    int heads = out->layers * out->heads;
    for (int k = 0; k < heads + 2; k++) {
        rv_aer_stats s = {0};
        RV_TRY(rv_aer_count(&lists[k], gold, &s));
        if (k == heads + 1)
            out->plain = s;
        else if (k == heads)
            out->mean = s;
        else if (k == 0 || rv_aer(&s) < rv_aer(&out->best)) {
            out->best = s;
            out->best_layer = k / out->heads;
            out->best_head = k % out->heads;
        }
    }
    out->sentences = gold->sentences;
    out->links = gold->n;
    return RV_OK;
}

rv_status rv_gold_alignment_measure(rv_tape *tape, rv_task *task, rv_subset subset, const char *gold_path,
                                    rv_gold_alignment *out) {
    const rv_pairs *p = rv_task_pairs(task, subset);
    gold_links gold = {0};
    rv_links *lists = NULL;
    *out = (rv_gold_alignment){0};
    if (!p) return rv_error(RV_EUSAGE, "a task of kind %s has no sentence pairs to align", rv_task_kind_of(task)->name);
    if (!p->n) return rv_error(RV_EDATA, "the data has no such part to align");
    rv_status status = load_gold(rv_task_config(task), subset, gold_path, &gold);
    if (status == RV_OK && gold.links.sentences != p->n)
        status = rv_error(RV_EDATA, "the gold alignments have %lld lines for %lld sentence pairs",
                          (long long)gold.links.sentences, (long long)p->n);
    for (int64_t i = 0; i < p->n && status == RV_OK; i++) status = align_pair(tape, task, p, i, &gold, &lists, out);
    if (status == RV_OK) status = count(lists, &gold.links, out);
    for (int k = 0; lists && k < out->layers * out->heads + 2; k++) rv_links_free(&lists[k]);
    rv_free(lists);
    rv_links_free(&gold.links);
    return status;
}
