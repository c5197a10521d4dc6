/** Optimisers: one update of all parameters from their gradients, with PyTorch 1.13's formulas, defaults and state
 *  names. State is one flat array per slot, parallel to rv_params' x and g.
 *
 *  A step of a trainer:
 *
 *      rv_params_finish_grad(ps);
 *      RV_TRY(rv_grad_norm(ps, &norm));                                  // clip.h
 *      rv_optim_step(o, rv_schedule_lr(&sched, &state, step), rv_clip_factor(norm, max_norm)); */
#ifndef RV_OPTIM_OPTIM_H
#define RV_OPTIM_OPTIM_H

#include "nn/params.h"

/** RV_OPTIM_sgd and so on, from optim.def. */
typedef enum {
#define RV_OPTIM(name, kernel, slots, defaults) RV_OPTIM_##name,
#include "optim/optim.def"
#undef RV_OPTIM
    RV_OPTIM_COUNT
} rv_optim_kind;

/** Settings; a kind uses those that its paper has and ignores the others. Start from rv_optim_defaults. */
typedef struct {
    double lr;           /**< the base rate, for the schedule; rv_optim_step is given the rate of each step */
    double weight_decay; /**< sgd, adam, adadelta: added to the gradient; adamw: decoupled  [Loshchilov 2019] */
    double momentum;     /**< sgd */
    double beta1, beta2; /**< adam, adamw */
    double rho;          /**< adadelta */
    double eps;
    bool nesterov;            /**< sgd; needs momentum */
    bool decay_matrices_only; /**< weight decay only where rv_param.decay is set: not biases and norms. Default for
                                   adamw (PyTorch decays everything); off for the others */
} rv_optim_settings;

typedef struct rv_optim rv_optim;

RV_API rv_optim_settings rv_optim_defaults(rv_optim_kind kind);
/** "adam" and so on. */
RV_API const char *rv_optim_name(rv_optim_kind kind);
/** By name; RV_EUSAGE naming the known ones. */
RV_API rv_status rv_optim_find(const char *name, rv_optim_kind *kind);

/** An optimiser over materialised parameters, which must outlive it; its state starts at 0. Errors: RV_EUSAGE for
 *  settings out of range, RV_ENOMEM. Free with rv_optim_destroy. */
RV_API rv_status rv_optim_create(rv_optim_kind kind, const rv_optim_settings *settings, rv_params *ps, rv_optim **out);
RV_API void rv_optim_destroy(rv_optim *o);
/** One update: every trainable parameter moves by its gradient times grad_scale (the clip factor, see clip.h), at
 *  learning rate lr. Frozen parameters and their state stay as they are. Gradients are not changed.
 *
 *  sgd       b = momentum b + g; x -= lr (nesterov ? g + momentum b : b)               [Sutskever 2013]
 *  adam(w)   m, v the means of g and g^2 at beta1, beta2; x -= lr m^ / (sqrt(v^) + eps), ^ corrected for the start at 0
 *                                                                                      [Kingma 2015, algorithm 1]
 *  adadelta  x -= lr RMS(dx) / RMS(g) g                                                [Zeiler 2012, algorithm 1] */
RV_API void rv_optim_step(rv_optim *o, double lr, double grad_scale);

/** Updates made so far (Adam's t). Setting it is for loading a checkpoint. */
RV_API int64_t rv_optim_steps(const rv_optim *o);
RV_API void rv_optim_set_steps(rv_optim *o, int64_t steps);

/** State, for checkpoints: slots 0 .. n-1, each with a name ("exp_avg") and, for every parameter, an array of its
 *  shape, to be read or written in place. sgd without momentum has none. */
RV_API int rv_optim_slots(const rv_optim *o);
RV_API const char *rv_optim_slot_name(const rv_optim *o, int slot);
RV_API rv_real *rv_optim_slot(const rv_optim *o, int slot, const rv_param *p);
/** A whole slot, rv_params.size elements, parallel to rv_params.x. */
RV_API rv_real *rv_optim_slot_flat(const rv_optim *o, int slot);

#endif
