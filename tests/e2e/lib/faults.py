# SPDX-License-Identifier: GPL-2.0
"""
A long-term pin that stops half way: what it is to pin begins with a page of
anonymous memory whose fault userfaultfd serves, when the test says so.  By then
the file behind it has been admitted, and nothing of it is pinned.
"""
import ctypes
import os
import select
import struct

from . import calls, guest

PAGE = 4096
SYS_USERFAULTFD = 323
UFFDIO_API, UFFDIO_REGISTER, UFFDIO_ZEROPAGE = (
    0xc018aa3f, 0xc020aa00, 0xc020aa04)
UFFD_API, MISSING, PAGEFAULT = 0xaa, 1, 0x12


def request(fd, number, data):
    buffer = ctypes.create_string_buffer(data, len(data))
    return calls.ioctl(fd, number, ctypes.addressof(buffer))


class Faults:
    """A part of Ops."""

    def map_behind_a_fault(self, fd, length, offset=0, between=0):
        """
        A page whose fault waits, some anonymous pages, then those of the file.
        The address of the first page, and the userfaultfd.
        """
        huge, front = 2 << 20, (1 + between) * PAGE
        space = calls.mmap(-1, length + 2 * huge,
                           flags=calls.MAP_PRIVATE | calls.MAP_ANONYMOUS)
        addr = (space + front + huge - 1) & ~(huge - 1)
        self.map_at(addr, fd, length, offset)
        uffd = calls.check(calls.LIBC.syscall(SYS_USERFAULTFD, os.O_CLOEXEC))
        request(uffd, UFFDIO_API, struct.pack("QQQ", UFFD_API, 0, 0))
        first = addr - front
        request(uffd, UFFDIO_REGISTER,
                struct.pack("QQQQ", first, PAGE, MISSING, 0))
        return first, uffd

    def map_at(self, addr, fd, length, offset=0):
        """In place of what is there."""
        calls.check(calls.LIBC.mmap(
            addr, length, calls.PROT_READ | calls.PROT_WRITE,
            calls.MAP_SHARED | calls.MAP_FIXED, fd, offset))


class InFlight:
    """
    Process p pins a file's pages, of which it has mapped so many, and is on its
    way.  From when this is made until go_on().
    """

    def __init__(self, p, fd, length, between=0):
        self.p = p
        self.first, number = p.map_behind_a_fault(fd, length, 0, between)
        self.addr = self.first + (1 + between) * PAGE
        pidfd = os.pidfd_open(p.pid)
        self.uffd = calls.pidfd_getfd(pidfd, number)
        os.close(pidfd)
        self.pin = p.begin("pin", self.first, length + self.addr - self.first)
        if not select.select([self.uffd], [], [], 30 * guest.SLOW)[0]:
            raise AssertionError("the pin does not wait")
        what = os.read(self.uffd, 32)[0]
        if what != PAGEFAULT:
            raise AssertionError(f"event {what} of the userfaultfd")

    def serve(self):
        """The fault is served: the pin goes on."""
        request(self.uffd, UFFDIO_ZEROPAGE,
                struct.pack("QQQq", self.first, PAGE, 0, 0))

    def go_on(self):
        """How it has ended: errno or 0."""
        self.serve()
        return self.p.finish(self.pin)
