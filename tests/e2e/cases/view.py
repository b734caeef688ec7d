# SPDX-License-Identifier: GPL-2.0
"""/proc/fs/longterm/holders: what is in it."""
import errno
import os
import signal

from lib import calls, guest, view
from lib.calls import BOTH, F_LONGTERM, F_UNLCK
from lib.case import test

SIZE = 4 * guest.MIB
PAGE = 4096


def common(path):
    st = os.stat(path)
    return {"dev": f"{os.major(st.st_dev)}:{os.minor(st.st_dev)}",
            "ino": str(st.st_ino), "path": path, "comm": "python3"}


def lease_line(path, p, **kw):
    return {**common(path), "what": "lease", "start": "0", "end": "-",
            "bytes": "0", "pid": str(p.pid), "through": "fcntl",
            "kind": "breakable", "state": "held", "left": "-", **kw}


def pin_line(path, p, start=0, end=SIZE, **kw):
    return {**common(path), "what": "pin", "start": str(start), "end": str(end),
            "bytes": str(end - start), "pid": str(p.pid), "kind": "breakable",
            "state": "held", "left": "-", **kw}


def break_line(path, p, start=0, end="-", **kw):
    return {**common(path), "what": "break", "start": str(start),
            "end": str(end), "pid": str(p.pid), "through": "-", "lease": "-",
            "kind": "wait", **kw}


def same(t, got, want, what):
    """The lines are those, in that order, as far as they are given."""
    t.eq([{k: line[k] for k in w} for line, w in zip(got, want)], want, what)
    t.eq(len(got), len(want), f"{what}: number of lines")


def seconds_left(t, line, what):
    t.between(0, int(line["left"]) / 1000, 2, what)


# ---- content

@test
def nothing(t):
    t.eq(guest.read("/proc/" + view.HOLDERS),
         "# " + " ".join(view.COLUMNS) + "\n", "without holders")
    for name in view.HOLDERS, view.STAT:
        t.eq(oct(os.stat("/proc/" + name).st_mode), "0o100444", name)


@test
def leases_and_pins(t):
    """Of two processes and two kinds; the oldest lease and the first byte lead."""
    path, other = t.file(), t.file()
    p, q = t.proc(), t.proc()
    p.fd, q.fd = p.open(path), q.open(path)
    p.lease(p.fd)
    q.lease(q.fd, BOTH)
    p.lease(p.open(other))
    at_p, at_q = p.mmap(p.fd, SIZE), q.mmap(q.fd, SIZE)
    p.pin(at_p + 8 * PAGE, 4 * PAGE)
    p.pin(at_p + 20 * PAGE, 2 * PAGE, "gup")
    q.pin(at_q, SIZE, "uring")
    got = view.lines(path)
    one, two = got[0]["lease"], got[1]["lease"]
    t.true(int(one) < int(two), "names of leases rise")
    same(t, got, [
        lease_line(path, p, bytes=str(6 * PAGE)),
        lease_line(path, q, bytes=str(SIZE), kind="unbreakable"),
        pin_line(path, q, kind="unbreakable", lease=two, through="io_uring"),
        pin_line(path, p, 8 * PAGE, 12 * PAGE, lease=one, through="rdma"),
        pin_line(path, p, 20 * PAGE, 22 * PAGE, lease=one, through="other")],
         "pinned")
    t.eq({s["mount"] for s in got}, {view.mount_of(path)}, "the mount")
    same(t, view.lines(other), [lease_line(other, p)], "the other file")
    p.unpin(1)
    same(t, view.lines(path, "pin"), [
        pin_line(path, q, kind="unbreakable"),
        pin_line(path, p, 20 * PAGE, 22 * PAGE)], "unpinned")
    t.eq(view.lines(path)[0]["bytes"], str(2 * PAGE), "bytes of the lease")
    q.unpin_all()
    q.lease(q.fd, F_UNLCK)
    p.unpin_all()
    same(t, view.lines(path), [lease_line(path, p)], "one lease is left")


@test
def automatic_and_orphan(t):
    """Without a lease, and with one that has ended before the pin."""
    path = t.file()
    h = t.holder(path, lease=None, kind="uring")
    same(t, view.lines(path),
         [pin_line(path, h, kind="automatic", lease="-")], "without a lease")
    h.unpin_all()
    guest.wait_for(lambda: not view.lines(path), "the automatic lease ends")
    for kind in F_LONGTERM, BOTH:
        p = t.holder(path, lease=kind, kind="uring")
        t.true(view.lines(path, "pin")[0]["kind"] in ("breakable",
                                                      "unbreakable"), "charged")
        p.munmap(p.addr, SIZE)
        p.close(p.fd)
        same(t, view.lines(path),
             [pin_line(path, p, kind="orphan", lease="-")], "its file is closed")
        p.unpin_all()
        guest.wait_for(lambda: not view.lines(path), "the orphan goes")


@test
def process_has_gone(t):
    """Its pins live on with a ring that another process has."""
    path = t.file()
    h, heir = t.holder(path, kind="uring"), t.proc()
    ring, = h.find_fd("io_uring")
    passed = heir.take_fd(h.pid, ring)
    h.kill()
    line = pin_line(path, h, kind="orphan", lease="-", pid="0")
    same(t, view.lines(path), [line], "to root")
    heir.drop_to(guest.NOBODY)
    same(t, view.lines(path, reader=heir), [{**line, "path": "-", "mount": "-"}],
         "to somebody else")
    heir.close(passed)
    guest.wait_for(lambda: not view.lines(path), "the ring's pins go")


@test
def breaking(t):
    """A truncate that waits, to its end; and one that doesn't wait."""
    path = t.file()
    h, b = t.holder(path), t.proc()
    h.block_sigbus()
    guest.set_step(2)
    cut = b.go.truncate(path, 8 * PAGE)
    t.blocked(cut, "truncate")
    got = view.lines(path)
    name = got[0]["lease"]
    for line in got:
        seconds_left(t, line, f"left of {line['what']}")
    wants = SIZE - int(got[2]["start"])
    for line in got:
        del line["left"]
    lease, pin = lease_line(path, h, bytes=str(SIZE)), pin_line(path, h)
    del lease["left"], pin["left"]
    same(t, got, [{**lease, "state": "breaking", "lease": name},
                  {**pin, "lease": name},
                  break_line(path, b, got[2]["start"], bytes=str(wants),
                             state="notified")], "notified")
    t.true(int(got[2]["start"]) <= 8 * PAGE, "begin of the break")
    t.true(h.sigbus(), "no SIGBUS")
    same(t, view.lines(path), [
        {**lease, "state": "revoked", "lease": name}, {**pin, "lease": name},
        break_line(path, b, state="revoked")], "revoked")
    t.errno(errno.ETXTBSY, cut, "truncate")
    same(t, view.lines(path), [
        {**lease, "state": "revoked", "left": "-"}, {**pin, "left": "-"}],
         "after the end")


@test
def breakers_that_do_not_wait(t):
    """They may come back, and stay for a while; a signal ends a wait alike."""
    path = t.file()
    h, b, c = t.holder(path), t.proc(), t.proc()
    fd = b.open(path, os.O_RDWR | os.O_NONBLOCK)
    t.errno(errno.EAGAIN, b.go.ftruncate(fd, 0), "ftruncate")
    same(t, view.lines(path, "break"),
         [break_line(path, b, kind="nonblock", state="notified",
                     bytes=str(SIZE))], "does not wait")
    c.catch_sigusr1()
    cut = c.go.fallocate(c.open(path), calls.PUNCH_HOLE, 0, PAGE)
    t.blocked(cut, "punch")
    same(t, view.lines(path, "break"),
         [break_line(path, b, kind="nonblock"),
          {**break_line(path, c), "end": view.lines(path, "break")[1]["end"]}],
         "another one waits")
    t.true(int(view.lines(path, "break")[1]["end"]) <= 2 * guest.MIB,
           "end of a punch")
    c.signal(signal.SIGUSR1)
    t.errno(errno.EINTR, cut, "punch")
    t.true("wait" not in [s["kind"] for s in view.lines(path, "break")],
           "nobody waits any more")
    h.unpin_all()
    t.errno(0, b.go.ftruncate(fd, 0), "ftruncate")
    t.eq(view.lines(path, "break"), [], "done")


@test(fs="xfs")
def two_files_of_one_operation(t):
    """The same breaker is there for each."""
    paths = t.file(), t.file()
    h = [t.holder(path) for path in paths]
    b = t.proc()
    fds = [b.open(path) for path in paths]
    call = b.go.blocks("clone_range", fds[0], fds[1], 0, SIZE, 0)
    t.blocked(call, "clone")
    for path in paths:
        line, = view.lines(path, "break")
        t.eq((line["pid"], line["path"]), (str(b.pid), path), "the breaker")
    for p in h:
        p.unpin_all()
    t.errno(0, call, "clone")


# ---- names

@test
def odd_names(t):
    """Whatever ends a column is escaped; what has no name any more says so."""
    h = t.proc()
    for word in ("a b", "tab\there", "new\nline", "back\\slash", "\\040",
                 "a\\012\\", "(deleted)", "-", "\u00e4 \u2713"):
        path = f"{guest.DAX}/{word}"
        guest.make_file(path, SIZE)
        fd, addr = h.hold(path, SIZE, kind="uring")
        for line in view.lines(path):
            t.eq(view.name(line["path"]), path, f"path of {word!r}")
            t.true(not set(line["path"]) & set(" \t\n"), f"columns of {word!r}")
        h.unpin_all()
        h.munmap(addr, SIZE)
        h.close(fd)
        os.unlink(path)
    path = t.file()
    h = t.holder(path)
    h.rename(path, path + " new")
    t.eq({s["path"] for s in view.lines()}, {path + "\\040new"}, "renamed")
    h.unlink(path + " new")
    t.eq({s["path"] for s in view.lines()}, {path + "\\040new\\040(deleted)"},
         "deleted")


@test
def odd_commands(t):
    path = t.file()
    h = t.proc()
    h.fd = h.open(path)
    h.lease(h.fd)
    at = h.mmap(h.fd, SIZE)
    h.be_called("a b\tc\\d")
    h.pin(at, SIZE)
    t.eq([view.name(s["comm"]) for s in view.lines(path)], ["a b\tc\\d"] * 2,
         "comm")
    h.be_called("new")
    t.eq([view.name(s["comm"]) for s in view.lines(path)],
         ["new", "a b\tc\\d"], "comm of the lease now, of the pin then")


@test
def long_path(t):
    """Longer than the page that a seq_file begins with."""
    where = [guest.DAX]
    fd = os.open(guest.DAX, os.O_RDONLY)
    for i in range(24):
        name = f"{i:02}" + "x" * 248
        os.mkdir(name, dir_fd=fd)
        inner = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
        where.append(name)
    os.fchdir(fd)
    os.close(fd)
    h = t.proc()
    guest.make_file("f", SIZE)
    h.hold("f", SIZE)
    for line in view.lines("f"):
        t.eq(line["path"], "/".join(where) + "/f", "path")
    h.kill()
    os.chdir("/")


@test
def unreachable(t):
    """From where the file is not: another root."""
    path = t.file()
    t.holder(path)
    r = t.proc()
    fd = r.open("/proc/" + view.HOLDERS, os.O_RDONLY)
    t.eq({s["path"] for s in view.parse(r.pread(fd, 4096, 0).decode())}, {path},
         "before")
    r.chroot("/run")
    t.eq({s["path"] for s in view.parse(r.pread(fd, 4096, 0).decode())},
         {"(unreachable)" + path}, "from another root")
