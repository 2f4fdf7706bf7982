#!/usr/bin/env python3
"""Checkpoints quantized by the compressed-tensors package, with its own outputs: quant.py OUT [WEFT].

Writes OUT/NAME/{config.json, model.safetensors, case.safetensors} for each scheme; the case holds input_ids and
last_hidden_state. Activations are computed in float32 there, so that what is compared is how the weights are read.
With WEFT, the command built from cmd/weft, it writes those of MORE too, runs all and prints how close they come.
Needs torch, transformers, compressed-tensors.
"""
import json
import os
import subprocess
import sys

import torch
from compressed_tensors.compressors import ModelCompressor
from compressed_tensors.quantization import (QuantizationArgs, QuantizationConfig, QuantizationScheme, QuantizationStatus,
                                             apply_quantization_config)
from compressed_tensors.quantization.utils import calculate_qparams
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel

CONFIG = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, vocab_size=31, type_vocab_size=1,
                    max_position_embeddings=16, architectures=["BertModel"])


def ints(**k):
    return QuantizationArgs(type="int", **k)


TOKEN = ints(num_bits=8, symmetric=True, strategy="token", dynamic=True)
SCHEMES = {
    "w8a8": dict(weights=ints(num_bits=8, symmetric=True, strategy="channel"), input_activations=TOKEN),
    "w8a8_tensor": dict(weights=ints(num_bits=8, symmetric=True, strategy="tensor"), input_activations=TOKEN),
    "w8a8_asymmetric": dict(weights=ints(num_bits=8, symmetric=False, strategy="channel"), input_activations=TOKEN),
    "w8": dict(weights=ints(num_bits=8, symmetric=True, strategy="channel")),
    "w8_group": dict(weights=ints(num_bits=8, symmetric=True, strategy="group", group_size=16)),
    "w4_group": dict(weights=ints(num_bits=4, symmetric=True, strategy="group", group_size=16)),
    "w4_channel": dict(weights=ints(num_bits=4, symmetric=True, strategy="channel")),
    "w4_asymmetric": dict(weights=ints(num_bits=4, symmetric=False, strategy="group", group_size=16)),
}
STATIC = dict(num_bits=8, strategy="tensor", dynamic=False)
# What else is to be read, or refused by its name, on a wider model.
MORE = {
    **{f"w4_group{n}": dict(weights=ints(num_bits=4, symmetric=True, strategy="group", group_size=n)) for n in (32, 64, 128)},
    **{f"w4_asymmetric{n}": dict(weights=ints(num_bits=4, symmetric=False, strategy="group", group_size=n)) for n in (32, 64, 128)},
    "w8_packed_group": dict(weights=ints(num_bits=8, symmetric=False, strategy="group", group_size=32), format="pack-quantized"),
    "w8_naive": dict(weights=ints(num_bits=8, symmetric=True, strategy="channel"), format="naive-quantized"),
    "w8a8_static": dict(weights=ints(num_bits=8, symmetric=True, strategy="channel"), input_activations=ints(symmetric=True, **STATIC)),
    "w8a8_static_asymmetric": dict(weights=ints(num_bits=8, symmetric=True, strategy="channel"), input_activations=ints(symmetric=False, **STATIC)),
    "w8a8_ignore": dict(weights=ints(num_bits=8, symmetric=True, strategy="channel"), input_activations=TOKEN, ignore=["re:.*attention.self.*", "re:.*output"]),
    "w8a8_targets": dict(weights=ints(num_bits=8, symmetric=True, strategy="channel"), input_activations=TOKEN, targets=["re:.*self.(query|key|value)$", "encoder.layer.0.intermediate.dense"]),
    "w4_actorder_weight": dict(weights=ints(num_bits=4, symmetric=True, strategy="group", group_size=32, actorder="weight")),
    "w8_float": dict(weights=QuantizationArgs(num_bits=8, type="float", symmetric=True, strategy="channel")),
    "w6": dict(weights=ints(num_bits=6, symmetric=True, strategy="channel")),
}


def calibrate(module):
    """Sets the scale and zero point of a module from its weight."""
    w, a = module.weight.data, module.quantization_scheme.weights
    if a.strategy == "group":
        x = w.unflatten(-1, (-1, a.group_size))
        low, high = x.amin(-1), x.amax(-1)
    elif a.strategy == "channel":
        low, high = w.amin(1, keepdim=True), w.amax(1, keepdim=True)
    else:
        low, high = w.amin().reshape(1), w.amax().reshape(1)
    scale, zero = calculate_qparams(low, high, a)
    module.weight_scale.data.copy_(scale.reshape(module.weight_scale.shape))
    if getattr(module, "weight_zero_point", None) is not None:
        module.weight_zero_point.data.copy_(zero.reshape(module.weight_zero_point.shape))
    if hasattr(module, "input_scale"):
        module.input_scale.data.fill_(0.05)
    module.quantization_status = QuantizationStatus.FROZEN


def main(out, weft=None):
    for name, scheme in {**SCHEMES, **(MORE if weft else {})}.items():
        scheme = dict(scheme)
        wide = dict(hidden_size=128, intermediate_size=256) if name in MORE else {}
        base = BertConfig(**{**CONFIG.to_diff_dict(), **wide})
        targets, ignore = scheme.pop("targets", ["Linear"]), scheme.pop("ignore", ["encoder.layer.0.attention.output.dense"])
        torch.manual_seed(1)
        model = BertModel(base, add_pooling_layer=False).eval()
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(torch.randn_like(p) * (0.15 if name in SCHEMES else 0.08))
        config = QuantizationConfig(config_groups={"group_0": QuantizationScheme(targets=targets, **scheme)}, ignore=ignore,
                                    quantization_status="initialized")
        apply_quantization_config(model, config)
        for module in model.modules():
            if getattr(module, "quantization_scheme", None) is not None:
                calibrate(module)
                module.quantization_enabled = True
                module.quantization_scheme.input_activations = None
        ids = torch.randint(0, 31, (2, 7), generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            want = model(input_ids=ids).last_hidden_state
        for module in model.modules():
            if getattr(module, "quantization_scheme", None) is not None and "input_activations" in scheme:
                module.quantization_scheme.input_activations = scheme["input_activations"]
        compressor = ModelCompressor.from_pretrained_model(model)
        compressor.compress_model(model)
        folder = os.path.join(out, name)
        os.makedirs(folder, exist_ok=True)
        save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()}, os.path.join(folder, "model.safetensors"),
                  metadata={"format": "pt"})
        base.save_pretrained(folder)
        compressor.update_config(folder)
        save_file({"input_ids": ids, "last_hidden_state": want.contiguous()}, os.path.join(folder, "case.safetensors"))
        print(name, json.load(open(os.path.join(folder, "config.json")))["quantization_config"]["format"], compare(weft, folder, want) if weft else "")


def compare(weft, folder, want):
    """The cosine of weft's output with want, or why it does not run."""
    case, out = os.path.join(folder, "case.safetensors"), os.path.join(folder, "out.safetensors")
    save_file({"input_ids": load_file(case)["input_ids"]}, out)
    p = subprocess.run([weft, "run", "--model", folder, "--in", out, "--out", out], capture_output=True, text=True)
    if p.returncode:
        return f"status {p.returncode}: {p.stderr.strip()}"
    return torch.nn.functional.cosine_similarity(load_file(out)["last_hidden_state"].flatten(), want.flatten(), 0).item()


main(*sys.argv[1:])
