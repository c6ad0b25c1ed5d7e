/* test_torch_file.c: pytorch_model.bin. Folders that torch has written against what transformers computes from them (tests/golden/make_torch_files.py);
 * and files made here from pickle's opcodes, in both of torch's forms: strides, offsets, views and shared storages element by element, and one
 * sentence for what is damaged or not read. */
#include <check.h>
#include <math.h>
#include <minizip/zip.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/num.h"
#include "models/files/hub.h"
#include "models/files/pickle.h"
#include "models/files/safetensors.h"
#include "models/files/torch_file.h"
#include "models/model.h"
#include "tests/fuzz.h"
#include "tests/suite.h"

static char root[64]; /* a folder of this test's own */
static zo_backend *be;
static zo_err err;

static void start(void)
{
    err = (zo_err){0};
    snprintf(root, sizeof root, "/tmp/zo_torch_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_assert_msg(zo_backend_open("cpu", 1, &be, &err) == ZO_OK, "%s", err.text);
}

static void stop(void)
{
    char command[128];
    be->close(be);
    snprintf(command, sizeof command, "rm -r %s", root);
    ck_assert_int_eq(system(command), 0);
}

static void assert_sentence(zo_status status, const char *part)
{
    ck_assert_msg(status != ZO_OK, "taken; expected \"%s\"", part);
    ck_assert_msg(err.text[0] != '\0' && strpbrk(err.text, "\n\r\033") == NULL, "status %d, \"%s\"", status, err.text);
    ck_assert_msg(strstr(err.text, part) != NULL, "\"%s\" does not say \"%s\"", err.text, part);
}

/* ---- what transformers computes ------------------------------------------------------------------------------------------------- */

static const char *const folders[] = {"opt-zip-f16", "opt-old-f32", "llama-shards-bf16", "gpt2-old-shards"};
enum { FOLDERS = sizeof folders / sizeof *folders };

static float *golden(const zo_tensors *tensors, const char *name, int64_t *n)
{
    const zo_tensor *t = zo_tensors_find(tensors, name);
    ck_assert_msg(t != NULL, "the golden file has no %s", name);
    float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)t->count * sizeof(float));
    zo_tensor_floats(t, 0, t->count, x);
    *n = t->count;
    return x;
}

static int32_t *ints(int64_t n)
{
    return zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof(int32_t));
}

/* Every token but a sequence's last is asked for the next one; one example with one option. */
static zo_batch *golden_batch(const zo_tensors *tensors)
{
    int64_t tokens, seqs, n;
    float *id = golden(tensors, "ids", &tokens), *target = golden(tensors, "targets", &n), *length = golden(tensors, "lengths", &seqs);
    int32_t scores = (int32_t)(tokens - seqs);
    zo_batch *b = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *b);
    *b = (zo_batch){.examples = 1, .tokens = (int32_t)tokens, .id = ints(tokens), .position = ints(tokens), .type = ints(tokens), .seqs = (int32_t)seqs,
                    .start = ints(seqs + 1), .parent = ints(seqs), .rows = scores, .row = ints(scores), .scores = scores, .at = ints(scores),
                    .target = ints(scores), .options = 1, .option_start = ints(2), .example_start = ints(2), .label = ints(1)};
    for (int32_t s = 0, t = 0, i = 0; s < seqs; s++) {
        b->parent[s] = -1;
        for (int32_t k = 0; k < (int32_t)length[s]; k++, t++) {
            b->id[t] = (int32_t)id[t];
            b->position[t] = k;
            if (target[t] >= 0.0f) {
                b->row[i] = t;
                b->at[i] = i;
                b->target[i++] = (int32_t)target[t];
            }
        }
        b->start[s + 1] = t;
    }
    b->option_start[1] = scores;
    b->example_start[1] = 1;
    zo_free(id);
    zo_free(target);
    zo_free(length);
    return b;
}

static double difference(const zo_tensors *tensors, const char *name, const float *made, int64_t count)
{
    int64_t n;
    float *wanted = golden(tensors, name, &n);
    ck_assert_int_eq(n, count);
    double most = 0.0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)made[i] - (double)wanted[i]);
        most = d <= most ? most : d; /* a NaN stays */
    }
    zo_free(wanted);
    return most;
}

static void copy_file(const char *from, const char *to)
{
    zo_map map;
    ck_assert_msg(zo_map_open(&map, from, &err) == ZO_OK && zo_write_file(to, map.data, map.bytes, &err) == ZO_OK, "%s", err.text);
    zo_map_close(&map);
}

START_TEST(folders_match_transformers)
{
    char folder[256], path[512];
    snprintf(folder, sizeof folder, "tests/golden/torch/%s", folders[_i]);
    snprintf(path, sizeof path, "%s/golden.safetensors", folder);
    zo_map map;
    zo_tensors tensors;
    ck_assert_msg(zo_map_open(&map, path, &err) == ZO_OK && zo_tensors_parse(&tensors, map.data, map.bytes, path, &err) == ZO_OK, "%s", err.text);
    zo_model_spec spec = {.folder = folder, .head = ZO_HEAD_SPAN, .precision = ZO_F32, .seed = 5};
    zo_model *model;
    ck_assert_msg(zo_model_open(&model, &spec, be, &err) == ZO_OK, "%s", err.text);
    ck_assert_str_eq(zo_model_note(model), "");
    ck_assert_int_eq(zo_model_decoder(model), strncmp(folders[_i], "llama", 5) == 0 ? ZO_DECODER_UNTIED : ZO_DECODER_TIED);
    zo_batch *b = golden_batch(&tensors);
    zo_model_reserve(model, b->tokens, b->rows, b->scores, 1, ZO_FORWARD_ONLY, NULL);
    const zo_store *slot = zo_model_store(model);
    zo_view view = zo_view_stored(&slot);
    int64_t hidden = (int64_t)b->tokens * zo_model_width(model), logits = (int64_t)b->rows * zo_model_arch(model)->vocab;
    float *made = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(hidden + logits) * sizeof *made);
    zo_model_hidden(model, &view, b, made);
    double d[3];
    d[0] = difference(&tensors, "hidden", made, hidden);
    zo_model_logits(model, &view, b, made);
    d[1] = difference(&tensors, "logits", made, logits);
    zo_model_logprobs(model, &view, b, made);
    d[2] = difference(&tensors, "logprobs", made, b->scores);
    printf("measured: %-18s largest difference to transformers: hidden %.1e, logits %.1e, log-probabilities %.1e\n", folders[_i], d[0], d[1], d[2]);
    fflush(stdout);
    ck_assert(d[0] <= 2e-5 && d[1] <= 2e-5 && d[2] <= 2e-5);
    zo_free(made);
    zo_batch_free(b);
    zo_model_close(model);
    zo_tensors_close(&tensors);
    zo_map_close(&map);
}
END_TEST

START_TEST(shared_storages_are_used_where_they_lie)
{
    zo_tensors tensors;
    ck_assert_msg(zo_tensors_open(&tensors, "tests/golden/torch/opt-zip-f16", &err) == ZO_OK, "%s", err.text);
    const zo_tensor *table = zo_tensors_find(&tensors, "model.decoder.embed_tokens.weight"), *head = zo_tensors_find(&tensors, "lm_head.weight");
    ck_assert(table != NULL && head != NULL && table->data == head->data && !table->strided && table->dtype == ZO_DTYPE_F16);
    for (int i = 0; i < tensors.n; i++) {
        const zo_tensor *t = &tensors.tensor[i];
        const zo_map *m = &tensors.map[t->file];
        ck_assert(t->data >= m->data && t->data + 2 * t->count <= m->data + m->bytes);
    }
    zo_tensors_close(&tensors);
    ck_assert_msg(zo_tensors_open(&tensors, "tests/golden/torch/gpt2-old-shards", &err) == ZO_OK, "%s", err.text);
    const zo_tensor *turned = zo_tensors_find(&tensors, "transformer.h.0.mlp.c_fc.weight");
    ck_assert(turned != NULL && turned->strided && turned->stride[0] == 1 && turned->stride[1] == turned->shape[0]);
    zo_tensors_close(&tensors);
}
END_TEST

/* ---- files made here --------------------------------------------------------------------------------------------------------- */

typedef struct bytes { uint8_t data[1 << 14]; size_t n; } bytes;

static void add(bytes *b, const void *data, size_t n)
{
    ck_assert(b->n + n <= sizeof b->data);
    memcpy(b->data + b->n, data, n);
    b->n += n;
}

#define ADD(b, literal) add(b, literal, sizeof(literal) - 1)

static void add_little(bytes *b, uint64_t value, int n)
{
    for (int i = 0; i < n; i++) {
        add(b, &(uint8_t){(uint8_t)(value >> 8 * i)}, 1);
    }
}

static void add_text(bytes *b, const char *text) /* BINUNICODE */
{
    ADD(b, "X");
    add_little(b, strlen(text), 4);
    add(b, text, strlen(text));
}

static void add_int(bytes *b, int64_t value) /* BININT, LONG1 */
{
    bool small = value == (int32_t)value;
    add(b, small ? "J" : "\x8a\x08", small ? 1 : 2);
    add_little(b, (uint64_t)value, small ? 4 : 8);
}

static void add_sizes(bytes *b, int n, const int64_t *size) /* a tuple */
{
    ADD(b, "(");
    for (int i = 0; i < n; i++) {
        add_int(b, size[i]);
    }
    ADD(b, "t");
}

static void add_storage(bytes *b, const char *type, const char *key, int64_t numel)
{
    ADD(b, "(");
    add_text(b, "storage");
    ADD(b, "ctorch\n");
    add(b, type, strlen(type));
    ADD(b, "\n");
    add_text(b, key);
    add_text(b, "cpu");
    add_int(b, numel);
    ADD(b, "tQ");
}

/* The call that makes a tensor of a storage that was just described by `add_storage`. */
static void begin_tensor(bytes *b)
{
    ADD(b, "ctorch._utils\n_rebuild_tensor_v2\n(");
}

static void end_tensor(bytes *b, int64_t offset, int dims, const int64_t *shape, const int64_t *stride)
{
    add_int(b, offset);
    add_sizes(b, dims, shape);
    add_sizes(b, dims, stride);
    ADD(b, "\x89" "ccollections\nOrderedDict\n)RtR");
}

static void add_tensor(bytes *b, const char *type, const char *key, int64_t numel, int64_t offset, int dims, const int64_t *shape, const int64_t *stride)
{
    begin_tensor(b);
    add_storage(b, type, key, numel);
    end_tensor(b, offset, dims, shape, stride);
}

/* A storage and its bytes. */
typedef struct stored { const char *key; const void *data; size_t bytes, size; } stored;

/* The form of before 2020: the pickle between torch's own and a list of keys, then the storages. */
static bytes old_file(const bytes *pickle, const stored *s, int n)
{
    bytes b = {.n = 0};
    ADD(&b, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." "\x80\x02M\xe9\x03." "\x80\x02}(");
    add_text(&b, "protocol_version");
    ADD(&b, "M\xe9\x03");
    add_text(&b, "little_endian");
    ADD(&b, "\x88u.");
    add(&b, pickle->data, pickle->n);
    ADD(&b, "\x80\x02](");
    for (int i = 0; i < n; i++) {
        add_text(&b, s[i].key);
    }
    ADD(&b, "e.");
    for (int i = 0; i < n; i++) {
        add_little(&b, s[i].bytes / s[i].size, 8);
        add(&b, s[i].data, s[i].bytes);
    }
    return b;
}

static void add_part(zipFile zip, const char *name, const void *data, size_t n, bool packed)
{
    ck_assert_int_eq(zipOpenNewFileInZip(zip, name, NULL, NULL, 0, NULL, 0, NULL, packed ? Z_DEFLATED : 0, packed ? 6 : 0), ZIP_OK);
    ck_assert_int_eq(zipWriteInFileInZip(zip, data, (unsigned)n), ZIP_OK);
    ck_assert_int_eq(zipCloseFileInZip(zip), ZIP_OK);
}

typedef struct part { const char *name, *text; } part; /* one more of the archive */

static bytes read_back(const char *path)
{
    zo_map map;
    bytes b = {.n = 0};
    ck_assert_msg(zo_map_open(&map, path, &err) == ZO_OK, "%s", err.text);
    add(&b, map.data, map.bytes);
    zo_map_close(&map);
    return b;
}

/* The zip form, by minizip's writer. */
static bytes zip_file(const bytes *pickle, const stored *s, int n, const part *more, bool packed)
{
    char path[128], name[128];
    snprintf(path, sizeof path, "%s/made.bin", root);
    zipFile zip = zipOpen(path, APPEND_STATUS_CREATE);
    ck_assert_ptr_nonnull(zip);
    if (pickle != NULL) {
        add_part(zip, "archive/data.pkl", pickle->data, pickle->n, false);
    }
    if (more == NULL || strcmp(more->name, "archive/byteorder") != 0) {
        add_part(zip, "archive/byteorder", "little", 6, false);
    }
    if (more != NULL) {
        add_part(zip, more->name, more->text, strlen(more->text), false);
    }
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "archive/data/%s", s[i].key);
        add_part(zip, name, s[i].data, s[i].bytes, packed);
    }
    add_part(zip, "archive/version", "3\n", 2, false);
    ck_assert_int_eq(zipClose(zip, NULL), ZIP_OK);
    return read_back(path);
}

static zo_status read_bytes(zo_tensors *tensors, const bytes *b)
{
    err = (zo_err){0};
    return zo_tensors_of(tensors, zo_torch_read, b->data, b->n, "x.bin", &err);
}

/* In a block of just its size, so that a sanitizer sees what reads beyond. */
static zo_status read_exact(const uint8_t *data, size_t n)
{
    uint8_t *exact = malloc(n > 0 ? n : 1);
    memcpy(exact, data, n);
    zo_tensors tensors;
    err = (zo_err){0};
    zo_status status = zo_tensors_of(&tensors, zo_torch_read, exact, n, "x.bin", &err);
    if (status == ZO_OK) {
        for (int i = 0; i < tensors.n; i++) {
            const zo_tensor *t = &tensors.tensor[i];
            ck_assert(t->count == 0 || (t->data >= exact && t->data < exact + n));
            if (t->dtype <= ZO_DTYPE_BF16 && t->count < 100000) {
                float *x = malloc((size_t)t->count * sizeof *x + 1);
                zo_tensor_floats(t, 0, t->count, x);
                free(x);
            }
        }
        zo_tensors_close(&tensors);
    } else {
        ck_assert_msg(err.text[0] != '\0' && strpbrk(err.text, "\n\r\033") == NULL, "%s", err.text);
    }
    free(exact);
    return status;
}

static const float counted[24] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};
static const stored counted_storage = {"7", counted, sizeof counted, sizeof *counted};

/* A file of one storage of 24 floats, in either form. */
static bytes counted_file(const bytes *pickle, int form)
{
    bool used = memmem(pickle->data, pickle->n, "Storage\n", 8) != NULL; /* else there is none on the list */
    return form == 0 ? zip_file(pickle, &counted_storage, 1, NULL, false) : old_file(pickle, &counted_storage, used);
}

START_TEST(strides_and_offsets_are_honoured)
{
    static const struct { const char *name; int64_t offset; int dims; int64_t shape[5], stride[5]; bool strided; } of[] = {
        {"plain", 0, 2, {4, 6}, {6, 1}, false},
        {"turned", 0, 2, {6, 4}, {1, 6}, true},
        {"columns", 1, 2, {4, 2}, {6, 1}, true},
        {"rows", 6, 2, {2, 6}, {6, 1}, false},
        {"spread", 3, 2, {3, 4}, {0, 1}, true},
        {"one row of odd stride", 12, 2, {1, 5}, {77, 1}, false},
        {"every third", 2, 1, {8}, {3}, true},
        {"last", 23, 1, {1}, {1}, false},
        {"scalar", 5, 0, {0}, {0}, false},
        {"empty", 24, 2, {0, 5}, {5, 1}, false},
        {"five", 0, 5, {2, 1, 3, 2, 2}, {12, 9, 4, 1, 2}, true},
    };
    enum { N = sizeof of / sizeof *of };
    bytes pickle = {.n = 0};
    ADD(&pickle, "\x80\x02}(");
    for (int i = 0; i < N; i++) {
        add_text(&pickle, of[i].name);
        add_tensor(&pickle, "FloatStorage", "7", 24, of[i].offset, of[i].dims, of[i].shape, of[i].stride);
    }
    ADD(&pickle, "u.");
    bytes file = counted_file(&pickle, _i);
    zo_tensors tensors;
    ck_assert_msg(read_bytes(&tensors, &file) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(tensors.n, N);
    for (int i = 0; i < N; i++) {
        const zo_tensor *t = zo_tensors_find(&tensors, of[i].name);
        ck_assert(t != NULL && t->dims == of[i].dims && t->dtype == ZO_DTYPE_F32 && memcmp(t->shape, of[i].shape, (size_t)t->dims * sizeof *t->shape) == 0);
        ck_assert_msg(t->strided == of[i].strided, "%s", of[i].name);
        float wanted[64], made[64];
        for (int64_t e = 0; e < t->count; e++) {
            int64_t at = of[i].offset, rest = e;
            for (int d = t->dims - 1; d >= 0; d--) {
                at += rest % of[i].shape[d] * of[i].stride[d];
                rest /= of[i].shape[d];
            }
            wanted[e] = counted[at];
        }
        for (int64_t first = 0; first <= t->count; first++) {
            zo_tensor_floats(t, first, t->count - first, made);
            ck_assert_msg(memcmp(made, wanted + first, (size_t)(t->count - first) * sizeof *made) == 0, "%s from %d", of[i].name, (int)first);
        }
        zo_tensors_drop(&tensors, t, 0, t->count);
    }
    zo_tensors_close(&tensors);
}
END_TEST

START_TEST(types_of_storages)
{
    static const struct { const char *type; zo_dtype dtype; size_t size; } of[] = {
        {"FloatStorage", ZO_DTYPE_F32, 4}, {"HalfStorage", ZO_DTYPE_F16, 2}, {"BFloat16Storage", ZO_DTYPE_BF16, 2}, {"DoubleStorage", ZO_DTYPE_F64, 8},
        {"LongStorage", ZO_DTYPE_I64, 8}, {"IntStorage", ZO_DTYPE_I32, 4}, {"ShortStorage", ZO_DTYPE_I16, 2}, {"CharStorage", ZO_DTYPE_I8, 1},
        {"ByteStorage", ZO_DTYPE_U8, 1}, {"BoolStorage", ZO_DTYPE_BOOL, 1}, {"ComplexFloatStorage", ZO_DTYPE_C64, 8}};
    enum { N = sizeof of / sizeof *of };
    static const uint8_t data[24] = {0, 0, 0x40, 0x40, 1, 0x3c};
    static const int64_t shape[1] = {3}, stride[1] = {1};
    stored s[N];
    bytes pickle = {.n = 0};
    ADD(&pickle, "\x80\x02}(");
    for (int i = 0; i < N; i++) {
        add_text(&pickle, of[i].type);
        add_tensor(&pickle, of[i].type, of[i].type, 3, 0, 1, shape, stride);
        s[i] = (stored){of[i].type, data, 3 * of[i].size, of[i].size};
    }
    ADD(&pickle, "u.");
    bytes file = _i == 0 ? zip_file(&pickle, s, N, NULL, false) : old_file(&pickle, s, N);
    zo_tensors tensors;
    ck_assert_msg(read_bytes(&tensors, &file) == ZO_OK, "%s", err.text);
    for (int i = 0; i < N; i++) {
        const zo_tensor *t = zo_tensors_find(&tensors, of[i].type);
        ck_assert(t != NULL && t->dtype == of[i].dtype && memcmp(t->data, data, 3 * of[i].size) == 0);
    }
    float x[3];
    zo_tensor_floats(zo_tensors_find(&tensors, "HalfStorage"), 0, 3, x);
    ck_assert(x[0] == 0.0f && x[1] == 2.125f && x[2] == zo_f16_to(0x3c01));
    zo_tensor_floats(zo_tensors_find(&tensors, "BFloat16Storage"), 0, 3, x);
    ck_assert(x[0] == 0.0f && x[1] == 3.0f);
    zo_tensors_close(&tensors);
}
END_TEST

/* What other writers make of the same dict. */
START_TEST(other_spellings_are_read)
{
    static const int64_t shape[1] = {4}, stride[1] = {1};
    bytes of[5] = {{.n = 0}};
    /* Python 2: short strings, an OrderedDict of a list of lists, _rebuild_tensor without hooks */
    ADD(&of[0], "\x80\x02" "ccollections\nOrderedDict\n](](U\x01" "wctorch._utils\n_rebuild_tensor\n(");
    add_storage(&of[0], "FloatStorage", "7", 24);
    add_int(&of[0], 8);
    add_sizes(&of[0], 1, shape);
    add_sizes(&of[0], 1, stride);
    ADD(&of[0], "tRee\x85R.");
    /* protocol 4: frames, short texts, names from the stack, the memo by order */
    ADD(&of[1], "\x80\x04\x95\0\0\0\0\0\0\0\0}\x94\x8c\x01w\x94\x8c\x0ctorch._utils\x94\x8c\x12_rebuild_tensor_v2\x94\x93\x94(");
    add_storage(&of[1], "FloatStorage", "7", 24);
    ADD(&of[1], "\x94");
    end_tensor(&of[1], 8, 1, shape, stride);
    ADD(&of[1], "s.");
    /* a parameter, attributes of the dict, a float and None among them, values remembered and fetched by long numbers */
    ADD(&of[2], "\x80\x02" "ccollections\nOrderedDict\nq\0)Rr\1\0\0\0");
    add_text(&of[2], "w");
    ADD(&of[2], "ctorch._utils\n_rebuild_parameter\n");
    add_tensor(&of[2], "FloatStorage", "7", 24, 8, 1, shape, stride);
    ADD(&of[2], "\x88j\0\0\0\0)R\x87Rs}");
    add_text(&of[2], "_metadata");
    ADD(&of[2], "}(NG\x3f\xf0\0\0\0\0\0\0usbr\2\0\0\0.");
    /* a view of a storage, as torch 0.3 wrote them: elements 6 to 16 of it, of which the tensor begins at the second */
    ADD(&of[3], "\x80\x02}");
    add_text(&of[3], "w");
    begin_tensor(&of[3]);
    add_storage(&of[3], "FloatStorage", "7", 24);
    of[3].n -= 2;
    ADD(&of[3], "(");
    add_text(&of[3], "view");
    add_int(&of[3], 6);
    add_int(&of[3], 10);
    ADD(&of[3], "ttQ");
    end_tensor(&of[3], 2, 1, shape, stride);
    ADD(&of[3], "s.");
    /* no view, said by None */
    ADD(&of[4], "\x80\x02}");
    add_text(&of[4], "w");
    begin_tensor(&of[4]);
    add_storage(&of[4], "FloatStorage", "7", 24);
    of[4].n -= 2;
    ADD(&of[4], "NtQ");
    end_tensor(&of[4], 8, 1, shape, stride);
    ADD(&of[4], "s.");
    for (int i = 0; i < 5; i++) {
        bytes file = counted_file(&of[i], _i);
        zo_tensors tensors;
        ck_assert_msg(read_bytes(&tensors, &file) == ZO_OK, "spelling %d: %s", i, err.text);
        float x[4];
        ck_assert(tensors.n == 1 && strcmp(tensors.tensor[0].name, "w") == 0);
        zo_tensor_floats(&tensors.tensor[0], 0, 4, x);
        ck_assert_msg(memcmp(x, counted + 8, sizeof x) == 0, "spelling %d", i);
        zo_tensors_close(&tensors);
    }
}
END_TEST

/* ---- what is refused ----------------------------------------------------------------------------------------------------------- */

static bytes bytes_of(const char *text, size_t n)
{
    bytes b = {.n = 0};
    add(&b, text, n);
    return b;
}
#define BYTES(literal) bytes_of(literal, sizeof(literal) - 1)

/* A dict with one tensor of the counted storage. */
static bytes one_tensor(const char *name, const char *type, int64_t numel, int64_t offset, int dims, const int64_t *shape, const int64_t *stride)
{
    bytes b = BYTES("\x80\x02}");
    add_text(&b, name);
    add_tensor(&b, type, "7", numel, offset, dims, shape, stride);
    ADD(&b, "s.");
    return b;
}

START_TEST(pickles_that_are_refused)
{
    static const int64_t four[1] = {4}, one[1] = {1}, six[1] = {6}, minus[1] = {-1}, huge[2] = {(int64_t)1 << 40, (int64_t)1 << 40}, far[1] = {(int64_t)1 << 62};
    char long_name[600];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    bytes deep = BYTES("\x80\x02}");
    add_text(&deep, "model");
    ADD(&deep, "}");
    add_text(&deep, "w");
    add_tensor(&deep, "FloatStorage", "7", 24, 0, 1, four, one);
    ADD(&deep, "ss.");
    bytes two = BYTES("\x80\x02}(");
    for (int i = 0; i < 2; i++) {
        add_text(&two, "w");
        add_tensor(&two, "FloatStorage", "7", 24, 0, 1, four, one);
    }
    ADD(&two, "u.");
    bytes types = BYTES("\x80\x02}(");
    for (int i = 0; i < 2; i++) {
        add_text(&types, i == 0 ? "a" : "b");
        add_tensor(&types, i == 0 ? "FloatStorage" : "IntStorage", "7", 24, 0, 1, four, one);
    }
    ADD(&types, "u.");
    bytes number = BYTES("\x80\x02}");
    add_text(&number, "epoch");
    ADD(&number, "K\x07s.");
    bytes key = BYTES("\x80\x02}K\x07");
    add_tensor(&key, "FloatStorage", "7", 24, 0, 1, four, one);
    ADD(&key, "s.");
    bytes itself = BYTES("\x80\x02}q\0");
    add_text(&itself, "w");
    ADD(&itself, "h\0s.");
    bytes module = BYTES("\x80\x02}");
    add_text(&module, "w");
    begin_tensor(&module);
    ADD(&module, "(");
    add_text(&module, "module");
    ADD(&module, "NNNNtQ");
    end_tensor(&module, 0, 1, four, one);
    ADD(&module, "s.");
    bytes view = BYTES("\x80\x02}");
    add_text(&view, "w");
    begin_tensor(&view);
    add_storage(&view, "FloatStorage", "7", 24);
    view.n -= 2;
    ADD(&view, "(N");
    add_int(&view, 20);
    add_int(&view, 5);
    ADD(&view, "ttQ");
    end_tensor(&view, 0, 1, four, one);
    ADD(&view, "s.");
    bytes bomb = BYTES("\x80\x02](");
    for (int i = 0; i < 60; i++) {
        ADD(&bomb, "](NNe");
    }
    ADD(&bomb, "eq\1ccollections\nOrderedDict\nq\0");
    for (int i = 0; i < 100; i++) {
        ADD(&bomb, "h\0h\1\x85R");
    }
    const struct { bytes pickle; const char *says; } of[] = {
        {BYTES("\x80\x02" "cos\nsystem\nX\2\0\0\0id\x85R."), "names os.system, which"},
        {BYTES("\x80\x02" "cbuiltins\neval\n."), "names builtins.eval, which"},
        {BYTES("\x80\x04\x8c\x05posix\x8c\x06system\x93."), "names posix.system, which"},
        {BYTES("\x80\x02" "ctorch\nQInt8Storage\n."), "names torch.QInt8Storage, which"},
        {BYTES("\x80\x02" "ctorch._utils\n_rebuild_tensor_v20\n."), "names torch._utils._rebuild_tensor_v20, which"},
        {BYTES("\x80\x02" "cos\033[2J\nsystem\n."), "names os?[2J.system, which"},
        {BYTES("\x80\x02" "ccollections\nOrderedDict\n)\x81."), "opcode 0x81, which"},
        {BYTES("\x80\x02" "(i__main__\nX\n."), "opcode 0x69, which"},
        {BYTES("\x80\x02\x82\x01."), "opcode 0x82, which"},
        {BYTES("\x80\x02}K\1b."), "gives attributes to"},
        {BYTES("\x80\x02]}b."), "gives attributes to a list"},
        {BYTES("\x80\x07}."), "a protocol that is none of 2 to 5"},
        {BYTES("\x80\x02]."), "holds a list; expected a dict"},
        {BYTES("\x80\x02K\1."), "holds an int; expected a dict"},
        {BYTES("\x80\x02}"), "it ends before its STOP"},
        {BYTES("\x80\x02}}."), "more or less than one value"},
        {BYTES("\x80\x02("), "it ends before its STOP"},
        {BYTES("\x80\x02(."), "more or less than one value"},
        {BYTES("\x80\x02."), "more or less than one value"},
        {BYTES("\x80\x02h\5."), "not remembered"},
        {BYTES("\x80\x02j\xff\xff\xff\xff."), "not remembered"},
        {BYTES("\x80\x02}r\xff\xff\xff\x7f."), "too large a number"},
        {BYTES("\x80\x02q\0."), "is not there"},
        {BYTES("\x80\x02X\xff\xff\xff\xff."), "longer than what is left"},
        {BYTES("\x80\x02\x8a\xff."), "longer than what is left"},
        {BYTES("\x80\x02J\1."), "in the middle of a number"},
        {BYTES("\x80\x02G\1."), "in the middle of a number"},
        {BYTES("\x80\x02" "ctorch"), "a name does not end"},
        {BYTES("\x80\x04K\1K\2\x93."), "a name is no text"},
        {BYTES("\x80\x02t."), "no mark"},
        {BYTES("\x80\x02u."), "no mark"},
        {BYTES("\x80\x02\x87."), "a tuple of more values than there are"},
        {BYTES("\x80\x02}(Ns."), "an item that is not there"},
        {BYTES("\x80\x02](NNu."), "for what is no dict"},
        {BYTES("\x80\x02}(Nu."), "for what is no dict"},
        {BYTES("\x80\x02}(Ne."), "for what is no list"},
        {BYTES("\x80\x02Q."), "a storage without a description"},
        {BYTES("\x80\x02K\1)R."), "a call without a name"},
        {BYTES("\x80\x02" "ccollections\nOrderedDict\n]R."), "without arguments"},
        {BYTES("\x80\x02" "ccollections\nOrderedDict\nK\1\x85R."), "no list of pairs"},
        {BYTES("\x80\x02" "ccollections\nOrderedDict\n]](Ne\x61\x85R."), "no list of pairs"},
        {BYTES("\x80\x02}NQs."), "for what is no dict"},
        {BYTES("\x80\x02}NNQs."), "a storage without type, key or size"},
        {bomb, "again and again"},
        {deep, "\"model\" is a dict, so this is a training checkpoint"},
        {two, "tensor \"w\" occurs twice"},
        {types, "one storage two types or sizes"},
        {number, "\"epoch\" is an int; expected a tensor"},
        {key, "a tensor's name is an int"},
        {itself, "\"w\" is a dict"},
        {module, "a whole torch module"},
        {view, "a view that is not within its storage"},
        {one_tensor("w", "FloatStorage", 24, 21, 1, four, one), "\"w\" reaches beyond its storage, which has 24 elements"},
        {one_tensor("w", "FloatStorage", 24, 0, 1, four, (int64_t[]){8}), "reaches beyond"},
        {one_tensor("w", "FloatStorage", 24, 0, 1, four, far), "reaches beyond"},
        {one_tensor("w", "FloatStorage", 24, (int64_t)1 << 62, 1, four, one), "reaches beyond"},
        {one_tensor("w", "FloatStorage", 24, 25, 1, (int64_t[]){0}, one), "reaches beyond"},
        {one_tensor("w", "FloatStorage", 24, -1, 1, four, one), "lacks a proper storage, offset, shape or strides"},
        {one_tensor("w", "FloatStorage", 24, 0, 1, minus, one), "lacks a proper"},
        {one_tensor("w", "FloatStorage", 24, 0, 1, four, minus), "lacks a proper"},
        {one_tensor("w", "FloatStorage", 24, 0, 2, huge, huge), "multiply to more"},
        {one_tensor("w", "FloatStorage", 23, 0, 1, six, one), NULL}, /* by the form */
        {one_tensor("w", "FloatStorage", -5, 0, 1, six, one), "a storage without type, key or size"},
        {one_tensor("w", "FloatStorage", INT64_MAX, 0, 1, six, one), "a storage without type, key or size"},
        {one_tensor("", "FloatStorage", 24, 0, 1, six, one), "of 0 bytes; expected a text"},
        {one_tensor("\xff\xfe", "FloatStorage", 24, 0, 1, six, one), "in UTF-8"},
        {one_tensor(long_name, "FloatStorage", 24, 0, 1, six, one), "of 599 bytes; expected a text"},
    };
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        bool ends = false; /* of the pickle's end: in a row of pickles the next would be read */
        for (int k = 0; k < 4 && of[i].says != NULL; k++) {
            static const char *const of_end[] = {"before its STOP", "what is left", "middle of a number", "a name does not end"};
            ends = ends || strstr(of[i].says, of_end[k]) != NULL;
        }
        if (_i == 1 && ends) {
            continue;
        }
        uint64_t live = zo_mem_live(ZO_HOST).total_bytes;
        bytes file = counted_file(&of[i].pickle, _i);
        zo_tensors tensors;
        const char *says = of[i].says != NULL ? of[i].says : _i == 0 ? "has 96 bytes and its pickle says 92" : "has 23 elements, which are not there";
        assert_sentence(read_bytes(&tensors, &file), says);
        ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, live);
    }
}
END_TEST

START_TEST(zip_files_that_are_refused)
{
    static const int64_t four[1] = {4}, one[1] = {1};
    bytes pickle = one_tensor("w", "FloatStorage", 24, 0, 1, four, one);
    zo_tensors tensors;
    static const struct { part more; const char *says; } of[] = {
        {{"archive/byteorder", "big"}, "with the high byte first"},
        {{"archive/constants.pkl", ""}, "a TorchScript program"},
        {{"archive/data.pkl", "x"}, "data.pkl is there twice"},
        {{"archive/data/7", "x"}, "has 1 bytes and its pickle says 96"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        bytes file = zip_file(&pickle, &counted_storage, 1, &of[i].more, false);
        assert_sentence(read_bytes(&tensors, &file), of[i].says);
    }
    stored twice[2] = {counted_storage, counted_storage};
    bytes file = zip_file(&pickle, twice, 2, NULL, false);
    assert_sentence(read_bytes(&tensors, &file), "data/7 is there twice");
    file = zip_file(&pickle, &counted_storage, 1, NULL, true);
    assert_sentence(read_bytes(&tensors, &file), "data/7 is compressed");
    file = zip_file(NULL, &counted_storage, 1, NULL, false);
    assert_sentence(read_bytes(&tensors, &file), "without data.pkl");
    file = zip_file(&pickle, NULL, 0, NULL, false);
    assert_sentence(read_bytes(&tensors, &file), "storage \"7\" that its pickle speaks of is not in the file");
    file = zip_file(&pickle, &counted_storage, 1, NULL, false);
    ck_assert_msg(read_bytes(&tensors, &file) == ZO_OK, "%s", err.text);
    zo_tensors_close(&tensors);
    uint8_t *in = memmem(file.data, file.n, "FloatStorage", 12);
    ck_assert_ptr_nonnull(in);
    in[0] = 'G'; /* the checksum is looked at before the name */
    assert_sentence(read_bytes(&tensors, &file), "its checksum is another");
}
END_TEST

START_TEST(other_files_that_are_refused)
{
    static const int64_t four[1] = {4}, one[1] = {1};
    bytes tar = {.n = 512};
    memcpy(tar.data + 257, "ustar", 5);
    bytes pickle = one_tensor("w", "FloatStorage", 24, 0, 1, four, one), big = old_file(&pickle, &counted_storage, 1), version = big, order = big;
    *(uint8_t *)memmem(big.data, big.n, "\x88u.", 3) = 0x89;
    ((uint8_t *)memmem(version.data, version.n, "M\xe9\x03.", 4))[1] = 0xea;
    *(uint8_t *)memmem(order.data, order.n, "little", 6) = 'L';
    stored other = {"8", counted, sizeof counted, sizeof *counted};
    const struct { bytes file; const char *says; } of[] = {
        {BYTES("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"), "a Git LFS pointer"},
        {tar, "a tar archive, the form of torch before"},
        {BYTES(""), "neither a zip archive nor a pickle"},
        {BYTES("<html>"), "neither a zip archive nor a pickle"},
        {BYTES("PK\3\4 and no more"), "a zip archive without its list at the end"},
        {BYTES("\x80\x02}."), "a pickle, but not one that torch.save has written"},
        {BYTES("\x80\x03K\1."), "a pickle, but not one that torch.save has written"},
        {big, "with the high byte first"},
        {order, "does not say in which order"},
        {version, "torch.save's version 1002; expected 1001"},
        {old_file(&pickle, &other, 1), "one that no tensor has"},
        {old_file(&pickle, NULL, 0), "storage \"7\" that its pickle speaks of is not in the file"},
        {old_file(&pickle, (stored[]){counted_storage, counted_storage}, 2), "one twice"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        assert_sentence(read_exact(of[i].file.data, of[i].file.n), of[i].says);
    }
}
END_TEST

/* Golden files cut at every byte, and with bytes of them changed. */
START_TEST(cut_and_changed_files)
{
    static const char *const files[] = {"opt-zip-f16/pytorch_model.bin", "gpt2-old-shards/pytorch_model-00001-of-00002.bin"};
    enum { ROUNDS = 4000, ROOM = 1 << 15 };
    char path[256];
    zo_map map;
    snprintf(path, sizeof path, "tests/golden/torch/%s", files[_i]);
    ck_assert_msg(zo_map_open(&map, path, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(read_exact(map.data, map.bytes) == ZO_OK, "%s", err.text);
    for (size_t n = 0; n < map.bytes; n += n < 2000 || n + 300 > map.bytes ? 1 : 37) {
        bool end = _i == 0 && n + 42 > map.bytes; /* a zip archive has two ends of its list, and one is enough */
        ck_assert_msg(read_exact(map.data, n) != ZO_OK || end, "taken, with %zu of %zu bytes", n, map.bytes);
    }
    char *text = malloc(ROOM);
    int taken = 0;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        ck_assert(map.bytes <= ROOM);
        memcpy(text, map.data, map.bytes);
        /* changes where pickles and lists stand, more often than in the weights */
        size_t n = map.bytes, from = seed % 3 == 0 ? 0 : _i == 0 ? n - 6000 : 0, piece = seed % 3 == 0 ? n : 6000;
        if (from + piece == n) {
            n = from + fuzz_mutate(seed, text + from, piece, ROOM - from);
        } else {
            size_t now = fuzz_mutate(seed, text + from, piece, piece);
            memmove(text + from + now, text + from + piece, n - from - piece);
            n -= piece - now;
        }
        taken += read_exact((const uint8_t *)text, n) == ZO_OK;
    }
    ck_assert_int_gt(taken, 10);
    ck_assert_int_lt(taken, ROUNDS);
    free(text);
    zo_map_close(&map);
}
END_TEST

/* ---- folders ------------------------------------------------------------------------------------------------------------------- */

/* A copy of a golden folder in the test's own. */
static void copy_folder(const char *name, const char *const *files)
{
    char from[512], to[512];
    for (; *files != NULL; files++) {
        snprintf(from, sizeof from, "tests/golden/torch/%s/%s", name, *files);
        snprintf(to, sizeof to, "%s/%s", root, *files);
        copy_file(from, to);
    }
}

START_TEST(missing_weights_are_said_before_memory_is_taken)
{
    static const char *const files[] = {"config.json", "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", "pytorch_model.bin.index.json", NULL};
    copy_folder("llama-shards-bf16", files);
    char second[512], index[512];
    snprintf(second, sizeof second, "%s/pytorch_model-00002-of-00002.bin", root);
    snprintf(index, sizeof index, "%s/pytorch_model.bin.index.json", root);
    zo_model_spec spec = {.folder = root, .head = ZO_HEAD_SPAN, .precision = ZO_F32, .seed = 5};
    zo_model *model;
    ck_assert_msg(zo_model_open(&model, &spec, be, &err) == ZO_OK, "%s", err.text);
    zo_model_close(model);
    ck_assert_int_eq(remove(second), 0);
    zo_mem_reset_peaks();
    assert_sentence(zo_model_open(&model, &spec, be, &err), "names the shard \"pytorch_model-00002-of-00002.bin\", which is not in the folder");
    ck_assert_uint_eq(zo_mem_peak_overall(ZO_HOST).tag_bytes[ZO_TAG_PARAMS], 0);
    ck_assert(zo_tensors_there(root));
    /* an index of the first file alone: half of the layers are missing */
    static const char first[] = "{\"weight_map\":{\"model.embed_tokens.weight\":\"pytorch_model-00001-of-00002.bin\"}}";
    ck_assert_int_eq(zo_write_file(index, first, sizeof first - 1, &err), ZO_OK);
    zo_mem_reset_peaks();
    assert_sentence(zo_model_open(&model, &spec, be, &err), "is missing");
    ck_assert_uint_eq(zo_mem_peak_overall(ZO_HOST).tag_bytes[ZO_TAG_PARAMS], 0);
    ck_assert_int_eq(remove(index), 0);
    assert_sentence(zo_model_open(&model, &spec, be, &err), "has pytorch_model-00001-of-00002.bin, but not pytorch_model.bin.index.json");
    ck_assert(zo_tensors_there(root));
    spec.random = true;
    ck_assert_msg(zo_model_open(&model, &spec, be, &err) == ZO_OK, "%s", err.text);
    zo_mem_reset_peaks();
    ck_assert_uint_gt(zo_mem_peak_overall(ZO_HOST).tag_bytes[ZO_TAG_PARAMS], 0);
    zo_model_close(model);
}
END_TEST

/* safetensors go before pytorch_model.bin, as in transformers. */
START_TEST(order_of_formats)
{
    static const char *const files[] = {"config.json", "pytorch_model.bin", NULL};
    copy_folder("opt-zip-f16", files);
    char path[512];
    snprintf(path, sizeof path, "%s/model.safetensors", root);
    zo_tensors tensors;
    ck_assert_int_eq(zo_tensors_open(&tensors, root, &err), ZO_OK);
    ck_assert_int_eq(tensors.n, 37);
    zo_tensors_close(&tensors);
    copy_file("tests/golden/models/bert/golden.safetensors", path);
    ck_assert_int_eq(zo_tensors_open(&tensors, root, &err), ZO_OK);
    ck_assert_ptr_null(zo_tensors_find(&tensors, "lm_head.weight"));
    ck_assert_ptr_nonnull(zo_tensors_find(&tensors, "hidden"));
    zo_tensors_close(&tensors);
}
END_TEST

START_TEST(fingerprints_tell_files_apart)
{
    enum { SIZE = 400000 };
    static const size_t at[] = {0, 60000, SIZE - 1, SIZE - 60000};
    char config[512], path[512];
    snprintf(config, sizeof config, "%s/config.json", root);
    snprintf(path, sizeof path, "%s/pytorch_model.bin", root);
    char *data = calloc(1, SIZE);
    uint64_t first, print;
    ck_assert(zo_write_file(config, "{}", 2, &err) == ZO_OK && zo_model_fingerprint(root, &print, &err) == ZO_OK);
    ck_assert(zo_write_file(path, data, SIZE, &err) == ZO_OK && zo_model_fingerprint(root, &first, &err) == ZO_OK);
    ck_assert(first != print);
    for (int i = 0; i < 4; i++) {
        data[at[i]]++;
        ck_assert(zo_write_file(path, data, SIZE, &err) == ZO_OK && zo_model_fingerprint(root, &print, &err) == ZO_OK);
        ck_assert(first != print);
        data[at[i]]--;
    }
    free(data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torch files");
    TCase *tests = tcase_create("torch files");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, folders_match_transformers, 0, FOLDERS);
    tcase_add_test(tests, shared_storages_are_used_where_they_lie);
    tcase_add_loop_test(tests, strides_and_offsets_are_honoured, 0, 2);
    tcase_add_loop_test(tests, types_of_storages, 0, 2);
    tcase_add_loop_test(tests, other_spellings_are_read, 0, 2);
    tcase_add_loop_test(tests, pickles_that_are_refused, 0, 2);
    tcase_add_test(tests, zip_files_that_are_refused);
    tcase_add_test(tests, other_files_that_are_refused);
    tcase_add_loop_test(tests, cut_and_changed_files, 0, 2);
    tcase_add_test(tests, missing_weights_are_said_before_memory_is_taken);
    tcase_add_test(tests, order_of_formats);
    tcase_add_test(tests, fingerprints_tell_files_apart);
    suite_add_tcase(suite, tests);
    return suite_run(suite) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
