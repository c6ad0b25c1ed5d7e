#!/usr/bin/env python3
"""Small random checkpoints of every family, and what torch + transformers compute from them: hidden states, logits, losses and
the gradient of every parameter. Read by tests/models/test_models.c. Needs torch, transformers and safetensors.

    make_models.py [FAMILY...]        writes models/FAMILY/ beside this file:
      config.json, model.safetensors      a Hugging Face folder with base model, classification head and language-model head (BF16)
      golden.safetensors                  inputs (as F32 numbers) and outputs
      grad-class/, grad-lm/               model.safetensors with gradients instead of weights, under the same names

Weights are numbers that BF16 holds exactly, and larger than a fresh initialisation's, so that every part of the model matters to
the outputs. Attention is transformers' eager one; sequences are padded on the right inside torch only."""
import json
import os
import shutil
import sys

import torch
import transformers as tr
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
VOCAB, HIDDEN, FFN, LAYERS, HEADS, POSITIONS, CLASSES = 96, 32, 48, 2, 4, 40, 3
LENGTHS = [5, 11, 2, 17, 1, 8]
PAD = 1

BERT = dict(vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=FFN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=PAD)
OPT = dict(vocab_size=VOCAB, hidden_size=HIDDEN, ffn_dim=FFN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
           max_position_embeddings=POSITIONS, dropout=0.0, attention_dropout=0.0, pad_token_id=PAD, bos_token_id=2, eos_token_id=2)
LLAMA = dict(vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=FFN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
             pad_token_id=PAD, bos_token_id=2, eos_token_id=3)
SMALL = dict(LLAMA, hidden_size=16, intermediate_size=24)  # of families that differ from LLaMA in a thing or two
FAMILIES = {  # name: (config, sequence classifier, language model, segments)
    "bert": (tr.BertConfig(max_position_embeddings=POSITIONS, type_vocab_size=2, **BERT),
             tr.BertForSequenceClassification, tr.BertForMaskedLM, 2),
    "roberta": (tr.RobertaConfig(max_position_embeddings=POSITIONS + 2, type_vocab_size=1, layer_norm_eps=1e-5, **BERT),
                tr.RobertaForSequenceClassification, tr.RobertaForMaskedLM, 1),
    "distilbert": (tr.DistilBertConfig(vocab_size=VOCAB, dim=HIDDEN, hidden_dim=FFN, n_layers=LAYERS, n_heads=HEADS,
                                       max_position_embeddings=POSITIONS, dropout=0.0, attention_dropout=0.0,
                                       seq_classif_dropout=0.0, pad_token_id=PAD),
                   tr.DistilBertForSequenceClassification, tr.DistilBertForMaskedLM, 0),
    "electra": (tr.ElectraConfig(embedding_size=24, max_position_embeddings=POSITIONS, type_vocab_size=2, classifier_dropout=0.0, **dict(BERT, hidden_size=16)),
                tr.ElectraForSequenceClassification, tr.ElectraForMaskedLM, 2),
    "albert": (tr.AlbertConfig(embedding_size=24, max_position_embeddings=POSITIONS, type_vocab_size=2, classifier_dropout_prob=0.0,
                               **dict(BERT, hidden_size=16, num_hidden_layers=5, num_hidden_groups=2)),
               tr.AlbertForSequenceClassification, tr.AlbertForMaskedLM, 2),
    "modernbert": (tr.ModernBertConfig(vocab_size=VOCAB, hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=HEADS,
                                       max_position_embeddings=POSITIONS, local_attention=6, global_attn_every_n_layers=3, embedding_dropout=0.0,
                                       rope_parameters=dict(full_attention=dict(rope_type="default", rope_theta=100.0),
                                                            sliding_attention=dict(rope_type="default", rope_theta=20.0)),
                                       mlp_dropout=0.0, attention_dropout=0.0, classifier_dropout=0.0, pad_token_id=PAD, bos_token_id=2, eos_token_id=3),
                   tr.ModernBertForSequenceClassification, tr.ModernBertForMaskedLM, 0),
    "gpt2": (tr.GPT2Config(vocab_size=VOCAB, n_embd=HIDDEN, n_inner=FFN, n_layer=LAYERS, n_head=HEADS, n_positions=POSITIONS,
                           resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, pad_token_id=PAD, bos_token_id=2, eos_token_id=2),
             tr.GPT2ForSequenceClassification, tr.GPT2LMHeadModel, 0),
    "opt": (tr.OPTConfig(word_embed_proj_dim=HIDDEN, **OPT), tr.OPTForSequenceClassification, tr.OPTForCausalLM, 0),
    "opt-post-norm": (tr.OPTConfig(word_embed_proj_dim=HIDDEN // 2, do_layer_norm_before=False, **OPT),
                      tr.OPTForSequenceClassification, tr.OPTForCausalLM, 0),
    "llama": (tr.LlamaConfig(num_key_value_heads=2, max_position_embeddings=POSITIONS, tie_word_embeddings=False, rms_norm_eps=1e-5,
                             rope_parameters=dict(rope_type="llama3", rope_theta=100.0, factor=4.0, low_freq_factor=1.0,
                                                  high_freq_factor=4.0, original_max_position_embeddings=16), **LLAMA),
              tr.LlamaForSequenceClassification, tr.LlamaForCausalLM, 0),
    "llama-tied": (tr.LlamaConfig(num_key_value_heads=1, max_position_embeddings=POSITIONS, tie_word_embeddings=True,
                                  rms_norm_eps=1e-6, **LLAMA),
                   tr.LlamaForSequenceClassification, tr.LlamaForCausalLM, 0),
    "mistral": (tr.MistralConfig(num_key_value_heads=2, max_position_embeddings=POSITIONS, sliding_window=6, **SMALL),
                tr.MistralForSequenceClassification, tr.MistralForCausalLM, 0),
    "qwen2": (tr.Qwen2Config(num_key_value_heads=2, max_position_embeddings=POSITIONS, use_sliding_window=True, sliding_window=4, max_window_layers=1,
                             tie_word_embeddings=True, **SMALL),
              tr.Qwen2ForSequenceClassification, tr.Qwen2ForCausalLM, 0),
    "gpt-neox": (tr.GPTNeoXConfig(vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=FFN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
                                  max_position_embeddings=POSITIONS, rope_parameters=dict(rope_type="default", rope_theta=100.0, partial_rotary_factor=0.5),
                                  pad_token_id=PAD, bos_token_id=2, eos_token_id=3, classifier_dropout=0.0),
                 tr.GPTNeoXForSequenceClassification, tr.GPTNeoXForCausalLM, 0),
    "qwen3": (tr.Qwen3Config(num_key_value_heads=2, head_dim=6, max_position_embeddings=POSITIONS, tie_word_embeddings=True, **SMALL),
              tr.Qwen3ForSequenceClassification, tr.Qwen3ForCausalLM, 0),
    "gemma": (tr.GemmaConfig(num_key_value_heads=1, head_dim=6, max_position_embeddings=POSITIONS, **SMALL),
              tr.GemmaForSequenceClassification, tr.GemmaForCausalLM, 0),
    "gemma2": (tr.Gemma2Config(num_key_value_heads=2, head_dim=6, max_position_embeddings=POSITIONS, sliding_window=5, query_pre_attn_scalar=9,
                               attn_logit_softcapping=2.0, final_logit_softcapping=3.0, **SMALL),
               tr.Gemma2ForSequenceClassification, tr.Gemma2ForCausalLM, 0),
    "gptj": (tr.GPTJConfig(vocab_size=VOCAB, n_embd=HIDDEN, n_inner=FFN, n_layer=LAYERS, n_head=HEADS, n_positions=POSITIONS, rotary_dim=4,
                           pad_token_id=PAD, bos_token_id=2, eos_token_id=2),
             tr.GPTJForSequenceClassification, tr.GPTJForCausalLM, 0),
    "phi": (tr.PhiConfig(num_key_value_heads=2, max_position_embeddings=POSITIONS, rope_parameters=dict(rope_type="default", rope_theta=100.0), **LLAMA),
            tr.PhiForSequenceClassification, tr.PhiForCausalLM, 0),
    "phi3": (tr.Phi3Config(num_key_value_heads=2, max_position_embeddings=POSITIONS, sliding_window=6, original_max_position_embeddings=1,  # all texts are long
                           rope_parameters=dict(rope_type="longrope", rope_theta=100.0, partial_rotary_factor=0.75, attention_factor=1.25,
                                                short_factor=[1.0, 1.5, 2.0], long_factor=[1.25, 2.0, 4.0]), **LLAMA),
             tr.Phi3ForSequenceClassification, tr.Phi3ForCausalLM, 0),
    "gpt-neo": (tr.GPTNeoConfig(vocab_size=VOCAB, hidden_size=16, intermediate_size=24, num_layers=LAYERS, num_heads=HEADS, max_position_embeddings=POSITIONS,
                                attention_types=[[["global", "local"], 1]], window_size=6, embed_dropout=0.0, resid_dropout=0.0, attention_dropout=0.0,
                                classifier_dropout=0.0, pad_token_id=PAD, bos_token_id=2, eos_token_id=2),
                tr.GPTNeoForSequenceClassification, tr.GPTNeoForCausalLM, 0),
}


def draw(model, seed):
    """Weights with a spread that makes attention, gates and norms matter, rounded to BF16."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            norm = p.ndim == 1 and name.endswith("weight")
            p.copy_(((1.0 + 0.2 * noise) if norm else (0.1 * noise) if p.ndim == 1 else (0.25 * noise)).bfloat16().float())


def named(model):
    return {name: p for name, p in model.named_parameters()}


def make(family):
    config, class_type, lm_type, segments = FAMILIES[family]
    config.num_labels = CLASSES
    config._attn_implementation = "eager"
    torch.manual_seed(0)
    classifier, lm = class_type(config).eval(), lm_type(config).eval()
    draw(classifier, 11)
    draw(lm, 12)
    with torch.no_grad():  # one base model for both heads
        shared = named(classifier)
        for name, p in lm.named_parameters():
            if name in shared:
                p.copy_(shared[name])
    causal = "Masked" not in lm_type.__name__
    folder = os.path.join(HERE, "models", family)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    tensors = {**named(classifier), **named(lm)}
    save_file({k: v.detach().bfloat16().contiguous() for k, v in tensors.items()}, os.path.join(folder, "model.safetensors"))
    written = config.to_dict()
    written["architectures"] = [lm_type.__name__]
    for key in ("dtype", "torch_dtype", "transformers_version", "_name_or_path", "id2label", "label2id"):
        written.pop(key, None)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(written, f, indent=1)
        f.write("\n")

    generator = torch.Generator().manual_seed(13)
    n, most = len(LENGTHS), max(LENGTHS)
    ids = torch.full((n, most), PAD)
    mask = torch.zeros((n, most), dtype=torch.long)
    types = torch.zeros((n, most), dtype=torch.long)
    for i, length in enumerate(LENGTHS):
        ids[i, :length] = torch.randint(4, VOCAB, (length,), generator=generator)
        mask[i, :length] = 1
        if segments > 1:
            types[i, :length] = (torch.arange(length) >= length // 2).long()
    labels = torch.randint(0, CLASSES, (n,), generator=generator)
    real = mask.bool()
    targets = torch.full((n, most), -100)
    if causal:
        targets[:, :-1] = torch.where(mask[:, 1:].bool(), ids[:, 1:], -100)
    else:
        chosen = (torch.rand((n, most), generator=generator) < 0.3) & real
        chosen[:, 0] = True  # every sequence is asked something
        targets[chosen] = torch.randint(0, VOCAB, (int(chosen.sum()),), generator=generator)
    inputs = dict(input_ids=ids, attention_mask=mask)
    if segments:
        inputs["token_type_ids"] = types

    out = {"ids": ids[real], "types": types[real], "lengths": torch.tensor(LENGTHS), "labels": labels, "targets": targets[real]}
    base = lm.base_model
    with torch.no_grad():
        out["hidden"] = base(**inputs).last_hidden_state[real]
    logits = classifier(**inputs).logits
    loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    out["class_logits"], out["class_loss"] = logits.detach(), loss.detach().reshape(1)
    logits = lm(**inputs).logits
    asked = targets >= 0
    loss = torch.nn.functional.cross_entropy(logits[asked], targets[asked])
    loss.backward()
    out["lm_logits"], out["lm_loss"] = logits[asked].detach(), loss.detach().reshape(1)
    save_file({k: v.float().contiguous() for k, v in out.items()}, os.path.join(folder, "golden.safetensors"))
    for which, model in (("grad-class", classifier), ("grad-lm", lm)):
        os.makedirs(os.path.join(folder, which))
        gradients = {k: p.grad.contiguous() for k, p in named(model).items() if p.grad is not None}
        save_file(gradients, os.path.join(folder, which, "model.safetensors"))
        missing = [k for k, p in named(model).items() if p.grad is None]
        if missing:
            print(f"{family} {which}: no gradient for {missing}")
    size = sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(folder) for f in files)
    print(f"{family}: {len(tensors)} tensors, class loss {float(out['class_loss']):.6f}, lm loss {float(out['lm_loss']):.6f}, {size} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or FAMILIES:
        make(name)
