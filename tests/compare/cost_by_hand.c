/* What the models of experiments cost, by hand, and for cost_run.py:
 *     cost_by_hand FOLDER THREADS LENGTHS ROUNDS REPEATS BATCH VOCABULARY EXPERIMENT.yaml...    e.g. runs/x 1,2
 * 16,64,256 5 4 8 1000 a.yaml b.yaml writes FOLDER/cost/NAME.rN.json for each and prints the "cost" of a report.
 * REPEATS are those of each round. */
#include <stdlib.h>
#include <string.h>

#include "ravel.h"

enum { MODELS = 16 };

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
    if (argc < 9) return 2;
    rv_cost_spec spec = {.forward = true,
                         .backward = true,
                         .decode = true,
                         .warmup = 2,
                         .repeats = atoi(argv[5]),
                         .batch = atoll(argv[6]),
                         .max_seconds = 2};
    int64_t threads[RV_COST_THREADS];
    spec.n_threads = numbers(argv[2], RV_COST_THREADS, threads);
    for (int i = 0; i < spec.n_threads; i++) spec.threads[i] = (int)threads[i];
    spec.n_lengths = numbers(argv[3], RV_COST_LENGTHS, spec.length);
    const int n = argc - 8 < MODELS ? argc - 8 : MODELS, rounds = atoi(argv[4]);
    const char *model[MODELS];
    rv_config *config[MODELS];
    for (int i = 0; i < n; i++) {
        if (rv_config_load(argv[8 + i], 0, NULL, &config[i]) != RV_OK) return fail();
        model[i] = rv_config_text(config[i], "name");
    }
    for (int round = 1; round <= rounds; round++)
        for (int i = 0; i < n; i++) {
            char path[4096];
            snprintf(path, sizeof path, "%s/cost/%s.r%d.json", argv[1], model[i], round);
            if (rv_cost_run(config[i], model[i], atoll(argv[7]), atoll(argv[7]), &spec, path, "/proc/self/exe") !=
                RV_OK)
                return fail();
        }
    json_t *report = json_object();
    rv_report_input in = {
        .dir = argv[1], .model = model, .n_models = n, .options = {.level = 0.95, .resamples = 1000, .times = true}};
    if (rv_report_cost(&in, report) != RV_OK) return fail();
    json_dumpf(report, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(report);
    for (int i = 0; i < n; i++) rv_config_destroy(config[i]);
    return 0;
}
