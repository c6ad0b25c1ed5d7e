#!/usr/bin/env python3
"""What `zo export` wrote, loaded by transformers, and by PEFT where it is an adapter. Run by tests/bench/test_exports.c. Needs torch, transformers, peft.

    check_exports.py LIST ZO          in the folder of LIST, whose lines are: FOLDER class|lm BASE; BASE "-" = all the weights are in FOLDER

Beside FOLDER stand FOLDER.ids and FOLDER.types (32-bit integers, the tokens of all sequences), FOLDER.lengths, and FOLDER.logits (floats): what zo
computes at the last token of each sequence, or at the first where an encoder has classes or label words. No weight may be missing or left over; the
tokenizer's ids must be those of the program ZO. Compared is with torch in 64 bits, and by how far torch in 32 bits is from that."""
import subprocess
import sys
import warnings

import numpy
import peft
import torch
import transformers as tr

MASKED = ("bert", "roberta", "distilbert", "electra", "albert", "modernbert")
OWN_TOKENIZER = ("qwen2",)  # AutoTokenizer makes a class of the family from the vocabulary, and leaves the rest of the test's tokenizer.json out
TEXT = "it was good, a bad day"


def load(folder, head, base):
    config = tr.AutoConfig.from_pretrained(base or folder)
    masked = config.model_type in MASKED
    auto = tr.AutoModelForSequenceClassification if head == "class" else tr.AutoModelForMaskedLM if masked else tr.AutoModelForCausalLM
    kind = dict(num_labels=3) if base and head == "class" else {}  # a folder of all the weights says it itself
    model, said = auto.from_pretrained(base or folder, attn_implementation="eager", dtype=torch.float32, output_loading_info=True, **kind)
    if base:
        model = peft.PeftModel.from_pretrained(model, folder)
    else:
        assert not any(said[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), (folder, said)
    return model.eval(), masked


def logits_of(model, masked, head, ids, types, lengths):
    out, at = [], 0
    for length in lengths:  # one at a time: nothing is padded
        inputs = dict(input_ids=torch.tensor(ids[at:at + length]).long()[None])
        if model.config.model_type in ("bert", "electra", "albert"):
            inputs["token_type_ids"] = torch.tensor(types[at:at + length]).long()[None]
        with torch.no_grad():
            logits = model(**inputs, attention_mask=torch.ones(1, int(length), dtype=torch.long)).logits
        out.append(logits[0] if head == "class" else logits[0, 0 if masked else -1])
        at += length
    return torch.stack(out)


def differences(folder, head, base, zo):
    model, masked = load(folder, head, base)
    ids, types, lengths = (numpy.fromfile(f"{folder}.{name}", numpy.int32) for name in ("ids", "types", "lengths"))
    ours = torch.from_numpy(numpy.fromfile(folder + ".logits", numpy.float32)).reshape(len(lengths), -1)
    in_floats = logits_of(model, masked, head, ids, types, lengths)
    theirs = logits_of(model.double(), masked, head, ids, types, lengths)
    largest = float(theirs.abs().max())
    reader = tr.PreTrainedTokenizerFast if model.config.model_type in OWN_TOKENIZER else tr.AutoTokenizer
    tokenizer = reader.from_pretrained(folder)
    out = subprocess.run([zo, "tokenize", base or folder], input=TEXT + "\n", capture_output=True, text=True, check=True).stdout
    assert tokenizer(TEXT)["input_ids"] == [int(word) for word in out.split()], (folder, tokenizer(TEXT)["input_ids"], out)
    assert theirs.shape == ours.shape and float(theirs.std()) > 0, folder
    return float((theirs - ours).abs().max()) / largest, float((theirs - in_floats).abs().max()) / largest


def main():
    torch.set_num_threads(1)
    tr.utils.logging.disable_progress_bar()
    tr.utils.logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    most = {}
    for line in open(sys.argv[1]):
        folder, head, base = line.split()
        base = None if base == "-" else base
        difference, rounding = differences(folder, head, base, sys.argv[2])
        print(f"{folder}: largest difference of a logit {difference:.1e} of the largest logit; torch's own in 32 bits {rounding:.1e}")
        assert difference < max(5e-6, 4 * rounding), folder
        kind = "PEFT" if base else "transformers"
        most[kind] = (most.get(kind, (0, 0))[0] + 1, max(most.get(kind, (0, 0))[1], difference))
    for kind, (n, difference) in most.items():
        print(f"measured: {n} exported folders loaded by {kind}, logits equal to {difference:.1e} of the largest")


if __name__ == "__main__":
    main()
