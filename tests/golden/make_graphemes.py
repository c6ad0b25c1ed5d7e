"""text/tokenizer_graphemes.h: how the Hugging Face `tokenizers` library (0.23.3) cuts texts into grapheme clusters, asked of itself.

    python tests/golden/make_graphemes.py

Its Precompiled normalizer looks at clusters of fewer than 6 bytes as a whole and replaces them by the text of the shortest key in front.
With a charsmap in which every character is a key, each cluster of fewer than 6 bytes becomes one k, and each character of a longer one. So the number of
k tells whether two characters belong together, and a class of a character is what it does beside others (UAX 29, the table of GB rules).
"""
import os

from charsmap import charsmap
from tokenizers import normalizers

HERE = os.path.dirname(os.path.abspath(__file__))
ALL = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000 and chr(c) not in "\r\n"]
MARK, JOINER, SIGN = "\u0301", "\u200d", "\u00a9"
CONSONANT, VIRAMA = "\u0915", "\u094d"


def runs(points):
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


class Asker:
    def __init__(self):
        self.normalizer = normalizers.Precompiled(charsmap({chr(c): "k" for c in ALL if chr(c) != "\x00"}))

    def counts(self, texts):
        """How many k each text gives; a line end, which is never joined, stands between them and has no key."""
        return [len(part) for part in self.normalizer.normalize_str("\n".join(texts)).split("\n")]

    def those(self, text, kept, points=ALL):
        """The characters c for which text(c) gives as many k as kept(c)."""
        made = self.counts([text(chr(c)) for c in points])
        return {c for c, n in zip(points, made) if n == kept(chr(c))}


def size(c):
    return len(c.encode())


def classes():
    ask = Asker()
    joins = ask.those(lambda c: "a" + c, lambda c: 1)  # a x c: at most 5 bytes
    # c x a: a and two marks are 5 bytes, a cluster of their own (1) or part of a longer one (3)
    prepend = ask.those(lambda c: c + "a" + MARK + MARK, lambda c: 4)
    control = ask.those(lambda c: c + MARK + MARK, lambda c: 2, [c for c in ALL if size(chr(c)) > 1])  # c is 1, and the marks are 1; else 3
    control |= ask.those(lambda c: c + MARK + MARK, lambda c: 2, [c for c in ALL if size(chr(c)) == 1])  # joined: 5 bytes, 1
    picture = ask.those(lambda c: SIGN + JOINER + c, lambda c: 3, [c for c in ALL if c not in joins])  # apart: 1 + 1
    # SIGN c JOINER SIGN MARK: the last two are 4 bytes, 1 apart, 2 where GB11 joins them to the first
    extend = ask.those(lambda c: SIGN + c + JOINER + SIGN + MARK, lambda c: 5, [c for c in joins if chr(c) != JOINER])
    spacing = {c for c in joins if chr(c) != JOINER} - extend
    # CONSONANT VIRAMA c MARK: c and the mark are 5 bytes where c has 3; 1 apart
    bmp = [c for c in ALL if size(chr(c)) == 3 and c not in joins]
    consonant = ask.those(lambda c: CONSONANT + VIRAMA + c + MARK, lambda c: 4, bmp)
    linker = ask.those(lambda c: CONSONANT + c + CONSONANT + MARK, lambda c: 4, [c for c in joins if size(chr(c)) >= 3])
    between = ask.those(lambda c: CONSONANT + c + VIRAMA + CONSONANT + MARK, lambda c: 5, joins) - linker
    return {
        "extend": ("Extend", extend),
        "spacing": ("SpacingMark", spacing),
        "prepend": ("Prepend", prepend),
        "control": ("Control", control),
        "picture": ("Extended_Pictographic", picture),
        "consonant": ("Indic_Conjunct_Break=Consonant, of three bytes", consonant),
        "linker": ("Indic_Conjunct_Break=Linker", linker),
        "between": ("Indic_Conjunct_Break=Extend", between),
    }


def wrap(items):
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) + 2 > 130:
            lines.append(line)
            line = "   "
        line += " " + item + ","
    return "\n".join(lines + [line]) + "\n"


def main():
    with open(os.path.join(HERE, "..", "..", "text", "tokenizer_graphemes.h"), "w") as f:
        f.write("/* tokenizer_graphemes.h: classes of characters by which the `tokenizers` library 0.23.3 cuts grapheme clusters (UAX 29), by\n"
                " * tests/golden/make_graphemes.py; tokenizer_charsmap.c alone includes it. */\n"
                "#ifndef ZO_TEXT_TOKENIZER_GRAPHEMES_H\n#define ZO_TEXT_TOKENIZER_GRAPHEMES_H\n\n#include \"text/tokenizer_ranges.h\"\n")
        for name, (what, points) in classes().items():
            assert points, name
            f.write("\n/* %s */\nstatic const range %s_ranges[] = {\n%s};\n" % (what, name, wrap("{0x%X, 0x%X}" % tuple(r) for r in runs(points))))
            print(name, len(points), len(runs(points)))
        f.write("\n#endif\n")


if __name__ == "__main__":
    main()
