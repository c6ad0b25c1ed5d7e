#!/usr/bin/env python3
"""20 steps of methods' released code, run as its authors wrote it, for tests/optimizers/test_released.c. Needs torch, and the authors' repositories:

    make_released.py CHECKOUTS        writes released.json beside this file; CHECKOUTS/MeZO, CHECKOUTS/LOZO and so on are the repositories

Of each trainer the methods that make a step are taken from its file and run on a small problem in float64. Everything else of a trainer is stood in for: the
loss, the learning rate, the loggers. Draws are those of core/rng.h, written again below. A number that the code draws after setting a seed is
told apart by where in the seed's stream it stands: what is drawn again at the same place is the same number, and what stands elsewhere is another
(query 1). So a loop that draws its directions in another order when it updates gets other directions, as it does with torch's own generator.

The problem: a.weight (3, 5), a.bias (4), b.weight (2, 7), element i of all begins at cos(i) / 2. Step t has the loss of example e = t mod 4:
1 + sum of c_i (w_i - sin(1.7 i + 2.3 e))^2 / 2 + (1 - cos 2 w_i) / 5, c_i = 0.3 + 0.1 (i mod 5), and (sum of w_i)^2 / 200; over all rows it is the mean of
the four."""
import ast
import json
import math
import os
import sys
import time
import types

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
SEED, STEPS, ALL = 77, 20, -1
SHAPES = {"a.weight": (3, 5), "a.bias": (4,), "b.weight": (2, 7)}
COUNT = sum(math.prod(s) for s in SHAPES.values())

# ---- the generator ------------------------------------------------------------------------------------------------------------


def param_id(name):
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = (h ^ b) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return (h ^ h >> 32) & 0xFFFFFFFF


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [p1 >> 32 ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, p0 >> 32 ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [k[0] + 0x9E3779B9 & 0xFFFFFFFF, k[1] + 0xBB67AE85 & 0xFFFFFFFF]
    return c


def words(name, step, query, n):
    out = []
    for block in range((n + 3) // 4):
        out += philox((block, param_id(name), step, query), (SEED, 0))
    return out[:(n + 3) // 4 * 4]


def normals(name, step, query, n):
    w, out = words(name, step, query, n), []
    for a, b in zip(w[0::2], w[1::2]):
        u = float(np.float32(float(np.float32(a)) * 2.0 ** -32 + 2.0 ** -33))
        signed = b - (1 << 32) if b >= 1 << 31 else b
        turn = 2 * math.pi * float(np.float32(signed)) * 2.0 ** -32
        radius = math.sqrt(-2 * math.log(u))
        out += [float(np.float32(radius * math.cos(turn))), float(np.float32(radius * math.sin(turn)))]
    return out[:n]


def signs(name, step, query, n):
    w = words(name, step, query, (n + 31) // 32)
    return [-1.0 if w[i // 32] >> i % 32 & 1 else 1.0 for i in range(n)]


# ---- what the code sees in place of torch and numpy -------------------------------------------------------------------------------


class Draws:
    """rank: of factors, whose shapes (n, rank) are known by n. period: steps for which a V stays."""

    def __init__(self, rank, period):
        self.step, self.rank, self.period, self.at, self.of_seed, self.first = 0, rank, period, 0, {}, {}
        self.of = {shape: (name, "") for name, shape in SHAPES.items()}
        for name, shape in SHAPES.items():
            if rank and len(shape) == 2:
                self.of[(shape[0], rank)], self.of[(shape[1], rank)] = (name, "/U"), (name, "/V")

    def new_seed(self, most, size=None):
        """Seeds are told apart by the step that made them and their number in it, which is the query."""
        seed = len(self.of_seed)
        self.of_seed[seed] = (self.step, sum(step == self.step for step, _ in self.of_seed.values()))
        return seed

    def manual_seed(self, seed):
        self.seed, self.at = seed, 0

    def draw(self, numbers, shape, dtype):
        shape = tuple(shape)
        name, side = self.of[shape]
        n = math.prod(shape)
        place = self.first.setdefault((self.seed, name + side), self.at)
        step, query = self.of_seed[self.seed]
        query += 0 if place == self.at else 1
        self.at += n
        step = step // self.period if side == "/V" else step
        return torch.tensor(numbers(name + side, step, 0 if side == "/V" else query, n), dtype=dtype).reshape(shape)


def stand_ins(draws):
    fake = types.ModuleType("torch")
    fake.__dict__.update({k: getattr(torch, k) for k in ("sqrt", "abs", "no_grad", "std", "tensor", "empty", "ones_like")})
    fake.float32 = torch.float64  # where code rounds a loss to it
    fake.manual_seed = draws.manual_seed
    fake.normal = lambda mean, std, size, device, dtype: draws.draw(normals, size, dtype)
    fake.randn = lambda *size, device, dtype: draws.draw(normals, size, dtype)
    fake.randint = lambda low, high, size, device, dtype: (draws.draw(signs, size, dtype) + 1) / 2
    fake.rand = torch.rand  # read by nobody
    numpy = types.SimpleNamespace(random=types.SimpleNamespace(randint=draws.new_seed), sqrt=np.sqrt, cos=np.cos, sin=np.sin, array=np.array, mean=np.mean)
    return {"torch": fake, "np": numpy, "nn": torch.nn, "logger": types.SimpleNamespace(info=lambda text: None), "math": math, "time": time,
            "print": lambda *what: None}


def trainer_of(path, methods, draws):
    """A class with these methods, as the file has them."""
    names = stand_ins(draws)
    for node in ast.walk(ast.parse(open(path).read())):
        if isinstance(node, ast.ClassDef):
            wanted = [m for m in node.body if isinstance(m, ast.FunctionDef) and m.name in methods]
            if len(wanted) == len(methods):
                exec(compile(ast.Module([ast.ClassDef("Released", [], [], wanted, [], lineno=1, col_offset=0)], []), path, "exec"), names)
                return names["Released"]()
    sys.exit(f"{path}: no class with the methods {', '.join(methods)}")


# ---- the problem ------------------------------------------------------------------------------------------------------------------


class Problem(torch.nn.Module):
    def __init__(self):
        super().__init__()
        at = 0
        for name, shape in SHAPES.items():
            n = math.prod(shape)
            part, leaf = name.split(".")
            if not hasattr(self, part):
                self.add_module(part, torch.nn.Module())
            value = torch.tensor([math.cos(at + i) / 2 for i in range(n)], dtype=torch.float64).reshape(shape)
            getattr(self, part).register_parameter(leaf, torch.nn.Parameter(value))
            at += n

    def all(self):
        return torch.cat([self.get_parameter(name).data.flatten() for name in SHAPES])

    def loss(self, example):
        if example == ALL:
            return sum(self.loss(e) for e in range(4)) / 4
        w, i = self.all(), torch.arange(COUNT, dtype=torch.float64)
        bowl = (0.3 + 0.1 * (i % 5)) * (w - torch.sin(1.7 * i + 2.3 * example)) ** 2 / 2
        return 1 + (bowl + (1 - torch.cos(2 * w)) / 5).sum() + w.sum() ** 2 / 200


def run(case, checkouts):
    draws = Draws(case.get("rank", 0), case.get("period", 1))
    t = trainer_of(os.path.join(checkouts, case["file"]), case["methods"], draws)
    problem, losses, seen = Problem(), [], []

    def forward(model, inputs):
        seen.append(model.loss(inputs["example"] if isinstance(inputs, dict) else inputs))
        return seen[-1]

    t.zo_forward = t.zo_forward_memory_eff = forward
    t.args = types.SimpleNamespace(zo_eps=case["eps"], learning_rate=case["lr"], weight_decay=0.0, gradient_accumulation_steps=1)
    vars(t.args).update(case.get("args", {}))
    t._get_learning_rate = lambda: case["lr"]
    t.lr_scheduler = types.SimpleNamespace(step=lambda: None)
    case.get("prepare", lambda t, problem: None)(t, problem)
    weights = []
    for step in range(STEPS):
        draws.step = step
        seen.clear()
        case["step"](t, problem, step % 4)
        losses.append([float(x) for x in seen[:case.get("forwards", lambda step: None)(step)]])
        weights.append(problem.all().tolist())
    ends = {k: [float(f"{x:.10g}") for x in weights[k - 1]] for k in (1, 8, STEPS)}
    return dict(name=case["name"], options=case["options"], file=case["file"], lr=case["lr"], eps=case["eps"],
                losses=[[float(f"{x:.10g}") for x in sorted(row)] for row in losses], weights=ends)


def hizoo_state(t, problem):
    t.Hessian_matrix = {name: torch.ones_like(p.data) for name, p in problem.named_parameters()}


def fzoo_state(t, problem):
    t.N, t.losses, t.current_lr = 8, None, 0.0


def conmezo_state(t, problem):
    """All weights are views of one array, as its own set-up makes them."""
    t.params_flat, t.d, t.momentum, t.old_beta, t.state = problem.all(), COUNT, None, 0.9, types.SimpleNamespace(global_step=0)
    at = 0
    for name, p in problem.named_parameters():
        p.data = t.params_flat[at:at + p.numel()].view(p.shape)
        at += p.numel()


def conmezo_step(t, problem, example):
    t.cone_step(problem, example)
    t.zo_update(problem)
    t.state.global_step += 1


def svrg_state(t, problem):
    t.q, t.learning_rate_aux, t.learning_rate, t.lr_anneal, t.zero_order_eps, t.z_std, t.model = 3, 2e-2, 5e-3, 5, 1e-2, 1, problem
    t.params, t.iteration, t.measure_memory_usage = list(problem.named_parameters()), 0, lambda: None
    for name in ("tr_loss_minibatch", "lr_list", "time", "query", "proj_val"):
        setattr(t, name, [])


def svrg_step(t, problem, example):
    """Which batch a step gets is its caller's; the learning-rate rule waits for more steps than are made."""
    full = t.iteration % t.q == 0
    t.training_step_MeZO_SVRG(problem, {"input_ids": torch.zeros(1), "example": ALL if full else example}, 0, t.iteration, 1000)
    t.iteration += 1


def both(first, second):
    def step(t, problem, example):
        getattr(t, first)(problem, example)
        update = getattr(t, second)
        update(problem) if update.__code__.co_argcount == 2 else update()
    return step


MEZO = dict(file="MeZO/large_models/trainer.py", methods=["zo_perturb_parameters", "zo_step", "zo_update"], step=both("zo_step", "zo_update"))
LOZO = ["lowrank_zo_perturb_parameters", "lowrank_zo_step", "random_gaussian_matrix"]
CASES = [
    dict(MEZO, name="mezo", options={}, lr=2e-2, eps=1e-2),
    dict(MEZO, name="mezo", options={"weight_decay": 0.5}, args={"weight_decay": 0.5}, lr=2e-2, eps=1e-2),
    dict(name="lozo", options={"mode": "released", "rank": 2, "period": 7}, file="LOZO/large_models/LOZOtrainer.py",
         methods=LOZO + ["lowrank_zo_update"], step=both("lowrank_zo_step", "lowrank_zo_update"), args={"step_interval": 7, "rank_r": 2}, rank=2, period=7,
         lr=5e-3, eps=1e-2),
    dict(name="lozo-m", options={"mode": "released", "rank": 2, "period": 7, "beta1": 0.8}, file="LOZO/medium_models/src/LOZOtrainer.py",
         methods=LOZO + ["lowrank_zo_update_momentum"], step=both("lowrank_zo_step", "lowrank_zo_update_momentum"),
         args={"step_interval": 7, "rank": 2, "beta1": 0.8}, rank=2, period=7, lr=5e-3, eps=1e-2),
    dict(name="hizoo", options={"smooth": 0.05}, file="HiZOO/trainer.py", methods=["efficient_Hessian_perturb_parameters", "zo_Hessian_step_update"],
         step=lambda t, problem, example: t.zo_Hessian_step_update(problem, example, 2e-2, 0.05), prepare=hizoo_state, forwards=lambda step: 3, lr=2e-2, eps=1e-1),
    dict(name="fzoo", options={}, file="FZOO/trainer.py", methods=["zo_perturb_parameters", "zo_step", "zo_update"], step=both("zo_step", "zo_update"),
         prepare=fzoo_state, lr=1e-2, eps=1e-2),
    dict(name="conmezo", options={"mode": "released", "theta": 1.2, "beta": 0.9}, file="ConMeZO/opt/src/trainer.py",
         methods=["zo_perturb_parameters", "get_norm_momentum", "cone_step", "get_first_momentum", "update_momentum", "zo_update"], step=conmezo_step,
         prepare=conmezo_state, args={"cone_theta": 1.2}, lr=2e-2, eps=1e-2),
    dict(name="mezo-svrg", options={"mode": "released", "q": 3, "eta2": 5e-3}, file="mezo_svrg/models/llm_module.py",
         methods=["efficient_perturb_parameters", "training_step_MeZO_SVRG", "log_training_loss", "central_difference_grad_est",
                  "central_difference_grad_est_me", "SPSA_estimator", "SPSA_estimator_me", "get_average_np"], step=svrg_step, prepare=svrg_state,
         forwards=lambda step: 2 if step % 3 == 0 else 4, lr=2e-2, eps=1e-2),
]

if __name__ == "__main__":
    torch.set_num_threads(1)
    made = [run(case, sys.argv[1]) for case in CASES]
    with open(os.path.join(HERE, "released.json"), "w") as f:
        f.write('{"cases": [\n' + ",\n".join(json.dumps(c) for c in made) + "\n]}\n")
    for c in made:
        print(c["name"], c["options"], "losses of step 1 and 20:", c["losses"][0], c["losses"][-1])
