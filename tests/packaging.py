#!/usr/bin/env python3
"""What tools/debian says of the rest of the project is true: the library's symbols, the packages that a build needs, the version.

usage: packaging.py libravel.so VERSION    writes nothing; exit status 1 and the differences if there are some
       packaging.py libravel.so --write    writes tools/debian/libravel0.symbols as the library has it; new symbols get the
                                           version of tools/debian/changelog, known ones keep theirs"""
import os
import re
import subprocess
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
SYMBOLS = "tools/debian/libravel0.symbols"
IMPLIED = {"gcc", "libc6-dev", "python3", "debhelper-compat"}  # every Debian build has a compiler, meson has Python; debhelper packs
failed = []


def text(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def compare(path, has, wants, remedy):
    for what, names in (("lacks", wants - has), ("has, but should not,", has - wants)):
        if names:
            failed.append(f"{path} {what} {' '.join(sorted(names))}: {remedy}")


def exported(library):
    out = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    return {line.split()[2] for line in out.splitlines()}


def listed():
    """{symbol: version that brought it}"""
    return dict(re.findall(r"^ (\S+)@Base (\S+)$", text(SYMBOLS), re.M))


def write_symbols(library):
    known = listed() if os.path.exists(os.path.join(ROOT, SYMBOLS)) else {}
    lines = [f" {s}@Base {known.get(s, packaged_version())}\n" for s in sorted(exported(library))]
    with open(os.path.join(ROOT, SYMBOLS), "w", encoding="utf-8") as f:
        f.write("libravel.so.0 libravel0 #MINVER#\n* Build-Depends-Package: libravel-dev\n" + "".join(lines))


def packaged_version():
    return re.match(r"ravel \((.*?)\)", text("tools/debian/changelog")).group(1)


def build_depends():
    field = re.search(r"^Build-Depends:((?:.*\n)(?:[ \t].*\n)*)", text("tools/debian/control"), re.M).group(1)
    return {entry.split()[0] for entry in field.split(",") if entry.strip()}


def setup_packages():
    """Debian's names, the fourth column, of what tools/setup.sh installs to build and to test; clang is a choice."""
    rows = [line.split("|") for line in text("tools/setup.sh").splitlines() if line.count("|") >= 9]
    return {name for row in rows if row[0] in ("build", "test") for name in row[3].split()}


def main():
    library, version = sys.argv[1:]
    if version == "--write":
        return write_symbols(library)
    compare(SYMBOLS, set(listed()), exported(library), f"run tests/packaging.py {library} --write")
    compare("tools/debian/control: Build-Depends", build_depends() - IMPLIED, setup_packages() - IMPLIED, "tools/setup.sh has the list")
    if packaged_version() != version:
        failed.append(f"tools/debian/changelog is at {packaged_version()} and meson.build at {version}: add an entry")
    if failed:
        sys.exit("\n".join(failed))
    print(f"{len(listed())} symbols, {len(build_depends())} build dependencies, version {version}")


main()
