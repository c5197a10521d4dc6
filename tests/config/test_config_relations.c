/* What keys of an experiment ask of each other, task by task. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/small.h"

#define TRANSLATION                                                                                                    \
    "name: t\ntask: translation\ndata: {dataset: multi30k, src: en, tgt: fr}\ntokenizer: {vocab_size: 4000}\n"         \
    "model:\n  encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 8}\n  decoder: {type: rnn, cell: gru, "     \
    "num_layers: 1, hidden_size: 12}\n"                                                                                \
    "train:\n  batch: {size: 100}\n  max_steps: 10\n  optimizer: {type: adam, lr: 1e-3}\n  validate_every: 5\n"

Test(config, one_word_for_sequences) {
    rv_config *new = parse(TRANSLATION, 1, (const char *const[]){"train.batch.type=sequences"}),
              *old = parse(TRANSLATION, 1, (const char *const[]){"train.batch.type=sentences"});
    char *a = rv_config_resolved(new), *b = rv_config_resolved(old);
    cr_expect(rv_config_is(old, "train.batch.type", "sequences") && !strcmp(a, b));
    free(a);
    free(b);
    rv_config_destroy(new);
    rv_config_destroy(old);
}

Test(config, transformer_relations) {
    static const char *const base =
        "model=!replace {decoder: {type: transformer, num_layers: 1, num_heads: 1, hidden_size: 25}}";
    static const char *const wrong[][2] = {
        {"model.position=sinusoidal", "model.position sinusoidal needs an even model.embedding_dim, which is 25"},
        {"model.embedding_dim=24",
         "model.embedding_dim 24 differs from model.decoder.hidden_size 25; a transformer needs them equal"},
        {"train.batch.sampling=contiguous", "train.batch.sampling contiguous carries a recurrent state, which a "
                                            "transformer has not; use random or shuffled"},
        {"model.decoder.num_heads=2", "model.decoder.num_heads 2 does not divide model.decoder.hidden_size 25"},
        {"model.decoder={num_heads: null, hidden_size: 26}",
         "model.decoder.num_heads 4 does not divide model.decoder.hidden_size 26"},
        {"model.decoder.cell=lstm",
         "model.decoder.cell does not apply here; it is allowed only with model.decoder.type rnn"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char want[512];
        snprintf(want, sizeof want, "command line '%s': %s", wrong[i][0], wrong[i][1]);
        fails(rnn, 2, (const char *const[]){base, wrong[i][0]}, want);
    }
    rv_config_destroy(parse(rnn, 1, &base));
}

#define COPY "model.bridge copy needs a recurrent encoder like the decoder, but "
#define COPY_END "; make them equal, or use dense"

Test(config, translation_relations) {
    static const char transformer[] = "{type: transformer, num_layers: 1, num_heads: 2, hidden_size: 12}";
    char encoder[128], decoder[128];
    snprintf(encoder, sizeof encoder, "model.encoder=!replace %s", transformer);
    snprintf(decoder, sizeof decoder, "model.decoder=!replace %s", transformer);
    const char *const wrong[][3] = {
        {"", "data=!replace {dataset: multi30k, src: en}",
         "data.tgt is missing: the target language goes with data.src"},
        {"", "data=!replace {src: en, tgt: fr}",
         "data: missing the text; give one of data.dataset, data.path and data.train"},
        {"", "train.batch.length=8",
         "train.batch.length does not apply here; it is allowed only with task language_model"},
        {"", "metrics=[bpc]",
         "metrics: expected a list of loss, ppl, bleu, chrf or accuracy, got 'bpc'; did you mean 'ppl'?"},
        {"", "model.tie_embeddings=true", "model.tie_embeddings: expected none, decoder or all, got 'true'"},
        {"", "model={tie_embeddings: decoder, readout: state, embedding_dim: 6}",
         "model.tie_embeddings needs model.embedding_dim 6 equal to model.decoder.hidden_size 12"},
        {"tokenizer.joint=false", "model.tie_embeddings=all",
         "model.tie_embeddings all needs one vocabulary: tokenizer.joint true"},
        {"model.encoder.bidirectional=false", "model.bridge=reverse",
         "model.bridge reverse needs a bidirectional recurrent encoder; use dense"},
        {"", "model.bridge=copy",
         COPY "the encoder's state is 16 wide (both directions) and model.decoder.hidden_size 12" COPY_END},
        {"model.encoder.cell=lstm", "model.bridge=copy",
         COPY "model.encoder.cell is lstm and model.decoder.cell gru" COPY_END},
        {"model.encoder={hidden_size: 6, num_layers: 2}", "model.bridge=copy",
         COPY "model.encoder.num_layers is 2 and model.decoder.num_layers 1" COPY_END},
        {"model.encoder={hidden_size: 6, gru_reset: before}", "model.bridge=copy",
         COPY "model.encoder.gru_reset is before and model.decoder.gru_reset after" COPY_END},
        {encoder, "model={bridge: copy, embedding_dim: 12}", COPY "model.encoder.type is transformer" COPY_END},
        {"", "model={attention: {type: luong}, readout: maxout}",
         "model.attention luong has the readout tanh(W [context; state]); set model.readout tanh"},
        {"model.decoder.num_layers=2", "model.attention={type: luong}",
         "model.attention.input_feeding needs model.decoder.num_layers 1; set it to false"},
        {"", "model.attention={type: luong, score: dot}",
         "model.attention.score dot needs the encoder's output as wide as model.decoder.hidden_size; use general"},
        {encoder, "model.embedding_dim=8",
         "model.embedding_dim 8 differs from model.encoder.hidden_size 12; a transformer needs them equal"},
        {decoder, "model.attention={type: bahdanau}",
         "model.attention does not apply here; it is allowed only with task translation and with model.decoder.type "
         "rnn"},
        {"model.attention={type: bahdanau}", "model.context=each_step",
         "model.context does not apply here; it is allowed only with model.attention.type none"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rv_config *c;
        int first = *wrong[i][0] ? 0 : 1;
        cr_expect_eq(rv_config_parse("exp.yaml", TRANSLATION, sizeof TRANSLATION - 1, 2 - first, &wrong[i][first], &c),
                     RV_EUSAGE, "%s", wrong[i][1]);
        const char *got = rv_error_message(), *want = wrong[i][2];
        size_t n = strlen(got), m = strlen(want);
        cr_expect(n > m && !strcmp(got + n - m, want) && !strchr(got, '\n'), "%s\n gave %s\n want %s", wrong[i][1], got,
                  want);
    }
    const char *const sound[] = {encoder,
                                 decoder,
                                 "model.attention={type: bahdanau}",
                                 "model={attention: {type: luong, score: concat}}",
                                 "model={bridge: copy, decoder: {hidden_size: 16}}",
                                 "model={attention: {type: bahdanau}, readout: maxout, bridge: reverse}",
                                 "train.scheduled_sampling={probability: 0.2}",
                                 "train.early_stopping={metric: bleu, patience: 1}"};
    for (size_t i = 0; i < sizeof sound / sizeof *sound; i++) { /* and what is printed is read again */
        rv_config *a = parse(TRANSLATION, 1, &sound[i]), *b = NULL;
        char *text = rv_config_resolved(a);
        cr_expect_eq(rv_config_parse("resolved", text, strlen(text), 0, NULL, &b), RV_OK, "%s\n%s", sound[i],
                     rv_error_message());
        rv_config_destroy(a), rv_config_destroy(b);
        free(text);
    }
}

#define REGRESSION                                                                                                     \
    "name: r\ntask: regression\ndata: {generator: adding, max_length: 30}\nmodel:\n  encoder: {type: rnn, cell: "      \
    "lstm, num_layers: 1, hidden_size: 8}\n"                                                                           \
    "train:\n  batch: {size: 10}\n  max_steps: 10\n  optimizer: {type: adam, lr: 1e-3}\n  validate_every: 5\n"

Test(config, regression_relations) {
    static const char *const wrong[][2] = {
        {"data.min_length=31", "data.min_length 31 is above data.max_length 30"},
        {"data.generator=addition", "data.generator: expected adding, got 'addition'"},
        {"data.dataset=multi30k", "data.dataset does not apply here; it is allowed only with task language_model, "
                                  "translation, classification or tagging"},
        {"tokenizer={type: char}",
         "tokenizer does not apply here; it is allowed only with task language_model, translation, classification or "
         "tagging"},
        {"model.decoder={type: rnn}",
         "model.decoder does not apply here; it is allowed only with task language_model or translation"},
        {"model.pooling=max", "model.pooling: expected last, mean or attention, got 'max'; did you mean 'mean'?"},
        {"model.pooling_size=4",
         "model.pooling_size does not apply here; it is allowed only with model.pooling attention"},
        {"train.label_smoothing=0.1", "train.label_smoothing does not apply here; it is allowed only with task "
                                      "language_model, translation or classification, or with model.crf false"},
        {"metrics=[ppl]", "metrics: expected a list of loss or mse, got 'ppl'"},
        {"model.encoder=!replace {type: transformer, num_layers: 1, num_heads: 1, hidden_size: 9}",
         "model.position sinusoidal needs an even model.encoder.hidden_size, which is 9"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rv_config *c;
        cr_expect_eq(rv_config_parse("exp.yaml", REGRESSION, sizeof REGRESSION - 1, 1, &wrong[i][0], &c), RV_EUSAGE,
                     "%s", wrong[i][0]);
        const char *got = rv_error_message(), *want = wrong[i][1];
        size_t n = strlen(got), m = strlen(want);
        cr_expect(n > m && !strcmp(got + n - m, want) && !strchr(got, '\n'), "%s\n gave %s\n want %s", wrong[i][0], got,
                  want);
    }
    static const char *const sound[] = {
        "model={pooling: attention, pooling_size: 3}", "model.init={recurrent: orthogonal, forget_bias: 0}",
        "data.min_length=2", "model.encoder=!replace {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 8}",
        "train.early_stopping={metric: mse, patience: 1}"};
    for (size_t i = 0; i < sizeof sound / sizeof *sound; i++) {
        rv_config *a = parse(REGRESSION, 1, &sound[i]), *b = NULL;
        char *text = rv_config_resolved(a);
        cr_expect_eq(rv_config_parse("resolved", text, strlen(text), 0, NULL, &b), RV_OK, "%s\n%s", sound[i],
                     rv_error_message());
        rv_config_destroy(a), rv_config_destroy(b);
        free(text);
    }
    rv_config *c = parse(REGRESSION, 0, NULL);
    cr_expect_eq(rv_config_int(c, "data.min_length"), 30);
    cr_expect(rv_config_is(c, "model.pooling", "last") && !rv_config_bool(c, "model.encoder.bidirectional"));
    cr_expect_eq(rv_config_real(c, "model.init.forget_bias"), 1);
    rv_config_destroy(c);
}

/* What is held back of a file is known here; of a data set it is where its parts are. */
Test(config, classification_relations) {
    static const char text[] = "name: c\ntask: classification\ndata: {path: t.tsv}\n"
                               "model: {encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 8}}\n"
                               "train: {batch: {size: 4}, max_steps: 3, optimizer: {type: adam, lr: 1e-3}}\n";
    static const struct {
        const char *assigned, *says; /* NULL: nothing */
    } rows[] = {
        {"data.train_fraction=0.89", NULL},
        {"data.train_fraction=0.9", "data.train_fraction 0.9 and data.test_fraction 0.1 leave nothing to validate on"},
        {"data=!replace {dataset: ag_news, train_fraction: 0.95}", NULL},
        {"data=!replace {dataset: ag_news, train_fraction: 0.95, text_columns: [2, 3], label_column: 64}", NULL},
        {"data.label_column=65", "data.label_column: expected a whole number in [1, 64], got '65'"},
        {"data.text_columns=[65]", "data.text_columns: expected a list of whole numbers in [1, 64], got '65'"},
        {"metrics=[ppl]", "metrics: expected a list of loss, accuracy or f1, got 'ppl'"},
        {"train.early_stopping={metric: f1}", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rv_config *a = NULL, *b = NULL;
        const rv_status status = rv_config_parse("exp.yaml", text, sizeof text - 1, 1, &rows[i].assigned, &a);
        cr_expect_eq(status, rows[i].says ? RV_EUSAGE : RV_OK, "%s: %s", rows[i].assigned, rv_error_message());
        if (rows[i].says) cr_expect(strstr(rv_error_message(), rows[i].says), "%s", rv_error_message());
        if (status != RV_OK) continue;
        char *resolved = rv_config_resolved(a);
        cr_expect_eq(rv_config_parse("resolved", resolved, strlen(resolved), 0, NULL, &b), RV_OK, "%s\n%s",
                     rows[i].assigned, rv_error_message());
        rv_config_destroy(a), rv_config_destroy(b);
        free(resolved);
    }
}
