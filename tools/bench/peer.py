#!/usr/bin/env python3
"""PyTorch as ravel's peer on the fixed workloads: the same work, at its best settings.

    peer.py WORKLOAD [--threads N] [--steps N] [--warmup N] [--tiny] [--serve]

One step: zero gradients, forward, mean cross-entropy over predicted tokens, backward, clipping to norm 1, Adam; float32;
random tokens of fixed length; recurrent state zero at the start of a batch. The *_greedy and *_beam5 workloads translate a
batch instead, or write text (gpt_greedy*), over cached keys, values and states. Prints one JSON object:
{"ms": median, "ms_all": [...], "loss", "tokens", "params", ...}.

--serve is for measuring in alternation with another program: after {"ready": true} each line on standard input is a
number of steps to run (none or "quit" ends), and each answer is one JSON object with the times of those steps.

The process restarts itself once with the environment that is best for PyTorch: OpenBLAS (0.3.21 of Debian 12 as 0.3.29 of
Debian 13) takes recent AVX-512 CPUs for older ones and must then be told, and the allocator is asked to keep freed memory.
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
    "gpt2_124M": dict(kind="gpt", vocab=50304, width=768, heads=12, layers=12, T=64, B=4, gelu="tanh"),
    "gpt_char": dict(kind="gpt", vocab=65, width=384, heads=6, layers=6, T=256, B=8),
    "gpt_greedy": dict(kind="gpt", vocab=65, width=384, heads=6, layers=6, T=256, B=8, beam=1),
    "gpt_greedy_b1": dict(kind="gpt", vocab=65, width=384, heads=6, layers=6, T=256, B=1, beam=1),
    "bilstm_attn_nmt": dict(kind="bilstm", vocab=8000, embed=256, hidden=512, S=24, T=24, B=64),
    "transformer_nmt": dict(kind="transformer", vocab=8000, width=256, heads=4, layers=3, S=24, T=24, B=64, smoothing=0.1),
    "bilstm_crf": dict(kind="tagger", vocab=20000, embed=100, hidden=200, tags=17, T=32, B=32),
    "bilstm_attn_greedy": dict(kind="bilstm", vocab=8000, embed=256, hidden=512, S=24, T=24, B=32, beam=1),
    "bilstm_attn_beam5": dict(kind="bilstm", vocab=8000, embed=256, hidden=512, S=24, T=24, B=32, beam=5),
    "transformer_greedy": dict(kind="transformer", vocab=8000, width=256, heads=4, layers=3, S=24, T=24, B=32, beam=1),
    "transformer_beam5": dict(kind="transformer", vocab=8000, width=256, heads=4, layers=3, S=24, T=24, B=32, beam=5),
}
AVX512_CORES = ("SkylakeX", "Cooperlake", "SapphireRapids")  # OpenBLAS's names
TINY = dict(vocab=64, embed=32, hidden=32, width=32, heads=4, tags=8, S=8, T=8, B=4)  # the cost of dispatch, not of arithmetic


def arguments():
    p = argparse.ArgumentParser(description="Time PyTorch on one of ravel's fixed workloads.", epilog="example: peer.py lstm_lm --threads 2")
    p.add_argument("workload", choices=WORKLOADS)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--steps", type=int, default=10)
    p.add_argument("--warmup", type=int, default=3)
    p.add_argument("--tiny", action="store_true", help="the same model at width 32")
    p.add_argument("--serve", action="store_true", help="run as many steps as each line of standard input says")
    return p.parse_args()


def openblas():
    """(version, core) of the OpenBLAS that the dynamic linker would choose, core being the CPU whose kernels it uses, or None."""
    for name in ("libopenblas.so.0", "libblas.so.3"):
        try:
            library = ctypes.CDLL(name)
            config, core = library.openblas_get_config, library.openblas_get_corename
        except (OSError, AttributeError):
            continue
        config.restype = core.restype = ctypes.c_char_p
        words = config().decode().split()
        return words[1] if len(words) > 1 else "", core().decode()
    return None


def best_environment(threads):
    env = {
        "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads),
        # Keep freed memory: activations are the same size every step, and giving pages back costs more than it saves.
        "MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "8000000000", "MALLOC_TOP_PAD_": "67108864",
    }
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        avx512 = " avx512f" in f.read()
    blas = openblas()
    if avx512 and blas and blas[1] not in AVX512_CORES:
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
            """Tokens and logits are time-major: the faster layout, and nothing is transposed."""
            states, _ = self.rnn(self.embedding(tokens))
            return self.out(states)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            d = c["width"]
            self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
            self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
            self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

        def forward(self, x, future, cache=None, at=0):
            """cache: (B, heads, T, width) keys and values, of which those before `at` are full; x is then one position."""
            batch, time_, d = x.shape
            heads = lambda t: t.view(batch, time_, c["heads"], -1).transpose(1, 2)
            q, k, v = (heads(t) for t in self.qkv(self.norm1(x)).split(d, dim=2))
            if cache:
                for kept, new in zip(cache, (k, v)):
                    kept[:, :, at:at + 1] = new
                k, v = (kept[:, :, :at + 1] for kept in cache)
            if hasattr(nn.functional, "scaled_dot_product_attention"):
                mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=not cache)
            else:
                score = (q * (d // c["heads"]) ** -0.5) @ k.transpose(2, 3)
                mixed = (score if cache else score.masked_fill(future, float("-inf"))).softmax(-1) @ v
            x = x + self.proj(mixed.transpose(1, 2).reshape(batch, time_, d))
            return x + self.down(nn.functional.gelu(self.up(self.norm2(x)), approximate=c.get("gelu", "none")))

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

        def start(self, rows):
            shape = (rows, c["heads"], c["T"], c["width"] // c["heads"])
            return [(torch.empty(shape), torch.empty(shape)) for _ in self.blocks]

        def step(self, ids, caches, at):
            """ids (B, 1), the tokens at position `at` -> logits (B, V)"""
            x = self.embedding(ids) + self.position.weight[at]
            for block, cache in zip(self.blocks, caches):
                x = block(x, None, cache, at)
            return self.norm(x[:, 0]) @ self.embedding.weight.t()

    class Tagger(nn.Module):
        """Bidirectional LSTM and a linear-chain CRF: batched, and vectorised over the tags."""

        def __init__(self):
            super().__init__()
            k = c["tags"]
            self.embedding = nn.Embedding(c["vocab"], c["embed"])
            self.rnn = nn.LSTM(c["embed"], c["hidden"], bidirectional=True)
            self.out = nn.Linear(2 * c["hidden"], k)
            self.transition, self.start, self.stop = (nn.Parameter(torch.zeros(s)) for s in ((k, k), (k,), (k,)))

        def loss(self, tokens, tags):
            """Both (T, B) -> negative log-likelihood per token."""
            emission = self.out(self.rnn(self.embedding(tokens))[0])
            gold = (self.start[tags[0]].sum() + self.stop[tags[-1]].sum() + self.transition[tags[:-1], tags[1:]].sum()
                    + emission.gather(2, tags[:, :, None]).sum())
            alpha = self.start + emission[0]
            for e in emission[1:].unbind(0):
                alpha = torch.logsumexp(alpha[:, :, None] + self.transition, 1) + e
            return (torch.logsumexp(alpha + self.stop, 1).sum() - gold) / tags.numel()

    kinds = {"recurrent": Recurrent, "gpt": Gpt, "tagger": Tagger}
    return kinds[c["kind"]]() if c["kind"] in kinds else make_translator(torch, c)


def make_translator(torch, c):
    """Encoder-decoders. forward(source, target) gives logits; start(source), step(ids, state) and choose(state, rows, k)
    decode: step takes (B, k) ids, k hypotheses of each sentence, and choose keeps hypothesis rows (B, k) of the last k."""
    nn, functional = torch.nn, torch.nn.functional

    def gather(x, rows):
        """Of x (B, k, ...) the hypotheses `rows` of each sentence."""
        batch, old = x.shape[:2]
        flat = (rows + old * torch.arange(batch)[:, None]).view(-1)
        return x.reshape(batch * old, *x.shape[2:]).index_select(0, flat).view(*rows.shape, *x.shape[2:])

    class Bilstm(nn.Module):
        """Bidirectional LSTM; LSTM cell over [embedding; context] with additive attention; tanh readout of [state; context]."""

        def __init__(self):
            super().__init__()
            e, h = c["embed"], c["hidden"]
            self.source, self.target = nn.Embedding(c["vocab"], e), nn.Embedding(c["vocab"], e)
            self.encoder = nn.LSTM(e, h // 2, bidirectional=True)
            self.bridge, self.key, self.query = nn.Linear(h, h), nn.Linear(h, h, bias=False), nn.Linear(h, h, bias=False)
            self.score = nn.Parameter(torch.randn(h) * 0.04)
            self.cell = nn.LSTMCell(e + h, h)
            self.readout, self.out = nn.Linear(2 * h, h), nn.Linear(h, c["vocab"])

        def start(self, source):
            states, (last, _) = self.encoder(self.source(source.t()))
            memory = states.transpose(0, 1).contiguous()
            h = torch.tanh(self.bridge(torch.cat([last[0], last[1]], -1)))
            return memory, self.key(memory), h[:, None], torch.zeros_like(h)[:, None]

        def advance(self, x, state):
            """x (B, k, E) -> context (B, k, H), state. The k hypotheses share their sentence's memory and keys."""
            memory, keys, h, cell = state
            k = x.shape[1]
            scores = torch.tanh(keys[:, None] + self.query(h)[:, :, None]) @ self.score
            context = torch.bmm(scores.softmax(-1), memory)
            h, cell = self.cell(torch.cat([x, context], -1).flatten(0, 1), (h.flatten(0, 1), cell.flatten(0, 1)))
            return context, (memory, keys, h.view(-1, k, h.shape[-1]), cell.view(-1, k, h.shape[-1]))

        def read(self, h, context):
            return self.out(torch.tanh(self.readout(torch.cat([h, context], -1))))

        def forward(self, source, target):
            state, states, contexts = self.start(source), [], []
            for x in self.target(target).unbind(1):
                context, state = self.advance(x[:, None], state)
                states.append(state[2])
                contexts.append(context)
            return self.read(torch.cat(states, 1), torch.cat(contexts, 1))  # all steps in one product

        def step(self, ids, state):
            context, state = self.advance(self.target(ids), state)
            return self.read(state[2], context), state

        def choose(self, state, rows):
            memory, keys, h, cell = state
            return memory, keys, gather(h, rows), gather(cell, rows)

    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            d, longest = c["width"], max(c["S"], c["T"])
            self.source, self.target = nn.Embedding(c["vocab"], d), nn.Embedding(c["vocab"], d)
            for table in (self.source, self.target):
                nn.init.normal_(table.weight, std=d**-0.5)
            self.body = nn.Transformer(d, c["heads"], c["layers"], c["layers"], 4 * d, 0.1, batch_first=True)
            self.out, self.drop = nn.Linear(d, c["vocab"]), nn.Dropout(0.1)
            angle = torch.arange(longest)[:, None] * 10000 ** (-torch.arange(0, d, 2) / d)
            self.register_buffer("position", torch.stack([angle.sin(), angle.cos()], -1).flatten(1))
            self.register_buffer("future", nn.Transformer.generate_square_subsequent_mask(longest))

        def embed(self, table, ids, at=0):
            return self.drop(table(ids) * c["width"] ** 0.5 + self.position[at:at + ids.shape[1]])

        def forward(self, source, target):
            n = target.shape[1]
            return self.out(self.body(self.embed(self.source, source), self.embed(self.target, target), tgt_mask=self.future[:n, :n]))

        def heads(self, x):
            return x.view(x.shape[0], x.shape[1], c["heads"], -1).transpose(1, 2)

        def attend(self, attention, x, keys, values):
            """x (B, n, D) with its query projected -> (B, n, D)."""
            q = self.heads(x)
            mixed = ((q * q.shape[-1] ** -0.5) @ keys.transpose(-1, -2)).softmax(-1) @ values
            return attention.out_proj(mixed.transpose(1, 2).reshape(x.shape))

        def start(self, source):
            d, memory = c["width"], self.body.encoder(self.embed(self.source, source))
            across = []
            for layer in self.body.decoder.layers:
                a = layer.multihead_attn
                k, v = functional.linear(memory, a.in_proj_weight[d:], a.in_proj_bias[d:]).chunk(2, -1)
                across.append((self.heads(k), self.heads(v)))
            return across, None, 0

        def step(self, ids, state):
            across, past, t = state
            d, (batch, k) = c["width"], ids.shape
            x = self.embed(self.target, ids.reshape(-1, 1), t)
            now = []
            for i, layer in enumerate(self.body.decoder.layers):
                a = layer.self_attn
                q, key, value = functional.linear(x, a.in_proj_weight, a.in_proj_bias).chunk(3, -1)
                key, value = self.heads(key), self.heads(value)
                if past:
                    key, value = torch.cat([past[i][0], key], 2), torch.cat([past[i][1], value], 2)
                now.append((key, value))
                x = layer.norm1(x + self.attend(a, q, key, value))
                a = layer.multihead_attn
                q = functional.linear(x, a.in_proj_weight[:d], a.in_proj_bias[:d]).view(batch, k, d)
                x = layer.norm2(x + self.attend(a, q, *across[i]).view(batch * k, 1, d))
                x = layer.norm3(x + layer.linear2(functional.relu(layer.linear1(x))))
            return self.out(self.body.decoder.norm(x)).view(batch, k, -1), (across, now, t + 1)

        def choose(self, state, rows):
            across, past, t = state
            batch, k = rows.shape
            pick = lambda x: gather(x.view(batch, -1, *x.shape[1:]), rows).flatten(0, 1)
            return across, [(pick(key), pick(value)) for key, value in past], t

    return Bilstm() if c["kind"] == "bilstm" else Transformer()


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
        self.tags = [torch.randint(c["tags"], (c["T"], c["B"])) for _ in range(4)] if "tags" in c else None
        self.time_major = c["kind"] in ("recurrent", "tagger")
        shape = (c["T"] + 1, c["B"]) if self.time_major else (c["B"], c["T"] + 1)
        self.batches = [torch.randint(c["vocab"], shape) for _ in range(4)]
        self.sources = [torch.randint(c["vocab"], (c["B"], c["S"])) for _ in range(4)] if "S" in c else None

    def step(self):
        """Milliseconds of one training step; self.loss is its loss."""
        torch = self.torch
        batch = self.done % len(self.batches)
        tokens = self.batches[batch]
        x, y = (tokens[:-1], tokens[1:]) if self.time_major else (tokens[:, :-1], tokens[:, 1:])
        inputs = (self.sources[batch], x) if self.sources else (x,)
        self.done += 1
        times = [time.perf_counter()]
        self.adam.zero_grad(set_to_none=True)
        if self.tags:
            loss = self.model.loss(x, self.tags[batch])
        else:
            logits = self.model(*inputs)
            loss = torch.nn.functional.cross_entropy(logits.reshape(-1, self.c["vocab"]), y.reshape(-1),
                                                     label_smoothing=self.c.get("smoothing", 0.0))
        times.append(time.perf_counter())
        loss.backward()
        times.append(time.perf_counter())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        times.append(time.perf_counter())
        self.adam.step()
        times.append(time.perf_counter())
        self.loss = float(loss)
        return times

    def run(self, steps):
        """Times of steps in ms, each of all its phases (forward and loss; backward; clipping; optimiser)."""
        times = [self.step() for _ in range(steps)]
        phases = [[round((after - before) * 1e3, 4) for before, after in zip(t, t[1:])] for t in times]
        total = [round(sum(p), 4) for p in phases]
        return {"ms": round(statistics.median(total), 4), "ms_all": total, "phases_ms": phases, "loss": round(self.loss, 5),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


class Translating(Training):
    """Beam search to T tokens for each of B sentences; no token ends a translation."""

    def __init__(self, torch, c):
        torch.manual_seed(1)
        self.torch, self.c, self.done = torch, c, 0
        self.model = make_model(torch, c).eval()
        self.batches = [torch.randint(c["vocab"], (c["B"], c["S"])) for _ in range(4)] if "S" in c else None

    def run(self, steps):
        with self.torch.inference_mode():
            return super().run(steps)

    def step(self):
        torch, beam, vocab = self.torch, self.c["beam"], self.c["vocab"]
        source = self.batches[self.done % len(self.batches)]
        self.done += 1
        start = time.perf_counter()
        state = self.model.start(source)
        ids, score = torch.zeros(len(source), 1, dtype=torch.long), torch.zeros(len(source), 1)
        said = []
        for _ in range(self.c["T"]):
            logits, state = self.model.step(ids, state)
            if beam == 1:
                best, ids = logits.max(-1)
                score = score + best - logits.logsumexp(-1)
                said.append(ids)
                continue
            total = (score[:, :, None] + logits.log_softmax(-1)).flatten(1)
            score, best = total.topk(beam)
            rows, ids = torch.div(best, vocab, rounding_mode="floor"), best % vocab
            state = self.model.choose(state, rows)
            said = [torch.gather(s, 1, rows) for s in said] + [ids]
        torch.stack(said, -1)[:, 0].tolist()
        end = time.perf_counter()
        self.loss = -float(score[0, 0]) / self.c["T"]
        return start, end


class Writing(Translating):
    """Each of B rows is given one token and continued greedily to T tokens."""

    def step(self):
        torch = self.torch
        start = time.perf_counter()
        caches, ids = self.model.start(self.c["B"]), torch.zeros(self.c["B"], 1, dtype=torch.long)
        said = []
        for at in range(self.c["T"]):
            ids = self.model.step(ids, caches, at).argmax(-1, keepdim=True)
            said.append(ids)
        torch.cat(said, 1).tolist()
        self.loss = 0.0
        return start, time.perf_counter()


def say(record):
    print(json.dumps(record), flush=True)


def main():
    a = arguments()
    restart_with(best_environment(a.threads))
    try:
        import torch
    except ImportError:
        sys.exit("peer.py: this Python has no torch (Debian: python3-torch and libopenblas0-openmp, with /usr/bin/python3)")
    if not openblas() and "Math Kernel Library" not in torch.__config__.show():
        print("warning: PyTorch multiplies with no fast BLAS here: its times say nothing of it "
              "(Debian: apt-get install libopenblas0-openmp)", file=sys.stderr)
    torch.set_num_threads(a.threads)
    c = dict(WORKLOADS[a.workload])
    if a.tiny:
        c.update({k: v for k, v in TINY.items() if k in c})
    base_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    kind = Training if "beam" not in c else Translating if "S" in c else Writing
    training = kind(torch, c)
    about = {
        "peer": "pytorch " + torch.__version__, "workload": a.workload, "tiny": a.tiny, "threads": a.threads,
        "tokens": c["B"] * c["T"], "parameters": sum(p.numel() for p in training.model.parameters()),
        "blas": " ".join(("openblas", *(openblas() or ("unknown",)))), "machine": platform.machine(), "base_mb": base_mb,
    }
    if a.warmup:
        training.run(a.warmup)
    if not a.serve:
        result = training.run(a.steps)
        say({**about, **result})
        return
    say({"ready": True, **about})
    for line in sys.stdin:
        if line.strip() in ("", "quit"):
            break
        say(training.run(int(line)))


if __name__ == "__main__":
    main()
