#!/usr/bin/env python3
"""Golden solutions of scikit-learn's logistic regressions for tests/optimizers/test_logistic.c: prints C initialisers.

Wants scikit-learn 1.4, the last that takes multi_class="multinomial" for two classes, as MeZO's code asks for it. Rows: x[i][j] is
round(64 cos(1.7 i + 2.9 j + 0.3 i j)) / 64, exact in float32; the label of row i is (7 i + (i % 11) (i % 3)) % classes where i % 4 == 0, else the largest
of x[i][0], x[i][1], ... of as many as there are classes."""
import math
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold

warnings.simplefilter("ignore")


def rows(n, width, classes):
    x = np.array([[round(64 * math.cos(1.7 * i + 2.9 * j + 0.3 * i * j)) / 64 for j in range(width)] for i in range(n)])
    y = np.array([(7 * i + (i % 11) * (i % 3)) % classes if i % 4 == 0 else int(np.argmax(x[i][:classes])) for i in range(n)])
    return x, y


def show(values):
    return "{" + ", ".join("%.10g" % v for v in np.ravel(values)) + "}"


for n, width, classes, bias, strength in ((60, 5, 3, True, 1.0), (60, 5, 3, False, 0.05), (41, 4, 2, True, 2.0)):
    x, y = rows(n, width, classes)
    fit = LogisticRegression(C=strength, fit_intercept=bias, multi_class="multinomial", tol=1e-12, max_iter=100000).fit(x, y)
    w = np.vstack([-fit.coef_, fit.coef_]) if classes == 2 else fit.coef_
    b = np.concatenate([-fit.intercept_, fit.intercept_]) if classes == 2 else fit.intercept_
    print("{%d, %d, %d, %s, %g, %s}," % (n, width, classes, str(bias).lower(), strength, show(np.hstack([w, b[:, None]]) if bias else w)))

for n, width, classes, folds in ((60, 5, 3, 5), (41, 4, 2, 5), (90, 6, 4, 3), (23, 3, 2, 4)):
    x, y = rows(n, width, classes)
    fit = LogisticRegressionCV(cv=folds, multi_class="multinomial", tol=1e-10, max_iter=100000).fit(x, y)
    fold = np.zeros(n, dtype=int)
    for f, (_, out) in enumerate(StratifiedKFold(folds).split(x, y)):
        fold[out] = f
    print("{%d, %d, %d, %d, %.10g, \"%s\"}," % (n, width, classes, folds, fit.C_[0], "".join(map(str, fold))))
