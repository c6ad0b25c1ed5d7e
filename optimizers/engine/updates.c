/* updates.c: terms become sweeps over the weights, numbers beside them, or a log; and the masters that weights of 16 bits are made of. */
#include <string.h>

#include "core/clock.h"
#include "optimizers/engine/engine_state.h"

void zo_engine_round_to(zo_backend *be, zo_store *w, const zo_store *master)
{
    zo_layout every = *w->layout;
    every.decays_whole = true;
    zo_store whole = *w;
    whole.layout = &every;
    zo_term all = {.dir = {.kind = ZO_DIR_SET, .values = master}, .coef = 1.0};
    be->apply(be, &whole, NULL, 0.0, &all, 1, NULL);
}

void zo_engine_round_masters(zo_engine *e)
{
    if (e->masters != NULL) {
        zo_engine_round_to(e->spec.be, e->spec.weights, e->masters);
    }
}

void zo_engine_flush(zo_engine *e, zo_moves *moves)
{
    bool moved = moves->n > 0;
    zo_moves_flush(moves);
    if (moves == &e->weights) {
        e->span_queued = false;
        if (moved) {
            zo_engine_round_masters(e);
        }
    }
}

void zo_engine_settle_moves(zo_engine *e, zo_moves *moves)
{
    zo_moves_restore(moves);
    zo_engine_flush(e, moves);
}

void zo_engine_settle_weights(zo_engine *e)
{
    zo_engine_settle_moves(e, &e->weights);
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

zo_store *zo_engine_movable(zo_engine *e)
{
    if (zo_engine_has_masters(e) && e->masters == NULL) {
        zo_engine_settle_weights(e);
        zo_engine_make_masters(e);
    }
    return e->masters != NULL ? e->masters : e->spec.weights;
}

zo_status zo_engine_check_no_masters(const zo_engine *e, const char *what, zo_err *err)
{
    return !zo_engine_has_masters(e) ? ZO_OK
                           : zo_fail(err, ZO_EUNSUPPORTED, "%s is of the weights, and weights of 16 bits with masters in f32 are made of these: use \"storage\": \"f32\" or \"master\": "
                                     "false", what);
}

void zo_engine_decay_as_wished(zo_engine *e)
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
            zo_engine_flush(e, &e->weights);
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
    const float *tau = zo_engine_direction_coefs(e, &term->dir);
    for (int64_t k = 0; k < e->objective.ncoef; k++) {
        e->side[k] += term->coef * tau[k];
    }
    zo_part_add(ZO_PART_UPDATE, zo_now() - start);
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
        zo_engine_flush(e, &e->weights);
        return true;
    }
    if (e->rest != NULL) {
        e->spec.be->apply(e->spec.be, e->rest, NULL, 1.0, term, 1, NULL);
    }
    return e->rest != NULL;
}

zo_store zo_engine_part_of(const zo_layout *alone, float *values)
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
        zo_store w = zo_engine_part_of(&alone, to), of = zo_engine_part_of(&alone, s->store->data + e->factors->left_at[t]);
        zo_term move = {.dir = {.kind = ZO_DIR_SET, .values = &of}, .coef = coef};
        p.offset = 0;
        e->spec.be->apply(e->spec.be, &w, NULL, 1.0, &move, 1, NULL);
    }
    return ZO_OK;
}

/* Of a log: a direction with factors of its own becomes a part of its V's sum, and so does a sum of left factors. */
static zo_status add_to_sums(zo_engine *e, const zo_term *term, zo_err *err)
{
    const zo_opened *held = term->dir.kind == ZO_DIR_HELD ? zo_engine_set_of(e, term->dir.set) : NULL;
    if (held != NULL && held->spec.shape != ZO_SHAPE_LEFT) {
        return zo_fail(err, ZO_EUNSUPPORTED, "accumulate \"log\" keeps directions, and not the set \"%s\", along which the weights are to move: use "
                       "\"accumulate\": \"weights\"", held->spec.name);
    }
    const zo_store *left = held != NULL ? zo_engine_summed(e, term->dir.set, ZO_SHAPE_LEFT) : zo_engine_realise(e, ZO_SIDE_LEFT, &term->dir)->store;
    const zo_own_slot *right = zo_engine_realise(e, ZO_SIDE_RIGHT, &term->dir);
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
            const zo_opened *s = zo_engine_set_of(e, term[i].dir.set);
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

zo_status zo_engine_combine_weights(zo_engine *e, double decay, const zo_term *term, int n, zo_err *err)
{
    bool side = e->spec.realisation == ZO_SIDEPATH;
    for (int i = 0; i < n; i++) {
        if (term[i].dir.kind != ZO_DIR_SET) {
            continue;
        }
        if (term[i].dir.set == ZO_SET_WEIGHTS || zo_engine_set_of(e, term[i].dir.set)->spec.copy) {
            return zo_fail(err, ZO_EUNSUPPORTED, "the weights cannot be added to a copy of themselves yet: they take directions, and sets that are sums");
        }
    }
    if (zo_engine_is_logged(e)) {
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
    zo_engine_decay_as_wished(e);
    zo_engine_movable(e);
    zo_moves_update(&e->weights, decay, NULL, 0);
    for (int i = 0; i < n; i++) {
        if (side && zo_dir_is_lowrank(term[i].dir.kind) && !zo_engine_has_own(e)) {
            add_to_side(e, &term[i]);
        } else {
            queue_term(e, (zo_term){.dir = zo_engine_resolve(e, &term[i].dir), .coef = term[i].coef});
        }
    }
    if (e->spec.realisation != ZO_INPLACE) {
        zo_engine_flush(e, &e->weights);
    }
    return ZO_OK;
}
