# SPDX-License-Identifier: GPL-2.0
"""
Programs that people copy from, on lease fds: the RDMA server of examples/ with its
client, and the examples of the crate.
"""
import os
import signal
import struct
import subprocess

from lib import guest
from lib.calls import BOTH, PUNCH_HOLE
from lib.case import test
from lib.program import Program

# Real time passes in these; lease fds on the debug kernel are in fd*.py.
PLAIN = ("patched",)
SIZE = 2 * guest.MIB
BLOCK = 4096
BLOCKS = SIZE // BLOCK
WORDS = BLOCK // 8


class Example(Program):
    def __init__(self, name, *argv):
        super().__init__(f"{guest.BIN}/longterm_{name}", *argv,
                         stdin=subprocess.PIPE)

    def ask(self, line):
        """One line in, one line out."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.until(line).split(": ", 1)[1].strip()


def content():
    """What the client writes, see fill_block() in examples/lines.h."""
    words = (n * 0x9e3779b97f4a7c15 & (1 << 64) - 1
             for n in range(1, BLOCKS * WORDS + 1))
    return struct.pack(f"={BLOCKS * WORDS}Q", *words)


def transfer(t, *options):
    """A server on a file that is twice as long, and a client in the middle."""
    path = t.path()
    server = Example("server", "--once", "--size", 2 * SIZE, *options, path)
    server.until("serving")
    client = Example("client", "--pace-ms", 1, "--progress", 100,
                     "--blocks", BLOCKS, "192.0.2.1")
    client.until("200 writes")
    return path, server, client


def arrived(t, path, server, client, breaks, connections):
    """Both have ended well, and each byte is where it belongs."""
    status = client.end()
    t.eq((status, server.end()), (0, 0), f"{client.lines} {server.lines}")
    t.true(f"equal; {breaks} breaks, {connections} connections"
           in client.lines[-1], client.lines)
    with open(path, "rb") as f:
        t.true(f.read(SIZE) == content(), "what is in the file")


@test(kernels=PLAIN, limit=60)
def server_and_truncate(t):
    path, server, client = transfer(t)
    cut = t.proc().go.truncate(path, SIZE)
    server.until("the peer has stopped")
    t.errno(0, cut, "truncate")
    server.until(f"serving {SIZE} bytes")
    arrived(t, path, server, client, 1, 1)
    t.eq(os.stat(path).st_size, SIZE, "size")


@test(kernels=PLAIN, limit=60)
def server_with_windows_and_punch(t):
    """What was written there before is written again."""
    path, server, client = transfer(t, "--windows")
    b = t.proc()
    fd = b.open(path)
    cut = b.go.fallocate(fd, PUNCH_HOLE, 0, guest.MIB // 2)
    server.until("the peer has stopped")
    t.errno(0, cut, "punch")
    arrived(t, path, server, client, 1, 1)


@test(kernels=PLAIN, limit=90, break_time=4)
def server_whose_peer_is_stopped(t):
    """It does not wait for the peer longer than it has time itself."""
    path, server, client = transfer(t)
    client.process.send_signal(signal.SIGSTOP)
    cut = t.proc().go.truncate(path, SIZE)
    server.until("peer dropped: it is late")
    t.errno(0, cut, "truncate")
    t.between(2.9, cut.took, 3.9, "truncate")
    client.process.send_signal(signal.SIGCONT)
    client.until("connecting anew")
    arrived(t, path, server, client, 1, 2)


def two_files(t):
    """Two files whose chunks of 2 MiB begin with a letter each."""
    paths = [t.file(4 * guest.MIB), t.file(4 * guest.MIB)]
    for path, letters in zip(paths, ("ab", "cd")):
        with open(path, "r+b") as f:
            for i, letter in enumerate(letters):
                f.seek(i * 2 * guest.MIB)
                f.write(letter.encode() * 8)
    return paths


@test(kernels=PLAIN, limit=60)
def cache_drops_what_a_break_meets(t):
    chunk = 2 * guest.MIB
    paths = two_files(t)
    b = t.proc()    # before the pipe whose end it must not have
    cache = Example("cache", chunk, *paths)
    wanted = [("0 0", "a"), (f"0 {chunk}", "b"), ("1 0", "c"),
              (f"1 {chunk}", "d")]
    for how in ("pinned", "hit"):
        for where, letter in wanted:
            t.eq(cache.ask(f"get {where}"), f"{how}, {letter * 8}", where)
    fd = b.open(paths[0])
    t.errno(0, b.go.fallocate(fd, PUNCH_HOLE, chunk, chunk), "punch")
    t.true(f"break of {chunk}-{2 * chunk}: 1 dropped, 3 kept"
           in cache.until("break of"), cache.lines)
    t.true("generation 1" in cache.until("end"), cache.lines)
    for where, letter in wanted:
        t.eq(cache.ask(f"get {where}"), f"hit, {letter * 8}" if letter != "b"
             else "pinned, " + r"\x00" * 8, where)
    t.errno(0, b.go.truncate(paths[1], 0), "truncate")
    t.true("break of 0-: 2 dropped, 2 kept" in cache.until("break of"),
           cache.lines)
    t.eq(cache.end(), 0, f"exit status; {cache.lines}")


@test(kernels=PLAIN, limit=30, break_time=2)
def longterm_break(t):
    """All that an operation would do, but for the operation."""
    def breaks(*options):
        return guest.run(guest.BIN + "/longterm", "break", *options, path)
    path = t.file()
    before = guest.read(path)
    h = t.holder(path)
    fresh = t.proc()
    t.eq(breaks("--no-wait"), (1, f"longterm: {path}: pins are in the way; "
                               "their holders have been told\n"), "no wait")
    t.true(h.sig(10), "no notice")
    h.unpin_all()
    h.lease(h.fd)
    h.pin(h.addr, guest.MIB)
    h.react(retake=h.fd)
    status, out = breaks()
    t.true(not status and out.startswith("free after "), f"{status}: {out}")
    t.eq(t.reaction(h)["size"], 4 * guest.MIB, "size")
    fresh.hold(path, guest.MIB, lease=BOTH)
    t.eq(breaks("--range", "2M-")[0], 0, "beside the pin")
    status, out = breaks("--range", "0-4096")
    t.true(status == 1 and "unbreakable" in out, f"{status}: {out}")
    t.true(guest.read(path) == before, "the file is another")


def watches(t, name):
    """A program that is told of breaks of what another one has pinned."""
    paths = two_files(t)
    holders = [t.holder(path, lease=None) for path in paths]
    program = Example(name, *paths)
    for path in paths:
        program.until(f"{path}: lease taken")
    b = t.proc()
    for path, holder in zip(paths, holders):
        cut = b.go.truncate(path, guest.MIB)
        program.until(f"{path}: break of ")
        t.blocked(cut, "truncate")
        holder.unpin_all()
        t.errno(0, cut, "truncate")
        t.true("generation 1" in program.until(f"{path}: "), program.lines)
    t.eq(program.process.poll(), None, f"it has ended: {program.lines}")
    program.process.kill()
    program.end()


@test(kernels=PLAIN, limit=40)
def mio_watches_two_files(t):
    watches(t, "mio")


@test(kernels=PLAIN, limit=40)
def tokio_watches_two_files(t):
    watches(t, "tokio")
