/* When two systems may be told apart: what else may explain a difference leaves no verdict, and what a reader must
 * know of one stands beside it. Terminal, report.json and page all tell what is decided here. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "compare/report_quality_private.h"
#include "train/model_config.h"
#include "train/task.h"

static const double TOKENS_EQUAL = 0.01;  /* relative */
static const double STILL_FALLING = 0.02; /* of the loss */
static const double WORSE = 0.1;          /* of the trial's loss: what seeds may differ by */
enum { VALIDATIONS_LEAST = 3 };

bool rv__belongs(const rv_report_run *r, const char *model, const char *setting) {
    return !strcmp(r->model, model) && !strcmp(r->setting, setting);
}

/* ---- facts */

/* A line through the second half of the validations, or the last few. */
static void find_fall(const rv__run_log *log, double level, rv__run_facts *f) {
    enum { MOST = 512 };
    double x[MOST], y[MOST], a, sum = 0;
    const size_t all = json_array_size(log->valid), half = all / 2;
    size_t seen = half > MOST ? MOST : half;
    int n = 0;
    if (seen < VALIDATIONS_LEAST) seen = all < VALIDATIONS_LEAST ? all : VALIDATIONS_LEAST;
    f->fall = f->fall_low = NAN;
    for (size_t i = all - seen; i < all; i++) {
        const json_t *line = json_array_get(log->valid, i);
        x[n] = rv_json_double(line, "step");
        y[n] = rv_json_double(line, "loss");
        if (!isfinite(y[n])) return;
        sum += y[n++];
    }
    rv_interval slope;
    if (n < VALIDATIONS_LEAST) return;
    rv_line_fit(n, x, y, level, &a, &slope);
    const double scale = -(x[n - 1] - x[0]) / (sum / n);
    f->fall = slope.value * scale;
    f->fall_low = slope.high * scale;
}

rv_status rv__run_facts_read(const rv_report_run *run, double level, rv__run_facts *out) {
    rv__run_log log;
    *out = (rv__run_facts){0};
    RV_TRY(rv__run_log_read(run->path, &log));
    out->tokens = log.n ? log.train[log.n - 1].tokens : 0;
    find_fall(&log, level, out);
    const json_t *line;
    size_t i;
    out->valid = INFINITY;
    json_array_foreach (log.valid, i, line) out->valid = fmin(out->valid, rv_json_double(line, "loss"));
    rv__run_log_free(&log);
    return rv__run_json_read(run->path, "measured.json", &out->measured);
}

void rv__run_facts_free(rv__run_facts *f) { json_decref(f->measured); }

/* ---- reasons against a verdict */

static bool because(char why[RV__WHY], const char *format, ...) RV_PRINTF(2, 3);
static bool because(char why[RV__WHY], const char *format, ...) {
    const size_t at = strlen(why);
    va_list args;
    va_start(args, format);
    if (at) snprintf(why + at, RV__WHY - at, "; ");
    vsnprintf(why + strlen(why), RV__WHY - strlen(why), format, args);
    va_end(args);
    return true;
}

static const json_t *plan_entry(const rv__quality *d, const char *part, const char *model) {
    const json_t *list = json_object_get(json_object_get(d->in->plan, part), "models");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(list, i), "model"));
        if (name && !strcmp(name, model)) return json_array_get(list, i);
    }
    return NULL;
}

static bool not_all_done(const rv__quality *d, const char *model, const char *setting, char why[RV__WHY]) {
    const json_t *seeds = json_object_get(d->in->plan, "seeds");
    bool any = false;
    for (size_t k = 0; k < json_array_size(seeds); k++) {
        const long long seed = (long long)json_integer_value(json_array_get(seeds, k));
        bool there = false;
        for (int i = 0; i < d->in->n_runs; i++)
            there |= rv__belongs(&d->in->run[i], model, setting) && d->in->run[i].seed == seed;
        if (!there) return because(why, "%s with seed %lld is missing", model, seed);
    }
    for (int i = 0; i < d->in->n_runs; i++) {
        const rv_report_run *r = &d->in->run[i];
        if (!rv__belongs(r, model, setting)) continue;
        any = true;
        const char *what = r->outcome == RV_RUN_DIVERGED     ? "diverged"
                           : r->outcome == RV_RUN_UNFINISHED ? "is not finished"
                           : !d->e[i].n                      ? "was not measured"
                                                             : NULL;
        if (what) return because(why, "%s with seed %lld %s", model, (long long)r->seed, what);
    }
    return !any && because(why, "%s was not run", model);
}

/* A seed that `a` was run with and `b` was not. */
static bool seed_alone(const rv__quality *d, const rv__group *a, const rv__group *b, char why[RV__WHY]) {
    for (int i = 0; i < a->n; i++) {
        const int64_t seed = d->in->run[a->run[i]].seed;
        bool both = false;
        for (int k = 0; k < b->n; k++) both |= d->in->run[b->run[k]].seed == seed;
        if (!both) return because(why, "%s was run with seed %lld, %s was not", a->model, (long long)seed, b->model);
    }
    return false;
}

static double mean_tokens(const rv__quality *d, const rv__group *g) {
    double sum = 0;
    for (int i = 0; i < g->n; i++) sum += (double)d->facts[g->run[i]].tokens / g->n;
    return sum;
}

/* It has learned all that the training part can teach it in one pass: no budget is less than another's. */
static bool counts(const rv__quality *d, const rv__group *g) {
    const rv_config *c = d->in->run[g->run[0]].config;
    return c && rv_model_config_counts(c);
}

static bool not_matched(const rv__quality *d, const char *model, char why[RV__WHY]) {
    const json_t *match = json_object_get(d->in->plan, "match"), *entry = plan_entry(d, "match", model);
    const char *by = json_string_value(json_object_get(match, "by"));
    const char *unmatched = json_string_value(json_object_get(entry, "unmatched"));
    if (!json_is_false(json_object_get(entry, "met"))) return false;
    if (unmatched) return because(why, "%s is not matched: %s", model, unmatched);
    return because(why, "%s does not match in %s (off by %.1f %%)", model, by ? by : "size",
                   100 * rv_json_double(entry, "off"));
}

/* A system that sees the tokens it is to predict has a good loss and knows nothing. */
static bool sees_the_future(const rv__quality *d, const rv__group *g, char why[RV__WHY]) {
    static const char key[] = "model.decoder.causal_mask";
    const rv_config *c = d->in->run[g->run[0]].config;
    if (!c || !rv_config_has(c, key) || rv_config_is(c, key, "before_softmax")) return false;
    return because(why,
                   "%s sees the tokens that it is to predict (causal_mask: %s): its loss says nothing of its quality",
                   g->model, rv_config_text(c, key));
}

static void add_data_key(void *ctx, const char *path, const char *text) {
    if (text && !strncmp(path, "data.", 5)) json_object_set_new(ctx, path, json_string(text));
}

/* Two runs of which the settings say that they had the same data, and had not. */
static bool data_changed(const rv__quality *d, int x, int y) {
    const json_t *then = json_object_get(d->facts[x].measured, "data"),
                 *now = json_object_get(d->facts[y].measured, "data");
    if (!then || !now || json_equal(then, now) || !d->in->run[x].config || !d->in->run[y].config) return false;
    json_t *a = json_object(), *b = json_object();
    const bool known = rv_config_each(d->in->run[x].config, add_data_key, a) == RV_OK &&
                       rv_config_each(d->in->run[y].config, add_data_key, b) == RV_OK;
    const bool same = known && json_equal(a, b);
    json_decref(a);
    json_decref(b);
    return same;
}

static bool other_data(const rv__quality *d, const rv__group *a, const rv__group *b, char why[RV__WHY]) {
    const int first = a->run[0];
    for (int i = 0; i < b->n; i++)
        if (data_changed(d, first, b->run[i]))
            return because(why, "the data changed between %s with seed %lld and %s with seed %lld", a->model,
                           (long long)d->in->run[first].seed, b->model, (long long)d->in->run[b->run[i]].seed);
    return false;
}

/* A hash of pairs depends on how they are cut into tokens, too: across models it tells of texts alone. */
static bool changed_data(const rv__quality *d, const rv__group *a, const rv__group *b, char why[RV__WHY]) {
    const rv_config *c = d->in->run[a->run[0]].config;
    if (other_data(d, a, a, why) || other_data(d, b, b, why)) return true;
    return c && rv_task_find(rv_config_text(c, "task"))->source->split && other_data(d, a, b, why);
}

/* The same number of tokens may be cut in another way: a vocabulary says which. */
static bool other_vocabulary(const rv__quality *d, const rv__group *a, const rv__group *b, char why[RV__WHY]) {
    const json_t *x = json_object_get(d->facts[a->run[0]].measured, "vocabulary"),
                 *y = json_object_get(d->facts[b->run[0]].measured, "vocabulary");
    if (!x || !y || json_equal(x, y)) return false;
    return because(why, "%s and %s have different vocabularies, so that means over tokens do not compare", a->model,
                   b->model);
}

bool rv__measured_by(const rv__quality *d, const rv__group *g, const rv__metric_kind *m) {
    return g->n && rv__metric_known(m, &d->e[g->run[0]]);
}

static bool not_measured(const rv__quality *d, const rv__group *g, const rv__metric_kind *m, char why[RV__WHY]) {
    if (rv__measured_by(d, g, m)) return false;
    const bool spans = g->n && json_object_get(d->facts[g->run[0]].measured, "text");
    if (m->column[1] == RV__BYTES && spans)
        return because(why, "%s has unknown words, and <unk> does not say their letters", g->model);
    if (m->column[1] == RV__BYTES && g->n)
        return because(why, "%s was measured by an earlier version: remove examples.jsonl from its runs", g->model);
    return because(why, "%s has no %s", g->model, m->name);
}

/* A normal form, lower case or other data make another text of other bytes. */
static bool other_text(const rv__quality *d, const rv__group *a, const rv__group *b, char why[RV__WHY]) {
    for (int k = 0; k < a->n + b->n; k++) {
        const int run = k < a->n ? a->run[k] : b->run[k - a->n];
        const json_t *x = json_object_get(d->facts[a->run[0]].measured, "text"),
                     *y = json_object_get(d->facts[run].measured, "text");
        if (x && y && !json_equal(x, y))
            return because(why, "they were measured on different texts: data, normalization, lower case or blanks "
                                "between words differ");
    }
    return false;
}

bool rv__other_examples(const rv__quality *d, const rv__group *a, const rv__group *b, const rv__metric_kind *m,
                        char why[RV__WHY]) {
    const rv__examples *first = &d->e[a->run[0]];
    const bool of_tokens = m->column[1] == RV__TOKENS;
    if (other_text(d, a, b, why)) return true;
    for (int k = 0; k < a->n + b->n; k++) {
        const rv__examples *e = &d->e[k < a->n ? a->run[k] : b->run[k - a->n]];
        if (e->n != first->n)
            return because(why, "they were measured on %lld and %lld examples", (long long)first->n, (long long)e->n);
        if (e->n_classes != first->n_classes || (e->n_classes && !json_equal(e->class_name, first->class_name)))
            return because(why, "they tell different classes");
        const int64_t classes = e->n ? e->class_at[e->n] : 0;
        if (classes != (first->n ? first->class_at[first->n] : 0))
            return because(why, "their examples have %lld and %lld classes", (long long)first->class_at[first->n],
                           (long long)classes);
        for (int64_t i = 0; i < classes; i++)
            if (e->class[0][i] != first->class[0][i]) return because(why, "their examples are of different classes");
        for (int64_t i = 0; i < e->n && of_tokens; i++)
            if (e->sums[i * RV__COLUMNS + RV__TOKENS] != first->sums[i * RV__COLUMNS + RV__TOKENS])
                return because(why,
                               "they cut the text into different tokens, so that means over tokens do not compare");
    }
    return of_tokens && other_vocabulary(d, a, b, why);
}

bool rv__no_verdict(const rv__quality *d, const char *setting, const rv__group *a, const rv__group *b,
                    const rv__metric_kind *m, char why[RV__WHY]) {
    *why = 0;
    if (not_all_done(d, a->model, setting, why) || not_all_done(d, b->model, setting, why)) return true;
    if (seed_alone(d, a, b, why) || seed_alone(d, b, a, why)) return true;
    if (changed_data(d, a, b, why)) return true;
    if (not_measured(d, a, m, why) || not_measured(d, b, m, why)) return true;
    if (rv__other_examples(d, a, b, m, why)) return true;
    if (sees_the_future(d, a, why) || sees_the_future(d, b, why)) return true;
    const double ta = mean_tokens(d, a), tb = mean_tokens(d, b);
    if (!counts(d, a) && !counts(d, b) && fabs(ta - tb) > TOKENS_EQUAL * fmax(ta, tb))
        return because(why, "unequal budgets: %s was trained on %.0f tokens, %s on %.0f", a->model, ta, b->model, tb);
    if (not_matched(d, a->model, why) || not_matched(d, b->model, why)) return true;
    if (json_is_false(json_object_get(json_object_get(d->in->plan, "tuning"), "equal")))
        return because(why, "learning rates were tuned on unequal budgets");
    if (a->n == 1) return because(why, "one seed: what another would give is not known");
    return false;
}

/* ---- beside a verdict */

static bool at_edge(const rv__quality *d, const rv__group *g) {
    return rv__rate_at_edge(plan_entry(d, "tuning", g->model));
}

/* Its validation loss was falling at the end: on the mean over seeds, and beyond what the seeds (or one seed's line)
 * leave to chance. */
static bool still_improving(const rv__quality *d, const rv__group *g) {
    double mean = 0, squares = 0, low;
    for (int i = 0; i < g->n; i++) mean += d->facts[g->run[i]].fall / g->n;
    for (int i = 0; i < g->n; i++) squares += pow(d->facts[g->run[i]].fall - mean, 2);
    if (g->n > 1)
        low = mean - rv_student_quantile((1 + d->in->options.level) / 2, g->n - 1) * sqrt(squares / (g->n - 1) / g->n);
    else
        low = d->facts[g->run[0]].fall_low;
    return mean > STILL_FALLING && low > 0;
}

/* Its trainings, which go on for longer, end behind the trial that chose their rate. */
static bool worse_than_trial(const rv__quality *d, const rv__group *g) {
    const json_t *t, *tried = json_object_get(plan_entry(d, "tuning", g->model), "tried");
    double best = INFINITY, mean = 0;
    size_t i;
    json_array_foreach (tried, i, t) best = fmin(best, rv_json_double(t, "loss"));
    for (int k = 0; k < g->n; k++) mean += d->facts[g->run[k]].valid / g->n;
    return isfinite(best) && mean - best > WORSE * fabs(best);
}

/* "WHAT of a REST" or "WHAT of a and b REST", for those of the two of which it is so. */
static void say_of(const rv__quality *d, const rv__group *a, const rv__group *b,
                   bool (*so)(const rv__quality *, const rv__group *), const char *what, const char *rest,
                   char why[RV__WHY]) {
    const bool of_a = so(d, a), of_b = so(d, b);
    if (of_a || of_b)
        because(why, "%s of %s%s%s %s", what, of_a ? a->model : b->model, of_a && of_b ? " and " : "",
                of_a && of_b ? b->model : "", rest);
}

static void say_part(const rv__quality *d, const rv__group *a, char why[RV__WHY]) {
    const char *part = json_string_value(json_object_get(d->facts[a->run[0]].measured, "part"));
    if (!part || strcmp(part, "valid")) return;
    because(why, "on validation examples, which %schose the checkpoint, too",
            json_is_object(json_object_get(d->in->plan, "tuning")) ? "chose the learning rate and " : "");
}

static double bytes_per_token(const rv__quality *d, const rv__group *g) {
    const rv__examples *e = &d->e[g->run[0]];
    double bytes = 0, tokens = 0;
    for (int64_t i = 0; i < e->n; i++) {
        bytes += e->sums[i * RV__COLUMNS + RV__BYTES];
        tokens += e->sums[i * RV__COLUMNS + RV__TOKENS];
    }
    return bytes / tokens;
}

/* A budget of tokens is one of text only where the tokens are as long. */
static void say_text(const rv__quality *d, const rv__group *a, const rv__group *b, char why[RV__WHY]) {
    const double x = bytes_per_token(d, a), y = bytes_per_token(d, b);
    if (x > 0 && y > 0 && fabs(x - y) > TOKENS_EQUAL * fmax(x, y))
        because(why, "after as many tokens, but not as much text: a token of %s is %.2f bytes long, of %s %.2f",
                a->model, x, b->model, y);
}

void rv__caveats(const rv__quality *d, const rv__group *a, const rv__group *b, char why[RV__WHY]) {
    say_of(d, a, b, still_improving, "only at this budget, at whose end the loss", "was still falling", why);
    say_of(d, a, b, at_edge, "the learning rate", "is at the edge of those tried, another may be better", why);
    say_of(d, a, b, worse_than_trial, "the trainings",
           "ended at a greater validation loss than the trial that chose the learning rate: it is too high for them, "
           "or its trial was lucky",
           why);
    if (counts(d, a) != counts(d, b))
        because(why, "%s counts the training part once, whatever the budget of the other",
                (counts(d, a) ? a : b)->model);
    say_text(d, a, b, why);
    say_part(d, a, why);
}

void rv__rate_caveat(const rv__quality *d, const char *winner, const char *loser, char why[RV__WHY]) {
    const json_t *w = plan_entry(d, "tuning", winner), *l = plan_entry(d, "tuning", loser), *t;
    double best[2] = {INFINITY, INFINITY};
    for (int k = 0; k < 2; k++) {
        size_t i;
        json_array_foreach (json_object_get(k ? l : w, "tried"), i, t)
            best[k] = fmin(best[k], rv_json_double(t, "loss"));
    }
    if (!isfinite(best[0]) || !(best[0] < best[1])) return; /* the trials say something else than the verdict */
    for (int side = -1; side <= 1; side += 2) {
        if (!(t = rv__rate_beside(w, side))) continue;
        const double loss = rv_json_double(t, "loss");
        if (loss < best[1]) continue;
        because(why, "one step on the grid away, at a learning rate of %g, the trial of %s was behind that of %s",
                rv_json_double(t, "lr"), winner, loser);
        return;
    }
}
