# SPDX-License-Identifier: GPL-2.0
"""scripts/ktap.py and scripts/kernel-log decide whether a run has passed:
what they must not let through. Run by make check."""

import os
import subprocess
import tempfile
import unittest

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts")


def check(expected, planned=None, shared=None, **groups):
    with tempfile.TemporaryDirectory() as top:
        if planned:
            with open(os.path.join(top, "groups"), "w", encoding="utf-8") as out:
                out.write(planned)
        if shared:
            with open(os.path.join(top, "shared"), "w", encoding="utf-8") as out:
                out.write(shared)
        for group, text in groups.items():
            with open(os.path.join(top, group + ".ktap"), "w", encoding="utf-8") as out:
                out.write(text)
        path = os.path.join(top, "expected.txt")
        with open(path, "w", encoding="utf-8") as out:
            out.write(expected)
        done = subprocess.run(["python3", os.path.join(SCRIPTS, "ktap.py"), "check", path, top],
                              capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()[-1:], done.stdout + done.stderr


def report(text):
    with tempfile.NamedTemporaryFile("w", suffix=".log") as log:
        log.write(text)
        log.flush()
        return subprocess.run(["python3", os.path.join(SCRIPTS, "kernel-log"), log.name],
                              capture_output=True, text=True, check=False)


class Ktap(unittest.TestCase):
    def test_passes(self):
        status, last, _ = check("a/one\na/two\n", a="KTAP version 1\n1..2\nok 1 one\nok 2 - two\n")
        self.assertEqual((status, last), (0, ["2 passed, 0 failed"]))

    def test_group_that_left_no_result(self):
        status, last, _ = check("a/one\nhost-b/two\n", "a\nhost-*\n", a="1..1\nok 1 one\n")
        self.assertEqual((status, last), (1, ["1 passed, 1 failed"]))

    def test_failure_with_its_reasons(self):
        status, last, text = check("a/one\n", a="1..1\n# because\nnot ok 1 one\n")
        self.assertEqual((status, last), (1, ["0 passed, 1 failed"]))
        self.assertIn("# because", text)

    def test_failures_come_last(self):
        _, _, text = check("a/one\na/two\n", a="1..2\n# because\nnot ok 1 one\nok 2 two\n")
        self.assertEqual([line.split()[0] for line in text.splitlines()],
                         ["passed", "failed", "#", "failed", "1"])

    def test_missing(self):
        status, last, _ = check("a/one\na/two\n", a="1..1\nok 1 one\n")
        self.assertEqual((status, last), (1, ["1 passed, 1 failed"]))

    def test_not_listed(self):
        self.assertEqual(check("a/one\n", a="1..2\nok 1 one\nok 2 two\n")[0], 1)

    def test_a_group_that_did_not_run_is_not_missed(self):
        self.assertEqual(check("a/one\nb/one\n", a="1..1\nok 1 one\n")[0], 0)

    def test_ended_early(self):
        self.assertEqual(check("a/one\n", a="1..2\nok 1 one\n")[0], 1)

    def test_bail_out(self):
        self.assertEqual(check("a/one\n", a="1..1\nok 1 one\nBail out! gone\n")[0], 1)

    def test_nothing_at_all(self):
        self.assertEqual(check("", a="")[0], 1)

    def test_skips(self):
        result = "1..2\nok 1 one # SKIP no device\nok 2 two\n"
        self.assertEqual(check("a/one\na/two\n", a=result)[0], 1)
        self.assertEqual(check("a/one # SKIP-OK: no device here\na/two\n", a=result)[:2],
                         (0, ["1 passed, 0 failed, 1 skipped"]))

    def test_braces(self):
        both = {"x-y": "1..1\nok 1 one\n", "x-z": "1..1\nok 1 one\n"}
        self.assertEqual(check("x-{y,z}/one\n", **both)[:2], (0, ["2 passed, 0 failed"]))

    def test_nested(self):
        text = ("KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: suite\n    1..2\n"
                "    ok 1 one\n    not ok 2 two\nnot ok 1 suite\n")
        self.assertEqual(check("a/suite.one\na/suite.two\n", a=text)[:2],
                         (1, ["1 passed, 1 failed"]))

    def test_nested_plan_is_held(self):
        text = "1..1\n    1..2\n    ok 1 one\nok 1 suite\n"
        self.assertEqual(check("a/suite.one\n", a=text)[0], 1)

    def test_shared(self):
        both = {"a": "KTAP version 1\n1..1\nok 1 one\n", "b": "KTAP version 1\n1..1\nok 1 two\n"}
        wanted = "{a,b}/one\n{a,b}/two\n"
        self.assertEqual(check(wanted, shared="a b\n", **both)[:2], (0, ["2 passed, 0 failed"]))
        self.assertEqual(check(wanted, **both)[:2], (1, ["2 passed, 2 failed"]))
        status, _, text = check(wanted + "{a,b}/three\n", shared="a b\n", **both)
        self.assertEqual(status, 1)
        self.assertIn("a/three", text)

    def test_same_name_twice(self):
        self.assertEqual(check("a/one\n", a="1..2\nok 1 one\nok 2 one\n")[0], 1)


class KernelLog(unittest.TestCase):
    def test_clean(self):
        done = report("[    0.000000] Linux version\n[    1.000000] longterm: warning of a lease\n")
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_reports(self):
        for line in ("WARNING: mm/gup.c:12 at foo", "BUG: KASAN: slab-use-after-free in foo",
                     "Oops: 0000 [#1]", "WARNING: possible circular locking dependency detected",
                     "kmemleak: 3 new suspected memory leaks", "kernel BUG at fs/dax.c:12!",
                     "INFO: task foo:1 blocked for more than 120 seconds."):
            done = report(f"[    0.1] before\n[    1.000000] {line}\n[    1.1] explains\n")
            self.assertEqual(done.returncode, 1, line)
            self.assertIn(line, done.stdout)
            self.assertIn("explains", done.stdout)
            self.assertNotIn("before", done.stdout)


if __name__ == "__main__":
    unittest.main()
