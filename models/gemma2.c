/* gemma2.c: Gemma 2 (arXiv 2408.00118): Gemma with a sliding window in every other layer, norms behind attention and MLP too, caps on attention's
 * scores and on the logits, and a scale of queries of its own. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "models/llama_like.h"

static const zo_name_row names[] = {{"layer.#.attn.norm", "layers.#.input_layernorm", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.post_norm", "layers.#.post_attention_layernorm", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.norm", "layers.#.pre_feedforward_layernorm", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.post_norm", "layers.#.post_feedforward_layernorm", true, ZO_STORED_PLAIN},
                                    ZO_LLAMA_OUTER_NAMES,
                                    ZO_LLAMA_LINEAR_NAMES,
                                    {0}};
static const zo_silent_row silent[] = {ZO_LLAMA_SILENT, {0}};

static const zo_llama_defaults defaults = {.layers = 26, .hidden = 2304, .heads = 8, .kv_heads = 4, .head_dim = 256, .ffn = 9216, .vocab = 256000,
                                           .positions = 8192, .norm_eps = 1e-6, .act_key = "hidden_activation", .act = ZO_ACT_GELU_TANH, .tied = true,
                                           .bos = 2, .eos = 1, .pad = 0};

static bool slides(int layer, int first)
{
    return layer % 2 == first;
}

/* A cap, a null of which is none. */
static float cap_read(zo_config *c, const char *key, double fallback)
{
    return (float)zo_config_real_or(c, key, zo_config_is_null(c, key) ? 0 : fallback, 1e-6, 1e6);
}

static void cap_write(cJSON *json, const char *key, float cap)
{
    if (cap > 0.0f) {
        zo_config_add_float(json, key, cap);
    } else {
        cJSON_AddNullToObject(json, key);
    }
}

static void config_read(zo_config *c, zo_arch *a)
{
    zo_gemma_read(c, a, &defaults);
    zo_llama_window_read(c, a, 4096);
    zo_llama_layer_types_read(c, a, slides, 0);
    a->attn_scale = 1.0 / sqrt(zo_config_real_or(c, "query_pre_attn_scalar", 256, 1e-6, 1e9));
    a->attn_softcap = cap_read(c, "attn_logit_softcapping", 50);
    a->final_softcap = cap_read(c, "final_logit_softcapping", 30);
    a->post_norm = true;
}

static void config_write(const zo_arch *a, cJSON *json)
{
    zo_llama_write(a, &defaults, json);
    cJSON_AddBoolToObject(json, "attention_bias", a->attn_bias);
    zo_llama_window_write(a, json);
    zo_llama_layer_types_write(a, json);
    char scalar[40]; /* an int in the released files, and written as one */
    snprintf(scalar, sizeof scalar, "%.9g", 1.0 / (a->attn_scale * a->attn_scale));
    cJSON_AddNumberToObject(json, "query_pre_attn_scalar", strtod(scalar, NULL));
    cap_write(json, "attn_logit_softcapping", a->attn_softcap);
    cap_write(json, "final_logit_softcapping", a->final_softcap);
}

const zo_family zo_family_gemma2 = {
    .name = "gemma2",
    .prefixes = zo_llama_prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "Gemma2ForSequenceClassification",
    .lm_architecture = "Gemma2ForCausalLM",
    .base_architecture = "Gemma2Model",
    .pad_row_zero = true,
    .read = config_read,
    .write = config_write,
};
