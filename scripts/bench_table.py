#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The table of scripts/bench: reads DIR/GUEST.samples, lines 'NAME VALUE', prints
the ratios with their targets, and leaves them in DIR/bench.txt and DIR/bench.json.
With --limits the status is 1 if a ratio is beyond what CI tolerates."""

import argparse
import fnmatch
import json
import os
import statistics
import sys

PAGE = 4096
ENTRY = 2 << 20
PIN_TARGET, ABSENT_TARGET, SLAB_TARGET = 1.05, 1.005, 256
# For a hundred times the load: look-ups in trees may become that much deeper.
SCALE_TARGET = 1.10
# What --limits tolerates, the first that fits: what is missed today is not to
# become worse (see Documentation/performance.rst). None: it is known to grow.
LIMITS = (("absent *", 1.01), ("nodax *", 1.01),
          ("scale one-file-*", None), ("scale *", 1.25),
          ("* pin/fast/2m/512-a-call", 4.5), ("* unpin/*/4k/*", 2.2), ("*", 2.0))


def read_samples(lines):
    """{name: [values]}; lines with # are for bench_profile.py."""
    samples = {}
    for line in lines:
        if line.startswith("#"):
            continue
        words = line.split()
        if len(words) != 2:
            raise ValueError(f"not a sample: {line!r}")
        samples.setdefault(words[0], []).append(float(words[1]))
    return samples


def spread(values):
    """The middle half of the values, relative to the median."""
    if len(values) < 2 or not statistics.median(values):
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / statistics.median(values)


def limit_of(group, name):
    """What --limits tolerates."""
    return next(limit for pattern, limit in LIMITS
                if fnmatch.fnmatchcase(f"{group} {name}", pattern))


def row(group, name, ours, base, scale=1.0, target=None, limited=False):
    """One line of the table: medians, per unit, of two lists of samples. Limited: to have
    a limit, though it has no target."""
    value, reference = statistics.median(ours), statistics.median(base)
    if not reference:
        raise ValueError(f"{group} {name}: nothing was counted")
    return {"group": group, "name": name, "value": value / scale,
            "base": reference / scale, "ratio": value / reference,
            "noise": max(spread(ours), spread(base)),
            "rounds": min(len(ours), len(base)),
            "target": target, "limit": limit_of(group, name) if target or limited else None}


def against_anonymous(group, samples, size):
    """Each '.../dax' against its '.../anon'."""
    rows = []
    for name in samples:
        base, _, what = name.rpartition("/")
        if what != "dax" or base.split("/")[0] not in ("pin", "unpin", "reg", "dereg"):
            continue
        parts = base.split("/")
        units = 1.0
        if "small" not in parts:
            units = size[parts[0] in ("pin", "unpin")] / (ENTRY if "2m" in parts else PAGE)
        target = None if "small" in parts else PIN_TARGET
        rows.append(row(group, base, samples[name], samples[base + "/anon"], units,
                        target))
    return rows


def against_unpatched(group, ours, base):
    """Each sample of the patched kernel against the unpatched one."""
    return [row(group, name, values, base[name], 1.0, ABSENT_TARGET)
            for name, values in ours.items() if name != "pins/bytes"]


def slab(samples):
    """Bytes for each MR: a difference, not a ratio."""
    rows = []
    for name in ("slab/live/dax/all", "slab/after/dax/all"):
        if name not in samples:
            continue
        ours = statistics.median(samples[name])
        base = statistics.median(samples[name.replace("dax", "anon")])
        when = name.split("/")[1]
        target = SLAB_TARGET if when == "live" else None
        rows.append({"group": "slab", "name": f"bytes for each MR, {when}", "value": ours,
                     "base": base, "more": ours - base, "rounds": 1, "noise": 0.0,
                     "target": target, "limit": target and 2 * target})
    return rows


def numbered(samples, group):
    """{name: {number: values}} of what is called GROUP/NAME/NUMBER."""
    found = {}
    for name, values in samples.items():
        if name.startswith(group + "/"):
            what, _, number = name.removeprefix(group + "/").rpartition("/")
            found.setdefault(what, {})[int(number)] = values
    return found


def scaling(samples):
    """With all of the load against the least of it."""
    rows = []
    for what, loads in numbered(samples, "scale").items():
        low, high = min(loads), max(loads)
        rows.append(row("scale", f"{what}, load {high} % : {low} %", loads[high], loads[low],
                        1.0, SCALE_TARGET))
    return rows


def latency(group, samples):
    """Against a F_WRLCK lease on the same file, broken by truncate() or, where that is
    said, by open()."""
    if "latency/notice/fd" not in samples:
        return []
    pairs = [(when, what, "wrlck") for when in ("notice", "end") for what in ("longterm", "fd")]
    return [row(group, f"latency/{when}/{what} : {base}", samples[f"latency/{when}/{what}"],
                samples[f"latency/{when}/{base}"], limited=True)
            for when, what, base in pairs + [("notice", "longterm", "wrlck-open")]]


def holders(samples):
    """A break: by holder against F_RDLCK leases, and the many against ten."""
    rows, found = [], numbered(samples, "holders")
    for what, by_number in found.items():
        kind, when = what.split("/")
        if kind == "rdlck":
            continue
        for n, values in by_number.items():
            rows.append(row("holders", f"{when}, {n} {kind} : rdlck", values,
                            found[f"rdlck/{when}"][n], n, limited=True))
    for what, by_number in found.items():
        few, many = 10, max(by_number)
        if few in by_number and many > few:
            each = {n: [value / n for value in by_number[n]] for n in (few, many)}
            kind, when = what.split("/")
            rows.append(row("holders", f"{when}, each of {kind}, {many} : {few}", each[many],
                            each[few], target=None if kind == "rdlck" else SCALE_TARGET))
    return rows


def punch(samples):
    """In a file that has much pinned elsewhere, against one that has not."""
    rows, found = [], numbered(samples, "punch")
    for what, by_number in found.items():
        kind, state = what.split("/")
        for n, values in by_number.items():
            if state == "pinned":
                name = f"{n} regions" if kind == "many" else f"a region of {2 * n} pages"
                rows.append(row("punch", f"{name} elsewhere", values,
                                found[f"{kind}/unpinned"][n], target=SCALE_TARGET))
    return rows


def curves(samples):
    """{name: [(how many, instructions)]} of what is measured with more and more."""
    found = {}
    for group in ("scale", "holders", "punch"):
        for what, by_number in numbered(samples, group).items():
            shape = "one-file-" if what.startswith("one-file-") else ""
            for n, values in sorted(by_number.items()):
                many = n
                if group == "scale":
                    many = samples[f"load/{shape}regions/{n}"][0]
                found.setdefault(f"{group}/{what}", []).append(
                    (many, statistics.median(values)))
    return found


def exactness(samples):
    """Loops of n turns of two instructions: what is counted beyond them."""
    rows = []
    for name, values in samples.items():
        if name.startswith("loop/"):
            turns = int(name.split("/")[1])
            rows.append(row("exact", f"{2 * turns} instructions", values,
                            [2.0 * turns], 1.0))
            rows[-1]["rounds"] = len(values)
    return rows


def table(guests):
    """All rows of what was measured; guests: {name: samples}."""
    rows = []
    for name, samples in guests.items():
        if name.startswith("patched-"):
            fs = name.split("-")[1]
            size = {True: samples.get("pins/bytes", [0])[0],
                    False: samples.get("mrs/bytes", [0])[0]}
            rows += exactness(samples)
            rows += against_anonymous(fs, samples, size)
            rows += slab(samples)
            rows += scaling(samples)
            rows += latency(fs, samples)
            rows += holders(samples)
            rows += punch(samples)
    for what in ("absent", "nodax"):
        if f"{what}-patched" in guests and f"{what}-unpatched" in guests:
            rows += against_unpatched(what, guests[f"{what}-patched"],
                                      guests[f"{what}-unpatched"])
    return rows


def measure_of(entry):
    """What is held against target and limit."""
    return entry["more"] if "more" in entry else entry["ratio"]


def beyond(entry, key):
    """Is it worse than its target, or its limit?"""
    return entry[key] is not None and measure_of(entry) > entry[key]


def text(rows):
    """For people."""
    lines = [f"{'':8} {'':38} {'ours':>12} {'base':>12} {'ratio':>8} {'target':>7} {'noise':>7}"]
    for entry in rows:
        shown = f"{entry['more']:+8.0f}" if "more" in entry else f"{entry['ratio']:8.4f}"
        target = f"{entry['target']:7g}" if entry["target"] is not None else " " * 7
        lines.append(f"{entry['group']:8} {entry['name']:38} {entry['value']:12.1f} "
                     f"{entry['base']:12.1f} {shown} {target} {entry['noise']:6.2%}"
                     + (" MISSED" if beyond(entry, "target") else ""))
    return "\n".join(lines) + "\n"


def read_guests(directory):
    guests = {}
    for name in sorted(os.listdir(directory)):
        if name.endswith(".samples"):
            with open(os.path.join(directory, name), encoding="utf-8") as f:
                guests[name.removesuffix(".samples")] = read_samples(f)
    return guests


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limits", action="store_true")
    parser.add_argument("directory")
    args = parser.parse_args()
    guests = read_guests(args.directory)
    rows = table(guests)
    if not rows:
        sys.exit("bench_table: nothing was measured")
    out = text(rows)
    print(out, end="")
    with open(os.path.join(args.directory, "bench.txt"), "w", encoding="utf-8") as f:
        f.write(out)
    with open(os.path.join(args.directory, "bench.json"), "w", encoding="utf-8") as f:
        json.dump({"rows": rows, "curves": curves(guests.get("patched-ext4", {}))}, f,
                  indent=1)
        f.write("\n")
    missed = [entry for entry in rows if beyond(entry, "target")]
    over = [entry for entry in rows if beyond(entry, "limit")]
    print(f"{len(rows)} rows, {len(missed)} beyond their target, {len(over)} beyond their limit")
    if args.limits and over:
        for entry in over:
            print(f"beyond its limit of {entry['limit']}: {entry['group']} {entry['name']}",
                  file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
