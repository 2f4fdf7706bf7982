#!/usr/bin/env python3
"""Generates grapheme.bin: what grapheme clusters the tokenizers library forms.

The Precompiled normalizer looks up whole clusters of up to five bytes, and a
rule for "a" replaces a cluster that begins with it. So a charsmap with such a
rule tells whether a code point joins the character before it, and one with a
rule for the code point in question whether it joins the one after.

    python gen_grapheme.py            (run in this folder; some seconds)

Last run with tokenizers 0.23.3 (unicode-segmentation), Python 3.11.
"""
import base64
import json
import struct
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from gen import CPS, runs

# A trie that maps "a" to "X" and the byte 0x01 to nothing: see spm's darts.
# unit: bit 31 set = value; bits 0-7 label; bit 8 has leaf; bits 10-30 offset.


def charsmap(label):
    units = [0] * 1024
    units[0] = 512 << 10  # the root's children are at 512 ^ label
    child = 512 ^ label
    units[child] = (256 << 10) | 1 << 8 | label  # its value is at child ^ 256
    units[child ^ 256] = 1 << 31  # offset 0 of the texts
    blob = struct.pack("<I", 4 * len(units)) + struct.pack("<%dI" % len(units), *units) + b"X\0"
    return json.dumps({"type": "Precompiled", "precompiled_charsmap": base64.b64encode(blob).decode()})


def normalizer(label):
    t = json.loads(Tokenizer(models.WordLevel({"a": 0}, "a")).to_str())
    t["normalizer"] = json.loads(charsmap(label))
    return Tokenizer.from_str(json.dumps(t)).normalizer.normalize_str


OTHER, EXTEND, PREPEND, CONTROL, PICTO, ZWJ, L, V, T, LV, LVT, REGIONAL = range(12)


def main():
    a = normalizer(ord("a"))
    assert a("ab") == "Xb" and a("a\u0301b") == "Xb"
    v = [0] * 0x110000
    picto = set()
    text = "".join(map(chr, CPS))
    for _, (i, j) in pre_tokenizers.Split(Regex(r"\p{Extended_Pictographic}+"), "removed", invert=True).pre_tokenize_str(text):
        picto.update(CPS[i:j])
    lead = {}
    for c in CPS:
        ch = chr(c)
        size = len(ch.encode())
        if size < 5 and a("a" + ch) == "X" and c != 0x61:
            v[c] = EXTEND
            continue
        if c in picto:
            v[c] = PICTO
            continue
        # Prepend and Control: does a character of one or two bytes join c?
        b = ch.encode()[0]
        if b not in lead:
            lead[b] = normalizer(b)
        if size < 5 and lead[b](ch + "a") == "X":
            v[c] = PREPEND
        elif size < 4 and lead[b](ch + "\u0301") == "X\u0301":
            v[c] = CONTROL
    v[0x200D] = ZWJ
    v[0x61] = OTHER
    # Control of four bytes cannot be measured so, nor can it matter: no cluster of up to
    # five bytes begins with it, and it does not join the one before.
    for c in range(0x1100, 0x1160):
        v[c] = L
    for c in range(0xA960, 0xA97D):
        v[c] = L
    for c in list(range(0x1160, 0x11A8)) + list(range(0xD7B0, 0xD7C7)):
        v[c] = V
    for c in list(range(0x11A8, 0x1200)) + list(range(0xD7CB, 0xD7FC)):
        v[c] = T
    for c in range(0xAC00, 0xD7A4):
        v[c] = LV if (c - 0xAC00) % 28 == 0 else LVT
    for c in range(0x1F1E6, 0x1F200):
        v[c] = REGIONAL
    out = runs(v)
    open("grapheme.bin", "wb").write(out)
    print(len(out), {k: v.count(k) for k in range(12)})


if __name__ == "__main__":
    main()
