/* gpt_neox.c: GPT-NeoX (Black et al., arXiv 2204.06745) and Pythia (Biderman et al., arXiv 2304.01373): pre-norm decoder whose attention and MLP
 * both read the block's input (use_parallel_residual) or follow each other, rotary positions on a part of each head, q, k and v in one matrix,
 * head by head. */
#include <cjson/cJSON.h>

#include "models/family.h"
#include "models/rope.h"

static const char *const prefixes[] = {"gpt_neox.", "", NULL};

static const zo_name_row names[] = {{"embed.token", "embed_in", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.norm", "layers.#.input_layernorm", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.q", "layers.#.attention.query_key_value", true, ZO_STORED_HEADS},
                                    {"layer.#.attn.k", "layers.#.attention.query_key_value", true, ZO_STORED_HEADS},
                                    {"layer.#.attn.v", "layers.#.attention.query_key_value", true, ZO_STORED_HEADS},
                                    {"layer.#.attn.o", "layers.#.attention.dense", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.norm", "layers.#.post_attention_layernorm", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.up", "layers.#.mlp.dense_h_to_4h", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.down", "layers.#.mlp.dense_4h_to_h", true, ZO_STORED_PLAIN},
                                    {"final.norm", "final_layer_norm", true, ZO_STORED_PLAIN},
                                    {"lm.decoder", "embed_out|lm_head", false, ZO_STORED_PLAIN},
                                    {"class.out", "score", false, ZO_STORED_PLAIN},
                                    {0}};

static const zo_silent_row silent[] = {
    {"*layers.#.attention.bias", ZO_SILENT_ALWAYS}, /* the causal mask, and what is put in its place */
    {"*layers.#.attention.masked_bias", ZO_SILENT_ALWAYS},
    {"*layers.#.attention.rotary_emb.inv_freq", ZO_SILENT_ALWAYS}, /* RoPE's frequencies, which follow from config.json */
    {"*rotary_emb.inv_freq", ZO_SILENT_ALWAYS},
    {"qa_outputs", ZO_SILENT_ALWAYS},
    {"embed_out", ZO_SILENT_LM},
    {"lm_head", ZO_SILENT_LM},
    {"score", ZO_SILENT_CLASS},
    {0}};

static const zo_rope_keys rope_keys = {.theta = "rotary_emb_base", .base = 10000, .share = "rotary_pct", .part = 0.25};

static void config_read(zo_config *c, zo_arch *a)
{
    a->layers = zo_config_int_or(c, "num_hidden_layers", 44, 1, 1000);
    a->hidden = a->embed = zo_config_int_or(c, "hidden_size", 6144, 1, 1 << 20);
    a->heads = a->kv_heads = zo_config_int_or(c, "num_attention_heads", 64, 1, 4096);
    zo_config_heads_share(c, a);
    a->ffn = zo_config_int_or(c, "intermediate_size", 24576, 1, 1 << 22);
    a->vocab = zo_config_int_or(c, "vocab_size", 50432, 1, 1 << 24);
    a->positions = zo_config_int_or(c, "max_position_embeddings", 2048, 1, 1 << 24);
    zo_rope_read(c, a, &rope_keys);
    a->norm_eps = (float)zo_config_real_or(c, "layer_norm_eps", 1e-5, 0, 1);
    a->act = zo_config_act(c, "hidden_act", ZO_ACT_GELU);
    a->parallel = zo_config_bool_or(c, "use_parallel_residual", true);
    a->attn_bias = a->attn_out_bias = zo_config_bool_or(c, "attention_bias", true);
    a->tied = zo_config_bool_or(c, "tie_word_embeddings", false);
    a->init_std = (float)zo_config_real_or(c, "initializer_range", 0.02, 0, 10);
    a->bos = zo_config_token(c, "bos_token_id", 0);
    a->eos = zo_config_token(c, "eos_token_id", 2);
    a->pad = zo_config_token(c, "pad_token_id", -1);
    a->causal = a->norm_first = a->final_norm = a->mlp_bias = true;
    a->norm = ZO_LAYERNORM;
    a->class_head = ZO_CLASS_LAST_TOKEN;
}

static void config_write(const zo_arch *a, cJSON *json)
{
    cJSON_AddNumberToObject(json, "num_hidden_layers", a->layers);
    cJSON_AddNumberToObject(json, "hidden_size", a->hidden);
    cJSON_AddNumberToObject(json, "num_attention_heads", a->heads);
    cJSON_AddNumberToObject(json, "intermediate_size", a->ffn);
    cJSON_AddNumberToObject(json, "max_position_embeddings", a->positions);
    zo_rope_write(a, &rope_keys, json);
    cJSON_AddStringToObject(json, "hidden_act", zo_act_name(a->act));
    cJSON_AddBoolToObject(json, "use_parallel_residual", a->parallel);
    cJSON_AddBoolToObject(json, "attention_bias", a->attn_bias);
    zo_config_add_float(json, "layer_norm_eps", a->norm_eps);
    zo_config_add_float(json, "initializer_range", a->init_std);
}

const zo_family zo_family_gpt_neox = {
    .name = "gpt_neox",
    .prefixes = prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "GPTNeoXForSequenceClassification",
    .lm_architecture = "GPTNeoXForCausalLM",
    .base_architecture = "GPTNeoXModel",
    .read = config_read,
    .write = config_write,
};
