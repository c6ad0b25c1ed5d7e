/* test_cuda_graphs.c: passes started as CUDA graphs (backends/cuda/graph.cu) give the bits of passes started operation by operation: losses,
 * predictions and gradients of every family over batches of changing shape and views of changing seed, step and coefficients; every
 * estimator in every realisation; graphs dropped and made again; passes that wait or grow in the middle; lengths that round to one shape. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/cuda.h"
#include "tests/golden_models.h"
#include "tests/suite.h"

extern const bool zo_shim_present; /* false on a card */
extern bool zo_shim_lazy;
const char *zo_shim_forbidden(void); /* what a capture of the shim lets pass and should not; NULL = nothing */

enum { SHAPES = 3, GRAPHS = 64, EXAMPLES = 32, ROUND_TO = 16 /* less than the backend's: small batches of several shapes */ };

static zo_err err;

static zo_backend *backend(void)
{
    static zo_backend *be;
    if (be == NULL) {
        ck_assert_msg(zo_cuda_open(-1, 1, &be, &err) == ZO_OK, "%s", err.text);
        be->round_to = ROUND_TO;
    }
    return be;
}

/* Sequences whose number depends on `shape`, lengths on `lengths` and tokens on `seed`. */
static zo_batch *batch_of(const zo_arch *arch, bool options, int shape, int lengths, int seed)
{
    int32_t seqs = options ? 3 * (2 + 2 * shape) : 3 + 6 * shape, length[EXAMPLES];
    for (int32_t s = 0; s < seqs; s++) {
        length[s] = 2 + golden_draw(100 * lengths + s, 6);
    }
    return golden_batch(arch, options, seqs, length, seed);
}

static zo_model *model_of(int family, bool second, zo_precision precision)
{
    return golden_model(backend(), family, second, precision, ZO_STORAGE_F32);
}

/* How the passes of a run are started; graphs, under the shim, on a device that does nothing before somebody waits. */
typedef enum way { ONE_BY_ONE, AS_GRAPHS, WAYS } way;

static void begin_way(way w, int graphs)
{
    zo_cuda_set_graphs(backend(), w == ONE_BY_ONE ? 0 : graphs);
    zo_shim_lazy = w == AS_GRAPHS;
}

static void end_way(void)
{
    zo_shim_lazy = false;
    zo_cuda_set_graphs(backend(), GRAPHS);
}

/* losses, predictions, gradients --------------------------------------------------------------------------------------------------- */

enum { STORED, PROBE, TWO, CP, SIDE, BASES, VIEWS, ROUNDS = 6, POINTS = 3, VALUES = VIEWS * ROUNDS * POINTS };
static const int shape_of[ROUNDS] = {0, 1, 0, 1, 0, 0}; /* twice new, twice captured, twice known */

typedef struct scene { zo_model *model; zo_factors *factors; zo_store *other; zo_batch *batch[ROUNDS]; } scene;

/* Losses at a view that differs from round to round in everything but its shape. */
static void losses_at(const scene *s, int kind, int round, double *loss)
{
    const zo_store *base[POINTS] = {zo_model_store(s->model), kind == BASES ? s->other : zo_model_store(s->model), zo_model_store(s->model)};
    uint32_t step = (uint32_t)(10 * kind + round);
    float c = 0.01f * (float)(1 + round), coef[2 * POINTS] = {c, 0.0f, -c, 0.0f, c, 2 * c}, side[POINTS * 256];
    zo_dir dir[2] = {{.kind = ZO_DIR_DENSE, .seed = 3 + step, .step = step}, {.kind = ZO_DIR_DENSE, .seed = 3, .step = step + 1, .query = 1}};
    zo_view view = {.npoints = POINTS, .base = base, .dir = dir, .coef = coef};
    switch (kind) {
    case STORED:
        view.npoints = 1;
        break;
    case TWO:
        view.ndirs = 2;
        break;
    case CP:
        dir[0].kind = ZO_DIR_REST;
        dir[1].kind = ZO_DIR_CP;
        view.ndirs = 2;
        view.factors = s->factors;
        break;
    case SIDE:
        dir[0].kind = ZO_DIR_REST;
        view.ndirs = 1;
        view.factors = s->factors;
        ck_assert_int_le(s->factors->ncoef, 256);
        for (int64_t i = 0; i < POINTS * s->factors->ncoef; i++) {
            side[i] = c * (float)(1 + i % 5);
        }
        view.side = side;
        break;
    default:
        view.npoints = 2;
        view.ndirs = 1;
        break;
    }
    zo_model_losses(s->model, &view, s->batch[round], loss);
}

/* Everything that a pass gives, in the same order for every way. */
static void run_scene(const scene *s, int kinds, bool gradients, double *loss, int32_t *choice, float *grad)
{
    zo_backend *be = backend();
    for (int kind = 0; kind < kinds; kind++) {
        for (int round = 0; round < ROUNDS; round++) {
            losses_at(s, kind, round, &loss[(kind * ROUNDS + round) * POINTS]);
        }
    }
    const zo_store *stored = zo_model_store(s->model);
    zo_view view = zo_view_stored(&stored);
    zo_store *g = zo_store_new(be, zo_model_layout(s->model), ZO_TAG_GRADS);
    for (int round = 0; round < ROUNDS; round++) {
        zo_model_predict(s->model, &view, s->batch[round], &choice[EXAMPLES * round], NULL);
        if (gradients) {
            zo_model_grad(s->model, s->batch[round], 0.5 + round, round % 2, g, &loss[VALUES + round]);
        }
    }
    be->download(be, grad, g->data, (size_t)g->layout->size * sizeof *grad);
    zo_store_free(be, g);
}

START_TEST(passes_between_two_counts)
{
    zo_passes since = zo_passes_since((zo_passes){9, 17, 33, 65}, (zo_passes){1, 2, 3, 4});
    ck_assert(since.played == 8 && since.captured == 15 && since.replayed == 30 && since.evicted == 61);
}
END_TEST

START_TEST(passes_have_the_same_bits)
{
    zo_backend *be = backend();
    for (int second = 0; second < 2; second++) {
        bool all = _i == BERT || _i == LLAMA, gradients = all || !second;
        int kinds = second && all ? VIEWS : PROBE + 1;
        scene s = {.model = model_of(_i, second, second ? ZO_BF16 : ZO_F32)};
        const zo_layout *layout = zo_model_layout(s.model);
        int *rank = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)layout->n * sizeof *rank);
        for (int t = 0; t < layout->n; t++) {
            rank[t] = layout->param[t].kind == ZO_PARAM_MATRIX ? 2 : 0;
        }
        s.factors = zo_factors_new(be, layout, rank, -0.5, 11);
        s.other = zo_store_new(be, layout, ZO_TAG_SNAPSHOT);
        zo_free(rank);
        int64_t tokens = 0;
        int32_t rows = 0;
        for (int r = 0; r < ROUNDS; r++) {
            s.batch[r] = batch_of(zo_model_arch(s.model), second && causal(_i), shape_of[r], shape_of[r], r);
            tokens = tokens > s.batch[r]->tokens ? tokens : s.batch[r]->tokens;
            rows = rows > s.batch[r]->rows ? rows : s.batch[r]->rows;
        }
        zo_model_reserve(s.model, tokens, rows, rows, POINTS, ZO_BACKWARD, s.factors);
        zo_model_reserve(s.model, tokens, rows, rows, POINTS, ZO_BACKWARD_CHECKPOINT, s.factors);
        double loss[WAYS][VALUES + ROUNDS];
        int32_t choice[WAYS][EXAMPLES * ROUNDS];
        float *grad[WAYS];
        memset(loss, 0, sizeof loss);
        memset(choice, 0, sizeof choice);
        for (int w = 0; w < WAYS; w++) {
            grad[w] = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)layout->size * sizeof **grad);
            begin_way((way)w, GRAPHS);
            zo_passes before = be->passes;
            run_scene(&s, kinds, gradients, loss[w], choice[w], grad[w]);
            zo_passes since = zo_passes_since(be->passes, before);
            ck_assert_msg(memcmp(loss[0], loss[w], sizeof *loss) == 0 && memcmp(choice[0], choice[w], sizeof *choice) == 0 &&
                          memcmp(grad[0], grad[w], (size_t)layout->size * sizeof **grad) == 0,
                          "%s: passes started as graphs give other bits", families[_i]);
            if (w == ONE_BY_ONE) {
                ck_assert_uint_eq(since.played + since.captured + since.replayed + since.evicted, 0);
            } else {
                /* of six passes two are new, two captured, two known; predictions are STORED again; a gradient is two passes, which
                 * repeat less because every second one has checkpoints */
                printf("%-14s %-7s %llu passes played, %llu captured, %llu from known graphs\n", families[_i], second ? "second" : "class",
                       (unsigned long long)since.played, (unsigned long long)since.captured, (unsigned long long)since.replayed);
                ck_assert_uint_eq(since.played + since.captured + since.replayed, (unsigned)((kinds + 1 + 2 * gradients) * ROUNDS));
                ck_assert_uint_ge(since.replayed, (unsigned)(2 * kinds + ROUNDS));
            }
        }
        end_way();
        for (int w = 0; w < WAYS; w++) {
            zo_free(grad[w]);
        }
        for (int r = 0; r < ROUNDS; r++) {
            zo_batch_free(s.batch[r]);
        }
        zo_factors_free(be, s.factors);
        zo_store_free(be, s.other);
        zo_model_close(s.model);
    }
}
END_TEST

/* estimators ------------------------------------------------------------------------------------------------------------------------- */

enum { STEPS = 12 }; /* LeZO leaves out one of two blocks of two batches: four shapes, each played, captured, and then known */

START_TEST(steps_have_the_same_bits)
{
    zo_backend *be = backend();
    const zo_estimator *const *list;
    int n = zo_estimator_list(&list);
    for (int i = 0; i < n; i++) {
        const zo_estimator *e = list[i];
        if (!suite_takes(i, zo_shim_present ? 3 : 1, 9)) {
            continue;
        }
        uint64_t most = e->step == NULL ? 2 : 0; /* over the realisations: streamed, a step that leaves out other blocks makes another pass */
        for (int realisation = 0; realisation < ZO_REALISATIONS; realisation++) {
            if (!golden_steps_in(e, realisation)) {
                continue;
            }
            int family = (i + realisation) % 2 ? LLAMA : BERT;
            double loss[WAYS][STEPS];
            float *weights[WAYS] = {NULL};
            int64_t size;
            uint64_t replayed = be->passes.replayed;
            for (int w = 0; w < WAYS; w++) {
                begin_way((way)w, GRAPHS);
                golden_run r = {.model = model_of(family, true, ZO_F32)};
                for (int b = 0; b < 2; b++) {
                    r.batch[b] = batch_of(zo_model_arch(r.model), causal(family), b, b, b);
                }
                weights[w] = golden_steps(&r, e, realisation, STEPS, loss[w], &size);
                ck_assert_msg(memcmp(loss[0], loss[w], sizeof *loss) == 0 && memcmp(weights[0], weights[w], (size_t)size * sizeof **weights) == 0,
                              "%s %s: passes started as graphs give other bits", e->name, zo_realisation_name((zo_realisation)realisation));
            }
            end_way();
            replayed = be->passes.replayed - replayed;
            printf("%-12s %-9s %-10s %d steps: equal bits, %llu passes from known graphs\n", e->name,
                   zo_realisation_name((zo_realisation)realisation), families[family], STEPS, (unsigned long long)replayed);
            most = replayed > most ? replayed : most;
            for (int w = 0; w < WAYS; w++) {
                zo_free(weights[w]);
            }
        }
        ck_assert_msg(most >= 2, "%s starts no pass from a known graph", e->name);
    }
}
END_TEST

/* the cache, and passes that cannot be one graph --------------------------------------------------------------------------------------- */

/* Shapes come in an order that keeps one graph in use, drops others and makes them again. */
START_TEST(dropped_graphs_come_again)
{
    static const int order[] = {0, 0, 0, 1, 1, 0, 2, 2, 0, 1, 1, 1, 0, 2, 2, 2, 0};
    enum { N = sizeof order / sizeof order[0] };
    zo_backend *be = backend();
    zo_model *model = model_of(BERT, false, ZO_F32);
    zo_batch *batch[SHAPES];
    zo_model_reserve(model, 200, EXAMPLES, EXAMPLES, 2, ZO_FORWARD_ONLY, NULL);
    for (int i = 0; i < SHAPES; i++) {
        batch[i] = batch_of(zo_model_arch(model), false, i, i, i);
    }
    double loss[WAYS][2 * N];
    for (int w = 0; w < WAYS; w++) {
        begin_way((way)w, 2);
        uint64_t evicted = be->passes.evicted, replayed = be->passes.replayed;
        for (int i = 0; i < N; i++) {
            const zo_store *base[2] = {zo_model_store(model), zo_model_store(model)};
            zo_dir dir = {.kind = ZO_DIR_DENSE, .seed = 8, .step = (uint32_t)i};
            float coef[2] = {0.02f, -0.02f};
            zo_view view = {.npoints = 2, .base = base, .ndirs = 1, .dir = &dir, .coef = coef};
            zo_model_losses(model, &view, batch[order[i]], &loss[w][2 * i]);
        }
        ck_assert_mem_eq(loss[0], loss[w], sizeof *loss);
        if (w != ONE_BY_ONE) {
            ck_assert_uint_ge(be->passes.evicted - evicted, 3);
            ck_assert_uint_ge(be->passes.replayed - replayed, 5);
        }
    }
    end_way();
    for (int i = 0; i < SHAPES; i++) {
        zo_batch_free(batch[i]);
    }
    zo_model_close(model);
}
END_TEST

/* Batches of other lengths whose tokens, rows and scores round up to the same make one shape; and rounding changes no loss, on the CPU
 * neither, where it is turned on for this. */
START_TEST(about_one_length_is_one_shape)
{
    enum { BATCHES = 6 };
    zo_backend *be = backend(), *cpu;
    double loss[3][BATCHES], nll[3][BATCHES * EXAMPLES], worst = 0.0;
    int32_t choice[EXAMPLES], tokens[BATCHES];
    ck_assert_msg(zo_backend_open("cpu", 2, &cpu, &err) == ZO_OK, "%s", err.text);
    memset(nll, 0, sizeof nll);
    const int round_to = 64;
    int different = 0;
    for (int side = 0; side < 3; side++) {
        zo_backend *on = side < 2 ? be : cpu;
        on->round_to = side == 0 ? 0 : round_to;
        zo_cuda_set_graphs(be, GRAPHS);
        zo_model *model = golden_model(on, _i ? LLAMA : BERT, _i, ZO_F32, ZO_STORAGE_F32);
        zo_model_reserve(model, 80, 80, 80, 1, ZO_FORWARD_ONLY, NULL);
        const zo_store *stored = zo_model_store(model);
        zo_view view = zo_view_stored(&stored);
        uint64_t replayed = be->passes.replayed;
        for (int i = 0; i < BATCHES; i++) {
            zo_batch *b = batch_of(zo_model_arch(model), _i, _i ? 0 : 1, 20 + i, i);
            tokens[i] = b->tokens;
            different += side == 0 && i > 0 && tokens[i] != tokens[0];
            zo_model_losses(model, &view, b, &loss[side][i]);
            zo_model_predict(model, &view, b, choice, &nll[side][i * EXAMPLES]);
            zo_batch_free(b);
        }
        replayed = be->passes.replayed - replayed;
        if (side == 1) {
            printf("%-6s tokens %d %d %d %d %d %d: %llu of %d passes from known graphs\n", _i ? "llama" : "bert", tokens[0], tokens[1], tokens[2], tokens[3],
                   tokens[4], tokens[5], (unsigned long long)replayed, 2 * BATCHES);
            ck_assert_uint_ge(replayed, _i ? 2 : 2 * BATCHES - 4); /* options differ in rows, scores and lists of work as well */
        }
        zo_model_close(model);
        on->round_to = on == be ? ROUND_TO : 0;
    }
    ck_assert_int_ge(different, 2);
    /* on a card a product's algorithm may depend on its rows */
    ck_assert(!zo_shim_present || (memcmp(loss[0], loss[1], sizeof *loss) == 0 && memcmp(nll[0], nll[1], sizeof *nll) == 0));
    for (int i = 0; i < BATCHES; i++) {
        worst = fmax(worst, fmax(fabs(loss[1][i] - loss[0][i]), fabs(loss[2][i] - loss[0][i])));
    }
    ck_assert(worst < 5e-6);
    cpu->close(cpu);
}
END_TEST

/* A pass that reads, frees and outgrows its block of staged data in the middle. */
START_TEST(passes_may_wait_and_grow)
{
    enum { TOKENS = 5, COLS = 8, ROWS = 20000 };
    zo_backend *be = backend();
    float x[TOKENS * COLS], middle[WAYS][COLS], *end[WAYS];
    int32_t row[ROWS];
    for (int i = 0; i < TOKENS * COLS; i++) {
        x[i] = (float)i;
    }
    for (int i = 0; i < ROWS; i++) {
        row[i] = i * 7 % TOKENS;
    }
    for (int w = 0; w < WAYS; w++) {
        end[w] = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ROWS * COLS * sizeof(float));
        begin_way((way)w, 4);
        float *from = be->alloc(be, ZO_TAG_ACTIVATIONS, sizeof x), *to = be->alloc(be, ZO_TAG_ACTIVATIONS, ROWS * COLS * sizeof(float));
        for (int time = 0; time < 4; time++) {
            be->upload(be, from, x, sizeof x);
            be->pass_begin(be);
            be->gather(be, from, 1, TOKENS, COLS, row, 3, to);
            be->add(be, to, from, 2 * COLS);
            be->download(be, middle[w], to, sizeof middle[w]);
            float *more = be->alloc(be, ZO_TAG_ACTIVATIONS, sizeof x);
            be->copy(be, more, from, sizeof x);
            be->add(be, from, more, TOKENS * COLS);
            be->release(be, more);
            be->gather(be, from, 1, TOKENS, COLS, row + 1, time < 2 ? ROWS / 4 : ROWS - 1, to);
            be->zero(be, from, sizeof x);
            be->pass_end(be);
        }
        be->download(be, end[w], to, ROWS * COLS * sizeof(float));
        ck_assert_mem_eq(middle[0], middle[w], sizeof *middle);
        ck_assert_mem_eq(end[0], end[w], ROWS * COLS * sizeof(float));
        ck_assert(end[w][0] == 2.0f * x[row[1] * COLS]);
        be->release(be, from);
        be->release(be, to);
    }
    end_way();
    for (int w = 0; w < WAYS; w++) {
        zo_free(end[w]);
    }
}
END_TEST

START_TEST(a_capture_refuses_what_cuda_does)
{
    const char *let_pass = zo_shim_forbidden();
    ck_assert_msg(let_pass == NULL, "during a capture the shim lets pass: %s", let_pass);
}
END_TEST

START_TEST(the_environment_is_read)
{
    static const char *const wrong[] = {"", "many", "-1", "7x", "100001"};
    zo_backend *be;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("ZO_CUDA_GRAPHS", wrong[i], 1);
        ck_assert_int_eq(zo_cuda_open(-1, 1, &be, &err), ZO_EINPUT);
        ck_assert_ptr_nonnull(strstr(err.text, "ZO_CUDA_GRAPHS"));
    }
    setenv("ZO_CUDA_GRAPHS", "0", 1);
    ck_assert_int_eq(zo_cuda_open(-1, 1, &be, &err), ZO_OK);
    float one = 1.0f, two = 0.0f, *x = be->alloc(be, ZO_TAG_ACTIVATIONS, sizeof one);
    be->pass_begin(be);
    be->upload(be, x, &one, sizeof one);
    be->add(be, x, x, 1);
    be->pass_end(be);
    be->download(be, &two, x, sizeof two);
    ck_assert(two == 2.0f && be->passes.played == 0);
    be->release(be, x);
    be->close(be);
    unsetenv("ZO_CUDA_GRAPHS");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cuda_graphs");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 600);
    tcase_add_test(tc, passes_between_two_counts);
    tcase_add_test(tc, a_capture_refuses_what_cuda_does);
    tcase_add_test(tc, the_environment_is_read);
    tcase_add_test(tc, passes_may_wait_and_grow);
    tcase_add_test(tc, dropped_graphs_come_again);
    tcase_add_loop_test(tc, about_one_length_is_one_shape, 0, 2);
    tcase_add_loop_test(tc, passes_have_the_same_bits, 0, FAMILIES);
    tcase_add_test(tc, steps_have_the_same_bits);
    suite_add_tcase(s, tc);
    return suite_run(s) != 0;
}
