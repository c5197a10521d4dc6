#!/usr/bin/env python3
"""tools/setup.sh on systems that are not here: os-release, uname, the compiler and pkg-config are made up.

usage: setup.py"""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BASH = "/bin/bash"

# Each says what it was asked for by the line of `there` that it looks up: a header's name, a module's name or itself.
STUBS = {
    "cc": '''[ "$1" != --version ] || { cat "$0.version"; exit; }
        read -r _ header; grep -qxF "h:${header//[<>]/}" "$THERE"''',
    "pkg-config": 'grep -qxF "pc:$2" "$THERE"',
    "uname": 'echo "${UNAME:-Linux}"',
    "id": 'echo "${USER_ID:-0}"',
    "meson": 'echo meson was run; exit 1',
    "ninja": 'exit 1',
    "python3": 'exit 1',
    "apt-get": 'echo "$@" >>"$APT_LOG"; for p in "$@"; do [ "$p" != libxxhash-dev ] || echo pc:libxxhash >>"$THERE"; done',
}
SYSTEMS = {  # os-release: the command, and a name that only this system's column has
    "ID=fedora": ("dnf install", "libyaml-devel"),
    'ID=rocky\nID_LIKE="rhel centos fedora"': ("dnf install", "Random123-devel"),
    "ID=arch": ("pacman -S", "libutf8proc"),
    "ID=endeavouros\nID_LIKE=arch": ("pacman -S", "libutf8proc"),
    "ID=alpine": ("apk add", "yaml-dev"),
    'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"': ("zypper install", "libopenssl-devel"),
}


def rows():
    table = re.search(r"RAVEL_NEEDS='\n(.*?)'", (ROOT / "tools/setup.sh").read_text(), re.S)[1]
    return [[field.strip() for field in line.split("|")] for line in table.strip().split("\n")]


class Setup(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)
        (self.dir / "bin").mkdir()
        for tool in ("grep", "cat", "dirname", "env"):
            (self.dir / "bin" / tool).symlink_to(subprocess.check_output([BASH, "-c", f"type -P {tool}"], text=True).strip())
        for name, script in STUBS.items():
            self.command(name, script)
        self.compiler("gcc (made up) 13.2.0")
        self.have(*(row[2].split(" or ")[0] for row in rows()))

    def command(self, name, script):
        path = self.dir / "bin" / name
        path.write_text(f"#!{BASH}\n{script}\n")
        path.chmod(0o755)

    def compiler(self, version):
        (self.dir / "bin/cc.version").write_text(version + "\n")

    def have(self, *seen):
        (self.dir / "there").write_text("".join(s + "\n" for s in seen))

    def without(self, *seen):
        self.have(*(row[2].split(" or ")[0] for row in rows() if row[2] not in seen))

    def run_setup(self, os_release="ID=nonesuch", script="set -euo pipefail; . tools/setup.sh; ravel_setup test", **env):
        (self.dir / "os-release").write_text(os_release + "\n")
        env = {"PATH": str(self.dir / "bin"), "THERE": str(self.dir / "there"), "APT_LOG": str(self.dir / "apt.log"),
               "RAVEL_OS_RELEASE": str(self.dir / "os-release"), **env}
        done = subprocess.run([BASH, "-c", script], cwd=ROOT, env=env, text=True, capture_output=True)
        return done.returncode, done.stdout + done.stderr

    def test_table_is_whole(self):
        for row in rows():
            self.assertEqual(len(row), 10, row)
            self.assertIn(row[0], ("build", "clang", "test", "package"))
            self.assertTrue(all(row[:9]), row)
            self.assertEqual("-" in row[3:9], row[9].startswith("https://"), row)

    def test_table_knows_what_meson_asks_for(self):
        seen = " ".join(row[2] for row in rows())
        asked = {name for path in [ROOT / "meson.build", *ROOT.glob("lib/*/meson.build"), *ROOT.glob("t*/meson.build")]
                 for name in re.findall(r"\bdependency\('([^']+)'", path.read_text())}
        self.assertGreater(len(asked), 8)
        for name in asked - {"openmp"}:
            self.assertRegex(seen, rf"pc:{re.escape(name)}\b")

    def test_nothing_missing_goes_on_anywhere(self):
        for os_release in ("ID=nonesuch", "ID=debian", *SYSTEMS):
            self.assertEqual(self.run_setup(os_release), (0, ""))
        self.assertEqual(self.run_setup(UNAME="Darwin"), (0, ""))
        self.assertFalse((self.dir / "apt.log").exists())

    def test_names_what_is_missing_and_the_command(self):
        self.have()
        for os_release, (installer, name) in SYSTEMS.items():
            code, said = self.run_setup(os_release)
            self.assertEqual(code, 1, said)
            for row in rows():
                if row[2].startswith(("h:", "pc:")) and row[0] != "clang":
                    self.assertIn(f"{row[1]} ({row[2]})", said)
            self.assertRegex(said, rf"(?m)^  {installer} .*(?<!\S){name}(?!\S)")
            self.assertIn("not tried", said)
            self.assertNotIn("(meson)", said)

    def test_only_what_is_missing(self):
        self.without("pc:libxxhash")
        code, said = self.run_setup("ID=fedora", USER_ID="1000")
        self.assertEqual(code, 1)
        self.assertIn("missing: xxHash (pc:libxxhash)\n", said)
        self.assertIn("\n  sudo dnf install xxhash-devel\n", said)

    def test_commands_count_as_well(self):
        (self.dir / "bin/ninja").unlink()
        code, said = self.run_setup("ID=alpine")
        self.assertEqual(code, 1)
        self.assertIn("missing: ninja (ninja)\n", said)
        self.assertIn("\n  apk add samurai\n", said)

    def test_any_way_to_see_it_will_do(self):
        self.without("pc:hdf5-serial or pc:hdf5 or h5cc")
        self.assertEqual(self.run_setup()[0], 1)
        self.command("h5cc", "exit 0")
        self.assertEqual(self.run_setup(), (0, ""))

    def test_no_package_names_the_source(self):
        self.without("h:Random123/philox.h")
        code, said = self.run_setup("ID=alpine")
        self.assertEqual(code, 1)
        self.assertNotIn("apk add", said)
        self.assertIn("Random123: https://github.com/DEShawResearch/random123", said)

    def test_only_users_of_clang_need_its_openmp(self):
        self.without("h:omp.h")
        self.assertEqual(self.run_setup("ID=fedora"), (0, ""))
        self.compiler("Fedora clang version 18.1.6")
        code, said = self.run_setup("ID=fedora")
        self.assertEqual(code, 1)
        self.assertIn("\n  dnf install libomp-devel\n", said)

    def test_the_tests_needs_are_the_tests(self):
        self.without("pc:criterion")
        self.assertEqual(self.run_setup(script="set -eu; . tools/setup.sh; ravel_setup"), (0, ""))
        self.assertEqual(self.run_setup()[0], 1)

    def test_macos(self):
        self.without("pc:yaml-0.1")
        code, said = self.run_setup(UNAME="Darwin", USER_ID="501")
        self.assertEqual(code, 1)
        self.assertRegex(said, r"on macOS .*not tried")
        self.assertIn("\n  brew install libyaml\n", said)

    def test_unknown_system(self):
        self.without("pc:yaml-0.1")
        for os_release in ("ID=nonesuch", ""):
            code, said = self.run_setup(os_release)
            self.assertEqual(code, 1)
            self.assertIn("on Debian they are: libyaml-dev", said)

    def test_debian_and_its_kin_install(self):
        for os_release in ("ID=debian", "ID=ubuntu\nID_LIKE=debian", 'ID=linuxmint\nID_LIKE="ubuntu debian"'):
            self.without("pc:libxxhash")
            code, said = self.run_setup(os_release)
            self.assertEqual((code, said), (0, "setup: installing libxxhash-dev\n"))

    def test_debian_says_what_apt_could_not_do(self):
        self.without("pc:libxxhash", "pc:zlib")
        code, said = self.run_setup("ID=debian")
        self.assertEqual(code, 1)
        self.assertIn("missing: zlib (pc:zlib)\n", said)
        self.assertRegex(said, r"(?m)^  apt-get install zlib1g-dev$")
        self.assertNotIn("not tried", said)

    def test_debian_without_root_installs_nothing(self):
        self.without("pc:libxxhash")
        code, said = self.run_setup("ID=debian", USER_ID="1000")
        self.assertEqual(code, 1)
        self.assertIn("\n  sudo apt-get install libxxhash-dev\n", said)
        self.assertFalse((self.dir / "apt.log").exists())

    def test_scripts_stop_before_meson(self):
        self.without("pc:zlib")
        for script in ("tools/quickstart.sh", f"tools/check.sh {self.dir}/build"):
            code, said = self.run_setup("ID=arch", script=script)
            self.assertEqual(code, 1)
            self.assertIn("missing: zlib", said)
            self.assertNotIn("meson was run", said)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=0))
