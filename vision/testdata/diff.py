#!/usr/bin/env python3
"""Compare package vision with Pillow and Transformers: diff.py [SECTION]…

Needs Go, numpy, Pillow 13.0, and for the section "process" Transformers 5.23.
Sections: decode jpeg tiff resize process broken (default: all). Prints one line a
section and every difference; exits 1 if there is one.
"""
import collections, itertools, json, os, random, sys
import numpy as np
from PIL import Image
from pictures import decode_cases, jpeg_made, jpeg_variants, photo, png, rng, saved, tiff_made
from processors import configs, hf_pixels, hf_processor
from visdiff import TMP, ask, load, write

failures = 0
skipped = collections.Counter()


def fail(what):
    global failures
    failures += 1
    print("DIFF", what)


def compare_decode(name, data, tol=0, refusable=()):
    path = write("case.bin", data)
    try:
        want = np.array(load(path))
        werr = None
    except Exception as e:
        want, werr = None, e
    got, a = ask("decode", path)
    if want is None and got is None:
        return
    if want is None:
        if name.startswith("tiff made"):
            skipped["read, which Pillow refuses"] += 1
            return
        fail(f"{name}: Pillow refuses ({werr!r}), we read {got.shape}")
    elif got is None:
        if a.get("unsupported") and any(r in name for r in refusable):
            skipped[a["error"].split("unsupported: ")[-1][:60]] += 1
            return
        fail(f"{name}: {a['error']}; Pillow reads {want.shape}")
    elif got.shape != want.shape:
        fail(f"{name}: shape {got.shape}, want {want.shape}")
    else:
        d = np.abs(got.astype(int) - want)
        if d.max() > tol:
            fail(f"{name}: max {d.max()} at {np.unravel_index(d.argmax(), d.shape)}, mean {d.mean():.4f}, differing {np.mean(d > 0):.3f}")
        return d.max(), d.mean()


def section_decode():
    n = 0
    only = os.environ.get("ONLY", "")
    for name, data in decode_cases():
        if only and only not in name:
            continue
        compare_decode(name, data, refusable=("lzma", "zstd", "tiff_ccitt", "tiff_raw_16"))
        n += 1
    print(f"decode: {n} files; refused by name, which Pillow reads:", dict(skipped))


def section_jpeg():
    n, worst, means = 0, 0, 0.0
    for name, data in itertools.chain(jpeg_variants(), (("made " + n, b) for n, b in jpeg_made())):
        r = compare_decode("jpeg " + name, data, refusable=("(3, 1)", "(1, 3)", "(3, 2)"))
        n += 1
        if r:
            worst, means = max(worst, r[0]), max(means, r[1])
    print(f"jpeg: {n} files, max difference {worst}, largest mean {means:.5f}")


def section_tiff():
    n = 0
    only = os.environ.get("ONLY", "")
    for name, data in tiff_made():
        if only in name:
            compare_decode(name, data, refusable=("",))
            n += 1
    print(f"tiff: {n} made files; refused by name, which Pillow reads:", dict(skipped))


def section_resize():
    n = 0
    for i in range(240):
        w, h = (random.randrange(1, 90), random.randrange(1, 90)) if i % 8 else (random.randrange(1, 600), random.randrange(1, 4))
        im = Image.fromarray(rng.integers(0, 256, (h, w, 3)).astype(np.uint8)) if i % 2 else photo(w, h)
        path = write("r.png", saved(im, "PNG"))
        for f in range(8):
            tw, th = random.randrange(1, 140), random.randrange(1, 140)
            if i % 10 == 3:
                tw = w
            if i % 10 == 4:
                th = h
            got, a = ask("resize", path, w=tw, h=th, filter=f)
            want = np.array(im.resize((tw, th), f))
            n += 1
            if got is None or not np.array_equal(got, want):
                fail(f"resize {w}x{h} -> {tw}x{th} filter {f}: {a if got is None else np.abs(got.astype(int) - want).max()}")
    print(f"resize: {n} resizes")


def section_process():
    pics = [write(f"p{i}.png", saved(im, "PNG")) for i, im in enumerate(
        [photo(37, 53), photo(120, 81), photo(64, 64), photo(1, 40), photo(300, 7)])]
    n = agree = refused = 0
    worst = 0.0
    only = os.environ.get("ONLY", "")
    for i, (cfg, model) in enumerate(configs()):
        if only not in json.dumps(cfg):
            continue
        try:
            p, perr = hf_processor(TMP, cfg, model), None
        except Exception as e:
            p, perr = None, e
        for path in (pics[i % 3], pics[3 + i % 2]):
            n += 1
            want = None
            try:
                if p is None:
                    raise perr
                want = hf_pixels(p, load(path))
                werr = None
            except Exception as e:
                werr = e
            got, a = ask("process", path, config=cfg, model=model or None)
            what = f"process {cfg} {model} {Image.open(path).size}"
            if want is None and got is None:
                refused += 1
                continue
            if got is None and "is empty" in a["error"]:  # Perceiver crops thin pictures to nothing, and Pillow makes black of it
                refused += 1
                continue
            if want is None or got is None:
                fail(f"{what}: {'HF refuses: ' + repr(werr)[:150] if want is None else a}")
                continue
            if got.shape != want.shape:
                fail(f"{what}: shape {got.shape} want {want.shape}")
                continue
            if a.get("integer", False) != (want.dtype.kind in "iub"):
                fail(f"{what}: integer {a} want {want.dtype}")
            e = float(np.abs(got.astype(np.float64) - want).max())
            worst = max(worst, e)
            agree += 1
            if e > 1e-6:
                fail(f"{what}: max {e}")
    print(f"process: {n} runs, {agree} compared, {refused} refused by both, max difference {worst:.3g}")


def section_broken():
    """Truncated and damaged files: never more than Pillow reads, and the same pixels where both read."""
    R = random.Random(5)
    im = photo(61, 43)
    files = {
        "png": saved(im, "PNG"), "png p": saved(im.quantize(9), "PNG"), "png i": png(30, 20, 8, 2, 1, seed=3),
        "jpeg": saved(im, "JPEG"), "jpeg prog": saved(im, "JPEG", progressive=True), "jpeg rst": saved(im, "JPEG", restart_marker_blocks=2),
        "gif": saved(im, "GIF"), "bmp": saved(im, "BMP"), "bmp p": saved(im.quantize(30), "BMP"),
        "webp": saved(im, "WEBP"), "webp ll": saved(im, "WEBP", lossless=True), "tiff": saved(im, "TIFF"),
        "tiff lzw": saved(im, "TIFF", compression="tiff_lzw"), "tiff deflate": saved(im, "TIFF", compression="tiff_adobe_deflate"),
        "tiff jpeg": saved(im, "TIFF", compression="jpeg"), "tiff packbits": saved(im, "TIFF", compression="packbits"),
    }
    tally = {}
    for name, b in files.items():
        for i in range(60):
            if i < 30:
                c = b[:R.randrange(len(b)) if i < 20 else len(b) - 1 - (i - 20)]
                kind = "cut"
            else:
                c = bytearray(b)
                for _ in range(R.choice([1, 1, 3])):
                    c[R.randrange(len(c))] = R.randrange(256)
                kind = "damaged"
            path = write("broken.bin", bytes(c))
            try:
                want = np.array(load(path))
            except Exception:
                want = None
            got, a = ask("decode", path)
            if got is None or want is None:
                r = "both refuse" if got is None and want is None else "only weft refuses" if got is None else "only Pillow refuses"
            else:
                r = "same" if got.shape == want.shape and np.array_equal(got, want) else "other pixels"
            tally.setdefault((name, kind), {}).setdefault(r, []).append(len(c) if kind == "cut" else i)
            if "malformed file (" in a.get("error", ""):
                fail(f"broken {name} {i}: {a['error']}")
    for (name, kind), t in tally.items():
        print(f"broken {name} {kind}:", {k: len(v) for k, v in t.items()}, {k: v[:4] for k, v in t.items() if k.startswith("only P") or k == "other pixels"})


if __name__ == "__main__":
    for s in sys.argv[1:] or ["decode", "jpeg", "tiff", "resize", "process", "broken"]:
        globals()["section_" + s]()
    print("differences:", failures)
    sys.exit(failures > 0)
