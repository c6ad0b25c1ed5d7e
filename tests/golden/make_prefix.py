#!/usr/bin/env python3
"""A prefix on the small models of make_models.py: what torch + transformers compute from keys and values that every token sees besides,
and the gradients of the prefix. Read by tests/models/test_prefix.c. Needs torch, transformers, peft and safetensors.

    make_prefix.py [FAMILY...]        writes prefix/FAMILY/ beside this file:
      prefix.safetensors      the prefix (layer.N.attn.prefix.k and .v, TOKENS rows of kv_heads * head_dim, BF16)
      golden.safetensors      logits and losses of both heads with it, and d loss / d prefix, as class.NAME and lm.NAME
      peft/                   where positions are rotary: the same as a folder of PEFT, of the same logits

The prefix is put into each attention by a function of our own, behind rotary positions and in front of the batch's keys, as MeZO's prefix.py
does for OPT and RoBERTa: positions do not shift, the prefix is not rotated, and no window leaves it out. Where a family takes `past_key_values` with positions given, that
has to agree. PEFT hands the prefix to the model instead, and the model then counts positions from TOKENS on. The script prints how far
PEFT's logits are from ours as it stands, and with the keys rotated by TOKENS positions, which undoes the shift where positions are rotary."""
import os
import shutil
import sys

import peft
import torch
import transformers as tr
from safetensors.torch import load_file, save_file
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

HERE = os.path.dirname(os.path.abspath(__file__))
TOKENS, CLASSES = 3, 3
FAMILIES = ["bert", "roberta", "distilbert", "electra", "albert", "modernbert", "gpt2", "opt", "opt-post-norm", "llama", "llama-tied", "mistral", "qwen2", "gpt-neox", "qwen3", "gemma",
            "gemma2", "gptj", "phi", "phi3", "gpt-neo"]
PEFT_FAMILIES = ["llama", "llama-tied", "gpt-neox", "gptj", "phi"]  # positions are rotary
prefixes = []  # of the model that runs: (k, v) a layer, (TOKENS, kv_heads * head_dim)
made = []      # layers that ran


def attend(module, query, key, value, attention_mask, scaling=None, softcap=None, **kwargs):
    """softmax(scaling q K') V with the layer's prefix in front; key and value (B, kv_heads, T, d)."""
    kv_heads, width = key.shape[1], key.shape[3]
    k, v = prefixes[len(made) % len(prefixes)]
    made.append(module)
    spread = lambda x: x.reshape(TOKENS, kv_heads, width).transpose(0, 1)[None].expand(key.shape[0], -1, -1, -1)
    key, value = torch.cat([spread(k), key], 2), torch.cat([spread(v), value], 2)
    group = query.shape[1] // kv_heads
    key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
    scores = query @ key.transpose(2, 3) * (width ** -0.5 if scaling is None else scaling)  # OPT scales its queries before
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if attention_mask is not None:
        scores = scores + torch.nn.functional.pad(attention_mask, (TOKENS, 0))
    return (torch.softmax(scores, -1) @ value).transpose(1, 2).contiguous(), None


class NeoAttention(tr.models.gpt_neo.modeling_gpt_neo.GPTNeoSelfAttention):
    """GPT-Neo knows attentions of its own alone, of which each has its mask."""
    def _attn(self, query, key, value, attention_mask=None):
        n = key.shape[2]
        mask = torch.where(self.bias[:, :, :n, :n], 0.0, torch.finfo(torch.float32).min)
        out, _ = attend(self, query, key, value, mask if attention_mask is None else mask + attention_mask, scaling=1.0)
        return out.transpose(1, 2), None


tr.models.gpt_neo.modeling_gpt_neo.GPT_NEO_ATTENTION_CLASSES["prefix"] = NeoAttention
ALL_ATTENTION_FUNCTIONS.register("prefix", attend)
ALL_MASK_ATTENTION_FUNCTIONS.register("prefix", eager_mask)


def open_model(which, folder, attention):
    config = tr.AutoConfig.from_pretrained(folder)
    config._attn_implementation = attention
    config.num_labels = CLASSES
    model = which.from_pretrained(folder, config=config, dtype=torch.float32, attn_implementation=attention)
    return model.eval()


def sizes(config):
    heads = config.num_attention_heads
    return config.num_hidden_layers, heads, getattr(config, "num_key_value_heads", None) or heads, getattr(config, "head_dim", None) or config.hidden_size // heads


def with_past(model, inputs, positions):
    """The same through past_key_values with positions that do not shift."""
    cache = tr.DynamicCache(config=model.config)
    _, _, kv_heads, width = sizes(model.config)
    n = inputs["input_ids"].shape[0]
    for layer, (k, v) in enumerate(prefixes):
        shaped = [x.detach().reshape(TOKENS, kv_heads, width).transpose(0, 1)[None].expand(n, -1, -1, -1).contiguous() for x in (k, v)]
        cache.update(shaped[0], shaped[1], layer)
    mask = torch.cat([torch.ones((n, TOKENS), dtype=torch.long), inputs["attention_mask"]], 1)
    more = {k: v for k, v in inputs.items() if k == "token_type_ids"}
    return model(input_ids=inputs["input_ids"], attention_mask=mask, position_ids=positions, past_key_values=cache, **more).logits


def rotated(k, config, positions):
    """Keys as RoPE of transformers turns them by `positions` (-TOKENS or TOKENS)."""
    layers, _, kv_heads, width = sizes(config)
    if config.model_type in ("gptj", "phi"):  # theirs turn a part, of which theirs alone knows where the pairs stand: written out here
        dims = config.rotary_dim if config.model_type == "gptj" else int(width * config.rope_parameters["partial_rotary_factor"])
        base = 10000.0 if config.model_type == "gptj" else config.rope_parameters["rope_theta"]
        angle = positions * base ** (-torch.arange(0, dims, 2) / dims)
        x = k.reshape(TOKENS, kv_heads, width).clone()
        low, high = (slice(0, dims, 2), slice(1, dims, 2)) if config.model_type == "gptj" else (slice(0, dims // 2), slice(dims // 2, dims))
        a, b = x[..., low].clone(), x[..., high].clone()
        x[..., low], x[..., high] = a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()
        return x.reshape(TOKENS, -1)
    neox = tr.models.gpt_neox.modeling_gpt_neox
    llama = tr.models.llama.modeling_llama
    rope, turn = ((neox.GPTNeoXRotaryEmbedding, neox.apply_rotary_pos_emb) if config.model_type == "gpt_neox" else
                  (llama.LlamaRotaryEmbedding, llama.apply_rotary_pos_emb))
    cos, sin = rope(config)(k, torch.full((1, TOKENS), positions))
    x = k.reshape(TOKENS, kv_heads, width).transpose(0, 1)[None]
    _, x = turn(x, x, cos, sin)
    return x[0].transpose(0, 1).reshape(TOKENS, -1)


def peft_logits(which, folder, inputs, keys, out=None):
    model = open_model(which, folder, "eager")
    layers, _, kv_heads, width = sizes(model.config)
    task = "CAUSAL_LM" if which is tr.AutoModelForCausalLM else "SEQ_CLS"
    settings = peft.PrefixTuningConfig(num_virtual_tokens=TOKENS, num_layers=layers, num_attention_heads=kv_heads, token_dim=kv_heads * width,
                                       num_transformer_submodules=1, task_type=task)
    wrapped = peft.get_peft_model(model, settings).eval()
    table = torch.cat([x for k, (_, v) in zip(keys, prefixes) for x in (k, v)], 1)  # (TOKENS, layers * 2 * token_dim)
    wrapped.prompt_encoder["default"].load_prompt_embeddings(table.detach())
    if out:
        settings.base_model_name_or_path = os.path.basename(folder)
        wrapped.save_pretrained(out)
        for name in os.listdir(out):
            if name not in ("adapter_config.json", "adapter_model.safetensors"):
                os.remove(os.path.join(out, name))
    return wrapped(**inputs).logits


def read_golden(family):
    """Inputs and masked-out targets of make_models.py, padded."""
    golden = load_file(os.path.join(HERE, "models", family, "golden.safetensors"))
    lengths = golden["lengths"].long().tolist()
    n, most = len(lengths), max(lengths)
    ids, mask, types = torch.full((n, most), 1), torch.zeros((n, most), dtype=torch.long), torch.zeros((n, most), dtype=torch.long)
    targets, at = torch.full((n, most), -100), 0
    for i, length in enumerate(lengths):
        ids[i, :length] = golden["ids"][at:at + length].long()
        types[i, :length] = golden["types"][at:at + length].long()
        targets[i, :length] = golden["targets"][at:at + length].long()
        mask[i, :length] = 1
        at += length
    return ids, mask, types, targets, golden["labels"].long()


def check(folder):
    for family in PEFT_FAMILIES:
        ids, mask, _, targets, _ = read_golden(family)
        base = open_model(tr.AutoModelForCausalLM, os.path.join(HERE, "models", family), "eager")
        model = peft.PeftModel.from_pretrained(base, os.path.join(folder, family)).eval()
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=mask).logits[targets >= 0]
        wanted = load_file(os.path.join(HERE, "prefix", family, "golden.safetensors"))["lm_logits"]
        difference = float((logits - wanted).abs().max())
        assert difference < 1e-4, f"{family}: PEFT's logits with this folder are {difference} away"
        print(f"{family}: PEFT's logits with this folder are {difference:.1e} away")


def make(family):
    folder = os.path.join(HERE, "models", family)
    ids, mask, types, targets, labels = read_golden(family)
    n, most = ids.shape
    config = tr.AutoConfig.from_pretrained(folder)
    layers, heads, kv_heads, width = sizes(config)
    windowed = "sliding_attention" in (getattr(config, "layer_types", None) or []) or family in ("mistral", "phi3", "gpt-neo")
    causal = family not in ("bert", "roberta", "distilbert", "electra", "albert", "modernbert")
    inputs = dict(input_ids=ids, attention_mask=mask)
    if family in ("bert", "roberta", "electra", "albert"):
        inputs["token_type_ids"] = types
    generator = torch.Generator().manual_seed(21)
    drawn = {}
    for layer in range(layers):
        for what in "kv":
            x = torch.randn((TOKENS, kv_heads * width), generator=generator).bfloat16()
            drawn[f"layer.{layer}.attn.prefix.{what}"] = x
    to = os.path.join(HERE, "prefix", family)
    shutil.rmtree(to, ignore_errors=True)
    os.makedirs(to)
    save_file(drawn, os.path.join(to, "prefix.safetensors"))

    out = {}
    lm_type = tr.AutoModelForCausalLM if causal else tr.AutoModelForMaskedLM
    for head, which in (("class", tr.AutoModelForSequenceClassification), ("lm", lm_type)):
        prefixes[:] = [tuple(drawn[f"layer.{layer}.attn.prefix.{what}"].float().requires_grad_() for what in "kv") for layer in range(layers)]
        made.clear()
        model = open_model(which, folder, "prefix")
        logits = model(**inputs).logits
        assert len(made) == layers, f"{family}: {len(made)} attentions ran"
        if head == "class":
            loss, kept = torch.nn.functional.cross_entropy(logits, labels), logits
        else:
            asked = targets >= 0
            loss, kept = torch.nn.functional.cross_entropy(logits[asked], targets[asked]), logits[asked]
        loss.backward()
        out[f"{head}_logits"], out[f"{head}_loss"] = kept.detach(), loss.detach().reshape(1)
        for layer, pair in enumerate(prefixes):
            for what, x in zip("kv", pair):
                out[f"{head}.layer.{layer}.attn.prefix.{what}"] = x.grad
        if head == ("lm" if causal else "class"):
            ours, ours_type = logits.detach(), which
    save_file({k: v.float().contiguous() for k, v in out.items()}, os.path.join(to, "golden.safetensors"))

    real = mask.bool() if causal else torch.ones(n, dtype=torch.bool)
    apart = lambda theirs: float((theirs - ours)[real].abs().max())
    told = [f"{family}: class loss {float(out['class_loss']):.6f}, lm loss {float(out['lm_loss']):.6f}"]
    with torch.no_grad():
        if causal and not windowed:  # a cache counts the prefix's tokens in the window
            positions = torch.arange(most)[None].expand(n, -1)
            difference = apart(with_past(open_model(lm_type, folder, "eager"), inputs, positions))
            assert difference < 1e-4, f"{family}: past_key_values with positions given are {difference} away"
            told.append(f"past_key_values {difference:.1e} away")
        keys = [k for k, _ in prefixes]
        try:
            told.append(f"PEFT {apart(peft_logits(ours_type, folder, inputs, keys)):.1e} away")
        except (TypeError, ValueError, IndexError, RuntimeError) as no:
            told.append(f"PEFT refuses: {type(no).__name__} {no}")
        if family in PEFT_FAMILIES:
            turned = [rotated(k, config, TOKENS) for k in keys]
            difference = apart(peft_logits(ours_type, folder, inputs, turned, os.path.join(to, "peft")))
            assert difference < 1e-4, f"{family}: PEFT with rotated keys is {difference} away"
            told.append(f"with its keys rotated {difference:.1e}")
    print(", ".join(told))


if __name__ == "__main__":
    tr.logging.set_verbosity_error()
    tr.logging.disable_progress_bar()
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["--check"]:
        check(sys.argv[2])
    else:
        for name in sys.argv[1:] or FAMILIES:
            make(name)
