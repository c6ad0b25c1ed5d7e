/* checkpoint.c: see checkpoint.h. Every function goes both ways: it writes what there is, or puts what was written in its place. */
#include "optimizers/engine/checkpoint.h"

#include <string.h>

#include "optimizers/engine/engine_state.h"

enum { MOST = 1 << 28 }; /* of any count: more is no file of ours */

/* A block in the backend's memory, in pieces: nothing is allocated, so the ledger does not see it. */
static void device_bytes(zo_engine *e, zo_archive *a, void *block, size_t bytes)
{
    static unsigned char piece[1 << 18];
    zo_backend *be = e->spec.be;
    for (size_t at = 0; at < bytes; at += sizeof piece) {
        size_t n = bytes - at < sizeof piece ? bytes - at : sizeof piece;
        if (!a->loads) {
            be->download(be, piece, (unsigned char *)block + at, n);
        }
        zo_archive_bytes(a, piece, n);
        if (a->loads) {
            be->upload(be, (unsigned char *)block + at, piece, n);
        }
    }
}

/* The first n elements of a store. */
static void store_bytes(zo_engine *e, zo_archive *a, zo_store *store, int64_t n)
{
    if (n > 0) {
        device_bytes(e, a, zo_store_at(store, 0), (size_t)n * (size_t)zo_storage_bytes(store->storage));
    }
}

/* A host block that has grown to `room` elements: it is as long again. */
static void *grown(const zo_archive *a, void *block, int64_t room, size_t each)
{
    return a->loads && room > 0 ? zo_realloc(block, ZO_HOST, ZO_TAG_OTHER, (size_t)room * each) : block;
}

/* What a direction borrows is not written, but put in again: the engine's numbers, the values of a set, its factors. */
static void direction(zo_engine *e, zo_archive *a, zo_dir *dir)
{
    zo_dir d;
    memset(&d, 0, sizeof d);
    if (!a->loads) {
        d = *dir;
        d.span = d.kind == ZO_DIR_SPAN ? NULL : d.span;
        d.values = d.kind == ZO_DIR_SET ? NULL : d.values;
        d.by = NULL;
        if (zo_dir_has_factors(d.kind)) {
            d.own.left = d.own.right = NULL;
        }
    }
    ZO_ARCHIVE(a, d);
    if (a->loads && a->err.status == ZO_OK) {
        bool of_set = d.kind == ZO_DIR_SET || d.kind == ZO_DIR_HELD;
        zo_set reads = of_set ? d.set : d.scale;
        bool known = (reads == 0 && !of_set) || (reads > 0 && reads <= e->sets && e->set[reads - 1].store != NULL);
        if (!known) {
            zo_archive_refuse(a, "a direction in it is none of this run's");
            return;
        }
        *dir = zo_engine_resolve(e, &d);
        if (d.kind == ZO_DIR_SPAN) {
            dir->span = e->span;
        }
    }
}

static void terms(zo_engine *e, zo_archive *a, zo_term *term, int n)
{
    for (int i = 0; i < n; i++) {
        direction(e, a, &term[i].dir);
        ZO_ARCHIVE(a, term[i].coef);
    }
}

static void touched_rows(zo_archive *a, zo_rows *rows)
{
    int room = rows->params_room, kept = rows->touched.nparams;
    zo_archive_int(a, &room, 0, MOST);
    zo_archive_int(a, &kept, 0, room);
    zo_archive_int64(a, &rows->data_room, 0, MOST);
    rows->params_room = room;
    rows->param = grown(a, rows->param, room, sizeof *rows->param);
    rows->row = grown(a, rows->row, room, sizeof *rows->row);
    rows->n = grown(a, rows->n, room, sizeof *rows->n);
    rows->data = grown(a, rows->data, rows->data_room, sizeof *rows->data);
    int64_t at = 0;
    for (int i = 0; i < kept; i++) {
        int n = rows->n[i];
        ZO_ARCHIVE(a, rows->param[i]);
        zo_archive_int(a, &n, 0, (int)(rows->data_room - at));
        zo_archive_bytes(a, rows->data + at, (size_t)n * sizeof *rows->data);
        rows->n[i] = n;
        rows->row[i] = rows->data + at;
        at += n;
    }
    rows->touched = (zo_touched){.nparams = kept, .param = rows->param, .row = rows->row, .n = rows->n};
}

static void queue(zo_engine *e, zo_archive *a, zo_moves *moves)
{
    zo_archive_int(a, &moves->room, 0, MOST);
    zo_archive_int(a, &moves->n, 0, moves->room);
    zo_archive_int(a, &moves->position_room, 0, MOST);
    zo_archive_int(a, &moves->npositions, 0, moves->position_room);
    zo_archive_int(a, &moves->slot, -1, 1);
    moves->queue = grown(a, moves->queue, moves->room, sizeof *moves->queue);
    moves->sweep = grown(a, moves->sweep, moves->room, sizeof *moves->sweep);
    moves->position = grown(a, moves->position, moves->position_room, sizeof *moves->position);
    for (int i = 0; i < moves->n; i++) {
        zo_move *m = &moves->queue[i];
        bool has_term = m->decay == 1.0;
        ZO_ARCHIVE(a, has_term);
        if (has_term) {
            terms(e, a, &m->term, 1);
        }
        ZO_ARCHIVE(a, m->decay);
        ZO_ARCHIVE(a, m->probe);
        zo_archive_int(a, &m->rows, -1, 1);
    }
    terms(e, a, moves->position, moves->npositions);
    for (int s = 0; s < 2; s++) {
        touched_rows(a, &moves->rows[s]);
    }
}

/* The values of a set. A sum has f32, a copy what the weights have. */
static void set_values(zo_engine *e, zo_archive *a, zo_opened *s)
{
    bool stored = s->store != NULL, marked = s->mark.coef != NULL;
    ZO_ARCHIVE(a, stored);
    if (stored && s->store == NULL) {
        zo_engine_make_store(e, s);
    }
    if (stored) {
        store_bytes(e, a, s->store, s->store->size);
    }
    bool masked = s->threshold != NULL;
    ZO_ARCHIVE(a, masked);
    if (masked) {
        size_t bytes = (size_t)e->spec.weights->layout->n * sizeof *s->threshold;
        s->threshold = s->threshold != NULL ? s->threshold : zo_alloc(ZO_HOST, ZO_TAG_OTHER, bytes);
        zo_archive_bytes(a, s->threshold, bytes);
    }
    ZO_ARCHIVE(a, marked);
    if (marked) {
        if (s->mark.coef == NULL) {
            s->mark.coef = zo_alloc(ZO_HOST, s->spec.tag, ZO_LOG_MOST * sizeof *s->mark.coef);
        }
        zo_archive_bytes(a, s->mark.coef, ZO_LOG_MOST * sizeof *s->mark.coef);
        zo_archive_int(a, &s->mark.n, 0, ZO_LOG_MOST);
    }
}

/* What is made of directions, when the values of all sets are there. */
static void set_terms(zo_engine *e, zo_archive *a, zo_opened *s)
{
    zo_archive_int(a, &s->terms, 0, MOST);
    if (a->loads && s->terms > 0) {
        s->term = zo_realloc(s->term, ZO_HOST, s->spec.tag, (size_t)s->terms * sizeof *s->term);
    }
    terms(e, a, s->term, s->terms);
    if (s->spec.copy && s->spec.linear == 0 && s->store != NULL) {
        queue(e, a, &s->moves);
    }
}

/* The factors that are realised, so that none is drawn again. */
static void own_factors(zo_engine *e, zo_archive *a)
{
    enum { SLOTS = ZO_SIDES * ZO_OWN_SLOTS };
    for (int i = 0; i < SLOTS + 2; i++) {
        zo_own_slot *slot = i < SLOTS ? &e->own.slot[i / ZO_OWN_SLOTS][i % ZO_OWN_SLOTS] : i == SLOTS ? &e->own.basis : &e->own.formed;
        if (slot->store != NULL) {
            ZO_ARCHIVE(a, slot->of);
            ZO_ARCHIVE(a, slot->used);
            store_bytes(e, a, slot->store, slot->store->size);
        }
    }
    ZO_ARCHIVE(a, e->own.clock);
    int kept = e->own.sums;
    zo_archive_int(a, &kept, 0, ZO_OWN_SUMS);
    for (int k = 0; k < kept; k++) {
        zo_own_sum *sum = &e->own.sum[k];
        if (k >= e->own.sums) {
            zo_own_sum_open(&e->own, sum);
            e->own.sums = k + 1;
        }
        ZO_ARCHIVE(a, sum->of);
        store_bytes(e, a, sum->left, sum->left->size);
        store_bytes(e, a, sum->right, sum->right->size);
    }
}

/* Numbers that must be those of this run. */
static void same(zo_archive *a, int64_t is)
{
    int64_t was = is;
    ZO_ARCHIVE(a, was);
    if (was != is) {
        zo_archive_refuse(a, "it is of a run with other settings");
    }
}

void zo_engine_archive(zo_engine *e, zo_archive *a)
{
    const zo_layout *layout = e->spec.weights->layout;
    int64_t ncoef = e->objective.ncoef;
    const int64_t shape[] = {layout->n, layout->size, layout->trained_size, e->spec.weights->storage, e->spec.realisation, e->spec.accumulate,
                             (int64_t)e->spec.seed, ncoef, e->sets, e->arrays, e->span != NULL, e->side != NULL, e->rest != NULL, e->rest_layout.size,
                             e->objective.masters};
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        same(a, shape[i]);
    }
    if (a->err.status != ZO_OK) {
        return; /* nothing fits */
    }
    if (e->objective.decay_all) {
        zo_parts_decay_all(&e->parts); /* a decay may be queued */
    }
    store_bytes(e, a, e->spec.weights, layout->trained_size);
    bool mastered = e->masters != NULL;
    ZO_ARCHIVE(a, mastered);
    if (mastered && e->masters == NULL) {
        zo_engine_make_masters(e);
    }
    if (mastered) {
        store_bytes(e, a, e->masters, e->masters->size);
    }
    own_factors(e, a);
    zo_own_factors as_kept = e->own; /* with the order in which factors were asked for */
    for (int k = 0; k < e->sets; k++) {
        set_values(e, a, &e->set[k]);
    }
    for (int k = 0; k < e->arrays; k++) {
        zo_archive_bytes(a, e->numbers[k], (size_t)ncoef * sizeof(float));
    }
    if (e->span != NULL) {
        zo_archive_bytes(a, e->span, (size_t)ncoef * sizeof *e->span);
    }
    ZO_ARCHIVE(a, e->span_queued);
    if (e->side != NULL) {
        zo_archive_bytes(a, e->side, (size_t)ncoef * sizeof *e->side);
    }
    if (e->rest != NULL) {
        store_bytes(e, a, e->rest, e->rest->size);
    }
    for (int k = 0; k < e->sets; k++) {
        set_terms(e, a, &e->set[k]);
    }
    zo_archive_int(a, &e->log.n, 0, e->log.term != NULL ? ZO_LOG_MOST : 0);
    terms(e, a, e->log.term, e->log.n);
    queue(e, a, &e->weights);
    zo_archive_int(a, &e->probe_terms, 0, ZO_PROBE_TERMS);
    terms(e, a, e->probe, e->probe_terms);
    zo_archive_int(a, &e->dir_room, 0, MOST);
    zo_archive_int64(a, &e->coef_room, 0, MOST);
    zo_archive_int(a, &e->resolved_room, 0, MOST);
    e->dir = grown(a, e->dir, e->dir_room, sizeof *e->dir);
    e->coef = grown(a, e->coef, e->coef_room, sizeof *e->coef);
    e->resolved = grown(a, e->resolved, e->resolved_room, sizeof *e->resolved);
    e->own = as_kept;
}

void zo_estimator_archive(const zo_estimator *estimator, void *state, zo_archive *a)
{
    zo_kept array[ZO_KEPT_MOST];
    size_t plain = estimator->plain_bytes > 0 ? estimator->plain_bytes : estimator->state_bytes;
    same(a, (int64_t)plain);
    if (a->err.status != ZO_OK) {
        return;
    }
    zo_archive_bytes(a, state, plain);
    int n = estimator->arrays != NULL && a->err.status == ZO_OK ? estimator->arrays(state, array) : 0;
    for (int i = 0; i < n; i++) {
        same(a, (int64_t)array[i].bytes);
        if (a->err.status == ZO_OK) {
            zo_archive_bytes(a, array[i].block, array[i].bytes);
        }
    }
}
