#include "data/table.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "data/labels.h"
#include "data/split.h"
#include "data/table_private.h"

enum { PARTS = RV__PARTS };

static void part_free(rv_table_part *p) {
    rv__pairs_free(&p->pairs);
    free(p->label);
    *p = (rv_table_part){0};
}

void rv_table_free(rv_table *t) {
    part_free(&t->train);
    part_free(&t->valid);
    part_free(&t->test);
    free(t->class_name); /* the names stand behind it */
    rv_tokenizer_destroy(t->tokenizer);
    *t = (rv_table){0};
}

/* ---- parts ---- */

/* A table being loaded: its parts, and the file that each comes from. */
typedef struct {
    rv_table *t;
    rv_table_part *part[PARTS];
    rv__split split;
    int label; /* the label's column, from 1 */
} loading;

/* By its labels: rows may come sorted by class, or the classes in turn. */
static rv_status cut_by_class(const rv__split *split, rv_pairs *const part[PARTS]) {
    rv__intern labels = {0};
    const rv_pairs *p = part[0];
    int32_t *class_of = malloc((size_t)p->n * sizeof *class_of);
    rv_status status = class_of ? RV_OK : rv_error(RV_ENOMEM, "no memory for %lld labels", (long long)p->n);
    for (int64_t i = 0; i < p->n && status == RV_OK; i++) {
        class_of[i] = rv__intern_add(&labels, p->tgt[i].bytes, p->tgt[i].len);
        if (class_of[i] < 0) status = RV_ENOMEM;
    }
    if (status == RV_OK) status = rv__split_hold_back(split, part, class_of, labels.n ? labels.n : 1);
    rv__intern_clear(&labels);
    free(class_of);
    return status;
}

static rv_status read_parts(const rv_table_files *f, loading *l) {
    rv_pairs *const pairs[PARTS] = {&l->part[0]->pairs, &l->part[1]->pairs, &l->part[2]->pairs};
    rv__table_layout layout;
    RV_TRY(rv__table_layout_make(f, &layout));
    RV_TRY(rv__split_make(f->train, f->valid, f->test, f->train_fraction, f->test_fraction, "texts", &l->split));
    l->label = layout.label + 1;
    for (int k = 0; k < PARTS; k++) {
        const char *path = l->split.path[k];
        if (!rv__split_reads(&l->split, k)) continue;
        RV_TRY(rv__table_read(&layout, path, k, l->split.path, pairs[k]));
        if (!pairs[k]->n)
            return rv_error(RV_EDATA, "%s: the %s part is empty; give another file", path, rv__part_words[k]);
    }
    return rv__split_holds_back(&l->split) ? cut_by_class(&l->split, pairs) : RV_OK;
}

/* ---- classes ---- */

/* Number each label of train's anew, in the order of appearance. */
static rv_status collect(const loading *l, rv__intern *seen) {
    const rv_pairs *p = &l->part[0]->pairs;
    for (int64_t i = 0; i < p->n; i++) {
        if (rv__intern_add(seen, p->tgt[i].bytes, p->tgt[i].len) < 0) return RV_ENOMEM;
        if (seen->n > RV_TABLE_CLASSES)
            return rv_error(RV_EDATA,
                            "%s:%lld: '%.*s' is one class over %d; are labels in column %d (data.label_column)?",
                            l->split.path[0], (long long)p->line[i] + 1, rv__label_shown(p->tgt[i].bytes),
                            p->tgt[i].bytes, RV_TABLE_CLASSES, l->label);
    }
    if (seen->n >= 2) return RV_OK;
    return rv_error(RV_EDATA,
                    "%s:%lld: '%.*s' is the label of all %lld training texts, but at least two classes are needed; are "
                    "labels in column %d (data.label_column)?",
                    l->split.path[0], (long long)p->line[0] + 1, rv__label_shown(p->tgt[0].bytes), p->tgt[0].bytes,
                    (long long)p->n, l->label);
}

rv_status rv__table_take_classes(rv_table *t, const char *const *classes, int n) {
    if (n < 2 || n > RV_TABLE_CLASSES)
        return rv_error(RV_EUSAGE, "%d classes, where 2 to %d can be", n, RV_TABLE_CLASSES);
    RV_TRY(rv__labels_copy(n, classes, &t->class_name));
    t->n_classes = n;
    return RV_OK;
}

/* The classes are those of the train part. */
static rv_status find_classes(const loading *l, rv__intern *seen) {
    RV_TRY(collect(l, seen));
    RV_TRY(rv__labels_sorted(seen, true, &l->t->class_name));
    l->t->n_classes = seen->n;
    return RV_OK;
}

static rv_status no_class(const loading *l, int k, int64_t i, bool given) {
    const rv_pairs *p = &l->part[k]->pairs;
    const char *label = p->tgt[i].bytes;
    char all[4096];
    rv__labels_text(l->t->n_classes, l->t->class_name, all, sizeof all);
    return rv_error(RV_EDATA, "%s:%lld: the label '%.*s' is not among %s: %s; correct it%s take the row out%s",
                    l->split.path[k], (long long)p->line[i] + 1, rv__label_shown(label), label,
                    given ? "the classes" : "those of the training part", all, given ? " or" : ",",
                    given ? "" : ", or train on texts of it, too");
}

/* Every part's labels to numbers. */
static rv_status number_labels(const loading *l, rv__intern *classes, bool given) {
    RV_TRY(rv__labels_number(l->t->n_classes, l->t->class_name, "class", classes));
    for (int k = 0; k < PARTS; k++) {
        rv_table_part *part = l->part[k];
        const rv_pairs *p = &part->pairs;
        if (!p->n) continue;
        if (!(part->label = malloc((size_t)p->n * sizeof *part->label)))
            return rv_error(RV_ENOMEM, "no memory for %lld labels", (long long)p->n);
        for (int64_t i = 0; i < p->n; i++) {
            part->label[i] = rv__intern_find(classes, p->tgt[i].bytes, p->tgt[i].len);
            if (part->label[i] < 0) return no_class(l, k, i, given);
        }
    }
    return RV_OK;
}

static rv_status classify(const loading *l, const char *const *classes, int n) {
    rv__intern seen = {0}, numbers = {0};
    rv_status status = classes ? rv__table_take_classes(l->t, classes, n) : find_classes(l, &seen);
    if (status == RV_OK) status = number_labels(l, &numbers, classes != NULL);
    rv__intern_clear(&seen);
    rv__intern_clear(&numbers);
    return status;
}

/* ---- ids ---- */

static rv_status encode_text(const char *path, rv_tokenizer *tok, int64_t i, rv_pairs *p, rv__ids *list) {
    int32_t *ids = NULL;
    int64_t n = 0;
    rv_status status = rv_tokenizer_encode(tok, p->src[i].bytes, p->src[i].len, &ids, &n);
    if (status != RV_OK)
        rv_error_context(status, "%s:%lld: ", path, (long long)p->line[i] + 1);
    else
        status = rv__ids_append(list, ids, n);
    free(ids);
    if (n > p->src_longest) p->src_longest = n;
    p->src_at[i + 1] = list->n;
    return status;
}

static rv_status encode(const char *path, rv_tokenizer *tok, int64_t max_length, rv_table_part *part) {
    rv_pairs *p = &part->pairs;
    rv__ids list = {0};
    if (!(p->src_at = calloc((size_t)p->n + 1, sizeof *p->src_at)))
        return rv_error(RV_ENOMEM, "no memory for the offsets of %lld texts", (long long)p->n);
    rv_status status = RV_OK;
    for (int64_t i = 0; i < p->n && status == RV_OK; i++) status = encode_text(path, tok, i, p, &list);
    p->src_ids = list.ids;
    if (status == RV_OK && max_length) status = rv_pairs_cut(p, max_length, &part->cut);
    return status;
}

static void report_cut(const loading *l, int64_t max_length) {
    int64_t cut[PARTS], n[PARTS];
    for (int k = 0; k < PARTS; k++) cut[k] = l->part[k]->cut, n[k] = l->part[k]->pairs.n;
    rv__split_report_cut(&l->split, "", max_length, cut, n);
}

static uint64_t hash_of(const loading *l) {
    uint64_t hash = 0;
    for (int k = 0; k < PARTS; k++) {
        const rv_table_part *part = l->part[k];
        const int64_t counts[] = {part->pairs.n, part->cut};
        hash = XXH3_64bits_withSeed(counts, sizeof counts, hash + 1);
        for (int64_t i = 0; i < part->pairs.n; i++) {
            const rv_text *text = &part->pairs.src[i], *label = &part->pairs.tgt[i];
            hash = XXH3_64bits_withSeed(text->bytes, text->len, hash + 1);
            hash = XXH3_64bits_withSeed(label->bytes, label->len, hash + 1);
        }
    }
    return hash;
}

/* ---- all of it ---- */

static rv_status fill(const rv_table_files *files, const rv_tokenizer_spec *spec, const char *const *classes,
                      int n_classes, int64_t max_length, rv_table *out) {
    loading l = {.t = out, .part = {&out->train, &out->valid, &out->test}};
    if (max_length < 0)
        return rv_error(RV_EUSAGE, "max_length %lld: it must not be negative (0: no limit)", (long long)max_length);
    if (!files->train && !(out->tokenizer && classes))
        return rv_error(RV_EUSAGE, "no training texts to learn from: give a train file, or a tokenizer and classes");
    if (out->tokenizer) RV_TRY(rv__check_marks(out->tokenizer, "tokenizer", "classification"));
    RV_TRY(read_parts(files, &l));
    RV_TRY(classify(&l, classes, n_classes));
    if (!out->tokenizer) {
        rv_status status = rv__pairs_tokenizer(spec, &out->train.pairs, true, false, &out->tokenizer);
        if (status != RV_OK) return rv_error_context(status, "%s: ", files->train);
    }
    for (int k = 0; k < PARTS; k++)
        if (l.split.path[k]) RV_TRY(encode(l.split.path[k], out->tokenizer, max_length, l.part[k]));
    report_cut(&l, max_length);
    out->hash = hash_of(&l);
    return RV_OK;
}

rv_status rv_table_load(const rv_table_files *files, const rv_tokenizer_spec *spec, rv_tokenizer *tokenizer,
                        const char *const *classes, int n_classes, int64_t max_length, rv_table *out) {
    *out = (rv_table){.tokenizer = tokenizer};
    rv_status status = fill(files, spec, classes, n_classes, max_length, out);
    if (status != RV_OK) rv_table_free(out);
    return status;
}
