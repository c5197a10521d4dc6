/** metrics.jsonl: what a run measured, one JSON object a line, in the order of the steps. Kinds: train, valid, and
 *  diverged ("why"), which ends the log of a run that did.
 *
 *  A line starts {"step":N,"kind":"train",...} and is written whole with one write() as soon as it is ended. Real
 * numbers have 9 significant digits; NaN and infinities, which JSON lacks, are null. A disk error is warned of once;
 * the lines that fail are lost and training goes on. */
#ifndef RV_IO_METRICS_H
#define RV_IO_METRICS_H

#include <stdint.h>

#include "base/status.h"

typedef struct rv_metrics rv_metrics;
/** Open for appending, made if needed. First drop, atomically, every line of a step after `resume_step` and every line
 *  that is torn, so that a resumed run's file becomes that of a run that was never stopped (times apart). -1: start
 *  empty. So write a step's lines before its checkpoint. redo: the kind of resume_step's lines that are dropped, too,
 *  because they will be written again, or NULL. RV_EUSAGE if the file cannot be read or written. */
RV_API rv_status rv_metrics_open(const char *path, int64_t resume_step, const char *redo, rv_metrics **out);
/** Start a line. Each begin needs its end. */
RV_API void rv_metrics_begin(rv_metrics *m, int64_t step, const char *kind);
RV_API void rv_metrics_real(rv_metrics *m, const char *key, double value);
RV_API void rv_metrics_int(rv_metrics *m, const char *key, int64_t value);
/** Bytes that are not UTF-8 become U+FFFD. */
RV_API void rv_metrics_text(rv_metrics *m, const char *key, const char *value);
RV_API void rv_metrics_end(rv_metrics *m);
/** fsync: call before saving a checkpoint, so that a power cut cannot keep the checkpoint and lose the lines before it.
 */
RV_API void rv_metrics_sync(rv_metrics *m);
/** NULL is allowed. */
RV_API void rv_metrics_close(rv_metrics *m);

#endif
