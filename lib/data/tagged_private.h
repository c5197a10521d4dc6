/* What the files of tagged sentences share. */
#ifndef RV_DATA_TAGGED_PRIVATE_H
#define RV_DATA_TAGGED_PRIVATE_H

#include "data/intern.h"
#include "data/tagged.h"

/* The words of a file's sentences, by numbers in tables that all files have in common. All zero is no file. */
typedef struct {
    int64_t *at;         /* (n + 1) sentence i has words at[i] .. at[i + 1] */
    int32_t *form, *tag; /* numbers */
    int64_t *line;       /* that each word stands in, from 1 */
} rv__tagged_words;

void rv__tagged_words_free(rv__tagged_words *w);

/* RV_EUSAGE for columns that cannot be. */
rv_status rv__tagged_check(const rv_tagged_files *files);
/* The column that holds tags, in words: "column 2 (data.tag_column)". */
const char *rv__tagged_column(const rv_tagged_files *files, char *buf, size_t size);

/* Read the file `path`, after the n paths `before` (rv_text_load_data): its words, new ones added to the tables, and
 * p's n, lines, src and text as rv_tagged_part has them; p->line[i] is i, the sentence in *w. On an error both are to
 * be freed, too. RV_EDATA with the line, RV_ENOMEM. */
rv_status rv__tagged_read(const rv_tagged_files *files, const char *path, int n, const char *const *before,
                          rv__intern *forms, rv__intern *tags, rv_pairs *p, rv__tagged_words *w);

/* words.c. Forms from the table of all, each known if known[i]; `known` is taken over. The letters are ids of
 * `letters`. RV_ENOMEM; *f is to be freed then, too. */
rv_status rv__forms_make(const rv__intern *table, bool *known, rv_tokenizer *letters, rv_forms *f);
void rv__forms_free(rv_forms *f);

#endif
