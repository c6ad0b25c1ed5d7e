/* form.c: forming parameters at points: w + sum_d c_d z_d, each direction drawn once for all points, straight into a tile that
 * stays in the cache. The stored weights are only read. */
#include <string.h>

#include "backends/cpu/cpu.h"
#include "core/rng.h"

enum { CHUNK = 1024 }; /* floats of z drawn at a time: 4 KB, in the L1 cache beside the tiles' pieces */

size_t zo_cpu_form_bytes(int npoints, int ndirs)
{
    size_t bytes = (size_t)ndirs * sizeof(zo_dir *) + (size_t)npoints * sizeof(void *) +
                   (size_t)npoints * (size_t)ndirs * sizeof(float);
    return zo_round_up(bytes, 64);
}

zo_cpu_form zo_cpu_form_of(const zo_view *view, int param, void *block)
{
    bool apart = view->rest != NULL && view->rest_of[param] >= 0;
    const zo_store *store = apart ? view->rest : view->base[0];
    int at = apart ? view->rest_of[param] : param;
    zo_cpu_form f = {.layout = store->layout,
                     .factors = apart ? NULL : view->factors,
                     .param = at,
                     .npoints = view->npoints,
                     .storage = store->storage};
    f.dir = block;
    f.base = (const void **)(f.dir + view->ndirs);
    f.coef = (float *)(f.base + view->npoints);
    for (int p = 0; p < view->npoints; p++) {
        ZO_CHECK(view->base[p]->storage == view->base[0]->storage, "a view over stores of two types");
        f.base[p] = f.layout->param[at].bits > 0 ? NULL : zo_store_at(apart ? store : view->base[p], f.layout->param[at].offset);
    }
    zo_acting acting = zo_view_acting(view, param, f.dir);
    f.ndirs = acting.dirs;
    f.rank = acting.lowrank ? view->factors->rank[param] : 0;
    f.normals = acting.lowrank ? 0 : acting.normals;
    for (int p = 0; p < view->npoints; p++) {
        for (int d = 0; d < f.ndirs; d++) {
            f.coef[p * f.ndirs + d] = view->coef[p * view->ndirs + (f.dir[d] - view->dir)];
        }
    }
    return f;
}

size_t zo_cpu_form_scratch(const zo_cpu_form *f)
{
    size_t floats = CHUNK * (1 + (size_t)f->npoints);
    if (f->rank > 0) {
        size_t panel = ZO_CPU_PANEL * ZO_CPU_PANEL;
        floats = panel * (1 + (size_t)f->npoints) + (size_t)f->rank * (2 * ZO_CPU_PANEL + (size_t)f->ndirs);
    }
    return zo_round_up(floats * sizeof(float), 64);
}

#define LOAD(convert)                         \
    _Pragma("omp simd")                       \
    for (int64_t i = 0; i < n; i++) {         \
        x[i] = convert(half[i]);              \
    }
#define SAVE(convert)                         \
    _Pragma("omp simd")                       \
    for (int64_t i = 0; i < n; i++) {         \
        half[i] = convert(x[i]);              \
    }

void zo_cpu_load(zo_storage storage, const void *from, int64_t n, float *x)
{
    const uint16_t *half = from;
    if (storage == ZO_STORAGE_BF16) {
        LOAD(zo_bf16_to)
    } else if (storage == ZO_STORAGE_F16) {
        LOAD(zo_f16_to)
    } else if (from != x) {
        memcpy(x, from, (size_t)n * sizeof *x);
    }
}

void zo_cpu_save(zo_storage storage, const float *x, int64_t n, void *to)
{
    uint16_t *half = to;
    if (storage == ZO_STORAGE_BF16) {
        SAVE(zo_bf16_from)
    } else if (storage == ZO_STORAGE_F16) {
        SAVE(zo_f16_from)
    } else if (to != x) {
        memcpy(to, x, (size_t)n * sizeof *x);
    }
}

/* What a sweep over stored numbers does after each of its steps. */
static void round_each(const zo_cpu_form *f, float *x, int64_t n)
{
    if (f->each && f->storage == ZO_STORAGE_BF16) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            x[i] = zo_bf16_to(zo_bf16_from(x[i]));
        }
    } else if (f->each && f->storage == ZO_STORAGE_F16) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            x[i] = zo_f16_to(zo_f16_from(x[i]));
        }
    }
}

static void add_term(float c, const float *z, const float *from, int64_t n, float *to)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        to[i] = fmaf(c, z[i], from[i]);
    }
}

/* n elements of point p's base from `at` on, times decay, in f32: the stored ones where they are that already, else in `room`. */
static const float *base_of(const zo_cpu_form *f, int p, int64_t at, int64_t n, float decay, float *room)
{
    if (f->storage == ZO_STORAGE_F32 && decay == 1.0f) {
        return (const float *)f->base[p] + at;
    }
    zo_cpu_load(f->storage, (const char *)f->base[p] + at * zo_storage_bytes(f->storage), n, room);
    if (decay != 1.0f) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            room[i] *= decay;
        }
        round_each(f, room, n);
    }
    return room;
}

/* z (n) = elements [at, at + n) of a DENSE or REST direction on the parameter, scaled as it says. */
static void draw(const zo_param *p, const zo_dir *dir, int64_t at, int64_t n, float *z)
{
    zo_stream stream = {.seed = dir->seed, .tensor = p->id, .step = dir->step, .query = dir->query, .role = ZO_ROLE_Z};
    zo_numbers(dir->draw, stream, (uint64_t)at, n, z);
    if (dir->scale != 0) {
        const float *s = dir->by->data + p->offset + at;
        zo_scaling scaling = dir->scaling;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            z[i] = zo_scaled(scaling, z[i], s[i]);
        }
    }
}

/* Those that are stored, from element `at` on. */
static const float *values_of(const zo_cpu_form *f, const zo_dir *dir, int64_t at)
{
    return zo_dir_values(dir, f->factors, f->layout, f->param) + at;
}

/* The last term and the rounding in one pass. */
static void add_term_bf16(float c, const float *z, const float *from, int64_t n, uint16_t *to)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        to[i] = zo_bf16_from(fmaf(c, z[i], from[i]));
    }
}

/* Ask for the lines of these bytes, which are read after the next draw: memory and the generator then work at the same time. */
static void prefetch(const char *x, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i += 64) {
        __builtin_prefetch(x + i);
    }
}

/* No direction of low rank: elements in their order, CHUNK at a time. Equal draws, as of a probe that is taken back and an update along it, are one. */
static void form_flat(const zo_cpu_form *f, int64_t first, int64_t n, float decay, zo_storage type, void *const *to, float *scratch)
{
    const zo_param *param = &f->layout->param[f->param];
    float *z = scratch, *sums = scratch + CHUNK;
    int64_t size = zo_storage_bytes(f->storage), out = zo_storage_bytes(type);
    bool fused = type == ZO_STORAGE_BF16 && !f->each && f->ndirs > 0; /* the last term and the rounding in one pass */
    for (int64_t at = 0; at < n; at += CHUNK) {
        int64_t m = n - at < CHUNK ? n - at : CHUNK;
        const zo_dir *drawn = NULL;
        for (int d = 0; d < f->ndirs; d++) {
            const float *along = z;
            for (int p = 0; d == 0 && p < f->npoints; p++) {
                if (p == 0 || f->base[p] != f->base[p - 1]) {
                    prefetch((const char *)f->base[p] + (first + at) * size, m * size);
                }
            }
            if (zo_dir_is_stored(f->dir[d]->kind, 0)) {
                along = values_of(f, f->dir[d], first + at);
            } else if (drawn == NULL || !zo_dir_same_draw(f->dir[d], drawn)) {
                drawn = f->dir[d];
                draw(param, drawn, first + at, m, z);
            }
            for (int p = 0; p < f->npoints; p++) {
                float c = f->coef[p * f->ndirs + d], *sum = type == ZO_STORAGE_F32 ? (float *)to[p] + at : sums + p * CHUNK;
                const float *from = d == 0 ? base_of(f, p, first + at, m, decay, sum) : sum;
                if (fused && d == f->ndirs - 1) {
                    add_term_bf16(c, along, from, m, (uint16_t *)to[p] + at);
                } else {
                    add_term(c, along, from, m, sum);
                    round_each(f, sum, m);
                }
            }
        }
        for (int p = 0; p < f->npoints && !fused; p++) {
            float *sum = type == ZO_STORAGE_F32 ? (float *)to[p] + at : sums + p * CHUNK;
            const float *from = f->ndirs == 0 ? base_of(f, p, first + at, m, decay, sum) : sum;
            zo_cpu_save(type, from, m, (char *)to[p] + at * out);
        }
    }
}

/* Four rows at a time, so that a line of vt serves four sums, which stay in registers. */
void zo_cpu_lowrank(const float *u, const float *a, const float *vt, int64_t n, int rank, float *room, float *z)
{
    enum { WIDE = ZO_CPU_PANEL };
    for (int64_t i = 0; i < n; i++) {
        for (int s = 0; s < rank; s++) {
            room[i * rank + s] = a[s] * u[i * rank + s];
        }
    }
    int64_t i = 0;
    for (; i + 4 <= n; i += 4, z += 4 * WIDE) {
        float sum0[WIDE] = {0}, sum1[WIDE] = {0}, sum2[WIDE] = {0}, sum3[WIDE] = {0};
        const float *w = room + i * rank, *v = vt;
        for (int s = 0; s < rank; s++, w++, v += WIDE) {
            float w0 = w[0], w1 = w[rank], w2 = w[2 * rank], w3 = w[3 * rank];
            for (int j = 0; j < WIDE; j++) {
                sum0[j] = fmaf(w0, v[j], sum0[j]);
                sum1[j] = fmaf(w1, v[j], sum1[j]);
                sum2[j] = fmaf(w2, v[j], sum2[j]);
                sum3[j] = fmaf(w3, v[j], sum3[j]);
            }
        }
        memcpy(z, sum0, sizeof sum0);
        memcpy(z + WIDE, sum1, sizeof sum1);
        memcpy(z + 2 * WIDE, sum2, sizeof sum2);
        memcpy(z + 3 * WIDE, sum3, sizeof sum3);
    }
    for (; i < n; i++, z += WIDE) {
        float sum[WIDE] = {0};
        for (int s = 0; s < rank; s++) {
            for (int j = 0; j < WIDE; j++) {
                sum[j] = fmaf(room[i * rank + s], vt[s * WIDE + j], sum[j]);
            }
        }
        memcpy(z, sum, sizeof sum);
    }
}

/* vt (rank, ZO_CPU_PANEL) = the transpose of v (width, rank), and zeros */
static void transpose(const float *v, int64_t width, int rank, float *vt)
{
    for (int s = 0; s < rank; s++) {
        for (int64_t j = 0; j < ZO_CPU_PANEL; j++) {
            vt[s * ZO_CPU_PANEL + j] = j < width ? v[j * rank + s] : 0.0f;
        }
    }
}

/* Some directions are of low rank: panels of ZO_CPU_PANEL columns by at most as many rows. */
static void form_panels(const zo_cpu_form *f, int64_t row, int64_t n, float decay, zo_storage type, void *const *to, float *scratch)
{
    const zo_param *param = &f->layout->param[f->param];
    int64_t cols = param->cols;
    int rank = f->rank;
    float *z = scratch, *sums = z + ZO_CPU_PANEL * ZO_CPU_PANEL;
    float *vt = sums + (int64_t)f->npoints * ZO_CPU_PANEL * ZO_CPU_PANEL, *room = vt + (int64_t)rank * ZO_CPU_PANEL;
    float *a = room + (int64_t)rank * ZO_CPU_PANEL;
    for (int d = 0; d < f->ndirs; d++) {
        if (zo_dir_is_lowrank(f->dir[d]->kind)) {
            zo_dir_coefs(f->dir[d], f->factors, f->param, a + d * rank);
            for (int s = 0; s < rank; s++) {
                a[d * rank + s] *= f->factors->scale[f->param];
            }
        }
    }
    for (int64_t c0 = 0; c0 < cols; c0 += ZO_CPU_PANEL) {
        int64_t width = cols - c0 < ZO_CPU_PANEL ? cols - c0 : ZO_CPU_PANEL;
        const float *transposed = NULL; /* whose columns stand in vt */
        for (int64_t r0 = 0; r0 < n; r0 += ZO_CPU_PANEL) {
            int64_t m = n - r0 < ZO_CPU_PANEL ? n - r0 : ZO_CPU_PANEL;
            for (int p = 0; p < f->npoints; p++) {
                for (int64_t i = 0; i < m; i++) {
                    float *sum = sums + (p * ZO_CPU_PANEL + i) * ZO_CPU_PANEL;
                    const float *from = base_of(f, p, (row + r0 + i) * cols + c0, width, decay, sum);
                    zo_cpu_load(ZO_STORAGE_F32, from, width, sum);
                }
            }
            for (int d = 0; d < f->ndirs; d++) {
                if (zo_dir_is_lowrank(f->dir[d]->kind)) {
                    const float *u = zo_dir_u(f->dir[d], f->factors, f->param), *v = zo_dir_v(f->dir[d], f->factors, f->param);
                    if (v != transposed) {
                        transpose(v + c0 * rank, width, rank, vt);
                        transposed = v;
                    }
                    zo_cpu_lowrank(u + (row + r0) * rank, a + d * rank, vt, m, rank, room, z);
                } else {
                    for (int64_t i = 0; i < m; i++) {
                        int64_t at = (row + r0 + i) * cols + c0;
                        if (f->dir[d]->kind == ZO_DIR_SET) {
                            memcpy(z + i * ZO_CPU_PANEL, values_of(f, f->dir[d], at), (size_t)width * sizeof *z);
                        } else {
                            draw(param, f->dir[d], at, width, z + i * ZO_CPU_PANEL);
                        }
                    }
                }
                for (int p = 0; p < f->npoints; p++) {
                    for (int64_t i = 0; i < m; i++) {
                        float *sum = sums + (p * ZO_CPU_PANEL + i) * ZO_CPU_PANEL;
                        add_term(f->coef[p * f->ndirs + d], z + i * ZO_CPU_PANEL, sum, width, sum);
                        round_each(f, sum, width);
                    }
                }
            }
            for (int p = 0; p < f->npoints; p++) {
                for (int64_t i = 0; i < m; i++) {
                    const float *sum = sums + (p * ZO_CPU_PANEL + i) * ZO_CPU_PANEL;
                    zo_cpu_save(type, sum, width, (char *)to[p] + ((r0 + i) * cols + c0) * zo_storage_bytes(type));
                }
            }
        }
    }
}

uint64_t zo_cpu_sum_terms(const zo_param *p, const zo_term *term, int n, int64_t first, int64_t count, float *z, float *sum)
{
    uint64_t normals = 0;
    memset(sum, 0, (size_t)count * sizeof *sum);
    for (int k = 0; k < n; k++) {
        const zo_dir *dir = &term[k].dir;
        if (!zo_dir_acts(dir->kind, zo_dir_skip(dir), p->block, 0)) {
            continue;
        }
        const float *along = z;
        if (dir->kind == ZO_DIR_SET) {
            along = dir->values->data + p->offset + first;
        } else {
            draw(p, dir, first, count, z);
            normals += dir->draw == ZO_DRAW_GAUSS ? (uint64_t)count : 0;
        }
        add_term((float)term[k].coef, along, sum, count, sum);
    }
    return normals;
}

void zo_cpu_form_rows(const zo_cpu_form *f, int64_t row, int64_t n, float decay, zo_storage type, void *const *to, void *scratch)
{
    int64_t cols = f->layout->param[f->param].cols;
    if (f->rank > 0) {
        form_panels(f, row, n, decay, type, to, scratch);
    } else {
        form_flat(f, row * cols, n * cols, decay, type, to, scratch);
    }
}

const float *zo_cpu_form_vector(zo_backend *be, const zo_view *view, int param, zo_cpu_shared purpose)
{
    if (param < 0) {
        return NULL;
    }
    double start = zo_now();
    zo_cpu_form f = zo_cpu_form_of(view, param, zo_cpu_shared_of(be, ZO_CPU_DIRS, zo_cpu_form_bytes(view->npoints, view->ndirs)));
    int64_t n = f.layout->param[f.param].rows * f.layout->param[f.param].cols;
    size_t values = zo_round_up((size_t)(n * view->npoints) * sizeof(float), 64);
    size_t pointers = zo_round_up((size_t)view->npoints * sizeof(void *), 64);
    char *block = zo_cpu_shared_of(be, purpose, values + pointers + zo_cpu_form_scratch(&f));
    void **to = (void **)(block + values);
    for (int p = 0; p < view->npoints; p++) {
        to[p] = (float *)block + p * n;
    }
    zo_cpu_form_rows(&f, 0, f.layout->param[f.param].rows, 1.0f, ZO_STORAGE_F32, to, block + values + pointers);
    zo_part_add(ZO_PART_FORM, zo_now() - start);
    zo_counters_add((zo_counters){.normals = (uint64_t)(f.normals * n)});
    return (const float *)block;
}
