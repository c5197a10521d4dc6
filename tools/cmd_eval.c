/* ravel eval */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/confusion.h"
#include "eval/spans.h"
#include "io/json_file.h"
#include "overrides.h"
#include "tool.h"

enum { EDGES = 64 };
typedef struct {
    rv_overrides over;
    const char *split;
    bool json;
    int64_t most[EDGES]; /* edges of the bins of length */
    int edges;
    bool alignment, shuffle;
    const char *gold;
} arguments;

enum { KEY_SHUFFLE = 256 };
static const struct argp_option options[] = {
    {"split", 's', "train|valid|test", 0, "What to measure (default valid)", 0},
    {"by-length", 'l', "N,N,...", 0,
     "Translation: BLEU and chrF of sentences with up to N source words, of those with up to the next N, ...", 0},
    {"alignment", 'a', 0, 0,
     "Translation: alignment error rate of the attention, against the gold links of the data set", 0},
    {"gold", 'g', "FILE", 0, "The same against the links of FILE, one line a pair: 0-0 1-2 ...", 0},
    {"shuffle-source", KEY_SHUFFLE, 0, 0,
     "Translation: the tokens of each source sentence in a random order, fixed by the experiment's seed", 0},
    {"json", 'j', 0, 0, "Print JSON", 0},
    RV__QUIET(0),
    {0},
};
static const char *const splits[] = {"train", "valid", "test"};

static error_t parse(int key, char *arg, struct argp_state *state) {
    arguments *a = state->input;
    switch (key) {
    case 's': a->split = arg; return 0;
    case 'l': a->edges = rv__tool_wholes(arg, "--by-length", EDGES, INT32_MAX, true, a->most, state); return 0;
    case 'g': a->gold = arg; /* fall through */
    case 'a': a->alignment = true; return 0;
    case KEY_SHUFFLE: a->shuffle = true; return 0;
    case 'j': a->json = true; return 0;
    default: return rv__overrides_parse(&a->over, "a run's folder or a checkpoint", key, arg, state);
    }
}

/* What is measured: of every output, as text or JSON. */
static json_t *begin(const arguments *a, const rv_trained *t) {
    long long step = rv_checkpoint_step(t->saved);
    if (!a->json) printf("%-10s %s\n%-10s %lld\n%-10s %s\n", "checkpoint", t->path, "step", step, "split", a->split);
    if (!a->json && a->shuffle) printf("%-10s %s\n", "sources", "shuffled");
    json_t *o = json_pack("{s:s, s:s, s:I}", "checkpoint", t->path, "split", a->split, "step", (json_int_t)step);
    if (a->shuffle) json_object_set_new(o, "shuffled_source", json_true());
    return o;
}

static void end(const arguments *a, json_t *o, int digits) {
    if (a->json) {
        json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(digits));
        putchar('\n');
    }
    json_decref(o);
}

static void print_spans(const arguments *a, const rv_task *task, json_t *o) {
    const rv_span_tags *tags;
    const rv_span_counts *of = rv_task_spans(task, &tags);
    if (!of) return;
    if (a->json)
        rv__spans_json(tags, of, o);
    else
        rv__spans_print(tags, of);
}

static void print_classes(const arguments *a, rv_task *task, json_t *o) {
    const rv_source *source = rv_task_source(task);
    const int64_t *confusion = rv_task_confusion(task);
    if (!confusion) return;
    if (a->json)
        rv__confusion_json(source->n_classes, source->class_name, confusion, o);
    else
        rv__confusion_print(source->n_classes, source->class_name, confusion);
}

/* What the measures are means over. */
static const char *targets(rv_task *task) {
    const rv_source *s = rv_task_source(task);
    return s->out ? "tokens" : s->kind->tags ? "words" : s->n_classes ? "texts" : "sequences";
}

static void print(const arguments *a, const rv_trained *t, const rv_metrics_result *r) {
    json_t *o = begin(a, t);
    for (int i = 0; i < r->n; i++) {
        if (!a->json) printf("%-10s %.6f\n", r->m[i].name, r->m[i].value);
        json_object_set_new(o, r->m[i].name, rv_json_number(r->m[i].value));
    }
    for (int i = 0; i < rv_config_count(t->config, "metrics"); i++) { /* asked for, and not to be had */
        const char *name = rv_config_text_at(t->config, "metrics", i);
        if (!json_object_get(o, name)) json_object_set_new(o, name, json_null());
    }
    for (int i = 0; i < r->n; i++) { /* how BLEU was measured, as sacreBLEU says it */
        const bool lower = !strcmp(r->m[i].name, "bleu_lc");
        char key[32], text[RV_METRIC_TEXT];
        if (!lower && strcmp(r->m[i].name, "bleu")) continue;
        snprintf(key, sizeof key, "%s_signature", r->m[i].name);
        rv_bleu_signature(&(rv_bleu_options){.lowercase = lower}, 1, text);
        if (!a->json) printf("%-10s %s\n", key, text);
        json_object_set_new(o, key, json_string(text));
    }
    if (!a->json) printf("%-10s %lld\n", targets(t->task), (long long)r->tokens);
    json_object_set_new(o, "tokens", json_integer(r->tokens));
    print_classes(a, t->task, o);
    print_spans(a, t->task, o);
    end(a, o, 9);
}

static void print_bins(const arguments *a, const rv_trained *t, const rv_length_bin *bins) {
    json_t *o = begin(a, t), *list = json_array();
    const bool lower = rv_task_lowercase(t->task);
    if (!a->json)
        printf("%-14s %10s %8s %8s%s\n", "source words", "sentences", "BLEU", "chrF2", lower ? "  BLEU lc" : "");
    for (int i = 0; i <= a->edges; i++) {
        const rv_length_bin *b = &bins[i];
        int64_t from = i ? a->most[i - 1] + 1 : 0;
        char words[48];
        if (i < a->edges)
            snprintf(words, sizeof words, "%lld-%lld", (long long)from, (long long)a->most[i]);
        else
            snprintf(words, sizeof words, "%lld-", (long long)from);
        if (!a->json && b->sentences)
            printf("%-14s %10lld %8.2f %8.2f", words, (long long)b->sentences, b->bleu, b->chrf);
        if (!a->json && b->sentences && lower) printf(" %8.2f", b->bleu_lc);
        if (!a->json && !b->sentences) printf("%-14s %10d %8s %8s%s", words, 0, "-", "-", lower ? "        -" : "");
        if (!a->json) putchar('\n');
        json_array_append_new(list,
                              json_pack("{s:I, s:o, s:I, s:o, s:o}", "from", (json_int_t)from, "to",
                                        i < a->edges ? json_integer(a->most[i]) : json_null(), "sentences",
                                        (json_int_t)b->sentences, "bleu", rv_json_number(b->sentences ? b->bleu : NAN),
                                        "chrf", rv_json_number(b->sentences ? b->chrf : NAN)));
        if (lower)
            json_object_set_new(json_array_get(list, (size_t)i), "bleu_lc",
                                rv_json_number(b->sentences ? b->bleu_lc : NAN));
    }
    json_object_set_new(o, "bins", list);
    end(a, o, 6);
}

static rv_status alignment(const arguments *a, rv_tape *tape, rv_trained *t, rv_subset subset) {
    rv_gold_alignment g;
    RV_TRY(rv_gold_alignment_measure(tape, t->task, subset, a->gold, &g));
    bool several = g.layers * g.heads > 1;
    const struct {
        const char *name, *meaning;
        const rv_aer_stats *s;
    } rows[] = {{"plain", "each target word with the source word that it looks at most", &g.plain},
                {"balanced", "weights balanced over the sentence, words linked in both directions", &g.mean},
                {"best_head", "the same of the head with the lowest error", &g.best}};
    json_t *o = begin(a, t);
    json_object_set_new(o, "sentences", json_integer(g.sentences));
    json_object_set_new(o, "gold_links", json_integer(g.links));
    if (!a->json) printf("%-12s %8s %10s %8s\n", "links", "AER", "precision", "recall");
    for (int i = 0; i < 2 + several; i++) {
        double aer = rv_aer(rows[i].s), precision = rv_aer_precision(rows[i].s), recall = rv_aer_recall(rows[i].s);
        if (!a->json) printf("%-12s %8.4f %10.4f %8.4f   %s\n", rows[i].name, aer, precision, recall, rows[i].meaning);
        json_object_set_new(o, rows[i].name,
                            json_pack("{s:o, s:o, s:o}", "aer", rv_json_number(aer), "precision",
                                      rv_json_number(precision), "recall", rv_json_number(recall)));
    }
    if (several) {
        json_object_set_new(o, "layer", json_integer(g.best_layer));
        json_object_set_new(o, "head", json_integer(g.best_head));
    }
    if (!a->json)
        printf("%lld sentences, %lld gold links%s", (long long)g.sentences, (long long)g.links, several ? "" : "\n");
    if (!a->json && several) printf("; best head: layer %d, head %d, from 0\n", g.best_layer, g.best_head);
    end(a, o, 6);
    return RV_OK;
}

static rv_status by_length(const arguments *a, rv_tape *tape, rv_trained *t, rv_subset subset) {
    rv_length_bin bins[65];
    RV_TRY(rv_task_by_length(tape, t->task, subset, (int)rv_config_int(t->config, "decode.beam_size"), a->edges,
                             a->most, bins));
    print_bins(a, t, bins);
    return RV_OK;
}

static rv_status measure(const arguments *a, rv_tape *tape, rv_trained *t, rv_subset subset) {
    rv_metrics_result result;
    if ((a->edges || a->alignment || a->shuffle) && !rv_task_translates(t->task))
        return rv_error(RV_EUSAGE, "%s is for translation; %s is of task %s",
                        a->edges       ? "--by-length"
                        : a->alignment ? "--alignment"
                                       : "--shuffle-source",
                        t->path, rv_config_text(t->config, "task"));
    if (a->shuffle && a->alignment)
        return rv_error(
            RV_EUSAGE,
            "--shuffle-source and --alignment: the gold links are of sentences in their own order; leave one out");
    if (a->shuffle) rv_task_shuffle_sources(t->task, subset);
    if (a->alignment) return alignment(a, tape, t, subset);
    if (a->edges) return by_length(a, tape, t, subset);
    RV_TRY(rv_task_check(t->task, subset, false));
    RV_TRY(rv_task_evaluate(tape, t->task, subset, true, &result));
    if (isnan(rv_metrics_value(&result, "loss")))
        return rv_error(RV_EDIVERGED,
                        "%s: the loss is not a number, because the training diverged; take an earlier checkpoint, or "
                        "train anew with a "
                        "lower train.optimizer.lr",
                        t->path);
    print(a, t, &result);
    return RV_OK;
}

int rv_cmd_eval(int argc, char **argv) {
    static const struct argp argp = {
        options,
        parse,
        "RUN|CHECKPOINT [key.path=value ...]",
        "Measure a trained model with the metrics of its experiment; of a classifier what each class was taken for, "
        "too.\v"
        "RUN is a run's folder: its best checkpoint is taken, or the latest if it keeps no best one. Measures are "
        "means "
        "over the tokens, over a classifier's texts or over sequences; JSON has their number as \"tokens\" always.\n\n"
        "examples:\n"
        "  ravel eval runs/shakespeare-gpt\n"
        "  ravel eval runs/multi30k-bahdanau-1 --split test --by-length 10,15,20\n"
        "  ravel eval runs/phrases-bahdanau --split test --alignment\n"
        "  ravel eval runs/reverse-transformer --shuffle-source\n"
        "  ravel eval --json --split train runs/shakespeare-gpt metrics='[loss, bpc, accuracy]'",
        0,
        0,
        0};
    arguments a = {.split = "valid"};
    rv__tool_parse(&argp, argc, argv, &a);
    int split = 0;
    while (split < 3 && strcmp(splits[split], a.split)) split++;
    if (split == 3)
        return rv__tool_finish(rv_error(RV_EUSAGE, "unknown split '%s'; there are train, valid and test", a.split));
    rv_trained t;
    rv_status status = rv_trained_open(a.over.path, a.over.n, a.over.text, true, &t);
    if (status != RV_OK) return rv__tool_finish(status);
    rv_tape *tape = rv_tape_create();
    status = tape ? measure(&a, tape, &t, (rv_subset)split) : RV_ENOMEM;
    rv_tape_destroy(tape);
    rv_trained_close(&t);
    return rv__tool_finish(status);
}
