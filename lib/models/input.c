#include "models/input.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"

struct rv_input {
    rv_input_config config;
    rv_tensor *embedding, *shape, *weight, *bias;
    rv_letter_net *letters;
    rv_position *position;
};

void rv_input_destroy(rv_input *in) {
    if (!in) return;
    rv_letter_net_destroy(in->letters);
    rv_position_destroy(in->position);
    rv_free(in);
}

static int64_t shape_size(const rv_input_config *c) { return c->shapes ? c->shape_size : 0; }

/* Before any map. */
static int64_t joined_size(const rv_input_config *c) {
    return c->vocab_size ? c->size + rv_letter_net_size(&c->letters) + shape_size(c) : c->numbers;
}

int64_t rv_input_size(const rv_input_config *c, bool mapped) { return mapped ? c->size : joined_size(c); }
rv_tensor *rv_input_embedding(const rv_input *in) { return in->embedding; }

/* ---- creation */

static bool check(const rv_input_config *c, const char *prefix) {
    if (!c->vocab_size && (c->letters.kind != RV_LETTER_NET_NONE || c->shapes)) {
        rv_error(RV_EUSAGE, "%s: letters and shapes are of words, and it reads numbers; leave them out", prefix);
        return false;
    }
    if (c->shapes < 0 || (c->shapes && c->shape_size < 1)) {
        rv_error(RV_EUSAGE, "%s: %lld shapes with embeddings of width %lld; both must be positive", prefix,
                 (long long)c->shapes, (long long)c->shape_size);
        return false;
    }
    return true;
}

static rv_tensor *declare_embedding(rv_params *ps, const rv_input_config *c, const char *prefix) {
    rv_tensor *t = rv_params_add(ps, c->init, 2, (int64_t[]){c->vocab_size, c->size}, "%s.embedding.weight", prefix);
    return rv_params_use(ps, t, RV_USE_LOOK_UP);
}

/* What enters beside the embedding. */
static bool declare_words(rv_params *ps, rv_input *in, const char *prefix) {
    const rv_input_config *c = &in->config;
    char name[64];
    snprintf(name, sizeof name, "%s.letters", prefix);
    if (c->letters.kind != RV_LETTER_NET_NONE && !(in->letters = rv_letter_net_create(ps, &c->letters, name)))
        return false;
    if (!c->shapes) return true;
    in->shape = rv_params_add(ps, c->init, 2, (int64_t[]){c->shapes, c->shape_size}, "%s.shape.weight", prefix);
    rv_params_use(ps, in->shape, RV_USE_LOOK_UP);
    return true;
}

static void declare_map(rv_params *ps, rv_input *in, const char *prefix) {
    const rv_input_config *c = &in->config;
    const int64_t width = joined_size(c);
    const rv_init usual = {.kind = RV_INIT_UNIFORM, .a = 1 / sqrt((double)width)};
    in->weight =
        rv_params_add(ps, c->vocab_size ? usual : c->init, 2, (int64_t[]){c->size, width}, "%s.input.weight", prefix);
    in->bias = rv_params_add(ps, usual, 1, &c->size, "%s.input.bias", prefix);
}

rv_input *rv_input_create(rv_params *ps, const rv_input_config *c, bool mapped, rv_tensor *shared, const char *prefix) {
    if (!check(c, prefix)) return NULL;
    rv_input *in = rv_alloc(sizeof *in);
    if (!in) return NULL;
    *in = (rv_input){.config = *c};
    if (c->vocab_size) in->embedding = shared ? shared : declare_embedding(ps, c, prefix);
    const bool words = declare_words(ps, in, prefix);
    if (mapped && (!c->vocab_size || joined_size(c) > c->size)) declare_map(ps, in, prefix);
    char name[64];
    snprintf(name, sizeof name, "%s.position", prefix);
    if (words) in->position = rv_position_create(ps, c->position, c->max_length, c->size, c->position_init, name);
    if (in->position) return in;
    rv_input_destroy(in);
    return NULL;
}

/* ---- reading */

/* A row of the batch-major array to its place in the other layout, `size` bytes each. */
static void arrange(const rv_sequences *s, bool time_major, const void *from, void *to, size_t size) {
    if (!time_major) memcpy(to, from, (size_t)(s->B * s->T) * size);
    for (int64_t b = 0; time_major && b < s->B; b++)
        for (int64_t t = 0; t < s->T; t++)
            memcpy((char *)to + (size_t)(t * s->B + b) * size, (const char *)from + (size_t)(b * s->T + t) * size,
                   size);
}

/* Ids of the positions in the tape's layout, the tape's. */
static int32_t *arranged(rv_tape *tape, const rv_sequences *s, bool time_major, const int32_t *from) {
    int32_t *ids = rv_tape_alloc(tape, (size_t)(s->B * s->T) * sizeof *ids);
    if (ids) arrange(s, time_major, from, ids, sizeof *ids);
    return ids;
}

/* The shape of each position's word. */
static rv_tensor *read_shape(rv_tape *tape, const rv_input *in, const rv_words *w, const int32_t *which, int64_t n) {
    int32_t *ids = rv_tape_alloc(tape, (size_t)n * sizeof *ids);
    if (!ids) return NULL;
    for (int64_t i = 0; i < n; i++) {
        if (which[i] < 0 || which[i] >= w->n)
            return rv_tape_fail(tape, RV_EDATA, "shapes: word %d at position %lld is not in [0, %lld)", (int)which[i],
                                (long long)i, (long long)w->n);
        ids[i] = w->shape[which[i]];
    }
    return rv_embedding(tape, in->shape, ids, n, 1);
}

/* [embedding; letters; shape] of each position: (B T, joined_size). */
static rv_tensor *read_words(rv_tape *tape, const rv_input *in, const rv_sequences *s, bool time_major) {
    const rv_input_config *c = &in->config;
    const int64_t n = s->B * s->T;
    rv_tensor *part[3] = {NULL};
    int parts = 1;
    const int32_t *ids = arranged(tape, s, time_major, s->ids);
    if (!ids) return NULL;
    part[0] = rv_embedding(tape, in->embedding, ids, n, c->scale ? sqrt((double)c->size) : 1);
    if (!in->letters && !in->shape) return part[0];
    if (!s->words)
        return rv_tape_fail(tape, RV_EUSAGE,
                            "the model reads the letters or shapes of words, and the batch has none; give it words");
    const int32_t *which = arranged(tape, s, time_major, s->words->which);
    if (!which) return NULL;
    if (in->letters) part[parts++] = rv_letter_net_read(tape, in->letters, s->words, which, n);
    if (in->shape) part[parts++] = read_shape(tape, in, s->words, which, n);
    return rv_tape_status(tape) == RV_OK ? rv_concat(tape, parts, part, -1) : NULL;
}

static rv_tensor *read_numbers(rv_tape *tape, const rv_input *in, const rv_sequences *s, bool time_major) {
    rv_tensor *x = rv_leaf(tape, false, 2, (int64_t[]){s->B * s->T, in->config.numbers});
    if (x) arrange(s, time_major, s->numbers, x->x, (size_t)x->dim[1] * sizeof *x->x);
    return x;
}

rv_tensor *rv_input_read(rv_tape *tape, rv_input *in, const rv_sequences *s, bool time_major, const int32_t *start) {
    const rv_input_config *c = &in->config;
    rv_tensor *x = (in->embedding ? read_words : read_numbers)(tape, in, s, time_major);
    x = rv_reshape(tape, x, 3, (int64_t[]){time_major ? s->T : s->B, time_major ? s->B : s->T, joined_size(c)});
    if (in->weight) x = rv_linear(tape, x, in->weight, in->bias, RV_ACT_NONE);
    if (!x || !(in->embedding || in->weight)) return x; /* numbers as they are: nothing of them is dropped */
    if (c->position != RV_POSITION_NONE) x = rv_position_add(tape, in->position, x, start);
    return rv_dropout(tape, x, c->dropout);
}
