#!/usr/bin/env python3
"""Choices of a causal language model by the MeZO authors' protocol (arXiv 2305.17333, appendix E), with transformers in f32: one
example at a time, every option appended to the prompt, the option with the highest mean log-probability of its tokens wins. Prompt and
option are tokenized together; the option's tokens are the last ones, as many as it adds to the prompt alone. What is longer than the
model's 2048 positions loses its left end. The tokenizer is the model's own and adds no bos where the model's own does not.

    mezo_zero_shot.py MODEL_FOLDER DATA_FOLDER OUT.json.gz [case ...]

A case is TASK, with :ROWS the first so many rows, with +N so many fixed demonstrations (the first of numpy's permutation by seed 0 of the
training rows), with ~sfc or ~icl_sfc calibrated: the sum of an option's log-probabilities less that of the same option behind a prompt
without content, without demonstrations or with them.

    mezo_zero_shot.py smollm2-135m DATA zero_shot_smollm2.json.gz sst2 rte cb copa wic
    mezo_zero_shot.py smollm2-135m DATA zero_shot_more_smollm2.json.gz boolq:60 wsc multirc:60 record record~sfc \\
        rte:60+4 cb+4 cb+4~icl_sfc sst2:200~sfc copa~sfc cb~sfc

Tokens that the options share are run once. Needs torch, transformers, numpy. OUT holds, for each case, the accuracy and every
example's label, choice and option scores.
"""
import copy
import gzip
import json
import os
import re
import sys

import numpy
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def jsonl(path):
    path = path if os.path.exists(path) else path + ".gz"
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def first_word_lower(text):
    words = text.split(" ")
    if words[0] != "I":
        words[0] = words[0].lower()
    return " ".join(words)


def drop_title(passage):
    return passage.split(" -- ", 1)[1] if " -- " in passage else passage


def mend_span(text, span, index):
    """The hub's "wsc.fixed"."""
    if span in text or span in ("Kamenev and Zinoviev", "Kamenev, Zinoviev, and Stalin"):
        return span
    first = text.split()[index][0]
    span = (span[0].lower() if first.islower() else span[0].upper()) + span[1:]
    return span.rstrip(".").replace("\n", " ")


# Each gives, for `part` ("train" or "val"), (prompt, [prompt + option, ...], indices of the right ones, prompt without content, its options).
def words(prompt, options, label):
    return prompt, [prompt + word for word in options], [label], "", list(options)


def sst2(data, part):
    with open(os.path.join(data, f"glue/SST-2/{'dev' if part == 'val' else part}.tsv"), encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            text, label = line.rstrip("\n").split("\t")
            prompt = text.strip() + " It was"
            yield prompt, [prompt + " terrible", prompt + " great"], [int(label)], " It was", [" It was terrible", " It was great"]


def rte(data, part):
    for row in jsonl(os.path.join(data, f"superglue/RTE/{part}.jsonl")):
        prompt = f'{row["premise"]}\nDoes this mean that "{row["hypothesis"]}" is true? Yes or No?\n'
        yield words(prompt, ("Yes", "No"), ["entailment", "not_entailment"].index(row["label"]))


def cb(data, part):
    for row in jsonl(os.path.join(data, f"superglue/CB/{part}.jsonl")):
        prompt = f'Suppose {row["premise"]} Can we infer that "{row["hypothesis"]}"? Yes, No, or Maybe?\n'
        yield words(prompt, ("Yes", "No", "Maybe"), ["entailment", "contradiction", "neutral"].index(row["label"]))


def copa(data, part):
    for row in jsonl(os.path.join(data, f"superglue/COPA/{part}.jsonl")):
        premise = row["premise"].rstrip()
        premise = premise[:-1] if premise.endswith(".") else premise
        joint = {"effect": "so", "cause": "because"}[row["question"]]
        prompt, choices = f"{premise} {joint} ", [first_word_lower(row[key]) for key in ("choice1", "choice2")]
        yield prompt, [prompt + choice for choice in choices], [row["label"]], joint, [f"{joint} {choice}" for choice in choices]


def wic(data, part):
    for row in jsonl(os.path.join(data, f"superglue/WiC/{part}.jsonl")):
        prompt = (f'Does the word "{row["word"]}" have the same meaning in these two sentences? Yes, No?\n'
                  f'{row["sentence1"]}\n{row["sentence2"]}\n')
        yield words(prompt, ("No", "Yes"), int(row["label"]))


def boolq(data, part):
    for row in jsonl(os.path.join(data, f"superglue/BoolQ/{part}.jsonl")):
        question = row["question"] if row["question"].endswith("?") else row["question"] + "?"
        prompt = f'{drop_title(row["passage"])} {question[0].upper()}{question[1:]}\n'
        yield words(prompt, ("No", "Yes"), int(row["label"]))


def wsc(data, part):
    for row in jsonl(os.path.join(data, f"superglue/WSC/{part}.jsonl")):
        text, target = row["text"], row["target"]
        who = mend_span(text, target["span1_text"], target["span1_index"])
        pronoun = mend_span(text, target["span2_text"], target["span2_index"]).lower()
        prompt = f'{text}\nIn the previous sentence, does the pronoun "{pronoun}" refer to {who}? Yes or No?\n'
        yield words(prompt, ("No", "Yes"), int(row["label"]))


def multirc(data, part):
    for row in jsonl(os.path.join(data, f"superglue/MultiRC/{part}.jsonl")):
        for question in row["passage"]["questions"]:
            for answer in question["answers"]:
                prompt = (f'{row["passage"]["text"]}\nQuestion: {question["question"]}\nI found this answer "{answer["text"]}". '
                          "Is that correct? Yes or No?\n")
                yield words(prompt, ("No", "Yes"), int(answer["label"]))


def record(data, part):
    """Entities in order, each once. FewGLUE's rows: both files, training rows first."""
    for name in ("train", "dev32"):
        for row in jsonl(os.path.join(data, f"fewglue/ReCoRD/{name}.jsonl")):
            text = row["passage"]["text"]
            entities = sorted({text[e["start"]:e["end"] + 1] for e in row["passage"]["entities"]})
            prompt = re.sub("@highlight\n", "- ", text) + "\n-"
            for question in row["qas"]:
                lines = [question["query"].replace("@placeholder", entity) for entity in entities]
                right = sorted(entities.index(answer) for answer in {a["text"] for a in question["answers"]})
                yield prompt, [f"{prompt} {line}" for line in lines], right, "-", [f"- {line}" for line in lines]


TASKS = {f.__name__: f for f in (sst2, rte, cb, copa, wic, boolq, wsc, multirc, record)}
CONTEXT = 2048


@torch.inference_mode()
def option_log_probabilities(model, ids, counts):
    """Of the last counts[i] tokens of each text, at most all but its first. What the texts share at the front is run once, and logits are made for the
    tokens alone that are asked for."""
    counts = [min(count, len(row) - 1) for row, count in zip(ids, counts)]
    shared = 0
    while shared < min(map(len, ids)) - 1 and len({row[shared] for row in ids}) == 1:
        shared += 1
    first = min(len(row) - count for row, count in zip(ids, counts))  # the first token asked for, of any; the token before it predicts it
    kept = max(1, shared - first + 1)
    front = model(input_ids=torch.tensor([ids[0][:shared]]), use_cache=True, logits_to_keep=kept) if shared else None
    out = []
    for row, count in zip(ids, counts):
        if len(row) == 1:
            out.append(torch.zeros(0))
            continue
        cache = {"past_key_values": copy.deepcopy(front.past_key_values)} if shared else {}
        logits = model(input_ids=torch.tensor([row[shared:]]), **cache).logits
        logits = (torch.cat([front.logits, logits], dim=1) if shared else logits)[0, -count - 1:-1].float()
        out.append(torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(row[-count:])[:, None])[:, 0])
    return out


def option_parts(model, tokenizer, before, prompt, options):
    """The log-probabilities of each option's own tokens, behind the text `before`."""
    prompt_tokens = len(tokenizer.encode(prompt.strip(" ")))
    counts = [len(tokenizer.encode(option.strip(" "))) - prompt_tokens for option in options]
    ids = [tokenizer.encode((before + option.strip(" ")).lstrip().strip(" "))[-CONTEXT:] for option in options]
    return option_log_probabilities(model, ids, counts)


def demonstrations(rows, n):
    order = numpy.random.RandomState(0).permutation(len(rows))[:n]
    return "".join(rows[i][1][rows[i][2][0]].strip() + "\n\n" for i in order)


def main():
    folder, data, out = sys.argv[1:4]
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    result = {"model": os.path.basename(os.path.normpath(folder)), "protocol": "MeZO zero-shot, f32, own tokenizer", "tasks": {}}
    known = {}  # parts of options, for cases that differ in calibration alone
    for case in sys.argv[4:] or TASKS:
        name, rows, shown, calibration = re.fullmatch(r"(\w+)(?::(\d+))?(?:\+(\d+))?(?:~(\w+))?", case).groups()
        before = demonstrations(list(TASKS[name](data, "train")), int(shown)) if shown else ""
        labels, choices, scores = [], [], []
        for row, (prompt, options, right, free, free_options) in enumerate(list(TASKS[name](data, "val"))[:int(rows) if rows else None]):
            key = (name, shown, row)
            known[key] = known.get(key) or option_parts(model, tokenizer, before, prompt, options)
            if calibration:
                less = option_parts(model, tokenizer, before if calibration == "icl_sfc" else "", free, free_options)
                values = [a.sum().item() - b.sum().item() for a, b in zip(known[key], less)]
            else:
                values = [part.mean().item() for part in known[key]]
            labels.append(right if name == "record" else right[0])
            choices.append(max(range(len(values)), key=values.__getitem__))
            scores.append([round(value, 5) for value in values])
        accuracy = sum(a in b if name == "record" else a == b for a, b in zip(choices, labels)) / len(labels)
        result["tasks"][case] = {"examples": len(labels), "accuracy": accuracy, "labels": labels, "choices": choices, "scores": scores}
        print(f"{case}: {accuracy:.4f} of {len(labels)}", flush=True)
        with open(out, "wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
            packed.write(json.dumps(result, separators=(",", ":")).encode())


if __name__ == "__main__":
    main()
