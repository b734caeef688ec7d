# SPDX-License-Identifier: GPL-2.0
"""Holders and breakers in pid and user namespaces."""
import errno
import os
import signal

from lib import guest
from lib.birth import CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER
from lib.calls import F_LONGTERM, F_SETOWN, F_UNBREAKABLE
from lib.case import test

SIZE = 4 * guest.MIB
SOMEBODY = 1000


def pid_namespace(t, flags=0):
    """A new one: its init, and another process of it."""
    outside = t.proc()
    outside.unshare(CLONE_NEWPID | flags)
    inside = t.fork(outside), t.fork(outside)
    t.eq([p.getpid() for p in inside], [1, 2], "their own numbers")
    return inside


def user_namespace(t, uid=SOMEBODY):
    """A process that is root there, and uid outside."""
    p = t.fork(t.proc(), flags=CLONE_NEWUSER)
    for what in "uid", "gid":
        guest.write(f"/proc/{p.pid}/{what}_map", f"0 {uid} 1")
    p.drop_to(0)
    return p


def hold(p, path, **kw):
    p.fd, p.addr = p.hold(path, SIZE, **kw)
    p.block_sigbus()


def broken(path, event):
    return len(guest.trace_events(event, ino=guest.inode_of(path)))


# ---- pid namespaces

@test(break_time=1)
def holder_in_a_pid_namespace(t):
    """SIGIO and SIGBUS find it, whatever its number."""
    path = t.file()
    _, h = pid_namespace(t)
    hold(h, path)
    t.true(str(h.pid) in guest.locks(path)[0].split(), "number out here")
    cut = t.proc().go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    info = h.sigbus()
    t.true(info, "no SIGBUS")
    t.eq(info["addr"], h.addr, "si_addr")
    h.unpin_all()
    t.errno(0, cut, "truncate")


@test(break_time=0)
def init_of_a_pid_namespace(t):
    """Told, but never stopped: all others there would go with it."""
    path = t.file()
    init, other = pid_namespace(t)
    hold(init, path)
    t.errno(errno.ETXTBSY, t.proc().go.truncate(path, 0), "truncate")
    t.true(init.sig(0), "no notice")
    t.eq((init.sigbus(0), broken(path, "sigbus")), (None, 0), "SIGBUS")
    t.true(init.alive() and other.alive(), "the namespace died")
    init.unpin_all()
    t.errno(0, t.proc().go.truncate(path, 0), "truncate after the unpin")


@test
def notice_to_a_number_of_the_namespace(t):
    path = t.file()
    init, h = pid_namespace(t)
    hold(h, path)
    h.fcntl(h.fd, F_SETOWN, 1)
    cut = t.proc().go.truncate(path, 0)
    t.true(init.sig(), "F_SETOWN's process was not told")
    t.eq(h.sig(0), None, "notice to the holder")
    h.unpin_all()
    t.errno(0, cut, "truncate")


@test
def locks_in_a_pid_namespace(t):
    """/proc/locks there: its own leases with its own numbers, no others."""
    path = t.file()
    outer = t.holder(path)
    _, inner = pid_namespace(t, CLONE_NEWNS)
    hold(inner, path)
    place = "/run/inner-proc"
    os.makedirs(place, exist_ok=True)
    try:
        inner.own_proc(place)

        def numbers(text):
            return sorted(s.split()[4] for s in text.splitlines()
                          if "LONGTERM" in s)
        t.eq(numbers(inner.read(place + "/locks")), ["2"], "in the namespace")
        t.eq(numbers(guest.read("/proc/locks")),
             sorted([str(outer.pid), str(inner.pid)]), "out here")
    finally:
        os.rmdir(place)     # with what is mounted on it over there


@test(break_time=1)     # in which it must have died
def breaker_in_a_pid_namespace(t):
    """It may stop a holder for whom it has no number: it owns the file."""
    path = t.file()
    h = t.holder(path)
    _, b = pid_namespace(t)
    t.errno(0, b.go.truncate(path, 0), "truncate")
    t.eq(os.WTERMSIG(h.wait()), signal.SIGBUS, "holder killed by")


# ---- user namespaces

@test
def lease_in_a_user_namespace(t):
    """One's own files as outside; no capability there replaces ownership."""
    path, foreign = t.file(), t.file()
    os.chown(path, SOMEBODY, SOMEBODY)
    os.chmod(foreign, 0o666)
    p = user_namespace(t)
    hold(p, path, lease=F_LONGTERM | F_UNBREAKABLE)
    t.errno(errno.ETXTBSY, t.proc().go.truncate(path, 0), "truncate")
    t.errno(errno.EACCES, p.go.lease(p.open(foreign)), "another user's file")


@test(break_time=0)
def breaker_in_a_user_namespace(t):
    """Root there stops no process of another user."""
    path = t.file()
    os.chmod(path, 0o666)
    h = t.holder(path)
    h.block_sigbus()
    b = user_namespace(t)
    t.errno(errno.ETXTBSY, b.go.truncate(path, 0), "truncate")
    t.eq((h.sigbus(0), broken(path, "sigbus")), (None, 0), "SIGBUS")
    t.true(h.sig(0), "no notice")


@test(break_time=1)
def holder_in_a_user_namespace(t):
    """Who owns the file outside gets its blocks back."""
    path = t.file()
    os.chown(path, SOMEBODY, SOMEBODY)
    h, b = user_namespace(t), t.proc()
    hold(h, path)
    b.drop_to(SOMEBODY)
    cut = b.go.truncate(path, 0)
    t.true(h.sigbus(), "no SIGBUS")
    h.unpin_all()
    t.errno(0, cut, "truncate")


@test(break_time=0)
def user_namespace_entered_since(t):
    """Other credentials than those of the pin: told, not stopped."""
    path = t.file()
    h = t.proc()
    hold(h, path)
    h.unshare(CLONE_NEWUSER)
    t.errno(errno.ETXTBSY, t.proc().go.truncate(path, 0), "truncate")
    t.true(h.sig(0), "no notice")
    t.eq((h.sigbus(0), broken(path, "sigbus")), (None, 0), "SIGBUS")
