/* update.c: sweeps over stores: applying directions, elementwise rules, draws of factors and initial weights, and
 * reductions in fixed blocks. */
#include <string.h>

#include "backends/cpu/cpu.h"
#include "core/rng.h"

enum { SWEEP = 16384, ROOM = 4096, DRAWN = 1024 }; /* floats of a block of a sweep, about; where numbers of 16 bits go through scratch; where some are drawn there */

static int64_t sweep_rows(const zo_param *p)
{
    int64_t n = SWEEP / p->cols / ZO_CPU_PANEL * ZO_CPU_PANEL;
    return n > 0 ? n : (SWEEP / p->cols > 0 ? SWEEP / p->cols : 1);
}

/* The touched rows of a parameter, or NULL for all. */
static const int32_t *touched_rows(const zo_touched *touched, const zo_param *p, int param, int32_t *n)
{
    if (touched != NULL && p->kind == ZO_PARAM_TABLE) {
        for (int i = 0; i < touched->nparams; i++) {
            if (touched->param[i] == param) {
                *n = touched->n[i];
                return touched->row[i];
            }
        }
    }
    return NULL;
}

void zo_cpu_apply(zo_backend *be, zo_store *store, const zo_factors *factors, double decay, const zo_term *term, int n,
                  const zo_touched *touched)
{
    const zo_layout *layout = store->layout;
    const zo_store *base = store;
    zo_dir *dir = zo_cpu_shared_of(be, ZO_CPU_DIRS, zo_cpu_terms_bytes(n));
    float *coef = (float *)((char *)dir + zo_round_up((size_t)n * sizeof(zo_dir), 64));
    for (int k = 0; k < n; k++) {
        dir[k] = term[k].dir;
        coef[k] = (float)term[k].coef;
    }
    zo_view view = {.npoints = 1, .base = &base, .ndirs = n, .dir = dir, .coef = coef, .factors = factors};
    uint64_t written = 0, drawn = 0;
    double start = zo_now();
#pragma omp parallel num_threads(be->threads) reduction(+ : written, drawn)
    {
        for (int t = 0; t < layout->n; t++) {
            const zo_param *p = &layout->param[t];
            size_t head = zo_cpu_form_bytes(1, n);
            char *scratch = zo_cpu_scratch(be, head);
            zo_cpu_form form = zo_cpu_form_of(&view, t, scratch);
            float shrink = zo_layout_decays(layout, t) && !p->frozen ? (float)decay : 1.0f;
            if (form.ndirs == 0 && shrink == 1.0f) {
                continue;
            }
            size_t more = zo_cpu_form_scratch(&form);
            scratch = zo_cpu_scratch(be, head + more);
            form = zo_cpu_form_of(&view, t, scratch); /* the block may have moved */
            form.each = true;
            int32_t nrows = 0;
            const int32_t *rows = touched_rows(touched, p, t, &nrows);
            int64_t step = rows != NULL ? 1 : sweep_rows(p), end = rows != NULL ? nrows : p->rows;
#pragma omp for schedule(dynamic) nowait
            for (int64_t i = 0; i < end; i += step) {
                int64_t row = rows != NULL ? rows[i] : i, m = end - i < step ? end - i : step;
                void *to[1] = {zo_store_at(store, p->offset + row * p->cols)};
                zo_cpu_form_rows(&form, row, m, shrink, store->storage, to, scratch + head);
                written += (uint64_t)(m * p->cols * zo_storage_bytes(store->storage));
                drawn += (uint64_t)(form.normals * m * p->cols);
            }
        }
    }
    zo_part_add(ZO_PART_UPDATE, zo_now() - start);
    zo_counters_add((zo_counters){.normals = drawn, .weight_bytes_written = written});
}

/* One loop for each rule, over arrays that do not overlap, so that it is vectorised. A rule that has no use for g, m or v gets other
 * memory of the length, which it does not touch. */
#define X(id, function, name)                                                                                                     \
    static void function##_over(zo_rule_args args, float decays, int64_t n, float *restrict w, const float *restrict g,           \
                                float *restrict m, float *restrict v)                                                             \
    {                                                                                                                             \
        _Pragma("omp simd") for (int64_t j = 0; j < n; j++)                                                                       \
        {                                                                                                                         \
            function(&args, decays, &w[j], &g[j], &m[j], &v[j]);                                                                  \
        }                                                                                                                         \
    }
ZO_RULE_LIST(X)
#undef X

static void (*const over[])(zo_rule_args, float, int64_t, float *, const float *, float *, float *) = {
#define X(id, function, name) [id] = function##_over,
    ZO_RULE_LIST(X)
#undef X
};

/* m and v (count) of a rule that replays at elements [first, first + count): made of each term in turn. x, z (count): scratch. */
static uint64_t make_moments(const zo_rule_args *args, const zo_param *p, const zo_term *term, int terms, int64_t first, int64_t count, float *x, float *z,
                             float *m, float *v)
{
    uint64_t normals = 0;
    memset(m, 0, (size_t)count * sizeof *m);
    memset(v, 0, (size_t)count * sizeof *v);
    for (int k = 0; k < terms; k++) {
        normals += zo_cpu_sum_terms(p, &term[k], 1, first, count, z, x);
        over[ZO_RULE_MOMENTS](*args, 0.0f, count, z, x, m, v);
    }
    return normals;
}

/* g is a store, or the sum of `terms` terms. */
static void rule_over(zo_backend *be, zo_rule_kind rule, const zo_rule_args *args, zo_store *w, const zo_store *g, const zo_term *term, int terms,
                      zo_store *m, zo_store *v)
{
    const zo_layout *layout = w->layout;
    bool halves = w->storage != ZO_STORAGE_F32;
    int64_t step = terms > 0 ? DRAWN : halves ? ROOM : SWEEP;
    uint64_t normals = 0;
    double start = zo_now();
#pragma omp parallel num_threads(be->threads) reduction(+ : normals)
    {
        bool windowed = terms > 0 && zo_rule_replays(rule), paired = terms > 0 && zo_rule_pairs(rule);
        size_t rooms = windowed ? 5 : paired ? 4 : terms > 0 ? 3 : 1; /* of weights; of the sum; of what is drawn; of moments, or of the second sum */
        float *scratch = step < SWEEP ? zo_cpu_scratch(be, rooms * (size_t)step * sizeof *scratch) : NULL;
        for (int t = 0; t < layout->n; t++) {
            const zo_param *p = &layout->param[t];
            int64_t size = p->rows * p->cols;
            float decays = zo_layout_decays(layout, t) ? 1.0f : 0.0f;
            if (p->frozen) {
                continue;
            }
#pragma omp for schedule(dynamic) nowait
            for (int64_t i = 0; i < size; i += step) {
                int64_t n = size - i < step ? size - i : step, at = p->offset + i;
                float *x = halves ? scratch : w->data + at;
                const float *slope = g != NULL ? g->data + at : x;
                float *first = m != NULL ? m->data + at : x, *second = v != NULL ? v->data + at : x;
                if (windowed) {
                    first = scratch + 3 * step;
                    second = scratch + 4 * step;
                    normals += make_moments(args, p, term, terms, i, n, scratch + step, scratch + 2 * step, first, second);
                } else if (terms > 0) {
                    normals += zo_cpu_sum_terms(p, term, paired ? 1 : terms, i, n, scratch + 2 * step, scratch + step);
                    slope = scratch + step;
                }
                if (paired) {
                    second = scratch + 3 * step;
                    normals += zo_cpu_sum_terms(p, &term[1], 1, i, n, scratch + 2 * step, second);
                }
                zo_cpu_load(w->storage, zo_store_at(w, at), n, x);
                over[rule](*args, decays, n, x, slope, first, second);
                zo_cpu_save(w->storage, x, n, zo_store_at(w, at));
            }
        }
    }
    zo_part_add(ZO_PART_UPDATE, zo_now() - start);
    zo_counters_add((zo_counters){.normals = normals, .weight_bytes_written = (uint64_t)(layout->trained_size * zo_storage_bytes(w->storage))});
}

void zo_cpu_rule(zo_backend *be, zo_rule_kind rule, const zo_rule_args *args, zo_store *w, const zo_store *g, zo_store *m, zo_store *v)
{
    rule_over(be, rule, args, w, g, NULL, 0, m, v);
}

void zo_cpu_rule_drawn(zo_backend *be, zo_rule_kind rule, const zo_rule_args *args, zo_store *w, const zo_term *term, int n, zo_store *m, zo_store *v)
{
    rule_over(be, rule, args, w, NULL, term, n, m, v);
}

size_t zo_cpu_rule_lowrank_scratch(int rank)
{
    return ((size_t)rank * (2 + 4 * ZO_CPU_PANEL) + 2 * ZO_CPU_PANEL * ZO_CPU_PANEL) * sizeof(float);
}

/* m and v exist one panel at a time. */
void zo_cpu_rule_lowrank(zo_backend *be, zo_rule_kind rule, const zo_rule_args *args, zo_store *w, const zo_factors *factors, const float *m,
                         const float *v)
{
    const zo_layout *layout = w->layout;
    enum { PANEL = ZO_CPU_PANEL };
    int most = 0;
    for (int t = 0; t < layout->n; t++) {
        most = factors->rank[t] > most ? factors->rank[t] : most;
    }
    uint64_t written = 0;
    double start = zo_now();
#pragma omp parallel num_threads(be->threads) reduction(+ : written)
    {
        float *a = zo_cpu_scratch(be, zo_cpu_rule_lowrank_scratch(most));
        float *b = a + most, *vt = b + most, *vt2 = vt + most * PANEL, *u2 = vt2 + most * PANEL;
        float *room = u2 + most * PANEL, *first = room + most * PANEL, *second = first + PANEL * PANEL;
        for (int t = 0; t < layout->n; t++) {
            int rank = factors->rank[t];
            if (rank == 0 || factors->scale[t] == 0.0f) { /* not factored, or frozen */
                continue;
            }
            const zo_param *p = &layout->param[t];
            const float *u = factors->u[t], *vf = factors->v[t];
            float scale = factors->scale[t], decays = zo_layout_decays(layout, t) ? 1.0f : 0.0f;
            for (int s = 0; s < rank; s++) {
                a[s] = scale * m[factors->coef_at[t] + s];
                b[s] = scale * scale * v[factors->coef_at[t] + s];
            }
#pragma omp for schedule(dynamic) nowait
            for (int64_t c0 = 0; c0 < p->cols; c0 += PANEL) {
                int64_t width = p->cols - c0 < PANEL ? p->cols - c0 : PANEL;
                for (int s = 0; s < rank; s++) {
                    for (int64_t j = 0; j < PANEL; j++) {
                        float x = j < width ? vf[(c0 + j) * rank + s] : 0.0f;
                        vt[s * PANEL + j] = x;
                        vt2[s * PANEL + j] = x * x;
                    }
                }
                for (int64_t r0 = 0; r0 < p->rows; r0 += PANEL) {
                    int64_t n = p->rows - r0 < PANEL ? p->rows - r0 : PANEL;
                    for (int64_t i = 0; i < n * rank; i++) {
                        u2[i] = u[r0 * rank + i] * u[r0 * rank + i];
                    }
                    zo_cpu_lowrank(u + r0 * rank, a, vt, n, rank, room, first);
                    zo_cpu_lowrank(u2, b, vt2, n, rank, room, second);
                    for (int64_t i = 0; i < n; i++) {
                        float row[PANEL];
                        void *stored = zo_store_at(w, p->offset + (r0 + i) * p->cols + c0);
                        zo_cpu_load(w->storage, stored, width, row);
                        over[rule](*args, decays, width, row, row, first + i * PANEL, second + i * PANEL);
                        zo_cpu_save(w->storage, row, width, stored);
                    }
                }
                written += (uint64_t)(p->rows * width * zo_storage_bytes(w->storage));
            }
        }
    }
    zo_part_add(ZO_PART_UPDATE, zo_now() - start);
    zo_counters_add((zo_counters){.weight_bytes_written = written});
}

/* `n` normals of a stream into memory, by fixed pieces in parallel, times std. */
static void fill_normal(zo_backend *be, zo_stream stream, int64_t n, float std, zo_storage storage, void *to)
{
#pragma omp parallel num_threads(be->threads) if (n > SWEEP)
    {
        float *room = storage != ZO_STORAGE_F32 ? zo_cpu_scratch(be, ROOM * sizeof *room) : NULL;
        int64_t step = room != NULL ? ROOM : SWEEP;
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < n; i += step) {
            int64_t m = n - i < step ? n - i : step;
            char *at = (char *)to + i * zo_storage_bytes(storage);
            float *x = room != NULL ? room : (float *)at;
            zo_normals(stream, (uint64_t)i, m, x);
            for (int64_t j = 0; j < m && std != 1.0f; j++) {
                x[j] *= std;
            }
            zo_cpu_save(storage, x, m, at);
        }
    }
    zo_counters_add((zo_counters){.normals = (uint64_t)n});
}

void zo_cpu_draw_factors(zo_backend *be, zo_factors *f)
{
    for (int t = 0; t < f->layout->n; t++) {
        const zo_param *p = &f->layout->param[t];
        if (f->rank[t] == 0) {
            continue;
        }
        int64_t nu = p->rows * f->rank[t], nv = p->cols * f->rank[t];
        f->u[t] = be->alloc(be, ZO_TAG_OPT_STATE, (size_t)nu * sizeof(float));
        f->v[t] = be->alloc(be, ZO_TAG_OPT_STATE, (size_t)nv * sizeof(float));
        zo_stream stream = {.seed = f->seed, .tensor = p->id, .role = ZO_ROLE_U};
        fill_normal(be, stream, nu, 1.0f, ZO_STORAGE_F32, f->u[t]);
        stream.role = ZO_ROLE_V;
        fill_normal(be, stream, nv, 1.0f, ZO_STORAGE_F32, f->v[t]);
    }
}

void zo_cpu_init_normal(zo_backend *be, zo_store *store, int param, uint64_t seed, float std)
{
    const zo_param *p = &store->layout->param[param];
    zo_stream stream = {.seed = seed, .tensor = p->id, .role = ZO_ROLE_INIT};
    fill_normal(be, stream, p->rows * p->cols, std, store->storage, zo_store_at(store, p->offset));
}

void zo_cpu_multiply(zo_backend *be, const zo_store *a, bool across, const zo_store *b, zo_store *c)
{
    double start = zo_now();
#pragma omp parallel num_threads(be->threads)
    for (int t = 0; t < c->layout->n; t++) {
        const zo_param *pa = &a->layout->param[t], *pc = &c->layout->param[t];
        int64_t inner = across ? pa->rows : pa->cols, row = across ? 1 : inner, step = across ? pa->cols : 1;
        const float *left = a->data + pa->offset, *right = b->data + b->layout->param[t].offset;
#pragma omp for schedule(static) nowait
        for (int64_t i = 0; i < pc->rows; i++) {
            for (int64_t j = 0; j < pc->cols; j++) {
                double sum = zo_dot_strided(left + i * row, step, right + j, pc->cols, inner);
                c->data[pc->offset + i * pc->cols + j] = (float)(across ? sum / (double)inner : sum);
            }
        }
    }
    zo_part_add(ZO_PART_UPDATE, zo_now() - start);
}

double zo_cpu_dot(zo_backend *be, const zo_store *a, const zo_store *b)
{
    int64_t size = a->size, blocks = (size + SWEEP - 1) / SWEEP;
    double start = zo_now(), *part = zo_cpu_shared_of(be, ZO_CPU_PARTIAL, (size_t)blocks * sizeof *part);
#pragma omp parallel for num_threads(be->threads) schedule(static)
    for (int64_t i = 0; i < blocks; i++) {
        int64_t end = size < (i + 1) * SWEEP ? size : (i + 1) * SWEEP; /* both multiples of 16: the arena is padded with zeros */
        double sum[16] = {0};
        for (int64_t j = i * SWEEP; j < end; j += 16) {
            for (int l = 0; l < 16; l++) {
                sum[l] += (double)a->data[j + l] * b->data[j + l];
            }
        }
        part[i] = 0.0;
        for (int l = 0; l < 16; l++) {
            part[i] += sum[l];
        }
    }
    double sum = 0.0;
    for (int64_t i = 0; i < blocks; i++) {
        sum += part[i];
    }
    zo_part_add(ZO_PART_UPDATE, zo_now() - start);
    return sum;
}

bool zo_cpu_finite(zo_backend *be, const zo_store *a)
{
    int64_t size = a->size;
    int bad = 0;
#pragma omp parallel for num_threads(be->threads) schedule(static) reduction(| : bad)
    for (int64_t i = 0; i < size; i += SWEEP) {
        int64_t end = size - i < SWEEP ? size : i + SWEEP;
        uint32_t any = 0, mask = a->storage == ZO_STORAGE_BF16 ? 0x7F80u : 0x7C00u; /* of a 16-bit exponent */
        for (int64_t j = i; j < end && a->half != NULL; j++) {
            any |= (uint32_t)((a->half[j] & mask) == mask);
        }
        for (int64_t j = i; j < end && a->half == NULL; j++) {
            any |= (uint32_t)((zo_f32_bits(a->data[j]) & 0x7F800000u) == 0x7F800000u);
        }
        bad |= (int)any;
    }
    return bad == 0;
}
