# SPDX-License-Identifier: GPL-2.0
"""What users can't do to each other."""
import errno
import itertools
import os
import signal

from lib import guest
from lib.calls import (BOTH, F_LONGTERM, F_UNLCK, MAP_PRIVATE, PROT_READ,
                       PUNCH_HOLE)
from lib.case import test

SIZE = 4 * guest.MIB
ALICE, BOB = 1001, 1002
CAP_LEASE, F_OWNER_PID = 28, 1


def file_of(t, uid, mode=0o600, size=SIZE):
    path = t.file(size)
    os.chown(path, uid, uid)
    os.chmod(path, mode)
    return path


def as_user(t, uid, path, flags=os.O_RDWR):
    """A process of uid with the file open (as p.fd) and what pins need."""
    p = t.proc()
    p.fd = p.open(path, flags)
    p.preopen_gup()
    p.drop_to(uid)
    return p


def nobody_was_told(t, h):
    t.eq(h.sig(0), None, "notice")
    for name in ("break_begin", "sigio", "sigbus"):
        t.eq(guest.trace_events(name, ino=guest.inode_of(h.path)), [], name)


# ---- who may not truncate can't cause a break

@test
def no_break_without_permission(t):
    h = t.proc()
    h.path = file_of(t, ALICE, 0o644)
    h.fd, h.addr = h.hold(h.path, SIZE)
    b = as_user(t, BOB, h.path, os.O_RDONLY)
    for want, call in (
            (errno.EACCES, b.go.truncate(h.path, 0)),
            (errno.EACCES, b.go.open_trunc(h.path)),
            (errno.EINVAL, b.go.ftruncate(b.fd, 0)),
            (errno.EBADF, b.go.fallocate(b.fd, PUNCH_HOLE, 0, SIZE))):
        t.errno(want, call, call.what)
    # Nor by opening it to truncate without writing.
    t.errno(errno.EACCES, b.go.open(h.path, os.O_RDONLY | os.O_TRUNC),
            "open to read and truncate")
    nobody_was_told(t, h)


@test
def no_break_of_a_file_that_can_not_change(t):
    """Immutable, append-only, on a mount that is read-only."""
    h = t.proc()
    h.path = t.file()
    h.fd, h.addr = h.hold(h.path, SIZE)
    b = t.proc()
    fd = b.open(h.path)
    # ftruncate() of what has become immutable is the filesystem's to refuse.
    for flag, calls in (("i", ()), ("a", (lambda: b.go.ftruncate(fd, 0),))):
        guest.must("chattr", "+" + flag, h.path)
        try:
            for call in calls + (
                    lambda: b.go.truncate(h.path, 0),
                    lambda: b.go.open_trunc(h.path),
                    lambda: b.go.fallocate(fd, PUNCH_HOLE, 0, SIZE)):
                t.errno(errno.EPERM, call(), f"chattr +{flag}")
        finally:
            guest.must("chattr", "-" + flag, h.path)
    where = "/run/longterm-e2e-ro"
    os.makedirs(where, exist_ok=True)
    guest.must("mount", "--bind", guest.DAX, where)
    try:
        guest.must("mount", "-o", "remount,bind,ro", where)
        there = f"{where}/{os.path.basename(h.path)}"
        t.errno(errno.EROFS, b.go.truncate(there, 0), "read-only mount")
        t.errno(errno.EROFS, b.go.open_trunc(there), "read-only mount")
    finally:
        guest.must("umount", where)
    nobody_was_told(t, h)


@test(fs="xfs")
def no_break_by_sharing_blocks(t):
    """A copy that shares the blocks would do it; a reader may ask for one."""
    path = file_of(t, ALICE, 0o644)
    h = t.proc()
    h.hold(path, SIZE)
    b = t.proc()
    own = b.open(file_of(t, BOB))
    fd = b.open(path, os.O_RDONLY)
    b.drop_to(BOB)
    t.errno(errno.ETXTBSY, b.go.blocks("clone", own, fd), "FICLONE")
    t.errno(errno.ETXTBSY, b.go.blocks("clone_range", own, fd, 0, SIZE, 0),
            "FICLONERANGE")
    t.true(b.errno("blocks", "dedupe", fd, own, 0, SIZE), "FIDEDUPERANGE")
    t.eq(h.sig(0), None, "notice")
    t.eq(guest.trace_events("sigio"), [], "sigio")


# ---- who can only read can't hold the owner up

@test
def reader_holds_nobody_up(t):
    path = file_of(t, ALICE, 0o644)
    with open(path, "r+b") as f:
        f.write(bytes(SIZE))
    r = as_user(t, BOB, path, os.O_RDONLY)
    for kind in (F_LONGTERM, BOTH):
        t.errno(errno.EACCES, r.go.lease(r.fd, kind), "lease")
    addr = r.mmap(r.fd, SIZE, prot=PROT_READ)
    for kind in ("gup_read", "uring"):
        t.errno(errno.EACCES, r.go.pin(addr, SIZE, kind), kind)
    r.pin(r.mmap(r.fd, SIZE, flags=MAP_PRIVATE), SIZE, "gup")
    cut = t.proc().go.truncate(path, 0)
    t.errno(0, cut, "truncate")
    t.between(0, cut.took, 0.9, "truncate")


@test
def writer_takes_no_lease(t):
    """Who may write, but is not the owner, pins under an automatic lease."""
    path = file_of(t, ALICE, 0o666)
    w = as_user(t, BOB, path)
    for kind in (F_LONGTERM, BOTH):
        t.errno(errno.EACCES, w.go.lease(w.fd, kind), "lease")
    w.pin(w.mmap(w.fd, SIZE), SIZE, "gup")
    guest.set_step(1)
    t.errno(0, t.proc().go.truncate(path, 0), "truncate by root")
    t.eq(os.WTERMSIG(w.wait()), signal.SIGBUS, "writer killed by")


# ---- nobody gets a process killed that he could not kill himself

def hold_as(t, uid, path):
    h = as_user(t, uid, path)
    h.addr = h.mmap(h.fd, SIZE)
    h.pin(h.addr, SIZE, "gup")
    return h


@test
def no_signal_from_who_may_not_kill(t):
    guest.set_sysctl("break_time", 0)
    guest.set_sysctl("sigkill", 1)
    path = file_of(t, ALICE, 0o666)
    h = hold_as(t, ALICE, path)
    b = as_user(t, BOB, path)
    for call in (b.go.truncate(path, 0), b.go.ftruncate(b.fd, 0),
                 b.go.fallocate(b.fd, PUNCH_HOLE, 0, SIZE),
                 b.go.open_trunc(path)):
        t.errno(errno.ETXTBSY, call, call.what)
        t.true(h.alive(), f"{call.what} got the holder killed")
    for name in ("sigbus", "sigkill"):
        t.eq(guest.trace_events(name), [], name)


@test
def signal_from_the_owner(t):
    """The file is his, though he could not kill(2) who holds it."""
    guest.set_step(1)
    path = file_of(t, ALICE, 0o666)
    h = hold_as(t, BOB, path)
    owner = as_user(t, ALICE, path)
    t.errno(0, owner.go.truncate(path, 0), "truncate by the owner")
    t.eq(os.WTERMSIG(h.wait()), signal.SIGBUS, "holder killed by")


@test
def signal_from_cap_lease(t):
    """What it is for: neither the owner nor who could kill(2)."""
    guest.set_step(1)
    path = file_of(t, ALICE, 0o666)
    h = hold_as(t, ALICE, path)
    b = t.proc()
    b.drop_to(BOB, keep=[CAP_LEASE])
    t.errno(0, b.go.truncate(path, 0), "truncate with CAP_LEASE")
    t.eq(os.WTERMSIG(h.wait()), signal.SIGBUS, "holder killed by")


@test
def signal_from_who_may_kill(t):
    """The same user, who owns nothing of it."""
    guest.set_step(1)
    path = file_of(t, ALICE, 0o666)
    h = hold_as(t, BOB, path)
    b = as_user(t, BOB, path)
    t.errno(0, b.go.truncate(path, 0), "truncate by the same user")
    t.eq(os.WTERMSIG(h.wait()), signal.SIGBUS, "holder killed by")


@test
def notice_to_another_users_process(t):
    """F_SETOWN names it; no signal gets there that kill(2) would not send."""
    guest.set_step(1)
    path = file_of(t, BOB)
    alice, h = t.proc(), as_user(t, BOB, path)
    alice.drop_to(ALICE)
    h.lease(h.fd)
    h.setown_ex(h.fd, F_OWNER_PID, alice.pid)
    h.pin(h.mmap(h.fd, SIZE), SIZE, "gup")
    t.errno(0, t.proc().go.truncate(path, 0), "truncate")
    t.eq(os.WTERMSIG(h.wait()), signal.SIGBUS, "holder killed by")
    t.eq(alice.sig(0), None, "notice")
    t.eq(len(guest.trace_events("sigio")), 1, "attempts")


# ---- no notice twice

@test(break_time=2)
def interrupted_again_and_again(t):
    """One notice and one t0, however often the breaker gives up."""
    path = t.file()
    h, b = t.holder(path), t.proc()
    h.block_sigbus()
    b.catch_sigusr1()
    began = None
    for turn in range(6):
        cut = b.go.truncate(path, 0)
        t.blocked(cut, "truncate")
        b.signal(signal.SIGUSR1)
        t.errno(errno.EINTR, cut, f"truncate {turn}")
        began = began or cut.began
    t.true(h.sig(0), "no notice")
    t.eq(h.sig(0), None, "second notice")
    t.eq(len(guest.trace_events("sigio")), 1, "sigio events")
    last = b.go.truncate(path, 0)
    info = h.sigbus()
    t.true(info, "no SIGBUS")
    t.between(1.9, info["at"] - began, 2.9, "SIGBUS after the first truncate")
    h.unpin_all()
    t.errno(0, last, "truncate")
    t.eq(h.sig(0), None, "second notice")


@test(break_time=10)
def tries_that_do_not_wait(t):
    """Nor however often one tries that does not wait at all."""
    path = t.file()
    h, b = t.holder(path), t.proc()
    fd = b.open(path, os.O_RDWR | os.O_NONBLOCK)
    for _ in range(50):
        t.errno(errno.EAGAIN, b.go.ftruncate(fd, 0), "truncate")
    t.true(h.sig(), "no notice")
    t.eq(h.sig(0), None, "second notice")
    h.unpin_all()
    t.errno(0, b.go.ftruncate(fd, 0), "truncate")


# ---- limits

def told(sysctl):
    return [s for s in guest.must("dmesg").splitlines()
            if f"user {ALICE} has reached fs.longterm.{sysctl}," in s]


def at_the_limit(t, sysctl, limit, more, other):
    """
    more() works up to the limit and then gives ENOLCK, which the log tells of;
    other() is another user's and works all the same.
    """
    guest.set_sysctl(sysctl, limit)
    before = len(told(sysctl))
    for i in range(limit):
        t.errno(0, more(), f"{sysctl} {i + 1} of {limit}")
    t.errno(errno.ENOLCK, more(), f"{sysctl} above {limit}")
    t.errno(0, other(), "another user's")

    def line():
        t.errno(errno.ENOLCK, more(), f"{sysctl} above {limit}")
        return len(told(sysctl)) > before
    # Other tests may just have used up what the log takes in five seconds.
    guest.wait_for(line, "a line in the log")


def open_as(t, uid):
    """A process of uid, and a call that opens a new file of its own."""
    p = t.proc()
    where = f"{guest.DAX}/u{uid}"
    os.makedirs(where, exist_ok=True)
    os.chown(where, uid, uid)
    p.drop_to(uid)
    p.count = 0

    def fresh():
        p.count += 1
        fd = p.open(f"{where}/f{p.pid}-{p.count}", os.O_RDWR | os.O_CREAT)
        p.fallocate(fd, 0, 0, SIZE)
        return fd
    return p, fresh


@test
def limit_on_leases(t):
    a, fresh = open_as(t, ALICE)
    b, others = open_as(t, BOB)
    fds = []

    def more():
        fds.append(fresh())
        return a.go.lease(fds[-1])
    at_the_limit(t, "max_leases", 3, more, lambda: b.go.lease(others()))
    a.lease(fds[0])         # taken again: not one more
    a.lease(fds[0], F_UNLCK)
    a.lease(fds[-1])
    t.errno(errno.ENOLCK, a.go.lease(fds[0]), "one more")
    a.close(fds[-1])
    a.lease(fds[0])
    # All are given back, also those of a process that is killed.
    a.kill()
    guest.wait_for(lambda: len(guest.locks()) == 1, "leases end at exit")
    a, fresh = open_as(t, ALICE)
    for _ in range(3):
        a.lease(fresh())
    t.errno(errno.ENOLCK, a.go.lease(fresh()), "one more")


@test
def limit_on_leases_of_one_file(t):
    """Several open files of one file are several leases."""
    guest.set_sysctl("max_leases", 3)
    guest.set_sysctl("max_files", 1)
    path = file_of(t, ALICE)
    procs = [as_user(t, ALICE, path) for _ in range(4)]
    for p in procs[:3]:
        p.lease(p.fd)
    t.errno(errno.ENOLCK, procs[3].go.lease(procs[3].fd), "the fourth")
    procs[0].lease(procs[0].fd, F_UNLCK)
    procs[3].lease(procs[3].fd)


@test
def limit_on_files(t):
    """A file counts once, whatever the user has on it."""
    a, fresh = open_as(t, ALICE)
    b, others = open_as(t, BOB)
    fds = []

    def more():
        fds.append(fresh())
        if len(fds) % 2:
            return a.go.lease(fds[-1])
        return a.go.pin(a.mmap(fds[-1], SIZE), SIZE, "uring")
    at_the_limit(t, "max_files", 4, more, lambda: b.go.lease(others()))
    addr = a.mmap(fds[0], SIZE)
    a.pin(addr, SIZE, "uring")
    a.pin(addr, 4096, "uring")
    a.unpin(2)
    # The file counts until its record has been looked at, which is soon.
    guest.wait_for(lambda: not a.errno("lease", fds[-1]), "one file less")
    t.errno(errno.ENOLCK, a.go.lease(fds[-2]), "one more")


@test
def limit_on_records(t):
    path = file_of(t, ALICE, size=8 * guest.MIB)
    a, b = as_user(t, ALICE, path), t.proc()
    addr = a.mmap(a.fd, 8 * guest.MIB)
    a.lease(a.fd)
    offsets = (i * 8192 % SIZE for i in itertools.count())
    b.fd, b.addr = b.open(path), None
    b.drop_to(BOB)

    def others():
        b.addr = b.mmap(b.fd, SIZE)
        return b.go.pin(b.addr, SIZE, "uring")
    at_the_limit(t, "max_records", 3,
                 lambda: a.go.pin(addr + next(offsets), 4096, "uring"), others)
    # What was refused is pinned no more.
    a.unpin_all()
    b.unpin_all()
    t.errno(0, t.proc().go.truncate(path, 0), "truncate")
    guest.make_file(path, 8 * guest.MIB)
    a.pin(addr + next(offsets), 4096, "uring")
    a.pin(addr + next(offsets), 4096, "uring")
    third = a.pin(addr + next(offsets), 4096, "uring")
    # Unpinned is given back: on the same file there is no waiting for it.
    for _ in range(20):
        t.errno(errno.ENOLCK, a.go.pin(addr + next(offsets), 4096, "uring"),
                "one more")
        a.unpin(third)
        third = a.pin(addr + next(offsets), 4096, "uring")
    a.kill()
    guest.wait_for(lambda: not guest.module_users(), "records end at exit")


@test(limit=60)
def limits_add_up(t):
    """After pins that failed in every way, as many can be had as before."""
    guest.set_sysctl("max_records", 2)
    path = file_of(t, ALICE)
    procs = [as_user(t, ALICE, path) for _ in range(3)]
    for p in procs:
        p.addr = p.mmap(p.fd, SIZE)
        p.lease(p.fd)
    b = t.proc()

    def all_pin():
        answers = [p.go.pin(p.addr, SIZE, "uring") for p in procs]
        errnos = [answer.errno() for answer in answers]
        for p in procs:
            p.unpin_all()
        return sorted(errnos)
    for _ in range(12):
        # Some of these come too late, or too early and are waited for.
        cut = b.go.truncate(path, 0)
        all_pin()
        t.errno(0, cut, "truncate")
        t.eq(all_pin(), [errno.EFAULT] * 3, "pins of an empty file")
        b.truncate(path, SIZE)
        t.eq(all_pin(), [0, 0, errno.ENOLCK], "pins at the limit")
    t.errno(0, b.go.truncate(path, SIZE // 2), "truncate")
    b.truncate(path, SIZE)
    for p in procs[:2]:
        p.pin(p.addr, SIZE, "uring")
    t.errno(errno.ENOLCK, procs[2].go.pin(procs[2].addr, SIZE, "uring"),
            "the third")


@test
def large_region_is_one_record(t):
    """Pinned in several calls, and still one."""
    guest.set_sysctl("max_records", 1)
    path = file_of(t, ALICE, size=8 * guest.MIB)
    p = t.proc()
    p.fd = p.open(path)
    addr = p.mmap(p.fd, 8 * guest.MIB)
    other = p.mmap(p.fd, 8 * guest.MIB)
    p.unpin(p.pin(addr, guest.MIB))     # opens the device, as root
    p.drop_to(ALICE)
    p.lease(p.fd)
    number = p.pin(addr, 8 * guest.MIB)
    t.errno(errno.ENOLCK, p.go.pin(other, 4096), "a second region")
    p.unpin(number)
    p.pin(other, 8 * guest.MIB)


@test
def limit_of_none(t):
    """0: nobody but who has CAP_SYS_RESOURCE."""
    path = file_of(t, ALICE)
    a = as_user(t, ALICE, path)
    addr = a.mmap(a.fd, SIZE)
    for name, call in (("max_leases", lambda: a.go.lease(a.fd)),
                       ("max_records", lambda: a.go.pin(addr, SIZE, "uring")),
                       ("max_files", lambda: a.go.pin(addr, SIZE, "uring"))):
        before = guest.sysctl(name)
        guest.set_sysctl(name, 0)
        t.errno(errno.ENOLCK, call(), name)
        h = t.holder(path)
        h.kill()
        guest.set_sysctl(name, before)
    a.lease(a.fd)
    a.pin(addr, SIZE, "uring")


@test
def limit_lowered(t):
    """Nothing is taken away; what is new is refused."""
    a, fresh = open_as(t, ALICE)
    fds = [fresh() for _ in range(4)]
    for fd in fds:
        a.lease(fd)
    guest.set_sysctl("max_leases", 2)
    t.eq([a.getlease(fd) for fd in fds], [F_LONGTERM] * 4, "leases")
    a.lease(fds[0], F_UNLCK)
    t.errno(errno.ENOLCK, a.go.lease(fds[0]), "still above")
    for fd in fds[1:]:
        a.lease(fd, F_UNLCK)
    a.lease(fds[0])
