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
/* argp_parse with exit code 2 on bad usage. Returns only when the command should go on. */
void rv__tool_parse(const struct argp *argp, int argc, char **argv, void *input);

#endif
