/* What the models of experiments cost, by hand, and for cost_run.py:
 *     cost_by_hand FOLDER THREADS LENGTHS REPEATS BATCH VOCABULARY EXPERIMENT.yaml...    e.g. runs/x 1,2 16,64,256 20 8 1000 a.yaml b.yaml
 * writes FOLDER/cost/NAME.json for each and prints the "cost" of a report. */
#include <stdlib.h>
#include <string.h>

#include "ravel.h"

static int fail(void) {
    fprintf(stderr, "%s\n", rv_error_message());
    return 1;
}

static int numbers(const char *text, int most, int64_t *out) {
    int n = 0;
    for (char *end = (char *)text; *end && n < most; end += *end == ',') out[n++] = strtoll(end, &end, 10);
    return n;
}

int main(int argc, char **argv) {
    if (argc > 2 && !strcmp(argv[2], "--cost-worker")) return rv_exit_code(rv_cost_serve(stdin, stdout));
    if (argc < 8) return 2;
    rv_cost_spec spec = {.forward = true, .backward = true, .decode = true, .warmup = 2, .repeats = atoi(argv[4]), .batch = atoll(argv[5]), .max_seconds = 2};
    int64_t threads[RV_COST_THREADS];
    spec.n_threads = numbers(argv[2], RV_COST_THREADS, threads);
    for (int i = 0; i < spec.n_threads; i++) spec.threads[i] = (int)threads[i];
    spec.n_lengths = numbers(argv[3], RV_COST_LENGTHS, spec.length);
    const char *model[16];
    int n = 0;
    for (int i = 7; i < argc && n < 16; i++) {
        rv_config *config;
        char path[4096];
        if (rv_config_load(argv[i], 0, NULL, &config) != RV_OK) return fail();
        model[n] = strdup(rv_config_text(config, "name"));
        snprintf(path, sizeof path, "%s/cost/%s.json", argv[1], model[n]);
        if (rv_cost_run(config, model[n++], atoll(argv[6]), atoll(argv[6]), &spec, path, "/proc/self/exe") != RV_OK) return fail();
        rv_config_destroy(config);
    }
    json_t *report = json_object();
    rv_report_input in = {.dir = argv[1], .model = model, .n_models = n, .options = {.level = 0.95, .resamples = 1000, .times = true}};
    if (rv_report_cost(&in, report) != RV_OK) return fail();
    json_dumpf(report, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(report);
    while (n) free((char *)model[--n]);
    return 0;
}
