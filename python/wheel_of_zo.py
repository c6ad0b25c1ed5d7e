"""Makes the wheel that `pip install ./python` installs: the package and libzo.so, in a zip. Wants nothing but Python (PEP 517, PEP 427)."""
import base64
import hashlib
import pathlib
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
NAME, VERSION, TAG = "zo_py", "0.9", "py3-none-linux_x86_64"


def build_wheel(folder, config_settings=None, metadata_directory=None):
    if not (HERE / "zo/libzo.so").is_file():
        raise SystemExit("zo/libzo.so is not there; `make python` in zo's folder builds it")
    info, record = f"{NAME}-{VERSION}.dist-info", []
    files = {str(p.relative_to(HERE)): p.read_bytes() for p in sorted((HERE / "zo").iterdir()) if p.suffix in (".py", ".so")}
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: zo-py\nVersion: {VERSION}\nSummary: Estimators of zo in Python\n".encode()
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: wheel_of_zo\nRoot-Is-Purelib: false\nTag: {TAG}\n".encode()
    wheel = f"{NAME}-{VERSION}-{TAG}.whl"
    with zipfile.ZipFile(pathlib.Path(folder) / wheel, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in files.items():
            out.writestr(name, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(data)}\n")
        out.writestr(f"{info}/RECORD", "".join(record) + f"{info}/RECORD,,\n")
    return wheel
