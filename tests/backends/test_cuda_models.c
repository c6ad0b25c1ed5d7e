/* test_cuda_models.c: whole models and whole optimizers on the CUDA backend under tests/shim, against the CPU backend: losses at many
 * points, predictions and gradients of every family, every estimator in every realisation, and the log of a run replayed to the same
 * bits. Device memory cannot be touched by the host here, so a caller that forgets where its data is crashes. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/cuda_sides.h"
#include "tests/generated.h"
#include "tests/golden_models.h"
#include "tests/suite.h"

extern const bool zo_shim_present; /* false on a card */

/* Four sequences, or two prompts with two options each. */
static zo_batch *batch_of(const zo_arch *arch, bool options, int seed)
{
    static const int32_t class_length[] = {5, 9, 1, 17}, option_length[] = {7, 3, 1, 12, 2, 4};
    return golden_batch(arch, options, options ? 6 : 4, options ? option_length : class_length, seed);
}

static double relative(const float *a, const float *b, int64_t n)
{
    double scale = 1e-30, most = 0.0;
    for (int64_t i = 0; i < n; i++) {
        scale = fmax(scale, fabs((double)b[i]));
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
        ck_assert(isfinite(a[i]) && isfinite(b[i]));
    }
    return most / scale;
}

static float *host_of(zo_backend *be, const zo_store *store)
{
    float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)store->size * sizeof *x);
    be->download(be, x, store->data, (size_t)store->size * sizeof *x);
    return x;
}

enum { POINTS = 3 };

/* Every family, and some with parameters frozen. */
static const struct { int family; const char *tune; } parts[] = {
    {0, "full"}, {1, "full"}, {2, "full"}, {3, "full"}, {4, "full"}, {5, "full"}, {6, "full"}, {7, "full"}, {8, "full"}, {9, "full"},
    {BERT, "bias"}, {BERT, "head"}, {LLAMA, "last layers 1"}, {GPT2, "pattern on layer.1.mlp.up.*,layer.0.attn.v.*,embed.position"},
    {BERT, "pattern on embed.norm.*,layer.1.attn.norm.weight"}, {BERT, "prefix tokens 3 init activations"}, {OPT, "prefix tokens 5 init random"},
    {LLAMA, "prefix tokens 4 init activations"}, {BERT, "lora rank 3 on all"}, {GPT2, "lora rank 2 on o,up"}, {LLAMA, "lora rank 2 on q,v,gate"},
    {OPT, "lora rank 4 on all"}, {ALBERT, "prefix tokens 3 init activations"},
    {ALBERT, "lora rank 2 on q,v,o"}, {BERT, "side downsample 2 late 1"}, {LLAMA, "side downsample 3 late 1"}};
enum { PARTS = sizeof parts / sizeof parts[0] };

static zo_model *part_of(int side, int part, bool second)
{
    zo_err err = {0};
    zo_tune tune;
    ck_assert_msg(zo_tune_parse(parts[part].tune, "test", &tune, &err) == ZO_OK, "%s", err.text);
    return golden_model_of(backend_of(side), parts[part].family, second, ZO_F32, ZO_STORAGE_F32, &tune);
}

START_TEST(families_agree)
{
    int family = parts[_i].family;
    for (int second = 0; second < 2; second++) {
        bool options = second && causal(family);
        double loss[SIDES][2 * POINTS], nll[SIDES][4], first_order[SIDES][2];
        int32_t choice[SIDES][4];
        float *grad[SIDES][2];
        int64_t size = 0;
        for (int side = 0; side < SIDES; side++) {
            zo_backend *be = backend_of(side);
            zo_model *model = part_of(side, _i, second);
            zo_batch *b = batch_of(zo_model_arch(model), options, 1);
            const zo_store *base[POINTS] = {zo_model_store(model), zo_model_store(model), zo_model_store(model)};
            zo_view stored = zo_view_stored(base);
            zo_dir dir[2] = {{.kind = ZO_DIR_DENSE, .seed = 3, .step = 1}, {.kind = ZO_DIR_DENSE, .seed = 3, .step = 2}};
            float coef[2 * POINTS] = {0.01f, 0.0f, -0.01f, 0.0f, 0.01f, 0.02f};
            zo_view view = {.npoints = POINTS, .base = base, .ndirs = 2, .dir = dir, .coef = coef};
            zo_model_reserve(model, b->tokens, b->rows, b->scores, POINTS, ZO_BACKWARD, NULL);
            zo_model_losses(model, &stored, b, &loss[side][0]);
            zo_model_losses(model, &view, b, &loss[side][1]);
            zo_model_predict(model, &stored, b, choice[side], nll[side]);
            size = zo_model_layout(model)->trained_size;
            for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
                zo_store *g = zo_store_new(be, zo_model_layout(model), ZO_TAG_GRADS);
                if (checkpoint) {
                    zo_model_reserve(model, b->tokens, b->rows, b->scores, POINTS, ZO_BACKWARD_CHECKPOINT, NULL);
                }
                zo_model_grad(model, b, 0.5, checkpoint, g, &first_order[side][checkpoint]);
                grad[side][checkpoint] = host_of(be, g);
                zo_store_free(be, g);
            }
            zo_batch_free(b);
            zo_model_close(model);
        }
        double worst = 0.0, gradient = 0.0;
        for (int p = 0; p <= POINTS; p++) {
            worst = fmax(worst, fabs(loss[CUDA][p] - loss[CPU][p]));
        }
        for (int e = 0; e < (options ? 2 : 4); e++) {
            ck_assert_int_eq(choice[CPU][e], choice[CUDA][e]);
            worst = fmax(worst, fabs(nll[CUDA][e] - nll[CPU][e]));
        }
        for (int c = 0; c < 2; c++) {
            worst = fmax(worst, fabs(first_order[CUDA][c] - first_order[CPU][c]));
            gradient = fmax(gradient, relative(grad[CUDA][c], grad[CPU][c], size));
            zo_free(grad[CPU][c]);
            zo_free(grad[CUDA][c]);
        }
        printf("%-14s %-8s %s: losses differ by %.1e, gradients by %.1e of the largest\n", families[family], options ? "options" : second ? "words" : "classes", parts[_i].tune, worst,
               gradient);
        ck_assert(worst < 5e-6 && gradient < 5e-5);
    }
}
END_TEST

/* precisions ----------------------------------------------------------------------------------------------------------------------- */

enum { PROBES = 4 };
typedef struct figures { double loss[POINTS], side[PROBES], formed[PROBES]; float *grad; int64_t size; } figures;

/* Losses at three points, projected gradients of TeZO's probes by the side path and by forming W + cZ, and the gradient. */
static figures figures_of(int side, int family, zo_precision precision)
{
    const double eps = 1e-2;
    zo_backend *be = backend_of(side);
    zo_model *model = golden_model(be, family, true, precision, ZO_STORAGE_F32);
    zo_batch *b = batch_of(zo_model_arch(model), causal(family), 1);
    const zo_layout *layout = zo_model_layout(model);
    const zo_store *base[POINTS] = {zo_model_store(model), zo_model_store(model), zo_model_store(model)};
    zo_dir gauss = {.kind = ZO_DIR_DENSE, .seed = 3, .step = 1};
    float three[POINTS] = {0.0f, 0.01f, -0.01f}, two[2] = {(float)eps, (float)-eps};
    zo_view view = {.npoints = POINTS, .base = base, .ndirs = 1, .dir = &gauss, .coef = three};
    int *rank = golden_ints(layout->n);
    for (int t = 0; t < layout->n; t++) {
        rank[t] = layout->param[t].kind == ZO_PARAM_MATRIX ? 4 : 0;
    }
    zo_factors *f = zo_factors_new(be, layout, rank, -0.5, 11);
    float *coefs = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(2 * f->ncoef) * sizeof *coefs);
    zo_store *g = zo_store_new(be, layout, ZO_TAG_GRADS);
    figures result = {.size = layout->size};
    double loss[2];
    zo_model_reserve(model, b->tokens, b->rows, b->scores, POINTS, ZO_BACKWARD, f);
    zo_model_losses(model, &view, b, result.loss);
    for (int probe = 0; probe < PROBES; probe++) {
        zo_dir cp = {.kind = ZO_DIR_CP, .seed = 3, .step = (uint32_t)probe};
        for (int t = 0; t < layout->n; t++) {
            if (rank[t] > 0) {
                zo_dir_coefs(&cp, f, t, coefs + f->coef_at[t]);
            }
        }
        for (int64_t s = 0; s < f->ncoef; s++) {
            coefs[f->ncoef + s] = two[1] * coefs[s];
            coefs[s] = two[0] * coefs[s];
        }
        zo_view beside = {.npoints = 2, .base = base, .factors = f, .side = coefs};
        zo_view formed = {.npoints = 2, .base = base, .ndirs = 1, .dir = &cp, .coef = two, .factors = f};
        zo_model_losses(model, &beside, b, loss);
        result.side[probe] = (loss[0] - loss[1]) / (2.0 * eps);
        zo_model_losses(model, &formed, b, loss);
        result.formed[probe] = (loss[0] - loss[1]) / (2.0 * eps);
    }
    zo_model_grad(model, b, 1.0, false, g, loss);
    result.grad = host_of(be, g);
    zo_store_free(be, g);
    zo_factors_free(be, f);
    zo_free(coefs);
    zo_free(rank);
    zo_batch_free(b);
    zo_model_close(model);
    return result;
}

static double norm_of_difference(const double *a, const double *b, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++) {
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return sqrt(sum);
}

/* Every family in every precision of the card against f32 on the processor. What a precision costs is printed; the limits are some times
 * its unit, 2^-9 for bf16 and 2^-12 for the others. */
START_TEST(precisions_agree)
{
    static const double zero[PROBES];
    figures want = figures_of(CPU, _i, ZO_F32);
    for (int precision = ZO_F32; precision < ZO_PRECISIONS; precision++) {
        figures got = figures_of(CUDA, _i, (zo_precision)precision);
        double unit = precision == ZO_BF16 ? 0x1p-9 : 0x1p-12, size = norm_of_difference(want.side, zero, PROBES);
        double loss = norm_of_difference(got.loss, want.loss, POINTS), gradient = relative(got.grad, want.grad, want.size);
        double side = norm_of_difference(got.side, want.side, PROBES) / size, formed = norm_of_difference(got.formed, want.side, PROBES) / size;
        printf("%-14s %-4s losses differ by %.1e, projected gradients by %.1e (side path) and %.1e (formed), gradients by %.1e\n", families[_i],
               zo_precision_name((zo_precision)precision), loss, side, formed, gradient);
        bool f32 = precision == ZO_F32;
        ck_assert(loss < (f32 ? 5e-6 : 40 * unit) && side < (f32 ? 5e-5 : 100 * unit) && gradient < (f32 ? 5e-5 : 80 * unit) && isfinite(formed));
        zo_free(got.grad);
    }
    zo_free(want.grad);
}
END_TEST

/* optimizers ---------------------------------------------------------------------------------------------------------------------- */

enum { STEPS = 3 };

START_TEST(estimators_agree)
{
    static const int which[] = {0, 4, 8, 10, 12, 17, 18}; /* of `parts` */
    int family = parts[which[_i]].family;
    const zo_estimator *const *list;
    int n = zo_estimator_list(&list);
    for (int i = 0; i < n; i++) {
        for (int realisation = 0; realisation < ZO_REALISATIONS; realisation++) {
            const zo_estimator *e = list[i];
            if (!golden_steps_in(e, realisation) || !suite_takes(_i + i, zo_shim_present ? 3 : 1, 9)) {
                continue;
            }
            double loss[SIDES][STEPS], worst = 0.0;
            float *weights[SIDES];
            int64_t size;
            for (int side = 0; side < SIDES; side++) {
                golden_run r = {.model = part_of(side, which[_i], true)};
                for (int b = 0; b < 2; b++) {
                    r.batch[b] = batch_of(zo_model_arch(r.model), causal(family), 2 + b);
                }
                weights[side] = golden_steps(&r, e, realisation, STEPS, loss[side], &size);
            }
            ck_assert((weights[CPU] == NULL) == (weights[CUDA] == NULL));
            if (weights[CPU] == NULL) {
                continue;
            }
            for (int s = 0; s < STEPS; s++) {
                worst = fmax(worst, fabs(loss[CUDA][s] - loss[CPU][s]));
            }
            double moved = relative(weights[CUDA], weights[CPU], size);
            printf("%-12s %-9s %-10s %s: losses of %d steps differ by %.1e, weights by %.1e of the largest\n", e->name,
                   zo_realisation_name((zo_realisation)realisation), families[family], parts[which[_i]].tune, STEPS, worst, moved);
            /* a projected gradient is a difference of losses over 2 eps: their rounding grows by 1 / (2 eps) and the step size */
            ck_assert(worst < 2e-4 && moved < 2e-4);
            zo_free(weights[CPU]);
            zo_free(weights[CUDA]);
        }
    }
}
END_TEST

/* A run's log is its checkpoint: the terms that the CPU run applied, applied by the CUDA backend to the same start, give its weights. */
START_TEST(replay_is_bit_equal)
{
    enum { TERMS = 40 };
    float *weights[SIDES];
    int64_t size = 0;
    for (int side = 0; side < SIDES; side++) {
        zo_backend *be = backend_of(side);
        zo_model *model = golden_model(be, LLAMA, true, ZO_F32, ZO_STORAGE_F32);
        zo_store *store = zo_model_store(model);
        for (int t = 0; t < TERMS; t++) {
            zo_term term[3];
            for (int k = 0; k < 3; k++) {
                zo_term one = {{.kind = ZO_DIR_DENSE, .seed = 12, .step = (uint32_t)t, .query = (uint32_t)k}, 1e-3 * (k + 1) * (t % 2 ? -1 : 1)};
                term[k] = one;
            }
            be->apply(be, store, NULL, t % 4 == 0 ? 0.999 : 1.0, term, 1 + t % 3, NULL);
        }
        size = store->layout->size;
        weights[side] = host_of(be, store);
        zo_model_close(model);
    }
    ck_assert_mem_eq(weights[CPU], weights[CUDA], (size_t)size * sizeof(float));
    uint32_t hash = 0;
    for (int64_t i = 0; i < size; i++) {
        hash = (hash ^ zo_f32_bits(weights[CUDA][i])) * 0x01000193u;
    }
    printf("replay of %d sweeps over %lld weights: equal bits, hash %08x\n", TERMS, (long long)size, hash);
    zo_free(weights[CPU]);
    zo_free(weights[CUDA]);
}
END_TEST

/* What transformers writes, of several prompts at once and with kept keys and values. */
START_TEST(generates_as_transformers)
{
    cJSON *golden = read_generated();
    const cJSON *entry = cJSON_GetArrayItem(golden, _i);
    texts prompts = texts_of(cJSON_GetObjectItem(entry, "prompts")), ends = ends_of(entry), wanted = texts_of(cJSON_GetObjectItem(entry, "ended"));
    char folder[128];
    zo_err err = {0};
    zo_model *model;
    zo_arch arch = generated_arch(entry, folder);
    zo_model_spec spec = {.folder = folder, .arch = &arch, .head = ZO_HEAD_SPAN};
    ck_assert_msg(zo_model_open(&model, &spec, backend_of(CUDA), &err) == ZO_OK, "%s", err.text);
    zo_model_reserve(model, ROOM, PROMPTS, PROMPTS, 1, ZO_FORWARD_ONLY, NULL);
    texts got = write_on(model, &prompts, 0, PROMPTS, &ends, false);
    check_same("on the card", &got, &wanted, 0);
    zo_model_close(model);
    cJSON_Delete(golden);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cuda_models");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, families_agree, 0, PARTS);
    tcase_add_loop_test(tc, precisions_agree, 0, FAMILIES);
    tcase_add_loop_test(tc, estimators_agree, 0, 6);
    tcase_add_test(tc, replay_is_bit_equal);
    tcase_add_loop_test(tc, generates_as_transformers, 0, MODELS);
    suite_add_tcase(s, tc);
    return suite_run(s) != 0;
}
