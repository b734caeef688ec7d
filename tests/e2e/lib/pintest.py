# SPDX-License-Identifier: GPL-2.0
"""
/dev/longterm_pintest: pins in every way, unpins in every way, and what folios
count. See tests/kmod/pintest.h, which has the same in C.
"""
import collections
import ctypes
import errno
import os
import struct

from . import calls, guest

MODULE = "/opt/longterm/longterm_pintest.ko"
DEVICE = "/dev/longterm_pintest"
PAGE = 4096

PAGES, FAST, REMOTE, UNLOCKED, BIO, MEMFD, ADD, TAGGED = range(8)
WRITE, LONGTERM = 1, 2
(UNPIN_PAGE, UNPIN_PAGES, UNPIN_PAGES_DIRTY, UNPIN_RANGE, UNPIN_FOLIO,
 UNPIN_FOLIOS, UNPIN_FOLIO_PAGES, UNPIN_BIO) = range(8)
TASK, SOFTIRQ, HARDIRQ, KTHREAD = range(4)
BREAK_AND_MORE, BREAK_IN_KTHREAD = range(2)
PRESENT, ZERO, EMPTY, SHARED, ASSOCIATED = 1, 2, 4, 8, 16

PIN_ARG = struct.Struct("=IIQQiiII")
UNPIN_ARG = struct.Struct("=IIIIQQQ")
LOOK_ARG = struct.Struct("=iIQQ")
PRESET_ARG = struct.Struct("=QII")
BREAK_ARG = struct.Struct("=iIQQ")
FOLIO = struct.Struct("=QQIIIIiiiIQ")

Folio = collections.namedtuple(
    "Folio", "pfn head all longterm order flags refs pincount mapcount pad word")


def iow(number, size, back=False):
    return (3 if back else 1) << 30 | size << 16 | ord("P") << 8 | number


IOC_PIN = iow(1, PIN_ARG.size, True)
IOC_UNPIN = iow(2, UNPIN_ARG.size, True)
IOC_LOOK = iow(3, LOOK_ARG.size)
IOC_PRESET = iow(4, PRESET_ARG.size)
IOC_BREAK = iow(5, BREAK_ARG.size)
IOC_RACE = ord("P") << 8 | 6


def load():
    """Once for the guest; it stays, as nobody else cares."""
    if not os.path.exists(DEVICE):
        guest.must("insmod", MODULE)


class Pintest:
    """An open /dev/longterm_pintest: its pins end with it."""

    def __init__(self):
        load()
        self.fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)

    def close(self):
        os.close(self.fd)

    def _ioctl(self, request, data):
        arg = ctypes.create_string_buffer(data, len(data))
        calls.ioctl(self.fd, request, ctypes.addressof(arg))
        return arg.raw

    def pin(self, how, addr, nr, flags=WRITE, pid=0, fd=-1):
        """(handle, how many pages): perhaps fewer than asked for."""
        raw = self._ioctl(IOC_PIN, PIN_ARG.pack(how, flags, addr, nr, pid, fd,
                                                0, 0))
        return PIN_ARG.unpack(raw)[6:8]

    def unpin(self, handle, first, nr, how=UNPIN_PAGES, context=TASK,
              dirty=False):
        """How many pages were unpinned."""
        raw = self._ioctl(IOC_UNPIN, UNPIN_ARG.pack(handle, how, context, dirty,
                                                    first, nr, 0))
        return UNPIN_ARG.unpack(raw)[6]

    def _look(self, fd, index, nr):
        out = ctypes.create_string_buffer(nr * FOLIO.size)
        self._ioctl(IOC_LOOK, LOOK_ARG.pack(fd, nr, index,
                                            ctypes.addressof(out)))
        return [Folio(*f) for f in FOLIO.iter_unpack(out.raw)]

    def look(self, fd, index, nr=1):
        """What is there for these pages of a file, without touching it."""
        return self._look(fd, index, nr)

    def look_at(self, pfn, nr=1):
        return self._look(-1, pfn, nr)

    def preset(self, pfn, every, longterm):
        self._ioctl(IOC_PRESET, PRESET_ARG.pack(pfn, every, longterm))

    def take(self, how, fd, start, end):
        """Asks for that range of a file."""
        self._ioctl(IOC_BREAK, BREAK_ARG.pack(fd, how, start, end))

    def race(self):
        """With whoever does the same at the same time."""
        calls.ioctl(self.fd, IOC_RACE, 0)

    def pin_errno(self, *args, **kw):
        """0 if it was pinned, and is no more."""
        try:
            handle, nr = self.pin(*args, **kw)
        except OSError as e:
            return e.errno
        self.unpin(handle, 0, nr)
        return 0


class Plain:
    """Some long-term pins, as lib.pins has others."""
    HOW, FLAGS = FAST, WRITE | LONGTERM

    def __init__(self, addr, length):
        self.dev = Pintest()
        self.nr = length // PAGE
        try:
            self.handle, got = self.dev.pin(self.HOW, addr, self.nr, self.FLAGS)
        except OSError:
            self.dev.close()
            raise
        if got != self.nr:
            self.dev.close()
            raise RuntimeError(f"{got} of {self.nr} pages pinned")

    def unpin_pages(self, context=TASK):
        """But do not say that they have gone, if they have a tag."""
        self.dev.unpin(self.handle, 0, self.nr, context=context)

    def unpin(self):
        self.dev.close()


class Transient(Plain):
    """The same, but not for long, and only to read."""
    FLAGS = 0


class Tagged(Plain):
    """The same, with a tag."""
    HOW = TAGGED


def gone(number):
    """Is that an errno that a pin may end with where there is no page?"""
    return number in (errno.EFAULT, errno.EAGAIN)
