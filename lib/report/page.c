#include "report/page.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "report/page_private.h"
#include "base/file.h"

static void draw(rv__page *p) {
    const char *name = rv__page_string(p->report, "name");
    rv_page_begin(p->f, name);
    rv__page_summary(p);
    rv__page_fairness(p);
    rv__page_curves(p);
    rv__page_quality(p);
    rv__page_by_length(p);
    rv__page_by_tag(p);
    rv__page_time_to(p);
    rv__page_samples(p);
    rv__page_disagreements(p);
    rv__page_transitions(p);
    rv__page_attention(p);
    rv__page_flow(p);
    rv__page_cost(p);
    rv__page_runs(p);
    rv__page_origin(p);
    rv_page_end(p->f);
}

static rv_status page_into(const json_t *report, const char *path, FILE *f, const char *figures) {
    if (!rv__page_is(report, "format", "ravel-report 1"))
        return rv_error(RV_EDATA,
                        "%s: the document to draw says no \"format\": \"ravel-report 1\"; make it with 'ravel report' "
                        "or 'ravel compare'",
                        path);
    rv__page p = {.f = f,
                  .report = report,
                  .models = json_object_get(report, "models"),
                  .arena = rv_arena_create(),
                  .figures = figures};
    if (!p.arena) return RV_ENOMEM;
    draw(&p);
    rv_arena_destroy(p.arena);
    return p.status;
}

rv_status rv_report_page(const json_t *report, const char *path) {
    FILE *f = rv__file_begin(path);
    if (!f) return RV_EDATA;
    const rv_status status = page_into(report, path, f, NULL), end = rv__file_end(f, path, status == RV_OK);
    return status == RV_OK ? end : status;
}

/* ---- charts as files */

rv_status rv_report_figures(const json_t *report, const char *folder) {
    RV_TRY(rv__make_folders(folder));
    FILE *nowhere = fopen("/dev/null", "w");
    if (!nowhere) return rv_error(RV_EDATA, "/dev/null: %s", strerror(errno));
    const rv_status status = page_into(report, folder, nowhere, folder);
    fclose(nowhere);
    return status;
}

/* "Training step, 2 threads" is training-step-2-threads; a name that was given already gets a number. */
static const char *file_name(rv__page *p, const char *title) {
    char *slug = rv__page_alloc(p, strlen(title) + 1);
    size_t n = 0;
    for (const char *s = title; slug && *s; s++) {
        if (isalnum((unsigned char)*s))
            slug[n++] = (char)tolower((unsigned char)*s);
        else if (n && slug[n - 1] != '-')
            slug[n++] = '-';
    }
    if (!slug) return NULL;
    while (n && slug[n - 1] == '-') n--;
    slug[n] = 0;
    int before = 0;
    for (const rv__page_figure *f = p->figure; f; f = f->next) before += !strcmp(f->slug, slug);
    rv__page_figure *this = rv__page_alloc(p, sizeof *this);
    if (!this) return NULL;
    *this = (rv__page_figure){slug, p->figure};
    p->figure = this;
    return before ? rv__page_format(p, "%s/%s-%d.svg", p->figures, slug, before + 1)
                  : rv__page_format(p, "%s/%s.svg", p->figures, slug);
}

void rv__page_chart(rv__page *p, const rv_chart *chart) {
    rv_chart_lines(p->f, chart);
    if (!p->figures || p->status != RV_OK) return;
    rv_chart alone = *chart;
    alone.small = false;
    const char *path = file_name(p, chart->title);
    const rv_status status = path ? rv_chart_file(path, &alone) : RV_ENOMEM;
    if (p->status == RV_OK) p->status = status;
}
