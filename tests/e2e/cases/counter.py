# SPDX-License-Identifier: GPL-2.0
"""
What each folio of a DAX file counts, compared with a model that knows only what
the test itself has pinned and unpinned.
"""
import ctypes
import errno
import itertools
import os

from lib import blocks, calls, guest, pintest, pinwalk
from lib.case import test
from lib.machine import insmod
from lib.pinmodel import NO_FOLIO, Model
from lib.pinspace import HUGE, PER_HUGE, File, Space
from lib.pintest import (BIO, FAST, HARDIRQ, KTHREAD, LONGTERM, PAGE, PAGES,
                         REMOTE, SOFTIRQ, TASK, UNLOCKED, WRITE)

STEPS = 10000 if guest.LONG else 300
FULL = 2**31 - 1    # where dax_pin.h stops
WAYS_OUT = range(pintest.UNPIN_BIO)


class Setup:
    """A file with two regions: one folio, and single pages."""

    def __init__(self, t, regions=2):
        self.file = File(t.path(), regions)
        self.space = Space(16 * HUGE)
        self.map = self.space.map(self.file, 0)
        self.space.touch(self.file, 0, huge=True)
        for region in range(1, regions):
            self.space.touch(self.file, region, huge=False)
        self.model = Model()
        self.at = {9: self.map.addr, 0: self.map.addr + HUGE}
        for order, index in ((9, 0), (0, PER_HUGE)):
            t.eq(self.look(index).order, order, "order of the region's folio")

    def look(self, index):
        return self.model.dev.look(self.file.fd, index)[0]

    def pin(self, addr, nr, flags=WRITE, how=PAGES, pid=0):
        return self.model.pin(
            how, addr, nr,
            lambda n: self.space.heads(self.model, addr, n, flags), flags, pid)

    def end(self):
        self.model.close()
        self.file.close()


@test(limit=600 if guest.LONG else 60)
def random_walk(t):
    """All ways to pin and unpin, in any order, while the file changes."""
    w = pinwalk.walk([t.path() for _ in range(4)], STEPS, pinwalk.new_seed())
    print(f"# {sum(w.model.calls.values())} calls; regions that came to have "
          f"order 0: {w.changes[0]}, 9: {w.changes[9]}", flush=True)
    # Of few steps none need be such a change; order_changes() makes some.
    if guest.LONG:
        t.true(w.changes[0] and w.changes[9], "no folio has changed its order")


@test(limit=60)
def every_way_in_and_out(t):
    """On a large folio, on small ones, and over the border of both."""
    s = Setup(t)
    border = s.map.addr + HUGE - 2 * PAGE
    places = (s.at[9] + 7 * PAGE, s.at[0] + 3 * PAGE, border)
    ways_in = [(how, flags) for how in (PAGES, FAST, REMOTE, UNLOCKED)
               for flags in (0, WRITE, LONGTERM, LONGTERM | WRITE)]
    done = 0
    for addr, (how, flags) in itertools.product(places, ways_in):
        for out in WAYS_OUT:
            context = (TASK, SOFTIRQ, HARDIRQ, KTHREAD)[done % 4]
            handle = s.pin(addr, 4, flags, how, os.getpid())
            t.eq(len(handle.heads), 4, "pages")
            s.model.unpin(handle, 0, 4, out, context,
                          dirty=context in (TASK, KTHREAD) and flags & WRITE)
            done += 1
    for addr, flags, context in itertools.product(
            places, (0, WRITE), (TASK, SOFTIRQ, HARDIRQ, KTHREAD)):
        s.model.unpin(s.pin(addr, 4, flags, BIO), context=context)
    print(f"# {done} pairs", flush=True)
    s.end()


@test
def the_rule_in_numbers(t):
    """{all, long-term} while transient pins live beside long-term ones."""
    s = Setup(t)
    for order, index in ((9, 0), (0, PER_HUGE)):
        def counts():
            seen = s.look(index)
            return seen.all, seen.longterm
        addr, nr = s.at[order], 3 if order else 1
        held = s.pin(addr, nr, WRITE | LONGTERM)
        t.eq(counts(), (nr, nr), "a long-term pin")
        passing = s.pin(addr, nr, WRITE, FAST)
        t.eq(counts(), (2 * nr, nr), "and a transient one")
        s.model.unpin(held)
        t.eq(counts(), (nr, nr), "the long-term one is gone, nobody knows")
        s.model.unpin(passing)
        t.eq(counts(), (0, 0), "nothing is pinned")
        passing = s.pin(addr, nr, WRITE, FAST)
        held = s.pin(addr, nr, WRITE | LONGTERM)
        s.model.unpin(passing)
        t.eq(counts(), (nr, nr), "only the long-term one is left")
        more = s.model.add(held, 0, 5)
        t.eq(counts(), (nr + 5, nr), "folio_add_pins()")
        s.model.unpin(more)
        s.model.unpin(held)
        t.eq(counts(), (0, 0), "nothing is pinned")
    s.end()


@test
def full(t):
    """ENOMEM, and all as it was; neither half runs into the other."""
    s = Setup(t)
    dev = s.model.dev
    ways = [(how, kind) for how in (PAGES, FAST, REMOTE, UNLOCKED)
            for kind in (WRITE, WRITE | LONGTERM)]
    for order, (how, kind), held in itertools.product((9, 0), ways, (0, FULL)):
        addr, index = s.at[order], 0 if order else PER_HUGE
        where = f"order {order}, way {how}, flags {kind}, long-term {held}"
        inside, _ = dev.pin(PAGES, addr, 1)
        dev.preset(s.look(index).pfn, FULL - 1, held and FULL - 1)
        before = s.look(index)
        # One has room, the next has not.
        handle, nr = dev.pin(how, addr, 1, kind, os.getpid())
        t.eq(nr, 1, f"{where}: pages")
        seen = s.look(index)
        t.eq(seen.all, FULL, f"{where}: all, of the last that fits")
        t.eq(seen.longterm, before.longterm + (kind & LONGTERM > 0),
             f"{where}: long-term, of the last that fits")
        for what in (lambda: dev.pin_errno(how, addr, 1, kind, os.getpid()),
                     lambda: dev.pin_errno(pintest.ADD, 0, 1, fd=inside)):
            t.eq(what(), errno.ENOMEM, f"{where}: one more")
            t.eq(s.look(index), seen, f"{where}: after one more")
        dev.preset(seen.pfn, 2, kind & LONGTERM > 0)
        dev.unpin(handle, 0, 1)
        dev.unpin(inside, 0, 1)
        t.eq(s.look(index).word, 0, f"{where}: at the end")
    s.end()


@test
def nearly_full(t):
    """Where some pages of one folio would fit and others not, none is pinned."""
    s = Setup(t)
    dev = s.model.dev
    for how, kind, held in itertools.product(
            (PAGES, FAST, UNLOCKED), (WRITE, WRITE | LONGTERM), (0, FULL)):
        where = f"way {how}, flags {kind}, long-term {held}"
        inside, _ = dev.pin(PAGES, s.at[9], 1)
        dev.preset(s.look(0).pfn, FULL - 3, held and FULL - 3)
        before = s.look(0)
        t.eq(dev.pin_errno(how, s.at[9], 5, kind), errno.ENOMEM, where)
        t.eq(s.look(0), before, f"{where}: afterwards")
        dev.preset(before.pfn, 1, 0)
        dev.unpin(inside, 0, 1)
    s.end()


@test
def refused_in_the_end(t):
    """Pinned, and taken back as there may be no record: beside a transient pin."""
    s = Setup(t)
    owner = t.proc()
    os.chown(s.file.path, guest.NOBODY, guest.NOBODY)
    addr = owner.mmap_aligned(owner.open(s.file.path), s.file.size)
    owner.preopen_gup()
    owner.drop_to(guest.NOBODY)
    guest.set_sysctl("max_records", 0)
    for order, index in ((9, 0), (0, PER_HUGE)):
        s.pin(s.at[order], 3, WRITE, FAST)
        for kind in ("gup", "gup_fast"):
            where = f"order {order}, {kind}"
            t.errno(errno.ENOLCK, owner.go.pin(addr + index * PAGE, 3 * PAGE,
                                               kind), where)
            seen = s.look(index)
            t.eq((seen.all, seen.longterm), (3 if order else 1, 0), where)
    s.model.check_all()
    owner.kill()
    s.end()


@test
def order_changes(t):
    """Nothing of a large folio is left in its pages, and the reverse."""
    s = Setup(t)
    file = s.file

    def heads(first=0, nr=PER_HUGE):
        return [h for h in s.model.heads_of(file.fd, first, nr) if h]
    for round_ in range(3):
        s.model.unpin(s.pin(s.at[9], PER_HUGE, WRITE | LONGTERM))
        s.model.unpin(s.pin(s.at[9], 100, WRITE, FAST))
        old = heads()
        calls.fallocate(file.fd, calls.PUNCH_HOLE, round_ * PAGE, PAGE)
        s.model.taken_away(old)
        t.eq([p.word for p in s.model.dev.look_at(old[0], PER_HUGE)],
             [0] * PER_HUGE, "words of the pages")
        calls.fallocate(file.fd, 0, 0, HUGE)
        s.space.touch(file, 0, huge=False)
        t.eq({p.order for p in s.model.dev.look(file.fd, 0, PER_HUGE)}, {0},
             "orders of small folios")
        # Pins that stay while their neighbours go.
        stays = s.pin(s.at[9] + 2 * PAGE, 2, WRITE | LONGTERM)
        s.pin(s.at[9] + 3 * PAGE, 2, 0, FAST)
        old = heads(16, 64)
        t.eq(len(old), 64, "small folios")
        calls.fallocate(file.fd, calls.PUNCH_HOLE, 16 * PAGE, 64 * PAGE)
        s.model.taken_away(old)
        s.model.check_all()
        s.model.unpin(stays)
        s.model.unpin_everything()
        old = heads(0, 2 * PER_HUGE)
        calls.ftruncate(file.fd, 0)
        s.model.taken_away(old)
        calls.ftruncate(file.fd, file.size)
        calls.fallocate(file.fd, 0, 0, file.size)
        s.space.touch(file, 0, huge=True)
        t.eq(s.look(0).order, 9, "order of a large folio")
    s.end()


# ---- what is not counted, and what others do

@test
def holes_and_copies(t):
    """The zero page and a process's own memory are no pages of the file."""
    file = File(t.path(), 1)
    calls.ftruncate(file.fd, 0)
    calls.ftruncate(file.fd, HUGE)
    space, model = Space(8 * HUGE), Model()
    readonly = space.map(file, 0, readonly=True)
    private = space.map(file, HUGE, private=True)
    for addr in (readonly.addr, private.addr):
        for how in (PAGES, FAST, BIO):
            handle = model.pin(how, addr, 3, lambda n: [NO_FOLIO] * n, 0)
            model.unpin(handle)
    dev = model.dev
    t.eq(dev.pin_errno(PAGES, readonly.addr, 3, LONGTERM), errno.EFAULT,
         "a long-term pin of a hole")
    t.eq([f for f in dev.look(file.fd, 0, PER_HUGE)
          if f.flags & pintest.PRESENT], [], "pages of a file of holes")
    space.touch(file, 0, huge=True)

    def of_private(flags):
        return lambda n: space.heads(model, private.addr, n, flags)
    model.pin(FAST, private.addr, 4, of_private(0), 0)
    t.eq(dev.look(file.fd, 0)[0].all, 4, "a private mapping that is read")
    model.pin(PAGES, private.addr, 8, of_private(WRITE), WRITE)
    model.pin(PAGES, private.addr + 8 * PAGE, 8,
              lambda n: space.heads(model, private.addr + 8 * PAGE, n, LONGTERM),
              LONGTERM)
    t.eq(dev.look(file.fd, 0)[0].all, 4, "a private mapping that is written")
    # A child has pages of its own where they are pinned here.
    p = t.proc()
    p.kill()
    model.check_all()
    model.unpin_everything()
    model.close()
    file.close()


@test
def memfds(t):
    """memfd_pin_folios() is no way to a DAX file; its own are not counted."""
    s = Setup(t)
    dev = s.model.dev
    t.eq(dev.pin_errno(pintest.MEMFD, 0, 4, fd=s.file.fd), errno.EINVAL, "DAX file")
    fd = os.memfd_create("counter")
    os.ftruncate(fd, HUGE)
    for out in (pintest.UNPIN_FOLIO, pintest.UNPIN_FOLIOS,
                pintest.UNPIN_FOLIO_PAGES):
        handle, nr = dev.pin(pintest.MEMFD, 0, 4, fd=fd)
        more, _ = dev.pin(pintest.ADD, 0, 3, fd=handle)
        dev.unpin(more, 0, 3, pintest.UNPIN_PAGE)
        t.eq(dev.unpin(handle, 0, nr, out), nr, "unpinned")
    s.model.check_all()
    s.end()


@test
def as_users_pin(t):
    """RDMA, io_uring, GUP_TEST; pipes, which only refer."""
    s = Setup(t)
    size = s.file.size

    def folios():
        return [(f.all, f.longterm) for f in (s.look(0), s.look(PER_HUGE + 5))]
    p = t.proc()
    fd = p.open(s.file.path)
    addr = p.mmap_aligned(fd, size)
    both = [(PER_HUGE, PER_HUGE), (1, 1)]
    # io_uring keeps one pin for each folio, if all are of the same size.
    for kind, length, want in (("mr", size, both), ("uring", size, both),
                               ("uring", HUGE, [(1, 1), (0, 0)]),
                               ("gup", size, both), ("gup_read", size, both),
                               ("gup_fast", size, both)):
        number = p.pin(addr, length, kind)
        t.eq(folios(), want, f"pinned by {kind}")
        p.unpin(number)
        guest.wait_for(lambda: folios() == [(0, 0)] * 2, f"{kind} has unpinned")
    # References are no pins: what only refers is not counted.
    refs = s.look(0).refs
    p.to_pipe(addr, 4 * PAGE)
    t.eq((folios()[0], s.look(0).refs), ((0, 0), refs + 4), "in a pipe")
    p.empty_pipe()
    t.eq(s.look(0).refs, refs, "references, the pipe is empty")
    s.model.check_all()
    p.kill()
    s.end()


@test
def by_direct_io(t):
    """Bios of O_DIRECT, to a block device and back, small and many."""
    s = Setup(t)
    image = guest.make_file("/dev/shm/longterm-counter.img", s.file.size)
    loop = guest.must("losetup", "--show", "-f", image).strip()
    held = s.pin(s.at[9], 10, WRITE | LONGTERM)
    s.pin(s.at[0], 10, 0, FAST)
    fd = os.open(loop, os.O_RDWR | os.O_DIRECT)
    try:
        for addr, length in ((s.map.addr, s.file.size), (s.at[0], 3 * PAGE),
                             (s.at[0] - PAGE, 2 * PAGE),
                             (s.at[9] + 512, 512), (s.at[0] + 1024, 2 * PAGE)):
            t.eq(calls.pwrite(fd, addr, length, 0), length, "written")
            s.model.check_all()
            t.eq(calls.pread(fd, addr, length, 0), length, "read")
            s.model.check_all()
    finally:
        os.close(fd)
        guest.must("losetup", "-d", loop)
        os.unlink(image)
    s.model.unpin(held)
    s.end()


@test(limit=60)
def without_the_module(t):
    """Pins are counted all the time: those from before insmod, and past rmmod."""
    s = Setup(t)
    old = s.pin(s.at[9], 20, WRITE, FAST)
    guest.must("rmmod", "longterm")
    try:
        during = s.pin(s.at[9] + PAGE, 30, WRITE, PAGES)
        s.pin(s.at[0], 2, 0, BIO)
        for how in (PAGES, FAST, UNLOCKED):
            t.eq(s.model.dev.pin_errno(how, s.at[9], 3, WRITE | LONGTERM),
                 errno.EOPNOTSUPP, "long-term, without the module")
        s.model.check_all()
    finally:
        insmod()
    s.model.check_all()
    held = s.pin(s.at[9], 5, WRITE | LONGTERM)
    s.pin(s.at[0], 5, WRITE | LONGTERM)
    s.model.unpin(old)
    s.model.unpin(during)
    t.eq((s.look(0).all, s.look(0).longterm), (5, 5), "what is left")
    last = s.pin(s.at[9], 7, 0, FAST)
    s.model.unpin(held)
    for handle in [h for h in s.model.handles if h is not last]:
        s.model.unpin(handle)
    # The records are closed once the counts leave no doubt.
    s.model.unpin(last)
    guest.wait_for(lambda: not guest.module_users(), "nobody uses the module")
    last = s.pin(s.at[9], 7, 0, FAST)
    guest.must("rmmod", "longterm")
    insmod()
    s.model.check_all()
    s.model.unpin(last)
    s.end()


@test(fs="xfs")
def shared_folios(t):
    """A block of two files: one count, whichever file it is pinned through."""
    s = Setup(t, regions=2)
    copy = t.path()
    with open(copy, "wb") as f:
        calls.ioctl(f.fileno(), blocks.FICLONE, s.file.fd)
    other = File.__new__(File)
    other.path, other.regions, other.size = copy, 2, s.file.size
    other.fd = os.open(copy, os.O_RDWR)
    maps = [s.space.map(f, at, readonly=True)
            for f, at in ((s.file, 4 * HUGE), (other, 6 * HUGE))]
    for m in maps:
        for i in range(0, m.pages):
            ctypes.string_at(m.addr + i * PAGE, 1)
    for index in (0, PER_HUGE):
        one, two = (s.model.dev.look(m.file.fd, index)[0] for m in maps)
        t.eq(one.pfn, two.pfn, "page of the two files")
        t.true(one.flags & pintest.SHARED, "the folio is not shared")
    for m in maps:
        for addr in (m.addr, m.addr + HUGE):
            for how in (PAGES, FAST, BIO):
                s.pin(addr, 3, 0, how)
            t.eq(s.model.dev.pin_errno(PAGES, addr, 3, LONGTERM),
                 errno.EOPNOTSUPP, "a long-term pin of a shared file")
    s.model.check_all()
    # A write leaves the pinned block to the other file.
    was = s.model.heads_of(s.file.fd, PER_HUGE, 1)
    os.pwrite(s.file.fd, b"new", HUGE)
    t.eq(s.model.heads_of(other.fd, PER_HUGE, 1), was, "the other file's folio")
    t.true(s.model.heads_of(s.file.fd, PER_HUGE, 1) != was, "nothing was copied")
    s.model.check_all()
    for handle, out in zip(list(s.model.handles), itertools.cycle(WAYS_OUT)):
        s.model.unpin(handle, 0, None, out, HARDIRQ)
    other.close()
    s.end()
