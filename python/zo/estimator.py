"""What an estimator in Python is: it asks for losses at points and says which terms go where. Its state is numbers and sets."""
import ctypes as c
import pickle
import time
import traceback
import types

from .errors import Error
from .native import N, S, lib

GAUSS, RADEMACHER = N["ZO_DRAW_GAUSS"], N["ZO_DRAW_RADEMACHER"]
WEIGHTS = 0
SUM, SUM_IN_POINTS, MOMENT, COPY = "sum", "sum in points", "moment", "copy"  # of `sets`: zo_set_spec of zo/plugin.h; a moment is a rule's
OK = N["ZO_OK"]
_float64, _int = c.c_double, c.c_int
_term, _point, _err = S["zo_term"], S["zo_point"], S["zo_err"]


_float64_p = c.POINTER(_float64)
_SLOT = {slot: c.CFUNCTYPE(_int, c.c_void_p, *types, c.c_void_p) for slot, types in {
    "losses": (_int, c.c_void_p, _int, _float64_p), "combine": (c.c_int32, _float64, c.c_void_p, _int), "open": (c.c_void_p, c.c_void_p),
    "dot": (c.c_int32, c.c_int32, _float64_p), "rule": (_int, c.c_void_p, c.c_void_p)}.items()}
_function = {}  # of an address


class Failure(Exception):
    """A verb could not: its status, and the sentence stands in the zo_err already."""


def real(initial, least, most, help=""):
    return {"type": "ZO_OPT_REAL", "initial": initial, "least": least, "most": most, "help": help}


def whole(initial, least, most, help=""):
    return {"type": "ZO_OPT_INT", "initial": initial, "least": least, "most": most, "help": help}


def flag(initial, help=""):
    return {"type": "ZO_OPT_BOOL", "initial": int(initial), "help": help}


def choice(choices, help=""):
    """One of "a|b|c"; the first is the default."""
    return {"type": "ZO_OPT_CHOICE", "initial": 0, "choices": choices, "help": help}


class Objective:
    """The verbs. A term is (coefficient, direction or set); a point is a list of terms, from the weights or from a copy."""

    seconds = 0.0  # of the verbs, for `overhead`

    def __init__(self, pointer, err):
        self._pointer, self._err = pointer, err
        self._o = c.cast(pointer, c.POINTER(S["zo_objective"])).contents

    seed = property(lambda self: self._o.seed)
    size = property(lambda self: self._o.size)

    def _call(self, slot, *words):
        address = getattr(self._o, slot)
        if address not in _function:
            _function[address] = _SLOT[slot](address)
        start = time.perf_counter()
        status = _function[address](self._pointer, *words, self._err)
        Objective.seconds += time.perf_counter() - start
        if status != OK:
            raise Failure(status)

    def direction(self, step, query=0, draw=GAUSS):
        z = S["zo_dir"](kind=N["ZO_DIR_DENSE"], seed=self.seed, step=step, query=query)
        z.draw = draw
        return z

    def gauss(self, step, query=0):
        return self.direction(step, query, GAUSS)

    def rademacher(self, step, query=0):
        return self.direction(step, query, RADEMACHER)

    def _terms(self, terms):
        out = (_term * max(len(terms), 1))()
        for to, (coef, of) in zip(out, terms):
            to.coef = coef
            if isinstance(of, S["zo_dir"]):
                to.dir = of
            else:
                to.dir.kind, to.dir.set = N["ZO_DIR_SET"], int(of)
        return out

    def losses(self, points, base=WEIGHTS, full=False):
        """A loss for each point, over the step's batch, or over the whole training set."""
        kept = [self._terms(p) for p in points]
        at = (_point * len(points))(*[_point(base=base, n=len(p), term=c.cast(t, c.c_void_p)) for p, t in zip(points, kept)])
        loss = (_float64 * len(points))()
        self._call("losses", N["ZO_BATCH_FULL" if full else "ZO_BATCH_CURRENT"], c.cast(at, c.c_void_p), len(points), loss)
        return list(loss)

    def combine(self, to, terms, decay=1.0):
        """set <- decay set + terms."""
        self._call("combine", int(to), decay, c.cast(self._terms(terms), c.c_void_p), len(terms))

    def dot(self, a, b):
        out = _float64()
        self._call("dot", int(a), int(b), c.byref(out))
        return out.value

    def rule(self, name, terms=(), g=0, m=0, v=0, **args):
        """A rule of rules.h over the weights: "adamw" with lr=, beta1=, beta2=, eps=, ...; its gradient is a set, or terms that are drawn on the way."""
        given = {"correct1": 1.0, "correct2": 1.0, **args}
        drawn = self._terms(terms)
        x = S["zo_operands"](g=g, m=m, v=v, term=c.cast(drawn, c.c_void_p) if terms else None, terms=len(terms))
        a = S["zo_rule_args"](**given)
        self._call("rule", N["ZO_RULE_" + name.upper()], c.cast(c.pointer(a), c.c_void_p), c.cast(c.pointer(x), c.c_void_p))

    def _open(self, name, kind):
        text = c.create_string_buffer(name.encode())
        spec = S["zo_set_spec"](name=c.cast(text, c.c_char_p), tag=N["ZO_TAG_SNAPSHOT" if kind == COPY else "ZO_TAG_OPT_STATE"], copy=kind == COPY,
                                in_points=kind == SUM_IN_POINTS)
        out = c.c_int32()
        self._call("open", c.cast(c.pointer(spec), c.c_void_p), c.cast(c.pointer(out), c.c_void_p))
        return out.value, text


class Estimator:
    """Subclass it: texts and tables below, and step(o, c), which returns report(...). Options, numbers and sets are attributes of self, and nothing else
    may be put there: that is the whole state, so that a run can go on from it."""

    name = title = loss_is = losses_at = None
    paper = queries_are = None
    source = "none"         # none, paper, released, reconstructed: where its algorithm was read
    lr, eps, descends_lr = 1e-6, 1e-3, 0.0
    full_batch = False      # it asks for losses over the whole training set
    options = {}            # key -> real(...), whole(...), flag(...), choice(...)
    numbers = {}            # name -> value before the first step; kept in the state
    sets = {}               # name -> SUM, SUM_IN_POINTS, MOMENT, COPY
    needs = {"points": 2, "terms": 1, "updates": 1}  # most points of `losses`, terms of a point, terms on the weights; or a method that returns that

    def step(self, o, c):
        raise NotImplementedError("step(o, c)")


def report(loss, projected=float("nan"), lr=None, paper_queries=float("nan"), full_batch=False):
    return {"loss": loss, "projected": projected, "lr": lr, "paper_queries": paper_queries, "full_batch": full_batch}


_MOST_LOOKED_AT = 1 << 16  # bytes of a value beside the state; of a larger one only whether it is another object


def beside_state(of):
    """Values of the class and of its file, by name. No checkpoint has them, so a step may not change one."""
    kept = {}
    for place in [vars(k) for k in of.__mro__ if issubclass(k, Estimator) and k is not Estimator] + [of.step.__globals__]:
        for name, value in list(place.items()):
            if name.startswith("__") or callable(value) or isinstance(value, (types.ModuleType, property)):
                continue
            try:
                text = pickle.dumps(value)
            except Exception:
                text = b""
            kept[name] = text if 0 < len(text) <= _MOST_LOOKED_AT else id(value)
    return kept


_BYTES = {"ZO_OPT_REAL": c.c_double, "ZO_OPT_INT": c.c_int64, "ZO_OPT_BOOL": c.c_bool, "ZO_OPT_CHOICE": c.c_int}


class Bound:
    """An estimator of Python as a zo_estimator: its state in C, and its callbacks, which let nothing through."""

    busy = 0.0   # seconds in steps, verbs included
    steps = 0

    def __init__(self, of):
        self.of = of
        fields = [(key, _BYTES[o["type"]]) for key, o in of.options.items()] + [("n_" + n, c.c_double) for n in of.numbers]
        self.state = type("state", (c.Structure,), {"_fields_": fields + [("s_" + n, c.c_int32) for n in of.sets] + [("none", c.c_int64)]})
        self.names, self.views, self.beside = [], {}, None
        self.table = (S["zo_opt"] * (len(of.options) + 1))()
        for row, (key, o) in zip(self.table, of.options.items()):
            row.key, row.type, row.offset = key.encode(), N[o["type"]], getattr(self.state, key).offset
            row.initial, row.least, row.most = o["initial"], o.get("least", 0), o.get("most", 0)
            row.choices, row.help = o.get("choices", "").encode() or None, o["help"].encode()
        e = self.c = S["zo_estimator"]()
        for text in ("name", "title", "paper", "loss_is", "queries_are", "losses_at"):
            value = getattr(of, text)
            setattr(e, text, value.encode() if value is not None else None)
        e.source = N["ZO_SOURCE_" + of.source.upper()]
        e.options, e.state_bytes = c.cast(self.table, c.c_void_p), c.sizeof(self.state)
        e.lr, e.eps, e.descends_lr, e.full_batch = of.lr, of.eps, of.descends_lr, of.full_batch
        self.kept = [c.CFUNCTYPE(c.c_bool, _int)(lambda realisation: realisation != N["ZO_SIDEPATH"]),
                     c.CFUNCTYPE(None, c.c_void_p, c.c_void_p, c.c_void_p)(self.needs),
                     c.CFUNCTYPE(_int, c.c_void_p, c.c_void_p, c.c_void_p)(self.start),
                     c.CFUNCTYPE(_int, c.c_void_p, c.c_void_p, c.c_void_p, c.c_void_p, c.c_void_p)(self.step)]
        e.allows, e.needs, e.start, e.step = (c.cast(f, c.c_void_p) for f in self.kept)

    def view(self, pointer):
        if pointer not in self.views:
            self.views[pointer] = self.make_view(pointer)
        return self.views[pointer]

    def make_view(self, pointer):
        """The estimator, whose attributes are those of the state in C."""
        state, of = c.cast(pointer, c.POINTER(self.state)).contents, self.of
        where = {**{k: k for k in of.options}, **{n: "n_" + n for n in of.numbers}, **{n: "s_" + n for n in of.sets}}

        class View(of):
            def __getattribute__(self, name):
                if name not in where:
                    return super().__getattribute__(name)
                value = getattr(state, where[name])
                o = of.options.get(name, {})
                return o["choices"].split("|")[value] if "choices" in o else value

            def __setattr__(self, name, value):
                if name not in of.numbers:
                    raise AttributeError(f"{of.name}: {name} is no number of its state; say it in `numbers`, or open a set")
                setattr(state, where[name], float(value))

        return View()

    def guard(self, err, work):
        try:
            work()
            return OK
        except Failure as failure:
            return failure.args[0]
        except BaseException as error:  # nothing of Python goes through C
            traceback.print_exc()
            last = traceback.extract_tb(error.__traceback__)[-1]
            text = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[-1]
            file = last.filename.rsplit("/", 1)[-1]
            return lib.zo_fail(c.c_void_p(err), N["ZO_EINPUT"], b"%s", f"{self.of.name}: {text} ({file}, line {last.lineno})".encode())

    def needs_of(self, pointer):
        needs = self.view(pointer).needs
        return needs() if callable(needs) else needs

    def needs(self, pointer, extent, out):
        def work():
            to = c.cast(out, c.POINTER(S["zo_needs"])).contents
            for key, value in self.needs_of(pointer).items():
                setattr(to, key, value)
            kinds = list(self.of.sets.values())
            to.anchors, to.moments = kinds.count(COPY), kinds.count(MOMENT)
            to.stored = len(kinds) - to.anchors - to.moments
        self.guard(None, work)

    def start(self, pointer, objective, err):
        def work():
            state, o = c.cast(pointer, c.POINTER(self.state)).contents, Objective(objective, err)
            for name, value in self.of.numbers.items():
                setattr(state, "n_" + name, float(value))
            for name, kind in self.of.sets.items():
                number, text = o._open(name, kind)
                self.names.append(text)
                setattr(state, "s_" + name, number)
        return self.guard(err, work)

    def step(self, pointer, objective, context, out, err):
        start, before = time.perf_counter(), Objective.seconds  # timing of `overhead`

        def work():
            given = c.cast(context, c.POINTER(S["zo_step_context"])).contents
            self.beside = self.beside or beside_state(self.of)
            said = self.view(pointer).step(Objective(objective, err), given)
            after = beside_state(self.of)
            for name in {**self.beside, **after}:
                if self.beside.get(name) != after.get(name):
                    raise AttributeError(f"{self.of.name}: {name} was changed by a step and is no part of its state, so a run could not go on from it; "
                                         "say it in `numbers`, or open a set")
            to = c.cast(out, c.POINTER(S["zo_step_report"])).contents
            for key, value in said.items():
                setattr(to, key, given.lr if value is None else value)

        status = self.guard(err, work)
        Bound.busy += time.perf_counter() - start - (Objective.seconds - before)
        Bound.steps += 1
        return status


def read(path):
    """The one estimator that a file defines."""
    import importlib.util
    spec = importlib.util.spec_from_file_location("zo_estimator_file", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Estimator) and v.__module__ == module.__name__]
    if len(found) != 1:
        raise Error(f"{path}: has {len(found)} subclasses of zo.Estimator; expected one")
    return Bound(found[0])
