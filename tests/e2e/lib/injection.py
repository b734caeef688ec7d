# SPDX-License-Identifier: GPL-2.0
"""
One failed allocation at a time: the nth from here on in a task, by fail-nth, and
what the kernel's log says of it.

Where there are two ways to get memory, kvrealloc() goes both, so that both have
to fail: then the one after the nth fails, too, as failslab fails for who is marked
by make-it-fail, so many times.
"""
import collections
import ctypes
import os
import re
import struct
import subprocess
import time

from . import allocs, calls, guest, pins

SYS_FINIT_MODULE = 313

DEBUGFS = "/sys/kernel/debug"
COMMON = {"verbose": "2", "verbose_ratelimit_interval_ms": "0"}
# In this order.
KNOBS = {
    "failslab": {**COMMON, "ignore-gfp-wait": "N", "cache-filter": "N",
                 "times": "0", "task-filter": "Y", "probability": "100"},
    # Not what a page fault of the program's own memory asks for.
    "fail_page_alloc": {**COMMON, "ignore-gfp-wait": "N",
                        "ignore-gfp-highmem": "Y", "min-order": "0"},
}
TIMES = DEBUGFS + "/failslab/times"
NEVER = 1 << 30     # more than anything allocates
SOURCE = "/opt/longterm/source"
FRAME = re.compile(r"^ (\? )?([\w.$]+)\+0x([0-9a-f]+)/0x[0-9a-f]+"
                   r"(?: \[(\w+)\])?")
REPORT = re.compile(r"WARNING:|\bBUG:|Oops|general protection fault|KASAN:|"
                    r"possible (circular|recursive) locking|"
                    r"inconsistent lock state|kernel panic", re.I)

Frame = collections.namedtuple("Frame", "symbol offset module")


def ours(frame):
    """Of the module, or of what the series adds."""
    return frame.module == "longterm" or \
        (not frame.module and frame.symbol.startswith("longterm_"))


def mark(task):
    """What says which allocations of a task fail."""
    return [os.open(f"/proc/{task}/{name}", os.O_RDWR | os.O_CLOEXEC)
            for name in ("fail-nth", "make-it-fail")]


def more(times):
    """So many behind the nth; not before, as the nth comes first."""
    guest.write(TIMES, times)


class Failing:
    """A part of Ops: calls in which an allocation fails."""
    nth = marked = None

    def failing(self, n, name, *args, twice=False):
        """
        Do it; the nth allocation fails, twice: the next one, too.  (how many
        there were up to there, the errno or 0, what it returned)
        """
        if self.nth is None:
            self.nth, self.marked = mark("thread-self")
        call, value, error = getattr(self, name), None, 0
        number = str(n).encode()
        if twice:
            # The nth is one of them.
            os.pwrite(self.nth, str(NEVER).encode(), 0)
            os.pwrite(self.marked, b"1", 0)
            more(2)
        os.pwrite(self.nth, number, 0)
        try:
            value = call(*args)
        except OSError as e:
            error = e.errno
        finally:
            left = int(os.pread(self.nth, 16, 0))
            os.pwrite(self.marked, b"0", 0)
            os.pwrite(self.nth, b"0", 0)
            if twice:
                more(0)
        return n - left, error, value

    def load(self, fd):
        """A module."""
        calls.check(calls.LIBC.syscall(
            ctypes.c_long(SYS_FINIT_MODULE), ctypes.c_long(fd), b"",
            ctypes.c_long(0)))

    def write_file(self, path, data):
        fd = os.open(path, os.O_WRONLY)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)

    def set_sysctl(self, name, value):
        guest.set_sysctl(name, value)

    def ring(self):
        """Of io_uring, without buffers."""
        params = ctypes.create_string_buffer(120)
        return calls.check(calls.LIBC.syscall(
            ctypes.c_long(calls.SYS_IO_URING_SETUP), ctypes.c_long(4), params))

    def ring_register(self, ring, addr, length):
        iov = struct.pack("QQ", addr, length)
        calls.check(calls.LIBC.syscall(
            ctypes.c_long(calls.SYS_IO_URING_REGISTER), ctypes.c_long(ring),
            ctypes.c_long(pins.Uring.REGISTER_BUFFERS), iov, ctypes.c_long(1)))

    def unpin_or_keep(self, number):
        """What can't be unpinned is still there."""
        self.pins[number].unpin()
        del self.pins[number]

    def unpin_and_unlock(self, number, fd):
        """Before a worker can look."""
        self.pins.pop(number).unpin()
        calls.setlease(fd, calls.F_UNLCK)

    def exit_failing(self, n):
        """Ends the process; it is the last that is heard of it."""
        fd = os.open("/proc/thread-self/fail-nth", os.O_RDWR)
        os.pwrite(fd, str(n).encode(), 0)
        os._exit(0)


class Knobs:
    """What is to fail, as debugfs has it; put back at the end."""

    def __init__(self):
        self.before = {}
        for which, settings in KNOBS.items():
            for name, value in settings.items():
                path = f"{DEBUGFS}/{which}/{name}"
                self.before[path] = guest.read(path).strip()
                guest.write(path, value)

    def restore(self):
        for path, value in reversed(self.before.items()):
            guest.write(path, value)


class Log:
    """The kernel's log from here on: the stacks of what has failed."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)
        self.stack = None

    def lines(self):
        while True:
            try:
                record = os.read(self.fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return
            except BrokenPipeError:
                raise AssertionError("the kernel's log has lost lines") from None
            yield from record.partition(";")[2].splitlines()

    def take(self):
        """
        Stacks, the innermost frame first, that have come since the last time.
        """
        found = []
        for line in self.lines():
            if REPORT.search(line):
                raise AssertionError(f"the kernel's log says: {line}")
            if "FAULT_INJECTION: forcing a failure" in line:
                self.stack = []
            elif "</TASK>" in line and self.stack is not None:
                found.append(self.stack)
                self.stack = None
            elif self.stack is not None:
                frame = FRAME.match(line)
                if frame and not frame.group(1):
                    self.stack.append(Frame(frame.group(2),
                                            int(frame.group(3), 16),
                                            frame.group(4)))
        return found


class Workers:
    """
    The kernel's own workers, any of which may be the next to work for us: from
    their nth allocation on they get no memory, until the end.
    """

    def __init__(self, n):
        self.marks = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if guest.read(f"/proc/{pid}/comm").startswith("kworker/u"):
                    self.marks.append(mark(pid))
            except OSError:
                pass    # it has gone
        self.set(n, 1)
        more(-1)

    def set(self, n, marked):
        for nth, mark_fd in self.marks:
            try:
                os.pwrite(nth, str(n).encode(), 0)
                os.pwrite(mark_fd, str(marked).encode(), 0)
            except ProcessLookupError:
                pass

    def end(self):
        more(0)
        self.set(0, 0)
        for fds in self.marks:
            for fd in fds:
                os.close(fd)


class Places:
    """From addresses in the module to lines of its sources."""

    def __init__(self):
        self.symbols = {}
        for line in guest.must("nm", "--format=sysv",
                               guest.MODULE).splitlines():
            parts = [part.strip() for part in line.split("|")]
            if len(parts) == 7 and parts[6].startswith((".text", ".init.text")):
                self.symbols[parts[0]] = (parts[6], int(parts[1], 16))

    def find(self, frames):
        """{frame: [(file, line)], what is inlined first}, of our files only."""
        by_section = collections.defaultdict(dict)
        for frame in frames:
            section, value = self.symbols.get(frame.symbol, ("", 0))
            if not section:
                continue
            # The call is before the address to which it returns.
            by_section[section][frame] = value + frame.offset - 1
        found = {}
        for section, wanted in by_section.items():
            text = subprocess.run(
                ["addr2line", "-a", "-i", "-j", section, "-e", guest.MODULE],
                input="\n".join(f"{at:#x}" for at in wanted.values()),
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                check=True).stdout
            lines = {}
            for line in text.splitlines():
                if line.startswith("0x"):
                    current = lines.setdefault(int(line, 16), [])
                    continue
                place = re.match(r"(?:.*/)?((?:src|rust)/\w+\.(?:rs|c)):(\d+)",
                                 line)
                if place and os.path.exists(f"{SOURCE}/{place.group(1)}"):
                    current.append((place.group(1), int(place.group(2))))
            for frame, at in wanted.items():
                found[frame] = lines[at]
        return found


class Sites:
    """What has failed, by the place in the sources."""

    def __init__(self):
        self.sources = allocs.of_module(SOURCE)
        self.series = {s.function: s for s in allocs.of_series(SOURCE)}
        self.seen = collections.defaultdict(collections.Counter)

    def add(self, stack, result):
        self.seen[tuple(frame for frame in stack if ours(frame))][result] += 1

    def site_of(self, stack, places):
        """The innermost one of ours, None if it is at no place that allocates."""
        if stack[0].symbol in self.series:
            return self.series[stack[0].symbol]
        for frame in stack:
            for file, line in places.get(frame, []):
                within = [s for s in self.sources
                          if s.file == file and s.lines[0] <= line <= s.lines[1]]
                if within:
                    return min(within, key=lambda s: s.lines[1] - s.lines[0])
        return None

    def by_site(self):
        """
        {(file, function, call): (how many of them, results)}, and what is at no
        known place.
        """
        frames = {f for stack in self.seen for f in stack
                  if f.module == "longterm"}
        places = Places().find(frames)
        lines = collections.defaultdict(set)
        results = collections.defaultdict(collections.Counter)
        strange = []
        for stack, counts in self.seen.items():
            site = self.site_of(stack, places)
            if site is None:
                strange.append([(f.symbol, hex(f.offset), places.get(f))
                                for f in stack])
                continue
            lines[site[:3]].add(site.lines)
            results[site[:3]] += counts
        return {name: (len(lines[name]), results[name]) for name in lines}, \
            strange


def leaks():
    """
    What kmemleak finds now.  Objects younger than five seconds don't count for
    it: they are waited for.
    """
    path = DEBUGFS + "/kmemleak"
    time.sleep(5.5)
    for _ in range(2):
        guest.write(path, "scan")
    return guest.read(path)
