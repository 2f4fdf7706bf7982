#!/usr/bin/env python3
"""Write a small sample of what diff.py compares, with the verdicts of Pillow and
Transformers, for the Go tests: golden.json.gz here, and the pictures beside
package pil. Needs what diff.py needs.
"""
import base64, gzip, hashlib, json, os, re
import numpy as np
from PIL import Image
import pictures
from processors import configs, hf_pixels, hf_processor
from visdiff import TMP, load, write

HERE = os.path.dirname(os.path.abspath(__file__))


def digest(a):
    return hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()[:16]


def decode_sample():
    """One file of every kind: the smallest of more than 60 pixels, or of 1 pixel where there is no other."""
    kinds = {}

    def offer(name, data):
        size = re.search(r"(\d+)x(\d+)", name)
        n = int(size[1]) * int(size[2]) if size else 0
        kind = re.sub(r"\d+x\d+ ?", "", name)
        rank = (0 < n < 60, len(data))
        if kind not in kinds or rank < kinds[kind][0]:
            kinds[kind] = rank, name, data
    for name, data in pictures.decode_cases():
        offer(name, data)
    for name, data in pictures.jpeg_variants():
        if re.search(r"q(30|95)|L|CMYK|rgb", name):
            offer("jpeg " + name, data)
    for name, data in pictures.jpeg_made():
        offer("jpeg made " + name, data)
    for name, data in pictures.tiff_made():
        if re.search(r"x\d+( tiles| comp5 pred| comp8| comp32773| planar comp8)?$", name):
            offer(name, data)
    out, seen = [], set()
    for i, (_, name, data) in enumerate(kinds.values()):
        try:
            a = np.array(load(write("case.bin", data)))
        except Exception:
            continue
        # Many kinds are nearly alike: a part of them is enough.
        if re.match("bmp (masks|rle)|tiff made", name) and i % 8 or re.match("jpeg made|tiff ", name) and i % 3:
            continue
        key = digest(np.frombuffer(data, np.uint8))
        if key in seen or len(data) > 1200:
            continue
        seen.add(key)
        out.append(dict(name=name, file=base64.b64encode(data).decode(), w=a.shape[1], h=a.shape[0], sum=digest(a)))
    return out


def noise(w, h):
    """The same picture as noise in golden_test.go."""
    n = 3 * w * h
    x = np.empty(n, np.uint32)
    v = 1
    for i in range(n):
        v = (v * 1664525 + 1013904223) & 0xFFFFFFFF
        x[i] = v
    return Image.fromarray((x >> 24).astype(np.uint8).reshape(h, w, 3))


SIZES = [(37, 53), (120, 81), (64, 64), (1, 40), (300, 7)]


def resize_sample():
    r, out = np.random.default_rng(3), []
    for w, h in SIZES:
        im = noise(w, h)
        for f in range(8):
            for tw, th in [r.integers(1, 140, 2), (w, int(r.integers(1, 90))), (int(r.integers(1, 90)), h), (1, 1), (2 * w + 1, 3 * h)]:
                tw, th = int(tw), int(th)
                out.append(dict(from_=[w, h], to=[tw, th], filter=f, sum=digest(np.array(im.resize((tw, th), f)))))
    return out


def process_sample():
    out = []
    for i, (cfg, model) in enumerate(configs()):
        if i % 7:
            continue
        w, h = SIZES[i // 7 % 5]
        if "Perceiver" in str(cfg) and min(w, h) < 30:
            continue  # crops thin pictures to nothing, which is refused here
        case = dict(config=cfg, model=model, size=[w, h])
        try:
            a = hf_pixels(hf_processor(TMP, cfg, model), noise(w, h))
            if a.size > 300_000:
                continue  # for the sake of the tests' time
            case.update(shape=list(a.shape), integer=a.dtype.kind in "iub", sum=digest(a.astype(np.float32)))
        except Exception:
            pass  # refused
        out.append(case)
    return out


def save(path, golden):
    path = os.path.join(HERE, path)
    with open(path, "wb") as f, gzip.GzipFile("", "wb", 9, f, mtime=0) as z:
        z.write(json.dumps(golden, separators=(",", ":")).replace('"from_"', '"from"').encode())
    n = len(golden) if isinstance(golden, list) else {k: len(v) for k, v in golden.items()}
    print(os.path.relpath(path, HERE), n, "cases,", os.path.getsize(path), "bytes")


if __name__ == "__main__":
    save("golden.json.gz", dict(resize=resize_sample(), process=process_sample()))
    save("../internal/pil/testdata/pictures.json.gz", decode_sample())
