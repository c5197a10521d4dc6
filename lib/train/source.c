#include "train/source_private.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"

rv_tokenizer_spec rv__tokenizer_spec(const rv_config *c) {
    rv_tokenizer_spec spec = {0};
    if (!rv_config_has(c, "tokenizer.type")) return spec; /* tokenizer.from: none is made */
    rv_tokenizer_type_parse(rv_config_text(c, "tokenizer.type"), &spec.type);
    if (rv_config_has(c, "tokenizer.vocab_size")) spec.vocab_size = rv_config_int(c, "tokenizer.vocab_size");
    if (rv_config_has(c, "tokenizer.min_frequency")) spec.min_frequency = rv_config_int(c, "tokenizer.min_frequency");
    if (rv_config_has(c, "tokenizer.lowercase")) spec.lowercase = rv_config_bool(c, "tokenizer.lowercase");
    if (rv_config_has(c, "tokenizer.normalization"))
        rv_normal_form_parse(rv_config_text(c, "tokenizer.normalization"), &spec.normalization);
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
    if (!vocab || !merges)
        return rv_error(RV_ECKPT, "%s holds no tokenizer; it was not written by ravel train",
                        rv_checkpoint_path(saved));
    return rv_tokenizer_load(vocab->data, (size_t)rv_ck_count(vocab), merges->data, (size_t)rv_ck_count(merges), out);
}

const char rv__classes_path[] = "/tokenizer/classes";

const rv_field rv__span_fields[] = {
    {"/tokenizer/span_scheme", RV_CK_I64, offsetof(rv_source, span_scheme), 0, true},
    {0},
};

/* Lines, in place. */
static const char **lines_of(char *text, size_t bytes, int *n) {
    *n = 0;
    for (size_t i = 0; i < bytes; i++) *n += text[i] == '\n';
    const char **name = rv_alloc(((size_t)*n + 1) * sizeof *name);
    for (int i = 0; name && i < *n; i++) {
        name[i] = text;
        text = strchr(text, '\n');
        *text++ = 0;
    }
    return name;
}

rv_status rv__classes_open(const rv_checkpoint *saved, const char *of, char **text, const char ***names, int *n) {
    const rv_ck_item *it = rv_checkpoint_find(saved, rv__classes_path);
    const size_t bytes = it ? (size_t)rv_ck_count(it) : 0;
    *text = NULL, *names = NULL;
    if (!it) return rv_error(RV_ECKPT, "%s names no classes; it is not of a %s", rv_checkpoint_path(saved), of);
    if (!(*text = rv_alloc(bytes + 1))) return RV_ENOMEM;
    if ((*names = lines_of(memcpy(*text, it->data, bytes), bytes, n))) return RV_OK;
    rv_free(*text);
    *text = NULL;
    return RV_ENOMEM;
}

const char *rv__part_name(rv_subset subset) {
    static const char *const names[] = {
        [RV_SUBSET_TRAIN] = "training", [RV_SUBSET_VALID] = "validation", [RV_SUBSET_TEST] = "test"};
    return names[subset];
}

rv_status rv__no_part(rv_subset subset) {
    return rv_error(RV_EDATA, "the data has no %s part; name one in data (ravel config explain data)",
                    rv__part_name(subset));
}

void rv__fraction_unused(const rv_config *c, const rv_checkpoint *saved, const char *key, const char *what) {
    if (!saved && rv_config_given(c, key))
        rv_warn("%s: %s has no effect: the data set %s has %s; leave the key out", rv_config_where(c, key), key,
                rv_config_text(c, "data.dataset"), what);
}

void rv__fractions(const rv_config *c, const rv_checkpoint *saved, const char *valid, const char *test,
                   double *train_fraction, double *test_fraction) {
    static const char train_key[] = "data.train_fraction", test_key[] = "data.test_fraction";
    static const char validates[] = "a file of its own to validate on", tests[] = "a file of its own to test on";
    const bool dataset = rv_config_has(c, "data.dataset");
    *train_fraction = *test_fraction = 0;
    if (!valid)
        *train_fraction = rv_config_real(c, train_key);
    else if (dataset)
        rv__fraction_unused(c, saved, train_key, validates);
    if (!valid && !test) *test_fraction = rv_config_real(c, test_key);
    if (dataset && (valid || test)) rv__fraction_unused(c, saved, test_key, test ? tests : validates);
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
        rv_info("%s part: %.3g %% of the %stokens are <unk> (%lld of %lld)", rv__part_name(subset),
                100. * (double)unknown / (double)tokens, side, (long long)unknown, (long long)tokens);
}

/* PREFIX.LANGUAGE, or PREFIX itself without a language; FILE.gz if there is only that. */
rv_status rv__file_of(const char *prefix, const char *language, char *buf, size_t size, const char **out) {
    *out = NULL;
    if (!prefix) return RV_OK;
    int n = snprintf(buf, size, "%s%s%s", prefix, language ? "." : "", language ? language : "");
    if (n < 0 || (size_t)n + 4 > size) return rv_error(RV_EUSAGE, "the path %s is too long", prefix);
    if (access(buf, F_OK)) {
        strcat(buf, ".gz");
        if (access(buf, F_OK)) buf[n] = 0; /* the reader says that it is absent */
    }
    *out = buf;
    return RV_OK;
}

bool rv__watches(const rv_config *c, const char *metric) {
    return rv_config_has(c, "train.early_stopping") && rv_config_is(c, "train.early_stopping.metric", metric);
}

bool rv_task_measures(const rv_config *c, const char *metric) {
    if (!strcmp(metric, "loss") || rv__watches(c, metric)) return true;
    for (int i = 0, n = rv_config_count(c, "metrics"); i < n; i++)
        if (!strcmp(rv_config_text_at(c, "metrics", i), metric)) return true;
    return false;
}
