#!/usr/bin/env python3
"""Pages drawn from documents (tests/compare/fixture_report.py): well-formed, on their own, the same each time, and saying what
the document says.   report_page.py RAVEL"""
import copy, html, html.parser, json, os, re, subprocess, sys, tempfile, unittest, xml.etree.ElementTree

RAVEL = os.path.abspath(sys.argv.pop(1))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "compare"))
import fixture_report

VOID = {"meta", "br", "hr", "img", "link", "input", "wbr"}


class Page(html.parser.HTMLParser):
    """Every tag is closed in its order; the text as a reader sees it."""

    def __init__(self, source):
        super().__init__()
        self.open, self.tags, self.text, self.wrong, self.anchors, self.links = [], [], [], [], set(), []
        self.feed(source)
        self.close()
        self.wrong += [f"<{t}> is not closed" for t in self.open]

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID: self.open.append(tag)
        for key, value in attributes:
            if key == "id":
                if value in self.anchors: self.wrong.append(f"two of id {value}")
                self.anchors.add(value)
            if key == "href": self.links.append(value)

    def handle_startendtag(self, tag, attributes): self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag: self.wrong.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        if "style" not in self.open and "title" not in self.open: self.text.append(data)

    def words(self): return re.sub(r"\s+", " ", "".join(self.text)).replace("\u00a0", " ")


class Drawn(unittest.TestCase):
    """Pages drawn in a folder of the test's own."""

    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.addCleanup(self.tmp.cleanup)

    def draw(self, document, name="a"):
        """The page's source and what a parser makes of it, after the checks that every page must pass."""
        folder = os.path.join(self.tmp.name, name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "report.json"), "w") as f: json.dump(document, f)
        run = subprocess.run([RAVEL, "report", os.path.join(folder, "report.json")], capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(os.listdir(folder).count("report.html.new"), 0)
        with open(os.path.join(folder, "report.html"), encoding="utf-8") as f: source = f.read()
        page = Page(source)
        self.assertEqual(page.wrong, [])
        for tag, attributes in page.tags:
            self.assertNotIn(tag, ("script", "iframe", "object", "embed", "link", "img"))
            for key, value in attributes.items():
                self.assertFalse(key.startswith("on") or key == "src", f"{tag} {key}")
                if key in ("href", "xlink:href"): self.assertTrue(value.startswith("#"), value)
        for style in re.findall(r"<style>(.*?)</style>", source, re.S): self.assertNotRegex(style, r"url\(|@import")
        for link in page.links: self.assertIn(link[1:], page.anchors)
        for bad in (r"\bnan\b", r"\binf\b", r"\(null\)"): self.assertFalse(re.search(bad, source), bad)
        return source, page


class Pages(Drawn):
    def test_says_what_the_document_says(self):
        r = fixture_report.full()
        _, page = self.draw(r)
        words = page.words()
        exact = next(q for q in r["quality"] if q["metric"] == "exact")
        for pair in exact["pairs"]:
            low, high = sorted(100 * abs(pair[k]) for k in ("low", "high"))
            if pair["verdict"] in "ab":
                winner, loser = (pair["a"], pair["b"]) if pair["verdict"] == "a" else (pair["b"], pair["a"])
                said = f"{winner} beats {loser} by {100 * abs(pair['difference']):.1f} percentage points of exact matches (95 % interval {low:.1f} to {high:.1f}, 3 seeds)"
            else:
                said = f"{pair['a']} and {pair['b']}: not distinguishable by exact matches with 3 seeds"
                self.assertIn("about 12 seeds each would show it", words)
            self.assertIn(said, words)
        self.assertIn("Training step: transformer costs less time than bottleneck up to 251 tokens (interval 160 to 183); on longer sequences bottleneck costs less.", words)
        self.assertIn("bottleneck: it halves every 5.9 tokens before training and halves every 24 tokens after.", words)
        self.assertIn("transformer: it shows no exponential fall with distance, before training or after.", words)
        self.assertIn("1 of 9 runs diverged", words)
        self.assertIn("bottleneck, seed 3 diverged: loss is NaN at step 410", words)
        self.assertIn("Parameters are within 0.82 % of those of bottleneck; allowed were 2 %", words)
        self.assertIn("AMD EPYC 9B45", words)
        self.assertIn("ravel compare experiments/quickstart/compare.yaml", words)
        for name in ("differences", "fairness", "curves", "quality", "by-length", "time-to", "samples", "attention", "gradient-flow", "cost", "runs", "origin"):
            self.assertIn(name, page.anchors)

    def test_a_match_by_wall_clock_says_how_steady_the_machine_was(self):
        document = fixture_report.full()
        document["match"].update(by="wall_clock", tolerance=0.1,
                                 time={"first": 45e-6, "least": 44e-6, "greatest": 47e-6})
        words = self.draw(document)[1].words()
        self.assertIn("Times per step are within 0.82 % of those of bottleneck; allowed were 10 %. While they were "
                      "measured, the time of bottleneck itself moved by 6.8 %.", words)
        del document["match"]["time"]
        words = self.draw(document)[1].words()
        self.assertIn("allowed were 10 %. ", words)
        self.assertNotIn("itself moved", words)

    def test_every_model_has_one_colour(self):
        source, _ = self.draw(fixture_report.full())
        for i, model in enumerate(fixture_report.full()["models"]):
            self.assertEqual(set(re.findall(rf"<b class='model c(\d)'>{model}</b>", source)), {str(i)})

    def test_equal_documents_give_equal_pages(self):
        self.assertEqual(self.draw(fixture_report.full(), "a")[0], self.draw(fixture_report.full(), "b")[0])

    def test_parts_that_are_absent_leave_no_trace(self):
        whole = fixture_report.full()
        anchor = {"differences": "differences", "curves": "curves", "quality": "quality", "by_length": "by-length", "time_to": "time-to", "samples": "samples",
                  "attention": "attention", "gradient_flow": "gradient-flow", "cost": "cost", "runs": "runs"}
        for part, name in anchor.items():
            less = {k: v for k, v in whole.items() if k != part}
            self.assertNotIn(name, self.draw(less)[1].anchors)
            self.draw(dict(whole, **{part: [] if isinstance(whole[part], list) else {}}))
        bare = {k: whole[k] for k in ("format", "name", "models", "settings", "seeds")}
        self.draw(bare)
        self.assertEqual(self.draw(dict(bare, cost=whole["cost"]))[1].anchors, {"summary", "cost", "origin"})
        self.draw({"format": "ravel-report 1"})

    def test_fewer_of_everything(self):
        for settings in (("",), ("dropout=0", "dropout=0.5 clip=1"), [f"data.length={n}" for n in (50, 100, 200, 400)]):
            for models in (("lstm",), ("lstm", "gpt"), ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j")[:4]):
                for seeds in ((1,), (1, 2)):
                    _, page = self.draw(fixture_report.full(settings, models, seeds=seeds))
                    if len(seeds) == 1: self.assertIn("Chance: one seed.", page.words())
                    for s in settings: self.assertIn(s, page.words())

    def test_no_verdict_says_why(self):
        r = fixture_report.full(models=("lstm", "gpt"))
        for q in r["quality"]:
            for pair in q["pairs"]: pair.update(verdict="no verdict", why="the budgets differ")
        r["budget"]["equal"] = False
        words = self.draw(r)[1].words()
        self.assertIn("lstm and gpt: no verdict: the budgets differ.", words)
        self.assertIn("Training: NOT equal.", words)
        self.assertNotIn("beats", words.split("How these numbers are made")[1].split("Learning curves")[0])

    def test_a_disturbed_machine_leaves_no_crossing(self):
        """Times that fall as sequences grow are not what a model costs."""
        r = fixture_report.full()
        for row in r["cost"]["rows"]:
            if row["model"] == "bottleneck" and row["phase"] == "train" and row["threads"] == 2 and row["sequence_length"] == 64:
                for key in ("ms", "low", "high"): row[key] *= 5
        words = self.draw(r)[1].words()
        self.assertNotIn("Training step: transformer costs less time than bottleneck", words)
        self.assertIn("Decoding: transformer costs less time than bottleneck", words)
        self.assertIn("Nothing is said of bottleneck where its times fall as sequences grow", words)
        self.assertNotIn("Nothing is said of", self.draw(fixture_report.full())[1].words())

    def test_costs_that_cannot_be_told_apart(self):
        r = fixture_report.full()
        for c in r["cost"]["crossings"]:
            if c["phase"] != "train": continue
            if c["verdict"] == "crossing": c.update(verdict="not distinguishable", cheaper_below="", cheaper_above="",
                                                    length=None)
            else: c.update(everywhere=False, told=[{"sequence_length": n, "cheaper": c["a"]} for n in (64, 256)])
        words = self.draw(r)[1].words()
        self.assertIn("Training step: bottleneck and transformer are not distinguishable by their time.", words)
        self.assertRegex(words,
                         r"Training step: bottleneck costs less time than \w+ at 64, 256 tokens; "
                         r"at other lengths they are not distinguishable.")
        self.assertIn("Meanwhile other programs used 0.10 CPUs on average, 0.40 in the worst round.", words)

    def test_a_leaking_mask_is_told(self):
        r = fixture_report.full()
        self.assertNotIn("sees the tokens that it is to predict", self.draw(r)[1].words())
        r["differences"].append({"key": "model.decoder.causal_mask", "values": ["before_softmax", "none", "before_softmax"]})
        self.assertEqual(self.draw(r)[1].words().count("sees the tokens that it is to predict"), 1)

    def test_charts_as_files(self):
        """Each line chart of the page is a file, too, under a name of its own, and leaves the page as it is."""
        document = fixture_report.full()
        page, _ = self.draw(document)
        folder = os.path.join(self.tmp.name, "figures")
        subprocess.run([RAVEL, "report", os.path.join(self.tmp.name, "a", "report.json"), "--figures", folder], check=True, capture_output=True, timeout=60)
        with open(os.path.join(self.tmp.name, "a", "report.html"), encoding="utf-8") as f: self.assertEqual(f.read(), page)
        for name in os.listdir(folder): self.assertEqual(xml.etree.ElementTree.parse(os.path.join(folder, name)).getroot().tag, "{http://www.w3.org/2000/svg}svg")
        charts = len(re.findall(r"<figure class='chart'", page))
        self.assertGreater(len(os.listdir(folder)), 5)
        self.assertLessEqual(len(os.listdir(folder)), charts)
        self.assertEqual(self.failing("--figures", "/proc/none"), 3)

    def failing(self, *options):
        return subprocess.run([RAVEL, "report", os.path.join(self.tmp.name, "a", "report.json"), *options], capture_output=True, timeout=60).returncode

    def test_without_times(self):
        r = fixture_report.full(times=False)
        source, page = self.draw(r)
        for gone in ("seconds of training", "tokens/s", "EPYC", "GFLOP"): self.assertNotIn(gone, source)
        self.assertNotIn("cost", page.anchors)

    def test_hostile_texts_are_text(self):
        evil = "<script>alert('x')</script>&amp;\"'\u202e\u0000</style></svg>--> http://evil/"
        def spoil(x):
            if isinstance(x, dict): return {k: spoil(v) if k not in KEEP else v for k, v in x.items()}
            if isinstance(x, list): return [spoil(v) for v in x]
            return x + evil if isinstance(x, str) else x
        KEEP = {"format", "metric", "phase", "kind", "when", "part", "verdict", "status", "by", "unit", "quantity", "setting", "settings"}
        evil = evil.replace("\u0000", "")
        source, page = self.draw(spoil(fixture_report.full()))
        self.assertIn("<script>alert('x')</script>&amp;", page.words())
        self.assertNotIn("<script", source)

    def test_odd_values(self):
        def spoil(x, path=""):
            if isinstance(x, dict): return {k: spoil(v, k) for k, v in x.items()}
            if isinstance(x, list): return [spoil(v, path) for v in x]
            return None if isinstance(x, float) else x
        self.draw(spoil(fixture_report.full()))
        big = copy.deepcopy(fixture_report.full())
        for q in big["quality"]:
            for m in q["models"]: m.update(value=m["value"] * 1e30, low=-1e300, high=1e300)
        self.draw(big)
        self.draw({"format": "ravel-report 1", "models": 3, "runs": [1, None, "x"], "quality": [[], {}], "cost": {"rows": [{}]}, "curves": [{"series": [{}]}], "time_to": {"rows": [{}]}})

    def test_mistakes(self):
        def fails(text, code, says):
            path = os.path.join(self.tmp.name, "x.json")
            with open(path, "w") as f: f.write(text)
            run = subprocess.run([RAVEL, "report", path], capture_output=True, text=True, timeout=60)
            self.assertEqual(run.returncode, code, run.stderr)
            self.assertRegex(run.stderr, says)
            self.assertFalse(os.path.exists(os.path.join(self.tmp.name, "report.html")))
        fails("{", 3, r"x\.json:1: ")
        fails("{}", 3, "ravel-report 1")
        run = subprocess.run([RAVEL, "report", self.tmp.name], capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 2)
        self.assertRegex(run.stderr, "no run is here .*ravel train")


EXPERIMENT = """name: %s
seed: %d
data: {path: text}
model: {decoder: {type: %s, hidden_size: 16%s}, embedding_dim: 16}
train:
  batch: {size: 4, length: 16}
  max_steps: %d
  optimizer: {type: adam, lr: 1e-2}
  validate_every: 10
checkpoint: {every: 10}
"""


class Runs(unittest.TestCase):
    """'ravel report RUN...': any runs."""

    @classmethod
    def setUpClass(cls):
        cls.tmp = tempfile.TemporaryDirectory()
        with open(os.path.join(cls.tmp.name, "text"), "w") as f: f.write("to be or not to be that is the question\n" * 300)
        cls.train("lstm-1", 1, "rnn", ", cell: lstm"), cls.train("lstm-2", 2, "rnn", ", cell: lstm"), cls.train("gpt", 1, "transformer", ", num_heads: 2")

    @classmethod
    def tearDownClass(cls): cls.tmp.cleanup()

    @classmethod
    def ravel(cls, *args): return subprocess.run([RAVEL, *args], cwd=cls.tmp.name, capture_output=True, text=True, timeout=120)

    @classmethod
    def train(cls, name, seed, kind, more, steps=20):
        with open(os.path.join(cls.tmp.name, name + ".yaml"), "w") as f: f.write(EXPERIMENT % (name, seed, kind, more, steps))
        run = cls.ravel("train", "-q", name + ".yaml")
        assert run.returncode == 0, run.stderr

    def report(self, *args):
        run = self.ravel("report", "-q", *args)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def test_runs_that_differ_in_the_seed_are_one_model(self):
        self.assertEqual(self.report("runs/lstm-1", "runs/gpt", "runs/lstm-2"), "report/report.html\n")
        with open(os.path.join(self.tmp.name, "report/report.json")) as f: r = json.load(f)
        self.assertEqual(r["models"], ["lstm", "gpt"])
        self.assertEqual([(x["model"], x["seed"], x["status"]) for x in r["runs"]], [("lstm", 1, "done"), ("gpt", 1, "done"), ("lstm", 2, "done")])
        with open(os.path.join(self.tmp.name, "report/report.html")) as f: page = Page(f.read())
        self.assertEqual(page.wrong, [])
        for part in ("summary", "differences", "curves", "quality", "runs"): self.assertIn(part, page.anchors)
        self.assertEqual(r["systems"], [{"model": "lstm", "text": "LSTM"},
                                        {"model": "gpt", "text": "2-layer transformer"}])
        self.assertTrue(all(x["parameters"] > 1000 for x in r["runs"]), r["runs"])

    def test_the_same_without_times(self):
        a, b = (self.report("--json", "--no-times", "--metrics", "loss", "runs/lstm-1", "runs/gpt") for _ in range(2))
        self.assertEqual(a, b)
        r = json.loads(a)
        self.assertEqual({q["metric"] for q in r["quality"]}, {"loss"})
        self.assertNotIn("machine", r)

    def test_one_run_gets_its_report_in_its_folder(self):
        self.assertEqual(self.report("runs/gpt"), "runs/gpt/report.html\n")
        self.assertEqual(self.report("--output", "elsewhere/deep", "runs/gpt"), "elsewhere/deep/report.html\n")

    def test_a_run_that_goes_on_is_measured_again(self):
        self.train("more", 1, "rnn", ", cell: gru", 10)
        measured = os.path.join(self.tmp.name, "runs/more/examples.jsonl")
        self.report("runs/more")
        with open(measured) as f: before = f.read()
        run = self.ravel("train", "-q", "more.yaml", "train.max_steps=30")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.report("runs/more")
        with open(measured) as f: self.assertNotEqual(before, f.read())

    def test_an_unfinished_run_is_shown_as_unfinished(self):
        self.train("short", 1, "rnn", ", cell: gru", 10)
        path = os.path.join(self.tmp.name, "runs/short/experiment.yaml")
        with open(path) as f: text = f.read()
        with open(path, "w") as f: f.write(text.replace("max_steps: 10", "max_steps: 1000"))
        r = json.loads(self.report("--json", "runs/short", "runs/gpt"))
        self.assertEqual([x["status"] for x in r["runs"]], ["unfinished", "done"])

    def test_a_diverged_run_says_its_step(self):
        self.train("wild", 1, "rnn", ", cell: rnn, nonlinearity: relu", 10)
        wild = "train.optimizer={type: sgd, lr: 1000000}"
        run = self.ravel("train", "-q", "wild.yaml", "name=wilder", wild)
        self.assertEqual(run.returncode, 5, run.stderr)
        step = int(re.search(r"step (\d+) diverged", run.stderr)[1])
        run = self.ravel("report", "--json", "runs/wilder", "runs/gpt")
        self.assertEqual(run.returncode, 0, run.stderr)
        said = f"step {step}: "
        self.assertIn(f"runs/wilder: the run diverged ({said}", run.stderr)
        wilder, gpt = json.loads(run.stdout)["runs"]
        self.assertEqual((wilder["status"], gpt["status"]), ("diverged", "done"))
        self.assertTrue(wilder["message"].startswith(said), wilder["message"])
        # Begun again, it is a run like others.
        os.remove(os.path.join(self.tmp.name, f"runs/wilder/step-{step - 1:09}.h5"))
        run = self.ravel("train", "-q", "wild.yaml", "name=wilder")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual([x["status"] for x in json.loads(self.report("--json", "runs/wilder"))["runs"]], ["done"])

    def test_what_is_no_run(self):
        run = self.ravel("report", "runs/gpt", "runs/nowhere")
        self.assertEqual(run.returncode, 2)
        self.assertRegex(run.stderr, "runs/nowhere: no run is here")


if __name__ == "__main__":
    unittest.main()
