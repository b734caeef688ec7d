# SPDX-License-Identifier: GPL-2.0
"""What can be pinned, and what that shows of the file."""
import errno
import os

from lib import guest
from lib.calls import (F_LONGTERM, F_UNLCK, MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ,
                       PROT_WRITE)
from lib.case import ALL, test

SIZE = 4 * guest.MIB


def kinds_hold_up_a_truncate(t, kind):
    path = t.file()
    h = t.holder(path, kind=kind)
    b = t.proc()
    cut = b.go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    t.blocked(cut, "truncate")
    h.unpin_all()
    t.errno(0, cut, "truncate after unpin")
    t.eq(os.stat(path).st_size, 0, "size")


@test
def rdma(t):
    kinds_hold_up_a_truncate(t, "mr")


@test
def io_uring(t):
    kinds_hold_up_a_truncate(t, "uring")


@test
def gup(t):
    kinds_hold_up_a_truncate(t, "gup")


@test
def gup_read_only(t):
    kinds_hold_up_a_truncate(t, "gup_read")


@test
def gup_fast(t):
    kinds_hold_up_a_truncate(t, "gup_fast")


@test
def without_a_lease(t):
    """An automatic lease: admitted, and it keeps the module until the unpin."""
    path = t.file()
    h = t.holder(path, lease=None)
    t.eq(h.getlease(h.fd), F_UNLCK, "F_GETLEASE: there is no lease to give back")
    t.true(guest.module_users(), "nobody uses the module")
    h.unpin_all()
    guest.wait_for(lambda: not guest.module_users(), "automatic lease ends")


@test
def lease_on_another_fd(t):
    """Charged to the lease that the process holds on the file."""
    path = t.file()
    p = t.proc()
    leased, mapped = p.open(path), p.open(path)
    p.lease(leased)
    p.pin(p.mmap(mapped, SIZE), SIZE)
    t.eq(len(guest.locks(path)), 1, "leases in /proc/locks")
    t.errno(errno.EBUSY, p.go.lease(leased, F_UNLCK), "F_UNLCK with an MR")
    p.unpin_all()
    p.lease(leased, F_UNLCK)


@test
def many_regions(t):
    """Several MRs over the same pages; the last one counts."""
    path = t.file()
    h = t.holder(path)
    second = h.pin(h.addr, SIZE)
    third = h.pin(h.addr + guest.MIB, guest.MIB)
    cut = t.proc().go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    h.unpin(1)
    h.unpin(second)
    t.blocked(cut, "truncate")
    h.unpin(third)
    t.errno(0, cut, "truncate")


@test
def private_mapping(t):
    """Becomes anonymous memory: no lease, no record, nobody waits."""
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    addr = p.mmap(fd, SIZE, flags=MAP_PRIVATE)
    p.poke(addr, b"mine")
    p.pin(addr, SIZE)
    t.eq(guest.locks(path), [], "/proc/locks")
    t.errno(0, t.proc().go.truncate(path, 0), "truncate")


@test(kernels=ALL)
def anonymous_memory(t):
    path = t.file()
    p = t.proc()
    addr = p.mmap(-1, SIZE, flags=MAP_PRIVATE | MAP_ANONYMOUS)
    p.pin(addr, SIZE)
    p.pin(addr, SIZE, "uring")
    t.true(not guest.module_users(), "our module is in use")
    p.unpin_all()
    t.errno(0, t.proc().go.truncate(path, 0), "truncate")


@test
def hole_in_writable_mapping(t):
    """Even a pin that only reads gets blocks of the file, no zero page."""
    path = t.file(guest.MIB, data=False)
    p = t.proc()
    fd = p.open(path)
    p.lease(fd)
    addr = p.mmap(fd, guest.MIB)
    t.eq(os.stat(path).st_blocks, 0, "blocks before")
    number = p.pin(addr, guest.MIB, "gup_read")
    t.true(os.stat(path).st_blocks * 512 >= guest.MIB, "no blocks allocated")
    p.poke(addr + 4096, b"written later")
    t.eq(p.pin_read(number)[4096:4109], b"written later", "what a device sees")


@test
def hole_in_read_only_mapping(t):
    path = t.file(guest.MIB, data=False)
    p = t.proc()
    fd = p.open(path, os.O_RDONLY)
    p.lease(fd)
    addr = p.mmap(fd, guest.MIB, prot=PROT_READ)
    t.errno(errno.EFAULT, p.go.pin(addr, guest.MIB, "gup_read"), "pin")
    t.errno(0, t.proc().go.truncate(path, 0), "truncate")


@test
def refused_before_anything_is_faulted_in(t):
    """A hole stays one, as long as there is no answer but no."""
    path = t.file(8 * guest.MIB, data=False)
    h, p = t.proc(), t.proc()
    with open(path, "r+b") as f:
        f.write(bytes(SIZE))
    h.fd, h.addr = h.hold(path, SIZE)
    addr = p.mmap(p.open(path), SIZE, SIZE)
    before = os.stat(path).st_blocks
    guest.set_sysctl("require_lease", 1)
    t.errno(errno.ENOLCK, p.go.pin(addr, SIZE), "without a lease")
    guest.set_sysctl("require_lease", 0)
    cut = t.proc().go.truncate(path, 0)
    t.true(h.sig(), "no notice")
    t.errno(errno.EAGAIN, p.go.pin(addr, SIZE), "during a break")
    t.eq(os.stat(path).st_blocks, before, "blocks")
    h.unpin_all()
    t.errno(0, cut, "truncate")


@test
def blocks_in_read_only_mapping(t):
    path = t.file(guest.MIB)
    with open(path, "r+b") as f:
        f.write(b"x" * guest.MIB)
    p = t.proc()
    fd = p.open(path, os.O_RDONLY)
    p.lease(fd)
    addr = p.mmap(fd, guest.MIB, prot=PROT_READ)
    number = p.pin(addr, guest.MIB, "gup_read")
    t.eq(p.pin_read(number)[:3], b"xxx", "what a device sees")
    cut = t.proc().go.truncate(path, 0)
    t.true(p.sig(), "no notice")
    p.unpin_all()
    t.errno(0, cut, "truncate")


@test
def huge_entries(t):
    """2 MiB mappings are pinned as such; a break rounds to them."""
    event = guest.TRACING + "/instances/e2e-pmd"
    os.makedirs(event, exist_ok=True)
    try:
        guest.write(event + "/events/fs_dax/dax_pmd_fault_done/enable", 1)
        path = t.path()
        with open(path, "wb") as f:
            f.write(bytes(6 * guest.MIB))
        p = t.proc()
        fd = p.open(path)
        p.lease(fd)
        addr = p.mmap_aligned(fd, 6 * guest.MIB)
        p.poke(addr, b"x")
        p.poke(addr + 2 * guest.MIB, b"x")
        done = [s for s in guest.read(event + "/trace").splitlines()
                if "dax_pmd_fault_done" in s and "NOPAGE" in s]
        t.true(done, "no 2 MiB entry was made")
    finally:
        guest.write(event + "/events/enable", 0)
        os.rmdir(event)
    # One small page is pinned; a punch of the far end of its entry waits.
    p.pin(addr, 4096)
    b = t.proc()
    bfd = b.open(path)
    punch = b.go.fallocate(bfd, 3, 2 * guest.MIB - 4096, 4096)
    t.true(p.sig(), "no notice for the same 2 MiB entry")
    t.blocked(punch, "punch")
    p.unpin_all()
    t.errno(0, punch, "punch")
    t.eq(p.peek(addr, 1), b"x", "the byte outside the hole")


@test(kernels=ALL)
def direct_io_from_a_mapping(t):
    """O_DIRECT to and from a DAX mapping of another file's blocks."""
    image = guest.make_file("/dev/shm/longterm-e2e.img", guest.MIB)
    loop = guest.must("losetup", "--show", "-f", image).strip()
    path, other = t.file(), t.file()
    try:
        p = t.proc()
        fd = p.open(path)
        addr = p.mmap(fd, SIZE)
        p.poke(addr, b"from the mapping" * 256)
        dev = p.open(loop, os.O_RDWR | os.O_DIRECT)
        dax = p.open(other, os.O_RDWR | os.O_DIRECT)
        for target in (dev, dax):
            t.eq(p.write_from(target, addr, 4096), 4096, "O_DIRECT write")
            t.eq(p.read_into(target, addr + 8192, 4096), 4096, "O_DIRECT read")
            t.eq(p.peek(addr + 8192, 4096), b"from the mapping" * 256, "data")
            p.poke(addr + 8192, bytes(4096))
        t.eq(guest.locks(), [], "/proc/locks")
        t.errno(0, t.proc().go.truncate(path, 0), "truncate")
        p.kill()
    finally:
        guest.must("losetup", "-d", loop)
        os.unlink(image)


@test
def write_through_the_region(t):
    """What the CPU writes is what the device sees, and the reverse file."""
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    p.lease(fd)
    addr = p.mmap(fd, SIZE, prot=PROT_READ | PROT_WRITE)
    number = p.pin(addr, SIZE, "gup")
    p.pwrite(fd, b"by write(2)", 12345)
    t.eq(p.pin_read(number)[12345:12356], b"by write(2)", "the device's view")
    t.eq(p.getlease(fd), F_LONGTERM, "lease")
