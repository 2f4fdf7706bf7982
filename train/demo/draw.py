"""Pictures of meanings, drawn with Pillow at 128 x 128."""
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import world

SIDE = 128
RGB = {"red": (214, 34, 38), "green": (38, 160, 62), "blue": (38, 84, 214), "yellow": (242, 218, 38),
       "purple": (138, 44, 176), "orange": (245, 136, 26), "white": (246, 246, 246), "black": (18, 18, 20)}

_digits = None


def digit_images():
    """scikit-learn's handwritten digits: 1797 real 8 x 8 scans, (images uint8, labels)."""
    global _digits
    if _digits is None:
        from sklearn.datasets import load_digits
        d = load_digits()
        _digits = (d.images * (255 / 16)).astype(np.uint8), d.target
    return _digits


def digit_samples(d, held):
    """The scans of digit d: every fifth is held out."""
    _, labels = digit_images()
    return [i for i in range(len(labels)) if labels[i] == d and (i % 5 == 0) == held]


def draw(m, rng, held=False, labels=None):
    """A picture of meaning m. held chooses the handwritten digits' held-out samples.

    Into labels, an 8-bit image, go the things of a scene: 1 + 6*colour + shape where one is.
    """
    if m[0] == "digit":
        im = _digit(m[1], rng, held)
    elif m[0] in ("form", "list"):
        im = _screen(m, rng)
    else:
        im = _scene(m, rng, labels)
    return _camera(im, rng, 0.3 if m[0] in ("form", "list") else 1.0)


def _camera(im, rng, strength):
    """Blur, light and noise."""
    if rng.random() < 0.25 * strength:
        im = im.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2)))
    x = np.asarray(im, np.float32)
    if rng.random() < 0.5 * strength:
        x = (x - 128) * rng.uniform(0.8, 1.15) + 128 + rng.uniform(-16, 16)
    if rng.random() < 0.35 * strength:
        noise = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.uniform(1, 12), (SIDE // 2, SIDE // 2, 3))
        x = x + noise.repeat(2, 0).repeat(2, 1)
    return Image.fromarray(np.clip(x, 0, 255).astype(np.uint8))


def _tint(colour, rng, spread=16):
    return tuple(max(0, min(255, v + rng.randint(-spread, spread))) for v in RGB[colour])


# ---- scenes

def _paper(rng):
    """A background unlike any of the eight colours: of middling light and little colour, plain or shaded."""
    def tone():
        base = rng.randint(95, 190)
        return [base + rng.randint(-22, 22) for _ in range(3)]
    if rng.random() < 0.6:
        return Image.new("RGB", (SIDE, SIDE), tuple(tone()))
    a, b = np.array(tone(), np.float32), np.array(tone(), np.float32)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    turn = rng.uniform(0, 2 * math.pi)
    t = np.clip(0.5 + (x - 0.5) * math.cos(turn) + (y - 0.5) * math.sin(turn), 0, 1)[..., None]
    return Image.fromarray((a * (1 - t) + b * t).astype(np.uint8))


def _outline(shape, turn):
    """The corners of a shape of radius 1."""
    if shape == "square":
        pts = [(math.cos(math.pi / 4 + i * math.pi / 2), math.sin(math.pi / 4 + i * math.pi / 2)) for i in range(4)]
    elif shape == "triangle":
        pts = [(math.cos(-math.pi / 2 + i * 2 * math.pi / 3), math.sin(-math.pi / 2 + i * 2 * math.pi / 3))
               for i in range(3)]
    elif shape == "star":
        pts = [((1, 0.45)[i % 2] * math.cos(-math.pi / 2 + i * math.pi / 5),
                (1, 0.45)[i % 2] * math.sin(-math.pi / 2 + i * math.pi / 5)) for i in range(10)]
    elif shape == "cross":
        w = 0.34
        pts = [(-w, -1), (w, -1), (w, -w), (1, -w), (1, w), (w, w), (w, 1), (-w, 1), (-w, w), (-1, w), (-1, -w),
               (-w, -w)]
    elif shape == "heart":
        pts = []
        for i in range(40):
            t = 2 * math.pi * i / 40
            pts.append((math.sin(t) ** 3, -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t)
                                            - math.cos(4 * t)) / 16.5))
    c, s = math.cos(turn), math.sin(turn)
    return [(x * c - y * s, x * s + y * c) for x, y in pts]


def _scene(m, rng, labels):
    im = _paper(rng)
    layers = [ImageDraw.Draw(im)] + ([ImageDraw.Draw(labels)] if labels else [])

    def thing(colour, shape, x, y, r):
        turn = math.radians(rng.uniform(-22, 22))
        fills = _tint(colour, rng), 1 + 6 * world.COLOURS.index(colour) + world.SHAPES.index(shape)
        for d, fill in zip(layers, fills):
            if shape == "circle":
                d.ellipse([x - r, y - r, x + r, y + r], fill=fill)
            else:
                d.polygon([(x + r * px, y + r * py) for px, py in _outline(shape, turn)], fill=fill)

    def inside(r):
        return rng.uniform(r + 2, SIDE - r - 2)

    if m[0] == "one":
        r = rng.uniform(15, 22) if m[1] == "small" else rng.uniform(40, 54)
        thing(m[2], m[3], inside(r), inside(r), r)
    elif m[0] == "many":
        placed = []
        r = rng.uniform(16, 22)
        while len(placed) < m[1]:
            if rng.random() < 0.02:
                r *= 0.97
            x, y = inside(r), inside(r)
            if all(math.hypot(x - a, y - b) > 2.15 * r for a, b in placed):
                placed.append((x, y))
        for x, y in placed:
            thing(m[2], m[3], x, y, r * rng.uniform(0.9, 1.05))
    elif m[3] == "inside":
        r = rng.uniform(50, 60)
        x, y = inside(r), inside(r)
        thing(m[4], m[5], x, y, r)
        s = rng.uniform(15, 19)
        dy = 0.12 * r if m[5] == "triangle" else 0
        thing(m[1], m[2], x + rng.uniform(-3, 3), y + dy + rng.uniform(-3, 3), s)
    else:
        while True:
            r, s = rng.uniform(20, 29), rng.uniform(20, 29)
            x, y, u, v = inside(r), inside(r), inside(s), inside(s)
            along, across = (u - x, v - y) if m[3] == "left of" else (v - y, u - x)
            if along > r + s + 2 and abs(across) < 0.5 * along:
                break
        thing(m[1], m[2], x, y, r)
        thing(m[4], m[5], u, v, s)
    return im


# ---- handwritten digits

def _digit(digit, rng, held):
    images, _ = digit_images()
    scan = Image.fromarray(images[rng.choice(digit_samples(digit, held))])
    scan = scan.resize((96, 96), Image.BICUBIC)
    page = Image.new("L", (SIDE, SIDE))
    page.paste(scan, (16 + rng.randint(-8, 8), 16 + rng.randint(-8, 8)))
    turn, grow, lean = math.radians(rng.uniform(-12, 12)), rng.uniform(0.85, 1.2), rng.uniform(-0.2, 0.2)
    a, b = math.cos(turn) / grow, (math.sin(turn) + lean) / grow
    c, e = -math.sin(turn) / grow, math.cos(turn) / grow
    h = SIDE / 2
    page = page.transform((SIDE, SIDE), Image.AFFINE, (a, b, h - a * h - b * h, c, e, h - c * h - e * h),
                          Image.BILINEAR)
    ink = np.asarray(page, np.float32)[..., None] / 255
    light = np.array([rng.randint(200, 250) + rng.randint(-10, 5) for _ in range(3)], np.float32)
    dark = np.array([rng.randint(10, 70) for _ in range(3)], np.float32)
    paper, pen = (light, dark) if rng.random() < 0.75 else (dark, light)
    return Image.fromarray((paper * (1 - ink) + pen * ink).astype(np.uint8))


# ---- screens

def _screen(m, rng):
    light = m[1] == "light"
    v = rng.randint(222, 250) if light else rng.randint(24, 52)
    page = (v, v, min(255, v + rng.randint(0, 8)))
    text = (60, 60, 66) if light else (205, 205, 210)
    faint = tuple(int(p * 0.75 + t * 0.25) for p, t in zip(page, text))
    card = tuple(min(255, p + (8 if light else 14)) for p in page)
    im = Image.new("RGB", (SIDE, SIDE), page)
    d = ImageDraw.Draw(im)
    font = ImageFont.load_default(rng.choice([9, 10, 11]))

    def box(x, y, w, h, fill, radius=3, outline=None):
        d.rounded_rectangle([x, y, x + w, y + h], radius, fill=fill, outline=outline)

    def line(x, y, w):
        d.rectangle([x, y, x + w, y + 2], fill=faint)

    def title(x, y, words):
        d.text((x, y), rng.choice(words), fill=text, font=font)

    if rng.random() < 0.5:  # the window's bar, with its three marks
        d.rectangle([0, 0, SIDE, 9], fill=faint)
        for i in range(3):
            d.ellipse([4 + 8 * i, 2, 9 + 8 * i, 7], fill=text)
    x, y = rng.randint(8, 22), rng.randint(12, 22)
    w = SIDE - 2 * x + rng.randint(-6, 6)
    kind = m[2]
    if kind == "login form":
        h = rng.randint(84, 96)
        box(x, y, w, h, card, 5, faint)
        title(x + 8, y + 5, ["Sign in", "Login", "Welcome", "Log in"])
        for i in range(2):
            box(x + 8, y + 21 + 21 * i, w - 16, 14, page, 2, text)
            line(x + 12, y + 27 + 21 * i, rng.randint(15, 50))
        box(x + 8, y + h - 26, w - 16 - rng.randint(0, 12), 17, _tint(m[3], rng))
    elif kind == "search page":
        y += rng.randint(2, 10)
        box(4, y, 82, 15, card, 7, text)
        d.ellipse([10, y + 3, 17, y + 10], outline=text, width=2)
        d.line([16, y + 9, 20, y + 13], fill=text, width=2)
        box(90, y, 33, 15, _tint(m[3], rng))
        for i in range(rng.randint(3, 4)):
            line(8, y + 27 + 17 * i, rng.randint(60, 105))
            line(8, y + 33 + 17 * i, rng.randint(40, 90))
    elif kind == "error dialog":
        h = rng.randint(58, 70)
        y += rng.randint(6, 16)
        box(x, y, w, h, card, 4, text)
        title(x + 26, y + 5, ["Error", "Failed", "Warning", "Oops"])
        d.polygon([(x + 7, y + 22), (x + 15, y + 6), (x + 23, y + 22)], fill=text)
        d.line([x + 15, y + 11, x + 15, y + 16], fill=card, width=2)
        for i in range(2):
            line(x + 26, y + 23 + 7 * i, rng.randint(25, w - 36))
        box(x + w - 48, y + h - 21, 42, 15, _tint(m[3], rng))
    elif kind == "video player":
        h = rng.randint(64, 74)
        box(5, y, SIDE - 11, h, (70, 74, 84) if light else (96, 100, 112), 2)
        cx, cy = SIDE // 2, y + h // 2
        d.polygon([(cx - 10, cy - 12), (cx - 10, cy + 12), (cx + 13, cy)], fill=(225, 225, 228))
        cy = y + h + 14
        d.ellipse([7, cy - 9, 25, cy + 9], fill=_tint(m[3], rng))
        d.rectangle([33, cy - 1, 120, cy + 1], fill=faint)
        k = rng.randint(38, 112)
        d.rectangle([33, cy - 1, k, cy + 1], fill=text)
        d.ellipse([k - 3, cy - 3, k + 3, cy + 3], fill=text)
    elif kind == "settings page":
        title(8, y - 2, ["Settings", "Options", "Preferences"])
        gap = rng.randint(20, 23)
        for i in range(m[3]):
            t = y + 16 + gap * i
            line(10, t + 5, rng.randint(30, 60))
            on = rng.random() < 0.5
            box(92, t, 24, 12, _tint(rng.choice(["green", "blue"]), rng) if on else faint, 6)
            k = 105 if on else 93
            d.ellipse([k, t + 1, k + 10, t + 11], fill=(245, 245, 245))
    elif kind == "chat window":
        hue = _tint(rng.choice(["green", "blue", "purple"]), rng)
        for i in range(m[3]):
            t = y - 2 + 23 * i
            bw = rng.randint(48, 80)
            mine = rng.random() < 0.5
            bx = SIDE - 8 - bw if mine else 8
            box(bx, t, bw, 17, hue if mine else faint, 7)
            d.rectangle([bx + 7, t + 7, bx + bw - rng.randint(8, 24), t + 9], fill=(245, 245, 245) if mine else text)
        box(6, SIDE - 19, SIDE - 13, 13, card, 6, text)
    else:  # menu
        hue = _tint(rng.choice(list(RGB)[:6]), rng) if rng.random() < 0.5 else faint
        title(x, y - 3, ["Menu", "Start", "Main menu"])
        gap = rng.randint(21, 24)
        for i in range(m[3]):
            t = y + 13 + gap * i
            box(x, t, w, 16, hue, 4, text)
            d.rectangle([x + 10, t + 7, x + rng.randint(25, 50), t + 9], fill=text)
    return im


def small(im, side):
    """The picture as the image tower sees it: what ViTImageProcessor's resize gives."""
    return np.asarray(im.resize((side, side), Image.BILINEAR))
