# SPDX-License-Identifier: GPL-2.0
"""Which records are closed when pins go, and what it costs with very many."""
import errno
import os
import time

from lib import guest
from lib.calls import F_UNLCK
from lib.case import test
from lib.pins import Gup

HUGE = 2 * guest.MIB
PAGE = 4096
ALICE = 1001


def huge_file(t, entries):
    """A file that is mapped by 2 MiB entries."""
    path = t.path()
    with open(path, "wb") as f:
        f.write(bytes(entries * HUGE))
    return path


def map_huge(p, path, entries, lease=True):
    fd = p.open(path)
    if lease:
        p.lease(fd)
    addr = p.mmap_aligned(fd, entries * HUGE)
    for i in range(entries):
        p.poke(addr + i * HUGE, b"x")
    return fd, addr


def open_records(path):
    """How many records were made and not closed, as the events tell."""
    ino = guest.inode_of(path)
    made = len(guest.trace_events("pin", ino=ino, result=0))
    return made - len(guest.trace_events("unpin", ino=ino))


# ---- the right one

@test
def two_leases_on_one_folio(t):
    """The smaller region comes first on the folio; either may go first."""
    for gone in (0, 1):
        path = huge_file(t, 1)
        p = t.proc()
        maps = [map_huge(p, path, 1) for _ in range(2)]
        fds = [fd for fd, _ in maps]
        pins = [p.pin(maps[0][1], PAGE), p.pin(maps[1][1] + PAGE, HUGE - PAGE)]
        p.unpin(pins[gone])
        t.errno(errno.EBUSY, p.go.lease(fds[1 - gone], F_UNLCK), "F_UNLCK, pinned")
        p.lease(fds[gone], F_UNLCK)
        p.unpin(pins[1 - gone])
        p.lease(fds[1 - gone], F_UNLCK)


@test
def a_region_that_reaches_into_the_next_folio(t):
    """It shares that one with a region of another lease, which goes."""
    path = huge_file(t, 2)
    p = t.proc()
    fd1, addr1 = map_huge(p, path, 2)
    fd2, addr2 = map_huge(p, path, 2)
    across = p.pin(addr1 + HUGE - PAGE, 2 * PAGE)
    second = p.pin(addr2 + HUGE, HUGE)
    p.unpin(second)
    p.lease(fd2, F_UNLCK)
    t.errno(errno.EBUSY, p.go.lease(fd1, F_UNLCK), "F_UNLCK, pinned")
    # Whoever wants the first folio finds who is to be told.
    cut = t.proc().go.truncate(path, 0)
    t.true(p.sig(), "no notice")
    t.blocked(cut, "truncate")
    p.unpin(across)
    t.errno(0, cut, "truncate")


@test
def one_of_two_processes(t):
    """On the same folio; who unpinned is free, who did not is not."""
    path = huge_file(t, 1)
    p, q = t.proc(), t.proc()
    fd_p, addr_p = map_huge(p, path, 1)
    fd_q, addr_q = map_huge(q, path, 1)
    p.pin(addr_p, HUGE, "test")
    q.pin(addr_q, HUGE, "test")
    p.unpin_all()
    p.lease(fd_p, F_UNLCK)
    t.errno(errno.EBUSY, q.go.lease(fd_q, F_UNLCK), "F_UNLCK, pinned")
    q.unpin_all()
    q.lease(fd_q, F_UNLCK)


@test
def unpinned_by_a_third(t):
    """
    A process closes a uverbs fd that it was passed.  Who has unpinned something
    else of the file meanwhile is not taken for the one whose pins went.
    """
    path = huge_file(t, 2)
    p, owner, third = t.proc(), t.proc(), t.proc()
    lease, addr = map_huge(p, path, 2)
    # Which of two alike, under different leases, went: that stays in doubt.
    others = [map_huge(p, path, 2)[1] for _ in range(2)]
    p.pin(addr, HUGE)
    p.unpin([p.pin(other + HUGE, PAGE) for other in others][0])
    owner.pin(map_huge(owner, path, 2, lease=False)[1], HUGE)
    for fd in owner.find_fd("uverbs"):
        passed = third.take_fd(owner.pid, fd)
        owner.close(fd)
        third.close(passed)
    t.errno(errno.EBUSY, p.go.lease(lease, F_UNLCK), "F_UNLCK, pinned")
    p.unpin(1)
    p.lease(lease, F_UNLCK)


@test
def unlck_right_after_an_unpin(t):
    """No spurious EBUSY for pins without a tag either, however soon it is."""
    path = huge_file(t, 1)
    p = t.proc()
    fd, addr = map_huge(p, path, 1)
    for _ in range(100):
        p.unpin_and_unlck(p.pin(addr, PAGE, "gup"), fd)
        p.lease(fd)


@test
def pin_right_after_an_unpin(t):
    """At the limit on records what was unpinned does not count, however soon it is."""
    guest.set_sysctl("max_records", 1)
    path = huge_file(t, 1)
    os.chown(path, ALICE, ALICE)
    p = t.proc()
    p.preopen_gup()
    fd = p.open(path)
    p.drop_to(ALICE)
    p.lease(fd)
    addr = p.mmap(fd, HUGE)
    number = p.pin(addr, PAGE, "gup")
    for i in range(1, 101):
        # Not behind the one before, which would go on in the same record.
        number = p.unpin_and_pin(number, addr + i % 50 * 2 * PAGE, PAGE, "gup")
    p.unpin(number)


@test(break_time=0)
def nobody_is_stopped_in_doubt(t):
    """Of two that pinned a page one has been unpinned, by somebody else."""
    path = huge_file(t, 1)
    pair, third = [t.proc(), t.proc()], t.proc()
    for p in pair:
        p.block_sigbus()
        p.pin(map_huge(p, path, 1)[1], PAGE, "gup")
    device, = pair[0].find_fd("gup_test")
    third.ioctl(third.take_fd(pair[0].pid, device), Gup.STOP)
    cut = t.proc().go.truncate(path, 0)
    t.errno(errno.ETXTBSY, cut, "truncate")
    t.eq([p.sigbus(0) for p in pair], [None, None], "SIGBUS")
    t.true(all(p.sig(0) for p in pair), "no notice")
    pair[1].unpin_all()
    t.errno(0, t.proc().go.truncate(path, 0), "truncate of what is free")


@test
def records_do_not_pile_up(t):
    """
    A long-lived region and ever new ones on its folio: each that goes takes a
    record along, with a tag and without.
    """
    for kind in ("mr", "test"):
        path = huge_file(t, 1)
        p = t.proc()
        _, addr = map_huge(p, path, 1)
        p.pin(addr, HUGE, kind)
        for i in range(30):
            # Gaps, so that none continues another: it would be one record.
            first = p.pin(addr + PAGE * 4 * i, PAGE * (i % 3 + 1), kind)
            second = p.pin(addr + PAGE * (4 * i + 150), PAGE * (i % 2 + 1), kind)
            p.unpin(first)
            p.unpin(second)
        guest.wait_for(lambda: open_records(path) == 1, "one record is left")


# ---- very many

FEW, MANY = 512, 8192


def costs(t, count):
    """
    Seconds that three calls take where `count` records lie on one folio: one
    that finds pins left, a breaker that begins, one that closes them all.
    """
    path = huge_file(t, 1)
    p = t.proc()
    fd, addr = map_huge(p, path, 1)
    rest = p.pin(addr, count, "uring_pages")
    one = p.pin(addr, 1, "uring_pages")
    b = t.proc()
    bfd = b.open(path, os.O_RDWR | os.O_NONBLOCK)
    p.unpin(one)
    busy = p.go.lease(fd, F_UNLCK)
    t.errno(errno.EBUSY, busy, "F_UNLCK with records left")
    # The last page is not pinned itself: the folio is, as it is a large one.
    begins = b.go.ftruncate(bfd, HUGE - PAGE)
    t.errno(errno.EAGAIN, begins, "truncate that does not wait")
    p.unpin(rest)
    start = time.monotonic()
    p.lease(fd, F_UNLCK)
    closes = time.monotonic() - start
    t.errno(0, b.go.ftruncate(bfd, 0), "truncate of what is free")
    p.kill()
    return {"F_UNLCK": busy.took, "truncate": begins.took, "close": closes}


@test(limit=60)
def cost_grows_with_the_number(t):
    """Not with its square. Below ten milliseconds anything may be noise."""
    few = costs(t, FEW)
    many = costs(t, MANY)
    for what in few:
        print(f"# {what}: {few[what] * 1000:.1f} ms with {FEW} records, "
              f"{many[what] * 1000:.1f} ms with {MANY}", flush=True)
        bound = 4 * MANY / FEW * max(few[what], 0.01 * guest.SLOW)
        t.true(many[what] < bound, f"{what}: {many[what]:.3f} s with {MANY} "
               f"records, {few[what]:.3f} s with {FEW}")
