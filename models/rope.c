/* rope.c: see rope.h. It does not do: dynamic, YaRN and LongRoPE scaling. */
#include "models/rope.h"

#include <cjson/cJSON.h>
#include <string.h>

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

void zo_rope_read(zo_config *c, zo_arch *a, double theta)
{
    zo_rope_keys keys = {.theta = "rope_theta", .base = theta};
    zo_rope_read_keys(c, a, &keys);
}

void zo_rope_read_keys(zo_config *c, zo_arch *a, const zo_rope_keys *keys)
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
    const char *name = cJSON_IsString(type) ? type->valuestring : "default";
    if (strcmp(name, "linear") == 0) {
        a->rope_scaling = ZO_ROPE_LINEAR;
        a->rope_factor = zo_config_real_or(&inner, "factor", 0, 0, 1e6);
    } else if (strcmp(name, "llama3") == 0) {
        a->rope_scaling = ZO_ROPE_LLAMA3;
        a->rope_factor = zo_config_real_or(&inner, "factor", 0, 0, 1e6);
        a->rope_low_freq = zo_config_real_or(&inner, "low_freq_factor", 0, 0, 1e6);
        a->rope_high_freq = zo_config_real_or(&inner, "high_freq_factor", 0, 0, 1e6);
        a->rope_original_positions = zo_config_int_or(&inner, "original_max_position_embeddings", a->positions, 1, 1 << 24);
        a->rope_original_positions = zo_config_int_or(c, "original_max_position_embeddings", a->rope_original_positions, 1, 1 << 24);
        if (!(a->rope_low_freq > 0 && a->rope_high_freq > a->rope_low_freq)) {
            zo_config_fail(&inner,
                           "key \"%s\" has low_freq_factor %g and high_freq_factor %g; expected 0 < low < high",
                           key, a->rope_low_freq, a->rope_high_freq);
        }
    } else if (strcmp(name, "default") != 0) {
        zo_config_fail(
            &inner,
            "key \"%s.rope_type\" is \"%.40s\", which is not supported; supported are default, linear and llama3",
            key, name);
    }
    if (a->rope_scaling != ZO_ROPE_PLAIN && !(a->rope_factor > 0)) {
        zo_config_fail(&inner, "key \"%s.factor\" is %g or missing; expected a number above 0", key, a->rope_factor);
    }
    c->status = c->status != ZO_OK ? c->status : inner.status;
}

void zo_rope_write(const zo_arch *a, cJSON *json)
{
    zo_rope_keys keys = {.theta = "rope_theta"};
    zo_rope_write_keys(a, &keys, json);
}

void zo_rope_write_keys(const zo_arch *a, const zo_rope_keys *keys, cJSON *json)
{
    cJSON_AddNumberToObject(json, keys->theta, a->rope_theta);
    if (keys->share != NULL) { /* such that the whole part of share * head_dim is rope_dims again */
        int dims = zo_arch_rope_dims(a);
        double share = (double)dims / a->head_dim;
        cJSON_AddNumberToObject(json, keys->share, (int)(a->head_dim * share) == dims ? share : (dims + 0.5) / a->head_dim);
    }
    if (a->rope_scaling == ZO_ROPE_PLAIN) {
        cJSON_AddNullToObject(json, "rope_scaling");
    } else {
        cJSON *scaling = cJSON_AddObjectToObject(json, "rope_scaling");
        cJSON_AddStringToObject(scaling, "rope_type", a->rope_scaling == ZO_ROPE_LINEAR ? "linear" : "llama3");
        cJSON_AddNumberToObject(scaling, "factor", a->rope_factor);
        if (a->rope_scaling == ZO_ROPE_LLAMA3) {
            cJSON_AddNumberToObject(scaling, "low_freq_factor", a->rope_low_freq);
            cJSON_AddNumberToObject(scaling, "high_freq_factor", a->rope_high_freq);
            cJSON_AddNumberToObject(scaling, "original_max_position_embeddings", a->rope_original_positions);
        }
    }
}
