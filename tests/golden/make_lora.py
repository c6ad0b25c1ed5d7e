#!/usr/bin/env python3
"""LoRA as PEFT does it, on the small models of make_models.py: adapter folders that PEFT wrote, and what torch + transformers + PEFT compute
with them: logits, losses and the gradient of every trained parameter. Read by tests/models/test_lora.c. Needs torch, transformers, peft, safetensors.

    make_lora.py [CASE...]            writes lora/CASE/ beside this file:
      adapter_config.json, adapter_model.safetensors   as save_pretrained writes them
      golden.safetensors                               logits and loss; the inputs are those of models/FAMILY/golden.safetensors
      grad/                                            the same folder with gradients instead of values
    make_lora.py --check FOLDER       FOLDER/CASE/ as tests/models/test_lora.c writes them (ZO_LORA_OUT=FOLDER): each is an adapter folder and
                                      logits.f32; PEFT loads the folder, and its logits are compared

A and B are both drawn, for B's zeros would hide A; numbers are rounded to BF16. No dropout."""
import json
import os
import shutil
import sys

import peft
import torch
import transformers as tr
from safetensors.torch import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))
CLASSES, PAD = 3, 1
# case: (family, head, rank, alpha, target_modules, further keys)
CASES = {
    "bert-class": ("bert", "class", 2, 8, ["query", "value"], {}),
    "bert-lm": ("bert", "lm", 3, 4, ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"], {}),
    "roberta-class": ("roberta", "class", 2, 4, ["query", "value"], {}),
    "roberta-lm": ("roberta", "lm", 2, 4, ["key", "intermediate.dense"], dict(use_rslora=True)),
    "distilbert-class": ("distilbert", "class", 2, 4, ["q_lin", "v_lin", "lin2"], {}),
    "gpt2-lm": ("gpt2", "lm", 2, 4, ["c_proj", "c_fc"], dict(fan_in_fan_out=True)),
    "opt-class": ("opt", "class", 2, 2, ["q_proj", "v_proj"], {}),
    "opt-lm": ("opt", "lm", 2, 4, ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"], {}),
    "opt-post-norm-lm": ("opt-post-norm", "lm", 2, 4, ["k_proj", "fc1"], {}),
    "llama-class": ("llama", "class", 3, 6, ["k_proj", "o_proj", "up_proj"], {}),
    "llama-lm": ("llama", "lm", 2, 4, ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], {}),
}
TASK = {"class": peft.TaskType.SEQ_CLS, "lm": None}


def base_model(family, head):
    folder = os.path.join(HERE, "models", family)
    config = tr.AutoConfig.from_pretrained(folder, num_labels=CLASSES)
    config._attn_implementation = "eager"
    masked = family in ("bert", "roberta", "distilbert")
    auto = tr.AutoModelForSequenceClassification if head == "class" else tr.AutoModelForMaskedLM if masked else tr.AutoModelForCausalLM
    return auto.from_pretrained(folder, config=config, dtype=torch.float32).eval()


def inputs_of(family, model):
    g = load_file(os.path.join(HERE, "models", family, "golden.safetensors"))
    lengths = [int(n) for n in g["lengths"]]
    n, most = len(lengths), max(lengths)
    ids = torch.full((n, most), PAD)
    mask, types = torch.zeros((n, most), dtype=torch.long), torch.zeros((n, most), dtype=torch.long)
    targets = torch.full((n, most), -100)
    at = 0
    for i, length in enumerate(lengths):
        ids[i, :length] = g["ids"][at:at + length].long()
        types[i, :length] = g["types"][at:at + length].long()
        targets[i, :length] = g["targets"][at:at + length].long()
        mask[i, :length] = 1
        at += length
    inputs = dict(input_ids=ids, attention_mask=mask)
    if getattr(model.config, "type_vocab_size", 0):
        inputs["token_type_ids"] = types
    return inputs, g["labels"].long(), targets


def outputs(family, head, model):
    inputs, labels, targets = inputs_of(family, model)
    logits = model(**inputs).logits
    if head == "lm":
        asked = targets >= 0
        logits, labels = logits[asked], targets[asked]
    return logits, torch.nn.functional.cross_entropy(logits, labels)


def make(case):
    family, head, rank, alpha, modules, more = CASES[case]
    model = base_model(family, head)
    config = peft.LoraConfig(task_type=TASK[head], r=rank, lora_alpha=alpha, target_modules=modules, lora_dropout=0.0, **more)
    config.base_model_name_or_path = "models/" + family
    torch.manual_seed(0)
    model = peft.get_peft_model(model, config).eval()
    generator = torch.Generator().manual_seed(17)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for p in trained.values():
            p.copy_((0.3 * torch.randn(p.shape, generator=generator)).bfloat16().float())
    logits, loss = outputs(family, head, model)
    loss.backward()
    folder = os.path.join(HERE, "lora", case)
    shutil.rmtree(folder, ignore_errors=True)
    model.peft_config["default"].base_model_name_or_path = "models/" + family
    model.save_pretrained(folder)
    with torch.no_grad():
        for p in trained.values():
            p.copy_(p.grad)
    model.save_pretrained(os.path.join(folder, "grad"))
    for at in (folder, os.path.join(folder, "grad")):
        os.remove(os.path.join(at, "README.md"))
    save_file({"logits": logits.detach().contiguous(), "loss": loss.detach().reshape(1)}, os.path.join(folder, "golden.safetensors"))
    size = sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(folder) for f in files)
    print(f"{case}: {len(trained)} trained tensors, loss {float(loss.detach()):.6f}, {size} bytes")


def check(folder):
    for case in sorted(os.listdir(folder)):
        family, head = CASES[case][:2]
        at = os.path.join(folder, case)
        model = peft.PeftModel.from_pretrained(base_model(family, head), at).eval()
        with torch.no_grad():
            logits, _ = outputs(family, head, model)
        with open(os.path.join(at, "logits.f32"), "rb") as f:
            ours = torch.frombuffer(bytearray(f.read()), dtype=torch.float32).reshape(logits.shape)
        difference = float((ours - logits).abs().max() / logits.abs().max())
        print(f"{case}: PEFT loads what zo wrote; largest difference of a logit {difference:.1e} relative")
        assert difference < 5e-6, case


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["--check"]:
        check(sys.argv[2])
    else:
        for name in sys.argv[1:] or CASES:
            make(name)
