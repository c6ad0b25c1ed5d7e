/* own_factors.c: see own_factors.h. */
#include "optimizers/engine/own_factors.h"

#include <math.h>
#include <string.h>

#include "core/clock.h"
#include "core/rng.h"

void zo_own_open(zo_own_factors *own, zo_backend *be, const zo_factors *factors, zo_dir_kind kind)
{
    *own = (zo_own_factors){.be = be, .factors = factors, .kind = kind};
    for (int i = 0; i < ZO_OWN_SLOTS; i++) {
        own->slot[ZO_SIDE_LEFT][i].store = zo_store_new(be, &factors->left, ZO_TAG_OPT_STATE);
        own->slot[ZO_SIDE_RIGHT][i].store = zo_store_new(be, &factors->right, ZO_TAG_OPT_STATE);
    }
}

void zo_own_open_core(zo_own_factors *own)
{
    own->core = own->core != NULL ? own->core : zo_store_new(own->be, &own->factors->core, ZO_TAG_OPT_STATE);
}

void zo_own_open_formed(zo_own_factors *own)
{
    own->formed.store = own->formed.store != NULL ? own->formed.store : zo_store_new(own->be, &own->factors->held, ZO_TAG_OPT_STATE);
}

void zo_own_open_orthonormal(zo_own_factors *own)
{
    zo_own_open_core(own);
    own->basis.store = zo_store_new(own->be, &own->factors->left, ZO_TAG_OPT_STATE);
}

void zo_own_open_orthogonal(zo_own_factors *own)
{
    if (own->host == NULL) {
        zo_own_open_core(own);
        own->power = zo_store_new(own->be, &own->factors->core, ZO_TAG_OPT_STATE);
        own->diagonal = zo_store_new(own->be, &own->factors->core, ZO_TAG_OPT_STATE);
        own->host = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, (size_t)own->factors->core.size * sizeof *own->host);
    }
}

void zo_own_close(zo_own_factors *own)
{
    zo_store_free(own->be, own->power);
    zo_store_free(own->be, own->diagonal);
    zo_free(own->host);
    zo_store_free(own->be, own->formed.store);
    zo_store_free(own->be, own->basis.store);
    zo_store_free(own->be, own->core);
    for (int k = 0; k < own->sums; k++) {
        zo_store_free(own->be, own->sum[k].left);
        zo_store_free(own->be, own->sum[k].right);
    }
    for (int i = 0; i < ZO_SIDES * ZO_OWN_SLOTS; i++) {
        zo_store_free(own->be, own->slot[i / ZO_OWN_SLOTS][i % ZO_OWN_SLOTS].store);
    }
}

/* What a side's factor is a value of: the same for all directions with that factor. */
static zo_dir draw_of(const zo_own_factors *own, zo_own_side side, const zo_dir *dir)
{
    if (side == (own->kind == ZO_DIR_SUBSPACE ? ZO_SIDE_LEFT : ZO_SIDE_RIGHT)) {
        return (zo_dir){.kind = ZO_DIR_DENSE, .seed = dir->seed, .step = dir->period};
    }
    return (zo_dir){.kind = ZO_DIR_DENSE, .seed = dir->seed, .step = dir->step, .query = dir->query, .period = own->kind == ZO_DIR_CORE ? dir->period : 0};
}

static double dot(const double *a, const double *b, int64_t n)
{
    double lane[8] = {0}, sum = 0.0;
    for (int64_t i = 0; i < n; i++) {
        lane[i % 8] += a[i] * b[i];
    }
    for (int l = 0; l < 8; l++) {
        sum += lane[l];
    }
    return sum;
}

/* x (r, n): rows made orthonormal in their order, each against those before it twice. The order is one, whatever the number of threads, so every
 * machine and every backend has the same factors; LAPACK's would depend on them. */
static void orthonormalise(double *x, int r, int64_t n)
{
    for (int s = 0; s < r; s++) {
        double *of = x + s * n;
        for (int k = 0; k < 2 * s; k++) {
            const double *before = x + k % s * n;
            double share = dot(of, before, n);
            for (int64_t i = 0; i < n; i++) {
                of[i] -= share * before[i];
            }
        }
        double norm = sqrt(dot(of, of, n));
        for (int64_t i = 0; i < n; i++) {
            of[i] /= norm;
        }
    }
}

/* x (r, n), as orthonormalise leaves it: columns get the signs that Householder's reflections (LAPACK) give to Q. With d the signs, Q - diag(d) has
 * an LU decomposition, and each d is chosen against its pivot (Ballard et al. 2014, TSQR with Householder reconstruction). The first r rows say it. */
static void householder_signs(double *x, int r, int64_t n)
{
    double *lu = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)(r * r) * sizeof *lu);
    for (int i = 0; i < r * r; i++) {
        lu[i] = x[i % r * n + i / r];
    }
    for (int s = 0; s < r; s++) {
        double sign = lu[s * r + s] > 0.0 ? -1.0 : 1.0, pivot = lu[s * r + s] - sign;
        for (int i = s + 1; i < r; i++) {
            for (int j = s + 1; j < r; j++) {
                lu[i * r + j] -= lu[i * r + s] / pivot * lu[s * r + j];
            }
        }
        for (int64_t i = 0; i < n; i++) {
            x[s * n + i] *= sign;
        }
    }
    zo_free(lu);
}

/* The store's matrices (n, r) <- orthonormal columns, of the normal numbers of a draw. */
static void make_orthonormal(zo_own_factors *own, const zo_dir *draw, zo_store *store)
{
    for (int t = 0; t < store->layout->n; t++) {
        const zo_param *p = &store->layout->param[t];
        int64_t n = p->rows, r = p->cols;
        float *host = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)(n * r) * sizeof *host);
        double *x = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)(n * r) * sizeof *x);
        zo_normals((zo_stream){.seed = draw->seed, .tensor = p->id, .step = draw->step, .role = ZO_ROLE_Z}, 0, (long)(n * r), host);
        for (int64_t i = 0; i < n * r; i++) {
            x[i % r * n + i / r] = host[i];
        }
        orthonormalise(x, (int)r, n);
        if (own->raw_signs) {
            householder_signs(x, (int)r, n);
        }
        for (int64_t i = 0; i < n * r; i++) {
            host[i] = (float)x[i % r * n + i / r];
        }
        zo_store_set(own->be, store, t, host);
        zo_free(host);
        zo_free(x);
        zo_counters_add((zo_counters){.normals = (uint64_t)(n * r)});
    }
}

static void make_drawn(zo_own_factors *own, const zo_dir *draw, zo_store *store)
{
    zo_term term = {.dir = *draw, .coef = 1.0};
    own->be->zero(own->be, store->data, (size_t)store->size * sizeof(float));
    own->be->apply(own->be, store, NULL, 1.0, &term, 1, NULL);
}

zo_own_slot *zo_own_find(zo_own_factors *own, zo_own_side side, const zo_dir *dir)
{
    zo_dir wanted = draw_of(own, side, dir);
    for (int i = 0; i < ZO_OWN_SLOTS; i++) {
        zo_own_slot *slot = &own->slot[side][i];
        if (slot->used > 0 && zo_dir_same_draw(&slot->of, &wanted) && slot->of.period == wanted.period) {
            slot->used = ++own->clock;
            return slot;
        }
    }
    return NULL;
}

zo_own_slot *zo_own_oldest(zo_own_factors *own, zo_own_side side)
{
    zo_own_slot *oldest = &own->slot[side][0];
    for (int i = 1; i < ZO_OWN_SLOTS; i++) {
        oldest = own->slot[side][i].used < oldest->used ? &own->slot[side][i] : oldest;
    }
    return oldest;
}

/* basis <- U of the direction's period. */
static void make_basis(zo_own_factors *own, const zo_dir *dir)
{
    zo_dir base = {.kind = ZO_DIR_DENSE, .seed = dir->seed, .step = dir->period};
    if (own->basis.used == 0 || !zo_dir_same_draw(&own->basis.of, &base)) {
        own->basis.of = base;
        own->basis.used = 1;
        make_orthonormal(own, &base, own->basis.store);
    }
}

void zo_own_make(zo_own_factors *own, zo_own_slot *slot, zo_own_side side, const zo_dir *dir)
{
    double start = zo_now();
    slot->of = draw_of(own, side, dir);
    slot->used = ++own->clock;
    if (own->kind == ZO_DIR_FACTORS || (own->kind == ZO_DIR_SUBSPACE && side == ZO_SIDE_RIGHT)) {
        make_drawn(own, &slot->of, slot->store);
    } else if (own->kind == ZO_DIR_SUBSPACE || side == ZO_SIDE_RIGHT) {
        make_orthonormal(own, &slot->of, slot->store);
    } else {
        make_basis(own, dir);
        make_drawn(own, &slot->of, own->core);
        own->be->multiply(own->be, own->basis.store, false, own->core, slot->store);
    }
    zo_part_move(ZO_PART_UPDATE, ZO_PART_FORM, zo_now() - start); /* the backend counts a sweep as an update */
}

void zo_own_form(zo_own_factors *own, const zo_dir *dir, const zo_store *values, const zo_own_slot *basis)
{
    const zo_factors *f = own->factors;
    zo_backend *be = own->be;
    zo_store left = *own->formed.store;
    const zo_layout *head = basis != NULL ? &f->right : &f->core;
    left.layout = &f->left;
    if (basis != NULL) {
        be->copy(be, left.data, basis->store->data, (size_t)f->left.size * sizeof(float));
    } else {
        make_basis(own, dir);
        be->multiply(be, own->basis.store, false, values, &left);
    }
    be->copy(be, left.data + f->left.size, values->data + head->size, (size_t)(f->held.size - f->left.size) * sizeof(float));
    own->formed.of = *dir;
    own->formed.used = 1;
}

void zo_own_sum_open(zo_own_factors *own, zo_own_sum *sum)
{
    sum->left = zo_store_new(own->be, &own->factors->left, ZO_TAG_OPT_STATE);
    sum->right = zo_store_new(own->be, &own->factors->right, ZO_TAG_OPT_STATE);
}

zo_own_sum *zo_own_sum_of(zo_own_factors *own, const zo_own_slot *right)
{
    for (int k = own->sums - 1; k >= 0; k--) {
        if (zo_dir_same_draw(&own->sum[k].of, &right->of)) {
            return &own->sum[k];
        }
    }
    if (own->sums == ZO_OWN_SUMS) {
        return NULL;
    }
    zo_own_sum *sum = &own->sum[own->sums++];
    sum->of = right->of;
    zo_own_sum_open(own, sum);
    own->be->copy(own->be, sum->right->data, right->store->data, (size_t)right->store->size * sizeof(float));
    return sum;
}

void zo_own_sum_add(zo_own_factors *own, zo_own_sum *sum, const zo_store *left, double coef)
{
    zo_term term = {.dir = {.kind = ZO_DIR_SET, .values = left}, .coef = coef};
    own->be->apply(own->be, sum->left, NULL, 1.0, &term, 1, NULL);
}

/* diagonal <- of[t] on the diagonal of matrix t, or `same` on that of all. */
static void make_diagonal(zo_own_factors *own, const double *of, double same)
{
    const zo_layout *core = &own->factors->core;
    float *host = own->host;
    memset(host, 0, (size_t)core->size * sizeof *host);
    for (int t = 0; t < core->n; t++) {
        const zo_param *p = &core->param[t];
        for (int64_t i = 0; i < p->rows; i++) {
            host[p->offset + i * (p->cols + 1)] = (float)(of != NULL ? of[t] : same);
        }
    }
    own->be->upload(own->be, own->diagonal->data, host, (size_t)core->size * sizeof *host);
}

/* Gram matrices are means over the rows n here (`multiply` across), so X is kept as sqrt(n) X: then they are X^T X. */
void zo_own_orthogonalise(zo_own_factors *own, zo_store *x, zo_own_slot *scratch, int iterations)
{
    enum { MOST = 4096 };
    zo_backend *be = own->be;
    const zo_layout *core = &own->factors->core, *right = &own->factors->right;
    zo_store mine = *x, *from = &mine, *to = scratch->store, *was;
    double times[MOST];
    ZO_CHECK(core->n <= MOST, "%d factored matrices, and %d were thought of", core->n, MOST);
    mine.layout = right;
    scratch->used = 0;
    be->multiply(be, from, true, from, own->core);
    be->download(be, own->host, own->core->data, (size_t)core->size * sizeof *own->host);
    for (int t = 0; t < core->n; t++) {
        const zo_param *p = &core->param[t];
        double trace = 0.0; /* |N|^2 / n */
        for (int64_t i = 0; i < p->rows; i++) {
            trace += own->host[p->offset + i * (p->cols + 1)];
        }
        times[t] = trace > 0.0 ? 1.0 / sqrt(trace) : 0.0;
    }
    make_diagonal(own, times, 0.0);
    for (int k = 0; k <= iterations + 1; k++) { /* the norm, the iterations, sqrt(n) */
        bool between = k > 0 && k <= iterations;
        if (between) {
            zo_term sum[2] = {{.dir = {.kind = ZO_DIR_SET, .values = own->core}, .coef = -4.7750}, {.dir = {.kind = ZO_DIR_SET, .values = own->diagonal}, .coef = 3.4445}};
            zo_layout every = *core;
            zo_store power = *own->power;
            every.decays_whole = true;
            power.layout = &every;
            be->multiply(be, from, true, from, own->core);
            be->multiply(be, own->core, false, own->core, own->power);
            be->apply(be, &power, NULL, 2.0315, sum, 2, NULL);
        }
        be->multiply(be, from, false, between ? own->power : own->diagonal, to);
        was = from, from = to, to = was;
        if (k == 0) {
            make_diagonal(own, NULL, 1.0);
        }
        for (int t = 0; t < core->n && k == iterations; t++) {
            times[t] = 1.0 / sqrt((double)right->param[t].rows);
        }
        if (k == iterations) {
            make_diagonal(own, times, 0.0);
        }
    }
    if (from != &mine) {
        be->copy(be, x->data, from->data, (size_t)right->size * sizeof(float));
    }
}

void zo_own_carry(zo_own_factors *own, const zo_own_slot *from, const zo_own_slot *to, zo_own_slot *scratch, zo_store *x)
{
    zo_backend *be = own->be;
    scratch->used = 0;
    be->multiply(be, from->store, true, to->store, own->core);
    be->multiply(be, x, false, own->core, scratch->store);
    be->copy(be, x->data, scratch->store->data, (size_t)scratch->store->size * sizeof(float)); /* left factors stand first */
}
