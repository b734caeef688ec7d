# SPDX-License-Identifier: GPL-2.0
"""
Operations on two files, each of which may be pinned: what shares blocks, and
what exchanges them.
"""
import errno
import os
import signal
import subprocess

from lib import blocks, calls, guest
from lib.breaks import comes_back, waits
from lib.calls import F_LONGTERM
from lib.case import test
from lib.guest import NOBODY

SIZE = 4 * guest.MIB


class Pair:
    """Two files, a holder on one or on both, a breaker with both open."""

    def __init__(self, t, pinned="ab", flags=os.O_RDWR, **kw):
        self.a, self.b = t.file(), t.file()
        for name, path in (("a", self.a), ("b", self.b)):
            with open(path, "r+b") as f:
                f.write(b"=" * SIZE)
            os.sync()
        self.files = [self.a, self.b]
        self.holders = [t.holder(getattr(self, name), **kw) for name in pinned]
        self.breaker = t.proc()
        self.fd = self.breaker.open(self.a, flags)
        self.other = self.breaker.open(self.b, flags)

    def call(self, name, *args):
        """blocks.NAME(a, b, ...): started in the breaker."""
        return self.breaker.go.blocks(name, self.fd, self.other, *args)


# Each takes the blocks of the first file, or makes both files share them.
TWO_FILES = {
    "clone": (),
    "clone_range": (0, SIZE, 0),
    "dedupe": (0, SIZE),
    "exchange": (SIZE,),
}


def all_three_ways(t, name):
    for pinned in ("a", "b", "ab"):
        pair = Pair(t, pinned)
        waits(t, pair.holders, pair.files, pair.call(name, *TWO_FILES[name]),
              f"{name} with pins on {pinned}")
        for p in pair.holders + [pair.breaker]:
            p.kill()


@test(fs="xfs")
def clone(t):
    all_three_ways(t, "clone")


@test(fs="xfs")
def clone_range(t):
    all_three_ways(t, "clone_range")


@test(fs="xfs")
def dedupe(t):
    all_three_ways(t, "dedupe")


@test(fs="xfs")
def dedupe_is_interrupted(t):
    """What was done before can't be done again: its result says EINTR."""
    pair = Pair(t, "b")
    pair.breaker.catch_sigusr1()
    call = pair.call("dedupe", 0, SIZE)
    t.true(pair.holders[0].sig(), "no notice")
    t.blocked(call, "dedupe")
    pair.breaker.signal(signal.SIGUSR1)
    t.errno(errno.EINTR, call, "dedupe")


@test(fs="xfs")
def copy_range(t):
    """
    copy_file_range(2) shares blocks where it may. Where either file is pinned
    it copies the bytes instead, so that cp(1) breaks no lease.
    """
    for pinned in "ab":
        pair = Pair(t, pinned)
        with open(pair.b, "r+b") as f:
            f.write(b"new bytes")
        h, = pair.holders
        before = [blocks.extents(f) for f in pair.files]
        call = pair.breaker.go.blocks("copy_range", pair.other, pair.fd, 0,
                                      SIZE)
        t.eq(call.result(), SIZE, f"pins on {pinned}")
        t.eq([blocks.extents(f) for f in pair.files], before, "blocks")
        t.eq((guest.trace_events("sigio"), h.sig(0)), ([], None), "notice")
        t.eq(h.getlease(h.fd), F_LONGTERM, "lease")
        with open(pair.a, "rb") as f:
            t.eq(f.read(9), b"new bytes", "what was copied")


@test(fs="xfs")
def exchange(t):
    all_three_ways(t, "exchange")


@test(fs="xfs")
def exchange_elsewhere(t):
    """Only pins in the ranges matter."""
    pair = Pair(t, "")
    holders = [t.holder(f, guest.MIB) for f in pair.files]
    before = [blocks.extents(f, 2 * guest.MIB) for f in pair.files]
    t.errno(0, pair.call("exchange", 2 * guest.MIB, 2 * guest.MIB), "exchange")
    for h in holders:
        t.eq(h.sig(0), None, "notice")
        t.eq(h.getlease(h.fd), F_LONGTERM, "lease")
    t.eq([blocks.extents(f, 2 * guest.MIB) for f in pair.files], before,
         "blocks that are pinned")


@test(fs="xfs")
def bad_arguments_tell_nobody(t):
    """What fails anyway fails at once."""
    pair = Pair(t)
    readable = pair.breaker.open(pair.a, os.O_RDONLY)
    for want, call in (
            (errno.EINVAL, pair.call("clone_range", 100, 4096, 0)),
            (errno.EINVAL, pair.call("clone_range", 8 * SIZE, 4096, 0)),
            (errno.EBADF, pair.breaker.go.blocks("clone", readable,
                                                 pair.other)),
            (errno.EINVAL, pair.call("dedupe", 100, 4096)),
            (errno.EINVAL, pair.call("exchange", 100)),
            (errno.EINVAL, pair.call("exchange", 4096, 8 * SIZE))):
        t.errno(want, call, call.what)
        t.between(0, call.took, 0.9, call.what)
    for h in pair.holders:
        t.eq(h.sig(0), None, "notice")
    t.eq(guest.trace_events("sigio"), [], "notices in the trace")


@test(fs="xfs")
def clone_then_no_pins(t):
    """Files that share blocks can't be pinned; the old holder is told so."""
    pair = Pair(t, "b")
    h, = pair.holders
    waits(t, [h], pair.files, pair.call("clone"), "clone")
    t.errno(errno.EOPNOTSUPP, h.go.pin(h.addr, SIZE), "pin after the clone")
    t.errno(errno.EOPNOTSUPP, h.go.lease(h.fd), "lease after the clone")


@test(fs="xfs")
def pin_refused_before_anything_is_faulted_in(t):
    """
    A hole of a file that shares blocks stays one; and who has no lease is told what
    a lease would not mend, as programs have another way then.
    """
    pair = Pair(t, "")
    pair.call("clone").result()
    os.truncate(pair.b, 2 * SIZE)
    addr = pair.breaker.mmap(pair.other, SIZE, SIZE)
    before = os.stat(pair.b).st_blocks
    for require in 0, 1:
        guest.set_sysctl("require_lease", require)
        t.errno(errno.EOPNOTSUPP, pair.breaker.go.pin(addr, SIZE), "pin of a hole")
    t.eq(os.stat(pair.b).st_blocks, before, "blocks")


@test(fs="xfs")
def lease_that_waited_for_a_clone(t):
    """Is refused when the file has come to share its blocks."""
    pair = Pair(t, "a")
    taker, other = t.proc(), t.proc()
    call = pair.call("clone")
    t.true(pair.holders[0].sig(), "no notice")
    takes = [taker.go.lease(taker.open(pair.a)),
             other.go.fd_lease(other.open(pair.a))]
    for take in takes:
        t.blocked(take, "the lease")
    pair.holders[0].unpin_all()
    t.errno(0, call, "clone")
    for take in takes:
        t.errno(errno.EOPNOTSUPP, take, "the lease")


@test(fs="xfs")
def a_reader_breaks_nothing(t):
    """Who may only read the source gets ETXTBSY at once; its holder no word."""
    pair = Pair(t, "b")
    h, = pair.holders
    os.chmod(pair.b, 0o644)
    os.chown(pair.a, NOBODY, NOBODY)
    b = t.proc()
    b.drop_to(NOBODY)
    fd, other = b.open(pair.a), b.open(pair.b, os.O_RDONLY)
    before = [blocks.extents(f) for f in pair.files]
    for name in ("clone", "clone_range"):
        call = b.go.blocks(name, fd, other, *TWO_FILES[name])
        t.errno(errno.ETXTBSY, call, name)
        t.between(0, call.took, 0.9, name)
    t.errno(errno.ETXTBSY, b.go.blocks("dedupe", other, fd, 0, SIZE), "dedupe")
    t.eq((guest.trace_events("sigio"), h.sig(0)), ([], None), "notice")
    t.eq(h.getlease(h.fd), F_LONGTERM, "lease")
    t.eq([blocks.extents(f) for f in pair.files], before, "blocks")


@test(fs="xfs")
def a_reader_leaves_a_lease_alone(t):
    """Nothing is pinned yet, but the holder's next pin must not fail."""
    pair = Pair(t, "")
    h = t.proc()
    h.fd = h.open(pair.b)
    h.lease(h.fd)
    os.chmod(pair.b, 0o644)
    os.chown(pair.a, NOBODY, NOBODY)
    b = t.proc()
    b.drop_to(NOBODY)
    call = b.go.blocks("clone", b.open(pair.a), b.open(pair.b, os.O_RDONLY))
    t.errno(errno.ETXTBSY, call, "clone")
    t.eq(h.sig(0), None, "notice")
    h.pin(h.mmap(h.fd, SIZE), SIZE)


@test(fs="xfs")
def two_files_nonblock(t):
    """O_NONBLOCK on the file that is written to."""
    for name, args in TWO_FILES.items():
        pair = Pair(t, "a", os.O_RDWR | os.O_NONBLOCK)
        comes_back(t, pair.holders[0], pair.a,
                   lambda: pair.call(name, *args).result(), name)
        for p in pair.holders + [pair.breaker]:
            p.kill()


@test(fs="xfs")
def two_files_unbreakable(t):
    """ETXTBSY at once, whichever file it is, and nobody is told."""
    for name, args in TWO_FILES.items():
        for pinned in "ab":
            pair = Pair(t, pinned,
                        lease=F_LONGTERM | calls.F_UNBREAKABLE)
            call = pair.call(name, *args)
            t.errno(errno.ETXTBSY, call, f"{name}, pins on {pinned}")
            t.between(0, call.took, 0.9, name)
            t.eq(pair.holders[0].sig(0), None, f"{name}: notice")
            for p in pair.holders + [pair.breaker]:
                p.kill()


@test(fs="xfs", break_time=1)
def clone_stops_the_deaf(t):
    pair = Pair(t, "ab")
    call = pair.call("clone")
    t.errno(0, call, "clone")
    t.between(0.9, call.took, 1.8, "clone")
    for h in pair.holders:
        t.eq(os.WTERMSIG(h.wait()), signal.SIGBUS, "killed by")


@test(fs="xfs", break_time=1)
def clone_gives_up(t):
    pair = Pair(t, "b")
    pair.holders[0].block_sigbus()
    before = [blocks.extents(f) for f in pair.files]
    call = pair.call("clone")
    t.errno(errno.ETXTBSY, call, "clone")
    t.between(1.9, call.took, 3.8, "clone")
    t.eq([blocks.extents(f) for f in pair.files], before, "blocks")


@test(fs="xfs")
def clone_within_a_file(t):
    path = t.file()
    h, b = t.holder(path), t.proc()
    fd = b.open(path)
    call = b.go.blocks("clone_range", fd, fd, 0, guest.MIB, 2 * guest.MIB)
    waits(t, [h], [path], call, "clone within a file")


@test(fs="ext4")
def swap_boot_loader(t):
    """Twice, so that the file has its blocks again."""
    path = t.file()
    b = t.proc()
    fd = b.open(path)
    before = blocks.extents(path)
    h = t.holder(path)
    waits(t, [h], [path], b.go.ioctl(fd, blocks.EXT4_SWAP_BOOT), "SWAP_BOOT")
    t.true(blocks.extents(path) != before, "nothing was swapped")
    b.ioctl(fd, blocks.EXT4_SWAP_BOOT)
    t.eq(blocks.extents(path), before, "blocks in the end")


@test(fs="xfs")
def swap_extents(t):
    """XFS_IOC_SWAPEXT, by xfs_io, on the file and on the donor."""
    for pinned in "ab":
        pair = Pair(t, pinned)
        before = [blocks.extents(f) for f in pair.files]
        h, = pair.holders
        with subprocess.Popen(["xfs_io", "-c", "swapext " + pair.b, pair.a],
                              stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT) as swap:
            t.true(h.sig(), f"pins on {pinned}: no notice")
            guest.wait_for(lambda: guest.trace_events("break_wait"), "it waits")
            t.eq([blocks.extents(f) for f in pair.files], before, "blocks")
            t.eq(swap.poll(), None, "status while pages are pinned")
            h.unpin_all()
            t.eq((swap.communicate(timeout=30)[0], swap.returncode), ("", 0),
                 "xfs_io")
        t.eq([blocks.extents(f) for f in pair.files], before[::-1], "swapped")
        guest.write(guest.INSTANCE + "/trace", "")
