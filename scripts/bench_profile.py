#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Where the instructions of scripts/bench --profile go: for each thing that was
measured the functions that took most. DIR has GUEST.samples, and GUEST.profile/
with counts.N and the guest's kallsyms."""

import argparse
import bisect
import glob
import os
import sys

KERNEL = 1 << 63


def read_symbols(lines):
    """Functions as ([addresses], [names]), in order."""
    found = []
    for line in lines:
        words = line.split()
        if words[1] in "tTwW":
            found.append((int(words[0], 16), words[2]))
    found.sort()
    return [addr for addr, _ in found], [name for _, name in found]


def shorter(name):
    """What Rust mangles is told apart by its last words."""
    return name if len(name) <= 60 else "..." + name[-57:]


def by_function(lines, symbols):
    """{function: instructions}"""
    addrs, names = symbols
    sums = {}
    for line in lines:
        addr, insns, times = line.split()
        addr = int(addr, 16)
        name = "(user space)"
        if addr >= KERNEL:
            at = bisect.bisect_right(addrs, addr) - 1
            name = names[at] if at >= 0 else "(unknown)"
        sums[name] = sums.get(name, 0) + int(insns) * int(times)
    return sums


def counted(lines):
    """The names of what was counted, in the order of the counts."""
    return [line.split()[1] for line in lines if line.startswith("#count ")]


def report(name, sums, top):
    """For people."""
    total = sum(sums.values())
    out = [f"{name}: {total} instructions"]
    for function, n in sorted(sums.items(), key=lambda item: -item[1])[:top]:
        out.append(f"  {n:12} {n / total:6.1%}  {shorter(function)}")
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--top", type=int, default=15, help="functions of each")
    parser.add_argument("--only", default="", help="what has this in its name")
    parser.add_argument("directory")
    args = parser.parse_args()
    guests = sorted(glob.glob(os.path.join(args.directory, "*.profile")))
    if not guests:
        sys.exit(f"bench_profile: no profile in {args.directory}")
    for guest in guests:
        with open(guest.removesuffix(".profile") + ".samples", encoding="utf-8") as f:
            names = counted(f)
        with open(os.path.join(guest, "kallsyms"), encoding="utf-8") as f:
            symbols = read_symbols(f)
        # The last round of each: the others have warmed up what there is.
        for name, i in {name: i for i, name in enumerate(names)}.items():
            if args.only in name:
                with open(os.path.join(guest, f"counts.{i}"), encoding="utf-8") as f:
                    print(report(name, by_function(f, symbols), args.top))


if __name__ == "__main__":
    main()
