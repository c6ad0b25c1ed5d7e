#!/usr/bin/env python3
"""What a causal language model writes to questions of SQuAD and DROP by the protocol of MeZO (arXiv 2305.17333, appendix E), with transformers in f32: one
prompt at a time, greedy, at most 50 tokens, up to a line feed or the tokenizer's end; and its F1 over words and exact match as SQuAD's scorer has them. The rows
are the first of numpy's RandomState(0).permutation over XQuAD's English file and DROP's contrast set.

    make_answers.py MODEL_FOLDER DATA_FOLDER OUT.json.gz [ROWS [TASK...]]

Needs torch, transformers, numpy. OUT holds, for each task, the scores, and of every row its prompt's and its answer's tokens, the answer's text and scores,
and the least difference between the two largest logits."""
import collections
import gzip
import json
import os
import re
import string
import sys

import numpy
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

MOST = 50


def squad(folder):
    with gzip.open(os.path.join(folder, "squad/xquad.en.json.gz"), "rt", encoding="utf-8") as f:
        for article in json.load(f)["data"]:
            for paragraph in article["paragraphs"]:
                for qa in paragraph["qas"]:
                    yield (f'Title: {article["title"]}\nContext: {paragraph["context"]}\nQuestion: {qa["question"].strip()}\nAnswer:',
                           [a["text"] for a in qa["answers"]])


def drop(folder):
    with gzip.open(os.path.join(folder, "drop/drop_contrast_sets_test.json.gz"), "rt", encoding="utf-8") as f:
        for passage in json.load(f).values():
            for qa in passage["qa_pairs"]:
                answer = qa["answer"]
                date = " ".join(answer["date"][k] for k in answer["date"] if answer["date"][k])
                golds = [answer["number"]] if answer["number"] else [date] if date else answer["spans"]
                if golds:
                    yield f'Passage: {passage["passage"]}\nQuestion: {qa["question"].strip()}\nAnswer:', golds


def normal(text):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1(answer, gold):
    a, b = normal(answer).split(), normal(gold).split()
    same = sum((collections.Counter(a) & collections.Counter(b)).values())
    return 2 * same / (len(a) + len(b)) if same else 0.0


def main():
    model_folder, data, out = sys.argv[1:4]
    rows = int(sys.argv[4]) if len(sys.argv) > 4 else 50
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    ends = [tokenizer.encode("\n", add_special_tokens=False)[-1], tokenizer.eos_token_id]
    result = {"ends": ends, "tasks": {}}
    for name in sys.argv[5:] or ["squad", "drop"]:
        every = list({"squad": squad, "drop": drop}[name](data))
        entries = []
        for row in numpy.random.RandomState(0).permutation(len(every))[:rows]:
            prompt, golds = every[row]
            ids = torch.tensor([tokenizer.encode(prompt.strip(" "))])
            made = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, num_beams=1, max_new_tokens=MOST, eos_token_id=ends,
                                  pad_token_id=0, output_logits=True, return_dict_in_generate=True)
            margin = min(float(t[0] - t[1]) for t in (step[0].topk(2).values for step in made.logits))
            written = made.sequences[0, ids.shape[1]:].tolist()
            text = tokenizer.decode(written, skip_special_tokens=True).strip()
            written = written[:-1] if written[-1] in ends else written
            print(name, len(entries), file=sys.stderr, flush=True)
            entries.append({"prompt_tokens": ids.shape[1], "ids": written, "text": text, "f1": max(f1(text, g) for g in golds),
                            "exact": max(float(normal(text) == normal(g)) for g in golds), "margin": margin})
        score = {k: float(numpy.mean([e[k] for e in entries])) for k in ("f1", "exact")}
        result["tasks"][name] = {"rows": len(entries), **score, "entries": entries}
        print(name, len(entries), score, file=sys.stderr)
    with open(out, "wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
        packed.write(json.dumps(result, separators=(",", ":")).encode())


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
