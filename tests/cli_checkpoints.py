#!/usr/bin/env python3
"""Checkpoints that do not belong together, and runs that go on with other settings.   cli_checkpoints.py RAVEL"""
import os, random, re, unittest

from command import InAFolder, beside_unknown, ravel

EXPERIMENT = """name: a
data: {path: a.txt}
tokenizer: {type: word}
model: {decoder: {type: rnn, cell: gru, hidden_size: 16}, embedding_dim: 8}
train: {batch: {size: 4, length: 8}, max_steps: 20, optimizer: {type: adam, lr: 1e-2}, validate_every: 20, lr_scheduler: {type: cosine}}
"""


class Checkpoints(InAFolder):
    def setUp(self):
        super().setUp()
        random.seed(1)
        for name, words in ("a", "alpha beta gamma delta"), ("b", "beta gamma delta omega"):
            self.write(name + ".txt", " ".join(random.choice(words.split()) for _ in range(3000)))
        self.write("a.yaml", EXPERIMENT)
        self.check(ravel("train", "-q", "a.yaml"), 0)

    def test_only_checkpoints_of_one_model_are_averaged(self):
        self.check(ravel("ckpt", "average", "same.h5", "runs/a/best.h5", "runs/a/step-000000020.h5"), 0)
        self.check(ravel("ckpt", "average", "same.h5", "runs/a/best.h5"), 4, "exists already")
        # Each has the shapes of the first model.
        for name, change, told in (("words", "data.path=b.txt", r"different vocabularies \(/tokenizer/vocab, from line \d+ on"),
                                   ("reset", "model.decoder.gru_reset=before", r"model.decoder.gru_reset after \(there before\)"),
                                   ("form", "tokenizer.normalization=nfc", r"tokenizer.normalization none \(there nfc\)"),
                                   ("lower", "tokenizer.lowercase=true", r"tokenizer.lowercase false \(there true\)")):
            self.check(ravel("train", "-q", "a.yaml", "name=" + name, change), 0)
            self.check(ravel("ckpt", "average", "mean.h5", "runs/a/best.h5", f"runs/{name}/best.h5"), 4, "runs/a/best.h5 and runs/" + name, told)
            self.assertFalse(os.path.exists("mean.h5"))

    def test_all_changed_settings_are_named(self):
        other = ["seed=4", "model.embedding_dim=12", "tokenizer.lowercase=true"]
        self.check(ravel("train", "a.yaml", *other), 4, r"seed 1 \(the experiment says 4\)", r"model.embedding_dim 8 \(the experiment says 12\)",
                   r"tokenizer.lowercase false \(the experiment says true\)")
        r = ravel("train", "a.yaml", "train.max_steps=24", "train.clip_grad_norm=3", "train.log_every=7",
                  "train.early_stopping={metric: loss, mode: min, patience: 3}")
        self.check(r, 0, r"train.max_steps 20 \(from now on 24\)", r"train.clip_grad_norm 0 \(from now on 3\)", r"train.log_every \d+ \(from now on 7\)",
                   r"train.early_stopping.metric not given \(from now on loss\)")

    def test_a_jump_of_the_learning_rate_is_told(self):
        r = ravel("train", "a.yaml", "train.max_steps=400", "checkpoint.every=1000")
        self.check(r, 0)
        after, before = map(float, re.search(r"the learning rate of step 21 is ([0-9.e-]+); by the settings .* it would be ([0-9.e-]+)", r.stderr).groups())
        self.assertEqual(before, 0)
        self.assertAlmostEqual(after, 0.00993, places=4)
        self.write("b.yaml", EXPERIMENT.replace("cosine", "constant"))
        self.check(ravel("train", "-q", "b.yaml", "name=constant"), 0)
        self.assertNotIn("learning rate", ravel("train", "b.yaml", "name=constant", "train.max_steps=22").stderr)

    def test_nothing_learned_is_told(self):
        told = r"(?m)warning: the model has learned nothing: at the end its validation loss is [0-9.e+]+, and .*; likely causes: train.optimizer.lr "
        self.check(ravel("train", "a.yaml", "name=wild", "train.optimizer.lr=1000"), 0, "done: step 20",
                   told + r"1000, train.clip_grad_norm 0 \(off\), no warm-up$")
        self.assertNotIn("learned nothing", ravel("train", "a.yaml", "name=few", "train.max_steps=1").stderr)
        norms = ["model.encoder=!replace {type: transformer, num_layers: 3, num_heads: 2, hidden_size: 16, norm: none}", "train.clip_grad_norm=1"]
        self.write("reg.yaml",
                   "name: reg\ntask: regression\ndata: {generator: adding, max_length: 10}\n"
                   "model: {encoder: {type: rnn, cell: lstm, hidden_size: 8}, pooling: last}\n"
                               "train: {batch: {size: 10}, max_steps: 20, optimizer: {type: sgd, lr: 1e-2}, validate_every: 10}\n")
        self.assertNotIn("learned nothing", ravel("train", "reg.yaml").stderr)
        self.check(ravel("train", "reg.yaml", "name=norms", "train.optimizer.lr=1", *norms), 0,
                   told + "1, no warm-up, model.encoder.norm none$")
        self.check(ravel("train", "reg.yaml", "name=nan", "train.optimizer.lr=100", norms[0]), 5,
                   r"step \d+ diverged: the (gradient|loss) .*Likely causes: train.optimizer.lr 100, train.clip_grad_norm 0 \(off\), no warm-up, model.encoder.norm none\. Nothing")

    def test_what_is_not_finite_is_null(self):
        self.check(ravel("train", "-q", "a.yaml", "name=wild", "train.optimizer.lr=1000"), 0)
        e = self.parsed("eval", "--json", "runs/wild")
        self.assertGreater(e["loss"], 710)
        self.assertIsNone(e["ppl"])

    def test_data_that_changed_since_are_told(self):
        told = ("runs/a/best.h5 was trained on other data: the text of data.path a.txt, or how it is cut into parts, "
                "has changed since")
        self.assertEqual(beside_unknown(ravel("eval", "runs/a").stderr), [])
        self.check(ravel("eval", "runs/a", "data.path=b.txt"), 0)
        self.assertEqual(beside_unknown(ravel("eval", "runs/a", "data.path=b.txt").stderr), [])
        with open("a.txt", "a") as f: f.write(" alpha alpha")
        for command in "eval", "probe": self.check(ravel(command, "runs/a"), 0, "warning: " + told)
        self.assertEqual(ravel("summary", "runs/a").stderr, "")  # it reads no data

    def test_data_are_found_from_elsewhere(self):
        here = os.getcwd()
        want = self.parsed("eval", "--json", "runs/a")["loss"]
        os.mkdir("below")
        os.chdir("below")
        for command in "eval", "probe":
            self.check(ravel(command, "../runs/a"), 0,
                       f"(?m)^data.path a.txt is not in the working directory; taken: {here}/a.txt$")
        self.assertEqual(self.parsed("eval", "--json", f"{here}/runs/a/best.h5")["loss"], want)
        self.check(ravel("eval", "../runs/a", "data.path=a.txt"), 3,
                   "a.txt")  # the command line's paths are the working directory's
        self.check(ravel("train", "../a.yaml", "train.max_steps=20"), 0,
                   "(?m)^data.path a.txt is not in the working directory; taken: ../a.txt$")
        self.assertEqual(self.parsed("eval", "--json", "runs/a")["loss"], want)
        self.check(ravel("train", "../a.yaml"), 0, "the run is complete")
        os.rename("../runs/a", "../moved")
        self.check(ravel("eval", "../moved"), 3, "a.txt",
                   "relative to the folder that it was trained in: go there, or give data.path=FILE")
        self.check(ravel("eval", "../moved", "data.path=../a.txt"), 0)
        os.chdir("..")
        self.assertEqual(beside_unknown(ravel("eval", "moved").stderr), [])

    def test_no_other_step_stands_for_a_damaged_one(self):
        self.check(ravel("train", "-q", "a.yaml", "name=hurt", "train.max_steps=30", "train.validate_every=10",
                         "checkpoint.every=10"), 0)
        best, latest = "runs/hurt/step-000000020.h5", "runs/hurt/step-000000030.h5"
        os.remove("runs/hurt/best.h5")
        os.symlink(os.path.basename(best), "runs/hurt/best.h5")
        said = ravel("eval", "runs/hurt", "--split", "train").stdout
        self.assertRegex(said, r"^checkpoint +runs/hurt/best.h5\nstep +20\nsplit +train\nloss +\d")
        with open(best, "r+b") as f:
            f.seek(-9, 2)
            f.write(b"?")
        commands = ["eval"], ["probe"], ["summary"], ["generate"], ["eval", "--json"], ["report"]
        for args in commands:
            r = ravel(*args, "runs/hurt")
            self.check(r, 4, "best.h5", f"to use the latest good checkpoint instead, name it: {latest}")
            self.assertEqual(r.stdout, "")
        self.assertIn(latest, ravel("eval", latest).stdout)
        os.rename(best, "moved")  # the link's file is gone
        for args in commands: self.check(ravel(*args, "runs/hurt"), 4, "best.h5", f"name it: {latest}")
        os.remove("runs/hurt/best.h5")
        self.assertIn(latest, ravel("eval", "runs/hurt").stdout)
        with open(latest, "r+b") as f: f.truncate(1000)
        for args in commands[:-1]: self.check(ravel(*args, "runs/hurt"), 4, latest, "name it: ")
        self.check(ravel("report", "runs/hurt"), 0, "passing over a bad checkpoint", "the run is not finished")

    def test_a_comparisons_folder_is_no_run(self):
        os.makedirs("runs/c/cells/b-s1")
        for args in (["generate"], ["probe"], ["eval"], ["ckpt", "info"], ["ckpt", "verify"]):
            self.check(ravel(*args, "runs/c"), 4, "runs/c is the folder of a comparison; name one of its cells once it is trained")
        os.rename("runs/a", "runs/c/cells/a-s1")
        for args in (["generate"], ["probe"], ["eval"], ["ckpt", "info"], ["ckpt", "verify"]):
            self.check(ravel(*args, "runs/c"), 4, "runs/c is the folder of a comparison; name one of its cells, such as runs/c/cells/a-s1")
        os.mkdir("runs/empty")
        self.check(ravel("eval", "runs/empty"), 4, "runs/empty holds no checkpoint; train first")
        self.check(ravel("compare", "a.yaml", "--json"), 2, "--json goes with --list")

    def test_a_whole_checkpoint_is_sealed_like_its_own_model_alone(self):
        for v in "ab", "cd":
            self.write(v, f"{v[0]} {v[1]} {v}\n" * 300)
            self.check(ravel("train", "-q", "a.yaml", f"name={v}", f"data.path={v}", "train.max_steps=2"), 0)
        self.check(ravel("ckpt", "seal", "runs/cd/best.h5", "--like", "runs/ab/best.h5", "-o", "new.h5"), 4,
                   "have different vocabularies")
        self.assertFalse(os.path.exists("new.h5"))
        self.check(ravel("ckpt", "seal", "runs/ab/best.h5", "--like", "runs/ab/best.h5", "-o", "new.h5"), 0)

    def test_only_differences_are_printed(self):
        same = ravel("ckpt", "diff", "runs/a/best.h5", "runs/a/step-000000020.h5")
        self.check(same, 0)
        self.assertRegex(same.stdout, r"^all \d+ items are equal\n$")
        self.check(ravel("train", "-q", "a.yaml", "name=more", "train.max_steps=21"), 0)
        other = ravel("ckpt", "diff", "runs/a/best.h5", "runs/more/best.h5")
        self.check(other, 6, r"\d+ of \d+ items differ")
        self.assertNotRegex(other.stdout, "(?m)^equal")
        self.assertIn("/trainer/running_loss", other.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=1)
