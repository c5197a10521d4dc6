#include "data/tagged.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/log.h"
#include "data/labels.h"
#include "data/split.h"
#include "data/tagged_private.h"

enum { PARTS = RV__PARTS };

static void part_free(rv_tagged_part *p) {
    rv__pairs_free(&p->pairs);
    free(p->word_at);
    free(p->tag);
    free(p->form);
    free(p->first);
    *p = (rv_tagged_part){0};
}

void rv_tagged_free(rv_tagged *t) {
    part_free(&t->train);
    part_free(&t->valid);
    part_free(&t->test);
    free(t->tag_name); /* the names stand behind it */
    rv_tokenizer_destroy(t->tokenizer);
    rv_tokenizer_destroy(t->letters);
    rv__forms_free(&t->forms);
    *t = (rv_tagged){0};
}

/* ---- parts ---- */

/* Tagged sentences being loaded: their parts, and the files' words. */
typedef struct {
    const rv_tagged_files *files;
    rv_tagged *t;
    rv_tagged_part *part[PARTS];
    rv__split split;
    rv__tagged_words words[PARTS]; /* of each file */
    rv__intern forms, tags;        /* of all files, in the order of appearance */
    int32_t *number;               /* of each of `tags`, among t's */
} loading;

static void loading_free(loading *l) {
    for (int k = 0; k < PARTS; k++) rv__tagged_words_free(&l->words[k]);
    rv__intern_clear(&l->forms);
    rv__intern_clear(&l->tags);
    free(l->number);
}

static rv_status read_parts(loading *l) {
    const rv_tagged_files *f = l->files;
    rv_pairs *const pairs[PARTS] = {&l->part[0]->pairs, &l->part[1]->pairs, &l->part[2]->pairs};
    RV_TRY(rv__tagged_check(f));
    RV_TRY(rv__split_make(f->train, f->valid, f->test, f->train_fraction, f->test_fraction, "sentences", &l->split));
    for (int k = 0; k < PARTS; k++) {
        const char *path = l->split.path[k];
        if (!rv__split_reads(&l->split, k)) continue;
        RV_TRY(rv__tagged_read(f, path, k, l->split.path, &l->forms, &l->tags, pairs[k], &l->words[k]));
        if (!pairs[k]->n)
            return rv_error(RV_EDATA, "%s: the %s part has no words; give another file", path, rv__part_words[k]);
    }
    return rv__split_holds_back(&l->split) ? rv__split_hold_back(&l->split, pairs, NULL, 1) : RV_OK;
}

/* The words of sentence i of part k, of which *n are from the result on. line is the sentence's number in its file
 * until the ids are made. */
static const rv__tagged_words *sentence(const loading *l, int k, int64_t i, int64_t *at, int64_t *n) {
    const rv__tagged_words *w = &l->words[rv__split_reads(&l->split, k) ? k : 0];
    const int64_t s = l->part[k]->pairs.line[i];
    *at = w->at[s], *n = w->at[s + 1] - w->at[s];
    return w;
}

/* Of each number that part k's words have in a table of n, by which (form or tag), that it does. NULL: RV_ENOMEM. */
static bool *seen_in(const loading *l, int k, bool tags) {
    const int32_t n = tags ? l->tags.n : l->forms.n;
    bool *seen = calloc((size_t)n + 1, sizeof *seen);
    if (!seen) rv_error(RV_ENOMEM, "no memory for the marks of %d words", (int)n);
    for (int64_t i = 0; seen && i < l->part[k]->pairs.n; i++) {
        int64_t at, words;
        const rv__tagged_words *w = sentence(l, k, i, &at, &words);
        for (int64_t j = at; j < at + words; j++) seen[tags ? w->tag[j] : w->form[j]] = true;
    }
    return seen;
}

/* ---- tags ---- */

/* What the words of part k are whose tags are not marked: how many of how many, and the first's line and tag. */
typedef struct {
    int64_t n, of, line;
    int32_t tag;
} strangers;

static strangers find_strangers(const loading *l, int k, const bool *mark) {
    strangers s = {0};
    for (int64_t i = 0; i < l->part[k]->pairs.n; i++) {
        int64_t at, words;
        const rv__tagged_words *w = sentence(l, k, i, &at, &words);
        s.of += words;
        for (int64_t j = at; j < at + words; j++)
            if (!mark[w->tag[j]] && !s.n++) s.line = w->line[j], s.tag = w->tag[j];
    }
    return s;
}

/* A tag that training never shows is never said, so each such word counts as wrong, as it should. Some are usual (an
 * entity's kind, a rare set of features); where most are, the column is another one. */
static rv_status check_untrained(const loading *l) {
    bool *trained = seen_in(l, 0, true);
    rv_status status = trained ? RV_OK : RV_ENOMEM;
    for (int k = 1; k < PARTS && status == RV_OK; k++) {
        const strangers s = find_strangers(l, k, trained);
        size_t len;
        char column[64];
        if (!s.n) continue;
        const char *tag = rv__intern_key(&l->tags, s.tag, &len), *path = l->split.path[k];
        const int shown = (int)rv_utf8_offset(tag, len, 40);
        if (2 * s.n > s.of)
            status = rv_error(RV_EDATA,
                              "%s:%lld: the tag '%.*s' is not among those of the training part, nor are those of %lld "
                              "of the %lld words; are tags in %s?",
                              path, (long long)s.line, shown, tag, (long long)s.n, (long long)s.of,
                              rv__tagged_column(l->files, column, sizeof column));
        else
            rv_warn("%s:%lld: the tag '%.*s' is not among those of the training part; %lld of %lld %s words have such "
                    "tags, which cannot be learnt",
                    path, (long long)s.line, shown, tag, (long long)s.n, (long long)s.of, rv__part_words[k]);
    }
    free(trained);
    return status;
}

static rv_status find_tags(const loading *l) {
    rv_tagged *t = l->t;
    if (l->tags.n < 2) {
        char column[64];
        size_t len;
        const char *tag = rv__intern_key(&l->tags, 0, &len);
        return rv_error(RV_EDATA,
                        "%s:%lld: '%.*s' is the tag of all words, but at least two tags are needed; are tags in %s?",
                        l->split.path[0], (long long)l->words[0].line[0], (int)rv_utf8_offset(tag, len, 40), tag,
                        rv__tagged_column(l->files, column, sizeof column));
    }
    RV_TRY(rv__labels_sorted(&l->tags, false, &t->tag_name));
    t->n_tags = l->tags.n;
    return check_untrained(l);
}

rv_status rv_tagged_take_tags(rv_tagged *t, const char *const *names, int n) {
    if (n < 2 || n > RV_TAGGED_TAGS) return rv_error(RV_EUSAGE, "%d tags, where 2 to %d can be", n, RV_TAGGED_TAGS);
    RV_TRY(rv__labels_copy(n, names, &t->tag_name));
    t->n_tags = n;
    return RV_OK;
}

/* Each tag of the files is one of the given ones. */
static rv_status check_given(const loading *l, const bool *known) {
    for (int k = 0; k < PARTS; k++) {
        const strangers s = find_strangers(l, k, known);
        size_t len;
        char all[4096];
        if (!s.n) continue;
        const char *tag = rv__intern_key(&l->tags, s.tag, &len);
        return rv_error(RV_EDATA,
                        "%s:%lld: the tag '%.*s' is not among those that were learnt: %s; correct it or take the "
                        "sentence out, or train anew",
                        l->split.path[k], (long long)s.line, (int)rv_utf8_offset(tag, len, 40), tag,
                        rv__labels_text(l->t->n_tags, l->t->tag_name, all, sizeof all));
    }
    return RV_OK;
}

static rv_status number_tags(loading *l, bool given) {
    rv__intern numbers = {0};
    l->number = malloc(((size_t)l->tags.n + 1) * sizeof *l->number);
    bool *known = malloc((size_t)l->tags.n + 1);
    rv_status status = l->number && known ? RV_OK : rv_error(RV_ENOMEM, "no memory for %d tags", (int)l->tags.n);
    if (status == RV_OK) status = rv__labels_number(l->t->n_tags, l->t->tag_name, "tag", &numbers);
    for (int32_t i = 0; i < l->tags.n && status == RV_OK; i++) {
        size_t len;
        const char *tag = rv__intern_key(&l->tags, i, &len);
        l->number[i] = rv__intern_find(&numbers, tag, len);
        known[i] = l->number[i] >= 0;
    }
    if (status == RV_OK && given) status = check_given(l, known);
    rv__intern_clear(&numbers);
    free(known);
    return status;
}

/* ---- forms ---- */

/* The letters are those of the training part's words, whatever the tokenizer of words makes of them. */
static rv_status train_letters(const loading *l, const bool *known, rv_tokenizer **out) {
    static const rv_tokenizer_spec spec = {.type = RV_TOKENS_CHAR, .specials = 1u << RV_UNK};
    size_t size = 0, n = 0, len;
    for (int32_t i = 0; i < l->forms.n; i++) {
        rv__intern_key(&l->forms, i, &len);
        size += known[i] ? len : 0;
    }
    char *all = malloc(size + 1);
    if (!all) return rv_error(RV_ENOMEM, "no memory for %zu bytes of words", size);
    for (int32_t i = 0; i < l->forms.n; i++) {
        const char *word = rv__intern_key(&l->forms, i, &len);
        if (known[i]) memcpy(all + n, word, len), n += len;
    }
    rv_status status = rv_tokenizer_train(&spec, all, n, out);
    free(all);
    return status;
}

/* Without a training part, what the tokenizer of words has was in it. */
static rv_status find_known(const loading *l, bool *known) {
    rv_tokenizer *tok = l->t->tokenizer;
    if (l->split.path[0] || rv_tokenizer_get_spec(tok).type != RV_TOKENS_WORD) return RV_OK;
    for (int32_t i = 0; i < l->forms.n; i++) {
        size_t len;
        int32_t id;
        const char *word = rv__intern_key(&l->forms, i, &len);
        RV_TRY(rv_word_id(tok, word, len, &id));
        known[i] = id != rv_tokenizer_special(tok, RV_UNK);
    }
    return RV_OK;
}

static rv_status make_forms(const loading *l) {
    rv_tagged *t = l->t;
    bool *known = seen_in(l, 0, false);
    rv_status status = known ? find_known(l, known) : RV_ENOMEM;
    if (status == RV_OK && !t->letters) status = train_letters(l, known, &t->letters);
    if (status == RV_OK) return rv__forms_make(&l->forms, known, t->letters, &t->forms);
    free(known);
    return status;
}

/* ---- ids ---- */

/* A part whose words become ids. */
typedef struct {
    const loading *l;
    int k;
    bool pieces;  /* tokens are pieces of words */
    int64_t most; /* tokens of a sentence; 0: no limit */
    rv__ids list;
} encoding;

/* Append word `form`, which stands at s in its sentence, behind a blank unless it is the first one. *fits false: it
 * would be too long, and only of a first word are as many pieces kept as may be. */
static rv_status encode_word(encoding *e, const char *s, int32_t form, bool leads, int64_t have, int32_t *first,
                             bool *fits) {
    int32_t *ids = NULL;
    int64_t n, at;
    RV_TRY(rv_word_tokens(e->l->t->tokenizer, s, strlen(e->l->t->forms.text[form]), leads, &ids, &n, &at));
    *first = (int32_t)(have + at);
    *fits = !e->most || have + n <= e->most;
    if (!*fits) n = leads ? e->most : 0;
    rv_status status = rv__ids_append(&e->list, ids, n);
    free(ids);
    return status;
}

static rv_status encode_sentence(encoding *e, int64_t i, int64_t *kept) {
    rv_tagged_part *part = e->l->part[e->k];
    rv_pairs *p = &part->pairs;
    const int64_t begin = e->list.n;
    int64_t at, n;
    const rv__tagged_words *w = sentence(e->l, e->k, i, &at, &n);
    const char *s = p->src[i].bytes;
    bool fits = true;
    for (int64_t j = at; j < at + n && fits; j++) {
        int32_t first;
        RV_TRY(encode_word(e, s, w->form[j], j == at, e->list.n - begin, &first, &fits));
        if (!fits && j > at) break;
        if (part->first) part->first[*kept] = first;
        part->form[*kept] = w->form[j];
        part->tag[(*kept)++] = e->l->number[w->tag[j]];
        s += strlen(e->l->t->forms.text[w->form[j]]) + 1;
    }
    part->cut += !fits;
    part->word_at[i + 1] = *kept;
    p->src_at[i + 1] = e->list.n;
    if (e->list.n - begin > p->src_longest) p->src_longest = e->list.n - begin;
    p->line[i] = w->line[at] - 1;
    return RV_OK;
}

static rv_status make_arrays(encoding *e) {
    rv_tagged_part *part = e->l->part[e->k];
    const int64_t n = part->pairs.n;
    int64_t words = 0;
    for (int64_t i = 0, at, here; i < n; i++) {
        sentence(e->l, e->k, i, &at, &here);
        words += here;
    }
    part->pairs.src_at = calloc((size_t)n + 1, sizeof *part->pairs.src_at);
    part->word_at = calloc((size_t)n + 1, sizeof *part->word_at);
    part->tag = malloc((size_t)words * sizeof *part->tag + 1);
    part->form = malloc((size_t)words * sizeof *part->form + 1);
    if (e->pieces) part->first = malloc((size_t)words * sizeof *part->first + 1);
    if (part->pairs.src_at && part->word_at && part->tag && part->form && (part->first || !e->pieces)) return RV_OK;
    return rv_error(RV_ENOMEM, "no memory for %lld words of %lld sentences", (long long)words, (long long)n);
}

static rv_status encode(const loading *l, int k, int64_t max_length) {
    rv_tagged_part *part = l->part[k];
    rv_tokenizer *tok = l->t->tokenizer;
    encoding e = {l, k, .pieces = rv_tokenizer_get_spec(tok).type != RV_TOKENS_WORD, .most = max_length};
    RV_TRY(make_arrays(&e));
    rv_status status = RV_OK;
    int64_t kept = 0;
    for (int64_t i = 0; i < part->pairs.n && status == RV_OK; i++) {
        int64_t at, n;
        const int64_t line = sentence(l, k, i, &at, &n)->line[at];
        status = encode_sentence(&e, i, &kept);
        if (status == RV_EDATA) rv_error_context(status, "%s:%lld: ", l->split.path[k], (long long)line);
    }
    part->pairs.src_ids = e.list.ids;
    return status;
}

static void report_cut(const loading *l, int64_t max_length) {
    int64_t cut[PARTS], n[PARTS];
    for (int k = 0; k < PARTS; k++) cut[k] = l->part[k]->cut, n[k] = l->part[k]->pairs.n;
    rv__split_report_cut(&l->split, ", by whole words", max_length, cut, n);
}

static uint64_t hash_of(const loading *l) {
    uint64_t hash = 0;
    for (int k = 0; k < PARTS; k++) {
        const rv_tagged_part *part = l->part[k];
        const int64_t n = part->pairs.n, counts[] = {n, part->cut};
        hash = XXH3_64bits_withSeed(counts, sizeof counts, hash + 1);
        if (n) hash = XXH3_64bits_withSeed(part->word_at, ((size_t)n + 1) * sizeof *part->word_at, hash + 1);
        for (int64_t j = 0; n && j < part->word_at[n]; j++) {
            const char *word = l->t->forms.text[part->form[j]], *tag = l->t->tag_name[part->tag[j]];
            hash = XXH3_64bits_withSeed(word, strlen(word), hash + 1);
            hash = XXH3_64bits_withSeed(tag, strlen(tag), hash + 1);
        }
    }
    return hash;
}

/* ---- all of it ---- */

static rv_status check_given_parts(const rv_tagged *t, bool train, bool tags, int64_t max_length) {
    if (max_length < 0)
        return rv_error(RV_EUSAGE, "max_length %lld: it must not be negative (0: no limit)", (long long)max_length);
    if (!train && !(t->tokenizer && t->letters && tags))
        return rv_error(RV_EUSAGE, "no training sentences to learn from: give a train file, or tokenizer, letters and "
                                   "tags");
    if (t->tokenizer) RV_TRY(rv__check_marks(t->tokenizer, "tokenizer", "tagging"));
    if (t->letters &&
        (rv_tokenizer_get_spec(t->letters).type != RV_TOKENS_CHAR || rv_tokenizer_special(t->letters, RV_UNK) < 0))
        return rv_error(RV_EDATA, "the tokenizer of letters must be one of type char, with <unk>");
    return RV_OK;
}

static rv_status fill(loading *l, const rv_tokenizer_spec *spec, const char *const *tag_names, int n_tags,
                      int64_t max_length) {
    rv_tagged *t = l->t;
    RV_TRY(check_given_parts(t, l->files->train, tag_names, max_length));
    RV_TRY(read_parts(l));
    RV_TRY(tag_names ? rv_tagged_take_tags(t, tag_names, n_tags) : find_tags(l));
    RV_TRY(number_tags(l, tag_names));
    if (!t->tokenizer) {
        rv_status status = rv__pairs_tokenizer(spec, &t->train.pairs, true, false, &t->tokenizer);
        if (status != RV_OK) return rv_error_context(status, "%s: ", l->files->train);
    }
    RV_TRY(make_forms(l));
    for (int k = 0; k < PARTS; k++)
        if (l->split.path[k]) RV_TRY(encode(l, k, max_length));
    report_cut(l, max_length);
    t->hash = hash_of(l);
    return RV_OK;
}

rv_status rv_tagged_load(const rv_tagged_files *files, const rv_tokenizer_spec *spec, rv_tokenizer *tokenizer,
                         rv_tokenizer *letters, const char *const *tag_names, int n_tags, int64_t max_length,
                         rv_tagged *out) {
    *out = (rv_tagged){.tokenizer = tokenizer, .letters = letters};
    loading l = {.files = files, .t = out, .part = {&out->train, &out->valid, &out->test}};
    rv_status status = fill(&l, spec, tag_names, n_tags, max_length);
    loading_free(&l);
    if (status != RV_OK) rv_tagged_free(out);
    return status;
}
