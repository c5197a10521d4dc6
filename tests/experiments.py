#!/usr/bin/env python3
"""Experiments by name, and new ones from templates.   experiments.py RAVEL"""
import os, tempfile, unittest

from command import BASE, LSTM, Command, ravel


class Named(Command):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.addCleanup(self.tmp.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.tmp.name)
        os.environ.pop("RAVEL_EXPERIMENTS", None)

    def experiment(self, path, text=BASE % LSTM, root="experiments"):
        os.makedirs(os.path.dirname(f"{root}/{path}"), exist_ok=True)
        self.write(f"{root}/{path}.yaml", text)

    def test_what_a_name_stands_for(self):
        self.write("text", "to be or not to be " * 100)
        self.experiment("one/only")
        self.experiment("own/own", "# its own\n" + BASE % LSTM)
        self.experiment("own/other")
        self.experiment("many/a")
        self.experiment("many/b")
        self.experiment("many/compare", "compare: {name: many, models: {a: a.yaml, b: b.yaml}, budget: {train_steps: 2}}\n")
        for name, file in ("one", "one/only"), ("own", "own/own"), ("many/b", "many/b"):
            shown = ravel("config", "show", name)
            self.check(shown, 0)
            self.assertEqual(shown.stdout, ravel("config", "show", f"experiments/{file}.yaml").stdout)
            self.check(ravel("config", "check", name), 0)
            self.check(ravel("summary", name), 0)
            self.check(ravel("probe", name, "--length", "4"), 0)
        self.check(ravel("train", "-q", "own", "train.max_steps=2"), 0)
        self.assertTrue(os.path.exists("runs/test/experiment.yaml"))
        self.check(ravel("train", "many"), 2, r"several experiments; name one of many/a, many/b; all together: ravel compare many$")
        self.check(ravel("compare", "many", "--quiet"), 0)
        self.assertTrue(os.path.exists("runs/many/report.html"))
        self.assertEqual(ravel("compare", "many/compare", "--list").stdout, ravel("compare", "experiments/many/compare.yaml", "--list").stdout)
        self.check(ravel("compare", "one"), 2, "experiments/one has no comparison; there are: one/only$")
        listed = ravel("config", "list")
        self.check(listed, 0)
        self.assertEqual([l.split()[0] for l in listed.stdout.splitlines()], ["many/a", "many/b", "many/compare", "one/only", "own/other", "own/own"])
        self.assertIn(" its own\n", listed.stdout)

    def test_mistaken_names(self):
        self.experiment("quickstart/gru")
        self.experiment("quickstart/lstm")
        self.experiment("depth/deep")
        self.check(ravel("train", "quikstart"), 2, "no experiment 'quikstart' in experiments or /.*; did you mean 'quickstart'")
        self.check(ravel("train", "nothing-alike"), 2, "no experiment 'nothing-alike' .*; there are: depth, quickstart$")
        self.check(ravel("train", "quickstart/grw"), 2, "experiments/quickstart has no grw.yaml; did you mean 'quickstart/gru'")
        self.check(ravel("probe", "runs/none"), 4, "no such run or checkpoint")
        self.check(ravel("probe", "none-at-all"), 2, "no experiment 'none-at-all'")
        self.check(ravel("train", "../depth"), 2, r"^ravel: \.\./depth: cannot read")
        self.check(ravel("train", "depth/deep.yaml"), 2, "depth/deep.yaml: cannot read")

    def test_files_come_before_names(self):
        self.experiment("depth/depth")
        self.write("depth", "no: experiment\n")
        self.check(ravel("config", "check", "depth"), 2, "depth:1:1: unknown key 'no'")
        os.remove("depth")
        os.mkdir("depth")
        self.check(ravel("config", "check", "depth"), 0)

    def test_another_folder(self):
        self.experiment("mine/mine", root="elsewhere")
        os.environ["RAVEL_EXPERIMENTS"] = "elsewhere"
        self.addCleanup(os.environ.pop, "RAVEL_EXPERIMENTS")
        self.experiment("hidden/hidden")
        self.check(ravel("config", "check", "mine"), 0)
        self.check(ravel("config", "check", "hidden"), 2, "no experiment 'hidden' in elsewhere")
        os.environ["RAVEL_EXPERIMENTS"] = "nowhere"
        self.check(ravel("config", "list"), 2, "no experiments: .* in nowhere")
        os.environ["RAVEL_DATASETS"] = "nowhere"
        self.addCleanup(os.environ.pop, "RAVEL_DATASETS")
        self.check(ravel("data", "list"), 3, "no data sets: .* in nowhere")


if __name__ == "__main__":
    unittest.main()
