/* spsa.c: see spsa.h. */
#include "optimizers/spsa.h"

#include <math.h>
#include <string.h>

#include "core/mem.h"

zo_dir zo_dense(const zo_objective *o, zo_draw draw, int64_t step, int query)
{
    return (zo_dir){.kind = ZO_DIR_DENSE, .draw = draw, .seed = o->seed, .step = (uint32_t)step, .query = (uint32_t)query};
}

zo_dir zo_gauss(const zo_objective *o, int64_t step, int query)
{
    return zo_dense(o, ZO_DRAW_GAUSS, step, query);
}

zo_dir zo_rademacher(const zo_objective *o, int64_t step, int query)
{
    return zo_dense(o, ZO_DRAW_RADEMACHER, step, query);
}

zo_status zo_can_leave_out(const zo_objective *o, zo_err *err)
{
    return o->blocks <= ZO_DIR_BLOCKS
               ? ZO_OK
               : zo_fail(err, ZO_EUNSUPPORTED, "a direction names the blocks that it leaves out among %d, and this model has %d: use a method that "
                         "leaves out none", ZO_DIR_BLOCKS, o->blocks);
}

zo_status zo_leave_out(const zo_objective *o, double share, zo_dir *dir, zo_err *err)
{
    int32_t order[ZO_DIR_BLOCKS];
    if (zo_can_leave_out(o, err) != ZO_OK) {
        return ZO_EUNSUPPORTED;
    }
    int n = 0;
    for (int b = 0; b < o->blocks; b++) {
        order[n] = b;
        n += (int)(o->trained.in >> b & 1);
    }
    zo_shuffle((zo_stream){.seed = dir->seed, .step = dir->step, .query = dir->query, .role = ZO_ROLE_MASK}, order, n);
    for (int i = 0; i < (int)(share * n + 1e-9); i++) {
        dir->skip.in |= (uint64_t)1 << order[i];
    }
    return ZO_OK;
}

zo_dir zo_scaled_dir(zo_dir dir, zo_set scale, zo_scaling scaling)
{
    dir.scale = scale;
    dir.scaling = scaling;
    return dir;
}

zo_dir zo_set_dir(zo_set set)
{
    return (zo_dir){.kind = ZO_DIR_SET, .set = set};
}

zo_term zo_set_term(zo_set set, double coef)
{
    return (zo_term){.dir = zo_set_dir(set), .coef = coef};
}

zo_status zo_set_norm(zo_objective *o, zo_set set, double *norm, zo_err *err)
{
    zo_status status = o->dot(o, set, set, norm, err);
    *norm = status == ZO_OK ? sqrt(*norm) : 0.0;
    return status;
}

bool zo_allows_dense(int realisation)
{
    return realisation != ZO_SIDEPATH;
}

static int64_t points_of(zo_sides sides, int64_t n)
{
    return sides == ZO_TWO_SIDED ? 2 * n : sides == ZO_ONE_SIDED ? n + 1 : n;
}

void zo_probe_needs(zo_needs *needs, zo_sides sides, int64_t n, int ndirs, int64_t ncentre)
{
    int64_t points = points_of(sides, n), terms = sides == ZO_TWO_SIDED ? 2 * (n * ndirs + ncentre) : n * ndirs;
    needs->points = points;
    needs->terms = ndirs + ncentre;
    needs->step_bytes[ZO_TAG_OTHER] += (uint64_t)points * (sizeof(zo_point) + sizeof(double)) + (uint64_t)terms * sizeof(zo_term);
}

void zo_spsa_needs(zo_needs *needs, int64_t n, int ndirs, int64_t ncentre)
{
    zo_probe_needs(needs, ZO_TWO_SIDED, n, ndirs, ncentre);
}

zo_status zo_probe_losses(zo_objective *o, zo_which which, zo_sides sides, double eps, zo_probe *probe, int n, zo_err *err)
{
    int points = (int)points_of(sides, n), each = sides == ZO_TWO_SIDED ? 2 : 1, first = sides == ZO_ONE_SIDED ? 1 : 0;
    size_t terms = 0;
    for (int i = 0; i < n; i++) {
        ZO_CHECK(sides == ZO_TWO_SIDED || (probe[i].ncentre == 0 && probe[i].base == probe[0].base), "probes of one side stand at one set");
        terms += (size_t)each * (size_t)(probe[i].ncentre + probe[i].ndirs);
    }
    zo_point *point = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)points * sizeof *point);
    zo_term *term = zo_alloc(ZO_HOST, ZO_TAG_OTHER, terms * sizeof *term);
    double *loss = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)points * sizeof *loss);
    zo_term *next = term;
    point[0] = (zo_point){.base = probe[0].base};
    for (int p = first; p < points; p++) {
        const zo_probe *of = &probe[(p - first) / each];
        double side = (p - first) % each == 0 ? eps : -eps;
        point[p] = (zo_point){.base = of->base, .n = of->ncentre + of->ndirs, .term = next};
        if (of->ncentre > 0) {
            memcpy(next, of->centre, (size_t)of->ncentre * sizeof *next);
        }
        for (int d = 0; d < of->ndirs; d++) {
            next[of->ncentre + d] = (zo_term){.dir = of->dir[d], .coef = of->times != NULL ? side * of->times[d] : side};
        }
        next += point[p].n;
    }
    zo_status status = o->losses(o, which, point, points, loss, err);
    for (int i = 0; i < n && status == ZO_OK; i++) {
        probe[i].plus = loss[first + each * i];
        probe[i].minus = sides == ZO_TWO_SIDED ? loss[2 * i + 1] : sides == ZO_ONE_SIDED ? loss[0] : NAN;
        probe[i].projected = (probe[i].plus - probe[i].minus) / (sides == ZO_TWO_SIDED ? 2.0 * eps : eps);
    }
    zo_free(point);
    zo_free(term);
    zo_free(loss);
    return status;
}

zo_status zo_spsa(zo_objective *o, zo_which which, double eps, zo_probe *probe, int n, zo_err *err)
{
    return zo_probe_losses(o, which, ZO_TWO_SIDED, eps, probe, n, err);
}
