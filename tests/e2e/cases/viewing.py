# SPDX-License-Identifier: GPL-2.0
"""/proc/fs/longterm: reading it, however that is done."""
import errno
import os
import time

from lib import guest, view
from lib.case import test
from lib.machine import insmod

SIZE = 4 * guest.MIB
PAGE = 4096
FILE = "/proc/" + view.HOLDERS


def read_in_pieces(path, size):
    """All of it, by reads of that many bytes."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return b"".join(iter(lambda: os.read(fd, size), b""))
    finally:
        os.close(fd)


def populate(t, count):
    """As many records on two files, and a lease each."""
    paths = t.file(), t.file()
    for path in paths:
        p = t.proc()
        p.fd = p.open(path)
        p.lease(p.fd)
        p.pin(p.mmap(p.fd, SIZE), count // 2, "uring_pages")
    return paths


@test
def in_pieces(t):
    """The same, whatever the size of the buffer, and from wherever."""
    populate(t, 100)
    whole = read_in_pieces(FILE, 1 << 20)
    t.eq(len(view.parse(whole.decode())), 102, "lines")
    for size in 1, 7, 100, 4095, 4096, 4097, 65536:
        t.true(read_in_pieces(FILE, size) == whole, f"in pieces of {size}")
    fd = os.open(FILE, os.O_RDONLY)
    for at in len(whole), 5, len(whole) - 3, 4096, 0, len(whole) // 2, 4095:
        got = os.pread(fd, 1000, at)
        t.true(got and whole[at:].startswith(got) or at == len(whole),
               f"at {at}")
        os.lseek(fd, at, os.SEEK_SET)
        t.eq(os.read(fd, 1000)[:100], got[:100], f"after a seek to {at}")
    os.close(fd)


@test
def goes_on_where_it_stood(t):
    """What has been read comes no second time when others have gone."""
    paths = populate(t, 300)
    fd = os.open(FILE, os.O_RDONLY)
    head = os.read(fd, 4000)
    for p in t.procs:
        p.kill()
    guest.wait_for(lambda: not view.lines(), "all has gone")
    h = t.holder(paths[0], lease=None)
    rest = b"".join(iter(lambda: os.read(fd, 4000), b""))
    os.close(fd)
    lines = view.parse((head + rest).decode())
    t.eq(len({(s["what"], s["ino"], s["start"], s["pid"]) for s in lines
              if s["pid"] == str(h.pid)}),
         len([s for s in lines if s["pid"] == str(h.pid)]), "the new holder")
    t.true(len(lines) < 150, f"{len(lines)} lines of what has gone")


@test(limit=60)
def while_all_changes(t):
    """
    Several read while others come and go, before, between and behind: what stays
    is there exactly once.
    """
    stays = [t.file() for _ in range(3)]
    busy = [t.file() for _ in range(2)]
    procs, want = [], set()
    for path in stays + busy:
        for offset in 40, 80:
            p = t.proc()
            fd = p.open(path)
            p.lease(fd)
            at = p.mmap(fd, SIZE)
            p.pin(at + offset * PAGE, PAGE)
            p.pin(at + (300 + offset) * PAGE, 2 * PAGE)
            procs.append(p)
            want |= {(guest.inode_of(path), what, start, p.pid) for what, start
                     in (("lease", 0), ("pin", offset * PAGE),
                         ("pin", (300 + offset) * PAGE))}
    readers, stop = [t.proc() for _ in range(2)], t.path()
    mine, moved = {p.pid for p in procs}, 0
    work = [t.proc().go.loop("come_and_go", path, stop)
            for path in busy + busy]
    guest.wait_for(lambda: len(view.lines()) > len(want), "the others", 30)
    for _ in range(10):
        texts = [r.go.read(FILE) for r in readers]
        texts = [x.result() for x in texts]
        texts.append(read_in_pieces(FILE, 300).decode())
        for text in texts:
            lines = view.parse(text)
            got = [(int(s["ino"]), s["what"], int(s["start"]), int(s["pid"]))
                   for s in lines if int(s["pid"]) in mine]
            t.eq(sorted(got), sorted(want), "what stays")
            names = [(s["ino"], s["lease"]) for s in lines
                     if s["what"] == "lease"]
            t.eq(len(set(names)), len(names), "a lease twice")
            moved += len(lines) > len(got)
    t.true(moved, "never a line of the others")
    guest.write(stop, "")
    counts = [w.result(60 * guest.SLOW) for w in work]
    t.true(min(counts) > 0, f"rounds of the others: {counts}")


@test
def is_not_kept_by_who_comes_later(t):
    """After each piece there are more lines than the piece had; it ends."""
    path = t.file()
    p = t.proc()

    def more():
        for _ in range(60):
            p.lease(p.open(path))
    for _ in range(2):
        more()
    fd = os.open(FILE, os.O_RDONLY)
    text = b""
    for _ in range(20):
        piece = os.read(fd, 4096)
        if not piece:
            break
        text += piece
        more()
    os.close(fd)
    t.true(not piece, "there is no end")
    t.eq(len(view.parse(text.decode())), 120, "lines")


def cost(t, count):
    populate(t, count)
    best = None
    for _ in range(3):
        start = time.monotonic()
        text = read_in_pieces(FILE, 1 << 16)
        took = time.monotonic() - start
        best = took if best is None else min(best, took)
    lines = view.parse(text.decode())
    t.eq(len(lines), count + 2, "lines")
    t.end_all()
    guest.wait_for(lambda: not view.lines(), "all has gone")
    return best


@test(limit=90)
def very_many(t):
    """
    Ten thousand lines, on slow kernels fewer, in a time that grows with the
    number alone.
    """
    more = int(10000 / guest.SLOW)
    few, many = cost(t, more // 8), cost(t, more)
    print(f"# {more // 8} lines: {few * 1000:.1f} ms, {more} lines: "
          f"{many * 1000:.1f} ms", flush=True)
    t.true(many < 4 * 8 * max(few, 0.01 * guest.SLOW),
           f"{many:.3f} s for {more} lines, {few:.3f} s for an eighth")


@test(limit=60)
def without_the_module(t):
    """An open file does not keep it loaded, and says so afterwards."""
    path = t.file()
    h = t.holder(path)
    names = [FILE, "/proc/" + view.STAT]
    fds = [os.open(name, os.O_RDONLY) for name in names]
    half = os.open(FILE, os.O_RDONLY)
    t.true(os.read(half, 100), "some of it")
    h.kill()
    guest.wait_for(lambda: not guest.module_users(), "module unused")
    guest.must("rmmod", "longterm")
    try:
        for name in names:
            t.true(not os.path.exists(name), f"{name} is still there")
        t.true(not os.path.exists("/proc/fs/longterm"), "the directory")
        for fd in fds + [half]:
            t.errno(errno.EIO, lambda fd=fd: os.read(fd, 100), "read")
            os.close(fd)
    finally:
        insmod()
    t.eq(view.lines(), [], "with the module again")
    t.eq(set(view.stat().values()), {0}, "counters")
    t.holder(path)
    t.eq(len(view.lines(path)), 2, "lines")


# The debug kernel takes a minute for each insmod, with KUnit.
@test(limit=90, kernels=("patched",))
def unload_while_it_is_read(t):
    """Readers that never stop don't keep it, and find it again."""
    readers, stop = [t.proc() for _ in range(2)], t.path()
    work = [r.go.loop("read_view", FILE, stop) for r in readers]
    for _ in range(2):
        guest.must("rmmod", "longterm")
        insmod()
    guest.write(stop, "")
    for w in work:
        t.true(w.result(60) > 1, "reads")
