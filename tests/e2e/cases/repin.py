# SPDX-License-Identifier: GPL-2.0
"""
Taking the lease again, during a break. See also breaking.retake_*, where it
is the whole layout change that is waited for.
"""
import errno
import os
import signal

from lib import guest
from lib.calls import F_LONGTERM
from lib.case import test
from lib.proc import Died

SIZE = 4 * guest.MIB
# Two minutes at most; the debug kernel is many times slower.
ROUNDS = 500 if guest.KERNEL == "debug" else 10000


class Break:
    """A truncate that waits for one holder, while another has let go."""

    def __init__(self, t):
        self.path = t.file()
        self.first, self.second = t.holder(self.path), t.holder(self.path)
        self.first.catch_sigusr1()
        self.cut = t.proc().go.truncate(self.path, 0)
        t.true(self.first.sig() and self.second.sig(), "no notice")
        self.first.unpin_all()
        t.blocked(self.cut, "truncate")

    def end(self, t):
        self.second.unpin_all()
        t.errno(0, self.cut, "truncate")


@test
def interrupted(t):
    """EINTR where a handler is installed without SA_RESTART."""
    b = Break(t)
    again = b.first.go.lease(b.first.fd)
    t.blocked(again, "F_SETLEASE")
    b.first.signal(signal.SIGUSR1)
    t.errno(errno.EINTR, again, "F_SETLEASE")
    b.end(t)
    b.first.lease(b.first.fd)
    t.eq(b.first.getlease(b.first.fd), F_LONGTERM, "lease")


@test
def restarted(t):
    """With SA_RESTART the call goes on to wait."""
    b = Break(t)
    b.first.restart_sigusr1()
    again = b.first.go.lease(b.first.fd)
    t.blocked(again, "F_SETLEASE")
    b.first.signal(signal.SIGUSR1)
    t.blocked(again, "F_SETLEASE after the signal")
    b.end(t)
    t.errno(0, again, "F_SETLEASE")
    t.eq(b.first.size(b.first.fd), 0, "size")


@test
def killed(t):
    """SIGKILL ends the wait; the break goes on as if nothing had been."""
    b = Break(t)
    again = b.first.go.lease(b.first.fd)
    t.blocked(again, "F_SETLEASE")
    b.first.signal(signal.SIGKILL)
    try:
        again.result()
        t.true(False, "F_SETLEASE returned")
    except Died as e:
        t.eq(e.signal, signal.SIGKILL, "killed by")
    t.blocked(b.cut, "truncate")
    b.end(t)


@test
def first_lease_during_a_break(t):
    """Whoever comes new waits as well; with O_NONBLOCK it does not."""
    b = Break(t)
    new = t.proc()
    fd = new.open(b.path)
    nonblock = new.open(b.path, os.O_RDWR | os.O_NONBLOCK)
    t.errno(errno.EAGAIN, new.go.lease(nonblock), "O_NONBLOCK")
    lease = new.go.lease(fd)
    t.blocked(lease, "F_SETLEASE")
    b.end(t)
    t.errno(0, lease, "F_SETLEASE")
    t.eq(new.size(fd), 0, "size")
    new.lease(nonblock)


@test(break_time=1)
def after_a_failed_break(t):
    """The wait ends with ETXTBSY's break too: nothing has changed then."""
    b = Break(t)
    b.second.block_sigbus()
    again = b.first.go.lease(b.first.fd)
    t.blocked(again, "F_SETLEASE")
    t.errno(errno.ETXTBSY, b.cut, "truncate")
    t.errno(0, again, "F_SETLEASE")
    t.eq(b.first.size(b.first.fd), SIZE, "size")
    b.first.pin(b.first.addr, SIZE)


@test(limit=600, break_time=60)
def stress(t):
    """No block but the file's own, however often it changes."""
    path, other = t.path(), t.path()
    status, out = guest.run(guest.BIN + "/repin", path, other, str(ROUNDS),
                            timeout=580 * guest.SLOW)
    t.eq(status, 0, f"status; it says: {out}")
    print(f"# {out.strip()}", flush=True)
    words = out.split()
    rounds, changed, refused = int(words[1]), int(words[3]), int(words[5])
    t.eq(rounds, ROUNDS, "rounds")
    t.true(2 * changed >= rounds, f"only {changed} rounds had other blocks")
    # Of the few rounds on the debug kernel perhaps none comes at that moment.
    t.true(refused or guest.KERNEL == "debug", "no registration ever met a break")
