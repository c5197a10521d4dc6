/* Planning: models are matched, budgets become steps, and the cells are listed. Nothing is trained, and the same files
 * give the same plan, unless widths are matched by wall clock. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/parallel.h"
#include "compare/compare_private.h"
#include "compare/plan_private.h"

static const double RATE_MOST = 1e6; /* learning rates, as the schema has it */

/* ---- matching */

typedef enum { BY_NONE, BY_PARAMETERS, BY_FLOPS, BY_WALL_CLOCK } measure;

static measure measure_of(const rv_config *c) {
    const char *by = rv_config_text(c, "compare.match.by");
    return !strcmp(by, "parameters")   ? BY_PARAMETERS
           : !strcmp(by, "flops")      ? BY_FLOPS
           : !strcmp(by, "wall_clock") ? BY_WALL_CLOCK
                                       : BY_NONE;
}

/* A model while its widths are searched, beside the one that it shall be like. */
typedef struct {
    measure by;
    const char *label;
    const json_t *model, *set;
    rv__built *b;
    rv__pacemaker *reference; /* by wall clock alone */
    double target;
} candidate;

static void set_widths(const rv__widths *w, json_t *set) {
    for (int i = 0; i < w->n; i++) rv__assign(set, "%s=%" PRId64, w->key[i], w->width[i]);
}

/* What can be computed of a model that is built. */
static double computed_value(measure by, const rv__built *b) {
    const rv__size s = rv__size_of_model(b);
    return by == BY_PARAMETERS ? (double)(s.parameters - s.embedding) : s.flops_per_token;
}

/* The model built with the assignments `more`, and what it amounts to. By wall clock the reference is timed beside it
 * each time, since a machine is not equally fast for minutes. */
static rv_status candidate_value(const candidate *c, const json_t *more, double *value) {
    double ratio;
    if (c->by == BY_WALL_CLOCK) {
        RV_TRY(rv__pace_beside(c->reference, c->b, c->model, more, &ratio));
        *value = c->target * ratio;
        return RV_OK;
    }
    RV_TRY(rv__rebuild(c->b, c->model, c->set, more));
    *value = computed_value(c->by, c->b);
    return RV_OK;
}

static rv_status size_at(void *ctx, const rv__widths *widths, double *value) {
    const candidate *c = ctx;
    json_t *more = json_array();
    set_widths(widths, more);
    rv_status status = candidate_value(c, more, value);
    json_decref(more);
    if (status == RV_OK && c->by == BY_WALL_CLOCK)
        rv_info("%s: %s=%" PRId64 " takes %.3g us a token, %+.1f %%", c->label, widths->key[0], widths->width[0],
                1e6 * *value, 100 * (*value / c->target - 1));
    return status;
}

/* ---- the whole plan */

typedef struct {
    const char *label;
    rv__size size;
    double value; /* that is matched */
    bool met;
    const char *unmatched; /* why it is not matched, whatever it amounts to; NULL: it may be */
    bool counts;           /* and so has neither a rate, nor more than one step */
    rv__widths widths;
    json_t *entry; /* in "models" */
    rv_checkpoint *vocabulary;
    rv__budget train, tune;
} member;

typedef struct {
    const rv_comparison *c;
    const rv_config *config;
    measure by;
    int n, reference;
    member *m;
    json_t *plan, *cells;
} planner;

static json_t *first_setting(const planner *p) { return json_object_get(json_array_get(p->c->settings, 0), "set"); }

/* Build a model as its file has it; *b stays for the caller to discard, also after an error. */
static rv_status measure_member(planner *p, member *m, rv__built *b) {
    RV_TRY(rv__build(m->entry, first_setting(p), NULL, NULL, true, b));
    m->size = rv__size_of_model(b);
    m->met = true;
    m->counts = rv_model_config_counts(b->config);
    RV_TRY(rv__keep_vocabulary(b, &m->vocabulary));
    rv__widths_of(b->config, &m->widths);
    if (rv_config_has(b->config, "train.early_stopping")) {
        rv__assign(json_object_get(m->entry, "set"), "train.early_stopping=null");
        rv_info("%s: train.early_stopping is switched off: every model gets the whole budget", m->label);
    }
    return RV_OK;
}

static void warn_unmatched(const planner *p, const member *m, double target, double tolerance) {
    const char *like = p->m[p->reference].label, *none = "there will be no verdict on it";
    const double off = 100 * (m->value / target - 1);
    if (m->counts)
        rv_warn("%s: %s; it stays as it is, and %s; match by none to have one", m->label, m->unmatched, none);
    else if (m->unmatched)
        rv_warn("%s: %s; it stays %+.2f %% off %s, and %s", m->label, m->unmatched, off, like, none);
    else
        rv_warn("%s: no width makes it as large as %s within %g: %+.2f %% is the nearest, so %s%s", m->label, like,
                tolerance, off, none,
                p->by == BY_WALL_CLOCK ? "; times vary, so a larger compare.match.tolerance may be what it takes" : "");
}

/* The widths at which it is nearest to the target, or those that it has, if it has none to scale. */
static rv_status find_widths(const planner *p, member *m, candidate *c, double tolerance) {
    rv_model_width widths[RV_MODEL_WIDTHS];
    rv_config *config;
    RV_TRY(rv__model_config(m->entry, c->set, NULL, &config));
    const double enough = p->by == BY_WALL_CLOCK ? tolerance : 0; /* what is computed may be as near as can be */
    rv_status status = RV_OK;
    if (rv_model_widths(config, widths) > 0)
        status = rv__match_widths(config, c->target, enough, size_at, c, &m->widths, &m->value);
    else
        m->unmatched = "no width of its model can be scaled";
    rv_config_destroy(config);
    return status;
}

static rv_status match_member(planner *p, member *m, rv__built *b, rv__pacemaker *reference, double target) {
    double tolerance = rv_config_real(p->config, "compare.match.tolerance");
    candidate c = {p->by, m->label, m->entry, first_setting(p), b, reference, target};
    if (m->counts) {
        m->unmatched = "it counts, and has no width to be scaled";
        m->met = false;
        m->value = NAN;
        warn_unmatched(p, m, target, tolerance);
        return RV_OK;
    }
    RV_TRY(find_widths(p, m, &c, tolerance));
    set_widths(&m->widths, json_object_get(m->entry, "set"));
    /* Of many measurements the best one was lucky: what the plan says is measured anew. */
    RV_TRY(candidate_value(&c, NULL, &m->value));
    m->size = rv__size_of_model(b);
    m->met = fabs(m->value / target - 1) <= tolerance;
    if (!m->met) warn_unmatched(p, m, target, tolerance);
    return RV_OK;
}

/* The models but the reference, at widths at which they are like it. Each loads its data once. */
static rv_status match_others(planner *p, rv__pacemaker *reference) {
    for (int i = 0; i < p->n; i++) {
        rv__built b = {0};
        if (i == p->reference) continue;
        rv_status status = measure_member(p, &p->m[i], &b);
        if (status == RV_OK && p->by != BY_NONE)
            status = match_member(p, &p->m[i], &b, reference, p->m[p->reference].value);
        rv__discard(&b);
        RV_TRY(status);
    }
    return RV_OK;
}

/* By wall clock the reference stays built, and is timed first, last and in between. */
static rv_status match_by_wall_clock(planner *p, member *like, rv__built *b, rv__pace *pace) {
    rv__pacemaker r = {.label = like->label,
                       .where = rv_config_where(p->config, "compare.match.by"),
                       .model = like->entry,
                       .set = first_setting(p),
                       .b = b,
                       .tolerance = rv_config_real(p->config, "compare.match.tolerance")};
    RV_TRY(rv__pace_first(&r));
    like->value = r.pace.first;
    rv_info("matching by wall clock, on %d threads: %s takes %.3g us a token; leave the machine alone until the first "
            "cell starts",
            rv_threads(), like->label, 1e6 * like->value);
    RV_TRY(match_others(p, &r));
    RV_TRY(rv__pace_alone(&r));
    rv_info("%s took %.3g to %.3g us a token meanwhile", r.label, 1e6 * r.pace.least, 1e6 * r.pace.greatest);
    *pace = r.pace;
    return RV_OK;
}

static rv_status counting_reference(const planner *p) {
    static const char key[] = "compare.match.reference";
    return rv_error(RV_EUSAGE,
                    "%s: %s: '%s' counts, and no model can be made like it; name another one, or match by none",
                    rv_config_where(p->config, rv_config_has(p->config, key) ? key : "compare.match.by"), key,
                    p->m[p->reference].label);
}

/* Every model's size, and the widths at which it is like the reference; *pace: of its times, by wall clock. */
static rv_status match_members(planner *p, rv__pace *pace) {
    member *like = &p->m[p->reference];
    rv__built b = {0};
    rv_status status = measure_member(p, like, &b);
    if (status == RV_OK && p->by != BY_NONE && like->counts) status = counting_reference(p);
    if (status == RV_OK && p->by == BY_WALL_CLOCK)
        status = match_by_wall_clock(p, like, &b, pace);
    else if (status == RV_OK && p->by != BY_NONE)
        like->value = computed_value(p->by, &b);
    rv__discard(&b);
    return status != RV_OK || p->by == BY_WALL_CLOCK ? status : match_others(p, NULL);
}

/* With what trials choose among: nobody can say that it was not asked for. */
static rv_status list_defaults(const planner *p, const member *m) {
    json_t *set = json_copy(first_setting(p));
    const size_t trials = json_array_size(p->c->trials);
    if (rv_config_has(p->config, "compare.tune") && !m->counts) {
        rv__assign_rate(set, rv_config_real_at(p->config, "compare.tune.lr", 0));
        json_array_extend(set, json_object_get(json_array_get(p->c->trials, trials - 1), "set"));
    }
    const rv_status status = rv__list_defaults(m->entry, set);
    json_decref(set);
    return status;
}

static rv_status match(planner *p) {
    const char *label = rv_config_has(p->config, "compare.match.reference")
                            ? rv_config_text(p->config, "compare.match.reference")
                            : p->m[0].label;
    for (int i = 0; i < p->n; i++)
        if (!strcmp(p->m[i].label, label)) p->reference = i;
    rv__pace pace = {0};
    RV_TRY(match_members(p, &pace));
    double target = p->m[p->reference].value;
    json_t *rows = json_array(), *entry;
    json_object_set_new(p->plan, "match",
                        entry = json_pack("{s:s, s:f, s:s, s:o}", "by", rv_config_text(p->config, "compare.match.by"),
                                          "tolerance",
                                          p->by == BY_NONE ? 0. : rv_config_real(p->config, "compare.match.tolerance"),
                                          "reference", label, "models", rows));
    if (pace.n)
        json_object_set_new(
            entry, "time",
            json_pack("{s:f, s:f, s:f}", "first", pace.first, "least", pace.least, "greatest", pace.greatest));
    for (int i = 0; i < p->n; i++) {
        member *m = &p->m[i];
        json_t *widths = json_object();
        for (int w = 0; w < m->widths.n; w++)
            json_object_set_new(widths, m->widths.key[w], json_integer(m->widths.width[w]));
        json_t *row = json_pack("{s:s, s:I, s:I, s:f}", "model", m->label, "parameters", (json_int_t)m->size.parameters,
                                "embedding_parameters", (json_int_t)m->size.embedding, "flops_per_token",
                                m->size.flops_per_token);
        json_object_set_new(row, "value", p->by == BY_NONE ? json_null() : rv_json_number(m->value));
        json_object_set_new(row, "off", p->by == BY_NONE ? json_null() : rv_json_number(m->value / target - 1));
        json_object_set_new(row, "met", json_boolean(m->met));
        if (m->unmatched && !m->met) json_object_set_new(row, "unmatched", json_string(m->unmatched));
        json_object_set_new(row, "widths", widths);
        json_array_append_new(rows, row);
        RV_TRY(list_defaults(p, m));
        json_object_set_new(m->entry, "src_vocab", json_integer(m->size.src_vocab));
        json_object_set_new(m->entry, "tgt_vocab", json_integer(m->size.tgt_vocab));
    }
    return RV_OK;
}

/* Equal as far as whole steps allow. A model that counts has no use for more than the training part. */
static bool equal_tokens(const planner *p, bool tune) {
    int64_t least = INT64_MAX, most = 0;
    for (int i = 0; i < p->n; i++) {
        int64_t n = tune ? p->m[i].tune.tokens : p->m[i].train.tokens;
        if (p->m[i].counts) continue;
        least = n < least ? n : least;
        most = n > most ? n : most;
    }
    return (double)most <= 1.01 * (double)least;
}

/* The last cell is of the same kind, model and setting as the one before it, with another seed or learning rate. */
static bool like_the_one_before(const planner *p) {
    static const char *const keys[] = {"kind", "model", "setting"};
    const size_t n = json_array_size(p->cells);
    for (int i = 0; i < 3; i++)
        if (n < 2 || !json_equal(json_object_get(json_array_get(p->cells, n - 1), keys[i]),
                                 json_object_get(json_array_get(p->cells, n - 2), keys[i])))
            return false;
    return true;
}

/* What gave way to the setting and the budget's steps is said once. */
static rv_status check_cell(const planner *p, const json_t *model, const char *setting, const json_t *set) {
    rv_config *config;
    rv_status status = rv__model_config(model, set, NULL, &config);
    if (status == RV_OK && !like_the_one_before(p)) rv_config_tell(config);
    rv_config_destroy(config);
    return status == RV_OK ? RV_OK
                           : rv_error_context(status, "%s: model '%s'%s%s cannot be trained so:\n", p->c->file,
                                              json_string_value(json_object_get(model, "model")),
                                              *setting ? " in the setting " : "", setting);
}

/* A cell at the end of the list; `set` is its own. */
static rv_status add_cell(planner *p, const char *kind, const member *m, const char *setting, int64_t seed,
                          rv__budget b, json_t *set, const char *path) {
    size_t i;
    json_t *other;
    json_array_foreach (p->cells, i, other)
        if (!strcmp(json_string_value(json_object_get(other, "path")), path)) {
            json_decref(set);
            return rv_error(RV_EUSAGE,
                            "%s: two cells would have the folder %s; a learning rate is listed twice, or a label is "
                            "another one with '-'",
                            p->c->file, path);
        }
    json_t *cell =
        json_pack("{s:i, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:o}", "cell", (int)json_array_size(p->cells) + 1, "kind",
                  kind, "model", m->label, "setting", setting, "seed", (json_int_t)seed, "steps", (json_int_t)b.steps,
                  "tokens", (json_int_t)b.tokens, "path", path, "set", set);
    json_array_append_new(p->cells, cell);
    return check_cell(p, m->entry, setting, set);
}

/* What makes a run of a cell: a name, its seed and its length, after the setting's keys. */
static json_t *cell_set(const json_t *setting, const char *name, int64_t seed, rv__budget b) {
    json_t *set = json_copy((json_t *)setting);
    rv__assign(set, "name=%s", name);
    rv__assign(set, "seed=%" PRId64, seed);
    rv__assign(set, "train.epochs=null");
    rv__assign(set, "train.early_stopping=null"); /* which a setting may have, too: every model gets the whole budget */
    rv__assign(set, "train.max_steps=%" PRId64, b.steps);
    return set;
}

/* A setting in the name of a folder: itself where that is short and harmless, else its number. */
static void setting_name(const char *setting, size_t number, char out[96]) {
    static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=- ";
    if (strlen(setting) > 64 || strspn(setting, harmless) < strlen(setting))
        snprintf(out, 96, "-setting%zu", number);
    else
        snprintf(out, 96, "%s%s", *setting ? "-" : "", setting);
    for (char *s = out; *s; s++)
        if (*s == ' ') *s = ',';
}

/* With other values a model must be as large, and trained on as much, as without: so it was matched and is budgeted. */
static rv_status check_trial(const planner *p, const member *m, const json_t *trial, const json_t *set,
                             rv__budget *spent) {
    const char *name = json_string_value(json_object_get(trial, "setting"));
    rv__built b;
    RV_TRY(rv__build(m->entry, set, NULL, m->vocabulary, p->by == BY_FLOPS, &b));
    const int64_t parameters = rv_params_count(b.params);
    const double flops = p->by == BY_FLOPS ? rv__size_of_model(&b).flops_per_token : m->size.flops_per_token;
    rv__discard(&b);
    if (fabs(flops / m->size.flops_per_token - 1) > 1e-9)
        return rv_error(RV_EUSAGE,
                        "%s: compare.tune.settings: with %s the model '%s' takes %.4g FLOPs a token instead of %.4g, "
                        "and is no longer matched; make it one of compare.settings",
                        rv_config_where(p->config, "compare.tune.settings"), name, m->label, flops,
                        m->size.flops_per_token);
    if (parameters != m->size.parameters)
        return rv_error(
            RV_EUSAGE,
            "%s: compare.tune.settings: with %s the model '%s' has %" PRId64 " parameters instead of %" PRId64
            "; what changes a model's size is compared, not tuned: make it one of compare.settings",
            rv_config_where(p->config, "compare.tune.settings"), name, m->label, parameters, m->size.parameters);
    RV_TRY(rv__spend(p->config, "compare.tune", m->entry, set, rv_config_int(p->config, "compare.tune.seed"),
                     m->vocabulary, spent));
    if (spent->steps != m->tune.steps || spent->tokens != m->tune.tokens)
        return rv_error(RV_EUSAGE,
                        "%s: compare.tune.settings: with %s the model '%s' is trained on other batches; make it one of "
                        "compare.settings",
                        rv_config_where(p->config, "compare.tune.settings"), name, m->label);
    return RV_OK;
}

/* A trial of one rate with some other values. */
static rv_status add_trial(planner *p, const member *m, double lr, int beyond, size_t number) {
    const json_t *trial = json_array_get(p->c->trials, number), *values = json_object_get(trial, "set");
    const char *setting = json_string_value(json_object_get(json_array_get(p->c->settings, 0), "setting"));
    const char *with = json_string_value(json_object_get(trial, "setting"));
    const int64_t seed = rv_config_int(p->config, "compare.tune.seed");
    char text[32], folder[96], count[32] = "", name[160], path[256];
    rv__number_text(lr, text);
    setting_name(with, number + 1, folder);
    if (*with) snprintf(count, sizeof count, "-setting%zu", number + 1);
    snprintf(name, sizeof name, "tune-%s-%s%s", m->label, text, count);
    snprintf(path, sizeof path, "cells/tune-%s-%s%s", m->label, text, folder);
    json_t *take = json_copy((json_t *)values), *set = cell_set(first_setting(p), name, seed, m->tune);
    rv__assign_rate(take, lr);
    json_array_extend(set, take);
    const rv_status status = add_cell(p, "tune", m, setting, seed, m->tune, set, path);
    json_t *cell = json_array_get(p->cells, json_array_size(p->cells) - 1);
    if (status == RV_OK)
        json_object_update_new(cell, json_pack("{s:f, s:s, s:O}", "lr", lr, "with", with, "take", take));
    if (status == RV_OK && beyond) json_object_set_new(cell, "beyond", json_integer(beyond));
    json_decref(take);
    return status;
}

static rv_status add_trials(planner *p, const member *m, double lr, int beyond) {
    for (size_t i = 0; i < json_array_size(p->c->trials); i++) RV_TRY(add_trial(p, m, lr, beyond, i));
    return RV_OK;
}

/* The rate beyond the last one on a side, as far from it as that is from its neighbour, in two digits; 0 where there is
 * no neighbour or no such rate. */
static double rate_beyond(const rv_config *c, int side) {
    double last = 0, before = 0;
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < rv_config_count(c, "compare.tune.lr"); i++) {
            const double lr = rv_config_real_at(c, "compare.tune.lr", i);
            double *at = k ? &before : &last;
            if (k && side * (lr - last) >= 0) continue;
            if (*at == 0 || side * (lr - *at) > 0) *at = lr;
        }
    char text[32];
    snprintf(text, sizeof text, "%.1e", before > 0 ? last / before * last : 0);
    const double lr = strtod(text, NULL);
    return lr <= RATE_MOST && side * (lr - last) > 0 ? lr : 0;
}

/* Whether every model can be trained at a rate: a schedule's least rate, say, may lie above it. What hinders one of
 * them is told, and no model tries it. */
static bool all_can_try(const planner *p, double lr) {
    bool can = true;
    for (int i = 0; i < p->n && can; i++)
        for (size_t t = 0; t < json_array_size(p->c->trials) && can && !p->m[i].counts; t++) {
            json_t *set = json_copy(json_object_get(json_array_get(p->c->trials, t), "set"));
            rv_config *config = NULL;
            rv__assign_rate(set, lr);
            can = rv__model_config(p->m[i].entry, first_setting(p), set, &config) == RV_OK;
            rv_config_destroy(config);
            json_decref(set);
            if (!can) rv_info("no learning rate of %g is tried beyond those listed: %s", lr, rv_error_message());
        }
    return can;
}

/* What the trials of a model take, and all of those that are listed. */
static rv_status tune(planner *p, member *m) {
    const rv_config *c = p->config;
    rv__budget spent;
    json_t *trial;
    size_t t;
    RV_TRY(rv__spend(c, "compare.tune", m->entry, first_setting(p), rv_config_int(c, "compare.tune.seed"),
                     m->vocabulary, &m->tune));
    json_array_foreach (p->c->trials, t, trial) {
        if (!*json_string_value(json_object_get(trial, "setting"))) continue;
        json_t *set = json_copy(first_setting(p));
        json_array_extend(set, json_object_get(trial, "set"));
        const rv_status status = check_trial(p, m, trial, set, &spent);
        json_decref(set);
        RV_TRY(status);
    }
    for (int r = 0; r < rv_config_count(c, "compare.tune.lr"); r++)
        RV_TRY(add_trials(p, m, rv_config_real_at(c, "compare.tune.lr", r), 0));
    return RV_OK;
}

/* The first model that has a learning rate; NULL: there is none. */
static const member *first_tuned(const planner *p) {
    for (int i = 0; i < p->n; i++)
        if (!p->m[i].counts) return &p->m[i];
    return NULL;
}

static rv_status add_tuning(planner *p) {
    const rv_config *c = p->config;
    const member *first = first_tuned(p);
    bool tokens;
    int64_t amount;
    json_object_set_new(p->plan, "tuning", json_null());
    if (!rv__budget_of(c, "compare.tune", &tokens, &amount)) return RV_OK;
    if (!first)
        return rv_error(RV_EUSAGE,
                        "%s: compare.tune: all of these models count, and have no learning rate; leave it out",
                        rv_config_where(c, "compare.tune.lr"));
    json_t *rates = json_array(), *tuning = json_pack("{s:o}", "lr", rates);
    json_object_set_new(p->plan, "tuning", tuning);
    for (int i = 0; i < rv_config_count(c, "compare.tune.lr"); i++)
        json_array_append_new(rates, json_real(rv_config_real_at(c, "compare.tune.lr", i)));
    for (int i = 0; i < p->n; i++)
        if (!p->m[i].counts) RV_TRY(tune(p, &p->m[i]));
    for (int side = -1; side <= 1; side += 2) {
        const double lr = rv_config_bool(c, "compare.tune.extend") ? rate_beyond(c, side) : 0;
        const bool tried = lr > 0 && all_can_try(p, lr);
        for (int i = 0; i < p->n && tried; i++)
            if (!p->m[i].counts) RV_TRY(add_trials(p, &p->m[i], lr, side));
    }
    json_object_set_new(tuning, "steps", json_integer(first->tune.steps));
    json_object_set_new(tuning, "tokens", json_integer(first->tune.tokens));
    json_object_set_new(tuning, "equal", json_boolean(equal_tokens(p, true)));
    return RV_OK;
}

static rv_status add_training(planner *p) {
    const rv_config *c = p->config;
    bool tokens = false;
    int64_t amount;
    json_t *setting, *rows;
    size_t s;
    json_object_set_new(p->plan, "budget", json_null());
    if (!rv__budget_of(c, "compare.budget", &tokens, &amount)) return RV_OK;
    json_t *total = json_pack("{s:s, s:I, s:b, s:o}", "unit", tokens ? "tokens" : "steps", "amount", (json_int_t)amount,
                              "equal", 0, "models", rows = json_array());
    json_object_set_new(p->plan, "budget", total);
    json_array_foreach (p->c->settings, s, setting) {
        const char *label = json_string_value(json_object_get(setting, "setting"));
        const json_t *keys = json_object_get(setting, "set");
        char part[96];
        setting_name(label, s + 1, part);
        for (int i = 0; i < p->n; i++) {
            member *m = &p->m[i];
            /* a setting may change the vocabulary */
            RV_TRY(rv__spend(p->config, "compare.budget", m->entry, keys, rv_config_int_at(c, "compare.seeds", 0),
                             s ? NULL : m->vocabulary, &m->train));
            if (!s)
                json_array_append_new(rows,
                                      json_pack("{s:s, s:I, s:I}", "model", m->label, "steps",
                                                (json_int_t)m->train.steps, "tokens", (json_int_t)m->train.tokens));
            if (!s && m->counts) json_object_set_new(json_array_get(rows, (size_t)i), "counts", json_true());
        }
        if (!s) json_object_set_new(total, "equal", json_boolean(equal_tokens(p, false)));
        for (int i = 0; i < p->n; i++)
            for (int k = 0; k < rv_config_count(c, "compare.seeds"); k++) {
                const member *m = &p->m[i];
                int64_t seed = rv_config_int_at(c, "compare.seeds", k);
                char number[32] = "", name[160], path[256];
                if (*label) snprintf(number, sizeof number, "-setting%zu", s + 1);
                snprintf(name, sizeof name, "%s%s-s%" PRId64, m->label, number, seed);
                snprintf(path, sizeof path, "cells/%s%s-s%" PRId64, m->label, part, seed);
                RV_TRY(add_cell(p, "train", m, label, seed, m->train, cell_set(keys, name, seed, m->train), path));
            }
    }
    return RV_OK;
}

/* Round by round, in each of which all models are measured one after the other, but not those that count: their step is
 * no forward and backward pass, and what they need of a vocabulary cannot be random. */
static rv_status add_cost(planner *p) {
    if (!rv_config_has(p->config, "compare.cost")) return RV_OK;
    for (int i = 0; i < p->n; i++)
        if (p->m[i].counts) rv_warn("%s: it counts: compare.cost leaves it out", p->m[i].label);
    for (int64_t round = 1; round <= rv_config_int(p->config, "compare.cost.rounds"); round++)
        for (int i = 0; i < p->n; i++) {
            char path[96];
            if (p->m[i].counts) continue;
            snprintf(path, sizeof path, "cost/%s.r%" PRId64 ".json", p->m[i].label, round);
            RV_TRY(add_cell(p, "cost", &p->m[i], "", round, (rv__budget){0}, json_copy(first_setting(p)), path));
        }
    return RV_OK;
}

static rv_status make(planner *p) {
    json_t *seeds = json_array(), *settings = json_array(), *setting;
    size_t s;
    for (int i = 0; i < rv_config_count(p->config, "compare.seeds"); i++)
        json_array_append_new(seeds, json_integer(rv_config_int_at(p->config, "compare.seeds", i)));
    json_array_foreach (p->c->settings, s, setting) json_array_append(settings, json_object_get(setting, "setting"));
    json_object_set_new(p->plan, "format", json_string("ravel-compare 2"));
    json_object_set_new(p->plan, "name", json_string(rv_config_text(p->config, "compare.name")));
    json_object_set(p->plan, "asked", p->c->asked);
    json_object_set_new(p->plan, "seeds", seeds);
    json_object_set_new(p->plan, "settings", settings);
    json_t *models = json_deep_copy(p->c->models);
    json_object_set_new(p->plan, "models", models);
    for (int i = 0; i < p->n; i++) {
        p->m[i].entry = json_array_get(models, (size_t)i);
        p->m[i].label = json_string_value(json_object_get(p->m[i].entry, "model"));
    }
    RV_TRY(match(p));
    json_object_set_new(p->plan, "cells", p->cells = json_array());
    RV_TRY(add_tuning(p));
    RV_TRY(add_training(p));
    return add_cost(p);
}

rv_status rv__plan_make(const rv_comparison *c, json_t **out) {
    planner p = {.c = c,
                 .config = c->config,
                 .by = measure_of(c->config),
                 .n = (int)json_array_size(c->models),
                 .plan = json_object()};
    p.m = calloc((size_t)p.n, sizeof *p.m);
    rv_status status = p.m && p.plan ? make(&p) : rv_error(RV_ENOMEM, "no memory for a comparison's plan");
    for (int i = 0; p.m && i < p.n; i++) rv_checkpoint_close(p.m[i].vocabulary);
    free(p.m);
    if (status == RV_OK)
        *out = p.plan;
    else
        json_decref(p.plan);
    return status;
}
