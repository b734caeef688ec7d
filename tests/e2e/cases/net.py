# SPDX-License-Identifier: GPL-2.0
"""
The net in fs/dax.c: waits for references that end by themselves, and what
becomes of who meets a long-term pin there. Without its mends the first two
hang, and the clone of the third spins.
"""
import errno
import mmap
import os
import signal

from lib import breaks, guest
from lib.calls import F_UNLCK, COLLAPSE, INSERT, MAP_SYNC, PROT_READ, PUNCH_HOLE
from lib.case import test
from lib.pintest import BREAK_AND_MORE

HUGE = 2 * guest.MIB
PAGE = mmap.PAGESIZE
# In whole blocks; the VFS refuses more.
LARGEST = ((1 << 32) - 1) * PAGE if guest.FS == "ext4" else (1 << 63) - PAGE


def reference(t, path, offset=0):
    """A process that refers to one page of a file by way of a pipe."""
    p = t.proc()
    fd = p.open(path)
    addr = p.mmap_aligned(fd, HUGE) + offset
    p.poke(addr, b"x")
    p.to_pipe(addr, PAGE)
    return p


@test
def waits_for_the_page_not_for_its_neighbours(t):
    """
    Of one large folio a page is referred to, and another is mapped by a
    process of its own. The hole goes through as soon as the reference ends;
    the mapping, which is in nobody's way, does not end at all.
    """
    path = t.file(HUGE)
    ref, other, b = reference(t, path, 5 * PAGE), t.proc(), t.proc()
    fd = other.open(path)
    # Not at a multiple of 2 MiB: by single pages.
    addr = other.mmap_aligned(fd, HUGE)
    odd = other.mmap(fd, HUGE - PAGE, PAGE)
    if odd % HUGE == PAGE:
        odd = other.mmap(fd, HUGE - 2 * PAGE, 2 * PAGE)
    other.munmap(addr, HUGE)
    other.poke(odd + 300 * PAGE, b"y")
    punch = b.go.fallocate(b.open(path), PUNCH_HOLE, 5 * PAGE, PAGE)
    t.blocked(punch, "punch")
    ref.empty_pipe()
    t.errno(0, punch, "punch")
    t.eq(other.peek(odd + 300 * PAGE, 1), b"y", "the neighbour")
    t.eq(os.stat(path).st_blocks * 512, HUGE - PAGE, "bytes in blocks")


@test
def pages_of_a_larger_entry_go_together(t):
    """
    Some process maps what another has as one entry page by page. A punch of one
    of the pages leaves none mapped that a truncate would not find any more.
    """
    path = t.file(HUGE)
    whole, other, b = t.proc(), t.proc(), t.proc()
    whole.poke(whole.mmap_aligned(whole.open(path), HUGE), b"x")
    addr = other.mmap_over([(other.open(path), PAGE, HUGE - PAGE)])
    other.poke(addr + 9 * PAGE, b"y")
    b.fallocate(b.open(path), PUNCH_HOLE, 0, PAGE)
    other.to_pipe(addr + 9 * PAGE, PAGE)
    cut = b.go.truncate(path, 0)
    t.blocked(cut, "truncate")
    other.empty_pipe()
    t.errno(0, cut, "truncate")


@test(fs="xfs")
def pinned_page_of_two_files(t):
    """With the pin the wait is over, though the other file's mapping keeps the page."""
    path, copy = t.file(HUGE), t.path()
    with open(path, "r+b") as f:
        f.write(b"x" * HUGE)
    guest.must("cp", "--reflink=always", path, copy)
    pinner, other, b = t.proc(), t.proc(), t.proc()
    addr = pinner.mmap(pinner.open(path), PAGE, prot=PROT_READ)
    number = pinner.pin(addr, PAGE, "test_transient")
    t.eq(other.peek(other.mmap(other.open(copy), PAGE, prot=PROT_READ), 1), b"x",
         "the other file")
    cut = b.go.truncate(path, 0)
    t.blocked(cut, "truncate")
    pinner.unpin(number)
    t.errno(0, cut, "truncate")


@test
def waits_not_for_who_comes_later(t):
    """The page is mapped again while a punch waits for it."""
    path = t.file(HUGE)
    ref, other, b = reference(t, path), t.proc(), t.proc()
    addr = other.mmap_aligned(other.open(path), HUGE)
    punch = b.go.fallocate(b.open(path), PUNCH_HOLE, 0, PAGE)
    t.blocked(punch, "punch")
    other.poke(addr, b"y")
    ref.empty_pipe()
    t.errno(0, punch, "punch")
    t.eq(other.peek(addr, 1), b"\0", "what is in the hole")


@test
def waits_not_for_who_comes_later_in_sync(t):
    """The same by a fault that first writes what the filesystem has changed."""
    path = t.file(HUGE)
    ref, other, b = t.proc(), t.proc(), t.proc()
    fd = ref.open(path)
    ref.fallocate(fd, 0, HUGE, PAGE)
    addr = ref.mmap(fd, PAGE, HUGE)
    ref.poke(addr, b"x")
    ref.to_pipe(addr, PAGE)
    addr = other.mmap(other.open(path), PAGE, HUGE, flags=MAP_SYNC)
    cut = b.go.truncate(path, HUGE)
    t.blocked(cut, "truncate")
    event = "dax_insert_pfn_mkwrite"
    switch = f"{guest.INSTANCE}/events/fs_dax/{event}/enable"
    guest.write(switch, 1)
    other.poke(addr, b"y")
    guest.write(switch, 0)
    t.true(guest.trace_events(event), "the fault had nothing to write first")
    ref.empty_pipe()
    t.errno(0, cut, "truncate")


@test(fs="xfs")
def second_of_two_files_in_use(t):
    """
    A clone waits for a page of either file asleep and can be interrupted. The
    one with the larger number is locked last.
    """
    paths = sorted((t.file(HUGE), t.file(HUGE)), key=guest.inode_of)
    for used in paths:
        ref, b = reference(t, used), t.proc()
        b.catch_sigusr1()
        fds = [b.open(p) for p in paths]
        clone = b.go.blocks("clone", fds[0], fds[1])
        t.blocked(clone, "clone")
        b.signal(signal.SIGUSR1)
        t.errno(errno.EINTR, clone, "clone, interrupted")
        clone = b.go.blocks("clone", fds[0], fds[1])
        t.blocked(clone, "clone again")
        ref.empty_pipe()
        t.errno(0, clone, "clone")


def overlay(t):
    """A file on a DAX filesystem, and the same one through overlayfs."""
    top, over = t.path(), "/mnt/over"
    for name in ("lower", "upper", "work"):
        os.makedirs(f"{top}/{name}")
    path = guest.make_file(f"{top}/upper/f", 2 * HUGE)
    os.makedirs(over, exist_ok=True)
    guest.must("mount", "-t", "overlay", "-o",
               f"lowerdir={top}/lower,upperdir={top}/upper,"
               f"workdir={top}/work", "over", over)
    return path, over


@test
def past_the_bracket(t):
    """Overlayfs cuts the real file with its lock held: told, but not waited."""
    path, over = overlay(t)
    try:
        h, b = t.holder(path), t.proc()
        breaks.comes_back(t, h, path, lambda: b.truncate(over + "/f", HUGE),
                          "truncate through overlayfs")
        t.eq(os.stat(path).st_size, HUGE, "size")
    finally:
        guest.must("umount", over)


@test(break_time=1)
def past_the_bracket_in_vain(t):
    path, over = overlay(t)
    try:
        h, b = t.proc(), t.proc()
        h.block_sigbus()
        h.hold(path, HUGE)
        breaks.ladder_ends(t, h, lambda: b.truncate(over + "/f", 0),
                           "truncate through overlayfs")
    finally:
        guest.must("umount", over)


@test
def beside_the_bracket(t):
    """
    What a filesystem finds beside what was asked for, as its units are larger:
    ETXTBSY, nobody is told, and no other break begins.
    """
    path = t.file(4 * HUGE)
    h, b = t.holder(path, HUGE, offset=2 * HUGE), t.proc()
    t.errno(errno.ETXTBSY, b.go.take(BREAK_AND_MORE, b.open(path), 0, 4096), "the break")
    t.eq(h.sig(0.1), None, "notice")
    t.eq(len(guest.trace_events("break_begin")), 1, "breaks")


@test(fs="xfs")
def who_can_only_read_breaks_nothing(t):
    """The source of a clone that the caller could not write to."""
    source, to = t.file(), t.file()
    os.chmod(source, 0o644)
    os.chmod(to, 0o666)
    os.chmod(guest.DAX, 0o755)
    h, b = t.holder(source), t.proc()
    b.drop_to(1000)
    fds = b.open(to), b.open(source, os.O_RDONLY)
    t.errno(errno.ETXTBSY, b.go.blocks("clone", *fds), "clone")
    t.eq(h.sig(0.1), None, "notice")
    h.unpin_all()
    t.errno(errno.ETXTBSY, b.go.blocks("clone", *fds), "clone of a leased file")
    h.lease(h.fd, F_UNLCK)
    t.errno(0, b.go.blocks("clone", *fds), "clone without a lease")


@test(fs="xfs")
def copying_needs_no_blocks(t):
    """copy_file_range() copies the bytes of what is pinned."""
    for pinned in (0, 1):
        paths = t.file(), t.file()
        h, b = t.holder(paths[pinned]), t.proc()
        fds = [b.open(p) for p in paths]
        b.pwrite(fds[0], b"text", 0)
        t.eq(b.blocks("copy_range", fds[0], fds[1], 0, HUGE), HUGE, "copied")
        t.eq(b.pread(fds[1], 4, 0), b"text", "the copy")
        t.eq(h.sig(0.1), None, "notice")


@test
def bad_arguments_tell_nobody(t):
    """What the filesystem refuses is refused at once, with its own errno."""
    path = t.file()
    h, b = t.holder(path), t.proc()
    fd = b.open(path)
    size = os.stat(path).st_size
    for what, args, want in (
            ("unaligned collapse", (COLLAPSE, PAGE + 1, PAGE), errno.EINVAL),
            ("collapse of odd length", (COLLAPSE, 0, 100), errno.EINVAL),
            ("collapse to the end", (COLLAPSE, 0, size), errno.EINVAL),
            ("unaligned insert", (INSERT, 1, PAGE), errno.EINVAL),
            ("insert behind the end", (INSERT, size, PAGE), errno.EINVAL),
            ("insert beyond the largest size", (INSERT, 0, LARGEST),
             errno.EFBIG)):
        t.errno(want, b.go.fallocate(fd, *args), what)
    t.eq(h.sig(0.1), None, "notice")


@test
def bad_ftruncate_tells_nobody(t):
    """A file that was made immutable while it was open."""
    path = t.file()
    h, b = t.holder(path), t.proc()
    fd = b.open(path)
    guest.must("chattr", "+i", path)
    try:
        if guest.FS == "ext4":
            t.errno(errno.EPERM, b.go.ftruncate(fd, 0), "ftruncate")
            t.eq(h.sig(0.1), None, "notice")
        else:
            breaks.comes_back(t, h, path, lambda: b.ftruncate(fd, 0),
                              "ftruncate")
    finally:
        guest.must("chattr", "-i", path)
