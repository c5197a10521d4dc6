#include "optim/schedule.h"

#include <math.h>
#include <string.h>

static const char *const names[RV_SCHEDULE_COUNT] = {
    [RV_SCHEDULE_CONSTANT] = "constant", [RV_SCHEDULE_STEP] = "step", [RV_SCHEDULE_LINEAR] = "linear",
    [RV_SCHEDULE_COSINE] = "cosine",     [RV_SCHEDULE_NOAM] = "noam", [RV_SCHEDULE_PLATEAU] = "plateau",
};

const char *rv_schedule_name(rv_schedule_kind kind) { return names[kind]; }

rv_status rv_schedule_find(const char *name, rv_schedule_kind *kind) {
    for (int i = 0; i < RV_SCHEDULE_COUNT; i++)
        if (!strcmp(name, names[i])) {
            *kind = (rv_schedule_kind)i;
            return RV_OK;
        }
    return rv_error(RV_EUSAGE, "unknown schedule '%s'; choose one of constant, step, linear, cosine, noam, plateau",
                    name);
}

static double factor_of(const rv_schedule *s) {
    return s->factor != 0 ? s->factor : s->kind == RV_SCHEDULE_NOAM ? 1 : 0.1;
}

rv_status rv_schedule_check(const rv_schedule *s) {
    const char *name = names[s->kind];
    bool to_end = s->kind == RV_SCHEDULE_LINEAR || s->kind == RV_SCHEDULE_COSINE;
    if (!(s->lr >= 0 && isfinite(s->lr)))
        return rv_error(RV_EUSAGE, "schedule %s: lr is %g; it must be a finite number, 0 or more", name, s->lr);
    if (!(s->min_lr >= 0 && s->min_lr <= s->lr))
        return rv_error(RV_EUSAGE, "schedule %s: min_lr is %g; it must lie between 0 and lr (%g)", name, s->min_lr,
                        s->lr);
    if (s->warmup_steps < 0)
        return rv_error(RV_EUSAGE, "schedule %s: warmup_steps is %lld; it must be 0 or more", name,
                        (long long)s->warmup_steps);
    if (!(factor_of(s) > 0 && isfinite(factor_of(s))))
        return rv_error(RV_EUSAGE, "schedule %s: factor is %g; it must be above 0", name, s->factor);
    const bool of_no_steps = s->total_steps == 0 && s->warmup_steps == 0; /* no update asks for a rate */
    if (to_end && s->total_steps <= s->warmup_steps && !of_no_steps)
        return rv_error(RV_EUSAGE, "schedule %s: it ends at step %lld, which must lie beyond warmup_steps (%lld)", name,
                        (long long)s->total_steps, (long long)s->warmup_steps);
    if (s->kind == RV_SCHEDULE_STEP && s->every < 1)
        return rv_error(RV_EUSAGE, "schedule step: step_size must be 1 or more");
    if (s->kind == RV_SCHEDULE_NOAM && (s->warmup_steps < 1 || s->d_model < 1))
        return rv_error(RV_EUSAGE, "schedule noam: warmup_steps and the model's width must be 1 or more");
    if (s->kind == RV_SCHEDULE_PLATEAU && (factor_of(s) >= 1 || s->patience < 0 || s->threshold < 0))
        return rv_error(RV_EUSAGE, "schedule plateau: factor must be below 1, patience and threshold 0 or more");
    return RV_OK;
}

double rv_schedule_lr(const rv_schedule *s, const rv_schedule_state *state, int64_t step) {
    RV_ASSERT(step >= 1);
    if (s->kind == RV_SCHEDULE_NOAM) {
        double n = (double)step, warm = (double)s->warmup_steps;
        return s->lr * factor_of(s) / sqrt((double)s->d_model) * fmin(1 / sqrt(n), n / (warm * sqrt(warm)));
    }
    double warm = step < s->warmup_steps ? (double)step / (double)s->warmup_steps : 1;
    double along = 0; /* from 0 at the end of the warm-up to 1 at total_steps */
    if (s->total_steps > s->warmup_steps)
        along = fmin(1, fmax(0, (double)(step - s->warmup_steps) / (double)(s->total_steps - s->warmup_steps)));
    double cuts = 0; /* times the rate has been multiplied by factor */
    switch (s->kind) {
    case RV_SCHEDULE_LINEAR: return warm * (s->lr + along * (s->min_lr - s->lr));
    case RV_SCHEDULE_COSINE: return warm * (s->min_lr + 0.5 * (1 + cos(M_PI * along)) * (s->lr - s->min_lr));
    case RV_SCHEDULE_STEP: cuts = step > s->warmup_steps ? (double)((step - s->warmup_steps) / s->every) : 0; break;
    case RV_SCHEDULE_PLATEAU: cuts = (double)state->cuts; break;
    default: return warm * s->lr;
    }
    return warm * fmax(s->min_lr, s->lr * pow(factor_of(s), cuts));
}

bool rv_schedule_observe(const rv_schedule *s, rv_schedule_state *st, double metric) {
    if (s->kind != RV_SCHEDULE_PLATEAU) return false;
    /* Relative to the best, as PyTorch's ReduceLROnPlateau; NaN is never better. */
    double bar = st->best * (s->maximise ? 1 + s->threshold : 1 - s->threshold);
    if (!isnan(metric) && (!st->seen || (s->maximise ? metric > bar : metric < bar))) {
        st->seen = true;
        st->best = metric;
        st->bad = 0;
        return false;
    }
    if (++st->bad <= s->patience) return false;
    st->bad = 0;
    st->cuts++;
    return true;
}
