/* A small experiment, parsed with assignments, or refused. */
#ifndef RV_TESTS_CONFIG_SMALL_H
#define RV_TESTS_CONFIG_SMALL_H

#include <criterion/criterion.h>
#include <string.h>

#include "config/config.h"

static const char rnn[] = "name: small\n"
                          "data: {path: input.txt}\n"
                          "model:\n"
                          "  decoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 24}\n"
                          "train:\n"
                          "  batch: {size: 4, length: 16}\n"
                          "  max_steps: 2e4\n"
                          "  optimizer: {type: adam, lr: 1e-3}\n"
                          "  validate_every: 100\n";

static inline rv_config *parse(const char *text, int n, const char *const *overrides) {
    rv_config *c;
    rv_status s = rv_config_parse("exp.yaml", text, strlen(text), n, overrides, &c);
    cr_assert_eq(s, RV_OK, "%s", rv_error_message());
    return c;
}

static inline rv_config *with(const char *override) { return parse(rnn, override != NULL, &override); }

static inline void fails(const char *text, int n, const char *const *overrides, const char *want) {
    rv_config *c;
    cr_expect_eq(rv_config_parse("exp.yaml", text, strlen(text), n, overrides, &c), RV_EUSAGE);
    cr_expect_null(c);
    cr_expect_str_eq(rv_error_message(), want);
}

#endif
