#!/usr/bin/env python3
"""Compares the regular expression engine with the Oniguruma inside the Python
tokenizers library, on generated patterns and texts.

    go build -o /tmp/tokens ./text/internal/tokens
    python text/internal/onig/testdata/diff.py /tmp/tokens [--patterns N] [--seed S] [--golden matches.json]

Known difference: Oniguruma takes a pattern that begins with a look-around and
then .* or .{n,} under (?m) as matching at the text's start only. Last run with
tokenizers 0.23.3.
"""
import argparse
import json
import random
import subprocess
import sys
import tempfile
from tokenizers import Tokenizer

ATOMS = ["a", "b", "ab", "ß", "ss", "É", "é", r"\w", r"\W", r"\d", r"\s", r"\S", r"\h", ".", r"\p{L}", r"\p{N}", r"\P{L}", r"\p{Lu}", r"\p{Han}", r"\p{^L}",
         "[abc]", "[^a]", "[a-z]", r"[^\s\p{L}]", r"[\w&&[^a]]", "[[:alpha:]]", "[[:^punct:]]", r"[a\-z]", "[]a]", r"\R", r"\n", r"\x41", r"\x{4e2d}", r"\u00e9", "中",
         "ſ", "K", "İ", r"\N", r"\O", "[À-ÿ]", r"\.", "-", " ", "1", "'"]
ANCHORS = ["^", "$", r"\b", r"\B", r"\A", r"\z", r"\Z", r"\G", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?<=ab|c)", r"(?=\s)", r"(?!\S)", r"(?<!\w)"]
QUANTIFIERS = ["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{,2}", "{2,}", "*+", "++", "?+", "{0,1}?"]
CHARS = list("aabbcABC  \n\t12.'-éÉßſKİ中文ss") + ["\r\n", "\u00a0", "e\u0301", "²", "ﬁ"]


def pattern(rng, depth=0):
    k = rng.random()
    if depth > 3 or k < 0.45:
        s = rng.choice(ATOMS)
        return s + (rng.choice(QUANTIFIERS) if rng.random() < 0.4 and (len(s) == 1 or s[0] in "\\[.") else "")
    if k < 0.55:
        return rng.choice(ANCHORS)
    if k < 0.7:
        return pattern(rng, depth + 1) + pattern(rng, depth + 1)
    if k < 0.82:
        return "(?:" + pattern(rng, depth + 1) + "|" + pattern(rng, depth + 1) + ")" + (rng.choice(QUANTIFIERS) if rng.random() < 0.5 else "")
    if k < 0.9:
        return rng.choice(["(?i:", "(?>", "(", "(?m:", "(?x:", "(?=", "(?!", "(?i-m:"]) + pattern(rng, depth + 1) + ")"
    return pattern(rng, depth + 1) + "|" + pattern(rng, depth + 1)


def config(p, behavior):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "post_processor": None, "decoder": None,
            "pre_tokenizer": {"type": "Split", "pattern": {"Regex": p}, "behavior": behavior, "invert": True}, "model": {"type": "WordLevel", "vocab": {"u": 0}, "unk_token": "u"}}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("tool")
    ap.add_argument("--patterns", type=int, default=1000)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--golden")
    args = ap.parse_args()
    rng = random.Random(args.seed)
    total = bad = refused = ours = 0
    golden = []
    for _ in range(args.patterns):
        p = pattern(rng)
        texts = ["".join(rng.choice(CHARS) for _ in range(rng.randrange(1, 25))) for _ in range(12)]
        # Isolated tells the pieces, Removed (inverted: what does not match goes) the matches.
        try:
            both = [Tokenizer.from_str(json.dumps(config(p, b))) for b in ("Isolated", "Removed")]
        except Exception:
            both = None
        got = []
        for b in ("Isolated", "Removed"):
            with tempfile.TemporaryDirectory() as d:
                with open(d + "/tokenizer.json", "w") as f:
                    json.dump(config(p, b), f)
                run = subprocess.run([args.tool], input="\n".join(json.dumps(x) for x in [{"open": d}] + [{"text": s} for s in texts]) + "\n", capture_output=True, text=True)
                got.append([json.loads(line) for line in run.stdout.split("\n") if line])
                if run.stderr:
                    print("tool:", p, run.stderr[:300])
        if both is None:
            refused += 1
            golden.append({"pattern": p, "refused": True})
            if not isinstance(got[0][0], dict):
                print("only we accept", repr(p))
            continue
        if isinstance(got[0][0], dict):
            ours += 1
            print("only we refuse", repr(p), got[0][0]["error"][-150:])
            continue
        row, same = {}, True
        for i, s in enumerate(texts):
            for t, g in zip(both, got):
                total += 1
                want = [list(o) for o in t.encode(s).offsets]
                if (g[i + 1].get("offsets") or []) != want:
                    same = False
                    print("DIFF", repr(p), repr(s), g[i + 1].get("offsets"), want)
            if i < 2 and "\\G" not in p:
                row[s] = [[len(s[:a].encode()), len(s[:b].encode())] for a, b in [m for m in want if m[0] != m[1]]]
        if same and not matches_empty(both[0], texts[:2]):
            golden.append({"pattern": p, "matches": row})
        bad += not same
    print("%d comparisons, %d patterns differ; %d refused by the library, %d by us alone" % (total, bad, refused, ours))
    if args.golden:
        with open(args.golden, "w") as f:
            f.write("[\n" + ",\n".join(json.dumps(g, ensure_ascii=False) for g in golden) + "\n]\n")
    sys.exit(bad != 0)


def matches_empty(t, texts):
    """Whether the pattern may match nothing: such matches leave no piece to see."""
    p = json.loads(t.to_str())["pre_tokenizer"]["pattern"]["Regex"]
    u = Tokenizer.from_str(json.dumps(config("\\A(?:%s)\\z|(?!)" % p, "Removed")))
    n = json.loads(u.to_str())
    n["normalizer"] = {"type": "Replace", "pattern": {"Regex": p}, "content": "\ue123"}
    v = Tokenizer.from_str(json.dumps(n))
    return any(v.normalizer.normalize_str(s).count("\ue123") != len(t2) for s in texts for t2 in [Tokenizer.from_str(json.dumps(config(p, "Removed"))).encode(s).offsets])


if __name__ == "__main__":
    main()
