#!/usr/bin/env python3
"""'ravel compare': kill -9 at random moments, processes that share a comparison, signals, mistakes. However it was stopped and
shared out, its report, times apart, is that of a comparison that was never stopped, to the bit.   compare.py RAVEL KILLS"""
import json, os, random, re, signal, subprocess, sys, tempfile, time

ravel, kills = os.path.abspath(sys.argv[1]), int(sys.argv[2])
RECURRENT = """
name: recurrent
task: translation
data: {train: ../data/train.tsv, valid: ../data/valid.tsv, test: ../data/test.tsv}
tokenizer: {type: char}
model:
  encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 12}
  decoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 12}
  attention: {type: bahdanau, size: 12}
  embedding_dim: 8
train:
  batch: {type: sequences, size: 16}
  max_steps: 1
  optimizer: {type: adam, lr: 3e-3}
  validate_every: 6
  early_stopping: {patience: 0}
checkpoint: {every: 3}
"""
TRANSFORMER = """
include: recurrent.yaml
name: transformer
model: !replace
  encoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 8, ff_size: 16}
  decoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 8, ff_size: 16}
  embedding_dim: 8
  dropout: 0.1
"""
COMPARISON = """
compare:
  name: small
  models: {recurrent: recurrent.yaml, transformer: {file: transformer.yaml, set: {model.dropout: 0.2}}}
  match: {by: parameters, tolerance: 0.1}
  budget: {train_steps: 20}
  tune: {lr: [1e-3, 1e-2], train_steps: 8}
  seeds: [1, 2]
  gradient_flow: true
  quality: {length_bins: [12, 16], threshold: {metric: loss, value: 3}}
  cost: {sequence_length: [4, 8], phases: [forward, decode], warmup: 0, repeats: 3}
  report: {resamples: 50, samples: 2, attention: {sentences: 1}}
"""
# 1e-2 is best for both, so that a rate beyond it is tried, and none below 1e-3.
AT_LAST = ["done"] * 4 + ["not needed"] * 2 + ["done"] * (2 + 4 + 2 * 5)
CELLS = len(AT_LAST)


def check(ok, what):
    if not ok: sys.exit("compare.py: " + what)


def folder(name, comparison=COMPARISON):
    os.makedirs(name)
    for file, text in (("recurrent.yaml", RECURRENT), ("transformer.yaml", TRANSFORMER), ("cmp.yaml", comparison)):
        with open(f"{name}/{file}", "w") as f: f.write(text)
    return name


def start(name, *arguments):
    return subprocess.Popen([ravel, "compare", "-q", "--no-times", "cmp.yaml", *arguments], cwd=name, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(name, *arguments):
    p = start(name, *arguments)
    out, err = p.communicate(timeout=120)
    return p.returncode, out, err


def cells(name):
    code, out, err = run(name, "--list", "--json")
    check(code == 0, f"--list failed: {err}")
    return json.loads(out)


def contents(name):
    """What must be equal: the report, and what the cells' measurements said."""
    base, found = f"{name}/runs/small", {}
    for path in ["report.json"] + [f"cells/{c}/{f}" for c in sorted(os.listdir(base + "/cells")) for f in ("outcome.json", "examples.jsonl", "gradient_flow.json", "attention.json")]:
        if os.path.exists(f"{base}/{path}"):
            with open(f"{base}/{path}", "rb") as f: found[path] = f.read()
    return found


def same(name, want):
    got = contents(name)
    for path in sorted(set(got) | set(want)):
        check(got.get(path) == want.get(path), f"{name}: {path} differs from that of the comparison that was never stopped")


def descendants(pid):
    parents = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as f: parents[int(entry)] = int(f.read().rsplit(")", 1)[1].split()[1])
        except OSError: pass
    found = [pid]
    for p in found: found += [child for child, parent in parents.items() if parent == p]
    return found


def mistakes():
    def wrong(change, code, *wanted):
        folder("wrong", COMPARISON.replace(*change))
        got, _, err = run("wrong")
        check(got == code and all(w in err for w in wanted), f"{change}: exit code {got}, message: {err}")
        subprocess.run(["rm", "-rf", "wrong"], check=True)

    wrong(("recurrent: recurrent.yaml", "recurrent: recurent.yaml"), 2, "cmp.yaml:4:23: ", "cannot read recurent.yaml")
    wrong(("seeds: [1, 2]", "seeds: [1, 1.5]"), 2, "cmp.yaml:8:14: ", "compare.seeds: expected a list of whole numbers", "got '1.5'")
    wrong(("train_steps: 20", "train_step: 20"), 2, "cmp.yaml:6:12: ", "unknown key 'train_step' in compare.budget; did you mean 'train_steps'?")
    wrong(("  seeds:", "  settings: {model.attention.size: [8, 16]}\n  seeds:"), 2, "cmp.yaml:8:", "model 'transformer' in the setting model.attention.size=8", "does not apply here")
    wrong(("model.dropout: 0.2", "model.dropuot: 0.2"), 2, "model 'transformer'", "unknown key 'dropuot' in model; did you mean 'dropout'?")
    wrong(("model.dropout: 0.2", "data: {path: x}"), 2, "cmp.yaml:4:52: model 'transformer'",
          "data.path besides data.train", "data.train stands in recurrent.yaml:4:15: ",
          "set data.train to null, too")
    wrong(("by: parameters,", "by: parameters, reference: other,"), 2, "cmp.yaml:5:", "there is no model 'other'")
    wrong(("metric: loss, value: 3", "metric: bleu, value: 3"), 2, "cmp.yaml:10:", "model 'recurrent' does not measure bleu at validation")
    wrong(("compare:\n", "name: x\ncompare:\n"), 2, "cmp.yaml:2:1: ", "name does not apply here; it is allowed only without compare")
    sgd = "model.dropout: 0.2, train.optimizer: !replace {type: sgd, lr: 1e6}"
    folder("wrong", COMPARISON.replace("model.dropout: 0.2", sgd).replace("lr: [1e-3, 1e-2]", "lr: [1e6, 9e5]"))
    code, _, err = run("wrong")
    check(code == 5 and "every learning rate of compare.tune.lr diverged with the model 'transformer'" in err, f"nothing converges: {code} {err}")


with tempfile.TemporaryDirectory() as tmp:
    os.chdir(tmp)
    random.seed(2)
    subprocess.run([ravel, "data", "make", "dates", "--out", "data", "--train", "200", "--valid", "20", "--test", "20"], check=True, stderr=subprocess.DEVNULL)

    # What will be: every model in every setting, what is matched beside the total, the time.
    folder("dry", COMPARISON.replace("  seeds:", "  settings: {train.batch.size: [8, 16]}\n  seeds:"))
    code, out, err = run("dry", "--dry-run")
    check(code == 0 and not os.path.exists("dry/runs"), f"--dry-run: {code} {err}")
    sizes = [tuple(map(int, l.split()[1:4])) for l in out.splitlines() if re.match(r"(recurrent|transformer) +\d", l)]
    check(len(sizes) == 4 and all(total == used + looked_up and looked_up > 0 for total, used, looked_up in sizes),
          f"--dry-run: sizes {sizes} of {out}")
    for said in ("train.batch.size=8\n", "train.batch.size=16\n", "off: how far from recurrent",
                 "transformer          off "):
        check(said in out, f"--dry-run: no {said!r} in {out}")
    check(re.search(r"(?m)^expected: \S+ (seconds|minutes) of training on \d+ thread", out), f"--dry-run: {out}")
    folder("costs", re.sub("  (budget|tune|quality|gradient_flow):.*\n", "", COMPARISON))
    code, out, err = run("costs", "--dry-run")
    check(code == 0 and "expected" not in out and len(re.findall("(?m)^(recurrent|transformer) +\\d", out)) == 2,
          f"--dry-run of costs alone: {code} {out} {err}")

    # Never stopped; --list before and after; a cell that needs others; the plan's fairness.
    folder("whole")
    check([c["state"] for c in cells("whole")] == ["missing"] * CELLS and not os.path.exists("whole/runs"), "--list of nothing")
    code, _, err = run("whole", "--cell", "5")
    check(code == 2 and "cell 5 needs the trials" in err and "--cell 1" in err, f"--cell before its trials: {code} {err}")
    t0 = time.time()
    code, out, err = run("whole")
    took = time.time() - t0
    check(code == 0 and out.strip().endswith("runs/small/report.html") and os.path.exists("whole/runs/small/report.html"), f"the comparison that is not stopped: {code} {out} {err}")
    check([c["state"] for c in cells("whole")] == AT_LAST, "--list at the end")
    with open("whole/runs/small/plan.json") as f: plan = json.load(f)
    check(all(m["met"] and abs(m["off"]) <= 0.1 for m in plan["match"]["models"]) and plan["budget"]["equal"], f"match: {plan['match']}")
    want = contents("whole")
    check(run("whole")[0] == 0, "a complete comparison again")
    same("whole", want)
    with open("whole/runs/small/plan.json") as f: whole_plan = f.read()
    with open("whole/runs/small/plan.json", "w") as f:
        # an earlier version's word, and a key that it did not have
        f.write(whole_plan.replace("    type: sequences", "    type: sentences").replace('"    extend: true", ', ""))
    check([c["state"] for c in cells("whole")] == AT_LAST, "a plan of an earlier version")
    with open("whole/runs/small/plan.json", "w") as f: f.write(whole_plan)

    # One cell at a time, as a batch system does it, on other numbers of threads.
    folder("single")
    for i in range(1, CELLS + 1): check(run("single", "--cell", str(i), "--threads", str(1 + i % 2))[0] == 0, f"--cell {i}")
    check(run("single")[0] == 0, "the report of single cells")
    same("single", want)

    # kill -9 of the parent (its children save and stop) or of all at once.
    folder("killed")
    done = 0
    while done < kills:
        p = start("killed", "--jobs", str(random.choice([1, 2, 5])))
        time.sleep(random.random() * took * 0.5)
        if p.poll() is None:
            for pid in (descendants(p.pid) if random.random() < 0.5 else [p.pid]):
                try: os.kill(pid, signal.SIGKILL)
                except ProcessLookupError: pass
            done += 1
        p.communicate()
        if p.returncode == 0: # complete: begin another
            same("killed", want)
            subprocess.run(["rm", "-rf", "killed"], check=True)
            folder("killed")
        else: check(p.returncode == -signal.SIGKILL, f"a restarted comparison failed: {p.returncode}")
    code, _, err = run("killed")
    check(code == 0, f"after the kills: {err}")
    same("killed", want)

    # SIGTERM and SIGINT save; two processes share the rest.
    folder("shared")
    for sig, expected in ((signal.SIGTERM, 75), (signal.SIGINT, 130)):
        p = start("shared")
        time.sleep(took * 0.3)
        p.send_signal(sig)
        _, err = p.communicate()
        check(p.returncode in (0, expected), f"signal {sig}: {p.returncode} {err}")
    both = [start("shared", "--jobs", "1"), start("shared", "--jobs", "2")]
    for p in both:
        _, err = p.communicate()
        check(p.returncode == 0, f"one of two that share: {err}")
    same("shared", want)

    # Another configuration in the same folder; the report's settings may change.
    with open("shared/cmp.yaml", "w") as f: f.write(COMPARISON.replace("seeds: [1, 2]", "seeds: [1, 2, 3]"))
    code, _, err = run("shared")
    check(code == 2 and "'seeds: [1, 2]' then, 'seeds: [1, 2, 3]' now" in err and "remove runs/small" in err, f"a changed comparison: {err}")
    with open("shared/cmp.yaml", "w") as f: f.write(COMPARISON.replace("resamples: 50", "resamples: 60"))
    check(run("shared")[0] == 0, "a changed report")

    # The folder's report again, with what the command line said.
    check(run("shared", "compare.report.samples=1", "compare.quality.length_bins=[9, 12]")[0] == 0, "a report with settings of the command line")
    with open("shared/runs/small/report.json") as f: report = json.load(f)
    check(report["reproduce"] == ["ravel compare cmp.yaml compare.report.samples=1 'compare.quality.length_bins=[9, 12]'"] and len(report["samples"]) == 1, f"how to reproduce: {report['reproduce']}")
    for again, code in (["runs/small"], 0), (["cmp.yaml", "--metrics", "loss"], 2):
        done = subprocess.run([ravel, "report", "--json", "--no-times", *again], cwd="shared", capture_output=True, text=True)
        check(done.returncode == code, f"ravel report {again}: {done.returncode} {done.stderr}")
        check(code or json.loads(done.stdout) == report, "the report of the folder, made again")
    with open("shared/recurrent.yaml", "w") as f: f.write(RECURRENT.replace("lr: 3e-3", "lr: 4e-3"))
    code, _, err = run("shared")
    check(code == 2 and "model recurrent: 'lr: 0.003' then, 'lr: 0.004' now" in err, f"a changed model: {err}")

    # A training that diverges is a result.
    folder("diverging", COMPARISON.replace("  tune: {lr: [1e-3, 1e-2], train_steps: 8}\n", "").replace("model.dropout: 0.2", "train.optimizer: !replace {type: sgd, lr: 1e6}"))
    code, _, err = run("diverging")
    check(code == 0 and sorted(c["state"] for c in cells("diverging")) == ["diverged"] * 2 + ["done"] * (2 + 2 * 5),
          f"diverging: {code} {err}")
    mistakes()
    print(f"{kills} kills: every report is that of the comparison that was never stopped")
