# SPDX-License-Identifier: GPL-2.0
"""Real RDMA: the example application, and perftest without us."""
import os
import signal

from lib import clients, guest
from lib.case import UNPATCHED, test
from lib.program import Program, finish, start

EXAMPLE = guest.BIN + "/longterm_rdma"


@test(limit=60, kernels=UNPATCHED)
def perftest_is_refused(t):
    with clients.Memory("dax") as memory:
        for status, out in clients.perftest_ends("ib_write_bw", memory).values():
            t.true(status > 0, f"status {status}:\n{out}")
            t.true("allocate MR" in out, f"another reason:\n{out}")


@test(kernels=UNPATCHED)
def example_is_refused(t):
    for arguments, why in (((), "Invalid argument"),
                           (("--check",), "Operation not supported")):
        status, out = finish(start(EXAMPLE, *arguments, t.file()))
        t.eq(status, 1, f"status:\n{out}")
        t.true(why in out, f"another reason:\n{out}")


@test(limit=40)
def example_survives_a_truncate(t):
    path = t.file()
    app = Program(EXAMPLE, "--fill", "R", path)
    app.until("holding")
    b = t.proc()
    cut = b.go.truncate(path, 2 * guest.MIB)
    app.until("SIGIO")
    app.until("deregistered")
    app.until(f"{2 * guest.MIB} bytes registered")
    t.errno(0, cut, "truncate")
    t.true(cut.took < 1.8 * guest.SLOW, f"truncate took {cut.took:.3f} s")
    # To nothing, and grown again: it goes on.
    b.truncate(path, 0)
    app.until("too few to map")
    b.truncate(path, guest.MIB)
    app.until(f"{guest.MIB} bytes registered")
    guest.wait_for(lambda: open(path, "rb").read(4096) == b"R" * 4096,
                   "RDMA writes reach the file")
    t.eq(app.stop(), 0, f"exit status; {app.lines}")
    t.eq(os.stat(path).st_size, guest.MIB, "size")


@test(limit=40, break_time=1)
def example_that_ignores_is_stopped(t):
    path = t.file()
    app = Program(EXAMPLE, "--ignore", path)
    app.until("holding")
    cut = t.proc().go.truncate(path, 0)
    t.errno(0, cut, "truncate")
    t.eq(app.process.wait(20), -signal.SIGBUS, "how it ended")
    t.between(0.9, cut.took, 1.9, "truncate")


@test(limit=40)
def example_is_slow_but_in_time(t):
    path = t.file()
    app = Program(EXAMPLE, "--delay-ms", "700", path)
    app.until("holding")
    cut = t.proc().go.truncate(path, 0)
    t.errno(0, cut, "truncate")
    t.between(0.7, cut.took, 1.8, "truncate")
    app.until("too few to map")
    t.eq(app.stop(), 0, "exit status")


@test(limit=40)
def example_unbreakable(t):
    path = t.file()
    app = Program(EXAMPLE, "--unbreakable", path)
    app.until("holding")
    b = t.proc()
    t.errno(26, b.go.truncate(path, 0), "truncate")     # ETXTBSY
    t.eq(app.stop(), 0, "exit status")
    t.errno(0, b.go.truncate(path, 0), "truncate after it")
