#!/usr/bin/python3
"""Transformer stacks and multi-head attention in PyTorch (1.13.1, Debian 12), float64: tests/reference/transformer.h5.

    /usr/bin/python3 tests/reference/make_transformer.py

The ablations (no scale, no norm, no shortcuts, a mask after the softmax) are no modules of PyTorch: Plain has the layers
written out, and is checked against the modules first.

Per case: /CASE/x, dy, y, dx (batch, positions, width), with a memory also memory, dmemory; lengths, memory_lengths (valid
positions; absent when all are valid); param/NAME and grad/NAME under PyTorch's names. Train mode with dropout 0: eval
mode's fast path treats padded rows otherwise. dy is random at padded positions, too.
"""
import os

import h5py
import torch
from torch import nn
from torch.nn import functional as F

B, T, S, D, H, FF, L = 3, 6, 5, 6, 2, 7, 2
ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh")}
CASES = {  # name: pre-norm, activation, causal, lengths, memory, memory lengths, final norm
    "pre_relu_causal": (True, "relu", True, None, False, None, True),
    "pre_gelu_padded": (True, "gelu", False, [6, 2, 4], False, None, True),
    "pre_gelu_tanh_causal_padded": (True, "gelu_tanh", True, [6, 1, 4], False, None, True),
    "post_relu_padded": (False, "relu", False, [3, 6, 4], False, None, False),
    "post_gelu_causal": (False, "gelu", True, None, False, None, True),
    "decoder_pre": (True, "relu", True, [6, 5, 2], True, [5, 1, 3], True),
    "decoder_post": (False, "gelu", True, None, True, [2, 5, 4], False),
}


ABLATIONS = {  # name: norm, shortcuts, scale, mask, memory, lengths, memory lengths
    "decoder_unscaled": ("pre", True, False, "before", True, [6, 5, 2], [5, 1, 3]),
    "encoder_unscaled_post": ("post", True, False, "none", False, [3, 6, 4], None),
    "decoder_no_norm": ("none", True, True, "before", True, None, [2, 5, 4]),
    "decoder_no_residual": ("pre", False, True, "before", True, [6, 5, 2], [5, 1, 3]),
    "encoder_no_residual_post": ("post", False, True, "none", False, [6, 2, 4], None),
    "mask_after": ("pre", True, True, "after", False, None, None),
    "mask_after_padded": ("post", True, False, "after", True, [6, 5, 2], [5, 1, 3]),
    "mask_none": ("pre", True, True, "none", False, [6, 5, 2], None),
    "nothing_but_attention": ("none", False, False, "before", False, None, None),
}


def padding(lengths, size):
    return None if lengths is None else torch.arange(size)[None, :] >= torch.tensor(lengths)[:, None]


def causal_mask(size):
    return torch.full((size, size), float("-inf"), dtype=torch.float64).triu(1)


def randomise(module):
    for p in module.parameters():
        p.data = torch.randn(p.shape) * 0.4
        if p.dim() == 1:
            p.data = p.data * 0.5 + (1 if p.shape[0] == D else 0)


def write(f, name, module, tensors, lengths):
    for key, value in tensors.items():
        f[f"{name}/{key}"] = value.detach().numpy()
    for key, value in lengths.items():
        if value is not None:
            f[f"{name}/{key}"] = value
    for key, p in module.named_parameters():
        f[f"{name}/param/{key}"] = p.detach().numpy()
        if p.grad is not None:
            f[f"{name}/grad/{key}"] = p.grad.numpy()


def stack(f, name, pre, activation, causal, lengths, with_memory, memory_lengths, final):
    kind = nn.TransformerDecoderLayer if with_memory else nn.TransformerEncoderLayer
    layer = kind(D, H, FF, dropout=0.0, activation=ACTIVATIONS[activation], batch_first=True, norm_first=pre)
    norm = nn.LayerNorm(D) if final else None
    if with_memory:
        module = nn.TransformerDecoder(layer, L, norm=norm)
    else:
        module = nn.TransformerEncoder(layer, L, norm=norm, enable_nested_tensor=False)
    module.train()
    randomise(module)
    x = torch.randn(B, T, D, requires_grad=True)
    memory = torch.randn(B, S, D, requires_grad=True)
    mask = causal_mask(T) if causal else None
    if with_memory:
        y = module(x, memory, tgt_mask=mask, tgt_key_padding_mask=padding(lengths, T),
                   memory_key_padding_mask=padding(memory_lengths, S))
    else:
        y = module(x, mask=mask, src_key_padding_mask=padding(lengths, T))
    dy = torch.randn(y.shape)
    y.backward(dy)
    tensors = {"x": x, "dy": dy, "y": y, "dx": x.grad}
    if with_memory:
        tensors.update(memory=memory, dmemory=memory.grad)
    write(f, name, module, tensors, {"lengths": lengths, "memory_lengths": memory_lengths})


def attention(f):
    module = nn.MultiheadAttention(D, H, batch_first=True)
    randomise(module)
    lengths = [6, 2, 4]
    x = torch.randn(B, T, D, requires_grad=True)
    y, _ = module(x, x, x, key_padding_mask=padding(lengths, T), attn_mask=causal_mask(T))
    dy = torch.randn(y.shape)
    y.backward(dy)
    write(f, "mha", module, {"x": x, "dy": dy, "y": y, "dx": x.grad}, {"lengths": lengths})


class Plain:
    """The layers of nn.TransformerEncoder or nn.TransformerDecoder (ReLU), on its parameters, with parts to leave out."""

    def __init__(self, module, norm, shortcuts, scale, mask):
        self.layers, self.final = module.layers, module.norm
        self.norm, self.shortcuts, self.scale, self.mask = norm, shortcuts, scale, mask

    def attend(self, part, x, source, lengths, mask):
        wq, wk, wv = part.in_proj_weight.chunk(3)
        bq, bk, bv = part.in_proj_bias.chunk(3)
        split = lambda z: z.view(z.shape[0], z.shape[1], H, D // H).transpose(1, 2)
        q, k, v = split(F.linear(x, wq, bq)), split(F.linear(source, wk, bk)), split(F.linear(source, wv, bv))
        score = q @ k.transpose(2, 3)
        if self.scale:
            score = score / (D // H) ** 0.5
        if lengths is not None:
            score = score.masked_fill(padding(lengths, source.shape[1])[:, None, None, :], float("-inf"))
        if mask == "before":
            score = score + causal_mask(T)
        weight = score.softmax(-1)
        if mask == "after":
            weight = weight * torch.ones(T, T).tril()
        return F.linear((weight @ v).transpose(1, 2).reshape(x.shape), part.out_proj.weight, part.out_proj.bias)

    def part(self, norm, x, f):
        y = f(norm(x) if self.norm == "pre" else x)
        if self.shortcuts:
            y = x + y
        return norm(y) if self.norm == "post" else y

    def __call__(self, x, memory, lengths, memory_lengths):
        for l in self.layers:
            norms = [l.norm1, l.norm2] + ([l.norm3] if memory is not None else [])
            x = self.part(norms.pop(0), x, lambda z: self.attend(l.self_attn, z, z, lengths, self.mask))
            if memory is not None:
                x = self.part(norms.pop(0), x, lambda z: self.attend(l.multihead_attn, z, memory, memory_lengths, "none"))
            x = self.part(norms.pop(0), x, lambda z: l.linear2(F.relu(l.linear1(z))))
        return self.final(x) if self.final is not None else x


def ablation(f, name, norm, shortcuts, scale, mask, with_memory, lengths, memory_lengths):
    kind = nn.TransformerDecoderLayer if with_memory else nn.TransformerEncoderLayer
    layer = kind(D, H, FF, dropout=0.0, activation=F.relu, batch_first=True, norm_first=norm == "pre")
    last = nn.LayerNorm(D) if norm == "pre" else None
    if with_memory:
        module = nn.TransformerDecoder(layer, L, norm=last)
    else:
        module = nn.TransformerEncoder(layer, L, norm=last, enable_nested_tensor=False)
    module.train()
    randomise(module)
    x = torch.randn(B, T, D, requires_grad=True)
    memory = torch.randn(B, S, D, requires_grad=True) if with_memory else None
    whole = Plain(module, "pre" if norm == "pre" else "post", True, True, "before")(x, memory, lengths, memory_lengths)
    pads = padding(lengths, T)
    if with_memory:
        same = module(x, memory, tgt_mask=causal_mask(T), tgt_key_padding_mask=pads,
                      memory_key_padding_mask=padding(memory_lengths, S))
    else:
        same = module(x, mask=causal_mask(T), src_key_padding_mask=pads)
    assert torch.allclose(whole, same, rtol=1e-12, atol=1e-12), name
    y = Plain(module, norm, shortcuts, scale, mask)(x, memory, lengths, memory_lengths)
    dy = torch.randn(y.shape)
    y.backward(dy)
    tensors = {"x": x, "dy": dy, "y": y, "dx": x.grad}
    if with_memory:
        tensors.update(memory=memory, dmemory=memory.grad)
    write(f, name, module, tensors, {"lengths": lengths, "memory_lengths": memory_lengths})


def main():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(1)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "transformer.h5")
    with h5py.File(path, "w", libver="latest", track_order=False) as f:
        for name, case in CASES.items():
            stack(f, name, *case)
        attention(f)
        for name, case in ABLATIONS.items():
            ablation(f, name, *case)


if __name__ == "__main__":
    main()
