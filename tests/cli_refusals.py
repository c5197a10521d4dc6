#!/usr/bin/env python3
"""What would do nothing, or something else than was meant, is refused.   cli_refusals.py RAVEL"""
import hashlib, json, os, subprocess, unittest

from command import BASE, LSTM, RAVEL, WithText, ravel

ADDING_WITHOUT_NORM = """name: nan
task: regression
data: {max_length: 50, generator: adding}
model:
  encoder: {type: transformer, num_layers: 3, hidden_size: 32, num_heads: 2, norm: none}
  pooling: mean
train: {batch: {size: 20}, max_steps: 40, optimizer: {type: sgd, lr: 10}}
"""


CLASSIFIER = """name: classes
task: classification
data:
  dataset: %s
  %s
model: {encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 4}}
train: {batch: {size: 4}, max_steps: 1, optimizer: {type: adam, lr: 1e-2}}
"""

COMPARISON = """compare:
  name: c
  models: {a: lstm.yaml, b: %s}
  budget: {train_steps: 3}
  seeds: [1]
"""


class Refusals(WithText):
    def setUp(self):
        super().setUp()
        self.write("gpt.yaml", BASE % "{decoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 16}}")

    def test_a_trained_model_is_what_it_is(self):
        """An assignment that would do nothing, or make another model of the weights, is refused; others are taken."""
        self.check(ravel("train", "-q", "lstm.yaml"), 0)
        for command in ["eval"], ["generate", "--length", "2"]:
            for key in "tokenizer.type=byte", "model.embedding_dim=8", "model.decoder.cell=gru":
                self.check(ravel(*command, "runs/test", key), 2, key.split("=")[0] + ".*cannot be assigned any more")
            self.check(ravel(*command, "runs/test", "runtime.threads=2"), 0)

    def test_output_that_cannot_be_written(self):
        """The reason is named: of a little, and of more than a buffer holds, part of which fails early."""
        self.check(ravel("train", "-q", "lstm.yaml"), 0)
        self.check(ravel("tokenizer", "train", "--type", "char", "--out", "tok", "text"), 0)
        full_code = {"generate": 3}
        for command in (["--help"], ["--version"], ["help", "train"], ["ckpt", "info", "--help"], ["ckpt", "--help"],
                        ["eval", "-q", "runs/test"], ["generate", "runs/test", "--length", "9000"],
                        ["summary", "-q", "runs/test"], ["probe", "-q", "runs/test", "--json"],
                        ["config", "explain", "train"], ["config", "show", "--resolved", "lstm.yaml"],
                        ["tokenizer", "encode", "tok", "text"], ["ckpt", "info", "--json", "runs/test"],
                        ["report", "-q", "runs/test", "--json"], ["train", "-q", "--dry-run", "lstm.yaml"]):
            with open("/dev/full", "w") as full:
                r = subprocess.run([RAVEL, *command], stdout=full, stderr=subprocess.PIPE, text=True)
            self.assertEqual((r.returncode, r.stderr.splitlines()[-1:]), (full_code.get(command[0], 1), [
                "ravel: cannot write to standard output: No space left on device"]), command)
        for command, file in ((["report", "runs/test", "-o", "page"], "page/report.json"),
                              (["ckpt", "average", "mean.h5", "runs/test/best.h5", "runs/test/best.h5"], "mean.h5"),
                              (["tokenizer", "train", "--type", "char", "--out", "new", "text"], "new")):
            limit = ["bash", "-c", 'ulimit -f 0; exec "$0" "$@"', RAVEL]
            r = subprocess.run([*limit, *command], capture_output=True, text=True)
            self.assertNotEqual(r.returncode, 0)
            self.assertRegex(r.stderr.splitlines()[-1], f"ravel: .*{file}.*: File too large", command)

    def test_a_diverged_model_is_not_measured(self):
        self.write("adding.yaml", ADDING_WITHOUT_NORM)
        self.check(ravel("train", "-q", "adding.yaml"), 5)
        r = ravel("eval", "runs/nan")
        self.check(r, 5, "loss is not a number, because the training diverged")
        self.assertEqual(r.stdout, "")

    def test_options_that_would_do_nothing(self):
        self.write("c.yaml", COMPARISON % "gpt.yaml")
        for more in ["--threads", "1"], ["--threads", "0"], ["--list", "--cell", "1"], ["--list",
                                                                                        "--dry-run"], ["--cell", "1",
                                                                                                       "--jobs", "2"]:
            self.check(ravel("compare", "c.yaml", *more), 2, "--")
        self.assertFalse(os.path.exists("runs"))
        self.write("rows.tsv", "".join(f"text {i}\t{i % 2}\n" for i in range(40)))
        self.write("classes.yaml", CLASSIFIER.replace("dataset: %s", "path: rows.tsv") % "header: false")
        refused = "--length is for language models; %s is of task classification: leave it out"
        self.check(ravel("probe", "classes.yaml", "--length", "5"), 2, refused % "classes.yaml")
        self.write("flow.yaml", COMPARISON.replace("lstm.yaml", "classes.yaml") % "classes.yaml" +
                   "  gradient_flow: {length: 5}\n")
        self.check(ravel("config", "check", "flow.yaml"), 2,
                   "flow.yaml:6:27: compare.gradient_flow.length is for language models, and these are of task class")
        self.assertFalse(os.path.exists("runs"))
        self.check(ravel("train", "-q", "classes.yaml"), 0)
        self.check(ravel("probe", "runs/classes", "--length", "5"), 2, refused % "runs/classes")
        self.check(ravel("tokenizer", "train", "--type", "char", "--out", "tok", "text"), 0)
        self.check(ravel("tokenizer", "encode", "tok", "text", "--type", "word"), 2, "--type goes with 'train'")
        self.check(ravel("tokenizer", "bogus", "--type", "char", "tok"), 2, "unknown action 'bogus'")
        self.check(ravel("tokenizer", "info", "tok", "--whole"), 2, "go with 'encode'")
        self.check(ravel("config", "show", "lstm.yaml", "--train", "x"), 2, "go with 'new'")
        self.check(ravel("train", "-q", "lstm.yaml"), 0)
        self.check(ravel("generate", "runs/test", "-p", "to", "-f", "text"), 2, "give one of them")
        self.check(ravel("generate", "runs/test", "-p", b"to\xe2\x82"), 2, "byte 0xe2 at offset 2 is not valid UTF-8")

    def test_a_comparisons_folder_holds_no_run(self):
        self.write("c.yaml", COMPARISON % "gpt.yaml")
        self.check(ravel("config", "check", "c.yaml"), 0)
        self.check(ravel("compare", "c.yaml"), 0)
        self.check(ravel("compare", "c.yaml"), 0)
        self.check(ravel("train", "lstm.yaml", "checkpoint.dir=runs/c"), 2, "runs/c is the folder of a comparison")
        self.check(ravel("train", "--dry-run", "lstm.yaml", "checkpoint.dir=runs/c"), 2,
                   "runs/c is the folder of a comparison")
        self.check(ravel("train", "-q", "lstm.yaml", "name=own"), 0)
        self.check(ravel("compare", "c.yaml", "compare.name=own"), 2, "runs/own is the folder of a run")
        resume, average = ["train", "lstm.yaml", "--resume", "runs/c"], ["ckpt", "average", "x.h5", "runs/c"]
        for command in resume, average, ["ckpt", "seal", "runs/c", "-o", "x.h5"]:
            self.check(ravel(*command), 4, "runs/c: a folder; name a ")
        self.check(ravel("compare", "c.yaml", "--dry-run", "compare.dir=text/x"), 2,
                   "cannot write in text/x: Not a dir")
        self.check(ravel("compare", "c.yaml", "--dry-run", "compare.tune={lr: [1e-2, 0.01], train_steps: 1}"), 2,
                   "compare.tune.lr lists 0.01 twice")
        empty = "{model.dropout: []}"
        for section in f"compare.settings={empty}", f"compare.tune={{lr: [1], train_steps: 1, settings: {empty}}}":
            self.check(ravel("compare", "c.yaml", "--dry-run", section), 2,
                       "settings: expected a list of values, got an empty list; name one at least")
        self.write("c.yaml", COMPARISON % "absent.yaml")
        self.check(ravel("config", "check", "c.yaml"), 2, "c.yaml:3:.*cannot read absent.yaml")
        self.write("nothing.yaml", "name: a\n")
        nothing = ravel("config", "check", "nothing.yaml")
        self.check(nothing, 2, "data is missing")
        self.assertEqual(len(nothing.stderr.splitlines()), 3, "data, model and train, and no more: " + nothing.stderr)

    def dataset(self, name, roles, text, **how):
        """A data set of these roles, each a file with this text."""
        for folder in f"sets/{name}", f"mirror/{name}": os.makedirs(folder)
        files = []
        for role in roles:
            self.write(f"mirror/{name}/{role}", text)
            digest = hashlib.sha256(text.encode()).hexdigest()
            files.append({"name": role, "url": "https://localhost/" + role, "sha256": digest, "bytes": len(text)})
        manifest = {"name": name, "description": "x", "licence": "y", "files": files, "roles": {r: r for r in roles}}
        self.write(f"sets/{name}/manifest.json", json.dumps({**manifest, **how}))

    def test_fractions_of_a_data_set_that_has_parts(self):
        """Rows of a data set with files of its own are not held back: a fraction has no effect, which is said once."""
        env = {**os.environ, "RAVEL_DATASETS": os.path.abspath("sets"), "RAVEL_DATA_MIRROR": os.path.abspath("mirror"),
               "RAVEL_DATA": os.path.abspath("cache")}
        rows = "".join(f"text {i}\t{i % 2}\n" for i in range(40))
        train, test = "train_fraction: 0.5", "test_fraction: 0.15"
        has = r"c.yaml:5:\d+: data.%s_fraction has no effect: the data set %s has a file of its own to %s on"
        for roles, given, warned in ((["train", "valid"], train, ("train", "validate")),
                                     (["train", "valid"], test, ("test", "validate")),
                                     (["train", "valid", "test"], test, ("test", "test")),
                                     (["train", "test"], test, ("test", "test")),
                                     (["train", "test"], train, None), (["table"], train, None),
                                     (["table"], test, None), (["train", "valid"], "header: false", None)):
            name = "-".join(roles + [given[:4]])
            self.dataset(name, roles, rows, format="tsv")
            self.write("c.yaml", CLASSIFIER % (name, given))
            r = ravel("train", "c.yaml", f"checkpoint.dir=runs/{name}", env=env)
            self.check(r, 0, *([has % (warned[0], name, warned[1])] if warned else []))
            self.assertEqual(r.stderr.count("has no effect"), 1 if warned else 0, r.stderr)
            for again in ["train", "c.yaml", f"checkpoint.dir=runs/{name}"], ["eval", f"runs/{name}"]:
                r = ravel(*again, env=env)
                self.check(r, 0)
                self.assertNotIn("has no effect", r.stderr)
        with open("text") as f: self.dataset("parts", ["train", "valid"], f.read(), format="text")
        self.write("lm.yaml", (BASE % LSTM).replace("path: text", "dataset: parts, train_fraction: 0.5"))
        self.check(ravel("train", "lm.yaml", env=env), 0,
                   r"lm.yaml:2:\d+: data.train_fraction has no effect: the data set parts has a file of its own to tr")
        self.check(ravel("train", "lm.yaml", "name=b", "data.test_fraction=0.1", env=env), 2,
                   "data.test_fraction=0.1': data.test_fraction is of a single text, and data set parts has parts of it")

    def test_a_refused_run_leaves_nothing(self):
        """No lock, no folder; of a folder that was there, what was in it."""
        for more in ["data.path=none"], ["train.batch.length=100000"], ["init=[{from: none}]"]:
            for name in "runs/refused", "here", "deep/er/run", os.path.abspath("runs/refused"):
                r = ravel("train", "lstm.yaml", f"checkpoint.dir={name}", *more)
                self.assertIn(r.returncode, (2, 3, 4), r.stderr)
                self.assertEqual(sorted(os.listdir()), ["gpt.yaml", "lstm.yaml", "text"])
        self.write("c.yaml", COMPARISON % "{file: gpt.yaml, set: {data.path: none}}")
        self.check(ravel("compare", "c.yaml"), 3, "none: cannot open")
        self.assertFalse(os.path.exists("runs"))
        for left in "here", "runs": os.mkdir(left)
        self.write("here/notes", "mine")
        for name in "here", "runs/refused": ravel("train", "lstm.yaml", "data.path=none", f"checkpoint.dir={name}")
        self.assertEqual((os.listdir("here"), os.listdir("runs")), (["notes"], []))
        # A file size limit is found before training, as a full disk is, when all the other files are there.
        limit = 'ulimit -f 8; exec "$1" train -q lstm.yaml checkpoint.dir=full'
        r = subprocess.run(["bash", "-c", limit, "bash", RAVEL], capture_output=True, text=True)
        self.check(r, 4, "saving was tried before training")
        self.assertFalse(os.path.exists("full"))
        # A run that has begun keeps all.
        self.check(ravel("train", "-q", "lstm.yaml"), 0)
        before = sorted(os.listdir("runs/test"))
        self.check(ravel("train", "-q", "lstm.yaml", "data.path=none"), 3)
        self.assertEqual(sorted(os.listdir("runs/test")), before)

    def test_carried_states_of_another_batch(self):
        carried = "train.batch={size: %d, length: 16, sampling: contiguous}"
        self.check(ravel("train", "-q", "lstm.yaml", carried % 4), 0)
        self.check(ravel("train", "lstm.yaml", carried % 8, "train.max_steps=30"), 4,
                   "carries is of 4 sequences, and a batch is now of 8; set train.batch back")

    def test_epochs_of_a_comparisons_model_give_way_to_its_budget(self):
        self.write("c.yaml", COMPARISON % "{file: gpt.yaml, set: {train.epochs: 2, train.max_steps: null}}")
        self.check(ravel("config", "check", "c.yaml"), 0)
        self.check(ravel("compare", "c.yaml"), 0)
        with open("runs/c/cells/b-s1/experiment.yaml") as f: self.assertRegex(f.read(), "(?m)^  max_steps: 3$")


if __name__ == "__main__":
    unittest.main(verbosity=0)
