/* test_cuda_kernels.c: the kernels of cuda/update.cu, cuda/elementwise.cu and cuda/attention.cu under the shim, each slot against the CPU
 * backend: a line a case with its shapes and the largest difference over the largest number, and a hash where bits are promised. Every
 * case runs twice, the second time with blocks and threads in reverse order, and must give the same bits. */
#include <check.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu.h"
#include "backends/cuda/cuda.h"
#include "core/clock.h"
#include "core/rng.h"
#include "tests/suite.h"

extern bool zo_shim_reverse;

static zo_backend *cpu, *gpu;
static uint32_t trail;  /* hash of everything that came from the device in this run */
static bool quiet;      /* the second run: nothing is printed */
static uint64_t device_before, pinned_before; /* bytes that others of this process hold */

static void open_backends(void)
{
    zo_err err;
    device_before = zo_mem_live(ZO_DEVICE).total_bytes;
    pinned_before = zo_mem_live(ZO_PINNED).total_bytes;
    ck_assert_msg(zo_backend_open("cpu", 1, &cpu, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_cuda_open(-1, 1, &gpu, &err) == ZO_OK, "%s", err.text);
}

static void close_backends(void)
{
    cpu->close(cpu);
    gpu->close(gpu);
    ck_assert_uint_eq(zo_mem_live(ZO_DEVICE).total_bytes, device_before);
    ck_assert_uint_eq(zo_mem_live(ZO_PINNED).total_bytes, pinned_before);
}

/* Run a case in both orders of blocks and threads. */
static void both_orders(void (*body)(void))
{
    uint32_t seen[2];
    for (int order = 0; order < 2; order++) {
        zo_shim_reverse = quiet = order == 1;
        trail = 1;
        open_backends();
        body();
        close_backends();
        seen[order] = trail;
    }
    zo_shim_reverse = quiet = false;
    ck_assert_msg(seen[0] == seen[1], "the order of blocks and threads shows in the bits: %08x and %08x", seen[0], seen[1]);
}

/* numbers here and there ------------------------------------------------------------------------------------------------------------ */

static float *values(int64_t n, uint32_t tensor)
{
    float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *x);
    zo_normals((zo_stream){.seed = 99, .tensor = tensor, .role = ZO_ROLE_DATA}, 0, n, x);
    return x;
}

static void *to_device(const void *host, size_t bytes)
{
    void *block = gpu->alloc(gpu, ZO_TAG_OTHER, bytes);
    gpu->upload(gpu, block, host, bytes);
    return block;
}

static float *floats_to_device(const float *host, int64_t n)
{
    return to_device(host, (size_t)n * sizeof *host);
}

static uint32_t hash_of(const float *x, int64_t n, uint32_t hash)
{
    for (int64_t i = 0; i < n; i++) {
        hash = (hash ^ zo_f32_bits(x[i])) * 0x01000193u;
    }
    return hash;
}

/* What the CPU has booked since this was last asked, the GPU has booked on the same parts of a step, but for forming weights, which it does
 * within its kernels. The GPU's time is booked when it is waited for. Nothing is said where the GPU worked alone. */
static void same_parts(const char *slot, const char *shapes)
{
    double host[ZO_PARTS], both[ZO_PARTS], sum = 0.0;
    zo_part_read(host);
    gpu->wait(gpu);
    zo_part_read(both);
    zo_part_reset();
    for (int part = 0; part < ZO_PARTS; part++) {
        sum += host[part];
    }
    for (int part = 0; part < ZO_PARTS && sum > 0.0; part++) {
        bool on_cpu = host[part] > 0.0, on_gpu = both[part] > host[part];
        ck_assert_msg(on_cpu == on_gpu || part == ZO_PART_FORM, "%s %s: the %s alone books time as %s", slot, shapes, on_cpu ? "CPU" : "GPU",
                      zo_part_name((zo_part)part));
    }
}

/* Compare `device` with `want`; tolerance 0 asks for equal bits, else it is a share of the largest number. */
static void same(const char *slot, const char *shapes, const float *want, const float *device, int64_t n, double tolerance)
{
    float *got = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *got);
    same_parts(slot, shapes);
    gpu->download(gpu, got, device, (size_t)n * sizeof *got);
    double scale = 1e-30, worst = 0.0;
    int64_t at = -1, unequal = 0;
    for (int64_t i = 0; i < n; i++) {
        double error = fabs((double)got[i] - want[i]);
        scale = fmax(scale, fabs((double)want[i]));
        unequal += zo_f32_bits(got[i]) != zo_f32_bits(want[i]);
        if (!(error <= worst)) {
            worst = error;
            at = i;
        }
    }
    trail = hash_of(got, n, trail);
    if (!quiet && tolerance > 0.0) {
        printf("%-22s %-56s %10.2e of %.2e\n", slot, shapes, worst / scale, tolerance);
    } else if (!quiet) {
        printf("%-22s %-56s %08x %s\n", slot, shapes, hash_of(got, n, 0x811c9dc5u), unequal == 0 ? "bit-equal" : "DIFFERS");
    }
    if (tolerance > 0.0) {
        ck_assert_msg(worst <= tolerance * scale, "%s %s: element %lld is %.9g, not %.9g", slot, shapes, (long long)at, at < 0 ? 0.0 : got[at],
                      at < 0 ? 0.0 : want[at]);
    } else {
        ck_assert_msg(unequal == 0, "%s %s: %lld of %lld numbers differ, the most at %lld: %.9g, not %.9g", slot, shapes, (long long)unequal,
                      (long long)n, (long long)at, at < 0 ? 0.0 : got[at], at < 0 ? 0.0 : want[at]);
    }
    zo_free(got);
}

/* A name made of numbers, valid until the eighth next. */
static const char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *text(const char *format, ...)
{
    static char room[8][128];
    static int next;
    char *to = room[next++ % 8];
    va_list args;
    va_start(args, format);
    vsnprintf(to, sizeof room[0], format, args);
    va_end(args);
    return to;
}

/* a small model on both backends ------------------------------------------------------------------------------------------------------ */

enum { W, ODD, TABLE, NARROW, BIAS, NORM, ONE, PARAMS };
typedef struct world {
    zo_layout layout;
    zo_store *store, *store_gpu;
    zo_factors *factors, *factors_gpu;
} world;

/* Several tiles of a flat sweep, several panels, widths that are no multiple of four, more components than are shared at a time. */
static void world_new(world *m)
{
    *m = (world){0};
    zo_layout_add(&m->layout, "w", ZO_PARAM_MATRIX, 130, 132, 0, true);
    zo_layout_add(&m->layout, "odd", ZO_PARAM_MATRIX, 67, 70, 0, true);
    zo_layout_add(&m->layout, "table", ZO_PARAM_TABLE, 90, 36, -1, true);
    zo_layout_add(&m->layout, "narrow", ZO_PARAM_TABLE, 33, 37, -1, false);
    zo_layout_add(&m->layout, "bias", ZO_PARAM_VECTOR, 1, 130, 0, false);
    zo_layout_add(&m->layout, "norm", ZO_PARAM_VECTOR, 1, 36, 0, false);
    zo_layout_add(&m->layout, "one", ZO_PARAM_VECTOR, 1, 1, 0, true);
    m->store = zo_store_new(cpu, &m->layout, ZO_TAG_PARAMS);
    m->store_gpu = zo_store_new(gpu, &m->layout, ZO_TAG_PARAMS);
    for (int t = 0; t < PARAMS; t++) {
        cpu->init_normal(cpu, m->store, t, 5, t == NORM ? 1.0f : 0.3f);
        gpu->init_normal(gpu, m->store_gpu, t, 5, t == NORM ? 1.0f : 0.3f);
    }
    int ranks[PARAMS] = {5, 19, 16, 3};
    m->factors = zo_factors_new(cpu, &m->layout, ranks, -0.5, 11);
    m->factors_gpu = zo_factors_new(gpu, &m->layout, ranks, -0.5, 11);
    gpu->reserve(gpu, &m->layout, m->factors_gpu, ZO_F32, &(zo_largest){.points = 4, .tokens = 70});
}

static void world_free(world *m)
{
    zo_factors_free(cpu, m->factors);
    zo_factors_free(gpu, m->factors_gpu);
    zo_store_free(cpu, m->store);
    zo_store_free(gpu, m->store_gpu);
    zo_layout_free(&m->layout);
}

static void stores_same(const world *m, const char *slot, const char *what, const zo_store *want, const zo_store *got)
{
    same(slot, what, want->data, got->data, m->layout.size, 0.0); /* with the padding */
}

/* sweeps ------------------------------------------------------------------------------------------------------------------------------- */

static void draws(void)
{
    world m;
    world_new(&m);
    stores_same(&m, "init_normal", "7 parameters, 132 x 130 to 1", m.store, m.store_gpu);
    for (int t = 0; t < PARAMS; t++) {
        const zo_param *p = &m.layout.param[t];
        if (m.factors->rank[t] > 0) {
            same("draw_factors", text("U (%lld,%d)", (long long)p->rows, m.factors->rank[t]), m.factors->u[t], m.factors_gpu->u[t],
                 p->rows * m.factors->rank[t], 0.0);
            same("draw_factors", text("V (%lld,%d)", (long long)p->cols, m.factors->rank[t]), m.factors->v[t], m.factors_gpu->v[t],
                 p->cols * m.factors->rank[t], 0.0);
        }
    }
    world_free(&m);
}

static const zo_dir gauss = {.kind = ZO_DIR_DENSE, .seed = 7ull << 40 | 3, .step = 3, .query = 1};
static const zo_dir other = {.kind = ZO_DIR_DENSE, .seed = 8, .step = 4};
static const zo_dir next_query = {.kind = ZO_DIR_DENSE, .seed = 7ull << 40 | 3, .step = 3, .query = 2};
static const zo_dir next_step = {.kind = ZO_DIR_DENSE, .seed = 7ull << 40 | 3, .step = 4, .query = 2};
static const zo_dir signs = {.kind = ZO_DIR_DENSE, .draw = ZO_DRAW_RADEMACHER, .seed = 7ull << 40 | 3, .step = 3, .query = 1};
static const zo_dir some_signs = {.kind = ZO_DIR_DENSE, .draw = ZO_DRAW_RADEMACHER, .seed = 7ull << 40 | 3, .step = 3, .query = 1, .skip = {.in = 1}};
static const zo_dir rest_signs = {.kind = ZO_DIR_REST, .draw = ZO_DRAW_RADEMACHER, .seed = 9, .step = 3};
static const zo_dir part = {.kind = ZO_DIR_DENSE, .seed = 8, .step = 4, .skip = {.in = 1}};
static const zo_dir rest = {.kind = ZO_DIR_REST, .seed = 7ull << 40 | 3, .step = 3, .query = 1};
static const zo_dir cp = {.kind = ZO_DIR_CP, .seed = 7, .step = 3, .query = 2};

static void apply_both(world *m, const char *what, const zo_factors *factors, const zo_factors *factors_gpu, double decay, const zo_term *term,
                       int n, const zo_touched *touched)
{
    zo_counters want, got;
    zo_counters_reset();
    cpu->apply(cpu, m->store, factors, decay, term, n, touched);
    zo_counters_read(&want);
    zo_counters_reset();
    gpu->apply(gpu, m->store_gpu, factors_gpu, decay, term, n, touched);
    zo_counters_read(&got);
    stores_same(m, "apply", what, m->store, m->store_gpu);
    ck_assert_uint_eq(want.normals, got.normals);
    ck_assert_uint_eq(want.weight_bytes_written, got.weight_bytes_written);
}

static void applies(void)
{
    world m;
    world_new(&m);
    float *span = values(m.factors->ncoef, 21);
    zo_dir spanned = {.kind = ZO_DIR_SPAN, .span = span};
    zo_term one[] = {{gauss, 1e-3}}, back[] = {{gauss, -1e-3}, {gauss, -2e-4}, {other, 3e-4}, {gauss, 1e-4}, {next_query, 1e-3},
                                                {next_step, 1e-3}};
    zo_term mixed[] = {{rest, 1e-2}, {cp, -2e-2}, {gauss, 1e-3}, {spanned, 0.5}, {other, 0.0}};
    zo_term low[] = {{cp, 0.25}};
    zo_term drawn[] = {{gauss, 1e-3}, {signs, 1e-3}, {some_signs, -3e-3}, {part, 2e-3}}, beside[] = {{rest_signs, 1e-3}, {cp, 1e-2}, {signs, 1e-3}, {part, 1e-2}};
    zo_term left_out[] = {{part, 1e-3}, {some_signs, 1e-3}};
    int params[] = {TABLE, NARROW};
    const int32_t table_rows[] = {0, 3, 4, 5, 40, 89}, narrow_rows[] = {1, 2, 9, 32}, *rows[] = {table_rows, narrow_rows};
    const int32_t counts[] = {6, 4}, none[] = {0, 0};
    zo_touched some = {.nparams = 2, .param = params, .row = rows, .n = counts}, nothing = some;
    nothing.n = none;
    apply_both(&m, "1 GAUSS term, no factors", NULL, NULL, 1.0, one, 1, NULL);
    apply_both(&m, "6 GAUSS terms, decay, factors", m.factors, m.factors_gpu, 0.999, back, 6, NULL);
    apply_both(&m, "6 GAUSS terms, touched rows", m.factors, m.factors_gpu, 0.999, back, 6, &some);
    apply_both(&m, "no term, decay", NULL, NULL, 0.75, NULL, 0, NULL);
    apply_both(&m, "REST + CP + GAUSS + SPAN, decay", m.factors, m.factors_gpu, 0.99, mixed, 5, NULL);
    apply_both(&m, "REST + CP + GAUSS + SPAN, touched rows", m.factors, m.factors_gpu, 1.0, mixed, 5, &some);
    apply_both(&m, "CP alone", m.factors, m.factors_gpu, 1.0, low, 1, NULL);
    apply_both(&m, "CP alone, no row touched", m.factors, m.factors_gpu, 1.0, low, 1, &nothing);
    apply_both(&m, "signs, blocks left out, decay", NULL, NULL, 0.999, drawn, 4, NULL);
    apply_both(&m, "signs, blocks left out, touched rows", m.factors, m.factors_gpu, 1.0, drawn, 4, &some);
    apply_both(&m, "signs beside CP", m.factors, m.factors_gpu, 1.0, beside, 4, NULL);
    apply_both(&m, "a block that all leave out", NULL, NULL, 1.0, left_out, 2, NULL);
    apply_both(&m, "no term at all", m.factors, m.factors_gpu, 1.0, NULL, 0, NULL);
    m.layout.decays_whole = true;
    apply_both(&m, "no term, the whole decays", NULL, NULL, 0.75, NULL, 0, NULL);
    apply_both(&m, "2 GAUSS terms, the whole decays", NULL, NULL, 0.99, back, 2, NULL);
    zo_free(span);
    world_free(&m);
}

/* Values of a set as terms, between draws and beside CP, on a part of the rows, and in what is formed; and a rule whose operand is drawn. */
static void sets(void)
{
    world m;
    world_new(&m);
    int64_t n = m.layout.size;
    zo_store *here[3], *there[3]; /* a set, two moments */
    for (int i = 0; i < 3; i++) {
        here[i] = zo_store_new(cpu, &m.layout, ZO_TAG_OPT_STATE);
        there[i] = zo_store_new(gpu, &m.layout, ZO_TAG_OPT_STATE);
    }
    for (int t = 0; t < PARAMS; t++) {
        cpu->init_normal(cpu, here[0], t, 78, 0.5f);
    }
    gpu->upload(gpu, there[0]->data, here[0]->data, (size_t)n * sizeof(float));
    zo_dir mine = {.kind = ZO_DIR_SET, .values = here[0]}, theirs = {.kind = ZO_DIR_SET, .values = there[0]};
    const int32_t table_rows[] = {0, 3, 4, 5, 40, 89}, *rows[] = {table_rows};
    const int32_t counts[] = {6};
    int params[] = {TABLE};
    zo_touched some = {.nparams = 1, .param = params, .row = rows, .n = counts};
    for (int way = 0; way < 3; way++) {
        zo_term term[] = {{gauss, 1e-2}, {mine, 2e-2}, {gauss, -3e-2}, {way == 1 ? cp : part, 1e-2}, {mine, -1e-2}};
        zo_counters want, got;
        const zo_touched *touched = way == 2 ? &some : NULL;
        zo_counters_reset();
        cpu->apply(cpu, m.store, m.factors, 0.99, term, 5, touched);
        zo_counters_read(&want);
        term[1].dir = term[4].dir = theirs;
        zo_counters_reset();
        gpu->apply(gpu, m.store_gpu, m.factors_gpu, 0.99, term, 5, touched);
        zo_counters_read(&got);
        ck_assert_uint_eq(want.normals, got.normals);
        ck_assert_uint_eq(want.weight_bytes_written, got.weight_bytes_written);
        stores_same(&m, "apply", text("SET between draws%s", way == 1 ? ", beside CP" : way == 2 ? ", touched rows" : ""), m.store, m.store_gpu);
    }
    for (int step = 1; step <= 3; step++) {
        zo_rule_args args = {.lr = 1e-2f * (float)step, .decay = 0.1f, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f,
                             .correct1 = 1.0f - powf(0.9f, (float)step), .correct2 = 1.0f - powf(0.99f, (float)step)};
        zo_term term[] = {{gauss, 0.3}, {some_signs, -0.2}, {mine, step == 3 ? 0.0 : 0.1}};
        zo_counters want, got;
        zo_counters_reset();
        cpu->rule_drawn(cpu, ZO_RULE_ADAMW, &args, m.store, term, 3, here[1], here[2]);
        zo_counters_read(&want);
        term[2].dir = theirs;
        zo_counters_reset();
        gpu->rule_drawn(gpu, ZO_RULE_ADAMW, &args, m.store_gpu, term, 3, there[1], there[2]);
        zo_counters_read(&got);
        ck_assert_uint_eq(want.normals, got.normals);
        ck_assert_uint_eq(want.weight_bytes_written, got.weight_bytes_written);
    }
    stores_same(&m, "rule_drawn", "adamw, w after 3 steps", m.store, m.store_gpu);
    zo_rule_args step_of = {.lr = 1e-2f, .decay = 0.1f};
    zo_term ours[] = {{gauss, 0.3}, {some_signs, -0.2}, {mine, 0.1}}, same[] = {{gauss, 0.3}, {some_signs, -0.2}, {theirs, 0.1}};
    cpu->rule_drawn(cpu, ZO_RULE_SIGN, &step_of, m.store, ours, 3, NULL, NULL);
    gpu->rule_drawn(gpu, ZO_RULE_SIGN, &step_of, m.store_gpu, same, 3, NULL, NULL);
    stores_same(&m, "rule_drawn", "sign, w", m.store, m.store_gpu);
    zo_rule_args of_adamu = {.lr = 1e-2f, .beta1 = 0.7f, .beta2 = 0.9f, .eps = 1e-8f};
    cpu->rule_drawn(cpu, ZO_RULE_ADAMU, &of_adamu, m.store, ours, 1, here[1], NULL);
    gpu->rule_drawn(gpu, ZO_RULE_ADAMU, &of_adamu, m.store_gpu, same, 1, there[1], NULL);
    stores_same(&m, "rule_drawn", "adamu, w", m.store, m.store_gpu);
    static const zo_rule_kind replaying[] = {ZO_RULE_WINDOW, ZO_RULE_REPLAYED};
    zo_rule_args of_past = {.lr = 1e-2f, .decay = 0.1f, .beta1 = 0.7f, .beta2 = 0.9f, .eps = 1e-8f, .correct1 = 0.5f, .correct2 = 0.2f};
    for (int k = 0; k < 2; k++) {
        zo_counters drawn_here, drawn_there;
        zo_counters_reset();
        cpu->rule_drawn(cpu, replaying[k], &of_past, m.store, ours, 3, NULL, NULL);
        zo_counters_read(&drawn_here);
        zo_counters_reset();
        gpu->rule_drawn(gpu, replaying[k], &of_past, m.store_gpu, same, 3, NULL, NULL);
        zo_counters_read(&drawn_there);
        ck_assert_uint_eq(drawn_here.normals, drawn_there.normals);
        stores_same(&m, "rule_drawn", k == 0 ? "window, w" : "replayed, w", m.store, m.store_gpu);
    }
    for (int way = 0; way < 3; way++) { /* two draws in a pass; the corrected rule with more noise than rounding makes, and with less */
        zo_rule_kind rule = way == 0 ? ZO_RULE_ROUNDED : ZO_RULE_CORRECTED;
        zo_rule_args of_grid = {.lr = 1e-2f, .eps = 0x1p-8f, .gamma = way == 1 ? 1e-4f : 3e-6f, .floor = -0x1p-1f};
        zo_term draws[] = {{gauss, 1.0}, {other, 1.0}};
        zo_counters drawn_here, drawn_there;
        zo_counters_reset();
        cpu->rule_drawn(cpu, rule, &of_grid, m.store, draws, 2, here[1], NULL);
        zo_counters_read(&drawn_here);
        zo_counters_reset();
        gpu->rule_drawn(gpu, rule, &of_grid, m.store_gpu, draws, 2, there[1], NULL);
        zo_counters_read(&drawn_there);
        ck_assert_uint_eq(drawn_here.normals, drawn_there.normals);
        stores_same(&m, "rule_drawn", text("to a grid, way %d", way), m.store, m.store_gpu);
    }
    stores_same(&m, "rule_drawn", "adamw, m", here[1], there[1]);
    stores_same(&m, "rule_drawn", "adamw, v", here[2], there[2]);
    for (int i = 0; i < 3; i++) {
        zo_store_free(cpu, here[i]);
        zo_store_free(gpu, there[i]);
    }
    world_free(&m);
}

/* Directions that a set scales, either way, between others, on a part of the rows; and the rule that writes that set, of operands that it scales. */
static void scaled(void)
{
    world m;
    world_new(&m);
    zo_store *here = zo_store_new(cpu, &m.layout, ZO_TAG_OPT_STATE), *there = zo_store_new(gpu, &m.layout, ZO_TAG_OPT_STATE);
    size_t bytes = (size_t)m.layout.size * sizeof(float);
    for (int t = 0; t < PARAMS; t++) {
        cpu->init_normal(cpu, here, t, 79, 1.0f);
    }
    for (int64_t i = 0; i < m.layout.size; i++) {
        here->data[i] = here->data[i] * here->data[i] + 0.01f;
    }
    gpu->upload(gpu, there->data, here->data, bytes);
    const int32_t table_rows[] = {0, 3, 4, 5, 40, 89}, *rows[] = {table_rows};
    const int32_t counts[] = {6};
    int params[] = {TABLE};
    zo_touched some = {.nparams = 1, .param = params, .row = rows, .n = counts};
    for (int step = 0; step < 4; step++) {
        zo_dir root = gauss, times = other, left_out = part;
        root.scale = times.scale = left_out.scale = 1;
        root.scaling = left_out.scaling = ZO_SCALING_PER_ROOT;
        root.step += (uint32_t)step;
        zo_counters want, got;
        for (int s = 0; s < 2; s++) {
            zo_backend *be = s == 0 ? cpu : gpu;
            root.by = times.by = left_out.by = s == 0 ? here : there;
            zo_term term[] = {{root, 1e-2}, {root, 2e-2}, {gauss, -3e-2}, {times, 1e-2}, {left_out, 4e-2}, {signs, 1e-3}};
            zo_term seen[] = {{gauss, 0.4}, {root, 0.1}, {times, -0.2}};
            static const zo_rule_kind kind[] = {ZO_RULE_CURVATURE, ZO_RULE_SQUARE, ZO_RULE_CURVATURE, ZO_RULE_CHOSEN};
            zo_rule_args args = {.lr = 0.125f, .beta2 = 0.7f, .eps = 0.3f};
            zo_counters_reset();
            be->apply(be, s == 0 ? m.store : m.store_gpu, s == 0 ? m.factors : m.factors_gpu, 0.99, term, 6, step % 2 ? &some : NULL);
            be->rule_drawn(be, kind[step], &args, s == 0 ? here : there, seen, 3, NULL, NULL);
            zo_counters_read(s == 0 ? &want : &got);
        }
        ck_assert_uint_eq(want.normals, got.normals);
        ck_assert_uint_eq(want.weight_bytes_written, got.weight_bytes_written);
        stores_same(&m, "apply", text("directions that a set scales%s", step % 2 ? ", touched rows" : ""), m.store, m.store_gpu);
        stores_same(&m, "rule_drawn", "over a set", here, there);
    }
    zo_store_free(cpu, here);
    zo_store_free(gpu, there);
    world_free(&m);
}

/* Factors of a direction's own: U and V drawn as stores, what sweeps add with them, and what is formed, also where two directions of one sweep have
 * other factors than each other. */
static void own_factors(void)
{
    world m;
    world_new(&m);
    int ranks[PARAMS] = {5, 19, 16, 3};
    zo_factors *f = zo_factors_new_own(&m.layout, ranks, -0.5, 11);
    zo_dir mine[2], theirs[2];
    zo_store *here[4], *there[4]; /* U and V of two directions */
    for (int i = 0; i < 4; i++) {
        const zo_layout *side = i % 2 == 0 ? &f->left : &f->right;
        zo_term draw = {.dir = {.kind = ZO_DIR_DENSE, .seed = 11, .step = (uint32_t)(3 + i)}, .coef = 1.0};
        here[i] = zo_store_new(cpu, side, ZO_TAG_OPT_STATE);
        there[i] = zo_store_new(gpu, side, ZO_TAG_OPT_STATE);
        cpu->apply(cpu, here[i], NULL, 1.0, &draw, 1, NULL);
        gpu->apply(gpu, there[i], NULL, 1.0, &draw, 1, NULL);
        same("apply", text("%s of %d matrices, drawn", i % 2 == 0 ? "U" : "V", side->n), here[i]->data, there[i]->data, side->size, 0.0);
    }
    for (int i = 0; i < 2; i++) {
        mine[i] = theirs[i] = (zo_dir){.kind = ZO_DIR_FACTORS, .seed = 11, .step = (uint32_t)i, .period = 1};
        mine[i].own.left = here[2 * i]->data;
        mine[i].own.right = here[2 * i + 1]->data;
        theirs[i].own.left = there[2 * i]->data;
        theirs[i].own.right = there[2 * i + 1]->data;
    }
    const int32_t table_rows[] = {0, 3, 4, 5, 40, 89}, *rows[] = {table_rows}, counts[] = {6};
    int params[] = {TABLE};
    zo_touched some = {.nparams = 1, .param = params, .row = rows, .n = counts};
    for (int way = 0; way < 3; way++) {
        zo_term term[] = {{mine[0], -1e-2}, {rest, 2e-2}, {mine[0], 3e-3}, {way == 1 ? part : mine[1], 1e-2}}, same_term[4];
        zo_counters want, got;
        memcpy(same_term, term, sizeof term);
        same_term[0].dir = same_term[2].dir = theirs[0];
        same_term[3].dir = way == 1 ? part : theirs[1];
        zo_counters_reset();
        cpu->apply(cpu, m.store, f, 0.99, term, 4, way == 2 ? &some : NULL);
        zo_counters_read(&want);
        zo_counters_reset();
        gpu->apply(gpu, m.store_gpu, f, 0.99, same_term, 4, way == 2 ? &some : NULL);
        zo_counters_read(&got);
        ck_assert_uint_eq(want.normals, got.normals);
        ck_assert_uint_eq(want.weight_bytes_written, got.weight_bytes_written);
        stores_same(&m, "apply", text("FACTORS%s", way == 0 ? ", of two directions" : way == 1 ? " beside a draw" : ", touched rows"), m.store, m.store_gpu);
    }
    zo_store *cores[2] = {zo_store_new(cpu, &f->core, ZO_TAG_OTHER), zo_store_new(gpu, &f->core, ZO_TAG_OTHER)}; /* V' V over cols, and U by that */
    cpu->multiply(cpu, here[1], true, here[3], cores[0]);
    gpu->multiply(gpu, there[1], true, there[3], cores[1]);
    same("multiply", text("V' V over cols, of %d matrices", f->core.n), cores[0]->data, cores[1]->data, f->core.size, 0.0);
    zo_store *held[2] = {zo_store_new(cpu, &f->held, ZO_TAG_OTHER), zo_store_new(gpu, &f->held, ZO_TAG_OTHER)}, *turned[2];
    turned[0] = zo_store_new(cpu, &f->left, ZO_TAG_OTHER);
    turned[1] = zo_store_new(gpu, &f->left, ZO_TAG_OTHER);
    zo_term draw = {.dir = {.kind = ZO_DIR_DENSE, .seed = 11, .step = 9}, .coef = 0.5};
    cpu->apply(cpu, held[0], NULL, 1.0, &draw, 1, NULL);
    gpu->apply(gpu, held[1], NULL, 1.0, &draw, 1, NULL);
    cpu->multiply(cpu, held[0], false, cores[0], turned[0]);
    gpu->multiply(gpu, held[1], false, cores[1], turned[1]);
    same("multiply", text("U S, of %d matrices", f->left.n), turned[0]->data, turned[1]->data, f->left.size, 0.0);
    for (int r = 0; r < 16; r++) { /* an oracle of the third matrix: the sums in the other order */
        double sum = 0.0;
        const float *u = held[0]->data + f->held.param[2].offset, *s = cores[0]->data + f->core.param[2].offset;
        for (int k = 15; k >= 0; k--) {
            sum += (double)u[7 * 16 + k] * s[k * 16 + r];
        }
        ck_assert_double_eq_tol(turned[0]->data[f->left.param[2].offset + 7 * 16 + r], sum, 1e-6);
    }
    for (int way = 0; way < 2; way++) {
        zo_dir along = {.kind = ZO_DIR_HELD, .set = 1, .seed = 11, .period = 1}, theirs_along = along;
        along.own.left = held[0]->data;
        along.own.right = here[1]->data;
        theirs_along.own.left = held[1]->data;
        theirs_along.own.right = there[1]->data;
        zo_term term[] = {{mine[0], -1e-2}, {along, 3e-2}, {rest, 1e-2}}, same_term[] = {{theirs[0], -1e-2}, {theirs_along, 3e-2}, {rest, 1e-2}};
        zo_counters want, got;
        zo_counters_reset();
        cpu->apply(cpu, m.store, f, 1.0, term, 3, way == 1 ? &some : NULL);
        zo_counters_read(&want);
        zo_counters_reset();
        gpu->apply(gpu, m.store_gpu, f, 1.0, same_term, 3, way == 1 ? &some : NULL);
        zo_counters_read(&got);
        ck_assert_uint_eq(want.normals, got.normals);
        ck_assert_uint_eq(want.weight_bytes_written, got.weight_bytes_written);
        stores_same(&m, "apply", text("HELD beside FACTORS and REST%s", way == 1 ? ", touched rows" : ""), m.store, m.store_gpu);
    }
    for (int s = 0; s < 2; s++) {
        zo_store_free(s == 0 ? cpu : gpu, cores[s]);
        zo_store_free(s == 0 ? cpu : gpu, held[s]);
        zo_store_free(s == 0 ? cpu : gpu, turned[s]);
    }
    static const int32_t ids[] = {3, 0, 32, 3, 17, 31, 3};
    enum { T = sizeof ids / sizeof *ids, POINTS = 2 };
    const zo_store *base[] = {m.store, m.store}, *base_gpu[] = {m.store_gpu, m.store_gpu};
    zo_dir dir[] = {mine[0], rest, mine[1]}, dir_gpu[] = {theirs[0], rest, theirs[1]};
    static const float coef[] = {0.1f, 0.2f, 0.0f, -0.1f, 0.2f, 0.3f};
    zo_view view = {.npoints = POINTS, .base = base, .ndirs = 3, .dir = dir, .coef = coef, .factors = f}, view_gpu = view;
    view_gpu.base = base_gpu;
    view_gpu.dir = dir_gpu;
    for (int table = TABLE; table <= NARROW; table++) {
        int64_t n = POINTS * T * m.layout.param[table].cols;
        float *x = values(n, 41), *on_device = floats_to_device(x, n);
        cpu->embed(cpu, &view, table, ids, T, true, x);
        gpu->embed(gpu, &view_gpu, table, ids, T, true, on_device);
        same("embed", text("FACTORS, P %d, (%d,%lld)", POINTS, T, (long long)m.layout.param[table].cols), x, on_device, n, 0.0);
        gpu->release(gpu, on_device);
        zo_free(x);
    }
    for (int i = 0; i < 4; i++) {
        zo_store_free(cpu, here[i]);
        zo_store_free(gpu, there[i]);
    }
    zo_factors_free(cpu, f);
    world_free(&m);
}

/* Thirty steps of probes taken back with the update, as a run makes them: the weights at the end have one hash on both. */
static void replays(void)
{
    world m;
    world_new(&m);
    for (uint32_t step = 0; step < 30; step++) {
        zo_dir z = {.kind = ZO_DIR_DENSE, .seed = 42, .step = step};
        zo_term out[] = {{z, 1e-3}}, flip[] = {{z, -2e-3}}, back[] = {{z, 1e-3}, {z, 1e-4 * sin(step)}};
        zo_store *stores[] = {m.store, m.store_gpu};
        zo_backend *backends[] = {cpu, gpu};
        for (int b = 0; b < 2; b++) {
            backends[b]->apply(backends[b], stores[b], NULL, 1.0, out, 1, NULL);
            backends[b]->apply(backends[b], stores[b], NULL, 1.0, flip, 1, NULL);
            backends[b]->apply(backends[b], stores[b], NULL, 1.0 - 1e-5 * step, back, 2, NULL);
        }
    }
    stores_same(&m, "replay", "30 steps of out, flip, back with update and decay", m.store, m.store_gpu);
    world_free(&m);
}

static void rules(void)
{
    static const char *const names[] = {
#define X(id, function, name) name,
        ZO_RULE_LIST(X)
#undef X
    };
    world m;
    world_new(&m);
    int64_t n = m.layout.size;
    zo_store *here[3], *there[3]; /* gradient, first and second moment */
    for (int i = 0; i < 3; i++) {
        here[i] = zo_store_new(cpu, &m.layout, ZO_TAG_OPT_STATE);
        there[i] = zo_store_new(gpu, &m.layout, ZO_TAG_OPT_STATE);
    }
    for (int t = 0; t < PARAMS; t++) {
        cpu->init_normal(cpu, here[0], t, 77, 0.02f);
    }
    gpu->upload(gpu, there[0]->data, here[0]->data, (size_t)n * sizeof(float));
    for (int rule = 0; rule < ZO_RULES; rule++) {
        bool m_used = rule != ZO_RULE_SGD && rule != ZO_RULE_SIGN && rule != ZO_RULE_CURVATURE && rule != ZO_RULE_CHOSEN && rule != ZO_RULE_SQUARE;
        bool v_used = rule == ZO_RULE_ADAMW || rule == ZO_RULE_QUOTIENT || rule == ZO_RULE_MOMENTS || zo_rule_replays((zo_rule_kind)rule) || rule == ZO_RULE_FLOORED ||
                      zo_rule_pairs((zo_rule_kind)rule);
        for (int i = 1; i < 3; i++) {
            cpu->zero(cpu, here[i]->data, (size_t)n * sizeof(float));
            gpu->zero(gpu, there[i]->data, (size_t)n * sizeof(float));
        }
        for (int step = 1; step <= 3; step++) {
            zo_rule_args args = {.lr = 1e-2f * (float)step, .decay = 0.1f, .beta1 = 0.9f, .beta2 = 0.99f, .eps = rule == ZO_RULE_SMALL || zo_rule_pairs((zo_rule_kind)rule) ? 0.01f : 1e-8f,
                                 .gamma = 0.5f, .floor = zo_rule_pairs((zo_rule_kind)rule) ? -1.0f : 0.1f, .correct1 = 1.0f - powf(0.9f, (float)step), .correct2 = 1.0f - powf(0.99f, (float)step)};
            m.layout.decays_whole = step == 3;
            cpu->rule(cpu, (zo_rule_kind)rule, &args, m.store, here[0], m_used ? here[1] : NULL, v_used ? here[2] : NULL);
            gpu->rule(gpu, (zo_rule_kind)rule, &args, m.store_gpu, there[0], m_used ? there[1] : NULL, v_used ? there[2] : NULL);
        }
        stores_same(&m, "rule", text("%s, w after 3 steps", names[rule]), m.store, m.store_gpu);
        stores_same(&m, "rule", text("%s, m", names[rule]), here[1], there[1]);
        stores_same(&m, "rule", text("%s, v", names[rule]), here[2], there[2]);
    }
    for (int i = 0; i < 3; i++) {
        zo_store_free(cpu, here[i]);
        zo_store_free(gpu, there[i]);
    }
    world_free(&m);
}

static void rules_of_low_rank(void)
{
    world m;
    world_new(&m);
    zo_rule_args args = {.lr = 1e-3f, .eps = 1e-5f};
    float *first = values(m.factors->ncoef, 31), *second = values(m.factors->ncoef, 32);
    for (int64_t s = 0; s < m.factors->ncoef; s++) {
        second[s] *= second[s];
    }
    cpu->rule_lowrank(cpu, ZO_RULE_QUOTIENT, &args, m.store, m.factors, first, second);
    gpu->rule_lowrank(gpu, ZO_RULE_QUOTIENT, &args, m.store_gpu, m.factors_gpu, first, second);
    int t = 0; /* one parameter frozen */
    while (m.factors->rank[t] == 0) {
        t++;
    }
    m.factors->scale[t] = m.factors_gpu->scale[t] = 0.0f;
    zo_counters before, between, after;
    zo_counters_read(&before);
    cpu->rule_lowrank(cpu, ZO_RULE_QUOTIENT, &args, m.store, m.factors, first, second);
    zo_counters_read(&between);
    gpu->rule_lowrank(gpu, ZO_RULE_QUOTIENT, &args, m.store_gpu, m.factors_gpu, first, second);
    zo_counters_read(&after);
    ck_assert_uint_eq(after.weight_bytes_written - between.weight_bytes_written, between.weight_bytes_written - before.weight_bytes_written);
    stores_same(&m, "rule_lowrank", "(130,132) rank 5, (67,70) 19, (90,36) 16, (33,37) 3", m.store, m.store_gpu);
    zo_free(first);
    zo_free(second);
    world_free(&m);
}

static void reductions(void)
{
    static const int64_t sizes[] = {1, 17, 16384, 16385, 70000, 300001}; /* the last by more than one block of threads */
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        zo_layout layout = {0};
        zo_layout_add(&layout, "a", ZO_PARAM_VECTOR, 1, sizes[i], 0, false);
        zo_store *a = zo_store_new(cpu, &layout, ZO_TAG_PARAMS), *b = zo_store_new(cpu, &layout, ZO_TAG_PARAMS);
        zo_store *c = zo_store_new(gpu, &layout, ZO_TAG_PARAMS), *d = zo_store_new(gpu, &layout, ZO_TAG_PARAMS);
        cpu->init_normal(cpu, a, 0, 1, 1.0f);
        cpu->init_normal(cpu, b, 0, 2, 1.0f);
        gpu->init_normal(gpu, c, 0, 1, 1.0f);
        gpu->init_normal(gpu, d, 0, 2, 1.0f);
        double want = cpu->dot(cpu, a, b), got = gpu->dot(gpu, c, d);
        if (!quiet) {
            printf("%-22s %-56s %.17g %s\n", "dot", text("(%lld)", (long long)sizes[i]), got, want == got ? "bit-equal" : "DIFFERS");
        }
        ck_assert_msg(want == got, "dot of %lld: %.17g, not %.17g", (long long)sizes[i], got, want);
        ck_assert(gpu->finite(gpu, c));
        for (int bad = 0; bad < 3; bad++) {
            float value = bad == 0 ? INFINITY : bad == 1 ? -INFINITY : NAN, kept;
            int64_t at = bad == 1 ? 0 : sizes[i] - 1;
            gpu->download(gpu, &kept, c->data + at, sizeof kept);
            gpu->upload(gpu, c->data + at, &value, sizeof value);
            ck_assert_msg(!gpu->finite(gpu, c), "%g at %lld was not seen", value, (long long)at);
            gpu->upload(gpu, c->data + at, &kept, sizeof kept);
        }
        zo_store_free(cpu, a);
        zo_store_free(cpu, b);
        zo_store_free(gpu, c);
        zo_store_free(gpu, d);
        zo_layout_free(&layout);
    }
    if (!quiet) {
        printf("%-22s %-56s\n", "finite", "(1) to (70000), inf, -inf and NaN at both ends");
    }
}

/* views of every kind -------------------------------------------------------------------------------------------------------------------- */

enum { STORED, GAUSSIAN, MIXED, LOWRANK, SIDE, KINDS };
static const char *const kind_name[] = {"stored", "gauss", "mixed", "cp", "side"};
typedef struct setting {
    const zo_store *base[4], *base_gpu[4];
    zo_dir dir[4];
    float coef[16], *side, *span;
    zo_view view, view_gpu;
} setting;

static void setting_new(setting *s, const world *m, int kind, int points)
{
    memset(s, 0, sizeof *s);
    s->span = values(m->factors->ncoef, 21);
    int n = 0;
    if (kind == GAUSSIAN) {
        s->dir[n++] = gauss;
    } else if (kind == MIXED) {
        s->dir[n++] = gauss;
        s->dir[n++] = signs;
        s->dir[n++] = rest;
        s->dir[n++] = part;
    } else if (kind == LOWRANK) {
        s->dir[n++] = rest;
        s->dir[n++] = cp;
        s->dir[n++] = gauss;
        s->dir[n++] = (zo_dir){.kind = ZO_DIR_SPAN, .span = s->span};
    } else if (kind == SIDE) {
        s->dir[n++] = rest;
        s->side = values(points * m->factors->ncoef, 22);
    }
    for (int p = 0; p < points; p++) {
        s->base[p] = m->store;
        s->base_gpu[p] = m->store_gpu;
        for (int d = 0; d < n; d++) {
            s->coef[p * n + d] = (p + d) % 3 == 2 ? 0.0f : (p % 2 ? -0.1f : 0.1f) * (float)(1 + d);
        }
    }
    s->view = (zo_view){.npoints = points, .base = s->base, .ndirs = n, .dir = s->dir, .coef = s->coef, .factors = m->factors,
                        .side = s->side};
    s->view_gpu = s->view;
    s->view_gpu.base = s->base_gpu;
    s->view_gpu.factors = m->factors_gpu;
}

static void setting_free(setting *s)
{
    zo_free(s->side);
    zo_free(s->span);
}

static void embeds(void)
{
    static const int32_t ids[] = {3, 0, 32, 3, 17, 31, 3};
    enum { T = sizeof ids / sizeof *ids };
    world m;
    world_new(&m);
    for (int kind = 0; kind < KINDS; kind++) {
        for (int points = 1; points <= 4; points += points) {
            for (int table = TABLE; table <= NARROW; table++) {
                setting s;
                setting_new(&s, &m, kind, points);
                int64_t cols = m.layout.param[table].cols, n = points * T * cols;
                for (int add = 0; add < 2; add++) {
                    float *x = values(n, 41), *there = floats_to_device(x, n);
                    zo_counters want, got;
                    zo_counters_reset();
                    cpu->embed(cpu, &s.view, table, ids, T, add, x);
                    zo_counters_read(&want);
                    zo_counters_reset();
                    gpu->embed(gpu, &s.view_gpu, table, ids, T, add, there);
                    zo_counters_read(&got);
                    same("embed", text("%s, P %d, (%d,%lld)%s", kind_name[kind], points, T, (long long)cols, add ? ", added" : ""), x, there, n,
                         0.0);
                    ck_assert_uint_eq(want.normals, got.normals);
                    gpu->release(gpu, there);
                    zo_free(x);
                }
                setting_free(&s);
            }
        }
    }
    world_free(&m);
}

/* elementwise and rows ------------------------------------------------------------------------------------------------------------------- */

static const char *const act_name[] = {"none", "gelu", "gelu_tanh", "relu", "silu", "tanh"};

static void activations(void)
{
    static const int64_t sizes[] = {1, 1023, 4096}; /* on a 16-byte boundary and beside it */
    for (int act = ZO_ACT_NONE; act <= ZO_ACT_TANH; act++) {
        for (int i = 0; i < 6; i++) {
            int64_t n = sizes[i / 2], off = i % 2;
            const char *what = text("%s, (%lld)%s", act_name[act], (long long)n, off ? ", unaligned" : "");
            float *a = values(n, 51), *b = values(n, 52), *d = values(n, 53), *y = values(n, 54), *z = values(n, 55);
            float *ga = floats_to_device(a, n), *y_room = gpu->alloc(gpu, ZO_TAG_OTHER, (size_t)(n + 1) * sizeof *a);
            float *gb = floats_to_device(b, n), *z_room = gpu->alloc(gpu, ZO_TAG_OTHER, (size_t)(n + 1) * sizeof *a);
            float *gd = floats_to_device(d, n), *gy = y_room + off, *gz = z_room + off;
            cpu->glu(cpu, (zo_act)act, a, b, n, y);
            gpu->glu(gpu, (zo_act)act, ga, gb, n, gy);
            same("glu", what, y, gy, n, 0.0);
            cpu->glu_backward(cpu, (zo_act)act, a, b, d, n, y, z);
            gpu->glu_backward(gpu, (zo_act)act, ga, gb, gd, n, gy, gz);
            same("glu_backward", text("%s, dgate", what), y, gy, n, 0.0);
            same("glu_backward", text("%s, dup", what), z, gz, n, 0.0);
            gpu->copy(gpu, gy, gd, (size_t)n * sizeof *a); /* dgate over dy */
            gpu->glu_backward(gpu, (zo_act)act, ga, gb, gy, n, gy, gz);
            same("glu_backward", text("%s, dgate over dy", what), y, gy, n, 0.0);
            memcpy(y, d, (size_t)n * sizeof *d);
            gpu->copy(gpu, gy, gd, (size_t)n * sizeof *a);
            cpu->act_backward(cpu, (zo_act)act, a, n, y);
            gpu->act_backward(gpu, (zo_act)act, ga, n, gy);
            if (act == ZO_ACT_NONE) {
                zo_part_reset(); /* nothing to do, and the GPU does not begin */
            }
            same("act_backward", what, y, gy, n, 0.0);
            cpu->add(cpu, y, b, n);
            gpu->add(gpu, gy, gb, n);
            same("add", what, y, gy, n, 0.0);
            cpu->scale(cpu, y, n, 1.7f);
            gpu->scale(gpu, gy, n, 1.7f);
            same("scale", what, y, gy, n, 0.0);
            cpu->softcap(cpu, y, n, 0.9f);
            gpu->softcap(gpu, gy, n, 0.9f);
            same("softcap", what, y, gy, n, 0.0);
            cpu->softcap_backward(cpu, 0.9f, y, n, a);
            gpu->softcap_backward(gpu, 0.9f, gy, n, ga);
            same("softcap_backward", what, a, ga, n, 0.0);
            float *blocks[] = {ga, gb, gd, y_room, z_room};
            for (int j = 0; j < 5; j++) {
                gpu->release(gpu, blocks[j]);
            }
            zo_free(a);
            zo_free(b);
            zo_free(d);
            zo_free(y);
            zo_free(z);
        }
        for (int rows = 5; rows <= 520; rows += 515) {
            enum { P = 2, T = 7 };
            int64_t n = P * T * rows;
            float *x = values(n, 56), *bias = values(P * rows, 57), *y = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *y);
            float *gx = floats_to_device(x, n), *gb = floats_to_device(bias, P * rows), *pre = gpu->alloc(gpu, ZO_TAG_OTHER, (size_t)n * 4);
            for (int64_t i = 0; i < n; i++) {
                x[i] += bias[i / (T * rows) * rows + i % rows];
            }
            zo_cpu_act((zo_act)act, x, n, y);
            zo_cuda_finish(gpu, (zo_act)act, gb, P, T, rows, gx, pre);
            same("finish", text("%s, (%d,%d,%d)", act_name[act], P, T, rows), y, gx, n, 0.0);
            same("finish", text("%s, (%d,%d,%d), before it", act_name[act], P, T, rows), x, pre, n, 0.0);
            zo_cpu_act((zo_act)act, y, n, x);
            zo_cuda_finish(gpu, (zo_act)act, NULL, P, T, rows, gx, NULL);
            same("finish", text("%s, (%d,%d,%d), no bias", act_name[act], P, T, rows), x, gx, n, 0.0);
            gpu->release(gpu, gx);
            gpu->release(gpu, gb);
            gpu->release(gpu, pre);
            zo_free(x);
            zo_free(bias);
            zo_free(y);
        }
    }
}

static void rows(void)
{
    static const int64_t widths[] = {1, 37, 64, 1028};
    enum { P = 2, T = 40, N = 300 };
    int32_t at[N];
    for (int i = 0; i < N; i++) { /* many tokens share a row, some are alone, one comes very often */
        at[i] = i % 5 == 0 ? 7 : (int32_t)zo_below((zo_stream){.seed = 3, .role = ZO_ROLE_DATA}, (uint64_t)i, T);
    }
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        int64_t cols = widths[w];
        float *x = values(P * T * cols, 61), *y = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(P * N * cols) * sizeof *y);
        float *gx = floats_to_device(x, P * T * cols), *gy = gpu->alloc(gpu, ZO_TAG_OTHER, (size_t)(P * N * cols) * sizeof *y);
        cpu->gather(cpu, x, P, T, cols, at, N, y);
        gpu->gather(gpu, gx, P, T, cols, at, N, gy);
        same("gather", text("(%d,%d,%lld), %d rows", P, T, (long long)cols, N), y, gy, P * N * cols, 0.0);
        cpu->scatter_add(cpu, y, cols, at, N, x);
        gpu->scatter_add(gpu, gy, cols, at, N, gx);
        same("scatter_add", text("%d rows of %lld to %d", N, (long long)cols, T), x, gx, P * T * cols, 0.0);
        zo_layout layout = {0};
        zo_layout_add(&layout, "before", ZO_PARAM_VECTOR, 1, 3, 0, false);
        zo_layout_add(&layout, "table", ZO_PARAM_TABLE, T, cols, 0, false);
        zo_store *g = zo_store_new(cpu, &layout, ZO_TAG_GRADS), *gg = zo_store_new(gpu, &layout, ZO_TAG_GRADS);
        cpu->init_normal(cpu, g, 1, 5, 1.0f);
        gpu->init_normal(gpu, gg, 1, 5, 1.0f);
        cpu->embed_backward(cpu, 1, at, N, cols, y, g);
        gpu->embed_backward(gpu, 1, at, N, cols, gy, gg);
        same("embed_backward", text("%d tokens, (%d,%lld)", N, T, (long long)cols), g->data, gg->data, layout.size, 0.0);
        zo_store_free(cpu, g);
        zo_store_free(gpu, gg);
        zo_layout_free(&layout);
        gpu->release(gpu, gx);
        gpu->release(gpu, gy);
        zo_free(x);
        zo_free(y);
    }
}

/* norms ---------------------------------------------------------------------------------------------------------------------------------- */

/* Two points: w + 0.1 z and w - 0.1 z; three: the stored weights at all of them. */
static void norm_case(zo_norm_kind kind, int64_t cols, int points, int64_t tokens, bool biased, bool residual, bool in_place)
{
    zo_layout layout = {0};
    zo_layout_add(&layout, "w", ZO_PARAM_VECTOR, 1, cols, 0, false);
    zo_layout_add(&layout, "b", ZO_PARAM_VECTOR, 1, cols, 0, false);
    zo_store *w = zo_store_new(cpu, &layout, ZO_TAG_PARAMS), *gw = zo_store_new(gpu, &layout, ZO_TAG_PARAMS);
    zo_store *g = zo_store_new(cpu, &layout, ZO_TAG_GRADS), *gg = zo_store_new(gpu, &layout, ZO_TAG_GRADS);
    for (int t = 0; t < 2; t++) {
        cpu->init_normal(cpu, w, t, 5, 1.0f);
        gpu->init_normal(gpu, gw, t, 5, 1.0f);
        cpu->init_normal(cpu, g, t, 6, 1.0f);
        gpu->init_normal(gpu, gg, t, 6, 1.0f);
    }
    const zo_store *base[3] = {w, w, w}, *base_gpu[3] = {gw, gw, gw};
    float coef[2] = {0.1f, -0.1f};
    zo_view view = {.npoints = points, .base = base, .ndirs = points == 2, .dir = &gauss, .coef = coef}, view_gpu = view;
    view_gpu.base = base_gpu;
    int64_t rows_n = points * tokens, n = rows_n * cols;
    const char *what = text("%s, P %d, (%lld,%lld)%s%s", kind == ZO_LAYERNORM ? "layer" : "rms", points, (long long)tokens, (long long)cols,
                            residual ? ", residual" : "", in_place ? ", in place" : "");
    float *x = values(n, 71), *more = values(n, 72), *y = values(n, 73), *stats = values(2 * rows_n, 74);
    for (int64_t i = 0; i < n; i++) {
        x[i] += 0.5f; /* a mean to take away */
    }
    float *gx = floats_to_device(x, n), *gmore = floats_to_device(more, n), *gy = floats_to_device(y, n), *gstats = floats_to_device(stats, 2 * rows_n);
    cpu->norm(cpu, &view, kind, 1e-5f, 0, biased ? 1 : -1, x, residual ? more : NULL, tokens, cols, in_place ? x : y, stats);
    gpu->norm(gpu, &view_gpu, kind, 1e-5f, 0, biased ? 1 : -1, gx, residual ? gmore : NULL, tokens, cols, in_place ? gx : gy, gstats);
    same("norm", what, in_place ? x : y, in_place ? gx : gy, n, 2e-6);
    same("norm", text("%s, stats", what), stats, gstats, 2 * rows_n, 2e-6);
    if (!in_place) {
        same("norm", text("%s, x kept or summed", what), x, gx, n, 0.0);
    }
    if (points == 1 && !in_place) {
        float *dx = values(n, 75), *dy = values(n, 76), *gdy = floats_to_device(dy, n);
        gpu->upload(gpu, gstats, stats, (size_t)(2 * rows_n) * sizeof *stats);
        cpu->norm_backward(cpu, w, kind, 0, biased ? 1 : -1, x, stats, dy, tokens, cols, dx, g);
        gpu->norm_backward(gpu, gw, kind, 0, biased ? 1 : -1, gx, gstats, gdy, tokens, cols, gdy, gg);
        same("norm_backward", text("%s, dx over dy", what), dx, gdy, n, 2e-6);
        same("norm_backward", text("%s, dw and db", what), g->data, gg->data, layout.size, 0.0);
        gpu->release(gpu, gdy);
        zo_free(dx);
        zo_free(dy);
    }
    float *blocks[] = {gx, gmore, gy, gstats}, *host[] = {x, more, y, stats};
    for (int i = 0; i < 4; i++) {
        gpu->release(gpu, blocks[i]);
        zo_free(host[i]);
    }
    zo_store_free(cpu, w);
    zo_store_free(gpu, gw);
    zo_store_free(cpu, g);
    zo_store_free(gpu, gg);
    zo_layout_free(&layout);
}

static void norms(void)
{
    static const struct { int64_t cols, tokens; } shapes[] = {{1, 3}, {37, 70}, {64, 130}, {768, 9}, {1024, 5}, {1028, 66}, {8200, 3}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (int kind = ZO_LAYERNORM; kind <= ZO_RMSNORM_ONE; kind++) {
            bool biased = kind == ZO_LAYERNORM;
            norm_case((zo_norm_kind)kind, shapes[i].cols, 1, shapes[i].tokens, biased, false, false);
            norm_case((zo_norm_kind)kind, shapes[i].cols, 2, shapes[i].tokens, biased, true, false);
            norm_case((zo_norm_kind)kind, shapes[i].cols, 1, shapes[i].tokens, biased, true, true);
            norm_case((zo_norm_kind)kind, shapes[i].cols, 3, shapes[i].tokens, biased, false, false);
        }
    }
}

/* side adapters --------------------------------------------------------------------------------------------------------------------------- */

static void side_case(int64_t n, int64_t cols, int64_t rows)
{
    int64_t features = (n + 1) * rows * cols, scores = n * rows, out = rows * cols;
    const char *what = text("%lld features of %lld, R %lld", (long long)n, (long long)cols, (long long)rows);
    float *x = values(features, 91), *score = values(scores, 92), *sums = values(2 * scores, 93), *y = values(out, 94), *dy = values(out, 95);
    float *dx = values(features, 96), *dscore = values(scores, 97), *g = values(rows, 98), *dg = values(rows, 99);
    float *gx = floats_to_device(x, features), *gscore = floats_to_device(score, scores), *gsums = floats_to_device(sums, 2 * scores), *gy = floats_to_device(y, out);
    float *gdy = floats_to_device(dy, out), *gdx = floats_to_device(dx, features), *gdscore = floats_to_device(dscore, scores), *gg = floats_to_device(g, rows);
    float *gdg = floats_to_device(dg, rows);
    zo_mix here = {.n = n, .cols = cols, .x = x, .score = score, .inverse = sums, .redundancy = sums + scores}, there = here;
    there.x = gx;
    there.score = gscore;
    there.inverse = gsums;
    there.redundancy = gsums + scores;
    cpu->mix(cpu, &here, rows, y);
    gpu->mix(gpu, &there, rows, gy);
    same("mix", what, y, gy, out, 4e-6);
    same("mix", text("%s, lengths and redundancies", what), sums, gsums, 2 * scores, 4e-6);
    gpu->upload(gpu, gy, y, (size_t)out * sizeof *y);
    gpu->upload(gpu, gsums, sums, (size_t)(2 * scores) * sizeof *sums);
    cpu->mix_backward(cpu, &here, rows, y, dy, dx, dscore);
    gpu->mix_backward(gpu, &there, rows, gy, gdy, gdx, gdscore);
    same("mix_backward", what, dx, gdx, features, 1e-5);
    same("mix_backward", text("%s, of scores", what), dscore, gdscore, scores, 1e-5);
    cpu->gate_backward(cpu, 10.0f, g, y, dy, rows, cols, dg);
    gpu->gate_backward(gpu, 10.0f, gg, gy, gdy, rows, cols, gdg);
    same("gate_backward", what, dg, gdg, rows, 4e-6);
    cpu->gate(cpu, 10.0f, g, dy, rows, cols, y);
    gpu->gate(gpu, 10.0f, gg, gdy, rows, cols, gy);
    same("gate", what, y, gy, out, 0.0);
    float *blocks[] = {gx, gscore, gsums, gy, gdy, gdx, gdscore, gg, gdg}, *host[] = {x, score, sums, y, dy, dx, dscore, g, dg};
    for (int i = 0; i < 9; i++) {
        gpu->release(gpu, blocks[i]);
        zo_free(host[i]);
    }
}

static void sides(void)
{
    static const struct { int64_t n, cols, rows; } shapes_of[] = {{1, 1, 3}, {1, 37, 9}, {2, 64, 5}, {11, 48, 7}, {5, 384, 2}};
    for (size_t i = 0; i < sizeof shapes_of / sizeof *shapes_of; i++) {
        side_case(shapes_of[i].n, shapes_of[i].cols, shapes_of[i].rows);
    }
}

/* attention -------------------------------------------------------------------------------------------------------------------------------- */

static void ropes(void)
{
    static const struct { int head_dim, heads, extra, dims; bool interleaved; } shapes[] = {
        {8, 3, 0, 8, false}, {64, 4, 64, 64, false}, {6, 2, 1, 6, false}, {8, 3, 0, 2, false},  {64, 4, 64, 16, false}, {20, 3, 0, 8, false},
        {8, 3, 0, 8, true},  {64, 4, 64, 64, true},  {6, 2, 1, 6, true},  {10, 3, 3, 6, true}, {64, 4, 0, 16, true},   {66, 2, 0, 22, true}};
    enum { P = 2, T = 13, POSITIONS = 40 };
    int32_t position[T];
    for (int t = 0; t < T; t++) {
        position[t] = (t * 7) % POSITIONS;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int half = shapes[i].dims / 2;
        int64_t stride = shapes[i].head_dim * shapes[i].heads + shapes[i].extra, n = P * T * stride;
        float *c = values(POSITIONS * half, 81), *s = values(POSITIONS * half, 82), *x = values(n, 83);
        float *gc = floats_to_device(c, POSITIONS * half), *gs = floats_to_device(s, POSITIONS * half), *gx = floats_to_device(x, n);
        zo_rope here = {.cos = c, .sin = s, .head_dim = shapes[i].head_dim, .dims = shapes[i].dims, .interleaved = shapes[i].interleaved}, there = here;
        there.cos = gc;
        there.sin = gs;
        for (int inverse = 0; inverse < 2; inverse++) {
            cpu->rope(cpu, &here, position, P, T, shapes[i].heads, stride, inverse, x);
            gpu->rope(gpu, &there, position, P, T, shapes[i].heads, stride, inverse, gx);
            same("rope", text("(%d,%d,%lld), %d heads of %d, %d turned%s%s", P, T, (long long)stride, shapes[i].heads, shapes[i].head_dim, shapes[i].dims,
                              shapes[i].interleaved ? ", interleaved" : "", inverse ? ", inverse" : ""), x, gx, n, 0.0);
        }
        gpu->release(gpu, gc);
        gpu->release(gpu, gs);
        gpu->release(gpu, gx);
        zo_free(c);
        zo_free(s);
        zo_free(x);
    }
}

typedef struct shape {
    int heads, kv_heads, head_dim, points;
    bool causal, rows, fused;
    int length[8], parent[8]; /* 0 ends; parent -1 = none */
    int prefix, window;
    float softcap;
} shape;

static const shape shapes[] = {
    {2, 2, 8, 2, true, false, false, {1, 5, 64, 65, 3}, {-1, -1, -1, -1, -1}, 5, 0, 0.0f},
    {2, 1, 32, 1, true, false, false, {200, 140, 90}, {-1, -1, -1}, 0, 0, 0.0f},
    {2, 2, 64, 2, true, false, true, {25, 31, 9, 18}, {-1, -1, -1, -1}, 3, 0, 0.0f},
    {2, 2, 64, 1, false, false, false, {9, 3, 16, 1}, {-1, -1, -1, -1}, 0, 0, 0.0f},
    {1, 1, 96, 1, true, false, false, {15, 12, 100}, {-1, -1, 1}, 2, 0, 0.0f},
    {2, 2, 64, 2, false, false, true, {70, 1, 131}, {-1, -1, -1}, 70, 0, 0.0f},
    {4, 2, 64, 1, true, false, false, {66, 7, 40, 130}, {-1, -1, 1, -1}, 0, 0, 0.0f},
    {6, 2, 20, 1, true, false, true, {30, 3, 4, 90, 2}, {-1, 0, 0, -1, 3}, 1, 0, 0.0f},
    {3, 1, 33, 1, true, true, false, {17, 40, 9}, {-1, -1, 1}, 5, 0, 0.0f},
    {2, 2, 80, 1, true, false, false, {68, 3, 5}, {-1, 0, 0}, 0, 0, 0.0f},
    {2, 1, 128, 2, true, true, false, {70, 33}, {-1, -1}, 6, 0, 0.0f},
    {1, 1, 128, 1, false, false, false, {34}, {-1}, 4, 0, 0.0f},
    {2, 2, 160, 1, true, false, false, {37, 20, 3}, {-1, -1, 1}, 3, 0, 0.0f},
    {2, 1, 256, 1, false, true, false, {18, 35}, {-1, -1}, 9, 0, 0.0f},
    {2, 1, 32, 1, true, false, false, {200, 140, 90}, {-1, -1, -1}, 0, 65, 0.0f},
    {4, 2, 64, 1, true, false, false, {66, 7, 40, 130}, {-1, -1, 1, -1}, 2, 10, 1.5f},
    {3, 1, 33, 1, true, true, false, {17, 140, 70, 3}, {-1, -1, 1, 1}, 5, 40, 0.7f},
    {6, 2, 20, 1, true, false, true, {30, 3, 4, 90, 2}, {-1, 0, 0, -1, 3}, 1, 1, 0.0f},
    {2, 1, 256, 2, true, false, false, {37, 70}, {-1, -1}, 0, 20, 2.0f},
    {2, 2, 64, 1, false, false, false, {9, 70, 1}, {-1, -1, -1}, 3, 0, 1.0f},
    {2, 1, 32, 1, false, false, false, {200, 140, 90}, {-1, -1, -1}, 0, 33, 0.0f},
    {3, 1, 33, 1, false, true, false, {17, 140, 70, 3}, {-1, -1, 1, 1}, 5, 40, 0.7f},
    {4, 2, 64, 2, false, false, true, {66, 7, 40, 130}, {-1, -1, -1, -1}, 2, 1, 0.0f},
    {2, 1, 256, 2, false, false, false, {37, 70}, {-1, -1}, 0, 20, 0.0f},
};

/* One case on both backends; `only` >= 0: that sequence alone, its rows compared bit for bit with `packed` (device, rows of it all). */
static void attention_case(const shape *h)
{
    int32_t start[9] = {0}, parent[8], row[512];
    int n = 0;
    for (; n < 8 && h->length[n] > 0; n++) {
        start[n + 1] = start[n] + h->length[n];
        parent[n] = h->parent[n];
    }
    int64_t T = start[n], rows_n = 0;
    for (int64_t t = 0; t < T; t++) { /* none of the first sequence, the rest thinned out */
        if (t >= start[1] && t % 3 != 1) {
            row[rows_n++] = (int32_t)t;
        }
    }
    int64_t R = h->rows ? rows_n : T, width = (int64_t)h->heads * h->head_dim, kv = (int64_t)h->kv_heads * h->head_dim;
    int64_t qs = h->fused ? width + 2 * kv : width, ks = h->fused ? qs : kv;
    zo_seqs seqs = {.n = n, .start = start, .parent = parent};
    zo_attention a = {.heads = h->heads, .kv_heads = h->kv_heads, .head_dim = h->head_dim, .causal = h->causal, .window = h->window, .softcap = h->softcap,
                      .scale = 1.0f / sqrtf((float)h->head_dim), .row = h->rows ? row : NULL, .nrows = h->rows ? R : 0};
    int64_t P = h->points, nq = P * R * qs, nk = P * T * ks, no = P * R * width, nl = P * R * h->heads, np = h->prefix * kv;
    float *prefix = values(2 * P * np, 96), *gprefix = floats_to_device(prefix, 2 * P * np); /* keys, values */
    float *qkv = values(nq + 2 * nk, 91), *q = qkv, *k = h->fused ? qkv + width : qkv + nq, *v = h->fused ? k + kv : k + nk;
    float *gqkv = floats_to_device(qkv, nq + 2 * nk), *gq = gqkv, *gk = gqkv + (k - qkv), *gv = gqkv + (v - qkv);
    float *out = values(no, 92), *lse = values(nl, 93), *gout = floats_to_device(out, no), *glse = floats_to_device(lse, nl);
    const char *what = text("P %lld, %lld tokens in %d, %d/%d heads of %d%s%s%s, prefix %d, window %d, cap %g", (long long)P, (long long)T, n, h->heads, h->kv_heads,
                            h->head_dim, h->causal ? ", causal" : "", h->rows ? ", rows" : "", h->fused ? ", fused" : "", h->prefix, h->window, (double)h->softcap);
    zo_attention there = a;
    a.prefix = (zo_prefix){.n = h->prefix, .k = prefix, .v = prefix + P * np};
    there.prefix = (zo_prefix){.n = h->prefix, .k = gprefix, .v = gprefix + P * np};
    cpu->attention(cpu, &a, &seqs, h->points, T, q, qs, k, ks, v, ks, out, lse);
    gpu->attention(gpu, &there, &seqs, h->points, T, gq, qs, gk, ks, gv, ks, gout, glse);
    same("attention", what, out, gout, no, 2e-6);
    same("attention", text("%s, lse", what), lse, glse, nl, 2e-6);

    if (!h->rows) { /* bit-equal when packed and when alone, with its parent */
        int s = n - 1, from = parent[s] >= 0 ? parent[s] : s, alone_n = s - from + 1;
        int32_t alone_start[9], alone_parent[8];
        for (int i = 0; i < alone_n; i++) {
            alone_start[i] = start[from + i] - start[from];
            alone_parent[i] = parent[from + i] - from >= 0 ? parent[from + i] - from : -1;
        }
        alone_start[alone_n] = start[s + 1] - start[from];
        zo_seqs alone = {.n = alone_n, .start = alone_start, .parent = alone_parent};
        float *packed = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)no * sizeof *packed), *single = gpu->alloc(gpu, ZO_TAG_OTHER, (size_t)no * 4);
        gpu->download(gpu, packed, gout, (size_t)no * sizeof *packed);
        gpu->attention(gpu, &there, &alone, 1, alone_start[alone_n], gq + start[from] * qs, qs, gk + start[from] * ks, ks, gv + start[from] * ks, ks,
                       single, NULL);
        same("attention", text("%s, alone", what), packed + start[s] * width, single + (start[s] - start[from]) * width,
             (start[s + 1] - start[s]) * width, 0.0);
        zo_free(packed);
        gpu->release(gpu, single);
    }

    if (P == 1) {
        float *dout = values(no, 94), *gdout = floats_to_device(dout, no);
        float *d = values(nq + 2 * nk, 95), *gd = floats_to_device(d, nq + 2 * nk);
        float *dprefix = values(2 * np, 97), *gdprefix = floats_to_device(dprefix, 2 * np);
        a.prefix.dk = dprefix;
        a.prefix.dv = dprefix + np;
        there.prefix.dk = gdprefix;
        there.prefix.dv = gdprefix + np;
        gpu->upload(gpu, gout, out, (size_t)no * sizeof *out);
        gpu->upload(gpu, glse, lse, (size_t)nl * sizeof *lse);
        cpu->attention_backward(cpu, &a, &seqs, T, q, qs, k, ks, v, ks, out, lse, dout, d, d + (k - q), d + (v - q));
        gpu->attention_backward(gpu, &there, &seqs, T, gq, qs, gk, ks, gv, ks, gout, glse, gdout, gd, gd + (k - q), gd + (v - q));
        same("attention_backward", what, d, gd, nq + 2 * nk, 4e-6);
        same("attention_backward", text("%s, of the prefix", what), dprefix, gdprefix, 2 * np, 4e-6);
        gpu->release(gpu, gdprefix);
        zo_free(dprefix);
        gpu->release(gpu, gdout);
        gpu->release(gpu, gd);
        zo_free(dout);
        zo_free(d);
    }
    gpu->release(gpu, gprefix);
    zo_free(prefix);
    gpu->release(gpu, gqkv);
    gpu->release(gpu, gout);
    gpu->release(gpu, glse);
    zo_free(qkv);
    zo_free(out);
    zo_free(lse);
}

static void attentions(void)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        attention_case(&shapes[i]);
    }
}

static void (*const bodies[])(void) = {draws, applies, sets, scaled, own_factors, replays, rules, rules_of_low_rank, reductions, embeds, activations, rows, norms, sides, ropes, attentions};

START_TEST(kernels_equal_the_cpu)
{
    both_orders(bodies[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuda_kernels");
    TCase *tc = tcase_create("shim");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, kernels_equal_the_cpu, 0, sizeof bodies / sizeof *bodies);
    suite_add_tcase(suite, tc);
    return suite_run(suite) != 0;
}
