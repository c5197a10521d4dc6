/* What a model of a comparison has by default, so that the report can tell differences that nobody asked for. */
#include "compare/compare_private.h"

typedef struct {
    const rv_config *config;
    json_t *keys;
} default_list;

static void add_default(void *ctx, const char *path, const char *text) {
    default_list *l = ctx;
    if (text && rv_config_by_default(l->config, path)) json_array_append_new(l->keys, json_string(path));
}

rv_status rv__list_defaults(json_t *model, const json_t *set) {
    rv_config *config;
    RV_TRY(rv__model_config(model, set, NULL, &config));
    default_list l = {config, json_array()};
    rv_status status = rv_config_each(config, add_default, &l);
    json_object_set_new(model, "defaults", l.keys);
    rv_config_destroy(config);
    return status;
}
