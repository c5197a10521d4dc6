/* Learning rates that were tried, as the entry of a model in "tuning" has them: {"lr", "tried": [{"lr", "loss"}]}. */
#ifndef RV_STATS_RATES_H
#define RV_STATS_RATES_H

#include <jansson.h>
#include <stdbool.h>

/* Whether the rate it took is the least or the greatest of those tried. */
bool rv__rate_at_edge(const json_t *entry);

/* Of the rates tried next to each other around the one it took, with the other values that it took, the least and the
 * greatest that come to a loss within 10 % of that one's: {"low", "high"}; null where there is no rate. */
json_t *rv__rate_window(const json_t *entry);
/* The trial at the rate next to the entry's own, below (-1) or above (1) it; NULL at the edge. */
const json_t *rv__rate_beside(const json_t *entry, int side);

#endif
