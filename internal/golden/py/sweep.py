"""Compares weft with Transformers on random models: random configurations,
classes, dtypes and inputs.

    python sweep.py WEFT [--count N] [--seed S] [--only FAMILY] [--keep DIR] [--bits]

WEFT is the command built from cmd/weft. With --bits each model is run again
with other thread counts and, at random, instruction sets: no bit may change. An output passes if its largest error
is at most max(5e-5·(1 + max|reference|), 16 × the error of Transformers in
float32 against float64). What weft refuses (exit status 3) is counted apart.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import transformers
from safetensors.torch import load_file

import bert
import clip
import common
import gpt
import vit
import wav2vec
from common import Case

ACTS = ["gelu", "gelu_new", "relu", "silu", "gelu_pytorch_tanh", "quick_gelu", "gelu_fast", "gelu_10", "hardswish", "leaky_relu", "mish", "relu2", "relu6", "tanh"]


def mask_of(r, kind, batch, length):
    if kind == "none":
        return None
    m = np.zeros((batch, length), np.int64)
    for i in range(batch):
        n = r.randint(1, length)
        if kind == "left":
            m[i, length - n :] = 1
        elif kind == "right":
            m[i, :n] = 1
        else:
            m[i] = [r.random() < 0.6 for _ in range(length)]
            m[i, r.randrange(length)] = 1
    return m


def heads_and_width(r, most=6):
    heads = r.randint(1, most)
    return heads, heads * r.choice([1, 2, 3, 5, 8, 11, 12, 16, 20])


def bert_case(r, name):
    family, prefix = r.choice([("bert", "Bert"), ("bert", "Bert"), ("roberta", "Roberta"), ("xlmr", "XLMRoberta"), ("camembert", "Camembert"), ("distilbert", "DistilBert")])
    heads, width = heads_and_width(r)
    vocab, length, batch = r.randint(20, 300), r.randint(1, 70), r.randint(1, 5)
    layers, inner = r.randint(0, 4), r.randint(1, 150)
    act = r.choice(ACTS)
    if family == "distilbert":
        act = r.choice(["gelu", "relu"])
        c = dict(vocab_size=vocab, dim=width, n_heads=heads, n_layers=layers, hidden_dim=inner, max_position_embeddings=length + r.randint(0, 5), activation=act)
        c["sinusoidal_pos_embds"] = width % 2 == 0 and r.random() < 0.2
    else:
        c = dict(vocab_size=vocab, hidden_size=width, num_attention_heads=heads, num_hidden_layers=layers, intermediate_size=inner, hidden_act=act)
        c["max_position_embeddings"] = length + 2 + r.randint(0, 5)
        c["type_vocab_size"] = r.choice([1, 2, 3])
        c["layer_norm_eps"] = r.choice([1e-12, 1e-5, 1e-3])
        c["pad_token_id"] = 0 if family == "bert" else 1
        c["is_decoder"] = r.random() < 0.15
    c["tie_word_embeddings"] = r.random() < 0.8
    tasks = ["Model", "Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForMultipleChoice"]
    if family == "bert":
        tasks += ["ForPreTraining", "ForNextSentencePrediction", "LMHeadModel"]
    elif family != "distilbert":
        tasks += ["ForCausalLM"]
    task = r.choice(tasks)
    if task in ("LMHeadModel", "ForCausalLM"):
        c["is_decoder"] = True
    if task == "ForMaskedLM":
        c.pop("is_decoder", None)
    labels = 2 if task in ("ForQuestionAnswering", "ForMultipleChoice") else r.randint(1, 6)
    c.update(bert.labels(labels))
    x = {"input_ids": np.array([[r.randint(2, vocab - 1) for _ in range(length)] for _ in range(batch)], np.int64)}
    m = mask_of(r, r.choice(["none", "right", "right", "left", "holes"]), batch, length)
    if m is not None:
        if c.get("is_decoder") or r.random() < 0.1:
            m[:, 0] = 1
        x["attention_mask"] = m
        x["input_ids"] = np.where(m == 1, x["input_ids"], c.get("pad_token_id", 0))
    if family != "distilbert" and r.random() < 0.6:
        x["token_type_ids"] = np.array([[r.randrange(c["type_vocab_size"]) for _ in range(length)] for _ in range(batch)], np.int64)
    if r.random() < 0.15:
        x["position_ids"] = np.array([[r.randrange(c["max_position_embeddings"]) for _ in range(length)] for _ in range(r.choice([1, batch]))], np.int64)
    if r.random() < 0.1 and task != "ForMultipleChoice":
        x["inputs_embeds"] = common.rng(name).standard_normal((batch, length, width)).astype(np.float32)
        del x["input_ids"]
    if task == "ForMultipleChoice":
        x.pop("position_ids", None)
        x = {k: np.stack([v, v[::-1]], 1) for k, v in x.items()}
    cross = family != "distilbert" and c.get("is_decoder") and task in ("Model", "LMHeadModel", "ForCausalLM") and r.random() < 0.4
    if cross:
        c["add_cross_attention"] = True
        n = r.randint(1, 20)
        x["encoder_hidden_states"] = common.rng(name + "e").standard_normal((batch, n, width)).astype(np.float32)
        if r.random() < 0.5:
            x["encoder_attention_mask"] = mask_of(r, r.choice(["right", "left"]), batch, n)
    return Case(name, prefix + task, c, x, rename=bert.gamma_beta if family == "bert" and r.random() < 0.1 and not cross else None)


def vit_case(r, name):
    heads, width = heads_and_width(r)
    patch, channels = r.randint(2, 12), r.choice([1, 3, 3, 4])
    ph, pw = patch * r.randint(1, 5), patch * r.randint(1, 5)
    size = ph + r.randint(0, patch - 1)
    c = dict(hidden_size=width, num_attention_heads=heads, num_hidden_layers=r.randint(0, 4), intermediate_size=r.randint(1, 120), image_size=size,
             patch_size=patch, num_channels=channels, hidden_act=r.choice(ACTS), layer_norm_eps=r.choice([1e-12, 1e-6, 1e-3]), qkv_bias=r.random() < 0.8)  # fmt: skip
    h = w = size
    if r.random() < 0.3:
        c["image_size"], h, w = [ph, pw], ph, pw
    deit = r.random() < 0.4
    kw, init, x = {}, {}, {}
    if r.random() < 0.4 and h == w:
        kw["interpolate_pos_encoding"] = True
        h, w = patch * r.randint(1, 8) + r.randint(0, patch - 1), patch * r.randint(1, 8) + r.randint(0, patch - 1)
    task = r.choice(["Model", "Model", "ForImageClassification", "ForMaskedImageModeling"] + ["ForImageClassificationWithTeacher"] * deit)
    if task == "ForMaskedImageModeling":
        kw = {}
        h = w = c["image_size"] = patch * r.randint(1, 5)
        c["encoder_stride"] = patch
    if task == "Model":
        init = {"add_pooling_layer": r.random() < 0.7}
        c["pooler_act"] = r.choice(["tanh", "relu", "gelu"])
        if r.random() < 0.3:
            c["pooler_output_size"] = r.randint(1, 60)
    batch = r.randint(1, 3)
    x["pixel_values"] = common.rng(name).standard_normal((batch, channels, h, w)).astype(np.float32)
    if task == "ForMaskedImageModeling" or task == "Model" and r.random() < 0.2:
        if task == "Model":
            init["use_mask_token"] = True
        n = (h // patch) * (w // patch)
        x["bool_masked_pos"] = np.array([[r.random() < 0.4 for _ in range(n)] for _ in range(batch)]).astype(np.int64)
    c.update(bert.labels(r.randint(1, 9)))
    return Case(name, ("DeiT" if deit else "ViT") + task, c, x, set=kw, init=init, rename=vit.new_names if r.random() < 0.15 and not deit else None)


def wav2vec_case(r, name):
    hubert = r.random() < 0.4
    heads, width = heads_and_width(r, 4)
    groups = r.choice([g for g in range(1, width + 1) if width % g == 0])
    n = r.randint(1, 5)
    dims = [r.randint(1, 24) for _ in range(n)]
    kernels = [r.randint(1, 10) for _ in range(n)]
    strides = [r.randint(1, 5) for _ in range(n)]
    c = dict(vocab_size=r.randint(3, 40), hidden_size=width, num_attention_heads=heads, num_hidden_layers=r.randint(1, 3), intermediate_size=r.randint(1, 90),
             hidden_act=r.choice(ACTS), feat_extract_activation=r.choice(["gelu", "gelu", "relu", "silu", "gelu_new"]), conv_dim=dims, conv_kernel=kernels,
             conv_stride=strides, conv_bias=r.random() < 0.5, feat_extract_norm=r.choice(["group", "layer"]), do_stable_layer_norm=r.random() < 0.5,
             num_conv_pos_embeddings=r.randint(1, 20), num_conv_pos_embedding_groups=groups, layer_norm_eps=r.choice([1e-5, 1e-3]))  # fmt: skip
    if hubert:
        c["feat_proj_layer_norm"] = r.random() < 0.7
        c["conv_pos_batch_norm"] = r.random() < 0.3
    tasks = ["Model", "Model", "ForCTC", "ForSequenceClassification"] + ([] if hubert else ["ForAudioFrameClassification", "ForXVector"])
    task = r.choice(tasks)
    if not hubert and task in ("Model", "ForCTC"):
        if r.random() < 0.3:
            c.update(add_adapter=True, num_adapter_layers=r.randint(1, 2), adapter_stride=r.randint(1, 3), adapter_kernel_size=r.randint(1, 4))
            if r.random() < 0.5:
                c["output_hidden_size"] = r.randint(1, 30)
    if r.random() < 0.2 and c["do_stable_layer_norm"]:
        c["adapter_attn_dim"] = r.randint(1, 9)
    if task in ("ForSequenceClassification", "ForAudioFrameClassification", "ForXVector"):
        c.update(use_weighted_layer_sum=r.random() < 0.4, **bert.labels(r.randint(2, 6)))
        if task == "ForXVector":
            k = r.randint(1, 3)
            c.update(tdnn_dim=[r.randint(2, 20) for _ in range(k)], tdnn_kernel=[r.randint(1, 3) for _ in range(k)], tdnn_dilation=[r.randint(1, 2) for _ in range(k)], xvector_output_dim=r.randint(2, 20))
        else:
            c["classifier_proj_size"] = r.randint(1, 20)
    need = 1
    for k, s in reversed(list(zip(kernels, strides))):
        need = (need - 1) * s + k
    step = int(np.prod(strides))
    frames = r.randint(14, 40)
    samples = min(need + step * frames, 60000)
    batch = r.randint(1, 4)
    x = {"input_values": common.rng(name).standard_normal((batch, samples)).astype(np.float32)}
    if r.random() < 0.6 and batch > 1:
        m = np.zeros((batch, samples), np.int64)
        for i in range(batch):
            m[i, : min(samples, need + step * r.randint(8 if task == "ForXVector" else 0, frames))] = 1
        m[r.randrange(batch)] = 1
        x["attention_mask"] = m
        if r.random() < 0.7:
            x["input_values"] = x["input_values"] * m.astype(np.float32)
    return Case(name, ("Hubert" if hubert else "Wav2Vec2") + task, c, x, rename=wav2vec.old_weight_norm if r.random() < 0.2 else None)


def gpt2_case(r, name):
    heads, width = heads_and_width(r)
    vocab, length, batch = r.randint(20, 300), r.randint(1, 70), r.randint(1, 5)
    c = dict(vocab_size=vocab, n_embd=width, n_head=heads, n_layer=r.randint(0, 4), n_inner=r.choice([None, r.randint(1, 150)]), activation_function=r.choice(ACTS),
             n_positions=length + r.randint(0, 5), layer_norm_epsilon=r.choice([1e-12, 1e-5, 1e-3]), scale_attn_weights=r.random() < 0.8,
             scale_attn_by_inverse_layer_idx=r.random() < 0.2, reorder_and_upcast_attn=r.random() < 0.1, tie_word_embeddings=r.random() < 0.7,
             bos_token_id=0, eos_token_id=0, summary_type=r.choice(["last", "first", "mean", "cls_index"]), summary_use_proj=r.random() < 0.8,
             summary_proj_to_labels=r.random() < 0.7, summary_activation=r.choice([None, "tanh"]))  # fmt: skip
    task = r.choice(["Model", "LMHeadModel", "LMHeadModel", "DoubleHeadsModel", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"])
    if task == "ForSequenceClassification" and (batch > 1 or r.random() < 0.5):
        c["pad_token_id"] = 0
    c.update(bert.labels(2 if task == "ForQuestionAnswering" else r.randint(1, 6)))
    x = {"input_ids": np.array([[r.randint(1, vocab - 1) for _ in range(length)] for _ in range(batch)], np.int64)}
    m = mask_of(r, r.choice(["none", "right", "right", "left", "holes"]), batch, length)
    if m is not None:
        x["attention_mask"] = m
        x["input_ids"] = np.where(m == 1, x["input_ids"], 0)
    if r.random() < 0.2:
        x["token_type_ids"] = np.array([[r.randrange(vocab) for _ in range(length)] for _ in range(batch)], np.int64)
    if r.random() < 0.15:
        x["position_ids"] = np.array([[r.randrange(c["n_positions"]) for _ in range(length)] for _ in range(r.choice([1, batch]))], np.int64)
    if task == "DoubleHeadsModel":
        x.pop("position_ids", None)
        if r.random() < 0.6:
            x = {k: np.stack([v, v[::-1]], 1) for k, v in x.items()}
        if r.random() < 0.6:
            x["mc_token_ids"] = np.array([r.randrange(length) for _ in range(x["input_ids"].size // length)]).reshape(x["input_ids"].shape[:-1])
    elif r.random() < 0.1:
        x["inputs_embeds"] = common.rng(name).standard_normal((batch, length, width)).astype(np.float32)
        del x["input_ids"]
    if task in ("Model", "LMHeadModel") and r.random() < 0.3:
        c["add_cross_attention"] = True
        n = r.randint(1, 20)
        x["encoder_hidden_states"] = common.rng(name + "e").standard_normal((batch, n, width)).astype(np.float32)
        if r.random() < 0.5:
            x["encoder_attention_mask"] = mask_of(r, r.choice(["right", "left"]), batch, n)
    rename = r.choice([None, None, None, gpt.buffers, bert.unprefix("transformer.")])
    return Case(name, "GPT2" + task, c, x, rename=rename)


def clip_case(r, name):
    siglip = r.random() < 0.4
    tasks = ["Model", "Model", "TextModel", "VisionModel", "ForImageClassification"]
    if not siglip:
        tasks += ["TextModelWithProjection", "VisionModelWithProjection"]
    task = r.choice(tasks)
    has_text, has_vision = task == "Model" or "Text" in task, task == "Model" or "Text" not in task
    length, batch, vocab, space = r.randint(1, 30), r.randint(1, 4), r.randint(20, 200), r.randint(1, 50)
    act = lambda: dict(hidden_act=r.choice(ACTS)) if r.random() < 0.6 else {}
    heads, width = heads_and_width(r)
    t = dict(vocab_size=vocab, hidden_size=width, num_attention_heads=heads, num_hidden_layers=r.randint(0, 3), intermediate_size=r.randint(1, 90),
             max_position_embeddings=length + r.randint(0, 5), layer_norm_eps=r.choice([1e-5, 1e-6, 1e-3]), **act())  # fmt: skip
    heads, width = heads_and_width(r)
    patch, channels = r.randint(1, 12), r.choice([1, 3, 3, 4])
    size = patch * r.randint(1, 5) + r.randint(0, patch - 1)
    v = dict(hidden_size=width, num_attention_heads=heads, num_hidden_layers=r.randint(0, 3), intermediate_size=r.randint(1, 90), image_size=size, patch_size=patch,
             num_channels=channels, layer_norm_eps=r.choice([1e-5, 1e-6, 1e-3]), **act())  # fmt: skip
    eos = vocab - 1
    if siglip:
        t["projection_size"] = width if task == "Model" else r.choice([None, r.randint(1, 50)])
        v["vision_use_head"] = task == "Model" or r.random() < 0.7
    else:
        t["projection_dim"], v["projection_dim"] = space, space
        eos = t["eos_token_id"] = r.choice([2, vocab - 1, vocab - 1, r.randrange(vocab)])
    x, kw = {}, {}
    if has_text:
        ids = np.array([[r.randrange(vocab) for _ in range(length)] for _ in range(batch)], np.int64)
        m = mask_of(r, r.choice(["none", "right", "right", "left", "holes"]), batch, length)
        if r.random() < 0.7:  # else a sentence may lack its end
            ids[:, r.randrange(length)] = eos
        if m is not None:
            x["attention_mask"] = m
        if r.random() < 0.2:
            x["position_ids"] = np.array([[r.randrange(t["max_position_embeddings"]) for _ in range(length)] for _ in range(r.choice([1, batch]))], np.int64)
        x["input_ids"] = ids
    if has_vision:
        h = w = size
        if r.random() < 0.4:
            kw["interpolate_pos_encoding"] = r.random() < 0.9
        if kw.get("interpolate_pos_encoding"):
            h, w = patch * r.randint(1, 8) + r.randint(0, patch - 1), patch * r.randint(1, 8) + r.randint(0, patch - 1)
        x["pixel_values"] = common.rng(name).standard_normal((r.randint(1, 3), channels, h, w)).astype(np.float32)
        if has_text and len(x["pixel_values"]) == batch:
            kw["return_loss"] = True
    prefix = "Siglip" if siglip else "CLIP"
    rename = r.choice([None, None, clip.buffers])
    nested = dict(text_config=t, vision_config=v, **({} if siglip else dict(projection_dim=space)), **bert.labels(r.randint(1, 6)))
    if task in ("Model", "ForImageClassification"):
        keys = {}
        if not siglip and r.random() < 0.3:  # as old checkpoints have it
            keys["text_config_dict"], keys["vision_config_dict"] = t, r.choice([v, None])
            if r.random() < 0.5:
                keys["text_config"] = None
        return Case(name, prefix + task, nested, x, set=kw, rename=rename, keys={k: y for k, y in keys.items() if y or k == "text_config"})
    if r.random() < 0.4:
        if siglip:
            t["projection_size"], v["vision_use_head"] = width, True
        return Case(name, prefix + "Model", nested, x, set=kw, rename=rename, run_as=prefix + task)
    if not task.endswith("Projection") and r.random() < 0.3:
        rename = clip.bare("text_model" if has_text else "vision_model")
    return Case(name, prefix + task, t if has_text else v, x, set=kw, rename=rename)


KINDS = {"bert": bert_case, "clip": clip_case, "gpt2": gpt2_case, "vit": vit_case, "wav2vec2": wav2vec_case}


def compare(got, ref, masks, noise):
    errors = []
    for k, want in ref.items():
        if k not in got:
            errors.append(f"{k} is missing")
            continue
        have = got[k].numpy()
        if have.shape != want.shape:
            errors.append(f"{k}: shape {have.shape}, want {want.shape}")
            continue
        if not np.isfinite(have).all():
            errors.append(f"{k}: not finite")
            continue
        if k in masks:
            have, want = have[masks[k].astype(bool)], want[masks[k].astype(bool)]
        if not want.size:
            continue
        off = float(np.abs(have.astype(np.float64) - want).max())
        tol = max(5e-5 * (1 + float(np.abs(want).max())), 16 * noise.get(k, 0))
        if off > tol:
            errors.append(f"{k}: off by {off:.3g}, allowed {tol:.3g}")
    return errors


def other_bits(argv, out, r):
    """Runs again as other machines would, and names what differs."""
    want = load_file(out)
    errors = []
    for threads, isa in ((1, ""), (3, ""), (2, r.choice(["ref", "avx2"]))):
        p = subprocess.run([*argv, "--threads", str(threads)], capture_output=True, text=True, env={**os.environ, **({"WEFT_ISA": isa} if isa else {})})
        if p.returncode:
            errors.append(f"threads {threads}, {isa}: {p.stderr.strip()}")
            continue
        for k, v in load_file(out).items():
            if v.numpy().tobytes() != want[k].numpy().tobytes():
                errors.append(f"{k}: other bits with threads {threads}, instruction set {isa or 'best'}")
    return errors


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("weft")
    ap.add_argument("--count", type=int, default=200)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--only", default="", choices=["", *KINDS])
    ap.add_argument("--bits", action="store_true", help="check that threads and instruction sets change no bit")
    ap.add_argument("--keep", default="", help="leave the folders of failures here")
    a = ap.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    passed, refused, failed, left_out = 0, {}, 0, {}
    for i in range(a.seed, a.seed + a.count):
        r = random.Random(i)
        kind = a.only or r.choice(list(KINDS))
        case = KINDS[kind](r, f"sweep{i}")
        case.dtype = r.choice(["F32", "F32", "F32", "F16", "BF16", "F64"])
        if r.random() < 0.15 and not case.rename:
            case.shard = "20KB"
        with tempfile.TemporaryDirectory() as tmp:
            model, inputs, out = os.path.join(tmp, "model"), os.path.join(tmp, "in.safetensors"), os.path.join(tmp, "out.safetensors")
            try:
                common.write_checkpoint(case, model)
                ref, masks, noise = common.reference(case, model)
            except Exception as e:  # a configuration that Transformers cannot run
                key = f"{type(e).__name__}: {str(e)[:40]}"
                left_out[key] = left_out.get(key, 0) + 1
                continue
            common.save_file(common.to_torch(case.inputs), inputs)
            argv = [a.weft, "run", "--model", model, "--in", inputs, "--out", out, "--hidden-states"]
            if case.run_as:
                argv += ["--class", case.run_as]
            for k, v in case.set.items():
                argv += ["--set", f"{k}={json.dumps(v)}"]
            p = subprocess.run(argv, capture_output=True, text=True)
            last = (p.stderr.strip().splitlines() or [""])[-1]
            if p.returncode == 3:
                refused[last] = refused.get(last, 0) + 1
                continue
            errors = [last] if p.returncode else compare(load_file(out), ref, masks, noise)
            if a.bits and not errors:
                errors = other_bits(argv, out, r)
            if not errors:
                passed += 1
                continue
            failed += 1
            print(f"{i} {case.cls}: {'; '.join(errors[:3])}", flush=True)
            if a.keep:
                shutil.copytree(tmp, os.path.join(a.keep, str(i)), dirs_exist_ok=True)
                with open(os.path.join(a.keep, str(i), "case.txt"), "w") as f:
                    print(case.cls, case.config, {k: v.shape for k, v in case.inputs.items()}, case.set, case.dtype, file=f)
    for what, table in (("refused", refused), ("left out", left_out)):
        for line, n in sorted(table.items(), key=lambda x: -x[1]):
            print(f"{what} {n}: {line}")
    print(f"{passed} passed, {failed} failed, {sum(refused.values())} refused, {sum(left_out.values())} left out")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
