/* Of tagged sentences: which tags are found, where two systems differ most, and what each model holds of two tags next
 * to each other. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "compare/report_quality_private.h"

enum { NUMBERS_LEAST = 3, NUMBERS_MOST = 64, SENTENCES = 5, PAIRS_MOST = 3 };

static void add(json_t *parts, const char *key, json_t *item) {
    if (!json_object_get(parts, key)) json_object_set_new(parts, key, json_array());
    json_array_append_new(json_object_get(parts, key), item);
}

/* Those whose examples are the same words with the same tags as the first one's; NULL without any. */
static const rv__examples *first_of(const rv__quality *d, const rv__group *g) {
    for (int k = 0; k < d->in->n_models; k++) {
        const rv__examples *e = g[k].n ? &d->e[g[k].run[0]] : NULL;
        if (e && e->n && e->tags && e->n_classes && e->n_classes <= RV__PAGE_CLASSES) return e;
    }
    return NULL;
}

static bool same_words(const rv__examples *a, const rv__examples *b) {
    return b->n == a->n && b->tags && json_equal(a->class_name, b->class_name) &&
           !memcmp(a->class_at, b->class_at, (size_t)(a->n + 1) * sizeof *a->class_at) &&
           !memcmp(a->class[0], b -> class[0], (size_t)a -> class_at[a->n] * sizeof **a->class);
}

/* ---- recall of tags, or of groups of them */

typedef struct {
    int n;
    uint64_t tags[NUMBERS_MOST]; /* of each group, a bit for each */
} groups;

static json_t *words_of(const rv__examples *e, const groups *by) {
    json_t *list = json_array();
    for (int i = 0; i < by->n; i++) {
        int64_t n = 0;
        for (int64_t k = 0; k < e->class_at[e->n]; k++) n += by->tags[i] >> e->class[0][k] & 1;
        json_array_append_new(list, json_integer(n));
    }
    return list;
}

static rv_status recall_of(const rv__quality *d, const rv__group *g, const groups *by, json_t *list) {
    json_t *of[3] = {json_array(), json_array(), json_array()};
    rv_status status = RV_OK;
    for (int i = 0; i < by->n && status == RV_OK; i++) {
        const rv__metric_kind m = rv__recall_of(by->tags[i]);
        rv_interval v;
        status = rv__quality_value(d, g, &m, &v);
        const double x[3] = {v.value, v.low, v.high};
        for (int k = 0; k < 3; k++) json_array_append_new(of[k], rv_json_number(x[k]));
    }
    json_array_append_new(
        list, json_pack("{s:s, s:o, s:o, s:o}", "model", g->model, "value", of[0], "low", of[1], "high", of[2]));
    return status;
}

/* names: of the groups; taken. */
static rv_status add_recall(const rv__quality *d, const char *setting, const rv__group *g, const rv__examples *first,
                            const groups *by, const char *key, const char *named, json_t *names, json_t *parts) {
    json_t *models = json_array();
    rv_status status = RV_OK;
    for (int k = 0; k < d->in->n_models && status == RV_OK; k++)
        if (g[k].n && same_words(first, &d->e[g[k].run[0]])) status = recall_of(d, &g[k], by, models);
    add(parts, key,
        json_pack("{s:s, s:o, s:o, s:o}", "setting", setting, named, names, "words", words_of(first, by), "models",
                  models));
    return status;
}

static rv_status add_by_tag(const rv__quality *d, const char *setting, const rv__group *g, const rv__examples *first,
                            json_t *parts) {
    groups by = {.n = first->n_classes};
    for (int i = 0; i < by.n; i++) by.tags[i] = (uint64_t)1 << i;
    return add_recall(d, setting, g, first, &by, "by_tag", "tags", json_incref(first->class_name), parts);
}

/* The number behind letters, "B3"; -1 of another tag. */
static int64_t number_of(const char *tag) {
    const char *digits = tag;
    while (isalpha((unsigned char)*digits)) digits++;
    if (digits == tag || !isdigit((unsigned char)*digits) || strlen(digits) > 6) return -1;
    char *end;
    const int64_t number = strtol(digits, &end, 10);
    return *end ? -1 : number;
}

/* The tags of each number, numbers rising; none where there are few numbers, which then are but names. */
static json_t *find_numbers(const rv__examples *e, groups *by) {
    int64_t number[RV__PAGE_CLASSES], last = -1;
    json_t *list = json_array();
    by->n = 0;
    for (int i = 0; i < e->n_classes; i++)
        number[i] = number_of(json_string_value(json_array_get(e->class_name, (size_t)i)));
    for (;;) {
        int64_t least = INT64_MAX;
        for (int i = 0; i < e->n_classes; i++)
            if (number[i] > last && number[i] < least) least = number[i];
        if (least == INT64_MAX) break;
        by->tags[by->n] = 0;
        for (int i = 0; i < e->n_classes; i++) by->tags[by->n] |= (uint64_t)(number[i] == least) << i;
        json_array_append_new(list, json_integer(last = least));
        by->n++;
    }
    return list;
}

static rv_status add_by_number(const rv__quality *d, const char *setting, const rv__group *g, const rv__examples *first,
                               json_t *parts) {
    groups by;
    json_t *numbers = find_numbers(first, &by);
    if (by.n >= NUMBERS_LEAST) return add_recall(d, setting, g, first, &by, "by_number", "numbers", numbers, parts);
    json_decref(numbers);
    return RV_OK;
}

/* ---- the sentences where two differ most, by their first seeds */

/* Rising, those with the largest difference of right tags; of equal ones the first. Returns how many. */
static int differ_most(const rv__examples *a, const rv__examples *b, int64_t which[SENTENCES]) {
    int64_t by[SENTENCES];
    int n = 0;
    for (int64_t i = 0; i < a->n; i++) {
        const int64_t right[2] = {(int64_t)a->sums[i * RV__COLUMNS + RV__CORRECT],
                                  (int64_t)b->sums[i * RV__COLUMNS + RV__CORRECT]};
        const int64_t off = llabs(right[0] - right[1]);
        int least = 0; /* the one to drop: the last of the smallest */
        for (int k = 1; k < n; k++)
            if (by[k] <= by[least]) least = k;
        if (!off || (n == SENTENCES && off <= by[least])) continue;
        if (n == SENTENCES) {
            memmove(by + least, by + least + 1, (size_t)(n - least - 1) * sizeof *by);
            memmove(which + least, which + least + 1, (size_t)(n - least - 1) * sizeof *which);
            n--;
        }
        by[n] = off, which[n++] = i;
    }
    return n;
}

static json_t *sentence_of(const rv__group *a, const rv__group *b, const json_t *of_a, const json_t *of_b) {
    json_t *outputs = json_pack("[o, o]", rv__sample_output(a->model, of_a), rv__sample_output(b->model, of_b));
    return json_pack("{s:O, s:O, s:O, s:[O, O], s:o}", "i", json_object_get(of_a, "i"), "source",
                     json_object_get(of_a, "source"), "reference", json_object_get(of_a, "reference"), "right",
                     json_object_get(of_a, "correct"), json_object_get(of_b, "correct"), "outputs", outputs);
}

static rv_status add_disagreements(const rv__quality *d, const char *setting, const rv__group *a, const rv__group *b,
                                   json_t *parts) {
    int64_t which[SENTENCES];
    const int n = differ_most(&d->e[a->run[0]], &d->e[b->run[0]], which);
    if (!n) return RV_OK;
    json_t *of_a = json_array(), *of_b = json_array(), *list = json_array();
    rv_status status = rv__examples_pick(d->in->run[a->run[0]].path, n, which, of_a);
    if (status == RV_OK) status = rv__examples_pick(d->in->run[b->run[0]].path, n, which, of_b);
    for (size_t i = 0; i < (size_t)n && status == RV_OK; i++)
        json_array_append_new(list, sentence_of(a, b, json_array_get(of_a, i), json_array_get(of_b, i)));
    if (status == RV_OK)
        add(parts, "disagreements",
            json_pack("{s:s, s:s, s:s, s:O}", "setting", setting, "a", a->model, "b", b->model, "sentences", list));
    json_decref(list);
    json_decref(of_b);
    json_decref(of_a);
    return status;
}

/* The first system beside others. */
static rv_status add_pairs(const rv__quality *d, const char *setting, const rv__group *g, json_t *parts) {
    for (int k = 1; k < d->in->n_models && k <= PAIRS_MOST; k++) {
        if (!g[0].n || !g[k].n) continue;
        const rv__examples *a = &d->e[g[0].run[0]], *b = &d->e[g[k].run[0]];
        if (a->n && a->tags && same_words(a, b)) RV_TRY(add_disagreements(d, setting, &g[0], &g[k], parts));
    }
    return RV_OK;
}

/* ---- what follows what */

static void add_transitions(const rv__quality *d, const char *setting, const rv__group *g, json_t *parts) {
    for (int k = 0; k < d->in->n_models; k++) {
        if (!g[k].n || d->e[g[k].run[0]].n_classes > RV__PAGE_CLASSES) continue;
        const json_t *steps = json_object_get(d->facts[g[k].run[0]].measured, "steps");
        if (!steps) continue;
        add(parts, "transitions",
            json_pack("{s:s, s:s, s:I, s:O, s:O, s:O}", "setting", setting, "model", g[k].model, "seed",
                      (json_int_t)d->in->run[g[k].run[0]].seed, "tags", d->e[g[k].run[0]].class_name, "kind",
                      json_object_get(steps, "kind"), "values", json_object_get(steps, "values")));
    }
}

rv_status rv__report_tags(const rv__quality *d, const char *setting, const rv__group *g, json_t *parts) {
    const rv__examples *first = first_of(d, g);
    if (first) RV_TRY(add_by_tag(d, setting, g, first, parts));
    if (first) RV_TRY(add_by_number(d, setting, g, first, parts));
    RV_TRY(add_pairs(d, setting, g, parts));
    add_transitions(d, setting, g, parts);
    return RV_OK;
}
