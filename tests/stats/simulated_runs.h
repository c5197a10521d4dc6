/* Examples of simulated models whose truth is known: for simulate_intervals.c and test_intervals.c. */
#ifndef RV_TEST_SIMULATED_RUNS_H
#define RV_TEST_SIMULATED_RUNS_H

#include <math.h>
#include <stdlib.h>

#include "ravel.h"

/* SIM_EXACT: an example is right or wrong. SIM_NATS: a positive loss of 5 to 14 tokens. SIM_BLEU: counts of n-grams. */
typedef enum { SIM_EXACT, SIM_NATS, SIM_BLEU } sim_kind;
/* What a seed brings, with mean 0 and deviation 1: SIM_SKEWED is an exponential tail to the worse side. SIM_TWO: a
 * seed is good, or with probability 0.2 bad. */
typedef enum { SIM_NORMAL, SIM_SKEWED, SIM_TWO } sim_luck;

typedef struct {
    const char *name;
    sim_kind kind;
    sim_luck luck;
    double level, by_seed; /* of a seed: logistic(level + by_seed luck), for SIM_NATS exp(...); SIM_TWO: good and bad */
    /* What examples bring: to all models, to one model with all its seeds. SIM_NATS: deviations of the logarithm, and
     * 0.3 for each seed alone. Else the shares of examples that draw their chance once for all, and once a model. */
    double common, own;
    int64_t n;
} sim_case;

static double sim_logistic(double x) { return 1 / (1 + exp(-x)); }

static double sim_of_seed(const sim_case *c, double luck) {
    const double x = c->level + c->by_seed * luck;
    if (c->luck == SIM_TWO) return luck < 0 ? c->by_seed : c->level;
    return c->kind == SIM_NATS ? exp(x) : sim_logistic(x);
}

static double sim_luck_of(const sim_case *c, rv_rng *rng) {
    const double worse = c->kind == SIM_NATS ? 1 : -1;
    if (c->luck == SIM_NORMAL) return rv_rng_normal(rng);
    const double u = rv_rng_uniform(rng);
    return c->luck == SIM_TWO ? (u < 0.2 ? -1 : 1) : worse * (-log(1 - u) - 1);
}

/* The mean over all seeds that there could be. */
static double sim_truth(const sim_case *c) {
    const double worse = c->kind == SIM_NATS ? 1 : -1;
    double sum = 0, weight = 0;
    if (c->luck == SIM_TWO) return 0.8 * c->level + 0.2 * c->by_seed;
    for (double x = -9; x <= 40; x += 0.002) {
        const double w = c->luck == SIM_NORMAL ? exp(-x * x / 2) : x > -1 ? exp(-1 - x) : 0;
        sum += w * sim_of_seed(c, c->luck == SIM_NORMAL ? x : worse * x);
        weight += w;
    }
    return sum / weight;
}

static void sim_exact(double p, double chance, double *sums) {
    sums[0] = chance < p;
    sums[1] = 1;
}

/* `p`: of a word; each longer n-gram is right with 0.7 where one word less is. */
static void sim_bleu(double p, double chance, int words, rv_rng *rng, double *sums) {
    int right = 0;
    for (int k = 0; k < words; k++) right += rv_rng_uniform(rng) < 0.5 ? chance < p : rv_rng_uniform(rng) < p;
    for (int order = 0; order < RV_BLEU_ORDER; order++) {
        const int most = words - order;
        int now = 0;
        for (int k = 0; k < right && k < most; k++) now += order == 0 || rv_rng_uniform(rng) < 0.7;
        sums[order] = right = now;
        sums[RV_BLEU_ORDER + order] = most;
    }
    sums[2 * RV_BLEU_ORDER] = words;
    sums[2 * RV_BLEU_ORDER + 1] = words + words % 3 - 1;
}

/* (seeds, n, RV_SUMS) of one model; models of one trial share what examples bring to all. The caller frees it. */
static double *sim_model(const sim_case *c, int seeds, uint64_t trial, uint64_t model) {
    double *x = calloc((size_t)seeds * (size_t)c->n * RV_SUMS, sizeof *x);
    rv_rng luck = rv_rng_make(trial, "sim luck", model), each = rv_rng_make(trial, "sim each", model);
    for (int s = 0; s < seeds; s++) {
        const double of_seed = sim_of_seed(c, sim_luck_of(c, &luck));
        rv_rng all = rv_rng_make(trial, "sim all", 0), own = rv_rng_make(trial, "sim own", model);
        for (int64_t i = 0; i < c->n; i++) {
            double *sums = x + (s * c->n + i) * RV_SUMS;
            const int words = 5 + (int)rv_rng_below(&all, 10);
            if (c->kind == SIM_NATS) {
                const double noise = 0.3, tail = noise * noise + c->common * c->common + c->own * c->own;
                const double by = c->common * rv_rng_normal(&all) + c->own * rv_rng_normal(&own);
                sums[0] = words * of_seed * exp(by + noise * rv_rng_normal(&each) - tail / 2);
                sums[1] = words;
                continue;
            }
            const double which = rv_rng_uniform(&all), for_all = rv_rng_uniform(&all), for_model = rv_rng_uniform(&own),
                         alone = rv_rng_uniform(&each);
            const double chance = which < c->common ? for_all : which < c->common + c->own ? for_model : alone;
            if (c->kind == SIM_EXACT)
                sim_exact(of_seed, chance, sums);
            else
                sim_bleu(of_seed, chance, words, &each, sums);
        }
    }
    return x;
}

static double sim_ratio(const double s[RV_SUMS]) { return s[0] / s[1]; }
static double sim_corpus(const double s[RV_SUMS]) {
    rv_bleu_stats b = {.hyp_len = (int64_t)s[2 * RV_BLEU_ORDER], .ref_len = (int64_t)s[2 * RV_BLEU_ORDER + 1]};
    for (int k = 0; k < RV_BLEU_ORDER; k++) b.counts[k] = (int64_t)s[k], b.totals[k] = (int64_t)s[RV_BLEU_ORDER + k];
    return rv_bleu_from_stats(&(rv_bleu_options){0}, &b).score;
}

#endif
