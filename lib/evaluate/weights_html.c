#include "evaluate/weights_html.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "evaluate/token_text.h"
#include "report/chart.h"

enum { WORD_MAX = 64 };

static void put_words(FILE *f, const rv_weighted_text *t) {
    const rv__tokens tokens = rv__tokens_of(t->n, t->token);
    double most = 0;
    for (int64_t i = 0; i < t->n; i++) most = fmax(most, (double)t->weights[i]);
    fputs("<p class='words'>", f);
    for (int64_t i = 0; i < t->n; i++) {
        const double w = (double)t->weights[i];
        if (i && rv__begins_word(&tokens, i)) fputc(' ', f);
        fprintf(f, "<span class='h%d' title='%.3f'>", rv_page_shade(w / most), w);
        rv__put_text(f, rv__letters(&tokens, i), WORD_MAX);
        fputs("</span>", f);
    }
    fputs("</p>\n", f);
}

static void put_text(FILE *f, const rv_weighted_text *t) {
    fputs("<div class='told'>\n<p><b>", f);
    rv_page_text(f, t->told);
    fputs("</b> ", f);
    rv_page_textf(f, "%.1f\xc2\xa0%%", 100 * t->probability);
    if (t->reference && !strcmp(t->reference, t->told)) {
        fputs(" <span class='quiet'>\xe2\x9c\x93 right", f);
    } else if (t->reference) {
        fputs(" <span class='wrong'><span class='mark'>\xe2\x9c\x97</span> the true class is <b>", f);
        rv_page_text(f, t->reference);
        fputs("</b></span><span class='quiet'>", f);
    } else {
        fputs("<span class='quiet'>", f);
    }
    rv_page_textf(f, ", line %lld", (long long)t->line);
    fputs("</span></p>\n", f);
    put_words(f, t);
    fputs("</div>\n", f);
}

static void put_head(FILE *f, const char *model, int64_t n, const rv_weighted_text *t) {
    int64_t known = 0, right = 0;
    char title[512];
    for (int64_t i = 0; i < n; i++)
        if (t[i].reference) known++, right += !strcmp(t[i].reference, t[i].told);
    snprintf(title, sizeof title, "Attention of %s", model);
    rv_page_begin(f, title);
    fputs(
        "<p>The class that was told of each text, how probable it is, and the text as the model reads it. The stronger "
        "a word's ground, the more its state counts in what the class is told from; in each text the word of most "
        "weight is the strongest. Point at a word for its weight; those of a text sum to 1.",
        f);
    if (known) rv_page_textf(f, " %lld of the %lld texts here are told right.", (long long)right, (long long)known);
    fputs("</p>\n<p class='quiet'>A state knows the words around its own, so that weight on a word may speak of its "
          "neighbours. &lt;eos&gt; is the end of a text.</p>\n",
          f);
}

rv_status rv_weights_html(const char *path, const char *model, int64_t n, const rv_weighted_text *t) {
    FILE *f = rv__file_begin(path);
    if (!f) return RV_EDATA;
    put_head(f, model, n, t);
    for (int64_t i = 0; i < n; i++) put_text(f, &t[i]);
    rv_page_end(f);
    return rv__file_end(f, path, true);
}
