/* Source table: texts and their classes, from rows of a file, and a vocabulary. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "data/dataset.h"
#include "data/table_private.h"
#include "train/source_rows.h"
#include "train/vocabulary.h"

typedef struct {
    rv__rows rows;
    rv_table data; /* and its vocabulary */
} table;

/* ---- the files */

static bool ends_in(const char *path, const char *with) {
    const size_t n = strlen(path), k = strlen(with);
    return n >= k && !strcmp(path + n - k, with);
}

/* By the name of the file to train on. */
static rv_table_file_format format_of(const char *path) {
    return path && (ends_in(path, ".csv") || ends_in(path, ".csv.gz")) ? RV_TABLE_CSV : RV_TABLE_TSV;
}

/* Of more columns than there is room for only their number, which reading refuses. */
static void read_columns(const rv_config *c, rv_table_files *files) {
    files->header = rv_config_bool(c, "data.header");
    if (rv_config_has(c, "data.label_column")) files->label_column = (int)rv_config_int(c, "data.label_column");
    if (!rv_config_has(c, "data.text_columns")) return;
    files->n_text = rv_config_count(c, "data.text_columns");
    for (int i = 0; i < files->n_text && i < RV_TABLE_COLUMNS; i++)
        files->text_columns[i] = (int)rv_config_int_at(c, "data.text_columns", i);
}

/* What is wrong with the columns of text, beside the label's, is said of where they stand. */
static rv_status at_columns(const rv_config *c, rv_status status) {
    static const char key[] = "data.text_columns";
    if (status != RV_EUSAGE || strncmp(rv_error_message(), key, sizeof key - 1) || !rv_config_has(c, key))
        return status;
    return rv_error_context(status, "%s: ", rv_config_where(c, key));
}

/* ---- beginning and end */

static const char needs[] = "classification";

/* `saved`, or NULL of a run that begins. */
static rv_status load_data(table *t, const rv_checkpoint *saved, rv_tokenizer *tokenizer, const char *const *classes,
                           int n) {
    const rv_config *c = t->rows.base.config;
    const rv_tokenizer_spec spec = rv__tokenizer_spec(c);
    rv_table_files files = {0};
    rv_dataset *dataset = NULL;
    rv_status status = RV_OK;
    if (rv_config_has(c, "data.dataset")) {
        status = rv_dataset_resolve(rv_config_text(c, "data.dataset"), &dataset);
        if (status == RV_OK) status = rv_dataset_table_files(dataset, &files);
    } else if (rv_config_has(c, "data.path")) {
        files.train = rv_config_text(c, "data.path");
        files.format = format_of(files.train);
    } else {
        files.train = rv_config_text(c, "data.train");
        files.valid = rv_config_text(c, "data.valid");
        files.test = rv_config_text(c, "data.test");
        files.format = format_of(files.train);
    }
    if (status == RV_OK) rv__fractions(c, saved, files.valid, files.test, &files.train_fraction, &files.test_fraction);
    read_columns(c, &files);
    if (status == RV_OK)
        status = rv_table_load(&files, &spec, tokenizer, classes, n, rv_config_int(c, "data.max_length"), &t->data);
    else
        rv_tokenizer_destroy(tokenizer);
    rv_dataset_destroy(dataset);
    return at_columns(c, status);
}

/* Without data: the vocabulary and the classes that the checkpoint has. */
static rv_status take_saved(table *t, rv_tokenizer *tokenizer, const char *const *classes, int n) {
    t->data.tokenizer = tokenizer;
    return rv__table_take_classes(&t->data, classes, n);
}

static rv_status load_saved(table *t, const rv_checkpoint *saved, bool with_data) {
    rv_tokenizer *tokenizer;
    const char **classes;
    char *text;
    int n;
    RV_TRY(rv__classes_open(saved, needs, &text, &classes, &n));
    rv_status status = rv__vocabulary_one(t->rows.base.config, saved, needs, &tokenizer);
    if (status == RV_OK)
        status = with_data ? load_data(t, saved, tokenizer, classes, n) : take_saved(t, tokenizer, classes, n);
    rv_free(classes);
    rv_free(text);
    return status;
}

static rv_status load_new(table *t) {
    rv_tokenizer *tokenizer;
    RV_TRY(rv__vocabulary_one(t->rows.base.config, NULL, needs, &tokenizer));
    return load_data(t, NULL, tokenizer, NULL, 0);
}

static void close(rv_source *s) {
    table *t = (table *)s;
    rv__rows_end(&t->rows);
    rv_table_free(&t->data);
    rv_free(t);
}

static rv_status open(const rv_config *config, const rv_checkpoint *saved, bool with_data, rv_source **out) {
    table *t = rv_alloc(sizeof *t);
    if (!t) return RV_ENOMEM;
    rv_table *d = &t->data;
    *t = (table){.rows = {.base = {.kind = &rv__source_table, .config = config, .sizes = rv__rows_sizes(config)},
                          .part = {&d->train.pairs, &d->valid.pairs, &d->test.pairs}}};
    rv_source *base = *out = &t->rows.base;
    RV_TRY(saved ? load_saved(t, saved, with_data) : load_new(t));
    rv_table_part *const parts[] = {&d->train, &d->valid, &d->test};
    for (int i = 0; i < 3; i++) t->rows.label[i] = parts[i]->label;
    base->in = d->tokenizer;
    base->hash = d->hash;
    base->sizes.source_vocab = rv_tokenizer_size(base->in);
    base->sizes.outputs = base->n_classes = d->n_classes;
    base->class_name = (const char *const *)d->class_name;
    t->rows.spec.marks = rv_source_marks_of(d->tokenizer);
    return with_data ? rv__rows_begin(&t->rows) : RV_OK;
}

const rv_source_kind rv__source_table = {.name = "table", .open = open, .close = close, RV__ROWS};
