# SPDX-License-Identifier: GPL-2.0
"""
Memory regions and registered buffers say themselves when their pins go: their
records are exact, whatever else is pinned on the same folios.
"""
import errno
import os

from lib import calls, guest, view
from lib.calls import F_UNLCK
from lib.case import test

HUGE = 2 * guest.MIB
PAGE = 4096
SIZES = (PAGE, HUGE)


def huge_file(t, entries=1):
    """A file that is mapped by 2 MiB entries."""
    path = t.path()
    with open(path, "wb") as f:
        f.write(bytes(entries * HUGE))
    return path


def leased_map(p, path, entries=1):
    """An open file of its own with a lease, mapped: descriptor, address."""
    fd = p.open(path)
    p.lease(fd)
    addr = p.mmap_aligned(fd, entries * HUGE)
    for i in range(entries):
        p.poke(addr + i * HUGE, b"x")
    return fd, addr


def nothing_left(t, *paths):
    """
    At once no record keeps a lease or makes somebody wait; soon none keeps
    the module.
    """
    for path in paths:
        t.errno(0, t.proc().go.truncate(path, 0), "truncate")
    t.end_all()
    guest.wait_for(lambda: guest.module_users() == 0, "no record is left")


def two_of_a_process(t, kinds, size):
    """
    The same range pinned twice under two leases of one process.  Each time one
    of the two goes, its lease is free at once and the other is not.
    """
    path = huge_file(t)
    for gone in (0, 1):
        p = t.proc()
        maps = [leased_map(p, path) for _ in kinds]
        held = [p.pin(addr, size, kind)
                for (_, addr), kind in zip(maps, kinds)]
        p.unpin(held[gone])
        t.errno(errno.EBUSY, p.go.lease(maps[1 - gone][0], F_UNLCK),
                f"F_UNLCK of {kinds[1 - gone]}, {size} bytes pinned")
        t.errno(0, p.go.lease(maps[gone][0], F_UNLCK),
                f"F_UNLCK of {kinds[gone]}, {size} bytes unpinned")
        p.unpin(held[1 - gone])
        t.errno(0, p.go.lease(maps[1 - gone][0], F_UNLCK), "F_UNLCK, last")
        p.kill()
    nothing_left(t, path)


@test
def two_regions_alike(t):
    for size in SIZES:
        two_of_a_process(t, ("mr", "mr"), size)


@test
def two_buffers_alike(t):
    """io_uring leaves one pin for each large folio."""
    for size in SIZES:
        two_of_a_process(t, ("uring", "uring"), size)


@test
def region_and_buffer(t):
    for size in SIZES:
        two_of_a_process(t, ("mr", "uring"), size)


@test
def beside_a_pin_without_a_tag(t):
    """GUP_TEST's pins have none; they are what the others leave."""
    for size in SIZES:
        two_of_a_process(t, ("mr", "gup"), size)
        two_of_a_process(t, ("uring", "gup"), size)


@test
def three_processes(t):
    """On the same folio, in each order; each is free as soon as it lets go."""
    path = huge_file(t)
    kinds = ("mr", "uring", "gup")
    for first in range(3):
        order = [(first + i) % 3 for i in range(3)]
        held = []
        for kind in kinds:
            p = t.proc()
            p.fd, addr = leased_map(p, path)
            p.pin(addr, HUGE, kind)
            held.append(p)
        for done, i in enumerate(order):
            held[i].unpin_all()
            t.errno(0, held[i].go.lease(held[i].fd, F_UNLCK),
                    f"F_UNLCK of {kinds[i]}, unpinned")
            for j in order[done + 1:]:
                t.errno(errno.EBUSY, held[j].go.lease(held[j].fd, F_UNLCK),
                        f"F_UNLCK of {kinds[j]}, pinned")
        t.end_all()
    nothing_left(t, path)


@test
def through_what(t):
    """What a pin is through is on record; so is a large region as one."""
    path = huge_file(t, 4)
    p = t.proc()
    _, addr = leased_map(p, path, 4)
    names = {"mr": "rdma", "uring": "io_uring", "gup": "other"}
    held = {kind: p.pin(addr, 4 * HUGE, kind) for kind in names}
    order = list(names)
    while True:
        lines = [(line["through"], int(line["bytes"]))
                 for line in view.lines(path, "pin")]
        t.eq(sorted(lines), sorted((names[kind], 4 * HUGE) for kind in order),
             "pins on record")
        if not order:
            break
        p.unpin(held[order.pop()])
    nothing_left(t, path)


@test
def deregistered_by_another_process(t):
    """A fork has the same uverbs file. Whose region went is known all the same."""
    path = huge_file(t)
    p = t.proc()
    maps = [leased_map(p, path) for _ in range(2)]
    held = [p.pin(addr, HUGE) for _, addr in maps]
    child = t.fork(p)
    child.unpin(held[1])
    t.errno(0, p.go.lease(maps[1][0], F_UNLCK), "F_UNLCK, deregistered")
    t.errno(errno.EBUSY, p.go.lease(maps[0][0], F_UNLCK), "F_UNLCK, pinned")
    p.unpin(held[0])
    t.errno(0, p.go.lease(maps[0][0], F_UNLCK), "F_UNLCK, last")
    nothing_left(t, path)


@test
def ring_closed_by_exit(t):
    """The kernel unregisters it, some time after the process has gone."""
    path = huge_file(t)
    p = t.proc()
    p.fd, addr = leased_map(p, path)
    p.pin(addr, HUGE)
    child = t.fork(p)
    child.pin(child.mmap_aligned(p.fd, HUGE), HUGE, "uring")
    child.pin(child.mmap_aligned(p.fd, HUGE), PAGE, "uring")
    p.unpin(1)
    t.errno(errno.EBUSY, p.go.lease(p.fd, F_UNLCK), "F_UNLCK, child's pins")
    child.kill()
    guest.wait_for(lambda: p.errno("lease", p.fd, F_UNLCK) == 0, "F_UNLCK")
    nothing_left(t, path)


@test
def over_two_files(t):
    """One region of two files: both leases hold it, and are free with it."""
    for kind in ("mr", "uring"):
        paths = [huge_file(t), huge_file(t)]
        p = t.proc()
        fds = [p.open(path) for path in paths]
        for fd in fds:
            p.lease(fd)
        addr = p.mmap_over([(fds[0], 0, HUGE), (fds[1], 0, HUGE)])
        number = p.pin(addr, 2 * HUGE, kind)
        for fd in fds:
            t.errno(errno.EBUSY, p.go.lease(fd, F_UNLCK), "F_UNLCK, pinned")
        # Who wants one of the files is told of by its holder only.
        cut = t.proc().go.truncate(paths[1], 0)
        t.true(p.sig(), "no notice")
        t.blocked(cut, "truncate")
        p.unpin(number)
        t.errno(0, cut, "truncate")
        for fd in fds:
            t.errno(0, p.go.lease(fd, F_UNLCK), "F_UNLCK, unpinned")
        nothing_left(t, *paths)


@test
def over_many_pieces(t):
    """A mapping in pieces, out of order and more than once: many records."""
    path = huge_file(t)
    p = t.proc()
    fd, other = leased_map(p, path)
    fd2, _ = leased_map(p, path)
    stays = p.pin(other, HUGE)
    pages = [(7 * i) % 64 for i in range(64)] + [3] * 4 + list(range(8))
    addr = p.mmap_over([(fd2, page * PAGE, PAGE) for page in pages])
    for kind in ("mr", "uring"):
        number = p.pin(addr, len(pages) * PAGE, kind)
        t.errno(errno.EBUSY, p.go.lease(fd2, F_UNLCK), "F_UNLCK, pinned")
        p.unpin(number)
        t.errno(0, p.go.lease(fd2, F_UNLCK), "F_UNLCK, unpinned")
        t.errno(errno.EBUSY, p.go.lease(fd, F_UNLCK), "F_UNLCK of the other")
        p.lease(fd2)
    p.unpin(stays)
    nothing_left(t, path)


@test
def one_folio_in_two_mappings(t):
    """
    A buffer of two mappings that meet on a large folio: io_uring keeps one
    pin for both.
    """
    path = huge_file(t)
    p = t.proc()
    (fd1, _), (fd2, _), (fd3, addr) = [leased_map(p, path) for _ in range(3)]
    half = HUGE // 2
    both = p.mmap_over([(fd1, 0, half), (fd2, half, half)])
    buffer = p.pin(both, HUGE, "uring")
    plain = p.pin(addr, PAGE, "gup")
    for fd in (fd1, fd2, fd3):
        t.errno(errno.EBUSY, p.go.lease(fd, F_UNLCK), "F_UNLCK, pinned")
    p.unpin(plain)
    t.errno(0, p.go.lease(fd3, F_UNLCK), "F_UNLCK, unpinned")
    p.unpin(buffer)
    for fd in (fd1, fd2):
        t.errno(0, p.go.lease(fd, F_UNLCK), "F_UNLCK, unpinned")
    nothing_left(t, path)


@test
def refused_in_the_middle(t):
    """A region that ends in nothing: what was pinned before is given back."""
    path = huge_file(t, 2)
    p = t.proc()
    fd, addr = leased_map(p, path, 2)
    p.munmap(addr + 2 * HUGE - PAGE, PAGE)
    for kind in ("mr", "uring"):
        t.errno(errno.EFAULT, p.go.pin(addr, 2 * HUGE, kind), kind)
        t.errno(0, p.go.lease(fd, F_UNLCK), "F_UNLCK")
        p.lease(fd)
    nothing_left(t, path)


@test
def breaker_waits_for_the_region_only(t):
    """It goes on as soon as that is deregistered, whatever else there is."""
    path = huge_file(t, 2)
    p, q = t.proc(), t.proc()
    _, addr = leased_map(p, path, 2)
    q.fd, other = leased_map(q, path, 2)
    number = p.pin(addr + HUGE, HUGE)
    q.pin(other, HUGE, "uring")
    cut = t.proc().go.truncate(path, HUGE)
    t.true(p.sig(), "no notice")
    t.blocked(cut, "truncate")
    p.unpin(number)
    t.errno(0, cut, "truncate")
    t.between(0, cut.ended - cut.began, 5, "truncate")
    t.errno(errno.EBUSY, q.go.lease(q.fd, F_UNLCK), "F_UNLCK, pinned")
    q.unpin_all()
    nothing_left(t, path)


@test(limit=40)
def lets_go_beside_a_pin_without_a_tag(t):
    """
    While a region is unpinned page by page, nobody else's pin is taken for
    the one that went.
    """
    path = huge_file(t, 16)
    p, q = t.proc(), t.proc()
    maps = []
    for proc, length in ((p, 16 * HUGE - PAGE), (q, PAGE)):
        proc.fd = proc.open(path)
        proc.lease(proc.fd)
        # Where 2 MiB entries don't fit.
        maps.append(proc.mmap_over([(proc.fd, PAGE, length)]))
    q.pin(maps[1], PAGE, "gup")
    for _ in range(10):
        number = p.pin(maps[0], 16 * HUGE - PAGE)
        going = p.go.unpin(number)
        while not going.done():
            t.errno(errno.EBUSY, q.go.lease(q.fd, F_UNLCK), "F_UNLCK, pinned")
        t.errno(0, going, "deregistration")
        t.errno(0, p.go.lease(p.fd, F_UNLCK), "F_UNLCK, unpinned")
        p.lease(p.fd)
    q.unpin_all()
    t.errno(0, q.go.lease(q.fd, F_UNLCK), "F_UNLCK, unpinned")
    nothing_left(t, path)


@test
def doubt_ends_with_the_region(t):
    """
    Who has unpinned a part while a region on the same folio lets go is not
    suspected for ever, although nothing is unpinned after that.
    """
    path = huge_file(t)
    region, p, q = t.proc(), t.proc(), t.proc()
    tagged = region.pin(leased_map(region, path)[1], PAGE, "test_tagged")
    _, addr = leased_map(p, path)
    p.pin(addr, PAGE, "test")
    part = p.pin(addr + 2 * PAGE, PAGE, "test")
    fd, addr = leased_map(q, path)
    other = q.pin(addr + 4 * PAGE, PAGE, "test")
    region.unpin_pages(tagged)
    p.unpin(part)
    # One for each lease and each record.
    guest.wait_for(lambda: guest.module_users() == 6, "the part's record is closed")
    region.unpin(tagged)
    guest.wait_for(lambda: guest.module_users() == 5, "the region's record is dropped")
    q.unpin(other)
    t.errno(0, q.go.lease(fd, F_UNLCK), "F_UNLCK, unpinned")
    nothing_left(t, path)


@test
def unmounted_soon(t):
    """What a record kept of the mount is given back right after it."""
    path = huge_file(t)
    p = t.proc()
    fd, addr = leased_map(p, path)
    for kind in ("mr", "uring"):
        p.unpin(p.pin(addr, HUGE, kind))
    p.munmap(addr, HUGE)
    p.close(fd)
    dev, fs, options = guest.mount_line()
    guest.wait_for(lambda: guest.run("umount", guest.DAX)[0] == 0, "umount")
    guest.must("mount", "-t", fs, "-o", "dax=always", dev, guest.DAX)


# ---- memory

class Group:
    """A memory cgroup."""
    ROOT = "/run/longterm-cgroup"

    def __init__(self):
        os.makedirs(self.ROOT, exist_ok=True)
        guest.must("mount", "-t", "cgroup2", "none", self.ROOT)
        guest.write(self.ROOT + "/cgroup.subtree_control", "+memory")
        self.path = self.ROOT + "/t"
        os.mkdir(self.path)

    def enter(self, p):
        guest.write(self.path + "/cgroup.procs", p.pid)

    def slab(self):
        for line in guest.read(self.path + "/memory.stat").splitlines():
            name, value = line.split()
            if name == "slab":
                return int(value)
        raise AssertionError("no slab in memory.stat")

    def current(self):
        return int(guest.read(self.path + "/memory.current"))

    def close(self):
        guest.wait_for(lambda: not guest.read(self.path + "/cgroup.procs"),
                       "nobody is left in the group")
        os.rmdir(self.path)
        guest.must("umount", self.ROOT)


MANY = 4096


def slab_of(group, p, addr):
    """How much more there is with the buffers than without."""
    before = group.slab()
    number = p.pin(addr, MANY, "uring_pages")
    with_them = group.slab()
    p.unpin(number)
    guest.wait_for(lambda: guest.module_users() == 1, "the lease is left")
    return with_them - before


# KASAN has sizes of its own, and takes minutes for so many.
@test(limit=40, kernels=("patched",))
def memory_is_accounted(t):
    """
    To the group of who pins: what very many buffers of a page each take more
    on a DAX file than in anonymous memory, and give back.
    """
    path = huge_file(t)
    group = Group()
    try:
        p = t.proc()
        fd, addr = leased_map(p, path)
        plain = p.mmap(-1, HUGE, flags=calls.MAP_PRIVATE | calls.MAP_ANONYMOUS)
        group.enter(p)
        # What stays for ever comes first.
        slab_of(group, p, addr)
        each = []
        for _ in range(3):
            anon, dax = slab_of(group, p, plain), slab_of(group, p, addr)
            each.append((dax - anon) / MANY)
        # make bench has the exact number.
        print(f"# bytes a record: {[round(n) for n in each]}", flush=True)
        t.true(150 < sorted(each)[1] < 300, f"bytes a record: {each}")
        number = p.pin(addr, MANY, "uring_pages")
        full = group.slab()
        p.unpin(number)
        t.errno(0, p.go.lease(fd, F_UNLCK), "F_UNLCK")
        guest.wait_for(lambda: group.slab() < full - 150 * MANY,
                       "the memory is given back")
        t.end_all()
    finally:
        group.close()
    nothing_left(t, path)


# On the debug kernel the end of a process with so many buffers takes minutes.
@test(limit=40, kernels=("patched",))
def out_of_memory(t):
    """
    A group at its limit: somewhere among the buffers one is refused, and
    nothing is lost of those before it.
    """
    path = huge_file(t)
    group = Group()
    try:
        p = t.proc()
        fd, addr = leased_map(p, path)
        group.enter(p)
        # Nobody is to be killed for it: then the call fails.
        guest.write(f"/proc/{p.pid}/oom_score_adj", -1000)
        slab_of(group, p, addr)
        for more in (256, 512, 768):
            guest.write(group.path + "/memory.max",
                        group.current() + (more << 10))
            t.errno(errno.ENOMEM, p.go.pin(addr, MANY, "uring_pages"),
                    f"very many buffers, {more} KiB left")
            guest.write(group.path + "/memory.max", "max")
            t.eq(view.lines(path, "pin"), [], "pins on record")
            guest.wait_for(lambda: guest.module_users() == 1,
                           "the lease is left")
        t.errno(0, p.go.lease(fd, F_UNLCK), "F_UNLCK")
        t.end_all()
    finally:
        group.close()
    nothing_left(t, path)
