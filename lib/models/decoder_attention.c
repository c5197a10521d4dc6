/* The layer of a recurrent decoder that attends to its memory [Bahdanau 2015, Luong 2015]. */
#include "models/decoder_private.h"

static bool additive(const rv_reading *r) {
    return r->attend == RV_ATTEND_BAHDANAU || r->attend == RV_ATTEND_LUONG_CONCAT;
}

int64_t rv__attention_output(const rv_decoder_config *c) {
    return c->reading.readout_size ? c->reading.readout_size : c->rnn.hidden_size;
}

static rv_status check(const rv_decoder_config *c) {
    const rv_reading *r = &c->reading;
    if (additive(r) && r->attention_size < 1)
        return rv_error(RV_EUSAGE, "decoder: attention_size %lld; additive attention needs a positive one",
                        (long long)r->attention_size);
    if (r->attend == RV_ATTEND_LUONG_DOT && c->memory_size != c->rnn.hidden_size)
        return rv_error(RV_EUSAGE,
                        "decoder: attention luong_dot compares states of %lld numbers with a memory of %lld; make them "
                        "equal, or use "
                        "luong_general, which maps one to the other",
                        (long long)c->rnn.hidden_size, (long long)c->memory_size);
    if (!rv__is_luong(c) && (r->input_feeding || r->local_window > 0))
        return rv_error(RV_EUSAGE,
                        "decoder: input feeding and local attention go with luong's attention; use it or remove them");
    if (r->input_feeding && c->rnn.num_layers > 1)
        return rv_error(RV_EUSAGE,
                        "decoder: input feeding with %d layers; it feeds the attentional vector to the first layer, "
                        "which must be the only one "
                        "here: set num_layers to 1 or input_feeding to false",
                        c->rnn.num_layers);
    if (r->local_window > 0 && r->local_window < 1)
        return rv_error(RV_EUSAGE, "decoder: a local window of %g; it must be at least 1, or 0 for global attention",
                        r->local_window);
    return RV_OK;
}

rv_status rv__attention_declare(rv_params *params, const rv_decoder_config *c, attention_layer *a) {
    RV_TRY(check(c));
    const rv_reading *r = &c->reading;
    int top = c->rnn.num_layers - 1;
    int64_t H = c->rnn.hidden_size, D = c->memory_size, A = r->attention_size, in = top ? H : c->input.size;
    if (r->attend == RV_ATTEND_BAHDANAU) in += D;
    if (r->input_feeding) in += rv__attention_output(c);
    *a = (attention_layer){.cell = rv_rnn_layer_declare(params, &c->rnn, "decoder.rnn", top, in, false)};
    if (additive(r)) {
        a->w_query = rv_params_add(params, r->init, 2, (int64_t[]){A, H}, "decoder.attention.query.weight");
        a->w_key = rv_params_add(params, r->init, 2, (int64_t[]){A, D}, "decoder.attention.key.weight");
        rv_params_use(params, a->w_key, RV_USE_SOURCE);
        a->v = rv_params_add(params, r->vector_init, 1, &A, "decoder.attention.v");
    }
    if (r->attend == RV_ATTEND_LUONG_GENERAL) {
        a->w_key = rv_params_add(params, r->init, 2, (int64_t[]){H, D}, "decoder.attention.key.weight");
        rv_params_use(params, a->w_key, RV_USE_SOURCE);
    }
    if (r->local_window > 0) {
        a->w_position = rv_params_add(params, r->init, 2, (int64_t[]){H, H}, "decoder.attention.position.weight");
        a->v_position = rv_params_add(params, r->vector_init, 1, &H, "decoder.attention.position.v");
    }
    if (rv__is_luong(c))
        a->w_out =
            rv_params_add(params, r->init, 2, (int64_t[]){rv__attention_output(c), D + H}, "decoder.readout.weight");
    return RV_OK;
}

rv_tensor *rv__attention_keys(rv_tape *tape, const attention_layer *a, rv_tensor *states) {
    return a->w_key ? rv_linear(tape, states, a->w_key, NULL, RV_ACT_NONE) : states;
}

rv_attention_sequence rv__attention_run(rv_tape *tape, const rv_decoder_config *c, const attention_layer *a,
                                        const source *from, rv_tensor *x, rv_tensor *h0, rv_tensor *c0,
                                        rv_tensor *feed) {
    const rv_reading *r = &c->reading;
    if (!x) return (rv_attention_sequence){NULL};
    if (r->input_feeding && !feed) {
        feed = rv_leaf(tape, false, 2, (int64_t[]){x->dim[1], rv__attention_output(c)});
        for (int64_t i = 0; feed && i < rv_numel(feed); i++) feed->x[i] = 0;
    }
    rv_attention_recurrence spec = {
        .cell = c->rnn.cell,
        .score = additive(r) ? RV_SCORE_ADDITIVE : RV_SCORE_DOT,
        .query_current = rv__is_luong(c),
        .x = x,
        .memory = from->states,
        .keys = from->keys,
        .lengths = from->lengths,
        .rows = from->rows,
        .w_query = a->w_query,
        .v = a->v,
        .w_ih = a->cell.w_ih,
        .w_hh = a->cell.w_hh,
        .b_ih = a->cell.b_ih,
        .b_hh = a->cell.b_hh,
        .h0 = h0,
        .c0 = c0,
        .w_out = a->w_out,
        .feed = feed,
        .w_position = a->w_position,
        .v_position = a->v_position,
        .window = r->local_window,
    };
    return rv_attention_recurrent(tape, &spec);
}
