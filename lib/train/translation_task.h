/** What a translation task holds, for translating and pictures. */
#ifndef RV_TRAIN_TRANSLATION_TASK_H
#define RV_TRAIN_TRANSLATION_TASK_H

#include "data/parallel.h"
#include "models/seq2seq.h"
#include "train/task.h"
#include "decode/translate.h"

/** The parts of a task of kind translation; owned by the task. For a task of another kind they are NULL, lengths 0;
 * what has nothing to say so with (rv_translation_task_shuffle_sources, rv_translation_task_options) aborts. */
RV_API rv_seq2seq *rv_translation_task_model(rv_task *task);
RV_API rv_tokenizer *rv_translation_task_src_tokenizer(rv_task *task);
RV_API rv_tokenizer *rv_translation_task_tgt_tokenizer(rv_task *task); /**< the same one if joint */
RV_API const rv_config *rv_translation_task_config(const rv_task *task);
/** Pairs of a part; n = 0 for one that was not loaded. Validation and test pairs are in the files' order. */
RV_API const rv_pairs *rv_translation_task_pairs(rv_task *task, rv_subset subset);
/** Put the tokens of each source sentence of a part into a random order (rv_pairs_shuffle_sources with the experiment's seed),
 *  for evaluations to come: what does the model make of the order? Not for a part that is trained on. */
RV_API void rv_translation_task_shuffle_sources(rv_task *task, rv_subset subset);
/** Tokens of the longest sentence that the model takes (data.max_length); longer sources are to be cut. */
RV_API int64_t rv_translation_task_max_length(const rv_task *task);
/** The search that decode.* describes, with the tokenizers' marks; n_best 1, and <unk> may be produced. */
RV_API rv_translate_options rv_translation_task_options(const rv_task *task);
/** What a model reaches on sentences of like length. */
typedef struct {
    int64_t sentences;
    double bleu, chrf; /**< against the references as they are */
    double bleu_lc;    /**< BLEU of both in lower case, as sacreBLEU -lc has it */
} rv_length_bin;
/** The model writes lower case alone (tokenizer.lowercase): its BLEU against references with capitals is low by that,
 * and bleu_lc is reported, too. */
RV_API bool rv_translation_task_lowercase(const rv_task *task);
/** Translate a part as decode.* says and score it by source length [Bahdanau 2015, fig. 2]: bins (edges + 1), bin i
 * those with up to most[i] (rising) words and more than most[i - 1], the last bin the longer ones. Errors: RV_EDATA
 * without such a part, RV_EUSAGE for a task of another kind, those of rv_translate. */
RV_API rv_status rv_translation_task_by_length(rv_tape *tape, rv_task *task, rv_subset subset, int edges, const int64_t *most, rv_length_bin *bins);

#endif
