/* Sample cases of rv_attention_recurrent. */
#include "ops/attention_recurrent_private.h"
#include "ops/ops_private.h"

/* Every cell with what it is used with; hn and cn once each. */
static const int32_t ragged[] = {3, 1};
enum { ALL, HN, CN };
static const struct {
    rv_cell cell;
    rv_score score;
    bool current, feed, states, biases, ragged;
    bool same; /* keys are the memory */
    bool wide; /* columns for more than one thread */
    int64_t T, out, local;
    int which;
} sample[] = {
    {RV_CELL_LSTM, RV_SCORE_ADDITIVE, .states = true, .biases = true, .ragged = true, .T = 5},
    {RV_CELL_GRU_RESET_BEFORE, RV_SCORE_ADDITIVE, .states = true, .biases = true, .T = 3},
    {RV_CELL_GRU, RV_SCORE_ADDITIVE, .biases = true, .ragged = true, .T = 3},
    {RV_CELL_RNN_TANH, RV_SCORE_DOT, .states = true, .ragged = true, .T = 4},
    {RV_CELL_RNN_RELU, RV_SCORE_ADDITIVE, .biases = true, .T = 2},
    {RV_CELL_LSTM, RV_SCORE_DOT, .current = true, .feed = true, .states = true, .biases = true, .ragged = true, .T = 5,
     .out = 3},
    {RV_CELL_GRU, RV_SCORE_DOT, .current = true, .states = true, .same = true, .T = 3, .out = 2},
    {RV_CELL_GRU_RESET_BEFORE, RV_SCORE_DOT, .current = true, .feed = true, .ragged = true, .T = 3, .out = 2},
    {RV_CELL_RNN_TANH, RV_SCORE_ADDITIVE, .current = true, .feed = true, .states = true, .T = 4, .out = 4},
    {RV_CELL_LSTM, RV_SCORE_DOT, .current = true, .T = 3},
    {RV_CELL_LSTM, RV_SCORE_DOT, .current = true, .feed = true, .states = true, .biases = true, .ragged = true, .T = 4,
     .out = 3, .local = 3},
    {RV_CELL_GRU, RV_SCORE_ADDITIVE, .states = true, .T = 3, .local = 2},
    {RV_CELL_GRU, RV_SCORE_ADDITIVE, .states = true, .ragged = true, .T = 3, .which = HN},
    {RV_CELL_LSTM, RV_SCORE_DOT, .states = true, .current = true, .feed = true, .T = 4, .out = 2, .which = CN},
    {RV_CELL_LSTM, RV_SCORE_ADDITIVE, .states = true, .T = 4, .local = 34, .wide = true},
    {RV_CELL_GRU_RESET_BEFORE, RV_SCORE_DOT, .current = true, .feed = true, .T = 4, .out = 35, .wide = true},
};

static rv_tensor *leaf(rv_tape *tape, double most, bool wanted, int ndim, const int64_t *dim) {
    return wanted ? rv_sample_leaf(tape, -most, most, ndim, dim) : NULL;
}

rv_tensor *rv__attention_recurrent_sample(rv_tape *tape, int k) {
    if (k >= (int)(sizeof sample / sizeof *sample)) return NULL;
    const bool wide = sample[k].wide;
    const double most = wide ? 0.3 : 1; /* as many as are summed up would saturate the cell */
    const int64_t B = 2, S = wide ? 11 : 4, E = wide ? 4 : 2, H = wide ? 33 : 3, T = sample[k].T, O = sample[k].out;
    const int64_t P = sample[k].local, GH = rv_cell_gates(sample[k].cell) * H;
    const bool additive = sample[k].score == RV_SCORE_ADDITIVE, states = sample[k].states,
               lstm = sample[k].cell == RV_CELL_LSTM;
    const int64_t D = sample[k].same ? H : wide ? 34 : 4, A = !additive ? H : wide ? 35 : 5;
    const int64_t F = sample[k].feed ? O : sample[k].current ? 0 : D;
    rv_attention_recurrence r = {
        .cell = sample[k].cell,
        .score = sample[k].score,
        .query_current = sample[k].current,
        .x = leaf(tape, most, true, RV_DIMS(T, B, E)),
        .memory = leaf(tape, most, true, RV_DIMS(B, S, D)),
        .lengths = sample[k].ragged ? ragged : NULL,
        .w_query = leaf(tape, most, additive, RV_DIMS(A, H)),
        .v = leaf(tape, most, additive, RV_DIMS(A)),
        .w_ih = leaf(tape, most, true, RV_DIMS(GH, E + F)),
        .w_hh = leaf(tape, most, true, RV_DIMS(GH, H)),
        .b_ih = leaf(tape, most, sample[k].biases, RV_DIMS(GH)),
        .b_hh = leaf(tape, most, sample[k].biases, RV_DIMS(GH)),
        .h0 = leaf(tape, most, states, RV_DIMS(B, H)),
        .c0 = leaf(tape, most, states && lstm, RV_DIMS(B, H)),
        .w_out = leaf(tape, most, O > 0, RV_DIMS(O, D + H)),
        .feed = leaf(tape, most, sample[k].feed, RV_DIMS(B, O)),
        .w_position = leaf(tape, most, P > 0, RV_DIMS(P, H)),
        .v_position = leaf(tape, most, P > 0, RV_DIMS(P)),
        .window = 1.3,
    };
    r.keys = sample[k].same ? r.memory : leaf(tape, most, true, RV_DIMS(B, S, A));
    rv_attention_sequence s = rv_attention_recurrent(tape, &r);
    if (sample[k].which == HN) return s.hn;
    if (sample[k].which == CN) return s.cn;
    return rv_concat(tape, s.output ? 3 : 2, (rv_tensor *[]){s.h, s.context, s.output}, -1);
}
