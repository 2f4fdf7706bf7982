"""What the generators of reference outputs share: a case, its random
checkpoint, and its outputs from Hugging Face Transformers.

A case is one checkpoint, one class, one set of inputs. Weights are random but
far from degenerate: norms have random gains and biases, attention is sharp
enough to differ from a mean, and activations stay of order one. The reference
is always from_pretrained() of the folder as written, so that what is compared
is how Transformers reads the files, in float32; the same in float64 tells
Transformers' own rounding error ("noise").
"""

import dataclasses
import json
import os
import shutil
import zlib

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file

TORCH = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}


@dataclasses.dataclass
class Case:
    name: str
    cls: str  # the class whose checkpoint is written
    config: dict
    inputs: dict  # forward()'s tensors, float32 and int64
    set: dict = dataclasses.field(default_factory=dict)  # forward()'s scalar arguments
    hidden: bool = True  # compare every layer's output
    dtype: str = "F32"  # of the weights on disk
    shard: str = ""  # the largest shard, as save_pretrained takes it
    run_as: str = ""  # the class that is run, if not cls
    by_architecture: bool = False  # run_as goes to config.json instead of --class
    rename: object = None  # state dict -> state dict, applied to the file
    keys: dict = dataclasses.field(default_factory=dict)  # raw keys of config.json; None removes
    missing: tuple = ()  # tensors that Transformers may lack (tied ones)
    tol: float = 5e-5
    model: str = ""  # the folder of another case whose checkpoint this one uses
    float64: bool = True
    init: dict = dataclasses.field(default_factory=dict)  # keyword arguments of the class
    generate: list = dataclasses.field(default_factory=list)  # calls of generate(): "set" and its inputs


def rng(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def fill(model, name):
    """Gives every parameter and buffer of the model random values."""
    g = torch.Generator().manual_seed(zlib.crc32(name.encode()))

    def normal(t, std, mean=0.0):
        with torch.no_grad():
            t.copy_(torch.randn(t.shape, generator=g) * std + mean)

    norms = (torch.nn.LayerNorm, torch.nn.GroupNorm, torch.nn.BatchNorm1d)
    seen = set()
    for mname, m in model.named_modules():
        for pname, p in m.named_parameters(recurse=False):
            if id(p) in seen:
                continue
            seen.add(id(p))
            full = f"{mname}.{pname}"
            if isinstance(m, norms) or type(m).__name__.endswith(("RMSNorm", "LayerNorm")):
                normal(p, 0.25, 1.0 if pname == "weight" else 0.0)
            elif "parametrizations" in full and pname == "original0":
                with torch.no_grad():
                    p.copy_(0.4 + torch.rand(p.shape, generator=g))
            elif isinstance(m, torch.nn.PReLU):
                normal(p, 0.05, 0.25)
            elif pname == "logit_scale":
                normal(p, 0.3, 1.5)
            elif pname == "bias" or p.dim() == 1:
                normal(p, 0.4)
            elif isinstance(m, torch.nn.Embedding) or p.dim() == 3 and p.shape[0] == 1 and "original" not in pname:
                normal(p, 0.8)
            else:
                # experts are stacked: [experts, out, in]
                fan = p.shape[-1] if pname in ("gate_up_proj", "down_proj") else p[0].numel()
                sharp = any(s in full for s in ("query", "key", "q_proj", "k_proj", "q_lin", "k_lin"))
                normal(p, (1.7 if sharp else 1.1) / fan**0.5)
        if isinstance(m, torch.nn.BatchNorm1d):
            normal(m.running_mean, 0.5)
            with torch.no_grad():
                m.running_var.copy_(0.5 + torch.rand(m.running_var.shape, generator=g))


def write_checkpoint(case, folder):
    os.makedirs(folder, exist_ok=True)
    cls = getattr(transformers, case.cls)
    torch.manual_seed(0)
    model = cls(cls.config_class(**case.config), **case.init).eval()
    fill(model, case.model or case.name)
    if case.dtype == "F64":
        # Not on the float32 grid, so that rounding to it is part of the case.
        model = model.double()
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1 + 1e-9)
    else:
        model = model.to(TORCH[case.dtype])
    kw = {"max_shard_size": case.shard} if case.shard else {}
    model.save_pretrained(folder, **kw)
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        config = json.load(f)
    if case.by_architecture:
        config["architectures"] = [case.run_as]
    for k, v in case.keys.items():
        config.pop(k, None)
        if v is not None:
            config[k] = v
    with open(path, "w") as f:
        json.dump(config, f, indent=1, sort_keys=True)
        f.write("\n")
    if case.rename:
        path = os.path.join(folder, "model.safetensors")
        save_file(case.rename(load_file(path)), path, metadata={"format": "pt"})
    if os.path.exists(os.path.join(folder, "generation_config.json")):
        os.remove(os.path.join(folder, "generation_config.json"))


def outputs(model, case, dtype):
    """Runs forward() and returns its output object as flat named arrays."""
    model = model.to(dtype)
    inputs = {k: torch.from_numpy(np.array(v)) for k, v in case.inputs.items()}
    inputs = {k: v.to(dtype) if v.is_floating_point() and not k.endswith("mask") else v for k, v in inputs.items()}
    for k in ("bool_masked_pos", "mask_time_indices"):
        if k in inputs:
            inputs[k] = inputs[k].bool()
    with torch.no_grad():
        out = model(**inputs, **case.set, output_hidden_states=case.hidden, return_dict=True)
    return flatten(out)


def flatten(out, prefix=""):
    """The tensors of an output object; those of an object within it are
    NAME.FIELD."""
    flat = {}
    for k, v in out.items():
        if isinstance(v, torch.Tensor):
            if k != "past_key_values":
                flat[prefix + k] = v.numpy().copy()
        elif isinstance(v, (tuple, list)) and k.endswith(("hidden_states", "router_logits")):
            for i, x in enumerate(v):
                flat[f"{prefix}{k}.{i}"] = x.numpy().copy()
        elif isinstance(v, transformers.utils.ModelOutput):
            flat.update(flatten(v, f"{k}."))
    return flat


def reference(case, folder):
    """Returns the outputs in float32, their masks, and the noise of each."""
    cls = getattr(transformers, case.run_as or case.cls)
    model, info = cls.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, **case.init)
    lacks = [k for k in info["missing_keys"] if k not in case.missing]
    if lacks or info.get("mismatched_keys"):
        raise ValueError(f"{case.name}: Transformers does not read this checkpoint: {lacks} {info.get('mismatched_keys')}")
    model.eval()
    # the kernel that is used otherwise needs aligned sizes and has no float64
    model.config._experts_implementation = "eager"
    ref = outputs(model, case, torch.float32)
    noise = {}
    if case.float64:
        exact = outputs(model, case, torch.float64)
        noise = {k: float(np.abs(v.astype(np.float64) - exact[k]).max()) for k, v in ref.items() if v.dtype.kind == "f" and v.size}
        model.to(torch.float32)
    for k, v in ref.items():
        if v.dtype.kind == "f" and not np.isfinite(v).all():
            raise ValueError(f"{case.name}: {k} is not finite")
    masks = {}
    for k, v in ref.items():
        of_decoder = "decoder_input_ids" in case.inputs and not k.startswith("encoder_")
        mask = case.inputs.get("decoder_attention_mask" if of_decoder else "attention_mask")
        if mask is not None and not k.startswith(("vision_model_output.", "logits_per_")):
            m = mask = mask.reshape(-1, mask.shape[-1])  # multiple choice: a row a choice
            if hasattr(model, "_get_feature_vector_attention_mask") and v.ndim >= 2:
                after = {"add_adapter": getattr(model.config, "add_adapter", False) and k in ("last_hidden_state", "logits")}
                if "hubert" in model.config.model_type:
                    after = {}
                m = model._get_feature_vector_attention_mask(v.shape[1], torch.from_numpy(mask).long(), **after) if v.ndim == 3 else mask
                m = np.asarray(m)
            if v.shape[: m.ndim] == m.shape:
                masks[k] = m.astype(np.uint8)
    return ref, masks, noise


def to_torch(arrays):
    return {k: torch.from_numpy(np.array(v, order="C")) for k, v in arrays.items()}


def versions():
    return {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]}


def write_case(case, root):
    """Writes cases/NAME and models/NAME under root, as the outside checks lay
    them out."""
    model = os.path.join("models", case.model or case.name)
    folder = os.path.join(root, model)
    if not (case.model and os.path.exists(folder)):
        write_checkpoint(case, folder)
    ref, masks, noise = reference(case, folder)
    out = os.path.join(root, "cases", case.name)
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    save_file(to_torch(case.inputs), os.path.join(out, "in.safetensors"))
    save_file(to_torch({**ref, **{"__mask__." + k: v for k, v in masks.items()}}), os.path.join(out, "ref.safetensors"))
    argv = ["run", "--model", "{model}", "--in", "{case}/in.safetensors", "--out", "{out}"]
    if case.hidden:
        argv.append("--hidden-states")
    if case.run_as and not case.by_architecture:
        argv += ["--class", case.run_as]
    for k, v in case.set.items():
        argv += ["--set", f"{k}={json.dumps(v)}"]
    with open(os.path.join(out, "case.json"), "w") as f:
        json.dump({"name": case.name, "kind": "run", "argv": argv, "model": model, "tol": case.tol, "noise": noise, "cos": None, "env": {}}, f, indent=1)
    return ref


def write_golden(case, root):
    """Writes one folder a checkpoint: config.json, model.safetensors,
    in.safetensors and ref.safetensors, whose metadata holds what else the run
    needs."""
    folder = os.path.join(root, case.name)
    shutil.rmtree(folder, ignore_errors=True)
    case.inputs = {k: half(v) if v.dtype == np.float32 else v for k, v in case.inputs.items()}
    write_checkpoint(case, folder)
    ref, masks, _ = reference(case, folder)
    if case.generate:
        write_generate(case, folder)
    stored = {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in case.inputs.items()}
    save_file(to_torch(stored), os.path.join(folder, "in.safetensors"))
    meta = versions()
    if case.set:
        meta["set"] = json.dumps(case.set)
    if case.run_as and not case.by_architecture:
        meta["class"] = case.run_as
    save_file(to_torch({**ref, **{"__mask__." + k: v for k, v in masks.items()}}), os.path.join(folder, "ref.safetensors"), metadata=meta)


def write_generate(case, folder):
    """Writes what generate() gives for each call to generate.json, after
    checking that float64 gives the same ids."""
    cls = getattr(transformers, case.run_as or case.cls)
    model = cls.from_pretrained(folder, dtype=torch.float32).eval()
    model.config._experts_implementation = "eager"
    calls = []
    for call in case.generate:
        inputs = {k: torch.tensor(v) for k, v in call.items() if k != "set"}
        ids = [model.to(t).generate(**inputs, **call["set"]).tolist() for t in (torch.float32, torch.float64)]
        if ids[0] != ids[1]:
            raise ValueError(f"{case.name}: {call['set']}: rounding decides")
        calls.append({**call, "sequences": ids[0]})
    with open(os.path.join(folder, "generate.json"), "w") as f:
        f.write("[" + ",\n".join(json.dumps(c) for c in calls) + "]\n")


def half(x):
    """Rounds to float16, so that inputs take half the room on disk."""
    return x.astype(np.float16).astype(np.float32)


def tokens(r, batch, length, vocab, special=3):
    return r.integers(special, vocab, (batch, length)).astype(np.int64)


def right_mask(batch, length, r, shortest=1):
    m = np.ones((batch, length), np.int64)
    for i in range(1, batch):
        m[i, int(r.integers(shortest, length)) :] = 0
    return m


def left_mask(batch, length, r):
    return np.ascontiguousarray(right_mask(batch, length, r)[:, ::-1])


def replace(case, **kw):
    return dataclasses.replace(case, **kw)


def names(folder):
    """The names of a checkpoint's tensors."""
    with safe_open(os.path.join(folder, "model.safetensors"), "pt") as f:
        return list(f.keys())
