/* sets.c: what an estimator opened: copies of the weights, sums of directions, factors, and the distance to a copy. */
#include <math.h>
#include <string.h>

#include "core/clock.h"
#include "optimizers/engine/engine_state.h"

zo_opened *zo_engine_set_of(const zo_engine *e, zo_set set)
{
    ZO_CHECK(set > ZO_SET_WEIGHTS && set <= e->sets, "set %d was not opened: %d are, and an estimator opens its own in start()", (int)set, e->sets);
    return &e->set[set - 1];
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

const zo_store *zo_engine_summed(zo_engine *e, zo_set set, zo_shape shape)
{
    zo_opened *s = zo_engine_set_of(e, set);
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
        zo_engine_settle_weights(e);
    }
    for (int k = 0; k < e->sets; k++) {
        if (e->set[k].store != NULL && e->set[k].spec.copy && zo_moves_read(&e->set[k].moves, set)) {
            zo_engine_settle_moves(e, &e->set[k].moves);
        }
    }
    e->own.formed.used = e->own.formed.of.set == set ? 0 : e->own.formed.used;
}

zo_status zo_engine_check_set_in_points(const zo_engine *e, zo_set set, zo_err *err)
{
    if (set == ZO_SET_WEIGHTS || zo_engine_set_of(e, set)->spec.copy) {
        return zo_fail(err, ZO_EUNSUPPORTED, "a point cannot have the %s as a term yet: it stands on them, and has directions and sums as terms",
                       set == ZO_SET_WEIGHTS ? "weights" : "copied weights");
    }
    const char *name = zo_engine_set_of(e, set)->spec.name;
    if (zo_engine_is_logged(e)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "accumulate \"log\" keeps no tensors beside the weights, and points have the set \"%s\" as a term: use "
                       "\"accumulate\": \"weights\"", name);
    }
    if (e->spec.realisation == ZO_SIDEPATH) {
        return zo_fail(err, ZO_EUNSUPPORTED, "realisation \"sidepath\" runs low-rank directions only, and points have the set \"%s\" as a term: use "
                       "\"streamed\" or \"inplace\"", name);
    }
    return ZO_OK;
}

/* Of a set that is of some linear layers. */
static zo_status open_part(zo_engine *e, zo_opened *s, zo_err *err)
{
    const zo_layout *all = e->spec.weights->layout;
    if (zo_engine_is_logged(e) || e->spec.realisation == ZO_SIDEPATH) {
        return zo_fail(err, ZO_EUNSUPPORTED, "the set \"%s\" is for putting the weights elsewhere, and %s never writes them: use %s", s->spec.name,
                       zo_engine_is_logged(e) ? "accumulate \"log\"" : "realisation \"sidepath\"",
                       zo_engine_is_logged(e) ? "\"accumulate\": \"weights\"" : "\"streamed\" or \"inplace\"");
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

zo_status zo_engine_open(zo_objective *o, const zo_set_spec *spec, zo_set *set, zo_err *err)
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
    return spec->in_points ? zo_engine_check_set_in_points(e, *set, err) : ZO_OK;
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
    if (zo_engine_is_logged(e)) {
        ZO_CHECK(e->factors == NULL, "a copy of a log with low-rank terms");
        zo_log_mark_take(&s->mark, &e->log, s->spec.tag);
        return ZO_OK;
    }
    if (zo_engine_check_no_masters(e, "a copy", err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    zo_engine_settle_weights(e);
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
    zo_term *draws = zo_engine_resolved_terms(e, n);
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

zo_status zo_engine_carry(zo_objective *o, zo_set set, const zo_dir *from, const zo_dir *to, zo_err *err)
{
    zo_engine *e = o->self;
    (void)err; /* what it needs was asked for when the set was opened */
    zo_opened *s = zo_engine_set_of(e, set);
    ZO_CHECK(s->spec.shape == ZO_SHAPE_LEFT, "the set \"%s\" has no left factors", s->spec.name);
    if (s->store != NULL) {
        settle_readers(e, set);
        zo_own_slot *old = zo_engine_realise(e, ZO_SIDE_RIGHT, from), *new = zo_engine_realise(e, ZO_SIDE_RIGHT, to);
        zo_own_carry(&e->own, old, new, zo_engine_spare_slot(e, ZO_SIDE_LEFT), s->store);
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
           (n == 1 || (term[1].dir.kind == ZO_DIR_SET && term[1].coef == -1.0 && term[1].dir.set != ZO_SET_WEIGHTS && zo_engine_set_of(e, term[1].dir.set)->spec.copy));
}

/* set <- weights, or weights - a copy, exactly where f32 has the difference. */
static zo_status take_distance(zo_engine *e, zo_opened *s, const zo_term *term, int n, zo_err *err)
{
    const zo_opened *copy = n > 1 ? zo_engine_set_of(e, term[1].dir.set) : NULL;
    ZO_CHECK(copy == NULL || (copy->spec.linear == s->spec.linear && copy->store != NULL), "the set \"%s\" is the distance to a copy of other parameters, or "
             "of none", s->spec.name);
    if (zo_backend_has(e->spec.be, ZO_SLOTS_RULES, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    zo_engine_settle_weights(e);
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
    const zo_opened *s = zo_engine_set_of(e, set);
    ZO_CHECK(s->part != NULL && !s->spec.copy, "the set \"%s\" is no sum whose spec has `linear`", s->spec.name);
    return s;
}

int zo_engine_tensors(zo_objective *o, zo_set set)
{
    return part_sum(o->self, set)->part->n;
}

zo_status zo_engine_norms(zo_objective *o, zo_set set, double *norm, zo_err *err)
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

zo_status zo_engine_place(zo_objective *o, zo_set anchor, zo_set offset, const double *coef, zo_err *err)
{
    zo_engine *e = o->self;
    const zo_opened *s = part_sum(e, offset), *from = anchor != ZO_SET_WEIGHTS ? zo_engine_set_of(e, anchor) : NULL;
    ZO_CHECK(s->store != NULL && (from == NULL || (from->store != NULL && from->spec.linear == s->spec.linear)),
             "the set \"%s\" was not written, or is not anchored at a copy of the same parameters", s->spec.name);
    if (zo_backend_has(e->spec.be, ZO_SLOTS_SWEEPS, err) != ZO_OK || zo_engine_check_no_masters(e, "a place", err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    zo_engine_settle_weights(e);
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

zo_status zo_engine_orthogonalise(zo_objective *o, zo_set set, int iterations, zo_err *err)
{
    zo_engine *e = o->self;
    (void)err; /* what it needs was asked for when the set was opened */
    zo_opened *s = zo_engine_set_of(e, set);
    ZO_CHECK(s->spec.shape == ZO_SHAPE_RIGHT, "the set \"%s\" has no right factors", s->spec.name);
    if (s->store != NULL) {
        settle_readers(e, set);
        zo_own_orthogonalise(&e->own, s->store, zo_engine_spare_slot(e, ZO_SIDE_RIGHT), iterations);
    }
    return ZO_OK;
}

static zo_status combine_sum(zo_engine *e, zo_set set, double decay, const zo_term *term, int n, zo_err *err)
{
    zo_backend *be = e->spec.be;
    zo_opened *s = zo_engine_set_of(e, set);
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
    if (s->spec.shape == ZO_SHAPE_WHOLE && zo_engine_too_many_own(zo_engine_count_own(term, n), err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    if (zo_engine_is_logged(e) && s->spec.shape != ZO_SHAPE_LEFT) { /* left factors are as many numbers as those of the log's own sums */
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
        sweep_whole(e, s->store, keeps, zo_engine_resolve_terms(e, term, n), n);
    }
    if (s->store != old) {
        zo_store_free(be, old);
    }
    return ZO_OK;
}

zo_status zo_engine_combine(zo_objective *o, zo_set set, double decay, const zo_term *term, int n, zo_err *err)
{
    zo_engine *e = o->self;
    if (zo_backend_has(e->spec.be, ZO_SLOTS_SWEEPS, err) != ZO_OK || zo_engine_check_terms(e, term, n, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    if (set == ZO_SET_WEIGHTS) {
        if (zo_engine_too_many_own(zo_engine_count_own(term, n), err) != ZO_OK) {
            return ZO_EUNSUPPORTED;
        }
        return zo_engine_combine_weights(e, decay, term, n, err);
    }
    zo_opened *s = zo_engine_set_of(e, set);
    if (!s->spec.copy) {
        return combine_sum(e, set, decay, term, n, err);
    }
    bool copies = n == 1 && decay == 0.0 && term->dir.kind == ZO_DIR_SET && term->dir.set == ZO_SET_WEIGHTS && term->coef == 1.0;
    return copies ? copy_weights(e, s, err)
                  : zo_fail(err, ZO_EUNSUPPORTED, "the set \"%s\" is opened for copies of the weights and takes nothing else yet", s->spec.name);
}

zo_store *zo_engine_operand(zo_engine *e, zo_set set, zo_shape shape)
{
    zo_opened *s = zo_engine_set_of(e, set);
    ZO_CHECK(!s->spec.copy && s->part == NULL && s->spec.shape == shape, "the set \"%s\" is no operand here: it takes copies of the weights, or is of another shape",
             s->spec.name);
    if (s->store == NULL) {
        zo_engine_make_store(e, s);
    }
    settle_readers(e, set);
    return s->store;
}

zo_status zo_engine_dot(zo_objective *o, zo_set a, zo_set b, double *dot, zo_err *err)
{
    zo_engine *e = o->self;
    if (zo_engine_is_logged(e)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "accumulate \"log\" keeps no tensors beside the weights, and the set \"%s\" has no norm there: use "
                       "\"accumulate\": \"weights\"", zo_engine_set_of(e, a)->spec.name);
    }
    if (zo_backend_has(e->spec.be, ZO_SLOTS_NORMS, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    *dot = zo_engine_set_of(e, a)->store == NULL || zo_engine_set_of(e, b)->store == NULL ? 0.0 : e->spec.be->dot(e->spec.be, zo_engine_summed(e, a, zo_engine_set_of(e, b)->spec.shape), zo_engine_summed(e, b, zo_engine_set_of(e, a)->spec.shape));
    return ZO_OK;
}
