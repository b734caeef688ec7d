#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A picture of what scripts/bench has measured with more and more: FROM is its
bench.json, TO an SVG file. Both axes are logarithmic: what costs the same for each
rises by one decade a decade, what does not grow lies flat."""

import argparse
import json
import math
import sys
from xml.sax.saxutils import escape

TITLE = "What a break and its holders cost, with more and more of them"
SUBTITLE = ("Instructions, medians of some rounds, on one processor. Both axes are logarithmic:"
            " what does not grow is flat, and what is the same for each is as steep as the dots.")
OPERATIONS = (("take", "take a lease", "#0072b2"),
              ("release", "F_UNLCK", "#56a0d3"),
              ("reg", "ibv_reg_mr()", "#009e73"),
              ("dereg", "ibv_dereg_mr()", "#cc6a9a"),
              ("break-to-notice", "truncate(): SIGIO is there", "#d55e00"),
              ("break-to-end", "truncate(): it is done", "#8c2d04"))
HOLDERS = (("processes", "processes, a lease each", "#d55e00"),
           ("files", "open files of one process", "#0072b2"),
           ("lease-fds", "lease fds of one process", "#009e73"),
           ("rdlck", "processes with F_RDLCK", "#666666"))
# Of the picture: panels, what is around their plots, and what is between labels.
WIDTH, HEIGHT, TOP, GAP = 620, 330, 66, 10
LEFT, RIGHT, ABOVE, BELOW, APART = 96, 178, 34, 48, 14


class Panel:
    """One plot. The lines: (curve, label, colour)."""

    def __init__(self, title, across, lines, guide=False):
        self.title, self.across, self.lines, self.guide = title, across, lines, guide

    def present(self, curves):
        return [(curves[name], label, colour) for name, label, colour in self.lines
                if len(curves.get(name, ())) > 1]


def panels():
    """In rows; the panels of a row have one scale of instructions."""
    knows, done, one, many = [], [], [], []
    for name, label, colour in HOLDERS:
        knows.append((f"holders/{name}/notice", label, colour))
        done.append((f"holders/{name}/end", label, colour))
    for name, label, colour in OPERATIONS:
        one.append((f"scale/one-file-{name}", label, colour))
        many.append((f"scale/{name}", label, colour))
    one.append(("punch/many/pinned", "a hole elsewhere", "#444444"))
    return [[Panel("truncate(): until the last holder knows", "holders of the file", knows, True),
             Panel("truncate(): until all have let go", "holders of the file", done, True)],
            [Panel("What is done to a file with many regions", "memory regions on that file", one),
             Panel("What is done to one of many files", "memory regions, 100 on each file",
                   many)]]


def decades(values):
    """The powers of ten around them, as exponents."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def spoken(exponent):
    """10,000; 1 million."""
    return f"{10 ** (exponent - 6):,} million" if exponent >= 6 else f"{10 ** exponent:,}"


def spaced(heights, low, high):
    """Heights for labels that want to be there: in order, apart from each other."""
    placed = []
    for i in sorted(range(len(heights)), key=lambda i: heights[i]):
        placed.append([heights[i], i])
    for _ in range(200):
        moved = False
        for a, b in zip(placed, placed[1:]):
            near = APART - (b[0] - a[0])
            if near > 0.01:
                a[0] -= near / 2
                b[0] += near / 2
                moved = True
        placed[0][0] = max(placed[0][0], low)
        placed[-1][0] = min(placed[-1][0], high)
        if not moved:
            break
    return {i: y for y, i in placed}


class Plot:
    """Where a panel's values are in the picture."""

    def __init__(self, place, across, up):
        self.x0, self.y0 = place[0] + LEFT, place[1] + ABOVE
        self.x1, self.y1 = place[0] + WIDTH - RIGHT, place[1] + HEIGHT - BELOW
        self.across, self.up = across, up

    def x(self, value):
        low, high = self.across
        return self.x0 + (math.log10(value) - low) / (high - low) * (self.x1 - self.x0)

    def y(self, value):
        low, high = self.up
        return self.y1 - (math.log10(value) - low) / (high - low) * (self.y1 - self.y0)


def frame(panel, plot):
    """Title, grid and axes."""
    out = [f'<text x="{plot.x0}" y="{plot.y0 - 14}" class="head">{escape(panel.title)}</text>']
    for exponent in range(plot.up[0], plot.up[1] + 1):
        y = plot.y(10 ** exponent)
        out += [f'<line x1="{plot.x0}" y1="{y:.1f}" x2="{plot.x1}" y2="{y:.1f}" class="grid"/>',
                f'<text x="{plot.x0 - 7}" y="{y + 4:.1f}" class="right">{spoken(exponent)}</text>']
    for exponent in range(plot.across[0], plot.across[1] + 1):
        x = plot.x(10 ** exponent)
        out += [f'<line x1="{x:.1f}" y1="{plot.y0}" x2="{x:.1f}" y2="{plot.y1}" class="grid"/>',
                f'<text x="{x:.1f}" y="{plot.y1 + 17}" class="middle">{spoken(exponent)}</text>']
    middle = (plot.x0 + plot.x1) / 2
    out.append(f'<text x="{middle}" y="{plot.y1 + 35}" class="middle axis">'
               f'{escape(panel.across)}</text>')
    x, y = plot.x0 - LEFT + 12, (plot.y0 + plot.y1) / 2
    out.append(f'<text x="{x}" y="{y}" transform="rotate(-90 {x} {y})" class="middle axis">'
               'instructions</text>')
    return out


def guide(plot):
    """What is proportional, through the plot's middle."""
    (low, high), (bottom, top) = plot.across, plot.up
    shift = (bottom + top - low - high) / 2
    start, end = max(low, bottom - shift), min(high, top - shift)
    x0, y0 = plot.x(10 ** start), plot.y(10 ** (start + shift))
    x1, y1 = plot.x(10 ** end), plot.y(10 ** (end + shift))
    return [f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" class="guide"/>']


def drawn(lines, plot):
    """Lines and points, and their names where they end."""
    out = []
    ends = [plot.y(points[-1][1]) for points, _, _ in lines]
    labels = spaced(ends, plot.y0, plot.y1)
    for i, (points, label, colour) in enumerate(lines):
        path = [(plot.x(n), plot.y(value)) for n, value in points]
        out.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in path)}" '
                   f'class="line" stroke="{colour}"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in path]
        x, y = path[-1]
        out += [f'<line x1="{x + 5:.1f}" y1="{y:.1f}" x2="{plot.x1 + 13}" y2="{labels[i]:.1f}" '
                f'stroke="{colour}" class="lead"/>',
                f'<text x="{plot.x1 + 16}" y="{labels[i] + 4:.1f}" style="fill: {colour}">'
                f'{escape(label)}</text>']
    return out


def picture(curves):
    rows = [[(panel, panel.present(curves)) for panel in row] for row in panels()]
    rows = [row for row in rows if any(lines for _, lines in row)]
    if not rows:
        sys.exit("bench_plot: nothing there that was measured more than once")
    width, height = 2 * WIDTH, TOP + len(rows) * (HEIGHT + GAP)
    out = ['<!-- SPDX-License-Identifier: GPL-2.0 -->', '<!-- Made by scripts/bench_plot.py. -->',
           '<svg xmlns="http://www.w3.org/2000/svg" '
           f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">',
           f'<title>{escape(TITLE)}</title>',
           '<style>text { font: 12px Helvetica, Arial, "Liberation Sans", "DejaVu Sans", sans-serif;'
           ' fill: #333; } .big { font-size: 18px; font-weight: bold; fill: #1a1a1a; }'
           ' .head { font-size: 14px; font-weight: bold; fill: #1a1a1a; } .axis { fill: #555; }'
           ' .right { text-anchor: end; } .middle { text-anchor: middle; }'
           ' .grid { stroke: #e2e2e2; } .guide { stroke: #999; stroke-dasharray: 2 4; }'
           ' .line { fill: none; stroke-width: 2; } .lead { stroke-width: 0.7; opacity: 0.6; }'
           '</style>',
           f'<rect width="{width}" height="{height}" fill="#fff"/>',
           f'<text x="16" y="30" class="big">{escape(TITLE)}</text>',
           f'<text x="16" y="50" class="axis">{escape(SUBTITLE)}</text>']
    for i, row in enumerate(rows):
        up = decades([value for _, lines in row for points, _, _ in lines for _, value in points])
        for k, (panel, lines) in enumerate(row):
            if not lines:
                continue
            across = decades([n for points, _, _ in lines for n, _ in points])
            plot = Plot((k * WIDTH, TOP + i * (HEIGHT + GAP)), across, up)
            out += frame(panel, plot)
            out += guide(plot) if panel.guide else []
            out += drawn(lines, plot)
    return "\n".join(out + ["</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", metavar="FROM")
    parser.add_argument("target", metavar="TO")
    args = parser.parse_args()
    with open(args.source, encoding="utf-8") as source:
        curves = json.load(source).get("curves", {})
    svg = picture(curves)
    with open(args.target, "w", encoding="utf-8") as target:
        target.write(svg)


if __name__ == "__main__":
    main()
