/* A model as a plan needs it: built from its file, and built again at other widths without reading its data again. */
#include "compare/compare_private.h"
#include "compare/plan_private.h"
#include "io/items.h"

void rv__discard(rv__built *b) {
    rv_task_destroy(b->task);
    rv_params_destroy(b->params);
    rv_config_destroy(b->config);
    *b = (rv__built){0};
}

rv_status rv__build(const json_t *model, const json_t *set, const json_t *more, const rv_checkpoint *saved,
                    bool with_data, rv__built *b) {
    *b = (rv__built){.params = rv_params_create()};
    rv_status status = b->params ? rv__model_config(model, set, more, &b->config) : RV_ENOMEM;
    if (status == RV_OK) status = rv_task_create(b->config, saved, with_data, b->params, &b->task);
    if (status != RV_OK) rv__discard(b);
    return status;
}

rv_status rv__rebuild(rv__built *b, const json_t *model, const json_t *set, const json_t *more) {
    rv_config *config = NULL;
    rv_params *params = rv_params_create();
    rv_status status = params ? rv__model_config(model, set, more, &config) : RV_ENOMEM;
    if (status != RV_OK) {
        rv_params_destroy(params);
        return status;
    }
    status = rv_task_rebuild(b->task, config, params);
    rv_params_destroy(b->params);
    rv_config_destroy(b->config);
    b->config = config;
    b->params = params;
    return status;
}

rv_status rv__keep_vocabulary(const rv__built *b, rv_checkpoint **out) {
    rv_items items = {0};
    rv_status status = rv_task_save(b->task, &items);
    if (status == RV_OK) status = rv_items_status(&items);
    if (status == RV_OK) status = rv_checkpoint_of("the vocabulary", items.n, items.item, out);
    rv_items_free(&items);
    return status;
}
