#!/usr/bin/env python3
"""A side adapter (models/side.c; SHERL, arXiv 2407.07523) on the small models of make_models.py, their two blocks run twice, so that there are four:
what torch + transformers compute with it, and the gradients of the adapter. Read by tests/models/test_side.c. Needs torch, transformers and safetensors.

    make_side.py [FAMILY...]        writes side/FAMILY/ beside this file:
      side.safetensors        the adapter's parameters under our names, BF16
      golden.safetensors      logits and losses of both heads with it, and d loss / d parameter, as class.NAME and lm.NAME

The adapter is written here from its formulas, after the released code: hooks in front of the blocks take what each would read, and put the adapter's
output in the place of what the first late block would. All else is transformers'."""
import os
import re
import shutil
import sys

import torch
import transformers as tr
from safetensors.torch import load_file, save_file

from make_prefix import CLASSES, HERE, read_golden

BLOCKS = 4
ADAPTERS = {"bert": (2, 1), "gpt2": (2, 2), "opt-post-norm": (3, 1), "llama": (1, 1), "gemma2": (2, 3), "gptj": (4, 2)}  # downsample, late


def draw(width, hidden, taps):
    generator = torch.Generator().manual_seed(33)
    normal = lambda *shape: torch.randn(shape, generator=generator)
    p = {}
    for k in range(taps):
        p[f"side.{k}.down.weight"], p[f"side.{k}.down.bias"] = 0.3 * normal(width, hidden), 0.3 * normal(width)
        p[f"side.{k}.norm.weight"], p[f"side.{k}.norm.bias"] = 1 + 0.3 * normal(width), 0.3 * normal(width)
    p["side.score.weight"], p["side.score.bias"] = 0.5 * normal(1, width), 0.2 * normal(1)
    p["side.out.weight"], p["side.out.bias"] = 0.3 * normal(hidden, width), 0.3 * normal(hidden)
    p["side.norm.weight"], p["side.norm.bias"] = 1 + 0.3 * normal(hidden), 0.3 * normal(hidden)
    p["side.gate"] = torch.full((1, 1), 0.04)
    return {name: x.bfloat16() for name, x in p.items()}


def adapt(p, inputs):
    """inputs: of the blocks up to the first late one, each (B, T, hidden)."""
    norm = torch.nn.functional.layer_norm
    x = [norm(u @ p[f"side.{k}.down.weight"].T + p[f"side.{k}.down.bias"], p[f"side.{k}.norm.weight"].shape, p[f"side.{k}.norm.weight"],
              p[f"side.{k}.norm.bias"], 1e-5) for k, u in enumerate(inputs)]
    guide, x = x[-1], torch.stack(x[:-1], 2)                                   # (B, T, W), (B, T, n, W)
    unit = x / (x.square().sum(-1, keepdim=True).sqrt() + 1e-8)
    redundancy = (unit @ unit.transpose(-1, -2)).relu().sum(-1)                # (B, T, n)
    score = ((x * guide[:, :, None]) @ p["side.score.weight"].T + p["side.score.bias"])[..., 0]
    share = score.relu() / redundancy
    share = share / (share.sum(-1, keepdim=True) + 1e-8)
    mixed = ((share[..., None] * x).sum(2) + guide).relu()
    out = norm(mixed @ p["side.out.weight"].T + p["side.out.bias"], p["side.norm.weight"].shape, p["side.norm.weight"], p["side.norm.bias"], 1e-12)
    return out + torch.tanh(p["side.gate"] / 0.1) * inputs[-1], share


def open_model(which, folder):
    """Block i has the weights of block i % 2."""
    two = which.from_pretrained(folder, num_labels=CLASSES, dtype=torch.float32, attn_implementation="eager")
    config = tr.AutoConfig.from_pretrained(folder, num_labels=CLASSES)
    config.num_hidden_layers = BLOCKS
    if getattr(config, "layer_types", None):
        config.layer_types = (list(config.layer_types)[:2] * 2)
    config._attn_implementation = "eager"
    model = which.from_config(config, attn_implementation="eager").float()
    from_two = two.state_dict()
    model.load_state_dict({name: from_two[re.sub(r"\.(layers|layer|h)\.(\d+)\.", lambda m: f".{m[1]}.{int(m[2]) % 2}.", name)] for name in model.state_dict()})
    model.tie_weights()
    return model.requires_grad_(False).eval()


def hook(model, late, p, shares):
    (blocks,) = [m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == BLOCKS]
    inputs, last = [], BLOCKS - late

    def before(k):
        def take(module, args, kwargs):
            if k == 0:
                inputs.clear()
            named = not args
            inputs.append(kwargs["hidden_states"] if named else args[0])
            if k < last:
                return None
            made, share = adapt(p, inputs)
            shares.append(share)
            return (args, {**kwargs, "hidden_states": made}) if named else ((made, *args[1:]), kwargs)
        return take
    for k in range(last + 1):
        blocks[k].register_forward_pre_hook(before(k), with_kwargs=True)


def make(family):
    folder = os.path.join(HERE, "models", family)
    ids, mask, types, targets, labels = read_golden(family)
    downsample, late = ADAPTERS[family]
    config = tr.AutoConfig.from_pretrained(folder)
    drawn = draw(config.hidden_size // downsample, config.hidden_size, BLOCKS - late + 1)
    to = os.path.join(HERE, "side", family)
    shutil.rmtree(to, ignore_errors=True)
    os.makedirs(to)
    save_file(drawn, os.path.join(to, "side.safetensors"))

    inputs = dict(input_ids=ids, attention_mask=mask)
    causal = family not in ("bert", "roberta", "distilbert")
    if not causal:
        inputs["token_type_ids"] = types
    out, told = {}, []
    lm_type = tr.AutoModelForCausalLM if causal else tr.AutoModelForMaskedLM
    for head, which in (("class", tr.AutoModelForSequenceClassification), ("lm", lm_type)):
        p, shares = {name: x.float().requires_grad_() for name, x in drawn.items()}, []
        model = open_model(which, folder)
        hook(model, late, p, shares)
        logits = model(**inputs).logits
        if head == "class":
            loss, kept = torch.nn.functional.cross_entropy(logits, labels), logits
        else:
            asked = targets >= 0
            loss, kept = torch.nn.functional.cross_entropy(logits[asked], targets[asked]), logits[asked]
        loss.backward()
        out[f"{head}_logits"], out[f"{head}_loss"] = kept.detach(), loss.detach().reshape(1)
        out.update({f"{head}.{name}": x.grad for name, x in p.items()})
        told.append(f"{head} loss {float(loss.detach()):.6f}")
    (share,) = shares
    real = share[mask.bool()]
    told.append(f"of {real.numel()} shares {int((real == 0).sum())} are 0")
    save_file({k: v.float().contiguous() for k, v in out.items()}, os.path.join(to, "golden.safetensors"))
    print(f"{family}: " + ", ".join(told))


if __name__ == "__main__":
    tr.logging.set_verbosity_error()
    tr.logging.disable_progress_bar()
    torch.set_num_threads(1)
    for name in sys.argv[1:] or ADAPTERS:
        make(name)
