"""Compares weft's reader with the official safetensors library.

    python diff.py [-n FILES] [-seed N]      hand-made, generated and mutated files, both readers
    python diff.py -write [-n FILES]         both writers, byte for byte
    python diff.py -corpus verdicts.json     writes the corpus that `go test` replays

Run with the wheel safetensors 0.8.0 (Python 3.11). It builds the Go driver
(TestDriver in diff_test.go) with `go test -c`. A difference is printed with the
file in hex and the exit status is 1. Compared: whether the file opens, the kind
of error, and each tensor's name, type, shape and bytes; on a sample also
__metadata__ through safe_open. The one difference wanted: a tensor name given
twice is refused (DuplicateName).
"""
import argparse, base64, ctypes, json, os, random, struct, subprocess, sys, tempfile

import safetensors

DTYPES = {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8,
          "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
          "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64}
KINDS = [("header too small", "HeaderTooSmall"), ("header too large", "HeaderTooLarge"),
         ("invalid header length", "InvalidHeaderLength"), ("invalid UTF-8 in header", "InvalidHeader"),
         ("invalid JSON in header", "InvalidHeaderDeserialization"), ("invalid offset for tensor", "InvalidOffset"),
         ("overflow computing buffer size", "ValidationOverflow"), ("does not end up at a byte boundary", "MisalignedSlice"),
         ("invalid shape, data type, or offset for tensor", "TensorInvalidInfo"),
         ("incomplete metadata, file not fully covered", "MetadataIncompleteBuffer")]


def official(b):
    """The reference's verdict: (kind, tensors)."""
    try:
        got = safetensors.deserialize(b)
    except safetensors.SafetensorError as e:
        text = str(e)
        for part, kind in KINDS:
            if part.lower() in text.lower():
                return kind, None
        return text, None
    return "", sorted((name, t["dtype"], tuple(t["shape"]), bytes(t["data"])) for name, t in got)


def metadata(b):
    """__metadata__ through safe_open, "absent" if the file does not open."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as f:
        f.write(b)
        f.flush()
        try:
            with safetensors.safe_open(f.name, "numpy") as s:
                return s.metadata()
        except Exception:
            return "absent"


def duplicate(b):
    """Whether the header gives a tensor name twice."""
    n = struct.unpack("<Q", b[:8])[0]
    pairs = json.JSONDecoder(object_pairs_hook=lambda p: p).decode(b[8:8 + n].decode())
    names = [k for k, _ in pairs]
    return len(set(names)) != len(names)


U8 = '{"dtype":"U8","shape":[%s],"data_offsets":[%s]}'


def hand_made():
    """Files for each rule and each oddity of the reference's JSON reader."""
    def f(header, data=b"", n=None):
        h = header if isinstance(header, bytes) else header.encode()
        return struct.pack("<Q", len(h) if n is None else n) + h + data

    one = U8 % (4, "0,4")
    d = b"abcd"
    yield from (b"", b"\0" * 7, b"\0" * 8, f("{}"), f("{}", n=3), f("{}", n=100_000_000), f("{}", n=100_000_001), f("{}", n=(1 << 64) - 1),
                f("{}", n=0xffffff000000003c), f("{}", n=1), f(""), f("{"), f("null"), f("[]"), f("0"), f('""'), f("{}x"), f("{},"), f("{}{}"),
                f("{}\0"), f("{} \n\t\r"), f(" \n\t\r{}"), f("{}\v"), f("\ufeff{}"), f("\u00a0{}"), f("{}", b"x"))
    for value in [one, U8 % (4, "0,5"), U8 % (4, "1,5"), U8 % (4, "4,0"), U8 % ("", "0,1"), U8 % (0, "0,0"), U8 % (0, "4,4"), U8 % ("4.0", "0,4"), U8 % (4, "0,4.0"),
                  U8 % ("4e0", "0,4"), U8 % ("-0", "0,0"), U8 % ("-4", "0,4"), U8 % ("04", "0,4"), U8 % ("4,", "0,4"), U8 % ("null", "0,4"), U8 % ('"4"', "0,4"),
                  U8 % (4, "0"), U8 % (4, "0,4,4"), U8 % (4, ""), U8 % (4, "null,4"), U8 % ("18446744073709551616", "0,4"), U8 % ("0,18446744073709551615", "0,0"),
                  U8 % ("9223372036854775808,4,0", "0,0"), U8 % ("0,9223372036854775808,4", "0,0"), U8 % ("2,18446744073709551614", "0,4"), U8 % ("2305843009213693952", "0,4"),
                  U8 % ("4194305,4194305,211106198978564", "0,4"), U8 % ("4294967296,4294967296", "0,0"), U8 % ("[4]", "0,4"), U8 % ("{}", "0,4"),
                  "null", "{}", "[]", "1", '"U8"', '["U8",[4],[0,4]]', '[{"U8":null},[4],[0,4]]', '["U8",[4]]', '["U8",[4],[0,4],null]', '[[4],"U8",[0,4]]',
                  one.replace('"U8"', '{"U8":null}'), one.replace('"U8"', '{"U8":{}}'), one.replace('"U8"', '{"U8":[]}'), one.replace('"U8"', '{"U8":null,"U8":null}'),
                  one.replace('"U8"', "{}"), one.replace('"U8"', '"u8"'), one.replace('"U8"', '"\\u00558"'), one.replace('"U8"', "4"), one.replace('"U8"', "null"), one.replace('"U8"', '["U8"]'),
                  one.replace("dtype", "DTYPE"), one.replace("dtype", "d\\u0074ype"), one.replace('{"d', '{"dtype":"F32","d'), one[:-1] + ',"shape":[4]}', one[:-1] + ',"Shape":[4]}',
                  one[:-1] + ",}", one[:-1] + ',"x"}', one[:-1] + ",x:1}", one.replace(":", ": "), one.replace(",", "\n,\t"), one[:-1], one + "}", one.replace('"', "'")]:
        yield f('{"a":%s}' % value, d)
    for number in Maker.NUMBERS + ["nan", "true", "nul", "truefalse", "null null", "[1,]", "[,]", "{,}", '{"a"}', "{1:2}", "//", "/**/1", '"\x1f"', '"\x7f"', '"', "]", "}"]:
        yield f('{"a":%s}' % (one[:-1] + ',"x":' + number + "}"), d)
    for text in ["\\ud83d\\ude00", "\\uD83D\\uDE00", "\\ud800", "\\ud800\\ud800", "\\ud800x", "\\ud800\\n", "\\udc00", "\\ud800\\u0041", "\\u0000", "\\u00", "\\u00g0", "\\u+041", "\\U0041", "\\x41",
                 "\\'", "\\/", "\\b\\f\\n\\r\\t\\\"\\\\", "\\", "\\a", "\t", "\n", "\0", "\x7f", "\u2028", "../../x", ""]:
        yield f('{"%s":%s}' % (text, one), d)
        yield f('{"a":%s}' % (one[:-1] + ',"x":"' + text + '"}'), d)
        yield f('{"__metadata__":{"%s":"%s"},"a":%s}' % (text, text, one), d)
    for bad in [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"]:
        yield f(b'{"' + bad + b'":' + one.encode() + b"}", d)
        yield f(b"{}" + bad)
    for meta in ["null", "{}", "[]", '""', "0", "true", '{"a":"b"}', '{"a":1}', '{"a":null}', '{"a":{}}', '{"a":"b","a":"c"}', '{"a":"b",}', '{"\\u0061":"\\u0062"}', '[["a","b"]]']:
        yield f('{"__metadata__":%s,"a":%s}' % (meta, one), d)
        yield f('{"a":%s,"__met\\u0061data__":%s}' % (one, meta), d)
        yield f('{"__metadata__":%s,"a":%s,"__metadata__":null}' % (meta, one), d)
    for depth in [1, 2, 100, 124, 125, 126, 127, 128, 129]:
        for a, b in ["[]", ("{\"a\":", "}")]:
            v = a * depth + ("1" if b == "}" else "") + b * depth
            yield f('{"a":%s}' % (one[:-1] + ',"x":' + v + "}"), d)
            yield f('{"a":%s}' % v, d)
            yield f('{"__metadata__":%s}' % v)
            yield f(v)
    for names in ["aa", "ab", ("a", "\\u0061"), ("a", "A")]:
        for second in ["4,8", "0,4", "4,4", "2,6", "8,12", "3,7", "5,9"]:
            yield f('{"%s":%s,"%s":%s}' % (names[0], one, names[1], U8 % (4, second)), d * 2)
    yield f('{"z":%s,"a":%s,"b":%s}' % (U8 % (0, "4,4"), one, U8 % ("0,7", "0,0")), d)
    yield f('{"z":%s,"a":%s}' % (U8 % (0, "2,2"), one), d)
    for dtype, bits in DTYPES.items():
        for n in [1, 2, 3, 4]:
            size = n * bits // 8
            yield f('{"a":{"dtype":"%s","shape":[%d],"data_offsets":[0,%d]}}' % (dtype, n, size), b"\xff" * size)


class Maker:
    """Makes files, most of them nearly valid."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def ws(self):
        return self.r.choice(["", "", "", "", "", " ", "\n", "\t", "\r", "  \n"])

    def string(self, s):
        out = ['"']
        for c in s:
            k = self.r.random()
            if c in '"\\' or ord(c) < 32 or k < 0.05:
                u = c.encode("utf-16-be", "surrogatepass")
                for i in range(0, len(u), 2):
                    h = "%04x" % int.from_bytes(u[i:i + 2], "big")
                    out.append("\\u" + (h.upper() if self.r.random() < 0.5 else h))
            elif c == "/" and k < 0.5:
                out.append("\\/")
            else:
                out.append(c)
        return "".join(out) + '"'

    def name(self):
        r = self.r
        k = r.random()
        if k < 0.6:
            return r.choice("abcdefgh") + str(r.randrange(4))
        if k < 0.9:
            return "".join(r.choice("a.é漢😀\x00\n\t\"\\/\x7f\u2028 ") for _ in range(r.randrange(5)))
        return r.choice(["__metadata__", "dtype", "shape", "data_offsets", "", "weight", "__METADATA__"])

    NUMBERS = ["0", "1", "-0", "-1", "1.0", "1e0", "1E+2", "0.5", "-0.0", "1e308", "1e309", "1e999", "-1e999", "0e999",
               "1e-999", "18446744073709551615", "18446744073709551616", "9223372036854775808", "-9223372036854775808",
               "-9223372036854775809", "00", "01", "1.", ".5", "1e", "1e+", "-", "+1", "0x1", "NaN", "Infinity", "-Infinity",
               "1" + "0" * 308, "1" + "0" * 309, "1" + "0" * 400 + "e-300", "0." + "0" * 400 + "1e400", "1e2147483647",
               "1e2147483648", "1e-2147483648", "0e2147483648", "17976931348623157e292", "179769313486231570e291",
               "179769313486231580000e288", "1844674407370955161.5e289", "18446744073709551615.5", "18446744073709551619.9e3",
               "4294967296", "2147483648", "1_0", "1 0", "１"]

    def value(self, depth=0):
        r = self.r
        k = r.random()
        if depth < 4 and k < 0.15:
            return "[" + ",".join(self.value(depth + 1) for _ in range(r.randrange(3))) + "]"
        if depth < 4 and k < 0.3:
            return "{" + ",".join(self.string(self.name()) + ":" + self.value(depth + 1) for _ in range(r.randrange(3))) + "}"
        if k < 0.5:
            return self.string(self.name())
        if k < 0.8:
            n = r.choice(self.NUMBERS)
            return n
        if k < 0.82:
            n = r.choice([100, 124, 125, 126, 127, 128, 129, 200])
            return "[" * n + "]" * n
        return r.choice(["null", "true", "false", "nul", "True", "tru", "[]", "{}", '""'])

    def float(self):
        """A number near the limit of what is in range."""
        r = self.r
        digits = "".join(r.choice("0123456789") for _ in range(r.randrange(1, 40))).lstrip("0") or "0"
        if r.random() < 0.5:
            digits = r.choice(["17976931348623157", "17976931348623158", "18446744073709551615", "1844674407370955161"]) + r.choice(["", digits])
        k = r.randrange(len(digits)) + 1
        text = digits[:k] + ("." + digits[k:] if digits[k:] else "")
        return text + "e" + str(309 - k + r.randrange(-2, 2))

    def dims(self):
        r = self.r
        k = r.random()
        if k < 0.85:
            return [r.choice([0, 1, 1, 2, 3, 4, 5, 8]) for _ in range(r.randrange(5))]
        big = [0, 1, 2, 3, 4, 5, 1 << 31, 1 << 32, 1 << 61, 1 << 62, 1 << 63, (1 << 63) - 1, (1 << 64) - 1, (1 << 64) - 2, 4194305, 211106198978564]
        return [r.choice(big) for _ in range(r.randrange(1, 5))]

    def entry(self, dtype, dims, begin, end):
        r = self.r
        w = self.ws
        form = r.random()
        d = self.string(dtype)
        if r.random() < 0.05:
            d = "{" + w() + d + w() + ":" + w() + r.choice(["null"] * 6 + ["{}", "[]", "0", "true"]) + w() + "}"
        s = "[" + ",".join(w() + str(x) + w() for x in dims) + w() + "]"
        o = "[" + w() + str(begin) + w() + "," + w() + str(end) + w() + "]"
        if r.random() < 0.03:
            o = r.choice(["[]", "[0]", "[%d,%d,%d]" % (begin, end, end), "[%d.0,%d]" % (begin, end), '{"0":%d,"1":%d}' % (begin, end), "null", '["%d","%d"]' % (begin, end)])
        if r.random() < 0.02:
            s = r.choice(["null", "[null]", "1", "{}", "[[1]]", '["1"]', "[1.0]", "[-1]", "[1e0]", "[-0]", "[1,]", "[,1]", "[18446744073709551616]"])
        if form < 0.06:
            parts = [d, s, o]
            if r.random() < 0.15:
                parts = r.choice([parts[:2], parts + ["1"], parts[::-1], parts + ["null"], []])
            return "[" + ",".join(w() + p + w() for p in parts) + "]"
        fields = [("dtype", d), ("shape", s), ("data_offsets", o)]
        while r.random() < 0.12:
            fields.append((r.choice(["x", "", "DTYPE", "Shape", "__metadata__", "0", "dtype ", "offsets"]), self.float() if r.random() < 0.2 else self.value()))
        if r.random() < 0.02:
            fields.append(r.choice(fields))
        if r.random() < 0.02:
            fields.pop(r.randrange(len(fields)))
        r.shuffle(fields)
        return "{" + w() + ",".join(w() + self.string(k) + w() + ":" + w() + v + w() for k, v in fields) + "}"

    def file(self):
        """A file: its header's text and data length are mostly right."""
        r = self.r
        members, end, names = [], 0, set()
        for _ in range(r.choice([0, 1, 1, 2, 2, 3, 5])):
            name = self.name()
            if name in names and r.random() < 0.9:
                continue
            names.add(name)
            dtype = r.choice(list(DTYPES)) if r.random() < 0.98 else r.choice(["f32", "F128", "", "F32 ", "float32", "BOOL8", "U4"])
            dims = self.dims()
            size = DTYPES.get(dtype, 32)
            for d in dims:
                size *= d
            size //= 8
            if size > 4096:
                size = r.choice([0, 4, 16, size % (1 << 64), size])
            begin = end
            stop = begin + size
            k = r.random()
            if k < 0.02:
                begin += r.choice([-1, 1, 4])
            elif k < 0.04:
                stop += r.choice([-1, 1, 4, 1 << 63, -size])
            elif k < 0.05:
                begin, stop = stop, begin
            end = max(end, stop)
            members.append((name, self.entry(dtype, dims, max(begin, 0), max(stop, 0))))
        r.shuffle(members)
        if r.random() < 0.25:
            meta = "{" + ",".join(self.string(self.name()) + self.ws() + ":" + (self.string(self.name()) if r.random() < 0.95 else self.value()) for _ in range(r.randrange(3))) + "}"
            if r.random() < 0.2:
                meta = r.choice(["null", "[]", "{}", '""', "0", self.value()])
            members.insert(r.randrange(len(members) + 1), ("__metadata__", meta))
            if r.random() < 0.03:
                members.append(("__metadata__", "null"))
        text = self.ws() + "{" + ",".join(self.ws() + self.string(k) + self.ws() + ":" + self.ws() + v + self.ws() for k, v in members) + self.ws() + "}" + self.ws()
        h = text.encode("utf-8", "surrogatepass")
        if r.random() < 0.3:
            h += b" " * (-len(h) % 8)
        if end > 1 << 16:
            end = r.choice([0, 4, 16])
        if r.random() < 0.02:
            end = max(0, end + r.choice([-1, 1, 8]))
        return struct.pack("<Q", len(h)) + h + r.randbytes(end)

    TOKENS = [b"{", b"}", b"[", b"]", b",", b":", b'"', b"null", b"0", b"-", b".", b"e", b" ", b"\n", b"\0", b"\\", b"\\u", b"\\ud800", b"\\udc00",
              b"\\ud83d\\ude00", b"\\ud800\\u0041", b"\\uD83D\\n", b"\\u00", b"\\u00g0", b"\\x41", b"\\'", b"\\/", b"\\b", b"\\f", b"\x1f", b"\x7f", b"\xff", b"\xc0\x80", b"\xed\xa0\x80",
              b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xef\xbb\xbf", b"\xc2\xa0", b"\x0b", b"\x0c", b"/**/", b"1", b"9", b"true", b'""', b"{}", b"[]", b'"a":1,', b"__metadata__", b"dtype", b"shape", b"data_offsets"]

    def mutate(self, b):
        """Changes a few bytes, keeping the length field right most times."""
        r = self.r
        n = struct.unpack("<Q", b[:8])[0]
        h, data = bytearray(b[8:8 + n]), b[8 + n:]
        for _ in range(r.choice([1, 1, 1, 2, 3])):
            i = r.randrange(len(h) + 1)
            k = r.random()
            if k < 0.25 and i < len(h):
                h[i] = r.choice(b'{}[],:"0123456789eE.-+\\ untrfalsed_\n\0\x80') if r.random() < 0.7 else r.randrange(256)
            elif k < 0.4 and i < len(h):
                del h[i:i + r.choice([1, 1, 2, 5])]
            elif k < 0.75:
                h[i:i] = r.choice(self.TOKENS)
            elif k < 0.85:
                j = min(len(h), i + r.randrange(1, 30))
                h[i:i] = h[i:j]
            elif k < 0.95:
                j = min(len(h), i + r.randrange(1, 4))
                h[i:j] = r.choice(self.TOKENS)
            else:
                h[i:i] = r.choice(self.NUMBERS).encode()
        n = len(h)
        k = r.random()
        if k < 0.02:
            n = r.choice([n - 1, n + 1, 0, 1, 100_000_000, 100_000_001, 1 << 31, 1 << 63, (1 << 64) - 1, (1 << 64) - 8, n + len(data), n + len(data) + 1]) % (1 << 64)
        out = struct.pack("<Q", n) + bytes(h) + data
        if k > 0.99:
            out = out[:r.randrange(len(out) + 1)]
        return out

    def next(self):
        b = self.file()
        return b if self.r.random() < 0.4 else self.mutate(b)


class Driver:
    def __init__(self, mode):
        here = os.path.dirname(os.path.abspath(__file__))
        exe = os.path.join(tempfile.mkdtemp(), "driver")
        subprocess.run(["go", "test", "-c", "-o", exe, "."], cwd=os.path.dirname(here), check=True)
        self.p = subprocess.Popen([exe, "-test.run=^TestDriver$", "-test.timeout=0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  env={**os.environ, "SAFETENSORS_DIFF": mode})

    def verdicts(self, files):
        self.p.stdin.write(b"".join(struct.pack("<I", len(b)) + b for b in files))
        self.p.stdin.flush()
        for _ in files:
            n = struct.unpack("<I", self.p.stdout.read(4))[0]
            yield self.p.stdout.read(n)


def compare(b, v, meta):
    """Describes the difference, "" if there is none."""
    kind, tensors = official(b)
    got = v.get("kind", "")
    if got == "DuplicateName":
        return "" if duplicate(b) else "no name is given twice"
    if got != kind and got and kind and any(official(b)[0] == got for _ in range(100)):
        return ""  # several faults at one offset: which the reference names depends on its hash order
    if got != kind:
        return f"weft: {got or 'opens'}, reference: {kind or 'opens'}"
    if kind:
        return ""
    mine = sorted((t["name"], t["dtype"], tuple(t["shape"]), base64.b64decode(t["data"] or "")) for t in v.get("tensors", []))
    if mine != tensors:
        return f"weft: {mine}, reference: {tensors}"
    if meta and (want := metadata(b)) != "absent" and (v.get("metadata") or {}) != (want or {}):
        return f"weft: {v.get('metadata')}, reference: {want}"
    return ""


def corpus(path, seed):
    """The hand-made files and a few generated ones for each kind of verdict, as base64 with the reference's verdict."""
    m, count, out = Maker(seed), {}, []
    files = list(hand_made())
    for i, b in enumerate(files + [m.next() for _ in range(60000)]):
        if len(b) > 240 and i >= len(files):
            continue
        kind, tensors = official(b)
        if kind not in ("HeaderTooSmall", "HeaderTooLarge", "InvalidHeaderLength", "InvalidHeader", "InvalidHeaderDeserialization") and duplicate(b):
            kind = "DuplicateName"
        elif kind and any(official(b)[0] != kind for _ in range(30)):
            continue  # several faults: see compare
        limit = 40 if kind in ("", "InvalidHeaderDeserialization") else 10
        if i < len(files) or count.setdefault(kind, 0) < limit:
            count[kind] = count.get(kind, 0) + (i >= len(files))
            row = {"file": base64.b64encode(b).decode(), "kind": kind}
            if not kind:
                row["tensors"] = [{"name": n, "dtype": d, "shape": s} for n, d, s, _ in tensors]
            out.append(row)
    with open(path, "w") as f:
        f.write('{"reference":"safetensors %s","files":[\n' % safetensors.__version__)
        f.write(",\n".join(json.dumps(r, separators=(",", ":")) for r in out))
        f.write("\n]}\n")
    print(count, os.path.getsize(path), "bytes")


# The writer's names for the types that it can write.
WRITTEN = {"BOOL": "bool", "I8": "int8", "U8": "uint8", "I16": "int16", "U16": "uint16", "I32": "int32", "U32": "uint32", "I64": "int64", "U64": "uint64",
           "F16": "float16", "F32": "float32", "F64": "float64", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn", "F8_E4M3FNUZ": "float8_e4m3fnuz",
           "F8_E5M2": "float8_e5m2", "F8_E5M2FNUZ": "float8_e5m2fnuz", "F8_E8M0": "float8_e8m0fnu", "C64": "complex64"}


def writers(n, seed):
    """Has both libraries write anew the tensors of files that open."""
    m, d = Maker(seed), Driver("write")
    done = different = unreadable = 0
    while done < n:
        b = m.file()
        kind, tensors = official(b)
        if kind or duplicate(b) or any(t[1] not in WRITTEN or max(t[2], default=0) >= 1 << 63 for t in tensors):
            continue
        meta = metadata(b)
        if meta and len(meta) > 1:
            continue  # the reference writes metadata in hash order
        keep = [ctypes.create_string_buffer(t[3], len(t[3])) for t in tensors]
        spec = {t[0]: safetensors.TensorSpec(dtype=WRITTEN[t[1]], shape=list(t[2]), data_ptr=ctypes.addressof(k), data_len=len(t[3])) for t, k in zip(tensors, keep)}
        want = bytes(safetensors.serialize(spec, meta))
        got = next(d.verdicts([b]))
        done += 1
        if got != want and official(want)[0]:
            unreadable += 1  # of no tensors and empty metadata the reference writes what it cannot read
        elif got != want:
            different += 1
            if different <= 10:
                print(b, got, want, sep="\n", end="\n\n")
    print(f"{done} files written by both, {different} differences; {unreadable} that the reference cannot read back")
    return different > 0


def main():
    a = argparse.ArgumentParser()
    a.add_argument("-n", type=int, default=300_000)
    a.add_argument("-seed", type=int, default=1)
    a.add_argument("-corpus")
    a.add_argument("-write", action="store_true")
    a = a.parse_args()
    if a.corpus:
        return corpus(a.corpus, a.seed)
    if a.write:
        return writers(a.n, a.seed)
    m, d = Maker(a.seed), Driver("read")
    done = different = 0
    kinds = {}
    files = list(hand_made())
    while done < a.n:
        files = files or [m.next() for _ in range(min(200, a.n - done))]
        batch, files = files[:200], files[200:]
        for b, v in zip(batch, map(json.loads, d.verdicts(batch))):
            kinds[v.get("kind", "")] = kinds.get(v.get("kind", ""), 0) + 1
            if diff := compare(b, v, done % 50 == 0):
                different += 1
                if different <= 20:
                    print(diff, b.hex(), b, sep="\n", end="\n\n")
            done += 1
    print(f"{done} files, {different} differences, verdicts {kinds}")
    return different > 0


if __name__ == "__main__":
    sys.exit(main())
