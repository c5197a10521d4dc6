/* What is taken out of a model to see what it was good for: from the experiment file to the numbers that show it. */
#define _GNU_SOURCE /* mkdtemp */
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ravel.h"
#include "support/models.h"
#include "train/model_config.h"
#include "train/run_state.h"
#include "train/task_private.h"

static const char gpt[] =
    "name: t\nseed: 3\ndata: {path: text}\nmodel: {decoder: {type: transformer, num_layers: 2, num_heads: 2, "
    "hidden_size: 24}}\n"
    "train: {batch: {size: 3, length: 10}, max_steps: 2, optimizer: {type: adam, lr: 1e-2}, validate_every: 2}\n";
static const char translation[] =
    "name: t\nseed: 3\ntask: translation\ndata: {train: train.tsv, valid: valid.tsv, max_length: 20}\ntokenizer: "
    "{type: char}\n"
    "model:\n  encoder: {type: transformer, num_layers: 2, num_heads: 2, hidden_size: 24}\n"
    "  decoder: {type: transformer, num_layers: 2, num_heads: 2, hidden_size: 24}\n"
    "train: {batch: {size: 90}, max_steps: 2, optimizer: {type: adam, lr: 1e-2}, validate_every: 2}\n";

static rv_config *parse(const char *text, int n, const char *const *overrides) {
    rv_config *c;
    cr_assert_eq(rv_config_parse("test.yaml", text, strlen(text), n, overrides, &c), RV_OK, "%s", rv_error_message());
    return c;
}

/* Of texts of 11 tokens; a language model's positions are as many as its configuration says. */
static rv_model_config language_model_of(const rv_config *c) {
    const rv_task_kind *task = rv_task_find("language_model");
    rv_model_sizes sizes = task->source->sizes(c);
    sizes.target_vocab = 11;
    return rv_model_config_read(c, task->head, &sizes);
}

static rv_model_config translation_model_of(const rv_config *c, int64_t positions) {
    const rv_model_sizes sizes = {.source_vocab = 11, .target_vocab = 11, .positions = positions};
    return rv_model_config_read(c, rv_head_find("next_token"), &sizes);
}

Test(ablations, reach_the_model) {
    static const char *const over[] = {"model.decoder.attention_scale=none", "model.decoder.norm=none",
                                       "model.decoder.residual=false"};
    rv_config *c = parse(gpt, 0, NULL);
    rv_transformer_config t = language_model_of(c).decoder.transformer;
    cr_expect(!t.unscaled && t.norm == RV_NORM_PRE && t.final_norm && !t.no_residual && t.scale_residual);
    rv_config_destroy(c);
    c = parse(gpt, 3, over);
    t = language_model_of(c).decoder.transformer;
    cr_expect(t.unscaled && t.norm == RV_NORM_NONE && !t.final_norm && t.no_residual && !t.scale_residual &&
              t.mask == RV_MASK_BEFORE);
    rv_config_destroy(c);
    c = parse(translation, 1,
              (const char *const[]){"model.encoder={attention_scale: none, norm: none, residual: false}"});
    rv_model_config s = translation_model_of(c, 20);
    t = s.encoder.transformer;
    cr_expect(t.unscaled && t.norm == RV_NORM_NONE && !t.final_norm && t.no_residual);
    t = s.decoder.transformer;
    cr_expect(!t.unscaled && t.norm == RV_NORM_PRE && t.final_norm && !t.no_residual);
    cr_expect(s.encoder.input.position == RV_POSITION_SINUSOIDAL && s.decoder.input.position == RV_POSITION_SINUSOIDAL);
    rv_config_destroy(c);
    static const struct {
        const char *mask;
        rv_mask_place place;
    } masks[] = {{"before_softmax", RV_MASK_BEFORE}, {"after_softmax", RV_MASK_AFTER}, {"none", RV_MASK_NONE}};
    for (int i = 0; i < 3; i++) {
        char text[64];
        snprintf(text, sizeof text, "model.decoder.causal_mask=%s", masks[i].mask);
        c = parse(gpt, 1, (const char *const[]){text});
        cr_expect_eq(language_model_of(c).decoder.transformer.mask, masks[i].place);
        rv_config_destroy(c);
        cr_expect_eq(
            rv_config_parse("test.yaml", translation, sizeof translation - 1, 1, (const char *const[]){text}, &c),
            RV_EUSAGE);
    }
}

Test(ablations, positions_of_the_encoder_alone) {
    rv_config *c =
        parse(translation, 2, (const char *const[]){"model.encoder.position=none", "model.position=learned"});
    rv_model_config s = translation_model_of(c, 20);
    cr_expect(s.encoder.input.position == RV_POSITION_NONE && s.decoder.input.position == RV_POSITION_LEARNED);
    rv_config_destroy(c);
    c = parse(translation, 1, (const char *const[]){"model.position=none"});
    s = translation_model_of(c, 20);
    cr_expect(s.encoder.input.position == RV_POSITION_NONE && s.decoder.input.position == RV_POSITION_NONE);
    rv_config_destroy(c);
}

/* ---- checkpoints from before there were these keys */

/* `text` without the lines that hold one of the words. */
static char *without(const char *text, const char *const *words) {
    char *out = calloc(1, strlen(text) + 1);
    for (const char *line = text, *end; *line; line = end) {
        end = strchr(line, '\n') + 1;
        bool keep = true;
        for (int i = 0; words[i]; i++) keep &= !memmem(line, (size_t)(end - line), words[i], strlen(words[i]));
        if (keep) strncat(out, line, (size_t)(end - line));
    }
    return out;
}

static rv_checkpoint *save(const char *folder, const char *name, const char *config) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s.h5", folder, name);
    rv_ck_item item = {"/config/resolved", RV_CK_U8, 1, {(int64_t)strlen(config)}, config};
    rv_checkpoint *ck;
    cr_assert_eq(rv_checkpoint_save(path, 1, 1, &item, NULL), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_checkpoint_open(path, &ck), RV_OK);
    unlink(path);
    return ck;
}

Test(ablations, old_checkpoints_still_belong_to_their_experiment) {
    static const char *const later[] = {"attention_scale:", "residual:", "causal_mask:", "    position:", NULL};
    static const char *const texts[] = {gpt, translation};
    char folder[] = "/tmp/ravel-test-XXXXXX";
    cr_assert(mkdtemp(folder));
    for (int i = 0; i < 2; i++) {
        rv_config *c = parse(texts[i], 0, NULL),
                  *changed = parse(texts[i], 1, (const char *const[]){"model.decoder.residual=false"});
        char *resolved = rv_config_resolved(c), *old = without(resolved, later);
        cr_assert_lt(strlen(old) + 40, strlen(resolved), "%s", old);
        rv_checkpoint *ck = save(folder, "old", old);
        cr_expect_eq(rv_run_check_config(c, ck), RV_OK, "%s", rv_error_message());
        cr_expect_eq(rv_run_check_config(changed, ck), RV_ECKPT);
        cr_expect(strstr(rv_error_message(), "model.decoder.residual true (the experiment says false)"), "%s",
                  rv_error_message());
        rv_checkpoint_close(ck);
        ck = save(folder, "foreign", "name: t\nnever_heard_of: 3\n");
        cr_expect_eq(rv_run_check_config(c, ck), RV_ECKPT);
        cr_expect(strstr(rv_error_message(), "not of this version") && strstr(rv_error_message(), "never_heard_of"),
                  "%s", rv_error_message());
        rv_checkpoint_close(ck);
        free(resolved), free(old);
        rv_config_destroy(c), rv_config_destroy(changed);
    }
    rmdir(folder);
}

/* ---- a loss that can be trusted */

static int32_t *random_ids(int64_t n, uint64_t below) {
    int32_t *ids = malloc((size_t)n * sizeof *ids);
    rv_rng rng = rv_rng_make(5, "ids", 0);
    for (int64_t i = 0; i < n; i++) ids[i] = (int32_t)rv_rng_below(&rng, below);
    return ids;
}

typedef struct {
    rv_config *config;
    rv_params *params;
    rv_model *lm;
    rv_tape *tape;
} model;

static model make_model(int n, const char *const *overrides) {
    model m = {.config = parse(gpt, n, overrides), .params = rv_params_create(), .tape = rv_tape_create()};
    rv_model_config c = language_model_of(m.config);
    m.lm = rv_model_create(m.params, &c);
    cr_assert(m.lm && rv_params_materialise(m.params, 1) == RV_OK, "%s", rv_error_message());
    return m;
}

static void free_model(model *m) {
    rv_tape_destroy(m->tape);
    rv_model_destroy(m->lm);
    rv_params_destroy(m->params);
    rv_config_destroy(m->config);
}

/* A right model, dropout and all: what it claims is what it does. Texts longer and shorter than the windows. */
Test(ablations, honest_loss_of_a_right_model_is_its_loss) {
    static const char *const rnn =
        "model=!replace {decoder: {type: rnn, cell: lstm, num_layers: 2, hidden_size: 24}, dropout: 0.3}";
    static const struct {
        const char *overrides[2];
        int64_t n;
        int64_t tokens;
    } rows[] = {{{"model.dropout=0.3", "model.init.std=0.4"}, 1000, 160},
                {{"model.position=none", "model.init.std=0.4"}, 87, 80},
                {{rnn, "seed=4"}, 500, 160},
                {{rnn, "seed=4"}, 6, 5},
                {{"seed=2", "seed=2"}, 2, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        model m = make_model(2, rows[i].overrides);
        int32_t *ids = random_ids(rows[i].n, 11);
        rv_honest_loss h;
        cr_assert(!rv_model_sees_future(m.lm));
        cr_assert_eq(rv_honest_loss_measure(m.tape, m.lm, ids, rows[i].n, 10, &h), RV_OK, "%s", rv_error_message());
        cr_assert_eq(h.tokens, rows[i].tokens, "row %d: %d", (int)i, (int)h.tokens);
        cr_assert_float_eq(h.honest, h.claimed, sizeof(rv_real) == 8 ? 1e-12 : 2e-6, "row %d: %.9g and %.9g", (int)i,
                           h.honest, h.claimed);
        cr_assert_gt(h.claimed, 1);
        free(ids);
        free_model(&m);
    }
}

/* Text of 11 symbols thrown with a die: no model can be better than ln 11 = 2.40, and one that seems to be has seen the
 * future. Without a mask it claims 0.25 and gets 5.4; with a mask after the softmax it still claims 1.8, and gets 3.0.
 */
Test(ablations, without_the_right_mask_the_loss_is_a_lie) {
    enum { B = 16, T = 10, N = 20000, STEPS = 300 };
    static const char *const masks[] = {"before_softmax", "after_softmax", "none"};
    int32_t *ids = random_ids(N, 11), x[B * T], y[B * T];
    for (int i = 0; i < 3; i++) {
        char text[64];
        snprintf(text, sizeof text, "model.decoder.causal_mask=%s", masks[i]);
        model m = make_model(2, (const char *const[]){text, "model.init.std=0.1"});
        cr_assert_eq(rv_model_sees_future(m.lm), i > 0);
        rv_optim_settings settings = rv_optim_defaults(RV_OPTIM_adam);
        rv_optim *optim;
        cr_assert_eq(rv_optim_create(RV_OPTIM_adam, &settings, m.params, &optim), RV_OK);
        rv_tape_set_training(m.tape, true);
        for (int step = 0; step < STEPS; step++) {
            for (int b = 0; b < B; b++) {
                const int32_t *from = ids + (step * 617 + b * 1201) % (N / 2);
                memcpy(x + b * T, from, T * sizeof *x);
                memcpy(y + b * T, from + 1, T * sizeof *y);
            }
            rv_tape_reset(m.tape);
            rv_params_zero_grad(m.params);
            cr_assert_eq(rv_backward(m.tape, loss_of_tokens(m.tape, m.lm, x, y, B, T, 0)), RV_OK, "%s",
                         rv_error_message());
            rv_params_finish_grad(m.params);
            rv_optim_step(optim, 3e-3, 1);
        }
        rv_honest_loss h;
        cr_assert_eq(rv_honest_loss_measure(m.tape, m.lm, ids + N / 2, N / 2, T, &h), RV_OK);
        if (i == 0) {
            cr_expect_float_eq(h.claimed, log(11), 0.05, "claimed %.4f", h.claimed);
            cr_expect_float_eq(h.honest, h.claimed, 1e-5, "claimed %.6f, honest %.6f", h.claimed, h.honest);
        } else {
            cr_expect_lt(h.claimed, log(11) - 0.3, "%s: claimed %.4f", masks[i], h.claimed);
            cr_expect_gt(h.honest, log(11) + 0.3, "%s: honest %.4f", masks[i], h.honest);
        }
        rv_optim_destroy(optim);
        free_model(&m);
    }
    free(ids);
}

/* ---- writing with a model that sees the future */

static rv_status keep(void *ctx, int32_t id) {
    int32_t **next = ctx;
    *(*next)++ = id;
    return RV_OK;
}

/* The most probable token of the last position of a run over ids[0, n). */
static int32_t next_of(model *m, const int32_t *ids, int64_t n) {
    rv_tape_reset(m->tape);
    rv_tape_set_training(m->tape, false);
    rv_tensor *logits = rv_model_logits(m->tape, m->lm, ids, 1, n, NULL, NULL);
    const rv_real *row = logits->x + (n - 1) * 11;
    int32_t best = 0;
    for (int32_t v = 1; v < 11; v++)
        if (row[v] > row[best]) best = v;
    return best;
}

/* Each token from all that is there before it; when the positions (10) are used up, from the latest half of it. The
 * model with the right mask, which writes with a cache, does the same. */
Test(ablations, writing_runs_on_whole_prefixes) {
    enum { PROMPT = 3, LENGTH = 12 };
    static const char *const masks[] = {"before_softmax", "after_softmax", "none"};
    for (int i = 0; i < 3; i++) {
        char text[64];
        snprintf(text, sizeof text, "model.decoder.causal_mask=%s", masks[i]);
        model m = make_model(2, (const char *const[]){text, "model.init.std=0.5"});
        int32_t want[PROMPT + LENGTH] = {1, 7, 3}, got[LENGTH], *next = got;
        for (int n = PROMPT, from = 0; n < PROMPT + LENGTH; n++) {
            if (n - from > 10) from = n - 5;
            want[n] = next_of(&m, want + from, n - from);
        }
        rv_generate_options o = {.sampling = {0, 0, 1}, .length = LENGTH, .context = 10, .never = -1};
        cr_assert_eq(rv_generate(m.tape, m.lm, want, PROMPT, &o, keep, &next), RV_OK, "%s", rv_error_message());
        for (int n = 0; n < LENGTH; n++) cr_assert_eq(got[n], want[PROMPT + n], "%s, token %d", masks[i], n);
        free_model(&m);
    }
}

/* ---- the order of the source */

enum { PAIRS = 6, LONGEST = 12 };

/* Mean loss of PAIRS random sentences. */
static double translation_loss(const char *override, bool shuffled) {
    rv_config *c = parse(translation, 1, &override);
    rv_model_config mc = translation_model_of(c, LONGEST + 1);
    rv_params *ps = rv_params_create();
    rv_model *m = rv_model_create(ps, &mc);
    cr_assert(m && rv_params_materialise(ps, 1) == RV_OK);
    int32_t *ids = random_ids(PAIRS * LONGEST, 10), src[PAIRS * (LONGEST + 1)] = {0}, lengths[PAIRS];
    int64_t at[PAIRS + 1] = {0};
    for (int i = 0; i < PAIRS; i++) at[i + 1] = at[i] + LONGEST - i;
    rv_pairs pairs = {.n = PAIRS, .src_ids = ids, .src_at = at};
    if (shuffled) rv_pairs_shuffle_sources(&pairs, 3);
    for (int i = 0; i < PAIRS; i++) {
        lengths[i] = (int32_t)rv_pairs_src_length(&pairs, i) + 1;
        memcpy(src + i * (LONGEST + 1), ids + at[i], (size_t)(lengths[i] - 1) * sizeof *src);
        src[i * (LONGEST + 1) + lengths[i] - 1] = 10; /* the mark of the end, always last */
    }
    int32_t *tgt = random_ids(PAIRS * LONGEST, 11);
    rv_tape *tape = rv_tape_create();
    const rv_batch batch = {.source = {.B = PAIRS, .T = LONGEST + 1, .ids = src, .lengths = lengths},
                            .B = PAIRS,
                            .T = LONGEST - 1,
                            .in = tgt,
                            .out = tgt + 1};
    rv_tensor *loss = rv_model_loss(tape, m, &batch, NULL, 0);
    cr_assert(loss, "%s", (rv_tape_status(tape), rv_error_message()));
    double value = (double)loss->x[0];
    free(ids), free(tgt);
    rv_tape_destroy(tape);
    rv_model_destroy(m);
    rv_params_destroy(ps);
    rv_config_destroy(c);
    return value;
}

/* Without positions the encoder is blind to order, and a decoder with positions cannot make up for it. */
Test(ablations, without_positions_the_encoder_is_blind_to_order) {
    static const char *const blind[] = {"model.encoder.position=none", "model.position=none"},
                             *const seeing[] = {"seed=1", "model.position=learned"};
    for (int i = 0; i < 2; i++) {
        double plain = translation_loss(blind[i], false), shuffled = translation_loss(blind[i], true);
        cr_expect_float_eq(plain, shuffled, sizeof(rv_real) == 8 ? 1e-12 : 2e-6, "%s: %.9g, shuffled %.9g", blind[i],
                           plain, shuffled);
        cr_expect_gt(fabs(translation_loss(seeing[i], false) - translation_loss(seeing[i], true)), 1e-3, "%s",
                     seeing[i]);
    }
}

/* The same tokens, another order, the same one each time, and each pair's own. */
Test(ablations, shuffled_sources) {
    enum { N = 40 };
    int64_t at[] = {0, N, N, 2 * N, 2 * N + 1};
    int32_t ids[2 * N + 1], again[2 * N + 1];
    for (int i = 0; i <= 2 * N; i++) ids[i] = again[i] = i < N ? i : i - N;
    rv_pairs a = {.n = 4, .src_ids = ids, .src_at = at}, b = a;
    b.src_ids = again;
    rv_pairs_shuffle_sources(&a, 1);
    rv_pairs_shuffle_sources(&b, 1);
    cr_assert_arr_eq(ids, again, sizeof ids);
    cr_assert(memcmp(ids, ids + N, N * sizeof *ids));
    cr_assert_eq(ids[2 * N], N);
    for (int pair = 0; pair < 2; pair++) {
        int moved = 0, seen[N] = {0};
        for (int i = 0; i < N; i++) seen[ids[pair * N + i]]++, moved += ids[pair * N + i] != i;
        for (int i = 0; i < N; i++) cr_assert_eq(seen[i], 1);
        cr_assert_gt(moved, N / 2);
    }
}

/* What one kind of task holds, asked of another. */
typedef struct {
    rv_source source;
    rv_task task;
} bare;

/* A task of this kind without data: enough to be asked what it is. */
static rv_task *bare_task(bare *b, const char *kind) {
    const rv_task_kind *k = rv_task_find(kind);
    b->source = (rv_source){.kind = k->source};
    b->task = (rv_task){.kind = k, .source = &b->source};
    return &b->task;
}

Test(tasks, of_another_kind) {
    static const char *const others[] = {"language_model", "regression"};
    bare b;
    rv_gold_alignment gold;
    rv_length_bin bin;
    cr_expect(rv_task_translates(bare_task(&b, "translation")));
    for (int i = 0; i < 2; i++) {
        rv_task *t = bare_task(&b, others[i]);
        cr_expect_not(rv_task_translates(t));
        for (int part = RV_SUBSET_TRAIN; part <= RV_SUBSET_TEST; part++) {
            cr_expect_null(rv_task_pairs(t, (rv_subset)part));
            cr_expect_eq(rv_task_by_length(NULL, t, (rv_subset)part, 1, 0, NULL, &bin), RV_EUSAGE);
            cr_expect(strstr(rv_error_message(), others[i]), "%s", rv_error_message());
            cr_expect_eq(rv_gold_alignment_measure(NULL, t, (rv_subset)part, NULL, &gold), RV_EUSAGE);
            cr_expect(strstr(rv_error_message(), others[i]), "%s", rv_error_message());
        }
    }
    const rv_source_kind *windows = &rv__source_windows, *pairs = &rv__source_pairs, *adding = &rv__source_adding;
    cr_expect(windows->letters && windows->split && !pairs->letters && !pairs->split && !adding->letters &&
              !adding->split);
    cr_expect(!windows->pairs && !adding->pairs && !adding->batches_of_epochs && pairs->batches_of_epochs);
}

/* What `task:` names is a line of the table, and each line is named once. */
Test(tasks, all_are_found_by_name) {
    int n;
    const rv_task_kind *all = rv_task_kinds(&n);
    cr_assert_geq(n, 3);
    for (int i = 0; i < n; i++) {
        cr_expect_eq(rv_task_find(all[i].name), &all[i]);
        cr_expect(all[i].source && all[i].head && all[i].use && all[i].start && all[i].start[0]);
    }
    cr_expect_null(rv_task_find("lm"));
    cr_expect_eq(rv_task_find("language_model")->head, &rv__head_next_token);
    cr_expect_eq(rv_task_find("regression")->head, &rv__head_number);
}

Test(tasks, search_of_another_kind, .signal = SIGABRT) {
    bare b;
    rv_task_search(bare_task(&b, "language_model"));
}
Test(tasks, shuffle_of_another_kind, .signal = SIGABRT) {
    bare b;
    rv_task_shuffle_sources(bare_task(&b, "regression"), RV_SUBSET_TEST);
}
