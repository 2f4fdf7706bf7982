"""Compares weft generate with Transformers on random decoders and mixtures of
experts: Llama, Qwen2, Mixtral, Qwen2-MoE, Switch Transformers and T5.

    python moe_generate_sweep.py WEFT [--count N] [--seed S] [--only FAMILY] [--keep DIR]

It is generate_sweep.py with other models: see there.
"""

import sys

import numpy as np
import transformers

import generate_sweep as sweep
from moe_sweep import rope

load = transformers.PreTrainedModel.from_pretrained.__func__


def eager(cls, *args, **kw):
    """Reads a model whose experts compute in float64 too."""
    model = load(cls, *args, **kw)
    model.config._experts_implementation = "eager"
    return model


transformers.PreTrainedModel.from_pretrained = classmethod(eager)


def decoder(r, name):
    family = r.choice(["llama", "qwen2", "mixtral", "mixtral", "qwen2_moe"])
    kv = r.randint(1, 3)
    heads = kv * r.randint(1, 3)
    vocab = r.randint(24, 300)
    c = dict(vocab_size=vocab, hidden_size=heads * r.choice([4, 8, 12, 16]), intermediate_size=r.randint(4, 60), num_hidden_layers=r.randint(1, 3), num_attention_heads=heads,
             num_key_value_heads=kv, max_position_embeddings=128, tie_word_embeddings=r.random() < 0.4, bos_token_id=vocab - 1, eos_token_id=r.choice([vocab - 1, [vocab - 1, 3]]))  # fmt: skip
    if r.random() < 0.3:
        c["pad_token_id"] = r.randrange(vocab)
    if r.random() < 0.4:
        c["rope_parameters"] = rope(r, c["hidden_size"] // heads, 0)
        c["max_position_embeddings"] = r.choice([16, 128])
    if family == "mixtral":
        c.update(num_local_experts=r.randint(2, 6), num_experts_per_tok=r.randint(1, 2), sliding_window=r.choice([None, None, 5]))
    if family == "qwen2_moe":
        c.update(num_experts=r.randint(2, 6), num_experts_per_tok=r.randint(1, 2), moe_intermediate_size=r.randint(4, 30), shared_expert_intermediate_size=r.randint(4, 30),
                 decoder_sparse_step=r.randint(1, 2), norm_topk_prob=r.random() < 0.5)  # fmt: skip
    return {"llama": "Llama", "qwen2": "Qwen2", "mixtral": "Mixtral", "qwen2_moe": "Qwen2Moe"}[family] + "ForCausalLM", c


def seq2seq(r, name):
    is_switch = r.random() < 0.75
    vocab = r.randint(24, 200)
    c = dict(vocab_size=vocab, d_model=r.randint(8, 50), d_kv=r.choice([3, 4, 8]), d_ff=r.randint(8, 60), num_layers=r.randint(1, 3), num_decoder_layers=r.randint(1, 3), num_heads=r.randint(1, 4),
             relative_attention_num_buckets=r.choice([8, 32]), relative_attention_max_distance=r.choice([20, 128]), decoder_start_token_id=0, pad_token_id=0, eos_token_id=1)  # fmt: skip
    if is_switch:
        c.update(num_sparse_encoder_layers=r.randint(0, 3), num_sparse_decoder_layers=r.randint(0, 3), num_experts=r.randint(2, 6), expert_capacity=r.choice([2, 8, 64]))
    else:
        c["feed_forward_proj"] = r.choice(["relu", "gated-gelu"])
    return ("SwitchTransformers" if is_switch else "T5") + "ForConditionalGeneration", c


def sources(r, config, name):
    """What the encoder reads, padded on the right or the left."""
    x = sweep.prompts(r, config, name)
    if "attention_mask" in x and r.random() < 0.6:
        x = {k: v[:, ::-1].copy() for k, v in x.items()}
    return x


sweep.FAMILIES.clear()
sweep.FAMILIES.update({"decoder": (decoder, sweep.prompts), "seq2seq": (seq2seq, sources)})

if __name__ == "__main__":
    sys.exit(sweep.main())
