# SPDX-License-Identifier: GPL-2.0
"""
Every step of the state machine in the whole run, as longterm:break_state tells.

The runner collects after each test, in a trace instance of its own: the tests
clear theirs.
"""
import os
import re

from . import guest

INSTANCE = guest.TRACING + "/instances/machine"
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data",
                     "transitions")
STEP = re.compile(r": break_state: dev=(\S+) ino=(\d+) from=(\w+) input=(\w+) "
                  r"to=(\w+)$")
BUFFER_KB = 4096    # for each processor: enough for the longest test

seen = {}       # (from, input, to): the test that came by first
problems = []   # what can't be, and in which test


def table():
    """All steps that there are: {(from, input, to)}."""
    return {tuple(line.split()) for line in guest.read(TABLE).splitlines()
            if not line.startswith("#")}


def start():
    os.makedirs(INSTANCE, exist_ok=True)
    guest.write(INSTANCE + "/trace_clock", "mono")
    guest.write(INSTANCE + "/buffer_size_kb", BUFFER_KB)
    guest.write(INSTANCE + "/events/longterm/break_state/enable", 1)


def insmod():
    """And all that the runner wants to see of the module."""
    guest.must("insmod", guest.MODULE, timeout=300)
    guest.trace_start()
    start()


def drain():
    """The lines since the last time; they are gone then."""
    pipe = os.open(INSTANCE + "/trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
    text = b""
    try:
        while True:
            more = os.read(pipe, 65536)
            if not more:
                break
            text += more
    except BlockingIOError:
        pass
    os.close(pipe)
    return text.decode(errors="replace").splitlines()


def follow(lines, test):
    """
    Notes the steps.  With the test all of its breaks are over, so that each
    file's begin in idle, follow one another, and end there.
    """
    at = {}
    for line in lines:
        if "LOST" in line:
            problems.append(f"{test}: the trace lost events: {line.strip()}")
        step = STEP.search(line)
        if not step:
            continue
        dev, ino, before, what, after = step.groups()
        seen.setdefault((before, what, after), test)
        if at.get((dev, ino), "idle") != before:
            problems.append(f"{test}: {at.get((dev, ino), 'idle')} was left as "
                            f"{before}: {line.strip()}")
        at[dev, ino] = after
    problems.extend(f"{test}: inode {ino} was left {phase}"
                    for (_, ino), phase in at.items() if phase != "idle")


def collect(test):
    if os.path.exists(INSTANCE):
        follow(drain(), test)
