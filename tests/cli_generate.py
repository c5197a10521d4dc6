#!/usr/bin/env python3
"""Text that `ravel generate` writes, whatever the tokens are made of, and numbers on the command line.   cli_generate.py RAVEL"""
import codecs, os, random, subprocess, tempfile, unittest

from command import RAVEL, Command, ravel

EXPERIMENT = """name: %s
data: {path: %s, train_fraction: 0.8}
tokenizer: %s
model: {decoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 16}, embedding_dim: 8}
train: {batch: {size: 4, length: 8}, max_steps: 20, optimizer: {type: adam, lr: 1e-2}, validate_every: 20}
"""
# One U+FFFD for each byte that is part of no character.
codecs.register_error("each", lambda e: ("\ufffd", e.start + 1))


def raw(*args): return subprocess.run([RAVEL, "generate", *args], capture_output=True)


class Generate(Command):
    @classmethod
    def setUpClass(cls):
        cls.tmp = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.tmp.cleanup)
        cls.addClassCleanup(os.chdir, os.getcwd())
        os.chdir(cls.tmp.name)
        random.seed(3)
        hindi = ["\u0928\u092e\u0938\u094d\u0924\u0947", "\u0926\u0941\u0928\u093f\u092f\u093e", "\U0001f600"]
        texts = {"bytes": " ".join(random.choice(hindi) for _ in range(300)), "one_line": "".join(random.choice("abc ") for _ in range(900)),
                 "rare": " ".join(random.choice(["the", "of", f"once{i}"]) for i in range(900))}
        tokens = {"bytes": "{type: byte}", "one_line": "{type: char}", "rare": "{type: word, min_frequency: 3}"}
        for name, text in texts.items():
            with open(name + ".txt", "w") as f: f.write(text)
            with open(name + ".yaml", "w") as f: f.write(EXPERIMENT % (name, name + ".txt", tokens[name]))
            r = ravel("train", "-q", name + ".yaml")
            assert r.returncode == 0, r.stderr

    def test_every_byte_comes_out(self):
        for args in (["--prompt", "h", "--temperature", "1000", "--length", "30"], ["--prompt", "\u0928", "--length", "62"],
                     ["--prompt", "h", "--length", "1"], ["--prompt", "\u0928", "--temperature", "4", "--length", "400", "--seed", "5"]):
            bare = raw("runs/bytes", "--bytes", *args)
            self.assertEqual(bare.returncode, 0, bare.stderr)
            prompt, length = args[1].encode(), int(args[args.index("--length") + 1])
            self.assertEqual(len(bare.stdout), len(prompt) + length + 1, args)
            shown = raw("runs/bytes", *args)
            self.assertEqual(shown.stdout, bare.stdout.decode(errors="each").encode(), args)
        self.assertIn("\ufffd".encode(), shown.stdout)
        self.assertTrue(any(c in shown.stdout.decode() for c in "\u0928\u092e\u0938"), "no character of several bytes: nothing is shown")

    def test_a_text_begins_without_a_prompt(self):
        r = ravel("generate", "runs/one_line", "--length", "40")
        self.check(r, 0)
        self.assertEqual(len(r.stdout), 1 + 40 + 1) # the first one is drawn from the text
        firsts = {ravel("generate", "runs/one_line", "--length", "1", "--seed", str(s)).stdout[0] for s in range(20)}
        self.assertGreater(len(firsts), 1)
        self.assertLessEqual(firsts, set("abc "))
        os.rename("one_line.txt", "elsewhere")
        self.check(ravel("generate", "runs/one_line"), 3, "without --prompt.*one_line.txt")
        self.check(ravel("generate", "runs/one_line", "--prompt", "a"), 0)
        os.rename("elsewhere", "one_line.txt")

    def test_line_ends_and_byte_order_marks(self):
        """A text of DOS gives the model, the figures and the tokenizer of the same text of Unix, and prompts are read likewise."""
        text = "to be\nor not\n" * 60
        for name, data in {"unix": text.encode(), "dos": ("\ufeff" + text.replace("\n", "\r\n")).encode()[:-1]}.items():
            with open(name + ".txt", "wb") as f: f.write(data)
            self.write(name + ".yaml", EXPERIMENT % (name, name + ".txt", "{type: char}"))
            r = ravel("train", name + ".yaml")
            self.check(r, 0)
            self.assertEqual("dos.txt: 120 line ends" in r.stderr, name == "dos", r.stderr)
            self.check(ravel("tokenizer", "train", "--type", "char", "--out", "tok-" + name, name + ".txt"), 0)
        self.check(ravel("ckpt", "diff", "--only", "/model", "runs/unix", "runs/dos"), 0)
        self.assertEqual(ravel("eval", "runs/unix").stdout, ravel("eval", "runs/unix", "data.path=dos.txt").stdout)
        self.assertEqual(*(ravel("tokenizer", "info", "tok-" + n).stdout for n in ("unix", "dos")))
        self.check(ravel("train", "dos.yaml", "data.keep_line_ends=true", "name=kept", "-q"), 0)
        self.assertNotEqual(ravel("eval", "runs/kept").stdout, ravel("eval", "runs/dos").stdout)
        want = ravel("generate", "runs/unix", "--prompt", "to be\n").stdout
        for args, given in (["--prompt", "\ufeffto be\r\n"], ""), (["--prompt-file", "-"], "\ufeffto be\r\n"), (["--prompt-file", "-"], "to be\r"):
            self.assertEqual(ravel("generate", "runs/unix", *args, input=given).stdout, want, args)

    def test_no_unk(self):
        with_unk, without = (ravel("generate", "runs/rare", "--prompt", "the", "--length", "200", *o).stdout for o in ([], ["--no-unk"]))
        self.assertIn("<unk>", with_unk)
        self.assertNotIn("<unk>", without)
        self.assertEqual(len(without.split()), 201)
        self.assertLessEqual(set(without.split()), {"the", "of"})

    def test_numbers_out_of_range_are_refused(self):
        for bad in "99999999999999999999", "-1", "1.5", "1e3", "", " 1", "+1", "0x10":
            self.check(ravel("generate", "runs/one_line", "--prompt", "a", "--seed", bad), 2, "--seed takes a whole number from 0 to 9223372036854775807")
        for args, option in ((["bench", "--threads", "1,,2"], "--threads"), (["bench", "--threads", "1,"], "--threads"),
                             (["bench", "--threads", "99999999999999999999"], "--threads"), (["bench", "--seconds", "inf"], "--seconds"),
                             (["probe", "runs/one_line", "--length", "99999999999999999999"], "--length"),
                             (["eval", "runs/one_line", "--by-length", "3,2"], "--by-length"), (["eval", "runs/one_line", "--by-length", "3,4,"], "--by-length"),
                             (["report", "runs/one_line", "--bins", "5,99999999999999999999"], "--bins"),
                             (["compare", "x.yaml", "--cell", "99999999999999999999"], "--cell"), (["compare", "x.yaml", "--jobs", ""], "--jobs"),
                             (["translate", "runs/one_line", "--n-best", ""], "--n-best"),
                             (["data", "make", "phrases", "--seed", "99999999999999999999"], "--seed"),
                             (["tokenizer", "train", "rare.txt", "--vocab-size", "99999999999999999999"], "--vocab-size")):
            self.check(ravel(*args), 2, option + " takes ")


if __name__ == "__main__":
    unittest.main(argv=["cli_generate.py"], verbosity=2)
