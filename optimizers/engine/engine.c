/* engine.c: see engine.h. An engine begins, settles, and ends. It does not know what a model is: losses and gradients come through zo_engine_io.
 * What a method asks of it stands in losses.c, updates.c, sets.c and rules.c, and how a direction becomes numbers in directions.c. */
#include "optimizers/engine/engine.h"

#include "optimizers/engine/engine_state.h"

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

zo_status zo_engine_features(zo_objective *o, zo_features *features, zo_err *err)
{
    zo_engine *e = o->self;
    if (e->spec.io.features == NULL) {
        return zo_fail(err, ZO_EUNSUPPORTED, "this run has no features of a head to give to a linear probe");
    }
    if (zo_engine_is_logged(e)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "a linear probe writes the head, and accumulate \"log\" never writes weights: use \"accumulate\": \"weights\"");
    }
    return e->spec.io.features(e->spec.io.context, zo_engine_settle(e), features, err);
}

zo_status zo_engine_set_head(zo_objective *o, const zo_features *features, const double *w, zo_err *err)
{
    zo_engine *e = o->self;
    if (zo_engine_check_no_masters(e, "a head that is set", err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    zo_engine_settle_weights(e);
    return e->spec.io.set_head(e->spec.io.context, features, w, err);
}

zo_engine *zo_engine_new(const zo_engine_spec *spec)
{
    ZO_CHECK(spec->io.losses != NULL && spec->io.most_points > 0, "an engine needs io.losses and most_points > 0");
    zo_engine *e = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *e);
    e->spec = *spec;
    e->objective = (zo_objective){.self = e,
                                  .seed = spec->seed,
                                  .losses = zo_engine_losses,
                                  .open = zo_engine_open,
                                  .combine = zo_engine_combine,
                                  .carry = zo_engine_carry,
                                  .dot = zo_engine_dot,
                                  .open_factors = zo_engine_open_factors,
                                  .open_numbers = zo_engine_open_numbers,
                                  .numbers_of = zo_engine_numbers_of,
                                  .gradient = zo_engine_gradient,
                                  .rule = zo_engine_rule,
                                  .mask = zo_engine_mask,
                                  .features = zo_engine_features,
                                  .set_head = zo_engine_set_head,
                                  .tensors = zo_engine_tensors,
                                  .norms = zo_engine_norms,
                                  .place = zo_engine_place,
                                  .descend = zo_engine_descend,
                                  .orthogonalise = zo_engine_orthogonalise};
    for (int t = 0; t < spec->weights->layout->n; t++) {
        const zo_param *p = &spec->weights->layout->param[t];
        e->objective.blocks = p->block >= e->objective.blocks ? p->block + 1 : e->objective.blocks;
        e->objective.size += p->frozen ? 0 : p->rows * p->cols;
    }
    e->objective.trained = zo_trained_blocks(spec->weights->layout);
    zo_parts_open(&e->parts, spec->weights->layout);
    zo_moves_open(&e->weights, spec->be, &e->parts, spec->weights);
    zo_engine_reserve_dirs(e, 1); /* here and not in the first settling: evaluations are no part of training's memory */
    if (zo_engine_is_logged(e)) {
        zo_term_log_open(&e->log);
        zo_engine_reserve_dirs(e, ZO_LOG_MOST + ZO_OWN_SUMS + 4);
        zo_engine_reserve_coefs(e, (int64_t)spec->io.most_points * (ZO_LOG_MOST + ZO_OWN_SUMS + 4));
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
    zo_engine_settle_weights(e);
    e->settled_base = e->spec.weights;
    e->settled = zo_view_stored(&e->settled_base);
    int n = zo_engine_log_dirs(e, &e->settled);
    zo_engine_reserve_coefs(e, n);
    for (int d = 0; d < n; d++) {
        e->coef[d] = (float)zo_engine_log_coef(e, ZO_SET_WEIGHTS, d);
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
