/* lozo.h: twins of LOZO and LOZO-m (arXiv 2410.07698; the released code optsuite/LOZO): Z = U V^T with U ~ N(0, 1) drawn at each step and V ~ N(0, 1)
 * every nu steps; what is no matrix gets a full Gaussian. The draws are those of backends/store.h: "NAME/U" and "NAME/V" are their names. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_LOZO_H
#define ZO_TESTS_OPTIMIZERS_TWINS_LOZO_H

#include "tests/optimizers/twins/twin.h"

enum { LOZO_RANKS = 8 };

/* Rank of a parameter, 0 = it has no factors; `initial`: the option's default. */
static inline int factored_rank(const twin *t, const zo_param *p, int initial)
{
    int64_t most = p->rows < p->cols ? p->rows : p->cols, r = (int64_t)real(t, "rank", initial);
    bool none = p->kind == ZO_PARAM_VECTOR || p->frozen || (p->kind == ZO_PARAM_TABLE && is(t, "embeddings", "rest", "factor"));
    return none ? 0 : (int)(r < most ? r : most);
}

static inline int lozo_rank(const twin *t, const zo_param *p)
{
    return factored_rank(t, p, 4);
}

/* A factor (n, rank) of the parameter, "U" or "V", as drawn at a step. */
static inline void lozo_factor(const twin *t, const zo_param *p, const char *side, int64_t step, int query, int64_t n, double *x)
{
    char name[200];
    float draws[VOCAB * LOZO_RANKS];
    snprintf(name, sizeof name, "%s/%s", p->name, side);
    zo_normals_scalar((zo_stream){t->seed, zo_param_id(name), (uint32_t)step, (uint32_t)query, ZO_ROLE_Z}, 0, n, draws);
    for (int64_t i = 0; i < n; i++) {
        x[i] = draws[i];
    }
}

/* z (rows, cols) += a U V^T */
static inline void outer(const zo_param *p, int r, double a, const double *u, const double *v, double *z)
{
    for (int64_t i = 0; i < p->rows * p->cols; i++) {
        for (int s = 0; s < r; s++) {
            z[p->offset + i] += a * u[i / p->cols * r + s] * v[i % p->cols * r + s];
        }
    }
}

/* The number of the period, at which V is drawn. */
static inline int64_t lozo_period(twin *t, int64_t step)
{
    int64_t nu = (int64_t)real(t, "period", 50);
    return wrong(t, "V of each step") ? step : wrong(t, "V of the first step") ? 0 : step / nu;
}

/* The direction of a step: U of (step, query), V of the period; on the rest normals of (step, rest_query). */
static inline void lozo_z(twin *t, int query, int rest_query, double *z)
{
    bool has[PARAMS];
    for (int k = 0; k < PARAMS; k++) {
        has[k] = lozo_rank(t, &t->net->layout.param[k]) > 0;
    }
    draw_on(t, t->step, rest_query, 0, has, z);
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        int r = lozo_rank(t, p);
        double u[VOCAB * LOZO_RANKS], v[VOCAB * LOZO_RANKS];
        if (r > 0) {
            double scale = (is(t, "scale", "sqrt", "none") != wrong(t, "the other scale")) ? 1.0 / sqrt(r) : 1.0;
            lozo_factor(t, p, "U", wrong(t, "one U") ? 0 : t->step, query, p->rows * r, u);
            lozo_factor(t, p, "V", lozo_period(t, t->step), 0, p->cols * r, v);
            outer(p, r, scale, u, v, z);
        }
    }
}

/* w <- w - lr c U V^T, c = (L(w + eps Z) - L(w - eps Z)) / 2 eps. Released: on steps that draw a V the update's U, and the rest's z, are others. */
static inline void twin_lozo(twin *t)
{
    double z[SIZE];
    lozo_z(t, 0, 0, z);
    double c = spsa(t, ZO_BATCH_CURRENT, t->w, z, NULL);
    bool released = is(t, "mode", "released", "plain");
    if (released && t->step % (int64_t)real(t, "period", 50) == 0 && !wrong(t, "the update goes along the probe")) {
        lozo_z(t, 1, 1, z);
    }
    add(t->w, wrong(t, "the other way") ? t->lr * c : -t->lr * c, z);
}

/* Released: where V is drawn, N and the rest's momentum take other draws than the probe's. N <- b N + (1 - b) c U, at first c U; w <- w - lr N V^T. Where V is drawn anew, before that: N <- N V_old^T V_new / cols. What has no factors has a
 * momentum of its own, in the same way. What is compared is N V^T, for the last V. */
static inline void twin_lozo_m(twin *t)
{
    static double n[PARAMS][VOCAB * LOZO_RANKS];
    double z[SIZE], rest[SIZE], b = real(t, "beta1", 0.9), *along = set(t, "momentum"), *m = numbers(t, "(rest)", SIZE);
    bool has[PARAMS], first = t->step == 0, anew = !first && lozo_period(t, t->step) != lozo_period(t, t->step - 1);
    lozo_z(t, 0, 0, z);
    double c = spsa(t, ZO_BATCH_CURRENT, t->w, z, NULL), take = first && !wrong(t, "1 - b at the first step too") ? 1.0 : 1.0 - b;
    int query = is(t, "mode", "released", "plain") && (first || anew) && !wrong(t, "the momentum takes the probe") ? 1 : 0;
    memset(along, 0, SIZE * sizeof *along);
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        int r = lozo_rank(t, p);
        double u[VOCAB * LOZO_RANKS], v[VOCAB * LOZO_RANKS], old[VOCAB * LOZO_RANKS];
        has[k] = r > 0;
        if (r == 0) {
            continue;
        }
        double scale = is(t, "scale", "sqrt", "none") ? 1.0 / sqrt(r) : 1.0;
        lozo_factor(t, p, "U", t->step, query, p->rows * r, u);
        lozo_factor(t, p, "V", lozo_period(t, t->step), 0, p->cols * r, v);
        if (first) {
            memset(n[k], 0, sizeof n[k]);
        }
        if (anew && !wrong(t, "N is not carried over")) {
            lozo_factor(t, p, "V", lozo_period(t, t->step - 1), 0, p->cols * r, old);
            for (int64_t row = 0; row < p->rows; row++) {
                double carried[LOZO_RANKS] = {0.0};
                for (int to = 0; to < r; to++) {
                    for (int from = 0; from < r; from++) {
                        double between = 0.0;
                        for (int64_t i = 0; i < p->cols; i++) {
                            between += old[i * r + from] * v[i * r + to];
                        }
                        carried[to] += n[k][row * r + from] * between / (wrong(t, "carried without 1 / n") ? 1.0 : (double)p->cols);
                    }
                }
                memcpy(n[k] + row * r, carried, (size_t)r * sizeof *carried);
            }
        }
        for (int64_t i = 0; i < p->rows * r; i++) {
            n[k][i] = (first ? 0.0 : b) * n[k][i] + take * c * u[i];
        }
        outer(p, r, scale, n[k], v, along);
    }
    draw_on(t, t->step, query, 0, has, rest);
    for (int i = 0; i < SIZE; i++) {
        m[i] = b * m[i] + take * c * rest[i];
    }
    add(along, wrong(t, "the rest does not move") ? 0.0 : 1.0, m);
    add(t->w, wrong(t, "the other way") ? t->lr : -t->lr, along);
}

#endif
