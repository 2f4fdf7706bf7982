"""Makes the committed split (eval/) and the samples that the demo carries, both of held-out compositions and voices.

    python split.py --fsdd DIR --prompts DIR

DIR of --prompts is Debian's asterisk-core-sounds-en-wav, unpacked: its folder en_US_f_Allison.
Pictures are PNG, 128 x 128; sounds WAV, 8 kHz, mu-law, which halves their size and is what a telephone carries.
"""
import argparse
import json
import os
import random
import struct

import numpy as np

import draw
import speech
import world

HERE = os.path.dirname(os.path.abspath(__file__))
RETRIEVAL = {"pair": 56, "one": 8, "many": 12, "digit": 10, "form": 8, "list": 6}


def save_wav(path, x, rate=8000):
    """Float samples at 16 kHz to a mu-law WAV file (G.711)."""
    x = speech.resample_poly(x, 1, speech.RATE // rate) if rate != speech.RATE else x
    s = np.clip(x * 32767, -32635, 32635).astype(np.int32)
    sign, mag = np.where(s < 0, 0x80, 0), np.abs(s) + 132
    exp = np.floor(np.log2(mag)).astype(np.int32) - 7
    code = ~(sign | (exp << 4) | ((mag >> (exp + 3)) & 15)) & 0xFF
    data = code.astype(np.uint8).tobytes()
    head = b"WAVEfmt " + struct.pack("<IHHIIHHH", 18, 7, 1, rate, rate, 1, 8, 0) + b"fact" + struct.pack("<II", 4, len(data))
    body = head + b"data" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    with open(path, "wb") as f:
        f.write(b"RIFF" + struct.pack("<I", len(body)) + body)


def say(m, rng):
    """A held-out voice says the caption of m, somewhere."""
    x = speech.synthesise(world.caption(m), *speech.voice(rng, held=True)).astype(np.float32) / 32768
    y = speech.augment(x, rng)
    return y * (0.5 / np.abs(y).max())


def world_of(m):
    return {"digit": "digit", "form": "screen", "list": "screen"}.get(m[0], "scene")


def paraphrases(m, rng):
    out = []
    while len(out) < 2:
        p = world.paraphrase(m, rng)
        if p != world.caption(m) and p not in out:
            out.append(p)
    return out


def write(folder, name, m, rng):
    draw.draw(m, rng, held=True).save(os.path.join(folder, name + ".png"), optimize=True)
    save_wav(os.path.join(folder, name + ".wav"), say(m, rng))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--fsdd", required=True)
    ap.add_argument("--prompts", required=True)
    ap.add_argument("--seed", type=int, default=2026)
    args = ap.parse_args()
    rng = random.Random(args.seed)
    folder = os.path.join(HERE, "eval")
    os.makedirs(folder, exist_ok=True)
    for old in os.listdir(folder):
        if old != "README.md":
            os.remove(os.path.join(folder, old))
    items = []

    ms = [m for k, n in RETRIEVAL.items() for m in rng.sample(world._POOLS[True][k], n)]
    for i, m in enumerate(ms):
        name = f"r{i:03}"
        write(folder, name, m, rng)
        items.append({"id": name, "set": "retrieval", "world": world_of(m), "text": world.caption(m),
                      "paraphrases": paraphrases(m, rng), "image": name + ".png", "speech": name + ".wav"})
        if m[0] != "digit":
            items.append({"id": f"c{i:03}", "set": "caption", "world": world_of(m), "image": name + ".png",
                          "caption": world.caption(m)})
    # Compositions that retrieval does not have.
    rest = [m for m in world._POOLS[True]["pair"] if m not in set(ms)]
    for i, m in enumerate(rng.sample(rest, 40)):
        name = f"c{100 + i}"
        draw.draw(m, rng, held=True).save(os.path.join(folder, name + ".png"), optimize=True)
        items.append({"id": name, "set": "caption", "world": "scene", "image": name + ".png", "caption": world.caption(m)})

    digits = [world.caption(("digit", d)) for d in range(10)]
    for who in speech.FSDD_HELD:
        for d in range(10):
            for take in rng.sample(range(50), 5):
                x = speech.read(os.path.join(args.fsdd, "recordings", f"{d}_{who}_{take}.wav")).astype(np.float32) / 32768
                name = f"d{d}_{who}_{take}"
                save_wav(os.path.join(folder, name + ".wav"), x * (0.5 / np.abs(x).max()))
                items.append({"id": name, "set": "digits", "speech": name + ".wav", "label": digits[d], "labels": "digits",
                              "source": "fsdd:" + who, "real": True})
    for d in range(10):
        x = speech.read(os.path.join(args.prompts, f"digits/{d}.wav")).astype(np.float32) / 32768
        save_wav(os.path.join(folder, f"d{d}_allison.wav"), x * (0.5 / np.abs(x).max()))
        items.append({"id": f"d{d}_allison", "set": "digits", "speech": f"d{d}_allison.wav", "label": digits[d],
                      "labels": "digits", "source": "asterisk:allison", "real": True})
    for i, (prompt, word) in enumerate(speech.PROMPTS.items()):
        x = speech.read(os.path.join(args.prompts, prompt + ".wav")).astype(np.float32) / 32768
        save_wav(os.path.join(folder, f"w{i:02}.wav"), x * (0.5 / np.abs(x).max()))
        items.append({"id": f"w{i:02}", "set": "commands", "speech": f"w{i:02}.wav", "label": word, "labels": "commands",
                      "source": "asterisk:allison", "real": True})
    with open(os.path.join(folder, "manifest.json"), "w") as f:  # an item a line
        labels = json.dumps({"digits": digits, "commands": world.WORDS})
        f.write(f'{{"labels": {labels},\n"items": [\n' + ",\n".join(map(json.dumps, items)) + "\n]}\n")


if __name__ == "__main__":
    main()
