"""Golden files of tests/text/test_sentencepiece.c: small SentencePiece models, and what the `tokenizers` library (0.23.3), `sentencepiece` (0.2.3) and
transformers (5.24.0) make of texts with them.

    python tests/golden/make_sentencepiece.py

writes tests/golden/sentencepiece/: corpus.jsonl.gz (the corpus of make_tokenizers.py's kind, and lines that are hard for charsmaps), <kind>/ (a
model folder, and ids.gz as make_tokenizers.py writes it). The trainer's threads make no difference; transformers and sentencepiece are deterministic.
"""
import base64
import gzip
import io
import json
import os
import random
import re
import tempfile
import unicodedata

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as proto
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

import make_tokenizers as base
from charsmap import charsmap

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sentencepiece")
N, P = normalizers, pre_tokenizers
PAIRS = base.PAIRS

# Characters by what a cluster makes of them: with and without a key in the charsmaps below, of one to four bytes.
JOINERS = ["\u0301", "\u0308", "\u0323", "\u200d", "\u200c", "\ufe0f", "\u0903", "\u093e", "\u094d", "\u0e33", "\u20dd", "\u0488", "\U0001f3fd", "\u3099", "\u309a", "\uff9e", "\u1160", "\u11a8"]
STARTS = ["\u0600", "\u06dd", "\u070f", "\u08e2", "\U000110bd"]
KEYS = ["Ａ", "ｂ", "１", "\u2460", "ﬁ", "\u00a9", "\u00ae", "\u2122", "㎏", "½", "\u0958", "\u0929", "ガ", "カ", "か", "ｶ", "ﾞ", "\u1100", "\uffa1", "각", "\u1e9b", "é", "Å", "\u212b", "\u2126", "ß",
        "\ufb2a", "\ufdfa", "\u2025", "\u00a8", "\u00b4", "\u037a", "\u0e33", "\u0eb3", "\u0f0c", "\u2011", "\u3000", "\u00a0", "\u2003", "\u1680", "\u0915", "\u0924", "\U0001d400", "\U0001f130", "\U0002f800"]
CONTROLS = ["\r", "\n", "\r\n", "\t", "\x01", "\x0b", "\x7f", "\x85", "\x9f", "\u200b", "\u200e", "\u2028", "\u2060", "\ufeff", "\ufffd", "\u00ad", "\u061c", "\x00"]
SIGNS = ["😀", "👩", "🏳", "🇩", "🇪", "❤", "☎", "0", "#", "\u2194", "▁", "`", "``", "''", "_"]


def hard_lines(rng):
    lines = []
    for a in KEYS:  # each key before each mark, alone and inside
        line = ""
        for mark in JOINERS:
            line += "x" + a + mark + "y" + a + mark + mark + " "
        lines.append(line)
    for a in STARTS + CONTROLS + SIGNS:
        lines.append(" ".join(x + a + y + "\u0301" + a + " " + a + y for x, y in zip(KEYS, reversed(KEYS))))
    pools = [KEYS, KEYS, JOINERS, JOINERS, STARTS, CONTROLS, SIGNS, list("aeonkit  "), base.WORDS, base.FOREIGN]
    for _ in range(300):
        lines.append("".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(1, 40))))
    for unit in (" ", "a", "\u0301", "é", "<unk>", "\u2581", "ab ", "Ａ", "\r\n", "👩\u200d"):  # long runs
        lines.append(unit * 700)
        lines.append("the" + unit * 90 + "the")
    return lines


def nfkc_rules():
    """Rules as a trainer reads them (hexadecimal characters, a tab, what stands for them), of some blocks: what NFKC makes of a character and of
    its decomposition, and SentencePiece's way with spaces and controls."""
    rules = {}
    blocks = [(0xA0, 0x250), (0x1E00, 0x1F00), (0x2000, 0x2070), (0x2100, 0x2190), (0x2460, 0x2500), (0x3000, 0x3040), (0x3300, 0x3400), (0x30A0, 0x3100), (0x1100, 0x1113),
              (0xFB00, 0xFB50), (0xFF00, 0xFFF0), (0x0958, 0x0960), (0x1D400, 0x1D41A), (0xAC00, 0xAC1C)]
    for low, high in blocks:
        for c in map(chr, range(low, high)):
            to = unicodedata.normalize("NFKC", c)
            for form in {c, unicodedata.normalize("NFD", c)}:
                if to != form:
                    rules[form] = to
    for c in [*range(1, 9), 0xB, *range(0xE, 0x20), 0x7F, 0x9F, 0xAD, 0x200B, 0xFEFF]:
        rules[chr(c)] = ""
    for c in (0x9, 0xA, 0xC, 0xD, 0x1680, 0x200E, 0x2028, 0xFFFD):
        rules[chr(c)] = " "
    return rules


def train(lines, **options):
    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        rules = options.pop("rules", None)
        if rules is not None:
            options["normalization_rule_tsv"] = os.path.join(folder, "rules.tsv")
            with open(options["normalization_rule_tsv"], "w") as f:
                f.writelines(" ".join("%X" % ord(c) for c in a) + "\t" + " ".join("%X" % ord(c) for c in b) + "\n" for a, b in rules.items())
        spm.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=out, minloglevel=2, num_threads=1, **options)
    m = model_of(out.getvalue())
    m.trainer_spec.ClearField("input")
    m.normalizer_spec.ClearField("normalization_rule_tsv")
    return m.SerializeToString()


def model_of(data):
    m = proto.ModelProto()
    m.ParseFromString(data)
    return m


# Rules of a small charsmap, written for these tests: keys of several characters, keys in front of others, keys that vanish.
RULES = {"Ａ": "A", "ｂ": "b", "１": "1", "ﬁ": "fi", "½": "1/2", "㎏": "kg", "é": "e", "e\u0301": "e", "\u0301": "", "©": "(c)", "©\u200d": "(c+)", "\u200d": "", "ガ": "カ゛", "カ\u3099": "ガ", "カ": "か",
         "\u3000": " ", "\u00a0": " ", "\t": " ", "\r": " ", "\n": " ", "\x01": "", "\u0958": "क", "\u1100": "ㄱ", "\u1100\u1160": "가", "각": "가ㄱ", "x\u0308": "X", "xx": "x", "\U0001d400": "A",
         "\U0001f130": "", "\u0600": "#", "\u0903": "h", "\u200b": "", "\ufeff": "", "ab": "ba", "abc": "C", "\ufffd": " ", "▁": "_"}


def unigram_json(model, normalizer, pre, unk_id, added=(), post=None, byte_fallback=False):
    t = Tokenizer(models.Unigram([(p.piece, p.score) for p in model.pieces], unk_id, byte_fallback))
    if normalizer:
        t.normalizer = normalizer
    t.pre_tokenizer = pre
    for token in added:
        t.add_tokens([token])
    if post:
        t.post_processor = post(t)
    return t


def template(single, pair, names):
    return lambda t: processors.TemplateProcessing(single=single, pair=pair, special_tokens=[(n, t.token_to_id(n)) for n in names])


def old_forms(t):
    """As tokenizers of 2020 wrote it: no type of the model, Metaspace with str_rep and add_prefix_space."""
    state = json.loads(t.to_str())
    del state["model"]["type"], state["model"]["byte_fallback"]

    def change(pre):
        for inner in pre.get("pretokenizers", []):
            change(inner)
        if pre["type"] == "Metaspace":
            del pre["prepend_scheme"], pre["split"]
            pre.update(str_rep="▁", add_prefix_space=True)

    change(state["pre_tokenizer"])
    return state


def write(kind, rows, files):
    folder = os.path.join(HERE, kind)
    os.makedirs(folder, exist_ok=True)
    for name, data in files.items():
        data = data.encode() if isinstance(data, str) else data
        if name.endswith(".gz"):
            buffer = io.BytesIO()
            with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", mtime=0, compresslevel=9) as g:
                g.write(data)
            data = buffer.getvalue()
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
    base.write_gz(os.path.join(folder, "ids.gz"), rows)
    print(kind, {name: os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)})


def write_json(kind, t, corpus, state=None):
    state = state or json.loads(t.to_str())
    t = Tokenizer.from_str(json.dumps(state))
    write(kind, base.ids_of(t, corpus), {"tokenizer.json.gz": json.dumps(state, ensure_ascii=False, separators=(",", ":"))})


def make_unigrams(corpus, training):
    nfkc = model_of(train(training, model_type="unigram", vocab_size=700, rules=nfkc_rules(), character_coverage=0.995, pad_id=0, eos_id=1, unk_id=2, bos_id=-1))
    small = model_of(train(training, model_type="unigram", vocab_size=800, normalization_rule_name="identity", byte_fallback=True, character_coverage=0.98, user_defined_symbols=["<sep>", "ing"]))
    rules = charsmap(RULES)
    words = P.Sequence([P.WhitespaceSplit(), P.Metaspace("▁", "always", True)])
    t5 = unigram_json(nfkc, N.Precompiled(nfkc.normalizer_spec.precompiled_charsmap), words, 2, [AddedToken("</s>", special=True, normalized=False), AddedToken("<unk>", special=True, normalized=False),
                      AddedToken("<extra_id_0>", special=True, normalized=False), AddedToken("<extra_id_1>", special=True, normalized=False, lstrip=True)],
                      template("$A </s>", "$A </s> $B </s>", ["</s>"]))
    write_json("unigram-nfkc", t5, corpus, old_forms(t5))
    albert = unigram_json(small, N.Sequence([N.Replace("``", '"'), N.Replace("''", '"'), N.NFKD(), N.StripAccents(), N.Lowercase(), N.Precompiled(rules)]), words, 0,
                          [AddedToken("<s>", special=True, normalized=False), AddedToken("<mask>", special=True, lstrip=True)], template("<s>:0 $A:0 </s>:0", "<s>:0 $A:0 </s>:0 $B:1 </s>:1", ["<s>", "</s>"]))
    write_json("unigram-accents", albert, corpus)
    whole = unigram_json(small, N.Sequence([N.Nmt(), N.Precompiled(rules)]), P.Metaspace("▁", "first", False), 0, [AddedToken("<sep>", normalized=True)], None, byte_fallback=True)
    write_json("unigram-bytes", whole, corpus)
    bare = unigram_json(small, None, None, 7)  # an ordinary piece as the unknown one
    write_json("unigram-bare", bare, corpus)


def make_clusters(rng):
    """Characters from the ends of the ranges of each class of text/tokenizer_graphemes.h, and their neighbours, put together at random, under a
    charsmap in which each of them is a key. The ids are the bytes of what comes out."""
    with open(os.path.join(os.path.dirname(HERE), "..", "..", "text", "tokenizer_graphemes.h")) as f:
        tables = re.findall(r"_ranges\[\] = \{(.*?)\};", f.read(), re.S)
    pools = [[0x1100, 0x115F, 0xA960], [0x1160, 0x11A7, 0xD7B0], [0x11A8, 0xD7CB], [0xAC00, 0xAC01, 0xD7A3], [0x1F1E6, 0x1F1FF], [0x200D], [0xD, 0xA], [0x61, 0x62], [0x301, 0x302], [0x915, 0x94D], [0xA9]]
    for table in tables:
        ranges = [(int(a, 16), int(b, 16)) for a, b in re.findall(r"\{0x(\w+), 0x(\w+)\}", table)]
        ranges = rng.sample(ranges, min(len(ranges), 25))
        pools.append([c for a, b in ranges for c in (a - 1, a, b, b + 1) if c > 0 and not 0xD800 <= c < 0xE000 and c < 0x110000])
    lines = ["".join(chr(rng.choice(rng.choice(pools))) for _ in range(rng.randint(2, 16))) for _ in range(2500)]
    keys = {c for line in lines for c in line if c not in "\r\n"}
    alphabet = sorted(P.ByteLevel.alphabet())
    t = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    t.pre_tokenizer = P.ByteLevel(False, use_regex=False)
    t.normalizer = N.Precompiled(charsmap({c: "k" for c in keys}))
    base.write_gz(os.path.join(HERE, "clusters.jsonl.gz"), "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    write_json("clusters", t, lines)


def main():
    rng = random.Random(7)
    base.random.seed(20)
    corpus = base.make_corpus()
    training = base.training_text()
    corpus = corpus + hard_lines(rng)
    base.write_gz(os.path.join(HERE, "corpus.jsonl.gz"), "".join(json.dumps(line) + "\n" for line in corpus))
    make_unigrams(corpus, training)
    make_clusters(rng)
    print(len(corpus), "lines")


if __name__ == "__main__":
    main()
