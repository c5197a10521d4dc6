/* An LSTM language model learns a short sequence by heart: the public interface from parameters to updates. */
#include <ravel.h>
#include <stdio.h>

int main(void) {
    enum { WORDS = 8, D = 16, B = 2, T = 12, STEPS = 60 };
    rv_init normal = {RV_INIT_NORMAL, 0.1, 0, 0, 0};
    rv_model_config config = {.head = {.kind = rv_head_find("next_token"), .bias = true, .init = normal},
                              .decoder = {.kind = rv_decoder_find("rnn"),
                                          .input = {.vocab_size = WORDS, .size = D, .init = normal},
                                          .rnn = rv_rnn_defaults(RV_CELL_LSTM)}};
    config.decoder.rnn.hidden_size = D;
    int32_t x[B * T], y[B * T];
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T; t++) {
            x[b * T + t] = (b + t * 3) % WORDS;
            y[b * T + t] = (b + (t + 1) * 3) % WORDS;
        }

    rv_params *params = rv_params_create();
    rv_model *lm = rv_model_create(params, &config);
    rv_tape *tape = rv_tape_create();
    rv_optim_settings settings = rv_optim_defaults(RV_OPTIM_adam);
    rv_optim *optim = NULL;
    rv_status s = params && lm && tape ? rv_params_materialise(params, 1) : RV_ENOMEM;
    if (s == RV_OK) s = rv_optim_create(RV_OPTIM_adam, &settings, params, &optim);
    rv_batch batch = {.B = B, .T = T, .in = x, .out = y};
    double first = 0, last = 0;
    for (int step = 0; s == RV_OK && step < STEPS; step++) {
        rv_tape_reset(tape);
        rv_params_zero_grad(params);
        rv_tensor *loss = rv_model_loss(tape, lm, &batch, NULL, 0);
        s = rv_backward(tape, loss);
        if (s != RV_OK) break;
        last = loss->x[0];
        if (step == 0) first = last;
        rv_params_finish_grad(params);
        rv_optim_step(optim, 0.03, 1);
    }
    if (s != RV_OK) fprintf(stderr, "%s\n", rv_error_message());
    printf("loss %.4f before, %.4f after %d steps\n", first, last, STEPS);
    rv_optim_destroy(optim);
    rv_tape_destroy(tape);
    rv_model_destroy(lm);
    rv_params_destroy(params);
    return s == RV_OK && last < 0.1 * first ? 0 : 1;
}
