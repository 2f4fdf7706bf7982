"""Compares weft with Transformers on random decoders and mixtures of experts:
Llama, Mistral, Qwen2, Mixtral, Qwen2-MoE, Switch Transformers and T5.

    python moe_sweep.py WEFT [--count N] [--seed S] [--only FAMILY] [--keep DIR] [--bits]

It is sweep.py with other models: see there.
"""

import sys

import numpy as np

import common
import moe
import sweep
from bert import labels
from common import Case

LLAMA = ["llama", "mistral", "qwen2", "mixtral", "qwen2_moe"]
PREFIX = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "mixtral": "Mixtral", "qwen2_moe": "Qwen2Moe"}


def ids(r, batch, length, vocab):
    return np.array([[r.randrange(vocab) for _ in range(length)] for _ in range(batch)], np.int64)


def rope(r, dim, length):
    original = r.randint(4, 64)
    p = {
        "linear": dict(factor=r.uniform(1, 8)),
        "dynamic": dict(factor=r.uniform(1, 4)),
        "llama3": dict(factor=r.uniform(1, 8), low_freq_factor=1.0, high_freq_factor=r.choice([2.0, 4.0]), original_max_position_embeddings=original),
        "yarn": dict(factor=r.uniform(1, 8), original_max_position_embeddings=original),
        "longrope": dict(short_factor=[r.uniform(1, 2) for _ in range(dim // 2)], long_factor=[r.uniform(1, 9) for _ in range(dim // 2)], original_max_position_embeddings=original),
    }
    kind = r.choice(["default"] * 5 + list(p))
    if kind == "dynamic" and dim == 2:
        kind = "linear"
    out = dict(p.get(kind, {}), rope_type=kind, rope_theta=r.choice([10000.0, 1e6, 500.0]))
    if kind == "yarn" and r.random() < 0.3:
        out.update(mscale=r.uniform(0.5, 1.5), mscale_all_dim=r.uniform(0.5, 1.5))
    if kind == "yarn" and r.random() < 0.3:
        out.update(beta_fast=r.choice([16, 32]), beta_slow=r.choice([1, 2]), truncate=r.random() < 0.5)
    if kind in ("yarn", "longrope") and r.random() < 0.3:
        out["attention_factor"] = r.uniform(0.7, 1.4)
    return out


def llama_case(r, name):
    family = r.choice(["mixtral", "mixtral", "qwen2_moe", "qwen2_moe"] + LLAMA)
    kv = r.randint(1, 3)
    heads = kv * r.randint(1, 3)
    dim = r.choice([2, 4, 6, 8, 16, 20, 32])
    width, head_dim = heads * dim, None
    if family not in ("qwen2", "qwen2_moe") and r.random() < 0.3:
        head_dim = dim
        width = heads * r.randint(2, 20)
    vocab, length, batch = r.randint(10, 200), r.randint(1, 60), r.randint(1, 5)
    c = dict(vocab_size=vocab, hidden_size=width, intermediate_size=r.randint(1, 90), num_hidden_layers=r.randint(0, 4), num_attention_heads=heads,
             num_key_value_heads=kv, hidden_act=r.choice(["silu"] * 3 + ["gelu", "relu", "gelu_pytorch_tanh"]), rms_norm_eps=r.choice([1e-6, 1e-5, 1e-3]),
             max_position_embeddings=r.choice([8, 32, 64, 4096]), tie_word_embeddings=r.random() < 0.4, rope_parameters=rope(r, dim, length))  # fmt: skip
    if head_dim:
        c["head_dim"] = head_dim
    if family == "llama":
        c.update(attention_bias=r.random() < 0.4, mlp_bias=r.random() < 0.4)
    if family in ("mistral", "mixtral"):
        c["sliding_window"] = r.choice([None, r.randint(1, 20)])
    if family in ("qwen2", "qwen2_moe"):
        c.update(use_sliding_window=r.random() < 0.4, sliding_window=r.randint(1, 20), max_window_layers=r.randint(0, 4))
    if family == "mixtral":
        c["num_local_experts"] = r.randint(1, 9)
        c["num_experts_per_tok"] = r.randint(1, c["num_local_experts"])
    if family == "qwen2_moe":
        c["num_experts"] = r.randint(1, 9)
        c["num_experts_per_tok"] = r.randint(1, c["num_experts"])
        c.update(moe_intermediate_size=r.randint(1, 50), shared_expert_intermediate_size=r.randint(1, 50), decoder_sparse_step=r.randint(1, 3),
                 norm_topk_prob=r.random() < 0.5, qkv_bias=r.random() < 0.7, mlp_only_layers=[0] if r.random() < 0.2 else [])  # fmt: skip
    if family in ("mixtral", "qwen2_moe") and r.random() < 0.2:
        c["output_router_logits"] = True
    task = r.choice(["Model", "ForCausalLM", "ForCausalLM", "ForCausalLM", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"])
    x = {"input_ids": ids(r, batch, length, vocab)}
    m = sweep.mask_of(r, r.choice(["none", "right", "left", "left", "holes"]), batch, length)
    if task == "ForSequenceClassification":
        c["pad_token_id"] = 0
        if m is not None:
            m[:] = np.sort(m, axis=1)[:, ::-1]
            x["input_ids"] = np.where(m == 1, np.maximum(x["input_ids"], 1), 0)
    if m is not None:
        if c.get("output_router_logits"):
            m[:] = 1
        x["attention_mask"] = m
    if r.random() < 0.2:
        x["position_ids"] = np.array([[r.randrange(max(length, 40)) for _ in range(length)] for _ in range(r.choice([1, batch]))], np.int64)
    if r.random() < 0.1:  # sequences end to end
        c["use_cache"] = False
        starts = sorted({0, *(r.randrange(length) for _ in range(3))})
        x["position_ids"] = np.array([[i - max(s for s in starts if s <= i) for i in range(length)]] * batch, np.int64)
    if r.random() < 0.1:
        x["inputs_embeds"] = common.rng(name).standard_normal((batch, length, width)).astype(np.float32)
        del x["input_ids"]
    kw = {}
    if task == "ForCausalLM" and m is None and r.random() < 0.3:
        kw["logits_to_keep"] = r.randint(1, length)
    c.update(labels(r.randint(1, 6)))
    stack = family in ("mixtral", "qwen2_moe") and r.random() < 0.25
    return Case(name, PREFIX[family] + task, c, x, set=kw, rename=moe.fused if stack else None)


def t5_case(r, name):
    is_switch = r.random() < 0.75
    heads = r.randint(1, 4)
    vocab, batch = r.randint(10, 150), r.randint(1, 4)
    length, target = r.randint(1, 60), r.randint(1, 40)
    if length == target:
        length += 1
    buckets = r.choice([4, 8, 32, 10])
    c = dict(vocab_size=vocab, d_model=r.randint(2, 60), d_kv=r.choice([1, 2, 3, 4, 8, 16]), d_ff=r.randint(1, 60), num_layers=r.randint(1, 4), num_decoder_layers=r.choice([None, 1, 2, 3]),
             num_heads=heads, relative_attention_num_buckets=buckets, relative_attention_max_distance=r.randint(buckets // 2 + 1, 150), layer_norm_epsilon=r.choice([1e-6, 1e-3]),
             tie_word_embeddings=r.random() < 0.6)  # fmt: skip
    if is_switch:
        c.update(num_sparse_encoder_layers=r.randint(0, 4), num_sparse_decoder_layers=r.randint(0, 4), num_experts=r.randint(1, 6), expert_capacity=r.choice([1, 2, 4, 8, 64]),
                 router_bias=r.random() < 0.3, dense_act_fn=r.choice(["relu", "relu", "gelu_new", "silu"]), router_ignore_padding_tokens=r.random() < 0.2)  # fmt: skip
    else:
        c["feed_forward_proj"] = r.choice(["relu", "gated-gelu", "gated-silu", "gelu"])
    task = r.choice(["Model", "ForConditionalGeneration", "ForConditionalGeneration", "EncoderModel"])
    x = {"input_ids": ids(r, batch, length, vocab)}
    m = sweep.mask_of(r, r.choice(["none", "right", "right", "left", "holes"]), batch, length)
    if m is not None:
        x["attention_mask"] = m
    if not is_switch and r.random() < 0.5:
        task = r.choice(["ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"])
        c.update(decoder_start_token_id=r.randrange(vocab), eos_token_id=1, **labels(2 if task == "ForQuestionAnswering" else r.randint(1, 5)))
        if task == "ForSequenceClassification":
            x["input_ids"] = np.where(x["input_ids"] == 1, 2, x["input_ids"])
            for row in x["input_ids"]:
                row[r.randrange(length)] = 1
        return Case(name, "T5" + task, c, x)
    if r.random() < 0.1:
        x["inputs_embeds"] = common.rng(name).standard_normal((batch, length, c["d_model"])).astype(np.float32)
        del x["input_ids"]
    if task != "EncoderModel":
        x["decoder_input_ids"] = ids(r, batch, target, vocab)
        if r.random() < 0.3:
            m = sweep.mask_of(r, r.choice(["right", "right", "holes"]), batch, target)
            m[:, 0] = 1
            x["decoder_attention_mask"] = m
    kw = {}
    every = c["num_layers"] // max(1, c.get("num_sparse_encoder_layers", 1)) > 1 or task != "ForConditionalGeneration"
    if is_switch and every and r.random() < 0.2:
        kw["output_router_logits"] = True
        x = {k: v for k, v in x.items() if not k.endswith("mask")}
    return Case(name, ("SwitchTransformers" if is_switch else "T5") + task, c, x, set=kw)


sweep.KINDS.clear()
sweep.KINDS.update({"llama": llama_case, "llama2": llama_case, "t5": t5_case})

if __name__ == "__main__":
    sys.exit(sweep.main())
