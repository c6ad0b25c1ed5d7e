"""Golden files of tests/text/test_tokenizer.c: a corpus of hard lines, small tokenizers of every kind, and the ids that the Hugging Face
`tokenizers` library (0.23) makes of them.

    python tests/golden/make_tokenizers.py [FOLDER of real tokenizers ...]

writes tests/golden/tokenizers/: corpus.jsonl.gz (a JSON string a line), <kind>/ (a model folder and ids.gz), features.jsonl.gz (one
tokenizer a line with texts and ids of its own), real/<name>.gz (ids of the folders named, whose files are not in this repository).
The library trains in hash order, so each run makes other vocabularies: commit what one run wrote as a whole. A line of ids is
"id id id"; the last PAIRS lines are "ids | types" of the pair forms of lines 2i and 2i+1.
"""
import gzip
import json
import os
import random
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokenizers")
PAIRS = 100
random.seed(20)


def write_gz(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        with gzip.GzipFile(filename="", fileobj=f, mode="wb", mtime=0, compresslevel=9) as g:
            g.write(text.encode())


# ---- texts ----------------------------------------------------------------------------------------------------------------

WORDS = """the a of and to in is was it for on with as at by this that film movie acting plot scene actor director story dull bright
charming tedious wonderful terrible funny sad slow quick clever stupid never always great good bad best worst ever seen watch enjoy
hate love really very quite rather almost nothing something everything people time year life world work house water light night day
question answer true false maybe yes no review terrible great it's don't can't won't I'm you're they've we'll he'd she's isn't
understanding international unbelievable characterization misrepresentation tokenization counterintuitive""".split()
FOREIGN = """café naïve façade über straße Ärger señor mañana garçon élève Ångström smörgåsbord crème brûlée Łódź žluťoučký kůň
İstanbul ıssız ǅungla Ελλάδα καλημέρα ΟΔΟΣ Σίσυφος Москва привет Ёлка здравствуйте Київ שלום עולם مرحبا العربية السلام
हिन्दी नमस्ते বাংলা தமிழ் ไทย สวัสดี 日本語 東京 ひらがな カタカナ 中文 你好 世界 한국어 안녕하세요 한국어 Tiếng Việt""".split()
EMOJI = ["😀", "🎉", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "❤️", "👨🏿‍🚀", "☎️", "✅", "1️⃣", "🧑‍💻"]
SPECIALS = ["<s>", "</s>", "<unk>", "<pad>", "<mask>", "[CLS]", "[SEP]", "[MASK]", "[UNK]", "[PAD]", "<|endoftext|>", "<|im_start|>",
            "<|begin_of_text|>", "<|eot_id|>", "<0x0A>", "Ġ", "▁", "##ing", "<s", "[mask]", "<|endoftext|"]
SPACES = [" ", "  ", "   ", "\t", "\u00a0", "\u2003", "\u3000", "\r", "\n", "\x0b", "\x0c", "\x85", "\u2028", "\u202f", "\u1680"]
ODD = ["\u200b", "\u200c", "\u200d", "\u200e", "\u202e", "\ufeff", "\u00ad", "\u2060", "\ufffd", "\ufffd\ufffd", "\x00", "\x01", "\x07",
       "\x1b[31m", "\x7f", "\x80", "\x9f", "\ue000", "\U000f0000", "\ufdd0", "\uffff", "\U0010ffff", "\u180e", "\u0378"]
PUNCT = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["…", "—", "“", "”", "‘", "’", "«", "»", "¿", "¡", "。", "、", "・", "§", "¶", "†", "‰",
                                                     "€", "£", "©", "®", "™", "°", "±", "×", "÷", "∑", "√", "≠", "→", "■", "♪", "⟨", "⸮"]
NUMBERS = ["0", "7", "42", "1234", "3.14159", "1,000,000", "2024-11-22", "12:30", "1e-5", "0x1F", "½", "²", "x²", "Ⅷ", "①", "٣٤", "१२३", "۱۲", "99%",
           "007", "123456789012345", "5th", "m³", "㊿", "௧"]
MARKS = ["e\u0301", "a\u0308", "n\u0303", "o\u0302\u0323", "q\u0307\u0323", "\u0301", "\u1e9b\u0323", "ﬁ", "ﬀ", "Å", "K", "Ω", "㎏", "ｶﾞ",
         "ＡＢＣ", "ǆ", "İ", "ẞ", "ſ", "ŉ", "\u0958", "각", "\u1100\u1161\u11a8", "\u05e9\u05c1", "ا\u064b", "क\u094d\u0937", "\u20d0", "\u0488", "\u1df6", "\U0001e944"]
FIXED = ["", " ", "  ", "\t", "\n", "a", "Z", ".", "'s", "don't", "DON'T", "I'LL he'LL 'tis", "' s", "''", "can't've", "the  film", " the film",
         "the film ", "the film   ", "   the   film   ", "the\tfilm", "the\n\nfilm\n", "the \n film", "\n\n\n", "  \n  \n  ", "a" * 120, "ab" * 60,
         "x" * 101, "x" * 100, "supercalifragilisticexpialidocious", "aaaaaaaaaaaaaaaa", "!!!!!!!!", "........", "--------------------", "=====", "_ _ _ __",
         "hello_world", "hello-world", "hello world", "Hello World", "HELLO WORLD", "hElLo", "camelCaseWords", "snake_case_words", "path/to/file.txt",
         "https://example.org/a?b=c&d=%20#e", "user@example.org", "C++ & C# @ 100%", "<b>bold</b>", "{\"a\": [1, 2, null]}", "for (i = 0; i < n; i++) {",
         "\\n \\t \\\\", "</s>", "<s> </s>", "a <mask> b", "a<mask>b", "a  <mask>  b", "[CLS] a [SEP]", "the [MASK] .", "<|endoftext|>", " <|endoftext|> ",
         "a<|endoftext|>b", "<unk>", "<pad><pad>", "<0x41>", "<0xFF>", "▁the", "▁▁", "Ġthe", "##s", "s##", "中", "中文", "中a文b", "a中", "日本語テスト。", "東京は夜の七時",
         "한국어 텍스트", "ไม่มีช่องว่าง", "שלום, עולם!", "مرحبا بالعالم", "abc\u202edef\u202c", "na\u00efve nai\u0308ve", "\u00c5 A\u030a \u212b", "ﬁnal ﬂow",
         "Ｆｕｌｌｗｉｄｔｈ", "½ cup", "x² + y² = z²", "№ 5", "3rd", "1st2nd", "1234567890" * 5, "12345", "123", "12", "1 2 3", "1,234.56", "-5", "+5", "$5.00", "5€",
         "👩‍👩‍👧‍👦👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "👍🏽👍🏿", "a👍b", "😀😀😀", "❤️❤", "\u200b", "a\u200bb", "\u200d\u200d", "\ufeffhello", "soft\u00adhyphen", "\ufffd", "a\ufffdb",
         "\x00", "a\x00b", "\x01\x02\x03", "tab\tseparated\tvalues", "vertical\x0btab", "form\x0cfeed", "\x1b[0m", "\x7f", "nel\x85x", "line\u2028sep",
         "nb\u00a0sp", "\u3000ideographic", "thin\u2009space", "\u180emongolian\u180e", " " * 50, " " * 49 + "x", "x" + " " * 50 + "y", "\t" * 20, " \t \t ", "\r\n", "a\r\nb"]


def make_corpus():
    lines = list(FIXED)

    def some(pool, n):
        return [random.choice(pool) for _ in range(n)]

    for i in range(120):  # sentences
        words = some(WORDS, random.randint(3, 24))
        text = " ".join(words)
        text = text[:1].upper() + text[1:] if i % 3 else text
        lines.append(text + random.choice([".", " .", "!", "?", "...", "", " ,", ";"]))
    for _ in range(80):  # languages together
        lines.append(" ".join(some(WORDS + FOREIGN * 3, random.randint(2, 12))))
    for pool in (EMOJI, SPECIALS, SPACES, ODD, PUNCT, NUMBERS, MARKS):
        for _ in range(40):  # one hard class among words
            parts = []
            for _ in range(random.randint(2, 8)):
                parts.append(random.choice(WORDS + FOREIGN[:6]))
                parts.append(random.choice(["", " ", " "]) + random.choice(pool) + random.choice(["", "", " "]))
            lines.append("".join(parts))
    everything = WORDS[:30] + FOREIGN + EMOJI + SPECIALS + SPACES * 3 + ODD + PUNCT + NUMBERS + MARKS
    for _ in range(120):  # everything together
        lines.append("".join(some(everything, random.randint(1, 30))))
    planes = [(0x20, 0x7f), (0xa0, 0x250), (0x300, 0x370), (0x370, 0x590), (0x590, 0x800), (0x900, 0x0e00), (0x1e00, 0x2000), (0x2000, 0x2070),
              (0x2100, 0x2c00), (0x3000, 0x3100), (0x4e00, 0x4f00), (0xac00, 0xad00), (0xfb00, 0xfe00), (0xff00, 0xfff0), (0x1f300, 0x1f700), (0x20000, 0x20100)]
    for i in range(48):  # random characters of one block
        low, high = planes[i % len(planes)]
        lines.append("".join(chr(random.randrange(low, high)) for _ in range(random.randint(4, 24))))
    return lines


def training_text():
    words = WORDS * 6 + FOREIGN
    onsets, vowels, codas = "b c d f g h l m n p r s t v st tr pl sh ch".split(), "a e i o u ea ou".split(), ["", "n", "r", "s", "t", "ng", "ly"]
    words += ["".join(random.choice(p) for p in (onsets, vowels, codas) * random.randint(1, 3)) for _ in range(200)]
    out = []
    for _ in range(4000):
        line = " ".join(random.choice(words) for _ in range(random.randint(3, 15)))
        out.append(random.choice([line, line.capitalize(), line + ".", line + "!", line + " " + random.choice(NUMBERS), line + random.choice(EMOJI)]))
    return out


# ---- tokenizers -------------------------------------------------------------------------------------------------------------

def trained(tokenizer, training, vocab_size, specials, alphabet=()):
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=specials, initial_alphabet=list(alphabet), show_progress=False,
                                  limit_alphabet=400)
    tokenizer.train_from_iterator(training, trainer)
    return tokenizer


def make_gpt2(training):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    trained(t, training, 800, [AddedToken("<|endoftext|>", special=True, normalized=False)], pre_tokenizers.ByteLevel.alphabet())
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    return t


def make_roberta(training):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    specials = [AddedToken(s, special=True, normalized=False, lstrip=s == "<mask>") for s in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")]
    trained(t, training, 800, specials, pre_tokenizers.ByteLevel.alphabet())
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    return t


def make_llama(training):
    """Legacy LLaMA: the text is one piece; bytes for what the vocabulary lacks."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.pre_tokenizer = pre_tokenizers.Metaspace("▁", "never", split=True)
    specials = [AddedToken(s, special=True, normalized=False) for s in ("<unk>", "<s>", "</s>")]
    trainer = trainers.BpeTrainer(vocab_size=1000, special_tokens=specials + ["<0x%02X>" % b for b in range(256)], show_progress=False,
                                  limit_alphabet=150)
    t.train_from_iterator(training, trainer)
    state = json.loads(t.to_str())
    state["pre_tokenizer"] = None
    state["added_tokens"] = [a for a in state["added_tokens"] if a["id"] < 3]
    t = Tokenizer.from_str(json.dumps(state))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A:0 <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return t


def make_llama_metaspace(llama):
    """The same vocabulary, legacy=false: Metaspace on the first piece only; added tokens that are not special."""
    state = json.loads(llama.to_str())
    state["normalizer"] = None
    state["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    state["model"]["fuse_unk"] = False
    state["added_tokens"] = [dict(a, normalized=True) for a in state["added_tokens"]]
    t = Tokenizer.from_str(json.dumps(state))
    t.add_tokens([AddedToken("film", single_word=True), AddedToken("<mask>", lstrip=True, rstrip=True), AddedToken("great", normalized=False)])
    return t


LLAMA3_REGEX = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def make_llama3(training):
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3_REGEX), "isolated"),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    trained(t, training, 800, [], pre_tokenizers.ByteLevel.alphabet())
    state = json.loads(t.to_str())  # whole words that no merge makes
    for word in ("Ġunbelievable", "tokenization", "zzzz", "Ġ" * 5):
        state["model"]["vocab"].setdefault(word, len(state["model"]["vocab"]))
    t = Tokenizer.from_str(json.dumps(state))
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in ("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>")])
    bos = t.token_to_id("<|begin_of_text|>")
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), processors.TemplateProcessing(
        single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1", special_tokens=[("<|begin_of_text|>", bos)])])
    return t


def make_smollm(training):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    specials = [AddedToken(s, special=True, normalized=False) for s in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")]
    return trained(t, training, 800, specials, pre_tokenizers.ByteLevel.alphabet())


def make_modernbert(training):
    """GPT-NeoX's kind with BERT's special tokens behind it: NFC, runs of spaces and placeholders as added tokens, and a mask that takes the space before it."""
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    t.decoder = decoders.ByteLevel()
    trained(t, training, 800, [AddedToken("|||IP_ADDRESS|||", special=False, normalized=True), AddedToken("<|padding|>", special=True, normalized=False)],
            pre_tokenizers.ByteLevel.alphabet())
    t.add_tokens([AddedToken(" " * n, normalized=True) for n in range(8, 1, -1)] + [AddedToken("|||EMAIL_ADDRESS|||", normalized=True)])
    t.add_special_tokens([AddedToken(s, normalized=False, lstrip=s == "[MASK]") for s in ("<|endoftext|>", "[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")])
    t.add_tokens([AddedToken("[unused0]", normalized=True)])
    t.post_processor = bert_template(t)
    return t


def make_wordpiece(training, lowercase, **options):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer(lowercase=lowercase, **options)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = [AddedToken(s, special=True, normalized=False) for s in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")]
    trainer = trainers.WordPieceTrainer(vocab_size=900, special_tokens=specials, show_progress=False, limit_alphabet=200)
    t.train_from_iterator(training, trainer)
    t.post_processor = bert_template(t)
    return t


def bert_template(t):
    return processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                                         special_tokens=[(s, t.token_to_id(s)) for s in ("[CLS]", "[SEP]")])


# ---- golden files -----------------------------------------------------------------------------------------------------------

def ids_of(t, corpus):
    rows = [" ".join(map(str, t.encode(line).ids)) for line in corpus]
    for i in range(PAIRS):
        e = t.encode(corpus[2 * i], corpus[2 * i + 1])
        rows.append(" ".join(map(str, e.ids)) + " | " + " ".join(map(str, e.type_ids)))
    return "\n".join(rows) + "\n"


def compact(t):
    return json.dumps(json.loads(t.to_str()), ensure_ascii=False, separators=(",", ":"))


def write_kind(name, t, corpus, files=None):
    folder = os.path.join(HERE, name)
    if files is None:
        write_gz(os.path.join(folder, "tokenizer.json.gz"), compact(t))
    for file, text in (files or {}).items():
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, file), "w", newline="\n") as f:
            f.write(text)
    write_gz(os.path.join(folder, "ids.gz"), ids_of(t, corpus))


def byte_level_files(t):
    model = json.loads(t.to_str())["model"]
    merges = "\n".join(m if isinstance(m, str) else " ".join(m) for m in model["merges"])
    return json.dumps(model["vocab"], ensure_ascii=False, separators=(",", ":")), "#version: 0.2\n" + merges + "\n"


# ---- one tokenizer per feature ------------------------------------------------------------------------------------------------

def feature_tokenizers():
    letters = [chr(c) for c in range(0x21, 0x7f)] + list("éèüñßıİ½²▁Ġ中日本…—“”٣१ﬁ") + ["\u0301", "\u0307", " ", "\t", "\n", "\u00a0"]
    pairs = [("t", "h"), ("th", "e"), ("e", "r"), ("i", "n"), ("in", "g"), ("a", "n"), ("an", "d"), ("1", "2"), ("▁", "the"), ("l", "l")]
    vocab = {"[UNK]": 0}
    for token in letters + [a + b for a, b in pairs]:
        vocab.setdefault(token, len(vocab))

    def bpe(**options):
        return Tokenizer(models.BPE(vocab=vocab, merges=pairs, unk_token="[UNK]", **options))

    def build(normalizer=None, pre=None, added=(), **options):
        t = bpe(**options)
        if normalizer:
            t.normalizer = normalizer
        if pre:
            t.pre_tokenizer = pre
        for token in added:
            t.add_tokens([token])
        return t

    N, P = normalizers, pre_tokenizers
    for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"):
        yield name, build(getattr(N, name)())
    yield "Strip left", build(N.Strip(left=True, right=False))
    yield "Strip right", build(N.Strip(left=False, right=True))
    yield "Sequence of normalizers", build(N.Sequence([N.NFD(), N.StripAccents(), N.Lowercase(), N.Strip(), N.Replace(Regex(r"\s+"), " ")]))
    yield "Replace literal", build(N.Sequence([N.Replace("the", "and"), N.Replace("``", '"')]))
    yield "Replace regex with nothing", build(N.Replace(Regex(r"[^\w\s]"), ""))
    yield "ByteLevel normalizer", build(N.ByteLevel())
    for clean in (True, False):
        for chinese in (True, False):
            for accents in (None, True, False):
                for lower in (True, False):
                    yield "BertNormalizer %s %s %s %s" % (clean, chinese, accents, lower), build(N.BertNormalizer(clean, chinese, accents, lower), P.BertPreTokenizer())
    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        yield "Punctuation " + behavior, build(pre=P.Punctuation(behavior))
        for invert in (False, True):
            yield "Split regex %s %s" % (behavior, invert), build(pre=P.Split(Regex(r"\d|[aeiou]"), behavior, invert))
            yield "Split literal %s %s" % (behavior, invert), build(pre=P.Split("th", behavior, invert))
            yield "Split words %s %s" % (behavior, invert), build(pre=P.Split(Regex(r"\w+"), behavior, invert))
        yield "Split empty matches " + behavior, build(pre=P.Split(Regex(r"\s*"), behavior))
    yield "Split hex class", build(pre=P.Split(Regex(r"[\h\s]+|\h{2}|\u0041"), "isolated"))
    for pattern in (r"\W+", r"\W", r"\H+", r"\H{2}", r"\S+", r"\D+", r"[\S\h]+", r"\w\W|\h\H"):
        yield "Split " + pattern, build(pre=P.Split(Regex(pattern), "isolated"))
    yield "Split anchors", build(pre=P.Split(Regex(r"^.|.$"), "isolated"))
    yield "Split cl100k", build(pre=P.Split(Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"), "removed", True))
    yield "Digits", build(pre=P.Digits(False))
    yield "Digits individual", build(pre=P.Digits(True))
    yield "Whitespace", build(pre=P.Whitespace())
    yield "WhitespaceSplit", build(pre=P.WhitespaceSplit())
    yield "Sequence of pre-tokenizers", build(pre=P.Sequence([P.WhitespaceSplit(), P.Punctuation(), P.Digits(True)]))
    for scheme in ("always", "first", "never"):
        for split in (True, False):
            yield "Metaspace %s %s" % (scheme, split), build(pre=P.Metaspace("▁", scheme, split), added=[AddedToken("[X]"), AddedToken("<y>", normalized=False)])
    yield "Metaspace in pieces", build(N.Strip(), P.Sequence([P.Split("[", "isolated"), P.Metaspace("▁", "first")]))
    yield "ByteLevel with prefix space", build(pre=P.ByteLevel(add_prefix_space=True), added=[AddedToken("[X]")])
    yield "fuse_unk", build(fuse_unk=True)
    yield "continuing prefix", build_prefixed()
    yield "end of word suffix", build_suffixed()
    for flags in ({"lstrip": True}, {"rstrip": True}, {"lstrip": True, "rstrip": True}, {"single_word": True}, {"normalized": False}, {"normalized": False, "lstrip": True, "single_word": True}):
        yield "added %s" % flags, build(N.Lowercase(), P.WhitespaceSplit(), [AddedToken("the", **flags), AddedToken("There", **flags), AddedToken("[X]", **flags), AddedToken(" ", **dict(flags, single_word=True))])
    yield "added after Prepend", build(N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), None, [AddedToken("[X]", normalized=True), AddedToken("the", normalized=True), AddedToken("<y>", normalized=False)])


def build_prefixed():
    vocab = {t: i for i, t in enumerate(["[UNK]"] + list("abcdehint ") + ["##" + c for c in "abcdehint "] + ["th", "the", "##in", "##hin"])}
    merges = [("t", "##h"), ("th", "##e"), ("##i", "##n"), ("##h", "##in")]
    t = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="[UNK]", continuing_subword_prefix="##"))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    return t


def build_suffixed():
    vocab = {t: i for i, t in enumerate(["[UNK]"] + list("abcdehint") + [c + "</w>" for c in "abcdehint"] + ["th", "the</w>", "in", "in</w>"])}
    merges = [("t", "h"), ("th", "e</w>"), ("i", "n"), ("i", "n</w>")]
    t = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="[UNK]", end_of_word_suffix="</w>"))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    return t


FEATURE_TEXTS = ["", " ", "the", " the", "the and 12 the12", "The film isn't \"great\"...  there, and 3.14!", "  two  spaces\tand a tab\n ", "éè üñ e\u0301 İı ß ﬁ ½² ٣ १",
                 "中日本a中 …—“x”", "thethe ththe inging andand", "[X]the[X] [X] the<y>the <y> x", "a  [X]  b", "the there theThere There ththe", "a1b2 c33d444 eee",
                 "the the  the   the", "'s 'LL don't I'M", "x\u00a0y\u200bz\ufeff\u180e", "ABCabc 0fF9 zz", "\u0301the \u00adthe", "''``''", "[[a]] [ [b", "☃☃ ☃a☃", "  [X]", "e\u0301\u0323x"]


def write_features():
    rows = []
    for name, t in feature_tokenizers():
        rows.append(json.dumps({"name": name, "tokenizer": json.loads(t.to_str()), "ids": [t.encode(s).ids for s in FEATURE_TEXTS]}, separators=(",", ":")))
    write_gz(os.path.join(HERE, "features.jsonl.gz"), json.dumps(FEATURE_TEXTS) + "\n" + "\n".join(rows) + "\n")
    return len(rows)


# ---- real folders -------------------------------------------------------------------------------------------------------------

def open_folder(folder):
    def at(name):
        return os.path.join(folder, name)
    if os.path.exists(at("tokenizer_config.json")):  # transformers 5, whose classes build their own pipelines
        from transformers import AutoTokenizer
        t = AutoTokenizer.from_pretrained(folder).backend_tokenizer
    elif os.path.exists(at("tokenizer.json")):
        t = Tokenizer.from_file(at("tokenizer.json"))
    elif os.path.exists(at("encoder.json")):
        with open(at("encoder.json")) as f, open(at("vocab.bpe")) as g:
            merges = [tuple(line.split()) for line in g.read().split("\n") if line and not line.startswith("#version")]
            t = Tokenizer(models.BPE(vocab=json.load(f), merges=merges))
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        t.add_special_tokens([AddedToken("<|endoftext|>", normalized=False)])
    else:
        with open(at("vocab.txt")) as f:
            vocab = {line.rstrip("\n"): i for i, line in enumerate(f)}
        t = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
        t.normalizer = normalizers.BertNormalizer()
        t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        t.add_special_tokens([AddedToken(s, normalized=False) for s in ("[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]")])
        t.post_processor = bert_template(t)
    t.no_truncation()
    t.no_padding()
    return t


def main():
    corpus, training = make_corpus(), training_text()
    write_gz(os.path.join(HERE, "corpus.jsonl.gz"), "".join(json.dumps(line) + "\n" for line in corpus))
    gpt2 = make_gpt2(training)
    write_kind("gpt2", gpt2, corpus)
    roberta = make_roberta(training)
    write_kind("roberta", roberta, corpus)
    vocab, merges = byte_level_files(roberta)
    slow = Tokenizer.from_str(roberta.to_str())  # without a file that says more, <mask> strips nothing (transformers 5)
    slow.add_tokens([AddedToken("<mask>", special=True, normalized=False)])
    write_kind("roberta-slow", slow, corpus, {"vocab.json": vocab, "merges.txt": merges, "config.json": '{"model_type": "roberta"}\n'})
    opt = Tokenizer.from_str(roberta.to_str())  # OPT: RoBERTa's ids, GPT-2's class, a leading </s>; only </s> and <pad> are special
    state = json.loads(opt.to_str())
    state["added_tokens"] = [a for a in state["added_tokens"] if a["content"] in ("</s>", "<pad>")]
    state["post_processor"] = None
    opt = Tokenizer.from_str(json.dumps(state))
    opt.post_processor = processors.TemplateProcessing(single="</s> $A", pair="</s> $A </s>:1 $B:1", special_tokens=[("</s>", 2)])
    write_kind("opt-slow", opt, corpus, {
        "vocab.json": vocab, "merges.txt": merges, "config.json": '{"model_type": "opt", "bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1}\n',
        "tokenizer_config.json": '{"unk_token": {"__type": "AddedToken", "content": "</s>"}, "eos_token": "</s>", "pad_token": "<pad>",'
                                 ' "bos_token": {"__type": "AddedToken", "content": "</s>"},'
                                 ' "add_prefix_space": false, "add_bos_token": true, "tokenizer_class": "GPT2Tokenizer"}\n'})
    llama = make_llama(training)
    write_kind("llama", llama, corpus)
    write_kind("llama-metaspace", make_llama_metaspace(llama), corpus)
    write_kind("llama3", make_llama3(training), corpus)
    write_kind("smollm", make_smollm(training), corpus)
    write_kind("modernbert", make_modernbert(training), corpus)
    write_kind("wordpiece-uncased", make_wordpiece(training, True), corpus)
    cased = make_wordpiece(training, False)
    by_id = sorted(cased.get_vocab().items(), key=lambda item: item[1])
    write_kind("wordpiece-cased", cased, corpus, {"vocab.txt": "".join(token + "\n" for token, _ in by_id),
                                                  "tokenizer_config.json": '{"do_lower_case": false, "tokenizer_class": "BertTokenizer"}\n'})
    features = write_features()
    for folder in sys.argv[1:]:
        write_gz(os.path.join(HERE, "real", os.path.basename(os.path.normpath(folder)) + ".gz"), ids_of(open_folder(folder), corpus))
    print(len(corpus), "lines,", features, "features")


if __name__ == "__main__":
    main()
