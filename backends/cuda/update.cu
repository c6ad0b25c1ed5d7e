/* update.cu: sweeps over stores, all parameters in one launch: applying directions, first-order rules, TeZO-Adam, draws of factors
 * and initial weights, and reductions in fixed blocks. Every element has the bits of cpu/update.c: the same draws, the same fmaf order,
 * the same rounding to the weights' type.
 *
 * Work is cut into tiles that know their parameter by a binary search in the list of parts; what changes from step to step is read from
 * device memory. Parameters of a sweep with terms of low rank go through panels of PANEL x PANEL, whose factors are shared by the block;
 * all others are flat runs of 16-byte accesses. */
#include "backends/cuda/access.cuh"

enum {
    THREADS = 256,
    QUADS = 2048,  /* of a tile of a flat sweep: 8 a thread */
    PANEL = 64,    /* rows and columns of a tile of a factored parameter; a thread has 4 x 4 */
    CHUNK = 16,    /* components in shared memory at a time */
    STRIDE = PANEL + 4,
    DOT = 16384,   /* floats of a block of a dot product, and its lanes, as cpu/update.c */
    LANES = 16
};

/* A parameter of a sweep, or its touched rows. */
struct part {
    zo_cuda_param param;
    const int32_t *row; /* (nrows) device; NULL: all rows */
    int64_t nrows;
    int64_t first;      /* first tile */
    int64_t across;     /* tiles beside each other; of a flat sweep 1 */
    int decays;
};

static __device__ __forceinline__ const part *part_of(const part *parts, int n, int64_t tile)
{
    int low = 0;
    while (n > 1) {
        int half = n / 2;
        if (parts[low + half].first <= tile) {
            low += half;
            n -= half;
        } else {
            n = half;
        }
    }
    return parts + low;
}

/* Elements [first, end) of a tile of a flat sweep: a run of the parameter, or one touched row. */
static __device__ __forceinline__ void flat_range(const part &p, int64_t tile, int64_t *first, int64_t *end)
{
    int64_t at = tile - p.first, size = p.param.rows * p.param.cols;
    if (p.row != nullptr) {
        *first = p.row[at] * p.param.cols;
        *end = *first + p.param.cols;
    } else {
        *first = at * QUADS * 4;
        *end = *first + QUADS * 4 < size ? *first + QUADS * 4 : size;
    }
}

/* apply, flat ---------------------------------------------------------------------------------------------------------------------- */

/* arena: of S, to which decay and every term are rounded on their own. An update along a probe that is taken back in the same
 * sweep draws it once: equal draws stand beside each other. */
template <zo_storage S>
static __global__ void __launch_bounds__(THREADS) apply_flat(zo_cuda_view view, const part *parts, int nparts, int64_t tiles,
                                                             const float *shrink, void *arena)
{
    if (int64_t tile = blockIdx.x; tile < tiles) {
        const part &p = *part_of(parts, nparts, tile);
        float factor = p.decays ? *shrink : 1.0f;
        int64_t first, end;
        flat_range(p, tile, &first, &end);
        for (int64_t quad = first / 4 + threadIdx.x; quad * 4 < end; quad += THREADS) {
            float x[4], z[4], values[4];
            zo_load4<S>(arena, p.param.offset, 4 * quad, first, end, true, x);
#pragma unroll
            for (int l = 0; l < 4; l++) {
                x[l] = zo_storage_round(S, x[l] * factor);
            }
            int drawn = -1;
            for (int d = 0; d < view.ndirs; d++) {
                zo_cuda_dir dir = view.dir[d];
                if (p.param.frozen || !zo_dir_acts(dir.kind, dir.skip, p.param.block, p.param.rank)) {
                    continue;
                }
                bool set = zo_dir_is_stored(dir.kind, p.param.rank);
                if (set) {
                    zo_stored4<ZO_STORAGE_F32>(zo_values_of(p.param, dir), 4 * quad, values);
                } else if (drawn < 0 || !zo_same_draw(view.dir[drawn], dir)) {
                    zo_numbers4(p.param, dir, (uint32_t)quad, z);
                    drawn = d;
                }
                float c = view.coef[d];
#pragma unroll
                for (int l = 0; l < 4; l++) {
                    x[l] = zo_storage_round(S, fmaf(c, set ? values[l] : z[l], x[l]));
                }
            }
            zo_store4<S>(arena, p.param.offset, 4 * quad, first, end, true, x);
        }
    }
}

/* panels of factored parameters ---------------------------------------------------------------------------------------------------- */

/* Where a thread of a panel stands: rows row[i] (-1 = none), columns col .. col + 3 of which `cols` exist. */
struct place {
    int64_t top, left; /* the panel's first row (of the part's rows) and column */
    int64_t row[4], col;
    int tx, ty;
};

static __device__ __forceinline__ int64_t panel_row(const part &p, int64_t i)
{
    return i < p.nrows ? (p.row != nullptr ? p.row[i] : i) : -1;
}

static __device__ __forceinline__ place place_of(const part &p, int64_t tile)
{
    place at;
    int64_t panel = tile - p.first;
    at.top = panel / p.across * PANEL;
    at.left = panel % p.across * PANEL;
    at.tx = (int)(threadIdx.x % (PANEL / 4));
    at.ty = (int)(threadIdx.x / (PANEL / 4));
    at.col = at.left + 4 * at.tx;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        at.row[i] = panel_row(p, at.top + at.ty + 16 * i);
    }
    return at;
}

struct panel_shared { float u[CHUNK][STRIDE], v[CHUNK][STRIDE]; };

/* z[i][l] = sum over s of (scale amount[s] u[row_i, s]) v[col + l, s], in the order of s; u and v squared first where `square`. us (rows, rank),
 * vs (cols, rank). Every thread of the block must call it. */
static __device__ void panel_lowrank(const part &p, const place &at, const float *us, const float *vs, float scale, const float *amount, bool square,
                                     panel_shared *shared, float z[4][4])
{
    int rank = p.param.rank;
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int l = 0; l < 4; l++) {
            z[i][l] = 0.0f;
        }
    }
    for (int s0 = 0; s0 < rank; s0 += CHUNK) {
        int n = rank - s0 < CHUNK ? rank - s0 : CHUNK;
        __syncthreads(); /* the last use of `shared` is over */
        for (int e = (int)threadIdx.x; e < CHUNK * PANEL; e += THREADS) {
            int s = e % CHUNK, i = e / CHUNK;
            int64_t row = panel_row(p, at.top + i), col = at.left + i;
            float u = s < n && row >= 0 ? us[row * rank + s0 + s] : 0.0f;
            float v = s < n && col < p.param.cols ? vs[col * rank + s0 + s] : 0.0f;
            float a = s < n ? scale * amount[p.param.coef_at + s0 + s] : 0.0f;
            shared->u[s][i] = a * (square ? u * u : u);
            shared->v[s][i] = square ? v * v : v;
        }
        __syncthreads();
        for (int s = 0; s < n; s++) {
            float4 v = *reinterpret_cast<const float4 *>(&shared->v[s][4 * at.tx]);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float u = shared->u[s][at.ty + 16 * i];
                z[i][0] = fmaf(u, v.x, z[i][0]);
                z[i][1] = fmaf(u, v.y, z[i][1]);
                z[i][2] = fmaf(u, v.z, z[i][2]);
                z[i][3] = fmaf(u, v.w, z[i][3]);
            }
        }
    }
}

/* The numbers of elements e .. e + 3, any e. */
static __device__ __forceinline__ void numbers_at(const zo_cuda_param &p, const zo_cuda_dir &dir, int64_t e, float z[4])
{
    int shift = (int)(e % 4);
    float two[8];
    zo_numbers4(p, dir, (uint32_t)(e / 4), two);
    if (shift != 0) {
        zo_numbers4(p, dir, (uint32_t)(e / 4 + 1), two + 4);
    }
#pragma unroll
    for (int l = 0; l < 4; l++) {
        z[l] = shift == 0 ? two[l] : shift == 1 ? two[l + 1] : shift == 2 ? two[l + 2] : two[l + 3];
    }
}

template <zo_storage S>
static __device__ __forceinline__ void panel_load(const part &p, const place &at, const void *arena, float x[4][4])
{
    int64_t cols = p.param.cols;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        zo_load4<S>(arena, p.param.offset + (at.row[i] >= 0 ? at.row[i] * cols : 0), at.col, 0, at.row[i] >= 0 ? cols : 0, cols % 4 == 0, x[i]);
    }
}

template <zo_storage S>
static __device__ __forceinline__ void panel_store(const part &p, const place &at, const float x[4][4], void *arena)
{
    int64_t cols = p.param.cols;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        if (at.row[i] >= 0) {
            zo_store4<S>(arena, p.param.offset + at.row[i] * cols, at.col, 0, cols, cols % 4 == 0, x[i]);
        }
    }
}

template <zo_storage S>
static __global__ void __launch_bounds__(THREADS) apply_panels(zo_cuda_view view, const part *parts, int nparts, int64_t tiles,
                                                               const float *shrink, void *arena)
{
    __shared__ __align__(16) panel_shared shared;
    if (int64_t tile = blockIdx.x; tile < tiles) {
        const part &p = *part_of(parts, nparts, tile);
        place at = place_of(p, tile);
        float factor = p.decays ? *shrink : 1.0f;
        float x[4][4], z[4][4];
        panel_load<S>(p, at, arena, x);
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
            for (int l = 0; l < 4; l++) {
                x[i][l] = zo_storage_round(S, x[i][l] * factor);
            }
        }
        for (int d = 0; d < view.ndirs; d++) {
            zo_cuda_dir dir = view.dir[d];
            if (p.param.frozen || !zo_dir_acts(dir.kind, dir.skip, p.param.block, p.param.rank)) {
                continue;
            }
            if (zo_dir_is_lowrank(dir.kind)) {
                panel_lowrank(p, at, zo_u_of(p.param, dir), zo_v_of(p.param, dir), 1.0f, view.amount + (int64_t)dir.amount_row * view.ncoef, false,
                              &shared, z);
            } else {
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    if (at.row[i] >= 0 && dir.kind == ZO_DIR_SET) {
                        int64_t cols = p.param.cols;
                        zo_load4(dir.values + p.param.offset + at.row[i] * cols, at.col, 0, cols, cols % 4 == 0, z[i]);
                    } else if (at.row[i] >= 0) {
                        numbers_at(p.param, dir, at.row[i] * p.param.cols + at.col, z[i]);
                    }
                }
            }
            float c = view.coef[d];
#pragma unroll
            for (int i = 0; i < 4; i++) {
#pragma unroll
                for (int l = 0; l < 4; l++) {
                    x[i][l] = at.row[i] >= 0 ? zo_storage_round(S, fmaf(c, z[i][l], x[i][l])) : 0.0f;
                }
            }
        }
        panel_store<S>(p, at, x, arena);
    }
}

/* parts on the host ------------------------------------------------------------------------------------------------------------------ */

/* A list of parts on its way to the device, in host scratch with room for all parameters. */
struct part_list {
    part *list;
    int n;
    int64_t tiles;
};

static part_list parts_in(void *room)
{
    part_list l = {};
    l.list = static_cast<part *>(room);
    return l;
}

static part_list parts_new(zo_backend *be, const zo_layout *layout)
{
    return parts_in(zo_cuda_host_of(be, (size_t)layout->n * sizeof(part)));
}

static const part *parts_stage(zo_backend *be, const part_list *l)
{
    return l->n > 0 ? static_cast<const part *>(zo_cuda_stage(be, l->list, (size_t)l->n * sizeof(part))) : nullptr;
}

static void parts_add(part_list *l, const zo_layout *layout, const zo_factors *factors, int param, const int32_t *row, int64_t nrows,
                      bool panels)
{
    part *p = &l->list[l->n];
    p->param = zo_cuda_param_of(layout, factors, param);
    p->row = row;
    p->nrows = nrows;
    p->first = l->tiles;
    p->across = panels ? (p->param.cols + PANEL - 1) / PANEL : 1;
    p->decays = zo_layout_decays(layout, param);
    int64_t tiles = panels ? (nrows + PANEL - 1) / PANEL * p->across
                           : (row != nullptr ? nrows : (p->param.rows * p->param.cols + QUADS * 4 - 1) / (QUADS * 4));
    l->tiles += tiles;
    l->n += tiles > 0;
}

void zo_cuda_apply(zo_backend *be, zo_store *store, const zo_factors *factors, double decay, const zo_term *term, int n,
                   const zo_touched *touched)
{
    const zo_layout *layout = store->layout;
    zo_cuda_part(be, ZO_PART_UPDATE);
    size_t each = (size_t)layout->n * sizeof(part), dirs = (size_t)n * sizeof(zo_dir);
    char *block = static_cast<char *>(zo_cuda_host_of(be, 2 * each + dirs + (size_t)n * sizeof(float)));
    part_list flat = parts_in(block), panels = parts_in(block + each);
    zo_dir *dir = reinterpret_cast<zo_dir *>(block + 2 * each);
    float *coef = reinterpret_cast<float *>(block + 2 * each + dirs), shrink = (float)decay;
    for (int k = 0; k < n; k++) {
        dir[k] = term[k].dir;
        coef[k] = (float)term[k].coef;
    }
    const zo_store *base = store;
    zo_view view = {};
    view.npoints = 1;
    view.base = &base;
    view.ndirs = n;
    view.dir = dir;
    view.coef = coef;
    view.factors = factors;
    zo_counters counters = {};
    uint64_t flat_bytes = 0, flat_sets = 0, panel_sets = 0; /* of weights; of sets that are read beside them */
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        zo_acting a = zo_view_acting(&view, t, NULL);
        if (p->frozen || (a.dirs == 0 && (!zo_layout_decays(layout, t) || shrink == 1.0f))) {
            continue;
        }
        const int32_t *row = nullptr;
        int64_t nrows = p->rows;
        for (int i = 0; touched != NULL && p->kind == ZO_PARAM_TABLE && i < touched->nparams; i++) {
            if (touched->param[i] == t && touched->row[i] != NULL) {
                nrows = touched->n[i];
                row = static_cast<const int32_t *>(zo_cuda_stage(be, touched->row[i], (size_t)nrows * sizeof *row));
                break;
            }
        }
        parts_add(a.lowrank ? &panels : &flat, layout, factors, t, row, nrows, a.lowrank);
        uint64_t bytes = (uint64_t)(nrows * p->cols * zo_storage_bytes(store->storage));
        counters.weight_bytes_written += bytes;
        flat_bytes += a.lowrank ? 0 : bytes;
        (a.lowrank ? panel_sets : flat_sets) += (uint64_t)(4 * a.sets * nrows * p->cols);
        counters.normals += (uint64_t)(a.lowrank ? 0 : a.normals * nrows * p->cols);
    }
    const part *flat_parts = parts_stage(be, &flat), *panel_parts = parts_stage(be, &panels);
    const float *factor = static_cast<const float *>(zo_cuda_stage(be, &shrink, sizeof shrink));
    zo_cuda_view on_device = zo_cuda_view_of(be, &view);
    if (flat.n > 0) {
        ZO_MOVES(flat_bytes + flat_sets, flat_bytes);
        ZO_BY_STORAGE(store->storage, ZO_LAUNCH((apply_flat<S>), zo_cuda_grid(flat.tiles, 1), THREADS, 0, zo_cuda_of(be)->stream, on_device,
                                                flat_parts, flat.n, flat.tiles, factor, zo_store_at(store, 0)));
    }
    if (panels.n > 0) {
        ZO_MOVES(counters.weight_bytes_written - flat_bytes + panel_sets, counters.weight_bytes_written - flat_bytes);
        ZO_BY_STORAGE(store->storage, ZO_LAUNCH((apply_panels<S>), zo_cuda_grid(panels.tiles, 1), THREADS, 0, zo_cuda_of(be)->stream, on_device,
                                                panel_parts, panels.n, panels.tiles, factor, zo_store_at(store, 0)));
    }
    zo_counters_add(counters);
}

/* g[l] = sum of the directions [from, to) of a view, at point 0, at element 4 quad + l: from 0, every term one fmaf in their order. */
static __device__ __forceinline__ void sum4(const zo_cuda_view &view, int from, int to, const zo_cuda_param &p, int64_t quad, float g[4])
{
    for (int d = from; d < to; d++) {
        zo_cuda_dir dir = view.dir[d];
        if (!zo_dir_acts(dir.kind, dir.skip, p.block, p.rank)) {
            continue;
        }
        float z[4], c = view.coef[d];
        zo_direction4(p, dir, nullptr, quad, z);
#pragma unroll
        for (int l = 0; l < 4; l++) {
            g[l] = fmaf(c, z[l], g[l]);
        }
    }
}

/* rules ------------------------------------------------------------------------------------------------------------------------------ */

template <int RULE>
static __device__ __forceinline__ void rule_one(const zo_rule_args &args, float decays, float *w, float g, float *m, float *v)
{
    switch (RULE) {
#define X(id, function, name)                \
    case id:                                 \
        function(&args, decays, w, &g, m, v); \
        break;
        ZO_RULE_LIST(X)
#undef X
    }
}

/* m[l], v[l] of a rule that replays at element 4 quad + l: from 0, zo_rule_moments of each direction of the view at point 0, in their order. */
static __device__ __forceinline__ void moments4(const zo_rule_args &args, const zo_cuda_view &view, const zo_cuda_param &p, int64_t quad, float m[4], float v[4])
{
    for (int d = 0; d < view.ndirs; d++) {
        zo_cuda_dir dir = view.dir[d];
        float z[4] = {0.0f}, c = view.coef[d];
        if (zo_dir_acts(dir.kind, dir.skip, p.block, p.rank)) {
            zo_direction4(p, dir, nullptr, quad, z);
        }
#pragma unroll
        for (int l = 0; l < 4; l++) {
            float x = fmaf(c, z[l], 0.0f);
            zo_rule_moments(&args, 0.0f, nullptr, &x, &m[l], &v[l]);
        }
    }
}

/* w (of S), g, m, v: arenas; g, m and v NULL where the rule does not use them. DRAWN: g is the sum of the view's directions at point 0. */
template <int RULE, bool DRAWN, zo_storage S>
static __global__ void __launch_bounds__(THREADS) rule_flat(const zo_rule_args *args, zo_cuda_view view, const part *parts, int nparts, int64_t tiles,
                                                            void *w, const float *g, float *m, float *v)
{
    zo_rule_args a = *args;
    if (int64_t tile = blockIdx.x; tile < tiles) {
        const part &p = *part_of(parts, nparts, tile);
        float decays = p.decays ? 1.0f : 0.0f;
        int64_t first, end, offset = p.param.offset;
        flat_range(p, tile, &first, &end);
        for (int64_t e = first + 4 * (int64_t)threadIdx.x; e < end; e += 4 * THREADS) {
            float wx[4], gx[4] = {0.0f}, mx[4] = {0.0f}, vx[4] = {0.0f};
            zo_load4<S>(w, offset, e, first, end, true, wx);
            if (DRAWN && (RULE == ZO_RULE_WINDOW || RULE == ZO_RULE_REPLAYED)) { /* zo_rule_replays, which the host has */
                moments4(a, view, p.param, e / 4, mx, vx);
            } else if (DRAWN) {
                sum4(view, 0, zo_rule_pairs((zo_rule_kind)RULE) ? 1 : view.ndirs, p.param, e / 4, gx);
            } else if (g != nullptr) {
                zo_load4(g + offset, e, first, end, true, gx);
            }
            if (m != nullptr) {
                zo_load4(m + offset, e, first, end, true, mx);
            }
            if (v != nullptr) {
                zo_load4(v + offset, e, first, end, true, vx);
            }
            if (DRAWN && zo_rule_pairs((zo_rule_kind)RULE)) {
                sum4(view, 1, 2, p.param, e / 4, vx);
            }
#pragma unroll
            for (int l = 0; l < 4; l++) {
                rule_one<RULE>(a, decays, &wx[l], gx[l], &mx[l], &vx[l]);
            }
            zo_store4<S>(w, offset, e, first, end, true, wx);
            if (m != nullptr) {
                zo_store4(m + offset, e, first, end, true, mx);
            }
            if (v != nullptr) {
                zo_store4(v + offset, e, first, end, true, vx);
            }
        }
    }
}

/* What every rule needs on the device. */
struct rule_call { part_list flat; const part *parts; const zo_rule_args *args; };

static rule_call rule_begin(zo_backend *be, const zo_rule_args *args, const zo_store *w)
{
    const zo_layout *layout = w->layout;
    zo_cuda_part(be, ZO_PART_UPDATE);
    rule_call call = {parts_new(be, layout), nullptr, nullptr};
    for (int t = 0; t < layout->n; t++) {
        if (!layout->param[t].frozen) {
            parts_add(&call.flat, layout, NULL, t, nullptr, layout->param[t].rows, false);
        }
    }
    call.parts = parts_stage(be, &call.flat);
    call.args = static_cast<const zo_rule_args *>(zo_cuda_stage(be, args, sizeof *args));
    return call;
}

void zo_cuda_rule(zo_backend *be, zo_rule_kind rule, const zo_rule_args *args, zo_store *w, const zo_store *g, zo_store *m, zo_store *v)
{
    const zo_layout *layout = w->layout;
    rule_call call = rule_begin(be, args, w);
    const float *gradient = g != NULL ? g->data : nullptr;
    float *first = m != NULL ? m->data : nullptr, *second = v != NULL ? v->data : nullptr;
    int64_t size = layout->trained_size, state = 4 * size * ((first != nullptr) + (second != nullptr)), weights = size * zo_storage_bytes(w->storage);
    ZO_MOVES(weights + 4 * size + state, weights + state);
    switch (rule) {
#define X(id, function, name)                                                                                                 \
    case id:                                                                                                                  \
        ZO_BY_STORAGE(w->storage, ZO_LAUNCH((rule_flat<id, false, S>), zo_cuda_grid(call.flat.tiles, 1), THREADS, 0, zo_cuda_of(be)->stream, call.args, \
                                            zo_cuda_view(), call.parts, call.flat.n, call.flat.tiles, zo_store_at(w, 0), gradient, first, second)); \
        break;
        ZO_RULE_LIST(X)
#undef X
    case ZO_RULES:
        break;
    }
    zo_counters counters = {};
    counters.weight_bytes_written = (uint64_t)weights;
    zo_counters_add(counters);
}

void zo_cuda_rule_drawn(zo_backend *be, zo_rule_kind rule, const zo_rule_args *args, zo_store *w, const zo_term *term, int n, zo_store *m, zo_store *v)
{
    ZO_CHECK(zo_rule_draws(rule), "rule %d has no kernel for a sum that is drawn on the way", (int)rule);
    const zo_layout *layout = w->layout;
    rule_call call = rule_begin(be, args, w);
    char *block = static_cast<char *>(zo_cuda_host_of(be, (size_t)n * (sizeof(zo_dir) + sizeof(float))));
    zo_dir *dir = reinterpret_cast<zo_dir *>(block);
    float *coef = reinterpret_cast<float *>(block + (size_t)n * sizeof(zo_dir));
    for (int k = 0; k < n; k++) {
        dir[k] = term[k].dir;
        coef[k] = (float)term[k].coef;
    }
    const zo_store *base = w;
    zo_view view = {};
    view.npoints = 1;
    view.base = &base;
    view.ndirs = n;
    view.dir = dir;
    view.coef = coef;
    zo_counters counters = {};
    uint64_t sets = 0;
    for (int t = 0; t < layout->n; t++) {
        zo_acting a = zo_view_acting(&view, t, NULL);
        uint64_t numbers = (uint64_t)(layout->param[t].rows * layout->param[t].cols);
        counters.normals += (uint64_t)a.normals * numbers;
        sets += 4 * (uint64_t)a.sets * numbers;
    }
    zo_cuda_view on_device = zo_cuda_view_of(be, &view);
    uint64_t weights = counters.weight_bytes_written = (uint64_t)(layout->trained_size * zo_storage_bytes(w->storage));
    float *first = m != NULL ? m->data : nullptr, *second = v != NULL ? v->data : nullptr;
    uint64_t state = 4 * (uint64_t)layout->trained_size * ((first != nullptr) + (second != nullptr));
    ZO_MOVES(weights + state + sets, weights + state);
#define DRAWN(id)                                                                                                                                       \
    ZO_BY_STORAGE(w->storage, ZO_LAUNCH((rule_flat<id, true, S>), zo_cuda_grid(call.flat.tiles, 1), THREADS, 0, zo_cuda_of(be)->stream, call.args,      \
                                        on_device, call.parts, call.flat.n, call.flat.tiles, zo_store_at(w, 0), static_cast<const float *>(nullptr), \
                                        first, second))
    if (rule == ZO_RULE_SIGN) {
        DRAWN(ZO_RULE_SIGN);
    } else if (rule == ZO_RULE_CURVATURE) {
        DRAWN(ZO_RULE_CURVATURE);
    } else if (rule == ZO_RULE_ADAMU) {
        DRAWN(ZO_RULE_ADAMU);
    } else if (rule == ZO_RULE_WINDOW) {
        DRAWN(ZO_RULE_WINDOW);
    } else if (rule == ZO_RULE_REPLAYED) {
        DRAWN(ZO_RULE_REPLAYED);
    } else if (rule == ZO_RULE_CHOSEN) {
        DRAWN(ZO_RULE_CHOSEN);
    } else if (rule == ZO_RULE_SQUARE) {
        DRAWN(ZO_RULE_SQUARE);
    } else if (rule == ZO_RULE_ROUNDED) {
        DRAWN(ZO_RULE_ROUNDED);
    } else if (rule == ZO_RULE_CORRECTED) {
        DRAWN(ZO_RULE_CORRECTED);
    } else {
        DRAWN(ZO_RULE_ADAMW);
    }
#undef DRAWN
    zo_counters_add(counters);
}

/* m and v exist in registers, a panel at a time. m, v (ncoef) device. */
template <int RULE, zo_storage S>
static __global__ void __launch_bounds__(THREADS) rule_panels(const zo_rule_args *args, const part *parts, int nparts, int64_t tiles,
                                                              const float *m, const float *v, void *arena)
{
    zo_rule_args a = *args;
    __shared__ __align__(16) panel_shared shared;
    if (int64_t tile = blockIdx.x; tile < tiles) {
        const part &p = *part_of(parts, nparts, tile);
        place at = place_of(p, tile);
        float scale = p.param.scale, decays = p.decays ? 1.0f : 0.0f;
        float x[4][4], first[4][4], second[4][4];
        panel_load<S>(p, at, arena, x);
        panel_lowrank(p, at, p.param.u, p.param.v, scale, m, false, &shared, first);
        panel_lowrank(p, at, p.param.u, p.param.v, scale * scale, v, true, &shared, second);
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
            for (int l = 0; l < 4; l++) {
                rule_one<RULE>(a, decays, &x[i][l], 0.0f, &first[i][l], &second[i][l]);
            }
        }
        panel_store<S>(p, at, x, arena);
    }
}

void zo_cuda_rule_lowrank(zo_backend *be, zo_rule_kind rule, const zo_rule_args *args, zo_store *w, const zo_factors *factors, const float *m,
                          const float *v)
{
    ZO_CHECK(rule == ZO_RULE_QUOTIENT, "rule %d has no kernel for moments of low rank", (int)rule);
    const zo_layout *layout = w->layout;
    zo_cuda_part(be, ZO_PART_UPDATE);
    part_list panels = parts_new(be, layout);
    zo_counters counters = {};
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        if (factors->rank[t] > 0 && factors->scale[t] != 0.0f) { /* not frozen */
            parts_add(&panels, layout, factors, t, nullptr, p->rows, true);
            counters.weight_bytes_written += (uint64_t)(p->rows * p->cols * zo_storage_bytes(w->storage));
        }
    }
    const part *parts = parts_stage(be, &panels);
    if (panels.n > 0) {
        size_t bytes = (size_t)factors->ncoef * sizeof(float);
        const zo_rule_args *on_device = static_cast<const zo_rule_args *>(zo_cuda_stage(be, args, sizeof *args));
        const float *first = static_cast<const float *>(zo_cuda_stage(be, m, bytes));
        const float *second = static_cast<const float *>(zo_cuda_stage(be, v, bytes));
        ZO_MOVES(counters.weight_bytes_written, counters.weight_bytes_written);
        ZO_BY_STORAGE(w->storage, ZO_LAUNCH((rule_panels<ZO_RULE_QUOTIENT, S>), zo_cuda_grid(panels.tiles, 1), THREADS, 0, zo_cuda_of(be)->stream,
                                            on_device, parts, panels.n, panels.tiles, first, second, zo_store_at(w, 0)));
    }
    zo_counters_add(counters);
}

/* draws ------------------------------------------------------------------------------------------------------------------------------ */

template <zo_storage S>
static __global__ void __launch_bounds__(THREADS) fill_normal(zo_stream stream, int64_t n, float std, void *to)
{
    if (int64_t quad = (int64_t)blockIdx.x * THREADS + threadIdx.x; quad * 4 < n) {
        float z[4];
        zo_normal4(stream, (uint32_t)quad, z);
#pragma unroll
        for (int l = 0; l < 4; l++) {
            z[l] *= std;
        }
        zo_store4<S>(to, 0, 4 * quad, 0, n, true, z);
    }
}

static void draw(zo_backend *be, uint64_t seed, uint32_t id, zo_role role, int64_t n, float std, zo_storage storage, void *to)
{
    zo_stream stream = {};
    stream.seed = seed;
    stream.tensor = id;
    stream.role = role;
    ZO_MOVES(0, n * zo_storage_bytes(storage));
    ZO_BY_STORAGE(storage, ZO_LAUNCH((fill_normal<S>), zo_cuda_grid(n, 4 * THREADS), THREADS, 0, zo_cuda_of(be)->stream, stream, n, std, to));
    zo_counters counters = {};
    counters.normals = (uint64_t)n;
    zo_counters_add(counters);
}

void zo_cuda_draw_factors(zo_backend *be, zo_factors *f)
{
    for (int t = 0; t < f->layout->n; t++) {
        const zo_param *p = &f->layout->param[t];
        if (f->rank[t] == 0) {
            continue;
        }
        int64_t nu = p->rows * f->rank[t], nv = p->cols * f->rank[t];
        f->u[t] = static_cast<float *>(be->alloc(be, ZO_TAG_OPT_STATE, (size_t)nu * sizeof(float)));
        f->v[t] = static_cast<float *>(be->alloc(be, ZO_TAG_OPT_STATE, (size_t)nv * sizeof(float)));
        draw(be, f->seed, p->id, ZO_ROLE_U, nu, 1.0f, ZO_STORAGE_F32, f->u[t]);
        draw(be, f->seed, p->id, ZO_ROLE_V, nv, 1.0f, ZO_STORAGE_F32, f->v[t]);
    }
}

void zo_cuda_init_normal(zo_backend *be, zo_store *store, int param, uint64_t seed, float std)
{
    const zo_param *p = &store->layout->param[param];
    draw(be, seed, p->id, ZO_ROLE_INIT, p->rows * p->cols, std, store->storage, zo_store_at(store, p->offset));
}

/* products of stores ----------------------------------------------------------------------------------------------------------------- */

/* A product of the list: C (rows, cols) = A B; element (i, k) of A stands at i * row + k * step. */
struct factor_product {
    const float *a, *b;
    float *c;
    int64_t first, rows, cols, inner, row, step; /* first tile */
};

/* divides: by `inner`. A thread makes one number. */
static __global__ void __launch_bounds__(THREADS) multiply_kernel(const factor_product *list, int n, int64_t tiles, int divides)
{
    if (int64_t tile = blockIdx.x; tile < tiles) {
        int low = 0;
        while (n > 1) { /* the last that begins at the tile or before */
            int half = n / 2;
            low += list[low + half].first <= tile ? half : 0;
            n -= half;
        }
        const factor_product &p = list[low];
        int64_t e = (tile - p.first) * THREADS + threadIdx.x;
        if (e < p.rows * p.cols) {
            double sum = zo_dot_strided(p.a + e / p.cols * p.row, p.step, p.b + e % p.cols, p.cols, p.inner);
            p.c[e] = (float)(divides ? sum / (double)p.inner : sum);
        }
    }
}

void zo_cuda_multiply(zo_backend *be, const zo_store *a, bool across, const zo_store *b, zo_store *c)
{
    int n = c->layout->n;
    if (n == 0) {
        return;
    }
    zo_cuda_part(be, ZO_PART_UPDATE);
    size_t bytes = (size_t)n * sizeof(factor_product);
    factor_product *list = static_cast<factor_product *>(zo_cuda_host_of(be, bytes));
    int64_t tiles = 0, read = 0, written = 0;
    for (int t = 0; t < n; t++) {
        const zo_param *pa = &a->layout->param[t], *pb = &b->layout->param[t], *pc = &c->layout->param[t];
        int64_t inner = across ? pa->rows : pa->cols;
        list[t] = {a->data + pa->offset, b->data + pb->offset, c->data + pc->offset, tiles, pc->rows, pc->cols, inner, across ? 1 : inner,
                   across ? pa->cols : 1};
        tiles += (pc->rows * pc->cols + THREADS - 1) / THREADS;
        read += 4 * (pa->rows * pa->cols + pb->rows * pb->cols);
        written += 4 * pc->rows * pc->cols;
    }
    const factor_product *on_device = static_cast<const factor_product *>(zo_cuda_stage(be, list, bytes));
    ZO_MOVES(read, written);
    ZO_LAUNCH(multiply_kernel, zo_cuda_grid(tiles, 1), THREADS, 0, zo_cuda_of(be)->stream, on_device, n, tiles, (int)across);
}

/* reductions ------------------------------------------------------------------------------------------------------------------------- */

/* partial[i] = sum of block i (DOT floats) of a . b in float64: lane l sums elements l, l + LANES, ... in their order, then the lanes in
 * theirs. Products of two floats are exact in float64, so a fused sum has the same bits. Two blocks to a warp. */
static __global__ void __launch_bounds__(THREADS) dot_blocks(const float *a, const float *b, int64_t size, int64_t blocks, double *partial)
{
    __shared__ double lanes[THREADS];
    int lane = (int)(threadIdx.x % LANES), group = (int)(threadIdx.x / LANES);
    int64_t i = (int64_t)blockIdx.x * (THREADS / LANES) + group;
    int64_t first = i * DOT, end = first + DOT < size ? first + DOT : size;
    double sum = 0.0;
#pragma unroll 8
    for (int64_t j = first + lane; j < end; j += LANES) {
        sum = fma((double)a[j], (double)b[j], sum);
    }
    lanes[threadIdx.x] = sum;
    __syncthreads();
    if (lane == 0 && i < blocks) {
        double all = 0.0;
        for (int l = 0; l < LANES; l++) {
            all += lanes[threadIdx.x + l];
        }
        partial[i] = all;
    }
}

double zo_cuda_dot(zo_backend *be, const zo_store *a, const zo_store *b)
{
    int64_t size = a->size, blocks = (size + DOT - 1) / DOT; /* size is a multiple of LANES: the arena is padded with zeros */
    zo_cuda_part(be, ZO_PART_UPDATE);
    size_t bytes = (size_t)blocks * sizeof(double);
    double *partial = static_cast<double *>(zo_cuda_shared_of(be, ZO_CUDA_PARTIAL, bytes));
    ZO_MOVES(8 * size, 8 * blocks);
    ZO_LAUNCH(dot_blocks, zo_cuda_grid(blocks, THREADS / LANES), THREADS, 0, zo_cuda_of(be)->stream, static_cast<const float *>(a->data),
              static_cast<const float *>(b->data), size, blocks, partial);
    double *host = static_cast<double *>(zo_cuda_host_of(be, bytes)), sum = 0.0;
    be->download(be, host, partial, bytes);
    for (int64_t i = 0; i < blocks; i++) {
        sum += host[i];
    }
    return sum;
}

template <zo_storage S>
static __global__ void __launch_bounds__(THREADS) find_not_finite(const void *a, int64_t size, int *found)
{
    int bad = 0;
    for (int64_t e = 4 * ((int64_t)blockIdx.x * THREADS + threadIdx.x); e < size; e += 4 * (int64_t)gridDim.x * THREADS) {
        float x[4];
        zo_load4<S>(a, 0, e, 0, size, true, x);
#pragma unroll
        for (int l = 0; l < 4; l++) {
            bad |= (zo_f32_bits(x[l]) & 0x7F800000u) == 0x7F800000u;
        }
    }
    if (bad) {
        atomicOr(found, 1);
    }
}

bool zo_cuda_finite(zo_backend *be, const zo_store *a)
{
    int64_t size = a->size;
    int found = 0;
    zo_cuda_part(be, ZO_PART_UPDATE);
    int *on_device = static_cast<int *>(zo_cuda_shared_of(be, ZO_CUDA_PARTIAL, sizeof *on_device));
    be->zero(be, on_device, sizeof *on_device);
    int64_t blocks = (size + 4 * THREADS - 1) / (4 * THREADS), most = 16 * (int64_t)zo_cuda_of(be)->multiprocessors;
    ZO_MOVES(size * zo_storage_bytes(a->storage), 0);
    ZO_BY_STORAGE(a->storage, ZO_LAUNCH((find_not_finite<S>), zo_cuda_grid(blocks < most ? blocks : most, 1), THREADS, 0, zo_cuda_of(be)->stream,
                                        zo_store_at(a, 0), size, on_device));
    be->download(be, &found, on_device, sizeof found);
    return found == 0;
}
