# SPDX-License-Identifier: GPL-2.0
"""
What happens between the moment when a pin is admitted and the one when it is on
record.
"""
import errno
import os
import time

from lib import guest, view
from lib.calls import F_UNLCK
from lib.case import RACES, test
from lib.faults import PAGE, InFlight

SIZE = guest.MIB


def on_its_way(t, path, lease=True, **kw):
    """A process and its pin, see InFlight."""
    p = t.proc()
    p.fd = p.open(path)
    if lease:
        p.lease(p.fd)
    return p, InFlight(p, p.fd, SIZE, **kw)


def at_once(t, call, what):
    """Long before the step of a break would be over."""
    t.errno(0, call, what)
    t.between(0, call.took, t.break_time / 3, what)


@test(kernels=RACES)
def it_gets_there(t):
    path = t.file(SIZE)
    p, pin = on_its_way(t, path)
    t.eq(pin.go_on(), 0, "pin")
    t.errno(errno.EBUSY, p.go.lease(p.fd, F_UNLCK), "F_UNLCK")
    cut = t.proc().go.truncate(path, 0)
    t.true(p.sig(), "no notice")
    p.unpin_all()
    t.errno(0, cut, "truncate")


@test(kernels=RACES)
def break_that_begins_meanwhile(t):
    """It waits for the pin, which is refused then, and goes on at once."""
    path = t.file(SIZE)
    p, pin = on_its_way(t, path)
    cut = t.proc().go.truncate(path, 0)
    t.blocked(cut, "truncate")
    t.eq(os.stat(path).st_size, SIZE, "size")
    began = time.monotonic()
    # The kernel asks anew for what is behind the page that faulted: EFAULT, if
    # the truncate has been done meanwhile. What it was told first is in the trace.
    got = pin.go_on()
    t.true(got in (errno.EAGAIN, errno.EFAULT), f"pin: {errno.errorcode.get(got, got)}")
    t.eq({fields["result"] for _, _, fields in guest.trace_events("deny", pid=p.pid)},
         {str(-errno.EAGAIN)}, "what the pin was told")
    t.errno(0, cut, "truncate")
    t.between(0, cut.ended - began, t.break_time / 3,
              "from the end of the pin to that of the truncate")
    t.eq(os.stat(path).st_size, 0, "size")
    p.lease(p.fd, F_UNLCK)
    p.kill()
    guest.wait_for(lambda: not guest.module_users(), "nothing is left")


@test(kernels=RACES)
def break_of_other_pages(t):
    """Is no concern of it, nor it of that one's."""
    path = t.file(8 * guest.MIB)
    p, pin = on_its_way(t, path)
    b = t.proc()
    at_once(t, b.go.truncate(path, 4 * guest.MIB), "truncate")
    t.eq(pin.go_on(), 0, "pin")
    p.unpin_all()


@test(kernels=RACES)
def killed_meanwhile(t):
    """Nothing is left of it, and nobody waits for it any more."""
    path = t.file(SIZE)
    p, _ = on_its_way(t, path)
    cut = t.proc().go.truncate(path, 0)
    t.blocked(cut, "truncate")
    began = time.monotonic()
    p.kill()
    t.errno(0, cut, "truncate")
    t.between(0, cut.ended - began, t.break_time / 3,
              "from the end of the process to that of the truncate")
    guest.wait_for(lambda: not guest.module_users(), "nothing is left")


@test(kernels=RACES)
def unpinned_by_another_meanwhile(t):
    """
    While a pin is on its way nobody knows whose pins are left: when nothing has
    come of it somebody looks again.
    """
    path = t.file(SIZE)
    h, other = (t.holder(path, SIZE, kind="gup", lease=None) for _ in "12")
    p, _ = on_its_way(t, path, lease=False)
    h.unpin_all()
    t.eq(view.settled()["records"], 2, "records, of one of which the pins are")
    p.kill()
    guest.wait_for(lambda: view.stat()["records"] == 1, "one of them is closed")
    other.unpin_all()


@test(kernels=RACES)
def lease_given_back_meanwhile(t):
    """It is charged to what there is when it is done."""
    path = t.file(SIZE)
    guest.set_sysctl("require_lease", 1)
    p, pin = on_its_way(t, path)
    other = t.proc()
    other.lease(other.take_fd(p.pid, p.fd), F_UNLCK)
    t.eq(pin.go_on(), errno.ENOLCK, "pin")
    at_once(t, other.go.truncate(path, 0), "truncate")


@test(kernels=RACES)
def mapping_changed_meanwhile(t):
    """Other pages than those that were admitted are not pinned."""
    path, other = t.file(SIZE), t.file(SIZE)
    p, pin = on_its_way(t, path)
    p.map_at(pin.addr, p.open(other), SIZE)
    t.eq(pin.go_on(), errno.EAGAIN, "pin")
    b = t.proc()
    for name in (path, other):
        at_once(t, b.go.truncate(name, 0), f"truncate of {name}")


@test(kernels=RACES)
def offset_changed_meanwhile(t):
    """The same file, but elsewhere in it."""
    path = t.file(8 * guest.MIB)
    p, pin = on_its_way(t, path)
    p.map_at(pin.addr, p.fd, SIZE, 4 * guest.MIB)
    t.eq(pin.go_on(), errno.EAGAIN, "pin")
    at_once(t, t.proc().go.truncate(path, 0), "truncate")


@test(kernels=RACES)
def file_mapped_meanwhile(t):
    """Where there was anonymous memory when it was asked for."""
    path, other = t.file(SIZE), t.file(SIZE)
    p, pin = on_its_way(t, path, between=1)
    p.map_at(pin.addr - PAGE, p.open(other), PAGE)
    t.eq(pin.go_on(), errno.EAGAIN, "pin")
    b = t.proc()
    for name in (path, other):
        at_once(t, b.go.truncate(name, 0), f"truncate of {name}")
