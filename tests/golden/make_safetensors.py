#!/usr/bin/env python3
"""Which headers safetensors' own reader takes and which it refuses. Read by tests/models/test_load.c. Needs safetensors.

    make_safetensors.py > safetensors_cases.json

A row: what the case is of; the header's text (also where it is no JSON); how many zero bytes of data follow; whether the file is read, and the
reader's own word where it is not. `length` is what the first 8 bytes say where it is not the header's length."""
import json
import os
import sys
import tempfile

import safetensors

T = lambda name, shape, begin, end, dtype="F32": f'"{name}":{{"dtype":"{dtype}","shape":{json.dumps(shape)},"data_offsets":[{begin},{end}]}}'
A, B = T("a", [2], 0, 8), T("b", [1], 8, 12)
CASES = [
    ("two tensors", "{" + A + "," + B + "}", 12),
    ("in any order", "{" + B + "," + A + "}", 12),
    ("spaces behind the object", "{" + A + "}   ", 8),
    ("line ends behind the object", "{" + A + "}\n\n", 8),
    ("spaces before the object", "  {" + A + "}", 8),
    ("a byte order mark", "\ufeff{" + A + "}", 8),
    ("text behind the object", "{" + A + "} x", 8),
    ("nothing", "", 0),
    ("no tensors", "{}", 0),
    ("no tensors but data", "{}", 4),
    ("a list", "[]", 0),
    ("metadata alone", '{"__metadata__":{"format":"pt"}}', 0),
    ("metadata that is no object", '{"__metadata__":"pt",' + A + "}", 8),
    ("metadata with a number", '{"__metadata__":{"step":1},' + A + "}", 8),
    ("null metadata", '{"__metadata__":null,' + A + "}", 8),
    ("overlap", "{" + A + "," + T("b", [1], 4, 8) + "}", 8),
    ("overlap of equal tensors", "{" + A + "," + T("b", [2], 0, 8) + "}", 8),
    ("overlap by a part", "{" + A + "," + T("b", [2], 4, 12) + "}", 12),
    ("a hole", "{" + A + "," + T("b", [1], 12, 16) + "}", 16),
    ("a hole in front", "{" + T("a", [2], 4, 12) + "}", 12),
    ("bytes behind the last", "{" + A + "}", 12),
    ("a byte too few", "{" + A + "}", 7),
    ("shape larger than offsets", "{" + T("a", [3], 0, 8) + "}", 8),
    ("shape smaller than offsets", "{" + T("a", [1], 0, 8) + "}", 8),
    ("offsets the wrong way round", "{" + T("a", [2], 8, 0) + "}", 8),
    ("an empty tensor", "{" + T("a", [0, 5], 0, 0) + "," + T("b", [2], 0, 8) + "}", 8),
    ("an empty tensor behind", "{" + A + "," + T("b", [0], 8, 8) + "}", 8),
    ("an empty tensor in the middle of another", "{" + A + "," + T("b", [0], 4, 4) + "}", 8),
    ("two empty tensors at one place", "{" + T("a", [0], 0, 0) + "," + T("b", [0], 0, 0) + "}", 0),
    ("a scalar", "{" + T("a", [], 0, 4) + "}", 4),
    ("ten dimensions", "{" + T("a", [1] * 10, 0, 4) + "}", 4),
    ("a shape that overflows", "{" + T("a", [1 << 40, 1 << 40], 0, 8) + "}", 8),
    ("a negative size", "{" + T("a", [-2], 0, 8) + "}", 8),
    ("a size that is no whole number", '{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,6]}}', 6),
    ("a size as text", '{"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}', 8),
    ("a shape that is a number", '{"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}}', 8),
    ("three offsets", '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}', 8),
    ("one offset", '{"a":{"dtype":"F32","shape":[2],"data_offsets":[8]}}', 8),
    ("no dtype", '{"a":{"shape":[2],"data_offsets":[0,8]}}', 8),
    ("no shape", '{"a":{"dtype":"F32","data_offsets":[0,8]}}', 8),
    ("no offsets", '{"a":{"dtype":"F32","shape":[2]}}', 8),
    ("an unknown dtype", "{" + T("a", [2], 0, 8, "F31") + "}", 8),
    ("a dtype in small letters", "{" + T("a", [2], 0, 8, "f32") + "}", 8),
    ("a key more in an entry", '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"extra":1}}', 8),
    ("a key twice in an entry", '{"a":{"dtype":"F32","shape":[1],"shape":[2],"data_offsets":[0,8]}}', 8),
    ("a name twice, one place", "{" + A + "," + A + "}", 8),
    ("a name twice, two places", "{" + A + "," + T("a", [1], 8, 12) + "}", 12),
    ("a name without letters", "{" + T("", [2], 0, 8) + "}", 8),
    ("a name with an escape", "{" + T("a\\u0062", [2], 0, 8) + "}", 8),
    ("a name with an escaped zero", "{" + T("a\\u0000b", [2], 0, 8) + "}", 8),
    ("a broken escape", "{" + T("a\\ud800", [2], 0, 8) + "}", 8),
    ("an entry that is no object", '{"a":7}', 0),
    ("a header that is cut", "{" + A, 8),
    ("comments", "{/* */" + A + "}", 8),
]
for dtype, bits in (("F64", 64), ("F16", 16), ("BF16", 16), ("I64", 64), ("I32", 32), ("I16", 16), ("I8", 8), ("U64", 64), ("U32", 32),
                    ("U16", 16), ("U8", 8), ("BOOL", 8), ("F8_E5M2", 8), ("F8_E4M3", 8), ("F8_E8M0", 8), ("C64", 64), ("F8_E5M2FNUZ", 8),
                    ("F8_E4M3FNUZ", 8), ("F6_E2M3", 6), ("F6_E3M2", 6), ("F4", 4)):
    CASES.append((f"{dtype}", "{" + T("a", [8], 0, bits, dtype) + "}", bits))
    CASES.append((f"{dtype}, a byte too many", "{" + T("a", [8], 0, bits + 1, dtype) + "}", bits + 1))
CASES.append(("F4 of odd number", "{" + T("a", [3], 0, 2, "F4") + "}", 2))
LENGTHS = [("a length of 0", "{" + A + "}", 8, 0), ("a length past the end", "{" + A + "}", 8, 1000), ("a length of 2^63", "{" + A + "}", 8, 1 << 63),
           ("a length of 2^64 - 1", "{" + A + "}", 8, (1 << 64) - 1)]


def main():
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.safetensors")
        for what, header, data, *length in CASES + LENGTHS:
            text = header.encode()
            with open(path, "wb") as f:
                f.write((length[0] if length else len(text)).to_bytes(8, "little") + text + bytes(data))
            row = {"what": what, "header": header, "data": data}
            if length:
                row["length"] = str(length[0])
            try:
                with safetensors.safe_open(path, "numpy") as f:
                    row["reads"] = [name.replace("\0", "?") for name in sorted(f.keys())]  # no zero byte stands in this file
            except Exception as e:
                row["refuses"] = str(e).replace("Error while deserializing header: ", "")
            rows.append(row)
    print('{"safetensors": ' + json.dumps(safetensors.__version__) + ',\n "cases": [\n' +
          ",\n".join("  " + json.dumps(r) for r in rows) + "\n]}")


if __name__ == "__main__":
    sys.exit(main())
