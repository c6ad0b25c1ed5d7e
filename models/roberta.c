/* roberta.c: RoBERTa (Liu et al., arXiv 1907.11692): BERT's encoder; positions start at pad + 1 and count no pad token; its own heads. */
#include "models/bert_encoder.h"

static const char *const prefixes[] = {"roberta.", "", NULL};

static const zo_name_row names[] = {
    ZO_BERT_ENCODER_NAMES,
    {"lm.dense", "lm_head.dense", false, ZO_STORED_PLAIN},
    {"lm.norm", "lm_head.layer_norm", false, ZO_STORED_PLAIN},
    {"lm.decoder.weight", "lm_head.decoder.weight", false, ZO_STORED_PLAIN},
    {"lm.decoder.bias", "lm_head.decoder.bias&lm_head.bias", false, ZO_STORED_PLAIN},
    {"class.dense", "classifier.dense", false, ZO_STORED_PLAIN},
    {"class.out", "classifier.out_proj", false, ZO_STORED_PLAIN},
    {0}};

static const zo_silent_row silent[] = {
    ZO_BERT_ENCODER_SILENT,
    {"*pooler", ZO_SILENT_ALWAYS}, /* BERT's, which none of RoBERTa's heads reads */
    {"lm_head", ZO_SILENT_LM},
    {"classifier", ZO_SILENT_CLASS},
    {0}};

static const zo_bert_defaults defaults = {.vocab = 50265, .hidden = 768, .heads = 12, .ffn = 3072, .act = ZO_ACT_GELU};

static void config_read(zo_config *c, zo_arch *a)
{
    zo_bert_encoder_read(c, a, &defaults);
    a->pad = zo_config_token(c, "pad_token_id", 1);
    if (a->pad < 0) {
        zo_config_fail(c, "key \"pad_token_id\" is null or negative; RoBERTa's positions start at pad_token_id + 1, so it "
                          "must be 0 or more");
        a->pad = 1;
    }
    a->position_offset = a->pad + 1;
    a->positions -= a->position_offset;
    a->pad_skips = true;
    a->head_act = ZO_ACT_GELU;
    a->bos = zo_config_token(c, "bos_token_id", 0);
    a->eos = zo_config_token(c, "eos_token_id", 2);
    a->class_head = ZO_CLASS_DENSE_TANH;
}

const zo_family zo_family_roberta = {
    .name = "roberta",
    .prefixes = prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "RobertaForSequenceClassification",
    .lm_architecture = "RobertaForMaskedLM",
    .base_architecture = "RobertaModel",
    .pad_row_zero = true,
    .read = config_read,
    .write = zo_bert_encoder_write,
};
