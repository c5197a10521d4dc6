#!/usr/bin/python3
"""Decoders with attention in PyTorch (1.13, Debian 12), float64: tests/reference/attention.h5.

    /usr/bin/python3 tests/reference/make_attention.py

For each case (its settings are attributes of the group):
    /CASE/NAME        the inputs and weights, named as in rv_attention_recurrence; lengths (B); and w_key, by which keys
                      = memory w_key^T (without it keys = memory)
    /CASE/out/NAME    h, context, output (T, B, .), weights (T, B, S), hn, cn
    /CASE/loss/NAME   loss = sum over NAME of sum(loss/NAME * out/NAME)
    /CASE/grad/NAME   gradients of the loss
Each case is written step by step as a user of PyTorch would: nn.LSTMCell or nn.GRUCell on the concatenation; the GRU that
resets before the product is written out, since PyTorch has only the other. Local attention is [Luong 2015, eq. 9-10].
"""
import os

import h5py
import torch
from torch import nn

T, B, S, E, H, D, A, O, P = 5, 4, 7, 3, 6, 5, 8, 4, 3
WINDOW = 2.3
LENGTHS = torch.tensor([7, 3, 1, 5])
torch.set_default_dtype(torch.float64)

# name: cell, score, query is h_t, input feeding, local
CASES = {
    "bahdanau_gru_before": ("gru_before", "additive", False, False, False),
    "bahdanau_lstm": ("lstm", "additive", False, False, False),
    "luong_dot": ("lstm", "dot", True, False, False),
    "luong_dot_feed": ("lstm", "dot", True, True, False),
    "luong_general": ("gru", "general", True, False, False),
    "luong_general_feed": ("lstm", "general", True, True, False),
    "luong_concat": ("lstm", "additive", True, False, False),
    "luong_concat_feed": ("gru", "additive", True, True, False),
    "luong_local": ("lstm", "general", True, False, True),
    "luong_local_feed": ("lstm", "general", True, True, True),
}
GATES = {"lstm": 4, "gru": 3, "gru_before": 3}


def gru_before(p, x, h):
    a = x @ p["w_ih"].T + p["b_ih"] + p["b_hh"]
    u = p["w_hh"]
    r = torch.sigmoid(a[:, :H] + h @ u[:H].T)
    z = torch.sigmoid(a[:, H:2 * H] + h @ u[H:2 * H].T)
    n = torch.tanh(a[:, 2 * H:] + (r * h) @ u[2 * H:].T)
    return (1 - z) * n + z * h


def make_cell(kind, p, inputs):
    """A step (x, (h, c)) -> (h, c), with p's weights in PyTorch's module."""
    if kind == "gru_before":
        return lambda x, s: (gru_before(p, x, s[0]), None)
    cell = (nn.LSTMCell if kind == "lstm" else nn.GRUCell)(inputs, H)
    for name, ours in (("weight_ih", "w_ih"), ("weight_hh", "w_hh"), ("bias_ih", "b_ih"), ("bias_hh", "b_hh")):
        delattr(cell, name)
        setattr(cell, name, p[ours])
    return (lambda x, s: cell(x, s)) if kind == "lstm" else (lambda x, s: (cell(x, s[0]), None))


def attend(p, keys, query, local):
    if "v" in p:
        scores = torch.tanh((query @ p["w_query"].T)[:, None] + keys) @ p["v"]
    else:
        scores = torch.einsum("bsh,bh->bs", keys, query)
    at = torch.arange(S, dtype=torch.float64)
    seen = at < LENGTHS[:, None]
    if not local:
        return scores.masked_fill(~seen, float("-inf")).softmax(-1)
    place = (LENGTHS * torch.sigmoid(torch.tanh(query @ p["w_position"].T) @ p["v_position"]))[:, None]
    seen = seen & ((at - place).abs() <= WINDOW)
    return scores.masked_fill(~seen, float("-inf")).softmax(-1) * torch.exp(-(at - place) ** 2 / (2 * (WINDOW / 2) ** 2))


def run(p, kind, query_current, feeding, local):
    width = E + (O if feeding else 0 if query_current else D)
    cell = make_cell(kind, p, width)
    keys = p["memory"] @ p["w_key"].T if "w_key" in p else p["memory"]
    h, c, fed = p["h0"], p.get("c0"), p.get("feed")
    out = {"h": [], "context": [], "output": [], "weights": []}
    for x in p["x"]:
        if not query_current:
            w = attend(p, keys, h, local)
            context = torch.einsum("bs,bsd->bd", w, p["memory"])
            h, c = cell(torch.cat([x, context], -1), (h, c))
        else:
            h, c = cell(torch.cat([x, fed], -1) if feeding else x, (h, c))
            w = attend(p, keys, h, local)
            context = torch.einsum("bs,bsd->bd", w, p["memory"])
            fed = torch.tanh(torch.cat([context, h], -1) @ p["w_out"].T)
            out["output"].append(fed)
        out["h"].append(h)
        out["context"].append(context)
        out["weights"].append(w)
    out = {k: torch.stack(v) for k, v in out.items() if v}
    out["hn"] = h
    if c is not None:
        out["cn"] = c
    return out


def write(group, name, kind, score, query_current, feeding, local):
    torch.manual_seed(sum(map(ord, name)))
    d = H if name.startswith("luong_dot") else D
    G = GATES[kind]
    shape = {"x": (T, B, E), "memory": (B, S, d), "w_ih": (G * H, E + (O if feeding else 0 if query_current else d)), "w_hh": (G * H, H),
             "b_ih": (G * H,), "b_hh": (G * H,), "h0": (B, H)}
    if kind == "lstm":
        shape["c0"] = (B, H)
    if score == "additive":
        shape.update(w_query=(A, H), v=(A,), w_key=(A, d))
    if score == "general":
        shape.update(w_key=(H, d))
    if query_current:
        shape["w_out"] = (O, d + H)
    if feeding:
        shape["feed"] = (B, O)
    if local:
        shape.update(w_position=(P, H), v_position=(P,))
    p = {k: (torch.rand(s) * 1.6 - 0.8).requires_grad_() for k, s in shape.items()}
    out = run(p, kind, query_current, feeding, local)
    loss = {k: torch.randn(v.shape) for k, v in out.items() if k != "weights"}
    sum((out[k] * loss[k]).sum() for k in loss).backward()
    g = group.create_group(name)
    g.attrs.update({"torch": str(torch.__version__), "cell": kind, "score": score, "query_current": query_current, "local": local})
    g["lengths"] = LENGTHS.numpy()
    for folder, values in (("", p), ("out/", out), ("loss/", loss), ("grad/", {k: v.grad for k, v in p.items()})):
        for k, v in values.items():
            g[folder + k] = v.detach().numpy()


with h5py.File(os.path.join(os.path.dirname(os.path.abspath(__file__)), "attention.h5"), "w") as f:
    for name, case in CASES.items():
        write(f, name, *case)
