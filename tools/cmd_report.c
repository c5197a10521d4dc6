/* ravel report */
#include <stdio.h>
#include <string.h>

#include "data/files.h"
#include "tool.h"

typedef struct {
    const char *path, *output;
} arguments;

static const struct argp_option options[] = {
    {"output", 'o', "DIR", 0, "Where report.html goes (default: beside the document)", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    arguments *a = state->input;
    switch (key) {
    case 'o': a->output = arg; return 0;
    case ARGP_KEY_ARG:
        if (a->path) argp_error(state, "one document at a time");
        a->path = arg;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "name a report.json"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* The folder of a file. */
static void folder_of(const char *path, char out[RV__PATH]) {
    const char *slash = strrchr(path, '/');
    snprintf(out, RV__PATH, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
}

static rv_status draw(const arguments *a) {
    json_error_t error;
    json_t *report = json_load_file(a->path, 0, &error);
    if (!report) return rv_error(RV_EDATA, "%s:%d: %s; a report.json is expected here", a->path, error.line > 0 ? error.line : 1, error.text);
    char dir[RV__PATH], page[RV__PATH];
    folder_of(a->path, dir);
    const char *to = a->output ? a->output : dir;
    rv_status status = rv__make_folders(to);
    if (status == RV_OK) status = rv__path(page, "%s/report.html", to);
    if (status == RV_OK) status = rv_report_page(report, page);
    json_decref(report);
    if (status == RV_OK) printf("%s\n", page);
    return status;
}

int rv_cmd_report(int argc, char **argv) {
    static const struct argp argp = {options, parse, "report.json",
                                     "Draw report.html from a document of numbers.\v"
                                     "examples:\n"
                                     "  ravel report runs/dates/report.json",
                                     0, 0, 0};
    arguments a = {0};
    rv__tool_parse(&argp, argc, argv, &a);
    return rv__tool_finish(draw(&a));
}
