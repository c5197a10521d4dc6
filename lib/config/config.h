/** An experiment's settings: YAML checked against one table of keys (schema.def) and completed with defaults.
 *
 *  A key is a path ("train.optimizer.lr"). Its type comes from the schema, not from the spelling: 1e-4 is a number,
 *  2e4 an integer where one is wanted, `no` a text where a text is wanted. A key may apply only under a condition
 *  (momentum only with train.optimizer.type sgd); setting it elsewhere is a mistake, unless an override is the reason,
 * which leaves it out. `null` stands for "not given". All mistakes are reported at once.
 *
 *  Reading a path that is not in the schema, with the wrong type, or a number that is neither given nor defaulted is
 * an error of the program: RV_ASSERT. Look-ups compare names; read what a loop needs before the loop. */
#ifndef RV_CONFIG_CONFIG_H
#define RV_CONFIG_CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "base/status.h"
#include "io/yaml.h"

typedef struct rv_config rv_config;

/** Read, check and complete an experiment file. `overrides` are assignments "key.path=value", later ones win.
 *  RV_EUSAGE with every mistake, one line each, or RV_ENOMEM; *out is then NULL. Destroy with rv_config_destroy. */
RV_API rv_status rv_config_load(const char *path, int n_overrides, const char *const *overrides, rv_config **out);
/** The same, and RV_EUSAGE for the file of a comparison, which has no model of its own. */
RV_API rv_status rv_config_load_experiment(const char *path, int n_overrides, const char *const *overrides,
                                           rv_config **out);
/** rv_config_load for a text in memory (a checkpoint's), named `label` in messages; it cannot include files. */
RV_API rv_status rv_config_parse(const char *label, const char *text, size_t len, int n_overrides,
                                 const char *const *overrides, rv_config **out);
RV_API void rv_config_destroy(rv_config *c);
/** train.max_steps in place of train.epochs, now that the data are known; what its default depends on follows.
 *  RV_EUSAGE with the mistakes that come of it, or RV_ENOMEM: the configuration can then only be destroyed. */
RV_API rv_status rv_config_set_steps(rv_config *c, int64_t steps);
/** Say (rv_info) which keys of the files were left out or changed because an assignment made them impossible
 *  (vocab_size of a tokenizer that became char, a warm-up longer than a run that was made short, or than its epochs
 *  are; what files give in vain is a mistake), and which data files were found elsewhere than they were written. */
RV_API void rv_config_tell(const rv_config *c);

/** Numbers. rv_config_int of a key that is set to `auto` (runtime.threads) is 0. */
RV_API double rv_config_real(const rv_config *c, const char *path);
RV_API int64_t rv_config_int(const rv_config *c, const char *path);
RV_API bool rv_config_bool(const rv_config *c, const char *path);
/** A text, path or name out of a set; NULL if the key has no value. Owned by c. */
RV_API const char *rv_config_text(const rv_config *c, const char *path);
/** True if the key applies and has a value, given or by default; for a section: that it is there
 *  (train.early_stopping is a section that may be left out). */
RV_API bool rv_config_has(const rv_config *c, const char *path);
/** True if the file or an override sets the key or section. A resolved text sets all, so let results not depend on it.
 */
RV_API bool rv_config_given(const rv_config *c, const char *path);
/** True if the key's value is a default of its own: neither given nor taken from another key's. */
RV_API bool rv_config_by_default(const rv_config *c, const char *path);
/** Lists: elements (0 without a value), and the i-th. */
RV_API int rv_config_count(const rv_config *c, const char *path);
RV_API double rv_config_real_at(const rv_config *c, const char *path, int i);
RV_API int64_t rv_config_int_at(const rv_config *c, const char *path, int i);
RV_API const char *rv_config_text_at(const rv_config *c, const char *path, int i);
/** The i-th entry of a list or map as it stands in the text, for rv_yaml_where; NULL if it is of a default. Owned by c.
 */
RV_API const rv_yaml_node *rv_config_entry_at(const rv_config *c, const char *path, int i);
/** The value of a key in the i-th entry of a list of maps (init); NULL if it has none. Owned by c. */
RV_API const char *rv_config_entry_text(const rv_config *c, const char *path, int i, const char *key);
/** Maps whose keys are the user's (compare.models): entries (0 without a value), and the i-th: its value, whose key is
 *  node->key. Owned by c. rv_yaml_where tells where it stands. */
RV_API int rv_config_map_count(const rv_config *c, const char *path);
RV_API const rv_yaml_node *rv_config_map_at(const rv_config *c, const char *path, int i);
RV_API const char *rv_config_map_key(const rv_config *c, const char *path, int i);
/** A value as YAML on one line, as an assignment takes it ("[0.9, 0.98]"). The caller frees it; NULL (RV_ENOMEM) when
 * out of memory. */
RV_API char *rv_config_flow(const rv_yaml_node *value);
/** A text as YAML that reads back as it, in quotes where it needs them. The caller frees it; NULL (RV_ENOMEM) when out
 * of memory. */
RV_API char *rv_config_quote(const char *text);
/** True if the key has a value and its text is `value`: rv_config_is(c, "model.decoder.type", "rnn"). */
RV_API bool rv_config_is(const rv_config *c, const char *path, const char *value);
/** True if model.tie_embeddings makes the output layer the embedding, so that what it reads is as wide as that. */
RV_API bool rv_config_ties_output(const rv_config *c);

/** "exp.yaml:14:5", where the value was given, for errors found later; "exp.yaml" if it is a default. Owned by c. */
RV_API const char *rv_config_where(const rv_config *c, const char *path);
/** The text of the main file as read. Owned by c. */
RV_API const char *rv_config_source(const rv_config *c);
/** Canonical YAML in the schema's order with every applicable key, defaults included; parses back to the same values,
 *  and equal settings give equal bytes. The caller frees it; NULL (RV_ENOMEM) when out of memory. */
RV_API char *rv_config_resolved(const rv_config *c);
/** The same with only the keys that were given, includes and overrides merged. */
RV_API char *rv_config_merged(const rv_config *c);
/** The same with the meaning of each key behind it, as the beginning of a file that a person goes on with. */
RV_API char *rv_config_commented(const rv_config *c);
/** Call `each` for every key of the schema, in its order, but not for sections and lists of maps, whose keys it is
 *  called for (with a list of what the entries have): text is the value as rv_config_resolved has it, or NULL
 *  where the key does not apply or has no value; it dies with the call. RV_ENOMEM. */
RV_API rv_status rv_config_each(const rv_config *c, void (*each)(void *ctx, const char *path, const char *text),
                                void *ctx);

/** Print what the schema says of a key (type, values, default, when it applies, meaning) or of a section ("" is the
 *  whole schema): its keys and their values. RV_EUSAGE with the nearest key if there is no such key. */
RV_API rv_status rv_config_explain(const char *key, FILE *to);

#endif
