#!/usr/bin/env python3
"""Golden trajectories of torch.optim.SGD and AdamW in float64 for tests/optimizers/test_engine.c: prints C initialisers.

Six weights start at (i - 2.5) / 4; the gradient at w is h * (w - t) with h_i = 0.5 + i / 6, t_i = cos(i); five steps."""
import math
import torch


def run(make):
    w = torch.tensor([(i - 2.5) / 4 for i in range(6)], dtype=torch.float64, requires_grad=True)
    h = torch.tensor([0.5 + i / 6 for i in range(6)], dtype=torch.float64)
    t = torch.tensor([math.cos(i) for i in range(6)], dtype=torch.float64)
    optimizer, clip = make([w])
    for _ in range(5):
        optimizer.zero_grad()
        (0.5 * h * (w - t) ** 2).sum().backward()
        if clip:
            torch.nn.utils.clip_grad_norm_([w], clip)
        optimizer.step()
    return "{" + ", ".join("%.9f" % x for x in w.tolist()) + "}"


print("sgd, lr 0.1:", run(lambda w: (torch.optim.SGD(w, lr=0.1), 0)))
print("sgd, lr 0.1, momentum 0.9, decay 0.05, clip 0.7:",
      run(lambda w: (torch.optim.SGD(w, lr=0.1, momentum=0.9, weight_decay=0.05), 0.7)))
print("adamw, lr 0.05, decay 0.1, clip 1:", run(lambda w: (torch.optim.AdamW(w, lr=0.05, weight_decay=0.1), 1.0)))
print("adamw, lr 0.05, no clip:", run(lambda w: (torch.optim.AdamW(w, lr=0.05, weight_decay=0.0), 0)))
