#!/usr/bin/python3
"""Random taggings, counted by the rules of conlleval: tests/reference/spans.h5.

    /usr/bin/python3 tests/reference/make_spans.py [CONLLEVAL]

conlleval [Tjong Kim Sang 2004, www.clips.uantwerpen.be/conll2000/chunking] goes through both taggings at once and asks
at each word whether a chunk ends before it and whether one begins, by tables of the tags (prefix and type) before and
at it. Its tables are here as they are published; ENDS_IOBES and STARTS_IOBES are those of conlleval.py [Pyysalo], which
add S and what may come after E. With the path of the script itself, a Perl program, its totals of the schemes that it
knows are compared, too.

For SCHEME in bio, iob1, bioes:
    /SCHEME/{gold,told}     (words) indices into TAGS[SCHEME]; one half of the sentences keep to the scheme
    /SCHEME/at              (sentences + 1) the first word of each
    /SCHEME/counts          (sentences, 3) gold, told, right
    /SCHEME/types           (types, 3) the same of all sentences by type, as TYPES
    /SCHEME/malformed       (sentences) places where `told` breaks the scheme
"""
import os
import random
import re
import subprocess
import sys

import h5py
import numpy as np

TYPES = ["LOC", "MISC", "PER-X"]
PREFIXES = {"bio": "BI", "iob1": "BI", "bioes": "BEIS"}
TAGS = {s: [f"{p}-{t}" for p in ps for t in TYPES] + ["O"] for s, ps in PREFIXES.items()}
SENTENCES, LONGEST = 700, 14

# Prefixes before and at a word, of the same type. "*" is any.
ENDS = "BB BO IB IO EE EI EO"
STARTS = "BB IB OB OI EE EI OE OI"
ENDS_IOBES = ENDS + " E* S* BS IS"
STARTS_IOBES = STARTS + " *B *S SE SI"


def split(tag):
    m = re.match("([^-]*)-(.*)$", tag)
    return m.groups() if m else (tag, "")


def in_table(table, before, at):
    return any(a in ("*", before) and b in ("*", at) for a, b in table.split())


def ends(table, before, at):
    return in_table(table, before[0], at[0]) or before[0] not in "O." and before[1] != at[1]


def starts(table, before, at):
    return in_table(table, before[0], at[0]) or at[0] not in "O." and before[1] != at[1]


def count(scheme, gold, told, by_type):
    """Gold, told and right chunks of one sentence; by_type[type] is added to."""
    end, start = (ENDS_IOBES, STARTS_IOBES) if scheme == "bioes" else (ENDS, STARTS)
    total, inside = np.zeros(3, int), False
    last = [("O", ""), ("O", "")]

    def add(k, kind):
        total[k] += 1
        by_type[TYPES.index(kind), k] += 1

    for tags in list(zip(gold, told)) + [("O", "O")]:  # a blank line ends every chunk
        now = [split(t) for t in tags]
        ended = [ends(end, b, a) for b, a in zip(last, now)]
        started = [starts(start, b, a) for b, a in zip(last, now)]
        if inside:
            if all(ended) and last[0][1] == last[1][1]:
                inside = False
                add(2, last[0][1])
            elif ended[0] != ended[1] or now[0][1] != now[1][1]:
                inside = False
        if all(started) and now[0][1] == now[1][1]:
            inside = True
        for k in range(2):
            if started[k]:
                add(k, now[k][1])
        last = now
    return total


def keeps(scheme, before, at):
    """Whether a careful writer puts `at` behind `before`; None is outside of the sentence."""
    (p, x), (q, y) = split(before or "O"), split(at or "O")
    if scheme == "bioes":
        return p + q in "OO OB OS EO EB ES SO SB SS".split() or p + q in "BI BE II IE".split() and x == y
    if scheme == "bio":
        return p + q in "OO OB BO BB IO IB".split() or p + q in "BI II".split() and x == y
    return p + q in "OO OI BO IO BI II".split() or p + q in "IB BB".split() and x == y


def draw(rng, scheme, n, neat):
    while True:
        tags = []
        for _ in range(n):
            last = tags[-1] if tags else None
            tags.append(rng.choice([t for t in TAGS[scheme] if not neat or keeps(scheme, last, t)]))
        if not neat or not n or keeps(scheme, tags[-1], None):
            return tags


def compare_script(script, gold, told, total):
    lines = "".join("".join(f"w {g} {t}\n" for g, t in zip(a, b)) + "\n" for a, b in zip(gold, told))
    out = subprocess.run(["perl", script], input=lines, capture_output=True, text=True, check=True).stdout
    found = re.search(r"with (\d+) phrases; found: (\d+) phrases; correct: (\d+)", out)
    assert [int(x) for x in found.groups()] == list(total), (out, total)


def main():
    rng = random.Random(11)
    out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "spans.h5")
    with h5py.File(out, "w", libver="latest") as f:
        for scheme, tags in TAGS.items():
            gold, told, counts, malformed = [], [], [], []
            by_type = np.zeros((len(TYPES), 3), int)
            for i in range(SENTENCES):
                g = draw(rng, scheme, rng.randint(0, LONGEST), i % 2)
                other = draw(rng, scheme, len(g), i % 2)
                cut = rng.randint(0, len(g))  # alike up to there, or from there on
                t = g[:cut] + other[cut:] if rng.random() < 0.5 else other[:cut] + g[cut:]
                gold.append(g)
                told.append(t)
                counts.append(count(scheme, g, t, by_type))
                malformed.append(sum(not keeps(scheme, a, b) for a, b in zip([None] + t, t + [None])))
            if len(sys.argv) > 1 and scheme != "bioes":
                compare_script(sys.argv[1], gold, told, np.sum(counts, 0))
            for name, rows in ("gold", gold), ("told", told):
                f.create_dataset(f"{scheme}/{name}", data=np.array([tags.index(t) for r in rows for t in r], np.int8))
            f[f"{scheme}/at"] = np.cumsum([0] + [len(g) for g in gold]).astype(np.int16)
            f[f"{scheme}/counts"] = np.array(counts, np.int8)
            f[f"{scheme}/types"] = by_type.astype(np.int16)
            f[f"{scheme}/malformed"] = np.array(malformed, np.int8)
            print(scheme, np.sum(counts, 0), "malformed", sum(malformed))


if __name__ == "__main__":
    main()
