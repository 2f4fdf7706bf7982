"""Makes what the demo carries (../../demo/samples) and the golden outputs of the parity test (../../demo/testdata).

    python samples.py --fsdd DIR --prompts DIR [--golden-only]

The samples are held-out compositions and voices, as the split's, and none of the split's files.
"""
import argparse
import os
import random

import soundfile
import torch
from safetensors.torch import save_file

import draw
import eval as judge
import speech
import split
import world

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES = os.path.join(HERE, "../../demo/samples")
GOLDEN = os.path.join(HERE, "../../demo/testdata/golden.safetensors")
MEANINGS = {
    "purple-star": ("one", "large", "purple", "star"),
    "yellow-triangles": ("many", 3, "yellow", "triangle"),
    "red-heart-inside-white-circle": ("pair", "red", "heart", "inside", "white", "circle"),
    "blue-cross-above-green-square": ("pair", "blue", "cross", "above", "green", "square"),
    "black-star-left-of-orange-heart": ("pair", "black", "star", "left of", "orange", "heart"),
    "seven": ("digit", 7),
    "login": ("form", "light", "login form", "red"),
    "settings": ("list", "dark", "settings page", 3),
}
SPOKEN = ("purple-star", "red-heart-inside-white-circle", "blue-cross-above-green-square", "login")


def flac(name, x):
    soundfile.write(os.path.join(SAMPLES, name + ".flac"), x * (0.5 / abs(x).max()), speech.RATE, subtype="PCM_16")


def make(args):
    rng = random.Random(11)
    os.makedirs(SAMPLES, exist_ok=True)
    for name, m in MEANINGS.items():
        draw.draw(m, rng, held=True).save(os.path.join(SAMPLES, name + ".png"), optimize=True)
        if name in SPOKEN:
            flac(name, split.say(m, rng))
    flac("seven", speech.read(os.path.join(args.fsdd, "recordings/7_theo_0.wav")).astype("float32") / 32768)
    flac("tomorrow", speech.read(os.path.join(args.prompts, "digits/tomorrow.wav")).astype("float32") / 32768)
    with open(os.path.join(SAMPLES, "sentences.txt"), "w") as f:
        for m in MEANINGS.values():
            f.write(world.caption(m) + "\n")
        f.write("tomorrow\n")


@torch.no_grad()
def golden(path):
    """Embeddings before normalisation, each of its preprocessed input, and greedy caption ids (the end included)."""
    j = judge.Judge(path)
    out = {}
    for file in sorted(os.listdir(SAMPLES)):
        name, full = file.rsplit(".", 1)[0], os.path.join(SAMPLES, file)
        if file.endswith(".png"):
            key, x = f"image.{name}", j.pixels(full)[None]
            e = j.model.embed_image(x)
            out[key + ".pixel_values"] = x.contiguous()
        elif file.endswith(".flac"):
            key, x = f"speech.{name}", j.samples(full)[None]
            e = j.model.embed_speech(x, torch.ones(x.shape, dtype=torch.long))
            out[key + ".input_values"] = x.contiguous()
        else:
            for i, s in enumerate(open(full).read().splitlines()):
                ids = torch.tensor([j.tok.encode(s).ids])
                out[f"text.{i}.input_ids"] = ids
                out[f"text.{i}.embedding"] = j.model.embed_text(ids, torch.ones_like(ids))[0].contiguous()
            continue
        out[key + ".embedding"] = e[0].contiguous()
        out[key + ".caption"] = torch.tensor(j.model.describe(e)[0])
    # Inputs are made again from the files by whoever tests; only their first values are kept, to tell a
    # preprocessing that differs from a model that does.
    out = {k: (v.flatten()[:256].clone() if k.endswith("_values") else v) for k, v in out.items()}
    os.makedirs(os.path.dirname(GOLDEN), exist_ok=True)
    save_file(out, GOLDEN)


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--fsdd")
    ap.add_argument("--prompts")
    ap.add_argument("--model", default=os.path.join(HERE, "../../demo/model"))
    ap.add_argument("--golden-only", action="store_true")
    args = ap.parse_args()
    if not args.golden_only:
        make(args)
    golden(args.model)
