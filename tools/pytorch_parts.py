"""What a model of ravel's is made of, in plain PyTorch, under the names that its checkpoints have.

A batch comes first everywhere. Nothing drops out: the classes are there to read a trained model with; to train one
further, put nn.Dropout where model.dropout asks for it. Where PyTorch has the part it is taken; what is written out here
are the GRU that resets before the product [Cho 2014] and the attention of Bahdanau (2015) and Luong (2015).
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh")}


def valid(lengths, size):
    """(B, size): which positions a sentence has."""
    return torch.arange(size)[None] < lengths[:, None]


def future(n):
    """(n, n): what a position must not see."""
    return torch.triu(torch.ones(n, n, dtype=torch.bool), 1)


# ---- recurrence


class GruResetBefore(nn.Module):
    """nn.GRU but n = tanh(W x + b + U (r h') + b'). The state is (layers times directions, B, H)."""

    def __init__(self, n_in, hidden, layers=1, directions=1):
        super().__init__()
        self.hidden, self.num_layers, self.directions = hidden, layers, directions
        for name in self.tails():
            size = n_in if name.startswith("l0") else hidden * directions
            shapes = {"weight_ih": (3 * hidden, size), "weight_hh": (3 * hidden, hidden),
                      "bias_ih": (3 * hidden,), "bias_hh": (3 * hidden,)}
            for part, shape in shapes.items():
                self.register_parameter(f"{part}_{name}", nn.Parameter(torch.empty(shape).uniform_(-0.3, 0.3)))

    def tails(self):
        return [f"l{i}{tail}" for i in range(self.num_layers) for tail in ("", "_reverse")[:self.directions]]

    def cell(self, x, h, name):
        get = lambda part: getattr(self, f"{part}_{name}")
        n = self.hidden
        wx, u, b = F.linear(x, get("weight_ih"), get("bias_ih")), get("weight_hh"), get("bias_hh")
        r = torch.sigmoid(wx[:, :n] + F.linear(h, u[:n], b[:n]))
        z = torch.sigmoid(wx[:, n:2 * n] + F.linear(h, u[n:2 * n], b[n:2 * n]))
        new = torch.tanh(wx[:, 2 * n:] + F.linear(r * h, u[2 * n:], b[2 * n:]))
        return (1 - z) * new + z * h

    def walk(self, x, h, name):
        out = []
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h, name)
            out.append(h)
        return torch.stack(out, 1)

    def forward(self, x, state=None):
        """Rows without padding: x (B, T, I) and state or None -> (B, T, H times directions), state."""
        names, last = self.tails(), []
        if state is None:
            state = x.new_zeros(len(names), x.shape[0], self.hidden)
        for layer in range(self.num_layers):
            out = []
            for d in range(self.directions):
                k = layer * self.directions + d
                y = self.walk(x.flip(1) if d else x, state[k], names[k])
                last.append(y[:, -1])
                out.append(y.flip(1) if d else y)
            x = torch.cat(out, -1)
        return x, torch.stack(last)


def recurrent(part, n_in, directions=1):
    """The layers that a section of the experiment (model.encoder, model.decoder) describes."""
    hidden, layers = int(part["hidden_size"]), int(part["num_layers"])
    if part["cell"] == "gru" and part.get("gru_reset") == "before":
        return GruResetBefore(n_in, hidden, layers, directions)
    kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[part["cell"]]
    more = {"nonlinearity": part.get("nonlinearity", "tanh")} if part["cell"] == "rnn" else {}
    return kind(n_in, hidden, layers, batch_first=True, bidirectional=directions == 2, **more)


def read_all(rnn, x, lengths):
    """Sentences of several lengths: states (B, S, D), 0 behind a sentence's end, and the last states h, or (h, c)."""
    if isinstance(rnn, GruResetBefore):
        rows = [rnn(x[b:b + 1, :n]) for b, n in enumerate(lengths)]
        states = x.new_zeros(x.shape[0], x.shape[1], rows[0][0].shape[-1])
        for b, n in enumerate(lengths):
            states[b, :n] = rows[b][0][0]
        return states, torch.cat([h for _, h in rows], 1)
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    out, last = rnn(packed)
    return nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])[0], last


# ---- words as letters, and chains of tags


class LetterLstm(nn.Module):
    """Both ends of a bidirectional LSTM over a word's letters."""

    def __init__(self, alphabet, part):
        super().__init__()
        width, self.size = int(part["embedding_dim"]), 2 * int(part["hidden_size"])
        self.embedding = nn.Embedding(alphabet, width)
        self.rnn = nn.LSTM(width, int(part["hidden_size"]), batch_first=True, bidirectional=True)

    def forward(self, letters, lengths):
        """(n, L), (n) -> (n, size)"""
        end = read_all(self.rnn, self.embedding(letters), lengths)[1][0]
        return torch.cat([end[0], end[1]], -1)


class LetterCnn(nn.Module):
    """Filters over three letters, and of each the largest over the word."""

    def __init__(self, alphabet, part):
        super().__init__()
        width, self.size = int(part["embedding_dim"]), int(part["hidden_size"])
        self.embedding = nn.Embedding(alphabet, width)
        self.conv = nn.Conv1d(width, self.size, 3, padding=1)

    def forward(self, letters, lengths):
        there = valid(lengths, letters.shape[1])
        y = self.conv((self.embedding(letters) * there[..., None]).transpose(1, 2))
        return y.masked_fill(~there[:, None], -math.inf).amax(-1)


def follows(names, scheme):
    """Which tag may stand behind which, (K + 1, K + 1), the last being outside of the sentence; scheme: 0 none, 1 BIO,
    2 IOB1, 3 BIOES (lib/evaluate/spans.h)."""
    tags = [("EIS"["LIU".find(n[0])] if n[0] in "LU" else n[0], n[2:]) for n in names] + [("O", "")]

    def may(a, b):
        (p, of), (q, to) = a, b
        if scheme == 3:
            return q in "IE" and of == to if p in "BI" else q not in "IE"
        return q != {0: None, 1: "I", 2: "B"}[scheme] or of == to

    return torch.tensor([[may(a, b) for b in tags] for a in tags])


def chain_nats(z, lengths, y, start, step, stop):
    """-log p of each row's tags y (B, T) among all taggings: emissions z (B, T, K), steps (K, K) [from, to]."""
    at = torch.arange(len(z))
    forward, gold = start + z[:, 0], start[y[:, 0]] + z[at, 0, y[:, 0]]
    for t in range(1, z.shape[1]):
        on, before, now = t < lengths, y[:, t - 1].clamp(min=0), y[:, t].clamp(min=0)
        forward = torch.where(on[:, None], torch.logsumexp(forward[:, :, None] + step, 1) + z[:, t], forward)
        gold = torch.where(on, gold + step[before, now] + z[at, t, now], gold)
    return torch.logsumexp(forward + stop, -1) - gold - stop[y[at, lengths - 1]]


# ---- the transformer


def sinusoids(positions, width):
    """[Vaswani 2017, 3.5] (positions, width) in double."""
    p, i = torch.arange(positions, dtype=torch.float64)[:, None], torch.arange(width)
    angle = p / 10000 ** (2 * (i // 2).double() / width)
    return torch.where(i % 2 == 0, angle.sin(), angle.cos())


def add_positions(x, kind, layers):
    """layers["position"] is the nn.Embedding of learned ones."""
    if kind == "learned":
        return x + layers["position"](torch.arange(x.shape[1]))
    return x + sinusoids(x.shape[1], x.shape[2]).to(x.dtype) if kind == "sinusoidal" else x


def transformer(part, cross=False):
    """Layers and final norm, as nn.ModuleDict takes them. They stay in training mode, without dropout: in evaluation mode
    PyTorch takes another way through a layer, which treats padding otherwise."""
    width, pre = int(part["hidden_size"]), part["norm"] == "pre"
    kind = nn.TransformerDecoderLayer if cross else nn.TransformerEncoderLayer
    layer = lambda: kind(width, int(part["num_heads"]), int(part["ff_size"]), dropout=0.0, norm_first=pre,
                         activation=ACTIVATIONS[part["activation"]], batch_first=True)
    layers = {"layers": nn.ModuleList(layer() for _ in range(int(part["num_layers"])))}
    return {**layers, "norm": nn.LayerNorm(width)} if pre else layers


def run_layers(parts, x, *memory, **masks):
    for layer in parts["layers"]:
        x = layer(x, *memory, **masks)
    return parts["norm"](x) if "norm" in parts else x


# ---- attention of a recurrent decoder: query (B, H), memory (B, S, D), mask (B, S) -> (B, D)


def attend(scores, memory, mask):
    weights = torch.softmax(scores.masked_fill(~mask, float("-inf")), -1)
    return (weights[:, :, None] * memory).sum(1)


class Additive(nn.Module):
    """v tanh(W q + U m)"""

    def __init__(self, hidden, memory, size):
        super().__init__()
        self.query, self.key = nn.Linear(hidden, size, bias=False), nn.Linear(memory, size, bias=False)
        self.v = nn.Parameter(torch.empty(size).uniform_(-0.5, 0.5))

    def forward(self, query, memory, mask):
        return attend(torch.tanh(self.query(query)[:, None] + self.key(memory)) @ self.v, memory, mask)


class General(nn.Module):
    """q W m"""

    def __init__(self, hidden, memory):
        super().__init__()
        self.key = nn.Linear(memory, hidden, bias=False)

    def forward(self, query, memory, mask):
        return attend((self.key(memory) @ query[:, :, None])[:, :, 0], memory, mask)


class Dot(nn.Module):
    """q m"""

    def forward(self, query, memory, mask):
        return attend((memory @ query[:, :, None])[:, :, 0], memory, mask)


def attention(settings, hidden, memory):
    """Of the section model.attention."""
    if settings["type"] == "bahdanau" or settings["score"] == "concat":
        return Additive(hidden, memory, int(settings["size"]))
    return General(hidden, memory) if settings["score"] == "general" else Dot()
