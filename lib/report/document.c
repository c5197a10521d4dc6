/* The page: head, style sheet, sections, tables. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "report/chart_private.h"

/* Eight hues after Okabe and Ito, with lightness chosen so that text in them can be read (contrast 4.5 and more) and
 * each pair stays apart under protanopia and deuteranopia, too. */
static const struct {
    const char *name, *light, *dark, *print;
} colours[] = {
    {"paper", "#ffffff", "#14161a", "#ffffff"}, {"ink", "#16181d", "#f1f2f4", "#000000"},
    {"quiet", "#5a606c", "#a6acb8", "#333333"}, {"line", "#c9cdd5", "#454b57", "#999999"},
    {"grid", "#e6e8ec", "#2b3038", "#dddddd"},  {"c0", "#005c99", "#79bdff", NULL},
    {"c1", "#c65200", "#f58a2c", NULL},         {"c2", "#0a7a5e", "#2ce8a8", NULL},
    {"c3", "#c0348a", "#d07fb4", NULL},         {"c4", "#6b4300", "#ffea66", NULL},
    {"c5", "#6a45d0", "#8f76ff", NULL},         {"c6", "#4a525e", "#e4f1f4", NULL},
    {"c7", "#850f30", "#ff5468", NULL},
};
enum { N_COLOURS = sizeof colours / sizeof *colours };

/* A line of each colour has a dash of its own, so that a grey print keeps them apart. */
static const char *const dash[RV_CHART_COLOURS] = {"none",  "11 3",    "6 3",  "11 3 2 3",
                                                   "2 2.5", "6 3 2 3", "16 4", "11 3 2 3 2 3"};

static const char chart_rules[] =
    "svg text{fill:var(--ink);font:13px/1 system-ui,-apple-system,'Segoe UI',Roboto,'Noto "
    "Sans',sans-serif;font-variant-numeric:tabular-nums}\n"
    "svg .quiet{fill:var(--quiet)}svg .mid{text-anchor:middle}svg .end{text-anchor:end}svg "
    ".head{font-size:15px;font-weight:600}\n"
    "svg .grid{stroke:var(--grid);fill:none}svg "
    ".halo{paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}svg "
    ".axis{stroke:var(--line);fill:none}svg .plumb{stroke:var(--quiet);stroke-dasharray:2 3;fill:none}\n"
    "svg .ln{fill:none;stroke-width:2;stroke-linejoin:round}svg "
    ".thin{fill:none;stroke-width:1;stroke-opacity:.55;stroke-dasharray:none}\n"
    "svg .band{fill-opacity:.16}svg .dot{stroke:var(--paper);stroke-width:1}svg "
    ".hollow{fill:var(--paper);stroke-width:1.6;stroke-dasharray:none}\n"
    "svg .bar{stroke-width:2.5;stroke-linecap:round;stroke-dasharray:none}svg .each{fill-opacity:.5}svg "
    ".cell{fill:var(--c0)}svg .minus{fill:var(--c1)}svg .sign{stroke:var(--quiet);fill:none}svg "
    ".banned{fill:var(--paper)}\n";

static const char page_rules[] =
    "*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}\n"
    "body{margin:0 auto;padding:2.5rem 1.25rem 5rem;max-width:64rem;background:var(--paper);color:var(--ink);"
    "font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif}\n"
    "h1{font-size:1.75rem;line-height:1.2;margin:0 0 "
    "1rem;overflow-wrap:anywhere;text-wrap:balance}h2{font-size:1.25rem;line-height:1.3;margin:0 0 .75rem}"
    "h3{font-size:1rem;margin:1.75rem 0 .5rem}\n"
    "p,ul,ol,dl{max-width:44rem;margin:0 0 .85rem}li{margin:.2rem 0}a{color:var(--c0)}code,pre{font:.9em/1.45 "
    "ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace;overflow-wrap:anywhere}"
    "pre{overflow-x:auto;padding:.75rem 1rem;border:1px solid var(--grid);border-radius:6px;overflow-wrap:normal}\n"
    "section{border-top:1px solid var(--line);margin-top:2.5rem;padding-top:1.5rem}h2 "
    "a{color:inherit;text-decoration:none}h2 a:hover{text-decoration:underline}\n"
    "figure{margin:1.25rem 0 "
    "1.75rem;min-width:0;max-width:100%}figcaption{font-size:.95rem;font-weight:600;line-height:1.35;margin:0 0 "
    ".4rem;text-align:left;text-wrap:pretty}\n"
    ".chart{container-type:inline-size}.chart svg{display:block;max-width:100%;height:auto}.chart "
    "svg.narrow{display:none}\n"
    "@container(max-width:600px){.chart svg.broad{display:none}.chart svg.narrow{display:block}}\n"
    ".chart svg.narrow,.chart svg.small{width:100%;max-width:30rem}.chart svg.small{max-width:24rem}\n"
    ".row{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,18.5rem),1fr));gap:1.5rem "
    "1.75rem;margin:1.25rem 0 1.75rem}.row figure{margin:0}\n"
    ".more{display:none;margin:0 0 .3rem;font-size:.85rem;color:var(--quiet)}.table{container-type:inline-size}\n"
    ".scroll{overflow-x:auto;margin:1.25rem 0 1.75rem}.map svg{min-width:min(100%,22rem)}.map "
    "svg.long{min-width:46rem}figure>.scroll{margin:0}\n"
    "table{border-collapse:separate;border-spacing:0;font-size:.92rem;line-height:1.25rem;"
    "font-variant-numeric:tabular-nums lining-nums}\n"
    "th,td{padding:.375rem .8rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--grid);"
    "white-space:nowrap}th:first-child,td:first-child{padding-left:0;position:sticky;left:0;background:var(--paper)}"
    "th{font-weight:600;vertical-align:bottom;border-bottom:1px solid "
    "var(--line)}.n{text-align:right}.w{white-space:normal;min-width:15rem}"
    "@media(max-width:600px){th:first-child,td:first-child{max-width:42vw;white-space:normal;overflow-wrap:break-word}}"
    "\n"
    ".row:has(>:nth-child(2):last-child),.row:has(>:nth-child(4):last-child){grid-template-columns:repeat(auto-fill,"
    "minmax(min(100%,26rem),1fr))}"
    ".row:has(>:nth-child(2):last-child) svg.small,.row:has(>:nth-child(4):last-child) "
    "svg.small,.row:has(>:nth-child(2):last-child) svg.narrow,.row:has(>:nth-child(4):last-child) "
    "svg.narrow{max-width:24rem}#runs td{white-space:nowrap}"
    ".row .map svg{max-width:100%;height:auto}nav{font-size:.92rem;line-height:1.9}nav "
    "a{margin-right:.9rem;white-space:nowrap}\n"
    ".lead{font-size:1.1rem}.verdicts,.checks{padding-left:1.2rem}.checks{list-style:none;padding-left:0}.checks "
    "li{padding-left:1.6rem;position:relative}"
    ".checks li::before{position:absolute;left:.1rem;font-weight:700}.checks "
    ".good::before{content:'✓';color:var(--c2)}.checks .bad::before{content:'!';color:var(--c1)}\n"
    ".warning{border-left:4px solid var(--c1);padding:.4rem 0 .4rem "
    ".9rem}.note{font-size:.92rem;color:var(--quiet)}summary{cursor:pointer;color:var(--quiet);margin:.5rem 0}\n"
    ".systems{max-width:none;font-size:.92rem}.table+.note{margin-top:-1.1rem}\n"
    "wbr{display:none}.w wbr,h1 wbr{display:inline}@media print,(max-width:600px){wbr{display:inline}}"
    "@media(max-width:600px){.k{min-width:42vw}}\n"
    "dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.2rem "
    "1rem}dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}\n"
    ".samples{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),1fr));gap:1rem "
    "2rem;margin:1.25rem 0 1.75rem}"
    ".sample{margin:0;padding-top:.6rem;border-top:1px solid var(--grid);align-content:start;break-inside:avoid}.wrong "
    ".mark{color:var(--c1);font-weight:700}.right .mark{color:var(--quiet)}\n"
    ".told{padding:.6rem 0;border-top:1px solid var(--grid);break-inside:avoid}"
    ".told p{max-width:none;margin:0 0 .25rem;overflow-wrap:anywhere}"
    ".words span{padding:.1em .15em;border-radius:3px;-webkit-box-decoration-break:clone;box-decoration-break:clone}"
    ".words{line-height:1.75}"
    ".gloss{display:flex;flex-wrap:wrap;gap:.45rem .1rem;margin:0 0 .5rem}.gloss>div{display:grid;padding:.1rem "
    ".35rem;border-radius:3px;font-size:.85rem;line-height:1.2rem;break-inside:avoid;min-width:0;"
    "overflow-wrap:anywhere}.gloss .key{color:var(--quiet);padding-left:0}.gloss .off{color:var(--c1);font-weight:700;"
    "text-decoration:underline}"
    "table.upright th:not(:first-child) span{writing-mode:vertical-rl;transform:rotate(180deg)}"
    "table.upright{font-size:.82rem}table.upright :is(th,td){padding:.25rem .3rem}"
    ".quiet{color:var(--quiet)}rect.cell:hover{stroke:var(--ink);stroke-width:1.5}\n"
    "@media print{.more{display:none!important}"
    "p{break-inside:avoid}:is(p,ul):has(+.row,+figure,+h3,+.samples){break-after:avoid}}\n"
    "@media "
    "print{body{max-width:none;padding:0;font-size:10.5pt}section{break-inside:auto}h1,h2,h3,figcaption{break-after:"
    "avoid}"
    "figure,tr,.chart{break-inside:avoid}.scroll{overflow:visible}table{font-size:8pt}th,td{padding:.2rem "
    ".4rem}th,td,.w{white-space:normal;min-width:0}th:first-child,td:first-child{position:static}"
    ".row,.row:has(>:nth-child(n):nth-child(n)),.samples{grid-template-columns:repeat(2,minmax(0,1fr))}.row:has(>:nth-"
    "child(3):last-child){grid-template-columns:repeat(3,minmax(0,1fr))}"
    ".map svg,.map svg.long{min-width:0}pre{white-space:pre-wrap}details:not([open])>summary::after{content:' (folded: "
    "open it on the screen before printing)'}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}\n";

static const char *light(const char *name, size_t n) {
    for (int i = 0; i < N_COLOURS; i++)
        if (strlen(colours[i].name) == n && !strncmp(colours[i].name, name, n)) return colours[i].light;
    return "#000000";
}

/* The rules as they are, or with each variable's light value in its place: programs that draw SVG need not know
 * variables. */
static void put_rules(FILE *f, const char *rules, bool variables) {
    static const char use[] = "var(--";
    for (const char *p; !variables && (p = strstr(rules, use));) {
        const char *name = p + strlen(use);
        const size_t n = strcspn(name, ")");
        fwrite(rules, 1, (size_t)(p - rules), f);
        fputs(light(name, n), f);
        rules = name + n + 1;
    }
    fputs(rules, f);
}

void rv__chart_style(FILE *f, bool variables) {
    put_rules(f, chart_rules, variables);
    for (int i = 0; i < RV_CHART_COLOURS; i++) {
        char rule[160];
        snprintf(rule, sizeof rule,
                 "svg .s%d{stroke:var(--c%d)}svg .d%d{stroke-dasharray:%s}svg .f%d{fill:var(--c%d)}\n", i, i, i,
                 dash[i], i, i);
        put_rules(f, rule, variables);
    }
    put_rules(f,
              "svg .two{stroke-width:1.5;stroke-dasharray:3 3}svg "
              ".lead{fill:none;stroke-width:1.2;stroke-opacity:.6;stroke-dasharray:1 4}\n",
              variables);
}

/* A long name (model.encoder.hidden_size, a path) may be broken after the marks in it, so that no word is. */
static void put_name(FILE *f, const char *text) {
    while (*text) {
        const size_t n = strcspn(text, "._/="), mark = text[n] ? 1 : 0;
        rv_page_textf(f, "%.*s", (int)(n + mark), text);
        text += n + mark;
        if (mark && n && *text && !isdigit((unsigned char)*text)) fputs("<wbr/>", f);
    }
}

/* Where a table as wide as its class says (px, from a phone's width to that of the page) has no room, the page says
 * that it scrolls. */
enum { LEAST = 300, STEP = 20, WIDEST = 980 };

/* A matrix that would be wider has its heads upright. */
enum { UPRIGHT = 720 };

enum { STRONGEST = 50 }; /* % of the colour in the strongest ground: text on it has a contrast of 4.5 and more */

void rv_page_begin(FILE *f, const char *title) {
    fputs("<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'/>\n<meta name='viewport' "
          "content='width=device-width,initial-scale=1'/>\n<title>",
          f);
    rv_page_text(f, title);
    fputs("</title>\n<style>\n:root{color-scheme:light dark", f);
    for (int i = 0; i < N_COLOURS; i++) fprintf(f, ";--%s:%s", colours[i].name, colours[i].light);
    fputs("}\n@media screen and (prefers-color-scheme:dark){:root{", f);
    for (int i = 0; i < N_COLOURS; i++) fprintf(f, "%s--%s:%s", i ? ";" : "", colours[i].name, colours[i].dark);
    fputs("}}\n@media print{:root{color-scheme:light", f);
    for (int i = 0; i < N_COLOURS; i++)
        if (colours[i].print) fprintf(f, ";--%s:%s", colours[i].name, colours[i].print);
    fputs("}}\n", f);
    rv__chart_style(f, true);
    fputs(page_rules, f);
    for (int i = 0; i < RV_CHART_COLOURS; i++) fprintf(f, ".c%d{color:var(--c%d)}", i, i);
    for (int i = 1; i <= RV_PAGE_SHADES; i++)
        fprintf(f, ".h%d{background:color-mix(in srgb,var(--c0) %d%%,transparent)}", i, i * STRONGEST / RV_PAGE_SHADES);
    fputc('\n', f);
    for (int w = LEAST; w < WIDEST; w += STEP) fprintf(f, "@container(max-width:%dpx){.m%d{display:block}}", w, w);
    fprintf(f, ".m%d{display:block}\n", WIDEST);
    fputs("</style>\n</head>\n<body>\n<h1>", f);
    put_name(f, title);
    fputs("</h1>\n", f);
}

void rv_page_end(FILE *f) { fputs("</body>\n</html>\n", f); }

void rv_page_section(FILE *f, const char *anchor, const char *heading) {
    fputs("<section id='", f);
    rv_page_text(f, anchor);
    fputs("'>\n<h2><a href='#", f);
    rv_page_text(f, anchor);
    fputs("'>", f);
    rv_page_text(f, heading);
    fputs("</a></h2>\n", f);
}

void rv_page_section_end(FILE *f) { fputs("</section>\n", f); }

int rv_page_shade(double share) { return share > 0 ? (int)lround(fmin(share, 1) * RV_PAGE_SHADES) : 0; }

void rv_page_row_begin(FILE *f) { fputs("<div class='row'>\n", f); }
void rv_page_row_end(FILE *f) { fputs("</div>\n", f); }

/* Like a number: a cell that begins as one. A column is of numbers if three of four cells below the head are, empty
 * ones and dashes aside. */
static bool is_number(const char *cell) {
    static const char *const signs[] = {"−", "±", "+", "-", "<", ">", "~", "≈", "×", "[", "(", " "};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (!strncmp(cell, signs[i], strlen(signs[i]))) return is_number(cell + strlen(signs[i]));
    return isdigit((unsigned char)*cell) || !strncmp(cell, "nan", 3) || !strncmp(cell, "inf", 3);
}
static bool is_void(const char *cell) {
    return !*cell || !strcmp(cell, "–") || !strcmp(cell, "-") || !strcmp(cell, "—");
}

static bool numeric(int rows, int columns, const char *const *cells, int c) {
    int more = 0;
    bool number = false;
    for (int r = 1; r < rows; r++) {
        const char *cell = cells[r * columns + c];
        number |= is_number(cell);
        if (!is_void(cell)) more += is_number(cell) ? 1 : -3;
    }
    return more >= 0 && number;
}

static bool wordy(int rows, int columns, const char *const *cells, int c) {
    for (int r = 1; r < rows; r++)
        if (rv__text_width(cells[r * columns + c]) > 30 * 8) return true;
    return false;
}

/* Room that the longest cell of a column, from a row on, takes on one line, px. */
static double column_width(int rows, int columns, const char *const *cells, int c, int from) {
    double most = 0;
    for (int r = from; r < rows; r++) most = fmax(most, 16 * 0.92 / RV__FONT * rv__text_width(cells[r * columns + c]));
    return most;
}

/* The same with upright heads, as the style sheet has them: smaller, and narrow. */
static double upright_width(int rows, int columns, const char *const *cells) {
    double all = 0;
    for (int c = 0; c < columns; c++)
        all += 0.82 / 0.92 * fmax(column_width(rows, columns, cells, c, c ? 1 : 0), 16) + 2 * 0.3 * 16;
    return all;
}

static double table_width(int rows, int columns, const char *const *cells) {
    double all = 0;
    for (int c = 0; c < columns; c++) {
        const double most = column_width(rows, columns, cells, c, 0);
        all += (wordy(rows, columns, cells, c) ? fmin(most, 15 * 16) : most) + 2 * 0.8 * 16 * 0.92;
    }
    return all;
}

/* A column of numbers, of texts that are broken, or of names that a phone breaks to its share of the screen. */
static const char *kind_of(int rows, int columns, const char *const *cells, int c) {
    if (numeric(rows, columns, cells, c)) return "n";
    if (wordy(rows, columns, cells, c)) return "w";
    return !c && column_width(rows, columns, cells, c, 0) > 0.42 * 400 ? "k" : "";
}

static void put_classes(FILE *f, const char *kind, int shade) {
    if (shade)
        fprintf(f, " class='%s%sh%d'", kind, *kind ? " " : "", shade);
    else if (*kind)
        fprintf(f, " class='%s'", kind);
}

void rv_page_table(FILE *f, int rows, int columns, const char *const *cells, const char *caption) {
    rv_page_shaded_table(f, rows, columns, cells, NULL, caption);
}

void rv_page_shaded_table(FILE *f, int rows, int columns, const char *const *cells, const double *share,
                          const char *caption) {
    const bool named = caption && *caption;
    fputs("<figure class='table'>", f);
    /* The caption outside of the box that scrolls: it stays in sight and is broken to the screen's width. */
    if (named) {
        fputs("<figcaption>", f);
        rv_page_text(f, caption);
        fputs("</figcaption>", f);
    }
    double width = table_width(rows, columns, cells);
    const bool upright = share && width > UPRIGHT;
    if (upright) width = upright_width(rows, columns, cells);
    if (width > LEAST)
        fprintf(f, "<p class='more m%d'>The table goes on to the right: scroll it.</p>",
                (int)(fmin(width, WIDEST) / STEP) * STEP);
    fputs("<div class='scroll' tabindex='0' role='region' aria-label='", f);
    rv_page_text(f, named ? caption : "table");
    fputs(upright ? "'><table class='upright'>" : "'><table>", f);
    for (int r = 0; r < rows; r++) { /* long texts are broken, short ones never */
        fputs(r == 0 ? "\n<thead><tr>" : r == 1 ? "\n<tbody>\n<tr>" : "\n<tr>", f);
        for (int c = 0; c < columns; c++) {
            const char *tag = r ? "td" : "th scope='col'";
            fprintf(f, "<%s", tag);
            put_classes(f, kind_of(rows, columns, cells, c), share ? rv_page_shade(share[r * columns + c]) : 0);
            fputc('>', f);
            if (upright && !r) fputs("<span>", f);
            put_name(f, cells[r * columns + c]);
            if (upright && !r) fputs("</span>", f);
            fputs(r ? "</td>" : "</th>", f);
        }
        fputs(r ? "</tr>" : "</tr></thead>", f);
    }
    fputs(rows > 1 ? "\n</tbody></table></div></figure>\n" : "\n</table></div></figure>\n", f);
}

/* ---- what all charts have ---- */

void rv__figure_begin(FILE *f, const char *title) {
    fputs("<figure class='chart'><figcaption>", f);
    rv_page_text(f, title);
    fputs("</figcaption>\n", f);
}

void rv__figure_end(FILE *f) { fputs("</figure>\n", f); }

void rv__svg_begin(FILE *f, const char *kind, double width, double height, double margin, const char *title) {
    const double w = width + 2 * margin, h = height + 2 * margin;
    fprintf(f,
            "<svg xmlns='http://www.w3.org/2000/svg' role='img' class='%s' viewBox='%.0f %.0f %.0f %.0f' width='%.0f' "
            "height='%.0f' aria-label='",
            kind, 0 - margin, 0 - margin, w, h, w, h);
    rv_page_text(f, title);
    fputs("'><title>", f);
    rv_page_text(f, title);
    fputs("</title>\n", f);
}
