#include "support/same_bits.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"

/* Work that is handed out by who comes first may all be done before others are awake: then it is done again. */
enum { ATTEMPTS = 50 };

static const char *work;
void rv_bits_begin(void) { rv_teams_watch(work); }

void rv_bits_end(rv_bits *b) {
    const rv_team t = rv_teams_seen();
    b->team.regions += t.regions;
    b->team.worth |= t.worth;
    b->team.rounded |= t.rounded;
    b->team.shared |= t.shared;
}

void rv_bits_add(rv_bits *b, const rv_real *v, int64_t n) {
    b->v = realloc(b->v, (size_t)(b->n + n + 1) * sizeof *b->v);
    cr_assert(b->v);
    if (n) memcpy(b->v + b->n, v, (size_t)n * sizeof *v);
    b->n += n;
}

void rv_bits_drop(rv_bits part[RV_BITS_PARTS]) {
    for (int i = 0; i < RV_BITS_PARTS; i++) {
        free(part[i].v);
        part[i].v = NULL;
        part[i].n = 0;
    }
}

static void expect_equal(const char *name, const rv_bits *one, const rv_bits *many, int threads) {
    for (int i = 0; i < RV_BITS_PARTS; i++) {
        cr_assert_eq(one[i].n, many[i].n);
        cr_expect(!one[i].n || !memcmp(one[i].v, many[i].v, (size_t)one[i].n * sizeof *one[i].v),
                  "%s, part %d: %d threads give other bits than 1", name, i, threads);
    }
}

/* Where the first thread of a region rounds, others must have done so, too. */
static bool shared(const rv_bits *many) { return !many->team.rounded || many->team.shared; }

void rv_bits_expect_same(const char *name, rv_bits_run *run, const void *what) {
    static const int threads[] = {2, 3, 4, 8};
    rv_bits one[RV_BITS_PARTS] = {{NULL}};
    work = name;
    rv_set_threads(1);
    run(what, one);
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        rv_bits many[RV_BITS_PARTS] = {{NULL}};
        rv_set_threads(threads[t]);
        bool all = false;
        for (int attempt = 0; attempt < ATTEMPTS && !all; attempt++) {
            run(what, many);
            expect_equal(name, one, many, threads[t]);
            rv_bits_drop(many);
            all = true;
            for (int i = 0; i < RV_BITS_PARTS; i++) all &= shared(&many[i]);
        }
        for (int i = 0; i < RV_BITS_PARTS; i++) {
            cr_expect(shared(&many[i]), "%s, part %d: the first of %d threads does all of it", name, i, threads[t]);
            cr_expect(!many[i].team.regions || many[i].team.rounded || many[i].team.worth,
                      "%s, part %d: nothing is large enough for more than one thread", name, i);
        }
    }
    rv_bits_drop(one);
    rv_set_threads(0);
}

void rv_bits_expect_regions_shared(void) {
    const char *name;
    for (int i = 0; (name = rv_teams_alone(i)); i++)
        cr_expect_fail("a parallel region that was first met in %s is never shared out", name);
}
