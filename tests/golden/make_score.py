#!/usr/bin/env python3
"""What `zo score` must print, computed with transformers in f32, one line of text at a time, no padding: ids, the base model's
last_hidden_state (first token for encoders, last for causal models) and, for causal models, the log-probability of each token given
those before it.

    make_score.py MODEL_FOLDER TEXT_FILE > scores.jsonl              one JSON object per line, with the text
    make_score.py MODEL_FOLDER TEXT_FILE --compare FILE.jsonl        the largest differences to the output of `zo score`

score_stories260k.jsonl.gz was made from score_lines.txt and the stories260K checkpoint:
    make_score.py .../stories260K score_lines.txt | gzip -9n > score_stories260k.jsonl.gz
"""
import json
import os
import sys

import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, BertTokenizerFast, PreTrainedTokenizerFast


def rounded(values):
    return [float(f"{value:.7g}") for value in values.tolist()]


@torch.inference_mode()
def scores(folder, lines):
    causal = AutoConfig.from_pretrained(folder).model_type in ("gpt2", "opt", "llama")
    torch.set_num_threads(1)
    path = os.path.join(folder, "tokenizer.json")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=path) if os.path.exists(path) else BertTokenizerFast.from_pretrained(folder)
    kind = AutoModelForCausalLM if causal else AutoModel
    model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    for text in lines:
        ids = tokenizer.encode(text)
        out = {"text": text, "ids": ids, "hidden": [], **({"logprob": []} if causal else {})}
        if ids:
            batch = torch.tensor([ids])
            result = model(input_ids=batch, output_hidden_states=True) if causal else model(input_ids=batch)
            hidden = result.hidden_states[-1] if causal else result.last_hidden_state
            out["hidden"] = rounded(hidden[0, -1 if causal else 0])
            if causal:
                picked = torch.log_softmax(result.logits[:, :-1], dim=-1).gather(2, batch[:, 1:, None])[0, :, 0]
                out["logprob"] = rounded(picked)
        yield out


def main():
    with open(sys.argv[2], encoding="utf-8") as text:
        lines = [line.rstrip("\n") for line in text]
    ours = None
    if "--compare" in sys.argv:
        with open(sys.argv[sys.argv.index("--compare") + 1], encoding="utf-8") as text:
            ours = [json.loads(line) for line in text]
        assert len(ours) == len(lines), (len(ours), len(lines))
    worst = {"hidden": 0.0, "logprob": 0.0}
    other_ids = 0
    for number, out in enumerate(scores(sys.argv[1], lines)):
        if ours is None:
            print(json.dumps(out, ensure_ascii=False, separators=(",", ":")))
            continue
        if ours[number]["ids"] != out["ids"]:
            other_ids += 1
            continue
        for key in worst:
            a, b = ours[number].get(key, []), out.get(key, [])
            assert len(a) == len(b), (number, key, len(a), len(b))
            worst[key] = max([worst[key]] + [abs(x - y) for x, y in zip(a, b)])
    if ours is not None:
        print(f"{len(lines)} lines, {other_ids} with other ids, largest difference: hidden {worst['hidden']:.3g}, logprob {worst['logprob']:.3g}")


if __name__ == "__main__":
    main()
