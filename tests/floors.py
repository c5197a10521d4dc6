#!/usr/bin/env python3
"""The rules of the house that a machine can see: which floor may include which, where threads may be started, where
memory may be taken, and which compiler flags are out. Usage: floors.py [ROOT]; prints FILE:LINE: RULE."""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BELOW = ["base", "tensor", "kernels", "autograd", "ops", "nn"]


def up_to(floor):
    return set(BELOW[: BELOW.index(floor) + 1])


MAY_INCLUDE = {floor: up_to(floor) for floor in BELOW}
MAY_INCLUDE["optim"] = up_to("nn") | {"optim"}
MAY_INCLUDE["models"] = up_to("nn") | {"models"}
MAY_INCLUDE["data"] = up_to("tensor") | {"data"}
MAY_INCLUDE["io"] = up_to("nn") | {"io", "optim"}
MAY_INCLUDE["config"] = up_to("nn") | {"data", "io", "config"}
MAY_INCLUDE["decode"] = up_to("nn") | {"models", "data", "decode"}
MAY_INCLUDE["report"] = {"base", "io", "stats", "config", "report"}
MAY_INCLUDE["stats"] = {"base", "io", "stats"}
MAY_INCLUDE["evaluate"] = up_to("nn") | {"models", "data", "io", "report", "evaluate"}
MAY_INCLUDE["train"] = up_to("nn") | {"optim", "models", "data", "io", "config", "decode", "evaluate", "train"}
MAY_INCLUDE["compare"] = MAY_INCLUDE["train"] | {"stats", "report", "compare"}
# Files with a floor of their own: the YAML reader is below everything but base.
MAY_INCLUDE["io/yaml"] = {"base", "io"}

MAY_ALLOCATE = {"lib/kernels/gemm.c"}  # packing memory: per thread, grows, is kept

INCLUDE = re.compile(r'^\s*#\s*include\s+"([a-z]+)/([^"]+)"')
PRAGMA = re.compile(r'^\s*#\s*pragma\s+omp\b|_Pragma\s*\(\s*"omp')
UNORDERED = re.compile(r"\bomp\s+(atomic|critical)|\breduction\s*\(")
ALLOCATE = re.compile(r"\b(malloc|calloc|realloc|aligned_alloc|posix_memalign|strdup|asprintf|rv_alloc)\s*\(")
FAST_MATH = re.compile(r"-f(?:unsafe-math|fast-math|associative-math)|-Ofast|fast-math\"")


# What only the floors below may know: a comparison sees models and sources, whatever they are made of.
with open(os.path.join(HERE, "../lib/config/tasks.def"), encoding="utf-8") as tasks:
    TASKS = "|".join(re.findall(r"^RV_TASK\((\w+),", tasks.read(), re.M))
PARTICULAR = re.compile(r'"(?:%s|rnn|lstm|gru|transformer)"|\brv__(?:encoder|decoder|head|source)_\w+' % TASKS)


def source_lines(path):
    """Numbered lines without comments."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    blank = lambda m: "\n" * m.group(0).count("\n")
    return enumerate(re.sub(r"//[^\n]*", "", re.sub(r"/\*.*?\*/", blank, text, flags=re.S)).split("\n"), 1)


def check_source(root, rel, report):
    parts = rel.split("/")
    floor = parts[1] if parts[0] == "lib" and len(parts) > 2 else None
    own = re.sub(r"\.[ch]$", "", "/".join(parts[1:]))
    allowed = next((MAY_INCLUDE[k] for k in (own, floor) if k in MAY_INCLUDE), None)
    if floor and allowed is None:
        report(rel, 1, f"lib/{floor} is not a floor of the house; add it to tests/floors.py and say what it may see")
        return
    for n, line in source_lines(os.path.join(root, rel)):
        m = INCLUDE.match(line)
        if m and floor and m.group(1) not in allowed:
            report(rel, n, f"includes {m.group(1)}/{m.group(2)}, but {floor} sees only {', '.join(sorted(allowed))}")
        if PRAGMA.search(line) and floor not in ("kernels", "ops") and parts[0] != "tests":
            report(rel, n, "starts threads: OpenMP pragmas live in lib/kernels and lib/ops only")
        if UNORDERED.search(line) and "omp" in line:
            report(rel, n, "adds in an order that depends on threads: keep one partial sum per fixed block")
        if floor in ("kernels", "ops") and rel not in MAY_ALLOCATE and ALLOCATE.search(line):
            report(rel, n, "takes heap memory: use rv_tape_alloc, or the kernels' scratch")
        if floor == "compare" and PARTICULAR.search(line):
            report(rel, n, "knows a task or a kind of part: ask rv_task, rv_model or rv_source")
        if FAST_MATH.search(line):
            report(rel, n, "asks for fast-math, under which bits depend on the thread count")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    found = []
    report = lambda rel, n, what: found.append(f"{rel}:{n}: {what}")
    files = 0
    for top in ("lib", "tools", "tests"):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                rel = os.path.relpath(os.path.join(folder, name), root)
                if name.endswith((".c", ".h")):
                    files += 1
                    check_source(root, rel, report)
                elif name == "meson.build":
                    with open(os.path.join(root, rel), encoding="utf-8") as f:
                        for n, line in enumerate(f, 1):
                            if FAST_MATH.search(line.split("#")[0]):
                                report(rel, n, "asks for fast-math, under which bits depend on the thread count")
    print("\n".join(found) if found else f"{files} files keep the rules")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
