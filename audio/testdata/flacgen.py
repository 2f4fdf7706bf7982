"""Writes FLAC streams (RFC 9639) of the kinds that encoders seldom or never make: every subframe type at random, escape-coded
residuals, both Rice methods, wasted bits, any block size, constant or variable, any depth of 4 to 32 bits. Used by diff.py,
which has the reference decoder check the streams (`flac --test`) as well as this package."""
import hashlib
import struct

FIXED = [[], [1], [2, -1], [3, -3, 1], [4, -6, 4, -1]]


def crc(data, bits, poly):
    c, top = 0, 1 << bits
    for byte in data:
        c ^= byte << (bits - 8)
        for _ in range(8):
            c <<= 1
            if c & top:
                c ^= top | poly
    return c


class Bits:
    def __init__(self):
        self.parts = []

    def put(self, v, n):
        if n:
            self.parts.append(format(v & ((1 << n) - 1), f"0{n}b"))

    def unary(self, zeros):
        self.parts.append("0" * zeros + "1")

    def bytes(self):
        s = "".join(self.parts)
        s += "0" * (-len(s) % 8)
        return int("1" + s, 2).to_bytes(len(s) // 8 + 1, "big")[1:]


def coded_number(v):
    """v as UTF-8 would code it, up to 36 bits."""
    if v < 0x80:
        return bytes([v])
    tail = []
    limit = 0x20
    while True:
        tail.append(0x80 | v & 0x3F)
        v >>= 6
        if v < limit:
            break
        limit >>= 1
    lead = 0xFF << (7 - len(tail)) & 0xFF
    return bytes([lead & (0xFF if limit else 0xFE) | v] + tail[::-1])


def residual(b, rng, r, n, order):
    """Writes the residuals r of a block of n samples."""
    orders = [p for p in range(9) if n % (1 << p) == 0 and n >> p > order]
    p = int(rng.choice(orders))
    method = int(rng.integers(2))
    b.put(method, 2)
    b.put(p, 4)
    at = 0
    for i in range(1 << p):
        part = r[at:at + (n >> p) - (order if i == 0 else 0)]
        at += len(part)
        width = max([v.bit_length() + 1 if v >= 0 else (~v).bit_length() + 1 for v in part], default=0)
        width = 0 if not any(part) and rng.random() < 0.7 else width
        mean = max(1, sum(abs(v) for v in part) // max(1, len(part)))
        k = min(max(0, mean.bit_length() + int(rng.integers(-1, 2))), 30 if method else 14)
        zigzag = [2 * v if v >= 0 else -2 * v - 1 for v in part]
        if width <= 31 and (rng.random() < 0.3 or any(z >> k > 5000 for z in zigzag)):
            b.put(31 if method else 15, 5 if method else 4)
            b.put(width, 5)
            for v in part:
                b.put(v, width)
        else:
            b.put(k, 5 if method else 4)
            for z in zigzag:
                b.unary(z >> k)
                b.put(z, k)


def subframe(b, rng, x, bits):
    """Writes the samples x of one channel, of so many bits, in a random way that can hold them."""
    n = len(x)
    wasted = 0
    if any(x):
        common = min((v & -v).bit_length() - 1 for v in x if v)
        wasted = int(rng.integers(0, common + 1)) if common and rng.random() < 0.7 else 0
    x = [v >> wasted for v in x]
    bits -= wasted
    kinds = ["verbatim", "fixed"] + ["lpc", "lpc"] * (n > 1) + ["constant"] * (4 if len(set(x)) == 1 else 0)
    kind = str(rng.choice(kinds))
    code, order, shift, precision, coefs, r = 1, 0, 0, 0, [], []
    if kind in ("fixed", "lpc"):
        if kind == "fixed":
            order = int(rng.integers(0, min(4, n - 1) + 1))
            coefs, code = FIXED[order], 8 + order
        else:
            order = int(rng.integers(1, min(32, n - 1) + 1))
            precision, shift = int(rng.integers(2, 16)), int(rng.integers(0, 16))
            top = 1 << (precision - 1)
            coefs = [int(rng.integers(-top, top)) if rng.random() < 0.5 else 0 for _ in range(order)]
            if shift < precision - 1:
                coefs[0] = 1 << shift
            code = 31 + order
        r = [x[i] - (sum(c * x[i - 1 - j] for j, c in enumerate(coefs)) >> shift) for i in range(order, n)]
        if any(abs(v) >= 1 << 31 or abs(v) >> 30 > 5000 for v in r) or sum(abs(v) for v in r) > n << 28:
            code, order = 1, 0
    if kind == "constant":
        code = 0
    b.put(code, 7)
    b.put(wasted > 0, 1)
    if wasted:
        b.unary(wasted - 1)
    if code == 0:
        b.put(x[0], bits)
    elif code == 1:
        for v in x:
            b.put(v, bits)
    else:
        for v in x[:order]:
            b.put(v, bits)
        if code >= 32:
            b.put(precision - 1, 4)
            b.put(shift, 5)
            for c in coefs:
                b.put(c, precision)
        residual(b, rng, r, n, order)


def stream(rng, x, bits, rate, variable=True):
    """Encodes integers x [frames, channels]."""
    frames, channels = x.shape
    rows = [[int(v) for v in row] for row in x.T]
    out, at, number = [], 0, 0
    size = int(rng.integers(16, 1000))
    smallest = largest = size
    if variable:
        smallest, largest = 16, 4608
    while at < frames:
        n = size
        if variable:
            n = int(rng.choice([192, 576, 256, 512, 1024, int(rng.integers(16, 256)), int(rng.integers(256, 3000))]))
        n = min(n, frames - at)
        head = Bits()
        head.put(0b11111111111110, 14)
        head.put(variable, 2)
        codes = {192: 1, 576: 2, 1152: 3, 2304: 4, 4608: 5, **{256 << i: 8 + i for i in range(8)}}
        code = codes.get(n, 6 if n <= 256 else 7)
        head.put(code, 4)
        rate_code, tail = 0, b""
        how = int(rng.integers(5))
        table = [88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000]
        if how == 1 and rate in table:
            rate_code = 1 + table.index(rate)
        elif how == 2 and rate % 1000 == 0 and rate < 256000:
            rate_code, tail = 12, bytes([rate // 1000])
        elif how == 3 and rate < 65536:
            rate_code, tail = 13, struct.pack(">H", rate)
        elif how == 4 and rate % 10 == 0:
            rate_code, tail = 14, struct.pack(">H", rate // 10)
        head.put(rate_code, 4)
        assignment = int(rng.choice([1, 8, 9, 10])) if channels == 2 else channels - 1
        head.put(assignment, 4)
        head.put({8: 1, 12: 2, 16: 4, 20: 5, 24: 6, 32: 7}.get(bits, 0) if rng.random() < 0.6 else 0, 3)
        head.put(0, 1)
        h = head.bytes() + coded_number(at if variable else number)
        h += struct.pack(">B", n - 1) if code == 6 else struct.pack(">H", n - 1) if code == 7 else b""
        h += tail
        h += bytes([crc(h, 8, 0x07)])
        planes = [row[at:at + n] for row in rows]
        depth = [bits] * channels
        if assignment >= 8:
            left, right = planes
            side = [a - b for a, b in zip(left, right)]
            mid = [(a + b) >> 1 for a, b in zip(left, right)]
            planes = {8: [left, side], 9: [side, right], 10: [mid, side]}[assignment]
            depth = {8: [bits, bits + 1], 9: [bits + 1, bits], 10: [bits, bits + 1]}[assignment]
        body = Bits()
        for p, d in zip(planes, depth):
            subframe(body, rng, p, d)
        f = h + body.bytes()
        out.append(f + struct.pack(">H", crc(f, 16, 0x8005)))
        at, number = at + n, number + 1
    width = (bits + 7) // 8
    md5 = hashlib.md5(b"".join(int(v).to_bytes(width, "little", signed=True) for v in x.reshape(-1))).digest()
    info = struct.pack(">HH", smallest, largest) + bytes(6) + struct.pack(">Q", rate << 44 | (channels - 1) << 41 | (bits - 1) << 36 | frames) + md5
    return b"fLaC" + bytes([0x80, 0, 0, 34]) + info + b"".join(out)
