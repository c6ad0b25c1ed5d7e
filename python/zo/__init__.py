"""zo in Python: estimators (Estimator), runs (run) and results (rows, frame). docs/plugins.md begins with an example."""
from .errors import Error
from .program import frame, rows, run

_ESTIMATOR = ("Estimator", "Failure", "GAUSS", "RADEMACHER", "WEIGHTS", "SUM", "SUM_IN_POINTS", "MOMENT", "COPY", "real", "whole", "flag", "choice", "report")
__all__ = ["Error", "run", "rows", "frame", *_ESTIMATOR]


def __getattr__(name):  # what needs libzo loads it when it is asked for
    if name in _ESTIMATOR:
        from . import estimator
        return getattr(estimator, name)
    raise AttributeError(f"zo has no {name}")
