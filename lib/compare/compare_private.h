/* What reading, planning, matching and running a comparison share. */
#ifndef RV_COMPARE_PRIVATE_H
#define RV_COMPARE_PRIVATE_H

#include "compare/comparison.h"
#include "io/json_file.h"
#include "train/model_config.h"

/* A model of the plan by its label; NULL if there is none. */
const json_t *rv__model_of(const rv_comparison *c, const char *label);
/* The configuration of a model: its file with the assignments of the lists (JSON arrays of "key=value"; NULL: none),
 * later ones win. */
rv_status rv__model_config(const json_t *model, const json_t *set, const json_t *more, rv_config **out);
/* Add "defaults" to a model of the plan: the keys that it has by default. */
rv_status rv__list_defaults(json_t *model, const json_t *set);
/* Make the plan. */
rv_status rv__plan_make(const rv_comparison *c, json_t **out);

/* Assignments "path=value" at the end of a list. */
void rv__assign(json_t *list, const char *fmt, ...) RV_PRINTF(2, 3);
/* The learning rate. */
void rv__assign_rate(json_t *list, double lr);
/* The shortest text that reads back as x. */
void rv__number_text(double x, char out[32]);

/* Every combination of the values that a key (a map of key.path: [value, ...]) lists, the last one changing fastest:
 * [{"setting": label, "set": ["key=value"]}], one with nothing in it where the key is not given. */
rv_status rv__combinations(const rv_config *config, const char *key, json_t *out);

/* ---- cells and trials */

bool rv__cell_complete(const rv_cell_info *cell);
bool rv__cell_diverged(const rv_cell_info *cell);

/* Whether rates below (-1) or above (1) those listed are to be tried: where the best one of any model is the least or
 * the greatest of them. Not known before all of these are tried; *missing: one that is not, else 0. */
rv_status rv__beyond_wanted(const rv_comparison *c, int side, rv__wanted *wanted, int *missing);
/* A cell of such a rate, 0: none is planned. */
int rv__beyond_planned(const rv_comparison *c, int side);
/* Add the assignments of a training that its model's trials have chosen. RV_EUSAGE where some are missing, RV_EDIVERGED
 * where all diverged. */
rv_status rv__tuned(const rv_comparison *c, const rv_cell_info *cell, json_t *set);

/* ---- matching */

typedef struct {
    int n;
    const char *key[RV_MODEL_WIDTHS];
    int64_t width[RV_MODEL_WIDTHS];
} rv__widths;
/* A model's size at some widths. */
typedef rv_status (*rv__size_of)(void *ctx, const rv__widths *widths, double *value);
/* The widths that a file gives, as they are. */
void rv__widths_of(const rv_config *config, rv__widths *out);
/* Scale them until the size is nearest to the target, or within the tolerance of it. *value: its size. */
rv_status rv__match_widths(const rv_config *config, double target, double tolerance, rv__size_of size, void *ctx,
                           rv__widths *out, double *value);

#endif
