/* ravel translate */
#include "lines/lines.h"
#include "overrides.h"
#include "tool.h"
#include "translate/pictures.h"

typedef struct {
    rv_overrides over;
    rv__lines_from from;
    const char *output, *attention;
    bool json, no_unk, replace_unk;
    int n_best; /* 0: the best alone, as plain lines */
} arguments;

/* Long options that only set a key of the experiment's decode section. */
static const struct {
    const char *option, *key;
} shorthands[] = {{"beam", "decode.beam_size"},
                  {"length-penalty", "decode.length_penalty"},
                  {"max-length-ratio", "decode.max_length_ratio"},
                  {"batch", "decode.batch_size"}};
enum {
    SHORTHANDS = sizeof shorthands / sizeof *shorthands,
    OPT_SHORTHAND = 1000,
    OPT_STDIN = 2000,
    OPT_NO_UNK,
    OPT_REPLACE_UNK
};

static const struct argp_option options[] = {
    {"input", 'i', "FILE", 0,
     "Translate the lines of a text, plain or gzip; - is standard input, read to its end first", 1},
    {"stdin", OPT_STDIN, 0, 0, "Translate standard input line by line, each as soon as it comes", 1},
    {"split", 's', "test|valid", 0, "Translate a part of the experiment's data (default: test)", 1},
    {"output", 'o', "FILE", 0, "Write there instead of to standard output", 2},
    {"n-best", 'n', "N", 0,
     "Print the N best translations of each sentence as 'LINE ||| TRANSLATION ||| SCORE', LINE from 0 as in Moses' "
     "lists",
     2},
    {"json", 'j', 0, 0,
     "Print an object per sentence and line, with line (from 1, as messages count), source, translation, score and "
     "n_best",
     2},
    {"attention", 'a', "PATH", 0,
     "Write what each token of the translation looked at to PATH.h5 and PATH.html, and of a single sentence to "
     "PATH.svg",
     2},
    {"beam", OPT_SHORTHAND + 0, "N", 0, "Hypotheses kept at each step; 1 is greedy and the fastest", 3},
    {"length-penalty", OPT_SHORTHAND + 1, "X", 0,
     "Divide scores by ((5 + length) / 6)^X; above 0 favours longer translations", 3},
    {"max-length-ratio", OPT_SHORTHAND + 2, "X", 0, "A translation holds at most X times the source's tokens, plus 10",
     3},
    {"batch", OPT_SHORTHAND + 3, "N", 0, "Sentences translated at a time; has no influence on results", 3},
    {"no-unk", OPT_NO_UNK, 0, 0, "Never produce <unk>", 3},
    {"replace-unk", OPT_REPLACE_UNK, 0, 0, "Put the source word that attention points to in place of a produced <unk>",
     3},
    RV__QUIET(3),
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    arguments *a = state->input;
    if (key >= OPT_SHORTHAND && key < OPT_SHORTHAND + SHORTHANDS) {
        rv__overrides_set(&a->over, shorthands[key - OPT_SHORTHAND].key, arg, state);
        return 0;
    }
    switch (key) {
    case 'i': a->from.file = arg; return 0;
    case 'o': a->output = arg; return 0;
    case 's': a->from.split = arg; return 0;
    case 'a': a->attention = arg; return 0;
    case 'j': a->json = true; return 0;
    case OPT_STDIN: a->from.from_stdin = true; return 0;
    case OPT_NO_UNK: a->no_unk = true; return 0;
    case OPT_REPLACE_UNK: a->replace_unk = true; return 0;
    case 'n': a->n_best = (int)rv__tool_whole(arg, "--n-best", 1, 1000, state); return 0;
    case ARGP_KEY_END:
        rv__lines_check(&a->from, state);
        if (a->no_unk && a->replace_unk)
            argp_error(state, "--no-unk and --replace-unk exclude each other: there would be nothing to replace");
        return 0;
    default: return rv__overrides_parse(&a->over, "a run's folder or a checkpoint", key, arg, state);
    }
}

typedef struct {
    rv_trained trained;
    rv__lines lines;
    rv_translate_options search;
    rv__renderer render;
    rv__pictures *pictures; /* or NULL */
} session;

/* ---- translating */

static rv_status keep(void *ctx, int64_t i, const rv_hypothesis *h, int count) {
    session *s = ctx;
    const rv__sentence *sentence = &s->lines.window[i];
    rv_text text;
    if (count && s->pictures) RV_TRY(rv__pictures_add(s->pictures, &s->render, sentence, h));
    RV_TRY(rv__render(&s->render, sentence, h, count, &text));
    rv__lines_done(&s->lines, i, text);
    return RV_OK;
}

static rv_status work(rv__lines *l, const int32_t *const *ids, const int64_t *n, int64_t sentences) {
    session *s = l->ctx;
    return rv_translate_each(s->render.tape, s->render.model, ids, n, sentences, l->batch, &s->search, keep, s);
}

/* They point to the references. */
static rv_status write_pictures(rv__lines *l) {
    session *s = l->ctx;
    return s->pictures ? rv__pictures_write(s->pictures, rv_config_text(s->trained.config, "name")) : RV_OK;
}

/* ---- what is translated with */

static rv_status prepare(const arguments *a, session *s) {
    rv_trained *t = &s->trained;
    if (!rv_task_translates(t->task))
        return rv_error(RV_EUSAGE, "%s is of task %s; only a translation model translates (%s)", t->path,
                        rv_config_text(t->config, "task"), rv_task_kind_of(t->task)->use);
    rv_tokenizer *tgt = rv_task_source(t->task)->out;
    s->lines = (rv__lines){.doing = "translating",
                           .unit = "sentence",
                           .tokenizer = rv_task_source(t->task)->in,
                           .most = rv_config_int(t->config, "data.max_length"),
                           .batch = rv_config_int(t->config, "decode.batch_size"),
                           .work = work,
                           .finish = write_pictures,
                           .ctx = s};
    s->search = rv_task_search(t->task);
    if (a->no_unk) s->search.unk = rv_tokenizer_special(tgt, RV_UNK);
    if (a->n_best) s->search.n_best = a->n_best;
    if (s->search.n_best > s->search.beam_size)
        return rv_error(RV_EUSAGE, "--n-best %d needs as large a beam, which is %d: add --beam %d", s->search.n_best,
                        s->search.beam_size, s->search.n_best);
    s->render = (rv__renderer){.json = a->json,
                               .n_best = a->n_best,
                               .replace_unk = a->replace_unk,
                               .tape = rv_tape_create(),
                               .model = rv_task_model(t->task),
                               .src = s->lines.tokenizer,
                               .tgt = tgt,
                               .search = &s->search};
    if (!s->render.tape) return RV_ENOMEM;
    if ((a->replace_unk || a->attention) && !rv_model_attends(s->render.model))
        return rv_error(RV_EUSAGE,
                        "%s needs a model with attention over the source, and %s has none (model.attention.type: none)",
                        a->attention ? "--attention" : "--replace-unk", t->path);
    if (a->attention)
        RV_TRY(rv__pictures_begin(a->attention, s->pictures));
    else
        s->pictures = NULL;
    return rv__lines_output(&s->lines, &a->from, a->output);
}

int rv_cmd_translate(int argc, char **argv) {
    static const struct argp argp = {
        options,
        parse,
        "RUN|CHECKPOINT [key.path=value ...]",
        "Translate with a trained model, one line for each sentence.\v"
        "RUN is a run's folder: its best checkpoint is taken. Without --input and --stdin the test part of the "
        "experiment's "
        "data is translated. Search is set by the experiment's decode section, and by the options that stand for its "
        "keys.\n\n"
        "examples:\n"
        "  ravel translate runs/multi30k-transformer-1 --output test.fr\n"
        "  echo 'A dog runs.' | ravel translate runs/multi30k-transformer-1 --stdin --beam 1\n"
        "  ravel translate runs/multi30k-bahdanau-1 --input news.en --beam 10 --n-best 3\n"
        "  ravel translate runs/multi30k-bahdanau-1 --split valid --attention valid",
        0,
        0,
        0};
    static arguments a; /* what the shorthands made is referred to until the end */
    rv__tool_parse(&argp, argc, argv, &a);
    rv__pictures pictures = {0};
    session s = {.pictures = &pictures};
    rv_status status = rv_trained_open(a.over.path, a.over.n, a.over.text, rv__lines_of_data(&a.from), &s.trained);
    if (status == RV_OK) {
        status = prepare(&a, &s);
        if (status == RV_OK) status = rv__lines_run(&s.lines, &a.from, rv_task_source(s.trained.task));
        status = rv__lines_close(&s.lines, status);
        rv__pictures_free(&pictures);
        rv_tape_destroy(s.render.tape);
        rv_trained_close(&s.trained);
    }
    return rv__tool_finish(status);
}
