/* term_log.c: see term_log.h. */
#include "optimizers/engine/term_log.h"

#include <string.h>

#include "optimizers/engine/engine.h"
#include "optimizers/engine/moves.h"

void zo_term_log_open(zo_term_log *log)
{
    memset(log, 0, sizeof *log);
    log->term = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, ZO_LOG_MOST * sizeof *log->term);
}

void zo_term_log_close(zo_term_log *log)
{
    zo_free(log->term);
}

zo_status zo_term_log_add(zo_term_log *log, const zo_term *term, zo_err *err)
{
    ZO_CHECK(term->dir.kind == ZO_DIR_DENSE || term->dir.kind == ZO_DIR_REST, "the log keeps dense directions");
    for (int i = log->n - 1; i >= 0; i--) {
        if (zo_dir_same(&log->term[i].dir, &term->dir)) {
            log->term[i].coef += term->coef;
            return ZO_OK;
        }
    }
    if (term->coef == 0.0) {
        return ZO_OK;
    }
    if (log->n == ZO_LOG_MOST) {
        return zo_fail(err, ZO_EUNSUPPORTED, "accumulate \"log\" is full after %d directions, each of which every pass draws again; give fewer steps, a "
                       "low-rank method on the side path with \"rest\": \"freeze\", or \"accumulate\": \"weights\"", log->n);
    }
    log->term[log->n++] = *term;
    return ZO_OK;
}

void zo_log_mark_take(zo_log_mark *mark, const zo_term_log *log, zo_tag tag)
{
    if (mark->coef == NULL) {
        mark->coef = zo_alloc(ZO_HOST, tag, ZO_LOG_MOST * sizeof *mark->coef);
    }
    for (int i = 0; i < log->n; i++) {
        mark->coef[i] = log->term[i].coef;
    }
    mark->n = log->n;
}

double zo_log_mark_coef(const zo_log_mark *mark, int i)
{
    return i < mark->n ? mark->coef[i] : 0.0;
}
