# SPDX-License-Identifier: GPL-2.0
"""Every step of the machine that runs a break, as the trace tells them."""
import errno
import signal
import time

from lib import guest, machine
from lib.calls import PUNCH_HOLE
from lib.case import test
from lib.guest import NOBODY

SIZE = 4 * guest.MIB
HALF = SIZE // 2
# Half of one is for starting two processes.
PERIOD = 2 if guest.SLOW == 1 else 4


def steps(path):
    """(from, input, to) of the file's breaks so far."""
    return [(f["from"], f["input"], f["to"]) for _, _, f in
            guest.trace_events("break_state", ino=guest.inode_of(path))]


def taken(path, *step):
    guest.wait_for(lambda: step in steps(path), " ".join(step))


def untouchable(t, path, length=SIZE, offset=0):
    """A holder whom no break may signal, so that it goes through all phases."""
    h = t.holder(path, length, offset=offset)
    h.drop_to(NOBODY)
    return h


def breaker(t, path, offset=0, length=SIZE):
    """It can be interrupted."""
    b = t.proc()
    b.catch_sigusr1()
    return b.go.fallocate(b.open(path), PUNCH_HOLE, offset, length)


def reach(t, path, phase, *where):
    """A breaker that waits, in a break that has got so far."""
    punch = breaker(t, path, *where)
    guest.wait_for(lambda: steps(path)[-1:] and steps(path)[-1][2] == phase,
                   f"phase {phase}")
    return punch


def give_up(t, punch):
    t.blocked(punch, "punch")
    punch.proc.signal(signal.SIGUSR1)
    t.errno(errno.EINTR, punch, "punch")


def every_way_out(t, phase):
    path = t.file()
    h = untouchable(t, path)
    first = reach(t, path, phase)
    second = breaker(t, path)
    taken(path, phase, "join", phase)
    give_up(t, second)
    taken(path, phase, "leave", phase)
    give_up(t, first)
    taken(path, phase, "tick", "idle")

    give_up(t, reach(t, path, phase))
    h.kill()
    taken(path, phase, "abandon", "idle")

    h = untouchable(t, path)
    punches = [reach(t, path, phase), breaker(t, path)]
    guest.wait_for(lambda: steps(path).count((phase, "join", phase)) == 2,
                   "the second breaker")
    h.unpin_all()
    for punch in punches:
        t.errno(0, punch, "punch")
    taken(path, phase, "done", phase)
    taken(path, phase, "done", "idle")


@test(break_time=PERIOD)
def notified(t):
    every_way_out(t, "notified")


@test(break_time=PERIOD, limit=30)
def revoked(t):
    every_way_out(t, "revoked")


@test(break_time=PERIOD, limit=40)
def killed(t):
    guest.set_sysctl("sigkill", 1)
    every_way_out(t, "killed")


@test(break_time=PERIOD)
def killed_meets_a_fresh_holder(t):
    """Who had no notice yet has the whole ladder before it."""
    guest.set_sysctl("sigkill", 1)
    path = t.file()
    old = untouchable(t, path, HALF)
    t.errno(errno.ETXTBSY, reach(t, path, "killed", 0, HALF), "first punch")
    taken(path, "killed", "tick", "expired")
    fresh = untouchable(t, path, HALF, HALF)
    reach(t, path, "killed", 0, HALF)
    t.eq(steps(path)[-1], ("idle", "begin_spent", "killed"), "the second break")
    late = breaker(t, path, HALF, HALF)
    taken(path, "killed", "join", "notified")
    fresh.unpin_all()
    t.errno(0, late, "punch of what the fresh one held")
    t.true(old.alive(), "the other one died")


def late_in(t, path, phase, periods):
    """A breaker that waits and will see the end of the ladder; the time is half a period before."""
    first = reach(t, path, phase, 0, HALF)
    began = guest.trace_events("break_state", input="begin")[-1][0]
    guest.wait_for(lambda: time.monotonic() > began + (periods - 0.5) * PERIOD,
                   "the middle of the last period")
    return first


@test(break_time=PERIOD)
def expired(t):
    """Who comes late has a period of its own, beyond the end of the ladder."""
    path = t.file()
    h = untouchable(t, path)
    first = late_in(t, path, "revoked", 2)
    late = [breaker(t, path), breaker(t, path)]
    guest.wait_for(lambda: steps(path).count(("revoked", "join", "revoked")) == 2,
                   "the late breakers")
    t.errno(errno.ETXTBSY, first, "first punch")
    taken(path, "expired", "leave", "expired")
    h.unpin_all()
    for punch in late:
        t.errno(0, punch, "late punch")
    taken(path, "expired", "done", "expired")
    taken(path, "expired", "done", "idle")


def begins_anew(t, path, phase, periods):
    """After the end of a ladder the next break begins, though not all have left the first."""
    h = untouchable(t, path, HALF)
    first = late_in(t, path, phase, periods)
    late = breaker(t, path, 0, HALF)
    taken(path, phase, "join", phase)
    t.errno(errno.ETXTBSY, first, "first punch")
    taken(path, "expired", "leave", "expired")
    return h, late


@test(break_time=PERIOD)
def expired_meets_a_spent_holder(t):
    path = t.file()
    h, late = begins_anew(t, path, "revoked", 2)
    again = breaker(t, path, 0, HALF)
    taken(path, "expired", "begin_spent", "revoked")
    t.errno(errno.ETXTBSY, late, "late punch")
    h.unpin_all()
    t.errno(0, again, "punch after the unpin")


@test(break_time=PERIOD)
def expired_meets_a_spent_holder_with_sigkill(t):
    guest.set_sysctl("sigkill", 1)
    path = t.file()
    h, late = begins_anew(t, path, "killed", 3)
    again = breaker(t, path, 0, HALF)
    taken(path, "expired", "begin_spent", "killed")
    h.unpin_all()
    t.errno(0, late, "late punch")
    t.errno(0, again, "punch after the unpin")


@test(break_time=PERIOD)
def expired_meets_a_fresh_holder(t):
    path = t.file()
    fresh = t.holder(path, HALF, offset=HALF)
    h, late = begins_anew(t, path, "revoked", 2)
    t.true(fresh.sig(), "no notice of the first break")
    other = breaker(t, path, HALF, HALF)
    taken(path, "expired", "begin", "notified")
    t.true(fresh.sig(), "no notice of the next break")
    h.unpin_all()
    t.errno(0, late, "late punch")
    fresh.unpin_all()
    t.errno(0, other, "punch of what the fresh one held")


@test
def all_seen_and_no_other(t):
    """In the whole run so far, of all tests."""
    table = machine.table()
    t.true(table, "the list of steps is empty")
    t.eq(machine.problems, [], "what the trace can't show")
    t.eq(sorted(set(machine.seen) - table), [], "steps that the machine has not")
    t.eq(sorted(table - set(machine.seen)), [], "steps that no test has taken")
