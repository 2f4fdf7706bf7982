"""What can be meant: the small worlds, their sentences, and what is held out.

A meaning is a tuple; everything else (sentence, paraphrases, picture, voice) is made from it:

    ("one", size, colour, shape)                     a small red circle
    ("many", n, colour, shape)                       three green stars
    ("pair", colour, shape, relation, colour, shape) a red circle left of a blue square
    ("digit", d)                                     the digit seven
    ("form", theme, kind, colour)                    a dark login form with a red button
    ("list", theme, kind, n)                         a light settings page with three switches
    ("word", w)                                      monday   (heard or read, never seen)
"""
import hashlib
import random

COLOURS = ["red", "green", "blue", "yellow", "purple", "orange", "white", "black"]
SHAPES = ["circle", "square", "triangle", "star", "cross", "heart"]
SIZES = ["small", "large"]
RELATIONS = ["left of", "above", "inside"]
NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
THEMES = ["light", "dark"]
FORMS = ["login form", "search page", "error dialog", "video player"]
LISTS = {"settings page": "switches", "chat window": "messages", "menu": "buttons"}
WORDS = (
    "monday tuesday wednesday thursday friday saturday sunday "
    "january february march april may june july august september october november december "
    "hello goodbye record pause playback delete repeat review transfer enabled disabled "
    "activated cancelled location number password status today tomorrow yesterday"
).split()

PLURAL = {"cross": "crosses", "box": "boxes"}
COLOUR_WORDS = {"red": ["crimson", "scarlet"], "green": ["emerald"], "blue": ["azure"], "yellow": ["golden"],
                "purple": ["violet"], "orange": ["amber"], "white": ["ivory"], "black": ["ebony"]}
SHAPE_WORDS = {"circle": ["disc"], "square": ["box"]}
SIZE_WORDS = {"small": ["little", "tiny"], "large": ["big", "huge"]}

# Compositions never trained on. Colour and shape are each common in training; together they are new.
HELD_PAIRS = {("purple", "star"), ("red", "heart"), ("green", "square"), ("yellow", "triangle")}
HELD_FORMS = {("login form", "red"), ("search page", "purple"), ("error dialog", "yellow"), ("video player", "blue")}
HELD_LISTS = {("settings page", 3), ("chat window", 2), ("menu", 4)}


def held_hash(meaning, one_in):
    """A fixed pseudo-random choice: true for one meaning in one_in."""
    h = hashlib.sha256("/".join(map(str, meaning)).encode()).digest()
    return int.from_bytes(h[:4], "big") % one_in == 0


def held_out(m):
    """Whether a meaning belongs to the held-out compositions."""
    if m[0] in ("one", "many"):
        return (m[2], m[3]) in HELD_PAIRS
    if m[0] == "pair":
        return (m[1], m[2]) in HELD_PAIRS or (m[4], m[5]) in HELD_PAIRS or held_hash(m, 10)
    if m[0] == "form":
        return (m[2], m[3]) in HELD_FORMS
    if m[0] == "list":
        return (m[2], m[3]) in HELD_LISTS
    return False


def meanings(kind):
    """All meanings of one kind, in a fixed order."""
    if kind == "one":
        return [("one", z, c, s) for z in SIZES for c in COLOURS for s in SHAPES]
    if kind == "many":
        return [("many", n, c, s) for n in (2, 3, 4) for c in COLOURS for s in SHAPES]
    if kind == "pair":
        # Two things of one colour have nothing to tell them apart when one lies inside the other.
        return [("pair", c, s, r, d, t) for c in COLOURS for s in SHAPES for r in RELATIONS
                for d in COLOURS for t in SHAPES if c != d]
    if kind == "digit":
        return [("digit", d) for d in range(10)]
    if kind == "form":
        return [("form", t, f, c) for t in THEMES for f in FORMS for c in COLOURS[:6]]
    if kind == "list":
        return [("list", t, k, n) for t in THEMES for k in LISTS for n in (1, 2, 3, 4)]
    if kind == "word":
        return [("word", w) for w in WORDS]
    raise ValueError(kind)


def article(phrase):
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def plural(noun):
    return PLURAL.get(noun, noun + "s")


def counted(n, noun):
    """'three switches' of (3, 'switches'); one of them is singular."""
    singular = {"switches": "switch", "messages": "message", "buttons": "button"}
    return f"{NUMBERS[n]} {singular[noun] if n == 1 else noun}"


def caption(m):
    """The canonical sentence of a meaning: one meaning, one sentence."""
    k = m[0]
    if k == "one":
        return f"a {m[1]} {m[2]} {m[3]}"
    if k == "many":
        return f"{NUMBERS[m[1]]} {m[2]} {plural(m[3])}"
    if k == "pair":
        return f"{article(m[1])} {m[2]} {m[3]} {article(m[4])} {m[5]}"
    if k == "digit":
        return f"the digit {NUMBERS[m[1]]}"
    if k == "form":
        return f"a {m[1]} {m[2]} with {article(m[3])} button"
    if k == "list":
        return f"a {m[1]} {m[2]} with {counted(m[3], LISTS[m[2]])}"
    if k == "word":
        return m[1]
    raise ValueError(k)


def paraphrase(m, rng):
    """Another sentence of the same meaning."""
    def colour(c):
        return rng.choice(COLOUR_WORDS[c]) if rng.random() < 0.2 else c

    def shape(s):
        return rng.choice(SHAPE_WORDS.get(s, [s])) if rng.random() < 0.2 else s

    def thing(c, s):
        return article(f"{colour(c)} {shape(s)}")

    k = m[0]
    if k == "one":
        z = rng.choice(SIZE_WORDS[m[1]] + [m[1]])
        c, s = colour(m[2]), shape(m[3])
        return rng.choice([
            f"a {z} {c} {s}", f"{z} {c} {s}", f"a {s} that is {z} and {c}", f"a picture of a {z} {c} {s}",
            f"there is a {z} {c} {s}", f"{article(c)} {s} , {z}", f"one {z} {c} {s}", f"a {c} {s} of {z} size"])
    if k == "many":
        n, c, s = NUMBERS[m[1]], colour(m[2]), plural(shape(m[3]))
        return rng.choice([
            f"{n} {c} {s}", f"there are {n} {c} {s}", f"a picture of {n} {c} {s}", f"a group of {n} {c} {s}",
            f"{n} {s} , all {c}", f"{n} {s} that are {c}", f"{m[1]} {c} {s}"])
    if k == "pair":
        a, b = thing(m[1], m[2]), thing(m[4], m[5])
        forth = {"left of": ["left of", "to the left of", "on the left of"],
                 "above": ["above", "over", "on top of"], "inside": ["inside", "in", "within"]}[m[3]]
        back = {"left of": ["right of", "to the right of", "on the right of"],
                "above": ["below", "under", "beneath"], "inside": ["around", "surrounding", "containing"]}[m[3]]
        return rng.choice([
            f"{a} {rng.choice(forth)} {b}", f"{a} {rng.choice(forth)} {b}", f"{b} {rng.choice(back)} {a}",
            f"{b} {rng.choice(back)} {a}", f"there is {a} {rng.choice(forth)} {b}",
            f"a picture of {a} {rng.choice(forth)} {b}"])
    if k == "digit":
        n = NUMBERS[m[1]]
        return rng.choice([f"the digit {n}", f"the number {n}", n, f"a handwritten {n}", f"digit {n}",
                           f"{m[1]}", f"the digit {m[1]}", f"a picture of the digit {n}", f"the figure {n}"])
    if k == "form":
        names = {"login form": ["login form", "login page", "login screen", "log in form"],
                 "search page": ["search page", "search screen", "search form"],
                 "error dialog": ["error dialog", "error message", "error window", "error box"],
                 "video player": ["video player", "media player", "movie player"]}[m[2]]
        f, c = rng.choice(names), colour(m[3])
        return rng.choice([
            f"a {m[1]} {f} with {article(c)} button", f"a {f} with {article(c)} button in {m[1]} mode",
            f"a screenshot of a {m[1]} {f} with {article(c)} button", f"{article(c)} button on a {m[1]} {f}",
            f"a {m[1]} {f} whose button is {c}", f"{m[1]} {f} , {c} button"])
    if k == "list":
        names = {"settings page": ["settings page", "settings screen", "settings"],
                 "chat window": ["chat window", "chat", "chat screen"],
                 "menu": ["menu", "menu screen"]}[m[2]]
        f, n = rng.choice(names), counted(m[3], LISTS[m[2]])
        return rng.choice([
            f"a {m[1]} {f} with {n}", f"a {f} with {n} in {m[1]} mode", f"a screenshot of a {m[1]} {f} with {n}",
            f"{n} on a {m[1]} {f}", f"a {m[1]} {f} showing {n}", f"{m[1]} {f} , {n}"])
    if k == "word":
        return rng.choice([m[1], f"the word {m[1]}", f"somebody says {m[1]}", f"a voice says {m[1]}"])
    raise ValueError(k)


def vocabulary():
    """Every word that a sentence can hold, in a fixed order."""
    words = set()
    rng = random.Random(0)
    for kind in ("one", "many", "pair", "digit", "form", "list", "word"):
        for m in meanings(kind):
            words.update(caption(m).split())
            for _ in range(6 if kind == "pair" else 100):
                words.update(paraphrase(m, rng).split())
    return sorted(words)


def sample(rng, kinds, held=False):
    """A meaning of one of the kinds, given as {kind: weight}."""
    pools = _POOLS[held]
    kind = rng.choices(list(kinds), list(kinds.values()))[0]
    return rng.choice(pools[kind])


def neighbour(m, rng):
    """A hard negative: the same meaning with one attribute changed, or the two things of a pair exchanged."""
    if m[0] in ("digit", "word"):
        return rng.choice([x for x in _POOLS[False][m[0]] if x != m])
    if m[0] == "pair" and rng.random() < 0.3:
        n = ("pair", m[4], m[5], m[3], m[1], m[2])
        return n if not held_out(n) else m
    pools = {"one": [SIZES, COLOURS, SHAPES], "many": [[2, 3, 4], COLOURS, SHAPES],
             "pair": [COLOURS, SHAPES, RELATIONS, COLOURS, SHAPES], "form": [THEMES, FORMS, COLOURS[:6]],
             "list": [THEMES, list(LISTS), [1, 2, 3, 4]]}[m[0]]
    for _ in range(20):
        i = rng.randrange(len(pools))
        n = m[: i + 1] + (rng.choice(pools[i]),) + m[i + 2:]
        if n != m and not held_out(n) and not (n[0] == "pair" and n[1] == n[4]):
            return n
    return m


_KINDS = ("one", "many", "pair", "digit", "form", "list", "word")
_POOLS = {held: {k: [m for m in meanings(k) if held_out(m) == held or k in ("digit", "word")] for k in _KINDS}
          for held in (False, True)}
