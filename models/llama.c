/* llama.c: LLaMA (Touvron et al., arXiv 2302.13971): RMSNorm, rotary positions (plain, linear or llama3-scaled),
 * grouped-query attention, gated SiLU; and what the families built like it share (llama_like.h). */
#include "models/llama_like.h"

#include <cjson/cJSON.h>
#include <string.h>

const char *const zo_llama_prefixes[] = {"model.", "", NULL};

static const zo_name_row names[] = {ZO_LLAMA_NAMES, {0}};
static const zo_silent_row silent[] = {ZO_LLAMA_SILENT, {0}};

static const zo_rope_keys whole = {.theta = "rope_theta", .base = 10000};

void zo_llama_read(zo_config *c, zo_arch *a, const zo_llama_defaults *d)
{
    if (d->rope == NULL && zo_config_real_or(c, "partial_rotary_factor", 1, 0, 1) != 1) {
        zo_config_fail(c, "key \"partial_rotary_factor\" is not 1, which is not supported");
    }
    a->layers = zo_config_int_or(c, "num_hidden_layers", d->layers, 1, 1000);
    a->hidden = a->embed = zo_config_int_or(c, "hidden_size", d->hidden, 1, 1 << 20);
    a->heads = zo_config_int_or(c, "num_attention_heads", d->heads, 1, 4096);
    int kv_heads = d->kv_heads == 0 || zo_config_is_null(c, "num_key_value_heads") ? a->heads : d->kv_heads;
    a->kv_heads = zo_config_int_or(c, "num_key_value_heads", kv_heads, 1, 4096);
    if (a->hidden % a->heads != 0) {
        zo_config_fail(c, "key \"hidden_size\" is %d; expected a multiple of the %d attention heads", a->hidden,
                       a->heads);
    }
    a->head_dim = zo_config_int_or(c, "head_dim", d->head_dim == 0 ? a->hidden / a->heads : d->head_dim, 1, 1 << 16);
    a->ffn = zo_config_int_or(c, "intermediate_size", d->ffn, 1, 1 << 22);
    a->vocab = zo_config_int_or(c, "vocab_size", d->vocab, 1, 1 << 24);
    a->positions = zo_config_int_or(c, "max_position_embeddings", d->positions, 1, 1 << 24); /* early LLaMAs have max_sequence_length, which nobody reads */
    zo_rope_read(c, a, d->rope != NULL ? d->rope : &whole);
    a->norm_eps = (float)zo_config_real_or(c, "rms_norm_eps", d->norm_eps, 0, 1);
    a->act = zo_config_act(c, d->act_key, d->act);
    a->tied = zo_config_bool_or(c, "tie_word_embeddings", d->tied);
    a->init_std = (float)zo_config_real_or(c, "initializer_range", 0.02, 0, 10);
    a->bos = zo_config_token(c, "bos_token_id", d->bos);
    a->eos = zo_config_token(c, "eos_token_id", d->eos);
    a->pad = zo_config_token(c, "pad_token_id", d->pad);
    a->causal = a->norm_first = a->final_norm = a->gated = true;
    a->norm = ZO_RMSNORM;
    a->class_head = ZO_CLASS_LAST_TOKEN;
}

void zo_llama_write(const zo_arch *a, const zo_llama_defaults *d, cJSON *json)
{
    cJSON_AddNumberToObject(json, "num_hidden_layers", a->layers);
    cJSON_AddNumberToObject(json, "hidden_size", a->hidden);
    cJSON_AddNumberToObject(json, "num_attention_heads", a->heads);
    cJSON_AddNumberToObject(json, "num_key_value_heads", a->kv_heads);
    cJSON_AddNumberToObject(json, "head_dim", a->head_dim);
    cJSON_AddNumberToObject(json, "intermediate_size", a->ffn);
    cJSON_AddNumberToObject(json, "max_position_embeddings", a->positions);
    zo_rope_write(a, d->rope != NULL ? d->rope : &whole, json);
    cJSON_AddStringToObject(json, d->act_key, zo_act_name(a->act));
    zo_config_add_float(json, "rms_norm_eps", a->norm_eps);
    zo_config_add_float(json, "initializer_range", a->init_std);
}

void zo_llama_window_read(zo_config *c, zo_arch *a, int fallback)
{
    a->window = zo_config_int_or(c, "sliding_window", zo_config_is_null(c, "sliding_window") ? 0 : fallback, 1, 1 << 24);
}

static const char full[] = "full_attention", sliding[] = "sliding_attention";

void zo_llama_layer_types_read(zo_config *c, zo_arch *a, bool (*slides)(int layer, int first), int first)
{
    const cJSON *types = cJSON_GetObjectItemCaseSensitive(c->json, "layer_types");
    bool given = types != NULL && !cJSON_IsNull(types);
    if (given && cJSON_GetArraySize(types) != a->layers) {
        zo_config_fail(c, "key \"layer_types\" is no list of %d types; expected one for each layer", a->layers);
        return;
    }
    for (int l = 0; l < a->layers && c->status == ZO_OK; l++) {
        const cJSON *type = given ? cJSON_GetArrayItem(types, l) : NULL;
        const char *name = cJSON_IsString(type) ? type->valuestring : "";
        bool near = given ? strcmp(name, sliding) == 0 : a->window > 0 && slides(l, first);
        if (given && !near && strcmp(name, full) != 0) {
            zo_config_fail(c, "key \"layer_types\" has \"%.40s\" for layer %d; supported are %s and %s", name, l, full, sliding);
        } else if (near && a->window == 0) {
            zo_config_fail(c, "key \"layer_types\" has %s for layer %d, and there is no sliding_window", sliding, l);
        } else if (!near) {
            zo_arch_sees_all(a, l);
        }
    }
}

void zo_llama_window_write(const zo_arch *a, cJSON *json)
{
    if (a->window > 0) {
        cJSON_AddNumberToObject(json, "sliding_window", a->window);
    } else {
        cJSON_AddNullToObject(json, "sliding_window");
    }
}

void zo_llama_layer_types_write(const zo_arch *a, cJSON *json)
{
    cJSON *types = cJSON_AddArrayToObject(json, "layer_types");
    for (int l = 0; l < a->layers; l++) {
        cJSON_AddItemToArray(types, cJSON_CreateString(zo_arch_window(a, l) > 0 ? sliding : full));
    }
}

static const zo_llama_defaults defaults = {.layers = 32, .hidden = 4096, .heads = 32, .ffn = 11008, .vocab = 32000, .positions = 2048, .norm_eps = 1e-6,
                                           .act_key = "hidden_act", .act = ZO_ACT_SILU, .bos = 1, .eos = 2, .pad = -1};

static void config_read(zo_config *c, zo_arch *a)
{
    zo_config_only_empty(c, "sliding_window");
    zo_config_only_bool(c, "use_sliding_window", false);
    zo_llama_read(c, a, &defaults);
    a->attn_bias = a->attn_out_bias = zo_config_bool_or(c, "attention_bias", false);
    a->mlp_bias = zo_config_bool_or(c, "mlp_bias", false);
}

static void config_write(const zo_arch *a, cJSON *json)
{
    zo_llama_write(a, &defaults, json);
    cJSON_AddBoolToObject(json, "attention_bias", a->attn_bias);
    cJSON_AddBoolToObject(json, "mlp_bias", a->mlp_bias);
}

const zo_family zo_family_llama = {
    .name = "llama",
    .prefixes = zo_llama_prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "LlamaForSequenceClassification",
    .lm_architecture = "LlamaForCausalLM",
    .base_architecture = "LlamaModel",
    .pad_row_zero = true,
    .read = config_read,
    .write = config_write,
};
