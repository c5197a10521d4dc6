/* What the subcommands share. */
#ifndef RV_TOOLS_TOOL_H
#define RV_TOOLS_TOOL_H

#include <argp.h>

#include "ravel.h"

#define RV_COMMAND(name, summary) int rv_cmd_##name(int argc, char **argv);
#include "commands.def"
#undef RV_COMMAND

/* Print "ravel: <recorded message>" (or nothing for RV_OK) and return the exit code. */
int rv__tool_finish(rv_status status);
/* Why not all that was printed to standard output is written; NULL if it is. */
const char *rv__tool_unwritten(void);
/* argp_parse with exit code 2 on bad usage. Returns only when the command should go on. */
void rv__tool_parse(const struct argp *argp, int argc, char **argv, void *input);
/* The argument of an option that takes a whole number from `low` >= 0 to `high`; anything else ends with a message that
 * names the option. */
int64_t rv__tool_whole(const char *arg, const char *option, int64_t low, int64_t high, struct argp_state *state);
/* The same for up to `most` numbers from 1 to `high`, as in 1,2,4, into out; returns how many. */
int rv__tool_wholes(const char *arg, const char *option, int most, int64_t high, bool rising, int64_t *out,
                    struct argp_state *state);

enum { RV__PREFIX = 4096 };
/* Files shall be PATH and an ending, or PATH/name and that where PATH is a folder. RV_EUSAGE, with the option, if
 * nothing can be written there; an ending of up to 7 bytes has room. */
rv_status rv__tool_prefix(const char *path, const char *option, const char *name, char prefix[RV__PREFIX]);

#endif
