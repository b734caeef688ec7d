# SPDX-License-Identifier: GPL-2.0
"""Operations that take no blocks away: nobody is told, nobody waits."""
import errno
import os
import re
import signal
import struct
import subprocess
from functools import partial

from lib import blocks, calls, guest
from lib.calls import F_LONGTERM, KEEP_SIZE
from lib.case import test
from lib.guest import NOBODY

SIZE = 4 * guest.MIB
UNSHARE, WRITE_ZEROES = 0x40, 0x80


class Quiet:
    """A holder that must not notice what is done to its file."""

    def __init__(self, t, size=SIZE, pinned=None, kind="mr"):
        self.t, self.path = t, t.file(size)
        self.holder = t.holder(self.path, pinned, kind=kind)
        self.size = size
        self.before = blocks.extents(self.path, size)
        t.eq(sum(e[2] for e in self.before), size, "bytes in blocks")

    def check(self, what):
        h, t = self.holder, self.t
        t.eq(guest.trace_events("sigio"), [], f"{what}: notices in the trace")
        t.eq(guest.trace_events("break_wait"), [], f"{what}: waits")
        t.eq(h.sig(0), None, f"{what}: notice")
        t.eq(h.getlease(h.fd), F_LONGTERM, f"{what}: lease")
        t.eq(blocks.extents(self.path, self.size), self.before,
             f"{what}: blocks")

    def all(self, want, **calls_):
        """Each call gives the errno `want`, and the holder notices nothing."""
        for what, call in calls_.items():
            self.t.errno(want, call, what)
            self.check(what)


@test
def reading_and_writing(t):
    """write(2), O_DIRECT, stores, fsync: into the pinned blocks themselves."""
    q = Quiet(t, kind="gup")
    b = t.proc()
    fd, direct = b.open(q.path), b.open(q.path, os.O_RDWR | os.O_DIRECT)
    addr = b.mmap(fd, SIZE)
    q.all(0,
          write=lambda: b.pwrite(fd, b"w" * 8192, 0),
          direct_write=lambda: b.write_from(direct, addr, 4096),
          direct_read=lambda: b.read_into(direct, addr + guest.MIB, guest.MIB),
          store=lambda: b.poke(addr + 8192, b"s" * 4096),
          append=lambda: b.pwrite(fd, b"a" * 4096, SIZE),
          fsync=lambda: b.fsync(fd),
          sync=lambda: guest.must("sync", "-f", q.path))
    pinned = q.holder.pin_read(1)
    t.eq(pinned[4096:12288], b"w" * 4096 + b"s" * 4096, "what a device reads")
    with open(q.path, "rb") as f:
        t.true(f.read(SIZE) == pinned, "file and pinned pages differ")


@test
def preallocation(t):
    q = Quiet(t)
    b = t.proc()
    fd = b.open(q.path)
    q.all(0, over_the_pins=lambda: b.fallocate(fd, 0, 0, SIZE),
          behind=lambda: b.fallocate(fd, KEEP_SIZE, SIZE, SIZE))


@test
def unshare(t):
    """Nothing is shared in a file that can be pinned. ext4 has no such call."""
    q = Quiet(t)
    b = t.proc()
    fd = b.open(q.path)
    q.all(errno.EOPNOTSUPP if guest.FS == "ext4" else 0,
          unshare=lambda: b.fallocate(fd, UNSHARE, 0, SIZE))


@test
def write_zeroes(t):
    """Only where the device can unmap and write zeroes at once: never pmem."""
    q = Quiet(t)
    b = t.proc()
    fd = b.open(q.path)
    q.all(errno.EOPNOTSUPP,
          write_zeroes=lambda: b.fallocate(fd, WRITE_ZEROES, 0, SIZE))


@test
def attributes(t):
    """Owner, mode, times, extended attributes, links, project."""
    q = Quiet(t)
    b = t.proc()
    fd = b.open(q.path)
    q.all(0, chmod=lambda: os.chmod(q.path, 0o640),
          chown=lambda: os.chown(q.path, NOBODY, NOBODY),
          link=lambda: os.link(q.path, q.path + "-link"),
          unlink=lambda: os.unlink(q.path + "-link"),
          utimes=lambda: os.utime(q.path, (1, 1)),
          xattr=lambda: os.setxattr(q.path, "user.a", b"b" * 200))
    # A project needs a feature of ext4 that mkfs does not switch on.
    q.all(errno.EOPNOTSUPP if guest.FS == "ext4" else 0,
          project=lambda: b.blocks("set_attr", fd, None, 42))


@test
def dax_flag(t):
    """The flag is for the next time the inode is read in."""
    q = Quiet(t)
    b = t.proc()
    fd = b.open(q.path)
    old = b.blocks("get_attr", fd)[0]
    q.all(0, set=lambda: b.blocks("set_attr", fd, old | blocks.XFLAG_DAX))
    q.all(0, clear=lambda: b.blocks("set_attr", fd, old & ~blocks.XFLAG_DAX))
    p = t.proc()
    t.true(p.hold(q.path, SIZE), "a pin after it")


@test
def trim(t):
    """pmem discards nothing; trim is about free blocks anyway."""
    q = Quiet(t)
    fd = os.open(guest.DAX, os.O_RDONLY)
    arg = struct.pack("QQQ", 0, (1 << 64) - 1, 0)
    q.all(errno.EOPNOTSUPP,
          fitrim=lambda: blocks.ioctl(fd, blocks.FITRIM, arg))
    os.close(fd)


@test(fs="ext4")
def shrink_ext4(t):
    """Only when not mounted, and with a pin it stays mounted."""
    q = Quiet(t)
    fd = os.open(guest.DAX, os.O_RDONLY)
    to = struct.pack("Q", 50000)
    q.all(errno.EINVAL,
          resize=lambda: blocks.ioctl(fd, blocks.EXT4_RESIZE_FS, to))
    os.close(fd)
    dev = guest.mount_line()[0]
    t.true(guest.run("resize2fs", dev, "50000")[0], "resize2fs has shrunk it")
    q.check("resize2fs")


@test(fs="xfs")
def shrink_xfs(t):
    """Only free space is taken off the end; used blocks stay."""
    st = os.statvfs(guest.DAX)
    total = int(guest.must("xfs_io", "-c", "statfs", guest.DAX).split(
        "geom.datablocks = ")[1].split()[0])
    q = Quiet(t)
    guest.must("xfs_growfs", "-D", str(total - 64), guest.DAX)
    q.check("shrink by free blocks")
    guest.must("xfs_growfs", "-D", str(total), guest.DAX)
    q.check("grow")
    # All but a little goes to one file, so that it has the last blocks.
    q.holder.unpin_all()
    fill = t.path()
    fd = os.open(fill, os.O_RDWR | os.O_CREAT, 0o600)
    calls.fallocate(fd, 0, 0, (st.f_bfree * st.f_frsize - 24 * guest.MIB)
                    & ~(2 * guest.MIB - 1))
    last = max(blocks.extents(fill), key=lambda e: e[1] + e[2])
    free_behind = total - (last[1] + last[2]) // 4096
    h = t.proc()
    hfd = h.open(fill)
    h.lease(hfd)
    h.pin(h.mmap(hfd, guest.MIB, last[0] + last[2] - guest.MIB), guest.MIB)
    before = blocks.extents(fill)
    status, out = guest.run("xfs_growfs", "-D", str(total - free_behind - 64),
                            guest.DAX)
    t.true(status and "No space left" in out, f"shrink over pins: {out}")
    t.eq(guest.trace_events("sigio"), [], "notices")
    t.eq(blocks.extents(fill), before, "blocks")
    os.close(fd)


@test
def freeze_during_a_break(t):
    """
    The breaker waits for the holder first and for the thaw then; who reacts
    in time is not made late by a freeze.
    """
    path = t.file()
    h = t.holder(path)
    cut = t.proc().go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    t.blocked(cut, "truncate")
    frozen = os.open(guest.DAX, os.O_RDONLY)
    calls.ioctl(frozen, calls.FIFREEZE)
    try:
        h.unpin_all()
        t.blocked(cut, "truncate of a frozen filesystem")
        t.eq(os.stat(path).st_size, SIZE, "size while frozen")
    finally:
        calls.ioctl(frozen, calls.FITHAW)
        os.close(frozen)
    t.errno(0, cut, "truncate")
    t.eq(os.stat(path).st_size, 0, "size")
    t.true(h.alive(), "holder died")


@test
def pin_while_frozen(t):
    """A pin of what is mapped for writing needs no thaw to be given up."""
    path = t.file()
    h = t.holder(path)
    frozen = os.open(guest.DAX, os.O_RDONLY)
    calls.ioctl(frozen, calls.FIFREEZE)
    try:
        cut = t.proc().go.truncate(path, 0)
        t.blocked(cut, "truncate of a frozen filesystem")
        t.eq(guest.trace_events("sigio"), [], "notices before the thaw")
        h.unpin_all()
        h.lease(h.fd, calls.F_UNLCK)
    finally:
        calls.ioctl(frozen, calls.FITHAW)
        os.close(frozen)
    t.errno(0, cut, "truncate")


@test(fs="ext4")
def defragment_ext4(t):
    """EXT4_IOC_MOVE_EXT refuses DAX files, as ever."""
    q = Quiet(t)
    b = t.proc()
    fd, donor = b.open(q.path), b.open(t.file())
    q.all(errno.EOPNOTSUPP,
          of_the_file=lambda: b.blocks("move_extents", fd, donor, 1024),
          as_a_donor=lambda: b.blocks("move_extents", donor, fd, 1024))
    guest.run("e4defrag", q.path)
    q.check("e4defrag")


def is_dax(path):
    out = guest.must("xfs_io", "-c", "statx -r", path)
    return bool(int(re.search(r"stat.attributes = (\w+)", out).group(1), 0) & 0x200000)


@test(fs="ext4")
def dax_file_as_a_donor_ext4(t):
    """Nor does a file without DAX get the blocks of one with it."""
    dev, fs, _ = guest.mount_line()
    plain, where = guest.DAX + "/plain", guest.DAX + "/dax"
    guest.must("umount", guest.DAX)
    try:
        guest.must("mount", "-t", fs, "-o", "dax=inode", dev, guest.DAX)
        os.mkdir(where)
        guest.must("xfs_io", "-c", "chattr +x", where)
        guest.make_file(plain, SIZE)
        donor = guest.make_file(where + "/donor", SIZE)
        t.eq((is_dax(plain), is_dax(donor)), (False, True), "DAX")
        b = t.proc()
        call = b.go.blocks("move_extents", b.open(plain), b.open(donor), 1024)
        t.errno(errno.EOPNOTSUPP, call, "EXT4_IOC_MOVE_EXT")
        b.kill()
        guest.clean_dax()
    finally:
        guest.run("umount", guest.DAX)
        guest.must("mount", "-t", fs, "-o", "dax=always", dev, guest.DAX)


@test(fs="ext4")
def map_format_ext4(t):
    """A file's map of blocks may be written anew; the blocks stay."""
    q = Quiet(t, 32 << 10)
    # Only what has been written can be mapped without extents.
    q.holder.pwrite(q.holder.fd, b"x" * q.size, 0)
    q.all(0, without_extents=lambda: guest.must("chattr", "-e", q.path))
    t.true("e" not in guest.must("lsattr", q.path).split()[0], "extents")
    q.all(0, with_extents=lambda: guest.must("chattr", "+e", q.path))
    t.true("e" in guest.must("lsattr", q.path).split()[0], "no extents")
    t.eq(q.holder.peek(q.holder.addr, 4), b"xxxx", "the pinned page")


@test(fs="ext4")
def no_clones_on_ext4(t):
    """Refused without a word to the holder; copy_file_range copies bytes."""
    q = Quiet(t)
    b = t.proc()
    fd, other = b.open(q.path), b.open(t.file())
    b.pwrite(other, b"o" * 4096, 0)
    b.pwrite(fd, b"f" * 4096, 4096)
    for pair in ((fd, other), (other, fd)):
        q.all(errno.EOPNOTSUPP, clone=partial(b.blocks, "clone", *pair),
              clone_range=partial(b.blocks, "clone_range", *pair, 0, 4096, 0),
              dedupe=partial(b.blocks, "dedupe", *pair, 0, 4096))
    q.all(0, into=lambda: b.blocks("copy_range", other, fd, 0, 4096),
          out_of=lambda: b.blocks("copy_range", fd, other, 4096, 4096))
    t.eq(b.pread(fd, 8192, 0), b"o" * 4096 + b"f" * 4096, "the pinned file")
    t.eq(b.pread(other, 8192, 0), b"o" * 4096 + b"f" * 4096, "the other file")


@test
def loop_device(t):
    """A loop device reads and writes the blocks: that is a file's write(2)."""
    q = Quiet(t)
    loop = guest.must("losetup", "-f", "--show", q.path).strip()
    try:
        fd = os.open(loop, os.O_RDWR | os.O_SYNC)
        q.all(0, write=lambda: os.pwrite(fd, b"l" * 4096, 4096),
              fsync=lambda: os.fsync(fd))
        os.close(fd)
    finally:
        guest.must("losetup", "-d", loop)
    q.check("detaching")
    t.eq(q.holder.peek(q.holder.addr + 4096, 4), b"llll", "the pinned page")


@test
def core_dump(t):
    """It goes to a new file; the pinned one of that name is unlinked."""
    pattern = "/proc/sys/kernel/core_pattern"
    q, old = Quiet(t), guest.read(pattern)
    h = q.holder
    guest.write(pattern, q.path)
    try:
        done = subprocess.run(["prlimit", "--core=unlimited", "sh", "-c",
                               "kill -SEGV $$"], check=False)
    finally:
        guest.write(pattern, old.strip())
    t.eq(done.returncode, -signal.SIGSEGV, "how it ended")
    with open(q.path, "rb") as f:
        t.eq(f.read(4), b"\x7fELF", "the core")
    t.eq((guest.trace_events("sigio"), h.sig(0)), ([], None), "notice")
    t.eq((h.size(h.fd), h.getlease(h.fd)), (SIZE, F_LONGTERM), "pinned file")


@test
def swap_file(t):
    """swapon wants a page cache, which a DAX file has not."""
    q = Quiet(t)
    guest.must("mkswap", q.path)

    def swapon():
        calls.check(calls.LIBC.swapon(os.fsencode(q.path), 0))
    q.all(errno.EINVAL, swapon=swapon)


@test(fs="xfs")
def scrub(t):
    """A look at the file's map of blocks."""
    q = Quiet(t)
    fd = os.open(q.path, os.O_RDONLY)
    q.all(0, scrub=lambda: blocks.scrub(fd, 0))
    os.close(fd)
