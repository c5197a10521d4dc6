/* What the models cost by length and threads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/page_private.h"

/* What a reader pays for first, then its parts. */
static const struct {
    const char *phase, *title;
} phases[] = {
    {"train", "Training step"}, {"decode", "Decoding"}, {"forward", "Forward pass"}, {"backward", "Backward pass"}};
enum { PHASES = sizeof phases / sizeof *phases, MAIN = 2, THREADS = 16 };

const char *rv__page_phase(const char *phase) {
    for (int i = 0; i < PHASES; i++)
        if (!strcmp(phases[i].phase, phase)) return phases[i].title;
    return phase;
}

bool rv__page_disturbed(const json_t *cost, const char *model, const char *phase, double threads) {
    const json_t *rows = json_object_get(cost, "rows"), *row, *longer;
    size_t i, k;
    json_array_foreach (rows, i, row) {
        if (!rv__page_is(row, "model", model) || !rv__page_is(row, "phase", phase) ||
            (int)rv__page_real(row, "threads") != (int)threads)
            continue;
        json_array_foreach (rows, k, longer)
            if (rv__page_is(longer, "model", model) && rv__page_is(longer, "phase", phase) &&
                (int)rv__page_real(longer, "threads") == (int)threads &&
                rv__page_real(longer, "sequence_length") > rv__page_real(row, "sequence_length") &&
                rv__page_real(row, "low") > rv__page_real(longer, "high"))
                return true;
    }
    return false;
}

static bool crossing_disturbed(const json_t *cost, const json_t *c) {
    const char *phase = rv__page_string(c, "phase");
    double threads = rv__page_real(c, "threads");
    return rv__page_disturbed(cost, rv__page_string(c, "a"), phase, threads) ||
           rv__page_disturbed(cost, rv__page_string(c, "b"), phase, threads);
}

/* The numbers of threads in the rows, in their order. */
static int threads_of(const json_t *rows, int out[THREADS]) {
    const json_t *row;
    size_t i;
    int n = 0;
    json_array_foreach (rows, i, row) {
        int threads = (int)rv__page_real(row, "threads"), k = 0;
        while (k < n && out[k] != threads) k++;
        if (k == n && n < THREADS) out[n++] = threads;
    }
    return n;
}

static const char *threads_text(rv__page *p, int threads) {
    return rv__page_format(p, "%d thread%s", threads, threads == 1 ? "" : "s");
}

static int by_number(const void *a, const void *b) {
    const double *x = a, *y = b;
    return x[0] < y[0] ? -1 : x[0] > y[0];
}

/* Lines of `quantity` against length, one per model; *low and *high only for the times. */
static int lines(rv__page *p, const json_t *rows, const char *phase, int threads, const char *quantity, double scale,
                 rv_series **out) {
    int n = 0, most = (int)json_array_size(rows);
    rv_series *series = rv__page_alloc(p, sizeof *series * (size_t)(rv__page_n_models(p) + 1));
    double(*at)[4] = rv__page_alloc(p, sizeof *at * (size_t)(most + 1));
    *out = series;
    if (!series || !at) return 0;
    for (int k = 0; k < rv__page_n_models(p); k++) {
        const char *name = rv__page_model_name(p, k);
        const json_t *row;
        size_t i;
        int count = 0;
        bool time = !strcmp(quantity, "ms");
        json_array_foreach (rows, i, row) {
            if (!rv__page_is(row, "model", name) || !rv__page_is(row, "phase", phase) ||
                (int)rv__page_real(row, "threads") != threads)
                continue;
            double value = scale * rv__page_real(row, quantity);
            at[count][0] = rv__page_real(row, "sequence_length"), at[count][1] = value;
            at[count][2] = time ? rv__page_real(row, "low") : (double)NAN,
            at[count][3] = time ? rv__page_real(row, "high") : (double)NAN;
            count += value > 0;
        }
        if (!count) continue;
        qsort(at, (size_t)count, sizeof *at, by_number);
        double *column = rv__page_alloc(p, sizeof *column * 4 * (size_t)count);
        if (!column) return 0;
        for (int j = 0; j < count; j++)
            for (int c = 0; c < 4; c++) column[c * count + j] = at[j][c];
        series[n++] = (rv_series){.label = name,
                                  .colour = rv__page_colour(p, name),
                                  .n = count,
                                  .x = column,
                                  .y = column + count,
                                  .low = time ? column + 2 * count : NULL,
                                  .high = time ? column + 3 * count : NULL};
    }
    return n;
}

static int marks(rv__page *p, const json_t *cost, const char *phase, int threads, rv_chart_mark **out) {
    const json_t *crossings = json_object_get(cost, "crossings"), *c;
    size_t i;
    int n = 0;
    rv_chart_mark *mark = rv__page_alloc(p, sizeof *mark * (json_array_size(crossings) + 1));
    *out = mark;
    if (!mark) return 0;
    json_array_foreach (crossings, i, c) {
        double at = rv__page_real(c, "length");
        if (isnan(at) || !rv__page_is(c, "phase", phase) || (int)rv__page_real(c, "threads") != threads ||
            crossing_disturbed(cost, c))
            continue;
        mark[n++] = (rv_chart_mark){at,
                                    rv__page_format(p, "%s = %s at %s", rv__page_string(c, "a"),
                                                    rv__page_string(c, "b"), rv__page_number(p, round(at))),
                                    -1};
    }
    return n;
}

static void cost_chart(rv__page *p, const json_t *cost, int phase, int threads, const char *quantity, const char *title,
                       const char *label, double scale, bool marked) {
    rv_series *series;
    rv_chart_mark *mark = NULL;
    int n = lines(p, json_object_get(cost, "rows"), phases[phase].phase, threads, quantity, scale, &series);
    if (!n) return;
    int n_marks = marked ? marks(p, cost, phases[phase].phase, threads, &mark) : 0;
    rv_chart chart = {.title = title,
                      .x_label = "sequence length, tokens",
                      .y_label = label,
                      .x_log = true,
                      .y_log = true,
                      .n_series = n,
                      .series = series,
                      .n_marks = n_marks,
                      .marks = mark,
                      .points = true,
                      .small = true};
    rv__page_chart(p, &chart);
}

/* Models across, lengths down. */
static void cost_table(rv__page *p, const json_t *rows, int phase, int threads) {
    int models = rv__page_n_models(p);
    const json_t *row, *other;
    size_t i, j;
    rv__page_table t = rv__page_table_begin(p, models + 1);
    rv__page_cell(&t, "length");
    for (int k = 0; k < models; k++) rv__page_cell(&t, rv__page_model_name(p, k));
    double last = -1;
    for (;;) {
        double next = INFINITY;
        json_array_foreach (rows, i, row) {
            double length = rv__page_real(row, "sequence_length");
            if (rv__page_is(row, "phase", phases[phase].phase) && (int)rv__page_real(row, "threads") == threads &&
                length > last)
                next = fmin(next, length);
        }
        if (isinf(next)) break;
        rv__page_cell(&t, rv__page_number(p, next));
        for (int k = 0; k < models; k++) {
            const char *text = "\xe2\x80\x93";
            json_array_foreach (rows, j, other)
                if (rv__page_is(other, "model", rv__page_model_name(p, k)) &&
                    rv__page_is(other, "phase", phases[phase].phase) &&
                    (int)rv__page_real(other, "threads") == threads &&
                    !(rv__page_real(other, "sequence_length") < next || rv__page_real(other, "sequence_length") > next))
                    text = rv__page_interval(p, rv__page_real(other, "ms"), rv__page_real(other, "low"),
                                             rv__page_real(other, "high"));
            rv__page_cell(&t, text);
        }
        last = next;
    }
    rv__page_table_end(&t, rv__page_format(p, "%s, ms, %s", phases[phase].title, threads_text(p, threads)));
}

static bool measured(const json_t *rows, int phase) {
    const json_t *row;
    size_t i;
    json_array_foreach (rows, i, row)
        if (rv__page_is(row, "phase", phases[phase].phase)) return true;
    return false;
}

/* The phases that tables and further charts show: all, where no whole step was measured. */
static int main_phases(const json_t *rows) { return measured(rows, 0) ? MAIN : PHASES; }

/* A row for each phase, threads side by side; with one number of threads the phases stand side by side. */
static void phase_charts(rv__page *p, const json_t *cost, int from, int to, int n_threads, const int *threads) {
    const bool shared = n_threads == 1;
    int n = 0;
    for (int phase = from; phase < to; phase++) n += measured(json_object_get(cost, "rows"), phase);
    if (shared) rv__page_charts_begin(p, n);
    for (int phase = from; phase < to; phase++) {
        if (!measured(json_object_get(cost, "rows"), phase)) continue;
        if (!shared) rv_page_row_begin(p->f);
        for (int k = 0; k < n_threads; k++)
            cost_chart(p, cost, phase, threads[k], "ms",
                       rv__page_format(p, "%s, %s", phases[phase].title, threads_text(p, threads[k])), "ms", 1, true);
        if (!shared) rv_page_row_end(p->f);
    }
    if (shared) rv__page_charts_end(p, n);
}

static void times(rv__page *p, const json_t *cost, int n_threads, const int *threads) {
    const json_t *rows = json_object_get(cost, "rows");
    int first = main_phases(rows);
    phase_charts(p, cost, 0, first, n_threads, threads);
    fprintf(p->f, "<details><summary>%s</summary>\n",
            first < PHASES ? "Forward and backward pass apart, and all times in numbers" : "The times in numbers");
    phase_charts(p, cost, first, PHASES, n_threads, threads);
    for (int phase = 0; phase < PHASES; phase++)
        for (int k = 0; k < n_threads; k++) cost_table(p, rows, phase, threads[k]);
    fputs("</details>\n", p->f);
}

static void memory(rv__page *p, const json_t *cost, int threads) {
    const json_t *rows = json_object_get(cost, "rows");
    int phase = measured(rows, 0) ? 0 : 3; /* a whole step, or the part that holds the most */
    if (!measured(rows, phase)) return;
    rv__page_heading(p, "Memory and work of a training step");
    rv_page_row_begin(p->f);
    cost_chart(p, cost, phase, threads, "step_bytes", "Activations and gradients", "MB", 1e-6, false);
    cost_chart(p, cost, phase, threads, "peak_bytes", "The process at its peak", "MB", 1e-6, false);
    cost_chart(p, cost, phase, threads, "flops", "Operations, from shapes", "GFLOP", 1e-9, false);
    rv_page_row_end(p->f);
}

/* ---- growth with the length: models across */

static const json_t *fit_of(const json_t *fits, const char *model, const char *phase, int threads,
                            const char *quantity) {
    const json_t *fit;
    size_t i;
    json_array_foreach (fits, i, fit)
        if (rv__page_is(fit, "model", model) && rv__page_is(fit, "phase", phase) &&
            rv__page_is(fit, "quantity", quantity) && (int)rv__page_real(fit, "threads") == threads)
            return fit;
    return NULL;
}

/* To the second decimal: what does not grow at all is 0, whatever rounding left of it. */
static const char *slope_text(rv__page *p, const json_t *fit) {
    double slope = rv__page_real(fit, "slope");
    return rv__page_number(p, fabs(slope) < 0.005 ? 0 : slope);
}

static void slope_row(rv__page *p, rv__page_table *t, const json_t *fits, int phase, int threads,
                      const char *quantity) {
    int models = rv__page_n_models(p);
    bool any = false;
    for (int k = 0; k < models; k++)
        any |= fit_of(fits, rv__page_model_name(p, k), phases[phase].phase, threads, quantity) != NULL;
    if (!any) return;
    bool time = !strcmp(quantity, "ms");
    rv__page_cell(t, rv__page_format(p, "%s, %s", phases[phase].title, time ? threads_text(p, threads) : "memory"));
    for (int k = 0; k < models; k++) {
        const json_t *fit = fit_of(fits, rv__page_model_name(p, k), phases[phase].phase, threads, quantity),
                     *tail = json_object_get(fit, "longest");
        const char *text = slope_text(p, fit);
        if (tail)
            text = rv__page_format(p, "%s; %s from %s on", text, slope_text(p, tail),
                                   rv__page_number(p, rv__page_real(tail, "from")));
        rv__page_cell(t, text);
    }
}

static void slopes(rv__page *p, const json_t *fits, int n_phases, int n_threads, const int *threads) {
    int models = rv__page_n_models(p);
    rv__page_table t = rv__page_table_begin(p, models + 1);
    rv__page_cell(&t, "power of the length");
    for (int k = 0; k < models; k++) rv__page_cell(&t, rv__page_model_name(p, k));
    for (int phase = 0; phase < n_phases; phase++) {
        for (int k = 0; k < n_threads; k++) slope_row(p, &t, fits, phase, threads[k], "ms");
        slope_row(p, &t, fits, phase, threads[0], "step_bytes");
    }
    if (t.n <= t.columns) return;
    rv__page_heading(p, "How cost grows with the length");
    rv__page_note(
        p, "1 is in proportion to the length, 2 with its square: the slope of a straight line through the logarithms.");
    rv__page_table_end(&t, NULL);
}

/* ---- threads */

/* An interval that holds half of all shares says nothing of the model. Nor does one that is a single end of them: no
 * share of Amdahl's law gives such times, as where something else ran on the second core. */
static bool share_told(const json_t *s) {
    const double low = rv__page_real(s, "low"), high = rv__page_real(s, "high");
    return high - low < 0.5 && high > 0 && low < 1;
}

static void share_chart(rv__page *p, const json_t *list, int phase) {
    const json_t *s;
    size_t i;
    rv_series *series = rv__page_alloc(p, sizeof *series * (size_t)(rv__page_n_models(p) + 1));
    int lines = 0, longest = 0;
    if (!series) return;
    for (int k = 0; k < rv__page_n_models(p); k++) {
        const char *name = rv__page_model_name(p, k);
        double *column = rv__page_alloc(p, sizeof *column * 4 * (json_array_size(list) + 1));
        size_t most = json_array_size(list);
        int n = 0;
        if (!column) return;
        json_array_foreach (list, i, s) {
            if (!rv__page_is(s, "model", name) || !rv__page_is(s, "phase", phases[phase].phase) || !share_told(s))
                continue;
            column[n] = rv__page_real(s, "sequence_length"), column[most + (size_t)n] = 100 * rv__page_real(s, "share");
            column[2 * most + (size_t)n] = 100 * rv__page_real(s, "low"),
                              column[3 * most + (size_t)n] = 100 * rv__page_real(s, "high");
            n++;
        }
        if (n)
            series[lines++] = (rv_series){.label = name,
                                          .colour = rv__page_colour(p, name),
                                          .n = n,
                                          .x = column,
                                          .y = column + most,
                                          .low = column + 2 * most,
                                          .high = column + 3 * most};
        if (n > longest) longest = n;
    }
    if (longest < 2) return; /* the table says it */
    rv_chart chart = {.title = rv__page_format(p, "%s: serial share", phases[phase].title),
                      .x_label = "sequence length, tokens",
                      .y_label = "% of the time on 1 thread",
                      .x_log = true,
                      .y_low = 0,
                      .y_high = 100,
                      .n_series = lines,
                      .series = series,
                      .points = true,
                      .small = true};
    rv__page_chart(p, &chart);
}

static void serial(rv__page *p, const json_t *list, int n_phases) {
    const json_t *s, *point;
    size_t i, k;
    double longest = 0;
    bool untold = false;
    if (!json_array_size(list)) return;
    rv__page_heading(p, "What threads can do");
    rv__page_note(p, "The serial share is the part of a step that more threads do not make faster; it limits the "
                     "speed-up on any number of threads (Amdahl's law).");
    rv_page_row_begin(p->f);
    for (int phase = 0; phase < n_phases; phase++) share_chart(p, list, phase);
    rv_page_row_end(p->f);
    rv__page_table t = rv__page_table_begin(p, 5);
    static const char *const head[] = {"phase", "model", "serial share, %", "most speed-up it allows", "measured"};
    for (int c = 0; c < 5; c++) rv__page_cell(&t, head[c]);
    json_array_foreach (list, i, s) longest = fmax(longest, rv__page_real(s, "sequence_length"));
    for (int phase = 0; phase < n_phases; phase++)
        json_array_foreach (list, i, s) {
            if (rv__page_real(s, "sequence_length") < longest || !rv__page_is(s, "phase", phases[phase].phase))
                continue;
            const char *measured = "";
            json_array_foreach (json_object_get(s, "speedup"), k, point)
                if (rv__page_real(point, "threads") > 1)
                    measured = rv__page_format(p, "%s%s%s\xc3\x97 on %s", measured, *measured ? ", " : "",
                                               rv__page_number(p, rv__page_real(point, "value")),
                                               rv__page_number(p, rv__page_real(point, "threads")));
            double limit = rv__page_real(s, "speedup_limit");
            rv__page_cell(&t, phases[phase].title);
            rv__page_cell(&t, rv__page_string(s, "model"));
            untold |= !share_told(s);
            if (share_told(s)) {
                rv__page_cell(&t, rv__page_interval(p, 100 * rv__page_real(s, "share"), 100 * rv__page_real(s, "low"),
                                                    100 * rv__page_real(s, "high")));
                rv__page_cell(&t, isnan(limit) ? "no limit seen"
                                               : rv__page_format(p, "%s\xc3\x97", rv__page_number(p, limit)));
            } else
                rv__page_cell(&t, "\xe2\x80\x93"), rv__page_cell(&t, "\xe2\x80\x93");
            rv__page_cell(&t, *measured ? measured : "\xe2\x80\x93");
        }
    rv__page_table_end(&t, rv__page_format(p, "At length %s", rv__page_number(p, longest)));
    if (untold)
        rv__page_note(p,
                      "A dash: the interval of the share holds half of all there can be or more, or the times are none "
                      "that a share explains (more threads were slower, or faster than all of them together can be).");
}

/* The same work from shapes and by the kernels' own count, at the longest length. */
static void work(rv__page *p, const json_t *rows, int n_phases, int threads) {
    rv__page_table t = rv__page_table_begin(p, 6);
    static const char *const head[] = {"phase",         "model",           "length", "FLOPs from shapes",
                                       "FLOPs counted", "counted / shapes"};
    for (int c = 0; c < 6; c++) rv__page_cell(&t, head[c]);
    const json_t *row;
    size_t i;
    double longest = 0;
    json_array_foreach (rows, i, row) longest = fmax(longest, rv__page_real(row, "sequence_length"));
    for (int phase = 0; phase < n_phases; phase++)
        json_array_foreach (rows, i, row) {
            if ((int)rv__page_real(row, "threads") != threads || rv__page_real(row, "sequence_length") < longest ||
                !rv__page_is(row, "phase", phases[phase].phase))
                continue;
            double shapes = rv__page_real(row, "flops"), counted = rv__page_real(row, "flops_counted");
            if (!(shapes > 0 || counted > 0)) continue;
            rv__page_cell(&t, phases[phase].title);
            rv__page_cell(&t, rv__page_string(row, "model"));
            rv__page_cell(&t, rv__page_number(p, longest));
            rv__page_cell(&t, rv__page_count(p, shapes));
            rv__page_cell(&t, rv__page_count(p, counted));
            rv__page_cell(&t, rv__page_number(p, counted / shapes));
        }
    rv__page_table_end(&t, "Floating-point operations of one batch");
}

void rv__page_cost(rv__page *p) {
    const json_t *cost = rv__page_part(p, "cost"), *rows = json_object_get(cost, "rows");
    if (!json_array_size(rows)) return;
    int threads[THREADS], n_threads = threads_of(rows, threads);
    double batch = rv__page_real(cost, "batch");
    rv_page_section(p->f, "cost", "What it costs");
    fputs("<p>", p->f);
    rv_page_text(p->f, "Both axes are logarithmic: a straight line is a power of the length, and the steeper line "
                       "loses in the end. A plumb line marks where two models cost the same.");
    if (batch > 0)
        rv_page_textf(p->f, " Batches of %s sequences, random tokens.", rv__page_number(p, batch));
    else
        fputs(" Every batch has about the same number of tokens, whatever their length.", p->f);
    const json_t *others = json_object_get(cost, "other_work");
    if (json_is_object(others))
        rv_page_textf(p->f, " Meanwhile other programs used %s CPUs on average, %s in the worst round.",
                      rv__page_rough(p, rv__page_real(others, "mean")),
                      rv__page_rough(p, rv__page_real(others, "most")));
    fputs("</p>\n", p->f);
    times(p, cost, n_threads, threads);
    memory(p, cost, threads[0]);
    slopes(p, json_object_get(cost, "fits"), main_phases(rows), n_threads, threads);
    serial(p, json_object_get(cost, "serial"), main_phases(rows));
    work(p, rows, main_phases(rows), threads[0]);
    rv_page_section_end(p->f);
}
