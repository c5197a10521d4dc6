/** Learning-rate schedules: the rate as a pure function of the update's number, so that a resumed run needs nothing but
 *  its step count; plateau also depends on a small state that can be saved. */
#ifndef RV_OPTIM_SCHEDULE_H
#define RV_OPTIM_SCHEDULE_H

#include <stdint.h>

#include "base/status.h"

typedef enum {
    RV_SCHEDULE_CONSTANT,
    RV_SCHEDULE_STEP,    /**< times `factor` at every `every`-th step after the warm-up */
    RV_SCHEDULE_LINEAR,  /**< straight from lr after the warm-up to min_lr at total_steps */
    RV_SCHEDULE_COSINE,  /**< half a cosine from lr after the warm-up to min_lr at total_steps  [Loshchilov 2017] */
    RV_SCHEDULE_NOAM,    /**< lr factor d^-0.5 min(s^-0.5, s warmup^-1.5)  [Vaswani 2017, eq. 3] */
    RV_SCHEDULE_PLATEAU, /**< times `factor` when the metric has not improved for `patience` observations */
    RV_SCHEDULE_COUNT
} rv_schedule_kind;

/** Updates are counted from 1, as [Vaswani 2017] has it, and without a warm-up the rate of update s is what PyTorch's
 * scheduler of that kind has after s calls of step(): min_lr is the rate of update total_steps, the last one. All kinds
 * but noam (which has its own) begin with a linear warm-up: lr s / warmup_steps at step s = 1 .. warmup_steps. */
typedef struct {
    rv_schedule_kind kind;
    double lr;            /**< base rate */
    double min_lr;        /**< linear, cosine: the end; step, plateau: never below */
    int64_t warmup_steps; /**< 0: none; noam needs at least 1 */
    int64_t total_steps;  /**< linear, cosine; the rate stays at min_lr beyond */
    int64_t every;        /**< step */
    double factor;        /**< step, plateau (0.1 if 0), noam (1 if 0) */
    int64_t d_model;      /**< noam */
    int64_t patience;     /**< plateau: observations without improvement that are borne */
    double threshold;     /**< plateau: relative improvement that counts (PyTorch's default is 1e-4) */
    bool maximise;        /**< plateau: larger is better */
} rv_schedule;

/** Plateau's state; start from {0} and save it with the run. */
typedef struct {
    bool seen; /**< best is set */
    double best;
    int64_t bad;  /**< observations since the best */
    int64_t cuts; /**< how often the rate was cut */
} rv_schedule_state;

/** "cosine" and so on, and back; RV_EUSAGE naming the known ones. */
RV_API const char *rv_schedule_name(rv_schedule_kind kind);
RV_API rv_status rv_schedule_find(const char *name, rv_schedule_kind *kind);
/** RV_EUSAGE if a number that the kind needs is missing or out of range. */
RV_API rv_status rv_schedule_check(const rv_schedule *s);
/** The rate of update `step`, counted from 1. state may be NULL but for plateau. */
RV_API double rv_schedule_lr(const rv_schedule *s, const rv_schedule_state *state, int64_t step);
/** Tell plateau the metric of a validation. True if it cut the rate. Other kinds ignore it. */
RV_API bool rv_schedule_observe(const rv_schedule *s, rv_schedule_state *state, double metric);

#endif
