/* Source pairs: parallel text, and one or two tokenizers. */
#include <stdlib.h>

#include "base/arena.h"
#include "data/dataset.h"
#include "train/source_rows.h"
#include "train/vocabulary.h"

typedef struct {
    rv__rows rows;
    rv_parallel data; /* and its tokenizers */
    bool joint;
} pairs;

static rv_status load_files(pairs *t, const rv_tokenizer_spec *spec, rv_tokenizer *src, rv_tokenizer *tgt) {
    static const char *const keys[] = {"data.train", "data.valid", "data.test"};
    const rv_config *c = t->rows.base.config;
    const int64_t most = rv_config_int(c, "data.max_length");
    const char *from = rv_config_text(c, "data.src"),
               *to = rv_config_has(c, "data.tgt") ? rv_config_text(c, "data.tgt") : NULL;
    char buf[6][4096];
    rv_parallel_files files = {0};
    rv_parallel_paths *const parts[] = {&files.train, &files.valid, &files.test};
    rv_dataset *dataset = NULL;
    rv_status status = RV_OK;
    if (rv_config_has(c, "data.dataset")) {
        status = rv_dataset_resolve(rv_config_text(c, "data.dataset"), &dataset);
        if (status == RV_OK) status = rv_dataset_parallel_files(dataset, from, to, &files);
    }
    for (int i = 0; i < 3 && !dataset && status == RV_OK; i++) {
        const char *key = !i && rv_config_has(c, "data.path") ? "data.path" : keys[i], *prefix = rv_config_text(c, key);
        status = rv__file_of(prefix, from, buf[2 * i], sizeof buf[0], &parts[i]->src);
        if (status == RV_OK && from) status = rv__file_of(prefix, to, buf[2 * i + 1], sizeof buf[0], &parts[i]->tgt);
    }
    if (rv_config_has(c, "data.train_fraction")) files.train_fraction = rv_config_real(c, "data.train_fraction");
    for (int i = 0; i < 2 && rv_config_has(c, "data.columns"); i++)
        files.columns[i] = (int)rv_config_int_at(c, "data.columns", i);
    if (status == RV_OK)
        status = rv_parallel_load(&files, spec, t->joint, src, tgt, most, &t->data);
    else {
        if (tgt != src) rv_tokenizer_destroy(tgt);
        rv_tokenizer_destroy(src);
    }
    rv_dataset_destroy(dataset);
    return status;
}

static rv_status load(pairs *t, const rv_checkpoint *saved, bool with_data) {
    rv_tokenizer *src = NULL, *tgt = NULL;
    const int64_t most = rv_config_int(t->rows.base.config, "data.max_length");
    rv_tokenizer_spec spec = rv__tokenizer_spec(t->rows.base.config);
    RV_TRY(rv__vocabulary_pair(t->rows.base.config, saved, &t->joint, &src, &tgt));
    if (with_data) {
        RV_TRY(load_files(t, &spec, src, tgt));
        RV_TRY(rv__rows_cut(&t->data.valid, most, "validation"));
        RV_TRY(rv__rows_cut(&t->data.test, most, "test"));
    } else {
        t->data.src = src;
        t->data.tgt = tgt;
    }
    static const rv_special needed[] = {RV_PAD, RV_BOS, RV_EOS};
    for (int i = 0; i < 3; i++)
        if (rv_tokenizer_special(t->data.src, needed[i]) < 0 || rv_tokenizer_special(t->data.tgt, needed[i]) < 0)
            return rv_error(RV_ECKPT, "the tokenizer has no <pad>, <bos> or <eos>; it is not one for translation");
    rv_source *base = &t->rows.base;
    base->in = t->data.src;
    base->out = t->data.tgt;
    base->hash = t->data.hash;
    base->sizes.source_vocab = rv_tokenizer_size(base->in);
    base->sizes.target_vocab = rv_tokenizer_size(base->out);
    return RV_OK;
}

static void close(rv_source *s) {
    pairs *t = (pairs *)s;
    rv__rows_end(&t->rows);
    rv_parallel_free(&t->data);
    rv_free(t);
}

static rv_status open(const rv_config *config, const rv_checkpoint *saved, bool with_data, rv_source **out) {
    pairs *t = rv_alloc(sizeof *t);
    if (!t) return RV_ENOMEM;
    *t = (pairs){.rows = {.base = {.kind = &rv__source_pairs, .config = config, .sizes = rv__rows_sizes(config)},
                          .part = {&t->data.train, &t->data.valid, &t->data.test}}};
    *out = &t->rows.base;
    RV_TRY(load(t, saved, with_data));
    t->rows.spec.marks = rv_pair_marks_of(&t->data);
    return with_data ? rv__rows_begin(&t->rows) : RV_OK;
}

const rv_source_kind rv__source_pairs = {.name = "pairs", .open = open, .close = close, RV__ROWS};
