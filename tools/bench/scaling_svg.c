/* The figure of --scaling: both axes logarithmic, lines labelled where they end, a plumb line where two cross. */
#include <stdio.h>
#include <stdlib.h>

#include "report/chart.h"
#include "scaling.h"

typedef struct {
    char line[RV_SCALING_LAYERS][48], crossing[48];
} names;

static void name(names *out, int threads, double cross) {
    const char *plural = threads == 1 ? "" : "s";
    snprintf(out->line[0], sizeof out->line[0], "LSTM, %d thread%s", threads, plural);
    snprintf(out->line[1], sizeof out->line[1], "attention, %d thread%s", threads, plural);
    snprintf(out->crossing, sizeof out->crossing, "%d thread%s: equal at %.0f", threads, plural, cross);
}

rv_status rv__scaling_svg(const rv_scaling *s, const char *path) {
    double lengths[RV_SCALING_LENGTHS];
    int measured = 0, n_marks = 0;
    for (int i = 0; i < RV_SCALING_LENGTHS; i++) {
        lengths[i] = (double)rv_scaling_length(i);
        if (s->ms[0][0][i] > 0) measured = i + 1;
    }
    const size_t n = (size_t)s->n_threads;
    names *texts = calloc(n, sizeof *texts);
    rv_series *series = calloc(n * RV_SCALING_LAYERS, sizeof *series);
    rv_chart_mark *marks = calloc(n, sizeof *marks);
    rv_status status = RV_ENOMEM;
    if (texts && series && marks) {
        for (int t = 0; t < s->n_threads; t++) {
            name(&texts[t], s->threads[t], s->cross[t]);
            for (int l = 0; l < RV_SCALING_LAYERS; l++)
                series[t * RV_SCALING_LAYERS + l] = (rv_series){
                    texts[t].line[l], 1 - l, t == 0 && s->n_threads > 1, measured, lengths, s->ms[t][l], NULL, NULL};
            if (s->cross[t] > 0) marks[n_marks++] = (rv_chart_mark){s->cross[t], texts[t].crossing, -1};
        }
        char title[120];
        snprintf(title, sizeof title, "One layer, %lld wide, batches of %lld: LSTM and causal self-attention",
                 (long long)s->width, (long long)s->batch);
        status = rv_chart_file(path, &(rv_chart){.title = title,
                                                 .x_label = "length of the sequence",
                                                 .y_label = "time of a step, forward and backward (ms)",
                                                 .x_log = true,
                                                 .y_log = true,
                                                 .n_series = s->n_threads * RV_SCALING_LAYERS,
                                                 .series = series,
                                                 .n_marks = n_marks,
                                                 .marks = marks,
                                                 .points = true});
    } else {
        rv_error(status, "no memory for the figure %s", path);
    }
    free(texts);
    free(series);
    free(marks);
    return status;
}
