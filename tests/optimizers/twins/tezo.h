/* tezo.h: twins of TeZO, TeZO-m and TeZO-Adam (arXiv 2501.19057; reconstructed): Z = scale U diag(tau) V^T with U, V ~ N(0, 1) drawn once and
 * tau ~ N(0, I) at each step, on matrices; what has no factors gets a full Gaussian. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_TEZO_H
#define ZO_TESTS_OPTIMIZERS_TWINS_TEZO_H

#include "tests/optimizers/twins/twin.h"
#include "tests/singular64.h"

enum { RANKS = 20 }; /* most: the longest of the shorter sides */

typedef struct factor { int rank, coef_at; double scale, u[VOCAB * RANKS], v[HIDDEN * RANKS]; } factor;

/* r_l = min(min over W in l's block of #{i: sigma_i(W) >= r_th sigma_1(W)}, r_max), of the weights before the first step. What is in no block stands
 * for itself. */
static inline int layer_rank(twin *t, int k)
{
    const zo_param *p = &t->net->layout.param[k];
    double *ranks = numbers(t, "(ranks)", PARAMS), most = real(t, "rank_max", 64);
    double threshold = real(t, "threshold", 0.25) * (wrong(t, "another threshold") ? 1.5 : 1.0);
    bool alone = p->block < 0 || wrong(t, "each matrix by itself");
    for (int l = 0; l < PARAMS && t->step == 0; l++) {
        const zo_param *w = &t->net->layout.param[l];
        if (l == k || (!alone && w->block == p->block && w->kind == ZO_PARAM_MATRIX)) {
            most = fmin(most, large64(t->w + w->offset, w->rows, w->cols, threshold));
        }
    }
    ranks[k] = t->step == 0 ? most : ranks[k];
    return (int)ranks[k];
}

/* Which parameters have factors, and these; returns how many coefficients there are. */
static inline int factors_of(twin *t, factor *f)
{
    int at = 0;
    bool tables_rest = is(t, "embeddings", "rest", "factor"), tables_freeze = is(t, "embeddings", "freeze", "factor");
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        int r = (int)real(t, "rank", 0), most = (int)(p->rows < p->cols ? p->rows : p->cols);
        bool frozen = p->kind == ZO_PARAM_TABLE && tables_freeze; /* rank 1 and scale 0 */
        r = r == 0 && p->kind != ZO_PARAM_VECTOR ? layer_rank(t, k) : r;
        r = p->kind == ZO_PARAM_VECTOR || (p->kind == ZO_PARAM_TABLE && tables_rest) ? 0 : frozen ? 1 : r < most ? r : most;
        double scale = is(t, "scale", "none", "sqrt") ? 1.0 : is(t, "scale", "rank", "sqrt") ? 1.0 / r : 1.0 / sqrt(r);
        f[k] = (factor){.rank = r, .coef_at = at, .scale = r == 0 || frozen ? 0.0 : wrong(t, "no scale") ? 2.0 * scale : scale};
        at += r;
        float u[VOCAB * RANKS], v[HIDDEN * RANKS];
        zo_normals_scalar((zo_stream){t->seed, p->id, 0, 0, ZO_ROLE_U}, 0, p->rows * r, u);
        zo_normals_scalar((zo_stream){t->seed, p->id, 0, 0, ZO_ROLE_V}, 0, p->cols * r, v);
        for (int64_t i = 0; i < p->rows * r; i++) {
            f[k].u[i] = u[i];
        }
        for (int64_t i = 0; i < p->cols * r; i++) {
            f[k].v[i] = v[i];
        }
    }
    return at;
}

/* x += a scale^power (U^power) diag(coef) (V^power)^T on every factored matrix; power 1, or 2 for squares element by element. */
static inline void add_low(const twin *t, const factor *f, double a, const double *coef, int power, double *x)
{
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        for (int64_t i = 0; i < p->rows * p->cols; i++) {
            for (int s = 0; s < f[k].rank; s++) {
                double uv = f[k].scale * f[k].u[i / p->cols * f[k].rank + s] * f[k].v[i % p->cols * f[k].rank + s];
                x[p->offset + i] += a * coef[f[k].coef_at + s] * (power == 2 ? uv * uv : uv);
            }
        }
    }
}

static inline void twin_tezo_any(twin *t, bool momentum, bool adam)
{
    static factor f[PARAMS];
    double rest[SIZE] = {0}, z[SIZE];
    bool has[PARAMS], trains_rest = is(t, "rest", "train", "train");
    int n = factors_of(t, f);
    double *tau = numbers(t, "tau", n);
    for (int k = 0; k < PARAMS; k++) {
        float x[RANKS];
        uint32_t step = wrong(t, "tau is drawn once") ? 0 : (uint32_t)t->step;
        zo_normals_scalar((zo_stream){t->seed, t->net->layout.param[k].id, step, 0, ZO_ROLE_TAU}, 0, f[k].rank, x);
        for (int s = 0; s < f[k].rank; s++) {
            tau[f[k].coef_at + s] = x[s];
        }
        has[k] = f[k].rank > 0;
    }
    if (trains_rest) {
        draw_on(t, t->step, 0, 0, has, rest);
    }
    memcpy(z, rest, sizeof z);
    add_low(t, f, 1.0, tau, 1, z);
    double pg = spsa(t, ZO_BATCH_CURRENT, t->w, z, NULL), lr_rest = real(t, "rest_lr", 0.0), k = (double)t->step + 1;
    lr_rest = lr_rest > 0.0 ? lr_rest : t->lr;
    double b1 = real(t, "beta1", 0.9), b2 = real(t, "beta2", 0.999), e = real(t, "adam_eps", 1e-8), in_rest = pg;
    if (!momentum) { /* W <- W - lr pg Z */
        add_low(t, f, wrong(t, "the other way") ? t->lr * pg : -t->lr * pg, tau, 1, t->w);
    } else { /* tau_M <- b1 tau_M + (1 - b1) pg tau; tau_V <- b2 tau_V + (1 - b2) (pg tau)^2 */
        double *m = numbers(t, "m", n), *v = adam ? numbers(t, "v", n) : NULL, old[PARAMS * RANKS];
        memcpy(old, m, (size_t)n * sizeof *old);
        for (int s = 0; s < n; s++) {
            m[s] = b1 * m[s] + (wrong(t, "tau_M without 1 - beta1") ? 1.0 : 1.0 - b1) * pg * tau[s];
            if (adam) {
                v[s] = b2 * v[s] + (1.0 - b2) * pg * pg * (wrong(t, "tau_V of pg^2 alone") ? 1.0 : tau[s] * tau[s]);
            }
        }
        const double *of = wrong(t, "the old tau_M") ? old : m;
        if (!adam) { /* W <- W - lr U diag(tau_M) V^T */
            add_low(t, f, wrong(t, "the other way") ? t->lr : -t->lr, of, 1, t->w);
        } else { /* W <- W - lr M / (sqrt(V2) + e), M = U diag(tau_M) V^T, V2 = (U.U) diag(tau_V) (V.V)^T */
            bool corrected = flag(t, "bias_correction", true) != wrong(t, "the other choice of the correction");
            double first[SIZE] = {0}, second[SIZE] = {0}, c1 = corrected ? 1.0 - pow(b1, k) : 1.0, c2 = corrected ? 1.0 - pow(b2, k) : 1.0;
            double *m_now = numbers(t, "corrected m", n), *v_now = numbers(t, "corrected v", n);
            for (int s = 0; s < n; s++) {
                m_now[s] = of[s] / c1;
                v_now[s] = v[s] / c2;
            }
            add_low(t, f, 1.0, m_now, 1, first);
            add_low(t, f, 1.0, v_now, wrong(t, "V2 of U and V, not of their squares") ? 1 : 2, second);
            for (int i = 0; i < SIZE; i++) {
                t->w[i] -= first[i] == 0.0 ? 0.0 : t->lr * first[i] / (sqrt(fabs(second[i])) + e);
            }
            double *kappa2 = numbers(t, "(kappa2)", 1);
            *kappa2 = b2 * *kappa2 + (1.0 - b2) * pg * pg;
            if (trains_rest) {
                bool normalised = flag(t, "rest_normalised", true) != wrong(t, "the other choice of the rest's length");
                in_rest = normalised ? pg / (sqrt(*kappa2 / c2) + e) : pg;
            }
        }
    }
    if (trains_rest) {
        add(t->w, wrong(t, "the rest does not move") ? 0.0 : -lr_rest * in_rest, rest);
    }
}

static inline void twin_tezo(twin *t)
{
    twin_tezo_any(t, false, false);
}

static inline void twin_tezo_m(twin *t)
{
    twin_tezo_any(t, true, false);
}

static inline void twin_tezo_adam(twin *t)
{
    twin_tezo_any(t, true, true);
}

#endif
