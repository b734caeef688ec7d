# SPDX-License-Identifier: GPL-2.0
"""Breaks that end badly: SIGBUS, ETXTBSY, EDEADLK, EINTR."""
import errno
import os
import signal

from lib import guest
from lib.calls import BOTH, F_LONGTERM, F_UNLCK, PUNCH_HOLE
from lib.case import test
from lib.guest import NOBODY
from lib.proc import Died

SIZE = 4 * guest.MIB
BUS_ADRERR = 2


@test(break_time=1)
def sigbus_kills_the_deaf(t):
    """The pins go with the process, so the truncate succeeds."""
    path = t.file()
    h = t.holder(path)
    cut = t.proc().go.truncate(path, 0)
    t.errno(0, cut, "truncate")
    status = h.wait()
    t.true(os.WIFSIGNALED(status), "holder was not killed")
    t.eq(os.WTERMSIG(status), signal.SIGBUS, "killed by")
    t.between(0.9, cut.took, 1.8, "truncate")
    t.eq(os.stat(path).st_size, 0, "size")


def survives(t, operation, prepare, size_after):
    path = t.file()
    h = t.holder(path)
    prepare(h)
    b = t.proc()
    fd = b.open(path)
    call = operation(b, path, fd)
    t.errno(errno.ETXTBSY, call, "breaker")
    t.between(1.9, call.took, 2.8, "breaker")
    t.eq(os.stat(path).st_size, size_after, "size")
    t.true(h.alive(), "holder died")
    return path, h, b


@test(break_time=1)
def etxtbsy_sigbus_blocked(t):
    """si_code and si_addr are as for a real bus error."""
    _, h, _ = survives(t, lambda b, path, fd: b.go.truncate(path, 0),
                       lambda h: h.block_sigbus(), SIZE)
    info = h.sigbus(0)
    t.true(info, "no SIGBUS")
    t.eq(info["code"], BUS_ADRERR, "si_code")
    t.eq(info["addr"], h.addr, "si_addr")
    t.eq(h.sigbus(0), None, "second SIGBUS")
    t.true(h.sig(0), "no SIGIO before it")


@test(break_time=1)
def breaker_without_rights_leaves_it_to_the_owner(t):
    """Who could not kill the holder gets ETXTBSY; the owner's break still stops it."""
    path = t.file()
    os.chmod(path, 0o666)
    h = t.holder(path)
    stranger = t.proc()
    stranger.drop_to(NOBODY)
    cut = stranger.go.truncate(path, 0)
    t.errno(errno.ETXTBSY, cut, "truncate by who may not kill")
    t.between(1.9, cut.took, 2.8, "truncate by who may not kill")
    t.true(h.alive(), "holder died")
    # Returns when that break is forgotten.
    other = t.proc()
    fd = other.open(path)
    other.lease(fd)
    other.lease(fd, F_UNLCK)
    cut = t.proc().go.truncate(path, 0)
    t.errno(0, cut, "truncate by the owner")
    t.eq(os.WTERMSIG(h.wait()), signal.SIGBUS, "holder killed by")


@test(break_time=1)
def etxtbsy_sigbus_ignored(t):
    survives(t, lambda b, path, fd: b.go.truncate(path, 0),
             lambda h: h.ignore_sigbus(), SIZE)


@test(break_time=1)
def etxtbsy_punch(t):
    path, _, _ = survives(
        t, lambda b, path, fd: b.go.fallocate(fd, PUNCH_HOLE, 0, SIZE),
        lambda h: h.block_sigbus(), SIZE)
    t.true(os.stat(path).st_blocks * 512 >= SIZE, "blocks are gone")


@test(break_time=1)
def etxtbsy_open_trunc(t):
    survives(t, lambda b, path, fd: b.go.open_trunc(path),
             lambda h: h.block_sigbus(), SIZE)


@test(break_time=1)
def sigbus_address_of_first_pin_in_range(t):
    path = t.file(8 * guest.MIB)
    p = t.proc()
    fd = p.open(path)
    p.lease(fd)
    p.block_sigbus()
    addr = p.mmap(fd, 8 * guest.MIB)
    p.pin(addr, guest.MIB)
    p.pin(addr + 4 * guest.MIB, guest.MIB)
    cut = t.proc().go.truncate(path, 4 * guest.MIB)
    info = p.sigbus()
    t.eq(info["addr"], addr + 4 * guest.MIB, "si_addr")
    p.unpin(2)
    t.errno(0, cut, "truncate; the first MR is not in its way")


@test(break_time=1)
def revoked_afterwards(t):
    """Nobody is signalled twice; a new breaker waits one period."""
    path, h, b = survives(t, lambda b, path, fd: b.go.truncate(path, 0),
                          lambda h: h.block_sigbus(), SIZE)
    t.eq(h.getlease(h.fd), F_UNLCK, "F_GETLEASE when revoked")
    t.true(h.sig(0) and h.sigbus(0), "no signals in the first break")
    again = b.go.truncate(path, 0)
    t.errno(errno.ETXTBSY, again, "second break")
    t.between(0.0, again.took, 1.8, "second break")
    t.eq((h.sig(0), h.sigbus(0)), (None, None), "signals of the second break")
    h.unpin_all()
    t.errno(0, b.go.truncate(path, 0), "after the unpin")
    h.lease(h.fd)
    t.eq(h.getlease(h.fd), F_LONGTERM, "the new lease")


@test
def unbreakable(t):
    path = t.file()
    h = t.holder(path, lease=BOTH)
    b = t.proc()
    fd = b.open(path)
    for call in (b.go.truncate(path, 0), b.go.open_trunc(path),
                 b.go.fallocate(fd, PUNCH_HOLE, 0, SIZE)):
        t.errno(errno.ETXTBSY, call, call.what)
        t.between(0, call.took, 0.9, call.what)
    t.eq(h.sig(0), None, "notice")
    t.eq(h.getlease(h.fd), BOTH, "lease")
    h.unpin_all()
    t.errno(0, b.go.truncate(path, 0), "with nothing pinned")


@test(break_time=1)
def automatic_has_no_notice(t):
    """No lease: SIGBUS is the first that the holder hears."""
    path = t.file()
    h = t.holder(path, lease=None)
    h.block_sigbus()
    cut = t.proc().go.truncate(path, 0)
    info = h.sigbus()
    t.true(info, "no SIGBUS")
    t.eq(info["code"], BUS_ADRERR, "si_code")
    t.eq(info["addr"], h.addr, "si_addr")
    t.eq(h.sig(0), None, "SIGIO")
    h.unpin_all()
    t.errno(0, cut, "truncate")
    t.between(0.9, cut.took, 1.9, "truncate")


@test
def own_automatic_lease(t):
    path = t.file()
    h = t.holder(path, lease=None)
    t.errno(errno.EDEADLK, h.go.truncate(path, 0), "truncate of one's own")
    h.unpin_all()
    h.truncate(path, 0)


@test
def own_unbreakable_lease(t):
    path = t.file()
    h = t.holder(path, lease=BOTH)
    h.start_thread()
    t.errno(errno.EDEADLK, h.go.truncate(path, 0), "truncate of one's own")


@test
def own_lease_single_threaded(t):
    path = t.file()
    h = t.holder(path)
    t.errno(errno.EDEADLK, h.go.truncate(path, 0), "truncate of one's own")
    t.eq(os.stat(path).st_size, SIZE, "size")


@test(break_time=1)
def own_lease_threads(t):
    """Another thread could react: wait one period, EDEADLK, no SIGBUS."""
    path = t.file()
    h = t.holder(path)
    h.start_thread()
    cut = h.go.truncate(path, 0)
    t.errno(errno.EDEADLK, cut, "truncate of one's own")
    t.between(0.9, cut.took, 1.9, "truncate")
    t.true(h.sig(0), "no notice")
    t.true(h.alive(), "holder died")


def interrupt_a_breaker(t):
    """The file, its holder, and the breaker with its truncate that was given up."""
    path = t.file()
    h, b = t.holder(path), t.proc()
    h.block_sigbus()
    b.catch_sigusr1()
    cut = b.go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    t.blocked(cut, "truncate")
    b.signal(signal.SIGUSR1)
    t.errno(errno.EINTR, cut, "interrupted truncate")
    return path, h, b, cut


def pin_works(t, h):
    try:
        h.pin(h.addr, 4096)
        return True
    except OSError as e:
        t.eq(e.errno, errno.EAGAIN, "until it works")
        return False


@test(break_time=1)
def interrupted(t):
    """EINTR; the break lives one period longer, then pins work again."""
    # Twice: an alarm may be left from what was before, but no two.
    for _ in range(2):
        path, h, _, _ = interrupt_a_breaker(t)
        t.eq(os.stat(path).st_size, SIZE, "size")
        t.errno(errno.EAGAIN, h.go.pin(h.addr, 4096), "pin while the break lives")
        h.unpin_all()
        guest.wait_for(lambda: pin_works(t, h), "a pin after the break", 4)


@test(break_time=2)
def joined_after_interrupt(t):
    """Who comes back within the period gets no new notice and no new t0."""
    path, h, b, cut = interrupt_a_breaker(t)
    began = cut.began
    again = b.go.truncate(path, 0)
    info = h.sigbus()
    t.true(info, "no SIGBUS")
    t.between(1.9, info["at"] - began, 2.9, "SIGBUS after the first break")
    t.eq(h.sig(0), None, "second notice")
    h.unpin_all()
    t.errno(0, again, "truncate")


@test
def killed_breaker(t):
    """SIGKILL ends the wait, and nothing is left of it."""
    path = t.file()
    h, b = t.holder(path), t.proc()
    cut = b.go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    t.blocked(cut, "truncate")
    b.signal(signal.SIGKILL)
    try:
        cut.result()
        t.true(False, "truncate returned")
    except Died as e:
        t.eq(e.signal, signal.SIGKILL, "killed by")
    t.eq(os.stat(path).st_size, SIZE, "size")
    h.unpin_all()
    t.errno(0, t.proc().go.truncate(path, 0), "next truncate")
