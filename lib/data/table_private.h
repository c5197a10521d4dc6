/* Rows of labelled texts. */
#ifndef RV_DATA_TABLE_PRIVATE_H
#define RV_DATA_TABLE_PRIVATE_H

#include "data/table.h"

/* Which columns are what; all files of a table have the same. Columns are counted from 0 here. */
typedef struct {
    char separator;
    bool quotes, header;
    bool named;                                /* columns were named; else a line of tsv has two */
    int text[RV_TABLE_COLUMNS], n_text, label; /* n_text 0: not known before the first row */
    int columns;                               /* of every row; 0: none read yet */
    const char *path;                          /* the first row, by which the others are judged */
    long long line;
} rv__table_layout;

/* RV_EUSAGE for columns that cannot be. */
rv_status rv__table_layout_make(const rv_table_files *files, rv__table_layout *out);

/* Read the file `path`, after the n paths `before` (rv_text_load_data): p's n, lines, src, tgt, line and text, as
 * rv_table_part has them. On an error p is to be freed, too. RV_EDATA with the line, RV_ENOMEM. */
rv_status rv__table_read(rv__table_layout *l, const char *path, int n, const char *const *before, rv_pairs *p);

/* Copy the names of n classes into a table that has none. RV_EUSAGE unless 2 to RV_TABLE_CLASSES, RV_ENOMEM. */
rv_status rv__table_take_classes(rv_table *t, const char *const *classes, int n);

#endif
