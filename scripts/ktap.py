#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Read KTAP results and hold them against the list of expected tests.

usage: scripts/ktap.py check EXPECTED DIR    a line a test, failures last, then the closing line
       scripts/ktap.py list DIR              lines for the list of expected tests

DIR holds one file for each group of tests that was run, GROUP.ktap, and a file
'groups' that names those that were to be run, one a line; host-* stands for all
that begin so. In a file 'shared' each line names groups of which it is enough if
one has run a test. EXPECTED is searched for these groups; its head describes it.
Status 0 if every expected test passed, or was skipped with a listed reason.
"""

import fnmatch
import itertools
import os
import re
import sys

RESULT = re.compile(r"^(\s*)(not )?ok (\d+)(?:\s+-)?\s*(.*?)(?:\s+#\s*(.*))?$")
PLAN = re.compile(r"^(\s*)1\.\.(\d+)")


def parse(text):
    """Yield (name, 'ok' | 'failed' | 'skip', remark, diagnostics) for each leaf;
    a broken plan is a failure of its own."""
    levels = {}      # indentation -> leaves since the last result outside
    plans = {}       # indentation -> [expected, seen]
    notes = []
    top = []

    def close(depth):
        if depth in plans:
            wanted, seen = plans.pop(depth)
            if wanted != seen:
                top.append((f"plan-{len(top)}", "failed",
                            f"{seen} of {wanted} tests ended", []))

    for line in text.splitlines():
        plan = PLAN.match(line)
        if plan:
            depth = len(plan[1])
            close(depth)
            plans[depth] = [int(plan[2]), 0]
            continue
        if re.match(r"^\s*Bail out!", line):
            top.append((f"bail-out-{len(top)}", "failed", line.strip(), notes))
            notes = []
            continue
        result = RESULT.match(line)
        if not result:
            if re.match(r"^\s*#", line):
                notes.append(line.strip())
            continue
        depth = len(result[1])
        name, remark = result[4].strip() or result[3], result[5] or ""
        for deeper in [d for d in plans if d > depth]:
            close(deeper)
        inner = []
        for deeper in sorted(d for d in levels if d > depth):
            inner += levels.pop(deeper)
        skip = remark.upper().startswith("SKIP")
        state = "failed" if result[2] else "skip" if skip else "ok"
        if depth in plans:
            plans[depth][1] += 1
        if inner:
            leaves = [(f"{name}.{leaf[0]}",) + leaf[1:] for leaf in inner]
            if state == "failed" and all(leaf[1] != "failed" for leaf in leaves):
                leaves.append((name, state, remark, notes))
        else:
            leaves = [(name, state, remark, notes)]
        notes = []
        levels.setdefault(depth, []).extend(leaves)
    for depth in list(plans):
        close(depth)
    return list(itertools.chain(*(levels[d] for d in sorted(levels)))) + top


def braces(text):
    """a-{b,c} -> a-b, a-c"""
    found = re.search(r"\{([^{}]*)\}", text)
    if not found:
        return [text]
    return [one for part in found[1].split(",")
            for one in braces(text[:found.start()] + part + text[found.end():])]


def expected(path):
    """{full name: reason for a permitted skip, or None}"""
    tests = {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            name, _, remark = line.strip().partition("#")
            name, remark = name.strip(), remark.strip()
            if not name:
                continue
            reason = None
            if remark:
                if not remark.startswith("SKIP-OK:"):
                    sys.exit(f"{path}:{number}: a remark must be '# SKIP-OK: reason'")
                reason = remark[len("SKIP-OK:"):].strip()
            for one in braces(name):
                if one in tests:
                    sys.exit(f"{path}:{number}: {one} stands there twice")
                tests[one] = reason
    return tests


def read(directory):
    """Groups in the order of their files, each with its results."""
    for file in sorted(os.listdir(directory)):
        if file.endswith(".ktap"):
            with open(os.path.join(directory, file), encoding="utf-8",
                      errors="replace") as text:
                yield file[:-len(".ktap")], parse(text.read())


def planned(directory, wanted):
    """Groups that were to be run, whether or not they left a file."""
    try:
        with open(os.path.join(directory, "groups"), encoding="utf-8") as lines:
            patterns = lines.read().split()
    except FileNotFoundError:
        return set()
    known = {name.split("/", 1)[0] for name in wanted}
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            sys.exit(f"no test of group {pattern} is in the list of expected tests")
    return {group for pattern in patterns for group in fnmatch.filter(known, pattern)}


def sharing(directory):
    """{group: the groups that may have run a test in its stead}"""
    try:
        with open(os.path.join(directory, "shared"), encoding="utf-8") as lines:
            return {group: line.split() for line in lines for group in line.split()}
    except FileNotFoundError:
        return {}


def check(wanted, directory):
    count = {"passed": 0, "failed": 0, "skipped": 0}
    groups, seen, failures = set(), set(), []

    def tell(kind, name, remark="", notes=()):
        count[kind] += 1
        line = f"{kind:8}{name}" + (f"  ({remark})" if remark else "")
        if kind == "failed":
            failures.append((line, notes))
        else:
            print(line)

    for group, results in read(directory):
        groups.add(group)
        for leaf, state, remark, notes in results:
            name = f"{group}/{leaf}"
            if name in seen:
                tell("failed", name, "reported twice")
            elif state == "failed":
                tell("failed", name, remark, notes)
            elif name not in wanted:
                tell("failed", name, "passed or skipped, but is not in the list of expected tests")
            elif state == "skip" and not wanted[name]:
                tell("failed", name, f"skipped without a listed reason: {remark}")
            elif state == "skip":
                tell("skipped", name, wanted[name])
            else:
                tell("passed", name)
            seen.add(name)
    groups |= planned(directory, wanted)
    shared = sharing(directory)
    for name in wanted:
        group, test = name.split("/", 1)
        elsewhere = any(f"{other}/{test}" in seen for other in shared.get(group, ()))
        if group in groups and name not in seen and not elsewhere:
            tell("failed", name, "missing: it is in the list of expected tests")
    # Last, for of a long output the end is what people see.
    for line, notes in failures:
        print(line)
        for note in notes:
            print(f"          {note}")
    # Once more in short: the notes may be longer than what is kept of an output.
    if any(notes for _, notes in failures):
        for line, _ in failures:
            print(line)
    skipped = f", {count['skipped']} skipped" if count["skipped"] else ""
    print(f"{count['passed']} passed, {count['failed']} failed{skipped}")
    return 0 if count["passed"] and not count["failed"] else 1


def main(arguments):
    if len(arguments) == 3 and arguments[0] == "check":
        return check(expected(arguments[1]), arguments[2])
    if len(arguments) == 2 and arguments[0] == "list":
        for group, results in read(arguments[1]):
            for leaf, state, remark, _ in results:
                print(f"{group}/{leaf}" + (f" # SKIP-OK: {remark}" if state == "skip" else ""))
        return 0
    print(__doc__.strip(), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
