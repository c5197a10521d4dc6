/* Sample cases of rv_attention_recurrent. */
#include "ops/attention_recurrent_private.h"
#include "ops/ops_private.h"

/* Every cell with what it is used with; hn and cn once each. */
static const int32_t ragged[] = {3, 1};
enum { ALL, HN, CN };
static const struct {
    rv_cell cell;
    rv_score score;
    bool current, feed, states, biases, ragged, same; /* same: keys are the memory */
    int64_t T, out, local;
    int which;
} sample[] = {
    {RV_CELL_LSTM, RV_SCORE_ADDITIVE, .states = true, .biases = true, .ragged = true, .T = 5},
    {RV_CELL_GRU_RESET_BEFORE, RV_SCORE_ADDITIVE, .states = true, .biases = true, .T = 3},
    {RV_CELL_GRU, RV_SCORE_ADDITIVE, .biases = true, .ragged = true, .T = 3},
    {RV_CELL_RNN_TANH, RV_SCORE_DOT, .states = true, .ragged = true, .T = 4},
    {RV_CELL_RNN_RELU, RV_SCORE_ADDITIVE, .biases = true, .T = 2},
    {RV_CELL_LSTM, RV_SCORE_DOT, .current = true, .feed = true, .states = true, .biases = true, .ragged = true, .T = 5, .out = 3},
    {RV_CELL_GRU, RV_SCORE_DOT, .current = true, .states = true, .same = true, .T = 3, .out = 2},
    {RV_CELL_GRU_RESET_BEFORE, RV_SCORE_DOT, .current = true, .feed = true, .ragged = true, .T = 3, .out = 2},
    {RV_CELL_RNN_TANH, RV_SCORE_ADDITIVE, .current = true, .feed = true, .states = true, .T = 4, .out = 4},
    {RV_CELL_LSTM, RV_SCORE_DOT, .current = true, .T = 3},
    {RV_CELL_LSTM, RV_SCORE_DOT, .current = true, .feed = true, .states = true, .biases = true, .ragged = true, .T = 4, .out = 3, .local = 3},
    {RV_CELL_GRU, RV_SCORE_ADDITIVE, .states = true, .T = 3, .local = 2},
    {RV_CELL_GRU, RV_SCORE_ADDITIVE, .states = true, .ragged = true, .T = 3, .which = HN},
    {RV_CELL_LSTM, RV_SCORE_DOT, .states = true, .current = true, .feed = true, .T = 4, .out = 2, .which = CN},
};

static rv_tensor *leaf(rv_tape *tape, bool wanted, int ndim, const int64_t *dim) { return wanted ? rv_sample_leaf(tape, -1, 1, ndim, dim) : NULL; }

rv_tensor *rv__attention_recurrent_sample(rv_tape *tape, int k) {
    if (k >= (int)(sizeof sample / sizeof *sample)) return NULL;
    const int64_t B = 2, S = 4, E = 2, H = 3, T = sample[k].T, O = sample[k].out, P = sample[k].local, GH = rv_cell_gates(sample[k].cell) * H;
    const bool additive = sample[k].score == RV_SCORE_ADDITIVE, states = sample[k].states, lstm = sample[k].cell == RV_CELL_LSTM;
    const int64_t D = sample[k].same ? H : 4, A = additive ? 5 : H, F = sample[k].feed ? O : sample[k].current ? 0 : D;
    rv_attention_recurrence r = {
        .cell = sample[k].cell,
        .score = sample[k].score,
        .query_current = sample[k].current,
        .x = leaf(tape, true, RV_DIMS(T, B, E)),
        .memory = leaf(tape, true, RV_DIMS(B, S, D)),
        .lengths = sample[k].ragged ? ragged : NULL,
        .w_query = leaf(tape, additive, RV_DIMS(A, H)),
        .v = leaf(tape, additive, RV_DIMS(A)),
        .w_ih = leaf(tape, true, RV_DIMS(GH, E + F)),
        .w_hh = leaf(tape, true, RV_DIMS(GH, H)),
        .b_ih = leaf(tape, sample[k].biases, RV_DIMS(GH)),
        .b_hh = leaf(tape, sample[k].biases, RV_DIMS(GH)),
        .h0 = leaf(tape, states, RV_DIMS(B, H)),
        .c0 = leaf(tape, states && lstm, RV_DIMS(B, H)),
        .w_out = leaf(tape, O > 0, RV_DIMS(O, D + H)),
        .feed = leaf(tape, sample[k].feed, RV_DIMS(B, O)),
        .w_position = leaf(tape, P > 0, RV_DIMS(P, H)),
        .v_position = leaf(tape, P > 0, RV_DIMS(P)),
        .window = 1.3,
    };
    r.keys = sample[k].same ? r.memory : leaf(tape, true, RV_DIMS(B, S, A));
    rv_attention_sequence s = rv_attention_recurrent(tape, &r);
    if (sample[k].which == HN) return s.hn;
    if (sample[k].which == CN) return s.cn;
    return rv_concat(tape, s.output ? 3 : 2, (rv_tensor *[]){s.h, s.context, s.output}, -1);
}
