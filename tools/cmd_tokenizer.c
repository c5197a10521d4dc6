/* ravel tokenizer train|encode|decode|info */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

enum {
    OPT_MIN_FREQUENCY = 256,
    OPT_LOWERCASE,
    OPT_NORMALIZATION,
    OPT_SPECIALS,
    OPT_LABELS,
    OPT_WHOLE,
    OPT_KEEP_LINE_ENDS,
    ARGS_MAX = 64
};

typedef struct {
    const char *args[ARGS_MAX];
    int n;
    const char *out;
    bool labels, whole, keep_line_ends;
    const char *of_training; /* an option that was given and is for 'train' alone */
    rv_tokenizer_spec spec;
} options;

static const char *const actions[] = {"train", "encode", "decode", "info"};
enum { TRAIN, ENCODE, DECODE, INFO, ACTIONS };

/* ACTIONS: none of them. */
static int action_of(const options *o) {
    int a = 0;
    while (a < ACTIONS && strcmp(actions[a], o->args[0])) a++;
    return a;
}

static unsigned specials_of(const char *arg, struct argp_state *state) {
    static const char *const names[RV_SPECIALS] = {"pad", "bos", "eos", "unk", "mask"};
    unsigned bits = 0;
    for (const char *s = arg; *s;) {
        size_t n = strcspn(s, ",");
        int i = 0;
        while (i < RV_SPECIALS && (strlen(names[i]) != n || strncmp(names[i], s, n))) i++;
        if (i == RV_SPECIALS)
            argp_error(state, "'%s': the specials are pad, bos, eos, unk, mask, separated by commas", arg);
        bits |= 1u << i;
        s += n + (s[n] == ',');
    }
    return bits;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    static const struct {
        int key;
        const char *name;
    } of_training[] = {{'o', "--out"},
                       {'t', "--type"},
                       {'s', "--vocab-size"},
                       {OPT_MIN_FREQUENCY, "--min-frequency"},
                       {OPT_LOWERCASE, "--lowercase"},
                       {OPT_NORMALIZATION, "--normalization"},
                       {OPT_SPECIALS, "--specials"}};
    for (size_t i = 0; i < sizeof of_training / sizeof *of_training; i++)
        if (of_training[i].key == key) o->of_training = of_training[i].name;
    switch (key) {
    case 'o': o->out = arg; return 0;
    case 't':
        if (!rv_tokenizer_type_parse(arg, &o->spec.type))
            argp_error(state, "unknown type '%s'; there are: char, byte, word, bpe", arg);
        return 0;
    case 's': o->spec.vocab_size = rv__tool_whole(arg, "--vocab-size", 0, INT32_MAX, state); return 0;
    case OPT_MIN_FREQUENCY:
        o->spec.min_frequency = rv__tool_whole(arg, "--min-frequency", 0, INT64_MAX, state);
        return 0;
    case OPT_LOWERCASE: o->spec.lowercase = true; return 0;
    case OPT_NORMALIZATION:
        if (!rv_normal_form_parse(arg, &o->spec.normalization))
            argp_error(state, "unknown normalization '%s'; there are: none, nfc, nfkc", arg);
        return 0;
    case OPT_SPECIALS: o->spec.specials = specials_of(arg, state); return 0;
    case OPT_LABELS: o->labels = true; return 0;
    case OPT_WHOLE: o->whole = true; return 0;
    case OPT_KEEP_LINE_ENDS: o->keep_line_ends = true; return 0;
    case ARGP_KEY_ARG:
        if (o->n == ARGS_MAX) argp_error(state, "more than %d arguments", ARGS_MAX);
        o->args[o->n++] = arg;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_usage(state); return 0;
    case ARGP_KEY_SUCCESS:
        if (action_of(o) == ACTIONS) return 0; /* told later */
        if (o->of_training && action_of(o) != TRAIN) argp_error(state, "%s goes with 'train'", o->of_training);
        if ((o->labels || o->whole) && action_of(o) != ENCODE)
            argp_error(state, "--labels and --whole go with 'encode'");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* The files from args[from] on, one after the other; standard input if there are none. */
static rv_status read_texts(const options *o, int from, rv_text *out) {
    *out = (rv_text){0};
    for (int i = from; i < o->n || (i == from && o->n == from); i++) {
        rv_text t;
        rv_status status = rv_text_load(i < o->n ? o->args[i] : "/dev/stdin", &t);
        char *joined = status == RV_OK ? realloc(out->bytes, out->len + t.len + 1) : NULL;
        if (!joined) {
            if (status == RV_OK) rv_text_free(&t);
            rv_text_free(out);
            return status == RV_OK ? rv_error(RV_ENOMEM, "no memory for the texts") : status;
        }
        memcpy(joined + out->len, t.bytes, t.len + 1);
        out->bytes = joined, out->len += t.len;
        rv_text_free(&t);
    }
    if (!o->keep_line_ends) rv_text_unify_line_ends(out);
    return RV_OK;
}

static rv_status train(const options *o) {
    if (!o->out) return rv_error(RV_EUSAGE, "tokenizer train: say where with --out FOLDER");
    rv_text text;
    rv_tokenizer *tok;
    RV_TRY(read_texts(o, 1, &text));
    double t0 = rv_now();
    rv_status status = rv_tokenizer_train(&o->spec, text.bytes, text.len, &tok);
    rv_text_free(&text);
    RV_TRY(status);
    rv_info("%s: %lld tokens in %.2f s", o->out, (long long)rv_tokenizer_size(tok), rv_now() - t0);
    status = rv_tokenizer_write(tok, o->out);
    rv_tokenizer_destroy(tok);
    return status;
}

/* The ids of a text, or their tokens, on a line. */
static rv_status encode_text(const options *o, rv_tokenizer *tok, const char *text, size_t len) {
    int32_t *ids;
    int64_t n;
    RV_TRY(rv_tokenizer_encode(tok, text, len, &ids, &n));
    for (int64_t i = 0; i < n; i++) {
        char label[512];
        if (o->labels)
            printf("%s%s", i ? " " : "", rv_tokenizer_label(tok, ids[i], label, sizeof label));
        else
            printf("%s%d", i ? " " : "", ids[i]);
    }
    putchar('\n');
    free(ids);
    return RV_OK;
}

/* Line by line, without its end, as translation does; or the text as a whole. */
static rv_status encode(const options *o, rv_tokenizer *tok) {
    rv_text text;
    RV_TRY(read_texts(o, 2, &text));
    rv_status status = o->whole ? encode_text(o, tok, text.bytes, text.len) : RV_OK;
    size_t number = 1;
    for (size_t at = 0, whole; !o->whole && at < text.len && status == RV_OK; at += whole, number++) {
        size_t n = rv_text_line(text.bytes + at, text.len - at, &whole);
        if (o->keep_line_ends) n = whole - (text.bytes[at + whole - 1] == '\n');
        status = encode_text(o, tok, text.bytes + at, n);
        if (status != RV_OK) rv_error_context(status, "line %zu: ", number);
    }
    rv_text_free(&text);
    return status;
}

/* The text of a line of ids, and a line end unless the text brings its own: for each line that encode writes, the line
 * it read. */
static rv_status decode_line(const rv_tokenizer *tok, char *s, int32_t *ids) {
    int64_t n = 0;
    for (char *begin = s, *end; *(s += strspn(s, " \t\r")); s = end) {
        long v = strtol(s, &end, 10);
        if (end == s || v < 0 || v > INT32_MAX)
            return rv_error(RV_EDATA, "'%.20s' at byte %td is no id; decode reads whole numbers", s, s - begin + 1);
        ids[n++] = (int32_t)v;
    }
    rv_text out;
    RV_TRY(rv_tokenizer_decode(tok, ids, n, &out));
    fwrite(out.bytes, 1, out.len, stdout);
    if (!out.len || out.bytes[out.len - 1] != '\n') putchar('\n');
    rv_text_free(&out);
    return RV_OK;
}

static rv_status decode(const options *o, const rv_tokenizer *tok) {
    rv_text text;
    RV_TRY(read_texts(o, 2, &text));
    int32_t *ids = malloc((text.len / 2 + 1) * sizeof *ids);
    rv_status status = ids ? RV_OK : rv_error(RV_ENOMEM, "no memory for the ids");
    size_t number = 1;
    for (size_t at = 0, whole; at < text.len && status == RV_OK; at += whole, number++) {
        text.bytes[at + rv_text_line(text.bytes + at, text.len - at, &whole)] = 0;
        status = decode_line(tok, text.bytes + at, ids);
        if (status != RV_OK) rv_error_context(status, "line %zu: ", number);
    }
    rv_text_free(&text);
    free(ids);
    return status;
}

static rv_status info(const rv_tokenizer *tok) {
    rv_tokenizer_spec s = rv_tokenizer_get_spec(tok);
    static const char *const forms[] = {"none", "nfc", "nfkc"};
    printf("type %s\nsize %lld\nnormalization %s\nlowercase %s\nhash %016llx\n", rv_tokenizer_type_name(s.type),
           (long long)rv_tokenizer_size(tok), forms[s.normalization], s.lowercase ? "yes" : "no",
           (unsigned long long)rv_tokenizer_hash(tok));
    for (int i = 0; i < RV_SPECIALS; i++) {
        char label[16];
        int32_t id = rv_tokenizer_special(tok, (rv_special)i);
        if (id >= 0) printf("special %s %d\n", rv_tokenizer_label(tok, id, label, sizeof label), id);
    }
    return RV_OK;
}

int rv_cmd_tokenizer(int argc, char **argv) {
    static const struct argp_option opts[] = {
        {"out", 'o', "FOLDER", 0, "train: where to write vocab and merges", 0},
        {"type", 't', "TYPE", 0, "train: char, byte, word or bpe (the default)", 0},
        {"vocab-size", 's', "N", 0, "train: at most so many ids, specials included (bpe: 8000)", 0},
        {"min-frequency", OPT_MIN_FREQUENCY, "N", 0, "train: leave rarer ones out", 0},
        {"lowercase", OPT_LOWERCASE, 0, 0, "train: lower-case every text first", 0},
        {"normalization", OPT_NORMALIZATION, "FORM", 0, "train: none, nfc or nfkc", 0},
        {"specials", OPT_SPECIALS, "LIST", 0, "train: of pad,bos,eos,unk,mask", 0},
        {"labels", OPT_LABELS, 0, 0, "encode: print the tokens, not their ids", 0},
        {"whole", OPT_WHOLE, 0, 0,
         "encode: the text as one sequence on one line, line ends too, as a language model reads it", 0},
        {"keep-line-ends", OPT_KEEP_LINE_ENDS, 0, 0, "Keep \\r\\n, which is read as \\n otherwise", 0},
        {0},
    };
    static const struct argp argp = {
        opts,
        parse,
        "train --out FOLDER [TEXT ...]\nencode FOLDER [TEXT ...]\ndecode FOLDER [IDS ...]\ninfo FOLDER",
        "Train a tokenizer; encode and decode text.\n\nWithout files, standard input is read.\v"
        "examples:\n  ravel tokenizer train --type bpe --vocab-size 8000 --out tok input.txt\n"
        "  ravel tokenizer encode tok --labels < sentence.txt",
        NULL,
        NULL,
        NULL};
    options o = {.spec = {.type = RV_TOKENS_BPE}};
    rv__tool_parse(&argp, argc, argv, &o);
    if (o.spec.type == RV_TOKENS_BPE && !o.spec.vocab_size) o.spec.vocab_size = 8000;
    const int a = action_of(&o);
    if (a == TRAIN) return rv__tool_finish(train(&o));
    if (a == ACTIONS)
        return rv__tool_finish(
            rv_error(RV_EUSAGE, "tokenizer: unknown action '%s'; there are: train, encode, decode, info", o.args[0]));
    if (o.n < 2) return rv__tool_finish(rv_error(RV_EUSAGE, "tokenizer %s: name the tokenizer's folder", actions[a]));
    rv_tokenizer *tok;
    rv_status status = rv_tokenizer_read(o.args[1], &tok);
    if (status != RV_OK) return rv__tool_finish(status);
    status = a == ENCODE ? encode(&o, tok) : a == DECODE ? decode(&o, tok) : info(tok);
    rv_tokenizer_destroy(tok);
    return rv__tool_finish(status);
}
