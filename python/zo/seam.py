"""The structs and numbers of the seam, made of the text that libzo itself carries (ZO_PLUGIN_SEAM of zo/plugin.h): no second statement of them."""
import ctypes as c
import re

_PLAIN = {"double": c.c_double, "float": c.c_float, "int": c.c_int, "unsigned": c.c_uint, "bool": c.c_bool, "size_t": c.c_size_t, "char": c.c_char,
          "int32_t": c.c_int32, "uint32_t": c.c_uint32, "int64_t": c.c_int64, "uint64_t": c.c_uint64, "uint16_t": c.c_uint16, "zo_set": c.c_int32}


class Seam:
    def __init__(self, text):
        self.number, self.struct, self._parts, self._enums = {}, {}, {}, set()
        lists = {}
        for line in text.splitlines():
            how, rest = line.split(" ", 1)
            name, _, parts = rest.partition(": ")
            if how == "counts":
                self._enums.add(name)
                self._count(parts, lists)
            elif name.isupper() and parts.startswith("X("):
                lists[name] = re.findall(r"X\((\w+)", parts)
            elif name.isupper():
                for key, value in re.findall(r"(\w+) = (\d+)", parts) or [(name, parts)]:
                    if value.isdigit():
                        self.number[key] = int(value)
            elif not name.endswith("()"):
                self._parts[name] = parts
        for name in self._parts:
            self._make(name)

    def _count(self, parts, lists):
        """An enumeration, with the lists X(...) that some are made of."""
        for x, of in re.findall(r"#define X\([^)]*\) (\w*?(?:##)?\w*), (\w+)\(X\)", parts):
            prefix = x.split("##")[0] if "##" in x else ""
            parts = re.sub(r"#define X.*?#undef X", ", ".join(prefix + each for each in lists[of]) + ",", parts)
        at = 0
        for word in filter(None, (w.strip() for w in parts.split(","))):
            name, _, value = (w.strip() for w in word.partition("="))
            base, _, shift = value.partition("<<")  # 5, or 1 << 20
            at = int(base) << int(shift or 0) if value else at
            self.number[name] = at
            at += 1

    def _fields(self, parts):
        depth, part, out = 0, "", []
        for ch in parts:
            depth += (ch in "{(") - (ch in "})")
            if ch == ";" and depth == 0:
                out += self._field(part.strip(), len(out))
                part = ""
            else:
                part += ch
        return out

    def _field(self, part, at):
        of, brace, rest = part.partition(" {")
        if brace and of in ("union", "struct"):  # without a name of its own
            body, name = rest.rsplit("}", 1)
            made = type(of, (c.Union if of == "union" else c.Structure,), {"_fields_": self._fields(body.strip())})
            return [(name.strip() or f"_anonymous{at}", made)]
        function = re.match(r".*\(\*(\w+)\)\(.*\)$", part)
        if function:
            return [(function[1], c.c_void_p)]
        words = re.match(r"(?:const )?(?:struct )?(\w+) (.*)$", part)
        base, out = words[1], []
        for each in words[2].split(","):
            stars, name, length = re.match(r"\s*(?:const )?(\**)(?:const )?\s*\**(\w+)(?:\[(\w+)\])?", each.strip()).groups()
            if "*" in each:
                kind = c.c_char_p if base == "char" else c.c_void_p
            else:
                kind = _PLAIN.get(base) or (c.c_int if base in self._enums else None) or self._make(base)
            if length:
                kind = kind * (int(length) if length.isdigit() else self.number[length])
            out.append((name, kind))
        return out

    def _make(self, name):
        if name not in self.struct:
            fields = self._fields(self._parts[name])
            members = {"_fields_": fields}
            anonymous = [f for f, _ in fields if f.startswith("_anonymous")]
            if anonymous:
                members["_anonymous_"] = anonymous
            self.struct[name] = type(name, (c.Structure,), members)
        return self.struct[name]
