/* roberta.c: RoBERTa (Liu et al., arXiv 1907.11692): BERT's encoder; positions start at pad + 1; its own heads. */
#include <cjson/cJSON.h>

#include "models/family.h"

static const char *const prefixes[] = {"roberta.", "", NULL};

static const zo_name_row names[] = {
    {"embed.token", "embeddings.word_embeddings", true, ZO_STORED_PLAIN},
    {"embed.position", "embeddings.position_embeddings", true, ZO_STORED_PLAIN},
    {"embed.type", "embeddings.token_type_embeddings", true, ZO_STORED_PLAIN},
    {"embed.norm", "embeddings.LayerNorm", true, ZO_STORED_PLAIN},
    {"layer.#.attn.q", "encoder.layer.#.attention.self.query", true, ZO_STORED_PLAIN},
    {"layer.#.attn.k", "encoder.layer.#.attention.self.key", true, ZO_STORED_PLAIN},
    {"layer.#.attn.v", "encoder.layer.#.attention.self.value", true, ZO_STORED_PLAIN},
    {"layer.#.attn.o", "encoder.layer.#.attention.output.dense", true, ZO_STORED_PLAIN},
    {"layer.#.attn.norm", "encoder.layer.#.attention.output.LayerNorm", true, ZO_STORED_PLAIN},
    {"layer.#.mlp.up", "encoder.layer.#.intermediate.dense", true, ZO_STORED_PLAIN},
    {"layer.#.mlp.down", "encoder.layer.#.output.dense", true, ZO_STORED_PLAIN},
    {"layer.#.mlp.norm", "encoder.layer.#.output.LayerNorm", true, ZO_STORED_PLAIN},
    {"lm.dense", "lm_head.dense", false, ZO_STORED_PLAIN},
    {"lm.norm", "lm_head.layer_norm", false, ZO_STORED_PLAIN},
    {"lm.decoder.weight", "lm_head.decoder.weight", false, ZO_STORED_PLAIN},
    {"lm.decoder.bias", "lm_head.bias|lm_head.decoder.bias", false, ZO_STORED_PLAIN},
    {"class.dense", "classifier.dense", false, ZO_STORED_PLAIN},
    {"class.out", "classifier.out_proj", false, ZO_STORED_PLAIN},
    {0}};

static void config_read(zo_config *c, zo_arch *a)
{
    zo_config_only_bool(c, "is_decoder", false);
    zo_config_only_text(c, "position_embedding_type", "absolute");
    a->layers = zo_config_int(c, "num_hidden_layers", 1, 1000);
    a->hidden = a->embed = zo_config_int(c, "hidden_size", 1, 1 << 20);
    a->heads = a->kv_heads = zo_config_int(c, "num_attention_heads", 1, 4096);
    a->head_dim = a->hidden / a->heads;
    a->ffn = zo_config_int(c, "intermediate_size", 1, 1 << 22);
    a->vocab = zo_config_int(c, "vocab_size", 1, 1 << 24);
    a->pad = zo_config_token(c, "pad_token_id", 1);
    if (a->pad < 0) {
        zo_config_fail(c, "key \"pad_token_id\" is negative; RoBERTa's positions start at pad_token_id + 1, so it "
                          "must be 0 or more");
        a->pad = 1;
    }
    a->position_offset = a->pad + 1;
    a->positions = zo_config_int(c, "max_position_embeddings", 1, 1 << 24) - a->position_offset;
    a->types = zo_config_int_or(c, "type_vocab_size", 2, 1, 1024);
    a->norm_eps = (float)zo_config_real_or(c, "layer_norm_eps", 1e-12, 0, 1);
    a->act = zo_config_act(c, "hidden_act", ZO_ACT_GELU);
    a->head_act = ZO_ACT_GELU;
    a->tied = zo_config_bool_or(c, "tie_word_embeddings", true);
    a->init_std = (float)zo_config_real_or(c, "initializer_range", 0.02, 0, 10);
    a->bos = zo_config_token(c, "bos_token_id", 0);
    a->eos = zo_config_token(c, "eos_token_id", 2);
    a->learned_positions = a->embed_norm = a->attn_bias = a->attn_out_bias = a->mlp_bias = true;
    a->norm = ZO_LAYERNORM;
    a->head_transform = a->head_bias = true;
    a->class_head = ZO_CLASS_DENSE_TANH;
}

static void config_write(const zo_arch *a, cJSON *json)
{
    cJSON_AddNumberToObject(json, "num_hidden_layers", a->layers);
    cJSON_AddNumberToObject(json, "hidden_size", a->hidden);
    cJSON_AddNumberToObject(json, "num_attention_heads", a->heads);
    cJSON_AddNumberToObject(json, "intermediate_size", a->ffn);
    cJSON_AddNumberToObject(json, "max_position_embeddings", a->positions + a->position_offset);
    cJSON_AddNumberToObject(json, "type_vocab_size", a->types);
    cJSON_AddStringToObject(json, "position_embedding_type", "absolute");
    cJSON_AddStringToObject(json, "hidden_act", zo_act_name(a->act));
    zo_config_add_float(json, "layer_norm_eps", a->norm_eps);
    zo_config_add_float(json, "initializer_range", a->init_std);
}

const zo_family zo_family_roberta = {
    .name = "roberta",
    .prefixes = prefixes,
    .names = names,
    .class_architecture = "RobertaForSequenceClassification",
    .lm_architecture = "RobertaForMaskedLM",
    .base_architecture = "RobertaModel",
    .pad_row_zero = true,
    .read = config_read,
    .write = config_write,
};
