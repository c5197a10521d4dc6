/** Sources: what an experiment's data are, cut into batches that any model takes.
 *
 *  One kind per file, listed in sources.def. A source owns its data and vocabularies, and remembers where it is. */
#ifndef RV_TRAIN_SOURCE_H
#define RV_TRAIN_SOURCE_H

#include "config/config.h"
#include "data/batch.h"
#include "data/corpus.h"
#include "data/parallel.h"
#include "evaluate/spans.h"
#include "io/items.h"
#include "models/batch.h"
#include "train/example.h"
#include "train/model_config.h"

/** A part of the data. */
typedef enum { RV_SUBSET_TRAIN, RV_SUBSET_VALID, RV_SUBSET_TEST } rv_subset;

enum { RV_LOOK_EXAMPLES = 64, RV_LOOK_BATCH = 16 }; /**< rv_source_kind.look: at most */

typedef struct rv_source rv_source;
typedef struct rv_pass rv_pass;

/** Texts of a language model's part, for measures per letter. */
typedef struct {
    int64_t targets, chars, bytes; /**< predictions of the whole part, and what they say; the latter 0 if not known */
} rv_letters;

/** The tags of a part's sentences. */
typedef struct {
    int64_t n, words;
    const int64_t *at;         /**< (n + 1) the first word of each sentence */
    const int32_t *tag;        /**< (words) */
    const bool *known;         /**< (words) whether the training part has it */
    const rv_span_tags *spans; /**< scheme RV_SPANS_NONE where tags mark none */
} rv_tags;

typedef struct {
    const char *name;
    /** Load the data. saved: a checkpoint whose vocabularies to use, or NULL to make them from the training part.
     *  with_data false: vocabularies alone. Fills the members of rv_source below. *out is
     *  there after an error, too, unless NULL, to be closed. */
    rv_status (*open)(const rv_config *config, const rv_checkpoint *saved, bool with_data, rv_source **out);
    void (*close)(rv_source *s);
    /** What the configuration alone says of a model's sizes; 0: the data say it. */
    rv_model_sizes (*sizes)(const rv_config *config);

    /** The next training batch, whose arrays hold until the next call. There always is one: data are read in epochs. */
    void (*next)(rv_source *s, rv_batch *b);
    /** The batch that needs the most memory; the cursor stays. NULL: all are alike. */
    void (*largest)(rv_source *s, rv_batch *b);
    /** Where the next batch is. Setting it makes the batches go on from there, the same to the bit; RV_ECKPT if it
     * cannot belong to these data. */
    rv_cursor (*cursor)(const rv_source *s);
    rv_status (*seek)(rv_source *s, rv_cursor cursor);
    /** Training batches that so many passes take, rounded up; NULL: there are no passes. */
    int64_t (*batches_of_epochs)(rv_source *s, int64_t epochs);
    /** Rows and lengths of a mean batch; without data of one sequence. */
    void (*typical)(const rv_source *s, double *B, double *S, double *T);

    /** Whether a part can be measured: RV_EDATA with the remedy where there is none, or too little of it. watched,
     * before training: or where the metric that stops it early cannot be, or the test part could not be; a warning
     * names other metrics that cannot. */
    rv_status (*check)(rv_source *s, rv_subset subset, bool watched);
    /** Every example of a part once, in batches, of which a text gives the first `most` (0: all), other sources all;
     *  *rows: their rows, so many that rv_batch.index is below. Errors: as check, RV_ENOMEM. */
    rv_status (*pass)(rv_source *s, rv_subset subset, int64_t most, rv_pass **out, int64_t *rows);
    /** The next batch of it; false at the end. */
    bool (*pass_next)(rv_pass *p, rv_batch *b);
    void (*pass_end)(rv_pass *p);
    /** Few examples of the validation part, in batches, to look into: each row's loss is of its last target alone where
     *  its positions are predictions; length: of them, 0: as the data have it. *longest: positions of the longest. */
    rv_status (*look)(rv_source *s, int64_t length, rv_pass **out, int64_t *examples, int64_t *longest);
    /** What is known of row i of a part beyond its score: lengths and texts. NULL: nothing. */
    void (*describe)(rv_source *s, rv_subset subset, int64_t i, rv_example *e);

    /* ---- of texts alone, NULL of others */
    rv_letters (*letters)(rv_source *s, rv_subset subset);
    const rv_split *(*split)(rv_source *s, rv_subset subset);
    rv_pairs *(*pairs)(rv_source *s, rv_subset subset);     /**< rows of a part, n = 0 for one that is not there */
    const rv_tags *(*tags)(rv_source *s, rv_subset subset); /**< of tagged sentences */
} rv_source_kind;

/** The first member of every source's own struct; filled by open. */
struct rv_source {
    const rv_source_kind *kind;
    const rv_config *config;
    rv_model_sizes sizes;
    rv_tokenizer *in,
        *out; /**< of what an encoder and a decoder read; the same one if joint; NULL where there is none */
    rv_tokenizer *letters; /**< of words that are spelt, or NULL */
    int n_classes;         /**< labels of a head `class`, or tags, in the order of its outputs */
    const char *const *class_name;
    int64_t span_scheme; /**< rv_span_scheme of tags */
    uint64_t hash;       /**< of the data: tells a resumed run that they have changed; 0: they are made, not read */
    bool carries;        /**< training batches go on from one another (rv_batch.continues), and passes, too */
};

#define RV_SOURCE(name) RV_API const rv_source_kind rv__source_##name;
#include "train/sources.def"
#undef RV_SOURCE

/** True if validation measures this metric: the loss always is, and so is what early stopping watches. */
RV_API bool rv_task_measures(const rv_config *config, const char *metric);

#endif
