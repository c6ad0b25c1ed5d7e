"""Golden file of tests/text/test_tokenizer_config.c: what transformers 5 (5.24.0, AutoTokenizer) makes of a vocabulary and the files beside it.

    python tests/golden/make_tokenizer_configs.py [ROWS]

writes tests/golden/tokenizers/configs.jsonl.gz: a line of texts, then folders, one a line: their files, the ids of each text with special
tokens, and ids and types of one pair. The first rows are written out by hand below, the others are drawn: a class, a model_type, a
vocabulary, and flags and tokens of every kind in every file that may hold them. A folder that transformers cannot open, or that names a
class of another kind than its vocabulary, or an unknown token that WordPiece's vocabulary lacks, is left out.
"""
import gzip
import json
import os
import random
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokenizers", "configs.jsonl.gz")
random.seed(8)

TEXTS = ["The tide turns", " the tide", "  Tides,  tides ", "\u00c9toile na\u00efve", "\u6d77\u8fba a\u6d77", "<ent> the <ent>x</ent>", "the <mask> tide", "a [MASK] [SEP] b",
         "", " ", "<s>the</s> <pad>", "<|endoftext|>tide<|endoftext|>", "x12 345  6", "<img>the<box> THE TIDE tide", "don't\nTHE", "tide<own>\t<own> end"]
PAIR = ("The tide", "turns <ent>")


# ---- vocabularies -----------------------------------------------------------------------------------------------------------

def merged(first, pairs):
    vocab = {}
    for token in list(first) + [a + b for a, b in pairs]:
        vocab.setdefault(token, len(vocab))
    return vocab


def state(t):
    return json.loads(t.to_str())


def special(*contents, **flags):
    return [AddedToken(c, special=True, normalized=False, **flags) for c in contents]


def wordpiece(names=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")):
    words = ["the", "tide", "turns", "The", "Tide", "##s", "etoile", "\u00e9toile", "\u00c9toile", "naive", "na\u00efve", "\u6d77", "\u8fba", "don", "end"]
    letters = [c for c in "abcdefghijklmnopqrstuvwxyzTHEID0123456789,.'<>/[]|_"]
    vocab = merged(list(names) + words + letters + ["##" + c for c in letters], [])
    t = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.add_special_tokens(special(*names))
    t.post_processor = processors.BertProcessing(("[SEP]", vocab["[SEP]"]), ("[CLS]", vocab["[CLS]"]))
    return t


PAIRS = [("t", "h"), ("th", "e"), ("\u0120", "the"), ("t", "i"), ("ti", "d"), ("tid", "e"), ("\u0120", "tide"), ("\u0120", "\u0120"), ("T", "he"), ("h", "e"), ("1", "2"), ("\u0120", "1")]


def byte_level(names, pre=None, normalizer=None, **options):
    vocab = merged(list(names) + sorted(pre_tokenizers.ByteLevel.alphabet()), PAIRS)
    t = Tokenizer(models.BPE(vocab=vocab, merges=PAIRS, **options))
    t.pre_tokenizer = pre or pre_tokenizers.ByteLevel(add_prefix_space=False)
    if normalizer:
        t.normalizer = normalizer
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens(special(*[n for n in names if n.startswith("<") or n.startswith("[")]))
    return t


def roberta():
    t = byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    return t


def opt():
    t = byte_level(["<s>", "<pad>", "</s>", "<unk>"])
    t.post_processor = processors.TemplateProcessing(single="</s> $A", pair="</s> $A </s>:1 $B:1", special_tokens=[("</s>", 2)])
    return t


def llama(legacy):
    mark = "\u2581"
    pairs = [(a.replace("\u0120", mark), b.replace("\u0120", mark)) for a, b in PAIRS]
    letters = [c for c in "abcdefghijklmnopqrstuvwxyzTHEID0123456789,.'<>/[]|_"] + [mark]
    vocab = merged(["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)] + letters, pairs)
    t = Tokenizer(models.BPE(vocab=vocab, merges=pairs, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if legacy:
        t.normalizer = normalizers.Sequence([normalizers.Prepend(mark), normalizers.Replace(" ", mark)])
    else:
        t.pre_tokenizer = pre_tokenizers.Metaspace(mark, "first", split=False)
    t.add_special_tokens(special("<unk>", "<s>", "</s>"))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return t


def llama3():
    split = Regex(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+")
    return byte_level(["<s>", "</s>"], pre_tokenizers.Sequence([pre_tokenizers.Split(split, "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]))


def digits():
    return byte_level(["<|endoftext|>"], pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(False)]), normalizers.NFD())


def no_post(t):
    s = state(t)
    s["post_processor"] = None
    return Tokenizer.from_str(json.dumps(s))


BASES = {"wordpiece": wordpiece(), "wordpiece bare": no_post(wordpiece()), "roberta": roberta(), "roberta bare": no_post(roberta()), "opt": opt(),
         "gpt2": byte_level(["<|endoftext|>"]), "gpt2 space": byte_level(["<|endoftext|>"], pre_tokenizers.ByteLevel(add_prefix_space=True)),
         "llama legacy": llama(True), "llama": llama(False), "llama bare": no_post(llama(False)), "llama3": llama3(), "digits": digits()}


def vocab_files(t):
    model = state(t)["model"]
    if model["type"] == "WordPiece":
        return {"vocab.txt": "".join(w + "\n" for w, _ in sorted(model["vocab"].items(), key=lambda i: i[1]))}
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    return {"vocab.json": json.dumps(model["vocab"]), "merges.txt": "#version: 0.2\n" + "\n".join(merges) + "\n"}


# ---- folders ----------------------------------------------------------------------------------------------------------------

KIND = {"Bert": "WordPiece", "DistilBert": "WordPiece", "Electra": "WordPiece", "Roberta": "BPE", "Bart": "BPE", "GPT2": "BPE", "CodeGen": "BPE", "GPTNeoX": "BPE", "Qwen2": "BPE",
        "Llama": "BPE", "PreTrained": None, "NoSuch": None}
OF_TYPE = {"bert": "Bert", "distilbert": "Bert", "roberta": "Roberta", "gpt2": "GPT2", "opt": "GPT2", "llama": None}


def some(*choices):
    return random.choice(choices)


def token(content, typed=True):
    if random.random() < 0.5:
        return content
    t = {"content": content, "lstrip": some(True, False), "rstrip": some(True, False, False), "single_word": some(True, False, False), "normalized": some(True, False)}
    return dict(t, __type="AddedToken", special=some(True, False)) if typed else t


def draw_specials(out, base, typed):
    """Named special tokens into `out`: the vocabulary's own names, other flags, or others."""
    pool = [t["content"] for t in state(base)["added_tokens"]] + ["<own>", "tide"]
    for key in ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"):
        if random.random() < 0.2:
            out[key] = token(random.choice(pool), typed)
    if random.random() < 0.2:
        out["image_token"] = "<img>"


def next_ids(base, contents):
    s = state(base)
    known = {t["content"]: t["id"] for t in s["added_tokens"]} | s["model"]["vocab"]
    n = len(known)
    out = {}
    for c in contents:
        if c not in known:
            known[c] = n
            n += 1
        out[c] = known[c]
    return out


def draw():
    name = random.choice(list(BASES))
    base = BASES[name]
    kind = state(base)["model"]["type"]
    cls = random.choice(list(KIND) + [None] * 2)
    model_type = random.choice(list(OF_TYPE))
    if cls and KIND[cls] not in (None, kind) or not cls and OF_TYPE[model_type] and KIND[OF_TYPE[model_type]] != kind:
        return None
    files = {"config.json": {"model_type": model_type}}
    effective = cls or OF_TYPE[model_type]
    if random.random() < 0.2 and effective not in (None, "PreTrained", "NoSuch", "Llama", "Qwen2") and KIND[effective] == kind and not name.startswith("llama"):
        files.update(vocab_files(base))
        base = no_post(base)
        s = state(base)
        s["added_tokens"] = []
        base = Tokenizer.from_str(json.dumps(s))
    else:
        files["tokenizer.json"] = state(base)
    config = {}
    if cls:
        config["tokenizer_class"] = cls + "Tokenizer" + ("Fast" if cls == "PreTrained" else some("", "Fast"))
    for key in ("do_lower_case", "strip_accents", "tokenize_chinese_chars", "add_prefix_space", "add_bos_token", "add_eos_token", "legacy", "split_special_tokens"):
        if random.random() < (0.1 if key == "split_special_tokens" else 0.3):
            config[key] = some(True, False)
    draw_specials(config, base, True)
    way = random.randrange(8)
    added = random.sample(["<ent>", "</ent>", "<own>", "<box>", "tide"], random.randint(1, 3))
    if way == 1:
        config["additional_special_tokens"] = [token(c) for c in added]
    elif way == 2:
        config["extra_special_tokens"] = [token(c) for c in added]
    elif way == 3:
        config["extra_special_tokens"] = {"x%d_token" % i: c for i, c in enumerate(added)}
    elif way == 4:
        ids = next_ids(base, added)
        ordered = sorted(ids.items(), key=lambda i: i[1])
        config["added_tokens_decoder"] = {str(i): {"content": c, "lstrip": some(True, False), "rstrip": some(True, False), "single_word": False, "normalized": some(True, False), "special": some(True, False)}
                                          for c, i in ordered}
    if random.random() < 0.4:
        files["special_tokens_map.json"] = m = {}
        draw_specials(m, base, False)
        if random.random() < 0.5:
            m[some("additional_special_tokens", "extra_special_tokens")] = random.sample(["<ent>", "</ent>", "<box>"], 2)
    if random.random() < 0.15 and way != 4:
        files["added_tokens.json"] = next_ids(base, added)
    if config or random.random() < 0.5:
        files["tokenizer_config.json"] = config
    return files


def lacks_unk(files):
    """BertTokenizer with an unknown token that is not in its vocabulary fails at the first unknown word."""
    unk = [f["unk_token"] for n, f in files.items() if n in ("tokenizer_config.json", "special_tokens_map.json") and "unk_token" in f]
    return any((u if isinstance(u, str) else u["content"]) == "<own>" for u in unk)


def golden(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            with open(os.path.join(folder, name), "w") as f:
                f.write(content if isinstance(content, str) else json.dumps(content))
        try:
            t = AutoTokenizer.from_pretrained(folder)
            t.model_input_names = ["input_ids", "token_type_ids"]
            ids = [t(text)["input_ids"] for text in TEXTS]
            pair = t(*PAIR)
        except Exception as error:  # what cannot be opened has no right value
            return None, repr(error)
        return {"files": files, "class": type(t).__name__, "ids": ids, "pair": pair["input_ids"], "types": pair["token_type_ids"]}, None


def by_hand():
    def folder(base, model_type, config, **more):
        return {"config.json": {"model_type": model_type}, "tokenizer.json": state(BASES[base]), "tokenizer_config.json": config, **more}

    yield folder("wordpiece", "bert", {"tokenizer_class": "BertTokenizer", "do_lower_case": False})
    yield folder("wordpiece", "bert", {"strip_accents": False})
    yield folder("wordpiece", "bert", {"do_lower_case": False, "strip_accents": True})
    yield folder("wordpiece bare", "bert", {"tokenize_chinese_chars": False})
    yield folder("wordpiece", "distilbert", {"tokenizer_class": "DistilBertTokenizerFast", "do_lower_case": False})
    yield folder("wordpiece", "bert", {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False})
    yield folder("roberta", "roberta", {"add_prefix_space": True})
    yield folder("gpt2", "gpt2", {"tokenizer_class": "GPT2TokenizerFast", "add_prefix_space": True})
    yield folder("gpt2 space", "gpt2", {})
    yield folder("gpt2 space", "llama", {})
    yield folder("gpt2", "llama", {"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": True})
    yield folder("gpt2", "gpt2", {"add_bos_token": True, "add_eos_token": True})
    yield folder("llama bare", "llama", {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "bos_token": "<s>"})
    yield folder("llama", "llama", {"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": False, "bos_token": "<s>"})
    yield folder("llama legacy", "llama", {"tokenizer_class": "LlamaTokenizer", "legacy": True})
    yield folder("llama legacy", "llama", {"tokenizer_class": "LlamaTokenizer", "legacy": False})
    yield folder("llama legacy", "llama", {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": False})
    yield folder("llama legacy", "llama", {})
    yield folder("llama3", "llama", {"tokenizer_class": "LlamaTokenizer"})
    yield folder("digits", "llama", {"tokenizer_class": "GPT2Tokenizer"})
    yield folder("digits", "llama", {})
    yield folder("roberta", "roberta", {"tokenizer_class": "RobertaTokenizer"}, **{"special_tokens_map.json": {"additional_special_tokens": ["<ent>", "</ent>"]}})
    yield folder("opt", "opt", {"tokenizer_class": "GPT2Tokenizer", "bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>", "add_bos_token": True})
    yield {"config.json": {"model_type": "opt"}, **vocab_files(BASES["opt"]), "tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer", "bos_token": "</s>", "eos_token": "</s>", "add_bos_token": True, "add_eos_token": True}}


def main():
    rows, tried, failed = [], 0, {}
    for files in by_hand():
        row, error = golden(files)
        assert row, error
        rows.append(row)
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    while len(rows) < wanted:
        files = draw()
        if files is None or lacks_unk(files):
            continue
        tried += 1
        row, error = golden(files)
        if row:
            rows.append(row)
        else:
            failed[error[:100]] = failed.get(error[:100], 0) + 1
    with open(OUT if len(sys.argv) < 3 else sys.argv[2], "wb") as f:
        with gzip.GzipFile(filename="", fileobj=f, mode="wb", mtime=0, compresslevel=9) as g:
            g.write("".join(json.dumps(r, separators=(",", ":")) + "\n" for r in [{"texts": TEXTS, "pair": PAIR}] + rows).encode())
    print(len(rows), "folders;", tried, "drawn; not opened:", failed)


if __name__ == "__main__":
    main()
