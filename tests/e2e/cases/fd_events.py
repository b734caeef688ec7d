# SPDX-License-Identifier: GPL-2.0
"""What a lease fd says of breaks: whom they concern, until when, how they end."""
import errno
import os
import re
import select
import time

from lib import guest
from lib.breaks import NOTICE
from lib.calls import F_LONGTERM, PUNCH_HOLE
from lib.case import test
from lib.leasefd import BREAKING, HELD, MERGED, NONBLOCK, REVOKED

from .fd import PAGE, SIZE, forgotten, held, page_holder


FAR = 600   # beyond what a break of the first pages closes to new pins


def punch(b, fd, page, pages=1):
    return b.go.fallocate(fd, PUNCH_HOLE, page * PAGE, pages * PAGE)


@test
def a_break_from_its_begin_to_its_end(t):
    path = t.file()
    # Without a tag: what a break waits for is off the record when it ends.
    h = page_holder(t, path, 4, 2, kind="gup")
    b = t.proc()
    before = time.monotonic()
    cut = punch(b, b.open(path), 5, 3)
    event = h.fd_event(h.lease_fd, NOTICE)
    t.true(event, "no event")
    now = time.monotonic()
    t.eq((event["size"], event["type"], event["flags"], event["reserved"],
          event["generation"], event["start"], event["end"], event["pinned"]),
         (56, "break", 0, 0, 0, 5 * PAGE, 8 * PAGE, PAGE), "event")
    t.between(before + t.break_time - 0.01, event["deadline"] / 1e9,
              now + t.break_time, "deadline")
    info = h.fd_info(h.lease_fd)
    t.eq((info["state"], info["generation"], info["break_start"],
          info["break_end"], info["pinned"], info["deadline"]),
         (BREAKING, 0, 5 * PAGE, 8 * PAGE, 2 * PAGE, event["deadline"]),
         "INFO")
    t.between(0, info["left"] / 1e9, t.break_time, "left")
    t.blocked(cut, "punch")
    t.eq(h.fd_types(h.lease_fd), [], "more events")
    h.unpin_all()
    t.errno(0, cut, "punch")
    event = h.fd_event(h.lease_fd, NOTICE)
    t.eq((event["type"], event["generation"], event["start"], event["end"],
          event["deadline"], event["pinned"]),
         ("end", 1, 5 * PAGE, 8 * PAGE, 0, 0), "event at the end")
    info = h.fd_info(h.lease_fd)
    t.eq((info["state"], info["generation"], info["break_end"],
          info["deadline"], info["left"]), (HELD, 1, 0, 0, 0), "INFO then")
    t.eq(h.sig(0), None, "signal")
    h.pin(h.addr, 2 * PAGE)
    t.eq([row["lease"] != "-" for row in held(path)], [True], "charged again")


@test
def others_ranges_are_no_concern(t):
    path = t.file()
    h = page_holder(t, path, 4)
    other = page_holder(t, path, FAR)
    b = t.proc()
    cut = punch(b, b.open(path), FAR)
    t.eq(other.fd_event(other.lease_fd, NOTICE)["type"], "break", "event")
    t.eq(h.fd_poll(h.lease_fd), 0, "poll")
    t.eq(h.fd_info(h.lease_fd)["state"], HELD, "state")
    h.unpin_all()
    h.pin(h.addr, PAGE)
    other.unpin_all()
    t.errno(0, cut, "punch")
    t.eq(h.fd_info(h.lease_fd)["generation"], 0, "generation")
    t.eq(other.fd_info(other.lease_fd)["generation"], 1, "other's generation")
    t.eq(h.fd_types(h.lease_fd), [], "events")


@test
def over_for_it_when_its_own_break_is(t):
    """Though another one is under way on the same file."""
    path = t.file()
    h, other = page_holder(t, path, 4), page_holder(t, path, FAR)
    near = page_holder(t, path, FAR + 2)
    b, c = t.proc(), t.proc()
    long = punch(c, c.open(path), FAR)
    t.true(other.fd_event(other.lease_fd, NOTICE), "the other's event")
    short = punch(b, b.open(path), 4)
    t.true(h.fd_event(h.lease_fd, NOTICE), "event")
    h.unpin_all()
    t.errno(0, short, "first punch")
    t.eq(h.fd_event(h.lease_fd, NOTICE)["type"], "end", "event")
    h.pin(h.addr, PAGE)
    t.eq(other.fd_types(other.lease_fd), [], "the other's events")
    t.blocked(long, "second punch")
    # What is near stays closed, so that no end is said there.
    other_cut = punch(b, b.open(path), FAR + 2)
    t.true(near.fd_event(near.lease_fd, NOTICE), "the near one's event")
    near.unpin_all()
    t.errno(0, other_cut, "third punch")
    t.eq(near.fd_types(near.lease_fd), [], "the near one's events")
    other.unpin_all()
    t.errno(0, long, "second punch")
    for h in (other, near):
        t.eq(h.fd_event(h.lease_fd, NOTICE)["type"], "end", "its end")


@test
def a_change_without_pins_is_counted(t):
    path = t.file()
    p, b = t.proc(), t.proc()
    lease = p.fd_lease(p.open(path), 2 * PAGE, PAGE)
    fd = b.open(path)
    punch(b, fd, 3).result()
    t.eq(p.fd_info(lease)["generation"], 0, "beside it")
    punch(b, fd, 2).result()
    punch(b, fd, 0, 8).result()
    t.eq(p.fd_info(lease)["generation"], 2, "in it")
    b.truncate(path, PAGE)
    t.eq(p.fd_info(lease)["generation"], 3, "truncate")
    b.truncate(path, SIZE)
    t.eq(p.fd_info(lease)["generation"], 3, "growing")
    t.eq(p.fd_types(lease), [], "events")


@test
def more_of_the_lease_comes_to_be_concerned(t):
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    lease = p.fd_lease(fd)
    for page in (4, 20, 40):
        p.pin(p.mmap(fd, PAGE, page * PAGE), PAGE)
    b, c, d, e = t.proc(), t.proc(), t.proc(), t.proc()
    first = punch(b, b.open(path), 4)
    event = p.fd_event(lease, NOTICE)
    t.eq((event["start"], event["end"]), (4 * PAGE, 5 * PAGE), "first")
    second = punch(c, c.open(path), 40)
    event = p.fd_event(lease, NOTICE)
    t.eq((event["type"], event["start"], event["end"], event["pinned"]),
         ("break", 40 * PAGE, 41 * PAGE, PAGE), "second")
    third = punch(d, d.open(path), 40)
    t.blocked(third, "third punch")
    t.eq(p.fd_types(lease), [], "told twice")
    between = punch(e, e.open(path), 20)
    event = p.fd_event(lease, NOTICE)
    t.true(event, "no event for what lies between the others")
    t.eq((event["type"], event["start"], event["end"]),
         ("break", 20 * PAGE, 21 * PAGE), "between the others")
    p.unpin_all()
    for cut in (first, second, third, between):
        t.errno(0, cut, "punch")
    event = p.fd_event(lease, NOTICE)
    t.eq((event["type"], event["generation"]), ("end", 4), "end")


@test(break_time=1, limit=30)
def who_does_not_react_is_revoked(t):
    path = t.file()
    h = page_holder(t, path, 4)
    h.block_sigbus()
    b = t.proc()
    cut = punch(b, b.open(path), 4)
    t.eq(h.fd_event(h.lease_fd, NOTICE)["type"], "break", "event")
    event = h.fd_event(h.lease_fd, NOTICE)
    t.eq((event["type"], event["pinned"]), ("revoked", PAGE), "event")
    t.eq(h.sigbus()["addr"], h.addr, "SIGBUS")
    t.true(h.fd_poll(h.lease_fd) & select.POLLHUP, "no POLLHUP")
    t.eq(h.fd_info(h.lease_fd)["state"], REVOKED, "state")
    t.true("REVOKED" in guest.locks(path)[0], "/proc/locks")
    t.errno(errno.ETXTBSY, cut, "punch")
    t.eq(h.fd_event(h.lease_fd, NOTICE)["type"], "end", "event")
    t.eq(h.fd_read(h.lease_fd), [], "read at the end")
    t.errno(errno.ESTALE, t.fork(h).go.fd_adopt(h.lease_fd), "ADOPT")
    h.pin(h.mmap(h.fd, PAGE, 8 * PAGE), PAGE)
    t.eq([row["kind"] for row in held(path)], ["breakable", "automatic"],
         "what is pinned then")
    h.unpin_all()
    forgotten(path)
    new = h.fd_lease(h.fd, 4 * PAGE, PAGE)
    h.pin(h.addr, PAGE)
    t.eq([row["lease"] for row in held(path) if row["start"] == str(4 * PAGE)],
         [row["lease"] for row in held(path, "lease")
          if row["state"] == "held"], "charged to the new one")
    h.close(new)
    t.eq(h.sigbus(0), None, "second SIGBUS")


@test(break_time=1, limit=30)
def each_breaker_gives_those_it_concerns_their_time(t):
    """Who hears of a break late has as long as who heard of it early."""
    path = t.file()
    step = 2
    guest.set_step(step)
    early, late = page_holder(t, path, 4), page_holder(t, path, 40)
    for h in (early, late):
        h.block_sigbus()
    b, c = t.proc(), t.proc()
    first = punch(b, b.open(path), 4)
    t.true(early.fd_event(early.lease_fd, NOTICE), "first event")
    # The ladder of the first is past its notice when the second begins.
    t.true(early.sigbus(), "no SIGBUS for the first")
    began = time.monotonic()
    second = punch(c, c.open(path), 40)
    event = late.fd_event(late.lease_fd, NOTICE)
    t.between(began + step * guest.SLOW - 0.05, event["deadline"] / 1e9,
              time.monotonic() + step, "deadline of the second")
    # Nor does one more breaker of the same page take away from it.
    d = t.proc()
    third = punch(d, d.open(path), 40)
    t.errno(errno.ETXTBSY, first, "first punch")
    got = late.sigbus()
    t.true(got["at"] >= event["deadline"] / 1e9, "SIGBUS before the deadline")
    t.errno(errno.ETXTBSY, second, "second punch")
    t.errno(errno.ETXTBSY, third, "third punch")
    t.between(2 * step * guest.SLOW - 0.1, second.took, 3 * step,
              "time of the second")
    t.eq([h.fd_types(h.lease_fd) for h in (early, late)],
         [["revoked", "end"]] * 2, "events")


@test(limit=30)
def nobody_reads(t):
    """Breaks are not held up, nothing grows, nothing is lost."""
    path = t.file()
    h, b = t.proc(), t.proc()
    fd, other = h.open(path), b.open(path)
    lease = h.fd_lease(fd)
    rounds = 20
    for i in range(rounds):
        page = 2 + i
        h.pin(h.mmap(fd, PAGE, page * PAGE), PAGE)
        cut = punch(b, other, page)
        guest.wait_for(lambda: h.fd_info(lease)["state"] == BREAKING, "break")
        h.unpin_all()
        t.errno(0, cut, f"punch {i}")
    one, end = h.fd_read(lease)
    t.eq((one["type"], one["flags"], one["start"], one["end"],
          one["generation"]),
         ("break", MERGED, 2 * PAGE, (2 + rounds) * PAGE, rounds - 1), "break")
    t.eq((end["type"], end["flags"], end["generation"]), ("end", 0, rounds),
         "end")
    t.eq(h.fd_types(lease), [], "more")


@test
def taking_one_waits_for_the_change_of_its_range(t):
    path = t.file()
    h = page_holder(t, path, 4)
    b, p, q = t.proc(), t.proc(), t.proc()
    cut = punch(b, b.open(path), 4)
    t.true(h.fd_event(h.lease_fd, NOTICE), "event")
    fd = p.open(path)
    p.fd_lease(fd, 600 * PAGE, PAGE)
    t.errno(errno.EAGAIN, p.go.fd_lease(fd, 4 * PAGE, PAGE, NONBLOCK),
            "NONBLOCK")
    t.errno(errno.EAGAIN, p.go.fd_lease(p.open(path, os.O_RDWR | os.O_NONBLOCK),
                                        4 * PAGE, PAGE), "O_NONBLOCK")
    q.catch_sigusr1()
    again = q.go.fd_lease(q.open(path), 4 * PAGE, PAGE)
    t.blocked(again, "LEASE")
    q.signal(10)
    t.errno(errno.EINTR, again, "LEASE and a signal")
    more = p.go.fd_lease(fd, 4 * PAGE, PAGE)
    t.blocked(more, "LEASE")
    h.unpin_all()
    t.errno(0, cut, "punch")
    t.eq(p.fd_types(more.result()), [], "events")


@test
def both_doors_of_one_file(t):
    """A fcntl lease gets its signal, a lease fd its event, for one break."""
    path = t.file()
    h, f = page_holder(t, path, 4), t.proc()
    fd = f.open(path)
    f.lease(fd)
    b = t.proc()
    cut = punch(b, b.open(path), 4)
    t.true(f.sig(NOTICE), "no signal")
    t.true(h.fd_event(h.lease_fd, NOTICE), "no event")
    info = f.fd_info(file=fd)
    t.eq((info["state"], info["break_start"], info["break_end"],
          info["pinned"]), (BREAKING, 4 * PAGE, 5 * PAGE, 0), "fcntl's INFO")
    h.unpin_all()
    t.errno(0, cut, "punch")
    t.eq(f.fd_info(file=fd)["generation"], 1, "generation")
    t.eq(f.getlease(fd), F_LONGTERM, "F_GETLEASE")


@test
def a_break_without_a_change(t):
    path = t.file()
    h = page_holder(t, path, 4)
    b = t.proc()
    fd = b.open(path)
    b.pwrite(fd, b"x" * PAGE, 4 * PAGE)
    before = b.blocks("extents", path)
    t.errno(0, b.go.fd_break(fd, 40 * PAGE, PAGE), "where nothing is pinned")
    call = b.go.fd_break(fd, 4 * PAGE, PAGE)
    event = h.fd_event(h.lease_fd, NOTICE)
    t.eq((event["type"], event["start"], event["end"]),
         ("break", 4 * PAGE, 5 * PAGE), "event")
    t.blocked(call, "BREAK")
    h.unpin_all()
    t.errno(0, call, "BREAK")
    t.eq([(e["type"], e["generation"]) for e in h.fd_events(h.lease_fd)],
         [("end", 0)], "events")
    t.eq(b.blocks("extents", path), before, "blocks")
    t.eq(b.pread(fd, PAGE, 4 * PAGE), b"x" * PAGE, "data")
    h.pin(h.addr, PAGE)
    nonblocking = b.open(path, os.O_RDWR | os.O_NONBLOCK)
    t.errno(errno.EAGAIN, b.go.fd_break(nonblocking), "O_NONBLOCK")
    t.eq(h.fd_event(h.lease_fd, NOTICE)["type"], "break", "event")
    h.unpin_all()
    t.errno(0, b.go.fd_break(nonblocking), "O_NONBLOCK without pins")
    t.eq(h.fd_event(h.lease_fd, NOTICE)["type"], "end", "event")


@test(break_time=1, limit=30)
def a_break_without_a_change_has_the_whole_ladder(t):
    path = t.file()
    h = t.holder(path)
    h.block_sigbus()
    b = t.proc()
    t.errno(errno.ETXTBSY, b.go.fd_break(b.open(path), 0, 0), "BREAK")
    t.true(h.sig(0), "no SIGIO")
    t.true(h.sigbus(0), "no SIGBUS")
    t.eq(h.fd_info(file=h.fd)["state"], REVOKED, "state")


@test
def a_break_without_a_change_is_interrupted(t):
    path = t.file()
    h = page_holder(t, path, 4)
    b, c = t.proc(), t.proc()
    b.catch_sigusr1()
    call = b.go.fd_break(b.open(path), 4 * PAGE, PAGE)
    t.true(h.fd_event(h.lease_fd, NOTICE), "event")
    t.blocked(call, "BREAK")
    b.signal(10)
    t.errno(errno.EINTR, call, "BREAK")
    t.eq(h.fd_types(h.lease_fd), [], "over, though it may come back")
    again = c.go.fd_break(c.open(path), 4 * PAGE, PAGE)
    t.blocked(again, "BREAK by another")
    t.eq(h.fd_types(h.lease_fd), [], "a second notice")
    h.unpin_all()
    t.errno(0, again, "BREAK by another")
    guest.wait_for(lambda: h.fd_info(h.lease_fd)["state"] == HELD,
                   "the end", 2 * t.break_time)


@test
def rehearsals_sleep(t):
    """Two that wait on one file do not wake each other without end."""
    path = t.file()
    page_holder(t, path, 4)
    both = [t.proc() for _ in range(2)]
    calls = [b.go.fd_break(b.open(path), 4 * PAGE, PAGE) for b in both]
    for call in calls:
        t.blocked(call, "BREAK")

    def switches():
        text = "".join(guest.read(f"/proc/{b.pid}/status") for b in both)
        return sum(map(int, re.findall(r"voluntary_ctxt_switches:\s(\d+)", text)))
    before = switches()
    third = t.proc().go.fd_break(t.procs[-1].open(path), 4 * PAGE, PAGE)
    t.blocked(third, "a third BREAK")
    t.true(switches() - before < 20, f"{switches() - before} times awake")
    t.end_all()


@test
def one_s_own_break(t):
    """Alone it would wait for itself; with a thread it is told."""
    path = t.file()
    h = page_holder(t, path, 4)
    t.errno(errno.EDEADLK, h.go.fd_break(h.fd, 4 * PAGE, PAGE), "BREAK")
    t.eq(h.fd_types(h.lease_fd), [], "events")


@test
def who_may_rehearse(t):
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    for letter in "ai":
        guest.must("chattr", "+" + letter, path)
        t.errno(errno.EPERM, p.go.fd_break(fd), f"chattr +{letter}")
        guest.must("chattr", "-" + letter, path)
    t.errno(0, p.go.fd_break(fd), "BREAK")


@test(limit=60)
def a_thousand_on_one_file(t):
    """A punch in the range of one wakes its holder and no other."""
    count = 1000
    path = t.file(8 * guest.MIB)
    h, b = t.proc(), t.proc()
    fd = h.fd_many(path, count, PAGE)
    other = b.open(path)
    for page in (0, 517, count - 1):
        h.pin(h.mmap(fd, PAGE, page * PAGE), PAGE)
        cut = punch(b, other, page)
        t.eq(h.fd_woken(NOTICE), [page], "woken by the break")
        lease = h.fd_many_lease(page)
        t.eq(h.fd_types(lease), ["break"], "event")
        t.eq(h.fd_woken(0), [], "others")
        h.unpin_all()
        t.errno(0, cut, "punch")
        t.eq(h.fd_woken(NOTICE), [page], "woken by the end")
        t.eq(h.fd_types(lease), ["end"], "event")
        t.eq(h.fd_woken(0), [], "others at the end")
    t.eq(len(guest.locks(path)), count, "lines in /proc/locks")
