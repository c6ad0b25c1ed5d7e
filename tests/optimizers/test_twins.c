/* test_twins.c: every estimator's twin (tests/optimizers/twins): float64, z stored, written from the papers and not from the estimators' files.
 * The program's estimator runs STEPS steps on the engine, on a small network; the twin gets the first weights and each loss that the
 * estimator got, in order. Compared are the displacement of the weights, each set and each array of numbers, to 1e-4 of their norms, and each loss
 * with that of the twin's point. The learning rates move the weights by more than 1e-2 of their norm: doing nothing would not pass. Each line of a
 * twin that says so is then wrong in a run of its own, which has to be ten tolerances off. */
#include <cjson/cJSON.h>
#include <check.h>
#include <stdio.h>

#include "optimizers/engine/engine_state.h"
#include "optimizers/spsa.h"
#include "tests/fold_side.h"
#include "tests/objective64.h"
#include "tests/oracles.h"
#include "tests/optimizers/twins/adamezo.h"
#include "tests/optimizers/twins/adamu.h"
#include "tests/optimizers/twins/addax.h"
#include "tests/optimizers/twins/dizo.h"
#include "tests/optimizers/twins/eggroll.h"
#include "tests/optimizers/twins/first_order.h"
#include "tests/optimizers/twins/helene.h"
#include "tests/optimizers/twins/langevin.h"
#include "tests/optimizers/twins/lozo.h"
#include "tests/optimizers/twins/masks.h"
#include "tests/optimizers/twins/mezo.h"
#include "tests/optimizers/twins/muon.h"
#include "tests/optimizers/twins/population.h"
#include "tests/optimizers/twins/qzo.h"
#include "tests/optimizers/twins/scaled.h"
#include "tests/optimizers/twins/sides.h"
#include "tests/optimizers/twins/subzo.h"
#include "tests/optimizers/twins/svrg.h"
#include "tests/optimizers/twins/tezo.h"
#include "tests/optimizers/twins/variants.h"
#include "tests/optimizers/twins/zo_svrg.h"
#include "tests/suite.h"

enum { SEED = 11 };
static const double within = 1e-4, losses_within = 1e-5, moved_by = 1e-2;

static const struct pair { const char *name, *json; twin_step *step; double lr, eps; } pairs[] = {
    {"mezo", NULL, twin_mezo, 2e-2, 1e-2},
    {"mezo", "{\"queries\": 3, \"weight_decay\": 0.5}", twin_mezo, 2e-2, 1e-2},
    {"mezo", "{\"weight_decay\": 0.5, \"decay_on\": \"all\"}", twin_mezo, 2e-2, 1e-2},
    {"mezo", "{\"draw\": \"rademacher\", \"queries\": 2}", twin_mezo, 2e-2, 1e-2},
    {"mezo", "{\"queries\": 3, \"query_batches\": \"fresh\"}", twin_mezo, 2e-2, 1e-2},
    {"mezo-adam", NULL, twin_mezo_adam, 1e-2, 1e-2},
    {"mezo-adam", "{\"beta1\": 0.8, \"beta2\": 0.99, \"adam_eps\": 0.01, \"weight_decay\": 0.5, \"draw\": \"rademacher\"}", twin_mezo_adam, 2e-2,
     1e-2},
    {"mezo-adam", "{\"mode\": \"replay\", \"history\": 6, \"adam_eps\": 0.01, \"weight_decay\": 0.5}", twin_mezo_adam, 1e-2, 1e-2},
    {"mezo-adam", "{\"mode\": \"released\", \"adam_eps\": 0.1, \"beta2\": 0.99, \"weight_decay\": 0.5}", twin_mezo_adam, 2e-2, 1e-2},
    {"mezo-svrg", "{\"eta2\": 1e-2}", twin_mezo_svrg, 2e-2, 1e-2},
    {"mezo-svrg", "{\"eta2\": 1e-2, \"z\": \"fresh\", \"q\": 5, \"window\": 3, \"kappa\": 0.9, \"anneal\": 1.1}", twin_mezo_svrg, 2e-2, 1e-2},
    {"mezo-svrg", "{\"eta2\": 1e-2, \"mode\": \"replay\", \"q\": 3}", twin_mezo_svrg, 2e-2, 1e-2},
    {"mezo-svrg", "{\"eta2\": 1e-2, \"mode\": \"replay\", \"q\": 3, \"z\": \"fresh\"}", twin_mezo_svrg, 2e-2, 1e-2},
    {"mezo-svrg", "{\"eta2\": 1e-2, \"mode\": \"released\", \"kappa\": 0.9, \"anneal\": 1.1, \"window\": 3}", twin_mezo_svrg, 2e-2, 1e-2},
    {"mezo-svrg", "{\"eta2\": 1e-2, \"rule\": \"off\", \"draw\": \"rademacher\"}", twin_mezo_svrg, 2e-2, 1e-2},
    {"qzo", NULL, twin_qzo, 2e-2, 1e-2},
    {"qzo", "{\"clip\": 0.3}", twin_qzo, 2e-2, 1e-2},
    {"qzo", "{\"clip\": 0, \"draw\": \"rademacher\"}", twin_qzo, 2e-2, 1e-2},
    {"lezo", "{\"sparsity\": 0.7}", twin_lezo, 2e-2, 1e-2},
    {"lezo", "{\"sparsity\": 0.4, \"draw\": \"rademacher\"}", twin_lezo, 2e-2, 1e-2},
    {"conmezo", "{\"theta\": 1.2, \"beta\": 0.9}", twin_conmezo, 2e-2, 1e-2},
    {"conmezo", "{\"mode\": \"released\", \"theta\": 1.2, \"beta\": 0.9}", twin_conmezo, 2e-2, 1e-2},
    {"hizoo", "{\"smooth\": 0.05}", twin_hizoo, 2e-2, 1e-1},
    {"hizoo", "{\"smooth\": 0.3}", twin_hizoo, 1e-2, 1e-1},
    {"tezo", NULL, twin_tezo, 2e-2, 1e-2},
    {"tezo", "{\"rank\": 3, \"scale\": \"none\", \"embeddings\": \"rest\", \"rest_lr\": 0.03}", twin_tezo, 1e-2, 1e-2},
    {"tezo", "{\"rank\": 2, \"scale\": \"rank\", \"embeddings\": \"freeze\", \"rest\": \"freeze\"}", twin_tezo, 4e-2, 1e-2},
    {"tezo", "{\"threshold\": 0.5, \"rank_max\": 9}", twin_tezo, 2e-2, 1e-2},
    {"tezo-m", "{\"rank\": 4, \"beta1\": 0.8}", twin_tezo_m, 2e-2, 1e-2},
    {"tezo-adam", "{\"rank\": 4}", twin_tezo_adam, 1e-2, 1e-2},
    {"tezo-adam", "{\"rank\": 3, \"embeddings\": \"freeze\", \"beta2\": 0.99, \"bias_correction\": false, \"rest_normalised\": false}",
     twin_tezo_adam, 1e-2, 1e-2},
    {"tezo-m", "{\"rank\": 3, \"embeddings\": \"rest\"}", twin_tezo_m, 2e-2, 1e-2},
    {"tezo-m", "{\"rank\": 2, \"embeddings\": \"freeze\", \"rest\": \"freeze\"}", twin_tezo_m, 4e-2, 1e-2},
    {"tezo-adam", "{\"rank\": 3, \"embeddings\": \"rest\"}", twin_tezo_adam, 1e-2, 1e-2},
    {"tezo-adam", "{\"rank\": 3, \"rest\": \"freeze\"}", twin_tezo_adam, 1e-2, 1e-2},
    {"eggroll", "{\"antithetic\": false, \"pairs\": 1}", twin_eggroll, 1e-2, 1e-2},
    {"r-mezo", "{\"share\": 0.4, \"refresh\": 0}", twin_r_mezo, 2e-2, 1e-2},
    {"mezo-m", "{\"beta\": 0.8}", twin_mezo_m, 5e-3, 1e-2},
    {"zo-sign", NULL, twin_zo_sign, 2e-2, 1e-2},
    {"zo-sign", "{\"queries\": 2}", twin_zo_sign, 2e-2, 1e-2},
    {"zo-sign", "{\"reading\": \"element\", \"queries\": 2}", twin_zo_sign, 1e-2, 1e-2},
    {"zo-cons", NULL, twin_zo_cons, 2e-2, 1e-2},
    {"kerzoo", NULL, twin_kerzoo, 2e-2, 1e-2},
    {"kerzoo", "{\"queries\": 3, \"radius\": \"step\", \"c\": 2}", twin_kerzoo, 1e-2, 1e-2},
    {"meazo", "{\"beta\": 0.9, \"zeta\": 0.1}", twin_meazo, 2e-2, 1e-2},
    {"hizoo", "{\"smooth\": 1e-2}", twin_hizoo, 2e-2, 1e-2},
    {"mezo", "{\"estimate\": \"one-sided\", \"queries\": 3}", twin_mezo_sides, 1e-2, 1e-2},
    {"mezo", "{\"estimate\": \"one-point\"}", twin_mezo_sides, 1e-3, 1e-1},
    {"mezo", "{\"estimate\": \"one-point\", \"queries\": 3}", twin_mezo_sides, 1e-3, 1e-1},
    {"mezo", "{\"growth\": \"linear\", \"queries\": 5}", twin_mezo_sides, 1e-2, 1e-2},
    {"mezo", "{\"growth\": \"linear\", \"queries\": 5, \"query_batches\": \"fresh\"}", twin_mezo_sides, 1e-2, 1e-2},
    {"mezo", "{\"estimate\": \"one-sided\", \"queries\": 3, \"query_batches\": \"fresh\"}", twin_mezo_sides, 1e-2, 1e-2},
    {"mezo-bcd", NULL, twin_mezo_bcd, 1e-2, 1e-2},
    {"mezo-bcd", "{\"update\": \"end\", \"draw\": \"rademacher\"}", twin_mezo_bcd, 1e-2, 1e-2},
    {"mezo-bcd", "{\"order\": \"cyclic\"}", twin_mezo_bcd, 1e-2, 1e-2},
    {"mezo-bcd", "{\"order\": \"shuffled\", \"outside\": \"freeze\"}", twin_mezo_bcd, 1e-2, 1e-2},
    {"fzoo", NULL, twin_fzoo, 1e-2, 1e-2},
    {"fzoo", "{\"queries\": 5, \"divisor\": \"n-1\", \"over_eps\": true}", twin_fzoo, 1e-4, 1e-2},
    {"fzoo", "{\"queries\": 3, \"batched\": true}", twin_fzoo, 1e-2, 1e-2},
    {"bszo", NULL, twin_bszo, 1e-2, 1e-2},
    {"bszo", "{\"k\": 3, \"samples\": 6, \"sigma\": 0.3, \"alpha\": 0.3}", twin_bszo, 1e-2, 1e-2},
    {"zo-svrg", "{\"eta2\": 5e-3}", twin_zo_svrg, 1e-2, 1e-2},
    {"zo-svrg", "{\"eta2\": 5e-3, \"queries\": 2, \"q\": 3, \"z\": \"shared\", \"max_norm\": 5}", twin_zo_svrg, 1e-2, 1e-2},
    {"zo-adamu", NULL, twin_zo_adamu, 1e-2, 1e-2},
    {"zo-adamu", "{\"alpha\": 0.3, \"beta1\": 0.6, \"beta2\": 0.7, \"adam_eps\": 0.01, \"draw\": \"rademacher\"}", twin_zo_adamu, 1e-2, 1e-2},
    {"adamezo", "{\"adam_eps\": 1}", twin_adamezo, 1e-2, 1e-2},
    {"adamezo", "{\"history\": 4, \"beta1\": 0.8, \"beta2\": 0.95, \"adam_eps\": 0.1, \"bias_correction\": true, \"draw\": \"rademacher\"}",
     twin_adamezo, 1e-2, 1e-2},
    {"sparse-mezo", NULL, twin_sparse_mezo, 2e-2, 1e-2},
    {"sparse-mezo", "{\"share\": 0.4, \"threshold\": \"moving\", \"refresh\": 3}", twin_sparse_mezo, 2e-2, 1e-2},
    {"sparse-mezo", "{\"share\": 0.5, \"refresh\": 0, \"draw\": \"rademacher\"}", twin_sparse_mezo, 2e-2, 1e-2},
    {"r-mezo", "{\"share\": 0.4}", twin_r_mezo, 2e-2, 1e-2},
    {"r-mezo", "{\"share\": 0.4, \"refresh\": 4, \"draw\": \"rademacher\"}", twin_r_mezo, 2e-2, 1e-2},
    {"helene", "{\"lambda\": 0.3}", twin_helene, 1e-3, 1e-2},
    {"helene", "{\"every\": 3, \"anneal\": 20, \"lambda\": 2, \"gamma\": 0.5, \"floors\": \"size\", \"curvature\": \"batch\", \"beta2\": 0.9}",
     twin_helene, 1e-3, 1e-2},
    {"lozo", "{\"period\": 7}", twin_lozo, 1e-2, 1e-2},
    {"lozo", "{\"period\": 7, \"rank\": 2, \"scale\": \"sqrt\", \"embeddings\": \"rest\"}", twin_lozo, 1e-2, 1e-2},
    {"lozo", "{\"period\": 7, \"mode\": \"released\"}", twin_lozo, 1e-2, 1e-2},
    {"lozo-m", "{\"period\": 7}", twin_lozo_m, 1e-2, 1e-2},
    {"lozo-m", "{\"period\": 11, \"rank\": 3, \"scale\": \"sqrt\", \"embeddings\": \"rest\", \"beta1\": 0.7}", twin_lozo_m, 1e-2, 1e-2},
    {"lozo-m", "{\"period\": 7, \"mode\": \"released\"}", twin_lozo_m, 1e-2, 1e-2},
    {"subzo", "{\"period\": 7, \"rank\": 4}", twin_subzo, 1e-2, 1e-2},
    {"subzo", "{\"period\": 9, \"align\": false, \"embeddings\": \"rest\", \"rank\": 2}", twin_subzo, 5e-2, 1e-2},
    {"subzero-plus", "{\"queries\": 5, \"rank\": 4, \"period\": 7, \"adam_eps\": 0.01}", twin_subzero_plus, 1e-2, 1e-2},
    {"subzero-plus", "{\"queries\": 3, \"rank\": 8, \"period\": 11, \"adam_eps\": 0.1, \"haar\": false, \"align\": true, \"refresh\": \"reset\", \"beta1\": 0.8, \"beta2\": 0.9}",
     twin_subzero_plus, 1e-2, 1e-2},
    {"subzero-plus", "{\"queries\": 4, \"rank\": 3, \"period\": 9, \"rule\": \"sgd\", \"embeddings\": \"rest\"}", twin_subzero_plus, 5e-2, 1e-2},
    {"zo-muon", "{\"rank\": 4, \"period\": 7, \"rest_lr\": 1e-3}", twin_zo_muon, 2e-2, 1e-2},
    {"zo-muon", "{\"rank\": 2, \"period\": 11, \"queries\": 2, \"iterations\": 3, \"embeddings\": \"rest\", \"rest_lr\": 0.005}", twin_zo_muon, 2e-2, 1e-2},
    {"dizo", "{\"kappa\": 6, \"iterations\": 4}", twin_dizo, 2e-2, 1e-2},
    {"dizo", "{\"kappa\": 5, \"iterations\": 3, \"radius\": 0.5, \"rate\": 0.5, \"tau\": 0.1, \"on\": \"qv\"}", twin_dizo, 2e-2, 1e-2},
    {"dizo", "{\"kappa\": 5, \"iterations\": 5, \"radius\": 0.01, \"rate\": 1, \"anchor\": \"previous\"}", twin_dizo, 2e-2, 1e-2},
    {"dizo", "{\"kappa\": 7, \"iterations\": 2, \"anchor\": \"zero\", \"on\": \"all\"}", twin_dizo, 2e-2, 1e-2},
    {"eggroll", NULL, twin_eggroll, 1e-2, 1e-2},
    {"eggroll", "{\"pairs\": 3, \"rank\": 2, \"scores\": \"raw\", \"embeddings\": \"rest\"}", twin_eggroll, 1e-2, 1e-2},
    {"forward-grad", NULL, twin_forward_grad, 2e-2, 0.0},
    {"forward-grad", "{\"draw\": \"rademacher\"}", twin_forward_grad, 2e-2, 0.0},
    {"fo-sgd", "{\"weight_decay\": 0.1}", twin_fo_sgd, 5e-2, 0.0},
    {"fo-sgd", "{\"mode\": \"inplace\", \"weight_decay\": 0.1}", twin_fo_sgd, 5e-2, 0.0},
    {"fo-sgd", "{\"mode\": \"inplace\", \"momentum\": 0.9, \"schedule\": \"linear\"}", twin_fo_sgd, 2e-2, 0.0},
    {"fo-sgd", "{\"momentum\": 0.9, \"clip\": 0.5, \"schedule\": \"linear\"}", twin_fo_sgd, 5e-2, 0.0},
    {"sgld", NULL, twin_sgld, 2e-2, 0.0},
    {"sgld", "{\"quantiser\": \"naive\", \"fraction\": 6, \"bits\": 7}", twin_sgld, 2e-2, 0.0},
    {"sgld", "{\"quantiser\": \"corrected\", \"fraction\": 6, \"bits\": 7, \"temperature\": 0.01}", twin_sgld, 3e-2, 0.0},
    {"sgld", "{\"quantiser\": \"corrected\", \"fraction\": 4, \"bits\": 5}", twin_sgld, 2e-2, 0.0},
    {"addax", "{\"alpha\": 0.3}", twin_addax, 2e-3, 1e-2},
    {"addax", "{\"length\": 128, \"alpha\": 0.4}", twin_addax, 2e-3, 1e-2}, /* which rows these are is in tests/bench/test_setup.c */
    {"addax", "{\"alpha\": 0.6, \"draw\": \"rademacher\"}", twin_addax, 1e-2, 1e-2},
    {"fo-adamw", NULL, twin_fo_adamw, 1e-2, 0.0},
    {"fo-adamw", "{\"beta1\": 0.8, \"beta2\": 0.99, \"clip\": 0.5, \"weight_decay\": 0.5, \"schedule\": \"linear\"}", twin_fo_adamw, 1e-2, 0.0},
    /* weights of 16 bits, which `held` names */
    {"fo-sgd", "{\"master\": true, \"weight_decay\": 0.1}", twin_fo_sgd, 5e-2, 0.0},
    {"fo-sgd", "{\"master\": true, \"momentum\": 0.9, \"clip\": 0.5}", twin_fo_sgd, 2e-2, 0.0},
    {"fo-sgd", "{\"master\": true, \"mode\": \"inplace\", \"momentum\": 0.9, \"weight_decay\": 0.1}", twin_fo_sgd, 2e-2, 0.0},
    {"fo-sgd", "{\"master\": false, \"weight_decay\": 0.1}", twin_fo_sgd, 5e-2, 0.0},
    {"fo-sgd", "{\"master\": false, \"mode\": \"inplace\"}", twin_fo_sgd, 5e-2, 0.0},
    {"fo-adamw", "{\"master\": true, \"weight_decay\": 0.5}", twin_fo_adamw, 1e-2, 0.0},
    {"fo-adamw", "{\"master\": true, \"schedule\": \"linear\"}", twin_fo_adamw, 1e-2, 0.0},
    {"fo-adamw", "{\"master\": false}", twin_fo_adamw, 1e-2, 0.0},
    {"forward-grad", "{\"master\": true}", twin_forward_grad, 2e-2, 0.0},
    {"sgld", "{\"master\": true}", twin_sgld, 2e-2, 0.0},
    {"addax", "{\"master\": true, \"alpha\": 0.3}", twin_addax, 5e-3, 1e-2},
};
enum { PAIRS = sizeof pairs / sizeof *pairs };

/* How weights are held: of the last pairs as said here, else in f32. */
static const zo_storage held[] = {ZO_STORAGE_BF16, ZO_STORAGE_F16, ZO_STORAGE_BF16, ZO_STORAGE_BF16, ZO_STORAGE_F16,
                                  ZO_STORAGE_BF16, ZO_STORAGE_F16, ZO_STORAGE_F16, ZO_STORAGE_BF16, ZO_STORAGE_F16, ZO_STORAGE_BF16};
enum { HELD = sizeof held / sizeof *held };

static zo_storage storage_of(const struct pair *c)
{
    int64_t last = c - pairs - (PAIRS - HELD);
    return last < 0 ? ZO_STORAGE_F32 : held[last];
}

/* Estimators of the list that have no twin, and why. */
static const struct { const char *name, *why; } without[] = {
    {"zero-shot", "it has no steps"}, {"linear-probe", "it has no steps: tests/optimizers/test_logistic.c and tests/bench/test_linear_probe.c are its oracles"}};

/* ---- the program's run, recorded ------------------------------------------------------------------------------------------ */

typedef struct kept { char name[64]; zo_set set; bool copy, factors, placed; const float *numbers; } kept;
typedef struct recorded {
    net *net;
    tape tape;
    int64_t period; /* steps for which a V stays, of directions with factors of their own */
    kept kept[SETS];
    int nkept;
    zo_status (*losses)(zo_objective *, zo_which, const zo_point *, int, double *, zo_err *);
    zo_status (*open)(zo_objective *, const zo_set_spec *, zo_set *, zo_err *);
    float *(*open_numbers)(zo_objective *, const char *);
    double w[SIZE], values[SETS][SIZE];
} recorded;
static recorded now; /* of the program that runs: the engine's objective keeps its own `self` */

static zo_status taped_losses(zo_objective *o, zo_which which, const zo_point *point, int n, double *loss, zo_err *err)
{
    zo_status status = now.losses(o, which, point, n, loss, err);
    for (int p = 0; p < n && status == ZO_OK; p++) {
        ck_assert_int_lt(now.tape.n, TAPE);
        now.tape.which[now.tape.n] = which;
        now.tape.loss[now.tape.n++] = loss[p];
    }
    return status;
}

static kept *keep(const char *name)
{
    ck_assert_int_lt(now.nkept, SETS);
    kept *k = &now.kept[now.nkept++];
    snprintf(k->name, sizeof k->name, "%s", name);
    return k;
}

static zo_status taped_open(zo_objective *o, const zo_set_spec *spec, zo_set *opened, zo_err *err)
{
    zo_status status = now.open(o, spec, opened, err);
    if (status == ZO_OK && !(spec->copy && spec->linear != 0)) { /* of which nothing but what is made of it can be read */
        kept *k = keep(spec->name);
        k->set = *opened;
        k->copy = spec->copy;
        k->placed = spec->linear != 0;
        k->factors = spec->shape != ZO_SHAPE_WHOLE;
    }
    return status;
}

static float *taped_numbers(zo_objective *o, const char *name)
{
    return (float *)(keep(name)->numbers = now.open_numbers(o, name));
}

static zo_status taped_gradient(void *context, zo_which which, zo_store *grad, double *loss, zo_err *err)
{
    zo_status status = net_gradient(context, which, grad, loss, err);
    ck_assert_int_lt(now.tape.gradients, STEPS);
    zo_store_read(now.net->be, now.net->store, 0, now.net->layout.size, now.tape.stored[now.tape.gradients]);
    memcpy(now.tape.gradient[now.tape.gradients++], grad->data, (size_t)grad->size * sizeof *grad->data);
    return status;
}

static zo_status taped_descend(void *context, zo_which which, zo_sink *sink, double *loss, zo_err *err)
{
    const net *m = context;
    ck_assert_int_lt(now.tape.gradients, STEPS);
    zo_store_read(m->be, m->store, 0, m->layout.size, now.tape.stored[now.tape.gradients]);
    zo_store all = {.layout = &m->layout, .data = now.tape.gradient[now.tape.gradients++], .size = m->layout.trained_size};
    ck_assert_int_eq(net_gradient(context, which, &all, loss, err), ZO_OK);
    return net_descend(context, which, sink, loss, err);
}

static void widen(const float *from, int64_t n, double *to)
{
    for (int64_t i = 0; i < n; i++) {
        to[i] = (double)from[i];
    }
}

/* What the estimator keeps, as the engine has it: a copy by a pass that stands on it, a sum by adding it to weights of zero. */
static void read_kept(net *m, zo_engine *e)
{
    zo_objective *o = zo_engine_objective(e);
    zo_err err;
    for (int k = 0; k < now.nkept; k++) {
        const kept *of = &now.kept[k];
        float seen[SIZE] = {0};
        if (of->numbers != NULL) {
            widen(of->numbers, o->ncoef, now.values[k]);
        } else if (m->store->storage != ZO_STORAGE_F32) {
            const zo_store *values = strcmp(of->name, "masters") == 0 ? e->masters : e->set[of->set - 1].store;
            widen(values->data, m->layout.trained_size, now.values[k]);
        } else if (of->copy) {
            double loss;
            zo_point here = {.base = of->set};
            m->seen = seen;
            ck_assert_msg(now.losses(o, ZO_BATCH_CURRENT, &here, 1, &loss, &err) == ZO_OK, "%s", err.text);
            m->seen = NULL;
            widen(seen, m->layout.trained_size, now.values[k]);
        } else {
            zo_term all = zo_set_term(of->set, 1.0);
            if (of->factors) { /* read as their product with the last factors that directions have */
                all.dir = (zo_dir){.kind = ZO_DIR_HELD, .set = of->set, .seed = SEED, .period = (uint32_t)((STEPS - 1) / now.period)};
            }
            zo_engine_settle(e);
            memset(m->store->data, 0, (size_t)m->layout.size * sizeof *m->store->data);
            double ones[PARAMS];
            for (int t = 0; t < PARAMS; t++) {
                ones[t] = 1.0;
            }
            ck_assert_msg((of->placed ? o->place(o, ZO_SET_WEIGHTS, of->set, ones, &err) : ZO_OK) == ZO_OK, "%s", err.text);
            ck_assert_msg(of->placed || o->combine(o, ZO_SET_WEIGHTS, 1.0, &all, 1, &err) == ZO_OK, "%s", err.text);
            zo_engine_settle(e);
            widen(m->store->data, m->layout.trained_size, now.values[k]);
        }
    }
}

static void run_program(const struct pair *c, zo_realisation realisation, net *m)
{
    memset(&now, 0, sizeof now);
    now.net = m;
    cJSON *options = cJSON_Parse(c->json != NULL ? c->json : "{}");
    const cJSON *period = cJSON_GetObjectItemCaseSensitive(options, "period");
    now.period = period != NULL ? (int64_t)period->valuedouble : 50;
    cJSON_Delete(options);
    zo_store *f32 = m->store;
    m->store = storage_of(c) != ZO_STORAGE_F32 ? zo_store_new_as(m->be, &m->layout, storage_of(c), ZO_TAG_PARAMS) : f32;
    zo_store_write(m->be, m->store, 0, m->layout.size, m->start);
    zo_engine_spec spec = {.be = m->be, .weights = m->store, .realisation = realisation, .seed = SEED,
                           .io = {.context = m, .losses = net_losses, .gradient = taped_gradient, .descend = taped_descend, .touched = net_touched, .most_points = POINTS}};
    zo_engine *e = zo_engine_new(&spec);
    zo_objective *o = zo_engine_objective(e);
    now.losses = o->losses;
    now.open = o->open;
    now.open_numbers = o->open_numbers;
    o->losses = taped_losses;
    o->open = taped_open;
    o->open_numbers = taped_numbers;
    running r = running_new(c->name, c->json, o);
    zo_err err;
    for (int step = 0; step < STEPS; step++) {
        zo_step_report report;
        m->step = step;
        zo_step_context x = {.step = step, .steps = STEPS, .batches_per_epoch = EPOCH, .examples = BATCH, .train_examples = EXAMPLES, .lr = c->lr,
                             .eps = c->eps};
        ck_assert_msg(r.e->step(r.state, o, &x, &report, &err) == ZO_OK, "%s: %s", c->name, err.text);
    }
    fold_side(e, m->be, m->store);
    zo_store_read(m->be, m->store, 0, m->layout.size, now.tape.stored[STEPS]);
    widen(now.tape.stored[STEPS], m->layout.size, now.w);
    if (e->masters != NULL) {
        keep("masters");
    }
    read_kept(m, e);
    running_free(&r);
    zo_engine_free(e);
    if (m->store != f32) {
        zo_store_free(m->be, m->store);
    }
    m->store = f32;
}

/* ---- the twin ------------------------------------------------------------------------------------------------------------- */

static void run_twin(const struct pair *c, net *m, const char *bug, twin *t)
{
    memset(t, 0, sizeof *t);
    cJSON *options = c->json != NULL ? cJSON_Parse(c->json) : NULL;
    t->net = m;
    t->tape = &now.tape;
    t->options = options;
    t->seed = SEED;
    t->lr = c->lr;
    t->eps = c->eps;
    t->bug = bug;
    t->storage = storage_of(c);
    widen(m->start, m->layout.size, t->w);
    for (t->step = 0; t->step < STEPS; t->step++) {
        c->step(t);
        end_of_step(t);
    }
    t->options = NULL;
    cJSON_Delete(options);
}

/* |a - b| / |b - from| over n elements; from NULL = 0; elements of `out` (NULL = none) are left out. */
static double off(const double *a, const double *b, const double *from, int64_t n, const bool *out)
{
    double apart = 0.0, length = 0.0;
    for (int64_t i = 0; i < n; i++) {
        double d = a[i] - b[i], moved = b[i] - (from != NULL ? from[i] : 0.0);
        bool counts = out == NULL || !out[i];
        apart += counts ? d * d : 0.0;
        length += counts ? moved * moved : 0.0;
    }
    return apart == 0.0 ? 0.0 : sqrt(apart / length);
}

typedef struct difference { double weights, of_one /* parameter */, sets, losses; const char *param, *set; } difference;

/* The twin's run from the program's. */
static difference compare(const net *m, const twin *t)
{
    difference d = {.losses = t->apart, .param = "none", .set = "none"};
    double start[SIZE] = {0};
    bool out[SIZE];
    memset(out, true, sizeof out); /* padding between parameters */
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &m->layout.param[k];
        memcpy(out + p->offset, t->left_out + p->offset, (size_t)(p->rows * p->cols) * sizeof *out);
    }
    widen(m->start, m->layout.size, start);
    d.weights = off(t->w, now.w, start, m->layout.size, out);
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &m->layout.param[k];
        int64_t at = p->offset;
        double own = off(t->w + at, now.w + at, start + at, p->rows * p->cols, out + at);
        if (!(own <= d.of_one)) {
            d.of_one = own;
            d.param = p->name;
        }
    }
    for (int k = 0; k < now.nkept; k++) {
        const named *of = NULL;
        for (int s = 0; s < t->sets; s++) {
            of = strcmp(t->set[s].name, now.kept[k].name) == 0 ? &t->set[s] : of;
        }
        double own = of != NULL ? off(of->x, now.values[k], NULL, of->n, of->n == m->layout.trained_size ? out : NULL) : INFINITY;
        if (!(own <= d.sets)) {
            d.sets = own;
            d.set = now.kept[k].name;
        }
    }
    if (t->used != now.tape.n || t->gradients != now.tape.gradients) {
        d.losses = INFINITY;
    }
    return d;
}

/* Times its tolerance that the twin is off. */
static double tolerances(const difference *d)
{
    double most = fmax(fmax(d->weights, d->sets) / within, d->losses / losses_within);
    return isnan(d->weights) || isnan(d->sets) || isnan(d->losses) ? INFINITY : most;
}

/* Each realisation; the worst figures of all of them are printed. */
START_TEST(program_and_twin_agree)
{
    static net m;
    static twin t, other;
    const struct pair *c = &pairs[_i];
    const zo_estimator *e = zo_estimator_find(c->name);
    const char *json = c->json != NULL ? c->json : "";
    ck_assert_msg(e != NULL, "%s is not in optimizers/list.h", c->name);
    net_open(&m);
    for (int64_t i = 0; i < m.layout.size; i++) {
        m.start[i] = zo_storage_round(storage_of(c), m.start[i]);
    }
    double start[SIZE] = {0}, zero[SIZE] = {0}, moved = 0.0, least = INFINITY;
    widen(m.start, m.layout.size, start);
    difference most = {.weights = 0.0};
    char ways[64] = "";
    int left_out = 0;
    for (int realisation = 0; realisation < (zo_estimator_probes(e) ? ZO_REALISATIONS : 1); realisation++) {
        bool rounds = storage_of(c) != ZO_STORAGE_F32 && zo_estimator_probes(e) && realisation == ZO_INPLACE; /* its points to 16 bits, and no twin's */
        if (rounds || (e->allows != NULL && !e->allows(realisation))) {
            continue;
        }
        const char *how = zo_realisation_name((zo_realisation)realisation);
        run_program(c, (zo_realisation)realisation, &m);
        run_twin(c, &m, NULL, &t);
        difference d = compare(&m, &t);
        moved = off(start, now.w, zero, m.layout.size, NULL);
        ck_assert_msg(t.used == now.tape.n && t.gradients == now.tape.gradients, "%s %s: of %d losses and %d gradients the twin took %d and %d",
                      c->name, json, now.tape.n, now.tape.gradients, t.used, t.gradients);
        ck_assert_msg(moved > moved_by, "%s %s: the weights moved by %g of their norm", c->name, json, moved);
        ck_assert_msg(d.losses <= losses_within, "%s %s, %s: losses are those of other points: %g apart", c->name, json, how, d.losses);
        ck_assert_msg(d.weights <= within && d.of_one <= within, "%s %s, %s: displacements are %g apart, of %s %g", c->name, json, how,
                      d.weights, d.param, d.of_one);
        ck_assert_msg(d.sets <= within, "%s %s, %s: \"%s\" is %g apart", c->name, json, how, d.set, d.sets);
        ck_assert_int_gt(t.lines, 0);
        for (int line = 0; line < t.lines; line++) {
            run_twin(c, &m, t.line[line], &other);
            difference wrongly = compare(&m, &other);
            double seen = tolerances(&wrongly);
            ck_assert_msg(seen > 10.0, "%s %s: \"%s\" is not seen: weights %g, sets %g, losses %g apart", c->name, json, t.line[line],
                          wrongly.weights, wrongly.sets, wrongly.losses);
            least = fmin(least, seen);
        }
        most.weights = fmax(most.weights, d.weights);
        most.sets = fmax(most.sets, d.sets);
        most.losses = fmax(most.losses, d.losses);
        snprintf(ways + strlen(ways), sizeof ways - strlen(ways), "%s%s", ways[0] != '\0' ? " " : "", zo_estimator_probes(e) ? how : "gradients");
        left_out = 0;
        for (int64_t i = 0; i < m.layout.size; i++) {
            left_out += t.left_out[i];
        }
    }
    printf("measured: %s %s: twin, %s: weights (moved %.2g) %.0e, %d sets %.0e, within %.0e; losses %.0e, within %.0e; %d elements left out; "
           "%d wrong lines, the least %.0f tolerances off\n", c->name, json, ways, moved, most.weights, now.nkept, most.sets, within, most.losses,
           losses_within, left_out, t.lines, least);
    net_close(&m);
}
END_TEST

/* The network's gradient in float64 against differences: descent is measured along it. */
START_TEST(gradient_is_that_of_the_loss)
{
    static net m;
    net_open(&m);
    double w[SIZE] = {0}, g[SIZE];
    widen(m.start, m.layout.size, w);
    m.step = 1;
    double loss = net_loss64(&m, ZO_BATCH_CURRENT, w, g);
    ck_assert_double_eq(loss, net_loss64(&m, ZO_BATCH_CURRENT, w, NULL));
    for (int64_t i = 0; i < m.layout.trained_size; i++) {
        double at = w[i], h = 1e-5;
        w[i] = at + h;
        double up = net_loss64(&m, ZO_BATCH_CURRENT, w, NULL);
        w[i] = at - h;
        double down = net_loss64(&m, ZO_BATCH_CURRENT, w, NULL);
        w[i] = at;
        ck_assert_msg(fabs((up - down) / (2 * h) - g[i]) < 1e-7, "element %d: %g, differences say %g", (int)i, g[i], (up - down) / (2 * h));
    }
    net_close(&m);
}
END_TEST

START_TEST(every_estimator_has_a_twin)
{
    const zo_estimator *const *list;
    int n = zo_estimator_list(&list);
    for (int k = 0; k < n; k++) {
        bool has = false, excused = false;
        for (int c = 0; c < PAIRS; c++) {
            has = has || strcmp(pairs[c].name, list[k]->name) == 0;
        }
        for (size_t c = 0; c < sizeof without / sizeof *without; c++) {
            excused = excused || strcmp(without[c].name, list[k]->name) == 0;
        }
        ck_assert_msg(has || excused, "%s has no twin in tests/optimizers/twins", list[k]->name);
        ck_assert_msg(!(has && excused), "%s has a twin and is excused", list[k]->name);
    }
}
END_TEST

START_TEST(the_list_has_these)
{
    char tolerance[100];
    snprintf(tolerance, sizeof tolerance, "%g of the way, over %d steps", within, STEPS);
    static oracle_lines lines;
    lines = (oracle_lines){.oracle = "twin", .within = tolerance};
    for (int c = 0; c < PAIRS; c++) {
        oracle_add(&lines, pairs[c].name, pairs[c].json);
    }
    oracle_end(&lines);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("twins");
    TCase *tests = tcase_create("twins");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, gradient_is_that_of_the_loss);
    tcase_add_test(tests, every_estimator_has_a_twin);
    tcase_add_loop_test(tests, program_and_twin_agree, 0, PAIRS);
    suite_add_tcase(suite, tests);
    tests = tcase_create("table");
    tcase_add_test(tests, the_list_has_these);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
