#!/usr/bin/env python3
"""What transformers takes for each key of config.json that is left out, given in another spelling, or null. Read by tests/models/test_load.c. Needs
transformers (5.x).

    make_config_defaults.py > config_defaults.json

A row: family, the key that is left out, and the value that stands for it. `base` has a value for every key that is not the default, so that a
key left out shows. `also` are configs whose keys are spelt or combined otherwise, with the plain config that is the same."""
import json
import sys

import transformers as tr

COMMON = dict(vocab_size=60, bos_token_id=3, eos_token_id=4, pad_token_id=5, initializer_range=0.5)
ENCODER = dict(COMMON, num_hidden_layers=3, hidden_size=96, num_attention_heads=4, intermediate_size=36, max_position_embeddings=40,
               type_vocab_size=3, layer_norm_eps=1e-3, hidden_act="relu", tie_word_embeddings=False)
BASE = {
    "bert": ENCODER,
    "roberta": ENCODER,
    "distilbert": dict(COMMON, n_layers=3, dim=96, n_heads=4, hidden_dim=36, max_position_embeddings=40, activation="relu",
                       tie_word_embeddings=False),
    "electra": dict(ENCODER, num_attention_heads=8, embedding_size=24),
    "albert": dict(ENCODER, hidden_size=192, embedding_size=24, num_hidden_groups=2),
    "modernbert": dict(COMMON, vocab_size=50400, num_hidden_layers=5, hidden_size=96, num_attention_heads=4, intermediate_size=36, max_position_embeddings=40,
                       norm_eps=1e-3, norm_bias=True, hidden_activation="relu", attention_bias=True, mlp_bias=True, decoder_bias=False, classifier_bias=True,
                       classifier_activation="relu", classifier_pooling="mean", local_attention=14, global_attn_every_n_layers=2, global_rope_theta=500.0,
                       local_rope_theta=300.0, tie_word_embeddings=False),
    "gpt2": dict(COMMON, vocab_size=51000, n_layer=3, n_embd=96, n_head=4, n_inner=36, n_positions=40, activation_function="relu", layer_norm_epsilon=1e-3,
                 tie_word_embeddings=False),
    "opt": dict({k: v for k, v in COMMON.items() if k != "initializer_range"}, init_std=0.5, num_hidden_layers=3, hidden_size=96,
                num_attention_heads=4, ffn_dim=36, max_position_embeddings=40, word_embed_proj_dim=8, do_layer_norm_before=False,
                activation_function="gelu", enable_bias=False, tie_word_embeddings=False),
    "llama": dict(COMMON, num_hidden_layers=3, hidden_size=96, num_attention_heads=4, num_key_value_heads=2, head_dim=10,
                  intermediate_size=36, max_position_embeddings=40, rms_norm_eps=1e-3, hidden_act="gelu", attention_bias=True, mlp_bias=True,
                  tie_word_embeddings=True, rope_theta=500.0),
    "mistral": dict(COMMON, num_hidden_layers=3, hidden_size=96, num_attention_heads=16, num_key_value_heads=2, head_dim=10,
                    intermediate_size=36, max_position_embeddings=40, rms_norm_eps=1e-3, hidden_act="gelu", tie_word_embeddings=True, rope_theta=500.0,
                    sliding_window=7),
    "qwen2": dict(COMMON, num_hidden_layers=3, hidden_size=384, num_attention_heads=64, num_key_value_heads=2, intermediate_size=36,
                  max_position_embeddings=40, rms_norm_eps=1e-3, hidden_act="gelu", tie_word_embeddings=True, rope_theta=500.0,
                  use_sliding_window=True, sliding_window=7, max_window_layers=1),
    "qwen3": dict(COMMON, num_hidden_layers=3, hidden_size=384, num_attention_heads=64, num_key_value_heads=2, head_dim=10, intermediate_size=36,
                  max_position_embeddings=40, rms_norm_eps=1e-3, hidden_act="gelu", tie_word_embeddings=True, rope_theta=500.0, attention_bias=True,
                  use_sliding_window=True, sliding_window=7, max_window_layers=1),
    "gemma": dict(COMMON, num_hidden_layers=3, hidden_size=96, num_attention_heads=32, num_key_value_heads=2, head_dim=10, intermediate_size=36,
                  max_position_embeddings=40, rms_norm_eps=1e-3, hidden_act="relu", tie_word_embeddings=False, rope_theta=500.0, attention_bias=True),
    "gemma2": dict(COMMON, num_hidden_layers=3, hidden_size=96, num_attention_heads=32, num_key_value_heads=2, head_dim=10, intermediate_size=36,
                   max_position_embeddings=40, rms_norm_eps=1e-3, hidden_activation="relu", tie_word_embeddings=False, rope_theta=500.0,
                   attention_bias=True, query_pre_attn_scalar=10, sliding_window=7, attn_logit_softcapping=3.0, final_logit_softcapping=4.0),
    "gpt_neox": dict(COMMON, num_hidden_layers=3, hidden_size=768, num_attention_heads=4, intermediate_size=36, max_position_embeddings=40, layer_norm_eps=1e-3,
                     hidden_act="relu", tie_word_embeddings=True, use_parallel_residual=False, attention_bias=False, rotary_pct=0.5, rotary_emb_base=500),
    "gptj": dict(COMMON, vocab_size=51000, n_layer=3, n_embd=1536, n_head=4, n_inner=36, n_positions=40, rotary_dim=8, activation_function="relu",
                 layer_norm_epsilon=1e-3, tie_word_embeddings=True),
    "phi": dict(COMMON, num_hidden_layers=3, hidden_size=768, num_attention_heads=4, num_key_value_heads=2, intermediate_size=36, max_position_embeddings=40,
                layer_norm_eps=1e-3, hidden_act="relu", tie_word_embeddings=True, rope_theta=500.0, partial_rotary_factor=0.25),
    "phi3": dict(COMMON, vocab_size=33000, num_hidden_layers=3, hidden_size=768, num_attention_heads=4, num_key_value_heads=2, intermediate_size=36, max_position_embeddings=40,
                 rms_norm_eps=1e-3, hidden_act="relu", tie_word_embeddings=True, rope_theta=500.0, partial_rotary_factor=0.25, sliding_window=7),
    "gpt_neo": dict(COMMON, vocab_size=51000, num_layers=3, hidden_size=96, num_heads=4, intermediate_size=36, max_position_embeddings=40, window_size=7,
                    attention_types=[[["local"], 2], [["global"], 1]], activation_function="relu", layer_norm_epsilon=1e-3, tie_word_embeddings=False),
}
CLASS = {"modernbert": tr.ModernBertConfig, "bert": tr.BertConfig, "roberta": tr.RobertaConfig, "distilbert": tr.DistilBertConfig, "electra": tr.ElectraConfig, "albert": tr.AlbertConfig, "gpt2": tr.GPT2Config, "opt": tr.OPTConfig,
         "llama": tr.LlamaConfig, "mistral": tr.MistralConfig, "qwen2": tr.Qwen2Config, "qwen3": tr.Qwen3Config, "gemma": tr.GemmaConfig,
         "gemma2": tr.Gemma2Config, "gpt_neox": tr.GPTNeoXConfig, "gptj": tr.GPTJConfig, "phi": tr.PhiConfig, "phi3": tr.Phi3Config, "gpt_neo": tr.GPTNeoConfig}
NULLS = ("bos_token_id", "eos_token_id", "pad_token_id", "n_inner", "word_embed_proj_dim", "num_key_value_heads", "head_dim", "sliding_window", "attn_logit_softcapping",
         "final_logit_softcapping")
# RoBERTa cannot count positions without it, and others want a number
REFUSED = [("roberta", "pad_token_id"), ("mistral", "num_key_value_heads"), ("gemma", "num_key_value_heads"), ("gemma", "head_dim"),
           ("gemma2", "num_key_value_heads"), ("gemma2", "head_dim"), ("gemma2", "sliding_window"), ("qwen3", "head_dim")]
BELONG = [("gpt_neo", "num_layers"), ("gpt_neo", "attention_types")]  # of which transformers takes none without the other
ROPE = {"linear": {"rope_type": "linear", "factor": 3.0}, "llama3": {"rope_type": "llama3", "factor": 3.0, "low_freq_factor": 1.5,
                                                                     "high_freq_factor": 5.0},
        "yarn": {"rope_type": "yarn", "factor": 3.0}, "longrope": {"rope_type": "longrope", "short_factor": [1.0, 1.5, 2.0, 2.5, 3.0],
                                                                   "long_factor": [2.0, 3.0, 4.0, 5.0, 6.0]}}
SHORT, LONG = [1.0 + i / 8 for i in range(24)], [2 + i / 4 for i in range(24)]  # of phi3's base: 48 of 192 numbers of a head are turned
ALSO = [  # (family, changes to the base, keys taken out)
    ("gpt2", dict(hidden_size=112), ["n_embd"]),
    ("gpt2", dict(hidden_size=112, num_attention_heads=7, num_hidden_layers=2, max_position_embeddings=33), []),
    ("distilbert", dict(hidden_size=112, num_attention_heads=7, num_hidden_layers=2), ["dim", "n_heads", "n_layers"]),
    ("distilbert", dict(hidden_size=112), []),
    ("llama", dict(max_sequence_length=30), ["max_position_embeddings"]),
    ("llama", dict(rope_scaling=ROPE["linear"]), ["rope_theta"]),
    ("llama", dict(rope_scaling={"type": "linear", "factor": 3.0}), []),
    ("llama", dict(rope_scaling=ROPE["linear"], rope_parameters={"rope_type": "default", "rope_theta": 77.0}), []),
    ("llama", dict(rope_parameters={"rope_type": "default", "rope_theta": 77.0}), []),
    ("llama", dict(rope_parameters={"rope_type": "default"}, rope_scaling={}), []),
    ("llama", dict(rope_parameters={"rope_type": "default"}, rope_scaling=None), ["rope_theta"]),
    ("llama", dict(rope_scaling=ROPE["llama3"]), []),
    ("llama", dict(rope_scaling=ROPE["llama3"]), ["max_position_embeddings"]),
    ("llama", dict(rope_scaling=dict(ROPE["llama3"], original_max_position_embeddings=16)), []),
    ("llama", dict(rope_parameters=dict(ROPE["llama3"], original_max_position_embeddings=16, rope_theta=9.0)), []),
    ("llama", dict(rope_scaling=ROPE["yarn"]), []),
    ("llama", dict(rope_scaling=dict(ROPE["yarn"], original_max_position_embeddings=16, beta_fast=20.0, beta_slow=0.5)), []),
    ("llama", dict(rope_scaling=dict(ROPE["yarn"], original_max_position_embeddings=16, beta_fast=None, beta_slow=0, truncate=False)), []),
    ("llama", dict(rope_scaling=dict(ROPE["yarn"], mscale=2.0, mscale_all_dim=0.5)), []),
    ("llama", dict(rope_scaling=dict(ROPE["yarn"], mscale=2.0)), []),
    ("llama", dict(rope_scaling=dict(ROPE["yarn"], mscale=2.0, mscale_all_dim=0.5, attention_factor=0.75)), []),
    ("llama", dict(rope_scaling=dict(ROPE["yarn"], factor=None, original_max_position_embeddings=16)), []),
    ("llama", dict(rope_scaling={"type": "dynamic", "factor": 3.0}), []),
    ("llama", dict(rope_scaling=ROPE["longrope"]), []),
    ("llama", dict(rope_scaling=dict(ROPE["longrope"], original_max_position_embeddings=16)), []),
    ("llama", dict(rope_scaling=dict(ROPE["longrope"], original_max_position_embeddings=16, factor=3.0), original_max_position_embeddings=20), []),
    ("llama", dict(rope_scaling=dict(ROPE["longrope"], original_max_position_embeddings=16, factor=3.0, attention_factor=0.75)), []),
    ("phi3", dict(rope_scaling={"type": "longrope", "short_factor": SHORT, "long_factor": LONG}), []),
    ("phi3", dict(rope_scaling={"type": "longrope", "short_factor": SHORT, "long_factor": LONG}, original_max_position_embeddings=16), []),
    ("phi3", dict(rope_scaling={"type": "su", "short_factor": SHORT, "long_factor": LONG, "original_max_position_embeddings": 16},
                  original_max_position_embeddings=16), []),
    ("phi3", dict(rope_parameters={"rope_type": "longrope", "short_factor": SHORT, "long_factor": LONG, "original_max_position_embeddings": 16,
                                   "partial_rotary_factor": 0.25}), ["partial_rotary_factor"]),
    ("mistral", dict(rope_parameters={"rope_type": "default", "rope_theta": 77.0}), ["rope_theta"]),
    ("gpt_neox", dict(rope_parameters={"rope_type": "default", "rope_theta": 77.0, "partial_rotary_factor": 0.75}), []),
    ("gptj", dict(hidden_size=1600), ["n_embd"]),
    ("phi", dict(rope_scaling=ROPE["linear"]), ["partial_rotary_factor"]),
    ("gpt_neo", dict(num_layers=24, attention_types=None), []),
    ("gpt_neo", dict(num_attention_heads=6, num_hidden_layers=2, attention_types=[[["global", "local"], 1]]), []),
    ("gpt_neo", dict(attention_types=[[["local", "global", "local"], 1]]), []),
    ("qwen2", dict(max_window_layers=2), []),
    ("qwen2", dict(use_sliding_window=False), []),
    ("qwen2", dict(layer_types=["sliding_attention", "full_attention", "sliding_attention"]), ["max_window_layers"]),
    ("gemma", dict(hidden_act="gelu"), []),
    ("modernbert", dict(rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 77.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 66.0}}),
     ["global_rope_theta", "local_rope_theta"]),
    ("modernbert", dict(rope_parameters={"full_attention": {"rope_type": "default"}}), []),
    ("modernbert", dict(rope_parameters={"sliding_attention": {"rope_theta": 66}}, rope_scaling=None), []),
    ("modernbert", dict(layer_types=["full_attention", "full_attention", "sliding_attention", "sliding_attention", "full_attention"]), []),
    ("modernbert", dict(layer_types=None, local_attention=15), ["global_attn_every_n_layers"]),
    ("gemma2", dict(layer_types=["full_attention", "full_attention", "sliding_attention"]), []),
]


def plain(family, given):
    """The config's own value of every key of the family's base, and RoPE in one spelling."""
    config = CLASS[family].from_dict({k: v for k, v in given.items()})
    rope = ("rope_theta", "rotary_emb_base", "rotary_pct", "partial_rotary_factor", "global_rope_theta", "local_rope_theta")
    out = {k: getattr(config, k) for k in BASE[family] if k not in rope and k != "global_attn_every_n_layers"}
    if family == "phi3":
        out["original_max_position_embeddings"] = config.original_max_position_embeddings
    if any(k in rope for k in BASE[family]):
        config.standardize_rope_params()  # as a model does it once more
        if getattr(config, "layer_types", None):
            out["layer_types"] = config.layer_types
        out["rope_parameters"] = {k: v for k, v in config.rope_parameters.items() if k != "type"}
    return out


def main():
    rows, also = [], []
    for family, base in BASE.items():
        for key in base:
            if (family, key) in BELONG:
                continue
            given = {k: v for k, v in base.items() if k != key}
            rows.append({"family": family, "key": key, "same": plain(family, given)})
            if key in NULLS and (family, key) not in REFUSED:
                also.append({"family": family, "given": dict(given, **{key: None}), "same": plain(family, dict(given, **{key: None}))})
    for family, changes, out in ALSO:
        given = {k: v for k, v in BASE[family].items() if k not in out}
        given.update(changes)
        also.append({"family": family, "given": given, "same": plain(family, json.loads(json.dumps(given)))})
    write = lambda title, items: "\n".join(f"  {json.dumps(i)}{',' if n + 1 < len(items) else ''}" for n, i in enumerate(items))
    print("{\"transformers\": " + json.dumps(tr.__version__) + ",\n \"base\": " + json.dumps(BASE) + ",\n \"left_out\": [\n" +
          write("", rows) + "],\n \"also\": [\n" + write("", also) + "]}")


if __name__ == "__main__":
    sys.exit(main())
