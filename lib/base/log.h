/** What ravel says while it works: log lines and a progress bar, on stderr.
 *
 *  On a terminal the bar is redrawn in place; otherwise plain lines appear at most every few seconds. NO_COLOR is
 *  honoured. Results never pass through here: they go to stdout. */
#ifndef RV_BASE_LOG_H
#define RV_BASE_LOG_H

#include <stdint.h>

#include "base/status.h"

typedef enum { RV_LOG_QUIET, RV_LOG_WARN, RV_LOG_INFO, RV_LOG_DEBUG } rv_log_level;

RV_API void rv_log_set_level(rv_log_level level);
/** One line. The progress bar, if any, is cleared first and redrawn after. */
RV_API void rv_info(const char *fmt, ...) RV_PRINTF(1, 2);
RV_API void rv_warn(const char *fmt, ...) RV_PRINTF(1, 2);
RV_API void rv_debug(const char *fmt, ...) RV_PRINTF(1, 2);
/** True if stderr is a terminal that wants colour. */
RV_API bool rv_log_colour(void);

typedef struct rv_progress rv_progress;
/** A bar counting to `total` `unit`s ("step", "MB"), starting at `done`; `what` names the work. NULL never; free with
 *  rv_progress_finish. One that begins while another is shown is not shown itself: data fetched in the course of more.
 */
RV_API rv_progress *rv_progress_start(const char *what, const char *unit, int64_t done, int64_t total);
/** Now `done`; `note` is shown beside the bar ("loss 1.88, 12 k tokens/s"). Cheap: draws at most ten times a second. */
RV_API void rv_progress_update(rv_progress *p, int64_t done, const char *note_fmt, ...) RV_PRINTF(3, 4);
RV_API void rv_progress_finish(rv_progress *p);

/** Seconds on the monotonic clock. */
RV_API double rv_now(void);
/** Peak resident memory of this process in bytes. */
RV_API int64_t rv_peak_memory(void);

#endif
