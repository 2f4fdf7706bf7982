"""Processor configurations for diff.py and golden.py."""
import json, os, random
import numpy as np


def configs():
    """(preprocessor config, model config) over classes and options."""
    base = lambda t, **kw: dict(image_processor_type=t, **kw)
    S = [
        {}, {"size": {"height": 31, "width": 47}}, {"size": {"shortest_edge": 40}}, {"size": {"shortest_edge": 40, "longest_edge": 55}},
        {"size": {"max_height": 50, "max_width": 33}}, {"size": 36}, {"size": [30, 44]}, {"size": 36, "default_to_square": False},
        {"size": 36, "default_to_square": True}, {"size": {"longest_edge": 40}}, {"size": {"height": 30}}, {"size": None},
    ]
    O = [
        {}, {"do_resize": False}, {"do_rescale": False}, {"do_normalize": False}, {"do_rescale": False, "do_normalize": False},
        {"do_center_crop": True, "crop_size": 28}, {"do_center_crop": True, "crop_size": {"height": 25, "width": 90}},
        {"do_center_crop": True, "crop_size": [91, 21]}, {"do_center_crop": False}, {"do_center_crop": True, "crop_size": {"shortest_edge": 9}},
        {"do_resize": False, "do_center_crop": True, "crop_size": 33}, {"do_center_crop": None}, {"do_center_crop": True, "crop_size": None},
        {"rescale_factor": 0.01}, {"rescale_factor": None}, {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.3, 0.2, 0.7]},
        {"image_mean": 0.4, "image_std": 0.25}, {"image_mean": [0.5], "image_std": [0.5]}, {"do_pad": True, "pad_size": {"height": 400, "width": 500}},
        {"do_pad": True}, {"do_pad": True, "pad_size": 20}, {"do_convert_rgb": False}, {"do_convert_rgb": True},
        {"do_resize": None}, {"data_format": "channels_last"}, {"crop_pct": 0.8}, {"crop_pct": 1}, {"size_divisor": 16},
        {"rescale_offset": True}, {"include_top": False}, {"include_top": True, "do_normalize": False}, {"do_reduce_labels": True}, {"foo": 1}, {"max_size": 60}, {"max_size": None}, {"pad_and_return_pixel_mask": False},
        {"image_size": 29}, {"do_flip_channel_order": False}, {"ensure_multiple_of": 7}, {"keep_aspect_ratio": True},
        {"keep_aspect_ratio": True, "ensure_multiple_of": 14}, {"do_pad": True, "size_divisor": 24}, {"do_center_crop": True, "crop_size": {"shortest_edge": 50}},
    ] + [{"resample": r} for r in (0, 1, 2, 3, 4, 5, 6, 7, None)]
    T = ["ViT", "DeiT", "CLIP", "ChineseCLIP", "Bit", "Blip", "Siglip", "Pvt", "MobileNetV1", "MobileNetV2", "Beit", "Segformer",
         "OwlViT", "Levit", "ConvNext", "PoolFormer", "Vilt", "EfficientNet", "Idefics", "Flava", "PPChart2Table", "Chameleon", "Llava",
         "Perceiver", "TextNet", "GLPN", "DPT", "MobileViT", "BridgeTower", "RTDetr", "Detr", "ConditionalDetr", "DeformableDetr",
         "GroundingDino", "Yolos"]
    R = random.Random(11)
    for t in T:
        for s in S:
            yield base(t + "ImageProcessor", **s), {}
        for o in O:
            for s in R.sample(S[:9], 2):
                yield base(t + "ImageProcessor", **{**s, **o}), {}
        for _ in range(6):
            kw = dict(R.choice(S[:9]))
            for o in R.sample(O, 3):
                kw.update(o)
            yield base(t + "ImageProcessor", **kw), {}
        yield {"feature_extractor_type": t + "FeatureExtractor", "size": 32}, {}
        yield base(t + "ImageProcessorFast", size=32), {}
    yield base("ConvNextImageProcessor", size={"shortest_edge": 384}), {}
    yield base("CLIPImageProcessor", use_square_size=True), {}
    yield base("OwlViTImageProcessor", rescale=False, size=24), {}
    for m in ("vit", "clip", "deit", "dinov2", "resnet", "swin", "siglip", "vilt", "blip", "git", "detr", "rt_detr_v2", "depth_anything", "mobilevitv2", "nosuch"):
        yield {"do_normalize": True}, {"model_type": m}
    yield {"do_normalize": True}, {"model_type": "vit", "image_processor_type": "DeiTImageProcessor"}
    yield base("NoSuchImageProcessor"), {}


def hf_processor(folder, config, model):
    """The Pillow image processor that Transformers makes of two configurations."""
    import transformers
    transformers.logging.set_verbosity_error()
    d = os.path.join(folder, "model")
    os.makedirs(d, exist_ok=True)
    with open(d + "/preprocessor_config.json", "w") as f:
        json.dump(config, f)
    with open(d + "/config.json", "w") as f:
        json.dump(model or {"model_type": "vit"}, f)
    return transformers.AutoImageProcessor.from_pretrained(d, backend="pil")


def hf_pixels(processor, im):
    """pixel_values of one picture."""
    out = processor(im, return_tensors="np")
    return np.asarray(out["pixel_values"] if hasattr(out, "keys") else out)[0]  # Idefics gives the array alone
