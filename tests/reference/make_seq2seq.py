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
[s_{i-1}; E y_{i-1}; c_i]. PyTorch has neither cell nor attention: they are written out here, row by row and step by step.
bahdanau_lstm: nn.LSTM in both directions, an LSTM on [E y; c], readout tanh(W [h; c] + b). luong: general scores, input
feeding, a = tanh(W [c; h]), first state the encoder's last. transformer: nn.Transformer, post-norm with its final norms,
sinusoidal positions, embeddings times sqrt(d), one matrix for both embeddings and the head; label smoothing 0.1.
"""
import math
import os

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

STEPS, B, S, T, VS, VT = 10, 4, 7, 6, 13, 11
E, H, A, R = 8, 10, 9, 7


def linear(n_in, n_out, bias):
    return nn.Linear(n_in, n_out, bias=bias)


class Gru(nn.Module):
    """One GRU layer in one or two directions: n = tanh(W x + b + U (r h') + b'), h = (1 - z) n + z h'."""

    def __init__(self, n_in, hidden, directions):
        super().__init__()
        self.hidden = hidden
        for d in range(directions):
            tail = "_reverse" if d else ""
            for name, shape in (("weight_ih", (3 * hidden, n_in)), ("weight_hh", (3 * hidden, hidden)), ("bias_ih", (3 * hidden,)),
                                ("bias_hh", (3 * hidden,))):
                self.register_parameter(f"{name}_l0{tail}", nn.Parameter(torch.empty(shape).uniform_(-0.3, 0.3)))

    def step(self, x, h, tail=""):
        get = lambda name: getattr(self, f"{name}_l0{tail}")
        n = self.hidden
        wx, u, b = F.linear(x, get("weight_ih"), get("bias_ih")), get("weight_hh"), get("bias_hh")
        r = torch.sigmoid(wx[:, :n] + F.linear(h, u[:n], b[:n]))
        z = torch.sigmoid(wx[:, n:2 * n] + F.linear(h, u[n:2 * n], b[n:2 * n]))
        new = torch.tanh(wx[:, 2 * n:] + F.linear(r * h, u[2 * n:], b[2 * n:]))
        return (1 - z) * new + z * h

    def walk(self, x, tail):
        """x (1, n, E) of one sentence, in the direction's order."""
        h, out = torch.zeros(1, self.hidden, dtype=x.dtype), []
        for i in range(x.shape[1]):
            h = self.step(x[:, i], h, tail)
            out.append(h)
        return torch.stack(out, 1)


class Additive(nn.Module):
    def __init__(self, memory):
        super().__init__()
        self.query, self.key = linear(H, A, False), linear(memory, A, False)
        self.v = nn.Parameter(torch.empty(A).uniform_(-0.5, 0.5))

    def forward(self, query, memory, mask):
        return attend(torch.tanh(self.query(query)[:, None] + self.key(memory)) @ self.v, memory, mask)


class General(nn.Module):
    def __init__(self, memory):
        super().__init__()
        self.key = linear(memory, H, False)

    def forward(self, query, memory, mask):
        return attend((self.key(memory) @ query[:, :, None])[:, :, 0], memory, mask)


def attend(scores, memory, mask):
    weights = torch.softmax(scores.masked_fill(~mask, float("-inf")), -1)
    return (weights[:, :, None] * memory).sum(1)


def valid(lengths):
    return torch.arange(S)[None] < lengths[:, None]


class BahdanauGru(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.ModuleDict({"embedding": nn.Embedding(VS, E), "rnn": Gru(E, H, 2)})
        self.decoder = nn.ModuleDict({"embedding": nn.Embedding(VT, E), "attention": Additive(2 * H), "rnn": Gru(E + 2 * H, H, 1),
                                      "bridge": nn.ModuleDict({"l0": linear(H, H, False)}), "readout": linear(H + E + 2 * H, 2 * R, True)})
        self.head = linear(R, VT, True)

    def forward(self, src, lengths, y):
        x, rnn = self.encoder["embedding"](src), self.encoder["rnn"]
        memory, first = torch.zeros(B, S, 2 * H, dtype=x.dtype), []
        for b, n in enumerate(lengths):
            back = rnn.walk(x[b:b + 1, :n].flip(1), "_reverse").flip(1)
            memory[b, :n] = torch.cat([rnn.walk(x[b:b + 1, :n], ""), back], -1)[0]
            first.append(back[0, 0])
        d = self.decoder
        s, words, out = torch.tanh(d["bridge"]["l0"](torch.stack(first))), d["embedding"](y), []
        for i in range(T):
            c = d["attention"](s, memory, valid(lengths))
            out.append(d["readout"](torch.cat([s, words[:, i], c], -1)).reshape(B, R, 2).max(-1).values)
            s = d["rnn"].step(torch.cat([words[:, i], c], -1), s)
        return self.head(torch.stack(out, 1))


def packed(rnn, x, lengths):
    out, last = rnn(nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    return nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=S)[0], last


def lstm_step(rnn, x, state):
    """One step of an nn.LSTM of one layer, batch second."""
    out, state = rnn(x[None], state)
    return out[0], state


class BahdanauLstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.ModuleDict({"embedding": nn.Embedding(VS, E), "rnn": nn.LSTM(E, H, bidirectional=True, batch_first=True)})
        self.decoder = nn.ModuleDict({"embedding": nn.Embedding(VT, E), "attention": Additive(2 * H), "rnn": nn.LSTM(E + 2 * H, H),
                                      "bridge": nn.ModuleDict({"l0": linear(2 * H, H, True)}), "readout": linear(H + 2 * H, R, True)})
        self.head = linear(R, VT, True)

    def forward(self, src, lengths, y):
        memory, (last, _) = packed(self.encoder["rnn"], self.encoder["embedding"](src), lengths)
        d = self.decoder
        h = torch.tanh(d["bridge"]["l0"](torch.cat([last[0], last[1]], -1)))
        state, words, out = (h[None], torch.zeros_like(h)[None]), d["embedding"](y), []
        for i in range(T):
            c = d["attention"](h, memory, valid(lengths))
            h, state = lstm_step(d["rnn"], torch.cat([words[:, i], c], -1), state)
            out.append(torch.tanh(d["readout"](torch.cat([h, c], -1))))
        return self.head(torch.stack(out, 1))


class Luong(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.ModuleDict({"embedding": nn.Embedding(VS, E), "rnn": nn.LSTM(E, H, batch_first=True)})
        self.decoder = nn.ModuleDict({"embedding": nn.Embedding(VT, E), "attention": General(H), "rnn": nn.LSTM(E + R, H),
                                      "readout": linear(2 * H, R, False)})
        self.head = linear(R, VT, False)

    def forward(self, src, lengths, y):
        memory, state = packed(self.encoder["rnn"], self.encoder["embedding"](src), lengths)
        d = self.decoder
        words, out, a = d["embedding"](y), [], torch.zeros(B, R, dtype=memory.dtype)
        for i in range(T):
            h, state = lstm_step(d["rnn"], torch.cat([words[:, i], a], -1), state)
            a = torch.tanh(d["readout"](torch.cat([d["attention"](h, memory, valid(lengths)), h], -1)))
            out.append(a)
        return self.head(torch.stack(out, 1))


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
        padding = ~valid(lengths)
        h = self.transformer(self.embed(src), self.embed(y), tgt_mask=future, src_key_padding_mask=padding, memory_key_padding_mask=padding)
        return h @ self.decoder["embedding"].weight.T


MODELS = {  # class, label smoothing
    "bahdanau_gru": (BahdanauGru, 0.0),
    "bahdanau_lstm": (BahdanauLstm, 0.1),
    "luong": (Luong, 0.0),
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
