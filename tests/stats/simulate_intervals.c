/* How often the intervals of comparisons hold the truth, and how often equal models get a verdict, by hand:
 *     simulate_intervals [TRIALS [RESAMPLES]]     1,000 trials of 300 resamples take half an hour on one core
 * The figures in lib/compare/README.md are its output. */
#include <stdio.h>

#include "stats/simulated_runs.h"

static const double LEVEL = 0.95;
static int trials = 2000, resamples = 400;

static const rv_corpus_metric *metric_of(const sim_case *c) {
    static const rv_corpus_metric of[] = {{sim_ratio, 0, 1}, {sim_ratio, 0, INFINITY}, {sim_corpus, 0, 100}};
    return &of[c->kind];
}

/* ---- pairs without a difference */

static const sim_case pairs[] = {
    {"right or wrong, seeds", SIM_EXACT, SIM_NORMAL, 1, 0.4, 0.4, 0.3, 200},
    {"right or wrong, skewed seeds", SIM_EXACT, SIM_SKEWED, 1, 0.4, 0.4, 0.3, 200},
    {"right or wrong, near the ceiling", SIM_EXACT, SIM_TWO, 0.992, 0.91, 0, 0, 500},
    {"right or wrong, seeds and examples", SIM_EXACT, SIM_NORMAL, 1, 0.15, 0.3, 0.5, 200},
    {"right or wrong, examples", SIM_EXACT, SIM_NORMAL, 1, 0.01, 0.2, 0.8, 100},
    {"right or wrong, noise alone", SIM_EXACT, SIM_NORMAL, 1, 0, 0.5, 0, 200},
    {"nats, seeds", SIM_NATS, SIM_NORMAL, 0.6, 0.05, 0.5, 0.1, 100},
    {"nats, seeds and examples", SIM_NATS, SIM_NORMAL, 0.6, 0.02, 0.5, 0.2, 100},
    {"nats, examples", SIM_NATS, SIM_NORMAL, 0.6, 0.001, 0.5, 0.3, 1000},
    {"BLEU, seeds", SIM_BLEU, SIM_NORMAL, 1, 0.2, 0.4, 0.3, 100},
    {"BLEU, seeds and examples", SIM_BLEU, SIM_NORMAL, 1, 0.06, 0.2, 0.6, 100},
};
/* Of these, with other numbers of seeds. */
static const int UNPAIRED[] = {0, 2, 3, 7};

/* Shares of trials with a verdict; `half`: mean half-width of the intervals. */
static double false_verdicts(const sim_case *c, int seeds_a, int seeds_b, double *half) {
    int found = 0;
    *half = 0;
    for (int t = 0; t < trials; t++) {
        double *a = sim_model(c, seeds_a, (uint64_t)t, 1), *b = sim_model(c, seeds_b, (uint64_t)t, 2), p;
        rv_interval d;
        if (rv_bootstrap_pair(seeds_a, seeds_b, c->n, a, b, metric_of(c), LEVEL, resamples, &d, &p) != RV_OK) exit(1);
        found += (d.low > 0 || d.high < 0) && p < 1 - LEVEL;
        *half += (d.high - d.low) / 2 / trials;
        free(a);
        free(b);
    }
    return (double)found / trials;
}

static void show_pair(const sim_case *c, int columns, const int seeds[][2]) {
    printf("| %s |", c->name);
    for (int k = 0; k < columns; k++) {
        double half;
        const double found = false_verdicts(c, seeds[k][0], seeds[k][1], &half);
        printf(" %.1f (%.3g) |", 100 * found, half);
        fflush(stdout);
    }
    puts("");
}

/* ---- one model */

static const sim_case models[] = {
    {"accuracy .73, seeds", SIM_EXACT, SIM_NORMAL, 1, 0.4, 0.5, 0, 200},
    {"accuracy .73, seeds and examples", SIM_EXACT, SIM_NORMAL, 1, 0.15, 0.7, 0, 200},
    {"accuracy .95, seeds alike", SIM_EXACT, SIM_NORMAL, 2.95, 0.05, 0.5, 0, 500},
    {"accuracy .95, skewed seeds", SIM_EXACT, SIM_SKEWED, 2.95, 0.4, 0.5, 0, 500},
    {"accuracy .99, seeds alike", SIM_EXACT, SIM_NORMAL, 4.6, 0.05, 0.5, 0, 500},
    {"accuracy .99, seeds differ", SIM_EXACT, SIM_NORMAL, 4.6, 0.6, 0.5, 0, 500},
    {"accuracy .992, one seed in five .91", SIM_EXACT, SIM_TWO, 0.992, 0.91, 0, 0, 500},
    {"the same, examples in common", SIM_EXACT, SIM_TWO, 0.992, 0.91, 0.8, 0, 500},
    {"accuracy .98, one seed in five .8", SIM_EXACT, SIM_TWO, 0.98, 0.8, 0, 0, 500},
    {"accuracy .995, one seed in five .5", SIM_EXACT, SIM_TWO, 0.995, 0.5, 0, 0, 500},
    {"accuracy .999", SIM_EXACT, SIM_NORMAL, 6.9, 0.3, 0.5, 0, 500},
    {"loss 1.8", SIM_NATS, SIM_NORMAL, 0.6, 0.02, 0.5, 0, 100},
    {"loss 0.01, seeds differ by a third", SIM_NATS, SIM_NORMAL, -4.6, 0.33, 1, 0, 100},
    {"loss 0.01, seeds differ by factors", SIM_NATS, SIM_NORMAL, -4.6, 1, 1, 0, 100},
};

static double coverage(const sim_case *c, int seeds, double *half) {
    const double truth = sim_truth(c);
    int held = 0;
    *half = 0;
    for (int t = 0; t < trials; t++) {
        double *x = sim_model(c, seeds, (uint64_t)t, 1);
        rv_interval v;
        if (rv_bootstrap(seeds, c->n, x, metric_of(c), LEVEL, resamples, NULL, &v) != RV_OK) exit(1);
        held += v.low <= truth && truth <= v.high;
        *half += (v.high - v.low) / 2 / trials;
        free(x);
    }
    return (double)held / trials;
}

static void show_model(const sim_case *c) {
    static const int seeds[] = {2, 3, 5, 10};
    printf("| %s |", c->name);
    for (size_t k = 0; k < sizeof seeds / sizeof *seeds; k++) {
        double half;
        const double held = coverage(c, seeds[k], &half);
        printf(" %.1f (%.3g) |", 100 * held, half);
        fflush(stdout);
    }
    puts("");
}

int main(int argc, char **argv) {
    static const int paired[][2] = {{2, 2}, {3, 3}, {5, 5}, {10, 10}}, unpaired[][2] = {{2, 3}, {3, 5}, {5, 10}};
    if (argc > 1) trials = atoi(argv[1]);
    if (argc > 2) resamples = atoi(argv[2]);
    if (trials < 1 || resamples < 1) return 2;
    printf("Level %g, %d trials of %d resamples; in brackets the mean half-width.\n", LEVEL, trials, resamples);
    puts("\n| one model: intervals that hold the truth, % | 2 seeds | 3 | 5 | 10 |\n|---|---|---|---|---|");
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) show_model(&models[i]);
    puts("\n| two that are equal: verdicts, % | 2 seeds | 3 | 5 | 10 |\n|---|---|---|---|---|");
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) show_pair(&pairs[i], 4, paired);
    puts("\n| the same, other numbers of seeds | 2 and 3 | 3 and 5 | 5 and 10 |\n|---|---|---|---|");
    for (size_t i = 0; i < sizeof UNPAIRED / sizeof *UNPAIRED; i++) show_pair(&pairs[UNPAIRED[i]], 3, unpaired);
    return 0;
}
