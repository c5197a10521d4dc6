"""Documents such as report.json holds them (lib/compare/README.md), for drawing pages: made-up numbers, every part."""
import math, random


def curve(rng, start, end, speed, n, steps):
    xs = [steps * (i + 1) // n for i in range(n)]
    ys = [end + (start - end) * math.exp(-speed * x / steps) * (1 + 0.03 * rng.gauss(0, 1)) for x in xs]
    return xs, ys


def quality(rng, models, setting, metric, higher, values, spread, verdicts=None):
    rows = []
    for m, v in zip(models, values):
        each = [v + rng.gauss(0, spread / 2) for _ in range(3)]
        mean = sum(each) / 3
        rows.append({"model": m, "value": mean, "low": mean - spread, "high": mean + spread, "per_seed": each})
    pairs = []
    for i in range(len(models)):
        for j in range(i):
            d = rows[j]["value"] - rows[i]["value"]
            low, high = d - 1.4 * spread, d + 1.4 * spread
            good = (lambda x: x > 0) if higher else (lambda x: x < 0)
            verdict = "not distinguishable" if low < 0 < high else "a" if good(d) else "b"
            pairs.append({"a": models[j], "b": models[i], "difference": d, "low": low, "high": high, "p": 0.21 if low < 0 < high else 0.0004,
                          "verdict": verdict, "why": "", "seeds_needed": 12 if low < 0 < high else None})
    return {"setting": setting, "metric": metric, "higher_is_better": higher, "level": 0.95, "models": rows, "pairs": pairs}


def full(settings=("",), models=("bottleneck", "bahdanau", "transformer"), times=True, seeds=(1, 2, 3)):
    rng = random.Random(7)
    models, seeds = list(models), list(seeds)
    r = {"format": "ravel-report 1", "name": "recurrence-vs-attention", "models": models, "settings": list(settings), "seeds": seeds}
    if times:
        r["machine"] = {"cpu": "AMD EPYC 9B45", "cores": 2, "memory_bytes": 8.1e9, "isa": "avx512", "system": "Linux 6.1 x86_64", "ravel": "0.5.0"}
    r["reproduce"] = ["ravel compare experiments/quickstart/compare.yaml"]
    pick = lambda *v: [v[i % len(v)] for i in range(len(models))]
    r["differences"] = [{"key": "model.encoder.type", "values": pick("rnn", "rnn", "transformer")},
                        {"key": "model.encoder.bidirectional", "values": pick(False, True, None)},
                        {"key": "model.encoder.hidden_size", "values": pick(140, 116, 96)},
                        {"key": "model.attention.type", "values": pick(None, "bahdanau", None)},
                        {"key": "model.encoder.num_heads", "values": pick(None, None, 4)},
                        {"key": "train.optimizer.lr", "values": pick(0.003, 0.003, 0.001)},
                        {"key": "train.optimizer.betas", "values": pick([0.9, 0.98], [0.9, 0.98], [0.9, 0.999])}]
    r["match"] = {"by": "parameters", "tolerance": 0.02, "reference": models[0],
                  "models": [{"model": m, "parameters": 204812 + 300 * i, "embedding_parameters": 8192 - 512 * i, "flops_per_token": 1.23e6 * (1 + i / 5),
                              "value": 196620 + 812 * i, "off": 0.0041 * i, "met": True, "widths": {"model.encoder.hidden_size": 140 - 22 * i}} for i, m in enumerate(models)]}
    r["budget"] = {"unit": "tokens", "amount": 5000000, "equal": True, "models": [{"model": m, "steps": 1220 + i, "tokens": 5000200 + 31 * i} for i, m in enumerate(models)]}
    r["tuning"] = {"steps": 300, "equal": True, "models": [{"model": m, "lr": [3e-3, 3e-3, 1e-3][i % 3], "tried": [
        {"lr": 3e-4, "loss": 1.2 - i / 9, "diverged": False}, {"lr": 1e-3, "loss": 0.8 - i / 9, "diverged": False},
        {"lr": 3e-3, "loss": None if i == 2 else 0.7 - i / 9, "diverged": i == 2}]} for i, m in enumerate(models)]}
    r["runs"], r["curves"], r["time_to"] = [], [], {"metric": "loss", "threshold": 0.1, "rows": []}
    r["quality"], r["by_length"], r["samples"], r["attention"], r["gradient_flow"] = [], [], [], [], []
    number = 0
    for si, setting in enumerate(settings):
        for mi, m in enumerate(models):
            for s in seeds:
                number += 1
                bad = mi == 0 and s == seeds[-1] and si == len(settings) - 1 and len(seeds) > 1
                r["runs"].append({"cell": number, "model": m, "setting": setting, "seed": s, "path": f"runs/recurrence-vs-attention/cells/{m}-s{s}",
                                  "status": "diverged" if bad else "done", "message": "loss is NaN at step 410; a lower learning rate helps" if bad else None,
                                  "step": 410 if bad else 1220, "tokens": 5000200, "flops": 6.2e12 * (1 + mi),
                                  "test": {} if bad else {"loss": 0.21 - mi * .09, "exact": .71 + .1 * mi, "bleu": 61.3 + 9 * mi},
                                  "valid": {"loss": 0.20 - mi * .09}})
                if times: r["runs"][-1]["time"] = {"seconds": 61.2 + 8 * mi + s, "tokens_per_second": 81231.2 - 9000 * mi, "peak_bytes": 1.3e8}
                solved = mi > 0 and (si < 2 or mi > 1)
                r["time_to"]["rows"].append({"setting": setting, "model": m, "seed": s, "step": 300 * (3 - mi % 3) * (si + 1) + 20 * s if solved else None,
                                             "tokens": 1e6 if solved else None, "best": 0.02 if solved else 0.19})
        for part, n in (("valid", 24), ("train", 60)):
            series = []
            for mi, m in enumerate(models):
                xs, ys = curve(rng, 3.4, [0.2, 0.012, 0.02, 0.05][mi % 4] * (si + 1), 5 + 2 * mi, n, 1220)
                one = {"model": m, "seeds": len(seeds), "step": xs, "tokens": [4098 * x for x in xs], "flops": [5e9 * (1 + mi / 3) * x for x in xs],
                       "mean": ys, "low": [y * .9 for y in ys], "high": [y * 1.12 for y in ys]}
                if times: one["seconds"] = [x * 0.05 * (1 + mi / 4) for x in xs]
                series.append(one)
            r["curves"].append({"setting": setting, "metric": "loss", "part": part, "series": series})
        r["curves"].append({"setting": setting, "metric": "accuracy", "part": "valid", "series": [
            dict(s, mean=[1 - y / 4 for y in s["mean"]], low=[1 - y / 3.6 for y in s["mean"]], high=[1 - y / 4.4 for y in s["mean"]])
            for s in r["curves"][-2]["series"]]})
        drop = 0.12 * si
        r["quality"] += [quality(rng, models, setting, "loss", False, [0.213 + drop, 0.034 + drop / 4, 0.031, 0.1][:len(models)], 0.008),
                         quality(rng, models, setting, "exact", True, [0.713 - drop, 0.951 - drop / 4, 0.958, .8][:len(models)], 0.011),
                         quality(rng, models, setting, "bleu", True, [61.3, 76.1, 76.4, 70][:len(models)], 0.9)]
        edges = [(0, 10), (11, 20), (21, 30), (31, None)]
        rows = []
        for mi, m in enumerate(models):
            v = [[.97, .81, .52, .31], [.98, .97, .94, .91], [.99, .98, .95, .88], [.9, .9, .8, .8]][mi % 4]
            v = [x - drop / 3 for x in v]
            e = [.01, .015, .03, .06]
            rows.append({"model": m, "examples": [412, 388, 154, 46], "value": v, "low": [a - b for a, b in zip(v, e)], "high": [min(1, a + b) for a, b in zip(v, e)]})
        r["by_length"].append({"setting": setting, "metric": "exact", "unit": "tokens", "bins": [{"from": a, "to": b} for a, b in edges], "models": rows})
        texts = [("Monday, 3 May 1993", "1993-05-03"), ("the 17th of September 94", "1994-09-17"), ("12.1.2001", "2001-01-12"), ("1 apr 2010", "2010-04-01")]
        for i, (source, ref) in enumerate(texts):
            r["samples"].append({"setting": setting, "i": i, "source": source, "reference": ref, "outputs": [
                {"model": m, "text": ref if mi or i % 2 else ref[:-1] + "8", "exact": bool(mi or i % 2)} for mi, m in enumerate(models)]})
        for i, (source, ref) in enumerate(texts[:2]):
            for m in models[1:]:
                src, tgt = list(source.replace(" ", "_")) + ["<eos>"], list(ref) + ["<eos>"]
                w = [[math.exp(-abs(t * len(src) / len(tgt) - s) / 1.3) for s in range(len(src))] for t in range(len(tgt))]
                r["attention"].append({"setting": setting, "model": m, "seed": seeds[0], "i": i, "source": src, "target": tgt,
                                       "weights": [[x / sum(row) for x in row] for row in w]})
        for mi, m in enumerate(models):
            kinds = [("encoder.l0.h", "hidden", 3.2), ("encoder.l0.c", "cell", 5.9)] if mi == 0 else [("encoder.l0.h", "hidden", 9.0)] if mi == 1 else \
                [(f"encoder.layers.{k}", "stream", None) for k in range(3)]
            for state, kind, half in kinds:
                for when, slower in (("before", 1), ("after", 4)):
                    lag = list(range(0, 30))
                    h = half and half * slower
                    norm = [0.9 * 2 ** (-k / h) if h else 0.03 + 0.01 * (k % 3) for k in lag]
                    r["gradient_flow"].append({"setting": setting, "model": m, "when": when, "loss": "the loss of the whole target", "state": state, "kind": kind, "lag": lag,
                                               "norm": norm, "low": [x * .8 for x in norm], "high": [x * 1.2 for x in norm], "half_life": h})
    if times: r["cost"] = cost(models, rng)
    return r


def tagged(models=("softmax", "crf"), settings=("",)):
    """Of taggers: no texts, no attention, and the parts that they alone have."""
    r, tags, words = full(settings, models), ["ADJ", "B2", "C3", "NOUN", "D4"], ["a", "red", "house", ",", "there"]
    for part in "samples", "attention", "confusion": r.pop(part, None)
    sentence = lambda setting, i: {"setting": setting, "i": i, "source": " ".join(words), "reference": " ".join(tags),
                                   "right": [5, 3], "outputs": [
        {"model": m, "text": " ".join(tags if k == 0 else tags[2:] + tags[:2]), "exact": k == 0}
        for k, m in enumerate(models[:2])]}
    recall = {"words": [90, 70, 40, 9, 0]}
    recall["models"] = [{"model": m, "value": [0.9, 0.8, 0.7 + k / 9, 0.6, None], "low": [0.8, 0.7, 0.6, None, None],
                         "high": [0.95, 0.9, 0.9, None, None]} for k, m in enumerate(models)]
    step = lambda i, k: None if i == k == len(tags) or (i, k) == (1, 2) else (i - k) / 2
    each = lambda make: [make(setting) for setting in settings]
    r["confusion"] = [{"setting": s, "model": m, "of": "words", "seeds": 3, "classes": tags,
                       "counts": [[30 if a == b else (a + b) % 3 for a in range(5)] for b in range(5)]}
                      for s in settings for m in models]
    r["samples"] = [sentence(s, i) for s in settings for i in range(2)]
    r["by_tag"] = each(lambda s: {"setting": s, "tags": tags, **recall})
    r["by_number"] = each(lambda s: {"setting": s, "numbers": [2, 3, 4, 5, 6], **recall})
    r["disagreements"] = each(lambda s: {"setting": s, "a": models[0], "b": models[1], "sentences": [sentence(s, 7)]})
    r["transitions"] = [{"setting": s, "model": m, "seed": 1, "tags": tags, "kind": ["scores", "probabilities"][k % 2],
                         "values": [[step(a, b) for b in range(6)] for a in range(6)]}
                        for s in settings for k, m in enumerate(models)]
    return r


def cost(models, rng):
    rows, fits, crossings, serial = [], [], [], []
    for mi, m in enumerate(models):
        for phase, factor in (("forward", 1), ("backward", 2.1), ("train", 3.1), ("decode", 6)):
            for threads in (1, 2):
                for length in (16, 32, 64, 128, 256, 512):
                    ms = factor * [0.11 * length, .12 * length + .0002 * length ** 2, .05 * length + .00035 * length ** 2][mi % 3] / (1 + (threads - 1) * [.3, .4, .85][mi % 3])
                    rows.append({"model": m, "phase": phase, "threads": threads, "sequence_length": length, "batch": 8, "ms": ms, "low": ms * .97, "high": ms * 1.05,
                                 "tokens_per_second": 8 * length / ms * 1e3, "peak_bytes": 4e7 + 3e4 * length * (1 + mi) + 40 * mi * length ** 2,
                                 "step_bytes": 2e4 * length * (1 + mi) + 64 * mi * length ** 2, "flops": factor * 1.2e6 * 8 * length * (1 + length * mi / 2000),
                                 "flops_counted": factor * 1.2e6 * 8 * length * (1 + length * mi / 2000) * 1.02})
                fits.append({"model": m, "phase": phase, "threads": threads, "quantity": "ms", "slope": 1 + .12 * mi, "low": .98 + .12 * mi, "high": 1.02 + .12 * mi,
                             "longest": {"slope": 1 + .3 * mi, "low": .9, "high": 2, "from": 128}})
            for length in (64, 512): serial.append({"model": m, "phase": phase, "sequence_length": length, "share": [.54, .43, .08][mi % 3], "low": [.5, .4, .06][mi % 3], "high": [.58, .46, .1][mi % 3],
                           "speedup_limit": 1 / [.54, .43, .08][mi % 3], "speedup": [{"threads": 2, "value": [1.3, 1.4, 1.85][mi % 3]}]})
    if len(models) > 2:
        for phase, threads in ((phase, t) for phase in ("forward", "backward", "train", "decode") for t in (1, 2)):
            crossings.append({"a": models[0], "b": models[1], "phase": phase, "threads": threads, "length": None, "low": None, "high": None, "verdict": "a", "everywhere": True, "told": [],
                              "cheaper_below": models[0], "cheaper_above": models[0], "text": f"{models[0]} is cheaper at every length measured (16 to 512)"})
            crossings.append({"a": models[0], "b": models[2], "phase": phase, "threads": threads, "length": 171.0 + 40 * threads, "low": 160.0, "high": 183.0, "verdict": "crossing", "everywhere": False, "told": [],
                              "cheaper_below": models[2], "cheaper_above": models[0],
                              "text": f"{models[2]} is cheaper below a length of {171 + 40 * threads} tokens (160 to 183), {models[0]} above it."})
    return {"batch": 8, "other_work": {"mean": 0.1, "most": 0.4}, "rows": rows, "fits": fits, "crossings": crossings, "serial": serial}
