/* cmd_inspect.c: `zo inspect`: what a model folder holds, and how many bytes a training step of each method would
 * take, by tag, from config.json alone. PARAMS and ACTIVATIONS come from the model's own lay-out of a pass,
 * WORKSPACE from the backend's reservation, GRADS, OPT_STATE and SNAPSHOT are what each estimator says of itself. A batch of N
 * examples of C tokens; causal models: two options an example, one token each, that share their prompt. Data and
 * the evaluation's own batch are not in it. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "bench/cell/predict.h"
#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/synth/pretrain.h"
#include "core/mem.h"
#include "core/output.h"
#include "core/text.h"
#include "models/files/hub.h"
#include "models/files/safetensors.h"
#include "models/model.h"
#include "models/tune.h"
#include "optimizers/plugins.h"

static const char USAGE[] = "zo inspect MODEL [--batch N] [--context N] [--rank N] [--storage f32|bf16|f16] [--quantised none|int8|int4] [--quantised-group N] [--tune VIEW] "
                            "[--plugin FILE] [--json] [--models DIR]";

typedef struct inspect_args {
    bool json;
    int64_t batch, context, rank, group;
    const char *models_dir, *model, *storage_name, *quantised, *tune_name, *plugin;
    zo_storage storage;
    zo_tune tune;
} inspect_args;

/* A row of the table: an estimator with its defaults or as one of its variants, in one realisation. */
typedef struct method {
    const zo_estimator *estimator;
    const zo_variant *variant; /* NULL = its defaults */
    zo_realisation realisation;
    char name[80];
    zo_plan plan;
} method;

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
    int methods;
    method *method; /* (methods) */
} report;

static zo_status read_disk(report *r, zo_err *err)
{
    if (!zo_tensors_there(r->folder)) {
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

/* Scratch that the backend takes for passes of these n sizes. */
static zo_status workspace_bytes(const zo_layout *layout, const zo_largest *most, int n, uint64_t *bytes, zo_err *err)
{
    zo_backend *be;
    zo_status status = zo_backend_open("cpu", 0, &be, err);
    if (status == ZO_OK) {
        uint64_t before = zo_mem_live(be->space).tag_bytes[ZO_TAG_WORKSPACE];
        for (int k = 0; k < n; k++) {
            be->reserve(be, layout, NULL, ZO_F32, &most[k]);
        }
        *bytes = zo_mem_live(be->space).tag_bytes[ZO_TAG_WORKSPACE] - before;
        be->close(be);
    }
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

static void name_method(method *m)
{
    const zo_variant *v = m->variant;
    bool flag = v != NULL && strcmp(v->value, "true") == 0;
    snprintf(m->name, sizeof m->name, "%s%s%s%s%s", m->estimator->name, v != NULL ? " " : "", v != NULL ? v->key : "", v != NULL && !flag ? " " : "",
             v != NULL && !flag ? v->value : "");
}

/* The options of a row: those of the variant, and --rank where the estimator has that option. The caller deletes them. */
static cJSON *options_of(const method *m, const inspect_args *args)
{
    cJSON *options = m->variant != NULL ? zo_variant_options(m->variant) : cJSON_CreateObject();
    if (zo_opt_find(m->estimator->options, "rank") != NULL && !cJSON_HasObjectItem(options, "rank")) {
        cJSON_AddNumberToObject(options, "rank", (double)args->rank);
    }
    return options;
}

/* The passes over mini-batches of a pool, beside those that are in the plan: room is what the larger takes. Returns their size. */
static zo_largest plan_pool(const report *r, const inspect_args *args, const zo_layout *layout, const zo_pool *pool, int points, bool checkpoint, zo_plan *plan)
{
    int64_t batch = pool->batch > 0 ? pool->batch : args->batch, length = pool->most > 0 && pool->most < r->context ? pool->most : r->context;
    int32_t rows = (int32_t)(batch * (r->arch.causal ? 2 : 1));
    zo_backward backward = !pool->gradient ? ZO_FORWARD_ONLY : checkpoint ? ZO_BACKWARD_CHECKPOINT : ZO_BACKWARD;
    zo_largest most = {.points = points, .tokens = batch * length, .rows = r->head == ZO_HEAD_OPTIONS ? rows : 0, .backward = pool->gradient,
                       .storage = args->storage};
    uint64_t before = plan->tag_bytes[ZO_TAG_ACTIVATIONS], *own = &plan->tag_bytes[ZO_TAG_ACTIVATIONS];
    zo_model_plan(&r->arch, r->head, r->classes, layout, most.tokens, rows, points, backward, plan);
    *own = *own > before ? *own : before;
    return most;
}

static zo_status plan_method(const report *r, const inspect_args *args, const zo_layout *layout, method *m, zo_needs *needs, zo_err *err)
{
    const zo_estimator *e = m->estimator;
    zo_extent extent = {.layout = layout, .realisation = m->realisation, .storage = args->storage, .batches_per_epoch = 1};
    cJSON *options = options_of(m, args);
    zo_status status = zo_needs_of(e, options, &extent, needs, err);
    cJSON_Delete(options);
    if (status != ZO_OK) {
        return status;
    }
    zo_plan *p = &m->plan;
    int points = zo_points_a_pass(e, needs, m->realisation);
    uint64_t kept[ZO_TAGS];
    zo_pool every = {.gradient = needs->gradient};
    zo_largest most[ZO_POOLS_MOST];
    int pools = needs->pools > 0 ? needs->pools : 1;
    *p = (zo_plan){0};
    for (int k = 0; k < pools; k++) {
        const zo_pool *pool = needs->pools > 0 ? &needs->pool[k] : &every;
        most[k] = plan_pool(r, args, layout, pool, needs->pools > 0 && pool->gradient ? 1 : points, needs->checkpoint, p);
    }
    uint64_t workspace = 0;
    status = workspace_bytes(layout, most, pools, &workspace, err);
    zo_predict_method(needs, &extent, kept);
    p->tag_bytes[ZO_TAG_PARAMS] = (uint64_t)(layout->size * zo_storage_bytes(args->storage) + layout->codes);
    for (int t = 0; t < ZO_TAGS; t++) {
        p->tag_bytes[t] += kept[t] + (t == ZO_TAG_WORKSPACE ? workspace : 0);
    }
    return status;
}

/* In more than the lists that every method keeps. */
static bool differs(const zo_plan *a, const zo_plan *b)
{
    for (int tag = 0; tag < ZO_TAGS; tag++) {
        if (tag != ZO_TAG_OTHER && a->tag_bytes[tag] != b->tag_bytes[tag]) {
            return true;
        }
    }
    return false;
}

/* Adds the row, but for a variant that takes what the defaults take, and for ranks that only the weights can tell. */
static zo_status add_method(report *r, const inspect_args *args, const zo_layout *layout, method m, int defaults, zo_err *err)
{
    zo_needs needs;
    zo_status status = plan_method(r, args, layout, &m, &needs, err);
    bool told = !needs.factored || needs.factors.rank > 0;
    if (status == ZO_OK && told && (defaults < 0 || differs(&m.plan, &r->method[defaults].plan))) {
        name_method(&m);
        r->method = zo_realloc(r->method, ZO_HOST, ZO_TAG_OTHER, (size_t)(r->methods + 1) * sizeof m);
        r->method[r->methods++] = m;
    }
    return status;
}

static bool trains_scales(const zo_layout *layout)
{
    bool any = false;
    for (int t = 0; t < layout->n; t++) {
        any = any || (layout->param[t].kind == ZO_PARAM_SCALES && !layout->param[t].frozen);
    }
    return any;
}

/* An estimator in every realisation that it has. First-order methods make no gradient of scales. */
static zo_status plan_estimator(report *r, const inspect_args *args, const zo_layout *layout, const zo_estimator *e, zo_err *err)
{
    zo_status status = ZO_OK;
    for (int k = 0; k < (zo_estimator_probes(e) ? ZO_REALISATIONS : 1) && status == ZO_OK && !(e->first_order && trains_scales(layout)); k++) {
        if (e->allows != NULL && !e->allows(k)) {
            continue;
        }
        int defaults = r->methods;
        method m = {.estimator = e, .realisation = (zo_realisation)k};
        status = add_method(r, args, layout, m, -1, err);
        for (m.variant = e->variants; m.variant != NULL && m.variant->key != NULL && status == ZO_OK; m.variant++) {
            status = add_method(r, args, layout, m, defaults, err);
        }
    }
    return status;
}

static zo_status plan_methods(report *r, const inspect_args *args, zo_err *err)
{
    zo_layout layout = {0};
    zo_arch_layout(&r->arch, r->head, r->classes, &layout);
    const zo_estimator *const *list, *plugin = NULL;
    int n = zo_estimator_list(&list);
    zo_status status = zo_tune_apply(&args->tune, &r->arch, r->head, &layout, err);
    for (int t = 0; t < layout.n && status == ZO_OK; t++) {
        if (layout.param[t].bits > 0 && !layout.param[t].frozen) {
            status = zo_fail(err, ZO_EINPUT, "--quantised %s holds %s as codes that no step writes, and --tune %.64s trains it; say --tune scales, lora, prefix, side, head or bias",
                             args->quantised, layout.param[t].name, args->tune_name);
        }
    }
    status = status == ZO_OK && args->plugin != NULL ? zo_plugin_open(args->plugin, &plugin, err) : status;
    for (int i = 0; i < n && status == ZO_OK; i++) {
        status = plan_estimator(r, args, &layout, list[i], err);
    }
    status = status == ZO_OK && plugin != NULL ? plan_estimator(r, args, &layout, plugin, err) : status;
    zo_layout_free(&layout);
    return status;
}

static const char *realisation_of(const method *m)
{
    return !zo_estimator_trains(m->estimator) ? "inference" : zo_estimator_probes(m->estimator) ? zo_realisation_name(m->realisation) : "";
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
                   {"vocab", a->vocab},       {"positions", a->positions}, {"parameters", r->method[0].plan.parameters},
                   {"trained_parameters", r->method[0].plan.trained},
                   {"batch", args->batch},    {"context", r->context}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        cJSON_AddNumberToObject(json, numbers[i].key, (double)numbers[i].value);
    }
    cJSON_AddStringToObject(json, "storage", args->storage_name);
    cJSON_AddStringToObject(json, "quantised", args->quantised);
    char tune[ZO_OPT_STRING_BYTES];
    cJSON_AddStringToObject(json, "tune", zo_tune_text(&args->tune, tune));
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
    for (const method *m = r->method; m < r->method + r->methods; m++) {
        cJSON *plan = cJSON_CreateObject();
        cJSON_AddItemToArray(plans, plan);
        cJSON_AddStringToObject(plan, "method", m->name);
        cJSON_AddStringToObject(plan, "optimizer", m->estimator->name);
        cJSON_AddItemToObject(plan, "options", options_of(m, args));
        cJSON_AddStringToObject(plan, "realisation", realisation_of(m));
        if (m->estimator->unmeasured != NULL) {
            cJSON_AddStringToObject(plan, "unmeasured", m->estimator->unmeasured);
            continue;
        }
        for (int tag = 0; tag < ZO_TAGS; tag++) {
            char key[64];
            snprintf(key, sizeof key, "%s_bytes", zo_tag_name((zo_tag)tag));
            cJSON_AddNumberToObject(plan, key, (double)m->plan.tag_bytes[tag]);
        }
        cJSON_AddNumberToObject(plan, "total_bytes", (double)total_of(&m->plan));
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
    printf("parameters   %.6g M with %s, held in %s", (double)r->method[0].plan.parameters / 1e6,
           r->head == ZO_HEAD_CLASS ? "a 2-class head" : "the language-model head", args->storage_name);
    if (r->arch.quantised.bits > 0) {
        printf("; the blocks' matrices as int%d in groups of %d, whose scales are counted too", r->arch.quantised.bits, r->arch.quantised.group);
    }
    putchar('\n');
    char tune[ZO_OPT_STRING_BYTES];
    printf("trained      %.6g M, tune %s\n", (double)r->method[0].plan.trained / 1e6, zo_tune_text(&args->tune, tune));
    printf("\nPredicted MiB of a step with batch %lld and context %lld:\n", (long long)args->batch,
           (long long)r->context);
    static const zo_tag shown[] = {ZO_TAG_PARAMS,   ZO_TAG_GRADS,       ZO_TAG_OPT_STATE,
                                   ZO_TAG_SNAPSHOT, ZO_TAG_ACTIVATIONS, ZO_TAG_WORKSPACE};
    printf("%-28s %-10s", "method", "");
    for (size_t t = 0; t < sizeof shown / sizeof *shown; t++) {
        printf(" %11s", zo_tag_name(shown[t]));
    }
    printf(" %11s\n", "total");
    for (const method *m = r->method; m < r->method + r->methods; m++) {
        printf("%-28s %-10s", m->name, realisation_of(m));
        if (m->estimator->unmeasured != NULL) {
            printf(" not measured: %s\n", m->estimator->unmeasured);
            continue;
        }
        for (size_t t = 0; t < sizeof shown / sizeof *shown; t++) {
            printf(" %11.1f", mib(m->plan.tag_bytes[shown[t]]));
        }
        printf(" %11.1f\n", mib(total_of(&m->plan)));
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
    zo_status status = zo_tune_parse(args->tune_name, "--tune", &args->tune, err);
    if (status == ZO_OK) {
        status = zo_model_find(args->model, args->models_dir, r->folder, err);
    }
    if (status == ZO_OK) {
        status = zo_arch_read(r->folder, &r->arch, err);
    }
    if (status == ZO_OK) {
        zo_note_add(r->note, sizeof r->note, "%s", r->arch.note);
        status = read_disk(r, err);
    }
    if (status == ZO_OK) {
        status = zo_tune_extend(&args->tune, &r->arch, err);
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
    int bits = strcmp(args->quantised, "int8") == 0 ? 8 : strcmp(args->quantised, "int4") == 0 ? 4 : 0;
    if (bits == 0 && strcmp(args->quantised, "none") != 0) {
        return zo_fail(err, ZO_EINPUT, "--quantised is \"%.64s\"; expected none, int8 or int4", args->quantised);
    }
    if (args->group < 2 || args->group > 65536 || args->group % 2 != 0) {
        return zo_fail(err, ZO_EINPUT, "--quantised-group is %lld; expected an even number from 2 to 65536", (long long)args->group);
    }
    r->arch.quantised = (zo_quantised){.bits = bits, .group = bits > 0 ? (int)args->group : 0};
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
    inspect_args args = {.batch = 16, .rank = 8, .group = 64, .storage_name = "f32", .quantised = "none", .tune_name = "full"};
    const zo_arg table[] = {{"--json", ZO_ARG_FLAG, &args.json},         {"--batch", ZO_ARG_INT, &args.batch},
                            {"--context", ZO_ARG_INT, &args.context},    {"--rank", ZO_ARG_INT, &args.rank},
                            {"--models", ZO_ARG_TEXT, &args.models_dir}, {"--storage", ZO_ARG_TEXT, &args.storage_name},
                            {"--quantised", ZO_ARG_TEXT, &args.quantised}, {"--quantised-group", ZO_ARG_INT, &args.group},
                            {"--tune", ZO_ARG_TEXT, &args.tune_name},    {"--plugin", ZO_ARG_TEXT, &args.plugin},
                            {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    report *r = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *r);
    zo_status status = zo_args_read(argc, argv, table, &args.model, 1, 1, NULL, USAGE, &err);
    if (status == ZO_OK) {
        status = inspect(r, &args, &err);
    }
    if (status != ZO_OK) {
        fprintf(stderr, "zo inspect: %s\n", err.text);
    } else if (args.json) {
        print_json(r, &args);
    } else {
        print_text(r, &args);
    }
    zo_free(r->method);
    zo_free(r);
    return status == ZO_OK ? 0 : 2;
}
