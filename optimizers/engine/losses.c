/* losses.c: points become forwards in one of three ways (engine.h). */
#include <math.h>

#include "core/clock.h"
#include "optimizers/engine/engine_state.h"

zo_status zo_engine_check_losses(const double *loss, int n, zo_err *err)
{
    for (int p = 0; p < n; p++) {
        if (!isfinite(loss[p])) {
            return zo_fail(err, ZO_EDIVERGED, "the loss at probe %d of %d is %g: the run has diverged; a smaller lr or eps may help",
                           p + 1, n, loss[p]);
        }
    }
    return ZO_OK;
}

/* A set that points stand on: written, and not the weights. */
static zo_opened *base_of(const zo_engine *e, zo_set base)
{
    zo_opened *s = zo_engine_set_of(e, base);
    ZO_CHECK(s->part == NULL && s->spec.copy && (s->store != NULL || s->mark.coef != NULL), "a point at the set \"%s\", which holds no copy of the weights", s->spec.name);
    return s;
}

/* The stored arena walks from point to point. */
static zo_status losses_inplace(zo_engine *e, zo_which which, const zo_point *point, int n, double *loss, zo_err *err)
{
    zo_touched touched = {0};
    double start = zo_now();
    if (e->spec.io.touched != NULL) {
        e->spec.io.touched(e->spec.io.context, which, &touched);
    }
    zo_part_add(ZO_PART_FORM, zo_now() - start);
    zo_engine_movable(e);
    e->probe_terms = point[0].base == ZO_SET_WEIGHTS && point[0].n <= ZO_PROBE_TERMS ? point[0].n : 0;
    for (int i = 0; i < e->probe_terms; i++) {
        e->probe[i] = point[0].term[i];
    }
    for (int p = 0; p < n; p++) {
        zo_opened *copy = point[p].base == ZO_SET_WEIGHTS ? NULL : base_of(e, point[p].base);
        zo_moves *moves = copy == NULL ? &e->weights : &copy->moves;
        const zo_term *term = zo_engine_resolve_terms(e, point[p].term, point[p].n);
        start = zo_now();
        zo_moves_probe(moves, term, point[p].n, &touched);
        zo_part_add(ZO_PART_FORM, p == 0 ? zo_now() - start : 0.0);
        zo_engine_flush(e, moves);
        const zo_store *slot = copy == NULL ? e->spec.weights : copy->store;
        zo_view view = zo_view_stored(&slot);
        zo_status status = e->spec.io.losses(e->spec.io.context, which, &view, &loss[p], err);
        if (status != ZO_OK) {
            return status;
        }
    }
    return ZO_OK;
}

void zo_engine_reserve_dirs(zo_engine *e, int n)
{
    if (n > e->dir_room) {
        e->dir_room = n < 4 ? 4 : n > 2 * e->dir_room ? n : 2 * e->dir_room;
        e->dir = zo_realloc(e->dir, ZO_HOST, ZO_TAG_OTHER, (size_t)e->dir_room * sizeof *e->dir);
    }
}

void zo_engine_reserve_coefs(zo_engine *e, int64_t n)
{
    if (n > e->coef_room) {
        e->coef_room = n;
        e->coef = zo_realloc(e->coef, ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *e->coef);
    }
}

/* The index of `dir` in the pass's list, appended where it is new. */
static int view_dir(zo_engine *e, zo_view *view, const zo_dir *dir)
{
    for (int d = 0; d < view->ndirs; d++) {
        if (zo_dir_same(&e->dir[d], dir)) {
            return d;
        }
    }
    zo_engine_reserve_dirs(e, view->ndirs + 1);
    e->dir[view->ndirs] = zo_engine_resolve(e, dir);
    return view->ndirs++;
}

int zo_engine_log_dirs(zo_engine *e, zo_view *view)
{
    for (int64_t i = 0; e->side != NULL && i < e->objective.ncoef; i++) {
        e->side_sum[i] = (float)e->side[i];
    }
    zo_engine_reserve_dirs(e, e->log.n + 1 + e->own.sums);
    for (int d = 0; d < e->log.n; d++) {
        e->dir[d] = e->log.term[d].dir;
    }
    view->ndirs = e->log.n;
    view->rest = e->rest;
    view->rest_of = e->rest_of;
    if (e->side != NULL && e->spec.realisation != ZO_SIDEPATH && e->objective.ncoef > 0) {
        e->dir[view->ndirs++] = (zo_dir){.kind = ZO_DIR_SPAN, .span = e->side_sum};
    }
    for (int k = 0; k < e->own.sums; k++) { /* no direction of an estimator has that query */
        const zo_own_sum *sum = &e->own.sum[k];
        e->dir[view->ndirs++] = (zo_dir){.kind = ZO_DIR_FACTORS, .query = UINT32_MAX, .period = (uint32_t)k,
                                         .own = {.left = sum->left->data, .right = sum->right->data}};
    }
    return view->ndirs;
}

double zo_engine_log_coef(const zo_engine *e, zo_set base, int d)
{
    return d >= e->log.n ? 1.0 : base == ZO_SET_WEIGHTS ? e->log.term[d].coef : zo_log_mark_coef(&base_of(e, base)->mark, d);
}

/* The direction that a pass runs beside the weights: of those with factors of their own there is one at a time. */
static void lend_factors(zo_engine *e, const zo_dir *dir)
{
    zo_factors *f = e->factors;
    zo_dir d = zo_engine_resolve(e, dir);
    for (int t = 0; t < f->layout->n; t++) {
        f->u[t] = f->rank[t] > 0 ? (float *)d.own.left + f->left_at[t] : NULL;
        f->v[t] = f->rank[t] > 0 ? (float *)d.own.right + f->right_at[t] : NULL;
    }
}

/* One pass over n <= most_points points: nothing is written, each layer forms what it needs. */
static zo_status losses_pass(zo_engine *e, zo_which which, const zo_point *point, int n, double *loss, zo_err *err)
{
    bool side = e->spec.realisation == ZO_SIDEPATH;
    int64_t ncoef = e->objective.ncoef;
    for (int p = 0; p < n; p++) {
        zo_engine_resolve_terms(e, point[p].term, point[p].n); /* so that what is drawn for it counts once */
    }
    double start = zo_now();
    zo_view view = {.npoints = n, .base = e->base, .factors = e->factors};
    int logged = zo_engine_is_logged(e) ? zo_engine_log_dirs(e, &view) : 0;
    for (int p = 0; p < n; p++) {
        const zo_opened *copy = point[p].base == ZO_SET_WEIGHTS ? NULL : base_of(e, point[p].base);
        e->base[p] = copy == NULL || zo_engine_is_logged(e) ? e->spec.weights : copy->store;
        for (int i = 0; i < point[p].n; i++) {
            const zo_dir *dir = &point[p].term[i].dir;
            if (side && dir->kind == ZO_DIR_DENSE) {
                return zo_fail(err, ZO_EUNSUPPORTED, "realisation \"sidepath\" runs low-rank directions only, and this optimizer asks "
                               "for a dense one: use \"streamed\" or \"inplace\"");
            }
            if (!side || !zo_dir_is_lowrank(dir->kind)) {
                view_dir(e, &view, dir);
            } else if (zo_dir_has_factors(dir->kind)) {
                lend_factors(e, dir);
            }
        }
    }
    zo_engine_reserve_coefs(e, (int64_t)n * view.ndirs);
    for (int p = 0; p < n; p++) {
        float *coef = e->coef + (int64_t)p * view.ndirs, *beside = side ? e->side_coef + p * ncoef : NULL;
        for (int d = 0; d < view.ndirs; d++) {
            double sum = d < logged ? zo_engine_log_coef(e, point[p].base, d) : 0.0;
            for (int i = 0; i < point[p].n; i++) {
                sum += zo_dir_same(&point[p].term[i].dir, &e->dir[d]) ? point[p].term[i].coef : 0.0;
            }
            coef[d] = (float)sum;
        }
        for (int64_t i = 0; side && i < ncoef; i++) {
            beside[i] = e->side != NULL ? (float)e->side[i] : 0.0f;
        }
        for (int i = 0; side && i < point[p].n; i++) {
            const zo_term *term = &point[p].term[i];
            if (zo_dir_is_lowrank(term->dir.kind)) {
                const float *tau = zo_dir_has_factors(term->dir.kind) ? NULL : zo_engine_direction_coefs(e, &term->dir);
                for (int64_t k = 0; k < ncoef; k++) {
                    beside[k] += (float)(tau != NULL ? term->coef * tau[k] : term->coef);
                }
            }
        }
    }
    view.dir = e->dir;
    view.coef = e->coef;
    view.side = side && ncoef > 0 ? e->side_coef : NULL;
    zo_part_add(ZO_PART_FORM, zo_now() - start);
    return e->spec.io.losses(e->spec.io.context, which, &view, loss, err);
}

/* A pass reads the factors of all its points: how many directions have their own. */
static int own_of_pass(const zo_point *point, int n)
{
    int own = 0;
    for (int p = 0; p < n; p++) {
        for (int i = 0; i < point[p].n; i++) {
            const zo_dir *dir = &point[p].term[i].dir;
            bool again = !zo_dir_has_factors(dir->kind);
            for (int q = 0; q <= p && !again; q++) {
                for (int k = 0; k < (q < p ? point[q].n : i) && !again; k++) {
                    again = zo_dir_same(&point[q].term[k].dir, dir);
                }
            }
            own += !again;
        }
    }
    return own;
}

zo_status zo_engine_losses(zo_objective *o, zo_which which, const zo_point *point, int n, double *loss, zo_err *err)
{
    zo_engine *e = o->self;
    zo_status status = ZO_OK;
    if (e->spec.realisation == ZO_INPLACE && zo_engine_is_logged(e)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "realisation \"inplace\" moves the weights, which accumulate \"log\" never writes: use \"streamed\" or "
                       "\"accumulate\": \"weights\"");
    }
    for (int p = 0; p < n; p++) {
        if (zo_engine_check_terms(e, point[p].term, point[p].n, err) != ZO_OK || zo_engine_too_many_own(zo_engine_count_own(point[p].term, point[p].n), err) != ZO_OK) {
            return ZO_EUNSUPPORTED;
        }
        for (int i = 0; i < point[p].n; i++) {
            if (point[p].term[i].dir.kind == ZO_DIR_HELD) {
                return zo_fail(err, ZO_EUNSUPPORTED, "a point cannot have the left factors of the set \"%s\" as a term yet",
                               zo_engine_set_of(e, point[p].term[i].dir.set)->spec.name);
            }
            if (point[p].term[i].dir.kind == ZO_DIR_SET && zo_engine_check_set_in_points(e, point[p].term[i].dir.set, err) != ZO_OK) {
                return ZO_EUNSUPPORTED;
            }
        }
    }
    if (e->spec.realisation == ZO_INPLACE) {
        if (zo_backend_has(e->spec.be, ZO_SLOTS_SWEEPS, err) != ZO_OK) {
            return ZO_EUNSUPPORTED;
        }
        status = losses_inplace(e, which, point, n, loss, err);
    } else {
        for (int p = 0, pass; p < n && status == ZO_OK; p += pass) {
            pass = n - p < e->spec.io.most_points ? n - p : e->spec.io.most_points;
            int most = e->spec.realisation == ZO_SIDEPATH ? 1 : ZO_OWN_SLOTS;
            while (pass > 1 && own_of_pass(point + p, pass) > most) {
                pass--;
            }
            if (own_of_pass(point + p, pass) > most) {
                return zo_fail(err, ZO_EUNSUPPORTED, "a point has two directions with factors of their own, and realisation \"sidepath\" runs one: "
                               "use \"streamed\" or \"inplace\"");
            }
            status = losses_pass(e, which, point + p, pass, loss + p, err);
        }
    }
    if (status != ZO_OK) {
        return status;
    }
    return zo_engine_check_losses(loss, n, err);
}
