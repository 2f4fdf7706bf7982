"""GPT-2."""

import numpy as np

from bert import ACTIVATIONS, labels, unprefix
from common import Case, left_mask, right_mask, rng, tokens


def config(**kw):
    c = dict(vocab_size=211, n_embd=48, n_layer=3, n_head=4, n_positions=64, bos_token_id=210, eos_token_id=210)
    c.update(kw)
    return c


def text(name, vocab=211, batch=3, length=17, mask="", pad=0):
    r = rng(name + ".in")
    x = {"input_ids": tokens(r, batch, length, vocab)}
    if mask:
        m = left_mask(batch, length, r) if mask == "left" else right_mask(batch, length, r)
        if mask == "holes":
            m = (r.random((batch, length)) < 0.7).astype(np.int64)
            m[:, 0] = 1
        x["attention_mask"] = m
        x["input_ids"] = np.where(m == 1, x["input_ids"], pad)
    return x


def buffers(sd):
    """Adds the masks that old checkpoints carry."""
    import torch

    out = dict(sd)
    for k in sd:
        if k.endswith("attn.c_attn.weight"):
            out[k.replace("c_attn.weight", "bias")] = torch.ones(1, 1, 8, 8).tril()
            out[k.replace("c_attn.weight", "masked_bias")] = torch.tensor(-1e4)
    return out


def cases():
    for i, act in enumerate(ACTIVATIONS):
        yield Case(f"gpt2.act_{act}", "GPT2LMHeadModel", config(activation_function=act), text(f"gpt2.act{i}"), hidden=False)
    yield Case("gpt2.model", "GPT2Model", config(), text("gpt2.model"))
    yield Case("gpt2.leftpad", "GPT2LMHeadModel", config(), text("gpt2.leftpad", mask="left"))
    yield Case("gpt2.rightpad", "GPT2LMHeadModel", config(), text("gpt2.rightpad", mask="right"))
    yield Case("gpt2.holes", "GPT2Model", config(), text("gpt2.holes", mask="holes"))
    yield Case("gpt2.inner", "GPT2LMHeadModel", config(n_inner=37, layer_norm_epsilon=1e-3), text("gpt2.inner"))
    yield Case("gpt2.no_scale", "GPT2LMHeadModel", config(scale_attn_weights=False), text("gpt2.no_scale"))
    yield Case("gpt2.inverse_layer", "GPT2LMHeadModel", config(scale_attn_by_inverse_layer_idx=True), text("gpt2.inverse_layer"))
    yield Case("gpt2.reorder", "GPT2LMHeadModel", config(reorder_and_upcast_attn=True), text("gpt2.reorder"))
    yield Case("gpt2.untied", "GPT2LMHeadModel", config(tie_word_embeddings=False), text("gpt2.untied"))
    yield Case("gpt2.buffers", "GPT2LMHeadModel", config(), text("gpt2.buffers"), rename=buffers)
    yield Case("gpt2.unprefixed", "GPT2LMHeadModel", config(), text("gpt2.unprefixed"), rename=unprefix("transformer."))
    yield Case("gpt2.base_of_head", "GPT2LMHeadModel", config(), text("gpt2.base_of_head"), run_as="GPT2Model")
    yield Case("gpt2.heads1", "GPT2LMHeadModel", config(n_embd=33, n_head=1), text("gpt2.heads1"))
    yield Case("gpt2.heads11", "GPT2LMHeadModel", config(n_embd=55, n_head=11, n_layer=1), text("gpt2.heads11"))
    yield Case("gpt2.one_token", "GPT2LMHeadModel", config(), text("gpt2.one_token", length=1))
    yield Case("gpt2.full", "GPT2LMHeadModel", config(), text("gpt2.full", length=64))
    yield Case("gpt2.long", "GPT2LMHeadModel", config(n_positions=700, n_layer=1), text("gpt2.long", length=600, batch=1))
    for dtype in ("F16", "BF16", "F64"):
        yield Case(f"gpt2.{dtype}", "GPT2LMHeadModel", config(), text(f"gpt2.{dtype}"), dtype=dtype)
    yield Case("gpt2.sharded", "GPT2LMHeadModel", config(), text("gpt2.sharded"), shard="30KB")
    x = text("gpt2.types")
    x["token_type_ids"] = rng("gpt2.types").integers(0, 211, x["input_ids"].shape).astype(np.int64)
    yield Case("gpt2.types", "GPT2Model", config(), x)
    x = text("gpt2.positions")
    x["position_ids"] = rng("gpt2.positions").integers(0, 64, (1, 17)).astype(np.int64)
    yield Case("gpt2.positions", "GPT2Model", config(), x)
    x = text("gpt2.embeds", mask="left")
    x["inputs_embeds"] = rng("gpt2.embeds").standard_normal((3, 17, 48)).astype(np.float32)
    del x["input_ids"]
    yield Case("gpt2.embeds", "GPT2LMHeadModel", config(), x)
    for mask in ("right", "left", ""):
        x = text(f"gpt2.cross{mask}", mask=mask)
        r = rng(f"gpt2.cross{mask}")
        x["encoder_hidden_states"] = r.standard_normal((3, 7, 48)).astype(np.float32)
        if mask:
            x["encoder_attention_mask"] = right_mask(3, 7, r)
        yield Case(f"gpt2.cross{mask}", "GPT2LMHeadModel", config(add_cross_attention=True), x)
    yield Case("gpt2.cross_unused", "GPT2LMHeadModel", config(add_cross_attention=True), text("gpt2.cross_unused"))
    for mask in ("right", "left"):
        yield Case(f"gpt2.seqcls_{mask}", "GPT2ForSequenceClassification", config(pad_token_id=0, **labels(5)), text(f"gpt2.seqcls_{mask}", mask=mask))
    yield Case("gpt2.seqcls_nomask", "GPT2ForSequenceClassification", config(pad_token_id=0, **labels(5)), text("gpt2.seqcls_nomask"))
    yield Case("gpt2.seqcls_one", "GPT2ForSequenceClassification", config(**labels(5)), text("gpt2.seqcls_one", batch=1))
    x = text("gpt2.seqcls_hidden", mask="right", pad=5)
    yield Case("gpt2.seqcls_hidden", "GPT2ForSequenceClassification", config(pad_token_id=0, **labels(3)), x)
    yield Case("gpt2.tokcls", "GPT2ForTokenClassification", config(**labels(5)), text("gpt2.tokcls", mask="left"))
    yield Case("gpt2.qa", "GPT2ForQuestionAnswering", config(), text("gpt2.qa", mask="right"))
    for kind in ("last", "first", "mean", "cls_index"):
        x = {k: v.reshape(2, 3, 11) for k, v in text(f"gpt2.double_{kind}", batch=6, length=11).items()}
        if kind == "cls_index":
            x["mc_token_ids"] = np.array([[3, 10, 0], [5, 5, 9]], np.int64)
        yield Case(f"gpt2.double_{kind}", "GPT2DoubleHeadsModel", config(summary_type=kind, summary_activation="tanh" if kind == "mean" else None), x)
    yield Case("gpt2.double_noproj", "GPT2DoubleHeadsModel", config(summary_use_proj=False), text("gpt2.double_noproj"), hidden=False)
    yield Case("gpt2.double_wide", "GPT2DoubleHeadsModel", config(summary_proj_to_labels=False), text("gpt2.double_wide"), hidden=False)
    yield Case("gpt2.keep", "GPT2LMHeadModel", config(), text("gpt2.keep"), set={"logits_to_keep": 3, "use_cache": False})
    yield Case("gpt2.small", "GPT2LMHeadModel", dict(vocab_size=1000), text("gpt2.small", vocab=1000, batch=2, length=48), tol=2e-4, float64=False)


def golden():
    small = dict(vocab_size=61, n_embd=32, n_layer=2, n_head=4, n_positions=64, n_inner=40, bos_token_id=60, eos_token_id=60)
    x = text("gpt2.golden", vocab=60, batch=3, length=7, mask="left", pad=60)
    ids = x["input_ids"].tolist()
    mask = x["attention_mask"].tolist()
    one = [ids[0]]
    generate = [
        {"input_ids": one, "set": {"max_new_tokens": 40, "eos_token_id": None}},
        {"input_ids": ids, "attention_mask": mask, "set": {"max_new_tokens": 40}},
        {"input_ids": one, "set": {"max_new_tokens": 20, "num_beams": 4}},
        {"input_ids": ids, "attention_mask": mask, "set": {"max_new_tokens": 12, "num_beams": 4, "num_return_sequences": 3, "eos_token_id": [3, 9, 17, 25, 33], "length_penalty": 2.0}},
        {"input_ids": ids, "attention_mask": mask, "set": {"max_new_tokens": 12, "num_beams": 3, "early_stopping": True, "eos_token_id": [3, 9, 17, 25, 33], "pad_token_id": 0}},
        {"input_ids": ids, "attention_mask": mask, "set": {"max_new_tokens": 12, "num_beams": 3, "early_stopping": "never", "eos_token_id": [3, 9, 17], "length_penalty": -0.5}},
        {"input_ids": ids, "attention_mask": mask, "set": {"max_new_tokens": 20, "repetition_penalty": 1.7, "no_repeat_ngram_size": 2, "min_new_tokens": 5, "eos_token_id": [3, 9, 17]}},
        {"input_ids": ids, "attention_mask": mask, "set": {"max_new_tokens": 16, "bad_words_ids": [[5], [7, 8], [21]], "suppress_tokens": [1, 2], "begin_suppress_tokens": [40, 41], "sequence_bias": [[[12], 3.0], [[4, 30], 2.5]], "encoder_repetition_penalty": 1.5, "forced_eos_token_id": 60}},
        {"input_ids": one, "set": {"max_length": 30, "num_beams": 2, "no_repeat_ngram_size": 3, "exponential_decay_length_penalty": [5, 1.3], "repetition_penalty": 1.2, "renormalize_logits": True}},
    ]  # fmt: skip
    yield Case("gpt2.lm", "GPT2LMHeadModel", small, x, dtype="BF16", generate=generate)
    yield Case("gpt2.model", "GPT2Model", {**small, "n_embd": 12, "scale_attn_by_inverse_layer_idx": True, "activation_function": "relu"}, text("gpt2.model", vocab=61, batch=2, length=9, mask="right"), dtype="F16", rename=buffers)
    x = text("gpt2.seqcls", vocab=61, batch=2, length=9, mask="right", pad=60)
    yield Case("gpt2.sequence_classification", "GPT2ForSequenceClassification", {**small, "n_embd": 12, "n_layer": 1, "pad_token_id": 60, **labels(3)}, x, dtype="F16", hidden=False)
    x = {k: v.reshape(1, 2, 9) for k, v in text("gpt2.double", vocab=61, batch=2, length=9).items()}
    x["mc_token_ids"] = np.array([[3, 8]], np.int64)
    yield Case("gpt2.double_heads", "GPT2DoubleHeadsModel", {**small, "n_embd": 12, "n_layer": 1}, x, dtype="BF16", hidden=False)
    x = text("gpt2.cross", vocab=61, batch=2, length=9)
    x["encoder_hidden_states"] = rng("gpt2.cross").standard_normal((2, 5, 12)).astype(np.float32)
    x["encoder_attention_mask"] = right_mask(2, 5, rng("gpt2.cross.m"))
    yield Case("gpt2.cross_attention", "GPT2LMHeadModel", {**small, "n_embd": 12, "n_layer": 1, "add_cross_attention": True, "tie_word_embeddings": False}, x, dtype="F16")
