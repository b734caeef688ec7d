# SPDX-License-Identifier: GPL-2.0
"""Lease fds: /dev/longterm as include/uapi/linux/longterm.h has it."""
import ctypes
import errno
import os
import select
import struct
import threading
import time

from . import calls

DEVICE = "/dev/longterm"
LEASE, INFO, BREAK, ADOPT = 0xb900, 0xb901, 0xb902, 0xb903
UNBREAKABLE, NONBLOCK = 1, 2
HELD, BREAKING, REVOKED = 0, 1, 2
EOF = (1 << 63) - 1

ASK = struct.Struct("IIiIQQ")       # of LEASE and of BREAK
ADOPT_ASK = struct.Struct("II")
INFO_ANSWER = struct.Struct("IIiIII8Q")
INFO_FIELDS = ("size", "flags", "fd", "state", "kind", "holders",
               "generation", "start", "end", "break_start", "break_end",
               "pinned", "deadline", "left")
EVENT = struct.Struct("IIIIQQQQQ")
EVENT_FIELDS = ("size", "type", "flags", "reserved", "generation", "start",
                "end", "deadline", "pinned")
TYPES = {1: "break", 2: "end", 3: "revoked"}
MERGED = 1


def ioctl_buffer(fd, request, data):
    """What the call returns, and what is in the buffer then."""
    buf = ctypes.create_string_buffer(bytes(data), len(data))
    return calls.ioctl(fd, request, ctypes.addressof(buf)), buf.raw


def events(data):
    """What read() gave: dicts, with the type as a word."""
    found, at = [], 0
    while at < len(data):
        event = dict(zip(EVENT_FIELDS, EVENT.unpack_from(data, at)))
        event["type"] = TYPES[event["type"]]
        found.append(event)
        at += event["size"]
    return found


class LeaseFds:
    """A part of Ops."""
    device = None

    def dev(self):
        if self.device is None:
            self.device = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
        return self.device

    def fd_lease(self, fd, start=0, length=0, flags=0):
        """A lease fd on a range of an open file."""
        return self.fd_ask(LEASE, ASK.pack(ASK.size, flags, fd, 0, start,
                                           length))

    def fd_break(self, fd, start=0, length=0):
        return self.fd_ask(BREAK, ASK.pack(ASK.size, 0, fd, 0, start, length))

    def fd_ask(self, request, data, fd=None):
        return ioctl_buffer(self.dev() if fd is None else fd, request,
                            data)[0]

    def fd_info(self, lease=None, file=-1, size=INFO_ANSWER.size):
        """Of a lease fd, or of the fcntl lease of a file."""
        asked = struct.pack("IIi", size, 0, file).ljust(size, b"\0")
        raw = ioctl_buffer(self.dev() if lease is None else lease, INFO,
                           asked)[1]
        return dict(zip(INFO_FIELDS, INFO_ANSWER.unpack_from(
            raw.ljust(INFO_ANSWER.size, b"\0"))))

    def fd_adopt(self, lease):
        return self.fd_ask(ADOPT, ADOPT_ASK.pack(ADOPT_ASK.size, 0), lease)

    def fd_poll(self, lease, timeout=0.0):
        """The events of poll(2), 0 if there are none within that time."""
        poll = select.poll()
        poll.register(lease, select.POLLIN)
        found = poll.poll(timeout * 1000)
        return found[0][1] if found else 0

    def fd_read(self, lease, size=4096):
        """One read(2), which may wait."""
        return events(os.read(lease, size))

    def fd_event(self, lease, timeout=30.0):
        """The next event, None if there is none within that time."""
        if not self.fd_poll(lease, timeout) & select.POLLIN:
            return None
        return self.fd_read(lease, EVENT.size)[0]

    def fd_events(self, lease):
        """All that there are now."""
        found = []
        while self.fd_poll(lease) & select.POLLIN:
            found += self.fd_read(lease)
        return found

    def fd_types(self, lease):
        return [event["type"] for event in self.fd_events(lease)]

    def share_files(self):
        """Others of the same user may take our descriptors."""
        calls.prctl(4, 1)   # PR_SET_DUMPABLE

    # ---- ways to wait
    def fd_epolls(self, lease):
        """Two that watch it: see fd_ready."""
        self.epolls = {"level": select.epoll(), "edge": select.epoll()}
        self.epolls["level"].register(lease, select.EPOLLIN)
        self.epolls["edge"].register(lease, select.EPOLLIN | select.EPOLLET)

    def fd_ready(self, which, timeout=0.0):
        found = self.epolls[which].poll(timeout)
        return found[0][1] if found else 0

    def read_into_memory(self, fd, addr, length):
        return calls.check(calls.LIBC.read(fd, ctypes.c_void_p(addr),
                                           ctypes.c_size_t(length)))

    def read_before_hole(self, fd, room, length):
        """Read, with room for so many bytes; the types of what has come."""
        page = 4096
        addr = calls.mmap(-1, 2 * page, flags=calls.MAP_PRIVATE |
                          calls.MAP_ANONYMOUS)
        calls.munmap(addr + page, page)
        try:
            done = self.read_into_memory(fd, addr + page - room, length)
            return [event["type"] for event in
                    events(ctypes.string_at(addr + page - room, done))]
        finally:
            calls.munmap(addr, page)

    # ---- many at once
    def fd_many(self, path, count, size):
        """count lease fds, of size bytes each, one behind the other."""
        fd = os.open(path, os.O_RDWR)
        self.many = [self.fd_lease(fd, i * size, size) for i in range(count)]
        self.epoll = select.epoll()
        for lease in self.many:
            self.epoll.register(lease, select.EPOLLIN)
        return fd

    def fd_woken(self, timeout):
        """Which of them have an event."""
        ready = self.epoll.poll(timeout, maxevents=len(self.many))
        return sorted(self.many.index(fd) for fd, _ in ready)

    def fd_many_lease(self, i):
        return self.many[i]

    def fd_readers(self, lease, count):
        """Threads that read, each until it gets none any more."""
        self.got = []

        def body():
            try:
                while True:
                    found = self.fd_read(lease, EVENT.size)
                    self.got.append(found)
                    if not found:
                        return
            except OSError as e:
                self.got.append(errno.errorcode[e.errno])
        self.threads = [threading.Thread(target=body, daemon=True)
                        for _ in range(count)]
        for thread in self.threads:
            thread.start()
        return os.getpid()

    def fd_read_in_thread(self, lease):
        """A read that goes on when this has returned: see fd_got."""
        self.fd_readers(lease, 1)
        # It sleeps in read(2) once its own state says so.
        tid = self.threads[0].native_id
        while open(f"/proc/self/task/{tid}/stat").read().rsplit(")", 1)[1][1] \
                != "S":
            time.sleep(0.01)

    def fd_got(self):
        got, self.got[:] = list(self.got), []
        return got

    def fd_set_nonblocking(self, lease, on=True):
        os.set_blocking(lease, not on)
