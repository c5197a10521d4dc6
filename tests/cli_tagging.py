#!/usr/bin/env python3
"""Sequence tagging as a user meets it: from files to tagged text, with every kind of tagger.   cli_tagging.py RAVEL"""
import gzip, json, math, os, random, subprocess, tempfile, unittest

from command import BASE, LSTM, RAVEL, Command, ravel

EXPERIMENT = """name: %s
task: tagging
data: {train: train.%s, valid: valid.%s, test: test.%s, max_length: 12}
tokenizer: {type: word, lowercase: true}
model: {encoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 12}, embedding_dim: 12%s}
train: {batch: {size: 8}, max_steps: 60, optimizer: {type: adam, lr: 2e-2}, validate_every: 30}
metrics: [loss, accuracy, known_accuracy, unknown_accuracy, f1, span_f1, malformed]
"""
RNN = "encoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 12}, embedding_dim: 12"
TRANSFORMER = "encoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 12}"


def experiment(name, ending, more="", instead=None, hmm=None, pieces=False):
    text = EXPERIMENT % (name, ending, ending, ending, more)
    if instead: text = text.replace(RNN, instead)
    if pieces: text = text.replace("{type: word, lowercase: true}", "{type: bpe, vocab_size: 290}").replace("max_length: 12", "max_length: 48")
    if hmm is not None:
        text = text.replace("lowercase: true", "lowercase: false")
        lines = [line for line in text.splitlines() if not line.startswith(("model:", "train:"))]
        text = "\n".join(lines + ["model: {hmm: {order: %d}}" % hmm]) + "\n"
        text = text.replace("lowercase: true", "lowercase: false, normalization: none")
    return text


RUNS = { # ending of its files, experiment
    "softmax": experiment("softmax", "conllu"),
    "letters-crf": experiment("letters-crf", "tsv", ", crf: true, letters: {type: lstm, embedding_dim: 6, hidden_size: 6}, "
                              "capitals_dim: 4"),
    "cnn-crf": experiment("cnn-crf", "conllu", ", crf: true, letters: {type: cnn, embedding_dim: 6, hidden_size: 8}"),
    "words-crf": experiment("words-crf", "tsv", instead="encoder: {type: none}, embedding_dim: 12, crf: true"),
    "pieces": experiment("pieces", "conllu", instead=TRANSFORMER, pieces=True),
    "hmm-0": experiment("hmm-0", "conllu", hmm=0),
    "hmm-1": experiment("hmm-1", "tsv", hmm=1),
    "hmm-2": experiment("hmm-2", "conllu", hmm=2),
}
ENDING = {name: "tsv" if ".tsv" in text else "conllu" for name, text in RUNS.items()}
NAMES = ["Anna", "Bob", "Carla", "Dora Lee", "Emil Ray Fox"]
PLACES = ["Rome", "New York", "Oslo"]


def sentence():
    """(word, part of speech, tag of spans), some ten words of a small grammar."""
    def noun():
        kind = random.randrange(3)
        if kind == 0: return [(random.choice(["the", "a"]), "DET", "O"), (random.choice(["dog", "cat", "tree"]), "NOUN", "O")]
        words, of = (random.choice(NAMES), "PER") if kind == 1 else (random.choice(PLACES), "LOC")
        return [(w, "PROPN", ("I-" if i else "B-") + of) for i, w in enumerate(words.split())]

    verb = random.choice(["sees", "likes", "finds"])
    return noun() + [(verb, "VERB", "O")] + noun() + [(".", "PUNCT", "O")]


def conllu(sentences):
    lines = []
    for k, s in enumerate(sentences, 1):
        lines.append(f"# sent_id = {k}")
        for i, (word, pos, _) in enumerate(s, 1):
            if i == 2: lines.append(f"2-3\t{word}x" + "\t_" * 8)
            lines.append(f"{i}\t{word}\t{word.lower()}\t{pos}\tX\t_\t{i - 1}\tdep\t_\t_")
        lines.append("")
    return "\n".join(lines) + "\n"


def columns(sentences): return "".join("".join(f"{w}\t{tag}\n" for w, _, tag in s) + "\n" for s in sentences)


class Tagging(Command):
    @classmethod
    def setUpClass(cls):
        cls.tmp, cls.home = tempfile.TemporaryDirectory(), os.getcwd()
        os.chdir(cls.tmp.name)
        random.seed(11)
        for part, n in ("train", 50), ("valid", 8), ("test", 10):
            s = [sentence() for _ in range(n)]
            if part == "test": s[3] = [("Zork", "PROPN", "B-PER")] + s[3][-4:]
            cls.write(cls, part + ".conllu", conllu(s))
            cls.write(cls, part + ".tsv", columns(s))
            setattr(cls, part, s)
        for name, text in RUNS.items():
            cls.write(cls, name + ".yaml", text)
            r = ravel("train", "-q", name + ".yaml")
            assert r.returncode == 0, name + ": " + r.stderr
        cls.write(cls, "in.txt", "Anna sees the dog .\n\nunheard Words sees\tBob !\n   \n" + "the cat likes Oslo . " * 7 + "\n")

    @classmethod
    def tearDownClass(cls):
        os.chdir(cls.home)
        cls.tmp.cleanup()

    def predict(self, run, *args, **kw):
        r = ravel("predict", "runs/" + run, *args, **kw)
        self.check(r, 0)
        return r.stdout

    def bytes_of(self, run, *args, data=None):
        """As bytes: line ends stay what they are."""
        r = subprocess.run([RAVEL, "predict", "runs/" + run, *args], input=data, capture_output=True, timeout=120)
        self.assertEqual(r.returncode, 0, r.stderr)
        return r.stdout

    def refused(self, code, pattern, *args, **kw):
        r = ravel(*args, **kw)
        self.assertEqual(r.returncode, code, r.stdout + r.stderr)
        self.assertRegex(r.stderr, pattern)
        self.assertLessEqual(sum(line.startswith("ravel: ") for line in r.stderr.splitlines()), 1, r.stderr)

    # ---- measuring

    def test_they_learn(self):
        """What eval says of the test part is what predict tells of it."""
        for run in RUNS:
            e = self.parsed("eval", "runs/" + run, "--split", "test", "--json")
            told = [json.loads(line) for line in self.predict(run, "--split", "test", "--json").splitlines()]
            column = 2 if ENDING[run] == "tsv" else 1
            self.assertEqual([o["reference"] for o in told], [[w[column] for w in s] for s in self.test], run)
            self.assertEqual([o["text"] for o in told], [" ".join(w[0] for w in s) for s in self.test], run)
            pairs = [(a, b) for o in told for a, b in zip(o["tags"], o["reference"])]
            self.assertEqual([o["right"] for o in told], [sum(a == b for a, b in zip(o["tags"], o["reference"])) for o in told])
            self.assertAlmostEqual(e["accuracy"], sum(a == b for a, b in pairs) / len(pairs), delta=1e-8, msg=run)
            self.assertGreater(e["accuracy"], 0.8, run)
            self.assertTrue(math.isfinite(e["loss"]), run)
            known = {w[0] for s in self.train for w in s}
            right = [(w[0] in known, a == b) for o, s in zip(told, self.test) for w, a, b in zip(s, o["tags"], o["reference"])]
            for key, is_known in ("known_accuracy", True), ("unknown_accuracy", False):
                of = [r for k, r in right if k == is_known]
                self.assertAlmostEqual(e[key], sum(of) / len(of), delta=1e-8, msg=f"{run}, {key}")
            if ENDING[run] == "conllu": continue
            spans = [(self.spans(o["reference"]), self.spans(o["tags"])) for o in told]
            both, there = sum(len(a & b) for a, b in spans), sum(len(a) + len(b) for a, b in spans)
            self.assertAlmostEqual(e["span_f1"], 2 * both / there, delta=1e-8, msg=run)

    @staticmethod
    def spans(tags):
        out, begin = set(), None
        for i, tag in enumerate(tags + ["O"]):
            before = tags[i - 1] if i else "O"
            if before != "O" and (tag == "O" or tag[0] == "B" or tag[2:] != before[2:]): out.add((begin, i, before[2:]))
            if tag != "O" and (before == "O" or tag[0] == "B" or tag[2:] != before[2:]): begin = i
        return out

    def test_the_loss_is_the_taggings_probability(self):
        """Of a CRF: -log p(tags) per word, p as --nbest tells it."""
        for run in "letters-crf", "words-crf", "cnn-crf":
            of = [[w[2 if ENDING[run] == "tsv" else 1] for w in s] for s in self.test]
            self.write("words.txt", "".join(" ".join(w[0] for w in s) + "\n" for s in self.test))
            told = [json.loads(line) for line in self.predict(run, "--input", "words.txt", "--json", "--nbest", "999").splitlines()]
            p = [next((t["probability"] for t in o["taggings"] if t["tags"] == gold), None) for o, gold in zip(told, of)]
            if None in p: continue # improbable beyond 999 others
            e = self.parsed("eval", "runs/" + run, "--split", "test", "--json")
            self.assertAlmostEqual(e["loss"], -sum(map(math.log, p)) / sum(map(len, of)), delta=1e-4, msg=run)

    # ---- lines

    def test_lines(self):
        with open("in.txt") as f: text = f.read()
        for run in RUNS:
            out = self.predict(run, "--stdin", input=text)
            self.assertEqual([len(line.split()) for line in out.split("\n")], [len(line.split()) for line in text.split("\n")], run)
            self.assertEqual(self.predict(run, "--input", "in.txt"), out)
            self.assertEqual(self.predict(run, "--input", "-", input=text), out)
            for batch in "1", "3": self.assertEqual(self.predict(run, "--input", "in.txt", "--batch", batch, "runtime.threads=3"), out)
            self.assertEqual(self.predict(run, "--input", "in.txt", "--output", "out.txt"), "")
            with open("out.txt") as f: self.assertEqual(f.read(), out)
            self.assertEqual(self.predict(run, "--stdin", input=""), "")
            self.assertEqual(self.predict(run, "--stdin", input="\n"), "\n")
            self.assertEqual(self.predict(run, "--stdin", input="Anna sees"), self.predict(run, "--stdin", input="Anna sees\n"))
        self.assertEqual(self.predict("hmm-2", "--stdin", input="Anna sees the dog .\n"), "PROPN VERB DET NOUN PUNCT\n")
        with gzip.open("in.txt.gz", "wt") as f: f.write(text)
        self.assertEqual(self.predict("softmax", "--input", "in.txt.gz"), self.predict("softmax", "--input", "in.txt"))

    def test_a_mark_and_line_ends_are_no_words(self):
        want = self.predict("letters-crf", "--stdin", input="Anna sees Bob\n").encode()
        for args, text in ((["--stdin"], "\ufeffAnna sees Bob\r\n"), (["--input", "mark.txt"], "\ufeffAnna sees Bob\r\n")):
            with open("mark.txt", "wb") as f: f.write(text.encode())
            with open("mark.txt", "rb") as f: data = f.read()
            self.assertEqual(self.bytes_of("letters-crf", *args, data=data), want.replace(b"\n", b"\r\n"))

    def test_json(self):
        for run in RUNS:
            out = [json.loads(line) for line in self.predict(run, "--input", "in.txt", "--json").splitlines()]
            plain = self.predict(run, "--input", "in.txt").splitlines()
            self.assertEqual([o["line"] for o in out], [1, 2, 3, 4, 5])
            for o, line in zip(out, plain):
                self.assertEqual(set(o), {"line", "words", "tags", "probabilities", "probability"})
                self.assertEqual(" ".join(o["tags"]), line)
                self.assertEqual(len(o["words"]), len(o["tags"]))
                self.assertEqual(len(o["words"]), len(o["probabilities"]))
                for p in o["probabilities"] + [o["probability"]]: self.assertTrue(0 < p <= 1 + 1e-6, (run, p))
            self.assertEqual(out[2]["words"], ["unheard", "Words", "sees", "Bob", "!"])

    def test_the_best_of_each_word_and_the_best_tagging(self):
        """Without steps between tags a tagging's probability is the product of its words'."""
        for run in "softmax", "pieces", "hmm-0":
            o = json.loads(self.predict(run, "--stdin", "--json", input="Anna sees the dog .\n"))
            self.assertAlmostEqual(o["probability"], math.prod(o["probabilities"]), delta=1e-5, msg=run)

    def test_n_best(self):
        for run in RUNS:
            text = "Anna sees the dog .\n\nBob\n"
            out = [json.loads(line) for line in self.predict(run, "--stdin", "--json", "--nbest", "40", input=text).splitlines()]
            for o in out:
                p = [t["probability"] for t in o["taggings"]]
                self.assertEqual(p, sorted(p, reverse=True), run)
                self.assertLessEqual(sum(p), 1 + 1e-6, run)
                self.assertEqual(len({tuple(t["tags"]) for t in o["taggings"]}), len(p), "each once")
                if not o["words"]: continue
                self.assertEqual((o["taggings"][0]["tags"], p[0]), (o["tags"], o["probability"]))
                self.assertEqual({len(t["tags"]) for t in o["taggings"]}, {len(o["words"])})
            self.assertAlmostEqual(sum(t["probability"] for t in out[2]["taggings"]), 1, delta=1e-5,
                                   msg=run + ": all taggings of one word")
            for batch in "1", "2":
                again = self.predict(run, "--stdin", "--json", "--nbest", "40", "--batch", batch, input=text)
                self.assertEqual([json.loads(line) for line in again.splitlines()], out)

    def test_longer_than_the_model_takes(self):
        """A sentence is tagged in parts; its other taggings are not told."""
        long = "the cat likes Oslo . " * 7
        for run in RUNS:
            o = json.loads(self.predict(run, "--stdin", "--json", "--nbest", "3", input=long + "\n"))
            self.assertEqual((len(o["tags"]), len(o["probabilities"]), len(o["taggings"])), (35, 35, 1), run)
            self.assertTrue(0 < o["probability"] <= 1)
            if run != "pieces": # its parts, each by itself
                parts = [" ".join(long.split()[i:i + 12]) + "\n" for i in range(0, 35, 12)]
                alone = "".join(self.predict(run, "--stdin", input="".join(parts)))
                self.assertEqual(alone.split(), o["tags"], run)
        huge = "x" * 200 + " sees Anna\n" # one word of more pieces than that
        for run in RUNS: self.assertEqual(len(self.predict(run, "--stdin", input=huge).split()), 3, run)

    # ---- columns and CoNLL-U

    def test_columns(self):
        text = "Anna\tx\nsees\ty\r\n\n\n# a comment\nBob\t\tz\n-DOCSTART-\n\nunheard\tq"
        out = self.bytes_of("letters-crf", "--stdin", data=text.encode()).decode()
        lines, told = text.split("\n"), out.split("\n")
        self.assertEqual(told.pop(), "")
        self.assertEqual(len(told), len(lines))
        for a, b in zip(lines, told):
            if not a.strip() or a[0] in "#-":
                self.assertEqual(a, b)
                continue
            end = "\r" if a.endswith("\r") else ""
            self.assertRegex(b, "^" + a.rstrip("\r") + "\t(O|[BI]-(PER|LOC))" + end + "$")
        with open("c.txt", "wb") as f: f.write(text.encode())
        self.assertEqual(self.bytes_of("letters-crf", "--input", "c.txt").decode(), out)
        one = self.predict("letters-crf", "--stdin", "--format", "columns", input="Anna\nsees\n\nBob\n")
        self.assertEqual([line.split("\t")[0] for line in one.split("\n")], ["Anna", "sees", "", "Bob", ""])
        blanks = self.predict("letters-crf", "--stdin", "--format", "columns", input="Anna x\nsees y\n")
        self.assertEqual([len(line.split(" ")) for line in blanks.splitlines()], [3, 3])

    def test_the_same_in_every_format(self):
        for run in RUNS:
            tags = {}
            words = [[w[0] for w in s] for s in self.test]
            tags["lines"] = self.predict(run, "--stdin", input="".join(" ".join(s) + "\n" for s in words)).split()
            out = self.predict(run, "--stdin", "--format", "columns", input="".join("\n".join(s) + "\n\n" for s in words))
            tags["columns"] = [line.split("\t")[1] for line in out.splitlines() if line]
            out = self.predict(run, "--input", "test.conllu")
            tags["conllu"] = [line.split("\t")[3] for line in out.splitlines() if line[:1].isdigit() and "-" not in line.split("\t")[0]]
            self.assertEqual(tags["columns"], tags["lines"], run)
            self.assertEqual(tags["conllu"], tags["lines"], run)
            out = [json.loads(line) for line in self.predict(run, "--input", "test.conllu", "--json").splitlines()]
            self.assertEqual([t for o in out for t in o["tags"]], tags["lines"], run)
            with open("test.conllu") as f: lines = f.read().split("\n")
            first = [i for i, line in enumerate(lines, 1) if line.startswith("1\t")]
            self.assertEqual([o["line"] for o in out], first, "the line of the first word")

    def test_conllu_in_and_out(self):
        with open("test.conllu") as f: text = f.read()
        text = text.replace("\n3\t", "\n2.1\tempty" + "\t_" * 8 + "\n3\t", 1)
        for ending in "\n", "\r\n":
            data = text.replace("\n", ending).encode()
            with open("given.conllu", "wb") as f: f.write(data)
            for args, given in ((["--input", "given.conllu"], None), (["--stdin"], data)):
                out = self.bytes_of("softmax", *args, data=given)
                a, b = data.split(b"\n"), out.split(b"\n")
                self.assertEqual(len(a), len(b))
                for x, y in zip(a, b):
                    x, y = x.split(b"\t"), y.split(b"\t")
                    if len(x) == 10 and x[0].isdigit():
                        self.assertIn(y[3], [b"DET", b"NOUN", b"PROPN", b"VERB", b"PUNCT"])
                        x[3] = y[3]
                    self.assertEqual(x, y)
        self.assertEqual(self.bytes_of("softmax", "--stdin", data=text.rstrip("\n").encode()) + b"\n", self.bytes_of("softmax", "--stdin", data=text.encode()),
                         "a last line without its end gets one")

    def test_damaged_input(self):
        with open("bad.txt", "wb") as f: f.write(b"a\nb \xff c\n")
        self.refused(3, r"bad\.txt:2: byte 0xff at offset 4 is not valid UTF-8; convert the file", "predict", "runs/softmax", "--input", "bad.txt")
        with open("bad.txt") as f:
            self.refused(3, "standard input:2: byte 3 of the line is not valid UTF-8", "predict", "runs/softmax", "--stdin", stdin=f)
        self.write("bad.conllu", "1\tAnna\t_\n")
        self.refused(3, r"bad\.conllu:1: 3 columns where a line of CoNLL-U has 10", "predict", "runs/softmax", "--input", "bad.conllu")
        self.write("bad.tsv", "a\tb\n\t c\n")
        self.refused(3, r"bad\.tsv:2: no word in column 1", "predict", "runs/softmax", "--input", "bad.tsv")
        self.refused(3, "none.txt: cannot open: No such file", "predict", "runs/softmax", "--input", "none.txt")
        self.refused(2, "cannot write", "predict", "runs/softmax", "--stdin", "--output", "none/x", input="a\n")

    def test_columns_are_read_as_in_training(self):
        """Tabs are the whole file's, fields are trimmed, -DOCSTART- ends a sentence, and "# " begins comments."""
        def words(text):
            self.write("read.txt", text)
            told = self.predict("letters-crf", "--json", "--format", "columns", "--input", "read.txt")
            streamed = self.predict("letters-crf", "--json", "--format", "columns", "--stdin", input=text)
            self.assertEqual(streamed, told)
            return [o["words"] for o in map(json.loads, told.splitlines())]
        self.assertEqual(words("Anna\tx\nNew York\nsees\n"), [["Anna", "New York", "sees"]])
        self.assertEqual(words(" Anna \tx\n sees\ty\n"), [["Anna", "sees"]])
        self.assertEqual(words("Anna\tx\n-DOCSTART-\tx\nsees\ty\n-DOCSTART-x\ty\n"), [["Anna"], ["sees", "-DOCSTART-x"]])
        self.assertEqual(words("Anna\tx\n# of her\tx\nsees\ty\n#\ty\n"), [["Anna", "sees", "#"]])
        self.assertEqual(words("# of her\nAnna x\nsees y\n# z\n"), [["Anna", "sees", "#"]])

    def test_words_that_are_none(self):
        row = "1\t%s\t_\t_\t_\t_\t_\t_\t_\t_\n"
        for word, says in ("", "no word"), ("  ", "no word"), ("a\0b", "a NUL in the word"):
            self.write("none.conllu", row % "Anna" + row % word)
            self.refused(3, rf"none\.conllu:2: {says} in column 2; correct the line", "predict", "runs/softmax", "--input", "none.conllu")
            self.write("none.tsv", f"Anna\tx\n{word}\tx\n")
            for args, name, kw in (["--input", "none.tsv"], "none.tsv", {}), (["--stdin"], "standard input", {"input": f"Anna\tx\n{word}\tx\n"}):
                self.refused(3, rf"{name}:2: {says} in column 1 \(data.word_column\); correct the line", "predict", "runs/softmax", *args, **kw)

    def test_the_input_is_not_written_over(self):
        self.write("own.txt", "Anna sees Bob\n")
        os.link("own.txt", "linked.txt")
        for out in "own.txt", "linked.txt", "./own.txt":
            self.refused(2, "is the input, too, which would be lost; write to another file", "predict", "runs/softmax", "--input", "own.txt", "--output", out)
        for args in ["--input", "-"], ["--stdin"]:
            with open("own.txt") as f:
                self.refused(2, "is the input, too", "predict", "runs/softmax", *args, "--output", "own.txt", stdin=f)
        self.refused(3, "none.txt: cannot open", "predict", "runs/softmax", "--input", "none.txt", "--output", "own.txt")
        self.refused(2, "--format is of sentences", "predict", "runs/softmax", "--format", "lines", "--output", "own.txt")
        with open("own.txt") as f: self.assertEqual(f.read(), "Anna sees Bob\n")
        self.check(ravel("predict", "runs/softmax", "--input", "/dev/null", "--output", "/dev/null"), 0)

    def test_what_the_format_is_told_by(self):
        """The first line that is neither blank nor a comment; and what it was taken for is said."""
        for text, name in ("# Anna\n\nBob\tx\n", "columns"), ("# Anna\nBob sees\n", "lines"), ("\n# a\tb\n1\tBob" + "\t_" * 8 + "\n", "conllu"):
            self.write("guess.txt", text)
            for args, kw in (["--input", "guess.txt"], {}), (["--stdin"], {"input": text}):
                r = ravel("predict", "runs/softmax", *args, **kw)
                self.check(r, 0)
                self.assertEqual(r.stderr.count(f"read as {name}; --format says otherwise"), 1, r.stderr)
                self.assertEqual(r.stdout, self.predict("softmax", *args, "--format", name, **kw))
            self.assertEqual(ravel("predict", "-q", "runs/softmax", "--input", "guess.txt").stderr, "")
        self.assertEqual(len(self.predict("softmax", "--stdin", input="# Anna\n").split()), 2, "comments alone are lines")

    def test_a_mark_alone_is_no_line(self):
        self.assertEqual(self.bytes_of("softmax", "--stdin", data=b"\xef\xbb\xbf"), b"")
        self.assertEqual(self.bytes_of("softmax", "--stdin", data=b"\xef\xbb\xbf\n"), b"\n")

    def test_lines_without_sentences(self):
        """So many that they are not kept until one comes."""
        text = "# none\n\n" * 140000 + "Anna\tx\n"
        self.write("many.txt", text)
        out = self.predict("letters-crf", "--input", "many.txt")
        self.assertEqual(out[:len(text) - 1], text[:-1])
        self.assertEqual(json.loads(self.predict("letters-crf", "--input", "many.txt", "--json"))["line"], 280001)

    def test_sentences_in_parts_are_counted(self):
        for run, text, n in ("softmax", "a " * 12 + "\n" + "a " * 13 + "\n", 1), ("softmax", "a " * 12 + "\n", 0), ("pieces", "xyzzy " * 30 + "\n" + "xyzzy " * 40, 2), ("pieces", "xyzzy\n", 0):
            self.write("parts.txt", text)
            r = ravel("predict", "runs/" + run, "--input", "parts.txt")
            self.check(r, 0)
            self.assertEqual(r.stderr.count("tagged in parts"), n > 0, r.stderr)
            if n: self.assertIn(f"{n} sentence{'s are' if n > 1 else ' is'} longer than the model takes", r.stderr)

    # ---- a new user

    def test_from_files_to_tagged_text(self):
        for files, name in ((["--train", "train.conllu"], "train"), (["--train", "train.tsv", "--valid", "valid.tsv", "--test", "test.tsv"], "train")):
            r = ravel("config", "new", "tagging", *files)
            self.check(r, 0)
            self.write("mine.yaml", r.stdout)
            self.check(ravel("config", "check", "mine.yaml"), 0)
            self.check(ravel("train", "mine.yaml", "train.max_steps=4", "train.validate_every=2", "checkpoint.every=2",
                             "checkpoint.dir=runs/mine-" + files[1]), 0, "ravel predict")
            self.check(ravel("eval", "runs/mine-" + files[1], "--split", "test"), 0)
            self.assertEqual(len(self.predict("mine-" + files[1], "--stdin", input="Anna sees it\n").split()), 3)
        self.check(ravel("summary", "mine.yaml"), 0)

    def test_columns_of_an_odd_file(self):
        """Words in the second column, tags in the third, blanks between."""
        self.write("odd.txt", "".join("".join(f"{i} {w} {tag} end\n" for i, (w, _, tag) in enumerate(s)) + "\n" for s in self.train))
        self.write("odd.yaml", RUNS["words-crf"].replace("name: words-crf", "name: odd").replace("train: train.tsv, valid: valid.tsv, test: test.tsv",
                   "path: odd.txt, word_column: 2, tag_column: 3"))
        self.check(ravel("train", "-q", "odd.yaml"), 0)
        out = self.predict("odd", "--stdin", "--format", "columns", input="1 Anna\n2 sees\n")
        self.assertRegex(out, r"^1 Anna B-PER\n2 sees O\n$")

    # ---- mistakes

    def train_with(self, name, *changes, of="words-crf", files=None):
        text = RUNS[of].replace("name: " + of, "name: refused")
        for a, b in changes:
            self.assertIn(a, text)
            text = text.replace(a, b)
        for file, content in (files or {}).items(): self.write(file, content)
        self.write(name + ".yaml", text)
        return "train", name + ".yaml"

    def test_mistakes(self):
        ner = columns(self.train)
        self.refused(3, r"one\.tsv:1: .*column", *self.train_with("one", ("train: train.tsv", "train: one.tsv"), files={"one.tsv": "Anna\nsees\n\nBob\nsees\n"}))
        self.refused(3, r"train\.tsv:1: 2 columns, but data\.tag_column names column 3", *self.train_with("three", ("max_length: 12", "tag_column: 3")))
        self.refused(3, r"train\.conllu:\d+: .*tag of all words.* \(data\.tags\)", *self.train_with("xpos", ("max_length: 12", "tags: xpos"), of="softmax"))
        self.refused(3, r"test\.tsv:1: the tag 'ODD' is not among those of the training part, nor are those of", *self.train_with(
            "others", ("test: test.tsv", "test: others/test.tsv"), files=self.folder("others", {"others/test.tsv": "Anna\tODD\nsees\tODD\n"})))
        r = ravel(*self.train_with("another", ("test: test.tsv", "test: another.tsv"), ("name: refused", "name: another"),
                                   files={"another.tsv": "Anna\tODD\n" + columns(self.test)}), "-q", "model.crf_constraints=false")
        self.check(r, 0, r"another\.tsv:1: the tag 'ODD' is not among those of the training part; 1 of \d+ test words")
        self.refused(2, r"letters.*word", *self.train_with("bpe", ("hidden_size: 12}", "hidden_size: 12}, letters: {type: lstm}"), of="pieces"))
        self.refused(2, r"tokenizer\.type.*word", *self.train_with("hmm-bpe", ("{type: word, lowercase: false}", "{type: bpe, vocab_size: 290}"), of="hmm-2"))
        self.refused(2, r"model\.hmm\.suffix .*tokenizer\.lowercase to false", *self.train_with("hmm-lower", ("lowercase: false", "lowercase: true"), of="hmm-2"))
        self.refused(2, r"train\.optimizer.* does not apply here.*model\.hmm", *self.train_with("hmm-adam", ("metrics:", "train: {optimizer: {type: adam, lr: 1e-3}}\nmetrics:"), of="hmm-2"))
        self.refused(2, r"model\.encoder does not apply here", *self.train_with("hmm-rnn", ("{hmm: {order: 2}}", "{hmm: {order: 2}, encoder: {type: none}}"), of="hmm-2"))
        self.assertTrue(ner)

    def folder(self, name, files):
        os.makedirs(name, exist_ok=True)
        return files

    def test_metrics_that_cannot_be_measured(self):
        """A warning before training, a refusal where one of them decides, and no value."""
        quick = ("max_steps: 60", "max_steps: 2"), ("validate_every: 30", "validate_every: 1"), ("name: refused", "name: unmeasured")
        args = self.train_with("unmeasured", *quick, ("valid: valid.conllu", "valid: train.conllu"), of="softmax")
        r = ravel(*args)
        self.check(r, 0, "warning: unknown_accuracy is not measured: the validation part has only words of the training part",
                   r"warning: span_f1 is not measured: the validation part has tags that mark no spans")
        self.assertNotIn("nan", r.stderr)
        e = self.parsed("eval", "runs/unmeasured", "--json")
        self.assertEqual((e["unknown_accuracy"], e["span_f1"], e["malformed"]), (None, None, None))
        self.assertIsNotNone(e["known_accuracy"])
        self.assertNotIn("nan", ravel("eval", "runs/unmeasured").stdout)
        for metric in "unknown_accuracy", "span_f1":
            self.refused(3, f"train.early_stopping.metric {metric}: the validation part has .*; watch another, such as the accuracy",
                         *args, f"train.early_stopping={{metric: {metric}, patience: 3}}", "checkpoint.dir=runs/stopped-" + metric)

    def test_tags_that_break_their_scheme(self):
        """A CRF with constraints has no loss of them."""
        broken = columns(self.train) + "a\tO\nb\tI-PER\n\n"
        line = broken[:broken.index("a\tO\nb\tI-PER")].count("\n") + 1
        args = self.train_with("broken", ("train: train.tsv", "train: broken.tsv"), ("name: refused", "name: broken"), files={"broken.tsv": broken})
        self.refused(3, rf"broken\.tsv:{line}: the sentence that begins here has the tag 'I-PER' behind 'O', which the scheme BIO of these tags does "
                     "not allow: correct it, take the sentence out, or train with model.crf_constraints false", *args)
        self.check(ravel(*args, "-q", "model.crf_constraints=false"), 0)
        self.check(ravel(*args, "-q", "model.crf=false", "checkpoint.dir=runs/broken-softmax"), 0)
        self.refused(3, r"broken\.tsv:\d+: .*'I-PER'", "eval", "runs/words-crf", "--split", "test", "data.test=broken.tsv")
        self.write("first.tsv", "b\tI-LOC\na\tO\n")
        self.refused(3, r"first\.tsv:1: .*the tag 'I-LOC' at its begin", "eval", "runs/words-crf", "--split", "test", "data.test=first.tsv")

    def test_banned_steps_are_never_told(self):
        """Not even by a model that has not learnt anything."""
        args = self.train_with("young", ("name: refused", "name: young"), ("max_steps: 60", "max_steps: 1"), ("validate_every: 30", "validate_every: 1"))
        self.check(ravel(*args, "-q"), 0)
        text = "".join(" ".join(random.choices(["Anna", "sees", "dog", "x", "Oslo", "York"], k=9)) + "\n" for _ in range(40))
        for told in self.predict("young", "--stdin", input=text).splitlines():
            before = "O"
            for tag in told.split():
                if tag[0] == "I": self.assertEqual(before[1:], tag[1:], told)
                before = tag

    def test_a_scheme_is_remembered(self):
        """I- begins spans in IOB1, whose tags are BIO's: without data a checkpoint alone knows."""
        iob1 = columns(self.train).replace("\tB-", "\tI-") + "Oslo\tI-LOC\nRome\tB-LOC\n\n"
        args = self.train_with("iob", ("train: train.tsv, valid: valid.tsv, test: test.tsv", "path: iob.tsv"), ("name: refused", "name: iob"),
                               files={"iob.tsv": iob1})
        self.check(ravel(*args, "-q"), 0)
        self.assertEqual(self.predict("iob", "--stdin", input="Anna sees Oslo\n"), "I-PER O I-LOC\n")

    def test_a_sentence_that_is_cut_inside_a_span(self):
        """Of BIOES such an end is banned."""
        cut = "x\tO\n" * 11 + "New\tB-LOC\nYork\tE-LOC\n\nRome\tS-LOC\n\n"
        args = self.train_with("ends", ("train: train.tsv, valid: valid.tsv, test: test.tsv", "train: ends.tsv, valid: ends.tsv"), files={"ends.tsv": cut})
        self.refused(3, r"ends\.tsv:1: .*'B-LOC' at its end.*BIOES.*: raise data\.max_length where it cuts the sentence, correct it, take", *args)

    def test_options_that_do_not_go_together(self):
        self.refused(2, "--nbest has no place in lines of tags; give --json, too", "predict", "runs/softmax", "--stdin", "--nbest", "3", input="a\n")
        self.refused(2, "--nbest is of sentences that are given; name a file with --input", "predict", "runs/softmax", "--json", "--nbest", "3")
        for more in ["--top", "2"], ["--attention", "x"]:
            self.refused(2, "--attention and --top are for classifiers; runs/softmax/.* tells tags", "predict", "runs/softmax", "--stdin", *more, input="a\n")
        self.refused(2, "--format odd: auto, lines, columns or conllu", "predict", "runs/softmax", "--stdin", "--format", "odd", input="")
        self.refused(2, "--split takes test or valid", "predict", "runs/softmax", "--split", "train")

    def test_other_tasks(self):
        self.write("text", "to be or not to be " * 40)
        self.write("lstm.yaml", BASE % LSTM)
        self.check(ravel("train", "-q", "lstm.yaml"), 0)
        self.refused(2, "runs/test/.* is of task language_model; only a classifier predicts", "predict", "runs/test", "--stdin", input="to be\n")
        self.refused(2, "runs/softmax/.* is of task tagging; only a language model generates", "generate", "runs/softmax")
        self.refused(2, "runs/softmax/.* is of task tagging; only a translation model translates", "translate", "runs/softmax", "--stdin", input="a\n")

    def test_help(self):
        r = ravel("predict", "--help")
        self.check(r, 0)
        for word in "--format", "--nbest", "conllu", "tagger": self.assertIn(word, r.stdout)


if __name__ == "__main__":
    unittest.main()
