/* rope.c: see rope.h. It does not do: dynamic, YaRN and LongRoPE scaling, partial rotary. */
#include "models/rope.h"

#include <cjson/cJSON.h>
#include <string.h>

void zo_rope_read(zo_config *c, zo_arch *a, double theta)
{
    a->rope = true;
    a->rope_theta = zo_config_real_or(c, "rope_theta", theta, 1, 1e12);
    const char *key = "rope_scaling";
    const cJSON *scaling = cJSON_GetObjectItemCaseSensitive(c->json, key);
    if (scaling == NULL || cJSON_IsNull(scaling) || (cJSON_IsObject(scaling) && scaling->child == NULL)) {
        key = "rope_parameters";
        scaling = cJSON_GetObjectItemCaseSensitive(c->json, key);
    }
    if (scaling == NULL || cJSON_IsNull(scaling) || c->status != ZO_OK) {
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
    if (zo_config_real_or(&inner, "partial_rotary_factor", 1, 0, 1) != 1) {
        zo_config_fail(&inner, "key \"%s.partial_rotary_factor\" is not 1, which is not supported", key);
    }
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(scaling, "rope_type");
    if (type == NULL) {
        type = cJSON_GetObjectItemCaseSensitive(scaling, "type");
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
    cJSON_AddNumberToObject(json, "rope_theta", a->rope_theta);
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
