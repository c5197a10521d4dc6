#!/usr/bin/env python3
"""kill -9 at random moments, then the same command again: every checkpoint left behind verifies, and the run ends in the
state of one that was never killed. [reliability: G1]   kill.py RAVEL KILLS"""
import os, random, signal, subprocess, sys, tempfile, time

ravel, kills = os.path.abspath(sys.argv[1]), int(sys.argv[2])
EXPERIMENT = """
name: killed
seed: 4
data: {path: text, train_fraction: 0.9}
model: {decoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 48}, embedding_dim: 16, dropout: 0.1}
train:
  batch: {size: 4, length: 32, sampling: contiguous}
  max_steps: 4000
  optimizer: {type: adam, lr: 3e-3}
  validate_every: 100
checkpoint: {every: 3, keep_last: 4, keep_best: 2}
runtime: {threads: 1}
"""


def train(folder):
    return subprocess.Popen([ravel, "train", "-q", "exp.yaml", "checkpoint.dir=" + folder], stderr=subprocess.PIPE)


def state(folder):
    out = subprocess.run([ravel, "ckpt", "info", "--json", folder], capture_output=True, text=True, check=True).stdout
    import json
    info = json.loads(out)
    info = info[-1] if isinstance(info, list) else info
    return info["step"], info["state_hash"]


with tempfile.TemporaryDirectory() as tmp:
    os.chdir(tmp)
    random.seed(1)
    with open("exp.yaml", "w") as f: f.write(EXPERIMENT)
    with open("text", "w") as f: f.write("".join(random.choice("abcdefghij \n") for _ in range(6000)))
    whole = train("whole")
    if whole.wait(): sys.exit("the run that is not killed failed: " + whole.stderr.read().decode())
    want, done, unreadable, finished = state("whole"), 0, 0, 0
    while done < kills:
        p = train("killed")
        time.sleep(0.02 + random.random() * 0.2)
        if p.poll() is None:
            p.send_signal(signal.SIGKILL)
            p.wait()
            done += 1
        elif p.returncode:
            sys.exit("a restarted run failed: " + p.stderr.read().decode())
        left = [f for f in os.listdir("killed")] if os.path.isdir("killed") else []
        if any(f.endswith(".h5") for f in left):
            v = subprocess.run([ravel, "ckpt", "verify", "killed"], capture_output=True, text=True)
            if v.returncode:
                unreadable += 1
                print(v.stdout, v.stderr)
        if p.returncode == 0:  # done before the kill: compare, and begin another
            finished += 1
            if state("killed") != want: sys.exit(f"killed run ends in {state('killed')}, the whole one in {want}")
            os.rename("killed", f"finished-{finished}")
    p = train("killed")
    if p.wait(): sys.exit("the last run failed: " + p.stderr.read().decode())
    ok = unreadable == 0 and state("killed") == want
    print(f"{kills} kills, {unreadable} unreadable checkpoints, {finished + 1} runs finished, final state {'equal' if ok else 'DIFFERENT'}")
    sys.exit(not ok)
