"""CLIP and SigLIP."""

import numpy as np
import torch

from bert import labels
from common import Case, right_mask, rng

EOS = 95  # of the vocabulary of 96


def text(**kw):
    return dict(dict(vocab_size=96, hidden_size=48, intermediate_size=72, projection_dim=28, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=20,
                     bos_token_id=94, eos_token_id=EOS), **kw)  # fmt: skip


def vision(**kw):
    return dict(dict(hidden_size=60, intermediate_size=72, projection_dim=28, num_hidden_layers=2, num_attention_heads=5, image_size=48, patch_size=16), **kw)


def siglip_vision(**kw):
    c = vision(**kw)
    del c["projection_dim"]
    return c


def siglip_text(**kw):
    c = text(projection_size=60, **kw)
    del c["projection_dim"]
    return c


def clip(t=None, v=None, **kw):
    return dict(text_config=text(**(t or {})), vision_config=vision(**(v or {})), projection_dim=32, **kw)


def siglip(t=None, v=None, **kw):
    return dict(text_config=siglip_text(**(t or {})), vision_config=siglip_vision(**(v or {})), **kw)


def sentences(name, batch=3, length=13, mask=True, eos=EOS):
    """Sentences that end in eos, padded with 1."""
    r = rng(name + ".in")
    ids = r.integers(3, 90, (batch, length)).astype(np.int64)
    m = right_mask(batch, length, r, shortest=min(2, length - 1))
    ids[m == 0] = 1
    if eos is not None:
        ids[np.arange(batch), m.sum(1) - 1] = eos
    return {"input_ids": ids, "attention_mask": m} if mask else {"input_ids": ids}


def pictures(name, batch=2, channels=3, height=48, width=48):
    return {"pixel_values": rng(name + ".px").standard_normal((batch, channels, height, width)).astype(np.float32)}


def buffers(sd):
    """The buffers that older versions saved."""
    out = dict(sd)
    for k, v in sd.items():
        if k.endswith("embeddings.position_embedding.weight"):
            out[k.replace("position_embedding.weight", "position_ids")] = torch.arange(v.shape[0]).reshape(1, -1)
    return out


def bare(prefix):
    return lambda sd: {k.removeprefix(prefix + "."): v for k, v in sd.items()}


def prefixed(prefix):
    return lambda sd: {f"{prefix}.{k}": v for k, v in sd.items()}


def cases():
    resize = {"interpolate_pos_encoding": True}
    both = lambda n, **kw: {**sentences(n, **kw), **pictures(n)}
    yield Case("clip.full", "CLIPModel", clip(), both("clip.full"))
    yield Case("clip.legacy_eos", "CLIPModel", clip(dict(eos_token_id=2)), both("clip.legacy_eos"))
    yield Case("clip.no_eos", "CLIPModel", clip(), both("clip.no_eos", eos=None), hidden=False)
    yield Case("clip.loss", "CLIPModel", clip(), {**sentences("clip.loss"), **pictures("clip.loss", batch=3)}, set={"return_loss": True})
    yield Case("clip.interpolate", "CLIPModel", clip(), {**sentences("clip.interpolate"), **pictures("clip.interpolate", height=40, width=70)}, set=resize)
    yield Case("clip.config_dict", "CLIPModel", clip(), both("clip.config_dict"), keys={"text_config": None, "text_config_dict": text(), "vision_config_dict": vision()})
    yield Case("clip.config_dict_overrides", "CLIPModel", clip(dict(hidden_act="gelu", eos_token_id=49407)), both("clip.config_dict_overrides"),
               keys={"text_config_dict": {k: v for k, v in text(hidden_act="relu").items() if k != "eos_token_id"}})  # fmt: skip
    yield Case("clip.f16", "CLIPModel", clip(), both("clip.f16"), dtype="F16", rename=buffers)
    yield Case("clip.bf16_sharded", "CLIPModel", clip(), both("clip.bf16"), dtype="BF16", shard="40KB")
    yield Case("clip.f64", "CLIPModel", clip(), both("clip.f64"), dtype="F64")
    for task in ("TextModel", "TextModelWithProjection", "VisionModel", "VisionModelWithProjection"):
        x = sentences("clip." + task) if "Text" in task else pictures("clip." + task)
        c = text() if "Text" in task else vision()
        yield Case("clip." + task, "CLIP" + task, c, x)
        yield Case("clip.full_as_" + task, "CLIPModel", {**clip(), "projection_dim": 28}, x, run_as="CLIP" + task)
    yield Case("clip.bare_text", "CLIPTextModel", text(), sentences("clip.bare_text"), rename=bare("text_model"))
    yield Case("clip.bare_vision", "CLIPVisionModel", vision(), pictures("clip.bare_vision"), rename=bare("vision_model"))
    yield Case("clip.prefixed", "CLIPModel", clip(), both("clip.prefixed"), rename=prefixed("clip"), hidden=False)
    yield Case("clip.nomask", "CLIPTextModel", text(), sentences("clip.nomask", mask=False))
    x = sentences("clip.positions", mask=False)
    x["position_ids"] = rng("clip.positions").integers(0, 20, (1, 13)).astype(np.int64)
    yield Case("clip.positions", "CLIPTextModel", text(), x)
    for size, patch, channels in [(30, 7, 3), (32, 32, 3), (24, 4, 1), (33, 8, 4)]:
        n = f"clip.image{size}_patch{patch}"
        yield Case(n, "CLIPVisionModel", vision(image_size=size, patch_size=patch, num_channels=channels), pictures(n, channels=channels, height=size, width=size))
    yield Case("clip.classify", "CLIPForImageClassification", clip(**labels(7)), pictures("clip.classify"))
    yield Case("clip.headless", "CLIPForImageClassification", clip(num_labels=0), pictures("clip.headless"), hidden=False)
    yield Case("clip.base_text", "CLIPTextModel", {}, sentences("clip.base_text", batch=1, length=77, eos=49407), tol=2e-4, float64=False, hidden=False)
    yield Case("siglip.full", "SiglipModel", siglip(), both("siglip.full"))
    yield Case("siglip.loss", "SiglipModel", siglip(), {**sentences("siglip.loss"), **pictures("siglip.loss", batch=3)}, set={"return_loss": True})
    yield Case("siglip.nomask", "SiglipModel", siglip(), both("siglip.nomask", mask=False), dtype="F16")
    yield Case("siglip.interpolate", "SiglipModel", siglip(), {**sentences("siglip.i"), **pictures("siglip.i", height=70, width=33)}, set=resize)
    yield Case("siglip.text", "SiglipTextModel", siglip_text(), sentences("siglip.text"))
    yield Case("siglip.vision", "SiglipVisionModel", siglip_vision(), pictures("siglip.vision"))
    yield Case("siglip.nohead", "SiglipVisionModel", siglip_vision(vision_use_head=False), pictures("siglip.nohead"))
    yield Case("siglip.base_vision", "SiglipVisionModel", {}, pictures("siglip.base_vision", batch=1, height=224, width=224), tol=2e-4, float64=False, hidden=False)
    yield Case("siglip.full_as_text", "SiglipModel", siglip(), sentences("siglip.fat"), run_as="SiglipTextModel")
    yield Case("siglip.full_as_vision", "SiglipModel", siglip(), pictures("siglip.fav"), run_as="SiglipVisionModel")
    yield Case("siglip.classify", "SiglipForImageClassification", siglip(**labels(5)), pictures("siglip.classify"))


def golden():
    t = dict(vocab_size=40, hidden_size=12, intermediate_size=16, projection_dim=10, num_attention_heads=2, max_position_embeddings=9, eos_token_id=39)
    v = dict(hidden_size=15, intermediate_size=16, projection_dim=10, num_attention_heads=3, image_size=12, patch_size=4)
    px = lambda n, **kw: pictures(n, **{"height": 12, "width": 12, **kw})
    ids = lambda n, **kw: {k: np.where(x < 40, x, x % 38) if k == "input_ids" else x for k, x in sentences(n, length=8, **{"eos": 39, **kw}).items()}
    one = dict(num_hidden_layers=1)
    yield Case("clip.model", "CLIPModel", clip(t, {**v, **one}), {**ids("clip.model"), **px("clip.model")}, dtype="F16", rename=buffers)
    yield Case("clip.text", "CLIPModel", {**clip({**t, "eos_token_id": 2, "hidden_act": "gelu", **one}, {**v, "num_hidden_layers": 0}), "projection_dim": 10}, ids("clip.text", batch=4), dtype="F16",
               run_as="CLIPTextModel")  # fmt: skip
    yield Case("clip.interpolate", "CLIPVisionModelWithProjection", vision(**v, **one), px("clip.interpolate", height=21, width=17), dtype="BF16", set={"interpolate_pos_encoding": True}, hidden=False)
    yield Case("clip.vision", "CLIPVisionModel", vision(**{**v, **one, "image_size": 13, "num_channels": 1}), px("clip.vision", channels=1, height=13, width=13), dtype="F16", rename=bare("vision_model"))
    yield Case("clip.image_classification", "CLIPForImageClassification", clip({**t, "num_hidden_layers": 0}, {**v, **one}, **labels(3)), px("clip.image_classification"), dtype="F16", hidden=False)
    st, sv = ({k: x for k, x in c.items() if k != "projection_dim"} for c in (t, v))
    s = dict(text_config={**siglip_text(**st, **one), "projection_size": 15}, vision_config=siglip_vision(**sv, **one))
    yield Case("siglip.model", "SiglipModel", s, {**ids("siglip.model"), **px("siglip.model", batch=3)}, dtype="F16", set={"return_loss": True})
    yield Case("siglip.vision", "SiglipVisionModel", siglip_vision(**sv, **one), px("siglip.vision", height=16, width=8), dtype="F16", set={"interpolate_pos_encoding": True})
    yield Case("siglip.image_classification", "SiglipForImageClassification", {"text_config": siglip_text(**{**st, "num_hidden_layers": 0}), "vision_config": siglip_vision(**sv, **one, vision_use_head=False),
               **labels(2)}, px("siglip.image_classification"), dtype="F16", hidden=False)  # fmt: skip
