#!/usr/bin/env python3
"""Parts, vocabularies and frozen parts of trained models, as the command says them.   cli_init.py RAVEL"""
import os, random, shutil, unittest

from command import LSTM, InAFolder, ravel

PAIRS = """name: %s
task: translation
data: {path: %s, max_length: 12}
tokenizer: %s
model:
  encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 10}
  decoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 16}
  attention: {type: luong}
  embedding_dim: 8
  %s
train: {batch: {size: 100}, max_steps: 4, optimizer: {type: adam, lr: 1e-2}, validate_every: 2}
checkpoint: {every: 2}
metrics: [loss]
"""
TEXT = """name: %s
data: {path: text}
tokenizer: %s
model: """ + LSTM + """
train: {batch: {size: 4, length: 16}, max_steps: 4, optimizer: {type: adam, lr: 1e-2}, validate_every: 2}
checkpoint: {every: 2}
"""
ADDING = """name: adding
task: regression
data: {max_length: 6, generator: adding, valid_examples: 8}
model: {encoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 8}}
train: {batch: {size: 4}, max_steps: 1, optimizer: {type: adam, lr: 1e-2}}
"""
CLASSIFIER = """name: %s
task: classification
data: {path: %s.tsv, max_length: 6, train_fraction: 0.7}
tokenizer: {type: char}
model: {encoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 8}, embedding_dim: 4}
train: {batch: {size: 8}, max_steps: 2, optimizer: {type: adam, lr: 1e-2}, validate_every: 2}
"""


class Init(InAFolder):
    def setUp(self):
        super().setUp()
        random.seed(2)
        for name, letters in ("pairs", "abcde"), ("others", "abcdef"), ("few", "abc"):
            words = ["".join(random.choice(letters) for _ in range(random.randint(2, 7))) for _ in range(60)]
            self.write(name, "".join(f"{w}\t{w[::-1].upper()}\n" for w in words))
        self.write("text", "".join(random.choice(["ABC ", "DE ", "EA\n"]) for _ in range(300)))

    def pairs(self, name, data="pairs", tokenizer="{type: char}", model=""):
        self.write(name + ".yaml", PAIRS % (name, data, tokenizer, model))
        return name + ".yaml"

    def text(self, name, tokenizer="{type: char}"):
        self.write(name + ".yaml", TEXT % (name, tokenizer))
        return name + ".yaml"

    def train(self, *args, code=0, says=()):
        r = ravel("train", *args)
        self.check(r, code, *says)
        return r.stderr

    def test_what_was_taken_is_said(self):
        self.train(self.pairs("a"))
        b = self.pairs("b", model="readout: state")
        said = self.train(b, "init=[{from: runs/a, take: encoder}]", "model.attention.type=none", "--dry-run")
        self.assertRegex(said, r"(?m)^init: encoder of runs/a/best.h5: 9 tensors taken, \d+ parameters$")
        self.assertNotIn("without a place", said)
        said = self.train(b, "init=[{from: runs/a, take: encoder, as: decoder}, {from: runs/a}]", "--dry-run",
                          "model.attention.type=none", code=4, says=["init=.*: init: runs/a/best.h5: .* is of shape"])
        said = self.train(b, "init=[{from: runs/a}]", "model.attention={score: concat}", "model.head_bias=false",
                          "model.readout=null", "--dry-run")
        self.assertRegex(said, "(?m)init: it has, without a place here: head.bias$")
        self.assertRegex(said, "(?m)init: it has nothing for decoder.attention.query.weight, decoder.attention.v$")
        said = self.train(self.pairs("d"), "init=[{from: runs/a, take: decoder.rnn, as: decoder}]", "--dry-run", code=2,
                          says=["nothing of .*best.h5's decoder.rnn has a place in this model's decoder: there is"])

    def test_frozen_parts_are_counted(self):
        a = self.pairs("a")
        r = ravel("train", "--dry-run", a, "train.freeze=[encoder, head]")
        self.check(r, 0)
        self.assertRegex(r.stdout, r"(?m)^parameters        \d+, \d+ of them frozen$")
        as_trained = ", frozen parts counted as if they were trained"
        self.assertRegex(r.stdout, rf"(?m)^FLOPs per step    \S+{as_trained}$")
        self.assertNotIn(as_trained, ravel("train", "--dry-run", a).stdout + ravel("summary", a).stdout)
        self.train(a, "train.freeze=[encoder]", says=[r"a: \d+ parameters, \d+ of them frozen, "])
        for what in [a, "train.freeze=[encoder]"], ["runs/a"]:
            r = ravel("summary", *what)
            self.check(r, 0)
            self.assertRegex(r.stdout, r"(?m)^encoder.embedding .* frozen$")
            self.assertRegex(r.stdout, r"(?m)^frozen  +\d+$")
            self.assertRegex(r.stdout, rf"training takes up to three times as many: .* tokens{as_trained}\.\n")
            self.assertNotRegex(r.stdout, r"(?m)^decoder.* frozen$")
        self.assertIn("  partly frozen\n", ravel("summary", a, "train.freeze=[head.bias]").stdout)
        self.train(a, "train.max_steps=6", "train.freeze=[head]",
                   says=[r"was trained with .*train.freeze \[encoder\] \(from now on \[head\]\)"])
        self.train(a, "train.max_steps=8", says=[r"train.freeze \[head\] \(from now on not given\)"])

    def test_a_trained_run_takes_no_parts(self):
        """`init` that comes or goes is said in words, with what helps."""
        self.train(self.pairs("a"))
        b, init = self.pairs("b"), "init=[{from: runs/a, take: encoder}]"
        self.train(b)
        other = "; put init back, or give the changed experiment another name or checkpoint.dir$"
        self.train(b, init, code=4, says=[
            r"init=.*: runs/b/step-000000004.h5 began without init, and a model takes parts of others only before its "
            "first step" + other])
        self.train(b, init, "name=c")
        self.train(b, "name=c", code=4, says=[
            r"b.yaml: runs/c/step-000000004.h5 began with parts of trained models \(init\), which are now left "
            "out" + other])
        self.check(ravel("eval", "runs/b", init), 2, r"is trained, and began without init, .*: assign no init$")
        self.check(ravel("eval", "runs/c", "init=null"), 2, "is trained, and began with parts of .*: assign no init$")

    def test_a_vocabulary_of_another_run(self):
        """Text of fewer letters, and yet the same ids: parts with tables fit; and the run goes on without the other."""
        for kind in "{type: char, joint: false}", "{type: bpe, vocab_size: 270}":
            shutil.rmtree("runs", ignore_errors=True)
            self.train(self.pairs("a", "others", kind))
            b = self.pairs("b", "few", "{from: runs/a}") # of fewer letters
            said = self.train(b, "init=[{from: runs/a}]", "train.max_steps=2")
            self.assertRegex(said, r"init: all of runs/a/best.h5: \d+ tensors taken")
            self.assertNotIn("it has", said)
            shutil.rmtree("runs/a")
            self.train(b, "init=[{from: runs/a}]", says=["resuming from"])
            self.train(b, "init=[{from: gone}]", "tokenizer.from=gone", "train.max_steps=6", says=["resuming from"])
            self.check(ravel("eval", "runs/b"), 0)
            self.train(b, "init=[{from: x}]", "tokenizer={from: null, type: byte}", code=4,
                       says=["was trained with .*tokenizer.type not given"])

    def test_of_words_rare_ones_are_replaced(self):
        self.train(self.pairs("a", tokenizer="{type: word}"))
        b = self.pairs("b", tokenizer="{from: runs/a}")
        self.train(b)
        with open("runs/b/experiment.yaml") as f: self.assertIn("replace_rare: 0.5\n", f.read())

    def test_a_language_model_of_one_side(self):
        self.train(self.pairs("a", tokenizer="{type: char, joint: false}"))
        self.train(self.text("lm", "{from: runs/a}"), code=2, says=[
            "lm.yaml:3:19: tokenizer.from: runs/a/best.h5 has a vocabulary for each language: say which with token"])
        self.train(self.text("lm", "{from: runs/a, side: src}"), "name=lower", says=["100 % of the tokens are <unk>"])
        self.train(self.text("lm", "{from: runs/a, side: tgt}"), "init=[{from: runs/a, take: head.bias}]")
        self.train(self.pairs("c", tokenizer="{type: char, joint: false}"), "init=[{from: runs/lm, take: head.bias}]")
        self.train(self.pairs("d", tokenizer="{from: runs/lm}")) # its specials came with it
        self.train(self.text("joint", "{from: runs/d}"))
        self.train(self.text("side", "{from: runs/d, side: src}"), code=2, says=[
            "side.yaml:3:19: tokenizer.from: runs/d/best.h5 has a single vocabulary; leave tokenizer.side "
            r"\(side.yaml:3:33\) out$"])

    def test_mistakes(self):
        self.train(self.pairs("a", tokenizer="{type: char, joint: false}"))
        self.train(self.text("lm"))
        self.write("adding.yaml", ADDING)
        self.train("adding.yaml")
        at = r"b.yaml:4:19: tokenizer.from: "
        for tokenizer, model, code, says in (
            ("{from: runs/x}", "", 4, at + "runs/x: there is no such run or checkpoint"),
            ("{from: runs/adding}", "", 4, at + "runs/adding/best.h5 has no vocabulary; take that of a language model"),
            ("{from: runs/lm}", "", 4, at + "runs/lm/best.h5 has no <pad>, <bos> and <eos> in its vocabulary"),
            ("{from: pairs}", "", 4, at + "pairs: "),
            ("{from: runs/a}", "tie_embeddings: all", 2, at + "runs/a/best.h5 has a vocabulary for each language, and"),
            ("{from: runs/a, type: char}", "", 2, "4:27: tokenizer.type does not apply here; .* without tok"),
            ("{from: runs/a, joint: true}", "", 2, "tokenizer.joint does not apply here; .* without tokenizer.from"),
            ("{from: runs/a, side: src}", "", 2, "tokenizer.side does not apply here; .* task language_model"),
            ("{type: char, side: src}", "", 2, "tokenizer.side does not apply here")):
            self.train(self.pairs("b", tokenizer=tokenizer, model=model), code=code, says=[says])

    def classifier(self, name, classes, more=""):
        self.write(name + ".tsv", "".join(f"{c} {i}\t{c}\n" for i in range(40) for c in classes))
        self.write(name + ".yaml", CLASSIFIER % (name, name) + more)
        return name + ".yaml"

    def test_classes_are_not_mixed_up(self):
        self.train(self.classifier("a", ["bad", "fine"]))
        self.train(self.text("lm"))
        at = r"b.yaml:\d+:8: init: runs/"
        b = self.classifier("b", ["bad", "good"], "init: [{from: runs/a, take: head}]\n")
        self.train(b, code=4, says=[at + r"a/best.h5: head.weight is of other classes than this run's; take parts"])
        b = self.classifier("b", ["bad", "good"], "init: [{from: runs/a, take: encoder.rnn}]\n")
        self.train(b, "name=taken", says=["init: encoder.rnn of runs/a/best.h5: 4 tensors taken"])
        b = self.classifier("b", ["bad", "fine"], "init: [{from: runs/a, take: head}]\n")
        self.train(b, "name=same", says=["init: head of runs/a/best.h5: 2 tensors taken"])
        b = self.classifier("b", ["bad", "fine"], "init: [{from: runs/lm}]\n")
        self.train(b, code=4, says=[at + "lm/best.h5: head.weight is of shape \(\d+, \d+\), and this model's head.weight \(2, 8\)"])
        self.train(self.text("c"), "init=[{from: runs/a, take: head}]", code=4,
                   says=[r"runs/a/best.h5: head.weight is of shape \(2, 8\), and this model's head.weight \("])

    def test_a_trained_beginning_is_no_guess(self):
        """A little worse than what it began with has still learnt."""
        self.train(self.classifier("a", ["bad", "fine"]), "train.max_steps=60", "train.validate_every=60")
        worse = ["train.max_steps=1", "train.optimizer.lr=0.05", "init=[{from: runs/a}]"]
        self.assertNotIn("learned nothing", self.train("a.yaml", "name=b", *worse))
        said = self.train("a.yaml", "name=c", "train.optimizer={type: sgd, lr: 1000}", "train.max_steps=6")
        self.assertRegex(said, "learned nothing: .* equal probabilities for all classes would give 0.6931")

    def test_a_classifier_of_a_language_models_vocabulary(self):
        self.train(self.text("lm"))
        self.train(self.classifier("a", ["bad", "fine"]), "tokenizer={from: runs/lm}", code=4, says=[
            "tokenizer.from: runs/lm/best.h5 has no <pad>, <bos> and <eos> in its vocabulary, which classification "
            "needs; leave tokenizer.from out for a vocabulary of its own, or, where both are to have one, train the "
            "language model anew with tokenizer.from a translation or a classifier"])
        # Both ways out lead somewhere.
        self.train("a.yaml", "train.max_steps=0")
        self.train(self.text("shared", "{from: runs/a}"))
        self.train("a.yaml", "name=b", "tokenizer={from: runs/shared}",
                   "init=[{from: runs/shared, take: decoder.embedding, as: encoder.embedding}]",
                   "model.embedding_dim=16", says=["init: decoder.embedding of runs/shared/best.h5 as encoder.embedding: 1 tensors taken"])

    def test_the_keys_are_explained(self):
        r = ravel("config", "explain", "init")
        self.check(r, 0)
        self.assertRegex(r.stdout, r"(?s)^init: parts of .*value:   a list of \{from: RUN, .*keys:\n")
        self.assertRegex(r.stdout, r"(?s)\n    from .*\n    take .*\n    as ")
        explained = ravel("config", "explain", "init.from").stdout
        self.assertIn("value:   a path\n  default: none, must be given\n", explained)
        self.check(ravel("config", "explain", "init.form"), 2, "did you mean 'init.from'")
        self.check(ravel("config", "show", self.pairs("a"), "init=[{from: gone, tak: x}]"), 2,
                   "unknown key 'tak' in init; did you mean 'take'")

    def test_beside_the_file(self):
        self.train(self.pairs("a"))
        os.mkdir("sub")
        shutil.move("runs", "sub/runs")
        self.pairs("sub/b".replace("sub/", ""), tokenizer="{from: runs/a}")
        shutil.move("b.yaml", "sub/b.yaml")
        with open("sub/b.yaml", "a") as f: f.write("init: [{from: runs/a, take: encoder}]\n")
        said = self.train("sub/b.yaml", "--dry-run")
        self.assertIn("tokenizer.from runs/a is not in the working directory; taken: sub/runs/a", said)
        self.assertIn("init.from runs/a is not in the working directory; taken: sub/runs/a", said)

    def test_vectors_of_words(self):
        a = self.classifier("a", ["bad", "fine"])
        os.mkdir("sub")
        self.write("sub/vectors", "bad 1 2 3 4\nFine 1 1 1 1\nother 1 2 3 4\ntwo words 1 2 3 4\n")
        self.write("sub/a.yaml", "include: ../a.yaml\ntokenizer: {type: word}\nmodel: {init: {vectors: vectors}}\n")
        said = self.train("sub/a.yaml", "--dry-run")
        self.assertIn("model.init.vectors vectors is not in the working directory; taken: sub/vectors", said)
        self.assertRegex(said, r"(?m)^model.init.vectors: sub/vectors has 1 of the vocabulary's \d+ words \(1 as they "
                               r"are, 0 in lower case\); 1 of its 4 lines were skipped$")
        self.train("sub/a.yaml")
        os.remove("sub/vectors")
        self.assertNotIn("vectors", self.train("sub/a.yaml", "train.max_steps=4", says=["resuming from"]))
        self.train("sub/a.yaml", "name=b", code=3, says=[
            r"sub/a.yaml:3:25: model.init.vectors \(model.embedding_dim is 4\): vectors: cannot open"])


if __name__ == "__main__":
    unittest.main(verbosity=0)
