#!/usr/bin/env python3
"""ravel bench: what its tables and JSON promise.   usage: bench.py RAVEL"""
import json
import subprocess
import sys
import unittest

RAVEL = sys.argv.pop()
TRAINING = {"rnn_lm", "lstm_lm", "gru_lm", "charlstm", "gpt_char", "bilstm_attn_nmt", "transformer_nmt"}


def bench(*arguments):
    p = subprocess.run([RAVEL, "bench", *arguments], capture_output=True, text=True, timeout=250)
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


if __name__ == "__main__":
    unittest.main(verbosity=2)
