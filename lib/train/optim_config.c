#include "train/optim_config.h"

static void set_real(const rv_config *c, const char *key, double *value) {
    if (rv_config_has(c, key)) *value = rv_config_real(c, key);
}
static void set_int(const rv_config *c, const char *key, int64_t *value) {
    if (rv_config_has(c, key)) *value = rv_config_int(c, key);
}

rv_status rv_optim_from_config(const rv_config *c, rv_params *params, rv_optim **out) {
    rv_optim_kind kind;
    if (!rv_config_has(c, "train.optimizer")) { /* of counts, which no optimiser changes */
        const rv_optim_settings none = rv_optim_defaults(RV_OPTIM_sgd);
        return rv_optim_create(RV_OPTIM_sgd, &none, params, out);
    }
    RV_TRY(rv_optim_find(rv_config_text(c, "train.optimizer.type"), &kind));
    rv_optim_settings s = rv_optim_defaults(kind);
    s.lr = rv_config_real(c, "train.optimizer.lr");
    set_real(c, "train.optimizer.weight_decay", &s.weight_decay);
    set_real(c, "train.optimizer.momentum", &s.momentum);
    set_real(c, "train.optimizer.rho", &s.rho);
    set_real(c, "train.optimizer.eps", &s.eps);
    if (rv_config_has(c, "train.optimizer.nesterov")) s.nesterov = rv_config_bool(c, "train.optimizer.nesterov");
    if (rv_config_has(c, "train.optimizer.betas")) {
        s.beta1 = rv_config_real_at(c, "train.optimizer.betas", 0);
        s.beta2 = rv_config_real_at(c, "train.optimizer.betas", 1);
    }
    return rv_optim_create(kind, &s, params, out);
}

rv_status rv_schedule_from_config(const rv_config *c, bool maximise, rv_schedule *s) {
    *s = (rv_schedule){.kind = RV_SCHEDULE_CONSTANT};
    if (!rv_config_has(c, "train.optimizer")) return RV_OK;
    *s = (rv_schedule){.lr = rv_config_real(c, "train.optimizer.lr"), .maximise = maximise, .threshold = 1e-4};
    RV_TRY(rv_schedule_find(rv_config_text(c, "train.lr_scheduler.type"), &s->kind));
    set_int(c, "train.lr_scheduler.warmup_steps", &s->warmup_steps);
    set_int(c, "train.lr_scheduler.total_steps", &s->total_steps);
    set_real(c, "train.lr_scheduler.min_lr", &s->min_lr);
    set_int(c, "train.lr_scheduler.step_size", &s->every);
    set_real(c, "train.lr_scheduler.factor", &s->factor);
    set_real(c, "train.lr_scheduler.gamma", &s->factor); /* PyTorch's name with the step schedule */
    set_int(c, "train.lr_scheduler.patience", &s->patience);
    static const char *const widths[] = {"model.decoder.hidden_size", "model.encoder.hidden_size",
                                         "model.embedding_dim"};
    for (int i = 0; i < 3 && !s->d_model; i++)
        if (rv_config_has(c, widths[i])) s->d_model = rv_config_int(c, widths[i]);
    return rv_schedule_check(s);
}
