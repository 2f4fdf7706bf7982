#!/usr/bin/env python3
"""Generates props.bin: Oniguruma's character properties and case folding.

Both are measured on the copy of Oniguruma inside the tokenizers library, which
is asked about every code point: \\p{name} for each name of properties.txt (the
names that Oniguruma 6.9.10 knows, its Age= and Grapheme_Cluster_Break= excepted),
and (?i) for every cased character.

    python gen.py            (run in this folder; some minutes)

Last run with tokenizers 0.23.3 (Oniguruma 6.9.10, Unicode 16.0), Python 3.11.
"""
import re
from tokenizers import Regex
from tokenizers import normalizers as N
from tokenizers import pre_tokenizers as P

MAX = 0x110000


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


# The planes that hold characters are asked about in full; of the others, which
# are private or empty throughout, every 256th code point and each plane's ends.
CPS = [c for c in range(0x34000) if not 0xD800 <= c < 0xE000]
CPS += range(0xE0000, 0xE1000)
CPS += [c for c in range(0x34000, MAX) if not 0xE0000 <= c < 0xE1000 and (c & 255 in (0, 255) or c & 0xFFFF >= 0xFF00)]
CPS.sort()
TEXT = "".join(map(chr, CPS))


def ranges(pattern):
    """The code points that pattern matches, as [first, last] pairs."""
    out = []
    pre = P.Split(Regex("(?:%s)+" % pattern), "removed", invert=True)
    for _, (a, b) in pre.pre_tokenize_str(TEXT):
        for i in range(a, b):
            c = CPS[i]
            # A gap between two code points asked about belongs to both or none.
            if out and i > a and (out[-1][1] == c - 1 or c > 0x34000 or out[-1][1] == 0xD7FF):
                out[-1][1] = c
            else:
                out.append([c, c])
    return tuple(map(tuple, out))


def folds():
    """Full case folding: code point to string, where they differ."""
    cased = set()
    for name in ("changeswhencasefolded", "changeswhencasemapped", "cased"):
        for a, b in ranges(r"\p{%s}" % name):
            cased.update(range(a, b + 1))
    low = N.Lowercase().normalize_str
    # Python's foldings, and for characters younger than Python's tables the lower case.
    targets = {chr(c).casefold() for c in cased if chr(c).casefold() != chr(c)}
    f = {}
    for c in cased:
        s = chr(c).casefold()
        if s == chr(c) and s not in targets:
            s = low(s)
        f[c] = s
    chars = sorted(cased)
    text = "\n".join(map(chr, chars))  # apart, so that no "st" stands in it
    out = {}
    for c in chars:
        hits = {s for s, _ in P.Split(Regex("(?i:\\x{%x})" % c), "removed", invert=True).pre_tokenize_str(text)}
        same = [d for d in chars if chr(d) in hits]
        assert c in same and all(len(h) == 1 for h in hits), hex(c)
        # The representative: the one of the orbit that the folding names.
        want = {f[d] for d in same}
        reps = {s for s in want if len(s) > 1 or ord(s) in same}
        multi = [s for s in reps if len(s) > 1]
        if len(same) == 1 and not multi:
            continue
        s = multi[0] if multi else min(reps, key=lambda s: (s != f[c], s))
        if len(multi) and not P.Split(Regex("(?i:^\\x{%x}$)" % c), "removed", invert=True).pre_tokenize_str(multi[0]):
            raise SystemExit("%x does not match its folding" % c)
        if s != chr(c):
            out[c] = s
    # Two characters must match one another exactly where their foldings agree.
    by = {}
    for c in chars:
        by.setdefault(out.get(c, chr(c)), set()).add(c)
    for s, group in by.items():
        for c in group:
            hits = {ord(h) for h, _ in P.Split(Regex("(?i:\\x{%x})" % c), "removed", invert=True).pre_tokenize_str(text)}
            if hits != group:
                raise SystemExit("%x matches %s, not %s" % (c, hits, group))
    return out


def main():
    names = open("properties.txt").read().split()
    sets, ids = {}, []
    for n in names:
        r = ranges(r"\p{%s}" % n)
        ids.append(sets.setdefault(r, len(sets)))
    out = bytearray(varint(len(sets)))
    for r in sets:
        out += varint(len(r))
        last = 0
        for a, b in r:
            out += varint(a - last) + varint(b - a)
            last = b
    out += varint(len(names))
    for n, i in zip(names, ids):
        out += varint(len(n)) + n.encode() + varint(i)
    f = folds()
    out += varint(len(f))
    last = 0
    for c in sorted(f):
        out += varint(c - last) + varint(len(f[c])) + b"".join(varint(ord(x)) for x in f[c])
        last = c
    open("props.bin", "wb").write(out)
    print("props.bin: %d bytes; %d names of %d sets, %d ranges, %d foldings" % (
        len(out), len(names), len(sets), sum(map(len, sets)), len(f)))


if __name__ == "__main__":
    main()
