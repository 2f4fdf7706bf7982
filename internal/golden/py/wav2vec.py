"""wav2vec 2.0 and HuBERT."""

import numpy as np

from bert import labels
from common import Case, rng


def config(**kw):
    c = dict(hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=80, vocab_size=31,
             conv_dim=[24, 32, 24, 20], conv_kernel=[10, 3, 3, 2], conv_stride=[5, 2, 2, 2],
             num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4)  # fmt: skip
    c.update(kw)
    return c


SEVEN = dict(conv_dim=[24] * 7, conv_kernel=[10, 3, 3, 3, 3, 2, 2], conv_stride=[5, 2, 2, 2, 2, 2, 2])
STABLE = dict(do_stable_layer_norm=True, feat_extract_norm="layer", conv_bias=True)


def sound(name, batch=2, samples=1600, lengths=None, zero=True):
    """Voice-like noise; lengths gives each row's own, the rest is padding."""
    r = rng(name + ".in")
    t = np.arange(samples)
    x = r.standard_normal((batch, samples)) * 0.5
    for i in range(batch):
        x[i] += np.sin(t * r.uniform(0.02, 0.3)) * (1 + np.sin(t * r.uniform(0.001, 0.01)))
    x = ((x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)).astype(np.float32)
    out = {"input_values": x}
    if lengths:
        m = (t[None] < np.array(lengths)[:, None]).astype(np.int64)
        out["attention_mask"] = m
        if zero:
            out["input_values"] = x * m.astype(np.float32)
    return out


def old_weight_norm(sd):
    """The names of the weight norm before PyTorch's parametrizations."""
    return {k.replace("parametrizations.weight.original0", "weight_g").replace("parametrizations.weight.original1", "weight_v"): v for k, v in sd.items()}


def cases():
    for family, prefix in [("wav2vec2", "Wav2Vec2"), ("hubert", "Hubert")]:
        m = f"{prefix}Model"
        C = lambda n, cls, cfg, x, **kw: Case(f"{family}.{n}", cls, cfg, x, **kw)
        s = lambda n, **kw: sound(f"{family}.{n}", **kw)
        yield C("group", m, config(), s("group"))
        yield C("seven", m, config(**SEVEN), s("seven", samples=8000), hidden=False)
        yield C("seven_stable", m, config(**SEVEN, **STABLE), s("seven_stable", batch=1, samples=7999))
        yield C("layer", m, config(feat_extract_norm="layer"), s("layer"))
        yield C("stable", m, config(**STABLE), s("stable"))
        yield C("group_stable_bias", m, config(do_stable_layer_norm=True, conv_bias=True), s("group_stable_bias"))
        yield C("group_mask", m, config(), s("group_mask", batch=3, lengths=[1600, 1111, 500]))
        yield C("group_mask_noise", m, config(), s("group_mask_noise", batch=3, lengths=[900, 1600, 1203], zero=False))
        yield C("layer_mask", m, config(feat_extract_norm="layer"), s("layer_mask", batch=3, lengths=[1600, 77, 1013]))
        yield C("stable_mask", m, config(**STABLE), s("stable_mask", batch=4, lengths=[301, 1600, 1599, 850]))
        yield C("stable_mask_noise", m, config(**STABLE), s("stable_mask_noise", batch=2, lengths=[301, 1600], zero=False), hidden=False)
        yield C("mask_full", m, config(**STABLE), s("mask_full", lengths=[1600, 1600]), hidden=False)
        yield C("oneframe", m, config(feat_extract_norm="layer"), s("oneframe", batch=1, samples=60))
        yield C("batch6", m, config(), s("batch6", batch=6, samples=700), hidden=False)
        for hidden, heads, groups in [(20, 4, 5), (21, 3, 7), (36, 3, 1), (40, 2, 40)]:
            n = f"head{hidden // heads}_groups{groups}"
            yield C(n, m, config(hidden_size=hidden, num_attention_heads=heads, num_conv_pos_embedding_groups=groups, intermediate_size=31), s(n), hidden=False)
        for k in (1, 2, 5, 7, 32, 129):
            yield C(f"posconv{k}", m, config(num_conv_pos_embeddings=k), s(f"posconv{k}"), hidden=k < 6)
        for a in ("relu", "gelu_new", "silu"):
            yield C(f"act_{a}", m, config(hidden_act=a), s(f"act_{a}"), hidden=False)
            yield C(f"featact_{a}", m, config(feat_extract_activation=a, feat_extract_norm="layer" if a == "relu" else "group"), s(f"featact_{a}"), hidden=False)
        yield C("convs", m, config(conv_dim=[17, 9, 33, 12, 8], conv_kernel=[7, 1, 4, 3, 2], conv_stride=[3, 1, 2, 3, 1]), s("convs"), hidden=False)
        yield C("convs_gap", m, config(conv_dim=[16, 16], conv_kernel=[4, 2], conv_stride=[9, 3], feat_extract_norm="layer"), s("convs_gap"), hidden=False)
        yield C("oneconv", m, config(conv_dim=[19], conv_kernel=[40], conv_stride=[20]), s("oneconv"))
        yield C("eps", m, config(layer_norm_eps=1e-2), s("eps"), hidden=False)
        for d in ("F16", "BF16", "F64"):
            yield C(d.lower(), m, config(), s(d), dtype=d, hidden=d == "F16")
        yield C("sharded", f"{prefix}ForCTC", config(), s("sharded"), shard="50KB", hidden=False)
        yield C("weight_g", m, config(), s("weight_g"), rename=old_weight_norm)
        yield C("ctc", f"{prefix}ForCTC", config(), s("ctc"))
        yield C("ctc_mask", f"{prefix}ForCTC", config(**STABLE), s("ctc_mask", batch=3, lengths=[1600, 900, 333]), hidden=False)
        yield C("ctc_weight_g", f"{prefix}ForCTC", config(**STABLE), s("ctc_weight_g"), rename=old_weight_norm, hidden=False)
        yield C("ctc_as_model", f"{prefix}ForCTC", config(), s("ctc_as_model"), run_as=m)
        yield C("ctc_as_model_arch", f"{prefix}ForCTC", config(), s("ctc_as_model_arch"), run_as=m, by_architecture=True, hidden=False)
        yield C("unprefixed_ctc", f"{prefix}ForCTC", config(), s("unprefixed_ctc"), rename=lambda sd: {k.removeprefix(family + "."): v for k, v in sd.items()}, hidden=False)
        yield C("attn_adapter", f"{prefix}ForCTC", config(**STABLE, adapter_attn_dim=9), s("attn_adapter", lengths=[1600, 901]))
        yield C("attn_adapter_postnorm", m, config(adapter_attn_dim=9), s("attn_adapter_postnorm"), hidden=False)
        for w in (False, True):
            n = "seqcls" + "_weighted" * w
            c = dict(use_weighted_layer_sum=w, classifier_proj_size=19, **labels(4))
            yield C(n, f"{prefix}ForSequenceClassification", config(**c), s(n), hidden=w)
            yield C(n + "_mask", f"{prefix}ForSequenceClassification", config(**c, **STABLE), s(n + "_mask", batch=3, lengths=[700, 1600, 1222]), hidden=False)
        yield C("seqcls_group_mask", f"{prefix}ForSequenceClassification", config(**labels(3)), s("seqcls_group_mask", batch=3, lengths=[700, 1600, 1222]), hidden=False)
    yield Case("hubert.batchnorm", "HubertModel", config(conv_pos_batch_norm=True), sound("hubert.batchnorm"))
    yield Case("hubert.batchnorm_mask", "HubertModel", config(conv_pos_batch_norm=True, **STABLE), sound("hubert.batchnorm_mask", lengths=[1600, 900]), hidden=False)
    yield Case("hubert.proj_nonorm", "HubertModel", config(feat_proj_layer_norm=False), sound("hubert.proj_nonorm"))

    C = lambda n, cls, cfg, x, **kw: Case(f"wav2vec2.{n}", cls, cfg, x, **kw)
    s = lambda n, **kw: sound(f"wav2vec2.{n}", **kw)
    yield C("adapter", "Wav2Vec2Model", config(add_adapter=True), s("adapter"))
    yield C("adapter_proj", "Wav2Vec2Model", config(add_adapter=True, output_hidden_size=28, num_adapter_layers=2), s("adapter_proj"))
    yield C("adapter_k5s3", "Wav2Vec2Model", config(add_adapter=True, adapter_kernel_size=5, adapter_stride=3, num_adapter_layers=1), s("adapter_k5s3"), hidden=False)
    yield C("adapter_mask", "Wav2Vec2Model", config(add_adapter=True, **STABLE), s("adapter_mask", batch=3, lengths=[1600, 900, 1201]))
    yield C("adapter_group_mask", "Wav2Vec2Model", config(add_adapter=True, num_adapter_layers=1), s("adapter_group_mask", batch=2, lengths=[1000, 1600]), hidden=False)
    yield C("adapter_ctc", "Wav2Vec2ForCTC", config(add_adapter=True, output_hidden_size=20, adapter_attn_dim=5, **STABLE), s("adapter_ctc"), hidden=False)
    for w in (False, True):
        n = "frames" + "_weighted" * w
        yield C(n, "Wav2Vec2ForAudioFrameClassification", config(use_weighted_layer_sum=w, **labels(3)), s(n, lengths=[1600, 1000]), hidden=False)
    tdnn = dict(tdnn_dim=[24, 20, 30], tdnn_kernel=[5, 3, 1], tdnn_dilation=[1, 2, 1], xvector_output_dim=18, **labels(3))
    yield C("xvector", "Wav2Vec2ForXVector", config(**tdnn), s("xvector"), hidden=False)
    x = s("masked_time")
    x["mask_time_indices"] = (rng("wav2vec2.masked_time.m").random((2, 39)) < 0.3).astype(np.int64)
    yield C("mask_time_indices", "Wav2Vec2Model", config(), x, hidden=False)
    for n, kw in {"pretraining": {}, "pretraining_mask": dict(num_codevector_groups=3, codevector_dim=48, apply_spec_augment=False), "pretraining_masked_time": dict(**STABLE)}.items():
        x = s(n, lengths=[1600, 901] if n == "pretraining_mask" else None)
        if n != "pretraining":
            x["mask_time_indices"] = (rng(f"wav2vec2.{n}.m").random((2, 39)) < 0.4).astype(np.int64)
        yield C(n, "Wav2Vec2ForPreTraining", config(**{**dict(num_codevectors_per_group=21, codevector_dim=24, proj_codevector_dim=18), **kw}), x)
    yield C("bits16", "Wav2Vec2Model", config(hidden_size=64, num_attention_heads=4), s("bits16", samples=3217), hidden=False)

    yield C("base", "Wav2Vec2Model", {}, s("base", batch=1, samples=32000), tol=2e-4, float64=False)


def golden():
    small = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40, vocab_size=13,
                 conv_dim=[16, 20, 16], conv_kernel=[10, 3, 2], conv_stride=[5, 2, 2], num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=4)  # fmt: skip
    s = lambda n, **kw: sound(n, **{"samples": 400, **kw})
    yield Case("wav2vec2.group", "Wav2Vec2Model", small, s("wav2vec2.group", samples=300, lengths=[300, 251]), dtype="F16")
    yield Case("wav2vec2.stable", "Wav2Vec2Model", {**small, **STABLE, "hidden_size": 28, "num_conv_pos_embeddings": 5}, s("wav2vec2.stable", samples=300, lengths=[203, 300]), dtype="BF16", rename=old_weight_norm)
    yield Case("wav2vec2.ctc", "Wav2Vec2ForCTC", {**small, **STABLE, "adapter_attn_dim": 7, "num_hidden_layers": 1}, s("wav2vec2.ctc"), dtype="F16")
    yield Case("wav2vec2.adapter", "Wav2Vec2Model", {**small, "num_hidden_layers": 1, "add_adapter": True, "output_hidden_size": 16, "num_adapter_layers": 2}, s("wav2vec2.adapter", lengths=[400, 290]), dtype="F16")
    yield Case("wav2vec2.sequence_classification", "Wav2Vec2ForSequenceClassification", {**small, "hidden_size": 20, "use_weighted_layer_sum": True, "classifier_proj_size": 9, **labels(3)},
               s("wav2vec2.seqcls", lengths=[400, 290]), dtype="F16", hidden=False)  # fmt: skip
    yield Case("wav2vec2.frames", "Wav2Vec2ForAudioFrameClassification", {**small, "num_hidden_layers": 1, "conv_bias": True, **labels(3)}, s("wav2vec2.frames", lengths=[260, 400]), dtype="F16", hidden=False)
    yield Case("wav2vec2.xvector", "Wav2Vec2ForXVector", {**small, "num_hidden_layers": 1, "feat_extract_norm": "layer", "tdnn_dim": [12, 10], "tdnn_kernel": [3, 2], "tdnn_dilation": [1, 2], "xvector_output_dim": 7, **labels(2)},
               s("wav2vec2.xvector", lengths=[400, 330]), dtype="BF16", hidden=False)  # fmt: skip
    yield Case("wav2vec2.mask_time", "Wav2Vec2Model", {**small, "num_hidden_layers": 1}, {**s("wav2vec2.mask_time"), "mask_time_indices": (rng("wav2vec2.mask_time.m").random((2, 19)) < 0.3).astype(np.int64)}, dtype="F16", hidden=False)
    yield Case("wav2vec2.pretraining", "Wav2Vec2ForPreTraining", {**small, "num_hidden_layers": 1, "num_codevectors_per_group": 11, "codevector_dim": 12, "proj_codevector_dim": 9},
               {**s("wav2vec2.pretraining"), "mask_time_indices": (rng("wav2vec2.pretraining.m").random((2, 19)) < 0.4).astype(np.int64)}, dtype="F16", hidden=False)  # fmt: skip
    yield Case("hubert.ctc", "HubertForCTC", {**small, **STABLE, "num_hidden_layers": 1}, s("hubert.ctc", lengths=[400, 290]), dtype="F16", hidden=False)
    yield Case("hubert.seqcls_batchnorm", "HubertForSequenceClassification", {**small, "hidden_size": 20, "num_hidden_layers": 1, "conv_pos_batch_norm": True, "classifier_proj_size": 9, **labels(3)},
               s("hubert.seqcls_batchnorm", lengths=[400, 290]), dtype="F16", hidden=False)  # fmt: skip
    yield Case("hubert.model", "HubertModel", {**small, "num_hidden_layers": 1, "conv_pos_batch_norm": True}, s("hubert.model", lengths=[260, 400]), dtype="F16")
    yield Case("hubert.sequence_classification", "HubertForSequenceClassification", {**small, "hidden_size": 20, "num_hidden_layers": 1, "feat_extract_norm": "layer", "feat_proj_layer_norm": False, "classifier_proj_size": 9, **labels(3)},
               s("hubert.seqcls", lengths=[400, 290]), dtype="F16", hidden=False)  # fmt: skip
