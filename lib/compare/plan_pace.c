/* Pace: whether the machine stays as fast while models are timed. The reference, beside which every other model is
 * timed, tells. At another speed of the machine the ratio of two models need not be the same: whatever else runs there
 * costs a model whose threads meet often more than one whose threads seldom do. */
#include <math.h>

#include "base/log.h"
#include "compare/plan_private.h"

/* How often a time that drifts is measured before the plan fails: most of what disturbs a machine is soon over. */
enum { TRIES = 3 };

double rv__drift(double least, double greatest) { return greatest / least - 1; }

bool rv__pace_take(rv__pace *p, double seconds, double tolerance) {
    const double least = p->n ? fmin(p->least, seconds) : seconds;
    const double greatest = p->n ? fmax(p->greatest, seconds) : seconds;
    if (rv__drift(least, greatest) > tolerance) return false;
    if (!p->n++) p->first = seconds;
    p->least = least;
    p->greatest = greatest;
    return true;
}

static rv_status drifted(const rv__pacemaker *r) {
    return rv_error(
        RV_EDATA,
        "%s: matching by wall clock: the machine did not stay equally fast: a step of '%s', the reference, "
        "took %.3g to %.3g us a token, and compare.match.tolerance is %g. Leave the machine alone and run the "
        "same command again, match by parameters or flops, or raise compare.match.tolerance",
        r->where, r->label, 1e6 * r->seen.least, 1e6 * r->seen.greatest, r->tolerance);
}

/* Time the reference alone, or beside another model. */
static rv_status time_once(rv__pacemaker *r, rv__built *other, const json_t *model, const json_t *more, double *seconds,
                           double *ratio) {
    RV_TRY(rv__rebuild(r->b, r->model, r->set, NULL));
    if (other) RV_TRY(rv__rebuild(other, model, r->set, more));
    RV_TRY(rv__time_steps(r->b, other, seconds, ratio));
    rv__pace_take(&r->seen, *seconds, INFINITY);
    return RV_OK;
}

rv_status rv__pace_first(rv__pacemaker *r) {
    double seconds;
    for (int tries = 1;; tries++) {
        RV_TRY(time_once(r, NULL, NULL, NULL, &seconds, NULL));
        if (rv__pace_take(&r->pace, seconds, r->tolerance)) {
            if (r->pace.n == 2) return RV_OK;
            continue;
        }
        if (tries == TRIES) return drifted(r);
        r->pace = (rv__pace){1, seconds, seconds, seconds};
    }
}

rv_status rv__pace_beside(rv__pacemaker *r, rv__built *other, const json_t *model, const json_t *more, double *ratio) {
    double seconds;
    for (int tries = 1;; tries++) {
        RV_TRY(time_once(r, other, model, more, &seconds, ratio));
        if (rv__pace_take(&r->pace, seconds, r->tolerance)) return RV_OK;
        if (tries == TRIES) return drifted(r);
        rv_info("%s takes %.3g us a token, %+.1f %% against the first time; it is measured again", r->label,
                1e6 * seconds, 100 * (seconds / r->pace.first - 1));
    }
}

rv_status rv__pace_alone(rv__pacemaker *r) { return rv__pace_beside(r, NULL, NULL, NULL, NULL); }
