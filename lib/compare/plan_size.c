/* How large a model is that a plan has built. */
#include "compare/plan_private.h"
#include "train/language_model_task.h"
#include "train/translation_task.h"

/* An output layer that is the embedding multiplies, and counts as one of its own would. */
static bool only_looked_up(const rv__built *b, const rv_param *p) {
    return p->t.ndim >= 2 && !(b->task->kind->weight_flops(b->task, p) > 0);
}

rv__size rv__size_of_model(const rv__built *b) {
    rv__size s = {.parameters = rv_params_count(b->params)};
    double flops;
    int64_t positions;
    b->task->kind->cost(b->task, b->params, &flops, &positions);
    s.flops_per_token = flops / (double)positions;
    for (int i = 0; i < b->params->n; i++)
        if (only_looked_up(b, b->params->p[i])) s.embedding += rv_numel(&b->params->p[i]->t);
    if (rv_config_is(b->config, "task", "language_model"))
        s.tgt_vocab = rv_tokenizer_size(rv_lm_task_tokenizer(b->task));
    if (rv_config_is(b->config, "task", "translation")) {
        s.src_vocab = rv_tokenizer_size(rv_translation_task_src_tokenizer(b->task));
        s.tgt_vocab = rv_tokenizer_size(rv_translation_task_tgt_tokenizer(b->task));
    }
    return s;
}
