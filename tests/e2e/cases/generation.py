# SPDX-License-Identifier: GPL-2.0
"""The life of a generation: who keeps it alive, who ends it, who comes late."""
import errno
import os
import signal

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
    t.true(h.sigbus(0), "no SIGBUS")
    t.eq((h.sig(0), h.sigbus(0)), (None, None), "second signals")


@test(break_time=2)
def late_breaker_stops_its_own_holders(t):
    """They had notice at t0; their time is up although nobody was in their way then."""
    path = t.file(SIZE)
    near, far = t.proc(), t.proc()
    near.fd, near.addr = near.hold(path, HALF)
    far.fd, far.addr = far.hold(path, HALF, offset=HALF)
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
    old, fresh = t.proc(), t.proc()
    old.fd, old.addr = old.hold(path, HALF)
    old.block_sigbus()
    b = t.proc()
    fd = b.open(path)
    t.errno(errno.ETXTBSY, b.go.fallocate(fd, PUNCH_HOLE, 0, HALF), "first ladder")
    t.true(old.sigbus(0), "no SIGBUS in the first ladder")
    fresh.fd, fresh.addr = fresh.hold(path, HALF, offset=HALF)
    again = b.go.fallocate(fd, PUNCH_HOLE, 0, HALF)
    t.true(fresh.sig(), "no notice")
    late = t.proc()
    cut = late.go.fallocate(late.open(path), PUNCH_HOLE, HALF, HALF)
    t.errno(errno.ETXTBSY, again, "spent holders: one period")
    t.between(1.9, again.took, 2.8, "spent holders: one period")
    t.errno(0, cut, "punch of what the fresh one holds")
    t.eq(os.WTERMSIG(fresh.wait()), signal.SIGBUS, "killed by")
    t.eq(old.sigbus(0), None, "second SIGBUS")


@test
def others_do_not_end_it(t):
    """A punch next door does not make the next try a new break."""
    path = t.file(SIZE)
    h = t.proc()
    h.fd, h.addr = h.hold(path, HALF)
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
    h = t.proc()
    h.fd, h.addr = h.hold(path, HALF)
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
