#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
usage: match_timeline.py TIMELINE TRACE

Fails unless each line of the timeline is an event of the trace: of the right
kind and process, at that time.  Shares no code with what made the timeline.
"""
import re
import sys

KINDS = [
    ("lease taken", r" lease_take: .*pid={pid} result=0"),
    ("lease revoked", r" lease_revoke: .*pid={pid} "),
    ("pin: ", r" pin: .*pid={pid} result=0"),
    ("dereg: ", r" unpin: .*pid={pid} "),
    ("waits for", r" break_wait: .*pid={pid} "),
    ("gets SIGIO", r" sigio: .*pid={pid} "),
    ("gets SIGBUS", r" sigbus: .*pid={pid} "),
    ("truncate called", r"-{pid} .* sys_truncate\("),
    ("truncate returns 0", r"-{pid} .* sys_truncate -> 0x0$"),
    ("is refused", r" busy: .*pid={pid} "),
]
LINE = re.compile(r"\s*([\d.]+) ms\s+\S+ (\d+)\s+(.*)$")
CLOCK = re.compile(r"\(0\.0 ms is ([\d.]+) s")
# What the timeline rounds to: a tenth of a millisecond.
SLACK = 0.00006


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    trace = []
    for line in open(sys.argv[2], encoding="utf-8", errors="replace"):
        stamp = re.search(r"\s(\d+\.\d+): ", line)
        if stamp and not line.startswith("#"):
            trace.append((float(stamp.group(1)), line.rstrip()))
    base, matched, bad = None, 0, 0
    for line in open(sys.argv[1], encoding="utf-8"):
        line = line.rstrip()
        if CLOCK.search(line):
            base = float(CLOCK.search(line).group(1))
            continue
        parts = LINE.match(line)
        if not parts:
            continue
        kinds = [k for k in KINDS if parts.group(3).startswith(k[0])]
        at = base + float(parts.group(1)) / 1000
        pattern = kinds[0][1].format(pid=parts.group(2)) if kinds else None
        if pattern and any(abs(t - at) <= SLACK and re.search(pattern, event)
                           for t, event in trace):
            matched += 1
        else:
            bad += 1
            print(f"no such event in the trace: {line}")
    if not matched:
        sys.exit("the timeline has no lines")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
