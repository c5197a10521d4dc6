#!/usr/bin/env python3
"""Experiments by name, and new ones from templates.   experiments.py RAVEL"""
import os, random, re, shutil, unittest

from command import BASE, LSTM, Command, InAFolder, ravel


class Experiments(InAFolder):
    def setUp(self):
        super().setUp()
        os.environ.pop("RAVEL_EXPERIMENTS", None)


class Named(Experiments):
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


class OurOwn(Command):
    """Every experiment of this repository, tried for a few steps."""

    def test_few_steps(self):
        root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../experiments")
        tried = 0
        for folder, _, names in os.walk(root):
            for name in (n for n in sorted(names) if n.endswith(".yaml")):
                path = os.path.join(folder, name)
                shown = ravel("config", "show", path).stdout
                if re.search("(?m)^compare:", shown): continue
                for steps in (0, 1) if re.search("(?m)^  hmm:", shown) else (1, 5):  # counting is one step
                    self.check(ravel("config", "show", path, f"train.max_steps={steps}"), 0)
                tried += 1
        self.assertGreater(tried, 30)

    def test_what_gives_way_is_told(self):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../experiments/shakespeare/gpt.yaml")
        self.check(ravel("config", "show", path, "train.max_steps=5"), 0,
                   r"(?m)^train.lr_scheduler.warmup_steps is cut from \d+ \(.*gpt.yaml:\d+:\d+\) to 4: ")


TASKS = re.findall(r"^RV_TASK\((\w+),", open(os.path.join(os.path.dirname(__file__), "../lib/config/tasks.def")).read(), re.M)
SMALL = ["train.max_steps=3", "train.validate_every=2", "train.batch.size=64"]


class New(Experiments):
    """Each template is checked, trained for a few steps and measured as it is, on a tiny file of the user's."""

    def files(self, task, name):
        random.seed(1)
        words = [random.choice(["to", "be", "or", "not", "that", "is"]) for _ in range(4000)]
        if task == "language_model":
            self.write(name, " ".join(words))
        elif task == "translation":
            self.write(name, "".join(f"{' '.join(words[i:i + 5])}\t{' '.join(words[i:i + 5]).upper()}\n" for i in range(0, 500, 5)))
        elif task == "classification":
            lines = (words[i:i + 5] for i in range(0, 1000, 5))
            self.write(name, "".join(f"{' '.join(l)}\t{'yes' if 'not' in l else 'no'}\n" for l in lines))
        elif task == "tagging":
            self.write(name, "".join(f"{w}\t{w.upper()}\n" + "\n" * (i % 5 == 4) for i, w in enumerate(words[:1000])))
        else:
            return []
        return ["--train", name]

    def new(self, *args):
        fresh = ravel("config", "new", *args)
        self.check(fresh, 0)
        self.write("new.yaml", fresh.stdout)
        self.check(ravel("config", "check", "new.yaml"), 0)
        return fresh.stdout

    def test_every_task(self):
        self.assertGreater(len(TASKS), 2)
        for task in TASKS:
            with self.subTest(task):
                text = self.new(task, *self.files(task, f"{task}.data"))
                self.assertLess(len(text.splitlines()), 60)
                section, part = re.search(r"ravel config explain (\w+)\.(\w+)", text).groups()
                self.assertRegex(text, rf"(?m)^{section}:.*\n(  .*\n)*  {part}:", "what the first lines name is there")
                for line in text.splitlines():
                    if line: self.assertRegex(line, r"^#|  # [^ ]")
                self.check(ravel("train", "new.yaml", *SMALL), 0, "done: step 3")
                self.assertEqual(len(os.listdir("runs")), 1)
                run = "runs/" + os.listdir("runs")[0]
                self.assertGreater(self.parsed("eval", "--json", run, "--split", "valid")["tokens"], 0)
                shutil.rmtree("runs")

    def test_files_for_each_part(self):
        for task in "language_model", "translation", "classification", "tagging":
            for part in "train", "valid", "test": self.files(task, part)
            self.new(task, "--train", "train", "--valid", "valid", "--test", "test")
            self.check(ravel("train", "-q", "new.yaml", *SMALL), 0)
            self.parsed("eval", "--json", "runs/train", "--split", "test")
            shutil.rmtree("runs")

    def test_names_of_files(self):
        names = ["my data: 1 #2.tsv", "it's \"quoted\" $HOME.tsv", "${name}.tsv", "[a], {b}.tsv", "d\u00e9j\u00e0 vu.tsv.gz", "-dash.tsv", "new\nline.tsv", "null", "&*!|>%@.tsv"]
        for name in names:
            with self.subTest(name):
                self.files("translation", name)
                self.new("translation", "--train=" + name)
                self.check(ravel("train", "-q", "new.yaml", "train.max_steps=1"), 0)
                shutil.rmtree("runs")

    def test_a_comparison(self):
        for name in "a.yaml", "b 2: [x].yaml":
            self.files("language_model", "text")
            self.write(name, BASE % LSTM)
        os.mkdir("more")
        self.write("more/a.yaml", BASE % LSTM)
        text = self.new("compare", "a.yaml", "b 2: [x].yaml", "more/a.yaml")
        self.assertIn('models: {a: a.yaml, b-2---x-: "b 2: [x].yaml", a-2: more/a.yaml}', text)
        self.check(ravel("compare", "new.yaml", "--quiet", "compare.seeds=[1]", "compare.budget.train_steps=2", "compare.tune={lr: [1e-3], train_steps: 1}"), 0)
        self.assertTrue(os.path.exists("runs/comparison/report.html"))

    def test_mistakes(self):
        self.files("language_model", "text")
        self.write(b"bad\xff", "a\tb\n")
        for args, code, say in (
            (["translate"], 2, "no task 'translate'; there are: .*translation.* and compare$"),
            ([], 2, "of which task"),
            (["translation"], 2, "learns from a file; name it: ravel config new translation --train FILE$"),
            (["translation", "--train", "absent.tsv"], 3, "^ravel: absent.tsv: cannot read the file: No such file"),
            (["translation", "--train", "."], 3, "^ravel: .: it is a folder"),
            (["translation", "--train", b"bad\xff"], 3, "has to be UTF-8"),
            (["language_model", "--train", "text", "--test", "text"], 2, "--test goes with --valid"),
            (["language_model", "text"], 2, "text: one word too many; name files with --train"),
            (["regression", "--train", "text"], 2, "makes its data itself"),
            (["compare", "one.yaml"], 2, "two experiment files or more"),
            (["compare", "one.yaml", "two.yaml"], 3, "one.yaml: cannot read"),
            (["compare", "--train", "text"], 2, "a comparison is of experiment files"),
        ):
            with self.subTest(args):
                r = ravel("config", "new", *args)
                self.check(r, code, say)
                self.assertEqual(r.stdout, "")
                self.assertEqual(len(r.stderr.splitlines()), 1)
        self.check(ravel("train", self.untabbed()), 3, "text:1: no tab: each line must be source, one tab, target")

    def untabbed(self):
        self.new("translation", "--train", "text")
        return "new.yaml"


if __name__ == "__main__":
    unittest.main()
