/* engine.h: the objective that is a model on a backend. It decides how a point is realised. What a run costs is counted by the owner
 * of the io callbacks (forwards) and by the backend (normals, bytes written).
 *
 *   INPLACE   the papers' way: the stored weights are moved from point to point (+eps, -2 eps, +eps), rounding drift included.
 *             Sweeps are fused (restore + update + next probe) where that changes no bit: each term is still rounded on its own.
 *             Of tables that are only looked up, a probe moves the rows that the batch touches; an update moves all rows.
 *   STREAMED  weights are read-only during the forward; each layer forms W + cZ for all points of the step in one pass; restoring
 *             is exact by construction. The update is one sweep.
 *   SIDEPATH  low-rank directions run as y = x W^T + ((x V) . c) U^T beside an untouched W; accumulated CP terms are numbers, so
 *             factored matrices are never written (elementwise rules apart). Updates along directions with factors of their own are
 *             sweeps over W: beside it stand probes alone, one direction a pass. REST directions are streamed for the probes and
 *             applied to the small tensors for the update.
 *
 * Updates accumulate in the weights, rounded to their type (f32, or 16 bits, where an update below half an ulp is lost; with masters these are f32, and
 * weights are made of them by rounding), or in a log of
 * (direction, coefficient) terms beside weights that are never written: every point is then base + log + probe, formed in f32. Of the log
 * equal directions are one term, and terms of low rank one vector of coefficients, or where factors are a direction's own a sum B V^T for each V
 * (at most ZO_OWN_SUMS), which every pass forms; REST terms are added in f32 to the small tensors
 * themselves or, where those are held in 16 bits, to a copy beside them (a backend without zo_backend.reads_rest keeps them as terms). So a
 * step of TeZO costs the same however many came before; each dense direction costs one more draw a parameter and pass, at most
 * ZO_LOG_MOST of them. Not with INPLACE, weight decay or elementwise rules.
 */
#ifndef ZO_OPTIMIZERS_ENGINE_ENGINE_H
#define ZO_OPTIMIZERS_ENGINE_ENGINE_H

#include "backends/backend.h"
#include "optimizers/estimator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Every pass draws every direction of the log again: it may have so many, then the run is unsupported. */
enum { ZO_LOG_MOST = 256 };

/* The loss, as the bench wires it to a model and a dataset. All callbacks get `context`. */
typedef struct zo_engine_io {
    void *context;
    /* loss[p] of the view's points over the batch `which`; chunked by the callee for FULL. */
    zo_status (*losses)(void *context, zo_which which, const zo_view *view, double *loss, zo_err *err);
    /* Gradient at the stored weights, added into grad. No optimizer asks for that of FULL: a caller that has no use for it may refuse. */
    zo_status (*gradient)(void *context, zo_which which, zo_store *grad, double *loss, zo_err *err);
    /* Rows of TABLE parameters that the batch `which` touches; the lists live until the next call. n = 0: none. */
    void (*touched)(void *context, zo_which which, zo_touched *touched);
    int most_points; /* points per pass the model was reserved for */
    /* zo_objective.features at the view's one point, and .set_head of the stored weights. NULL: the run has none to give. */
    zo_status (*features)(void *context, const zo_view *view, zo_features *features, zo_err *err);
    zo_status (*set_head)(void *context, const zo_features *features, const double *w, zo_err *err);
    /* The gradient at the stored weights into a sink, which writes them on the way; NULL = this run has none. */
    zo_status (*descend)(void *context, zo_which which, zo_sink *sink, double *loss, zo_err *err);
} zo_engine_io;

typedef struct zo_engine_spec {
    zo_backend *be;
    zo_store *weights;        /* borrowed */
    zo_realisation realisation;
    zo_accumulate accumulate;
    uint64_t seed;
    zo_engine_io io;
} zo_engine_spec;

typedef struct zo_engine zo_engine;
zo_engine *zo_engine_new(const zo_engine_spec *spec);
void zo_engine_free(zo_engine *engine);
zo_objective *zo_engine_objective(zo_engine *engine);
/* The factors that an estimator's start() asked for, NULL where there are none: whoever reserves the model's scratch does so
 * after start() and passes them on. Owned by the engine. */
const zo_factors *zo_engine_factors(const zo_engine *engine);

/* The terms of the last point (of the weights) at which a loss was asked in place, up to ZO_PROBE_TERMS of them; returns how many, 0 = there was
 * none, or it had more. Their spans are not kept; sets are read as they are now. */
enum { ZO_PROBE_TERMS = 2 };
int zo_engine_last_probe(zo_engine *engine, zo_term term[ZO_PROBE_TERMS]);

/* Bring the stored weights to the base point (no pending probe, no deferred update) and return a view for evaluation: in
 * SIDEPATH the accumulated low-rank numbers stay beside, and so does a log, so read weights through this view only; it lives until the
 * next call of the objective. Mandatory before evaluation, snapshots of results, and the end of the run. */
const zo_view *zo_engine_settle(zo_engine *engine);

/* The weights that the settled view stands for, with all that a side path or a log keeps beside them, as one store in the backend's memory
 * (tag OTHER): f32, of the trained parameters; frozen ones are read below, in the weights. Where matrices that are held as codes are trained, it has
 * every parameter as numbers, in a layout of the engine's. The caller gives it back with zo_store_free before the engine goes. */
zo_store *zo_engine_sum(zo_engine *engine);

#ifdef __cplusplus
}
#endif
#endif
