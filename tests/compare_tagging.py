#!/usr/bin/env python3
"""Taggers side by side, one of which counts instead of being trained by steps.   compare_tagging.py RAVEL"""
import json, random, re, unittest

from command import InAFolder, ravel

HMM = """name: hmm
task: tagging
data: {path: tags}
model: {hmm: true}
"""
LSTM = """name: lstm
task: tagging
data: {path: tags}
model:
  encoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 12}
  embedding_dim: 8
  letters: {type: lstm, hidden_size: 4}
train: {batch: {size: 8}, max_steps: 5, optimizer: {type: adam, lr: 1e-2}, validate_every: 5}
"""
CRF = """include: lstm.yaml
name: crf
model: {encoder: !replace {type: none}, letters: null, crf: true}
"""
COMPARISON = """compare:
  name: small
  models: {hmm: hmm.yaml, crf: crf.yaml, lstm: lstm.yaml}
  seeds: [1, 2]
  budget: {train_steps: 20}
  report: {resamples: 50}
"""


class Taggers(InAFolder):
    def setUp(self):
        super().setUp()
        random.seed(3)
        words = {"D": ["the", "a"], "N": ["cat", "sea", "dog", "man"], "V": ["sees", "saw", "man"]}
        with open("tags", "w") as f:
            for _ in range(150):
                for tag in random.choice(["DNV", "DNVDN", "NVN"]): f.write(f"{random.choice(words[tag])}\t{tag}\n")
                f.write("\n")
        for name, text in ("hmm", HMM), ("lstm", LSTM), ("crf", CRF), ("cmp", COMPARISON): self.write(name + ".yaml", text)

    def compare(self, *args, code=0, says=()):
        r = ravel("compare", "cmp.yaml", *args)
        self.check(r, code, *says)
        return r.stdout

    def report(self):
        with open("runs/small/report.json") as f: return json.load(f)

    def test_one_that_counts_is_compared(self):
        """It has no trials, no costs and one step; and yet there is a verdict, which says so."""
        self.compare("compare.tune={lr: [1e-3, 1e-2], train_steps: 5}", "compare.cost={sequence_length: [8], rounds: 2}",
                     says=["warning: hmm: it counts: compare.cost leaves it out"])
        r = self.report()
        self.assertEqual([m["model"] for m in r["tuning"]["models"]], ["crf", "lstm"])
        self.assertEqual({row["model"] for row in r["cost"]["rows"]}, {"crf", "lstm"})
        self.assertEqual(r["budget"]["models"][0]["steps"], 1)
        self.assertTrue(r["budget"]["equal"] and r["budget"]["models"][0]["counts"])
        accuracy = next(q for q in r["quality"] if q["metric"] == "accuracy")
        for pair in accuracy["pairs"]:
            self.assertIn(pair["verdict"], ("a", "b", "not distinguishable"), pair)
            self.assertEqual("hmm counts the training part once, whatever the budget of the other" in pair["why"],
                             pair["a"] == "hmm", pair)
        with open("runs/small/report.html") as f:
            self.assertIn("hmm counts the training part once, and more would change nothing.", f.read())

    def test_matched(self):
        out = self.compare("compare.match={by: parameters, reference: lstm}", "--dry-run",
                           says=["warning: hmm: it counts, and has no width to be scaled; it stays as it is, and there",
                                 "warning: crf: no width of its model can be scaled; it stays -.* % off lstm, and there"])
        self.assertIn("off -, NOT MATCHED: it counts, and has no width to be scaled", out)
        self.assertRegex(out, r"(?m)^crf +off -\d.* %, NOT MATCHED: no width of its model can be scaled")
        self.compare("compare.match={by: parameters, reference: lstm}")
        why = {(p["a"], p["b"]): p["why"] for p in self.report()["quality"][0]["pairs"]}
        self.assertEqual(why["hmm", "lstm"], "hmm is not matched: it counts, and has no width to be scaled")
        self.assertEqual(why["crf", "lstm"], "crf is not matched: no width of its model can be scaled")

    def test_before_a_run(self):
        """What one that counts is, and what its one step takes."""
        r = ravel("summary", "hmm.yaml")
        self.check(r, 0)
        self.assertTrue(r.stdout.startswith("hidden Markov model of three tags, unknown words by suffix\n"), r.stdout)
        self.assertTrue(r.stdout.endswith("Its parameters are counted, in one step that reads all of the training part.\n"))
        self.assertNotIn("frozen", r.stdout)
        self.assertTrue(ravel("summary", "lstm.yaml").stdout.startswith("LSTM, bidirectional, letters by an LSTM\n"))
        self.assertTrue(ravel("summary", "crf.yaml").stdout.startswith("the words alone, CRF over the tags\n"))
        r = ravel("train", "--dry-run", "hmm.yaml")
        self.check(r, 0, r"(?m)^hmm: \d+ parameters, \d+ threads?, ")
        self.assertRegex(r.stdout, r"(?m)^parameters +\d+, counted in one step\n(.*\n)*expected in all +\S+ s, without")
        with open("tags") as f: words = sum(1 for line in f if line.strip())
        told = int(re.search(r"(?m)^tokens per step +(\d+)$", r.stdout).group(1))
        self.assertTrue(0.7 * words < told < 0.9 * words, f"{told} words of the training part of {words}")

    def test_no_gradient_flows_over_a_distance(self):
        self.compare("compare.gradient_flow=true", code=2, says=["compare.gradient_flow: model 'hmm' is told its loss at"])
        self.check(ravel("probe", "lstm.yaml"), 2, "told its loss at each position, so that there is no distance")


if __name__ == "__main__":
    unittest.main(verbosity=0)
