/* moves.c: see moves.h. */
#include "optimizers/engine/moves.h"

#include <string.h>

#include "core/clock.h"

bool zo_dir_same(const zo_dir *a, const zo_dir *b)
{
    if (a->kind != b->kind || a->kind == ZO_DIR_SET) {
        return a->kind == b->kind && a->set == b->set;
    }
    if (a->kind == ZO_DIR_HELD) {
        return a->set == b->set && a->seed == b->seed && a->period == b->period;
    }
    bool rest = a->kind == ZO_DIR_SPAN ? a->span == b->span : zo_dir_has_factors(a->kind) ? a->period == b->period : (a->skip.in == b->skip.in && a->skip.outside == b->skip.outside);
    return zo_dir_same_draw(a, b) && rest;
}

/* parts of a layout ------------------------------------------------------------------------------------------------------- */

static bool is_looked_up(const zo_param *p)
{
    return p->kind == ZO_PARAM_TABLE && !p->whole;
}

static bool is_in_part(const zo_param *p, int part)
{
    return part == ZO_LAYOUT_WHOLE || is_looked_up(p) == (part == ZO_LAYOUT_TABLES);
}

void zo_parts_open(zo_layout_parts *parts, const zo_layout *layout)
{
    memset(parts, 0, sizeof *parts);
    parts->table_of = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)layout->n * sizeof *parts->table_of);
    for (int k = 0; k < ZO_LAYOUT_PARTS; k++) {
        zo_layout *part = &parts->layout[k];
        part->size = layout->size;
        part->trained_size = layout->trained_size;
        part->param = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)layout->n * sizeof *part->param);
        for (int t = 0; t < layout->n; t++) {
            bool in = is_in_part(&layout->param[t], k);
            if (k == ZO_LAYOUT_TABLES) {
                parts->table_of[t] = in ? part->n : -1;
            }
            if (in) {
                part->param[part->n++] = layout->param[t];
            }
        }
    }
}

void zo_parts_factor(zo_layout_parts *parts, const zo_factors *factors)
{
    for (int k = 0; k < ZO_LAYOUT_PARTS; k++) {
        zo_factors *f = &parts->factors[k];
        size_t n = (size_t)parts->layout[k].n;
        *f = (zo_factors){.layout = &parts->layout[k],
                          .seed = factors->seed,
                          .ncoef = factors->ncoef,
                          .rank = zo_alloc(ZO_HOST, ZO_TAG_OTHER, n * sizeof *f->rank),
                          .coef_at = zo_alloc(ZO_HOST, ZO_TAG_OTHER, n * sizeof *f->coef_at),
                          .scale = zo_alloc(ZO_HOST, ZO_TAG_OTHER, n * sizeof *f->scale),
                          .u = zo_alloc(ZO_HOST, ZO_TAG_OTHER, n * sizeof *f->u),
                          .v = zo_alloc(ZO_HOST, ZO_TAG_OTHER, n * sizeof *f->v)};
        if (factors->left_at != NULL) {
            f->left_at = zo_alloc(ZO_HOST, ZO_TAG_OTHER, n * sizeof *f->left_at);
            f->right_at = zo_alloc(ZO_HOST, ZO_TAG_OTHER, n * sizeof *f->right_at);
        }
        int to = 0;
        for (int t = 0; t < factors->layout->n; t++) {
            if (is_in_part(&factors->layout->param[t], k)) {
                f->rank[to] = factors->rank[t];
                f->coef_at[to] = factors->coef_at[t];
                f->scale[to] = factors->scale[t];
                f->u[to] = factors->u[t];
                f->v[to] = factors->v[t];
                if (factors->left_at != NULL) {
                    f->left_at[to] = factors->left_at[t];
                    f->right_at[to] = factors->right_at[t];
                }
                to++;
            }
        }
    }
}

void zo_parts_decay_all(zo_layout_parts *parts)
{
    for (int k = 0; k < ZO_LAYOUT_PARTS; k++) {
        parts->layout[k].decays_whole = true;
    }
}

void zo_parts_close(zo_layout_parts *parts)
{
    for (int k = 0; k < ZO_LAYOUT_PARTS; k++) {
        zo_free(parts->layout[k].param);
        zo_free(parts->factors[k].rank);
        zo_free(parts->factors[k].coef_at);
        zo_free(parts->factors[k].scale);
        zo_free(parts->factors[k].u);
        zo_free(parts->factors[k].v);
        zo_free(parts->factors[k].left_at);
        zo_free(parts->factors[k].right_at);
    }
    zo_free(parts->table_of);
}

/* touched rows ------------------------------------------------------------------------------------------------------------ */

static bool rows_equal(const zo_rows *rows, const zo_touched *touched, const int *table_of)
{
    int kept = 0;
    for (int i = 0; i < touched->nparams; i++) {
        int table = table_of[touched->param[i]];
        if (table < 0) {
            continue;
        }
        int32_t n = touched->n[i];
        if (kept >= rows->touched.nparams || rows->param[kept] != table || rows->n[kept] != n ||
            memcmp(rows->row[kept], touched->row[i], (size_t)n * sizeof(int32_t)) != 0) {
            return false;
        }
        kept++;
    }
    return kept == rows->touched.nparams;
}

static void rows_copy(zo_rows *rows, const zo_touched *touched, const int *table_of)
{
    if (rows->params_room < touched->nparams) {
        rows->params_room = touched->nparams;
        size_t room = (size_t)rows->params_room;
        rows->param = zo_realloc(rows->param, ZO_HOST, ZO_TAG_OTHER, room * sizeof *rows->param);
        rows->row = zo_realloc(rows->row, ZO_HOST, ZO_TAG_OTHER, room * sizeof *rows->row);
        rows->n = zo_realloc(rows->n, ZO_HOST, ZO_TAG_OTHER, room * sizeof *rows->n);
    }
    int64_t total = 0;
    for (int i = 0; i < touched->nparams; i++) {
        total += touched->n[i];
    }
    if (rows->data_room < total) {
        rows->data_room = total + total / 2; /* so that few batches make it grow */
        rows->data = zo_realloc(rows->data, ZO_HOST, ZO_TAG_OTHER, (size_t)rows->data_room * sizeof *rows->data);
    }
    int kept = 0;
    int64_t at = 0;
    for (int i = 0; i < touched->nparams; i++) {
        int table = table_of[touched->param[i]];
        if (table >= 0) {
            rows->param[kept] = table;
            rows->row[kept] = rows->data + at;
            rows->n[kept] = touched->n[i];
            memcpy(rows->data + at, touched->row[i], (size_t)touched->n[i] * sizeof *rows->data);
            at += touched->n[i];
            kept++;
        }
    }
    rows->touched = (zo_touched){.nparams = kept, .param = rows->param, .row = rows->row, .n = rows->n};
}

/* the queue --------------------------------------------------------------------------------------------------------------- */

void zo_moves_open(zo_moves *moves, zo_backend *be, const zo_layout_parts *parts, const zo_store *store)
{
    *moves = (zo_moves){.be = be, .parts = parts, .store = *store, .slot = -1};
}

void zo_moves_close(zo_moves *moves)
{
    zo_free(moves->queue);
    zo_free(moves->sweep);
    zo_free(moves->position);
    for (int s = 0; s < 2; s++) {
        zo_free(moves->rows[s].param);
        zo_free(moves->rows[s].row);
        zo_free(moves->rows[s].n);
        zo_free(moves->rows[s].data);
    }
}

static void queue_reserve(zo_moves *moves, int n)
{
    if (n > moves->room) {
        moves->room = n > 2 * moves->room ? n : 2 * moves->room;
        moves->queue = zo_realloc(moves->queue, ZO_HOST, ZO_TAG_OTHER, (size_t)moves->room * sizeof *moves->queue);
        moves->sweep = zo_realloc(moves->sweep, ZO_HOST, ZO_TAG_OTHER, (size_t)moves->room * sizeof *moves->sweep);
    }
}

/* The first update makes room for the way back and the next probe, and each of its terms, queued singly, may double it. */
uint64_t zo_moves_bytes(int64_t probe, int64_t update, int64_t touched)
{
    int64_t room = 2 * probe + 8, most = 3 * probe + 1 + update + 8;
    while (room < most) {
        room *= 2;
    }
    return (uint64_t)room * (sizeof(zo_move) + sizeof(zo_term)) + (uint64_t)probe * sizeof(zo_term) +
           2 * (uint64_t)(touched + touched / 2) * sizeof(int32_t);
}

uint64_t zo_moves_rest_bytes(void)
{
    return (1 + 8) * (sizeof(zo_move) + sizeof(zo_term));
}

static void queue_push(zo_moves *moves, zo_move move)
{
    queue_reserve(moves, moves->n + 1);
    moves->queue[moves->n++] = move;
}

static void sweep_part(zo_moves *moves, int part, double decay, const zo_term *term, int n, const zo_touched *touched)
{
    const zo_factors *factors = &moves->parts->factors[part];
    moves->store.layout = &moves->parts->layout[part];
    if (moves->store.layout->n > 0) {
        moves->be->apply(moves->be, &moves->store, factors->layout != NULL ? factors : NULL, decay, term, n, touched);
    }
}

/* A decay (1 = none) and then n moves. */
static void sweep(zo_moves *moves, double decay, const zo_move *move, int n)
{
    double start = zo_now();
    bool in_part = false;
    int probes = 0;
    for (int i = 0; i < n; i++) {
        moves->sweep[i] = move[i].term;
        in_part |= move[i].rows >= 0;
        probes += move[i].probe;
    }
    if (!in_part) {
        sweep_part(moves, ZO_LAYOUT_WHOLE, decay, moves->sweep, n, NULL);
    } else {
        sweep_part(moves, ZO_LAYOUT_OTHERS, decay, moves->sweep, n, NULL);
        if (decay != 1.0 && move[0].rows >= 0) {
            sweep_part(moves, ZO_LAYOUT_TABLES, decay, NULL, 0, NULL);
            decay = 1.0;
        }
        for (int i = 0, end; i < n; i = end) {
            for (end = i + 1; end < n && move[end].rows == move[i].rows;) {
                end++;
            }
            int rows = move[i].rows;
            sweep_part(moves, ZO_LAYOUT_TABLES, decay, moves->sweep + i, end - i, rows < 0 ? NULL : &moves->rows[rows].touched);
            decay = 1.0;
        }
    }
    /* The backend counts all sweeps as updates; the share of the terms that move to or from a probe is forming points. */
    zo_part_move(ZO_PART_UPDATE, ZO_PART_FORM, n > 0 ? (zo_now() - start) * probes / n : 0.0);
}

void zo_moves_flush(zo_moves *moves)
{
    for (int i = 0; i < moves->n;) {
        double decay = 1.0;
        if (moves->queue[i].decay != 1.0) {
            decay = moves->queue[i++].decay;
        }
        int end = i;
        while (end < moves->n && moves->queue[end].decay == 1.0) {
            end++;
        }
        sweep(moves, decay, moves->queue + i, end - i);
        i = end;
    }
    moves->n = 0;
}

static void probe_push(zo_moves *moves, zo_dir dir, double coef)
{
    if (coef != 0.0) {
        queue_push(moves, (zo_move){.term = {.dir = dir, .coef = coef}, .decay = 1.0, .probe = true, .rows = moves->slot});
    }
}

void zo_moves_restore(zo_moves *moves)
{
    for (int i = 0; i < moves->npositions; i++) {
        probe_push(moves, moves->position[i].dir, -moves->position[i].coef);
    }
    moves->npositions = 0;
}

/* The index of the first term along `dir`, -1 where there is none; and the sum of all coefficients along it. */
static int find_dir(const zo_term *term, int n, const zo_dir *dir)
{
    for (int i = 0; i < n; i++) {
        if (zo_dir_same(&term[i].dir, dir)) {
            return i;
        }
    }
    return -1;
}

static double coef_of(const zo_term *term, int n, const zo_dir *dir)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++) {
        sum += zo_dir_same(&term[i].dir, dir) ? term[i].coef : 0.0;
    }
    return sum;
}

void zo_moves_probe(zo_moves *moves, const zo_term *term, int n, const zo_touched *touched)
{
    bool every = touched == NULL || touched->nparams == 0;
    bool same = every ? moves->slot < 0 : moves->slot >= 0 && rows_equal(&moves->rows[moves->slot], touched, moves->parts->table_of);
    if (!same) {
        zo_moves_restore(moves); /* over the rows that the old probe moved; queued before the new rows come in */
        if (every) {
            moves->slot = -1;
        } else {
            /* After a flush the queue is empty, and what was queued since speaks of the old slot only. */
            moves->slot = moves->slot == 0 ? 1 : 0;
            rows_copy(&moves->rows[moves->slot], touched, moves->parts->table_of);
        }
    }
    if (moves->position_room < n) {
        moves->position_room = n;
        moves->position = zo_realloc(moves->position, ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *moves->position);
    }
    for (int i = 0; i < moves->npositions; i++) {
        const zo_term *at = &moves->position[i];
        probe_push(moves, at->dir, coef_of(term, n, &at->dir) - at->coef);
    }
    int before = moves->npositions;
    for (int i = 0; i < n; i++) {
        const zo_dir *dir = &term[i].dir;
        ZO_CHECK(dir->kind != ZO_DIR_SPAN, "a probe along explicit numbers cannot be restored in place");
        if (find_dir(term, i, dir) < 0 && find_dir(moves->position, before, dir) < 0) {
            probe_push(moves, *dir, coef_of(term, n, dir));
        }
    }
    moves->npositions = 0;
    for (int i = 0; i < n; i++) {
        if (find_dir(term, i, &term[i].dir) < 0) {
            moves->position[moves->npositions++] = (zo_term){.dir = term[i].dir, .coef = coef_of(term, n, &term[i].dir)};
        }
    }
}

void zo_moves_update(zo_moves *moves, double decay, const zo_term *term, int n)
{
    /* The way back, the update and the next probe, whether or not an evaluation comes between: it must not be seen in the memory. */
    queue_reserve(moves, moves->n + n + 2 * moves->position_room + 8);
    zo_moves_restore(moves);
    if (decay != 1.0) {
        queue_push(moves, (zo_move){.decay = decay, .rows = -1});
    }
    for (int i = 0; i < n; i++) {
        if (term[i].coef != 0.0) {
            queue_push(moves, (zo_move){.term = term[i], .decay = 1.0, .rows = -1});
        }
    }
}

bool zo_moves_read(const zo_moves *moves, zo_set set)
{
    bool reads = false;
    for (int i = 0; i < moves->npositions; i++) {
        reads = reads || zo_dir_reads(&moves->position[i].dir, set);
    }
    for (int i = 0; i < moves->n; i++) {
        reads = reads || zo_dir_reads(&moves->queue[i].term.dir, set);
    }
    return reads;
}

static bool has_own(const zo_dir *dir, const float *arena)
{
    return zo_dir_has_factors(dir->kind) && (dir->own.left == arena || dir->own.right == arena);
}

bool zo_moves_read_factor(const zo_moves *moves, const float *arena)
{
    bool reads = false;
    for (int i = 0; i < moves->npositions; i++) {
        reads = reads || has_own(&moves->position[i].dir, arena);
    }
    for (int i = 0; i < moves->n; i++) {
        reads = reads || has_own(&moves->queue[i].term.dir, arena);
    }
    return reads;
}

void zo_moves_forget(zo_moves *moves)
{
    moves->n = 0;
    moves->npositions = 0;
}
