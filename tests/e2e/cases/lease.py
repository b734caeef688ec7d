# SPDX-License-Identifier: GPL-2.0
"""Taking, asking for, changing and giving back a lease."""
import errno
import os
import signal

from lib import guest
from lib.calls import (BOTH, F_GETLEASE, F_LONGTERM, F_RDLCK, F_SETLEASE,
                       F_UNLCK)
from lib.case import test


@test
def take_get_release(t):
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    t.eq(p.getlease(fd), F_UNLCK, "before")
    p.lease(fd)
    t.eq(p.getlease(fd), F_LONGTERM, "while held")
    p.lease(fd, F_UNLCK)
    t.eq(p.getlease(fd), F_UNLCK, "after")
    t.eq(guest.locks(path), [], "/proc/locks")


@test
def unlck_without_lease(t):
    """As on any kernel: EAGAIN."""
    p = t.proc()
    fd = p.open(t.file())
    t.errno(errno.EAGAIN, p.go.lease(fd, F_UNLCK), "F_UNLCK of nothing")
    p.lease(fd)
    p.lease(fd, F_UNLCK)
    t.errno(errno.EAGAIN, p.go.lease(fd, F_UNLCK), "second F_UNLCK")


@test
def unbreakable(t):
    p = t.proc()
    fd = p.open(t.file())
    p.lease(fd, BOTH)
    t.eq(p.getlease(fd), BOTH, "F_GETLEASE")
    p.lease(fd, F_UNLCK)
    t.eq(p.getlease(fd), F_UNLCK, "after")


@test
def again_is_fine(t):
    p = t.proc()
    path = t.file()
    fd = p.open(path)
    for _ in range(3):
        p.lease(fd)
    t.eq(len(guest.locks(path)), 1, "leases in /proc/locks")
    p.lease(fd, F_UNLCK)
    t.eq(p.getlease(fd), F_UNLCK, "after")


@test
def kind_changes_unpinned(t):
    p = t.proc()
    fd = p.open(t.file())
    p.lease(fd)
    p.lease(fd, BOTH)
    t.eq(p.getlease(fd), BOTH, "made unbreakable")
    p.lease(fd)
    t.eq(p.getlease(fd), F_LONGTERM, "made breakable")


@test
def kind_change_pinned_is_busy(t):
    h = t.holder(t.file())
    t.errno(errno.EBUSY, h.go.lease(h.fd, BOTH), "other kind, pinned")
    t.eq(h.getlease(h.fd), F_LONGTERM, "unchanged")
    h.lease(h.fd)
    h.unpin_all()
    h.lease(h.fd, BOTH)


@test
def shared(t):
    """Any number of holders, of both kinds."""
    path = t.file()
    kinds = [F_LONGTERM, BOTH, F_LONGTERM]
    holders = [t.holder(path, lease=kind) for kind in kinds]
    t.eq([h.getlease(h.fd) for h in holders], kinds, "their leases")
    t.eq(len(guest.locks(path)), 3, "leases in /proc/locks")


@test
def two_on_one_file_in_one_process(t):
    path = t.file()
    p = t.proc()
    a, b = p.open(path), p.open(path)
    p.lease(a)
    p.lease(b, BOTH)
    t.eq((p.getlease(a), p.getlease(b)), (F_LONGTERM, BOTH), "each its own")
    p.lease(a, F_UNLCK)
    t.eq((p.getlease(a), p.getlease(b)), (F_UNLCK, BOTH), "one released")


@test
def unlck_busy_while_pinned(t):
    """No spurious EBUSY: F_UNLCK right after dereg, often."""
    h = t.holder(t.file())
    size = 4 * guest.MIB
    for _ in range(20):
        t.errno(errno.EBUSY, h.go.lease(h.fd, F_UNLCK), "F_UNLCK with an MR")
        h.unpin_all()
        h.lease(h.fd, F_UNLCK)
        h.lease(h.fd)
        h.pin(h.addr, size)
    h.unpin_all()
    h.lease(h.fd, F_UNLCK)


@test
def unlck_while_others_pin(t):
    """Another process has the same pages pinned: that is not my pin."""
    path = t.file()
    first, second = t.holder(path), t.holder(path)
    first.unpin_all()
    first.lease(first.fd, F_UNLCK)
    t.errno(errno.EBUSY, second.go.lease(second.fd, F_UNLCK), "the other one")
    second.unpin_all()
    second.lease(second.fd, F_UNLCK)


@test
def proc_locks(t):
    path = t.file()
    p = t.proc()
    p.lease(p.open(path))
    lines = guest.locks(path)
    t.eq(len(lines), 1, "lines in /proc/locks")
    t.true(str(p.pid) in lines[0].split(), f"no pid {p.pid} in {lines[0]!r}")


@test
def empty_file(t):
    p = t.proc()
    path = t.file(0)
    fd = p.open(path)
    p.lease(fd)
    t.eq(p.getlease(fd), F_LONGTERM, "on an empty file")
    guest.make_file(path, 2 * guest.MIB)
    addr = p.mmap(fd, 2 * guest.MIB)
    p.pin(addr, 2 * guest.MIB)


@test
def read_only_fd(t):
    path = t.file()
    p = t.proc()
    fd = p.open(path, os.O_RDONLY)
    p.lease(fd)
    t.eq(p.getlease(fd), F_LONGTERM, "read-only")


@test
def follows_the_description(t):
    """dup and the mapping keep it, the last reference ends it."""
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    p.lease(fd)
    copy = p.dup(fd)
    p.close(fd)
    t.eq(p.getlease(copy), F_LONGTERM, "after close of one of two")
    addr = p.mmap(copy, guest.MIB)
    p.close(copy)
    t.eq(len(guest.locks(path)), 1, "while mapped")
    p.munmap(addr, guest.MIB)
    guest.wait_for(lambda: not guest.locks(path), "lease ends with munmap")


@test
def ends_with_the_process(t):
    path = t.file()
    p = t.proc()
    p.hold(path, 4 * guest.MIB)
    t.eq(len(guest.locks(path)), 1, "while it lives")
    p.signal(signal.SIGKILL)
    p.wait()
    guest.wait_for(lambda: not guest.locks(path), "lease ends at exit")
    guest.wait_for(lambda: not guest.module_users(), "module unused")


@test
def other_kind_is_busy(t):
    """An ordinary lease on the same open file: EBUSY."""
    p = t.proc()
    fd = p.open(t.file(), os.O_RDONLY)
    p.lease(fd, F_RDLCK)
    t.errno(errno.EBUSY, p.go.lease(fd), "F_LONGTERM beside F_RDLCK")
    t.eq(p.fcntl(fd, F_GETLEASE, 0), F_RDLCK, "the old lease")
    p.fcntl(fd, F_SETLEASE, F_UNLCK)
    p.lease(fd)
