/* Experiment files against the schema: all mistakes at once and in place, conditions, defaults, round trips. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_private.h"
#include "config/schema.h"
#include "config/small.h"

/* ---- the schema itself ---- */

Test(schema, table_is_sound) {
    char path[128], text[512];
    for (int i = 0; i < rv__schema_size; i++) {
        const rv__key *k = &rv__schema[i];
        const char *when = k->when, *values;
        size_t len;
        bool negated;
        while (rv__schema_clause(&when, path, sizeof path, &values, &len, &negated)) {
            const bool fact = *path == '@';
            int j = rv__schema_find(fact ? "task" : path);
            cr_expect(j >= 0, "%s depends on unknown %s", k->path, path);
            for (const char *v = values; v && v < values + len; v += strcspn(v, "|") + 1) {
                size_t n = strcspn(v, "| ");
                snprintf(text, sizeof text, "%.*s", (int)n, v);
                bool ever = false; /* in one row of its path or another, of one task or another */
                for (const char *s = rv__schema_tasks; fact && s; s = strchr(s + 1, '|')) {
                    char task[64];
                    snprintf(task, sizeof task, "%.*s", (int)strcspn(s + 1, "|"), s + 1);
                    ever |= !strcmp(rv__schema_fact(task, path), text);
                }
                for (int r = j; !fact && r >= 0 && r < rv__schema_size && !strcmp(rv__schema[r].path, path); r++)
                    ever |= rv__schema[r].type == RV__BOOL || rv__schema_one_of(rv__schema[r].range, text);
                cr_expect(ever, "%s: %s is never %s", k->path, path, text);
            }
        }
        cr_expect(rv__schema_parent(i) >= 0 || !strchr(k->path, '.'), "%s has no section", k->path);
        cr_expect(rv__schema_find(k->path) <= i);
        for (int j = rv__schema_find(k->path); j < i; j++)
            cr_expect_str_eq(rv__schema[j].path, k->path, "rows of %s are apart", k->path);
        cr_expect(strlen(k->doc) > 4, "%s is not explained", k->path);
        if (k->type == RV__INT || k->type == RV__REAL || k->type == RV__REALS) {
            rv__interval v = rv__schema_interval(k);
            cr_expect(v.low < v.high, "%s: range %s", k->path, k->range);
        }
        FILE *f = tmpfile();
        cr_expect_eq(rv_config_explain(k->path, f), RV_OK);
        cr_expect(ftell(f) > (long)strlen(k->path));
        fclose(f);
    }
    cr_expect_eq(rv_config_explain("train.optimizer.momentun", stdout), RV_EUSAGE);
    cr_expect_str_eq(rv_error_message(),
                     "there is no key 'train.optimizer.momentun'; did you mean 'train.optimizer.momentum'?");
    cr_expect_eq(rv_config_explain("warmup_steps", stdout), RV_EUSAGE);
    cr_expect_str_eq(rv_error_message(),
                     "there is no key 'warmup_steps'; did you mean 'train.lr_scheduler.warmup_steps'?");
}

/* ---- values and defaults ---- */

Test(config, values_and_defaults) {
    rv_config *c = with(NULL);
    cr_expect_str_eq(rv_config_text(c, "name"), "small");
    cr_expect_eq(rv_config_int(c, "train.max_steps"), 20000);
    cr_expect_eq(rv_config_real(c, "train.optimizer.lr"), 1e-3);
    cr_expect_eq(rv_config_int(c, "seed"), 1);
    cr_expect(!rv_config_given(c, "seed") && rv_config_given(c, "train.optimizer.lr") &&
              rv_config_given(c, "train.optimizer"));
    cr_expect_eq(rv_config_int(c, "model.embedding_dim"), 24);
    cr_expect_eq(rv_config_count(c, "train.optimizer.betas"), 2);
    cr_expect_eq(rv_config_real_at(c, "train.optimizer.betas", 1), 0.999);
    cr_expect_eq(rv_config_count(c, "metrics"), 2);
    cr_expect_str_eq(rv_config_text_at(c, "metrics", 1), "ppl");
    cr_expect_str_eq(rv_config_text(c, "checkpoint.dir"), "runs/small");
    cr_expect_eq(rv_config_int(c, "runtime.threads"), 0);
    cr_expect(rv_config_is(c, "model.decoder.type", "rnn") && !rv_config_is(c, "model.decoder.type", "transformer"));
    cr_expect(!rv_config_is(c, "train.optimizer.momentum", "0") && !rv_config_has(c, "train.optimizer.momentum"));
    cr_expect(!rv_config_has(c, "train.early_stopping") && !rv_config_has(c, "train.early_stopping.patience") &&
              rv_config_has(c, "generate"));
    cr_expect(!rv_config_has(c, "data.dataset") && !rv_config_text(c, "data.dataset"));
    cr_expect(!rv_config_bool(c, "model.tie_embeddings") && rv_config_bool(c, "model.head_bias"));
    cr_expect_str_eq(rv_config_where(c, "train.optimizer.lr"), "exp.yaml:8:31");
    cr_expect_str_eq(rv_config_where(c, "seed"), "exp.yaml");
    cr_expect_str_eq(rv_config_source(c), rnn);
    rv_config_destroy(c);

    static const char *const transformer[] = {
        "model=!replace {decoder: {type: transformer, num_layers: 2, num_heads: 4, hidden_size: 24}, dropout: 0.3}",
        "train.early_stopping={metric: accuracy, patience: 3}", "name=no", "checkpoint.dir=a/${name}-${seed}",
        "train.lr_scheduler={type: noam}"};
    c = parse(rnn, 5, transformer);
    cr_expect_eq(rv_config_int(c, "model.decoder.ff_size"), 96);
    cr_expect_eq(rv_config_real(c, "model.decoder.attention_dropout"), 0.3);
    cr_expect(rv_config_bool(c, "model.tie_embeddings") && !rv_config_bool(c, "model.head_bias"));
    cr_expect_str_eq(rv_config_text(c, "train.early_stopping.mode"), "max");
    cr_expect_str_eq(rv_config_text(c, "checkpoint.dir"), "a/no-1");
    cr_expect_eq(rv_config_int(c, "train.lr_scheduler.warmup_steps"), 4000);
    cr_expect_eq(rv_config_real(c, "train.lr_scheduler.factor"), 1);
    cr_expect_str_eq(rv_config_where(c, "name"), "command line 'name=no'");
    rv_config_destroy(c);
}

Test(config, null_means_not_given) {
    const char *const over[] = {"train.early_stopping={patience: 3}", "train.early_stopping=null", "seed=null",
                                "generate.prompt='null'"};
    rv_config *c = parse(rnn, 4, over);
    cr_expect(!rv_config_has(c, "train.early_stopping"));
    cr_expect_eq(rv_config_int(c, "seed"), 1);
    cr_expect_str_eq(rv_config_text(c, "generate.prompt"), "null");
    rv_config_destroy(c);
}

/* ---- mistakes ---- */

Test(config, all_mistakes_at_once) {
    fails("name: shakes peare\n"
          "seed: -3\n"
          "seed: 4\n"
          "data: {path: input.txt, train: a}\n"
          "tokenizer: {type: chars, vocab_size: 3}\n"
          "model:\n"
          "  decoder: {type: transformer, cell: gru, num_heads: 3, hidden_size: 128}\n"
          "  dropout: 1.1\n"
          "  lr: 3\n"
          "train:\n"
          "  batch: {size: 32.5, length: 64}\n"
          "  max_steps: 2e4\n"
          "  optimizer: {type: sgd, lr: 1e-3x, betas: [0.9, 0.98]}\n"
          "  lr_scheduler:\n"
          "    warmup_step: 3\n"
          "    type: cosine\n"
          "  validate_every:\n",
          0, NULL,
          "exp.yaml:1:7: name: expected a name of letters, digits, '.', '_' and '-', got 'shakes peare'\n"
          "exp.yaml:2:7: seed: expected a whole number in [0, 9007199254740991], got '-3'\n"
          "exp.yaml:3:1: duplicate key 'seed', first at line 2; remove one\n"
          "exp.yaml:4:1: data.valid is missing: a file to validate on goes with data.train; a single file for both is "
          "data.path\n"
          "exp.yaml:4:32: data.train besides data.path; give exactly one of data.dataset, data.path and data.train\n"
          "exp.yaml:5:19: tokenizer.type: expected char, byte, word or bpe, got 'chars'; did you mean 'char'?\n"
          "exp.yaml:7:32: model.decoder.cell does not apply here; it is allowed only with model.decoder.type rnn\n"
          "exp.yaml:7:54: model.decoder.num_heads 3 does not divide model.decoder.hidden_size 128\n"
          "exp.yaml:8:12: model.dropout: expected a number in [0, 1), got '1.1'\n"
          "exp.yaml:9:3: unknown key 'lr' in model; did you mean train.optimizer.lr?\n"
          "exp.yaml:11:17: train.batch.size: expected a whole number in [1, 100000000], got '32.5'\n"
          "exp.yaml:13:30: train.optimizer.lr: expected a number in [0, 1000000], got '1e-3x'\n"
          "exp.yaml:13:37: train.optimizer.betas does not apply here; it is allowed only with train.optimizer.type "
          "adam or adamw\n"
          "exp.yaml:15:5: unknown key 'warmup_step' in train.lr_scheduler; did you mean 'warmup_steps'?\n"
          "exp.yaml:17:18: train.validate_every: expected a whole number in [1, 1000000000000], got nothing");
}

/* A short file: what is not asked for has a value; what is asked for is named with the values that it may have. */
Test(config, few_keys_are_required) {
    rv_config *c = parse("name: n\ndata: {path: f}\nmodel: {decoder: {type: transformer, hidden_size: 32}}\ntrain: "
                         "{max_steps: 9, optimizer: {lr: 1e-3}}\n",
                         0, NULL);
    cr_expect_eq(rv_config_int(c, "model.decoder.num_layers"), 2);
    cr_expect_eq(rv_config_int(c, "model.decoder.num_heads"), 4);
    cr_expect_eq(rv_config_int(c, "train.batch.size"), 32);
    cr_expect_eq(rv_config_int(c, "train.batch.length"), 128);
    cr_expect_eq(rv_config_int(c, "train.validate_every"), 500);
    cr_expect(rv_config_is(c, "train.optimizer.type", "adam"));
    rv_config_destroy(c);
    c = parse(
        "name: n\ntask: translation\ndata: {dataset: d}\nmodel:\n  encoder: {type: rnn, cell: gru, hidden_size: 32}\n"
        "  decoder: {type: rnn, cell: gru, hidden_size: 32}\ntrain: {max_steps: 9, optimizer: {lr: 1e-3}}\n",
        0, NULL);
    cr_expect_eq(rv_config_int(c, "tokenizer.vocab_size"), 8000);
    cr_expect_eq(rv_config_int(c, "model.encoder.num_layers"), 1);
    cr_expect_eq(rv_config_int(c, "train.batch.size"), 4096);
    rv_config_destroy(c);
    fails(
        "name: n\ntask: translation\ndata: {dataset: d}\nmodel:\n  encoder: {num_layers: 0}\n  decoder: {type: rnn, "
        "hidden_size: 32}\ntrain: {optimizer: {type: sgd}}\n",
        0, NULL,
        "exp.yaml:5:3: model.encoder.type is missing: rnn or transformer (recurrence or attention)\n"
        "exp.yaml:5:3: model.encoder.hidden_size is missing: a whole number in [1, 65536] (width of a layer's state)\n"
        "exp.yaml:5:25: model.encoder.num_layers: expected a whole number in [1, 1000], got '0'\n"
        "exp.yaml:6:3: model.decoder.cell is missing: rnn, lstm or gru (recurrent cell [Elman 1990; Hochreiter 1997; "
        "Cho 2014])\n"
        "exp.yaml:7:1: train.max_steps is missing: a whole number in [0, 1000000000000] (updates in all; or give "
        "train.epochs)\n"
        "exp.yaml:7:9: train.optimizer.lr is missing: a number in [0, 1000000] (learning rate per update, before the "
        "schedule)");
}

/* One assignment to the sound file and the mistake that it makes, after "command line '...': ". */
Test(config, one_mistake_each) {
    static const char *const wrong[][2] = {
        {"seed=0x10", "seed: expected a whole number in [0, 9007199254740991], got '0x10'"},
        {"seed=1.5", "seed: expected a whole number in [0, 9007199254740991], got '1.5'"},
        {"train.optimizer.lr=nan", "train.optimizer.lr: expected a number in [0, 1000000], got 'nan'"},
        {"train.optimizer.lr=.inf", "train.optimizer.lr: expected a number in [0, 1000000], got '.inf'"},
        {"train.optimizer.lr=1e999", "train.optimizer.lr: expected a number in [0, 1000000], got '1e999'"},
        {"train.optimizer.lr=inf", "train.optimizer.lr: expected a number in [0, 1000000], got 'inf'"},
        {"train.optimizer.lr=[1]", "train.optimizer.lr: expected a number in [0, 1000000], got a list"},
        {"model.scale_embeddings=yes", "model.scale_embeddings: expected true or false, got 'yes'"},
        {"train.optimizer.betas=[0.9]", "train.optimizer.betas: expected a list of 2 numbers in [0, 1), got 1 of them"},
        {"train.optimizer.betas=[]",
         "train.optimizer.betas: expected a list of 2 numbers in [0, 1), got an empty list"},
        {"train.optimizer.betas=[[1], 0.5]",
         "train.optimizer.betas: expected a list of 2 numbers in [0, 1), got a list"},
        {"train.freeze=[]", "train.freeze: expected a list of names of letters, digits, '.', '_' and '-', got an empty "
                            "list"},
        {"train.optimizer.betas=[0.9, 1]", "train.optimizer.betas: expected a list of 2 numbers in [0, 1), got '1'"},
        {"metrics=[loss, loss]", "metrics: 'loss' is listed twice; remove one"},
        {"metrics=[loss, bleu]",
         "metrics: expected a list of loss, ppl, bpc, bpb, accuracy or honest_loss, got 'bleu'"},
        {"train.freeze=encoder",
         "train.freeze: expected a list of names of letters, digits, '.', '_' and '-', got 'encoder'"},
        {"train.freeze=[a/b]",
         "train.freeze: expected a list of names of letters, digits, '.', '_' and '-', got 'a/b'"},
        {"train.freeze=[head, head]", "train.freeze: 'head' is listed twice; remove one"},
        {"metrics=[]", "metrics: expected a list of loss, ppl, bpc, bpb, accuracy or honest_loss, got an empty list"},
        {"metrics=loss", "metrics: expected a list of loss, ppl, bpc, bpb, accuracy or honest_loss, got 'loss'"},
        {"train.optimizer=adam", "train.optimizer: expected a map, got 'adam'"},
        {"runtime.threads=0", "runtime.threads: expected auto or a whole number in [1, 1024], got '0'"},
        {"train.optimizer.momentum=0.9",
         "train.optimizer.momentum does not apply here; it is allowed only with train.optimizer.type sgd"},
        {"train.lr_scheduler.factor=0.5", "train.lr_scheduler.factor does not apply here; it is allowed only with "
                                          "train.lr_scheduler.type plateau, or with train.lr_scheduler.type noam"},
        {"train.lr_scheduler.type=cosin", "train.lr_scheduler.type: expected constant, step, linear, cosine, noam or "
                                          "plateau, got 'cosin'; did you mean 'cosine'?"},
        {"task=latent", "task 'latent' is not available in this version; available: language_model, translation, "
                        "regression, classification or tagging"},
        {"model.encoder={type: rnn}",
         "model.encoder does not apply here; it is allowed only with task translation, regression, classification or "
         "tagging and without model.hmm"},
        {"nonsense=1", "unknown key 'nonsense' at the top; known keys: name, seed, task, data, tokenizer, model, "
                       "init, train, checkpoint, generate, decode, metrics, report, runtime, compare"},
        {"data.dataset=x", "data.dataset besides data.path; give exactly one of data.dataset, data.path and "
                           "data.train; data.path stands in exp.yaml:2:14: "
                           "to leave it out, set data.path to null, too"},
        {"data={train: x, valid: y}", "data.train besides data.path; give exactly one of data.dataset, data.path and "
                                      "data.train; data.path stands in exp.yaml:2:14: "
                                      "to leave it out, set data.path to null, too"},
        {"checkpoint.average_last=5", "checkpoint.average_last 5 is more than checkpoint.keep_last 3 keeps"},
        {"name=../x", "name: expected a name of letters, digits, '.', '_' and '-', got '../x'"},
        {"name=''", "name: expected a name of letters, digits, '.', '_' and '-', got an empty text"},
        {"train.optimizer={type: sgd, nesterov: true, betas: null}",
         "train.optimizer.nesterov needs a train.optimizer.momentum above 0"},
        {"train.lr_scheduler={type: cosine, warmup_steps: 20000}",
         "train.lr_scheduler.warmup_steps 20000 is not below total_steps 20000; nothing would be left after the "
         "warm-up"},
        {"train.lr_scheduler={type: cosine, min_lr: 1}",
         "train.lr_scheduler.min_lr 1 is above train.optimizer.lr 0.001"},
        {"train.batch={type: tokens}", "train.batch.size 4 tokens do not hold one sequence of train.batch.length 16; "
                                       "raise it, or for sequences set train.batch.type to sequences"},
        {"model.decoder.num_layers=33", "model.decoder.num_layers 33: at most 32 are possible"},
        {"model={tie_embeddings: true, embedding_dim: 8}",
         "model.tie_embeddings needs model.embedding_dim 8 equal to model.decoder.hidden_size 24"},
        {"checkpoint.dir='${nam}'",
         "unknown ${nam}; it names a value at the top of the file, as in ${name} (write $${ for a literal ${)"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rv_config *c;
        cr_expect_eq(rv_config_parse("exp.yaml", rnn, sizeof rnn - 1, 1, &wrong[i][0], &c), RV_EUSAGE, "%s",
                     wrong[i][0]);
        char want[1024];
        snprintf(want, sizeof want, "command line '%s': %s", wrong[i][0], wrong[i][1]);
        const char *got = rv_error_message(), *after = strstr(got, ": ");
        /* where the other side of a relation is in the file, the message may point there */
        bool ok = !strcmp(got, want) || (!strncmp(got, "exp.yaml:", 9) && after && !strcmp(after + 2, wrong[i][1]));
        cr_expect(ok, "%s\n gave %s\n want %s", wrong[i][0], got, want);
    }
}

Test(config, what_is_suggested_can_be_given) {
    static const char comparison[] = "compare:\n  name: c\n  models: {a: a.yaml}\n  budget: {train_steps: 3}\n";
    static const char *const wrong[][2] = {
        {"compare.budget.epochs=2", "unknown key 'epochs' in compare.budget; known keys: train_tokens, train_steps"},
        {"compare.epochs=2",
         "unknown key 'epochs' in compare; known keys: name, dir, models, settings, seeds, budget, "},
        {"compare.resamples=20", "unknown key 'resamples' in compare; did you mean compare.report.resamples?"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rv_config *c;
        cr_expect_eq(rv_config_parse("c.yaml", comparison, sizeof comparison - 1, 1, &wrong[i][0], &c), RV_EUSAGE);
        cr_expect(strstr(rv_error_message(), wrong[i][1]), "%s gave %s", wrong[i][0], rv_error_message());
    }
    static const char *const experiment[] = {"train_steps=2"};
    rv_config *c;
    cr_expect_eq(rv_config_parse("exp.yaml", rnn, sizeof rnn - 1, 1, experiment, &c), RV_EUSAGE);
    cr_expect(strstr(rv_error_message(), "unknown key 'train_steps' at the top; known keys: name, seed, "), "%s",
              rv_error_message());
}

/* What an assignment makes impossible of a file's keys gives way; what files and assignments give in vain stays a
 * mistake. */
Test(config, keys_give_way_to_assignments) {
    static const char more[] = "tokenizer: {type: word, vocab_size: 40}\n";
    static const char schedule[] = "  lr_scheduler: {type: cosine, warmup_steps: 200}\n";
    char text[1024];
    snprintf(text, sizeof text, "%s%s%s", rnn, schedule, more);
    rv_config *c = parse(text, 1, (const char *const[]){"tokenizer.type=char"});
    cr_expect(!rv_config_has(c, "tokenizer.vocab_size") && c->notes == 1);
    cr_expect_str_eq(c->note[0], "tokenizer.vocab_size (exp.yaml:11:25) is left out: it applies only with "
                                 "tokenizer.type bpe, or with tokenizer.type word");
    char *resolved = rv_config_resolved(c);
    rv_config *again = parse(resolved, 0, NULL);
    cr_expect_eq(again->notes, 0);
    rv_config_destroy(again);
    free(resolved);
    rv_config_destroy(c);
    for (int steps = 1; steps < 200; steps += 99) {
        char few[32];
        snprintf(few, sizeof few, "train.max_steps=%d", steps);
        c = parse(text, 1, (const char *const[]){few});
        cr_expect_eq(rv_config_int(c, "train.lr_scheduler.warmup_steps"), steps - 1);
        cr_expect(c->notes == 1 && strstr(c->note[0], "warmup_steps is cut from 200 (exp.yaml:10:46) to "), "%s",
                  c->note[0]);
        rv_config_destroy(c);
    }
    c = parse(
        text, 2,
        (const char *const[]){"train.lr_scheduler.type=constant", "model.decoder={type: transformer, num_heads: 2}"});
    cr_expect(rv_config_int(c, "train.lr_scheduler.warmup_steps") == 200 && !rv_config_has(c, "model.decoder.cell") &&
              c->notes == 1);
    rv_config_destroy(c);
    fails(text, 2, (const char *const[]){"tokenizer.type=char", "tokenizer.vocab_size=9"},
          "command line 'tokenizer.vocab_size=9': tokenizer.vocab_size does not apply here; it is allowed only with "
          "tokenizer.type bpe, or with tokenizer.type word");
    fails(text, 1, (const char *const[]){"train.lr_scheduler={warmup_steps: 20000}"},
          "command line 'train.lr_scheduler={warmup_steps: 20000}': train.lr_scheduler.warmup_steps 20000 is not "
          "below total_steps 20000; nothing would be left after "
          "the warm-up");
    snprintf(text, sizeof text, "%stokenizer: {type: char, vocab_size: 40}\n", rnn);
    fails(text, 1, (const char *const[]){"train.max_steps=5"},
          "exp.yaml:10:25: tokenizer.vocab_size does not apply here; it is allowed only with tokenizer.type bpe, or "
          "with tokenizer.type word");
}

/* ---- resolved text ---- */

Test(config, resolved_round_trips) {
    static const char *const variants[] = {
        "seed=7",
        "generate.prompt=\"a ${name} $${x} \\\" \\\\ \\n\\t\\x01\\x85\\u2028\\ufeff \xc3\xa4 \\U0001f600 # [x]: 'y'\"",
        "generate.prompt=''",
        "generate.prompt='~'",
        "train.optimizer.lr=0.1234567890123456789",
        "train.optimizer.lr=3e-300",
        "train.optimizer={type: sgd, momentum: 0.9, nesterov: true}",
        "train.optimizer=!replace {type: adadelta, lr: 1}",
        "train.lr_scheduler={type: plateau, patience: 0}",
        "train.early_stopping={patience: 2}",
        "metrics=[bpc, accuracy]",
        "train.freeze=[decoder.embedding, head]",
        "runtime.threads=3",
        "seed=9007199254740991",
        "data=!replace {train: a b, valid: 'null', test: ~/c}",
        "data=!replace {dataset: tinyshakespeare}",
        "tokenizer={type: bpe, vocab_size: 1e3}",
        "tokenizer={type: byte}",
        "model=!replace {decoder: {type: transformer, num_layers: 2, num_heads: 4, hidden_size: 24, norm: post}, "
        "position: sinusoidal}",
        "model.decoder={cell: lstm}",
        "model.init={weights: normal, recurrent: orthogonal}",
        "checkpoint.dir='$${name}'",
    };
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        rv_config *a = with(variants[i]), *b;
        char *first = rv_config_resolved(a), *second, *merged = rv_config_merged(a), *third;
        cr_assert_eq(rv_config_parse("resolved", first, strlen(first), 0, NULL, &b), RV_OK, "%s\n%s", first,
                     rv_error_message());
        second = rv_config_resolved(b);
        cr_expect_str_eq(first, second);
        cr_expect_str_eq(rv_config_text(a, "generate.prompt"), rv_config_text(b, "generate.prompt"));
        cr_expect_eq(rv_config_real(a, "train.optimizer.lr"), rv_config_real(b, "train.optimizer.lr"));
        rv_config_destroy(b);
        cr_assert_eq(rv_config_parse("merged", merged, strlen(merged), 0, NULL, &b), RV_OK, "%s\n%s", merged,
                     rv_error_message());
        third = rv_config_resolved(b);
        cr_expect_str_eq(first, third);
        rv_config_destroy(a), rv_config_destroy(b);
        free(first), free(second), free(third), free(merged);
    }
    rv_config *c = with("generate.prompt=\"${name}$${x}\"");
    cr_expect_str_eq(rv_config_text(c, "generate.prompt"), "small${x}");
    rv_config_destroy(c);
}
