"""Compares weft generate with Transformers on random models and settings:
greedy and beam search, penalties, constraints, batches with left padding.

    python generate_sweep.py WEFT [--count N] [--seed S] [--only FAMILY] [--keep DIR]

WEFT is the command built from cmd/weft. The ids must be equal. A case in which
Transformers itself gives other ids in float64 than in float32 is left out:
there rounding decides.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import transformers

import common
from common import Case


def ids_of(r, vocab, n):
    return [r.randrange(vocab) for _ in range(n)]


def settings(r, vocab, length):
    """Random settings of generate()."""
    s = {}
    maybe = lambda p: r.random() < p
    beams = r.choice([1, 1, 1, 2, 3, 4, 5])
    if beams > 1:
        s["num_beams"] = beams
        if maybe(0.4):
            s["num_return_sequences"] = r.randint(1, beams)
        if maybe(0.5):
            s["length_penalty"] = r.choice([0.0, 0.5, 2.0, -1.0, 1.3])
        if maybe(0.6):
            s["early_stopping"] = r.choice([True, False, "never"])
    if maybe(0.8):
        s["max_new_tokens"] = r.randint(1, 30)
    elif maybe(0.5):
        s["max_length"] = length + r.randint(1, 30)
    ends = r.choice([0, 1, 1, 2, 4, vocab // 6])
    if ends == 0:
        s["eos_token_id"] = None
    elif maybe(0.8):
        s["eos_token_id"] = ids_of(r, vocab, ends) if ends > 1 else r.randrange(vocab)
    if maybe(0.5):
        s["pad_token_id"] = r.choice([0, r.randrange(vocab)])
    if maybe(0.25):
        s["repetition_penalty"] = r.choice([1.2, 1.7, 0.8, 3.0])
    if maybe(0.2):
        s["no_repeat_ngram_size"] = r.randint(1, 4)
    if maybe(0.15):
        s["encoder_repetition_penalty"] = r.choice([1.5, 0.6])
    if maybe(0.1):
        s["encoder_no_repeat_ngram_size"] = r.randint(1, 3)
    if maybe(0.15):
        s["bad_words_ids"] = [ids_of(r, vocab, r.randint(1, 3)) for _ in range(r.randint(1, 8))]
    if maybe(0.15):
        s["min_new_tokens"] = r.randint(1, 12)
    elif maybe(0.15):
        s["min_length"] = length + r.randint(0, 10)
    if maybe(0.1):
        s["forced_bos_token_id"] = r.randrange(vocab)
    if maybe(0.1):
        s["forced_eos_token_id"] = r.randrange(vocab)
    if maybe(0.15):
        s["suppress_tokens"] = ids_of(r, vocab, r.randint(1, vocab // 3))
    if maybe(0.15):
        s["begin_suppress_tokens"] = ids_of(r, vocab, r.randint(1, vocab // 3))
    if maybe(0.15):
        s["sequence_bias"] = [[ids_of(r, vocab, r.randint(1, 3)), r.choice([-5.0, 2.5, 4.0])] for _ in range(r.randint(1, 6))]
    if maybe(0.1):
        s["exponential_decay_length_penalty"] = [r.randint(0, 8), r.choice([1.1, 1.5])]
    if maybe(0.1):
        s["renormalize_logits"] = True
    if maybe(0.1):
        s["remove_invalid_values"] = True
    if maybe(0.1) and beams == 1:
        s.update(do_sample=True, top_k=1, temperature=r.choice([0.7, 1.5]))
    return s


def gpt2(r, name):
    heads = r.randint(1, 6)
    vocab = r.randint(24, 300)
    c = dict(vocab_size=vocab, n_embd=heads * r.choice([4, 7, 8, 12, 16]), n_head=heads, n_layer=r.randint(1, 3), n_positions=r.choice([64, 80, 128]),
             activation_function=r.choice(["gelu_new", "gelu", "relu", "silu"]), bos_token_id=vocab - 1, eos_token_id=r.choice([vocab - 1, [vocab - 1, 3]]),
             tie_word_embeddings=r.random() < 0.7, scale_attn_by_inverse_layer_idx=r.random() < 0.2)  # fmt: skip
    if r.random() < 0.3:
        c["pad_token_id"] = r.randrange(vocab)
    return "GPT2LMHeadModel", c


def prompts(r, config, name):
    """input_ids and, with padding or at random, attention_mask."""
    vocab, batch, length = config["vocab_size"], r.randint(1, 4), r.randint(1, 24)
    ids = np.array([ids_of(r, vocab, length) for _ in range(batch)], np.int64)
    x = {"input_ids": ids}
    kind = r.choice(["none", "none", "ones", "left", "left", "holes"])
    if kind != "none":
        mask = np.ones((batch, length), np.int64)
        for i in range(batch):
            if kind == "left":
                mask[i, : r.randrange(length)] = 0
            elif kind == "holes":
                mask[i] = [r.random() < 0.7 for _ in range(length)]
                mask[i, -1] = 1
        x["attention_mask"] = mask
        if r.random() < 0.7:
            x["input_ids"] = np.where(mask == 1, ids, config.get("pad_token_id") or 0)
    return x


FAMILIES = {"gpt2": (gpt2, prompts)}


def expected(folder, cls, inputs, setting):
    """The ids in float32; None if float64 gives others."""
    model = getattr(transformers, cls).from_pretrained(folder, dtype=torch.float32).eval()
    x = {k: torch.from_numpy(v) for k, v in inputs.items()}
    out = []
    for dtype in (torch.float32, torch.float64):
        model = model.to(dtype)
        y = {k: v.to(dtype) if v.is_floating_point() else v for k, v in x.items()}
        with torch.no_grad():
            out.append(model.generate(**y, **setting).tolist())
    return out[0] if out[0] == out[1] else None


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("weft")
    ap.add_argument("--count", type=int, default=150)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--only", default="", choices=["", *FAMILIES])
    ap.add_argument("--keep", default="", help="leave the folders of failures here")
    a = ap.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    passed, refused, failed, left_out = 0, {}, 0, {}

    def note(table, key):
        table[key] = table.get(key, 0) + 1

    for i in range(a.seed, a.seed + a.count):
        r = random.Random(i)
        model_of, prompts_of = FAMILIES[a.only or r.choice(list(FAMILIES))]
        cls, config = model_of(r, f"generate{i}")
        inputs = prompts_of(r, config, f"generate{i}")
        setting = settings(r, config["vocab_size"], inputs["input_ids"].shape[1])
        if "attention_mask" not in inputs:  # a last token that is taken for padding is an error of weft
            pad = setting.get("pad_token_id", config.get("pad_token_id"))
            last = inputs["input_ids"][:, -1]
            last[last == pad] = (pad or 0) + 1
        with tempfile.TemporaryDirectory() as tmp:
            folder, file = os.path.join(tmp, "model"), os.path.join(tmp, "in.safetensors")
            stored, given = {}, dict(setting)
            if r.random() < 0.4:  # some settings come from generation_config.json
                for k in list(given):
                    if r.random() < 0.5 and given[k] is not None:
                        stored[k] = given.pop(k)
            try:
                common.write_checkpoint(Case(f"generate{i}", cls, config, {}, dtype=r.choice(["F32", "F32", "BF16"])), folder)
                if stored or r.random() < 0.5:
                    kept = {k: config[k] for k in ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id") if config.get(k) is not None}
                    with open(os.path.join(folder, "generation_config.json"), "w") as f:
                        json.dump({**kept, **stored}, f)
                want = expected(folder, cls, inputs, given)
            except Exception as e:  # what Transformers cannot run
                note(left_out, f"{type(e).__name__}: {str(e)[:60]}")
                continue
            if want is None:
                note(left_out, "rounding decides")
                continue
            common.save_file(common.to_torch(inputs), file)
            argv = [a.weft, "generate", "--model", folder, "--in", file, "--json"]
            for k, v in given.items():
                argv += ["--set", f"{k}={json.dumps(v)}"]
            p = subprocess.run(argv, capture_output=True, text=True)
            last = (p.stderr.strip().splitlines() or [""])[-1]
            if p.returncode == 3:
                note(refused, last)
                continue
            error = last
            if p.returncode == 0:
                got = json.loads(p.stdout)["sequences"]
                if got == want:
                    passed += 1
                    continue
                row = next((n for n in range(len(want)) if n >= len(got) or got[n] != want[n]), len(want))
                error = f"row {row}:\n  got  {got[row:row + 1]}\n  want {want[row:row + 1]}"
            failed += 1
            print(f"{i} {cls} {setting}: {error}", flush=True)
            if a.keep:
                shutil.copytree(tmp, os.path.join(a.keep, str(i)), dirs_exist_ok=True)
                with open(os.path.join(a.keep, str(i), "argv.json"), "w") as f:
                    json.dump(argv, f)
    for what, table in (("refused", refused), ("left out", left_out)):
        for line, n in sorted(table.items(), key=lambda x: -x[1]):
            print(f"{what} {n}: {line}")
    print(f"{passed} passed, {failed} failed, {sum(refused.values())} refused, {sum(left_out.values())} left out")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
