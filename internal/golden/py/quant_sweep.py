#!/usr/bin/env python3
"""Cosines of quantized models' outputs with Transformers' float32 ones.

    quant_sweep.py WEFT [--golden DIR | --count N --seed S --only FAMILY] [--scheme w8a8] [--below 0.995]

The models are the folders of DIR (testdata/golden), or the random ones of sweep.py and moe_sweep.py. Prints each output
whose cosine is below --below, then the least of each kind of output.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file

import common
import sweep

KINDS = dict(sweep.KINDS)
import moe_sweep

KINDS.update(moe_sweep.sweep.KINDS)


def cosines(got, ref, masks):
    out = {}
    for k, want in ref.items():
        if want.dtype.kind != "f" or k not in got:
            continue
        have = got[k].numpy()
        if k in masks:
            have, want = have[masks[k].astype(bool)], want[masks[k].astype(bool)]
        have, want = have.astype(np.float64).ravel(), want.astype(np.float64).ravel()
        keep = np.isfinite(want)
        have, want = have[keep], want[keep]
        if want.size < 2 or not want.any():
            continue
        out[k] = float(have @ want / max(1e-300, np.linalg.norm(have) * np.linalg.norm(want)))
    return out


def run(weft, model, inputs, cls, scalars, scheme, tmp):
    out = os.path.join(tmp, "out.safetensors")
    argv = [weft, "run", "--model", model, "--in", inputs, "--out", out, "--hidden-states", "--quant", scheme]
    if cls:
        argv += ["--class", cls]
    for k, v in scalars.items():
        argv += ["--set", f"{k}={json.dumps(v)}"]
    p = subprocess.run(argv, capture_output=True, text=True)
    if p.returncode:
        raise RuntimeError(f"status {p.returncode}: {(p.stderr.strip().splitlines() or [''])[-1]}")
    return load_file(out)


def goldens(a):
    for name in sorted(os.listdir(a.golden)):
        folder = os.path.join(a.golden, name)
        if not os.path.exists(os.path.join(folder, "ref.safetensors")):
            continue
        with safe_open(os.path.join(folder, "ref.safetensors"), "pt") as f:
            meta = f.metadata() or {}
            ref = {k: f.get_tensor(k).numpy() for k in f.keys()}
        masks = {k[9:]: v for k, v in ref.items() if k.startswith("__mask__.")}
        ref = {k: v for k, v in ref.items() if not k.startswith("__mask__.")}
        yield name, folder, os.path.join(folder, "in.safetensors"), meta.get("class"), json.loads(meta.get("set", "{}")), ref, masks


def randoms(a):
    for i in range(a.seed, a.seed + a.count):
        r = random.Random(i)
        kind = a.only or r.choice(list(KINDS))
        case = KINDS[kind](r, f"sweep{i}")
        case.float64 = False
        with tempfile.TemporaryDirectory() as tmp:
            model, inputs = os.path.join(tmp, "model"), os.path.join(tmp, "in.safetensors")
            try:
                common.write_checkpoint(case, model)
                ref, masks, _ = common.reference(case, model)
            except Exception:  # a configuration that Transformers cannot run
                continue
            common.save_file(common.to_torch(case.inputs), inputs)
            yield f"{i} {case.cls} {case.run_as}", model, inputs, case.run_as, case.set, ref, masks


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("weft")
    ap.add_argument("--golden", default="")
    ap.add_argument("--count", type=int, default=100)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--only", default="", choices=["", *KINDS])
    ap.add_argument("--scheme", default="w8a8")
    ap.add_argument("--below", type=float, default=0.995)
    a = ap.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    least, count, low, bad = {}, 0, 0, 0
    with tempfile.TemporaryDirectory() as tmp:
        for name, model, inputs, cls, scalars, ref, masks in goldens(a) if a.golden else randoms(a):
            try:
                got = run(a.weft, model, inputs, cls, scalars, a.scheme, tmp)
            except RuntimeError as e:
                if "unsupported" not in str(e):
                    print(f"{name}: {e}", flush=True)
                continue
            count += 1
            c = cosines(got, ref, masks)
            for k, v in c.items():
                key = ".".join(p for p in k.split(".") if not p.isdigit())
                least[key] = min(least.get(key, 1), v)
            below = {k: v for k, v in c.items() if v < a.below}
            final = {k: v for k, v in below.items() if "hidden_states" not in k and "router_logits" not in k}
            low += bool(final)
            bad += any(v < 0.99 for v in final.values())
            if below:
                print(f"{name}: " + ", ".join(f"{k} {v:.4f} {list(ref[k].shape)}" for k, v in below.items()), flush=True)
    for k, v in sorted(least.items(), key=lambda x: x[1]):
        print(f"least {v:.5f} {k}")
    print(f"{count} models, {low} with a final output below {a.below}, {bad} below 0.99")


if __name__ == "__main__":
    sys.exit(main())
