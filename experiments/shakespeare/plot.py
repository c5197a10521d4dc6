#!/usr/bin/env python3
"""Draw validation loss against steps from runs' metrics.jsonl.   plot.py OUT.svg LABEL=RUN[,RUN...] ...
The line is the mean over a label's runs (seeds), the band their range."""
import json, sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 60, 170, 36, 46
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"]  # told apart by colour-blind readers, too [Okabe and Ito]


def curve(runs):
    by_step = {}
    for run in runs:
        with open(run + "/metrics.jsonl") as f:
            for m in map(json.loads, f):
                if m["kind"] == "valid": by_step.setdefault(m["step"], []).append(m["loss"])
    return [(s, sum(v) / len(v), min(v), max(v)) for s, v in sorted(by_step.items()) if len(v) == len(runs)]


def main():
    curves = [(a.split("=")[0], curve(a.split("=")[1].split(","))) for a in sys.argv[2:]]
    last = max(p[0] for _, c in curves for p in c)
    low, high = min(p[2] for _, c in curves for p in c), max(p[3] for _, c in curves for p in c)
    low, high = int(low * 10) / 10, int(high * 10 + 1) / 10
    x = lambda s: LEFT + (WIDTH - LEFT - RIGHT) * s / last
    y = lambda v: TOP + (HEIGHT - TOP - BOTTOM) * (high - v) / (high - low)
    points = lambda p: " ".join(f"{a:.1f},{b:.1f}" for a, b in p)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
           "<style>text{fill:#222}.axis{stroke:#bbb}.bg{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#ddd}.axis{stroke:#555}.bg{fill:#111}}</style>",
           f'<rect class="bg" width="{WIDTH}" height="{HEIGHT}"/>',
           f'<text x="{LEFT}" y="20" font-weight="bold">Validation loss on tinyshakespeare, nats per character</text>']
    ticks = int(round((high - low) * 10))
    for i in range(0, ticks + 1, 2 if ticks > 8 else 1):
        v = low + i / 10
        out.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke-width=".5"/>'
                   f'<text x="{LEFT - 8}" y="{y(v) + 4:.1f}" text-anchor="end">{v:.1f}</text>')
    for s in range(0, last + 1, last // 4):
        out.append(f'<text x="{x(s):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{s}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">updates of 768 characters</text>')
    used = []
    for (label, c), colour in sorted(zip(curves, COLOURS), key=lambda k: k[0][1][-1][1]):
        out.append(f'<polygon fill="{colour}" opacity=".18" points="{points([(x(p[0]), y(p[3])) for p in c] + [(x(p[0]), y(p[2])) for p in reversed(c)])}"/>')
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points([(x(p[0]), y(p[1])) for p in c])}"/>')
        at = y(c[-1][1]) + 4
        while any(abs(at - u) < 16 for u in used): at -= 1  # labels keep clear of each other
        used.append(at)
        out.append(f'<text x="{x(last) + 8:.1f}" y="{at:.1f}" style="fill:{colour}">{label} {c[-1][1]:.3f}</text>')
    with open(sys.argv[1], "w") as f: f.write("\n".join(out + ["</svg>"]) + "\n")


main()
