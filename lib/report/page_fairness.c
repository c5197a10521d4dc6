/* What differs between the models, and whether all else was equal: sizes, budgets, tuning. */
#include <math.h>
#include <string.h>

#include "report/page_private.h"
#include "stats/rates.h"

enum { SEEDS_ENOUGH = 5 }; /* from which on what happens to every other seed is among them (95 %) */

/* A setting's value as one would write it. */
static const char *value_text(rv__page *p, const json_t *v) {
    if (!v || json_is_null(v)) return "\xe2\x80\x93";
    if (json_is_string(v)) return json_string_value(v);
    if (json_is_boolean(v)) return json_is_true(v) ? "true" : "false";
    if (json_is_integer(v)) return rv__page_format(p, "%lld", (long long)json_integer_value(v));
    if (json_is_real(v)) return rv__page_format(p, "%g", json_real_value(v));
    const char *text = "";
    const json_t *element;
    size_t i;
    json_array_foreach (v, i, element) text = rv__page_format(p, "%s%s%s", text, i ? ", " : "", value_text(p, element));
    return text;
}

/* Whether models to which the setting applies differ in it; otherwise it is there only because some have such a part.
 */
static bool differs_itself(const json_t *row) {
    const json_t *first = NULL, *v;
    size_t i;
    json_array_foreach (json_object_get(row, "values"), i, v) {
        if (json_is_null(v)) continue;
        if (first && !json_equal(first, v)) return true;
        if (!first) first = v;
    }
    return false;
}

static void difference_table(rv__page *p, const json_t *rows, bool itself) {
    int models = rv__page_n_models(p);
    const json_t *row;
    size_t i;
    rv__page_table t = rv__page_table_begin(p, models + 1);
    rv__page_cell(&t, "setting");
    for (int k = 0; k < models; k++) rv__page_cell(&t, rv__page_model_name(p, k));
    json_array_foreach (rows, i, row) {
        if (differs_itself(row) != itself) continue;
        rv__page_cell(&t, rv__page_string(row, "key"));
        for (int k = 0; k < models; k++)
            rv__page_cell(&t, value_text(p, json_array_get(json_object_get(row, "values"), (size_t)k)));
    }
    rv__page_table_end(&t, NULL);
}

static void differences(rv__page *p) {
    const json_t *rows = rv__page_part(p, "differences"), *row;
    if (!rows) return;
    size_t i;
    int some = 0;
    json_array_foreach (rows, i, row) some += !differs_itself(row);
    rv_page_section(p->f, "differences", "What differs");
    rv__page_note(p, "Settings that are not the same in all models; everything else is equal. A dash: the setting does "
                     "not apply there.");
    difference_table(p, rows, true);
    if (some) {
        fprintf(p->f, "<details><summary>%d setting%s that only some models have</summary>\n", some,
                some == 1 ? "" : "s");
        difference_table(p, rows, false);
        fputs("</details>\n", p->f);
    }
    rv_page_section_end(p->f);
}

/* One line of "can I trust it": yes or no stands in words, not in colour alone. */
static void check_line(rv__page *p, bool good, const char *what, const char *detail) {
    fprintf(p->f, "<li class='%s'><b>", good ? "good" : "bad");
    rv_page_text(p->f, what);
    fputs("</b> ", p->f);
    rv_page_text(p->f, detail);
    fputs("</li>\n", p->f);
}

static const char *match_unit(const json_t *match) {
    if (rv__page_is(match, "by", "parameters")) return "parameters without tables that are only looked up";
    if (rv__page_is(match, "by", "flops")) return "FLOPs per token";
    return "time per step";
}

static void unmatched_line(rv__page *p, const json_t *match) {
    double least = INFINITY, most = 0;
    const json_t *row;
    size_t i;
    json_array_foreach (json_object_get(match, "models"), i, row) {
        double size = rv__page_real(row, "parameters") - rv__page_real(row, "embedding_parameters");
        least = fmin(least, size), most = fmax(most, size);
    }
    bool near = most <= 1.02 * least; /* models that differ in something else than layers and widths */
    check_line(p, near, near ? "Size: about equal." : "Size: not matched.",
               !near          ? "Each model has the size its file gives it."
               : most > least ? rv__page_format(p,
                                                "Each has the size its file gives it; parameters without tables that "
                                                "are only looked up differ by %s\xc2\xa0%%.",
                                                rv__page_rough(p, 100 * (most / least - 1)))
                              : "Each has the size its file gives it; parameters are the same.");
}

/* By wall clock: how steady the machine was, told by the one model that is timed all the while. */
static const char *drift(rv__page *p, const json_t *match) {
    const json_t *time = json_object_get(match, "time");
    const double least = rv__page_real(time, "least"), greatest = rv__page_real(time, "greatest");
    if (!time) return "";
    return rv__page_format(p, " While they were measured, the time of %s itself moved by %s\xc2\xa0%%.",
                           rv__page_string(match, "reference"), rv__page_rough(p, 100 * (greatest / least - 1)));
}

static void match_line(rv__page *p, const json_t *match) {
    if (!match || rv__page_is(match, "by", "none")) {
        if (match) unmatched_line(p, match);
        return;
    }
    double worst = 0;
    bool met = true;
    const json_t *row;
    size_t i;
    json_array_foreach (json_object_get(match, "models"), i, row) {
        worst = fmax(worst, fabs(rv__page_real(row, "off")));
        met &= json_is_true(json_object_get(row, "met"));
    }
    check_line(p, met, met ? "Size: matched." : "Size: NOT matched.",
               rv__page_format(p, "%s are within %s\xc2\xa0%% of those of %s; allowed were %s\xc2\xa0%%.%s",
                               rv__page_is(match, "by", "parameters")   ? "Parameters"
                               : rv__page_is(match, "by", "wall_clock") ? "Times per step"
                                                                        : match_unit(match),
                               rv__page_rough(p, 100 * worst), rv__page_string(match, "reference"),
                               rv__page_given(p, 100 * rv__page_real(match, "tolerance")), drift(p, match)));
}

static void budget_line(rv__page *p, const json_t *budget) {
    if (!budget) return;
    bool equal = json_is_true(json_object_get(budget, "equal"));
    const char *counting = "";
    const json_t *row;
    size_t i;
    json_array_foreach (json_object_get(budget, "models"), i, row)
        if (json_is_true(json_object_get(row, "counts")))
            counting = rv__page_format(p, "%s %s counts the training part once, and more would change nothing.",
                                       counting, rv__page_string(row, "model"));
    const char *amount = rv__page_format(p, "%s %s", rv__page_count(p, rv__page_real(budget, "amount")),
                                         rv__page_is(budget, "unit", "tokens") ? "training tokens" : "training steps");
    check_line(
        p, equal, equal ? "Training: equal." : "Training: NOT equal.",
        equal ? rv__page_format(p, "Every %smodel is trained on %s.%s", *counting ? "other " : "", amount, counting)
              : "The table shows how much each was trained.");
}

/* What nobody asked for and differs nonetheless: a default that depends on the kind of model. */
static void confounds_line(rv__page *p) {
    const json_t *row;
    const char *keys = "";
    size_t i;
    int n = 0;
    json_array_foreach (rv__page_part(p, "differences"), i, row) {
        if (!json_is_false(json_object_get(row, "asked")) || !differs_itself(row)) continue;
        keys = rv__page_format(p, "%s%s%s", keys, n ? ", " : "", rv__page_string(row, "key"));
        n++;
    }
    if (n)
        check_line(p, false, "Not asked for:",
                   rv__page_format(p,
                                   "by default, the models differ in %s, too. Give %s in their files to have %s alike.",
                                   keys, n > 1 ? "these keys" : "this key", n > 1 ? "them" : "it"));
}

/* The models whose rate is the least or the greatest of those tried: "a, b"; "" if none is. */
static const char *edges(rv__page *p, const json_t *tuning) {
    const char *names = "";
    const json_t *row;
    size_t i;
    json_array_foreach (json_object_get(tuning, "models"), i, row)
        if (rv__rate_at_edge(row))
            names = rv__page_format(p, "%s%s%s", names, *names ? ", " : "", rv__page_string(row, "model"));
    return names;
}

/* Models are matched, and their rates tried, in the first setting; in another, sizes and steps may differ. */
static const char *where_planned(const rv__page *p) {
    return rv__page_n_settings(p) > 1 ? ", in the first setting" : "";
}

/* Trials that a comparison under way has still to run: their loss is not known. *all: of how many. */
static size_t left_to_try(const json_t *tuning, size_t *all) {
    const json_t *row, *trial;
    size_t i, k, left = 0;
    *all = 0;
    json_array_foreach (json_object_get(tuning, "models"), i, row)
        json_array_foreach (json_object_get(row, "tried"), k, trial) {
            left += json_is_null(json_object_get(trial, "loss")) && !json_is_true(json_object_get(trial, "diverged"));
            ++*all;
        }
    return left;
}

/* " Among them ..., beyond the rates listed: ..."; "" where there was none. */
static const char *beyond_words(rv__page *p, const json_t *tuning) {
    const char *rates = "";
    const json_t *rate;
    size_t i;
    json_array_foreach (json_object_get(tuning, "beyond"), i, rate)
        rates = rv__page_format(p, "%s%s%s", rates, i ? " and " : "", rv__page_given(p, json_number_value(rate)));
    return !*rates ? ""
                   : rv__page_format(p,
                                     " Among them %s, beyond the rates listed: the best one of some model was "
                                     "the last of these.",
                                     rates);
}

static void tuning_line(rv__page *p, const json_t *tuning) {
    if (!tuning && rv__page_part(p, "budget") && rv__page_n_models(p) > 1)
        check_line(p, false, "Learning rates: not tuned.", "Each model is trained at the rate its file gives it.");
    if (!tuning) return;
    bool equal = json_is_true(json_object_get(tuning, "equal"));
    const json_t *first = json_array_get(json_object_get(tuning, "models"), 0);
    const json_t *trials = json_object_get(first, "tried");
    const bool others = json_object_get(json_array_get(trials, 0), "with") != NULL;
    size_t all;
    const size_t left = left_to_try(tuning, &all);
    const char *at = left ? "" : edges(p, tuning), *then = "the one with the lowest validation loss was taken";
    if (left)
        then = rv__page_format(p,
                               "%zu of %zu trials are still to run; the one with the lowest validation loss will be "
                               "taken",
                               left, all);
    check_line(p, equal && !*at && !left,
               !equal ? "Learning rates: NOT equal effort."
               : left ? "Learning rates: not all tried yet."
               : *at  ? "Learning rates: at the edge."
                      : "Learning rates: equal effort.",
               rv__page_format(p, "%zu %s%s%s %s per model%s, with %s steps each; %s%s%s%s.%s", json_array_size(trials),
                               others ? "combination" : "rate", json_array_size(trials) == 1 ? "" : "s",
                               others ? " of a rate and other values" : "", left ? "to try" : "tried", where_planned(p),
                               rv__page_count(p, rv__page_real(tuning, "steps")), then, *at ? ", for " : "", at,
                               *at ? " the least or the greatest of them: another may be better" : "",
                               beyond_words(p, tuning)));
}

static const char *percent(rv__page *p, double share) {
    if (isnan(share)) return rv__page_number(p, share);
    return rv__page_format(p, "%s%.2f\xc2\xa0%%", share < -5e-5 ? "\xe2\x88\x92" : "", 100 * fabs(share));
}

static void match_table(rv__page *p, const json_t *match) {
    const bool none = rv__page_is(match, "by", "none");
    rv__page_table t = rv__page_table_begin(p, 6 - none);
    static const char *const head[] = {"model", "parameters used", "only looked up", "FLOPs per token",
                                       "off",   "widths"};
    for (int k = 0; k < 6; k++)
        if (!none || k != 4) rv__page_cell(&t, head[k]);
    const json_t *row, *width;
    size_t i;
    json_array_foreach (json_object_get(match, "models"), i, row) {
        const char *widths = "", *key;
        json_object_foreach ((json_t *)json_object_get(row, "widths"), key, width)
            widths = rv__page_format(p, "%s%s%s = %s", widths, *widths ? ", " : "", key, value_text(p, width));
        const double off = rv__page_real(row, "off");
        rv__page_cell(&t, rv__page_string(row, "model"));
        rv__page_cell(&t,
                      rv__page_count(p, rv__page_real(row, "parameters") - rv__page_real(row, "embedding_parameters")));
        rv__page_cell(&t, rv__page_count(p, rv__page_real(row, "embedding_parameters")));
        rv__page_cell(&t, rv__page_count(p, rv__page_real(row, "flops_per_token")));
        if (!none) rv__page_cell(&t, percent(p, off));
        rv__page_cell(&t, *widths ? widths : "as given");
    }
    const char *title = rv__page_format(p, "Sizes%s", where_planned(p));
    rv__page_table_end(&t, none ? title
                                : rv__page_format(p, "%s, matched by %s; off: how far from those of %s", title,
                                                  match_unit(match), rv__page_string(match, "reference")));
}

static void budget_table(rv__page *p, const json_t *budget) {
    rv__page_table t = rv__page_table_begin(p, 3);
    rv__page_cell(&t, "model");
    rv__page_cell(&t, "steps");
    rv__page_cell(&t, "training tokens");
    const json_t *row;
    size_t i;
    json_array_foreach (json_object_get(budget, "models"), i, row) {
        rv__page_cell(&t, rv__page_string(row, "model"));
        rv__page_cell(&t, rv__page_count(p, rv__page_real(row, "steps")));
        rv__page_cell(&t, rv__page_count(p, rv__page_real(row, "tokens")));
    }
    rv__page_table_end(&t, rv__page_format(p, "Training%s", where_planned(p)));
}

static void fair(rv__page *p) {
    const json_t *match = rv__page_part(p, "match"), *budget = rv__page_part(p, "budget"),
                 *tuning = rv__page_part(p, "tuning");
    if (!match && !budget && !tuning) return;
    rv_page_section(p->f, "fairness", "Is it a fair comparison?");
    fputs("<ul class='checks'>\n", p->f);
    match_line(p, match);
    budget_line(p, budget);
    tuning_line(p, tuning);
    confounds_line(p);
    size_t seeds = json_array_size(json_object_get(p->report, "seeds"));
    if (seeds == 1)
        check_line(
            p, false, "Chance: one seed.",
            "Intervals cover the choice of examples, not the luck of initial weights and the order of the data.");
    else if (seeds)
        check_line(
            p, seeds >= SEEDS_ENOUGH, rv__page_format(p, "Chance: %zu seeds.", seeds),
            rv__page_format(p,
                            "Intervals cover initial weights, the order of the data and the choice of examples. What "
                            "happens to up to %.0f %% of all seeds may have happened to none of these.",
                            100 * (1 - pow(0.05, 1 / (double)seeds))));
    fputs("</ul>\n", p->f);
    if (match) match_table(p, match);
    if (budget) budget_table(p, budget);
    if (tuning) rv__page_tuning(p, tuning);
    rv_page_section_end(p->f);
}

void rv__page_fairness(rv__page *p) {
    differences(p);
    fair(p);
}
