/* Vectors of words that an embedding begins with: model.init.vectors. */
#include "base/log.h"
#include "data/vectors.h"
#include "train/take.h"

static const char key[] = "model.init.vectors";

static rv_status take(const char *path, rv_tokenizer *words, const rv_param *table) {
    const long long size = rv_tokenizer_size(words);
    rv_vectors_found found;
    RV_TRY(rv_vectors_read(path, words, table->t.dim[1], table->t.x, &found));
    if (!found.exact && !found.lowered)
        return rv_error(RV_EDATA,
                        "%s: none of the %lld words of the vocabulary is among its %lld; give vectors of the data's "
                        "language",
                        path, size, (long long)found.lines);
    rv_info("%s: %s has %lld of the vocabulary's %lld words (%lld as they are, %lld in lower case); %lld of its %lld "
            "lines were skipped",
            key, path, (long long)(found.exact + found.lowered), size, (long long)found.exact, (long long)found.lowered,
            (long long)found.skipped, (long long)found.lines);
    return RV_OK;
}

rv_status rv_take_vectors(const rv_config *c, rv_task *task, rv_params *ps) {
    if (!rv_config_has(c, key)) return RV_OK;
    const rv_param *table = rv_params_find(ps, "encoder.embedding.weight");
    RV_ASSERT(table); /* the schema has the key only where an encoder reads words */
    const rv_status status = take(rv_config_text(c, key), rv_task_source(task)->in, table);
    if (status == RV_OK) return RV_OK;
    return rv_error_context(status, "%s: %s (model.embedding_dim is %lld): ", rv_config_where(c, key), key,
                            (long long)table->t.dim[1]);
}
