/* objective64.h: an objective in float64 over a closed-form loss, for the tests of estimators and the oracle of the engine's. It
 * implements optimizers/objective.h by dense vectors and nothing clever: every direction is written out. Header only. */
#ifndef ZO_TESTS_OBJECTIVE64_H
#define ZO_TESTS_OBJECTIVE64_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "core/rng.h"
#include "optimizers/estimator.h"
#include "tests/singular64.h"

typedef struct objective64 {
    zo_objective o;
    const zo_layout *layout;
    void *context;
    double (*loss)(void *context, zo_which which, const double *w);              /* w (layout->size) */
    void (*gradient)(void *context, zo_which which, const double *w, double *g); /* g set; NULL = none */
    double *w, *z, *at;                               /* (layout->size) */
    double threshold[64];                             /* (n) of a mask */
    double *set[8];                                   /* (layout->size): zo_set k is set[k - 1] */
    zo_shape shape[8];                                /* factors stand there as they do in u, or cores as in s, and behind them (layout->size) the rest */
    int64_t nu, ns, nv;                               /* numbers of u, of s, of f */
    unsigned linear[8];                               /* of a set: of these linear layers alone */
    bool raw_signs;
    zo_set passing;                                   /* of descend64; 0 = none */
    int sets;
    int *rank;                                        /* (n) */
    double *scale;
    int64_t *coef_at;
    float *u, *f, *s;                                 /* factors: U at u + offset_u[t], V at f + offset_v[t]; a core at s + offset_s[t] */
    int64_t *offset_u, *offset_v, *offset_s;
    float *tau;
    bool orthonormal;                                 /* and those of a period are so */
    bool subspace;                                    /* u is orthonormal, of a period, and f is drawn at the step */
    bool own;                                         /* directions have factors of their own, and u and f are those of the last one */
    float *numbers[8];                                /* (ncoef) */
    int arrays;
    uint64_t probes, full_probes, gradients;
    int applied;                                      /* terms of the last apply */
    int most_points, most_terms, most_applied;        /* of a losses, of a point in it, of an apply */
} objective64;

static double *vector64(const objective64 *q)
{
    return calloc((size_t)q->layout->size, sizeof(double));
}

static void tau64(objective64 *q, const zo_dir *dir, float *tau)
{
    for (int t = 0; t < q->layout->n; t++) {
        if (zo_dir_has_factors(dir->kind)) {
            for (int s = 0; s < q->rank[t]; s++) {
                tau[q->coef_at[t] + s] = 1.0f;
            }
        } else if (dir->kind == ZO_DIR_SPAN) {
            memcpy(tau + q->coef_at[t], dir->span + q->coef_at[t], (size_t)q->rank[t] * sizeof *tau);
        } else if (q->rank[t] > 0) {
            zo_stream s = {dir->seed, q->layout->param[t].id, dir->step, dir->query, ZO_ROLE_TAU};
            zo_normals_scalar(s, 0, q->rank[t], tau + q->coef_at[t]);
        }
    }
}

/* What "NAME/U" and "NAME/V" draw. */
static void factor64(const zo_param *p, char side, uint64_t seed, uint32_t step, uint32_t query, int64_t n, float *x)
{
    char name[sizeof p->name + 2];
    snprintf(name, sizeof name, "%s/%c", p->name, side);
    zo_normals_scalar((zo_stream){seed, zo_param_id(name), step, query, ZO_ROLE_Z}, 0, n, x);
}

/* x (n, r) <- Q of a QR decomposition with a positive diagonal, or (raw) as it comes, by Householder's reflections, which are none of the engine's way. */
static void orthonormal64(double *x, int64_t n, int r, bool raw)
{
    double *v = calloc((size_t)(n * r) + 1, sizeof *v), *q = calloc((size_t)(n * r) + 1, sizeof *q), *sign = calloc((size_t)r + 1, sizeof *sign);
    for (int s = 0; s < r; s++) {
        double norm = 0.0, length = 0.0;
        for (int64_t i = s; i < n; i++) {
            norm += x[i * r + s] * x[i * r + s];
        }
        norm = sqrt(norm);
        sign[s] = x[s * r + s] > 0 ? -1.0 : 1.0; /* of the diagonal */
        for (int64_t i = s; i < n; i++) {
            v[i * r + s] = x[i * r + s] - (i == s ? sign[s] * norm : 0.0);
            length += v[i * r + s] * v[i * r + s];
        }
        for (int64_t i = s; i < n; i++) {
            v[i * r + s] /= sqrt(length);
        }
        for (int k = s; k < r; k++) {
            double along = 0.0;
            for (int64_t i = s; i < n; i++) {
                along += v[i * r + s] * x[i * r + k];
            }
            for (int64_t i = s; i < n; i++) {
                x[i * r + k] -= 2.0 * along * v[i * r + s];
            }
        }
    }
    for (int k = 0; k < r; k++) {
        q[k * r + k] = raw ? 1.0 : sign[k];
        for (int s = r - 1; s >= 0; s--) {
            double along = 0.0;
            for (int64_t i = s; i < n; i++) {
                along += v[i * r + s] * q[i * r + k];
            }
            for (int64_t i = s; i < n; i++) {
                q[i * r + k] -= 2.0 * along * v[i * r + s];
            }
        }
    }
    memcpy(x, q, (size_t)(n * r) * sizeof *x);
    free(v);
    free(q);
    free(sign);
}

/* The factor of a period, orthonormal: x (n, r). */
static double *basis64(const objective64 *q, const zo_param *p, char side, const zo_dir *dir, int64_t n, int r)
{
    float *draw = calloc((size_t)(n * r) + 1, sizeof *draw);
    double *x = calloc((size_t)(n * r) + 1, sizeof *x);
    factor64(p, side, dir->seed, dir->period, 0, n * r, draw);
    for (int64_t i = 0; i < n * r; i++) {
        x[i] = draw[i];
    }
    orthonormal64(x, n, r, q->raw_signs);
    free(draw);
    return x;
}

/* U S and V of a CORE direction on one parameter; of a HELD one S is that of its set. */
static void core64(objective64 *q, const zo_dir *dir, int t)
{
    const zo_param *p = &q->layout->param[t];
    int r = q->rank[t];
    float *drawn = q->s + q->offset_s[t];
    double *s = calloc((size_t)(r * r) + 1, sizeof *s);
    double *u = basis64(q, p, 'U', dir, p->rows, r), *v = basis64(q, p, 'V', dir, p->cols, r);
    factor64(p, 'S', dir->seed, dir->step, dir->query, r * r, drawn);
    for (int i = 0; i < r * r; i++) {
        s[i] = dir->kind == ZO_DIR_HELD ? q->set[dir->set - 1][q->offset_s[t] + i] : drawn[i];
    }
    for (int64_t i = 0; i < p->rows * r; i++) {
        double sum = 0.0;
        for (int k = 0; k < r; k++) {
            sum += u[i / r * r + k] * s[k * r + i % r];
        }
        q->u[q->offset_u[t] + i] = (float)sum;
    }
    for (int64_t i = 0; i < p->cols * r; i++) {
        q->f[q->offset_v[t] + i] = (float)v[i];
    }
    free(s);
    free(u);
    free(v);
}

static void own_factors64(objective64 *q, const zo_dir *dir)
{
    ZO_CHECK(dir->kind == ZO_DIR_HELD || q->orthonormal == (dir->kind == ZO_DIR_CORE), "a direction with factors of another kind than were opened");
    for (int t = 0; t < q->layout->n && q->orthonormal; t++) {
        if (q->rank[t] > 0) {
            core64(q, dir, t);
        }
    }
    if (q->orthonormal) {
        return;
    }
    ZO_CHECK(q->own, "a direction with factors of its own, and others were opened");
    for (int t = 0; t < q->layout->n && q->subspace; t++) {
        const zo_param *p = &q->layout->param[t];
        double *u = basis64(q, p, 'U', dir, p->rows, q->rank[t]);
        for (int64_t i = 0; i < p->rows * q->rank[t]; i++) {
            q->u[q->offset_u[t] + i] = (float)u[i];
        }
        factor64(p, 'V', dir->seed, dir->step, dir->query, p->cols * q->rank[t], q->f + q->offset_v[t]);
        for (int64_t i = 0; i < p->cols * q->rank[t] && dir->kind == ZO_DIR_HELD; i++) {
            q->f[q->offset_v[t] + i] = (float)q->set[dir->set - 1][q->offset_v[t] + i];
        }
        free(u);
    }
    if (q->subspace) {
        return;
    }
    for (int t = 0; t < q->layout->n; t++) {
        const zo_param *p = &q->layout->param[t];
        factor64(p, 'U', dir->seed, dir->step, dir->query, p->rows * q->rank[t], q->u + q->offset_u[t]);
        factor64(p, 'V', dir->seed, dir->period, 0, p->cols * q->rank[t], q->f + q->offset_v[t]);
    }
}

/* Numbers of a set's factors, or cores. */
static int64_t numbers64(const objective64 *q, zo_shape shape)
{
    return shape == ZO_SHAPE_LEFT ? q->nu : shape == ZO_SHAPE_CORE ? q->ns : shape == ZO_SHAPE_RIGHT ? q->nv : 0;
}

/* The direction, written out: z (layout->size); 0 on frozen parameters. */
static void direction64(objective64 *q, const zo_dir *dir, double *z)
{
    memset(z, 0, (size_t)q->layout->size * sizeof *z);
    bool low = zo_dir_is_lowrank(dir->kind);
    if (low) {
        tau64(q, dir, q->tau);
    }
    if (zo_dir_has_factors(dir->kind)) {
        own_factors64(q, dir);
    }
    for (int t = 0; t < q->layout->n; t++) {
        const zo_param *p = &q->layout->param[t];
        int64_t n = p->rows * p->cols;
        int r = q->rank != NULL ? q->rank[t] : 0;
        if (p->frozen || !zo_dir_acts(dir->kind, zo_dir_skip(dir), p->block, r)) {
            continue;
        }
        bool cores = dir->kind == ZO_DIR_HELD && q->shape[dir->set - 1] != ZO_SHAPE_LEFT; /* or right factors: u and f have them */
        const double *held = dir->kind == ZO_DIR_HELD && (r == 0 || !cores) ? q->set[dir->set - 1] : NULL;
        if (held != NULL && r == 0) {
            memcpy(z + p->offset, held + numbers64(q, q->shape[dir->set - 1]) + p->offset, (size_t)n * sizeof *z);
        } else if (low) {
            for (int64_t i = 0; i < n; i++) {
                double sum = 0.0;
                for (int s = 0; s < r; s++) {
                    int64_t u = q->offset_u[t] + i / p->cols * r + s;
                    sum += (held != NULL ? held[u] : (double)q->u[u]) * q->tau[q->coef_at[t] + s] *
                           q->f[q->offset_v[t] + i % p->cols * r + s];
                }
                z[p->offset + i] = q->scale[t] * sum;
            }
        } else {
            float *draw = malloc((size_t)n * sizeof *draw);
            zo_stream s = {dir->seed, p->id, dir->step, dir->query, ZO_ROLE_Z};
            zo_numbers(dir->draw, s, 0, n, draw);
            for (int64_t i = 0; i < n; i++) {
                double by = dir->scale != 0 ? q->set[dir->scale - 1][p->offset + i] : 1.0;
                z[p->offset + i] = dir->scale == 0 || dir->scaling == ZO_SCALING_TIMES ? draw[i] * by : draw[i] / sqrt(by);
            }
            free(draw);
        }
    }
}

static void add64(objective64 *q, const zo_term *term, int n, double *w)
{
    for (int k = 0; k < n; k++) {
        if (term[k].dir.kind == ZO_DIR_SET) {
            memcpy(q->z, term[k].dir.set == ZO_SET_WEIGHTS ? q->w : q->set[term[k].dir.set - 1], (size_t)q->layout->size * sizeof *q->z);
        } else {
            direction64(q, &term[k].dir, q->z);
        }
        for (int64_t i = 0; i < q->layout->size; i++) {
            w[i] += term[k].coef * q->z[i];
        }
    }
}

static zo_status losses64(zo_objective *o, zo_which which, const zo_point *point, int n, double *loss, zo_err *err)
{
    objective64 *q = o->self;
    q->most_points = n > q->most_points ? n : q->most_points;
    for (int p = 0; p < n; p++) {
        q->most_terms = point[p].n > q->most_terms ? point[p].n : q->most_terms;
        memcpy(q->at, point[p].base == ZO_SET_WEIGHTS ? q->w : q->set[point[p].base - 1], (size_t)q->layout->size * sizeof *q->at);
        add64(q, point[p].term, point[p].n, q->at);
        loss[p] = q->loss(q->context, which, q->at);
        *(which == ZO_BATCH_FULL ? &q->full_probes : &q->probes) += 1;
        if (!isfinite(loss[p])) {
            return zo_fail(err, ZO_EDIVERGED, "diverged");
        }
    }
    return ZO_OK;
}

static zo_status open_set64(zo_objective *o, const zo_set_spec *spec, zo_set *set, zo_err *err)
{
    (void)err;
    objective64 *q = o->self;
    ZO_CHECK(q->sets < (int)(sizeof q->set / sizeof *q->set), "more sets than the test's objective has room for");
    q->shape[q->sets] = spec->shape;
    q->linear[q->sets] = spec->linear;
    q->set[q->sets] = calloc((size_t)(numbers64(q, spec->shape) + q->layout->size), sizeof(double));
    for (int t = 0; t < q->layout->n; t++) {
        const zo_param *p = &q->layout->param[t];
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols && !p->frozen; i++) {
            q->set[q->sets][i] = spec->initial;
        }
    }
    *set = ++q->sets;
    return ZO_OK;
}

static zo_status combine64(zo_objective *o, zo_set set, double decay, const zo_term *term, int n, zo_err *err)
{
    (void)err;
    objective64 *q = o->self;
    if (set != ZO_SET_WEIGHTS && q->shape[set - 1] != ZO_SHAPE_WHOLE) {
        bool cores = q->shape[set - 1] == ZO_SHAPE_CORE, right = q->shape[set - 1] == ZO_SHAPE_RIGHT;
        int64_t numbers = numbers64(q, q->shape[set - 1]);
        double *x = q->set[set - 1];
        for (int64_t i = 0; i < numbers + q->layout->size; i++) {
            x[i] *= decay;
        }
        for (int k = 0; k < n; k++) {
            ZO_CHECK(term[k].dir.kind == (cores ? ZO_DIR_CORE : right ? ZO_DIR_SUBSPACE : ZO_DIR_FACTORS) || term[k].dir.kind == ZO_DIR_REST, "factors of a direction that has none");
            if (term[k].dir.kind == ZO_DIR_REST) {
                add64(q, term + k, 1, x + numbers);
                continue;
            }
            own_factors64(q, &term[k].dir);
            for (int64_t i = 0; i < numbers; i++) {
                x[i] += term[k].coef * (cores ? q->s[i] : right ? q->f[i] : q->u[i]);
            }
        }
        return ZO_OK;
    }
    if (set != ZO_SET_WEIGHTS) {
        for (int64_t i = 0; i < q->layout->size; i++) {
            q->set[set - 1][i] *= decay;
        }
        add64(q, term, n, q->set[set - 1]);
        return ZO_OK;
    }
    for (int t = 0; t < q->layout->n; t++) {
        const zo_param *p = &q->layout->param[t];
        for (int64_t i = 0; i < p->rows * p->cols && !p->frozen && (p->decay || o->decay_all); i++) {
            q->w[p->offset + i] *= decay;
        }
    }
    add64(q, term, n, q->w);
    q->applied = n;
    q->most_applied = n > q->most_applied ? n : q->most_applied;
    return ZO_OK;
}

/* How many singular values of a matrix are large, in float64; of its block's matrices the least, at most r_max. */
static int ruled64(const objective64 *q, const zo_factor_spec *spec, int t)
{
    int least = spec->rank_max;
    for (int k = 0; k < q->layout->n; k++) {
        const zo_param *p = &q->layout->param[t], *other = &q->layout->param[k];
        bool together = k == t || (p->block >= 0 && p->block == other->block && p->kind == ZO_PARAM_MATRIX && other->kind == ZO_PARAM_MATRIX && !other->frozen);
        int count = together ? large64(q->w + other->offset, other->rows, other->cols, spec->threshold) : least;
        least = count < least ? count : least;
    }
    return least;
}

static zo_status open_factors64(zo_objective *o, const zo_factor_spec *spec, zo_err *err)
{
    (void)err;
    objective64 *q = o->self;
    size_t n = (size_t)q->layout->n;
    q->rank = calloc(n, sizeof *q->rank);
    q->scale = calloc(n, sizeof *q->scale);
    q->coef_at = calloc(n, sizeof *q->coef_at);
    q->offset_u = calloc(n, sizeof *q->offset_u);
    q->offset_v = calloc(n, sizeof *q->offset_v);
    q->offset_s = calloc(n, sizeof *q->offset_s);
    int64_t nu = 0, nv = 0;
    for (int t = 0; t < q->layout->n; t++) {
        const zo_param *p = &q->layout->param[t];
        int64_t most = p->rows < p->cols ? p->rows : p->cols;
        bool frozen = p->kind == ZO_PARAM_TABLE && spec->tables == ZO_TABLES_FREEZE;
        bool factored = !p->frozen && (p->kind == ZO_PARAM_MATRIX || (p->kind == ZO_PARAM_TABLE && spec->tables != ZO_TABLES_REST));
        int wish = !factored || frozen ? 0 : spec->rank > 0 ? spec->rank : ruled64(q, spec, t);
        q->rank[t] = !factored ? 0 : frozen ? 1 : wish < most ? wish : (int)most;
        q->scale[t] = q->rank[t] > 0 && !frozen ? pow(q->rank[t], spec->scale_power) : 0.0;
        q->scale[t] = spec->align && q->rank[t] > 0 ? sqrt((double)(p->rows * p->cols)) / q->rank[t] : q->scale[t];
        q->coef_at[t] = o->ncoef;
        q->offset_u[t] = nu;
        q->offset_v[t] = nv;
        q->offset_s[t] = q->ns;
        q->ns += q->rank[t] * q->rank[t];
        o->ncoef += q->rank[t];
        nu += p->rows * q->rank[t];
        nv += p->cols * q->rank[t];
    }
    q->nu = nu;
    q->nv = nv;
    q->subspace = spec->kind == ZO_FACTORS_SUBSPACE;
    q->u = calloc((size_t)nu + 1, sizeof *q->u);
    q->f = calloc((size_t)nv + 1, sizeof *q->f);
    q->s = calloc((size_t)q->ns + 1, sizeof *q->s);
    q->raw_signs = spec->raw_signs;
    q->tau = calloc((size_t)o->ncoef + 1, sizeof *q->tau);
    q->own = spec->kind != ZO_FACTORS_FIXED;
    q->orthonormal = spec->kind == ZO_FACTORS_ORTHONORMAL;
    for (int t = 0; t < q->layout->n && !q->own; t++) {
        const zo_param *p = &q->layout->param[t];
        zo_normals((zo_stream){o->seed, p->id, 0, 0, ZO_ROLE_U}, 0, p->rows * q->rank[t], q->u + q->offset_u[t]);
        zo_normals((zo_stream){o->seed, p->id, 0, 0, ZO_ROLE_V}, 0, p->cols * q->rank[t], q->f + q->offset_v[t]);
    }
    return ZO_OK;
}

/* N <- N (V_from^T V_to) / cols, an element at a time. */
static zo_status carry64(zo_objective *o, zo_set set, const zo_dir *from, const zo_dir *to, zo_err *err)
{
    (void)err;
    objective64 *q = o->self;
    for (int t = 0; t < q->layout->n; t++) {
        const zo_param *p = &q->layout->param[t];
        int r = q->rank[t];
        float *old = calloc((size_t)(p->cols * r) + 1, sizeof *old), *new = calloc((size_t)(p->cols * r) + 1, sizeof *new);
        double *row = calloc((size_t)r + 1, sizeof *row);
        factor64(p, 'V', from->seed, from->period, 0, p->cols * r, old);
        factor64(p, 'V', to->seed, to->period, 0, p->cols * r, new);
        for (int64_t i = 0; i < p->rows && r > 0; i++) {
            double *n = q->set[set - 1] + q->offset_u[t] + i * r;
            memset(row, 0, (size_t)r * sizeof *row);
            for (int64_t j = 0; j < p->cols; j++) {
                double at = 0.0; /* (N V_old^T)[i, j] */
                for (int s = 0; s < r; s++) {
                    at += n[s] * old[j * r + s];
                }
                for (int s = 0; s < r; s++) {
                    row[s] += at * new[j * r + s] / (double)p->cols;
                }
            }
            memcpy(n, row, (size_t)r * sizeof *row);
        }
        free(old);
        free(new);
        free(row);
    }
    return ZO_OK;
}

static float *open_numbers64(zo_objective *o, const char *name)
{
    (void)name;
    objective64 *q = o->self;
    ZO_CHECK(q->arrays < (int)(sizeof q->numbers / sizeof *q->numbers), "more numbers than the test's objective has room for");
    q->numbers[q->arrays] = calloc((size_t)o->ncoef + 1, sizeof(float));
    return q->numbers[q->arrays++];
}

static void numbers_of64(zo_objective *o, const zo_dir *dir, float *x)
{
    tau64(o->self, dir, x);
}

static zo_status gradient64(zo_objective *o, zo_which which, zo_set set, double *loss, double *norm, zo_err *err)
{
    (void)err;
    objective64 *q = o->self;
    double *g = q->set[set - 1], sum = 0.0;
    q->gradient(q->context, which, q->w, g);
    *loss = q->loss(q->context, which, q->w);
    for (int64_t i = 0; i < q->layout->size; i++) {
        sum += g[i] * g[i];
    }
    if (norm != NULL) {
        *norm = sqrt(sum);
    }
    q->gradients++;
    return ZO_OK;
}

static zo_status dot64(zo_objective *o, zo_set a, zo_set b, double *dot, zo_err *err)
{
    (void)err;
    const objective64 *q = o->self;
    *dot = 0.0;
    for (int64_t i = 0; i < q->layout->size; i++) {
        *dot += q->set[a - 1][i] * q->set[b - 1][i];
    }
    return ZO_OK;
}

/* Adam's step from moments of low rank, written out. */
static void quotient64(objective64 *q, const zo_rule_args *a, const float *m, const float *v)
{
    for (int t = 0; t < q->layout->n; t++) {
        const zo_param *p = &q->layout->param[t];
        for (int64_t i = 0; i < p->rows * p->cols && q->rank[t] > 0; i++) {
            double first = 0.0, second = 0.0;
            for (int s = 0; s < q->rank[t]; s++) {
                double uv = (double)q->u[q->offset_u[t] + i / p->cols * q->rank[t] + s] *
                            q->f[q->offset_v[t] + i % p->cols * q->rank[t] + s];
                first += q->scale[t] * m[q->coef_at[t] + s] * uv;
                second += q->scale[t] * q->scale[t] * v[q->coef_at[t] + s] * uv * uv;
            }
            q->w[p->offset + i] -= (double)a->lr * first / (sqrt(second) + (double)a->eps);
        }
    }
}

/* Adam's moments of the terms, the oldest first, and the step: eps is below the root of the second (AdaMeZO), or added to it, where it also decays. */
static void window64(objective64 *q, const zo_rule_args *a, const zo_operands *x, bool below)
{
    double *m = vector64(q), *v = vector64(q);
    for (int k = 0; k < x->terms; k++) {
        direction64(q, &x->term[k].dir, q->z);
        for (int64_t i = 0; i < q->layout->size; i++) {
            double g = x->term[k].coef * q->z[i];
            m[i] = (double)a->beta1 * m[i] + (1.0 - (double)a->beta1) * g;
            v[i] = (double)a->beta2 * v[i] + (1.0 - (double)a->beta2) * g * g;
        }
    }
    for (int t = 0; t < q->layout->n; t++) {
        const zo_param *p = &q->layout->param[t];
        double shrunk = !below && (p->decay || q->o.decay_all) ? 1.0 - (double)a->lr * (double)a->decay : 1.0;
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols && !p->frozen; i++) {
            double second = v[i] / (double)a->correct2, root = below ? sqrt(second + (double)a->eps) : sqrt(second) + (double)a->eps;
            q->w[i] = shrunk * q->w[i] - (double)a->lr * (m[i] / (double)a->correct1) / root;
        }
    }
    free(m);
    free(v);
}

/* Low-precision SGLD (arXiv 2206.09909) as its text has it, with Cat(mean, variance) on -d, 0, d. Uniform numbers are fractions of normal ones. */
static double cat64(double mean, double variance, double d, double u)
{
    double up = (variance + mean * mean + mean * d) / (2.0 * d * d), down = (variance + mean * mean - mean * d) / (2.0 * d * d);
    return u < up ? d : u < up + down ? -d : 0.0;
}

static void langevin64(objective64 *q, zo_rule_kind rule, const zo_rule_args *a, const zo_operands *x)
{
    double d = (double)a->eps, lr = (double)a->lr, noise = (double)a->gamma, *first = vector64(q), *second = vector64(q);
    direction64(q, &x->term[0].dir, first);
    direction64(q, &x->term[1].dir, second);
    for (int t = 0; t < q->layout->n; t++) {
        const zo_param *p = &q->layout->param[t];
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols && !p->frozen; i++) {
            double u1 = first[i] - floor(first[i]), u2 = second[i] - floor(second[i]), mu = q->w[i] - lr * q->set[x->m - 1][i], to;
            if (rule == ZO_RULE_ROUNDED) {
                to = d * floor((mu + sqrt(noise) * first[i]) / d + u2);
            } else if (noise > d * d / 4.0) {
                double at = mu + sqrt(noise - d * d / 4.0) * first[i], near = d * floor(at / d + 0.5), r = at - near;
                to = near + (r < 0.0 ? -1.0 : 1.0) * cat64(fabs(r), d * d / 4.0, d, u2);
            } else {
                double at = d * floor(mu / d + u1), r = mu - at, sign = r < 0.0 ? -1.0 : 1.0;
                double made = (1.0 - fabs(r) / d) * r * r + fabs(r) / d * (-r + sign * d) * (-r + sign * d);
                to = at + (noise > made ? cat64(0.0, noise - made, d, u2) : 0.0);
            }
            q->w[i] = fmin(fmax(to, (double)a->floor), -(double)a->floor - d);
        }
    }
    free(first);
    free(second);
}

static void adamw64(const zo_rule_args *a, double decay, double *w, double g, double *m, double *v)
{
    *w -= (double)a->lr * decay * *w;
    *m = a->beta1 * *m + (1.0 - a->beta1) * g;
    *v = a->beta2 * *v + (1.0 - a->beta2) * g * g;
    *w -= a->lr * (*m / a->correct1) / (sqrt(*v / a->correct2) + a->eps);
}

/* torch.optim.SGD and torch.optim.AdamW in float64, written from their documentation and not from rules.h. */
static zo_status rule64(zo_objective *o, zo_rule_kind rule, const zo_rule_args *a, const zo_operands *x, zo_err *err)
{
    (void)err;
    objective64 *q = o->self;
    if (rule == ZO_RULE_QUOTIENT) {
        quotient64(q, a, x->m_numbers, x->v_numbers);
        return ZO_OK;
    }
    if (x->of_scales) { /* this has none */
        return ZO_OK;
    }
    if (rule == ZO_RULE_WINDOW || rule == ZO_RULE_REPLAYED) {
        window64(q, a, x, rule == ZO_RULE_WINDOW);
        return ZO_OK;
    }
    if (zo_rule_pairs(rule)) {
        langevin64(q, rule, a, x);
        return ZO_OK;
    }
    if (x->terms > 0) {
        memset(q->at, 0, (size_t)q->layout->size * sizeof *q->at);
        add64(q, x->term, x->terms, q->at);
    }
    const double *slope = x->terms > 0 || x->g == 0 ? q->at : q->set[x->g - 1];
    double *w = x->over != 0 ? q->set[x->over - 1] : q->w;
    int64_t cores = x->over != 0 ? numbers64(q, q->shape[x->over - 1]) : 0; /* they stand before the rest */
    double *m = x->m != 0 ? q->set[x->m - 1] : NULL, *v = x->v != 0 ? q->set[x->v - 1] : NULL;
    ZO_CHECK(cores == 0 || rule == ZO_RULE_ADAMW, "the test's objective has one rule of cores");
    for (int64_t i = 0; i < cores; i++) {
        adamw64(a, 0.0, &w[i], slope[i], &m[i], &v[i]);
    }
    w += cores;
    slope += cores;
    m = m != NULL ? m + cores : NULL;
    v = v != NULL ? v + cores : NULL;
    for (int t = 0; t < q->layout->n; t++) {
        const zo_param *p = &q->layout->param[t];
        double decay = p->decay || o->decay_all ? a->decay : 0.0;
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols && !p->frozen; i++) {
            double g = slope[i];
            if (rule == ZO_RULE_FLOORED) {
                double least = (double)a->floor / (x->floor_by_size ? 2.0 * sqrt((double)(p->rows * p->cols)) : 1.0);
                w[i] -= (double)a->lr * m[i] / ((double)a->gamma * fmax(v[i], least) + (double)a->eps);
                continue;
            }
            if (rule == ZO_RULE_SQUARE) {
                w[i] = (double)a->beta2 * w[i] + (1.0 - (double)a->beta2) * g * g;
                continue;
            }
            if (rule == ZO_RULE_CHOSEN) {
                w[i] = fabs(g) <= (double)a->eps;
                continue;
            }
            if (rule == ZO_RULE_CURVATURE) {
                w[i] = (1.0 - (double)a->lr) * w[i] + g * g * w[i];
                continue;
            }
            if (rule == ZO_RULE_ADAMW) {
                adamw64(a, decay, &w[i], g, &m[i], &v[i]);
                continue;
            }
            if (rule == ZO_RULE_ADAMU) {
                double second = (m[i] - (double)a->beta1 * g) / (1.0 - (double)a->beta1);
                q->w[i] -= (double)a->lr * m[i] / sqrt((double)a->beta2 * g * g + (1.0 - (double)a->beta2) * second * second + (double)a->eps);
                continue;
            }
            if (rule == ZO_RULE_SIGN) {
                q->w[i] -= (double)a->lr * (decay * q->w[i] + (g > 0.0 ? 1.0 : g < 0.0 ? -1.0 : 0.0));
                continue;
            }
            g += decay * q->w[i];
            if (rule == ZO_RULE_MOMENTUM) {
                g = m[i] = a->beta1 * m[i] + g;
            }
            q->w[i] -= a->lr * g;
        }
    }
    return ZO_OK;
}

/* Whether a set has the parameter. */
static bool has64(const objective64 *q, zo_set set, int t)
{
    const zo_param *p = &q->layout->param[t];
    return !p->frozen && zo_param_in(p, q->linear[set - 1]);
}

static int tensors64(zo_objective *o, zo_set set)
{
    const objective64 *q = o->self;
    int n = 0;
    for (int t = 0; t < q->layout->n; t++) {
        n += has64(q, set, t);
    }
    return n;
}

static zo_status norms64(zo_objective *o, zo_set set, double *norm, zo_err *err)
{
    (void)err;
    const objective64 *q = o->self;
    for (int t = 0; t < q->layout->n; t++) {
        const zo_param *p = &q->layout->param[t];
        double square = 0.0;
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols; i++) {
            square += q->set[set - 1][i] * q->set[set - 1][i];
        }
        if (has64(q, set, t)) {
            *norm++ = sqrt(square);
        }
    }
    return ZO_OK;
}

/* X <- N / |N|, then X <- a X + X (b A + c A^2), A = X^T X; N (cols, r). */
static zo_status orthogonalise64(zo_objective *o, zo_set set, int iterations, zo_err *err)
{
    (void)err;
    objective64 *q = o->self;
    for (int t = 0; t < q->layout->n; t++) {
        int64_t n = q->layout->param[t].cols, r = q->rank[t];
        double *x = q->set[set - 1] + q->offset_v[t], square = 0.0;
        double *a = calloc((size_t)(r * r) + 1, sizeof *a), *by = calloc((size_t)(r * r) + 1, sizeof *by), *row = calloc((size_t)r + 1, sizeof *row);
        for (int64_t i = 0; i < n * r; i++) {
            square += x[i] * x[i];
        }
        for (int64_t i = 0; i < n * r && square > 0.0; i++) {
            x[i] /= sqrt(square);
        }
        for (int k = 0; k < iterations; k++) {
            for (int64_t i = 0; i < r * r; i++) {
                a[i] = 0.0;
                for (int64_t j = 0; j < n; j++) {
                    a[i] += x[j * r + i / r] * x[j * r + i % r];
                }
            }
            for (int64_t i = 0; i < r * r; i++) {
                by[i] = -4.7750 * a[i] + (i / r == i % r ? 3.4445 : 0.0);
                for (int64_t j = 0; j < r; j++) {
                    by[i] += 2.0315 * a[i / r * r + j] * a[j * r + i % r];
                }
            }
            for (int64_t j = 0; j < n; j++) {
                memcpy(row, x + j * r, (size_t)r * sizeof *row);
                for (int64_t i = 0; i < r; i++) {
                    x[j * r + i] = 0.0;
                    for (int64_t s = 0; s < r; s++) {
                        x[j * r + i] += row[s] * by[s * r + i];
                    }
                }
            }
        }
        free(a);
        free(by);
        free(row);
    }
    return ZO_OK;
}

static zo_status place64(zo_objective *o, zo_set anchor, zo_set offset, const double *coef, zo_err *err)
{
    (void)err;
    objective64 *q = o->self;
    for (int t = 0; t < q->layout->n; t++) {
        const zo_param *p = &q->layout->param[t];
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols && has64(q, offset, t); i++) {
            q->w[i] = (anchor != 0 ? q->set[anchor - 1][i] : 0.0) + *coef * q->set[offset - 1][i];
        }
        coef += has64(q, offset, t);
    }
    return ZO_OK;
}

static zo_status descend64(zo_objective *o, zo_which which, zo_rule_kind rule, const zo_rule_args *args, const zo_operands *x, double *loss, zo_err *err)
{
    objective64 *q = o->self;
    if (q->passing == 0) { /* a set that nobody sees */
        zo_set_spec spec = {.name = "of the pass"};
        open_set64(o, &spec, &q->passing, err);
    }
    zo_operands all = *x;
    all.g = q->passing;
    zo_status status = gradient64(o, which, q->passing, loss, NULL, err);
    return status == ZO_OK ? o->rule(o, rule, args, &all, err) : status;
}

static int least64(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static zo_status mask64(zo_objective *o, zo_set set, double share, bool anew, zo_err *err)
{
    (void)err;
    objective64 *q = o->self;
    for (int t = 0; t < q->layout->n; t++) {
        const zo_param *p = &q->layout->param[t];
        int64_t n = p->frozen ? 0 : p->rows * p->cols, k = (int64_t)ceil(share * (double)n);
        for (int64_t i = 0; i < n; i++) {
            q->at[i] = fabs(q->w[p->offset + i]);
        }
        qsort(q->at, (size_t)n, sizeof *q->at, least64);
        q->threshold[t] = !anew ? q->threshold[t] : k > 0 && n > 0 ? q->at[k - 1] : -1.0;
        for (int64_t i = 0; i < n; i++) {
            q->set[set - 1][p->offset + i] = fabs(q->w[p->offset + i]) <= q->threshold[t];
        }
    }
    return ZO_OK;
}

static inline objective64 *objective64_new(const zo_layout *layout, uint64_t seed, void *context,
                                    double (*loss)(void *, zo_which, const double *),
                                    void (*gradient)(void *, zo_which, const double *, double *))
{
    objective64 *q = calloc(1, sizeof *q);
    q->layout = layout;
    q->context = context;
    q->loss = loss;
    q->gradient = gradient;
    double **vectors[] = {&q->w, &q->z, &q->at};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        *vectors[i] = vector64(q);
    }
    q->o = (zo_objective){.self = q, .seed = seed, .losses = losses64, .open = open_set64, .combine = combine64, .carry = carry64, .dot = dot64,
                          .open_factors = open_factors64, .open_numbers = open_numbers64, .numbers_of = numbers_of64, .gradient = gradient64, .rule = rule64, .mask = mask64, .tensors = tensors64,
                          .norms = norms64, .place = place64, .descend = descend64, .orthogonalise = orthogonalise64};
    ZO_CHECK(layout->n <= (int)(sizeof q->threshold / sizeof *q->threshold), "more parameters than the test's objective has room for");
    for (int t = 0; t < layout->n; t++) {
        q->o.size += layout->param[t].frozen ? 0 : layout->param[t].rows * layout->param[t].cols;
        int block = layout->param[t].block;
        q->o.trained.in |= layout->param[t].frozen || block < 0 ? 0 : (uint64_t)1 << block;
        q->o.trained.outside = q->o.trained.outside || (!layout->param[t].frozen && block < 0);
        q->o.blocks = layout->param[t].block >= q->o.blocks ? layout->param[t].block + 1 : q->o.blocks;
    }
    return q;
}

static inline void objective64_free(objective64 *q)
{
    for (int k = 0; k < q->sets; k++) {
        free(q->set[k]);
    }
    for (int k = 0; k < q->arrays; k++) {
        free(q->numbers[k]);
    }
    void *all[] = {q->w, q->z, q->at, q->rank, q->scale, q->coef_at, q->u, q->f, q->s, q->offset_u, q->offset_v, q->offset_s, q->tau, q};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        free(all[i]);
    }
}

/* An estimator with its state, options from JSON text (NULL = defaults). */
typedef struct running { const zo_estimator *e; void *state; zo_objective *o; int64_t step; } running;

static inline running running_of(const zo_estimator *e, const char *json, zo_objective *o)
{
    running r = {.e = e, .o = o};
    zo_err err = {0};
    cJSON *object = json != NULL ? cJSON_Parse(json) : NULL;
    r.state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, r.e->state_bytes);
    zo_status status = zo_opt_read(r.e->options, object, NULL, e->name, r.state, &err);
    if (status == ZO_OK && r.e->start != NULL) {
        status = r.e->start(r.state, o, &err);
    }
    cJSON_Delete(object);
    ZO_CHECK(status == ZO_OK, "%s", err.text);
    return r;
}

static inline running running_new(const char *name, const char *json, zo_objective *o)
{
    return running_of(zo_estimator_find(name), json, o);
}

static inline zo_status running_step(running *r, int64_t batches_per_epoch, int64_t steps, double lr, double eps, zo_step_report *report)
{
    zo_err err = {0};
    zo_step_context c = {.step = r->step, .steps = steps, .batches_per_epoch = batches_per_epoch, .lr = lr, .eps = eps};
    zo_status status = r->e->step(r->state, r->o, &c, report, &err);
    r->step++;
    return status;
}

static inline void running_free(running *r)
{
    if (r->e->stop != NULL) {
        r->e->stop(r->state);
    }
    zo_free(r->state);
}

#endif
