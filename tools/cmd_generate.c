/* ravel generate */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "generate/stream.h"
#include "overrides.h"
#include "tool.h"

typedef struct {
    rv_overrides over;
    const char *prompt, *prompt_file;
    int64_t seed;
    bool bytes, no_unk;
} arguments;

/* Long options that only set a key of the experiment's generate section. */
static const struct {
    const char *option, *key;
} shorthands[] = {{"length", "generate.length"},
                  {"temperature", "generate.temperature"},
                  {"top-k", "generate.top_k"},
                  {"top-p", "generate.top_p"}};
enum { SHORTHANDS = sizeof shorthands / sizeof *shorthands, OPT_SHORTHAND = 1000, OPT_BYTES = 2000, OPT_NO_UNK };

static const struct argp_option options[] = {
    {"prompt", 'p', "TEXT", 0, "Text to continue (default: the experiment's generate.prompt, else a text begins anew)",
     0},
    {"prompt-file", 'f', "FILE", 0, "The same from a file; - is standard input", 0},
    {"length", OPT_SHORTHAND + 0, "N", 0, "Tokens to make", 0},
    {"temperature", OPT_SHORTHAND + 1, "X", 0, "Divide the logits by X; 0 always takes the most probable token", 0},
    {"top-k", OPT_SHORTHAND + 2, "K", 0, "Draw from the K most probable tokens only", 0},
    {"top-p", OPT_SHORTHAND + 3, "P", 0, "Draw from the fewest tokens that have probability P together", 0},
    {"seed", 's', "N", 0, "Seed of the draws (default 1): the same seed gives the same text", 0},
    {"no-unk", OPT_NO_UNK, 0, 0, "Never produce <unk>: the other tokens share its probability", 0},
    {"bytes", OPT_BYTES, 0, 0, "Write the model's bytes as they are; without it what is no UTF-8 appears as U+FFFD", 0},
    RV__QUIET(0),
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
    case ARGP_KEY_SUCCESS:
        if (a->prompt && a->prompt_file) argp_error(state, "--prompt and --prompt-file: give one of them");
        return 0;
    case 's': a->seed = rv__tool_whole(arg, "--seed", 0, INT64_MAX, state); return 0;
    case OPT_BYTES: a->bytes = true; return 0;
    case OPT_NO_UNK: a->no_unk = true; return 0;
    default: return rv__overrides_parse(&a->over, "a run's folder or a checkpoint", key, arg, state);
    }
}

/* The text to continue; empty where none was given. */
static rv_status read_prompt(const arguments *a, const rv_config *config, rv_text *out) {
    if (a->prompt_file) {
        RV_TRY(rv_text_load(strcmp(a->prompt_file, "-") ? a->prompt_file : "/dev/stdin", out));
    } else {
        const char *text = a->prompt ? a->prompt : rv_config_text(config, "generate.prompt");
        const int64_t bad = text ? rv_utf8_check(text, strlen(text)) : -1;
        if (bad >= 0)
            return rv_error(RV_EUSAGE, "prompt: byte 0x%02x at offset %lld is not valid UTF-8",
                            (unsigned char)text[bad], (long long)bad);
        if (text) text += rv_text_mark(text, strlen(text));
        out->bytes = strdup(text ? text : "");
        out->len = out->bytes ? strlen(out->bytes) : 0;
        if (!out->bytes) return rv_error(RV_ENOMEM, "no memory for the prompt");
    }
    if (!rv_config_bool(config, "data.keep_line_ends")) rv_text_unify_line_ends(out);
    return RV_OK;
}

/* Where a text begins that nobody began: at <bos>, else after a line end, else with a token of the training text, drawn
 * from there, which is then part of the text. */
static rv_status first_token(const arguments *a, rv_tokenizer *tokenizer, int32_t *id, bool *shown) {
    *shown = false;
    *id = rv_tokenizer_special(tokenizer, RV_BOS);
    if (*id >= 0) return RV_OK;
    int32_t *ids = NULL;
    int64_t n = 0;
    if (rv_tokenizer_encode(tokenizer, "\n", 1, &ids, &n) == RV_OK && n == 1 &&
        ids[0] != rv_tokenizer_special(tokenizer, RV_UNK))
        *id = ids[0];
    free(ids);
    if (*id >= 0) return RV_OK;
    rv_trained whole;
    rv_status status = rv_trained_open(a->over.path, a->over.n, a->over.text, true, &whole);
    if (status != RV_OK)
        return rv_error_context(status,
                                "without --prompt a text begins as the training text may, which cannot be read: ");
    rv_source *source = rv_task_source(whole.task);
    const rv_split *train = source->kind->split(source, RV_SUBSET_TRAIN);
    rv_rng rng = rv_rng_make((uint64_t)a->seed, "generate.first", 0);
    const int64_t from = (int64_t)rv_rng_below(&rng, (uint64_t)train->n);
    for (int64_t k = 0; k < train->n; k++) { /* the next one that may be shown */
        *id = train->ids[(from + k) % train->n];
        if (!a->no_unk || *id != rv_tokenizer_special(tokenizer, RV_UNK)) break;
    }
    *shown = true;
    rv_trained_close(&whole);
    return RV_OK;
}

static rv_status generate(const arguments *a, rv_trained *t) {
    const rv_config *c = t->config;
    rv_model *lm = rv_task_model(t->task);
    rv_tokenizer *tokenizer = rv_task_source(t->task)->out;
    rv__text_stream s = {.tokenizer = tokenizer, .bytes = a->bytes, .last = -1};
    rv_text prompt = {0};
    int32_t *ids = NULL, first = -1;
    int64_t n = 0;
    bool shown = false;
    RV_TRY(read_prompt(a, c, &prompt));
    rv_status status = rv_tokenizer_encode(tokenizer, prompt.bytes, prompt.len, &ids, &n);
    if (status != RV_OK) rv_error_context(status, "prompt: ");
    if (status == RV_OK && n == 0) status = first_token(a, tokenizer, &first, &shown);
    rv_generate_options o = {
        .sampling = {rv_config_real(c, "generate.temperature"), rv_config_int(c, "generate.top_k"),
                     rv_config_real(c, "generate.top_p")},
        .seed = (uint64_t)a->seed,
        .length = rv_config_int(c, "generate.length"),
        .context = rv_model_get_config(lm)->decoder.input.max_length,
        .never = a->no_unk ? rv_tokenizer_special(tokenizer, RV_UNK) : -1,
    };
    rv_tape *tape = rv_tape_create();
    if (status == RV_OK && !tape) status = RV_ENOMEM;
    if (status == RV_OK) {
        fwrite(prompt.bytes, 1, prompt.len, stdout);
        if (shown) status = rv__text_stream_show(&s, first);
        s.last = n ? ids[n - 1] : first;
    }
    if (status == RV_OK) {
        status = rv_generate(tape, lm, n ? ids : &first, n ? n : 1, &o, rv__text_stream_show, &s);
        rv_status end = rv__text_stream_end(&s); /* what was written stays readable, whatever happened */
        if (status == RV_OK) status = end;
    }
    rv_tape_destroy(tape);
    rv_text_free(&prompt);
    free(ids);
    return status;
}

int rv_cmd_generate(int argc, char **argv) {
    static const struct argp argp = {
        options,
        parse,
        "RUN|CHECKPOINT [key.path=value ...]",
        "Write text with a trained language model.\v"
        "RUN is a run's folder: its best checkpoint is taken. The text appears as it is made.\n\n"
        "examples:\n"
        "  ravel generate runs/shakespeare-gpt --prompt 'ROMEO:' --length 500\n"
        "  ravel generate runs/shakespeare-lstm --temperature 0.8 --top-k 10 --seed 7",
        0,
        0,
        0};
    static arguments a = {.seed = 1}; /* what the shorthands made is referred to until the end */
    rv__tool_parse(&argp, argc, argv, &a);
    rv_trained t;
    rv_status status = rv_trained_open(a.over.path, a.over.n, a.over.text, false, &t);
    if (status == RV_OK) {
        status = rv_task_source(t.task)->kind->split
                     ? generate(&a, &t)
                     : rv_error(RV_EUSAGE, "%s is of task %s; only a language model generates (%s)", t.path,
                                rv_config_text(t.config, "task"), rv_task_kind_of(t.task)->use);
        rv_trained_close(&t);
    }
    return rv__tool_finish(status);
}
