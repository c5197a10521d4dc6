#!/usr/bin/env python3
"""The texts of runs-1: sentences of a small grammar and their word by word translations, adjectives behind their noun,
letters with the same backwards, sentences with what they are about, and with their phrases.   data.py FOLDER"""
import os, random, sys

draw = random.Random(17)
EN = "the a red small old dog cat bird man sees finds likes here now".split()
FR = dict(zip(EN, "le un rouge petit vieux chien chat oiseau homme voit trouve aime ici maintenant".split()))
ARTICLES, ADJECTIVES, NOUNS, VERBS, ADVERBS = EN[:2], EN[2:5], EN[5:9], EN[9:12], EN[12:]


def noun():
    return [draw.choice(ARTICLES)] + ([draw.choice(ADJECTIVES)] if draw.random() < 0.5 else []) + [draw.choice(NOUNS)]


def sentence(name=None):
    words = noun() + [draw.choice(VERBS)] + ([name] if name else noun())
    words += [draw.choice(ADVERBS)] if draw.random() < 0.3 else []
    order, i = [], 0
    while i < len(words):
        n = 2 if words[i] in ADJECTIVES else 1
        order += words[i:i + n][::-1]
        i += n
    return " ".join(words), " ".join(FR.get(w, w) for w in order)


os.chdir(sys.argv[1])
names = ["Anna", "Bob", "Élise", "Max", "Zoë", "Ида"]  # each is in one sentence: a rare word
for part, n in ("train", 64), ("valid", 8):
    pairs = [sentence(names.pop(0) if names and i % 10 == 5 and part == "train" else None) for i in range(n)]
    for side, k in ("en", 0), ("fr", 1):
        with open(f"{part}.{side}", "w") as f: f.write("\n".join(p[k] for p in pairs) + "\n")
for name, n in ("text.txt", 70), ("valid.txt", 12):
    text = "".join(sentence()[0] + draw.choice([".\n", ", ", "; ", ". "]) for _ in range(n))
    with open(name, "w") as f: f.write(text)
with open("pairs.tsv", "w") as f:
    for _ in range(70):
        word = "".join(draw.choice("abcdef") for _ in range(draw.randint(2, 9)))
        f.write(f"{word}\t{word[::-1]}\n")
draw.seed(18)
with open("rows.tsv", "w") as f:
    for _ in range(90):
        text = sentence()[0]
        about = [word for word in text.split() if word in NOUNS][-1]
        f.write(f"{text}\t{'person' if about == 'man' else about}\n")
draw.seed(19)
with open("phrases.tsv", "w") as f:
    for i in range(90):
        words, inside = sentence("Bob" if i == 40 else None)[0].split(), False
        for word in [words[0].capitalize()] + words[1:]:
            of_noun = word == "Bob" or word.lower() in ARTICLES + ADJECTIVES + NOUNS
            begins = not inside or word == "Bob" or word.lower() in ARTICLES
            verb = word in VERBS and draw.random() < 0.7  # so that not all is sure
            f.write(f"{word}\t{('B-NP' if begins else 'I-NP') if of_noun else 'B-VP' if verb else 'O'}\n")
            inside = of_noun
        f.write("\n")
