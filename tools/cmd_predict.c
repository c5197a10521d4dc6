/* ravel predict */
#include "lines/lines.h"
#include "overrides.h"
#include "predict/tags.h"
#include "predict/words.h"
#include "tool.h"

typedef struct {
    rv_overrides over;
    rv__lines_from from;
    const char *output, *attention;
    bool json;
    int top, n_best;
    int64_t batch;
    rv__tags_format format;
} arguments;

enum { OPT_STDIN = 2000, OPT_BATCH, OPT_FORMAT, OPT_NBEST, BATCH = 64 };
static const struct argp_option options[] = {
    {"input", 'i', "FILE", 0, "Classify the lines of a text, plain or gzip; - is standard input, read to its end first",
     1},
    {"stdin", OPT_STDIN, 0, 0, "Classify standard input line by line, each as soon as it comes", 1},
    {"split", 's', "test|valid", 0, "Classify a part of the experiment's data (default: test)", 1},
    {"output", 'o', "FILE", 0, "Write there instead of to standard output", 2},
    {"top", 't', "N", 0,
     "Print the N most probable classes of each text, one pair after the other; of JSON those alone", 2},
    {"json", 'j', 0, 0,
     "Print an object per text and line: line (from 1), text, label, probability, classes with the probability of "
     "each, of a "
     "part of the data reference, and where the model pools by attention tokens and their weights",
     2},
    {"attention", 'a', "PATH", 0, "Write a page to PATH.html: the words of the first 100 lines, shaded by their weight",
     2},
    {"format", OPT_FORMAT, "F", 0,
     "Of a tagger, how sentences are written: lines (words parted by blanks), columns (a word a line), conllu, or "
     "auto, "
     "as the first line looks (default)",
     3},
    {"nbest", OPT_NBEST, "N", 0, "Of a tagger, with --json: the N most probable taggings of each sentence", 3},
    {"batch", OPT_BATCH, "N", 0, "Texts classified at a time (default 64); has no influence on results", 3},
    RV__QUIET(3),
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    arguments *a = state->input;
    switch (key) {
    case 'i': a->from.file = arg; return 0;
    case OPT_STDIN: a->from.from_stdin = true; return 0;
    case 's': a->from.split = arg; return 0;
    case 'o': a->output = arg; return 0;
    case 't': a->top = (int)rv__tool_whole(arg, "--top", 1, 1000000, state); return 0;
    case OPT_NBEST: a->n_best = (int)rv__tool_whole(arg, "--nbest", 1, 1000, state); return 0;
    case OPT_FORMAT:
        if (!rv__tags_format_parse(arg, &a->format))
            argp_error(state, "--format %s: auto, lines, columns or conllu", arg);
        return 0;
    case 'j': a->json = true; return 0;
    case 'a': a->attention = arg; return 0;
    case OPT_BATCH: a->batch = rv__tool_whole(arg, "--batch", 1, 100000, state); return 0;
    case ARGP_KEY_END: rv__lines_check(&a->from, state); return 0;
    default: return rv__overrides_parse(&a->over, "a run's folder or a checkpoint", key, arg, state);
    }
}

typedef struct {
    rv_trained trained;
    rv__lines lines;
    rv_tape *tape;
    rv__teller teller;
    rv__words words;
    bool page;
} session;

/* ---- classifying */

static rv_status keep(void *ctx, int64_t i, const rv_classified *c) {
    session *s = ctx;
    const rv__sentence *sentence = &s->lines.window[i];
    rv_text text;
    if (s->page) RV_TRY(rv__words_add(&s->words, &s->teller, sentence, c));
    RV_TRY(rv__tell(&s->teller, sentence, c, &text));
    rv__lines_done(&s->lines, i, text);
    return RV_OK;
}

static rv_status work(rv__lines *l, const int32_t *const *ids, const int64_t *n, int64_t texts) {
    session *s = l->ctx;
    const int32_t eos = rv_tokenizer_special(l->tokenizer, RV_EOS);
    return rv_classify_each(s->tape, rv_task_model(s->trained.task), ids, n, texts, l->batch, eos, keep, s);
}

static rv_status write_page(rv__lines *l) {
    session *s = l->ctx;
    return s->page ? rv__words_write(&s->words, rv_config_text(s->trained.config, "name")) : RV_OK;
}

/* ---- what is classified with */

/* Whether words have weights that tell them apart: --attention needs them. */
static rv_status check_pooling(const arguments *a, const rv_trained *t, bool *attends) {
    const char *pooling = rv_config_text(t->config, "model.pooling");
    *attends = rv_model_get_config(rv_task_model(t->task))->head.pooling == RV_POOLING_ATTENTION;
    if (!a->attention || *attends) return RV_OK;
    return rv_error(
        RV_EUSAGE,
        "--attention needs words with weights, and %s has none (model.pooling: %s); train with model.pooling=attention",
        t->path, pooling);
}

static rv_status prepare(const arguments *a, session *s) {
    rv_trained *t = &s->trained;
    rv_source *source = rv_task_source(t->task);
    if (!source->n_classes)
        return rv_error(RV_EUSAGE, "%s is of task %s; only a classifier predicts classes (%s)", t->path,
                        rv_config_text(t->config, "task"), rv_task_kind_of(t->task)->use);
    s->teller = (rv__teller){.json = a->json, .top = a->top, .tokenizer = source->in, .class_name = source->class_name};
    s->lines = (rv__lines){.doing = "classifying",
                           .unit = "text",
                           .tokenizer = source->in,
                           .most = rv_config_int(t->config, "data.max_length"),
                           .batch = a->batch,
                           .work = work,
                           .finish = write_page,
                           .ctx = s};
    RV_TRY(check_pooling(a, t, &s->teller.weights));
    s->tape = rv_tape_create();
    if (!s->tape) return RV_ENOMEM;
    s->page = a->attention;
    if (s->page) RV_TRY(rv__words_begin(a->attention, &s->words));
    return rv__lines_output(&s->lines, &a->from, a->output);
}

static rv_status classify(const arguments *a, session *s) {
    if (a->n_best > 1 || a->format != RV_TAGS_AUTO)
        return rv_error(RV_EUSAGE, "--nbest and --format are for taggers; %s tells classes", s->trained.path);
    rv_status status = prepare(a, s);
    if (status == RV_OK) status = rv__lines_run(&s->lines, &a->from, rv_task_source(s->trained.task));
    status = rv__lines_close(&s->lines, status);
    rv__words_free(&s->words);
    rv_tape_destroy(s->tape);
    return status;
}

static rv_status tag(const arguments *a, rv_trained *trained) {
    if (a->attention || a->top)
        return rv_error(RV_EUSAGE, "--attention and --top are for classifiers; %s tells tags", trained->path);
    const rv__tags_job job = {.trained = trained,
                              .from = a->from,
                              .output = a->output,
                              .format = a->format,
                              .json = a->json,
                              .n_best = a->n_best,
                              .batch = a->batch};
    return rv__tags_run(&job);
}

int rv_cmd_predict(int argc, char **argv) {
    static const struct argp argp = {
        options,
        parse,
        "RUN|CHECKPOINT [key.path=value ...]",
        "Tell the class of texts with a trained classifier: 'CLASS<TAB>PROBABILITY', one line for each; or the tags of "
        "their words with a trained tagger: of each line its words' tags, of columns and CoNLL-U the same lines with "
        "the column of tags.\v"
        "RUN is a run's folder: its best checkpoint is taken. Without --input and --stdin the test part of the "
        "experiment's "
        "data is classified. A blank line is a text without words, and has a class, too.\n\n"
        "examples:\n"
        "  ravel predict runs/sst2-lstm --split valid --json\n"
        "  echo 'a gripping film' | ravel predict runs/sst2-lstm --stdin\n"
        "  ravel predict runs/ag_news-gru --input news.txt --top 3 --output told.tsv\n"
        "  ravel predict runs/sst2-lstm --split valid --attention valid\n"
        "  echo 'The dog barks .' | ravel predict runs/pos --stdin\n"
        "  ravel predict runs/pos --input new.conllu --output tagged.conllu\n"
        "  ravel predict runs/pos --input new.txt --json --nbest 3",
        0,
        0,
        0};
    arguments a = {.batch = BATCH, .n_best = 1};
    rv__tool_parse(&argp, argc, argv, &a);
    session s = {0};
    rv_status status = rv_trained_open(a.over.path, a.over.n, a.over.text, rv__lines_of_data(&a.from), &s.trained);
    if (status == RV_OK) {
        const bool tags = rv_model_get_config(rv_task_model(s.trained.task))->head.kind->chain;
        status = tags ? tag(&a, &s.trained) : classify(&a, &s);
        rv_trained_close(&s.trained);
    }
    return rv__tool_finish(status);
}
