/* bert.c: BERT (Devlin et al., arXiv 1810.04805): post-norm encoder, learned positions, two segments, pooler head.
 * The encoder's part of it is RoBERTa's too. */
#include <cjson/cJSON.h>

#include "models/bert_encoder.h"

static const char *const prefixes[] = {"bert.", "", NULL};

static const zo_name_row names[] = {
    ZO_BERT_ENCODER_NAMES,
    {"lm.dense", "cls.predictions.transform.dense", false, ZO_STORED_PLAIN},
    {"lm.norm", "cls.predictions.transform.LayerNorm", false, ZO_STORED_PLAIN},
    {"lm.decoder.weight", "cls.predictions.decoder.weight", false, ZO_STORED_PLAIN},
    {"lm.decoder.bias", "cls.predictions.decoder.bias&cls.predictions.bias", false, ZO_STORED_PLAIN},
    {"class.dense", "pooler.dense", true, ZO_STORED_PLAIN},
    {"class.out", "classifier", false, ZO_STORED_PLAIN},
    {0}};

static const zo_silent_row silent[] = {
    ZO_BERT_ENCODER_SILENT,
    {"*pooler", ZO_SILENT_CLASS},
    {"cls.seq_relationship", ZO_SILENT_ALWAYS}, /* the next-sentence head */
    {"cls", ZO_SILENT_LM},
    {"classifier", ZO_SILENT_CLASS},
    {0}};

void zo_bert_encoder_read(zo_config *c, zo_arch *a, const zo_bert_defaults *d)
{
    zo_config_only_bool(c, "is_decoder", false);
    zo_config_only_text(c, "position_embedding_type", "absolute");
    a->layers = zo_config_int_or(c, "num_hidden_layers", 12, 1, 1000);
    a->hidden = a->embed = zo_config_int_or(c, "hidden_size", d->hidden, 1, 1 << 20);
    a->heads = a->kv_heads = zo_config_int_or(c, "num_attention_heads", d->heads, 1, 4096);
    a->head_dim = a->hidden / a->heads;
    a->ffn = zo_config_int_or(c, "intermediate_size", d->ffn, 1, 1 << 22);
    a->vocab = zo_config_int_or(c, "vocab_size", d->vocab, 1, 1 << 24);
    a->positions = zo_config_int_or(c, "max_position_embeddings", 512, 1, 1 << 24);
    a->types = zo_config_int_or(c, "type_vocab_size", 2, 1, 1024);
    a->norm_eps = (float)zo_config_real_or(c, "layer_norm_eps", 1e-12, 0, 1);
    a->act = zo_config_act(c, "hidden_act", d->act);
    a->tied = zo_config_bool_or(c, "tie_word_embeddings", true);
    a->init_std = (float)zo_config_real_or(c, "initializer_range", 0.02, 0, 10);
    a->learned_positions = a->embed_norm = a->attn_bias = a->attn_out_bias = a->mlp_bias = true;
    a->norm = ZO_LAYERNORM;
    a->head_transform = a->head_bias = true;
}

static const zo_bert_defaults defaults = {.vocab = 30522, .hidden = 768, .heads = 12, .ffn = 3072, .act = ZO_ACT_GELU};

static void config_read(zo_config *c, zo_arch *a)
{
    zo_bert_encoder_read(c, a, &defaults);
    a->head_act = a->act;
    a->bos = zo_config_token(c, "bos_token_id", -1);
    a->eos = zo_config_token(c, "eos_token_id", -1);
    a->pad = zo_config_token(c, "pad_token_id", 0);
    a->class_head = ZO_CLASS_POOLER;
}

void zo_bert_encoder_write(const zo_arch *a, cJSON *json)
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

const zo_family zo_family_bert = {
    .name = "bert",
    .prefixes = prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "BertForSequenceClassification",
    .lm_architecture = "BertForMaskedLM",
    .base_architecture = "BertModel",
    .pad_row_zero = true,
    .read = config_read,
    .write = zo_bert_encoder_write,
};
