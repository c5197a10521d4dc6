#!/usr/bin/env python3
"""Joined sentences, to see what length does: from Multi30k, pairs made of 1 to 4 neighbouring pairs.

usage: join.py FOLDER_OF_MULTI30K OUT_FOLDER [SOURCE TARGET]   (default: en fr)

Training and validation: the lines in a fixed random order are cut into groups of 1, 2, 3, 4, 1, 2, ... so each is used
once. Test: every line in groups of 1, then of 2, of 3 and of 4, in the order of the file."""
import gzip
import os
import random
import sys

PARTS = {"train": "train", "valid": "val", "test": "test_2016_flickr"}


def lines(folder, name, language):
    path = os.path.join(folder, f"{name}.{language}")
    f = open(path, encoding="utf-8") if os.path.exists(path) else gzip.open(path + ".gz", "rt", encoding="utf-8")
    with f:
        return f.read().split("\n")[:-1]


def mixed(pairs):
    random.Random(1).shuffle(pairs)
    size, at = 1, 0
    while at + size <= len(pairs):
        yield pairs[at : at + size]
        at, size = at + size, size % 4 + 1


def all_sizes(pairs):
    for size in range(1, 5):
        for at in range(0, len(pairs) - size + 1, size):
            yield pairs[at : at + size]


def main():
    if len(sys.argv) not in (3, 5):
        sys.exit(__doc__)
    folder, out = sys.argv[1:3]
    languages = sys.argv[3:5] or ["en", "fr"]
    if not os.path.isdir(folder):
        sys.exit(f"{folder} is not there; get it first: ravel data get multi30k")
    os.makedirs(out, exist_ok=True)
    for part, name in PARTS.items():
        pairs = list(zip(*(lines(folder, name, language) for language in languages)))
        groups = list((all_sizes if part == "test" else mixed)(pairs))
        for side, language in enumerate(languages):
            with open(os.path.join(out, f"{part}.{language}"), "w", encoding="utf-8") as f:
                for group in groups:
                    f.write(" ".join(pair[side].strip() for pair in group) + "\n")
        print(f"{part}: {len(pairs)} pairs became {len(groups)}")


main()
