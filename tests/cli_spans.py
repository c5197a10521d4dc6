#!/usr/bin/env python3
"""One text, read in different ways: models are compared on its bytes.   cli_spans.py RAVEL"""
import json, math, random, shutil, unittest

from command import InAFolder, ravel

EXPERIMENT = """name: lm
data: {train: train.txt, valid: valid.txt, test: test.txt}
tokenizer: {type: char}
model: {decoder: {type: rnn, cell: gru, hidden_size: 24}, embedding_dim: 12}
train: {batch: {size: 4, length: 16, sampling: contiguous}, max_steps: 40, optimizer: {type: adam, lr: 1e-2},
        validate_every: 20}
metrics: [loss, bpb]
"""
GPT = EXPERIMENT.replace("{decoder: {type: rnn, cell: gru, hidden_size: 24}, embedding_dim: 12}",
                         "{decoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 16}}") \
                .replace("length: 16, sampling: contiguous", "length: 32").replace("size: 4", "size: 2")
COMPARISON = """compare:
  name: cuts
  models:
    carried: lm.yaml
    windows: gpt.yaml
    pieces: {file: lm.yaml, set: {tokenizer: {type: bpe, vocab_size: 280}}}
    bytes: {file: lm.yaml, set: {tokenizer.type: byte}}
    words: {file: lm.yaml, set: {tokenizer.type: word}}
    rare: {file: lm.yaml, set: {tokenizer.type: word, tokenizer.min_frequency: 60}}
    lower: {file: lm.yaml, set: {tokenizer.lowercase: true}}
  seeds: [1, 2]
  budget: {train_tokens: 2560}
  report: {resamples: 300}
"""


TWO = """compare:
  name: %s
  models: {gru: lm.yaml, gpt: gpt.yaml}
  seeds: [1, 2]
  budget: {train_steps: 2}
"""


class Spans(InAFolder):
    def setUp(self):
        super().setUp()
        random.seed(4)
        words = ["".join(random.choice("abcdef\u00e9") for _ in range(random.randint(2, 6))) for _ in range(40)]
        for part, n in ("train", 400), ("valid", 30), ("test", 30):
            self.text = "".join(" ".join(random.choice(words) for _ in range(7)).capitalize() + "\n" for _ in range(n))
            self.write(part + ".txt", self.text)
        self.write("lm.yaml", EXPERIMENT)
        self.write("gpt.yaml", GPT)

    def examples(self, model):
        with open(f"runs/cuts/cells/{model}-s1/examples.jsonl") as f: return [json.loads(line) for line in f]

    def verdict(self, metric, a, b):
        part = next(q for q in self.report["quality"] if q["metric"] == metric)
        return next((p["verdict"], p["why"]) for p in part["pairs"] if (p["a"], p["b"]) == (a, b))

    def test_different_cuts_of_one_text(self):
        self.write("cuts.yaml", COMPARISON)
        self.check(ravel("compare", "cuts.yaml"), 0)
        with open("runs/cuts/report.json") as f: self.report = json.load(f)
        get = lambda line, key: line.get(key, 0)
        part = self.text.encode()
        spans = -(-len(part) // 64) # a short text
        for model in "carried", "windows", "pieces", "bytes", "words", "lower":
            lines = self.examples(model)
            self.assertEqual(len(lines), spans, model)
            # Every span has all of its bytes, but for the first token, which nothing predicts.
            self.assertTrue(all(get(line, "bytes") == 64 for line in lines[1:-1]), model)
            total = {key: sum(get(line, key) for line in lines) for key in ("bytes", "tokens", "nats")}
            self.assertLess(len(part) - total["bytes"], 10, model)
            measured = self.parsed("eval", "--json", "--split", "test", f"runs/cuts/cells/{model}-s1")
            self.assertEqual(total["tokens"], measured["tokens"], model)
            self.assertAlmostEqual(total["nats"] / total["tokens"], measured["loss"], delta=1e-8 * measured["loss"])
            self.assertAlmostEqual(total["nats"] / total["bytes"] / math.log(2), measured["bpb"],
                                   delta=1e-8 * measured["bpb"])
        # Characters that are read with and without a carried state are the same tokens; all others differ in them.
        self.assertNotEqual(self.verdict("loss", "carried", "windows")[0], "no verdict")
        self.assertNotEqual(self.verdict("bpb", "carried", "windows")[0], "no verdict")
        for other in "pieces", "bytes", "words":
            verdict, why = self.verdict("loss", "carried", other)
            self.assertEqual(verdict, "no verdict")
            self.assertRegex(why, "over tokens do not compare")
            verdict, why = self.verdict("bpb", "carried", other)
            self.assertNotEqual(verdict, "no verdict", why)
            length = len(part) / len(self.text)
            self.assertIn(f"not as much text: a token of carried is {length:.2f} bytes long, of {other} ", why)
        self.assertEqual(self.verdict("bpb", "carried", "rare")[0], "no verdict")
        self.assertRegex(self.verdict("bpb", "carried", "rare")[1],
                         "rare has unknown words, and <unk> does not say their letters")
        self.assertRegex(self.verdict("bpb", "carried", "lower")[1], "different texts")
        shown = ravel("compare", "cuts.yaml").stdout
        self.assertRegex(shown, r"(?m)^  rare +-$")
        with open("runs/cuts/report.html") as f: page = f.read()
        self.assertIn("bits per byte: differences of pairs", page)
        # What nobody asked for and differs nonetheless, among those models to which it applies.
        differ = [d for d in self.report["differences"] if len({v for v in d["values"] if v is not None}) > 1]
        unasked = [d["key"] for d in differ if d["asked"] is False]
        self.assertEqual(unasked, ["model.tie_embeddings", "model.head_bias", "model.init.embedding_std"])
        self.assertIn("the models differ in " + ", ".join(unasked) + ", too", page)
        self.assertTrue({"tokenizer.type", "model.decoder.type", "model.embedding_dim",
                         "train.batch.length"} <= {d["key"] for d in differ if d["asked"]})

    def test_data_that_changed_between_seeds(self):
        self.write("same.yaml", TWO % "same")
        self.check(ravel("compare", "same.yaml"), 0)
        with open("train.txt", "a") as f: f.write("And more of it.\n")
        shutil.rmtree("runs/same/cells/gpt-s2")
        self.check(ravel("compare", "same.yaml"), 0)
        with open("runs/same/report.json") as f: self.report = json.load(f)
        self.assertEqual(self.verdict("bpb", "gru", "gpt")[0], "no verdict")
        self.assertIn("the data changed between gpt with seed 1 and gpt with seed 2",
                      self.verdict("bpb", "gru", "gpt")[1])

        # All of one model's runs after the change, none of the other's.
        shutil.rmtree("runs/same/cells/gpt-s1")
        self.check(ravel("compare", "same.yaml"), 0)
        with open("runs/same/report.json") as f: self.report = json.load(f)
        self.assertIn("the data changed between gru with seed 1 and gpt with seed 1",
                      self.verdict("bpb", "gru", "gpt")[1])

    def test_other_data_for_each_seed_is_no_change(self):
        for seed in 1, 2: shutil.copy("train.txt", f"train-{seed}.txt")
        with open("train-2.txt", "a") as f: f.write("And more of it.\n")
        for name in "lm.yaml", "gpt.yaml":
            with open(name) as f: text = f.read()
            self.write(name, text.replace("train: train.txt", 'train: "train-${seed}.txt"'))
        self.write("seeds.yaml", TWO % "seeds")
        self.check(ravel("compare", "seeds.yaml"), 0)
        with open("runs/seeds/report.json") as f: self.report = json.load(f)
        self.assertNotIn("changed", self.verdict("bpb", "gru", "gpt")[1])

    def test_lengths_are_not_of_spans(self):
        self.write("bins.yaml", TWO % "bins" + "  quality: {length_bins: [10, 20]}\n")
        self.check(ravel("compare", "bins.yaml"), 2,
                   "bins.yaml:6:.*length_bins: .*language models are spans of a text, which have no length")

    def test_measures_of_an_earlier_version(self):
        """Windows, without bytes: measured again where that is possible, named where not."""
        self.check(ravel("train", "-q", "lm.yaml"), 0)
        self.check(ravel("report", "runs/lm"), 0)
        with open("runs/lm/examples.jsonl") as f: now = f.read()
        with open("runs/lm/measured.json") as f: measured = json.load(f)
        del measured["text"]
        with open("runs/lm/measured.json", "w") as f: json.dump(measured, f)
        with open("runs/lm/examples.jsonl",
                  "w") as f: f.write('{"i":0,"source_tokens":9,"source_words":0,"tokens":9,"nats":20.5,"correct":1}\n')
        self.check(ravel("report", "runs/lm"), 0)
        with open("runs/lm/examples.jsonl") as f: self.assertEqual(f.read(), now)

    def test_what_was_asked_for_is_no_surprise(self):
        self.write("asked.yaml", """compare:
  name: asked
  models: {gru: lm.yaml, gpt: {file: gpt.yaml, set: {model.tie_embeddings: false, model.init.embedding_std: 1}}}
  seeds: [1]
  budget: {train_steps: 2}
""")
        self.check(ravel("compare", "asked.yaml"), 0)
        with open("runs/asked/report.html") as f: self.assertNotIn("Not asked for", f.read())

    def test_rates_of_other_tokens_are_not_compared(self):
        """Losses per token of trials say nothing across vocabularies, neither beside the verdict nor on one axis."""
        self.write("rates.yaml", """compare:
  name: rates
  models: {chars: lm.yaml,
           pieces: {file: lm.yaml, set: {tokenizer: {type: bpe, vocab_size: 262}, model.decoder.hidden_size: 4}}}
  seeds: [1, 2, 3]
  budget: {train_tokens: 7680}
  tune: {lr: [1e-5, 1e-2, 1], train_steps: 120}
""")
        self.check(ravel("compare", "rates.yaml"), 0)
        with open("runs/rates/report.json") as f: self.report = json.load(f)
        self.assertIn(self.verdict("bpb", "chars", "pieces")[0], ("a", "b"))
        self.assertNotIn("one step on the grid", self.verdict("bpb", "chars", "pieces")[1])
        with open("runs/rates/report.html") as f: page = f.read()
        self.assertIn("over the model&#39;s best" if "&#39;" in page else "over the model's best", page)
        self.assertIn("Rates tried whose loss is within", page)

    def test_bits_per_byte_of_every_part(self):
        self.check(ravel("train", "-q", "lm.yaml", "tokenizer.type=byte"), 0)
        for part in "train", "valid", "test":
            m = self.parsed("eval", "--json", "--split", part, "runs/lm")
            self.assertAlmostEqual(m["bpb"], m["loss"] / math.log(2), delta=1e-6)
        stopped = ravel("train", "lm.yaml", "name=stop", "train.early_stopping={metric: bpb, mode: min, patience: 3}")
        self.check(stopped, 0, "best validation bpb")
        self.check(ravel("train", "lm.yaml", "name=no", "tokenizer={type: word, min_frequency: 60}",
                         "train.early_stopping={metric: bpb, mode: min, patience: 3}"),
                   3, "early_stopping.metric bpb: .* unknown words")


if __name__ == "__main__":
    unittest.main(verbosity=0)
