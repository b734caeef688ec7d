# SPDX-License-Identifier: GPL-2.0
"""Ordinary leases and locks: as ever, with ours on the same file."""
import errno
import os
import signal

from lib import guest
from lib.calls import F_LONGTERM, F_RDLCK, F_UNLCK, F_WRLCK
from lib.case import ALL, test


def with_and_without_ours(t, body):
    """body(path) on a file without our lease, then on one that has it."""
    body(t.file())
    if guest.KERNEL == "unpatched":
        return
    path = t.file()
    h = t.holder(path)
    body(path)
    t.eq(h.getlease(h.fd), F_LONGTERM, "our lease")
    t.eq(h.sig(0.05), None, "notice to our holder")


@test(kernels=ALL)
def read_lease_broken_by_a_writer(t):
    def body(path):
        p, q = t.proc(), t.proc()
        fd = p.open(path, os.O_RDONLY)
        # As without us: refused while anyone has the file open for writing.
        want = errno.EAGAIN if guest.locks(path) else 0
        t.errno(want, p.go.lease(fd, F_RDLCK), "F_RDLCK")
        if want:
            return
        t.eq(p.getlease(fd), F_RDLCK, "F_GETLEASE")
        late = q.go.open(path, os.O_RDWR)
        t.eq(p.sig()["signo"], signal.SIGIO, "signal")
        t.blocked(late, "open for writing")
        p.lease(fd, F_UNLCK)
        t.errno(0, late, "open for writing")
    with_and_without_ours(t, body)


@test
def read_lease_beside_ours(t):
    """Our holder has the file open for reading only: F_RDLCK works."""
    path = t.file()
    ours, p, q = t.proc(), t.proc(), t.proc()
    fd = ours.open(path, os.O_RDONLY)
    ours.lease(fd)
    rfd = p.open(path, os.O_RDONLY)
    p.lease(rfd, F_RDLCK)
    t.errno(errno.EAGAIN, q.go.open(path, os.O_RDWR | os.O_NONBLOCK),
            "open for writing")
    t.eq(p.sig()["signo"], signal.SIGIO, "signal")
    p.lease(rfd, F_UNLCK)
    q.open(path, os.O_RDWR)
    t.eq(ours.sig(0.05), None, "notice to our holder")
    t.eq(ours.getlease(fd), F_LONGTERM, "our lease")


@test(kernels=ALL)
def write_lease_broken_by_a_reader(t):
    path = t.file()
    p, q = t.proc(), t.proc()
    fd = p.open(path)
    p.lease(fd, F_WRLCK)
    t.eq(p.getlease(fd), F_WRLCK, "F_GETLEASE")
    late = q.go.open(path, os.O_RDONLY)
    t.eq(p.sig()["signo"], signal.SIGIO, "signal")
    t.blocked(late, "open")
    p.lease(fd, F_UNLCK)
    t.errno(0, late, "open")


@test
def write_lease_on_our_file(t):
    """F_WRLCK cares for who has the file open, not for our lease."""
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    p.lease(fd)
    p.lease(fd, F_UNLCK)
    p.lease(fd, F_WRLCK)
    t.eq(p.getlease(fd), F_WRLCK, "F_GETLEASE")
    p.lease(fd, F_UNLCK)
    other = t.proc()
    ofd = other.open(path)
    other.lease(ofd)
    t.errno(errno.EAGAIN, p.go.lease(fd, F_WRLCK), "opened elsewhere")
    other.close(ofd)
    p.lease(fd, F_WRLCK)


@test(break_time=1, kernels=ALL)
def broken_lease_times_out(t):
    path = t.file()
    p, q = t.proc(), t.proc()
    fd = p.open(path)
    p.lease(fd, F_WRLCK)
    late = q.go.open(path, os.O_RDWR)
    t.errno(0, late, "open")
    t.between(0.9, late.took, 1.9, "open")
    t.eq(p.getlease(fd), F_UNLCK, "F_GETLEASE")


@test
def ours_opens_freely(t):
    """Nobody's open or write waits for our lease."""
    path = t.file()
    h = t.holder(path)
    p = t.proc()
    fd = p.open(path)
    p.pwrite(fd, b"x", 0)
    p.fsync(fd)
    p.close(p.open(path, os.O_RDONLY))
    t.eq(h.sig(0.05), None, "notice")
    t.eq(h.getlease(h.fd), F_LONGTERM, "our lease")


@test
def one_open_file_one_lease(t):
    """Its owner for signals is what they share: the end of one takes it away."""
    path = t.file()
    p, q = t.proc(), t.proc()
    fd = p.open(path, os.O_RDONLY)
    p.lease(fd)
    for take in (p.go.lease, p.go.delegate):
        t.errno(errno.EBUSY, take(fd, F_RDLCK), "another kind beside ours")
    t.errno(errno.EAGAIN, p.go.delegate(fd, F_UNLCK), "the end of no delegation")
    t.eq(p.getlease(fd), F_LONGTERM, "our lease")
    p.lease(fd, F_UNLCK)

    p.delegate(fd, F_RDLCK)
    t.errno(errno.EBUSY, p.go.lease(fd), "ours beside a delegation")
    p.delegate(fd, F_UNLCK)

    p.lease(fd, F_RDLCK)
    late = q.go.open(path, os.O_RDWR)
    p.sig()
    t.blocked(late, "open for writing")
    t.errno(errno.EBUSY, p.go.lease(fd), "ours beside a lease that is broken")
    p.lease(fd, F_UNLCK)
    t.errno(0, late, "open for writing")
    p.lease(fd)
    t.eq(p.getlease(fd), F_LONGTERM, "our lease in the end")


@test
def record_locks_and_flock(t):
    """Not touched by us, on the same descriptor."""
    path = t.file()
    h, p = t.holder(path), t.proc()
    fd = p.open(path)
    h.flock(h.fd, 2 | 4)
    t.errno(errno.EAGAIN, p.go.flock(fd, 2 | 4), "flock held by our holder")
    h.flock(h.fd, 8)
    p.flock(fd, 2 | 4)
    h.lockf(h.fd)
    t.errno(errno.EAGAIN, p.go.lockf(fd), "record lock of our holder")
    t.eq(len(guest.locks(path)), 1, "our lease")


@test
def times_are_not_hidden(t):
    """mtime moves with a write while our lease is held."""
    path = t.file()
    h = t.holder(path)
    os.utime(path, (1, 1))
    h.pwrite(h.fd, b"x", 0)
    t.true(os.stat(path).st_mtime > 1000, "mtime stands still")
