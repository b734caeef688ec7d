#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
usage: compare_clients.py counts|rates UNPATCHED PATCHED

Two files that tests/e2e/clients wrote: on the unpatched kernel, with anonymous
memory and tmpfs, and on ours with the module, with DAX and anonymous memory.
counts: each client has sent and received on DAX just what it has on the
unpatched kernel.  rates: the best of each as ratios, as other work on the machine
only ever slows, and the range of all pairs; one below BOUND is an error.
"""
import collections
import json
import sys

BOUND = 0.2     # of what can only be told apart from noise by a factor


def read(path):
    """{(client, memory): [lines]}"""
    found = collections.defaultdict(list)
    with open(path, encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            found[line.pop("client"), line.pop("memory")].append(line)
    return found


def names(found):
    return sorted({client for client, _ in found})


def one(found, client, memory, field):
    """That value, which is the same in all rounds; None where it is not."""
    values = {line[field] for line in found[client, memory]}
    return values.pop() if len(values) == 1 else None


def counts(base, ours):
    bad = 0
    for client in names(base):
        for field, there in ("messages", "anonymous"), ("arrived", "tmpfs"):
            want = one(base, client, there, field)
            got = one(ours, client, "dax", field)
            good = want is not None and want == got and want > 0
            bad += not good
            print(f"{client}: {field}: {want} in {there} memory without us, "
                  f"{got} in DAX{'' if good else ' <<<'}")
    return bad


def ratio(client, what, top, bottom):
    top, bottom = ([line["rate"] for line in lines if line["rate"]]
                   for lines in (top, bottom))
    if not top or not bottom:
        print(f"{client}: could not time itself: {what} <<<")
        return True
    best = max(top) / max(bottom)
    print(f"{client}: {best:.2f} ({min(top) / max(bottom):.2f} to "
          f"{max(top) / min(bottom):.2f}) {what}"
          f"{'' if best >= BOUND else ' <<<'}")
    return best < BOUND


def rates(base, ours):
    return sum(
        ratio(client, "DAX to anonymous without us", ours[client, "dax"],
              base[client, "anonymous"]) +
        ratio(client, "DAX to anonymous on our kernel", ours[client, "dax"],
              ours[client, "anonymous"]) for client in names(base))


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("counts", "rates"):
        sys.exit(__doc__)
    base, ours = map(read, sys.argv[2:])
    if not base or names(base) != names(ours):
        sys.exit(f"not the same clients: {names(base)}, {names(ours)}")
    return 1 if (counts if sys.argv[1] == "counts" else rates)(base, ours) else 0


if __name__ == "__main__":
    sys.exit(main())
