# SPDX-License-Identifier: GPL-2.0
"""Long-term pins: RDMA memory regions, io_uring buffers, the kernel's GUP_TEST."""
import ctypes
import errno
import os
import struct

from . import calls, pintest

LOCAL_WRITE, REMOTE_WRITE = 1, 2


class Mr:
    """An RDMA memory region on rxe0."""
    _lib = None
    _pd = None
    _pd_pid = 0

    @classmethod
    def _open(cls):
        if cls._pd and cls._pd_pid == os.getpid():
            return
        lib = cls._lib = ctypes.CDLL("libibverbs.so.1", use_errno=True)
        lib.ibv_get_device_list.restype = ctypes.POINTER(ctypes.c_void_p)
        lib.ibv_get_device_list.argtypes = [ctypes.c_void_p]
        for name, args in (("ibv_open_device", [ctypes.c_void_p]),
                           ("ibv_alloc_pd", [ctypes.c_void_p]),
                           ("ibv_reg_mr", [ctypes.c_void_p, ctypes.c_void_p,
                                           ctypes.c_size_t, ctypes.c_int])):
            getattr(lib, name).restype = ctypes.c_void_p
            getattr(lib, name).argtypes = args
        lib.ibv_dereg_mr.argtypes = [ctypes.c_void_p]
        devices = lib.ibv_get_device_list(None)
        if not devices or not devices[0]:
            raise OSError(errno.ENODEV, "no RDMA device")
        cls._context = lib.ibv_open_device(devices[0])
        cls._pd = lib.ibv_alloc_pd(cls._context)
        cls._pd_pid = os.getpid()
        if not cls._pd:
            raise OSError(ctypes.get_errno(), "ibv_alloc_pd")

    def __init__(self, addr, length, write=True):
        self._open()
        ctypes.set_errno(0)
        access = LOCAL_WRITE | REMOTE_WRITE if write else 0
        self.mr = self._lib.ibv_reg_mr(self._pd, addr, length, access)
        if not self.mr:
            err = ctypes.get_errno()
            raise OSError(err, "ibv_reg_mr: " + os.strerror(err))

    def unpin(self):
        err = self._lib.ibv_dereg_mr(self.mr)
        if err:
            raise OSError(err, "ibv_dereg_mr: " + os.strerror(err))


class Gup:
    """GUP_TEST's pin: of one mm, one at a time in the whole system."""
    DEBUGFS = "/sys/kernel/debug/gup_test"
    START = 0x40186707
    STOP = 0x6708
    READ = 0x40086709
    WRITE_FLAG, FAST_FLAG = 1, 2
    preopened = None    # for those who drop their rights before they pin

    def __init__(self, addr, length, write=True, fast=False):
        self.fd = Gup.preopened
        if self.fd is None:
            self.fd = os.open(self.DEBUGFS, os.O_RDWR | os.O_CLOEXEC)
        self.length = length
        flags = (self.WRITE_FLAG if write else 0) | \
                (self.FAST_FLAG if fast else 0)
        # struct pin_longterm_test: addr, size, flags
        arg = ctypes.create_string_buffer(
            struct.pack("QQIxxxx", addr, length, flags), 24)
        try:
            calls.ioctl(self.fd, self.START, ctypes.addressof(arg))
        except OSError:
            self._close()
            raise

    def read(self):
        """What a device would now read from the pinned pages."""
        out = ctypes.create_string_buffer(self.length)
        arg = ctypes.c_uint64(ctypes.addressof(out))
        calls.ioctl(self.fd, self.READ, ctypes.addressof(arg))
        return out.raw

    def _close(self):
        if self.fd != Gup.preopened:
            os.close(self.fd)

    def unpin(self):
        calls.ioctl(self.fd, self.STOP)
        self._close()


class GupRead(Gup):
    """The same, for a device that only reads."""
    def __init__(self, addr, length):
        super().__init__(addr, length, write=False)


class GupFast(Gup):
    """The same, by pin_user_pages_fast()."""
    def __init__(self, addr, length):
        super().__init__(addr, length, fast=True)


class Uring:
    """A fixed buffer of io_uring."""
    REGISTER_BUFFERS, UNREGISTER_BUFFERS = 0, 1

    def __init__(self, addr, length):
        self._setup(struct.pack("QQ", addr, length))

    def _setup(self, buffers):
        """buffers: as many struct iovec."""
        params = ctypes.create_string_buffer(120)
        self.ring = calls.check(calls.LIBC.syscall(
            ctypes.c_long(calls.SYS_IO_URING_SETUP), ctypes.c_long(4),
            params))
        iov = ctypes.create_string_buffer(buffers, len(buffers))
        try:
            self._register(self.REGISTER_BUFFERS, iov, len(buffers) // 16)
        except OSError:
            os.close(self.ring)
            raise

    def _register(self, op, arg, nr):
        calls.check(calls.LIBC.syscall(
            ctypes.c_long(calls.SYS_IO_URING_REGISTER),
            ctypes.c_long(self.ring), ctypes.c_long(op), arg,
            ctypes.c_long(nr)))

    def unpin(self):
        self._register(self.UNREGISTER_BUFFERS, None, 0)
        os.close(self.ring)


class UringPages(Uring):
    """
    Very many buffers of a page each, on every other page of the first MiB, so
    that none continues another.  Their list takes little memory of its own.
    """
    PAGE, PLACES = 4096, 128

    def __init__(self, addr, count):
        once = (struct.pack("QQ", addr + 2 * self.PAGE * i, self.PAGE)
                for i in range(self.PLACES))
        all_of_them = b"".join(once) * -(-count // self.PLACES)
        self._setup(all_of_them[:16 * count])


KINDS = {"mr": Mr, "gup": Gup, "gup_read": GupRead, "gup_fast": GupFast,
         "uring_pages": UringPages, "uring": Uring,
         "test": pintest.Plain, "test_tagged": pintest.Tagged,
         "test_transient": pintest.Transient}
