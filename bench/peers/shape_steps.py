"""MeZO, LOZO and first-order steps in PyTorch on zo's shapes (random weights, no files), beside zo's step in the same run.

Usage: shape_steps.py --zo ./zo --device cuda [--models NAME...] [--lengths sst2 128] [--steps N] [--seconds N] [--json FILE]

Batches of 16: sentences as long as SST-2's (tasks/sst2_lengths.h), or a filled context. Causal models score two options of a prompt as
two whole sequences by their mean log-probability, encoders two label words at the mask; both are padded to the longest row of the batch,
as the papers' public code does. transformers' models where it is installed, else shape_model.py; dtype is that of weights and products
(zo's first-order weights are f32).
Two steps warm up; the clock is read with the device idle. A model that does not fit is a row "oom"; what no time is left for is "left out".

  mezo      Malladi et al., arXiv 2305.17333, Algorithm 1: every tensor moved by +eps, -2 eps, +eps with torch.normal from one seed
  lozo      Chen et al., arXiv 2410.07698: matrices moved along U V^T of rank 2, V drawn anew every 50 steps; vectors as MeZO
  sgd, adamw   one backward pass and torch.optim's rule, dropout off

shape_methods.json says which of these runs beside which of zo's.
"""
import argparse
import gc
import json
import os
import random
import re
import statistics
import subprocess
import time

import torch

from shape_model import ShapeModel

BATCH, WARM_UP = 16, 2
MODELS = ["shape:opt-125m", "shape:opt-1.3b", "shape:opt-13b", "shape:roberta-large", "shape:llama-7b"]
DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32}
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def sst2_lengths():
    with open(os.path.join(ROOT, "tasks", "sst2_lengths.h"), encoding="utf-8") as f:
        return [int(n) for n in re.findall(r"\d+", f.read().split("#define ZO_SST2_LENGTHS")[1])]


def build(config, folder, dtype, device):
    """(model, 'transformers' or 'shape_model.py'), weights N(0, 0.02^2) made on the device."""
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            try:
                import transformers
                kind = transformers.AutoModelForMaskedLM if config["model_type"] == "roberta" else transformers.AutoModelForCausalLM
                model, source = kind.from_config(transformers.AutoConfig.from_pretrained(folder), dtype=dtype), "transformers " + transformers.__version__
            except ImportError:
                model, source = ShapeModel(config), "shape_model.py"
                with torch.no_grad():
                    for p in model.parameters():
                        if p.dim() > 1:
                            p.normal_(0, 0.02)
    finally:
        torch.set_default_dtype(torch.float32)
    return model.eval(), source


class Peer:
    def __init__(self, config, folder, dtype, device):
        self.config, self.device = config, device
        self.model, self.source = build(config, folder, dtype, device)
        self.causal = config["model_type"] != "roberta"
        self.parameters = list(self.model.parameters())
        self.optimizer, self.low_rank = None, {}
        self.draw = random.Random(1)
        self.histogram = sst2_lengths()

    def batch(self, lengths):
        """ids, mask, labels: two rows an example for a causal model, one for an encoder."""
        def sentence(n):
            return [self.draw.randrange(10, min(1000, self.config["vocab_size"])) for _ in range(n)]
        rows, fixed = [], 4 if self.causal else 6  # <s> ... It was option; <s> ... It was mask . </s>
        for _ in range(BATCH):
            n = self.draw.choices(range(len(self.histogram)), self.histogram)[0] if lengths == "sst2" else int(lengths) - fixed
            if self.causal:
                prompt = [2] + sentence(n) + [3, 4]
                rows += [prompt + [5], prompt + [6]]
            else:
                rows.append([0] + sentence(n) + [3, 4, 7, 8, 2])
        longest = max(map(len, rows))
        ids = torch.tensor([r + [1] * (longest - len(r)) for r in rows], device=self.device)
        mask = torch.tensor([[1] * len(r) + [0] * (longest - len(r)) for r in rows], device=self.device)
        ends = torch.tensor([len(r) - 1 for r in rows], device=self.device)
        labels = torch.tensor([self.draw.randrange(2) for _ in range(BATCH)], device=self.device)
        return ids, mask, ends, labels

    def forward(self, ids, mask, at):
        """Logits: at all tokens for a causal model, at `at` for an encoder (which the papers' code runs so too)."""
        everyone = torch.arange(ids.shape[0], device=self.device)
        if isinstance(self.model, ShapeModel):
            hidden = self.model(ids, mask)
            return self.model.logits(hidden if self.causal else hidden[everyone, at])
        if self.causal:
            return self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        hidden = self.model.roberta(input_ids=ids, attention_mask=mask)[0]
        return self.model.lm_head(hidden[everyone, at])

    def loss(self, batch):
        ids, mask, ends, labels = batch
        if self.causal:
            logp = torch.log_softmax(self.forward(ids, mask, None)[:, :-1].float(), -1)
            everyone = torch.arange(ids.shape[0], device=self.device)
            score = logp[everyone, ends - 1, ids[everyone, ends]].view(-1, 2)
        else:
            score = self.forward(ids, mask, ends - 2)[:, [5, 6]].float()
        return torch.nn.functional.cross_entropy(score, labels)

    def perturb(self, seed, scale):
        torch.manual_seed(seed)
        for p in self.parameters:
            z = torch.normal(mean=0, std=1, size=p.size(), device=p.device, dtype=p.dtype)
            p.data = p.data + scale * z

    def perturb_low_rank(self, step, seed, scale, rank=2, interval=50):
        for i, p in enumerate(self.parameters):
            if p.dim() < 2:
                continue
            if step % interval == 0 and self.low_rank.get(i, (None, -1))[1] != step:
                torch.manual_seed(seed + i)
                self.low_rank[i] = (torch.randn(p.shape[1], rank, device=p.device, dtype=p.dtype), step)
        torch.manual_seed(seed)
        for i, p in enumerate(self.parameters):
            if p.dim() < 2:
                p.data = p.data + scale * torch.normal(mean=0, std=1, size=p.size(), device=p.device, dtype=p.dtype)
            else:
                u = torch.randn(p.shape[0], rank, device=p.device, dtype=p.dtype)
                p.data = p.data + scale * (u @ self.low_rank[i][0].t())

    @torch.no_grad()
    def zeroth_order(self, step, batch, move, lr=1e-7, eps=1e-3):
        move(step, eps)
        plus = self.loss(batch)
        move(step, -2 * eps)
        minus = self.loss(batch)
        move(step, eps)
        move(step, -lr * ((plus - minus) / (2 * eps)).item())

    def first_order(self, batch, rule):
        if self.optimizer is None:
            self.optimizer = rule(self.parameters, lr=1e-6)
        self.optimizer.zero_grad()
        self.loss(batch).backward()
        self.optimizer.step()

    def mezo(self, step, batch):
        self.zeroth_order(step, batch, self.perturb)

    def lozo(self, step, batch):
        self.zeroth_order(step, batch, lambda s, scale: self.perturb_low_rank(s, s, scale))

    def adamw(self, _, batch):
        self.first_order(batch, torch.optim.AdamW)

    def sgd(self, _, batch):
        self.first_order(batch, torch.optim.SGD)

    def step(self, method, step, lengths):
        """`method`: the name of one of the four above."""
        getattr(self, method)(step, self.batch(lengths))


def wait(device):
    if device != "cpu":
        torch.cuda.synchronize()


def time_torch(config, folder, method, lengths, dtype, device, steps):
    gc.collect()
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    row = {}
    peer = None
    try:
        peer = Peer(config, folder, DTYPES[dtype], device)
        taken = []
        for step in range(WARM_UP + steps):
            wait(device)
            before = time.perf_counter()
            peer.step(method, step, lengths)
            wait(device)
            taken.append(1e3 * (time.perf_counter() - before))
        row = {"status": "done", "torch_ms": statistics.median(taken[WARM_UP:]), "torch_steps_ms": taken[WARM_UP:], "source": peer.source}
    except torch.cuda.OutOfMemoryError as error:
        row = {"status": "oom", "message": str(error).splitlines()[0]}
    del peer
    if device != "cpu":
        row["torch_peak_bytes"] = torch.cuda.max_memory_allocated()
    gc.collect()
    if device != "cpu":
        torch.cuda.empty_cache()  # the card is zo's now
    return row


def time_zo(args, model, method, lengths, dtype):
    command = [args.zo, "bench", "step", model, "--task", "synth-lengths", "--form", "prompt", "--init", "random", "--batch", str(BATCH),
               "--optimizer", method["optimizer"], "--realisation", method["realisation"], "--precision", dtype, "--steps", str(args.steps), "--device", args.device, "--json"]
    command += ["--storage", method.get("storage", dtype)]
    command += ["--context", "128"] if lengths == "sst2" else ["--context", lengths, "--fill"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {"zo_status": "failed", "zo_message": done.stderr.strip()}
    row = json.loads(done.stdout)
    return {"zo_status": row["status"], "zo_ms": row.get("step_ms"), "zo_peak_bytes": row.get("peak_bytes"), "zo_used_bytes": row.get("used_bytes")}


def show(value, scale=1.0, form="{:.2f}"):
    return form.format(value * scale) if isinstance(value, (int, float)) else "-"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zo", default="./zo")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--lengths", nargs="+", default=["sst2", "128"])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--json")
    args = parser.parse_args()
    end = time.monotonic() + args.seconds
    name = torch.cuda.get_device_name() if args.device != "cpu" else "the processor"
    print(f"PyTorch {torch.__version__} on {name}: medians of {args.steps} steps")
    header = ("model", "lengths", "torch", "dtype", "torch ms", "torch GB", "zo", "zo ms", "zo GB", "torch / zo")
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header), flush=True)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "shape_methods.json"), encoding="utf-8") as f:
        methods = json.load(f)
    cases = [(lengths, method, model, dtype)
             for lengths in args.lengths for method in methods for model in args.models for dtype in DTYPES
             if dtype == "bf16" or model in ("shape:opt-125m", "shape:roberta-large") or model.endswith("-tiny")]
    kept, failed = [], False
    for lengths, method, model, dtype in cases:
        peer, optimizer, realisation = method["peer"], method["optimizer"], method["realisation"]
        row = {"model": model, "lengths": lengths, "method": peer, "dtype": dtype, "zo_optimizer": optimizer, "zo_realisation": realisation}
        if time.monotonic() > end - 15:
            row["status"] = "left out"
        else:
            folder = json.loads(subprocess.run([args.zo, "inspect", model, "--json"], check=True, capture_output=True, text=True).stdout)["folder"]
            with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
                config = json.load(f)
            row.update(time_torch(config, folder, peer, lengths, dtype, args.device, args.steps))
            row.update(time_zo(args, model, method, lengths, dtype))
        both = row.get("torch_ms") and row.get("zo_ms")
        failed = failed or row.get("zo_status") == "failed"
        print(f"| {model} | {lengths} | {peer} | {dtype} | {show(row.get('torch_ms')) if row['status'] == 'done' else row['status']} "
              f"| {show(row.get('torch_peak_bytes'), 1e-9)} | {optimizer} {realisation} | {show(row.get('zo_ms')) if row.get('zo_ms') else row.get('zo_status', '-')} "
              f"| {show(row.get('zo_peak_bytes'), 1e-9)} | {show(row['torch_ms'] / row['zo_ms'], form='{:.1f}x') if both else '-'} |", flush=True)
        kept.append(row)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"torch": torch.__version__, "device": name, "steps": args.steps, "peers": kept}, f, indent=1)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
