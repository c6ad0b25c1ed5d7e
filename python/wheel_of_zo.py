"""Makes wheels (PEP 427), and wants nothing but Python. Two of one name:

pip install ./python                            the package and zo/libzo.so, which `make python` built for this processor (PEP 517)
python3 wheel_of_zo.py TREE VERSION FOLDER      the package, and in it the program and its libraries: TREE is what .ci/dist made

The tag is linux_x86_64. A manylinux tag would promise that every x86-64 processor will do, and the code wants AVX2.
"""
import base64
import hashlib
import os
import pathlib
import sys
import time
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
TAG = "py3-none-linux_x86_64"
ENTRY = "[console_scripts]\nzo = zo.program:main\n"


def write(folder, version, files, scripts):
    """files: name in the wheel to (bytes, is a program). The name of the wheel. The same files and $SOURCE_DATE_EPOCH make the same bytes."""
    info, record = f"zo_py-{version}.dist-info", []
    texts = {"METADATA": f"Metadata-Version: 2.1\nName: zo-py\nVersion: {version}\nSummary: zeroth-order fine-tuning of language models, and its estimators in Python\n"
                         "License: MIT\n",
             "WHEEL": f"Wheel-Version: 1.0\nGenerator: wheel_of_zo\nRoot-Is-Purelib: false\nTag: {TAG}\n", **({"entry_points.txt": ENTRY} if scripts else {})}
    files = {**files, **{f"{info}/{name}": (text.encode(), False) for name, text in texts.items()}}
    date = time.gmtime(max(int(os.environ.get("SOURCE_DATE_EPOCH", 0)), 315532800))[:6]  # a zip begins in 1980
    wheel = f"zo_py-{version}-{TAG}.whl"
    with zipfile.ZipFile(pathlib.Path(folder) / wheel, "w", zipfile.ZIP_DEFLATED) as out:
        def add(name, data, program):
            entry = zipfile.ZipInfo(name, date)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, (0o100755 if program else 0o100644) << 16
            out.writestr(entry, data)
        for name in sorted(files):
            data, program = files[name]
            add(name, data, program)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(data)}\n")
        add(f"{info}/RECORD", "".join(record) + f"{info}/RECORD,,\n", False)
    return wheel


def package():
    return {f"zo/{p.name}": (p.read_bytes(), False) for p in (HERE / "zo").glob("*.py")}


def build_wheel(folder, config_settings=None, metadata_directory=None):
    library, version = HERE / "zo/libzo.so", HERE / "zo/VERSION"
    if not (library.is_file() and version.is_file()):
        raise SystemExit("zo/libzo.so or zo/VERSION is not there; `make python` in zo's folder makes both")
    return write(folder, version.read_text().strip(), {**package(), "zo/libzo.so": (library.read_bytes(), False)}, scripts=False)


def build_whole(tree, version, folder):
    """bin, lib and share/zo keep their places below the package; what others look for (manual page, completions, header) goes below the environment's prefix."""
    files, prefix = package(), f"zo_py-{version}.data/data"
    for p in pathlib.Path(tree).rglob("*"):
        name = p.relative_to(tree)
        of_gpu_check = name.name == "gpu-check" or name.parts[:2] == ("share", "zo") and name.parts[2:3] in (("tests",), ("bench",), ("tasks",))
        if p.is_file() and not of_gpu_check and name.parts[0] in ("bin", "lib", "share", "include"):
            inside = name.parts[0] in ("bin", "lib") or name.parts[:2] == ("share", "zo") or name.parts[:3] == ("share", "doc", "zo")
            files[f"zo/{name}" if inside else f"{prefix}/{name}"] = (p.read_bytes(), name.parts[0] == "bin")
    return write(folder, version, files, scripts=True)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    made = pathlib.Path(sys.argv[3]) / build_whole(*sys.argv[1:])
    print(f"wheel     {made}: {made.stat().st_size} bytes")
