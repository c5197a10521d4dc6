#!/usr/bin/env python3
"""Costs measured in processes of their own, and what the report makes of them, computed again here.
usage: cost_run.py COST_BY_HAND"""
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv.pop(1)
TRAIN = "train: {max_steps: 10, validate_every: 10, batch: {size: 4, length: 6}, optimizer: {type: adam, lr: 1e-3}}\n"
MODELS = {
    "lstm": "decoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 48}, embedding_dim: 24",
    "gpt": "decoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 48}, position: learned, embedding_dim: 48",
}
LENGTHS, THREADS, ROUNDS, REPEATS, BATCH = (4, 8, 32), (1, 2), 3, 4, 3


def slope(x, y):
    mx, my = statistics.mean(x), statistics.mean(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y)) / sum((a - mx) ** 2 for a in x)


def student(p, degrees=ROUNDS - 1):
    """The quantile for 2 degrees of freedom, which has a closed form."""
    assert degrees == 2
    return (2 * p - 1) / math.sqrt(2 * p * (1 - p))


class Cost(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        files = []
        for name, model in MODELS.items():
            files.append(os.path.join(cls.folder.name, name + ".yaml"))
            with open(files[-1], "w") as f:
                f.write(f"name: {name}\ndata: {{path: x.txt}}\nmodel: {{{model}}}\n{TRAIN}")
        join = lambda numbers: ",".join(map(str, numbers))
        p = subprocess.run([PROGRAM, cls.folder.name, join(THREADS), join(LENGTHS), str(ROUNDS), str(REPEATS), str(BATCH), "40", *files],
                           capture_output=True, text=True, timeout=200)
        if p.returncode:
            raise AssertionError(p.stderr)
        cls.cost = json.loads(p.stdout)["cost"]
        cls.cells = {}
        for name in MODELS:
            for n in range(ROUNDS):
                with open(os.path.join(cls.folder.name, "cost", f"{name}.r{n + 1}.json")) as f:
                    d = json.load(f)
                assert d["model"] == name and d["batch"] == BATCH and d["tokens"] is None and d["parameters"] > 1000
                for c in d["cells"]:
                    assert len(c["ms"]) == REPEATS
                    first = cls.cells.setdefault((name, c["phase"], c["threads"], c["sequence_length"]), dict(c, ms=[]))
                    first["ms"] += c["ms"]
                    first["peak_bytes"] = max(first["peak_bytes"], c["peak_bytes"])

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def times(self, model, phase, threads, length):
        if phase != "train":
            return self.cells[model, phase, threads, length]["ms"]
        return [a + b for a, b in zip(self.times(model, "forward", threads, length), self.times(model, "backward", threads, length))]

    def test_every_cell_is_measured(self):
        self.assertEqual(len(self.cells), len(MODELS) * 3 * len(THREADS) * len(LENGTHS))
        for c in self.cells.values():
            self.assertEqual(len(c["ms"]), ROUNDS * REPEATS)
        # a process that starts another hands no peak of memory down
        self.assertLess(max(c["peak_bytes"] for c in self.cells.values()), 200e6)

    def test_rows(self):
        self.assertEqual(len(self.cost["rows"]), len(MODELS) * 4 * len(THREADS) * len(LENGTHS))
        for r in self.cost["rows"]:
            ms = self.times(r["model"], r["phase"], r["threads"], r["sequence_length"])
            middle = statistics.median(ms)
            self.assertAlmostEqual(r["ms"] / middle, 1, 4)
            self.assertLessEqual(min(ms) * 0.9999, r["low"])
            self.assertLessEqual(r["low"], r["ms"])
            self.assertLessEqual(r["ms"], r["high"])
            self.assertLessEqual(r["high"], max(ms) * 1.0001)
            self.assertAlmostEqual(r["tokens_per_second"] * middle / 1e3 / BATCH / r["sequence_length"], 1, 4)
            if r["phase"] == "train":
                parts = [self.cells[r["model"], p, r["threads"], r["sequence_length"]] for p in ("forward", "backward")]
                for key in ("flops", "flops_counted"):
                    self.assertAlmostEqual(r[key] / sum(p[key] for p in parts), 1, 4)

    def test_fits(self):
        self.assertEqual(len(self.cost["fits"]), len(MODELS) * 4 * len(THREADS) * 2)
        x = [math.log(n) for n in LENGTHS]
        for f in self.cost["fits"]:
            if f["quantity"] == "ms":
                y = [math.log(statistics.median(self.times(f["model"], f["phase"], f["threads"], n))) for n in LENGTHS]
            else:
                phase = "backward" if f["phase"] == "train" else f["phase"]
                y = [math.log(self.cells[f["model"], phase, f["threads"], n]["step_bytes"]) for n in LENGTHS]
            self.assertAlmostEqual(f["slope"], slope(x, y), 4)
            self.assertLessEqual(f["low"], f["high"])

    def rounds(self, model, phase, threads, length):
        ms = self.times(model, phase, threads, length)
        return [statistics.median(ms[r * REPEATS:(r + 1) * REPEATS]) for r in range(ROUNDS)]

    def test_crossings(self):
        """A difference is told where the rounds bear it, a crossing only between such lengths."""
        self.assertEqual(len(self.cost["crossings"]), 4 * len(THREADS))
        tests = len(LENGTHS) * 4 * len(THREADS)
        bound = student(1 - 0.05 / tests / 2)
        for c in self.cost["crossings"]:
            told = {}
            for n in LENGTHS:
                a, b = (self.rounds(m, c["phase"], c["threads"], n) for m in (c["a"], c["b"]))
                d = [math.log(x / y) for x, y in zip(a, b)]
                if abs(statistics.mean(d)) > bound * statistics.stdev(d) / math.sqrt(ROUNDS):
                    told[n] = c["a"] if statistics.mean(d) < 0 else c["b"]
            self.assertEqual({t["sequence_length"]: t["cheaper"] for t in c["told"]}, told)
            self.assertEqual(c["everywhere"], len(told) == len(LENGTHS))
            winners = set(told.values())
            if not winners:
                self.assertEqual((c["verdict"], c["cheaper_below"], c["length"]), ("not distinguishable", "", None))
                self.assertIn("not distinguishable", c["text"])
            elif len(winners) == 1:
                self.assertEqual(c[c["verdict"]], *winners)
                self.assertEqual((c["cheaper_below"], c["length"]), (*winners, None))
            elif c["verdict"] == "crossing":
                for n, cheaper in told.items():
                    self.assertEqual(cheaper, c["cheaper_below"] if n < c["length"] else c["cheaper_above"])
                self.assertIn(f"cheaper below {c['length']:.0f} tokens", c["text"])

    def test_what_others_did_meanwhile(self):
        self.assertGreaterEqual(self.cost["other_work"]["mean"], 0)
        self.assertGreaterEqual(self.cost["other_work"]["most"], self.cost["other_work"]["mean"])

    def test_serial(self):
        self.assertEqual(len(self.cost["serial"]), len(MODELS) * 4 * len(LENGTHS))
        for s in self.cost["serial"]:
            one, two = (statistics.median(self.times(s["model"], s["phase"], n, s["sequence_length"])) for n in THREADS)
            share = min(1, max(0, 2 * two / one - 1))
            self.assertAlmostEqual(s["share"], share, 4)
            self.assertAlmostEqual(s["speedup"][1]["value"], one / two, 3)
            self.assertIn("rough", s["note"])
            if share > 0.001:
                self.assertAlmostEqual(s["speedup_limit"] * share, 1, 2)


if __name__ == "__main__":
    unittest.main()
