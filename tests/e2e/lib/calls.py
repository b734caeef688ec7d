# SPDX-License-Identifier: GPL-2.0
"""System calls as they are: no retry on EINTR, OSError for every errno."""
import ctypes
import os
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int,
                      ctypes.c_int, ctypes.c_int, ctypes.c_long]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
LIBC.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long,
                           ctypes.c_long]
LIBC.truncate.argtypes = [ctypes.c_char_p, ctypes.c_long]
LIBC.ftruncate.argtypes = [ctypes.c_int, ctypes.c_long]
for _name in ("pread", "pwrite"):
    getattr(LIBC, _name).restype = ctypes.c_ssize_t
    getattr(LIBC, _name).argtypes = [ctypes.c_int, ctypes.c_void_p,
                                     ctypes.c_size_t, ctypes.c_long]
LIBC.syscall.restype = ctypes.c_long

F_SETOWN, F_SETSIG, F_SETOWN_EX = 8, 10, 15
F_SETLEASE, F_GETLEASE, F_SETDELEG = 1024, 1025, 1040
F_RDLCK, F_WRLCK, F_UNLCK = 0, 1, 2
# From include/uapi/linux/longterm.h.
F_LONGTERM, F_UNBREAKABLE = 16, 32
BOTH = F_LONGTERM | F_UNBREAKABLE

PROT_READ, PROT_WRITE = 1, 2
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS = 1, 2, 0x10, 0x20
MAP_SYNC = 0x80003  # with MAP_SHARED_VALIDATE

KEEP_SIZE, PUNCH, COLLAPSE, ZERO, INSERT = 1, 2, 8, 16, 32
PUNCH_HOLE = PUNCH | KEEP_SIZE

SIG_BLOCK = 0
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
O_PATH = 0o10000000

SYS_IO_URING_SETUP, SYS_IO_URING_REGISTER = 425, 427
SYS_PIDFD_GETFD = 438
FIFREEZE, FITHAW = 0xC0045877, 0xC0045878


def check(ret):
    if ret == -1 or ret == ctypes.c_void_p(-1).value:
        err = ctypes.get_errno()
        raise OSError(err, os.strerror(err))
    return ret


def fcntl(fd, cmd, arg=0):
    return check(LIBC.fcntl(fd, cmd, ctypes.c_long(arg)))


def pidfd_getfd(pidfd, fd):
    return check(LIBC.syscall(SYS_PIDFD_GETFD, pidfd, fd, 0))


def vmsplice(fd, addr, length):
    iov = struct.pack("QQ", addr, length)
    return check(LIBC.vmsplice(fd, ctypes.c_char_p(iov), ctypes.c_size_t(1),
                               0))


def fcntl_ptr(fd, cmd, data):
    return check(LIBC.fcntl(fd, cmd, ctypes.c_char_p(data)))


def setlease(fd, kind):
    return fcntl(fd, F_SETLEASE, kind)


def getlease(fd):
    return fcntl(fd, F_GETLEASE)


def delegate(fd, kind):
    return fcntl_ptr(fd, F_SETDELEG, struct.pack("IHH", 0, kind, 0))


def setown_ex(fd, kind, pid):
    return fcntl_ptr(fd, F_SETOWN_EX, struct.pack("ii", kind, pid))


def mmap(fd, length, offset=0, prot=PROT_READ | PROT_WRITE, flags=MAP_SHARED):
    return check(LIBC.mmap(None, length, prot, flags, fd, offset))


def munmap(addr, length):
    return check(LIBC.munmap(addr, length))


def pread(fd, addr, length, offset):
    return check(LIBC.pread(fd, addr, length, offset))


def pwrite(fd, addr, length, offset):
    return check(LIBC.pwrite(fd, addr, length, offset))


def truncate(path, size):
    return check(LIBC.truncate(os.fsencode(path), size))


def ftruncate(fd, size):
    return check(LIBC.ftruncate(fd, size))


def fallocate(fd, mode, offset, length):
    return check(LIBC.fallocate(fd, mode, offset, length))


def prctl(option, arg):
    return check(LIBC.prctl(option, ctypes.c_ulong(arg), 0, 0, 0))


def ioctl(fd, request, arg=0):
    return check(LIBC.ioctl(fd, ctypes.c_ulong(request), ctypes.c_ulong(arg)))


def sigset(signals):
    mask = 0
    for sig in signals:
        mask |= 1 << (sig - 1)
    return struct.pack("Q", mask) + bytes(120)


def signalfd(signals):
    # SFD_CLOEXEC | SFD_NONBLOCK
    return check(LIBC.signalfd(-1, ctypes.c_char_p(sigset(signals)),
                               0o2000000 | 0o4000))


SIGINFO = struct.Struct("IiiIIiIIIIiiQQQQ")


def read_signal(sfd):
    """The next signal as a dict, or None if there is none."""
    try:
        raw = os.read(sfd, 128)
    except BlockingIOError:
        return None
    f = SIGINFO.unpack_from(raw)
    return {"signo": f[0], "code": f[2], "pid": f[3], "fd": f[5],
            "addr": f[15]}
