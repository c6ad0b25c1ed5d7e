/* directions.c: factors, and a direction as a backend reads it, with what it borrows from sets and factors put in. */
#include <math.h>
#include <string.h>

#include "optimizers/engine/engine_state.h"
#include "optimizers/engine/rank_rule.h"

static void check_factors(const zo_engine *e, const zo_dir *dir)
{
    ZO_CHECK(e->factors != NULL, "a low-rank direction needs factors: the estimator must call open_factors in start()");
    bool own = zo_engine_has_own(e), of_own = zo_dir_has_factors(dir->kind);
    ZO_CHECK(of_own == own && (!own || dir->kind == ZO_DIR_HELD || dir->kind == e->own.kind),
             "a direction of kind %d, and open_factors was called for another kind of factors", (int)dir->kind);
}

const float *zo_engine_direction_coefs(zo_engine *e, const zo_dir *dir)
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

/* What reads a slot is done before it is made anew. */
static zo_own_slot *cleared(zo_engine *e, zo_own_slot *slot)
{
    if (slot->used > 0 && zo_moves_read_factor(&e->weights, slot->store->data)) {
        zo_engine_settle_weights(e);
    }
    for (int k = 0; k < e->sets && slot->used > 0; k++) {
        if (e->set[k].store != NULL && e->set[k].spec.copy && zo_moves_read_factor(&e->set[k].moves, slot->store->data)) {
            zo_engine_settle_moves(e, &e->set[k].moves);
        }
    }
    return slot;
}

zo_own_slot *zo_engine_spare_slot(zo_engine *e, zo_own_side side)
{
    return cleared(e, zo_own_oldest(&e->own, side));
}

zo_own_slot *zo_engine_realise(zo_engine *e, zo_own_side side, const zo_dir *dir)
{
    check_factors(e, dir);
    zo_own_slot *slot = zo_own_find(&e->own, side, dir);
    if (slot == NULL) {
        slot = zo_engine_spare_slot(e, side);
        zo_own_make(&e->own, slot, side, dir);
    }
    return slot;
}

/* The left factors of a HELD direction: a set's own, or what its cores make. */
static const zo_store *held_left(zo_engine *e, const zo_dir *dir)
{
    zo_shape shape = zo_engine_set_of(e, dir->set)->spec.shape;
    const zo_store *values = zo_engine_summed(e, dir->set, shape);
    if (shape != ZO_SHAPE_CORE && shape != ZO_SHAPE_RIGHT) {
        ZO_CHECK(shape == ZO_SHAPE_LEFT, "the set \"%s\" holds no factors", zo_engine_set_of(e, dir->set)->spec.name);
        return values;
    }
    zo_own_slot *formed = &e->own.formed;
    if (formed->used == 0 || !zo_dir_same(&formed->of, dir)) {
        cleared(e, formed);
        zo_dir along = *dir; /* the direction whose U it is */
        along.kind = ZO_DIR_SUBSPACE;
        zo_own_form(&e->own, dir, values, shape == ZO_SHAPE_RIGHT ? zo_engine_realise(e, ZO_SIDE_LEFT, &along) : NULL);
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
        d.values = zo_engine_summed(e, d.set, ZO_SHAPE_WHOLE);
    } else if (d.kind == ZO_DIR_DENSE && d.scale != 0) {
        d.by = zo_engine_summed(e, d.scale, ZO_SHAPE_WHOLE);
    } else if (zo_dir_has_factors(d.kind)) {
        d.own.left = (d.kind == ZO_DIR_HELD ? held_left(e, dir) : zo_engine_realise(e, ZO_SIDE_LEFT, dir)->store)->data;
        bool right = d.kind == ZO_DIR_HELD && zo_engine_set_of(e, d.set)->spec.shape == ZO_SHAPE_RIGHT;
        d.own.right = (right ? zo_engine_summed(e, d.set, ZO_SHAPE_RIGHT) : zo_engine_realise(e, ZO_SIDE_RIGHT, dir)->store)->data;
    }
    return d;
}

zo_term *zo_engine_resolved_terms(zo_engine *e, int n)
{
    if (n > e->resolved_room) {
        e->resolved_room = n;
        e->resolved = zo_realloc(e->resolved, ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *e->resolved);
    }
    return e->resolved;
}

const zo_term *zo_engine_resolve_terms(zo_engine *e, const zo_term *term, int n)
{
    bool any = false;
    for (int i = 0; i < n; i++) {
        any = any || is_resolved(&term[i].dir);
    }
    if (!any) {
        return term;
    }
    zo_engine_resolved_terms(e, n);
    for (int i = 0; i < n; i++) {
        e->resolved[i] = (zo_term){.dir = zo_engine_resolve(e, &term[i].dir), .coef = term[i].coef};
    }
    return e->resolved;
}

int zo_engine_count_own(const zo_term *term, int n)
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

zo_status zo_engine_too_many_own(int own, zo_err *err)
{
    return own <= ZO_OWN_SLOTS ? ZO_OK
                               : zo_fail(err, ZO_EUNSUPPORTED, "%d directions with factors of their own are asked for at a time, and %d are realised: ask for fewer",
                                         own, ZO_OWN_SLOTS);
}

zo_status zo_engine_check_terms(const zo_engine *e, const zo_term *term, int n, zo_err *err)
{
    for (int i = 0; i < n; i++) {
        const zo_dir *dir = &term[i].dir;
        if (dir->scale != 0 && zo_engine_check_set_in_points(e, dir->scale, err) != ZO_OK) {
            return ZO_EUNSUPPORTED;
        }
        if (dir->scale != 0 && (dir->kind != ZO_DIR_DENSE || e->factors != NULL)) {
            return zo_fail(err, ZO_EUNSUPPORTED, "the set \"%s\" scales a direction that is not dense, or one beside factors: scale dense ones of a run "
                           "without factors", zo_engine_set_of(e, dir->scale)->spec.name);
        }
        if ((dir->kind == ZO_DIR_CP || (zo_dir_has_factors(dir->kind) && dir->kind != ZO_DIR_HELD)) && (dir->draw != ZO_DRAW_GAUSS || zo_blocks_any(zo_dir_skip(dir)))) {
            return zo_fail(err, ZO_EUNSUPPORTED, "a direction of low rank has normal numbers on every block, and this one %s: draw a dense one so",
                           zo_blocks_any(zo_dir_skip(dir)) ? "leaves out blocks" : "has signs");
        }
    }
    return ZO_OK;
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

zo_status zo_engine_open_factors(zo_objective *o, const zo_factor_spec *spec, zo_err *err)
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
    if (subspace && (e->spec.realisation == ZO_SIDEPATH || zo_engine_is_logged(e))) {
        return zo_fail(err, ZO_EUNSUPPORTED, "directions in a subspace are added to the weights, and %s never writes them: use \"accumulate\": \"weights\" and "
                       "\"streamed\" or \"inplace\"", zo_engine_is_logged(e) ? "accumulate \"log\"" : "realisation \"sidepath\"");
    }
    const zo_layout *layout = e->spec.weights->layout;
    for (int t = 0; t < layout->n && own && zo_engine_is_logged(e); t++) {
        if (layout->param[t].bits > 0 && !layout->param[t].frozen) {
            return zo_fail(err, ZO_EUNSUPPORTED, "a log of directions with factors of their own is formed with the weights, and %s is held as codes: use "
                           "a method of fixed factors, such as tezo, or \"quantised\": \"none\"", layout->param[t].name);
        }
    }
    ZO_CHECK(e->factors == NULL, "factors are made once in a run");
    zo_engine_settle_weights(e);
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
    if ((e->spec.realisation == ZO_SIDEPATH || zo_engine_is_logged(e)) && !own) {
        e->side = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, n * sizeof *e->side);
        e->side_sum = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, n * sizeof *e->side_sum);
    }
    if (e->spec.realisation == ZO_SIDEPATH) {
        e->side_coef = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, (size_t)e->spec.io.most_points * n * sizeof *e->side_coef);
    }
    if (zo_engine_is_logged(e) && e->spec.weights->storage != ZO_STORAGE_F32 && be->reads_rest) {
        open_rest(e);
    }
    return ZO_OK;
}

float *zo_engine_open_numbers(zo_objective *o, const char *name)
{
    zo_engine *e = o->self;
    ZO_CHECK(e->factors != NULL, "the numbers \"%s\" are as many as the factors say: the estimator must call open_factors before", name);
    e->numbers = zo_realloc(e->numbers, ZO_HOST, ZO_TAG_OTHER, (size_t)(e->arrays + 1) * sizeof *e->numbers);
    e->numbers[e->arrays] = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, (size_t)o->ncoef * sizeof(float));
    return e->numbers[e->arrays++];
}

void zo_engine_numbers_of(zo_objective *o, const zo_dir *dir, float *x)
{
    zo_engine *e = o->self;
    memcpy(x, zo_engine_direction_coefs(e, dir), (size_t)o->ncoef * sizeof *x);
}
