#!/usr/bin/env python3
"""Compares this package with soundfile, torchaudio and Transformers.

Writes sounds of many formats into a scratch folder, has TestDiff decode,
resample and extract them, does the same with the libraries, and prints the
greatest difference of each group. Exits with 1 if one is over its bound.

    python3 audio/testdata/diff.py [SEED]
    python3 audio/testdata/diff.py --golden     (writes testdata/golden, which go test checks)

Needs soundfile, torch, torchaudio, transformers and Go; the flac encoder and
espeak-ng are used where they are installed. Run with soundfile 0.14.0 (libsndfile
1.2.2), numpy 2.4.6, torch 2.15.0, torchaudio 2.11.0, transformers 5.23.0,
flac 1.4.2.
"""
import base64
import collections
import io
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import soundfile
import torch
torch.version.cuda = None  # torchaudio refuses to load beside a PyTorch for another CUDA
import torchaudio
import transformers

import flacgen

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
torch.set_num_threads(1)

golden = sys.argv[1:] == ["--golden"]
rng = np.random.default_rng(int(sys.argv[1]) if len(sys.argv) > 1 and not golden else 0)
root = pathlib.Path(__file__).resolve().parents[2]
tmp = pathlib.Path(tempfile.mkdtemp(prefix="weft-audio-"))
if golden:
    tmp = root / "audio/testdata/golden"
    shutil.rmtree(tmp, ignore_errors=True)
    tmp.mkdir()
jobs, checks = [], []


def job(group, bound, reference, **kw):
    """reference() gives (array or None for an error, name, rate)."""
    jobs.append(kw)
    checks.append((group, bound, reference))


def sound(frames, rate, channels=1):
    """Something like speech: gliding harmonics, noise, a pause."""
    t = np.arange(frames) / rate
    out = []
    for _ in range(channels):
        f0 = rng.uniform(80, 300)
        phase = 2 * np.pi * np.cumsum(f0 * (1 + 0.2 * np.sin(2 * np.pi * rng.uniform(0.5, 3) * t))) / rate
        x = sum(rng.uniform(0, 1) / k * np.sin(k * phase + rng.uniform(0, 6)) for k in range(1, 12))
        x = x + rng.normal(0, 0.1, frames)
        x *= np.clip(np.sin(2 * np.pi * rng.uniform(0.3, 2) * t + rng.uniform(0, 6)) + 0.3, 0, None)
        out.append(0.9 * x / max(np.abs(x).max(initial=0), 1e-9) * rng.uniform(0.05, 1))
    return np.stack(out, 1)


counter = 0
refused = []  # streams of flacgen that flac does not take


def save(data, ext="wav"):
    global counter
    counter += 1
    name = f"s{counter}.{ext}"
    (tmp / name).write_bytes(data)
    return name


def encode(x, rate, format="WAV", **kw):
    b = io.BytesIO()
    soundfile.write(b, x, rate, format=format, **kw)
    return b.getvalue()


def read(name):
    x, rate = soundfile.read(tmp / name, dtype="float32", always_2d=True)
    return x, rate


# --- decoding ---------------------------------------------------------------
def decoded(group, name):
    def reference():
        x, rate = read(name)
        return x, None, rate
    job(group, 0, reference, op="decode", files=[name])


def wav(tag=1, channels=1, rate=8000, bits=16, data=bytes(range(1, 97)), size=None, before=b"", after=b"", whole=None, extra=b""):
    align = channels * ((bits + 7) // 8)
    f = struct.pack("<HHIIHH", tag, channels, rate, rate * align, align, bits) + extra
    body = b"WAVE" + before + b"fmt " + struct.pack("<I", len(f)) + f
    body += b"data" + struct.pack("<I", len(data) if size is None else size) + data + after
    return b"RIFF" + struct.pack("<I", len(body) if whole is None else whole) + body


guid = struct.pack("<HHI", 22, 16, 0) + struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")


def flac(group, x, bits, args, rate=48000):
    """x holds integers; the reference is what was encoded."""
    raw = tmp / "in.raw"
    if bits <= 8:
        raw.write_bytes(x.astype(np.int8).tobytes())
    elif bits <= 16:
        raw.write_bytes(x.astype("<i2").tobytes())
    elif bits <= 24:
        raw.write_bytes(x.astype("<i4").reshape(-1, 1).view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    else:
        raw.write_bytes(x.astype("<i4").tobytes())
    global counter
    counter += 1
    name = f"s{counter}.flac"
    subprocess.run(["flac", "-s", "-f", "--force-raw-format", "--endian=little", "--sign=signed", f"--channels={x.shape[1]}", f"--bps={bits}",
                    f"--sample-rate={rate}", *args, "-o", str(tmp / name), str(raw)], check=True, stderr=subprocess.DEVNULL)
    want = (x.astype(np.int64).astype(np.float32) / np.float32(2 ** (bits - 1))).astype(np.float32)
    job(group, 0, lambda: (want, None, rate), op="decode", files=[name])
    return name


def generated(bits, channels, frames, variable):
    """A stream of flacgen, which the reference decoder must take too."""
    global counter
    top = 1 << (bits - 1)
    x = np.clip(np.round(sound(frames, 16000, channels) * top), -top, top - 1).astype(np.int64)
    if rng.random() < 0.4:
        x = x >> 2 << 2
    if rng.random() < 0.2:
        x[: frames // 2] = rng.integers(-top, top)
    if rng.random() < 0.2:
        x[frames // 2 :] = rng.choice([-top, top - 1], x[frames // 2 :].shape)
    rate = int(rng.choice([16000, 44100, 12345, 200000]))
    name = save(flacgen.stream(rng, x, bits, rate, variable), "flac")
    if shutil.which("flac") and subprocess.run(["flac", "-s", "-t", str(tmp / name)], stderr=subprocess.DEVNULL).returncode:
        refused.append(name)
        if golden:
            (tmp / name).unlink()
        return
    want = x.astype(np.float32) / np.float32(top)
    job("flac of flacgen", 0, lambda: (want, None, rate), op="decode", files=[name])



def all_formats():
    """WAV and FLAC as libsndfile writes them, and WAV that it does not write."""
    for subtype in ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"]:
        for fmt in ["WAV", "WAVEX", "RF64"]:
            for endian in ["LITTLE", "BIG"] if fmt == "WAV" else ["FILE"]:
                for channels in [1, 2, 3, 6]:
                    x = sound(int(rng.integers(1, 3000)), 16000, channels) * 1.2
                    decoded(f"wav {subtype}", save(encode(x, int(rng.integers(1, 200000)), format=fmt, subtype=subtype, endian=endian)))
    every = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 0, b"WAVE", b"fmt ", 16, 6, 1, 8000, 8000, 1, 8, b"data", 256) + bytes(range(256))
    decoded("wav all A-law codes", save(every))
    decoded("wav all mu-law codes", save(every.replace(b"\x10\0\0\0\x06\0", b"\x10\0\0\0\x07\0")))


    for name, data in {
        "size 0": wav(size=0), "empty": wav(data=b""), "size 0xffffffff": wav(size=0xFFFFFFFF), "size past the end": wav(size=1000),
        "odd size": wav(data=bytes(7)), "12 bits": wav(bits=12), "20 bits": wav(bits=20, data=bytes(range(99))),
        "5 bits": wav(bits=5), "whole 0": wav(whole=0), "whole 20": wav(whole=20), "whole 0xffffffff": wav(whole=0xFFFFFFFF),
        "padded odd chunk": wav(before=b"abcd\3\0\0\0xyz\0"), "LIST after": wav(after=b"LIST\4\0\0\0abcd"),
        "JUNK before": wav(before=b"JUNK\4\0\0\0abcd"), "trailing": wav(after=b"abc"), "fmt of 18": wav(extra=b"\0\0"),
        "fmt of 2000": wav(extra=bytes(1984)), "extensible": wav(tag=0xFFFE, extra=guid), "not a number": wav(3, bits=32, data=struct.pack("<fff", float("nan"), 2.5, float("inf"))),
        "stereo, half a frame": wav(channels=2, data=bytes(range(90))), "1024 channels": wav(channels=1024, data=bytes(4096)),
    }.items():
        decoded(f"wav {name}", save(data))

    for bits, subtype in [(8, "PCM_S8"), (16, "PCM_16"), (24, "PCM_24")]:
        for channels in [1, 2, 5, 8]:
            for level in [0.0, 0.25, 0.5, 0.75, 1.0]:
                x = sound(int(rng.integers(1, 20000)), 16000, channels)
                decoded(f"flac of soundfile, {bits} bits", save(encode(x, 44100, format="FLAC", subtype=subtype, compression_level=level), "flac"))


def all_flacs():
    """FLAC as the reference encoder writes it and as it does not."""
    if shutil.which("flac"):
        for bits in [8, 12, 16, 20, 24, 32]:
            if bits in (12, 20):  # the raw reader takes whole bytes only
                continue
            top = 2 ** (bits - 1)
            kinds = {
                "speech": lambda n, c: np.round(sound(n, 48000, c) * (top - 1)).astype(np.int64),
                "noise": lambda n, c: rng.integers(-top, top, (n, c)),
                "silence": lambda n, c: np.zeros((n, c), np.int64),
                "constant": lambda n, c: np.full((n, c), -top),
                "wasted bits": lambda n, c: np.round(sound(n, 48000, c) * (top - 1)).astype(np.int64) >> 3 << 3,
                "extremes": lambda n, c: rng.choice([-top, top - 1], (n, c)),
                "bursts": lambda n, c: np.where(rng.random((n, c)) < 0.002, rng.integers(-top, top, (n, c)), rng.integers(-2, 3, (n, c))),
                "alike": lambda n, c: np.repeat(np.round(sound(n, 48000, 1) * (top - 1)).astype(np.int64), c, 1) // (1 + np.arange(c)),
            }
            levels = [["-0"], ["-3"], ["-5"], ["-8"], ["-8", "-e", "-p"], ["--lax", "-b", "17", "-l", "8"], ["--lax", "-b", "65535", "-r", "15", "-l", "32"],
                      ["-b", "256", "-m"], ["--lax", "-b", "4608", "-l", "32", "-e"], ["--disable-fixed-subframes"], ["--disable-constant-subframes", "-M"],
                      ["-r", "0,8", "-l", "0"], ["--no-padding", "-S", "100x"]]
            for kind, make in kinds.items():
                for args in levels:
                    c = int(rng.choice([1, 2, 2, 2, 3, 8]))
                    if c != 2:
                        args = [a for a in args if a not in ("-m", "-M")]
                    n = int(rng.choice([1, 5, 17, 100, 4096, 20000]))
                    flac(f"flac encoder, {bits} bits", make(n, c), bits, args)
        # From a stream, the number of samples is unknown in the header; a tag before and after.
        x = np.round(sound(30000, 16000, 2) * 32767).astype("<i2")
        out = subprocess.run(["flac", "-s", "-c", "--force-raw-format", "--endian=little", "--sign=signed", "--channels=2", "--bps=16", "--sample-rate=16000", "-"],
                             input=x.tobytes(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
        info = struct.unpack(">Q", out[18:26])[0] & (1 << 36) - 1
        unknown = out[:21] + bytes([out[21] & 0xF0]) + bytes(4) + out[26:]
        for data in [out, unknown, b"ID3\4\0\0\0\0\2\1" + bytes(257) + unknown + b"TAG" + bytes(125)]:
            name = save(data, "flac")
            job("flac of unknown length", 0, lambda x=x: ((x / 32768).astype(np.float32), None, 16000), op="decode", files=[name])



        for bits in range(4, 33):
            for channels in [1, 2, 2, 3]:
                generated(bits, channels, int(rng.integers(1, 4000)), bool(rng.integers(2)))


# --- resampling -------------------------------------------------------------
def resampled(name, a, b):
    def reference():
        return torchaudio.functional.resample(torch.from_numpy(read(name)[0].mean(1)), a, b).numpy(), None, None
    job("resample", 1e-6, reference, op="resample", files=[name], **{"from": a, "to": b})


def all_rates():
    """Resampling."""
    rates = [(44100, 16000), (48000, 16000), (8000, 16000), (11025, 16000), (22050, 16000), (16000, 8000), (32000, 16000), (96000, 16000), (192000, 16000),
             (24000, 16000), (12000, 16000), (16000, 44100), (44100, 48000), (7919, 16000), (16001, 16000), (15999, 16000), (100, 16000), (17, 23), (3, 7), (16000, 22050)]
    for a, b in rates:
        for n in [1, 2, 10, 441, 1000, int(rng.integers(1, 40000)), int(rng.integers(1, 200000))]:
            if n * b / a > 4e6:
                continue
            x = sound(n, a).astype(np.float32)
            name = save(encode(x, 16000, subtype="FLOAT"))

            resampled(name, a, b)


# --- extractors -------------------------------------------------------------
W = {"feature_extractor_type": "Wav2Vec2FeatureExtractor"}
V = {"feature_extractor_type": "WhisperFeatureExtractor"}
A = {"feature_extractor_type": "ASTFeatureExtractor"}
S = {"feature_extractor_type": "Speech2TextFeatureExtractor"}
M = {"feature_extractor_type": "SeamlessM4TFeatureExtractor"}
# Without resampling.
TOLERANCE = {"Wav2Vec2FeatureExtractor": 2e-5, "WhisperFeatureExtractor": 1e-3, "ASTFeatureExtractor": 2e-3, "Speech2TextFeatureExtractor": 2e-3, "SeamlessM4TFeatureExtractor": 2e-5}


def reference_features(config, names, batch=False):
    cls = getattr(transformers, config["feature_extractor_type"])
    fe = cls(**{k: v for k, v in config.items() if k != "feature_extractor_type"})
    xs = []
    for n in names:
        x, rate = read(n)
        x = x.mean(1)
        if rate != fe.sampling_rate:
            x = torchaudio.functional.resample(torch.from_numpy(x), rate, fe.sampling_rate).numpy()
        xs.append(x)
    kw = {"padding": True} if batch and "Wav2Vec2" in config["feature_extractor_type"] else {}
    out = fe(xs if batch else xs[0], sampling_rate=fe.sampling_rate, return_tensors="np", **kw)
    name = fe.model_input_names[0]
    return np.asarray(out[name], np.float32), name, out.get("attention_mask")


def extracted(config, names, bound, group=None, batch=False):
    def reference():
        data, name, mask = reference_features(config, names, batch)
        return data, name, None, mask if batch else None
    job(group or config["feature_extractor_type"], bound, reference, op="batch" if batch else "extract", files=names, config=config, model={})


def some(rate=16000, channels=1, longest=5, n=None):
    n = n or int(rng.integers(500, longest * rate))
    x = sound(n, rate, channels)
    if rng.random() < 0.3:
        return save(encode(x, rate, format="FLAC"), "flac")
    return save(encode(x, rate, subtype=str(rng.choice(["PCM_16", "PCM_24", "FLOAT", "PCM_U8"]))))



def all_extractors():
    """Every feature extractor."""
    for extra in [{}, {"do_normalize": False}, {"return_attention_mask": True, "feature_size": 1, "sampling_rate": 16000, "padding_value": 0.0}, {"sampling_rate": 8000}, {"padding_value": 1.5, "padding_side": "left"}]:
        for n in [1, 2, 7, 8, 9, 127, 128, 129, 136, 1000, None, None, None]:
            extracted({**W, **extra}, [some(n=n, rate=extra.get("sampling_rate", 16000))], 0)
        for rate, channels in [(44100, 2), (48000, 1), (8000, 3), (22050, 2), (11025, 1)]:
            extracted({**W, **extra}, [some(rate, channels)], 1e-5, "Wav2Vec2 resampled")
        for mask in [True, False]:
            for side in ["right", "left"]:
                extracted({**W, **extra, "return_attention_mask": mask, "padding_side": side}, [some(rate=extra.get("sampling_rate", 16000)) for _ in range(3)], 0, "Wav2Vec2 batch", True)

    for extra in [{}, {"feature_size": 128}, {"chunk_length": 5}, {"chunk_length": 3, "n_fft": 512, "hop_length": 128}, {"chunk_length": 2, "n_fft": 401, "hop_length": 161},
                  {"chunk_length": 2, "n_fft": 331, "feature_size": 40}, {"chunk_length": 4, "sampling_rate": 24000}, {"chunk_length": 2, "padding_value": 0.1, "padding_side": "left"},
                  {"chunk_length": 3, "sampling_rate": 8000, "n_fft": 200, "hop_length": 80}]:
        for rate in [extra.get("sampling_rate", 16000)] * 3 + [44100]:
            extracted({**V, **extra}, [some(rate, int(rng.choice([1, 2])))], 2e-4 if rate != 44100 else 4e-4, "Whisper" + (" resampled" if rate == 44100 else ""))
    extracted(V, [some(longest=33, n=32 * 16000)], 2e-4, "Whisper")
    for side in ["left", "right"]:
        extracted({**V, "chunk_length": 2, "padding_side": side, "return_attention_mask": True}, [some(), some(n=9000)], 2e-4, "Whisper masked", True)
    extracted({**V, "chunk_length": 2}, [save(encode(np.zeros((1000, 1)), 16000))], 2e-4, "Whisper silence")

    for extra in [{}, {"max_length": 128}, {"num_mel_bins": 64, "max_length": 300}, {"do_normalize": False, "max_length": 100}, {"mean": -1.5, "std": 2.25, "max_length": 200},
                  {"sampling_rate": 8000, "num_mel_bins": 40, "max_length": 300}, {"sampling_rate": 44100, "max_length": 200}]:
        for rate in [extra.get("sampling_rate", 16000)] * 3 + [22050]:
            extracted({**A, **extra}, [some(rate)], 2e-3 if rate != 22050 else 4e-3, "AST" + (" resampled" if rate == 22050 else ""))
    for extra in [{}, {"num_mel_bins": 40}, {"do_ceptral_normalize": False}, {"normalize_vars": False}, {"normalize_means": False}, {"sampling_rate": 8000}]:
        for _ in range(3):
            extracted({**S, **extra}, [some(extra.get("sampling_rate", 16000))], 2e-3, "Speech2Text", batch=rng.random() < 0.5)
    for extra in [{}, {"num_mel_bins": 40, "feature_size": 40}, {"stride": 1}, {"stride": 3}, {"padding_value": 1.0}, {"padding_side": "left", "padding_value": 2.0}]:
        for _ in range(3):
            extracted({**M, **extra}, [some()], 2e-5, "SeamlessM4T", batch=rng.random() < 0.5)


def ends(mask):
    """Where the runs of equal values of a mask end."""
    m = np.asarray(mask).reshape(-1)
    return [int(i) for i in np.flatnonzero(np.append(m[1:] != m[:-1], True))] if m.size else []


# --- the sample for go test ---------------------------------------------------
def sample():
    """A little of everything; the sound is most often the spoken sentence of testdata/demo."""
    voice = "../../../testdata/demo/voice.flac"
    decoded("flac", voice)
    for k, subtype in enumerate(["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"]):
        for fmt, endian in [("WAV", "LITTLE"), ("WAV", "BIG"), ("WAVEX", "FILE"), ("RF64", "FILE")][k % 2::2]:
            decoded(f"wav {subtype} {fmt} {endian}", save(encode(sound(40, 16000, 1 + k % 3) * 1.2, 11025 + k, format=fmt, subtype=subtype, endian=endian)))
    for bits in [4, 7, 8, 12, 13, 16, 20, 24, 25, 31, 32]:
        for variable in [False, True]:
            generated(bits, 2 if variable else int(rng.choice([1, 3])), int(rng.integers(100, 300)), variable)
    for a, b in [(16000, 8000), (16000, 44100), (44100, 16000), (22050, 16000), (48000, 16000), (192000, 16000), (12345, 16000), (16001, 16000), (11025, 8000), (8000, 16000)]:
        resampled(voice, a, b)
    other = save(encode(sound(3000, 22050, 2), 22050, subtype="PCM_U8"))
    for config in [
        W, {**W, "do_normalize": False}, {**W, "sampling_rate": 8000},
        V, {**V, "feature_size": 128, "chunk_length": 3}, {**V, "chunk_length": 2, "n_fft": 401, "hop_length": 161}, {**V, "chunk_length": 3, "padding_side": "left", "padding_value": 0.1},
        {**V, "chunk_length": 3, "sampling_rate": 24000, "n_fft": 512},
        A, {**A, "max_length": 100, "do_normalize": False}, {**A, "num_mel_bins": 64, "mean": -1.5, "std": 2.25, "max_length": 300}, {**A, "sampling_rate": 8000, "num_mel_bins": 40},
        S, {**S, "num_mel_bins": 40, "do_ceptral_normalize": False}, {**S, "normalize_vars": False}, {**S, "normalize_means": False},
        M, {**M, "stride": 3, "num_mel_bins": 40, "feature_size": 40}, {**M, "padding_side": "left", "padding_value": 2.0},
    ]:
        for name in [voice, other]:
            same = read(name)[1] == config.get("sampling_rate", 16000)
            extracted(config, [name], TOLERANCE[config["feature_extractor_type"]] * (1 if same else 2))
    for side in ["left", "right"]:
        for mask in [False, True]:
            extracted({**W, "padding_side": side, "return_attention_mask": mask}, [voice, other], 4e-4, batch=True)
    for config in [{**V, "chunk_length": 2, "return_attention_mask": True}, S, M, {**M, "stride": 3, "padding_side": "left"}]:
        extracted(config, [other], 2 * TOLERANCE[config["feature_extractor_type"]], batch=True)
    verdicts = []
    for j, (group, bound, reference) in zip(jobs, checks):
        want, name, rate, mask = (*reference(), None)[:4]
        flat = np.ascontiguousarray(want, np.float32).reshape(-1)
        k = min(60, flat.size)
        at = [i * (flat.size - 1) // max(1, k - 1) for i in range(k)]
        verdicts.append({**j, "Bound": bound, "Name": name or "", "Rate": int(rate or 0), "Shape": list(want.shape), "Values": base64.b64encode(flat[at].astype("<f4").tobytes()).decode(),
                         **({"Mask": ends(mask)} if mask is not None else {})})
    (tmp / "verdicts.json").write_text("[\n" + ",\n".join(json.dumps(v) for v in verdicts) + "\n]\n")


if golden:
    sample()
    sys.exit()
all_formats()
all_flacs()
all_rates()
all_extractors()

# --- run and compare --------------------------------------------------------
(tmp / "jobs.json").write_text(json.dumps(jobs))
subprocess.run(["go", "test", "-count=1", "-run", "^TestDiff$", "./audio"], cwd=root, env={**os.environ, "WEFT_AUDIO_DIFF": str(tmp)}, check=True)
results = json.loads((tmp / "results.json").read_text())
worst, count, bad = collections.defaultdict(float), collections.Counter(), 0
bounds = {}
for i, (j, r, (group, bound, reference)) in enumerate(zip(jobs, results, checks)):
    want, name, rate, mask = (*reference(), None)[:4]
    got = np.fromfile(tmp / f"{i}.f32", "<f4")
    what = f"{group}: {j}"
    count[group] += 1
    bounds[group] = bound
    if r["Error"] or list(want.shape) != (r["Shape"] or []) or (name and name != r["Name"]) or (rate and rate != r["Rate"]):
        print("FAIL", what, r, want.shape, rate)
        bad += 1
        continue
    if mask is not None and not np.array_equal(mask.reshape(-1), r["Mask"] or []):
        print("FAIL", what, "attention_mask")
        bad += 1
    want = want.reshape(-1)
    if not np.array_equal(np.isfinite(want), np.isfinite(got)):
        print("FAIL", what, "not finite at different places")
        bad += 1
        continue
    ok = np.isfinite(want)
    d = np.abs(want[ok].astype(np.float64) - got[ok]).max(initial=0)
    worst[group] = max(worst[group], d)
    if d > bound:
        print("FAIL", what, d)
        bad += 1
for g in sorted(count):
    print(f"{g:34} {count[g]:4} cases  max {worst[g]:.3g}  bound {bounds[g]:g}")
print("differences:", bad, " streams of flacgen that flac refuses:", len(refused))
shutil.rmtree(tmp)
sys.exit(bad != 0)
