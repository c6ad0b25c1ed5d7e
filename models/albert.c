/* albert.c: ALBERT (Lan et al., arXiv 1909.11942): BERT whose layers share their parameters, all of them or in groups, behind factorised embeddings. */
#include <cjson/cJSON.h>

#include "models/bert_encoder.h"

static const char *const prefixes[] = {"albert.", "", NULL};

#define LAYER "encoder.albert_layer_groups.#.albert_layers.0."
static const zo_name_row names[] = {
    {"embed.token", "embeddings.word_embeddings", true, ZO_STORED_PLAIN},
    {"embed.position", "embeddings.position_embeddings", true, ZO_STORED_PLAIN},
    {"embed.type", "embeddings.token_type_embeddings", true, ZO_STORED_PLAIN},
    {"embed.norm", "embeddings.LayerNorm", true, ZO_STORED_PLAIN},
    {"embed.in", "encoder.embedding_hidden_mapping_in", true, ZO_STORED_PLAIN},
    {"layer.#.attn.q", LAYER "attention.query", true, ZO_STORED_PLAIN},
    {"layer.#.attn.k", LAYER "attention.key", true, ZO_STORED_PLAIN},
    {"layer.#.attn.v", LAYER "attention.value", true, ZO_STORED_PLAIN},
    {"layer.#.attn.o", LAYER "attention.dense", true, ZO_STORED_PLAIN},
    {"layer.#.attn.norm", LAYER "attention.LayerNorm", true, ZO_STORED_PLAIN},
    {"layer.#.mlp.up", LAYER "ffn", true, ZO_STORED_PLAIN},
    {"layer.#.mlp.down", LAYER "ffn_output", true, ZO_STORED_PLAIN},
    {"layer.#.mlp.norm", LAYER "full_layer_layer_norm", true, ZO_STORED_PLAIN},
    {"lm.dense", "predictions.dense", false, ZO_STORED_PLAIN},
    {"lm.norm", "predictions.LayerNorm", false, ZO_STORED_PLAIN},
    {"lm.decoder.weight", "predictions.decoder.weight", false, ZO_STORED_PLAIN},
    {"lm.decoder.bias", "predictions.decoder.bias&predictions.bias", false, ZO_STORED_PLAIN},
    {"class.dense", "pooler", true, ZO_STORED_PLAIN},
    {"class.out", "classifier", false, ZO_STORED_PLAIN},
    {0}};

static const zo_silent_row silent[] = {
    ZO_BERT_ENCODER_SILENT,
    {"*pooler", ZO_SILENT_CLASS},
    {"sop_classifier", ZO_SILENT_ALWAYS}, /* the head of the order of sentences */
    {"predictions", ZO_SILENT_LM},
    {"classifier", ZO_SILENT_CLASS},
    {0}};

static const zo_bert_defaults defaults = {.vocab = 30000, .hidden = 4096, .heads = 64, .ffn = 16384, .act = ZO_ACT_GELU_TANH};

static void config_read(zo_config *c, zo_arch *a)
{
    int inner = zo_config_int_or(c, "inner_group_num", 1, 1, ZO_MOST_LAYERS);
    if (inner != 1) {
        zo_config_fail(c, "key \"inner_group_num\" is %d, and only 1 is supported; use a model where it is 1", inner);
    }
    zo_bert_encoder_read(c, a, &defaults);
    a->embed = zo_config_int_or(c, "embedding_size", 128, 1, 1 << 20);
    a->groups = zo_config_int_or(c, "num_hidden_groups", 1, 1, ZO_MOST_LAYERS);
    if (a->groups > a->layers) {
        zo_config_fail(c, "key \"num_hidden_groups\" is %d; expected at most the %d layers; make it smaller", a->groups, a->layers);
    }
    a->factorised = true;
    a->head_act = a->act;
    a->bos = zo_config_token(c, "bos_token_id", 2);
    a->eos = zo_config_token(c, "eos_token_id", 3);
    a->pad = zo_config_token(c, "pad_token_id", 0);
    a->class_head = ZO_CLASS_POOLER;
}

static void config_write(const zo_arch *a, cJSON *json)
{
    zo_bert_encoder_write(a, json);
    cJSON_AddNumberToObject(json, "embedding_size", a->embed);
    cJSON_AddNumberToObject(json, "num_hidden_groups", a->groups);
    cJSON_AddNumberToObject(json, "inner_group_num", 1);
}

const zo_family zo_family_albert = {
    .name = "albert",
    .prefixes = prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "AlbertForSequenceClassification",
    .lm_architecture = "AlbertForMaskedLM",
    .base_architecture = "AlbertModel",
    .pad_row_zero = true,
    .read = config_read,
    .write = config_write,
};
