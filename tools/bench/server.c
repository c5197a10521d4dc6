#include "server.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_file.h"
#include "heap.h"

/* The most memory that this process had at a time, MiB. (getrusage also counts the program that started it.) */
static double peak_mb(void) {
    double kb = 0;
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lf", &kb) == 1) break;
    if (f) fclose(f);
    return kb / 1024;
}

/* Who asked waits for an answer: where there is none to give, this process ends. */
static rv_status say(json_t *o) {
    const bool said =
        o && json_dumpf(o, stdout, JSON_REAL_PRECISION(9)) == 0 && putchar('\n') != EOF && fflush(stdout) == 0;
    json_decref(o);
    return said ? RV_OK
                : rv_error(RV_EINTERNAL,
                           "cannot tell what the workload took: no memory, or a number that is not finite");
}

static rv_status run(rv_workload_run *r, int steps) {
    const int phases = rv__workload_phases(r);
    double seconds[RV_PHASES];
    rv_heap_use most = {0};
    json_t *times = json_array();
    for (int i = 0; i < steps; i++) {
        rv__heap_begin();
        rv_status status = rv__workload_step(r, seconds);
        rv_heap_use use = rv__heap_end();
        if (status != RV_OK) {
            json_decref(times);
            return status;
        }
        if (i == 0 || use.calls > most.calls) most = use;
        json_t *step = json_array();
        for (int p = 0; p < phases; p++) json_array_append_new(step, json_real(seconds[p] * 1e3));
        json_array_append_new(times, step);
    }
    json_t *o = json_pack("{s:o, s:o, s:f, s:f}", "phases_ms", times, "loss", rv_json_number(rv__workload_loss(r)),
                          "arena_mb", (double)rv__workload_bytes(r) / 1048576., "peak_mb", peak_mb());
    json_object_set_new(o, "allocations", most.counted ? json_integer(most.calls) : json_null());
    json_object_set_new(o, "allocated_bytes", most.counted ? json_integer(most.bytes) : json_null());
    json_object_set_new(o, "openmp_allocations", most.counted ? json_integer(most.openmp) : json_null());
    return say(o);
}

rv_status rv__serve(const rv_workload *w, int threads) {
    rv_workload_run *r;
    char line[32];
    rv_set_threads(threads);
    RV_TRY(rv__workload_open(w, &r));
    rv_status status = say(json_pack("{s:b, s:I, s:f}", "ready", 1, "parameters", (json_int_t)rv__workload_params(r),
                                     "flops", rv__workload_flops(r)));
    while (status == RV_OK && fgets(line, sizeof line, stdin) && atoi(line) > 0) status = run(r, atoi(line));
    rv__workload_close(r);
    return status;
}
