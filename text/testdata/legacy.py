#!/usr/bin/env python3
"""Compares directories without a tokenizer.json with transformers' tokenizers.

    go build -o /tmp/tokens ./text/internal/tokens
    python text/testdata/legacy.py /tmp/tokens [--only NAME] [--golden text/testdata/legacy.jsonl.gz]

BERT's vocab.txt, the vocab.json and merges.txt of GPT-2, RoBERTa and CLIP, and
the vocab.json of Wav2Vec2CTCTokenizer, with various tokenizer_config.json.
A word_delimiter_token other than "|" is left out: transformers 5.23 reads it from
tokenizer_config.json and then uses "|" all the same, which this package does not.
Last run with transformers 5.23.0, tokenizers 0.23.3.
"""
import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import diff
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import BertTokenizer, CLIPTokenizer, GPT2Tokenizer, RobertaTokenizer, Wav2Vec2CTCTokenizer


def token(content, **k):
    d = dict(content=content, single_word=False, lstrip=False, rstrip=False, normalized=True, special=False, __type="AddedToken")
    d.update(k)
    return d


def cases(rng):
    bases = diff.base_models(rng)
    wp = sorted(bases["wordpiece"]["vocab"].items(), key=lambda x: x[1])
    vocab = {"vocab.txt": "".join(t + "\n" for t, _ in wp)}
    special = dict(special=True, normalized=False)
    yield "bert", BertTokenizer, vocab, {"tokenizer_class": "BertTokenizer"}
    yield "bert_cased", BertTokenizer, vocab, {"tokenizer_class": "BertTokenizer", "do_lower_case": False, "tokenize_chinese_chars": False, "strip_accents": True, "model_max_length": 16}
    yield "bert_added", BertTokenizer, vocab, {"tokenizer_class": "BertTokenizer", "cls_token": "<s>", "sep_token": token("</s>", **special), "pad_token": "<newpad>",
                                               "added_tokens_decoder": {"3": token("<pad>", **special), "700": token("<new_tok>", rstrip=True), "701": token("newword")}}
    yield "bert_bare", BertTokenizer, vocab, {}
    bb = bases["bpe_byte"]
    files = {"vocab.json": json.dumps(bb["vocab"]), "merges.txt": "#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in bb["merges"])}
    yield "gpt2", GPT2Tokenizer, files, {"tokenizer_class": "GPT2Tokenizer"}
    yield "gpt2_bos", GPT2Tokenizer, files, {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True, "add_bos_token": True, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    yield "roberta", RobertaTokenizer, files, {"tokenizer_class": "RobertaTokenizer"}
    yield "roberta_prefix", RobertaTokenizer, files, {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": True, "mask_token": token("<mask>", lstrip=True, **special)}
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    t = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.train_from_iterator(diff.corpus(rng), trainers.BpeTrainer(vocab_size=1200, end_of_word_suffix="</w>", initial_alphabet=alphabet, special_tokens=["<|startoftext|>", "<|endoftext|>"], show_progress=False))
    clip = json.loads(t.to_str())["model"]
    for a in alphabet:
        clip["vocab"].setdefault(a + "</w>", len(clip["vocab"]))
    yield "clip", CLIPTokenizer, {"vocab.json": json.dumps(clip["vocab"]), "merges.txt": "#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in clip["merges"])}, {"tokenizer_class": "CLIPTokenizer"}

    def numbered(tokens):
        return {"vocab.json": json.dumps({c: i for i, c in enumerate(tokens)})}

    letters = numbered(["<pad>", "<s>", "</s>", "<unk>", "|"] + list("ETAONIHSRDLUMWCFGYPBVK'XJQZ"))
    yield "ctc", Wav2Vec2CTCTokenizer, letters, {"tokenizer_class": "Wav2Vec2CTCTokenizer"}
    yield "ctc_lower", Wav2Vec2CTCTokenizer, letters, {"tokenizer_class": "Wav2Vec2CTCTokenizer", "do_lower_case": True}
    yield "ctc_small", Wav2Vec2CTCTokenizer, numbered(["[PAD]", "|", "a", "b", "c", "d", "e", "é", "ch", "[UNK]"]), {"tokenizer_class": "Wav2Vec2CTCTokenizer", "pad_token": "[PAD]", "unk_token": "[UNK]", "bos_token": None, "eos_token": None}
    yield "ctc_outside", Wav2Vec2CTCTokenizer, numbered(["<pad>", "<unk>", "|", "a", "b", "."]), {"tokenizer_class": "Wav2Vec2CTCTokenizer", "clean_up_tokenization_spaces": True}
    # special_tokens_map.json comes before tokenizer_config.json, unless that has added_tokens_decoder.
    specials = {"cls_token": "<s>", "pad_token": dict(token("<newpad>", lstrip=True)), "additional_special_tokens": ["<new_tok>", "newword"]}
    specials["pad_token"].pop("__type")
    mapped = dict(vocab, **{"special_tokens_map.json": json.dumps(specials)})
    yield "bert_map", BertTokenizer, mapped, {"tokenizer_class": "BertTokenizer", "cls_token": "[CLS]", "sep_token": "</s>"}
    yield "bert_map_unread", BertTokenizer, mapped, {"tokenizer_class": "BertTokenizer", "additional_special_tokens": ["<new_tok>", "ABCword"],
                                                     "added_tokens_decoder": {"700": token("<new_tok>", lstrip=True, **special), "701": token("newword")}}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("tool")
    ap.add_argument("--only", default="")
    ap.add_argument("--golden")
    args = ap.parse_args()
    rng = random.Random(5)
    strings = diff.strings(rng, 400)
    total, bad, lines = 0, 0, []
    for name, cls, files, cfg in cases(rng):
        if args.only not in name:
            continue
        if cfg:
            files = dict(files, **{"tokenizer_config.json": json.dumps(cfg)})
        with tempfile.TemporaryDirectory() as d:
            for f, c in files.items():
                with open(os.path.join(d, f), "w", encoding="utf-8") as w:
                    w.write(c)
            with open(os.path.join(d, "config.json"), "w") as w:
                w.write('{"model_type": "bert"}')
            t = cls.from_pretrained(d)
            ctc = cls is Wav2Vec2CTCTokenizer
            rows = []
            for i, s in enumerate(strings):
                ask = {"text": s}
                if ctc:  # a Python tokenizer: it has ids alone
                    ask["no_special"] = True
                    ids = t(s, add_special_tokens=False)["input_ids"]
                    rows.append((ask, {"ids": ids}))
                else:
                    if i % 5 == 0:
                        ask["pair"] = strings[i * 7 % len(strings)]
                    e = t._tokenizer.encode(s, ask.get("pair"))
                    ids = e.ids
                    rows.append((ask, diff.view(e)))
                if i % 2:
                    ids = [rng.randrange(len(t) + (3 if ctc else 0)) for _ in range(8)] + [5, 5, 5, 0, 5]
                if ids:
                    skip = i % 3 == 0
                    rows.append(({"ids": ids, "skip": skip}, (t if ctc else t._tokenizer).decode(ids, skip_special_tokens=skip)))
            asks = [{"open": d}] + [a for a, _ in rows]
            run = subprocess.run([args.tool], input="\n".join(map(json.dumps, asks)) + "\n", capture_output=True, text=True)
            got = [json.loads(line) for line in run.stdout.split("\n") if line]
            if run.stderr or got[0] != len(t):
                print(name, "size", got[0], "want", len(t), run.stderr[:500])
                bad += 1
        for (a, w), g in zip(rows, got[1:]):
            total += 1
            same = all((g.get(k) or []) == (w[k] or []) for k in w) if isinstance(w, dict) else g == w
            if not same:
                bad += 1
                print("DIFF", name, json.dumps(a)[:200], "\n   got ", str(g)[:400], "\n   want", str(w)[:400])
        r = random.Random(name)
        lines.append({"name": name, "files": files, "size": len(t), "rows": r.sample([x for x in rows if len(json.dumps(x)) < 1200], 30)})
    print(total, "comparisons,", bad, "differ")
    if args.golden:
        with open(args.golden, "wb") as f, gzip.GzipFile(fileobj=f, mode="wb", compresslevel=9, mtime=0) as z:
            z.write(("\n".join(json.dumps(x, ensure_ascii=False) for x in lines) + "\n").encode())
        print(args.golden, os.path.getsize(args.golden), "bytes")
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
