/* engine.c: see engine.h. Points become forwards in one of three ways; updates become sweeps.
 * It does not know what a model is: losses and gradients come through zo_engine_io. */
#include "optimizers/engine.h"

#include <math.h>
#include <string.h>

#include "core/clock.h"
#include "optimizers/engine_state.h"
#include "optimizers/magnitude.h"
#include "optimizers/rank_rule.h"

const char *zo_realisation_name(zo_realisation r)
{
    static const char *const name[ZO_REALISATIONS] = {
        [ZO_INPLACE] = "inplace", [ZO_STREAMED] = "streamed", [ZO_SIDEPATH] = "sidepath"};
    return name[r];
}

const char *zo_accumulate_name(zo_accumulate a)
{
    static const char *const name[ZO_ACCUMULATES] = {[ZO_ACCUMULATE_WEIGHTS] = "weights", [ZO_ACCUMULATE_LOG] = "log"};
    return name[a];
}

static bool is_logged(const zo_engine *e)
{
    return e->spec.accumulate == ZO_ACCUMULATE_LOG;
}

/* Whether directions of low rank have factors of their own. */
static bool has_own(const zo_engine *e)
{
    return e->factors != NULL && e->factors->left_at != NULL;
}

static void check_factors(const zo_engine *e, const zo_dir *dir)
{
    ZO_CHECK(e->factors != NULL, "a low-rank direction needs factors: the estimator must call open_factors in start()");
    bool own = has_own(e), of_own = zo_dir_has_factors(dir->kind);
    ZO_CHECK(of_own == own && (!own || dir->kind == ZO_DIR_HELD || dir->kind == e->own.kind),
             "a direction of kind %d, and open_factors was called for another kind of factors", (int)dir->kind);
}

/* The unscaled numbers of a low-rank direction: (ncoef). */
static const float *direction_coefs(zo_engine *e, const zo_dir *dir)
{
    check_factors(e, dir);
    ZO_CHECK(!zo_dir_has_factors(dir->kind), "a direction with factors of its own has no numbers");
    if (dir->kind == ZO_DIR_SPAN) {
        return dir->span;
    }
    for (int t = 0; t < e->factors->layout->n; t++) {
        if (e->factors->rank[t] > 0) {
            zo_dir_coefs(dir, e->factors, t, e->tau + e->factors->coef_at[t]);
        }
    }
    return e->tau;
}

static zo_opened *set_of(const zo_engine *e, zo_set set)
{
    ZO_CHECK(set > ZO_SET_WEIGHTS && set <= e->sets, "set %d was not opened: %d are, and an estimator opens its own in start()", (int)set, e->sets);
    return &e->set[set - 1];
}

/* w <- master, rounded. */
static void round_to(zo_backend *be, zo_store *w, const zo_store *master)
{
    zo_layout every = *w->layout;
    every.decays_whole = true;
    zo_store whole = *w;
    whole.layout = &every;
    zo_term all = {.dir = {.kind = ZO_DIR_SET, .values = master}, .coef = 1.0};
    be->apply(be, &whole, NULL, 0.0, &all, 1, NULL);
}

static void round_masters(zo_engine *e)
{
    if (e->masters != NULL) {
        round_to(e->spec.be, e->spec.weights, e->masters);
    }
}

static void flush(zo_engine *e, zo_moves *moves)
{
    bool moved = moves->n > 0;
    zo_moves_flush(moves);
    if (moves == &e->weights) {
        e->span_queued = false;
        if (moved) {
            round_masters(e);
        }
    }
}

static void settle(zo_engine *e, zo_moves *moves)
{
    zo_moves_restore(moves);
    flush(e, moves);
}

static void settle_weights(zo_engine *e)
{
    settle(e, &e->weights);
}

void zo_engine_make_masters(zo_engine *e)
{
    zo_backend *be = e->spec.be;
    zo_rule_args args = {.gamma = 1.0f};
    zo_store w = *e->spec.weights;
    w.layout = &e->parts.layout[ZO_LAYOUT_WHOLE];
    e->masters = zo_store_new(be, w.layout, ZO_TAG_OPT_STATE);
    be->rule(be, ZO_RULE_GATHER, &args, &w, NULL, e->masters, NULL);
    e->weights.store = *e->masters;
}

static bool has_masters(const zo_engine *e)
{
    return e->objective.masters && e->spec.weights->storage != ZO_STORAGE_F32;
}

/* What moves when the weights do: they, or their masters, which are made when they are first asked for. */
static zo_store *movable(zo_engine *e)
{
    if (has_masters(e) && e->masters == NULL) {
        settle_weights(e);
        zo_engine_make_masters(e);
    }
    return e->masters != NULL ? e->masters : e->spec.weights;
}

static zo_status check_no_masters(const zo_engine *e, const char *what, zo_err *err)
{
    return !has_masters(e) ? ZO_OK
                           : zo_fail(err, ZO_EUNSUPPORTED, "%s is of the weights, and weights of 16 bits with masters in f32 are made of these: use \"storage\": \"f32\" or \"master\": "
                                     "false", what);
}

const zo_layout *zo_engine_layout_of(const zo_engine *e, const zo_opened *s)
{
    if (s->part != NULL) {
        return s->part;
    }
    switch (s->spec.shape) {
    case ZO_SHAPE_LEFT:
        return &e->factors->held;
    case ZO_SHAPE_CORE:
        return &e->factors->held_core;
    case ZO_SHAPE_RIGHT:
        return &e->factors->held_right;
    default:
        return e->spec.weights->layout;
    }
}

void zo_engine_make_store(zo_engine *e, zo_opened *s)
{
    enum { PIECE = 16384 };
    float piece[PIECE];
    const zo_layout *layout = zo_engine_layout_of(e, s);
    if (s->spec.copy && s->part == NULL) {
        s->store = zo_store_new_beside(e->spec.be, e->spec.weights, s->spec.tag);
        zo_moves_open(&s->moves, e->spec.be, &e->parts, s->store);
        return;
    }
    s->store = s->spec.copy ? zo_store_new_as(e->spec.be, layout, e->spec.weights->storage, s->spec.tag) : zo_store_new(e->spec.be, layout, s->spec.tag);
    for (int64_t i = 0; s->spec.initial != 0.0 && i < PIECE; i++) {
        piece[i] = (float)s->spec.initial;
    }
    for (int t = 0; s->spec.initial != 0.0 && t < layout->n; t++) {
        int64_t size = layout->param[t].frozen ? 0 : layout->param[t].rows * layout->param[t].cols;
        for (int64_t i = 0; i < size; i += PIECE) {
            zo_store_write(e->spec.be, s->store, layout->param[t].offset + i, size - i < PIECE ? size - i : PIECE, piece);
        }
    }
}

/* The values of a sum that was written, or begins with values. */
static const zo_store *summed(zo_engine *e, zo_set set, zo_shape shape)
{
    zo_opened *s = set_of(e, set);
    if (s->store == NULL && s->spec.initial != 0.0) {
        zo_engine_make_store(e, s);
    }
    ZO_CHECK(s->part == NULL, "the set \"%s\" is of some linear layers: norms and place read it, and nothing else does", s->spec.name);
    ZO_CHECK(!s->spec.copy && s->store != NULL, "the set \"%s\" is read as a sum, and none was written there", s->spec.name);
    ZO_CHECK(s->spec.shape == shape, "the set \"%s\" is read as one of another shape", s->spec.name);
    return s->store;
}

/* Before a sum is written: whatever stands at its old values, or is going to be moved by them, comes back, and is moved. */
static void settle_readers(zo_engine *e, zo_set set)
{
    if (zo_moves_read(&e->weights, set)) {
        settle_weights(e);
    }
    for (int k = 0; k < e->sets; k++) {
        if (e->set[k].store != NULL && e->set[k].spec.copy && zo_moves_read(&e->set[k].moves, set)) {
            settle(e, &e->set[k].moves);
        }
    }
    e->own.formed.used = e->own.formed.of.set == set ? 0 : e->own.formed.used;
}

/* What reads a slot is done before it is made anew. */
static zo_own_slot *cleared(zo_engine *e, zo_own_slot *slot)
{
    if (slot->used > 0 && zo_moves_read_factor(&e->weights, slot->store->data)) {
        settle_weights(e);
    }
    for (int k = 0; k < e->sets && slot->used > 0; k++) {
        if (e->set[k].store != NULL && e->set[k].spec.copy && zo_moves_read_factor(&e->set[k].moves, slot->store->data)) {
            settle(e, &e->set[k].moves);
        }
    }
    return slot;
}

/* The slot that was asked for longest ago. */
static zo_own_slot *spare_slot(zo_engine *e, zo_own_side side)
{
    return cleared(e, zo_own_oldest(&e->own, side));
}

/* A factor of a direction. */
static zo_own_slot *realise(zo_engine *e, zo_own_side side, const zo_dir *dir)
{
    check_factors(e, dir);
    zo_own_slot *slot = zo_own_find(&e->own, side, dir);
    if (slot == NULL) {
        slot = spare_slot(e, side);
        zo_own_make(&e->own, slot, side, dir);
    }
    return slot;
}

/* The left factors of a HELD direction: a set's own, or what its cores make. */
static const zo_store *held_left(zo_engine *e, const zo_dir *dir)
{
    zo_shape shape = set_of(e, dir->set)->spec.shape;
    const zo_store *values = summed(e, dir->set, shape);
    if (shape != ZO_SHAPE_CORE && shape != ZO_SHAPE_RIGHT) {
        ZO_CHECK(shape == ZO_SHAPE_LEFT, "the set \"%s\" holds no factors", set_of(e, dir->set)->spec.name);
        return values;
    }
    zo_own_slot *formed = &e->own.formed;
    if (formed->used == 0 || !zo_dir_same(&formed->of, dir)) {
        cleared(e, formed);
        zo_dir along = *dir; /* the direction whose U it is */
        along.kind = ZO_DIR_SUBSPACE;
        zo_own_form(&e->own, dir, values, shape == ZO_SHAPE_RIGHT ? realise(e, ZO_SIDE_LEFT, &along) : NULL);
    }
    return formed->store;
}

static bool is_resolved(const zo_dir *dir)
{
    return dir->kind == ZO_DIR_SET || dir->scale != 0 || zo_dir_has_factors(dir->kind);
}

/* A direction as a backend reads it. */
zo_dir zo_engine_resolve(zo_engine *e, const zo_dir *dir)
{
    zo_dir d = *dir;
    if (d.kind == ZO_DIR_SET) {
        d.values = summed(e, d.set, ZO_SHAPE_WHOLE);
    } else if (d.kind == ZO_DIR_DENSE && d.scale != 0) {
        d.by = summed(e, d.scale, ZO_SHAPE_WHOLE);
    } else if (zo_dir_has_factors(d.kind)) {
        d.own.left = (d.kind == ZO_DIR_HELD ? held_left(e, dir) : realise(e, ZO_SIDE_LEFT, dir)->store)->data;
        bool right = d.kind == ZO_DIR_HELD && set_of(e, d.set)->spec.shape == ZO_SHAPE_RIGHT;
        d.own.right = (right ? summed(e, d.set, ZO_SHAPE_RIGHT) : realise(e, ZO_SIDE_RIGHT, dir)->store)->data;
    }
    return d;
}

/* Room for n terms; until the next call. */
static zo_term *resolved_terms(zo_engine *e, int n)
{
    if (n > e->resolved_room) {
        e->resolved_room = n;
        e->resolved = zo_realloc(e->resolved, ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *e->resolved);
    }
    return e->resolved;
}

/* Terms, the same. */
static const zo_term *resolve_terms(zo_engine *e, const zo_term *term, int n)
{
    bool any = false;
    for (int i = 0; i < n; i++) {
        any = any || is_resolved(&term[i].dir);
    }
    if (!any) {
        return term;
    }
    resolved_terms(e, n);
    for (int i = 0; i < n; i++) {
        e->resolved[i] = (zo_term){.dir = zo_engine_resolve(e, &term[i].dir), .coef = term[i].coef};
    }
    return e->resolved;
}

/* How many directions with factors of their own stand among the terms. */
static int count_own(const zo_term *term, int n)
{
    int own = 0;
    for (int i = 0; i < n; i++) {
        bool again = !zo_dir_has_factors(term[i].dir.kind);
        for (int k = 0; k < i && !again; k++) {
            again = zo_dir_same(&term[k].dir, &term[i].dir);
        }
        own += !again;
    }
    return own;
}

static zo_status too_many_own(int own, zo_err *err)
{
    return own <= ZO_OWN_SLOTS ? ZO_OK
                               : zo_fail(err, ZO_EUNSUPPORTED, "%d directions with factors of their own are asked for at a time, and %d are realised: ask for fewer",
                                         own, ZO_OWN_SLOTS);
}

/* Whether points can have the set as a term. */
static zo_status check_set_in_points(const zo_engine *e, zo_set set, zo_err *err)
{
    if (set == ZO_SET_WEIGHTS || set_of(e, set)->spec.copy) {
        return zo_fail(err, ZO_EUNSUPPORTED, "a point cannot have the %s as a term yet: it stands on them, and has directions and sums as terms",
                       set == ZO_SET_WEIGHTS ? "weights" : "copied weights");
    }
    const char *name = set_of(e, set)->spec.name;
    if (is_logged(e)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "accumulate \"log\" keeps no tensors beside the weights, and points have the set \"%s\" as a term: use "
                       "\"accumulate\": \"weights\"", name);
    }
    if (e->spec.realisation == ZO_SIDEPATH) {
        return zo_fail(err, ZO_EUNSUPPORTED, "realisation \"sidepath\" runs low-rank directions only, and points have the set \"%s\" as a term: use "
                       "\"streamed\" or \"inplace\"", name);
    }
    return ZO_OK;
}

/* Products of draw, shape, subset and scale that no estimator asks for are not built: ZO_EUNSUPPORTED. */
static zo_status check_terms(const zo_engine *e, const zo_term *term, int n, zo_err *err)
{
    for (int i = 0; i < n; i++) {
        const zo_dir *dir = &term[i].dir;
        if (dir->scale != 0 && check_set_in_points(e, dir->scale, err) != ZO_OK) {
            return ZO_EUNSUPPORTED;
        }
        if (dir->scale != 0 && (dir->kind != ZO_DIR_DENSE || e->factors != NULL)) {
            return zo_fail(err, ZO_EUNSUPPORTED, "the set \"%s\" scales a direction that is not dense, or one beside factors: scale dense ones of a run "
                           "without factors", set_of(e, dir->scale)->spec.name);
        }
        if ((dir->kind == ZO_DIR_CP || (zo_dir_has_factors(dir->kind) && dir->kind != ZO_DIR_HELD)) && (dir->draw != ZO_DRAW_GAUSS || zo_blocks_any(zo_dir_skip(dir)))) {
            return zo_fail(err, ZO_EUNSUPPORTED, "a direction of low rank has normal numbers on every block, and this one %s: draw a dense one so",
                           zo_blocks_any(zo_dir_skip(dir)) ? "leaves out blocks" : "has signs");
        }
    }
    return ZO_OK;
}

/* losses ------------------------------------------------------------------------------------------------------------------ */

static zo_status check_losses(const double *loss, int n, zo_err *err)
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
    zo_opened *s = set_of(e, base);
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
    movable(e);
    e->probe_terms = point[0].base == ZO_SET_WEIGHTS && point[0].n <= ZO_PROBE_TERMS ? point[0].n : 0;
    for (int i = 0; i < e->probe_terms; i++) {
        e->probe[i] = point[0].term[i];
    }
    for (int p = 0; p < n; p++) {
        zo_opened *copy = point[p].base == ZO_SET_WEIGHTS ? NULL : base_of(e, point[p].base);
        zo_moves *moves = copy == NULL ? &e->weights : &copy->moves;
        const zo_term *term = resolve_terms(e, point[p].term, point[p].n);
        start = zo_now();
        zo_moves_probe(moves, term, point[p].n, &touched);
        zo_part_add(ZO_PART_FORM, p == 0 ? zo_now() - start : 0.0);
        flush(e, moves);
        const zo_store *slot = copy == NULL ? e->spec.weights : copy->store;
        zo_view view = zo_view_stored(&slot);
        zo_status status = e->spec.io.losses(e->spec.io.context, which, &view, &loss[p], err);
        if (status != ZO_OK) {
            return status;
        }
    }
    return ZO_OK;
}

static void reserve_dirs(zo_engine *e, int n)
{
    if (n > e->dir_room) {
        e->dir_room = n < 4 ? 4 : n > 2 * e->dir_room ? n : 2 * e->dir_room;
        e->dir = zo_realloc(e->dir, ZO_HOST, ZO_TAG_OTHER, (size_t)e->dir_room * sizeof *e->dir);
    }
}

static void reserve_coefs(zo_engine *e, int64_t n)
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
    reserve_dirs(e, view->ndirs + 1);
    e->dir[view->ndirs] = zo_engine_resolve(e, dir);
    return view->ndirs++;
}

/* The log's directions, each in the column of its term, and the sum of its low-rank terms, which stands beside W (SIDEPATH) or in the
 * column after them; of directions with factors of their own there is one for each V, a column each. Returns how many columns are the log's own. */
static int log_dirs(zo_engine *e, zo_view *view)
{
    for (int64_t i = 0; e->side != NULL && i < e->objective.ncoef; i++) {
        e->side_sum[i] = (float)e->side[i];
    }
    reserve_dirs(e, e->log.n + 1 + e->own.sums);
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

/* Of column d of log_dirs. The low-rank sum has coefficient 1: no copy is taken of it. */
static double log_coef(const zo_engine *e, zo_set base, int d)
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
        resolve_terms(e, point[p].term, point[p].n); /* so that what is drawn for it counts once */
    }
    double start = zo_now();
    zo_view view = {.npoints = n, .base = e->base, .factors = e->factors};
    int logged = is_logged(e) ? log_dirs(e, &view) : 0;
    for (int p = 0; p < n; p++) {
        const zo_opened *copy = point[p].base == ZO_SET_WEIGHTS ? NULL : base_of(e, point[p].base);
        e->base[p] = copy == NULL || is_logged(e) ? e->spec.weights : copy->store;
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
    reserve_coefs(e, (int64_t)n * view.ndirs);
    for (int p = 0; p < n; p++) {
        float *coef = e->coef + (int64_t)p * view.ndirs, *beside = side ? e->side_coef + p * ncoef : NULL;
        for (int d = 0; d < view.ndirs; d++) {
            double sum = d < logged ? log_coef(e, point[p].base, d) : 0.0;
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
                const float *tau = zo_dir_has_factors(term->dir.kind) ? NULL : direction_coefs(e, &term->dir);
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

static zo_status engine_losses(zo_objective *o, zo_which which, const zo_point *point, int n, double *loss, zo_err *err)
{
    zo_engine *e = o->self;
    zo_status status = ZO_OK;
    if (e->spec.realisation == ZO_INPLACE && is_logged(e)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "realisation \"inplace\" moves the weights, which accumulate \"log\" never writes: use \"streamed\" or "
                       "\"accumulate\": \"weights\"");
    }
    for (int p = 0; p < n; p++) {
        if (check_terms(e, point[p].term, point[p].n, err) != ZO_OK || too_many_own(count_own(point[p].term, point[p].n), err) != ZO_OK) {
            return ZO_EUNSUPPORTED;
        }
        for (int i = 0; i < point[p].n; i++) {
            if (point[p].term[i].dir.kind == ZO_DIR_HELD) {
                return zo_fail(err, ZO_EUNSUPPORTED, "a point cannot have the left factors of the set \"%s\" as a term yet",
                               set_of(e, point[p].term[i].dir.set)->spec.name);
            }
            if (point[p].term[i].dir.kind == ZO_DIR_SET && check_set_in_points(e, point[p].term[i].dir.set, err) != ZO_OK) {
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
    return check_losses(loss, n, err);
}

/* updates ----------------------------------------------------------------------------------------------------------------- */

static void decay_as_wished(zo_engine *e)
{
    if (e->objective.decay_all) {
        zo_parts_decay_all(&e->parts);
    }
}

/* Queue one term on the weights; explicit numbers are copied, since the sweep may come after the caller has gone. */
static void queue_term(zo_engine *e, zo_term term)
{
    if (term.dir.kind == ZO_DIR_SPAN && term.coef != 0.0) {
        if (e->span_queued) {
            flush(e, &e->weights);
        }
        memcpy(e->span, term.dir.span, (size_t)e->objective.ncoef * sizeof *e->span);
        term.dir.span = e->span;
        e->span_queued = true;
    }
    zo_moves_update(&e->weights, 1.0, &term, 1);
}

static void add_to_side(zo_engine *e, const zo_term *term)
{
    double start = zo_now();
    const float *tau = direction_coefs(e, &term->dir);
    for (int64_t k = 0; k < e->objective.ncoef; k++) {
        e->side[k] += term->coef * tau[k];
    }
    zo_part_add(ZO_PART_UPDATE, zo_now() - start);
}

/* Beside weights of 16 bits: what the factors do not cover, as it stands. */
static void open_rest(zo_engine *e)
{
    zo_backend *be = e->spec.be;
    const zo_store *weights = e->spec.weights;
    const zo_layout *layout = weights->layout;
    int64_t largest = 0;
    e->rest_of = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)layout->n * sizeof *e->rest_of);
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        bool apart = e->factors->rank[t] == 0 && !p->frozen;
        e->rest_of[t] = apart ? zo_layout_add(&e->rest_layout, p->name, p->kind, p->rows, p->cols, p->block, p->decay) : -1;
        largest = apart && p->rows * p->cols > largest ? p->rows * p->cols : largest;
    }
    if (e->rest_layout.n > 0) {
        e->rest = zo_store_new(be, &e->rest_layout, ZO_TAG_OPT_STATE);
        float *host = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)largest * sizeof *host);
        for (int t = 0; t < layout->n; t++) {
            if (e->rest_of[t] >= 0) {
                zo_store_get(be, weights, t, host);
                zo_store_set(be, e->rest, e->rest_of[t], host);
            }
        }
        zo_free(host);
    }
}

/* A REST term whose numbers are kept and not the term, so that a step costs the same however many there were: added in f32 to the small
 * tensors themselves, or to `rest` beside weights of 16 bits. The bits are those of the sum that a log of them would form at each pass. */
static bool add_to_rest(zo_engine *e, const zo_term *term)
{
    if (e->factors == NULL || term->dir.kind != ZO_DIR_REST) {
        return false;
    }
    if (e->spec.weights->storage == ZO_STORAGE_F32) {
        zo_moves_update(&e->weights, 1.0, term, 1);
        flush(e, &e->weights);
        return true;
    }
    if (e->rest != NULL) {
        e->spec.be->apply(e->spec.be, e->rest, NULL, 1.0, term, 1, NULL);
    }
    return e->rest != NULL;
}

/* The values of one parameter, as a store of `alone`. */
static zo_store part_of(const zo_layout *alone, float *values)
{
    return (zo_store){.layout = alone, .data = values, .size = alone->size};
}

/* What a set of left factors has of parameters without factors, to these as REST terms go (add_to_rest). */
static zo_status add_held_rest(zo_engine *e, const zo_opened *s, double coef, zo_err *err)
{
    const zo_layout *layout = e->spec.weights->layout;
    bool stands = e->spec.weights->storage == ZO_STORAGE_F32;
    for (int t = 0; t < layout->n; t++) {
        zo_param p = layout->param[t];
        if (p.frozen || e->factors->rank[t] > 0) {
            continue;
        }
        if (!stands && e->rest == NULL) {
            return zo_fail(err, ZO_EUNSUPPORTED, "accumulate \"log\" keeps directions, and of %s, which has no factors, the set \"%s\": on device \"%s\" use \"storage\": "
                           "\"f32\"", p.name, s->spec.name, e->spec.be->name);
        }
        float *to = stands ? e->spec.weights->data + p.offset : e->rest->data + e->rest_layout.param[e->rest_of[t]].offset;
        zo_layout alone = {.n = 1, .param = &p, .size = (int64_t)zo_round_up((uint64_t)(p.rows * p.cols), 16), .trained_size = p.rows * p.cols};
        zo_store w = part_of(&alone, to), of = part_of(&alone, s->store->data + e->factors->left_at[t]);
        zo_term move = {.dir = {.kind = ZO_DIR_SET, .values = &of}, .coef = coef};
        p.offset = 0;
        e->spec.be->apply(e->spec.be, &w, NULL, 1.0, &move, 1, NULL);
    }
    return ZO_OK;
}

/* Of a log: a direction with factors of its own becomes a part of its V's sum, and so does a sum of left factors. */
static zo_status add_to_sums(zo_engine *e, const zo_term *term, zo_err *err)
{
    const zo_opened *held = term->dir.kind == ZO_DIR_HELD ? set_of(e, term->dir.set) : NULL;
    if (held != NULL && held->spec.shape != ZO_SHAPE_LEFT) {
        return zo_fail(err, ZO_EUNSUPPORTED, "accumulate \"log\" keeps directions, and not the set \"%s\", along which the weights are to move: use "
                       "\"accumulate\": \"weights\"", held->spec.name);
    }
    const zo_store *left = held != NULL ? summed(e, term->dir.set, ZO_SHAPE_LEFT) : realise(e, ZO_SIDE_LEFT, &term->dir)->store;
    const zo_own_slot *right = realise(e, ZO_SIDE_RIGHT, &term->dir);
    zo_own_sum *sum = zo_own_sum_of(&e->own, right);
    if (sum == NULL) {
        return zo_fail(err, ZO_EUNSUPPORTED, "accumulate \"log\" keeps a pair of factors for each V, and %d are there: give a longer \"period\", fewer "
                       "steps, or \"accumulate\": \"weights\"", ZO_OWN_SUMS);
    }
    if (held != NULL && add_held_rest(e, held, term->coef, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    zo_own_sum_add(&e->own, sum, left, term->coef);
    return ZO_OK;
}

static zo_status combine_logged(zo_engine *e, const zo_term *term, int n, zo_err *err)
{
    zo_status status = ZO_OK;
    for (int i = 0; i < n && status == ZO_OK; i++) {
        if (term[i].dir.kind == ZO_DIR_SET) {
            const zo_opened *s = set_of(e, term[i].dir.set);
            ZO_CHECK(s->term != NULL, "the set \"%s\" is read before it is written", s->spec.name);
            for (int k = 0; k < s->terms && status == ZO_OK; k++) {
                zo_term kept = {.dir = s->term[k].dir, .coef = term[i].coef * s->term[k].coef};
                status = combine_logged(e, &kept, 1, err);
            }
        } else if (zo_dir_has_factors(term[i].dir.kind)) {
            status = add_to_sums(e, &term[i], err);
        } else if (zo_dir_is_lowrank(term[i].dir.kind)) {
            add_to_side(e, &term[i]);
        } else if (!add_to_rest(e, &term[i])) {
            status = zo_term_log_add(&e->log, &term[i], err);
        }
    }
    return status;
}

static zo_status combine_weights(zo_engine *e, double decay, const zo_term *term, int n, zo_err *err)
{
    bool side = e->spec.realisation == ZO_SIDEPATH;
    for (int i = 0; i < n; i++) {
        if (term[i].dir.kind != ZO_DIR_SET) {
            continue;
        }
        if (term[i].dir.set == ZO_SET_WEIGHTS || set_of(e, term[i].dir.set)->spec.copy) {
            return zo_fail(err, ZO_EUNSUPPORTED, "the weights cannot be added to a copy of themselves yet: they take directions, and sets that are sums");
        }
    }
    if (is_logged(e)) {
        if (decay != 1.0) {
            return zo_fail(err, ZO_EUNSUPPORTED, "accumulate \"log\" never writes the weights, so it has no weight decay: use weight_decay 0 or "
                           "\"accumulate\": \"weights\"");
        }
        return combine_logged(e, term, n, err);
    }
    if (side && decay != 1.0) {
        return zo_fail(err, ZO_EUNSUPPORTED, "realisation \"sidepath\" never writes the weights, so it has no weight decay: use "
                       "\"streamed\" or weight_decay 0");
    }
    decay_as_wished(e);
    movable(e);
    zo_moves_update(&e->weights, decay, NULL, 0);
    for (int i = 0; i < n; i++) {
        if (side && zo_dir_is_lowrank(term[i].dir.kind) && !has_own(e)) {
            add_to_side(e, &term[i]);
        } else {
            queue_term(e, (zo_term){.dir = zo_engine_resolve(e, &term[i].dir), .coef = term[i].coef});
        }
    }
    if (e->spec.realisation != ZO_INPLACE) {
        flush(e, &e->weights);
    }
    return ZO_OK;
}

/* sets -------------------------------------------------------------------------------------------------------------------- */

/* Of a set that is of some linear layers. */
static zo_status open_part(zo_engine *e, zo_opened *s, zo_err *err)
{
    const zo_layout *all = e->spec.weights->layout;
    if (is_logged(e) || e->spec.realisation == ZO_SIDEPATH) {
        return zo_fail(err, ZO_EUNSUPPORTED, "the set \"%s\" is for putting the weights elsewhere, and %s never writes them: use %s", s->spec.name,
                       is_logged(e) ? "accumulate \"log\"" : "realisation \"sidepath\"",
                       is_logged(e) ? "\"accumulate\": \"weights\"" : "\"streamed\" or \"inplace\"");
    }
    s->part = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *s->part);
    s->part_of = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)all->n * sizeof *s->part_of);
    for (int t = 0; t < all->n; t++) {
        const zo_param *p = &all->param[t];
        if (!p->frozen && zo_param_in(p, s->spec.linear)) {
            s->part_of[s->part->n] = t;
            zo_layout_add(s->part, p->name, p->kind, p->rows, p->cols, p->block, p->decay);
        }
    }
    return s->part->n > 0 ? ZO_OK : zo_fail(err, ZO_EUNSUPPORTED, "nothing that is trained here belongs to the linear layers of the set \"%s\": train some of "
                                            "them, or choose others", s->spec.name);
}

static zo_status engine_open(zo_objective *o, const zo_set_spec *spec, zo_set *set, zo_err *err)
{
    zo_engine *e = o->self;
    e->set = zo_realloc(e->set, ZO_HOST, ZO_TAG_OTHER, (size_t)(e->sets + 1) * sizeof *e->set);
    e->set[e->sets] = (zo_opened){.spec = *spec};
    *set = ++e->sets;
    if (spec->shape != ZO_SHAPE_WHOLE) {
        bool cores = spec->shape == ZO_SHAPE_CORE, right = spec->shape == ZO_SHAPE_RIGHT;
        ZO_CHECK(e->factors != NULL && e->factors->left_at != NULL && !spec->copy, "the set \"%s\" is of factors, and directions have none", spec->name);
        ZO_CHECK(e->own.kind == (cores ? ZO_DIR_CORE : right ? ZO_DIR_SUBSPACE : ZO_DIR_FACTORS), "the set \"%s\" is of other factors than directions have", spec->name);
        if (zo_backend_has(e->spec.be, ZO_SLOTS_PRODUCTS, err) != ZO_OK) {
            return ZO_EUNSUPPORTED;
        }
        if (cores || right) {
            zo_own_open_formed(&e->own);
        }
        if (right) {
            zo_own_open_orthogonal(&e->own);
        }
        zo_own_open_core(&e->own);
    }
    if (spec->linear != 0) {
        return open_part(e, &e->set[*set - 1], err);
    }
    return spec->in_points ? check_set_in_points(e, *set, err) : ZO_OK;
}

/* The numbers of a parameter, from one store to another of its type. */
static void copy_param(zo_engine *e, const zo_store *to, int param, const zo_store *from, int of)
{
    const zo_param *p = &to->layout->param[param];
    e->spec.be->copy(e->spec.be, zo_store_at(to, p->offset), zo_store_at(from, from->layout->param[of].offset),
                     (size_t)(p->rows * p->cols) * (size_t)zo_storage_bytes(to->storage));
}

static zo_status copy_weights(zo_engine *e, zo_opened *s, zo_err *err)
{
    if (e->spec.realisation == ZO_SIDEPATH) {
        return zo_fail(err, ZO_EUNSUPPORTED, "realisation \"sidepath\" takes no copies of the weights: use \"streamed\" or \"inplace\"");
    }
    if (is_logged(e)) {
        ZO_CHECK(e->factors == NULL, "a copy of a log with low-rank terms");
        zo_log_mark_take(&s->mark, &e->log, s->spec.tag);
        return ZO_OK;
    }
    if (check_no_masters(e, "a copy", err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    settle_weights(e);
    zo_backend *be = e->spec.be;
    const zo_store *w = e->spec.weights;
    if (s->store == NULL) {
        zo_engine_make_store(e, s);
    }
    double start = zo_now();
    for (int t = 0; s->part != NULL && t < s->part->n; t++) {
        copy_param(e, s->store, t, w, s->part_of[t]);
    }
    if (s->part != NULL) {
        zo_part_add(ZO_PART_UPDATE, zo_now() - start);
        return ZO_OK;
    }
    be->copy(be, zo_store_at(s->store, 0), zo_store_at(w, 0), (size_t)s->store->size * (size_t)zo_storage_bytes(w->storage));
    zo_moves_forget(&s->moves);
    zo_part_add(ZO_PART_UPDATE, zo_now() - start);
    return ZO_OK;
}

/* One sweep of which `decay` reaches every parameter. */
static void sweep_whole(zo_engine *e, zo_store *store, double decay, const zo_term *term, int n)
{
    zo_layout every = *store->layout;
    every.decays_whole = true;
    zo_store whole = *store;
    whole.layout = &every;
    e->spec.be->apply(e->spec.be, &whole, e->factors, decay, term, n, NULL);
}

/* The same of a set of left factors, or of cores: terms with factors on these, REST terms on what stands behind, each as the draw that it is there. */
static void sweep_factors(zo_engine *e, zo_store *store, zo_shape shape, double decay, const zo_term *term, int n)
{
    zo_term *draws = resolved_terms(e, n);
    for (int part = 0; part < 2; part++) {
        const zo_layout *held = store->layout, *head = shape == ZO_SHAPE_LEFT ? &e->factors->left : shape == ZO_SHAPE_CORE ? &e->factors->core : &e->factors->right;
        zo_layout at = part == 0 ? *head : (zo_layout){.n = held->n - head->n, .param = held->param + head->n, .size = held->size, .trained_size = held->size};
        zo_store of = *store;
        int taken = 0;
        for (int i = 0; i < n; i++) {
            const zo_dir *dir = &term[i].dir;
            if ((dir->kind == ZO_DIR_REST) == (part == 1)) {
                draws[taken++] = (zo_term){.dir = {.kind = ZO_DIR_DENSE, .draw = dir->draw, .seed = dir->seed, .step = dir->step, .query = dir->query},
                                           .coef = term[i].coef};
            }
        }
        at.decays_whole = true;
        of.layout = &at;
        e->spec.be->apply(e->spec.be, &of, NULL, decay, draws, taken, NULL);
    }
}

static zo_status engine_carry(zo_objective *o, zo_set set, const zo_dir *from, const zo_dir *to, zo_err *err)
{
    zo_engine *e = o->self;
    (void)err; /* what it needs was asked for when the set was opened */
    zo_opened *s = set_of(e, set);
    ZO_CHECK(s->spec.shape == ZO_SHAPE_LEFT, "the set \"%s\" has no left factors", s->spec.name);
    if (s->store != NULL) {
        settle_readers(e, set);
        zo_own_slot *old = realise(e, ZO_SIDE_RIGHT, from), *new = realise(e, ZO_SIDE_RIGHT, to);
        zo_own_carry(&e->own, old, new, spare_slot(e, ZO_SIDE_LEFT), s->store);
    }
    return ZO_OK;
}

/* A parameter of the weights alone, at the place at which a set has it: so one operation reads both. It stands no earlier among the weights. */
typedef struct single { zo_param param; zo_layout layout; zo_store store; } single;

static void single_of(const zo_store *weights, int param, const zo_param *as, single *x)
{
    int64_t by = weights->layout->param[param].offset - as->offset;
    *x = (single){.param = *as, .store = *weights};
    x->layout = (zo_layout){.n = 1, .param = &x->param, .size = weights->layout->size, .trained_size = as->rows * as->cols, .decays_whole = true};
    x->store.layout = &x->layout;
    x->store.data = weights->data != NULL ? weights->data + by : NULL;
    x->store.half = weights->half != NULL ? weights->half + by : NULL;
}

/* Whether the terms are the weights, and a copy of them taken off. */
static bool is_distance(const zo_engine *e, double decay, const zo_term *term, int n)
{
    return decay == 0.0 && n >= 1 && n <= 2 && term[0].dir.kind == ZO_DIR_SET && term[0].dir.set == ZO_SET_WEIGHTS && term[0].coef == 1.0 &&
           (n == 1 || (term[1].dir.kind == ZO_DIR_SET && term[1].coef == -1.0 && term[1].dir.set != ZO_SET_WEIGHTS && set_of(e, term[1].dir.set)->spec.copy));
}

/* set <- weights, or weights - a copy, exactly where f32 has the difference. */
static zo_status take_distance(zo_engine *e, zo_opened *s, const zo_term *term, int n, zo_err *err)
{
    const zo_opened *copy = n > 1 ? set_of(e, term[1].dir.set) : NULL;
    ZO_CHECK(copy == NULL || (copy->spec.linear == s->spec.linear && copy->store != NULL), "the set \"%s\" is the distance to a copy of other parameters, or "
             "of none", s->spec.name);
    if (zo_backend_has(e->spec.be, ZO_SLOTS_RULES, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    settle_weights(e);
    if (s->store == NULL) {
        zo_engine_make_store(e, s);
    }
    for (int t = 0; t < s->part->n; t++) {
        for (int k = 0; k < n; k++) {
            single of;
            single_of(k == 0 ? e->spec.weights : copy->store, k == 0 ? s->part_of[t] : t, &s->part->param[t], &of);
            zo_rule_args args = {.beta1 = k == 0 ? 0.0f : 1.0f, .gamma = k == 0 ? 1.0f : -1.0f};
            e->spec.be->rule(e->spec.be, ZO_RULE_GATHER, &args, &of.store, NULL, s->store, NULL);
        }
    }
    return ZO_OK;
}

/* A sum that is of some parameters. */
static const zo_opened *part_sum(const zo_engine *e, zo_set set)
{
    const zo_opened *s = set_of(e, set);
    ZO_CHECK(s->part != NULL && !s->spec.copy, "the set \"%s\" is no sum whose spec has `linear`", s->spec.name);
    return s;
}

static int engine_tensors(zo_objective *o, zo_set set)
{
    return part_sum(o->self, set)->part->n;
}

static zo_status engine_norms(zo_objective *o, zo_set set, double *norm, zo_err *err)
{
    zo_engine *e = o->self;
    const zo_opened *s = part_sum(e, set);
    ZO_CHECK(s->store != NULL, "norms of the set \"%s\" before it is written", s->spec.name);
    if (zo_backend_has(e->spec.be, ZO_SLOTS_NORMS, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    for (int t = 0; t < s->part->n; t++) {
        const zo_param *p = &s->part->param[t];
        zo_store of = *s->store;
        of.data += p->offset;
        of.size = (int64_t)zo_round_up((uint64_t)(p->rows * p->cols), 16);
        norm[t] = sqrt(e->spec.be->dot(e->spec.be, &of, &of));
    }
    return ZO_OK;
}

static zo_status engine_place(zo_objective *o, zo_set anchor, zo_set offset, const double *coef, zo_err *err)
{
    zo_engine *e = o->self;
    const zo_opened *s = part_sum(e, offset), *from = anchor != ZO_SET_WEIGHTS ? set_of(e, anchor) : NULL;
    ZO_CHECK(s->store != NULL && (from == NULL || (from->store != NULL && from->spec.linear == s->spec.linear)),
             "the set \"%s\" was not written, or is not anchored at a copy of the same parameters", s->spec.name);
    if (zo_backend_has(e->spec.be, ZO_SLOTS_SWEEPS, err) != ZO_OK || check_no_masters(e, "a place", err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    settle_weights(e);
    for (int t = 0; t < s->part->n; t++) {
        single of;
        zo_term term = {.dir = {.kind = ZO_DIR_SET, .set = offset, .values = s->store}, .coef = coef[t]};
        single_of(e->spec.weights, s->part_of[t], &s->part->param[t], &of);
        if (from != NULL) {
            copy_param(e, &of.store, 0, from->store, t);
        }
        e->spec.be->apply(e->spec.be, &of.store, NULL, from != NULL ? 1.0 : 0.0, &term, 1, NULL);
    }
    return ZO_OK;
}

static zo_status engine_orthogonalise(zo_objective *o, zo_set set, int iterations, zo_err *err)
{
    zo_engine *e = o->self;
    (void)err; /* what it needs was asked for when the set was opened */
    zo_opened *s = set_of(e, set);
    ZO_CHECK(s->spec.shape == ZO_SHAPE_RIGHT, "the set \"%s\" has no right factors", s->spec.name);
    if (s->store != NULL) {
        settle_readers(e, set);
        zo_own_orthogonalise(&e->own, s->store, spare_slot(e, ZO_SIDE_RIGHT), iterations);
    }
    return ZO_OK;
}

static zo_status combine_sum(zo_engine *e, zo_set set, double decay, const zo_term *term, int n, zo_err *err)
{
    zo_backend *be = e->spec.be;
    zo_opened *s = set_of(e, set);
    if (s->part != NULL) {
        ZO_CHECK(is_distance(e, decay, term, n), "the set \"%s\" is of some parameters: it takes the weights' distance to a copy, and nothing else", s->spec.name);
        return take_distance(e, s, term, n, err);
    }
    for (int i = 0; i < n; i++) {
        zo_dir_kind kind = term[i].dir.kind;
        if (kind == ZO_DIR_SET || kind == ZO_DIR_HELD || term[i].dir.scale != 0) {
            return zo_fail(err, ZO_EUNSUPPORTED, "the set \"%s\" cannot take another set yet, nor what one scales: it takes directions", s->spec.name);
        }
        zo_dir_kind taken = s->spec.shape == ZO_SHAPE_WHOLE ? kind : e->own.kind; /* the kind that has them */
        if (s->spec.shape != ZO_SHAPE_WHOLE && kind != taken && kind != ZO_DIR_REST) {
            return zo_fail(err, ZO_EUNSUPPORTED, "the set \"%s\" is of %s: it takes directions that have %s of their own, and those of what has none",
                           s->spec.name, s->spec.shape == ZO_SHAPE_LEFT ? "left factors" : s->spec.shape == ZO_SHAPE_CORE ? "cores" : "right factors",
                           s->spec.shape == ZO_SHAPE_CORE ? "cores" : "factors");
        }
    }
    if (s->spec.shape == ZO_SHAPE_WHOLE && too_many_own(count_own(term, n), err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    if (is_logged(e) && s->spec.shape != ZO_SHAPE_LEFT) { /* left factors are as many numbers as those of the log's own sums */
        for (int i = 0; i < n; i++) {
            ZO_CHECK(term[i].dir.kind != ZO_DIR_SPAN, "the set \"%s\" would keep numbers that are only borrowed", s->spec.name);
        }
        if (decay != 0.0) {
            return zo_fail(err, ZO_EUNSUPPORTED, "accumulate \"log\" keeps no tensors beside the weights, and the set \"%s\" goes on from its old values: "
                           "use \"accumulate\": \"weights\"", s->spec.name);
        }
        s->term = zo_realloc(s->term, ZO_HOST, s->spec.tag, (size_t)n * sizeof *term);
        if (n > 0) { /* a sum of nothing may come without terms */
            memcpy(s->term, term, (size_t)n * sizeof *term);
        }
        s->terms = n;
        return ZO_OK;
    }
    settle_readers(e, set);
    zo_store *old = s->store;
    double start = zo_now();
    if (old == NULL || (s->spec.beside && decay == 0.0)) {
        s->store = zo_store_new(be, zo_engine_layout_of(e, s), s->spec.tag);
    } else if (decay == 0.0) {
        be->zero(be, s->store->data, (size_t)s->store->size * sizeof(float));
    }
    zo_part_add(ZO_PART_UPDATE, zo_now() - start);
    double keeps = s->store != old || decay == 0.0 ? 1.0 : decay;
    if (n == 0 && keeps == 1.0) {
        /* zeros, as they are */
    } else if (s->spec.shape != ZO_SHAPE_WHOLE) {
        sweep_factors(e, s->store, s->spec.shape, keeps, term, n);
    } else {
        sweep_whole(e, s->store, keeps, resolve_terms(e, term, n), n);
    }
    if (s->store != old) {
        zo_store_free(be, old);
    }
    return ZO_OK;
}

static zo_status engine_combine(zo_objective *o, zo_set set, double decay, const zo_term *term, int n, zo_err *err)
{
    zo_engine *e = o->self;
    if (zo_backend_has(e->spec.be, ZO_SLOTS_SWEEPS, err) != ZO_OK || check_terms(e, term, n, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    if (set == ZO_SET_WEIGHTS) {
        if (too_many_own(count_own(term, n), err) != ZO_OK) {
            return ZO_EUNSUPPORTED;
        }
        return combine_weights(e, decay, term, n, err);
    }
    zo_opened *s = set_of(e, set);
    if (!s->spec.copy) {
        return combine_sum(e, set, decay, term, n, err);
    }
    bool copies = n == 1 && decay == 0.0 && term->dir.kind == ZO_DIR_SET && term->dir.set == ZO_SET_WEIGHTS && term->coef == 1.0;
    return copies ? copy_weights(e, s, err)
                  : zo_fail(err, ZO_EUNSUPPORTED, "the set \"%s\" is opened for copies of the weights and takes nothing else yet", s->spec.name);
}

/* factors ----------------------------------------------------------------------------------------------------------------- */

static zo_status engine_open_factors(zo_objective *o, const zo_factor_spec *spec, zo_err *err)
{
    zo_engine *e = o->self;
    zo_backend *be = e->spec.be;
    bool orthonormal = spec->kind == ZO_FACTORS_ORTHONORMAL, own = spec->kind != ZO_FACTORS_FIXED, subspace = spec->kind == ZO_FACTORS_SUBSPACE;
    if (zo_backend_has(be, own ? ZO_SLOTS_SWEEPS : ZO_SLOTS_LOWRANK, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    if (orthonormal && zo_backend_has(be, ZO_SLOTS_PRODUCTS, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    if (subspace && (e->spec.realisation == ZO_SIDEPATH || is_logged(e))) {
        return zo_fail(err, ZO_EUNSUPPORTED, "directions in a subspace are added to the weights, and %s never writes them: use \"accumulate\": \"weights\" and "
                       "\"streamed\" or \"inplace\"", is_logged(e) ? "accumulate \"log\"" : "realisation \"sidepath\"");
    }
    const zo_layout *layout = e->spec.weights->layout;
    for (int t = 0; t < layout->n && own && is_logged(e); t++) {
        if (layout->param[t].bits > 0 && !layout->param[t].frozen) {
            return zo_fail(err, ZO_EUNSUPPORTED, "a log of directions with factors of their own is formed with the weights, and %s is held as codes: use "
                           "a method of fixed factors, such as tezo, or \"quantised\": \"none\"", layout->param[t].name);
        }
    }
    ZO_CHECK(e->factors == NULL, "factors are made once in a run");
    settle_weights(e);
    int *rank = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)layout->n * sizeof *rank);
    zo_rank_choose(be, e->spec.weights, spec, rank);
    e->factors = own ? zo_factors_new_own(layout, rank, spec->scale_power, e->spec.seed) : zo_factors_new(be, layout, rank, spec->scale_power, e->spec.seed);
    zo_free(rank);
    if (own) {
        zo_own_open(&e->own, be, e->factors, orthonormal ? ZO_DIR_CORE : subspace ? ZO_DIR_SUBSPACE : ZO_DIR_FACTORS);
        e->own.raw_signs = spec->raw_signs;
    }
    if (orthonormal) {
        zo_own_open_orthonormal(&e->own);
    }
    for (int t = 0; spec->align && t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        e->factors->scale[t] = e->factors->rank[t] > 0 ? (float)(sqrt((double)p->rows * (double)p->cols) / e->factors->rank[t]) : 0.0f;
    }
    for (int t = 0; spec->tables == ZO_TABLES_FREEZE && t < layout->n; t++) {
        if (layout->param[t].kind == ZO_PARAM_TABLE) {
            e->factors->scale[t] = 0.0f;
        }
    }
    zo_parts_factor(&e->parts, e->factors);
    o->ncoef = e->factors->ncoef;
    size_t n = (size_t)o->ncoef;
    e->tau = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, n * sizeof *e->tau);
    e->span = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, n * sizeof *e->span);
    if ((e->spec.realisation == ZO_SIDEPATH || is_logged(e)) && !own) {
        e->side = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, n * sizeof *e->side);
        e->side_sum = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, n * sizeof *e->side_sum);
    }
    if (e->spec.realisation == ZO_SIDEPATH) {
        e->side_coef = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, (size_t)e->spec.io.most_points * n * sizeof *e->side_coef);
    }
    if (is_logged(e) && e->spec.weights->storage != ZO_STORAGE_F32 && be->reads_rest) {
        open_rest(e);
    }
    return ZO_OK;
}

static float *engine_open_numbers(zo_objective *o, const char *name)
{
    zo_engine *e = o->self;
    ZO_CHECK(e->factors != NULL, "the numbers \"%s\" are as many as the factors say: the estimator must call open_factors before", name);
    e->numbers = zo_realloc(e->numbers, ZO_HOST, ZO_TAG_OTHER, (size_t)(e->arrays + 1) * sizeof *e->numbers);
    e->numbers[e->arrays] = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, (size_t)o->ncoef * sizeof(float));
    return e->numbers[e->arrays++];
}

static void engine_numbers_of(zo_objective *o, const zo_dir *dir, float *x)
{
    zo_engine *e = o->self;
    memcpy(x, direction_coefs(e, dir), (size_t)o->ncoef * sizeof *x);
}

/* first order, and rules ---------------------------------------------------------------------------------------------------- */

/* A sum's store to write, which begins as zeros or as its spec says. */
static zo_store *made(zo_engine *e, zo_set set, zo_shape shape)
{
    zo_opened *s = set_of(e, set);
    ZO_CHECK(!s->spec.copy && s->part == NULL && s->spec.shape == shape, "the set \"%s\" is no operand here: it takes copies of the weights, or is of another shape",
             s->spec.name);
    if (s->store == NULL) {
        zo_engine_make_store(e, s);
    }
    settle_readers(e, set);
    return s->store;
}

/* What gradients need. */
static zo_status check_gradients(const zo_engine *e, bool there, zo_err *err)
{
    if (!there) {
        return zo_fail(err, ZO_EUNSUPPORTED, "this run has no gradients to give to a first-order optimizer");
    }
    if (is_logged(e)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "gradients are made at weights that are updated where they stand: use \"accumulate\": \"weights\"");
    }
    zo_status status = has_masters(e) ? zo_backend_has(e->spec.be, ZO_SLOTS_RULES, err) : ZO_OK;
    status = status == ZO_OK && has_masters(e) ? zo_backend_has(e->spec.be, ZO_SLOTS_SWEEPS, err) : status;
    return status == ZO_OK ? zo_backend_has(e->spec.be, ZO_SLOTS_BACKWARD, err) : status;
}

static zo_status engine_gradient(zo_objective *o, zo_which which, zo_set set, double *loss, double *norm, zo_err *err)
{
    zo_engine *e = o->self;
    zo_backend *be = e->spec.be;
    if (check_gradients(e, e->spec.io.gradient != NULL, err) != ZO_OK || (norm != NULL && zo_backend_has(be, ZO_SLOTS_NORMS, err) != ZO_OK)) {
        return ZO_EUNSUPPORTED;
    }
    settle_weights(e);
    double start = zo_now();
    zo_store *grad = made(e, set, ZO_SHAPE_WHOLE);
    be->zero(be, grad->data, (size_t)grad->size * sizeof(float));
    zo_part_add(ZO_PART_BACKWARD, zo_now() - start);
    zo_status status = e->spec.io.gradient(e->spec.io.context, which, grad, loss, err);
    if (status != ZO_OK) {
        return status;
    }
    status = check_losses(loss, 1, err);
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
    zo_store w = part_of_weights(&alone, movable(e), p.offset), stored = part_of_weights(&alone, e->spec.weights, p.offset);
    zo_store g = part_of(&alone, zo_set_values(sink->room, param));
    zo_store m = part_of(&alone, d->m != NULL ? d->m->data + p.offset : NULL), v = part_of(&alone, d->v != NULL ? d->v->data + p.offset : NULL);
    p.offset = 0;
    be->rule(be, d->rule, d->args, &w, &g, d->m != NULL ? &m : NULL, d->v != NULL ? &v : NULL);
    if (e->masters != NULL) {
        round_to(be, &stored, &w);
    }
    be->zero(be, g.data, (size_t)alone.trained_size * sizeof(float));
}

static zo_status engine_descend(zo_objective *o, zo_which which, zo_rule_kind rule, const zo_rule_args *args, const zo_operands *x, double *loss, zo_err *err)
{
    zo_engine *e = o->self;
    ZO_CHECK(x->over == ZO_SET_WEIGHTS && x->g == 0 && x->terms == 0 && x->m_numbers == NULL && !x->floor_by_size,
             "a rule in the backward pass is of the weights, its gradient and moments that are sets");
    if (check_gradients(e, e->spec.io.descend != NULL, err) != ZO_OK || zo_backend_has(e->spec.be, ZO_SLOTS_RULES, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    settle_weights(e);
    decay_as_wished(e);
    if (e->gradients == NULL) {
        e->gradients = zo_store_new_places(e->spec.be, e->spec.weights->layout, ZO_TAG_GRADS);
    }
    movable(e);
    descent d = {.sink = {.room = e->gradients, .take = take_gradient}, .e = e, .rule = rule, .args = args, .m = x->m != 0 ? made(e, x->m, ZO_SHAPE_WHOLE) : NULL,
                 .v = x->v != 0 ? made(e, x->v, ZO_SHAPE_WHOLE) : NULL};
    zo_status status = e->spec.io.descend(e->spec.io.context, which, &d.sink, loss, err);
    return status == ZO_OK ? check_losses(loss, 1, err) : status;
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

static zo_status engine_rule(zo_objective *o, zo_rule_kind rule, const zo_rule_args *args, const zo_operands *x, zo_err *err)
{
    zo_engine *e = o->self;
    zo_backend *be = e->spec.be;
    zo_slots slots = x->m_numbers != NULL ? ZO_SLOTS_LOWRANK_RULES : x->terms > 0 ? ZO_SLOTS_DRAWN_RULES : ZO_SLOTS_RULES;
    if (zo_backend_has(be, slots, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    if (is_logged(e)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "an elementwise rule makes no sum of directions, which is all that accumulate \"log\" keeps: use "
                       "\"accumulate\": \"weights\"");
    }
    if (check_terms(e, x->term, x->terms, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    if (x->over == ZO_SET_WEIGHTS) {
        settle_weights(e);
    }
    if (x->m_numbers != NULL) {
        ZO_CHECK(e->factors != NULL && rule == ZO_RULE_QUOTIENT, "moments of low rank need factors, and a rule that does not write them");
        be->rule_lowrank(be, rule, args, movable(e), e->factors, x->m_numbers, x->v_numbers);
        round_masters(e);
        return ZO_OK;
    }
    decay_as_wished(e);
    zo_shape shape = x->over != ZO_SET_WEIGHTS ? set_of(e, x->over)->spec.shape : ZO_SHAPE_WHOLE;
    ZO_CHECK(shape != ZO_SHAPE_LEFT && shape != ZO_SHAPE_RIGHT && (shape == ZO_SHAPE_WHOLE || x->terms == 0), "a rule over factors, or over cores of what is drawn");
    zo_store w = x->over != ZO_SET_WEIGHTS ? *made(e, x->over, shape) : *movable(e);
    w.layout = shape == ZO_SHAPE_WHOLE ? &e->parts.layout[ZO_LAYOUT_WHOLE] : w.layout;
    const zo_store *g = x->g != 0 ? summed(e, x->g, shape) : NULL;
    zo_store *m = x->m != 0 ? made(e, x->m, shape) : NULL, *v = x->v != 0 ? made(e, x->v, shape) : NULL;
    if (x->terms > 0) {
        for (int i = 0; i < x->terms; i++) {
            ZO_CHECK(x->term[i].dir.kind == ZO_DIR_DENSE && zo_rule_draws(rule), "a rule's operand is drawn on the way of dense terms, in some rules");
        }
        ZO_CHECK(!zo_rule_pairs(rule) || (x->terms == 2 && v == NULL), "%d terms of a rule that takes two, one for g and one for v", x->terms);
        be->rule_drawn(be, rule, args, &w, resolve_terms(e, x->term, x->terms), x->terms, m, v);
    } else if (x->of_scales) {
        ZO_CHECK(x->over == ZO_SET_WEIGHTS && x->g == 0 && x->m == 0 && x->v == 0, "a rule over scales reads nothing else");
        rule_scales(e, rule, args, &w);
    } else if (x->floor_by_size) {
        rule_by_size(e, rule, args, &w, m, v);
    } else {
        be->rule(be, rule, args, &w, g, m, v);
    }
    if (x->over == ZO_SET_WEIGHTS) {
        round_masters(e);
    }
    return ZO_OK;
}

/* The least magnitudes: a threshold for each parameter. */
static zo_status engine_mask(zo_objective *o, zo_set set, double share, bool anew, zo_err *err)
{
    zo_engine *e = o->self;
    if (zo_backend_has(e->spec.be, ZO_SLOTS_RULES, err) != ZO_OK || check_set_in_points(e, set, err) != ZO_OK || check_no_masters(e, "a mask", err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    const zo_layout *layout = e->spec.weights->layout;
    settle_weights(e);
    zo_store *mask = made(e, set, ZO_SHAPE_WHOLE);
    zo_opened *s = set_of(e, set);
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

static zo_status engine_dot(zo_objective *o, zo_set a, zo_set b, double *dot, zo_err *err)
{
    zo_engine *e = o->self;
    if (is_logged(e)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "accumulate \"log\" keeps no tensors beside the weights, and the set \"%s\" has no norm there: use "
                       "\"accumulate\": \"weights\"", set_of(e, a)->spec.name);
    }
    if (zo_backend_has(e->spec.be, ZO_SLOTS_NORMS, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    *dot = set_of(e, a)->store == NULL || set_of(e, b)->store == NULL ? 0.0 : e->spec.be->dot(e->spec.be, summed(e, a, set_of(e, b)->spec.shape), summed(e, b, set_of(e, a)->spec.shape));
    return ZO_OK;
}

static zo_status engine_features(zo_objective *o, zo_features *features, zo_err *err)
{
    zo_engine *e = o->self;
    if (e->spec.io.features == NULL) {
        return zo_fail(err, ZO_EUNSUPPORTED, "this run has no features of a head to give to a linear probe");
    }
    if (is_logged(e)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "a linear probe writes the head, and accumulate \"log\" never writes weights: use \"accumulate\": \"weights\"");
    }
    return e->spec.io.features(e->spec.io.context, zo_engine_settle(e), features, err);
}

static zo_status engine_set_head(zo_objective *o, const zo_features *features, const double *w, zo_err *err)
{
    zo_engine *e = o->self;
    if (check_no_masters(e, "a head that is set", err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    settle_weights(e);
    return e->spec.io.set_head(e->spec.io.context, features, w, err);
}

/* the engine -------------------------------------------------------------------------------------------------------------- */

zo_blocks zo_trained_blocks(const zo_layout *layout)
{
    zo_blocks trained = {0};
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        trained.outside = trained.outside || (!p->frozen && p->block < 0);
        trained.in |= !p->frozen && p->block >= 0 && p->block < ZO_DIR_BLOCKS ? (uint64_t)1 << p->block : 0;
    }
    return trained;
}

zo_engine *zo_engine_new(const zo_engine_spec *spec)
{
    ZO_CHECK(spec->io.losses != NULL && spec->io.most_points > 0, "an engine needs io.losses and most_points > 0");
    zo_engine *e = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *e);
    e->spec = *spec;
    e->objective = (zo_objective){.self = e,
                                  .seed = spec->seed,
                                  .losses = engine_losses,
                                  .open = engine_open,
                                  .combine = engine_combine,
                                  .carry = engine_carry,
                                  .dot = engine_dot,
                                  .open_factors = engine_open_factors,
                                  .open_numbers = engine_open_numbers,
                                  .numbers_of = engine_numbers_of,
                                  .gradient = engine_gradient,
                                  .rule = engine_rule,
                                  .mask = engine_mask,
                                  .features = engine_features,
                                  .set_head = engine_set_head,
                                  .tensors = engine_tensors,
                                  .norms = engine_norms,
                                  .place = engine_place,
                                  .descend = engine_descend,
                                  .orthogonalise = engine_orthogonalise};
    for (int t = 0; t < spec->weights->layout->n; t++) {
        const zo_param *p = &spec->weights->layout->param[t];
        e->objective.blocks = p->block >= e->objective.blocks ? p->block + 1 : e->objective.blocks;
        e->objective.size += p->frozen ? 0 : p->rows * p->cols;
    }
    e->objective.trained = zo_trained_blocks(spec->weights->layout);
    zo_parts_open(&e->parts, spec->weights->layout);
    zo_moves_open(&e->weights, spec->be, &e->parts, spec->weights);
    reserve_dirs(e, 1); /* here and not in the first settling: evaluations are no part of training's memory */
    if (is_logged(e)) {
        zo_term_log_open(&e->log);
        reserve_dirs(e, ZO_LOG_MOST + ZO_OWN_SUMS + 4);
        reserve_coefs(e, (int64_t)spec->io.most_points * (ZO_LOG_MOST + ZO_OWN_SUMS + 4));
    }
    e->base = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)spec->io.most_points * sizeof *e->base);
    return e;
}

void zo_engine_free(zo_engine *e)
{
    if (e == NULL) {
        return;
    }
    zo_backend *be = e->spec.be;
    zo_moves_close(&e->weights);
    zo_parts_close(&e->parts);
    for (int k = 0; k < e->sets; k++) {
        zo_moves_close(&e->set[k].moves);
        zo_store_free(be, e->set[k].store);
        zo_free(e->set[k].mark.coef);
        zo_free(e->set[k].term);
        zo_free(e->set[k].threshold);
        if (e->set[k].part != NULL) {
            zo_layout_free(e->set[k].part);
        }
        zo_free(e->set[k].part);
        zo_free(e->set[k].part_of);
    }
    zo_free(e->set);
    zo_term_log_close(&e->log);
    zo_store_free(be, e->rest);
    zo_store_free(be, e->gradients);
    zo_store_free(be, e->masters);
    zo_layout_free(&e->rest_layout);
    zo_layout_free(&e->sum_layout);
    zo_free(e->rest_of);
    zo_own_close(&e->own);
    zo_factors_free(be, e->factors);
    for (int k = 0; k < e->arrays; k++) {
        zo_free(e->numbers[k]);
    }
    zo_free(e->numbers);
    zo_free(e->tau);
    zo_free(e->span);
    zo_free(e->side);
    zo_free(e->side_sum);
    zo_free(e->side_coef);
    zo_free(e->base);
    zo_free(e->coef);
    zo_free(e->dir);
    zo_free(e->resolved);
    zo_free(e);
}

zo_objective *zo_engine_objective(zo_engine *e)
{
    return &e->objective;
}

const zo_factors *zo_engine_factors(const zo_engine *e)
{
    return e->factors;
}

int zo_engine_last_probe(zo_engine *e, zo_term term[ZO_PROBE_TERMS])
{
    for (int i = 0; i < e->probe_terms; i++) {
        term[i] = (zo_term){.dir = zo_engine_resolve(e, &e->probe[i].dir), .coef = e->probe[i].coef};
    }
    return e->probe_terms;
}

const zo_view *zo_engine_settle(zo_engine *e)
{
    settle_weights(e);
    e->settled_base = e->spec.weights;
    e->settled = zo_view_stored(&e->settled_base);
    int n = log_dirs(e, &e->settled);
    reserve_coefs(e, n);
    for (int d = 0; d < n; d++) {
        e->coef[d] = (float)log_coef(e, ZO_SET_WEIGHTS, d);
    }
    e->settled.dir = e->dir;
    e->settled.coef = e->coef;
    if (n > 0 || e->spec.realisation == ZO_SIDEPATH || e->rest != NULL) {
        e->settled.factors = e->factors;
    }
    e->settled.side = e->spec.realisation == ZO_SIDEPATH && e->objective.ncoef > 0 ? e->side_sum : NULL; /* NULL where factors are a direction's own */
    return &e->settled;
}

/* Matrices that are held as codes and trained beside them: their sum stands in an arena of numbers, with everything else. Returns whether there are
 * some. */
static bool lay_sum(zo_engine *e)
{
    const zo_layout *layout = e->spec.weights->layout;
    bool any = false;
    for (int t = 0; t < layout->n; t++) {
        any = any || (layout->param[t].bits > 0 && !layout->param[t].frozen);
    }
    for (int t = 0; t < layout->n && any && e->sum_layout.n < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        int at = zo_layout_add(&e->sum_layout, p->name, p->kind, p->rows, p->cols, p->block, p->decay);
        e->sum_layout.param[at].frozen = p->frozen;
    }
    return any;
}

zo_store *zo_engine_sum(zo_engine *e)
{
    zo_backend *be = e->spec.be;
    const zo_view *view = zo_engine_settle(e);
    const zo_layout *layout = e->spec.weights->layout;
    bool apart = lay_sum(e); /* then nothing stands below it */
    zo_store *sum = apart ? zo_store_new_as(be, &e->sum_layout, ZO_STORAGE_F32, ZO_TAG_OTHER) : zo_store_new(be, layout, ZO_TAG_OTHER);
    sum->below = apart ? NULL : e->spec.weights;
    for (int t = 0; t < layout->n; t++) {
        if (layout->param[t].frozen && !apart) {
            continue;
        }
        int at = view->rest != NULL ? view->rest_of[t] : -1;
        float *host = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(layout->param[t].rows * layout->param[t].cols) * sizeof *host);
        zo_store_get(be, at >= 0 ? view->rest : e->spec.weights, at >= 0 ? at : t, host);
        zo_store_set(be, sum, t, host);
        zo_free(host);
    }
    int n = view->ndirs + (view->side != NULL);
    zo_term *term = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(n > 0 ? n : 1) * sizeof *term);
    for (int d = 0; d < view->ndirs; d++) {
        term[d] = (zo_term){.dir = view->dir[d], .coef = view->coef[d]};
    }
    if (view->side != NULL) {
        term[n - 1] = (zo_term){.dir = {.kind = ZO_DIR_SPAN, .span = view->side}, .coef = 1.0};
    }
    if (n > 0) {
        be->apply(be, sum, view->factors, 1.0, term, n, NULL);
    }
    zo_free(term);
    return sum;
}
