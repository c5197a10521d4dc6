#include "stats/rates.h"

#include <math.h>

#include "io/json_file.h"

/* The trial with the rate nearest to lr on one side of it, of those with the values that the entry took. */
static const json_t *next_rate(const json_t *entry, double lr, int side) {
    const json_t *best = NULL, *t, *with = json_object_get(entry, "with");
    size_t i;
    json_array_foreach (json_object_get(entry, "tried"), i, t) {
        const double rate = rv_json_double(t, "lr"), at = rv_json_double(best, "lr");
        if (with && !json_equal(with, json_object_get(t, "with"))) continue;
        if (side * (rate - lr) > 0 && (!best || side * (at - rate) > 0)) best = t;
    }
    return best;
}

const json_t *rv__rate_beside(const json_t *entry, int side) {
    return next_rate(entry, rv_json_double(entry, "lr"), side);
}

bool rv__rate_at_edge(const json_t *entry) {
    return isfinite(rv_json_double(entry, "lr")) && !(rv__rate_beside(entry, -1) && rv__rate_beside(entry, 1));
}

json_t *rv__rate_window(const json_t *entry) {
    const double lr = rv_json_double(entry, "lr");
    double end[2] = {lr, lr}, loss = INFINITY;
    const json_t *t;
    size_t i;
    if (!isfinite(lr)) return json_null();
    json_array_foreach (json_object_get(entry, "tried"), i, t) loss = fmin(loss, rv_json_double(t, "loss"));
    for (int k = 0; k < 2; k++)
        while ((t = next_rate(entry, end[k], k ? 1 : -1)) && rv_json_double(t, "loss") - loss <= 0.1 * fabs(loss))
            end[k] = rv_json_double(t, "lr");
    return json_pack("{s:f, s:f}", "low", end[0], "high", end[1]);
}
