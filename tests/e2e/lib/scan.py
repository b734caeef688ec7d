# SPDX-License-Identifier: GPL-2.0
"""
One call again and again, in which one allocation after the other fails.  What has
failed in a test is kept for the last one, which looks at all.
"""
import errno
import itertools
import os
import pickle

from . import guest, view
from .case import name_of
from .injection import NEVER, Log, Sites, ours

HELD = ("leases", "records", "inodes", "breaks", "pinned_bytes")
KEPT = "/dev/shm/longterm-faults"


def asked_twice(stack):
    """Of kvrealloc(), which goes another way then."""
    return any(frame.symbol.startswith("kvrealloc") for frame in stack)


class Shifted:
    """
    Has the number of an allocation shifted?  Behind each comes one of kmemleak's,
    whose failure is not logged; and when a cache grows meanwhile, one more.  Then two
    in a row are not logged, and the one between them was missed: it is tried again,
    a few times, as there are others that are never logged.
    """
    TRIES = 3

    def __init__(self):
        self.silent, self.left = False, self.TRIES

    def __call__(self, stacks):
        if stacks or not self.silent or not self.left:
            self.silent, self.left = not stacks, self.TRIES
            return False
        self.left -= 1
        return True


class Run:
    """Calls, one after the other; what failed in them."""

    def __init__(self, t):
        self.t = t
        self.log, self.sites = Log(), Sites()
        self.injected = 0

    @staticmethod
    def counters(read=view.settled):
        now = read()
        return {name: now[name] for name in HELD}

    def back_to(self, base, what, read=view.settled):
        try:
            guest.wait_for(lambda: self.counters(read) == base, what, 3)
        except AssertionError:
            self.t.eq(self.counters(read), base, what)

    def note(self, error):
        """What the log says of the last call: all stacks, and those of ours."""
        stacks = self.log.take()
        self.injected += len(stacks)
        mine = [s for s in stacks if any(map(ours, s))]
        for stack in mine:
            self.sites.add(stack, name_of(error))
        return stacks, mine

    def once(self, scan, n, twice=False):
        """One of the calls of a scan."""
        args = scan.before()
        used, error, value = scan.p.failing(n, scan.name, *args, twice=twice)
        stacks, mine = self.note(error)
        which = f"{'twice ' if twice else ''}allocation {n}"
        where = f"{scan.what}, {which if n != NEVER else 'as ever'}"
        what = [[f.symbol for f in stack] for stack in stacks]
        self.t.true(error in scan.want, f"{where}: {name_of(error)}; {what}")
        # One of them may have been somebody else's, see Shifted.
        if twice and len(mine) > 1 and scan.must is not None:
            self.t.true(error == scan.must, f"{where}: {name_of(error)}, not "
                        f"{name_of(scan.must)}; {what}")
        scan.after(args, value, error)
        self.back_to(scan.base, where)
        return used, error, stacks, mine

    def scan(self, *how, **more):
        """
        See Scan.  The first allocation of the call fails, then the second, and so
        on until there is none left.  How many were ours.
        """
        scan = Scan(self, *how, **more)
        found = 0
        shifted = Shifted()
        self.once(scan, NEVER)
        for n in itertools.count(1):
            used, error, stacks, mine = self.once(scan, n)
            while used >= n and shifted(stacks):
                used, error, stacks, mine = self.once(scan, n)
            if used < n:
                self.t.eq(error, scan.clean, f"{scan.what} without a failure")
                break
            found += len(mine)
            if any(map(asked_twice, mine)):
                error = self.once(scan, n, twice=True)[1]
            if stacks and error != scan.clean:
                again = self.once(scan, NEVER)[1]
                self.t.eq(again, scan.clean, f"{scan.what} after allocation {n}")
            if scan.ours_only and stacks and not mine:
                break
        print(f"# {scan.what}: {n - 1} allocations, {found} of ours", flush=True)
        return found

    def keep(self):
        os.makedirs(KEPT, exist_ok=True)
        with open(f"{KEPT}/{self.t.name}", "wb") as f:
            pickle.dump((self.injected, self.sites.seen), f)

    def add(self, name):
        """What another test has kept."""
        try:
            with open(f"{KEPT}/{name}", "rb") as f:
                injected, seen = pickle.load(f)
        except FileNotFoundError:
            raise AssertionError(f"{name} has not passed in this guest") from None
        self.injected += injected
        for stack, results in seen.items():
            self.sites.seen[stack] += results


class Scan:
    """
    p does what is called name, with what before() says; after(arguments, value,
    error) puts back what was, however it ended.  clean: the errno if nothing
    fails; allowed: others but ENOMEM if something does.  must: the only one if
    there was no memory for one of ours.  ours_only: up to the first allocation
    that is none of ours, which is a filesystem's.
    """

    def __init__(self, run, what, p, name, before, after, *, allowed=(), clean=0,
                 must=None, ours_only=False):
        self.what, self.p, self.name = what, p, name
        self.before, self.after = before, after
        self.clean, self.must, self.ours_only = clean, must, ours_only
        self.want = {clean, errno.ENOMEM, *allowed}
        self.base = run.counters()
