# SPDX-License-Identifier: GPL-2.0
"""What a process of a test can be told to do."""
import ctypes
import fcntl
import os
import select
import signal
import threading
import time

from . import blocks, calls, loops, pins, pintest
from .birth import Birth
from .faults import Faults
from .injection import Failing
from .leasefd import LeaseFds

NOTICES = [signal.SIGIO] + list(range(signal.SIGRTMIN, signal.SIGRTMAX + 1))


class Ops(Birth, Faults, LeaseFds, Failing):
    def __init__(self, channel):
        self.channel = channel
        self.threads = []
        # Notices wait in the signalfd until the test asks for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, NOTICES)
        self.sigfd = calls.signalfd(NOTICES)
        self.pins = {}
        self.next_pin = 1
        self.reaction = None
        self.events = []

    # ---- files
    def open(self, path, flags=os.O_RDWR, mode=0o600):
        return os.open(path, flags, mode)

    def open_trunc(self, path, flags=0):
        os.close(os.open(path, os.O_RDWR | os.O_TRUNC | flags))

    def close(self, fd):
        os.close(fd)

    def dup(self, fd):
        return os.dup(fd)

    def size(self, fd):
        return os.fstat(fd).st_size

    def pwrite(self, fd, data, offset):
        return os.pwrite(fd, data, offset)

    def pread(self, fd, size, offset):
        return os.pread(fd, size, offset)

    def fsync(self, fd):
        os.fsync(fd)

    def unlink(self, path):
        os.unlink(path)

    def rename(self, old, new):
        os.rename(old, new)

    def fchmod(self, fd, mode):
        os.fchmod(fd, mode)

    def utime(self, path):
        os.utime(path)

    def ioctl(self, fd, request, arg=0):
        calls.ioctl(fd, request, arg)

    def truncate(self, path, size):
        calls.truncate(path, size)

    def ftruncate(self, fd, size):
        calls.ftruncate(fd, size)

    def fallocate(self, fd, mode, offset, length):
        calls.fallocate(fd, mode, offset, length)

    def blocks(self, name, *args):
        """A function of lib.blocks."""
        return getattr(blocks, name)(*args)

    def ioctl(self, fd, request, arg=0):
        return calls.ioctl(fd, request, arg)

    def rename(self, path, over):
        os.rename(path, over)

    def take_fd(self, pid, fd):
        """A descriptor of the same open file as that of another process."""
        pidfd = os.pidfd_open(pid)
        try:
            return calls.pidfd_getfd(pidfd, fd)
        finally:
            os.close(pidfd)

    # ---- leases
    def lease(self, fd, kind=calls.F_LONGTERM):
        calls.setlease(fd, kind)

    def getlease(self, fd):
        return calls.getlease(fd)

    def delegate(self, fd, kind):
        calls.delegate(fd, kind)

    def fcntl(self, fd, cmd, arg):
        return calls.fcntl(fd, cmd, arg)

    def setown_ex(self, fd, kind, pid):
        calls.setown_ex(fd, kind, pid)

    def lease_in_thread(self, fd, kind=calls.F_LONGTERM):
        """Take it in a thread that has ended when this returns."""
        failed = []

        def body():
            try:
                calls.setlease(fd, kind)
            except OSError as e:
                failed.append(e)
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]

    def flock(self, fd, operation):
        fcntl.flock(fd, operation)

    def lockf(self, fd):
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    # ---- memory and pins
    def mmap(self, fd, length, offset=0, prot=calls.PROT_READ | calls.PROT_WRITE,
             flags=calls.MAP_SHARED):
        return calls.mmap(fd, length, offset, prot, flags)

    def mmap_aligned(self, fd, length):
        """At a multiple of 2 MiB, so that 2 MiB entries can be mapped."""
        huge = 2 << 20
        space = calls.mmap(-1, length + huge, prot=0,
                           flags=calls.MAP_PRIVATE | calls.MAP_ANONYMOUS)
        addr = (space + huge - 1) & ~(huge - 1)
        return calls.check(calls.LIBC.mmap(
            addr, length, calls.PROT_READ | calls.PROT_WRITE,
            calls.MAP_SHARED | calls.MAP_FIXED, fd, 0))

    def mmap_over(self, pieces):
        """Pieces (fd, offset, length) of files, one behind the other."""
        huge = 2 << 20
        space = calls.mmap(-1, sum(piece[2] for piece in pieces) + huge, prot=0,
                           flags=calls.MAP_PRIVATE | calls.MAP_ANONYMOUS)
        addr = at = (space + huge - 1) & ~(huge - 1)
        for fd, offset, length in pieces:
            calls.check(calls.LIBC.mmap(
                at, length, calls.PROT_READ | calls.PROT_WRITE,
                calls.MAP_SHARED | calls.MAP_FIXED, fd, offset))
            at += length
        return addr

    def munmap(self, addr, length):
        calls.munmap(addr, length)

    def poke(self, addr, data):
        ctypes.memmove(addr, data, len(data))

    def peek(self, addr, length):
        return ctypes.string_at(addr, length)

    def write_from(self, fd, addr, length):
        """pwrite(2) of mapped memory itself, at offset 0."""
        return calls.pwrite(fd, addr, length, 0)

    def read_into(self, fd, addr, length):
        return calls.pread(fd, addr, length, 0)

    def to_pipe(self, addr, length):
        """The pages themselves, which a pipe refers to until it is empty."""
        self.pipe = os.pipe()
        done = calls.vmsplice(self.pipe[1], addr, length)
        if done != length:
            raise RuntimeError(f"{done} of {length} bytes in the pipe")

    def empty_pipe(self):
        for fd in self.pipe:
            os.close(fd)

    def pin(self, addr, length, kind="mr"):
        number = self.next_pin
        self.pins[number] = pins.KINDS[kind](addr, length)
        self.next_pin += 1
        return number

    def pin_read(self, number):
        return self.pins[number].read()

    def unpin(self, number):
        self.pins.pop(number).unpin()

    def take(self, how, fd, start, end):
        """See lib.pintest."""
        dev = pintest.Pintest()
        try:
            dev.take(how, fd, start, end)
        finally:
            dev.close()

    def race(self, until):
        """See lib.pintest."""
        dev = pintest.Pintest()
        try:
            while time.monotonic() < until:
                dev.race()
        finally:
            dev.close()

    def unpin_pages(self, number, context=pintest.TASK):
        """Of a pin by lib.pintest: unpin(number) has to follow."""
        self.pins[number].unpin_pages(context)

    def unpin_and_unlck(self, number, fd):
        """With nothing in between."""
        self.pins.pop(number).unpin()
        calls.setlease(fd, calls.F_UNLCK)

    def unpin_and_pin(self, number, addr, length, kind):
        """The same."""
        self.pins.pop(number).unpin()
        return self.pin(addr, length, kind)

    def unpin_all(self):
        for number in list(self.pins):
            self.unpin(number)

    def preopen_gup(self):
        pins.Gup.preopened = os.open(pins.Gup.DEBUGFS, os.O_RDWR)

    def hold(self, path, length, offset=0, kind="mr", lease=calls.F_LONGTERM,
             flags=os.O_RDWR):
        """Open, take the lease unless None, map and pin.  (fd, address)"""
        fd = os.open(path, flags)
        if lease is not None:
            calls.setlease(fd, lease)
        addr = calls.mmap(fd, length, offset)
        self.pin(addr, length, kind)
        return fd, addr

    # ---- signals
    def react(self, delay=0.0, retake=None):
        """From now on answer a notice: wait, unpin all, take the lease again."""
        self.reaction = (delay, retake)

    def run_reaction(self):
        info = calls.read_signal(self.sigfd)
        if not info:
            return
        delay, retake = self.reaction
        got = time.monotonic()
        time.sleep(delay)   # the slow holder that the test asked for
        letting_go = time.monotonic()
        self.unpin_all()
        size = None
        if retake is not None:
            calls.setlease(retake, calls.F_LONGTERM)
            size = os.fstat(retake).st_size
        self.events.append({"got": got, "letting_go": letting_go,
                            "size": size, **info})

    def take_events(self):
        events, self.events = self.events, []
        return events

    def sig(self, timeout=30.0):
        """The next notice, or None if there is none within the time."""
        if not select.select([self.sigfd], [], [], timeout)[0]:
            return None
        return dict(calls.read_signal(self.sigfd), at=time.monotonic())

    def block_sigbus(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGBUS])
        self.busfd = calls.signalfd([signal.SIGBUS])

    def sigbus(self, timeout=30.0):
        if not select.select([self.busfd], [], [], timeout)[0]:
            return None
        return dict(calls.read_signal(self.busfd), at=time.monotonic())

    def ignore_sigbus(self):
        signal.signal(signal.SIGBUS, signal.SIG_IGN)

    def catch_sigusr1(self, restart=False):
        """So that it interrupts what this process waits in."""
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.siginterrupt(signal.SIGUSR1, not restart)

    def restart_sigusr1(self):
        """The same, but calls go on after it: SA_RESTART."""
        self.catch_sigusr1()
        signal.siginterrupt(signal.SIGUSR1, False)

    def alarm_every(self, seconds):
        """System calls are restarted after each alarm."""
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.siginterrupt(signal.SIGALRM, False)
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)

    def start_thread(self):
        """A second thread that does nothing, for ever."""
        threading.Thread(target=signal.pause, daemon=True).start()

    def loop(self, name, path, until):
        return loops.loop(self, name, path, until)

    # ---- rights
    def drop_to(self, uid, keep=()):
        """Become uid; of the capabilities keep only those named."""
        if keep:
            calls.prctl(8, 1)   # PR_SET_KEEPCAPS
        os.setresgid(uid, uid, uid)
        os.setgroups([])
        os.setresuid(uid, uid, uid)
        if keep:
            mask = sum(1 << cap for cap in keep)
            low, high = mask & 0xffffffff, mask >> 32
            # _LINUX_CAPABILITY_VERSION_3, this thread
            header = (ctypes.c_uint32 * 2)(0x20080522, 0)
            data = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
            calls.check(calls.LIBC.capset(header, data))
