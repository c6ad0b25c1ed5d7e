"""One MeZO or first-order step in PyTorch, as the papers' public code does it, on a Hugging Face folder and real SST-2 rows.

MeZO (Malladi et al., arXiv 2305.17333, Algorithm 1): perturb every parameter tensor by +eps, -2 eps, +eps with torch.normal from one
seed, two forwards in eval mode, then theta -= lr * projected * z. Batches are padded to their longest row. A classification head for
encoders; for causal models the prompt "{sentence} It was" with the options " terrible" and " great", both as full sequences, scored
by their length-normalised log-probability (what the public code calls train_as_classification).

First order: AdamW, dropout off, one backward pass a step. Nothing here is tuned against: it is the plain way to write it. Rows are
tokenised before the clock starts, as zo's are; a step pads its batch.
"""
import gzip
import os
import time

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer


def sst2_rows(data, count):
    plain = os.path.join(data, "glue", "SST-2", "train.tsv")
    opened = open(plain, encoding="utf-8") if os.path.exists(plain) else gzip.open(plain + ".gz", "rt", encoding="utf-8")
    with opened as f:
        next(f)
        rows = []
        for line in f:
            sentence, label = line.rstrip("\n").rsplit("\t", 1)
            rows.append((sentence.strip(), int(label)))
            if len(rows) == count:
                return rows
    return rows


class Peer:
    """A model, its loss on a batch of rows, and the two kinds of step."""

    def __init__(self, folder, rows, batch, prompt, autocast):
        torch.manual_seed(0)
        self.rows, self.batch, self.prompt, self.autocast, self.at = rows, batch, prompt, autocast, 0
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        kind = AutoModelForCausalLM if prompt else AutoModelForSequenceClassification
        self.model = kind.from_pretrained(folder, dtype=torch.float32)
        self.model.eval()
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.adamw = None
        self.encoded = [self.encode(sentence) for sentence, _ in rows]

    def encode(self, sentence):
        """For a head the tokenizer's dictionary; for a prompt (ids, tokens of the option) of each option."""
        if not self.prompt:
            return self.tokenizer(sentence, truncation=True, max_length=128)
        start = len(self.tokenizer(f"{sentence} It was")["input_ids"])
        options = (self.tokenizer(f"{sentence} It was {word}")["input_ids"] for word in ("terrible", "great"))
        return [(full, len(full) - start) for full in options]

    def next_batch(self):
        chosen = [(self.at + i) % len(self.rows) for i in range(self.batch)]
        self.at += self.batch
        labels = torch.tensor([self.rows[k][1] for k in chosen])
        if not self.prompt:
            return self.tokenizer.pad([self.encoded[k] for k in chosen], padding=True, return_tensors="pt"), labels, None
        options = [option for k in chosen for option in self.encoded[k]]
        longest = max(len(ids) for ids, _ in options)
        pad = self.tokenizer.pad_token_id or 0
        tokens = torch.tensor([[pad] * (longest - len(ids)) + ids for ids, _ in options])
        mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids, _ in options])
        return {"input_ids": tokens, "attention_mask": mask}, labels, [n for _, n in options]

    def loss(self, packed):
        inputs, labels, lengths = packed
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast):
            logits = self.model(**inputs).logits
        logits = logits.float()
        if lengths is not None:
            logp = torch.log_softmax(logits[:, :-1], -1).gather(-1, inputs["input_ids"][:, 1:, None])[..., 0]
            logits = torch.stack([logp[i, -n:].mean() for i, n in enumerate(lengths)]).view(-1, 2)
        return torch.nn.functional.cross_entropy(logits, labels)

    def perturb(self, seed, scale):
        torch.manual_seed(seed)
        for p in self.parameters:
            z = torch.normal(mean=0, std=1, size=p.size(), dtype=p.dtype)
            p.data = p.data + scale * z

    @torch.no_grad()
    def mezo(self, step, lr=1e-7, eps=1e-3):
        packed = self.next_batch()
        self.perturb(step, eps)
        plus = self.loss(packed)
        self.perturb(step, -2 * eps)
        minus = self.loss(packed)
        self.perturb(step, eps)
        projected = ((plus - minus) / (2 * eps)).item()
        self.perturb(step, -lr * projected)
        return plus.item()

    def adamw(self, step, lr=1e-5):
        if self.adamw is None:
            self.adamw = torch.optim.AdamW(self.parameters, lr=lr)
        self.adamw.zero_grad()
        loss = self.loss(self.next_batch())
        loss.backward()
        self.adamw.step()
        return loss.item()

    def time_steps(self, method, steps):
        """Wall milliseconds of each of `steps` steps."""
        taken = []
        for step in range(steps):
            before = time.perf_counter()
            getattr(self, method)(step)
            taken.append(1e3 * (time.perf_counter() - before))
        return taken
