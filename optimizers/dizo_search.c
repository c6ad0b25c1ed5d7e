/* dizo_search.c: DiZO's search: two-point estimates along one number a matrix. See dizo.c. */
#include <math.h>

#include "optimizers/dizo.h"

/* The weights to where distances are those found and `way` times what is drawn, of a number of the anchored; there the loss (NULL = not wanted). */
static zo_status go(zo_dizo *s, zo_objective *o, double way, double *loss, zo_err *err)
{
    for (int l = 0; l < s->n; l++) {
        const zo_dizo_matrix *x = &s->x[l];
        s->times[l] = x->norm > 0.0 ? (x->distance + way * x->draw) / x->norm : 1.0;
    }
    zo_point here = {.n = 0};
    zo_status status = o->place(o, s->at, s->d, s->times, err);
    return status == ZO_OK && loss != NULL ? o->losses(o, ZO_BATCH_CURRENT, &here, 1, loss, err) : status;
}

/* How far the weights are from the anchor. */
static zo_status measure(zo_dizo *s, zo_objective *o, zo_err *err)
{
    zo_term from[2] = {zo_set_term(ZO_SET_WEIGHTS, 1.0), zo_set_term(s->at, -1.0)};
    zo_status status = o->combine(o, s->d, 0.0, from, s->anchor == ZO_DIZO_ZERO ? 1 : 2, err);
    status = status == ZO_OK ? o->norms(o, s->d, s->times, err) : status;
    for (int l = 0; l < s->n; l++) {
        s->x[l].norm = s->x[l].distance = s->times[l];
    }
    return status;
}

zo_status zo_dizo_search(zo_dizo *s, zo_objective *o, const zo_step_context *c, int64_t turn, zo_step_report *r, zo_err *err)
{
    double plus, minus;
    zo_status status = turn == 0 ? measure(s, o, err) : ZO_OK;
    for (int l = 0; l < s->n; l++) {
        float u;
        double most = s->tau / s->radius * s->x[l].norm;
        zo_normals((zo_stream){.seed = o->seed, .tensor = (uint32_t)l, .step = (uint32_t)c->step, .role = ZO_ROLE_RADIUS}, 0, 1, &u);
        s->x[l].draw = fmax(-most, fmin((double)u, most));
    }
    status = status == ZO_OK ? go(s, o, s->radius, &plus, err) : status;
    status = status == ZO_OK ? go(s, o, -s->radius, &minus, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.loss = plus, .projected = (plus - minus) / (2.0 * s->radius), .lr = c->lr, .paper_queries = NAN};
    for (int l = 0; l < s->n; l++) {
        zo_dizo_matrix *x = &s->x[l];
        double to = x->distance - s->rate * x->norm * r->projected * x->draw;
        x->distance = fmax((1.0 - s->tau) * x->norm, fmin(to, (1.0 + s->tau) * x->norm));
        s->times[l] = 1.0;
    }
    return turn == s->iterations - 1 ? go(s, o, 0.0, NULL, err) : o->place(o, s->at, s->d, s->times, err);
}
