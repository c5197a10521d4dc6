#define _GNU_SOURCE
#include "overrides.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

void rv__overrides_add(rv_overrides *o, const char *text, struct argp_state *state) {
    if (!strchr(text, '=')) argp_error(state, "'%s' is not of the form key.path=value", text);
    if (o->n == RV_OVERRIDES_MAX)
        argp_error(state, "more than %d assignments; write them into a file", RV_OVERRIDES_MAX);
    o->text[o->n++] = text;
}

void rv__overrides_set(rv_overrides *o, const char *key, const char *value, struct argp_state *state) {
    char *text; /* lives as long as the process */
    if (asprintf(&text, "%s=%s", key, value) < 0)
        argp_failure(state, 1, ENOMEM, "%s", key);
    else
        rv__overrides_add(o, text, state);
}

error_t rv__overrides_parse(rv_overrides *o, const char *what, int key, const char *arg, struct argp_state *state) {
    if (key == 'q') {
        rv_log_set_level(RV_LOG_WARN);
        return 0;
    }
    if (key == ARGP_KEY_NO_ARGS) argp_error(state, "name %s", what);
    if (key != ARGP_KEY_ARG) return ARGP_ERR_UNKNOWN;
    if (!o->path)
        o->path = arg;
    else
        rv__overrides_add(o, arg, state);
    return 0;
}
