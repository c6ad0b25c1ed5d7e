/* moves.h: a stored set of weights that terms move. A queue holds what has yet to be applied, so that several terms become one
 * sweep; the store's position is the probe where it stands. No bit depends on what is swept together: each term is rounded on its
 * own, to the store's type, in the order in which it was queued. Private to the engine. */
#ifndef ZO_OPTIMIZERS_ENGINE_MOVES_H
#define ZO_OPTIMIZERS_ENGINE_MOVES_H

#include "backends/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A layout and two parts of it over the same arena: tables that are only looked up, whose rows are probed in part, and the rest. */
enum { ZO_LAYOUT_WHOLE, ZO_LAYOUT_TABLES, ZO_LAYOUT_OTHERS, ZO_LAYOUT_PARTS };
typedef struct zo_layout_parts {
    zo_layout layout[ZO_LAYOUT_PARTS];   /* own `param` arrays */
    zo_factors factors[ZO_LAYOUT_PARTS]; /* own arrays of n; U, V and what they are laid out by borrowed; layout NULL before zo_parts_factor */
    int *table_of;                       /* (n) index in the part TABLES, -1 where it is not there */
} zo_layout_parts;
void zo_parts_open(zo_layout_parts *parts, const zo_layout *layout);
void zo_parts_factor(zo_layout_parts *parts, const zo_factors *factors);
void zo_parts_decay_all(zo_layout_parts *parts); /* every parameter of the copies decays */
void zo_parts_close(zo_layout_parts *parts);

/* A copy of a touched set, with indices into the part TABLES. */
typedef struct zo_rows {
    zo_touched touched;
    int *param;
    const int32_t **row;
    int32_t *n, *data;
    int32_t params_room;
    int64_t data_room;
} zo_rows;

typedef struct zo_move {
    zo_term term;
    double decay; /* not 1: a decay and no term */
    bool probe;   /* moves to or from a probe, over `rows`; else an update, over every row */
    int rows;     /* index into zo_moves.rows, -1 = every row */
} zo_move;

typedef struct zo_moves {
    zo_backend *be;
    const zo_layout_parts *parts;
    zo_store store;     /* what is moved; the layout is that of the part swept */
    zo_move *queue;
    zo_term *sweep;     /* scratch of a sweep, as long as the queue */
    int n, room;
    zo_term *position;  /* the arena stands at base + these terms once the queue is applied */
    int npositions, position_room;
    zo_rows rows[2];
    int slot;           /* rows[slot] are those that the position moved; -1 = every row */
} zo_moves;

void zo_moves_open(zo_moves *moves, zo_backend *be, const zo_layout_parts *parts, const zo_store *store);
/* What it will have allocated: probes of up to `probe` terms, updates of up to `update`, batches that touch up to `touched` rows of tables. */
uint64_t zo_moves_bytes(int64_t probe, int64_t update, int64_t touched);
/* The same of a log beside factors, which queues one term a step: what no factor covers. */
uint64_t zo_moves_rest_bytes(void);
void zo_moves_close(zo_moves *moves);
/* Apply the queue. */
void zo_moves_flush(zo_moves *moves);
/* Queue the way to base + terms, of which the forward reads `touched` (NULL or no parameter = every row). Spans are not allowed:
 * the way back would need them. */
void zo_moves_probe(zo_moves *moves, const zo_term *term, int n, const zo_touched *touched);
/* Queue the way back to the base. */
void zo_moves_restore(zo_moves *moves);
/* Queue an update of the base (restore first). A span must live until the flush. */
void zo_moves_update(zo_moves *moves, double decay, const zo_term *term, int n);
/* Whether the position, or what is queued, reads the values of `set`: they must not change before it is restored, and applied. */
bool zo_moves_read(const zo_moves *moves, zo_set set);
/* The same of a factor of a direction's own, by its arena. */
bool zo_moves_read_factor(const zo_moves *moves, const float *arena);
/* Forget queue and position: the arena was written anew. */
void zo_moves_forget(zo_moves *moves);

bool zo_dir_same(const zo_dir *a, const zo_dir *b);

#ifdef __cplusplus
}
#endif
#endif
