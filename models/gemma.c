/* gemma.c: Gemma (arXiv 2403.08295): LLaMA with norms that multiply by 1 + w, embeddings times the root of their width, GELU in the gated MLP, a
 * tied decoder and a head size of its own; and what Gemma 2 (gemma2.c) shares with it. */
#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "models/llama_like.h"

static const zo_name_row names[] = {ZO_LLAMA_NAMES, {0}};
static const zo_silent_row silent[] = {ZO_LLAMA_SILENT, {0}};

static const zo_llama_defaults defaults = {.layers = 28, .hidden = 3072, .heads = 16, .kv_heads = 16, .head_dim = 256, .ffn = 24576, .vocab = 256000,
                                           .positions = 8192, .norm_eps = 1e-6, .act_key = "hidden_act", .act = ZO_ACT_GELU_TANH, .tied = true,
                                           .bos = 2, .eos = 1, .pad = 0};

void zo_gemma_read(zo_config *c, zo_arch *a, const zo_llama_defaults *d)
{
    zo_config_only_bool(c, "use_bidirectional_attention", false);
    zo_llama_read(c, a, d);
    a->attn_bias = a->attn_out_bias = zo_config_bool_or(c, "attention_bias", false);
    a->norm = ZO_RMSNORM_ONE;
    a->embed_scale = sqrt((double)a->hidden);
}

static void config_read(zo_config *c, zo_arch *a)
{
    zo_gemma_read(c, a, &defaults);
    const cJSON *act = cJSON_GetObjectItemCaseSensitive(c->json, "hidden_act");
    if (cJSON_IsString(act) && strcmp(act->valuestring, "gelu") == 0) { /* early files of the release say so, and mean the tanh form */
        a->act = ZO_ACT_GELU_TANH;
    }
}

static void config_write(const zo_arch *a, cJSON *json)
{
    zo_llama_write(a, &defaults, json);
    if (a->act == ZO_ACT_GELU) { /* the exact form by the name that is not read as the tanh form */
        cJSON_ReplaceItemInObjectCaseSensitive(json, "hidden_act", cJSON_CreateString("gelu_python"));
    }
    cJSON_AddBoolToObject(json, "attention_bias", a->attn_bias);
}

const zo_family zo_family_gemma = {
    .name = "gemma",
    .prefixes = zo_llama_prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "GemmaForSequenceClassification",
    .lm_architecture = "GemmaForCausalLM",
    .base_architecture = "GemmaModel",
    .pad_row_zero = true,
    .read = config_read,
    .write = config_write,
};
