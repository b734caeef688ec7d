# SPDX-License-Identifier: GPL-2.0
"""tests/mutants: the patches still apply, they and the lists have the same names, and the
tests that are to fail are there. Run by make check."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(TOP, "scripts"))

import ktap             # noqa: E402
import mutant_list      # noqa: E402

LONGEST = 31    # the kernel's buffer holds that much


def touched(patch):
    """The files that a patch changes or makes."""
    return sorted(set(re.findall(r"^(?:---|\+\+\+) [ab]/(\S+)", patch, re.M)))


def apply(patch, where, only=()):
    """What git says against it; '' if it applies to the tree there."""
    limits = [f"--include={name}" for name in only]
    done = subprocess.run(["git", "apply", *limits, patch], cwd=where, text=True, check=False,
                          env={**os.environ, "GIT_CEILING_DIRECTORIES": os.path.dirname(where)},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout if done.returncode else ""


def copy(files, fro, to):
    for name in files:
        if os.path.exists(os.path.join(fro, name)):
            os.makedirs(os.path.dirname(os.path.join(to, name)), exist_ok=True)
            shutil.copy(os.path.join(fro, name), os.path.join(to, name))


class Mutants(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.tree = os.path.join(os.path.realpath(directory.name), "tree")
        os.mkdir(self.tree)

    def test_names(self):
        for kind in mutant_list.KINDS:
            asked = mutant_list.asked_for(mutant_list.read(mutant_list.path(kind, "patch")))
            mutants = mutant_list.mutants(kind)
            self.assertGreater(len(mutants), 30)
            self.assertEqual(sorted(asked), sorted(m.name for m in mutants))
            self.assertEqual([m.switch for m in mutants if len(m.switch) > LONGEST], [])
            offs = [m.off for m in mutants]
            self.assertEqual([off for off in offs if offs.count(off) > 1], [])

    def test_tests(self):
        known = set(ktap.expected(os.path.join(TOP, "tests", "expected.txt")))
        suites = {name.split("/")[1].split(".")[0] for name in known if name.startswith("kunit-")}
        for kind in mutant_list.KINDS:
            for mutant in mutant_list.mutants(kind):
                self.assertTrue(mutant.tests, mutant.full_name)
                for test in mutant.tests:
                    there = test[6:] in suites if test.startswith("kunit.") else \
                        f"e2e-patched-{mutant.fs}/{test}" in known
                    self.assertTrue(there, f"{mutant.full_name}: there is no {test}")

    def test_module_patch_applies(self):
        patch = mutant_list.path("module", "patch")
        copy(touched(mutant_list.read(patch)), TOP, self.tree)
        self.assertEqual(apply(patch, self.tree), "")

    def test_kernel_patch_applies(self):
        patch = mutant_list.path("kernel", "patch")
        files = touched(mutant_list.read(patch))
        where = subprocess.run([os.path.join(TOP, "scripts", "where"), "source"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if where.returncode:
            self.skipTest("there is no source of the kernel yet")
        copy(files, where.stdout.strip(), self.tree)
        patches = os.path.join(TOP, "patches")
        with open(os.path.join(patches, "series"), encoding="utf-8") as series:
            for name in series.read().split():
                self.assertEqual(apply(os.path.join(patches, name), self.tree, files), "", name)
        self.assertEqual(apply(patch, self.tree), "")

    def test_a_patch_that_does_not_apply_is_found(self):
        copy(["src/pin.rs"], TOP, self.tree)
        self.assertNotEqual(apply(mutant_list.path("module", "patch"), self.tree), "")


if __name__ == "__main__":
    unittest.main()
