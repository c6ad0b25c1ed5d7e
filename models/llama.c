/* llama.c: LLaMA 1 to 3 and what shares its architecture and model_type (SmolLM2, TinyLlama, ...): pre-norm
 * decoder, RMSNorm, rotary positions (plain, linear, llama3 scaling), grouped-query attention, gated SiLU. It does
 * not do: sliding windows, dynamic or YaRN scaling, partial rotary. */
#include <cjson/cJSON.h>
#include <string.h>

#include "models/family.h"

static const char *const prefixes[] = {"model.", "", NULL};

static const zo_name_row names[] = {
    {"embed.token", "embed_tokens", true, ZO_STORED_PLAIN},
    {"layer.#.attn.norm", "layers.#.input_layernorm", true, ZO_STORED_PLAIN},
    {"layer.#.attn.q", "layers.#.self_attn.q_proj", true, ZO_STORED_PLAIN},
    {"layer.#.attn.k", "layers.#.self_attn.k_proj", true, ZO_STORED_PLAIN},
    {"layer.#.attn.v", "layers.#.self_attn.v_proj", true, ZO_STORED_PLAIN},
    {"layer.#.attn.o", "layers.#.self_attn.o_proj", true, ZO_STORED_PLAIN},
    {"layer.#.mlp.norm", "layers.#.post_attention_layernorm", true, ZO_STORED_PLAIN},
    {"layer.#.mlp.gate", "layers.#.mlp.gate_proj", true, ZO_STORED_PLAIN},
    {"layer.#.mlp.up", "layers.#.mlp.up_proj", true, ZO_STORED_PLAIN},
    {"layer.#.mlp.down", "layers.#.mlp.down_proj", true, ZO_STORED_PLAIN},
    {"final.norm", "norm", true, ZO_STORED_PLAIN},
    {"lm.decoder", "lm_head", false, ZO_STORED_PLAIN},
    {"class.out", "score", false, ZO_STORED_PLAIN},
    {0}};

static const zo_silent_row silent[] = {
    {"*layers.#.self_attn.rotary_emb.inv_freq", ZO_SILENT_ALWAYS}, /* RoPE's frequencies, which follow from config.json */
    {"*rotary_emb.inv_freq", ZO_SILENT_ALWAYS},
    {"qa_outputs", ZO_SILENT_ALWAYS},
    {"lm_head", ZO_SILENT_LM},
    {"score", ZO_SILENT_CLASS},
    {0}};

/* Old files have rope_theta and rope_scaling, newer ones one object rope_parameters with both; where both stand, rope_scaling counts, as in
 * transformers. Called when the positions are known. */
static void rope_read(zo_config *c, zo_arch *a)
{
    a->rope = true;
    a->rope_theta = zo_config_real_or(c, "rope_theta", 10000, 1, 1e12);
    const char *key = "rope_scaling";
    const cJSON *scaling = cJSON_GetObjectItemCaseSensitive(c->json, key);
    if (scaling == NULL || cJSON_IsNull(scaling) || (cJSON_IsObject(scaling) && scaling->child == NULL)) {
        key = "rope_parameters";
        scaling = cJSON_GetObjectItemCaseSensitive(c->json, key);
    }
    if (scaling == NULL || cJSON_IsNull(scaling) || c->status != ZO_OK) {
        return;
    }
    if (!cJSON_IsObject(scaling)) {
        zo_config_fail(
            c, "key \"%s\" is not an object; expected one such as {\"rope_type\": \"llama3\", ...} or null", key);
        return;
    }
    zo_config inner = {.json = scaling, .path = c->path, .status = ZO_OK, .err = c->err};
    zo_config_only_once(&inner);
    a->rope_theta = zo_config_real_or(&inner, "rope_theta", a->rope_theta, 1, 1e12);
    if (zo_config_real_or(&inner, "partial_rotary_factor", 1, 0, 1) != 1) {
        zo_config_fail(&inner, "key \"%s.partial_rotary_factor\" is not 1, which is not supported", key);
    }
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(scaling, "rope_type");
    if (type == NULL) {
        type = cJSON_GetObjectItemCaseSensitive(scaling, "type");
    }
    const char *name = cJSON_IsString(type) ? type->valuestring : "default";
    if (strcmp(name, "linear") == 0) {
        a->rope_scaling = ZO_ROPE_LINEAR;
        a->rope_factor = zo_config_real_or(&inner, "factor", 0, 0, 1e6);
    } else if (strcmp(name, "llama3") == 0) {
        a->rope_scaling = ZO_ROPE_LLAMA3;
        a->rope_factor = zo_config_real_or(&inner, "factor", 0, 0, 1e6);
        a->rope_low_freq = zo_config_real_or(&inner, "low_freq_factor", 0, 0, 1e6);
        a->rope_high_freq = zo_config_real_or(&inner, "high_freq_factor", 0, 0, 1e6);
        a->rope_original_positions = zo_config_int_or(&inner, "original_max_position_embeddings", a->positions, 1, 1 << 24);
        a->rope_original_positions = zo_config_int_or(c, "original_max_position_embeddings", a->rope_original_positions, 1, 1 << 24);
        if (!(a->rope_low_freq > 0 && a->rope_high_freq > a->rope_low_freq)) {
            zo_config_fail(&inner,
                           "key \"%s\" has low_freq_factor %g and high_freq_factor %g; expected 0 < low < high",
                           key, a->rope_low_freq, a->rope_high_freq);
        }
    } else if (strcmp(name, "default") != 0) {
        zo_config_fail(
            &inner,
            "key \"%s.rope_type\" is \"%.40s\", which is not supported; supported are default, linear and llama3",
            key, name);
    }
    if (a->rope_scaling != ZO_ROPE_PLAIN && !(a->rope_factor > 0)) {
        zo_config_fail(&inner, "key \"%s.factor\" is %g or missing; expected a number above 0", key, a->rope_factor);
    }
    c->status = c->status != ZO_OK ? c->status : inner.status;
}

static void config_read(zo_config *c, zo_arch *a)
{
    zo_config_only_empty(c, "sliding_window");
    zo_config_only_bool(c, "use_sliding_window", false);
    if (zo_config_real_or(c, "partial_rotary_factor", 1, 0, 1) != 1) {
        zo_config_fail(c, "key \"partial_rotary_factor\" is not 1, which is not supported");
    }
    a->layers = zo_config_int_or(c, "num_hidden_layers", 32, 1, 1000);
    a->hidden = a->embed = zo_config_int_or(c, "hidden_size", 4096, 1, 1 << 20);
    a->heads = zo_config_int_or(c, "num_attention_heads", 32, 1, 4096);
    a->kv_heads = zo_config_int_or(c, "num_key_value_heads", a->heads, 1, 4096);
    if (a->hidden % a->heads != 0) {
        zo_config_fail(c, "key \"hidden_size\" is %d; expected a multiple of the %d attention heads", a->hidden,
                       a->heads);
    }
    a->head_dim = zo_config_int_or(c, "head_dim", a->hidden / a->heads, 1, 1 << 16);
    a->ffn = zo_config_int_or(c, "intermediate_size", 11008, 1, 1 << 22);
    a->vocab = zo_config_int_or(c, "vocab_size", 32000, 1, 1 << 24);
    a->positions = zo_config_int_or(c, "max_position_embeddings", 2048, 1, 1 << 24); /* early files have max_sequence_length, which nobody reads */
    rope_read(c, a);
    a->norm_eps = (float)zo_config_real_or(c, "rms_norm_eps", 1e-6, 0, 1);
    a->act = zo_config_act(c, "hidden_act", ZO_ACT_SILU);
    a->attn_bias = a->attn_out_bias = zo_config_bool_or(c, "attention_bias", false);
    a->mlp_bias = zo_config_bool_or(c, "mlp_bias", false);
    a->tied = zo_config_bool_or(c, "tie_word_embeddings", false);
    a->init_std = (float)zo_config_real_or(c, "initializer_range", 0.02, 0, 10);
    a->bos = zo_config_token(c, "bos_token_id", 1);
    a->eos = zo_config_token(c, "eos_token_id", 2);
    a->pad = zo_config_token(c, "pad_token_id", -1);
    a->causal = a->norm_first = a->final_norm = a->gated = true;
    a->norm = ZO_RMSNORM;
    a->class_head = ZO_CLASS_LAST_TOKEN;
}

static void config_write(const zo_arch *a, cJSON *json)
{
    cJSON_AddNumberToObject(json, "num_hidden_layers", a->layers);
    cJSON_AddNumberToObject(json, "hidden_size", a->hidden);
    cJSON_AddNumberToObject(json, "num_attention_heads", a->heads);
    cJSON_AddNumberToObject(json, "num_key_value_heads", a->kv_heads);
    cJSON_AddNumberToObject(json, "head_dim", a->head_dim);
    cJSON_AddNumberToObject(json, "intermediate_size", a->ffn);
    cJSON_AddNumberToObject(json, "max_position_embeddings", a->positions);
    cJSON_AddNumberToObject(json, "rope_theta", a->rope_theta);
    if (a->rope_scaling == ZO_ROPE_PLAIN) {
        cJSON_AddNullToObject(json, "rope_scaling");
    } else {
        cJSON *scaling = cJSON_AddObjectToObject(json, "rope_scaling");
        cJSON_AddStringToObject(scaling, "rope_type", a->rope_scaling == ZO_ROPE_LINEAR ? "linear" : "llama3");
        cJSON_AddNumberToObject(scaling, "factor", a->rope_factor);
        if (a->rope_scaling == ZO_ROPE_LLAMA3) {
            cJSON_AddNumberToObject(scaling, "low_freq_factor", a->rope_low_freq);
            cJSON_AddNumberToObject(scaling, "high_freq_factor", a->rope_high_freq);
            cJSON_AddNumberToObject(scaling, "original_max_position_embeddings", a->rope_original_positions);
        }
    }
    cJSON_AddStringToObject(json, "hidden_act", zo_act_name(a->act));
    cJSON_AddBoolToObject(json, "attention_bias", a->attn_bias);
    cJSON_AddBoolToObject(json, "mlp_bias", a->mlp_bias);
    zo_config_add_float(json, "rms_norm_eps", a->norm_eps);
    zo_config_add_float(json, "initializer_range", a->init_std);
}

const zo_family zo_family_llama = {
    .name = "llama",
    .prefixes = prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "LlamaForSequenceClassification",
    .lm_architecture = "LlamaForCausalLM",
    .base_architecture = "LlamaModel",
    .pad_row_zero = true,
    .read = config_read,
    .write = config_write,
};
