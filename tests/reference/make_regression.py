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
import math
import os

import h5py
import numpy as np
import torch
from torch import nn

STEPS, B, T = 10, 5, 9
CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
MODELS = {
    "rnn_last": dict(cell="rnn", layers=2, width=12, both=False, pooling="last"),
    "bigru_last": dict(cell="gru", layers=2, width=8, both=True, pooling="last"),
    "lstm_mean": dict(cell="lstm", layers=1, width=12, both=False, pooling="mean"),
    "birnn_attention": dict(cell="rnn", layers=1, width=8, both=True, pooling="attention", size=6),
    "transformer_mean": dict(cell="", layers=2, width=12, pre=True, pooling="mean"),
    "transformer_last": dict(cell="", layers=1, width=12, pre=False, pooling="last"),
    "transformer_attention": dict(cell="", layers=1, width=12, pre=True, pooling="attention", size=7),
}


def sinusoids(d):
    p, i = torch.arange(T, dtype=torch.float64)[:, None], torch.arange(d)
    angle = p / 10000 ** (2 * (i // 2).double() / d)
    return torch.where(i % 2 == 0, angle.sin(), angle.cos())


class Regressor(nn.Module):
    def __init__(self, cell, layers, width, pooling, both=False, pre=False, size=0):
        super().__init__()
        self.kind, self.both, self.pre = pooling, both, pre
        if cell:
            self.encoder = nn.ModuleDict({"rnn": CELLS[cell](2, width, layers, bidirectional=both, batch_first=True)})
        else:
            layer = lambda: nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, activation="relu", norm_first=pre, batch_first=True)
            parts = {"input": nn.Linear(2, width), "layers": nn.ModuleList(layer() for _ in range(layers))}
            self.encoder = nn.ModuleDict({**parts, "norm": nn.LayerNorm(width)} if pre else parts)
        d = width * (2 if both else 1)
        if pooling == "attention":
            self.pooling = nn.ModuleDict({"proj": nn.Linear(d, size), "v": nn.Linear(size, 1, bias=False)})
        self.head = nn.Linear(d, 1)

    def encode(self, x, lengths, valid):
        """States (B, T, D) and, of a recurrent encoder, its final state (B, D)."""
        if "rnn" in self.encoder:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            y, end = self.encoder["rnn"](packed)
            end = end[0] if isinstance(end, tuple) else end
            states, _ = nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=T)
            return states, torch.cat([end[-2], end[-1]], 1) if self.both else end[-1]
        h = self.encoder["input"](x) + sinusoids(self.head.in_features).to(x.dtype)
        for layer in self.encoder["layers"]:
            h = layer(h, src_key_padding_mask=~valid)
        return self.encoder["norm"](h) if self.pre else h, h[torch.arange(B), lengths - 1]

    def forward(self, x, lengths):
        valid = torch.arange(T)[None] < lengths[:, None]
        states, last = self.encode(x, lengths, valid)
        weights = None
        if self.kind == "last":
            r = last if not self.pre else states[torch.arange(B), lengths - 1]
        elif self.kind == "mean":
            r = (states * valid[..., None]).sum(1) / lengths[:, None]
        else:
            scores = self.pooling["v"](torch.tanh(self.pooling["proj"](states)))[..., 0]
            weights = scores.masked_fill(~valid, -math.inf).softmax(1)
            r = (weights[..., None] * states).sum(1)
        return self.head(r)[:, 0], r, weights


def run(f, path, settings, init, x, lengths, y, dtype):
    model = Regressor(**settings).to(dtype).train()
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
            init = {k: v.detach().clone() for k, v in Regressor(**settings).state_dict().items()}
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
