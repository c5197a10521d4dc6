/** Tasks: what the trainer needs to know about data, model and measures of one kind of experiment.
 *
 *  A task owns its data, tokenizer and model; the trainer owns the step, the optimiser, checkpoints and the log. One
 *  kind per file, listed in tasks.def. */
#ifndef RV_TRAIN_TASK_H
#define RV_TRAIN_TASK_H

#include "autograd/tape.h"
#include "io/checkpoint.h"
#include "nn/params.h"
#include "config/config.h"
#include "evaluate/bleu.h"
#include "evaluate/chrf.h"
#include "io/items.h"

typedef struct rv_task rv_task;

enum { RV_METRICS_MAX = 8 };
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

/** One example as a trained model does on it: sums, so that any mean can be computed again. Texts die with the call. */
typedef struct {
    int64_t source_tokens, source_words;
    int64_t tokens, correct; /**< predictions, and those whose most probable token was right */
    double nats;             /**< summed over them */
    int64_t bytes;           /**< of the text that they say; 0: not known */
    const char *source, *reference, *hypothesis; /**< or NULL where the task has no such text */
    rv_bleu_stats bleu;                          /**< with a hypothesis; */
    rv_chrf_stats chrf;                          /**< of chrF2 */
    bool regression;         /**< the two below mean something, and tokens is 0 */
    double prediction, target;
} rv_example;
typedef rv_status (*rv_example_sink)(void *ctx, int64_t i, const rv_example *example);

/** A part of the data. */
typedef enum { RV_SUBSET_TRAIN, RV_SUBSET_VALID, RV_SUBSET_TEST } rv_subset;

typedef struct {
    const char *name;
    const char *use; /**< what a finished run is for, as a hint: "write: ravel generate" */
    /** What an experiment of this task may begin with, as assignments, ended by NULL: 'ravel config new' adds the name and, where no
     *  generator makes the data, the user's files. */
    const char *const *start;
    /** Load the data and declare the model's parameters. saved: a checkpoint whose tokenizer to use, or NULL to make
     *  one from the training data. with_data false: the model alone (generation). */
    rv_status (*create)(const rv_config *config, const rv_checkpoint *saved, bool with_data, rv_params *params, rv_task **out);
    void (*destroy)(rv_task *task);
    /** Make the model again as `config` has it, which differs in the model's widths alone; params gets what it declares. Data, vocabulary
     *  and batches stay, and the batches start again. After an error the task can only be destroyed. */
    rv_status (*rebuild)(rv_task *task, const rv_config *config, rv_params *params);
    /** Fetch the next training batch; *tokens: predictions in it (regression: steps of its sequences). There always is one: data is read in epochs. */
    rv_status (*next_batch)(rv_task *task, int64_t *tokens);
    /** As next_batch, the batch that needs the most memory; the cursor stays. NULL: all are alike. */
    rv_status (*largest_batch)(rv_task *task, int64_t *tokens);
    /** What the fetched batch's loss is a mean over: its predictions, or the examples of a regression. */
    int64_t (*targets)(const rv_task *task);
    /** Mean loss of the fetched batch -> scalar. NULL: sticky error on the tape. */
    rv_tensor *(*loss)(rv_tape *tape, rv_task *task);
    /** The step succeeded: the batches fetched and the state carried since the last commit count from now on. Saves
     *  made before a commit see the cursor and state of the commit before. */
    void (*commit)(rv_task *task);
    /** Measure a part of the data with the metrics of the configuration; RV_EDATA when there is none; what rv_stop_requested says
     *  ends it early. final: as a result is
     *  measured, all of it; otherwise as a validation in training may be, cheaper (train.validate_*). Leaves the training
     *  cursor and state as they were. */
    rv_status (*evaluate)(rv_tape *tape, rv_task *task, rv_subset subset, bool final, rv_metrics_result *out);
    /** Whether evaluate could begin: RV_EDATA with the remedy when there is no such part, or too little of it;
     *  `watched`, before training: or when the metric that stops it early cannot be measured, or the test part could
     *  not be. A warning names other metrics that cannot. */
    rv_status (*check)(rv_task *task, rv_subset subset, bool watched);
    /** Each example of a part (a language model's are spans of the text), in the data's order; translated as
     *  decode.* says. Errors: the sink's, and as evaluate. */
    rv_status (*examples)(rv_tape *tape, rv_task *task, rv_subset subset, rv_example_sink sink, void *ctx);
    /** Append what exact resume needs beyond the parameters: cursor, carried state, corpus hash, tokenizer. */
    rv_status (*save)(rv_task *task, rv_items *items);
    /** Take it back; RV_ECKPT with the remedy when it does not belong to this data or model. */
    rv_status (*restore)(rv_task *task, const rv_checkpoint *saved);
    int64_t (*epoch)(const rv_task *task);
    /** Training batches that so many passes over the data take, rounded up; NULL: there are no passes. */
    int64_t (*batches_of_epochs)(const rv_task *task, int64_t epochs);
    /** Forward FLOPs and positions of one batch, for summaries. */
    void (*cost)(const rv_task *task, const rv_params *params, double *flops, int64_t *positions);
    /** Forward FLOPs of one parameter for each position that it meets (rv_lm_weight_flops). */
    double (*weight_flops)(const rv_task *task, const rv_param *p);
} rv_task_kind;

struct rv_task {
    const rv_task_kind *kind; /* first member of every task's own struct */
};

#define RV_TASK(name) RV_API const rv_task_kind rv__task_##name;
#include "train/tasks.def"
#undef RV_TASK

/** The kind that `task:` names. The configuration has been checked: never NULL. */
RV_API const rv_task_kind *rv_task_find(const char *name);

#endif
