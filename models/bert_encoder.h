/* bert_encoder.h: what bert.c and roberta.c share: the encoder's rows of the tables of names, and its keys of config.json. Private to
 * models/; the functions stand in bert.c. */
#ifndef ZO_MODELS_BERT_ENCODER_H
#define ZO_MODELS_BERT_ENCODER_H

#include "models/family.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows of zo_name_row. */
#define ZO_BERT_ENCODER_NAMES                                                                   \
    {"embed.token", "embeddings.word_embeddings", true, ZO_STORED_PLAIN},                       \
    {"embed.position", "embeddings.position_embeddings", true, ZO_STORED_PLAIN},                \
    {"embed.type", "embeddings.token_type_embeddings", true, ZO_STORED_PLAIN},                  \
    {"embed.norm", "embeddings.LayerNorm", true, ZO_STORED_PLAIN},                              \
    {"layer.#.attn.q", "encoder.layer.#.attention.self.query", true, ZO_STORED_PLAIN},          \
    {"layer.#.attn.k", "encoder.layer.#.attention.self.key", true, ZO_STORED_PLAIN},            \
    {"layer.#.attn.v", "encoder.layer.#.attention.self.value", true, ZO_STORED_PLAIN},          \
    {"layer.#.attn.o", "encoder.layer.#.attention.output.dense", true, ZO_STORED_PLAIN},        \
    {"layer.#.attn.norm", "encoder.layer.#.attention.output.LayerNorm", true, ZO_STORED_PLAIN}, \
    {"layer.#.mlp.up", "encoder.layer.#.intermediate.dense", true, ZO_STORED_PLAIN},            \
    {"layer.#.mlp.down", "encoder.layer.#.output.dense", true, ZO_STORED_PLAIN},                \
    {"layer.#.mlp.norm", "encoder.layer.#.output.LayerNorm", true, ZO_STORED_PLAIN}

/* Rows of zo_silent_row. */
#define ZO_BERT_ENCODER_SILENT {"*embeddings.position_ids", ZO_SILENT_ALWAYS}, {"qa_outputs", ZO_SILENT_ALWAYS}

/* What transformers takes for keys that are left out. */
typedef struct zo_bert_defaults { int vocab, hidden, heads, ffn; zo_act act; } zo_bert_defaults;

/* All but heads and special tokens; positions as max_position_embeddings has them. */
void zo_bert_encoder_read(zo_config *config, zo_arch *arch, const zo_bert_defaults *defaults);
void zo_bert_encoder_write(const zo_arch *arch, struct cJSON *json);

#ifdef __cplusplus
}
#endif
#endif
