/** The page of a report: report.html from report.json (lib/compare/README.md). */
#ifndef RV_REPORT_PAGE_H
#define RV_REPORT_PAGE_H

#include <jansson.h>

#include "base/status.h"

/** Draw the page: one file, no scripts, nothing from the network, light and dark, printable. It appears whole or not at
 *  all. Errors: RV_EDATA with the path, RV_ENOMEM. */
RV_API rv_status rv_report_page(const json_t *report, const char *path);
/** Write the page's line charts as SVG files of their own, on a light ground, into `folder` (made if needed), named by
 * their titles: exact-matches-by-length.svg. Errors: RV_EDATA with the path, RV_ENOMEM. */
RV_API rv_status rv_report_figures(const json_t *report, const char *folder);

#endif
