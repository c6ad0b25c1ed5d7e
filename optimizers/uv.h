/* uv.h: what LOZO and LOZO-m share (Chen et al., arXiv 2410.07698): directions Z_t = scale U_t V_k^T on every matrix, U_t (rows, r) ~ N(0, 1) drawn
 * at each step, V_k (cols, r) ~ N(0, 1) drawn every nu steps, k = floor(t / nu); and a full Gaussian on the rest, in the same probe. */
#ifndef ZO_OPTIMIZERS_UV_H
#define ZO_OPTIMIZERS_UV_H

#include <math.h>
#include <stddef.h>

#include "optimizers/spsa.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ZO_UV_SCALE_NONE, ZO_UV_SCALE_SQRT };
enum { ZO_UV_PLAIN, ZO_UV_RELEASED };

/* Begins the state of each of them. */
typedef struct zo_uv {
    int64_t rank, period;
    int scale, embeddings;
    int mode; /* RELEASED: where V is drawn the update has other draws than the probe (lozo.c says why) */
} zo_uv;

#define ZO_UV_OPTIONS                                                                                                                 \
    {.key = "rank", .type = ZO_OPT_INT, .offset = offsetof(zo_uv, rank), .initial = 4, .least = 1, .most = 4096,                      \
     .help = "r, at most a matrix's shorter side (released scripts: 4 for RoBERTa, 1 and 2 for OPT)"},                                \
    {.key = "period", .type = ZO_OPT_INT, .offset = offsetof(zo_uv, period), .initial = 50, .least = 1, .most = 1000000000,           \
     .help = "nu: steps for which a V stays (released scripts: 50 and 100)"},                                                         \
    {.key = "scale", .type = ZO_OPT_CHOICE, .offset = offsetof(zo_uv, scale), .initial = ZO_UV_SCALE_NONE, .choices = "none|sqrt",    \
     .help = "scale of Z: 1, as the released code, or 1/sqrt(r) (unit variance an entry, so lr and eps compare with MeZO's)"},        \
    {.key = "embeddings", .type = ZO_OPT_CHOICE, .offset = offsetof(zo_uv, embeddings), .initial = ZO_TABLES_FACTOR,                  \
     .choices = "factor|rest", .help = "embedding tables: factors, as the released code, or a full Gaussian"}

#define ZO_UV_RELEASED_VARIANT {"mode", "released", "as the published code: on steps where V is drawn the update goes along other draws than the probe"}

#define ZO_UV_VARIANTS                                                                                  \
    {"scale", "sqrt", "Z has unit variance an entry: lr and eps compare with MeZO's"},                  \
    {"embeddings", "rest", "embedding tables are probed with a full Gaussian and have no factors"}

#define ZO_UV_ESTIMATOR                                                                                \
    .paper = "Chen et al., arXiv 2410.07698", .loss_is = "L(w + eps Z) of the step's batch, before the update", .lr = 1e-6, .eps = 1e-3

/* What the update of a step goes along. dir[0]: Z on factored matrices; dir[1]: a full Gaussian on the rest. */
void zo_uv_update(const zo_uv *uv, const zo_objective *o, int64_t step, zo_dir dir[2]);
/* What a step asks: one probe along both, `updates` terms on the weights, `lefts` sets of left factors. */
void zo_uv_needs(const zo_uv *uv, const zo_extent *extent, int updates, int lefts, zo_needs *n);
zo_status zo_uv_start(const zo_uv *uv, zo_objective *o, zo_err *err);
/* The probe along such a pair, which is the update's but for mode RELEASED, and what is reported of it. */
zo_status zo_uv_probe(const zo_uv *uv, zo_objective *o, const zo_step_context *c, zo_probe *p, zo_step_report *r, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
