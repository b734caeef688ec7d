# SPDX-License-Identifier: GPL-2.0
"""Real RDMA: perftest, and the example application."""
import os
import signal
import subprocess

from lib import guest
from lib.case import UNPATCHED, test

EXAMPLE = guest.BIN + "/longterm_rdma"
SIZE = 4 * guest.MIB


def start(*argv):
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process, timeout=60):
    try:
        out = process.communicate(timeout=timeout * guest.SLOW)[0]
    finally:
        process.kill()
    return process.returncode, out


def listening(port):
    """Is a server waiting on that TCP port?"""
    return any(f":{port:04X}" in line.split()[1] and line.split()[3] == "0A"
               for name in ("tcp", "tcp6")
               for line in guest.read("/proc/net/" + name).splitlines()[1:])


def ib_write_bw(t):
    """Server and client of perftest, each on a file: status and output."""
    t.file(SIZE)
    t.file(SIZE)
    command = ["ib_write_bw", "-d", "rxe0", "-F", "-n", "100", "-s", "65536",
               "-p", "18515"]
    server = start(*command, "--mmap=" + guest.DAX + "/f1")
    guest.wait_for(lambda: listening(18515) or server.poll() is not None,
                   "the server listens")
    client = start(*command, "--mmap=" + guest.DAX + "/f2", "127.0.0.1")
    return finish(client), finish(server)


@test(limit=60)
def perftest(t):
    """A program that knows nothing of us, on an automatic lease."""
    client, server = ib_write_bw(t)
    t.eq(client[0], 0, f"client:\n{client[1]}")
    t.true("65536" in client[1], f"no result in:\n{client[1]}")
    t.eq(server[0], 0, f"server:\n{server[1]}")


@test(limit=60, kernels=UNPATCHED)
def perftest_is_refused(t):
    client, server = ib_write_bw(t)
    for status, out in (client, server):
        t.true(status > 0, f"status {status}:\n{out}")
        t.true("allocate MR" in out, f"another reason:\n{out}")


@test(kernels=UNPATCHED)
def example_is_refused(t):
    for arguments, why in (((), "Invalid argument"),
                           (("--check",), "Operation not supported")):
        status, out = finish(start(EXAMPLE, *arguments, t.file()))
        t.eq(status, 1, f"status:\n{out}")
        t.true(why in out, f"another reason:\n{out}")


class Example:
    def __init__(self, *argv):
        self.process = subprocess.Popen(
            [EXAMPLE, *argv], stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.lines = []

    def until(self, word):
        """Read on to a line with this word."""
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if word in line:
                return
        raise AssertionError(f"no {word!r} in {self.lines}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out = self.process.communicate(timeout=30 * guest.SLOW)[0]
        self.lines += out.splitlines()
        return self.process.returncode


@test(limit=40)
def example_survives_a_truncate(t):
    path = t.file()
    app = Example("--fill", "R", path)
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
    app = Example("--ignore", path)
    app.until("holding")
    cut = t.proc().go.truncate(path, 0)
    t.errno(0, cut, "truncate")
    t.eq(app.process.wait(20), -signal.SIGBUS, "how it ended")
    t.between(0.9, cut.took, 1.9, "truncate")


@test(limit=40)
def example_is_slow_but_in_time(t):
    path = t.file()
    app = Example("--delay-ms", "700", path)
    app.until("holding")
    cut = t.proc().go.truncate(path, 0)
    t.errno(0, cut, "truncate")
    t.between(0.7, cut.took, 1.8, "truncate")
    app.until("too few to map")
    t.eq(app.stop(), 0, "exit status")


@test(limit=40)
def example_unbreakable(t):
    path = t.file()
    app = Example("--unbreakable", path)
    app.until("holding")
    b = t.proc()
    t.errno(26, b.go.truncate(path, 0), "truncate")     # ETXTBSY
    t.eq(app.stop(), 0, "exit status")
    t.errno(0, b.go.truncate(path, 0), "truncate after it")
