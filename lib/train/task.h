/** A task: data, vocabularies and a model, as an experiment names them, and all that is done with the three together.
 *
 *  What is particular to one kind of task is a line of tasks.def; the trainer owns the step, the optimiser, checkpoints
 * and the log. */
#ifndef RV_TRAIN_TASK_H
#define RV_TRAIN_TASK_H

#include "autograd/tape.h"
#include "config/config.h"
#include "decode/translate.h"
#include "io/checkpoint.h"
#include "io/items.h"
#include "models/model.h"
#include "nn/params.h"
#include "train/source.h"

typedef struct rv_task rv_task;

typedef struct {
    const char *name;
    const rv_source_kind *source;
    const rv_head_kind *head;
    const char *use;          /**< what a finished run is for, as a hint: "write: ravel generate" */
    const char *const *start; /**< assignments of a new experiment, ended by NULL */
} rv_task_kind;

/** The kind that `task:` names, or NULL. */
RV_API const rv_task_kind *rv_task_find(const char *name);
/** All of them, *n. */
RV_API const rv_task_kind *rv_task_kinds(int *n);

/* ---- beginning and end */

/** Load the data and declare the model's parameters. saved: a checkpoint whose vocabularies to use, or NULL to make
 * them from the training data. with_data false: the model alone (to decode with). Free with rv_task_destroy. */
RV_API rv_status rv_task_create(const rv_config *config, const rv_checkpoint *saved, bool with_data, rv_params *params,
                                rv_task **out);
RV_API void rv_task_destroy(rv_task *t);
/** Make the model again as `config` has it, which differs in the model's widths alone; params gets what it declares.
 * Data, vocabularies and batches stay, and the batches start again. After an error the task can only be destroyed. */
RV_API rv_status rv_task_rebuild(rv_task *t, const rv_config *config, rv_params *params);

RV_API const rv_task_kind *rv_task_kind_of(const rv_task *t);
RV_API rv_model *rv_task_model(rv_task *t);
RV_API rv_source *rv_task_source(rv_task *t);
RV_API const rv_config *rv_task_config(const rv_task *t);

/* ---- training */

/** Fetch the next training batch, or the one that needs the most memory, which leaves the cursor where it is; it holds
 * until the next call. */
RV_API const rv_batch *rv_task_next(rv_task *t);
RV_API const rv_batch *rv_task_largest(rv_task *t);
/** Mean loss of the fetched batch -> scalar. NULL: sticky error on the tape. */
RV_API rv_tensor *rv_task_loss(rv_tape *tape, rv_task *t);
/** The step succeeded: the batches fetched and the state carried since the last commit count from now on. Saves made
 * before a commit see the cursor and state of the commit before. */
RV_API void rv_task_commit(rv_task *t);
RV_API int64_t rv_task_epoch(const rv_task *t);
/** Training batches that so many passes over the data take, rounded up. Data that are made have no passes, and no
 *  train.epochs. */
RV_API int64_t rv_task_batches_of_epochs(rv_task *t, int64_t epochs);
/** Forward FLOPs and positions of a mean batch, for summaries; per position without data. */
RV_API void rv_task_cost(const rv_task *t, const rv_params *params, double *flops, int64_t *positions);
/** Forward FLOPs of one parameter for each position, likewise. */
RV_API double rv_task_weight_flops(const rv_task *t, const rv_param *p);

/* ---- checkpoints */

/** Append what exact resume needs beyond the parameters: cursor, carried state, the data's hash, vocabularies. */
RV_API rv_status rv_task_save(rv_task *t, rv_items *items);
/** Take it back; RV_ECKPT with the remedy when it does not belong to these data or this model. */
RV_API rv_status rv_task_restore(rv_task *t, const rv_checkpoint *saved);

/* ---- measuring */

enum { RV_METRICS_MAX = 10 };
typedef struct {
    const char *name; /**< as in the configuration, and bleu_lc */
    double value;
} rv_metric;
typedef struct {
    rv_metric m[RV_METRICS_MAX];
    int n;
    int64_t tokens; /**< predictions they are means over */
} rv_metrics_result;
/** The value of that name; NaN if there is none. */
RV_API double rv_metrics_value(const rv_metrics_result *r, const char *name);

/** Whether rv_task_evaluate could begin: as rv_source_kind.check. */
RV_API rv_status rv_task_check(rv_task *t, rv_subset subset, bool watched);
/** Measure a part of the data with the metrics of the configuration; RV_EDATA when there is none; what
 * rv_stop_requested says ends it early. final: as a result is measured, all of it; otherwise as a validation in
 * training may be, cheaper (train.validate_*). Leaves the training cursor and state as they were. */
RV_API rv_status rv_task_evaluate(rv_tape *tape, rv_task *t, rv_subset subset, bool final, rv_metrics_result *out);
enum { RV_CONFUSION_MOST = 1000 };
/** What each class was taken for in the last rv_task_evaluate: (C, C), row the true class, column the one that was
 * told; C = rv_source.n_classes. It holds until the next one. NULL before it, and of a task without classes or with
 * more than RV_CONFUSION_MOST. */
RV_API const int64_t *rv_task_confusion(const rv_task *t);
/** Of tags that mark spans, what the last rv_task_evaluate counted of each type, spans->n_types of them; *spans says
 *  which. It holds until the next one. NULL before it, and of others. */
RV_API const rv_span_counts *rv_task_spans(const rv_task *t, const rv_span_tags **spans);
/** Each example of a part (of a text: spans of it), in the data's order; translated as decode.* says. Errors: the
 * sink's, and as rv_task_evaluate. */
RV_API rv_status rv_task_examples(rv_tape *tape, rv_task *t, rv_subset subset, rv_example_sink sink, void *ctx);

/* ---- translations (translations.c) */

/** True if the task's sources are pairs of texts, so that it translates. */
RV_API bool rv_task_translates(const rv_task *t);
/** Pairs of a part; n = 0 for one that was not loaded. Validation and test pairs are in the files' order. Of a task
 * that does not translate: NULL. */
RV_API const rv_pairs *rv_task_pairs(rv_task *t, rv_subset subset);
/** The search that decode.* describes, with the vocabularies' marks; n_best 1, and <unk> may be produced. */
RV_API rv_translate_options rv_task_search(const rv_task *t);
/** The model writes lower case alone (tokenizer.lowercase): its BLEU against references with capitals is low by that,
 * and bleu_lc is reported, too. */
RV_API bool rv_task_lowercase(const rv_task *t);
/** Put the tokens of each source sentence of a part into a random order (rv_pairs_shuffle_sources with the experiment's
 *  seed), for evaluations to come: what does the model make of the order? Not for a part that is trained on. */
RV_API void rv_task_shuffle_sources(rv_task *t, rv_subset subset);
/** What a model reaches on sentences of like length. */
typedef struct {
    int64_t sentences;
    double bleu, chrf; /**< against the references as they are */
    double bleu_lc;    /**< BLEU of both in lower case, as sacreBLEU -lc has it */
} rv_length_bin;
/** Translate a part with this beam and score it by source length [Bahdanau 2015, fig. 2]: bins (edges + 1), bin i those
 * with up to most[i] (rising) words and more than most[i - 1], the last bin the longer ones. Errors: RV_EDATA without
 * such a part, RV_EUSAGE for a task that does not translate, those of rv_translate. */
RV_API rv_status rv_task_by_length(rv_tape *tape, rv_task *t, rv_subset subset, int beam, int edges,
                                   const int64_t *most, rv_length_bin *bins);

#endif
