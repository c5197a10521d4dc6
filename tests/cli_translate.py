#!/usr/bin/env python3
"""'ravel translate' and 'ravel eval' of encoder-decoders as a user meets them.   cli_translate.py RAVEL"""
import gzip, json, os, random, re, subprocess, tempfile, unittest

from command import BASE, LSTM, RAVEL, Command, ravel

PAIR = """name: %s
task: translation
data: {train: train, valid: valid, test: test, src: en, tgt: fr, max_length: 12}
tokenizer: {type: word, joint: false, min_frequency: 2}
model: {encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 24}, decoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 24},
        attention: {type: %s}, embedding_dim: 16}
train: {batch: {size: 32}, max_steps: 300, optimizer: {type: adam, lr: 1e-2}, validate_every: 300}
decode: {beam_size: 3}
metrics: [ppl, bleu]
"""


class Translate(Command):
    """Models that learn to turn words round, names that occur once being unknown."""
    WORDS = ["zero", "un", "deux", "trois", "quatre"]

    @classmethod
    def setUpClass(cls):
        cls.tmp, cls.home = tempfile.TemporaryDirectory(), os.getcwd()
        os.chdir(cls.tmp.name)
        random.seed(3)
        for part, n in ("train", 600), ("valid", 20), ("test", 37):
            with open(part + ".en", "w") as en, open(part + ".fr", "w") as fr:
                for i in range(n):
                    x = [random.randrange(5) for _ in range(random.randint(1, 4))]
                    name = [f"Name{part}{i}"] if i % 2 else []
                    en.write(" ".join([f"w{k}" for k in x] + name) + "\n")
                    fr.write(" ".join(name + [cls.WORDS[k] for k in x[::-1]]) + "\n")
        for name, kind in ("attends", "bahdanau"), ("bottle", "none"):
            cls.write(cls, name + ".yaml", PAIR % (name, kind))
            r = ravel("train", "-q", name + ".yaml")
            assert r.returncode == 0, r.stderr
        with open("test.en") as f: cls.source = f.read().splitlines()
        with open("test.fr") as f: cls.reference = f.read().splitlines()

    @classmethod
    def tearDownClass(cls):
        os.chdir(cls.home)
        cls.tmp.cleanup()

    def lines(self, *args, code=0, **kw):
        r = ravel("translate", "runs/attends", *args, **kw)
        self.check(r, code)
        return r.stdout.splitlines()

    def test_epochs(self):
        """Each pair once per pass."""
        r = ravel("train", "attends.yaml", "name=passes", "train.epochs=2", "train.batch={type: sequences, size: 32}")
        self.check(r, 0, "train.epochs 2: 38 steps", "done: step 38, epoch 2,")
        # Batches by tokens are not as many in each pass, unless they are bucketed.
        for epochs, bucketing, seed in (2, "true", 1), (9, "false", 1), (9, "false", 2), (9, "false", 3):
            tokens = [f"seed={seed}", "train.validate_every=1000", f"train.batch={{size: 64, bucketing: {bucketing}}}"]
            name = f"tokens-{bucketing}-{seed}"
            r = ravel("train", "attends.yaml", f"name={name}", f"train.epochs={epochs}", *tokens)
            self.check(r, 0, f"done: step .*, epoch {epochs},")
            steps = int(re.search(r"done: step (\d+)", r.stderr)[1])
            r = ravel("train", "attends.yaml", f"name={name}-less", f"train.max_steps={steps - 1}", *tokens)
            self.check(r, 0, f"done: step .*, epoch {epochs - 1},")

    def test_every_target_weighs_alike(self):
        """Sixteen sentences of 1 to 15 words, at once or accumulated: the same loss and the same gradient."""
        draw = random.Random(5)
        with open("sixteen", "w") as f:
            for n in range(16):
                f.write(" ".join(draw.choice("abcd") for _ in range(1 + n * 14 // 15)) + "\t" + " ".join(draw.choice("xyz") for _ in range(1 + n * 14 // 15)) + "\n")
        for smoothing in "0", "0.1":
            seen = []
            for size, accumulate in (16, 1), (4, 4), (2, 8):
                self.check(ravel("train", "-q", "attends.yaml", f"name=sixteen-{smoothing}-{size}",
                                 "data=!replace {train: sixteen, valid: sixteen}", "tokenizer.min_frequency=1",
                                 f"train={{batch: {{type: sentences, size: {size}, bucketing: false}}, accumulate: {accumulate}, max_steps: 1, validate_every: 1, log_every: 1}}",
                                 f"train.label_smoothing={smoothing}", "train.optimizer.lr=0"), 0)
                with open(f"runs/sixteen-{smoothing}-{size}/metrics.jsonl") as f:
                    seen.append(next(m for m in map(json.loads, f) if m["kind"] == "train"))
            for m in seen[1:]:
                self.assertEqual(m["tokens"], seen[0]["tokens"])
                self.assertAlmostEqual(m["loss"], seen[0]["loss"], delta=1e-6 * seen[0]["loss"])
                self.assertAlmostEqual(m["grad_norm"], seen[0]["grad_norm"], delta=1e-5 * seen[0]["grad_norm"])

    def test_cut_references(self):
        """What lies behind data.max_length is not scored, nor is an end that the reference does not have."""
        def evaluate(*settings):
            r = ravel("eval", "runs/attends", "--split", "test", "--json", "metrics=[loss]", *settings)
            self.check(r, 0)
            return json.loads(r.stdout), r.stderr
        whole, said = evaluate()
        self.assertNotIn("max_length", said)
        lengths = [len(line.split()) for line in self.reference]
        self.assertEqual(whole["tokens"], sum(n + 1 for n in lengths))
        for most in 1, 2, 4:
            part, said = evaluate(f"data.max_length={most}")
            self.assertEqual(part["tokens"], sum(n + 1 if n <= most else most for n in lengths))
            longer = sum(max(len(s.split()), n) > most for s, n in zip(self.source, lengths))
            self.assertIn(f"{longer} of the 37 pairs of the test part", said)

    def test_what_is_translated(self):
        test = self.lines()
        self.assertEqual(len(test), 37)
        known = [i for i, s in enumerate(self.source) if "Name" not in s]
        right = sum(test[i] == self.reference[i] for i in known)
        self.assertGreater(right, 0.6 * len(known), list(zip(test, self.reference)))
        self.assertEqual(test, self.lines("--split", "test"))
        self.assertEqual(test, self.lines("--input", "test.en"))
        self.assertEqual(test, self.lines("--input", "-", input="\n".join(self.source)))
        self.assertEqual(test, self.lines("--stdin", input="\r\n".join(self.source)))
        self.assertEqual(self.lines("--output", "out.fr"), [])
        with open("out.fr") as f: self.assertEqual(f.read().splitlines(), test)
        with gzip.open("packed.gz", "wt") as f: f.write("\n".join(self.source) + "\n")
        self.assertEqual(test, self.lines("--input", "packed.gz"))
        self.assertEqual(len(self.lines("--split", "valid")), 20)
        self.assertEqual(test, self.lines("runtime.threads=2", "--batch", "3"))

    def test_empty_lines_stay(self):
        text = "\n\nw1 w2\n   \nw3\n\n"
        self.write("gaps", text)
        out = self.lines("-i", "gaps")
        self.assertEqual([bool(l) for l in out], [False, False, True, False, True, False])
        self.assertEqual(out, self.lines("--stdin", input=text))
        self.write("nothing", "")
        self.assertEqual(self.lines("-i", "nothing"), [])
        self.assertEqual(self.lines("--stdin", input=""), [])

    def test_one_reader_for_all_text(self):
        """A byte order mark, line ends and blank lines mean the same wherever a text comes from."""
        want = self.lines("--stdin", input="w1 w2\n\nw3\n")
        with open("dos", "wb") as f: f.write("\ufeffw1 w2\r\n \t\u00a0\u3000\r\nw3\r".encode())
        for args in ["-i", "dos"], ["-i", "-"], ["--stdin"]:
            with open("dos") as f:
                r = subprocess.run([RAVEL, "translate", "runs/attends", *args], stdin=f, capture_output=True, text=True)
            self.check(r, 0)
            self.assertEqual(r.stdout.splitlines(), want, args)
        self.assertEqual(self.lines("--stdin", input="\ufeff"), [])
        self.check(ravel("train", "attends.yaml", "name=chars", "tokenizer=!replace {type: char}", "train.max_steps=1",
                         "-q"), 0)
        out = ravel("translate", "runs/chars", "--stdin", input="w1\n \u3000\nw2\n")
        self.check(out, 0)
        self.assertEqual(out.stdout.split("\n")[1], "")

    def test_lines_come_at_once(self):
        p = subprocess.Popen([RAVEL, "translate", "runs/attends", "--stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for line in "w1 w2", "w3", "":
            p.stdin.write(line + "\n")
            p.stdin.flush()
            self.assertEqual(p.stdout.readline(), (self.lines("--stdin", input=line + "\n") + [""])[0] + "\n")
        p.stdin.close()
        self.assertEqual(p.wait(30), 0)
        p.stdout.close()

    def test_n_best_and_json(self):
        best = self.lines("--beam", "5")
        rows = [l.split(" ||| ") for l in self.lines("--beam", "5", "--n-best", "3")]
        objects = [json.loads(l) for l in self.lines("--beam", "5", "--n-best", "3", "--json")]
        self.assertEqual([o["source"] for o in objects], self.source)
        for i, o in enumerate(objects):
            mine = [r for r in rows if r[0] == str(i)]
            self.assertEqual(len(mine), 3)
            scores = [float(r[2]) for r in mine]
            self.assertEqual(scores, sorted(scores, reverse=True))
            self.assertEqual([n["translation"] for n in o["n_best"]], [r[1] for r in mine])
            self.assertEqual((o["translation"], o["line"]), (best[i], i + 1))
            for n, s in zip(o["n_best"], scores): self.assertAlmostEqual(n["score"], s, places=5)
            length = len(o["translation"].split()) + 1
            self.assertAlmostEqual(o["score"], o["log_prob"] / ((5 + length) / 6) ** 0.6, places=5)
        self.write("gap", "w1\n\nw2 w3\n \n")
        for args in ["-i", "gap"], ["--stdin"]: # nothing is left out: n-best lists count from 0, objects from 1
            with open("gap") as f: rows = [l.split(" ||| ") for l in self.lines("--n-best", "2", *args, stdin=f)]
            self.assertEqual([r[0] for r in rows], ["0", "0", "1", "2", "2", "3"])
            self.assertEqual([r[1:] for r in (rows[2], rows[5])], [["", "0.000000"]] * 2)
            with open("gap") as f:
                objects = [json.loads(l) for l in self.lines("--n-best", "2", "--json", *args, stdin=f)]
            self.assertEqual([(o["line"], len(o["n_best"]), o["translation"]) for o in objects[1::2]],
                             [(2, 0, ""), (4, 0, "")])
        for option, says in ("n-best", "from 0"), ("json", "from 1"):
            self.assertRegex(" ".join(ravel("translate", "--help").stdout.split()), f"--{option}[^-]*?{says}")
        plain = [json.loads(l) for l in self.lines("--json", "--length-penalty", "0")]
        for o in plain: self.assertAlmostEqual(o["score"], o["log_prob"], places=6)

    def test_unknown_words(self):
        produced, replaced, without = self.lines("--beam", "1"), self.lines("--beam", "1", "--replace-unk"), self.lines("--no-unk")
        with_unk = [i for i, l in enumerate(produced) if "<unk>" in l]
        self.assertGreater(len(with_unk), 5)
        self.assertNotIn("<unk>", "".join(without + replaced))
        for i, (p, r) in enumerate(zip(produced, replaced)):
            self.assertEqual(len(p.split()), len(r.split()))
            for a, b in zip(p.split(), r.split()): self.assertTrue(a == b or (a == "<unk>" and b in self.source[i].split()), (p, r))
        self.check(ravel("train", "-q", "attends.yaml", "name=lower", "tokenizer.lowercase=true", "train.max_steps=60",
                         "train.validate_every=60"), 0)
        names = set(ravel("translate", "runs/lower", "--replace-unk").stdout.split()) - set(self.WORDS)
        self.assertTrue(any(n.startswith("Nametest") for n in names), names)
        self.assertLessEqual(names, set(" ".join(self.source).split()), "as they were typed")
        self.check(ravel("translate", "runs/bottle", "--replace-unk"), 2, "attention")
        self.check(ravel("translate", "runs/attends", "--replace-unk", "--no-unk"), 2, "exclude")

    def test_long_lines_are_cut(self):
        self.write("long", "w1\n" + "w1 w2 " * 20 + "\n" + "w2 " * 13 + "\n")
        r = ravel("translate", "runs/attends", "-i", "long")
        self.check(r, 0, r"warning: 2 of 3 lines have more than the 12 tokens.*the first is line 2")
        self.assertEqual(len(r.stdout.splitlines()), 3)
        self.write("short", "w1\n" + "w1 w2 " * 6 + "\n" + "w2 " * 12 + "\n")
        self.assertEqual(r.stdout.splitlines(), self.lines("-i", "short"))
        self.check(ravel("translate", "runs/attends", "--stdin", input="w1 " * 13), 0, "line 1 has more than the 12 tokens")
        longest = max(len(l.split()) for l in self.lines("-i", "short", "--max-length-ratio", "0.01"))
        self.assertLessEqual(longest, 10)

    def test_bad_input(self):
        with open("bad", "wb") as f: f.write(b"w1\nw2 \xff w3\nw4\n")
        self.check(ravel("translate", "runs/attends", "-i", "bad"), 3, "bad:2.*UTF-8")
        with open("bad", "rb") as f: r = subprocess.run([RAVEL, "translate", "runs/attends", "--stdin"], stdin=f, capture_output=True, text=True)
        self.check(r, 3, "standard input:2: byte 4")
        self.assertEqual(len(r.stdout.splitlines()), 1)
        for args, code, why in ((["-i", "absent"], 3, "absent"), (["--beam", "0"], 2, "beam_size"), (["--n-best", "4"], 2, "--beam 4"), (["--n-best", "x"], 2, "x"),
                                (["--split", "train"], 2, "train"), (["--stdin", "-i", "test.en"], 2, "exclude"), (["-o", "none/x"], 2, "none/x"),
                                (["-o", "/dev/full"], 3, "No space"), (["--attention", "none/x"], 2, "none"), (["decode.beam=3"], 2, "beam_size")):
            self.check(ravel("translate", "runs/attends", *args), code, why)
        self.check(ravel("translate", "runs/absent"), 4, "absent")
        self.check(ravel("translate"), 2, "name a run")
        random.seed(2)
        self.write("text", "".join(random.choice(["to be ", "or not "]) for _ in range(600)))
        self.write("lm.yaml", (BASE % LSTM).replace("name: test", "name: lm"))
        self.check(ravel("train", "-q", "lm.yaml"), 0)
        self.check(ravel("translate", "runs/lm", "--stdin", input="to"), 2, "language_model")
        self.check(ravel("generate", "runs/attends", "--prompt", "w1"), 2, "translation")

    def test_attention_pictures(self):
        os.makedirs("pictures", exist_ok=True)
        self.write("three", "w1 w2 w3\n\nw4 Somebody\n")
        for path, files in ("pictures", "pictures/attention"), ("one", "one"):
            self.lines("-i", "three", "--attention", path)
            self.assertGreater(os.path.getsize(files + ".h5"), 1000)
            with open(files + ".html") as f: page = f.read()
            self.assertIn("w4", page)
            self.assertNotIn("http", page.replace("http://www.w3.org/2000/svg", ""))
        self.assertFalse(os.path.exists("one.svg"))
        self.lines("--stdin", "--attention", "single", input="w1 w2\n")
        with open("single.svg") as f: self.assertIn("w2", f.read())
        self.check(ravel("translate", "runs/bottle", "--attention", "x"), 2, "attention")

    def test_evaluation(self):
        whole = self.parsed("eval", "runs/attends", "--split", "test", "--json")
        self.assertGreater(whole["bleu"], 25)
        bins = self.parsed("eval", "runs/attends", "--split", "test", "--by-length", "2,4", "--json")["bins"]
        self.assertEqual([(b["from"], b["to"]) for b in bins], [(0, 2), (3, 4), (5, None)])
        words = [len(line.split()) for line in self.source]
        self.assertEqual([b["sentences"] for b in bins], [sum(n <= 2 for n in words), sum(3 <= n <= 4 for n in words), sum(n > 4 for n in words)])
        one = self.parsed("eval", "runs/attends", "--split", "test", "--by-length", "100", "--json")["bins"]
        self.assertAlmostEqual(one[0]["bleu"], whole["bleu"], places=4)
        self.assertEqual(one[1], {"from": 101, "to": None, "sentences": 0, "bleu": None, "chrf": None})
        said = ravel("eval", "runs/attends", "--split", "test", "--by-length", "100").stdout
        self.assertRegex(said, r"(?m)^split +test$")
        self.assertRegex(said, r"(?m)^0-100 +\d+ +\d+\.\d\d +\d+\.\d\d$")
        self.assertRegex(said, r"(?m)^101- +0 +- +-$")
        looked_up = [l.split() for l in ravel("summary", "runs/attends").stdout.splitlines() if "embedding" in l]
        self.assertEqual([l[-1] for l in looked_up], ["0"] * 2, "a table is looked up, and takes no FLOPs")
        # every word pairs with its mirror image
        links = [" ".join(f"{i}-{n - 1 - i}" for i in range(n)) for n in words]
        self.write("gold", "\n".join(links) + "\n")
        self.write("wrong", "\n".join(" ".join(f"{i}-{i}" for i in range(n)) for n in words) + "\n")
        right, wrong = (self.parsed("eval", "runs/attends", "--split", "test", "--gold", f, "--json") for f in ("gold", "wrong"))
        self.assertEqual(right["gold_links"], sum(words))
        self.assertLess(right["balanced"]["aer"], 0.15)
        self.assertGreater(wrong["balanced"]["aer"], 0.5)
        self.write("short", links[0] + "\n")
        self.check(ravel("eval", "runs/attends", "--split", "test", "--gold", "short"), 3, "1 lines for 37")
        self.write("beyond", "\n".join(links[:4] + [f"0-0 {words[4]}p0"] + links[5:]) + "\n")
        self.check(ravel("eval", "runs/attends", "--split", "test", "--gold", "beyond"), 3,
                   f"beyond:5: the link {words[4]}p0 is beyond the sentence pair, which has {words[4]} and")
        self.check(ravel("eval", "runs/attends", "--split", "test", "--alignment"), 2, "--gold")
        self.check(ravel("eval", "runs/bottle", "--split", "test", "--gold", "gold"), 2, "attention")
        self.check(ravel("eval", "runs/attends", "--by-length", "4,2"), 2, "rising")
        first, again, seed = (self.parsed("eval", "runs/attends", "--split", "test", "--shuffle-source", "--json", *x) for x in ((), (), ("seed=5",)))
        self.assertEqual(first, again)
        self.assertEqual(first["shuffled_source"], True)
        self.assertGreater(first["ppl"], 1.5 * whole["ppl"])
        self.assertNotEqual(first["loss"], seed["loss"])
        self.check(ravel("eval", "runs/attends", "--shuffle-source", "--gold", "gold"), 2, "leave one out")

    def test_columns(self):
        """Attributions behind the pairs change nothing, once the columns are named."""
        with open("train.en") as en, open("train.fr") as fr:
            pairs = [s.strip() + "\t" + t.strip() for s, t in zip(en, fr)]
        self.write("two.tsv", "\n".join(pairs))
        self.write("three.tsv", "\n".join(p + "\tCC-BY 2.0 (France)" for p in pairs))
        for name in "two", "three":
            more = ["name=" + name, "train.max_steps=2", "train.validate_every=2",
                    f"data=!replace {{path: {name}.tsv, max_length: 12}}"]
            if name == "three":
                self.check(ravel("train", "attends.yaml", *more), 3,
                           r"three.tsv:1: several tabs.*data.columns: \[1, 2\]")
                more += ["data.columns=[1, 2]"]
            self.check(ravel("train", "-q", "attends.yaml", *more), 0)
            new = ravel("config", "new", "translation", "--train", name + ".tsv")
            self.check(new, 0)
            self.assertEqual("columns: [1, 2]" in new.stdout, name == "three", new.stdout)
        self.check(ravel("ckpt", "diff", "--only", "/model", "runs/two", "runs/three"), 0)
        wrong = {"[1]": "2 whole numbers", "[1, 2, 3]": "2 whole numbers", "[2, 2]": "listed twice",
                 "[0, 1]": r"\[1, 1000\]"}
        for bad, why in wrong.items():
            self.check(ravel("train", "attends.yaml", *more[:-1], "data.columns=" + bad), 2, why)
        self.check(ravel("train", "attends.yaml", "data.columns=[1, 2]"), 2, "without data.src")

    def test_lower_case(self):
        """A model that writes lower case alone, against references with capitals."""
        for part in "train", "valid":
            with open(part + ".fr") as f, open(f"capital{part}.fr", "w") as to: to.write(f.read().title())
            with open(part + ".en") as f, open(f"capital{part}.en", "w") as to: to.write(f.read())
        more = ["data=!replace {train: capitaltrain, valid: capitalvalid, src: en, tgt: fr, max_length: 12}"]
        self.check(ravel("train", "-q", "attends.yaml", "name=capitals", "tokenizer.lowercase=true", *more), 0)
        e = self.parsed("eval", "--json", "runs/capitals")
        self.assertLess(e["bleu"] + 20, e["bleu_lc"])
        self.assertIn("|case:mixed|", e["bleu_signature"])
        self.assertIn("|case:lc|", e["bleu_lc_signature"])
        self.assertRegex(ravel("eval", "runs/capitals").stdout, r"(?m)^bleu_lc +\d+\.\d+$")
        one = self.parsed("eval", "--json", "runs/capitals", "--by-length", "100")["bins"][0]
        self.assertAlmostEqual(one["bleu_lc"], e["bleu_lc"], places=4)
        self.assertRegex(ravel("eval", "runs/capitals", "--by-length", "100").stdout,
                         r"BLEU lc\n0-100 .*\d\.\d\d\n101- +0 +- +- +-\n")
        self.assertNotIn("bleu_lc", self.parsed("eval", "--json", "runs/attends"))

    def test_data_that_do_not_fit(self):
        def train(**files):
            for name, text in files.items():
                with open(name.replace("_", "."), "wb") as f: f.write(text)
            return ravel("train", "attends.yaml", "name=bad", "data=!replace {train: t, valid: valid, src: en, tgt: fr, max_length: 12}")
        self.check(train(t_en=b"w1\nw2\n", t_fr=b"un\n"), 3, "t.en.*2.*t.fr.*1|2.*lines.*1")
        self.check(train(t_en=b"w1\n\xff\n", t_fr=b"un\ndeux\n"), 3, "UTF-8")
        self.check(train(t_en=b"\n\n", t_fr=b"un\ndeux\n"), 3)
        r = train(t_en=b"w1 w2\n\nw2 w1\n" + b"w1 " * 13 + b"\n", t_fr=b"un deux\nun\ndeux un\nun\n")
        self.check(r, 0, "2 of 4")
        self.check(ravel("train", "attends.yaml", "name=few", "train.batch.size=3"), 2,
                   r"has \d+ tokens with <eos>, but train.batch.size is 3 tokens: raise it, for sentences "
                   "set train.batch.type to sequences")
        with gzip.open("z.en.gz", "wt") as f: f.write("w1 w2\n" * 8)
        with gzip.open("z.fr.gz", "wt") as f: f.write("un deux\n" * 8)
        self.check(ravel("train", "attends.yaml", "name=zipped", "train.max_steps=2", "data=!replace {train: z, valid: z, src: en, tgt: fr, max_length: 12}"), 0)
        self.check(ravel("train", "attends.yaml", "tokenizer.min_frequency=1", "train.max_steps=301"), 4, r"tokenizer.min_frequency 2 .the experiment says 1")
        self.check(ravel("train", "attends.yaml", "name=none", "data=!replace {train: absent, src: en, tgt: fr}"), 2, "valid")
        self.check(ravel("train", "attends.yaml", "name=none", "data=!replace {train: absent, valid: valid, src: en, tgt: fr}"), 3, "absent.en")


unittest.main(verbosity=1)
