#!/usr/bin/python3
"""Words as embeddings, letters and shapes in PyTorch (1.13.1, Debian 12): tests/reference/letters.h5.

    /usr/bin/python3 tests/reference/make_letters.py

For MODEL in MODELS below, in float64:
    /ids, /which                   int32 (B, T) the word at each position, as its id and as one of the n different words
    /lengths                       int32 (B), ragged
    /letters, /word_lengths        int32 (n, L), (n), ragged
    /shape                         int32 (n)
    /MODEL/dy                      (B, T, width) gradient of the output, 0 behind a row's length
    /MODEL/output                  (B, T, width) [embedding; letters; shape], or its map
    /MODEL/init/NAME, grad/NAME    weights, exact in float32, and their gradients
Letters: nn.LSTM in two directions over packed letters, its final states side by side; or nn.Conv1d(padding=1) over
letters that are 0 behind a word's end, and the maximum over the letters that are there.
"""
import os

import h5py
import numpy as np
import torch
from torch import nn

B, T, N, L, VOCAB, ALPHABET, SHAPES = 3, 6, 9, 7, 11, 13, 6
MODELS = {
    "lstm": dict(kind="lstm", size=5, shape=2, scale=False, width=0),
    "cnn": dict(kind="cnn", size=8, shape=3, scale=True, width=0),
    "lstm_map": dict(kind="lstm", size=4, shape=2, scale=True, width=6),
    "cnn_map": dict(kind="cnn", size=7, shape=0, scale=False, width=6),
}
E, LETTER = 6, 4  # widths of the embeddings of words and letters


class Letters(nn.Module):
    def __init__(self, kind, size):
        super().__init__()
        self.embedding = nn.Embedding(ALPHABET, LETTER)
        if kind == "lstm":
            self.rnn = nn.LSTM(LETTER, size, batch_first=True, bidirectional=True)
        else:
            self.conv = nn.Conv1d(LETTER, size, 3, padding=1)

    def forward(self, letters, lengths):
        x = self.embedding(letters)
        if hasattr(self, "rnn"):
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            return torch.cat(tuple(self.rnn(packed)[1][0]), -1)
        there = torch.arange(L)[None] < lengths[:, None]
        y = self.conv((x * there[:, :, None]).transpose(1, 2))
        return y.masked_fill(~there[:, None], -np.inf).max(-1).values


class Input(nn.Module):
    def __init__(self, kind, size, shape, scale, width):
        super().__init__()
        self.embedding, self.letters = nn.Embedding(VOCAB, E), Letters(kind, size)
        self.scale = E**0.5 if scale else 1
        if shape:
            self.shape = nn.Embedding(SHAPES, shape)
        if width:
            self.input = nn.Linear(E + (2 * size if kind == "lstm" else size) + shape, width)

    def forward(self, ids, which, letters, word_lengths, shape):
        parts = [self.embedding(ids) * self.scale, self.letters(letters, word_lengths)[which]]
        if hasattr(self, "shape"):
            parts.append(self.shape(shape[which]))
        x = torch.cat(parts, -1)
        return self.input(x) if hasattr(self, "input") else x


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(3)
    lengths, word_lengths = np.array([T, 2, 4]), rng.integers(1, L + 1, N)
    word_lengths[:2] = L, 1
    data = {
        "ids": rng.integers(0, VOCAB, (B, T)),
        "which": rng.integers(0, N, (B, T)),
        "letters": rng.integers(0, ALPHABET, (N, L)),
        "word_lengths": word_lengths,
        "shape": rng.integers(0, SHAPES, N),
    }
    out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "letters.h5")
    with h5py.File(out, "w", libver="latest") as f:
        f["lengths"] = lengths.astype(np.int32)
        for k, v in data.items():
            f[k] = v.astype(np.int32)
        for name, settings in MODELS.items():
            torch.manual_seed(11)
            model = Input(**settings)
            for k, v in model.state_dict().items():
                f[f"{name}/init/encoder.{k}"] = v.numpy()
            model.double()
            y = model(**{k: torch.tensor(v) for k, v in data.items()})
            dy = rng.standard_normal(y.shape) * (np.arange(T)[None] < lengths[:, None])[:, :, None]
            y.backward(torch.tensor(dy))
            f[f"{name}/dy"], f[f"{name}/output"] = dy, y.detach().numpy()
            for k, p in model.named_parameters():
                f[f"{name}/grad/encoder.{k}"] = p.grad.numpy()
            print(name, tuple(y.shape), float(y.detach().abs().mean()))


if __name__ == "__main__":
    main()
