/* gpt_neo.c: GPT-Neo (Black et al., 2021): GPT-2 with layers that see a window alone in turn with layers that see everything, scores that are not
 * scaled by the head's size, and no biases of queries, keys and values. */
#include <cjson/cJSON.h>
#include <string.h>

#include "models/family.h"

static const char *const prefixes[] = {"transformer.", "", NULL};

static const zo_name_row names[] = {{"embed.token", "wte", true, ZO_STORED_PLAIN},
                                    {"embed.position", "wpe", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.norm", "h.#.ln_1", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.q", "h.#.attn.attention.q_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.k", "h.#.attn.attention.k_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.v", "h.#.attn.attention.v_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.o", "h.#.attn.attention.out_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.norm", "h.#.ln_2", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.up", "h.#.mlp.c_fc", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.down", "h.#.mlp.c_proj", true, ZO_STORED_PLAIN},
                                    {"final.norm", "ln_f", true, ZO_STORED_PLAIN},
                                    {"lm.decoder", "lm_head", false, ZO_STORED_PLAIN},
                                    {"class.out", "score", false, ZO_STORED_PLAIN},
                                    {0}};

static const zo_silent_row silent[] = {
    {"*h.#.attn.attention.bias", ZO_SILENT_ALWAYS}, /* the mask, causal or of the window, and what is put in its place */
    {"*h.#.attn.attention.masked_bias", ZO_SILENT_ALWAYS},
    {"qa_outputs", ZO_SILENT_ALWAYS},
    {"lm_head", ZO_SILENT_LM},
    {"score", ZO_SILENT_CLASS},
    {0}};

static const char types_key[] = "attention_types", everything[] = "global", near[] = "local";

/* One group of attention_types, [[type, ...], times], from layer `at` on. Returns the layer behind it. */
static int group_read(zo_config *c, const cJSON *group, zo_arch *a, int at)
{
    const cJSON *list = cJSON_GetArrayItem(group, 0), *times = cJSON_GetArrayItem(group, 1), *type;
    bool fits = cJSON_GetArraySize(group) == 2 && cJSON_IsArray(list) && cJSON_IsNumber(times) && times->valuedouble >= 0 && times->valuedouble <= ZO_MOST_LAYERS &&
                times->valuedouble == times->valueint;
    for (int i = 0; fits && i < times->valueint && at <= a->layers; i++) {
        cJSON_ArrayForEach(type, list)
        {
            const char *name = cJSON_IsString(type) ? type->valuestring : "";
            bool all = strcmp(name, everything) == 0;
            fits = fits && (all || strcmp(name, near) == 0);
            if (all && at < a->layers) {
                zo_arch_sees_all(a, at);
            }
            at++;
        }
    }
    if (!fits) {
        zo_config_fail(c, "key \"%s\" has a group that is no [[types], times]; types are \"%s\" and \"%s\"", types_key, everything, near);
    }
    return at;
}

static void types_read(zo_config *c, zo_arch *a)
{
    const cJSON *groups = cJSON_GetObjectItemCaseSensitive(c->json, types_key), *group;
    int layers = 0;
    if (groups == NULL || cJSON_IsNull(groups)) {
        for (layers = 0; layers < 24; layers++) { /* 12 times global and local */
            if (layers % 2 == 0 && layers < a->layers) {
                zo_arch_sees_all(a, layers);
            }
        }
    } else {
        cJSON_ArrayForEach(group, groups)
        {
            layers = c->status == ZO_OK ? group_read(c, group, a, layers) : layers;
        }
    }
    if (c->status == ZO_OK && layers != a->layers) {
        zo_config_fail(c, "key \"%s\" has types of %d layers%s; expected one for each of the %d", types_key, layers, layers > a->layers ? " or more" : "", a->layers);
    }
}

static void config_read(zo_config *c, zo_arch *a)
{
    a->layers = zo_config_int_or(c, "num_layers|num_hidden_layers", 24, 1, ZO_MOST_LAYERS);
    a->hidden = a->embed = zo_config_int_or(c, "hidden_size", 2048, 1, 1 << 20);
    a->heads = a->kv_heads = zo_config_int_or(c, "num_heads|num_attention_heads", 16, 1, 4096);
    a->head_dim = a->hidden / a->heads;
    a->ffn = zo_config_int_or(c, "intermediate_size", 4 * a->hidden, 1, 1 << 22);
    a->vocab = zo_config_int_or(c, "vocab_size", 50257, 1, 1 << 24);
    a->positions = zo_config_int_or(c, "max_position_embeddings", 2048, 1, 1 << 24);
    a->window = zo_config_int_or(c, "window_size", 256, 1, 1 << 24);
    types_read(c, a);
    a->attn_scale = 1;
    a->norm_eps = (float)zo_config_real_or(c, "layer_norm_epsilon", 1e-5, 0, 1);
    a->act = zo_config_act(c, "activation_function", ZO_ACT_GELU_TANH);
    a->tied = zo_config_bool_or(c, "tie_word_embeddings", true);
    a->init_std = (float)zo_config_real_or(c, "initializer_range", 0.02, 0, 10);
    a->bos = zo_config_token(c, "bos_token_id", 50256);
    a->eos = zo_config_token(c, "eos_token_id", 50256);
    a->pad = zo_config_token(c, "pad_token_id", -1);
    a->causal = a->norm_first = a->final_norm = a->learned_positions = a->attn_out_bias = a->mlp_bias = true;
    a->norm = ZO_LAYERNORM;
    a->class_head = ZO_CLASS_LAST_TOKEN;
}

static void config_write(const zo_arch *a, cJSON *json)
{
    cJSON_AddNumberToObject(json, "num_layers", a->layers);
    cJSON_AddNumberToObject(json, "hidden_size", a->hidden);
    cJSON_AddNumberToObject(json, "num_heads", a->heads);
    cJSON_AddNumberToObject(json, "intermediate_size", a->ffn);
    cJSON_AddNumberToObject(json, "max_position_embeddings", a->positions);
    cJSON_AddNumberToObject(json, "window_size", a->window);
    cJSON *groups = cJSON_AddArrayToObject(json, types_key), *group = cJSON_CreateArray(), *list = cJSON_CreateArray();
    for (int l = 0; l < a->layers; l++) {
        cJSON_AddItemToArray(list, cJSON_CreateString(zo_arch_window(a, l) > 0 ? near : everything));
    }
    cJSON_AddItemToArray(group, list);
    cJSON_AddItemToArray(group, cJSON_CreateNumber(1));
    cJSON_AddItemToArray(groups, group);
    cJSON_AddStringToObject(json, "activation_function", zo_act_name(a->act));
    zo_config_add_float(json, "layer_norm_epsilon", a->norm_eps);
    zo_config_add_float(json, "initializer_range", a->init_std);
}

const zo_family zo_family_gpt_neo = {
    .name = "gpt_neo",
    .prefixes = prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "GPTNeoForSequenceClassification",
    .lm_architecture = "GPTNeoForCausalLM",
    .base_architecture = "GPTNeoModel",
    .read = config_read,
    .write = config_write,
};
