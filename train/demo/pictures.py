"""The training pictures, drawn once and kept, and the small shifts and lights they are seen with."""
import os
import random
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from PIL import Image

import draw
import model
import world

SHARE = {"pair": 0.58, "one": 0.10, "many": 0.12, "digit": 0.08, "form": 0.07, "list": 0.05}


def _part(args):
    seed, n = args
    rng = random.Random(seed)
    out = np.empty((n, model.IMAGE, model.IMAGE, 3), np.uint8)
    labels = np.empty((n, model.IMAGE, model.IMAGE), np.uint8)
    meanings = []
    for i in range(n):
        m = world.sample(rng, SHARE)
        mask = Image.new("L", (draw.SIDE, draw.SIDE), 0)
        out[i] = draw.small(draw.draw(m, rng, labels=mask), model.IMAGE)
        labels[i] = np.asarray(mask)[1::2, 1::2] if m[0] in ("one", "many", "pair") else 255
        meanings.append(m)
    return out, labels, meanings


class Pool:
    """n pictures, the things in them (255: not said) and what they mean."""

    def __init__(self, path, seed, n=40000, workers=2):
        if not os.path.exists(path):
            parts = [(seed * 100003 + i, 1000) for i in range(n // 1000)]
            with ProcessPoolExecutor(workers) as ex:
                done = list(ex.map(_part, parts))
            np.savez(path, pixels=np.concatenate([d[0] for d in done]), labels=np.concatenate([d[1] for d in done]),
                     meanings=np.array([m for d in done for m in d[2]], dtype=object))
        z = np.load(path, allow_pickle=True)
        self.pixels, self.labels = z["pixels"], z["labels"]
        self.meanings = [tuple(m) for m in z["meanings"]]

    def batch(self, index, g):
        """Pixels as the image tower takes them, and the label of each 8 x 8 patch's middle, of shifted pictures."""
        n, side = len(index), model.IMAGE
        x = np.empty((n, side, side, 3), np.float32)
        y = np.empty((n, side // 8, side // 8), np.int64)
        shift = g.integers(-4, 5, (n, 2))
        for i, k in enumerate(index):
            rows = np.clip(np.arange(side) + shift[i, 0], 0, side - 1)
            cols = np.clip(np.arange(side) + shift[i, 1], 0, side - 1)
            x[i] = self.pixels[k][rows][:, cols]
            y[i] = self.labels[k][rows[4::8]][:, cols[4::8]]
        x *= g.uniform(0.93, 1.07, (n, 1, 1, 3)).astype(np.float32)
        x += g.uniform(-6, 6, (n, 1, 1, 1)).astype(np.float32)
        np.clip(x, 0, 255, out=x)
        return x.transpose(0, 3, 1, 2) / 127.5 - 1, y.reshape(n, -1)
