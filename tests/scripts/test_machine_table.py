# SPDX-License-Identifier: GPL-2.0
"""scripts/machine-table: a change of the machine that the documentation does not
follow must not pass. Run by make check."""

import os
import shutil
import subprocess
import tempfile
import unittest

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FILES = ("scripts/machine-table", "src/machine_table.rs", "src/machine_kunit.rs",
         "Documentation/machine.rst", "Documentation/machine.svg", "tests/e2e/data/transitions")


class Tree:
    """A copy of what the script reads and writes."""

    def __init__(self, directory):
        self.top = directory
        for path in FILES:
            os.makedirs(os.path.dirname(os.path.join(self.top, path)), exist_ok=True)
            shutil.copy(os.path.join(TOP, path), os.path.join(self.top, path))

    def change(self, path, old, new):
        with open(os.path.join(self.top, path), encoding="utf-8") as text:
            before = text.read()
        after = before.replace(old, new, 1)
        assert after != before, f"{path} has no {old!r}"
        with open(os.path.join(self.top, path), "w", encoding="utf-8") as out:
            out.write(after)

    def run(self, *arguments):
        return subprocess.run([os.path.join(self.top, "scripts/machine-table"), *arguments],
                              capture_output=True, text=True, check=False)


class MachineTable(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.tree = Tree(directory.name)
        self.assertEqual(self.tree.run("--write").returncode, 0)
        self.assertEqual(self.tree.run().returncode, 0)

    def stale(self, *paths):
        done = self.tree.run()
        self.assertEqual(done.returncode, 1)
        for path in paths:
            self.assertIn(path + " is out of date", done.stdout)
        self.assertEqual(self.tree.run("--write").returncode, 0)
        self.assertEqual(self.tree.run().returncode, 0)

    def test_transition_that_went(self):
        self.tree.change("src/machine_table.rs", "    (Notified, Tick, Revoked),\n", "")
        self.stale(*FILES[3:])

    def test_other_target(self):
        self.tree.change("src/machine_table.rs", "(Idle, Begin, Notified)",
                         "(Idle, Begin, Expired)")
        self.stale(*FILES[3:])

    def test_other_numbers(self):
        self.tree.change("src/machine_kunit.rs", "WITH_SIGKILL: (usize, usize) = (",
                         "WITH_SIGKILL: (usize, usize) = (1")
        self.stale("Documentation/machine.rst")

    def test_edited_by_hand(self):
        self.tree.change("Documentation/machine.rst", "transitions:", "transition:")
        self.stale("Documentation/machine.rst")

    def test_unknown_phase(self):
        self.tree.change("src/machine_table.rs", "(Idle, Begin, Notified)",
                         "(Idle, Begin, Elsewhere)")
        self.assertNotEqual(self.tree.run().returncode, 0)

    def test_nothing_to_read(self):
        with open(os.path.join(self.tree.top, "src/machine_table.rs"), "w", encoding="utf-8"):
            pass
        self.assertNotEqual(self.tree.run().returncode, 0)


if __name__ == "__main__":
    unittest.main()
