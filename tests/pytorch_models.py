#!/usr/bin/env python3
"""tools/pytorch.py: the loss that PyTorch finds is that of `ravel eval`, for each kind of model; what it does not know it names.

    pytorch_models.py RAVEL

Needs torch, h5py and yaml, in this Python or in Debian's /usr/bin/python3; else it exits 77."""
import os, random, subprocess, sys, tempfile

NEEDED = "import torch, h5py, yaml"
if subprocess.run([sys.executable, "-c", NEEDED], capture_output=True).returncode:
    other = "/usr/bin/python3"
    if not os.path.exists(other) or subprocess.run([other, "-c", NEEDED], capture_output=True).returncode:
        print("skipped: needs PyTorch and h5py (Debian: python3-torch python3-h5py)")
        sys.exit(77)
    if os.path.realpath(other) != os.path.realpath(sys.executable): os.execv(other, [other, *sys.argv])

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import unittest
from command import RAVEL, Command, ravel
import pytorch, torch

TOOL = pytorch.__file__


def run(task, model, data, batch=None, tokenizer=None):
    """An experiment of two steps with large ones, so that no bias stays at 0."""
    batches = {"language_model": "{size: 3, length: 8}", "translation": "{type: sequences, size: 4}",
               "regression": "{size: 4}", "classification": "{size: 4}", "tagging": "{size: 4}"}
    batch = batch or batches[task]
    tokenizer = f"tokenizer: {tokenizer}\n" if tokenizer else ""
    return f"""name: tiny
task: {task}
data: {data}
{tokenizer}model: {model}
train: {{batch: {batch}, max_steps: 2, optimizer: {{type: adam, lr: 3e-2}}, validate_every: 2}}
metrics: [loss]
"""


def section(**keys):
    return "{" + ", ".join(f"{k}: {v}" for k, v in keys.items()) + "}"


def lm(decoder, data="{path: text}", batch=None, tokenizer=None, **keys):
    return run("language_model", section(embedding_dim=8, decoder=decoder, **keys), data, batch, tokenizer)


def translation(encoder, decoder, data="{train: two, valid: two, src: a, tgt: b, max_length: 9}", tokenizer="{type: word}", **keys):
    return run("translation", section(embedding_dim=8, encoder=encoder, decoder=decoder, **keys), data, None, tokenizer)


def regression(encoder, **keys):
    return run("regression", section(encoder=encoder, **keys), "{generator: adding, min_length: 4, max_length: 11, valid_examples: 10}")


def classification(encoder, tokenizer="{type: word}", **keys):
    return run("classification", section(encoder=encoder, **keys), "{train: labelled, valid: labelled, max_length: 9}", None,
               tokenizer)


def tagging(encoder, file="tags", **keys):
    return run("tagging", section(encoder=encoder, **keys), "{train: %s, valid: %s, max_length: 9}" % (file, file), None,
               "{type: word, lowercase: true}")


def cell(kind, layers=1, hidden=8, **keys):
    return section(type="rnn", cell=kind, num_layers=layers, hidden_size=hidden, **keys)


def transformer(**keys):
    return section(type="transformer", num_layers=2, num_heads=2, hidden_size=8, ff_size=12, **keys)


LUONG = "{type: luong, score: %s, input_feeding: %s}"
KINDS = {
    "rnn": lm(cell("rnn")),
    "rnn_relu": lm(cell("rnn", nonlinearity="relu")),
    "lstm": lm(cell("lstm", 2)),
    "lstm_tied_scaled": lm(cell("lstm"), tie_embeddings="true", head_bias="true", scale_embeddings="true"),
    "gru": lm(cell("gru", 2)),
    "gru_before": lm(cell("gru", 2, gru_reset="before")),
    "lstm_carried": lm(cell("lstm", 2), batch="{size: 3, length: 8, sampling: contiguous}"),
    "gru_before_carried": lm(cell("gru", gru_reset="before"),
                             batch="{type: tokens, size: 24, length: 8, sampling: contiguous}"),
    "gpt": lm(transformer()),
    "gpt_post_sinusoidal": lm(transformer(norm="post", activation="relu"), position="sinusoidal",
                              tie_embeddings="false"),
    "gpt_no_positions": lm(transformer(activation="gelu_tanh"), position="none"),
    "lm_bpe": lm(cell("lstm"), tokenizer="{type: bpe, vocab_size: 280, lowercase: true}"),
    "lm_files": lm(cell("gru"), "{train: text, valid: other}"),
    "bahdanau": translation(cell("gru", gru_reset="before", bidirectional="true"), cell("gru", gru_reset="before"),
                            bridge="reverse", readout="maxout", attention="{type: bahdanau, size: 5}", readout_size=6),
    "bahdanau_lstm": translation(cell("lstm", 2, 5), cell("lstm"), attention="{type: bahdanau}", tie_embeddings="decoder"),
    "bahdanau_state": translation(cell("rnn"), cell("rnn"), attention="{type: bahdanau}", readout="state", bridge="zero"),
    "luong": translation(cell("lstm", 1, 4), cell("lstm"), attention=LUONG % ("general", "true"), bridge="copy"),
    "luong_dot": translation(cell("gru", 1, 4), cell("gru"), attention=LUONG % ("dot", "false"), readout_size=7),
    "luong_concat": translation(cell("lstm", 1, 4, bidirectional="false"), cell("gru"), attention=LUONG % ("concat", "true")),
    "one_vector": translation(cell("gru", 2), cell("gru", 2), tie_embeddings="decoder"),
    "one_vector_first_step": translation(cell("lstm", 2, 4), cell("lstm", 2), context="first_step", bridge="copy", readout="state"),
    "one_vector_state": translation(cell("gru", 1, 4, bidirectional="false"), cell("lstm"), readout="state"),
    "one_vector_maxout": translation(cell("lstm"), cell("gru", 1, 6), readout="maxout"),
    "transformer": translation(transformer(), transformer(), tie_embeddings="all"),
    "transformer_post": translation(transformer(norm="post", position="none"), transformer(norm="post"), position="learned",
                                    tie_embeddings="all", head_bias="false"),
    "transformer_learned": translation(transformer(position="learned"), transformer(), position="learned"),
    "transformer_to_rnn": translation(transformer(), cell("lstm", 1, 6), attention="{type: bahdanau}"),
    "transformer_to_vector": translation(transformer(), cell("gru", 1, 6)),
    "rnn_to_transformer": translation(cell("lstm", 1, 8), transformer()),
    "translation_tsv_two_vocabularies": translation(cell("gru"), cell("gru"), "{train: pairs, valid: pairs}",
                                                    tokenizer="{type: bpe, vocab_size: 300, joint: false}"),
    "regression_rnn": regression(cell("rnn", 2)),
    "regression_gru_two_ways": regression(cell("gru", 2, bidirectional="true")),
    "regression_gru_before_mean": regression(cell("gru", gru_reset="before", bidirectional="true"), pooling="mean"),
    "regression_lstm_attention": regression(cell("lstm"), pooling="attention", pooling_size=5),
    "classes_rnn": classification(cell("rnn", 2)),
    "classes_lstm_attention": classification(cell("lstm"), embedding_dim=5, pooling="attention", pooling_size=6),
    "classes_gru_two_ways_mean": classification(cell("gru", bidirectional="true"), embedding_dim=6, pooling="mean",
                                                tokenizer="{type: bpe, vocab_size: 280}", scale_embeddings="true"),
    "classes_transformer": classification(transformer()),
    "classes_transformer_attention": classification(transformer(norm="post"), pooling="attention", position="learned"),
    "tags_lstm": tagging(cell("lstm"), embedding_dim=6),
    "tags_letters_lstm_crf": tagging(cell("lstm"), "spans", embedding_dim=6, crf="true", capitals_dim=3,
                                     letters="{type: lstm, embedding_dim: 5, hidden_size: 4}"),
    "tags_letters_cnn_crf": tagging(cell("gru", 2, bidirectional="false"), "spans", embedding_dim=6, crf="true",
                                    crf_constraints="false", letters="{type: cnn, embedding_dim: 5, hidden_size: 4}"),
    "tags_of_words_crf": tagging("{type: none}", embedding_dim=6, crf="true"),
    "tags_transformer_letters": tagging(transformer(), embedding_dim=8, crf="true", capitals_dim=2,
                                        letters="{type: cnn, embedding_dim: 3, hidden_size: 4}"),
    "tags_ends_of_spans": tagging(cell("rnn"), "ends", embedding_dim=6, crf="true"),
    "regression_transformer": regression(transformer()),
    "regression_transformer_attention": regression(transformer(norm="post"), pooling="attention", position="learned"),
    "regression_transformer_mean": regression(transformer(), pooling="mean", position="none"),
}
REFUSED = {
    "model.decoder.norm: none": lm(transformer(norm="none")),
    "model.decoder.bias: false": lm(transformer(bias="false")),
    "model.encoder.residual: false": regression(transformer(residual="false")),
    "model.encoder.attention_scale: none": regression(transformer(attention_scale="none")),
    "model.decoder.causal_mask: after_softmax": lm(transformer(causal_mask="after_softmax")),
    "model.attention.window: 2": translation(cell("lstm"), cell("lstm"), attention="{type: luong, window: 2}"),
    "model.hmm": "name: tiny\ntask: tagging\ndata: {train: tags, valid: tags}\nmodel: {hmm: true}\n",
    "model.decoder.num_layers above 1 with attention": translation(cell("lstm"), cell("lstm", 2), attention="{type: bahdanau}"),
}


class Models(Command):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        os.chdir(self.folder.name)
        torch.set_num_threads(1)
        draw = random.Random(1)
        word = lambda: "".join(draw.choice("abcdeäß") for _ in range(draw.randint(1, 3)))
        line = lambda n: " ".join(word() for _ in range(n))
        self.write("text", "\ufeff" + "".join(line(draw.randint(0, 9)) + "\n" for _ in range(60)))
        self.write("other", line(30))
        lengths = [(draw.randint(1, 12), draw.randint(1, 12)) for _ in range(23)]
        sides = [[line(n[k]) for n in lengths] for k in (0, 1)]
        self.write("two.a", "\r\n".join(sides[0]))
        self.write("two.b", "\n".join(sides[1]) + "\n")
        self.write("labelled", "".join(f"{a}\t {draw.choice(['good', 'bad', 'so so'])}\n" for a in sides[0]))
        # no sentence over max_length: a span that is cut has no end
        rows = [[word().capitalize() if draw.random() < 0.4 else word() for _ in range(draw.randint(1, 9))] for _ in range(40)]
        self.tagged("tags", rows, lambda n: [draw.choice("XYZ") for _ in range(n)])
        self.tagged("spans", rows, lambda n: (["O", "B-a", "I-a", "B-b", "I-b", "B-b", "B-a", "I-a", "O"])[:n])
        self.tagged("ends", rows, lambda n: (["S-a", "O"] + ["B-a"] + ["I-a"] * (n - 4) + ["E-a"]) if n > 3 else ["S-b"] * n)
        self.write("pairs", "".join(f"{a}\t{b}\n" for a, b in zip(*sides)))

    def tagged(self, name, rows, tags):
        self.write(name, "".join("".join(f"{w}\t{t}\n" for w, t in zip(row, tags(len(row)))) + "\n" for row in rows))

    def tearDown(self):
        os.chdir("/")
        self.folder.cleanup()

    def train(self, name, text):
        self.write("run.yaml", text)
        self.check(ravel("train", "run.yaml", f"checkpoint.dir={name}"), 0)
        return name + "/best.h5"

    def test_losses_are_those_of_eval(self):
        worst = 0
        for name, text in KINDS.items():
            with self.subTest(name):
                path = self.train(name, text)
                want = self.parsed("eval", "--json", path)
                model, settings = pytorch.load(path)
                loss, count = pytorch.measure(model, settings, pytorch.data.batches(path, settings, RAVEL))
                self.assertEqual(count, want["tokens"])
                worst = max(worst, abs(loss / want["loss"] - 1))
                self.assertLess(abs(loss / want["loss"] - 1), 1e-5, f"{loss} for {want['loss']}")
        print(f"{len(KINDS)} models, largest relative difference {worst:.1e}", file=sys.stderr)

    def test_what_the_classes_do_not_know_is_named(self):
        for i, (message, text) in enumerate(REFUSED.items()):
            with self.subTest(message):
                path = self.train(f"refused-{i}", text)
                with self.assertRaises(SystemExit) as e: pytorch.load(path)
                self.assertIn(message, str(e.exception))

    def test_weights_go_back(self):
        """Halved weights: written into the checkpoint, and as a file of their own. Both are sealed, measured, trained on."""
        import h5py
        path = self.train("gru", KINDS["gru"])
        model, settings = pytorch.load(path)
        with torch.no_grad():
            for p in model.parameters(): p /= 2
        want = pytorch.measure(model, settings, pytorch.data.batches(path, settings, RAVEL))[0]
        with open(path, "rb") as f, open("changed.h5", "wb") as g: g.write(f.read())
        with h5py.File("changed.h5", "r+") as f:
            for k, v in model.state_dict().items(): f["model"][k][...] = v
        with h5py.File("weights.h5", "w") as f:
            for k, v in model.state_dict().items(): f["model/" + k] = v
        self.check(ravel("eval", "changed.h5"), 4, "ravel ckpt seal")
        self.check(ravel("ckpt", "seal", "changed.h5", "-o", "a.h5"), 0)
        self.check(ravel("ckpt", "seal", "weights.h5", "--like", path, "-o", "b.h5"), 0)
        self.check(ravel("ckpt", "verify", "a.h5", "b.h5"), 0)
        self.check(ravel("ckpt", "diff", "a.h5", "b.h5"), 0)
        self.assertLess(abs(self.parsed("eval", "--json", "a.h5")["loss"] / want - 1), 1e-5)
        self.check(ravel("train", "run.yaml", "checkpoint.dir=on", "train.max_steps=4", "--resume", "a.h5"), 0)
        self.assertEqual(self.parsed("ckpt", "info", "--json", "on")["step"], 4)

    def test_gradients_of_taggers(self):
        """What a step of plain descent over all sentences at once takes off is the rate times PyTorch's gradient."""
        rate, worst, n = 0.5, 0, 0
        for name, text in KINDS.items():
            if not name.startswith("tags"): continue
            with self.subTest(name):
                self.write("run.yaml", text.replace("{type: adam, lr: 3e-2}", "{type: sgd, lr: %g}" % rate).replace("size: 4", "size: 40"))
                for steps in 0, 1:
                    self.check(ravel("train", "run.yaml", f"checkpoint.dir={name}-{steps}", f"train.max_steps={steps}", "train.replace_rare=0"), 0)
                before, settings = pytorch.load(f"{name}-0/step-000000000.h5")
                after = pytorch.load(f"{name}-1/step-000000001.h5")[0].state_dict()
                batches = list(pytorch.data.batches(f"{name}-0/step-000000000.h5", settings, RAVEL))
                loss = sum(before.nats(before(*words), words[1], y) for *words, y in batches) / sum((y >= 0).sum() for *_, y in batches)
                loss.backward()
                for key, p in before.named_parameters():
                    got = (p.detach() - after[key]) / rate
                    scale = max(float(p.grad.abs().max()), 1e-3)
                    worst, n = max(worst, float((got - p.grad).abs().max()) / scale), n + 1
                    self.assertLess(float((got - p.grad).abs().max()) / scale, 1e-3, key)
                self.assertGreater(max(float(p.grad.abs().max()) for p in before.parameters()), 0.01)
        print(f"gradients of {n} parameters, largest difference {worst:.1e} of the largest element", file=sys.stderr)

    def test_command(self):
        run = os.path.dirname(self.train("lstm", KINDS["lstm"]))
        with open("text", encoding="utf-8-sig") as f: text = f.read()
        self.write("tail", text[int(0.9 * len(text)):])
        said = ravel("eval", run).stdout
        for more in [], ["--text", "tail"]:
            r = subprocess.run([sys.executable, TOOL, run, "--ravel", RAVEL, *more], capture_output=True, text=True)
            self.check(r, 0)
            theirs, ours = (dict(line.split() for line in text.splitlines()) for text in (r.stdout, said))
            self.assertAlmostEqual(float(theirs["loss"]), float(ours["loss"]), delta=2e-6 * float(ours["loss"]) + 1e-6)
            self.assertEqual(theirs["tokens"], ours["tokens"])


if __name__ == "__main__":
    unittest.main()
