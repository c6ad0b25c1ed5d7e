#!/usr/bin/env python3
"""Permutations of numpy's legacy generator, for tests/tasks/test_tasks.c: numpy_draws.txt has a line a draw,

    seed n hash row row ...

with the hash of the whole permutation (sum over k of (k + 1) * row[k], modulo 2^32) and its first 8 rows. Checks on the way that the other
ways in which the papers' code draws are the same permutation: np.random.seed with np.random.shuffle of a list (LM-BFF's k-shot tool),
RandomState.choice without replacement (which pandas' DataFrame.sample(n, random_state=seed) calls).

    make_numpy_draws.py > numpy_draws.txt

Needs numpy.
"""
import numpy as np

print("# seed n hash first-rows; numpy", np.__version__, "RandomState(seed).permutation(n)")
for seed in (0, 1, 7, 13, 21, 42, 87, 100, 12345, 2**32 - 1):
    for n in (1, 2, 3, 56, 250, 277, 400, 624, 872, 1043, 2490, 5463, 9427, 67349):
        rows = np.random.RandomState(seed).permutation(n)
        np.random.seed(seed)
        shuffled = list(range(n))
        np.random.shuffle(shuffled)
        assert shuffled == rows.tolist()
        assert np.random.RandomState(seed).choice(n, size=(n + 1) // 2, replace=False).tolist() == rows.tolist()[: (n + 1) // 2]
        total = int((np.arange(1, n + 1, dtype=object) * rows).sum()) % 2**32
        print(seed, n, total, *rows[:8])
