# SPDX-License-Identifier: GPL-2.0
"""What a break looks like from the outside, whoever began it."""
import errno

from . import blocks, calls, guest
from .calls import PUNCH_HOLE

# What takes blocks away from all of a file of this size, or moves them.
SIZE = 4 * guest.MIB
OPERATIONS = {
    "truncate": lambda b, path, fd: b.go.truncate(path, 0),
    "ftruncate": lambda b, path, fd: b.go.ftruncate(fd, 4096),
    "open_trunc": lambda b, path, fd: b.go.open_trunc(path),
    "punch": lambda b, path, fd: b.go.fallocate(fd, PUNCH_HOLE, 0, SIZE),
    "zero": lambda b, path, fd: b.go.fallocate(fd, calls.ZERO, 0, SIZE),
    "collapse": lambda b, path, fd:
        b.go.fallocate(fd, calls.COLLAPSE, 0, 2 * guest.MIB),
    "insert": lambda b, path, fd:
        b.go.fallocate(fd, calls.INSERT, 0, 2 * guest.MIB),
}

# Long enough for one that comes, short enough to tell of one that does not.
NOTICE = 8 * guest.SLOW


def waits(t, holders, files, call, what, want=0):
    """
    The holders are told, nothing of the files moves while one of them holds
    on, and the operation goes on when the last pins have gone.
    """
    before = [blocks.extents(f) for f in files]
    for h in holders:
        t.true(h.sig(NOTICE), f"{what}: no notice")
    for h in holders:
        t.blocked(call, what)
        t.eq([blocks.extents(f) for f in files], before, f"{what}: blocks")
        h.unpin_all()
    t.errno(want, call, what)
    for h in holders:
        t.eq(h.sig(0), None, f"{what}: second notice")
        t.true(h.alive(), f"{what}: holder died")


def comes_back(t, h, path, attempt, what, refused=errno.EAGAIN):
    """
    Who can't wait is refused, but the break has begun; when the pins have
    gone it succeeds.
    """
    before = blocks.extents(path)
    t.errno(refused, attempt, what)
    t.true(h.sig(NOTICE), f"{what}: no notice")
    t.errno(refused, attempt, f"{what} again")
    t.eq(h.sig(0), None, f"{what}: second notice")
    t.eq(blocks.extents(path), before, f"{what}: blocks")
    h.unpin_all()
    t.errno(0, attempt, f"{what} without pins")


def ladder_ends(t, h, attempt, what, refused=errno.EAGAIN, last=errno.ETXTBSY):
    """As long as it comes back the ladder goes on: SIGBUS, then the end."""
    def over():
        try:
            attempt()
        except OSError as e:
            return e.errno
        return 0
    t.eq(over(), refused, what)
    t.true(h.sig(NOTICE), f"{what}: no notice")
    guest.wait_for(lambda: over() != refused or h.sigbus(0), "SIGBUS")
    guest.wait_for(lambda: guest.trace_events("busy") or over() != refused,
                   f"the end of the ladder for {what}")
    t.eq(over(), last, f"{what} in the end")
    t.true(h.alive(), "holder died")
