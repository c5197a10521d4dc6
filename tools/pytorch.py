#!/usr/bin/python3
"""A model that ravel trained, in plain PyTorch: built after its settings, with its weights, measured again.

    /usr/bin/python3 tools/pytorch.py RUN|CHECKPOINT [--text FILE] [--ravel COMMAND]

prints the loss on the validation part, which `ravel eval RUN|CHECKPOINT` prints, too (RUN: its best.h5). As a module:

    import sys; sys.path.insert(0, "tools")
    import pytorch
    model, settings = pytorch.load("runs/shakespeare-gpt/best.h5")

A class for each task: LanguageModel, Translator, Pooled (regression and classification), Tagger (of whole words), made
of the parts in pytorch_parts.py. Debian has all that is needed: apt install python3-torch python3-h5py. What a class does not know it refuses, by the name of its key (REFUSED).
"""
import argparse
import math
import os
import sys

try:
    import h5py
    import torch
    import yaml
except ImportError as e:
    sys.exit(f"pytorch.py: {e}: apt install python3-torch python3-h5py, and run it with /usr/bin/python3")
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pytorch_data as data
import pytorch_parts as parts


def yes(value):
    return value in (True, "true")


def head(width, vocab, tied, bias):
    """The output layer; of a tied one the bias alone, or nothing."""
    if not tied:
        return nn.Linear(width, vocab, bias=bias)
    return nn.ParameterDict({"bias": nn.Parameter(torch.zeros(vocab))} if bias else {})


def logits(model, h):
    own = dict(model.head.named_parameters())
    return F.linear(h, own.get("weight", model.decoder["embedding"].weight), own.get("bias"))


class LanguageModel(nn.Module):
    """model: the experiment's section `model`; vocab: size of the vocabulary; length: positions that a learned table holds."""

    def __init__(self, model, vocab, length):
        super().__init__()
        part, width = model["decoder"], int(model["embedding_dim"])
        self.scale = math.sqrt(width) if yes(model.get("scale_embeddings")) else 1
        self.position = model.get("position", "none")
        layers = {"embedding": nn.Embedding(vocab, width)}
        if part["type"] == "rnn":
            layers["rnn"] = parts.recurrent(part, width)
        else:
            if self.position == "learned":
                layers["position"] = nn.Embedding(length, width)
            layers.update(parts.transformer(part))
        self.decoder = nn.ModuleDict(layers)
        self.head = head(int(part["hidden_size"]), vocab, yes(model["tie_embeddings"]), yes(model["head_bias"]))

    def forward(self, x, state=None):
        """x (B, T) -> logits (B, T, V), and the state of a recurrent decoder."""
        d = self.decoder
        h = d["embedding"](x) * self.scale
        if "rnn" in d:
            h, state = d["rnn"](h, state)
        else:
            h = parts.run_layers(d, parts.add_positions(h, self.position, d), src_mask=parts.future(x.shape[1]))
        return logits(self, h), state


class Translator(nn.Module):
    """model: the section `model`; sizes of the two vocabularies; length: positions that a learned table holds."""

    def __init__(self, model, src_vocab, tgt_vocab, length):
        super().__init__()
        self.settings = model
        encoder, decoder, width = model["encoder"], model["decoder"], int(model["embedding_dim"])
        self.scale = math.sqrt(width) if yes(model.get("scale_embeddings")) else 1
        self.position = model.get("position", "none")
        self.encoder_position = self.position if encoder.get("position", "same") == "same" else encoder["position"]
        self.two_ways = yes(encoder.get("bidirectional"))
        size = int(encoder["hidden_size"]) * (1 + self.two_ways)  # of what the decoder reads
        layers = {} if model["tie_embeddings"] == "all" else {"embedding": nn.Embedding(src_vocab, width)}
        if encoder["type"] == "rnn":
            layers["rnn"] = parts.recurrent(encoder, width, 1 + self.two_ways)
        else:
            if self.encoder_position == "learned":
                layers["position"] = nn.Embedding(length, width)
            layers.update(parts.transformer(encoder))
        self.encoder = nn.ModuleDict(layers)
        self.decoder = nn.ModuleDict({"embedding": nn.Embedding(tgt_vocab, width)})
        self.decoder.update(self.recurrent(size) if decoder["type"] == "rnn" else self.transformer(size, length))
        self.head = head(self.seen, tgt_vocab, model["tie_embeddings"] != "none", yes(model["head_bias"]))

    def transformer(self, size, length):
        part, layers = self.settings["decoder"], {}
        self.seen = int(part["hidden_size"])
        if self.position == "learned":
            layers["position"] = nn.Embedding(length, self.seen)
        if size != self.seen:
            layers["memory_proj"] = nn.Linear(size, self.seen)
        return {**layers, **parts.transformer(part, cross=True)}

    def recurrent(self, size):
        model, part = self.settings, self.settings["decoder"]
        hidden, width = int(part["hidden_size"]), int(model["embedding_dim"])
        readout, a = int(model.get("readout_size", 0)), model["attention"]
        self.attends, self.feeds = a["type"], yes(a.get("input_feeding"))
        context = 0 if self.attends == "none" and model["context"] == "first_step" else size  # beside the state
        layers, enters, self.seen = {}, context, readout
        if self.attends != "none":
            layers["attention"] = parts.attention(a, hidden, size)
        if self.attends == "luong":
            self.seen = readout or hidden
            enters = self.seen if self.feeds else 0
        elif model["readout"] == "state":
            self.seen = hidden + (context if self.attends == "none" else 0)
        layers["rnn"] = parts.recurrent(part, width + enters)
        if model["bridge"] in ("dense", "reverse"):
            dense = model["bridge"] == "dense"
            reads = size if dense else int(model["encoder"]["hidden_size"])
            layers["bridge"] = nn.ModuleDict(
                {f"l{i}": nn.Linear(reads, hidden, bias=dense) for i in range(int(part["num_layers"]))})
        if self.attends == "luong":
            layers["readout"] = nn.Linear(size + hidden, self.seen, bias=False)
        elif model["readout"] == "tanh":
            layers["readout"] = nn.Linear(hidden + context, readout)
        elif model["readout"] == "maxout":
            layers["readout"] = nn.Linear(hidden + width + context, 2 * readout)
        return layers

    def encode(self, src, lengths):
        """Memory (B, S, D), its summary (B, D), and the last states of a recurrent encoder."""
        e = self.encoder
        x = F.embedding(src, (e if "embedding" in e else self.decoder)["embedding"].weight) * self.scale
        mask = parts.valid(lengths, src.shape[1])
        if "rnn" in e:
            memory, last = parts.read_all(e["rnn"], x, lengths)
            h = last[0] if isinstance(last, tuple) else last
            return memory, torch.cat([h[-2], h[-1]], -1) if self.two_ways else h[-1], last
        x = parts.add_positions(x, self.encoder_position, e)
        memory = parts.run_layers(e, x, src_key_padding_mask=~mask)
        return memory, (memory * mask[..., None]).sum(1) / lengths[:, None], None

    def first_state(self, summary, last):
        """Of a recurrent decoder, (layers, B, H); an LSTM's cells start at 0 unless they are copied."""
        bridge, lstm = self.settings["bridge"], self.settings["decoder"]["cell"] == "lstm"
        if bridge == "copy":
            beside = lambda s: torch.cat([s[0::2], s[1::2]], -1) if self.two_ways else s
            return (beside(last[0]), beside(last[1])) if lstm else beside(last)
        if bridge == "zero":
            part = self.settings["decoder"]
            h = summary.new_zeros(int(part["num_layers"]), len(summary), int(part["hidden_size"]))
        else:
            read = summary if bridge == "dense" else (last[0] if isinstance(last, tuple) else last)[-1]
            h = torch.stack([torch.tanh(b(read)) for b in self.decoder["bridge"].values()])
        return (h, torch.zeros_like(h)) if lstm else h

    def forward(self, src, lengths, y):
        """src (B, S) with lengths (B), y (B, T) -> logits (B, T, V)"""
        memory, summary, last = self.encode(src, lengths)
        d, mask = self.decoder, parts.valid(lengths, src.shape[1])
        words = F.embedding(y, d["embedding"].weight) * self.scale
        if "rnn" in d:
            return logits(self, self.step_by_step(memory, summary, mask, self.first_state(summary, last), words))
        x = parts.add_positions(words, self.position, d)
        memory = d["memory_proj"](memory) if "memory_proj" in d else memory
        masks = {"tgt_mask": parts.future(y.shape[1]), "memory_key_padding_mask": ~mask}
        return logits(self, parts.run_layers(d, x, memory, **masks))

    def step_by_step(self, memory, summary, mask, state, words):
        d, model, luong = self.decoder, self.settings, self.attends == "luong"
        top = lambda s: (s[0] if isinstance(s, tuple) else s)[-1]
        c = summary if self.attends == "none" and model["context"] == "each_step" else None
        a, out = words.new_zeros(words.shape[0], self.seen), []
        for t in range(words.shape[1]):
            before = top(state)
            if self.attends == "bahdanau":
                c = d["attention"](before, memory, mask)
            enters = a if luong and self.feeds else None if luong else c
            x = words[:, t] if enters is None else torch.cat([words[:, t], enters], -1)
            h, state = d["rnn"](x[:, None], state)
            h = h[:, 0]
            if luong:
                a = torch.tanh(d["readout"](torch.cat([d["attention"](h, memory, mask), h], -1)))
                out.append(a)
            elif model["readout"] == "maxout":
                seen = d["readout"](torch.cat([before, words[:, t]] + ([] if c is None else [c]), -1))
                out.append(seen.reshape(len(seen), -1, 2).max(-1).values)
            elif model["readout"] == "tanh":
                out.append(torch.tanh(d["readout"](h if c is None else torch.cat([h, c], -1))))
            else:
                out.append(torch.cat([h, c], -1) if self.attends == "none" and c is not None else h)
        return torch.stack(out, 1)


class Pooled(nn.Module):
    """Numbers of a sequence: an answer, or logits of its classes. model: the section `model`; length: positions that a
    learned table holds; vocab: size of the vocabulary, or None where the sequence is of 2 numbers a step."""

    def __init__(self, model, length, vocab=None, outputs=1):
        super().__init__()
        part = model["encoder"]
        self.two_ways, self.kind = yes(part.get("bidirectional")), model["pooling"]
        self.position = model.get("position", "none")
        width = int(part["hidden_size"]) * (1 + self.two_ways)
        enters = int(model["embedding_dim"]) if vocab else 2
        self.scale = math.sqrt(enters) if yes(model.get("scale_embeddings")) else 1
        layers = {"embedding": nn.Embedding(vocab, enters)} if vocab else {}
        if part["type"] == "rnn":
            layers["rnn"] = parts.recurrent(part, enters, 1 + self.two_ways)
        else:
            if not vocab:
                layers["input"] = nn.Linear(2, width)
            if self.position == "learned":
                layers["position"] = nn.Embedding(length, width)
            layers.update(parts.transformer(part))
        self.encoder = nn.ModuleDict(layers)
        if self.kind == "attention":
            size = int(model["pooling_size"])
            self.pooling = nn.ModuleDict({"proj": nn.Linear(width, size), "v": nn.Linear(size, 1, bias=False)})
        self.head = nn.Linear(width, outputs)

    def encode(self, x, lengths, valid):
        """States (B, T, D), and the last one (B, D): of two directions both ends."""
        e = self.encoder
        if "embedding" in e:
            x = e["embedding"](x) * self.scale
        if "rnn" in e:
            states, end = parts.read_all(e["rnn"], x, lengths)
            end = end[0] if isinstance(end, tuple) else end
            return states, torch.cat([end[-2], end[-1]], 1) if self.two_ways else end[-1]
        h = parts.add_positions(e["input"](x) if "input" in e else x, self.position, e)
        states = parts.run_layers(e, h, src_key_padding_mask=~valid)
        return states, states[torch.arange(len(x)), lengths - 1]

    def forward(self, x, lengths):
        """x (B, T, 2), or ids (B, T), with lengths (B) -> numbers (B, outputs), what they are read off (B, D), weights (B, T)
        of attention or None"""
        valid = parts.valid(lengths, x.shape[1])
        states, r = self.encode(x, lengths, valid)
        weights = None
        if self.kind == "mean":
            r = (states * valid[..., None]).sum(1) / lengths[:, None]
        elif self.kind == "attention":
            scores = self.pooling["v"](torch.tanh(self.pooling["proj"](states)))[..., 0]
            weights = scores.masked_fill(~valid, -math.inf).softmax(1)
            r = (weights[..., None] * states).sum(1)
        return self.head(r), r, weights


class Tagger(nn.Module):
    """Tags of whole words. model: the section `model`; length: positions that a learned table holds; letters: size of the
    alphabet; allowed: parts.follows of the tags, or None."""

    def __init__(self, model, length, vocab, tags, letters, allowed):
        super().__init__()
        part, width = model["encoder"], int(model["embedding_dim"])
        self.position, self.allowed = model.get("position", "none"), allowed
        self.scale = math.sqrt(width) if yes(model.get("scale_embeddings")) else 1
        layers, enters = {"embedding": nn.Embedding(vocab, width)}, width
        spelt = model["letters"]["type"]
        if spelt != "none":
            kind = parts.LetterLstm if spelt == "lstm" else parts.LetterCnn
            layers["letters"] = kind(letters, model["letters"])
            enters += layers["letters"].size
        if int(model["capitals_dim"]):
            layers["shape"] = nn.Embedding(data.SHAPES, int(model["capitals_dim"]))
            enters += int(model["capitals_dim"])
        seen = enters
        if part["type"] == "rnn":
            two_ways = yes(part["bidirectional"])
            layers["rnn"] = parts.recurrent(part, enters, 1 + two_ways)
            seen = int(part["hidden_size"]) * (1 + two_ways)
        elif part["type"] == "transformer":
            seen = int(part["hidden_size"])
            if enters > width:
                layers["input"] = nn.Linear(enters, width)
            if self.position == "learned":
                layers["position"] = nn.Embedding(length, width)
            layers.update(parts.transformer(part))
        self.encoder = nn.ModuleDict(layers)
        self.head = nn.Linear(seen, tags)
        if yes(model["crf"]):
            for name, shape in (("transition", (tags, tags)), ("start", (tags,)), ("stop", (tags,))):
                self.head.register_parameter(name, nn.Parameter(torch.zeros(shape)))

    def forward(self, ids, lengths, letters, letter_lengths, shape, which):
        """ids and which (B, T), which word of the others (n, L), (n), (n) stands there -> emissions (B, T, K)"""
        e = self.encoder
        x = [e["embedding"](ids) * self.scale]
        if "letters" in e:
            x.append(e["letters"](letters, letter_lengths)[which])
        if "shape" in e:
            x.append(e["shape"](shape)[which])
        x = torch.cat(x, -1)
        if "rnn" in e:
            x = parts.read_all(e["rnn"], x, lengths)[0]
        elif "layers" in e:
            x = parts.add_positions(e["input"](x) if "input" in e else x, self.position, e)
            x = parts.run_layers(e, x, src_key_padding_mask=~parts.valid(lengths, x.shape[1]))
        return self.head(x)

    def nats(self, z, lengths, y):
        """Sum over the words, in double."""
        if not hasattr(self.head, "transition"):
            return F.cross_entropy(z.double().flatten(0, 1), y.flatten(), ignore_index=-1, reduction="sum")
        k, h = z.shape[-1], self.head
        banned = torch.zeros(k + 1, k + 1).double()
        if self.allowed is not None:
            banned = banned.masked_fill(~self.allowed, -math.inf)
        steps = h.start.double() + banned[k, :k], h.transition.double() + banned[:k, :k], h.stop.double() + banned[:k, k]
        return parts.chain_nats(z.double(), lengths, y, *steps).sum()


# ---- from a checkpoint

REFUSED = {  # the values that the classes know, of keys with others
    "norm": ("pre", "post"),
    "residual": ("true",),
    "attention_scale": ("sqrt",),
    "bias": ("true",),
    "causal_mask": ("before_softmax",),
    "window": ("0",),
}


def refuse(section, path="model"):
    for key, value in section.items():
        if isinstance(value, dict):
            refuse(value, f"{path}.{key}")
        elif value not in REFUSED.get(key, (value,)):
            known = ", ".join(REFUSED[key])
            sys.exit(f"pytorch.py: the checkpoint has {path}.{key}: {value}; the PyTorch classes know only {known}")


def build(settings, vocab, classes=(), letters=0, scheme=0):
    """The model of settings, which are those of /config/resolved: a dict of dicts of text. vocab: sizes (source, target);
    classes: their names; letters: size of the alphabet; scheme: of tags that mark spans, see parts.follows."""
    model = settings["model"]
    refuse(model)
    if settings["task"] == "language_model":
        return LanguageModel(model, vocab[0], int(settings["train"]["batch"]["length"]))
    if settings["task"] == "regression":
        return Pooled(model, int(settings["data"]["max_length"]))
    if settings["task"] == "classification":
        return Pooled(model, int(settings["data"]["max_length"]) + 1, vocab[0], len(classes))
    if settings["task"] == "tagging" and "encoder" in model:
        constrained = scheme and yes(model.get("crf_constraints"))
        allowed = parts.follows(classes, scheme) if constrained else None
        return Tagger(model, int(settings["data"]["max_length"]) + 1, vocab[0], len(classes), letters, allowed)
    if settings["task"] == "tagging":
        sys.exit("pytorch.py: the checkpoint has model.hmm, which counts; there is no PyTorch class for it")
    if settings["task"] != "translation":
        sys.exit(f"pytorch.py: task {settings['task']}: there is no PyTorch class for it")
    if model.get("attention", {}).get("type", "none") != "none" and int(model["decoder"]["num_layers"]) > 1:
        sys.exit("pytorch.py: the checkpoint has model.decoder.num_layers above 1 with attention; "
                 "the PyTorch classes know one such layer")
    return Translator(model, *vocab, int(settings["data"]["max_length"]) + 1)


def load(path):
    """Model and settings of a checkpoint."""
    with h5py.File(path) as f:
        settings = yaml.load(f["config/resolved"][()].tobytes().decode(), Loader=yaml.BaseLoader)
        scheme = int(f["tokenizer/span_scheme"][()]) if "tokenizer/span_scheme" in f else 0
        model = build(settings, data.vocabulary_sizes(f), data.class_names(f), data.alphabet_size(f), scheme)
        model.load_state_dict({k: torch.from_numpy(d[()]) for k, d in f["model"].items()})
    return model, settings


# ---- the validation loss


def nats(scores, y):
    """Sum over the targets, -1 being none, in double, and their number."""
    loss = F.cross_entropy(scores.double().flatten(0, 1), y.flatten(), ignore_index=-1, reduction="sum")
    return float(loss), int((y >= 0).sum())


@torch.no_grad()
def measure(model, settings, batches):
    total, count = 0.0, 0
    state = None
    for batch in batches:
        if settings["task"] == "language_model":
            x, y, carried = batch
            scores, state = model(x, state if carried else None)
            loss, n = nats(scores, y)
        elif settings["task"] == "translation":
            src, lengths, x, y = batch
            loss, n = nats(model(src, lengths, x), y)
        elif settings["task"] == "tagging":
            *words, y = batch
            loss, n = float(model.nats(model(*words), words[1], y)), int((y >= 0).sum())
        elif settings["task"] == "classification":
            x, lengths, y = batch
            loss, n = nats(model(x, lengths)[0][:, None], y[:, None])
        else:
            x, lengths, y = batch
            loss, n = float(((model(x, lengths)[0][:, 0].double() - y.double()) ** 2).sum()), len(y)
        total, count = total + loss, count + n
    return total / count, count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", metavar="RUN|CHECKPOINT")
    parser.add_argument("--text", metavar="FILE", help="language models: measure on this text, not the validation part")
    parser.add_argument("--ravel", metavar="COMMAND", default=data.find_ravel(), help="default: %(default)s")
    a = parser.parse_args()
    path = os.path.join(a.checkpoint, "best.h5") if os.path.isdir(a.checkpoint) else a.checkpoint
    if not os.path.exists(path):
        sys.exit(f"pytorch.py: {path}: there is no such checkpoint")
    model, settings = load(path)
    loss, count = measure(model, settings, data.batches(path, settings, a.ravel, a.text))
    print(f"{'loss':<10} {loss:.6f}\n{'tokens':<10} {count}")


if __name__ == "__main__":
    main()
