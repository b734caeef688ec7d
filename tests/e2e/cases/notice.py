# SPDX-License-Identifier: GPL-2.0
"""Who gets the notice, and as what."""
import errno
import signal

from lib import guest
from lib.calls import F_LONGTERM, F_SETOWN, F_SETSIG, F_UNLCK, PUNCH_HOLE
from lib.case import test

SIZE = 4 * guest.MIB
F_OWNER_TID, F_OWNER_PID = 0, 1


def broken_once(t, path, h, expect_at=None):
    """Truncate; the notice; unpin; the truncate's end.  The notice."""
    cut = t.proc().go.truncate(path, 0)
    info = (expect_at or h).sig()
    t.true(info, "no notice")
    h.unpin_all()
    t.errno(0, cut, "truncate")
    return info


@test
def sigio_is_the_default(t):
    path = t.file()
    h = t.holder(path)
    info = broken_once(t, path, h)
    t.eq(info["signo"], signal.SIGIO, "signal")
    t.eq(h.sig(0.05), None, "second notice")


@test
def setsig_names_the_fd(t):
    """F_SETSIG: that signal, with si_fd; it survives break and re-lease."""
    path = t.file()
    h = t.holder(path)
    mine = signal.SIGRTMIN + 3
    h.fcntl(h.fd, F_SETSIG, mine)
    for i in range(2):
        info = broken_once(t, path, h)
        t.eq((info["signo"], info["fd"]), (mine, h.fd), f"break {i}")
        h.lease(h.fd)
        guest.make_file(path, SIZE)
        h.pin(h.addr, SIZE)


@test
def setsig_names_the_newest_fd(t):
    """The one by which the lease was taken again; the other is closed by then."""
    path = t.file()
    h = t.holder(path)
    mine = signal.SIGRTMIN + 5
    h.fcntl(h.fd, F_SETSIG, mine)
    old, h.fd = h.fd, h.dup(h.fd)
    h.lease(h.fd)
    h.close(old)
    info = broken_once(t, path, h)
    t.eq((info["signo"], info["fd"]), (mine, h.fd), "signal, descriptor")


@test(break_time=1)
def setsig_survives_revocation(t):
    path = t.file()
    h = t.holder(path)
    h.block_sigbus()
    mine = signal.SIGRTMIN + 4
    h.fcntl(h.fd, F_SETSIG, mine)
    b = t.proc()
    t.errno(errno.ETXTBSY, b.go.truncate(path, 0), "first truncate")
    t.eq(h.sig(0)["signo"], mine, "first notice")
    h.unpin_all()
    h.lease(h.fd)
    h.pin(h.addr, SIZE)
    info = broken_once(t, path, h)
    t.eq((info["signo"], info["fd"]), (mine, h.fd), "after the new lease")


@test(break_time=1)
def revoked_with_pins_elsewhere(t):
    """Of a break of those its holder is told, though the lease is revoked."""
    path = t.file(2 * SIZE)
    h, b = t.proc(), t.proc()
    fd = h.open(path)
    h.lease(fd)
    h.block_sigbus()
    addr = h.mmap(fd, 2 * SIZE)
    h.pin(addr, 4096)
    h.pin(addr + SIZE, 4096)
    other = b.open(path)
    t.errno(errno.ETXTBSY, b.go.fallocate(other, PUNCH_HOLE, 0, SIZE), "punch")
    t.true(h.sig(0) and h.sigbus(0), "no signals of the first break")
    t.eq(h.getlease(fd), F_UNLCK, "the lease")
    cut = b.go.fallocate(other, PUNCH_HOLE, SIZE, SIZE)
    t.true(h.sig(), "no notice of the second")
    h.unpin(2)
    t.errno(0, cut, "punch of the rest")
    t.eq(h.sigbus(0), None, "second SIGBUS")


@test
def setown_another_process(t):
    path = t.file()
    h, other = t.holder(path), t.proc()
    h.fcntl(h.fd, F_SETOWN, other.pid)
    info = broken_once(t, path, h, other)
    t.eq(info["signo"], signal.SIGIO, "signal of the named process")
    t.eq(h.sig(0.05), None, "signal of the holder")


@test
def setown_before_the_lease(t):
    """An owner that is set already is kept."""
    path = t.file()
    p, other = t.proc(), t.proc()
    fd = p.open(path)
    p.fcntl(fd, F_SETOWN, other.pid)
    p.lease(fd)
    p.pin(p.mmap(fd, SIZE), SIZE)
    broken_once(t, path, p, other)
    t.eq(p.sig(0.05), None, "signal of the holder")


@test
def next_holder_of_the_open_file(t):
    """One gives the lease back, another takes it on the same open file: it is told."""
    path = t.file()
    for give_back in (True, False):
        old, h = t.proc(), t.proc()
        fd = old.open(path)
        old.lease(fd)
        h.fd = h.take_fd(old.pid, fd)
        if give_back:
            old.lease(fd, F_UNLCK)
        h.lease(h.fd)
        h.pin(h.mmap(h.fd, SIZE), SIZE)
        broken_once(t, path, h)
        t.eq(old.sig(0), None, "notice to who gave the lease away")
        guest.make_file(path, SIZE)


@test
def setown_ex(t):
    path = t.file()
    h, other = t.holder(path), t.proc()
    h.setown_ex(h.fd, F_OWNER_PID, other.pid)
    broken_once(t, path, h, other)


@test
def thread_that_took_it_is_gone(t):
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    p.lease_in_thread(fd)
    p.pin(p.mmap(fd, SIZE), SIZE)
    t.true(broken_once(t, path, p), "notice")


@test
def holder_without_pins(t):
    """Two leases, one pin: both are told, only the pin is waited for."""
    path = t.file()
    h, idle = t.holder(path), t.proc()
    fd = idle.open(path)
    idle.lease(fd)
    broken_once(t, path, h)
    t.true(idle.sig(), "the holder without pins was not told")
    idle.lease(fd)
    t.eq(idle.getlease(fd), F_LONGTERM, "its lease, taken again")


@test(break_time=1)
def sigbus_without_pins_in_range(t):
    """Only who holds the pins in the range gets SIGBUS."""
    path = t.file(8 * guest.MIB)
    near, far = t.proc(), t.proc()
    for p, offset in ((near, 0), (far, 4 * guest.MIB)):
        p.fd = p.open(path)
        p.lease(p.fd)
        p.block_sigbus()
        p.pin(p.mmap(p.fd, SIZE, offset), SIZE)
    b = t.proc()
    fd = b.open(path)
    punch = b.go.fallocate(fd, PUNCH_HOLE, 4 * guest.MIB, SIZE)
    t.true(far.sigbus(), "no SIGBUS for who is in the way")
    t.eq(near.sigbus(0), None, "SIGBUS for who is not")
    far.unpin_all()
    t.errno(0, punch, "punch")
    t.eq(near.getlease(near.fd), F_LONGTERM, "the lease of who is not")
    near.unpin_all()
    near.lease(near.fd)
    near.lease(near.fd, F_UNLCK)


@test
def events_tell_the_story(t):
    """The tracepoints of one break, in order, with range and pids."""
    size = 2 * guest.MIB    # what one call of GUP takes of an MR
    path = t.file(size)
    h = t.holder(path)
    h.react(0.02)
    b = t.proc()
    b.truncate(path, 0)
    t.reaction(h)
    h.lease(h.fd)
    h.lease(h.fd, F_UNLCK)
    guest.wait_for(lambda: guest.trace_events("lease_release"), "the release")
    names = [e[1] for e in guest.trace_events()]
    # The notice goes out from a worker, before or after break_wait; the break ends
    # when no page is pinned, before or after the region's record is closed.
    for want in (["lease_take", "pin", "break_begin", "break_wait", "break_end",
                  "lease_take", "lease_release"],
                 ["break_begin", "sigio", "unpin", "lease_take", "lease_release"]):
        left = iter(names)
        t.true(all(name in left for name in want), f"no {want} in {names}")
    ino = guest.inode_of(path)
    for name, pid in (("pin", h.pid), ("sigio", h.pid), ("break_begin", b.pid)):
        found = guest.trace_events(name, pid=pid, ino=ino)
        t.true(found, f"no {name} event with pid {pid} and ino {ino}")
    pin = guest.trace_events("pin")[0][2]
    t.eq((pin["start"], pin["end"]), ("0", str(size)), "the pin's range")
    begin = guest.trace_events("break_begin")[0][2]
    t.eq((begin["start"], begin["end"]), ("0", str((1 << 63) - 1)),
         "the break's range")
