# SPDX-License-Identifier: GPL-2.0
"""
A random walk through pins, unpins and all that may happen to the file and its
mappings between them.  Each step is chosen by a seed, and a model is compared
after each.
"""
import copy
import errno
import os
import random
import signal

from . import calls, pintest
from .pinmodel import Model
from .pinspace import HUGE, PER_HUGE, File, Space
from .pintest import (BIO, FAST, HARDIRQ, KTHREAD, LONGTERM, PAGE, PAGES, REMOTE,
                      SOFTIRQ, TASK, UNLOCKED, WRITE)

MANY = 60       # handles at a time


class Walk:
    def __init__(self, paths, seed):
        self.random = random.Random(seed)
        self.model = Model()
        self.big, self.small, self.other, self.own = (
            File(path, regions) for path, regions in zip(paths, (4, 2, 3, 1)))
        self.files = (self.big, self.small, self.other)
        self.orders = {}        # (file, region): order when it was last seen
        self.changes = {0: 0, 9: 0}
        self.space = Space(64 * HUGE)
        # A row of mappings without gaps, one that is not aligned, and others.
        s = self.space
        s.map(self.big, 0)
        s.map(self.other, 4 * HUGE)
        s.map(self.small, 7 * HUGE)
        s.map(self.big, 9 * HUGE, index=PER_HUGE // 2, pages=PER_HUGE * 2)
        s.map(self.other, 12 * HUGE + PAGE)
        s.map(self.big, 16 * HUGE, readonly=True)
        s.map(self.own, 20 * HUGE, private=True)
        for region in range(self.small.regions):
            s.touch(self.small, region, huge=False)
        self.note_orders()
        # Another process with the same mappings, but its own private memory.
        self.child = os.fork()
        if not self.child:
            calls.prctl(calls.PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.pause()
            os._exit(0)
        self.childs = Space.__new__(Space)
        self.childs.mappings = [copy.copy(m) for m in s.mappings]
        for mapping in self.childs.mappings:
            mapping.copied = set()

    def close(self):
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        self.model.close()
        for file in self.files + (self.own,):
            file.close()

    # ---- steps
    def step(self, number):
        r = self.random.random()
        handles = self.model.handles
        if number % 30 == 29:
            self.change_region()
        elif r < 0.05:
            self.move()
        elif r < 0.06:
            self.map_again()
        elif handles and self.random.random() < len(handles) / MANY:
            self.unpin()
        elif handles and r > 0.9:
            self.add()
        else:
            self.pin()

    def length(self):
        """A few pages, or many; often on the edge of a folio."""
        return self.random.choice((1, 1, 2, 5, 17, 100, 511, 512, 513, 1300,
                                   self.random.randrange(1, 600)))

    def pin(self):
        rnd = self.random
        flags = rnd.choice((0, WRITE, LONGTERM, LONGTERM | WRITE))
        how = rnd.choice((PAGES, FAST, UNLOCKED, REMOTE) if flags & LONGTERM else
                         (PAGES, FAST, UNLOCKED, REMOTE, BIO))
        space = self.childs if how == REMOTE else self.space
        mapping = rnd.choice(space.mappings)
        # One in eight begins on a folio's edge.
        first = rnd.randrange(mapping.pages)
        if rnd.random() < 0.125:
            first &= -PER_HUGE
        addr = mapping.addr + first * PAGE
        wanted = self.length()
        if how == BIO:
            wanted = min(wanted, 256)
        # What a long-term pin gets of a range with gaps is not looked at here.
        reach = space.reach(addr, wanted, flags)
        nr = max(reach, 1) if flags & LONGTERM else wanted
        try:
            handle = self.model.pin(
                how, addr, nr,
                lambda n: space.heads(self.model, addr, n, flags), flags,
                self.child if how == REMOTE else 0)
        except OSError as e:
            if e.errno != errno.EFAULT or reach:
                raise AssertionError(f"pin {how} of {nr} pages, {reach} of them "
                                     f"there, flags {flags}: {e}") from e
            self.model.check_all()
            return
        # A bio ends where the file's memory meets other memory.
        if len(handle.heads) != reach and how != BIO:
            raise AssertionError(f"pin {how}, flags {flags}: "
                                 f"{len(handle.heads)} pages, not {reach}")

    def add(self):
        handle = self.random.choice(self.model.handles)
        left = [i for i, head in enumerate(handle.heads) if head]
        if left:
            self.model.add(handle, self.random.choice(left), self.length())

    def unpin(self):
        rnd = self.random
        handle = rnd.choice(self.model.handles)
        size = len(handle.heads)
        first, nr = 0, size
        if not handle.bio and rnd.random() < 0.5:
            first = rnd.randrange(size)
            nr = rnd.randrange(1, size - first + 1)
        dirty = rnd.random() < 0.3
        context = rnd.choice((TASK, KTHREAD) if dirty else
                             (TASK, SOFTIRQ, HARDIRQ, KTHREAD))
        self.model.unpin(handle, first, nr, rnd.randrange(pintest.UNPIN_BIO),
                         context, dirty)

    def region_heads(self, file, region):
        return self.model.heads_of(file.fd, region * PER_HUGE, PER_HUGE)

    def let_go(self, heads):
        heads = set(heads)
        for handle in [h for h in self.model.handles
                       if not heads.isdisjoint(h.heads)]:
            self.model.unpin(handle)

    def change_region(self):
        """
        Take blocks away that nobody pins, and fault others in, in entries of the
        other size.
        """
        rnd = self.random
        file = rnd.choice(self.files)
        region = rnd.randrange(file.regions)
        start = region * HUGE
        way = rnd.choice(("punch", "page", "cut"))
        gone = range(region, file.regions if way == "cut" else region + 1)
        self.let_go([h for r in gone for h in self.region_heads(file, r)])
        heads = [h for r in gone for h in self.region_heads(file, r)]
        if way == "cut":
            calls.ftruncate(file.fd, start)
            calls.ftruncate(file.fd, file.size)
        else:
            # One page is enough to take a 2 MiB entry apart.
            at = PAGE * rnd.randrange(PER_HUGE) if way == "page" else 0
            calls.fallocate(file.fd, calls.PUNCH_HOLE, start + at,
                            PAGE if way == "page" else HUGE)
            if way == "page" and self.orders.get((file, region)) == 0:
                page = at // PAGE
                heads = heads[page:page + 1]
        self.model.taken_away(heads)
        self.model.calls[f"away: {way}"] += 1
        for r in gone:
            calls.fallocate(file.fd, 0, r * HUGE, HUGE)
            self.space.touch(file, r, huge=not self.orders.get((file, r)))
        self.note_orders()

    def note_orders(self):
        for file in self.files:
            for region in range(file.regions):
                seen = self.model.dev.look(file.fd, region * PER_HUGE)[0]
                if seen.flags & pintest.PRESENT:
                    last = self.orders.get((file, region))
                    if last is not None and last != seen.order:
                        self.changes[seen.order] += 1
                    self.orders[file, region] = seen.order

    def move(self):
        """mremap(2), to an aligned place or not."""
        mapping = self.random.choice(self.space.mappings)
        self.space.move(mapping, self.free_place(mapping.pages) +
                        self.random.choice((0, PAGE)))
        self.model.calls["mremap"] += 1
        self.model.check_all()

    def map_again(self):
        """munmap(2) and mmap(2), elsewhere; one that is pinned, perhaps."""
        mapping = self.random.choice(self.space.mappings[1:])
        self.space.unmap(mapping)
        self.model.check_all()
        self.space.map(mapping.file, self.free_place(mapping.pages),
                       mapping.index, mapping.pages, private=mapping.private,
                       readonly=mapping.readonly)
        self.model.calls["munmap"] += 1

    def free_place(self, pages):
        end = self.space.start
        for mapping in sorted(self.space.mappings, key=lambda m: m.addr):
            if mapping.addr - end >= (pages + 1) * PAGE:
                break
            end = (mapping.end + HUGE - 1) & -HUGE
        return end - self.space.start


def new_seed():
    text = os.environ.get("LONGTERM_SEED")
    return int(text) if text else int.from_bytes(os.urandom(4), "little")


def walk(paths, steps, seed):
    """The walk, when it has come to its end."""
    print(f"# seed {seed}: LONGTERM_SEED={seed} repeats it", flush=True)
    w = Walk(paths, seed)
    at = 0
    try:
        for at in range(steps):
            w.step(at)
            if at % 50 == 0:
                w.model.check_all()
        w.model.check_all()
        w.model.unpin_everything()
    except AssertionError as e:
        raise AssertionError(f"seed {seed}, step {at}: {e}") from e
    w.close()
    return w


