/* torch_file.c: see torch_file.h. The forms are those of torch/serialization.py: _legacy_save and _save. */
#include "models/files/torch_file.h"

#include <minizip/unzip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "models/files/pickle.h"
#include "text/tokenizer_impl.h" /* zo_utf8_valid */

#define FETCH_AGAIN "the file is damaged, fetch it again"
#define SAVE_AGAIN "save the model again with transformers' save_pretrained"
#define ENTRY_NAME_BYTES 512

/* ---- what the pickle says -------------------------------------------------------------------------------------------------- */

/* X(enumerator, name in module torch, type of its elements) */
#define STORAGE_LIST(X)                                                                                                               \
    X(FLOAT, "FloatStorage", F32) X(HALF, "HalfStorage", F16) X(BFLOAT16, "BFloat16Storage", BF16) X(DOUBLE, "DoubleStorage", F64)    \
    X(LONG, "LongStorage", I64) X(INT, "IntStorage", I32) X(SHORT, "ShortStorage", I16) X(CHAR, "CharStorage", I8)                    \
    X(BYTE, "ByteStorage", U8) X(BOOL, "BoolStorage", BOOL) X(COMPLEX, "ComplexFloatStorage", C64)

enum { DICT, TENSOR, OLD_TENSOR, PARAMETER, FIRST_STORAGE };

static const zo_pickle_name names[] = {[DICT] = {"collections", "OrderedDict", true},
                                       [TENSOR] = {"torch._utils", "_rebuild_tensor_v2", false},
                                       [OLD_TENSOR] = {"torch._utils", "_rebuild_tensor", false},
                                       [PARAMETER] = {"torch._utils", "_rebuild_parameter", false},
#define X(id, name, dtype) {"torch", name, false},
                                       STORAGE_LIST(X)
#undef X
                                       {NULL, NULL, false}};

static const zo_dtype storage_dtypes[] = {
#define X(id, name, dtype) ZO_DTYPE_##dtype,
    STORAGE_LIST(X)
#undef X
};

typedef struct storage {
    const char *key; /* (length) in the pickle */
    size_t length;
    zo_dtype dtype;
    int64_t numel;
    const uint8_t *data; /* (numel); NULL: not found yet */
} storage;

typedef struct reader {
    zo_tensors *tensors;
    const uint8_t *data;
    size_t bytes;
    int file;
    const char *path;
    zo_err *err;
    zo_pickle pickle;
    storage *storage; /* (storages) by key */
    int storages;
} reader;

static zo_status fail_damaged(const reader *r, const char *what)
{
    return zo_fail(r->err, ZO_EINPUT, "%s: %s; " FETCH_AGAIN, r->path, what);
}

static int storage_order(const void *a, const void *b)
{
    const storage *x = a, *y = b;
    int order = memcmp(x->key, y->key, x->length < y->length ? x->length : y->length);
    return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

static storage *find_storage(const reader *r, const char *key, size_t length)
{
    storage wanted = {.key = key, .length = length};
    return r->storages > 0 ? bsearch(&wanted, r->storage, (size_t)r->storages, sizeof *r->storage, storage_order) : NULL;
}

/* ("storage", its type, its key, a device, its elements) and in old files a view of it: (a key, the first element, elements) or None. */
static zo_status read_storage(const reader *r, const zo_pickle_value *persistent, storage *s, int64_t *first, int64_t *numel)
{
    const zo_pickle *p = &r->pickle;
    const zo_pickle_value *all = &p->value[persistent->inner], *what, *type, *key, *count, *view, *from, *length;
    if (all->kind == ZO_PICKLE_TUPLE && zo_pickle_item(p, all, 0, &what) && zo_pickle_is_text(what, "module")) {
        return zo_fail(r->err, ZO_EUNSUPPORTED, "%s: holds a whole torch module with its source, not its tensors alone; " SAVE_AGAIN, r->path);
    }
    if (all->kind != ZO_PICKLE_TUPLE || all->n < 5 || all->n > 6 || !zo_pickle_item(p, all, 0, &what) || !zo_pickle_is_text(what, "storage") ||
        !zo_pickle_item(p, all, 1, &type) || type->kind != ZO_PICKLE_NAME || type->number < FIRST_STORAGE || !zo_pickle_item(p, all, 2, &key) ||
        key->kind != ZO_PICKLE_TEXT || !zo_pickle_item(p, all, 4, &count) || count->kind != ZO_PICKLE_INT || count->number < 0 ||
        count->number > INT64_MAX / 64) {
        return fail_damaged(r, "its pickle describes a storage without type, key or size");
    }
    *s = (storage){.key = key->text, .length = key->length, .dtype = storage_dtypes[type->number - FIRST_STORAGE], .numel = count->number};
    *first = 0;
    *numel = s->numel;
    if (!zo_pickle_item(p, all, 5, &view) || view->kind == ZO_PICKLE_NONE) {
        return ZO_OK;
    }
    if (view->kind != ZO_PICKLE_TUPLE || view->n != 3 || !zo_pickle_item(p, view, 1, &from) || !zo_pickle_item(p, view, 2, &length) ||
        from->kind != ZO_PICKLE_INT || length->kind != ZO_PICKLE_INT || from->number < 0 || length->number < 0 || from->number > s->numel ||
        length->number > s->numel - from->number) {
        return fail_damaged(r, "its pickle describes a view that is not within its storage");
    }
    *first = from->number;
    *numel = length->number;
    return ZO_OK;
}

/* All storages that the pickle speaks of, each once. */
static zo_status list_storages(reader *r)
{
    int64_t first, numel;
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->pickle.values; i++) {
        n += r->pickle.value[i].kind == ZO_PICKLE_PERSISTENT;
    }
    r->storage = zo_alloc(ZO_HOST, ZO_TAG_DATA, n * sizeof *r->storage);
    for (uint32_t i = 0; i < r->pickle.values; i++) {
        if (r->pickle.value[i].kind == ZO_PICKLE_PERSISTENT) {
            zo_status status = read_storage(r, &r->pickle.value[i], &r->storage[r->storages], &first, &numel);
            if (status != ZO_OK) {
                return status;
            }
            r->storages++;
        }
    }
    if (r->storages > 1) {
        qsort(r->storage, (size_t)r->storages, sizeof *r->storage, storage_order);
    }
    int kept = 0;
    for (int i = 0; i < r->storages; i++) {
        storage *s = &r->storage[i], *last = &r->storage[kept > 0 ? kept - 1 : 0];
        if (kept == 0 || storage_order(s, last) != 0) {
            r->storage[kept++] = *s;
        } else if (s->dtype != last->dtype || s->numel != last->numel) {
            return fail_damaged(r, "its pickle gives one storage two types or sizes");
        }
    }
    r->storages = kept;
    return ZO_OK;
}

static zo_status fail_entry(const reader *r, const char *name, const zo_pickle_value *value)
{
    if (value->kind == ZO_PICKLE_DICT) {
        return zo_fail(r->err, ZO_EUNSUPPORTED,
                       "%s: \"%.100s\" is a dict, so this is a training checkpoint or the like; expected a dict from names to tensors, so " SAVE_AGAIN, r->path, name);
    }
    return zo_fail(r->err, ZO_EUNSUPPORTED, "%s: \"%.100s\" is %s; expected a tensor, so " SAVE_AGAIN, r->path, name, zo_pickle_kind_name(value->kind));
}

/* Numbers of a tuple, none negative. */
static bool read_sizes(const zo_pickle *p, const zo_pickle_value *tuple, int64_t out[ZO_TENSOR_DIMS])
{
    if (tuple->kind != ZO_PICKLE_TUPLE || tuple->n > ZO_TENSOR_DIMS) {
        return false;
    }
    for (uint32_t i = 0; i < tuple->n; i++) {
        const zo_pickle_value *v;
        if (!zo_pickle_item(p, tuple, i, &v) || v->kind != ZO_PICKLE_INT || v->number < 0) {
            return false;
        }
        out[i] = v->number;
    }
    return true;
}

/* Shape and strides of `t` against its storage of `numel` elements, of which it begins at `offset`. */
static zo_status check_place(const reader *r, zo_tensor *t, int64_t offset, int64_t numel)
{
    int64_t last = offset, plain = 1, step;
    t->count = 1;
    for (int d = 0; d < t->dims; d++) {
        if (__builtin_mul_overflow(t->count, t->shape[d], &t->count) || t->count > INT64_MAX / 64) {
            return zo_fail(r->err, ZO_EINPUT, "%s: the sizes of tensor \"%.100s\" multiply to more than a file can hold; " FETCH_AGAIN, r->path, t->name);
        }
    }
    if (t->count > 0) {
        for (int d = t->dims - 1; d >= 0; d--) {
            if (__builtin_mul_overflow(t->shape[d] - 1, t->stride[d], &step) || __builtin_add_overflow(last, step, &last)) {
                last = INT64_MAX;
                break;
            }
            t->strided = t->strided || (t->shape[d] > 1 && t->stride[d] != plain);
            plain *= t->shape[d];
        }
    }
    if (t->count > 0 ? last >= numel : offset > numel) {
        return zo_fail(r->err, ZO_EINPUT, "%s: tensor \"%.100s\" reaches beyond its storage, which has %lld elements; " FETCH_AGAIN, r->path, t->name,
                       (long long)numel);
    }
    return ZO_OK;
}

/* _rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks[, metadata]), within any number of _rebuild_parameter(tensor, ..). */
static zo_status add_tensor(reader *r, char *name, const zo_pickle_value *value)
{
    const zo_pickle *p = &r->pickle;
    const zo_pickle_value *made = value, *from, *offset, *shape, *stride;
    for (uint32_t i = 0; i < p->values && made->kind == ZO_PICKLE_CALL && made->number == PARAMETER && zo_pickle_item(p, &p->value[made->inner], 0, &from); i++) {
        made = from;
    }
    if (made->kind != ZO_PICKLE_CALL || (made->number != TENSOR && made->number != OLD_TENSOR)) {
        return fail_entry(r, name, made);
    }
    const zo_pickle_value *arguments = &p->value[made->inner];
    zo_tensor t = {.name = name, .file = r->file};
    if (!zo_pickle_item(p, arguments, 0, &from) || from->kind != ZO_PICKLE_PERSISTENT || !zo_pickle_item(p, arguments, 1, &offset) ||
        offset->kind != ZO_PICKLE_INT || offset->number < 0 || !zo_pickle_item(p, arguments, 2, &shape) || !read_sizes(p, shape, t.shape) ||
        !zo_pickle_item(p, arguments, 3, &stride) || !read_sizes(p, stride, t.stride) || shape->n != stride->n) {
        return zo_fail(r->err, ZO_EINPUT, "%s: tensor \"%.100s\" lacks a proper storage, offset, shape or strides; " FETCH_AGAIN, r->path, name);
    }
    storage said;
    int64_t first, numel;
    zo_status status = read_storage(r, from, &said, &first, &numel);
    if (status != ZO_OK) {
        return status;
    }
    const storage *s = find_storage(r, said.key, said.length);
    ZO_CHECK(s != NULL && s->data != NULL, "storage %.*s of %s is not on the list", (int)said.length, said.key, r->path);
    t.dtype = s->dtype;
    t.dims = (int)shape->n;
    status = check_place(r, &t, offset->number, numel);
    if (status == ZO_OK) {
        t.data = s->data + (first + offset->number) * (zo_dtype_bits(t.dtype) / 8);
        zo_tensors_add(r->tensors, &t);
    }
    return status;
}

/* The pickle's value, a dict from names to tensors; storages have their data. */
static zo_status add_tensors(reader *r)
{
    const zo_pickle *p = &r->pickle;
    const zo_pickle_value *root = &p->value[p->root];
    if (root->kind != ZO_PICKLE_DICT) {
        return zo_fail(r->err, ZO_EUNSUPPORTED, "%s: holds %s; expected a dict from names to tensors, so " SAVE_AGAIN, r->path, zo_pickle_kind_name(root->kind));
    }
    uint32_t at = root->first;
    for (uint32_t i = 0; i + 1 < root->n; i += 2) {
        const zo_pickle_value *key = &p->value[p->cell[at].value];
        at = p->cell[at].next;
        const zo_pickle_value *value = &p->value[p->cell[at].value];
        at = p->cell[at].next;
        char name[ZO_TENSOR_NAME_BYTES + 1];
        if (key->kind != ZO_PICKLE_TEXT || key->length == 0 || key->length > ZO_TENSOR_NAME_BYTES || memchr(key->text, '\0', key->length) != NULL ||
            !zo_utf8_valid(key->text, (int64_t)key->length)) {
            return zo_fail(r->err, ZO_EINPUT, "%s: a tensor's name is %s of %zu bytes; expected a text of 1 to %d, in UTF-8", r->path,
                           zo_pickle_kind_name(key->kind), key->length, ZO_TENSOR_NAME_BYTES);
        }
        memcpy(name, key->text, key->length);
        name[key->length] = '\0';
        zo_status status = add_tensor(r, name, value);
        if (status != ZO_OK) {
            return status;
        }
    }
    return ZO_OK;
}

static zo_status check_all_found(const reader *r)
{
    for (int i = 0; i < r->storages; i++) {
        const storage *s = &r->storage[i];
        if (s->data == NULL) {
            return zo_fail(r->err, ZO_EINPUT, "%s: the storage \"%.*s\" that its pickle speaks of is not in the file; " FETCH_AGAIN, r->path,
                           (int)(s->length < 100 ? s->length : 100), s->key);
        }
    }
    return ZO_OK;
}

/* ---- pickles in a row ------------------------------------------------------------------------------------------------------ */

/* The next pickle into *p; *at goes behind it. */
static zo_status next_pickle(const reader *r, size_t *at, zo_pickle *p)
{
    zo_status status = zo_pickle_read(p, r->data + *at, r->bytes - *at, names, r->path, r->err);
    *at += status == ZO_OK ? p->bytes : 0;
    return status;
}

/* The three pickles before the dict: torch's number, a version, and what the machine was that wrote the file. */
static zo_status read_preface(const reader *r, size_t *at)
{
    static const uint8_t magic[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19}; /* 0x1950a86a20f9469cfc6c */
    zo_pickle p;
    zo_status status = next_pickle(r, at, &p);
    if (status != ZO_OK) {
        return status;
    }
    const zo_pickle_value *v = &p.value[p.root];
    bool good = v->kind == ZO_PICKLE_BIG && v->length == sizeof magic && memcmp(v->text, magic, sizeof magic) == 0;
    zo_pickle_close(&p);
    if (!good) {
        return zo_fail(r->err, ZO_EUNSUPPORTED, "%s: is a pickle, but not one that torch.save has written; " SAVE_AGAIN, r->path);
    }
    status = next_pickle(r, at, &p);
    if (status != ZO_OK) {
        return status;
    }
    int64_t version = p.value[p.root].kind == ZO_PICKLE_INT ? p.value[p.root].number : 0;
    zo_pickle_close(&p);
    if (version != 1001) {
        return zo_fail(r->err, ZO_EUNSUPPORTED, "%s: was written by torch.save's version %lld; expected 1001, so " SAVE_AGAIN, r->path, (long long)version);
    }
    status = next_pickle(r, at, &p);
    if (status != ZO_OK) {
        return status;
    }
    const zo_pickle_value *root = &p.value[p.root];
    int little = -1;
    uint32_t cell = root->first;
    for (uint32_t i = 0; root->kind == ZO_PICKLE_DICT && i + 1 < root->n; i += 2) {
        const zo_pickle_value *key = &p.value[p.cell[cell].value], *value = &p.value[p.cell[p.cell[cell].next].value];
        cell = p.cell[p.cell[cell].next].next;
        little = zo_pickle_is_text(key, "little_endian") && value->kind == ZO_PICKLE_BOOL ? (int)value->number : little;
    }
    zo_pickle_close(&p);
    if (little == 0) {
        return zo_fail(r->err, ZO_EUNSUPPORTED, "%s: was written on a machine with the high byte first; expected the low byte first, so " SAVE_AGAIN " elsewhere", r->path);
    }
    return little == 1 ? ZO_OK : fail_damaged(r, "does not say in which order bytes are");
}

/* A list of the storages' keys, then in their order 8 bytes of a count and the elements of each. */
static zo_status find_rows(reader *r, size_t at)
{
    zo_pickle keys;
    zo_status status = next_pickle(r, &at, &keys);
    if (status != ZO_OK) {
        return status;
    }
    const zo_pickle_value *list = &keys.value[keys.root];
    uint32_t cell = list->first;
    status = list->kind == ZO_PICKLE_LIST ? ZO_OK : fail_damaged(r, "has no list of its storages");
    for (uint32_t i = 0; status == ZO_OK && i < list->n; i++, cell = keys.cell[cell].next) {
        const zo_pickle_value *key = &keys.value[keys.cell[cell].value];
        storage *s = key->kind == ZO_PICKLE_TEXT ? find_storage(r, key->text, key->length) : NULL;
        if (s == NULL || s->data != NULL) {
            status = fail_damaged(r, "its list of storages has one that no tensor has, or one twice");
            break;
        }
        uint64_t numel = 0, size = (uint64_t)zo_dtype_bits(s->dtype) / 8;
        for (int b = 0; b < 8 && r->bytes - at >= 8; b++) {
            numel |= (uint64_t)r->data[at + (size_t)b] << 8 * b;
        }
        if (r->bytes - at < 8 || numel != (uint64_t)s->numel || numel > (r->bytes - at - 8) / size) {
            status = zo_fail(r->err, ZO_EINPUT, "%s: the storage \"%.*s\" has %lld elements, which are not there at byte %zu; it was cut off, fetch it again", r->path,
                             (int)(s->length < 100 ? s->length : 100), s->key, (long long)s->numel, at);
            break;
        }
        s->data = r->data + at + 8;
        at += 8 + (size_t)(numel * size);
    }
    zo_pickle_close(&keys);
    return status;
}

static zo_status read_row(reader *r)
{
    size_t at = 0;
    zo_status status = read_preface(r, &at);
    if (status == ZO_OK) {
        status = next_pickle(r, &at, &r->pickle);
    }
    if (status == ZO_OK) {
        status = list_storages(r);
    }
    return status == ZO_OK ? find_rows(r, at) : status;
}

/* ---- a zip archive --------------------------------------------------------------------------------------------------------- */

/* The mapped bytes as a file of minizip's. */
typedef struct memory { const uint8_t *data; uint64_t bytes, at; } memory;

static voidpf ZCALLBACK memory_open(voidpf opaque, const void *name, int mode)
{
    (void)name;
    (void)mode;
    return opaque;
}

static uLong ZCALLBACK memory_read(voidpf opaque, voidpf stream, void *out, uLong n)
{
    (void)opaque;
    memory *m = stream;
    uint64_t left = m->bytes - m->at;
    n = n < left ? n : (uLong)left;
    memcpy(out, m->data + m->at, n);
    m->at += n;
    return n;
}

static uLong ZCALLBACK memory_write(voidpf opaque, voidpf stream, const void *data, uLong n)
{
    (void)opaque;
    (void)stream;
    (void)data;
    (void)n;
    return 0;
}

static ZPOS64_T ZCALLBACK memory_tell(voidpf opaque, voidpf stream)
{
    (void)opaque;
    return ((memory *)stream)->at;
}

static long ZCALLBACK memory_seek(voidpf opaque, voidpf stream, ZPOS64_T offset, int origin)
{
    (void)opaque;
    memory *m = stream;
    uint64_t from = origin == ZLIB_FILEFUNC_SEEK_SET ? 0 : origin == ZLIB_FILEFUNC_SEEK_CUR ? m->at : m->bytes;
    if (offset > m->bytes - from) {
        return -1;
    }
    m->at = from + offset;
    return 0;
}

static int ZCALLBACK memory_close(voidpf opaque, voidpf stream)
{
    (void)opaque;
    (void)stream;
    return 0;
}

/* An entry of the archive: the current one of `zip`. */
typedef struct entry {
    char name[ENTRY_NAME_BYTES]; /* behind the archive's own folder */
    unz_file_info64 info;
} entry;

static zo_status fail_entry_of(const reader *r, const entry *e, const char *what)
{
    return zo_fail(r->err, ZO_EINPUT, "%s: its part %.100s %s; " FETCH_AGAIN, r->path, e->name, what);
}

/* Where the current entry's bytes are, which must be stored as they are. */
static zo_status find_stored(const reader *r, unzFile zip, const entry *e, const uint8_t **data)
{
    if (e->info.compression_method != 0 || (e->info.flag & 1) != 0 || e->info.compressed_size != e->info.uncompressed_size) {
        return zo_fail(r->err, ZO_EUNSUPPORTED, "%s: its part %.100s is compressed or encrypted; torch.save stores data as it is, so " SAVE_AGAIN, r->path, e->name);
    }
    int method, level;
    if (unzOpenCurrentFile2(zip, &method, &level, 1) != UNZ_OK) {
        return fail_entry_of(r, e, "is not where the archive's list says");
    }
    uint64_t at = unzGetCurrentFileZStreamPos64(zip);
    unzCloseCurrentFile(zip);
    if (at > r->bytes || e->info.uncompressed_size > r->bytes - at) {
        return fail_entry_of(r, e, "ends beyond the file");
    }
    *data = r->data + at;
    return ZO_OK;
}

/* The current entry whole, with its checksum looked at; zo_free. */
static zo_status unpack(const reader *r, unzFile zip, const entry *e, size_t most, uint8_t **out)
{
    *out = NULL;
    if (e->info.uncompressed_size > most) {
        return fail_entry_of(r, e, "is larger than any that torch.save writes");
    }
    size_t bytes = (size_t)e->info.uncompressed_size, got = 0;
    if ((e->info.flag & 1) != 0 || unzOpenCurrentFile(zip) != UNZ_OK) {
        return fail_entry_of(r, e, "cannot be opened");
    }
    uint8_t *text = zo_alloc(ZO_HOST, ZO_TAG_DATA, bytes + 1);
    while (got < bytes) {
        int n = unzReadCurrentFile(zip, text + got, (unsigned)(bytes - got));
        if (n <= 0) {
            break;
        }
        got += (size_t)n;
    }
    bool good = got == bytes;
    good = unzCloseCurrentFile(zip) == UNZ_OK && good; /* UNZ_CRCERROR */
    if (!good) {
        zo_free(text);
        return fail_entry_of(r, e, "is not whole, or its checksum is another");
    }
    *out = text;
    return ZO_OK;
}

/* The current entry's facts; *folder (ENTRY_NAME_BYTES) is that of the archive's first entry, with its slash, and "" before that. False where it is of no
 * interest: outside the folder, or with a name that torch.save does not write. */
static zo_status read_entry(const reader *r, unzFile zip, char *folder, entry *e, bool *of_interest)
{
    char name[ENTRY_NAME_BYTES];
    *of_interest = false;
    if (unzGetCurrentFileInfo64(zip, &e->info, NULL, 0, NULL, 0, NULL, 0) != UNZ_OK) {
        return fail_damaged(r, "its archive's list cannot be read");
    }
    if (e->info.size_filename >= sizeof name) {
        return ZO_OK;
    }
    if (unzGetCurrentFileInfo64(zip, &e->info, name, sizeof name, NULL, 0, NULL, 0) != UNZ_OK) {
        return fail_damaged(r, "its archive's list cannot be read");
    }
    const char *slash = strchr(name, '/');
    if (strlen(name) != e->info.size_filename || slash == NULL) {
        return ZO_OK;
    }
    size_t length = (size_t)(slash - name) + 1;
    if (folder[0] == '\0') {
        memcpy(folder, name, length);
        folder[length] = '\0';
    }
    *of_interest = strncmp(name, folder, strlen(folder)) == 0;
    snprintf(e->name, sizeof e->name, "%s", *of_interest ? name + strlen(folder) : "");
    return ZO_OK;
}

/* A pass over the entries. act's `pickle` (NULL, or the bytes of data.pkl, which it allocates). */
typedef zo_status (*entry_act)(reader *r, unzFile zip, const entry *e, uint8_t **pickle, size_t *pickle_bytes);

static zo_status each_entry(reader *r, unzFile zip, entry_act act, uint8_t **pickle, size_t *pickle_bytes)
{
    char folder[ENTRY_NAME_BYTES] = "";
    int more = unzGoToFirstFile(zip);
    for (; more == UNZ_OK; more = unzGoToNextFile(zip)) {
        entry e;
        bool of_interest;
        zo_status status = read_entry(r, zip, folder, &e, &of_interest);
        if (status == ZO_OK && of_interest) {
            status = act(r, zip, &e, pickle, pickle_bytes);
        }
        if (status != ZO_OK) {
            return status;
        }
    }
    return more == UNZ_END_OF_LIST_OF_FILE ? ZO_OK : fail_damaged(r, "its archive's list cannot be read");
}

/* First pass: the pickle, and what says that the rest is none of ours. */
static zo_status act_pickle(reader *r, unzFile zip, const entry *e, uint8_t **pickle, size_t *pickle_bytes)
{
    if (strcmp(e->name, "constants.pkl") == 0) {
        return zo_fail(r->err, ZO_EUNSUPPORTED, "%s: is a TorchScript program (torch.jit.save), not a dict of tensors; " SAVE_AGAIN, r->path);
    }
    if (strcmp(e->name, "byteorder") == 0) {
        uint8_t *order;
        zo_status status = unpack(r, zip, e, 16, &order);
        bool little = status == ZO_OK && strcmp((const char *)order, "little") == 0;
        zo_free(order);
        return status != ZO_OK || little ? status
                                         : zo_fail(r->err, ZO_EUNSUPPORTED, "%s: was written with the high byte first; expected \"little\" in its part byteorder, so "
                                                   SAVE_AGAIN " elsewhere", r->path);
    }
    if (strcmp(e->name, "data.pkl") != 0) {
        return ZO_OK;
    }
    if (*pickle != NULL) {
        return fail_entry_of(r, e, "is there twice");
    }
    *pickle_bytes = (size_t)e->info.uncompressed_size;
    return unpack(r, zip, e, ZO_PICKLE_MOST_BYTES, pickle);
}

/* Second pass: storages. */
static zo_status act_storage(reader *r, unzFile zip, const entry *e, uint8_t **pickle, size_t *pickle_bytes)
{
    (void)pickle;
    (void)pickle_bytes;
    static const char start[] = "data/";
    storage *s = strncmp(e->name, start, sizeof start - 1) == 0 ? find_storage(r, e->name + sizeof start - 1, strlen(e->name) - sizeof start + 1) : NULL;
    if (s == NULL) {
        return ZO_OK;
    }
    if (s->data != NULL) {
        return fail_entry_of(r, e, "is there twice");
    }
    uint64_t expected = (uint64_t)s->numel * (uint64_t)zo_dtype_bits(s->dtype) / 8;
    if (e->info.uncompressed_size != expected) {
        return zo_fail(r->err, ZO_EINPUT, "%s: its part %.100s has %llu bytes and its pickle says %llu; " FETCH_AGAIN, r->path, e->name,
                       (unsigned long long)e->info.uncompressed_size, (unsigned long long)expected);
    }
    return find_stored(r, zip, e, &s->data);
}

static zo_status read_zip(reader *r, uint8_t **pickle)
{
    memory m = {.data = r->data, .bytes = r->bytes};
    zlib_filefunc64_def calls = {.zopen64_file = memory_open, .zread_file = memory_read, .zwrite_file = memory_write, .ztell64_file = memory_tell,
                                 .zseek64_file = memory_seek, .zclose_file = memory_close, .zerror_file = memory_close, .opaque = &m};
    unzFile zip = unzOpen2_64("", &calls);
    if (zip == NULL) {
        return zo_fail(r->err, ZO_EINPUT, "%s: is a zip archive without its list at the end; it was cut off, fetch it again", r->path);
    }
    size_t bytes = 0;
    zo_status status = each_entry(r, zip, act_pickle, pickle, &bytes);
    if (status == ZO_OK && *pickle == NULL) {
        status = zo_fail(r->err, ZO_EUNSUPPORTED, "%s: is a zip archive without data.pkl, so torch.save has not written it; " SAVE_AGAIN, r->path);
    }
    if (status == ZO_OK) {
        status = zo_pickle_read(&r->pickle, *pickle, bytes, names, r->path, r->err);
    }
    if (status == ZO_OK) {
        status = list_storages(r);
    }
    if (status == ZO_OK) {
        status = each_entry(r, zip, act_storage, NULL, NULL);
    }
    unzClose(zip);
    return status;
}

/* ---------------------------------------------------------------------------------------------------------------------------- */

static zo_status fail_form(const reader *r)
{
    bool tar = r->bytes > 262 && memcmp(r->data + 257, "ustar", 5) == 0;
    return zo_fail(r->err, tar ? ZO_EUNSUPPORTED : ZO_EINPUT, "%s: %s", r->path,
                   zo_is_lfs_pointer(r->data, r->bytes) ? ZO_LFS_POINTER_SAYS
                   : tar ? "is a tar archive, the form of torch before 0.1.10, which is not read; " SAVE_AGAIN
                         : "is neither a zip archive nor a pickle, so it is no file of torch.save, or it was cut off; fetch it again");
}

zo_status zo_torch_read(zo_tensors *tensors, const uint8_t *data, size_t bytes, int file, const char *path, zo_err *err)
{
    reader r = {.tensors = tensors, .data = data, .bytes = bytes, .file = file, .path = path, .err = err};
    uint8_t *pickle = NULL; /* names of storages stand in it */
    zo_status status;
    if (bytes >= 4 && memcmp(data, "PK\3\4", 4) == 0) {
        status = read_zip(&r, &pickle);
    } else if (bytes > 1 && data[0] == 0x80 && data[1] >= 2 && data[1] <= 5) {
        status = read_row(&r);
    } else {
        status = fail_form(&r);
    }
    if (status == ZO_OK) {
        status = check_all_found(&r);
    }
    if (status == ZO_OK) {
        status = add_tensors(&r);
    }
    zo_free(r.storage);
    zo_pickle_close(&r.pickle);
    zo_free(pickle);
    return status;
}
