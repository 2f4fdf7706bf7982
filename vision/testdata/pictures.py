"""Picture files for diff.py and golden.py: all that Pillow writes, and more made by hand."""
import io, itertools, random, struct, zlib
import numpy as np
from PIL import Image

rng = np.random.default_rng(7)
random.seed(7)


def photo(w, h, mode="RGB"):
    """Smooth colour with edges and noise."""
    y, x = np.mgrid[0:h, 0:w].astype(float)
    ph = rng.uniform(0, 6, (3, 3))
    a = np.stack([127 + 70 * np.sin(x / (5 + 9 * i) + ph[i, 0]) + 50 * np.cos(y / (7 + 6 * i) + ph[i, 1]) for i in range(3)], -1)
    a[h // 3: h // 2, w // 4: w // 2] = rng.integers(0, 256, 3)
    a += rng.normal(0, 6, a.shape)
    im = Image.fromarray(np.clip(a, 0, 255).astype(np.uint8))
    return im if mode == "RGB" else im.convert(mode)


def saved(im, fmt, **kw):
    b = io.BytesIO()
    im.save(b, fmt, **kw)
    return b.getvalue()


def png(w, h, depth, colour, interlace=0, palette=None, trns=None, extra=b"", seed=0, filt=None, idat_split=1 << 30):
    """A PNG of random samples in any mode, with random row filters."""
    r = random.Random(seed)
    ch = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    bits = depth * ch
    raw = bytearray()

    def rows(w, h):
        if w == 0 or h == 0:
            return
        for _ in range(h):
            raw.append(r.randrange(5) if filt is None else filt)
            raw.extend(r.randbytes((w * bits + 7) // 8))
    if interlace:
        for x, y, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
            rows((w - x + dx - 1) // dx, (h - y + dy - 1) // dy)
    else:
        rows(w, h)

    def chunk(t, d):
        return struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, interlace))
    if palette is not None:
        out += chunk(b"PLTE", palette)
    if trns is not None:
        out += chunk(b"tRNS", trns)
    out += extra
    z = zlib.compress(bytes(raw))
    for i in range(0, len(z), idat_split):
        out += chunk(b"IDAT", z[i:i + idat_split])
    return out + chunk(b"IEND", b"")


def png_chunk(t, d):
    return struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))


def decode_cases():
    seed = 0
    for depth, colour in [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2), (1, 3), (2, 3), (4, 3), (8, 3), (8, 4), (16, 4), (8, 6), (16, 6)]:
        for w, h in [(1, 1), (1, 9), (9, 1), (2, 3), (5, 5), (8, 8), (13, 7), (33, 20), (70, 41)]:
            for inter in (0, 1):
                seed += 1
                pal = random.randbytes(3 * random.choice([1 << depth, max(1, (1 << depth) // 2)])) if colour == 3 else None
                tr = None
                if seed % 2:
                    tr = {0: b"\0\1", 2: b"\0\1\0\2\0\3", 3: bytes([0, 128, 255][:max(1, min(3, 1 << depth))])}.get(colour)
                yield f"png {depth}/{colour} {w}x{h} i{inter}", png(w, h, depth, colour, inter, pal, tr, seed=seed, idat_split=random.choice([1 << 30, 7, 100]))
    yield "png palette without PLTE", png(9, 9, 8, 3, seed=1)
    exif = lambda o: (lambda e: (e.__setitem__(0x112, o), e)[1])(Image.Exif())
    im = photo(11, 7)
    for o in range(0, 10):
        yield f"jpeg exif {o}", saved(im, "JPEG", exif=exif(o))
        yield f"png exif {o}", saved(im, "PNG", exif=exif(o))
        yield f"webp exif {o}", saved(im, "WEBP", lossless=True, exif=exif(o))
        yield f"tiff exif {o}", saved(im, "TIFF", tiffinfo={0x112: o})
        yield f"png raw profile {o}", saved_raw_profile(im, exif(o))
        xmp = f'<x:xmpmeta><rdf:Description tiff:Orientation="{o}"/></x:xmpmeta>'.encode()
        yield f"jpeg xmp {o}", saved(im, "JPEG", xmp=xmp)
        yield f"webp xmp {o}", saved(im, "WEBP", lossless=True, xmp=xmp)
        xi = b"XML:com.adobe.xmp\0\0\0\0\0" + f"<tiff:Orientation>{o}</tiff:Orientation>".encode()
        yield f"png xmp {o}", png(5, 9, 8, 2, extra=png_chunk(b"iTXt", xi), seed=o)
    big = Image.Exif(); big.endian = ">"; big[0x112] = 6
    yield "jpeg exif big endian", saved(im, "JPEG", exif=b"Exif\0\0" + big.tobytes()[6:])
    yield "apng", saved(photo(20, 10), "PNG", save_all=True, append_images=[photo(20, 10)])
    yield "apng default image", saved(photo(20, 10), "PNG", save_all=True, default_image=True, append_images=[photo(20, 10), photo(20, 10)])
    for w, h in [(1, 1), (1, 7), (7, 1), (13, 9), (64, 50), (300, 5)]:
        im = photo(w, h)
        yield f"gif {w}x{h}", saved(im, "GIF")
        yield f"gif grey {w}x{h}", saved(im.convert("L"), "GIF")
        yield f"gif flat {w}x{h}", saved(im, "GIF", interlace=0)
        yield f"gif 2 colours {w}x{h}", saved(im.convert("1"), "GIF")
        yield f"gif few {w}x{h}", saved(im.quantize(5), "GIF", interlace=1)
        yield f"gif trans {w}x{h}", saved(im.quantize(16), "GIF", transparency=3)
        yield f"gif anim {w}x{h}", saved(im, "GIF", save_all=True, append_images=[photo(w, h)], disposal=2)
        for mode in ("1", "L", "P", "RGB", "RGBA"):
            yield f"bmp {mode} {w}x{h}", saved(im.convert(mode), "BMP")
    for args in itertools.product([0, 2], [0, 1], [None, 2]):
        yield f"gif offset {args}", gif_offset(*args)
    yield from bmp_cases()
    yield from webp_cases()
    yield from tiff_cases()


def saved_raw_profile(im, exif):
    data = exif.tobytes()
    text = f"\nexif\n{len(data):8}\n" + "\n".join(data.hex()[i:i + 72] for i in range(0, 2 * len(data), 72)) + "\n"
    from PIL import PngImagePlugin
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", text, zip=True)
    return saved(im, "PNG", pnginfo=info)


def gif_offset(x, interlace, trans):
    """A frame inside a larger logical screen, or reaching beyond it."""
    w, h = 11, 6
    frame = saved(photo(w, h).quantize(8), "GIF", interlace=interlace, **({} if trans is None else {"transparency": trans}))
    i = frame.index(b",\0\0\0\0" + struct.pack("<HH", w, h))
    b = bytearray(frame)
    b[i + 1:i + 5] = struct.pack("<HH", x, x + 1)
    b[6:10] = struct.pack("<HH", 15, 5)
    return bytes(b)


def bmp(w, h, bits, pixels, comp=0, header=40, palette=b"", colours=0, masks=b"", top_down=False, gap=0):
    if header == 12:
        dib = struct.pack("<IHHHH", 12, w, h, 1, bits)
    else:
        dib = struct.pack("<IiiHHIIiiII", 40, w, -h if top_down else h, 1, bits, comp, len(pixels), 0, 0, colours, 0)
        dib = struct.pack("<I", header) + dib[4:]
        if header > 40:
            dib += masks.ljust(header - 40, b"\0")[:header - 40]
            masks = b""
    off = 14 + len(dib) + len(masks) + len(palette) + gap
    return b"BM" + struct.pack("<IHHI", off + len(pixels), 0, 0, off) + dib + masks + palette + b"\0" * gap + pixels


def bmp_cases():
    R = random.Random(3)
    for w, h in [(1, 1), (3, 2), (7, 5), (8, 3), (17, 9), (33, 4)]:
        for bits in (1, 4, 8, 16, 24, 32):
            stride = (w * bits + 31) // 32 * 4
            px = R.randbytes(stride * h)
            n = 1 << bits
            pal4 = R.randbytes(4 * n) if bits <= 8 else b""
            pal3 = R.randbytes(3 * n) if bits <= 8 else b""
            for top in (False, True):
                yield f"bmp raw {bits} {w}x{h} top{top}", bmp(w, h, bits, px, palette=pal4, top_down=top)
            yield f"bmp os2 {bits} {w}x{h}", bmp(w, h, bits, px, header=12, palette=pal3)
            for hd in (52, 56, 64, 108, 124):
                yield f"bmp v{hd} {bits} {w}x{h}", bmp(w, h, bits, px, header=hd, palette=pal4)
            if bits <= 8:
                few = max(2, n // 2 - 1)
                yield f"bmp few colours {bits} {w}x{h}", bmp(w, h, bits, px, palette=R.randbytes(4 * few), colours=few)
                yield f"bmp gap {bits} {w}x{h}", bmp(w, h, bits, px, palette=pal4, gap=6)
                if bits != 4:
                    grey = b"".join(bytes([v, v, v, 0]) for v in (range(n) if n > 2 else (0, 255)))
                    yield f"bmp grey {bits} {w}x{h}", bmp(w, h, bits, px, palette=grey)
        m = lambda *v: struct.pack("<" + "I" * len(v), *v)
        for bits, masks in [(16, (0xF800, 0x7E0, 0x1F)), (16, (0x7C00, 0x3E0, 0x1F)), (24, (0xFF0000, 0xFF00, 0xFF)),
                            (32, (0xFF0000, 0xFF00, 0xFF, 0)), (32, (0xFF000000, 0xFF0000, 0xFF00, 0)), (32, (0xFF000000, 0xFF00, 0xFF, 0)),
                            (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)), (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
                            (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)), (32, (0xFF000000, 0xFF00, 0xFF, 0xFF0000)), (32, (0, 0, 0, 0)), (32, (0xFF, 0xFF, 0xFF, 0))]:
            stride = (w * bits + 31) // 32 * 4
            px = R.randbytes(stride * h)
            for hd in (40, 52, 56, 108, 124):
                yield f"bmp masks {bits} {masks} v{hd} {w}x{h}", bmp(w, h, bits, px, comp=3, header=hd, masks=m(*masks[:3]) if hd == 40 else m(*masks))
        for rle4 in (False, True):
            for k in range(12):
                yield f"bmp rle {rle4} {w}x{h} {k}", bmp(w, h, 4 if rle4 else 8, rle(R, w, h, rle4, k), comp=2 if rle4 else 1,
                                                       palette=R.randbytes(4 * (16 if rle4 else 256)), top_down=k == 11)


def rle(R, w, h, rle4, k):
    """A run-length stream: runs, literals, jumps; k odd ends early."""
    out = bytearray()
    for y in range(h):
        x = 0
        while x < w:
            n = min(R.randrange(1, 20), w - x)
            c = R.randrange(3)
            if c == 0 and n >= 3:
                out += bytes([0, n])
                nb = (n + 1) // 2 if rle4 else n
                out += R.randbytes(nb) + b"\0" * (nb % 2)
            elif c == 1 and k > 5 and x + 2 <= w and False:
                out += bytes([0, 2, 1, 0]); n = 1
            else:
                out += bytes([n + (k == 4), R.randrange(256)])
            x += n
            if k == 6 and R.randrange(4) == 0:
                break
        if k == 8 and y == h // 2:
            out += bytes([0, 2, min(1, w - 1), 1])
        out += b"\0\0"
    if k != 9:
        out += b"\0\1"
    return bytes(out[:-3] if k == 10 else out)


def webp_cases():
    for w, h in [(1, 1), (1, 5), (6, 1), (2, 2), (3, 3), (16, 16), (17, 31), (100, 75), (257, 33)]:
        im = photo(w, h)
        al = im.copy(); al.putalpha(photo(w, h).convert("L"))
        for q in (0, 10, 50, 80, 100):
            yield f"webp lossy q{q} {w}x{h}", saved(im, "WEBP", quality=q)
        for m in (0, 3, 6):
            yield f"webp lossy m{m} {w}x{h}", saved(im, "WEBP", quality=40, method=m)
            yield f"webp lossless m{m} {w}x{h}", saved(im, "WEBP", lossless=True, method=m)
            yield f"webp lossless alpha m{m} {w}x{h}", saved(al, "WEBP", lossless=True, method=m)
        yield f"webp alpha {w}x{h}", saved(al, "WEBP", quality=60)
        yield f"webp alpha q {w}x{h}", saved(al, "WEBP", quality=60, alpha_quality=20)
        yield f"webp exact {w}x{h}", saved(al, "WEBP", lossless=True, exact=True)
        yield f"webp palette {w}x{h}", saved(im.quantize(7), "WEBP", lossless=True)
        yield f"webp anim {w}x{h}", saved(im, "WEBP", save_all=True, append_images=[photo(w, h)], lossless=True)
        yield f"webp anim lossy {w}x{h}", saved(al, "WEBP", save_all=True, append_images=[photo(w, h)], quality=70)
        yield f"webp icc exif {w}x{h}", saved(im, "WEBP", quality=70, icc_profile=b"x" * 31, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0")
    # the first frame smaller than the canvas
    small = Image.new("RGBA", (40, 30)); small.paste(photo(11, 8), (6, 4))
    yield "webp anim offset", saved(small, "WEBP", save_all=True, append_images=[photo(40, 30)], lossless=True)
    yield "webp anim offset lossy", saved(small, "WEBP", save_all=True, append_images=[photo(40, 30)], quality=50)


def tiff_cases():
    for w, h in [(1, 1), (1, 9), (9, 1), (13, 10), (70, 45), (200, 300)]:
        im = photo(w, h)
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "PA", "RGBX", "YCbCr", "LAB"):
            if mode == "I;16":
                m = Image.fromarray(rng.integers(0, 65536, (h, w)).astype(np.uint16))
            elif mode == "I":
                m = Image.fromarray(rng.integers(-300, 600, (h, w)).astype(np.int32))
            elif mode == "F":
                m = Image.fromarray(rng.uniform(-100, 400, (h, w)).astype(np.float32))
            elif mode == "LA":
                m = im.convert("LA")
            elif mode == "PA":
                m = im.quantize(9).convert("PA")
            elif mode == "LAB":
                continue
            else:
                m = im.convert(mode)
            for comp in (None, "tiff_lzw", "packbits", "tiff_adobe_deflate", "tiff_deflate", "group3", "group4", "tiff_ccitt", "jpeg", "lzma", "zstd", "tiff_raw_16"):
                try:
                    b = saved(m, "TIFF", compression=comp)
                except Exception:
                    continue
                yield f"tiff {mode} {comp} {w}x{h}", b
                if comp in ("tiff_lzw", "tiff_adobe_deflate"):
                    try:
                        yield f"tiff {mode} {comp} predictor {w}x{h}", saved(m, "TIFF", compression=comp, tiffinfo={317: 2})
                    except Exception:
                        pass
            try:
                yield f"tiff big {mode} {w}x{h}", saved(m, "TIFF", big_tiff=True)
            except Exception:
                pass


def lzw(b):
    """TIFF's LZW by way of Pillow's libtiff: one strip of bytes."""
    im = Image.frombytes("L", (len(b), 1), b)
    f = saved(im, "TIFF", compression="tiff_lzw")
    t = Image.open(io.BytesIO(f)).tag_v2
    return f[t[273][0]:t[273][0] + t[279][0]]


def packbits(b):
    out = bytearray()
    while b:
        n = 1
        while n < min(len(b), 128) and b[n] == b[0]:
            n += 1
        if n > 1:
            out += bytes([257 - n, b[0]])
        else:
            n = min(len(b), random.randrange(1, 40))
            out += bytes([n - 1]) + b[:n]
        b = b[n:]
    return bytes(out)


def tiff(order, w, h, bits, samples, photo, comp=1, fmt=None, fill=1, extra=(), planar=1, rows=None, tile=None, cmap=None, predictor=1, more={}, seed=0, big=False, sub=None):
    """A TIFF of random samples."""
    r = np.random.default_rng(seed)
    planes = samples if planar == 2 else 1
    per = bits * (1 if planar == 2 else samples)
    bw, bh = tile or (w, rows or h)
    across, down = -(-w // bw), -(-h // bh)
    blocks = []
    for _ in range(planes):
        for by in range(down):
            for bx in range(across):
                nrows = bh if tile else min(bh, h - by * bh)
                n = (bw * per + 7) // 8
                if sub:
                    n, nrows = -(-bw // sub[0]) * (sub[0] * sub[1] + 2), -(-nrows // sub[1])
                if fmt == 3:
                    b = r.uniform(-50, 350, n // 4 * nrows).astype(np.float32).astype(order + "f4").tobytes()
                elif bits >= 16:
                    b = r.choice([0, 1, 100, 255, 256, 40000, 65535, 70000, 2**31 - 1, 2**32 - 5], n * nrows * 8 // bits).astype(np.uint64)
                    b = (b % 2**bits).astype(order + "u%d" % (bits // 8)).tobytes()
                else:
                    b = r.integers(0, 256, n * nrows).astype(np.uint8).tobytes()
                b = {1: lambda b: b, 5: lzw, 8: zlib.compress, 32946: zlib.compress, 32773: packbits}[comp](b)
                blocks.append(b)
    E = order
    tags = {256: ("L", [w]), 257: ("L", [h]), 258: ("H", [bits] * samples), 259: ("H", [comp]), 262: ("H", [photo]), 277: ("H", [samples]), 284: ("H", [planar])}
    if fmt:
        tags[339] = ("H", [fmt] * samples)
    if fill != 1:
        tags[266] = ("H", [fill])
    if extra:
        tags[338] = ("H", list(extra))
    if cmap is not None:
        tags[320] = ("H", cmap)
    if predictor != 1:
        tags[317] = ("H", [predictor])
    if sub:
        tags[530] = ("H", list(sub))
    tags.update(more)
    size = ("Q" if big else "L")
    tags[324 if tile else 273] = (size, None)
    tags[325 if tile else 279] = (size, [len(b) for b in blocks])
    if tile:
        tags[322], tags[323] = ("L", [bw]), ("L", [bh])
    elif rows:
        tags[278] = ("L", [rows])
    pos = 16 if big else 8
    offs, body = [], b""
    for b in blocks:
        offs.append(pos + len(body))
        body += b + b"\0" * (len(b) % 2)
    tags[324 if tile else 273] = (size, offs)
    ifd = pos + len(body)
    word = 8 if big else 4
    tail_at = ifd + (8 + 20 * len(tags) + 8 if big else 2 + 12 * len(tags) + 4)
    head, tail = struct.pack(E + ("Q" if big else "H"), len(tags)), b""
    for t in sorted(tags):
        k, v = tags[t]
        d = struct.pack(E + k * len(v), *v)
        typ = {"B": 1, "H": 3, "L": 4, "Q": 16}[k]
        head += struct.pack(E + ("HHQ" if big else "HHL"), t, typ, len(v))
        if len(d) <= word:
            head += d.ljust(word, b"\0")
        else:
            head += struct.pack(E + ("Q" if big else "L"), tail_at + len(tail))
            tail += d + b"\0" * (len(d) % 2)
    head += b"\0" * word
    mark = b"II" if E == "<" else b"MM"
    start = struct.pack(E + "HHHQ", 43, 8, 0, ifd) if big else struct.pack(E + "HL", 42, ifd)
    return mark + start + body + head + tail


def tiff_made():
    from PIL.TiffImagePlugin import OPEN_INFO
    seed = 0
    for (mark, photo, fmt, fill, bps, extra), (mode, raw) in sorted(OPEN_INFO.items(), key=repr):
        order = "<" if mark == b"II" else ">"
        bits, samples = bps[0], len(bps)
        cmap = [int(v) for v in rng.integers(0, 65536, 3 << bits)] if photo == 3 else None
        for w, h in [(13, 11), (64, 20)]:
            seed += 1
            kw = dict(fmt=fmt[0], fill=fill, extra=extra, cmap=cmap, seed=seed)
            base = f"tiff made {mark} {photo} {fmt} {fill} {bps} {extra} {w}x{h}"
            yield base, tiff(order, w, h, bits, samples, photo, **kw)
            yield base + " rows", tiff(order, w, h, bits, samples, photo, rows=4, **kw)
            yield base + " tiles", tiff(order, w, h, bits, samples, photo, tile=(32, 16), **kw)
            for comp in (5, 8, 32946, 32773):
                if photo == 6 and samples == 3:
                    for sub in ((1, 1), (2, 1), (2, 2), (4, 1), (4, 4), (1, 2)):
                        yield base + f" comp{comp} sub{sub}", tiff(order, w, h, bits, samples, photo, comp=comp, rows=8, sub=sub, **kw)
                        yield base + f" comp{comp} sub{sub} tiles", tiff(order, w, h, bits, samples, photo, comp=comp, tile=(16, 16), sub=sub, **kw)
                    continue
                yield base + f" comp{comp}", tiff(order, w, h, bits, samples, photo, comp=comp, rows=5, **kw)
                yield base + f" comp{comp} tiles", tiff(order, w, h, bits, samples, photo, comp=comp, tile=(16, 32), **kw)
                if comp in (5, 8) and bits >= 8:
                    yield base + f" comp{comp} pred", tiff(order, w, h, bits, samples, photo, comp=comp, predictor=2, **kw)
                    if fmt[0] == 3:
                        yield base + f" comp{comp} pred3", tiff(order, w, h, bits, samples, photo, comp=comp, predictor=3, **kw)
            if samples > 1 and photo != 6:
                for comp in (1, 8):
                    yield base + f" planar comp{comp}", tiff(order, w, h, bits, samples, photo, comp=comp, planar=2, rows=6, **kw)
                    if comp == 1 and samples == 4 and photo == 2 and not extra:
                        continue  # Pillow takes the width of the last column of tiles wrongly
                    yield base + f" planar tiles comp{comp}", tiff(order, w, h, bits, samples, photo, comp=comp, planar=2, tile=(16, 16), **kw)
            if order == "<":
                yield base + " big", tiff(order, w, h, bits, samples, photo, big=True, rows=3, **kw)


def jpeg_variants():
    for w, h in [(1, 1), (1, 13), (13, 1), (2, 2), (3, 5), (7, 9), (8, 8), (15, 17), (16, 16), (31, 33), (65, 40), (130, 97)]:
        im = photo(w, h)
        for q in (5, 30, 75, 95, 100):
            for sub in (0, 1, 2):
                for kw in ({}, {"progressive": True}, {"restart_marker_blocks": 3}, {"optimize": True}):
                    yield f"{w}x{h} q{q} sub{sub} {kw}", saved(im, "JPEG", quality=q, subsampling=sub, **kw)
        for mode in ("L", "CMYK"):
            for kw in ({}, {"progressive": True}, {"restart_marker_rows": 1}):
                yield f"{w}x{h} {mode} {kw}", saved(photo(w, h, mode), "JPEG", quality=80, **kw)
        yield f"{w}x{h} rgb", saved(im, "JPEG", quality=80, keep_rgb=True)


def jpeg_segment(marker, data):
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg_tables():
    """The standard Huffman tables: {class << 4 | number: {symbol: (code, length)}}, and their segments."""
    b, pos, raw, codes = saved(photo(16, 16), "JPEG"), 2, b"", {}
    while b[pos + 1] != 0xDA:
        n = 2 + int.from_bytes(b[pos + 2:pos + 4], "big")
        if b[pos + 1] == 0xC4:
            raw += b[pos:pos + n]
            s = b[pos + 4:pos + n]
            while s:
                code, k, t = 0, 17, codes.setdefault(s[0], {})
                for length in range(1, 17):
                    for _ in range(s[length]):
                        t[s[k]] = (code, length)
                        code, k = code + 1, k + 1
                    code <<= 1
                s = s[k:]
        pos += n
    return codes, raw


def jpeg(w, h, sampling, seed=0, ids=(1, 2, 3, 4), app=b"", interleaved=True, restart=0, dht=True, after=b"\xff\xd9"):
    """A baseline JPEG of random coefficients, for samplings and colour spaces that Pillow does not write."""
    r = random.Random(seed)
    codes, raw = jpeg_tables()
    q = bytes([r.randrange(1, 12)] + [r.randrange(1, 30) for _ in range(63)])
    hmax, vmax = max(s[0] for s in sampling), max(s[1] for s in sampling)
    n = len(sampling)
    out = b"\xff\xd8" + app + jpeg_segment(0xDB, b"\0" + q)
    out += jpeg_segment(0xC0, struct.pack(">BHHB", 8, h, w, n) + b"".join(bytes([ids[i], s[0] << 4 | s[1], 0]) for i, s in enumerate(sampling)))
    if dht:
        out += raw
    if restart:
        out += jpeg_segment(0xDD, struct.pack(">H", restart))

    def scan(comps):
        bits, pred = [], dict.fromkeys(comps, 0)
        put = lambda v, length: bits.extend(v >> i & 1 for i in reversed(range(length)))

        def value(v, size):
            put(v if v > 0 else v + (1 << size) - 1, size)

        def block(c):
            table = min(c, 1)
            dc = r.randrange(-900, 900) // q[0]
            d, pred[c] = dc - pred[c], dc
            put(*codes[table][abs(d).bit_length()])
            value(d, abs(d).bit_length())
            k = 1
            while r.randrange(4) and k < 60:
                run, size = r.choice([0, 0, 1, 2, 5, 16]), r.choice([1, 1, 2, 3])
                if run == 16:
                    put(*codes[16 | table][0xF0])
                    k, run = k + 16, 0
                if k + run > 63:
                    break
                put(*codes[16 | table][run << 4 | size])
                value(r.choice([-1, 1]) * r.randrange(1 << (size - 1), 1 << size), size)
                k += run + 1
            if k < 64:
                put(*codes[16 | table][0])

        def flush():
            while len(bits) % 8:
                bits.append(1)
            b = bytes(int("".join(map(str, bits[i:i + 8])), 2) for i in range(0, len(bits), 8))
            bits.clear()
            return b.replace(b"\xff", b"\xff\0")

        if len(comps) == 1:
            a, b = sampling[comps[0]]
            mcus, per = -(-(-(-w * a // hmax)) // 8) * -(-(-(-h * b // vmax)) // 8), [comps[0]]
        else:
            mcus = -(-w // (8 * hmax)) * -(-h // (8 * vmax))
            per = [c for c in comps for _ in range(sampling[c][0] * sampling[c][1])]
        data = jpeg_segment(0xDA, bytes([len(comps)]) + b"".join(bytes([ids[c], min(c, 1) * 17]) for c in comps) + b"\0\x3f\0")
        for i in range(mcus):
            if restart and i and i % restart == 0:
                data += flush() + bytes([0xFF, 0xD0 + (i // restart - 1) % 8])
                pred = dict.fromkeys(comps, 0)
            for c in per:
                block(c)
        return data + flush()

    for comps in [list(range(n))] if interleaved else [[c] for c in range(n)]:
        out += scan(comps)
    return out + after


def jpeg_made():
    adobe = lambda t: jpeg_segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([t]))
    jfif = jpeg_segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    seed = 0
    luma = [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (1, 4), (4, 2), (2, 4)]
    for w, h in [(1, 1), (2, 7), (9, 3), (17, 30), (33, 35), (70, 41)]:
        for s in luma + [(3, 1), (1, 3), (3, 2)]:
            for kw in ({}, {"restart": 2}, {"interleaved": False}, {"dht": False}):
                seed += 1
                yield f"{w}x{h} 3 {s} {kw}", jpeg(w, h, [s, (1, 1), (1, 1)], seed, app=jfif, **kw)
            yield f"{w}x{h} 1 {s}", jpeg(w, h, [s], seed)
        for s in ([(1, 1), (2, 2), (2, 2)], [(2, 2), (2, 1), (1, 2)], [(2, 1), (1, 2), (1, 1)], [(1, 1), (1, 1), (2, 1)], [(2, 2), (1, 2), (1, 2)], [(2, 2), (2, 1), (2, 1)]):
            seed += 1
            yield f"{w}x{h} odd {s}", jpeg(w, h, s, seed)
        for name, app in (("none", b""), ("adobe 0", adobe(0)), ("adobe 1", adobe(1)), ("adobe 2", adobe(2)), ("jfif adobe 0", jfif + adobe(0))):
            for ids in ((1, 2, 3, 4), b"RGBA", (0, 1, 2, 3), b"CMYK"):
                seed += 1
                yield f"{w}x{h} space {name} {bytes(ids)}", jpeg(w, h, [(1, 1)] * 3, seed, ids, app)
                yield f"{w}x{h} space4 {name} {bytes(ids)}", jpeg(w, h, [(1, 1)] * 4, seed, ids, app)
            yield f"{w}x{h} space4 {name} 420", jpeg(w, h, [(2, 2), (1, 1), (1, 1), (2, 2)], seed, app=app)
        yield f"{w}x{h} without end", jpeg(w, h, [(2, 2), (1, 1), (1, 1)], seed, after=b"")
        yield f"{w}x{h} followed by text", jpeg(w, h, [(2, 2), (1, 1), (1, 1)], seed, after=b"text")
