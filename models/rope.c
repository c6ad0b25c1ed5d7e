/* rope.c: see rope.h. Frequencies are those of transformers 5 (modeling_rope_utils.py). It does not do: positions that differ between layers, and
 * texts beyond the config's positions, which dynamic scaling is for. */
#include "models/rope.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* ---- config.json -------------------------------------------------------------------------------------------------------- */

/* The share of each head that is turned, of which transformers takes the whole part of share * head_dim. */
static void share_read(zo_config *c, zo_arch *a, const char *key, double share)
{
    int dims = (int)((double)a->head_dim * share);
    if (c->status == ZO_OK && (dims < 2 || dims % 2 != 0)) {
        zo_config_fail(c, "key \"%s\" is %g, by which rotary positions turn %d of the %d numbers of a head; expected an even number, and 2 at the least", key,
                       share, dims, a->head_dim);
    }
    a->rope_dims = dims == a->head_dim ? 0 : dims;
}

/* The object's own keys. c: the config around it. */
typedef void type_read(zo_config *c, zo_config *object, const zo_rope_keys *keys, zo_arch *a, const char *key);

static double factor_read(zo_config *object, const char *key, double fallback)
{
    double factor = zo_config_real_or(object, "factor", fallback, 0, 1e6);
    if (!(factor > 0)) {
        zo_config_fail(object, "key \"%s.factor\" is %g or missing; expected a number above 0", key, factor);
    }
    return factor;
}

static void linear_read(zo_config *c, zo_config *object, const zo_rope_keys *keys, zo_arch *a, const char *key)
{
    (void)c;
    (void)keys;
    a->rope_factor = factor_read(object, key, 0);
}

static void dynamic_read(zo_config *c, zo_config *object, const zo_rope_keys *keys, zo_arch *a, const char *key)
{
    linear_read(c, object, keys, a, key);
    if (zo_arch_rope_dims(a) < 4) {
        zo_config_fail(object, "key \"%s.rope_type\" is \"dynamic\", which wants 4 numbers of each head that are turned; there are %d", key, zo_arch_rope_dims(a));
    }
}

static void original_read(zo_config *c, zo_config *object, const zo_rope_keys *keys, zo_arch *a)
{
    int within = zo_config_int_or(object, "original_max_position_embeddings", a->positions, 1, 1 << 24);
    a->rope_original_positions = zo_config_int_or(c, "original_max_position_embeddings", keys->original > 0 ? keys->original : within, 1, 1 << 24);
}

static void llama3_read(zo_config *c, zo_config *object, const zo_rope_keys *keys, zo_arch *a, const char *key)
{
    a->rope_factor = factor_read(object, key, 0);
    a->rope_low_freq = zo_config_real_or(object, "low_freq_factor", 0, 0, 1e6);
    a->rope_high_freq = zo_config_real_or(object, "high_freq_factor", 0, 0, 1e6);
    original_read(c, object, keys, a);
    if (!(a->rope_low_freq > 0 && a->rope_high_freq > a->rope_low_freq)) {
        zo_config_fail(object, "key \"%s\" has low_freq_factor %g and high_freq_factor %g; expected 0 < low < high", key, a->rope_low_freq, a->rope_high_freq);
    }
}

/* What a factor of the positions does to attention (YaRN, eq. 22). */
static double mscale(double factor, double times)
{
    return factor <= 1.0 ? 1.0 : 0.1 * times * log(factor) + 1.0;
}

static void yarn_read(zo_config *c, zo_config *object, const zo_rope_keys *keys, zo_arch *a, const char *key)
{
    original_read(c, object, keys, a);
    a->rope_factor = factor_read(object, key, zo_config_is_null(object, "factor") ? (double)a->positions / a->rope_original_positions : 0);
    double slow = zo_config_real_or(object, "beta_slow", 1, 0, 1e6), fast = zo_config_real_or(object, "beta_fast", 32, 0, 1e6);
    a->rope_low_freq = slow > 0 ? slow : 1; /* a 0 is as if it were left out */
    a->rope_high_freq = fast > 0 ? fast : 32;
    a->rope_ragged = !zo_config_bool_or(object, "truncate", true);
    double over = zo_config_real_or(object, "mscale", 0, 0, 1e6), under = zo_config_real_or(object, "mscale_all_dim", 0, 0, 1e6);
    double attention = over > 0 && under > 0 ? mscale(a->rope_factor, over) / mscale(a->rope_factor, under) : mscale(a->rope_factor, 1);
    a->rope_attention = (float)zo_config_real_or(object, "attention_factor", attention, 1e-6, 1e6);
    if (a->rope_high_freq < a->rope_low_freq) {
        zo_config_fail(object, "key \"%s\" has beta_slow %g and beta_fast %g; expected slow <= fast", key, a->rope_low_freq, a->rope_high_freq);
    } else if (a->rope_theta <= 1) {
        zo_config_fail(object, "key \"rope_theta\" is 1, of which YaRN makes no frequencies; expected a number above 1");
    }
}

/* A list with a number above 0 for each frequency. */
static void factors_read(zo_config *object, const char *key, const char *name, int n, float *out)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object->json, name), *item;
    int i = 0;
    bool fits = cJSON_IsArray(list) && n <= ZO_MOST_ROPE_PAIRS && cJSON_GetArraySize(list) == n;
    for (item = fits ? list->child : NULL; item != NULL; item = item->next) {
        fits = fits && cJSON_IsNumber(item) && item->valuedouble >= 1e-6 && item->valuedouble <= 1e6;
        out[i++] = fits ? (float)item->valuedouble : 0.0f;
    }
    if (!fits) {
        zo_config_fail(object, "key \"%s.%s\" is no list of %d numbers from 1e-06 to 1e+06, one for each pair of a head's numbers that is turned, at most %d", key, name, n,
                       (int)ZO_MOST_ROPE_PAIRS);
    }
}

static void long_read(zo_config *c, zo_config *object, const zo_rope_keys *keys, zo_arch *a, const char *key)
{
    original_read(c, object, keys, a);
    int pairs = zo_arch_rope_dims(a) / 2;
    factors_read(object, key, "short_factor", pairs, a->rope_short);
    factors_read(object, key, "long_factor", pairs, a->rope_long);
    double factor = zo_config_real_or(object, "factor", (double)a->positions / a->rope_original_positions, 0, 1e6);
    double given = zo_config_real_or(object, "attention_factor", 0, 1e-6, 1e6);
    if (given == 0 && factor > 1 && a->rope_original_positions == 1) {
        zo_config_fail(object, "key \"original_max_position_embeddings\" is 1, and there is no attention_factor; its logarithm, 0, gives none");
    }
    a->rope_attention = (float)(given > 0 ? given : factor <= 1 ? 1 : sqrt(1 + log(factor) / log(a->rope_original_positions)));
}

typedef struct rope_type { const char *name; zo_rope_scaling scaling; type_read *read; } rope_type;
/* Of one scaling the first name is written. */
static const rope_type types[] = {{"default", ZO_ROPE_PLAIN, NULL},          {"linear", ZO_ROPE_LINEAR, linear_read}, {"dynamic", ZO_ROPE_DYNAMIC, dynamic_read},
                                  {"yarn", ZO_ROPE_YARN, yarn_read},         {"longrope", ZO_ROPE_LONG, long_read},   {"llama3", ZO_ROPE_LLAMA3, llama3_read}};
static const rope_type long_types[] = {{"default", ZO_ROPE_PLAIN, NULL}, {"longrope", ZO_ROPE_LONG, long_read}, {"su", ZO_ROPE_LONG, long_read}, {"yarn", ZO_ROPE_LONG, long_read}};
enum { TYPES = sizeof types / sizeof *types, LONG_TYPES = sizeof long_types / sizeof *long_types };

static const rope_type *types_of(const zo_rope_keys *keys, size_t *n)
{
    *n = keys->long_alone ? LONG_TYPES : TYPES;
    return keys->long_alone ? long_types : types;
}

static const rope_type *type_of(const zo_rope_keys *keys, const char *name)
{
    size_t n;
    const rope_type *known = types_of(keys, &n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(known[i].name, name) == 0) {
            return &known[i];
        }
    }
    return NULL;
}

static void fail_type(zo_config *object, const zo_rope_keys *keys, const char *key, const char *name)
{
    size_t n;
    const rope_type *known = types_of(keys, &n);
    char text[100] = "";
    for (size_t i = 0; i < n; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " and ", known[i].name);
    }
    zo_config_fail(object, "key \"%s.rope_type\" is \"%.40s\", which is not supported; supported are %s", key, name, text);
}

void zo_rope_read(zo_config *c, zo_arch *a, const zo_rope_keys *keys)
{
    a->rope = true;
    a->rope_theta = zo_config_real_or(c, keys->theta, keys->base, 1, 1e12);
    double share = keys->share != NULL ? zo_config_real_or(c, keys->share, keys->part, 0, 1) : 1.0;
    const char *key = "rope_scaling";
    const cJSON *scaling = cJSON_GetObjectItemCaseSensitive(c->json, key);
    if (scaling == NULL || cJSON_IsNull(scaling) || (cJSON_IsObject(scaling) && scaling->child == NULL)) {
        key = "rope_parameters";
        scaling = cJSON_GetObjectItemCaseSensitive(c->json, key);
    }
    if (scaling == NULL || cJSON_IsNull(scaling) || c->status != ZO_OK) {
        if (keys->share != NULL) {
            share_read(c, a, keys->share, share);
        }
        return;
    }
    if (!cJSON_IsObject(scaling)) {
        zo_config_fail(
            c, "key \"%s\" is not an object; expected one such as {\"rope_type\": \"llama3\", ...} or null", key);
        return;
    }
    zo_config inner = {.json = scaling, .path = c->path, .status = ZO_OK, .err = c->err};
    zo_config_only_once(&inner);
    a->rope_theta = zo_config_real_or(&inner, "rope_theta", a->rope_theta, 1, 1e12);
    share = zo_config_real_or(&inner, "partial_rotary_factor", share, 0, 1);
    if (keys->share != NULL) {
        share_read(&inner, a, "partial_rotary_factor", share);
    } else if (share != 1) {
        zo_config_fail(&inner, "key \"%s.partial_rotary_factor\" is not 1, which is not supported", key);
    }
    for (const cJSON *child = scaling->child; child != NULL; child = child->next) {
        if (cJSON_IsObject(child)) {
            zo_config_fail(c, "key \"%s.%.40s\" is an object: rotary positions that differ between layers are not supported", key, child->string);
            return;
        }
    }
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(scaling, "rope_type");
    if (type == NULL || cJSON_IsNull(type)) {
        type = cJSON_GetObjectItemCaseSensitive(scaling, "type");
    }
    if (type != NULL && !cJSON_IsNull(type) && !cJSON_IsString(type)) {
        zo_config_fail(c, "key \"%s.%s\" is no string; expected one such as \"default\", \"linear\" or \"llama3\"", key, type->string);
        return;
    }
    const char *name = cJSON_IsString(type) ? type->valuestring : types[0].name;
    const rope_type *found = type_of(keys, name);
    if (found == NULL) {
        fail_type(&inner, keys, key, name);
    } else if (found->read != NULL) {
        a->rope_scaling = found->scaling;
        found->read(c, &inner, keys, a, key);
    }
    c->status = c->status != ZO_OK ? c->status : inner.status;
}

/* The base of one kind of layers: of its object in rope_parameters, else of the key beside it. */
static double base_read(zo_config *c, const cJSON *all, const char *kind, const zo_rope_keys *keys)
{
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(all, kind);
    double base = zo_config_real_or(c, keys->theta, keys->base, 1, 1e12);
    if (own == NULL || cJSON_IsNull(own)) {
        return base;
    }
    zo_config inner = {.json = own, .path = c->path, .status = ZO_OK, .err = c->err};
    if (!cJSON_IsObject(own)) {
        zo_config_fail(c, "key \"rope_parameters.%s\" is not an object; expected one such as {\"rope_type\": \"default\", \"rope_theta\": %g}", kind, keys->base);
        return base;
    }
    zo_config_only_once(&inner);
    zo_config_only_text(&inner, "rope_type", types[0].name);
    zo_config_only_text(&inner, "type", types[0].name);
    base = zo_config_real_or(&inner, "rope_theta", base, 1, 1e12);
    c->status = c->status != ZO_OK ? c->status : inner.status;
    return base;
}

void zo_rope_read_apart(zo_config *c, zo_arch *a, const zo_rope_keys *far, const zo_rope_keys *near)
{
    static const char all_key[] = "rope_parameters", far_kind[] = "full_attention", near_kind[] = "sliding_attention";
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(c->json, all_key);
    a->rope = true;
    zo_config_only_empty(c, "rope_scaling");
    if (all != NULL && !cJSON_IsNull(all) && !cJSON_IsObject(all)) {
        zo_config_fail(c, "key \"%s\" is not an object; expected one with an object for each of \"%s\" and \"%s\", or null", all_key, far_kind, near_kind);
    }
    for (const cJSON *child = all != NULL ? all->child : NULL; child != NULL; child = child->next) {
        if (child->string == NULL || (strcmp(child->string, far_kind) != 0 && strcmp(child->string, near_kind) != 0)) {
            zo_config_fail(c, "key \"%s.%.40s\" is not supported; expected \"%s\" and \"%s\"", all_key, child->string != NULL ? child->string : "", far_kind, near_kind);
        }
    }
    const char *const bases[] = {far->theta, near->theta};
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        if (zo_config_is_null(c, bases[i])) { /* of which transformers 4 made the other base, and transformers 5 makes none */
            zo_config_fail(c, "key \"%s\" is null; expected a number", bases[i]);
        }
    }
    a->rope_theta = base_read(c, all, far_kind, far);
    a->rope_near_theta = base_read(c, all, near_kind, near);
}

void zo_rope_write(const zo_arch *a, const zo_rope_keys *keys, cJSON *json)
{
    cJSON_AddNumberToObject(json, keys->theta, a->rope_theta);
    if (keys->share != NULL) { /* such that the whole part of share * head_dim is rope_dims again */
        int dims = zo_arch_rope_dims(a);
        double share = (double)dims / a->head_dim;
        cJSON_AddNumberToObject(json, keys->share, (int)(a->head_dim * share) == dims ? share : (dims + 0.5) / a->head_dim);
    }
    if (keys->original > 0 && a->rope_original_positions > 0) {
        cJSON_AddNumberToObject(json, "original_max_position_embeddings", a->rope_original_positions);
    }
    if (a->rope_scaling == ZO_ROPE_PLAIN) {
        cJSON_AddNullToObject(json, "rope_scaling");
        return;
    }
    cJSON *scaling = cJSON_AddObjectToObject(json, "rope_scaling");
    for (size_t i = 0; i < TYPES; i++) {
        if (types[i].scaling == a->rope_scaling) {
            cJSON_AddStringToObject(scaling, "rope_type", types[i].name);
            break;
        }
    }
    if (a->rope_scaling != ZO_ROPE_LONG) {
        cJSON_AddNumberToObject(scaling, "factor", a->rope_factor);
    }
    if (a->rope_original_positions > 0) {
        cJSON_AddNumberToObject(scaling, "original_max_position_embeddings", a->rope_original_positions);
    }
    if (a->rope_scaling == ZO_ROPE_LLAMA3) {
        cJSON_AddNumberToObject(scaling, "low_freq_factor", a->rope_low_freq);
        cJSON_AddNumberToObject(scaling, "high_freq_factor", a->rope_high_freq);
    } else if (a->rope_scaling == ZO_ROPE_YARN) {
        cJSON_AddNumberToObject(scaling, "beta_slow", a->rope_low_freq);
        cJSON_AddNumberToObject(scaling, "beta_fast", a->rope_high_freq);
        cJSON_AddBoolToObject(scaling, "truncate", !a->rope_ragged);
        zo_config_add_float(scaling, "attention_factor", a->rope_attention);
    } else if (a->rope_scaling == ZO_ROPE_LONG) {
        zo_config_add_floats(scaling, "short_factor", a->rope_short, zo_arch_rope_dims(a) / 2);
        zo_config_add_floats(scaling, "long_factor", a->rope_long, zo_arch_rope_dims(a) / 2);
        zo_config_add_float(scaling, "attention_factor", a->rope_attention);
    }
}

/* ---- tables ------------------------------------------------------------------------------------------------------------- */

/* Where YaRN's frequencies begin to be divided, as an index: that of the frequency with so many turns within the original positions. */
static double yarn_index(const zo_arch *a, double turns, bool up)
{
    int dims = zo_arch_rope_dims(a);
    double at = dims * log(a->rope_original_positions / (turns * 2.0 * PI)) / (2.0 * log(a->rope_theta));
    return a->rope_ragged ? at : up ? ceil(at) : floor(at);
}

/* Frequency i: radians a position. */
static double frequency_of(const zo_arch *a, int i, bool in_long, bool near)
{
    int dims = zo_arch_rope_dims(a);
    double inverse = 1.0 / pow(near ? a->rope_near_theta : a->rope_theta, 2.0 * i / dims);
    if (near) {
        return inverse;
    }
    if (a->rope_scaling == ZO_ROPE_LINEAR) {
        return inverse / a->rope_factor;
    }
    if (a->rope_scaling == ZO_ROPE_LONG) {
        return inverse / (double)(in_long ? a->rope_long : a->rope_short)[i];
    }
    double kept = 1.0; /* of the plain frequency; the rest is divided */
    if (a->rope_scaling == ZO_ROPE_LLAMA3) {
        double turns = a->rope_original_positions * inverse / (2.0 * PI);
        kept = (turns - a->rope_low_freq) / (a->rope_high_freq - a->rope_low_freq);
    } else if (a->rope_scaling == ZO_ROPE_YARN) {
        double low = fmax(yarn_index(a, a->rope_high_freq, false), 0.0), high = fmin(yarn_index(a, a->rope_low_freq, true), dims - 1.0);
        kept = 1.0 - (i - low) / (high == low ? 0.001 : high - low);
    } else {
        return inverse;
    }
    kept = kept < 0.0 ? 0.0 : kept > 1.0 ? 1.0 : kept;
    return (1.0 - kept) * inverse / a->rope_factor + kept * inverse;
}

int64_t zo_rope_rows(const zo_arch *a, int64_t positions)
{
    bool both = a->rope_scaling == ZO_ROPE_LONG && positions > a->rope_original_positions;
    return both ? a->rope_original_positions + positions : positions;
}

int32_t zo_rope_row(const zo_arch *a, int32_t position, int32_t length)
{
    bool in_long = a->rope_scaling == ZO_ROPE_LONG && length > a->rope_original_positions;
    return in_long ? a->rope_original_positions + position : position;
}

void zo_rope_tables(const zo_arch *a, int64_t positions, bool near, float *cosine, float *sine)
{
    int half = zo_arch_rope_dims(a) / 2;
    int64_t rows = zo_rope_rows(a, positions), in_short = rows > positions ? a->rope_original_positions : rows;
    double times = a->rope_attention > 0.0f ? (double)a->rope_attention : 1.0;
    for (int i = 0; i < half; i++) {
        for (int64_t r = 0; r < rows; r++) {
            float frequency = (float)frequency_of(a, i, r >= in_short, near);
            float angle = (float)(r < in_short ? r : r - in_short) * frequency; /* in f32, as the checkpoints were trained */
            cosine[r * half + i] = (float)(cos((double)angle) * times);
            sine[r * half + i] = (float)(sin((double)angle) * times);
        }
    }
}
