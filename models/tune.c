/* tune.c: see tune.h: views as values and as texts, and the kinds that need few lines. */
#include "models/tune.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "models/tune_list.h"

#define X(name) extern const zo_tune_kind zo_tune_##name;
ZO_TUNE_LIST(X)
#undef X

static const zo_tune_kind *const kinds[] = {
#define X(name) &zo_tune_##name,
    ZO_TUNE_LIST(X)
#undef X
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const zo_opt no_options[] = {{.key = NULL}};

int zo_tune_kinds(const zo_tune_kind *const **list)
{
    *list = kinds;
    return KINDS;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

static const zo_opt *options_of(const zo_tune_kind *kind)
{
    return kind->options != NULL ? kind->options : no_options;
}

static zo_status find_kind(const char *name, const char *where, const zo_tune_kind **kind, zo_err *err)
{
    const char *names[KINDS];
    char all[200] = "";
    for (int i = 0; i < KINDS; i++) {
        size_t at = strlen(all);
        names[i] = kinds[i]->name;
        snprintf(all + at, sizeof all - at, "%s%s", i > 0 ? ", " : "", names[i]);
        if (strcmp(name, names[i]) == 0) {
            *kind = kinds[i];
            return ZO_OK;
        }
    }
    const char *near = zo_nearest(name, names, KINDS);
    return near != NULL ? zo_fail(err, ZO_EINPUT, "%s: there is no \"tune\" \"%.64s\"; did you mean \"%s\"?", where, name, near)
                        : zo_fail(err, ZO_EINPUT, "%s: there is no \"tune\" \"%.64s\"; expected one of %s", where, name, all);
}

/* Appends a key and its value. False where a value has a blank, by which texts are cut. */
static bool print_option(const cJSON *value, char *text, size_t size)
{
    char *json = cJSON_IsString(value) ? NULL : cJSON_PrintUnformatted(value);
    const char *word = json != NULL ? json : value->valuestring;
    size_t at = strlen(text);
    bool whole = word[0] != '\0' && strpbrk(word, " \t\n") == NULL;
    if (at < size) {
        snprintf(text + at, size - at, " %s %s", value->string, word);
    }
    cJSON_free(json);
    return whole;
}

/* The text of a view. Returns the first key by whose value it cannot be read again, or NULL. */
static const zo_opt *print_tune(const zo_tune *tune, char *text, size_t size)
{
    char defaults[sizeof tune->options];
    cJSON *options = zo_opt_write(options_of(tune->kind), &tune->options), *o = options->child;
    zo_opt_defaults(options_of(tune->kind), defaults);
    snprintf(text, size, "%s", tune->kind->name);
    const zo_opt *broken = NULL;
    for (const zo_opt *opt = options_of(tune->kind); o != NULL; opt++, o = o->next) { /* in the table's order */
        if (!opt->younger || !zo_opt_equal(opt, &tune->options, defaults)) {
            broken = print_option(o, text, size) || broken != NULL ? broken : opt;
        }
    }
    cJSON_Delete(options);
    return broken;
}

char *zo_tune_text(const zo_tune *tune, char text[ZO_OPT_STRING_BYTES])
{
    print_tune(tune, text, ZO_OPT_STRING_BYTES);
    return text;
}

static zo_status read_options(const zo_tune_kind *kind, const cJSON *options, const char *where, zo_tune *tune, zo_err *err)
{
    char place[4400], text[2 * ZO_OPT_STRING_BYTES];
    memset(tune, 0, sizeof *tune);
    tune->kind = kind;
    snprintf(place, sizeof place, "%s: \"tune\" %s", where, kind->name);
    zo_status status = zo_opt_read(options_of(kind), options, "name", place, &tune->options, err);
    if (status != ZO_OK) {
        return status;
    }
    const zo_opt *broken = print_tune(tune, text, sizeof text);
    if (broken != NULL) { /* numbers and choices are never so */
        const char *value = (const char *)&tune->options + broken->offset;
        return value[0] == '\0' ? zo_fail(err, ZO_EINPUT, "%s: \"%s\" is empty; expected %s", place, broken->key, broken->help)
                                : zo_fail(err, ZO_EINPUT, "%s: \"%s\" is \"%.200s\"; expected no blank in it", place, broken->key, value);
    }
    if (strlen(text) >= ZO_OPT_STRING_BYTES) {
        return zo_fail(err, ZO_EINPUT, "%s: its keys and values have %zu bytes; at most %d are permitted", place, strlen(text), ZO_OPT_STRING_BYTES - 1);
    }
    zo_arch any = {0};
    return zo_tune_extend(tune, &any, err) == ZO_OK ? ZO_OK : zo_fail_in(err, where);
}

/* A word of a text as JSON of the type that its key has; what it is not stays a string, and is refused where it is read. */
static cJSON *value_of(const zo_opt *key, const char *word)
{
    char *end;
    bool yes = strcmp(word, "true") == 0;
    double number = strtod(word, &end);
    if (key != NULL && (key->type == ZO_OPT_INT || key->type == ZO_OPT_REAL) && *end == '\0') {
        return cJSON_CreateNumber(number);
    }
    return key != NULL && key->type == ZO_OPT_BOOL && (yes || strcmp(word, "false") == 0) ? cJSON_CreateBool(yes) : cJSON_CreateString(word);
}

zo_status zo_tune_parse(const char *text, const char *where, zo_tune *tune, zo_err *err)
{
    char words[2 * ZO_OPT_STRING_BYTES], *rest = NULL;
    if (strlen(text) >= sizeof words) {
        return zo_fail(err, ZO_EINPUT, "%s: \"tune\" has %zu bytes; at most %d are permitted", where, strlen(text), ZO_OPT_STRING_BYTES - 1);
    }
    snprintf(words, sizeof words, "%s", text);
    const char *name = strtok_r(words, " ", &rest), *key, *word;
    if (name == NULL) {
        return zo_fail(err, ZO_EINPUT, "%s: \"tune\" is empty; expected a view such as \"head\"", where);
    }
    const zo_tune_kind *kind;
    zo_status status = find_kind(name, where, &kind, err);
    cJSON *options = cJSON_CreateObject();
    while (status == ZO_OK && (key = strtok_r(NULL, " ", &rest)) != NULL) {
        word = strtok_r(NULL, " ", &rest);
        if (word == NULL) {
            status = zo_fail(err, ZO_EINPUT, "%s: \"tune\" \"%.100s\" has no value behind %.64s; expected pairs such as \"last layers 4\"", where, text, key);
        } else {
            cJSON_AddItemToObject(options, key, value_of(zo_opt_find(options_of(kind), key), word));
        }
    }
    status = status == ZO_OK ? read_options(kind, options, where, tune, err) : status;
    cJSON_Delete(options);
    return status;
}

zo_status zo_tune_read(const cJSON *value, const char *where, zo_tune *tune, zo_err *err)
{
    const cJSON *name = cJSON_IsObject(value) ? cJSON_GetObjectItemCaseSensitive(value, "name") : NULL;
    if (cJSON_IsString(value)) {
        return zo_tune_parse(value->valuestring, where, tune, err);
    }
    if (!cJSON_IsString(name)) {
        return zo_fail(err, ZO_EINPUT, "%s: \"tune\" is %s; expected a name such as \"head\", or an object such as {\"name\": \"last\", \"layers\": 4}", where,
                       cJSON_IsObject(value) ? "an object without \"name\"" : zo_json_kind(value));
    }
    const zo_tune_kind *kind;
    zo_status status = find_kind(name->valuestring, where, &kind, err);
    return status == ZO_OK ? read_options(kind, value, where, tune, err) : status;
}

const char *zo_tune_from(const zo_tune *tune)
{
    const zo_opt *from = zo_opt_find(options_of(tune->kind), "from");
    const char *folder = from != NULL ? (const char *)&tune->options + from->offset : "";
    return folder[0] != '\0' ? folder : NULL;
}

bool zo_tune_is_new_head(const zo_arch *arch, zo_head head, const zo_layout *layout, const zo_param *param)
{
    bool pooled = arch->class_head == ZO_CLASS_POOLER || arch->class_head == ZO_CLASS_TRANSFORM; /* then the last stage alone is new */
    return param->head && head == ZO_HEAD_CLASS && (!pooled || param->stage == layout->stages - 1);
}

/* ---- applying ----------------------------------------------------------------------------------------------------------- */

zo_status zo_tune_extend(const zo_tune *tune, zo_arch *arch, zo_err *err)
{
    return tune != NULL && tune->kind->extend != NULL ? tune->kind->extend(&tune->options, arch, err) : ZO_OK;
}

zo_status zo_tune_apply(const zo_tune *tune, const zo_arch *arch, zo_head head, zo_layout *layout, zo_err *err)
{
    bool chosen = tune != NULL && tune->kind->choose != NULL, scales = tune != NULL && tune->kind->scales;
    if (!chosen && arch->quantised.bits == 0) {
        return ZO_OK;
    }
    bool *frozen = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)layout->n * sizeof *frozen);
    zo_status status = chosen ? tune->kind->choose(&tune->options, arch, head, layout, frozen, err) : ZO_OK;
    bool trains = false;
    for (int t = 0; t < layout->n; t++) {
        frozen[t] = frozen[t] || (!scales && layout->param[t].kind == ZO_PARAM_SCALES);
        trains = trains || !frozen[t];
    }
    if (status == ZO_OK && !trains) {
        char text[ZO_OPT_STRING_BYTES];
        status = zo_fail(err, ZO_EINPUT, "\"tune\" \"%s\" trains nothing: this model (%s) has no such parameter for this task; use another view, or \"full\"",
                         zo_tune_text(tune, text), arch->family);
    }
    if (status == ZO_OK) {
        zo_layout_freeze(layout, frozen);
    }
    zo_free(frozen);
    return status;
}

/* ---- kinds -------------------------------------------------------------------------------------------------------------- */

static zo_status choose_head(const void *options, const zo_arch *arch, zo_head head, const zo_layout *layout, bool *frozen, zo_err *err)
{
    (void)options;
    bool any = false;
    for (int t = 0; t < layout->n; t++) {
        frozen[t] = !layout->param[t].head;
        any = any || layout->param[t].head;
    }
    return any || head == ZO_HEAD_CLASS ? ZO_OK
                                        : zo_fail(err, ZO_EINPUT, "\"tune\" \"head\" trains nothing: the language-model head of this model (%s) is its token table; "
                                                  "say \"decoder\": \"untied\" too, or use another view", arch->family);
}

static zo_status choose_bias(const void *options, const zo_arch *arch, zo_head head, const zo_layout *layout, bool *frozen, zo_err *err)
{
    (void)options;
    bool any = false;
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        frozen[t] = !p->bias && !(p->head && head == ZO_HEAD_CLASS);
        any = any || p->bias;
    }
    return any ? ZO_OK : zo_fail(err, ZO_EINPUT, "\"tune\" \"bias\" trains nothing: this model (%s) has no biases; use another view", arch->family);
}

typedef struct last_options { int64_t layers; } last_options;

static const zo_opt last_keys[] = {
    {.key = "layers", .type = ZO_OPT_INT, .offset = offsetof(last_options, layers), .initial = 1, .least = 1, .most = 1000,
     .help = "blocks that are trained, counted from the output"},
    {.key = NULL}};

static zo_status choose_last(const void *options, const zo_arch *arch, zo_head head, const zo_layout *layout, bool *frozen, zo_err *err)
{
    (void)head;
    const last_options *o = options;
    if (arch->groups > 0) {
        return zo_fail(err, ZO_EUNSUPPORTED, "\"tune\" \"last\" has no blocks to choose: layers of this model (%s) share their parameters; use another view", arch->family);
    }
    bool below = true; /* parameters stand in the order of the forward pass */
    if (o->layers > arch->layers) {
        return zo_fail(err, ZO_EINPUT, "\"tune\" \"last\" asks for %lld layers, and the model has %d; ask for fewer", (long long)o->layers, arch->layers);
    }
    for (int t = 0; t < layout->n; t++) {
        below = below && layout->param[t].block != arch->layers - o->layers;
        frozen[t] = below;
    }
    return ZO_OK;
}

static zo_status choose_scales(const void *options, const zo_arch *arch, zo_head head, const zo_layout *layout, bool *frozen, zo_err *err)
{
    (void)options;
    (void)head;
    for (int t = 0; t < layout->n; t++) {
        frozen[t] = layout->param[t].kind != ZO_PARAM_SCALES;
    }
    return arch->quantised.bits > 0 ? ZO_OK : zo_fail(err, ZO_EINPUT, "\"tune\" \"scales\" trains the scales of matrices that are held as codes, and none is: "
                                                      "say \"quantised\": \"int8\" or \"int4\" too");
}

const zo_tune_kind zo_tune_full = {.name = "full", .help = "every parameter"};
const zo_tune_kind zo_tune_head = {
    .name = "head", .help = "the classification head, or the language-model head where it is not tied to the embeddings", .choose = choose_head};
const zo_tune_kind zo_tune_bias = {
    .name = "bias", .help = "biases of linear layers and norms, and a classification head whole (BitFit, Ben Zaken et al., arXiv 2106.10199)", .choose = choose_bias};
const zo_tune_kind zo_tune_last = {
    .name = "last", .help = "the last blocks, and what stands behind them: final norm and head", .options = last_keys, .choose = choose_last};
const zo_tune_kind zo_tune_scales = {
    .name = "scales", .help = "the scales of matrices that are held as codes (\"quantised\"), and nothing else (QZO, arXiv 2505.13430)", .choose = choose_scales,
    .scales = true};
