/* ravel generate */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "overrides.h"
#include "tool.h"

typedef struct {
    rv_overrides over;
    const char *prompt, *prompt_file;
    long seed;
} arguments;

/* Long options that only set a key of the experiment's generate section. */
static const struct {
    const char *option, *key;
} shorthands[] = {{"length", "generate.length"}, {"temperature", "generate.temperature"}, {"top-k", "generate.top_k"}, {"top-p", "generate.top_p"}};
enum { SHORTHANDS = sizeof shorthands / sizeof *shorthands, OPT_SHORTHAND = 1000 };

static const struct argp_option options[] = {
    {"prompt", 'p', "TEXT", 0, "Text to continue (default: the experiment's generate.prompt)", 0},
    {"prompt-file", 'f', "FILE", 0, "The same from a file; - is standard input", 0},
    {"length", OPT_SHORTHAND + 0, "N", 0, "Tokens to make", 0},
    {"temperature", OPT_SHORTHAND + 1, "X", 0, "Divide the logits by X; 0 always takes the most probable token", 0},
    {"top-k", OPT_SHORTHAND + 2, "K", 0, "Draw from the K most probable tokens only", 0},
    {"top-p", OPT_SHORTHAND + 3, "P", 0, "Draw from the fewest tokens that have probability P together", 0},
    {"seed", 's', "N", 0, "Seed of the draws (default 1): the same seed gives the same text", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    arguments *a = state->input;
    if (key >= OPT_SHORTHAND && key < OPT_SHORTHAND + SHORTHANDS) {
        rv__overrides_set(&a->over, shorthands[key - OPT_SHORTHAND].key, arg, state);
        return 0;
    }
    switch (key) {
    case 'p': a->prompt = arg; return 0;
    case 'f': a->prompt_file = arg; return 0;
    case 's': {
        char *end;
        a->seed = strtol(arg, &end, 10);
        if (*end || a->seed < 0) argp_error(state, "--seed takes a whole number, not '%s'", arg);
        return 0;
    }
    default: return rv__overrides_parse(&a->over, "a run's folder or a checkpoint", key, arg, state);
    }
}

/* Streaming: a token may end inside a character, so what is shown are whole characters; and what a token looks like may
 * depend on the one before (a space between words), so that one is decoded along. */
typedef struct {
    rv_tokenizer *tokenizer;
    int32_t ids[64]; /* the last one shown, then those since */
    int n;
    size_t shown; /* bytes of ids[0] */
} stream;

static rv_status begin_at(stream *s, int32_t id) {
    rv_text text;
    s->ids[0] = id;
    s->n = 1;
    RV_TRY(rv_tokenizer_decode(s->tokenizer, s->ids, 1, &text));
    s->shown = text.len;
    rv_text_free(&text);
    return RV_OK;
}

static rv_status show(void *ctx, int32_t id) {
    stream *s = ctx;
    s->ids[s->n++] = id;
    rv_text text;
    RV_TRY(rv_tokenizer_decode(s->tokenizer, s->ids, s->n, &text));
    const char *fresh = text.bytes + s->shown;
    size_t len = text.len - s->shown;
    bool whole = rv_utf8_check(fresh, len) < 0 || s->n == (int)(sizeof s->ids / sizeof *s->ids);
    if (whole) {
        fwrite(fresh, 1, len, stdout);
        fflush(stdout);
    }
    rv_text_free(&text);
    if (ferror(stdout)) return rv_error(RV_EDATA, "cannot write to standard output");
    return whole ? begin_at(s, id) : RV_OK;
}

static rv_status read_prompt(const arguments *a, const rv_config *config, rv_text *out) {
    if (a->prompt_file) return rv_text_load(strcmp(a->prompt_file, "-") ? a->prompt_file : "/dev/stdin", out);
    const char *text = a->prompt ? a->prompt : rv_config_text(config, "generate.prompt");
    out->bytes = strdup(text && *text ? text : "\n"); /* something must come first: a line begins */
    out->len = out->bytes ? strlen(out->bytes) : 0;
    return out->bytes ? RV_OK : rv_error(RV_ENOMEM, "no memory for the prompt");
}

static rv_status generate(const arguments *a, rv_trained *t) {
    const rv_config *c = t->config;
    rv_lm *lm = rv_lm_task_model(t->task);
    stream s = {.tokenizer = rv_lm_task_tokenizer(t->task)};
    rv_text prompt = {0};
    int32_t *ids = NULL;
    int64_t n = 0;
    RV_TRY(read_prompt(a, c, &prompt));
    rv_status status = rv_tokenizer_encode(s.tokenizer, prompt.bytes, prompt.len, &ids, &n);
    if (status != RV_OK) rv_error_context(status, "prompt: ");
    if (status == RV_OK && n == 0) status = rv_error(RV_EUSAGE, "the prompt is empty; give at least one character with --prompt");
    rv_generate_options o = {
        .sampling = {rv_config_real(c, "generate.temperature"), rv_config_int(c, "generate.top_k"), rv_config_real(c, "generate.top_p")},
        .seed = (uint64_t)a->seed,
        .length = rv_config_int(c, "generate.length"),
        .context = rv_lm_get_config(lm)->decoder.max_length,
    };
    rv_tape *tape = rv_tape_create();
    if (status == RV_OK && !tape) status = RV_ENOMEM;
    if (status == RV_OK) status = begin_at(&s, ids[n - 1]);
    if (status == RV_OK) {
        fwrite(prompt.bytes, 1, prompt.len, stdout);
        status = rv_generate(tape, lm, ids, n, &o, show, &s);
        putchar('\n');
    }
    rv_tape_destroy(tape);
    rv_text_free(&prompt);
    free(ids);
    return status;
}

int rv_cmd_generate(int argc, char **argv) {
    static const struct argp argp = {options, parse, "RUN|CHECKPOINT [key.path=value ...]",
                                     "Write text with a trained language model.\v"
                                     "RUN is a run's folder: its best checkpoint is taken. The text appears as it is made.\n\n"
                                     "examples:\n"
                                     "  ravel generate runs/shakespeare-gpt --prompt 'ROMEO:' --length 500\n"
                                     "  ravel generate runs/shakespeare-lstm --temperature 0.8 --top-k 10 --seed 7",
                                     0, 0, 0};
    static arguments a = {.seed = 1}; /* what the shorthands made is referred to until the end */
    rv__tool_parse(&argp, argc, argv, &a);
    rv_trained t;
    rv_status status = rv_trained_open(a.over.path, a.over.n, a.over.text, false, &t);
    if (status == RV_OK) {
        status = rv_config_is(t.config, "task", "language_model") ? generate(&a, &t)
                                                                   : rv_error(RV_EUSAGE, "%s is of task %s; only a language model generates (%s)", t.path,
                                                                              rv_config_text(t.config, "task"), t.task->kind->use);
        rv_trained_close(&t);
    }
    return rv__tool_finish(status);
}
