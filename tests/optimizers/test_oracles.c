/* test_oracles.c: what holds of every estimator of the list, and with its sign or its learning rate changed does not.
 *
 *   lr 0       steps of length 0 leave the weights: bit for bit where they are read-only in a pass, else but for the way out and back
 *   memory     once the sets are written, a step takes no more than the few bytes for lists of points that its needs say
 *   extremes   weights of 0, of 1e-20 and 1000 times as long as they are stay finite, and a flat loss moves none
 *   descent    the mean of <step, true gradient> is below 0 by four standard errors; with its updates turned round it is not
 *   estimates  the first step's mean and mean square over many seeds, on a linear loss, against closed forms (test_optimizers.c has others)
 *   stability  two-point estimates along normals on 1/2 w'Hw are stable in the mean square iff lr h < 1 for each curvature h and
 *              sum lr h / (2 (1 - lr h)) < 1 (H = I: lr < 2 / (d + 2)); along signs iff lr sum h < 2. The program crosses there.
 *   langevin   SGLD's chain on 1/2 |w|^2 has the variance of its temperature, and by naive rounding too much (1e5 draws)
 */
#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>

#include "optimizers/needs.h"
#include "tests/objective64.h"
#include "tests/oracles.h"
#include "tests/optimizers/twins/net.h"
#include "tests/suite.h"

enum { SEED = 5 };

/* Options under which an oracle speaks, where the defaults are not these. `still`: every learning rate but lr is 0. `descent`: what it needs to be
 * seen in so many steps (0 = STEPS). `flat`: with which it has no noise of its own. */
enum { STEPS = 64 };
static const struct special { const char *name, *still, *descent; int steps; const char *flat; } special[] = {
    {"zo-muon", "{\"rest_lr\": 0}", NULL, 0, NULL},
    {"mezo-svrg", "{\"eta2\": 0}", "{\"eta2\": 1e-4}", 0, NULL},
    {"zo-svrg", "{\"eta2\": 0}", "{\"eta2\": 1e-4, \"queries\": 4}", 0, NULL},
    {"addax", NULL, "{\"alpha\": 0.3}", 0, NULL},
    {"sgld", NULL, "{\"temperature\": 0}", 0, "{\"temperature\": 0}"}, /* the noise of so many steps hides their slope */
    {"bszo", NULL, "{\"sigma\": 3}", 0, NULL}, /* its filter believes less and less of an estimate as the noise that it sees grows from `sigma` */
    {"kerzoo", NULL, "{\"queries\": 16}", 0, NULL}, /* K(r) r is below 0 for large r: one query is seen in some 400 steps */
};

static struct special special_of(const char *name)
{
    for (size_t k = 0; k < sizeof special / sizeof *special; k++) {
        if (strcmp(special[k].name, name) == 0) {
            return special[k];
        }
    }
    return (struct special){.name = name};
}

static bool allows(const zo_estimator *e, int realisation)
{
    return !zo_estimator_probes(e) ? realisation == ZO_INPLACE : e->allows == NULL || e->allows(realisation);
}

/* ---- lr 0 ----------------------------------------------------------------------------------------------------------------- */

START_TEST(lr_0_leaves_the_weights)
{
    static net m;
    const zo_estimator *const *list;
    zo_estimator_list(&list);
    const zo_estimator *e = list[_i];
    if (e->step == NULL) {
        return;
    }
    net_open(&m);
    for (int realisation = 0; realisation < ZO_REALISATIONS; realisation++) {
        if (!allows(e, realisation)) {
            continue;
        }
        for (int moving = 0; moving < 2; moving++) { /* and with its own lr they do not stay */
            double most = 0.0;
            memcpy(m.store->data, m.start, (size_t)m.layout.size * sizeof *m.start);
            zo_engine_spec spec = {.be = m.be, .weights = m.store, .realisation = (zo_realisation)realisation, .seed = SEED,
                                   .io = {.context = &m, .losses = net_losses, .gradient = net_gradient, .descend = net_descend, .touched = net_touched,
                                          .most_points = POINTS}};
            zo_engine *engine = zo_engine_new(&spec);
            running r = running_new(e->name, special_of(e->name).still, zo_engine_objective(engine));
            for (int step = 0; step < 6; step++) {
                zo_step_report report;
                m.step = step;
                ck_assert_int_eq(running_step(&r, EXAMPLES / BATCH, 6, moving ? e->descends_lr : 0.0, 1e-3, &report), ZO_OK);
                ck_assert(moving || report.lr == 0.0);
            }
            const zo_view *view = zo_engine_settle(engine);
            bool side = false;
            for (int64_t k = 0; view->side != NULL && k < view->factors->ncoef; k++) {
                side = side || view->side[k] != 0.0f;
            }
            for (int64_t i = 0; i < m.layout.size; i++) {
                most = fmax(most, fabs((double)m.store->data[i] - m.start[i]));
            }
            double still = realisation == ZO_INPLACE && zo_estimator_probes(e) ? 2e-6 : 0.0; /* some ulps of a number of length 1 */
            const char *how = zo_realisation_name((zo_realisation)realisation);
            ck_assert_msg(moving || (most <= still && !side), "%s, %s: weights moved by %g with lr 0", e->name, how, most);
            ck_assert_msg(!moving || most > 1e-4 || side, "%s, %s: weights moved by %g", e->name, how, most);
            if (!moving) {
                printf("measured: %s: lr 0, %s: weights move by %.0e, within %.0e\n", e->name, how, most, still);
            }
            running_free(&r);
            zo_engine_free(engine);
        }
    }
    net_close(&m);
}
END_TEST

/* ---- memory, extremes ----------------------------------------------------------------------------------------------------- */

/* The estimator on the network, in place or on its gradients, with its defaults (v NULL) or a variant's option. */
typedef struct engaged { zo_engine *engine; running r; cJSON *options; char *text; } engaged;

static engaged engage(net *m, const zo_estimator *e, const zo_variant *v)
{
    engaged x = {.options = v != NULL ? zo_variant_options(v) : NULL};
    zo_engine_spec spec = {.be = m->be, .weights = m->store, .realisation = ZO_INPLACE, .seed = SEED,
                           .io = {.context = m, .losses = net_losses, .gradient = net_gradient, .descend = net_descend, .touched = net_touched, .most_points = POINTS}};
    x.engine = zo_engine_new(&spec);
    x.text = x.options != NULL ? cJSON_PrintUnformatted(x.options) : NULL;
    x.r = running_new(e->name, x.text, zo_engine_objective(x.engine));
    return x;
}

static void disengage(engaged *x)
{
    running_free(&x->r);
    zo_engine_free(x->engine);
    cJSON_free(x->text);
    cJSON_Delete(x->options);
}

START_TEST(no_step_allocates)
{
    enum { SETTLED = 12, ALL = 30 };
    static net m;
    const zo_estimator *const *list;
    zo_estimator_list(&list);
    const zo_estimator *e = list[_i];
    if (e->step == NULL) {
        return;
    }
    net_open(&m);
    int runs = 0;
    uint64_t most = 0;
    for (const zo_variant *v = NULL; v == NULL || v->key != NULL; v = v == NULL ? e->variants : v + 1) {
        zo_err err;
        zo_needs needs;
        zo_extent extent = {.layout = &m.layout, .steps = ALL, .batches_per_epoch = EXAMPLES / BATCH};
        engaged x = engage(&m, e, v);
        ck_assert_int_eq(zo_needs_of(e, x.options, &extent, &needs, &err), ZO_OK);
        uint64_t live = 0;
        for (int step = 0; step < ALL; step++) {
            zo_step_report report;
            m.step = step;
            if (step == SETTLED) {
                zo_mem_reset_peaks();
                live = zo_mem_live(ZO_HOST).total_bytes;
            }
            ck_assert_int_eq(running_step(&x.r, EXAMPLES / BATCH, ALL, e->descends_lr * 1e-3, 1e-3, &report), ZO_OK);
        }
        uint64_t took = zo_mem_peak_overall(ZO_HOST).total_bytes - live, says = 0;
        for (int tag = 0; tag < ZO_TAGS; tag++) {
            says += needs.step_bytes[tag];
        }
        if (!needs.stored_beside) { /* that sum is made anew beside its old values, and says so */
            ck_assert_msg(took <= says, "%s %s: a step after the first %d took %d bytes, and says %d", e->name, x.text != NULL ? x.text : "", SETTLED,
                          (int)took, (int)says);
            most = took > most ? took : most;
            runs++;
        }
        disengage(&x);
        if (v == NULL && e->variants == NULL) {
            break;
        }
    }
    printf("measured: %s: memory: after step %d, in %d variants, a step takes %d bytes for its lists, as it says, and no sweep takes any\n", e->name,
           SETTLED, runs, (int)most);
    net_close(&m);
}
END_TEST

static double flat_loss(void *context, zo_which which, const double *w)
{
    (void)context, (void)which, (void)w;
    return 1.0;
}

static void flat_gradient(void *context, zo_which which, const double *w, double *g)
{
    (void)which, (void)w;
    const net *m = context;
    memset(g, 0, (size_t)m->layout.size * sizeof *g);
}

START_TEST(extremes_stay_finite)
{
    static const float times[] = {0.0f, 1e-20f, 1e3f};
    static net m;
    const zo_estimator *const *list;
    zo_estimator_list(&list);
    const zo_estimator *e = list[_i];
    if (e->step == NULL) {
        return;
    }
    net_open(&m);
    for (int k = 0; k < 3; k++) {
        for (int64_t i = 0; i < m.layout.size; i++) {
            m.store->data[i] = m.start[i] * times[k];
        }
        engaged x = engage(&m, e, NULL);
        for (int step = 0; step < 8; step++) {
            zo_step_report report;
            m.step = step;
            ck_assert_int_eq(running_step(&x.r, EXAMPLES / BATCH, 8, e->descends_lr, 1e-3, &report), ZO_OK);
        }
        zo_engine_settle(x.engine);
        ck_assert_msg(m.be->finite(m.be, m.store), "%s: weights that were %g times as long are not finite", e->name, (double)times[k]);
        disengage(&x);
    }
    int forms = 0; /* a metric is flat from most points to most others */
    for (const zo_variant *v = NULL; v == NULL || v->key != NULL; v = v == NULL ? e->variants : v + 1, forms++) {
        cJSON *options = v != NULL ? zo_variant_options(v) : NULL;
        char *text = options != NULL ? cJSON_PrintUnformatted(options) : NULL;
        const char *flat = special_of(e->name).flat, *json = flat != NULL ? flat : text;
        objective64 *o = objective64_new(&m.layout, SEED, &m, flat_loss, flat_gradient);
        for (int64_t i = 0; i < m.layout.size; i++) {
            o->w[i] = m.start[i];
        }
        running r = running_new(e->name, json, &o->o);
        for (int step = 0; step < 8; step++) {
            zo_step_report report;
            ck_assert_int_eq(running_step(&r, 1, 8, e->descends_lr, 1e-3, &report), ZO_OK);
        }
        for (int64_t i = 0; i < m.layout.size; i++) {
            ck_assert_msg(o->w[i] == m.start[i], "%s %s: a flat loss moved weight %d from %g to %g", e->name, json != NULL ? json : "", (int)i, m.start[i], o->w[i]);
        }
        running_free(&r);
        objective64_free(o);
        cJSON_free(text);
        cJSON_Delete(options);
        if (e->variants == NULL) {
            break;
        }
    }
    printf("measured: %s: extremes: finite on weights of 0, 1e-20 and 1000 times their length; a flat loss moves nothing, in %d variants\n", e->name, forms);
    net_close(&m);
}
END_TEST

/* ---- descent -------------------------------------------------------------------------------------------------------------- */

static double loss64(void *context, zo_which which, const double *w)
{
    (void)which;
    return net_loss64(context, ZO_BATCH_FULL, w, NULL);
}

static void gradient64_of(void *context, zo_which which, const double *w, double *g)
{
    (void)which;
    const net *m = context;
    double all[SIZE];
    net_loss64(m, ZO_BATCH_FULL, w, all);
    memcpy(g, all, (size_t)m->layout.size * sizeof *g);
}

/* What reaches the weights is turned round. */
static struct { zo_status (*combine)(zo_objective *, zo_set, double, const zo_term *, int, zo_err *);
                zo_status (*rule)(zo_objective *, zo_rule_kind, const zo_rule_args *, const zo_operands *, zo_err *); } straight;

static zo_status turned_combine(zo_objective *o, zo_set set, double decay, const zo_term *term, int n, zo_err *err)
{
    zo_term turned[256];
    ck_assert_int_le(n, 256);
    for (int k = 0; k < n; k++) {
        turned[k] = term[k];
        turned[k].coef = set == ZO_SET_WEIGHTS ? -term[k].coef : term[k].coef;
    }
    return straight.combine(o, set, decay, turned, n, err);
}

static zo_status turned_rule(zo_objective *o, zo_rule_kind rule, const zo_rule_args *args, const zo_operands *x, zo_err *err)
{
    zo_rule_args turned = *args;
    turned.lr = x->over == ZO_SET_WEIGHTS ? -args->lr : args->lr;
    return straight.rule(o, rule, &turned, x, err);
}

/* Mean of <step, gradient> over so many steps, in standard errors of it. One loss, the whole training set's: nothing but the method is random. */
static double slope(net *m, const zo_estimator *e, const char *json, int steps, bool turned)
{
    objective64 *o = objective64_new(&m->layout, SEED, m, loss64, gradient64_of);
    double sum = 0.0, squares = 0.0, before[SIZE] = {0}, g[SIZE];
    for (int64_t i = 0; i < m->layout.size; i++) {
        o->w[i] = m->start[i];
    }
    straight.combine = o->o.combine;
    straight.rule = o->o.rule;
    o->o.combine = turned ? turned_combine : o->o.combine;
    o->o.rule = turned ? turned_rule : o->o.rule;
    running r = running_new(e->name, json, &o->o);
    for (int step = 0; step < steps; step++) {
        zo_step_report report;
        double along = 0.0;
        memcpy(before, o->w, (size_t)m->layout.size * sizeof *before);
        net_loss64(m, ZO_BATCH_FULL, before, g);
        ck_assert_int_eq(running_step(&r, 1, steps, e->descends_lr * 1e-2, 1e-4, &report), ZO_OK);
        for (int64_t i = 0; i < m->layout.size; i++) {
            along += (o->w[i] - before[i]) * g[i];
        }
        sum += along;
        squares += along * along;
    }
    running_free(&r);
    objective64_free(o);
    double mean = sum / steps, variance = squares / steps - mean * mean;
    return mean / sqrt(variance / (steps - 1));
}

START_TEST(steps_descend)
{
    static net m;
    const zo_estimator *const *list;
    zo_estimator_list(&list);
    const zo_estimator *e = list[_i];
    if (e->step == NULL) {
        return;
    }
    struct special s = special_of(e->name);
    int steps = s.steps > 0 ? s.steps : STEPS;
    net_open(&m);
    double way = slope(&m, e, s.descent, steps, false), back = slope(&m, e, s.descent, steps, true);
    printf("measured: %s %s: descent: <step, gradient> over %d steps is %.1f standard errors from 0, below -4; turned round %.1f\n", e->name,
           s.descent != NULL ? s.descent : "", steps, way, back);
    ck_assert_msg(way < -4.0, "%s: <step, gradient> is %g standard errors from 0", e->name, way);
    ck_assert_msg(back > 0.0, "%s: turned round, <step, gradient> is %g standard errors from 0", e->name, back);
    net_close(&m);
}
END_TEST

/* ---- what released code does otherwise ------------------------------------------------------------------------------------ */

static struct { zo_status (*losses)(zo_objective *, zo_which, const zo_point *, int, double *, zo_err *); double probe[SIZE]; } noted;

static zo_status noting_losses(zo_objective *o, zo_which which, const zo_point *point, int n, double *loss, zo_err *err)
{
    memset(noted.probe, 0, sizeof noted.probe);
    add64(o->self, point[0].term, point[0].n, noted.probe);
    return noted.losses(o, which, point, n, loss, err);
}

/* The released LOZO draws V and U for a probe and U alone for the update, on steps that begin a period: it then goes along another U. */
START_TEST(released_lozo_goes_along_other_draws)
{
    enum { PERIOD = 5, RUN = 20 };
    static net m;
    double most[2][2] = {{0.0, 0.0}, {0.0, 0.0}}, least[2][2] = {{1.0, 1.0}, {1.0, 1.0}}; /* of |cosine|, by mode, by whether V is drawn */
    net_open(&m);
    for (int released = 0; released < 2; released++) {
        objective64 *o = objective64_new(&m.layout, SEED, &m, loss64, gradient64_of);
        for (int64_t i = 0; i < m.layout.size; i++) {
            o->w[i] = m.start[i];
        }
        noted.losses = o->o.losses;
        o->o.losses = noting_losses;
        running r = running_new("lozo", released ? "{\"period\": 5, \"mode\": \"released\"}" : "{\"period\": 5}", &o->o);
        for (int step = 0; step < RUN; step++) {
            zo_step_report report;
            double before[SIZE], dot = 0.0, probe = 0.0, moved = 0.0;
            memcpy(before, o->w, (size_t)m.layout.size * sizeof *before);
            ck_assert_int_eq(running_step(&r, 1, RUN, 1e-3, 1e-3, &report), ZO_OK);
            for (int64_t i = 0; i < m.layout.size; i++) {
                double d = o->w[i] - before[i];
                dot += d * noted.probe[i];
                moved += d * d;
                probe += noted.probe[i] * noted.probe[i];
            }
            double cosine = fabs(dot) / sqrt(moved * probe);
            double *high = &most[released][step % PERIOD == 0], *low = &least[released][step % PERIOD == 0];
            *high = fmax(*high, cosine);
            *low = fmin(*low, cosine);
        }
        running_free(&r);
        objective64_free(o);
    }
    printf("measured: lozo released: deviation: |cosine| of probe and update is at most %.2f where V is drawn, at least %.4f elsewhere; plain "
           "%.4f and %.4f\n", most[1][1], least[1][0], least[0][1], least[0][0]);
    ck_assert(least[0][0] > 0.9999 && least[0][1] > 0.9999 && least[1][0] > 0.9999 && most[1][1] < 0.2);
    net_close(&m);
}
END_TEST

/* ---- estimates ------------------------------------------------------------------------------------------------------------ */

enum { SLOPES = 8, INSIDE = 6, SEEDS = 40000 }; /* INSIDE: of them in block 0, the others in block 1 */
typedef struct plane { zo_layout layout; double slope[SLOPES], w[SLOPES]; int64_t place[SLOPES]; } plane;

static double plane_loss(void *context, zo_which which, const double *w)
{
    (void)which;
    const plane *p = context;
    double sum = 5.0;
    for (int i = 0; i < SLOPES; i++) {
        sum += p->slope[i] * w[p->place[i]];
    }
    return sum;
}

/* What x = (w0 - w1) / lr is in the mean, and E |x|^2: */
typedef enum law {
    PLAIN,  /* z z'G times `c`: c G, and c^2 `more` |G|^2 */
    SIGNED, /* sign(z'G) z: sqrt(2 / pi) G / |G|, and d */
    SMALL,  /* m z (m z)'G, m half of each parameter, the least: m G, and (d' + 2) |m G|^2 */
    CHOSEN, /* the same, m at random with probability c: c G, and (c (1 + (d - 1) c) + 2 c) |G|^2 */
    BLOCKED /* each block by itself: G, and sum (d_b + 2) |G_b|^2 */
} law;

static void plane_gradient(void *context, zo_which which, const double *w, double *g)
{
    (void)which, (void)w;
    const plane *p = context;
    for (int i = 0; i < SLOPES; i++) {
        g[p->place[i]] = p->slope[i];
    }
}

static const struct guess { const char *name, *json; double lr; law law; double c, more; } guesses[] = {
    {"mezo-m", NULL, 1.0, PLAIN, 1.0, SLOPES + 2},
    {"zo-sign", NULL, 1.0, SIGNED, 0.0, 0.0},
    {"meazo", NULL, 1.0, SIGNED, 0.0, 0.0}, /* pg / |pg| */
    {"zo-cons", NULL, 1e-3, PLAIN, 1.0, SLOPES + 2}, /* down a plane the step is always better */
    {"kerzoo", "{\"c\": 2}", 1.0, PLAIN, 2.0, 6.25 * (SLOPES + 2)}, /* E (r K)^2 = 25 / 4 c^2 */
    {"kerzoo", "{\"queries\": 4}", 1.0, PLAIN, 1.0, (6.25 * (SLOPES + 2) + 3.0) / 4.0},
    {"mezo", "{\"estimate\": \"one-sided\"}", 1.0, PLAIN, 1.0, SLOPES + 2},
    {"mezo-bcd", NULL, 1.0, BLOCKED, 1.0, 0.0},
    {"bszo", "{\"k\": 1, \"samples\": 1}", 1.0, PLAIN, 0.5, SLOPES + 2}, /* prior and noise weigh the same */
    {"zo-svrg", NULL, 1.0, PLAIN, 1.0, SLOPES + 2}, /* a full-batch step */
    {"sparse-mezo", "{\"share\": 0.5}", 1.0, SMALL, 0.0, 0.0},
    {"r-mezo", "{\"share\": 0.4}", 1.0, CHOSEN, 0.4, 0.0},
    {"forward-grad", NULL, 1.0, PLAIN, 1.0, SLOPES + 2},
    {"addax", "{\"alpha\": 0.5}", 1.0, PLAIN, 1.0, 0.25 * (SLOPES + 2) + 0.75}, /* |a z z'G + (1 - a) G|^2: a^2 (d + 2) + 2 a (1 - a) + (1 - a)^2 */
    {"hizoo", NULL, 1.0, PLAIN, 1.0, SLOPES + 2}, /* a plane has no curvature, and H is 1 */
};
enum { GUESSES = sizeof guesses / sizeof *guesses };

static void expected(const plane *p, const struct guess *of, double *mean, double *square)
{
    double all = 0.0, part = 0.0, block[2] = {0.0, 0.0};
    for (int i = 0; i < SLOPES; i++) {
        bool small = i < INSIDE ? i < INSIDE / 2 : i < INSIDE + (SLOPES - INSIDE) / 2; /* |w| grows within a parameter */
        double g = p->slope[i];
        all += g * g;
        part += small ? g * g : 0.0;
        block[i >= INSIDE] += g * g;
        mean[i] = of->law == SMALL ? (small ? g : 0.0) : of->law == PLAIN || of->law == CHOSEN ? of->c * g : g;
    }
    for (int i = 0; i < SLOPES && of->law == SIGNED; i++) {
        mean[i] = sqrt(2.0 / M_PI) * p->slope[i] / sqrt(all);
    }
    double d = SLOPES, c = of->c;
    *square = of->law == PLAIN ? c * c * of->more * all : of->law == SIGNED ? d : of->law == SMALL ? (d / 2.0 + 2.0) * part
            : of->law == CHOSEN ? (c * (1.0 + (d - 1.0) * c) + 2.0 * c) * all : (INSIDE + 2.0) * block[0] + (d - INSIDE + 2.0) * block[1];
}

START_TEST(estimates_have_their_closed_forms)
{
    const struct guess *of = &guesses[_i];
    plane p;
    memset(&p, 0, sizeof p);
    zo_layout_add(&p.layout, "a", ZO_PARAM_MATRIX, 2, INSIDE / 2, 0, true);
    zo_layout_add(&p.layout, "b", ZO_PARAM_MATRIX, 1, SLOPES - INSIDE, 1, true);
    double mean[SLOPES], square, sum[SLOPES] = {0.0}, sums[SLOPES] = {0.0}, norm = 0.0, norms = 0.0, worst = 0.0;
    for (int i = 0; i < SLOPES; i++) {
        p.slope[i] = cos(1.0 + 2.0 * i);
        p.w[i] = 0.1 * (i + 1) * (i % 2 == 0 ? 1.0 : -1.0);
        p.place[i] = i < INSIDE ? p.layout.param[0].offset + i : p.layout.param[1].offset + i - INSIDE;
    }
    expected(&p, of, mean, &square);
    for (int k = 0; k < SEEDS; k++) {
        objective64 *o = objective64_new(&p.layout, (uint64_t)k + 1, &p, plane_loss, plane_gradient);
        zo_step_report report;
        double length = 0.0;
        for (int i = 0; i < SLOPES; i++) {
            o->w[p.place[i]] = p.w[i];
        }
        running r = running_new(of->name, of->json, &o->o);
        ck_assert_int_eq(running_step(&r, 1, 1, of->lr, 1e-2, &report), ZO_OK);
        for (int i = 0; i < SLOPES; i++) {
            double x = (p.w[i] - o->w[p.place[i]]) / of->lr;
            sum[i] += x;
            sums[i] += x * x;
            length += x * x;
        }
        norm += length;
        norms += length * length;
        running_free(&r);
        objective64_free(o);
    }
    for (int i = 0; i < SLOPES; i++) {
        double at = sum[i] / SEEDS, error = sqrt((sums[i] / SEEDS - at * at) / SEEDS);
        if (error > 0.0 || at != mean[i]) {
            worst = fmax(worst, fabs(at - mean[i]) / error);
        }
    }
    double at = norm / SEEDS, error = sqrt((norms / SEEDS - at * at) / SEEDS + 1e-20 * at * at);
    printf("measured: %s %s: estimates: means are %.1f standard errors from the closed form at most, E |x|^2 = %.3f +- %.3f (%.3f), within 5\n",
           of->name, of->json != NULL ? of->json : "", worst, at, error, square);
    ck_assert_msg(worst < 5.0, "%s: a mean is %g standard errors from the closed form", of->name, worst);
    ck_assert_msg(fabs(at - square) < 5.0 * error + 1e-6 * square, "%s: E |x|^2 is %g +- %g, the closed form says %g", of->name, at, error, square);
    zo_layout_free(&p.layout);
}
END_TEST

/* ---- stability ------------------------------------------------------------------------------------------------------------ */

enum { BOWL = 6, DRAWS = 40000 };
typedef struct bowl { zo_layout layout; double h[BOWL]; } bowl;

static double bowl_loss(void *context, zo_which which, const double *w)
{
    (void)which;
    const bowl *b = context;
    double sum = 0.0;
    for (int i = 0; i < BOWL; i++) {
        sum += 0.5 * b->h[i] * w[i] * w[i];
    }
    return sum;
}

/* Second moments after a step, from those before: E w_i'^2 = (1 - 2 lr h_i + (k - 1) lr^2 h_i^2) w_i^2 + lr^2 sum_j h_j^2 w_j^2, k = E z^4 (3 of
 * normals, 1 of signs). Returns the largest eigenvalue; its left eigenvector, V, is what a step multiplies by it in the mean: E V.w'^2 = rho V.w^2.
 * */
static double growth(const double *h, double k, double lr, double *v)
{
    double rho = 0.0;
    for (int i = 0; i < BOWL; i++) {
        v[i] = 1.0;
    }
    for (int round = 0; round < 2000; round++) {
        double next[BOWL], sum = 0.0;
        for (int i = 0; i < BOWL; i++) {
            sum += v[i];
        }
        rho = 0.0;
        for (int i = 0; i < BOWL; i++) {
            next[i] = (1.0 - 2.0 * lr * h[i] + (k - 1.0) * lr * lr * h[i] * h[i]) * v[i] + lr * lr * h[i] * h[i] * sum;
            rho = fmax(rho, next[i]);
        }
        for (int i = 0; i < BOWL; i++) {
            v[i] = next[i] / rho;
        }
    }
    return rho;
}

/* The greatest lr of the closed form. */
static double edge_of(const double *h, double k)
{
    double low = 0.0, high = 0.0, sum = 0.0;
    for (int i = 0; i < BOWL; i++) {
        high = fmax(high, h[i]);
        sum += h[i];
    }
    if (k == 1.0) {
        return 2.0 / sum;
    }
    high = 1.0 / high;
    for (int round = 0; round < 200; round++) {
        double lr = (low + high) / 2.0;
        sum = 0.0;
        for (int i = 0; i < BOWL; i++) {
            sum += lr * h[i] / (2.0 * (1.0 - lr * h[i]));
        }
        *(sum < 1.0 ? &low : &high) = lr;
    }
    return low;
}

static const struct basin { const char *name, *json; double kurtosis, h[BOWL]; } basins[] = {
    {"mezo", NULL, 3.0, {1, 1, 1, 1, 1, 1}},
    {"mezo", NULL, 3.0, {0.1, 0.3, 0.5, 1, 2, 4}},
    {"mezo", "{\"draw\": \"rademacher\"}", 1.0, {0.1, 0.3, 0.5, 1, 2, 4}},
    {"lezo", "{\"sparsity\": 0}", 3.0, {0.1, 0.3, 0.5, 1, 2, 4}},
};
enum { BASINS = sizeof basins / sizeof *basins };

START_TEST(stable_up_to_the_edge)
{
    const struct basin *of = &basins[_i];
    bowl b;
    memset(&b, 0, sizeof b);
    memcpy(b.h, of->h, sizeof b.h);
    zo_layout_add(&b.layout, "w", ZO_PARAM_MATRIX, 2, BOWL / 2, 0, true);
    double edge = edge_of(b.h, of->kurtosis), v[BOWL], mean[2], error[2];
    ck_assert_double_eq_tol(growth(b.h, of->kurtosis, edge, v), 1.0, 1e-9);
    if (of->h[0] == of->h[BOWL - 1]) {
        ck_assert_double_eq_tol(edge, 2.0 / (BOWL + 2), 1e-12);
    }
    for (int side = 0; side < 2; side++) {
        double lr = edge * (side == 0 ? 0.75 : 1.25), rho = growth(b.h, of->kurtosis, lr, v), sum = 0.0, squares = 0.0;
        for (int k = 0; k < DRAWS; k++) {
            objective64 *o = objective64_new(&b.layout, (uint64_t)k + 1, &b, bowl_loss, NULL);
            double before = 0.0, after = 0.0;
            zo_step_report report;
            for (int i = 0; i < BOWL; i++) {
                o->w[i] = 1.0 + 0.2 * i;
                before += v[i] * o->w[i] * o->w[i];
            }
            running r = running_new(of->name, of->json, &o->o);
            ck_assert_int_eq(running_step(&r, 1, 1, lr, 1e-3, &report), ZO_OK);
            for (int i = 0; i < BOWL; i++) {
                after += v[i] * o->w[i] * o->w[i];
            }
            sum += after / before;
            squares += after / before * (after / before);
            running_free(&r);
            objective64_free(o);
        }
        mean[side] = sum / DRAWS;
        error[side] = sqrt((squares / DRAWS - mean[side] * mean[side]) / DRAWS);
        ck_assert_msg(fabs(mean[side] - rho) < 5.0 * error[side], "%s: a step multiplies the mean square by %g +- %g, the closed form says %g",
                      of->name, mean[side], error[side], rho);
    }
    printf("measured: %s %s: stability: the edge is at lr %.4f; a step at 0.75 and 1.25 of it multiplies the mean square by %.4f +- %.4f and "
           "%.4f +- %.4f, apart from 1 by 4 standard errors\n", of->name, of->json != NULL ? of->json : "", edge, mean[0], error[0], mean[1],
           error[1]);
    ck_assert(mean[0] < 1.0 - 4.0 * error[0] && mean[1] > 1.0 + 4.0 * error[1]);
    zo_layout_free(&b.layout);
}
END_TEST

/* ---- Langevin dynamics ---------------------------------------------------------------------------------------------------- */

enum { CHAINS = 10000, BURN = 2000, APART = 300, TAKEN = 10 };

/* L = 1/2 |w|^2: exp(-L) is a standard normal for each number, a chain of its own. */
static double unit_loss(void *context, zo_which which, const double *w)
{
    (void)context, (void)which, (void)w;
    return 0.0;
}

static void unit_gradient(void *context, zo_which which, const double *w, double *g)
{
    (void)which;
    const zo_layout *layout = context;
    memcpy(g, w, (size_t)layout->size * sizeof *g);
}

/* What Q adds to the variance of a step: rounding at random makes d^2 / 6 in the mean where the numbers are spread over the cells. The chain
 * w <- (1 - lr) w + noise of variance s has variance s / (2 lr - lr^2). At the paper's steps of 1/8 and lr 0.0019 that is a deviation of 1.30 for 1.00. */
START_TEST(langevin_has_the_variance_of_its_temperature)
{
    static const struct { const char *json; double lr, step, adds, temperature; } of[] = {
        {"{\"temperature\": 1}", 1.9e-3, 0.0, 0.0, 1.0},
        {"{\"temperature\": 1, \"quantiser\": \"naive\"}", 1.9e-3, 0.125, 1.0 / 6.0, 1.0},
        {"{\"temperature\": 1, \"quantiser\": \"corrected\"}", 1.9e-3, 0.125, 0.0, 1.0}, /* noise below that of a half-way number */
        {"{\"temperature\": 1, \"quantiser\": \"naive\"}", 1e-2, 0.125, 1.0 / 6.0, 1.0},
        {"{\"temperature\": 1, \"quantiser\": \"corrected\"}", 1e-2, 0.125, 0.0, 1.0},   /* above it */
        {"{\"temperature\": 0.25, \"quantiser\": \"corrected\", \"fraction\": 5}", 1e-2, 0.03125, 0.0, 0.25},
    };
    zo_layout layout = {0};
    zo_layout_add(&layout, "w", ZO_PARAM_MATRIX, CHAINS / 100, 100, 0, true);
    objective64 *o = objective64_new(&layout, 17, &layout, unit_loss, unit_gradient);
    running r = running_new("sgld", of[_i].json, &o->o);
    double sum = 0.0, squares = 0.0, lr = of[_i].lr, d = of[_i].step;
    for (int step = 0; step < BURN + APART * (TAKEN - 1) + 1; step++) {
        zo_step_report report;
        ck_assert_int_eq(running_step(&r, 1, 0, lr, 0.0, &report), ZO_OK);
        bool taken = step >= BURN && (step - BURN) % APART == 0;
        for (int i = 0; i < CHAINS && taken; i++) {
            ck_assert(d == 0.0 || o->w[i] / d == floor(o->w[i] / d));
            sum += o->w[i];
            squares += o->w[i] * o->w[i];
        }
    }
    double n = (double)CHAINS * TAKEN, mean = sum / n, deviation = sqrt(squares / n - mean * mean);
    double want = sqrt((2.0 * lr * of[_i].temperature + of[_i].adds * d * d) / (2.0 * lr - lr * lr));
    printf("measured: sgld %s: langevin: lr %g, %.0f draws: mean %.4f, deviation %.4f, closed form %.4f, within 1 %%\n", of[_i].json, lr, n, mean, deviation, want);
    ck_assert_msg(fabs(deviation - want) < 0.01 * want && fabs(mean) < 0.02 * want, "%s: mean %g, deviation %g, the closed form says %g", of[_i].json, mean,
                  deviation, want);
    running_free(&r);
    objective64_free(o);
    zo_layout_free(&layout);
}
END_TEST

/* The rule itself, a step from one weight: mean w - lr m, and the variance that was asked for, or that of rounding where this is more. */
START_TEST(corrected_rounding_has_mean_and_variance)
{
    enum { MANY = 1 << 18 };
    static float draws[2][MANY];
    const float d = 0.125f;
    zo_normals((zo_stream){.seed = 5, .role = ZO_ROLE_Z}, 0, MANY, draws[0]);
    zo_normals((zo_stream){.seed = 6, .role = ZO_ROLE_Z}, 0, MANY, draws[1]);
    double most[2] = {0.0, 0.0};
    for (int k = 0; k < 11 * 6; k++) {
        double at = k % 11 / 10.0, asked = (k / 11) * 0.15; /* mu between two numbers of the grid, the variance in d^2: 0 to 0.75, d^2 / 4 between */
        zo_rule_args args = {.lr = 1.0f, .eps = d, .gamma = (float)(asked * d * d), .floor = -16.0f};
        double sum = 0.0, squares = 0.0, mu = (double)(float)(-3.0 * d + at * d), least = at * (1.0 - at);
        for (int i = 0; i < MANY; i++) {
            float w = 0.0f, m = (float)-mu;
            zo_rule_corrected(&args, 0.0f, &w, &draws[0][i], &m, &draws[1][i]);
            sum += (w - mu) / d;
            squares += (w - mu) / d * ((w - mu) / d);
        }
        double mean = sum / MANY, variance = squares / MANY - mean * mean, want = fmax(asked, least);
        double error = sqrt((want + 1e-9) / MANY), error2 = (want + 0.3) / sqrt(MANY);
        most[0] = fmax(most[0], fabs(mean) / error);
        most[1] = fmax(most[1], fabs(variance - want) / error2);
        ck_assert_msg(fabs(mean) < 5.0 * error + 1e-6 && fabs(variance - want) < 5.0 * error2, "mu %g, variance %g: mean %g, variance %g, expected %g", at, asked, mean,
                      variance, want);
    }
    printf("measured: corrected rounding: means and variances are %.1f and %.1f standard errors off at most, within 5\n", most[0], most[1]);
}
END_TEST

START_TEST(the_list_has_these)
{
    static oracle_lines lines, edges;
    lines = (oracle_lines){.oracle = "closed form", .within = "5 standard errors"};
    edges = (oracle_lines){.oracle = "edge of stability", .within = "5 standard errors"};
    for (int k = 0; k < GUESSES; k++) {
        oracle_add(&lines, guesses[k].name, guesses[k].json);
    }
    oracle_end(&lines);
    for (int k = 0; k < BASINS; k++) {
        oracle_add(&edges, basins[k].name, basins[k].json);
    }
    oracle_end(&edges);
}
END_TEST

int main(void)
{
    const zo_estimator *const *list;
    int n = zo_estimator_list(&list);
    Suite *suite = suite_create("oracles");
    TCase *tests = tcase_create("oracles");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, lr_0_leaves_the_weights, 0, n);
    tcase_add_loop_test(tests, no_step_allocates, 0, n);
    tcase_add_loop_test(tests, extremes_stay_finite, 0, n);
    tcase_add_loop_test(tests, steps_descend, 0, n);
    tcase_add_test(tests, released_lozo_goes_along_other_draws);
    tcase_add_loop_test(tests, estimates_have_their_closed_forms, 0, GUESSES);
    tcase_add_loop_test(tests, stable_up_to_the_edge, 0, BASINS);
    tcase_add_loop_test(tests, langevin_has_the_variance_of_its_temperature, 0, 6);
    tcase_add_test(tests, corrected_rounding_has_mean_and_variance);
    suite_add_tcase(suite, tests);
    tests = tcase_create("table");
    tcase_add_test(tests, the_list_has_these);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
