#include "data/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/log.h"
#include "data/intern.h"
#include "data/pairs_private.h"
#include "data/table_private.h"

enum { PARTS = RV__PARTS };
static const char *const part_words[PARTS] = {"training", "validation", "test"};

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
    const char *path[PARTS];
    double share[PARTS]; /* of train's file that is held back for a part */
    int label;           /* the label's column, from 1 */
} loading;

static rv_status find_shares(const rv_table_files *f, loading *l) {
    const double train = f->train_fraction, test = f->test_fraction;
    if (train == 0 && test == 0) return RV_OK;
    /* 1 - 0.8 - 0.2 is not quite 0 */
    if (!(train >= 0 && train < 1 && test >= 0 && test < 1 && train + test < 1 + 1e-9))
        return rv_error(RV_EUSAGE,
                        "train fraction %g and test fraction %g: each must be below 1, and both together at most 1",
                        train, test);
    if (train > 0 && train + test < 1 - 1e-9) l->share[1] = 1 - train - test;
    l->share[2] = test;
    for (int k = 1; k < PARTS; k++) {
        if (l->share[k] == 0) continue;
        if (!f->train)
            return rv_error(RV_EUSAGE, "a fraction of texts is held back from the file given as train: give one");
        if (l->path[k])
            return rv_error(RV_EUSAGE, "%s: the %s part cannot be a file and a fraction of train's, too", l->path[k],
                            part_words[k]);
        l->path[k] = f->train;
    }
    return RV_OK;
}

/* By its labels: rows may come sorted by class, or the classes in turn. */
static rv_status cut_by_class(const double share[PARTS], rv_pairs *const part[PARTS]) {
    rv__intern labels = {0};
    const rv_pairs *p = part[0];
    int32_t *class_of = malloc((size_t)p->n * sizeof *class_of);
    rv_status status = class_of ? RV_OK : rv_error(RV_ENOMEM, "no memory for %lld labels", (long long)p->n);
    for (int64_t i = 0; i < p->n && status == RV_OK; i++) {
        class_of[i] = rv__intern_add(&labels, p->tgt[i].bytes, p->tgt[i].len);
        if (class_of[i] < 0) status = RV_ENOMEM;
    }
    if (status == RV_OK) status = rv__pairs_hold_back(share, part, class_of, labels.n ? labels.n : 1);
    rv__intern_clear(&labels);
    free(class_of);
    return status;
}

static rv_status hold_back(const rv_table_files *f, loading *l) {
    rv_pairs *const pairs[PARTS] = {&l->part[0]->pairs, &l->part[1]->pairs, &l->part[2]->pairs};
    const int64_t n = pairs[0]->n;
    if (l->share[1] == 0 && l->share[2] == 0) return RV_OK;
    RV_TRY(cut_by_class(l->share, pairs));
    for (int k = 0; k < PARTS; k++)
        if (!pairs[k]->n && (!k || l->share[k] > 0))
            return rv_error(RV_EDATA,
                            "%s: %lld texts at data.train_fraction %g and data.test_fraction %g leave none for %s; "
                            "give more, or files of their own (data.valid, data.test)",
                            f->train, (long long)n, f->train_fraction, f->test_fraction, part_words[k]);
    return RV_OK;
}

static rv_status read_parts(const rv_table_files *f, loading *l) {
    rv__table_layout layout;
    RV_TRY(rv__table_layout_make(f, &layout));
    RV_TRY(find_shares(f, l));
    l->label = layout.label + 1;
    for (int k = 0; k < PARTS; k++) {
        if (!l->path[k] || l->share[k] > 0) continue;
        RV_TRY(rv__table_read(&layout, l->path[k], k, l->path, &l->part[k]->pairs));
        if (!l->part[k]->pairs.n)
            return rv_error(RV_EDATA, "%s: the %s part is empty; give another file", l->path[k], part_words[k]);
    }
    return hold_back(f, l);
}

/* ---- classes ---- */

/* What a message shows of a label: one that is a whole text, of a wrong column, is cut. */
static int shown(const char *label) { return (int)rv_utf8_offset(label, strlen(label), 40); }

static bool whole_number(const char *s) {
    s += *s == '-';
    const size_t n = strspn(s, "0123456789");
    return n && !s[n] && n <= 18; /* longer ones may be no long long */
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int by_value(const void *a, const void *b) {
    const long long x = strtoll(*(char *const *)a, NULL, 10), y = strtoll(*(char *const *)b, NULL, 10);
    return x != y ? (x > y) - (x < y) : by_bytes(a, b); /* 1 and 01 are two classes */
}

/* Copy the names into the table, in one block. */
static rv_status set_classes(rv_table *t, int n, const rv_text *name) {
    size_t size = (size_t)n * sizeof *t->class_name;
    for (int i = 0; i < n; i++) size += name[i].len + 1;
    if (!(t->class_name = malloc(size))) return rv_error(RV_ENOMEM, "no memory for the names of %d classes", n);
    char *to = (char *)(t->class_name + n);
    for (int i = 0; i < n; i++) {
        t->class_name[i] = memcpy(to, name[i].bytes, name[i].len);
        to[name[i].len] = 0;
        to += name[i].len + 1;
    }
    t->n_classes = n;
    return RV_OK;
}

/* Number each label of train's anew, in the order of appearance. */
static rv_status collect(const loading *l, rv__intern *seen) {
    const rv_pairs *p = &l->part[0]->pairs;
    for (int64_t i = 0; i < p->n; i++) {
        if (rv__intern_add(seen, p->tgt[i].bytes, p->tgt[i].len) < 0) return RV_ENOMEM;
        if (seen->n > RV_TABLE_CLASSES)
            return rv_error(RV_EDATA,
                            "%s:%lld: '%.*s' is one class over %d; are labels in column %d (data.label_column)?",
                            l->path[0], (long long)p->line[i] + 1, shown(p->tgt[i].bytes), p->tgt[i].bytes,
                            RV_TABLE_CLASSES, l->label);
    }
    if (seen->n >= 2) return RV_OK;
    return rv_error(RV_EDATA,
                    "%s:%lld: '%.*s' is the label of all %lld training texts, but at least two classes are needed; are "
                    "labels in column %d (data.label_column)?",
                    l->path[0], (long long)p->line[0] + 1, shown(p->tgt[0].bytes), p->tgt[0].bytes, (long long)p->n,
                    l->label);
}

/* The classes are those of the train part. */
static rv_status find_classes(const loading *l, rv__intern *seen) {
    RV_TRY(collect(l, seen));
    rv_text *name = malloc((size_t)seen->n * sizeof *name);
    if (!name) return rv_error(RV_ENOMEM, "no memory for %d classes", (int)seen->n);
    for (int32_t i = 0; i < seen->n; i++) name[i].bytes = (char *)rv__intern_key(seen, i, &name[i].len);
    rv_status status = set_classes(l->t, seen->n, name);
    free(name);
    if (status != RV_OK) return status;
    bool numbers = true;
    for (int i = 0; i < l->t->n_classes && numbers; i++) numbers = whole_number(l->t->class_name[i]);
    qsort(l->t->class_name, (size_t)l->t->n_classes, sizeof *l->t->class_name, numbers ? by_value : by_bytes);
    return RV_OK;
}

rv_status rv__table_take_classes(rv_table *t, const char *const *classes, int n) {
    if (n < 2 || n > RV_TABLE_CLASSES)
        return rv_error(RV_EUSAGE, "%d classes, where 2 to %d can be", n, RV_TABLE_CLASSES);
    rv_text *name = malloc((size_t)n * sizeof *name);
    if (!name) return rv_error(RV_ENOMEM, "no memory for %d classes", n);
    for (int i = 0; i < n; i++) name[i] = (rv_text){(char *)classes[i], strlen(classes[i])};
    rv_status status = set_classes(t, n, name);
    free(name);
    return status;
}

static rv_status no_class(const loading *l, int k, int64_t i, bool given) {
    enum { LISTED = 20 };
    const rv_pairs *p = &l->part[k]->pairs;
    const char *label = p->tgt[i].bytes;
    char all[4096];
    size_t n = 0;
    for (int c = 0; c < l->t->n_classes && c < LISTED; c++) /* 20 of at most 160 bytes */
        n += (size_t)snprintf(all + n, sizeof all - n, "%s%.*s", c ? ", " : "", shown(l->t->class_name[c]),
                              l->t->class_name[c]);
    if (l->t->n_classes > LISTED) snprintf(all + n, sizeof all - n, " and %d more", l->t->n_classes - LISTED);
    return rv_error(RV_EDATA, "%s:%lld: the label '%.*s' is not among %s: %s; correct it%s take the row out%s",
                    l->path[k], (long long)p->line[i] + 1, shown(label), label,
                    given ? "the classes" : "those of the training part", all, given ? " or" : ",",
                    given ? "" : ", or train on texts of it, too");
}

/* Every part's labels to numbers. */
static rv_status number_labels(const loading *l, rv__intern *classes, bool given) {
    for (int c = 0; c < l->t->n_classes; c++) {
        const char *name = l->t->class_name[c];
        const int32_t number = rv__intern_add(classes, name, strlen(name));
        if (number < 0) return RV_ENOMEM;
        if (number != c) return rv_error(RV_EUSAGE, "the class '%.*s' is given twice", shown(name), name);
    }
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
    char parts[256] = "";
    size_t n = 0;
    for (int k = 0; k < PARTS; k++) {
        const rv_table_part *p = l->part[k];
        if (p->cut)
            n += (size_t)snprintf(parts + n, sizeof parts - n, "%s%lld of %lld in %s", n ? ", " : "", (long long)p->cut,
                                  (long long)p->pairs.n, part_words[k]);
    }
    if (n)
        rv_warn("texts of over %lld tokens are cut to these: %s; data.max_length changes that", (long long)max_length,
                parts);
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
    loading l = {
        .t = out, .part = {&out->train, &out->valid, &out->test}, .path = {files->train, files->valid, files->test}};
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
        if (l.path[k]) RV_TRY(encode(l.path[k], out->tokenizer, max_length, l.part[k]));
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
