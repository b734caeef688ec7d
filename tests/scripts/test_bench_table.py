# SPDX-License-Identifier: GPL-2.0
"""scripts/bench_table.py: medians, ratios, and what is beyond a target. Run by
make check."""

import os
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts")
sys.path.insert(0, SCRIPTS)

import bench_table  # noqa: E402 pylint: disable=wrong-import-position


def found(rows, name):
    (entry,) = [entry for entry in rows if name in entry["name"]]
    return entry


def run(*args, **guests):
    with tempfile.TemporaryDirectory() as top:
        for name, text in guests.items():
            path = os.path.join(top, name.replace("_", "-") + ".samples")
            with open(path, "w", encoding="utf-8") as out:
                out.write(text)
        return subprocess.run([os.path.join(SCRIPTS, "bench_table.py"), *args, top],
                              capture_output=True, text=True, check=False)


class Samples(unittest.TestCase):
    def test_lines_of_a_name_come_together(self):
        self.assertEqual(bench_table.read_samples(["a 1\n", "b 2\n", "a 3.5\n"]),
                         {"a": [1, 3.5], "b": [2]})

    def test_what_is_no_sample_is_an_error(self):
        for line in ("a\n", "a 1 2\n", "a x\n"):
            with self.assertRaises(ValueError):
                bench_table.read_samples([line])

    def test_spread_is_of_the_middle_half(self):
        self.assertEqual(bench_table.spread([5]), 0)
        self.assertEqual(bench_table.spread([100, 100, 100, 100, 900]), 0)
        self.assertAlmostEqual(bench_table.spread([90, 100, 110]), 0.1)


class Rows(unittest.TestCase):
    def test_an_outlier_does_not_count(self):
        entry = bench_table.row("g", "n", [105, 105, 9000], [100, 100, 1])
        self.assertAlmostEqual(entry["ratio"], 1.05)

    def test_nothing_counted_is_an_error(self):
        with self.assertRaises(ValueError):
            bench_table.row("g", "n", [1], [0])

    def test_pins_are_by_page_or_by_entry(self):
        mib = 1 << 20
        samples = {"pins/bytes": [4 * mib], "mrs/bytes": [2 * mib],
                   "pin/fast/4k/one-call/anon": [10240], "pin/fast/4k/one-call/dax": [20480],
                   "pin/fast/2m/one-call/anon": [1000], "pin/fast/2m/one-call/dax": [1000],
                   "reg/4k/one/anon": [512], "reg/4k/one/dax": [512],
                   "reg/4k/small/anon": [77], "reg/4k/small/dax": [78]}
        rows = bench_table.table({"patched-xfs": samples})
        self.assertEqual(len(rows), 4)
        self.assertEqual(found(rows, "pin/fast/4k")["value"], 20)
        self.assertEqual(found(rows, "pin/fast/4k")["ratio"], 2)
        self.assertEqual(found(rows, "pin/fast/2m")["value"], 500)
        self.assertEqual(found(rows, "reg/4k/one")["value"], 1)
        self.assertEqual(found(rows, "reg/4k/small")["base"], 77)
        self.assertTrue(bench_table.beyond(found(rows, "pin/fast/4k"), "target"))
        self.assertFalse(bench_table.beyond(found(rows, "pin/fast/2m"), "target"))

    def test_absent_needs_both_kernels(self):
        self.assertEqual(bench_table.table({"absent-patched": {"open/x": [1]}}), [])
        rows = bench_table.table({"absent-patched": {"open/x": [1006], "pins/bytes": [5]},
                                  "absent-unpatched": {"open/x": [1000], "pins/bytes": [5]}})
        self.assertEqual([entry["name"] for entry in rows], ["open/x"])
        self.assertTrue(bench_table.beyond(rows[0], "target"))
        self.assertFalse(bench_table.beyond(rows[0], "limit"))

    def test_what_one_kernel_lacks_is_an_error(self):
        with self.assertRaises(KeyError):
            bench_table.table({"absent-patched": {"open/x": [1]}, "absent-unpatched": {}})

    def test_slab_is_a_difference(self):
        rows = bench_table.slab({"slab/live/dax/all": [900], "slab/live/anon/all": [600],
                                 "slab/live/dax/slab": [1]})
        self.assertEqual(rows[0]["more"], 300)
        self.assertTrue(bench_table.beyond(rows[0], "target"))

    def test_latency_is_against_a_lease_that_any_kernel_has(self):
        samples = {"latency/notice/longterm": [30], "latency/notice/fd": [33],
                   "latency/notice/wrlck": [10], "latency/notice/wrlck-open": [15]}
        samples |= {name.replace("notice", "end"): [2 * v for v in values]
                    for name, values in samples.items()}
        rows = bench_table.table({"patched-xfs": samples})
        self.assertEqual([entry["ratio"] for entry in rows], [3, 3.3, 3, 3.3, 2])
        self.assertTrue(all(entry["limit"] and not entry["target"] for entry in rows))
        del samples["latency/notice/wrlck"]
        with self.assertRaises(KeyError):
            bench_table.table({"patched-xfs": samples})

    def test_holders_are_compared_one_by_one(self):
        samples = {f"holders/{kind}/notice/{n}": [cost * n + 100]
                   for kind, cost in (("rdlck", 100), ("files", 200)) for n in (1, 10, 1000)}
        samples["holders/files/notice/1000"] = [800 * 1000]
        rows = bench_table.holders(samples)
        entry = found(rows, "notice, 10 files : rdlck")
        self.assertEqual((entry["value"], entry["base"]), (210, 110))
        grown = found(rows, "each of files, 1000 : 10")
        self.assertAlmostEqual(grown["ratio"], 800 / 210)
        self.assertTrue(bench_table.beyond(grown, "target"))
        self.assertIsNone(found(rows, "each of rdlck")["target"])

    def test_a_hole_is_compared_with_the_same_file_unpinned(self):
        rows = bench_table.punch({"punch/many/pinned/10": [11], "punch/many/unpinned/10": [10],
                                  "punch/large/pinned/10": [20], "punch/large/unpinned/10": [10]})
        self.assertEqual(found(rows, "10 regions")["ratio"], 1.1)
        self.assertTrue(bench_table.beyond(found(rows, "a region of 20 pages"), "target"))

    def test_curves_are_in_regions_and_holders(self):
        curves = bench_table.curves({
            "scale/take/10": [7, 9, 8], "scale/take/1": [5], "load/regions/1": [1000],
            "load/regions/10": [10000], "scale/one-file-take/1": [6],
            "load/one-file-regions/1": [100], "holders/files/end/1": [3]})
        self.assertEqual(curves["scale/take"], [(1000, 5), (10000, 8)])
        self.assertEqual(curves["scale/one-file-take"], [(100, 6)])
        self.assertEqual(curves["holders/files/end"], [(1, 3)])

    def test_scale_is_of_the_ends(self):
        rows = bench_table.scaling({"scale/take/1": [10], "scale/take/10": [99],
                                    "scale/take/100": [20]})
        self.assertEqual(rows[0]["ratio"], 2)
        self.assertIn("100 % : 1 %", rows[0]["name"])


class Command(unittest.TestCase):
    OK = {"absent_patched": "open/x 100\n", "absent_unpatched": "open/x 100\n"}
    SLOW = {"absent_patched": "open/x 200\n", "absent_unpatched": "open/x 100\n"}

    def test_limits_decide_the_status(self):
        self.assertEqual(run("--limits", **self.OK).returncode, 0)
        self.assertEqual(run(**self.SLOW).returncode, 0)
        done = run("--limits", **self.SLOW)
        self.assertEqual(done.returncode, 1)
        self.assertIn("open/x", done.stderr)
        self.assertIn("MISSED", done.stdout)

    def test_nothing_measured_is_an_error(self):
        self.assertNotEqual(run().returncode, 0)


if __name__ == "__main__":
    unittest.main()
