/* distilbert.c: DistilBERT (Sanh et al., arXiv 1910.01108): BERT's encoder without segments and pooler; relu
 * before the classifier. */
#include <cjson/cJSON.h>

#include "models/family.h"

static const char *const prefixes[] = {"distilbert.", "", NULL};

static const zo_name_row names[] = {
    {"embed.token", "embeddings.word_embeddings", true, ZO_STORED_PLAIN},
    {"embed.position", "embeddings.position_embeddings", true, ZO_STORED_PLAIN},
    {"embed.norm", "embeddings.LayerNorm", true, ZO_STORED_PLAIN},
    {"layer.#.attn.q", "transformer.layer.#.attention.q_lin", true, ZO_STORED_PLAIN},
    {"layer.#.attn.k", "transformer.layer.#.attention.k_lin", true, ZO_STORED_PLAIN},
    {"layer.#.attn.v", "transformer.layer.#.attention.v_lin", true, ZO_STORED_PLAIN},
    {"layer.#.attn.o", "transformer.layer.#.attention.out_lin", true, ZO_STORED_PLAIN},
    {"layer.#.attn.norm", "transformer.layer.#.sa_layer_norm", true, ZO_STORED_PLAIN},
    {"layer.#.mlp.up", "transformer.layer.#.ffn.lin1", true, ZO_STORED_PLAIN},
    {"layer.#.mlp.down", "transformer.layer.#.ffn.lin2", true, ZO_STORED_PLAIN},
    {"layer.#.mlp.norm", "transformer.layer.#.output_layer_norm", true, ZO_STORED_PLAIN},
    {"lm.dense", "vocab_transform", false, ZO_STORED_PLAIN},
    {"lm.norm", "vocab_layer_norm", false, ZO_STORED_PLAIN},
    {"lm.decoder", "vocab_projector", false, ZO_STORED_PLAIN},
    {"class.dense", "pre_classifier", false, ZO_STORED_PLAIN},
    {"class.out", "classifier", false, ZO_STORED_PLAIN},
    {0}};

static const zo_silent_row silent[] = {
    {"*embeddings.position_ids", ZO_SILENT_ALWAYS},
    {"qa_outputs", ZO_SILENT_ALWAYS},
    {"vocab_transform", ZO_SILENT_LM},
    {"vocab_layer_norm", ZO_SILENT_LM},
    {"vocab_projector", ZO_SILENT_LM},
    {"pre_classifier", ZO_SILENT_CLASS},
    {"classifier", ZO_SILENT_CLASS},
    {0}};

static void config_read(zo_config *c, zo_arch *a)
{
    zo_config_only_bool(c, "sinusoidal_pos_embds", false);
    a->layers = zo_config_int_or(c, "n_layers|num_hidden_layers", 6, 1, 1000);
    a->hidden = a->embed = zo_config_int_or(c, "dim|hidden_size", 768, 1, 1 << 20);
    a->heads = a->kv_heads = zo_config_int_or(c, "n_heads|num_attention_heads", 12, 1, 4096);
    a->head_dim = a->hidden / a->heads;
    a->ffn = zo_config_int_or(c, "hidden_dim", 3072, 1, 1 << 22);
    a->vocab = zo_config_int_or(c, "vocab_size", 30522, 1, 1 << 24);
    a->positions = zo_config_int_or(c, "max_position_embeddings", 512, 1, 1 << 24);
    a->norm_eps = 1e-12f; /* fixed in the reference implementation; no key */
    a->act = a->head_act = zo_config_act(c, "activation", ZO_ACT_GELU);
    a->tied = zo_config_bool_or(c, "tie_word_embeddings", zo_config_bool_or(c, "tie_weights_", true));
    a->init_std = (float)zo_config_real_or(c, "initializer_range", 0.02, 0, 10);
    a->bos = zo_config_token(c, "bos_token_id", -1);
    a->eos = zo_config_token(c, "eos_token_id", -1);
    a->pad = zo_config_token(c, "pad_token_id", 0);
    a->learned_positions = a->embed_norm = a->attn_bias = a->attn_out_bias = a->mlp_bias = true;
    a->norm = ZO_LAYERNORM;
    a->head_transform = a->head_bias = true;
    a->class_head = ZO_CLASS_DENSE_RELU;
}

static void config_write(const zo_arch *a, cJSON *json)
{
    cJSON_AddNumberToObject(json, "n_layers", a->layers);
    cJSON_AddNumberToObject(json, "dim", a->hidden);
    cJSON_AddNumberToObject(json, "n_heads", a->heads);
    cJSON_AddNumberToObject(json, "hidden_dim", a->ffn);
    cJSON_AddNumberToObject(json, "max_position_embeddings", a->positions);
    cJSON_AddBoolToObject(json, "sinusoidal_pos_embds", false);
    cJSON_AddStringToObject(json, "activation", zo_act_name(a->act));
    zo_config_add_float(json, "initializer_range", a->init_std);
}

const zo_family zo_family_distilbert = {
    .name = "distilbert",
    .prefixes = prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "DistilBertForSequenceClassification",
    .lm_architecture = "DistilBertForMaskedLM",
    .base_architecture = "DistilBertModel",
    .pad_row_zero = true,
    .read = config_read,
    .write = config_write,
};
