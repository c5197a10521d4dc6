#!/usr/bin/env python3
"""PyTorch as ravel's peer on the fixed workloads: the same work, at its best settings.

    peer.py WORKLOAD [--threads N] [--steps N] [--warmup N] [--tiny] [--serve]

One step: zero gradients, forward, mean cross-entropy over predicted tokens, backward, clipping to norm 1, Adam; float32;
random tokens of fixed length; recurrent state zero at the start of a batch. Prints one JSON object:
{"ms": median, "ms_all": [...], "loss", "tokens", "params", ...}.

--serve is for measuring in alternation with another program: after {"ready": true} each line on standard input is a
number of steps to run (none or "quit" ends), and each answer is one JSON object with the times of those steps.

The process restarts itself once with the environment that is best for PyTorch: OpenBLAS 0.3.21 (Debian 12) does not
know recent AVX-512 CPUs and must be told, and the allocator is asked to keep freed memory.
"""
import argparse
import ctypes
import json
import os
import platform
import resource
import statistics
import sys
import time

WORKLOADS = {
    "rnn_lm": dict(kind="recurrent", cell="RNN", vocab=10000, embed=256, hidden=256, layers=1, T=64, B=32),
    "lstm_lm": dict(kind="recurrent", cell="LSTM", vocab=10000, embed=256, hidden=512, layers=2, T=64, B=32),
    "gru_lm": dict(kind="recurrent", cell="GRU", vocab=10000, embed=256, hidden=512, layers=2, T=64, B=32),
    "charlstm": dict(kind="recurrent", cell="LSTM", vocab=65, embed=64, hidden=256, layers=2, T=128, B=32),
    "gpt_char": dict(kind="gpt", vocab=65, width=384, heads=6, layers=6, T=256, B=8),
}
TINY = dict(vocab=64, embed=32, hidden=32, width=32, heads=4, T=8, B=4)  # the cost of dispatch, not of arithmetic


def arguments():
    p = argparse.ArgumentParser(description="Time PyTorch on one of ravel's fixed workloads.", epilog="example: peer.py lstm_lm --threads 2")
    p.add_argument("workload", choices=WORKLOADS)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--steps", type=int, default=10)
    p.add_argument("--warmup", type=int, default=3)
    p.add_argument("--tiny", action="store_true", help="the same model at width 32")
    p.add_argument("--serve", action="store_true", help="run as many steps as each line of standard input says")
    return p.parse_args()


def openblas_version():
    """The version of the OpenBLAS that the dynamic linker would choose, or None."""
    for name in ("libopenblas.so.0", "libblas.so.3"):
        try:
            config = ctypes.CDLL(name).openblas_get_config
        except (OSError, AttributeError):
            continue
        config.restype = ctypes.c_char_p
        words = config().decode().split()
        return words[1] if len(words) > 1 else None
    return None


def best_environment(threads):
    env = {
        "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads),
        # Keep freed memory: activations are the same size every step, and giving pages back costs more than it saves.
        "MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "8000000000", "MALLOC_TOP_PAD_": "67108864",
    }
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        avx512 = " avx512f" in f.read()
    if avx512 and openblas_version() == "0.3.21":
        env["OPENBLAS_CORETYPE"] = "SkylakeX"
    return env


def restart_with(env):
    if os.environ.get("RAVEL_PEER_READY") == "1":
        return
    os.environ.update(env, RAVEL_PEER_READY="1")
    os.execv(sys.executable, [sys.executable] + sys.argv)


def make_model(torch, c):
    nn = torch.nn

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(c["vocab"], c["embed"])
            self.rnn = getattr(nn, c["cell"])(c["embed"], c["hidden"], c["layers"])
            self.out = nn.Linear(c["hidden"], c["vocab"])

        def forward(self, tokens):
            states, _ = self.rnn(self.embedding(tokens.t()))  # time first is the faster layout
            return self.out(states).transpose(0, 1)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            d = c["width"]
            self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
            self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
            self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

        def forward(self, x, future):
            batch, time_, d = x.shape
            heads = lambda t: t.view(batch, time_, c["heads"], -1).transpose(1, 2)
            q, k, v = (heads(t) for t in self.qkv(self.norm1(x)).split(d, dim=2))
            if hasattr(nn.functional, "scaled_dot_product_attention"):
                mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                score = (q @ k.transpose(2, 3)) * (d // c["heads"]) ** -0.5
                mixed = score.masked_fill(future, float("-inf")).softmax(-1) @ v
            x = x + self.proj(mixed.transpose(1, 2).reshape(batch, time_, d))
            return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            d = c["width"]
            self.embedding, self.position = nn.Embedding(c["vocab"], d), nn.Embedding(c["T"], d)
            self.blocks, self.norm = nn.ModuleList(Block() for _ in range(c["layers"])), nn.LayerNorm(d)
            self.register_buffer("future", torch.ones(c["T"], c["T"], dtype=torch.bool).triu(1))
            for p in self.parameters():
                if p.dim() > 1:
                    nn.init.normal_(p, std=0.02)

        def forward(self, tokens):
            x = self.embedding(tokens) + self.position.weight
            for block in self.blocks:
                x = block(x, self.future)
            return self.norm(x) @ self.embedding.weight.t()

    return Recurrent() if c["kind"] == "recurrent" else Gpt()


class Training:
    def __init__(self, torch, c):
        torch.manual_seed(1)
        self.torch, self.c, self.done = torch, c, 0
        self.model = make_model(torch, c).train()
        settings = {"lr": 1e-3}
        try:  # one kernel per step where this PyTorch has it for CPUs
            self.adam = torch.optim.Adam(self.model.parameters(), fused=True, **settings)
        except (TypeError, RuntimeError):
            self.adam = torch.optim.Adam(self.model.parameters(), **settings)
        self.batches = [torch.randint(c["vocab"], (c["B"], c["T"] + 1)) for _ in range(4)]

    def step(self):
        """Milliseconds of one training step; self.loss is its loss."""
        torch = self.torch
        tokens = self.batches[self.done % len(self.batches)]
        self.done += 1
        start = time.perf_counter()
        self.adam.zero_grad(set_to_none=True)
        logits = self.model(tokens[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, self.c["vocab"]), tokens[:, 1:].reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.adam.step()
        elapsed = (time.perf_counter() - start) * 1e3
        self.loss = float(loss)
        return elapsed

    def run(self, steps):
        times = [round(self.step(), 4) for _ in range(steps)]
        return {"ms": round(statistics.median(times), 4), "ms_all": times, "loss": round(self.loss, 5)}


def say(record):
    print(json.dumps(record), flush=True)


def main():
    a = arguments()
    env = best_environment(a.threads)
    restart_with(env)
    try:
        import torch
    except ImportError:
        sys.exit("peer.py: this Python has no torch (Debian: python3-torch and libopenblas0-openmp, with /usr/bin/python3)")
    torch.set_num_threads(a.threads)
    c = dict(WORKLOADS[a.workload])
    if a.tiny:
        c.update({k: v for k, v in TINY.items() if k in c})
    training = Training(torch, c)
    about = {
        "peer": "pytorch " + torch.__version__, "workload": a.workload, "tiny": a.tiny, "threads": a.threads,
        "tokens": c["B"] * c["T"], "params": sum(p.numel() for p in training.model.parameters()),
        "blas": openblas_version() and "openblas " + openblas_version(), "coretype": env.get("OPENBLAS_CORETYPE"), "machine": platform.machine(),
    }
    if a.warmup:
        training.run(a.warmup)
    if not a.serve:
        result = training.run(a.steps)
        say({**about, **result, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024})
        return
    say({"ready": True, **about})
    for line in sys.stdin:
        if line.strip() in ("", "quit"):
            break
        say(training.run(int(line)))


if __name__ == "__main__":
    main()
