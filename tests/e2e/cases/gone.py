# SPDX-License-Identifier: GPL-2.0
"""Breakers that go away, that are several, that hold pins themselves; and
holders that need what a breaker might hold."""
import contextlib
import errno
import os
import signal

from lib import calls, guest
from lib.breaks import OPERATIONS, SIZE
from lib.calls import F_LONGTERM, PROT_READ, PUNCH_HOLE
from lib.case import test
from lib.guest import NOBODY
from lib.proc import Died


def waiting(t, path, operation="truncate", uid=None):
    """A process whose operation on path has begun a break and waits."""
    b = t.proc()
    fd = b.open(path)
    if uid is not None:
        b.drop_to(uid)
    call = OPERATIONS[operation](b, path, fd)
    t.blocked(call, operation)
    return b, call


def notices(path):
    return len(guest.trace_events("sigio", ino=guest.inode_of(path)))


def begun(b):
    return len(guest.trace_events("break_begin", pid=b.pid))


# ---- interrupted, killed, timed out

@test
def restarted(t):
    """A signal whose handler restarts calls: the breaker joins its own break."""
    path = t.file()
    h = t.holder(path)
    b = t.proc()
    b.catch_sigusr1(restart=True)
    cut = b.go.truncate(path, 0)
    t.blocked(cut, "truncate")
    b.signal(signal.SIGUSR1)
    guest.wait_for(lambda: begun(b) == 2, "truncate is restarted")
    t.blocked(cut, "truncate")
    t.eq(notices(path), 1, "notices")
    h.unpin_all()
    t.errno(0, cut, "truncate")


@test
def killed_in_each_operation(t):
    """Nothing is changed, nothing is left, and all join one break."""
    path = t.file()
    h = t.holder(path)
    before = os.stat(path)
    for operation in OPERATIONS:
        b, call = waiting(t, path, operation)
        b.kill()
        try:
            call.result()
            t.true(False, f"{operation} returned")
        except Died as e:
            t.eq(e.signal, signal.SIGKILL, f"{operation}: killed by")
    after = os.stat(path)
    t.eq((after.st_size, after.st_blocks), (before.st_size, before.st_blocks),
         "size and blocks")
    t.eq(notices(path), 1, "notices")
    h.pwrite(h.fd, b"still here", 0)
    h.unpin_all()
    t.errno(0, t.proc().go.truncate(path, 0), "next truncate")
    h.lease(h.fd)


@test(break_time=2)
def killed_beside_another(t):
    """The other one goes on with the first one's t0, and its right to signal."""
    path = t.file()
    h = t.holder(path)
    h.block_sigbus()
    first, cut = waiting(t, path)
    began, = guest.trace_events("break_begin", pid=first.pid)
    _, other = waiting(t, path, "punch")
    first.kill()
    info = h.sigbus()
    t.true(info, "no SIGBUS")
    t.between(1.9, info["at"] - began[0], 2.9, "SIGBUS after the first break")
    t.eq(notices(path), 1, "notices")
    h.unpin_all()
    t.errno(0, other, "punch")


@test(break_time=1)
def killed_with_its_right(t):
    """The right to stop the holder goes with the breaker that had it."""
    path = t.file()
    os.chmod(path, 0o666)
    h = t.holder(path)
    h.block_sigbus()
    owner, _ = waiting(t, path)
    _, cut = waiting(t, path, uid=NOBODY)
    owner.kill()
    t.errno(errno.ETXTBSY, cut, "truncate by who may not kill")
    t.eq(h.sigbus(0), None, "SIGBUS")


@test(break_time=1)
def killed_without_right(t):
    """It takes none from the one that stays."""
    path = t.file()
    os.chmod(path, 0o666)
    h = t.holder(path)
    h.block_sigbus()
    stranger, _ = waiting(t, path, uid=NOBODY)
    _, cut = waiting(t, path)
    stranger.kill()
    t.true(h.sigbus(), "no SIGBUS")
    h.unpin_all()
    t.errno(0, cut, "truncate")


@test(break_time=2)
def killed_beside_another_who_may_kill(t):
    """Neither owns the file. The one that stays has the holder stopped all the same."""
    for _ in range(4):
        path = t.file()
        os.chmod(path, 0o666)
        h = t.proc()
        fd = h.open(path)
        h.drop_to(NOBODY)
        h.block_sigbus()
        h.pin(h.mmap(fd, SIZE), SIZE, "uring")
        first, _ = waiting(t, path, uid=NOBODY)
        _, cut = waiting(t, path, "punch", uid=NOBODY)
        first.kill()
        t.true(h.sigbus(), "no SIGBUS")
        h.unpin_all()
        t.errno(0, cut, "punch")


@test(break_time=1)
def killed_after_sigbus(t):
    """Who comes next finds the ladder where it was: no second SIGBUS."""
    path = t.file()
    h = t.holder(path)
    h.block_sigbus()
    b, _ = waiting(t, path)
    t.true(h.sigbus(), "no SIGBUS")
    b.kill()
    again = t.proc().go.truncate(path, 0)
    t.errno(errno.ETXTBSY, again, "truncate")
    t.eq(h.sigbus(0), None, "second SIGBUS")
    t.eq(notices(path), 1, "notices")


# ---- several breakers

def two_holders(t, path):
    """Of the first and of the second half of 8 MiB."""
    return [t.holder(path, SIZE, offset=offset) for offset in (0, SIZE)]


@test
def disjoint_breakers(t):
    """Each waits for what is in its own range, in one break."""
    path = t.file(2 * SIZE)
    holders, calls_ = two_holders(t, path), []
    for offset in 0, SIZE:
        b = t.proc()
        call = b.go.fallocate(b.open(path), PUNCH_HOLE, offset, SIZE)
        t.blocked(call, "punch")
        calls_.append(call)
    t.eq(notices(path), 2, "notices, one a holder")
    holders[1].unpin_all()
    t.errno(0, calls_[1], "second punch")
    t.blocked(calls_[0], "first punch")
    holders[0].unpin_all()
    t.errno(0, calls_[0], "first punch")


@test
def overlapping_breakers(t):
    """The narrower one goes on while the wider one still waits."""
    path = t.file(2 * SIZE)
    holders = two_holders(t, path)
    _, wide = waiting(t, path)
    b = t.proc()
    narrow = b.go.fallocate(b.open(path), PUNCH_HOLE, SIZE, SIZE)
    t.blocked(narrow, "punch")
    t.eq(notices(path), 2, "notices, one a holder")
    holders[1].unpin_all()
    t.errno(0, narrow, "punch")
    t.blocked(wide, "truncate")
    holders[0].unpin_all()
    t.errno(0, wide, "truncate")


# ---- breakers that hold

@test
def own_pins_elsewhere(t):
    """Not in the way: no EDEADLK, the others are waited for."""
    path = t.file(2 * SIZE)
    b, h = two_holders(t, path)
    punch = b.go.fallocate(b.fd, PUNCH_HOLE, SIZE, SIZE)
    t.true(h.sig(), "no notice")
    t.blocked(punch, "punch")
    h.unpin_all()
    t.errno(0, punch, "punch")
    t.errno(errno.EDEADLK, b.go.truncate(path, 0), "truncate of one's own")


@test
def own_lease_without_pins(t):
    """The breaker is told of its own break, and waits for the others."""
    path = t.file()
    h, b = t.holder(path), t.proc()
    fd = b.open(path)
    b.lease(fd)
    cut = b.go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    t.blocked(cut, "truncate")
    h.unpin_all()
    t.errno(0, cut, "truncate")
    t.true(b.sig(0), "no notice to the breaker")


@test
def own_pins_and_others(t):
    """EDEADLK at once: nobody else is told for a break that can't succeed."""
    path = t.file()
    b, other = t.holder(path), t.holder(path)
    t.errno(errno.EDEADLK, b.go.truncate(path, 0), "truncate of one's own")
    t.eq(notices(path), 0, "notices")
    t.eq(other.getlease(other.fd), F_LONGTERM, "the other's lease")


@test
def own_pins_are_let_go_by_a_thread(t):
    """A process with threads is told by SIGIO and can react."""
    path = t.file()
    h = t.holder(path)
    cut = h.begin("truncate", path, 0)
    t.true(h.sig(), "no notice")
    h.unpin_all()
    t.eq(h.finish(cut), 0, "truncate")
    t.eq(os.stat(path).st_size, 0, "size")


@test(break_time=0)
def crossed(t):
    """Each truncates what the other holds, and can't react: it ends in time."""
    paths = [t.file(), t.file()]
    holders = [t.holder(path) for path in paths]
    for h in holders:
        h.block_sigbus()
    cuts = [h.go.truncate(path, 0)
            for h, path in zip(holders, reversed(paths))]
    for cut in cuts:
        t.errno(errno.ETXTBSY, cut, "truncate")


# ---- a holder that needs what the breaker might hold

def work(t, h, path, other):
    """All that a holder may have to do before it can let go."""
    h.pwrite(h.fd, b"last words", 100)
    h.fsync(h.fd)
    t.eq(h.pread(h.fd, 10, 100), b"last words", "read")
    h.poke(h.addr + 8192, b"fault")
    addr = h.mmap(h.fd, SIZE)
    h.poke(addr + guest.MIB, b"fault")
    h.munmap(addr, SIZE)
    h.fchmod(h.fd, 0o640)
    h.utime(path)
    h.rename(path, path + ".new")
    h.rename(path + ".new", path)
    h.fallocate(h.fd, 0, 2 * SIZE, SIZE)    # takes no blocks away
    h.truncate(other, 0)
    h.truncate(other, SIZE)
    h.fsync(h.fd)


@test(limit=60)
def holder_works_during_each_operation(t):
    for operation in OPERATIONS:
        path, other = t.file(), t.file()
        h = t.holder(path)
        b, call = waiting(t, path, operation)
        work(t, h, path, other)
        t.true(not call.done(), f"{operation} returned")
        h.unpin_all()
        t.errno(0, call, operation)
        h.kill()
        b.kill()


@contextlib.contextmanager
def frozen(t):
    """The filesystem, for as long as this lasts."""
    fd = os.open(guest.DAX, os.O_RDONLY)
    freezer = t.proc()
    try:
        freezer.go.ioctl(freezer.open(guest.DAX, os.O_RDONLY),
                         calls.FIFREEZE).result()
        yield lambda: calls.ioctl(fd, calls.FITHAW)
    finally:
        with contextlib.suppress(OSError):
            calls.ioctl(fd, calls.FITHAW)
        os.close(fd)


@test(limit=60)
def frozen_during_each_operation(t):
    """
    A filesystem can be frozen while a breaker waits; what the holder then lets
    go of is taken when it thaws, not before.
    """
    for operation in OPERATIONS:
        path = t.file()
        h = t.holder(path)
        size = os.stat(path).st_size
        _, call = waiting(t, path, operation)
        with frozen(t) as thaw:
            h.unpin_all()
            t.blocked(call, operation)
            t.eq(os.stat(path).st_size, size, f"{operation}: size when frozen")
            thaw()
        t.errno(0, call, operation)


# ---- after the wait all is looked at again

@test
def permission_taken_meanwhile(t):
    path = t.file()
    os.chmod(path, 0o666)
    h = t.holder(path)
    b = t.proc()
    b.drop_to(NOBODY)
    cut = b.go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    t.blocked(cut, "truncate")
    os.chmod(path, 0o600)
    h.unpin_all()
    t.errno(errno.EACCES, cut, "truncate")
    t.eq(os.stat(path).st_size, SIZE, "size")


@test
def immutable_meanwhile(t):
    path = t.file()
    h = t.holder(path)
    _, cut = waiting(t, path)
    guest.must("chattr", "+i", path)
    try:
        h.unpin_all()
        t.errno(errno.EPERM, cut, "truncate")
        t.eq(os.stat(path).st_size, SIZE, "size")
    finally:
        guest.must("chattr", "-i", path)


@test
def read_only_meanwhile(t):
    """No write access to the mount is held by a breaker that waits."""
    path = t.file()
    with open(path, "r+b") as f:
        f.write(bytes(SIZE))
    h = t.proc()
    fd = h.open(path, os.O_RDONLY)
    h.lease(fd)
    h.pin(h.mmap(fd, SIZE, prot=PROT_READ), SIZE, "gup_read")
    cut = t.proc().go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    t.blocked(cut, "truncate")
    guest.must("mount", "-o", "remount,ro", guest.DAX)
    try:
        h.unpin_all()
        t.errno(errno.EROFS, cut, "truncate")
    finally:
        guest.must("mount", "-o", "remount,rw", guest.DAX)
    t.eq(os.stat(path).st_size, SIZE, "size")
