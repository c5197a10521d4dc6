#!/usr/bin/env python3
"""What is no regular file as data: read, or refused with one line; nothing hangs silently.

    pipes.py RAVEL"""
import os, signal, socket, subprocess, sys, tempfile, threading, time, unittest

from command import BASE, LSTM, RAVEL, Command, ravel

TEXT = "the quick brown fox jumps over the lazy dog. " * 40
PAIRS = "".join(f"{w} {w[::-1]}\t{w[::-1]}\n" for w in ("ab", "bc", "cd", "de", "ef", "fa", "abc", "bcd"))
TRANSLATION = """name: pairs
task: translation
data: {train: pairs, valid: pairs}
tokenizer: {type: char}
model: {encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 8}, decoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 8}}
train: {batch: {type: sequences, size: 4}, max_steps: 2, optimizer: {type: adam, lr: 1e-2}, validate_every: 2}
"""


def bash(command, **kw):
    return subprocess.run(["bash", "-c", command, "bash", RAVEL], capture_output=True, text=True, timeout=60, **kw)


class Pipes(Command):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        os.chdir(self.folder.name)
        self.write("text", TEXT)
        self.write("pairs", PAIRS)
        self.write("run.yaml", BASE.replace("max_steps: 20", "max_steps: 4").replace("_every: 10", "_every: 4") % LSTM)
        self.write("pairs.yaml", TRANSLATION)

    def tearDown(self):
        os.chdir("/")
        self.folder.cleanup()

    def loss(self, run, *data):
        return self.parsed("eval", "--json", run, *data)["loss"]

    def test_process_substitution(self):
        self.check(ravel("train", "run.yaml", "checkpoint.dir=file"), 0)
        self.check(bash('"$1" train run.yaml data.path=<(cat text) checkpoint.dir=pipe'), 0, "gives its text once")
        self.check(ravel("ckpt", "diff", "--only", "/model", "file", "pipe"), 0)
        self.check(ravel("eval", "pipe"), 3, r"/dev/fd/\d+: was a pipe of a command that has ended; keep the text in a file")
        self.check(ravel("train", "run.yaml", "checkpoint.dir=pipe", "train.max_steps=8", "data.path=/dev/fd/63"), 3, "was a pipe")
        self.assertEqual(self.loss("pipe", "data.path=text"), self.loss("file"))
        self.check(bash('"$1" train run.yaml data.path=<(cat text) checkpoint.dir=pipe train.max_steps=8'), 0, "resum|continu|going on|step 4")
        self.check(bash('"$1" train run.yaml data.path=<(tac -s. text) checkpoint.dir=pipe train.max_steps=9'), 4, "trained on other data")

    def test_packed_in_a_pipe(self):
        self.check(ravel("train", "run.yaml", "checkpoint.dir=file"), 0)
        self.check(bash('"$1" train run.yaml data.path=<(gzip < text) checkpoint.dir=pipe'), 0)
        self.check(ravel("ckpt", "diff", "--only", "/model", "file", "pipe"), 0)

    def test_standard_input(self):
        self.check(ravel("train", "run.yaml", "checkpoint.dir=file"), 0)
        for i, command in enumerate(('cat text | "$1" train', '"$1" train < text')):
            command = command.replace("train", f"train run.yaml data.path=/dev/stdin checkpoint.dir=stdin{i}")
            self.check(bash(command), 0, "gives its text once")
            self.check(ravel("ckpt", "diff", "--only", "/model", "file", f"stdin{i}"), 0)
        self.check(ravel("eval", "stdin0", stdin=subprocess.DEVNULL), 3, "training text is empty")
        a, b = socket.socketpair()
        with a, b:  # as some programs start others
            a.sendall(TEXT.encode())
            a.shutdown(socket.SHUT_WR)
            self.check(ravel("train", "run.yaml", "data.path=/dev/stdin", "checkpoint.dir=socket", stdin=b.fileno()), 0)

    def test_fifo_with_a_late_writer(self):
        os.mkfifo("fifo")
        def write():
            time.sleep(3)
            with open("fifo", "w") as f: f.write(TEXT)
        writer = threading.Thread(target=write)
        writer.start()
        r = ravel("train", "run.yaml", "data.path=fifo", "checkpoint.dir=fifo-run")
        writer.join()
        self.check(r, 0, "fifo: waiting for text that another program is to write")
        self.check(ravel("train", "run.yaml", "checkpoint.dir=file"), 0)
        self.check(ravel("ckpt", "diff", "--only", "/model", "file", "fifo-run"), 0)

    def test_fifo_without_a_writer(self):
        os.mkfifo("fifo")
        p = subprocess.Popen([RAVEL, "train", "run.yaml", "data.path=fifo"], stderr=subprocess.PIPE, text=True)
        limit = threading.Timer(30, p.kill)
        limit.start()
        with p.stderr:
            for line in p.stderr:
                if "waiting" in line: break
            else: self.fail("it does not say that it waits")
            p.send_signal(signal.SIGINT)
            self.assertEqual(p.wait(), -signal.SIGINT)
        limit.cancel()

    def test_the_same_pipe_twice(self):
        with open("run.yaml") as f: self.write("parts.yaml", f.read().replace("path: text", "train: text, valid: text"))
        self.check(ravel("train", "parts.yaml"), 0)
        for parts in "parts", "pairs":
            command = f'cat {"text" if parts == "parts" else parts} | "$1" train {parts}.yaml data.train=/dev/stdin data.valid=/dev/stdin checkpoint.dir=twice'
            self.check(bash(command), 3, "/dev/stdin: is named for two parts of the data, but gives its text once")

    def test_what_gives_no_text(self):
        os.mkdir("folder")
        with socket.socket(socket.AF_UNIX) as s:
            s.bind("socket")
            for path, why in {"folder": "is a folder", "socket": "is a socket", "/dev/zero": "is a device",
                              "/dev/null": "training text is empty", "absent": "cannot open", "/dev/fd/987": "was a pipe"}.items():
                r = ravel("train", "run.yaml", f"data.path={path}")
                self.check(r, 3, why)
                self.assertEqual(len([l for l in r.stderr.splitlines() if l.startswith("ravel: " + path)]), 1, r.stderr)

    def test_translation(self):
        self.check(ravel("train", "pairs.yaml", "checkpoint.dir=file"), 0)
        self.check(bash('"$1" train pairs.yaml data.train=<(cat pairs) checkpoint.dir=pipe'), 0, "gives its text once")
        self.check(ravel("ckpt", "diff", "--only", "/model", "file", "pipe"), 0)
        self.write("in", "ab bc\ncd\n")
        want = ravel("translate", "file", "--input", "in").stdout
        self.assertEqual(want.count("\n"), 2)
        for command in ('--input <(cat in)', '--input - < in', '--input /dev/stdin < in', '--stdin < in'):
            self.assertEqual(bash(f'"$1" translate file {command}').stdout, want, command)
        self.check(bash('"$1" translate file --input -  < /dev/null'), 0)
        self.check(bash('"$1" translate file --stdin < .'), 3, "cannot read standard input: Is a directory")
        self.check(bash('"$1" translate file --input /dev/zero'), 3, "is a device")

    def test_tokenizer(self):
        self.check(bash('"$1" tokenizer train --type char --out tok <(cat text)'), 0)
        want = ravel("tokenizer", "encode", "tok", "text").stdout
        for command in ('<(cat text)', '< text', '/dev/stdin < text', '<(head -c 100 text) <(tail -c +101 text)'):
            self.assertEqual(bash(f'"$1" tokenizer encode tok {command}').stdout, want, command)
        self.check(bash('"$1" tokenizer encode tok < .'), 3, "is a folder")
        self.check(bash('"$1" tokenizer encode tok < /dev/null'), 0)


if __name__ == "__main__":
    unittest.main()
