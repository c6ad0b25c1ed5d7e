/* mistral.c: Mistral (Jiang et al., arXiv 2310.06825): LLaMA with a sliding window in every layer. */
#include <cjson/cJSON.h>

#include "models/llama_like.h"

static const zo_name_row names[] = {ZO_LLAMA_NAMES, {0}};
static const zo_silent_row silent[] = {ZO_LLAMA_SILENT, {0}};

static const zo_llama_defaults defaults = {.layers = 32, .hidden = 4096, .heads = 32, .kv_heads = 8, .ffn = 14336, .vocab = 32000, .positions = 131072,
                                           .norm_eps = 1e-6, .act_key = "hidden_act", .act = ZO_ACT_SILU, .bos = 1, .eos = 2, .pad = -1};

static void config_read(zo_config *c, zo_arch *a)
{
    zo_llama_read(c, a, &defaults);
    zo_llama_window_read(c, a, 4096);
}

static void config_write(const zo_arch *a, cJSON *json)
{
    zo_llama_write(a, &defaults, json);
    zo_llama_window_write(a, json);
}

const zo_family zo_family_mistral = {
    .name = "mistral",
    .prefixes = zo_llama_prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "MistralForSequenceClassification",
    .lm_architecture = "MistralForCausalLM",
    .base_architecture = "MistralModel",
    .pad_row_zero = true,
    .read = config_read,
    .write = config_write,
};
