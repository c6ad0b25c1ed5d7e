/* phi.c: Phi-1, Phi-1.5 (Li et al., arXiv 2309.05463) and Phi-2: pre-norm decoder whose attention and MLP both read the block's input through one
 * norm, rotary positions on a part of each head, biases everywhere, the language-model head included. It does not do: norms of queries and keys. */
#include <cjson/cJSON.h>

#include "models/family.h"
#include "models/rope.h"

static const char *const prefixes[] = {"model.", "", NULL};

static const zo_name_row names[] = {{"embed.token", "embed_tokens", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.norm", "layers.#.input_layernorm", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.q", "layers.#.self_attn.q_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.k", "layers.#.self_attn.k_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.v", "layers.#.self_attn.v_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.o", "layers.#.self_attn.dense", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.up", "layers.#.mlp.fc1", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.down", "layers.#.mlp.fc2", true, ZO_STORED_PLAIN},
                                    {"final.norm", "final_layernorm", true, ZO_STORED_PLAIN},
                                    {"lm.decoder", "lm_head", false, ZO_STORED_PLAIN},
                                    {"class.out", "score", false, ZO_STORED_PLAIN},
                                    {0}};

static const zo_silent_row silent[] = {
    {"*rotary_emb.inv_freq", ZO_SILENT_ALWAYS}, /* RoPE's frequencies, which follow from config.json */
    {"lm_head", ZO_SILENT_LM},
    {"score", ZO_SILENT_CLASS},
    {0}};

static const zo_rope_keys rope_keys = {.theta = "rope_theta", .base = 10000, .share = "partial_rotary_factor", .part = 0.5};

static void config_read(zo_config *c, zo_arch *a)
{
    zo_config_only_bool(c, "qk_layernorm", false);
    a->layers = zo_config_int_or(c, "num_hidden_layers", 24, 1, 1000);
    a->hidden = a->embed = zo_config_int_or(c, "hidden_size", 2048, 1, 1 << 20);
    a->heads = zo_config_int_or(c, "num_attention_heads", 32, 1, 4096);
    a->kv_heads = zo_config_int_or(c, "num_key_value_heads", a->heads, 1, 4096);
    zo_config_heads_share(c, a);
    a->ffn = zo_config_int_or(c, "intermediate_size", 8192, 1, 1 << 22);
    a->vocab = zo_config_int_or(c, "vocab_size", 51200, 1, 1 << 24);
    a->positions = zo_config_int_or(c, "max_position_embeddings", 2048, 1, 1 << 24);
    zo_rope_read(c, a, &rope_keys);
    a->norm_eps = (float)zo_config_real_or(c, "layer_norm_eps", 1e-5, 0, 1);
    a->act = zo_config_act(c, "hidden_act", ZO_ACT_GELU_TANH);
    a->tied = zo_config_bool_or(c, "tie_word_embeddings", false);
    a->init_std = (float)zo_config_real_or(c, "initializer_range", 0.02, 0, 10);
    a->bos = zo_config_token(c, "bos_token_id", 1);
    a->eos = zo_config_token(c, "eos_token_id", 2);
    a->pad = zo_config_token(c, "pad_token_id", -1);
    a->causal = a->norm_first = a->final_norm = a->parallel = a->one_norm = true;
    a->attn_bias = a->attn_out_bias = a->mlp_bias = a->head_bias = true;
    a->norm = ZO_LAYERNORM;
    a->class_head = ZO_CLASS_LAST_TOKEN;
}

static void config_write(const zo_arch *a, cJSON *json)
{
    cJSON_AddNumberToObject(json, "num_hidden_layers", a->layers);
    cJSON_AddNumberToObject(json, "hidden_size", a->hidden);
    cJSON_AddNumberToObject(json, "num_attention_heads", a->heads);
    cJSON_AddNumberToObject(json, "num_key_value_heads", a->kv_heads);
    cJSON_AddNumberToObject(json, "intermediate_size", a->ffn);
    cJSON_AddNumberToObject(json, "max_position_embeddings", a->positions);
    zo_rope_write(a, &rope_keys, json);
    cJSON_AddStringToObject(json, "hidden_act", zo_act_name(a->act));
    zo_config_add_float(json, "layer_norm_eps", a->norm_eps);
    zo_config_add_float(json, "initializer_range", a->init_std);
}

const zo_family zo_family_phi = {
    .name = "phi",
    .prefixes = prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "PhiForSequenceClassification",
    .lm_architecture = "PhiForCausalLM",
    .base_architecture = "PhiModel",
    .pad_row_zero = true,
    .read = config_read,
    .write = config_write,
};
