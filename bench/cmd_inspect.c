/* cmd_inspect.c: `zo inspect`: what a model folder holds, and how many bytes a training step of each method would
 * take, by tag, from config.json alone. PARAMS and ACTIVATIONS come from the model's own lay-out of a pass,
 * WORKSPACE from the backend's reservation, GRADS, OPT_STATE and SNAPSHOT are what the method keeps. A batch of N
 * examples of C tokens; causal models: two options an example, one token each, that share their prompt. Data and
 * the evaluation's own batch are not in it. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "bench/args.h"
#include "bench/cmd.h"
#include "bench/pretrain.h"
#include "core/mem.h"
#include "core/text.h"
#include "models/hub.h"
#include "models/model.h"
#include "models/safetensors.h"

static const char USAGE[] = "zo inspect MODEL [--batch N] [--context N] [--rank N] [--storage f32|bf16|f16] [--json] [--models DIR]";

typedef struct inspect_args {
    bool json;
    int64_t batch, context, rank;
    const char *models_dir, *model, *storage_name;
    zo_storage storage;
} inspect_args;

/* What a method keeps beside weights and one pass, in copies of the weights: a snapshot in their storage, all else in f32. */
typedef struct method {
    const char *name, *realisation;
    int points; /* of one pass */
    zo_backward backward;
    int grads, opt_state, snapshot;
    bool factors;
} method;

static const method methods[] = {
    {"zero-shot", "inference", 1, ZO_FORWARD_ONLY, 0, 0, 0, false},
    {"mezo", "inplace", 1, ZO_FORWARD_ONLY, 0, 0, 0, false},
    {"mezo", "streamed", 2, ZO_FORWARD_ONLY, 0, 0, 0, false},
    {"mezo-svrg paper", "streamed", 2, ZO_FORWARD_ONLY, 0, 1, 1, false}, /* full-batch gradient and anchor */
    {"mezo-svrg replay", "streamed", 2, ZO_FORWARD_ONLY, 0, 0, 0, false},
    {"tezo-adam", "streamed", 2, ZO_FORWARD_ONLY, 0, 0, 0, true},
    {"fo-sgd", "", 1, ZO_BACKWARD, 1, 0, 0, false},
    {"fo-sgd checkpoint", "", 1, ZO_BACKWARD_CHECKPOINT, 1, 0, 0, false},
    {"fo-adamw", "", 1, ZO_BACKWARD, 1, 2, 0, false},
};
#define METHODS ((int)(sizeof methods / sizeof *methods))

typedef struct disk {
    bool found;
    int files, tensors;
    uint64_t bytes;
    int64_t elements[ZO_DTYPES];
} disk;

typedef struct report {
    char folder[4096];
    zo_arch arch;
    zo_head head;
    int classes;
    int64_t context;
    disk disk;
    char note[1000]; /* as zo_model_note, with every head */
    zo_plan plan[METHODS];
} report;

static zo_status read_disk(report *r, zo_err *err)
{
    char path[4096];
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"};
    bool any = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        any = any || zo_path_exists(zo_path_join(path, sizeof path, r->folder, names[i]));
    }
    if (!any) {
        return ZO_OK;
    }
    zo_tensors tensors;
    zo_status status = zo_tensors_open(&tensors, r->folder, err);
    if (status != ZO_OK) {
        return status;
    }
    r->disk = (disk){.found = true, .files = tensors.files, .tensors = tensors.n};
    for (int i = 0; i < tensors.files; i++) {
        r->disk.bytes += tensors.map[i].bytes;
    }
    for (int i = 0; i < tensors.n; i++) {
        r->disk.elements[tensors.tensor[i].dtype] += tensors.tensor[i].count;
    }
    zo_tensors_close(&tensors);
    static const zo_head heads[] = {ZO_HEAD_CLASS, ZO_HEAD_SPAN};
    status = zo_weights_decoder(r->folder, &r->arch, ZO_DECODER_DEFAULT, r->note, sizeof r->note, err);
    return status == ZO_OK ? zo_weights_unread(r->folder, &r->arch, heads, 2, 2, r->note, sizeof r->note, err) : status;
}

/* CP factors of every matrix, and tau, span and both moments of their coefficients. */
static uint64_t factor_bytes(const zo_layout *layout, int64_t rank)
{
    uint64_t floats = 0;
    for (int i = 0; i < layout->n; i++) {
        const zo_param *p = &layout->param[i];
        if (p->kind == ZO_PARAM_MATRIX) {
            int64_t r = rank < p->rows ? rank : p->rows;
            r = r < p->cols ? r : p->cols;
            floats += (uint64_t)(r * (p->rows + p->cols) + 4 * r);
        }
    }
    return floats * sizeof(float);
}

/* Scratch that the backend takes for passes of this size. */
static zo_status workspace_bytes(const zo_layout *layout, int points, int64_t tokens, uint64_t *bytes, zo_err *err)
{
    zo_backend *be;
    zo_status status = zo_backend_open("cpu", 0, &be, err);
    if (status == ZO_OK) {
        uint64_t before = zo_mem_live(be->space).tag_bytes[ZO_TAG_WORKSPACE];
        be->reserve(be, layout, NULL, points, tokens);
        *bytes = zo_mem_live(be->space).tag_bytes[ZO_TAG_WORKSPACE] - before;
        be->close(be);
    }
    return status;
}

/* First-order methods, which stand last, need weights in f32. */
static bool is_possible(const method *m, const inspect_args *args)
{
    return m->grads == 0 || args->storage == ZO_STORAGE_F32;
}

static zo_status plan_methods(report *r, const inspect_args *args, zo_err *err)
{
    zo_layout layout = {0};
    zo_arch_layout(&r->arch, r->head, r->classes, &layout);
    int64_t tokens = args->batch * r->context;
    int32_t rows = (int32_t)(args->batch * (r->arch.causal ? 2 : 1));
    zo_status status = ZO_OK;
    for (int i = 0; i < METHODS && is_possible(&methods[i], args) && status == ZO_OK; i++) {
        const method *m = &methods[i];
        zo_plan *p = &r->plan[i];
        zo_model_plan(&r->arch, r->head, r->classes, tokens, rows, m->points, m->backward, p);
        uint64_t copy = p->tag_bytes[ZO_TAG_PARAMS], held = (uint64_t)(layout.size * zo_storage_bytes(args->storage));
        p->tag_bytes[ZO_TAG_PARAMS] = held;
        p->tag_bytes[ZO_TAG_GRADS] += (uint64_t)m->grads * copy;
        p->tag_bytes[ZO_TAG_OPT_STATE] += (uint64_t)m->opt_state * copy +
                                          (m->factors ? factor_bytes(&layout, args->rank) : 0);
        p->tag_bytes[ZO_TAG_SNAPSHOT] += (uint64_t)m->snapshot * held;
        status = workspace_bytes(&layout, m->points, tokens, &p->tag_bytes[ZO_TAG_WORKSPACE], err);
    }
    zo_layout_free(&layout);
    return status;
}

static uint64_t total_of(const zo_plan *plan)
{
    uint64_t sum = 0;
    for (int tag = 0; tag < ZO_TAGS; tag++) {
        sum += plan->tag_bytes[tag];
    }
    return sum;
}

static void print_json(const report *r, const inspect_args *args)
{
    const zo_arch *a = &r->arch;
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "model", args->model);
    cJSON_AddStringToObject(json, "folder", r->folder);
    cJSON_AddStringToObject(json, "family", a->family);
    cJSON_AddBoolToObject(json, "causal", a->causal);
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {{"layers", a->layers},     {"hidden", a->hidden},       {"heads", a->heads},
                   {"kv_heads", a->kv_heads}, {"head_dim", a->head_dim},   {"ffn", a->ffn},
                   {"vocab", a->vocab},       {"positions", a->positions}, {"parameters", r->plan[0].parameters},
                   {"batch", args->batch},    {"context", r->context}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        cJSON_AddNumberToObject(json, numbers[i].key, (double)numbers[i].value);
    }
    cJSON_AddStringToObject(json, "storage", args->storage_name);
    cJSON_AddStringToObject(json, "head", r->head == ZO_HEAD_CLASS ? "class" : "options");
    if (r->disk.found) {
        cJSON *on_disk = cJSON_AddObjectToObject(json, "disk");
        cJSON_AddNumberToObject(on_disk, "files", r->disk.files);
        cJSON_AddNumberToObject(on_disk, "tensors", r->disk.tensors);
        cJSON_AddNumberToObject(on_disk, "bytes", (double)r->disk.bytes);
        cJSON *dtypes = cJSON_AddObjectToObject(on_disk, "dtypes");
        for (int d = 0; d < ZO_DTYPES; d++) {
            if (r->disk.elements[d] > 0) {
                cJSON_AddNumberToObject(dtypes, zo_dtype_name((zo_dtype)d), (double)r->disk.elements[d]);
            }
        }
    } else {
        cJSON_AddNullToObject(json, "disk");
    }
    cJSON_AddStringToObject(json, "note", r->note);
    cJSON *plans = cJSON_AddArrayToObject(json, "predicted");
    for (int i = 0; i < METHODS && is_possible(&methods[i], args); i++) {
        cJSON *plan = cJSON_CreateObject();
        cJSON_AddItemToArray(plans, plan);
        cJSON_AddStringToObject(plan, "method", methods[i].name);
        cJSON_AddStringToObject(plan, "realisation", methods[i].realisation);
        for (int tag = 0; tag < ZO_TAGS; tag++) {
            char key[64];
            snprintf(key, sizeof key, "%s_bytes", zo_tag_name((zo_tag)tag));
            cJSON_AddNumberToObject(plan, key, (double)r->plan[i].tag_bytes[tag]);
        }
        cJSON_AddNumberToObject(plan, "total_bytes", (double)total_of(&r->plan[i]));
    }
    zo_output_json(json, true);
    cJSON_Delete(json);
}

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

static void print_text(const report *r, const inspect_args *args)
{
    const zo_arch *a = &r->arch;
    char folder[sizeof r->folder];
    memcpy(folder, r->folder, sizeof folder);
    printf("folder       %s\n", zo_text_plain(folder));
    printf("family       %s, %s\n", a->family, a->causal ? "causal" : "encoder");
    printf("layers       %d, hidden %d, feed-forward %d\n", a->layers, a->hidden, a->ffn);
    printf("heads        %d of %d, %d of keys and values\n", a->heads, a->head_dim, a->kv_heads);
    printf("vocabulary   %d, positions %d\n", a->vocab, a->positions);
    if (r->disk.found) {
        printf("on disk      %d tensors in %d file%s, %.1f MiB:", r->disk.tensors, r->disk.files,
               r->disk.files == 1 ? "" : "s", mib(r->disk.bytes));
        for (int d = 0; d < ZO_DTYPES; d++) {
            if (r->disk.elements[d] > 0) {
                printf(" %s %.6g M", zo_dtype_name((zo_dtype)d), (double)r->disk.elements[d] / 1e6);
            }
        }
        putchar('\n');
    } else {
        puts("on disk      config.json only, no weights: runs need \"init\": \"random\"");
    }
    if (r->note[0] != '\0') {
        char *note = zo_text_plain_copy(r->note);
        printf("note         %s\n", note);
        zo_free(note);
    }
    printf("parameters   %.6g M with %s, held in %s\n", (double)r->plan[0].parameters / 1e6,
           r->head == ZO_HEAD_CLASS ? "a 2-class head" : "the language-model head", args->storage_name);
    printf("\nPredicted MiB of a step with batch %lld and context %lld:\n", (long long)args->batch,
           (long long)r->context);
    static const zo_tag shown[] = {ZO_TAG_PARAMS,   ZO_TAG_GRADS,       ZO_TAG_OPT_STATE,
                                   ZO_TAG_SNAPSHOT, ZO_TAG_ACTIVATIONS, ZO_TAG_WORKSPACE};
    printf("%-18s %-10s", "method", "");
    for (size_t t = 0; t < sizeof shown / sizeof *shown; t++) {
        printf(" %11s", zo_tag_name(shown[t]));
    }
    printf(" %11s\n", "total");
    for (int i = 0; i < METHODS && is_possible(&methods[i], args); i++) {
        printf("%-18s %-10s", methods[i].name, methods[i].realisation);
        for (size_t t = 0; t < sizeof shown / sizeof *shown; t++) {
            printf(" %11.1f", mib(r->plan[i].tag_bytes[shown[t]]));
        }
        printf(" %11.1f\n", mib(total_of(&r->plan[i])));
    }
    if (args->storage != ZO_STORAGE_F32) {
        puts("First-order methods need weights in f32.");
    }
}

static bool read_storage(inspect_args *args)
{
    for (int s = 0; s < ZO_STORAGES; s++) {
        args->storage = (zo_storage)s;
        if (strcmp(args->storage_name, zo_storage_name(args->storage)) == 0) {
            return true;
        }
    }
    return false;
}

static zo_status inspect(report *r, inspect_args *args, zo_err *err)
{
    zo_status status = zo_model_find(args->model, args->models_dir, r->folder, err);
    if (status == ZO_OK) {
        status = zo_arch_read(r->folder, &r->arch, err);
    }
    if (status == ZO_OK) {
        zo_note_add(r->note, sizeof r->note, "%s", r->arch.note);
        status = read_disk(r, err);
    }
    if (status != ZO_OK) {
        return status;
    }
    r->head = r->arch.causal ? ZO_HEAD_OPTIONS : ZO_HEAD_CLASS;
    r->classes = r->arch.causal ? 0 : 2;
    r->context = args->context > 0 ? args->context : r->arch.positions < 128 ? r->arch.positions : 128;
    if (r->context > r->arch.positions) {
        return zo_fail(err, ZO_EINPUT, "--context is %lld, but %s has %d positions; make it shorter",
                       (long long)r->context, args->model, r->arch.positions);
    }
    if (!read_storage(args)) {
        return zo_fail(err, ZO_EINPUT, "--storage is \"%.64s\"; expected f32, bf16 or f16", args->storage_name);
    }
    if (args->batch < 1 || args->rank < 1) {
        return zo_fail(err, ZO_EINPUT, "--%s is 0; expected at least 1", args->batch < 1 ? "batch" : "rank");
    }
    if (args->batch > 1 << 20 || args->batch * r->context > 1 << 28) {
        return zo_fail(err, ZO_EINPUT, "--batch is %lld with a context of %lld; expected at most %d tokens in all",
                       (long long)args->batch, (long long)r->context, 1 << 28);
    }
    return plan_methods(r, args, err);
}

int zo_cmd_inspect(int argc, char **argv)
{
    inspect_args args = {.batch = 16, .rank = 8, .storage_name = "f32"};
    const zo_arg table[] = {{"--json", ZO_ARG_FLAG, &args.json},         {"--batch", ZO_ARG_INT, &args.batch},
                            {"--context", ZO_ARG_INT, &args.context},    {"--rank", ZO_ARG_INT, &args.rank},
                            {"--models", ZO_ARG_TEXT, &args.models_dir}, {"--storage", ZO_ARG_TEXT, &args.storage_name},
                            {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    report r = {0};
    zo_status status = zo_args_read(argc, argv, table, &args.model, 1, 1, NULL, USAGE, &err);
    if (status == ZO_OK) {
        status = inspect(&r, &args, &err);
    }
    if (status != ZO_OK) {
        fprintf(stderr, "zo inspect: %s\n", err.text);
        return 2;
    }
    if (args.json) {
        print_json(&r, &args);
    } else {
        print_text(&r, &args);
    }
    return 0;
}
