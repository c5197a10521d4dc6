#include "train/vocabulary.h"

#include <stdio.h>

#include "train/saved.h"
#include "train/source_private.h"

/* The checkpoint to read from: `saved`, or *opened, which is then to be closed. */
static rv_status open_from(const rv_config *c, const rv_checkpoint *saved, const rv_checkpoint **from,
                           rv_checkpoint **opened) {
    char path[RV_PATH_MAX];
    *opened = NULL;
    *from = saved;
    if (saved || !rv_config_has(c, "tokenizer.from")) return RV_OK;
    RV_TRY(rv__saved_open(rv_config_text(c, "tokenizer.from"), path, opened));
    *from = *opened;
    if (rv_checkpoint_find(*from, "/tokenizer/vocab") || rv_checkpoint_find(*from, "/tokenizer/src/vocab"))
        return RV_OK;
    return rv_error(RV_ECKPT, "%s has no vocabulary; take that of a language model, a translation or a classifier",
                    path);
}

/* Closes what was opened; an error of it names the key. */
static rv_status done(const rv_config *c, const rv_checkpoint *saved, rv_status status, rv_checkpoint *opened) {
    rv_checkpoint_close(opened);
    if (status == RV_OK || saved) return status;
    return rv_error_context(status, "%s: tokenizer.from: ", rv_config_where(c, "tokenizer.from"));
}

static bool has_marks(const rv_tokenizer *t) {
    for (int i = RV_PAD; i <= RV_EOS; i++)
        if (rv_tokenizer_special(t, (rv_special)i) < 0) return false;
    return true;
}

static rv_status no_marks(const rv_checkpoint *from, const char *needs) {
    return rv_error(RV_ECKPT,
                    "%s has no <pad>, <bos> and <eos> in its vocabulary, which %s needs; leave tokenizer.from out for "
                    "a vocabulary of its own, or, where both are to have one, train the language model anew with "
                    "tokenizer.from a translation or a classifier",
                    rv_checkpoint_path(from), needs);
}

static bool is_joint(const rv_checkpoint *from) { return rv_checkpoint_find(from, "/tokenizer/vocab"); }

static rv_status read_one(const rv_config *c, const rv_checkpoint *from, bool other, rv_tokenizer **out) {
    const char *side = rv_config_text(c, "tokenizer.side");
    if (!from) return RV_OK;
    if (other && side && is_joint(from))
        return rv_error(RV_EUSAGE, "%s has a single vocabulary; leave tokenizer.side (%s) out",
                        rv_checkpoint_path(from), rv_config_where(c, "tokenizer.side"));
    if (!other || is_joint(from)) return rv__tokenizer_open(from, "", out);
    if (side) return rv__tokenizer_open(from, side, out);
    return rv_error(RV_EUSAGE, "%s has a vocabulary for each language: say which with tokenizer.side src or tgt",
                    rv_checkpoint_path(from));
}

rv_status rv__vocabulary_letters(const rv_config *c, const rv_checkpoint *saved, rv_tokenizer **out) {
    const rv_checkpoint *from;
    rv_checkpoint *opened;
    *out = NULL;
    rv_status status = open_from(c, saved, &from, &opened);
    if (status == RV_OK && from && rv_checkpoint_find(from, "/tokenizer/letters/vocab"))
        status = rv__tokenizer_open(from, "letters", out);
    return done(c, saved, status, opened);
}

rv_status rv__vocabulary_one(const rv_config *c, const rv_checkpoint *saved, const char *needs, rv_tokenizer **out) {
    const rv_checkpoint *from;
    rv_checkpoint *opened;
    *out = NULL;
    rv_status status = open_from(c, saved, &from, &opened);
    if (status == RV_OK) status = read_one(c, from, opened != NULL, out);
    if (status == RV_OK && *out && needs && !has_marks(*out)) {
        status = no_marks(from, needs);
        rv_tokenizer_destroy(*out);
        *out = NULL;
    }
    return done(c, saved, status, opened);
}

static rv_status read_pair(const rv_config *c, const rv_checkpoint *from, bool *joint, rv_tokenizer **src,
                           rv_tokenizer **tgt) {
    if (from && !rv_config_has(c, "tokenizer.joint")) *joint = is_joint(from);
    if (from && !*joint && rv_config_is(c, "model.tie_embeddings", "all"))
        return rv_error(RV_EUSAGE, "%s has a vocabulary for each language, and model.tie_embeddings all needs one",
                        rv_checkpoint_path(from));
    if (!from) return RV_OK;
    RV_TRY(rv__tokenizer_open(from, *joint ? "" : "src", src));
    rv_status status = *joint ? RV_OK : rv__tokenizer_open(from, "tgt", tgt);
    if (*joint) *tgt = *src;
    if (status == RV_OK && !(has_marks(*src) && has_marks(*tgt))) status = no_marks(from, "translation");
    if (status == RV_OK) return RV_OK;
    if (!*joint) rv_tokenizer_destroy(*tgt);
    rv_tokenizer_destroy(*src);
    *src = *tgt = NULL;
    return status;
}

rv_status rv__vocabulary_pair(const rv_config *c, const rv_checkpoint *saved, bool *joint, rv_tokenizer **src,
                              rv_tokenizer **tgt) {
    const rv_checkpoint *from;
    rv_checkpoint *opened;
    *src = *tgt = NULL;
    *joint = !rv_config_has(c, "tokenizer.joint") || rv_config_bool(c, "tokenizer.joint");
    rv_status status = open_from(c, saved, &from, &opened);
    if (status == RV_OK) status = read_pair(c, from, joint, src, tgt);
    return done(c, saved, status, opened);
}
