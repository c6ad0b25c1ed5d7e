/* rules.c: gradients, elementwise rules over weights and sets, masks. */
#include <math.h>

#include "core/clock.h"
#include "optimizers/engine/engine_state.h"
#include "optimizers/engine/magnitude.h"

/* What gradients need. */
static zo_status check_gradients(const zo_engine *e, bool there, zo_err *err)
{
    if (!there) {
        return zo_fail(err, ZO_EUNSUPPORTED, "this run has no gradients to give to a first-order optimizer");
    }
    if (zo_engine_is_logged(e)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "gradients are made at weights that are updated where they stand: use \"accumulate\": \"weights\"");
    }
    zo_status status = zo_engine_has_masters(e) ? zo_backend_has(e->spec.be, ZO_SLOTS_RULES, err) : ZO_OK;
    status = status == ZO_OK && zo_engine_has_masters(e) ? zo_backend_has(e->spec.be, ZO_SLOTS_SWEEPS, err) : status;
    return status == ZO_OK ? zo_backend_has(e->spec.be, ZO_SLOTS_BACKWARD, err) : status;
}

zo_status zo_engine_gradient(zo_objective *o, zo_which which, zo_set set, double *loss, double *norm, zo_err *err)
{
    zo_engine *e = o->self;
    zo_backend *be = e->spec.be;
    if (check_gradients(e, e->spec.io.gradient != NULL, err) != ZO_OK || (norm != NULL && zo_backend_has(be, ZO_SLOTS_NORMS, err) != ZO_OK)) {
        return ZO_EUNSUPPORTED;
    }
    zo_engine_settle_weights(e);
    double start = zo_now();
    zo_store *grad = zo_engine_operand(e, set, ZO_SHAPE_WHOLE);
    be->zero(be, grad->data, (size_t)grad->size * sizeof(float));
    zo_part_add(ZO_PART_BACKWARD, zo_now() - start);
    zo_status status = e->spec.io.gradient(e->spec.io.context, which, grad, loss, err);
    if (status != ZO_OK) {
        return status;
    }
    status = zo_engine_check_losses(loss, 1, err);
    if (status == ZO_OK && norm != NULL) {
        *norm = sqrt(be->dot(be, grad, grad));
        if (!isfinite(*norm)) {
            return zo_fail(err, ZO_EDIVERGED, "the gradient's norm is %g: the run has diverged; a smaller lr may help", *norm);
        }
    }
    return status;
}

/* A step in the backward pass. */
typedef struct descent {
    zo_sink sink;
    zo_engine *e;
    zo_rule_kind rule;
    const zo_rule_args *args;
    zo_store *m, *v; /* NULL = the rule has no use for it */
} descent;

/* The same of the weights, or of their masters. */
static zo_store part_of_weights(const zo_layout *alone, const zo_store *all, int64_t offset)
{
    zo_store part = *all;
    part.layout = alone;
    part.size = alone->size;
    part.data = all->data != NULL ? all->data + offset : NULL;
    part.half = all->half != NULL ? all->half + offset : NULL;
    return part;
}

static void take_gradient(zo_sink *sink, int param)
{
    const descent *d = (const descent *)sink; /* its first member */
    zo_engine *e = d->e;
    zo_backend *be = e->spec.be;
    zo_param p = e->spec.weights->layout->param[param];
    zo_layout alone = {.n = 1, .param = &p, .size = (int64_t)zo_round_up((uint64_t)(p.rows * p.cols), 16), .trained_size = p.rows * p.cols,
                       .decays_whole = e->parts.layout[ZO_LAYOUT_WHOLE].decays_whole};
    zo_store w = part_of_weights(&alone, zo_engine_movable(e), p.offset), stored = part_of_weights(&alone, e->spec.weights, p.offset);
    zo_store g = zo_engine_part_of(&alone, zo_set_values(sink->room, param));
    zo_store m = zo_engine_part_of(&alone, d->m != NULL ? d->m->data + p.offset : NULL), v = zo_engine_part_of(&alone, d->v != NULL ? d->v->data + p.offset : NULL);
    p.offset = 0;
    be->rule(be, d->rule, d->args, &w, &g, d->m != NULL ? &m : NULL, d->v != NULL ? &v : NULL);
    if (e->masters != NULL) {
        zo_engine_round_to(be, &stored, &w);
    }
    be->zero(be, g.data, (size_t)alone.trained_size * sizeof(float));
}

zo_status zo_engine_descend(zo_objective *o, zo_which which, zo_rule_kind rule, const zo_rule_args *args, const zo_operands *x, double *loss, zo_err *err)
{
    zo_engine *e = o->self;
    ZO_CHECK(x->over == ZO_SET_WEIGHTS && x->g == 0 && x->terms == 0 && x->m_numbers == NULL && !x->floor_by_size,
             "a rule in the backward pass is of the weights, its gradient and moments that are sets");
    if (check_gradients(e, e->spec.io.descend != NULL, err) != ZO_OK || zo_backend_has(e->spec.be, ZO_SLOTS_RULES, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    zo_engine_settle_weights(e);
    zo_engine_decay_as_wished(e);
    if (e->gradients == NULL) {
        e->gradients = zo_store_new_places(e->spec.be, e->spec.weights->layout, ZO_TAG_GRADS);
    }
    zo_engine_movable(e);
    descent d = {.sink = {.room = e->gradients, .take = take_gradient}, .e = e, .rule = rule, .args = args, .m = x->m != 0 ? zo_engine_operand(e, x->m, ZO_SHAPE_WHOLE) : NULL,
                 .v = x->v != 0 ? zo_engine_operand(e, x->v, ZO_SHAPE_WHOLE) : NULL};
    zo_status status = e->spec.io.descend(e->spec.io.context, which, &d.sink, loss, err);
    return status == ZO_OK ? zo_engine_check_losses(loss, 1, err) : status;
}

/* A rule over one parameter. */
static void rule_alone(zo_engine *e, zo_rule_kind rule, const zo_rule_args *args, const zo_store *w, int param, zo_store *m, zo_store *v)
{
    zo_param p = w->layout->param[param];
    zo_layout alone = {.n = 1, .param = &p, .size = w->layout->size, .trained_size = p.rows * p.cols, .decays_whole = w->layout->decays_whole};
    zo_store of = *w;
    of.layout = &alone;
    e->spec.be->rule(e->spec.be, rule, args, &of, NULL, m, v);
}

static void rule_scales(zo_engine *e, zo_rule_kind rule, const zo_rule_args *args, const zo_store *w)
{
    for (int t = 0; t < w->layout->n; t++) {
        if (w->layout->param[t].kind == ZO_PARAM_SCALES && !w->layout->param[t].frozen) {
            rule_alone(e, rule, args, w, t, NULL, NULL);
        }
    }
}

/* A floor for each. */
static void rule_by_size(zo_engine *e, zo_rule_kind rule, const zo_rule_args *args, const zo_store *w, zo_store *m, zo_store *v)
{
    for (int t = 0; t < w->layout->n; t++) {
        const zo_param *p = &w->layout->param[t];
        zo_rule_args own = *args;
        own.floor = (float)((double)args->floor / (2.0 * sqrt((double)(p->rows * p->cols))));
        if (!p->frozen) {
            rule_alone(e, rule, &own, w, t, m, v);
        }
    }
}

zo_status zo_engine_rule(zo_objective *o, zo_rule_kind rule, const zo_rule_args *args, const zo_operands *x, zo_err *err)
{
    zo_engine *e = o->self;
    zo_backend *be = e->spec.be;
    zo_slots slots = x->m_numbers != NULL ? ZO_SLOTS_LOWRANK_RULES : x->terms > 0 ? ZO_SLOTS_DRAWN_RULES : ZO_SLOTS_RULES;
    if (zo_backend_has(be, slots, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    if (zo_engine_is_logged(e)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "an elementwise rule makes no sum of directions, which is all that accumulate \"log\" keeps: use "
                       "\"accumulate\": \"weights\"");
    }
    if (zo_engine_check_terms(e, x->term, x->terms, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    if (x->over == ZO_SET_WEIGHTS) {
        zo_engine_settle_weights(e);
    }
    if (x->m_numbers != NULL) {
        ZO_CHECK(e->factors != NULL && rule == ZO_RULE_QUOTIENT, "moments of low rank need factors, and a rule that does not write them");
        be->rule_lowrank(be, rule, args, zo_engine_movable(e), e->factors, x->m_numbers, x->v_numbers);
        zo_engine_round_masters(e);
        return ZO_OK;
    }
    zo_engine_decay_as_wished(e);
    zo_shape shape = x->over != ZO_SET_WEIGHTS ? zo_engine_set_of(e, x->over)->spec.shape : ZO_SHAPE_WHOLE;
    ZO_CHECK(shape != ZO_SHAPE_LEFT && shape != ZO_SHAPE_RIGHT && (shape == ZO_SHAPE_WHOLE || x->terms == 0), "a rule over factors, or over cores of what is drawn");
    zo_store w = x->over != ZO_SET_WEIGHTS ? *zo_engine_operand(e, x->over, shape) : *zo_engine_movable(e);
    w.layout = shape == ZO_SHAPE_WHOLE ? &e->parts.layout[ZO_LAYOUT_WHOLE] : w.layout;
    const zo_store *g = x->g != 0 ? zo_engine_summed(e, x->g, shape) : NULL;
    zo_store *m = x->m != 0 ? zo_engine_operand(e, x->m, shape) : NULL, *v = x->v != 0 ? zo_engine_operand(e, x->v, shape) : NULL;
    if (x->terms > 0) {
        for (int i = 0; i < x->terms; i++) {
            ZO_CHECK(x->term[i].dir.kind == ZO_DIR_DENSE && zo_rule_draws(rule), "a rule's operand is drawn on the way of dense terms, in some rules");
        }
        ZO_CHECK(!zo_rule_pairs(rule) || (x->terms == 2 && v == NULL), "%d terms of a rule that takes two, one for g and one for v", x->terms);
        be->rule_drawn(be, rule, args, &w, zo_engine_resolve_terms(e, x->term, x->terms), x->terms, m, v);
    } else if (x->of_scales) {
        ZO_CHECK(x->over == ZO_SET_WEIGHTS && x->g == 0 && x->m == 0 && x->v == 0, "a rule over scales reads nothing else");
        rule_scales(e, rule, args, &w);
    } else if (x->floor_by_size) {
        rule_by_size(e, rule, args, &w, m, v);
    } else {
        be->rule(be, rule, args, &w, g, m, v);
    }
    if (x->over == ZO_SET_WEIGHTS) {
        zo_engine_round_masters(e);
    }
    return ZO_OK;
}

zo_status zo_engine_mask(zo_objective *o, zo_set set, double share, bool anew, zo_err *err)
{
    zo_engine *e = o->self;
    if (zo_backend_has(e->spec.be, ZO_SLOTS_RULES, err) != ZO_OK || zo_engine_check_set_in_points(e, set, err) != ZO_OK || zo_engine_check_no_masters(e, "a mask", err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    const zo_layout *layout = e->spec.weights->layout;
    zo_engine_settle_weights(e);
    zo_store *mask = zo_engine_operand(e, set, ZO_SHAPE_WHOLE);
    zo_opened *s = zo_engine_set_of(e, set);
    ZO_CHECK(anew || s->threshold != NULL, "the first mask of the set \"%s\" finds its thresholds", s->spec.name);
    if (s->threshold == NULL) {
        s->threshold = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)layout->n * sizeof *s->threshold);
    }
    for (int t = 0; t < layout->n; t++) {
        if (!layout->param[t].frozen) {
            double n = (double)(layout->param[t].rows * layout->param[t].cols);
            s->threshold[t] = anew ? zo_magnitude_at(e->spec.be, e->spec.weights, t, (int64_t)ceil(share * n)) : s->threshold[t];
            rule_alone(e, ZO_RULE_SMALL, &(zo_rule_args){.eps = s->threshold[t]}, e->spec.weights, t, mask, NULL);
        }
    }
    return ZO_OK;
}
