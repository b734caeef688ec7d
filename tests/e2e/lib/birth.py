# SPDX-License-Identifier: GPL-2.0
"""How a process becomes another one: fork, exec, threads, namespaces, rights."""
import array
import ctypes
import os
import signal
import socket
import struct
import sys
import threading

from . import calls, guest

SYS_EXIT, SYS_SETRESUID, SYS_CLONE3 = 60, 117, 435
CLONE_PARENT = 0x8000
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x10000000, 0x20000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
CLONE_ARGS = struct.Struct("11Q")

# What an exec'd interpreter does: serve as before; its first word is the
# answer to the call that led to it.
REBORN = """
import sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from lib import proc
channel = int(sys.argv[2]), int(sys.argv[3])
proc.answer(channel[1], "ok", None, 0.0)
proc.serve(*channel)
"""


class Birth:
    """A part of Ops.  self.channel: the pipes to and from the test."""

    def clone(self, test, requests, replies, flags=0, number=None):
        """
        A fork that serves the test by those pipes of process test, as a child
        of the test.  number: its pid.  Returns that.
        """
        channel = self.take_fd(test, requests), self.take_fd(test, replies)
        tid = array.array("i", [number] if number else [])
        args = CLONE_ARGS.pack(flags | CLONE_PARENT, 0, 0, 0, 0, 0, 0, 0,
                               tid.buffer_info()[0] if number else 0,
                               len(tid), 0)
        pid = calls.check(calls.LIBC.syscall(
            ctypes.c_long(SYS_CLONE3), ctypes.c_char_p(args),
            ctypes.c_long(len(args))))
        if pid == 0:
            self.be_born(channel)
        for fd in channel:
            os.close(fd)
        return pid

    def be_born(self, channel):
        try:
            calls.prctl(calls.PR_SET_PDEATHSIG, signal.SIGKILL)
            for fd in self.channel:
                os.close(fd)
            child = type(self)(channel)
            child.pins, child.next_pin = dict(self.pins), self.next_pin
            from . import proc
            proc.loop(child)
        finally:
            os._exit(0)

    def exec(self, keep=()):
        """Run another program, which serves on; keep: descriptors it gets."""
        for fd in (*self.channel, *keep):
            os.set_inheritable(fd, True)
        here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        os.execv(sys.executable, [sys.executable, "-c", REBORN, here,
                                  *map(str, self.channel)])

    def leader_exits(self):
        """The thread that the process began with ends; another serves on."""
        leader = f"/proc/self/task/{os.getpid()}/stat"

        def go_on():
            from . import proc
            guest.wait_for(
                lambda: guest.read(leader).rsplit(")", 1)[1].split()[0] == "Z",
                "the leader is gone")
            proc.answer(self.channel[1], "ok", None, 0.0)
            proc.loop(self)
            os._exit(0)
        threading.Thread(target=go_on, daemon=True).start()
        calls.LIBC.syscall(ctypes.c_long(SYS_EXIT), ctypes.c_long(0))

    # ---- more than one thing at a time
    def begin(self, name, *args):
        """Do it in a thread.  What finish() wants."""
        def body():
            try:
                getattr(self, name)(*args)
                done.append(0)
            except OSError as e:
                done.append(e.errno)
        done = []
        thread = threading.Thread(target=body)
        thread.start()
        self.threads.append((thread, done))
        return len(self.threads) - 1

    def finish(self, number):
        """Wait for it; its errno or 0."""
        thread, done = self.threads[number]
        thread.join()
        return done[0]

    # ---- descriptors
    def find_fd(self, word):
        """Of the descriptors those whose name has word in it."""
        found = []
        for fd in os.listdir("/proc/self/fd"):
            try:
                if word in os.readlink("/proc/self/fd/" + fd):
                    found.append(int(fd))
            except FileNotFoundError:
                pass
        return found

    def send_fd(self, sock, fd):
        """By SCM_RIGHTS."""
        with socket.socket(fileno=os.dup(sock)) as s:
            socket.send_fds(s, [b"x"], [fd])

    def recv_fd(self, sock):
        with socket.socket(fileno=os.dup(sock)) as s:
            return socket.recv_fds(s, 1, 1)[1][0]

    # ---- namespaces
    def unshare(self, flags):
        calls.check(calls.LIBC.unshare(flags))

    def setuid(self, uid):
        os.setresuid(uid, uid, uid)

    def setuid_thread(self, uid):
        """Of this thread alone, as the system call has it."""
        calls.check(calls.LIBC.syscall(ctypes.c_long(SYS_SETRESUID),
                                       *[ctypes.c_long(uid)] * 3))

    def own_proc(self, where):
        """With a mount namespace of one's own: /proc of one's pid namespace."""
        calls.check(calls.LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE,
                                     None))
        calls.check(calls.LIBC.mount(b"proc", os.fsencode(where), b"proc", 0,
                                     None))

    def dumpable(self, value=True):
        """After rights were dropped nobody else of the user may look."""
        calls.prctl(4, int(value))  # PR_SET_DUMPABLE

    def read(self, path):
        return guest.read(path)

    def be_called(self, name):
        guest.write("/proc/self/comm", name)

    def chroot(self, where):
        os.chroot(where)

    def getpid(self):
        return os.getpid()
