/* llama_like.h: what the families built as LLaMA share: their rows of the tables of names, and their keys of config.json. Private to models/;
 * the functions stand in llama.c. */
#ifndef ZO_MODELS_LLAMA_LIKE_H
#define ZO_MODELS_LLAMA_LIKE_H

#include "models/rope.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows of zo_name_row. */
#define ZO_LLAMA_OUTER_NAMES                                    \
    {"embed.token", "embed_tokens", true, ZO_STORED_PLAIN},     \
    {"final.norm", "norm", true, ZO_STORED_PLAIN},              \
    {"lm.decoder", "lm_head", false, ZO_STORED_PLAIN},          \
    {"class.out", "score", false, ZO_STORED_PLAIN}
#define ZO_LLAMA_NORM_NAMES                                                  \
    {"layer.#.attn.norm", "layers.#.input_layernorm", true, ZO_STORED_PLAIN}, \
    {"layer.#.mlp.norm", "layers.#.post_attention_layernorm", true, ZO_STORED_PLAIN}
#define ZO_LLAMA_LINEAR_NAMES                                               \
    {"layer.#.attn.q", "layers.#.self_attn.q_proj", true, ZO_STORED_PLAIN}, \
    {"layer.#.attn.k", "layers.#.self_attn.k_proj", true, ZO_STORED_PLAIN}, \
    {"layer.#.attn.v", "layers.#.self_attn.v_proj", true, ZO_STORED_PLAIN}, \
    {"layer.#.attn.o", "layers.#.self_attn.o_proj", true, ZO_STORED_PLAIN}, \
    {"layer.#.mlp.gate", "layers.#.mlp.gate_proj", true, ZO_STORED_PLAIN},  \
    {"layer.#.mlp.up", "layers.#.mlp.up_proj", true, ZO_STORED_PLAIN},      \
    {"layer.#.mlp.down", "layers.#.mlp.down_proj", true, ZO_STORED_PLAIN}
#define ZO_LLAMA_NAMES ZO_LLAMA_OUTER_NAMES, ZO_LLAMA_NORM_NAMES, ZO_LLAMA_LINEAR_NAMES

/* Rows of zo_silent_row: RoPE's frequencies, which follow from config.json, and heads. */
#define ZO_LLAMA_SILENT                                                                                                               \
    {"*layers.#.self_attn.rotary_emb.inv_freq", ZO_SILENT_ALWAYS}, {"*rotary_emb.inv_freq", ZO_SILENT_ALWAYS},                        \
    {"qa_outputs", ZO_SILENT_ALWAYS}, {"lm_head", ZO_SILENT_LM}, {"score", ZO_SILENT_CLASS}

extern const char *const zo_llama_prefixes[];

/* What transformers takes for keys that are left out. */
typedef struct zo_llama_defaults {
    int layers, hidden, heads;
    int kv_heads; /* 0 = as heads; a null always is */
    int head_dim; /* 0 = hidden / heads */
    int ffn, vocab, positions;
    double norm_eps;
    const char *act_key;
    zo_act act;
    bool tied;
    int bos, eos, pad;
    const zo_rope_keys *rope; /* NULL: rope_theta alone, 10000 */
} zo_llama_defaults;

/* All but biases and what a family has of its own: a causal pre-norm decoder with RoPE, a gated MLP and RMSNorm. */
void zo_llama_read(zo_config *config, zo_arch *arch, const zo_llama_defaults *defaults);
void zo_llama_write(const zo_arch *arch, const zo_llama_defaults *defaults, struct cJSON *json);

/* sliding_window, a null of which is none; `fallback` where it is left out (0 = none). All layers have it. */
void zo_llama_window_read(zo_config *config, zo_arch *arch, int fallback);
/* Which layers have the window: layer_types where it stands, else those of `slides`. */
void zo_llama_layer_types_read(zo_config *config, zo_arch *arch, bool (*slides)(int layer, int first), int first);
void zo_llama_window_write(const zo_arch *arch, struct cJSON *json);
void zo_llama_layer_types_write(const zo_arch *arch, struct cJSON *json);

/* Of Gemma and Gemma 2 (gemma.c): what is LLaMA's, biases, the norms' kind and the scale of embeddings. */
void zo_gemma_read(zo_config *config, zo_arch *arch, const zo_llama_defaults *defaults);

/* Of Qwen 2 and 3 (qwen2.c): use_sliding_window, sliding_window and the layers that have it, from max_window_layers on or by layer_types. */
void zo_qwen_windows_read(zo_config *config, zo_arch *arch);
void zo_qwen_windows_write(const zo_arch *arch, struct cJSON *json);

#ifdef __cplusplus
}
#endif
#endif
