#!/usr/bin/env python3
"""Small models whose weights are pytorch_model.bin in the ways in which the hub has them, and what transformers computes from these folders.
Read by tests/models/test_torch_file.c. Needs torch, transformers and safetensors.

    make_torch_files.py [NAME...]     writes torch/NAME/ beside this file:
      config.json, pytorch_model.bin (or its pieces and their index)
      golden.safetensors                inputs (as F32 numbers), hidden states, logits and log-probabilities of the next tokens

    opt-zip-f16         one file, zip, F16, names with model.decoder., lm_head on the storage of the token table
    opt-old-f32         one file of before 2020, F32, names with decoder. and no lm_head, post-norm with projections (as OPT-350M)
    llama-shards-bf16   two zip files, BF16, an lm_head of its own, parameters (torch.nn.Parameter) in place of tensors
    gpt2-old-shards     two files of before 2020, F16, matrices as transposed views, all vectors as pieces of one storage, the buffers of old files

Weights are numbers that the file's type holds exactly."""
import json
import os
import shutil
import sys

import torch
import transformers as tr
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
VOCAB, HIDDEN, FFN, LAYERS, HEADS, POSITIONS = 64, 16, 24, 2, 4, 24
LENGTHS = [5, 11, 2, 9]
OPT = dict(vocab_size=VOCAB, hidden_size=HIDDEN, ffn_dim=FFN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, max_position_embeddings=POSITIONS,
           dropout=0.0, attention_dropout=0.0, pad_token_id=1, bos_token_id=2, eos_token_id=2)


def tied_zip(state, folder):
    state["lm_head.weight"] = state["model.decoder.embed_tokens.weight"]
    torch.save(state, os.path.join(folder, "pytorch_model.bin"))


def base_old(state, folder):
    state = {k.removeprefix("model."): v for k, v in state.items() if not k.startswith("lm_head.")}
    torch.save(state, os.path.join(folder, "pytorch_model.bin"), _use_new_zipfile_serialization=False)


def shards(state, folder, new):
    names = list(state)
    parts = [names[:len(names) // 2], names[len(names) // 2:]]
    where = {}
    for i, part in enumerate(parts):
        file = f"pytorch_model-{i + 1:05d}-of-00002.bin"
        torch.save({k: state[k] for k in part}, os.path.join(folder, file), _use_new_zipfile_serialization=new)
        where.update({k: file for k in part})
    with open(os.path.join(folder, "pytorch_model.bin.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": sum(v.nbytes for v in state.values())}, "weight_map": where}, f, indent=1)
        f.write("\n")


def parameters_in_shards(state, folder):
    shards({k: torch.nn.Parameter(v) for k, v in state.items()}, folder, True)


def views_in_old_shards(state, folder):
    vectors = [k for k, v in state.items() if v.ndim == 1]
    joined = torch.cat([state[k] for k in vectors])
    for k, piece in zip(vectors, joined.split([state[k].numel() for k in vectors])):
        state[k] = piece
    for k, v in state.items():
        if v.ndim == 2:
            state[k] = v.t().contiguous().t()
    for i in range(LAYERS):
        state[f"transformer.h.{i}.attn.bias"] = torch.ones(POSITIONS, POSITIONS).tril().bool().view(1, 1, POSITIONS, POSITIONS)
        state[f"transformer.h.{i}.attn.masked_bias"] = torch.tensor(-1e4, dtype=torch.half)
    state["lm_head.weight"] = state["transformer.wte.weight"]
    shards(state, folder, False)


MODELS = {  # name: (config, language model, type, how it is saved)
    "opt-zip-f16": (tr.OPTConfig(word_embed_proj_dim=HIDDEN, **OPT), tr.OPTForCausalLM, torch.float16, tied_zip),
    "opt-old-f32": (tr.OPTConfig(word_embed_proj_dim=HIDDEN // 2, do_layer_norm_before=False, **OPT), tr.OPTForCausalLM, torch.float32, base_old),
    "llama-shards-bf16": (tr.LlamaConfig(vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=FFN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
                                         num_key_value_heads=2, max_position_embeddings=POSITIONS, tie_word_embeddings=False, pad_token_id=1,
                                         bos_token_id=2, eos_token_id=3), tr.LlamaForCausalLM, torch.bfloat16, parameters_in_shards),
    "gpt2-old-shards": (tr.GPT2Config(vocab_size=VOCAB, n_embd=HIDDEN, n_inner=FFN, n_layer=LAYERS, n_head=HEADS, n_positions=POSITIONS, resid_pdrop=0.0,
                                      embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=2, eos_token_id=2), tr.GPT2LMHeadModel, torch.float16,
                        views_in_old_shards),
}


def draw(model, dtype):
    generator = torch.Generator().manual_seed(21)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            norm = p.ndim == 1 and name.endswith("weight")
            p.copy_(((1.0 + 0.2 * noise) if norm else (0.1 * noise) if p.ndim == 1 else (0.25 * noise)).to(dtype).float())


def make(name):
    config, model_type, dtype, save = MODELS[name]
    torch.manual_seed(0)
    model = model_type(config)
    draw(model, dtype)
    folder = os.path.join(HERE, "torch", name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    written = config.to_dict()
    written["architectures"] = [model_type.__name__]
    for key in ("dtype", "torch_dtype", "transformers_version", "_name_or_path", "id2label", "label2id"):
        written.pop(key, None)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(written, f, indent=1)
        f.write("\n")
    save({k: v.detach().to(dtype) for k, v in model.named_parameters()}, folder)

    read, notes = model_type.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not notes["missing_keys"] and not notes["mismatched_keys"], notes
    for (k, a), (_, b) in zip(model.named_parameters(), read.named_parameters()):
        assert torch.equal(a, b), k
    read.eval()
    generator = torch.Generator().manual_seed(22)
    out = {"ids": [], "targets": [], "hidden": [], "logits": [], "logprobs": []}
    for length in LENGTHS:
        ids = torch.randint(4, VOCAB, (length,), generator=generator)
        with torch.no_grad():
            hidden = read.base_model(input_ids=ids[None]).last_hidden_state[0]
            logits = read(input_ids=ids[None]).logits[0, :-1]
        out["ids"].append(ids)
        out["targets"].append(torch.cat([ids[1:], torch.tensor([-100])]))
        out["hidden"].append(hidden)
        out["logits"].append(logits)
        out["logprobs"].append(logits.double().log_softmax(-1).gather(1, ids[1:, None])[:, 0])
    golden = {k: torch.cat(v).float().contiguous() for k, v in out.items()}
    golden["lengths"] = torch.tensor(LENGTHS).float()
    save_file(golden, os.path.join(folder, "golden.safetensors"))
    size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
    print(f"{name}: {size} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for each in sys.argv[1:] or MODELS:
        make(each)
