#include "compare/cost.h"

#include "base/log.h"
#include "base/parallel.h"
#include "compare/cost_private.h"
#include "kernels/flops.h"
#include "kernels/gemm.h"

enum { FORWARD, BACKWARD, DECODE, PHASES };
static const char *const phase_name[PHASES] = {"forward", "backward", "decode"};

/* What a phase took. */
typedef struct {
    json_t *ms;
    int64_t peak_bytes, step_bytes;
    double counted;
} taken;

static double ms(double seconds) { return 1e3 * seconds; }

/* One training step: forward into t[FORWARD], backward into t[BACKWARD]. */
static rv_status train(rv__subject *s, uint64_t step, bool back, taken t[PHASES], double seconds[PHASES]) {
    rv_tape_reset(s->tape);
    rv_tape_seed(s->tape, 1, step);
    rv_params_zero_grad(s->params);
    rv_flops_counted(true);
    const double begin = rv_now();
    rv_tensor *loss = rv__subject_loss(s);
    const double middle = rv_now();
    if (!loss) return rv_tape_status(s->tape);
    t[FORWARD].counted = rv_flops_counted(true);
    seconds[FORWARD] = middle - begin;
    if (!t[FORWARD].peak_bytes) { /* before the first backward pass has been */
        t[FORWARD].peak_bytes = rv_peak_memory();
        t[FORWARD].step_bytes = (int64_t)rv_tape_step_bytes(s->tape);
    }
    if (!back) return RV_OK;
    const double again = rv_now();
    RV_TRY(rv_backward(s->tape, loss));
    rv_params_finish_grad(s->params);
    seconds[BACKWARD] = rv_now() - again;
    t[BACKWARD].counted = rv_flops_counted(true);
    t[BACKWARD].peak_bytes = rv_peak_memory();
    t[BACKWARD].step_bytes = (int64_t)(rv_tape_step_bytes(s->tape) + rv_tape_grad_bytes(s->tape));
    return RV_OK;
}

static rv_status decode(rv__subject *s, taken t[PHASES], double seconds[PHASES]) {
    rv_flops_counted(true);
    const double begin = rv_now();
    RV_TRY(rv__subject_decode(s));
    seconds[DECODE] = rv_now() - begin;
    t[DECODE].counted = rv_flops_counted(true);
    t[DECODE].peak_bytes = rv_peak_memory();
    t[DECODE].step_bytes = (int64_t)rv_tape_step_bytes(s->tape) + rv__subject_state_bytes(s);
    return RV_OK;
}

static rv_status once(rv__subject *s, uint64_t step, bool decoding, bool back, taken t[PHASES],
                      double seconds[PHASES]) {
    return decoding ? decode(s, t, seconds) : train(s, step, back, t, seconds);
}

/* Warm-up, then repeats. A warm-up goes on until the caches are warm and the threads have found a core each, which
 * short steps alone do not reach; one that takes longer than a quarter of the time is cut. */
static rv_status repeat(rv__subject *s, const rv_cost_spec *spec, bool decoding, taken t[PHASES]) {
    enum { FEWEST = 3 };
    const double settled = 0.05, limit = spec->max_seconds > 0 ? spec->max_seconds : 1e300;
    const bool wanted[PHASES] = {!decoding && spec->forward, !decoding && spec->backward, decoding};
    double seconds[PHASES] = {0}, begin = rv_now();
    uint64_t step = 0;
    rv_tape_set_training(s->tape, !decoding);
    for (double spent = 0; !step || ((step < (uint64_t)spec->warmup || spent < settled) && spent < limit / 4);
         spent = rv_now() - begin)
        RV_TRY(once(s, step++, decoding, spec->backward, t, seconds));
    begin = rv_now();
    for (int i = 0; i < spec->repeats && (i < FEWEST || rv_now() - begin < limit); i++) {
        RV_TRY(once(s, step++, decoding, spec->backward, t, seconds));
        for (int p = 0; p < PHASES; p++)
            if (wanted[p] && json_array_append_new(t[p].ms, json_real(ms(seconds[p]))))
                return rv_error(RV_ENOMEM, "out of memory");
    }
    return RV_OK;
}

static rv_status give(const rv__subject *s, const taken t[PHASES], json_t *cells) {
    const double forward = rv__subject_forward_flops(s), flops[PHASES] = {forward, 2 * forward, forward};
    for (int p = 0; p < PHASES; p++) {
        if (!json_array_size(t[p].ms)) continue;
        json_t *cell = json_pack("{s:s, s:i, s:I, s:I, s:O, s:I, s:I, s:f, s:f}", "phase", phase_name[p], "threads",
                                 rv_threads(), "sequence_length", (json_int_t)s->L, "batch", (json_int_t)s->B, "ms",
                                 t[p].ms, "peak_bytes", (json_int_t)t[p].peak_bytes, "step_bytes",
                                 (json_int_t)t[p].step_bytes, "flops", flops[p], "flops_counted", t[p].counted);
        if (!cell || json_array_append_new(cells, cell)) return rv_error(RV_ENOMEM, "out of memory");
    }
    return RV_OK;
}

/* Decoding first, so that its peak memory is not a training step's. */
static rv_status measure(rv__subject *s, const rv_cost_spec *spec, json_t *cells) {
    taken t[PHASES] = {{0}};
    bool ok = true;
    for (int p = 0; p < PHASES; p++) ok &= (t[p].ms = json_array()) != NULL;
    rv_status status = ok ? rv_gemm_reserve() : rv_error(RV_ENOMEM, "out of memory");
    if (status == RV_OK && spec->decode && rv__subject_decodes(s)) status = repeat(s, spec, true, t);
    if (status == RV_OK && (spec->forward || spec->backward)) status = repeat(s, spec, false, t);
    if (status == RV_OK) status = give(s, t, cells);
    for (int p = 0; p < PHASES; p++) json_decref(t[p].ms);
    return status;
}

int64_t rv_cost_batch(const rv_cost_spec *spec, int64_t length) {
    const int64_t fit = spec->tokens / length;
    return spec->batch ? spec->batch : fit > 1 ? fit : 1;
}

rv_status rv_cost_measure(const rv_config *config, int64_t src_vocab, int64_t tgt_vocab, const rv_cost_spec *spec,
                          int64_t length, json_t *cells) {
    rv__subject s;
    RV_TRY(rv__subject_open(config, src_vocab, tgt_vocab, rv_cost_batch(spec, length), length, &s));
    const rv_status status = measure(&s, spec, cells);
    rv__subject_close(&s);
    return status;
}

rv_status rv_cost_parameters(const rv_config *config, int64_t src_vocab, int64_t tgt_vocab, int64_t *parameters) {
    rv__subject s;
    RV_TRY(rv__subject_open(config, src_vocab, tgt_vocab, 1, 1, &s));
    *parameters = rv_params_count(s.params);
    rv__subject_close(&s);
    return RV_OK;
}
