/* Source tagged: sentences and a tag for each word, a vocabulary of words or pieces, and one of letters. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "data/dataset.h"
#include "data/tagged.h"
#include "train/source_rows.h"
#include "train/vocabulary.h"

/* What a batch has beside the rows' ids: room for the largest one of any part. */
typedef struct {
    int32_t *out, *at, *lengths;                      /* (B, T), (B, T), (B) */
    int32_t *letters, *letter_counts, *shape, *which; /* of words as letters */
    rv_words words;
} extras;

typedef struct {
    rv__rows rows;
    rv_tagged data; /* and its vocabularies */
    extras training, measuring;
    int64_t *seen, turn; /* (forms) the batch that a form was last in, and its place there */
    int32_t *place;
    int64_t longest_word; /* letters */
    rv_span_tags spans;
    rv_tags tags[3];
    bool *known[3];
    rv_words spelling; /* of a model that counts: the vocabulary's words */
    uint8_t *follows;  /* (K + 1, K + 1): from, to; row and column K: before the first, behind the last word */
} tagged;

static rv_tagged_part *part_of(tagged *t, rv_subset subset) {
    rv_tagged_part *const parts[] = {&t->data.train, &t->data.valid, &t->data.test};
    return parts[subset];
}

/* ---- batches */

/* The forms at the batch's positions, each once, as letters. */
static const rv_words *spell(tagged *t, const rv_tagged_part *p, extras *x, const rv_batch *b) {
    const rv_forms *f = &t->data.forms;
    rv_words *w = &x->words;
    *w = (rv_words){.letters = x->letters, .lengths = x->letter_counts, .shape = x->shape, .which = x->which, .L = 1};
    t->turn++;
    for (int64_t i = 0; i < b->B * b->T; i++) {
        x->which[i] = 0;
        const int64_t row = i / b->T, word = i % b->T;
        if (word >= b->lengths[row]) continue;
        const int32_t form = p->form[p->word_at[b->index[row]] + word];
        if (t->seen[form] != t->turn) {
            const int64_t n = f->letter_at[form + 1] - f->letter_at[form];
            t->seen[form] = t->turn;
            t->place[form] = (int32_t)w->n;
            x->letter_counts[w->n] = (int32_t)n;
            x->shape[w->n++] = f->shape[form];
            if (n > w->L) w->L = n;
        }
        x->which[i] = t->place[form];
    }
    for (int64_t i = 0; i < b->B * b->T; i++) {
        const int64_t row = i / b->T, word = i % b->T;
        if (word >= b->lengths[row]) continue;
        const int32_t form = p->form[p->word_at[b->index[row]] + word];
        int32_t *to = x->letters + t->place[form] * w->L;
        const int64_t n = f->letter_at[form + 1] - f->letter_at[form];
        memcpy(to, f->letter + f->letter_at[form], (size_t)n * sizeof *to);
        memset(to + n, 0, (size_t)(w->L - n) * sizeof *to);
    }
    return w;
}

/* The tags of the rows' words, where they are, and how they are spelt. */
static void extend(rv__rows *r, rv_subset subset, bool training, rv_batch *b) {
    tagged *t = (tagged *)r;
    const rv_tagged_part *p = part_of(t, subset);
    extras *x = training ? &t->training : &t->measuring;
    b->T = b->targets = 0;
    for (int64_t i = 0; i < b->B; i++) {
        const int64_t *at = p->word_at + b->index[i];
        x->lengths[i] = (int32_t)(at[1] - at[0]);
        b->targets += x->lengths[i];
        if (x->lengths[i] > b->T) b->T = x->lengths[i];
    }
    for (int64_t i = 0; i < b->B * b->T; i++) {
        const int64_t row = i / b->T, word = i % b->T, k = p->word_at[b->index[row]] + word;
        const bool there = word < x->lengths[row];
        x->out[i] = there ? p->tag[k] : RV_IGNORE;
        if (p->first) x->at[i] = there ? p->first[k] : 0;
    }
    b->out = x->out;
    b->at = p->first ? x->at : NULL;
    b->lengths = x->lengths;
    b->steps = b->targets;
    if (t->data.letters) b->source.words = spell(t, p, x, b);
}

static void extras_free(extras *x) {
    int32_t *const all[] = {x->out, x->at, x->lengths, x->letters, x->letter_counts, x->shape, x->which};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) rv_free(all[i]);
}

/* rows of `words` in all. */
static bool extras_make(const tagged *t, int64_t rows, int64_t words, extras *x) {
    const int64_t forms = words < t->data.forms.n ? words : t->data.forms.n;
    const struct {
        int32_t **array;
        int64_t n;
    } all[] = {{&x->out, words},
               {&x->at, words},
               {&x->lengths, rows},
               {&x->letter_counts, forms},
               {&x->shape, forms},
               {&x->which, words},
               {&x->letters, forms * t->longest_word}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!(*all[i].array = rv_alloc(rv_size_mul((size_t)all[i].n + 1, sizeof **all[i].array)))) return false;
    return true;
}

static rv_status make_room(tagged *t) {
    const rv_forms *f = &t->data.forms;
    int64_t longest = 1, n = 1, words = 1;
    for (int i = 0; i < 3; i++) {
        const rv_pairs *p = t->rows.part[i];
        if (p->src_longest > longest) longest = p->src_longest;
        if (p->n > n) n = p->n;
    }
    for (int32_t i = 0; i < f->n; i++)
        if (f->letter_at[i + 1] - f->letter_at[i] > t->longest_word)
            t->longest_word = f->letter_at[i + 1] - f->letter_at[i];
    /* As pair_batch.c has it: by tokens B S <= size, or one long sentence alone. */
    const int64_t size = rv_config_int(t->rows.base.config, "train.batch.size"), rows = size < n ? size : n;
    const bool by_tokens = rv_config_is(t->rows.base.config, "train.batch.type", "tokens");
    words = by_tokens ? (size > longest ? size : longest) : rows * longest;
    if (words > n * longest) words = n * longest;
    if (words < RV_LOOK_BATCH * longest) words = RV_LOOK_BATCH * longest;
    t->seen = rv_alloc(rv_size_mul((size_t)f->n + 1, sizeof *t->seen));
    t->place = rv_alloc(rv_size_mul((size_t)f->n + 1, sizeof *t->place));
    const int64_t most = rows > RV_LOOK_BATCH ? rows : RV_LOOK_BATCH;
    return t->seen && t->place && extras_make(t, most, words, &t->training) &&
                   extras_make(t, most, words, &t->measuring)
               ? RV_OK
               : RV_ENOMEM;
}

/* ---- tags */

static rv_status make_tags(tagged *t) {
    for (int i = 0; i < 3; i++) {
        const rv_tagged_part *p = part_of(t, (rv_subset)i);
        if (!p->pairs.n) continue;
        const int64_t words = p->word_at[p->pairs.n];
        t->tags[i] = (rv_tags){
            .n = p->pairs.n, .words = words, .at = p->word_at, .tag = p->tag, .known = t->known[i], .spans = &t->spans};
        if (!(t->known[i] = rv_alloc((size_t)words * sizeof **t->known))) return RV_ENOMEM;
        t->tags[i].known = t->known[i];
        for (int64_t k = 0; k < words; k++) t->known[i][k] = t->data.forms.known[p->form[k]];
    }
    return RV_OK;
}

/* Their scheme: the one that was learnt, or else that of the training part. BIO and IOB1 have the same tags, so that
 * without data nothing else tells them apart. */
static rv_status make_spans(tagged *t) {
    const char *const *names = (const char *const *)t->data.tag_name;
    const rv_tagged_part *p = &t->data.train;
    int64_t *scheme = &t->rows.base.span_scheme;
    for (int i = 0; i < 3 && !p->pairs.n; i++) p = part_of(t, (rv_subset)i);
    if (*scheme < RV_SPANS_NONE || *scheme > RV_SPANS_BIOES)
        return rv_error(RV_ECKPT, "the checkpoint names scheme %lld of spans, which there is not; it is damaged",
                        (long long)*scheme);
    if (*scheme == RV_SPANS_NONE) *scheme = rv_span_scheme_of(t->data.n_tags, names, p->pairs.n, p->word_at, p->tag);
    return rv_span_tags_make(t->data.n_tags, names, (rv_span_scheme)*scheme, &t->spans);
}

static bool constrains(const tagged *t) {
    const rv_config *c = t->rows.base.config;
    return t->spans.scheme != RV_SPANS_NONE && rv_config_has(c, "model.crf_constraints") &&
           rv_config_bool(c, "model.crf_constraints");
}

/* Neighbours that the scheme bans: to stands behind from; -1: outside of the sentence. */
static rv_status banned(const tagged *t, const char *path, const rv_tagged_part *p, int64_t i, int from, int to) {
    static const char *const schemes[] = {[RV_SPANS_BIO] = "BIO", [RV_SPANS_IOB1] = "IOB1", [RV_SPANS_BIOES] = "BIOES"};
    const char *name = t->data.tag_name[to < 0 ? from : to];
    const char *at = to < 0     ? " at its end"
                     : from < 0 ? " at its begin"
                                : " behind ",
               *mark = to < 0 || from < 0 ? "" : "'";
    const char *before = *mark ? t->data.tag_name[from] : "";
    return rv_error(
        RV_EDATA,
        "%s:%lld: the sentence that begins here has the tag '%s'%s%s%s%s, which the scheme %s of these tags "
        "does not allow: %scorrect it, take the sentence out, or train with model.crf_constraints false",
        path, (long long)p->pairs.line[i] + 1, name, at, mark, before, mark, schemes[t->spans.scheme],
        to < 0 && p->cut ? "raise data.max_length where it cuts the sentence, " : "");
}

/* To a CRF with constraints a tagging that breaks them cannot be: there is no loss of it, to learn or to measure. */
static rv_status check_scheme(const tagged *t, const char *path, const rv_tagged_part *p) {
    for (int64_t i = 0; i < p->pairs.n; i++) {
        const int32_t *tag = p->tag + p->word_at[i];
        const int64_t n = p->word_at[i + 1] - p->word_at[i];
        for (int64_t k = 0; k <= n; k++) {
            const int from = k ? tag[k - 1] : -1, to = k < n ? tag[k] : -1;
            if (!rv_span_follows(&t->spans, from, to)) return banned(t, path, p, i, from, to);
        }
    }
    return RV_OK;
}

static rv_status take_spans(tagged *t, const rv_tagged_files *files) {
    const rv_tagged_files *f = files;
    RV_TRY(make_spans(t));
    if (!constrains(t)) return RV_OK;
    RV_TRY(check_scheme(t, f->train, &t->data.train));
    RV_TRY(check_scheme(t, f->valid ? f->valid : f->train, &t->data.valid));
    return check_scheme(t, f->test ? f->test : f->train, &t->data.test);
}

/* What a CRF may not do. */
static rv_status make_follows(tagged *t) {
    const int K = t->data.n_tags;
    if (!constrains(t)) return RV_OK;
    if (!(t->follows = rv_alloc((size_t)((K + 2) * K) * sizeof *t->follows))) return RV_ENOMEM;
    for (int from = 0; from < K; from++) {
        for (int to = 0; to < K; to++) t->follows[from * K + to] = rv_span_follows(&t->spans, from, to);
        t->follows[K * K + from] = rv_span_follows(&t->spans, -1, from);
        t->follows[(K + 1) * K + from] = rv_span_follows(&t->spans, from, -1);
    }
    t->rows.base.sizes.allowed =
        (rv_crf_allowed){.transition = t->follows, .start = t->follows + K * K, .stop = t->follows + (K + 1) * K};
    return RV_OK;
}

/* ---- metrics */

/* What keeps a metric of tags from being measured on a part, or NULL. */
static const char *hindrance(const rv_tags *t, const char *metric) {
    int64_t known = 0;
    for (int64_t k = 0; k < t->words; k++) known += t->known[k];
    if (!strcmp(metric, "known_accuracy")) return known ? NULL : "has no word of the training part";
    if (!strcmp(metric, "unknown_accuracy")) return known < t->words ? NULL : "has only words of the training part";
    return t->spans->scheme != RV_SPANS_NONE ? NULL : "has tags that mark no spans (B-X, I-X, O; BIOES)";
}

static rv_status check(rv__rows *r, rv_subset subset, bool watched) {
    static const char *const metrics[] = {"known_accuracy", "unknown_accuracy", "span_f1", "malformed"};
    const rv_config *c = r->base.config;
    for (int i = 0; i < 4; i++) {
        const char *why = hindrance(&((tagged *)r)->tags[subset], metrics[i]);
        if (!why || !rv_task_measures(c, metrics[i])) continue;
        if (watched && rv__watches(c, metrics[i]))
            return rv_error(RV_EDATA,
                            "train.early_stopping.metric %s: the %s part %s; watch another, such as the accuracy",
                            metrics[i], rv__part_name(subset), why);
        rv_warn("%s is not measured: the %s part %s", metrics[i], rv__part_name(subset), why);
    }
    return RV_OK;
}

/* ---- the vocabulary as letters */

/* The word of an id, as letters and shape; specials have none. */
static rv_status spell_id(tagged *t, int32_t id, int64_t most, int32_t *letters, int32_t *n, int32_t *shape) {
    rv_text word;
    int32_t *ids = NULL;
    int64_t count = 0;
    *n = 0;
    for (int i = 0; i < RV_SPECIALS; i++)
        if (rv_tokenizer_special(t->data.tokenizer, (rv_special)i) == id) return RV_OK;
    RV_TRY(rv_tokenizer_decode(t->data.tokenizer, &id, 1, &word));
    rv_status status = rv_word_letters(t->data.letters, word.bytes, word.len, most, &ids, &count);
    if (status == RV_OK && count) memcpy(letters, ids, (size_t)count * sizeof *letters);
    *n = (int32_t)count;
    *shape = (int32_t)rv_word_shape(word.bytes, word.len);
    rv_text_free(&word);
    free(ids);
    return status;
}

/* What a model that counts asks for: words whose suffixes teach. */
static rv_status spell_vocabulary(tagged *t) {
    enum { MOST = 64 }; /* letters of a word; of longer ones both ends */
    rv_source *base = &t->rows.base;
    const int64_t V = rv_tokenizer_size(t->data.tokenizer);
    if (rv_tokenizer_get_spec(t->data.tokenizer).type != RV_TOKENS_WORD)
        return rv_error(RV_EUSAGE, "model.hmm counts words: set tokenizer.type to word");
    const rv_tokenizer_spec spec = rv_tokenizer_get_spec(t->data.tokenizer);
    const bool suffixes = rv_config_int(base->config, "model.hmm.suffix") > 0;
    if (suffixes && (spec.lowercase || spec.normalization != RV_NORMAL_NONE))
        return rv_error(RV_EUSAGE,
                        "model.hmm.suffix tells unknown words by how they are written: set tokenizer.lowercase "
                        "to false and tokenizer.normalization to none");
    int32_t *letters = rv_alloc(rv_size_mul((size_t)V * MOST, sizeof *letters)),
            *lengths = rv_alloc(rv_size_mul((size_t)V, sizeof *lengths)),
            *shape = rv_alloc(rv_size_mul((size_t)V, sizeof *shape));
    t->spelling = (rv_words){.n = V, .L = MOST, .letters = letters, .lengths = lengths, .shape = shape};
    if (!letters || !lengths || !shape) return RV_ENOMEM;
    for (int32_t id = 0; id < V; id++)
        RV_TRY(spell_id(t, id, MOST, letters + (int64_t)id * MOST, &lengths[id], &shape[id]));
    base->sizes.spelling = &t->spelling;
    base->sizes.unknown = rv_tokenizer_special(t->data.tokenizer, RV_UNK);
    return RV_OK;
}

/* ---- the files */

static bool ends_in(const char *path, const char *with) {
    const size_t n = strlen(path), k = strlen(with);
    return n >= k && !strcmp(path + n - k, with);
}

static rv_tagged_format format_of(const rv_config *c, const char *path) {
    const char *format = rv_config_text(c, "data.format");
    if (strcmp(format, "auto")) return strcmp(format, "conllu") ? RV_TAGGED_COLUMNS : RV_TAGGED_CONLLU;
    return ends_in(path, ".conllu") || ends_in(path, ".conllu.gz") ? RV_TAGGED_CONLLU : RV_TAGGED_COLUMNS;
}

static void read_settings(const rv_config *c, rv_tagged_files *files) {
    files->field = rv_config_is(c, "data.tags", "xpos")    ? RV_TAGGED_XPOS
                   : rv_config_is(c, "data.tags", "feats") ? RV_TAGGED_FEATS
                                                           : RV_TAGGED_UPOS;
    if (rv_config_has(c, "data.word_column")) files->word_column = (int)rv_config_int(c, "data.word_column");
    if (rv_config_has(c, "data.tag_column")) files->tag_column = (int)rv_config_int(c, "data.tag_column");
}

/* What a checkpoint has; all NULL: to be made. */
typedef struct {
    rv_tokenizer *words, *letters;
    char *names; /* what tag_name points into */
    const char **tag_name;
    int n_tags;
} given;

static rv_status load_data(tagged *t, const rv_checkpoint *saved, given *g) {
    const rv_config *c = t->rows.base.config;
    const rv_tokenizer_spec spec = rv__tokenizer_spec(c);
    rv_tagged_files files = {0};
    rv_dataset *dataset = NULL;
    rv_status status = RV_OK;
    if (rv_config_has(c, "data.dataset")) {
        status = rv_dataset_resolve(rv_config_text(c, "data.dataset"), &dataset);
        if (status == RV_OK) status = rv_dataset_tagged_files(dataset, &files);
    } else {
        const bool one = rv_config_has(c, "data.path");
        files.train = rv_config_text(c, one ? "data.path" : "data.train");
        if (!one && rv_config_has(c, "data.valid")) files.valid = rv_config_text(c, "data.valid");
        if (!one && rv_config_has(c, "data.test")) files.test = rv_config_text(c, "data.test");
        files.format = format_of(c, files.train);
    }
    read_settings(c, &files);
    if (status == RV_OK) rv__fractions(c, saved, files.valid, files.test, &files.train_fraction, &files.test_fraction);
    if (status == RV_OK) {
        status = rv_tagged_load(&files, &spec, g->words, g->letters, g->tag_name, g->n_tags,
                                rv_config_int(c, "data.max_length"), &t->data);
        g->words = g->letters = NULL; /* taken over */
    }
    if (status == RV_OK) status = take_spans(t, &files);
    rv_dataset_destroy(dataset);
    return status;
}

/* Without data: the vocabularies and the tags that the checkpoint has. */
static rv_status take_saved(tagged *t, given *g) {
    t->data.tokenizer = g->words;
    t->data.letters = g->letters;
    g->words = g->letters = NULL;
    RV_TRY(rv_tagged_take_tags(&t->data, g->tag_name, g->n_tags));
    return make_spans(t);
}

static const char needs[] = "tagging";

static rv_status load(tagged *t, const rv_checkpoint *saved, bool with_data, given *g) {
    RV_TRY(rv__vocabulary_one(t->rows.base.config, saved, needs, &g->words));
    RV_TRY(rv__vocabulary_letters(t->rows.base.config, saved, &g->letters));
    if (saved) {
        RV_TRY(rv__classes_open(saved, needs, &g->names, &g->tag_name, &g->n_tags));
        RV_TRY(rv_items_read_fields(saved, rv__span_fields, &t->rows.base));
    }
    return with_data ? load_data(t, saved, g) : take_saved(t, g);
}

/* ---- beginning and end */

static void close(rv_source *s) {
    tagged *t = (tagged *)s;
    rv__rows_end(&t->rows);
    extras_free(&t->training);
    extras_free(&t->measuring);
    rv_span_tags_free(&t->spans);
    for (int i = 0; i < 3; i++) rv_free(t->known[i]);
    rv_free(t->seen);
    rv_free(t->place);
    rv_free(t->follows);
    rv_free((void *)t->spelling.letters);
    rv_free((void *)t->spelling.lengths);
    rv_free((void *)t->spelling.shape);
    rv_tagged_free(&t->data);
    rv_free(t);
}

/* Letters and capitals stand beside a word's embedding; pieces have none of their own. */
static rv_status check_words(const tagged *t) {
    const rv_config *c = t->rows.base.config;
    const bool letters = rv_config_has(c, "model.letters") && !rv_config_is(c, "model.letters.type", "none");
    const bool capitals = rv_config_has(c, "model.capitals_dim") && rv_config_int(c, "model.capitals_dim");
    if ((!letters && !capitals) || rv_tokenizer_get_spec(t->data.tokenizer).type == RV_TOKENS_WORD) return RV_OK;
    return rv_error(RV_EUSAGE,
                    "%s is of whole words, and this vocabulary has pieces: set tokenizer.type to word, or %s",
                    letters ? "model.letters" : "model.capitals_dim",
                    letters ? "model.letters.type to none" : "model.capitals_dim to 0");
}

static rv_status begin(tagged *t, bool with_data) {
    rv_source *base = &t->rows.base;
    rv_tagged *d = &t->data;
    base->in = d->tokenizer;
    base->letters = d->letters;
    base->hash = d->hash;
    base->n_classes = d->n_tags;
    base->class_name = (const char *const *)d->tag_name;
    base->sizes.source_vocab = rv_tokenizer_size(d->tokenizer);
    base->sizes.outputs = d->n_tags;
    base->sizes.letters = rv_tokenizer_size(d->letters);
    base->sizes.shapes = RV_SHAPES;
    t->rows.spec.marks = rv_source_marks_of(d->tokenizer);
    t->rows.spec.marks.src_eos = -1;
    t->rows.extend = extend;
    t->rows.check = check;
    RV_TRY(check_words(t));
    RV_TRY(make_follows(t));
    if (rv_model_config_counts(base->config)) RV_TRY(spell_vocabulary(t));
    if (!with_data) return RV_OK;
    RV_TRY(make_tags(t));
    RV_TRY(make_room(t));
    return rv__rows_begin(&t->rows);
}

static rv_status open(const rv_config *config, const rv_checkpoint *saved, bool with_data, rv_source **out) {
    tagged *t = rv_alloc(sizeof *t);
    if (!t) return RV_ENOMEM;
    rv_tagged *d = &t->data;
    *t = (tagged){.rows = {.base = {.kind = &rv__source_tagged, .config = config, .sizes = rv__rows_sizes(config)},
                           .part = {&d->train.pairs, &d->valid.pairs, &d->test.pairs}}};
    *out = &t->rows.base;
    given g = {0};
    rv_status status = load(t, saved, with_data, &g);
    rv_tokenizer_destroy(g.words);
    rv_tokenizer_destroy(g.letters);
    rv_free(g.names);
    rv_free(g.tag_name);
    return status == RV_OK ? begin(t, with_data) : status;
}

static const rv_tags *tags(rv_source *s, rv_subset subset) { return &((tagged *)s)->tags[subset]; }

const rv_source_kind rv__source_tagged = {.name = "tagged", .open = open, .close = close, RV__ROWS, .tags = tags};
