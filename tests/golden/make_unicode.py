"""text/tokenizer_unicode.h and tests/golden/tokenizers/{unicode,classes}.jsonl.gz, from the Hugging Face `tokenizers` library itself (0.23.3).

    python tests/golden/make_unicode.py PYTHON38

PYTHON38 is an interpreter whose unicodedata is of Unicode 12.1 (Python 3.8); `unicodedata2` (18.0.0) says what has been assigned since. The
library's parts know different versions: its regexes (Oniguruma) and its digits, words and lower case newer ones, its punctuation and
marks Unicode 8, its normal forms Unicode 11. So each class is asked of the library, code point by code point, and nothing hangs on the
version of PCRE2 or utf8proc that is installed. The golden files hold checksums per 256 code points: unicode of what every part of the
library makes of them, classes of each table alone, for all code points.
"""
import gzip
import json
import os
import subprocess
import sys

import numpy as np
import unicodedata2 as unicode
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

HERE = os.path.dirname(os.path.abspath(__file__))
ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co".split()
N, P = normalizers, pre_tokenizers


def runs(points):
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def base_categories(python):
    code = ("import unicodedata as u, json; assert u.unidata_version == '12.1.0';"
            "print(json.dumps([u.category(chr(c)) for c in range(0x110000)]))")
    return json.loads(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout)


def matched(pattern, text):
    out = set()
    for piece, _ in P.Split(Regex(pattern), "removed", invert=True).pre_tokenize_str(text):
        out.update(map(ord, piece))
    return out


def utf8_bytes(c):
    return 1 if c < 0x80 else 2 if c < 0x800 else 3 if c < 0x10000 else 4


def is_inert(c):
    """Whether the library's normal forms know nothing of a character that has a class or a decomposition by now."""
    kind, char = unicode.combining(chr(c)), chr(c)
    if kind:
        low = chr(0x0334) if kind > 1 else ""
        text = "a" + char + low + "b" if kind > 1 else "a" + chr(0x0301) + char + "b"
        return N.NFD().normalize_str(text) == text
    return unicode.normalize("NFKD", char) != char and N.NFKD().normalize_str(char) == char


def make_tables(python):
    then = base_categories(python)
    now = [unicode.category(chr(c)) if not 0xD800 <= c < 0xE000 else "Cs" for c in range(0x110000)]
    stable = {c for c in ALL if then[c] != "Cn" and then[c] == now[c] and not is_inert(c)}
    later = [c for c in ALL if c not in stable and now[c] != "Cn"]
    text, category = "".join(map(chr, later)), {}
    for name in CATEGORIES:
        category.update((c, name) for c in matched(r"\p{%s}+" % name, text))
    pools = {}
    for c in sorted(stable):
        pools.setdefault((now[c], utf8_bytes(c)), []).append(c)
    stand_ins = []
    for c in later:
        if c not in category:
            continue
        others = [k for k in pools if k[0][0] == category[c][0] and k[1] == utf8_bytes(c)]  # U+10EAD: no older dash is as long
        pool = pools[(category[c], utf8_bytes(c)) if (category[c], utf8_bytes(c)) in pools else max(others, key=lambda k: len(pools[k]))]
        at = np.searchsorted(pool, c)
        near = min((pool[i] for i in (at - 1, at) if 0 <= i < len(pool)), key=lambda p: abs(p - c))
        if stand_ins and stand_ins[-1][1] == c - 1 and stand_ins[-1][2] == near:
            stand_ins[-1][1] = c
        elif stand_ins and stand_ins[-1][1] == c - 1 and stand_ins[-1][3] == (category[c], utf8_bytes(c)):
            stand_ins[-1][1] = c  # the same category: the run's first stand-in will do
        else:
            stand_ins.append([c, c, near, (category[c], utf8_bytes(c))])

    def those(test):
        return {c for c in ALL if test(chr(c))}

    digits, punctuation, space, marks = P.Digits(True), P.Punctuation("isolated"), P.Whitespace(), N.StripAccents()
    bert_marks, clean, lower = N.BertNormalizer(False, False, True, False), N.BertNormalizer(True, False, False, False), N.Lowercase()
    classes = {
        "stable": ("assigned in Unicode 12.1, of the same category since, and known to the normal forms", stable),
        "numeric": ("Digits", those(lambda c: len(digits.pre_tokenize_str("a" + c)) == 2)),
        "punctuation": ("Punctuation, BertPreTokenizer", those(lambda c: len(punctuation.pre_tokenize_str("a" + c)) == 2)),
        "marks_bert": ("nonspacing marks that BertNormalizer drops", those(lambda c: bert_marks.normalize_str(c) == "")),
        "marks": ("marks that StripAccents drops", those(lambda c: marks.normalize_str(c) == "")),
        "dropped": ("what BertNormalizer's clean_text drops", those(lambda c: clean.normalize_str("a" + c) == "a")),
        "word": ("Whitespace's \\w, and what a single_word token may not touch", those(lambda c: space.pre_tokenize_str("a" + c)[0][0] == "a" + c)),
    }
    lowered = {c: lower.normalize_str(chr(c)) for c in ALL}
    assert [c for c in ALL if len(lowered[c]) > 1] == [0x130]
    shifts = []  # first, last, step, to - from
    for c in ALL:
        to = ord(lowered[c][0]) if len(lowered[c]) == 1 else c
        if to == c:
            continue
        last = shifts[-1] if shifts else None
        step = c - last[1] if last else 0
        if last and last[3] == to - c and step in (1, 2) and last[2] in (0, step):
            last[1], last[2] = c, step
        else:
            shifts.append([c, c, 0, to - c])
    return classes, stand_ins, [[a, b, s or 1, d] for a, b, s, d in shifts]


def wrap(items):
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) + 2 > 130:
            lines.append(line)
            line = "   "
        line += " " + item + ","
    return "\n".join(lines + [line]) + "\n"


def write_header(classes, stand_ins, shifts):
    with open(os.path.join(HERE, "..", "..", "text", "tokenizer_unicode.h"), "w") as f:
        f.write("/* tokenizer_unicode.h: classes of characters as the `tokenizers` library 0.23.3 has them, by tests/golden/make_unicode.py; tokenizer_text.c\n"
                " * alone includes it. Each part of the library knows a Unicode version of its own, up to 16. */\n"
                "#ifndef ZO_TEXT_TOKENIZER_UNICODE_H\n#define ZO_TEXT_TOKENIZER_UNICODE_H\n\n#include <stdint.h>\n\n"
                "#include \"text/tokenizer_ranges.h\"\n")
        for name, (what, points) in classes.items():
            f.write("\n/* %s */\nstatic const range %s_ranges[] = {\n%s};\n" % (what, name, wrap("{0x%X, 0x%X}" % tuple(r) for r in runs(points))))
        f.write("\n/* Characters that are not stable, and stable ones of the category that the library's regexes give them (of the\n * main category where there is no such one), as long in UTF-8. */\n"
                "typedef struct stand_in { int32_t first, last, as; } stand_in;\nstatic const stand_in stand_ins[] = {\n%s};\n"
                % wrap("{0x%X, 0x%X, 0x%X}" % tuple(r[:3]) for r in stand_ins))
        f.write("\n/* Lower case: every `step`-th character from first to last is moved by `by`. */\ntypedef struct shift { int32_t first, last, step, by; } shift;\n"
                "static const shift lower_shifts[] = {\n%s};\n\n#endif\n" % wrap("{0x%X, 0x%X, %d, %d}" % tuple(s) for s in shifts))


# ---- the golden files -------------------------------------------------------------------------------------------------------

BLOCKS = list(range(0x324)) + [0xE00, 0xE01, 0xF00, 0x10FF]


def tokenizers():
    def unknown(pre=None, norm=None):  # an id a character
        t = Tokenizer(models.BPE(vocab={"[UNK]": 0, "a": 1}, merges=[], unk_token="[UNK]"))
        t.pre_tokenizer = pre
        if norm:
            t.normalizer = norm
        return t

    def in_bytes(pre=None, norm=None):  # the bytes of what comes out
        vocab = {c: i for i, c in enumerate(sorted(P.ByteLevel.alphabet()))}
        vocab["a|"] = len(vocab)
        t = Tokenizer(models.BPE(vocab=vocab, merges=[]))
        t.pre_tokenizer = pre or P.ByteLevel(False, use_regex=False)
        if norm:
            t.normalizer = norm
        return t

    for pattern in (r"\p{L}", r"\p{N}", r"\p{M}", r"\p{P}", r"\p{S}", r"\p{Lu}", r"\p{Ll}", r"\p{Lo}", r"\p{Nd}", r"\p{C}", r"\w", r"\s", r"[^\s\p{L}\p{N}]", r"[\p{L}\p{M}]"):
        yield pattern, unknown(P.Split(Regex(pattern), "removed", invert=True))
    yield "Punctuation", unknown(P.Punctuation("removed"))
    yield "Digits", unknown(P.Sequence([P.Digits(True), P.Split(Regex(".{2,}"), "removed")]))
    yield "Whitespace", unknown(P.Sequence([P.Whitespace(), P.Split(Regex("^.|.$"), "removed")]))
    for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "BertNormalizer", "Nmt"):
        yield name, in_bytes(norm=getattr(N, name)())
    t = unknown()
    t.add_tokens([AddedToken("|", single_word=True)])
    yield "single_word", t


def block_text(block, between=""):
    return between.join(chr(c) for c in range(block * 256, block * 256 + 256) if not 0xD800 <= c < 0xE000 and c != 0)


def checksum(values):
    values = np.array(values, dtype=np.uint64)
    return int(((values + 1) * np.arange(1, len(values) + 1, dtype=np.uint64)).sum() % (1 << 32))


def write_lines(name, lines):
    with open(os.path.join(HERE, "tokenizers", name), "wb") as f:
        with gzip.GzipFile(filename="", fileobj=f, mode="wb", mtime=0, compresslevel=9) as g:
            g.write("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode())


def write_golden():
    out = [{"blocks": BLOCKS}]
    for name, t in tokenizers():
        between = "|" if name == "single_word" else ""
        sums = [checksum(t.encode(block_text(block, between)).ids) for block in BLOCKS]
        out.append({"name": name, "between": between, "tokenizer": json.loads(t.to_str()), "sums": sums})
    write_lines("unicode.jsonl.gz", out)


def write_classes(classes, stand_ins):
    """Each table makes a text of a text: classes keep what is of them, the library's normalizers do what they do."""
    spaces = P.WhitespaceSplit()
    classes = {name: points for name, (_, points) in classes.items()}
    classes["space"] = {c for c in ALL if spaces.pre_tokenize_str("a" + chr(c))[0][0] == "a"}
    instead = {c: near for first, last, near, _ in stand_ins for c in range(first, last + 1)}
    unassigned = {2: 0x378, 3: 0xFDD0, 4: 0x1FFFE}
    parts = {name: (lambda text, points=classes[name]: "".join(c for c in text if ord(c) in points))
             for name in ("space", "numeric", "punctuation", "word", "stable")}
    parts["stand_in"] = lambda text: "".join(c if ord(c) in classes["stable"] else chr(instead.get(ord(c), unassigned.get(utf8_bytes(ord(c))))) for c in text)
    parts["lower"], parts["marks"] = N.Lowercase().normalize_str, N.StripAccents().normalize_str
    for name, does in (("marks_bert", "strip_accents"), ("dropped", "clean_text"), ("chinese", "handle_chinese_chars"), ("lower_bert", "lowercase")):
        flags = dict.fromkeys(("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"), False)
        parts[name] = N.BertNormalizer(**{**flags, does: True}).normalize_str
    out = []
    for name, part in parts.items():
        texts = [(text, part(text)) for text in map(block_text, range(0x1100))]
        out.append({"name": name, "sums": [0 if made == text else checksum(list(map(ord, made))) for text, made in texts]})
    write_lines("classes.jsonl.gz", out)


if __name__ == "__main__":
    write_golden()
    if len(sys.argv) > 1:
        tables = make_tables(sys.argv[1])
        write_header(*tables)
        write_classes(*tables[:2])
