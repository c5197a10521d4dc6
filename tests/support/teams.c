#include "support/teams.h"

#include <fenv.h>
#include <omp.h>

#include "base/parallel.h"

static rv_team seen;
/* OpenMP ends threads and makes others, which inherit their maker's flags: only those that were here when the watch
 * began count. */
static unsigned watch;
static _Thread_local unsigned watched;

int __real_rv_threads_for(double flops);
int __wrap_rv_threads_for(double flops);
int __wrap_rv_threads_for(double flops) {
    if (omp_in_parallel()) return 1;
    if (!seen.asked) feclearexcept(FE_INEXACT); /* what led up to the work, such as making its numbers, is not meant */
    seen.asked = true;
    seen.worth |= __real_rv_threads_for(flops) > 1;
    return rv_threads();
}

void rv_teams_watch(void) {
    seen = (rv_team){0};
    watch++;
#pragma omp parallel num_threads(rv_threads())
    {
        watched = watch;
        feclearexcept(FE_INEXACT);
    }
}

rv_team rv_teams_seen(void) {
    enum { MOST = 64 };
    bool rounded[MOST] = {false};
    RV_ASSERT(rv_threads() <= MOST);
#pragma omp parallel num_threads(rv_threads())
    rounded[omp_get_thread_num()] = watched == watch && fetestexcept(FE_INEXACT);
    seen.rounded |= rounded[0];
    for (int i = 1; i < MOST; i++) seen.shared |= rounded[i];
    return seen;
}
