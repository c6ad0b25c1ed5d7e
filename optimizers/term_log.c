/* term_log.c: see term_log.h. */
#include "optimizers/term_log.h"

#include <string.h>

#include "optimizers/engine.h"
#include "optimizers/moves.h"

static void reserve(zo_term_log *log, int room)
{
    log->room = room;
    log->term = zo_realloc(log->term, ZO_HOST, ZO_TAG_OPT_STATE, (size_t)room * sizeof *log->term);
}

void zo_term_log_open(zo_term_log *log, const zo_layout *layout)
{
    memset(log, 0, sizeof *log);
    for (int t = 0; t < layout->n; t++) {
        log->parameters += layout->param[t].rows * layout->param[t].cols;
    }
    reserve(log, ZO_LOG_MOST);
}

void zo_term_log_close(zo_term_log *log)
{
    zo_free(log->term);
    zo_free(log->anchor);
}

/* Elements that a dense direction moves. */
static int64_t acts_on(const zo_term_log *log, const zo_factors *factors, const zo_dir *dir)
{
    int64_t n = log->parameters;
    for (int t = 0; dir->kind == ZO_DIR_REST && factors != NULL && t < factors->layout->n; t++) {
        const zo_param *p = &factors->layout->param[t];
        n -= factors->rank[t] > 0 ? p->rows * p->cols : 0;
    }
    return n;
}

zo_status zo_term_log_add(zo_term_log *log, const zo_factors *factors, const zo_term *term, zo_err *err)
{
    ZO_CHECK(term->dir.kind == ZO_DIR_GAUSS || term->dir.kind == ZO_DIR_REST, "the log keeps dense directions");
    for (int i = log->n - 1; i >= 0; i--) {
        if (zo_dir_same(&log->term[i].dir, &term->dir)) {
            log->term[i].coef += term->coef;
            return ZO_OK;
        }
    }
    if (term->coef == 0.0) {
        return ZO_OK;
    }
    int64_t more = acts_on(log, factors, &term->dir);
    if (log->drawn + more > ZO_LOG_MOST * log->parameters) {
        return zo_fail(err, ZO_EUNSUPPORTED, "accumulate \"log\" is full after %d directions: every pass would draw more than %d numbers for each "
                       "parameter; give fewer steps, a low-rank method on the side path, or \"accumulate\": \"weights\"", log->n, ZO_LOG_MOST);
    }
    if (log->n == log->room) {
        reserve(log, 2 * log->room);
    }
    log->drawn += more;
    log->term[log->n++] = *term;
    return ZO_OK;
}

void zo_term_log_snapshot(zo_term_log *log)
{
    if (log->anchor_room < log->n || log->anchor == NULL) {
        log->anchor_room = log->room;
        log->anchor = zo_realloc(log->anchor, ZO_HOST, ZO_TAG_SNAPSHOT, (size_t)log->room * sizeof *log->anchor);
    }
    for (int i = 0; i < log->n; i++) {
        log->anchor[i] = log->term[i].coef;
    }
    log->anchors = log->n;
    log->has_anchor = true;
}

double zo_term_log_coef(const zo_term_log *log, zo_base base, int i)
{
    return base == ZO_BASE_WEIGHTS ? log->term[i].coef : i < log->anchors ? log->anchor[i] : 0.0;
}
