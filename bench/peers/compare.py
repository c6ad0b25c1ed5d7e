"""PyTorch's step and zo's step in turn, in one run, on the same model folder and the same rows of SST-2; the ratio of medians.

The cases are in compare.json.

Usage: compare.py --zo ./zo --data DIR --models DIR [--steps N] [--rounds N] [--only SUBSTRING] [--json FILE]
"""
import argparse
import json
import os
import statistics
import subprocess

import torch

from torch_steps import Peer, sst2_rows


def zo_steps(args, model, form, batch, optimizer, precision, realisation):
    command = [args.zo, "bench", "step", model, "--task", "sst2", "--form", form, "--batch", str(batch), "--optimizer", optimizer,
               "--precision", precision, "--realisation", realisation, "--steps", str(args.steps), "--data", args.data,
               "--models", args.models, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zo", default="./zo")
    parser.add_argument("--data", required=True)
    parser.add_argument("--models", required=True)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--json")
    args = parser.parse_args()
    rows = sst2_rows(args.data, 2048)
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, f32 (the autocast column: the same under bf16 autocast); "
          f"{args.rounds} rounds of {args.steps} steps each, in turn; medians in ms")
    header = ("model", "form", "batch", "method", "precision", "torch f32", "torch autocast", "zo", "torch f32 / zo", "torch autocast / zo", "goal (f32 / zo)", "where zo's time goes (ms)")
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    kept = []
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "compare.json"), encoding="utf-8") as f:
        cases = json.load(f)
    for case in cases:
        model, form, batch, method = case["model"], case["form"], case["batch"], case["peer"]
        if args.only not in f"{model} {form} {batch} {method}":
            continue
        peers = [Peer(f"{args.models}/{model}", rows, batch, form == "prompt", cast) for cast in (False, True)]
        for peer in peers:
            peer.time_steps(method, 1)
        theirs, theirs_cast, ours, last = [], [], {}, {}
        for _ in range(args.rounds):
            theirs += peers[0].time_steps(method, args.steps)
            for precision in case["goals"]:
                last[precision] = zo_steps(args, model, form, batch, case["optimizer"], precision, case["realisation"])
                ours.setdefault(precision, []).extend(last[precision]["steps_ms"])
            theirs_cast += peers[1].time_steps(method, max(1, args.steps // 2))
        a, b = statistics.median(theirs), statistics.median(theirs_cast)
        for precision, goal in case["goals"].items():
            c = statistics.median(ours[precision])
            parts = ", ".join(f"{name} {ms:.1f}" for name, ms in last[precision]["parts_ms"].items() if ms >= 0.05)
            print(f"| {model} | {form} | {batch} | {method} | {precision} | {a:.1f} | {b:.1f} | {c:.1f} | {a / c:.1f}x | {b / c:.1f}x | >= {goal}x "
                  f"| {parts} |", flush=True)
            kept.append(dict(model=model, form=form, batch=batch, method=method, precision=precision, torch_ms=a, torch_autocast_ms=b,
                             zo_ms=c, ratio=a / c, ratio_autocast=b / c, goal=goal, parts_ms=last[precision]["parts_ms"]))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(dict(torch=torch.__version__, threads=torch.get_num_threads(), steps=args.steps, rounds=args.rounds, cases=kept), f, indent=1)


if __name__ == "__main__":
    main()
