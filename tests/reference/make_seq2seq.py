#!/usr/bin/python3
"""Ten training steps of four small translation models in PyTorch (1.13.1, Debian 12): tests/reference/seq2seq.h5.

    /usr/bin/python3 tests/reference/make_seq2seq.py

For MODEL in bahdanau_gru, bahdanau_lstm, luong, transformer (settings are attributes of the group):
    /MODEL/src, src_lengths        int32 (step, B, S), (step, B)
    /MODEL/input, target           int32 (step, B, T); target is -1 behind each row's end
    /MODEL/init/NAME               initial weights; exact in float32
    /MODEL/{f64,f32}/loss, norm    (step): mean cross-entropy in nats before the update; gradient norm before clipping
    /MODEL/f64/logits              (B, T, V) of the first step; positions without a target mean nothing
    /MODEL/f64/grad/NAME           gradient of the first step, not clipped
    /MODEL/f64/final/NAME          weights after the last step
bahdanau_gru is Bahdanau 2015, appendix A: GRUs whose reset gate comes before the product, first state tanh(W_s of the reverse
state at the first word), additive attention with query s_{i-1}, a cell that reads [E y; c], and a maxout of a linear map of
[s_{i-1}; E y_{i-1}; c_i]. PyTorch has neither cell nor attention: tools/pytorch_parts.py has them written out, row by row and step by step.
bahdanau_lstm: nn.LSTM in both directions, an LSTM on [E y; c], readout tanh(W [h; c] + b). luong: general scores, input
feeding, a = tanh(W [c; h]), first state the encoder's last. transformer: nn.Transformer, post-norm with its final norms,
sinusoidal positions, embeddings times sqrt(d), one matrix for both embeddings and the head; label smoothing 0.1.
"""
import math
import os
import sys

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from pytorch import Translator
from pytorch_parts import valid

STEPS, B, S, T, VS, VT = 10, 4, 7, 6, 13, 11
E, H, A, R = 8, 10, 9, 7


def translator(cell, attention, **settings):
    encoder = {"type": "rnn", "cell": cell, "gru_reset": "before", "num_layers": 1, "hidden_size": H, "bidirectional": attention["type"] == "bahdanau"}
    model = {"encoder": encoder, "decoder": {**encoder, "bidirectional": False}, "attention": attention, "embedding_dim": E, "readout_size": R,
             "tie_embeddings": "none", **settings}
    return Translator(model, VS, VT, S)


def bahdanau_gru():
    return translator("gru", {"type": "bahdanau", "size": A}, bridge="reverse", readout="maxout", head_bias=True)


def bahdanau_lstm():
    return translator("lstm", {"type": "bahdanau", "size": A}, bridge="dense", readout="tanh", head_bias=True)


def luong():
    attention = {"type": "luong", "score": "general", "input_feeding": True}
    return translator("lstm", attention, bridge="copy", readout="tanh", head_bias=False)


class Transformer(nn.Module):
    width = 12

    def __init__(self):
        super().__init__()
        self.transformer = nn.Transformer(self.width, 2, 2, 2, 20, dropout=0.0, batch_first=True)
        self.decoder = nn.ModuleDict({"embedding": nn.Embedding(VT, self.width)})
        angle = torch.arange(S, dtype=torch.float64)[:, None] / 10000 ** (torch.arange(0, self.width, 2, dtype=torch.float64) / self.width)
        self.positions = torch.stack([angle.sin(), angle.cos()], -1).reshape(S, self.width)

    def embed(self, ids):
        e = self.decoder["embedding"].weight
        return F.embedding(ids, e) * math.sqrt(self.width) + self.positions[:ids.shape[1]].to(e.dtype)

    def forward(self, src, lengths, y):
        future = torch.triu(torch.ones(T, T, dtype=torch.bool), 1)
        padding = ~valid(lengths, S)
        h = self.transformer(self.embed(src), self.embed(y), tgt_mask=future, src_key_padding_mask=padding, memory_key_padding_mask=padding)
        return h @ self.decoder["embedding"].weight.T


MODELS = {  # what makes it, label smoothing
    "bahdanau_gru": (bahdanau_gru, 0.0),
    "bahdanau_lstm": (bahdanau_lstm, 0.1),
    "luong": (luong, 0.0),
    "transformer": (Transformer, 0.1),
}


def run(f, path, make, smoothing, init, data, dtype):
    model = make().to(dtype).train()
    model.load_state_dict({k: v.to(dtype) for k, v in init.items()})
    o = torch.optim.Adam(model.parameters(), lr=1e-2)
    named = [(k.removeprefix("transformer."), p) for k, p in model.named_parameters()]
    loss_list, norm_list = [], []
    for t in range(STEPS):
        src, lengths, x, y = (v[t] for v in data)
        o.zero_grad()
        logits = model(src, lengths, x)
        loss = F.cross_entropy(logits.reshape(-1, VT), y.reshape(-1), ignore_index=-1, label_smoothing=smoothing)
        loss.backward()
        if t == 0 and dtype == torch.float64:
            f[f"{path}/logits"] = logits.detach().numpy()
            for k, p in named:
                f[f"{path}/grad/{k}"] = p.grad.numpy()
        norm_list.append(float(nn.utils.clip_grad_norm_(model.parameters(), 1.0)))
        loss_list.append(float(loss))
        o.step()
    f[f"{path}/loss"], f[f"{path}/norm"] = loss_list, norm_list
    for k, p in named if dtype == torch.float64 else ():
        f[f"{path}/final/{k}"] = p.detach().numpy()
    print(path, " ".join(f"{v:.4f}" for v in loss_list), "| norms", " ".join(f"{v:.2f}" for v in norm_list))


def batches(vocab):
    rng = np.random.default_rng(5)
    draw = lambda high, *shape: torch.tensor(rng.integers(0, high, size=shape))
    lengths, ends = draw(S, STEPS, B) + 1, draw(T, STEPS, B) + 1
    lengths[:, 0], ends[:, 1] = S, T
    target = draw(VT, STEPS, B, T)
    target[torch.arange(T)[None, None] >= ends[..., None]] = -1
    return draw(vocab, STEPS, B, S), lengths, draw(VT, STEPS, B, T), target


def main():
    torch.set_num_threads(1)
    out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seq2seq.h5")
    with h5py.File(out, "w", libver="latest") as f:
        for name, (make, smoothing) in MODELS.items():
            torch.manual_seed(11)
            init = {k: v.detach().clone() for k, v in make().state_dict().items()}
            if name == "transformer":  # PyTorch starts these at 1 and 0: make every weight count
                for k, v in init.items():
                    init[k] = v + 0.1 * torch.randn_like(v) if "norm" in k or "bias" in k else v
                init["decoder.embedding.weight"] = init["decoder.embedding.weight"] * 0.3
            data = batches(VT if name == "transformer" else VS)
            g = f.create_group(name)
            g.attrs.update(optimizer="adam", lr=1e-2, clip=1.0, label_smoothing=smoothing)
            for key, v in zip(("src", "src_lengths", "input", "target"), data):
                g[key] = v.numpy().astype(np.int32)
            for k, v in init.items():
                g[f"init/{k.removeprefix('transformer.')}"] = v.numpy()
            run(f, f"{name}/f64", make, smoothing, init, data, torch.float64)
            run(f, f"{name}/f32", make, smoothing, init, data, torch.float32)


if __name__ == "__main__":
    main()
