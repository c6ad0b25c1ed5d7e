/* needs.c: see optimizers/needs.h. The engine's share is what this folder allocates for these requests, in its order. */
#include "optimizers/needs.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#include "optimizers/engine/engine.h"
#include "optimizers/engine/moves.h"
#include "optimizers/engine/own_factors.h"
#include "optimizers/engine/rank_rule.h"
#include "optimizers/engine/term_log.h"

zo_status zo_needs_of(const zo_estimator *e, const cJSON *options, const zo_extent *extent, zo_needs *needs, zo_err *err)
{
    *needs = (zo_needs){0};
    if (e->needs == NULL) {
        return ZO_OK;
    }
    void *state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, e->state_bytes);
    zo_status status = zo_opt_read(e->options, options, NULL, e->name, state, err);
    if (status == ZO_OK) {
        e->needs(state, extent, needs);
        bool right = needs->pools >= 0 && needs->pools <= ZO_POOLS_MOST;
        for (int p = 0; right && p < needs->pools; p++) {
            const zo_pool *pool = &needs->pool[p];
            right = pool->batch >= 0 && pool->above >= 0 && pool->most >= 0 && ((pool->above == 0 && pool->most == 0) || pool->key != NULL);
        }
        status = right ? ZO_OK : zo_fail(err, ZO_EINPUT, "%s: its needs have pools that cannot be: at most %d, of lengths and batches that are not negative, and with the "
                                                         "key that says the length", e->name, ZO_POOLS_MOST);
    }
    zo_free(state);
    return status;
}

static int points_of(const zo_needs *n, zo_realisation realisation)
{
    return realisation == ZO_INPLACE ? 1 : n->pass > 0 ? (int)n->pass : 2;
}

static bool is_logged(const zo_extent *x)
{
    return x->accumulate == ZO_ACCUMULATE_LOG;
}

static bool has_masters(const zo_needs *n, const zo_extent *x)
{
    return n->masters && x->storage != ZO_STORAGE_F32;
}

/* Of a parameter of n numbers in an arena of f32. */
static uint64_t arena_bytes(int64_t n)
{
    return zo_round_up((uint64_t)n, 16) * sizeof(float);
}

/* A store of a factor of each factored matrix, (rows, cols or rank, rank), and behind it what has none. */
static uint64_t held_bytes(const zo_needs *n, const zo_layout *layout, zo_shape shape)
{
    uint64_t bytes = 0;
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        int64_t rank = zo_rank_most(p, &n->factors);
        bytes += p->frozen ? 0 : rank == 0 ? arena_bytes(p->rows * p->cols) : arena_bytes((shape == ZO_SHAPE_CORE ? rank : shape == ZO_SHAPE_RIGHT ? p->cols : p->rows) * rank);
    }
    return bytes;
}

static void count_factors(const zo_needs *n, const zo_extent *x, zo_bytes *start)
{
    const zo_layout *layout = x->layout;
    bool own = n->factors.kind != ZO_FACTORS_FIXED, orthonormal = n->factors.kind == ZO_FACTORS_ORTHONORMAL;
    uint64_t ncoef = 0, rest = 0;
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        int rank = zo_rank_most(p, &n->factors);
        ncoef += (uint64_t)rank;
        rest += rank == 0 && !p->frozen ? zo_round_up((uint64_t)(p->rows * p->cols), 16) : 0;
        start->backend[ZO_TAG_OPT_STATE] += own ? ZO_OWN_SLOTS * (arena_bytes(p->rows * rank) + arena_bytes(p->cols * rank))
                                                : (uint64_t)rank * (uint64_t)(p->rows + p->cols) * sizeof(float);
    }
    bool side = x->realisation == ZO_SIDEPATH;
    uint64_t a_coef = (uint64_t)(n->coefs + 2) * sizeof(float); /* and the engine's own: a drawn direction, a queued update */
    a_coef += (side || is_logged(x)) && !own ? sizeof(double) + sizeof(float) : 0;
    a_coef += side ? (uint64_t)points_of(n, x->realisation) * sizeof(float) : 0;
    start->host[ZO_TAG_OPT_STATE] += ncoef * a_coef + sizeof(zo_factors) + (uint64_t)layout->n * (sizeof(int) + sizeof(int64_t) + sizeof(float) + 2 * sizeof(float *));
    start->backend[ZO_TAG_OPT_STATE] += n->cores + n->right_sets > 0 ? held_bytes(n, layout, ZO_SHAPE_LEFT) : 0; /* what they make with U */
    for (int t = 0; t < layout->n && (n->lefts + n->right_sets > 0 || orthonormal); t++) {
        int64_t rank = zo_rank_most(&layout->param[t], &n->factors);
        start->backend[ZO_TAG_OPT_STATE] += arena_bytes(rank * rank) + (orthonormal ? arena_bytes(layout->param[t].rows * rank) : 0); /* a core; U */
        start->backend[ZO_TAG_OPT_STATE] += n->right_sets > 0 ? 2 * arena_bytes(rank * rank) : 0; /* its power, a diagonal; and on the host */
        start->host[ZO_TAG_OPT_STATE] += n->right_sets > 0 ? arena_bytes(rank * rank) : 0;
    }
    start->host[ZO_TAG_OPT_STATE] += own ? 2 * (uint64_t)layout->n * sizeof(int64_t) : 0;
    if (is_logged(x) && x->storage != ZO_STORAGE_F32 && x->reads_rest) {
        start->backend[ZO_TAG_OPT_STATE] += rest * sizeof(float);
    }
}

/* Sets that appear in the first steps, and the lists that go with them. */
static void count_sets(const zo_needs *n, const zo_extent *x, zo_bytes *steps)
{
    uint64_t numbers = (uint64_t)x->layout->trained_size, *host = steps->host;
    if (is_logged(x)) { /* a snapshot is a mark, and what would be stored is terms */
        host[ZO_TAG_SNAPSHOT] += n->anchors > 0 ? ZO_LOG_MOST * sizeof(double) : 0;
        host[ZO_TAG_OPT_STATE] += (uint64_t)(n->stored_terms > 0 ? n->stored_terms : n->stored) * sizeof(zo_term);
        steps->backend[ZO_TAG_OPT_STATE] += n->lefts > 0 ? (uint64_t)n->lefts * held_bytes(n, x->layout, ZO_SHAPE_LEFT) : 0;
        host[ZO_TAG_OTHER] += (uint64_t)n->lefts * sizeof(zo_store);
        return;
    }
    int f32 = n->stored + (n->stored > 0 && n->stored_beside) + n->scales + n->moments;
    steps->backend[ZO_TAG_SNAPSHOT] += (uint64_t)n->anchors * numbers * (uint64_t)zo_storage_bytes(x->storage);
    steps->backend[ZO_TAG_OPT_STATE] += (uint64_t)f32 * numbers * sizeof(float);
    for (int t = 0; t < x->layout->n; t++) {
        const zo_param *p = &x->layout->param[t];
        bool in = !p->frozen && zo_param_in(p, n->linear);
        uint64_t padded = in ? zo_round_up((uint64_t)(p->rows * p->cols), 16) : 0;
        steps->backend[ZO_TAG_SNAPSHOT] += (uint64_t)n->part_copies * padded * (uint64_t)zo_storage_bytes(x->storage);
        steps->backend[ZO_TAG_OPT_STATE] += (uint64_t)n->part_sums * padded * sizeof(float);
    }
    uint64_t gradients = n->descends ? (uint64_t)zo_gradient_places(x->layout, NULL) : n->gradient ? numbers : 0;
    steps->backend[ZO_TAG_GRADS] += (gradients + (uint64_t)n->buffers * numbers) * sizeof(float);
    bool masters = has_masters(n, x);
    steps->backend[ZO_TAG_OPT_STATE] += masters ? numbers * sizeof(float) : 0;
    host[ZO_TAG_OTHER] += n->descends ? (uint64_t)x->layout->n * sizeof(int64_t) : 0;
    steps->backend[ZO_TAG_OPT_STATE] += n->lefts > 0 ? (uint64_t)n->lefts * held_bytes(n, x->layout, ZO_SHAPE_LEFT) : 0;
    steps->backend[ZO_TAG_OPT_STATE] += n->cores > 0 ? (uint64_t)n->cores * held_bytes(n, x->layout, ZO_SHAPE_CORE) : 0;
    steps->backend[ZO_TAG_OPT_STATE] += n->right_sets > 0 ? (uint64_t)n->right_sets * held_bytes(n, x->layout, ZO_SHAPE_RIGHT) : 0;
    host[ZO_TAG_OTHER] += (uint64_t)(n->anchors + f32 + n->gradient + n->buffers + n->lefts + n->cores + n->right_sets + n->part_copies + n->part_sums + masters) * sizeof(zo_store);
}

/* Beside a log: B and V of each V. The last is made when its factors are orthonormal, and the room that this took is free: the larger of the two. */
static void count_sums(const zo_needs *n, const zo_extent *x, zo_bytes *steps)
{
    uint64_t sums = (uint64_t)(n->rights < ZO_OWN_SUMS ? n->rights : ZO_OWN_SUMS), each = 0, *work = &steps->host[ZO_TAG_WORKSPACE];
    for (int t = 0; t < x->layout->n; t++) {
        const zo_param *p = &x->layout->param[t];
        int rank = zo_rank_most(p, &n->factors);
        each += arena_bytes(p->rows * rank) + arena_bytes(p->cols * rank);
    }
    bool before = sums > 0 && *work > each;
    sums -= before;
    *work = before ? *work : 0;
    steps->backend[ZO_TAG_OPT_STATE] += sums * each;
    steps->host[ZO_TAG_OTHER] += 2 * sums * sizeof(zo_store);
}

/* A factor on its way to being orthonormal: as drawn, and in float64. */
static void count_orthonormal(const zo_needs *n, const zo_extent *x, zo_bytes *steps)
{
    int64_t most = 0;
    for (int t = 0; t < x->layout->n; t++) {
        const zo_param *p = &x->layout->param[t];
        int64_t numbers = zo_rank_most(p, &n->factors) * (p->rows > p->cols || n->factors.kind == ZO_FACTORS_SUBSPACE ? p->rows : p->cols);
        most = numbers > most ? numbers : most;
    }
    steps->host[ZO_TAG_WORKSPACE] += (uint64_t)most * (sizeof(float) + sizeof(double));
}

static void count_lists(const zo_needs *n, const zo_extent *x, zo_bytes *steps)
{
    uint64_t *other = &steps->host[ZO_TAG_OTHER];
    if (x->realisation == ZO_INPLACE && n->points > 0) {
        *other += (uint64_t)(1 + n->anchors) * zo_moves_bytes(n->terms, n->updates, x->touched_rows);
    } else if (n->points > 0) {
        bool rest = is_logged(x) && n->factored && n->lefts == 0 && x->storage == ZO_STORAGE_F32;
        *other += !is_logged(x) ? zo_moves_bytes(0, n->updates, 0) : rest ? zo_moves_rest_bytes() : 0;
        int64_t pass = points_of(n, x->realisation) < n->points ? points_of(n, x->realisation) : n->points;
        uint64_t dirs = (uint64_t)(pass * n->terms);
        *other += is_logged(x) ? 0 : dirs * (sizeof(zo_dir) + (uint64_t)pass * sizeof(float)); /* a log has made room for all it may have */
    }
}

void zo_needs_count(const zo_needs *n, const zo_extent *x, zo_bytes *start, zo_bytes *steps)
{
    *start = *steps = (zo_bytes){{0}, {0}};
    for (int t = 0; t < ZO_TAGS; t++) {
        start->host[t] = n->start_bytes[t];
        steps->host[t] = n->step_bytes[t];
    }
    if (n->factored) {
        count_factors(n, x, start);
    }
    count_sets(n, x, steps);
    if (n->factored && (n->factors.kind == ZO_FACTORS_ORTHONORMAL || n->factors.kind == ZO_FACTORS_SUBSPACE)) {
        count_orthonormal(n, x, steps);
    }
    if (n->factored && n->factors.kind != ZO_FACTORS_FIXED && is_logged(x)) {
        count_sums(n, x, steps);
    }
    count_lists(n, x, steps);
}

double zo_needs_read_bytes(const zo_needs *n, const zo_extent *x)
{
    int moments = (n->gradient ? n->moments : 2 * (n->moments + n->buffers)) + has_masters(n, x);
    return is_logged(x) ? 0 : (double)((n->stored + (n->scales_written ? 4 : 2) * n->scales + moments) * (int)sizeof(float) + n->anchors * zo_storage_bytes(x->storage));
}

const char *zo_needs_text(const zo_needs *n, char *out, size_t size)
{
    char moments[40], stored[40];
    snprintf(stored, sizeof stored, n->stored > 1 ? "%d stored directions" : "a stored direction", n->stored);
    snprintf(moments, sizeof moments, "%d moment%s", n->moments, n->moments == 1 ? "" : "s");
    const char *const kept[] = {n->descends ? "a gradient at a time" : n->gradient ? "gradients" : n->buffers > 0 ? "a gradient's buffer" : NULL,
                                n->moments > 0 ? moments : NULL,
                                n->masters ? "masters of weights in 16 bits" : NULL,
                                n->anchors > 0 ? "a snapshot" : NULL,
                                n->part_copies > 0 ? n->linear != ZO_LINEAR_EVERY ? "an anchor of some matrices" : "an anchor" : NULL,
                                n->part_sums > 0 ? n->linear != ZO_LINEAR_EVERY ? "the offset of some matrices" : "an offset" : NULL,
                                n->stored > 0 ? n->stored_beside ? "a stored direction, two while it is made" : stored : NULL,
                                n->scales > 0 ? "a scaling set" : NULL,
                                !n->factored                           ? NULL
                                : n->factors.kind == ZO_FACTORS_FIXED ? "CP factors"
                                : n->lefts > 0                        ? "the last factors of directions, and left ones that are summed"
                                : n->cores > 0                        ? "the last factors of directions, and cores that are summed"
                                : n->right_sets > 0                       ? "the last factors of directions, and right ones that are summed"
                                                                      : "the last factors of directions"};
    size_t at = 0;
    snprintf(out, size, "nothing");
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        if (kept[i] != NULL && at < size) {
            at += (size_t)snprintf(out + at, size - at, "%s%s", at > 0 ? ", " : "", kept[i]);
        }
    }
    return out;
}

int zo_points_a_pass(const zo_estimator *e, const zo_needs *needs, zo_realisation realisation)
{
    return zo_estimator_probes(e) ? points_of(needs, realisation) : 1;
}
