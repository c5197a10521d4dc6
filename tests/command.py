"""What tests of the command share: running it, and looking at what it says. The test script's first argument is the command."""
import json, os, random, re, subprocess, sys, tempfile, unittest

RAVEL = os.path.abspath(sys.argv.pop(1))
LSTM = "{decoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 32}, embedding_dim: 16}"
BASE = """name: test
data: {path: text}
model: %s
train:
  batch: {size: 4, length: 16}
  max_steps: 20
  optimizer: {type: adam, lr: 1e-2}
  validate_every: 10
checkpoint: {every: 10}
"""


def ravel(*args, **kw):
    return subprocess.run([RAVEL, *args], capture_output=True, text=True, errors="replace", timeout=120, **kw)


def beside_unknown(stderr):
    """What is said, but for the share of unknown words: the cut into parts goes through a word."""
    return [line for line in stderr.splitlines() if not re.fullmatch(r"\w+ part: .* of the tokens are <unk> .*", line)]


class Command(unittest.TestCase):
    def write(self, name, text):
        with open(name, "w") as f: f.write(text)

    def check(self, result, code, *patterns):
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        for p in patterns: self.assertRegex(result.stderr, p)
        if code: self.assertLessEqual(sum(l.startswith("ravel: ") for l in result.stderr.splitlines()), 1, "one error, not several: " + result.stderr)

    def parsed(self, *args, code=0):
        r = ravel(*args)
        self.check(r, code)
        return json.loads(r.stdout)


class InAFolder(Command):
    """Each test begins in an empty folder of its own."""
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder.name)


class WithText(InAFolder):
    """With a text and an LSTM's experiment in it."""
    def setUp(self):
        super().setUp()
        random.seed(2)
        phrases = ["to be ", "or not ", "that is\n", "the question. "]
        self.write("text", "".join(random.choice(phrases) for _ in range(600)))
        self.write("lstm.yaml", BASE % LSTM)
