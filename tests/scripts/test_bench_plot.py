# SPDX-License-Identifier: GPL-2.0
"""scripts/bench_plot.py: each line is there, where it belongs, and has a name that can
be read. Run by make check."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from xml.etree import ElementTree

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts")
sys.path.insert(0, SCRIPTS)

import bench_plot  # noqa: E402 pylint: disable=wrong-import-position

SVG = "{http://www.w3.org/2000/svg}"
# Alike in the end, so that their names want to be in one place.
CURVES = {f"holders/{name}/{when}": [[1, 1000 + i], [10, 9000 + i], [100, 90000 + i]]
          for i, (name, _, _) in enumerate(bench_plot.HOLDERS) for when in ("notice", "end")}


def read(curves):
    return ElementTree.fromstring(bench_plot.picture(curves))


def points(line):
    return [tuple(map(float, point.split(","))) for point in line.get("points").split()]


class Places(unittest.TestCase):
    def test_a_decade_is_as_long_as_the_next(self):
        plot = bench_plot.Plot((0, 0), (0, 2), (3, 5))
        self.assertAlmostEqual(plot.x(10) - plot.x(1), plot.x(100) - plot.x(10))
        self.assertAlmostEqual(plot.y(1000) - plot.y(10000), plot.y(10000) - plot.y(100000))
        self.assertEqual((plot.x(1), plot.y(1000)), (plot.x0, plot.y1))

    def test_decades_have_all_in_them(self):
        self.assertEqual(bench_plot.decades([10, 1000]), (1, 3))
        self.assertEqual(bench_plot.decades([9, 1001]), (0, 4))
        self.assertEqual(bench_plot.decades([100, 100]), (2, 3))

    def test_labels_keep_apart_and_in_order(self):
        placed = bench_plot.spaced([50, 50.5, 20, 51], 0, 100)
        heights = [placed[i] for i in (2, 0, 1, 3)]
        for above, below in zip(heights, heights[1:]):
            self.assertGreaterEqual(below - above, bench_plot.APART - 0.1)
        self.assertEqual(placed[2], 20)


class Picture(unittest.TestCase):
    def test_each_curve_is_a_line_with_its_name(self):
        svg = read(CURVES)
        self.assertEqual(len(svg.findall(f"{SVG}polyline")), len(CURVES))
        texts = [text.text for text in svg.findall(f"{SVG}text")]
        for _, label, _ in bench_plot.HOLDERS:
            self.assertEqual(texts.count(label), 2)

    def test_what_costs_more_is_higher(self):
        low, high = [points(line) for line in read({
            "holders/processes/notice": [[1, 1000], [10, 1000]],
            "holders/files/notice": [[1, 1000], [10, 50000]]}).findall(f"{SVG}polyline")]
        self.assertEqual(low[0], high[0])
        self.assertEqual(low[0][1], low[1][1])
        self.assertLess(high[1][1], low[1][1])

    def test_all_is_inside(self):
        svg = read(CURVES)
        width, height = float(svg.get("width")), float(svg.get("height"))
        for line in svg.findall(f"{SVG}polyline"):
            for x, y in points(line):
                self.assertTrue(0 < x < width and 0 < y < height)

    def test_one_point_is_no_line(self):
        curves = CURVES | {"scale/take": [[1000, 5]]}
        self.assertEqual(len(read(curves).findall(f"{SVG}polyline")), len(CURVES))


class Command(unittest.TestCase):
    def run_on(self, results):
        with tempfile.TemporaryDirectory() as top:
            source, target = os.path.join(top, "bench.json"), os.path.join(top, "to.svg")
            with open(source, "w", encoding="utf-8") as out:
                json.dump(results, out)
            done = subprocess.run([os.path.join(SCRIPTS, "bench_plot.py"), source, target],
                                  capture_output=True, text=True, check=False)
            return done, os.path.exists(target)

    def test_a_file_is_written(self):
        done, there = self.run_on({"curves": CURVES})
        self.assertEqual((done.returncode, there), (0, True), done.stderr)

    def test_nothing_measured_is_an_error(self):
        done, there = self.run_on({"rows": []})
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("nothing there", done.stderr)
        self.assertFalse(there)


if __name__ == "__main__":
    unittest.main()
