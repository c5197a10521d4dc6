#include "evaluate/token_text.h"

#include <string.h>
#include <utf8proc.h>

#include "data/text.h"
#include "report/chart.h"

static const char begin[] = "\\s";
enum { BEGIN = sizeof begin - 1 };

static bool marked(const char *label) { return !strncmp(label, begin, BEGIN); }

rv__tokens rv__tokens_of(int64_t n, const char *const *label) {
    rv__tokens t = {n, label, false};
    for (int64_t i = 0; i < n; i++) t.pieces |= marked(label[i]);
    return t;
}

bool rv__begins_word(const rv__tokens *t, int64_t i) {
    return !t->pieces || !i || *t->label[i] == '<' || marked(t->label[i]);
}

const char *rv__letters(const rv__tokens *t, int64_t i) {
    return t->label[i] + (t->pieces && marked(t->label[i]) ? BEGIN : 0);
}

int rv__put_text(FILE *f, const char *s, int most) {
    int columns = 0;
    for (size_t len = strlen(s); len;) {
        int32_t cp;
        int k = rv_utf8_next(s, len, &cp);
        if (!k) cp = 0xfffd, k = 1;
        int w = utf8proc_charwidth(cp); /* 0 for marks, 2 for Chinese */
        if (columns + w > most - 1 && (size_t)k < len) {
            if (f) rv_page_char(f, 0x2026);
            return columns + 1;
        }
        if (f) rv_page_char(f, cp);
        columns += w;
        s += k;
        len -= (size_t)k;
    }
    return columns;
}
