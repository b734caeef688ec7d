# SPDX-License-Identifier: GPL-2.0
"""What a test function gets, and how it is declared."""
import errno
import os

from . import guest
from .proc import Proc

REGISTRY = []


class Skip(Exception):
    pass


PATCHED = ("patched", "debug")
UNPATCHED = ("unpatched",)
BTF = ("btf",)              # patched, with BPF and what it needs to know
KCSAN = ("kcsan",)
RACES = PATCHED + KCSAN     # where things happen at once
ALL = PATCHED + UNPATCHED   # what must be the same with us and without


def test(function=None, *, break_time=10, limit=20, fs=None, kernels=PATCHED):
    """
    Declare a test.  break_time: seconds for lease-break-time; limit: seconds
    for the whole test on the plain kernel; fs, kernels: only there.
    """
    def declare(f):
        name = f.__module__.rsplit(".", 1)[-1] + "." + f.__name__
        f.case = {"name": name, "break_time": break_time, "limit": limit,
                  "fs": fs, "kernels": kernels}
        REGISTRY.append(f)
        return f
    return declare(function) if function else declare


def name_of(number):
    return "success" if not number else errno.errorcode.get(number, number)


class T:
    def __init__(self, case):
        self.name = case["name"]
        self.break_time = case["break_time"]
        self.files = 0
        self.procs = []

    def path(self):
        self.files += 1
        return f"{guest.DAX}/f{self.files}"

    def last_path(self):
        return f"{guest.DAX}/f{self.files}"

    def file(self, size=4 * guest.MIB, data=True):
        return guest.make_file(self.path(), size, data)

    def proc(self):
        self.procs.append(Proc())
        return self.procs[-1]

    def fork(self, parent, **how):
        """A fork of that process, see Birth.clone."""
        self.procs.append(Proc(parent, **how))
        return self.procs[-1]

    def end_all(self):
        """All processes of the test, so that nothing is open any more."""
        for p in self.procs:
            p.kill()

    def holder(self, path, length=None, **kw):
        """A process that holds a lease on path and pins it."""
        p = self.proc()
        p.fd, p.addr = p.hold(path, length or os.stat(path).st_size, **kw)
        return p

    @staticmethod
    def eq(got, want, what):
        if got != want:
            raise AssertionError(f"{what}: {got!r}, not {want!r}")

    @staticmethod
    def true(got, what):
        if not got:
            raise AssertionError(what)

    @staticmethod
    def errno(want, got, what):
        """Compare errnos.  got: a number, a Pending, or something to call."""
        if hasattr(got, "errno"):
            got = got.errno()
        elif callable(got):
            try:
                got()
                got = 0
            except OSError as e:
                got = e.errno
        if got != want:
            raise AssertionError(f"{what}: {name_of(got)}, not {name_of(want)}")

    @staticmethod
    def between(low, value, high, what):
        """low <= seconds <= high; the upper end has slack on slow kernels."""
        if not low <= value <= high * guest.SLOW:
            raise AssertionError(f"{what}: {value:.3f} s, not between {low} "
                                 f"and {high * guest.SLOW}")

    def blocked(self, pending, what):
        """
        The call sleeps.  Seen in the process's state, twice, as a mutex on the
        way also sleeps for a moment.
        """
        for _ in range(2):
            guest.wait_for(lambda: pending.done() or self.sleeps(
                pending.proc.pid), f"{what} sleeps")
            self.true(not pending.done(0.02), f"{what} did not wait")

    @staticmethod
    def reaction(proc):
        """What a process that reacts has done; waits for it."""
        seen = []

        def look():
            seen.extend(proc.take_events())
            return seen
        guest.wait_for(look, "the holder's reaction")
        return seen[0]

    @staticmethod
    def sleeps(pid):
        stat = guest.read(f"/proc/{pid}/stat")
        return stat.rsplit(")", 1)[1].split()[0] in "SD"

    @staticmethod
    def skip(why):
        raise Skip(why)
