/* "systems" of a report: what each model is, in words, since its label is its author's. */
#include <string.h>

#include "compare/report_data_private.h"
#include "train/model_config.h"

rv_status rv__report_systems(const rv_report_input *in, json_t *report) {
    json_t *list = json_array();
    if (!list) return RV_ENOMEM;
    for (int m = 0; m < in->n_models; m++) {
        char words[RV_MODEL_WORDS] = "";
        for (int i = 0; i < in->n_runs && !*words; i++)
            if (!strcmp(in->run[i].model, in->model[m]) && in->run[i].config) rv_model_words(in->run[i].config, words);
        if (*words) json_array_append_new(list, json_pack("{s:s, s:s}", "model", in->model[m], "text", words));
    }
    json_object_set_new(report, "systems", list);
    return RV_OK;
}
