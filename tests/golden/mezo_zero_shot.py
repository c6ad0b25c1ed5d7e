#!/usr/bin/env python3
"""Zero-shot accuracies of a causal language model by the MeZO authors' protocol (arXiv 2305.17333, appendix E), with transformers
in f32: one example at a time, every option appended to the prompt, the option with the highest mean log-probability of its tokens
wins. Prompt and option are tokenized together; the option's tokens are the last ones, as many as it adds to the prompt alone.
The tokenizer is the model's own and adds no bos where the model's own does not.

    mezo_zero_shot.py MODEL_FOLDER DATA_FOLDER OUT.json.gz [task ...]

Needs torch, transformers, numpy. OUT holds, for each task, the accuracy and every example's label, choice and option scores.
"""
import gzip
import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast


def jsonl(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def first_word_lower(text):
    words = text.split(" ")
    if words[0] != "I":
        words[0] = words[0].lower()
    return " ".join(words)


# Each yields (prompt, [prompt + option, ...], index of the right option).
def sst2(data):
    with open(os.path.join(data, "glue/SST-2/dev.tsv"), encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            text, label = line.rstrip("\n").split("\t")
            prompt = text.strip() + " It was"
            yield prompt, [prompt + " terrible", prompt + " great"], int(label)


def rte(data):
    for row in jsonl(os.path.join(data, "superglue/RTE/val.jsonl")):
        prompt = f'{row["premise"]}\nDoes this mean that "{row["hypothesis"]}" is true? Yes or No?\n'
        yield prompt, [prompt + "Yes", prompt + "No"], ["entailment", "not_entailment"].index(row["label"])


def cb(data):
    for row in jsonl(os.path.join(data, "superglue/CB/val.jsonl")):
        prompt = f'Suppose {row["premise"]} Can we infer that "{row["hypothesis"]}"? Yes, No, or Maybe?\n'
        yield prompt, [prompt + w for w in ("Yes", "No", "Maybe")], ["entailment", "contradiction", "neutral"].index(row["label"])


def copa(data):
    for row in jsonl(os.path.join(data, "superglue/COPA/val.jsonl")):
        premise = row["premise"].rstrip()
        premise = premise[:-1] if premise.endswith(".") else premise
        prompt = premise + {"effect": " so ", "cause": " because "}[row["question"]]
        yield prompt, [prompt + first_word_lower(row[key]) for key in ("choice1", "choice2")], row["label"]


def wic(data):
    for row in jsonl(os.path.join(data, "superglue/WiC/val.jsonl")):
        prompt = (f'Does the word "{row["word"]}" have the same meaning in these two sentences? Yes, No?\n'
                  f'{row["sentence1"]}\n{row["sentence2"]}\n')
        yield prompt, [prompt + "No", prompt + "Yes"], int(row["label"])


TASKS = {"sst2": sst2, "rte": rte, "cb": cb, "copa": copa, "wic": wic}


@torch.inference_mode()
def score(model, tokenizer, prompt, options):
    """Mean log-probability of each option's tokens; options of one length run as one batch, so nothing is ever padded."""
    prompt_tokens = len(tokenizer.encode(prompt.strip(" ")))
    ids = [tokenizer.encode(option.lstrip().strip(" ")) for option in options]
    counts = [len(tokenizer.encode(option.strip(" "))) - prompt_tokens for option in options]
    scores = [0.0] * len(options)
    for length in set(map(len, ids)):
        members = [i for i in range(len(ids)) if len(ids[i]) == length]
        batch = torch.tensor([ids[i] for i in members])
        logits = model(input_ids=batch).logits[:, :-1].float()
        picked = torch.log_softmax(logits, dim=-1).gather(2, batch[:, 1:, None])[:, :, 0]
        for row, i in enumerate(members):
            scores[i] = picked[row, -counts[i]:].mean().item()
    return scores


def main():
    folder, data, out = sys.argv[1:4]
    torch.set_num_threads(1)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=os.path.join(folder, "tokenizer.json"))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    result = {"model": os.path.basename(os.path.normpath(folder)), "protocol": "MeZO zero-shot, f32, own tokenizer", "tasks": {}}
    for name in sys.argv[4:] or TASKS:
        labels, choices, scores = [], [], []
        for prompt, options, label in TASKS[name](data):
            values = score(model, tokenizer, prompt, options)
            labels.append(label)
            choices.append(max(range(len(values)), key=values.__getitem__))
            scores.append([round(value, 5) for value in values])
        accuracy = sum(a == b for a, b in zip(labels, choices)) / len(labels)
        result["tasks"][name] = {"examples": len(labels), "accuracy": accuracy, "labels": labels, "choices": choices, "scores": scores}
        print(f"{name}: {accuracy:.4f} of {len(labels)}", flush=True)
    with open(out, "wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
        packed.write(json.dumps(result, separators=(",", ":")).encode())


if __name__ == "__main__":
    main()
