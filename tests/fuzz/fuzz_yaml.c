/* Mutated experiment files through the whole path: read, override, substitute, check, resolve, read again. Nothing may
 * crash, hang or leak, every refusal must say where, and what is accepted must survive its own resolved text.
 *
 * usage: fuzz_yaml [EXECUTIONS [SEED]]      the same numbers try the same texts */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"

static const char *const corpus[] = {
    "name: a\nseed: 3\ntask: language_model\ndata: {path: input.txt}\nmodel:\n  decoder: {type: rnn, cell: gru, "
    "num_layers: 2, hidden_size: 128}\n"
    "train:\n  batch: {size: 32, length: 64}\n  max_steps: 2e4\n  optimizer: {type: adam, lr: 1e-3, betas: [0.9, "
    "0.98]}\n  validate_every: 500\n",
    "name: b\ndata: {train: x, valid: y}\ntokenizer: {type: bpe, vocab_size: 1000}\nmodel:\n  decoder:\n    type: "
    "transformer\n    num_layers: 2\n"
    "    num_heads: 4\n    hidden_size: 64\n  position: sinusoidal\ntrain:\n  batch: {size: 32, length: 64, sampling: "
    "shuffled}\n  max_steps: 100\n"
    "  optimizer: {type: sgd, lr: .1, momentum: 0.9, nesterov: true}\n  lr_scheduler: !replace {type: cosine, "
    "warmup_steps: 10}\n  validate_every: 50\n"
    "  early_stopping: {metric: ppl, patience: 3}\ncheckpoint: {dir: \"runs/${name}-${seed}\"}\ngenerate: {prompt: \"x "
    "$${y} \\u2028\"}\nmetrics: [loss, bpc]\n",
    "a: &x [1, 2]\nb: *x\n<<: *x\n",
    "a: !!int 3\n--- \nb: 1\n",
    "a: \"${b}${b}\"\nb: \"${a}\"\n",
    "? [a]\n: {b: }\n",
    "a: |\n  x\n  y\nb: >-\n  z\n",
    "\xef\xbb\xbfname: \xc3\xa4\xe2\x80\xa8\xf0\x9f\x98\x80\n",
    "%YAML 1.1\n%TAG ! tag:x:\n---\na: 1\n...\n",
    "include: base.yaml\n",
    "compare: {}\n",
};
static const char *const pieces[] = {
    "[",
    "]",
    "{",
    "}",
    ": ",
    "\n",
    "\n  ",
    "\n- ",
    ", ",
    "'",
    "\"",
    "&a ",
    "*a",
    "!",
    "!replace ",
    "!!map ",
    "<<: ",
    "---\n",
    "...\n",
    "|\n",
    ">",
    "#",
    "?",
    "%",
    "${",
    "${name}",
    "$${",
    "}",
    "\\x00",
    "\\u2028",
    "\t",
    "\r",
    "\xef\xbb\xbf",
    "\xff\xfe",
    "null",
    "~",
    "1e999",
    "-0",
    "nan",
    "0x1",
    "9223372036854775808",
    "type: ",
    "lr: ",
    "decoder: ",
    "transformer",
    "sgd",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "{a: {a: {a: {a: {a: {a: {a: {a: ",
    "- - - - - - - - - - - - ",
};
static const char *const overrides[] = {"seed=5",
                                        "train.optimizer.lr=1e-4",
                                        "train.lr_scheduler={type: noam}",
                                        "model.dropout=[",
                                        "name=\"${seed}\"",
                                        "a.b.c.d.e.f=null",
                                        "train.optimizer=null",
                                        "model=!replace {}",
                                        "x",
                                        "..=1"};
enum {
    CORPUS = sizeof corpus / sizeof *corpus,
    PIECES = sizeof pieces / sizeof *pieces,
    OVERRIDES = sizeof overrides / sizeof *overrides,
    CAP = 8192
};

static uint64_t state;
static uint32_t roll(uint32_t n) { /* splitmix64 */
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) % n);
}

/* Replace `cut` bytes at `at` by `n` bytes. */
static size_t splice(char *text, size_t len, size_t at, size_t cut, const char *with, size_t n) {
    if (cut > len - at) cut = len - at;
    if (len - cut + n > CAP) return len;
    memmove(text + at + n, text + at + cut, len - at - cut);
    memcpy(text + at, with, n);
    return len - cut + n;
}

static size_t mutate(char *text, size_t len) {
    size_t at = roll((uint32_t)len + 1);
    char byte = (char)roll(256);
    const char *piece = pieces[roll(PIECES)], *other = corpus[roll(CORPUS)];
    char copy[256];
    size_t n = roll(sizeof copy), from = roll((uint32_t)len + 1);
    switch (roll(7)) {
    case 0: return splice(text, len, at, 1, &byte, 1);
    case 1: return splice(text, len, at, 0, piece, strlen(piece));
    case 2: return splice(text, len, at, roll(8), piece, strlen(piece));
    case 3: return splice(text, len, at, roll(32), "", 0);
    case 4:
        if (n > len - from) n = len - from;
        memcpy(copy, text + from, n);
        return splice(text, len, at, 0, copy, n);
    case 5: return splice(text, len, at, roll(64), other, roll((uint32_t)strlen(other)));
    default:
        for (int k = (int)roll(64); k > 0; k--) len = splice(text, len, at, 0, piece, strlen(piece));
        return len;
    }
}

static void fail(long i, const char *why, const char *text, size_t len) {
    fprintf(stderr, "fuzz_yaml: execution %ld: %s: %s\n", i, why, rv_error_message());
    fwrite(text, 1, len, stderr);
    exit(1);
}

int main(int argc, char **argv) {
    long n = argc > 1 ? atol(argv[1]) : 100000, accepted = 0;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    double slowest = 0, start = rv_now();
    for (long i = 0; i < n; i++) {
        state = seed << 32 | (uint64_t)i; /* each execution can be repeated alone */
        char text[CAP + 1];
        size_t len = strlen(corpus[i % CORPUS]);
        if (roll(2))
            len = strlen(corpus[i % 2]), memcpy(text, corpus[i % 2], len);
        else
            memcpy(text, corpus[i % CORPUS], len);
        for (int k = (int)roll(6); k > 0; k--) len = mutate(text, len);
        const char *over[2] = {overrides[roll(OVERRIDES)], overrides[roll(OVERRIDES)]};
        rv_config *c, *again;
        double before = rv_now();
        rv_status s = rv_config_parse("fuzz.yaml", text, len, roll(4) ? 0 : (int)roll(3), over, &c);
        double took = rv_now() - before;
        if (took > slowest) slowest = took;
        if (took > 1) fail(i, "took more than a second", text, len);
        if (s != RV_OK) {
            const char *m = rv_error_message();
            if (s != RV_EUSAGE || c || (strncmp(m, "fuzz.yaml:", 10) && strncmp(m, "command line '", 14)))
                fail(i, "refused without a place", text, len);
            continue;
        }
        accepted++;
        char *first = rv_config_resolved(c);
        if (rv_config_parse("resolved", first, strlen(first), 0, NULL, &again) != RV_OK)
            fail(i, "resolved text is refused", text, len);
        char *second = rv_config_resolved(again);
        if (strcmp(first, second)) fail(i, "resolved text changes", text, len);
        free(first), free(second);
        rv_config_destroy(c);
        rv_config_destroy(again);
    }
    printf("%ld executions, %ld accepted, slowest %.1f ms, %.1f s\n", n, accepted, slowest * 1e3, rv_now() - start);
    if (n >= 1000 && (!accepted || accepted == n))
        return fprintf(stderr, "fuzz_yaml: the mutations no longer reach both sides\n"), 1;
    return 0;
}
