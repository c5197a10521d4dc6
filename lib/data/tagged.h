/** Tagged sentences: files of words and their tags, to ids, letters and tag numbers. */
#ifndef RV_DATA_TAGGED_H
#define RV_DATA_TAGGED_H

#include <stdint.h>

#include "base/status.h"
#include "data/pairs.h"
#include "data/tokenizer.h"

enum { RV_TAGGED_TAGS = 8192 }; /* at most so many */

/** How a file writes its sentences.
 *  conllu [universaldependencies.org/format]: ten columns parted by tabs, comments, an empty line after each sentence;
 *  ranges (1-2) and empty nodes (1.1) are no words.
 *  columns: a word a line, columns parted by tabs, or in a file without any by blanks, in each line as many; a blank
 *  line (a tab alone is one, too) between sentences. Lines that begin with "# " (a document's comment) or -DOCSTART-
 *  are no words; but a column "#" of a line that has all columns is one. */
typedef enum { RV_TAGGED_CONLLU, RV_TAGGED_COLUMNS } rv_tagged_format;
/** The column of conllu that is the tag. */
typedef enum { RV_TAGGED_UPOS, RV_TAGGED_XPOS, RV_TAGGED_FEATS } rv_tagged_field;

/** Files, plain or gzip; those that are NULL are not given. Or train alone, of which fractions are held back: */
typedef struct {
    const char *train, *valid, *test;
    double train_fraction, test_fraction; /**< of train's sentences, as in rv_table_files */
    rv_tagged_format format;
    rv_tagged_field field;       /**< conllu */
    int word_column, tag_column; /**< columns: from 1; 0: the first, and the last */
} rv_tagged_files;

typedef struct {
    /** The sentences: src_ids are the words' ids, or with a tokenizer of pieces theirs (each word but the first with
     *  the blank before it, as in a text); src[i] the words as they are, a blank between two, those that were cut off,
     *  too; no target side, and tgt is NULL. line is that of a sentence's first word. */
    rv_pairs pairs;
    int64_t *word_at; /**< (n + 1) the first word of each sentence among all; the words that were cut off not counted */
    int32_t *tag;     /**< (words) the number of each word's tag, in [0, n_tags) */
    int32_t *form;    /**< (words) its form */
    int32_t *first;   /**< (words) the position of its first piece in its sentence, which is more than a blank if it has
                           any other; NULL: words are the tokens */
    int64_t cut;      /**< sentences that were cut to max_length, by whole words */
} rv_tagged_part;

/** What a word looks like [Collobert 2011, 2.4]. */
typedef enum {
    RV_SHAPE_LOWER,  /**< no capitals */
    RV_SHAPE_FIRST,  /**< the first letter alone is one; a single letter is */
    RV_SHAPE_UPPER,  /**< all letters are */
    RV_SHAPE_MIXED,  /**< some are */
    RV_SHAPE_DIGITS, /**< there are digits, and no letters */
    RV_SHAPE_OTHER,  /**< neither */
    RV_SHAPES
} rv_shape;

/** Every different word of the parts, as it is written; those that were cut off, too. */
typedef struct {
    int32_t n;
    const char **text;  /**< (n) */
    int64_t *letter_at; /**< (n + 1) */
    int32_t *letter;    /**< ids of `letters` */
    uint8_t *shape;     /**< (n) rv_shape */
    bool *known;        /**< (n) it is a word of the training part */
} rv_forms;

typedef struct {
    rv_tagged_part train, valid, test; /**< without sentences (n 0, pointers NULL) where not given */
    int n_tags;
    char **tag_name;         /**< (n_tags) */
    rv_tokenizer *tokenizer; /**< of words, or of pieces */
    rv_tokenizer *letters;   /**< of characters, with <unk>; of what is written, whatever the tokenizer lower-cases */
    rv_forms forms;
    uint64_t hash; /**< XXH3 of the parts' words and tags, how many there are, and how many were cut */
} rv_tagged;

/** Read, split and tokenise. tokenizer, letters, tag_names: NULL: made of the train part; otherwise taken over, even on
 *  error (names are copied). Tags found are those of all parts, sorted by their bytes: what an annotation can say is
 *  more than a part has, and a word whose tag was never learnt is to count as wrong; a warning counts such words. With
 *  all three given, the train part may be absent (then no form is known, but those that the tokenizer of words has). A
 *  word that no tokenizer of words can have (with a blank in it) is <unk>. Sentences over max_length tokens (0: no
 *  limit) are cut by whole words, with a warning that counts them; of a first word that is longer its first pieces
 *  stay. Errors: RV_EDATA with file:line and the remedy (absent, empty or damaged files, invalid UTF-8, columns that
 *  are missing, ids out of order, a tag not among the given ones, a part of which most words have tags that the train
 *  part has not, one tag alone or over RV_TAGGED_TAGS, too few sentences to hold some back); RV_EUSAGE; RV_ENOMEM. Free
 *  with rv_tagged_free. */
RV_API rv_status rv_tagged_load(const rv_tagged_files *files, const rv_tokenizer_spec *spec, rv_tokenizer *tokenizer,
                                rv_tokenizer *letters, const char *const *tag_names, int n_tags, int64_t max_length,
                                rv_tagged *out);
RV_API void rv_tagged_free(rv_tagged *t);

/** Tags alone, for a tagger without data; the names are copied. RV_EUSAGE unless 2 to RV_TAGGED_TAGS, RV_ENOMEM. */
RV_API rv_status rv_tagged_take_tags(rv_tagged *t, const char *const *names, int n);

/** The id of one word, whole: <unk> of what is none. Errors: RV_EDATA (invalid UTF-8), RV_ENOMEM. */
RV_API rv_status rv_word_id(rv_tokenizer *words, const char *word, size_t len, int32_t *id);
/** The tokens of one word in a sentence, malloc'd: of a tokenizer of words its id alone; else its pieces, of a word
 * that does not lead the sentence with the blank before it, as in the text that they were learnt from. *first: the one
 * that stands for the word, which is more than a blank if there is any other. */
RV_API rv_status rv_word_tokens(rv_tokenizer *tok, const char *word, size_t len, bool leads, int32_t **ids, int64_t *n,
                                int64_t *first);
/** The letters of one word, at most `most` (0: all; of longer ones the first and last halves): malloc'd. */
RV_API rv_status rv_word_letters(rv_tokenizer *letters, const char *word, size_t len, int64_t most, int32_t **ids,
                                 int64_t *n);
RV_API rv_shape rv_word_shape(const char *word, size_t len);

#endif
