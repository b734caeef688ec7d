# SPDX-License-Identifier: GPL-2.0
"""Pins and breaks at the same time: no pin slips in between."""
import os
import time

from lib import calls, guest
from lib.case import RACES, test

SIZE = 4 * guest.MIB
# Long enough for a few rounds on the slowest kernel.
SECONDS = 3 * guest.SLOW


def race(t, pinner, breaker):
    """Both loop for a while, each in a process; what each has counted."""
    path = t.file()
    a, b = t.proc(), t.proc()
    until = time.monotonic() + SECONDS
    left = a.go.loop(pinner, path, until)
    right = b.go.loop(breaker, path, until)
    return path, (left.result(60 * guest.SLOW), right.result(60 * guest.SLOW))


@test(limit=60, kernels=RACES)
def pin_against_truncate(t):
    """
    A holder that pins, checks that its pages still are the file, and reacts;
    a breaker that truncates and grows.
    """
    path, (pins, cuts) = race(t, "pin_and_check", "cut_and_grow")
    t.true(pins > 1, f"only {pins} pins")
    t.true(cuts > 3, f"only {cuts} truncates")
    guest.wait_for(lambda: not guest.module_users(), "all is given back")
    t.eq(calls.truncate(path, 0), 0, "last truncate")


@test(limit=60, kernels=RACES)
def pin_against_punch(t):
    _, (pins, cuts) = race(t, "pin_and_check", "punch_and_fill")
    t.true(pins > 1, f"only {pins} pins")
    t.true(cuts > 3, f"only {cuts} punches")


@test(limit=60, kernels=RACES)
def lease_against_exit(t):
    """Holders that die in every state leave nothing."""
    path = t.file()
    b = t.proc()
    for delay in (0.0, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032):
        h = t.proc()
        work = h.go.loop("pin_mr", path, time.monotonic() + 60)
        guest.wait_for(lambda: guest.locks(path) or work.done(), "a lease")
        t.true(not work.done(), "the holder's loop ended")
        cut = b.go.truncate(path, SIZE // 2)
        time.sleep(delay)   # where in its work it dies: any point will do
        h.kill()
        t.errno(0, cut, "truncate after the holder's death")
        guest.make_file(path, SIZE)
    guest.wait_for(lambda: not guest.locks() and not guest.module_users(),
                   "all is given back")


@test(limit=60, kernels=RACES)
def many_holders_many_breakers(t):
    path = t.file()
    until = time.monotonic() + SECONDS
    holders = [t.proc() for _ in range(3)]
    breakers = [t.proc() for _ in range(2)]
    work = [h.go.loop("pin_mr", path, until) for h in holders]
    work += [b.go.loop("cut_and_grow", path, until) for b in breakers]
    counts = [w.result(60 * guest.SLOW) for w in work]
    t.true(sum(counts[:3]) > 3, f"counts {counts}")
    t.true(sum(counts[3:]) > 1, f"counts {counts}")
    t.eq(guest.locks(path), [], "/proc/locks")
    t.errno(0, lambda: os.truncate(path, 0), "last truncate")
    t.eq(os.stat(path).st_blocks, 0, "blocks")
