#include "compare/report.h"

#include "compare/page_private.h"
#include "data/files.h"

static void draw(rv__page *p) {
    const char *name = rv__page_string(p->report, "name");
    rv_page_begin(p->f, name);
    rv__page_summary(p);
    rv__page_fairness(p);
    rv__page_curves(p);
    rv__page_quality(p);
    rv__page_by_length(p);
    rv__page_time_to(p);
    rv__page_samples(p);
    rv__page_attention(p);
    rv__page_flow(p);
    rv__page_cost(p);
    rv__page_runs(p);
    rv__page_origin(p);
    rv_page_end(p->f);
}

rv_status rv_report_page(const json_t *report, const char *path) {
    if (!rv__page_is(report, "format", "ravel-report 1"))
        return rv_error(RV_EDATA, "%s: the document to draw says no \"format\": \"ravel-report 1\"; make it with 'ravel report' or 'ravel compare'", path);
    rv__page p = {.report = report, .models = json_object_get(report, "models"), .arena = rv_arena_create()};
    if (!p.arena) return RV_ENOMEM;
    p.f = rv__file_begin(path);
    p.status = p.f ? RV_OK : RV_EDATA;
    if (p.f) {
        draw(&p);
        rv_status end = rv__file_end(p.f, path, p.status == RV_OK);
        if (p.status == RV_OK) p.status = end;
    }
    rv_arena_destroy(p.arena);
    return p.status;
}
