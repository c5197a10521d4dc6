#!/usr/bin/env python3
"""'ravel predict', and 'ravel eval' of classifiers, as a user meets them.   cli_predict.py RAVEL"""
import csv, gzip, json, os, random, re, tempfile, unittest

from command import BASE, LSTM, Command, ravel

CLASSIFIER = """name: %s
task: classification
data: {train: train.tsv, valid: valid.tsv, test: test.tsv, max_length: 12}
tokenizer: {type: word, min_frequency: 1}
model: {encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 16}, embedding_dim: 16, pooling: %s}
train: {batch: {size: 16}, max_steps: 150, optimizer: {type: adam, lr: 1e-2}, validate_every: 150}
metrics: [loss, accuracy, f1]
"""
GOOD, BAD, ODD = ["good", "fine", "nice"], ["bad", "poor", "awful"], ["odd", "strange"]
CLASSES = {"bad": BAD, "good": GOOD, "odd": ODD}


def text_of(label, length):
    """Words that say nothing, and one that says it all."""
    words = [random.choice("abcdefg") for _ in range(length)]
    words[random.randrange(length)] = random.choice(CLASSES[label])
    return " ".join(words)


def f1_of(confusion, c):
    right, told, there = confusion[c][c], sum(row[c] for row in confusion), sum(confusion[c])
    return 2 * right / (told + there) if right else 0


class Predict(Command):
    @classmethod
    def setUpClass(cls):
        cls.tmp, cls.home = tempfile.TemporaryDirectory(), os.getcwd()
        os.chdir(cls.tmp.name)
        random.seed(3)
        for part, n in ("train", 300), ("valid", 24), ("test", 150):
            with open(part + ".tsv", "w") as f:
                for i in range(n):
                    label = random.choice(sorted(CLASSES))
                    wrong = part == "test" and i % 8 == 0 # so that no class is told as often as it is there
                    f.write(f"{text_of(label, random.randint(1, 9))}\t{'odd' if wrong else label}\n")
        for name, pooling in ("looks", "attention"), ("last", "last"), ("mean", "mean"):
            cls.write(cls, name + ".yaml", CLASSIFIER % (name, pooling))
            r = ravel("train", "-q", name + ".yaml")
            assert r.returncode == 0, r.stderr
        with open("test.tsv") as f: cls.test = [line.rstrip("\n").split("\t") for line in f]
        cls.write(cls, "in.txt", "a good b\n\nc d awful\nstrange <&> \"unheard\"\n")

    @classmethod
    def tearDownClass(cls):
        os.chdir(cls.home)
        cls.tmp.cleanup()

    def lines(self, *args, run="looks", code=0, **kw):
        r = ravel("predict", "runs/" + run, *args, **kw)
        self.check(r, code)
        return r.stdout.splitlines()

    def test_plain_lines(self):
        out = [line.split("\t") for line in self.lines("--input", "in.txt")]
        self.assertEqual([line[0] for line in out][::2], ["good", "bad"])
        self.assertEqual([len(line) for line in out], [2] * 4, "a blank line has a class, too")
        for line in out: self.assertRegex(line[1], r"^[01]\.\d{6}$")

    def test_the_same_however_it_comes(self):
        want = self.lines("--input", "in.txt")
        with open("in.txt") as f: text = f.read()
        self.assertEqual(self.lines("--stdin", input=text), want)
        self.assertEqual(self.lines("--input", "-", input=text), want)
        with gzip.open("in.txt.gz", "wt") as f: f.write(text)
        self.assertEqual(self.lines("--input", "in.txt.gz"), want)
        self.assertEqual(self.lines("--input", "in.txt", "--batch", "1", "runtime.threads=2"), want)
        self.assertEqual(self.lines("--input", "in.txt", "--output", "out.tsv"), [])
        with open("out.tsv") as f: self.assertEqual(f.read().splitlines(), want)
        self.assertEqual(self.lines("--stdin", input="\ufeffa good b\r\n"), want[:1],
                         "a mark and a line's end are no text")
        self.assertEqual(self.lines("--stdin", input=""), [])

    def test_top(self):
        best = self.lines("--input", "in.txt")
        for line, all_ in zip(best, self.lines("--input", "in.txt", "--top", "3")):
            cells = all_.split("\t")
            self.assertEqual("\t".join(cells[:2]), line)
            self.assertEqual(sorted(cells[::2]), sorted(CLASSES))
            p = [float(v) for v in cells[1::2]]
            self.assertEqual(p, sorted(p, reverse=True))
            self.assertAlmostEqual(sum(p), 1, delta=3e-6)
        self.assertEqual([len(l.split("\t")) for l in self.lines("--input", "in.txt", "--top", "2")], [4] * 4)
        self.assertEqual(self.lines("--input", "in.txt", "--top", "99"), self.lines("--input", "in.txt", "--top", "3"))
        one = [json.loads(l) for l in self.lines("--input", "in.txt", "--top", "1", "--json")]
        self.assertEqual([list(o["classes"]) for o in one], [[o["label"]] for o in one])

    def test_json(self):
        out = [json.loads(l) for l in self.lines("--input", "in.txt", "--json")]
        with open("in.txt") as f: self.assertEqual([o["text"] for o in out], f.read().splitlines())
        self.assertEqual([o["line"] for o in out], [1, 2, 3, 4])
        for o, plain in zip(out, self.lines("--input", "in.txt")):
            self.assertEqual(set(o), {"line", "text", "label", "probability", "classes", "tokens", "weights"})
            self.assertEqual(list(o["classes"]), sorted(CLASSES))
            self.assertAlmostEqual(sum(o["classes"].values()), 1, delta=1e-8)
            self.assertEqual(o["probability"], max(o["classes"].values()))
            self.assertEqual(o["classes"][o["label"]], o["probability"])
            self.assertEqual(plain, f"{o['label']}\t{o['probability']:.6f}")
            self.assertEqual(len(o["tokens"]), len(o["weights"]))
            self.assertAlmostEqual(sum(o["weights"]), 1, delta=1e-5)
        self.assertEqual([o["tokens"] for o in out][:2], [["a", "good", "b", "<eos>"], ["<eos>"]])
        self.assertEqual(out[3]["tokens"], ["strange", "<unk>", "<unk>", "<eos>"])
        for run in "last", "mean":
            o = json.loads(self.lines("--input", "in.txt", "--json", run=run)[0])
            self.assertEqual(set(o), {"line", "text", "label", "probability", "classes"}, run)

    def test_a_part_of_the_data(self):
        """What it tells of the test part is what eval counts."""
        out = [json.loads(l) for l in self.lines("--json")]
        self.assertEqual([(o["text"], o["reference"]) for o in out], [tuple(row) for row in self.test])
        self.assertEqual(self.lines("--split", "test", "--json"), self.lines("--json"))
        self.assertEqual(len(self.lines("--split", "valid")), 24)
        e = self.parsed("eval", "runs/looks", "--split", "test", "--json")
        names = e["classes"]
        count = [[sum(o["reference"] == a and o["label"] == b for o in out) for b in names] for a in names]
        self.assertEqual((names, count), (sorted(CLASSES), e["confusion"]))
        self.assertAlmostEqual(e["accuracy"], sum(o["reference"] == o["label"] for o in out) / len(out), delta=1e-8)
        for c in range(3):
            self.assertAlmostEqual(e["class_f1"][c], f1_of(count, c), delta=1e-8)
            told = sum(row[c] for row in count)
            self.assertAlmostEqual(e["precision"][c], count[c][c] / told, delta=1e-8)
            self.assertAlmostEqual(e["recall"][c], count[c][c] / sum(count[c]), delta=1e-8)
        self.assertAlmostEqual(e["f1"], sum(f1_of(count, c) for c in range(3)) / 3, delta=1e-8)
        self.assertGreater(e["accuracy"], 0.8, "it has learnt")

    def test_confusion_in_words(self):
        r = ravel("eval", "runs/looks", "--split", "test")
        self.check(r, 0)
        e = self.parsed("eval", "runs/looks", "--split", "test", "--json")
        self.assertRegex(r.stdout, rf"(?m)^texts      {len(self.test)}$")
        self.assertEqual(e["tokens"], len(self.test))
        self.assertNotRegex(r.stdout, "tokens")
        self.assertIn("\n\nconfusion: rows are the true classes, columns what was told\n", r.stdout)
        rows = r.stdout.split("what was told\n")[1].splitlines()
        self.assertEqual(rows[0].split(), [*e["classes"], "precision", "recall", "F1"])
        for c, row in enumerate(rows[1:]):
            cells = row.split()
            self.assertEqual(cells[:4], [e["classes"][c]] + [str(n) for n in e["confusion"][c]])
            self.assertEqual(cells[4:], [f"{e[k][c]:.4f}" for k in ("precision", "recall", "class_f1")])
        self.assertEqual(len({len(row) for row in rows}), 1, "columns stand below each other")

    def test_a_class_with_a_tab_or_a_line_end(self):
        """Cells of the output stay cells."""
        with open("odd.csv", "w", newline="") as f:
            csv.writer(f).writerows([("a\tb", "one two"), ("c\nd", "three")] * 20)
        parts = "train: train.tsv, valid: valid.tsv, test: test.tsv"
        self.write("tabs.yaml", CLASSIFIER.replace(parts, "path: odd.csv") % ("tabs", "mean"))
        self.check(ravel("train", "-q", "tabs.yaml"), 0)
        told = [line.split("\t") for line in self.lines("--stdin", input="one two\nthree\n", run="tabs")]
        self.assertEqual([cells[0] for cells in told], ["a b", "c d"])
        self.assertEqual([len(cells) for cells in told], [2, 2])

    def test_columns_that_cannot_be(self):
        self.write("columns.yaml", CLASSIFIER.replace("max_length: 12", "text_columns: [1, 2]") % ("columns", "mean"))
        self.check(ravel("train", "columns.yaml"), 2,
                   r"columns.yaml:3:\d+: data.text_columns: column 2 is the label's; take another, or")
        self.write("short.yaml", CLASSIFIER.replace("{size: 16}", "{type: tokens, size: 2}") % ("short", "mean"))
        self.check(ravel("train", "short.yaml"), 2,
                   "the longest training text has .* for texts set train.batch.type to")

    def test_metrics_of_a_report(self):
        self.check(ravel("report", "runs/looks", "-q", "-m", "f1,loss", "-o", "page"), 0)
        self.check(ravel("report", "runs/looks", "-q", "-m", "f1,bleu", "-o", "none"), 2,
                   "--metrics: nothing here is measured by 'bleu'; there are: loss, accuracy, f1")
        self.assertFalse(os.path.exists("none"))

    def test_many_classes(self):
        """A table for the worst of them."""
        with open("many.csv", "w", newline="") as f:
            w = csv.writer(f)
            for i in range(250): w.writerow([f"class, {i % 25}", f"w{i % 25} \"x\""])
        data = "train: many.csv, valid: many.csv"
        self.write("many.yaml", CLASSIFIER.replace("train: train.tsv, valid: valid.tsv, test: test.tsv", data)
                   .replace("max_steps: 150", "max_steps: 30") % ("many", "mean"))
        self.check(ravel("train", "-q", "many.yaml"), 0)
        r = ravel("eval", "runs/many")
        self.check(r, 0)
        rows = r.stdout.split("\nthe 20 of 25 classes with the least F1 (--json has all)\n")[1].splitlines()
        self.assertEqual(rows[0].split(), "examples precision recall F1 most often taken for".split())
        self.assertEqual(len(rows), 21)
        e = self.parsed("eval", "runs/many", "--json")
        self.assertEqual((len(e["classes"]), len(e["confusion"])), (25, 25))
        order = sorted(range(25), key=lambda c: (e["class_f1"][c], -sum(e["confusion"][c]), c))[:20]
        for row, c in zip(rows[1:], order):
            told = [n if k != c else 0 for k, n in enumerate(e["confusion"][c])]
            other = f"  {e['classes'][told.index(max(told))]} ({max(told)})" if any(told) else ""
            want = [sum(e["confusion"][c])] + [e[k][c] for k in ("precision", "recall", "class_f1")]
            cells = row[len(e["classes"][c]):len(row) - len(other)].split()
            self.assertEqual((row[:len(e["classes"][c])], row[len(row) - len(other):]), (e["classes"][c], other))
            self.assertEqual(cells, [str(want[0])] + ["-" if v is None else f"{v:.4f}" for v in want[1:]])

    def test_page(self):
        self.lines("--attention", "shown")
        with open("shown.html") as f: page = f.read()
        self.assertIn("<title>Attention of looks</title>", page)
        self.assertNotIn("<script", page)
        self.assertNotRegex(page, r"(src|href)='(?!#)")
        self.assertEqual(page.count("<div class='told'>"), 100, "no more than that")
        out = [json.loads(l) for l in self.lines("--json")]
        right = sum(o["label"] == o["reference"] for o in out[:100])
        self.assertIn(f"{right} of the 100 texts here are told right.", page)
        told = re.findall(
            r"<div class='told'>\n<p><b>(\w+)</b> ([\d.]+)\u00a0%(.*?)</p>\n<p class='words'>(.*?)</p>", page)
        for o, (label, p, verdict, words) in zip(out, told):
            self.assertEqual((label, p), (o["label"], f"{100 * o['probability']:.1f}"))
            truth = "\u2713 right" if o["label"] == o["reference"] else f"the true class is <b>{o['reference']}</b>"
            self.assertIn(truth, verdict)
            spans = re.findall(r"<span class='h(\d+)' title='([\d.]+)'>(.*?)</span>", words)
            self.assertEqual([s[2].replace("&lt;", "<").replace("&gt;", ">") for s in spans], o["tokens"])
            self.assertEqual([s[1] for s in spans], [f"{w:.3f}" for w in o["weights"]])
            for shade, _, _ in spans: self.assertLessEqual(int(shade), 10)
            self.assertEqual(int(spans[o["weights"].index(max(o["weights"]))][0]), 10, "the most is the strongest")

    def test_page_of_a_text(self):
        os.makedirs("folder", exist_ok=True)
        r = ravel("predict", "runs/looks", "--input", "in.txt", "--attention", "folder")
        self.check(r, 0, r"attention: folder/attention\.html \(4 texts\)")
        with open("folder/attention.html") as f: page = f.read()
        self.assertNotIn("told right", page)
        self.assertNotIn("true class is", page)
        self.assertIn("line 4", page)

    def test_refusals(self):
        """One clear message each, and what to do."""
        def refused(code, message, *args, **kw):
            r = ravel("predict", *args, **kw)
            self.assertEqual((r.returncode, r.stderr), (code, f"ravel: {message}\n"))

        needs = ("--attention needs words with weights, and runs/%s/best.h5 has none (model.pooling: %s); "
                 "train with model.pooling=attention")
        for run in "last", "mean":
            refused(2, needs % (run, run), "runs/" + run, "--stdin", "--attention", "x", input="a\n")
        refused(2, "--attention: cannot write to folder none: No such file or directory", "runs/looks", "--stdin",
                "--attention", "none/x", input="a\n")
        refused(3, "--attention: there was no text to classify", "runs/looks", "--stdin", "--attention", "x", input="")
        refused(2, "cannot write to none/x: No such file or directory", "runs/looks", "--stdin", "--output", "none/x",
                input="a\n")
        with open("latin.txt", "wb") as f: f.write(b"a\nb\xff\n")
        with open("latin.txt") as f:
            refused(3, "standard input:2: byte 2 of the line is not valid UTF-8; convert the text", "runs/looks",
                    "--stdin", stdin=f)
        refused(3, "none.txt: cannot open: No such file or directory", "runs/looks", "--input", "none.txt")
        for args, message in ((["--stdin", "--split", "test"], "--input, --stdin and --split exclude one another"),
                              (["--split", "train"], "--split takes test or valid, not 'train'"),
                              (["--top", "0"], "--top")):
            r = ravel("predict", "runs/looks", *args, input="")
            self.assertEqual(r.returncode, 2)
            self.assertIn(message, r.stderr)
        self.write("notest.yaml", CLASSIFIER.replace(", test: test.tsv", "") % ("notest", "last"))
        self.check(ravel("train", "-q", "notest.yaml", "train.max_steps=2"), 0)
        r = ravel("predict", "runs/notest")
        self.assertEqual((r.returncode, r.stderr.splitlines()[-1]),
                         (3, "ravel: the experiment's data has no test part; give a text with --input FILE"))

    def test_more_columns_than_there_can_be(self):
        for n, message in ((64, "data.text_columns: 64 columns, where 1 to 63 can be"),
                           (70, r"whole numbers in \[1, 64\], got '65'")):
            columns = f"data.text_columns={list(range(1, n + 1))}"
            r = ravel("train", "-q", "looks.yaml", columns, "checkpoint.dir=runs/wide")
            self.check(r, 2, message)
        self.check(ravel("train", "-q", "looks.yaml", "data.label_column=65", "checkpoint.dir=runs/wide"), 2, "1, 64")

    def test_a_long_line_is_cut(self):
        r = ravel("predict", "runs/looks", "--stdin", "--json", input="a " * 12 + "good\n")
        self.check(r, 0,
                   r"line 1 has more than the 12 tokens that the model takes \(data.max_length\) and is cut to them")
        o = json.loads(r.stdout)
        self.assertEqual((len(o["tokens"]), o["text"]), (13, "a " * 12 + "good"))

    def test_other_tasks(self):
        """Each command names the one to use instead."""
        self.write("text", "to be or not to be " * 40)
        self.write("lstm.yaml", BASE % LSTM)
        self.check(ravel("train", "-q", "lstm.yaml"), 0)
        r = ravel("predict", "runs/test", "--stdin", input="to be\n")
        self.assertEqual((r.returncode, r.stderr), (2, "ravel: runs/test/best.h5 is of task language_model; "
                                                       "only a classifier predicts classes (write: ravel generate)\n"))
        r = ravel("translate", "runs/looks", "--stdin", input="a\n")
        self.assertEqual((r.returncode, r.stderr), (2, "ravel: runs/looks/best.h5 is of task classification; "
                                                       "only a translation model translates (tell: ravel predict)\n"))
        r = ravel("generate", "runs/looks")
        self.assertEqual((r.returncode, r.stderr), (2, "ravel: runs/looks/best.h5 is of task classification; "
                                                       "only a language model generates (tell: ravel predict)\n"))
        r = ravel("eval", "runs/looks", "--by-length", "3")
        self.check(r, 2, "--by-length is for translation")

    def test_quiet(self):
        """Everywhere the same letter."""
        self.write("unknown.tsv", "".join(f"zyx\t{c}\n" for c in CLASSES))
        for command in "predict", "eval":
            command = [command, "runs/looks", "--split", "valid", "data.valid=unknown.tsv"]
            loud, quiet = ravel(*command), ravel(*command, "-q")
            self.check(quiet, 0)
            self.assertIn("of the tokens are <unk>", loud.stderr)
            self.assertEqual((quiet.stderr, quiet.stdout), ("", loud.stdout))
        for command in "train", "eval", "translate", "predict", "generate", "probe", "summary", "compare", "report":
            self.assertRegex(ravel(command, "--help").stdout, r"(?m)^  -q, --quiet  ", command)

    def test_help(self):
        r = ravel("predict", "--help")
        self.check(r, 0)
        for word in "--input", "--stdin", "--split", "--json", "--top", "--output", "--attention", "examples:":
            self.assertIn(word, r.stdout)
        self.assertIn("predict    tell the class of texts", ravel("--help").stdout)


if __name__ == "__main__":
    unittest.main()
