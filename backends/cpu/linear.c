/* linear.c: operations that read matrices and tables at P points: linear layers, chosen rows, the language-model head, embedding.
 *
 * One design for all: work is cut into blocks of the weight's rows. A thread forms its block at all points (z drawn once), in a tile
 * that stays in its L2 cache, runs a single-threaded oneDNN product per point and piece of tokens, and finishes the output while it
 * is in the cache. Blocks and pieces do not depend on the number of threads, so neither do the bits. */
#include <string.h>

#include "backends/act.h"
#include "backends/cpu/cpu.h"
#include "core/rng.h"

enum {
    BLOCK = 64,               /* rows of the weight in a block, at most */
    TILE_BYTES = 800 << 10,   /* formed tiles of a block at all points, at most (but 16 rows at least) */
    PIECE = 256,              /* tokens in a product, at most */
    STRIPES = 32              /* of the head's rows: the unit of its partial sums */
};

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Tokens are cut into pieces of one size, so that one compiled product serves them all and few sizes exist: a multiple of 8 where
 * there are 8 tokens; the last piece starts early instead of being short, and its first rows are then skipped. */
typedef struct pieces { int64_t n, size, total; } pieces;

static pieces pieces_of(int64_t tokens)
{
    int64_t n = (tokens + PIECE - 1) / PIECE, size = (int64_t)zo_round_up((uint64_t)((tokens + n - 1) / n), 8);
    if (size > tokens) {
        n = tokens < 8 ? 1 : 2;
        size = tokens < 8 ? tokens : (int64_t)zo_round_up((uint64_t)(tokens + 1) / 2, 8);
    }
    return (pieces){.n = n, .size = size, .total = tokens};
}

/* The largest piece of any batch of at most so many tokens: one of a multiple of 8 tokens may be a single piece, where a longer one is two. */
static int64_t largest_piece(int64_t tokens)
{
    return tokens < 8 ? tokens : min64(tokens - tokens % 8, PIECE);
}

/* First token of piece i, and how many of its first rows belong to the piece before. */
static int64_t piece_at(const pieces *p, int64_t i, int64_t *skip)
{
    int64_t at = min64(i * p->size, p->total - p->size);
    *skip = i * p->size - at;
    return at;
}

/* What a product of this precision reads. */
static zo_storage type_of(zo_precision precision)
{
    return precision == ZO_BF16 ? ZO_STORAGE_BF16 : ZO_STORAGE_F32;
}

static int64_t block_rows(int npoints, int64_t rows, int64_t cols, zo_precision precision)
{
    int64_t row_bytes = npoints * cols * (precision == ZO_BF16 ? 2 : 4), n = TILE_BYTES / row_bytes / 16 * 16;
    n = n < 16 ? 16 : n;
    return min64(rows, n > BLOCK ? BLOCK : n);
}

static void check_precision(const zo_backend *be, zo_precision precision)
{
    ZO_CHECK(precision == ZO_F32 || (precision == ZO_BF16 && be->bf16), "%s products on %s, which has none; zo_backend_check tells before a run",
             zo_precision_name(precision), be->device);
}

/* The input as the products read it: itself, or its bf16 copy (n values). */
static const void *input_of(zo_backend *be, zo_precision precision, const float *x, int64_t n)
{
    if (precision == ZO_F32) {
        return x;
    }
    uint16_t *copy = zo_cpu_shared_of(be, ZO_CPU_INPUT, (size_t)n * sizeof *copy);
    int64_t parts = (n + 4095) / 4096;
#pragma omp parallel for num_threads(be->threads) schedule(static) if (parts > 8)
    for (int64_t i = 0; i < parts; i++) {
        int64_t end = min64(n, (i + 1) * 4096);
#pragma omp simd
        for (int64_t j = i * 4096; j < end; j++) {
            copy[j] = zo_bf16_from(x[j]);
        }
    }
    return copy;
}

/* q (P,T,rank) = (x V) . side . scale, for the low-rank product beside a weight that is not written. */
static const float *side_of(zo_backend *be, const zo_view *view, int weight, const float *x, int64_t tokens)
{
    const zo_factors *f = view->factors;
    int64_t cols = f->layout->param[weight].cols, total = view->npoints * tokens, rank = f->rank[weight];
    float *q = zo_cpu_shared_of(be, ZO_CPU_SIDE, (size_t)(total * rank) * sizeof *q);
    pieces cut = pieces_of(total);
    zo_cpu_gemm gemm = {.precision = ZO_F32, .m = cut.size, .n = rank, .k = cols, .lda = cols, .ldb = rank, .ldc = rank};
    const zo_cpu_product *product = zo_cpu_product_of(be, &gemm);
    size_t pad = zo_cpu_product_scratch(product);
    double start = zo_now();
#pragma omp parallel num_threads(be->threads)
    {
        char *scratch = zo_cpu_scratch(be, pad + (size_t)(cut.size * rank) * sizeof(float));
        float *c = (float *)(scratch + pad);
#pragma omp for schedule(dynamic) nowait
        for (int64_t i = 0; i < cut.n; i++) {
            int64_t skip, at = piece_at(&cut, i, &skip);
            zo_cpu_product_run(product, x + at * cols, f->v[weight], c, scratch);
            for (int64_t t = skip; t < cut.size; t++) {
                const float *a = view->side + (at + t) / tokens * f->ncoef + f->coef_at[weight];
                for (int64_t s = 0; s < rank; s++) {
                    q[(at + t) * rank + s] = c[t * rank + s] * (f->scale[weight] * a[s]);
                }
            }
        }
    }
    zo_part_add(ZO_PART_GEMM, zo_now() - start);
    return q;
}

static bool has_side(const zo_view *view, int weight)
{
    return view->side != NULL && view->factors->rank[weight] > 0;
}

/* Points whose weights are the same stored ones run as one: the number of points from p on that share a base. */
static int run_length(const zo_cpu_form *form, int p)
{
    int n = 1;
    while (form->ndirs == 0 && p + n < form->npoints && form->base[p + n] == form->base[p]) {
        n++;
    }
    return n;
}

/* The products of a weight's blocks with the same input, for both linear and head. */
typedef struct blocks {
    zo_backend *be;
    zo_cpu_form form;
    zo_precision precision;
    int64_t rows, cols, tokens;
    int64_t nb, n;                          /* rows of a block, number of blocks */
    int runs;                               /* products a block: runs of points with the same weights */
    const void *input;                      /* (P,T,cols) */
    const float *side;                      /* (P,T,rank) or NULL */
    int rank;
    const float *u;
    const zo_param *coded;                  /* NULL, or the matrix where it is held as codes: `form.base` are then the scales of a point */
    const uint8_t *codes;
    pieces cut;                             /* of the tokens of one run */
    const zo_cpu_product *full, *last;      /* of a block of nb rows, of the last one */
    const zo_cpu_product *side_full, *side_last;
    size_t pad, form_bytes, tile_bytes, c_bytes; /* parts of a thread's scratch, in this order, tile_bytes times npoints */
    double booked_s;                        /* wall time that stands under its part already */
    double form_s, gemm_s, rest_s;          /* of all threads */
} blocks;

/* The products of a weight's blocks of nb rows, and of the last one, with pieces of m tokens; returns the larger scratch of the two. */
static size_t products_of(zo_backend *be, zo_precision precision, int64_t m, int64_t nb, const zo_param *w, const zo_cpu_product **full,
                          const zo_cpu_product **last)
{
    zo_cpu_gemm gemm = {.precision = precision, .across = true, .m = m, .n = nb, .k = w->cols, .lda = w->cols, .ldb = w->cols, .ldc = nb};
    *full = zo_cpu_product_of(be, &gemm);
    gemm.n = gemm.ldc = w->rows - (w->rows - 1) / nb * nb;
    *last = zo_cpu_product_of(be, &gemm);
    size_t a = zo_cpu_product_scratch(*full), b = zo_cpu_product_scratch(*last);
    return a > b ? a : b;
}

static void blocks_open(blocks *b, zo_backend *be, const zo_view *view, zo_precision precision, int weight, const float *x,
                        int64_t tokens)
{
    check_precision(be, precision);
    memset(b, 0, sizeof *b);
    b->be = be;
    const zo_param *coded = &view->base[0]->layout->param[weight];
    int64_t stride = 0;
    const float *scales = coded->bits > 0 ? zo_cpu_scales_of(be, view, weight + 1, &stride) : NULL;
    b->form = zo_cpu_form_of(view, weight, zo_cpu_shared_of(be, ZO_CPU_DIRS, zo_cpu_form_bytes(view->npoints, view->ndirs)));
    const zo_param *w = &b->form.layout->param[b->form.param];
    b->precision = precision;
    b->rows = w->rows;
    b->cols = w->cols;
    b->tokens = tokens;
    if (scales != NULL) {
        ZO_CHECK(b->form.ndirs == 0, "%s: a direction is added to codes: an objective refuses this", coded->name);
        b->coded = coded;
        b->codes = zo_store_codes(view->base[0], coded);
        for (int p = 0; p < view->npoints; p++) {
            b->form.base[p] = scales + p * stride;
        }
    }
    bool stored = b->form.ndirs == 0 && b->form.storage == type_of(precision) && scales == NULL; /* the products read the arena itself */
    b->nb = stored && precision == ZO_F32 ? min64(w->rows, BLOCK) : block_rows(view->npoints, w->rows, w->cols, precision);
    b->n = (w->rows + b->nb - 1) / b->nb;
    int run = run_length(&b->form, 0);
    for (int p = 0; p < view->npoints; p += run) {
        if (run_length(&b->form, p) != run) {
            run = 1; /* uneven runs: point by point */
            break;
        }
    }
    b->runs = view->npoints / run;
    b->cut = pieces_of(run * tokens);
    b->input = input_of(be, precision, x, view->npoints * tokens * w->cols);
    b->pad = products_of(be, precision, b->cut.size, b->nb, w, &b->full, &b->last);
    if (has_side(view, weight)) {
        double start = zo_now();
        b->side = side_of(be, view, weight, x, tokens);
        b->booked_s = zo_now() - start;
        b->rank = view->factors->rank[weight];
        b->u = view->factors->u[weight];
        zo_cpu_gemm beside = {.precision = ZO_F32, .across = true, .add = true, .m = b->cut.size, .n = b->nb, .k = b->rank,
                              .lda = b->rank, .ldb = b->rank, .ldc = b->nb};
        b->side_full = zo_cpu_product_of(be, &beside);
        beside.n = beside.ldc = w->rows - (b->n - 1) * b->nb;
        b->side_last = zo_cpu_product_of(be, &beside);
        size_t full = zo_cpu_product_scratch(b->side_full), last = zo_cpu_product_scratch(b->side_last);
        b->pad = b->pad > full ? b->pad : full;
        b->pad = b->pad > last ? b->pad : last;
    }
    b->form_bytes = stored ? 0 : zo_cpu_form_scratch(&b->form);
    b->tile_bytes = stored ? 0 : zo_round_up((size_t)(b->nb * w->cols) * (precision == ZO_BF16 ? 2 : 4), 64);
    b->c_bytes = zo_round_up((size_t)(b->cut.size * b->nb) * sizeof(float), 64);
    int64_t total = view->npoints * tokens;
    zo_counters_add((zo_counters){.normals = (uint64_t)(b->form.normals * w->rows * w->cols),
                                  .linear_flops = (uint64_t)(2 * total * w->rows * (w->cols + b->rank))});
}

typedef struct lane { char *scratch, *form, *tile; float *c; void **to; double form_s, gemm_s, rest_s; } lane; /* of a thread */

static lane lane_open(const blocks *b)
{
    size_t pointers = zo_round_up((size_t)b->form.npoints * sizeof(void *), 64);
    size_t tiles = b->tile_bytes * (size_t)b->runs;
    lane l = {.scratch = zo_cpu_scratch(b->be, b->pad + b->form_bytes + tiles + pointers + b->c_bytes)};
    l.form = l.scratch + b->pad;
    l.tile = l.form + b->form_bytes;
    l.to = (void **)(l.tile + tiles);
    l.c = (float *)((char *)l.to + pointers);
    return l;
}

/* Where run r's rows of the block at `row` stand: a formed tile, or the stored weights. */
static void blocks_form(const blocks *b, int64_t row, int64_t n, lane *l)
{
    int step = b->form.npoints / b->runs;
    if (b->tile_bytes == 0) {
        for (int r = 0; r < b->runs; r++) {
            l->to[r] = (void *)((uintptr_t)b->form.base[r * step] + (uintptr_t)(row * b->cols * zo_storage_bytes(b->form.storage)));
        }
        return;
    }
    double start = zo_now();
    for (int r = 0; r < b->runs && b->coded != NULL; r++) {
        l->to[r] = l->tile + b->tile_bytes * (size_t)r;
        zo_cpu_codes_rows(b->coded, b->codes, b->form.base[r * step], row, n, type_of(b->precision), l->to[r], (float *)l->form);
    }
    if (b->coded != NULL) {
        l->form_s += zo_now() - start;
        return;
    }
    zo_cpu_form form = b->form; /* one point a run is enough where nothing is added to the base */
    const void *base[1];
    if (step > 1) {
        for (int r = 0; r < b->runs; r++) {
            base[0] = b->form.base[r * step];
            form.npoints = 1;
            form.base = base;
            l->to[r] = l->tile + b->tile_bytes * (size_t)r;
            zo_cpu_form_rows(&form, row, n, 1.0f, type_of(b->precision), &l->to[r], l->form);
        }
    } else {
        for (int p = 0; p < form.npoints; p++) {
            l->to[p] = l->tile + b->tile_bytes * (size_t)p;
        }
        zo_cpu_form_rows(&form, row, n, 1.0f, type_of(b->precision), l->to, l->form);
    }
    l->form_s += zo_now() - start;
}

/* c (piece, n) = the product of piece i of run r with the formed block. Returns the piece's first row in (P*T). */
static int64_t blocks_product(const blocks *b, int r, int64_t i, int64_t row, int64_t n, lane *l, int64_t *skip)
{
    double start = zo_now();
    int64_t at = piece_at(&b->cut, i, skip) + r * b->cut.total;
    size_t size = b->precision == ZO_BF16 ? 2 : 4;
    zo_cpu_product_run(n == b->nb ? b->full : b->last, (const char *)b->input + (size_t)(at * b->cols) * size, l->to[r], l->c,
                       l->scratch);
    if (b->side != NULL) {
        zo_cpu_product_run(n == b->nb ? b->side_full : b->side_last, b->side + at * b->rank, b->u + row * b->rank, l->c, l->scratch);
    }
    l->gemm_s += zo_now() - start;
    return at;
}

static void lane_close(blocks *b, const lane *l)
{
#pragma omp atomic
    b->form_s += l->form_s;
#pragma omp atomic
    b->gemm_s += l->gemm_s;
#pragma omp atomic
    b->rest_s += l->rest_s;
}

/* The wall time since `start`, shared as the threads' own: who waits at the end waits for what the others do. */
static void blocks_time(const blocks *b, double start)
{
    double wall = zo_now() - start - b->booked_s, sum = b->form_s + b->gemm_s + b->rest_s;
    double form = sum > 0 ? b->form_s / sum : 0, rest = sum > 0 ? b->rest_s / sum : 0;
    zo_part_add(ZO_PART_FORM, wall * form);
    zo_part_add(ZO_PART_ELEMENTWISE, wall * rest);
    zo_part_add(ZO_PART_GEMM, wall * (1 - form - rest));
}

/* c (rows, n) <- scale c [+ what stands in y (rows, n of a matrix with `stride` columns)] */
static void accumulate(float scale, bool add, const float *y, int64_t stride, int64_t rows, int64_t n, float *c)
{
    for (int64_t t = 0; t < rows; t++) {
        for (int64_t i = 0; i < n; i++) {
            c[t * n + i] = add ? fmaf(scale, c[t * n + i], y[t * stride + i]) : scale * c[t * n + i];
        }
    }
}

void zo_cpu_linear(zo_backend *be, const zo_view *view, zo_precision precision, int weight, int bias, zo_act act, const float *x,
                   int64_t tokens, bool add, float *y, float *pre)
{
    if (tokens == 0) {
        return;
    }
    const float *biases = zo_cpu_form_vector(be, view, bias, ZO_CPU_BIAS); /* (P, rows) */
    double began = zo_now();
    blocks b;
    blocks_open(&b, be, view, precision, weight, x, tokens);
    float scale = view->base[0]->layout->param[weight].scale;
    /* A formed block is not to be formed twice: its pieces stay on one thread. Stored weights may be cut both ways. */
    bool formed = b.tile_bytes > 0;
    int64_t groups = formed ? 1 : b.runs * b.cut.n;
    static const float zeros[BLOCK];
#pragma omp parallel num_threads(be->threads)
    {
        lane l = lane_open(&b);
#pragma omp for schedule(dynamic) nowait
        for (int64_t item = 0; item < b.n * groups; item++) {
            int64_t row = item / groups * b.nb, n = min64(b.nb, b.rows - row);
            blocks_form(&b, row, n, &l);
            for (int64_t j = formed ? 0 : item % groups; j < (formed ? b.runs * b.cut.n : item % groups + 1); j++) {
                int64_t skip, at = blocks_product(&b, (int)(j / b.cut.n), j % b.cut.n, row, n, &l, &skip);
                double start = zo_now();
                for (int64_t t = skip, end; t < b.cut.size; t = end) { /* rows of one point together: they share a bias */
                    int64_t p = (at + t) / tokens;
                    end = min64(b.cut.size, (p + 1) * tokens - at);
                    const float *bp = biases != NULL ? biases + p * b.rows + row : zeros;
                    float *c = l.c + t * n, *out = y + (at + t) * b.rows + row;
                    if (add || scale != 1.0f) {
                        accumulate(scale, add, out, b.rows, end - t, n, c);
                    }
                    if (pre != NULL) {
                        zo_cpu_finish(ZO_ACT_NONE, c, bp, end - t, n, pre + (at + t) * b.rows + row, b.rows);
                    }
                    zo_cpu_finish(act, c, bp, end - t, n, out, b.rows);
                }
                l.rest_s += zo_now() - start;
            }
        }
        lane_close(&b, &l);
    }
    blocks_time(&b, began);
}

/* head -------------------------------------------------------------------------------------------------------------------- */

/* Streaming log-sum-exp of one row of logits. */
typedef struct running { float most, sum; int32_t argmax; } running;

static void running_add(running *r, const float *logit, int64_t n, int64_t first)
{
    float most = logit[0];
    for (int64_t i = 1; i < n; i++) {
        most = logit[i] > most ? logit[i] : most;
    }
    if (most > r->most) {
        int64_t i = 0;
        while (logit[i] != most) {
            i++;
        }
        r->argmax = (int32_t)(first + i);
        r->sum *= zo_exp(r->most - most);
        r->most = most;
    }
    float sum[16] = {0};
    int64_t whole = n / 16 * 16;
    for (int64_t i = 0; i < whole; i += 16) {
        for (int j = 0; j < 16; j++) {
            sum[j] += zo_exp(logit[i + j] - r->most);
        }
    }
    for (int64_t i = whole; i < n; i++) {
        sum[i - whole] += zo_exp(logit[i] - r->most);
    }
    for (int step = 8; step > 0; step /= 2) {
        for (int j = 0; j < step; j++) {
            sum[j] += sum[j + step];
        }
    }
    r->sum += sum[0];
}

void zo_cpu_head_logprob(zo_backend *be, const zo_view *view, zo_precision precision, int weight, int bias, float softcap, const float *x,
                         int64_t rows, const int32_t *at, const int32_t *target, int64_t n, float *logprob, int32_t *argmax)
{
    if (rows == 0) {
        return;
    }
    const float *add = zo_cpu_form_vector(be, view, bias, ZO_CPU_BIAS); /* (P, vocabulary) */
    double began = zo_now();
    blocks b;
    blocks_open(&b, be, view, precision, weight, x, rows);
    int64_t total = view->npoints * rows, stripes = min64(STRIPES, b.n), per = (b.n + stripes - 1) / stripes;
    running *part = zo_cpu_shared_of(be, ZO_CPU_PARTIAL, (size_t)(stripes * total) * sizeof *part); /* (stripes, P*R) */
    for (int64_t i = 0; i < stripes * total; i++) {
        part[i] = (running){.most = -INFINITY, .argmax = -1};
    }
#pragma omp parallel num_threads(be->threads)
    {
        lane l = lane_open(&b);
#pragma omp for schedule(dynamic) nowait
        for (int64_t s = 0; s < stripes; s++) {
            for (int64_t block = s * per; block < min64(b.n, (s + 1) * per); block++) {
                int64_t row = block * b.nb, wide = min64(b.nb, b.rows - row);
                blocks_form(&b, row, wide, &l);
                for (int64_t j = 0; j < b.runs * b.cut.n; j++) {
                    int64_t skip, first = blocks_product(&b, (int)(j / b.cut.n), j % b.cut.n, row, wide, &l, &skip);
                    double start = zo_now();
                    if (add != NULL) {
                        for (int64_t t = skip; t < b.cut.size; t++) {
                            const float *bp = add + (first + t) / rows * b.rows + row;
                            for (int64_t i = 0; i < wide; i++) {
                                l.c[t * wide + i] += bp[i];
                            }
                        }
                    }
                    for (int64_t i = skip * wide; softcap > 0.0f && i < b.cut.size * wide; i++) {
                        l.c[i] = zo_softcap(l.c[i], softcap);
                    }
                    for (int64_t t = skip; t < b.cut.size; t++) {
                        running_add(&part[s * total + first + t], l.c + t * wide, wide, row);
                    }
                    for (int64_t i = 0; i < n; i++) { /* the targets whose logit stands in this tile */
                        if (target[i] >= row && target[i] < row + wide) {
                            for (int p = 0; p < view->npoints; p++) {
                                int64_t t = p * rows + at[i] - first;
                                if (t >= skip && t < b.cut.size) {
                                    logprob[p * n + i] = l.c[t * wide + target[i] - row];
                                }
                            }
                        }
                    }
                    l.rest_s += zo_now() - start;
                }
            }
        }
    }
    for (int64_t r = 0; r < total; r++) { /* the stripes in their order, into the first */
        running *sum = &part[r];
        for (int64_t s = 1; s < stripes; s++) {
            const running *more = &part[s * total + r];
            if (more->most > sum->most) {
                sum->sum = fmaf(sum->sum, zo_exp(sum->most - more->most), more->sum);
                sum->most = more->most;
                sum->argmax = more->argmax;
            } else {
                sum->sum = fmaf(more->sum, zo_exp(more->most - sum->most), sum->sum);
            }
        }
        if (argmax != NULL) {
            argmax[r] = sum->argmax;
        }
    }
    for (int p = 0; p < view->npoints; p++) {
        for (int64_t i = 0; i < n; i++) {
            const running *sum = &part[p * rows + at[i]];
            logprob[p * n + i] = logprob[p * n + i] - sum->most - zo_log(sum->sum);
        }
    }
    zo_part_add(ZO_PART_HEAD, zo_now() - began - b.booked_s);
}

/* chosen rows and embedding ------------------------------------------------------------------------------------------------ */

/* out (cols) += scale U_row diag(side_p) V^T */
static void add_side(const zo_view *view, int param, int p, int64_t row, float *out)
{
    const zo_factors *f = view->factors;
    int rank = f->rank[param];
    const float *a = view->side + p * f->ncoef + f->coef_at[param], *u = f->u[param] + row * rank, *v = f->v[param];
    for (int64_t j = 0; j < f->layout->param[param].cols; j++) {
        float sum = 0.0f;
        for (int s = 0; s < rank; s++) {
            sum = fmaf(f->scale[param] * a[s] * u[s], v[j * rank + s], sum);
        }
        out[j] += sum;
    }
}

static float dot_f32(const float *a, const float *b, int64_t n)
{
    float sum[16] = {0};
    int64_t whole = n / 16 * 16;
    for (int64_t i = 0; i < whole; i += 16) {
        for (int j = 0; j < 16; j++) {
            sum[j] = fmaf(a[i + j], b[i + j], sum[j]);
        }
    }
    for (int64_t i = whole; i < n; i++) {
        sum[i - whole] = fmaf(a[i], b[i], sum[i - whole]);
    }
    for (int step = 8; step > 0; step /= 2) {
        for (int j = 0; j < step; j++) {
            sum[j] += sum[j + step];
        }
    }
    return sum[0];
}

void zo_cpu_linear_rows(zo_backend *be, const zo_view *view, int weight, int bias, const int32_t *rows, int32_t nrows, const float *x,
                        int64_t tokens, float *y)
{
    const float *add = zo_cpu_form_vector(be, view, bias, ZO_CPU_BIAS);
    double start = zo_now(), formed = start;
    int P = view->npoints;
    zo_cpu_form f = zo_cpu_form_of(view, weight, zo_cpu_shared_of(be, ZO_CPU_DIRS, zo_cpu_form_bytes(P, view->ndirs)));
    int64_t cols = f.layout->param[f.param].cols, all = f.layout->param[f.param].rows;
    size_t tile = (size_t)(P * nrows * cols) * sizeof(float);
    float *w = zo_cpu_shared_of(be, ZO_CPU_VECTOR, tile); /* (P, nrows, cols) */
    size_t pointers = zo_round_up((size_t)P * sizeof(void *), 64);
#pragma omp parallel num_threads(be->threads) if ((int64_t)nrows * cols * f.ndirs + P * tokens * nrows * cols > 100000)
    {
        char *scratch = zo_cpu_scratch(be, pointers + zo_cpu_form_scratch(&f));
        void **to = (void **)scratch;
#pragma omp for schedule(dynamic)
        for (int32_t r = 0; r < nrows; r++) {
            for (int p = 0; p < P; p++) {
                to[p] = w + (p * (int64_t)nrows + r) * cols;
            }
            zo_cpu_form_rows(&f, rows[r], 1, 1.0f, ZO_STORAGE_F32, to, scratch + pointers);
            for (int p = 0; p < P && has_side(view, weight); p++) {
                add_side(view, weight, p, rows[r], to[p]);
            }
        }
#pragma omp master
        formed = zo_now();
#pragma omp for schedule(static) nowait
        for (int64_t t = 0; t < P * tokens; t++) {
            int64_t p = t / tokens;
            for (int32_t r = 0; r < nrows; r++) {
                float sum = dot_f32(x + t * cols, w + (p * nrows + r) * cols, cols);
                y[t * nrows + r] = add != NULL ? sum + add[p * all + rows[r]] : sum;
            }
        }
    }
    zo_part_add(ZO_PART_FORM, formed - start);
    zo_part_add(ZO_PART_HEAD, zo_now() - formed);
    zo_counters_add((zo_counters){.normals = (uint64_t)(f.normals * nrows * cols),
                                  .linear_flops = (uint64_t)(2 * P * tokens * nrows * cols)});
}

void zo_cpu_embed(zo_backend *be, const zo_view *view, int table, const int32_t *ids, int64_t tokens, bool add, float *x)
{
    int P = view->npoints;
    zo_cpu_form f = zo_cpu_form_of(view, table, zo_cpu_shared_of(be, ZO_CPU_DIRS, zo_cpu_form_bytes(P, view->ndirs)));
    int64_t cols = f.layout->param[f.param].cols;
    size_t pointers = zo_round_up((size_t)P * sizeof(void *), 64), row = zo_round_up((size_t)cols * sizeof(float), 64);
    double start = zo_now();
#pragma omp parallel num_threads(be->threads) if (P * tokens * cols > 50000)
    {
        char *scratch = zo_cpu_scratch(be, pointers + row * (size_t)P + zo_cpu_form_scratch(&f));
        void **to = (void **)scratch;
        for (int p = 0; p < P; p++) {
            to[p] = scratch + pointers + row * (size_t)p;
        }
#pragma omp for schedule(dynamic, 8) nowait
        for (int64_t t = 0; t < tokens; t++) {
            zo_cpu_form_rows(&f, ids[t], 1, 1.0f, ZO_STORAGE_F32, to, scratch + pointers + row * (size_t)P);
            for (int p = 0; p < P; p++) {
                float *from = to[p], *out = x + (p * tokens + t) * cols;
                if (has_side(view, table)) {
                    add_side(view, table, p, ids[t], from);
                }
                for (int64_t j = 0; j < cols; j++) {
                    out[j] = add ? out[j] + from[j] : from[j];
                }
            }
        }
    }
    zo_part_add(ZO_PART_FORM, zo_now() - start);
    zo_counters_add((zo_counters){.normals = (uint64_t)(f.normals * tokens * cols)});
}

/* Room for the operations of one pass and for sweeps: a thread's block of a weight with all that is formed on the way, the vectors of all points,
 * the input as the products read it, and what low rank takes beside a weight. The products of the largest batch are made here.
 * What is left, a few kilobytes, grows once, at its first use: products of the side path and of shorter batches. */
void zo_cpu_reserve(zo_backend *be, const zo_layout *layout, const zo_factors *factors, zo_precision precision, const zo_largest *most)
{
    enum { TERMS = 6 }; /* directions that a sweep or a view of a two-point estimate has, at most */
    int64_t widest = 0, rank = 0;
    int points = most->points;
    int64_t tokens = most->tokens, total = tokens > 0 ? tokens * points : points, piece = pieces_of(total / points).size, largest = largest_piece(total / points);
    size_t scratch = 0, vector = 0, scales = 0, numbers = 0, pointers = zo_round_up((size_t)points * sizeof(void *), 64);
    size_t part = (size_t)(STRIPES * points * most->rows) * sizeof(running);
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        zo_cpu_form form = {.npoints = points, .ndirs = TERMS, .rank = factors != NULL ? factors->rank[t] : 0};
        size_t formed = zo_cpu_form_scratch(&form) + pointers, bytes;
        rank = form.rank > rank ? form.rank : rank;
        if (p->kind == ZO_PARAM_SCALES) {
            bytes = (size_t)(p->rows * p->cols * points) * sizeof(float);
            scales = scales > bytes ? scales : bytes;
        } else if (p->kind == ZO_PARAM_VECTOR) {
            bytes = zo_round_up((size_t)(p->cols * points) * sizeof(float), 64) + formed;
            vector = vector > bytes ? vector : bytes;
            bytes = most->backward && !p->bias ? zo_cpu_norm_backward_bytes(tokens * (p->a_token > 0 ? p->a_token : 1), p->cols) : 0;
            part = part > bytes ? part : bytes;
        } else if (p->kind == ZO_PARAM_MATRIX || p->whole) {
            const zo_cpu_product *full, *last;
            int64_t rows = block_rows(points, p->rows, p->cols, precision);
            size_t tile = zo_round_up((size_t)(rows * p->cols) * (precision == ZO_BF16 ? 2 : 4), 64);
            size_t c = zo_round_up((size_t)(largest * rows) * sizeof(float), 64), pad = products_of(be, precision, piece, rows, p, &full, &last);
            size_t most_pad = largest != piece ? products_of(be, precision, largest, rows, p, &full, &last) : pad;
            bytes = (pad > most_pad ? pad : most_pad) + tile * (size_t)points + formed + c;
            scratch = scratch > bytes ? scratch : bytes;
            widest = p->cols > widest ? p->cols : widest;
            bool widened = most->backward && (p->bits > 0 || most->storage != ZO_STORAGE_F32);
            bool decoder = p->kind == ZO_PARAM_TABLE || (most->rows > 0 && p->stage == layout->stages - 1); /* some of its rows at a time */
            bytes = widened ? (size_t)((decoder ? zo_cpu_head_rows(p->rows) : p->rows) * p->cols) * sizeof(float) : 0;
            numbers = numbers > bytes ? numbers : bytes;
            bytes = most->backward ? zo_cpu_head_backward_bytes(most->rows, p->rows) : 0;
            part = part > bytes ? part : bytes;
        }
    }
    zo_cpu_form sweep = {.npoints = 1, .ndirs = TERMS, .rank = (int)rank};
    size_t swept = zo_cpu_form_bytes(1, TERMS) + zo_cpu_form_scratch(&sweep), quotient = rank > 0 ? zo_cpu_rule_lowrank_scratch((int)rank) : 0;
    scratch = scratch > swept ? scratch : swept;
    scratch = scratch > quotient ? scratch : quotient;
#pragma omp parallel num_threads(be->threads)
    {
        zo_cpu_scratch(be, scratch);
    }
    size_t viewed = zo_cpu_form_bytes(points, TERMS), moved = zo_cpu_terms_bytes(TERMS);
    zo_cpu_shared_of(be, ZO_CPU_DIRS, viewed > moved ? viewed : moved);
    zo_cpu_shared_of(be, ZO_CPU_BIAS, vector);
    zo_cpu_shared_of(be, ZO_CPU_VECTOR, vector);
    zo_cpu_shared_of(be, ZO_CPU_SCALES, scales);
    zo_cpu_shared_of(be, ZO_CPU_NUMBERS, numbers);
    zo_cpu_shared_of(be, ZO_CPU_PARTIAL, part);
    zo_cpu_shared_of(be, ZO_CPU_INPUT, precision == ZO_BF16 ? (size_t)(total * widest) * sizeof(uint16_t) : 0);
    zo_cpu_shared_of(be, ZO_CPU_SIDE, (size_t)(total * rank) * sizeof(float));
}
