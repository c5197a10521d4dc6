#include "models/input.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"

struct rv_input {
    rv_input_config config;
    bool mapped;
    rv_tensor *embedding, *weight, *bias;
    rv_position *position;
};

void rv_input_destroy(rv_input *in) {
    if (!in) return;
    rv_position_destroy(in->position);
    rv_free(in);
}

static rv_tensor *declare_embedding(rv_params *ps, const rv_input_config *c, const char *prefix) {
    rv_tensor *t = rv_params_add(ps, c->init, 2, (int64_t[]){c->vocab_size, c->size}, "%s.embedding.weight", prefix);
    return rv_params_use(ps, t, RV_USE_LOOK_UP);
}

rv_input *rv_input_create(rv_params *ps, const rv_input_config *c, bool mapped, rv_tensor *shared, const char *prefix) {
    rv_input *in = rv_alloc(sizeof *in);
    if (!in) return NULL;
    *in = (rv_input){.config = *c, .mapped = mapped};
    if (c->vocab_size)
        in->embedding = shared ? shared : declare_embedding(ps, c, prefix);
    else if (mapped) {
        const rv_init bias = {.kind = RV_INIT_UNIFORM, .a = 1 / sqrt((double)c->numbers)};
        in->weight = rv_params_add(ps, c->init, 2, (int64_t[]){c->size, c->numbers}, "%s.input.weight", prefix);
        in->bias = rv_params_add(ps, bias, 1, &c->size, "%s.input.bias", prefix);
    }
    char name[64];
    snprintf(name, sizeof name, "%s.position", prefix);
    in->position = rv_position_create(ps, c->position, c->max_length, c->size, c->position_init, name);
    if (in->position) return in;
    rv_input_destroy(in);
    return NULL;
}

int64_t rv_input_size(const rv_input_config *c, bool mapped) { return c->vocab_size || mapped ? c->size : c->numbers; }
rv_tensor *rv_input_embedding(const rv_input *in) { return in->embedding; }

/* A row of the batch-major array to its place in the other layout, `size` bytes each. */
static void arrange(const rv_sequences *s, bool time_major, const void *from, void *to, size_t size) {
    if (!time_major) memcpy(to, from, (size_t)(s->B * s->T) * size);
    for (int64_t b = 0; time_major && b < s->B; b++)
        for (int64_t t = 0; t < s->T; t++)
            memcpy((char *)to + (size_t)(t * s->B + b) * size, (const char *)from + (size_t)(b * s->T + t) * size,
                   size);
}

static rv_tensor *read_ids(rv_tape *tape, rv_input *in, const rv_sequences *s, bool time_major, const int64_t dim[3]) {
    const rv_input_config *c = &in->config;
    int32_t *ids = rv_tape_alloc(tape, (size_t)(s->B * s->T) * sizeof *ids);
    if (!ids) return NULL;
    arrange(s, time_major, s->ids, ids, sizeof *ids);
    rv_tensor *x = rv_embedding(tape, in->embedding, ids, s->B * s->T, c->scale ? sqrt((double)c->size) : 1);
    return x ? rv_reshape(tape, x, 3, dim) : NULL;
}

static rv_tensor *read_numbers(rv_tape *tape, rv_input *in, const rv_sequences *s, bool time_major,
                               const int64_t dim[3]) {
    rv_tensor *x = rv_leaf(tape, false, 3, dim);
    if (!x) return NULL;
    arrange(s, time_major, s->numbers, x->x, (size_t)dim[2] * sizeof *x->x);
    return in->mapped ? rv_linear(tape, x, in->weight, in->bias, RV_ACT_NONE) : x;
}

rv_tensor *rv_input_read(rv_tape *tape, rv_input *in, const rv_sequences *s, bool time_major, const int32_t *start) {
    const rv_input_config *c = &in->config;
    const int64_t width = in->embedding ? c->size : c->numbers;
    const int64_t dim[] = {time_major ? s->T : s->B, time_major ? s->B : s->T, width};
    rv_tensor *x = (in->embedding ? read_ids : read_numbers)(tape, in, s, time_major, dim);
    if (!x || !(in->embedding || in->mapped)) return x; /* numbers as they are: nothing of them is dropped */
    if (c->position != RV_POSITION_NONE) x = rv_position_add(tape, in->position, x, start);
    return rv_dropout(tape, x, c->dropout);
}
