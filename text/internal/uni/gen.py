#!/usr/bin/env python3
"""Generates tables.bin and golden_test.go from the tokenizers library.

Every table is measured, not copied: the library's own normalizers and
pre-tokenizers are asked about every code point, so that the tables hold what
the library does, whichever Unicode version each of its parts was built with.

    python gen.py            (run in this folder; about three minutes)

Last run with tokenizers 0.23.3 (unicode-normalization-alignments 0.1.12,
unicode_categories 0.1.1), Python 3.11, unicodedata 14.0.0.
"""
import hashlib
import struct
import unicodedata
from tokenizers import __version__
from tokenizers import normalizers as N
from tokenizers import pre_tokenizers as P

MAX = 0x110000
CPS = [c for c in range(MAX) if not 0xD800 <= c < 0xE000]


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def runs(values):
    """Run-length encodes one small number a code point."""
    out, n, i = bytearray(), 0, 0
    while i < MAX:
        j = i
        while j < MAX and values[j] == values[i]:
            j += 1
        out += varint(j - i) + varint(values[i])
        n += 1
        i = j
    return varint(n) + bytes(out)


def pieces(pre, s):
    return [p for p, _ in pre.pre_tokenize_str(s)]


def flags():
    """Bit i of a code point's value is the answer of FLAGS[i] in uni.go."""
    v = [0] * MAX
    clean = N.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    accents = N.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    chinese = N.BertNormalizer(clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False)
    wsplit, word, digits = P.WhitespaceSplit(), P.Whitespace(), P.Digits(individual_digits=True)
    punct, bert = P.Punctuation("isolated"), P.BertPreTokenizer()
    strip, marks = N.Strip(), N.StripAccents()
    for c in CPS:
        ch = chr(c)
        s = "a" + ch + "b"
        f = 0
        if pieces(wsplit, s) == ["a", "b"]:
            f |= 1
        assert (strip.normalize_str(ch + "a") == "a") == bool(f & 1), hex(c)
        if len(pieces(digits, s)) == 3:
            f |= 2
        w = pieces(word, s)
        if len(w) == 1:
            f |= 4
        assert (w == ["a", "b"]) == bool(f & 1), hex(c)
        if marks.normalize_str(s) == "ab":
            f |= 8
        if accents.normalize_str(s) == "ab":
            f |= 16
        if len(pieces(punct, s)) == 3:
            f |= 32
        b = pieces(bert, s)
        assert (len(b) == 3) == bool(f & 32) and (b == ["a", "b"]) == bool(f & 1), hex(c)
        k = clean.normalize_str(s)
        if k == "ab" and c != 0xFFFD:
            f |= 64
        if k == "a b":
            f |= 128
        if chinese.normalize_str(s) == "a " + ch + " b":
            f |= 256
        v[c] = f
    return v


def scripts():
    """Numbers the groups that UnicodeScripts tells apart; 0 joins any neighbour."""
    u = P.UnicodeScripts()
    v, reps = [0] * MAX, []
    text = "".join(map(chr, CPS))
    for piece, (a, _) in u.pre_tokenize_str(text):
        c = CPS[a]
        for i in range(len(piece)):
            v[CPS[a + i]] = c  # the run's first code point stands for it
    names = {}
    any_ = {0x20}

    def splits(a, b):
        return len(pieces(u, chr(a) + chr(b))) == 2

    for c in sorted(set(v[c] for c in CPS)):
        if c in any_:
            continue
        for i, r in enumerate(reps):
            if not splits(r, c):
                names[c] = i + 1
                break
        else:
            reps.append(c)
            names[c] = len(reps)
    # Inside a run every code point must behave as its first one does, and the
    # space must be the only one that joins both its neighbours.
    latin, han = names[v[ord("a")]], names[v[0x4E00]]
    out = [0] * MAX
    for c in CPS:
        if c in any_:
            continue
        joins = [x for x in (ord("a"), 0x4E00) if not splits(x, c)]
        out[c] = names[v[c]]
        if len(joins) == 2:
            out[c] = 0
        assert (out[c] in (0, latin)) == (ord("a") in joins), hex(c)
        assert (out[c] in (0, han)) == (0x4E00 in joins), hex(c)
        if out[c]:
            assert not splits(reps[out[c] - 1], c), hex(c)
    return out


def main():
    nfd, nfkd, nfc = N.NFD().normalize_str, N.NFKD().normalize_str, N.NFC().normalize_str
    low = N.Lowercase().normalize_str
    hangul = range(0xAC00, 0xAC00 + 11172)
    canon = {c: nfd(chr(c)) for c in CPS if c not in hangul}
    compat = {c: nfkd(chr(c)) for c in CPS if c not in hangul}
    canon = {c: s for c, s in canon.items() if s != chr(c)}
    compat = {c: s for c, s in compat.items() if s != chr(c)}

    # Combining classes, from the order that NFD puts two marks in.
    ccc = [0] * MAX
    reps = {}
    for c in CPS:
        k = unicodedata.combining(chr(c))
        if k and k not in reps and nfd(chr(c)) == chr(c):
            reps[k] = chr(c)
    for c in CPS:
        if c in canon or c in hangul:
            continue
        ch = chr(c)
        if nfd("a" + ch + "\u0334") == "a\u0334" + ch and c != 0x334 or nfd("a\u0301" + ch) == "a" + ch + "\u0301" and c != 0x301:
            for k, r in reps.items():
                if nfd("a" + ch + r) == "a" + ch + r and nfd("a" + r + ch) == "a" + r + ch:
                    ccc[c] = k
                    break
            else:
                raise SystemExit("unknown combining class of %04x" % c)
    ccc[0x301], ccc[0x334] = 230, 1
    for c, s in canon.items():
        ccc[c] = ccc[ord(s[0])]  # never asked for by a normal form; the natural value

    # Primary composites: those that NFC leaves or makes.
    pairs = {}
    for c, s in canon.items():
        if nfc(chr(c)) != chr(c) or len(s) < 2:
            continue
        a, b = nfc(s[:-1]), s[-1]
        assert len(a) == 1 and nfc(a + b) == chr(c), hex(c)
        pairs[ord(a), ord(b)] = c

    lower = {c: low(chr(c)) for c in CPS}
    lower = {c: s for c, s in lower.items() if s != chr(c)}

    fl, sc = flags(), scripts()
    vecs = sorted(set(fl))
    assert len(vecs) < 256 and max(sc) < 256
    index = {f: i for i, f in enumerate(vecs)}

    out = bytearray()
    out += varint(len(vecs)) + b"".join(map(varint, vecs))
    out += runs([index[f] for f in fl])
    out += runs(sc)
    out += runs(ccc)
    for m in (canon, {c: s for c, s in compat.items() if canon.get(c) != s}, lower):
        out += varint(len(m))
        last = 0
        for c in sorted(m):
            out += varint(c - last) + varint(len(m[c]))
            for ch in m[c]:
                out += varint(ord(ch))
            last = c
    out += varint(len(pairs))
    last = 0
    for a, b in sorted(pairs):
        out += varint(a - last) + varint(b) + varint(pairs[a, b])
        last = a
    open("tables.bin", "wb").write(out)

    # The golden: for each function one sha256 over all code points, straight
    # from the measurements above.
    sums = {}

    def add(name, rows):
        h = hashlib.sha256()
        for r in rows:
            h.update(r)
        sums[name] = h.hexdigest()

    def be(s):
        return b"".join(struct.pack(">I", ord(ch)) for ch in s) + b"\xff"

    h2 = "".join
    add("Decompose", (be(h2(chr(c)) if c not in canon and c not in hangul else nfd(chr(c))) for c in CPS))
    add("DecomposeCompat", (be(nfkd(chr(c))) for c in CPS))
    add("ToLower", (be(low(chr(c))) for c in CPS))
    add("CCC", (bytes([ccc[c]]) for c in CPS))
    add("Script", (bytes([sc[c]]) for c in CPS))
    for i, name in enumerate(("IsWhitespace", "IsNumeric", "IsWord", "IsCombiningMark", "IsMn", "IsPunctuation",
                              "IsBertControl", "IsBertWhitespace", "IsChinese")):
        add(name, (bytes([fl[c] >> i & 1]) for c in CPS))
    # Composition: NFC of every composite's canonical pair, and of what NFC refuses.
    add("Compose", (struct.pack(">III", a, b, pairs[a, b]) for a, b in sorted(pairs)))

    with open("golden_test.go", "w") as f:
        f.write("// Code generated by gen.py with tokenizers %s. DO NOT EDIT.\n\npackage uni\n\n" % __version__)
        f.write("// golden holds, for each function, the sha256 of its answers over all code points\n// but the surrogates, as the library gave them.\n")
        f.write("var golden = map[string]string{\n")
        w = max(map(len, sums)) + 3
        for k in sorted(sums):
            f.write("\t%s %s,\n" % (('"%s":' % k).ljust(w), '"%s"' % sums[k]))
        f.write("}\n")
    print("tables.bin: %d bytes; %d flag vectors, %d scripts, %d composites" % (len(out), len(vecs), max(sc), len(pairs)))


if __name__ == "__main__":
    main()
