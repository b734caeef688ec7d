# SPDX-License-Identifier: GPL-2.0
"""fs.longterm.*, and what a pin is charged to."""
import errno
import os
import signal

from lib import guest
from lib.calls import BOTH, F_LONGTERM, F_UNLCK, PROT_READ, PUNCH_HOLE
from lib.case import test
from lib.machine import insmod

SIZE = 4 * guest.MIB
CAP_LEASE = 28
F_GETOWN = 9
USER = 1001
MAX_INT = (1 << 31) - 1
MAX_BREAK_TIME = MAX_INT // 1000

# Name: least, most, as set up.
SYSCTLS = {
    "require_lease": (0, 2, 0),
    "break_time": (-1, MAX_BREAK_TIME, -1),
    "sigkill": (0, 1, 0),
    "unbreakable": (0, 2, 2),
    "max_leases": (0, MAX_INT, 8192),
    "max_files": (0, MAX_INT, 8192),
    "max_records": (0, MAX_INT, 65536),
}


@test
def defaults(t):
    t.eq(sorted(os.listdir(guest.SYSCTLS)), sorted(SYSCTLS), "entries")
    for name, (_, _, default) in SYSCTLS.items():
        t.eq(guest.sysctl(name), default, name)


@test
def out_of_range(t):
    """EINVAL, and nothing changes; both ends are in range."""
    for name, (least, most, _) in SYSCTLS.items():
        for good in (least, most):
            guest.set_sysctl(name, good)
            t.eq(guest.sysctl(name), good, name)
            for bad in (least - 1, most + 1, -2, 1 << 31, 1 << 40, "x", "-"):
                t.errno(errno.EINVAL, lambda n=name, b=bad:
                        guest.set_sysctl(n, b), f"{name} = {bad}")
                t.eq(guest.sysctl(name), good, f"{name} after {bad}")


@test
def set_by_root_only(t):
    p = t.proc()
    p.drop_to(USER)
    for name in SYSCTLS:
        path = f"{guest.SYSCTLS}/{name}"
        t.errno(errno.EACCES, p.go.open(path, os.O_WRONLY), f"write {name}")
        p.close(p.open(path, os.O_RDONLY))


@test(limit=60)
def gone_with_the_module(t):
    """And with the defaults when it comes back."""
    guest.set_sysctl("max_leases", 5)
    guest.must("rmmod", "longterm")
    try:
        t.true(not os.path.exists(guest.SYSCTLS), "the directory is there")
    finally:
        insmod()
    t.eq(guest.sysctl("max_leases"), 8192, "max_leases")


# ---- pins without a lease

def pins_without_a_lease(t, want):
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    addr = p.mmap(fd, SIZE)
    for kind in ("mr", "gup", "gup_read", "gup_fast", "uring"):
        t.errno(want, p.go.pin(addr, guest.MIB, kind), kind)
    t.errno(0, t.proc().go.truncate(path, guest.MIB), "truncate")
    guest.make_file(path, SIZE)
    # With one all is as ever, and without one again.
    p.lease(fd)
    p.pin(addr, SIZE)
    t.errno(errno.EBUSY, p.go.lease(fd, F_UNLCK), "F_UNLCK")
    p.unpin_all()
    p.lease(fd, F_UNLCK)
    t.errno(want, p.go.pin(addr, SIZE), "after F_UNLCK")


@test
def lease_required(t):
    guest.set_sysctl("require_lease", 1)
    pins_without_a_lease(t, errno.ENOLCK)


@test
def lease_required_as_if_unsupported(t):
    """As without the module, which applications know how to live with."""
    guest.set_sysctl("require_lease", 2)
    pins_without_a_lease(t, errno.EOPNOTSUPP)


@test
def automatic_leases_from_before_stay(t):
    path = t.file()
    h = t.holder(path, lease=None)
    guest.set_sysctl("require_lease", 1)
    t.errno(errno.ENOLCK, h.go.pin(h.addr, 4096), "one more")
    b = t.proc()
    fd = b.open(path, os.O_RDWR | os.O_NONBLOCK)
    t.errno(errno.EAGAIN, b.go.ftruncate(fd, 0), "truncate")


@test
def private_mapping_needs_none(t):
    guest.set_sysctl("require_lease", 2)
    p = t.proc()
    fd = p.open(t.file())
    addr = p.mmap(fd, SIZE, flags=2)
    p.pin(addr, SIZE)


@test
def automatic_lease_to_read(t):
    """A mapping that can't be written: for who might take the lease."""
    path = t.file()
    os.chmod(path, 0o644)
    with open(path, "r+b") as f:
        f.write(bytes(SIZE))
    owner, reader = t.proc(), t.proc()
    for p in (owner, reader):
        p.fd = p.open(path, os.O_RDONLY)
        p.addr = p.mmap(p.fd, SIZE, prot=PROT_READ)
        p.preopen_gup()
    os.chown(path, USER, USER)
    owner.drop_to(USER)
    reader.drop_to(USER + 1)
    t.errno(errno.EACCES, reader.go.pin(reader.addr, SIZE, "gup_read"),
            "pin by who can only read")
    owner.pin(owner.addr, SIZE, "gup_read")
    t.errno(errno.EDEADLK, owner.go.truncate(path, 0), "truncate")


# ---- what a pin is charged to
#
# Not here: pins that one process makes on another's memory. In the kernel only
# vfio_iommu_type1 and iommufd make such long-term pins, and the guest has no
# IOMMU for either; gup_test, io_uring and RDMA pin their caller's own memory.

def is_charged(t, p, fd, what):
    t.errno(errno.EBUSY, p.go.lease(fd, F_UNLCK), f"F_UNLCK of {what}")
    t.eq(p.getlease(fd), F_LONGTERM, what)


@test
def charged_to_the_mappings_own_file(t):
    """Not to the older lease of the same process."""
    path = t.file()
    p = t.proc()
    older, own = p.open(path), p.open(path)
    p.lease(older)
    p.lease(own)
    p.pin(p.mmap(own, SIZE), SIZE)
    is_charged(t, p, own, "the mapped one")
    p.lease(older, F_UNLCK)
    p.unpin_all()
    p.lease(own, F_UNLCK)


@test
def charged_to_the_oldest(t):
    """The mapping's own open file has none."""
    path = t.file()
    p = t.proc()
    oldest, newer, mapped = p.open(path), p.open(path), p.open(path)
    p.lease(oldest)
    p.lease(newer)
    p.pin(p.mmap(mapped, SIZE), SIZE)
    is_charged(t, p, oldest, "the oldest one")
    p.lease(newer, F_UNLCK)
    t.eq(p.getlease(mapped), F_UNLCK, "the mapped one")
    p.unpin_all()
    p.lease(oldest, F_UNLCK)


@test
def charged_to_nobody_elses(t):
    """A lease of another process on another open file does not count."""
    path = t.file()
    other, p = t.proc(), t.proc()
    fd = other.open(path)
    other.lease(fd)
    addr = p.mmap(p.open(path), SIZE)
    p.pin(addr, SIZE)
    other.lease(fd, F_UNLCK)
    guest.set_sysctl("require_lease", 1)
    other.lease(fd)
    t.errno(errno.ENOLCK, p.go.pin(addr, SIZE), "a lease elsewhere")


@test
def charged_to_who_shares_the_open_file(t):
    """A passed descriptor, mapped: its lease, whoever took it."""
    path = t.file()
    holder, p = t.proc(), t.proc()
    fd = holder.open(path)
    holder.lease(fd)
    guest.set_sysctl("require_lease", 1)
    copy = p.take_fd(holder.pid, fd)
    p.pin(p.mmap(copy, SIZE), SIZE)
    is_charged(t, holder, fd, "the passed one")
    cut = t.proc().go.truncate(path, 0)
    t.true(holder.sig(), "no notice for who took the lease")
    t.eq(p.sig(0), None, "notice for who pinned")
    p.unpin_all()
    t.errno(0, cut, "truncate")


@test(break_time=1)
def revoked_lease_is_none(t):
    """What was revoked admits no pin; taken again it does."""
    path = t.file()
    guest.set_sysctl("require_lease", 1)
    h = t.holder(path)
    h.block_sigbus()
    t.errno(errno.ETXTBSY, t.proc().go.truncate(path, 0), "truncate")
    h.unpin_all()

    def answer():
        got = h.errno("pin", h.addr, 4096)
        # While the break is remembered.
        return got != errno.EAGAIN and got
    guest.wait_for(answer, "the end of the break")
    t.eq(answer(), errno.ENOLCK, "pin under a revoked lease")
    h.lease(h.fd)
    h.pin(h.addr, 4096)


# ---- unbreakable leases

def may_be_unbreakable(t, root, capable, owner):
    """Wanted errnos, for one after the other."""
    path = t.file()
    os.chown(path, USER, USER)
    os.chmod(path, 0o666)
    for want, keep, uid in ((root, None, 0), (capable, [CAP_LEASE], USER + 1),
                            (owner, (), USER)):
        p = t.proc()
        fd = p.open(path)
        if uid:
            p.drop_to(uid, keep)
        t.errno(want, p.go.lease(fd, BOTH), f"unbreakable, uid {uid}")
        t.eq(p.getlease(fd), F_UNLCK if want else BOTH, "F_GETLEASE")
        p.lease(fd)
        t.eq(p.getlease(fd), F_LONGTERM, "the other kind")
        t.errno(want, p.go.lease(fd, BOTH), f"changed, uid {uid}")


@test
def unbreakable_for_nobody(t):
    guest.set_sysctl("unbreakable", 0)
    may_be_unbreakable(t, errno.EACCES, errno.EACCES, errno.EACCES)


@test
def unbreakable_for_cap_lease(t):
    guest.set_sysctl("unbreakable", 1)
    may_be_unbreakable(t, 0, 0, errno.EACCES)


@test
def unbreakable_for_owners(t):
    may_be_unbreakable(t, 0, 0, 0)


@test
def unbreakable_from_before_stays(t):
    path = t.file()
    h = t.holder(path, lease=BOTH)
    guest.set_sysctl("unbreakable", 0)
    t.eq(h.getlease(h.fd), BOTH, "F_GETLEASE")
    t.errno(errno.EACCES, h.go.lease(h.fd, BOTH), "taken again")
    t.eq(h.getlease(h.fd), BOTH, "F_GETLEASE after that")
    t.errno(errno.ETXTBSY, t.proc().go.truncate(path, 0), "truncate")


@test
def unbreakable_beside_breakable(t):
    """One unbreakable pin is enough, and nobody is told."""
    path = t.file()
    breakable = t.holder(path)
    firm = t.holder(path, lease=BOTH)
    lines = guest.locks(path)
    t.eq([("UNBREAKABLE" in s, "LONGTERM" in s) for s in lines],
         [(False, True), (True, False)], "kinds in /proc/locks")
    cut = t.proc().go.truncate(path, 0)
    t.errno(errno.ETXTBSY, cut, "truncate")
    t.between(0, cut.took, 0.9, "truncate")
    t.eq((breakable.sig(0), firm.sig(0)), (None, None), "notices")
    # Gone with its holder; then the break runs as for any other.
    firm.kill()
    guest.wait_for(lambda: len(guest.locks(path)) == 1, "the lease ends")
    cut = t.proc().go.truncate(path, 0)
    t.true(breakable.sig(), "no notice")
    breakable.unpin_all()
    t.errno(0, cut, "truncate")


@test
def unbreakable_where_nothing_is_pinned(t):
    """It covers what is pinned under it, not the file."""
    path = t.file(8 * guest.MIB)
    firm, h, b = t.proc(), t.proc(), t.proc()
    ffd = firm.open(path)
    firm.lease(ffd, BOTH)
    firm.pin(firm.mmap(ffd, 8 * guest.MIB), guest.MIB)
    fd = b.open(path)
    b.fallocate(fd, PUNCH_HOLE, 4 * guest.MIB, 4 * guest.MIB)
    t.errno(errno.ETXTBSY, b.go.fallocate(fd, PUNCH_HOLE, 0, 4096), "punch")
    # Behind its pins another holder's can be taken back.
    h.fd, h.addr = h.hold(path, guest.MIB, offset=4 * guest.MIB)
    cut = b.go.truncate(path, 4 * guest.MIB)
    t.true(h.sig(), "no notice")
    h.unpin_all()
    t.errno(0, cut, "truncate")
    firm.unpin_all()
    t.errno(0, b.go.truncate(path, 0), "truncate with nothing pinned")
    t.eq(firm.getlease(ffd), BOTH, "the lease")


@test
def refused_lease_leaves_nothing(t):
    """Above all not its process as the owner of the file's signals."""
    path = t.file()
    os.chown(path, USER, USER)
    h, p = t.holder(path), t.proc()
    fd = p.open(path, os.O_RDWR | os.O_NONBLOCK)
    p.drop_to(USER)

    def refused(want, kind=F_LONGTERM):
        t.errno(want, p.go.lease(fd, kind), "lease")
        t.eq(p.fcntl(fd, F_GETOWN, 0), 0, "F_GETOWN")
        t.eq(len(guest.locks(path)), 1, "leases in /proc/locks")
    guest.set_sysctl("unbreakable", 0)
    refused(errno.EACCES, BOTH)
    guest.set_sysctl("max_leases", 0)
    refused(errno.ENOLCK)
    guest.set_sysctl("max_leases", 1)
    cut = t.proc().go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    refused(errno.EAGAIN)
    h.unpin_all()
    t.errno(0, cut, "truncate")
    p.lease(fd)
    t.eq(p.fcntl(fd, F_GETOWN, 0), p.pid, "F_GETOWN with a lease")


# ---- the time of a step

def truncate_of_the_deaf(t, low, high):
    path = t.file()
    h = t.holder(path)
    h.block_sigbus()
    cut = t.proc().go.truncate(path, 0)
    t.errno(errno.ETXTBSY, cut, "truncate")
    t.between(low, cut.took, high, "truncate")
    return h


@test(break_time=10)
def break_time_of_its_own(t):
    guest.set_sysctl("break_time", 1)
    truncate_of_the_deaf(t, 1.9, 2.8)


@test(break_time=1)
def break_time_of_other_leases(t):
    t.eq(guest.sysctl("break_time"), -1, "fs.longterm.break_time")
    truncate_of_the_deaf(t, 1.9, 2.8)


@test(break_time=10)
def break_time_zero(t):
    """100 ms a step."""
    guest.set_sysctl("break_time", 0)
    truncate_of_the_deaf(t, 0.19, 0.9)


@test(break_time=10)
def break_time_as_it_was_at_the_notice(t):
    guest.set_sysctl("break_time", 1)
    path = t.file()
    h = t.holder(path)
    h.block_sigbus()
    cut = t.proc().go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    guest.set_sysctl("break_time", 100)
    t.errno(errno.ETXTBSY, cut, "truncate")
    t.between(1.9, cut.took, 2.8, "truncate")


# ---- SIGKILL

@test
def sigkill_for_who_ignores_sigbus(t):
    """One more step: the pins go with the process."""
    guest.set_step(1)
    guest.set_sysctl("sigkill", 1)
    path = t.file()
    h = t.holder(path)
    h.ignore_sigbus()
    cut = t.proc().go.truncate(path, 0)
    t.errno(0, cut, "truncate")
    t.eq(os.WTERMSIG(h.wait()), signal.SIGKILL, "holder killed by")
    t.between(1.9, cut.took, 2.9, "truncate")
    t.eq(os.stat(path).st_size, 0, "size")
    t.eq(len(guest.trace_events("sigkill")), 1, "sigkill events")


@test
def sigkill_not_for_who_lets_go(t):
    guest.set_step(1)
    guest.set_sysctl("sigkill", 1)
    path = t.file()
    h = t.holder(path)
    h.block_sigbus()
    cut = t.proc().go.truncate(path, 0)
    t.true(h.sigbus(), "no SIGBUS")
    h.unpin_all()
    t.errno(0, cut, "truncate")
    t.between(0.9, cut.took, 1.8, "truncate")
    t.true(h.alive(), "holder died")


@test
def sigkill_as_it_was_at_the_notice(t):
    guest.set_step(1)
    guest.set_sysctl("sigkill", 1)
    path = t.file()
    h = t.holder(path)
    h.block_sigbus()
    cut = t.proc().go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    guest.set_sysctl("sigkill", 0)
    t.errno(0, cut, "truncate")
    t.eq(os.WTERMSIG(h.wait()), signal.SIGKILL, "holder killed by")
