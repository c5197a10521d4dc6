/* The encoder that is none: the memory is the input itself, with its dropout. What reads it, a chain of tags, say, then
 * sees each position for itself. */
#include "base/arena.h"
#include "models/encoder.h"

struct rv_encoder {
    rv_encoder_config config;
    rv_input *input;
};

static void destroy(rv_encoder *e) {
    if (!e) return;
    rv_input_destroy(e->input);
    rv_free(e);
}

static rv_encoder *create(rv_params *params, const rv_encoder_config *c, rv_tensor *shared) {
    rv_encoder *e = rv_alloc(sizeof *e);
    if (!e) return NULL;
    e->config = *c;
    e->config.input.position = RV_POSITION_NONE;
    e->input = rv_input_create(params, &e->config.input, false, shared, "encoder");
    if (e->input) return e;
    destroy(e);
    return NULL;
}

static int64_t memory_size(const rv_encoder_config *c) { return rv_input_size(&c->input, false); }
static int64_t reverse_size(const rv_encoder_config *c) { return 0; }
static int64_t positions(const rv_encoder_config *c) { return INT64_MAX; }
static double attention_macs(const rv_encoder_config *c, double S) { return 0; }

/* A head that pools finds the last valid position itself: `last` is for those that read two directions. */
static bool forward(rv_tape *tape, rv_encoder *e, const rv_sequences *s, rv_memory *out) {
    *out = (rv_memory){.B = s->B, .S = s->T, .size = memory_size(&e->config), .lengths = s->lengths};
    out->states = rv_input_read(tape, e->input, s, false, NULL);
    if (e->config.summarise) out->summary = rv_pool(tape, out->states, NULL, s->lengths).y;
    return out->states && (out->summary || !e->config.summarise);
}

const rv_encoder_kind rv__encoder_none = {
    .name = "none",
    .create = create,
    .destroy = destroy,
    .forward = forward,
    .memory_size = memory_size,
    .reverse_size = reverse_size,
    .positions = positions,
    .attention_macs = attention_macs,
};
