#!/usr/bin/env python3
"""Measures weft on a GPU beside PyTorch on the same card, in one run.

    CGO_ENABLED=1 go build -tags cuda -o weft ./cmd/weft
    python3 docs/cuda_peers.py --weft ./weft [--cases REGEX] [--out FILE]

Needs PyTorch with CUDA, nothing else: the models are stated below in plain
PyTorch (attention by scaled_dot_product_attention), and their random weights
are written under the names of Hugging Face's checkpoints. Operations are timed
by the card's clock, the least of five runs of many; models from input to output
in host memory, in rounds that go from peer to peer. A JSON object a line:

    {"name": "gemm_bf16/…", "weft_us": …, "torch_us": …, "ratio": torch/weft, …}
    {"name": "bert-base/b1s128", "precision": "bf16", "weft_ms": …, "eager_ms": …, "compile_ms": …, "check": …}

ratio above 1: weft is faster. --device cpu runs the models' part on the CPU: a
check of this file where there is no card.
"""
import argparse
import json
import math
import os
import re
import struct
import subprocess
import sys
import tempfile
import time

import torch
import torch.nn.functional as F

GPU_ARGS = []


def emit(out, line):
    text = json.dumps(line)
    print(text, flush=True)
    if out:
        out.write(text + "\n")
        out.flush()


# Checkpoints.

def write_safetensors(path, tensors):
    names = {torch.float32: "F32", torch.int64: "I64"}
    header, at = {}, 0
    for name, t in tensors.items():
        n = t.numel() * t.element_size()
        header[name] = {"dtype": names[t.dtype], "shape": list(t.shape), "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            f.write(t.contiguous().cpu().numpy().tobytes())


def weights(shapes, seed=1):
    """Random weights: gains near 1, everything else small."""
    g = torch.Generator().manual_seed(seed)
    out = {}
    for name, shape in shapes.items():
        x = torch.randn(shape, generator=g) * 0.02
        if name.endswith(("norm.weight", "Norm.weight", "layernorm.weight", "ln_1.weight", "ln_2.weight", "ln_f.weight",
                          "layernorm_before.weight", "layernorm_after.weight")):
            x = x + 1
        if "conv_layers" in name and name.endswith("conv.weight"):
            x = x * (50 / math.sqrt(shape[1] * shape[2]))
        if name.endswith(("weight_g",)):
            x = x.abs() + 1
        out[name] = x
    return out


def linear(shapes, name, out, n):
    shapes[name + ".weight"], shapes[name + ".bias"] = (out, n), (out,)


def norm(shapes, name, n):
    shapes[name + ".weight"], shapes[name + ".bias"] = (n,), (n,)


def attend(q, k, v, heads, causal=False):
    split = lambda x: x.unflatten(-1, (heads, -1)).transpose(1, 2)
    return F.scaled_dot_product_attention(split(q), split(k), split(v), is_causal=causal).transpose(1, 2).flatten(2)


class Bert:
    config = {"model_type": "bert", "architectures": ["BertModel"], "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12,
              "num_attention_heads": 12, "intermediate_size": 3072, "hidden_act": "gelu", "max_position_embeddings": 512,
              "type_vocab_size": 2, "layer_norm_eps": 1e-12}
    eps = 1e-12

    @staticmethod
    def shapes():
        s = {"embeddings.word_embeddings.weight": (30522, 768), "embeddings.position_embeddings.weight": (512, 768),
             "embeddings.token_type_embeddings.weight": (2, 768)}
        norm(s, "embeddings.LayerNorm", 768)
        for i in range(12):
            p = f"encoder.layer.{i}."
            for n in ("query", "key", "value"):
                linear(s, p + "attention.self." + n, 768, 768)
            linear(s, p + "attention.output.dense", 768, 768)
            norm(s, p + "attention.output.LayerNorm", 768)
            linear(s, p + "intermediate.dense", 3072, 768)
            linear(s, p + "output.dense", 768, 3072)
            norm(s, p + "output.LayerNorm", 768)
        linear(s, "pooler.dense", 768, 768)
        return s

    @classmethod
    def forward(cls, w, ids):
        lin = lambda x, n: F.linear(x, w[n + ".weight"], w[n + ".bias"])
        ln = lambda x, n: F.layer_norm(x, (768,), w[n + ".weight"], w[n + ".bias"], cls.eps)
        e = "embeddings."
        x = w[e + "word_embeddings.weight"][ids] + w[e + "token_type_embeddings.weight"][0] + w[e + "position_embeddings.weight"][:ids.shape[1]]
        x = ln(x, e + "LayerNorm")
        for i in range(12):
            p = f"encoder.layer.{i}."
            h = attend(*(lin(x, p + "attention.self." + n) for n in ("query", "key", "value")), 12)
            x = ln(lin(h, p + "attention.output.dense") + x, p + "attention.output.LayerNorm")
            h = lin(F.gelu(lin(x, p + "intermediate.dense")), p + "output.dense")
            x = ln(h + x, p + "output.LayerNorm")
        pooled = torch.tanh(lin(x[:, 0], "pooler.dense"))
        return x, pooled


class ViT:
    config = {"model_type": "vit", "architectures": ["ViTModel"], "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
              "intermediate_size": 3072, "hidden_act": "gelu", "image_size": 224, "patch_size": 16, "num_channels": 3,
              "layer_norm_eps": 1e-12, "qkv_bias": True}

    @staticmethod
    def shapes():
        e = "embeddings."
        s = {e + "cls_token": (1, 1, 768), e + "position_embeddings": (1, 197, 768),
             e + "patch_embeddings.projection.weight": (768, 3, 16, 16), e + "patch_embeddings.projection.bias": (768,)}
        for i in range(12):
            p = f"encoder.layer.{i}."
            for n in ("query", "key", "value"):
                linear(s, p + "attention.attention." + n, 768, 768)
            linear(s, p + "attention.output.dense", 768, 768)
            linear(s, p + "intermediate.dense", 3072, 768)
            linear(s, p + "output.dense", 768, 3072)
            norm(s, p + "layernorm_before", 768)
            norm(s, p + "layernorm_after", 768)
        norm(s, "layernorm", 768)
        return s

    @staticmethod
    def forward(w, pixels):
        lin = lambda x, n: F.linear(x, w[n + ".weight"], w[n + ".bias"])
        ln = lambda x, n: F.layer_norm(x, (768,), w[n + ".weight"], w[n + ".bias"], 1e-12)
        e = "embeddings."
        pixels = pixels.to(w[e + "cls_token"].dtype)
        x = F.conv2d(pixels, w[e + "patch_embeddings.projection.weight"], w[e + "patch_embeddings.projection.bias"], stride=16)
        x = torch.cat([w[e + "cls_token"].expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], 1) + w[e + "position_embeddings"]
        for i in range(12):
            p = f"encoder.layer.{i}."
            y = ln(x, p + "layernorm_before")
            h = attend(*(lin(y, p + "attention.attention." + n) for n in ("query", "key", "value")), 12)
            x = lin(h, p + "attention.output.dense") + x
            x = lin(F.gelu(lin(ln(x, p + "layernorm_after"), p + "intermediate.dense")), p + "output.dense") + x
        return (ln(x, "layernorm"),)


class Wav2Vec2:
    config = {"model_type": "wav2vec2", "architectures": ["Wav2Vec2Model"], "hidden_size": 768, "num_hidden_layers": 12,
              "num_attention_heads": 12, "intermediate_size": 3072, "hidden_act": "gelu", "feat_extract_norm": "group",
              "feat_extract_activation": "gelu", "conv_dim": [512] * 7, "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
              "conv_stride": [5, 2, 2, 2, 2, 2, 2], "conv_bias": False, "num_conv_pos_embeddings": 128,
              "num_conv_pos_embedding_groups": 16, "do_stable_layer_norm": False, "layer_norm_eps": 1e-5}

    @classmethod
    def shapes(cls):
        s, n = {}, 1
        for i, k in enumerate(cls.config["conv_kernel"]):
            s[f"feature_extractor.conv_layers.{i}.conv.weight"] = (512, n, k)
            n = 512
        norm(s, "feature_extractor.conv_layers.0.layer_norm", 512)
        norm(s, "feature_projection.layer_norm", 512)
        linear(s, "feature_projection.projection", 768, 512)
        s["encoder.pos_conv_embed.conv.weight_g"] = (1, 1, 128)
        s["encoder.pos_conv_embed.conv.weight_v"] = (768, 48, 128)
        s["encoder.pos_conv_embed.conv.bias"] = (768,)
        norm(s, "encoder.layer_norm", 768)
        for i in range(12):
            p = f"encoder.layers.{i}."
            for n in ("q_proj", "k_proj", "v_proj", "out_proj"):
                linear(s, p + "attention." + n, 768, 768)
            norm(s, p + "layer_norm", 768)
            linear(s, p + "feed_forward.intermediate_dense", 3072, 768)
            linear(s, p + "feed_forward.output_dense", 768, 3072)
            norm(s, p + "final_layer_norm", 768)
        return s

    @classmethod
    def forward(cls, w, samples):
        lin = lambda x, n: F.linear(x, w[n + ".weight"], w[n + ".bias"])
        ln = lambda x, n: F.layer_norm(x, x.shape[-1:], w[n + ".weight"], w[n + ".bias"], 1e-5)
        x = samples.to(w["encoder.layer_norm.weight"].dtype)[:, None]
        f = "feature_extractor.conv_layers."
        for i, stride in enumerate(cls.config["conv_stride"]):
            x = F.conv1d(x, w[f"{f}{i}.conv.weight"], stride=stride)
            if i == 0:
                x = F.group_norm(x, 512, w[f + "0.layer_norm.weight"], w[f + "0.layer_norm.bias"], 1e-5)
            x = F.gelu(x)
        features = ln(x.transpose(1, 2), "feature_projection.layer_norm")
        x = lin(features, "feature_projection.projection")
        c = "encoder.pos_conv_embed.conv."
        v = w[c + "weight_v"]
        kernel = w[c + "weight_g"] * v / v.float().norm(dim=(0, 1), keepdim=True).to(v.dtype)
        pos = F.gelu(F.conv1d(x.transpose(1, 2), kernel, w[c + "bias"], padding=64, groups=16)[..., :-1])
        x = ln(x + pos.transpose(1, 2), "encoder.layer_norm")
        for i in range(12):
            p = f"encoder.layers.{i}."
            h = attend(*(lin(x, p + "attention." + n) for n in ("q_proj", "k_proj", "v_proj")), 12)
            x = ln(x + lin(h, p + "attention.out_proj"), p + "layer_norm")
            h = lin(F.gelu(lin(x, p + "feed_forward.intermediate_dense")), p + "feed_forward.output_dense")
            x = ln(x + h, p + "final_layer_norm")
        return x, features


class GPT2:
    config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 50257, "n_positions": 1024, "n_embd": 768,
              "n_layer": 12, "n_head": 12, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True}

    @staticmethod
    def shapes():
        s = {"transformer.wte.weight": (50257, 768), "transformer.wpe.weight": (1024, 768)}
        for i in range(12):
            p = f"transformer.h.{i}."
            norm(s, p + "ln_1", 768)
            norm(s, p + "ln_2", 768)
            for n, a, b in (("attn.c_attn", 768, 2304), ("attn.c_proj", 768, 768), ("mlp.c_fc", 768, 3072), ("mlp.c_proj", 3072, 768)):
                s[p + n + ".weight"], s[p + n + ".bias"] = (a, b), (b,)
        norm(s, "transformer.ln_f", 768)
        return s

    @staticmethod
    def forward(w, ids, *past):
        lin = lambda x, n: x @ w[n + ".weight"] + w[n + ".bias"]
        ln = lambda x, n: F.layer_norm(x, (768,), w[n + ".weight"], w[n + ".bias"], 1e-5)
        t = "transformer."
        at = past[0].shape[2] if past else 0
        x = w[t + "wte.weight"][ids] + w[t + "wpe.weight"][at:at + ids.shape[1]]
        for i in range(12):
            p = f"{t}h.{i}."
            q, k, v = (y.unflatten(-1, (12, 64)).transpose(1, 2) for y in lin(ln(x, p + "ln_1"), p + "attn.c_attn").split(768, -1))
            if past:
                k, v = torch.cat([past[2 * i].to(k.dtype), k], 2), torch.cat([past[2 * i + 1].to(v.dtype), v], 2)
            h = F.scaled_dot_product_attention(q, k, v, is_causal=not past).transpose(1, 2).flatten(2)
            x = x + lin(h, p + "attn.c_proj")
            x = x + lin(F.gelu(lin(ln(x, p + "ln_2"), p + "mlp.c_fc"), approximate="tanh"), p + "mlp.c_proj")
        return (ln(x[:, -1], t + "ln_f") @ w[t + "wte.weight"].T,)


def model_inputs():
    g = torch.Generator().manual_seed(2)
    ids = lambda b, s, n: torch.randint(0, n, (b, s), generator=g)
    past = [torch.randn(1, 12, 128, 64, generator=g) * 0.5 for _ in range(24)]
    return [
        ("bert-base", "b1s128", Bert, [ids(1, 128, 30522)]), ("bert-base", "b32s128", Bert, [ids(32, 128, 30522)]),
        ("vit-b16", "b1", ViT, [torch.randn(1, 3, 224, 224, generator=g)]), ("vit-b16", "b32", ViT, [torch.randn(32, 3, 224, 224, generator=g)]),
        ("wav2vec2-base", "10s", Wav2Vec2, [torch.randn(1, 160000, generator=g)]),
        ("gpt2", "prefill128", GPT2, [ids(1, 128, 50257)]), ("gpt2", "decode128", GPT2, [ids(1, 1, 50257)] + past),
    ]


class Worker:
    """weft bench --serve."""

    def __init__(self, command):
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, name, iters):
        self.p.stdin.write(f"run {name} {os.cpu_count()} {iters}\n")
        self.p.stdin.flush()
        return json.loads(self.p.stdout.readline())

    def close(self):
        self.p.stdin.write("quit\n")
        self.p.stdin.close()
        self.p.wait()


def sync(device):
    if device == "cuda":
        torch.cuda.synchronize()


@torch.inference_mode()
def bench_models(args, out):
    device = args.device
    folder = tempfile.mkdtemp()
    for model, case, cls, inputs in model_inputs():
        name = f"{model}/{case}"
        if not re.search(args.cases, name):
            continue
        path = os.path.join(folder, model)
        w32 = weights(cls.shapes())
        if not os.path.exists(path):
            os.mkdir(path)
            write_safetensors(os.path.join(path, "model.safetensors"), w32)
            with open(os.path.join(path, "config.json"), "w") as f:
                json.dump(cls.config, f)
        w = {n: x.to(device) for n, x in w32.items()}
        on_device = [x.to(device) for x in inputs]
        expected = cls.forward(w, *on_device)[0].float().cpu()
        files = {f"in{i}": x for i, x in enumerate(inputs)}
        write_safetensors(os.path.join(path, case + ".safetensors"), {**files, "expected": expected})
        for precision in args.precisions.split(","):
            dtype = torch.bfloat16 if precision == "bf16" else torch.float32
            wt = {n: x.to(dtype) for n, x in w.items()}
            past = [x.to(dtype) for x in on_device[1:]]  # a cache stays on the device

            def peer(f):
                def call():
                    return [y.float().cpu() for y in f(wt, inputs[0].to(device), *past)]
                return call
            peers = {"eager": peer(cls.forward)}
            if args.compile:
                peers["compile"] = peer(torch.compile(cls.forward, mode="reduce-overhead" if device == "cuda" else "default", dynamic=False))
            worker = Worker([args.weft, "bench", "--serve", "--models", folder, "--precision", precision] + GPU_ARGS)
            line = {"name": name, "precision": precision}
            times = {k: [] for k in ["weft", *peers]}
            iters = {}
            for round in range(args.rounds + 3):
                for k in times:
                    n = iters.get(k, 1)
                    if k == "weft":
                        a = worker.run(name, n)
                        if "error" in a:
                            line["error"] = a["error"]
                            break
                        ms, line["check"] = a["ns"] / 1e6, a.get("check")
                    else:
                        sync(device)
                        start = time.perf_counter()
                        try:
                            for _ in range(n):
                                peers[k]()
                        except Exception as e:  # a peer that does not run takes no part
                            line[k + "_error"] = str(e).splitlines()[0]
                            continue
                        sync(device)
                        ms = (time.perf_counter() - start) * 1e3 / n
                    if round >= 3:
                        times[k].append(ms)
                    elif round > 0:
                        iters[k] = max(1, int(200 / max(ms, 0.01)))
                if "error" in line:
                    break
            worker.close()
            for k, v in times.items():
                if v:
                    line[k + "_ms"] = round_to(min(v))
            fastest = min([line[k + "_ms"] for k in peers if k + "_ms" in line], default=None)
            if fastest and "weft_ms" in line:
                line["ratio"] = round_to(fastest / line["weft_ms"])
            if case == "decode128" and "weft_ms" in line and args.bandwidth:
                size = sum(x.numel() for x in w32.values()) - w32["transformer.wpe.weight"].numel()
                line["of_bandwidth"] = round_to(size * (2 if precision == "bf16" else 4) / (line["weft_ms"] / 1e3) / args.bandwidth)
            emit(out, line)


def round_to(x):
    return float(f"{x:.4g}")


# Operations.

def device_time(f):
    """Microseconds of f by the card's clock: the least of five runs of many, as weft bench has it."""
    f()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        f()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)

    def run(n):
        start.record()
        for _ in range(n):
            graph.replay()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / n
    once = run(3)
    n = int(min(1000, 1 + 2 / max(once, 1e-3)))
    return 1e3 * min(run(n) for _ in range(5))


def torch_case(name):
    """The operation of a line of weft bench, or None."""
    kind, _, rest = name.partition("/")
    op, _, typ = kind.rpartition("_")
    p = {k: v for k, _, v in (part.partition("=") for part in rest.split("/"))}
    dtype = torch.bfloat16 if typ == "bf16" else torch.float32
    r = lambda *shape: torch.randn(*shape, device="cuda", dtype=dtype)
    n = lambda k: int(p[k])
    if op == "gemm":
        x, w = r(n("m"), n("k")), r(n("n"), n("k"))
        return lambda: F.linear(x, w)
    if op == "attention":
        q, k, v = (r(n("sequences"), n("heads"), n("tokens"), n("d")) for _ in range(3))
        return lambda: F.scaled_dot_product_attention(q, k, v)
    if op == "decode":
        q = r(n("sequences"), n("heads"), 1, n("d"))
        k, v = (r(n("sequences"), n("heads"), n("keys"), n("d")) for _ in range(2))
        return lambda: F.scaled_dot_product_attention(q, k, v)
    if op == "conv":
        kh, kw = map(int, p["kernel"].split("x"))
        x = r(1, n("in"), n("h"), n("w")).to(memory_format=torch.channels_last)
        w = r(n("out"), n("in") // n("groups"), kh, kw).to(memory_format=torch.channels_last)
        pad = (kh // 2, kw // 2)
        return lambda: F.conv2d(x, w, stride=n("stride"), padding=pad, groups=n("groups"))
    if "rows" in p:
        x, y, g = r(n("rows"), n("cols")), r(n("rows"), n("cols")), r(n("cols"))
        return {"gelu": lambda: F.gelu(x), "add": lambda: x + y, "softmax": lambda: F.softmax(x, -1),
                "layer_norm": lambda: F.layer_norm(x + y, x.shape[-1:], g, g), "rms_norm": lambda: F.rms_norm(x, x.shape[-1:], g)}.get(op)
    return None


@torch.inference_mode()
def bench_operations(args, out):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    for precision in args.precisions.split(","):
        p = subprocess.run([args.weft, "bench", "--json", "--precision", precision, *GPU_ARGS, args.cases], stdout=subprocess.PIPE, text=True)
        if p.returncode != 0:
            emit(out, {"name": "operations", "precision": precision, "error": f"exit status {p.returncode}"})
        for line in p.stdout.splitlines():
            r = json.loads(line)
            if r["name"] == "peak_memory":
                args.bandwidth = r["gbs"] * 1e9
            if "ns" not in r:
                continue
            r = {"name": r["name"], "weft_us": round_to(r["ns"] / 1e3), **{k: round_to(r[k]) for k in ("gflops", "gbs", "of_peak") if r.get(k)}}
            try:
                f = torch_case(r["name"])
                if f:
                    r["torch_us"] = round_to(device_time(f))
                    r["ratio"] = round_to(r["torch_us"] / r["weft_us"])
            except Exception as e:
                r["torch_error"] = str(e).splitlines()[0]
            torch.cuda.empty_cache()
            emit(out, r)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--weft", required=True, help="the program, built with -tags cuda")
    a.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    a.add_argument("--cases", default="", help="regular expression of names")
    a.add_argument("--precisions", default="bf16,f32")
    a.add_argument("--rounds", type=int, default=7)
    a.add_argument("--no-compile", dest="compile", action="store_false")
    a.add_argument("--only", choices=["operations", "models"])
    a.add_argument("--out", help="file to append the lines to")
    args = a.parse_args()
    args.bandwidth = 0
    out = open(args.out, "a") if args.out else None
    if args.device == "cuda":
        GPU_ARGS[:] = ["--device", "cuda"]
        info = torch.cuda.get_device_properties(0)
        emit(out, {"device": info.name, "capability": f"{info.major}.{info.minor}", "torch": torch.__version__, "cuda": torch.version.cuda})
    if args.device == "cuda" and args.only != "models":
        bench_operations(args, out)
    if args.only != "operations":
        bench_models(args, out)


if __name__ == "__main__":
    sys.exit(main())
