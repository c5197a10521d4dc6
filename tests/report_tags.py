"""Of taggers: metrics from examples, the parts of a report that they alone have, and a tiny comparison of two of them.
For report.py."""
import html, json, math, os, random, re, subprocess, tempfile

PAIRS = {"known_accuracy": "known", "unknown_accuracy": "unknown"}
RANGE = {"known_accuracy": (0, 1), "unknown_accuracy": (0, 1), "span_f1": (0, 1), "malformed": (0, math.inf)}


def words(examples):
    """(true tag, told tag) of all words; a class is that of one word."""
    for e in examples:
        if isinstance(e["label"], list): yield from zip(e["label"], e["said"], strict=True)
        else: yield e["label"], e["said"]


def metric(name, examples):
    """NaN where it is not one of taggers, or there is nothing to divide by."""
    if not examples or "known" not in examples[0]: return math.nan
    sums = lambda key: [sum(column) for column in zip(*(e.get(key, (0, 0, 0)) for e in examples))]
    if name in PAIRS: right, of = sums(PAIRS[name])
    elif name == "span_f1":
        right, told, there = sums("spans")
        right, of = 2 * right, told + there
    else: right, of = sum(e.get("malformed", 0) for e in examples), sums("spans")[1]
    return right / of if of else math.nan


# ---- checks: c is report.py's Checker

def check_recall(c, part, named, tags_of):
    """tags_of(name or number, names): numbers of the tags that count."""
    for q in c.report.get(part, []):
        for m in q["models"]:
            runs = c.group(m["model"], q["setting"])
            for i, name in enumerate(q[named]):
                tags, where = tags_of(name, runs[0].measured["classes"]), f"{part} {m['model']} {name}"
                each = [[a == b for a, b in words(r.examples) if a in tags] for r in runs]
                c.same(where + " words", q["words"][i], len(each[0]))
                shares = [sum(x) / len(x) for x in each if x]
                c.same(where, m["value"][i], math.fsum(shares) / len(shares) if shares else None)
                c.inside(where, m["value"][i], m["low"][i], m["high"][i])


def check_disagreements(c):
    for pair in c.report.get("disagreements", []):
        a, b = (c.group(pair[k], pair["setting"])[0].examples for k in "ab")
        off = [abs(x["correct"] - y["correct"]) for x, y in zip(a, b)]
        most = sorted(range(len(off)), key=lambda i: (-off[i], i))[:5]
        where = f"{pair['a']} and {pair['b']}"
        c.true(where + ": other sentences", [s["i"] for s in pair["sentences"]] == sorted(i for i in most if off[i]))
        for s in pair["sentences"]:
            i = s["i"]
            c.true(f"{where}: sentence {i}", (s["source"], s["reference"]) == (a[i]["source"], a[i]["reference"]))
            c.true(f"{where}: right tags of {i}", s["right"] == [a[i]["correct"], b[i]["correct"]])
            told = [o["text"] for o in s["outputs"]]
            c.true(f"{where}: tags of {i}", told == [a[i]["hypothesis"], b[i]["hypothesis"]])


def check_transitions(c):
    for t in c.report.get("transitions", []):
        run, where, n = c.group(t["model"], t["setting"])[0], f"transitions of {t['model']}", len(t["tags"]) + 1
        c.true(where + ": its tags", t["tags"] == run.measured["classes"] and t["seed"] == run.row["seed"])
        c.true(where + ": its values", t["values"] == run.measured["steps"]["values"])
        c.true(where + ": its shape", len(t["values"]) == n and all(len(row) == n for row in t["values"]))
        c.true(where + ": a step from the beginning to the end", t["values"][-1][-1] is None)
        if t["kind"] == "probabilities":
            for row in t["values"]:
                c.true(where + ": a row does not add up to 1",
                       abs(sum(math.exp(x) for x in row if x is not None) - 1) < 1e-6)


def check(c):
    check_recall(c, "by_tag", "tags", lambda name, names: {names.index(name)})
    number = lambda name: int(re.fullmatch(r"[A-Za-z]+(\d+)", name)[1]) if re.fullmatch(r"[A-Za-z]+\d+", name) else None
    check_recall(c, "by_number", "numbers", lambda n, names: {i for i, x in enumerate(names) if number(x) == n})
    check_disagreements(c)
    check_transitions(c)


# ---- a tiny comparison

TAGGER = """name: model
task: tagging
data: {train: train, valid: test, test: test, format: columns}
tokenizer: {type: word}
model: {encoder: %s, embedding_dim: 8%s}
train: {batch: {size: 20}, optimizer: {type: adam, lr: 3e-2}, max_steps: 60, validate_every: 30}
metrics: [loss, accuracy, f1]
"""
MODELS = {"words": ("{type: none}", ""),
          "crf": ("{type: rnn, cell: gru, num_layers: 1, hidden_size: 8}", ", crf: true")}
TAGS = {"spans": ["O", "B-X", "I-X", "B-Y"], "numbers": ["A", "A1", "B1", "A2", "B3"]}


def tiny(ravel, folder, tags):
    rng = random.Random(1)
    for part in "train", "test":
        with open(os.path.join(folder, part), "w") as f:
            for _ in range(60):
                tag = tags[0]
                for _ in range(rng.randint(2, 9)):
                    after = tags[(tags.index(tag) + 1) % len(tags)] if rng.random() < 0.7 else rng.choice(tags)
                    tag = "O" if after == "I-X" and tag[1:] != "-X" else after
                    word = rng.choice("abc") + (str(tags.index(tag)) if rng.random() < 0.8 else part)
                    f.write(f"{word}\t{tag}\n")
                f.write("\n")
    for name, model in MODELS.items():
        with open(os.path.join(folder, name + ".yaml"), "w") as f: f.write(TAGGER % model)
    with open(os.path.join(folder, "compare.yaml"), "w") as f:
        f.write("compare: {name: tiny, dir: folder, models: {words: words.yaml, crf: crf.yaml}, seeds: [1, 2],\n"
                "  budget: {train_steps: 60}, quality: {length_bins: [4, 6]}, report: {resamples: 200, samples: 2}}\n")
    subprocess.run([ravel, "compare", "compare.yaml"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return os.path.join(folder, "folder")


def plain(source):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", source))).replace("\u00a0", " ")


def check_page(report, page):
    text = plain(page)
    assert "right tags on the test sentences" in text or "no two systems" in text or "span F1" in text, text[:300]
    for said in "What each tag was taken for", "Quality by tag", "What follows what", "Where two systems differ most":
        assert said in text, said
    assert "loss, nats per word" in text and "class" not in plain(page.split("id='quality'")[1].split("</section>")[0])
    names, steps = len(report["transitions"][0]["tags"]) + 1, report["transitions"][0]["values"]
    banned = sum(x is None for row in steps for x in row) - 1
    assert page.count("cell banned") == banned and page.count(": cannot be<") == banned
    assert page.count("<rect class='cell") == names * names - 1
    shown = report["samples"] + [s for d in report["disagreements"] for s in d["sentences"]]
    assert page.count("<div class='gloss'>") == len(shown)
    wrong = sum(a != b for s in shown for o in s["outputs"] for a, b in zip(o["text"].split(), s["reference"].split()))
    assert page.count("<span class='off'>") == wrong > 0, wrong
    differ = sum(a != b for s in shown for a, b in zip(*(o["text"].split() for o in s["outputs"])))
    assert page.count("<div class='h3'>") == differ > 0, differ


LEARNS = """name: learns
task: tagging
data: {train: train, valid: test, test: test, format: columns}
tokenizer: {type: word}
model: {encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 4}, embedding_dim: 4, crf: %s}
train: {batch: {size: 8}, max_steps: 3, optimizer: {type: adam, lr: 1e-2}}
metrics: [loss, accuracy]
"""
COUNTS = """name: counts
task: tagging
data: {train: train, valid: test, test: test, format: columns}
tokenizer: {type: word}
model: {hmm: {order: %d}}
metrics: [loss, accuracy]
"""


def one_run(ravel, base, check_folder):
    """The report of a single run: a tagger's gradients flow over no distance; what follows what in a model's own measure."""
    runs = [(f"counts-{order}", COUNTS % order, ["probabilities"] if order else []) for order in (0, 1, 2)]
    runs += [("softmax", LEARNS % "false", []), ("crf", LEARNS % "true", ["scores"])]
    for name, experiment, kinds in runs:
        with open(os.path.join(base, "run.yaml"), "w") as f: f.write(experiment)
        run = os.path.join(base, "runs", name)
        for command in ("train", "-q", "run.yaml", f"checkpoint.dir={run}"), ("report", "-q", run):
            subprocess.run([ravel, *command], cwd=base, check=True, stdout=subprocess.DEVNULL)
        assert not check_folder(run)[0], "a number differs"
        with open(os.path.join(run, "report.json")) as f: report = json.load(f)
        with open(os.path.join(run, "report.html"), encoding="utf-8") as f: page = f.read()
        assert [t["kind"] for t in report.get("transitions", [])] == kinds, (name, report.get("transitions"))
        assert "gradient_flow" not in report and "disagreements" not in report
        assert ("a row adds up to 1" in plain(page)) == (kinds == ["probabilities"]) and "Quality by tag" in page


def self_test(ravel, check_folder, checker):
    for kind, tags in TAGS.items():
        with tempfile.TemporaryDirectory() as base:
            folder = tiny(os.path.abspath(ravel), base, tags)
            assert not check_folder(folder)[0], "a number differs"
            with open(os.path.join(folder, "report.json")) as f: report = json.load(f)
            with open(os.path.join(folder, "report.html"), encoding="utf-8") as f: page = f.read()
            assert [t["model"] for t in report["transitions"]] == ["crf"], report["transitions"]
            assert ("by_number" in report) == (kind == "numbers")
            assert ("span_f1" in {q["metric"] for q in report["quality"]}) == (kind == "spans")
            assert any(x is None for row in report["transitions"][0]["values"][:-1] for x in row) == (kind == "spans")
            check_page(report, page)
            one_run(os.path.abspath(ravel), base, check_folder)
            for part, spoil in (("by_tag", lambda r: r["by_tag"][0]["models"][1]["value"].__setitem__(1, 0.123)),
                                ("disagreements", lambda r: r["disagreements"][0]["sentences"].pop()),
                                ("transitions", lambda r: r["transitions"][0]["values"][0].__setitem__(0, 9.5)),
                                ("confusion", lambda r: r["confusion"][0]["counts"][0].__setitem__(0, 12345))):
                c = checker(folder)
                spoil(c.report)
                assert c.run(), f"a wrong {part} was not found"
    print("taggers: recall by tag and by number, where two differ, what follows what, and their page")
