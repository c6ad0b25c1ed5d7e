/* opt.c: OPT (Zhang et al., arXiv 2205.01068): pre-norm decoder, learned positions from row 2, relu; the 350M is
 * post-norm without a final norm and projects its embeddings in and out. */
#include <cjson/cJSON.h>

#include "models/family.h"

static const char *const prefixes[] = {"model.decoder.", "decoder.", "", NULL};

static const zo_name_row names[] = {{"embed.token", "embed_tokens", true, ZO_STORED_PLAIN},
                                    {"embed.position", "embed_positions", true, ZO_STORED_PLAIN},
                                    {"embed.in", "project_in", true, ZO_STORED_PLAIN},
                                    {"embed.out", "project_out", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.q", "layers.#.self_attn.q_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.k", "layers.#.self_attn.k_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.v", "layers.#.self_attn.v_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.o", "layers.#.self_attn.out_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.norm", "layers.#.self_attn_layer_norm", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.up", "layers.#.fc1", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.down", "layers.#.fc2", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.norm", "layers.#.final_layer_norm", true, ZO_STORED_PLAIN},
                                    {"final.norm", "final_layer_norm", true, ZO_STORED_PLAIN},
                                    {"lm.decoder", "lm_head", false, ZO_STORED_PLAIN},
                                    {"class.out", "score", false, ZO_STORED_PLAIN},
                                    {0}};

static const zo_silent_row silent[] = {
    {"qa_outputs", ZO_SILENT_ALWAYS},
    {"*decoder.version", ZO_SILENT_ALWAYS}, /* fairseq's, in early files */
    {"lm_head", ZO_SILENT_LM},
    {"score", ZO_SILENT_CLASS},
    {0}};

static void config_read(zo_config *c, zo_arch *a)
{
    zo_config_only_bool(c, "layer_norm_elementwise_affine", true);
    a->layers = zo_config_int_or(c, "num_hidden_layers", 12, 1, 1000);
    a->hidden = zo_config_int_or(c, "hidden_size", 768, 1, 1 << 20);
    a->embed = zo_config_int_or(c, "word_embed_proj_dim", a->hidden, 1, 1 << 20);
    a->heads = a->kv_heads = zo_config_int_or(c, "num_attention_heads", 12, 1, 4096);
    a->head_dim = a->hidden / a->heads;
    a->ffn = zo_config_int_or(c, "ffn_dim", 3072, 1, 1 << 22);
    a->vocab = zo_config_int_or(c, "vocab_size", 50272, 1, 1 << 24);
    a->positions = zo_config_int_or(c, "max_position_embeddings", 2048, 1, 1 << 24);
    a->position_offset = 2;
    a->norm_first = zo_config_bool_or(c, "do_layer_norm_before", true);
    a->final_norm = a->norm_first && !zo_config_bool_or(c, "_remove_final_layer_norm", false);
    a->norm_eps = 1e-5f; /* torch's default; no key */
    a->act = zo_config_act(c, "activation_function", ZO_ACT_RELU);
    a->attn_bias = a->attn_out_bias = a->mlp_bias = zo_config_bool_or(c, "enable_bias", true);
    a->tied = zo_config_bool_or(c, "tie_word_embeddings", true);
    a->init_std = (float)zo_config_real_or(c, "init_std", 0.02, 0, 10);
    a->bos = zo_config_token(c, "bos_token_id", 2);
    a->eos = zo_config_token(c, "eos_token_id", 2);
    a->pad = zo_config_token(c, "pad_token_id", 1);
    a->causal = a->learned_positions = true;
    a->norm = ZO_LAYERNORM;
    a->class_head = ZO_CLASS_LAST_TOKEN;
}

static void config_write(const zo_arch *a, cJSON *json)
{
    cJSON_AddNumberToObject(json, "num_hidden_layers", a->layers);
    cJSON_AddNumberToObject(json, "hidden_size", a->hidden);
    cJSON_AddNumberToObject(json, "word_embed_proj_dim", a->embed);
    cJSON_AddNumberToObject(json, "num_attention_heads", a->heads);
    cJSON_AddNumberToObject(json, "ffn_dim", a->ffn);
    cJSON_AddNumberToObject(json, "max_position_embeddings", a->positions);
    cJSON_AddBoolToObject(json, "do_layer_norm_before", a->norm_first);
    cJSON_AddBoolToObject(json, "_remove_final_layer_norm", a->norm_first && !a->final_norm);
    cJSON_AddBoolToObject(json, "enable_bias", a->mlp_bias);
    cJSON_AddStringToObject(json, "activation_function", zo_act_name(a->act));
    zo_config_add_float(json, "init_std", a->init_std);
}

const zo_family zo_family_opt = {
    .name = "opt",
    .prefixes = prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "OPTForSequenceClassification",
    .lm_architecture = "OPTForCausalLM",
    .base_architecture = "OPTModel",
    .pad_row_zero = true,
    .read = config_read,
    .write = config_write,
};
