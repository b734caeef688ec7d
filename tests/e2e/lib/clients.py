# SPDX-License-Identifier: GPL-2.0
"""
Programs of others, with their buffers where one wants them: perftest, fio,
and one on liburing.  Each gives a Result, or an AssertionError.
"""
import collections
import contextlib
import functools
import json
import os

from . import guest
from .program import finish, start

ADDRESS = "192.0.2.1"   # of rxe0
BUFFER = 4 * guest.MIB
PERFTEST = ("ib_write_bw", "ib_read_bw", "ib_send_bw",
            "ib_write_lat", "ib_read_lat", "ib_send_lat")
FIO_VERBS = ("write", "read")   # its send does not wait for who receives
BYTES = {"server": 0x5e, "client": 0xc1}     # that each begins with
URING = guest.BIN + "/uringfixed"

# messages: how many were sent, or operations done; arrived: bytes that were
# found where they belong; rate: MB/s, or round trips a second; 0 where the
# program could not time itself, as perftest at times under TCG.
Result = collections.namedtuple("Result", "messages arrived rate")


class Memory:
    """dax or tmpfs: files, whose bytes can be looked at; anonymous: none."""
    WHERE = {"dax": guest.DAX, "tmpfs": "/dev/shm", "anonymous": None}

    def __init__(self, kind):
        self.kind, self.where = kind, self.WHERE[kind]
        self.files = {}     # path by name

    def file(self, name, byte=0):
        """A file full of a byte, its path; '' where memory has no name."""
        if not self.where:
            return ""
        path = self.files[name] = guest.make_file(f"{self.where}/{name}", BUFFER)
        with open(path, "r+b") as f:
            f.write(bytes([byte]) * BUFFER)
        return path

    def count(self, name, byte):
        """How often that byte is there."""
        if not self.where:
            return 0
        with open(self.files[name], "rb") as f:
            return f.read().count(byte)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for path in self.files.values():
            os.unlink(path)


def must(ends):
    """All have ended well: what they said.  ends: (status, output) by name."""
    for name, (status, out) in ends.items():
        if status:
            raise AssertionError(f"{name}: status {status}:\n{out}")
    return [out for _, out in ends.values()]


def listening(port):
    """Is a server waiting on that TCP port?"""
    return any(f":{port:04X}" in line.split()[1] and line.split()[3] == "0A"
               for name in ("tcp", "tcp6")
               for line in guest.read("/proc/net/" + name).splitlines()[1:])


# ---- perftest

def payload(byte):
    """What perftest fills a buffer with, in the form that it reads."""
    path = f"/tmp/payload.{byte}"
    guest.write(path, "0x" + f"{byte:02x}" * 4)
    return path


def row(out, size, number):
    """The line of the table of results."""
    for line in out.splitlines():
        words = line.split()
        if words[:2] == [str(size), str(number)]:
            return [float(word) for word in words]
    raise AssertionError(f"no result for {size} bytes in:\n{out}")


def perftest_ends(tool, memory, number=100, size=65536):
    """
    Server and client, each with a buffer full of a byte of its own: how both
    have ended.
    """
    argv = [tool, "-d", "rxe0", "-F", "-n", str(number), "-s", str(size),
            "-p", "18515"]
    ends = {}
    for name, byte in BYTES.items():
        path = memory.file(name)
        mapped = [f"--mmap={path}"] if path else []
        host = [ADDRESS] if name == "client" else []
        ends[name] = start(*argv, f"--payload_file_path={payload(byte)}",
                           *mapped, *host)
        if name == "server":
            wait_for_server(ends[name], tool, lambda: listening(18515))
    return {name: finish(ends[name]) for name in ("client", "server")}


def perftest(tool, memory, number=100, size=65536):
    out = must(perftest_ends(tool, memory, number, size))[0]
    words = row(out, size, number)
    if tool.endswith("_lat"):
        words[3] = 1e6 / words[2]   # the least, in microseconds
    # There each message has its number as its last byte, on both sides; with
    # who receives it is beside the one that he has sent himself.
    found = memory.count("server", number & 255) if tool == "ib_write_lat" \
        else arrived(memory, tool.startswith("ib_read"))
    return Result(int(words[1]), found, words[3])


def arrived(memory, reads):
    """Bytes of the other that are with who gets them."""
    got, gives = ("client", "server") if reads else ("server", "client")
    return memory.count(got, BYTES[gives])


def wait_for_server(process, what, listens):
    guest.wait_for(lambda: listens() or process.poll() is not None,
                   f"the server of {what} listens", 60)


# ---- fio

FIO_DEPTH, FIO_BLOCK = 16, 32768


def fio(memory, name, byte, *options):
    """A job whose buffers are in that memory."""
    path = memory.file(name, byte)
    return start("fio", "--output-format=json", "--name=job",
                 f"--iodepth={FIO_DEPTH}", f"--bs={FIO_BLOCK}",
                 # All of them at once, so that each is used.
                 f"--iodepth_batch={FIO_DEPTH}",
                 f"--iodepth_batch_complete_min={FIO_DEPTH}",
                 "--mem=" + (f"mmapshared:{path}" if path else "mmap"),
                 *options, cwd="/tmp")


def job(out):
    """The only one, from fio's report; it may say something before it."""
    found = json.loads(out[out.index("{"):])["jobs"][0]
    if found["error"]:
        raise AssertionError(f"fio: error {found['error']}:\n{out}")
    return found


@contextlib.contextmanager
def loop_device(size):
    """A block device over a file on tmpfs."""
    path = "/dev/shm/disk"
    with open(path, "wb") as f:
        f.truncate(size)
    device = guest.must("losetup", "--show", "-f", path).strip()
    try:
        yield device
    finally:
        guest.must("losetup", "-d", device)
        os.unlink(path)


def fio_uring(memory, size=8 * guest.MIB):
    """Random writes from fixed buffers, read back into them and verified."""
    with loop_device(size) as device:
        out = must({"fio": finish(fio(
            memory, "buffers", 0, "--ioengine=io_uring", "--fixedbufs=1",
            "--direct=1", f"--filename={device}", f"--size={size}",
            "--rw=randwrite", "--verify=crc32c", "--verify_fatal=1"))})[0]
    found = job(out)
    return Result(found["write"]["total_ios"], found["read"]["io_bytes"],
                  found["write"]["bw_bytes"] / 1e6)


def cm_listens(port):
    """Does somebody wait for RDMA connections to that port?"""
    return any(f":{port}" in line and "LISTEN" in line for line in guest.must(
        "rdma", "resource", "show", "cm_id").splitlines())


def fio_rdma(verb, memory, size):
    """
    fio's own server and client.  Both begin with buffers full of a byte of
    their own; who gets something has the other's afterwards.
    """
    port = 18600 + FIO_VERBS.index(verb)
    common = ["--ioengine=rdma", f"--port={port}", f"--size={size}"]
    server = fio(memory, "server", BYTES["server"], *common, "--rw=read")
    wait_for_server(server, "fio", lambda: cm_listens(port))
    client = fio(memory, "client", BYTES["client"], *common, "--rw=write",
                 f"--hostname={ADDRESS}", f"--verb={verb}",
                 f"--buffer_pattern={BYTES['client']:#x}")
    out = must({"client": finish(client), "server": finish(server)})[0]
    found = job(out)["write"]
    return Result(found["total_ios"], arrived(memory, verb == "read"),
                  found["bw_bytes"] / 1e6)


# ---- liburing

def uring(memory, rounds=200):
    """See tests/e2e/bin/uringfixed.c: what it has compared itself."""
    data = "/dev/shm/uring.data"
    path = memory.file("buffers") or "-"
    try:
        out = must({"uringfixed": finish(start(
            URING, "--rounds", str(rounds), path, data))})[0]
    finally:
        os.unlink(data)
    words = dict(zip(*[iter(out.split())] * 2))
    return Result(int(words["rounds"]), int(words["bytes"]),
                  int(words["bytes"]) / float(words["us"]))


def everything(memory, much=1):
    """(name, function) of all there are, for one kind of memory."""
    for tool in PERFTEST:
        yield tool, functools.partial(perftest, tool, memory, 100 * much)
    yield "fio_uring", functools.partial(fio_uring, memory, 8 * guest.MIB * much)
    for verb in FIO_VERBS:
        yield "fio_rdma_" + verb, functools.partial(fio_rdma, verb, memory,
                                                    8 * guest.MIB * much)
    yield "uring", functools.partial(uring, memory, 200 * much)
