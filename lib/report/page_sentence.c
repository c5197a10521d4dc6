/* The verdict in one sentence: who beats whom by the headline metric, or what the only system came to. */
#include <math.h>
#include <string.h>

#include "report/page_private.h"

/* "2.68 nats per token (95 % interval 2.61 to 2.75)" */
static void value_text(rv__page *p, const char *metric, const char *model) {
    const rv_metric_kind m = rv__page_metric_of(p, metric);
    const char *setting = rv__page_setting(p, 0);
    const rv__page_span v = rv__page_metric_span(p, metric, model, setting);
    const double value = isnan(v.value) && !strcmp(metric, "loss") ? rv__page_loss(p, model, setting) : v.value;
    rv_page_textf(p->f, "%s %s%s%s", m.title, rv__page_value_of(p, value, v.low, v.high),
                  m.scale > 1 ? "\xc2\xa0%" : "",
                  m.scale > 1 || !*m.unit || !strcmp(m.unit, m.title) ? "" : rv__page_format(p, " %s", m.unit));
    if (isfinite(v.low) && isfinite(v.high))
        rv_page_textf(p->f, " (%s interval %s)", rv__page_level(p, rv__page_quality_of(p, metric, setting)),
                      rv__page_range(p, v.low, v.high));
}

/* One system has no rival: what it came to, its loss first. */
static void alone(rv__page *p, const char *headline) {
    const char *model = rv__page_model_name(p, 0);
    const bool loss = isfinite(rv__page_loss(p, model, rv__page_setting(p, 0)));
    const bool more = *headline && strcmp(headline, "loss"); /* a regression has its squared error alone */
    if (!loss && !more) return;
    fputs("<p class='lead'>", p->f);
    rv__page_model(p, model);
    fputs(": ", p->f);
    if (loss) value_text(p, "loss", model);
    if (loss && more) fputs(", ", p->f);
    if (more) value_text(p, headline, model);
    rv_page_textf(p->f, ", on the %s.", rv__page_examples(p));
    fputs("</p>\n", p->f);
}

static bool beats(const json_t *pairs, const char *a, const char *b) {
    const json_t *pair;
    size_t i;
    json_array_foreach (pairs, i, pair)
        if ((rv__page_is(pair, "a", a) && rv__page_is(pair, "b", b) && rv__page_is(pair, "verdict", "a")) ||
            (rv__page_is(pair, "a", b) && rv__page_is(pair, "b", a) && rv__page_is(pair, "verdict", "b")))
            return true;
    return false;
}

/* "bahdanau beats bottleneck and transformer": whom this one beats. Returns how many. */
static int wins_of(rv__page *p, const json_t *pairs, const char *model, const char *before) {
    const int models = rv__page_n_models(p);
    int n = 0, at = 0;
    for (int k = 0; k < models; k++) n += beats(pairs, model, rv__page_model_name(p, k));
    if (!n) return 0;
    fputs(before, p->f);
    rv__page_model(p, model);
    fputs(" beats ", p->f);
    for (int k = 0; k < models; k++) {
        if (!beats(pairs, model, rv__page_model_name(p, k))) continue;
        fputs(rv__page_join(at++, n), p->f);
        rv__page_model(p, rv__page_model_name(p, k));
    }
    return n;
}

/* The pairs of a kind of verdict: one by name, several by their number, `all` where there are no others. */
static int rest_of(rv__page *p, const json_t *pairs, const char *verdict, const char *before, const char *after,
                   const char *all) {
    const json_t *pair, *last = NULL;
    size_t i;
    int n = 0;
    json_array_foreach (pairs, i, pair)
        if (rv__page_is(pair, "verdict", verdict)) last = pair, n++;
    if (!n) return 0;
    if (n > 1 && (size_t)n == json_array_size(pairs)) {
        rv_page_text(p->f, all);
        return n;
    }
    rv_page_text(p->f, before);
    if (n == 1) {
        rv__page_model(p, rv__page_string(last, "a"));
        fputs(" and ", p->f);
        rv__page_model(p, rv__page_string(last, "b"));
    } else
        rv_page_textf(p->f, "%d pairs", n);
    rv_page_text(p->f, after);
    return n;
}

/* By name, who beats whom; of many systems only whether one beats all. */
static void pairs_sentence(rv__page *p, const char *metric, const json_t *pairs) {
    const char *best = rv__page_winner(p, metric, rv__page_setting(p, 0));
    int told = 0;
    if (json_array_size(pairs) > RV__PAGE_PAIRS_MOST) {
        if (best) rv__page_model(p, best);
        fputs(best ? " beats all others" : "no system beats all others", p->f);
        return;
    }
    for (int k = 0; k < rv__page_n_models(p); k++)
        told += wins_of(p, pairs, rv__page_model_name(p, k), told ? "; " : "");
    told += rest_of(p, pairs, "not distinguishable", told ? "; " : "", " are not distinguishable",
                    "no two systems are distinguishable");
    rest_of(p, pairs, "no verdict", told ? "; there is no verdict on " : "there is no verdict on ", "",
            "there is no verdict on any pair");
}

/* In how many settings each model is better than all others. */
static void settings_sentence(rv__page *p, const char *metric) {
    const int settings = rv__page_n_settings(p);
    int told = 0;
    for (int k = 0; k < rv__page_n_models(p); k++) {
        const char *model = rv__page_model_name(p, k);
        int n = 0;
        for (int s = 0; s < settings; s++) {
            const char *best = rv__page_winner(p, metric, rv__page_setting(p, s));
            n += best && !strcmp(best, model);
        }
        if (!n) continue;
        fputs(told ? ", " : "", p->f);
        rv__page_model(p, model);
        if (told++)
            rv_page_textf(p->f, " in %d", n);
        else
            rv_page_textf(p->f, " beats all others in %d of %d settings", n, settings);
    }
    if (!told) fputs("in no setting does one system beat all others", p->f);
}

void rv__page_sentence(rv__page *p) {
    const char *headline = rv__page_headline(p);
    const json_t *pairs = json_object_get(rv__page_quality_of(p, headline, rv__page_setting(p, 0)), "pairs");
    if (rv__page_n_models(p) == 1 && rv__page_n_settings(p) == 1) alone(p, headline);
    if (!json_array_size(pairs)) return;
    fputs("<p class='lead'>", p->f);
    rv_page_textf(p->f, "By %s on the %s, ", rv__page_metric_of(p, headline).title, rv__page_examples(p));
    if (rv__page_n_settings(p) > 1)
        settings_sentence(p, headline);
    else
        pairs_sentence(p, headline, pairs);
    fputs(".</p>\n", p->f);
}
