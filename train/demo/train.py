"""Trains the demo model from a seed, on the CPU.

    python train.py --fsdd DIR --work DIR [--out ../../demo/model]

DIR of --fsdd is a checkout of https://github.com/Jakobovski/free-spoken-digit-dataset; espeak-ng and flite must be
installed. Four stages, each kept in --work and skipped when it is there already:

    language  the text tower and the captioner: sentences of one meaning lie together (InfoNCE), and the captioner says
              the canonical sentence of an embedding
    image     the image tower against the frozen embeddings of all training captions (InfoNCE with every caption as a
              negative), and what lies at each patch
    speech    the speech tower likewise, and which words are said (CTC); runs beside the image stage
    joint     pictures against voices as well, with hard negatives (one attribute changed), and the captioner from
              pictures and sounds

What helps the towers learn (the patch and CTC heads) is thrown away.
"""
import argparse
import json
import math
import os
import random
import subprocess
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import model as M
import pictures
import speech
import world

KINDS = {"pair": 0.55, "one": 0.1, "many": 0.1, "digit": 0.05, "form": 0.08, "list": 0.06, "word": 0.06}


class Log:
    """A line a hundred steps, on the terminal and in the learning curve."""

    def __init__(self, work, stage):
        self.path, self.stage, self.start = os.path.join(work, f"curve-{stage}.jsonl"), stage, time.time()
        open(self.path, "w").close()

    def __call__(self, step, **values):
        row = {"stage": self.stage, "step": step, "seconds": round(time.time() - self.start),
               **{k: round(v.item() if torch.is_tensor(v) else v, 4) for k, v in values.items()}}
        print(json.dumps(row), flush=True)
        with open(self.path, "a") as f:
            f.write(json.dumps(row) + "\n")


class Texts:
    """Sentences to padded ids."""

    def __init__(self):
        self.tok = M.make_tokenizer()
        self.known = {}

    def ids(self, s):
        if s not in self.known:
            self.known[s] = self.tok.encode(s).ids
        return self.known[s]

    def batch(self, sentences):
        rows = [self.ids(s) for s in sentences]
        n = max(map(len, rows))
        ids = torch.zeros(len(rows), n, dtype=torch.long)
        for i, r in enumerate(rows):
            ids[i, : len(r)] = torch.tensor(r)
        return ids, (ids != M.PAD).long()


def blank_model():
    """The untrained model, with the ways of computing that are fast in bfloat16 on a CPU."""
    model = M.TriEncoder(M.make_tokenizer().get_vocab_size())
    for part in (model.text, model.image, model.speech, model.caption):
        part.set_attn_implementation("eager")
    model.caption.set_experts_implementation("eager")
    front = model.speech.feature_extractor

    def convolve(samples):
        """What front.forward does, as matrix products over overlapping windows: three times as fast."""
        h = samples.unsqueeze(-1)
        for layer in front.conv_layers:
            conv = layer.conv
            windows = h.unfold(1, conv.kernel_size[0], conv.stride[0]).flatten(2)
            h = F.gelu(layer.layer_norm(F.linear(windows, conv.weight.flatten(1), conv.bias)))
        return h.transpose(1, 2)
    front.forward = convolve
    return model


def optimiser(params, rate, steps, warm, decay=0.02):
    params = [p for p in params if p.requires_grad]
    opt = torch.optim.AdamW([{"params": [p for p in params if p.ndim > 1], "weight_decay": decay},
                             {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0}],
                            lr=rate, betas=(0.9, 0.98))
    plan = torch.optim.lr_scheduler.LambdaLR(
        opt, lambda s: min(1, (s + 1) / warm) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, s / steps)))))

    def step(loss):
        opt.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        plan.step()
        return norm
    return step


def info_nce(a, b, scale, same):
    """InfoNCE both ways; pairs of one meaning (same) are no negatives of each other."""
    a, b = F.normalize(a.float(), dim=-1), F.normalize(b.float(), dim=-1)
    logits = a @ b.T * scale.clamp(max=math.log(60)).exp()
    logits = logits.masked_fill(same & ~torch.eye(len(a), dtype=torch.bool), -1e4)
    target = torch.arange(len(a))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def same_meaning(ms):
    index = {}
    k = torch.tensor([index.setdefault(m, len(index)) for m in ms])
    return k[:, None] == k[None]


def caption_loss(model, shared, ids, noise=0.0):
    """Cross-entropy of the canonical sentences (ids: CLS words SEP) after the prefix of each embedding."""
    e = F.normalize(shared.float(), dim=-1)
    if noise:
        e = e + torch.randn_like(e) * (noise / math.sqrt(e.shape[1])) * torch.rand(len(e), 1)
    p = model.prompt(e)[:, :-1]
    words = model.caption.get_input_embeddings()(ids[:, :-1])
    labels = ids[:, 1:].masked_fill(ids[:, 1:] == M.PAD, -100)
    out = model.caption(inputs_embeds=torch.cat([p, words.to(p.dtype)], 1), output_router_logits=True)
    logits = out.logits[:, M.PREFIX:].float()
    ce = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=-100)
    return ce + 0.01 * out.aux_loss


def batch_meanings(rng, n, kinds, hard):
    """n meanings; the given share of them are hard negatives of the one before."""
    out = []
    while len(out) < n:
        out.append(world.sample(rng, kinds))
        if len(out) < n and rng.random() < hard:
            out.append(world.neighbour(out[-1], rng))
    return out


# ---- language

def language(args):
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)
    model = blank_model()
    texts, log = Texts(), Log(args.work, "language")
    params = [*model.text.parameters(), *model.text_projection.parameters(), *model.prefix.parameters(),
              *model.caption.parameters(), model.logit_scale]
    steps, n = args.language_steps, 128
    step = optimiser(params, 2e-3, steps, 60)
    for s in range(steps):
        ms = batch_meanings(rng, n, KINDS, 0.4)
        a = [world.caption(m) for m in ms]
        b = [world.paraphrase(m, rng) for m in ms]
        with torch.autocast("cpu", torch.bfloat16):
            e = model.embed_text(*texts.batch(a + b))
            ids, _ = texts.batch(a)
            pick = torch.arange(n) + n * (torch.rand(n) < 0.5)
            cap = caption_loss(model, e[pick], ids, 0.5)
        align = info_nce(e[:n], e[n:], model.logit_scale, same_meaning(ms))
        step(align + cap)
        if s % 100 == 99:
            log(s + 1, align=align, caption=cap, scale=model.logit_scale.exp(),
                **(check_language(model, texts) if s % 300 == 299 else {}))
    torch.save(model.state_dict(), os.path.join(args.work, "language.pt"))


@torch.no_grad()
def check_language(model, texts):
    """Retrieval among paraphrases and captions of held-out compositions."""
    rng = random.Random(5)
    ms = random.Random(6).sample(world._POOLS[True]["pair"], 150) + world._POOLS[True]["one"] + world._POOLS[True]["many"]
    a = model.embed_text(*texts.batch([world.caption(m) for m in ms]))
    b = model.embed_text(*texts.batch([world.paraphrase(m, rng) for m in ms]))
    hit = (F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T).argmax(1) == torch.arange(len(ms))
    said = model.describe(a)
    right = [r == texts.ids(world.caption(m))[1:] for r, m in zip(said, ms)]
    return {"held_r1": hit.float().mean(), "held_exact": sum(right) / len(ms)}


# ---- the towers against the frozen text

@torch.no_grad()
def caption_table(model, texts, kinds, held):
    ms = [m for k in kinds for m in world._POOLS[held][k]]
    e = [model.embed_text(*texts.batch([world.caption(m) for m in ms[i: i + 512]])) for i in range(0, len(ms), 512)]
    return ms, F.normalize(torch.cat(e), dim=-1)


def tower_loss(e, table, target):
    """Every training caption is a candidate; and the embedding should be that of its own."""
    e = F.normalize(e.float(), dim=-1)
    return F.cross_entropy(e @ table.T * 25, target) + 2 * (1 - (e * table[target]).sum(-1)).mean()


SEEN = ("pair", "one", "many", "digit", "form", "list")


@torch.no_grad()
def begin_patches(vit, pool, g):
    """Patches begin whitened, positions as the plane they are and the first layers looking at neighbours.

    Colour is most of a patch's variance, and a tower that begins at random sees little else for a long time; in
    whitened patches an edge is as large as a colour.
    """
    x, _ = pool.batch(g.integers(0, len(pool.pixels), 2000), g)
    x = torch.from_numpy(x).unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5).reshape(-1, 192)
    size, axes = torch.linalg.eigh(torch.cov(x.T).double())
    to = vit.embeddings.patch_embeddings.projection
    n = to.weight.shape[0] - 32
    w = (axes[:, -n:] / (size[-n:] + 3e-3).sqrt()).T.float() * 0.7
    to.weight.zero_()
    to.bias.zero_()
    to.weight[:n] = w.reshape(n, *to.weight.shape[1:])
    to.bias[:n] = -w @ x.mean(0)
    y, x = (torch.tensor(c, dtype=torch.float32)[:, None] for c in np.divmod(np.arange(64), 8))
    f = torch.linspace(0.2, 1.9, 8)
    place = vit.embeddings.position_embeddings
    place.zero_()
    place[0, 1:, n:] = torch.cat([torch.sin(x * f), torch.cos(x * f), torch.sin(y * f), torch.cos(y * f)], 1) * 2
    for depth, reach in enumerate((1, 1, 2)):
        look_around(vit.layers[depth], f, reach)


def look_around(layer, f, reach):
    """The heads of a layer begin as a convolution does: each looks at the patch on one side of its own.

    Places are sines and cosines, so turning their plane by an offset finds the place at that offset
    (d'Ascoli et al. 2021, arXiv:2103.10697, begin with the same thing by other means).
    """
    q, k, v, o = layer.attention.q_proj, layer.attention.k_proj, layer.attention.v_proj, layer.attention.o_proj
    d, m = q.weight.shape[1], len(f)
    for p in (q, k):
        p.weight.normal_(0, 0.02)
        p.bias.zero_()
    for p in (v, o):
        p.weight.normal_(0, d ** -0.5)
    for h, (dx, dy) in enumerate(((reach, 0), (-reach, 0), (0, reach), (0, -reach))):
        rows = slice(h * 32, h * 32 + 32)
        turn = torch.zeros(32, 32)
        for axis, offset in ((0, dx), (2 * m, dy)):
            c, s = torch.diag(torch.cos(offset * f)), torch.diag(torch.sin(offset * f))
            i, j = slice(axis, axis + m), slice(axis + m, axis + 2 * m)
            turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, s, -s, c
        q.weight[rows, d - 32:] += 1.5 * turn
        k.weight[rows, d - 32:] += 1.5 * torch.eye(32)


def image(args):
    torch.manual_seed(args.seed + 1)
    g = np.random.default_rng(args.seed + 1)
    model = blank_model()
    model.load_state_dict(torch.load(os.path.join(args.work, "language.pt")))
    texts, log, pool = Texts(), Log(args.work, "image"), pictures.Pool(os.path.join(args.work, "pictures.npz"), args.seed)
    ms, table = caption_table(model, texts, SEEN, False)
    where = {m: i for i, m in enumerate(ms)}
    target = torch.tensor([where[m] for m in pool.meanings])
    colour, shape = nn.Linear(128, 9), nn.Linear(128, 7)
    begin_patches(model.image, pool, g)
    check = held_pictures(args.seed)
    params = [*model.image.parameters(), *model.image_projection.parameters(), *colour.parameters(), *shape.parameters()]
    steps, n, s, tick = args.image_steps, 128, 0, time.time()
    step = optimiser(params, 2e-3, steps, 100, 0.05)
    order = np.array([], np.int64)
    while s < steps:
        if len(order) < n:
            order = np.concatenate([order, g.permutation(len(pool.pixels))])
        index, order = order[:n], order[n:]
        pixels, labels = pool.batch(index, g)
        with torch.autocast("cpu", torch.bfloat16):
            out = model.image(pixel_values=torch.from_numpy(pixels), output_hidden_states=True)
            e = model.image_projection(out.last_hidden_state[:, 0])
            local = out.hidden_states[3][:, 1:]
            c, f = colour(local), shape(local)
        y = torch.from_numpy(labels)
        blank = y == 0
        cy = torch.where(blank, 0, (y - 1) // 6 + 1).masked_fill(y == 255, -100)
        fy = torch.where(blank, 0, (y - 1) % 6 + 1).masked_fill(y == 255, -100)
        patch = F.cross_entropy(c.float().reshape(-1, 9), cy.reshape(-1)) + \
            F.cross_entropy(f.float().reshape(-1, 7), fy.reshape(-1))
        main = tower_loss(e, table, target[index])
        # Colours are learned at once and shapes late: until they are, the captions would only teach colours.
        step((main if s > steps // 4 else 0) + 4 * patch)
        s += 1
        if s % 100 == 0:
            on = (fy > 0)
            log(s, align=main, patch=patch, shape=((f.argmax(-1) == fy) & on).sum() / on.sum(), **(check_images(model, texts, check) if s % 300 == 0 else {}))
            if time.time() - tick > 240 or s >= steps:
                torch.save(model.state_dict(), os.path.join(args.work, "image-part.pt"))
                tick = time.time()
    os.replace(os.path.join(args.work, "image-part.pt"), os.path.join(args.work, "image.pt"))


def held_pictures(seed):
    """Pictures of held-out compositions for the learning curve; others than those of the committed split."""
    import draw
    rng = random.Random(seed + 77)
    ms = [m for k, n in (("pair", 120), ("one", 8), ("many", 12), ("digit", 10), ("form", 8), ("list", 6))
          for m in rng.sample(world._POOLS[True][k], n)]
    x = np.stack([draw.small(draw.draw(m, rng, held=True), M.IMAGE) for m in ms])
    return ms, torch.from_numpy(x.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)


@torch.no_grad()
def check_images(model, texts, check):
    ms, x = check
    e = model.embed_image(x)
    t = model.embed_text(*texts.batch([world.caption(m) for m in ms]))
    hit = (F.normalize(e, dim=-1) @ F.normalize(t, dim=-1).T).argmax(1) == torch.arange(len(ms))
    right = [r == texts.ids(world.caption(m))[1:] for r, m in zip(model.describe(e), ms)]
    return {"held_r1": hit.float().mean(), "held_exact": sum(right) / len(ms)}


def ctc_words():
    return {w: i + 1 for i, w in enumerate(world.vocabulary())}


def pad(clips):
    n = max(map(len, clips))
    x = torch.zeros(len(clips), n)
    mask = torch.zeros(len(clips), n, dtype=torch.long)
    for i, c in enumerate(clips):
        x[i, : len(c)] = torch.from_numpy(c)
        mask[i, : len(c)] = 1
    return x, mask


VOICES = {"pair": 0.44, "one": 0.05, "many": 0.06, "digit": 0.09, "form": 0.07, "list": 0.05, "word": 0.13, "real": 0.11}


def speech_batch(pool, rng, n):
    """n clips of like length (of 4n drawn, a run of neighbours by length), augmented."""
    clips = [rng.choice(pool.by_kind[k]) for k in rng.choices(list(VOICES), list(VOICES.values()), k=4 * n)]
    clips.sort(key=lambda c: c["end"] - c["start"])
    return [clips[i * n: (i + 1) * n] for i in range(4)]


def speak(args):
    torch.manual_seed(args.seed + 2)
    rng = random.Random(args.seed + 2)
    model = blank_model()
    model.load_state_dict(torch.load(os.path.join(args.work, "language.pt")))
    texts, log, pool = Texts(), Log(args.work, "speech"), speech.Pool(os.path.join(args.work, "pool"))
    ms, table = caption_table(model, texts, KINDS, False)
    where = {m: i for i, m in enumerate(ms)}
    words = ctc_words()
    head = nn.Linear(model.speech.config.hidden_size, len(words) + 1)
    check = held_voices(args.seed, args.fsdd, args.work)
    params = [*model.speech.parameters(), *model.speech_projection.parameters(), *head.parameters()]
    steps, n, s, tick = args.speech_steps, 64, 0, time.time()
    step = optimiser(params, 8e-4, steps, 200, 0.02)
    batches = []
    while s < steps:
        if not batches:
            batches = speech_batch(pool, rng, n)
            rng.shuffle(batches)
        clips = batches.pop()
        x, mask = pad([speech.normalise(speech.augment(pool.audio(c), rng)) for c in clips])
        said = [[words[w] for w in c["text"].split() if w != ","] for c in clips]
        with torch.autocast("cpu", torch.bfloat16):
            h, own = model.speech_frames(x, mask)
            lp = F.log_softmax(head(h).float(), -1)
            own = own.unsqueeze(-1)
            e = model.speech_projection((h * own).sum(1) / own.sum(1))
        ctc = F.ctc_loss(lp.transpose(0, 1), torch.tensor([w for r in said for w in r]), own.sum(1).squeeze(-1),
                         torch.tensor([len(r) for r in said]), zero_infinity=True)
        main = tower_loss(e, table, torch.tensor([where[c["meaning"]] for c in clips]))
        step(main + ctc)
        s += 1
        if s % 100 == 0:
            log(s, align=main, ctc=ctc, **(check_voices(model, texts, check) if s % 300 == 0 else {}))
            if time.time() - tick > 240 or s >= steps:
                torch.save(model.state_dict(), os.path.join(args.work, "speech-part.pt"))
                tick = time.time()
    os.replace(os.path.join(args.work, "speech-part.pt"), os.path.join(args.work, "speech.pt"))


def held_voices(seed, fsdd, work):
    """Held-out voices say held-out compositions, and a training speaker's last takes are not among them."""
    rng = random.Random(seed + 78)
    ms = [m for k, n in (("pair", 80), ("one", 8), ("many", 12), ("digit", 10), ("form", 8), ("list", 6), ("word", 30))
          for m in rng.sample(world._POOLS[True][k], n)]
    path = os.path.join(work, "held_voices.npz")
    if not os.path.exists(path):
        clips = [speech.augment(speech.synthesise(world.caption(m), *speech.voice(rng, held=True)) / np.float32(32768), rng)
                 for m in ms]
        np.savez(path, *clips)
    z = np.load(path)
    clips = [speech.normalise(z[f"arr_{i}"]) for i in range(len(ms))]
    real = [(d, speech.read(os.path.join(fsdd, "recordings", f"{d}_{who}_{t}.wav")))
            for d in range(10) for who in speech.FSDD_HELD for t in range(45, 50)]
    return ms, clips, real


@torch.no_grad()
def embed_clips(model, clips):
    order = sorted(range(len(clips)), key=lambda i: len(clips[i]))
    out = [None] * len(clips)
    for i in range(0, len(order), 32):
        part = order[i: i + 32]
        for k, e in zip(part, model.embed_speech(*pad([clips[j] for j in part]))):
            out[k] = e
    return torch.stack(out)


@torch.no_grad()
def check_voices(model, texts, check):
    ms, clips, real = check
    e = F.normalize(embed_clips(model, clips), dim=-1)
    t = F.normalize(model.embed_text(*texts.batch([world.caption(m) for m in ms])), dim=-1)
    hit = (e @ t.T).argmax(1) == torch.arange(len(ms))
    right = [r == texts.ids(world.caption(m))[1:] for r, m in zip(model.describe(e), ms)]
    d = F.normalize(model.embed_text(*texts.batch([world.caption(("digit", d)) for d in range(10)])), dim=-1)
    r = F.normalize(embed_clips(model, [speech.normalise(x.astype(np.float32) / 32768) for _, x in real]), dim=-1)
    digits = (r @ d.T).argmax(1) == torch.tensor([d for d, _ in real])
    return {"held_r1": hit.float().mean(), "held_exact": sum(right) / len(ms), "digits": digits.float().mean()}


# ---- all together

def joint(args):
    torch.manual_seed(args.seed + 3)
    rng, g = random.Random(args.seed + 3), np.random.default_rng(args.seed + 3)
    model = blank_model()
    state = torch.load(os.path.join(args.work, "language.pt"))
    for part in ("image", "speech"):
        path = os.path.join(args.work, part + ".pt")
        tower = torch.load(path)
        state |= {k: v for k, v in tower.items() if k.startswith(part)}
    model.load_state_dict(state)
    texts, log = Texts(), Log(args.work, "joint")
    seen, heard = pictures.Pool(os.path.join(args.work, "pictures.npz"), args.seed), speech.Pool(os.path.join(args.work, "pool"))
    shown = {}
    for i, m in enumerate(seen.meanings):
        shown.setdefault(m, []).append(i)
    said = {}
    for c in heard.clips:
        said.setdefault(c["meaning"], []).append(c)
    checks = held_pictures(args.seed), held_voices(args.seed, args.fsdd, args.work)
    ms, table = caption_table(model, texts, KINDS, False)
    where = {m: i for i, m in enumerate(ms)}
    for p in (*model.text.parameters(), *model.text_projection.parameters(), model.logit_scale):
        p.requires_grad = False  # the space stays where the sentences have put it
    steps, n = args.joint_steps, 64
    step = optimiser(model.parameters(), 5e-4, steps, 20)
    for s in range(steps):
        ms = []
        while len(ms) < n:
            c = rng.choice(heard.by_kind[rng.choices(list(VOICES), list(VOICES.values()))[0]])
            ms.append(c["meaning"])
            near = world.neighbour(ms[-1], rng)
            if len(ms) < n and near in said and rng.random() < 0.5:
                ms.append(near)
        x, mask = pad([speech.normalise(speech.augment(heard.audio(rng.choice(said[m])), rng)) for m in ms])
        visible = torch.tensor([i for i, m in enumerate(ms) if m in shown])
        pixels, _ = seen.batch([rng.choice(shown[ms[i]]) for i in visible], g)
        target = torch.tensor([where[m] for m in ms])
        ids, _ = texts.batch([world.caption(m) for m in ms])
        with torch.autocast("cpu", torch.bfloat16):
            v = model.embed_speech(x, mask)
            p = model.embed_image(torch.from_numpy(pixels))
            t = table[target]
            cap = caption_loss(model, torch.cat([p, v, t]), torch.cat([ids[visible], ids, ids]), 0.2)
        align = (tower_loss(v, table, target) + tower_loss(p, table, target[visible])
                 + info_nce(v[visible], p, model.logit_scale, same_meaning([ms[i] for i in visible])))
        step(align + cap)
        if s % 20 == 19:
            full = s % 100 == 99 or s == steps - 1
            log(s + 1, align=align, caption=cap, scale=model.logit_scale.exp(),
                **({"image_" + k: x for k, x in check_images(model, texts, checks[0]).items()} if full else {}),
                **({"speech_" + k: x for k, x in check_voices(model, texts, checks[1]).items()} if full else {}))
            if full:
                torch.save(model.state_dict(), os.path.join(args.work, "joint-part.pt"))
    os.replace(os.path.join(args.work, "joint-part.pt"), os.path.join(args.work, "joint.pt"))


# ---- the command

def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--fsdd", required=True)
    ap.add_argument("--work", required=True)
    ap.add_argument("--out", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../demo/model"))
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--stage", choices=list(STAGES), help="one stage alone")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--language-steps", type=int, default=800)
    ap.add_argument("--image-steps", type=int, default=2300)
    ap.add_argument("--speech-steps", type=int, default=2000)
    ap.add_argument("--joint-steps", type=int, default=240)
    args = ap.parse_args()
    if args.stage:
        torch.set_num_threads(args.threads)
        STAGES[args.stage](args)
        return
    os.makedirs(args.work, exist_ok=True)
    speech.build_pool(os.path.join(args.work, "pool"), args.seed, args.fsdd)
    pictures.Pool(os.path.join(args.work, "pictures.npz"), args.seed)

    def start(stage, threads):
        if os.path.exists(os.path.join(args.work, stage + ".pt")):
            return None
        return subprocess.Popen([sys.executable, os.path.abspath(__file__), *sys.argv[1:], "--stage", stage,
                                 "--threads", str(threads)])

    for stages in (("language",), ("image", "speech"), ("joint",)):
        for p in [start(s, 2 // len(stages)) for s in stages]:
            if p and p.wait():
                sys.exit(p.returncode)
    model = M.TriEncoder(M.make_tokenizer().get_vocab_size())
    model.load_state_dict(torch.load(os.path.join(args.work, "joint.pt")))
    M.save(model, args.out)


STAGES = {"language": language, "image": image, "speech": speak, "joint": joint}

if __name__ == "__main__":
    main()
