"""Writes warpers.json: which tokens each of Hugging Face's sampling settings
leaves possible (null: all), for random scores.

    python warpers.py > warpers.json

Run with transformers 5.23.0 and torch 2.15.0.
"""

import json

import torch
from transformers.generation import logits_process as lp

CALLS = [
    ("temperature", 0.7, lambda v: lp.TemperatureLogitsWarper(v)),
    *(("top_k", k, lambda v: lp.TopKLogitsWarper(v)) for k in (1, 3, 10, 50)),
    *(("top_p", p, lambda v: lp.TopPLogitsWarper(v)) for p in (0.0, 0.1, 0.5, 0.9, 0.999)),
    *(("min_p", p, lambda v: lp.MinPLogitsWarper(v)) for p in (0.01, 0.1, 0.5, 1.0)),
    *(("top_h", h, lambda v: lp.TopHLogitsWarper(v)) for h in (0.1, 0.4, 0.9)),
    *(("typical_p", p, lambda v: lp.TypicalLogitsWarper(v)) for p in (0.1, 0.5, 0.95)),
    *(("epsilon_cutoff", e, lambda v: lp.EpsilonLogitsWarper(v)) for e in (0.001, 0.02, 0.3)),
    *(("eta_cutoff", e, lambda v: lp.EtaLogitsWarper(v)) for e in (0.001, 0.02, 0.3)),
]

g = torch.Generator().manual_seed(1)
out = []
for n, spread in ((5, 1.0), (40, 0.5), (40, 3.0), (110, 2.0)):
    scores = (torch.randn(1, n, generator=g) * spread * 64).round() / 64
    calls = []
    for key, value, make in CALLS:
        y = make(value)(None, scores.clone())[0]
        kept = torch.isfinite(y).nonzero()[:, 0].tolist()
        calls.append({"key": key, "value": value, "kept": kept if len(kept) < n else None})
    out.append({"scores": scores[0].tolist(), "calls": calls})
print("[" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in out) + "]")
