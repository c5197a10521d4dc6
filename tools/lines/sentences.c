#include "lines/sentences.h"

#include <stdlib.h>
#include <string.h>

static rv_status no_memory(void) { return rv_error(RV_ENOMEM, "no memory for the sentences"); }

/* Tokenise, a blank line as an empty one; *cut tells whether there were too many. */
static rv_status tokenise(const char *name, rv__sentence *s, rv_tokenizer *tok, int64_t most, bool *cut) {
    *cut = false;
    int64_t bad = rv_utf8_check(s->text, s->len);
    if (bad >= 0)
        return rv_error(RV_EDATA, "%s:%lld: byte %lld of the line is not valid UTF-8; convert the text", name,
                        (long long)s->line, (long long)bad + 1);
    if (rv_text_is_blank(s->text, s->len)) return RV_OK;
    rv_status status = rv_tokenizer_encode(tok, s->text, s->len, &s->ids, &s->n);
    if (status != RV_OK) return rv_error_context(status, "%s:%lld: ", name, (long long)s->line);
    *cut = s->n > most;
    if (*cut) s->n = most;
    return RV_OK;
}

rv_status rv__sentences_load(const char *path, rv_tokenizer *tok, int64_t most, rv__sentences *out) {
    const char *name = strcmp(path, "-") ? path : "/dev/stdin";
    *out = (rv__sentences){.owns_ids = true};
    RV_TRY(rv_text_load(name, &out->text));
    const rv_text *t = &out->text;
    int64_t lines = 0, cut = 0, first = 0;
    size_t whole;
    for (size_t at = 0; at < t->len; at += whole, lines++) rv_text_line(t->bytes + at, t->len - at, &whole);
    out->s = calloc((size_t)lines + 1, sizeof *out->s);
    if (!out->s) return no_memory();
    for (size_t at = 0; at < t->len; at += whole, out->n++) {
        rv__sentence *s = out->s + out->n;
        *s = (rv__sentence){
            .text = t->bytes + at, .len = rv_text_line(t->bytes + at, t->len - at, &whole), .line = out->n + 1};
        bool too_long;
        RV_TRY(tokenise(path, s, tok, most, &too_long));
        if (too_long && !cut++) first = s->line;
    }
    if (cut)
        rv_warn("%lld of %lld lines have more than the %lld tokens that the model takes (data.max_length) and are cut "
                "to them; the first is line %lld",
                (long long)cut, (long long)lines, (long long)most, (long long)first);
    return RV_OK;
}

rv_status rv__sentences_line(const char *name, int64_t line, const char *text, size_t len, rv_tokenizer *tok,
                             int64_t most, rv__sentences *out) {
    *out = (rv__sentences){.owns_ids = true, .n = 1, .s = calloc(1, sizeof *out->s)};
    if (!out->s) return no_memory();
    bool too_long;
    *out->s = (rv__sentence){.text = text, .len = len, .line = line};
    RV_TRY(tokenise(name, out->s, tok, most, &too_long));
    if (too_long)
        rv_warn("line %lld has more than the %lld tokens that the model takes (data.max_length) and is cut to them",
                (long long)line, (long long)most);
    return RV_OK;
}

rv_status rv__sentences_part(const rv_pairs *p, const char *split, rv__sentences *out) {
    *out = (rv__sentences){0};
    if (!p->n) return rv_error(RV_EDATA, "the experiment's data has no %s part; give a text with --input FILE", split);
    out->s = calloc((size_t)p->n, sizeof *out->s);
    if (!out->s) return no_memory();
    for (; out->n < p->n; out->n++) {
        int64_t i = out->n;
        out->s[i] = (rv__sentence){.text = p->src[i].bytes,
                                   .len = p->src[i].len,
                                   .line = i + 1,
                                   .ids = p->src_ids + p->src_at[i],
                                   .n = rv_pairs_src_length(p, i),
                                   .reference = p->tgt[i].bytes};
    }
    return RV_OK;
}

void rv__sentences_free(rv__sentences *s) {
    for (int64_t i = 0; i < s->n && s->owns_ids; i++) free(s->s[i].ids);
    free(s->s);
    rv_text_free(&s->text);
    *s = (rv__sentences){0};
}
