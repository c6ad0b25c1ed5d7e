/* html.h: a database as one HTML file that needs nothing else: no server, no script, no other file. */
#ifndef ZO_BENCH_CLI_HTML_H
#define ZO_BENCH_CLI_HTML_H

#include "results/report.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes `path` anew, another file first which is then given its name. In it: what runs now, the report of `spec` (of spec->against besides), every picture
 * that the database can fill, what did not end well and why, on what machines and by what programs, and the configs. `again`: seconds after which a browser
 * reads it again; 0 = never. Pictures are left out with a sentence where gnuplot is not there. */
zo_status zo_html_write(zo_results *results, const zo_report_spec *spec, const char *db, const char *path, int64_t again, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
