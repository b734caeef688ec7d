# SPDX-License-Identifier: GPL-2.0
"""scripts/bench_profile.py: counts of blocks become counts of functions. Run by
make check."""

import os
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts")
sys.path.insert(0, SCRIPTS)

import bench_profile  # noqa: E402 pylint: disable=wrong-import-position

SYMBOLS = """\
ffffffff81000000 T first
ffffffff81000200 t last\t[longterm]
ffffffff81000100 T second
ffffffff81000150 D data
"""
COUNTS = """\
ffffffff81000000 3 10
ffffffff810000ff 1 1
ffffffff81000160 2 5
ffffffff81000200 7 1
401000 9 1
"""


class Profile(unittest.TestCase):
    def test_a_block_is_of_the_function_before_it(self):
        symbols = bench_profile.read_symbols(SYMBOLS.splitlines())
        self.assertEqual(bench_profile.by_function(COUNTS.splitlines(), symbols),
                         {"first": 31, "second": 10, "last": 7, "(user space)": 9})

    def test_names_are_in_order(self):
        self.assertEqual(bench_profile.counted(["a 1\n", "#count x/y\n", "#count z\n"]),
                         ["x/y", "z"])

    def test_the_last_round_of_each_is_shown(self):
        with tempfile.TemporaryDirectory() as top:
            os.mkdir(os.path.join(top, "g.profile"))
            for name, text in (("g.samples", "#count a\n#count a\n#count b\na 1\n"),
                               ("g.profile/kallsyms", SYMBOLS),
                               ("g.profile/counts.0", "401000 1 1\n"),
                               ("g.profile/counts.1", COUNTS),
                               ("g.profile/counts.2", "401000 4 2\n")):
                with open(os.path.join(top, name), "w", encoding="utf-8") as out:
                    out.write(text)
            done = subprocess.run([os.path.join(SCRIPTS, "bench_profile.py"), top],
                                  capture_output=True, text=True, check=True)
        self.assertIn("a: 57 instructions", done.stdout)
        self.assertIn("b: 8 instructions", done.stdout)
        self.assertLess(done.stdout.index("first"), done.stdout.index("second"))

    def test_no_profile_is_an_error(self):
        with tempfile.TemporaryDirectory() as top:
            done = subprocess.run([os.path.join(SCRIPTS, "bench_profile.py"), top],
                                  capture_output=True, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
