/* Files that have a word a line: one line's columns, whatever they are wanted for. */
#ifndef RV_DATA_WORD_LINES_H
#define RV_DATA_WORD_LINES_H

#include "data/text.h"

enum { RV__LINE_COLUMNS = 64 }; /* at most so many */
/* Columns of CoNLL-U, from 0. */
enum { RV__CONLLU_FORM = 1, RV__CONLLU_UPOS = 3, RV__CONLLU_XPOS = 4, RV__CONLLU_FEATS = 5, RV__CONLLU_MISC = 9 };

typedef enum {
    RV__LINE_END,     /* nothing: a sentence ends here, if one had begun */
    RV__LINE_COMMENT, /* no part of any sentence */
    RV__LINE_WORD,
    RV__LINE_RANGE,      /* conllu, 1-2: what several words are written as, of numbers first to last */
    RV__LINE_EMPTY_NODE, /* conllu, 1.1: a word that is not in the text */
} rv__line_kind;

typedef struct {
    rv__line_kind kind;
    int columns;
    rv_text field[RV__LINE_COLUMNS]; /* parts of the line; of columns without the blanks around them */
    long first, last;                /* conllu: the number of a word, or those of a range */
} rv__word_line;

/* One line of CoNLL-U [universaldependencies.org/format], without its end. RV_EDATA unless it is blank, a comment, or
 * ten columns of which the first is an id. */
rv_status rv__conllu_line(const char *path, long long number, char *s, size_t len, rv__word_line *out);

/* How a file of columns parts them. */
typedef struct {
    const char *path;
    bool tabs;     /* by tabs; else by blanks */
    int columns;   /* that each line of a word has */
    long long at;  /* the line that says so, from 1 */
    bool sentence; /* one has begun: its words stand before the next line */
    bool ragged;   /* words are wanted, not tags: lines may have any number of columns, one as well */
} rv__columns;

/* Told by all of the text. A file has tabs if any of its lines has one between other characters. */
rv__columns rv__columns_of(const char *path, const rv_text *text);
/* One line of it, without its end; all of them are to be given, in their order. Lines that begin with "# " are comments
 * unless "#" is their first column, of as many as the others have; -DOCSTART- is an end. RV_EDATA unless a word has as
 * many columns as those before it, two at least, or may be ragged. */
rv_status rv__columns_line(rv__columns *c, long long number, char *s, size_t len, rv__word_line *out);

#endif
