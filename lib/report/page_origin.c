/* Where the numbers come from: runs, machine, commands, method. */
#include <math.h>
#include <string.h>

#include "report/page_private.h"

/* Length of the folder that all runs lie in, with its '/', so that it is said once. */
static int common_folder(const json_t *runs) {
    const char *first = rv__page_string(json_array_get(runs, 0), "path"), *slash = strrchr(first, '/');
    int n = slash ? (int)(slash - first) + 1 : 0;
    const json_t *run;
    size_t i;
    json_array_foreach (runs, i, run)
        while (n && strncmp(first, rv__page_string(run, "path"), (size_t)n))
            for (n--; n && first[n - 1] != '/';) n--;
    return n;
}

static void messages(rv__page *p, const json_t *runs) {
    const json_t *run;
    size_t i;
    json_array_foreach (runs, i, run) {
        if (!*rv__page_string(run, "message")) continue;
        fputs("<p>", p->f);
        rv__page_model(p, rv__page_string(run, "model"));
        const char *setting = rv__page_string(run, "setting");
        rv_page_textf(p->f, "%s%s, seed %lld %s: %s.", *setting ? ", " : "", setting,
                      (long long)json_integer_value(json_object_get(run, "seed")), rv__page_string(run, "status"),
                      rv__page_string(run, "message"));
        fputs("</p>\n", p->f);
    }
}

/* The test metrics that any run has, in the order in which they appear. */
static int test_metrics(const json_t *runs, const char *part, const char *out[8]) {
    const json_t *run, *value;
    const char *key;
    size_t i;
    int n = 0;
    json_array_foreach (runs, i, run)
        json_object_foreach ((json_t *)json_object_get(run, part), key, value) {
            int k = 0;
            while (k < n && strcmp(out[k], key)) k++;
            if (k == n && n < 8) out[n++] = key;
        }
    return n;
}

/* The metric that verdicts are told by stands where the table does not have to be scrolled to. */
static void headline_first(const char *headline, const char *metric[], int n) {
    int at = 0;
    while (at < n && strcmp(metric[at], headline)) at++;
    if (at == n) return;
    memmove(metric + 1, metric, (size_t)at * sizeof *metric);
    metric[0] = headline;
}

static const char *metric_head(rv__page *p, const char *metric) {
    const rv_metric_kind m = rv__page_metric_of(p, metric);
    return rv__page_format(p, "%s%s", m.title, m.scale > 1 ? ", %" : "");
}

void rv__page_runs(rv__page *p) {
    const json_t *runs = rv__page_part(p, "runs"), *run;
    if (!runs) return;
    bool several = rv__page_n_settings(p) > 1, timed = false;
    size_t i;
    json_array_foreach (runs, i, run) timed |= json_object_size(json_object_get(run, "time")) > 0;
    const int common = common_folder(runs);
    const char *metric[8], *part = "test";
    int n = test_metrics(runs, part, metric);
    if (!n) n = test_metrics(runs, part = "valid", metric);
    headline_first(rv__page_headline(p), metric, n);
    rv__page_table t = rv__page_table_begin(p, 6 + several + n + 2 * timed);
    if (several) rv__page_cell(&t, "setting");
    rv__page_cell(&t, "model");
    rv__page_cell(&t, "seed");
    for (int k = 0; k < n; k++) rv__page_cell(&t, metric_head(p, metric[k]));
    rv__page_cell(&t, "status");
    rv__page_cell(&t, "steps");
    rv__page_cell(&t, "training tokens");
    if (timed) {
        rv__page_cell(&t, "time");
        rv__page_cell(&t, "tokens/s");
    }
    rv__page_cell(&t, "folder");
    json_array_foreach (runs, i, run) {
        const json_t *time = json_object_get(run, "time");
        if (several) rv__page_cell(&t, rv__page_string(run, "setting"));
        rv__page_cell(&t, rv__page_string(run, "model"));
        rv__page_cell(&t, rv__page_format(p, "%lld", (long long)json_integer_value(json_object_get(run, "seed"))));
        for (int k = 0; k < n; k++)
            rv__page_cell(&t, rv__page_number(p, rv__page_metric_of(p, metric[k]).scale *
                                                     rv__page_real(json_object_get(run, part), metric[k])));
        rv__page_cell(&t, rv__page_string(run, "status"));
        rv__page_cell(&t, rv__page_count(p, rv__page_real(run, "step")));
        rv__page_cell(&t, rv__page_count(p, rv__page_real(run, "tokens")));
        if (timed) {
            rv__page_cell(&t, rv__page_ms(p, 1e3 * rv__page_real(time, "seconds")));
            rv__page_cell(&t, rv__page_count(p, rv__page_real(time, "tokens_per_second")));
        }
        rv__page_cell(&t, rv__page_string(run, "path") + common);
    }
    rv_page_section(p->f, "runs", "The runs");
    rv__page_note(p, common ? rv__page_format(p,
                                              "Each run's folder, in %.*s, holds its experiment file, metrics.jsonl "
                                              "and checkpoints. Quality is that on the %s examples.",
                                              common - 1, rv__page_string(json_array_get(runs, 0), "path"),
                                              strcmp(part, "test") ? "validation" : part)
                            : "Each run's folder holds its experiment file, metrics.jsonl and checkpoints.");
    rv__page_table_end(&t, NULL);
    messages(p, runs);
    rv_page_section_end(p->f);
}

static void fact(rv__page *p, const char *name, const char *text) {
    if (!*text) return;
    fputs("<dt>", p->f);
    rv_page_text(p->f, name);
    fputs("</dt><dd>", p->f);
    rv_page_text(p->f, text);
    fputs("</dd>\n", p->f);
}

static void machine(rv__page *p) {
    const json_t *m = rv__page_part(p, "machine");
    if (!m) return;
    double cores = rv__page_real(m, "cores"), memory = rv__page_real(m, "memory_bytes");
    rv__page_heading(p, "Machine");
    fputs("<dl class='facts'>\n", p->f);
    fact(p, "CPU", rv__page_string(m, "cpu"));
    if (!isnan(cores)) fact(p, "cores", rv__page_number(p, cores));
    if (!isnan(memory)) fact(p, "memory", rv__page_bytes(p, memory));
    fact(p, "instructions", rv__page_string(m, "isa"));
    fact(p, "system", rv__page_string(m, "system"));
    fact(p, "ravel", rv__page_string(m, "ravel"));
    fputs("</dl>\n", p->f);
}

static void reproduce(rv__page *p) {
    const json_t *list = rv__page_part(p, "reproduce"), *command;
    if (!list) return;
    size_t i;
    rv__page_heading(p, "Do it again");
    fputs("<pre>", p->f);
    json_array_foreach (list, i, command) {
        rv_page_text(p->f, json_string_value(command) ? json_string_value(command) : "");
        fputc('\n', p->f);
    }
    fputs("</pre>\n", p->f);
}

static void method(rv__page *p) {
    rv__page_heading(p, "How these numbers are made");
    fputs("<dl class='method'>\n", p->f);
    if (rv__page_part(p, "quality")) {
        fact(
            p, "interval",
            "Test examples are drawn again with replacement many times, the same for all models and seeds (paired "
            "bootstrap); how far seeds move the mean is told by Student's t over them. An interval reaches to the root "
            "of the sum of the two squares, so none is narrower than that of a t test over seeds. Near the most or the "
            "least that a metric can be, one model's reaches further away from it: that a few seeds are all good does "
            "not mean that all are.");
        fact(p, "verdict",
             "A model beats another only if the interval of their difference leaves out 0. There is no verdict if "
             "budgets or tuning were not equal.");
        fact(p, "seeds needed",
             "How many seeds per model a two-sided paired t test would need to find the difference seen, with power "
             "0.8.");
    }
    if (rv__page_part(p, "match"))
        fact(p, "matched",
             "One width per model is changed until its size is that of the reference. What was reached stands in the "
             "table, not what was asked for.");
    if (rv__page_part(p, "gradient_flow"))
        fact(p, "gradient",
             "Mean over validation examples of the norm of the loss's derivative with respect to a state, divided by "
             "the same at the vector that the loss is read off.");
    if (rv__page_part(p, "cost"))
        fact(p, "cost",
             "Each model, length and number of threads in a process of its own, after warming up; medians over the "
             "repeats; the bars hold four of five repeats, other intervals come from drawing the repeats again.");
    fact(p, "numbers", "report.json beside this page has every number in full.");
    fputs("</dl>\n", p->f);
}

void rv__page_origin(rv__page *p) {
    rv_page_section(p->f, "origin", "Where this comes from");
    machine(p);
    reproduce(p);
    method(p);
    rv_page_section_end(p->f);
}
