#!/usr/bin/env python3
"""What transformers' generate() writes greedily behind prompts of different lengths, with the small causal models of models/ in f32 and one prompt at
a time: without an end, and with two tokens that end a text. Needs torch and transformers.

    make_generated.py > generated.json

`margin` is the least difference between the largest and the second logit of all steps: a text is only told apart from another by more than rounding
where that is well above 1e-5. For each model, prompts are drawn until it is."""
import json
import os
import sys

import torch
import transformers as tr

HERE = os.path.dirname(os.path.abspath(__file__))
FAMILIES = ["gpt2", "opt", "opt-post-norm", "llama", "llama-tied", "phi3"]
ORIGINAL = {"phi3": 14}  # where LongRoPE goes over to its long factors: inside of some texts, before others
LENGTHS = [5, 11, 2, 17, 1, 8]
MOST, LEAST_MARGIN, VOCAB = 20, 2e-3, 96


def write_on(model, prompt, ends):
    ids = torch.tensor([prompt])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, num_beams=1, max_new_tokens=MOST, eos_token_id=ends or None,
                         pad_token_id=1, output_logits=True, return_dict_in_generate=True)
    margin = min(float(t[0] - t[1]) for t in (step[0].topk(2).values for step in out.logits))
    made = out.sequences[0, len(prompt):].tolist()
    return made[:-1] if ends and made and made[-1] in ends else made, margin


def write_all(model, prompts, ends):
    pairs = [write_on(model, prompt, ends) for prompt in prompts]
    return [made for made, _ in pairs], min(margin for _, margin in pairs)


def main():
    torch.set_num_threads(1)
    result = []
    for family in FAMILIES:
        folder = os.path.join(HERE, "models", family)
        config, changed = tr.AutoConfig.from_pretrained(folder), {}
        if family in ORIGINAL:
            changed = {"original_max_position_embeddings": ORIGINAL[family]}
            config.original_max_position_embeddings = config.rope_parameters["original_max_position_embeddings"] = ORIGINAL[family]
        model = tr.AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.float32, attn_implementation="eager").eval()
        model.generation_config.eos_token_id = None
        for seed in range(1000):
            generator = torch.Generator().manual_seed(seed)
            prompts = [torch.randint(4, VOCAB, (n,), generator=generator).tolist() for n in LENGTHS]
            free, margin = write_all(model, prompts, [])
            if margin < LEAST_MARGIN:
                continue
            ends = sorted({free[0][3], free[3][6]})
            ended, _ = write_all(model, prompts, ends)
            if len({len(made) for made in ended}) > 2:
                break
        result.append({"model": family, **changed, "most": MOST, "prompts": prompts, "free": free, "ends": ends, "ended": ended, "margin": margin})
        print(family, seed, margin, [len(made) for made in ended], file=sys.stderr)
    print("[" + ",\n".join(json.dumps(entry) for entry in result) + "]")


if __name__ == "__main__":
    main()
