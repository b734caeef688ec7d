# SPDX-License-Identifier: GPL-2.0
"""The list of all allocations against the sources and the series; how they are
found in them."""

import os
import sys
import unittest

TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
E2E = os.path.join(TOP, "tests", "e2e")
sys.path.insert(0, E2E)

from lib import allocs  # noqa: E402

RUST = """
// KBox::new(1, GFP_KERNEL) is said only
use kernel::alloc::flags::GFP_KERNEL;
fn first() -> Result {
    let one = KBox::new(
        pair(1, 2),
        GFP_KERNEL,
    )?;
    inner
        .list
        .push(one, GFP_KERNEL_ACCOUNT)?;
}
fn second() { kb::fasync_helper(fd, f(1), 1) }
"""
C = """
/* alloc_workqueue() is said only. */
int start(work_func_t f,
	  int n)
{
	wq = alloc_workqueue("x", 0,
			     0);
	return 0;
}
"""


class Allocations(unittest.TestCase):
    def test_list(self):
        """Each is listed, as often as it is there, and nothing else."""
        there = [site[:3] for site in allocs.of_module(TOP) + allocs.of_series(TOP)]
        names, excused = allocs.listed(os.path.join(E2E, "data", "allocations"))
        self.assertGreater(len(there), 30)
        self.assertEqual(sorted(there), sorted(names))
        for name, why in excused.items():
            self.assertEqual(names.count(name), 1, f"{name} is excused ({why}), but which?")

    def test_rust(self):
        self.assertEqual(allocs.of_source("a.rs", RUST), [
            ("a.rs", "first", "KBox::new", (5, 8)),
            ("a.rs", "first", "push", (9, 11)),
            ("a.rs", "second", "kb::fasync_helper", (13, 13))])

    def test_c(self):
        self.assertEqual(allocs.of_source("a.c", C), [
            ("a.c", "start", "alloc_workqueue", (6, 7))])


if __name__ == "__main__":
    unittest.main()
