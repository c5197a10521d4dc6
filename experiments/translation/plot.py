#!/usr/bin/env python3
"""Draw a score by bin of source length, one line a system.   plot.py IN.json OUT.svg

{"title": "BLEU by source length, Multi30k test 2016", "x": "source words", "y": "BLEU",
 "bins": ["1-10", "11-20", "21+"], "counts": [310, 600, 90],
 "systems": [{"name": "bottleneck", "values": [31.2, 24.0, null], "low": [29, 22, null], "high": [33, 26, null]}]}

counts (sentences in a bin), low and high (an interval, drawn as a band) may be left out; null is a bin without a value."""
import json, math, sys
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 56, 170, 62, 64
# Told apart by colour-blind readers, too [Okabe and Ito]; on a dark page lighter.
COLOURS = [("#0072b2", "#56b4e9"), ("#d55e00", "#f08a3c"), ("#007d5b", "#2fc79a"), ("#b0568c", "#dd9cc3"), ("#7a6a00", "#d9c83c"), ("#555", "#bbb")]


def ticks(high):
    """About five round numbers from 0 to past `high`."""
    step = 10 ** math.floor(math.log10(high / 5))
    step *= next(m for m in (1, 2, 5, 10) if step * m * 6 >= high)
    return [i * step for i in range(math.ceil(high / step) + 1)]


def runs(points):
    """Stretches between the bins that have no value."""
    out = [[]]
    for p in points:
        if p is None: out.append([])
        else: out[-1].append(p)
    return [r for r in out if r]


def spread(at, gap=17, top=TOP, bottom=HEIGHT - BOTTOM + 4):
    """Heights for labels, in the order of `at` (rising), `gap` apart and as near as may be."""
    out = []
    for y in at: out.append(max(y, out[-1] + gap) if out else max(y, top))
    limit = bottom
    for i in reversed(range(len(out))):
        out[i] = min(out[i], limit)
        limit = out[i] - gap
    return out


def read(path):
    with open(path) as f: d = json.load(f)
    if len(d["systems"]) > len(COLOURS): sys.exit(f"{path}: at most {len(COLOURS)} systems can be told apart; draw fewer")
    for s in d["systems"]:
        for key in ("values", "low", "high"):
            if len(s.get(key, d["bins"])) != len(d["bins"]): sys.exit(f"{path}: {s['name']}: {key} has {len(s[key])} numbers for {len(d['bins'])} bins")
    return d


def main():
    if len(sys.argv) != 3: sys.exit(__doc__)
    d = read(sys.argv[1])
    n = len(d["bins"])
    scale = ticks(max([v for s in d["systems"] for key in ("values", "high") for v in s.get(key, []) if v is not None] + [1e-3]))
    x = lambda i: LEFT + (WIDTH - LEFT - RIGHT) * (i + .5) / n
    y = lambda v: TOP + (HEIGHT - TOP - BOTTOM) * (scale[-1] - v) / scale[-1]
    points = lambda p: " ".join(f"{a:.1f},{b:.1f}" for a, b in p)
    place = lambda values: [None if v is None else (x(i), y(v)) for i, v in enumerate(values)]
    text = lambda a, b, s, more="": f'<text x="{a:.1f}" y="{b:.1f}" {more}>{escape(str(s))}</text>'
    both = lambda k: "".join(f".c{i}{{fill:{c[k]};stroke:{c[k]}}}" for i, c in enumerate(COLOURS))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui,sans-serif" font-size="13">',
           f"<style>text{{fill:#222;stroke:none!important}}.axis{{stroke:#ccc}}.quiet{{fill:#666}}.bg{{fill:#fff}}{both(0)}"
           f"@media(prefers-color-scheme:dark){{text{{fill:#ddd}}.axis{{stroke:#444}}.quiet{{fill:#999}}.bg{{fill:#111}}{both(1)}}}</style>",
           f'<rect class="bg" width="{WIDTH}" height="{HEIGHT}"/>',
           text(LEFT - 36, 22, d["title"], 'font-weight="bold" font-size="15"')]
    for v in scale:
        out.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke-width="{1 if v == 0 else .5}"/>')
        out.append(text(LEFT - 8, y(v) + 4.5, f"{v:g}", 'text-anchor="end"'))
    for i, b in enumerate(d["bins"]):
        out.append(text(x(i), HEIGHT - BOTTOM + 20, b, 'text-anchor="middle"'))
        if "counts" in d: out.append(text(x(i), HEIGHT - BOTTOM + 36, f"n = {d['counts'][i]}", 'text-anchor="middle" class="quiet" font-size="11"'))
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, d["x"], 'text-anchor="middle"'))
    out.append(text(LEFT - 36, TOP - 16, d["y"], 'class="quiet"'))
    ends = []
    for k, s in enumerate(d["systems"]):
        if "low" in s and "high" in s:
            for low, high in zip(runs(place(s["low"])), runs(place(s["high"]))):
                out.append(f'<polygon class="c{k}" style="stroke:none" opacity=".15" points="{points(high + low[::-1])}"/>')
        stretches = runs(place(s["values"]))
        for r in stretches:
            out.append(f'<polyline class="c{k}" style="fill:none" stroke-width="2" stroke-linejoin="round" points="{points(r)}"/>')
            out += [f'<circle class="c{k}" cx="{a:.1f}" cy="{b:.1f}" r="3"/>' for a, b in r]
        last = [v for v in s["values"] if v is not None]
        if last: ends.append((stretches[-1][-1], k, f"{s['name']} {last[-1]:.1f}"))
    ends.sort(key=lambda e: e[0][1])
    for (point, k, label), at in zip(ends, spread([e[0][1] + 4.5 for e in ends])):
        out.append(f'<line class="c{k}" x1="{point[0] + 5:.1f}" y1="{point[1]:.1f}" x2="{WIDTH - RIGHT + 4}" y2="{at - 4.5:.1f}" stroke-width=".7" opacity=".6"/>')
        out.append(text(WIDTH - RIGHT + 8, at, label, f'class="c{k}" font-weight="600"'))
    with open(sys.argv[2], "w") as f: f.write("\n".join(out + ["</svg>"]) + "\n")


main()
