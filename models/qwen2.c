/* qwen2.c: Qwen2 and Qwen2.5 (Yang et al., arXiv 2407.10671): LLaMA with biases of queries, keys and values; a sliding window, where it is
 * used at all, in the layers from max_window_layers on. */
#include <cjson/cJSON.h>

#include "models/llama_like.h"

static const zo_name_row names[] = {ZO_LLAMA_NAMES, {0}};
static const zo_silent_row silent[] = {ZO_LLAMA_SILENT, {0}};

static const zo_llama_defaults defaults = {.layers = 32, .hidden = 4096, .heads = 32, .kv_heads = 32, .ffn = 22016, .vocab = 151936, .positions = 32768,
                                           .norm_eps = 1e-6, .act_key = "hidden_act", .act = ZO_ACT_SILU, .bos = -1, .eos = -1, .pad = -1};

static void config_read(zo_config *c, zo_arch *a)
{
    zo_llama_read(c, a, &defaults);
    zo_qwen_windows_read(c, a);
    a->attn_bias = true;
}

static void config_write(const zo_arch *a, cJSON *json)
{
    zo_llama_write(a, &defaults, json);
    zo_qwen_windows_write(a, json);
}

static bool slides(int layer, int first)
{
    return layer >= first;
}

void zo_qwen_windows_read(zo_config *c, zo_arch *a)
{
    if (zo_config_bool_or(c, "use_sliding_window", false)) {
        zo_llama_window_read(c, a, 4096);
    }
    zo_llama_layer_types_read(c, a, slides, zo_config_int_or(c, "max_window_layers", 28, 0, 1 << 24));
}

void zo_qwen_windows_write(const zo_arch *a, cJSON *json)
{
    cJSON_AddBoolToObject(json, "use_sliding_window", a->window > 0);
    zo_llama_window_write(a, json);
    zo_llama_layer_types_write(a, json);
}

const zo_family zo_family_qwen2 = {
    .name = "qwen2",
    .prefixes = zo_llama_prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "Qwen2ForSequenceClassification",
    .lm_architecture = "Qwen2ForCausalLM",
    .base_architecture = "Qwen2Model",
    .pad_row_zero = true,
    .read = config_read,
    .write = config_write,
};
