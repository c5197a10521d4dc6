#!/usr/bin/env python3
"""Checkpoints of earlier versions load, go on and measure as they did then (tests/golden/make.py made them).

  golden.py RAVEL [COMPILER [EMULATOR]]    COMPILER is what built RAVEL, such as gcc-12.2.0-x86_64; left out: unknown

Where a build gives the same bits as the one that recorded them, everything must be equal, the state's hash first: under
the same instruction set and compiler, sanitised or not, and under x86-64's base, whatever the compiler, because it has
no instruction that fuses a multiply and an add, which is what compilers do differently.
Elsewhere numbers must be close, and what is no number must be equal. The output says which it was."""
import json, math, os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden"))
import make

# Within the six steps losses of gcc and clang, avx2 and base, x86-64 and aarch64 differ by up to 3e-7 of themselves,
# and norms of gradients by up to 9e-6. Another mask, batch or moment changes the fourth digit or one before it.
CLOSE = {"grad_norm": 1e-4}
ELSE_CLOSE = 1e-5


def differences(want, got, path=""):
    """'PATH: recorded, now' wherever something is not close; the hash is of bits."""
    if isinstance(want, dict) and isinstance(got, dict) and want.keys() == got.keys():
        return [d for key in want if key != "hash" for d in differences(want[key], got[key], f"{path}/{key}")]
    if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        return [d for i, (a, b) in enumerate(zip(want, got)) for d in differences(a, b, f"{path}/{i}")]
    if isinstance(want, float) and isinstance(got, (float, int)):
        if math.isclose(want, got, rel_tol=CLOSE.get(path.rsplit("/")[-1], ELSE_CLOSE)): return []
    return [] if want == got else [f"{path}: {want!r}, now {got!r}"]


def first_difference(want, got):
    """Bits differ: where it shows first."""
    for key in "eval", "text":
        if want.get(key) != got.get(key): return f"{key} was {want.get(key)}, now {got.get(key)}"
    for a, b in zip(want["metrics"], got["metrics"]):
        if a != b: return f"{a['kind']} line of step {a['step']} was {a}, now {b}"
    return f"the state's hash was {want['hash']}, now {got['hash']}"


def same_bits(record, isa, compiler):
    """Whether this build and the one that recorded give the same."""
    (family, version, cpu), (now, its, machine) = (c.split("-", 2) for c in (record["compiler"], compiler))
    if isa not in record["isa"] or machine != cpu or now == "unknown": return False
    return (isa == "base" and cpu == "x86_64") or (now == family and its.split(".")[0] == version.split(".")[0])


def check(record, isa, found, compiler):
    """What is wrong, if anything, and by which check."""
    then = record["isa"].get(isa) or record["isa"]["base"]
    if same_bits(record, isa, compiler): return [] if found == then else [first_difference(then, found)], "same bits"
    equal = ", and as it happens the same bits" if found == then else ""
    return differences(then, found), f"numbers close to {record['compiler']}'s{equal}"


def main():
    compiler = (sys.argv + ["unknown-0-unknown"])[2]
    ravel = [os.path.abspath(program) for program in sys.argv[3:] + sys.argv[1:2]]
    isas, failed, total = make.instruction_sets(ravel), 0, 0
    for folder in sorted(f for f in os.listdir(make.HERE) if f.startswith("runs-")):
        golden, records = os.path.join(make.HERE, folder), {}
        for name in make.names(golden):
            with open(os.path.join(golden, name + ".json")) as f: records[name] = json.load(f)
        work = [(name, record["step"]) for name, record in records.items()]
        for name, isa, found in make.outcomes(ravel, isas, golden, work):
            crashed = isinstance(found, Exception)
            wrong, how = ([str(found)], "") if crashed else check(records[name], isa, found, compiler)
            print(f"{folder}/{name} {isa}: {'FAILED' if wrong else 'good, ' + how}", *wrong, sep="\n  ", flush=True)
            failed, total = failed + bool(wrong), total + 1
    print(f"{total} continuations of golden checkpoints with {', '.join(isas)}, {failed} failed")
    sys.exit(1 if failed or not total else 0)


if __name__ == "__main__":
    main()
