# SPDX-License-Identifier: GPL-2.0
"""The life of a generation: who keeps it alive, who ends it, who comes late."""
import errno
import os
import signal
import time

from lib import guest
from lib.calls import F_LONGTERM, F_UNLCK, PUNCH_HOLE
from lib.case import test

SIZE = 8 * guest.MIB
HALF = SIZE // 2


def nonblocking(t, path):
    """A breaker that does not wait."""
    b = t.proc()
    return b, b.open(path, os.O_RDWR | os.O_NONBLOCK)


@test(break_time=1)
def ends_although_breakers_keep_coming(t):
    """Who retries without end keeps nobody's F_SETLEASE waiting without end."""
    path = t.file()
    h = t.holder(path, lease=None)
    h.block_sigbus()
    b, fd = nonblocking(t, path)
    t.errno(errno.EAGAIN, b.go.ftruncate(fd, 0), "the break begins")
    other = t.proc()
    take = other.go.lease(other.open(path))
    t.blocked(take, "F_SETLEASE during the break")
    tries = 0
    while not take.done(0.4):
        t.true(b.go.ftruncate(fd, 0).errno() in (errno.EAGAIN, errno.ETXTBSY),
               "another try")
        tries += 1
        t.true(tries < 20 * guest.SLOW, "F_SETLEASE still waits")
    t.errno(0, take, "F_SETLEASE")
    t.true(h.alive(), "holder died")


@test(break_time=1)
def retries_reach_the_end_of_the_ladder(t):
    """EAGAIN while there is something to come back for, then ETXTBSY."""
    path = t.file()
    h = t.holder(path)
    h.block_sigbus()
    b, fd = nonblocking(t, path)
    first = b.go.ftruncate(fd, 0)
    t.errno(errno.EAGAIN, first, "the break begins")
    t.true(h.sig(), "no notice")
    seen = []

    def over():
        seen.append(b.go.ftruncate(fd, 0))
        return seen[-1].errno() != errno.EAGAIN
    guest.wait_for(over, "the end of the ladder", 5 * guest.SLOW)
    t.errno(errno.ETXTBSY, seen[-1], "the last try")
    t.between(1.9, seen[-1].ended - first.began, 2.9, "the last try")
    t.errno(errno.ETXTBSY, b.go.ftruncate(fd, 0), "one more")
    t.true(h.sigbus(0), "no SIGBUS")
    t.eq((h.sig(0), h.sigbus(0)), (None, None), "second signals")


@test(break_time=2)
def late_breaker_stops_its_own_holders(t):
    """They had notice at t0; their time is up although nobody was in their way then."""
    path = t.file(SIZE)
    near, far = t.holder(path, HALF), t.holder(path, HALF, offset=HALF)
    near.block_sigbus()
    b, late = t.proc(), t.proc()
    first = b.go.fallocate(b.open(path), PUNCH_HOLE, 0, HALF)
    t.true(near.sigbus(), "no SIGBUS")
    t.true(far.alive(), "the other holder is not in the way")
    t.true(far.sig(0), "the other holder had no notice")
    second = late.go.fallocate(late.open(path), PUNCH_HOLE, HALF, HALF)
    t.errno(0, second, "punch of the other half")
    t.between(0, second.took, 1.5, "punch of the other half")
    t.eq(os.WTERMSIG(far.wait()), signal.SIGBUS, "the other holder killed by")
    t.errno(errno.ETXTBSY, first, "the first punch")
    t.eq(near.sigbus(0), None, "second SIGBUS")


@test(break_time=2)
def fresh_holder_gets_the_whole_ladder(t):
    """A break of spent holders does not cut the time of one who is not."""
    path = t.file(SIZE)
    old = t.holder(path, HALF)
    old.block_sigbus()
    b = t.proc()
    fd = b.open(path)
    t.errno(errno.ETXTBSY, b.go.fallocate(fd, PUNCH_HOLE, 0, HALF), "first ladder")
    t.true(old.sigbus(0), "no SIGBUS in the first ladder")
    fresh = t.holder(path, HALF, offset=HALF)
    again = b.go.fallocate(fd, PUNCH_HOLE, 0, HALF)
    t.true(fresh.sig(), "no notice")
    late = t.proc()
    cut = late.go.fallocate(late.open(path), PUNCH_HOLE, HALF, HALF)
    t.errno(errno.ETXTBSY, again, "spent holders: one period")
    t.between(1.9, again.took, 2.8, "spent holders: one period")
    t.errno(0, cut, "punch of what the fresh one holds")
    t.eq(os.WTERMSIG(fresh.wait()), signal.SIGBUS, "killed by")
    t.eq(old.sigbus(0), None, "second SIGBUS")


@test(break_time=1)
def ends_although_breakers_take_turns(t):
    """Two that try again as soon as they are refused, half a period apart."""
    path = t.file()
    h = t.holder(path, lease=None)
    h.block_sigbus()
    pair = [t.proc(), t.proc()]
    cuts = [pair[0].go.truncate(path, 0)]
    t.true(h.sigbus(), "no SIGBUS")
    cuts.append(pair[1].go.truncate(path, 0))
    other = t.proc()
    take = other.go.lease(other.open(path))
    t.blocked(take, "F_SETLEASE during the break")
    tries = 0
    while not take.done(0.02):
        for i, cut in enumerate(cuts):
            if cut.done():
                t.errno(errno.ETXTBSY, cut, "truncate")
                cuts[i] = pair[i].go.truncate(path, 0)
                tries += 1
        t.true(tries < 10, "F_SETLEASE still waits")
    t.errno(0, take, "F_SETLEASE")
    h.unpin_all()
    for cut in cuts:    # one may have been refused just before
        t.true(cut.errno() in (0, errno.ETXTBSY), "last truncate")
    t.errno(0, pair[0].go.truncate(path, 0), "truncate after the unpin")


@test(break_time=1)
def no_second_sigbus_beside_a_fresh_holder(t):
    """A break of both sends it to who has not had it."""
    path = t.file(SIZE)
    old, b = t.holder(path, HALF), t.proc()
    old.block_sigbus()
    punch = b.go.fallocate(b.open(path), PUNCH_HOLE, 0, HALF)
    t.errno(errno.ETXTBSY, punch, "punch")
    t.true(old.sigbus(0), "no SIGBUS")
    fresh = t.holder(path, HALF, offset=HALF)
    fresh.block_sigbus()
    t.errno(errno.ETXTBSY, b.go.truncate(path, 0), "truncate")
    t.true(fresh.sigbus(0), "no SIGBUS for the fresh one")
    t.eq(old.sigbus(0), None, "second SIGBUS")


@test
def lease_does_not_wait_for_who_comes_later(t):
    """F_SETLEASE waits for the punch that was there before it, not for the next one."""
    path = t.file(SIZE)
    near, far = t.holder(path, HALF), t.holder(path, HALF, offset=HALF)
    b, other, late = t.proc(), t.proc(), t.proc()
    first = b.go.fallocate(b.open(path), PUNCH_HOLE, 0, HALF)
    t.true(near.sig(), "no notice")
    take = other.go.lease(other.open(path))
    t.blocked(take, "F_SETLEASE during the break")
    second = late.go.fallocate(late.open(path), PUNCH_HOLE, HALF, HALF)
    t.blocked(second, "the later punch")
    near.unpin_all()
    t.errno(0, first, "punch")
    t.errno(0, take, "F_SETLEASE")
    t.true(not second.done(), "the later punch has ended")
    far.unpin_all()
    t.errno(0, second, "the later punch")


@test(break_time=1)
def restarted_breaker_goes_on(t):
    """A handler with SA_RESTART does not begin the time anew."""
    path = t.file()
    h = t.holder(path)
    h.block_sigbus()
    b = t.proc()
    b.alarm_every(0.3)
    for bound in (2, 1):    # once through the ladder, then for a spent holder
        cut = b.go.truncate(path, 0)
        t.errno(errno.ETXTBSY, cut, "truncate")
        t.between(bound - 0.1, cut.took, bound + 0.8, "truncate")
    t.true(h.sig(0) and h.sigbus(0), "no signals")
    t.eq((h.sig(0), h.sigbus(0)), (None, None), "second signals")


def past_sigbus(t, path):
    """A break of the first half that has sent its SIGBUS, and its breaker."""
    h, b = t.holder(path, HALF), t.proc()
    h.block_sigbus()
    punch = b.go.fallocate(b.open(path), PUNCH_HOLE, 0, HALF)
    t.true(h.sigbus(), "no SIGBUS")
    return h, punch


@test(break_time=2)
def pinned_after_the_notice(t):
    """Who pins other blocks during a break is stopped in the next one, not at once."""
    path = t.file(SIZE)
    # To start a process, to fault pages in, to set up RDMA: each may take a period.
    young, late = t.proc(), t.proc()
    fd = late.open(path)
    addr = young.mmap(young.open(path), HALF, HALF)
    for at in range(0, HALF, 2 * guest.MIB):
        young.poke(addr + at, b"x")
    young.preopen_gup()
    _, first = past_sigbus(t, path)
    young.pin(addr, HALF, "gup")
    punch = late.go.fallocate(fd, PUNCH_HOLE, HALF, HALF)
    t.errno(errno.ETXTBSY, first, "the first punch")
    t.errno(errno.ETXTBSY, punch, "the late punch")
    t.between(1.9, punch.took, 2.9, "the late punch: a period of its own")
    t.true(young.alive(), "stopped without a period")
    punch = late.go.fallocate(fd, PUNCH_HOLE, HALF, HALF)
    t.errno(0, punch, "the next punch")
    t.between(1.9, punch.took, 2.9, "the next punch")
    t.eq(os.WTERMSIG(young.wait()), signal.SIGBUS, "killed by")


@test(break_time=2)
def stopped_late_killed_later(t):
    """SIGKILL comes a whole period after SIGBUS, for each region of a process."""
    guest.set_sysctl("sigkill", 1)
    path = t.file(SIZE)
    two, late = t.proc(), t.proc()
    fd = two.open(path)
    two.lease(fd)
    two.block_sigbus()
    addr = two.mmap(fd, SIZE)
    two.pin(addr + HALF, 4096)
    two.pin(addr + HALF + 4 * 4096, 4096)
    h, first = past_sigbus(t, path)
    since = time.monotonic()
    guest.wait_for(lambda: time.monotonic() > since + 1, "half of the next period")
    punch = late.go.fallocate(late.open(path), PUNCH_HOLE, HALF, HALF)
    t.true(two.sigbus(), "no SIGBUS for the second holder")
    t.eq(os.WTERMSIG(h.wait()), signal.SIGKILL, "the first holder killed by")
    t.errno(0, first, "the first punch")
    t.errno(errno.ETXTBSY, punch, "the late punch")
    t.true(two.alive(), "killed too early")


@test
def others_do_not_end_it(t):
    """A punch next door does not make the next try a new break."""
    path = t.file(SIZE)
    h = t.holder(path, HALF)
    b, fd = nonblocking(t, path)
    t.errno(errno.EAGAIN, b.go.ftruncate(fd, 0), "the break begins")
    t.true(h.sig(), "no notice")
    other = t.proc()
    t.errno(0, other.go.fallocate(other.open(path), PUNCH_HOLE, HALF, HALF),
            "punch of what nobody pins")
    t.eq(h.getlease(h.fd), F_UNLCK, "F_GETLEASE: the break is alive")
    t.errno(errno.EAGAIN, b.go.ftruncate(fd, 0), "the break goes on")
    t.eq(h.sig(0), None, "second notice")


@test
def taking_all_ends_it(t):
    """What the absent one wanted has happened, whoever did it."""
    path = t.file(SIZE)
    h = t.holder(path, HALF)
    b, fd = nonblocking(t, path)
    t.errno(errno.EAGAIN, b.go.fallocate(fd, PUNCH_HOLE, 0, HALF), "the break begins")
    h.unpin_all()
    t.eq(h.getlease(h.fd), F_UNLCK, "F_GETLEASE during the break")
    t.errno(0, t.proc().go.truncate(path, 0), "truncate")
    t.eq(h.getlease(h.fd), F_LONGTERM, "F_GETLEASE after it")


@test
def failed_operation_does_not_end_it(t):
    """The file became immutable while the truncate waited: all is checked again."""
    path = t.file()
    h = t.holder(path)
    cut = t.proc().go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    t.blocked(cut, "truncate")
    guest.must("chattr", "+i", path)
    try:
        h.unpin_all()
        t.errno(errno.EPERM, cut, "truncate of an immutable file")
    finally:
        guest.must("chattr", "-i", path)
    t.eq(h.getlease(h.fd), F_UNLCK, "F_GETLEASE: the change did not happen")
    t.errno(0, t.proc().go.truncate(path, 0), "truncate")
    t.eq(h.getlease(h.fd), F_LONGTERM, "F_GETLEASE after it")
