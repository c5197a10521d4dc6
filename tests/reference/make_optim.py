#!/usr/bin/python3
"""Ten steps of each optimiser in PyTorch (1.13.1, Debian 12), float64: tests/reference/optim.h5.

    /usr/bin/python3 tests/reference/make_optim.py

/init/NAME, /grad (step, size) per parameter, and for each case /CASE/{clip,lr} and /CASE/NAME: the values after the
last step, /CASE/STATE/NAME: the optimiser's state.
"""
import os

import h5py
import numpy as np
import torch

STEPS = 10
SHAPES = {"w": (5, 7), "b": (7,), "v": (3, 2, 4)}
CASES = {  # name: class, settings, clip
    "sgd": (torch.optim.SGD, dict(lr=0.1), 0),
    "sgd_decay": (torch.optim.SGD, dict(lr=0.1, weight_decay=0.05), 0),
    "sgd_momentum": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, weight_decay=0.02), 1.0),
    "sgd_nesterov": (torch.optim.SGD, dict(lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.02), 0),
    "adam": (torch.optim.Adam, dict(lr=0.02), 0),
    "adam_clip": (torch.optim.Adam, dict(lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1), 0.5),
    "adamw": (torch.optim.AdamW, dict(lr=0.02, betas=(0.9, 0.95), weight_decay=0.1), 1.0),
    "adadelta": (torch.optim.Adadelta, dict(lr=1.0, rho=0.95, eps=1e-6), 0),
    "adadelta_decay": (torch.optim.Adadelta, dict(lr=0.7, rho=0.9, eps=1e-5, weight_decay=0.03), 2.0),
}


def main():
    rng = np.random.default_rng(7)
    init = {k: rng.normal(size=s) for k, s in SHAPES.items()}
    grad = {k: rng.normal(size=(STEPS, *s)) for k, s in SHAPES.items()}
    out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "optim.h5")
    with h5py.File(out, "w", libver="latest") as f:
        for k in SHAPES:
            f[f"init/{k}"], f[f"grad/{k}"] = init[k], grad[k]
        for case, (cls, settings, clip) in CASES.items():
            p = {k: torch.nn.Parameter(torch.tensor(x)) for k, x in init.items()}
            o = cls(list(p.values()), **settings)
            norms = []
            for t in range(STEPS):
                for k in p:
                    p[k].grad = torch.tensor(grad[k][t])
                norms.append(float(torch.nn.utils.clip_grad_norm_(p.values(), clip if clip else 1e30)))
                o.step()
            f[f"{case}/norm"] = norms
            for k in p:
                f[f"{case}/{k}"] = p[k].detach().numpy()
                for name, s in o.state[p[k]].items():
                    if name != "step" and s is not None:
                        f[f"{case}/{name}/{k}"] = s.detach().numpy()


if __name__ == "__main__":
    main()
