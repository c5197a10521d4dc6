#!/usr/bin/python3
"""Ten training steps of sequence regressors in PyTorch (1.13.1, Debian 12): tests/reference/regression.h5.

    /usr/bin/python3 tests/reference/make_regression.py

For MODEL in MODELS below (settings are attributes of the group):
    /MODEL/input                   (step, B, T, 2), 0 behind a row's length; exact in float32
    /MODEL/lengths                 int32 (step, B), ragged
    /MODEL/target                  (step, B)
    /MODEL/init/NAME               initial weights; exact in float32
    /MODEL/{f64,f32}/loss, norm    (step): mean squared error before the update; gradient norm before clipping
    /MODEL/f64/grad/NAME           gradient of the first step, not clipped
    /MODEL/f64/final/NAME          weights after the last step
    /MODEL/f64/{pooled,output}     (B, D), (B, 1) of the first step
    /MODEL/f64/weights             (B, T) of the first step's attention pooling
Pooling: the last state (of two directions, both ends), the mean of the valid states, or their sum weighted by
softmax(v tanh(W h + b)) over the valid positions.
"""
import os
import sys

import h5py
import numpy as np
import torch
from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from pytorch import Regressor

STEPS, B, T = 10, 5, 9
MODELS = {
    "rnn_last": dict(cell="rnn", layers=2, width=12, both=False, pooling="last"),
    "bigru_last": dict(cell="gru", layers=2, width=8, both=True, pooling="last"),
    "lstm_mean": dict(cell="lstm", layers=1, width=12, both=False, pooling="mean"),
    "birnn_attention": dict(cell="rnn", layers=1, width=8, both=True, pooling="attention", size=6),
    "transformer_mean": dict(cell="", layers=2, width=12, pre=True, pooling="mean"),
    "transformer_last": dict(cell="", layers=1, width=12, pre=False, pooling="last"),
    "transformer_attention": dict(cell="", layers=1, width=12, pre=True, pooling="attention", size=7),
}


def regressor(cell, layers, width, pooling, both=False, pre=False, size=0):
    encoder = {"type": "rnn" if cell else "transformer", "cell": cell, "num_layers": layers, "hidden_size": width, "bidirectional": both,
               "norm": "pre" if pre else "post", "activation": "relu", "num_heads": 2, "ff_size": 2 * width}
    return Regressor({"encoder": encoder, "position": "sinusoidal", "pooling": pooling, "pooling_size": size}, T)


def run(f, path, settings, init, x, lengths, y, dtype):
    model = regressor(**settings).to(dtype).train()
    model.load_state_dict({k: v.to(dtype) for k, v in init.items()})
    o = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses, norms = [], []
    for t in range(STEPS):
        o.zero_grad()
        output, r, weights = model(x[t].to(dtype), lengths[t])
        loss = nn.functional.mse_loss(output, y[t].to(dtype))
        loss.backward()
        if t == 0 and dtype == torch.float64:
            f[f"{path}/pooled"], f[f"{path}/output"] = r.detach().numpy(), output.detach().numpy()[:, None]
            if weights is not None:
                f[f"{path}/weights"] = weights.detach().numpy()
            for k, p in model.named_parameters():
                f[f"{path}/grad/{k}"] = p.grad.numpy()
        norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), 1.0)))
        losses.append(float(loss))
        o.step()
    f[f"{path}/loss"], f[f"{path}/norm"] = losses, norms
    for k, p in model.named_parameters() if dtype == torch.float64 else ():
        f[f"{path}/final/{k}"] = p.detach().numpy()
    print(path, " ".join(f"{v:.4f}" for v in losses))


def main():
    torch.set_num_threads(1)
    out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "regression.h5")
    with h5py.File(out, "w", libver="latest") as f:
        for name, settings in MODELS.items():
            torch.manual_seed(11)
            init = {k: v.detach().clone() for k, v in regressor(**settings).state_dict().items()}
            for k, v in init.items():  # PyTorch starts some of these at 1 and 0: make every weight count
                init[k] = v + 0.1 * torch.randn_like(v) if "norm" in k or "bias" in k else v
            rng = np.random.default_rng(5)
            lengths = rng.integers(1, T + 1, (STEPS, B))
            lengths[:, 0], lengths[0, 1] = T, 1
            x = rng.random((STEPS, B, T, 2)).astype(np.float32)
            x[np.arange(T)[None, None] >= lengths[:, :, None]] = 0
            y = rng.random((STEPS, B)).astype(np.float32)
            g = f.create_group(name)
            for k, v in settings.items():
                g.attrs[k] = v
            g["input"], g["lengths"], g["target"] = x, lengths.astype(np.int32), y
            for k, v in init.items():
                g[f"init/{k}"] = v.numpy()
            for dtype, path in (torch.float64, "f64"), (torch.float32, "f32"):
                run(f, f"{name}/{path}", settings, init, torch.tensor(x), torch.tensor(lengths), torch.tensor(y), dtype)


if __name__ == "__main__":
    main()
