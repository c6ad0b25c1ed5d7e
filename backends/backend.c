/* backend.c: what every backend shares: the list of them, layouts, stores, factors, counters. */
#include "backends/backend.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/codes.h"
#include "backends/list.h"
#include "core/rng.h"

#define X(name) zo_status zo_##name##_open(int ordinal, int threads, zo_backend **be, zo_err *err);
ZO_BACKEND_LIST(X)
#undef X

static const struct {
    const char *name;
    zo_status (*open)(int ordinal, int threads, zo_backend **be, zo_err *err);
} backends[] = {
#define X(name) {#name, zo_##name##_open},
    ZO_BACKEND_LIST(X)
#undef X
};

/* The number behind "name:", -1 where there is none, -2 where it is not a number. */
static int ordinal_of(const char *device, size_t name)
{
    if (device[name] == '\0') {
        return -1;
    }
    const char *digits = device + name + 1;
    size_t n = strspn(digits, "0123456789");
    return n > 0 && n < 5 && digits[n] == '\0' ? (int)strtol(digits, NULL, 10) : -2;
}

/* The most capable backend whose device is there. */
static zo_status open_any(int threads, zo_backend **be, zo_err *err)
{
    zo_status status = ZO_EUNSUPPORTED;
    for (size_t i = sizeof backends / sizeof *backends; i > 0 && status == ZO_EUNSUPPORTED; i--) {
        status = backends[i - 1].open(-1, threads, be, err);
    }
    return status;
}

zo_status zo_backend_open(const char *device, int threads, zo_backend **be, zo_err *err)
{
    char names[256] = "";
    size_t name = strcspn(device, ":");
    *be = NULL;
    if (strcmp(device, "auto") == 0) {
        return open_any(threads, be, err);
    }
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        if (strlen(backends[i].name) == name && memcmp(device, backends[i].name, name) == 0) {
            int ordinal = ordinal_of(device, name);
            if (ordinal == -2) {
                return zo_fail(err, ZO_EINPUT, "device \"%s\": after the colon stands a number from 0 on, as in \"%s:0\"", device,
                               backends[i].name);
            }
            return backends[i].open(ordinal, threads, be, err);
        }
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i > 0 ? ", " : "", backends[i].name);
    }
    if (name == 4 && memcmp(device, "cuda", 4) == 0) {
        return zo_fail(err, ZO_EINPUT, "device \"%s\": this program was built without the CUDA backend; build it with make CUDA=1, or use "
                       "\"cpu\"", device);
    }
    return zo_fail(err, ZO_EINPUT, "device \"%s\" is unknown to this build; it has: %s, auto", device, names);
}

const char *zo_precision_name(zo_precision precision)
{
    static const char *const name[ZO_PRECISIONS] = {"f32", "bf16", "tf32", "f16"};
    return name[precision];
}

const char *zo_algorithms_name(zo_algorithms how)
{
    return how == ZO_ALGORITHMS_TIMED ? "timed" : "first";
}

zo_status zo_backend_choose(zo_backend *be, zo_algorithms how, zo_err *err)
{
    if (be->choose != NULL) {
        be->choose(be, how);
    } else if (how != ZO_ALGORITHMS_FIRST) {
        return zo_fail(err, ZO_EUNSUPPORTED, "algorithms \"%s\" needs a GPU (\"device\": \"cuda\"): device \"%s\" (%s) has one for each product; use "
                       "\"algorithms\": \"first\"", zo_algorithms_name(how), be->name, be->device);
    }
    return ZO_OK;
}

static zo_status lacks(const zo_backend *be, const char *slot, zo_err *err)
{
    return zo_fail(err, ZO_EUNSUPPORTED, "device \"%s\" (%s) has no operation \"%s\", which this run needs; use another optimizer or \"device\"", be->name,
                   be->device, slot);
}

zo_status zo_backend_has(const zo_backend *be, zo_slots slots, zo_err *err)
{
#define HAS(slot)                      \
    if (be->slot == NULL) {            \
        return lacks(be, #slot, err);  \
    }
    switch (slots) {
    case ZO_SLOTS_FORWARD:
        HAS(alloc) HAS(release) HAS(upload) HAS(download) HAS(copy) HAS(zero) HAS(reserve) HAS(embed) HAS(linear) HAS(linear_rows) HAS(norm)
        HAS(head_logprob) HAS(add) HAS(scale) HAS(softcap) HAS(glu) HAS(rope) HAS(attention) HAS(gather) HAS(init_normal) HAS(finite) HAS(wait) HAS(close)
        break;
    case ZO_SLOTS_SWEEPS:
        HAS(apply)
        break;
    case ZO_SLOTS_LOWRANK:
        HAS(draw_factors)
        break;
    case ZO_SLOTS_RULES:
        HAS(rule)
        break;
    case ZO_SLOTS_DRAWN_RULES:
        HAS(rule_drawn)
        break;
    case ZO_SLOTS_LOWRANK_RULES:
        HAS(rule_lowrank)
        break;
    case ZO_SLOTS_PRODUCTS:
        HAS(multiply)
        break;
    case ZO_SLOTS_NORMS:
        HAS(dot)
        break;
    case ZO_SLOTS_BACKWARD:
        HAS(linear_backward) HAS(linear_rows_backward) HAS(act_backward) HAS(softcap_backward) HAS(glu_backward) HAS(norm_backward) HAS(attention_backward)
        HAS(embed_backward) HAS(head_backward) HAS(scatter_add)
        break;
    case ZO_SLOTS_SIDE:
        HAS(mix) HAS(gate) HAS(mix_backward) HAS(gate_backward)
        break;
    }
#undef HAS
    return ZO_OK;
}

zo_status zo_backend_check(const zo_backend *be, zo_precision precision, zo_err *err)
{
    if (be->version != ZO_BACKEND_VERSION) {
        return zo_fail(err, ZO_EUNSUPPORTED, "the backend of this device was compiled for version %d of the operations, and this program asks for version "
                       "%d; build both from one revision", be->version, ZO_BACKEND_VERSION);
    }
    zo_status status = zo_backend_has(be, ZO_SLOTS_FORWARD, err);
    if (status != ZO_OK) {
        return status;
    }
    if ((precision == ZO_TF32 && !be->tf32) || (precision == ZO_F16 && !be->f16)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "precision \"%s\" needs a GPU (\"device\": \"cuda\"); device \"%s\" (%s) has f32%s",
                       zo_precision_name(precision), be->name, be->device, be->bf16 ? " and bf16" : "");
    }
    if (precision == ZO_BF16 && !be->bf16) {
        return zo_fail(err, ZO_EUNSUPPORTED, "precision \"bf16\" is none of device \"%s\" (%s): use \"precision\": \"f32\"", be->name, be->device);
    }
    return ZO_OK;
}

/* counters ---------------------------------------------------------------------------------------------------------------- */

static _Atomic uint64_t normals, weight_bytes_written, linear_flops;

void zo_counters_add(zo_counters more)
{
    atomic_fetch_add(&normals, more.normals);
    atomic_fetch_add(&weight_bytes_written, more.weight_bytes_written);
    atomic_fetch_add(&linear_flops, more.linear_flops);
}

void zo_counters_read(zo_counters *counters)
{
    *counters = (zo_counters){.normals = atomic_load(&normals),
                              .weight_bytes_written = atomic_load(&weight_bytes_written),
                              .linear_flops = atomic_load(&linear_flops)};
}

void zo_counters_reset(void)
{
    atomic_store(&normals, 0);
    atomic_store(&weight_bytes_written, 0);
    atomic_store(&linear_flops, 0);
}

/* layouts ----------------------------------------------------------------------------------------------------------------- */

/* The place in the arena of what has none: whoever does not ask crashes at once. */
#define NOWHERE (INT64_MIN / 64)

uint32_t zo_param_id(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325ull;
    for (const char *c = name; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3ull;
    }
    return (uint32_t)(hash ^ hash >> 32);
}

int zo_layout_add(zo_layout *layout, const char *name, zo_param_kind kind, int64_t rows, int64_t cols, int block, bool decay)
{
    ZO_CHECK(rows > 0 && cols > 0, "parameter %s has shape (%lld, %lld)", name, (long long)rows, (long long)cols);
    ZO_CHECK(strlen(name) < sizeof layout->param->name, "the parameter name %s is longer than %zu bytes", name,
             sizeof layout->param->name - 1);
    uint32_t id = zo_param_id(name);
    for (int i = 0; i < layout->n; i++) {
        ZO_CHECK(layout->param[i].id != id, "the parameter names %s and %s have the same 32-bit id: rename one", layout->param[i].name,
                 name);
    }
    if ((layout->n & (layout->n - 1)) == 0) { /* full at every power of two */
        size_t room = layout->n > 0 ? 2 * (size_t)layout->n : 1;
        layout->param = zo_realloc(layout->param, ZO_HOST, ZO_TAG_OTHER, room * sizeof *layout->param);
    }
    zo_param *p = &layout->param[layout->n];
    *p = (zo_param){.kind = kind, .rows = rows, .cols = cols, .offset = layout->size, .id = id, .block = block, .decay = decay, .scale = 1.0f};
    memcpy(p->name, name, strlen(name) + 1);
    layout->size += (int64_t)zo_round_up((uint64_t)(rows * cols), 16);
    layout->trained_size = layout->size;
    return layout->n++;
}

zo_blocks zo_trained_blocks(const zo_layout *layout)
{
    zo_blocks trained = {0};
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        trained.outside = trained.outside || (!p->frozen && p->block < 0);
        trained.in |= !p->frozen && p->block >= 0 && p->block < ZO_DIR_BLOCKS ? (uint64_t)1 << p->block : 0;
    }
    return trained;
}

int zo_layout_add_codes(zo_layout *layout, const char *name, int64_t rows, int64_t cols, int block, int bits, int64_t group)
{
    char scales[sizeof layout->param->name];
    ZO_CHECK((bits == 8 || bits == 4) && group > 0, "the matrix %s as codes of %d bits in groups of %lld", name, bits, (long long)group);
    ZO_CHECK(snprintf(scales, sizeof scales, "%s.scales", name) < (int)sizeof scales, "the name %s is too long for that of its scales", name);
    int64_t before = layout->size;
    int at = zo_layout_add(layout, name, ZO_PARAM_MATRIX, rows, cols, block, true);
    zo_param *p = &layout->param[at];
    p->bits = bits;
    p->group = group;
    p->codes = layout->codes;
    p->offset = NOWHERE;
    layout->codes += (int64_t)zo_round_up((uint64_t)(rows * zo_codes_row_bytes(bits, cols)), 64);
    layout->size = layout->trained_size = before;
    zo_layout_add(layout, scales, ZO_PARAM_SCALES, rows, zo_codes_groups(cols, group), block, false);
    return at;
}

void zo_layout_freeze(zo_layout *layout, const bool *frozen)
{
    layout->size = layout->trained_size = 0;
    layout->lowest = layout->stages;
    for (int part = 0; part < 2; part++) { /* what is trained, what is frozen */
        for (int t = 0; t < layout->n; t++) {
            zo_param *p = &layout->param[t];
            if (frozen[t] == (part == 1)) {
                p->frozen = frozen[t];
                layout->lowest = part == 0 && p->stage < layout->lowest ? p->stage : layout->lowest;
                if (p->bits == 0) {
                    p->offset = layout->size;
                    layout->size += (int64_t)zo_round_up((uint64_t)(p->rows * p->cols), 16);
                }
            }
        }
        layout->trained_size = part == 0 ? layout->size : layout->trained_size;
    }
}

static bool has_own_place(const zo_param *p)
{
    return p->whole || p->again > 0;
}

int64_t zo_gradient_places(const zo_layout *layout, int64_t *place)
{
    int64_t weights = 0, biases = 0;
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        int64_t n = (int64_t)zo_round_up((uint64_t)(p->rows * p->cols), 16), *longest = p->bias ? &biases : &weights;
        *longest = !p->frozen && !has_own_place(p) && n > *longest ? n : *longest;
    }
    int64_t all = weights + biases;
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        if (place != NULL) {
            place[t] = has_own_place(p) ? all : p->bias ? weights : 0;
        }
        all += has_own_place(p) && !p->frozen ? (int64_t)zo_round_up((uint64_t)(p->rows * p->cols), 16) : 0;
    }
    return all;
}

int zo_layout_find(const zo_layout *layout, const char *name)
{
    for (int i = 0; i < layout->n; i++) {
        if (strcmp(layout->param[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

void zo_layout_free(zo_layout *layout)
{
    zo_free(layout->param);
    *layout = (zo_layout){0};
}

/* stores ------------------------------------------------------------------------------------------------------------------ */

const char *zo_storage_name(zo_storage storage)
{
    static const char *const name[ZO_STORAGES] = {"f32", "bf16", "f16"};
    return name[storage];
}

static zo_store *new_store(zo_backend *be, const zo_layout *layout, int64_t size, zo_storage storage, zo_tag tag)
{
    zo_store *store = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *store);
    *store = (zo_store){.layout = layout, .storage = storage, .size = size};
    void *arena = be->alloc(be, tag, (size_t)size * (size_t)zo_storage_bytes(storage));
    store->data = storage == ZO_STORAGE_F32 ? arena : NULL;
    store->half = storage == ZO_STORAGE_F32 ? NULL : arena;
    return store;
}

zo_store *zo_store_new_as(zo_backend *be, const zo_layout *layout, zo_storage storage, zo_tag tag)
{
    zo_store *store = new_store(be, layout, layout->size, storage, tag);
    store->codes = layout->codes > 0 ? be->alloc(be, tag, (size_t)layout->codes) : NULL;
    return store;
}

zo_store *zo_store_new(zo_backend *be, const zo_layout *layout, zo_tag tag)
{
    return new_store(be, layout, layout->trained_size, ZO_STORAGE_F32, tag);
}

zo_store *zo_store_new_places(zo_backend *be, const zo_layout *layout, zo_tag tag)
{
    int64_t *place = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)layout->n * sizeof *place);
    zo_store *store = new_store(be, layout, zo_gradient_places(layout, place), ZO_STORAGE_F32, tag);
    store->place = place;
    return store;
}

zo_store *zo_store_new_beside(zo_backend *be, const zo_store *weights, zo_tag tag)
{
    zo_store *store = new_store(be, weights->layout, weights->layout->trained_size, weights->storage, tag);
    store->below = weights;
    return store;
}

void zo_store_free(zo_backend *be, zo_store *store)
{
    if (store != NULL) {
        be->release(be, store->data != NULL ? (void *)store->data : store->half);
        be->release(be, store->codes);
        zo_free((void *)store->place);
        zo_free(store);
    }
}

void zo_store_get(zo_backend *be, const zo_store *store, int param, float *host)
{
    const zo_param *p = &store->layout->param[param];
    zo_store_get_rows(be, store, param, 0, p->rows, host);
}

void zo_store_set(zo_backend *be, zo_store *store, int param, const float *host)
{
    const zo_param *p = &store->layout->param[param];
    zo_store_set_rows(be, store, param, 0, p->rows, host);
}

void zo_store_get_rows(zo_backend *be, const zo_store *store, int param, int64_t row, int64_t n, float *host)
{
    const zo_param *p = &store->layout->param[param];
    if (p->bits == 0) {
        zo_store_read(be, store, p->offset + row * p->cols, n * p->cols, host);
        return;
    }
    int64_t wide = zo_codes_row_bytes(p->bits, p->cols), groups = p[1].cols;
    uint8_t *codes = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(n * wide));
    float *scales = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(n * groups) * sizeof *scales);
    be->download(be, codes, zo_store_codes(store, p) + row * wide, (size_t)(n * wide));
    zo_store_get_rows(be, store, param + 1, row, n, scales);
    for (int64_t r = 0; r < n; r++) {
        for (int64_t c = 0; c < p->cols; c++) {
            host[r * p->cols + c] = scales[r * groups + c / p->group] * (float)zo_code_at(codes + r * wide, p->bits, c);
        }
    }
    zo_free(codes);
    zo_free(scales);
}

void zo_store_set_rows(zo_backend *be, zo_store *store, int param, int64_t row, int64_t n, const float *host)
{
    const zo_param *p = &store->layout->param[param];
    if (p->bits == 0) {
        zo_store_write(be, store, p->offset + row * p->cols, n * p->cols, host);
        return;
    }
    int64_t wide = zo_codes_row_bytes(p->bits, p->cols), groups = p[1].cols;
    uint8_t *codes = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(n * wide));
    float *scales = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(n * groups) * sizeof *scales);
    for (int64_t r = 0; r < n; r++) {
        zo_codes_make(host + r * p->cols, p->cols, p->bits, p->group, store->storage, codes + r * wide, scales + r * groups);
    }
    be->upload(be, store->codes + p->codes + row * wide, codes, (size_t)(n * wide));
    zo_store_set_rows(be, store, param + 1, row, n, scales);
    zo_free(codes);
    zo_free(scales);
}

/* Host copies of 16-bit numbers are converted in pieces. */
enum { HALVES = 1 << 18 };

static uint16_t *halves_new(int64_t n)
{
    return zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(n < HALVES ? n : HALVES) * sizeof(uint16_t));
}

void zo_store_read(zo_backend *be, const zo_store *store, int64_t first, int64_t n, float *host)
{
    zo_storage storage = (first < store->size || store->below == NULL ? store : store->below)->storage;
    if (storage == ZO_STORAGE_F32) {
        be->download(be, host, zo_store_at(store, first), (size_t)n * sizeof *host);
        return;
    }
    uint16_t *half = halves_new(n);
    for (int64_t at = 0; at < n; at += HALVES) {
        int64_t m = n - at < HALVES ? n - at : HALVES;
        be->download(be, half, zo_store_at(store, first + at), (size_t)m * sizeof *half);
        for (int64_t i = 0; i < m; i++) {
            host[at + i] = zo_half_to(storage, half[i]);
        }
    }
    zo_free(half);
}

void zo_store_write(zo_backend *be, zo_store *store, int64_t first, int64_t n, const float *host)
{
    if (store->storage == ZO_STORAGE_F32) {
        be->upload(be, store->data + first, host, (size_t)n * sizeof *host);
        return;
    }
    uint16_t *half = halves_new(n);
    for (int64_t at = 0; at < n; at += HALVES) {
        int64_t m = n - at < HALVES ? n - at : HALVES;
        for (int64_t i = 0; i < m; i++) {
            half[i] = zo_half_from(store->storage, host[at + i]);
        }
        be->upload(be, store->half + first + at, half, (size_t)m * sizeof *half);
    }
    zo_free(half);
}

zo_view zo_view_stored(const zo_store *const *slot)
{
    return (zo_view){.npoints = 1, .base = slot};
}

zo_view zo_view_at(const zo_view *view, int p)
{
    zo_view at = *view;
    at.npoints = 1;
    at.base = view->base + p;
    at.coef = view->ndirs > 0 ? view->coef + (int64_t)p * view->ndirs : NULL;
    at.side = view->side != NULL ? view->side + (int64_t)p * view->factors->ncoef : NULL;
    return at;
}

bool zo_view_uses(const zo_view *view, int d)
{
    bool used = false;
    for (int p = 0; p < view->npoints; p++) {
        used = used || view->coef[p * view->ndirs + d] != 0.0f;
    }
    return used;
}

zo_acting zo_view_acting(const zo_view *view, int param, const zo_dir **acting)
{
    zo_acting a = {0, 0, 0, false, false};
    const zo_dir *before = NULL;
    const zo_param *p = &view->base[0]->layout->param[param];
    int block = p->block, rank = view->factors != NULL ? view->factors->rank[param] : 0;
    for (int d = 0; d < view->ndirs && !p->frozen; d++) {
        const zo_dir *dir = &view->dir[d];
        if (!zo_dir_acts(dir->kind, zo_dir_skip(dir), block, rank) || !zo_view_uses(view, d)) {
            continue;
        }
        bool lowrank = rank > 0 && zo_dir_is_lowrank(dir->kind);
        if (acting != NULL) {
            acting[a.dirs] = dir;
        }
        a.dirs++;
        a.lowrank = a.lowrank || lowrank;
        if (zo_dir_is_stored(dir->kind, rank)) {
            a.sets++;
        } else if (!lowrank) {
            bool again = false; /* an earlier one is scaled by the same set */
            for (int k = 0; k < d && dir->scale != 0; k++) {
                const zo_dir *other = &view->dir[k];
                again = again || (other->scale == dir->scale && zo_dir_acts(other->kind, zo_dir_skip(other), block, rank) && zo_view_uses(view, k));
            }
            a.sets += dir->scale != 0 && !again;
            a.scaled = a.scaled || dir->scale != 0;
            a.normals += dir->draw == ZO_DRAW_GAUSS && (before == NULL || !zo_dir_same_draw(dir, before));
            before = dir;
        }
    }
    ZO_CHECK(!a.scaled || !a.lowrank, "%s: a direction that a set scales, beside one of low rank: an objective refuses this", p->name);
    return a;
}

/* factors ----------------------------------------------------------------------------------------------------------------- */

static zo_factors *shapes_new(const zo_layout *layout, const int *rank, double scale_power, uint64_t seed)
{
    zo_factors *f = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, sizeof *f);
    size_t n = (size_t)layout->n;
    f->layout = layout;
    f->seed = seed;
    f->rank = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, n * sizeof *f->rank);
    f->coef_at = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, n * sizeof *f->coef_at);
    f->scale = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, n * sizeof *f->scale);
    f->u = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, n * sizeof *f->u);
    f->v = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, n * sizeof *f->v);
    for (int t = 0; t < layout->n; t++) {
        ZO_CHECK(rank[t] >= 0, "parameter %s has rank %d", layout->param[t].name, rank[t]);
        ZO_CHECK(rank[t] == 0 || layout->param[t].kind != ZO_PARAM_VECTOR, "the vector %s cannot have factors",
                 layout->param[t].name);
        f->rank[t] = rank[t];
        f->coef_at[t] = f->ncoef;
        f->ncoef += rank[t];
        f->scale[t] = rank[t] > 0 ? (float)pow(rank[t], scale_power) : 0.0f;
    }
    return f;
}

zo_factors *zo_factors_new(zo_backend *be, const zo_layout *layout, const int *rank, double scale_power, uint64_t seed)
{
    zo_factors *f = shapes_new(layout, rank, scale_power, seed);
    be->draw_factors(be, f);
    return f;
}

/* Appends the matrix NAME + suffix, (rows, cols); returns where it begins. */
static int64_t add_factor(zo_layout *to, const zo_param *p, const char *suffix, int64_t rows, int64_t cols)
{
    char name[sizeof p->name + 2];
    snprintf(name, sizeof name, "%s%s", p->name, suffix);
    int at = zo_layout_add(to, name, ZO_PARAM_MATRIX, rows, cols, p->block, false);
    return to->param[at].offset;
}

/* The first n parameters. */
static zo_layout head_of(const zo_layout *layout, int n, int64_t size)
{
    return (zo_layout){.n = n, .param = layout->param, .size = size, .trained_size = size};
}

zo_factors *zo_factors_new_own(const zo_layout *layout, const int *rank, double scale_power, uint64_t seed)
{
    zo_factors *f = shapes_new(layout, rank, scale_power, seed);
    f->left_at = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, (size_t)layout->n * sizeof *f->left_at);
    f->right_at = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, (size_t)layout->n * sizeof *f->right_at);
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        if (rank[t] > 0) {
            f->left_at[t] = add_factor(&f->held, p, "/U", p->rows, rank[t]);
            f->right_at[t] = add_factor(&f->held_right, p, "/V", p->cols, rank[t]);
            add_factor(&f->held_core, p, "/S", rank[t], rank[t]);
        }
    }
    int factored = f->held.n;
    int64_t left = f->held.size, core = f->held_core.size, right = f->held_right.size;
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        if (rank[t] == 0 && !p->frozen) {
            f->left_at[t] = add_factor(&f->held, p, "", p->rows, p->cols);
            add_factor(&f->held_core, p, "", p->rows, p->cols);
            add_factor(&f->held_right, p, "", p->rows, p->cols);
        }
    }
    f->left = head_of(&f->held, factored, left);
    f->core = head_of(&f->held_core, factored, core);
    f->right = head_of(&f->held_right, factored, right);
    return f;
}

void zo_factors_free(zo_backend *be, zo_factors *factors)
{
    if (factors == NULL) {
        return;
    }
    for (int t = 0; t < factors->layout->n && factors->left_at == NULL; t++) {
        be->release(be, factors->u[t]);
        be->release(be, factors->v[t]);
    }
    zo_free(factors->rank);
    zo_free(factors->coef_at);
    zo_free(factors->scale);
    zo_free(factors->u);
    zo_free(factors->v);
    zo_free(factors->left_at);
    zo_free(factors->right_at);
    zo_layout_free(&factors->held);
    zo_layout_free(&factors->held_right);
    zo_layout_free(&factors->held_core);
    zo_free(factors);
}

void zo_dir_coefs(const zo_dir *dir, const zo_factors *factors, int param, float *coef)
{
    int rank = factors->rank[param];
    if (dir->kind == ZO_DIR_SPAN) {
        memcpy(coef, dir->span + factors->coef_at[param], (size_t)rank * sizeof *coef);
    } else if (zo_dir_has_factors(dir->kind)) {
        for (int s = 0; s < rank; s++) {
            coef[s] = 1.0f;
        }
    } else {
        zo_stream tau = {.seed = dir->seed,
                         .tensor = factors->layout->param[param].id,
                         .step = dir->step,
                         .query = dir->query,
                         .role = ZO_ROLE_TAU};
        zo_normals(tau, 0, rank, coef);
    }
}
