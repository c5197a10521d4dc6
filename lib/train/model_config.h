/** From the experiment's keys to the model's settings. */
#ifndef RV_TRAIN_MODEL_CONFIG_H
#define RV_TRAIN_MODEL_CONFIG_H

#include "config/config.h"
#include "models/model.h"

/** What the data say of a model's sizes. */
typedef struct {
    int64_t source_vocab;     /**< tokens that an encoder reads; 0: */
    int64_t numbers;          /**< ... or numbers at each position */
    int64_t target_vocab;     /**< tokens that a decoder reads and predicts; 0: there is no decoder */
    int64_t letters;          /**< different letters of words; 0: words are not spelt */
    int64_t shapes;           /**< kinds of what a word looks like */
    int64_t outputs;          /**< classes, tags, or numbers that are told */
    rv_crf_allowed allowed;   /**< tags: what may follow what; the source's */
    const rv_words *spelling; /**< the source's vocabulary as letters, where words are spelt; the source's */
    int32_t unknown;          /**< the id of words that it has not */
    int64_t positions;        /**< of the longest sequence: rows of a table of positions */
} rv_model_sizes;

/** True of a model that learns by counting, in one step: it has no optimiser, and no rate. */
RV_API bool rv_model_config_counts(const rv_config *config);
/** The settings of the model, read from model.* (checked before: cannot fail). */
RV_API rv_model_config rv_model_config_read(const rv_config *config, const rv_head_kind *head,
                                            const rv_model_sizes *sizes);

enum { RV_MODEL_WORDS = 1536 };
/** What the model is, in words: "encoder: GRU, bidirectional; decoder: GRU, additive attention [Bahdanau 2015]". */
RV_API void rv_model_words(const rv_config *config, char words[RV_MODEL_WORDS]);

enum { RV_MODEL_WIDTHS = 12 };
/** A key of the configuration that is a width, and how it may change. */
typedef struct {
    const char *key;
    int64_t base, unit; /**< as it is; what it must be a multiple of */
    int follows;        /**< place of another width of which it is `times` as wide, or -1 */
    int64_t times;
    bool fine;  /**< beside the states: may be scaled apart from the others */
    bool given; /**< in the file; others have a default that follows, and are set only to be scaled apart */
} rv_model_width;
/** The widths of a model, the one that others follow first: what may be scaled without making it another kind of model.
 *  Returns how many. */
RV_API int rv_model_widths(const rv_config *config, rv_model_width widths[RV_MODEL_WIDTHS]);

#endif
