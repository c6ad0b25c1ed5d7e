/* mezo_svrg_steps.c: the steps of MeZO-SVRG (arXiv 2404.08080, Algorithm 1) in its three modes; see mezo_svrg.h. */
#include "optimizers/mezo_svrg.h"

/* w += coef * direction, remembered where the anchor is replayed. */
static zo_status move(svrg *s, zo_objective *o, const zo_term *term, int n, zo_err *err)
{
    for (int i = 0; i < n && s->moved != NULL; i++) {
        int at = 0;
        while (at < s->nmoved && (s->moved[at].dir.step != term[i].dir.step || s->moved[at].dir.query != term[i].dir.query)) {
            at++;
        }
        if (at == s->nmoved) {
            s->moved[s->nmoved++] = (zo_term){.dir = term[i].dir};
        }
        s->moved[at].coef += term[i].coef;
    }
    return o->combine(o, ZO_SET_WEIGHTS, 1.0, term, n, err);
}

/* -lr * g */
static zo_term along_full(const svrg *s, double lr)
{
    return s->mode == SVRG_REPLAY ? (zo_term){.dir = s->full.dir, .coef = -lr * s->full.coef} : zo_set_term(s->gradient, -lr);
}

zo_status svrg_full_step(svrg *s, zo_objective *o, const zo_step_context *c, zo_probe probe[2], zo_err *err)
{
    probe[0] = (zo_probe){.dir = {zo_dense(o, s->draw, c->step, 0)}, .ndirs = 1};
    zo_status status = zo_spsa(o, ZO_BATCH_FULL, c->eps, probe, 1, err);
    if (status != ZO_OK) {
        return status;
    }
    s->full = (zo_term){.dir = probe->dir[0], .coef = probe->projected};
    s->nmoved = 0;
    if (s->mode == SVRG_PAPER) {
        zo_term here = zo_set_term(ZO_SET_WEIGHTS, 1.0);
        status = o->combine(o, s->anchor, 0.0, &here, 1, err);
    }
    if (s->mode != SVRG_REPLAY && status == ZO_OK) {
        status = o->combine(o, s->gradient, 0.0, &s->full, 1, err);
    }
    zo_term term = along_full(s, s->at_full);
    return status == ZO_OK ? move(s, o, &term, 1, err) : status;
}

/* Both estimates over one batch, at the weights and at the anchor. */
static zo_status mini_step_both(svrg *s, zo_objective *o, const zo_step_context *c, zo_probe probe[2], zo_err *err)
{
    for (int i = 0; i < 2; i++) {
        probe[i] = (zo_probe){.dir = {zo_dense(o, s->draw, c->step, s->z == SVRG_Z_FRESH ? i : 0)}, .ndirs = 1};
    }
    if (s->mode == SVRG_PAPER) {
        probe[1].base = s->anchor;
    } else {
        for (int i = 0; i < s->nmoved; i++) { /* weights - moved, in place and back */
            s->moved[i].coef = -s->moved[i].coef;
        }
        probe[1].centre = s->moved;
        probe[1].ncentre = s->nmoved;
    }
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, probe, 2, err);
    for (int i = 0; s->mode == SVRG_REPLAY && i < s->nmoved; i++) {
        s->moved[i].coef = -s->moved[i].coef;
    }
    if (status != ZO_OK) {
        return status;
    }
    double here = -s->at_mini * probe[0].projected, there = s->at_mini * probe[1].projected;
    zo_term term[3] = {{.dir = probe[0].dir[0], .coef = here}, {.dir = probe[1].dir[0], .coef = there}};
    int n = 2;
    if (s->z == SVRG_Z_SHARED) {
        term[0].coef += there;
        n = 1;
    }
    term[n++] = along_full(s, s->at_mini);
    return move(s, o, term, n, err);
}

/* The released code's mini-batch step: each estimate is made and applied before the next. */
static zo_status mini_step_released(svrg *s, zo_objective *o, const zo_step_context *c, zo_probe probe[2], zo_err *err)
{
    for (int i = 0; i < 2; i++) {
        probe[i] = (zo_probe){.dir = {zo_dense(o, s->draw, c->step, i)}, .ndirs = 1};
        zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe[i], 1, err);
        zo_term term[2] = {{.dir = probe[i].dir[0], .coef = (i == 0 ? -s->at_mini : s->at_mini) * probe[i].projected}, along_full(s, s->at_mini)};
        if (status == ZO_OK) {
            status = o->combine(o, ZO_SET_WEIGHTS, 1.0, term, i == 0 ? 1 : 2, err); /* g with the second */
        }
        if (status != ZO_OK) {
            return status;
        }
    }
    return ZO_OK;
}

zo_status svrg_mini_step(svrg *s, zo_objective *o, const zo_step_context *c, zo_probe probe[2], zo_err *err)
{
    return s->mode == SVRG_RELEASED ? mini_step_released(s, o, c, probe, err) : mini_step_both(s, o, c, probe, err);
}
