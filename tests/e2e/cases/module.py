# SPDX-License-Identifier: GPL-2.0
"""Loading and unloading, at any time."""
import errno

from lib import guest
from lib.calls import F_UNLCK
from lib.case import test
from lib.machine import insmod

SIZE = 4 * guest.MIB


def rmmod():
    return guest.run("rmmod", "longterm")


def refused(t, why):
    status, out = rmmod()
    if not status:
        insmod()
    t.true(status, f"rmmod worked with {why}")
    t.true("in use" in out, f"rmmod says {out!r}")


@test(limit=60)
def absent(t):
    """As on any kernel today; insmod again, and all works."""
    path = t.file()
    guest.must("rmmod", "longterm")
    try:
        p = t.proc()
        fd = p.open(path)
        t.errno(errno.EINVAL, p.go.lease(fd), "F_SETLEASE")
        t.eq(p.getlease(fd), F_UNLCK, "F_GETLEASE")
        addr = p.mmap(fd, SIZE)
        t.errno(errno.EOPNOTSUPP, p.go.pin(addr, SIZE), "MR")
        t.errno(errno.EOPNOTSUPP, p.go.pin(addr, SIZE, "gup"), "GUP_TEST")
        # io_uring's own answer to a file that can't be pinned.
        t.errno(errno.EOPNOTSUPP, p.go.pin(addr, SIZE, "uring"), "io_uring")
        t.errno(0, t.proc().go.truncate(path, 4096), "truncate")
    finally:
        insmod()
    guest.make_file(path, SIZE)
    p.lease(fd)
    p.pin(addr, SIZE)


@test
def in_use_by_a_lease(t):
    p = t.proc()
    fd = p.open(t.file())
    p.lease(fd)
    refused(t, "a lease")


@test
def in_use_by_a_pin(t):
    h = t.holder(t.file(), lease=None)
    refused(t, "a pin")
    h.munmap(h.addr, SIZE)
    h.close(h.fd)
    refused(t, "an orphan")


@test
def in_use_by_a_break(t):
    path = t.file()
    h = t.holder(path)
    cut = t.proc().go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    t.blocked(cut, "truncate")
    refused(t, "a breaker")
    h.unpin_all()
    t.errno(0, cut, "truncate")


@test(limit=90)
def again_and_again(t):
    """Ten times rmmod and insmod, with work in between."""
    for i in range(10):
        h = t.holder(t.file(2 * guest.MIB))
        h.react()
        t.errno(0, t.proc().go.truncate(f"{guest.DAX}/f{i + 1}", 0), "truncate")
        h.kill()
        guest.wait_for(lambda: not guest.module_users(), "module unused")
        status, out = rmmod()
        t.eq((status, out), (0, ""), "rmmod")
        insmod()
