# SPDX-License-Identifier: GPL-2.0
"""The events of group longterm, and the recipes of Documentation/tracing.rst."""
import collections
import errno
import os
import re
import signal

from lib import guest, recipes
from lib.calls import F_UNLCK, PUNCH_HOLE
from lib.case import BTF, test

SIZE = 4 * guest.MIB
HALF = SIZE // 2
END = (1 << 63) - 1
DATA = guest.DAX + "/data"      # the file of all recipes
PERIOD = 1


def fields(path, start, end, proc, result=0):
    st = os.stat(path)
    return (f"dev={os.major(st.st_dev)}:{os.minor(st.st_dev)} ino={st.st_ino} "
            f"start={start} end={end} pid={proc.pid} result={result}")


def stories(*names):
    """All events but the machine's steps; with names, only those."""
    return [(name, text) for name, text in recipes.traced()
            if name != "break_state" and (not names or name in names)]


# ---- what each event says

@test
def of_a_break_that_goes_on(t):
    path = t.file()
    h, b = t.proc(), t.proc()
    h.fd, h.addr = h.hold(path, HALF, offset=HALF)
    punch = b.go.fallocate(b.open(path), PUNCH_HOLE, 4096, SIZE - 4096)
    t.true(h.sig(), "no notice")
    guest.wait_for(lambda: guest.trace_events("break_wait"), "it waits")
    h.unpin_all()
    t.errno(0, punch, "punch")
    h.lease(h.fd, F_UNLCK)
    t.eq(stories(), [
        ("lease_take", fields(path, 0, END, h)),
        ("pin", fields(path, HALF, SIZE, h)),
        ("break_begin", fields(path, 4096, SIZE, b)),
        ("sigio", fields(path, 0, END, h)),
        ("break_wait", fields(path, 4096, SIZE, b)),
        ("unpin", fields(path, HALF, SIZE, h)),
        ("break_end", fields(path, 4096, SIZE, b)),
        ("lease_release", fields(path, 0, END, h)),
    ], "events")
    steps = [text.split("ino=")[1] for name, text in recipes.traced()
             if name == "break_state"]
    ino = guest.inode_of(path)
    t.eq(steps, [f"{ino} from=idle input=begin to=notified",
                 f"{ino} from=notified input=done to=idle"], "steps")


@test(break_time=PERIOD)
def of_holders_that_are_stopped(t):
    """One dies of SIGBUS, one of SIGKILL; a third can't be stopped."""
    guest.set_sysctl("sigkill", 1)
    path = t.file(3 * HALF)
    bus, kill, stays = [t.proc() for _ in range(3)]
    for i, h in enumerate((bus, kill, stays)):
        h.fd, h.addr = h.hold(path, HALF, offset=i * HALF)
    kill.ignore_sigbus()
    stays.drop_to(guest.NOBODY)     # no longer who it was when it pinned
    b = t.proc()
    t.errno(errno.ETXTBSY, b.go.truncate(path, 4096), "truncate")
    t.eq([os.WTERMSIG(h.wait()) for h in (bus, kill)],
         [signal.SIGBUS, signal.SIGKILL], "what they died of")
    t.eq(sorted(stories("lease_revoke")),
         sorted(("lease_revoke", fields(path, 0, END, h))
                for h in (bus, kill, stays)), "revocations")
    t.eq(sorted(stories("sigbus", "sigkill")), sorted([
        ("sigbus", fields(path, 0, HALF, bus)),
        ("sigbus", fields(path, HALF, SIZE, kill)),
        ("sigkill", fields(path, HALF, SIZE, kill))]), "signals")
    t.eq(stories("busy", "break_end"), [
        ("busy", fields(path, 4096, END, b, -errno.ETXTBSY)),
        ("break_end", fields(path, 4096, END, b, -errno.ETXTBSY))], "the end")


@test
def of_what_is_refused(t):
    path = t.file()
    h = t.proc()
    h.fd = h.open(path)
    guest.set_sysctl("max_leases", 0)
    h.drop_to(guest.NOBODY)
    os.chown(path, guest.NOBODY, guest.NOBODY)
    t.errno(errno.ENOLCK, h.go.lease(h.fd), "lease")
    addr = h.mmap(h.fd, HALF, HALF)
    guest.set_sysctl("require_lease", 1)
    t.errno(errno.ENOLCK, h.go.pin(addr, HALF, "uring"), "pin")
    t.eq(stories(), [
        ("deny", fields(path, 0, END, h, -errno.ENOLCK)),
        ("deny", fields(path, HALF, SIZE, h, -errno.ENOLCK))], "events")


@test
def all_are_told_of(t):
    """In the documentation, and by the tests above."""
    there = {name for name in os.listdir(guest.TRACING + "/events/longterm")
             if name not in ("enable", "filter")}
    told = re.findall(r"^``(\w+)``$", guest.read(recipes.DOC), re.M)
    t.eq(sorted(told), sorted(there), "events in tracing.rst")
    here = guest.read(os.path.abspath(__file__))
    t.eq([name for name in there if f'"{name}"' not in here], [],
         "events that no test here looks at")


# ---- recipes

def held_for_a_while(t):
    """A holder that reacts, but not at once."""
    guest.make_file(DATA, SIZE)
    h = t.holder(DATA)
    h.react(delay=0.2)
    return h


def agrees(t, name):
    """Tool and tracefs tell the same story, in the same words."""
    held_for_a_while(t)
    guest.write(guest.INSTANCE + "/trace", "")
    shown = recipes.events(recipes.run(name))
    t.eq(shown, recipes.traced(), "what it shows")
    t.true({"break_wait", "break_state", "unpin"} <= {n for n, _ in shown},
           f"no break in {shown}")


@test(limit=60)
def trace_cmd(t):
    agrees(t, "trace-cmd")


@test(limit=60)
def perf(t):
    agrees(t, "perf")


@test(limit=60)
def perf_stat(t):
    held_for_a_while(t)
    out = recipes.run("perf-stat")
    counts = {name: int(count) for count, name in
              re.findall(r"^\s*(\d+)\s+longterm:(\w+)", out, re.M)}
    t.eq(counts, {"break_wait": 1, "sigio": 1, "sigbus": 0, "busy": 0}, out)


@test(limit=60, fs="ext4", kernels=BTF)
def bpftrace(t):
    """Who waits, and how long: as long as the holder takes."""
    h = held_for_a_while(t)
    out = recipes.run("bpftrace")
    name, ms, ino, result = re.findall(
        r"^(\S+) waited (\d+) ms for inode (\d+): (-?\d+)$", out, re.M)[0]
    t.eq((name, int(ino), result), ("fallocate", guest.inode_of(DATA), "0"), out)
    began, ended = [guest.trace_events(event)[0][0]
                    for event in ("break_wait", "break_end")]
    t.true(abs(int(ms) / 1000 - (ended - began)) < 0.01,
           f"{ms} ms, not {ended - began} s")
    t.true(int(ms) > 100, f"{ms} ms, but the holder took longer")
    t.true(t.reaction(h), "the holder has not reacted")


@test(limit=60, fs="ext4", kernels=BTF)
def bpftrace_count(t):
    held_for_a_while(t)
    guest.write(guest.INSTANCE + "/trace", "")
    out = recipes.run("bpftrace-count")
    counted = {name: int(count) for name, count in
               re.findall(r"^@\[tracepoint:longterm:(\w+)\]: (\d+)$", out, re.M)}
    t.eq(counted, dict(collections.Counter(n for n, _ in recipes.traced())), out)
    t.true(counted.get("break_wait"), out)
