#!/usr/bin/env python3
"""Models of words, some of which they do not know.   cli_words.py RAVEL"""
import json, os, random, unittest

from command import InAFolder, ravel

EXPERIMENT = """name: w
data: {train: train.txt, valid: valid.txt}
tokenizer: {type: word}
model: {decoder: {type: rnn, cell: gru, hidden_size: 16}, embedding_dim: 8}
train: {batch: {size: 8, length: 8}, max_steps: 200, optimizer: {type: adam, lr: 1e-2}, validate_every: 200}
metrics: [bpc]
"""


class Words(InAFolder):
    """Every tenth word is a name that occurs once."""
    def setUp(self):
        super().setUp()
        random.seed(1)
        names = iter(range(10000))
        word = lambda: f"Name{next(names)}" if random.random() < 0.1 else random.choice("the a of to in".split())
        for part, n in ("train", 4000), ("valid", 400):
            self.write(part + ".txt", " ".join(word() for _ in range(n)))
        with open("valid.txt") as f: self.unknown = sum(w.startswith("Name") for w in f.read().split())
        self.write("w.yaml", EXPERIMENT)

    def train(self, *settings):
        r = ravel("train", "w.yaml", *settings)
        self.check(r, 0)
        e = ravel("eval", "--json", "runs/w")
        self.check(e, 0)
        return json.loads(e.stdout), r.stderr, e.stderr

    def test_unknown_words_have_a_trained_token(self):
        """Their cost is that of a name, not that of a token which training never saw."""
        told = f"validation part: {100 * self.unknown / 400:.3g} % of the tokens are <unk> ({self.unknown} of 400)"
        trained, said, also = self.train()
        self.assertIn(told, said)
        self.assertIn(told, also)
        self.assertNotIn("training part", said)
        self.check(ravel("train", "-q", "w.yaml", "name=never", "train.replace_rare=0"), 0)
        never = json.loads(ravel("eval", "--json", "runs/never").stdout)
        self.assertLess(trained["loss"], never["loss"] - 0.3)

    def test_no_bits_per_character_of_unknown_words(self):
        """<unk> does not encode the letters that it stands for."""
        measured, said, also = self.train()
        self.assertIn("bpc is not measured", also)
        self.assertIsNone(measured["bpc"])
        self.assertRegex(said, "bpc is not measured: the validation part has unknown words")
        watched = ravel("train", "w.yaml", "name=watch", "train.early_stopping={metric: bpc, mode: min, patience: 3}")
        self.check(watched, 3, "early_stopping.metric bpc: the validation part has unknown words")
        self.check(ravel("train", "-q", "w.yaml", "name=all", "data=!replace {path: train.txt}",
                         "tokenizer.type=char"), 0)
        self.assertIn("bpc", json.loads(ravel("eval", "--json", "runs/all").stdout))


    def test_unknown_is_never_generated_nor_left_out(self):
        """Not as the token that a text begins with either; what cannot be measured is null."""
        self.check(ravel("train", "-q", "w.yaml", "name=rare", "tokenizer.min_frequency=300"), 0)
        for seed in range(1, 9):
            r = ravel("generate", "runs/rare", "--no-unk", "--length", "5", "--seed", str(seed))
            self.check(r, 0)
            self.assertNotIn("<unk>", r.stdout)
        self.assertTrue(any("<unk>" in ravel("generate", "runs/rare", "--length", "5", "--seed",
                                             str(s)).stdout for s in range(1, 9)))
        m = self.parsed("eval", "--json", "runs/rare")
        self.assertIsNone(m["bpc"])
        letters = ravel("train", "w.yaml", "name=letters", "tokenizer={type: char, min_frequency: 500}")
        self.check(letters, 0,
                   "bpc is not measured: .* unknown characters, whose letters <unk> does not say "
                   ".tokenizer.type bpe and byte")

    def test_blanks_that_words_do_not_say_are_no_characters(self):
        """The same words ten blanks apart have the same bits per character and byte."""
        measured = []
        with open("train.txt") as f: words = " ".join(w for w in f.read().split() if not w.startswith("Name"))
        for name, blank in ("one", " "), ("ten", " " * 10):
            for part in "train", "valid": self.write(f"{name}-{part}", words.replace(" ", blank) + blank)
            self.check(ravel("train", "-q", "w.yaml", f"name={name}",
                             f"data={{train: {name}-train, valid: {name}-valid}}",
                             "train.max_steps=20", "metrics=[bpc, bpb]"), 0)
            measured.append(self.parsed("eval", "--json", f"runs/{name}"))
        for key in "loss", "bpc", "bpb": self.assertEqual(measured[0][key], measured[1][key], key)


if __name__ == "__main__":
    unittest.main(verbosity=0)
