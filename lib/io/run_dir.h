/** A run's folder: its lock, its checkpoints `step-000001000.h5`, which of them is the latest or the best, and which
 * may go. "Latest" is the highest step that verifies; there is no pointer file that could be damaged. */
#ifndef RV_IO_RUN_DIR_H
#define RV_IO_RUN_DIR_H

#include "io/checkpoint.h"

enum { RV_PATH_MAX = 4096 }; /**< a path in a run's folder, with the final 0 */

typedef struct rv_run_dir rv_run_dir;
/** Make the folder (and its parents) if needed, take its lock for this process, and remove temporaries of dead ones.
 *  RV_EUSAGE if another process has the lock (the message names its pid) or the folder cannot be made or written. The
 *  lock goes with rv_run_dir_close or with the process, however it dies. A fork shares it. */
RV_API rv_status rv_run_dir_open(const char *path, rv_run_dir **out);
/** Pid of the process that has a folder's lock; 0 if none has it (or there is no such folder), -1 if it cannot be told
 * which. */
RV_API long rv_run_dir_owner(const char *path);
/** RV_EUSAGE if rv_run_dir_open could not make or write the folder; makes nothing, and takes no lock. */
RV_API rv_status rv_run_dir_can_open(const char *path);
/** NULL is allowed. */
RV_API void rv_run_dir_close(rv_run_dir *run);
/** Close it and leave the place as rv_run_dir_open found it: the lock's file goes if this process made it, and the
 * folder and its parents if this process made them, with `files` (names, ended by NULL) in them. For a run that is
 * refused before its first step; what else is in the folder stays, and the folder with it. NULL is allowed. */
RV_API void rv_run_dir_abandon(rv_run_dir *run, const char *const *files);
RV_API const char *rv_run_dir_path(const rv_run_dir *run);
/** "RUN/name" into out. */
RV_API void rv_run_dir_file(const rv_run_dir *run, const char *name, char out[RV_PATH_MAX]);

/** Save to step-%09d.h5 of the folder (see rv_checkpoint_save: an existing file is an error). A run should not die of a
 *  full disk: on RV_ECKPT warn with rv_error_message() and train on; after RV_SAVE_ATTEMPTS failures in a row end
 *  with exit code 4. The latest good checkpoint is never touched by a failure. */
RV_API rv_status rv_run_dir_save(rv_run_dir *run, int64_t step, int n, const rv_ck_item *items,
                                 char state_hash[RV_CK_HASH_TEXT]);
enum { RV_SAVE_ATTEMPTS = 3 };
/** Write the same to a file of the folder that is removed again: whether saving works, before a run's first step. */
RV_API rv_status rv_run_dir_try_saving(rv_run_dir *run, int64_t step, int n, const rv_ck_item *items);
/** The same in the place of that step's file, which is whole at every moment: for a state that has moved on without a
 * step. */
RV_API rv_status rv_run_dir_save_again(rv_run_dir *run, int64_t step, int n, const rv_ck_item *items);

/** Steps of the checkpoints in folder `path`, ascending; needs no lock. The caller frees *steps. A folder that does not
 *  exist has none. */
RV_API rv_status rv_run_dir_list(const char *path, int64_t **steps, int *n);
/** Name of a step's file, without the folder. */
RV_API void rv_run_dir_name(int64_t step, char out[32]);
/** Open the latest checkpoint in folder `path` that verifies. Each damaged one is named in a warning and passed over.
 *  None there: RV_OK with *out NULL. Some there but none good: RV_ECKPT. */
RV_API rv_status rv_run_dir_latest(const char *path, rv_checkpoint **out);
/** True of a folder in which 'ravel compare' keeps its plan: its runs are in cells/. */
RV_API bool rv_run_dir_is_comparison(const char *path);
/** RV_ECKPT of a folder that holds no checkpoint: what to do about it. A comparison's folder has its runs in cells/. */
RV_API rv_status rv_run_dir_without(const char *path);
/** Rename every checkpoint of a step after `step` to NAME.aside, replacing an older one aside, so that a run resumed at
 *  `step` does not meet files of another course (damaged ones, or the ones it left). -1: all. Call once, on resuming
 *  or starting. best.h5 goes if its file does. */
RV_API rv_status rv_run_dir_set_aside(rv_run_dir *run, int64_t step);
/** Delete checkpoints other than the newest `keep_last` and those of the steps kept[0..n_kept) (the best ones). The
 *  newest checkpoint always stays. RV_ECKPT if one cannot be deleted; the others are deleted all the same. */
RV_API rv_status rv_run_dir_prune(rv_run_dir *run, int keep_last, const int64_t *kept, int n_kept);
/** Let the symbolic link best.h5 show that step's file, replacing it atomically. */
RV_API rv_status rv_run_dir_mark_best(rv_run_dir *run, int64_t step);

#endif
