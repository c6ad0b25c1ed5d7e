/* weights.c: a store of parameters from and to a Hugging Face folder, or drawn at random. Which tensor of the
 * checkpoint is which parameter is the family's table (models/family.h). */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/io.h"
#include "models/family.h"
#include "models/files/hub.h"
#include "models/files/names.h"
#include "models/files/safetensors.h"

#define PIECE_FLOATS ((int64_t)1 << 18)

/* ---- notes -------------------------------------------------------------------------------------------------------------------- */

void zo_note_add(char *note, size_t size, const char *format, ...)
{
    size_t used = strlen(note), gap = used > 0 ? 2 : 0;
    va_list args;
    va_start(args, format);
    if (used + gap < size && vsnprintf(note + used + gap, size - used - gap, format, args) > 0 && gap > 0) {
        memcpy(note + used, "; ", gap);
    }
    va_end(args);
}

static bool is_float(const zo_tensor *t)
{
    return t->dtype == ZO_DTYPE_F32 || t->dtype == ZO_DTYPE_F16 || t->dtype == ZO_DTYPE_BF16;
}

/* The same shape and numbers, perhaps in another type of floats? */
static bool same_numbers(const zo_tensors *tensors, const zo_tensor *a, const zo_tensor *b)
{
    enum { PIECE = 1 << 14 };
    if (a->dims != b->dims || memcmp(a->shape, b->shape, (size_t)a->dims * sizeof *a->shape) != 0 || !is_float(a) || !is_float(b)) {
        return false;
    }
    float *x = zo_alloc(ZO_HOST, ZO_TAG_DATA, 2 * PIECE * sizeof *x);
    bool same = true;
    for (int64_t at = 0; at < a->count && same; at += PIECE) {
        int64_t n = a->count - at < PIECE ? a->count - at : PIECE;
        zo_tensor_floats(a, at, n, x);
        zo_tensor_floats(b, at, n, x + PIECE);
        same = memcmp(x, x + PIECE, (size_t)n * sizeof *x) == 0;
        zo_tensors_drop(tensors, a, at, n);
        zo_tensors_drop(tensors, b, at, n);
    }
    zo_free(x);
    return same;
}

zo_status zo_weights_decoder(const char *folder, zo_arch *arch, zo_decoder decoder, char *note, size_t size, zo_err *err)
{
    const zo_family *family = zo_family_find(arch->family);
    zo_tensors tensors;
    zo_status status = zo_tensors_open(&tensors, folder, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_stored stored;
    char tried[ZO_NAME_BYTES];
    const zo_tensor *own = zo_name_find(&tensors, family, "", "lm.decoder.weight", NULL, &stored, tried),
                    *table = zo_name_find(&tensors, family, "", "embed.token", NULL, &stored, tried);
    bool asked = arch->tied || arch->decoder_copy; /* else config.json has them apart, and they may differ */
    if (asked && own != NULL && table != NULL && !same_numbers(&tensors, own, table)) {
        if (decoder == ZO_DECODER_TIED) {
            zo_note_add(note, size, "the checkpoint's own %.80s differs from the embeddings and is not read, because the decoder was asked to be tied",
                        own->name);
        } else {
            zo_note_add(note, size, "the checkpoint's own %.80s, which differs from the embeddings that config.json ties it to, is used", own->name);
            arch->tied = false;
        }
    }
    zo_tensors_close(&tensors);
    return ZO_OK;
}

/* Every tensor that parameter `name` may be read from is one that something reads: the one that is, and others with the same numbers. */
static void mark_read(const zo_tensors *tensors, const zo_family *family, const char *name, bool *read)
{
    zo_stored stored;
    char tried[ZO_NAME_BYTES];
    const zo_tensor *first = zo_name_find(tensors, family, "", name, NULL, &stored, tried), *t;
    if (first == NULL) {
        return;
    }
    read[first - tensors->tensor] = true;
    int block;
    const char *ending;
    const zo_name_row *row = zo_name_row_of(family, name, &block, &ending);
    static const char *const none[] = {"", NULL};
    for (const char *const *prefix = row->base ? family->prefixes : none; *prefix != NULL; prefix++) {
        for (int choice = 0; zo_name_spell(tried, *prefix, row->theirs, choice, block, ending); choice++) {
            t = zo_tensors_find(tensors, tried);
            if (t != NULL && !read[t - tensors->tensor]) {
                read[t - tensors->tensor] = same_numbers(tensors, first, t);
            }
        }
    }
}

zo_status zo_weights_unread(const char *folder, const zo_arch *arch, const zo_head *head, int n, int classes, char *note, size_t size,
                            zo_err *err)
{
    enum { SHOWN = 3 };
    const zo_family *family = zo_family_find(arch->family);
    zo_tensors tensors;
    zo_status status = zo_tensors_open(&tensors, folder, err);
    if (status != ZO_OK) {
        return status;
    }
    bool *read = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)tensors.n * sizeof *read + 1), class = false, lm = false;
    for (int h = 0; h < n; h++) {
        zo_layout layout = {0};
        zo_arch_layout(arch, head[h], classes, &layout);
        for (int i = 0; i < layout.n; i++) {
            if (!layout.param[i].added) {
                mark_read(&tensors, family, layout.param[i].name, read);
            }
        }
        zo_layout_free(&layout);
        class = class || (head[h] == ZO_HEAD_CLASS && classes > 0);
        lm = lm || head[h] != ZO_HEAD_CLASS;
    }
    if (lm) {
        mark_read(&tensors, family, "lm.decoder.weight", read); /* tied to the table: zo_weights_decoder speaks of it */
    }
    char path[4096], names[SHOWN * 100] = "";
    if (zo_path_exists(zo_path_join(path, sizeof path, folder, "adapter_config.json"))) {
        zo_note_add(note, size, "the PEFT adapter of adapter_config.json is not applied (see \"tune\": \"lora\")");
    }
    int unread = 0;
    for (int i = 0; i < tensors.n; i++) {
        const char *name = tensors.tensor[i].name;
        if (!read[i] && !zo_name_silent(family, name, class, lm) && unread++ < SHOWN) {
            snprintf(names + strlen(names), sizeof names - strlen(names), "%s%.90s", unread > 1 ? ", " : "", name);
        }
    }
    if (unread > SHOWN) {
        snprintf(names + strlen(names), sizeof names - strlen(names), " and %d more", unread - SHOWN);
    }
    if (unread > 0) {
        zo_note_add(note, size, "%d tensor%s of the checkpoint that nothing reads: %s", unread, unread == 1 ? "" : "s", names);
    }
    zo_free(read);
    zo_tensors_close(&tensors);
    return ZO_OK;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------ */

/* The shape of the tensor that a parameter stands in. */
static int stored_shape(const zo_param *p, zo_stored stored, const zo_joined *joined, int64_t shape[2])
{
    bool turned = stored == ZO_STORED_CONV1D;
    if (p->kind == ZO_PARAM_VECTOR) {
        shape[0] = joined->all;
        return 1;
    }
    shape[0] = turned ? p->cols : joined->all;
    shape[1] = turned ? joined->all : p->cols;
    return 2;
}

static const char *shape_text(const int64_t *shape, int dims, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "(");
    for (int d = 0; d < dims && used < size; d++) {
        used += (size_t)snprintf(out + used, size - used, "%s%" PRId64, d == 0 ? "" : ", ", shape[d]);
    }
    if (used < size) {
        snprintf(out + used, size - used, ")");
    }
    return out;
}

static zo_status check_tensor(const zo_tensors *tensors, const zo_tensor *t, const zo_param *p, zo_stored stored,
                              const zo_joined *joined, zo_err *err)
{
    int64_t shape[2];
    int dims = stored_shape(p, stored, joined, shape);
    char found[120], expected[60];
    if (t->dims != dims || memcmp(t->shape, shape, (size_t)dims * sizeof *shape) != 0) {
        bool head = strncmp(p->name, "class.out", 9) == 0;
        return zo_fail(err, ZO_EINPUT, "%s: tensor \"%.100s\" has shape %s; expected %s%s", tensors->path[t->file],
                       t->name, shape_text(t->shape, t->dims, found, sizeof found),
                       shape_text(shape, dims, expected, sizeof expected),
                       head ? " for the task's number of classes; use a checkpoint without this head or a task "
                              "with as many classes"
                            : " by config.json; weights and config.json are of different models");
    }
    if (!is_float(t)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "%s: tensor \"%.100s\" has dtype %s; expected F32, F16 or BF16",
                       tensors->path[t->file], t->name, zo_dtype_name(t->dtype));
    }
    return ZO_OK;
}

/* Where output `at` of the parameter stands among those of its tensor. */
static int64_t stored_output(zo_stored stored, const zo_joined *joined, int head_dim, int64_t at)
{
    return stored == ZO_STORED_HEADS ? (joined->n * (at / head_dim) + joined->part) * head_dim + at % head_dim : joined->before + at;
}

/* `rows` of the parameter from `row` on, which are those from `from` on of the tensor; width numbers each. */
static void load_rows(const zo_tensors *tensors, const zo_tensor *t, int64_t from, int64_t width, zo_backend *be, zo_store *store, int param, int64_t row,
                      int64_t rows, float *piece)
{
    const zo_param *p = &store->layout->param[param];
    if (p->bits > 0) { /* whole rows, in which groups are whole */
        int64_t block = PIECE_FLOATS / width > 0 ? PIECE_FLOATS / width : 1;
        float *host = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(block * width) * sizeof *host);
        for (int64_t r = 0; r < rows; r += block) {
            int64_t here = rows - r < block ? rows - r : block;
            zo_tensor_floats(t, (from + r) * width, here * width, host);
            zo_store_set_rows(be, store, param, row + r, here, host);
            zo_tensors_drop(tensors, t, (from + r) * width, here * width);
        }
        zo_free(host);
        return;
    }
    for (int64_t at = 0; at < rows * width; at += PIECE_FLOATS) {
        int64_t here = rows * width - at < PIECE_FLOATS ? rows * width - at : PIECE_FLOATS;
        zo_tensor_floats(t, from * width + at, here, piece);
        zo_store_write(be, store, p->offset + row * width + at, here, piece);
        zo_tensors_drop(tensors, t, from * width + at, here);
    }
}

/* Upload one tensor; piece (PIECE_FLOATS). */
static void load_tensor(const zo_tensors *tensors, const zo_tensor *t, int param, zo_stored stored, const zo_joined *joined, int head_dim,
                        zo_backend *be, zo_store *store, float *piece)
{
    const zo_param *p = &store->layout->param[param];
    int64_t rows = p->rows, cols = p->cols;
    if (stored != ZO_STORED_CONV1D || p->kind == ZO_PARAM_VECTOR) {
        int64_t all = zo_outputs_of(p), run = stored == ZO_STORED_HEADS ? head_dim : all, width = p->kind == ZO_PARAM_VECTOR ? 1 : cols;
        for (int64_t r = 0; r < all; r += run) {
            load_rows(tensors, t, stored_output(stored, joined, head_dim, r), width, be, store, param, r, run, piece);
        }
        return;
    }
    /* (cols, wide) there, rows from `first` on of its transpose here. */
    int64_t wide = t->shape[1], block = PIECE_FLOATS / (cols + 1), first = stored_output(stored, joined, head_dim, 0);
    block = block < 1 ? 1 : block < rows ? block : rows;
    float *turned = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(block * cols + block) * sizeof *turned);
    float *line = turned + block * cols;
    for (int64_t r = 0; r < rows; r += block) {
        int64_t here = rows - r < block ? rows - r : block;
        for (int64_t c = 0; c < cols; c++) {
            zo_tensor_floats(t, c * wide + first + r, here, line);
            for (int64_t i = 0; i < here; i++) {
                turned[i * cols + c] = line[i];
            }
        }
        zo_store_set_rows(be, store, param, r, here, turned);
    }
    zo_free(turned);
    zo_tensors_drop(tensors, t, 0, t->count);
}

/* value in elements [first, first + count) of a parameter */
static void fill_constant(zo_backend *be, zo_store *store, const zo_param *p, int64_t first, int64_t count,
                          float value)
{
    float *host = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)count * sizeof *host);
    for (int64_t i = 0; i < count; i++) {
        host[i] = value;
    }
    zo_store_write(be, store, p->offset + first, count, host);
    zo_free(host);
}

/* Codes of a drawn matrix. */
static void draw_codes(zo_backend *be, zo_store *store, int param, uint64_t seed, float std)
{
    const zo_param *p = &store->layout->param[param];
    zo_layout alone = {0};
    zo_layout_add(&alone, p->name, ZO_PARAM_MATRIX, p->rows, p->cols, p->block, true);
    zo_store *drawn = zo_store_new(be, &alone, ZO_TAG_DATA);
    float *host = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(p->rows * p->cols) * sizeof *host);
    be->init_normal(be, drawn, 0, seed, std);
    zo_store_get(be, drawn, 0, host);
    zo_store_set(be, store, param, host);
    zo_free(host);
    zo_store_free(be, drawn);
    zo_layout_free(&alone);
}

static void init_random(const zo_arch *arch, const zo_family *family, zo_backend *be, zo_store *store, int param,
                        uint64_t seed)
{
    const zo_param *p = &store->layout->param[param];
    if (p->kind == ZO_PARAM_VECTOR) {
        fill_constant(be, store, p, 0, p->cols, p->bias ? 0.0f : 1.0f - zo_norm_base(arch->norm));
        return;
    }
    float std = arch->init_std;
    const char *part = p->block >= 0 ? strchr(strchr(p->name, '.') + 1, '.') : "";
    if (family->scaled_residual_init &&
        (strcmp(part, ".attn.o.weight") == 0 || strcmp(part, ".mlp.down.weight") == 0)) {
        std = (float)(arch->init_std / sqrt(2.0 * arch->layers));
    }
    if (p->bits > 0) {
        draw_codes(be, store, param, seed, std);
        return;
    }
    be->init_normal(be, store, param, seed, std);
    if (family->pad_row_zero && arch->pad >= 0 &&
        (strcmp(p->name, "embed.token") == 0 ||
         (strcmp(p->name, "embed.position") == 0 && strcmp(arch->family, "roberta") == 0))) {
        fill_constant(be, store, p, arch->pad * p->cols, p->cols, 0.0f);
    }
}

/* lm.decoder.weight := embed.token */
static void copy_table(const zo_layout *layout, zo_backend *be, zo_store *store)
{
    int from = zo_layout_find(layout, "embed.token"), to = zo_layout_find(layout, "lm.decoder.weight");
    ZO_CHECK(from >= 0 && to >= 0, "a decoder that begins as a copy of the token table, in a layout without the two");
    const zo_param *p = &layout->param[from];
    int64_t count = p->rows * p->cols;
    float *piece = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)PIECE_FLOATS * sizeof *piece);
    for (int64_t at = 0; at < count; at += PIECE_FLOATS) {
        int64_t here = count - at < PIECE_FLOATS ? count - at : PIECE_FLOATS;
        zo_store_read(be, store, p->offset + at, here, piece);
        zo_store_write(be, store, layout->param[to].offset + at, here, piece);
    }
    zo_free(piece);
}

void zo_weights_random(const zo_arch *arch, const zo_layout *layout, zo_backend *be, zo_store *store,
                       uint64_t seed)
{
    const zo_family *family = zo_family_find(arch->family);
    ZO_CHECK(family != NULL, "family %s is not in models/list.h", arch->family);
    for (int i = 0; i < layout->n; i++) {
        if (!layout->param[i].added) {
            init_random(arch, family, be, store, i, seed);
        }
    }
    if (arch->decoder_copy) {
        copy_table(layout, be, store);
    }
}

static zo_status fail_missing(const char *folder, const zo_arch *arch, const char *name, const char *tried,
                              const zo_tensors *tensors, zo_err *err)
{
    if (strncmp(name, "lm.", 3) == 0) {
        return zo_fail(
            err, ZO_EINPUT,
            "%s: tensor \"%s\" is missing, so the checkpoint has no language-model head; use a checkpoint with "
            "one, or the task's form \"head\"",
            folder, tried);
    }
    return zo_fail(
        err, ZO_EINPUT,
        "%s: tensor \"%s\" (also without its prefix) is missing among the %d of the checkpoint, the first of "
        "which is \"%.100s\"; config.json promises a %s of %d layers, so the weights are incomplete or of another "
        "model",
        folder, tried, tensors->n, tensors->n > 0 ? tensors->tensor[0].name : "", arch->family, arch->layers);
}

/* f16 ends at 65504, where f32 and bf16 go on. */
static zo_status fail_range(const char *folder, const zo_layout *layout, zo_backend *be, const zo_store *store, zo_err *err)
{
    const char *name = "";
    for (int i = 0; i < layout->n && name[0] == '\0'; i++) {
        int64_t n = layout->param[i].rows * layout->param[i].cols;
        float *host = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof *host);
        zo_store_get(be, store, i, host);
        for (int64_t j = 0; j < n && name[0] == '\0'; j++) {
            name = isfinite(host[j]) ? "" : layout->param[i].name;
        }
        zo_free(host);
    }
    return zo_fail(err, ZO_EINPUT, "%s: parameter %s has a value that is not finite in f16, whose largest is 65504; use \"storage\": "
                   "\"bf16\" or \"f32\"", folder, name);
}

/* The stored one of a decoder and a token table that are, or begin as, the same. */
static const zo_tensor *other_of(const zo_tensors *tensors, const zo_family *family, const char *name)
{
    zo_stored stored;
    char tried[ZO_NAME_BYTES];
    const char *other = strcmp(name, "lm.decoder.weight") == 0 ? "embed.token" : strcmp(name, "embed.token") == 0 ? "lm.decoder.weight" : NULL;
    return other != NULL ? zo_name_find(tensors, family, "", other, NULL, &stored, tried) : NULL;
}

/* The tensor of parameter `i` of the layout, with its shape and type looked at; *found = NULL for what is added, and for a classification head that the
 * checkpoint lacks. */
static zo_status find_tensor(const char *folder, const zo_tensors *tensors, const zo_arch *arch, const zo_layout *layout, int i, const zo_tensor **found,
                             zo_stored *stored, zo_joined *joined, zo_err *err)
{
    const zo_family *family = zo_family_find(arch->family);
    const zo_param *p = &layout->param[i];
    char tried[ZO_NAME_BYTES];
    *found = NULL;
    *joined = (zo_joined){0};
    if (p->added) {
        return ZO_OK;
    }
    const zo_tensor *t = zo_name_find(tensors, family, "", p->name, NULL, stored, tried);
    if (t == NULL && (arch->decoder_copy || arch->tied)) {
        t = other_of(tensors, family, p->name);
    }
    if (t == NULL) {
        return strncmp(p->name, "class.", 6) == 0 ? ZO_OK : fail_missing(folder, arch, p->name, tried, tensors, err);
    }
    *found = t;
    *joined = zo_name_joined(family, layout, i);
    return check_tensor(tensors, t, p, *stored, joined, err);
}

zo_status zo_weights_check(const char *folder, const zo_arch *arch, const zo_layout *layout, zo_err *err)
{
    zo_tensors tensors;
    zo_status status = zo_tensors_open(&tensors, folder, err);
    if (status != ZO_OK) {
        return status;
    }
    for (int i = 0; i < layout->n && status == ZO_OK; i++) {
        const zo_tensor *t;
        zo_stored stored;
        zo_joined joined;
        status = find_tensor(folder, &tensors, arch, layout, i, &t, &stored, &joined, err);
    }
    zo_tensors_close(&tensors);
    return status;
}

zo_status zo_weights_read(const char *folder, const zo_arch *arch, const zo_layout *layout, zo_backend *be,
                          zo_store *store, uint64_t seed, zo_err *err)
{
    const zo_family *family = zo_family_find(arch->family);
    ZO_CHECK(family != NULL, "family %s is not in models/list.h", arch->family);
    zo_tensors tensors;
    zo_status status = zo_tensors_open(&tensors, folder, err);
    if (status != ZO_OK) {
        return status;
    }
    float *piece = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)PIECE_FLOATS * sizeof *piece);
    for (int i = 0; i < layout->n && status == ZO_OK; i++) {
        const zo_tensor *t;
        zo_stored stored;
        zo_joined joined;
        status = find_tensor(folder, &tensors, arch, layout, i, &t, &stored, &joined, err);
        if (status == ZO_OK && t != NULL) {
            load_tensor(&tensors, t, i, stored, &joined, arch->head_dim, be, store, piece);
        } else if (status == ZO_OK && !layout->param[i].added) {
            init_random(arch, family, be, store, i, seed);
        }
    }
    zo_free(piece);
    zo_tensors_close(&tensors);
    if (status == ZO_OK && store->storage == ZO_STORAGE_F16 && !be->finite(be, store)) {
        status = fail_range(folder, layout, be, store, err);
    }
    return status;
}

/* What one tensor of the file being written is made of. */
typedef struct source {
    zo_joined joined; /* the parameters */
    zo_stored stored;
} source;
typedef struct writer {
    const zo_layout *layout;
    const zo_store *store;
    zo_backend *be;
    int head_dim;
    float *turned; /* the whole tensor as the file has it, for what is not stored plainly, or held as codes; NULL between tensors */
} writer;

/* The whole tensor as the file has it: transposed, and joined from its parameters. */
static float *turn(const writer *w, const source *from)
{
    const zo_param *first = &w->layout->param[from->joined.param[0]];
    int64_t all = from->joined.all, width = first->kind == ZO_PARAM_VECTOR ? 1 : first->cols;
    bool turned = from->stored == ZO_STORED_CONV1D && first->kind != ZO_PARAM_VECTOR;
    float *out = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(all * width) * sizeof *out);
    float *one = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(all * width) * sizeof *one);
    for (zo_joined j = from->joined; j.part < j.n; j.part++) {
        int64_t outputs = zo_outputs_of(&w->layout->param[j.param[j.part]]);
        zo_store_get(w->be, w->store, j.param[j.part], one);
        for (int64_t r = 0; r < outputs; r++) {
            int64_t at = stored_output(from->stored, &j, w->head_dim, r);
            for (int64_t c = 0; c < width; c++) {
                out[turned ? c * all + at : at * width + c] = one[r * width + c];
            }
        }
        j.before += outputs;
    }
    zo_free(one);
    return out;
}

static void fill_piece(const zo_tensor_out *entry, int64_t first, int64_t count, float *out, void *context)
{
    writer *w = context;
    const source *from = entry->from;
    const zo_param *only = &w->layout->param[from->joined.param[0]];
    if (from->stored == ZO_STORED_PLAIN && from->joined.n == 1 && only->bits == 0) {
        zo_store_read(w->be, w->store, only->offset + first, count, out);
        return;
    }
    if (first == 0) {
        zo_free(w->turned);
        w->turned = turn(w, from);
    }
    memcpy(out, w->turned + first, (size_t)count * sizeof *out);
}

zo_status zo_weights_write(const char *folder, const zo_arch *arch, const zo_layout *layout, zo_backend *be,
                           const zo_store *store, zo_err *err)
{
    const zo_family *family = zo_family_find(arch->family);
    ZO_CHECK(family != NULL, "family %s is not in models/list.h", arch->family);
    zo_status status = zo_make_dirs(folder, err);
    if (status != ZO_OK) {
        return status;
    }
    char path[4096];
    zo_path_join(path, sizeof path, folder, "model.safetensors");
    size_t n = 2 * (size_t)layout->n; /* under two names, the most that a row has */
    zo_tensor_out *entry = zo_alloc(ZO_HOST, ZO_TAG_DATA, n * sizeof *entry);
    source *from = zo_alloc(ZO_HOST, ZO_TAG_DATA, n * sizeof *from);
    zo_tensor_name *name = zo_alloc(ZO_HOST, ZO_TAG_DATA, n * sizeof *name);
    int entries = 0;
    for (int i = 0; i < layout->n; i++) {
        int block;
        const char *ending;
        if (layout->param[i].added) {
            continue; /* files of their own */
        }
        const zo_name_row *row = zo_name_row_of(family, layout->param[i].name, &block, &ending);
        zo_joined joined = zo_name_joined(family, layout, i);
        if (joined.part > 0) {
            continue; /* in the file with the first of its tensor */
        }
        int names = zo_names_written(row->theirs);
        ZO_CHECK(names <= 2, "%s is written under %d names", layout->param[i].name, names);
        for (int choice = 0; choice < names; choice++) {
            zo_tensor_out *e = &entry[entries];
            zo_name_spell(name[entries], row->base ? family->prefixes[0] : "", row->theirs, choice, block, ending);
            from[entries] = (source){.joined = joined, .stored = row->stored};
            e->name = name[entries];
            e->dims = stored_shape(&layout->param[i], row->stored, &joined, e->shape);
            e->from = &from[entries];
            entries++;
        }
    }
    writer w = {.layout = layout, .store = store, .be = be, .head_dim = arch->head_dim};
    status = zo_tensors_write(path, entry, entries, fill_piece, &w, err);
    zo_free(w.turned);
    zo_free(name);
    zo_free(from);
    zo_free(entry);
    if (status != ZO_OK) {
        return status;
    }
    cJSON *json = zo_arch_write(arch, layout);
    char *text = cJSON_Print(json);
    cJSON_Delete(json);
    zo_path_join(path, sizeof path, folder, "config.json");
    status = zo_write_file(path, text, strlen(text), err);
    cJSON_free(text);
    return status;
}
