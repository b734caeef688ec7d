# SPDX-License-Identifier: GPL-2.0
"""
Each allocation of the module and of the series fails once: the call fails as it
may, or does without; nothing is left of it; and the same call works then.
"""
import errno
import itertools
import os

from lib import allocs, calls, guest, machine, view
from lib.calls import BOTH, F_LONGTERM, F_UNLCK, PUNCH_HOLE
from lib.case import name_of, test
from lib.injection import DEBUGFS, Knobs, Log, Sites, Workers, leaks, ours

PAGE = 4096
SIZE = 4 * guest.MIB
HERE = os.path.dirname(os.path.abspath(__file__))
LIST = os.path.join(HERE, "..", "data", "allocations")
NEVER = 1 << 30     # more than any call allocates
HELD = ("leases", "records", "inodes", "breaks", "pinned_bytes")
F_SETFL, O_ASYNC = 4, 0o20000
FILTER = "/sys/module/kunit/parameters/filter_glob"


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
        """What the log says of the last call; was there anything of ours?"""
        stacks = self.log.take()
        self.injected += len(stacks)
        mine = [s for s in stacks if any(map(ours, s))]
        for stack in mine:
            self.sites.add(stack, name_of(error))
        return stacks, mine

    def scan(self, what, p, name, before, after, allowed=(), clean=0,
             ours_only=False):
        """
        p does it, with the first allocation failing, the second, and so on until
        there is none left.  before(): what p is told; after(arguments, value,
        error) puts back what was, however it ended.  ours_only: up to the first
        one that is none of ours, which is a filesystem's.
        """
        base = self.counters()
        found, want = 0, {clean, errno.ENOMEM, *allowed}

        def once(n):
            args = before()
            used, error, value = p.failing(n, name, *args)
            noted = self.note(error)
            where = f"{what}, allocation {n if n != NEVER else 'as ever'}"
            stack = [f.symbol for f in noted[0][0]] if noted[0] else "?"
            self.t.true(error in want, f"{where}: {name_of(error)}; {stack}")
            after(args, value, error)
            self.back_to(base, where)
            return used, error, noted

        once(NEVER)
        for n in itertools.count(1):
            used, error, (stacks, mine) = once(n)
            if used < n:
                self.t.eq(error, clean, f"{what} without a failure")
                break
            found += len(mine)
            if stacks and error != clean:
                again = once(NEVER)
                self.t.eq(again[1], clean, f"{what} after allocation {n}")
            if ours_only and stacks and not mine:
                break
        print(f"# {what}: {n - 1} allocations, {found} of ours", flush=True)
        return found


def nothing(*_):
    pass


def of_leases(run, p, path):
    def fresh(kind=None):
        fd = p.open(path)
        if kind is not None:
            p.lease(fd, kind)
        return fd
    close = {"after": lambda args, value, error: p.close(args[0])}
    run.scan("F_LONGTERM", p, "lease", lambda: (fresh(),), **close)
    run.scan("F_UNBREAKABLE", p, "lease", lambda: (fresh(), BOTH), **close)
    run.scan("another kind", p, "lease", lambda: (fresh(F_LONGTERM), BOTH),
             **close)
    run.scan("F_UNLCK", p, "lease", lambda: (fresh(F_LONGTERM), F_UNLCK),
             **close)
    run.scan("close", p, "close", lambda: (fresh(F_LONGTERM),), nothing)

    fd = fresh(F_LONGTERM)
    addr = p.mmap(fd, SIZE)
    p.poke(addr, bytes(PAGE))
    pin = p.pin(addr, PAGE, "gup")
    run.scan("F_UNLCK with a pin", p, "lease", lambda: (fd, F_UNLCK), nothing,
             clean=errno.EBUSY)
    for where in (f"/proc/{view.HOLDERS}", f"/proc/{view.STAT}", "/proc/locks",
                  f"/proc/self/fdinfo/{fd}"):
        run.scan(f"read of {where}", p, "read", lambda: (where,), nothing)
    run.scan("info about it", p, "fd_info", lambda: (None, fd), nothing)
    p.unpin(pin)

    def unlock(args, *_):
        if p.getlease(args[1]) != F_UNLCK:
            p.lease(args[1], F_UNLCK)

    def pinned():
        p.lease(fd)
        return p.pin(addr, PAGE, "gup"), fd
    unlock((pin, fd))
    run.t.true(run.scan("unpin and F_UNLCK", p, "unpin_and_unlock", pinned,
                        unlock), "the worker was always faster")
    p.munmap(addr, SIZE)
    p.close(fd)


def of_lease_fds(run, p, path):
    fd = p.open(path)
    run.scan("open of the device", p, "open", lambda: ("/dev/longterm",),
             lambda args, value, error: value and p.close(value))
    p.dev()
    run.scan("LEASE", p, "fd_lease", lambda: (fd,),
             lambda args, value, error: value and p.close(value))

    def close(args, *_):
        p.close(args[0])
    run.scan("INFO", p, "fd_info", lambda: (p.fd_lease(fd),), close)
    run.scan("O_ASYNC", p, "fcntl",
             lambda: (p.fd_lease(fd), F_SETFL, O_ASYNC), close)

    q = run.t.proc()

    def passed():
        p.passed = p.fd_lease(fd)
        return (q.take_fd(p.pid, p.passed),)

    def both(args, *_):
        q.close(args[0])
        p.close(p.passed)
    run.scan("ADOPT", q, "fd_adopt", passed, both)
    q.kill()
    p.close(fd)


def of_pins(run, p, path, other):
    fd, fd2 = p.open(path), p.open(other)
    addr = p.mmap_over([(fd, 0, SIZE), (fd2, 0, SIZE)])
    for at in range(addr, addr + 2 * SIZE, PAGE):
        p.poke(at, b"x")    # no fault, and so no filesystem, in what follows
    p.preopen_gup()

    def unpin(args, value, error):
        if value:
            p.unpin(value)
    for kind, length in (("gup", PAGE), ("gup_fast", PAGE), ("mr", PAGE),
                         ("mr", SIZE), ("mr", 2 * SIZE)):
        p.unpin(p.pin(addr, length, kind))
        run.scan(f"{kind} of {length} bytes", p, "pin",
                 lambda: (addr, length, kind), unpin,
                 allowed={errno.EFAULT})
    run.scan("ibv_dereg_mr", p, "unpin_or_keep",
             lambda: (p.pin(addr, PAGE, "mr"),),
             lambda args, *_: p.unpin_all())
    run.scan("io_uring", p, "ring_register", lambda: (p.ring(), addr, SIZE),
             lambda args, *_: p.close(args[0]), allowed={errno.EFAULT})

    p.lease(fd)
    run.scan("mr under a lease", p, "pin", lambda: (addr, SIZE, "mr"), unpin,
             allowed={errno.EFAULT})
    p.lease(fd, F_UNLCK)
    p.munmap(addr, 2 * SIZE)
    p.close(fd)
    p.close(fd2)


def holder(t, path):
    """One with a lease, that survives SIGBUS."""
    h = t.proc()
    h.block_sigbus()
    h.fd = h.open(path)
    h.lease(h.fd)
    h.addr = h.mmap(h.fd, SIZE)
    return h


def of_breaks(run, p, path):
    t = run.t
    fd = p.open(path)
    run.scan("BREAK of nothing", p, "fd_break", lambda: (fd,), nothing)
    h = holder(t, path)
    h.react()

    def held(*args):
        def pin():
            guest.make_file(path, SIZE)
            h.take_events()
            h.pin(h.addr, PAGE)
            return args
        return pin

    def let_go(*_):
        h.unpin_all()
    run.scan("BREAK", p, "fd_break", held(fd), let_go)
    for what, name, args in (
            ("ftruncate", "ftruncate", (fd, 0)),
            ("punch", "fallocate", (fd, PUNCH_HOLE, 0, SIZE)),
            ("zero", "fallocate", (fd, calls.ZERO, 0, SIZE))):
        t.true(run.scan(what, p, name, held(*args), let_go, ours_only=True),
               f"{what}: nothing of ours")
    h.kill()

    guest.write(guest.BREAK_TIME, 0)
    guest.make_file(path, SIZE)
    h = holder(t, path)

    def held_on():
        h.lease(h.fd)
        h.pin(h.addr, PAGE)
        return (fd,)
    run.scan("BREAK to its end", p, "fd_break", held_on, let_go,
             clean=errno.ETXTBSY)
    h.kill()

    p.block_sigbus()
    addr = p.mmap(fd, SIZE)
    p.poke(addr, bytes(PAGE))

    def in_ones_own_way():
        p.pin(addr, PAGE, "gup")
        return (fd,)
    run.scan("BREAK of one's own", p, "fd_break", in_ones_own_way,
             lambda *_: p.unpin_all(), allowed={errno.ETXTBSY},
             clean=errno.EDEADLK)
    p.munmap(addr, SIZE)
    p.close(fd)


def of_others(run, p):
    """What passes us by: settings, tracing, the end of a process."""
    run.scan("sysctl", p, "set_sysctl",
             lambda: ("max_leases", guest.sysctl("max_leases")), nothing)
    enable = f"{guest.INSTANCE}/events/longterm/pin/enable"

    def off():
        p.write_file(enable, b"0")
        return enable, b"1"
    run.scan("an event is switched on", p, "write_file", off, nothing)
    p.write_file(enable, b"1")


def of_exits(run, path):
    """With a lease and a pin.  There is nothing that could tell how it ended."""
    base, quiet = run.counters(), 0
    for n in itertools.count(1):
        e = run.t.holder(path, PAGE, kind="gup")
        e.go.exit_failing(n)
        e.wait(60 * guest.SLOW)
        run.back_to(base, f"exit, allocation {n}")
        quiet = 0 if run.note(0)[0] else quiet + 1
        if quiet == 3:
            break
    print(f"# exit: {n - quiet} allocations", flush=True)


def of_workers(run, p, path):
    """
    Records whose pins have gone are looked for by a worker.  If it has no memory
    it tries again, and nobody need remind it.
    """
    fd = p.open(path)
    addr = p.mmap(fd, SIZE)
    p.poke(addr, bytes(PAGE))
    base, quiet = run.counters(), 0
    for n in itertools.count(1):
        pin = p.pin(addr, PAGE, "gup")
        workers = Workers()
        workers.arm(n)
        p.unpin(pin)
        try:
            guest.wait_for(lambda: run.counters(view.stat) == base, "", 1)
        except AssertionError:
            pass
        workers.end()
        run.back_to(base, f"a worker's allocation {n}", view.stat)
        quiet = 0 if run.note(0)[1] else quiet + 1
        if quiet == 3:
            break
    run.t.true(n > 3, "no worker's allocation has failed")
    print(f"# workers: {n - quiet} allocations", flush=True)
    p.munmap(addr, SIZE)
    p.close(fd)


def loaded():
    return [path for path in ("/proc/fs/longterm", "/dev/longterm",
                              "/proc/sys/fs/longterm", "/sys/module/longterm")
            if os.path.exists(path)]


def of_loading(run):
    """Of all that loading a module takes, what our own start does."""
    t, small = run.t, "/dev/shm/longterm.ko"
    guest.must("rmmod", "longterm")
    guest.must("strip", "-g", "-o", small, guest.MODULE)
    suites = guest.read(FILTER).strip()
    guest.write(FILTER, "none")
    p = t.proc()
    fd = p.open(small, os.O_RDONLY)

    def load(n):
        """How many allocations there were, and the stack of what has failed."""
        used, error, _ = p.failing(n, "load", fd)
        stacks, _ = run.note(error)
        if not error:
            guest.must("rmmod", "longterm")
        else:
            t.eq(error, errno.ENOMEM, f"loading, allocation {n}")
        t.eq(loaded(), [], f"loading, allocation {n}: is there")
        return used, [f.symbol for f in stacks[0]] if stacks else None

    def in_init(n):
        """Is it in our start, or behind it?  What is behind n, if n is silent."""
        while n <= total:
            stack = load(n)[1]
            if stack:
                return "do_init_module" in stack, n
            n += 1
        return True, n
    try:
        total = load(NEVER)[0]
        low, high = 1, total + 1
        while low < high:
            middle = (low + high) // 2
            inside, at = in_init(middle)
            if inside:
                high = middle
            else:
                low = at + 1
        done = 0
        for n in range(low, total + 1):
            stack = load(n)[1]
            if stack and "do_init_module" not in stack:
                break
            done += bool(stack)
        t.true(done, "nothing of our start has failed")
        print(f"# loading: {done} of {total} allocations, from {low} on",
              flush=True)
    finally:
        p.kill()
        guest.write(FILTER, suites if suites != "(null)" else "*")
        guest.must("insmod", guest.MODULE, timeout=300)
        guest.trace_start()
        machine.start()


def compare(t, sites):
    """Each place on the list has failed, and none that is not there."""
    names, excused = allocs.listed(LIST)
    seen, strange = sites.by_site()
    for name in sorted(seen):
        lines, results = seen[name]
        print("#   {:4d} x {} {} {}: {}".format(
            results.total(), *name,
            ", ".join(f"{n} {what}" for what, n in results.most_common())),
            flush=True)
    t.eq(strange[:3], [], "allocations that are not on the list")
    t.eq(sorted(set(seen) - set(names)), [], "not on the list")
    missing = [name for name in sorted(set(names) - set(excused))
               if seen.get(name, (0,))[0] < names.count(name)]
    t.eq(missing, [], "never failed")
    t.eq(sorted(set(seen) & set(excused)), [], "excused, but they do fail")
    print(f"# {len(seen)} places, {len(excused)} excused", flush=True)


@test(limit=900, kernels=("debug",))
def each_allocation(t):
    if not guest.LONG:
        t.skip("has not been seen to end yet: the long form only")
    guest.write(DEBUGFS + "/kmemleak", "clear")
    knobs = Knobs()
    try:
        run = Run(t)
        of_loading(run)
        path, other = t.file(), t.file()
        p = t.proc()
        of_leases(run, p, path)
        of_lease_fds(run, p, path)
        of_pins(run, p, path, other)
        of_breaks(run, p, path)
        of_workers(run, p, path)
        of_exits(run, path)
        of_others(run, p)
        t.end_all()
    finally:
        knobs.restore()
    print(f"# {run.injected} allocations have failed; of ours:", flush=True)
    compare(t, run.sites)
    t.eq(run.counters(), dict.fromkeys(HELD, 0), "held in the end")
    t.eq(leaks(), "", "kmemleak")
