/* profile.c: see profile.h. */
#include "bench/cell/profile.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "core/mem.h"

static bool counts(const zo_param *p, int block)
{
    return !p->frozen && p->bits == 0 && (block == ZO_PROFILE_ALL || p->block == block);
}

int zo_profile_blocks(const zo_layout *layout)
{
    int blocks = 0;
    for (int i = 0; i < layout->n; i++) {
        const zo_param *p = &layout->param[i];
        blocks = counts(p, p->block) && p->block >= blocks ? p->block + 1 : blocks;
    }
    return blocks;
}

double zo_profile_drift(const zo_layout *layout, int block, const float *start, const float *now)
{
    double way = 0, norm = 0;
    for (int k = 0; k < layout->n; k++) {
        const zo_param *p = &layout->param[k];
        for (int64_t i = p->offset; counts(p, block) && i < p->offset + p->rows * p->cols; i++) {
            double moved = (double)now[i] - (double)start[i];
            way += moved * moved;
            norm += (double)start[i] * (double)start[i];
        }
    }
    return norm > 0 ? sqrt(way / norm) : NAN;
}

/* Of one matrix; NaN where it has not moved. */
static double stable_rank(const zo_param *p, const float *start, const float *now)
{
    int64_t rows = p->rows, cols = p->cols, n = rows * cols, least = rows < cols ? rows : cols;
    double *d = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(n + least) * sizeof *d), *singular = d + n, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        d[i] = (double)now[p->offset + i] - (double)start[p->offset + i];
        squares += d[i] * d[i];
    }
    double rank = NAN;
    if (squares > 0) {
        double unused;
        int info = (int)LAPACKE_dgesdd(LAPACK_ROW_MAJOR, 'N', (lapack_int)rows, (lapack_int)cols, d, (lapack_int)cols, singular, &unused, (lapack_int)rows, &unused, (lapack_int)cols);
        ZO_CHECK(info == 0, "dgesdd says %d of a matrix of %lld x %lld finite numbers", info, (long long)rows, (long long)cols);
        rank = squares / (singular[0] * singular[0]);
    }
    zo_free(d);
    return rank;
}

double zo_profile_rank(const zo_layout *layout, int block, const float *start, const float *now)
{
    double sum = 0;
    int n = 0;
    for (int k = 0; k < layout->n; k++) {
        const zo_param *p = &layout->param[k];
        if (counts(p, block) && p->kind == ZO_PARAM_MATRIX && p->block >= 0) {
            double rank = stable_rank(p, start, now);
            sum += isnan(rank) ? 0 : rank;
            n += !isnan(rank);
        }
    }
    return n > 0 ? sum / n : NAN;
}

double zo_profile_cosine(const zo_layout *layout, int block, const float *before, const float *after, const float *gradient)
{
    double dot = 0, step = 0, norm = 0;
    for (int k = 0; k < layout->n; k++) {
        const zo_param *p = &layout->param[k];
        for (int64_t i = p->offset; counts(p, block) && i < p->offset + p->rows * p->cols; i++) {
            double moved = (double)before[i] - (double)after[i], g = gradient[i];
            dot += moved * g;
            step += moved * moved;
            norm += g * g;
        }
    }
    return step > 0 && norm > 0 ? dot / sqrt(step * norm) : NAN;
}
