/* The document of numbers: what was compared, on which machine, how it was made fair, and then the parts that read the
 * runs. */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/parallel.h"
#include "compare/report_data_private.h"
#include "kernels/kernels.h"

/* What follows "model name :" in /proc/cpuinfo. */
static void cpu_name(char *name, size_t size) {
    char line[512];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(name, size, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon) continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(name, size, "%.*s", (int)strcspn(colon, "\n"), colon);
        break;
    }
    if (f) fclose(f);
}

static json_t *machine(void) {
    char cpu[256], system[256] = "unknown";
    struct utsname u;
    cpu_name(cpu, sizeof cpu);
    if (!uname(&u)) snprintf(system, sizeof system, "%.60s %.120s %.60s", u.sysname, u.release, u.machine);
    return json_pack("{s:s, s:i, s:I, s:s, s:s, s:s}", "cpu", cpu, "cores", rv_threads(), "memory_bytes",
                     (json_int_t)sysconf(_SC_PHYS_PAGES) * (json_int_t)sysconf(_SC_PAGESIZE), "isa", rv_k()->isa,
                     "system", system, "ravel", RV_VERSION);
}

static json_t *texts(const char *const *text, int n) {
    json_t *list = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(list, json_string(text[i]));
    return list;
}

/* Every seed once, in the order in which the runs have them. */
static json_t *seeds_of(const rv_report_input *in) {
    json_t *list = json_array();
    for (int i = 0; i < in->n_runs; i++) {
        bool known = false;
        for (size_t k = 0; k < json_array_size(list); k++)
            known |= json_integer_value(json_array_get(list, k)) == in->run[i].seed;
        if (!known) json_array_append_new(list, json_integer(in->run[i].seed));
    }
    return list;
}

/* The commands that make it all again: the comparison's, or one for each run. */
static json_t *reproduce(const rv_report_input *in) {
    json_t *given = json_object_get(in->plan, "reproduce");
    if (given) return json_deep_copy(given);
    json_t *list = json_array();
    for (int i = 0; i < in->n_runs; i++)
        json_array_append_new(list, json_sprintf("ravel train %s/experiment.yaml", in->run[i].path));
    return list;
}

/* A part of the plan, without what the clock said where the report has no times; NULL if it is not there. */
static json_t *planned_part(const rv_report_input *in, const char *key) {
    const json_t *part = json_object_get(in->plan, key);
    json_t *copy = json_is_object(part) ? json_copy((json_t *)part) : NULL;
    if (!in->options.times) json_object_del(copy, "time");
    return copy;
}

rv_status rv_report_build(const rv_report_input *in, json_t **out) {
    json_t *report = json_pack("{s:s, s:s, s:o, s:o, s:o}", "format", "ravel-report 1", "name", in->name, "models",
                               texts(in->model, in->n_models), "settings", texts(in->setting, in->n_settings), "seeds",
                               seeds_of(in));
    *out = NULL;
    if (!report) return rv_error(RV_EDATA, "the name of the comparison or of a model is not UTF-8");
    if (in->options.times) json_object_set_new(report, "machine", machine());
    json_object_set_new(report, "reproduce", reproduce(in));
    static const char *const planned[] = {"made_from", "match", "budget", "tuning"};
    for (int i = 0; i < 4; i++) json_object_set_new(report, planned[i], planned_part(in, planned[i]));
    static rv_status (*const part[])(const rv_report_input *, json_t *) = {
        rv__report_systems, rv_report_runs, rv_report_quality, rv_report_gradient_flow, rv_report_cost};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        rv_status status = part[i](in, report);
        if (status == RV_OK) continue;
        json_decref(report);
        return status;
    }
    *out = report;
    return RV_OK;
}
