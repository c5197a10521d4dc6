/* Source adding: sequences of numbers, made as they are needed, and one number to be told of each. */
#include <math.h>

#include "base/arena.h"
#include "data/adding.h"
#include "train/source_private.h"

typedef struct {
    rv_source base;
    rv_adding part[3]; /* by rv_subset */
    int64_t count[3];  /* examples that are measured */
    int64_t B;
    rv_adding_batch batch;
    rv_cursor at; /* position: index of the next example. There are no epochs: no example comes twice */
} adding;

/* ---- beginning and end */

static void close(rv_source *s) {
    adding *a = (adding *)s;
    rv_adding_batch_free(&a->batch);
    rv_free(a);
}

static void describe_data(adding *a) {
    const rv_config *c = a->base.config;
    static const char *const streams[] = {"adding.train", "adding.valid", "adding.test"};
    for (int i = 0; i < 3; i++)
        a->part[i] = (rv_adding){.seed = (uint64_t)rv_config_int(c, i == RV_SUBSET_TRAIN ? "seed" : "data.seed"),
                                 .stream = streams[i],
                                 .min_length = rv_config_int(c, "data.min_length"),
                                 .max_length = rv_config_int(c, "data.max_length")};
    a->count[RV_SUBSET_TRAIN] = a->count[RV_SUBSET_VALID] = rv_config_int(c, "data.valid_examples");
    a->count[RV_SUBSET_TEST] = rv_config_int(c, "data.test_examples");
}

static rv_model_sizes sizes(const rv_config *c) {
    return (rv_model_sizes){
        .numbers = RV_ADDING_INPUTS, .outputs = 1, .positions = rv_config_int(c, "data.max_length")};
}

static rv_status open(const rv_config *config, const rv_checkpoint *saved, bool with_data, rv_source **out) {
    adding *a = rv_alloc(sizeof *a);
    if (!a) return RV_ENOMEM;
    a->base = (rv_source){.kind = &rv__source_adding, .config = config, .sizes = sizes(config)};
    a->B = rv_config_int(config, "train.batch.size");
    describe_data(a);
    *out = &a->base;
    return with_data ? rv_adding_batch_alloc(&a->batch, a->B, a->part[0].max_length) : RV_OK;
}

/* ---- training */

static void give(const rv_adding_batch *b, rv_batch *out) {
    *out = (rv_batch){.source = {.B = b->B, .T = b->T, .numbers = b->x, .lengths = b->lengths},
                      .B = b->B,
                      .number = b->target,
                      .targets = b->B};
    for (int64_t i = 0; i < b->B; i++) out->steps += b->lengths[i]; /* what tokens are elsewhere */
}

static void next(rv_source *s, rv_batch *out) {
    adding *a = (adding *)s;
    rv_adding_fill(&a->part[RV_SUBSET_TRAIN], a->at.position, a->B, false, &a->batch);
    a->at.position += a->B;
    a->at.step++;
    give(&a->batch, out);
}

static void largest(rv_source *s, rv_batch *out) {
    adding *a = (adding *)s;
    rv_adding_fill(&a->part[RV_SUBSET_TRAIN], a->at.position, a->B, true, &a->batch);
    give(&a->batch, out);
}

static rv_cursor cursor(const rv_source *s) { return ((const adding *)s)->at; }

static rv_status seek(rv_source *s, rv_cursor at) {
    if (at.position < 0 || at.step < 0)
        return rv_error(RV_ECKPT,
                        "data cursor (position %lld, step %lld) is impossible; the checkpoint was not written by ravel "
                        "train",
                        (long long)at.position, (long long)at.step);
    ((adding *)s)->at = at;
    return RV_OK;
}

static void typical(const rv_source *s, double *B, double *S, double *T) {
    const adding *a = (const adding *)s;
    *B = (double)a->B;
    *S = *T = (double)(a->part[0].min_length + a->part[0].max_length) / 2;
}

/* ---- measuring: every part is made as it is needed */

struct rv_pass {
    const rv_adding *part;
    int64_t n, B, next;
    rv_adding_batch batch;
    int64_t *index;
};

static void pass_end(rv_pass *p) {
    if (!p) return;
    rv_adding_batch_free(&p->batch);
    rv_free(p->index);
    rv_free(p);
}

static rv_status begin(const rv_adding *part, int64_t n, int64_t B, rv_pass **out) {
    rv_pass *p = *out = rv_alloc(sizeof *p);
    if (!p) return RV_ENOMEM;
    *p = (rv_pass){.part = part, .n = n, .B = B, .index = rv_alloc((size_t)B * sizeof *p->index)};
    if (p->index && rv_adding_batch_alloc(&p->batch, B, part->max_length) == RV_OK) return RV_OK;
    pass_end(p);
    *out = NULL;
    return RV_ENOMEM;
}

static rv_status pass(rv_source *s, rv_subset subset, int64_t most, rv_pass **out, int64_t *rows) {
    const adding *a = (const adding *)s;
    *rows = a->count[subset];
    return begin(&a->part[subset], a->count[subset], a->B, out);
}

static bool pass_next(rv_pass *p, rv_batch *out) {
    if (p->next >= p->n) return false;
    const int64_t left = p->n - p->next, rows = left < p->B ? left : p->B;
    rv_adding_fill(p->part, p->next, rows, false, &p->batch);
    give(&p->batch, out);
    for (int64_t i = 0; i < rows; i++) p->index[i] = p->next++;
    out->index = p->index;
    return true;
}

static rv_status check(rv_source *s, rv_subset subset, bool watched) { return RV_OK; }

/* One by one. */
static rv_status look(rv_source *s, int64_t length, rv_pass **out, int64_t *examples, int64_t *longest) {
    const adding *a = (const adding *)s;
    const int64_t count = a->count[RV_SUBSET_VALID];
    rv_batch b;
    *examples = count < RV_LOOK_EXAMPLES ? count : RV_LOOK_EXAMPLES;
    *longest = 0;
    RV_TRY(begin(&a->part[RV_SUBSET_VALID], *examples, 1, out));
    while (pass_next(*out, &b))
        if (b.source.T > *longest) *longest = b.source.T;
    (*out)->next = 0;
    return RV_OK;
}

const rv_source_kind rv__source_adding = {
    .name = "adding",
    .open = open,
    .close = close,
    .sizes = sizes,
    .next = next,
    .largest = largest,
    .cursor = cursor,
    .seek = seek,
    .typical = typical,
    .check = check,
    .pass = pass,
    .pass_next = pass_next,
    .pass_end = pass_end,
    .look = look,
};
