#include "data/parallel.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/log.h"
#include "data/pairs_private.h"

enum { SPLITS = RV__PARTS, SIDES = 2 };

void rv_parallel_free(rv_parallel *p) {
    rv__pairs_free(&p->train);
    rv__pairs_free(&p->valid);
    rv__pairs_free(&p->test);
    if (p->tgt != p->src) rv_tokenizer_destroy(p->tgt);
    rv_tokenizer_destroy(p->src);
    *p = (rv_parallel){0};
}

/* ---- lines ---- */

static int64_t count_lines(const rv_text *t) {
    int64_t n = 0;
    for (size_t at = 0, whole; at < t->len; at += whole, n++) rv_text_line(t->bytes + at, t->len - at, &whole);
    return n;
}

/* The line at *at, which moves past it; its end becomes NUL. */
static rv_text next_line(const rv_text *t, size_t *at) {
    char *s = t->bytes + *at;
    size_t whole, len = rv_text_line(s, t->len - *at, &whole);
    *at += whole;
    s[len] = 0; /* rv_text_load leaves room for one after the last byte */
    return (rv_text){s, len};
}

/* Column k (from 1) of a TSV line; false if it has fewer. */
static bool column(rv_text line, int k, rv_text *out) {
    for (size_t n; (n = line.len), k > 0; k--) {
        char *tab = memchr(line.bytes, '\t', line.len);
        if (tab) n = (size_t)(tab - line.bytes);
        *out = (rv_text){line.bytes, n};
        if (!tab) return k == 1;
        line = (rv_text){tab + 1, line.len - n - 1};
    }
    return true;
}

/* Make a TSV line's columns the sides of a pair. */
static rv_status cut_at_tabs(const char *path, long long number, const int columns[SIDES], rv_text *src, rv_text *tgt) {
    static const int two[SIDES] = {1, 2};
    const rv_text line = *src;
    const bool given = columns[0];
    rv_text other;
    if (!given) columns = two;
    for (int i = 0; i < SIDES; i++) {
        if (column(line, columns[i], i ? tgt : src)) continue;
        if (!given)
            return rv_error(RV_EDATA, "%s:%lld: no tab: each line must be source, one tab, target", path, number);
        return rv_error(RV_EDATA,
                        "%s:%lld: no column %d, which data.columns [%d, %d] names; correct the line or the key", path,
                        number, columns[i], columns[0], columns[1]);
    }
    if (!given && column(line, SIDES + 1, &other))
        return rv_error(RV_EDATA,
                        "%s:%lld: several tabs: each line must be source, one tab, target; of more columns, "
                        "data.columns: [1, 2] takes these two",
                        path, number);
    src->bytes[src->len] = tgt->bytes[tgt->len] = 0;
    return RV_OK;
}

/* Read a split's files and find their lines; mixes their text into *hash. before: the paths of the splits before it, in
 * pairs. */
static rv_status load_lines(const rv_parallel_paths *paths, const int columns[SIDES], int splits,
                            const char *const *before, rv_pairs *p, uint64_t *hash) {
    const char *path[SIDES] = {paths->src, paths->tgt};
    int64_t count[SIDES] = {0};
    for (int i = 0; i < SIDES && path[i]; i++) {
        RV_TRY(rv_text_load_data(path[i], SIDES * splits + i, before, &p->text[i]));
        count[i] = count_lines(&p->text[i]);
        *hash = XXH3_64bits_withSeed(p->text[i].bytes, p->text[i].len, *hash + 1);
    }
    if (path[1] && count[0] != count[1])
        return rv_error(RV_EDATA,
                        "%s has %lld lines, but %s has %lld: line i of the one must be the translation of line i of "
                        "the other; get both files "
                        "again",
                        path[0], (long long)count[0], path[1], (long long)count[1]);
    p->n = p->lines = count[0];
    p->src = malloc(((size_t)p->n + 1) * sizeof *p->src);
    p->tgt = malloc(((size_t)p->n + 1) * sizeof *p->tgt);
    if (!p->src || !p->tgt) return rv_error(RV_ENOMEM, "no memory for %lld lines", (long long)p->n);
    size_t at[SIDES] = {0};
    for (int64_t i = 0; i < p->n; i++) {
        p->src[i] = next_line(&p->text[0], &at[0]);
        if (path[1])
            p->tgt[i] = next_line(&p->text[1], &at[1]);
        else
            RV_TRY(cut_at_tabs(path[0], i + 1, columns, &p->src[i], &p->tgt[i]));
        rv__side_empty_if_blank(&p->src[i]);
        rv__side_empty_if_blank(&p->tgt[i]);
    }
    return RV_OK;
}

/* Cut train in two. */
static rv_status hold_back(const char *path, double fraction, rv_pairs *const part[SPLITS]) {
    const double share[SPLITS] = {0, 1 - fraction, 0};
    const int64_t n = part[0]->n;
    if (!(fraction > 0 && fraction < 1))
        return rv_error(RV_EUSAGE, "train fraction %g must be above 0 and below 1", fraction);
    RV_TRY(rv__pairs_hold_back(share, part, NULL, 1));
    if (part[0]->n && part[1]->n) return RV_OK;
    return rv_error(RV_EDATA,
                    "%s: %lld pairs cannot be cut into training and validation at data.train_fraction %g; give more, "
                    "or data.train and data.valid",
                    path, (long long)n, fraction);
}

/* ---- tokenizers ---- */

static rv_status train_tokenizers(const rv_parallel_paths *paths, const rv_tokenizer_spec *spec, bool joint,
                                  rv_parallel *out) {
    rv_status status = rv__pairs_tokenizer(spec, &out->train, true, joint, &out->src);
    if (status != RV_OK) return rv_error_context(status, "%s: ", paths->src);
    if (joint)
        out->tgt = out->src;
    else
        status = rv__pairs_tokenizer(spec, &out->train, false, true, &out->tgt);
    return status == RV_OK ? RV_OK : rv_error_context(status, "%s: ", paths->tgt ? paths->tgt : paths->src);
}

/* ---- ids ---- */

/* Encode line i's sides; keep the pair as pair *kept unless it is to be left out. */
static rv_status encode_pair(const rv_parallel_paths *paths, rv_tokenizer *const tok[SIDES], int64_t max_length,
                             bool drop, int64_t i, rv_pairs *p, rv__ids list[SIDES], int64_t *kept) {
    int32_t *ids[SIDES] = {0};
    int64_t n[SIDES] = {0};
    rv_text side[SIDES] = {p->src[i], p->tgt[i]};
    rv_status status = RV_OK;
    for (int k = 0; k < SIDES && status == RV_OK; k++) {
        status = rv_tokenizer_encode(tok[k], side[k].bytes, side[k].len, &ids[k], &n[k]);
        const long long line = (p->line ? p->line[i] : i) + 1;
        if (status != RV_OK) rv_error_context(status, "%s:%lld: ", k && paths->tgt ? paths->tgt : paths->src, line);
    }
    bool empty = drop && (!n[0] || !n[1]),
         too_long = drop && max_length && !empty && (n[0] > max_length || n[1] > max_length);
    if (status == RV_OK && (empty || too_long)) {
        p->empty += empty, p->too_long += too_long;
    } else if (status == RV_OK) {
        for (int k = 0; k < SIDES && status == RV_OK; k++) status = rv__ids_append(&list[k], ids[k], n[k]);
        p->src[*kept] = side[0], p->tgt[*kept] = side[1];
        if (p->line) p->line[*kept] = p->line[i];
        if (n[0] > p->src_longest) p->src_longest = n[0];
        if (n[1] > p->tgt_longest) p->tgt_longest = n[1];
        ++*kept;
        p->src_at[*kept] = list[0].n, p->tgt_at[*kept] = list[1].n;
    }
    for (int k = 0; k < SIDES; k++) free(ids[k]);
    return status;
}

static rv_status encode(const rv_parallel_paths *paths, rv_tokenizer *const tok[SIDES], int64_t max_length, bool drop,
                        rv_pairs *p) {
    rv__ids list[SIDES] = {0};
    int64_t kept = 0;
    p->src_at = calloc((size_t)p->n + 1, sizeof *p->src_at);
    p->tgt_at = calloc((size_t)p->n + 1, sizeof *p->tgt_at);
    rv_status status = p->src_at && p->tgt_at
                           ? RV_OK
                           : rv_error(RV_ENOMEM, "no memory for the offsets of %lld pairs", (long long)p->n);
    for (int64_t i = 0; i < p->n && status == RV_OK; i++)
        status = encode_pair(paths, tok, max_length, drop, i, p, list, &kept);
    p->n = kept;
    p->src_ids = list[0].ids, p->tgt_ids = list[1].ids;
    return status;
}

static rv_status report_dropped(const char *path, const rv_pairs *p, int64_t max_length) {
    int64_t dropped = p->empty + p->too_long;
    if (!p->n)
        return rv_error(RV_EDATA,
                        "%s: none of %lld training pairs is left: %lld have an empty side, %lld over %lld tokens on a "
                        "side; raise data.max_length, or give "
                        "other files",
                        path, (long long)p->lines, (long long)p->empty, (long long)p->too_long, (long long)max_length);
    void (*say)(const char *, ...) = dropped > p->lines / 10 ? rv_warn : rv_info; /* a few are usual */
    if (dropped)
        say("%s: %lld of %lld training pairs left out: %lld with an empty side, %lld with over %lld tokens on a side",
            path, (long long)dropped, (long long)p->lines, (long long)p->empty, (long long)p->too_long,
            (long long)max_length);
    return RV_OK;
}

static rv_status fill(const rv_parallel_files *files, const rv_tokenizer_spec *spec, bool joint, int64_t max_length,
                      rv_parallel *out) {
    static const char *const names[SPLITS] = {"training", "validation", "test"};
    const rv_parallel_paths *paths[SPLITS] = {&files->train, &files->valid, &files->test};
    rv_pairs *pairs[SPLITS] = {&out->train, &out->valid, &out->test};
    const char *all[SPLITS * SIDES] = {0};
    for (int i = 0; i < SPLITS; i++) all[SIDES * i] = paths[i]->src, all[SIDES * i + 1] = paths[i]->tgt;
    bool given = out->src || out->tgt;
    if (max_length < 0)
        return rv_error(RV_EUSAGE, "max_length %lld: it must not be negative (0: no limit)", (long long)max_length);
    if (files->train_fraction != 0 && (files->valid.src || !files->train.src))
        return rv_error(RV_EUSAGE, "%s: a train fraction is of a single file, which is given as train",
                        files->valid.src ? files->valid.src : "parallel text");
    if (given && joint && !out->tgt) out->tgt = out->src;
    if (given && (!out->src || !out->tgt || (joint && out->src != out->tgt)))
        return rv_error(RV_EUSAGE, "%s",
                        joint ? "joint: give one tokenizer for both languages, or none"
                              : "give a tokenizer for each language, or none");
    if (!given && !files->train.src)
        return rv_error(RV_EUSAGE, "no training text to learn tokenizers from: give train files, or tokenizers");
    if (given) {
        RV_TRY(rv__check_marks(out->src, "source tokenizer", "translation"));
        RV_TRY(rv__check_marks(out->tgt, "target tokenizer", "translation"));
    }
    if (files->columns[0]) out->hash = XXH3_64bits(files->columns, sizeof files->columns);
    for (int i = 0; i < SPLITS; i++) {
        out->hash += (uint64_t)i;
        if (!paths[i]->src) continue;
        RV_TRY(load_lines(paths[i], files->columns, i, all, pairs[i], &out->hash));
        if (!pairs[i]->n)
            return rv_error(RV_EDATA, "%s: the %s text is empty; give another file", paths[i]->src, names[i]);
    }
    if (files->train_fraction != 0) {
        RV_TRY(hold_back(files->train.src, files->train_fraction, pairs));
        paths[1] = &files->train;
    }
    if (!given) RV_TRY(train_tokenizers(&files->train, spec, joint, out));
    rv_tokenizer *const tok[SIDES] = {out->src, out->tgt};
    for (int i = 0; i < SPLITS; i++)
        if (paths[i]->src) RV_TRY(encode(paths[i], tok, max_length, i == 0, pairs[i]));
    if (files->train.src) RV_TRY(report_dropped(files->train.src, &out->train, max_length));
    out->hash = XXH3_64bits_withSeed(&out->train.n, sizeof out->train.n, out->hash);
    return RV_OK;
}

rv_status rv_parallel_load(const rv_parallel_files *files, const rv_tokenizer_spec *spec, bool joint,
                           rv_tokenizer *src_tok, rv_tokenizer *tgt_tok, int64_t max_length, rv_parallel *out) {
    *out = (rv_parallel){.src = src_tok, .tgt = tgt_tok};
    rv_status status = fill(files, spec, joint, max_length, out);
    if (status != RV_OK) rv_parallel_free(out);
    return status;
}
