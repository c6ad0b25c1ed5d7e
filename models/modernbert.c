/* modernbert.c: ModernBERT (Warner et al., arXiv 2412.13663): a pre-norm encoder without biases, with rotary positions and a gated MLP. Every third
 * layer sees everything, the others a window to both sides, and turn by a base of their own. The first layer's attention reads the embeddings' norm as
 * it is. Dense layer and norm before the decoder stand before the classifier too.
 * It does not: classify by the mean of all tokens (classifier_pooling "mean"), of which prompts know nothing. */
#include <cjson/cJSON.h>
#include <string.h>

#include "models/llama_like.h"

static const char *const prefixes[] = {"model.", "", NULL};

static const zo_name_row names[] = {{"embed.token", "embeddings.tok_embeddings", true, ZO_STORED_PLAIN},
                                    {"embed.norm", "embeddings.norm", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.norm", "layers.#.attn_norm", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.q", "layers.#.attn.Wqkv", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.k", "layers.#.attn.Wqkv", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.v", "layers.#.attn.Wqkv", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.o", "layers.#.attn.Wo", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.norm", "layers.#.mlp_norm", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.gate", "layers.#.mlp.Wi", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.up", "layers.#.mlp.Wi", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.down", "layers.#.mlp.Wo", true, ZO_STORED_PLAIN},
                                    {"final.norm", "final_norm", true, ZO_STORED_PLAIN},
                                    {"lm.dense", "head.dense", false, ZO_STORED_PLAIN},
                                    {"lm.norm", "head.norm", false, ZO_STORED_PLAIN},
                                    {"lm.decoder", "decoder", false, ZO_STORED_PLAIN},
                                    {"class.out", "classifier", false, ZO_STORED_PLAIN},
                                    {0}};

static const zo_silent_row silent[] = {{"qa_outputs", ZO_SILENT_ALWAYS},
                                       {"head", ZO_SILENT_ALWAYS}, /* where there is no head at all: both have it */
                                       {"decoder", ZO_SILENT_LM},
                                       {"classifier", ZO_SILENT_CLASS},
                                       {0}};

static const zo_rope_keys far = {.theta = "global_rope_theta", .base = 160000}, near = {.theta = "local_rope_theta", .base = 10000};
static const char every_key[] = "global_attn_every_n_layers";

static bool slides(int layer, int every)
{
    return layer % every != 0;
}

/* local_attention counts the tokens of both sides; of an odd number the half is rounded down. */
static void window_read(zo_config *c, zo_arch *a)
{
    a->window = zo_config_int_or(c, "local_attention", 128, 0, 1 << 24) / 2 + 1;
    zo_llama_layer_types_read(c, a, slides, zo_config_int_or(c, every_key, 3, 1, ZO_MOST_LAYERS));
}

static void pooling_read(zo_config *c, zo_arch *a)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->json, "classifier_pooling");
    a->class_mean = cJSON_IsString(item) && strcmp(item->valuestring, "mean") == 0;
    if (!a->class_mean) {
        zo_config_only_text(c, "classifier_pooling", "cls");
    }
}

static void config_read(zo_config *c, zo_arch *a)
{
    a->layers = zo_config_int_or(c, "num_hidden_layers", 22, 1, ZO_MOST_LAYERS);
    a->hidden = a->embed = zo_config_int_or(c, "hidden_size", 768, 1, 1 << 20);
    a->heads = a->kv_heads = zo_config_int_or(c, "num_attention_heads", 12, 1, 4096);
    zo_config_heads_share(c, a);
    a->ffn = zo_config_int_or(c, "intermediate_size", 1152, 1, 1 << 22);
    a->vocab = zo_config_int_or(c, "vocab_size", 50368, 1, 1 << 24);
    a->positions = zo_config_int_or(c, "max_position_embeddings", 8192, 1, 1 << 24);
    window_read(c, a);
    zo_rope_read_apart(c, a, &far, &near);
    a->norm_eps = (float)zo_config_real_or(c, "norm_eps", 1e-5, 0, 1);
    a->norm_plain = !zo_config_bool_or(c, "norm_bias", false);
    a->act = zo_config_act(c, "hidden_activation", ZO_ACT_GELU);
    a->attn_bias = a->attn_out_bias = zo_config_bool_or(c, "attention_bias", false);
    a->mlp_bias = zo_config_bool_or(c, "mlp_bias", false);
    a->head_act = zo_config_act(c, "classifier_activation", ZO_ACT_GELU);
    a->head_plain = !zo_config_bool_or(c, "classifier_bias", false);
    a->head_bias = zo_config_bool_or(c, "decoder_bias", true);
    pooling_read(c, a);
    a->tied = zo_config_bool_or(c, "tie_word_embeddings", true);
    a->init_std = (float)zo_config_real_or(c, "initializer_range", 0.02, 0, 10);
    a->bos = zo_config_token(c, "bos_token_id", 50281);
    a->eos = zo_config_token(c, "eos_token_id", 50282);
    a->pad = zo_config_token(c, "pad_token_id", 50283);
    a->norm_first = a->bare_first = a->embed_norm = a->final_norm = a->gated = a->head_transform = true;
    a->norm = ZO_LAYERNORM;
    a->class_head = ZO_CLASS_TRANSFORM;
}

/* The period of the layers that see everything; 0: they have none, and transformers 4 cannot say which they are. */
static int every_of(const zo_arch *a)
{
    for (int every = 1; every <= a->layers; every++) {
        bool fits = true;
        for (int l = 0; l < a->layers; l++) {
            fits = fits && slides(l, every) == (zo_arch_window(a, l) > 0);
        }
        if (fits) {
            return every;
        }
    }
    return 0;
}

static void config_write(const zo_arch *a, cJSON *json)
{
    cJSON_AddNumberToObject(json, "num_hidden_layers", a->layers);
    cJSON_AddNumberToObject(json, "hidden_size", a->hidden);
    cJSON_AddNumberToObject(json, "num_attention_heads", a->heads);
    cJSON_AddNumberToObject(json, "intermediate_size", a->ffn);
    cJSON_AddNumberToObject(json, "max_position_embeddings", a->positions);
    cJSON_AddNumberToObject(json, "local_attention", 2 * (a->window - 1));
    if (every_of(a) > 0) {
        cJSON_AddNumberToObject(json, every_key, every_of(a));
    }
    zo_llama_layer_types_write(a, json);
    cJSON_AddNumberToObject(json, far.theta, a->rope_theta);
    cJSON_AddNumberToObject(json, near.theta, a->rope_near_theta);
    zo_config_add_float(json, "norm_eps", a->norm_eps);
    cJSON_AddBoolToObject(json, "norm_bias", !a->norm_plain);
    cJSON_AddStringToObject(json, "hidden_activation", zo_act_name(a->act));
    cJSON_AddBoolToObject(json, "attention_bias", a->attn_bias);
    cJSON_AddBoolToObject(json, "mlp_bias", a->mlp_bias);
    cJSON_AddStringToObject(json, "classifier_activation", zo_act_name(a->head_act));
    cJSON_AddBoolToObject(json, "classifier_bias", !a->head_plain);
    cJSON_AddStringToObject(json, "classifier_pooling", a->class_mean ? "mean" : "cls");
    cJSON_AddBoolToObject(json, "decoder_bias", a->head_bias);
    zo_config_add_float(json, "initializer_range", a->init_std);
}

const zo_family zo_family_modernbert = {
    .name = "modernbert",
    .prefixes = prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "ModernBertForSequenceClassification",
    .lm_architecture = "ModernBertForMaskedLM",
    .base_architecture = "ModernBertModel",
    .scaled_residual_init = true,
    .pad_row_zero = true,
    .read = config_read,
    .write = config_write,
};
