#!/usr/bin/env python3
"""ravel bench: what its tables and JSON promise.   usage: bench.py RAVEL [TEST...]"""
import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

RAVEL = sys.argv.pop(1)
TRAINING = {"rnn_lm", "lstm_lm", "gru_lm", "charlstm", "gpt_char", "bilstm_attn_nmt", "transformer_nmt", "bilstm_crf"}


def bench(*arguments, isa=""):
    env = {**os.environ, "RAVEL_ISA": isa} if isa else None
    p = subprocess.run([RAVEL, "bench", *arguments], capture_output=True, text=True, timeout=250, env=env)
    if p.returncode:
        raise AssertionError(f"bench {arguments}: exit code {p.returncode}\n{p.stderr}")
    return p.stdout


class Workloads(unittest.TestCase):
    def test_json(self):
        report = json.loads(bench("all", "--tiny", "--threads", "1,2", "--seconds", "0.02", "--json"))
        rows = report["workloads"]
        self.assertEqual(len(rows), 2 * len({r["workload"] for r in rows}))
        for r in rows:
            for key in ("ms", "ms_p10", "ms_p90", "gflops", "share_of_peak", "fma_peak_gflops", "peak_mb", "arena_mb", "tokens_per_second"):
                self.assertGreater(r[key], 0, (r["workload"], key))
            self.assertLessEqual(r["ms_p10"], r["ms"])
            self.assertLessEqual(r["ms"], r["ms_p90"])
            self.assertLess(r["share_of_peak"], 1)
            self.assertEqual("speedup" in r, r["threads"] == 2)
            self.assertEqual("forward_ms" in r, r["workload"] in TRAINING)
            self.assertEqual("decode_ms" in r, r["workload"] not in TRAINING)
        self.assertLess(TRAINING, {r["workload"] for r in rows})

    def test_a_steady_step_asks_the_heap_for_nothing(self):
        rows = json.loads(bench(*sorted(TRAINING), "gpt_greedy", "--tiny", "--threads", "1,2", "--seconds", "0.02", "--json"))["workloads"]
        if "allocations_per_step" not in rows[0]:
            self.skipTest("a sanitizer's malloc is not counted")
        for r in rows:
            self.assertEqual((r["allocations_per_step"], r["bytes_allocated_per_step"]), (0, 0), r["workload"])
        # The counter counts: a translation makes its results.
        beam = json.loads(bench("transformer_beam5", "--tiny", "--threads", "1", "--seconds", "0.02", "--json"))["workloads"][0]
        self.assertGreater(beam["allocations_per_step"], 0)
        self.assertGreater(beam["bytes_allocated_per_step"], 0)

    def test_markdown(self):
        lines = bench("rnn_lm", "gpt_greedy", "--tiny", "--threads", "1,2", "--seconds", "0.02", "--markdown").splitlines()
        first = lines[:lines.index("")]
        self.assertEqual(len(first), 2 + 4)
        self.assertEqual(len({line.count("|") for line in first}), 1, first)

    def test_hash(self):
        """Bits alone: the same at every number of threads, others after another step, of another workload, or by other
        instructions."""
        def hashed(*arguments, isa=""):
            words = [line.split() for line in bench(*arguments, isa=isa).splitlines()]
            return {name: (float(loss), state) for name, loss, state in words}

        one = hashed("all", "--tiny", "--hash", "3", "--threads", "1")
        self.assertLess(TRAINING, set(one))
        self.assertEqual(one, hashed("all", "--tiny", "--hash", "3", "--threads", "2"))
        different = {state for _, state in one.values()}
        self.assertEqual(len(different), len(one) - 1, "lstm_lm and charlstm are the same model here, no others are")
        later = hashed("all", "--tiny", "--hash", "4", "--threads", "1")
        for name in TRAINING | {"transformer_beam5", "bilstm_attn_greedy"}:
            self.assertNotEqual(one[name], later[name], name)
        self.assertEqual(hashed("gpt_greedy", "--tiny", "--hash", "4"), {"gpt_greedy": later["gpt_greedy"]})
        base = hashed("all", "--tiny", "--hash", "3", "--threads", "1", isa="base")
        for name in one: self.assertAlmostEqual(base[name][0], one[name][0], 4, name)
        if bench("all", "--tiny", "--hash", "3", "--threads", "1") != bench("all", "--tiny", "--hash", "3", isa="base"):
            for name in one: self.assertNotEqual(base[name][1], one[name][1], name)
        r = subprocess.run([RAVEL, "bench", "nonsense", "--hash", "3"], capture_output=True, text=True)
        self.assertEqual(r.returncode, 2)
        self.assertIn("rnn_lm", r.stderr)


class Kernels(unittest.TestCase):
    def test_json(self):
        report = json.loads(bench("--kernels", "--tiny", "--threads", "1,2", "--seconds", "0.001", "--json"))
        self.assertEqual(set(report["machine"]), {"1", "2"})
        rows = report["kernels"]
        self.assertEqual({"gemm NN", "gemm NT", "gemm TN", "gemm NT packed"}, {r["kernel"] for r in rows})
        for r in rows:
            self.assertIn(r["bound"], ("compute", "bandwidth"))
            self.assertAlmostEqual(r["bound_us"] / r["us"], r["share_of_bound"], 4)
            self.assertGreater(r["share_of_bound"], 0)
            rivals = [k for k in r if k.endswith("_us") and k != "bound_us"]
            self.assertEqual(len(rivals), 0 if "packed" in r["kernel"] else len(report["libraries"]))


class Scaling(unittest.TestCase):
    def test_json_and_picture(self):
        with tempfile.TemporaryDirectory() as folder:
            picture = os.path.join(folder, "scaling.svg")
            report = json.loads(bench("--scaling", "--tiny", "--threads", "1,2", "--seconds", "0.01", "--json", "--svg", picture))
            texts = ["".join(t.itertext()) for t in xml.etree.ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")]
        rows = report["scaling"]
        self.assertEqual([(r["layer"], r["threads"], r["sequence_length"]) for r in rows],
                         [(layer, n, T) for n in (1, 2) for layer in ("lstm", "attention") for T in (16, 32, 64)])
        for r in rows:
            self.assertGreater(r["ms"], 0)
        for label in ("LSTM, 1 thread", "LSTM, 2 threads", "attention, 1 thread", "attention, 2 threads", "16", "64"):
            self.assertIn(label, texts)


if __name__ == "__main__":
    unittest.main(verbosity=2)
