/* ravel translate */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "overrides.h"
#include "tool.h"
#include "translate/pictures.h"

typedef struct {
    rv_overrides over;
    const char *input, *output, *split, *attention;
    bool from_stdin, json, no_unk, replace_unk;
    int n_best; /* 0: the best alone, as plain lines */
} arguments;

/* Long options that only set a key of the experiment's decode section. */
static const struct {
    const char *option, *key;
} shorthands[] = {{"beam", "decode.beam_size"}, {"length-penalty", "decode.length_penalty"}, {"max-length-ratio", "decode.max_length_ratio"}, {"batch", "decode.batch_size"}};
enum { SHORTHANDS = sizeof shorthands / sizeof *shorthands, OPT_SHORTHAND = 1000, OPT_STDIN = 2000, OPT_NO_UNK, OPT_REPLACE_UNK };

static const struct argp_option options[] = {
    {"input", 'i', "FILE", 0, "Translate the lines of a text, plain or gzip; - is standard input, read to its end first", 1},
    {"stdin", OPT_STDIN, 0, 0, "Translate standard input line by line, each as soon as it comes", 1},
    {"split", 's', "test|valid", 0, "Translate a part of the experiment's data (default: test)", 1},
    {"output", 'o', "FILE", 0, "Write there instead of to standard output", 2},
    {"n-best", 'n', "N", 0, "Print the N best translations of each sentence as 'LINE ||| TRANSLATION ||| SCORE', LINE from 0 as in Moses' lists", 2},
    {"json", 'j', 0, 0, "Print an object per sentence and line, with line (from 1, as messages count), source, translation, score and n_best", 2},
    {"attention", 'a', "PATH", 0, "Write what each token of the translation looked at to PATH.h5 and PATH.html, and of a single sentence to PATH.svg", 2},
    {"beam", OPT_SHORTHAND + 0, "N", 0, "Hypotheses kept at each step; 1 is greedy and the fastest", 3},
    {"length-penalty", OPT_SHORTHAND + 1, "X", 0, "Divide scores by ((5 + length) / 6)^X; above 0 favours longer translations", 3},
    {"max-length-ratio", OPT_SHORTHAND + 2, "X", 0, "A translation holds at most X times the source's tokens, plus 10", 3},
    {"batch", OPT_SHORTHAND + 3, "N", 0, "Sentences translated at a time; has no influence on results", 3},
    {"no-unk", OPT_NO_UNK, 0, 0, "Never produce <unk>", 3},
    {"replace-unk", OPT_REPLACE_UNK, 0, 0, "Put the source word that attention points to in place of a produced <unk>", 3},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    arguments *a = state->input;
    if (key >= OPT_SHORTHAND && key < OPT_SHORTHAND + SHORTHANDS) {
        rv__overrides_set(&a->over, shorthands[key - OPT_SHORTHAND].key, arg, state);
        return 0;
    }
    switch (key) {
    case 'i': a->input = arg; return 0;
    case 'o': a->output = arg; return 0;
    case 's': a->split = arg; return 0;
    case 'a': a->attention = arg; return 0;
    case 'j': a->json = true; return 0;
    case OPT_STDIN: a->from_stdin = true; return 0;
    case OPT_NO_UNK: a->no_unk = true; return 0;
    case OPT_REPLACE_UNK: a->replace_unk = true; return 0;
    case 'n': a->n_best = (int)rv__tool_whole(arg, "--n-best", 1, 1000, state); return 0;
    case ARGP_KEY_END:
        if ((a->input != NULL) + (a->split != NULL) + a->from_stdin > 1) argp_error(state, "--input, --stdin and --split exclude one another");
        if (a->no_unk && a->replace_unk) argp_error(state, "--no-unk and --replace-unk exclude each other: there would be nothing to replace");
        if (a->split && strcmp(a->split, "test") && strcmp(a->split, "valid")) argp_error(state, "--split takes test or valid, not '%s'", a->split);
        return 0;
    default: return rv__overrides_parse(&a->over, "a run's folder or a checkpoint", key, arg, state);
    }
}

typedef struct {
    rv_trained trained;
    rv_translate_options search;
    rv__renderer render;
    int64_t batch, most; /* sentences at a time; tokens of a sentence */
    rv_tokenizer *src;
    FILE *out;
    const char *out_name;
    rv__pictures *pictures; /* or NULL */
} session;

/* ---- translating */

/* A window of sentences is translated by rising length and printed in its order. */
typedef struct {
    const session *s;
    const rv__sentence *sentences;
    rv_text *lines;
    rv_progress *bar; /* counts source tokens: the long sentences of a window come first */
    int64_t done, done_tokens;
} window;

static rv_status keep(void *ctx, int64_t i, const rv_hypothesis *h, int count) {
    window *w = ctx;
    w->done++;
    w->done_tokens += w->sentences[i].n;
    if (w->bar && w->done % w->s->batch == 0) /* a batch is done all at once */
        rv_progress_update(w->bar, w->done_tokens, "%lld sentences", (long long)w->done);
    if (count && w->s->pictures) RV_TRY(rv__pictures_add(w->s->pictures, &w->s->render, &w->sentences[i], h));
    return rv__render(&w->s->render, &w->sentences[i], h, count, &w->lines[i]);
}

static rv_status translate_window(const session *s, window *w, int64_t n) {
    const int32_t **ids = calloc((size_t)n, sizeof *ids);
    int64_t *lengths = calloc((size_t)n, sizeof *lengths);
    w->lines = calloc((size_t)n, sizeof *w->lines);
    rv_status status = ids && lengths && w->lines ? RV_OK : rv_error(RV_ENOMEM, "no memory for %lld sentences", (long long)n);
    for (int64_t i = 0; status == RV_OK && i < n; i++) {
        ids[i] = w->sentences[i].ids;
        lengths[i] = w->sentences[i].n;
    }
    if (status == RV_OK) status = rv_translate_each(s->render.tape, s->render.model, ids, lengths, n, s->batch, &s->search, keep, w);
    for (int64_t i = 0; i < n && w->lines; i++) {
        if (status == RV_OK) fwrite(w->lines[i].bytes, 1, w->lines[i].len, s->out);
        rv_text_free(&w->lines[i]);
    }
    free(w->lines);
    free(ids);
    free(lengths);
    if (status == RV_OK && (fflush(s->out) || ferror(s->out))) status = rv_error(RV_EDATA, "cannot write to %s: %s", s->out_name, strerror(errno));
    return status;
}

/* A window holds many batches: they are of like length, and the first lines still appear soon. */
static rv_status translate_all(const session *s, const rv__sentences *all) {
    enum { BATCHES = 32 };
    window w = {.s = s};
    rv_status status = RV_OK;
    double start = rv_now();
    int64_t tokens = 0;
    for (int64_t i = 0; i < all->n; i++) tokens += all->s[i].n;
    for (int64_t i = 0, n; i < all->n && status == RV_OK; i += n) {
        n = all->n - i < BATCHES * s->batch ? all->n - i : BATCHES * s->batch;
        w.sentences = all->s + i;
        w.bar = rv_progress_start("translating", "tokens", w.done_tokens, tokens); /* not while a window is printed: both may be one terminal */
        status = translate_window(s, &w, n);
        rv_progress_finish(w.bar);
    }
    if (status == RV_OK) rv_info("%lld sentence%s in %.1f s", (long long)all->n, all->n == 1 ? "" : "s", rv_now() - start);
    return status;
}

static rv_status translate_stdin(const session *s) {
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    rv_status status = RV_OK;
    for (int64_t n = 1; status == RV_OK && (len = getline(&line, &room, stdin)) >= 0; n++) {
        const size_t mark = n == 1 ? rv_text_mark(line, (size_t)len) : 0;
        size_t whole, length = rv_text_line(line + mark, (size_t)len - mark, &whole);
        rv__sentences one;
        if (!whole) break; /* a byte order mark and nothing more */
        status = rv__sentences_line("standard input", n, line + mark, length, s->src, s->most, &one);
        window w = {.s = s, .sentences = one.s};
        if (status == RV_OK) status = translate_window(s, &w, 1);
        rv__sentences_free(&one);
    }
    free(line);
    if (status == RV_OK && ferror(stdin)) status = rv_error(RV_EDATA, "cannot read standard input");
    return status;
}

static rv_status write_pictures(const session *s) {
    return s->pictures ? rv__pictures_write(s->pictures, rv_config_text(s->trained.config, "name")) : RV_OK;
}

static rv_status translate(const arguments *a, session *s) {
    if (a->from_stdin) {
        RV_TRY(translate_stdin(s));
        return write_pictures(s);
    }
    rv__sentences all;
    const char *split = a->split ? a->split : "test";
    const rv_pairs *part = a->input ? NULL : rv_task_pairs(s->trained.task, strcmp(split, "test") ? RV_SUBSET_VALID : RV_SUBSET_TEST);
    rv_status status = part ? rv__sentences_part(part, split, &all) : rv__sentences_load(a->input, s->src, s->most, &all);
    if (status == RV_OK) status = translate_all(s, &all);
    if (status == RV_OK) status = write_pictures(s); /* they point to the references */
    rv__sentences_free(&all);
    return status;
}

/* ---- what is translated with */

static rv_status prepare(const arguments *a, session *s) {
    rv_trained *t = &s->trained;
    if (!rv_task_translates(t->task))
        return rv_error(RV_EUSAGE, "%s is of task %s; only a translation model translates (%s)", t->path, rv_config_text(t->config, "task"), rv_task_kind_of(t->task)->use);
    rv_tokenizer *tgt = rv_task_source(t->task)->out;
    s->src = rv_task_source(t->task)->in;
    s->most = rv_config_int(t->config, "data.max_length");
    s->batch = rv_config_int(t->config, "decode.batch_size");
    s->search = rv_task_search(t->task);
    if (a->no_unk) s->search.unk = rv_tokenizer_special(tgt, RV_UNK);
    if (a->n_best) s->search.n_best = a->n_best;
    if (s->search.n_best > s->search.beam_size)
        return rv_error(RV_EUSAGE, "--n-best %d needs as large a beam, which is %d: add --beam %d", s->search.n_best, s->search.beam_size, s->search.n_best);
    s->render = (rv__renderer){.json = a->json, .n_best = a->n_best, .replace_unk = a->replace_unk, .tape = rv_tape_create(),
                               .model = rv_task_model(t->task), .src = s->src, .tgt = tgt, .search = &s->search};
    if (!s->render.tape) return RV_ENOMEM;
    if ((a->replace_unk || a->attention) && !rv_model_attends(s->render.model))
        return rv_error(RV_EUSAGE, "%s needs a model with attention over the source, and %s has none (model.attention.type: none)",
                        a->attention ? "--attention" : "--replace-unk", t->path);
    if (a->attention) RV_TRY(rv__pictures_begin(a->attention, s->pictures));
    else s->pictures = NULL;
    s->out_name = a->output ? a->output : "standard output";
    s->out = a->output ? fopen(a->output, "w") : stdout;
    return s->out ? RV_OK : rv_error(RV_EUSAGE, "cannot write to %s: %s", a->output, strerror(errno));
}

int rv_cmd_translate(int argc, char **argv) {
    static const struct argp argp = {options, parse, "RUN|CHECKPOINT [key.path=value ...]",
                                     "Translate with a trained model, one line for each sentence.\v"
                                     "RUN is a run's folder: its best checkpoint is taken. Without --input and --stdin the test part of the experiment's "
                                     "data is translated. Search is set by the experiment's decode section, and by the options that stand for its keys.\n\n"
                                     "examples:\n"
                                     "  ravel translate runs/multi30k-transformer-1 --output test.fr\n"
                                     "  echo 'A dog runs.' | ravel translate runs/multi30k-transformer-1 --stdin --beam 1\n"
                                     "  ravel translate runs/multi30k-bahdanau-1 --input news.en --beam 10 --n-best 3\n"
                                     "  ravel translate runs/multi30k-bahdanau-1 --split valid --attention valid",
                                     0, 0, 0};
    static arguments a; /* what the shorthands made is referred to until the end */
    rv__tool_parse(&argp, argc, argv, &a);
    rv__pictures pictures = {0};
    session s = {.pictures = &pictures};
    rv_status status = rv_trained_open(a.over.path, a.over.n, a.over.text, !a.input && !a.from_stdin, &s.trained);
    if (status == RV_OK) {
        status = prepare(&a, &s);
        if (status == RV_OK) status = translate(&a, &s);
        if (a.output && s.out && fclose(s.out) && status == RV_OK) status = rv_error(RV_EDATA, "cannot write to %s: %s", a.output, strerror(errno));
        rv__pictures_free(&pictures);
        rv_tape_destroy(s.render.tape);
        rv_trained_close(&s.trained);
    }
    return rv__tool_finish(status);
}
