# SPDX-License-Identifier: GPL-2.0
"""Breaks that end well: the holder reacts, the breaker goes on."""
import errno
import itertools
import os

from lib import calls, guest, pintest
from lib.breaks import OPERATIONS, SIZE
from lib.calls import COLLAPSE, F_LONGTERM, F_UNLCK, INSERT, PUNCH_HOLE
from lib.case import test


def reacts(t, operation, delay=0.05):
    path = t.file()
    h = t.holder(path)
    h.react(delay)
    b = t.proc()
    fd = b.open(path)
    call = OPERATIONS[operation](b, path, fd)
    t.errno(0, call, operation)
    event, = h.take_events()
    # It may be back before the holder's dereg is, but not before it began.
    t.true(event["letting_go"] <= call.ended, f"{operation} did not wait")
    t.true(call.took < 1.8 * guest.SLOW, f"{operation} took {call.took:.3f} s")
    t.true(h.alive(), "holder died")
    return path, call, event


@test
def truncate(t):
    path = reacts(t, "truncate")[0]
    t.eq(os.stat(path).st_size, 0, "size")
    t.end_all()
    t.eq(guest.fsck(), "", "fsck")


@test
def ftruncate(t):
    path = reacts(t, "ftruncate")[0]
    t.eq(os.stat(path).st_size, 4096, "size")


@test
def open_trunc(t):
    path = reacts(t, "open_trunc")[0]
    t.eq(os.stat(path).st_size, 0, "size")


@test
def punch(t):
    path = reacts(t, "punch")[0]
    t.eq(os.stat(path).st_size, SIZE, "size")
    t.end_all()
    t.eq(os.stat(path).st_blocks, 0, "blocks")
    t.eq(guest.fsck(), "", "fsck")


@test
def zero_range(t):
    path = reacts(t, "zero")[0]
    t.eq(os.stat(path).st_size, SIZE, "size")


@test
def collapse_range(t):
    path = reacts(t, "collapse")[0]
    t.eq(os.stat(path).st_size, SIZE - 2 * guest.MIB, "size")


@test
def insert_range(t):
    path = reacts(t, "insert")[0]
    t.eq(os.stat(path).st_size, SIZE + 2 * guest.MIB, "size")


@test
def slow_holder(t):
    """Dereg 1 s after SIGIO: truncate returns after that, not before."""
    _, call, event = reacts(t, "truncate", 1.0)
    t.between(1.0, event["letting_go"] - event["got"], 3, "the holder's delay")
    t.between(1.0, call.took, 1.8, "truncate")


@test(limit=60)
def blocks_stay_taken(t):
    """On a full filesystem no other file gets the pinned blocks."""
    path = t.file(64 * guest.MIB)
    h = t.holder(path)
    fill, other = (os.open(t.path(), os.O_RDWR | os.O_CREAT) for _ in "12")
    at, step = 0, 64 * guest.MIB
    while step >= 2 * guest.MIB:
        try:
            calls.fallocate(fill, 0, at, step)
            at += step
        except OSError as e:
            t.eq(e.errno, errno.ENOSPC, "filling up")
            step //= 2

    def allocate():
        calls.fallocate(other, 0, 0, 32 * guest.MIB)
    t.errno(errno.ENOSPC, allocate, "before the truncate")
    cut = t.proc().go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    t.blocked(cut, "truncate")
    t.errno(errno.ENOSPC, allocate, "while the truncate waits")
    h.unpin_all()
    t.errno(0, cut, "truncate")
    t.errno(0, allocate, "after it")
    os.close(fill)
    os.close(other)


@test
def two_holders(t):
    """Both are told; the last dereg lets the truncate go on."""
    path = t.file()
    first, second = t.holder(path), t.holder(path)
    cut = t.proc().go.truncate(path, 0)
    t.true(first.sig(), "first had no notice")
    t.true(second.sig(), "second had no notice")
    first.unpin_all()
    t.blocked(cut, "truncate")
    second.unpin_all()
    t.errno(0, cut, "truncate")


@test
def two_breakers(t):
    """They share one break: one notice."""
    path = t.file()
    h = t.holder(path)
    first, second = t.proc(), t.proc()
    a = first.go.truncate(path, 4096)
    t.true(h.sig(), "no notice")
    b = second.go.truncate(path, 0)
    t.blocked(a, "first truncate")
    t.blocked(b, "second truncate")
    t.eq(h.sig(0.1), None, "second notice")
    h.unpin_all()
    t.errno(0, a, "first truncate")
    t.errno(0, b, "second truncate")


@test
def growing_breaks_nothing(t):
    path = t.file()
    h = t.holder(path)
    b = t.proc()
    grow = b.go.truncate(path, 2 * SIZE)
    t.errno(0, grow, "growing")
    t.errno(0, b.go.truncate(path, 2 * SIZE), "same size")
    t.eq(h.sig(0.1), None, "notice")


@test
def elsewhere_goes_through(t):
    """Only pins in the range matter."""
    path = t.file(8 * guest.MIB)
    p = t.proc()
    fd = p.open(path)
    p.lease(fd)
    addr = p.mmap(fd, 8 * guest.MIB)
    p.pin(addr, guest.MIB)
    b = t.proc()
    bfd = b.open(path)
    t.errno(0, b.go.fallocate(bfd, PUNCH_HOLE, 4 * guest.MIB, SIZE), "punch")
    t.errno(0, b.go.truncate(path, 4 * guest.MIB), "truncate behind the pins")
    t.eq(p.sig(0.1), None, "notice")
    t.eq(p.getlease(fd), F_LONGTERM, "lease")


@test
def holder_is_free_to_work(t):
    """The breaker waits with no inode lock and no freeze protection."""
    path = t.file(8 * guest.MIB)
    h = t.holder(path, SIZE)
    b = t.proc()
    cut = b.go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    t.blocked(cut, "truncate")
    h.pwrite(h.fd, b"last words", 100)
    h.fsync(h.fd)
    addr = h.mmap(h.fd, guest.MIB, 6 * guest.MIB)
    h.poke(addr, b"fault")
    h.poke(h.addr + 8192, b"fault")
    frozen = os.open(guest.DAX, os.O_RDONLY)
    calls.ioctl(frozen, calls.FIFREEZE)
    calls.ioctl(frozen, calls.FITHAW)
    os.close(frozen)
    t.true(not cut.done(), "truncate returned with pins in its range")
    h.unpin_all()
    t.errno(0, cut, "truncate")
    t.eq(os.stat(path).st_size, 0, "size")


@test
def waits_not_for_nonblock(t):
    """O_NONBLOCK: the break begins, EAGAIN."""
    path = t.file()
    h = t.holder(path)
    b = t.proc()
    fd = b.open(path, os.O_RDWR | os.O_NONBLOCK)
    t.errno(errno.EAGAIN, b.go.ftruncate(fd, 0), "ftruncate")
    t.true(h.sig(), "no notice")
    t.errno(errno.EAGAIN, b.go.fallocate(fd, PUNCH_HOLE, 0, SIZE), "punch")
    t.eq(h.sig(0.1), None, "second notice")
    t.eq(os.stat(path).st_size, SIZE, "size")
    h.unpin_all()
    t.errno(0, b.go.ftruncate(fd, 0), "after the unpin")


@test
def retake_waits_for_the_change(t):
    """SIGIO, dereg, F_SETLEASE, reg: the new pin sees the new layout."""
    path = t.file()
    holders = [t.holder(path), t.holder(path)]
    for h in holders:
        h.react(0.05, retake=h.fd)
    cut = t.proc().go.truncate(path, guest.MIB)
    t.errno(0, cut, "truncate")
    for h in holders:
        event = t.reaction(h)
        t.eq(event["size"], guest.MIB, "size when the lease was there")
        t.eq(h.getlease(h.fd), F_LONGTERM, "lease")
        h.pin(h.addr, guest.MIB)


@test
def retake_while_another_is_pinned(t):
    """The lease comes only when the whole change is complete."""
    path = t.file()
    first, second = t.holder(path), t.holder(path)
    cut = t.proc().go.truncate(path, 0)
    t.true(first.sig() and second.sig(), "no notice")
    t.eq(first.getlease(first.fd), F_UNLCK, "F_GETLEASE during the break")
    first.unpin_all()
    nonblock = first.fcntl(first.fd, 3, 0)
    first.fcntl(first.fd, 4, nonblock | os.O_NONBLOCK)
    t.errno(errno.EAGAIN, first.go.lease(first.fd), "O_NONBLOCK")
    first.fcntl(first.fd, 4, nonblock)
    again = first.go.lease(first.fd)
    t.blocked(again, "F_SETLEASE")
    second.unpin_all()
    t.errno(0, cut, "truncate")
    t.errno(0, again, "F_SETLEASE")
    t.eq(first.size(first.fd), 0, "size")
    t.eq(first.getlease(first.fd), F_LONGTERM, "F_GETLEASE")


@test
def no_pin_during_a_break(t):
    path = t.file()
    h, late = t.holder(path), t.proc()
    fd = late.open(path)
    late.lease(fd)
    addr = late.mmap(fd, SIZE)
    cut = t.proc().go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    t.errno(errno.EAGAIN, late.go.pin(addr, SIZE), "pin in the range")
    t.errno(errno.EAGAIN, h.go.pin(h.addr, 4096), "the holder's second pin")
    h.unpin_all()
    t.errno(0, cut, "truncate")
    t.errno(errno.EFAULT, late.go.pin(addr, SIZE), "pin of what is gone")


@test
def neighbours_in_an_entry_are_closed(t):
    """A folio may be as large as that: none is pinned through its other end."""
    path = t.file(8 * guest.MIB)
    h, late = t.holder(path, 4096), t.proc()
    fd = late.open(path)
    late.lease(fd)
    addr = late.mmap(fd, 8 * guest.MIB)
    b = t.proc()
    punch = b.go.fallocate(b.open(path), PUNCH_HOLE, 0, 4096)
    t.true(h.sig(), "no notice")
    t.errno(errno.EAGAIN, late.go.pin(addr + 2 * guest.MIB - 4096, 4096),
            "the last page of the entry")
    late.pin(addr + 2 * guest.MIB, 4096)
    h.unpin_all()
    t.errno(0, punch, "punch")


@test
def what_lies_behind_moves(t):
    """Collapsing and inserting wait for pins behind what they name."""
    path = t.file(8 * guest.MIB)
    b = t.proc()
    fd = b.open(path)
    for what, mode in ("collapse", COLLAPSE), ("insert", INSERT):
        h = t.holder(path, guest.MIB, offset=4 * guest.MIB)
        call = b.go.fallocate(fd, mode, 0, 2 * guest.MIB)
        t.true(h.sig(), f"no notice of {what}")
        t.blocked(call, what)
        h.unpin_all()
        t.errno(0, call, what)
        h.kill()


@test
def unlink_keeps_pinned_blocks(t):
    """An unlinked, pinned file keeps its blocks until the last unpin."""
    path = t.file(64 * guest.MIB)

    def free():
        st = os.statvfs(guest.DAX)
        return st.f_bfree * st.f_frsize
    h = t.holder(path)
    before = free()
    h.unlink(path)
    h.munmap(h.addr, 64 * guest.MIB)
    h.close(h.fd)
    os.sync()
    t.true(free() < before + 32 * guest.MIB, "blocks were freed")
    h.unpin_all()
    guest.wait_for(lambda: free() > before + 32 * guest.MIB, "blocks are free")


@test
def orphans_still_protect(t):
    """fd and mapping are gone, the MR lives: truncate waits for it."""
    path = t.file()
    h = t.holder(path)
    h.munmap(h.addr, SIZE)
    h.close(h.fd)
    cut = t.proc().go.truncate(path, 0)
    t.blocked(cut, "truncate")
    status, out = guest.run("umount", guest.DAX)
    t.true(status, f"umount with a pin worked: {out}")
    h.unpin_all()
    t.errno(0, cut, "truncate")
    guest.wait_for(lambda: not guest.module_users(), "orphan record ends")


@test(limit=60)
def unpinned_in_any_context(t):
    """Who unpins wakes the breaker, also where it may not sleep itself."""
    path = t.file()
    h, b = t.proc(), t.proc()
    fd = h.open(path)
    for kind, context in itertools.product(
            ("test", "test_transient"),
            (pintest.SOFTIRQ, pintest.HARDIRQ, pintest.KTHREAD)):
        what = f"truncate, {kind} in context {context}"
        addr = h.mmap(fd, SIZE)
        h.poke(addr, b"a block")
        if kind == "test":
            h.lease(fd)
        pin = h.pin(addr, SIZE, kind)
        cut = b.go.truncate(path, 0)
        t.blocked(cut, what)
        h.unpin_pages(pin, context)
        t.errno(0, cut, what)
        h.unpin_all()
        if kind == "test":
            h.lease(fd, F_UNLCK)
        h.munmap(addr, SIZE)
        guest.make_file(path, SIZE)


@test
def goes_on_many_times(t):
    """Lease, pin, break, unpin, over and over on one file."""
    path = t.file()
    h, b = t.holder(path), t.proc()
    for i in range(10):
        h.react(0.0, retake=h.fd)
        t.errno(0, b.go.truncate(path, 0), f"truncate {i}")
        t.reaction(h)
        guest.make_file(path, SIZE)
        h.pin(h.addr, SIZE)
    h.unpin_all()
    h.lease(h.fd, F_UNLCK)
