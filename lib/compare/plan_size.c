/* How large a model is that a plan has built. */
#include "compare/plan_private.h"

rv__size rv__size_of_model(const rv__built *b) {
    rv__size s = {.parameters = rv_params_count(b->params)};
    double flops;
    int64_t positions;
    rv_task_cost(b->task, b->params, &flops, &positions);
    s.flops_per_token = flops / (double)positions;
    for (int i = 0; i < b->params->n; i++)
        if (b->params->p[i]->use == RV_USE_LOOK_UP) s.embedding += rv_numel(&b->params->p[i]->t);
    const rv_model_sizes *sizes = &rv_task_source(b->task)->sizes;
    s.src_vocab = sizes->source_vocab;
    const rv_head_kind *head = rv_model_get_config(rv_task_model(b->task))->head.kind;
    s.tgt_vocab = head->reads == RV_READS_ENCODER ? sizes->outputs : sizes->target_vocab;
    return s;
}
