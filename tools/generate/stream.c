#include "generate/stream.h"

#include <stdio.h>
#include <string.h>

#include "tool.h"

static rv_status written(void) {
    const char *unwritten = rv__tool_unwritten();
    return unwritten ? rv_error(RV_EDATA, "cannot write to standard output: %s", unwritten) : RV_OK;
}

/* The whole characters of held; `last`: nothing follows, so that none is to be waited for. */
static void flush_held(rv__text_stream *s, bool last) {
    int32_t cp;
    size_t at = 0;
    while (at < s->n_held) {
        size_t left = s->n_held - at, k = (size_t)rv_utf8_next(s->held + at, left, &cp);
        if (!k && !last && rv_utf8_is_prefix(s->held + at, left)) break;
        if (k)
            fwrite(s->held + at, 1, k, stdout);
        else
            fputs("\uFFFD", stdout);
        at += k ? k : 1;
    }
    s->n_held -= at;
    memmove(s->held, s->held + at, s->n_held);
}

rv_status rv__text_stream_show(void *stream, int32_t id) {
    rv__text_stream *s = stream;
    const int32_t ids[2] = {s->last, id};
    const int first = s->last < 0;
    rv_text before = {0}, text;
    if (!first) RV_TRY(rv_tokenizer_decode(s->tokenizer, ids, 1, &before));
    const size_t shown = before.len;
    rv_text_free(&before);
    RV_TRY(rv_tokenizer_decode(s->tokenizer, ids + first, 2 - first, &text));
    if (s->bytes) fwrite(text.bytes + shown, 1, text.len - shown, stdout);
    for (size_t i = shown; i < text.len && !s->bytes; i++) {
        s->held[s->n_held++] = text.bytes[i];
        flush_held(s, false);
    }
    rv_text_free(&text);
    s->last = id;
    return written();
}

rv_status rv__text_stream_end(rv__text_stream *s) {
    flush_held(s, true);
    putchar('\n');
    return written();
}
