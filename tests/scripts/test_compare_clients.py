# SPDX-License-Identifier: GPL-2.0
"""tests/e2e/compare_clients.py on results that were made up."""
import json
import os
import subprocess
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e",
                      "compare_clients.py")
BASE = [("a", "anonymous", 10, 0, 5.0), ("a", "tmpfs", 10, 64, 5.0)]
OURS = [("a", "dax", 10, 64, 4.0), ("a", "anonymous", 10, 0, 5.0)]
FIELDS = "client", "memory", "messages", "arrived", "rate"


def with_(lines, memory, **new):
    """Those of that memory changed."""
    found = [dict(zip(FIELDS, line)) for line in lines]
    return [{**line, **new} if line["memory"] == memory else line
            for line in found]


class Compare(unittest.TestCase):
    def run_on(self, what, base, ours):
        with tempfile.TemporaryDirectory() as work:
            paths = []
            for number, lines in enumerate((base, ours)):
                paths.append(f"{work}/{number}")
                with open(paths[-1], "w", encoding="utf-8") as out:
                    for line in lines:
                        if not isinstance(line, dict):
                            line = dict(zip(FIELDS, line))
                        print(json.dumps(line), file=out)
            done = subprocess.run([SCRIPT, what, *paths], text=True, check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    def test_good_ones(self):
        for what in "counts", "rates":
            status, out = self.run_on(what, BASE, OURS)
            self.assertEqual(status, 0, out)
            self.assertNotIn("<<<", out)

    def test_counts_that_differ(self):
        for new in {"messages": 9}, {"arrived": 63}:
            status, out = self.run_on("counts", BASE, with_(OURS, "dax", **new))
            self.assertEqual(status, 1, out)
            self.assertIn("<<<", out)

    def test_nothing_has_arrived_anywhere(self):
        self.assertEqual(self.run_on("counts", with_(BASE, "tmpfs", arrived=0),
                                     with_(OURS, "dax", arrived=0))[0], 1)

    def test_rounds_that_differ(self):
        more = OURS + [("a", "dax", 10, 60, 4.0)]
        self.assertEqual(self.run_on("counts", BASE, more)[0], 1)

    def test_spread_and_bound(self):
        more = OURS + [("a", "dax", 10, 64, 6.0), ("a", "dax", 10, 64, 0)]
        status, out = self.run_on("rates", BASE, more)
        self.assertEqual(status, 0, out)
        self.assertIn("a: 1.20 (0.80 to 1.20) DAX to anonymous", out)
        self.assertEqual(self.run_on("rates", BASE, with_(OURS, "dax", rate=0.9))[0], 1)

    def test_no_rate_at_all(self):
        self.assertEqual(self.run_on("rates", BASE, with_(OURS, "dax", rate=0))[0], 1)

    def test_other_clients(self):
        self.assertEqual(self.run_on("counts", BASE, OURS + [
            ("b", "dax", 10, 64, 4.0)])[0], 1)
        self.assertEqual(self.run_on("counts", [], OURS)[0], 1)


if __name__ == "__main__":
    unittest.main()
