"""The program `zo`, run as a child: whatever happens to it, this process goes on, and says why."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from .errors import Error


INSIDE = pathlib.Path(__file__).with_name("bin") / "zo"  # of the wheel that has the program too


def main():
    """The script `zo` of that wheel: the program takes the place of this process. Estimators in Python are run by this Python."""
    os.environ.setdefault("ZO_PYTHON", sys.executable)
    os.execv(INSIDE, ["zo", *sys.argv[1:]])


def _zo(words, program=None):
    path = program or os.environ.get("ZO_PROGRAM") or (INSIDE.is_file() and str(INSIDE)) or shutil.which("zo")
    if not path:
        raise Error("there is no program `zo` in PATH; `make install` puts it there, or $ZO_PROGRAM names it")
    here = str(pathlib.Path(__file__).resolve().parent.parent)
    env = {**os.environ, "ZO_PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))}
    done = subprocess.run([path, *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):
        last = (done.stderr.strip().splitlines() or [f"it said nothing, and ended with {done.returncode}"])[-1]
        raise Error(last if done.returncode > 0 else f"zo was ended by signal {-done.returncode}: {last}")
    return done


def run(config, db="results/zo.db", program=None, **options):
    """Runs the cells of a config (a path, or a dict) that are not done: a dict for each cell, with "status", and "message" where it failed. Options are those
    of `zo run`: device="cpu", data=DIR, models=DIR, save=DIR, redo=True. Error where the config is wrong."""
    words = []
    for key, value in options.items():
        words += [f"--{key.replace('_', '-')}"] if value is True else [] if value in (None, False) else [f"--{key.replace('_', '-')}", str(value)]
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(config, dict):
            path = pathlib.Path(folder) / "config.json"
            path.write_text(json.dumps(config))
        else:
            path = config
        done = _zo(["run", str(path), "--db", str(db), "--json", *words], program)
    cells = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode == 1 and not any(cell["status"] in ("failed", "killed") for cell in cells):
        raise Error((done.stderr.strip().splitlines() or ["zo run failed"])[-1])
    return cells


def rows(db="results/zo.db", sql="SELECT * FROM runs", program=None):
    """What a statement gives, a dict a row; tables and views are those of `zo sql`."""
    return json.loads(_zo(["sql", "--db", str(db), sql, "--json"], program).stdout)


def frame(db="results/zo.db", sql="SELECT * FROM runs", program=None):
    """The same as a pandas frame."""
    try:
        import pandas
    except ImportError:
        raise Error("zo.frame wants pandas; install it, or ask zo.rows") from None
    return pandas.DataFrame(rows(db, sql, program))
