# SPDX-License-Identifier: GPL-2.0
"""Wrong arguments: the errno of the contract, and nothing left behind."""
import errno
import os

from lib import guest
from lib.calls import (F_LONGTERM, F_RDLCK, F_UNBREAKABLE, F_UNLCK, F_WRLCK,
                       KEEP_SIZE, O_PATH, PROT_READ, PUNCH)
from lib.case import test
from lib.guest import NOBODY

CAP_LEASE = 28


def refused(t, p, fd, want, what, kind=F_LONGTERM):
    t.errno(want, p.go.lease(fd, kind), what)
    t.eq(guest.locks(), [], f"/proc/locks after: {what}")


@test
def wrong_fd(t):
    p = t.proc()
    refused(t, p, 999, errno.EBADF, "not open")
    refused(t, p, -1, errno.EBADF, "-1")
    fd = p.open(t.file(), O_PATH)
    refused(t, p, fd, errno.EBADF, "O_PATH")


@test
def not_regular(t):
    p = t.proc()
    os.mkfifo(guest.DAX + "/fifo")
    for path, flags in ((guest.DAX, os.O_RDONLY), ("/dev/null", os.O_RDWR),
                        (guest.DAX + "/fifo", os.O_RDWR)):
        fd = p.open(path, flags)
        refused(t, p, fd, errno.EINVAL, path)
        t.eq(p.getlease(fd), F_UNLCK, f"F_GETLEASE of {path}")


@test
def unknown_bits(t):
    p = t.proc()
    fd = p.open(t.file())
    for kind in (F_UNBREAKABLE, F_LONGTERM | 64, F_LONGTERM | F_WRLCK,
                 F_LONGTERM | F_UNLCK, F_LONGTERM | F_UNBREAKABLE | F_WRLCK,
                 F_LONGTERM | 4, F_LONGTERM | 8, F_LONGTERM | 1 << 30,
                 F_UNBREAKABLE | F_RDLCK | 64, 3, 4, 8, 64, -1):
        refused(t, p, fd, errno.EINVAL, f"kind {kind}", kind)
        t.eq(p.getlease(fd), F_UNLCK, f"F_GETLEASE after kind {kind}")


@test
def unlck_is_for_the_owner(t):
    """Not for whoever got the descriptor."""
    path = t.file()
    h, p = t.proc(), t.proc()
    fd = h.open(path)
    h.lease(fd)
    copy = p.take_fd(h.pid, fd)
    p.drop_to(NOBODY)
    t.errno(errno.EACCES, p.go.lease(copy, F_UNLCK), "F_UNLCK")
    t.eq(len(guest.locks(path)), 1, "leases")


@test
def not_the_owner(t):
    path = t.file()
    os.chmod(path, 0o666)
    p = t.proc()
    fd = p.open(path)
    p.drop_to(NOBODY)
    refused(t, p, fd, errno.EACCES, "neither owner nor CAP_LEASE")


@test
def owner_without_capability(t):
    path = t.file()
    os.chown(path, NOBODY, NOBODY)
    p = t.proc()
    fd = p.open(path)
    p.drop_to(NOBODY)
    p.lease(fd)
    t.eq(p.getlease(fd), F_LONGTERM, "the owner's lease")


@test
def capability_without_ownership(t):
    path = t.file()
    os.chmod(path, 0o666)
    p = t.proc()
    fd = p.open(path)
    p.drop_to(NOBODY, keep=[CAP_LEASE])
    p.lease(fd)
    t.eq(p.getlease(fd), F_LONGTERM, "with CAP_LEASE")


@test
def unbreakable_read_only(t):
    p = t.proc()
    fd = p.open(t.file(), os.O_RDONLY)
    refused(t, p, fd, errno.EACCES, "unbreakable, read-only",
            F_LONGTERM | F_UNBREAKABLE)


@test
def leases_disabled(t):
    p = t.proc()
    fd = p.open(t.file())
    try:
        guest.write(guest.LEASES_ENABLE, 0)
        refused(t, p, fd, errno.EINVAL, "leases-enable 0")
    finally:
        guest.write(guest.LEASES_ENABLE, 1)
    p.lease(fd)


@test
def tmpfs(t):
    path = "/dev/shm/longterm-e2e"
    guest.make_file(path, guest.MIB)
    try:
        p = t.proc()
        fd = p.open(path)
        refused(t, p, fd, errno.EOPNOTSUPP, "tmpfs")
        # What the file can't have is said before what the descriptor can't.
        refused(t, p, p.open(path, os.O_RDONLY), errno.EOPNOTSUPP,
                "tmpfs, unbreakable, read-only", F_LONGTERM | F_UNBREAKABLE)
        # Pins of shmem need no lease and never did.
        p.pin(p.mmap(fd, guest.MIB), guest.MIB)
        p.kill()
    finally:
        os.unlink(path)


@test(limit=60)
def same_filesystem_without_dax(t):
    """ext4 or xfs on a loop device: EOPNOTSUPP, and pins as ever."""
    image, where = "/dev/shm/longterm-e2e.img", "/run/longterm-e2e"
    guest.make_file(image, 320 * guest.MIB, data=False)
    os.makedirs(where, exist_ok=True)
    try:
        guest.must("mkfs." + guest.FS, "-q", image)
        guest.must("mount", "-o", "loop", image, where)
        path = guest.make_file(where + "/f", guest.MIB)
        p = t.proc()
        fd = p.open(path)
        refused(t, p, fd, errno.EOPNOTSUPP, "no DAX")
        addr = p.mmap(fd, guest.MIB)
        t.errno(errno.EFAULT, p.go.pin(addr, guest.MIB), "pin to write")
        p.kill()
    finally:
        guest.run("umount", where)
        os.unlink(image)


@test(fs="xfs")
def shares_blocks(t):
    """A reflinked file can't be protected; its copy neither."""
    path, copy = t.file(), t.path()
    guest.must("cp", "--reflink=always", path, copy)
    p = t.proc()
    for name in (path, copy):
        fd = p.open(name)
        refused(t, p, fd, errno.EOPNOTSUPP, "reflinked")
        addr = p.mmap(fd, guest.MIB)
        t.errno(errno.EOPNOTSUPP, p.go.pin(addr, guest.MIB), "pin")


@test
def pin_past_the_end(t):
    p = t.proc()
    path = t.file(guest.MIB)
    fd = p.open(path)
    p.lease(fd)
    addr = p.mmap(fd, 4 * guest.MIB)
    t.errno(errno.EFAULT, p.go.pin(addr, 4 * guest.MIB), "partly past the end")
    t.errno(errno.EFAULT, p.go.pin(addr + 2 * guest.MIB, guest.MIB),
            "all past the end")
    # Nothing of the failed ones is left: no one waits.
    t.errno(0, t.proc().go.truncate(path, 0), "truncate")
    p.lease(fd, F_UNLCK)


@test
def bad_break_arguments_tell_nobody(t):
    """A break that would fail anyway signals nobody."""
    path = t.file()
    h = t.holder(path)
    b = t.proc()
    ro = b.open(path, os.O_RDONLY)
    rw = b.open(path)
    t.errno(errno.EBADF, b.go.fallocate(ro, PUNCH | KEEP_SIZE, 0, 4096),
            "punch through a read-only fd")
    t.errno(errno.EINVAL, b.go.fallocate(rw, PUNCH | KEEP_SIZE, -1, 4096),
            "negative offset")
    t.errno(errno.EOPNOTSUPP, b.go.fallocate(rw, PUNCH, 0, 4096),
            "punch without KEEP_SIZE")
    t.errno(errno.EINVAL, b.go.truncate(path, -1), "negative size")
    t.errno(errno.EINVAL, b.go.ftruncate(ro, 0), "ftruncate of a read-only fd")
    os.chmod(path, 0o644)
    b.drop_to(NOBODY)
    t.errno(errno.EACCES, b.go.truncate(path, 0), "no permission")
    t.eq(h.sig(0.1), None, "notice")


@test
def pin_without_rights(t):
    """Who can only read a file can't hold up its owner."""
    path = t.file()
    os.chmod(path, 0o644)
    p = t.proc()
    fd = p.open(path, os.O_RDONLY)
    addr = p.mmap(fd, guest.MIB, prot=PROT_READ)
    p.preopen_gup()
    p.drop_to(NOBODY)
    t.errno(errno.EACCES, p.go.pin(addr, guest.MIB, "gup_read"), "pin to read")
    t.errno(0, t.proc().go.truncate(path, 0), "truncate")
