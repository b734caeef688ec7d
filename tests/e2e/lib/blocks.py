# SPDX-License-Identifier: GPL-2.0
"""Where a file's blocks are, and the ioctls that move them."""
import contextlib
import ctypes
import os
import struct

from . import calls, guest

FIEMAP = 0xC020660B
FIEMAP_FLAG_SYNC = 1
FIEMAP_HEAD = struct.Struct("QQIIII")
FIEMAP_EXTENT = struct.Struct("QQQ16xI12x")

FICLONE, FICLONERANGE, FIDEDUPERANGE = 0x40049409, 0x4020940D, 0xC0189436
FITRIM = 0xC0185879
FSGETXATTR, FSSETXATTR = 0x801C581F, 0x401C5820
UNRESVSP, ZERO_RANGE = 0x4030582B, 0x40305839
EXT4_MOVE_EXT, EXT4_RESIZE_FS, EXT4_SWAP_BOOT = 0xC028660F, 0x40086610, 0x6611
XFS_EXCHANGE_RANGE, XFS_SCRUB = 0x40285881, 0xC040583C
SCRUB_BMBTD, SCRUB_REBUILD = 12, 1 | 1 << 8
XFLAG_DAX = 0x8000
FSXATTR = struct.Struct("IIIII8x")


def ioctl(fd, request, data):
    """With a buffer; what the kernel has left in it."""
    buf = ctypes.create_string_buffer(bytes(data), len(data))
    calls.ioctl(fd, request, ctypes.addressof(buf))
    return buf.raw


def extents(path, end=1 << 62, limit=512):
    """
    [logical, physical, length] of the first `end` bytes, as few as it takes: a
    write turns a part of an unwritten extent into a written one, which moves
    nothing.
    """
    size = FIEMAP_HEAD.size + limit * FIEMAP_EXTENT.size
    head = FIEMAP_HEAD.pack(0, end, FIEMAP_FLAG_SYNC, 0, limit, 0)
    fd = os.open(path, os.O_RDONLY)
    try:
        raw = ioctl(fd, FIEMAP, head.ljust(size, b"\0"))
    finally:
        os.close(fd)
    found = []
    for i in range(FIEMAP_HEAD.unpack_from(raw)[3]):
        logical, physical, length, _ = FIEMAP_EXTENT.unpack_from(
            raw, FIEMAP_HEAD.size + i * FIEMAP_EXTENT.size)
        length = min(length, end - logical)
        if found and (found[-1][0] + found[-1][2], found[-1][1] +
                      found[-1][2]) == (logical, physical):
            found[-1][2] += length
        else:
            found.append([logical, physical, length])
    return found


def get_attr(fd):
    """(xflags, extsize, nextents, projid, cowextsize)"""
    return FSXATTR.unpack(ioctl(fd, FSGETXATTR, bytes(FSXATTR.size)))


def set_attr(fd, xflags=None, projid=None):
    old = list(get_attr(fd))
    if xflags is not None:
        old[0] = xflags
    if projid is not None:
        old[3] = projid
    ioctl(fd, FSSETXATTR, FSXATTR.pack(*old))


def space(fd, request, start, length):
    """The calls that were there before fallocate(2). struct space_resv"""
    ioctl(fd, request, struct.pack("hhxxxxqqiI16x", 0, 0, start, length, 0, 0))


def clone(to, fro):
    calls.ioctl(to, FICLONE, fro)


def clone_range(to, fro, offset, length, to_offset):
    ioctl(to, FICLONERANGE, struct.pack("qQQQ", fro, offset, length, to_offset))


def dedupe(fro, to, offset, length):
    """How many bytes were found equal and shared; OSError for its errno."""
    raw = ioctl(fro, FIDEDUPERANGE, struct.pack(
        "QQHHI", offset, length, 1, 0, 0) +
        struct.pack("qQQiI", to, offset, 0, 0, 0))
    _, _, done, status, _ = struct.unpack_from("qQQiI", raw, 24)
    if status < 0:
        raise OSError(-status, os.strerror(-status))
    return done


def copy_range(fro, to, offset, length):
    """Without the retry of libc."""
    at = [ctypes.c_long(offset), ctypes.c_long(offset)]
    return calls.check(calls.LIBC.copy_file_range(
        fro, ctypes.byref(at[0]), to, ctypes.byref(at[1]),
        ctypes.c_size_t(length), 0))


def exchange(fd, other, length, offset=0):
    """The same range of both files."""
    ioctl(fd, XFS_EXCHANGE_RANGE,
          struct.pack("iIQQQQ", other, 0, offset, offset, length, 0))


def scrub(fd, flags):
    """Check the map of the file's data, or build it anew."""
    ioctl(fd, XFS_SCRUB, struct.pack("IIQII40x", SCRUB_BMBTD, flags, 0, 0, 0))


def move_extents(fd, donor, count):
    ioctl(fd, EXT4_MOVE_EXT, struct.pack("IIQQQQ", 0, donor, 0, 0, count, 0))


@contextlib.contextmanager
def no_reserve():
    """ext4 keeps blocks back, which are as free to be taken as others are."""
    path = "/sys/fs/ext4/pmem0/reserved_clusters"
    before = guest.read(path) if os.path.exists(path) else None
    if before:
        guest.write(path, 0)
    try:
        yield
    finally:
        if before:
            guest.write(path, before)
