/* ravel doctor: what this machine can do, and what stands in ravel's way on it. */
#define _GNU_SOURCE
#include <hdf5.h>
#include <jansson.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "io/json_file.h"
#include "tool.h"

enum { TEXT = 256 };

/* Everything found goes into one JSON object; the text is printed from it. */
static void put_text(json_t *o, const char *key, const char *fmt, ...) RV_PRINTF(3, 4);
static void put_text(json_t *o, const char *key, const char *fmt, ...) {
    char text[2 * TEXT];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_object_set_new(o, key, json_string(text));
}
static void put_number(json_t *o, const char *key, double x) { json_object_set_new(o, key, rv_json_number(x)); }
static void put_count(json_t *o, const char *key, int64_t n) { json_object_set_new(o, key, json_integer(n)); }

static void warning(json_t *report, const char *fmt, ...) RV_PRINTF(2, 3);
static void warning(json_t *report, const char *fmt, ...) {
    char text[2 * TEXT];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_array_append_new(json_object_get(report, "warnings"), json_string(text));
}

/* The first line of a file without its newline; false if there is none. */
static bool first_line(const char *path, char text[TEXT]) {
    FILE *f = fopen(path, "r");
    bool got = f && fgets(text, TEXT, f);
    if (f) fclose(f);
    if (got) text[strcspn(text, "\n")] = 0;
    return got;
}

/* What follows "key ... :" in a file like /proc/cpuinfo. */
static bool field(const char *path, const char *key, char text[TEXT]) {
    FILE *f = fopen(path, "r");
    bool got = false;
    char line[4096];
    while (f && !got && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) || !colon) continue;
        snprintf(text, TEXT, "%s", colon + 1 + strspn(colon + 1, " \t"));
        text[strcspn(text, "\n")] = 0;
        got = true;
    }
    if (f) fclose(f);
    return got;
}

static void cpu(json_t *report) {
    char text[TEXT];
    json_t *o = json_object(), *supported = json_array();
    json_object_set_new(report, "cpu", o);
    put_text(o, "model", "%s", field("/proc/cpuinfo", "model name", text) ? text : "unknown");
    const char *chosen = rv_k()->isa, *const isas[] = {"avx512", "avx2", "base"};
    for (int i = 0; i < 3; i++)
        if (rv_select_isa(isas[i]) == RV_OK) json_array_append_new(supported, json_string(isas[i]));
    rv_select_isa(chosen);
    put_text(o, "instructions", "%s", chosen);
    if (getenv("RAVEL_ISA")) put_text(o, "RAVEL_ISA", "%s", getenv("RAVEL_ISA"));
    const char *best = json_string_value(json_array_get(supported, 0));
    if (strcmp(best, chosen))
        warning(report, "RAVEL_ISA chooses %s, but this CPU has %s: unset RAVEL_ISA for full speed", chosen, best);
#if defined(__x86_64__)
    if (!strcmp(best, "base"))
        warning(report, "this CPU has no AVX2 with FMA: training is several times slower than on one that has");
#endif
    json_object_set_new(o, "supported", supported);
    char path[TEXT], level[TEXT], type[TEXT], size[TEXT];
    json_t *caches = json_object();
    json_object_set_new(o, "caches", caches);
    for (int i = 0; i < 8; i++) {
#define CACHE(name, into)                                                                                              \
    (snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/" name, i), first_line(path, into))
        if (!CACHE("level", level) || !CACHE("type", type) || !CACHE("size", size)) break;
        char key[TEXT];
        snprintf(key, sizeof key, "L%.8s%s", level, *type == 'D' ? "d" : *type == 'I' ? "i" : "");
        put_text(caches, key, "%s", size);
#undef CACHE
    }
    if (first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", text)) {
        put_text(o, "governor", "%s", text);
        if (!strcmp(text, "powersave") && access("/sys/devices/system/cpu/intel_pstate", F_OK))
            warning(
                report,
                "the frequency governor is powersave: 'cpupower frequency-set -g performance' makes the clock rise");
    }
}

static void threads(json_t *report) {
    json_t *o = json_object();
    json_object_set_new(report, "threads", o);
    cpu_set_t set;
    const int64_t online = sysconf(_SC_NPROCESSORS_ONLN),
                  allowed = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : online;
    put_count(o, "used", rv_threads());
    put_count(o, "online", online);
    put_count(o, "affinity", allowed);
    char quota[TEXT];
    if (first_line("/sys/fs/cgroup/cpu.max", quota)) put_text(o, "cgroup_cpu_max", "%s", quota);
    if (rv_threads() < allowed)
        warning(report, "a cgroup quota (%s) allows fewer CPUs than the %d there are", quota, (int)allowed);
    if (allowed < online)
        warning(report, "the process may run on %d of %d CPUs (taskset, or the batch system): ravel uses those",
                (int)allowed, (int)online);
    if (getenv("OMP_PROC_BIND") || getenv("GOMP_CPU_AFFINITY"))
        warning(report,
                "OMP_PROC_BIND or GOMP_CPU_AFFINITY is set: two runs side by side may be bound to the same CPUs");
    double load;
    if (getloadavg(&load, 1) == 1) {
        put_number(o, "load", load);
        if (load > 0.5 * (double)online)
            warning(report, "other work is running (load %.1f on %d CPUs): these speeds are lower for it", load,
                    (int)online);
    }
}

/* The best of some runs of C (m x n) = A (m x k) B^T, in GFLOP/s. */
static double gemm_speed(int64_t m, int64_t k, int64_t n) {
    rv_real *a = rv_alloc((size_t)(m * k) * sizeof *a), *b = rv_alloc((size_t)(n * k) * sizeof *b),
            *c = rv_alloc((size_t)(m * n) * sizeof *c);
    double best = 0;
    if (a && b && c) {
        rv_gemm g = {.tb = true, .m = m, .n = n, .k = k, .a = a, .b = b, .c = c, .lda = k, .ldb = k, .ldc = n};
        for (double start = rv_now(), end = start; end - start < 0.1;) {
            const double t = rv_now();
            rv_gemm_run(&g);
            end = rv_now();
            const double rate = 2e-9 * (double)m * (double)n * (double)k / (end - t);
            if (rate > best) best = rate;
        }
    }
    rv_free(a), rv_free(b), rv_free(c);
    return best;
}

static void speed(json_t *report) {
    static const struct {
        const char *name;
        int64_t m, k, n;
    } shapes[] = {{"recurrent_step_32x512x2048", 32, 512, 2048}, {"feed_forward_1024x512x2048", 1024, 512, 2048}};
    json_t *list = json_array();
    json_object_set_new(report, "speed", list);
    const int all = rv_threads();
    double one_thread = 0;
    for (int n = 1;; n = all) {
        rv_set_threads(n);
        const double peak = rv_peak_gflops(n);
        if (n == 1) one_thread = peak;
        json_t *o = json_object();
        put_count(o, "threads", n);
        put_number(o, "peak_gflops", peak);
        for (int i = 0; i < 2; i++) {
            const double rate = gemm_speed(shapes[i].m, shapes[i].k, shapes[i].n);
            put_number(o, shapes[i].name, rate);
            if (rate < 0.5 * peak)
                warning(report, "%s runs at %.0f%% of the peak with %d thread%s: is other work running?",
                        shapes[i].name, 100 * rate / peak, n, n == 1 ? "" : "s");
        }
        if (peak < 0.7 * n * one_thread)
            warning(report,
                    "%d threads reach %.1f times the peak of one: the CPUs share cores (hyper-threads), or other work "
                    "is running",
                    n, peak / one_thread);
        json_array_append_new(list, o);
        if (n == all) break;
    }
}

static void memory(json_t *report) {
    json_t *o = json_object();
    json_object_set_new(report, "memory", o);
    char text[TEXT];
    static const char *const keys[][2] = {{"MemTotal", "total_mb"}, {"MemAvailable", "available_mb"}};
    for (int i = 0; i < 2; i++)
        if (field("/proc/meminfo", keys[i][0], text)) put_count(o, keys[i][1], strtoll(text, NULL, 10) / 1024);
    const json_t *available = json_object_get(o, "available_mb");
    if (available && json_integer_value(available) < 1024)
        warning(report, "only %lld MB of memory are available; models with large vocabularies need more",
                (long long)json_integer_value(available));
    if (first_line("/sys/fs/cgroup/memory.max", text)) put_text(o, "cgroup_memory_max", "%s", text);
    if (first_line("/sys/kernel/mm/transparent_hugepage/enabled", text)) {
        put_text(o, "huge_pages", "%s", text);
        if (strstr(text, "[never]"))
            warning(
                report,
                "transparent huge pages are off: 'madvise' in /sys/kernel/mm/transparent_hugepage/enabled is faster");
    }
}

static void libraries(json_t *report) {
    json_t *o = json_object();
    json_object_set_new(report, "versions", o);
    unsigned a = 0, b = 0, c = 0;
    H5get_libversion(&a, &b, &c);
    put_text(o, "ravel", "%s", RV_VERSION);
    put_text(o, "compiler", "%s", __VERSION__);
    put_text(o, "hdf5", "%u.%u.%u", a, b, c);
    put_text(o, "libyaml", "%s", yaml_get_version_string());
    put_text(o, "jansson", "%s", JANSSON_VERSION);
}

/* "key: value" lines, nested objects indented. */
static void print(const json_t *o, int depth) {
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)o, key, value) {
        if (!strcmp(key, "warnings")) continue;
        printf("%*s%s:", 2 * depth, "", key);
        if (json_is_object(value)) {
            printf("\n");
            print(value, depth + 1);
        } else if (json_is_array(value)) {
            for (size_t i = 0; i < json_array_size(value); i++) {
                const json_t *e = json_array_get(value, i);
                if (json_is_string(e)) {
                    printf(" %s", json_string_value(e));
                } else {
                    printf("\n");
                    print(e, depth + 1);
                }
            }
            if (json_is_string(json_array_get(value, 0))) printf("\n");
        } else if (json_is_string(value)) {
            printf(" %s\n", json_string_value(value));
        } else if (json_is_integer(value)) {
            printf(" %lld\n", (long long)json_integer_value(value));
        } else {
            printf(" %.1f\n", json_real_value(value));
        }
    }
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    if (key == 'j') *(bool *)state->input = true;
    if (key == ARGP_KEY_ARG) argp_error(state, "'%s': doctor takes no arguments", arg);
    return key == 'j' || key == ARGP_KEY_ARG ? 0 : ARGP_ERR_UNKNOWN;
}

int rv_cmd_doctor(int argc, char **argv) {
    static const struct argp_option opts[] = {{"json", 'j', NULL, 0, "print one JSON object", 0}, {0}};
    static const struct argp argp = {
        opts,
        parse,
        NULL,
        "Look at this machine: the CPU, the instruction set chosen (RAVEL_ISA=avx512, avx2 or base forces one), "
        "threads "
        "and what limits them, caches, memory, library versions, and how fast two matrix products run beside the CPU's "
        "peak (GFLOP/s, on one thread and on all). Takes about a second. Warnings come last.\v"
        "examples:\n  ravel doctor\n  RAVEL_ISA=avx2 ravel doctor --json",
        NULL,
        NULL,
        NULL};
    bool as_json = false;
    rv__tool_parse(&argp, argc, argv, &as_json);
    json_t *report = json_object();
    json_object_set_new(report, "warnings", json_array());
    libraries(report);
    cpu(report);
    threads(report);
    memory(report);
    speed(report);
    const json_t *warnings = json_object_get(report, "warnings");
    if (as_json) {
        json_dumpf(report, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        printf("\n");
    } else {
        print(report, 0);
        for (size_t i = 0; i < json_array_size(warnings); i++)
            printf("warning: %s\n", json_string_value(json_array_get(warnings, i)));
        if (!json_array_size(warnings)) printf("no problems found\n");
    }
    json_decref(report);
    return rv__tool_finish(RV_OK);
}
