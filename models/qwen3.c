/* qwen3.c: Qwen3 (arXiv 2505.09388): Qwen2 with norms of each head's query and key in place of biases, and a head size of its own. */
#include <cjson/cJSON.h>

#include "models/llama_like.h"

static const zo_name_row names[] = {ZO_LLAMA_NAMES,
                                    {"layer.#.attn.q_norm", "layers.#.self_attn.q_norm", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.k_norm", "layers.#.self_attn.k_norm", true, ZO_STORED_PLAIN},
                                    {0}};
static const zo_silent_row silent[] = {ZO_LLAMA_SILENT, {0}};

static const zo_llama_defaults defaults = {.layers = 32, .hidden = 4096, .heads = 32, .kv_heads = 32, .head_dim = 128, .ffn = 22016, .vocab = 151936,
                                           .positions = 32768, .norm_eps = 1e-6, .act_key = "hidden_act", .act = ZO_ACT_SILU, .bos = -1, .eos = -1,
                                           .pad = -1};

static void config_read(zo_config *c, zo_arch *a)
{
    zo_llama_read(c, a, &defaults);
    zo_qwen_windows_read(c, a);
    a->attn_bias = a->attn_out_bias = zo_config_bool_or(c, "attention_bias", false);
    a->head_norm = true;
}

static void config_write(const zo_arch *a, cJSON *json)
{
    zo_llama_write(a, &defaults, json);
    zo_qwen_windows_write(a, json);
    cJSON_AddBoolToObject(json, "attention_bias", a->attn_bias);
}

const zo_family zo_family_qwen3 = {
    .name = "qwen3",
    .prefixes = zo_llama_prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "Qwen3ForSequenceClassification",
    .lm_architecture = "Qwen3ForCausalLM",
    .base_architecture = "Qwen3Model",
    .pad_row_zero = true,
    .read = config_read,
    .write = config_write,
};
