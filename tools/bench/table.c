#include "table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_file.h"
#include "kernels/peak.h"
#include "peer.h"
#include "timing.h"

enum { MAX_STEPS = 4096 };
static const char *const phase_names[] = {"forward_ms", "backward_ms", "clip_ms", "optimiser_ms"};

/* What one side measured. */
typedef struct {
    double ms, p10, p90, phase_ms[RV_PHASES], peak_mb;
    int phases, steps;
} timed;

typedef struct {
    const rv_workload *w;
    int threads;
    timed ours, theirs;
    double peak, gflops, share, arena_mb, loss, peer_base_mb, ratio, speedup, peer_speedup;
    int64_t params, allocations, bytes, openmp; /* allocations < 0: not counted */
    char peer[128];
} row;

static double tokens_per_second(const row *r, const timed *t) { return (double)(r->w->B * r->w->T) / t->ms * 1e3; }

/* The times of one side, step by step. */
typedef struct {
    int n, phases;
    double total[MAX_STEPS], phase[RV_PHASES][MAX_STEPS];
} samples;

static void collect(samples *s, const json_t *answer) {
    size_t i;
    json_t *step;
    json_array_foreach (json_object_get(answer, "phases_ms"), i, step) {
        if (s->n == MAX_STEPS) break;
        s->phases = (int)json_array_size(step);
        s->total[s->n] = 0;
        for (int p = 0; p < s->phases && p < RV_PHASES; p++)
            s->total[s->n] += s->phase[p][s->n] = json_number_value(json_array_get(step, (size_t)p));
        s->n++;
    }
}

static void summarise(timed *t, samples *s) {
    t->steps = s->n, t->phases = s->phases;
    t->ms = rv__quantile(s->total, s->n, 0.5);
    t->p10 = rv__quantile(s->total, s->n, 0.1);
    t->p90 = rv__quantile(s->total, s->n, 0.9);
    for (int p = 0; p < s->phases; p++) t->phase_ms[p] = rv__quantile(s->phase[p], s->n, 0.5);
}

static double number(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

/* `steps` steps of one side; its answer replaces *last. */
static rv_status turn(rv_peer *p, int steps, samples *s, json_t **last) {
    json_decref(*last);
    *last = NULL;
    RV_TRY(rv__peer_steps(p, steps, last));
    if (s) collect(s, *last);
    return RV_OK;
}

/* Steps of ours and the peer's in turn, for about 0.3 s of ours each, until the time is over. */
static rv_status alternate(rv_peer *ours, rv_peer *theirs, double seconds, row *r) {
    static samples a, b;
    json_t *x = NULL, *y = NULL;
    a.n = b.n = 0;
    rv_status status = turn(ours, 3, NULL, &x); /* warm: arenas have their size, caches are full */
    if (status == RV_OK && theirs) status = turn(theirs, 1, NULL, &y);
    int steps = 1;
    for (double t0 = rv_now(); status == RV_OK && a.n < MAX_STEPS && (a.n < 5 || rv_now() - t0 < seconds);) {
        const double begin = rv_now();
        status = turn(ours, steps, &a, &x);
        const double took = rv_now() - begin;
        if (status == RV_OK) {
            r->allocations = json_is_null(json_object_get(x, "allocations"))
                                 ? -1
                                 : fmax((double)r->allocations, number(x, "allocations"));
            r->bytes = fmax((double)r->bytes, number(x, "allocated_bytes"));
            r->openmp = fmax((double)r->openmp, number(x, "openmp_allocations"));
        }
        if (status == RV_OK && theirs) status = turn(theirs, steps, &b, &y);
        steps = (int)fmin(fmax(0.3 / took * steps, 1), MAX_STEPS / 8);
    }
    if (status == RV_OK) {
        summarise(&r->ours, &a);
        r->ours.peak_mb = number(x, "peak_mb"), r->arena_mb = number(x, "arena_mb"), r->loss = number(x, "loss");
        if (theirs) {
            summarise(&r->theirs, &b);
            r->theirs.peak_mb = number(y, "peak_mb");
            r->ratio = r->theirs.ms / r->ours.ms;
        }
    }
    json_decref(x);
    json_decref(y);
    return status;
}

static rv_status measure(const rv_table_options *o, double *peak, row *r) {
    rv_peer *ours = NULL, *theirs = NULL;
    *peak = fmax(*peak, rv_peak_gflops(r->threads));
    rv_status status = rv__peer_start(RV_PEER_RAVEL, r->w->name, r->threads, o->tiny, &ours);
    if (status == RV_OK && o->peer) status = rv__peer_start(RV_PEER_PYTORCH, r->w->name, r->threads, o->tiny, &theirs);
    if (status == RV_OK) status = alternate(ours, theirs, o->seconds * (o->peer ? 2 : 1), r);
    if (status == RV_OK) {
        *peak = fmax(*peak, rv_peak_gflops(r->threads)); /* again: another program may have run the first time */
        r->peak = *peak;
        r->gflops = number(rv__peer_about(ours), "flops") / r->ours.ms * 1e-6;
        r->share = r->gflops / *peak;
        r->params = (int64_t)number(rv__peer_about(ours), "parameters");
    }
    if (status == RV_OK && theirs) {
        const json_t *about = rv__peer_about(theirs);
        const char *name = json_string_value(json_object_get(about, "peer")),
                   *blas = json_string_value(json_object_get(about, "blas"));
        snprintf(r->peer, sizeof r->peer, "%s (%s)", name ? name : "?", blas ? blas : "?");
        r->peer_base_mb = number(about, "base_mb");
        if (!r->w->beam && (int64_t)number(about, "parameters") != r->params)
            status = rv_error(RV_EINTERNAL, "%s: the peer's model has %.0f parameters, ravel's %lld", r->w->name,
                              number(about, "parameters"), (long long)r->params);
    }
    if (theirs) rv__peer_stop(theirs);
    if (ours) rv__peer_stop(ours);
    return status;
}

/* ---- text */

static void cell(const char *fmt, int width, double x) {
    char text[32] = "-";
    if (x > 0) snprintf(text, sizeof text, fmt, x);
    printf(" %*s", width, text);
}

static void text_head(const rv_table_options *o) {
    printf("%-18s %3s %9s %17s %8s %8s %6s %6s %8s %9s %8s %6s %7s %6s %6s", "workload", "thr", "ms", "(10%..90%)",
           "forward", "backward", "clip", "optim", "decode", "tokens/s", "GFLOP/s", "peak%", "MB", "allocs",
           "speed-up");
    printf(o->peer ? " %10s %6s %7s %6s\n" : "\n", "pytorch ms", "ratio", "its MB", "MB/MB");
}

static void text_row(const rv_table_options *o, const row *r) {
    char spread[32];
    snprintf(spread, sizeof spread, "(%.4g..%.4g)", r->ours.p10, r->ours.p90);
    printf("%-18s %3d %9.4g %17s", r->w->name, r->threads, r->ours.ms, spread);
    const bool training = r->ours.phases == RV_PHASES;
    for (int p = 0; p < RV_PHASES; p++) cell("%.4g", p < 2 ? 8 : 6, training ? r->ours.phase_ms[p] : 0);
    cell("%.4g", 8, training ? 0 : r->ours.ms);
    printf(" %9.0f %8.1f %6.1f %7.1f %6lld", tokens_per_second(r, &r->ours), r->gflops, 100 * r->share, r->ours.peak_mb,
           (long long)r->allocations);
    cell("%.2fx", 8, r->speedup);
    if (o->peer)
        printf(" %10.4g %5.2fx %7.0f %6.2f", r->theirs.ms, r->ratio, r->theirs.peak_mb,
               r->ours.peak_mb / r->theirs.peak_mb);
    putchar('\n');
    fflush(stdout);
}

/* ---- JSON */

static void put(json_t *o, const char *prefix, const char *key, double x) {
    char name[64];
    snprintf(name, sizeof name, "%s%s", prefix, key);
    json_object_set_new(o, name, rv_json_number(x));
}

static void put_times(json_t *o, const char *prefix, const row *r, const timed *t) {
    put(o, prefix, "ms", t->ms);
    put(o, prefix, "ms_p10", t->p10);
    put(o, prefix, "ms_p90", t->p90);
    for (int p = 0; p < t->phases; p++) put(o, prefix, t->phases == 1 ? "decode_ms" : phase_names[p], t->phase_ms[p]);
    put(o, prefix, "tokens_per_second", tokens_per_second(r, t));
    put(o, prefix, "peak_mb", t->peak_mb);
    json_object_set_new(o, *prefix ? "peer_steps" : "steps", json_integer(t->steps));
}

static json_t *json_row(const row *r) {
    json_t *o = json_pack("{s:s, s:i, s:f, s:f, s:f, s:f, s:o, s:I}", "workload", r->w->name, "threads", r->threads,
                          "gflops", r->gflops, "share_of_peak", r->share, "fma_peak_gflops", r->peak, "arena_mb",
                          r->arena_mb, "loss", rv_json_number(r->loss), "parameters", (json_int_t)r->params);
    put_times(o, "", r, &r->ours);
    if (r->allocations >= 0) {
        json_object_set_new(o, "allocations_per_step", json_integer(r->allocations));
        json_object_set_new(o, "bytes_allocated_per_step", json_integer(r->bytes));
        json_object_set_new(o, "openmp_allocations_per_step", json_integer(r->openmp));
    }
    if (r->speedup > 0) put(o, "", "speedup", r->speedup);
    if (r->ratio > 0) {
        put_times(o, "peer_", r, &r->theirs);
        put(o, "peer_", "base_mb", r->peer_base_mb);
        if (r->peer_speedup > 0) put(o, "peer_", "speedup", r->peer_speedup);
        put(o, "", "ratio", r->ratio);
        put(o, "", "memory_ratio", r->ours.peak_mb / r->theirs.peak_mb);
    }
    return o;
}

/* ---- Markdown */

static void markdown(const rv_table_options *o, const row *rows, int n) {
    printf("| workload | threads | ravel, ms (10 %% .. 90 %%) | tokens/s | GFLOP/s | of peak | speed-up | memory, MB | "
           "allocations |%s\n|---|---|---|---|---|---|---|---|---|%s\n",
           o->peer ? " PyTorch, ms (speed-up) | ratio | its memory, MB | ravel's / its |" : "",
           o->peer ? "---|---|---|---|" : "");
    for (const row *r = rows; r < rows + n; r++) {
        printf("| %s | %d | %.4g (%.4g .. %.4g) | %.0f | %.0f | %.0f %% |", r->w->name, r->threads, r->ours.ms,
               r->ours.p10, r->ours.p90, tokens_per_second(r, &r->ours), r->gflops, 100 * r->share);
        printf(r->speedup > 0 ? " %.2f |" : " |", r->speedup);
        printf(" %.0f | %lld |", r->ours.peak_mb, (long long)r->allocations);
        if (o->peer) {
            printf(" %.4g", r->theirs.ms);
            if (r->peer_speedup > 0) printf(" (%.2f)", r->peer_speedup);
            printf(" | **%.2fx** | %.0f | %.2f |", r->ratio, r->theirs.peak_mb, r->ours.peak_mb / r->theirs.peak_mb);
        }
        putchar('\n');
    }
    printf("\n| workload | threads | forward | backward | clip | optimiser |%s\n|---|---|---|---|---|---|%s\n",
           o->peer ? " PyTorch: forward | backward | clip | optimiser |" : "", o->peer ? "---|---|---|---|" : "");
    for (const row *r = rows; r < rows + n; r++) {
        if (r->ours.phases != RV_PHASES) continue;
        printf("| %s | %d |", r->w->name, r->threads);
        for (int p = 0; p < RV_PHASES; p++) printf(" %.4g |", r->ours.phase_ms[p]);
        for (int p = 0; o->peer && p < RV_PHASES; p++) printf(" %.4g |", r->theirs.phase_ms[p]);
        putchar('\n');
    }
    putchar('\n');
}

/* ---- all rows */

/* The geometric mean of the ratios at this number of threads (0: at all), of training, decoding or both (-1); 0 without
 * any. */
static double mean_ratio(const row *rows, int n, int threads, int decoding) {
    double sum = 0;
    int count = 0;
    for (const row *r = rows; r < rows + n; r++) {
        if (!(r->ratio > 0) || (threads && r->threads != threads) || (decoding >= 0 && (r->w->beam > 0) != decoding))
            continue;
        sum += log(r->ratio);
        count++;
    }
    return count ? exp(sum / count) : 0;
}

static void print_json(const rv_table_options *o, const row *rows, int n, const double *peaks) {
    json_t *list = json_array(), *peak = json_object(), *means = json_object();
    for (int i = 0; i < n; i++) json_array_append_new(list, json_row(&rows[i]));
    json_t *out = json_pack("{s:o, s:s, s:o}", "workloads", list, "isa", rv_k()->isa, "fma_peak_gflops", peak);
    for (int t = 0; t < o->n_threads; t++) {
        char key[16];
        snprintf(key, sizeof key, "%d", o->threads[t]);
        put(peak, "", key, peaks[t]);
        if (o->peer) put(means, "", key, mean_ratio(rows, n, o->threads[t], -1));
    }
    if (o->peer && n) {
        json_object_set_new(out, "peer", json_string(rows[0].peer));
        put(out, "", "geometric_mean_ratio", mean_ratio(rows, n, 0, -1));
        json_object_set_new(out, "geometric_mean_ratio_by_threads", json_incref(means));
        for (int d = 0; d < 2; d++)
            if (mean_ratio(rows, n, 0, d) > 0)
                put(out, "geometric_mean_ratio_", d ? "decoding" : "training", mean_ratio(rows, n, 0, d));
    }
    json_decref(means);
    json_dumpf(out, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(out);
}

static void print_means(const rv_table_options *o, const row *rows, int n, const double *peaks) {
    for (int t = 0; t < o->n_threads; t++) {
        printf("%d thread%s: FMA peak %.0f GFLOP/s (%s)", o->threads[t], o->threads[t] == 1 ? "" : "s", peaks[t],
               rv_k()->isa);
        for (int d = 0; d < 2; d++) {
            double mean = mean_ratio(rows, n, o->threads[t], d);
            if (mean > 0) printf("; geometric mean of the ratios in %s %.2fx", d ? "decoding" : "training", mean);
        }
        printf("\n");
    }
    if (o->peer && n) printf("ratio: time of %s over ravel's\n", rows[0].peer);
}

bool rv__table_wants(const rv_table_options *o, const char *name) {
    for (int i = 0; i < o->n_names; i++)
        if (!strcmp(o->names[i], name) || !strcmp(o->names[i], "all")) return true;
    return false;
}

rv_status rv__table_check_names(const rv_table_options *o) {
    char known[512] = "";
    for (const rv_workload *w = rv__workloads(o->tiny); w->name; w++) {
        size_t at = strlen(known);
        snprintf(known + at, sizeof known - at, " %s", w->name);
    }
    if (!o->n_names) return rv_error(RV_EUSAGE, "name workloads, or all; there are:%s", known);
    for (int i = 0; i < o->n_names; i++) {
        bool found = !strcmp(o->names[i], "all");
        for (const rv_workload *w = rv__workloads(o->tiny); w->name; w++) found |= !strcmp(w->name, o->names[i]);
        if (!found) return rv_error(RV_EUSAGE, "unknown workload '%s'; there are:%s", o->names[i], known);
    }
    return RV_OK;
}

static rv_status all_rows(const rv_table_options *o, int total, double *peaks, row *rows, int *n) {
    for (const rv_workload *w = rv__workloads(o->tiny); w->name; w++) {
        if (!rv__table_wants(o, w->name)) continue;
        const row *one_thread = NULL;
        for (int t = 0; t < o->n_threads; t++) {
            row *r = &rows[*n];
            char now[64];
            *r = (row){.w = w, .threads = o->threads[t]};
            snprintf(now, sizeof now, "%s, %d thread%s", w->name, r->threads, r->threads == 1 ? "" : "s");
            rv__progress(*n, total, now);
            RV_TRY(measure(o, &peaks[t], r));
            if (r->threads == 1)
                one_thread = r;
            else if (one_thread)
                r->speedup = one_thread->ours.ms / r->ours.ms,
                r->peer_speedup = r->theirs.ms > 0 ? one_thread->theirs.ms / r->theirs.ms : 0;
            rv__progress(total, total, "");
            ++*n;
            if (o->format == RV_TABLE_TEXT) text_row(o, r);
        }
    }
    return RV_OK;
}

rv_status rv__table_run(const rv_table_options *o) {
    RV_TRY(rv__table_check_names(o));
    int total = 0, n = 0;
    for (const rv_workload *w = rv__workloads(o->tiny); w->name; w++)
        total += rv__table_wants(o, w->name) ? o->n_threads : 0;
    row *rows = calloc((size_t)total, sizeof *rows);
    double *peaks = calloc((size_t)o->n_threads, sizeof *peaks);
    rv_status status = rows && peaks ? RV_OK : rv_error(RV_ENOMEM, "no memory for %d results", total);
    if (status == RV_OK) {
        if (o->format == RV_TABLE_TEXT) text_head(o);
        status = all_rows(o, total, peaks, rows, &n);
        if (status == RV_OK && o->format == RV_TABLE_MARKDOWN) markdown(o, rows, n);
        if (status == RV_OK && o->format == RV_TABLE_JSON)
            print_json(o, rows, n, peaks);
        else if (status == RV_OK)
            print_means(o, rows, n, peaks);
    }
    free(rows);
    free(peaks);
    return status;
}
