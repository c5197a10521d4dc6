#!/usr/bin/python3
"""Ten training steps of two small language models in PyTorch (1.13.1, Debian 12): tests/reference/lm.h5.

    /usr/bin/python3 tests/reference/make_lm.py

For MODEL in lstm, gpt (settings are attributes of the group):
    /MODEL/input, /MODEL/target    int32 (step, B, T)
    /MODEL/init/NAME               initial weights; exact in float32
    /MODEL/{f64,f32}/loss, norm    (step): mean cross-entropy in nats before the update; gradient norm before clipping
    /MODEL/f64/grad/NAME           gradient of the first step, not clipped
    /MODEL/f64/final/NAME          weights after the last step
The LSTM's state is zero at the start of every batch. The GPT is pre-norm with a causal mask, GELU with erf, learned
positions, a norm after the last layer, and logits = h @ embedding.T.
"""
import os
import sys

import h5py
import numpy as np
import torch
from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from pytorch import LanguageModel

STEPS, V, T, B = 10, 11, 12, 4


def lstm():
    decoder = {"type": "rnn", "cell": "lstm", "num_layers": 2, "hidden_size": 16}
    return LanguageModel({"decoder": decoder, "embedding_dim": 8, "tie_embeddings": False, "head_bias": True}, V, T)


def gpt():
    decoder = {"type": "transformer", "norm": "pre", "activation": "gelu", "num_layers": 2, "num_heads": 2, "hidden_size": 16, "ff_size": 64}
    return LanguageModel({"decoder": decoder, "embedding_dim": 16, "position": "learned", "tie_embeddings": True, "head_bias": False}, V, T)


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)


def adamw_matrices(model):
    p = list(model.parameters())
    return torch.optim.AdamW([{"params": [q for q in p if q.dim() >= 2], "weight_decay": 0.1},
                              {"params": [q for q in p if q.dim() < 2], "weight_decay": 0.0}], lr=1e-2)


MODELS = {
    "lstm": (lstm, adam, dict(vocab=V, embedding=8, hidden=16, layers=2, optimizer="adam", lr=1e-2, weight_decay=0.0, clip=1.0)),
    "gpt": (gpt, adamw_matrices, dict(vocab=V, width=16, heads=2, ff=64, layers=2, optimizer="adamw", lr=1e-2, weight_decay=0.1, clip=1.0)),
}


def run(f, path, make, optimiser, init, x, y, dtype, clip):
    model = make().to(dtype).train()
    model.load_state_dict({k: v.to(dtype) for k, v in init.items()})
    o = optimiser(model)
    loss_list, norm_list = [], []
    for t in range(STEPS):
        o.zero_grad()
        loss = nn.functional.cross_entropy(model(x[t])[0].reshape(-1, V), y[t].reshape(-1))
        loss.backward()
        if t == 0 and dtype == torch.float64:
            for k, p in model.named_parameters():
                f[f"{path}/grad/{k}"] = p.grad.numpy()
        norm_list.append(float(nn.utils.clip_grad_norm_(model.parameters(), clip)))
        loss_list.append(float(loss))
        o.step()
    f[f"{path}/loss"], f[f"{path}/norm"] = loss_list, norm_list
    for k, p in model.named_parameters() if dtype == torch.float64 else ():
        f[f"{path}/final/{k}"] = p.detach().numpy()
    print(path, " ".join(f"{v:.4f}" for v in loss_list), "| norms", " ".join(f"{v:.2f}" for v in norm_list))


def main():
    torch.set_num_threads(1)
    out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lm.h5")
    with h5py.File(out, "w", libver="latest") as f:
        for name, (make, optimiser, settings) in MODELS.items():
            torch.manual_seed(11)
            init = {k: v.detach().clone() for k, v in make().state_dict().items()}
            if name == "gpt":  # PyTorch starts these at 1 and 0: make every weight count
                for k, v in init.items():
                    init[k] = v + 0.1 * torch.randn_like(v) if "norm" in k or "bias" in k else v
                for k in ("decoder.embedding.weight", "decoder.position.weight"):
                    init[k] = init[k] * 0.3
            rng = np.random.default_rng(5)
            tokens = rng.integers(0, V, size=(STEPS, B, T + 1))
            x, y = torch.tensor(tokens[:, :, :-1]), torch.tensor(tokens[:, :, 1:])
            g = f.create_group(name)
            for k, v in settings.items():
                g.attrs[k] = v
            g["input"], g["target"] = x.numpy().astype(np.int32), y.numpy().astype(np.int32)
            for k, v in init.items():
                g[f"init/{k}"] = v.numpy()
            run(f, f"{name}/f64", make, optimiser, init, x, y, torch.float64, settings["clip"])
            run(f, f"{name}/f32", make, optimiser, init, x, y, torch.float32, settings["clip"])


if __name__ == "__main__":
    main()
