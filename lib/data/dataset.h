/** Data sets by name: a folder datasets/NAME/ with manifest.json, and files in the cache folder.
 *
 *  Manifests are looked for in $RAVEL_DATASETS (if set, there alone), ./datasets, then where ravel is installed. Files
 * are kept in
 *  ${RAVEL_DATA:-data-cache}/NAME/. One that is missing there is copied from $RAVEL_DATA_MIRROR/NAME/ if that is set
 * (FILE or FILE.gz), else downloaded; a generated data set is written. Whatever arrives is unpacked, checked against
 * the manifest's sha256 and size, and only then given its name.
 *
 *  manifest.json: {"name", "description", "licence", "home",
 *    "format": "text"|"parallel"|"conllu"|"columns"|"tsv"|"csv"|"pairs",
 *    "files": [{"name", "url", "sha256", "bytes"}]  (of the unpacked file; the source may be gzip)
 *    or "generator": {"task", "seed", "train", "valid", "test", "min_length", "max_length"},
 *    "roles": {"train": "FILE", ...}}  (not for generated ones, whose roles are fixed: see generate.h) */
#ifndef RV_DATA_DATASET_H
#define RV_DATA_DATASET_H

#include <stdint.h>

#include "base/status.h"
#include "data/corpus.h"
#include "data/parallel.h"
#include "data/table.h"
#include "data/tagged.h"

typedef struct rv_dataset rv_dataset;

/** Find NAME's manifest and check it. Gets nothing. Errors: RV_EDATA (no such data set: names those there are and the
 *  folders searched; a bad manifest, by file and key). Free with rv_dataset_destroy. */
RV_API rv_status rv_dataset_open(const char *name, rv_dataset **out);
/** Make sure all files are in the cache folder, getting those that are missing, with a log line each. A present file of
 *  the right size is taken as it is unless `verify` (then its sha256 is checked, and a wrong one got again). Errors:
 *  RV_EDATA with the remedy: which file from which address to put where. */
RV_API rv_status rv_dataset_get(rv_dataset *ds, bool verify);
/** open + get. What the trainer calls. */
RV_API rv_status rv_dataset_resolve(const char *name, rv_dataset **out);
RV_API void rv_dataset_destroy(rv_dataset *ds);

/** Path of the file in `role` ("text", "train", "valid", "train.en", ...); NULL if there is none. ds owns it. */
RV_API const char *rv_dataset_path(const rv_dataset *ds, const char *role);
/** Path in `role`, or RV_EDATA that names the roles there are. */
RV_API rv_status rv_dataset_require(const rv_dataset *ds, const char *role, const char **path);
/** What a language model reads: role "text"; else "train.text", "valid.text", "test.text"; else with `language`
 *  (may be NULL) "train.LANGUAGE" and so on; else "train", "valid", "test". Of formats "conllu", "columns" and "tsv"
 *  the sentences are read (out->format), unless the role ends in ".text". No text are "train", "valid" and "test" of
 *  formats "pairs" and "csv", nor "text" of "csv". The paths are ds's. Error: RV_EDATA. */
RV_API rv_status rv_dataset_lm_files(const rv_dataset *ds, const char *language, rv_corpus_files *out);
/** What translation reads: roles "train.SRC" and "train.TGT", and so on for valid and test; with both NULL, for data
 * sets of format "pairs", the roles "train", "valid", "test", files of "source<TAB>target". Splits other than train may
 * be absent. The paths are ds's. Errors: RV_EDATA that names the roles there are; RV_EUSAGE for one language alone. */
RV_API rv_status rv_dataset_parallel_files(const rv_dataset *ds, const char *src, const char *tgt,
                                           rv_parallel_files *out);
/** Labelled texts, of formats "tsv" and "csv": roles "train", "valid" and "test", of which the last two may be
 *  absent. A data set with one file of all its texts has it in role "table" ("text" does, too): as out->train, with
 *  fractions that the caller may change, 0.8 to train and 0.1 to test. The columns are the format's. The paths are
 *  ds's. Error: RV_EDATA that names the roles there are. */
RV_API rv_status rv_dataset_table_files(const rv_dataset *ds, rv_table_files *out);
/** Tagged sentences, of formats "conllu" and "columns": roles "train", "valid" and "test", of which the last two may be
 *  absent. Fractions, the field and the columns are for the caller to set. The paths are ds's. Error: RV_EDATA that
 *  names the roles there are. */
RV_API rv_status rv_dataset_tagged_files(const rv_dataset *ds, rv_tagged_files *out);

RV_API const char *rv_dataset_name(const rv_dataset *ds);
RV_API const char *rv_dataset_format(const rv_dataset *ds);
RV_API const char *rv_dataset_description(const rv_dataset *ds);
RV_API const char *rv_dataset_licence(const rv_dataset *ds);
/** The cache folder of this data set. */
RV_API const char *rv_dataset_folder(const rv_dataset *ds);
/** True if every file is there with the right size. */
RV_API bool rv_dataset_present(const rv_dataset *ds);
/** Call `each` with the name of every data set found, sorted, until it returns false. */
RV_API rv_status rv_dataset_each(bool (*each)(void *arg, const char *name), void *arg);
/** The folders in which manifests are looked for, in words, into buf, which is returned. */
RV_API const char *rv_dataset_places(char *buf, size_t size);

#endif
