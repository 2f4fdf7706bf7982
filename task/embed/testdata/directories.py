"""Compares weft embed with sentence-transformers on random directories: every
pooling mode and mix of them, dense layers, layer norms, normalisation, prompts
and length limits.

    python directories.py WEFT [COUNT]

WEFT is the command built from cmd/weft. Run with sentence-transformers 6.2,
transformers 5.23, torch 2.15.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling

TEXT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../testdata/demo/encoders/text")
MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
ACTIVATIONS = [torch.nn.Tanh, torch.nn.Identity, torch.nn.ReLU, torch.nn.GELU, torch.nn.SiLU, torch.nn.Sigmoid]
SENTENCES = ["The cat looks.", "", "two DOGS run along the beach " * 20, "where is the station?", "Ünknown wörds 猫", "a", "people walk across the bridge in the rain . " * 3]


def randomise(module, generator):
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * (p[0].numel() ** -0.5 if p.dim() > 1 else 0.3) + (p.dim() == 1) * 0.5)


def build(r, folder):
    base = os.path.join(folder, "base")
    shutil.copytree(TEXT, base)
    transformers.AutoModel.from_pretrained(TEXT, dtype=torch.float32).save_pretrained(base)  # float16 would be computed as such
    transformers.PreTrainedTokenizerFast(tokenizer_file=os.path.join(base, "tokenizer.json"), pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]", mask_token="[MASK]").save_pretrained(base)
    first = Transformer(base, **({"max_seq_length": r.randint(3, 60)} if r.random() < 0.7 else {}), **({"do_lower_case": True} if r.random() < 0.3 else {}))
    modes = tuple(r.sample(MODES, r.choice([1, 1, 1, 2, 3])))
    pooling = Pooling(48, pooling_mode=modes, include_prompt=r.random() < 0.6)
    modules, width = [first, pooling], 48 * len(modes)
    g = torch.Generator().manual_seed(r.randrange(1 << 30))
    for _ in range(r.randint(0, 3)):
        kind = r.choice(["dense", "dense", "norm", "normalize"])
        if kind == "dense":
            out = r.choice([width, r.randint(1, 70)])
            modules.append(Dense(width, out, bias=r.random() < 0.7, activation_function=r.choice(ACTIVATIONS)()))
            width = out
        elif kind == "norm":
            modules.append(LayerNorm(width))
        else:
            modules.append(Normalize())
        randomise(modules[-1], g)
    prompts, default = {}, None
    if r.random() < 0.5:
        prompts, default = {"query": "the picture shows ", "document": ""}, r.choice(["query", "document", None])
    model = SentenceTransformer(modules=modules, prompts=prompts, default_prompt_name=default, truncate_dim=r.choice([None, None, r.randint(1, 60)]), device="cpu")
    out = os.path.join(folder, "model")
    model.save(out)
    return out


def main(weft, count=60):
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    failed = 0
    for seed in range(count):
        r = random.Random(seed)
        with tempfile.TemporaryDirectory() as tmp:
            folder = build(r, tmp)
            if r.random() < 0.5:  # as older versions wrote it
                path = os.path.join(folder, "1_Pooling", "config.json")
                with open(path) as f:
                    c = json.load(f)
                modes = c.pop("pooling_mode")
                modes = [modes] if isinstance(modes, str) else modes
                legacy = {"cls": "cls_token", "max": "max_tokens", "mean": "mean_tokens", "mean_sqrt_len_tokens": "mean_sqrt_len_tokens", "weightedmean": "weightedmean_tokens", "lasttoken": "lasttoken"}
                c.update({"pooling_mode_" + v: k in modes for k, v in legacy.items()}, word_embedding_dimension=c.pop("embedding_dimension"))
                with open(path, "w") as f:
                    json.dump(c, f)
            want = SentenceTransformer(folder, device="cpu").encode(SENTENCES)
            lines, out = os.path.join(tmp, "lines.jsonl"), os.path.join(tmp, "out.safetensors")
            with open(lines, "w", encoding="utf-8") as f:
                f.writelines(json.dumps(s) + "\n" for s in SENTENCES)
            p = subprocess.run([weft, "embed", "--model", folder, "--text-file", lines, "--out", out], capture_output=True, text=True)
            if p.returncode:
                failed += 1
                print(seed, p.stderr.strip().splitlines()[-1])
                continue
            got = load_file(out)["embeddings"]
            off = np.abs(got - want).max() if got.shape == want.shape else np.inf
            if not off <= 5e-5 * (1 + np.abs(want).max()):
                failed += 1
                print(seed, got.shape, want.shape, off, np.abs(got - want).max(axis=1) if got.shape == want.shape else "", open(os.path.join(folder, "modules.json")).read()[-300:] if got.shape != want.shape else "")
    print(f"{count - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
