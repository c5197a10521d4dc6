#include "support/teams.h"

#include <fenv.h>
#include <omp.h>
#include <stdio.h>

#include "base/parallel.h"

enum { REGIONS = 256, THREADS = 64 };

typedef void body(void *data); /* GCC makes a function of each region */
static struct {
    body *run;
    char name[64];
    bool rounded, shared;
} region[REGIONS];
static int regions;

static rv_team seen;
static const char *work;

int __real_rv_threads_for(double flops);
int __wrap_rv_threads_for(double flops);
int __wrap_rv_threads_for(double flops) {
    if (omp_in_parallel()) return 1;
    seen.worth |= __real_rv_threads_for(flops) > 1;
    return rv_threads();
}

/* One entry into a region. */
typedef struct {
    body *run;
    void *data;
    bool rounded[THREADS];
} entry;

static void watched(void *data) {
    entry *e = data;
    feclearexcept(FE_INEXACT);
    e->run(e->data);
    e->rounded[omp_get_thread_num()] = fetestexcept(FE_INEXACT);
}

static void note(const entry *e) {
    int r = 0;
    while (r < regions && region[r].run != e->run) r++;
    RV_ASSERT(r < REGIONS);
    if (r == regions) {
        region[regions++].run = e->run;
        snprintf(region[r].name, sizeof region[r].name, "%s", work ? work : "");
    }
    bool shared = false;
    for (int i = 1; i < THREADS; i++) shared |= e->rounded[i];
    region[r].rounded |= e->rounded[0];
    region[r].shared |= shared;
    seen.regions++;
    seen.rounded |= e->rounded[0];
    seen.shared |= shared;
}

void __real_GOMP_parallel(body *run, void *data, unsigned threads, unsigned flags);
void __wrap_GOMP_parallel(body *run, void *data, unsigned threads, unsigned flags);
void __wrap_GOMP_parallel(body *run, void *data, unsigned threads, unsigned flags) {
    if (omp_in_parallel()) { /* one thread's own affair */
        __real_GOMP_parallel(run, data, threads, flags);
        return;
    }
    RV_ASSERT(threads <= THREADS);
    entry e = {.run = run, .data = data};
    __real_GOMP_parallel(watched, &e, threads, flags);
    note(&e);
}

/* A loop that is handed out in pieces. */
typedef void loop(body *run, void *data, unsigned threads, long start, long end, long step, long piece, unsigned flags);
loop __real_GOMP_parallel_loop_nonmonotonic_dynamic, __wrap_GOMP_parallel_loop_nonmonotonic_dynamic;
void __wrap_GOMP_parallel_loop_nonmonotonic_dynamic(body *run, void *data, unsigned threads, long start, long end,
                                                    long step, long piece, unsigned flags) {
    RV_ASSERT(threads <= THREADS && !omp_in_parallel());
    entry e = {.run = run, .data = data};
    __real_GOMP_parallel_loop_nonmonotonic_dynamic(watched, &e, threads, start, end, step, piece, flags);
    note(&e);
}

void rv_teams_watch(const char *name) {
    work = name;
    seen = (rv_team){0};
}

rv_team rv_teams_seen(void) { return seen; }

const char *rv_teams_alone(int i) {
    for (int r = 0; r < regions; r++)
        if (region[r].rounded && !region[r].shared && i-- == 0) return region[r].name;
    return NULL;
}
