/* gptj.c: GPT-J (Wang and Komatsuzaki, 2021): pre-norm decoder whose attention and MLP both read the block's input through one norm, rotary
 * positions that turn neighbours in the first rotary_dim numbers of each head, a bias in the language-model head and none in the attention. */
#include <cjson/cJSON.h>

#include "models/family.h"

static const char *const prefixes[] = {"transformer.", "", NULL};

static const zo_name_row names[] = {{"embed.token", "wte", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.norm", "h.#.ln_1", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.q", "h.#.attn.q_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.k", "h.#.attn.k_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.v", "h.#.attn.v_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.attn.o", "h.#.attn.out_proj", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.up", "h.#.mlp.fc_in", true, ZO_STORED_PLAIN},
                                    {"layer.#.mlp.down", "h.#.mlp.fc_out", true, ZO_STORED_PLAIN},
                                    {"final.norm", "ln_f", true, ZO_STORED_PLAIN},
                                    {"lm.decoder", "lm_head", false, ZO_STORED_PLAIN},
                                    {"class.out", "score", false, ZO_STORED_PLAIN},
                                    {0}};

static const zo_silent_row silent[] = {
    {"*h.#.attn.bias", ZO_SILENT_ALWAYS}, /* the causal mask, and what is put in its place */
    {"*h.#.attn.masked_bias", ZO_SILENT_ALWAYS},
    {"*h.#.attn.embed_positions", ZO_SILENT_ALWAYS}, /* sines and cosines, which follow from config.json */
    {"qa_outputs", ZO_SILENT_ALWAYS},
    {"lm_head", ZO_SILENT_LM},
    {"score", ZO_SILENT_CLASS},
    {0}};

static void config_read(zo_config *c, zo_arch *a)
{
    a->layers = zo_config_int_or(c, "n_layer|num_hidden_layers", 28, 1, 1000);
    a->hidden = a->embed = zo_config_int_or(c, "n_embd|hidden_size", 4096, 1, 1 << 20);
    a->heads = a->kv_heads = zo_config_int_or(c, "n_head|num_attention_heads", 16, 1, 4096);
    a->head_dim = a->hidden / a->heads;
    a->ffn = zo_config_int_or(c, "n_inner", 4 * a->hidden, 1, 1 << 22);
    a->vocab = zo_config_int_or(c, "vocab_size", 50400, 1, 1 << 24);
    a->positions = zo_config_int_or(c, "n_positions|max_position_embeddings", 2048, 1, 1 << 24);
    int turned = zo_config_int_or(c, "rotary_dim", 64, 1, 1 << 16);
    if (turned % 2 != 0 || turned > a->head_dim) {
        zo_config_fail(c, "key \"rotary_dim\" is %d; expected an even number, at most the %d of a head", turned, a->head_dim);
    }
    a->rope_dims = turned == a->head_dim ? 0 : turned;
    a->rope_theta = 10000;
    a->norm_eps = (float)zo_config_real_or(c, "layer_norm_epsilon", 1e-5, 0, 1);
    a->act = zo_config_act(c, "activation_function", ZO_ACT_GELU_TANH);
    a->tied = zo_config_bool_or(c, "tie_word_embeddings", false);
    a->init_std = (float)zo_config_real_or(c, "initializer_range", 0.02, 0, 10);
    a->bos = zo_config_token(c, "bos_token_id", 50256);
    a->eos = zo_config_token(c, "eos_token_id", 50256);
    a->pad = zo_config_token(c, "pad_token_id", -1);
    a->causal = a->norm_first = a->final_norm = a->rope = a->rope_interleaved = a->parallel = a->one_norm = a->mlp_bias = a->head_bias = true;
    a->norm = ZO_LAYERNORM;
    a->class_head = ZO_CLASS_LAST_TOKEN;
}

static void config_write(const zo_arch *a, cJSON *json)
{
    cJSON_AddNumberToObject(json, "n_layer", a->layers);
    cJSON_AddNumberToObject(json, "n_embd", a->hidden);
    cJSON_AddNumberToObject(json, "n_head", a->heads);
    cJSON_AddNumberToObject(json, "n_inner", a->ffn);
    cJSON_AddNumberToObject(json, "n_positions", a->positions);
    cJSON_AddNumberToObject(json, "rotary_dim", zo_arch_rope_dims(a));
    cJSON_AddStringToObject(json, "activation_function", zo_act_name(a->act));
    zo_config_add_float(json, "layer_norm_epsilon", a->norm_eps);
    zo_config_add_float(json, "initializer_range", a->init_std);
}

const zo_family zo_family_gptj = {
    .name = "gptj",
    .prefixes = prefixes,
    .names = names,
    .silent = silent,
    .class_architecture = "GPTJForSequenceClassification",
    .lm_architecture = "GPTJForCausalLM",
    .base_architecture = "GPTJModel",
    .read = config_read,
    .write = config_write,
};
