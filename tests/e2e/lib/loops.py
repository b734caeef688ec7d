# SPDX-License-Identifier: GPL-2.0
"""What racing processes do, again and again, until a given time."""
import errno
import os
import random
import time

from . import calls, guest, pins

SIZE = 4 << 20


def loop(ops, name, path, until):
    """How often it was done."""
    return LOOPS[name](ops, path, until)


def hold_again_and_again(ops, path, until, make_pin, look):
    """Lease, pin, look at it, unpin when told or after a moment; again."""
    fd = os.open(path, os.O_RDWR)
    addr = calls.mmap(fd, SIZE)
    count = 0
    while time.monotonic() < until:
        calls.setlease(fd, calls.F_LONGTERM)
        try:
            pin = make_pin(addr, 4096)
        except OSError as e:
            # A break is under way, or the file is empty just now.
            if e.errno not in (errno.EAGAIN, errno.EFAULT):
                raise
            continue
        look(fd, pin)
        end = time.monotonic() + 0.002
        while calls.read_signal(ops.sigfd) is None and time.monotonic() < end:
            pass
        look(fd, pin)
        pin.unpin()
        count += 1
    calls.munmap(addr, SIZE)
    os.close(fd)
    return count


def device_sees_the_file(fd, pin):
    """While the pin lives, its page is the file's block."""
    mark = os.urandom(16)
    os.pwrite(fd, mark, 0)
    if pin.read()[:16] != mark:
        raise RuntimeError("the pinned page is not the file's")


def pin_and_check(ops, path, until):
    return hold_again_and_again(ops, path, until, pins.Gup,
                                device_sees_the_file)


def pin_mr(ops, path, until):
    """The same by RDMA: GUP_TEST has only one pin for all the system."""
    return hold_again_and_again(ops, path, until, pins.Mr,
                                lambda fd, _: os.pwrite(fd, b"x", 0))


def pause():
    """
    Without a gap the breaker is back before a slow holder has pinned, and the
    two never race. Its length is what varies: no point is favoured.
    """
    time.sleep(random.random() * 0.06 * guest.SLOW)


def cut_and_grow(_ops, path, until):
    count = 0
    while time.monotonic() < until:
        pause()
        calls.truncate(path, 0)
        calls.truncate(path, SIZE)
        count += 1
    return count


def punch_and_fill(_ops, path, until):
    fd = os.open(path, os.O_RDWR)
    count = 0
    while time.monotonic() < until:
        pause()
        calls.fallocate(fd, calls.PUNCH_HOLE, 0, SIZE)
        calls.fallocate(fd, 0, 0, SIZE)
        count += 1
    os.close(fd)
    return count


def come_and_go(_ops, path, stop):
    """
    Leases, records and breaks of a file, ever new ones.  Until a file is there.
    """
    count = 0
    while not os.path.exists(stop):
        fd = os.open(path, os.O_RDWR)
        calls.setlease(fd, calls.F_LONGTERM)
        addr = calls.mmap(fd, SIZE)
        pages = pins.UringPages(addr, 1 + count % 7)
        # Where nobody pins anything.
        calls.fallocate(fd, calls.PUNCH_HOLE, SIZE // 2, 4096)
        pages.unpin()
        calls.munmap(addr, SIZE)
        os.close(fd)
        count += 1
    return count


def read_view(_ops, path, stop):
    """Whether the module is there or goes just now; likewise."""
    count = 0
    while not os.path.exists(stop):
        try:
            with open(path, "rb") as f:
                f.read()
            count += 1
        except OSError as e:
            if e.errno not in (errno.ENOENT, errno.EIO):
                raise
            # It is loaded by another process, which needs a processor.
            time.sleep(0.01)
    return count


LOOPS = {"come_and_go": come_and_go, "read_view": read_view,
         "pin_and_check": pin_and_check, "pin_mr": pin_mr,
         "cut_and_grow": cut_and_grow, "punch_and_fill": punch_and_fill}
