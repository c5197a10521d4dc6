#include "data/corpus.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/log.h"
#include "data/sentences.h"
#include "data/text.h"

enum { SPLITS = 3 };
static const char *const split_names[SPLITS] = {"train", "valid", "test"}, *const split_words[SPLITS] = {
                                                                               "training", "validation", "test"};

/* A split's text: a slice of a loaded file. */
typedef struct {
    const char *path, *s;
    size_t len;
} slice;

void rv_corpus_free(rv_corpus *c) {
    free(c->train.ids);
    free(c->valid.ids);
    free(c->test.ids);
    free(c->valid.text.length);
    free(c->test.text.length);
    rv_tokenizer_destroy(c->tokenizer);
    *c = (rv_corpus){0};
}

static rv_status load_texts(const rv_corpus_files *files, rv_text text[SPLITS], slice part[SPLITS]) {
    const char *paths[SPLITS] = {files->text ? files->text : files->train, files->text ? NULL : files->valid,
                                 files->text ? NULL : files->test};
    if (!paths[0]) return rv_error(RV_EUSAGE, "no training text: give text, or train");
    if (files->text && (files->train || files->valid || files->test))
        return rv_error(RV_EUSAGE, "text and train, valid or test exclude each other");
    for (int i = 0; i < SPLITS; i++) {
        part[i] = (slice){.path = paths[i]};
        if (!paths[i]) continue;
        RV_TRY(rv_text_load_data(paths[i], i, paths, &text[i]));
        RV_TRY(rv__sentences_take(files->format, paths[i], &text[i]));
        if (!text[i].len)
            return rv_error(RV_EDATA, "%s: the %s text is empty; give another file", paths[i], split_words[i]);
    }
    return RV_OK;
}

/* What of the loaded texts is each split's. */
static rv_status cut(const rv_corpus_files *files, const rv_text text[SPLITS], slice part[SPLITS]) {
    for (int i = 0; i < SPLITS; i++) part[i].s = text[i].bytes, part[i].len = text[i].len;
    if (!files->text) return RV_OK;
    double fraction = files->train_fraction == 0 ? 0.9 : files->train_fraction;
    if (!(fraction > 0 && fraction <= 1))
        return rv_error(RV_EUSAGE, "train fraction %g must be above 0 and at most 1", fraction);
    int64_t chars = rv_utf8_count(text[0].bytes, text[0].len);
    size_t cut = rv_utf8_offset(text[0].bytes, text[0].len, (int64_t)(fraction * (double)chars));
    const double held = files->test_fraction;
    if (!(held >= 0 && fraction + held <= 1))
        return rv_error(RV_EUSAGE, "train fraction %g and test fraction %g are more than the whole text", fraction,
                        held);
    const size_t last =
        held > 0 ? rv_utf8_offset(text[0].bytes, text[0].len, chars - (int64_t)(held * (double)chars)) : text[0].len;
    part[0].len = cut;
    if (cut < last) part[1] = (slice){part[0].path, text[0].bytes + cut, last - cut};
    if (last < text[0].len) part[2] = (slice){part[0].path, text[0].bytes + last, text[0].len - last};
    return RV_OK;
}

static uint64_t hash_of(const slice part[SPLITS]) {
    uint64_t hash = 0;
    for (int i = 0; i < SPLITS; i++)
        if (part[i].s) hash = XXH3_64bits_withSeed(part[i].s, part[i].len, hash + (uint64_t)i + 1);
    return hash;
}

/* Whether any text had other line ends than \n, which it then has no more. */
static bool unify_line_ends(const slice part[SPLITS], rv_text text[SPLITS]) {
    int64_t all = 0;
    for (int i = 0; i < SPLITS; i++) {
        int64_t n = rv_text_unify_line_ends(&text[i]);
        if (n)
            rv_info("%s: %lld line ends \\r\\n are read as \\n (data.keep_line_ends: true keeps them)", part[i].path,
                    (long long)n);
        all += n;
    }
    return all > 0;
}

/* char sees every split; they are joined only if there are several files. */
static rv_status train_tokenizer(const rv_corpus_files *files, const rv_tokenizer_spec *spec,
                                 const rv_text text[SPLITS], const slice part[SPLITS], rv_tokenizer **out) {
    if (spec->type != RV_TOKENS_CHAR) return rv_tokenizer_train(spec, part[0].s, part[0].len, out);
    if (files->text) return rv_tokenizer_train(spec, text[0].bytes, text[0].len, out);
    size_t total = 0, n = 0;
    for (int i = 0; i < SPLITS; i++) total += part[i].len;
    char *all = malloc(total + 1);
    if (!all) return rv_error(RV_ENOMEM, "no memory for %zu bytes of text", total);
    for (int i = 0; i < SPLITS; i++) {
        if (part[i].len) memcpy(all + n, part[i].s, part[i].len);
        n += part[i].len;
    }
    rv_status status = rv_tokenizer_train(spec, all, total, out);
    free(all);
    return status;
}

static rv_status fill(const rv_corpus_files *files, const rv_tokenizer_spec *spec, rv_text text[SPLITS], rv_corpus *c) {
    slice part[SPLITS] = {0};
    rv_split *split[SPLITS] = {&c->train, &c->valid, &c->test};
    RV_TRY(load_texts(files, text, part));
    RV_TRY(cut(files, text, part));
    c->hash = hash_of(part);
    if (!files->keep_line_ends && c->hash != files->kept_hash && unify_line_ends(part, text)) {
        RV_TRY(cut(files, text, part));
        c->hash = hash_of(part);
    }
    if (!part[0].len)
        return rv_error(RV_EDATA, "%s: data.train_fraction %g leaves no text to train on; raise it", part[0].path,
                        files->train_fraction);
    if (!c->tokenizer) {
        rv_status status = train_tokenizer(files, spec, text, part, &c->tokenizer);
        if (status != RV_OK) return rv_error_context(status, "%s: ", part[0].path);
    }
    for (int i = 0; i < SPLITS; i++) {
        if (!part[i].s) continue;
        rv_status status = rv_tokenizer_encode(c->tokenizer, part[i].s, part[i].len, &split[i]->ids, &split[i]->n);
        if (status != RV_OK) return rv_error_context(status, "%s (%s): ", part[i].path, split_names[i]);
        if (!split[i]->n)
            return rv_error(RV_EDATA, "%s: the %s text has nothing but white space; give another file", part[i].path,
                            split_words[i]);
        split[i]->unknown = rv_tokenizer_unknown(c->tokenizer, split[i]->ids, split[i]->n);
        RV_TRY(rv_tokenizer_text(c->tokenizer, part[i].s, part[i].len, split[i]->ids, split[i]->n, i > 0,
                                 &split[i]->text));
    }
    return RV_OK;
}

rv_status rv_corpus_load(const rv_corpus_files *files, const rv_tokenizer_spec *spec, rv_tokenizer *tokenizer,
                         rv_corpus *out) {
    rv_text text[SPLITS] = {0};
    *out = (rv_corpus){.tokenizer = tokenizer};
    rv_status status = fill(files, spec, text, out);
    for (int i = 0; i < SPLITS; i++) rv_text_free(&text[i]);
    if (status != RV_OK) rv_corpus_free(out);
    return status;
}
