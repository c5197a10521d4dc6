#!/usr/bin/python3
"""Linear-chain CRFs in PyTorch (1.13, Debian 12), float64, gradients by autograd: tests/reference/crf.h5.

    /usr/bin/python3 tests/reference/make_crf.py

For each CASE:
    /CASE/emissions (B, T, K), transition (K, K) [from, to], start, stop (K)
    /CASE/tags (B, T), -1 behind lengths (B)
    /CASE/allowed (K, K), allowed_start, allowed_stop (K)      cases with a mask: 0 is banned
    /CASE/loss, grad/NAME       sum over rows of -log p(tags), divided by the valid positions
    /CASE/best (B, T)           the best paths, -1 behind lengths
The scores of a row are those of its own positions; log Z runs over the labels one position at a time.
"""
import os

import h5py
import torch

torch.set_default_dtype(torch.float64)
BAN = -float("inf")


def masked(x, allowed):
    return x if allowed is None else torch.where(allowed.bool(), x, torch.full_like(x, BAN))


def log_z(e, transition, start, stop):
    a = start + e[0]
    for x in e[1:]:
        a = torch.logsumexp(a[:, None] + transition, 0) + x
    return torch.logsumexp(a + stop, 0)


def score(e, transition, start, stop, y):
    s = start[y[0]] + e[0, y[0]] + stop[y[-1]]
    for t in range(1, len(y)):
        s = s + transition[y[t - 1], y[t]] + e[t, y[t]]
    return s


def best(e, transition, start, stop):
    a, back = start + e[0], []
    for x in e[1:]:
        a, arg = (a[:, None] + transition).max(0)
        a = a + x
        back.append(arg)
    y = [int((a + stop).argmax())]
    for arg in reversed(back):
        y.insert(0, int(arg[y[0]]))
    return y


def draw_tags(K, n, allowed):
    """A random path that the mask allows."""
    while True:
        y = torch.randint(K, (n,)).tolist()
        if not allowed or (allowed["start"][y[0]] and allowed["stop"][y[-1]] and
                           all(allowed["transition"][i, j] for i, j in zip(y, y[1:]))):
            return y


def write(f, name, B, T, K, lengths, mask, scale):
    torch.manual_seed(sum(map(ord, name)))
    shapes = {"emissions": (B, T, K), "transition": (K, K), "start": (K,), "stop": (K,)}
    leaf = {k: (scale * torch.randn(s)).requires_grad_() for k, s in shapes.items()}
    allowed = None
    if mask:
        allowed = {k: (torch.rand(shapes[k]) > 0.25).to(torch.uint8) for k in ("transition", "start", "stop")}
        for k in allowed:  # no row or column without any way
            allowed[k].view(-1)[:: K + 1] = 1
    rows = [draw_tags(K, n, allowed) for n in lengths]
    scores = [masked(leaf[k], allowed and allowed[k]) for k in ("transition", "start", "stop")]
    loss, paths = 0, []
    for b, y in enumerate(rows):
        e = leaf["emissions"][b, : len(y)]
        loss = loss + log_z(e, *scores) - score(e, *scores, y)
        paths.append(best(e.detach(), *[s.detach() for s in scores]))
    loss = loss / sum(lengths)
    loss.backward()

    g = f.create_group(name)
    g.attrs["torch"] = str(torch.__version__)
    pad = lambda ys: [y + [-1] * (T - len(y)) for y in ys]
    g["lengths"], g["tags"], g["best"], g["loss"] = lengths, pad(rows), pad(paths), loss.item()
    for k, v in leaf.items():
        assert torch.isfinite(v.grad).all()
        g[k] = v.detach().numpy()
        g["grad/" + k] = v.grad.numpy()
    for k, v in (allowed or {}).items():
        g["allowed" if k == "transition" else "allowed_" + k] = v.numpy()


with h5py.File(os.path.join(os.path.dirname(os.path.abspath(__file__)), "crf.h5"), "w") as f:
    write(f, "plain", 5, 9, 7, [9, 4, 1, 2, 8], False, 1)
    write(f, "masked", 6, 8, 9, [3, 8, 1, 5, 2, 8], True, 1)
    write(f, "sharp", 4, 12, 17, [12, 7, 11, 1], True, 6)
