# SPDX-License-Identifier: GPL-2.0
"""
Processes that do what a test tells them: holders and breakers.

    p = Proc()
    fd = p.open(path)           # a method of Ops, run in the process
    later = p.go.truncate(path, 0)      # started, not waited for
    later.errno()               # its errno, or 0
"""
import errno
import os
import pickle
import select
import signal
import struct
import time

from . import calls
from .ops import Ops


class Died(Exception):
    def __init__(self, status):
        sig = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        super().__init__(f"process died: signal {sig}, status {status:#x}")
        self.signal = sig


class Timeout(Exception):
    pass


class Pending:
    """A call under way in another process."""

    def __init__(self, proc, what):
        self.proc, self.what = proc, what
        self.answer = None

    def done(self, timeout=0.0):
        if self.answer is not None:
            return True
        if not select.select([self.proc.replies], [], [], timeout)[0]:
            return False
        self.answer = self.proc.read_answer()
        return True

    def result(self, timeout=60.0):
        if not self.done(timeout):
            raise Timeout(f"{self.what} not back after {timeout:.1f} s")
        kind, value, self.began, self.ended = self.answer
        if kind == "errno":
            raise OSError(value, f"{self.what}: {os.strerror(value)}")
        if kind == "error":
            raise RuntimeError(f"{self.what}: {value}")
        return value

    def errno(self, timeout=60.0):
        try:
            self.result(timeout)
        except OSError as e:
            return e.errno
        return 0

    @property
    def took(self):
        return self.ended - self.began


class Go:
    def __init__(self, proc):
        self.proc = proc

    def __getattr__(self, name):
        return lambda *args, **kw: self.proc.start(name, args, kw)


class Proc:
    def __init__(self, parent=None, **how):
        """A child of the test; with parent, a fork of that process."""
        req_r, self.requests = os.pipe()
        self.replies, rep_w = os.pipe()
        self.pid = parent.clone(os.getpid(), req_r, rep_w, **how) if parent \
            else os.fork()
        if self.pid == 0:
            calls.prctl(calls.PR_SET_PDEATHSIG, signal.SIGKILL)
            os.close(self.requests)
            os.close(self.replies)
            try:
                serve(req_r, rep_w)
            finally:
                os._exit(0)
        os.close(req_r)
        os.close(rep_w)
        self.status = None
        self.go = Go(self)

    def __getattr__(self, name):
        return lambda *args, **kw: self.start(name, args, kw).result()

    def start(self, name, args, kw):
        data = pickle.dumps((name, args, kw))
        try:
            os.write(self.requests, struct.pack("I", len(data)) + data)
        except BrokenPipeError:
            raise Died(self.wait()) from None
        return Pending(self, name)

    def errno(self, name, *args, **kw):
        return self.start(name, args, kw).errno()

    def read_answer(self):
        size = read_all(self.replies, 4)
        if size is None:
            raise Died(self.wait())
        return pickle.loads(read_all(self.replies, struct.unpack("I", size)[0]))

    def signal(self, sig):
        os.kill(self.pid, sig)

    def wait(self, timeout=20.0):
        """The wait status, once the process has ended."""
        if self.status is None:
            pidfd = os.pidfd_open(self.pid)
            ready = select.select([pidfd], [], [], timeout)[0]
            os.close(pidfd)
            if not ready:
                raise Timeout(f"process {self.pid} not gone after {timeout} s")
            self.status = os.waitpid(self.pid, 0)[1]
        return self.status

    def alive(self):
        if self.status is not None:
            return False
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.status = status
        return not pid

    def kill(self):
        if self.alive():
            self.signal(signal.SIGKILL)
        return self.wait()


def read_all(fd, size):
    data = b""
    while len(data) < size:
        more = os.read(fd, size - len(data))
        if not more:
            return None
        data += more
    return data


def answer(replies, kind, value, began):
    data = pickle.dumps((kind, value, began, time.monotonic()))
    os.write(replies, struct.pack("I", len(data)) + data)


def serve(requests, replies):
    loop(Ops((requests, replies)))


def loop(ops):
    requests, replies = ops.channel
    while True:
        ready = select.select([requests, ops.sigfd] if ops.reaction
                              else [requests], [], [])[0]
        if ops.reaction and ops.sigfd in ready:
            ops.run_reaction()
            continue
        size = read_all(requests, 4)
        if size is None:
            return
        name, args, kw = pickle.loads(
            read_all(requests, struct.unpack("I", size)[0]))
        began = time.monotonic()
        try:
            kind, value = "ok", getattr(ops, name)(*args, **kw)
        except OSError as e:
            kind, value = "errno", e.errno or errno.EIO
        except Exception as e:  # reported to the test, which then fails
            kind, value = "error", f"{type(e).__name__}: {e}"
        answer(replies, kind, value, began)
