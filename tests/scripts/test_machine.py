# SPDX-License-Identifier: GPL-2.0
"""tests/e2e/lib/machine.py judges the trace of a whole run: what it must not let
through. Run by make check."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

from lib import machine  # noqa: E402


def line(before, what, after, ino=12):
    return (f"  python3-1  [000] d..1.  7.123456: break_state: dev=259:0 ino={ino} "
            f"from={before} input={what} to={after}")


WHOLE = [line("idle", "begin", "notified"), line("notified", "done", "idle")]


class Machine(unittest.TestCase):
    def setUp(self):
        machine.seen.clear()
        machine.problems.clear()

    def test_whole(self):
        machine.follow(WHOLE, "a.test")
        self.assertEqual(machine.problems, [])
        self.assertEqual(machine.seen, {("idle", "begin", "notified"): "a.test",
                                        ("notified", "done", "idle"): "a.test"})

    def test_files_apart(self):
        other = [line("idle", "begin", "notified", 13), line("notified", "tick", "idle", 13)]
        machine.follow([WHOLE[0], other[0], WHOLE[1], other[1]], "a.test")
        self.assertEqual(machine.problems, [])

    def test_gap(self):
        machine.follow([WHOLE[0], line("revoked", "done", "idle")], "a.test")
        self.assertEqual(len(machine.problems), 1)

    def test_begins_in_the_middle(self):
        machine.follow(WHOLE[1:], "a.test")
        self.assertEqual(len(machine.problems), 1)

    def test_does_not_end(self):
        machine.follow(WHOLE[:1], "a.test")
        self.assertEqual(len(machine.problems), 1)

    def test_lost_events(self):
        machine.follow(["CPU:1 [LOST 12 EVENTS]"] + WHOLE, "a.test")
        self.assertEqual(len(machine.problems), 1)

    def test_table(self):
        self.assertIn(("idle", "begin", "notified"), machine.table())


if __name__ == "__main__":
    unittest.main()
