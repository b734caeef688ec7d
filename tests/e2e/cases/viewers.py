# SPDX-License-Identifier: GPL-2.0
"""/proc/fs/longterm/holders: who sees what."""
import contextlib
import errno
import os

from lib import guest, view
from lib.birth import CLONE_NEWNS, CLONE_NEWPID
from lib.calls import F_LONGTERM
from lib.case import test

SIZE = 4 * guest.MIB
ALICE, BOB = 1001, 1002
PLACE = "/run/longterm-e2e-proc"
FILE = "/proc/" + view.HOLDERS


@contextlib.contextmanager
def proc_mount(options):
    """Another /proc, with options of its own."""
    os.makedirs(PLACE, exist_ok=True)
    guest.must("mount", "-t", "proc", "-o", options, "proc", PLACE)
    try:
        yield PLACE
    finally:
        guest.must("umount", PLACE)
        os.rmdir(PLACE)


def as_user(t, uid):
    """One that others of the user may look at."""
    p = t.proc()
    p.drop_to(uid)
    p.dumpable()
    return p


def holder_of(t, uid):
    """A process of the user with a lease and a pin on a file of its own."""
    path = t.file()
    os.chown(path, uid, uid)
    h = t.proc()
    h.fd = h.open(path)
    h.preopen_gup()
    h.drop_to(uid)
    h.dumpable()
    h.lease(h.fd)
    h.pin(h.mmap(h.fd, SIZE), SIZE, "gup")
    return path, h


def paths(lines):
    return sorted({s["path"] for s in lines})


# ---- other users

@test
def paths_of_others(t):
    """Who may not look at the holder's maps sees what /proc/locks tells."""
    path, h = holder_of(t, ALICE)
    bob = as_user(t, BOB)
    t.eq(paths(view.lines(path)), [path], "root")
    t.eq(paths(view.lines(path, reader=h)), [path], "the holder")
    got = view.lines(path, reader=bob)
    t.eq([(s["what"], s["pid"], s["path"], s["mount"], s["bytes"])
          for s in got],
         [(what, str(h.pid), "-", "-", str(SIZE)) for what in ("lease", "pin")],
         "another user")
    # As it is with /proc/PID/maps.
    t.errno(errno.EACCES, bob.go.read(f"/proc/{h.pid}/maps"), "maps")


@test
def paths_of_the_same_user(t):
    """As /proc/PID/maps: not of a process that has dropped rights itself."""
    path, h = holder_of(t, ALICE)
    alice = as_user(t, ALICE)
    for dumpable in True, False:
        h.dumpable(dumpable)
        t.eq(paths(view.lines(path, reader=alice)), [path if dumpable else "-"],
             f"dumpable: {dumpable}")
        t.errno(0 if dumpable else errno.EACCES,
                alice.go.read(f"/proc/{h.pid}/maps"), "maps")


@test
def path_of_a_break(t):
    """It is a holder's, and for those who may look at that one."""
    path, h = holder_of(t, ALICE)
    os.chmod(path, 0o666)
    bob = as_user(t, BOB)
    cut = t.proc().go.truncate(path, 0)
    t.blocked(cut, "truncate")
    t.eq(paths(view.lines(path, "break")), [path], "root")
    t.eq(paths(view.lines(path, "break", h)), [path], "the holder")
    t.eq(paths(view.lines(path, "break", bob)), ["-"], "another user")
    h.unpin_all()
    t.errno(0, cut, "truncate")


@test
def rights_of_the_opener(t):
    """What was open before rights were dropped or won shows what it did."""
    path, _ = holder_of(t, ALICE)
    was_root, bob, root = t.proc(), t.proc(), t.proc()
    fd = was_root.open(FILE, os.O_RDONLY)
    was_root.drop_to(BOB)
    bob.drop_to(BOB)
    other = root.take_fd(bob.pid, bob.open(FILE, os.O_RDONLY))

    def seen(p, fd):
        return paths(view.of(path, view.parse(p.pread(fd, 8192, 0).decode())))
    t.eq(seen(was_root, fd), [path], "opened by root")
    t.eq(seen(root, other), ["-"], "opened by another user, read by root")


# ---- hidepid=

# Who sees the lines of a process of Alice: (root, itself, Bob).
HIDEPID = {
    "hidepid=off": (True, True, True),
    "hidepid=noaccess": (True, True, False),
    "hidepid=invisible": (True, True, False),
    "hidepid=ptraceable": (True, True, False),
    f"hidepid=noaccess,gid={BOB}": (True, True, True),
    f"hidepid=invisible,gid={BOB}": (True, True, True),
    f"hidepid=ptraceable,gid={BOB}": (True, True, False),
}


@test
def hidepid(t):
    """
    The lines of a live process, and of one that has gone: there is nobody who
    could be asked whether its user may look.
    """
    path, h = holder_of(t, ALICE)
    bob = as_user(t, BOB)
    gone, dies, heir = t.file(), t.proc(), t.proc()
    dies.hold(gone, SIZE, kind="uring")
    ring, = dies.find_fd("io_uring")
    heir.take_fd(dies.pid, ring)
    dies.kill()
    for options, want in HIDEPID.items():
        with proc_mount(options) as proc:
            for reader, sees in zip((None, h, bob), want):
                who = f"{options}: {reader and reader.pid}"
                lines = view.lines(reader=reader, proc=proc)
                got = view.of(path, lines)
                t.eq([s["what"] for s in got], ["lease", "pin"] if sees else [],
                     who)
                t.eq(paths(got), [] if not sees else
                     ["-"] if reader is bob else [path], f"{who}: path")
                if reader is not h:
                    t.eq([(s["pid"], s["path"]) for s in view.of(gone, lines)],
                         [("0", "-" if reader else gone)] if sees else [],
                         f"{who}: one that has gone")
            # What the mount says of the process itself is no more and no less.
            t.eq(bob.errno("read", f"{proc}/{h.pid}/stat") == 0, want[2],
                 f"{options}: stat")


# ---- pid namespaces

@test
def pid_namespace(t):
    """There: its own processes with its own numbers, no others."""
    path, gone = t.file(), t.file()
    outer = t.holder(path)
    outside = t.proc()
    outside.unshare(CLONE_NEWPID | CLONE_NEWNS)
    _, inner = t.fork(outside), t.fork(outside)
    inner.hold(path, SIZE, kind="uring", lease=F_LONGTERM)
    dies = t.holder(gone, kind="uring")
    ring, = dies.find_fd("io_uring")
    t.proc().take_fd(dies.pid, ring)
    dies.kill()
    os.makedirs(PLACE, exist_ok=True)
    try:
        inner.own_proc(PLACE)

        def numbers(**kw):
            return sorted((s["what"], s["pid"]) for s in view.lines(**kw))
        t.eq(numbers(reader=inner, proc=PLACE),
             [("lease", "2"), ("pin", "2")], "in the namespace")
        t.eq(numbers(reader=inner), numbers(), "/proc of out there, in there")
        t.eq(numbers(path=path),
             sorted((what, str(p.pid)) for what in ("lease", "pin")
                    for p in (outer, inner)), "out here")
        t.eq(numbers(path=gone), [("pin", "0")], "gone, out here")
    finally:
        os.rmdir(PLACE)     # with what is mounted on it over there


@test
def mount_namespace(t):
    """The file by its name there, said to be out of reach from here."""
    path = t.file()
    h = t.proc()
    h.unshare(CLONE_NEWNS)
    h.hold(path, SIZE)
    t.eq(paths(view.lines(path, reader=h)), [path], "in there")
    t.eq(paths(view.lines(path)), ["(unreachable)" + path], "out here")
