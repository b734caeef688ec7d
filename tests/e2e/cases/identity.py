# SPDX-License-Identifier: GPL-2.0
"""Whose lease and whose pin it is, whatever becomes of process and descriptor."""
import errno
import os
import signal
import socket

from lib import guest
from lib.calls import BOTH, F_LONGTERM, F_UNLCK, PUNCH_HOLE
from lib.case import test
from lib.guest import NOBODY

SIZE = 4 * guest.MIB


def nobody_is_stopped(t, path, *alive):
    """The ladder goes by: ETXTBSY, no SIGBUS, all are alive."""
    t.errno(errno.ETXTBSY, t.proc().go.truncate(path, 0), "truncate")
    ino = guest.inode_of(path)
    t.eq(guest.trace_events("sigbus", ino=ino), [], "SIGBUS events")
    for p in alive:
        t.true(p.alive(), f"process {p.pid} died")


# ---- fork

@test
def fork_has_no_lease_of_its_own(t):
    """The child shares the open file, but what it pins elsewhere is its own."""
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    p.lease(fd)
    child = t.fork(p)
    t.eq(child.getlease(fd), F_LONGTERM, "the shared open file")
    other = child.open(path)
    child.pin(child.mmap(other, SIZE), SIZE)
    p.lease(fd, F_UNLCK)
    t.eq(guest.locks(path), [], "/proc/locks")
    child.start_thread()
    t.errno(errno.EDEADLK, child.go.truncate(path, 0),
            "truncate with an automatic lease of one's own")


@test
def fork_pins_by_the_leased_mapping(t):
    """Charged to the lease of that open file: its holder is told."""
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    p.lease(fd)
    addr = p.mmap(fd, SIZE)
    child = t.fork(p)
    child.pin(addr, SIZE)
    t.errno(errno.EBUSY, p.go.lease(fd, F_UNLCK), "F_UNLCK by the parent")
    cut = t.proc().go.truncate(path, 0)
    t.true(p.sig(), "the holder was not told")
    t.eq(child.sig(0), None, "notice to the child")
    child.unpin_all()
    t.errno(0, cut, "truncate")


@test
def fork_child_breaks(t):
    """The child is not the holder: it waits as anyone would."""
    path = t.file()
    p = t.holder(path)
    child = t.fork(p)
    cut = child.go.truncate(path, 0)
    t.true(p.sig(), "no notice")
    t.blocked(cut, "truncate")
    p.unpin_all()
    t.errno(0, cut, "truncate")


@test(break_time=0)
def fork_keeps_lease_and_pins(t):
    """They live on with the child's descriptors; nobody is stopped for them."""
    path = t.file()
    p = t.holder(path)
    child = t.fork(p)
    p.kill()
    t.eq(len(guest.locks(path)), 1, "leases in /proc/locks")
    nobody_is_stopped(t, path, child)
    for fd in child.find_fd("uverbs"):
        child.close(fd)
    t.errno(0, t.proc().go.truncate(path, 0), "truncate after the close")
    child.close(p.fd)
    child.munmap(p.addr, SIZE)
    guest.wait_for(lambda: not guest.locks(path), "the lease ends")


# ---- exec

@test(break_time=0)
def exec_with_pins_and_lease(t):
    """What comes after execve() is told, but not stopped: it did not pin."""
    path = t.file()
    h = t.holder(path)
    h.block_sigbus()
    h.exec(keep=[h.fd, *h.find_fd("uverbs")])
    t.eq(h.getlease(h.fd), F_LONGTERM, "the lease after execve()")
    nobody_is_stopped(t, path, h)
    h.block_sigbus()
    t.eq(h.sigbus(0), None, "SIGBUS")
    t.true(h.sig(0), "no notice")
    for fd in h.find_fd("uverbs"):
        h.close(fd)
    t.errno(0, t.proc().go.truncate(path, 0), "truncate after the close")


@test
def exec_closes_the_leased_fd(t):
    """The lease ends, its pins are orphans."""
    path = t.file()
    h = t.holder(path)
    h.exec(keep=h.find_fd("uverbs"))
    t.eq(guest.locks(path), [], "/proc/locks")
    cut = t.proc().go.truncate(path, 0)
    t.blocked(cut, "truncate")
    for fd in h.find_fd("uverbs"):
        h.close(fd)
    t.errno(0, cut, "truncate after the close")
    t.eq(h.sig(0), None, "notice")


# ---- threads

@test(break_time=1)
def leader_of_the_threads_is_gone(t):
    """SIGIO and SIGBUS reach the threads that are left; leases and pins work."""
    path = t.file()
    h = t.holder(path)
    h.block_sigbus()
    h.leader_exits()
    cut = t.proc().go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    info = h.sigbus()
    t.true(info, "no SIGBUS")
    t.eq(info["addr"], h.addr, "si_addr")
    h.unpin_all()
    t.errno(0, cut, "truncate")
    guest.make_file(path, SIZE)
    h.lease(h.fd)
    h.pin(h.addr, SIZE)
    t.errno(errno.EBUSY, h.go.lease(h.fd, F_UNLCK), "F_UNLCK with a new MR")
    h.unpin_all()
    h.lease(h.fd, F_UNLCK)


@test
def leader_gone_and_one_thread_left(t):
    """That is a process with one thread: nobody else could react."""
    path = t.file()
    h = t.holder(path)
    h.leader_exits()
    t.errno(errno.EDEADLK, h.go.truncate(path, 0), "truncate of one's own")
    t.eq(guest.trace_events("break_wait"), [], "it has waited")


@test(break_time=0)
def leader_gone_credentials_changed(t):
    """What counts is who lives, not what the dead leader still has."""
    path = t.file()
    h = t.holder(path)
    h.block_sigbus()
    h.leader_exits()
    h.setuid_thread(NOBODY)
    nobody_is_stopped(t, path, h)
    t.eq(h.sigbus(0), None, "SIGBUS")


@test(break_time=1)
def thread_that_pinned_is_gone(t):
    path = t.file()
    h = t.proc()
    fd = h.open(path)
    h.lease(fd)
    h.block_sigbus()
    addr = h.mmap(fd, SIZE)
    t.eq(h.finish(h.begin("pin", addr, SIZE)), 0, "pin in a thread")
    cut = t.proc().go.truncate(path, 0)
    info = h.sigbus()
    t.true(info, "no SIGBUS")
    t.eq(info["addr"], addr, "si_addr")
    h.unpin_all()
    t.errno(0, cut, "truncate")


# ---- descriptors that are passed on

def socket_pair(t, *procs):
    """One end of a connection for each; the processes' numbers of them."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    numbers = [p.take_fd(os.getpid(), s.fileno())
               for p, s in zip(procs, pair)]
    for s in pair:
        s.close()
    return numbers


@test
def leased_fd_is_passed_on(t):
    """Pins by it are charged to the lease; who took that is told."""
    path = t.file()
    p, q = t.proc(), t.proc()
    out, into = socket_pair(t, p, q)
    fd = p.open(path)
    p.lease(fd)
    p.send_fd(out, fd)
    got = q.recv_fd(into)
    t.eq(q.getlease(got), F_LONGTERM, "F_GETLEASE by the receiver")
    q.pin(q.mmap(got, SIZE), SIZE)
    t.errno(errno.EBUSY, p.go.lease(fd, F_UNLCK), "F_UNLCK by the sender")
    t.errno(errno.EBUSY, q.go.lease(got, F_UNLCK), "F_UNLCK by the receiver")
    cut = t.proc().go.truncate(path, 0)
    t.true(p.sig(), "the holder was not told")
    t.eq(q.sig(0), None, "notice to the receiver")
    q.unpin_all()
    t.errno(0, cut, "truncate")


@test
def leased_fd_is_passed_on_and_leased(t):
    """Who takes the lease again by the open file that it got is its holder."""
    path = t.file()
    p, q = t.proc(), t.proc()
    fd = p.open(path)
    p.lease(fd)
    got = q.take_fd(p.pid, fd)
    q.lease(got)
    t.eq([int(line.split()[4]) for line in guest.locks(path)], [q.pid], "/proc/locks")
    q.pin(q.mmap(q.open(path), SIZE), SIZE)
    t.errno(errno.EBUSY, q.go.lease(got, F_UNLCK), "F_UNLCK, pinned through another file")


@test
def leased_fd_in_flight(t):
    """The lease lives in the socket, without any process that has the file."""
    path = t.file()
    p, q = t.proc(), t.proc()
    out, into = socket_pair(t, p, q)
    fd = p.open(path)
    p.lease(fd)
    p.send_fd(out, fd)
    p.kill()
    t.eq(len(guest.locks(path)), 1, "leases in /proc/locks")
    t.errno(0, t.proc().go.truncate(path, 4096), "truncate, nothing pinned")
    got = q.recv_fd(into)
    t.eq(q.getlease(got), F_LONGTERM, "F_GETLEASE by the receiver")
    q.lease(got, F_UNLCK)
    t.eq(guest.locks(path), [], "/proc/locks")


@test
def any_descriptor_gives_it_back(t):
    """As with other leases: it is the open file's."""
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    p.lease(fd)
    p.lease(p.dup(fd), F_UNLCK)
    t.eq(p.getlease(fd), F_UNLCK, "given back by the copy")
    p.lease(fd)
    child = t.fork(p)
    child.lease(fd, F_UNLCK)
    t.eq(p.getlease(fd), F_UNLCK, "given back by the child")


@test(break_time=0)
def uverbs_fd_is_passed_on(t):
    """The pinner is gone, the pins are not: nobody is stopped."""
    path = t.file()
    p, q = t.holder(path), t.proc()
    out, into = socket_pair(t, p, q)
    device, = p.find_fd("uverbs")
    p.send_fd(out, device)
    got = q.recv_fd(into)
    p.kill()
    guest.wait_for(lambda: not guest.locks(path), "the lease ends")
    nobody_is_stopped(t, path, q)
    q.close(got)
    t.errno(0, t.proc().go.truncate(path, 0), "truncate after the close")


@test(break_time=0)
def uverbs_fd_outlives_sigbus(t):
    """The pinner is stopped, in vain; who keeps its pins alive is not."""
    path = t.file()
    p, q = t.holder(path), t.proc()
    out, into = socket_pair(t, p, q)
    device, = p.find_fd("uverbs")
    p.send_fd(out, device)
    got = q.recv_fd(into)
    t.errno(errno.ETXTBSY, t.proc().go.truncate(path, 0), "truncate")
    t.eq(os.WTERMSIG(p.wait()), signal.SIGBUS, "pinner killed by")
    t.true(q.alive(), "who has the descriptor died")
    q.close(got)
    t.errno(0, t.proc().go.truncate(path, 0), "truncate after the close")


# ---- closed before dereg, several leases

@test(break_time=1)
def orphan_has_no_notice(t):
    """As with an automatic lease, SIGBUS is the first that is heard."""
    path = t.file()
    h = t.holder(path)
    h.block_sigbus()
    h.munmap(h.addr, SIZE)
    h.close(h.fd)
    t.eq(guest.locks(path), [], "/proc/locks")
    cut = t.proc().go.truncate(path, 0)
    t.true(h.sigbus(), "no SIGBUS")
    t.eq(h.sig(0), None, "SIGIO")
    h.unpin_all()
    t.errno(0, cut, "truncate")


@test
def orphan_stays_unbreakable(t):
    path = t.file()
    h = t.holder(path, lease=BOTH)
    h.munmap(h.addr, SIZE)
    h.close(h.fd)
    t.errno(errno.ETXTBSY, t.proc().go.truncate(path, 0), "truncate")
    t.eq(guest.trace_events("break_wait"), [], "it has waited")
    h.unpin_all()
    t.errno(0, t.proc().go.truncate(path, 0), "truncate")


@test
def new_lease_is_not_charged_with_orphans(t):
    path = t.file()
    h = t.holder(path)
    h.munmap(h.addr, SIZE)
    h.close(h.fd)
    fd = h.open(path)
    h.lease(fd)
    h.lease(fd, F_UNLCK)
    cut = t.proc().go.truncate(path, 0)
    t.blocked(cut, "truncate")
    h.unpin_all()
    t.errno(0, cut, "truncate")


@test
def two_kinds_in_one_process(t):
    """What is pinned by the one open file can be taken away, by the other not."""
    path = t.file(8 * guest.MIB)
    h, b = t.proc(), t.proc()
    h.hold(path, 2 * guest.MIB)
    h.hold(path, 2 * guest.MIB, 4 * guest.MIB, lease=BOTH)
    fd = b.open(path)
    t.errno(errno.ETXTBSY, b.go.truncate(path, 0), "truncate over both")
    t.errno(errno.ETXTBSY, b.go.fallocate(fd, PUNCH_HOLE, SIZE, SIZE),
            "punch over the unbreakable one")
    t.eq(h.sig(0), None, "notice")
    punch = b.go.fallocate(fd, PUNCH_HOLE, 0, SIZE)
    t.true(h.sig(), "no notice")
    h.unpin(1)
    t.errno(0, punch, "punch over the breakable one")


# ---- rights and numbers

@test(break_time=0)
def credentials_changed_since(t):
    """setuid() after the pin: told, not stopped."""
    path = t.file()
    h = t.holder(path)
    h.block_sigbus()
    h.setuid(NOBODY)
    nobody_is_stopped(t, path, h)
    t.eq(h.sigbus(0), None, "SIGBUS")
    t.true(h.sig(0), "no notice")
    h.unpin_all()


@test
def chown_and_chmod(t):
    """
    They break nothing and take no lease away; who is no longer the owner can
    neither take it anew nor give it back, but react and close.
    """
    path = t.file()
    os.chown(path, NOBODY, NOBODY)
    h = t.proc()
    h.drop_to(NOBODY)
    h.fd, h.addr = h.hold(path, SIZE)
    os.chmod(path, 0o400)
    os.chown(path, 0, 0)
    t.eq(h.getlease(h.fd), F_LONGTERM, "lease after chown and chmod")
    t.eq(guest.trace_events("break_begin"), [], "breaks")
    for kind in (F_LONGTERM, F_UNLCK):
        t.errno(errno.EACCES, h.go.lease(h.fd, kind), f"F_SETLEASE {kind}")
    cut = t.proc().go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    h.unpin_all()
    t.errno(0, cut, "truncate")
    h.munmap(h.addr, SIZE)
    h.close(h.fd)
    guest.wait_for(lambda: not guest.locks(path), "the lease ends")


@test(break_time=0)
def reused_pid_number(t):
    """Another process that has the pinner's number is not meant."""
    path = t.file()
    h = t.holder(path)
    keeper = t.fork(h)
    h.kill()
    same = t.fork(t.proc(), number=h.pid)
    t.eq(same.getpid(), h.pid, "its number")
    same.block_sigbus()
    nobody_is_stopped(t, path, same, keeper)
    t.eq((same.sig(0), same.sigbus(0)), (None, None), "signals")
    keeper.kill()
    t.errno(0, t.proc().go.truncate(path, 0), "truncate")
