#!/usr/bin/env python3
"""Configs with other than default values (RoPE scaling, activations, norms, biases, sizes of heads, ties), and what torch + transformers compute
from them. Read by tests/models/test_variants.c. Needs torch and transformers (5.x).

    make_variants.py [FAMILY...]        writes variants/FAMILY.json.gz beside this file

Weights stand in no file: element i of a tensor is a function of its name (`weight`), which the test computes too. A row: the config, names and
shapes of the tensors of base model and both heads, two sequences of ids (and segments), hidden states (T x width), log-probabilities (causal: of
each next token; masked: of `target` at every place) and the logits of a classifier with 3 classes."""
import gzip
import json
import os
import sys

import numpy as np
import torch
import transformers as tr

HERE = os.path.dirname(os.path.abspath(__file__))
IDS = [[7, 3, 22, 5, 5, 31, 9, 38, 12], [5, 14, 2, 39, 1]]
MASK64 = (1 << 64) - 1
ENCODER = dict(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24, max_position_embeddings=32)
BASE = {
    "bert": ENCODER,
    "roberta": ENCODER,
    "distilbert": dict(vocab_size=40, dim=16, n_layers=2, n_heads=4, hidden_dim=24, max_position_embeddings=32),
    "electra": dict(ENCODER, embedding_size=12),
    "albert": dict(ENCODER, embedding_size=12),
    "modernbert": dict(vocab_size=40, hidden_size=16, num_hidden_layers=4, num_attention_heads=4, intermediate_size=24, max_position_embeddings=32, pad_token_id=0,
                       global_rope_theta=50.0, local_rope_theta=20.0, local_attention=4),
    "gpt2": dict(vocab_size=40, n_embd=16, n_layer=2, n_head=4, n_positions=32, bos_token_id=1, eos_token_id=1),
    "opt": dict(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, ffn_dim=24, max_position_embeddings=32, pad_token_id=0),
    "llama": dict(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24),
    "mistral": dict(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=24),
    "qwen2": dict(vocab_size=40, hidden_size=16, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, intermediate_size=24),
    "gpt_neox": dict(vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24, max_position_embeddings=32,
                     rotary_emb_base=50.0),
    "qwen3": dict(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=6, intermediate_size=24),
    "gemma": dict(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=1, head_dim=6, intermediate_size=24),
    "gemma2": dict(vocab_size=40, hidden_size=16, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=6, intermediate_size=24),
    "gptj": dict(vocab_size=40, n_embd=32, n_layer=2, n_head=4, n_positions=32, rotary_dim=4, bos_token_id=1, eos_token_id=1),
    "phi": dict(vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24, max_position_embeddings=32,
                rope_theta=50.0),
    "phi3": dict(vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24, max_position_embeddings=32,
                 rope_theta=50.0, pad_token_id=0),
    "gpt_neo": dict(vocab_size=40, hidden_size=16, num_layers=2, num_heads=4, max_position_embeddings=32, attention_types=[[["global", "local"], 1]],
                    bos_token_id=1, eos_token_id=1),
}
CLASSES = {
    "bert": (tr.BertConfig, tr.BertForMaskedLM, tr.BertForSequenceClassification),
    "roberta": (tr.RobertaConfig, tr.RobertaForMaskedLM, tr.RobertaForSequenceClassification),
    "distilbert": (tr.DistilBertConfig, tr.DistilBertForMaskedLM, tr.DistilBertForSequenceClassification),
    "electra": (tr.ElectraConfig, tr.ElectraForMaskedLM, tr.ElectraForSequenceClassification),
    "albert": (tr.AlbertConfig, tr.AlbertForMaskedLM, tr.AlbertForSequenceClassification),
    "modernbert": (tr.ModernBertConfig, tr.ModernBertForMaskedLM, tr.ModernBertForSequenceClassification),
    "gpt2": (tr.GPT2Config, tr.GPT2LMHeadModel, tr.GPT2ForSequenceClassification),
    "opt": (tr.OPTConfig, tr.OPTForCausalLM, tr.OPTForSequenceClassification),
    "llama": (tr.LlamaConfig, tr.LlamaForCausalLM, tr.LlamaForSequenceClassification),
    "mistral": (tr.MistralConfig, tr.MistralForCausalLM, tr.MistralForSequenceClassification),
    "qwen2": (tr.Qwen2Config, tr.Qwen2ForCausalLM, tr.Qwen2ForSequenceClassification),
    "gpt_neox": (tr.GPTNeoXConfig, tr.GPTNeoXForCausalLM, tr.GPTNeoXForSequenceClassification),
    "qwen3": (tr.Qwen3Config, tr.Qwen3ForCausalLM, tr.Qwen3ForSequenceClassification),
    "gemma": (tr.GemmaConfig, tr.GemmaForCausalLM, tr.GemmaForSequenceClassification),
    "gemma2": (tr.Gemma2Config, tr.Gemma2ForCausalLM, tr.Gemma2ForSequenceClassification),
    "gptj": (tr.GPTJConfig, tr.GPTJForCausalLM, tr.GPTJForSequenceClassification),
    "phi": (tr.PhiConfig, tr.PhiForCausalLM, tr.PhiForSequenceClassification),
    "phi3": (tr.Phi3Config, tr.Phi3ForCausalLM, tr.Phi3ForSequenceClassification),
    "gpt_neo": (tr.GPTNeoConfig, tr.GPTNeoForCausalLM, tr.GPTNeoForSequenceClassification),
}
DEAD = {"bert": ("cls.predictions.bias",), "albert": ("predictions.bias",), "roberta": ("lm_head.bias",)}  # where the decoder is untied
STORED = {"gpt_neox": {"lm_head.weight": "embed_out.weight"}}  # names in checkpoints that are not the model's own
LLAMA3 = dict(rope_type="llama3", factor=2.0, low_freq_factor=2.0, high_freq_factor=6.0, original_max_position_embeddings=24)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=24, rope_theta=50.0)  # of 24 / 2 pi turns, and of those 2 make a difference
YARN_ENDS = dict(YARN, beta_fast=3.0, beta_slow=0.5)
LONG = dict(rope_type="longrope", short_factor=[1.0, 1.5], long_factor=[1.25, 3.0], original_max_position_embeddings=6, rope_theta=50.0)  # one text is longer
LONG3 = dict(short_factor=[1.0, 1.5, 2.0, 2.5], long_factor=[1.25, 2.0, 3.0, 5.0])
VARIANTS = (
    [("bert", dict(hidden_act=a)) for a in ("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_accurate", "gelu_python",
                                            "gelu_python_tanh", "relu", "silu", "swish", "tanh")] +
    [("bert", dict(layer_norm_eps=0.5)), ("bert", dict(type_vocab_size=4)), ("bert", dict(tie_word_embeddings=False)),
     ("bert", dict(num_attention_heads=1)), ("bert", dict(num_attention_heads=8, intermediate_size=5)),
     ("roberta", dict(pad_token_id=5)), ("roberta", dict(pad_token_id=0, type_vocab_size=1)), ("roberta", dict(hidden_act="relu")),
     ("roberta", dict(layer_norm_eps=0.5, tie_word_embeddings=False)),
     ("distilbert", dict(activation="relu")), ("distilbert", dict(activation="silu", tie_word_embeddings=False)), ("distilbert", dict(n_heads=2)),
     ("electra", dict()), ("electra", dict(embedding_size=20)), ("electra", dict(embedding_size=16)), ("electra", dict(embedding_size=30, hidden_act="relu")),
     ("electra", dict(tie_word_embeddings=False, layer_norm_eps=0.5, type_vocab_size=3)),
     ("albert", dict()), ("albert", dict(embedding_size=16)), ("albert", dict(embedding_size=20, num_hidden_layers=5, num_hidden_groups=2)),
     ("albert", dict(num_hidden_layers=3, num_hidden_groups=3)), ("albert", dict(num_hidden_layers=4, num_hidden_groups=3, hidden_act="relu")),
     ("albert", dict(tie_word_embeddings=False, layer_norm_eps=0.5, type_vocab_size=3)), ("albert", dict(num_hidden_layers=1)),
     ("modernbert", dict()), ("modernbert", dict(local_attention=16)), ("modernbert", dict(local_attention=17, num_hidden_layers=2)),
     ("modernbert", dict(local_attention=1)), ("modernbert", dict(local_attention=5, global_attn_every_n_layers=1)), ("modernbert", dict(num_hidden_layers=1)),
     ("modernbert", dict(norm_bias=True, attention_bias=True, mlp_bias=True, classifier_bias=True, norm_eps=0.5)),
     ("modernbert", dict(tie_word_embeddings=False)), ("modernbert", dict(tie_word_embeddings=False, decoder_bias=False, num_hidden_layers=3)),
     ("modernbert", dict(hidden_activation="relu", classifier_activation="silu", decoder_bias=False, global_attn_every_n_layers=2)),
     ("modernbert", dict(num_hidden_layers=3, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                         rope_parameters=dict(full_attention=dict(rope_type="default", rope_theta=30.0), sliding_attention=dict(rope_type="default", rope_theta=9.0)))),
     ("gpt2", dict(n_inner=9)), ("gpt2", dict(layer_norm_epsilon=0.5, tie_word_embeddings=False))] +
    [("gpt2", dict(activation_function=a)) for a in ("gelu", "relu", "silu", "tanh", "gelu_pytorch_tanh")] +
    [("opt", dict()), ("opt", dict(activation_function="gelu")), ("opt", dict(do_layer_norm_before=False)), ("opt", dict(word_embed_proj_dim=8)),
     ("opt", dict(word_embed_proj_dim=24, do_layer_norm_before=False)), ("opt", {"_remove_final_layer_norm": True}),
     ("opt", dict(enable_bias=False)), ("opt", dict(tie_word_embeddings=False)),
     ("llama", dict()), ("llama", dict(rope_theta=50.0)), ("llama", dict(rope_theta=50.0, rope_scaling=dict(type="linear", factor=3.5))),
     ("llama", dict(rope_parameters=dict(rope_type="linear", factor=0.25, rope_theta=50.0))),
     ("llama", dict(rope_theta=50.0, rope_scaling=LLAMA3)), ("llama", dict(rope_parameters=dict(LLAMA3, rope_theta=7.0, factor=5.0))),
     ("llama", dict(rope_theta=50.0, max_position_embeddings=30, rope_scaling={k: v for k, v in LLAMA3.items() if "original" not in k})),
     ("llama", dict(head_dim=6)), ("llama", dict(head_dim=2, num_key_value_heads=1)), ("llama", dict(num_key_value_heads=2, rope_theta=50.0)),
     ("llama", dict(attention_bias=True)), ("llama", dict(mlp_bias=True)), ("llama", dict(rms_norm_eps=0.5)),
     ("llama", dict(tie_word_embeddings=True)), ("llama", dict(hidden_act="gelu")), ("llama", dict(hidden_act="gelu_pytorch_tanh")),
     ("llama", dict(hidden_act="relu", attention_bias=True, mlp_bias=True, head_dim=10, num_key_value_heads=2)),
     ("llama", dict(rope_parameters=YARN)), ("llama", dict(rope_parameters=dict(YARN, beta_fast=2.0, beta_slow=0.25), head_dim=8)),
     ("llama", dict(rope_parameters=YARN_ENDS, head_dim=16)), ("llama", dict(rope_parameters=dict(YARN_ENDS, truncate=False), head_dim=16)),
     ("llama", dict(rope_parameters=dict(YARN_ENDS, attention_factor=0.75), head_dim=16)),
     ("llama", dict(rope_parameters=dict(YARN_ENDS, mscale=1.5, mscale_all_dim=0.5), head_dim=16, num_key_value_heads=2)),
     ("llama", dict(rope_theta=50.0, rope_scaling={"type": "yarn", "factor": 2.5}, max_position_embeddings=24, head_dim=16)),
     ("llama", dict(rope_parameters=dict(YARN, factor=0.5), head_dim=8)),
     ("llama", dict(rope_theta=50.0, rope_scaling=dict(type="dynamic", factor=3.0), max_position_embeddings=9)),
     ("llama", dict(rope_parameters=LONG, max_position_embeddings=24)), ("llama", dict(rope_parameters=dict(LONG, factor=1.0))),
     ("llama", dict(rope_parameters=dict(LONG, factor=3.0, attention_factor=0.75))), ("llama", dict(rope_parameters=dict(LONG, factor=3.0), original_max_position_embeddings=4)),
     ("mistral", dict()), ("mistral", dict(sliding_window=None)), ("mistral", dict(sliding_window=1)), ("mistral", dict(sliding_window=8)),
     ("mistral", dict(sliding_window=3, head_dim=6, rope_theta=50.0)), ("mistral", dict(tie_word_embeddings=True, sliding_window=4)),
     ("qwen2", dict()), ("qwen2", dict(tie_word_embeddings=True)), ("qwen2", dict(use_sliding_window=True, sliding_window=2, max_window_layers=1)),
     ("qwen2", dict(sliding_window=2)), ("qwen2", dict(use_sliding_window=True, sliding_window=3, max_window_layers=0)),
     ("qwen2", dict(use_sliding_window=True, sliding_window=3, layer_types=["sliding_attention", "full_attention", "sliding_attention"])),
     ("qwen2", dict(rope_parameters=dict(rope_type="default", rope_theta=50.0))),
     ("gpt_neox", dict()), ("gpt_neox", dict(use_parallel_residual=False)), ("gpt_neox", dict(rotary_pct=1.0)), ("gpt_neox", dict(rotary_pct=0.8)),
     ("gpt_neox", dict(use_parallel_residual=False, rotary_pct=0.5, hidden_act="gelu_new", tie_word_embeddings=True)),
     ("gpt_neox", dict(tie_word_embeddings=True, layer_norm_eps=0.5)), ("gpt_neox", dict(attention_bias=False)),
     ("gpt_neox", dict(rope_scaling=dict(type="linear", factor=2.5), rotary_pct=0.5)), ("gpt_neox", dict(num_attention_heads=1, intermediate_size=130)),
     ("gpt_neox", dict(rope_parameters=dict(rope_type="default", rope_theta=20.0, partial_rotary_factor=0.75))),
     ("qwen3", dict()), ("qwen3", dict(attention_bias=True, rope_theta=50.0)), ("qwen3", dict(use_sliding_window=True, sliding_window=3, max_window_layers=1)),
     ("qwen3", dict(tie_word_embeddings=True, rms_norm_eps=0.5)),
     ("gemma", dict()), ("gemma", dict(hidden_act="gelu")), ("gemma", dict(hidden_act="relu", tie_word_embeddings=False)), ("gemma", dict(attention_bias=True)),
     ("gemma2", dict()), ("gemma2", dict(sliding_window=2, query_pre_attn_scalar=3)), ("gemma2", dict(attn_logit_softcapping=0.5)),
     ("gemma2", dict(final_logit_softcapping=0.5)), ("gemma2", dict(attn_logit_softcapping=None, final_logit_softcapping=None, attention_bias=True)),
     ("gemma2", dict(tie_word_embeddings=False, hidden_activation="gelu", sliding_window=3,
                     layer_types=["full_attention", "sliding_attention", "sliding_attention"])),
     ("gptj", dict()), ("gptj", dict(rotary_dim=8)), ("gptj", dict(rotary_dim=2, n_inner=9, activation_function="gelu")),
     ("gptj", dict(tie_word_embeddings=True, layer_norm_epsilon=0.5)), ("gptj", dict(n_head=2, rotary_dim=14)),
     ("phi", dict()), ("phi", dict(partial_rotary_factor=0.25, num_key_value_heads=1)), ("phi", dict(tie_word_embeddings=True, num_key_value_heads=2)),
     ("phi", dict(rope_scaling=dict(type="linear", factor=2.5))), ("phi", dict(partial_rotary_factor=1.0, hidden_act="relu", layer_norm_eps=0.5)),
     ("phi", dict(rope_parameters=dict(rope_type="default", rope_theta=20.0, partial_rotary_factor=0.75))),
     ("phi", dict(rope_parameters=dict(YARN_ENDS, partial_rotary_factor=0.75))),
     ("phi3", dict()), ("phi3", dict(sliding_window=3)), ("phi3", dict(sliding_window=9, num_key_value_heads=2)), ("phi3", dict(tie_word_embeddings=True)),
     ("phi3", dict(rope_scaling=dict(LONG3, type="longrope"), original_max_position_embeddings=6)),
     ("phi3", dict(rope_scaling=dict(LONG3, type="su", original_max_position_embeddings=6), original_max_position_embeddings=6, sliding_window=4, num_key_value_heads=1)),
     ("phi3", dict(rope_scaling=dict(LONG3, type="yarn"), original_max_position_embeddings=40)),
     ("phi3", dict(rope_parameters=dict(LONG3, rope_type="longrope", rope_theta=20.0, original_max_position_embeddings=6))),
     ("phi3", dict(partial_rotary_factor=0.75, rope_scaling=dict(type="longrope", short_factor=[1, 1.5, 2], long_factor=[2, 3, 4]),
                   original_max_position_embeddings=7)),
     ("phi3", dict(partial_rotary_factor=0.5, rms_norm_eps=0.5, hidden_act="gelu")),
     ("gpt_neo", dict()), ("gpt_neo", dict(window_size=1)), ("gpt_neo", dict(window_size=4)), ("gpt_neo", dict(window_size=9, intermediate_size=9)),
     ("gpt_neo", dict(tie_word_embeddings=False, window_size=3, attention_types=[[["local"], 2]])),
     ("gpt_neo", dict(num_layers=3, window_size=3, attention_types=[[["local"], 1], [["global"], 2]], activation_function="relu", layer_norm_epsilon=0.5)),
     ("gpt_neo", dict(num_layers=3, window_size=2, attention_types=[[["global", "local"], 1], [[], 5], [["local", "local"], 0], [["local"], 1]], num_heads=2))]
)


def weight(name, shape):
    """splitmix64 from the FNV-1a hash of the name: a multiple of 1/2048 within +-1/4 (vectors 1/8), a norm's weight around 1."""
    h = 0xcbf29ce484222325
    for b in name.encode():
        h = (h ^ b) * 0x100000001b3 & MASK64
    n = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = np.uint64(h) + (np.arange(n, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    value = ((z >> np.uint64(54)).astype(np.float64) - 512) / 2048
    if len(shape) == 1:
        value = value / 2 + (1 if name.endswith("weight") else 0)
    return torch.tensor(value.reshape(shape), dtype=torch.float32)


def rounded(t):
    return [float(f"{v:.8g}") for v in t.detach().double().flatten().tolist()]


def make(family, changes):
    config_class, lm_class, class_class = CLASSES[family]
    given = dict(BASE[family], **changes)
    config = config_class.from_dict(dict(json.loads(json.dumps(given)), num_labels=3))
    config._attn_implementation = "eager"
    lm, classifier = lm_class(config).eval(), class_class(config).eval()
    shapes = {}
    for model in (lm, classifier):
        with torch.no_grad():
            for name, p in model.named_parameters():
                if name not in DEAD.get(family, ()) or config.tie_word_embeddings:
                    name = STORED.get(family, {}).get(name, name)
                    p.copy_(weight(name, tuple(p.shape)))
                    shapes[name] = list(p.shape)
    causal = "Masked" not in lm_class.__name__
    segments = getattr(config, "type_vocab_size", 0) if family in ("bert", "electra", "albert") else 0
    row = dict(family=family, changes=changes, config=dict(given, model_type=family), tensors=shapes, ids=IDS, hidden=[], logprob=[], logits=[])
    row["types"] = [[(i * 7 // 3) % segments if segments else 0 for i in range(len(ids))] for ids in IDS]
    row["target"] = [[(i + 3) % 40 for i in ids] for ids in IDS]
    for ids, types, target in zip(IDS, row["types"], row["target"]):
        inputs = dict(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long))
        if segments:
            inputs["token_type_ids"] = torch.tensor([types])
        with torch.no_grad():
            row["hidden"] += rounded(lm.base_model(**inputs).last_hidden_state)
            logp = torch.log_softmax(lm(**inputs).logits[0].double(), -1)
            row["logprob"] += rounded(logp[:-1].gather(1, torch.tensor(ids[1:])[:, None]) if causal else
                                      logp.gather(1, torch.tensor(target)[:, None]))
            row["logits"] += rounded(classifier(**inputs).logits)
    return row


if __name__ == "__main__":
    torch.set_num_threads(1)
    for wanted in sys.argv[1:] or BASE:
        rows = [make(family, changes) for family, changes in VARIANTS if family == wanted]
        text = '{"transformers": ' + json.dumps(tr.__version__) + ', "variants": [\n' + ",\n".join(json.dumps(r) for r in rows) + "\n]}\n"
        with gzip.GzipFile(os.path.join(HERE, "variants", wanted + ".json.gz"), "wb", mtime=0) as f:
            f.write(text.encode())
        print(wanted, len(rows), "variants,", len(text), "bytes")
