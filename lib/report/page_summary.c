/* The top of the page: what was found, in sentences, and whether the comparison was fair. */
#include <math.h>
#include <string.h>

#include "report/page_private.h"

/* ---- what the sentences need to know ---- */

static const char *setting_words(rv__page *p, const char *setting) {
    return *setting ? rv__page_format(p, "With %s: ", setting) : "";
}

/* ---- verdicts ---- */

/* What a reader must know of a verdict. */
static void beside(rv__page *p, const json_t *pair) {
    const char *why = rv__page_string(pair, "why");
    if (*why) rv_page_textf(p->f, " But: %s.", why);
}

static void won(rv__page *p, const json_t *q, const json_t *pair, bool a) {
    rv_metric_kind m = rv__page_metric_of(p, rv__page_string(q, "metric"));
    double d = m.scale * rv__page_real(pair, "difference"), low = m.scale * rv__page_real(pair, "low"),
           high = m.scale * rv__page_real(pair, "high");
    if (d < 0) {
        double swap = low;
        d = -d, low = -high, high = -swap;
    }
    rv__page_model(p, rv__page_string(pair, a ? "a" : "b"));
    fputs(" beats ", p->f);
    rv__page_model(p, rv__page_string(pair, a ? "b" : "a"));
    rv_page_textf(p->f, " by %s %s (%s interval %s, %s).", rv__page_value_of(p, d, low, high), m.by,
                  rv__page_level(p, q), rv__page_range(p, low, high), rv__page_seeds(p));
    beside(p, pair);
}

static void undecided(rv__page *p, const json_t *q, const json_t *pair) {
    rv_metric_kind m = rv__page_metric_of(p, rv__page_string(q, "metric"));
    double d = m.scale * rv__page_real(pair, "difference"), low = m.scale * rv__page_real(pair, "low"),
           high = m.scale * rv__page_real(pair, "high");
    rv__page_model(p, rv__page_string(pair, "a"));
    fputs(" and ", p->f);
    rv__page_model(p, rv__page_string(pair, "b"));
    rv_page_textf(p->f, ": not distinguishable by %s with %s", m.title, rv__page_seeds(p));
    if (isfinite(d))
        rv_page_textf(p->f, " (%s\xc2\xa0\xe2\x88\x92\xc2\xa0%s: %s%s%s, interval %s)", rv__page_string(pair, "a"),
                      rv__page_string(pair, "b"), rv__page_value_of(p, d, low, high), *m.unit ? " " : "", m.unit,
                      rv__page_range(p, low, high));
    double needed = rv__page_real(pair, "seeds_needed");
    if (needed > 0)
        rv_page_textf(p->f, "; if the difference is real, about %s seeds each would show it",
                      rv__page_number(p, needed));
    fputs(".", p->f);
    beside(p, pair);
}

static void verdict(rv__page *p, const json_t *q, const json_t *pair) {
    const char *v = rv__page_string(pair, "verdict");
    fputs("<li>", p->f);
    rv_page_text(p->f, setting_words(p, rv__page_string(q, "setting")));
    if (!strcmp(v, "a") || !strcmp(v, "b"))
        won(p, q, pair, *v == 'a');
    else if (!strcmp(v, "not distinguishable"))
        undecided(p, q, pair);
    else {
        rv__page_model(p, rv__page_string(pair, "a"));
        fputs(" and ", p->f);
        rv__page_model(p, rv__page_string(pair, "b"));
        const char *why = rv__page_string(pair, "why");
        rv_page_textf(p->f, ": no verdict%s%s.", *why ? ": " : "", why);
    }
    fputs("</li>\n", p->f);
}

/* One pair less clear-cut by another metric: the reader must not think that the headline says it all. */
static bool same_verdict(const json_t *pairs, const json_t *pair) {
    const json_t *other;
    size_t i;
    json_array_foreach (pairs, i, other)
        if (rv__page_is(other, "a", rv__page_string(pair, "a")) && rv__page_is(other, "b", rv__page_string(pair, "b")))
            return rv__page_is(other, "verdict", rv__page_string(pair, "verdict"));
    return true;
}

static void other_metrics(rv__page *p, const json_t *quality, const json_t *headline) {
    const char *agree[16], *differ[16];
    int n_agree = 0, n_differ = 0;
    const json_t *q;
    size_t i;
    json_array_foreach (quality, i, q) {
        if (q == headline || !rv__page_of_setting(q, rv__page_string(headline, "setting")) || n_agree == 16 ||
            n_differ == 16)
            continue;
        bool same = true;
        const json_t *pair;
        size_t k;
        json_array_foreach (json_object_get(headline, "pairs"), k, pair)
            same &= same_verdict(json_object_get(q, "pairs"), pair);
        const char *title = rv__page_metric_of(p, rv__page_string(q, "metric")).title;
        if (same)
            agree[n_agree++] = title;
        else
            differ[n_differ++] = title;
    }
    if (!n_agree && !n_differ) return;
    fputs("<li>", p->f);
    rv_page_text(p->f, setting_words(p, rv__page_string(headline, "setting")));
    fputs("By ", p->f);
    for (int k = 0; k < n_agree; k++) rv_page_textf(p->f, "%s%s", rv__page_join(k, n_agree), agree[k]);
    if (n_agree) rv_page_textf(p->f, " the verdicts are the same%s", n_differ ? "; by " : "");
    for (int k = 0; k < n_differ; k++) rv_page_textf(p->f, "%s%s", rv__page_join(k, n_differ), differ[k]);
    if (n_differ) fputs(", not every verdict is the same: see Quality", p->f);
    fputs(".</li>\n", p->f);
}

static void verdicts(rv__page *p) {
    const json_t *quality = rv__page_part(p, "quality"), *q, *pair;
    const char *headline = rv__page_headline(p);
    size_t i, k, pairs = 0;
    json_array_foreach (quality, i, q)
        if (rv__page_is(q, "metric", headline)) pairs += json_array_size(json_object_get(q, "pairs"));
    if (!pairs || pairs > RV__PAGE_PAIRS_MOST) return;
    rv__page_heading(
        p, rv__page_format(p, "Which is better (%s, %s)", rv__page_metric_of(p, headline).title, rv__page_examples(p)));
    fputs("<ul class='verdicts'>\n", p->f);
    json_array_foreach (quality, i, q) {
        if (!rv__page_is(q, "metric", headline)) continue;
        json_array_foreach (json_object_get(q, "pairs"), k, pair) verdict(p, q, pair);
        other_metrics(p, quality, q);
    }
    if (json_array_size(json_object_get(p->report, "seeds")) == 1)
        fputs("<li>With one seed these intervals leave out the luck of initial weights and of the order of the "
              "data.</li>\n",
              p->f);
    fputs("</ul>\n", p->f);
}

/* ---- cost ---- */

enum { CROSSINGS_MOST = 8 };

static double most_threads(const json_t *crossings) {
    const json_t *c;
    size_t i;
    double most = 0;
    json_array_foreach (crossings, i, c) most = fmax(most, rv__page_real(c, "threads"));
    return most;
}

/* The lengths at which a difference is told: "64, 128". */
static const char *told_lengths(rv__page *p, const json_t *c) {
    const char *text = "";
    const json_t *at;
    size_t i;
    json_array_foreach (json_object_get(c, "told"), i, at)
        text =
            rv__page_format(p, "%s%s%s", text, i ? ", " : "", rv__page_number(p, rv__page_real(at, "sequence_length")));
    return text;
}

/* The ends of the lengths at which the phase was measured. */
static double length_end(const rv__page *p, const json_t *crossing, bool longest) {
    double end = NAN;
    const json_t *row;
    size_t i;
    json_array_foreach (json_object_get(rv__page_part(p, "cost"), "rows"), i, row) {
        if (!rv__page_is(row, "phase", rv__page_string(crossing, "phase"))) continue;
        const double length = rv__page_real(row, "sequence_length");
        end = longest ? fmax(end, length) : fmin(end, length); /* of NaN and a number: the number */
    }
    return end;
}

static void crossing(rv__page *p, const json_t *c) {
    double at = rv__page_real(c, "length"), low = rv__page_real(c, "low"), high = rv__page_real(c, "high");
    const char *below = rv__page_string(c, "cheaper_below"),
               *other = rv__page_is(c, "a", below) ? rv__page_string(c, "b") : rv__page_string(c, "a");
    fputs("<li>", p->f);
    rv_page_textf(p->f, "%s: ", rv__page_phase(rv__page_string(c, "phase")));
    if (rv__page_is(c, "verdict", "not distinguishable")) {
        rv__page_model(p, rv__page_string(c, "a"));
        fputs(" and ", p->f);
        rv__page_model(p, rv__page_string(c, "b"));
        fputs(" are not distinguishable by their time.</li>\n", p->f);
        return;
    }
    rv__page_model(p, below);
    fputs(" costs less time than ", p->f);
    rv__page_model(p, other);
    if (isnan(at)) {
        if (json_is_true(json_object_get(c, "everywhere")))
            fputs(" at every length measured.</li>\n", p->f);
        else
            rv_page_textf(p->f, " at %s tokens; at other lengths they are not distinguishable.", told_lengths(p, c)),
                fputs("</li>\n", p->f);
        return;
    }
    const char *from = isnan(low) ? rv__page_format(p, "< %s", rv__page_number(p, length_end(p, c, false)))
                                  : rv__page_number(p, round(low));
    const char *to = isnan(high) ? rv__page_format(p, "> %s", rv__page_number(p, length_end(p, c, true)))
                                 : rv__page_number(p, round(high));
    rv_page_textf(p->f, " up to %s tokens (interval %s to %s); on longer sequences ", rv__page_number(p, round(at)),
                  from, to);
    rv__page_model(p, other);
    fputs(" costs less.</li>\n", p->f);
}

/* A training step and decoding are what a reader pays for; their parts are told only where there is nothing else. */
static bool worth_telling(const json_t *crossings, const json_t *c, double threads, bool only_crossing) {
    if (rv__page_real(c, "threads") < threads || (only_crossing && isnan(rv__page_real(c, "length")))) return false;
    if (rv__page_is(c, "phase", "train") || rv__page_is(c, "phase", "decode")) return true;
    const json_t *other;
    size_t i;
    json_array_foreach (crossings, i, other)
        if (rv__page_is(other, "phase", "train")) return false;
    return true;
}

static bool disturbed(const json_t *cost, const json_t *c, const char *side) {
    return rv__page_disturbed(cost, rv__page_string(c, side), rv__page_string(c, "phase"), rv__page_real(c, "threads"));
}

/* Models whose times on so many threads cannot be what they cost, each named once. */
static void disturbances(rv__page *p, const json_t *cost, double threads) {
    const json_t *list = json_object_get(cost, "crossings"), *c;
    size_t i;
    for (int k = 0; k < rv__page_n_models(p); k++) {
        const char *model = rv__page_model_name(p, k);
        bool found = false;
        json_array_foreach (list, i, c)
            for (int side = 0; side < 2; side++) {
                const char *key = side ? "b" : "a";
                found |=
                    worth_telling(list, c, threads, false) && rv__page_is(c, key, model) && disturbed(cost, c, key);
            }
        if (!found) continue;
        fputs("<li>Nothing is said of ", p->f);
        rv__page_model(p, model);
        rv_page_textf(p->f,
                      " where its times fall as sequences grow: something else ran on the machine while they were "
                      "taken. To measure again, remove cost/%s.r*.json "
                      "from the comparison's folder and give its command once more.",
                      model);
        fputs("</li>\n", p->f);
    }
}

static void crossings(rv__page *p) {
    const json_t *cost = json_object_get(p->report, "cost"), *list = json_object_get(cost, "crossings"), *c;
    size_t i;
    double threads = most_threads(list);
    int told = 0;
    json_array_foreach (list, i, c) told += worth_telling(list, c, threads, false);
    if (!told) return;
    rv__page_fold_begin(p, rv__page_format(p, "Which is cheaper at which length (%s thread%s)",
                                           rv__page_number(p, threads), threads > 1 ? "s" : ""));
    fputs("<ul class='verdicts'>\n", p->f);
    for (int decode = 0; decode < 2; decode++) /* training first */
        json_array_foreach (list, i, c)
            if (rv__page_is(c, "phase", "decode") == decode && worth_telling(list, c, threads, told > CROSSINGS_MOST) &&
                !disturbed(cost, c, "a") && !disturbed(cost, c, "b"))
                crossing(p, c);
    disturbances(p, cost, threads);
    fputs("</ul>\n", p->f);
    rv__page_fold_end(p);
}

/* ---- gradients ---- */

/* How a model's gradient falls with distance, at the state through which it reaches farthest. */
typedef struct {
    bool known, flat;          /* flat: there is a state along which it does not fall */
    double half_life, longest; /* tokens; the largest distance measured */
} reach;

static reach reach_of(const json_t *flow, const char *model, const char *setting, const char *when) {
    reach r = {0};
    const json_t *s;
    size_t i;
    json_array_foreach (flow, i, s) {
        if (!rv__page_is(s, "model", model) || !rv__page_is(s, "when", when) || !rv__page_of_setting(s, setting))
            continue;
        const json_t *lag = json_object_get(s, "lag");
        double h = rv__page_real(s, "half_life");
        r.known = true;
        r.flat |= isnan(h);
        r.half_life = fmax(r.half_life, h);
        r.longest = fmax(r.longest, json_number_value(json_array_get(lag, json_array_size(lag) - 1)));
    }
    return r;
}

/* A half-life far beyond what was measured is no number to be told. */
static const char *reach_text(rv__page *p, reach r) {
    if (r.flat) return "shows no exponential fall with distance";
    if (r.half_life > 2 * r.longest)
        return rv__page_format(p, "hardly falls over the %s tokens measured", rv__page_number(p, r.longest));
    return rv__page_format(p, "halves every %s tokens", rv__page_rough(p, r.half_life));
}

static void half_lives(rv__page *p) {
    const json_t *flow = rv__page_part(p, "gradient_flow");
    if (!flow) return;
    const char *setting = rv__page_setting(p, 0);
    rv__page_heading(p, rv__page_format(p, "How far back the gradient reaches%s%s", *setting ? ", " : "", setting));
    fputs("<ul class='verdicts'>\n", p->f);
    for (int k = 0; k < rv__page_n_models(p); k++) {
        const char *model = rv__page_model_name(p, k);
        reach before = reach_of(flow, model, setting, "before"), after = reach_of(flow, model, setting, "after");
        if (!before.known || !after.known) continue;
        fputs("<li>", p->f);
        rv__page_model(p, model);
        if (before.flat && after.flat)
            fputs(": it shows no exponential fall with distance, before training or after.", p->f);
        else
            rv_page_textf(p->f, ": it %s before training and %s after.", reach_text(p, before), reach_text(p, after));
        fputs("</li>\n", p->f);
    }
    fputs("</ul>\n", p->f);
}

/* ---- the section ---- */

static void trouble(rv__page *p) {
    const json_t *runs = rv__page_part(p, "runs"), *run;
    size_t i;
    int diverged = 0, unfinished = 0;
    json_array_foreach (runs, i, run) {
        diverged += rv__page_is(run, "status", "diverged");
        unfinished += rv__page_is(run, "status", "unfinished");
    }
    if (diverged + unfinished == 0) return;
    fputs("<p class='warning'>", p->f);
    if (diverged)
        rv_page_textf(p->f,
                      "%d of %zu runs diverged (loss or gradients became infinite or no number) and %s in no mean. ",
                      diverged, json_array_size(runs), diverged == 1 ? "is" : "are");
    if (unfinished)
        rv_page_textf(p->f, "%d of %zu runs %s not finished: their numbers are those of the last step so far. ",
                      unfinished, json_array_size(runs), unfinished == 1 ? "is" : "are");
    fputs("Which ones: see the table of runs.</p>\n", p->f);
}

/* A model that may look at the tokens it is to predict has a low loss and knows nothing. */
static void leaks(rv__page *p) {
    const json_t *rows = rv__page_part(p, "differences"), *row, *v;
    size_t i, k;
    json_array_foreach (rows, i, row) {
        if (!rv__page_is(row, "key", "model.decoder.causal_mask")) continue;
        json_array_foreach (json_object_get(row, "values"), k, v) {
            const char *mask = json_string_value(v);
            if (!mask || !strcmp(mask, "before_softmax")) continue;
            fputs("<p class='warning'>", p->f);
            rv__page_model(p, rv__page_model_name(p, (int)k));
            rv_page_textf(p->f,
                          " (causal_mask: %s) sees the tokens that it is to predict, so its loss says nothing of its "
                          "quality; honest_loss, where it was measured, does.",
                          mask);
            fputs("</p>\n", p->f);
        }
    }
}

/* What was compared; `named`: the systems stand above. */
static void opening(rv__page *p, bool named) {
    const int n = rv__page_n_models(p), settings = rv__page_n_settings(p);
    const size_t runs = json_array_size(rv__page_part(p, "runs"));
    fputs("<p class='note'>", p->f);
    for (int k = 0; k < n && !named; k++) {
        fputs(rv__page_join(k, n), p->f);
        rv__page_model(p, rv__page_model_name(p, k));
    }
    if (runs) rv_page_textf(p->f, "%s%s", named ? "" : n > 1 ? ": " : ", ", rv__page_seeds(p));
    if (settings > 1) rv_page_textf(p->f, ", %d settings", settings);
    if (runs) rv_page_textf(p->f, ", %zu run%s", runs, runs == 1 ? "" : "s");
    fputs(".</p>\n", p->f);
}

/* The sections that follow, for a long page. */
static void contents(rv__page *p) {
    static const struct {
        const char *key, *anchor, *name;
    } parts[] = {{"differences", "differences", "What differs"},
                 {"budget", "fairness", "Fairness"},
                 {"curves", "curves", "Learning curves"},
                 {"quality", "quality", "Quality"},
                 {"by_length", "by-length", "By length"},
                 {"by_tag", "by-tag", "By tag"},
                 {"time_to", "time-to", "Steps until solved"},
                 {"samples", "samples", "Outputs"},
                 {"disagreements", "sentences", "Where two differ"},
                 {"transitions", "transitions", "What follows what"},
                 {"attention", "attention", "Attention"},
                 {"gradient_flow", "gradient-flow", "Gradients"},
                 {"cost", "cost", "Cost"},
                 {"runs", "runs", "Runs"}};
    fputs("<nav>", p->f);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (rv__page_part(p, parts[i].key)) fprintf(p->f, "<a href='#%s'>%s</a> ", parts[i].anchor, parts[i].name);
    fputs("<a href='#origin'>How these numbers are made</a></nav>\n", p->f);
}

void rv__page_summary(rv__page *p) {
    rv__page_sentence(p);
    opening(p, rv__page_systems(p));
    contents(p);
    const json_t *cost = json_object_get(p->report, "cost");
    if (!rv__page_part(p, "quality") && !rv__page_part(p, "gradient_flow") &&
        !json_array_size(json_object_get(cost, "crossings")) && !rv__page_part(p, "runs"))
        return;
    rv_page_section(p->f, "summary", "What was found");
    trouble(p);
    leaks(p);
    rv__page_overview(p);
    verdicts(p);
    crossings(p);
    half_lives(p);
    rv_page_section_end(p->f);
}
