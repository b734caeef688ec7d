# SPDX-License-Identifier: GPL-2.0
"""
Address space of a test that pins: mappings side by side, so that a pin may
reach over several, and what is behind each address.
"""
import ctypes
import os

from . import calls, guest
from .pinmodel import NO_FOLIO
from .pintest import LONGTERM, PAGE, WRITE

HUGE = 2 * guest.MIB
PER_HUGE = HUGE // PAGE
NORESERVE, FIXED = 0x4000, calls.MAP_FIXED
MREMAP_MAYMOVE, MREMAP_FIXED = 1, 2
calls.LIBC.mremap.restype = ctypes.c_void_p
calls.LIBC.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t,
                              ctypes.c_int, ctypes.c_void_p]


class File:
    """A file of whole 2 MiB regions, each of one folio or of 512."""

    def __init__(self, path, regions):
        self.path, self.regions = path, regions
        self.size = regions * HUGE
        with open(path, "wb") as f:
            f.write(bytes(self.size))
        self.fd = os.open(path, os.O_RDWR)

    def close(self):
        os.close(self.fd)


class Mapping:
    """pages pages of file at addr; index is the first one."""

    def __init__(self, file, addr, index, pages, private=False, readonly=False):
        self.file, self.addr, self.index, self.pages = file, addr, index, pages
        self.private, self.readonly = private, readonly
        self.copied = set()     # indices that are this mapping's own memory

    @property
    def end(self):
        return self.addr + self.pages * PAGE

    def map(self):
        prot = calls.PROT_READ | (0 if self.readonly else calls.PROT_WRITE)
        flags = calls.MAP_PRIVATE if self.private else calls.MAP_SHARED
        calls.check(calls.LIBC.mmap(self.addr, self.pages * PAGE, prot,
                                    flags | FIXED, self.file.fd,
                                    self.index * PAGE))
        self.copied.clear()


def reserve(addr, length):
    """Nothing is there, and nobody else comes there."""
    return calls.check(calls.LIBC.mmap(
        addr, length, 0, calls.MAP_PRIVATE | calls.MAP_ANONYMOUS | NORESERVE |
        (FIXED if addr else 0), -1, 0))


class Space:
    def __init__(self, size):
        self.size = size
        self.start = (reserve(None, size + HUGE) + HUGE - 1) & -HUGE
        self.mappings = []

    def map(self, file, offset, index=0, pages=None, **how):
        """At offset from the start of the space."""
        if pages is None:
            pages = file.size // PAGE - index
        mapping = Mapping(file, self.start + offset, index, pages, **how)
        mapping.map()
        self.mappings.append(mapping)
        return mapping

    def unmap(self, mapping):
        reserve(mapping.addr, mapping.pages * PAGE)
        self.mappings.remove(mapping)

    def move(self, mapping, offset):
        """mremap(2) it there, and reserve where it was."""
        to, length = self.start + offset, mapping.pages * PAGE
        calls.check(calls.LIBC.mremap(
            mapping.addr, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, to))
        reserve(mapping.addr, length)
        mapping.addr = to

    def at(self, addr):
        for mapping in self.mappings:
            if mapping.addr <= addr < mapping.end:
                return mapping
        return None

    def reach(self, addr, nr, flags):
        """How many pages from there a pin can have."""
        got = 0
        while got < nr:
            mapping = self.at(addr + got * PAGE)
            if not mapping or (flags & WRITE and mapping.readonly):
                break
            got += (mapping.end - addr) // PAGE - got
        return min(got, nr)

    def heads(self, model, addr, nr, flags):
        """
        The folios of pages that have been pinned there, by what the mapping
        must have done with such a pin.
        """
        heads = []
        while len(heads) < nr:
            here = addr + len(heads) * PAGE
            mapping = self.at(here)
            if not mapping:
                raise AssertionError(f"{nr} pages are pinned at {addr:#x}, "
                                     f"{len(heads)} of them there")
            part = min(nr - len(heads), (mapping.end - here) // PAGE)
            index = mapping.index + (here - mapping.addr) // PAGE
            if mapping.private and flags & (WRITE | LONGTERM):
                mapping.copied.update(range(index, index + part))
            there = model.heads_of(mapping.file.fd, index, part)
            heads += [NO_FOLIO if index + i in mapping.copied else there[i]
                      for i in range(part)]
        return heads

    def touch(self, file, region, huge):
        """
        Fault a region in, by a mapping where a 2 MiB entry fits or by one where
        it does not.
        """
        addr = self.start + self.size - 3 * HUGE + (0 if huge else PAGE)
        mapping = Mapping(file, addr, region * PER_HUGE, PER_HUGE)
        mapping.map()
        # All of it: where no 2 MiB entry fits each page has its own.
        for i in range(PER_HUGE):
            ctypes.memmove(addr + i * PAGE, b"x", 1)
        reserve(addr, HUGE)
