#include "train/text_spans.h"

#include <string.h>

#include "base/arena.h"

/* Long enough for a span to say something, and some hundred of them in a text of any size that is worth measuring. The
 * width follows from the text's length alone. */
enum { SHORTEST = 64, LONGEST = 1024, SPANS = 256 };

rv_status rv__spans_make(const rv_split *part, rv__spans *out) {
    *out = (rv__spans){.part = part, .width = part->text.bytes / SPANS};
    if (out->width < SHORTEST) out->width = SHORTEST;
    if (out->width > LONGEST) out->width = LONGEST;
    out->n = (part->text.bytes + out->width - 1) / out->width;
    out->start = rv_alloc(rv_size_mul((size_t)part->n, sizeof *out->start));
    out->example = rv_alloc(rv_size_mul((size_t)out->n, sizeof *out->example));
    if (!out->start || !out->example) return RV_ENOMEM;
    memset(out->example, 0, (size_t)out->n * sizeof *out->example);
    for (int64_t i = 0, at = 0; i < part->n; at += part->text.length[i++]) out->start[i] = at;
    return RV_OK;
}

void rv__spans_add(rv__spans *s, int64_t target, double nats, bool right) {
    const int64_t from = s->start[target + 1], bytes = s->part->text.length[target + 1], to = from + bytes;
    rv_example *begins = &s->example[from / s->width];
    begins->score.tokens++;
    begins->source_tokens++;
    begins->score.correct += right;
    for (int64_t at = from; at < to;) {
        const int64_t span = at / s->width, end = (span + 1) * s->width < to ? (span + 1) * s->width : to;
        s->example[span].score.nats += nats * (double)(end - at) / (double)bytes;
        if (!s->part->unknown) s->example[span].bytes += end - at; /* <unk> does not say which they are */
        at = end;
    }
}

void rv__spans_free(rv__spans *s) {
    rv_free(s->start);
    rv_free(s->example);
    *s = (rv__spans){0};
}
