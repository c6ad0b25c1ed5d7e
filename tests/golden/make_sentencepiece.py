"""Golden files of tests/text/test_sentencepiece.c: small SentencePiece models, and what the `tokenizers` library (0.23.3), `sentencepiece` (0.2.3) and
transformers (5.24.0) make of texts with them.

    python tests/golden/make_sentencepiece.py [FOLDERS [FOLDER of LLaMA 2's tokenizer.model]]

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
import sys
import tempfile
import unicodedata

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import sentencepiece as spm  # noqa: E402
from sentencepiece import sentencepiece_model_pb2 as proto  # noqa: E402
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

import make_tokenizers as base  # noqa: E402
from charsmap import charsmap  # noqa: E402

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
            for form in sorted({c, unicodedata.normalize("NFD", c)}):
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
    if rows:
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
    t.normalizer = N.Precompiled(charsmap({c: "k" for c in sorted(keys)}))
    base.write_gz(os.path.join(HERE, "clusters.jsonl.gz"), "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    write_json("clusters", t, lines)


# ---- model files ------------------------------------------------------------------------------------------------------------

def make_models(training):
    """A file of each kind that the field's models have."""
    bpe = dict(model_type="bpe", vocab_size=700, character_coverage=0.99)
    unigram = dict(model_type="unigram", vocab_size=450, character_coverage=0.99)
    raw = dict(normalization_rule_name="identity", remove_extra_whitespaces=False)
    small = dict(rules=RULES)
    return {
        "llama": train(training, **bpe, **raw, byte_fallback=True),
        "gemma": train(training, **bpe, **raw, byte_fallback=True, add_dummy_prefix=False, pad_id=0, eos_id=1, bos_id=2, unk_id=3, bos_piece="<bos>", eos_piece="<eos>",
                       user_defined_symbols=["<mask>", "<start>", "\n\n", "  ", "\t"]),
        "bpe-user": train(training, **bpe, **small, user_defined_symbols=["ing", "<sep>", "ning", "[X]", "th"], control_symbols=["<ctl>"]),
        "bpe-plain": train(training, model_type="bpe", vocab_size=400, character_coverage=0.98, normalization_rule_name="identity", bos_id=-1, eos_id=-1, unk_piece="[UNK]", escape_whitespaces=True),
        "albert": train(training, **unigram, **small, pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, control_symbols=["[CLS]", "[SEP]"], user_defined_symbols=["[MASK]", "(", ")"]),
        "t5": train(training, **unigram, **small, pad_id=0, eos_id=1, unk_id=2, bos_id=-1),
        "xlm-roberta": train(training, **unigram, **small),
        "deberta": train(training, **unigram, normalization_rule_name="identity", pad_id=0, bos_id=1, eos_id=2, unk_id=3, pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]"),
        "unigram-user": train(training, model_type="unigram", vocab_size=700, character_coverage=0.98, byte_fallback=True, rules=nfkc_rules(), user_defined_symbols=["<sep>", "ing", "  "], control_symbols=["<ctl>"]),
    }


# class: model files that it can read, and the name that it looks for
READS = {"LlamaTokenizer": (["llama", "bpe-user", "gemma", "bpe-plain"], "tokenizer.model"), "GemmaTokenizer": (["gemma", "llama"], "tokenizer.model"),
         "AlbertTokenizer": (["albert", "t5"], "spiece.model"), "T5Tokenizer": (["t5", "unigram-user"], "spiece.model"), "XLMRobertaTokenizer": (["xlm-roberta"], "sentencepiece.bpe.model"),
         "DebertaV2Tokenizer": (["deberta", "albert"], "spm.model"), None: (["llama", "gemma", "bpe-user", "bpe-plain", "unigram-user", "xlm-roberta", "albert", "deberta"], "tokenizer.model")}
TYPES = {"LlamaTokenizer": "llama", "GemmaTokenizer": "gemma", "AlbertTokenizer": "albert", "T5Tokenizer": "t5", "XLMRobertaTokenizer": "xlm-roberta", "DebertaV2Tokenizer": "deberta-v2", None: "mistral"}
TEXTS = ["The film is great", " the film", "  two  spaces  ", "na\u00efve caf\u00e9 e\u0301", "\u6d77 a\u6d77 \u65e5\u672c", "<ent> the <ent>x</ent>", "the <mask> film", "a [MASK] [SEP] b", "", " ", "<s>the</s> <pad>",
         "x12 345  6", "don't\nTHE\t``q''", "\u2581the \u2581 a", "<ctl>ing thing<sep>", "\uff21\u3000\ufb01 \u00bd \u33a1", "(a) <extra_id_0>b <bos>", "\U0001f600 \u0660 \x01 \ufeff\u200b"]
PAIR = ("The film", "is <ent>")


def draw(rng, models):
    name = rng.choice(list(READS))
    kinds, file = READS[name]
    kind = rng.choice(kinds)
    some = lambda *choices: rng.choice(choices)
    m = model_of(models[kind])
    pieces = [p.piece for p in m.pieces]
    renames = name is None and m.trainer_spec.model_type == 2
    model_type = TYPES[name] if rng.random() < 0.7 or name is None else "llama"
    config, files = {}, {"config.json": {"model_type": model_type}}
    if name and (model_type == "llama" or rng.random() < 0.6):
        config["tokenizer_class"] = name + some("", "Fast")
    elif name is None and rng.random() < 0.5:
        config["tokenizer_class"] = some("LlamaTokenizer", "PreTrainedTokenizerFast", "LlamaTokenizerFast")
    for key in ("do_lower_case", "keep_accents", "add_prefix_space", "add_bos_token", "add_eos_token", "legacy", "split_special_tokens", "split_by_punct"):
        if rng.random() < (0.1 if key == "split_special_tokens" else 0.35):
            config[key] = some(True, False)
    for key in ("bos_token", "eos_token", "unk_token", "pad_token", "cls_token", "sep_token", "mask_token"):
        if rng.random() < 0.12:
            config[key] = some("<own-%s>" % key, "<own-%s>" % key if name == "XLMRobertaTokenizer" else some(*pieces[:6]), {"content": "<own-%s>" % key, "lstrip": True, "rstrip": False, "single_word": False, "normalized": some(True, False), "__type": "AddedToken"})
    way = rng.randrange(6)
    if way == 1:
        config["additional_special_tokens"] = ["<ent>", "</ent>"]
    elif way == 2:
        config["extra_special_tokens"] = ["<ent>"]
    elif way == 3:
        n = {"T5Tokenizer": 100, "XLMRobertaTokenizer": 2}.get(name, 0) + len(pieces)
        added = {"content": "<ent>", "lstrip": some(True, False), "rstrip": False, "single_word": False, "normalized": some(True, False), "special": some(True, False)}
        config["added_tokens_decoder"] = {str(n): added}
        if rng.random() < 0.5 and name != "XLMRobertaTokenizer":
            i = rng.randrange(min(8, len(pieces)))
            config["added_tokens_decoder"] = {str(i): dict(added, content="<ren>" if renames and rng.random() < 0.5 else pieces[i]), str(n): added}
    elif way == 4:
        files["special_tokens_map.json"] = {"mask_token": {"content": "<mask>", "lstrip": True, "rstrip": False, "single_word": False, "normalized": False}, "additional_special_tokens": ["<ent>"]}
    if name == "T5Tokenizer" and rng.random() < 0.3:
        config["extra_ids"] = 3 if way != 3 else 100
    if config or rng.random() < 0.5:
        files["tokenizer_config.json"] = config
    return kind, file, files


def draw_json(rng, models):
    """The tokenizer.json that transformers writes for a model file, and other settings."""
    while True:
        kind, file, files = draw(rng, models)
        name = next((n for n, (_, f) in READS.items() if n and f == file and kind in READS[n][0]), None)
        config = files.get("tokenizer_config.json", {})
        if name and (name, kind) != ("AlbertTokenizer", "t5") and "added_tokens_decoder" not in config and "extra_ids" not in config and not any(k.endswith("_token") for k in config if not k.startswith("add_")):
            break
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
            json.dump({"tokenizer_class": name}, f)
        with open(os.path.join(folder, file), "wb") as f:
            f.write(models[kind])
        state = json.loads(AutoTokenizer.from_pretrained(folder).backend_tokenizer.to_str())
    if rng.random() < 0.3:
        state["post_processor"] = None
    files["tokenizer.json"] = state
    files["tokenizer_config.json"] = dict(config, tokenizer_class=rng.choice([name, name + "Fast"]))
    return None, "", files


def golden(models, kind, file, files):
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            with open(os.path.join(folder, name), "w") as f:
                json.dump(content, f)
        if kind:
            with open(os.path.join(folder, file), "wb") as f:
                f.write(models[kind])
        try:
            t = AutoTokenizer.from_pretrained(folder)
            t.model_input_names = ["input_ids", "token_type_ids"]
            ids = [t(text)["input_ids"] for text in TEXTS]
            pair = t(*PAIR)
        except BaseException as error:  # what cannot be opened has no right value
            if isinstance(error, KeyboardInterrupt):
                raise
            return None, repr(error)
        return {"model": kind, "file": file, "files": files, "class": type(t).__name__, "ids": ids, "pair": pair["input_ids"], "types": pair["token_type_ids"]}, None


def make_configs(rng, models, wanted):
    rows, failed = [], {}
    for name, (kinds, file) in READS.items():  # each kind without a word beside it
        for kind in kinds:
            row, error = golden(models, kind, file, {"config.json": {"model_type": TYPES[name]}})
            row and rows.append(row)
            row or failed.setdefault(error[:120], []).append(kind)
    while len(rows) < wanted:
        row, error = golden(models, *draw(rng, models))
        row and rows.append(row)
        row or failed.setdefault(error[:120], []).append(0)
    while len(rows) < wanted + wanted // 6:
        row, error = golden(models, *draw_json(rng, models))
        row and rows.append(row)
        row or failed.setdefault(error[:120], []).append(0)
    for kind, data in models.items():
        write(os.path.join("models", kind), "", {"tokenizer.model.gz": data})
    base.write_gz(os.path.join(HERE, "configs.jsonl.gz"), "".join(json.dumps(r, separators=(",", ":")) + "\n" for r in [{"texts": TEXTS, "pair": PAIR}] + rows))
    print(len(rows), "folders; not opened:", {k: len(v) for k, v in failed.items()})


def main():
    rng = random.Random(7)
    base.random.seed(20)
    corpus = base.make_corpus()
    training = base.training_text()
    corpus = corpus + hard_lines(rng)
    base.write_gz(os.path.join(HERE, "corpus.jsonl.gz"), "".join(json.dumps(line) + "\n" for line in corpus))
    make_unigrams(corpus, training)
    make_clusters(rng)
    make_configs(rng, make_models(training), int(sys.argv[1]) if len(sys.argv) > 1 else 120)
    if len(sys.argv) > 2:  # its files are not in this repository
        base.write_gz(os.path.join(HERE, "real", "llama2.gz"), base.ids_of(AutoTokenizer.from_pretrained(sys.argv[2]).backend_tokenizer, corpus))
    print(len(corpus), "lines")


if __name__ == "__main__":
    main()
