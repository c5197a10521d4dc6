#!/usr/bin/env python3
"""Whether a change of the code changes results: every committed experiment, each model of a comparison, is trained for
some steps, and its state's hash, its validation and the comparison's report are recorded, or checked against a record;
the fixed workloads of `ravel bench` likewise, as --only bench.

  bits.py RAVEL record FILE [--steps N] [--isa avx2,base] [--only shakespeare,depth]
  bits.py RAVEL check  FILE [--only ...]         RAVEL may be of another commit than the one that made FILE

Run it by hand, before and after a change of shape; RAVEL_DATA_MIRROR names the folder with the real data sets, from
which experiments/translation/join.py has made data-cache/joined."""
import argparse, glob, hashlib, json, os, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Long enough to meet every part of a step, and validation; the report without what other tests look at.
ALONE = ["train.max_steps={n}", "train.validate_every={n}", "checkpoint.every={n}", "train.early_stopping=null"]
TOGETHER = ["compare.budget={{train_steps: {n}, train_tokens: null}}", "compare.tune=null", "compare.cost=null",
            "compare.seeds=[1]", "compare.report.resamples=100"]


def run(ravel, isa, *arguments):
    done = subprocess.run([ravel, *arguments], env={**os.environ, "RAVEL_ISA": isa}, cwd=HERE, capture_output=True,
                          text=True)
    if done.returncode: sys.exit(f"ravel {' '.join(arguments)} ({isa}): {done.stderr}")
    return done.stdout


def state(ravel, isa, folder):
    """The latest checkpoint's hash, and what the last validation measured."""
    with open(os.path.join(folder, "metrics.jsonl")) as f: last = [json.loads(line) for line in f]
    return {"hash": json.loads(run(ravel, isa, "ckpt", "info", "--json", folder))["state_hash"],
            "valid": [line for line in last if line["kind"] == "valid"][-1:]}


def results(ravel, isa, file, steps):
    """What one experiment file comes to, by name."""
    with open(file) as f: together = "\ncompare:" in "\n" + f.read()
    name = os.path.relpath(file, os.path.join(HERE, "experiments"))[:-5]
    with tempfile.TemporaryDirectory() as folder:
        if not together:
            keys = [k.format(n=steps) for k in ALONE]
            run(ravel, isa, "train", "-q", file, f"checkpoint.dir={folder}/run", *keys)
            return {name: state(ravel, isa, f"{folder}/run")}
        keys = [k.format(n=steps) for k in TOGETHER]
        run(ravel, isa, "compare", "-q", "--no-times", file, f"compare.dir={folder}/all", *keys)
        found = {f"{name} {os.path.basename(cell)}": state(ravel, isa, cell)
                 for cell in sorted(glob.glob(f"{folder}/all/cells/*"))}
        with open(f"{folder}/all/report.json") as f: report = f.read().replace(folder, "FOLDER").replace(HERE, "ROOT")
        return {**found, f"{name} report": {"hash": hashlib.sha256(report.encode()).hexdigest()}}


def workloads(ravel, isa):
    """Two steps suffice: these are here for their shapes, which are larger than those of most experiments."""
    rows = [line.split() for line in run(ravel, isa, "bench", "all", "--hash", "2").splitlines()]
    print(f"{isa} bench", file=sys.stderr)
    return {f"bench/{name}": {"hash": state, "loss": loss} for name, loss, state in rows}


def every(ravel, isa, steps, only):
    files = sorted(glob.glob(f"{HERE}/experiments/*/*.yaml"))
    parts = workloads(ravel, isa) if not only or "bench" in only else {}
    for file in files:
        folder = os.path.basename(os.path.dirname(file))
        if only and folder not in only: continue
        whole = glob.glob(os.path.join(os.path.dirname(file), "compare*.yaml"))  # its models are trained by it
        if whole and file not in whole: continue
        parts.update(results(ravel, isa, file, steps))
        print(f"{isa} {folder}/{os.path.basename(file)}", file=sys.stderr)
    return parts


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("ravel")
    p.add_argument("what", choices=["record", "check"])
    p.add_argument("file")
    p.add_argument("--steps", type=int)
    p.add_argument("--isa")
    p.add_argument("--only", default="")
    a = p.parse_args()
    ravel, only = os.path.abspath(a.ravel), [o for o in a.only.split(",") if o]
    if a.what == "check" and (a.steps or a.isa): p.error("the record says how many steps, and which instruction sets")
    if a.what == "record":
        steps, isas = a.steps or 30, (a.isa or "avx2,base").split(",")
        record = {"steps": steps, "isa": {isa: every(ravel, isa, steps, only) for isa in isas}}
        with open(a.file, "w") as f: json.dump(record, f, indent=1, sort_keys=True)
        return
    with open(a.file) as f: record = json.load(f)
    wrong, compared = [], 0
    for isa, then in record["isa"].items():
        now = every(ravel, isa, record["steps"], only or sorted({n.split("/")[0] for n in then}))
        names = [n for n in then if not only or n.split("/")[0] in only]
        compared += len(names)
        wrong += [f"{isa} {n}" for n in names if now.get(n) != then[n]]
    print(f"{compared} results compared, {len(wrong)} differ", *wrong, sep="\n")
    sys.exit(1 if wrong or not compared else 0)


if __name__ == "__main__":
    main()
