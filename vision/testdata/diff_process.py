"""The sections of diff.py that need Transformers ("process") or damage files ("broken")."""
import json, os, random, struct
import numpy as np
from PIL import Image
import __main__ as D


def configs():
    """(name, preprocessor config, model config) over classes and options."""
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
        {"rescale_offset": True}, {"include_top": False}, {"include_top": True, "do_normalize": False}, {"do_reduce_labels": True}, {"foo": 1},
    ] + [{"resample": r} for r in (0, 1, 2, 3, 4, 5, 6, 7, None)]
    T = ["ViT", "DeiT", "CLIP", "ChineseCLIP", "Bit", "Blip", "Siglip", "Pvt", "MobileNetV1", "MobileNetV2", "Beit", "Segformer",
         "OwlViT", "Levit", "ConvNext", "PoolFormer", "Vilt", "EfficientNet"]
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
    for m in ("vit", "clip", "deit", "dinov2", "resnet", "swin", "siglip", "vilt", "blip", "git", "nosuch"):
        yield {"do_normalize": True}, {"model_type": m}
    yield {"do_normalize": True}, {"model_type": "vit", "image_processor_type": "DeiTImageProcessor"}
    yield base("NoSuchImageProcessor"), {}


def section_process():
    import transformers
    from transformers import AutoImageProcessor
    transformers.logging.set_verbosity_error()
    pics = [D.write(f"p{i}.png", D.saved(im, "PNG")) for i, im in enumerate(
        [D.photo(37, 53), D.photo(120, 81), D.photo(64, 64), D.photo(1, 40), D.photo(300, 7)])]
    n = agree = refused = 0
    worst = 0.0
    for i, (cfg, model) in enumerate(configs()):
        d = os.path.join(D.TMP, "model")
        os.makedirs(d, exist_ok=True)
        json.dump(cfg, open(d + "/preprocessor_config.json", "w"))
        json.dump(model or {"model_type": "vit"}, open(d + "/config.json", "w"))
        try:
            p, perr = AutoImageProcessor.from_pretrained(d, backend="pil"), None
        except Exception as e:
            p, perr = None, e
        for path in (pics[i % 3], pics[3 + i % 2]):
            n += 1
            want = None
            try:
                if p is None:
                    raise perr
                want = p(D.load(path), return_tensors="np")["pixel_values"][0]
                werr = None
            except Exception as e:
                werr = e
            got, a = D.ask("process", path, config=cfg, model=model or None)
            what = f"process {cfg} {model} {Image.open(path).size}"
            if want is None and got is None:
                refused += 1
                continue
            if want is None or got is None:
                D.fail(f"{what}: {'HF refuses: ' + repr(werr)[:150] if want is None else a}")
                continue
            if got.shape != want.shape:
                D.fail(f"{what}: shape {got.shape} want {want.shape}")
                continue
            if a.get("integer", False) != (want.dtype.kind in "iub"):
                D.fail(f"{what}: integer {a} want {want.dtype}")
            e = float(np.abs(got.astype(np.float64) - want).max())
            worst = max(worst, e)
            agree += 1
            if e > 1e-6:
                D.fail(f"{what}: max {e}")
    print(f"process: {n} runs, {agree} compared, {refused} refused by both, max difference {worst:.3g}")


def section_broken():
    """Truncated and damaged files: never more than Pillow reads, and the same pixels where both read."""
    R = random.Random(5)
    im = D.photo(61, 43)
    files = {
        "png": D.saved(im, "PNG"), "png p": D.saved(im.quantize(9), "PNG"), "png i": D.png(30, 20, 8, 2, 1, seed=3),
        "jpeg": D.saved(im, "JPEG"), "jpeg prog": D.saved(im, "JPEG", progressive=True), "jpeg rst": D.saved(im, "JPEG", restart_marker_blocks=2),
        "gif": D.saved(im, "GIF"), "bmp": D.saved(im, "BMP"), "bmp p": D.saved(im.quantize(30), "BMP"),
        "webp": D.saved(im, "WEBP"), "webp ll": D.saved(im, "WEBP", lossless=True), "tiff": D.saved(im, "TIFF"),
        "tiff lzw": D.saved(im, "TIFF", compression="tiff_lzw"), "tiff deflate": D.saved(im, "TIFF", compression="tiff_adobe_deflate"),
        "tiff jpeg": D.saved(im, "TIFF", compression="jpeg"), "tiff packbits": D.saved(im, "TIFF", compression="packbits"),
    }
    tally = {}
    for name, b in files.items():
        for i in range(60):
            if i < 30:
                c = b[:R.randrange(len(b)) if i < 20 else len(b) - 1 - (i - 20)]
                kind = "cut"
            else:
                c = bytearray(b)
                for _ in range(R.choice([1, 1, 3])):
                    c[R.randrange(len(c))] = R.randrange(256)
                kind = "damaged"
            path = D.write("broken.bin", bytes(c))
            try:
                want = np.array(D.load(path))
            except Exception:
                want = None
            got, a = D.ask("decode", path)
            if got is None or want is None:
                r = "both refuse" if got is None and want is None else "only weft refuses" if got is None else "only Pillow refuses"
            else:
                r = "same" if got.shape == want.shape and np.array_equal(got, want) else "other pixels"
            tally.setdefault((name, kind), {}).setdefault(r, []).append(len(c) if kind == "cut" else i)
            if "malformed file (" in a.get("error", ""):
                D.fail(f"broken {name} {i}: {a['error']}")
    for (name, kind), t in tally.items():
        print(f"broken {name} {kind}:", {k: len(v) for k, v in t.items()}, {k: v[:4] for k, v in t.items() if k.startswith("only P") or k == "other pixels"})
