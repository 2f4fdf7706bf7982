#!/usr/bin/env python3
"""What quantization does to sentence embeddings, beside float32 ones of the same engine.

    quant_sentences.py WEFT MODEL [--scheme w8a8] [--count 1000] [--sentences FILE]

WEFT is the binary, MODEL a sentence-transformers directory. The sentences are those of Python's own documentation
strings, or the lines of FILE. Prints the mean and the least cosine of a sentence's two embeddings and Spearman's
correlation of the similarities of all pairs. Needs numpy.
"""
import argparse, importlib, inspect, json, os, pkgutil, re, subprocess, sys, tempfile

import numpy as np


def sentences(count):
    """Sentences of the standard library's documentation strings, in a fixed order."""
    seen, out = set(), []
    for name in sorted(m.name for m in pkgutil.iter_modules() if m.name in sys.stdlib_module_names):
        if name.startswith("_") or name in ("antigravity", "this", "idlelib", "turtledemo", "test"):
            continue
        try:
            module = importlib.import_module(name)
        except Exception:
            continue
        things = [module] + [v for _, v in sorted(vars(module).items(), key=lambda kv: kv[0])
                             if inspect.isclass(v) or inspect.isroutine(v)]
        for thing in things:
            for s in re.split(r"(?<=[.!?])\s+", " ".join((inspect.getdoc(thing) or "").split())):
                if 20 <= len(s) <= 400 and s not in seen:
                    seen.add(s)
                    out.append(s)
    step = max(1, len(out) // count)
    return out[::step][:count]


def embed(weft, model, lines, extra):
    with tempfile.TemporaryDirectory() as tmp:
        src, dst = os.path.join(tmp, "in.jsonl"), os.path.join(tmp, "out.safetensors")
        with open(src, "w") as f:
            f.writelines(json.dumps(s) + "\n" for s in lines)
        subprocess.run([weft, "embed", "--model", model, "--text-file", src, "--out", dst, *extra], check=True)
        b = open(dst, "rb").read()
    n = int.from_bytes(b[:8], "little")
    t = json.loads(b[8:8 + n])["embeddings"]
    lo, hi = t["data_offsets"]
    x = np.frombuffer(b[8 + n + lo:8 + n + hi], "<f4").reshape(t["shape"]).astype(np.float64)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def ranks(x):
    r = np.empty(len(x))
    r[np.argsort(x, kind="stable")] = np.arange(len(x))
    return r


def main():
    p = argparse.ArgumentParser()
    p.add_argument("weft")
    p.add_argument("model")
    p.add_argument("--scheme", default="w8a8")
    p.add_argument("--quantized", help="a quantized copy of MODEL, instead of quantizing on load")
    p.add_argument("--count", type=int, default=1000)
    p.add_argument("--sentences")
    a = p.parse_args()
    lines = open(a.sentences).read().split("\n")[:a.count] if a.sentences else sentences(a.count)
    want = embed(a.weft, a.model, lines, [])
    got = embed(a.weft, a.quantized or a.model, lines, [] if a.quantized else ["--quant", a.scheme])
    cos = (want * got).sum(1)
    upper = np.triu_indices(len(lines), 1)
    u, v = ranks((want @ want.T)[upper]), ranks((got @ got.T)[upper])
    print(json.dumps({"sentences": len(lines), "scheme": "stored" if a.quantized else a.scheme, "mean_cosine": round(cos.mean(), 6), "worst_cosine": round(cos.min(), 6),
                      "spearman": round(float(np.corrcoef(u, v)[0, 1]), 6)}))


main()
