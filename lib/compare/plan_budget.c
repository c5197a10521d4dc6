/* Budgets: how many steps, and tokens, a model's training takes. */
#include <inttypes.h>
#include <stdio.h>

#include "compare/compare_private.h"
#include "compare/plan_private.h"

/* Walk through the batches of a training until it has done `amount` of tokens or steps. */
static void count_steps(const rv__built *b, bool tokens, int64_t amount, rv__budget *out) {
    const int64_t accumulate = rv_config_int(b->config, "train.accumulate");
    *out = (rv__budget){0};
    while ((tokens ? out->tokens : out->steps) < amount) {
        for (int64_t i = 0; i < accumulate; i++) out->tokens += rv_task_next(b->task)->steps;
        rv_task_commit(b->task);
        out->steps++;
    }
}

/* A model that counts reads the training part once, in one step, whatever it might spend. */
static void count_pass(const rv__built *b, rv__budget *out) {
    *out = (rv__budget){.steps = 1};
    for (int64_t i = rv_task_batches_of_epochs(b->task, 1); i > 0; i--) out->tokens += rv_task_next(b->task)->steps;
}

bool rv__budget_of(const rv_config *comparison, const char *section, bool *tokens, int64_t *amount) {
    char key[64];
    if (!rv_config_has(comparison, section)) return false;
    snprintf(key, sizeof key, "%s.train_tokens", section);
    *tokens = rv_config_has(comparison, key);
    if (!*tokens) snprintf(key, sizeof key, "%s.train_steps", section);
    *amount = rv_config_int(comparison, key);
    return true;
}

rv_status rv__spend(const rv_config *comparison, const char *section, const json_t *model, const json_t *set,
                    int64_t seed, const rv_checkpoint *vocabulary, rv__budget *out) {
    bool tokens;
    int64_t amount;
    if (!rv__budget_of(comparison, section, &tokens, &amount)) return RV_OK;
    json_t *more = json_array();
    rv__assign(more, "seed=%" PRId64, seed);
    rv__built b;
    rv_status status = rv__build(model, set, more, vocabulary, true, &b);
    json_decref(more);
    if (status != RV_OK) return status;
    if (rv_model_config_counts(b.config))
        count_pass(&b, out);
    else
        count_steps(&b, tokens, amount, out);
    rv__discard(&b);
    return RV_OK;
}
