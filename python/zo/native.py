"""libzo, loaded once; and what it says."""
import ctypes as c
import os
import pathlib
import re
import subprocess

from .errors import Error
from .program import INSIDE
from .seam import Seam

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # before libgomp reads it, as zo's own main does


def _find():
    given = os.environ.get("ZO_LIBRARY")
    path = pathlib.Path(given) if given else pathlib.Path(__file__).with_name("libzo.so")
    if not given and INSIDE.is_file():  # the one of several that the loader takes for the program on this processor
        traced = subprocess.run([INSIDE], env={**os.environ, "LD_TRACE_LOADED_OBJECTS": "1"}, stdout=subprocess.PIPE, text=True)
        found = re.search(r"libzo\.so => (.+) \(0x", traced.stdout)
        path = pathlib.Path(found[1]) if found else path
    if not path.is_file():
        raise Error(f"{path}: there is no libzo.so; `make python` in zo's folder builds it, or $ZO_LIBRARY names one")
    return str(path)


path = _find()
lib = c.CDLL(path)
seam = Seam(c.c_char_p.in_dll(lib, "zo_plugin_seam").value.decode())
N, S = seam.number, seam.struct
lib.zo_build_revision.restype = c.c_char_p
lib.zo_fail.restype = c.c_int
revision = lib.zo_build_revision().decode()


def main(words):
    """What `zo WORDS` does, in this process; its exit code."""
    words = [w.encode() for w in ["zo", *words]]
    return lib.zo_main(len(words), (c.c_char_p * (len(words) + 1))(*words, None))
