/* Parts of a report on runs written by hand: when there is a verdict and when there is none, curves, thresholds,
 * differences. The numbers of a whole report are recomputed by tests/report.py. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ravel.h"

enum { EXAMPLES = 60, STEPS = 250, MOST = 12 };
static const char *const models[] = {"alpha", "beta", "gamma"};
static char folder[64], path[MOST][128];
static rv_report_run run[MOST];
static rv_config *config[3];
static rv_report_input in;

static int remove_one(const char *p, const struct stat *s, int type, struct FTW *f) {
    (void)s, (void)type, (void)f;
    return remove(p);
}

/* A run whose examples have this accuracy, more or less, and these nats a token. */
static void write_run(int at, int model, int64_t seed, double accuracy, double nats, int64_t tokens_a_step) {
    char file[2048];
    snprintf(path[at], sizeof path[at], "%s/%s-s%lld", folder, models[model], (long long)seed);
    cr_assert(!mkdir(path[at], 0700));
    snprintf(file, sizeof file, "%s/metrics.jsonl", path[at]);
    FILE *f = fopen(file, "w");
    for (int64_t s = 1; s <= STEPS; s++) {
        fprintf(f,
                "{\"step\":%lld,\"kind\":\"train\",\"loss\":%g,\"tokens\":%lld,\"tokens_per_second\":1000,\"peak_"
                "memory_bytes\":%lld}\n",
                (long long)s, 1. / (double)s, (long long)(s * tokens_a_step), (long long)(s < 100 ? 1000 + s : 1500));
        if (s % 50 == 0)
            fprintf(f, "{\"step\":%lld,\"kind\":\"valid\",\"loss\":%g,\"accuracy\":%g}\n", (long long)s,
                    5. / (double)s + (double)seed, (double)s / STEPS);
    }
    fclose(f);
    snprintf(file, sizeof file, "%s/examples.jsonl", path[at]);
    f = fopen(file, "w");
    rv_rng rng = rv_rng_make((uint64_t)seed, models[model], 0);
    for (int i = 0; i < EXAMPLES; i++) {
        int right = 0;
        for (int k = 0; k < 10; k++) right += rv_rng_uniform(&rng) < accuracy;
        fprintf(f, "{\"i\":%d,\"source_tokens\":%d,\"source_words\":1,\"tokens\":10,\"nats\":%.17g,\"correct\":%d}\n",
                i, 1 + i / 10, 10 * nats + 0.1 * rv_rng_normal(&rng), right);
    }
    fclose(f);
    run[at] = (rv_report_run){.path = path[at],
                              .model = models[model],
                              .setting = "",
                              .seed = seed,
                              .cell = at + 1,
                              .config = config[model],
                              .outcome = RV_RUN_DONE};
}

static void setup(void) {
    static const char *const decoder[] = {"{type: rnn, cell: lstm, num_layers: 1, hidden_size: 8}",
                                          "{type: rnn, cell: gru, num_layers: 1, hidden_size: 8}",
                                          "{type: transformer, num_layers: 1, num_heads: 2, hidden_size: 8}"};
    strcpy(folder, "/tmp/ravel-test-XXXXXX");
    cr_assert(mkdtemp(folder));
    for (int m = 0; m < 3; m++) {
        char text[512];
        int n = snprintf(
            text, sizeof text,
            "name: %s\ndata: {path: x}\nmodel: {decoder: %s, embedding_dim: 8}\ntrain: {batch: {size: 2, length: 4}, "
            "max_steps: 9, validate_every: 3, optimizer: {type: adam, lr: 1e-3}}\ncheckpoint: {every: 3}\n",
            models[m], decoder[m]);
        cr_assert_eq(rv_config_parse("test.yaml", text, (size_t)n, 0, NULL, &config[m]), RV_OK, "%s",
                     rv_error_message());
    }
    static const char *const settings[] = {""};
    in = (rv_report_input){.name = "test",
                           .dir = folder,
                           .model = models,
                           .setting = settings,
                           .run = run,
                           .n_models = 2,
                           .n_settings = 1,
                           .options = {.level = 0.95, .resamples = 300, .times = true}};
}
static void teardown(void) {
    for (int m = 0; m < 3; m++) rv_config_destroy(config[m]);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Three seeds of alpha and beta: the same loss, beta better in accuracy. */
static void usual(void) {
    for (int s = 1; s <= 3; s++) {
        write_run(2 * s - 2, 0, s, 0.5, 1, 40);
        write_run(2 * s - 1, 1, s, 0.9, 1, 40);
    }
    in.n_runs = 6;
}

static json_t *report(void) {
    json_t *r = json_object();
    cr_assert_eq(rv_report_runs(&in, r), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_report_quality(&in, r), RV_OK, "%s", rv_error_message());
    return r;
}

static json_t *pair_of(json_t *r, const char *metric, size_t k) {
    size_t i;
    json_t *q;
    json_array_foreach (json_object_get(r, "quality"), i, q)
        if (!strcmp(json_string_value(json_object_get(q, "metric")), metric))
            return json_array_get(json_object_get(q, "pairs"), k);
    cr_assert_fail("no metric %s", metric);
    return NULL;
}

static void expect(json_t *r, const char *metric, const char *verdict, const char *why) {
    json_t *p = pair_of(r, metric, 0);
    cr_expect_str_eq(json_string_value(json_object_get(p, "verdict")), verdict, "%s: %s", metric, json_dumps(p, 0));
    const char *got = json_string_value(json_object_get(p, "why"));
    cr_expect(*why ? strstr(got, why) != NULL : !*got, "%s: '%s', expected '%s'", metric, got, why);
}

Test(report, verdicts, .init = setup, .fini = teardown) {
    usual();
    json_t *r = report();
    expect(r, "accuracy", "b", "");
    json_t *p = pair_of(r, "loss", 0);
    cr_expect_str_eq(json_string_value(json_object_get(p, "verdict")), "not distinguishable");
    cr_expect(json_real_value(json_object_get(p, "low")) < 0 && json_real_value(json_object_get(p, "high")) > 0);
    json_decref(r);
}

Test(report, no_verdict_where_budgets_differ, .init = setup, .fini = teardown) {
    for (int s = 1; s <= 3; s++) {
        write_run(2 * s - 2, 0, s, 0.5, 1, 1000);
        write_run(2 * s - 1, 1, s, 0.9, 1, 1011);
    }
    in.n_runs = 6;
    json_t *r = report();
    expect(r, "accuracy", "no verdict", "unequal budgets: alpha was trained on 250000 tokens, beta on 252750");
    json_decref(r);
}

Test(report, no_verdict_without_a_match, .init = setup, .fini = teardown) {
    usual();
    in.plan = json_loads("{\"match\": {\"by\": \"parameters\", \"models\": [{\"model\": \"alpha\", \"met\": true}, "
                         "{\"model\": \"beta\", \"met\": false, \"off\": 0.043}]}}",
                         0, NULL);
    json_t *r = report();
    expect(r, "accuracy", "no verdict", "beta does not match in parameters (off by 4.3 %)");
    json_decref(in.plan);
    json_decref(r);
    in.plan = json_loads("{\"match\": {\"by\": \"none\", \"models\": [{\"model\": \"beta\", \"met\": true}]}, "
                         "\"tuning\": {\"equal\": false}}",
                         0, NULL);
    r = report();
    expect(r, "accuracy", "no verdict", "tuned");
    json_decref(in.plan);
    json_decref(r);
}

/* Of the plan's times nothing is left where a report has none; the plan itself keeps them. */
Test(report, times_of_a_match, .init = setup, .fini = teardown) {
    usual();
    in.plan = json_loads("{\"match\": {\"by\": \"wall_clock\", \"models\": [], \"time\": {\"least\": 4e-5}}}", 0, NULL);
    for (int times = 0; times < 2; times++) {
        json_t *r;
        in.options.times = times;
        cr_assert_eq(rv_report_build(&in, &r), RV_OK, "%s", rv_error_message());
        const json_t *match = json_object_get(r, "match");
        cr_expect_str_eq(json_string_value(json_object_get(match, "by")), "wall_clock");
        cr_expect_eq(json_object_get(match, "time") != NULL, times);
        cr_expect(!json_object_get(r, "tuning"));
        cr_expect(json_object_get(json_object_get(in.plan, "match"), "time"));
        json_decref(r);
    }
    json_decref(in.plan);
}

Test(report, no_verdict_where_a_run_diverged_or_is_missing, .init = setup, .fini = teardown) {
    usual();
    run[3].outcome = RV_RUN_DIVERGED;
    json_t *r = report();
    expect(r, "accuracy", "no verdict", "beta with seed 2 diverged");
    cr_expect_eq(json_array_size(json_object_get(
                     json_array_get(json_object_get(json_array_get(json_object_get(r, "quality"), 0), "models"), 1),
                     "per_seed")),
                 2);
    json_decref(r);
    run[3].outcome = RV_RUN_DONE;
    char file[2048];
    snprintf(file, sizeof file, "%s/examples.jsonl", path[4]);
    cr_assert(!remove(file));
    r = report();
    expect(r, "accuracy", "no verdict", "alpha with seed 3 was not measured");
    json_decref(r);
    in.n_runs = 5;
    run[4] = run[5];
    r = report();
    expect(r, "accuracy", "no verdict", "beta was run with seed 3, alpha was not");
    json_decref(r);
    in.plan = json_loads("{\"seeds\": [1, 2, 3]}", 0, NULL);
    r = report();
    expect(r, "accuracy", "no verdict", "alpha with seed 3 is missing");
    json_decref(in.plan);
    json_decref(r);
}

Test(report, one_seed_says_so, .init = setup, .fini = teardown) {
    usual();
    in.n_runs = 2;
    json_t *r = report();
    expect(r, "accuracy", "no verdict", "one seed");
    expect(r, "loss", "no verdict", "one seed");
    cr_expect(json_is_null(json_object_get(pair_of(r, "loss", 0), "seeds_needed")));
    json_decref(r);
}

static void write_measured(int at, const char *text) {
    char file[2048];
    snprintf(file, sizeof file, "%s/measured.json", path[at]);
    FILE *f = fopen(file, "w");
    fputs(text, f);
    fclose(f);
}

/* Equally many tokens of another vocabulary are other tokens; what does not count tokens compares all the same. */
Test(report, no_verdict_between_vocabularies, .init = setup, .fini = teardown) {
    usual();
    for (int i = 0; i < 6; i++)
        write_measured(i, i % 2 ? "{\"part\": \"test\", \"vocabulary\": \"b\"}"
                                : "{\"part\": \"test\", \"vocabulary\": \"a\"}");
    json_t *r = report();
    expect(r, "accuracy", "no verdict", "alpha and beta have different vocabularies");
    json_decref(r);
    for (int i = 0; i < 6; i++) write_measured(i, "{\"part\": \"test\", \"vocabulary\": \"a\"}");
    r = report();
    expect(r, "accuracy", "b", "");
    json_decref(r);
}

Test(report, no_verdict_on_what_sees_the_future, .init = setup, .fini = teardown) {
    usual();
    in.n_models = 3;
    for (int s = 1; s <= 3; s++) write_run(5 + s, 2, s, 1, 0.01, 40);
    in.n_runs = 9;
    json_t *r = report();
    cr_expect_str_eq(json_string_value(json_object_get(pair_of(r, "loss", 1), "verdict")), "b", "gamma has its mask");
    json_decref(r);
    rv_config *sees;
    char *text = rv_config_resolved(config[2]);
    cr_assert_eq(rv_config_parse("test.yaml", text, strlen(text), 1,
                                 (const char *const[]){"model.decoder.causal_mask=none"}, &sees),
                 RV_OK, "%s", rv_error_message());
    free(text);
    for (int s = 1; s <= 3; s++) run[5 + s].config = sees;
    r = report();
    const char *why = json_string_value(json_object_get(pair_of(r, "loss", 1), "why"));
    cr_expect_str_eq(json_string_value(json_object_get(pair_of(r, "loss", 1), "verdict")), "no verdict");
    cr_expect(strstr(why, "gamma sees the tokens that it is to predict (causal_mask: none)"), "%s", why);
    expect(r, "accuracy", "b", "");
    json_decref(r);
    rv_config_destroy(sees);
}

Test(report, what_a_verdict_rests_on_stands_beside_it, .init = setup, .fini = teardown) {
    usual();
    in.plan = json_loads("{\"tuning\": {\"equal\": true, \"models\": ["
                         "{\"model\": \"alpha\", \"lr\": 0.1, \"tried\": [{\"lr\": 0.01}, {\"lr\": 0.1}, {\"lr\": 1}]},"
                         "{\"model\": \"beta\", \"lr\": 1, \"tried\": [{\"lr\": 0.01}, {\"lr\": 0.1}, {\"lr\": 1}]}]}}",
                         0, NULL);
    json_t *r = report();
    expect(r, "accuracy", "b", "the learning rate of beta is at the edge of those tried, another may be better");
    cr_expect(!strstr(json_string_value(json_object_get(pair_of(r, "accuracy", 0), "why")), "alpha"));
    json_decref(r);
    for (int i = 0; i < 6; i++) write_measured(i, "{\"part\": \"valid\"}");
    r = report();
    expect(r, "accuracy", "b", "on validation examples, which chose the learning rate and chose the checkpoint, too");
    json_decref(r);
    json_decref(in.plan);
}

/* A rate that is too high for the whole budget may win a short trial. */
Test(report, trainings_behind_their_trial, .init = setup, .fini = teardown) {
    usual();
    for (int k = 0; k < 2; k++) { /* the runs' least validation losses are between these */
        in.plan =
            json_pack("{s:{s:b, s:[{s:s, s:f, s:[{s:f, s:f}, {s:f}, {s:f}]}]}}", "tuning", "equal", 1, "models",
                      "model", "beta", "lr", 0.1, "tried", "lr", 0.1, "loss", k ? 1e-3 : 1e3, "lr", 0.01, "lr", 1.);
        json_t *r = report();
        const char *why = json_string_value(json_object_get(pair_of(r, "accuracy", 0), "why"));
        cr_expect_eq(strstr(why, "the trainings of beta ended at a greater validation loss than the trial") != NULL, k,
                     "%s", why);
        json_decref(r);
        json_decref(in.plan);
    }
}

/* Beta wins; its trial one step away on the grid was, or was not, behind alpha's best one. */
Test(report, how_much_hangs_on_the_rate, .init = setup, .fini = teardown) {
    static const struct {
        const char *alpha, *beta, *says; /* losses at rates 0.01, 0.1 and 1 */
    } cases[] = {
        {"0.9, 0.8, 0.9", "0.7, 0.5, 0.6", ""},
        {"0.9, 0.8, 0.9", "0.7, 0.5, 0.85",
         "one step on the grid away, at a learning rate of 1, the trial of beta was behind that of alpha"},
        {"0.9, 0.8, 0.9", "0.9, 0.5, 0.6",
         "one step on the grid away, at a learning rate of 0.01, the trial of beta was behind that of alpha"},
        {"0.9, 0.8, 0.9", "0.7, 0.5, null",
         "one step on the grid away, at a learning rate of 1, the trial of beta was behind that of alpha"},
        {"0.9, 0.4, 0.9", "0.9, 0.5, 0.9", ""}, /* the trials favour the other one anyway */
    };
    usual();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *rows = json_array();
        for (int k = 0; k < 2; k++) {
            char losses[64], *rest = losses;
            snprintf(losses, sizeof losses, "%s", k ? cases[i].beta : cases[i].alpha);
            json_t *tried = json_array();
            for (double lr = 0.01; lr < 2; lr *= 10) {
                const char *loss = strtok_r(rest, ", ", &rest);
                json_array_append_new(tried, json_pack("{s:f, s:o}", "lr", lr, "loss",
                                                       *loss == 'n' ? json_null() : json_real(atof(loss))));
            }
            json_array_append_new(
                rows, json_pack("{s:s, s:f, s:o}", "model", k ? "beta" : "alpha", "lr", 0.1, "tried", tried));
        }
        in.plan = json_pack("{s:{s:b, s:o}}", "tuning", "equal", 1, "models", rows);
        json_t *r = report();
        const char *why = json_string_value(json_object_get(pair_of(r, "accuracy", 0), "why"));
        cr_expect_str_eq(json_string_value(json_object_get(pair_of(r, "accuracy", 0), "verdict")), "b");
        cr_expect(*cases[i].says ? strstr(why, cases[i].says) != NULL : !strstr(why, "one step"), "%zu: %s", i, why);
        json_decref(r);
        json_decref(in.plan);
    }
}

/* Validation losses that fall to the end, for one model. */
Test(report, who_was_still_improving, .init = setup, .fini = teardown) {
    usual();
    for (int i = 0; i < 6; i++) {
        char file[2048];
        snprintf(file, sizeof file, "%s/metrics.jsonl", path[i]);
        FILE *f = fopen(file, "w");
        for (int s = 1; s <= 20; s++) {
            double loss = i % 2 ? 3 - 0.1 * s + 0.01 * (s % 3) : 1.5 + 0.02 * ((s + i) % 3) + (s < 8 ? 1 : 0);
            fprintf(f, "{\"step\":%d,\"kind\":\"train\",\"loss\":1,\"tokens\":%d,\"tokens_per_second\":1000}\n", 10 * s,
                    100 * s);
            fprintf(f, "{\"step\":%d,\"kind\":\"valid\",\"loss\":%g}\n", 10 * s, loss);
        }
        fclose(f);
    }
    json_t *r = report();
    expect(r, "accuracy", "b", "only at this budget, at whose end the loss of beta was still falling");
    cr_expect(!strstr(json_string_value(json_object_get(pair_of(r, "accuracy", 0), "why")), "alpha"));
    json_decref(r);
}

Test(report, several_pairs_are_adjusted, .init = setup, .fini = teardown) {
    usual();
    json_t *two = report();
    for (int s = 1; s <= 3; s++) write_run(5 + s, 2, s, 0.52, 1, 40);
    in.n_models = 3;
    in.n_runs = 9;
    json_t *three = report();
    /* alpha - beta is clear: of 3 pairs the smallest p counts three times, or as often as the pairs that are as clear.
     */
    double alone = json_real_value(json_object_get(pair_of(two, "accuracy", 0), "p")),
           among = json_real_value(json_object_get(pair_of(three, "accuracy", 0), "p"));
    cr_expect(among > 1.9 * alone && among < 3.1 * alone, "%g and %g", alone, among);
    double p = 0;
    for (size_t k = 0; k < 3; k++) p = fmax(p, json_real_value(json_object_get(pair_of(three, "accuracy", k), "p")));
    cr_expect(p <= 1);
    json_decref(two);
    json_decref(three);
}

Test(report, runs_curves_and_thresholds, .init = setup, .fini = teardown) {
    usual();
    in.options.threshold_metric = "accuracy";
    in.options.threshold = 0.6;
    in.options.n_bins = 2;
    in.options.most[0] = 2, in.options.most[1] = 5;
    json_t *r = report(), *row = json_array_get(json_object_get(r, "runs"), 0), *time = json_object_get(row, "time");
    cr_expect_eq(json_integer_value(json_object_get(row, "tokens")), 40 * STEPS);
    cr_expect_float_eq(json_real_value(json_object_get(time, "seconds")), 40. * STEPS / 1000, 1e-9);
    cr_expect_eq(json_integer_value(json_object_get(time, "peak_bytes")), 1500);
    cr_expect(json_is_null(json_object_get(row, "flops"))); /* nothing says what a token costs */

    json_t *curves = json_object_get(r, "curves"),
           *train = json_array_get(json_object_get(json_array_get(curves, 0), "series"), 0);
    cr_expect_eq(json_array_size(curves), 3); /* the loss of training; loss and accuracy of validation */
    cr_expect_eq(json_array_size(json_object_get(train, "step")), STEPS / 3);
    cr_expect_eq(json_integer_value(json_array_get(json_object_get(train, "step"), 0)), 3);
    cr_expect_float_eq(json_real_value(json_array_get(json_object_get(train, "mean"), 0)), (1 + 1. / 2 + 0.333333) / 3,
                       1e-6);
    json_t *valid = json_array_get(json_object_get(json_array_get(curves, 1), "series"), 0);
    /* Losses 0.1 + 1, 2 and 3 at step 50: mean 2.1, and Student's interval 2.1 +- 4.303 / sqrt(3). */
    cr_expect_float_eq(json_real_value(json_array_get(json_object_get(valid, "mean"), 0)), 2.1, 1e-9);
    cr_expect_float_eq(json_real_value(json_array_get(json_object_get(valid, "high"), 0)), 2.1 + 4.302653 / sqrt(3),
                       1e-5);

    row = json_array_get(json_object_get(json_object_get(r, "time_to"), "rows"), 0);
    cr_expect_eq(json_integer_value(json_object_get(row, "step")), 150); /* 0.2, 0.4, 0.6: at the threshold counts */
    cr_expect_eq(json_integer_value(json_object_get(row, "tokens")), 6000);
    cr_expect_float_eq(json_real_value(json_object_get(row, "best")), 1, 1e-12);

    json_t *bins = json_object_get(json_array_get(json_object_get(r, "by_length"), 0), "bins"), *counts;
    cr_expect_eq(json_array_size(bins), 3);
    cr_expect(json_is_null(json_object_get(json_array_get(bins, 2), "to")));
    counts = json_object_get(
        json_array_get(json_object_get(json_array_get(json_object_get(r, "by_length"), 0), "models"), 0), "examples");
    const json_int_t want[] = {20, 30, 10};
    for (size_t k = 0; k < 3; k++) cr_expect_eq(json_integer_value(json_array_get(counts, k)), want[k]);
    json_decref(r);

    in.options.times = false;
    r = report();
    cr_expect(!json_object_get(json_array_get(json_object_get(r, "runs"), 0), "time"));
    train = json_array_get(json_object_get(json_array_get(json_object_get(r, "curves"), 0), "series"), 0);
    cr_expect(!json_object_get(train, "seconds") && json_object_get(train, "tokens"));
    json_decref(r);
}

Test(report, differences, .init = setup, .fini = teardown) {
    usual();
    json_t *r = report(), *list = json_object_get(r, "differences");
    cr_expect_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "key")), "model.decoder.cell");
    cr_expect_str_eq(json_string_value(json_array_get(json_object_get(json_array_get(list, 0), "values"), 1)), "gru");
    size_t i;
    json_t *d;
    json_array_foreach (list, i, d) {
        const char *key = json_string_value(json_object_get(d, "key"));
        cr_expect(strncmp(key, "model.", 6) == 0, "%s differs, but not in what the models are", key);
        cr_expect(!json_equal(json_array_get(json_object_get(d, "values"), 0),
                              json_array_get(json_object_get(d, "values"), 1)));
    }
    /* lstm has no gru_reset */
    json_array_foreach (list, i, d)
        if (!strcmp(json_string_value(json_object_get(d, "key")), "model.decoder.gru_reset"))
            cr_expect(json_is_null(json_array_get(json_object_get(d, "values"), 0)));
    json_decref(r);
}

Test(report, damaged_lines_are_named, .init = setup, .fini = teardown) {
    usual();
    char file[2048];
    snprintf(file, sizeof file, "%s/examples.jsonl", path[0]);
    FILE *f = fopen(file, "a");
    fputs("{\"i\": nonsense}\n", f);
    fclose(f);
    json_t *r = json_object();
    cr_expect_eq(rv_report_quality(&in, r), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "examples.jsonl:61:"), "%s", rv_error_message());
    json_decref(r);
}

/* ---- classes */

/* Examples of these classes in turn, each told right so often; moved: the true classes are others. */
static void write_classes(int at, const char *names, int n_classes, double accuracy, int moved) {
    char file[256];
    snprintf(file, sizeof file, "%s/measured.json", path[at]);
    FILE *f = fopen(file, "w");
    fprintf(f, "{\"part\": \"test\", \"step\": %d, \"classes\": %s}\n", STEPS, names);
    fclose(f);
    snprintf(file, sizeof file, "%s/examples.jsonl", path[at]);
    f = fopen(file, "w");
    rv_rng rng = rv_rng_make((uint64_t)at, "classes", 0);
    for (int i = 0; i < EXAMPLES; i++) {
        const int label = (i + moved) % n_classes,
                  said = rv_rng_uniform(&rng) < accuracy ? label : (label + 1) % n_classes;
        fprintf(
            f,
            "{\"i\":%d,\"source_tokens\":3,\"source_words\":2,\"tokens\":1,\"nats\":0.5,\"correct\":%d,\"exact\":%d,"
            "\"hypothesis\":\"x\",\"label\":%d,\"said\":%d}\n",
            i, label == said, label == said, label, said);
    }
    fclose(f);
}

static void usual_classes(void) {
    usual();
    for (int i = 0; i < 6; i++) write_classes(i, "[\"no\", \"yes\", \"perhaps\"]", 3, i % 2 ? 0.95 : 0.5, 0);
}

static bool has_metric(json_t *r, const char *metric) {
    size_t i;
    json_t *q;
    json_array_foreach (json_object_get(r, "quality"), i, q)
        if (!strcmp(json_string_value(json_object_get(q, "metric")), metric)) return true;
    return false;
}

Test(report, classes, .init = setup, .fini = teardown) {
    usual_classes();
    json_t *r = report();
    expect(r, "accuracy", "b", "");
    expect(r, "f1", "b", "");
    cr_expect(!has_metric(r, "exact") && !has_metric(r, "ppl"),
              "exact matches are the accuracy, and no text is predicted");
    const json_t *c = json_array_get(json_object_get(r, "confusion"), 1), *counts = json_object_get(c, "counts");
    int64_t all = 0;
    for (size_t k = 0; k < 9; k++) all += json_integer_value(json_array_get(json_array_get(counts, k / 3), k % 3));
    cr_expect_eq(all, 3 * EXAMPLES, "of all seeds");
    cr_expect_eq(json_integer_value(json_array_get(json_array_get(counts, 0), 2)), 0, "rows are the true classes");
    cr_expect_gt(json_integer_value(json_array_get(json_array_get(counts, 0), 1)), 0);
    json_decref(r);
}

Test(report, classes_that_do_not_compare, .init = setup, .fini = teardown) {
    usual_classes();
    for (int i = 1; i < 6; i += 2) write_classes(i, "[\"no\", \"yes\", \"perhaps\"]", 3, 0.95, 1);
    json_t *r = report();
    expect(r, "f1", "no verdict", "their examples are of different classes");
    expect(r, "accuracy", "no verdict", "their examples are of different classes");
    json_decref(r);
    for (int i = 1; i < 6; i += 2) write_classes(i, "[\"no\", \"yes\", \"maybe\"]", 3, 0.95, 0);
    r = report();
    expect(r, "f1", "no verdict", "they tell different classes");
    json_decref(r);
}

Test(report, classes_that_are_damaged, .init = setup, .fini = teardown) {
    usual_classes();
    json_t *r = json_object();
    write_classes(2, "[\"no\", \"yes\"]", 3, 0.5, 0);
    cr_expect_eq(rv_report_quality(&in, r), RV_EDATA);
    cr_expect(strstr(rv_error_message(),
                     "alpha-s2/examples.jsonl: said of example 1 is none of the 2 classes of measured.json"),
              "%s", rv_error_message());
    write_classes(2, "[\"no\", \"yes\"]", 2, 0.5, 0);
    cr_expect_eq(rv_report_quality(&in, r), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "alpha-s1 tells 3 classes and "), "%s", rv_error_message());
    json_decref(r);
}
