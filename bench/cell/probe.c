/* probe.c: see probe.h. */
#include "bench/cell/probe.h"

#include <math.h>
#include <string.h>

#include "core/mem.h"
#include "core/rng.h"
#include "optimizers/engine/engine.h"

enum { CHUNK = 1 << 14, SAMPLE = 1024 };

/* One parameter, its factors on the host. */
typedef struct subject {
    const zo_param *p;
    int rank;
    float scale;
    float *u[ZO_PROBE_TERMS], *v[ZO_PROBE_TERMS]; /* (rows, rank), (cols, rank) of each term of low rank, else NULL */
    float *a;                                     /* (n, rank) of each term */
} subject;

static bool acts(const subject *s, const zo_dir *dir)
{
    return zo_dir_acts(dir->kind, zo_dir_skip(dir), s->p->block, s->rank);
}

/* z (count) <- as the direction's set scales it. */
static void scale(zo_backend *be, const subject *s, const zo_dir *dir, int64_t first, int64_t count, float *z)
{
    float *by = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)count * sizeof *by);
    zo_store_read(be, dir->by, s->p->offset + first, count, by);
    for (int64_t i = 0; i < count; i++) {
        z[i] = zo_scaled(dir->scaling, z[i], by[i]);
    }
    zo_free(by);
}

/* z (count) = the direction's elements [first, first + count) of a parameter; elements count by rows. */
static void draw(zo_backend *be, const subject *s, const zo_term *term, int k, int64_t first, int64_t count, float *z)
{
    const zo_dir *dir = &term[k].dir;
    if (dir->kind == ZO_DIR_SET) {
        zo_store_read(be, dir->values, s->p->offset + first, count, z);
        return;
    }
    if (!zo_dir_is_lowrank(dir->kind)) {
        zo_stream stream = {.seed = dir->seed, .tensor = s->p->id, .step = dir->step, .query = dir->query, .role = ZO_ROLE_Z};
        zo_numbers(dir->draw, stream, (uint64_t)first, (long)count, z);
        if (dir->scale != 0) {
            scale(be, s, dir, first, count, z);
        }
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t row = (first + i) / s->p->cols, col = (first + i) % s->p->cols;
        float sum = 0.0f;
        for (int r = 0; r < s->rank; r++) {
            sum = fmaf(s->a[k * s->rank + r] * s->scale * s->u[k][row * s->rank + r], s->v[k][col * s->rank + r], sum);
        }
        z[i] = sum;
    }
}

static float *fetch(zo_backend *be, const float *from, int64_t n)
{
    float *to = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *to);
    be->download(be, to, from, (size_t)n * sizeof *to);
    return to;
}

static subject open_subject(zo_backend *be, const zo_factors *factors, const zo_param *p, int t, const zo_term *term, int n)
{
    subject s = {.p = p, .rank = factors != NULL ? factors->rank[t] : 0};
    if (s.rank > 0) {
        s.scale = factors->scale[t];
        s.a = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(n * s.rank) * sizeof *s.a);
        for (int k = 0; k < n; k++) {
            if (zo_dir_is_lowrank(term[k].dir.kind)) {
                zo_dir_coefs(&term[k].dir, factors, t, s.a + k * s.rank);
                s.u[k] = fetch(be, zo_dir_u(&term[k].dir, factors, t), p->rows * s.rank);
                s.v[k] = fetch(be, zo_dir_v(&term[k].dir, factors, t), p->cols * s.rank);
            }
        }
    }
    return s;
}

double zo_probe_drift(zo_backend *be, const zo_store *weights, const zo_factors *factors, const zo_term *term, int n)
{
    static const double times[] = {1.0, -2.0, 1.0}; /* there, to the other side, back */
    ZO_CHECK(n <= ZO_PROBE_TERMS, "a probe of %d terms, and at most %d are told", n, ZO_PROBE_TERMS);
    const zo_layout *layout = weights->layout;
    float *before = zo_alloc(ZO_HOST, ZO_TAG_OTHER, CHUNK * sizeof *before), *w = zo_alloc(ZO_HOST, ZO_TAG_OTHER, CHUNK * sizeof *w);
    float *z = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * CHUNK * sizeof *z); /* (n, CHUNK) */
    float most = 0.0f;
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        if (p->frozen || (p->kind == ZO_PARAM_TABLE && !p->whole)) {
            continue;
        }
        subject s = open_subject(be, factors, p, t, term, n);
        for (int64_t first = 0; first < p->rows * p->cols; first += CHUNK) {
            int64_t count = p->rows * p->cols - first < CHUNK ? p->rows * p->cols - first : CHUNK;
            zo_store_read(be, weights, p->offset + first, count, before);
            memcpy(w, before, (size_t)count * sizeof *w);
            for (int k = 0; k < n; k++) {
                if (acts(&s, &term[k].dir)) {
                    draw(be, &s, term, k, first, count, z + (int64_t)k * CHUNK);
                }
            }
            for (int move = 0; move < 3; move++) {
                for (int k = 0; k < n; k++) {
                    float c = (float)(times[move] * term[k].coef);
                    for (int64_t i = 0; i < count && acts(&s, &term[k].dir); i++) {
                        w[i] = zo_storage_round(weights->storage, fmaf(c, z[(int64_t)k * CHUNK + i], w[i]));
                    }
                }
            }
            for (int64_t i = 0; i < count; i++) {
                most = fmaxf(most, fabsf(w[i] - before[i]));
            }
        }
        for (int k = 0; k < n; k++) {
            zo_free(s.u[k]);
            zo_free(s.v[k]);
        }
        zo_free(s.a);
    }
    zo_free(before);
    zo_free(w);
    zo_free(z);
    return (double)most;
}

static float product_reads(zo_precision precision, float x)
{
    return precision == ZO_BF16 ? zo_storage_round(ZO_STORAGE_BF16, x) : precision == ZO_F16 ? zo_storage_round(ZO_STORAGE_F16, x) : x;
}

double zo_probe_moved(zo_backend *be, const zo_store *weights, uint64_t seed, double eps, zo_storage type, zo_precision precision)
{
    float w[SAMPLE], z[SAMPLE];
    int64_t moved = 0, all = 0;
    for (int t = 0; t < weights->layout->n; t++) {
        const zo_param *p = &weights->layout->param[t];
        int64_t n = p->rows * p->cols < SAMPLE ? p->rows * p->cols : SAMPLE;
        if (p->frozen || p->bits > 0 || (p->kind != ZO_PARAM_MATRIX && p->kind != ZO_PARAM_SCALES)) { /* beside codes all is f32 */
            continue;
        }
        zo_store_read(be, weights, p->offset, n, w);
        zo_normals((zo_stream){.seed = seed, .tensor = p->id, .role = ZO_ROLE_Z}, 0, (long)n, z);
        for (int64_t i = 0; i < n; i++) {
            if (w[i] != 0.0f) {
                float at = product_reads(precision, zo_storage_round(type, fmaf((float)eps, z[i], w[i])));
                moved += at != product_reads(precision, zo_storage_round(type, w[i]));
                all++;
            }
        }
    }
    return all > 0 ? (double)moved / (double)all : NAN;
}
