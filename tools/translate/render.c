#include "translate/render.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* A translation is one line of UTF-8 whatever bytes the model put together: line ends become spaces, and bytes that are
 * no UTF-8 the replacement character. */
static rv_status one_line(rv_text *text) {
    rv_text out = {0};
    FILE *f = open_memstream(&out.bytes, &out.len);
    if (!f) return rv_error(RV_ENOMEM, "no memory for a translation");
    int32_t cp;
    for (size_t i = 0, k; i < text->len; i += k ? k : 1) {
        k = (size_t)rv_utf8_next(text->bytes + i, text->len - i, &cp);
        if (!k)
            fputs("\uFFFD", f);
        else if (cp == '\n' || cp == '\r')
            fputc(' ', f);
        else
            fwrite(text->bytes + i, 1, k, f);
    }
    if (fclose(f)) return rv_error(RV_ENOMEM, "no memory for a translation");
    rv_text_free(text);
    *text = out;
    return RV_OK;
}

static rv_status text_of(const rv__renderer *r, const rv__sentence *s, const rv_hypothesis *h, rv_text *out) {
    bool unknown = false;
    for (int64_t i = 0; i < h->n; i++) unknown = unknown || h->ids[i] == rv_tokenizer_special(r->tgt, RV_UNK);
    if (r->replace_unk && unknown) {
        rv_attention_weights weights;
        RV_TRY(rv_translation_attention(r->tape, r->model, s->ids, s->n, h, r->search, &weights));
        RV_TRY(rv_replace_unknown(r->src, r->tgt, s->text, s->len, s->ids, h, &weights, out));
    } else {
        RV_TRY(rv_tokenizer_decode(r->tgt, h->ids, h->n, out));
    }
    rv_status status = one_line(out);
    if (status != RV_OK) rv_text_free(out);
    return status;
}

static json_t *json_hypothesis(const rv_text *text, const rv_hypothesis *h) {
    return json_pack("{s:s%, s:f, s:f}", "translation", text->bytes, text->len, "score", h->score, "log_prob",
                     h->log_prob);
}

static void write_json(FILE *f, const rv__sentence *s, const rv_text *texts, const rv_hypothesis *h, int count) {
    json_t *o = count ? json_hypothesis(&texts[0], h)
                      : json_pack("{s:s, s:n, s:n}", "translation", "", "score", "log_prob"),
           *list = json_array();
    for (int i = 0; i < count; i++) json_array_append_new(list, json_hypothesis(&texts[i], &h[i]));
    json_t *line = json_pack("{s:I, s:s%}", "line", (json_int_t)s->line, "source", s->text, s->len);
    json_object_update(line, o);
    json_object_set_new(line, "n_best", list);
    json_dumpf(line, f, JSON_COMPACT | JSON_REAL_PRECISION(9));
    fputc('\n', f);
    json_decref(line);
    json_decref(o);
}

/* An empty line's only translation is the empty one, which is certain. */
static void write_plain(FILE *f, const rv__renderer *r, const rv__sentence *s, const rv_text *texts,
                        const rv_hypothesis *h, int count) {
    for (int i = 0; i < (r->n_best && count ? count : 1); i++) {
        if (r->n_best) fprintf(f, "%lld ||| ", (long long)s->line - 1);
        if (count) fwrite(texts[i].bytes, 1, texts[i].len, f);
        if (r->n_best) fprintf(f, " ||| %.6f", count ? h[i].score : 0);
        fputc('\n', f);
    }
}

rv_status rv__render(const rv__renderer *r, const rv__sentence *s, const rv_hypothesis *h, int count, rv_text *out) {
    *out = (rv_text){0};
    rv_text *texts = calloc((size_t)count + 1, sizeof *texts);
    FILE *f = open_memstream(&out->bytes, &out->len);
    rv_status status = texts && f ? RV_OK : rv_error(RV_ENOMEM, "no memory for a translation");
    for (int i = 0; i < count && status == RV_OK; i++) status = text_of(r, s, &h[i], &texts[i]);
    if (status == RV_OK && r->json) write_json(f, s, texts, h, count);
    if (status == RV_OK && !r->json) write_plain(f, r, s, texts, h, count);
    if (f && fclose(f) && status == RV_OK) status = rv_error(RV_ENOMEM, "no memory for a translation");
    for (int i = 0; texts && i < count; i++) rv_text_free(&texts[i]);
    free(texts);
    if (status != RV_OK) rv_text_free(out);
    return status;
}
