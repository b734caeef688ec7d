# SPDX-License-Identifier: GPL-2.0
"""
Who comes to the filesystem past the system calls: stacked filesystems, kernel
threads.  They never wait; the break begins, and they may come back.
"""
import errno
import os

from lib import blocks, guest
from lib.breaks import comes_back, ladder_ends
from lib.calls import PUNCH_HOLE
from lib.case import test
from lib.pintest import BREAK_IN_KTHREAD

SIZE = 4 * guest.MIB


class Overlay:
    """An overlay whose upper layer is the DAX filesystem."""

    def __init__(self, t):
        self.t, self.where = t, "/tmp/overlay"
        dirs = {}
        for name in ("lower", "upper", "work"):
            dirs[name] = (guest.DAX if name != "lower" else "/tmp") + \
                "/ovl-" + name
            os.makedirs(dirs[name], exist_ok=True)
        os.makedirs(self.where, exist_ok=True)
        self.real = guest.make_file(dirs["upper"] + "/file", SIZE)
        guest.must("mount", "-t", "overlay", "overlay", "-o", ",".join(
            f"{n}dir={d}" for n, d in dirs.items()), self.where)
        self.path = self.where + "/file"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.t.end_all()
        guest.must("umount", self.where)


@test
def overlay_fallocate(t):
    with Overlay(t) as overlay:
        h, b = t.holder(overlay.real), t.proc()
        fd = b.open(overlay.path)
        comes_back(t, h, overlay.real,
                   lambda: b.fallocate(fd, PUNCH_HOLE, 0, SIZE),
                   "punch through overlayfs")


@test
def overlay_truncate(t):
    """Overlayfs calls notify_change() itself, as nfsd and ksmbd do."""
    with Overlay(t) as overlay:
        h, b = t.holder(overlay.real), t.proc()
        comes_back(t, h, overlay.real, lambda: b.truncate(overlay.path, 0),
                   "truncate through overlayfs")
        t.eq(os.stat(overlay.real).st_size, 0, "size")


@test(break_time=1)
def overlay_truncate_in_the_end(t):
    with Overlay(t) as overlay:
        h, b = t.holder(overlay.real), t.proc()
        h.block_sigbus()
        ladder_ends(t, h, lambda: b.truncate(overlay.path, 0),
                    "truncate through overlayfs")
        t.eq(os.stat(overlay.real).st_size, SIZE, "size")


@test
def loop_discard(t):
    """A kernel thread's fallocate: it never waits, and says EIO for EAGAIN."""
    path = t.file()
    h = t.holder(path)
    loop = guest.must("losetup", "-f", "--show", path).strip()
    try:
        def discard():
            status, out = guest.run("blkdiscard", "-f", loop)
            if status:
                t.true("Input/output error" in out, f"blkdiscard: {out}")
                raise OSError(errno.EIO, out)
        comes_back(t, h, path, discard, "discard", errno.EIO)
        t.eq(blocks.extents(path), [], "blocks")
    finally:
        guest.must("losetup", "-d", loop)


@test(break_time=2)
def kernel_thread(t):
    """vfs_fallocate() by one, which asks before the filesystem does: as nfsd."""
    path = t.file()
    h, b = t.holder(path), t.proc()
    fd = b.open(path)
    comes_back(t, h, path, lambda: b.take(BREAK_IN_KTHREAD, fd, 0, SIZE), "punch")
    t.eq(blocks.extents(path), [], "blocks")


@test(fs="xfs")
def scrub_repair(t):
    """A rebuild of the file's map of blocks moves none, but drops its entries."""
    path = t.file()
    h = t.holder(path)
    before = blocks.extents(path)
    fd = os.open(path, os.O_RDONLY)
    comes_back(t, h, path, lambda: blocks.scrub(fd, blocks.SCRUB_REBUILD),
               "repair")
    t.eq(blocks.extents(path), before, "blocks")
    os.close(fd)
