#include "train/freeze.h"

#include "train/parts.h"

static const char *name_of(const void *ctx, int i) { return ((const rv_params *)ctx)->p[i]->name; }

static rv_status freeze_part(const rv_config *c, int i, const rv__names *names, rv_params *ps) {
    const char *part = rv_config_text_at(c, "train.freeze", i);
    char hint[1024], where[1024];
    bool any = false;
    for (int k = 0; k < names->n; k++) {
        if (!rv__part_has(part, names->name[k])) continue;
        rv_param_freeze(ps->p[names->tensor[k]]);
        any = true;
    }
    if (any) return RV_OK;
    rv_yaml_where(rv_config_entry_at(c, "train.freeze", i), where, sizeof where);
    return rv_error(RV_EUSAGE, "%s: train.freeze: the model has no part '%s'%s", where, part,
                    rv__part_suggest(names, part, hint, sizeof hint));
}

rv_status rv_freeze(const rv_config *c, rv_params *ps) {
    const int n = rv_config_count(c, "train.freeze");
    rv__names names;
    if (!n) return RV_OK;
    RV_TRY(rv__names_make(ps->n, name_of, ps, true, &names));
    rv_status status = RV_OK;
    for (int i = 0; i < n && status == RV_OK; i++) status = freeze_part(c, i, &names, ps);
    rv__names_free(&names);
    if (status == RV_OK && rv_params_frozen(ps) == rv_params_count(ps))
        return rv_error(RV_EUSAGE,
                        "%s: train.freeze: all parameters are frozen, and nothing is left to train; leave a "
                        "part out, or measure the model as it is with train.max_steps 0",
                        rv_config_where(c, "train.freeze"));
    return status;
}
