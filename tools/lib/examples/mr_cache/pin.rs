// SPDX-License-Identifier: GPL-2.0
//! Pinned regions: fixed buffers of io_uring, which every machine has.  Memory
//! regions of RDMA would be registered and deregistered in the same places.

use io_uring::{opcode, types, IoUring};
use rustix::fs::MemfdFlags;
use rustix::mm::{MapFlags, ProtFlags};
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// A ring with room for so many regions.
pub struct Ring {
    uring: IoUring,
    free: Vec<u32>,
    out: File,
}

/// A part of a file, mapped and pinned.  Give it back to [`Ring::unpin`].
pub struct Region {
    at: *mut c_void,
    length: usize,
    slot: u32,
}

impl Ring {
    pub fn new(room: u32) -> io::Result<Self> {
        let uring = IoUring::new(4)?;
        uring.submitter().register_buffers_sparse(room)?;
        Ok(Ring {
            uring,
            free: (0..room).collect(),
            out: File::from(rustix::fs::memfd_create("out", MemfdFlags::CLOEXEC)?),
        })
    }

    /// EAGAIN while a break is under way there; EFAULT behind the file's end.
    pub fn pin(&mut self, file: &File, offset: u64, length: usize) -> io::Result<Region> {
        let slot = *self.free.last().ok_or(io::ErrorKind::QuotaExceeded)?;
        let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: The kernel chooses a place where nothing is.
        let at =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, prot, flags, file, offset)? };
        let region = Region { at, length, slot };
        if let Err(error) = self.set(slot, at, length) {
            region.unmap()?;
            return Err(error);
        }
        self.free.pop();
        Ok(region)
    }

    pub fn unpin(&mut self, region: Region) -> io::Result<()> {
        self.set(region.slot, std::ptr::null_mut(), 0)?;
        self.free.push(region.slot);
        region.unmap()
    }

    /// What a device would read from the region's beginning.
    pub fn peek(&mut self, region: &Region) -> io::Result<[u8; 8]> {
        let (fd, at) = (
            types::Fd(self.out.as_raw_fd()),
            region.at.cast_const().cast(),
        );
        let entry = opcode::WriteFixed::new(fd, at, 8, region.slot as u16).build();
        // SAFETY: The region stays pinned until the entry is complete, which we
        // wait for.
        unsafe { self.uring.submission().push(&entry) }.map_err(io::Error::other)?;
        self.uring.submit_and_wait(1)?;
        for done in self.uring.completion() {
            if done.result() < 0 {
                return Err(io::Error::from_raw_os_error(-done.result()));
            }
        }
        let mut bytes = [0; 8];
        self.out.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Put a region, or nothing, into a slot.
    fn set(&self, slot: u32, at: *mut c_void, length: usize) -> io::Result<()> {
        let buffers = [libc::iovec {
            iov_base: at,
            iov_len: length,
        }];
        let submitter = self.uring.submitter();
        // SAFETY: Whatever is in a slot stays mapped until it is taken out.
        unsafe { submitter.register_buffers_update(slot, &buffers, None) }
    }
}

impl Region {
    fn unmap(self) -> io::Result<()> {
        // SAFETY: It was mapped by pin(), is in no slot, and nobody else knows of it.
        Ok(unsafe { rustix::mm::munmap(self.at, self.length) }?)
    }
}
