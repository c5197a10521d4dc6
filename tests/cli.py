#!/usr/bin/env python3
"""The command as a user meets it: what it prints, what it returns, what it leaves behind.   cli.py RAVEL"""
import fcntl, filecmp, json, math, os, pty, re, resource, signal, struct, subprocess, termios, time, unittest

from command import BASE, LSTM, RAVEL, WithText, beside_unknown, ravel

TESTS = os.path.dirname(os.path.abspath(__file__))
GPT = "{decoder: {type: transformer, num_layers: 2, num_heads: 2, hidden_size: 32}}"


def metrics(run):
    with open(f"runs/{run}/metrics.jsonl") as f: return [json.loads(l) for l in f]


def wait_for(there, seconds=60):
    """Until there() holds: a busy machine starts programs late."""
    end = time.monotonic() + seconds
    while not there() and time.monotonic() < end: time.sleep(0.02)
    return there()


class Cli(WithText):
    def setUp(self):
        super().setUp()
        self.write("gpt.yaml", BASE % GPT)

    def test_help_of_every_command_has_an_example(self):
        top = ravel("--help")
        self.assertEqual(top.returncode, 0)
        names = re.findall(r"^  ([a-z]+) ", top.stdout, re.M)
        self.assertGreater(len(names), 8)
        for name in names:
            h = ravel(name, "--help")
            self.assertEqual(h.returncode, 0, name)
            self.assertRegex(h.stdout, r"(?i)example", name)

    def test_usage(self):
        self.check(ravel("tran"), 2, "did you mean 'train'")
        self.check(ravel("train"), 2, "name an experiment file")
        self.check(ravel("train", "--no-such-option"), 2)
        self.check(ravel("train", "none.yaml"), 2, "none.yaml")
        self.check(ravel("train", "lstm.yaml", "nonsense"), 2, "key.path=value")

    def test_all_mistakes_at_once(self):
        self.write("bad.yaml", BASE.replace("validate_every", "validate_evry").replace("lr: 1e-2", "lr: fast").replace("size: 4", "size: -4") % LSTM)
        self.check(ravel("train", "bad.yaml"), 2, r"bad.yaml:8:3.*validate_evry.*did you mean 'validate_every'", r"bad.yaml:7:\d+", r"bad.yaml:5:\d+")
        self.assertFalse(os.path.exists("runs"))

    def test_train_eval_generate(self):
        for name in "lstm", "gpt":
            self.check(ravel("train", name + ".yaml", "name=" + name), 0, "done: step 20")
            for f in "metrics.jsonl", "experiment.yaml", "best.h5", "step-000000020.h5": self.assertTrue(os.path.exists(f"runs/{name}/{f}"), f)
            lines = metrics(name)
            self.assertEqual([l["step"] for l in lines if l["kind"] == "train"], list(range(1, 21)))
            for key in "loss", "grad_norm", "lr", "tokens_per_second", "peak_memory_bytes": self.assertIn(key, lines[0])
            valid = [l for l in lines if l["kind"] == "valid"]
            e = ravel("eval", "--json", f"runs/{name}")
            self.check(e, 0)
            self.assertAlmostEqual(json.loads(e.stdout)["loss"], min(l["loss"] for l in valid), places=6)
            a, b, c = (ravel("generate", f"runs/{name}", "--prompt", "to ", "--length", "40", "--seed", s) for s in "112")
            self.check(a, 0)
            self.assertTrue(a.stdout.startswith("to "))
            self.assertEqual(len(a.stdout), 3 + 40 + 1)
            self.assertEqual(a.stdout, b.stdout)
            self.assertNotEqual(a.stdout, c.stdout)
            one, two = (ravel("generate", f"runs/{name}", "-p", "to", "--temperature", "0", "runtime.threads=" + n).stdout for n in "12")
            self.assertEqual(one, two)
            again = ravel("train", name + ".yaml", "name=" + name)
            self.check(again, 0, "done: step 20")
            self.check(ravel("summary", f"runs/{name}"), 0)
            self.check(ravel("summary", name + ".yaml"), 0)
            flow = ravel("probe", "--json", f"runs/{name}", "--length", "6")
            self.check(flow, 0)
            for when in "before", "after":
                f = json.loads(flow.stdout)[when]
                self.assertEqual(f["length"], 6)
                self.assertTrue(all(s["lag"] == list(range(6)) and min(s["norm"]) > 0 for s in f["series"]))
            self.check(ravel("probe", name + ".yaml"), 0)
            self.assertRegex(ravel("probe", f"runs/{name}").stdout, r"at initialisation(.|\n)*decoder.l0.*\n(.|\n)*after training(.|\n)*decoder.l0")
            long = ravel("probe", "--json", f"runs/{name}", "--length", "100000")
            self.check(long, 0)
            self.assertIn(json.loads(long.stdout)["after"]["length"], range(6, 100000))
            self.check(ravel("train", "--dry-run", name + ".yaml"), 0)

    def test_generation_longer_than_the_context(self):
        self.check(ravel("train", "-q", "gpt.yaml"), 0)
        self.assertEqual(len(ravel("generate", "runs/test", "--prompt", "to be or not to be or not", "--length", "100").stdout), 25 + 100 + 1)

    def test_a_model_that_sees_the_future(self):
        for mask in "before_softmax", "none":
            self.check(ravel("train", "-q", "gpt.yaml", "name=" + mask, "model.decoder.causal_mask=" + mask, "metrics=[loss, honest_loss]"), 0)
            for line in (l for l in metrics(mask) if l["kind"] == "valid"): self.assertIn("honest_loss", line)
        e = ravel("eval", "--json", "runs/before_softmax", "metrics=[ppl, bpc, honest_loss]")
        self.check(e, 0)
        self.assertLess(abs(json.loads(e.stdout)["honest_loss"] - json.loads(e.stdout)["loss"]), 0.5)
        write = ravel("generate", "runs/none", "--prompt", "to be", "--length", "50")
        self.check(write, 0)
        self.assertEqual(len(write.stdout), 5 + 50 + 1)
        self.check(ravel("train", "gpt.yaml", "name=none"), 4, r"causal_mask none .the experiment says before_softmax")
        self.check(ravel("eval", "runs/none", "--shuffle-source"), 2, "--shuffle-source is for translation")

    def test_more_steps_continue(self):
        self.check(ravel("train", "lstm.yaml"), 0)
        self.check(ravel("train", "lstm.yaml", "train.max_steps=30"), 0, "resuming from .* after step 20", "done: step 30")

    def test_data_errors(self):
        self.check(ravel("train", "lstm.yaml", "data.path=absent"), 3, "absent")
        with open("bytes", "wb") as f: f.write(b"abc\xff\xfe" * 100)
        self.check(ravel("train", "lstm.yaml", "data.path=bytes"), 3, "bytes", "UTF-8")
        self.write("tiny", "to be")
        self.check(ravel("train", "lstm.yaml", "data.path=tiny"), 3)
        self.write("empty", "")
        self.check(ravel("train", "lstm.yaml", "data.path=empty"), 3, "empty")
        self.check(ravel("train", "lstm.yaml"), 0)
        self.check(ravel("generate", "runs/test", "--prompt", "\u00e9"), 3, "\u00e9|U\\+00E9")

    def test_what_validation_needs_is_tried_first(self):
        """Not found out when the training is done; --dry-run tells it, too."""
        with open("text") as f: self.write("few", f.read()[:1092])
        carried = "train.batch={size: 64, length: 4, sampling: contiguous}", "data={path: few, train_fraction: 0.95}"
        for more in [], ["--dry-run"]:
            r = ravel("train", "lstm.yaml", *carried, *more)
            self.check(r, 3, "the validation part", "55 tokens; 65 are needed")
            self.assertNotIn("training ", r.stderr)
            self.assertFalse(os.path.exists("runs/test/metrics.jsonl"))

        self.check(ravel("train", "lstm.yaml", "data={path: few, train_fraction: 0.5, test_fraction: 0.01}",
                         "train.batch={size: 30, length: 4, sampling: contiguous}"),
                   3, "the test part: .* 31 are needed")

    def test_a_text_in_three_parts(self):
        """The end is neither trained nor validated on, and is what a test measures."""
        with open("text") as f: text = f.read()
        n, held = len(text), int(0.2 * len(text))
        self.check(ravel("train", "-q", "lstm.yaml",
                         "data=!replace {path: text, train_fraction: 0.7, test_fraction: 0.2}",
                         "tokenizer.type=byte"), 0)
        tokens = {part: self.parsed("eval", "--json", "--split", part, "runs/test")["tokens"]
                  for part in ("train", "valid", "test")}
        self.assertEqual(tokens, {"train": int(0.7 * n) - 1, "valid": n - held - int(0.7 * n) - 1, "test": held - 1})
        self.write("end", text[n - held:])
        other = json.loads(ravel("eval", "--json", "runs/test", "data=!replace {train: text, valid: end}").stdout)
        self.assertEqual(other["loss"],
                         json.loads(ravel("eval", "--json", "--split", "test", "runs/test").stdout)["loss"])
        self.check(ravel("train", "lstm.yaml", "data=!replace {path: text, test_fraction: 0.1}"), 2,
                   "data.train_fraction 0.9 and data.test_fraction 0.1 leave nothing")

    def test_no_steps_leave_the_model_as_it_begins(self):
        self.check(ravel("train", "-q", "lstm.yaml", "train.max_steps=0"), 0)
        first = json.loads(ravel("eval", "--json", "runs/test").stdout)
        self.assertEqual(first["step"], 0)
        self.check(ravel("train", "lstm.yaml"), 0, "resuming from .* after step 0")
        self.check(ravel("train", "-q", "lstm.yaml", "name=straight"), 0)
        items = [ravel("ckpt", "info", "--json", f"runs/{run}").stdout for run in ("test", "straight")]
        self.assertEqual(*(json.loads(i)["state_hash"] for i in items))

    def test_changed_data_is_not_resumed_on(self):
        self.check(ravel("train", "lstm.yaml"), 0)
        with open("text", "a") as f: f.write("to be\n" * 50)
        self.check(ravel("train", "lstm.yaml", "train.max_steps=30"), 4, "other data")

    def test_checkpoint_of_another_model(self):
        self.check(ravel("train", "lstm.yaml"), 0)
        before = sorted(os.listdir("runs/test"))
        self.check(ravel("train", "gpt.yaml", "train.max_steps=30"), 4, "model")
        self.check(ravel("train", "lstm.yaml", "train.max_steps=30", "model.decoder.hidden_size=40"), 4, "hidden_size")
        self.assertEqual(before, sorted(os.listdir("runs/test")))
        self.check(ravel("train", "gpt.yaml", "name=other", "--resume", "runs/test/best.h5"), 4)
        self.check(ravel("train", "lstm.yaml", "--resume", "never"), 2, "already holds checkpoints")
        self.check(ravel("train", "lstm.yaml", "--resume", "text"), 4, "text")

    def test_damaged_checkpoint(self):
        self.check(ravel("train", "lstm.yaml"), 0)
        last = "runs/test/step-000000020.h5"
        with open(last, "r+b") as f:
            f.seek(os.path.getsize(last) // 2)
            f.write(b"\xff\x00\xff")
        self.check(ravel("ckpt", "verify", last), 6)
        self.check(ravel("train", "lstm.yaml"), 0, "step-000000020.h5", "resuming from .*step-000000010.h5")

    def test_a_comparison_is_no_experiment(self):
        self.write("compare.yaml", "compare: {name: c, models: {a: lstm.yaml}, budget: {train_steps: 2}, seeds: [1]}\n")
        for command in ("train", "summary", "probe"): self.check(ravel(command, "compare.yaml"), 2, "ravel compare compare.yaml")

    def test_folder_cannot_be_made(self):
        self.write("file", "")
        self.check(ravel("train", "lstm.yaml", "checkpoint.dir=file/run"), 2, "file/run")

    def test_two_runs_in_one_folder(self):
        first = subprocess.Popen([RAVEL, "train", "-q", "lstm.yaml", "train.max_steps=100000000"])
        try:
            self.assertTrue(wait_for(lambda: os.path.exists("runs/test/metrics.jsonl")))
            self.check(ravel("train", "lstm.yaml"), 2, str(first.pid))
        finally:
            first.kill()
            first.wait()

    def test_signals_save_first(self):
        for sig, code in (signal.SIGTERM, 75), (signal.SIGINT, 130):
            p = subprocess.Popen([RAVEL, "train", "lstm.yaml", f"name=sig{code}", "train.max_steps=100000000", "checkpoint.every=1000000000"], stderr=subprocess.PIPE, text=True)
            self.assertTrue(wait_for(lambda: os.path.exists(f"runs/sig{code}/metrics.jsonl") and os.path.getsize(f"runs/sig{code}/metrics.jsonl")))
            p.send_signal(sig)
            err = p.communicate(timeout=30)[1]
            self.assertEqual(p.returncode, code, err)
            step = int(re.search(r"step (\d+) is saved", err)[1])
            self.assertTrue(os.path.exists(f"runs/sig{code}/step-{step:09d}.h5"))
            self.check(ravel("train", "lstm.yaml", f"name=sig{code}", f"train.max_steps={step + 5}"), 0, f"after step {step}")

    def test_a_signal_breaks_a_validation_off(self):
        long = ["train.validate_every=1", "train.max_steps=3", "data.train_fraction=0.01", "checkpoint.every=1"]
        with open("text") as f: text = f.read()
        with open("text", "w") as f: f.write(text * 100)
        begin = time.time()
        self.check(ravel("train", "gpt.yaml", "name=whole", *long), 0, "done: step 3")
        part = (time.time() - begin) / 8  # nearly all of the time goes into three validations
        for k in range(20):
            p = subprocess.Popen([RAVEL, "train", "gpt.yaml", "name=broken", *long], stderr=subprocess.PIPE, text=True)
            time.sleep(part * (1 + k / 4))
            if p.poll() is None: p.terminate()
            err = p.communicate(timeout=60)[1]
            if "broken off" in err: break
        self.assertEqual(p.returncode, 75, err)
        self.assertRegex(err, r"step \d is saved in .*\. The same command continues, with the validation that was broken off")
        kept = os.listdir("runs/broken")
        for _ in range(2):  # the second begins once more at the checkpoint before the validation
            self.check(ravel("train", "gpt.yaml", "name=broken", *long), 0, "done: step 3")
            timed = "tokens_per_second", "peak_memory_bytes"
            whole, broken = [[{k: v for k, v in l.items() if k not in timed} for l in metrics(name)] for name in ("whole", "broken")]
            self.assertEqual(whole, broken)
            for f in os.listdir("runs/broken"):
                if f not in kept: os.remove("runs/broken/" + f)

    def test_help_of_a_command(self):
        self.assertEqual(ravel("help", "train").stdout, ravel("train", "--help").stdout)
        self.assertEqual(ravel("help", "ckpt", "diff").stdout, ravel("ckpt", "diff", "--help").stdout)
        self.assertEqual(ravel("help").stdout, ravel("--help").stdout)
        self.check(ravel("help", "tain"), 2, "unknown command 'tain'; did you mean 'train'")

    def test_a_sections_keys_have_their_values(self):
        said = ravel("config", "explain", "train.optimizer").stdout
        self.assertRegex(said, r"(?m)^    type +sgd\|adam\|adamw\|adadelta: how a step")
        self.assertRegex(said, r"(?m)^    lr +a number in \[0, 1000000\]: learning rate")
        self.assertRegex(said, r"(?m)^    nesterov +true\|false: ")
        self.assertRegex(ravel("config", "explain", "train.early_stopping").stdout,
                         r"(?m)^    metric +loss\|ppl\|bleu\|chrf\|accuracy\|bpc\|bpb\|mse\|f1\|known_accuracy\|unknown_accuracy\|span_f1: ")

    def test_completion(self):
        script = os.path.join(os.path.dirname(TESTS), "tools/completion.bash")
        def offered(*words):
            text = f"source {script}; compopt() {{ :; }}; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _ravel; echo ${{COMPREPLY[*]}}"
            return subprocess.run(["bash", "-c", text, "-", RAVEL, *words], capture_output=True,
                                  text=True).stdout.split()
        self.assertEqual(offered("train", "lstm.yaml", "train.optimizer.type", "="),
                         ["adadelta", "adam", "adamw", "sgd"])
        self.assertEqual(offered("train", "lstm.yaml", "train.optimizer.type", "=", "adam"), ["adam", "adamw"])
        self.assertEqual(offered("train", "lstm.yaml", "train.optimizer.type=ada"),
                         [f"train.optimizer.type={a}" for a in ("adadelta", "adam", "adamw")])
        self.assertEqual(offered("train", "lstm.yaml", "model.scale_embeddings", "=", ""), ["false", "true"])
        self.assertEqual(offered("train", "lstm.yaml", "train.max_steps", "="), [])
        self.assertEqual(offered("train", "lstm.yaml", "train.optimizer.l"), ["train.optimizer.lr="])
        self.assertEqual(offered("help", "tr"), ["train", "translate"])

    def test_progress_fits_the_terminal(self):
        for columns in 200, 75, 20:
            try: master, slave = pty.openpty()
            except OSError: self.skipTest("no pseudo-terminals here (a chroot without /dev/pts)")
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
            p = subprocess.Popen([RAVEL, "train", "lstm.yaml", f"name=wide{columns}", "train.max_steps=4000", "train.validate_every=4000"],
                                 stderr=slave, env={**os.environ, "TERM": "xterm"})
            os.close(slave)
            shown = b""
            while shown.count(b"\r\x1b[K") < 4: shown += os.read(master, 4096)
            p.terminate()
            p.wait(60)
            os.close(master)
            drawn = [re.sub(r"\x1b\[\d*m", "", l) for l in shown.decode(errors="ignore").split("\r\x1b[K")[1:-1]]
            self.assertTrue(all(l.startswith("training ") and len(l) < columns for l in drawn), drawn)
            if columns > 20: self.assertRegex(drawn[-1], r"\d/4000 steps, loss .* tokens/s, \w+ left$")

    def test_the_plan_of_a_comparison_shows_its_progress(self):
        wide = "{file: lstm.yaml, set: {model.decoder.hidden_size: 256}}"
        self.write("c.yaml", f"compare: {{name: c, models: {{a: {wide}, b: gpt.yaml}}, budget: {{train_steps: 2}}}}\n")
        try: master, slave = pty.openpty()
        except OSError: self.skipTest("no pseudo-terminals here (a chroot without /dev/pts)")
        r = subprocess.run([RAVEL, "compare", "--dry-run", "c.yaml"], stdout=subprocess.PIPE, stderr=slave,
                           env={**os.environ, "TERM": "xterm"}, timeout=60)
        os.close(slave)
        shown = os.read(master, 4096).decode(errors="ignore")
        os.close(master)
        self.assertEqual(r.returncode, 0, shown)
        self.assertRegex(shown, r"timing .*1/2 models, b, \w+ left")

    def test_a_comparison_of_few_steps(self):
        self.write("warm.yaml",
                   "include: lstm.yaml\ntokenizer: {type: word, vocab_size: 9}\n"
                   "train: {lr_scheduler: {type: linear, warmup_steps: 10}}\n")
        self.write("cmp.yaml",
                   "compare: {name: cmp, models: {a: warm.yaml, b: {file: warm.yaml, set: {tokenizer.type: char}}}, "
                   "seeds: [1, 2], budget: {train_steps: 2}}\n")
        r = ravel("compare", "cmp.yaml", "--dry-run")
        self.check(r, 0,
                   r"(?m)^tokenizer.vocab_size \(warm.yaml:2:25\) is left out: it applies only with tokenizer.type bpe, "
                   r"or with tokenizer.type word$")
        self.assertEqual(len(re.findall(r"train.lr_scheduler.warmup_steps is cut from 10 \(warm.yaml:3:\d+\) to 1: the schedule has 2 steps", r.stderr)), 2)
        notes = beside_unknown(r.stderr)
        self.assertEqual(len(notes), 3, notes)

    def test_progress_of_a_comparison(self):
        self.write("cmp.yaml",
                   "compare: {name: cmp, models: {a: lstm.yaml}, seeds: [1, 2, 3, 4], budget: {train_steps: 2}}\n")
        self.check(ravel("compare", "cmp.yaml", "--cell", "2"), 0)
        try: master, slave = pty.openpty()
        except OSError: self.skipTest("no pseudo-terminals here (a chroot without /dev/pts)")
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, 200, 0, 0))
        p = subprocess.Popen([RAVEL, "compare", "cmp.yaml"], stdout=subprocess.DEVNULL, stderr=slave,
                             env={**os.environ, "TERM": "xterm"})
        os.close(slave)
        shown = b""
        try:
            while more := os.read(master, 4096): shown += more
        except OSError: pass  # the other end is closed
        self.assertEqual(p.wait(60), 0, shown)
        os.close(master)
        ended, bars = 1, 0
        for line in re.split(r"\r\x1b\[K|\r\n", re.sub(r"\x1b\[\d*m", "", shown.decode())):
            ended += bool(re.match(r"cell \d of 4 done", line))
            if not line.startswith("comparing "): continue
            bars += 1
            self.assertRegex(line, r"^comparing .* \d/4 cells, a, seed \d, \w+ left$")
            self.assertGreaterEqual(int(re.search(r"(\d)/4 cells", line)[1]), ended)
        self.assertEqual(ended, 4)
        self.assertGreater(bars, 1)

    def test_early_stopping(self):
        quick = ["train.validate_every=1", "train.optimizer.lr=0", "train.early_stopping={metric: accuracy, patience: 2}", "checkpoint.keep_best=3"]
        self.check(ravel("train", "lstm.yaml", *quick), 0, r"early stopping: accuracy has not improved on 0\.\d+ \(step 1\) in 2 validations", "done: step 3")
        self.assertEqual([set(m) & {"accuracy", "loss", "ppl", "bpc"} for m in metrics("test") if m["kind"] == "valid"][0], {"accuracy", "loss", "ppl"})
        self.check(ravel("train", "lstm.yaml", *quick), 0, "complete: early stopping ended it after step 3", "done: step 3")
        quick[2] = "train.early_stopping={metric: accuracy, patience: 4}"
        self.check(ravel("train", "lstm.yaml", *quick[:3]), 0, "resuming from .* after step 3", "in 4 validations", "done: step 5")
        quick[2] = "train.early_stopping={metric: loss, patience: 2}"
        self.check(ravel("train", "lstm.yaml", *quick[:3]), 0, "watched 'accuracy max', and now 'loss min' decides", "step 6 .*best so far", "done: step 8")
        quick[2] = "train.early_stopping={patience: 0}"
        self.check(ravel("train", "lstm.yaml", "name=none", *quick), 0, "in 1 validations", "done: step 2")

    def test_fewer_best_checkpoints_are_kept(self):
        self.check(ravel("train", "lstm.yaml", "train.validate_every=1", "checkpoint.keep_best=16"), 0)
        self.assertGreaterEqual(len([f for f in os.listdir("runs/test") if f.startswith("step-")]), 16)
        self.check(ravel("train", "lstm.yaml", "train.validate_every=1", "checkpoint.keep_best=1", "train.max_steps=60"), 0, "best.h5")
        self.assertLessEqual(len([f for f in os.listdir("runs/test") if f.startswith("step-")]), 4)

    def test_best_checkpoint_is_shown_again(self):
        self.check(ravel("train", "lstm.yaml"), 0, "best.h5")
        best = os.readlink("runs/test/best.h5")
        os.remove("runs/test/best.h5")  # as after a death between a save and the link
        self.check(ravel("train", "lstm.yaml"), 0, "is complete: it has done 20 of 20 steps", "best validation loss .*best.h5")
        self.assertEqual(os.readlink("runs/test/best.h5"), best)

    def test_another_seed_is_another_run(self):
        self.check(ravel("train", "lstm.yaml"), 0)
        self.check(ravel("train", "lstm.yaml", "seed=2"), 4, r"seed 1 .the experiment says 2.*checkpoint.dir")

    def test_metrics_of_characters(self):
        self.check(ravel("train", "lstm.yaml", "metrics=[bpc]"), 0)
        last = [m for m in metrics("test") if m["kind"] == "valid"][-1]
        self.assertAlmostEqual(last["bpc"], last["loss"] / 0.6931471805599453, delta=1e-6)

    def test_words_are_written_with_spaces(self):
        self.check(ravel("train", "lstm.yaml", "tokenizer.type=word"), 0)
        r = ravel("generate", "runs/test", "--prompt", "to be", "--length", "40")
        self.check(r, 0)
        self.assertLessEqual(set(r.stdout.split()), set("to be or not that is the question.".split()))

    def test_divergence(self):
        self.write("relu.yaml", (BASE % "{decoder: {type: rnn, cell: rnn, nonlinearity: relu, num_layers: 1, hidden_size: 32}}").replace("adam, lr: 1e-2", "sgd, lr: 1e6"))
        r = ravel("train", "relu.yaml", "checkpoint.every=1000")
        self.check(r, 5, r"step \d+ diverged", "lr")
        step = int(re.search(r"step (\d+) diverged", r.stderr)[1])
        if step > 1: self.check(ravel("ckpt", "verify", f"runs/test/step-{step - 1:09d}.h5"), 0)

    def test_full_disk(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (90000, 90000))
        r = subprocess.run([RAVEL, "train", "lstm.yaml"], capture_output=True, text=True, preexec_fn=limit)
        self.check(r, 4, "saving was tried before training: runs/test/.*File too large")
        self.assertFalse(os.path.exists("runs"))
        self.check(ravel("train", "lstm.yaml"), 0, "done: step 20")

    def test_disk_that_fills_up(self):
        command = [RAVEL, "train", "lstm.yaml", "train.max_steps=1000000", "train.log_every=1000", "checkpoint.every=5"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
            for _ in range(600):
                if os.path.exists("runs/test/step-000000005.h5"): break
                time.sleep(0.1)
            resource.prlimit(p.pid, resource.RLIMIT_FSIZE, (90000, 90000))
            out, err = p.communicate(timeout=120)
        self.check(subprocess.CompletedProcess(command, p.returncode, out, err), 4, "failed save 1 of 3",
                   "failed save 2 of 3")
        self.assertFalse([f for f in os.listdir("runs/test") if "tmp" in f])
        self.check(ravel("ckpt", "verify", "runs/test"), 0)

    def test_the_users_files_stay(self):
        self.check(ravel("train", "-q", "lstm.yaml"), 0)
        for name in "try.h5", "try", "notes.tmp-x":
            self.write("runs/test/" + name, name)
        self.write("runs/test/try.tmp-999999.tmp-999999", "of a dead process")
        self.check(ravel("train", "-q", "lstm.yaml", "train.max_steps=30"), 0)
        for name in "try.h5", "try", "notes.tmp-x":
            with open("runs/test/" + name) as f: self.assertEqual(f.read(), name)
        self.assertEqual([f for f in os.listdir("runs/test") if ".tmp-" in f], ["notes.tmp-x"])

    def test_folder_that_cannot_be(self):
        """--dry-run, which makes nothing, tells it, too."""
        for more in [], ["--dry-run"]:
            for folder in "/dev/null/x/y", "text/x", "text":
                self.check(ravel("train", "lstm.yaml", f"checkpoint.dir={folder}", *more), 2,
                           "cannot write in .*Not a directory .choose another checkpoint.dir")
        self.check(ravel("train", "lstm.yaml", "checkpoint.dir=a/b/", "--dry-run"), 0)
        self.assertFalse(os.path.exists("a"))

    def test_forced_instruction_sets(self):
        losses = set()
        for isa in "avx512", "avx2", "base":
            r = ravel("train", "lstm.yaml", "name=" + isa, env={**os.environ, "RAVEL_ISA": isa})
            if r.returncode == 2 and "this CPU has no" in r.stderr: continue
            self.check(r, 0, isa + " kernels")
            losses.add(round(metrics(isa)[-1]["loss"], 2))
        self.assertEqual(len(losses), 1)
        self.check(ravel("doctor", env={**os.environ, "RAVEL_ISA": "mmx"}), 2, "mmx")

    def test_checkpoint_info(self):
        self.check(ravel("train", "-q", "lstm.yaml"), 0)
        info = self.parsed("ckpt", "info", "--json", "runs/test")
        self.assertEqual((info["file"], info["step"]), ("runs/test/step-000000020.h5", 20))
        self.assertEqual(info["bytes"], os.path.getsize(info["file"]))
        sizes = [math.prod(i["shape"]) for i in info["items"] if i["path"].startswith("/model/")]
        self.assertEqual(info["model_parameters"], sum(sizes))
        self.assertIn("/model/decoder.rnn.weight_ih_l0", ravel("ckpt", "info", info["file"]).stdout)
        text = ravel("ckpt", "info", "--text", "/config/resolved", info["file"])
        self.check(text, 0)
        with open("runs/test/experiment.yaml") as f: self.assertEqual(text.stdout, f.read())
        self.check(ravel("ckpt", "info", "--text", "/nothing", "runs/test"), 2, "/nothing")
        self.check(ravel("ckpt", "info", "absent.h5"), 4, "absent.h5")
        self.check(ravel("ckpt", "info"), 2)
        self.check(ravel("ckpt", "infos"), 2, "info")

    def test_checkpoint_verify_diff_average(self):
        self.check(ravel("train", "-q", "lstm.yaml"), 0)
        a, b = "runs/test/step-000000010.h5", "runs/test/step-000000020.h5"
        self.assertEqual([(v["file"], v["verdict"]) for v in self.parsed("ckpt", "verify", "--json", "runs/test")], [(a, "good"), (b, "good")])
        with open(a, "rb") as f: damaged = bytearray(f.read())
        damaged[len(damaged) // 2] ^= 1
        with open("damaged.h5", "wb") as f: f.write(damaged)
        verdicts = self.parsed("ckpt", "verify", "--json", b, "damaged.h5", code=6)
        self.assertEqual([v["verdict"] for v in verdicts], ["good", "bad"])
        self.assertIn("damaged", verdicts[1]["reason"])
        self.check(ravel("ckpt", "verify", "absent.h5"), 4)
        self.check(ravel("ckpt", "diff", a, a), 0)
        self.check(ravel("ckpt", "diff", a, "absent.h5"), 4, "absent.h5")
        self.check(ravel("ckpt", "diff", a), 2, "missing")
        weight, only = "/model/decoder.rnn.weight_hh_l0", ("--json", "--only", "/model")
        whole = {i["path"]: i for i in self.parsed("ckpt", "diff", *only, a, b, code=6)}
        self.assertTrue(all(path.startswith("/model/") for path in whole))
        self.assertGreater(whole[weight]["max_abs"], 0)
        self.check(ravel("ckpt", "average", "mean.h5", a, b), 0)
        self.check(ravel("ckpt", "verify", "mean.h5"), 0)
        for end in a, b:
            half = {i["path"]: i for i in self.parsed("ckpt", "diff", *only, "mean.h5", end, code=6)}
            self.assertAlmostEqual(half[weight]["max_abs"], whole[weight]["max_abs"] / 2, places=6)
        self.check(ravel("ckpt", "average", "mean.h5", a, b), 4, "exists already")
        self.check(ravel("generate", "mean.h5", "--prompt", "to", "--length", "4"), 0)

    def test_config(self):
        self.check(ravel("config", "check", "lstm.yaml", "gpt.yaml"), 0)
        self.write("bad.yaml", BASE.replace("max_steps: 20", "max_stps: 20") % LSTM)
        self.check(ravel("config", "check", "bad.yaml"), 2, r"bad.yaml:6:3.*max_stps.*did you mean 'max_steps'")
        self.check(ravel("config", "check", "absent.yaml"), 2, "absent.yaml")
        merged = ravel("config", "show", "lstm.yaml", "train.max_steps=3")
        self.check(merged, 0)
        self.assertRegex(merged.stdout, r"max_steps: 3\n")
        self.assertNotIn("accumulate", merged.stdout)
        resolved = ravel("config", "show", "--resolved", "lstm.yaml")
        self.assertRegex(resolved.stdout, r"accumulate: 1\n")
        self.write("again.yaml", resolved.stdout)
        self.assertEqual(ravel("config", "show", "--resolved", "again.yaml").stdout, resolved.stdout)
        one = ravel("config", "explain", "train.max_steps")
        self.check(one, 0)
        self.assertIn("default:", one.stdout)
        self.assertIn("max_steps", ravel("config", "explain", "train").stdout)
        self.check(ravel("config", "explain", "train.max_stps"), 2, "did you mean")

    def test_tokenizer(self):
        for kind, more in ("bpe", ["--vocab-size", "270"]), ("word", []), ("char", []), ("byte", []):
            self.check(ravel("tokenizer", "train", "--type", kind, *more, "--out", kind, "text"), 0)
            line = "to be or not\n"
            ids = ravel("tokenizer", "encode", kind, input=line)
            self.check(ids, 0)
            back = ravel("tokenizer", "decode", kind, input=ids.stdout)
            self.check(back, 0)
            self.assertEqual(back.stdout.split(), line.split(), kind)
            text = "to be\n\nor not\nto" # a line for each line; without its end, which --whole has
            lines = ravel("tokenizer", "encode", kind, input=text.replace("\n", "\r\n"))
            self.check(lines, 0)
            self.assertEqual([bool(l) for l in lines.stdout.split("\n")], [True, False, True, True, False], kind)
            self.assertEqual(ravel("tokenizer", "decode", kind, input=lines.stdout).stdout, text + "\n", kind)
            self.assertIn(kind, ravel("tokenizer", "info", kind).stdout)
            whole = ravel("tokenizer", "encode", "--whole", kind, input=text)
            self.assertEqual(whole.stdout.count("\n"), 1)
            self.assertEqual(ravel("tokenizer", "decode", kind, input=whole.stdout).stdout, text + "\n", kind)
        self.assertEqual(ravel("tokenizer", "encode", "--keep-line-ends", "byte", input="a\r\n").stdout, "97 13\n")
        self.assertEqual(ravel("tokenizer", "encode", "--whole", "--keep-line-ends", "byte", input="a\r\n").stdout,
                         "97 13 10\n")
        self.check(ravel("tokenizer", "decode", "byte", input="97\n98 x\n"), 3, "line 2: 'x' at byte 4 is no id")
        self.assertEqual(ravel("tokenizer", "encode", "byte", input="to").stdout.split()[:2], ["116", "111"])
        self.check(ravel("tokenizer", "train", "--type", "bpe", "--vocab-size", "40", "--out", "x", "text"), 2, "at least 256")
        self.check(ravel("tokenizer", "train", "--type", "letters", "--out", "x", "text"), 2, "letters")
        self.check(ravel("tokenizer", "info", "absent"), 3, "absent")
        self.check(ravel("tokenizer", "train", "--out", "x", "absent"), 3, "absent")

    def test_side_of_a_parallel_data_set(self):
        files = {"a.en": "to be or not\n" * 40, "a.fr": "\u00eatre ou non\n" * 50}
        for folder in "sets/two", "cache/two": os.makedirs(folder, exist_ok=True)
        for name, text in files.items(): self.write("cache/two/" + name, text)
        self.write("sets/two/manifest.json", json.dumps({
            "name": "two", "description": "x", "licence": "y", "format": "parallel", "roles": {f"{p}.{n[2:]}": n for n in files for p in ("train", "valid")},
            "files": [{"name": n, "url": "file:", "sha256": "0" * 64, "bytes": len(t.encode())}
                      for n, t in files.items()]}))
        env = {**os.environ, "RAVEL_DATASETS": "sets", "RAVEL_DATA": "cache"}
        data = "data=!replace {dataset: two%s}"
        self.check(ravel("train", "-q", "lstm.yaml", "name=side", data % ", language: fr", env=env), 0)
        self.check(ravel("generate", "runs/side", "--prompt", "\u00ea", env=env), 0)
        self.check(ravel("generate", "runs/side", "--prompt", "T", env=env), 3, "not among")
        self.check(ravel("train", "lstm.yaml", "name=side2", data % "", env=env), 3,
                   "of format parallel.*data.language.*train.en")

    def test_data_make(self):
        sizes = ["--train", "50", "--valid", "7", "--test", "5"]
        for task in "copy", "reverse", "adding", "recall", "dates", "phrases", "lookahead":
            for out in "one", "two": self.check(ravel("data", "make", task, "--out", f"{out}-{task}", *sizes), 0)
            self.check(ravel("data", "make", task, "--out", f"other-{task}", "--seed", "2", *sizes), 0)
            names = sorted(os.listdir(f"one-{task}"))
            self.assertEqual(filecmp.cmpfiles(f"one-{task}", f"two-{task}", names, shallow=False)[0], names)
            self.assertFalse(filecmp.cmp(f"one-{task}/train.tsv", f"other-{task}/train.tsv", shallow=False), task)
        with open("one-dates/train.tsv") as f: lines = f.read().splitlines()
        self.assertEqual(len(lines), 50)
        for l in lines: self.assertRegex(l, r"^.+\t\d{4}-\d\d-\d\d$")
        with open("one-reverse/valid.tsv") as f:
            for l in f.read().splitlines():
                source, target = l.split("\t")
                self.assertEqual(source.split() if " " in source else list(source), (target.split() if " " in target else list(target))[::-1])
        self.check(ravel("data", "make", "nonsense", "--out", "x"), 2, "copy, reverse")
        self.check(ravel("data", "path", "absent"), 3, "absent")

    def test_bench(self):
        b = self.parsed("bench", "--tiny", "rnn_lm", "--json", "-s", "0.05")
        self.assertEqual([w["workload"] for w in b["workloads"]], ["rnn_lm"])
        for key in ("threads", "ms", "ms_p10", "ms_p90", "forward_ms", "backward_ms", "clip_ms", "optimiser_ms", "tokens_per_second", "gflops",
                    "share_of_peak", "peak_mb", "loss", "steps", "parameters"):
            self.assertGreater(b["workloads"][0][key], 0, key)
        self.check(ravel("bench", "nonsense"), 2, "rnn_lm")
        self.check(ravel("bench", "rnn_lm", "--seconds", "never"), 2, "never")

    def test_doctor(self):
        d = self.parsed("doctor", "--json")
        self.assertLessEqual({"versions", "cpu", "threads", "memory", "speed", "warnings"}, set(d))
        self.assertIn(d["cpu"]["instructions"], d["cpu"]["supported"])
        self.assertEqual(d["speed"][0]["threads"], 1)
        plain = ravel("doctor")
        self.check(plain, 0)
        self.assertIn(d["versions"]["hdf5"], plain.stdout)

    def test_regression(self):
        self.write("adding.yaml", """name: adding
task: regression
data: {generator: adding, min_length: 3, max_length: 6, valid_examples: 70, test_examples: 30}
model: {encoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 32}, pooling: mean}
train: {batch: {size: 20}, max_steps: 300, optimizer: {type: adam, lr: 3e-3}, validate_every: 100}
checkpoint: {every: 50}
metrics: [loss, mse]
""")
        self.check(ravel("train", "--dry-run", "adding.yaml"), 0)
        self.check(ravel("train", "adding.yaml", "train.max_steps=100"), 0, "done: step 100")
        self.check(ravel("train", "adding.yaml"), 0, "resuming .* after step 100", "done: step 300, epoch 0")
        self.check(ravel("train", "-q", "adding.yaml", "name=whole"), 0)
        stopped, whole = ([l["loss"] for l in metrics(run)] for run in ("adding", "whole"))
        self.assertEqual(stopped, whole)
        best = min(l["loss"] for l in metrics("adding") if l["kind"] == "valid")
        self.assertLess(best, 0.02) # the mean alone gives 0.167
        for split, n in ("valid", 70), ("test", 30), ("train", 70):
            for size in 20, 7: # a batch is of no influence
                r = ravel("eval", "--json", "--split", split, "runs/adding", f"train.batch.size={size}")
                self.check(r, 0)
                e = json.loads(r.stdout)
                self.assertEqual((e["tokens"], e["mse"]), (n, e["loss"]))
                if split == "valid": self.assertAlmostEqual(e["loss"], best, places=8)
        self.assertRegex(ravel("eval", "runs/adding").stdout, r"(?m)^sequences  70$")
        for args in ["summary", "runs/adding"], ["summary", "adding.yaml"]: self.assertIn("encoder.input", ravel(*args).stdout)
        for args in ["generate", "runs/adding"], ["translate", "runs/adding", "--stdin"], ["eval", "--by-length", "3", "runs/adding"]:
            self.check(ravel(*args, input="x"), 2, "task regression")


unittest.main(verbosity=1)
