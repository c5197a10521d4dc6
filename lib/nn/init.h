/* Initial values of parameters (the kinds are described at rv_init_kind). */
#ifndef RV_NN_INIT_H
#define RV_NN_INIT_H

#include "nn/params.h"

/* Fill p from its init; the numbers are a function of (seed, p->name). RV_ENOMEM for scratch. */
rv_status rv__init_fill(rv_param *p, uint64_t seed);

#endif
