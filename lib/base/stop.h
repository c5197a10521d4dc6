/** Asking a run to stop: SIGTERM and SIGINT let the step finish and the state be saved; a second one ends at once. */
#ifndef RV_BASE_STOP_H
#define RV_BASE_STOP_H

#include "base/status.h"

/** Install the handlers (from now on the first signal only sets a flag). */
RV_API void rv_stop_install(void);
/** RV_OK, or RV_ETERM or RV_EINT when a signal asked to stop. */
RV_API rv_status rv_stop_requested(void);

#endif
