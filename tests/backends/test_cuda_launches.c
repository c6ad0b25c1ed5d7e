/* test_cuda_launches.c: what a training step asks of a card, counted without one: the shim's runtime that does nothing (device memory is
 * addresses alone) runs the program's own steps on models of 67 M to 66 B parameters. The figures are compared with
 * bench/measurements/cuda_launches.md: more kernels, products, calls, bytes or memory than recorded there is a failure, less is said.
 * $ZO_LAUNCHES_WRITE=FILE writes the table anew instead. */
#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/cuda/cuda.h"
#include "bench/cell/setup.h"
#include "bench/matrix/grid.h"
#include "core/mem.h"
#include "tests/folder.h"
#include "tests/suite.h"

static const char TABLE[] = "bench/measurements/cuda_launches.md";

/* tests/shim/cuda_runtime.h, for C */
extern const bool zo_shim_present;
extern bool zo_shim_idle;
typedef struct totals { uint64_t kernels, products, fills, copies, launches, graphs, read_bytes, written_bytes, unsaid; } totals;
extern totals zo_shim_total;
extern const char *zo_shim_misfit;

enum { WARM_UP = 10, STEPS = 10, LONGEST = 300, ROWS = 200 };

typedef struct figures { double kernels, products, others, calls, graphs, read_gb, written_gb, peak_gb; } figures;

static const struct { const char *name; bool large; } models[] = {
    {"shape:distilbert", false}, {"shape:gpt2", false},     {"shape:opt-125m", false}, {"shape:roberta-large", false},
    {"shape:opt-1.3b", true},    {"shape:llama-7b", true}, {"shape:opt-13b", true},   {"shape:opt-66b", true}};
static const struct { const char *optimizer, *realisation; bool first_order; } methods[] = {
    {"mezo", "inplace", false},   {"mezo", "streamed", false},      {"mezo-svrg", "streamed", false}, {"tezo", "sidepath", false},
    {"tezo", "streamed", false},  {"tezo-adam", "streamed", false}, {"fo-sgd", "inplace", true},      {"fo-adamw", "inplace", true}};
enum { MODELS = sizeof models / sizeof *models, METHODS = sizeof methods / sizeof *methods };

static void open_cell(zo_grid *grid, int model, int method, const char *storage)
{
    char text[1000];
    zo_err err = {0};
    snprintf(text, sizeof text,
             "{\"model\": \"%s\", \"task\": \"synth-lengths\", \"form\": \"prompt\", \"init\": \"random\", \"batch\": 16, \"context\": 128, \"fill\": true, "
             "\"train\": 64, \"dev\": 0, \"test\": 0, \"steps\": %d, \"precision\": \"bf16\", \"storage\": \"%s\", \"realisation\": \"%s\", "
             "\"optimizer\": {\"name\": \"%s\"%s}, \"device\": \"cuda\"}",
             models[model].name, WARM_UP + STEPS, storage, methods[method].realisation, methods[method].optimizer,
             strncmp(methods[method].optimizer, "tezo", 4) == 0 ? ", \"rank\": 8" : ""); /* a runtime that does nothing has no singular values */
    ck_assert_msg(zo_grid_parse(grid, text, "test", &err) == ZO_OK && grid->n == 1, "%s", err.text);
}

/* Figures a step, of the last STEPS. */
static figures count(int model, int method, const char *storage)
{
    zo_grid grid;
    zo_backend *be;
    zo_setup setup;
    zo_setup_dirs dirs = {0};
    zo_err err = {0};
    uint64_t others = zo_mem_live(ZO_DEVICE).total_bytes; /* of this process */
    open_cell(&grid, model, method, storage);
    zo_mem_reset_peaks();
    zo_mem_phase(ZO_PHASE_LOAD);
    ck_assert_msg(zo_cuda_open(-1, 1, &be, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_setup_open(&setup, &grid.cell[0], &dirs, be, &err) == ZO_OK, "%s, %s: %s", models[model].name, methods[method].optimizer, err.text);
    zo_mem_phase(ZO_PHASE_TRAIN);
    totals before = {0};
    for (int step = 0; step < WARM_UP + STEPS; step++) {
        zo_step_report report;
        double seconds;
        before = step == WARM_UP ? zo_shim_total : before;
        ck_assert_msg(zo_setup_step(&setup, step, &report, &seconds, &err) == ZO_OK, "%s", err.text);
    }
    const totals *after = &zo_shim_total;
    ck_assert_msg(after->unsaid == 0, "%llu kernels did not say what they move (ZO_MOVES)", (unsigned long long)after->unsaid);
    ck_assert_msg(zo_shim_misfit == NULL, "%s, %s: the grid of %s is too large or too small for what it moves", models[model].name,
                  methods[method].optimizer, zo_shim_misfit);
    figures f = {.kernels = (double)(after->kernels - before.kernels) / STEPS,
                 .products = (double)(after->products - before.products) / STEPS,
                 .others = (double)(after->fills - before.fills + after->copies - before.copies) / STEPS,
                 .calls = (double)(after->launches - before.launches + after->graphs - before.graphs) / STEPS,
                 .graphs = (double)(after->graphs - before.graphs) / STEPS,
                 .read_gb = 1e-9 * (double)(after->read_bytes - before.read_bytes) / STEPS,
                 .written_gb = 1e-9 * (double)(after->written_bytes - before.written_bytes) / STEPS,
                 .peak_gb = 1e-9 * (double)(zo_mem_peak(ZO_DEVICE, ZO_PHASE_TRAIN).total_bytes - others)};
    zo_setup_close(&setup);
    be->close(be);
    zo_grid_free(&grid);
    ck_assert_uint_eq(zo_mem_live(ZO_DEVICE).total_bytes, others);
    return f;
}

static void name_row(int model, int method, const char *storage, char text[LONGEST])
{
    snprintf(text, LONGEST, "| %s | %s | %s | %s |", strchr(models[model].name, ':') + 1, methods[method].optimizer, methods[method].realisation, storage);
}

static void write_head(FILE *out)
{
    fprintf(out,
            "# What a training step asks of a card\n\n"
            "Counted without a card by `make test T=cuda_launches` (tests/backends/test_cuda_launches.c), which fails where a figure rises;\n"
            "`ZO_LAUNCHES_WRITE=%s make test T=cuda_launches` writes this file anew. These are counts and sums, not measurements.\n\n"
            "Sequences of 128 tokens, filled, batch 16, prompt form, products in bf16, weights held as the column says; means of %d steps after %d.\n"
            "Kernels, products (cuBLASLt), fills and copies: what runs on the device in a step. Calls: what the host makes to start them, graphs\n"
            "among them. Bytes: arrays that kernels say they read and write (`ZO_MOVES`), operands and results of products, fills and copies, each\n"
            "once, whatever caches hold. Peak: the ledger's largest sum of device memory while training; the context and CUDA's own are not in it.\n\n"
            "| model | method | realisation | weights | kernels | products | fills, copies | calls | graphs | read GB | written GB | peak GB |\n"
            "|---|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n", TABLE, STEPS, WARM_UP);
}

static void write_row(FILE *out, const char *name, const figures *f)
{
    fprintf(out, "%s %.1f | %.1f | %.1f | %.1f | %.1f | %.4f | %.4f | %.4f |\n", name, f->kernels, f->products, f->others, f->calls, f->graphs,
            f->read_gb, f->written_gb, f->peak_gb);
}

/* The recorded figures of a row; false where there is none. */
static bool read_row(const char *name, figures *f)
{
    char line[LONGEST + 200];
    bool found = false;
    FILE *in = fopen(TABLE, "r");
    ck_assert_msg(in != NULL, "%s is absent", TABLE);
    while (!found && fgets(line, sizeof line, in) != NULL) {
        found = strncmp(line, name, strlen(name)) == 0 &&
                sscanf(line + strlen(name), " %lf | %lf | %lf | %lf | %lf | %lf | %lf | %lf |", &f->kernels, &f->products, &f->others, &f->calls,
                       &f->graphs, &f->read_gb, &f->written_gb, &f->peak_gb) == 8;
    }
    fclose(in);
    return found;
}

START_TEST(steps_ask_for_no_more)
{
    const char *path = getenv("ZO_LAUNCHES_WRITE");
    FILE *out = path != NULL ? fopen(path, "w") : NULL;
    int less = 0, rows = 0;
    if (!zo_shim_present) {
        printf("skipped: counting calls, which a card does not show\n");
        return;
    }
    ck_assert_msg(path == NULL || out != NULL, "%s cannot be written", path);
    if (out != NULL) {
        write_head(out);
    }
    zo_shim_idle = true;
    for (int model = 0; model < MODELS; model++) {
        for (int method = 0; method < METHODS; method++) {
            static const char *const storage[] = {"f32", "bf16"};
            for (int s = 0; s < (models[model].large && !methods[method].first_order ? 2 : 1); s++) {
                char name[LONGEST];
                figures is = count(model, method, storage[s]), was;
                name_row(model, method, storage[s], name);
                rows++;
                if (out != NULL) {
                    write_row(out, name, &is);
                    continue;
                }
                ck_assert_msg(read_row(name, &was), "%s has no row \"%s\"; ZO_LAUNCHES_WRITE=%s writes the table anew", TABLE, name, TABLE);
                const struct { const char *what; double is, was, room; } figure[] = {
                    {"kernels", is.kernels, was.kernels, 0.051}, {"products", is.products, was.products, 0.051},
                    {"fills and copies", is.others, was.others, 0.051}, {"calls", is.calls, was.calls, 0.051},
                    {"GB read", is.read_gb, was.read_gb, 1e-4}, {"GB written", is.written_gb, was.written_gb, 1e-4},
                    {"GB at the peak", is.peak_gb, was.peak_gb, 1e-4}};
                for (size_t k = 0; k < sizeof figure / sizeof *figure; k++) {
                    ck_assert_msg(figure[k].is <= figure[k].was + figure[k].room, "%s: %.4f %s a step, recorded are %.4f (%s)", name, figure[k].is,
                                  figure[k].what, figure[k].was, TABLE);
                    less += figure[k].is < figure[k].was - figure[k].room;
                }
            }
        }
    }
    zo_shim_idle = false;
    if (out != NULL) {
        fclose(out);
    }
    if (less > 0) {
        printf("measured: %d figures of %d rows are below the recorded; ZO_LAUNCHES_WRITE=%s writes the table anew\n", less, rows, TABLE);
    }
}
END_TEST

int main(void)
{
    char cache[] = "build/test_cuda_launches.XXXXXX";
    if (mkdtemp(cache) == NULL || setenv("ZO_CACHE", cache, 1) != 0) {
        perror("test_cuda_launches: build/test_cuda_launches.XXXXXX");
        return 1;
    }
    Suite *suite = suite_create("cuda_launches");
    TCase *tests = tcase_create("shim");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, steps_ask_for_no_more);
    suite_add_tcase(suite, tests);
    int failed = suite_run(suite);
    folder_remove(cache);
    return failed != 0;
}
