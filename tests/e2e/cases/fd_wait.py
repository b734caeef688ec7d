# SPDX-License-Identifier: GPL-2.0
"""Waiting for a lease fd: read, poll, epoll, io_uring, signals."""
import errno
import fcntl
import os
import select
import signal
import subprocess
import time

from lib import guest
from lib.breaks import NOTICE
from lib.calls import F_SETOWN, F_SETSIG
from lib.case import test
from lib.leasefd import EVENT, NONBLOCK
from lib.machine import insmod

from .fd import PAGE, page_holder
from .module import refused


class Breaker:
    """Breaks of the pages that a process holds, as often as one likes."""

    def __init__(self, t, path, page):
        self.t, self.page = t, page
        self.proc = t.proc()
        self.fd = self.proc.open(path, os.O_RDWR | os.O_NONBLOCK)

    def begin(self):
        """The break is under way when this returns."""
        self.t.errno(errno.EAGAIN, self.proc.go.fd_break(
            self.fd, self.page * PAGE, PAGE), "BREAK")

    def end(self, holder):
        holder.unpin_all()
        self.t.errno(0, self.proc.go.fd_break(
            self.fd, self.page * PAGE, PAGE), "BREAK at the end")

    def both(self, holder):
        self.begin()
        self.end(holder)
        holder.pin(holder.addr, PAGE)


def one(t, flags=0):
    path = t.file()
    h = t.proc()
    h.fd = h.open(path)
    h.lease_fd = h.fd_lease(h.fd, 4 * PAGE, PAGE, flags)
    h.addr = h.mmap(h.fd, PAGE, 4 * PAGE)
    h.pin(h.addr, PAGE)
    return h, Breaker(t, path, 4)


@test
def read_waits(t):
    h, b = one(t)
    call = h.go.fd_read(h.lease_fd)
    t.blocked(call, "read")
    b.begin()
    t.eq([e["type"] for e in call.result(NOTICE)], ["break"], "read")
    h.catch_sigusr1()
    call = h.go.fd_read(h.lease_fd)
    t.blocked(call, "read")
    h.signal(signal.SIGUSR1)
    # Python calls read() again after EINTR; the handler did run.
    t.blocked(call, "read after a signal")
    other = t.proc()
    copy = other.take_fd(h.pid, h.lease_fd)
    t.eq(other.fd_types(copy), [], "events")
    h.kill()


@test
def read_does_not_wait_with_o_nonblock(t):
    h, b = one(t, NONBLOCK)
    t.errno(errno.EAGAIN, h.go.fd_read(h.lease_fd), "read")
    b.begin()
    t.eq(len(h.fd_read(h.lease_fd)), 1, "events")
    t.errno(errno.EAGAIN, h.go.fd_read(h.lease_fd), "read again")
    h.fd_set_nonblocking(h.lease_fd, False)
    call = h.go.fd_read(h.lease_fd)
    t.blocked(call, "read")
    h.kill()


@test
def small_and_bad_buffers(t):
    h, b = one(t, NONBLOCK)
    b.both(h)
    for size in (0, 1, EVENT.size - 1):
        t.errno(errno.EINVAL, h.go.fd_read(h.lease_fd, size), f"{size} bytes")
    t.errno(errno.EFAULT, h.go.read_into_memory(h.lease_fd, 8, 4096), "read")
    # Room for the first, and a page that can't be written to behind it.
    t.eq(h.read_before_hole(h.lease_fd, EVENT.size, 4096), ["break"],
         "what was delivered")
    t.errno(errno.EFAULT, h.go.read_before_hole(h.lease_fd, 8, 4096),
            "no room for one")
    t.eq([e["type"] for e in h.fd_read(h.lease_fd, EVENT.size + 8)], ["end"],
         "what is left")


@test
def one_at_a_time(t):
    h, b = one(t)
    b.both(h)
    t.eq([h.fd_read(h.lease_fd, EVENT.size)[0]["type"] for _ in range(2)],
         ["break", "end"], "events")


@test
def poll_and_epoll(t):
    """Level: as long as something waits.  Edge: once for each event."""
    h, b = one(t)
    h.fd_epolls(h.lease_fd)
    t.eq((h.fd_poll(h.lease_fd), h.fd_ready("level"), h.fd_ready("edge")),
         (0, 0, 0), "before")
    b.begin()
    t.eq(h.fd_ready("edge", NOTICE), select.EPOLLIN, "edge")
    t.eq([h.fd_ready("edge"), h.fd_ready("edge")], [0, 0], "edge again")
    t.eq([h.fd_ready("level"), h.fd_ready("level"), h.fd_poll(h.lease_fd)],
         [select.EPOLLIN] * 3, "level")
    b.end(h)
    t.eq(h.fd_ready("edge", NOTICE), select.EPOLLIN, "edge at the end")
    t.eq(h.fd_types(h.lease_fd), ["break", "end"], "events")
    t.eq([h.fd_ready("level"), h.fd_poll(h.lease_fd)], [0, 0], "after reading")


@test(break_time=1)
def hung_up_for_good(t):
    h, b = one(t)
    h.ignore_sigbus()
    h.fd_epolls(h.lease_fd)
    waiting = t.proc()
    call = waiting.go.fd_break(waiting.open(t.last_path()), 4 * PAGE, PAGE)
    t.errno(errno.ETXTBSY, call, "BREAK")
    t.eq(h.fd_ready("edge", NOTICE), select.EPOLLIN | select.EPOLLHUP, "edge")
    t.eq(h.fd_types(h.lease_fd), ["break", "revoked", "end"], "events")
    t.eq(h.fd_ready("level"), select.EPOLLHUP, "level")
    t.eq([h.fd_read(h.lease_fd), h.fd_read(h.lease_fd)], [[], []], "read")


@test
def each_event_goes_to_one_thread(t):
    h, b = one(t)
    h.fd_readers(h.lease_fd, 4)
    seen = []
    for round_ in range(5):
        b.begin()
        guest.wait_for(lambda: seen.extend(h.fd_got()) or
                       len(seen) == 2 * round_ + 1, "one thread with it")
        b.end(h)
        guest.wait_for(lambda: seen.extend(h.fd_got()) or
                       len(seen) == 2 * round_ + 2, "one thread with the end")
        h.pin(h.addr, PAGE)
    t.eq([e["type"] for got in seen for e in got], ["break", "end"] * 5,
         "events")


@test(break_time=1)
def all_threads_return_at_the_end(t):
    h, b = one(t)
    h.ignore_sigbus()
    h.fd_readers(h.lease_fd, 4)
    waiting = t.proc()
    t.errno(errno.ETXTBSY, waiting.go.fd_break(
        waiting.open(t.last_path()), 4 * PAGE, PAGE), "BREAK")
    seen = []
    guest.wait_for(lambda: seen.extend(h.fd_got()) or len(seen) == 7,
                   "three events and four ends")
    t.eq(sorted(e["type"] for got in seen for e in got),
         ["break", "end", "revoked"], "events")


@test
def closed_while_it_is_read(t):
    """The read keeps it open; with its return the lease ends."""
    h, b = one(t)
    h.fd_read_in_thread(h.lease_fd)
    h.close(h.lease_fd)
    t.eq(len(guest.locks(t.last_path())), 1, "leases")
    b.begin()
    seen = []
    guest.wait_for(lambda: seen.extend(h.fd_got()) or len(seen) == 2,
                   "the event, and the next read")
    t.eq((seen[0][0]["type"], seen[1]), ("break", "EBADF"), "what was read")
    t.eq(guest.locks(t.last_path()), [], "leases")
    b.end(h)


@test
def dup_and_fork_share_the_events(t):
    h, b = one(t)
    copy = h.dup(h.lease_fd)
    child = t.fork(h)
    b.both(h)
    t.eq([h.fd_read(copy, EVENT.size)[0]["type"],
          child.fd_read(h.lease_fd, EVENT.size)[0]["type"]],
         ["break", "end"], "events")
    t.eq((h.fd_poll(h.lease_fd), child.fd_poll(copy)), (0, 0), "poll")


@test
def a_signal_for_who_asks(t):
    h, b = one(t)
    b.both(h)
    t.eq(h.sig(0), None, "signal without O_ASYNC")
    mine = signal.SIGRTMIN + 5
    h.fcntl(h.lease_fd, F_SETOWN, h.pid)
    h.fcntl(h.lease_fd, F_SETSIG, mine)
    h.fcntl(h.lease_fd, fcntl.F_SETFL, os.O_ASYNC)
    b.begin()
    info = h.sig(NOTICE)
    t.eq((info["signo"], info["fd"]), (mine, h.lease_fd), "signal")
    b.end(h)
    t.true(h.sig(NOTICE), "no signal at the end")
    h.fcntl(h.lease_fd, fcntl.F_SETFL, 0)
    h.pin(h.addr, PAGE)
    b.both(h)
    t.eq(h.sig(0), None, "signal without O_ASYNC again")


@test
def io_uring_polls(t):
    """Once, and as often as there is something."""
    h, b = one(t)
    for how in ("once", "multi"):
        with subprocess.Popen(
                [guest.BIN + "/uringpoll", str(h.pid), str(h.lease_fd), how],
                stdout=subprocess.PIPE, text=True) as poll:
            t.eq(poll.stdout.readline(), "waits\n", "begin")
            b.begin()
            t.eq(poll.stdout.readline(), "1\n", how)
            b.end(h)
            if how == "multi":
                t.eq(poll.stdout.readline(), "1\n", how)
            poll.kill()
        h.fd_events(h.lease_fd)
        h.pin(h.addr, PAGE)


@test(limit=60)
def the_module_stays(t):
    """As long as there is a lease fd, or somebody has the device open."""
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    dev = p.dev()
    refused(t, "the device open")
    lease = p.fd_lease(fd)
    p.close(dev)
    p.close(fd)
    refused(t, "a lease fd")
    p.close(lease)
    p.kill()
    guest.must("rmmod", "longterm")
    try:
        t.true(not os.path.exists("/dev/longterm"), "the device is there")
    finally:
        insmod()
    t.true(os.path.exists("/dev/longterm"), "no device")
