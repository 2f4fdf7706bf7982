"""ViT and DeiT."""

import numpy as np

from bert import labels
from common import Case, rng


def config(**kw):
    c = dict(hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=80, image_size=32, patch_size=8)
    c.update(kw)
    return c


def pixels(name, batch=2, channels=3, height=32, width=32):
    return {"pixel_values": rng(name + ".in").standard_normal((batch, channels, height, width)).astype(np.float32)}


def new_names(sd):
    """The names that Transformers 5 gives the modules."""
    table = [
        ("encoder.layer.", "layers."), ("attention.attention.query", "attention.q_proj"), ("attention.attention.key", "attention.k_proj"),
        ("attention.attention.value", "attention.v_proj"), ("attention.output.dense", "attention.o_proj"),
        ("intermediate.dense", "mlp.fc1"), ("output.dense", "mlp.fc2"),
    ]  # fmt: skip
    out = {}
    for k, v in sd.items():
        for old, new in table:
            k = k.replace(old, new)
        out[k] = v
    return out


def cases():
    resize = {"interpolate_pos_encoding": True}
    yield Case("vit.model", "ViTModel", config(), pixels("vit.model"))
    yield Case("vit.batch1", "ViTModel", config(), pixels("vit.batch1", batch=1), hidden=False)
    yield Case("vit.batch5", "ViTModel", config(), pixels("vit.batch5", batch=5), hidden=False)
    yield Case("vit.nopooler", "ViTModel", config(), pixels("vit.nopooler"), init={"add_pooling_layer": False}, hidden=False)
    yield Case("vit.masktoken", "ViTModel", config(), pixels("vit.masktoken"), init={"use_mask_token": True}, hidden=False)
    x = pixels("vit.masked")
    x["bool_masked_pos"] = (rng("vit.masked.m").random((2, 16)) < 0.4).astype(np.int64)
    yield Case("vit.bool_masked_pos", "ViTModel", config(), x, init={"use_mask_token": True})
    yield Case("vit.pooler_size", "ViTModel", config(pooler_output_size=29, pooler_act="gelu"), pixels("vit.pooler_size"), hidden=False)
    yield Case("vit.qkv_nobias", "ViTModel", config(qkv_bias=False), pixels("vit.qkv_nobias"))
    yield Case("vit.eps", "ViTModel", config(layer_norm_eps=1e-2), pixels("vit.eps"))
    for size, patch, channels in [(30, 6, 3), (35, 7, 1), (33, 8, 3), (28, 14, 4), (16, 16, 3), (24, 4, 2), (64, 32, 3), (15, 3, 3)]:
        n = f"vit.image{size}_patch{patch}_c{channels}"
        yield Case(n, "ViTModel", config(image_size=size, patch_size=patch, num_channels=channels), pixels(n, channels=channels, height=size, width=size), hidden=channels == 3)
    yield Case("vit.nonsquare", "ViTModel", config(image_size=[24, 40]), pixels("vit.nonsquare", height=24, width=40))
    yield Case("vit.rect_patch", "ViTModel", config(image_size=[24, 40], patch_size=[8, 4]), pixels("vit.rect_patch", height=24, width=40), hidden=False)
    for h, w in [(64, 64), (48, 24), (40, 32), (16, 16), (33, 70), (32, 40), (8, 8), (24, 96), (128, 120)]:
        n = f"vit.interpolate_{h}x{w}"
        yield Case(n, "ViTModel", config(), pixels(n, height=h, width=w), set=resize, hidden=h < w)
    yield Case("vit.interpolate_same", "ViTModel", config(), pixels("vit.interpolate_same"), set=resize, hidden=False)
    yield Case("vit.interpolate_equal_count", "ViTModel", config(), pixels("vit.interpolate_equal_count", height=16, width=64), set=resize, hidden=False)
    yield Case("vit.interpolate_false", "ViTModel", config(), pixels("vit.interpolate_false"), set={"interpolate_pos_encoding": False}, hidden=False)
    yield Case("vit.interpolate_ragged", "ViTModel", config(image_size=36), pixels("vit.interpolate_ragged", height=37, width=37), set=resize, hidden=False)
    yield Case("vit.nonsquare_interpolate_square", "ViTModel", config(image_size=[16, 64]), pixels("vit.nonsquare_is", height=24, width=48), set=resize, hidden=False)
    for hidden, heads in [(20, 4), (21, 3), (36, 3), (40, 2)]:
        n = f"vit.head{hidden // heads}"
        yield Case(n, "ViTModel", config(hidden_size=hidden, num_attention_heads=heads, intermediate_size=31), pixels(n), hidden=False)
    for a in ("gelu_new", "relu", "quick_gelu", "silu", "gelu_pytorch_tanh"):
        yield Case(f"vit.act_{a}", "ViTModel", config(hidden_act=a), pixels(f"vit.act_{a}"), hidden=False)
    for a in ("relu", "sigmoid", "silu", "linear"):
        yield Case(f"vit.pooler_{a}", "ViTModel", config(pooler_act=a, num_hidden_layers=1), pixels(f"vit.pooler_{a}"), hidden=False)
    for d in ("F16", "BF16", "F64"):
        yield Case(f"vit.{d.lower()}", "ViTModel", config(), pixels(f"vit.{d}"), dtype=d)
    yield Case("vit.sharded", "ViTForImageClassification", config(**labels(6)), pixels("vit.sharded"), shard="60KB")
    yield Case("vit.new_names", "ViTModel", config(), pixels("vit.new_names"), rename=new_names)
    yield Case("vit.classify", "ViTForImageClassification", config(**labels(9)), pixels("vit.classify"))
    yield Case("vit.classify_interpolate", "ViTForImageClassification", config(**labels(9)), pixels("vit.classify_interpolate", height=40, width=56), set=resize, hidden=False)
    yield Case("vit.classify_as_model", "ViTModel", config(), pixels("vit.classify_as_model"), hidden=False)
    yield Case("vit.classify_1label", "ViTForImageClassification", config(**labels(1)), pixels("vit.classify_1label"), hidden=False)
    yield Case("vit.classify_headless", "ViTForImageClassification", config(num_labels=0), pixels("vit.classify_headless"), hidden=False)
    yield Case("vit.unprefixed", "ViTForImageClassification", config(**labels(4)), pixels("vit.unprefixed"), rename=lambda sd: {k.removeprefix("vit."): v for k, v in sd.items()}, hidden=False)
    yield Case("vit.masked_image", "ViTForMaskedImageModeling", config(encoder_stride=8), x, hidden=False)
    yield Case("vit.zero_layers", "ViTModel", config(num_hidden_layers=0), pixels("vit.zero_layers"), hidden=False)
    m = pixels("vit.attention_mask")
    m["attention_mask"] = np.ones((2, 17), np.int64)
    m["attention_mask"][0, 5:9] = 0
    m["attention_mask"][1, 12:] = 0
    yield Case("vit.attention_mask", "ViTModel", config(), m, hidden=False)

    yield Case("vit.base", "ViTModel", {}, pixels("vit.base", batch=1, height=224, width=224), tol=2e-4, float64=False)
    yield Case("deit.model", "DeiTModel", config(), pixels("deit.model"))
    yield Case("deit.masktoken", "DeiTModel", config(), pixels("deit.masktoken"), init={"use_mask_token": True}, hidden=False)
    yield Case("deit.nopooler", "DeiTModel", config(qkv_bias=False), pixels("deit.nopooler"), init={"add_pooling_layer": False})
    yield Case("deit.classify", "DeiTForImageClassification", config(**labels(5)), pixels("deit.classify"))
    yield Case("deit.teacher", "DeiTForImageClassificationWithTeacher", config(**labels(5)), pixels("deit.teacher"))
    yield Case("deit.teacher_interpolate", "DeiTForImageClassificationWithTeacher", config(**labels(5)), pixels("deit.teacher_interpolate", height=56, width=24), set=resize, hidden=False)
    yield Case("deit.interpolate", "DeiTModel", config(), pixels("deit.interpolate", height=48, width=64), set=resize, hidden=False)
    yield Case("deit.patch7_f16", "DeiTForImageClassification", config(image_size=28, patch_size=7, **labels(3)), pixels("deit.patch7", height=28, width=28), dtype="F16", hidden=False)
    yield Case("deit.nonsquare", "DeiTModel", config(image_size=[16, 40]), pixels("deit.nonsquare", height=16, width=40), hidden=False)

    yield Case("vit.base", "ViTModel", {}, pixels("vit.base", batch=1, height=224, width=224), tol=2e-4, float64=False)


def golden():
    small = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40, image_size=16, patch_size=4)
    p = lambda n, **kw: pixels(n, **{"height": 16, "width": 16, **kw})
    yield Case("vit.model", "ViTModel", small, p("vit.model"), dtype="F16")
    yield Case("vit.nonsquare", "ViTModel", {**small, "hidden_size": 20, "image_size": [12, 20], "patch_size": [6, 4], "qkv_bias": False, "hidden_act": "relu"},
               p("vit.nonsquare", height=12, width=20), init={"add_pooling_layer": False})  # fmt: skip
    yield Case("vit.interpolate", "ViTForImageClassification", {**small, "patch_size": 5, "image_size": 17, "hidden_size": 20, **labels(5)},
               p("vit.interpolate", height=31, width=22), dtype="BF16", set={"interpolate_pos_encoding": True})  # fmt: skip
    x = p("vit.masked")
    x["bool_masked_pos"] = (rng("vit.masked.m").random((2, 16)) < 0.4).astype(np.int64)
    yield Case("vit.masked", "ViTModel", {**small, "num_hidden_layers": 1, "pooler_output_size": 11}, x, dtype="F16", init={"use_mask_token": True}, hidden=False)
    x = p("vit.masked_image")
    x["bool_masked_pos"] = (rng("vit.masked_image.m").random((2, 16)) < 0.4).astype(np.int64)
    yield Case("vit.masked_image", "ViTForMaskedImageModeling", {**small, "num_hidden_layers": 1, "encoder_stride": 4}, x, dtype="F16", hidden=False)
    yield Case("vit.new_names", "ViTForImageClassification", {**small, "num_hidden_layers": 1, "hidden_act": "hardswish", **labels(3)}, p("vit.new_names"), dtype="F16", rename=new_names, hidden=False)
    yield Case("deit.model", "DeiTModel", {**small, "num_hidden_layers": 1}, p("deit.model"), dtype="F16")
    yield Case("deit.teacher", "DeiTForImageClassificationWithTeacher", {**small, "num_hidden_layers": 1, **labels(4)}, p("deit.teacher", height=24, width=12), dtype="F16",
               set={"interpolate_pos_encoding": True}, hidden=False)  # fmt: skip
