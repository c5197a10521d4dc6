#!/usr/bin/env python3
"""Count what `meson test` ran: summary.py [--extra-failures N] testlog.json ...

Prints each test that was skipped with the reason it gave (its last line of output), then 'N passed, N failed, N skipped'.
Exit status 1 if anything failed or nothing ran."""
import json
import os
import sys


def main():
    args, extra = sys.argv[1:], 0
    if args[:1] == ["--extra-failures"]:
        extra, args = int(args[1]), args[2:]
    passed, failed, skipped = 0, extra, 0
    for path in args:
        if not os.path.exists(path):  # meson writes no log for a suite without tests
            continue
        with open(path, encoding="utf-8") as f:
            for test in map(json.loads, f):
                if test["result"] == "SKIP":
                    skipped += 1
                    lines = (test.get("stdout", "") + test.get("stderr", "")).strip().splitlines() or ["no reason given"]
                    print(f"skipped {test['name']} ({path.split('/')[0]}): {lines[-1]}")
                elif test["result"] in ("OK", "EXPECTEDFAIL"):
                    passed += 1
                else:
                    failed += 1
                    print(f"failed {test['name']} ({path.split('/')[0]}): {test['result']}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
