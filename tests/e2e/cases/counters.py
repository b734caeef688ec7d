# SPDX-License-Identifier: GPL-2.0
"""/proc/fs/longterm/stat: each counter counts what it says, and nothing else."""
import errno
import os
import signal

from lib import calls, guest, view
from lib.calls import BOTH, F_LONGTERM, F_UNLCK
from lib.case import test

SIZE = 4 * guest.MIB
PAGE = 4096
NAMES = """
leases records inodes breaks lease_taken lease_released lease_revoked pin unpin
notified sigbus sigkill refused_closed refused_access refused_limit
refused_no_lease refused_unprotected refused_memory refused_interrupted
refused_busy refused_other break_done break_busy break_deadlock break_again
break_interrupted break_failed pinned_bytes wait_ms_le_1 wait_ms_le_10
wait_ms_le_100 wait_ms_le_1000 wait_ms_le_10000 wait_ms_le_100000 wait_ms_le_inf
wait_ms_sum wait_count""".split()


class Changes:
    """What has changed since it was last asked."""

    def __init__(self, t):
        self.t = t
        self.before = view.settled()

    def are(self, what, **want):
        """Exactly these, but for how long somebody has waited."""
        def changes():
            self.now = view.settled()
            return {name: value - self.before[name]
                    for name, value in self.now.items()
                    if value != self.before[name] and "wait_ms" not in name}
        try:
            # The last count of an unpin may still be under way.
            guest.wait_for(lambda: changes() == want, what, 3)
        except AssertionError:
            pass
        self.t.eq(changes(), want, what)
        self.before = self.now


@test
def names(t):
    t.eq(list(view.stat()), NAMES, "names")
    t.eq({k: v for k, v in view.settled().items()
          if k in ("leases", "records", "pinned_bytes", "inodes", "breaks")},
         {"leases": 0, "records": 0, "pinned_bytes": 0, "inodes": 0,
          "breaks": 0}, "there is nothing now")


@test
def leases_and_pins(t):
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    c = Changes(t)
    p.lease(fd)
    c.are("lease", leases=1, lease_taken=1, inodes=1)
    p.lease(fd)
    c.are("lease taken again", lease_taken=1)
    addr = p.mmap(fd, SIZE)
    one = p.pin(addr, 8 * PAGE)
    c.are("a pin", pin=1, records=1, pinned_bytes=8 * PAGE)
    two = p.pin(addr + 16 * PAGE, 4 * PAGE, "gup")
    c.are("another one", pin=1, records=1, pinned_bytes=4 * PAGE)
    p.unpin(one)
    c.are("unpin", unpin=1, records=-1, pinned_bytes=-8 * PAGE)
    t.errno(errno.EBUSY, p.go.lease(fd, F_UNLCK), "F_UNLCK")
    c.are("F_UNLCK with a pin", refused_busy=1)
    p.unpin(two)
    p.lease(fd, F_UNLCK)
    c.are("the rest", unpin=1, records=-1, pinned_bytes=-4 * PAGE, leases=-1,
          lease_released=1, inodes=-1)
    t.holder(path).kill()
    c.are("a process that came and went", lease_taken=1, lease_released=1,
          pin=2, unpin=1)


@test
def large_regions(t):
    """Pinned 512 pages a call, they are one record; and none afterwards."""
    path = t.file(16 * guest.MIB)
    c = Changes(t)
    h = t.holder(path, lease=None)
    c.are("16 MiB", pin=8, records=1, pinned_bytes=16 * guest.MIB, inodes=1)
    h.unpin_all()
    c.are("unpinned", unpin=1, records=-1, pinned_bytes=-16 * guest.MIB,
          inodes=-1)


@test
def refusals(t):
    path, stranger = t.file(), t.proc()
    os.chmod(path, 0o666)
    h = t.proc()
    fd = h.open(path)
    addr = h.mmap(fd, SIZE)
    c = Changes(t)

    guest.set_sysctl("require_lease", 1)
    t.errno(errno.ENOLCK, h.go.pin(addr, SIZE, "gup"), "require_lease=1")
    c.are("require_lease=1", refused_no_lease=1)
    guest.set_sysctl("require_lease", 2)
    t.errno(errno.EOPNOTSUPP, h.go.pin(addr, SIZE, "gup"), "require_lease=2")
    c.are("require_lease=2", refused_no_lease=1)
    guest.set_sysctl("require_lease", 0)

    fd_s = stranger.open(path, os.O_RDONLY)
    at_s = stranger.mmap(fd_s, SIZE, prot=calls.PROT_READ)
    stranger.preopen_gup()
    stranger.drop_to(guest.NOBODY)
    t.errno(errno.EACCES, stranger.go.pin(at_s, PAGE, "gup_read"), "a reader")
    c.are("a pin without a right to it", refused_access=1)
    guest.set_sysctl("unbreakable", 0)
    t.errno(errno.EACCES, h.go.lease(fd, BOTH), "unbreakable")
    c.are("a lease without a right to it", refused_access=1)

    owner = t.proc()
    os.chown(path, guest.NOBODY, guest.NOBODY)
    fd_o = owner.open(path)
    owner.preopen_gup()
    owner.drop_to(guest.NOBODY)
    guest.set_sysctl("max_leases", 0)
    t.errno(errno.ENOLCK, owner.go.lease(fd_o), "max_leases")
    c.are("a lease at a limit", refused_limit=1)
    guest.set_sysctl("max_records", 0)
    t.errno(errno.ENOLCK, owner.go.pin(owner.mmap(fd_o, SIZE), PAGE, "gup"),
            "max_records")
    c.are("a pin at a limit", refused_limit=1)


@test
def breaks(t):
    path = t.file()
    guest.set_step(1)
    c = Changes(t)
    t.errno(0, t.proc().go.truncate(path, SIZE // 2), "truncate")
    c.are("nothing in the way", break_done=1)

    h, b = t.holder(path), t.proc()
    h.block_sigbus()
    fd = b.open(path, os.O_RDWR | os.O_NONBLOCK)
    c.are("a holder", leases=1, lease_taken=1, pin=1, records=1, inodes=1,
          pinned_bytes=SIZE // 2)
    t.errno(errno.EAGAIN, b.go.ftruncate(fd, 0), "ftruncate")
    c.are("does not wait", notified=1, break_again=1)
    t.errno(errno.EAGAIN, h.go.pin(h.addr, PAGE, "gup"), "a pin meanwhile")
    c.are("a pin meanwhile", refused_closed=1)
    h.unpin_all()
    t.errno(0, b.go.ftruncate(fd, 0), "ftruncate")
    c.are("comes back", unpin=1, records=-1, pinned_bytes=-SIZE // 2,
          break_done=1)

    guest.make_file(path, SIZE)
    c.are("written anew")
    h.pin(h.addr, PAGE, "gup")
    guest.set_step(5)
    b.catch_sigusr1()
    cut = b.go.truncate(path, 0)
    t.blocked(cut, "truncate")
    c.are("waits", pin=1, records=1, pinned_bytes=PAGE, breaks=1, notified=1)
    b.signal(signal.SIGUSR1)
    t.errno(errno.EINTR, cut, "truncate")
    c.are("interrupted", breaks=-1, break_interrupted=1, wait_count=1)
    cut = b.go.truncate(path, 0)
    t.blocked(cut, "truncate")
    h.unpin_all()
    t.errno(0, cut, "truncate")
    c.are("done", unpin=1, records=-1, pinned_bytes=-PAGE, break_done=1,
          wait_count=1)


@test(break_time=1)
def ladder(t):
    """To the end, with a holder that stays."""
    path = t.file()
    h, b = t.holder(path), t.proc()
    h.block_sigbus()
    c = Changes(t)
    waits = view.stat()
    t.errno(errno.ETXTBSY, b.go.truncate(path, 0), "truncate")
    c.are("ladder", notified=1, lease_revoked=1, sigbus=1, break_busy=1,
          wait_count=1)
    now = view.stat()
    new = {k: now[k] - waits[k] for k in now if "wait_ms" in k}
    took = new.pop("wait_ms_sum")
    t.between(2, took / 1000, 4, "time waited")
    t.eq(new, {f"wait_ms_le_{bound}": int(bound == "inf" or took <= int(bound))
               for bound in "1 10 100 1000 10000 100000 inf".split()},
         "histogram")


@test(break_time=0)
def killed(t):
    guest.set_sysctl("sigkill", 1)
    guest.set_sysctl("break_time", 1)
    path = t.file()
    h = t.holder(path, lease=None)
    h.block_sigbus()
    c = Changes(t)
    t.errno(0, t.proc().go.truncate(path, 0), "truncate")
    t.eq(os.WTERMSIG(h.wait()), signal.SIGKILL, "holder killed by")
    c.are("killed", sigbus=1, sigkill=1, break_done=1, unpin=1, records=-1,
          pinned_bytes=-SIZE, inodes=-1, wait_count=1)


@test
def refused_at_once(t):
    """An unbreakable lease in the way; oneself in the way."""
    path, other = t.file(), t.file()
    t.holder(path, lease=BOTH)
    h = t.holder(other, lease=None)
    c = Changes(t)
    t.errno(errno.ETXTBSY, t.proc().go.truncate(path, 0), "unbreakable")
    c.are("unbreakable", break_busy=1)
    t.errno(errno.EDEADLK, h.go.ftruncate(h.fd, 0), "one's own pins")
    c.are("one's own pins", break_deadlock=1)
