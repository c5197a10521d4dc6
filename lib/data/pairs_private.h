/* What the readers of examples share: from lines in memory to ids. */
#ifndef RV_DATA_PAIRS_PRIVATE_H
#define RV_DATA_PAIRS_PRIVATE_H

#include "data/pairs.h"
#include "data/tokenizer.h"

enum { RV__PARTS = 3 }; /* training, validation, test */

void rv__pairs_free(rv_pairs *p);

/* Make a blank side an empty one, as it is to a reader; so it is to every tokenizer. */
void rv__side_empty_if_blank(rv_text *side);

/* Move pairs from part[0], train, to the parts k of which share[k], in [0, 1), is above 0; share[0] is not read. They
 * are spread evenly over the file, and those one after another with the same source stay together; the same pairs are
 * always cut in the same way. class_of: of each pair a class in [0, classes), each of which is then spread evenly by
 * itself, whatever order the file has; NULL: all are of one. Sets n, lines, src, tgt (if train has it) and line of
 * these parts; one may remain empty. RV_ENOMEM. */
rv_status rv__pairs_hold_back(const double share[RV__PARTS], rv_pairs *const part[RV__PARTS], const int32_t *class_of,
                              int classes);

/* A tokenizer after `spec`, with <pad> <bos> <eos> <unk>, trained on p's lines of these sides. Errors:
 * rv_tokenizer_train's. */
rv_status rv__pairs_tokenizer(const rv_tokenizer_spec *spec, const rv_pairs *p, bool src, bool tgt, rv_tokenizer **out);

/* RV_EDATA unless `tok` has <pad> <bos> <eos>; `which` tokenizer it is, and what needs them, are for the message. */
rv_status rv__check_marks(const rv_tokenizer *tok, const char *which, const char *what);

/* Ids of sides, one after another. All zero is an empty list; free `ids`. */
typedef struct {
    int32_t *ids;
    int64_t n, cap;
} rv__ids;

/* RV_ENOMEM. */
rv_status rv__ids_append(rv__ids *l, const int32_t *ids, int64_t n);

#endif
