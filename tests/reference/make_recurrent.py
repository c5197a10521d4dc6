#!/usr/bin/python3
"""Recurrent networks in PyTorch (1.13, Debian 12), float64: tests/reference/recurrent.h5.

    /usr/bin/python3 tests/reference/make_recurrent.py

For each CASE (its settings are attributes of the group):
    /CASE/x (T, B, I), lengths (B), h0, c0 (layers * directions, B, H)
    /CASE/param/NAME               weights under PyTorch's names
    /CASE/y, hn, cn                outputs
    /CASE/wy, whn, wcn             loss = sum(wy y) + sum(whn hn) + sum(wcn cn)
    /CASE/grad/NAME                gradients of the loss: parameters, x, h0, c0
c0, cn and wcn are there for an LSTM only. gru_before is Cho's form (reset before the product), written out below, since
PyTorch has only the other. Ragged cases go through pack_padded_sequence.
"""
import os

import h5py
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

T, B, I, H = 6, 4, 5, 7
torch.set_default_dtype(torch.float64)


class GruBefore(nn.GRU):
    """One layer, one direction, over the whole batch."""

    def forward(self, x, h):
        w, u, b, d = self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0
        h, y = h[0], []
        for step in x:
            a = step @ w.T + b + d
            r = torch.sigmoid(a[:, :H] + h @ u[:H].T)
            z = torch.sigmoid(a[:, H:2 * H] + h @ u[H:2 * H].T)
            n = torch.tanh(a[:, 2 * H:] + (r * h) @ u[2 * H:].T)
            h = (1 - z) * n + z * h
            y.append(h)
        return torch.stack(y), h[None]


# name: class, arguments, lengths
CASES = {
    "rnn_tanh": (nn.RNN, {}, None),
    "rnn_relu": (nn.RNN, {"nonlinearity": "relu"}, None),
    "lstm": (nn.LSTM, {}, None),
    "lstm_no_bias": (nn.LSTM, {"bias": False}, None),
    "gru": (nn.GRU, {}, None),
    "gru_before": (GruBefore, {}, None),
    "lstm_stacked_bidirectional_ragged": (nn.LSTM, {"num_layers": 2, "bidirectional": True}, [3, 6, 1, 4]),
    "gru_stacked_bidirectional_ragged": (nn.GRU, {"num_layers": 2, "bidirectional": True}, [3, 6, 1, 4]),
}


def write(group, name, make, args, lengths):
    torch.manual_seed(sum(map(ord, name)))
    net = make(I, H, **args)
    for p in net.parameters():
        nn.init.uniform_(p, -0.6, 0.6)
    states = args.get("num_layers", 1) * (2 if args.get("bidirectional") else 1)
    leaf = {"x": torch.randn(T, B, I, requires_grad=True), "h0": torch.randn(states, B, H, requires_grad=True)}
    if make is nn.LSTM:
        leaf["c0"] = torch.randn(states, B, H, requires_grad=True)
    state = (leaf["h0"], leaf["c0"]) if make is nn.LSTM else leaf["h0"]
    if lengths:
        y, last = net(pack_padded_sequence(leaf["x"], lengths, enforce_sorted=False), state)
        y, _ = pad_packed_sequence(y, total_length=T)
    else:
        y, last = net(leaf["x"], state)
    out = {"y": y, "hn": last[0], "cn": last[1]} if make is nn.LSTM else {"y": y, "hn": last}
    weight = {k: torch.randn(v.shape) for k, v in out.items()}
    sum((out[k] * weight[k]).sum() for k in out).backward()

    g = group.create_group(name)
    g.attrs["torch"] = str(torch.__version__)
    for k, v in args.items():
        g.attrs[k] = v
    g["lengths"] = lengths or [T] * B
    for k, v in leaf.items():
        g[k] = v.detach().numpy()
        g["grad/" + k] = v.grad.numpy()
    for k, v in net.named_parameters():
        g["param/" + k] = v.detach().numpy()
        g["grad/" + k] = v.grad.numpy()
    for k, v in out.items():
        g[k] = v.detach().numpy()
        g["w" + k] = weight[k].numpy()


with h5py.File(os.path.join(os.path.dirname(os.path.abspath(__file__)), "recurrent.h5"), "w") as f:
    for name, case in CASES.items():
        write(f, name, *case)
