/* Everything that runs on several threads, for ThreadSanitizer: every op's samples forward and backward, and three
 * training steps of an LSTM and of a GPT, all of it on several threads (support/teams.c). A plain driver;
 * tools/check.sh builds it with clang and libomp, whose Archer tells the sanitizer about barriers and the ends of
 * regions. What it finds it reports by itself. */
#define _GNU_SOURCE
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ravel.h"

enum { THREADS = 4, STEPS = 3 };

static int run_samples(void) {
    int samples = 0;
    rv_tape *tape = rv_tape_create();
    if (!tape) return 0;
    rv_tape_set_training(tape, true);
    for (int i = 0; rv_ops[i]; i++)
        for (int k = 0;; k++, samples++) {
            rv_tape_reset(tape);
            rv_tape_seed(tape, 5, 7);
            rv_tensor *y = rv_ops[i]->sample(tape, k);
            if (!y) break;
            rv_real *dy = calloc((size_t)rv_numel(y) + 1, sizeof *dy);
            rv_status status = dy ? rv_backward_from(tape, y, dy) : RV_ENOMEM;
            free(dy);
            if (status == RV_OK) continue;
            fprintf(stderr, "%s, sample %d: %s\n", rv_ops[i]->name, k, rv_error_message());
            return 0;
        }
    rv_tape_destroy(tape);
    return samples;
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f) {
    (void)s, (void)type, (void)f;
    return remove(path);
}

static rv_status train(const char *folder, const char *name, const char *model) {
    char text[2048];
    int n = snprintf(text, sizeof text,
                     "name: %s\ndata: {path: %s/text, train_fraction: 0.8}\nmodel: %s\n"
                     "train: {batch: {size: 8, length: 20}, max_steps: %d, optimizer: {type: adamw, lr: 1e-2}, "
                     "clip_grad_norm: 1, validate_every: 3}\n"
                     "checkpoint: {dir: %s/%s}\nruntime: {threads: %d}\n",
                     name, folder, model, STEPS, folder, name, THREADS);
    rv_config *config = NULL;
    rv_status status = rv_config_parse(name, text, (size_t)n, 0, NULL, &config);
    rv_train_options options = {0};
    if (status == RV_OK) status = rv_train(config, &options);
    if (status != RV_OK) fprintf(stderr, "%s: %s\n", name, rv_error_message());
    rv_config_destroy(config);
    return status;
}

int main(void) {
    char folder[] = "/tmp/ravel-test-XXXXXX", path[64];
    if (!mkdtemp(folder)) return 1;
    snprintf(path, sizeof path, "%s/text", folder);
    FILE *f = fopen(path, "w");
    if (!f) return 1;
    for (int i = 0; i < 4000; i++) fputc("abcdefgh \n"[i * i % 7 + i % 4], f);
    fclose(f);
    rv_log_set_level(RV_LOG_QUIET);
    rv_set_threads(THREADS);
    if (rv_select_isa("base") != RV_OK) return 1; /* the sanitizer does not see accesses wider than 16 bytes */
    int samples = run_samples();
    bool ok =
        samples > 0 &&
        train(folder, "lstm",
              "{decoder: {type: rnn, cell: lstm, num_layers: 2, hidden_size: 48}, embedding_dim: 24, dropout: 0.1}") ==
            RV_OK &&
        train(folder, "gpt",
              "{decoder: {type: transformer, num_layers: 2, num_heads: 4, hidden_size: 48}, dropout: 0.1}") == RV_OK;
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    printf("%d samples and two trainings on %d threads\n", samples, THREADS);
    return !ok;
}
