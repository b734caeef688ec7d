# SPDX-License-Identifier: GPL-2.0
"""Leases and pins of files that are renamed, unlinked, or in what is unmounted."""
import contextlib
import errno
import os

from lib import guest
from lib.calls import F_LONGTERM, F_UNLCK, PROT_READ
from lib.case import test

SIZE = 4 * guest.MIB
BIG = 64 * guest.MIB


def free():
    st = os.statvfs(guest.DAX)
    return st.f_bfree * st.f_frsize


def orphan(t, path, **kw):
    """A process whose record alone keeps the file."""
    h = t.holder(path, **kw)
    h.munmap(h.addr, os.stat(path).st_size)
    h.close(h.fd)
    return h


def given_up(command, what):
    """Works once the last unpin has been settled."""
    guest.wait_for(lambda: guest.run(*command)[0] == 0, what)


@contextlib.contextmanager
def bound():
    """The filesystem at a second place."""
    place = "/mnt/bound"
    os.makedirs(place, exist_ok=True)
    guest.must("mount", "--bind", guest.DAX, place)
    try:
        yield place
    finally:
        if os.path.ismount(place):
            guest.must("umount", "-l", place)
        os.rmdir(place)


# ---- names

@test
def rename(t):
    """Lease, pins and breaks belong to the inode, whatever its name."""
    path, other = t.file(), t.path()
    h = t.holder(path)
    os.rename(path, other)
    t.eq(h.getlease(h.fd), F_LONGTERM, "lease")
    t.eq(len(guest.locks(other)), 1, "leases in /proc/locks")
    t.errno(0, t.proc().go.truncate(guest.make_file(path, SIZE), 0),
            "truncate of another file of the old name")
    t.eq(guest.trace_events("break_wait"), [], "it has waited")
    cut = t.proc().go.truncate(other, 0)
    t.true(h.sig(), "no notice")
    h.unpin_all()
    t.errno(0, cut, "truncate")


@test
def renamed_over(t):
    """The replaced file keeps its blocks until the last unpin."""
    path, other = t.file(BIG), t.file(0)
    h = orphan(t, path)
    before = free()
    os.rename(other, path)
    os.sync()
    t.true(free() < before + BIG // 2, "blocks were freed")
    h.unpin_all()
    guest.wait_for(lambda: free() > before + BIG // 2, "blocks are free")


@test
def unlink_under_a_lease(t):
    """Nothing changes for who has it open; breaks come by descriptors."""
    path = t.file()
    h, b = t.holder(path), t.proc()
    fd = b.open(path)
    line = guest.locks(path)
    os.unlink(path)
    t.eq((h.getlease(h.fd), guest.locks()), (F_LONGTERM, line), "the lease")
    cut = b.go.ftruncate(fd, 0)
    t.true(h.sig(), "no notice")
    h.unpin_all()
    t.errno(0, cut, "ftruncate")
    h.lease(h.fd)
    h.lease(h.fd, F_UNLCK)


# ---- mounts

@test
def umount_is_busy(t):
    """From the pin to the unpin, with no descriptor and no mapping left."""
    with bound() as place:
        path = t.file()
        h = orphan(t, path.replace(guest.DAX, place))
        status, out = guest.run("umount", place)
        t.true(status and "busy" in out, f"umount: status {status}: {out}")
        h.unpin_all()
        given_up(["umount", place], "umount after the unpin")


@test
def lazy_umount_of_one_of_two(t):
    """The pin lives on where no path leads; a break by the other mount ends it."""
    with bound() as place:
        path = t.file()
        h = t.holder(path.replace(guest.DAX, place))
        guest.must("umount", "-l", place)
        cut = t.proc().go.truncate(path, 0)
        t.true(h.sig(), "no notice")
        t.blocked(cut, "truncate")
        h.unpin_all()
        t.errno(0, cut, "truncate")


def in_use(dev):
    """Has a filesystem the device?"""
    try:
        os.close(os.open(dev, os.O_RDONLY | os.O_EXCL))
        return False
    except OSError as e:
        if e.errno != errno.EBUSY:
            raise
        return True


@test(limit=40)
def lazy_umount(t):
    """The filesystem itself lives until the last unpin, then ends as it should."""
    h = orphan(t, t.file())
    dev, fs, options = guest.mount_line()
    guest.must("umount", "-l", guest.DAX)
    try:
        t.true(in_use(dev), "the device is free with a pin on it")
        h.unpin_all()
        guest.wait_for(lambda: not in_use(dev), "the filesystem ends")
    finally:
        guest.must("mount", "-t", fs, "-o", options, dev, guest.DAX)
    t.eq(guest.fsck(), "", "fsck")


@test
def remount_read_only(t):
    """A pin that writes holds it up, one that only reads does not."""
    path = t.file()
    remount = ["mount", "-o", "remount,ro", guest.DAX]
    h = orphan(t, path)
    try:
        status, out = guest.run(*remount)
        t.true(status and "busy" in out, f"remount: status {status}: {out}")
        h.unpin_all()
        given_up(remount, "remount after the unpin")
        guest.must("mount", "-o", "remount,rw", guest.DAX)
        reader = t.proc()
        fd = reader.open(path, os.O_RDONLY)
        reader.lease(fd)
        reader.pin(reader.mmap(fd, SIZE, prot=PROT_READ), SIZE, "gup_read")
        guest.must(*remount)
        t.eq(reader.getlease(fd), F_LONGTERM, "lease")
    finally:
        guest.must("mount", "-o", "remount,rw", guest.DAX)
    cut = t.proc().go.truncate(path, 0)
    t.true(reader.sig(), "no notice")
    reader.unpin_all()
    t.errno(0, cut, "truncate")
