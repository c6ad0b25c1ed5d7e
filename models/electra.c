/* electra.c: ELECTRA (Clark et al., arXiv 2003.10555): BERT's encoder behind embeddings that may be narrower or wider than it. The generator has a
 * language-model head. A discriminator has none: what it was pretrained with says of each token whether it was replaced, and no prompt here asks
 * that. So it is for the form "head". */
#include <cjson/cJSON.h>

#include "models/bert_encoder.h"

static const char *const prefixes[] = {"electra.", "", NULL};

static const zo_name_row names[] = {
    ZO_BERT_ENCODER_NAMES,
    {"embed.in", "embeddings_project", true, ZO_STORED_PLAIN},
    {"lm.dense", "generator_predictions.dense", false, ZO_STORED_PLAIN},
    {"lm.norm", "generator_predictions.LayerNorm", false, ZO_STORED_PLAIN},
    {"lm.decoder", "generator_lm_head", false, ZO_STORED_PLAIN},
    {"class.dense", "classifier.dense", false, ZO_STORED_PLAIN},
    {"class.out", "classifier.out_proj", false, ZO_STORED_PLAIN},
    {0}};

static const zo_silent_row silent[] = {
    ZO_BERT_ENCODER_SILENT,
    {"discriminator_predictions", ZO_SILENT_ALWAYS}, /* was a token replaced? */
    {"sequence_summary", ZO_SILENT_ALWAYS},          /* of multiple choice */
    {"generator_predictions", ZO_SILENT_LM},
    {"generator_lm_head", ZO_SILENT_LM},
    {"classifier", ZO_SILENT_CLASS},
    {0}};

static const zo_bert_defaults defaults = {.vocab = 30522, .hidden = 256, .heads = 4, .ffn = 1024, .act = ZO_ACT_GELU};

static void config_read(zo_config *c, zo_arch *a)
{
    zo_bert_encoder_read(c, a, &defaults);
    a->embed = zo_config_int_or(c, "embedding_size", 128, 1, 1 << 20);
    a->factorised = a->embed != a->hidden;
    a->head_act = ZO_ACT_GELU; /* whatever hidden_act is */
    a->bos = zo_config_token(c, "bos_token_id", -1);
    a->eos = zo_config_token(c, "eos_token_id", -1);
    a->pad = zo_config_token(c, "pad_token_id", 0);
    a->class_head = ZO_CLASS_DENSE_GELU;
}

static void config_write(const zo_arch *a, cJSON *json)
{
    zo_bert_encoder_write(a, json);
    cJSON_AddNumberToObject(json, "embedding_size", a->embed);
}

const zo_family zo_family_electra = {
    .name = "electra",
    .prefixes = prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "ElectraForSequenceClassification",
    .lm_architecture = "ElectraForMaskedLM",
    .base_architecture = "ElectraModel",
    .pad_row_zero = true,
    .read = config_read,
    .write = config_write,
};
