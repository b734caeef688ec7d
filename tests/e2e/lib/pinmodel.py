# SPDX-License-Identifier: GPL-2.0
"""
A model of what folios count: fed with what a test has pinned and unpinned,
never with a count that the kernel gave.  Which pages are one folio it learns
from the kernel, as nobody else knows.
"""
import collections

from . import pintest
from .pintest import PRESENT

BIAS = 1024     # GUP_PIN_COUNTING_BIAS, what a pin of a small folio refers


class Count:
    """One folio: what is pinned, and what its word says of it."""
    __slots__ = ("order", "transient", "held", "all", "longterm")

    def __init__(self, order):
        self.order = order
        self.transient = self.held = 0      # true by the test's own calls
        self.all = self.longterm = 0        # as the rule of dax_pin.h has it

    def pin(self, longterm, pages=1):
        self.all += pages
        if longterm:
            self.held += pages
            self.longterm += pages
        else:
            self.transient += pages

    def unpin(self, longterm, pages=1):
        if longterm:
            self.held -= pages
        else:
            self.transient -= pages
        self.all -= pages
        self.longterm = min(self.longterm, self.all)

    def check(self, seen, where):
        def same(what, got, want):
            if got != want:
                raise AssertionError(
                    f"{where}: {what} {got}, not {want}; pinned {self.held} "
                    f"for long and {self.transient} not; {seen}")
        # What users of the count rely on, said apart from the rule.
        if self.held < 0 or self.transient < 0:
            raise AssertionError(f"{where}: the test has unpinned too much")
        same("all pins", seen.all, self.held + self.transient)
        if seen.longterm < self.held:
            same("too few long-term pins,", seen.longterm, self.held)
        if not self.transient:
            same("long-term pins without others", seen.longterm, self.held)
        same("long-term pins", seen.longterm, self.longterm)
        # And the kernel's own counts agree.
        same("order", seen.order, self.order)
        if seen.order:
            same("pincount", seen.pincount, self.all)
            same("references", seen.refs - seen.mapcount, self.all)
        else:
            same("references", seen.refs - seen.mapcount, self.all * BIAS)


class Handle:
    """Pins of one call: for each page its folio, None once it is unpinned."""
    __slots__ = ("number", "longterm", "heads", "bio")

    def __init__(self, number, longterm, heads, bio):
        self.number, self.longterm = number, longterm
        self.heads, self.bio = heads, bio


NO_FOLIO = 0    # anonymous memory, the zero page: nothing of it is counted


def runs(numbers):
    """[first, how many] for those that follow one another."""
    found = []
    for number in numbers:
        if found and number == sum(found[-1]):
            found[-1][1] += 1
        else:
            found.append([number, 1])
    return found


class Model:
    """
    The folios of some files.  Every pin and unpin goes through it, and it
    compares what it touched at once.
    """

    def __init__(self):
        self.dev = pintest.Pintest()
        self.counts = {}            # head pfn: Count
        self.handles = []
        self.calls = collections.Counter()

    def close(self):
        """The device unpins what is left."""
        self.dev.close()
        self.dev = pintest.Pintest()
        for handle in self.handles:
            self._forget(handle, 0, len(handle.heads))
        self.handles = []
        self.check_all()
        self.dev.close()

    def heads_of(self, fd, index, nr):
        """The folios of pages of a file, NO_FOLIO where there is none."""
        heads = []
        for seen in self.dev.look(fd, index, nr):
            if not seen.flags & PRESENT:
                heads.append(NO_FOLIO)
                continue
            heads.append(seen.head)
            if seen.head not in self.counts:
                self.counts[seen.head] = Count(seen.order)
        return heads

    def pin(self, how, addr, nr, heads, flags=pintest.WRITE, pid=0):
        """
        heads(n): the folios of the first n pages, asked for once they are
        pinned.  The handle.
        """
        number, pinned = self.dev.pin(how, addr, nr, flags, pid)
        longterm = bool(flags & pintest.LONGTERM)
        handle = Handle(number, longterm, heads(pinned), how == pintest.BIO)
        self._took(handle, f"pin {how}")
        return handle

    def add(self, handle, page, nr):
        """More pins of the folio of a page that is pinned: no long-term ones."""
        number, pinned = self.dev.pin(pintest.ADD, page, nr, fd=handle.number)
        more = Handle(number, False, [handle.heads[page]] * pinned, False)
        self._took(more, "add")
        return more

    def _took(self, handle, what):
        for head in handle.heads:
            if head:
                self.counts[head].pin(handle.longterm)
        self.handles.append(handle)
        self.calls[what] += 1
        self.check(handle.heads, what)

    def _forget(self, handle, first, nr):
        """In the order of the pages, as the kernel goes."""
        touched = []
        for i in range(first, first + nr):
            head = handle.heads[i]
            if head is None:
                continue
            handle.heads[i] = None
            touched.append(head)
            if head:
                self.counts[head].unpin(handle.longterm)
        return touched

    def unpin(self, handle, first=0, nr=None, how=pintest.UNPIN_PAGES,
              context=pintest.TASK, dirty=False):
        if nr is None:
            nr = len(handle.heads) - first
        if handle.bio:
            how = pintest.UNPIN_BIO
        done = self.dev.unpin(handle.number, first, nr, how, context, dirty)
        what = f"unpin {how} in {context}"
        self.calls[what] += 1
        touched = self._forget(handle, first, nr)
        if done != len(touched):
            raise AssertionError(f"{what}: {done} pages, not {len(touched)}")
        if all(head is None for head in handle.heads):
            self.handles.remove(handle)
        self.check(touched, what)

    def unpin_everything(self):
        for handle in list(self.handles):
            self.unpin(handle)

    def check(self, heads, where):
        heads = sorted(set(heads) - {NO_FOLIO, None})
        for first, nr in runs(heads):
            for seen in self.dev.look_at(first, nr):
                self.counts[seen.pfn].check(seen, f"after {where}, folio "
                                            f"{seen.pfn:#x}")

    def check_all(self):
        self.check(self.counts, "all")

    def taken_away(self, heads):
        """The file has lost these: they are single pages and count nothing."""
        for head in set(heads) - {NO_FOLIO}:
            count = self.counts.pop(head)
            if count.all:
                raise AssertionError(f"folio {head:#x} went with {count.all} pins")
            pages = self.dev.look_at(head, 1 << count.order)
            for seen in pages:
                if seen.flags & (pintest.ASSOCIATED | pintest.SHARED):
                    continue    # it is a file's again
                if seen.word or seen.order or seen.refs:
                    raise AssertionError(f"left in a free page: {seen}")
