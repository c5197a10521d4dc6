/* Charts are well-formed whatever they are given, texts never overlap nor leave the picture, ticks are round. */
#include <criterion/criterion.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/chart_private.h"

static uint64_t state = 1;
static double uniform(void) { /* 0 .. 1 */
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) / 9007199254740992.0;
}
static int below(int n) { return (int)(uniform() * n); }

/* ---- texts of a picture as boxes ---- */

typedef struct {
    double left, right, top, bottom;
    char text[256];
} box;

static void check_svg(const char *svg, const char *end) {
    static box all[400];
    int n = 0;
    double x0, y0, w, h;
    cr_assert_eq(sscanf(strstr(svg, "viewBox="), "viewBox='%lf %lf %lf %lf'", &x0, &y0, &w, &h), 4);
    for (const char *p = svg; (p = strstr(p, "<text class='")) && p < end; p++) {
        char class[64];
        double x, y;
        box *b = &all[n++];
        cr_assert_lt(n, 400);
        cr_assert_eq(sscanf(p, "<text class='%63[^']' x='%lf' y='%lf'>%255[^<]", class, &x, &y, b->text), 4, "%.80s",
                     p);
        const double width = rv__text_width(b->text) * (strstr(class, "head") ? 1.2 : 1);
        b->left = strstr(class, "mid") ? x - width / 2 : strstr(class, "end") ? x - width : x;
        b->right = b->left + width;
        b->top = y - 10, b->bottom = y + 2;
        cr_assert(b->left > x0 - 3 && b->right < x0 + w + 3 && b->top >= y0 && b->bottom <= y0 + h,
                  "'%s' leaves the picture: %g..%g of %g, %g..%g of %g", b->text, b->left, b->right, w, b->top,
                  b->bottom, h);
    }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < i; k++)
            cr_assert(all[i].right < all[k].left + 1 || all[k].right < all[i].left + 1 ||
                          all[i].bottom < all[k].top + 1 || all[k].bottom < all[i].top + 1,
                      "'%s' (%g..%g, %g) and '%s' (%g..%g, %g) overlap", all[i].text, all[i].left, all[i].right,
                      all[i].bottom, all[k].text, all[k].left, all[k].right, all[k].bottom);
}

static void check_pictures(const char *page) {
    for (const char *p = page; (p = strstr(p, "<svg xmlns"));) {
        const char *next = strstr(p + 1, "<svg xmlns");
        check_svg(p, next ? next : p + strlen(p));
        p = next ? next : p + 1;
    }
}

/* Pages wait in files until all are checked at once: a Python starts slowly. */
static int waiting;
static void page_path(int i, char path[64]) { snprintf(path, 64, "/tmp/ravel-chart-%ld-%d.html", (long)getpid(), i); }

static void keep_page(const char *page) {
    char path[64];
    page_path(waiting++, path);
    FILE *f = fopen(path, "w");
    fputs(page, f);
    fclose(f);
}

static void well_formed(void) {
    char path[64], *command;
    size_t size;
    FILE *f = open_memstream(&command, &size);
    fprintf(f, "python3 %s/report/well_formed.py", RV_TEST_DIR);
    for (int i = 0; i < waiting; i++) page_path(i, path), fprintf(f, " %s", path);
    fclose(f);
    cr_expect_eq(system(command), 0);
    for (int i = 0; i < waiting; i++) page_path(i, path), remove(path);
    waiting = 0;
    free(command);
}

/* ---- charts at random ---- */

enum { MOST = 12, POINTS = 60 };
static double x[MOST][POINTS], y[MOST][POINTS], low[MOST][POINTS], high[MOST][POINTS];
static rv_series series[MOST];
static rv_chart_mark marks[6];
static char names[MOST][40];

static rv_chart random_chart(void) {
    static const char *const mark_text[] = {"equal at 412",
                                            "best",
                                            "end of the budget",
                                            "2 threads: equal at 940",
                                            "x",
                                            "a rather long text about what happens here"};
    static const char *const title[] = {
        "time of a step, forward and backward (ms)", "loss", NULL,
        "validation loss in bits per character, without the first hundred steps (bits)"};
    rv_chart c = {
        .title = "A title that may be long enough for two lines, as those of files often are when they say everything",
        .x_label = title[below(4)],
        .y_label = title[below(4)]};
    c.x_log = below(2), c.y_log = below(2), c.y_from_zero = below(2), c.points = below(2), c.small = below(2);
    c.n_series = below(MOST + 1), c.n_marks = below(7);
    const double scale = pow(10, below(40) - 20), from = pow(10, below(12) - 3), spread = pow(10, -below(6)),
                 offset = below(2) ? 0 : 3 * scale;
    const bool doubled = below(4) == 0;
    for (int s = 0; s < c.n_series; s++) {
        const int n = below(6) ? below(POINTS + 1) : 1, letters = below(5) ? 2 + below(14) : 30;
        for (int i = 0; i < n; i++) {
            x[s][i] = doubled ? exp2(i % 20) : from * (i + 1);
            y[s][i] = below(20) ? offset + scale * (1 + spread * uniform() + (below(2) ? s * 0.01 : 0))
                                : (double[]){NAN, INFINITY, 0, -scale}[below(4)];
            low[s][i] = y[s][i] - scale * uniform(), high[s][i] = y[s][i] + scale * uniform();
        }
        for (int i = 0; i < letters; i++) names[s][i] = "abcilmWM 1+"[below(11)];
        names[s][0] = 'N', names[s][letters - 1] = 'Z', names[s][letters] = 0;
        series[s] =
            (rv_series){names[s], s % RV_CHART_COLOURS, below(2), n, x[s], y[s], below(2) ? low[s] : NULL, high[s]};
    }
    for (int i = 0; i < c.n_marks; i++)
        marks[i] = (rv_chart_mark){from * (1 + uniform() * POINTS), mark_text[i], below(3) - 1};
    c.series = series, c.marks = marks;
    return c;
}

static char *draw(const rv_chart *c) {
    static char *page; /* what open_memstream keeps an eye on */
    static size_t size;
    FILE *f = open_memstream(&page, &size);
    rv_chart_lines(f, c);
    fclose(f);
    return page;
}

Test(chart, texts_keep_apart) {
    char *all, *page;
    size_t size;
    FILE *f = open_memstream(&all, &size);
    fputs("<body>", f);
    for (int i = 0; i < 400; i++) {
        const rv_chart c = random_chart();
        page = draw(&c);
        check_pictures(page);
        fputs(page, f);
        free(page);
    }
    fputs("</body>", f);
    fclose(f);
    keep_page(all);
    well_formed();
    free(all);
}

Test(chart, equal_input_equal_bytes) {
    const rv_chart c = random_chart();
    char *a = draw(&c);
    (void)(setlocale(LC_ALL, "de_DE.UTF-8") ||
           setlocale(LC_ALL, "fr_FR.UTF-8")); /* where installed: with decimal commas */
    char *b = draw(&c);
    cr_expect_str_eq(a, b);
    free(a);
    free(b);
}

Test(chart, few_and_no_values) {
    const double one = 3, none = NAN, two[] = {1, 2}, huge[] = {-DBL_MAX, DBL_MAX}, tiny[] = {DBL_TRUE_MIN, DBL_MAX},
                 gap[] = {1, NAN, 2, NAN}, four[] = {1, 2, 3, 4};
    const rv_series cases[] = {
        {"one", 0, false, 1, &one, &one, NULL, NULL}, {"none", 1, false, 1, &one, &none, NULL, NULL},
        {"huge", 2, true, 2, two, huge, huge, huge},  {"tiny", 3, false, 2, tiny, tiny, NULL, NULL},
        {"", 4, false, 0, NULL, NULL, NULL, NULL},    {NULL, -1, false, 2, two, two, NULL, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int flags = 0; flags < 16; flags++) {
            const rv_chart c = {.title = "t",
                                .x_log = flags & 1,
                                .y_log = flags & 2,
                                .y_from_zero = flags & 4,
                                .small = flags & 8,
                                .n_series = 1,
                                .series = &cases[i]};
            char *page = draw(&c);
            check_pictures(page);
            keep_page(page);
            cr_expect(!strstr(page, "nan") && !strstr(page, "inf"), "%s", page);
            if (i == 1 || i == 4) cr_expect(strstr(page, "no values"));
            if (i == 0) cr_expect(strstr(page, "<circle"), "a single value is a point");
            free(page);
        }
    well_formed();
    const rv_series gaps = {"gap", 0, false, 4, four, gap, NULL, NULL};
    const rv_chart c = {.title = "t", .n_series = 1, .series = &gaps, .small = true};
    char *page = draw(&c);
    cr_expect(!strstr(page, "class='ln") && strstr(strstr(page, "<circle") + 1, "<circle"),
              "values between gaps are points");
    free(page);
}

Test(chart, many_points_stay_small) {
    enum { N = 50000 };
    double *px = malloc(sizeof(double) * N), *py = malloc(sizeof(double) * N);
    for (int i = 0; i < N; i++) px[i] = i, py[i] = i == 33333 ? 5 : uniform();
    const rv_series s = {"noise", 0, false, N, px, py, py, py};
    const rv_chart c = {.title = "t", .n_series = 1, .series = &s};
    char *page = draw(&c);
    cr_expect_lt(strlen(page), 250000);
    cr_expect(strstr(page, " 10.0L"), "the peak is kept");
    free(page);
    free(px);
    free(py);
}

/* ---- a page of hostile texts ---- */

Test(chart, page_is_well_formed) {
    static const char *const bad[] = {"</svg><script>alert(1)</script>",
                                      "a&b <c> \"d\" 'e' ]]>",
                                      "\xff\xfe\xc3( \xed\xa0\x80 \x01\x02\x7f",
                                      "\xe6\x97\xa5\xe6\x9c\xac e\xcc\x81",
                                      "",
                                      "x\ny\tz"};
    enum { N = sizeof bad / sizeof *bad };
    char *page;
    size_t size;
    FILE *f = open_memstream(&page, &size);
    rv_page_begin(f, bad[0]);
    for (int i = 0; i < N; i++) {
        const double v[N] = {1, NAN, 0.5, -3, INFINITY, 0}, each[] = {1, 2, NAN};
        const rv_series s = {bad[i], i, false, N, v, v, v, v};
        const rv_chart_mark m = {1, bad[i], i - 1};
        const rv_chart c = {.title = bad[i],
                            .x_label = bad[i],
                            .y_label = bad[i],
                            .n_series = 1,
                            .series = &s,
                            .n_marks = 1,
                            .marks = &m};
        rv_dot dots[N];
        for (int k = 0; k < N; k++) dots[k] = (rv_dot){bad[k], k, v[k], v[k] - 1, v[k] + 1, each, 3};
        rv_page_section(f, bad[i], bad[i]);
        rv_page_row_begin(f);
        rv_chart_lines(f, &c);
        rv_chart_dots(f, bad[i], bad[i], i, dots);
        rv_page_row_end(f);
        rv_chart_heat(f, bad[i], 1, N, bad, bad, v);
        rv_chart_heat(f, bad[i], 0, 0, bad, bad, v);
        rv_chart_signed_heat(f, bad[i], 1, N, bad, bad, v);
        rv_chart_signed_heat(f, bad[i], 0, 0, bad, bad, v);
        rv_page_table(f, i, 1, bad, bad[i]);
        rv_page_table(f, 2, 3, bad, NULL);
        rv_page_textf(f, "%s %d", bad[i], i);
        rv_page_section_end(f);
    }
    rv_page_end(f);
    fclose(f);
    keep_page(page);
    well_formed();
    cr_expect(!strstr(page, "<script"));
    free(page);
}

/* Of strength by magnitude, each sign a class of its own; what cannot be is crossed, what is not there is not drawn. */
Test(chart, signed_heat) {
    static const char *const row[] = {"a", "b"}, *const column[] = {"x", "y", "z"};
    const double v[] = {2, -4, 0, -INFINITY, NAN, -0.1};
    char *page;
    size_t size;
    FILE *f = open_memstream(&page, &size);
    rv_chart_signed_heat(f, "c", 2, 3, row, column, v);
    fclose(f);
    static const char *const said[] = {"fill-opacity='0.50'><title>a → x: 2.000<",
                                       "fill-opacity='1.00'><title>a → y: -4.000<",
                                       "fill-opacity='0.00'><title>a → z: 0.000<", "<title>b → x: cannot be<",
                                       "fill-opacity='0.03'><title>b → z: -0.100<"};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) cr_expect(strstr(page, said[i]), "%s in %s", said[i], page);
    cr_expect(!strstr(page, "b → y"));
    int signs = 0, minus = 0;
    for (const char *at = page; (at = strstr(at, "class='sign'")); at++) signs++;
    for (const char *at = page; (at = strstr(at, "cell minus")); at++) minus++;
    cr_expect(signs == 2 && minus == 2, "%d signs of %d", signs, minus);
    free(page);
}

/* A matrix with many columns has its heads upright, another table has not. */
Test(chart, wide_matrices_have_upright_heads) {
    enum { N = 20 };
    const char *cells[2 * N];
    double share[2 * N];
    for (int i = 0; i < 2 * N; i++) cells[i] = i < N ? "PROPN" : "12", share[i] = 0.5;
    char *page;
    size_t size;
    FILE *f = open_memstream(&page, &size);
    rv_page_shaded_table(f, 2, 5, cells, share, "narrow");
    rv_page_table(f, 2, N, cells, "no matrix");
    fflush(f);
    cr_expect(!strstr(page, "upright"));
    rv_page_shaded_table(f, 2, N, cells, share, "wide");
    fclose(f);
    cr_expect(strstr(page, "<table class='upright'>") && strstr(page, "<span>PROPN</span></th>"));
    free(page);
}

Test(chart, numbers_stand_right) {
    static const char *const cells[] = {"model", "loss",    "time", "note", "LSTM",   "1.25",
                                        "12 s",  "3 seeds", "GRU",  "–",    "[1, 2]", "none"};
    char *page;
    size_t size;
    FILE *f = open_memstream(&page, &size);
    rv_page_table(f, 3, 4, cells, "c");
    fclose(f);
    cr_expect(strstr(page, "<td class='n'>1.25</td><td class='n'>12 s</td><td>3 seeds</td>"), "%s", page);
    cr_expect(strstr(page, "<th scope='col'>model</th><th scope='col' class='n'>loss</th>"), "%s", page);
    free(page);
}

Test(chart, dots_print_their_values) {
    const rv_dot dots[] = {{"a", 0, 31.24, 30.61, 31.83, NULL, 0}, {"b", 1, 9.5, NAN, NAN, NULL, 0}};
    char *page;
    size_t size;
    FILE *f = open_memstream(&page, &size);
    rv_chart_dots(f, "t", "BLEU", 2, dots);
    fclose(f);
    check_pictures(page);
    cr_expect(strstr(page, ">31.2  [30.6, 31.8]<") && strstr(page, ">9.5<"), "%s", page);
    free(page);
}

/* The first and the last tick stand at the ends of the axis, which on a phone are those of the picture. */
Test(chart, ticks_of_dots_are_whole) {
    for (int i = 0; i < 200; i++) {
        const double v = pow(10, below(6) - 3) * (1 + uniform()), width = v * pow(10, -1 - below(3)) * uniform();
        const rv_dot dots[] = {{"a run", 0, v, v - width, v + width, NULL, 0}};
        char *page;
        size_t size;
        FILE *f = open_memstream(&page, &size);
        rv_chart_dots(f, "t", "loss, nats per token, of what was never seen", 1, dots);
        fclose(f);
        check_pictures(page);
        free(page);
    }
}

Test(chart, a_value_alone_has_its_interval_as_a_bar) {
    const double at = 20, v = 3, bounds[] = {2, 5}, zero = 0;
    const rv_series s = {"one", 0, false, 1, &at, &v, &bounds[0], &bounds[1]};
    const rv_chart c = {.title = "t", .x_from_zero = true, .n_series = 1, .series = &s, .points = true, .small = true};
    char *page = draw(&c);
    cr_expect(strstr(page, "<path class='bar s0' d='M"), "%s", page);
    cr_expect(strstr(page, ">0</text>"), "the axis of x begins with 0");
    free(page);
    const rv_series below_log = {"one", 0, false, 1, &at, &v, &zero, &bounds[1]};
    const rv_chart log = {.title = "t", .y_log = true, .n_series = 1, .series = &below_log, .small = true};
    page = draw(&log);
    check_pictures(page);
    cr_expect(strstr(page, "<path class='bar s0' d='M") && !strstr(page, "9999"), "%s", page);
    free(page);
}

Test(chart, a_file_stands_alone) {
    char path[64], text[20000] = "";
    snprintf(path, sizeof path, "/tmp/ravel-chart-%ld.svg", (long)getpid());
    for (int i = 0; i < 20; i++) {
        const rv_chart c = random_chart();
        cr_assert_eq(rv_chart_file(path, &c), RV_OK, "%s", rv_error_message());
        FILE *f = fopen(path, "r");
        text[fread(text, 1, sizeof text - 1, f)] = 0;
        fclose(f);
        cr_expect(!strstr(text, "var(") && strstr(text, "<style>"));
        if (strstr(text, "</svg>\n")) check_pictures(text);
    }
    remove(path);
    const rv_chart c = random_chart();
    cr_expect_eq(rv_chart_file("/nowhere/at/all.svg", &c), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "/nowhere/at/all.svg"));
}

/* ---- axes ---- */

static bool is_round(double v) {
    if (v == 0) return true;
    const double m = fabs(v) / pow(10, floor(log10(fabs(v)) + 1e-9));
    return fabs(m - 1) < 1e-6 || fabs(m - 2) < 1e-6 || fabs(m - 5) < 1e-6;
}

Test(chart, ticks_are_round) {
    for (int i = 0; i < 20000; i++) {
        const bool log = below(2), upright = below(2);
        const double a = (log        ? 1
                          : below(2) ? -1
                                     : 1) *
                         pow(10, 24 * uniform() - 12),
                     b = fabs(a) * pow(10, 6 * uniform()), length = 120 + 600 * uniform();
        rv__axis axis;
        rv__axis_range(&axis, a, b, log, below(2), 6);
        axis.from = upright ? length : 0, axis.to = upright ? 0 : length;
        rv__axis_ticks(&axis, upright, false);
        cr_assert_geq(axis.n, 1, "%g .. %g on %g px", a, b, length);
        for (int k = 0; k < axis.n; k++) {
            cr_assert(axis.tick[k] >= axis.low - 1e-6 * fabs(axis.low) - 1e-6 * (axis.high - axis.low) &&
                      axis.tick[k] <= axis.high + 1e-6 * (axis.high - axis.low));
            if (k == 0) continue;
            const double step = axis.tick[k] - axis.tick[k - 1];
            cr_assert(is_round(step) || (log && is_round(axis.tick[k]) && is_round(axis.tick[k - 1])), "%g after %g",
                      axis.tick[k], axis.tick[k - 1]);
            cr_assert_str_neq(axis.label[k], axis.label[k - 1]);
        }
    }
}

Test(chart, numbers_for_people) {
    static const struct {
        double v, step, most;
        const char *text;
    } cases[] = {{0, 1, 5, "0"},
                 {1500, 500, 2000, "1500"},
                 {1000, 1, 1e6, "1k"},
                 {1.5e6, 5e5, 2e6, "1.5M"},
                 {2e6, 5e5, 2e6, "2M"},
                 {-0.5, 0.5, 1, "−0.5"},
                 {1, 0.5, 1, "1.0"},
                 {1e-6, 1e-6, 1, "10⁻⁶"},
                 {2e-6, 1e-6, 1e-5, "2·10⁻⁶"},
                 {1e-3, 1e-3, 1, "0.001"},
                 {3e9, 1e9, 5e9, "3G"},
                 {1e15, 1e15, 1e15, "10¹⁵"},
                 {NAN, 1, 1, "–"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[RV__NUMBER];
        rv__number(out, cases[i].v, cases[i].step, cases[i].most);
        cr_expect_str_eq(out, cases[i].text, "%g: %s", cases[i].v, out);
    }
}

Test(chart, labels_move_as_little_as_possible) {
    double apart[] = {10, 40, 70}, near[] = {50, 50, 50}, edge[] = {98, 99, 100};
    rv__spread(3, apart, 17, 0, 100);
    cr_expect(apart[0] == 10 && apart[1] == 40 && apart[2] == 70);
    rv__spread(3, near, 17, 0, 100);
    cr_expect(near[0] == 33 && near[1] == 50 && near[2] == 67);
    rv__spread(3, edge, 17, 0, 100);
    cr_expect(edge[0] == 66 && edge[1] == 83 && edge[2] == 100);
}
