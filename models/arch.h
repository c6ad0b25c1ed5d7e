/* arch.h: the description that parametrises the one transformer. A family file turns a Hugging Face config.json into a zo_arch
 * and owns the table of tensor names; transformer.c reads only this. */
#ifndef ZO_MODELS_ARCH_H
#define ZO_MODELS_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "backends/backend.h"
#include "text/batch.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_class_head {
    ZO_CLASS_POOLER,     /* BERT: tanh(pooler dense(CLS)) -> classifier */
    ZO_CLASS_DENSE_TANH, /* RoBERTa: tanh(dense(<s>)) -> out_proj */
    ZO_CLASS_DENSE_RELU, /* DistilBERT: relu(pre_classifier(CLS)) -> classifier */
    ZO_CLASS_DENSE_GELU, /* ELECTRA: gelu(dense(CLS)) -> out_proj */
    ZO_CLASS_TRANSFORM,  /* ModernBERT: what the language-model head's dense layer, activation and norm make of CLS -> classifier */
    ZO_CLASS_LAST_TOKEN  /* GPT-2, OPT, LLaMA: score(last token), no bias */
} zo_class_head;

/* Where the decoder of a language-model head is. */
typedef enum zo_decoder {
    ZO_DECODER_DEFAULT, /* as the papers' code: untied for RoBERTa's mask prompts (ZO_HEAD_WORDS; MeZO's medium models without --tie_emb),
                           else as config.json and the checkpoint have it */
    ZO_DECODER_TIED,    /* the token table */
    ZO_DECODER_UNTIED   /* trained weights of its own: they begin with the stored decoder, or where there is none with the token table */
} zo_decoder;

/* Of the frequencies of rotary positions (models/rope.c). */
typedef enum zo_rope_scaling {
    ZO_ROPE_PLAIN,
    ZO_ROPE_LINEAR,  /* all divided by the factor */
    ZO_ROPE_DYNAMIC, /* as plain up to `positions`, where every text ends here */
    ZO_ROPE_YARN,    /* Peng et al., arXiv 2309.00071: slow ones divided by the factor, fast ones kept, those between blended by their index */
    ZO_ROPE_LONG,    /* LongRoPE (Ding et al., arXiv 2402.13753): each divided by a number of its own, another one in long texts (zo_rope_row) */
    ZO_ROPE_LLAMA3   /* as YaRN, but blended by their turns */
} zo_rope_scaling;
enum { ZO_MOST_ROPE_PAIRS = 128 };

/* LoRA (Hu et al., arXiv 2106.09685): beside the weight W (out, in) of a linear layer stand A (rank, in) and B (out, rank), and it gives
 *     y = x W^T + b + (alpha / rank) (x A^T) B^T. */
typedef struct zo_lora {
    int rank;     /* 0 = no adapters */
    double alpha; /* > 0 */
    unsigned on;  /* which linear layers of every block: a sum of ZO_LINEAR_*; gate is left out where the family has none */
} zo_lora;

/* A side adapter (SHERL: Diao et al., arXiv 2407.07523; models/side.c): what the last `late` blocks read is made of what all blocks before them, and
 * they, would have read. */
typedef struct zo_side_adapter {
    int late;       /* 0 = no adapter; less than the layers */
    int downsample; /* it works on hidden / downsample numbers a token */
} zo_side_adapter;

/* How the matrices of linear layers in the blocks are held (backends/codes.h). Embeddings, norms, biases and heads are not. */
typedef struct zo_quantised {
    int bits;  /* 8 or 4; 0 = as everything else */
    int group; /* columns that share a scale; even */
} zo_quantised;

typedef struct zo_arch {
    char family[16];       /* of models/list.h */
    int layers, hidden, heads, kv_heads, head_dim, ffn;
    int groups;            /* so many blocks of parameters, each of which several layers in a row share (ALBERT); 0 = each layer has its own */
    int vocab, positions;  /* positions: the longest sequence that has positions (after position_offset is taken off) */
    int position_offset;   /* RoBERTa: pad + 1 = 2; OPT: 2; else 0: row of the position table = position + offset */
    bool pad_skips;        /* RoBERTa: tokens that are `pad` all stand at the row before the first and are not counted (zo_arch_position_rows) */
    int types;             /* segment table rows; 0 = none */
    int embed;             /* width of the token table; != hidden for OPT-350M: project_in and project_out */
    bool factorised;       /* all of the embeddings are `embed` wide, their norm too, and what a language-model head's dense layer makes: a layer with a
                              bias leads from the norm to hidden, and none back (ELECTRA, ALBERT) */
    bool learned_positions, rope;
    int rope_dims;         /* numbers of each head that rotary positions turn, from the first on; 0 = all (zo_arch_rope_dims) */
    bool rope_interleaved; /* pairs stand side by side (GPT-J); else half of them apart */
    double rope_theta;
    double rope_near_theta; /* of the layers with a window, where the frequencies are not scaled (ModernBERT); 0 = as in the others */
    zo_rope_scaling rope_scaling;
    double rope_factor;
    double rope_low_freq, rope_high_freq; /* LLAMA3 and YARN (its beta_slow and beta_fast): turns within the original positions, between which is blended */
    bool rope_ragged;            /* YARN: where blending begins and ends is not rounded to whole indices ("truncate": false) */
    int rope_original_positions; /* LLAMA3, YARN, LONG: of the pretraining */
    float rope_attention;        /* YARN, LONG: sines and cosines are multiplied with it; 0 = not */
    float rope_short[ZO_MOST_ROPE_PAIRS], rope_long[ZO_MOST_ROPE_PAIRS]; /* LONG: by what each frequency is divided in texts of up to the original positions,
                                                                            and in longer ones */
    bool causal;
    int window;            /* of attention (zo_attention.window), in the layers of which sees_all has no bit; 0 = none */
    uint64_t sees_all[16]; /* bit l % 64 of word l / 64: layer l sees everything */
    bool bare_first;       /* pre-norm: the first block's attention reads its input as it is, and there is no layer.0.attn.norm (ModernBERT) */
    bool norm_first;       /* pre-norm (GPT-2, OPT, LLaMA); false: post-norm (BERT family, OPT-350M) */
    bool parallel;         /* attention and MLP both read the block's input, and both are added to it (GPT-NeoX, GPT-J, Phi); pre-norm alone */
    bool one_norm;         /* parallel: both read it through attn.norm, and there is no mlp.norm (GPT-J, Phi) */
    double attn_scale;     /* zo_attention.scale; 0 = 1 / sqrt(head_dim) */
    float attn_softcap, final_softcap; /* of attention's scores (zo_attention.softcap), of the language-model head's logits; 0 = none */
    bool head_norm;        /* a norm of each head's query and key, before they are rotated (Qwen3) */
    bool post_norm;        /* pre-norm alone: another norm of what attention and MLP make, before it is added (Gemma 2) */
    double embed_scale;    /* the tokens' rows are multiplied with it; 0 = not */
    bool embed_norm;       /* a norm after the embeddings (BERT family) */
    bool final_norm;
    zo_norm_kind norm;
    bool norm_plain;       /* LayerNorm without biases (ModernBERT); RMSNorm has none */
    float norm_eps;
    zo_act act;
    bool gated;            /* act(gate(x)) * up(x) (LLaMA) */
    bool attn_bias, attn_out_bias, mlp_bias;
    zo_lora lora;          /* adapters; not of config.json */
    zo_quantised quantised; /* neither */
    zo_side_adapter side;  /* nor this */
    int prefix;            /* rows of keys and values that each layer has of its own (prefix tuning); 0 = none. Not of config.json */
    /* language-model head */
    bool tied;             /* decoder weight is embed.token */
    bool decoder_copy;     /* untied by zo_arch_set_decoder: begins as a copy of embed.token where the checkpoint has no decoder */
    bool head_transform;   /* encoders: dense + act + norm before the decoder */
    bool head_plain;       /* that dense layer has no bias (ModernBERT) */
    bool class_mean;       /* a classification head would read the mean of all tokens; it is refused (zo_arch_check_head) */
    zo_act head_act;
    bool head_bias;
    zo_class_head class_head;
    float init_std;        /* initializer_range */
    int bos, eos, pad, mask; /* token ids from config.json; -1 = absent, and so are those outside the vocabulary */
    char note[256];        /* what was read otherwise than config.json has it; empty where nothing was */
} zo_arch;

/* Canonical parameter names (zo_param.name). N = 0..layers-1; where layers share parameters, that of the block, but of a prefix that of the layer.
 *   embed.token (vocab, embed)   embed.position (positions + offset, hidden)   embed.type (types, hidden); factorised: (.., embed)
 *   embed.norm.{weight,bias}     embed.in.{weight,bias} (hidden, embed)   embed.out.weight (embed, hidden)
 *   layer.N.attn.{q,k,v,o}.{weight,bias}   layer.N.attn.norm.{weight,bias}   (with bare_first N > 0)
 *   layer.N.attn.{q,k}_norm.weight (1, head_dim)   layer.N.{attn,mlp}.post_norm.weight (1, hidden)
 *   layer.N.attn.prefix.{k,v} (prefix, kv_heads * head_dim)
 *   layer.N.mlp.{gate,up,down}.{weight,bias}   layer.N.mlp.norm.{weight,bias}
 *   side.N.down.{weight,bias} (hidden / downsample, hidden)   side.N.norm.{weight,bias}   N = 0..layers-late: of the input of block N
 *   side.score.{weight,bias} (1, hidden / downsample)   side.out.{weight,bias} (hidden, hidden / downsample)   side.norm.{weight,bias}
 *   side.gate (1, 1)
 *   layer.N.{attn,mlp}.*.weight.scales (out, groups)   of the linear layers, where their matrices are held as codes
 *   layer.N.{attn,mlp}.*.lora_a.weight (rank, in)  .lora_b.weight (out, rank)   of the linear layers that have an adapter
 *   final.norm.{weight,bias}
 *   lm.dense.{weight,bias}  lm.norm.{weight,bias}  lm.decoder.{weight,bias}   (weight absent when tied; with ZO_CLASS_TRANSFORM the first two are the
 *   classification head's too)
 *   class.dense.{weight,bias}  class.out.{weight,bias}
 * Weights are (out, in), row-major, as torch Linear; GPT-2's Conv1D weights are transposed when read and its fused c_attn is cut
 * into q, k, v. */

/* Numbers of each head that rotary positions turn; the tables have half of them a position. */
ZO_INLINE int zo_arch_rope_dims(const zo_arch *arch)
{
    return arch->rope_dims > 0 ? arch->rope_dims : arch->head_dim;
}

/* Have norms biases? */
ZO_INLINE bool zo_arch_norm_bias(const zo_arch *arch)
{
    return arch->norm == ZO_LAYERNORM && !arch->norm_plain;
}

/* Does the attention of a block read a norm of the block's input? Else it reads the input itself. */
ZO_INLINE bool zo_arch_reads_norm(const zo_arch *arch, int block)
{
    return arch->norm_first && !(arch->bare_first && block == 0);
}

/* The block of parameters of a layer. */
ZO_INLINE int zo_arch_block(const zo_arch *arch, int layer)
{
    return arch->groups == 0 ? layer : (int)(layer / ((double)arch->layers / arch->groups)); /* as transformers rounds it */
}

/* Is it the first layer that reads its block? */
ZO_INLINE bool zo_arch_begins_block(const zo_arch *arch, int layer)
{
    return layer == 0 || zo_arch_block(arch, layer - 1) != zo_arch_block(arch, layer);
}

/* Width of the tables of positions and segments, and of the embeddings' norm. */
ZO_INLINE int zo_arch_table_width(const zo_arch *arch)
{
    return arch->factorised ? arch->embed : arch->hidden;
}

/* Is there a layer from the embeddings to hidden, and one back behind the last block? */
ZO_INLINE bool zo_arch_projects_in(const zo_arch *arch)
{
    return arch->factorised || arch->embed != arch->hidden;
}

ZO_INLINE bool zo_arch_projects_out(const zo_arch *arch)
{
    return !arch->factorised && arch->embed != arch->hidden;
}

/* Up to how many layers a model has. */
enum { ZO_MOST_LAYERS = 1000 };

/* The block whose input a side adapter makes; `layers` where there is none. */
ZO_INLINE int zo_arch_side_block(const zo_arch *arch)
{
    return arch->layers - arch->side.late;
}

/* Numbers of a token that a side adapter works on. */
ZO_INLINE int zo_arch_side_width(const zo_arch *arch)
{
    int width = arch->hidden / arch->side.downsample;
    return width > 0 ? width : 1; /* of a view that is going to be refused */
}

/* The window of a layer's attention; 0 = it sees everything. */
ZO_INLINE int zo_arch_window(const zo_arch *arch, int layer)
{
    return (arch->sees_all[layer / 64] >> layer % 64 & 1) != 0 ? 0 : arch->window;
}

ZO_INLINE void zo_arch_sees_all(zo_arch *arch, int layer)
{
    arch->sees_all[layer / 64] |= (uint64_t)1 << layer % 64;
}

/* Tables of rotary positions: one, and another one of the layers with a window where those turn by other frequencies. */
ZO_INLINE int zo_arch_ropes(const zo_arch *arch)
{
    return arch->rope_near_theta > 0.0 ? 2 : 1;
}

/* ZO_EUNSUPPORTED where the objective's head is one that is not here. classes: as in zo_arch_layout. */
zo_status zo_arch_check_head(const zo_arch *arch, zo_head head, int classes, zo_err *err);

/* Make the arch of config.json that of an objective: where `decoder` and the family say so, tied or untied. Called before a layout is made
 * for a language-model head; without one (ZO_HEAD_CLASS) nothing changes. */
void zo_arch_set_decoder(zo_arch *arch, zo_head head, zo_decoder decoder);

/* row (batch->tokens): the row of embed.position that each token reads: position + position_offset; with pad_skips, tokens that are `pad` read
 * row position_offset - 1 and each other one counts those before it in its sequence that are not, as transformers'
 * create_position_ids_from_input_ids does. Tokens behind the last sequence (copies of the last) read its row. */
void zo_arch_position_rows(const zo_arch *arch, const zo_batch *batch, int32_t *row);

/* Append the parameters that an objective uses to an empty layout, in the order of the forward pass. With ZO_HEAD_CLASS and
 * classes = 0 there is no head: the base model alone. A tied token table that the head reads has whole = true. */
void zo_arch_layout(const zo_arch *arch, zo_head head, int classes, zo_layout *layout);

#ifdef __cplusplus
}
#endif
#endif
