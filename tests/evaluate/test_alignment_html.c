/* The pages hold what they should, escaped, and nothing from elsewhere; bad input is named. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "evaluate/alignment_html.h"

enum { T = 2, S = 3, L = 2, H = 2 };
static const char *const source[S] = {"ac", "cord<&>", "<eos>"}, *const pieces[S] = {"\\sac", "cord", "<eos>"},
                         *const target[T] = {"l'", "\xff\x01 \"b\""};
static rv_real weights[L * H * T * S];
static char path[64];
static rv_text page;

static rv_alignment example(int layers, int heads) {
    for (int i = 0; i < layers * heads * T; i++)
        for (int s = 0; s < S; s++)
            weights[i * S + s] = i / T == 2 ? (rv_real)(s == 1) : (rv_real)(s + 1) / 6; /* head 2 of 0.. is sharp */
    return (rv_alignment){T, S, layers, heads, weights, target, source, "the <reference>"};
}

static int count(const char *what) {
    int n = 0;
    for (const char *p = page.bytes; (p = strstr(p, what)); p++) n++;
    return n;
}

static void load(rv_status status) {
    cr_assert_eq(status, RV_OK, "%s", rv_error_message());
    rv_text_free(&page);
    cr_assert_eq(rv_text_load(path, &page), RV_OK, "%s", rv_error_message()); /* valid UTF-8, too */
    cr_expect_eq(count("http"), count("http://www.w3.org/2000/svg"), "nothing from elsewhere");
    cr_expect_eq(count("<script"), 0);
    for (size_t i = 0; i < page.len; i++)
        cr_assert((unsigned char)page.bytes[i] >= ' ' || page.bytes[i] == '\n', "byte %zu", i);
}

static void setup(void) { snprintf(path, sizeof path, "/tmp/ravel-html-%ld", (long)getpid()); }
static void teardown(void) {
    rv_text_free(&page);
    unlink(path);
}
TestSuite(alignment_html, .init = setup, .fini = teardown);

Test(alignment_html, one_head) {
    rv_alignment a = example(1, 1);
    load(rv_alignment_html(path, "model <1>", 1, &a));
    cr_expect_eq(count("<svg "), 1);
    cr_expect_eq(count("<title>"), 1 + T * S);
    cr_expect_eq(count("<title>cord&lt;&amp;&gt; → l&#39;  0.333</title>"), 1);
    cr_expect_eq(count("<h1>Attention of model &lt;1&gt;</h1>"), 1);
    cr_expect_eq(count("the &lt;reference&gt;"), 1);
    cr_expect_eq(count("\xef\xbf\xbd\xef\xbf\xbd &quot;b&quot;"), 2 + S); /* label, output, tooltips */
    cr_expect_eq(count("Every head") + count("·"), 0);
}

Test(alignment_html, many_heads) {
    rv_alignment a[2] = {example(L, H), example(L, H)};
    a[1].source = pieces;
    a[1].reference = NULL;
    load(rv_alignment_html(path, "m", 2, a));
    cr_expect_eq(count("<svg "), 2 * (2 + L * H));
    cr_expect_eq(count("Sharpest head: layer 2, head 1 (0.00 nats in this sentence)"), 2);
    cr_expect_eq(count("<dt>reference"), 1);
    cr_expect_eq(count("cord&lt;&amp;&gt; → l&#39;  0.500</title>"), 1); /* the mean of 1/3, 1/3, 1, 1/3 */
    cr_expect_eq(count("<dd>accord &lt;eos&gt;<"), 1);
    cr_expect_eq(count("<dd>ac cord&lt;&amp;&gt; &lt;eos&gt;<"), 1);
    cr_expect_eq(count(">·cord<"), 2);
}

Test(alignment_html, one_of_a_kind_is_no_plural) {
    rv_alignment a = example(1, H);
    load(rv_alignment_html(path, "m", 1, &a));
    cr_expect_eq(count(" 1 layer of 2 heads."), 1);
    a = example(L, 1);
    load(rv_alignment_html(path, "m", 1, &a));
    cr_expect_eq(count(" 2 layers of 1 head."), 1);
}

Test(alignment_html, svg) {
    rv_alignment a = example(L, H);
    load(rv_alignment_svg(path, &a, 1, 0));
    cr_expect_eq(strncmp(page.bytes, "<svg ", 5), 0);
    cr_expect_eq(count("fill-opacity='1.00'"), T);
    cr_expect_eq(count("fill='#fff'"), 1);
    load(rv_alignment_svg(path, &a, -1, -1));
    cr_expect_eq(count("fill-opacity='0.38'"), T);
    cr_expect_eq(rv_alignment_svg(path, &a, 2, 0), RV_EUSAGE);
    cr_expect_eq(rv_alignment_svg(path, &a, -1, 0), RV_EUSAGE);
}

Test(alignment_html, errors) {
    rv_alignment a[2] = {example(L, H), example(L, H)};
    cr_expect_eq(rv_alignment_html("/nowhere/x.html", "m", 1, a), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "/nowhere/x.html"));
    cr_expect_eq(rv_alignment_html(path, "m", 0, a), RV_EDATA);
    a[1].heads = 1;
    cr_expect_eq(rv_alignment_html(path, "m", 2, a), RV_EDATA);
    static const rv_real bad[] = {(rv_real)NAN, (rv_real)-0.1, (rv_real)1.1};
    for (int i = 0; i < 3; i++) {
        weights[S * T - 1] = bad[i];
        cr_expect_eq(rv_alignment_html(path, "m", 1, a), RV_EDATA);
        cr_expect(strstr(rv_error_message(), "target token 2"), "%s", rv_error_message());
    }
    cr_expect_neq(access(path, F_OK), 0, "nothing half done");
}
