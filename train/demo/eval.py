"""Judges the shipped model on the committed split, from the files alone, with Transformers.

    python eval.py [--model ../../demo/model] [--split eval] [--json FILE]

Prints each figure beside that of a random ranking. `weft eval` prints the same.
"""
import argparse
import json
import os

import numpy as np
import soundfile
import torch
import torch.nn.functional as F
from PIL import Image
from torchaudio.functional import resample
from transformers import Wav2Vec2FeatureExtractor

import model as M

HERE = os.path.dirname(os.path.abspath(__file__))


class Judge:
    """The shipped model and what turns files into its inputs."""

    def __init__(self, path):
        self.model, self.tok = M.load(path)
        with open(os.path.join(path, "image", "preprocessor_config.json")) as f:
            self.pictures = json.load(f)
        self.sounds = Wav2Vec2FeatureExtractor.from_pretrained(os.path.join(path, "speech"))

    def pixels(self, path):
        """ViTImageProcessor with Pillow's resize."""
        c = self.pictures
        im = Image.open(path).convert("RGB").resize((c["size"]["width"], c["size"]["height"]), c["resample"])
        x = np.asarray(im, np.float32) * np.float32(c["rescale_factor"])
        x = (x - np.array(c["image_mean"], np.float32)) / np.array(c["image_std"], np.float32)
        return torch.from_numpy(x.transpose(2, 0, 1).copy())

    def samples(self, path):
        x, rate = soundfile.read(path, dtype="float32", always_2d=True)
        x = resample(torch.from_numpy(x.mean(1)), rate, M.RATE).numpy()
        return torch.from_numpy(self.sounds(x, sampling_rate=M.RATE).input_values[0])

    @torch.no_grad()
    def texts(self, sentences):
        out = []
        for s in sentences:
            ids = torch.tensor([self.tok.encode(s).ids])
            out.append(self.model.embed_text(ids, torch.ones_like(ids))[0])
        return torch.stack(out)

    @torch.no_grad()
    def images(self, paths):
        return torch.cat([self.model.embed_image(self.pixels(p)[None]) for p in paths])

    @torch.no_grad()
    def voices(self, paths):
        out = []
        for p in paths:
            x = self.samples(p)[None]
            out.append(self.model.embed_speech(x, torch.ones(x.shape, dtype=torch.long))[0])
        return torch.stack(out)

    def say(self, shared):
        return [self.tok.decode(r) for r in self.model.describe(shared)]


def cosine(a, b):
    return F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T


def recall(a, b, k):
    """The share of rows of a whose own row of b is among the k nearest."""
    near = cosine(a, b).topk(k, dim=1).indices
    return (near == torch.arange(len(a))[:, None]).any(1).float().mean().item()


def evaluate(path, split):
    judge = Judge(path)
    with open(os.path.join(split, "manifest.json")) as f:
        manifest = json.load(f)
    items = manifest["items"]

    def file(i, key):
        return os.path.join(split, i[key])

    out, wrong = {}, []
    r = [i for i in items if i["set"] == "retrieval"]
    shared = {"text": judge.texts([i["text"] for i in r]), "image": judge.images([file(i, "image") for i in r]),
              "speech": judge.voices([file(i, "speech") for i in r]),
              "paraphrase": judge.texts([i["paraphrases"][0] for i in r])}
    for a, b in (("text", "image"), ("image", "text"), ("speech", "image"), ("image", "speech"), ("speech", "text"),
                 ("text", "speech"), ("paraphrase", "image"), ("paraphrase", "text")):
        for k in (1, 5):
            out[f"{a}->{b} R@{k}"] = recall(shared[a], shared[b], k), k / len(r)
    c = [i for i in items if i["set"] == "caption"]
    said = judge.say(judge.images([file(i, "image") for i in c]))
    hits = [s == i["caption"] for s, i in zip(said, c)]
    wrong += [("picture", i["caption"], s) for s, i, h in zip(said, c, hits) if not h]
    out["caption exact (pictures)"] = sum(hits) / len(c), 1 / len({i["caption"] for i in c})
    said = judge.say(shared["speech"])
    hits = [s == i["text"] for s, i in zip(said, r)]
    wrong += [("voice", i["text"], s) for s, i, h in zip(said, r, hits) if not h]
    out["caption exact (voices)"] = sum(hits) / len(r), 1 / len(r)
    for name in ("digits", "commands"):
        d = [i for i in items if i["set"] == name]
        labels = manifest["labels"][name]
        e = judge.voices([file(i, "speech") for i in d])
        best = cosine(e, judge.texts(labels)).argmax(1).tolist()
        groups = {"": d, **({f" {s}": [i for i in d if i["source"] == s] for s in sorted({i["source"] for i in d})}
                            if len({i["source"] for i in d}) > 1 else {})}
        guess = {i["id"]: labels[k] for i, k in zip(d, best)}
        for tag, group in groups.items():
            out[f"{name}{tag}"] = sum(guess[i["id"]] == i["label"] for i in group) / len(group), 1 / len(labels)
        wrong += [(name, i["label"], guess[i["id"]]) for i in d if guess[i["id"]] != i["label"]]
    return out, wrong


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--model", default=os.path.join(HERE, "../../demo/model"))
    ap.add_argument("--split", default=os.path.join(HERE, "eval"))
    ap.add_argument("--json")
    ap.add_argument("--wrong", action="store_true", help="list what went wrong")
    args = ap.parse_args()
    figures, wrong = evaluate(args.model, args.split)
    for name, (value, chance) in figures.items():
        print(f"{name:28} {value:6.3f}   random {chance:.3f}")
    if args.wrong:
        for row in wrong:
            print(*row, sep=" | ")
    if args.json:
        with open(args.json, "w") as f:
            json.dump({k: {"value": round(v, 4), "random": round(c, 4)} for k, (v, c) in figures.items()}, f, indent=1)
            f.write("\n")
