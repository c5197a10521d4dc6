#!/usr/bin/env python3
"""Whether pages are well-formed XML, take nothing from elsewhere, and have colours that can be read. Usage: well_formed.py FILE..."""
import re
import sys
import xml.etree.ElementTree as ET


def luminance(colour):
    part = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in part]
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a, b):
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


def main():
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as f:
            text = f.read()
        root = ET.fromstring(text)
        for e in root.iter():
            assert not e.tag.endswith("script"), f"{path}: a script"
            for name, value in e.attrib.items():
                assert name not in ("src", "style") and not name.startswith("on"), f"{path}: attribute {name}"
                assert not name.endswith("href") or value.startswith("#"), f"{path}: link to {value}"
        for scheme in re.findall(r":root\{([^}]*--c0:[^}]*)\}", text):
            colour = dict(re.findall(r"--(\w+):(#\w{6})", scheme))
            for name in ["ink", "quiet"] + [f"c{i}" for i in range(8)]:
                assert contrast(colour[name], colour["paper"]) >= 4.5, f"{path}: {name} {colour[name]} is hard to read on {colour['paper']}"


main()
