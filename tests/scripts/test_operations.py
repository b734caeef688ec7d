# SPDX-License-Identifier: GPL-2.0
"""Each row of Documentation/operations.rst names a test or says why there is none.
That the tests exist is test_lists.py's. Run by make check."""

import os
import re
import unittest

HOST = "tests/e2e/host/"
TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def untested_rows(document):
    rows = re.split(r"^   \* - ", document, flags=re.M)[1:]
    return [r.split("\n")[0] for r in rows if not r.startswith("operation\n") and
            not re.search(r"``\w+\.\w+``|``%s\w+\.sh``|no test|No test" % HOST, r)]


class Operations(unittest.TestCase):
    def test_each_row_has_a_test_or_a_reason(self):
        with open(os.path.join(TOP, "Documentation/operations.rst"), encoding="utf-8") as f:
            document = f.read()
        self.assertGreater(document.count("\n   * - "), 40)
        self.assertEqual(untested_rows(document), [])
        for name in re.findall(rf"``({HOST}\w+\.sh)``", document):
            self.assertTrue(os.path.exists(os.path.join(TOP, name)), name)

    def test_a_row_without_either_is_found(self):
        row = "   * - mount\n     - no\n     - nothing"
        self.assertEqual(untested_rows(row), ["mount"])
        self.assertEqual(untested_rows(row + ".  No test: a reason\n"), [])
        self.assertEqual(untested_rows(row + ": ``mounts.mount``\n"), [])
        self.assertEqual(untested_rows(row + f": ``{HOST}mount.sh``\n"), [])


if __name__ == "__main__":
    unittest.main()
