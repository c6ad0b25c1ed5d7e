/* twin.h: what a twin is made of. A twin is a method once more: float64, z stored, an element at a time, from the paper's formulas. It gets the
 * first weights and, in order, each loss that the program's estimator got, and makes of them its own weights and sets. Header only.
 *
 * A twin also says at which point it takes each loss to have been asked: the loss in float64 there is compared with the recorded one. Each line
 * that could be wrong asks wrong(t, "how") and is then really wrong in a run of its own, which has to be told from the program's. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_TWIN_H
#define ZO_TESTS_OPTIMIZERS_TWINS_TWIN_H

#include <cjson/cJSON.h>

#include "optimizers/spsa.h"
#include "tests/optimizers/twins/net.h"

enum { STEPS = 50, TAPE = 4096, SETS = 12, LINES = 48, EPOCH = EXAMPLES / BATCH };

/* All that the program's estimator was told. */
typedef struct tape {
    double loss[TAPE];
    zo_which which[TAPE];
    int n;
    float gradient[STEPS][SIZE];
    float stored[STEPS + 1][SIZE]; /* weights of 16 bits: where each gradient is taken, and at the end */
    int gradients;
} tape;

typedef struct named { const char *name; int64_t n; double x[SIZE]; } named; /* a set, or numbers of low rank */

typedef struct twin {
    net *net;
    const tape *tape;
    const cJSON *options; /* NULL = the defaults */
    uint64_t seed;
    int64_t step;
    double lr, eps;
    double w[SIZE];
    named set[SETS];
    int sets;
    int used, gradients;   /* of the tape */
    double apart;          /* most difference between a recorded loss and the one in float64 at the twin's point */
    bool left_out[SIZE];   /* elements that stand so close to a switch of the rule that f32 may fall on its other side */
    const char *bug;       /* the line that is wrong; NULL = none */
    const char *line[LINES]; /* that can be: met so far */
    int lines;
    double past[STEPS];    /* losses as the method keeps them */
    zo_storage storage;    /* of the weights: see rounded_weights (twins/masters.h) */
} twin;

static inline bool wrong(twin *t, const char *line)
{
    int k = 0;
    while (k < t->lines && strcmp(t->line[k], line) != 0) {
        k++;
    }
    if (k == t->lines) {
        ck_assert_int_lt(t->lines, LINES);
        t->line[t->lines++] = line;
    }
    return t->bug != NULL && strcmp(t->bug, line) == 0;
}

/* Options, with the default that the method's documentation names. */
static inline double real(const twin *t, const char *key, double initial)
{
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(t->options, key);
    return x == NULL ? initial : x->valuedouble;
}

static inline bool flag(const twin *t, const char *key, bool initial)
{
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(t->options, key);
    return x == NULL ? initial : cJSON_IsTrue(x);
}

static inline bool is(const twin *t, const char *key, const char *value, const char *initial)
{
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(t->options, key);
    return strcmp(x == NULL ? initial : x->valuestring, value) == 0;
}

/* The set, or numbers, of that name: zeros at first. */
static inline double *numbers(twin *t, const char *name, int64_t n)
{
    int k = 0;
    while (k < t->sets && strcmp(t->set[k].name, name) != 0) {
        k++;
    }
    if (k == t->sets) {
        ck_assert_int_lt(t->sets, SETS);
        t->sets++;
        t->set[k].name = name;
        t->set[k].n = n;
    }
    return t->set[k].x;
}

static inline double *set(twin *t, const char *name)
{
    return numbers(t, name, t->net->layout.trained_size);
}

/* The next loss of the tape, asked at `at`. */
static inline double ask(twin *t, zo_which which, const double *at)
{
    if (t->used >= t->tape->n) {
        t->used++;
        return NAN; /* more than there were: seen by what is counted, and by what comes of it */
    }
    double loss = t->tape->loss[t->used];
    if (which != t->tape->which[t->used++]) {
        t->apart = INFINITY;
    }
    t->net->step = t->step;
    t->apart = fmax(t->apart, fabs(net_loss64(t->net, which, at, NULL) - loss) / fmax(1.0, fabs(loss)));
    return loss;
}

static inline void add(double *x, double a, const double *z)
{
    for (int i = 0; i < SIZE; i++) {
        x[i] += a * z[i];
    }
}

static inline double dot(const double *x, const double *y)
{
    double sum = 0.0;
    for (int i = 0; i < SIZE; i++) {
        sum += x[i] * y[i];
    }
    return sum;
}

/* The next loss, asked at base + a z. */
static inline double ask_along(twin *t, zo_which which, const double *base, double a, const double *z)
{
    double at[SIZE];
    memcpy(at, base, sizeof at);
    add(at, a, z);
    return ask(t, which, at);
}

/* L(base + eps z) - L(base - eps z); *mean (NULL = not wanted) = that of the two. */
static inline double two_points(twin *t, zo_which which, const double *base, const double *z, double *mean)
{
    double plus = ask_along(t, which, base, t->eps, z);
    double minus = ask_along(t, which, base, wrong(t, "the second probe stands at the base") ? 0.0 : -t->eps, z);
    if (mean != NULL) {
        *mean = (plus + minus) / 2.0;
    }
    return plus - minus;
}

/* The projected gradient: that over 2 eps. */
static inline double spsa(twin *t, zo_which which, const double *base, const double *z, double *mean)
{
    double difference = two_points(t, which, base, z, mean);
    return difference / (wrong(t, "a difference over eps, not 2 eps") ? t->eps : 2.0 * t->eps);
}

/* z of (step, query): element by element from the generator (core/rng.h), on trained parameters outside the blocks of `skip`. factored (PARAMS;
 * NULL = none): those that are left out too. */
static inline void draw_as(const twin *t, bool signs, int64_t step, int query, uint64_t skip, const bool *factored, double *z)
{
    memset(z, 0, SIZE * sizeof *z);
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        bool out = p->frozen || (p->block >= 0 && (skip >> p->block & 1) != 0) || (factored != NULL && factored[k]);
        zo_stream s = {t->seed, p->id, (uint32_t)step, (uint32_t)query, ZO_ROLE_Z};
        float normal[SIZE];
        uint32_t word[SIZE];
        int64_t n = out ? 0 : p->rows * p->cols;
        zo_normals_scalar(s, 0, signs ? 0 : n, normal);
        zo_words(s, 0, signs ? (n + 31) / 32 : 0, word);
        for (int64_t i = 0; i < n; i++) {
            z[p->offset + i] = !signs ? (double)normal[i] : (word[i / 32] >> (i % 32) & 1) != 0 ? -1.0 : 1.0;
        }
    }
}

static inline void draw_on(const twin *t, int64_t step, int query, uint64_t skip, const bool *factored, double *z)
{
    draw_as(t, is(t, "draw", "rademacher", "gauss"), step, query, skip, factored, z);
}

static inline void draw(const twin *t, int64_t step, int query, double *z)
{
    draw_on(t, step, query, 0, NULL, z);
}

/* w *= times, where the parameter decays; `all`: everywhere. */
static inline void decay(twin *t, double times, bool all)
{
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols && !p->frozen && (all || p->decay); i++) {
            t->w[i] *= times;
        }
    }
}

typedef void twin_step(twin *t); /* one step: t->step, t->lr, t->eps are those of it */

#endif
