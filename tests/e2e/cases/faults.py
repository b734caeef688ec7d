# SPDX-License-Identifier: GPL-2.0
"""
Each allocation of the module and of the series fails once: the call fails as it
may, or does without; nothing is left of it; and the same call works then.

A test for each part; the last one compares what has failed in all of them with the
list of what there is.
"""
import errno
import functools
import itertools
import os

from lib import allocs, calls, guest, machine, view
from lib.calls import BOTH, F_LONGTERM, F_SETOWN, F_UNLCK, PUNCH_HOLE
from lib.case import test
from lib.injection import NEVER, Knobs, Workers, leaks
from lib.scan import HELD, Run, Shifted

PAGE = 4096
SIZE = 4 * guest.MIB
HERE = os.path.dirname(os.path.abspath(__file__))
LIST = os.path.join(HERE, "..", "data", "allocations")
LONG_ONLY = "takes minutes: the long form only"
F_DUPFD, F_SETFL, O_ASYNC = 0, 4, 0o20000
TABLE = 64      # what there is room for in the first table of descriptors
FILTER = "/sys/module/kunit/parameters/filter_glob"
# What ends unheard of is quiet if nothing has failed that would be in the log,
# which says nothing of allocations whose failure is expected.
QUIET = 6
PARTS = []


def part(limit):
    """A test in which allocations fail."""
    def declare(function):
        @functools.wraps(function)
        def whole(t):
            if not guest.LONG:
                t.skip(LONG_ONLY)
            run, knobs = Run(t), Knobs()
            try:
                function(run)
            finally:
                knobs.restore()
            t.end_all()
            t.eq(run.counters(), dict.fromkeys(HELD, 0), "held in the end")
            print(f"# {run.injected} allocations have failed", flush=True)
            run.keep()
        PARTS.append(test(limit=limit, kernels=("debug",))(whole))
        return whole
    return declare


def nothing(*_):
    pass


def loaded():
    return [path for path in ("/proc/fs/longterm", "/dev/longterm",
                              "/proc/sys/fs/longterm", "/sys/module/longterm")
            if os.path.exists(path)]


@part(limit=480)
def loading(run):
    """Of all that loading a module takes, what our own start does."""
    t, small = run.t, "/dev/shm/longterm.ko"
    guest.must("rmmod", "longterm")
    guest.must("strip", "-g", "-o", small, guest.MODULE)
    suites = guest.read(FILTER).strip()
    guest.write(FILTER, "none")
    p = t.proc()
    fd = p.open(small, os.O_RDONLY)
    places = set()

    def load(n):
        """How many allocations there were, and the stack of what has failed."""
        used, error, _ = p.failing(n, "load", fd)
        stacks = run.note(error)[0]
        if not error:
            guest.must("rmmod", "longterm")
        else:
            t.eq(error, errno.ENOMEM, f"loading, allocation {n}")
        t.eq(loaded(), [], f"loading, allocation {n}: is there")
        return used, stacks[0] if stacks else []

    def each_of(total):
        """
        Backwards: before our start come allocations of the kernel's, some of
        which it does not do without silently.  How many were ours.
        """
        shifted = Shifted()
        for n in range(total + 5, 0, -1):
            stack = load(n)[1]
            while n <= total and shifted(stack):
                stack = load(n)[1]
            if stack and all(f.symbol != "do_init_module" for f in stack):
                return total - n
            if stack:
                places.add(tuple(stack))
        return total

    try:
        total, known, passes = load(NEVER)[0], -1, 0
        # What a shift hides from one pass another one finds.
        while len(places) > known and passes < 6:
            known, passes = len(places), passes + 1
            behind = each_of(total)
            print(f"# loading: of the last {behind} of {total} {len(places)} have "
                  f"failed, after pass {passes}", flush=True)
        t.true(places, "nothing of our start has failed")
    finally:
        p.kill()
        guest.write(FILTER, suites if suites != "(null)" else "*")
        if loaded():
            guest.must("rmmod", "longterm")
        machine.insmod()


@part(limit=120)
def leases(run):
    path = run.t.file()
    p = run.t.proc()

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


@part(limit=120)
def pins_and_leases(run):
    """What is asked of a lease with pins, and F_UNLCK."""
    p = run.t.proc()
    fd = p.open(run.t.file())
    p.lease(fd)
    addr = p.mmap(fd, SIZE)
    p.poke(addr, bytes(PAGE))
    p.poke(addr + SIZE // 2, bytes(PAGE))
    pin = p.pin(addr, PAGE, "gup")
    for where in (f"/proc/{view.HOLDERS}", f"/proc/{view.STAT}", "/proc/locks",
                  f"/proc/self/fdinfo/{fd}"):
        run.scan(f"read of {where}", p, "read", lambda where=where: (where,),
                 nothing)
    run.scan("info about it", p, "fd_info", lambda: (None, fd), nothing)

    # What could not be counted may have gone; what was counted is there.
    run.t.true(run.scan("F_UNLCK with a pin", p, "lease", lambda: (fd, F_UNLCK),
                        nothing, clean=errno.EBUSY, must=errno.ENOMEM),
               "F_UNLCK: nothing of ours")
    # In no entry with the other one: counted by itself, or known by its tag.
    region = p.pin(addr + SIZE // 2, PAGE, "mr")
    run.t.true(run.scan("F_UNLCK with two pins", p, "lease",
                        lambda: (fd, F_UNLCK), nothing, clean=errno.EBUSY,
                        must=errno.EBUSY),
               "F_UNLCK with two pins: nothing of ours")
    p.unpin(region)
    p.unpin(pin)
    p.lease(fd, F_UNLCK)

    def pinned():
        p.lease(fd)
        return p.pin(addr, PAGE, "gup"), fd

    def unlock(args, *_):
        if p.getlease(args[1]) != F_UNLCK:
            p.lease(args[1], F_UNLCK)
    # A worker may be faster, and leave nothing to be counted.
    run.t.true(any(run.scan("unpin and F_UNLCK", p, "unpin_and_unlck", pinned,
                            unlock, must=errno.ENOMEM) for _ in range(5)),
               "the worker was always faster")
    p.munmap(addr, SIZE)
    p.close(fd)


@part(limit=120)
def lease_fds(run):
    p = run.t.proc()
    fd = p.open(run.t.file())
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
    table_is_full(run)


def table_is_full(run):
    """The number for the lease fd makes the table of descriptors grow, once."""
    t, base, errors = run.t, run.counters(), []
    for n in range(1, 5):
        p = t.proc()
        p.dev()
        fd = p.open(t.last_path())
        # It has then what it needs itself.
        p.failing(NEVER, "getlease", fd)
        while p.fcntl(fd, F_DUPFD, 0) < TABLE - 1:
            pass
        error = p.failing(n, "fd_lease", fd)[1]
        run.note(error)
        t.true(error in (0, errno.ENOMEM, errno.EMFILE),
               f"a table that is full, allocation {n}: {errno.errorcode.get(error)}")
        errors.append(error)
        p.kill()
        run.back_to(base, f"a table that is full, allocation {n}")
    t.true(any(errors), "the table did not grow")


@part(limit=240)
def pins(run):
    p = run.t.proc()
    fd, fd2 = p.open(run.t.file()), p.open(run.t.file())
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


@part(limit=240)
def breaks(run):
    """By a holder that lets go."""
    t = run.t
    path = t.file()
    p = t.proc()
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

    # A lease fd with a signal.
    guest.make_file(path, SIZE)
    h = t.proc()
    file = h.open(path)
    h.addr = h.mmap(file, SIZE)
    lease = h.fd_lease(file)
    h.fcntl(lease, F_SETOWN, h.pid)
    h.fcntl(lease, F_SETFL, O_ASYNC)
    h.react()

    def held_by_fd():
        h.take_events()
        h.fd_events(lease)
        h.pin(h.addr, PAGE)
        return (fd,)
    run.scan("BREAK of a lease fd", p, "fd_break", held_by_fd, let_go)
    h.kill()
    p.close(fd)


@part(limit=240)
def breaks_to_their_end(run):
    """By nobody: SIGBUS, and ETXTBSY or EDEADLK."""
    t = run.t
    guest.write(guest.BREAK_TIME, 0)
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    h = holder(t, path)

    def held_on():
        # A signal that waits is not sent anew.
        while h.sig(0) or h.sigbus(0):
            pass
        h.lease(h.fd)
        h.pin(h.addr, PAGE)
        return (fd,)
    run.scan("BREAK to its end", p, "fd_break", held_on,
             lambda *_: h.unpin_all(), clean=errno.ETXTBSY)

    # Whoever comes first when the time is up does what is due: now a worker without
    # memory.  What is not certain then is not done, and the break ends all the same.
    base = run.counters()
    for n in range(1, 16):
        held_on()
        armed = Workers(n)
        try:
            error = p.errno("fd_break", fd)
        finally:
            armed.end()
        run.note(error)
        t.eq(error, errno.ETXTBSY, f"BREAK, the worker's allocation {n}")
        h.unpin_all()
        run.back_to(base, f"BREAK, the worker's allocation {n}")
    h.kill()

    p.block_sigbus()
    addr = p.mmap(fd, SIZE)
    p.poke(addr, bytes(PAGE))

    def in_ones_own_way():
        p.pin(addr, PAGE, "gup")
        return (fd,)
    # Without memory nothing is certain: it may be another one's pin.
    run.scan("BREAK of one's own", p, "fd_break", in_ones_own_way,
             lambda *_: p.unpin_all(), allowed={errno.ETXTBSY},
             clean=errno.EDEADLK)
    p.munmap(addr, SIZE)
    p.close(fd)


@part(limit=120)
def workers(run):
    """
    Records whose pins have gone are looked for by a worker.  While it has no memory
    it tries again and again, and nobody need remind it.
    """
    t = run.t
    p = t.proc()
    fd = p.open(t.file())
    addr = p.mmap(fd, SIZE)
    p.poke(addr, bytes(PAGE))
    base, dry, failed = run.counters(), 0, []

    def tried():
        failed.extend(run.note(errno.ENOMEM)[1])
        # Twice for each time, see scan.asked_twice().
        return len(failed) >= 6 or run.counters(view.stat) == base
    for n in range(1, 7):
        failed.clear()
        pin = p.pin(addr, PAGE, "gup")
        armed = Workers(n)
        try:
            p.unpin(pin)
            guest.wait_for(tried, f"the worker tries again, allocation {n}")
        finally:
            armed.end()
        run.back_to(base, f"the worker has memory again, allocation {n}",
                    view.stat)
        dry += bool(failed)
        run.note(errno.ENOMEM)
    print(f"# workers: {dry} times without memory", flush=True)
    t.true(dry, "no worker's allocation has failed")
    p.munmap(addr, SIZE)
    p.close(fd)


@part(limit=120)
def exits(run):
    """With a lease and a pin.  There is nothing that could tell how it ended."""
    path = run.t.file()
    base, quiet = run.counters(), 0
    for n in itertools.count(1):
        e = run.t.holder(path, PAGE, kind="gup")
        e.go.exit_failing(n)
        e.wait(60 * guest.SLOW)
        run.back_to(base, f"exit, allocation {n}")
        quiet = 0 if run.note(0)[0] else quiet + 1
        if quiet == QUIET:
            break
    print(f"# exit: {n - quiet} allocations", flush=True)


@part(limit=60)
def others(run):
    """What passes us by: settings, and an event that is switched on."""
    p = run.t.proc()
    run.scan("sysctl", p, "set_sysctl",
             lambda: ("max_leases", guest.sysctl("max_leases")), nothing)
    enable = f"{guest.INSTANCE}/events/longterm/pin/enable"

    def off():
        p.write_file(enable, b"0")
        return enable, b"1"
    run.scan("an event is switched on", p, "write_file", off, nothing)
    p.write_file(enable, b"1")


@test(limit=60, kernels=("debug",))
def each_place(t):
    """Each place on the list has failed, and none that is not there."""
    if not guest.LONG:
        t.skip(LONG_ONLY)
    run = Run(t)
    for function in PARTS:
        run.add(function.case["name"])
    names, excused = allocs.listed(LIST)
    seen, strange = run.sites.by_site()
    for name in sorted(seen):
        lines, results = seen[name]
        print("#   {:4d} x {} {} {}, {} of {}: {}".format(
            results.total(), *name, lines, names.count(name),
            ", ".join(f"{n} {what}" for what, n in results.most_common())),
            flush=True)
    print(f"# {run.injected} allocations have failed, of ours at {len(seen)} "
          f"places; {len(excused)} can't", flush=True)
    t.eq(strange[:3], [], "allocations that are not on the list")
    t.eq(sorted(set(seen) - set(names)), [], "not on the list")
    missing = [name for name in sorted(set(names) - set(excused))
               if seen.get(name, (0,))[0] < names.count(name)]
    t.eq(missing, [], "never failed")
    t.eq(sorted(set(seen) & set(excused)), [], "excused, but they do fail")
    t.eq(leaks(), "", "kmemleak")
