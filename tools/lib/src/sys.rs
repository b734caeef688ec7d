// SPDX-License-Identifier: GPL-2.0
//! The ioctls.  All `unsafe` of this crate is here, but for the line that tokio wants.
#![allow(unsafe_code)]

use crate::abi;
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode};
use std::ffi::c_void;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

/// A structure that the kernel reads and may write to.
///
/// # Safety
///
/// The kernel touches no more of it than its first field, a `u32`, says, which
/// [`call`] sets to the structure's size; any bytes are a valid value of it; and
/// it holds no pointer.
unsafe trait Argument: Default {
    const OPCODE: Opcode;
    fn set_size(&mut self, size: u32);
}

/// The two that look alike have a type each, for their opcode.
#[repr(transparent)]
#[derive(Default)]
struct Take(abi::Range);
#[repr(transparent)]
#[derive(Default)]
struct Break(abi::Range);

macro_rules! argument {
    ($type:ty, $opcode:expr, $($field:tt).+) => {
        // SAFETY: A structure of integers, laid out as the header has it, its
        // size first.  No command of the kernel's looks past that.
        unsafe impl Argument for $type {
            const OPCODE: Opcode = $opcode;
            fn set_size(&mut self, size: u32) {
                self.$($field).+ = size;
            }
        }
    };
}

argument!(Take, abi::IOC_LEASE, 0.size);
argument!(Break, abi::IOC_BREAK, 0.size);
argument!(abi::Info, abi::IOC_INFO, size);
argument!(abi::Adopt, abi::IOC_ADOPT, size);

struct Request<'a, T>(&'a mut T);

// SAFETY: The opcode belongs to the structure that as_ptr() points to, which is
// borrowed for the call.
unsafe impl<T: Argument> Ioctl for Request<'_, T> {
    type Output = IoctlOutput;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        T::OPCODE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self.0).cast()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<IoctlOutput> {
        Ok(out)
    }
}

fn call<T: Argument>(fd: impl AsFd, argument: &mut T) -> Result<IoctlOutput, Errno> {
    argument.set_size(size_of::<T>() as u32);
    // SAFETY: By what Argument promises.  A descriptor of something else does not
    // know the commands: their type byte is nobody else's.
    unsafe { rustix::ioctl::ioctl(fd, Request(argument)) }
}

pub(crate) fn take(device: impl AsFd, range: abi::Range) -> Result<OwnedFd, Errno> {
    let fd = call(device, &mut Take(range))?;
    // SAFETY: The kernel made it for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(crate) fn break_range(device: impl AsFd, range: abi::Range) -> Result<(), Errno> {
    call(device, &mut Break(range)).map(drop)
}

pub(crate) fn info(fd: impl AsFd, about: i32) -> Result<abi::Info, Errno> {
    let mut info = abi::Info {
        fd: about,
        ..Default::default()
    };
    call(fd, &mut info)?;
    Ok(info)
}

pub(crate) fn adopt(lease: impl AsFd) -> Result<(), Errno> {
    call(lease, &mut abi::Adopt::default()).map(drop)
}
