/* codes.c: matrices that are held as codes (backends/codes.h), as the products read them: scale x code, in f32, and rounded to what they read. And what
 * a backward pass reads of codes and of 16 bits, in f32. */
#include "backends/codes.h"
#include "backends/cpu/cpu.h"

enum { ROWS = 64, CHUNK = 1024 }; /* rows of scales formed at a time; floats of a row on their way to 16 bits */

const float *zo_cpu_scales_of(zo_backend *be, const zo_view *view, int scales, int64_t *stride)
{
    double start = zo_now();
    zo_cpu_form f = zo_cpu_form_of(view, scales, zo_cpu_shared_of(be, ZO_CPU_DIRS, zo_cpu_form_bytes(view->npoints, view->ndirs)));
    const zo_param *p = &f.layout->param[f.param];
    int64_t n = p->rows * p->cols;
    bool same = f.ndirs == 0;
    for (int k = 1; k < f.npoints; k++) {
        same = same && f.base[k] == f.base[0];
    }
    *stride = same ? 0 : n;
    if (same && f.storage == ZO_STORAGE_F32) {
        return f.base[0];
    }
    f.npoints = same ? 1 : f.npoints;
    float *formed = zo_cpu_shared_of(be, ZO_CPU_SCALES, (size_t)(n * view->npoints) * sizeof *formed);
    size_t pointers = zo_round_up((size_t)f.npoints * sizeof(void *), 64);
#pragma omp parallel num_threads(be->threads)
    {
        char *scratch = zo_cpu_scratch(be, pointers + zo_cpu_form_scratch(&f));
        void **to = (void **)scratch;
#pragma omp for schedule(dynamic)
        for (int64_t row = 0; row < p->rows; row += ROWS) {
            for (int k = 0; k < f.npoints; k++) {
                to[k] = formed + k * n + row * p->cols;
            }
            zo_cpu_form_rows(&f, row, p->rows - row < ROWS ? p->rows - row : ROWS, 1.0f, ZO_STORAGE_F32, to, scratch + pointers);
        }
    }
    zo_part_add(ZO_PART_FORM, zo_now() - start);
    zo_counters_add((zo_counters){.normals = (uint64_t)(f.normals * n)});
    return formed;
}

/* Columns [first, first + n) of one row, all of one group; with 4 bits first is even. */
static void multiply(const uint8_t *codes, int bits, float scale, int64_t first, int64_t n, float *to)
{
    if (bits == 8) {
        const int8_t *code = (const int8_t *)codes + first;
#pragma omp simd
        for (int64_t j = 0; j < n; j++) {
            to[j] = scale * (float)code[j];
        }
        return;
    }
    const uint8_t *pair = codes + first / 2;
#pragma omp simd
    for (int64_t j = 0; j < n / 2; j++) {
        to[2 * j] = scale * (float)((int8_t)(uint8_t)(pair[j] << 4) >> 4);
        to[2 * j + 1] = scale * (float)((int8_t)pair[j] >> 4);
    }
    if (n % 2 != 0) {
        to[n - 1] = scale * (float)zo_code_at(codes, 4, first + n - 1);
    }
}

void zo_cpu_codes_rows(const zo_param *p, const uint8_t *codes, const float *scales, int64_t row, int64_t n, zo_storage type, void *to, float *room)
{
    int64_t wide = zo_codes_row_bytes(p->bits, p->cols), groups = zo_codes_groups(p->cols, p->group), step = p->group < CHUNK ? p->group : CHUNK;
    for (int64_t r = 0; r < n; r++) {
        const uint8_t *code = codes + (row + r) * wide;
        char *out = (char *)to + r * p->cols * zo_storage_bytes(type);
        for (int64_t g = 0; g < groups; g++) {
            int64_t end = (g + 1) * p->group < p->cols ? (g + 1) * p->group : p->cols;
            for (int64_t c = g * p->group; c < end; c += step) {
                int64_t m = end - c < step ? end - c : step;
                float *x = type == ZO_STORAGE_F32 ? (float *)out + c : room;
                multiply(code, p->bits, scales[(row + r) * groups + g], c, m, x);
                zo_cpu_save(type, x, m, out + c * zo_storage_bytes(type));
            }
        }
    }
}

/* The numbers of a matrix that is held in 16 bits. */
static const float *widened(zo_backend *be, const zo_store *store, const zo_param *p)
{
    float *numbers = zo_cpu_shared_of(be, ZO_CPU_NUMBERS, (size_t)(p->rows * p->cols) * sizeof *numbers);
#pragma omp parallel for num_threads(be->threads) schedule(static)
    for (int64_t row = 0; row < p->rows; row++) {
        zo_cpu_load(store->storage, zo_store_at(store, p->offset + row * p->cols), p->cols, numbers + row * p->cols);
    }
    return numbers;
}

const float *zo_cpu_vector_of(zo_backend *be, const zo_store *store, int param, zo_cpu_shared purpose)
{
    if (param < 0 || store->storage == ZO_STORAGE_F32) {
        return param < 0 ? NULL : store->data + store->layout->param[param].offset;
    }
    const zo_param *p = &store->layout->param[param];
    float *numbers = zo_cpu_shared_of(be, purpose, (size_t)p->cols * sizeof *numbers);
    zo_cpu_load(store->storage, zo_store_at(store, p->offset), p->cols, numbers);
    return numbers;
}

const float *zo_cpu_numbers_of(zo_backend *be, const zo_store *store, int weight)
{
    const zo_param *p = &store->layout->param[weight];
    if (p->bits == 0) {
        return store->storage == ZO_STORAGE_F32 ? store->data + p->offset : widened(be, store, p);
    }
    zo_view view = zo_view_stored(&store);
    int64_t stride;
    const float *scales = zo_cpu_scales_of(be, &view, weight + 1, &stride);
    float *numbers = zo_cpu_shared_of(be, ZO_CPU_NUMBERS, (size_t)(p->rows * p->cols) * sizeof *numbers);
#pragma omp parallel for num_threads(be->threads) schedule(dynamic)
    for (int64_t row = 0; row < p->rows; row += ROWS) {
        zo_cpu_codes_rows(p, zo_store_codes(store, p), scales, row, p->rows - row < ROWS ? p->rows - row : ROWS, ZO_STORAGE_F32, numbers + row * p->cols, NULL);
    }
    return numbers;
}
