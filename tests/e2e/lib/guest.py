# SPDX-License-Identifier: GPL-2.0
"""The guest: its filesystem, sysctls, module, locks, and trace."""
import os
import re
import shutil
import subprocess
import time

from . import calls

DAX = "/mnt/dax"
BIN = "/opt/longterm/bin"
MODULE = "/opt/longterm/longterm.ko"
BREAK_TIME = "/proc/sys/fs/lease-break-time"
LEASES_ENABLE = "/proc/sys/fs/leases-enable"
SYSCTLS = "/proc/sys/fs/longterm"
FS = os.environ.get("LONGTERM_FS", "ext4")
KERNEL = os.environ.get("LONGTERM_KERNEL", "patched")
SLOW = float(os.environ.get("LONGTERM_SLOW",
                            "4" if KERNEL == "debug" else "1"))
LONG = bool(os.environ.get("LONGTERM_LONG"))    # tests/e2e/run --long
TRACING = "/sys/kernel/tracing"
INSTANCE = TRACING + "/instances/e2e"
MIB = 1 << 20
NOBODY = 65534  # a user without rights


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(str(text))


def run(*argv, timeout=60):
    """A command; its status and all its output."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    return done.returncode, done.stdout


def must(*argv, timeout=60):
    status, out = run(*argv, timeout=timeout)
    if status:
        raise AssertionError(f"{' '.join(argv)}: status {status}: {out}")
    return out


def wait_for(condition, what, timeout=10.0):
    """Look until it is so."""
    end = time.monotonic() + timeout * SLOW
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout * SLOW:.0f} s: {what}")
        time.sleep(0.005)


# ---- files

def make_file(path, size, data=True):
    """Written blocks, so that the mapping can use 2 MiB entries."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    if data and size:
        calls.fallocate(fd, 0, 0, size)
    else:
        os.ftruncate(fd, size)
    os.close(fd)
    return path


def clean_dax():
    for name in os.listdir(DAX):
        path = os.path.join(DAX, name)
        if name == "lost+found":
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def mount_line():
    for line in read("/proc/mounts").splitlines():
        dev, where, fs, options = line.split()[:4]
        if where == DAX:
            return dev, fs, options
    raise AssertionError(f"nothing is mounted at {DAX}")


def fsck():
    """Unmount, look, mount again.  What the checker said, '' if nothing."""
    dev, fs, options = mount_line()
    must("umount", DAX)
    try:
        status, out = run("e2fsck", "-fn", dev) if fs == "ext4" else \
            run("xfs_repair", "-n", dev)
    finally:
        must("mount", "-t", fs, "-o", "dax=always", dev, DAX)
    return out if status else ""


# ---- leases and the module

def inode_key(path):
    st = os.stat(path)
    return f"{os.major(st.st_dev):02x}:{os.minor(st.st_dev):02x}:{st.st_ino}"


def inode_of(path):
    return os.stat(path).st_ino


def locks(path=None):
    """Our lines of /proc/locks: all, or those of one file.  Leases only:
    what has no lease, or an automatic one, is not there."""
    lines = [s for s in read("/proc/locks").splitlines()
             if "LONGTERM" in s or "UNBREAKABLE" in s]
    if path is not None:
        lines = [s for s in lines if inode_key(path) in s.split()]
    return lines


def module_users():
    """How many references the module has; None if it is not loaded."""
    found = re.search(r"^longterm \d+ (-?\d+) ", read("/proc/modules"), re.M)
    return int(found.group(1)) if found else None


# ---- settings

def sysctl(name):
    return int(read(f"{SYSCTLS}/{name}"))


def set_sysctl(name, value):
    """At once: what write(2) says is the answer."""
    fd = os.open(f"{SYSCTLS}/{name}", os.O_WRONLY)
    try:
        os.write(fd, str(value).encode())
    finally:
        os.close(fd)


def set_step(seconds):
    """The time between two steps of a break, longer on slow kernels."""
    set_sysctl("break_time", int(seconds * SLOW))


def settings():
    """All that a test may change, by path."""
    paths = [BREAK_TIME, LEASES_ENABLE]
    if os.path.isdir(SYSCTLS):
        paths += [f"{SYSCTLS}/{name}" for name in sorted(os.listdir(SYSCTLS))]
    return {path: read(path) for path in paths}


def restore(before):
    """Put back what differs; the module may not be there."""
    for path, value in before.items():
        if os.path.exists(path) and read(path) != value:
            write(path, value)


# ---- trace

def trace_start():
    os.makedirs(INSTANCE, exist_ok=True)
    write(INSTANCE + "/trace_clock", "mono")
    write(INSTANCE + "/events/longterm/enable", 1)
    write(INSTANCE + "/trace", "")


def trace_lines():
    return [s for s in read(INSTANCE + "/trace").splitlines()
            if s and not s.startswith("#")]


EVENT = re.compile(r"\s(\d+\.\d+): (\w+): (.*)$")


def trace_events(name=None, **fields):
    """Events as (seconds, name, {field: text}), those that match."""
    found = []
    for line in trace_lines():
        m = EVENT.search(line)
        if not m:
            continue
        values = dict(re.findall(r"(\w+)=(\S+)", m.group(3)))
        if name and m.group(2) != name:
            continue
        if any(values.get(k) != str(v) for k, v in fields.items()):
            continue
        found.append((float(m.group(1)), m.group(2), values))
    return found
