#!/usr/bin/env python3
"""Compares package text with the Python tokenizers library, string by string.

    go build -o /tmp/tokens ./text/internal/tokens
    python text/testdata/diff.py /tmp/tokens [--strings N] [--only NAME] [--seed S]
    python text/testdata/diff.py /tmp/tokens --golden text/testdata/golden.jsonl.gz

It trains small models, puts every component round them in turn and at random,
encodes generated strings and pairs with both sides, and compares ids, tokens,
offsets, type ids, masks, words and overflow; then decodes the ids, and random
ones, and compares the texts. --golden writes a small sample for go test.
Last run with tokenizers 0.23.3.
"""
import argparse
import base64
import copy
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

WORDS = """the of and to in is you that it he was for on are as with his they be at one have this from or had by hot word but what
some we can out other were all there when up use your how said an each she which do their time if will way about many then them
write would like so these her long make thing see him two has look more day could go come did number sound no most people my over
know water than call first who may down side been now find any new work part take get place made live where after back little only
round man year came show every good me give our under name very through just form sentence great think say help low line differ
turn cause much mean before move right boy old too same tell does set three want air well also play small end put home read hand
port large spell add even land here must big high such follow act why ask men change went light kind off need house picture try
us again animal point mother world near build self earth father unaffable unable running doesn't we've I'm they're HELLO World
naïve café Ångström Straße İstanbul ıI Δοκιμή ΑΣ ΑΣΣ привет мир ЁЛКА שלום עולם مرحبا العالم 你好 世界 漢字 かな カタカナ ー 한국어 각 नमस्ते
क्षत्रिय ไทย ภาษา 12345 3.14 1,000 ½ ² Ⅷ ①②③ ٣٤ user@example.com http://x.y/z?a=b&c=d foo_bar foo-bar C++ #tag $5 100% a/b e.g. i.e.""".split()
ODD = ["\t", "\n", "\r\n", "\n\n", "  ", "   ", "\u00a0", "\u2003", "\u3000", "\u200b", "\u200d", "\u200e", "\ufeff", "\u2028", "\u2029", "\u0085",
       "\x00", "\x01", "\x7f", "\x8f", "\x9f", "\u00ad", "\ufffd", "\ue000", "\u0301", "\u0300", "\u0327\u0301", "\u0301\u0327", "a\u0301", "e\u0301\u0327",
       "\u0344", "\u0f73", "\u1e9b\u0323", "\u212b", "\u2126", "\ufb01", "\ufb03", "\uff21\uff22", "\uff76\uff9e", "\u3099", "\u304b\u3099", "\u1100\u1161\u11a8",
       "\uac00\u11a8", "\u1100", "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "\U0001f1e9\U0001f1ea",
       "\u00a9\u200d\u00a9", "\u0600a", "\U000110bda", "\u0915\u094d\u0937", "\u0e01\u0e33", "\u2581", "\u2581a", "\u0120", "\u0120a", "\u010a", "##", "##able",
       "<unk>", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "<mask>", "<new_tok>", "<New>", "newword", "ABCword", "<0x41>", "<0xE4>", "</w>",
       "a\n\nb", "a   b", "a b  c", " lead", "trail ", "'s", "'S", "'re", "n't", "don't", "...", "!!", "?", "¿", "“”", "—", "‑", "、", "。", "(x)", "\\", "`", "^", "~", "|", "$", "+",
       "\u01c5", "\u1f88", "\ufb4f", "\u2460", "\u06dd", "\U0001d400", "\U0002f800", "\u9fff", "\u4dbf", "\U00020000", "\U0002b820", "\u30fc", "\u03a3", "\u0130", "\u1e9e", "\u0149"]


def strings(rng, n):
    out = ["", " ", "  ", "a", "\n", "\u0301", "\x00", "\u200d", "Hello world", "hello  world ", " <new_tok> x", "x<mask> y", "a\n\nb", "a   b"]
    while len(out) < n:
        k = rng.random()
        if k < 0.05:
            out.append(rng.choice(["a", " ", "ab", "\u0301", "漢", "é", "xyz", "\U0001f600", "1", "\n", "."]) * rng.randrange(1, 300))
        elif k < 0.1:
            out.append("".join(chr(rng.choice([rng.randrange(0x20, 0x7f), rng.randrange(0x80, 0x250), rng.randrange(0x250, 0xd800), rng.randrange(0xe000, 0x11000), rng.randrange(0x1f000, 0x1fb00)])) for _ in range(rng.randrange(1, 20))))
        else:
            parts = []
            for _ in range(rng.randrange(1, 12)):
                parts.append(rng.choice(WORDS) if rng.random() < 0.6 else rng.choice(ODD))
                if rng.random() < 0.55:
                    parts.append(" ")
            out.append("".join(parts))
    return out[:n]


def corpus(rng):
    return [" ".join(rng.choice(WORDS) for _ in range(12)) for _ in range(400)]


SPECIAL = ["<s>", "</s>", "<unk>", "<pad>", "[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]"]


def train(model, trainer, text, pre=None, norm=None):
    t = Tokenizer(model)
    if pre is not None:
        t.pre_tokenizer = pre
    if norm is not None:
        t.normalizer = norm
    t.train_from_iterator(text, trainer)
    return json.loads(t.to_str())["model"]


def base_models(rng):
    text = corpus(rng)
    lower = [s.lower() for s in text]
    m = {}
    m["wordpiece"] = train(models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(vocab_size=700, special_tokens=SPECIAL, show_progress=False), text + lower, pre_tokenizers.BertPreTokenizer())
    m["bpe_byte"] = train(models.BPE(), trainers.BpeTrainer(vocab_size=900, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False), text, pre_tokenizers.ByteLevel())
    m["bpe_char"] = train(models.BPE(unk_token="<unk>"), trainers.BpeTrainer(vocab_size=600, special_tokens=SPECIAL, limit_alphabet=60, show_progress=False), text, pre_tokenizers.Metaspace())
    m["bpe_clip"] = train(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", continuing_subword_prefix="##"),
                          trainers.BpeTrainer(vocab_size=700, special_tokens=SPECIAL, limit_alphabet=70, end_of_word_suffix="</w>", continuing_subword_prefix="##", show_progress=False), text, pre_tokenizers.Whitespace())
    m["unigram"] = train(models.Unigram(), trainers.UnigramTrainer(vocab_size=500, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False), text, pre_tokenizers.Metaspace())
    m["wordlevel"] = train(models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(vocab_size=300, special_tokens=SPECIAL, show_progress=False), text, pre_tokenizers.Whitespace())
    # Byte fallback: the byte tokens at the end of the vocabulary.
    b = copy.deepcopy(m["bpe_char"])
    for i in range(256):
        b["vocab"].setdefault("<0x%02X>" % i, len(b["vocab"]))
    b["byte_fallback"] = True
    m["bpe_bytes"] = b
    u = copy.deepcopy(m["unigram"])
    u["vocab"] += [["<0x%02X>" % i, -20.0] for i in range(256)]
    u["byte_fallback"] = True
    m["unigram_bytes"] = u
    b = copy.deepcopy(m["bpe_clip"])
    for i in range(256):
        b["vocab"].setdefault("<0x%02X>" % i, len(b["vocab"]))
    m["bpe_clip_bytes"] = dict(b, byte_fallback=True)
    # Ties: many equal scores.
    u = copy.deepcopy(m["unigram"])
    u["vocab"] = [[p, float(round(s))] for p, s in u["vocab"]]
    m["unigram_ties"] = u
    return m


def charsmap():
    """A sentencepiece charsmap of a few rules, laid out as a double-array trie."""
    rules = {"\uff21": "A", "ﬁ": "fi", "Å": "A\u030a", "e\u0301": "é", "\u00a0": " ", "\t": " ", "\n": " ", "\u200b": "", "①": "1", "½": "1⁄2", "㎏": "kg",
             "カ": "か", "か\u3099": "が", "\u1100\u1161": "가", "❤": "<3", "\u0600": "", "क": "k", "©": "(c)", "\u00ad": "", "ß": "ss"}
    texts, offsets = b"", {}
    for k, v in rules.items():
        offsets[k.encode()] = len(texts)
        texts += v.encode() + b"\0"
    units, used = {}, {0}

    def place(node, keys):
        # node: index of the unit whose children are to be placed; keys: suffixes with values
        labels = sorted({k[0] if k else 0 for k, _ in keys})
        offset = 1
        while any(((node ^ offset) ^ l) in used for l in labels) or (node ^ offset) >> 8 != node >> 8 and False:
            offset += 1
        for l in labels:
            used.add(node ^ offset ^ l)
        leaf = any(not k for k, _ in keys)
        units[node] = units.get(node, 0) | (offset << 10) | (0x100 if leaf else 0)
        for l in labels:
            child = node ^ offset ^ l
            if l == 0 and leaf:
                units[child] = 1 << 31 | next(v for k, v in keys if not k)
            else:
                units[child] = l
                place(child, [(k[1:], v) for k, v in keys if k and k[0] == l])

    units[0] = 0
    place(0, sorted(offsets.items()))
    n = (max(units) | 255) + 1
    blob = b"".join(units.get(i, 0).to_bytes(4, "little") for i in range(n))
    return base64.b64encode((4 * n).to_bytes(4, "little") + blob + texts).decode()


def added(content, **k):
    d = dict(id=0, content=content, single_word=False, lstrip=False, rstrip=False, normalized=False, special=False)
    d.update(k)
    return d


ADDED = [
    [added(s, special=True) for s in SPECIAL],
    [added(s, special=True) for s in SPECIAL] + [added("<mask>", lstrip=True, special=True), added("<new_tok>", rstrip=True), added("newword", single_word=True, normalized=True), added("<New>", normalized=True)],
    [added("<new_tok>", lstrip=True, rstrip=True), added("<new"), added("able", normalized=True), added("ab"), added("é", normalized=True), added("ABC", normalized=True, single_word=True), added("  ", rstrip=True)],
    [],
]

NORMS = {
    "none": None,
    "bert": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
    "bert_cased": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": False},
    "bert_accents": {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": True, "lowercase": False},
    "nfc": {"type": "NFC"}, "nfd": {"type": "NFD"}, "nfkc": {"type": "NFKC"}, "nfkd": {"type": "NFKD"},
    "lower": {"type": "Lowercase"}, "nmt": {"type": "Nmt"}, "accents": {"type": "StripAccents"}, "bytes": {"type": "ByteLevel"},
    "strip": {"type": "Strip", "strip_left": True, "strip_right": True}, "lstrip": {"type": "Strip", "strip_left": True, "strip_right": False}, "rstrip": {"type": "Strip", "strip_left": False, "strip_right": True},
    "replace": {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}, "replace_s": {"type": "Replace", "pattern": {"String": "a"}, "content": "ÄÄ"}, "replace_e": {"type": "Replace", "pattern": {"Regex": "[0-9]"}, "content": ""},
    "prepend": {"type": "Prepend", "prepend": "▁"}, "precompiled": {"type": "Precompiled", "precompiled_charsmap": None},
    "seq_xlnet": {"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": {"String": "``"}, "content": '"'}, {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]},
    "seq_llama": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
    "seq_clip": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}, {"type": "Lowercase"}]},
    "seq_t5": {"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": None}, {"type": "Strip", "strip_left": False, "strip_right": True}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}]},
    "seq_nmt": {"type": "Sequence", "normalizers": [{"type": "Nmt"}, {"type": "NFKC"}, {"type": "Strip", "strip_left": False, "strip_right": True}]},
    "seq_forms": {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Lowercase"}, {"type": "NFC"}, {"type": "StripAccents"}, {"type": "NFKC"}]},
}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


GPT4 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
PRES = {
    "none": None, "bert": {"type": "BertPreTokenizer"}, "ws": {"type": "Whitespace"}, "wssplit": {"type": "WhitespaceSplit"}, "scripts": {"type": "UnicodeScripts"},
    "bytelevel": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}, "bytelevel_p": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}, "bytelevel_n": BL,
    "meta": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}, "meta_first": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True},
    "meta_never": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": True}, "meta_whole": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
    "meta_old": {"type": "Metaspace", "replacement": "_", "str_rep": "_", "add_prefix_space": True},
    "digits": {"type": "Digits", "individual_digits": True}, "digits_c": {"type": "Digits", "individual_digits": False}, "delim": {"type": "CharDelimiterSplit", "delimiter": "e"}, "fixed": {"type": "FixedLength", "length": 3},
    "gpt4": {"type": "Sequence", "pretokenizers": [split(GPT4), BL]}, "o200k": {"type": "Sequence", "pretokenizers": [split(O200K, "Removed", True), BL]},
    "seq": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}, {"type": "Digits", "individual_digits": True}]},
    "seq_p": {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "Punctuation", "behavior": "Contiguous"}]},
    "split_empty": split("(?=a)"), "split_b": split(r"\b"), "split_lazy": split("a+?b*"),
}
for b in ("Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"):
    PRES["punct_" + b] = {"type": "Punctuation", "behavior": b}
    PRES["split_" + b] = split(r"\s+", b)
    PRES["spliti_" + b] = split(r"\w+|[^\w\s]+", b, True)
    PRES["splits_" + b] = split("a", b, False, "String")


def tok(name, vocab):
    return [name, vocab[name]]


def posts(vocab):
    def st(name, t=0):
        return {"SpecialToken": {"id": name, "type_id": t}}

    def seq(i, t=0):
        return {"Sequence": {"id": i, "type_id": t}}

    ids = {s: {"id": s, "ids": [vocab[s]], "tokens": [s]} for s in SPECIAL}
    ids["two"] = {"id": "two", "ids": [vocab["<s>"], vocab["</s>"]], "tokens": ["<s>", "</s>"]}
    template = {"type": "TemplateProcessing", "single": [st("[CLS]"), seq("A"), st("[SEP]")], "pair": [st("[CLS]"), seq("A"), st("[SEP]"), seq("B", 1), st("[SEP]", 1)], "special_tokens": ids}
    bl = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    return {
        "none": None, "template": template, "bert": {"type": "BertProcessing", "sep": tok("[SEP]", vocab), "cls": tok("[CLS]", vocab)},
        "roberta": {"type": "RobertaProcessing", "sep": tok("</s>", vocab), "cls": tok("<s>", vocab), "trim_offsets": True, "add_prefix_space": True},
        "roberta_n": {"type": "RobertaProcessing", "sep": tok("</s>", vocab), "cls": tok("<s>", vocab), "trim_offsets": False, "add_prefix_space": False},
        "bytelevel": bl, "bytelevel_n": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
        "seq": {"type": "Sequence", "processors": [bl, template]},
        "odd": {"type": "TemplateProcessing", "single": [st("two", 3), seq("A", 2), seq("A", 5)], "pair": [seq("B", 1), st("two", 7), seq("A", 4)], "special_tokens": ids},
    }


DECODERS = {
    "none": None, "wordpiece": {"type": "WordPiece", "prefix": "##", "cleanup": True}, "wordpiece_n": {"type": "WordPiece", "prefix": "##", "cleanup": False}, "bytelevel": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "metaspace": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}, "metaspace_n": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": True}, "bpe": {"type": "BPEDecoder", "suffix": "</w>"},
    "ctc": {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True}, "ctc_n": {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "▁", "cleanup": False},
    "fuse": {"type": "Fuse"}, "bytefallback": {"type": "ByteFallback"}, "replace": {"type": "Replace", "pattern": {"Regex": "e+"}, "content": "E"},
    "llama": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "strip": {"type": "Strip", "content": "a", "start": 2, "stop": 0},
}


def truncations(rng):
    if rng.random() < 0.5:
        return None
    n = rng.choice([4, 5, 8, 11, 20])
    return {"direction": rng.choice(["Left", "Right"]), "max_length": n, "strategy": rng.choice(["LongestFirst", "LongestFirst", "OnlyFirst", "OnlySecond"]), "stride": rng.choice([0, 0, 1, 2])}


def paddings(rng, vocab):
    if rng.random() < 0.5:
        return None
    return {"strategy": rng.choice(["BatchLongest", {"Fixed": 12}, {"Fixed": 30}]), "direction": rng.choice(["Left", "Right"]), "pad_to_multiple_of": rng.choice([None, 8, 3]), "pad_id": vocab["<pad>"], "pad_type_id": rng.choice([0, 3]), "pad_token": "<pad>"}


NATURAL = {  # the components that go with a model in practice
    "wordpiece": ("bert", "bert", "template", "wordpiece"), "bpe_byte": ("none", "bytelevel", "roberta", "bytelevel"), "bpe_char": ("none", "meta", "template", "metaspace"),
    "bpe_clip": ("seq_clip", "ws", "bert", "bpe"), "bpe_clip_bytes": ("none", "ws", "template", "bpe"), "bpe_bytes": ("seq_llama", "none", "template", "llama"), "unigram": ("precompiled", "meta", "template", "metaspace"),
    "unigram_bytes": ("seq_t5", "meta_first", "template", "metaspace"), "unigram_ties": ("nfkc", "meta", "none", "metaspace"), "wordlevel": ("lower", "ws", "template", "none"),
}


def fill(v, cm):
    if isinstance(v, dict):
        return {k: (cm if k == "precompiled_charsmap" else fill(x, cm)) for k, x in v.items()}
    if isinstance(v, list):
        return [fill(x, cm) for x in v]
    return v


def vocab_of(model):
    v = model["vocab"]
    return v if isinstance(v, dict) else {p: i for i, (p, _) in enumerate(v)}


def configs(rng, bases):
    cm = charsmap()

    def make(name, model, norm, pre, post, dec, add, trunc=None, pad=None):
        d = {"version": "1.0", "truncation": trunc, "padding": pad, "added_tokens": ADDED[add], "normalizer": fill(NORMS[norm], cm), "pre_tokenizer": PRES[pre],
             "post_processor": posts(vocab_of(model))[post], "decoder": DECODERS[dec], "model": model}
        return name, d

    for name, m in bases.items():
        norm, pre, post, dec = NATURAL[name]
        yield make(name, m, norm, pre, post, dec, 0)
        yield make(name + "/added", m, norm, pre, post, dec, 1)
        for i in range(4):
            yield make("%s/cut%d" % (name, i), m, norm, pre, post, dec, 1, truncations(rng), paddings(rng, vocab_of(m)))
        if name.startswith("bpe"):
            for k in ("fuse_unk", "ignore_merges"):
                yield make(name + "/" + k, dict(m, **{k: True}), norm, pre, post, dec, 0)
            yield make(name + "/pairs", dict(m, merges=[" ".join(x) for x in m["merges"]] if isinstance(m["merges"][0], list) else [x.split(" ") for x in m["merges"]]), norm, pre, post, dec, 0)
        if name != "wordlevel":
            yield make(name + "/untyped", {k: v for k, v in m.items() if k != "type"}, norm, pre, post, dec, 0)
    names = list(bases)
    for n in NORMS:
        b = rng.choice(names)
        yield make("norm/%s/%s" % (n, b), bases[b], n, rng.choice(["none", NATURAL[b][1]]), "none", "none", rng.randrange(3))
    for p in PRES:
        b = rng.choice(names)
        yield make("pre/%s/%s" % (p, b), bases[b], rng.choice(["none", NATURAL[b][0]]), p, "none", "none", rng.randrange(3))
    for p in posts(vocab_of(bases["wordlevel"])):
        b = rng.choice(names)
        yield make("post/%s/%s" % (p, b), bases[b], "none", NATURAL[b][1], p, "none", 1, truncations(rng), paddings(rng, vocab_of(bases[b])))
    for d in DECODERS:
        b = rng.choice(names)
        yield make("dec/%s/%s" % (d, b), bases[b], "none", NATURAL[b][1], "none", d, 1)
    for i in range(60):
        b = rng.choice(names)
        m = bases[b]
        c = [rng.choice(list(x)) for x in (NORMS, PRES, posts(vocab_of(m)), DECODERS)]
        yield make("random%d/%s/%s" % (i, b, "/".join(c)), m, *c, rng.randrange(4), truncations(rng), paddings(rng, vocab_of(m)))


def view(e, overflow=True):
    # The library puts windows into windows again; the first level holds them all.
    out = {"ids": e.ids, "tokens": e.tokens, "offsets": [list(o) for o in e.offsets], "types": e.type_ids, "mask": e.attention_mask, "special": e.special_tokens_mask, "words": [-1 if w is None else w for w in e.word_ids]}
    if e.overflowing and overflow:
        out["overflow"] = [view(o, False) for o in e.overflowing]
    return out


def guarded(f):
    try:
        return f()
    except BaseException as x:  # the library panics as well as raises
        if isinstance(x, KeyboardInterrupt):
            raise
        return {"error": str(x)}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("tool")
    ap.add_argument("--strings", type=int, default=150)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--only", default="")
    ap.add_argument("--golden")
    ap.add_argument("--file", help="compare this tokenizer.json alone")
    args = ap.parse_args()
    rng = random.Random(args.seed)
    if args.file:
        todo = [("file", json.load(open(args.file)))]
    else:
        todo = list(configs(rng, base_models(rng)))
    total, bad, per, golden = 0, 0, {}, []
    for name, cfg in todo:
        if args.only not in name:
            continue
        r = random.Random("%s %d" % (name, args.seed))
        with tempfile.TemporaryDirectory() as d:
            with open(os.path.join(d, "tokenizer.json"), "w") as f:
                json.dump(cfg, f, ensure_ascii=False)
            t = guarded(lambda: Tokenizer.from_str(json.dumps(cfg)))
            ss = strings(r, args.strings)
            asks, wants = [{"open": d}], []
            if isinstance(t, dict):
                print(name, "library refuses:", t["error"][:150])
                continue
            wants.append(t.get_vocab_size())
            n = t.get_vocab_size()
            for s in ss:
                k = r.random()
                ask = {"text": s, "no_special": r.random() < 0.15}
                pair = None
                if k < 0.25:
                    pair = ask["pair"] = r.choice(ss)
                e = guarded(lambda: t.encode(s, pair, add_special_tokens=not ask["no_special"]))
                asks.append(ask)
                wants.append(e if isinstance(e, dict) else view(e))
                ids = [r.randrange(n + 3) for _ in range(r.randrange(1, 12))] if isinstance(e, dict) or k > 0.6 else e.ids
                if ids:
                    skip = r.random() < 0.5
                    asks.append({"ids": ids, "skip": skip})
                    wants.append(guarded(lambda: t.decode(ids, skip_special_tokens=skip)))
            if cfg.get("padding"):
                batch = ss[:7]
                asks.append({"batch": batch})
                es = guarded(lambda: t.encode_batch(batch))
                wants.append(es if isinstance(es, dict) else [view(e) for e in es])
            run = subprocess.run([args.tool], input="\n".join(json.dumps(a) for a in asks) + "\n", capture_output=True, text=True)
            got = [json.loads(line) for line in run.stdout.split("\n") if line]
        if run.stderr or len(got) != len(wants):
            print(name, "tool:", len(got), "of", len(wants), "answers", run.stderr[:500])
            bad += 1
        wrong = 0
        for a, g, w in zip(asks, got, wants):
            if isinstance(g, dict) and isinstance(w, dict) and "error" in g and "error" in w:
                same = True
            else:
                norm = lambda x: {k: (v or []) for k, v in x.items()} if isinstance(x, dict) else x
                same = norm(g) == norm(w)
            total += 1
            if not same:
                wrong += 1
                if wrong == 1:
                    print("DIFF", name, json.dumps(a)[:300])
                    if isinstance(g, dict) and isinstance(w, dict):
                        for k in sorted(set(g) | set(w)):
                            if (g.get(k) or []) != (w.get(k) or []):
                                print("  %s\n    got  %s\n    want %s" % (k, json.dumps(g.get(k), ensure_ascii=False)[:400], json.dumps(w.get(k), ensure_ascii=False)[:400]))
                    else:
                        print("    got  %s\n    want %s" % (json.dumps(g, ensure_ascii=False)[:400], json.dumps(w, ensure_ascii=False)[:400]))
        bad += wrong
        model = cfg["model"].get("type", "untyped")
        c = per.setdefault(model, [0, 0])
        c[0] += len(wants)
        c[1] += wrong
        if args.golden:
            golden.append((name, cfg, [(a, w) for a, w in zip(asks[1:], wants[1:])]))
    print("%d comparisons, %d differ;" % (total, bad), ", ".join("%s %d/%d" % (k, c[1], c[0]) for k, c in sorted(per.items())))
    if args.golden:
        write_golden(args.golden, golden)
    sys.exit(bad != 0)


def write_golden(path, golden):
    """Writes models once, then a configuration a line with a few of its strings."""
    seen, lines = {}, []
    for name, cfg, rows in golden:
        key = json.dumps(cfg["model"], sort_keys=True)
        if key not in seen:
            seen[key] = len(seen)
            lines.append({"model": cfg["model"]})
        rest = {k: v for k, v in cfg.items() if k != "model"}
        rows = [[a, w] for a, w in rows if len(json.dumps(w)) < 1500]
        r = random.Random(name)
        keep = r.sample(rows, min(6, len(rows)))
        lines.append({"name": name, "use": seen[key], "config": rest, "rows": keep})
    data = "\n".join(json.dumps(x, ensure_ascii=False) for x in lines) + "\n"
    with open(path, "wb") as f:
        with gzip.GzipFile(fileobj=f, mode="wb", compresslevel=9, mtime=0) as z:
            z.write(data.encode())
    print(path, os.path.getsize(path), "bytes,", sum(len(x.get("rows", [])) for x in lines), "rows")


if __name__ == "__main__":
    main()
