#!/usr/bin/env python3
"""The command built for another CPU, and checkpoints that cross over and back.   cross.py NATIVE_RAVEL EMULATOR RAVEL"""
import json, os, random, subprocess, sys, unittest

if not os.path.exists(sys.argv[1]):
    print(f"no native ravel to compare with: build {sys.argv[1]}")
    sys.exit(77)

from command import BASE, LSTM, InAFolder, ravel

EMULATED = [os.path.abspath(sys.argv.pop(1)), os.path.abspath(sys.argv.pop(1))]
GPT = "{decoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 32}}"


def emulated(*args):
    return subprocess.run([*EMULATED, *args], capture_output=True, text=True, timeout=250)


class Cross(InAFolder):
    def setUp(self):
        super().setUp()
        random.seed(2)
        self.write("text", "".join(random.choice(["to be ", "or not ", "that is\n", "the question. "]) for _ in range(600)))

    def test_doctor(self):
        r = emulated("doctor", "--json")
        self.check(r, 0)
        report = json.loads(r.stdout)
        self.assertEqual(report["cpu"]["supported"], ["base"])
        self.assertGreater(report["speed"][0]["peak_gflops"], 0)
        self.assertNotIn("AVX", r.stdout)

    def read_alike(self, checkpoint, step):
        """Both find the file whole and of the same state, and evaluate it alike."""
        here, there = ravel("ckpt", "verify", checkpoint), emulated("ckpt", "verify", checkpoint)
        self.check(here, 0)
        self.assertRegex(here.stdout, rf"^good .*\(step {step}, state [0-9a-f]{{16,}}\)\n$")
        self.assertEqual(here.stdout, there.stdout)
        here, there = (json.loads(r.stdout)["loss"] for r in (run("eval", "--json", checkpoint) for run in (ravel, emulated)))
        self.assertAlmostEqual(here, there, places=5)

    def test_a_run_moves_there_and_back(self):
        for name, model in ("lstm", LSTM), ("gpt", GPT):
            self.write("run.yaml", BASE % model)
            saved = f"runs/{name}/step-0000000%d.h5"
            self.check(emulated("train", "run.yaml", "name=" + name), 0, "done: step 20")
            self.read_alike(saved % 20, 20)
            self.check(ravel("train", "run.yaml", "name=" + name, "train.max_steps=30"), 0, "resuming from .* after step 20", "done: step 30")
            self.read_alike(saved % 30, 30)
            self.check(emulated("train", "run.yaml", "name=" + name, "train.max_steps=40"), 0, "resuming from .* after step 30", "done: step 40")


unittest.main(verbosity=1)
