/* cmd_bench.c: `zo bench`: micro-benchmarks. `rng`, `peaks`, `device` and `gemm` stand here, `step` in cmd_step.c. Times are the least of many
 * repetitions: what the machine can do when nothing else runs on it. With a device, `rng` asks the backend's own operations through the
 * seam, and the generator of its vendor where there is one. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "backends/device_peaks.h"
#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/rng.h"

static int fail(const zo_err *err)
{
    fprintf(stderr, "zo bench: %s\n", err->text);
    return 2;
}

static void print_json(cJSON *object)
{
    char *text = cJSON_Print(object);
    puts(text);
    cJSON_free(text);
    cJSON_Delete(object);
}

/* rng ------------------------------------------------------------------------------------------------------------------------ */

enum { DRAWN = 1 << 16 }; /* normals a call: 256 KB, in the L2 cache */

/* Normals a second of all `threads` threads together, each filling its own block, for `seconds`. */
static double rng_rate(int threads, double seconds, void (*draw)(zo_stream, uint64_t, long, float *))
{
    float *out = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)threads * DRAWN * sizeof *out);
    double least = INFINITY;
    uint32_t turn = 0;
    for (double end = zo_now() + seconds; turn == 0 || zo_now() < end; turn++) {
        double start = zo_now();
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int t = 0; t < threads; t++) {
            draw((zo_stream){.seed = 42, .tensor = (uint32_t)t, .step = turn}, 0, DRAWN, out + (size_t)t * DRAWN);
        }
        double taken = zo_now() - start;
        least = taken < least ? taken : least;
    }
    zo_free(out);
    return (double)threads * DRAWN / least;
}

static int bench_rng(int threads, double seconds, bool json)
{
    double core = rng_rate(1, seconds, zo_normals), all = rng_rate(threads, seconds, zo_normals), scalar = rng_rate(1, seconds, zo_normals_scalar);
    if (json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddNumberToObject(object, "threads", threads);
        cJSON_AddNumberToObject(object, "normals_per_second_core", core);
        cJSON_AddNumberToObject(object, "normals_per_second", all);
        cJSON_AddNumberToObject(object, "scalar_normals_per_second_core", scalar);
        print_json(object);
    } else {
        printf("normals (Philox4x32-10, Box-Muller): %.2f G/s on one core, %.2f G/s on %d; one at a time %.2f G/s\n", core / 1e9,
               all / 1e9, threads, scalar / 1e9);
    }
    return 0;
}

typedef struct drawing { zo_store *store; zo_term term; uint64_t seed; } drawing;

static void fill_normals(zo_backend *be, void *context)
{
    drawing *d = context;
    be->init_normal(be, d->store, 0, ++d->seed, 1.0f);
}

static void apply_normals(zo_backend *be, void *context)
{
    drawing *d = context;
    d->term.dir.step++;
    be->apply(be, d->store, NULL, 1.0, &d->term, 1, NULL);
}

/* Normals a second of a backend's memory: filled with z, w += c z, and filled by the vendor's generator. */
static int bench_device_rng(zo_backend *be, bool json)
{
    const zo_device_peaks *y = zo_device_peaks_of(be);
    zo_layout layout = {0};
    zo_layout_add(&layout, "w", ZO_PARAM_MATRIX, y->normals / 1024, 1024, 0, true);
    drawing d = {.store = zo_store_new(be, &layout, ZO_TAG_PARAMS), .term = {.dir = {.kind = ZO_DIR_DENSE, .seed = 42}, .coef = 1e-3}};
    be->reserve(be, &layout, NULL, ZO_F32, &(zo_largest){.points = 1, .tokens = 1});
    double n = (double)layout.size, fill = n / zo_work_seconds(be, fill_normals, &d), apply = n / zo_work_seconds(be, apply_normals, &d);
    zo_store_free(be, d.store);
    zo_layout_free(&layout);
    zo_err err = {0};
    double vendor = 0;
    bool there = y->normals_rate != NULL && y->normals_rate(be, y->normals, &vendor, &err) == ZO_OK;
    const char *why = y->normals_rate == NULL ? "this device has no generator of its vendor" : err.text;
    if (json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "device", be->device);
        cJSON_AddNumberToObject(object, "normals", n);
        cJSON_AddNumberToObject(object, "fill_per_second", fill);
        cJSON_AddNumberToObject(object, "apply_per_second", apply);
        cJSON_AddItemToObject(object, "vendor_per_second", there ? cJSON_CreateNumber(vendor) : cJSON_CreateNull());
        if (!there) {
            cJSON_AddStringToObject(object, "vendor_note", why);
        }
        print_json(object);
    } else {
        printf("%.0f M normals on %s: filled %.2f G/s, w += c z %.2f G/s (%.1f GB/s of weights)\n", 1e-6 * n, be->device, 1e-9 * fill, 1e-9 * apply,
               8e-9 * apply);
        if (there) {
            printf("curandGenerateNormal (Philox4x32-10): %.2f G/s\n", 1e-9 * vendor);
        } else {
            printf("%s\n", why);
        }
    }
    return 0;
}

/* peaks ----------------------------------------------------------------------------------------------------------------------- */

/* What the device does at best, for `zo bench step --peaks`. */
static int bench_peaks(zo_backend *be, bool json)
{
    const zo_device_peaks *y = zo_device_peaks_of(be);
    double bytes = zo_copy_rate(be, y->copy_bytes);
    cJSON *object = cJSON_CreateObject(), *flops = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "device", be->device);
    cJSON_AddNumberToObject(object, "bytes_per_second", bytes);
    cJSON_AddNumberToObject(object, "product_side", (double)y->product_side);
    cJSON_AddItemToObject(object, "flops_per_second", flops);
    for (int p = ZO_F32; p < ZO_PRECISIONS; p++) {
        zo_err ignored = {0};
        if (zo_backend_check(be, (zo_precision)p, &ignored) == ZO_OK) {
            cJSON_AddNumberToObject(flops, zo_precision_name((zo_precision)p), y->product_rate(be, (zo_precision)p, y->product_side));
        }
    }
    if (json) {
        print_json(object);
        return 0;
    }
    printf("%s: copies %.1f GB/s, read and written;", be->device, 1e-9 * bytes);
    for (const cJSON *f = flops->child; f != NULL; f = f->next) {
        printf(" products in %s %.2f TFLOP/s%s", f->string, 1e-12 * f->valuedouble, f->next != NULL ? "," : "\n");
    }
    cJSON_Delete(object);
    return 0;
}

/* device ---------------------------------------------------------------------------------------------------------------------- */

enum { NO_DEVICE = 3 }; /* exit status */

/* Whether the device is there and opens, and what it is: for scripts. */
static int bench_device(const char *name, int threads, bool json)
{
    zo_err err = {0};
    zo_backend *be;
    zo_status status = zo_backend_open(name, threads, &be, &err);
    if (status != ZO_OK) {
        fail(&err);
        return status == ZO_EUNSUPPORTED ? NO_DEVICE : status == ZO_EINPUT ? 2 : 1;
    }
    zo_device_memory memory;
    zo_device_peaks_of(be)->memory(be, &memory);
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "backend", be->name);
    cJSON_AddStringToObject(object, "device", be->device);
    cJSON_AddNumberToObject(object, "total_bytes", (double)memory.total_bytes);
    cJSON *precisions = cJSON_AddArrayToObject(object, "precisions");
    for (int p = ZO_F32; p < ZO_PRECISIONS; p++) {
        if (zo_backend_check(be, (zo_precision)p, &err) == ZO_OK) {
            cJSON_AddItemToArray(precisions, cJSON_CreateString(zo_precision_name((zo_precision)p)));
        }
    }
    if (json) {
        print_json(object);
    } else {
        printf("%s: %s;", be->name, be->device);
        for (const cJSON *p = precisions->child; p != NULL; p = p->next) {
            printf(" %s", p->valuestring);
        }
        printf("\n");
        cJSON_Delete(object);
    }
    be->close(be);
    return 0;
}

/* gemm ------------------------------------------------------------------------------------------------------------------------ */

/* Layers of MiniLM-L6 and SmolLM2-135M at the tokens of a batch, and the latter's head at its scored positions. */
static const struct shape { int64_t tokens, rows, cols; } shapes[] = {
    {200, 384, 384}, {200, 1536, 384},  {200, 384, 1536},  {800, 384, 384},   {800, 1536, 384},
    {800, 384, 1536}, {640, 576, 576}, {640, 1536, 576}, {640, 576, 1536}, {16, 49152, 576},
};

static double linear_seconds(zo_backend *be, const struct shape *s, zo_precision precision, int points, double seconds)
{
    zo_layout layout = {0};
    zo_layout_add(&layout, "w", ZO_PARAM_MATRIX, s->rows, s->cols, 0, true);
    zo_store *store = zo_store_new(be, &layout, ZO_TAG_PARAMS);
    be->init_normal(be, store, 0, 1, 0.02f);
    be->reserve(be, &layout, NULL, precision, &(zo_largest){.points = points, .tokens = s->tokens});
    size_t in = (size_t)(points * s->tokens * s->cols) * sizeof(float), out = (size_t)(points * s->tokens * s->rows) * sizeof(float);
    float *x = be->alloc(be, ZO_TAG_ACTIVATIONS, in), *y = be->alloc(be, ZO_TAG_ACTIVATIONS, out);
    zo_normals((zo_stream){.seed = 2}, 0, (long)(in / sizeof *x), x);
    const zo_store *base[2] = {store, store};
    zo_dir dir = {.kind = ZO_DIR_DENSE, .seed = 3};
    float coef[2] = {1e-3f, -1e-3f};
    zo_view view = {.npoints = points, .base = base, .ndirs = points == 2 ? 1 : 0, .dir = &dir, .coef = coef};
    double least = INFINITY;
    for (double end = zo_now() + seconds; dir.step < 2 || zo_now() < end; dir.step++) { /* the first makes the product */
        double start = zo_now();
        be->linear(be, &view, precision, 0, -1, ZO_ACT_NONE, x, s->tokens, false, y, NULL);
        double taken = zo_now() - start;
        least = taken < least ? taken : least;
    }
    be->release(be, x);
    be->release(be, y);
    zo_store_free(be, store);
    zo_layout_free(&layout);
    return least;
}

static int bench_gemm(int threads, double seconds, bool json)
{
    zo_err err = {0};
    zo_backend *be;
    if (zo_backend_open("cpu", threads, &be, &err) != ZO_OK) {
        return fail(&err);
    }
    cJSON *list = cJSON_CreateArray();
    if (!json) {
        printf("linear layers on %d threads of %s, GFLOP/s (stored: one point; drawn: two points W +- c z, z drawn on the way)\n",
               be->threads, be->device);
        printf("%8s %8s %8s %6s %10s %10s\n", "tokens", "rows", "cols", "", "stored", "drawn");
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape *s = &shapes[i];
        for (int precision = ZO_F32; precision <= (be->bf16 ? ZO_BF16 : ZO_F32); precision++) {
            const char *name = zo_precision_name((zo_precision)precision);
            double flops = 2.0 * (double)s->tokens * (double)s->rows * (double)s->cols;
            double stored = flops / linear_seconds(be, s, (zo_precision)precision, 1, seconds);
            double drawn = 2.0 * flops / linear_seconds(be, s, (zo_precision)precision, 2, seconds);
            if (json) {
                cJSON *row = cJSON_CreateObject();
                cJSON_AddNumberToObject(row, "threads", be->threads);
                cJSON_AddNumberToObject(row, "tokens", (double)s->tokens);
                cJSON_AddNumberToObject(row, "rows", (double)s->rows);
                cJSON_AddNumberToObject(row, "cols", (double)s->cols);
                cJSON_AddStringToObject(row, "precision", name);
                cJSON_AddNumberToObject(row, "stored_flops_per_second", stored);
                cJSON_AddNumberToObject(row, "drawn_flops_per_second", drawn);
                cJSON_AddItemToArray(list, row);
            } else {
                printf("%8lld %8lld %8lld %6s %10.0f %10.0f\n", (long long)s->tokens, (long long)s->rows, (long long)s->cols, name,
                       stored / 1e9, drawn / 1e9);
            }
        }
    }
    be->close(be);
    if (json) {
        print_json(list);
    } else {
        cJSON_Delete(list);
    }
    return 0;
}

int zo_cmd_bench(int argc, char **argv)
{
    static const char *const usage = "zo bench step|rng|gemm|peaks|device [--json] [--threads N], rng, peaks and device with [--device cpu|cuda[:N]|auto], "
                                     "rng and gemm with [--ms N]";
    if (argc < 2) {
        fputs(ZO_BENCH_HELP, stderr);
        return 2;
    }
    if (strcmp(argv[1], "step") == 0) {
        return zo_cmd_bench_step(argc - 1, argv + 1);
    }
    bool json = false;
    int64_t threads = 0, ms = 400;
    const char *device = NULL;
    const zo_arg table[] = {{"--json", ZO_ARG_FLAG, &json}, {"--threads", ZO_ARG_INT, &threads}, {"--device", ZO_ARG_TEXT, &device},
                            {"--ms", ZO_ARG_INT, &ms}, {NULL, ZO_ARG_FLAG, NULL}};
    const char *word[1];
    int words = 0;
    zo_err err = {0};
    zo_backend *be;
    if (zo_args_read(argc, argv, table, word, 1, 1, &words, usage, &err) != ZO_OK) {
        return fail(&err);
    }
    if (strcmp(word[0], "device") == 0) {
        return bench_device(device != NULL ? device : "auto", threads > 4096 ? 4097 : (int)threads, json);
    }
    if (zo_backend_open(device != NULL ? device : "cpu", threads > 4096 ? 4097 : (int)threads, &be, &err) != ZO_OK) {
        return fail(&err);
    }
    int all = be->threads;
    double seconds = 1e-3 * (double)ms;
    bool peaks = strcmp(word[0], "peaks") == 0;
    if (peaks || (device != NULL && strcmp(word[0], "rng") == 0)) {
        int code = (peaks ? bench_peaks : bench_device_rng)(be, json);
        be->close(be);
        return code;
    }
    be->close(be);
    if (device != NULL) {
        zo_fail(&err, ZO_EINPUT, "--device is an option of rng, peaks, device and step; usage: %s", usage);
        return fail(&err);
    }
    if (strcmp(word[0], "rng") == 0) {
        return bench_rng(all, seconds, json);
    }
    if (strcmp(word[0], "gemm") == 0) {
        return bench_gemm(all, seconds, json);
    }
    zo_fail(&err, ZO_EINPUT, "there is no benchmark \"%s\"; usage: %s", word[0], usage);
    return fail(&err);
}
