/* phi3.c: Phi-3 (Abdin et al., arXiv 2404.14219), Phi-3.5 and Phi-4: LLaMA with q, k and v in one matrix and gate and up in another, a sliding window
 * in every layer or none, rotary positions on all or a part of each head, plain or scaled by LongRoPE. */
#include <cjson/cJSON.h>

#include "models/llama_like.h"

static const zo_name_row names[] = {ZO_LLAMA_OUTER_NAMES,
                                    ZO_LLAMA_NORM_NAMES,
                                    {"layer.#.attn.q", "layers.#.self_attn.qkv_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.k", "layers.#.self_attn.qkv_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.v", "layers.#.self_attn.qkv_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.o", "layers.#.self_attn.o_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.gate", "layers.#.mlp.gate_up_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.up", "layers.#.mlp.gate_up_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.down", "layers.#.mlp.down_proj", true, ZO_STORED_PLAIN},
                                    {0}};
static const zo_silent_row silent[] = {ZO_LLAMA_SILENT, {0}};

static const zo_rope_keys rope_keys = {.theta = "rope_theta", .base = 10000, .share = "partial_rotary_factor", .part = 1, .original = 4096, .long_alone = true};
static const zo_llama_defaults defaults = {.layers = 32, .hidden = 3072, .heads = 32, .ffn = 8192, .vocab = 32064, .positions = 4096, .norm_eps = 1e-5,
                                           .act_key = "hidden_act", .act = ZO_ACT_SILU, .bos = 1, .eos = 32000, .pad = 32000, .rope = &rope_keys};

static void config_read(zo_config *c, zo_arch *a)
{
    zo_llama_read(c, a, &defaults);
    zo_llama_window_read(c, a, 0);
}

static void config_write(const zo_arch *a, cJSON *json)
{
    zo_llama_write(a, &defaults, json);
    zo_llama_window_write(a, json);
}

const zo_family zo_family_phi3 = {
    .name = "phi3",
    .prefixes = zo_llama_prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "Phi3ForSequenceClassification",
    .lm_architecture = "Phi3ForCausalLM",
    .base_architecture = "Phi3Model",
    .pad_row_zero = true,
    .read = config_read,
    .write = config_write,
};
