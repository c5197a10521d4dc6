#!/usr/bin/env python3
"""Recompute the numbers of a comparison's report.json from its runs' metrics.jsonl and examples.jsonl alone, with
nothing of ravel's, and fail on any difference above 1e-9 (relative). Intervals of quality come from a bootstrap: they
are looked at for sense, and none may be narrower than that of Student's t over the seeds, nor a p smaller than that
test's.

  report.py FOLDER            a folder with report.json, beside or above the runs that it names
  report.py --compare RAVEL   train a tiny comparison with this command first, check its report, then check that a wrong
                              number is found"""
import glob, json, math, os, random, subprocess, sys, tempfile

import report_tags

TOLERANCE = 1e-9
MINIMISED = {"loss", "ppl", "mse", "bpc", "bpb", "malformed"}
RANGE = {"bpb": (0, math.inf), "accuracy": (0, 1), "f1": (0, 1), "exact": (0, 1), "bleu": (0, 100), "chrf": (0, 100),
         "loss": (0, math.inf),
         "mse": (0, math.inf), "ppl": (1, math.inf), **report_tags.RANGE}


# ---- from files to numbers

def lines_of(path):
    if not os.path.exists(path): return []
    with open(path, encoding="utf-8") as f: return [json.loads(l) for l in f if l.endswith("\n")]


def bleu(examples):
    """Papineni et al. 2002 from summed counts; the k-th order without a match counts 1 / 2^k matches."""
    each = [e["bleu"] for e in examples]
    counts = [sum(b["counts"][k] for b in each) for k in range(4)]
    totals = [sum(b["totals"][k] for b in each) for k in range(4)]
    hyp, ref = sum(b["hyp_len"] for b in each), sum(b["ref_len"] for b in each)
    if not ref: return math.nan
    if not sum(counts) or not all(totals): return 0
    halving, logs = 1, 0
    for c, t in zip(counts, totals):
        if c == 0:
            halving *= 2
            c = 1 / halving
        logs += math.log(100 * c / t)
    brevity = 1 if hyp >= ref else math.exp(1 - ref / hyp)
    return brevity * math.exp(logs / 4)


def chrf(examples):
    """Popovic 2015 from summed counts of 1- to 6-grams; orders that one side does not have are left out."""
    each = [e["chrf"] for e in examples]
    hyp, ref, match = ([sum(c[key][k] for c in each) for k in range(6)] for key in ("hyp", "ref", "match"))
    if not ref[0]: return math.nan
    orders = [k for k in range(6) if hyp[k] and ref[k]]
    if not orders: return 0
    precision = math.fsum(match[k] / hyp[k] for k in orders) / len(orders)
    recall = math.fsum(match[k] / ref[k] for k in orders) / len(orders)
    return 100 * 5 * precision * recall / (4 * precision + recall) if precision + recall else 0


def f1(examples):
    """The mean over the classes that are there or told; scikit-learn's f1_score(average="macro", zero_division=0)."""
    label, said = map(list, zip(*report_tags.words(examples)))
    each = [2 * sum(a == b == c for a, b in zip(label, said)) / (label.count(c) + said.count(c))
            for c in {*label, *said}]
    return math.fsum(each) / len(each)


def metric(name, examples):
    if not examples: return math.nan
    total = lambda key: math.fsum(e.get(key, 0) for e in examples)
    if name in ("loss", "ppl", "accuracy"):
        tokens = total("tokens")
        if not tokens: return math.nan
        if name == "accuracy": return total("correct") / tokens
        return total("nats") / tokens if name == "loss" else math.exp(total("nats") / tokens)
    if name == "bpb":
        bytes_ = total("bytes")
        return total("nats") / bytes_ / math.log(2) if bytes_ else math.nan
    if name == "f1": return f1(examples)
    if name == "exact": return total("exact") / len(examples)
    if name in report_tags.RANGE: return report_tags.metric(name, examples)
    if name == "mse": return total("squared_error") / len(examples)
    return chrf(examples) if name == "chrf" else bleu(examples)


# ---- Student's t

def student_within(t, degrees):
    """P(|T| <= t): the density's integral over theta, t = sqrt(degrees) tan(theta), by Simpson's rule."""
    end, steps = math.atan(t / math.sqrt(degrees)), 400
    f = lambda i: math.cos(end * i / steps) ** (degrees - 1)
    area = (f(0) + f(steps) + sum((4 if i % 2 else 2) * f(i) for i in range(1, steps))) * end / steps / 3
    return 2 * area * math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(math.pi)


def student_quantile(level, degrees):
    """The t with P(|T| <= t) = level."""
    low, high = 0, 1
    while student_within(high, degrees) < level: high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        if student_within(middle, degrees) < level: low = middle
        else: high = middle
    return low


def variance_of_mean(x):
    mean = math.fsum(x) / len(x)
    return math.fsum((v - mean) ** 2 for v in x) / (len(x) - 1) / len(x)


class Run:
    def __init__(self, folder, row):
        self.row = row
        name = os.path.basename(row["path"])
        places = [row["path"], os.path.join(folder, row["path"]), os.path.join(folder, "cells", name),
                  os.path.join(folder, name)]
        self.path = next((p for p in places if os.path.exists(os.path.join(p, "metrics.jsonl"))), places[0])
        log = lines_of(os.path.join(self.path, "metrics.jsonl"))
        self.train = [l for l in log if l["kind"] == "train"]
        self.valid = [l for l in log if l["kind"] == "valid"]
        self.examples = lines_of(os.path.join(self.path, "examples.jsonl"))
        measured = os.path.join(self.path, "measured.json")
        self.measured = json.load(open(measured)) if os.path.exists(measured) else {}
        self.key = row["model"], row["setting"], row["seed"]

    def at(self, step):
        before = [l for l in self.train if l["step"] <= step]
        return before[-1]["tokens"] if before else 0

    def seconds(self, step=math.inf):
        at, last = 0.0, 0
        for l in self.train:
            if l["step"] > step: break
            at += (l["tokens"] - last) / l["tokens_per_second"]
            last = l["tokens"]
        return at


# ---- checks

class Checker:
    def __init__(self, folder):
        self.folder, self.wrong, self.checked = folder, [], 0
        with open(os.path.join(folder, "report.json"), encoding="utf-8") as f: self.report = json.load(f)
        self.runs = [Run(folder, r) for r in self.report["runs"]]

    def same(self, where, got, want, scale=0):
        self.checked += 1
        if isinstance(want, float) and not math.isfinite(want): want = None
        if want is None or got is None or isinstance(want, str): ok = got == want
        else: ok = abs(got - want) <= TOLERANCE * max(abs(got), abs(want), scale)
        if not ok: self.wrong.append(f"{where}: report {got!r}, recomputed {want!r}")

    def true(self, where, ok):
        self.checked += 1
        if not ok: self.wrong.append(where)

    def inside(self, where, value, low, high):
        if None in (value, low, high): return
        slack = 1e-12 * max(abs(value), abs(low), abs(high))
        self.true(f"{where}: {value} is not in its interval [{low}, {high}]", low - slack <= value <= high + slack)

    def wide_enough(self, where, row, value, samples, level, least, most):
        """An interval, and a p where there is one, of the mean of samples, or of the difference of two means."""
        samples = [x for x in samples if len(x) > 1]
        if row["low"] is None or not samples: return
        variances = [variance_of_mean(x) for x in samples]
        t = lambda level, x: student_quantile(level, len(x) - 1)
        half = lambda level: math.sqrt(math.fsum(v * t(level, x) ** 2 for v, x in zip(variances, samples)))
        reach = half(level) * (1 - 1e-6)
        self.true(where + f": narrower than Student's t over seeds, +- {reach}",
                  row["low"] <= max(least, value - reach) + 1e-12 and row["high"] >= min(most, value + reach) - 1e-12)
        if row.get("p") and row["p"] < 1:
            self.true(where + f": p {row['p']} is smaller than that of Student's t",
                      half(1 - row["p"]) <= abs(value) * (1 + 1e-6))

    def group(self, model, setting, done=True):
        found = [r for r in self.runs if r.row["model"] == model and r.row["setting"] == setting]
        return [r for r in found if r.row["status"] == "done" and r.examples] if done else found

    def check_runs(self):
        for r in self.runs:
            where, row = f"run {r.key}", r.row
            last = r.train[-1] if r.train else {"step": 0, "tokens": 0}
            self.same(where + " step", row["step"], last["step"])
            self.same(where + " tokens", row["tokens"], last["tokens"])
            if r.measured: self.same(where + " flops", row["flops"], 3 * r.measured["flops_per_token"] * last["tokens"])
            for name, value in row["test"].items(): self.same(f"{where} test {name}", value, metric(name, r.examples))
            step = r.measured.get("step", math.inf)
            valid = [l for l in r.valid if l["step"] <= step]
            for name, value in row["valid"].items(): self.same(f"{where} valid {name}", value, valid[-1][name])
            if "time" in row and r.train:
                self.same(where + " seconds", row["time"]["seconds"], r.seconds())
                self.same(where + " peak", row["time"]["peak_bytes"], max(l["peak_memory_bytes"] for l in r.train))

    def check_curves(self):
        for c in self.report.get("curves", []):
            for s in c["series"]:
                where = f"curve {c['setting']!r} {c['part']} {c['metric']} {s['model']}"
                runs = self.group(s["model"], c["setting"], done=False)
                runs = [r for r in runs if r.row["status"] == "done"] or runs
                logs = [self.points(r, c) for r in runs]
                runs, logs = [r for r, l in zip(runs, logs) if l], [l for l in logs if l]
                steps = sorted(set.intersection(*(set(l) for l in logs)))
                self.same(where + " seeds", s["seeds"], len(runs))
                self.true(where + f": steps {s['step'][:5]}..., recomputed {steps[:5]}...", s["step"] == steps)
                if s["step"] != steps: continue
                for i, step in enumerate(steps):
                    n, here = len(runs), f"{where} at {step}"
                    here_of = [l[step] for l in logs]
                    self.same(here, s["mean"][i], None if None in here_of else math.fsum(here_of) / n)
                    self.same(here + " tokens", s["tokens"][i], sum(r.at(step) for r in runs) / n)
                    if all(r.measured for r in runs):
                        flops = sum(3 * r.measured["flops_per_token"] * r.at(step) for r in runs)
                        self.same(here + " flops", s["flops"][i], flops / n)
                    if "seconds" in s:
                        self.same(here + " seconds", s["seconds"][i], math.fsum(r.seconds(step) for r in runs) / n)
                    self.inside(here, s["mean"][i], s["low"][i], s["high"][i])

    def points(self, run, curve):
        """Step to value. The loss of training is the mean of so many logged steps that at most 100 are left."""
        if curve["part"] == "valid": return {l["step"]: l[curve["metric"]] for l in run.valid if curve["metric"] in l}
        width = -(-len(run.train) // 100)
        return {run.train[i + width - 1]["step"]: math.fsum(l["loss"] for l in run.train[i:i + width]) / width
                for i in range(0, len(run.train) - width + 1, max(width, 1))} if width else {}

    def check_time_to(self):
        t = self.report.get("time_to")
        if not t: return
        better = (lambda a, b: a <= b) if t["metric"] in MINIMISED else (lambda a, b: a >= b)
        for row in t["rows"]:
            run = next(r for r in self.runs if r.key == (row["model"], row["setting"], row["seed"]))
            seen = [l for l in run.valid if l.get(t["metric"]) is not None]
            reached = [l["step"] for l in seen if better(l[t["metric"]], t["threshold"])]
            where = f"time_to {run.key}"
            self.same(where, row["step"], reached[0] if reached else None)
            self.same(where + " tokens", row["tokens"], run.at(reached[0]) if reached else None)
            values = [l[t["metric"]] for l in seen]
            best = min if t["metric"] in MINIMISED else max
            self.same(where + " best", row["best"], best(values) if values else None)

    def check_quality(self):
        for q in self.report.get("quality", []):
            name, setting, value = q["metric"], q["setting"], {}
            for m in q["models"]:
                where = f"quality {setting!r} {name} {m['model']}"
                each = [metric(name, r.examples) for r in self.group(m["model"], setting)]
                self.same(where + " seeds", len(m["per_seed"]), len(each))
                for got, want in zip(m["per_seed"], each): self.same(where + " per seed", got, want)
                value[m["model"]] = math.fsum(each) / len(each) if each else math.nan
                self.same(where, m["value"], value[m["model"]])
                self.inside(where, m["value"], m["low"], m["high"])
                if m["low"] is not None:
                    self.true(where + ": an interval outside of what can be",
                              RANGE[name][0] <= m["low"] and m["high"] <= RANGE[name][1])
                self.wide_enough(where, m, m["value"], [each], q["level"], *RANGE[name])
            for p in q["pairs"]: self.check_pair(q, p)

    def check_pair(self, q, p):
        where = f"quality {q['setting']!r} {q['metric']} {p['a']} - {p['b']}"
        a, b = ({r.row["seed"]: r for r in self.group(m, q["setting"])} for m in (p["a"], p["b"]))
        same = [s for s in a if s in b]
        side = lambda runs: [metric(q["metric"], runs[s].examples) for s in (same or runs)]
        if p["difference"] is not None:
            x, y = side(a), side(b)
            self.same(where, p["difference"], math.fsum(x) / len(x) - math.fsum(y) / len(y), scale=max(map(abs, x + y)))
            self.inside(where, p["difference"], p["low"], p["high"])
            least, most = RANGE[q["metric"]]
            seeds = [[i - j for i, j in zip(x, y)]] if len(x) == len(y) else [x, y]
            self.wide_enough(where, p, p["difference"], seeds, q["level"], least - most, most - least)
        excludes = p["low"] is not None and (p["low"] > 0 or p["high"] < 0)
        if p["verdict"] in ("a", "b"):
            self.true(where + ": a verdict although the interval holds 0", excludes)
            self.true(where + f": a verdict with p {p['p']}", p["p"] < 1 - q["level"])
            self.same(where + " verdict", p["verdict"], "a" if (p["difference"] > 0) == q["higher_is_better"] else "b")
            everyone = self.group(p["a"], q["setting"], done=False) + self.group(p["b"], q["setting"], done=False)
            self.true(where + ": a verdict although a run is not done",
                      all(r.row["status"] == "done" for r in everyone))
            ta, tb = (sum(r.row["tokens"] for r in g.values()) / len(g) for g in (a, b))
            self.true(where + f": a verdict on {ta} and {tb} tokens", abs(ta - tb) <= 0.01 * max(ta, tb)
                      or "counts the training part once, whatever the budget" in p["why"])
        elif p["verdict"] == "no verdict": self.true(where + ": no verdict without a reason", p["why"])
        else:
            self.true(where + ": not distinguishable although the interval leaves 0 out",
                      not excludes or "Holm" in p["why"])
        if len(a) == 1 or len(b) == 1: self.true(where + ": one seed, and nothing says so", p["why"])

    def check_by_length(self):
        for q in self.report.get("by_length", []):
            key = "source_" + q["unit"]
            for m in q["models"]:
                runs = self.group(m["model"], q["setting"])
                for i, b in enumerate(q["bins"]):
                    inside = lambda e: b["from"] <= e[key] and (b["to"] is None or e[key] <= b["to"])
                    chosen = [[e for e in r.examples if inside(e)] for r in runs]
                    where = f"by_length {q['setting']!r} {q['metric']} {m['model']} bin {b['from']}"
                    self.same(where + " examples", m["examples"][i], len(chosen[0]) if chosen else 0)
                    values = [metric(q["metric"], c) for c in chosen]
                    self.same(where, m["value"][i], math.fsum(values) / len(values) if values else None)
                    self.inside(where, m["value"][i], m["low"][i], m["high"][i])
                if runs: self.same(f"by_length {m['model']}: all examples", sum(m["examples"]), len(runs[0].examples))

    def check_texts(self):
        for s in self.report.get("samples", []):
            for o in s["outputs"]:
                e = self.group(o["model"], s["setting"])[0].examples[s["i"]]
                self.true(f"sample {s['i']} of {o['model']}", (s["source"], s["reference"], o["text"], o["exact"]) ==
                          (e["source"], e["reference"], e["hypothesis"], bool(e["exact"])))
        for a in self.report.get("attention", []):
            where = f"attention of {a['model']} in {a['i']}"
            self.true(where + ": its shape", len(a["weights"]) == len(a["target"])
                      and all(len(r) == len(a["source"]) for r in a["weights"]))
            self.true(where + ": rows do not add up to 1", all(abs(sum(r) - 1) < 1e-4 for r in a["weights"]))

    def check_confusion(self):
        for c in self.report.get("confusion", []):
            runs, where = self.group(c["model"], c["setting"]), f"confusion of {c['model']}"
            told = [pair for r in runs for pair in report_tags.words(r.examples)]
            self.same(where + " seeds", c["seeds"], len(runs))
            for r in runs: self.true(where + ": its classes", c["classes"] == r.measured["classes"])
            for a, row in enumerate(c["counts"]):
                for b, n in enumerate(row): self.same(f"{where} {a} {b}", n, told.count((a, b)))

    def check_tuning(self):
        for m in (self.report.get("tuning") or {}).get("models", []):
            best = [t for t in m["tried"] if t["loss"] is not None]
            if best:
                least = min(best, key=lambda t: t["loss"])
                self.same(f"learning rate of {m['model']}", m["lr"], least["lr"])
                self.true(f"values of {m['model']}", m.get("with") == least.get("with"))
            if m["lr"] is not None:
                tried = sorted((t for t in m["tried"] if t.get("with") == m.get("with")), key=lambda t: t["lr"])
                i = j = next(k for k, t in enumerate(tried) if t["lr"] == m["lr"])
                most = tried[i]["loss"] + 0.1 * abs(tried[i]["loss"])
                works = lambda k: 0 <= k < len(tried) and tried[k]["loss"] is not None and tried[k]["loss"] <= most
                while works(i - 1): i -= 1
                while works(j + 1): j += 1
                self.same(f"window of {m['model']}", m["window"]["low"], tried[i]["lr"])
                self.same(f"window of {m['model']}", m["window"]["high"], tried[j]["lr"])
            trials = glob.glob(os.path.join(glob.escape(self.folder), "cells", f"tune-{glob.escape(m['model'])}-*"))
            if not trials: continue
            losses = sorted(min(l["loss"] for l in lines_of(os.path.join(t, "metrics.jsonl"))
                                if l["kind"] == "valid" and l["loss"] is not None)
                            for t in trials if self.outcome(t) == "done")
            got = sorted(t["loss"] for t in best)
            self.same(f"trials of {m['model']}", len(got), len(losses))
            for a, b in zip(got, losses): self.same(f"trial of {m['model']}", a, b)

    def outcome(self, run):
        path = os.path.join(run, "outcome.json")
        return json.load(open(path))["status"] if os.path.exists(path) else None

    def run(self):
        for check in (self.check_runs, self.check_curves, self.check_time_to, self.check_quality, self.check_by_length,
                      self.check_confusion, self.check_texts, self.check_tuning): check()
        report_tags.check(self)
        return self.wrong


def check(folder):
    c = Checker(folder)
    for w in c.run()[:40]: print(w)
    print(f"{folder}: {c.checked} numbers recomputed, {len(c.wrong)} differ")
    return len(c.wrong), c


# ---- a tiny comparison of its own

MODEL = """name: model
task: translation
data: {train: train.tsv, valid: valid.tsv, test: test.tsv, max_length: 20}
tokenizer: {type: char}
model:
  encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 16}
  decoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 16}
  attention: {type: %s}
  embedding_dim: 12
train:
  batch: {size: 200}
  optimizer: {type: adam, lr: 1e-2}
  max_steps: 60
  validate_every: 20
checkpoint: {every: 20}
metrics: [loss, accuracy, bleu]
decode: {beam_size: 2, max_length_ratio: 1}
"""
COMPARE = """compare:
  name: tiny
  dir: folder
  models: {plain: none.yaml, attention: bahdanau.yaml}
  seeds: [1, 2]
  budget: {train_steps: 60}
  tune: {lr: [3e-3, 1e-2], settings: {model.dropout: [0, 0.1]}, train_steps: 20}
  quality: {length_bins: [3, 6], threshold: {metric: accuracy, value: 0.2}}
  report: {resamples: 200}
"""


def tiny(ravel, folder):
    rng = random.Random(1)
    for part, n in ("train", 80), ("valid", 20), ("test", 25):
        with open(os.path.join(folder, part + ".tsv"), "w") as f:
            for _ in range(n):
                word = "".join(rng.choice("abcd") for _ in range(rng.randint(2, 8)))
                f.write(f"{word}\t{word[::-1]}\n")
    for kind in "none", "bahdanau":
        with open(os.path.join(folder, kind + ".yaml"), "w") as f: f.write(MODEL % kind)
    with open(os.path.join(folder, "compare.yaml"), "w") as f: f.write(COMPARE)
    subprocess.run([ravel, "compare", "compare.yaml"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return os.path.join(folder, "folder")


CLASSIFIER = """name: model
task: classification
data: {train: classes.tsv, valid: classes.tsv, test: classes.tsv, max_length: 20}
tokenizer: {type: word}
model: {encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 8}, embedding_dim: 8, pooling: %s}
train: {batch: {size: 20}, optimizer: {type: adam, lr: 1e-2}, max_steps: 12, validate_every: 6}
metrics: [loss, accuracy, f1]
"""


def tiny_classifiers(ravel, folder, classes):
    rng = random.Random(1)
    with open(os.path.join(folder, "classes.tsv"), "w") as f:
        for i in range(4 * classes + 20):
            words = [f"w{i % classes}"] + [rng.choice("abcd") for _ in range(rng.randint(0, 5))]
            f.write(" ".join(words) + f"\tclass {i % classes}\n")
    for pooling in "last", "attention":
        with open(os.path.join(folder, pooling + ".yaml"), "w") as f: f.write(CLASSIFIER % pooling)
    with open(os.path.join(folder, "compare.yaml"), "w") as f:
        f.write("compare: {name: tiny, dir: folder, models: {last: last.yaml, attention: attention.yaml}, "
                "seeds: [1, 2],\n"
                "  budget: {train_steps: 12}, quality: {length_bins: [2, 4]}, report: {resamples: 200, samples: 3}}\n")
    subprocess.run([ravel, "compare", "compare.yaml"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return os.path.join(folder, "folder")


def classifiers_test(ravel):
    """Of classes: F1 with intervals, what each was taken for; of too many, the one or the other is left out and that is
    said."""
    for classes, metrics, counted in (3, ["loss", "accuracy", "f1"], True), (21, ["loss", "accuracy", "f1"], True), \
            (22, ["loss", "accuracy"], True), (51, ["loss", "accuracy"], False):
        with tempfile.TemporaryDirectory() as base:
            folder = tiny_classifiers(os.path.abspath(ravel), base, classes)
            if not counted: check_no_counts(folder, classes)
            else:
                wrong, checker = check(folder)
                assert not wrong, "a number differs"
                spoilt = json.load(open(os.path.join(folder, "report.json")))
                spoilt["confusion"][1]["counts"][2][0] += 1
                c = Checker(folder)
                c.report = spoilt
                assert c.run(), "a wrong count was not found"
            with open(os.path.join(folder, "report.json")) as f: report = json.load(f)
            with open(os.path.join(folder, "report.html"), encoding="utf-8") as f: page = f.read()
            assert [q["metric"] for q in report["quality"]] == metrics, [q["metric"] for q in report["quality"]]
            assert ("Macro F1 is left out" in page) == ("f1" not in metrics), classes
            assert "By right predictions on the test examples" in page and "loss, nats per text" in page
            assert "What the models tell" in page and "What each class was taken for" in page
            assert page.count("true class \u2193, told \u2192") == (2 if counted else 0), classes
            if counted and classes == 3:
                for c in report["confusion"]:
                    for row in c["counts"]:
                        shade = math.floor(10 * row[0] / sum(row) + 0.5)
                        cell = f" h{shade}'>{row[0]}<" if shade else f"'>{row[0]}<"
                        assert cell in page, (row, cell)
    print("classifiers: F1, what each class was taken for, and what is left out of many classes")


def check_no_counts(folder, classes):
    """More than a page has room for."""
    with open(os.path.join(folder, "report.json")) as f: confusion = json.load(f)["confusion"]
    assert [c["counts"] for c in confusion] == [None, None]
    assert all(len(c["classes"]) == classes for c in confusion)


def spoil(value, path=()):
    """Every number that the report takes from files, as (path, changed)."""
    if isinstance(value, dict):
        for k, v in value.items(): yield from spoil(v, path + (k,))
    elif isinstance(value, list):
        for i, v in enumerate(value): yield from spoil(v, path + (i,))
    elif isinstance(value, (int, float)) and not isinstance(value, bool): yield path


def changed(folder, path):
    report = json.load(open(os.path.join(folder, "report.json")))
    at = report
    for k in path[:-1]: at = at[k]
    at[path[-1]] = at[path[-1]] * (1 + 1e-6) if at[path[-1]] else 1e-6
    return report


def self_test(ravel):
    with tempfile.TemporaryDirectory() as base:
        folder = tiny(os.path.abspath(ravel), base)
        wrong, checker = check(folder)
        assert not wrong and checker.checked > 300, checker.checked
        for part in "curves", "time_to", "quality", "by_length", "tuning": assert checker.report.get(part), f"no {part}"
        # A report with any one of its values changed is found out.
        for part, keys in ("runs", ("loss", "bleu", "chrf", "exact", "tokens", "flops")), \
                ("curves", ("mean", "tokens")), ("quality", ("value", "per_seed", "difference")), \
                ("by_length", ("value", "examples")), ("time_to", ("step", "best")):
            for key in keys:
                paths = [p for p in spoil(checker.report[part], (part,)) if key in p]
                assert paths, (part, key)
                c = Checker(folder)
                c.report = changed(folder, paths[len(paths) // 2])
                c.runs = [Run(folder, r) for r in c.report["runs"]]
                assert c.run(), f"a wrong {part} {key} was not found"
        print("a wrong number is found in every part")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--compare":
        self_test(sys.argv[2])
        classifiers_test(sys.argv[2])
        report_tags.self_test(sys.argv[2], check, Checker)
    elif len(sys.argv) == 2: sys.exit(1 if check(sys.argv[1])[0] else 0)
    else: sys.exit(__doc__)
