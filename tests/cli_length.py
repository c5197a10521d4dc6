#!/usr/bin/env python3
"""How long a run is: steps or passes over the data.   cli_length.py RAVEL"""
import re, unittest

from command import BASE, LSTM, WithText, ravel


class Length(WithText):
    def test_epochs(self):
        """Passes over the training part become steps once the data are read; no window is seen more or less often."""
        with open("text") as f: text = f.read()
        self.write("epochs.yaml", (BASE % LSTM).replace("max_steps: 20", "epochs: 3"))
        windows = (len(text) * 9 // 10 - 1) // 16
        shuffled = "train.batch.sampling=shuffled", "train.lr_scheduler={type: cosine, warmup_steps: 2}"
        steps = -(-3 * windows // 4)
        for accumulate in 1, 3:
            name = f"shuffled-{accumulate}"
            r = ravel("train", "epochs.yaml", f"name={name}", *shuffled, f"train.accumulate={accumulate}")
            updates = -(-steps // accumulate)
            self.check(r, 0, f"train.epochs 3: {updates} steps", f"done: step {updates}, epoch 3,")
            with open(f"runs/{name}/experiment.yaml") as f: resolved = f.read()
            self.assertRegex(resolved, f"(?m)^  max_steps: {updates}$")
            self.assertRegex(resolved, f"(?m)^    total_steps: {updates}$")
            self.assertNotIn("epochs:", resolved)
        # The cursor stands where the last pass ends, but for what a full batch takes of the next one.
        info = self.parsed("ckpt", "info", "runs/shuffled-1", "--json")
        self.assertEqual(info["step"], steps)
        # Complete; then longer; and as steps, which is the same.
        self.check(ravel("train", "epochs.yaml", "name=shuffled-1", *shuffled), 0,
                   "run is complete.*raise train.epochs")
        more = ravel("train", "epochs.yaml", "name=shuffled-1", *shuffled, "train.epochs=4")
        longer = -(-4 * windows // 4)
        self.check(more, 0, rf"trained with train.max_steps {steps} \(from now on {longer}\)",
                   f"done: step {longer}, epoch 4,")
        # One of two keys, of which an assignment wins.
        self.check(ravel("train", "epochs.yaml", "name=few", "train.max_steps=5"), 0, "train.epochs .* is left out",
                   "done: step 5")
        self.check(ravel("train", "lstm.yaml", "name=many", "train.epochs=1", *shuffled), 0,
                   "train.max_steps .* is left out",
                   f"done: step {-(-windows // 4)}, epoch 1,")
        self.check(ravel("train", "epochs.yaml", "train.epochs=1", "train.max_steps=5"), 2,
                   "max_steps .*only with model.hmm, or without train.epochs and without model.hmm")
        self.write("both.yaml", (BASE % LSTM).replace("max_steps: 20", "epochs: 3\n  max_steps: 20"))
        self.check(ravel("train", "both.yaml"), 2, "both.yaml:7:3: train.max_steps .*only with model.hmm, or without train.epochs and without model.hmm")
        self.write("neither.yaml", (BASE % LSTM).replace("max_steps: 20", "epochs: null"))
        self.check(ravel("train", "neither.yaml"), 2, "train.max_steps is missing.*or give train.epochs")
        r = ravel("train", "epochs.yaml", "name=dry", "--dry-run", *shuffled)
        self.check(r, 0)
        self.assertRegex(r.stdout, f"minutes for {steps} steps")
        # A pass of random windows draws as many targets as there are; one of contiguous ones reads each stream once.
        random_steps = -(-3 * (len(text) * 9 // 10) // (4 * 16))
        r = ravel("train", "epochs.yaml", "name=random")
        self.check(r, 0)
        self.assertLessEqual(abs(int(re.search(r"train.epochs 3: (\d+) steps", r.stderr)[1]) - random_steps), 1)
        r = ravel("train", "epochs.yaml", "name=carried", "train.batch.sampling=contiguous", "train.epochs=2")
        self.check(r, 0, "done: step .*, epoch 2,")
        stop = int(re.search(r"done: step (\d+)", r.stderr)[1])
        r = ravel("train", "epochs.yaml", "name=short", "train.batch.sampling=contiguous",
                  f"train.max_steps={stop - 1}")
        self.check(r, 0, "done: step .*, epoch 1,")

    def test_no_steps_under_any_schedule(self):
        for i, kind in enumerate(("cosine", "linear", "step, step_size: 3", "noam", "plateau")):
            self.check(ravel("train", "lstm.yaml", f"name=none{i}", "train.max_steps=0",
                             f"train.lr_scheduler={{type: {kind}}}"), 0, "after step 0")
        self.check(ravel("train", "lstm.yaml", "train.lr_scheduler={type: cosine, total_steps: 0}"), 2, "total_steps 0")


if __name__ == "__main__":
    unittest.main(verbosity=0)
