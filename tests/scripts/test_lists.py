# SPDX-License-Identifier: GPL-2.0
"""The tests that there are, those that must be seen, and those that the
documentation names. Run by make check: a guest takes longer to say so."""

import glob
import importlib
import os
import re
import sys
import unittest

TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
E2E = os.path.join(TOP, "tests", "e2e")
sys.path[:0] = [os.path.join(TOP, "scripts"), E2E]

import ktap  # noqa: E402
from lib import case  # noqa: E402


def names_of(pattern):
    return sorted(os.path.basename(path)[:-3] for path in glob.glob(os.path.join(E2E, pattern)))


class Lists(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = [name for name in names_of("cases/*.py") if not name.startswith("_")]
        for name in cls.files:
            importlib.import_module("cases." + name)
        cls.tests = [f.case for f in case.REGISTRY]
        cls.wanted = set(ktap.expected(os.path.join(TOP, "tests", "expected.txt")))

    def test_expected(self):
        there = set()
        for test in self.tests:
            for fs in [test["fs"]] if test["fs"] else ["ext4", "xfs"]:
                for kernel in test["kernels"]:
                    there.add(f"host-unpatched/{fs}.{test['name']}" if kernel == "unpatched"
                              else f"e2e-{kernel}-{fs}/{test['name']}")
        listed = {name for name in self.wanted
                  if name.startswith(("e2e-", "host-unpatched/")) and not name.endswith("/guest")}
        self.assertEqual(sorted(there - listed), [], "not in tests/expected.txt")
        self.assertEqual(sorted(listed - there), [], "in tests/expected.txt, but nowhere else")

    def test_kunit(self):
        there = set()
        for path in glob.glob(os.path.join(TOP, "src", "*.rs")):
            with open(path, encoding="utf-8") as text:
                _, *rest = re.split(r"#\[kunit_tests\((\w+)\)\]", text.read())
            for suite, body in zip(rest[::2], rest[1::2]):
                there |= {f"kunit-{where}/{suite}.{name}"
                          for name in re.findall(r"#\[test\]\s*fn (\w+)", body)
                          for where in ("uml", "patched", "debug")}
        listed = {name for name in self.wanted
                  if name.startswith("kunit-") and not name.endswith("/guest")}
        self.assertTrue(there)
        self.assertEqual(sorted(there ^ listed), [], "there or listed, but not both")

    def test_documentation(self):
        """``file.test`` is one of the tests that are listed."""
        known = {name.split("/", 1)[1] for name in self.wanted}
        word = re.compile(r"``((?:%s)\.[a-z_0-9]+)``" % "|".join(self.files))
        found = 0
        for path in glob.glob(os.path.join(TOP, "Documentation", "*.rst")):
            with open(path, encoding="utf-8") as text:
                for name in word.findall(text.read()):
                    found += 1
                    self.assertTrue(name in known, f"{os.path.basename(path)}: no test {name}")
        self.assertGreater(found, 0)


if __name__ == "__main__":
    unittest.main()
