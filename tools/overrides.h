/* "WHAT [key.path=value ...]": the arguments of the commands that read an experiment. */
#ifndef RV_TOOLS_OVERRIDES_H
#define RV_TOOLS_OVERRIDES_H

#include <argp.h>

enum { RV_OVERRIDES_MAX = 256 };
typedef struct {
    const char *path; /* the first argument: an experiment file, a run's folder or a checkpoint */
    const char *text[RV_OVERRIDES_MAX];
    int n;
} rv_overrides;

/* Take "key.path=value"; too many of them, or another form, ends the program as bad usage. */
void rv__overrides_add(rv_overrides *o, const char *text, struct argp_state *state);
/* The same from a long option's key and value. */
void rv__overrides_set(rv_overrides *o, const char *key, const char *value, struct argp_state *state);
/* A row of argp options, at the end of the command's own: the default key below takes it. */
#define RV__QUIET(group)                                                                                               \
    { "quiet", 'q', 0, 0, "Say only warnings and errors", group }

/* What an argp parser does with plain arguments and -q: `what` names the first in the message when it is missing. Other
 * keys give ARGP_ERR_UNKNOWN. */
error_t rv__overrides_parse(rv_overrides *o, const char *what, int key, const char *arg, struct argp_state *state);

#endif
