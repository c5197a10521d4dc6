"""The validation part of a run, as batches of tensors. ravel itself turns text into tokens (`ravel tokenizer encode`)."""
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata

import h5py
import torch

PAD, BOS, EOS = 0, 1, 2  # a translation's tokenizer has these first


def find_ravel():
    built = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "build", "tools", "ravel")
    return os.path.normpath(built) if os.path.exists(built) else shutil.which("ravel") or "ravel"


def run(command, *args, text=None):
    r = subprocess.run([command, *args], input=text, capture_output=True, encoding="utf-8")
    if r.returncode:
        sys.exit(f"pytorch.py: {command} {' '.join(args)}: {r.stderr.strip()}")
    return r.stdout


def read(path):
    with open(path, "rb") as f:
        raw = f.read()
    return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")


def unify_line_ends(text):
    """As lib/data/text.c does."""
    return re.sub(r"\r+(\n|\Z)", "\n", text)


def size_of(group):
    return int(re.search(rb" tokens=(\d+)\n", group["vocab"][()].tobytes())[1])


def alphabet_size(f):
    """Of an open checkpoint of a tagger; else 0."""
    return size_of(f["tokenizer/letters"]) if "tokenizer/letters" in f else 0


def vocabulary_sizes(f):
    """(source, target) of an open checkpoint: its vocabulary says so in its first line."""
    if "tokenizer" not in f:
        return None
    groups = [f["tokenizer"]] * 2 if "vocab" in f["tokenizer"] else [f["tokenizer/src"], f["tokenizer/tgt"]]
    return [size_of(g) for g in groups]


def class_names(f):
    """Of an open checkpoint of a classification or tagging, in the order of the logits; else none."""
    names = f["tokenizer/classes"][()].tobytes().decode() if "tokenizer/classes" in f else ""
    return names.split("\n")[:-1]


def encode(ravel, path, side, lines):
    """Ids of each line by the tokenizer of a checkpoint, and of its side, src or tgt, if it has two; or by letters. A single line may be
    a text of many."""
    with h5py.File(path) as f, tempfile.TemporaryDirectory() as folder:
        group = f["tokenizer"] if "vocab" in f["tokenizer"] and side != "letters" else f["tokenizer"][side]
        for name in ("vocab", "merges"):
            with open(os.path.join(folder, name), "wb") as out:
                out.write(group[name][()].tobytes())
        if len(lines) == 1:
            return [[int(i) for i in run(ravel, "tokenizer", "encode", "--whole", "--keep-line-ends", folder, text=lines[0]).split()]]
        out = run(ravel, "tokenizer", "encode", folder, text="".join(line + "\n" for line in lines))
    return [[int(i) for i in line.split()] for line in out.split("\n")[:-1]]


def dataset(ravel, settings, role):
    """The file of a role (valid, valid.en) of a run's data set; None if it has none."""
    r = subprocess.run([ravel, "data", "path", settings["data"]["dataset"], role], capture_output=True, encoding="utf-8")
    return r.stdout.strip() if r.returncode == 0 else None


def batches(path, settings, ravel, text=None):
    if text and settings["task"] != "language_model":
        sys.exit(f"pytorch.py: --text is for language models; {path} is of task {settings['task']}")
    make = {"language_model": windows, "translation": pairs, "regression": sequences,
            "classification": texts, "tagging": tagged}[settings["task"]]
    return make(path, settings, ravel, text)


# ---- language models


def validation_text(settings, ravel):
    d = settings["data"]
    whole, valid = d.get("path"), d.get("valid")
    if "dataset" in d:
        whole = dataset(ravel, settings, "text")
        tail = f".{d['language']}" if "language" in d else ""
        valid = next((f for f in (dataset(ravel, settings, "valid" + t) for t in (".text", tail)) if f), None)
        rows = [line.split()[:2] for line in run(ravel, "data", "list").splitlines()]
        if any([d["dataset"], f] in rows for f in ("conllu", "columns", "tsv")):
            sys.exit(f"pytorch.py: {d['dataset']} is no plain text; give its sentences with --text")
    if not (whole or valid):
        sys.exit("pytorch.py: the run has no validation part (data.valid)")
    text = read(whole or valid)
    if d.get("keep_line_ends", "true") == "false":  # runs from before the key kept them
        text = unify_line_ends(text)
    if not whole:
        return text
    held = int(float(d.get("test_fraction", 0)) * len(text))
    return text[int(float(d["train_fraction"]) * len(text)):len(text) - held]


def windows(path, settings, ravel, text):
    """(x, y, whether the state goes on) with y -1 where there is no target: windows of the text, each from a fresh start;
    or, where the run carried its state (train.batch.sampling: contiguous), streams side by side, one for each row."""
    ids = encode(ravel, path, "", [read(text) if text else validation_text(settings, ravel)])[0]
    b = settings["train"]["batch"]
    T, B, targets = int(b["length"]), int(b["size"]), len(ids) - 1
    if b["type"] == "tokens":
        B = max(B // T, 1)
    carried = b["sampling"] == "contiguous"
    if carried:  # equal streams, the first ones longer by one
        begin = [r * (targets // B) + min(r, targets % B) for r in range(B + 1)]
        steps = -(-(begin[1]) // T)
        rows = [[(begin[r] + k * T, begin[r + 1]) for r in range(B)] for k in range(steps)]
    else:
        starts = [(i, targets) for i in range(0, targets, T)]
        rows = [starts[i:i + B] for i in range(0, len(starts), B)]
    for k, batch in enumerate(rows):
        x, y = torch.zeros(len(batch), T, dtype=torch.long), torch.full((len(batch), T), -1)
        for r, (i, end) in enumerate(batch):
            n = max(min(T, end - i), 0)
            x[r, :n], y[r, :n] = torch.tensor(ids[i:i + n]), torch.tensor(ids[i + 1:i + n + 1])
        yield x, y, carried and k > 0


# ---- translation


def lines_of(path):
    lines = unify_line_ends(read(path)).split("\n")
    if not lines[-1]:
        lines.pop()
    return [line if line.strip() else "" for line in lines]


def sentences(settings, ravel):
    """Lists of source and target lines."""
    d = settings["data"]
    ends = [f".{d['src']}", f".{d['tgt']}"] if "src" in d else [""]
    if "dataset" in d:
        files = [dataset(ravel, settings, "valid" + e) for e in ends]
    elif "valid" in d:
        packed = lambda f: f if os.path.exists(f) or not os.path.exists(f + ".gz") else f + ".gz"
        files = [packed(d["valid"] + e) for e in ends]
    else:
        sys.exit("pytorch.py: the run has no validation part (data.valid)")
    sides = [lines_of(f) for f in files]
    columns = [int(c) - 1 for c in d.get("columns", (1, 2))]
    return sides if len(sides) == 2 else [[line.split("\t")[c].strip("\r") for line in sides[0]] for c in columns]


def pairs(path, settings, ravel, _, size=64):
    """(source, its lengths, decoder's input, targets); sentences are cut at data.max_length, and a target that was cut has no
    end to be scored; those of like length go together."""
    most = int(settings["data"]["max_length"])
    sides = zip(("src", "tgt"), sentences(settings, ravel))
    src, tgt = (encode(ravel, path, side, list(lines)) for side, lines in sides)
    src, tgt = [s[:most] + [EOS] for s in src], [t[:most] + [EOS if len(t) <= most else -1] for t in tgt]
    order = sorted(range(len(src)), key=lambda i: (len(src[i]), len(tgt[i])))
    pad = lambda rows, fill: torch.tensor([r + [fill] * (max(map(len, rows)) - len(r)) for r in rows])
    for k in range(0, len(order), size):
        s, t = [src[i] for i in order[k:k + size]], [tgt[i] for i in order[k:k + size]]
        lengths = torch.tensor([len(r) for r in s])
        yield pad(s, PAD), lengths, pad([[BOS] + r[:-1] for r in t], PAD), pad(t, -1)


# ---- classification


def texts(path, settings, ravel, _, size=64):
    """(ids, lengths, classes): 'text TAB class' lines of a validation file; texts are cut at data.max_length."""
    d = settings["data"]
    file = dataset(ravel, settings, "valid") if "dataset" in d else d.get("valid")
    if not file or file.endswith((".csv", ".csv.gz")) or "text_columns" in d or d.get("label_column", "2") != "2":
        sys.exit("pytorch.py: knows validation files of 'text TAB class' lines alone (data.valid, or a data set's)")
    with h5py.File(path) as f:
        names = class_names(f)
    rows = [line.split("\t") for line in lines_of(file) if line]
    ids = [x[:int(d["max_length"])] + [EOS] for x in encode(ravel, path, "", [text for text, _ in rows])]
    for k in range(0, len(rows), size):
        some = ids[k:k + size]
        longest = max(map(len, some))
        x = torch.tensor([r + [PAD] * (longest - len(r)) for r in some])
        y = torch.tensor([names.index(label.strip()) for _, label in rows[k:k + size]])
        yield x, torch.tensor([len(r) for r in some]), y


# ---- tagging

SHAPES = 6  # of words: lower, First, UPPER, miXed, digits, others


def shape_of(word):
    """rv_word_shape of lib/data/words.c"""
    kinds = [unicodedata.category(c) for c in word]
    letters, capitals = sum(k[0] == "L" for k in kinds), sum(k in ("Lu", "Lt") for k in kinds)
    if not letters:
        return 4 if "Nd" in kinds else 5
    first = next(k for k in kinds if k[0] == "L") in ("Lu", "Lt")
    return 0 if not capitals else 1 if first and capitals == 1 else 2 if capitals == letters else 3


def tagged(path, settings, ravel, _, size=16):
    """(ids, lengths, letters, their lengths, shapes, which word each is, tags): of a file with a word, a tab and its tag in
    each line; sentences are cut at data.max_length."""
    d = settings["data"]
    if "valid" not in d or "tag_column" in d or "word_column" in d or d["valid"].endswith((".conllu", ".conllu.gz")):
        sys.exit("pytorch.py: knows validation files of 'word TAB tag' lines alone (data.valid)")
    if settings["tokenizer"]["type"] != "word":
        sys.exit("pytorch.py: knows taggers of whole words alone (tokenizer.type: word)")
    with h5py.File(path) as f:
        names = class_names(f)
    text = unify_line_ends(read(d["valid"])).strip("\n")
    rows = [[line.split("\t") for line in block.split("\n") if line] for block in re.split(r"\n\n+", text)]
    rows = [row[:int(d["max_length"])] for row in rows]
    words = sorted({word for row in rows for word, _ in row})
    place = {word: i for i, word in enumerate(words)}
    ids, spelt = (encode(ravel, path, side, words + words[:1]) for side in ("", "letters"))
    pad = lambda rows, fill: torch.tensor([r + [fill] * (max(map(len, rows)) - len(r)) for r in rows])
    letters = pad(spelt[:-1], PAD), torch.tensor([len(s) for s in spelt[:-1]]), torch.tensor([shape_of(w) for w in words])
    for k in range(0, len(rows), size):
        some = [[place[word] for word, _ in row] for row in rows[k:k + size]]
        y = pad([[names.index(tag) for _, tag in row] for row in rows[k:k + size]], -1)
        lengths = torch.tensor([len(r) for r in some])
        yield pad([[ids[i][0] for i in r] for r in some], PAD), lengths, *letters, pad(some, 0), y


# ---- regression: numbers made as they are needed, after lib/data/adding.c


def philox(counter, key):
    """Philox4x32-10 [Salmon 2011]"""
    a, b, c, d = counter
    k, l = key
    for _ in range(10):
        p, q = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (q >> 32) ^ b ^ k, q & 0xFFFFFFFF, (p >> 32) ^ d ^ l, p & 0xFFFFFFFF
        k, l = (k + 0x9E3779B9) & 0xFFFFFFFF, (l + 0xBB67AE85) & 0xFFFFFFFF
    return a, b, c, d


def halves(n):
    return n & 0xFFFFFFFF, n >> 32


def numbers(seed, stream, step):
    """The 32-bit numbers of (seed, stream, step), lib/base/rng.c."""
    name = 0xCBF29CE484222325
    for byte in stream.encode():
        name = (name ^ byte) * 0x100000001B3 % 2**64
    key = philox((*halves(seed), *halves(name)), (0x72617665, 0x6C))[:2]
    block = 0
    while True:
        yield from philox((*halves(block), *halves(step)), key)
        block += 1


def below(r, n):
    """A whole number in [0, n), all equally likely."""
    limit = 2**64 - 1 - (2**64 - 1) % n
    while True:
        v = next(r) << 32 | next(r)
        if v < limit:
            return v % n


def sequences(path, settings, ravel, _):
    """(pairs of number and mark, lengths, answers)"""
    d = settings["data"]
    least, most, B = int(d["min_length"]), int(d["max_length"]), int(settings["train"]["batch"]["size"])
    examples = []
    for i in range(int(d["valid_examples"])):
        r = numbers(int(d["seed"]), "adding.valid", i)
        n = least + below(r, most - least + 1)
        marked = below(r, n // 2), n // 2 + below(r, n - n // 2)
        x = [[(next(r) >> 8) / 2**24, float(t in marked)] for t in range(n)]
        examples.append((x, x[marked[0]][0] + x[marked[1]][0]))
    for k in range(0, len(examples), B):
        some = examples[k:k + B]
        longest = max(len(x) for x, _ in some)
        padded = torch.tensor([x + [[0.0, 0.0]] * (longest - len(x)) for x, _ in some])
        yield padded, torch.tensor([len(x) for x, _ in some]), torch.tensor([y for _, y in some])
