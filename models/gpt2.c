/* gpt2.c: GPT-2 (Radford et al., 2019): pre-norm decoder, learned positions, Conv1D weights (in, out), fused
 * c_attn. */
#include <cjson/cJSON.h>

#include "models/family.h"

static const char *const prefixes[] = {"transformer.", "", NULL};

static const zo_name_row names[] = {{"embed.token", "wte", true, ZO_STORED_PLAIN},
                                    {"embed.position", "wpe", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.norm", "h.#.ln_1", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.q", "h.#.attn.c_attn", true, ZO_STORED_CONV1D},
                                    {"layer.#.attn.k", "h.#.attn.c_attn", true, ZO_STORED_CONV1D},
                                    {"layer.#.attn.v", "h.#.attn.c_attn", true, ZO_STORED_CONV1D},
                                    {"layer.#.attn.o", "h.#.attn.c_proj", true, ZO_STORED_CONV1D},
                                    {"layer.#.mlp.norm", "h.#.ln_2", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.up", "h.#.mlp.c_fc", true, ZO_STORED_CONV1D},
                                    {"layer.#.mlp.down", "h.#.mlp.c_proj", true, ZO_STORED_CONV1D},
                                    {"final.norm", "ln_f", true, ZO_STORED_PLAIN},
                                    {"lm.decoder", "lm_head", false, ZO_STORED_PLAIN},
                                    {"class.out", "score", false, ZO_STORED_PLAIN},
                                    {0}};

static const zo_silent_row silent[] = {
    {"*h.#.attn.bias", ZO_SILENT_ALWAYS}, /* the causal mask, and what is put in its place */
    {"*h.#.attn.masked_bias", ZO_SILENT_ALWAYS},
    {"multiple_choice_head", ZO_SILENT_ALWAYS},
    {"qa_outputs", ZO_SILENT_ALWAYS},
    {"lm_head", ZO_SILENT_LM},
    {"score", ZO_SILENT_CLASS},
    {0}};

static void config_read(zo_config *c, zo_arch *a)
{
    zo_config_only_bool(c, "scale_attn_weights", true);
    zo_config_only_bool(c, "scale_attn_by_inverse_layer_idx", false);
    a->layers = zo_config_int_or(c, "n_layer|num_hidden_layers", 12, 1, 1000);
    a->hidden = a->embed = zo_config_int_or(c, "n_embd|hidden_size", 768, 1, 1 << 20);
    a->heads = a->kv_heads = zo_config_int_or(c, "n_head|num_attention_heads", 12, 1, 4096);
    a->head_dim = a->hidden / a->heads;
    a->ffn = zo_config_int_or(c, "n_inner", 4 * a->hidden, 1, 1 << 22);
    a->vocab = zo_config_int_or(c, "vocab_size", 50257, 1, 1 << 24);
    a->positions = zo_config_int_or(c, "n_positions|max_position_embeddings", 1024, 1, 1 << 24);
    a->norm_eps = (float)zo_config_real_or(c, "layer_norm_epsilon", 1e-5, 0, 1);
    a->act = zo_config_act(c, "activation_function", ZO_ACT_GELU_TANH);
    a->tied = zo_config_bool_or(c, "tie_word_embeddings", true);
    a->init_std = (float)zo_config_real_or(c, "initializer_range", 0.02, 0, 10);
    a->bos = zo_config_token(c, "bos_token_id", 50256);
    a->eos = zo_config_token(c, "eos_token_id", 50256);
    a->pad = zo_config_token(c, "pad_token_id", -1);
    a->causal = a->norm_first = a->final_norm = a->learned_positions = true;
    a->attn_bias = a->attn_out_bias = a->mlp_bias = true;
    a->norm = ZO_LAYERNORM;
    a->class_head = ZO_CLASS_LAST_TOKEN;
}

static void config_write(const zo_arch *a, cJSON *json)
{
    cJSON_AddNumberToObject(json, "n_layer", a->layers);
    cJSON_AddNumberToObject(json, "n_embd", a->hidden);
    cJSON_AddNumberToObject(json, "n_head", a->heads);
    cJSON_AddNumberToObject(json, "n_inner", a->ffn);
    cJSON_AddNumberToObject(json, "n_positions", a->positions);
    cJSON_AddStringToObject(json, "activation_function", zo_act_name(a->act));
    zo_config_add_float(json, "layer_norm_epsilon", a->norm_eps);
    zo_config_add_float(json, "initializer_range", a->init_std);
}

const zo_family zo_family_gpt2 = {
    .name = "gpt2",
    .prefixes = prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "GPT2ForSequenceClassification",
    .lm_architecture = "GPT2LMHeadModel",
    .base_architecture = "GPT2Model",
    .scaled_residual_init = true,
    .read = config_read,
    .write = config_write,
};
