# SPDX-License-Identifier: GPL-2.0
"""
Other ways to truncate(2) and fallocate(2), which are in breaking.py and
ladder.py.
"""
import errno
import os
import signal
import subprocess

from lib import blocks, guest
from lib.breaks import comes_back, waits
from lib.calls import PUNCH_HOLE
from lib.case import test

SIZE = 4 * guest.MIB


@test
def open_trunc_nonblock(t):
    path = t.file()
    h, b = t.holder(path), t.proc()
    comes_back(t, h, path, lambda: b.open_trunc(path, os.O_NONBLOCK),
               "O_TRUNC with O_NONBLOCK")
    t.eq(os.stat(path).st_size, 0, "size")


@test
def ioctls_older_than_fallocate(t):
    path = t.file()
    b = t.proc()
    fd = b.open(path)
    for request in (blocks.UNRESVSP, blocks.ZERO_RANGE):
        h = t.holder(path)
        waits(t, [h], [path], b.go.blocks("space", fd, request, 0, SIZE),
              f"ioctl {request:#x}")
        h.kill()


def by_uring(t, path, *args):
    """A worker thread of io_uring waits as the system call would."""
    before = blocks.extents(path)
    h = t.holder(path)
    with subprocess.Popen([guest.BIN + "/uringop", path, *map(str, args)],
                          stdout=subprocess.PIPE, text=True) as breaker:
        t.true(h.sig(), "no notice")
        guest.wait_for(lambda: guest.trace_events("break_wait"), "it waits")
        t.eq(blocks.extents(path), before, "blocks")
        t.eq(breaker.poll(), None, "status while pages are pinned")
        h.unpin_all()
        t.eq(breaker.communicate(timeout=30)[0], "0\n", "errno")


@test
def uring_is_interrupted(t):
    """Cancelled while it waits: EINTR, as nobody restarts it."""
    path = t.file()
    h = t.holder(path)
    with subprocess.Popen([guest.BIN + "/uringop", path, "ftruncate", "4096"],
                          stdout=subprocess.PIPE, text=True) as breaker:
        t.true(h.sig(), "no notice")
        guest.wait_for(lambda: guest.trace_events("break_wait"), "it waits")
        breaker.send_signal(signal.SIGUSR1)
        t.eq(breaker.communicate(timeout=30 * guest.SLOW)[0],
             f"{errno.EINTR}\n", "errno")
    t.eq(os.stat(path).st_size, SIZE, "size")


@test
def uring_ftruncate(t):
    path = t.file()
    by_uring(t, path, "ftruncate", 4096)
    t.eq(os.stat(path).st_size, 4096, "size")


@test
def uring_fallocate(t):
    path = t.file()
    by_uring(t, path, "fallocate", PUNCH_HOLE, 0, SIZE)
    t.eq(blocks.extents(path), [], "blocks")
