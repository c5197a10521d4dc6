#!/usr/bin/env python3
"""Golden runs: what a run came to, by the ravel that wrote its checkpoint. tests/golden.py holds later ones to it.

  make.py RAVEL COMPILER [FOLDER]    e.g. make.py build/tools/ravel gcc-12.2.0-x86_64 runs-2

For each NAME.yaml of the folder (default: runs-1, beside this file) without a NAME.h5.gz, train it and keep the
checkpoint six steps before the end, or that of the only step. What is there stays as it is: a file made anew says
nothing of the ravel that made the old one, so a newer version's files come as new names, or in a folder of their own.
For each checkpoint, NAME.json records what its last six steps, its evaluation and its text come to under each
instruction set of this machine that the record lacks. On a machine with more of them, add those with a binary of the
commit that added the checkpoint."""
import concurrent.futures, gzip, json, os, re, shutil, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ISAS = ["avx512", "avx2", "base"]
# What depends on the machine and the moment, and whose version is no result.
VARY = {"tokens_per_second", "peak_memory_bytes", "checkpoint", "bleu_signature", "bleu_lc_signature"}
TEXT = {"language_model": ["generate", "--length", "40", "--temperature", "0.7", "--top-k", "12", "--seed", "3"],
        "translation": ["translate", "--split", "valid"],
        "classification": ["predict", "--split", "valid", "--json"],
        "tagging": ["predict", "--split", "valid", "--json"],
        "regression": None}


def run(ravel, isa, folder, *arguments):
    done = subprocess.run([*ravel, *arguments], env={**os.environ, "RAVEL_ISA": isa}, cwd=folder, capture_output=True,
                          text=True)
    if done.returncode: raise RuntimeError(f"ravel {' '.join(arguments)} ({isa}): {done.returncode}\n{done.stderr}")
    return done


def instruction_sets(ravel):
    """Those that this machine has; the first is what it takes by itself."""
    def works(isa):
        return subprocess.run([*ravel, "--version"], env={**os.environ, "RAVEL_ISA": isa},
                              capture_output=True).returncode == 0

    return [isa for isa in ISAS if works(isa)]


def names(folder):
    return sorted(f[:-5] for f in os.listdir(folder) if f.endswith(".yaml"))


def copy_inputs(golden, folder):
    """Runs leave their folders beside their experiments: not in the source tree."""
    for name in os.listdir(golden):
        if not name.endswith((".gz", ".json")): shutil.copy(os.path.join(golden, name), folder)


def without_what_varies(line): return {key: value for key, value in line.items() if key not in VARY}


def outcome(ravel, isa, golden, name, step):
    """What the checkpoint after `step` evaluates to and writes, and what the run comes to from there."""
    with tempfile.TemporaryDirectory() as folder:
        copy_inputs(golden, folder)
        home = os.path.join(folder, "runs", name)
        saved = f"runs/{name}/step-{step:09}.h5"
        os.makedirs(home)
        with gzip.open(os.path.join(golden, name + ".h5.gz")) as f, open(os.path.join(folder, saved), "wb") as to:
            shutil.copyfileobj(f, to)
        with open(os.path.join(folder, name + ".yaml")) as f:
            task = (re.findall(r"^task: (\w+)", f.read(), re.MULTILINE) or ["language_model"])[0]
        found = {"eval": without_what_varies(json.loads(run(ravel, isa, folder, "eval", "--json", saved).stdout))}
        if TEXT[task]:
            command, *options = TEXT[task]
            lines = run(ravel, isa, folder, command, saved, *options).stdout.splitlines()
            found["text"] = [json.loads(line) for line in lines] if "--json" in options else lines
        said = run(ravel, isa, folder, "train", name + ".yaml").stderr
        counted = step == 1 and "the run is complete: it has done 1 of 1 steps" in said
        if f"resuming from {saved} after step {step}\n" not in said and not counted:
            raise RuntimeError(f"{name} does not go on from {saved}:\n{said}")
        with open(os.path.join(home, "metrics.jsonl")) as f:
            found["metrics"] = [without_what_varies(json.loads(line)) for line in f]
        info = json.loads(run(ravel, isa, folder, "ckpt", "info", "--json", "runs/" + name).stdout)
        return {**found, "hash": info["state_hash"]}


def outcomes(ravel, isas, golden, names_and_steps):
    """(name, isa, outcome or what went wrong), as they come."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        tasks = {pool.submit(outcome, ravel, isa, golden, name, step): (name, isa)
                 for name, step in names_and_steps for isa in isas}
        for task in concurrent.futures.as_completed(tasks):
            yield *tasks[task], task.exception() or task.result()


def train(ravel, isa, golden, name):
    """Write the checkpoint, and return its step and the state that the unbroken run ends in."""
    with tempfile.TemporaryDirectory() as folder:
        copy_inputs(golden, folder)
        run(ravel, isa, folder, "train", "-q", name + ".yaml")
        info = json.loads(run(ravel, isa, folder, "ckpt", "info", "--json", "runs/" + name).stdout)
        step = max(info["step"] - 6, 1)  # a model that counts is done after one
        with open(f"{folder}/runs/{name}/step-{step:09}.h5", "rb") as f, open(f"{golden}/{name}.h5.gz", "xb") as to:
            with gzip.GzipFile("", "wb", 9, to, mtime=0) as z: shutil.copyfileobj(f, z)
        return step, info["state_hash"]


def main():
    if not 3 <= len(sys.argv) <= 4: sys.exit(__doc__)
    ravel, compiler = [os.path.abspath(sys.argv[1])], sys.argv[2]
    golden = os.path.join(HERE, (sys.argv + ["runs-1"])[3])
    isas = instruction_sets(ravel)
    for name in names(golden):
        file, whole = os.path.join(golden, name + ".json"), None
        if os.path.exists(os.path.join(golden, name + ".h5.gz")):
            with open(file) as f: record = json.load(f)
        else:
            step, whole = train(ravel, isas[0], golden, name)
            record = {"compiler": compiler, "written_by": isas[0], "step": step, "isa": {}}
        lacking = [isa for isa in isas if isa not in record["isa"]]
        for _, isa, found in outcomes(ravel, lacking, golden, [(name, record["step"])]):
            if isinstance(found, Exception): raise found
            record["isa"][isa] = found
        if whole and record["isa"][isas[0]]["hash"] != whole:
            sys.exit(f"{name}: to go on gives another state than a run without a break")
        if lacking:
            with open(file, "w") as f: json.dump(record, f, indent=1, sort_keys=True, ensure_ascii=False)
        print(name, "made" if whole else "kept", *lacking)


if __name__ == "__main__":
    main()
