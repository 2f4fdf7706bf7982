"""Voices: espeak-ng and flite say the sentences, real people say digits and words; and what a microphone does to them."""
import json
import os
import random
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import soundfile
from scipy.signal import resample_poly

import world

RATE = 16000
ACCENTS = ["en-gb", "en-us", "en-gb-scotland", "en-gb-x-gbclan", "en-029", "en-us-nyc", "en-gb-x-gbcwmd"]
VARIANTS = ("m1 m2 m3 m4 m6 m7 m8 f1 f2 f3 f5 Adam Alex Alicia Andy Antonio Belinda Benjamin Caleb Denis Ed Gene "
            "Henrique Hugo Iven Jacky Linda Mario Max Michel Mike Pablo Paul Pedro Quincy Rob Robert Steph anika "
            "grandma grandpa klatt klatt2 klatt4 travis victor norbert").split()
# Voices of the evaluation alone: an accent and eight speakers that no training clip has.
HELD_ACCENTS = ["en-gb-x-rp", "en-us", "en-gb"]
HELD_VARIANTS = "m5 f4 Annie Michael klatt3 Steph2 Lee shelby".split()
FLITE = ["awb", "rms", "slt", "kal16"]

FSDD_URL = "https://github.com/Jakobovski/free-spoken-digit-dataset"  # CC BY-SA 4.0
FSDD_HELD = ["theo", "lucas"]  # speakers of the evaluation alone
FSDD_TRAIN = ["george", "jackson", "nicolas", "yweweler"]

# Debian's asterisk-core-sounds-en: Allison Smith, CC BY-SA 3.0. No recording of hers is ever trained on.
PROMPTS = {f"digits/day-{i}": w for i, w in enumerate(
    "sunday monday tuesday wednesday thursday friday saturday".split())}
PROMPTS |= {f"digits/mon-{i}": w for i, w in enumerate(
    "january february march april may june july august september october november december".split())}
PROMPTS |= {"hello": "hello", "goodbye": "goodbye", "vm-goodbye": "goodbye", "dictate/record": "record",
            "dictate/pause": "pause", "dictate/playback": "playback", "vm-delete": "delete", "vm-repeat": "repeat",
            "vm-review": "review", "transfer": "transfer", "enabled": "enabled", "disabled": "disabled",
            "activated": "activated", "cancelled": "cancelled", "location": "location", "number": "number",
            "vm-password": "password", "followme/status": "status", "digits/today": "today",
            "digits/tomorrow": "tomorrow", "digits/yesterday": "yesterday"}


def spoken(m, rng):
    """A sentence to be said aloud: most often the canonical one."""
    if m[0] == "digit":
        n = world.NUMBERS[m[1]]
        return rng.choice([n, n, n, f"the digit {n}", f"the digit {n}", f"the number {n}"])
    if m[0] == "word" or rng.random() < 0.7:
        return world.caption(m)
    return world.paraphrase(m, rng)


def synthesise(text, voice, speed, pitch):
    """16 kHz int16 samples of a synthetic voice, without the silence at its ends."""
    text = re.sub(r"\s+,", ",", text)
    if voice.startswith("flite:"):
        cmd = ["flite", "-voice", voice[6:], "--setf", f"duration_stretch={170 / speed:.3f}", "-t", text, "-o",
               "/dev/stdout"]
    else:
        cmd = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text]
    wav = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    rate = int.from_bytes(wav[24:28], "little")
    x = np.frombuffer(wav[44: 44 + (len(wav) - 44) // 2 * 2], "<i2").astype(np.float32)
    return trim(to_rate(x, rate))


def to_rate(x, rate):
    if rate != RATE:
        g = np.gcd(rate, RATE)
        x = resample_poly(x, RATE // g, rate // g)
    return x


def trim(x):
    """Cuts near-silence from both ends; int16."""
    loud = np.flatnonzero(np.abs(x) > 0.02 * np.abs(x).max())
    if len(loud):
        x = x[max(0, loud[0] - 400): loud[-1] + 800]
    return np.clip(x, -32768, 32767).astype(np.int16)


def read(path):
    """A recording as 16 kHz int16."""
    x, rate = soundfile.read(path, dtype="float32")
    if x.ndim > 1:
        x = x.mean(1)
    return trim(to_rate(x * 32767, rate))


def voice(rng, held=False, flite=0.25):
    """A voice, a speed in words a minute and a pitch."""
    if not held and rng.random() < flite:
        return "flite:" + rng.choice(FLITE), rng.randint(150, 230), 50
    accent = rng.choice(HELD_ACCENTS if held else ACCENTS)
    variant = rng.choice(HELD_VARIANTS if held else VARIANTS)
    return f"{accent}+{variant}", rng.randint(165, 240), rng.randint(25, 75)


def plan(seed):
    """What is said for training: (meaning, sentence, voice, speed, pitch)."""
    rng = random.Random(seed)
    train = world._POOLS[False]
    jobs = [m for m in rng.choices(train["pair"], k=9000)]
    for kind, times in (("one", 10), ("many", 8), ("digit", 160), ("form", 30), ("list", 40), ("word", 130)):
        jobs += [m for m in train[kind] for _ in range(times)]
    rng.shuffle(jobs)
    return [(m, spoken(m, rng), *voice(rng)) for m in jobs]


def build_pool(path, seed, fsdd, workers=3):
    """Says everything once and keeps it: samples.npy (int16, end to end) and clips.json."""
    os.makedirs(path, exist_ok=True)
    done = os.path.join(path, "clips.json")
    if os.path.exists(done):
        return
    jobs = plan(seed)
    with ThreadPoolExecutor(workers) as pool:
        said = list(pool.map(lambda j: synthesise(*j[1:]), jobs))
    clips = [(j[0], j[1], j[2]) for j in jobs]
    for name in sorted(os.listdir(os.path.join(fsdd, "recordings"))):
        d, who, _ = name.split("_")
        if who in FSDD_TRAIN:
            said.append(read(os.path.join(fsdd, "recordings", name)))
            clips.append((("digit", int(d)), world.NUMBERS[int(d)], "fsdd:" + who))
    np.save(os.path.join(path, "samples.npy"), np.concatenate(said))
    ends = np.cumsum([len(x) for x in said]).tolist()
    with open(done, "w") as f:
        json.dump([{"meaning": m, "text": t, "voice": v, "end": e} for (m, t, v), e in zip(clips, ends)], f)


class Pool:
    """The cached clips, by kind of meaning."""

    def __init__(self, path):
        self.samples = np.load(os.path.join(path, "samples.npy"), mmap_mode="r")
        with open(os.path.join(path, "clips.json")) as f:
            self.clips = json.load(f)
        start = 0
        self.by_kind = {}
        for c in self.clips:
            c["start"], start = start, c["end"]
            c["meaning"] = tuple(c["meaning"])
            kind = "real" if c["voice"].startswith("fsdd:") else c["meaning"][0]
            self.by_kind.setdefault(kind, []).append(c)

    def audio(self, clip):
        return np.asarray(self.samples[clip["start"]: clip["end"]], np.float32) / 32768


def augment(x, rng):
    """A voice as another microphone in another room hears it: speed, band, colour, echo, noise, silence round it."""
    g = np.random.default_rng(rng.getrandbits(32))
    n = int(len(x) / rng.uniform(0.86, 1.16))
    x = np.interp(np.linspace(0, len(x) - 1, n), np.arange(len(x)), x).astype(np.float32)
    x = np.pad(x, (int(RATE * rng.uniform(0, 0.15)), int(RATE * rng.uniform(0, 0.15))))
    size = 1 << (len(x) + 4000).bit_length()
    f = np.fft.rfftfreq(size, 1 / RATE)
    h = np.ones(len(f), np.complex64)
    if rng.random() < 0.55:  # a telephone's band
        h *= 1 / (1 + (f / rng.uniform(3200, 4000)) ** 16)
    if rng.random() < 0.5:
        h *= 1 / (1 + (rng.uniform(80, 320) / np.maximum(f, 1)) ** 4)
    if rng.random() < 0.7:  # a slope and a few wide peaks
        octaves = np.log2(np.maximum(f, 60) / 1000)
        db = rng.uniform(-4, 4) * octaves
        for _ in range(3):
            db = db + rng.uniform(-6, 6) * np.exp(-0.5 * ((octaves - rng.uniform(-3, 2)) / 0.5) ** 2)
        h *= 10 ** (db / 20)
    if rng.random() < 0.3:  # a room
        tail = int(RATE * rng.uniform(0.05, 0.25))
        echo = g.normal(0, 1, tail) * np.exp(-6 * np.arange(tail) / tail)
        echo *= rng.uniform(0.1, 0.6) / np.sqrt((echo ** 2).sum())
        echo[0] += 1
        h *= np.fft.rfft(echo, size)
    y = np.fft.irfft(np.fft.rfft(x, size) * h, size)[: len(x)].astype(np.float32)
    if rng.random() < 0.65:
        noise = np.fft.rfft(g.normal(0, 1, size))
        noise *= np.maximum(f, 40) ** -rng.uniform(0, 1)
        if rng.random() < 0.5:
            noise *= 1 / (1 + (f / 4000) ** 16)
        noise = np.fft.irfft(noise, size)[: len(x)]
        snr = rng.uniform(6, 35)
        y = y + noise * np.sqrt((y ** 2).mean() / max((noise ** 2).mean(), 1e-12)) * 10 ** (-snr / 20)
    return y.astype(np.float32)


def normalise(x):
    """Wav2Vec2FeatureExtractor's zero mean and unit variance."""
    return ((x - x.mean()) / np.sqrt(x.var() + 1e-7)).astype(np.float32)
