"""python3 -m zo describe FILE | cell | bench step ... | overhead MODEL FILE [words of bench step]: processes of Python that are zo."""
import ctypes as c
import json
import sys

from . import estimator, native
from .errors import Error

kept = []  # what C holds pointers to


def sentence(error):
    return f"{type(error).__name__}: {error}" if not isinstance(error, Error) else str(error)


def serve():
    """Files of Python are loaded by this process."""
    @c.CFUNCTYPE(c.c_void_p, c.c_char_p, c.c_void_p, c.c_size_t)
    def load(path, why, size):
        try:
            bound = estimator.read(path.decode())
            kept.append(bound)
            return c.addressof(bound.c)
        except BaseException as error:  # nothing of Python goes through C
            text = sentence(error).encode()[: size - 1]
            c.memmove(why, text + b"\0", len(text) + 1)
            return None
    path = native.path.encode()
    kept.extend([load, path])
    native.lib.zo_python_serve(load, c.c_char_p(path))


def describe(path):
    bound = estimator.read(path)
    of, needs = bound.of, native.S["zo_needs"]()
    state = bound.state()
    for row, (key, o) in zip(bound.table, of.options.items()):
        setattr(state, key, o["initial"])
    bound.needs(c.addressof(state), None, c.addressof(needs))
    options = [{"key": row.key.decode(), "type": o["type"][7:].lower(), "offset": row.offset, "initial": o["initial"], "least": row.least, "most": row.most,
                "choices": o.get("choices"), "help": o["help"]} for row, (key, o) in zip(bound.table, of.options.items())]
    texts = {key: getattr(of, key) for key in ("name", "title", "paper", "source", "loss_is", "queries_are", "losses_at", "lr", "eps", "descends_lr", "full_batch")}
    return {**texts, "options": options, "state_bytes": bound.c.state_bytes, "revision": native.revision,
            "needs": {key: getattr(needs, key) for key in ("points", "terms", "updates", "stored", "anchors", "moments")}}


def main(words):
    if words[:1] == ["describe"] and len(words) == 2:
        try:
            said, code = describe(words[1]), 0
        except BaseException as error:
            said, code = {"error": sentence(error)}, 1
        print(json.dumps(said), flush=True)
        return code
    serve()
    if words == ["cell"] or words[:2] == ["bench", "step"]:
        return native.main(words)
    if words[:1] == ["overhead"] and len(words) >= 3:
        code = native.main(["bench", "step", words[1], "--optimizer", words[2], *words[3:]])
        sys.stdout.flush()
        if code == 0:
            b, steps = estimator.Bound, estimator.Bound.steps
            print(f"Python itself takes {1e6 * b.busy / steps:.0f} us a step, {100 * b.busy / (b.busy + estimator.Objective.seconds):.2f} % of a step "
                  f"({steps} steps, the first two included)", flush=True)
        return code
    print(__doc__, file=sys.stderr)
    return 2


sys.exit(main(sys.argv[1:]))
