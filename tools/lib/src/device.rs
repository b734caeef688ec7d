// SPDX-License-Identifier: GPL-2.0
//! `/dev/longterm`.

use crate::{abi, sys, ByteRange, Error, Info, Lease, Result};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ops::RangeBounds;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The device, opened.
///
/// Who takes many leases, or can't open it later (in a sandbox), keeps one;
/// others need not care, see [`Lease::take`].
#[derive(Debug)]
pub struct Device {
    fd: OwnedFd,
}

impl Device {
    /// Open it.  [`Error::NoModule`] says that this kernel has no lease fds.
    pub fn open() -> Result<Self> {
        let fd = rustix::fs::open(abi::DEVICE, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| match errno {
                // ENXIO, ENODEV: a device node that was left behind.
                Errno::NOENT | Errno::NXIO | Errno::NODEV => Error::NoModule,
                other => other.into(),
            })?;
        Ok(Device { fd })
    }

    /// Take a lease on a range of bytes of an open file, rounded outward to whole
    /// pages.  The calling process is its holder.
    ///
    /// Waits where a layout change of the range is under way.
    pub fn lease(&self, file: impl AsFd, range: impl RangeBounds<u64>) -> Result<Lease> {
        LeaseOptions::new().take_with(self, file, range)
    }

    /// How the fcntl(2) lease of an open file stands.  [`Error::NoLease`] if it has
    /// none.  For a lease fd there is [`Lease::info`].
    pub fn info(&self, file: impl AsFd) -> Result<Info> {
        Ok(sys::info(&self.fd, file.as_fd().as_raw_fd())?.into())
    }

    /// A break without a change of the layout: does to the holders of pins in the
    /// range what fallocate(2) with FALLOC_FL_PUNCH_HOLE would, waits as that
    /// does, and leaves the file as it is.  To test how a program reacts.
    ///
    /// The file must be open for writing.
    pub fn break_range(&self, file: impl AsFd, range: impl RangeBounds<u64>) -> Result<()> {
        Ok(sys::break_range(
            &self.fd,
            request(file.as_fd(), range, 0)?,
        )?)
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn request(file: BorrowedFd<'_>, range: impl RangeBounds<u64>, flags: u32) -> Result<abi::Range> {
    let range = ByteRange::new(range)?;
    Ok(abi::Range {
        flags,
        fd: file.as_raw_fd(),
        start: range.start,
        length: range.length().unwrap_or(0),
        ..Default::default()
    })
}

/// How a lease is to be.
///
/// ```no_run
/// use longterm::LeaseOptions;
/// # let file = std::fs::File::open("/mnt/dax/file").unwrap();
/// let lease = LeaseOptions::new()
///     .nonblocking(true)
///     .take(&file, 0..2 << 20)?;
/// # Ok::<(), longterm::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LeaseOptions {
    flags: u32,
}

impl LeaseOptions {
    /// A breakable lease, whose calls wait.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is pinned under it can't be taken away: who wants the blocks is told
    /// [`Error::Busy`] at once.
    pub fn unbreakable(mut self, yes: bool) -> Self {
        self.set(abi::LEASE_UNBREAKABLE, yes);
        self
    }

    /// Neither taking it nor reading its events waits: [`Error::WouldBlock`].
    pub fn nonblocking(mut self, yes: bool) -> Self {
        self.set(abi::LEASE_NONBLOCK, yes);
        self
    }

    /// Take it.
    pub fn take(&self, file: impl AsFd, range: impl RangeBounds<u64>) -> Result<Lease> {
        self.take_with(&Device::open()?, file, range)
    }

    /// The same with a device that is open already.
    pub fn take_with(
        &self,
        device: &Device,
        file: impl AsFd,
        range: impl RangeBounds<u64>,
    ) -> Result<Lease> {
        let fd = sys::take(&device.fd, request(file.as_fd(), range, self.flags)?)?;
        Ok(Lease::from(fd))
    }

    fn set(&mut self, flag: u32, yes: bool) {
        self.flags = if yes {
            self.flags | flag
        } else {
            self.flags & !flag
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_flags() {
        let all = LeaseOptions::new().unbreakable(true).nonblocking(true);
        assert_eq!(all.flags, 3);
        assert_eq!(all.unbreakable(false).flags, 2);
    }

    #[test]
    fn length_0_is_to_the_end() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let file = file.as_fd();
        let whole = request(file, .., 0).unwrap();
        assert_eq!((whole.start, whole.length), (0, 0));
        let part = request(file, 4096..8192, 0).unwrap();
        assert_eq!((part.start, part.length), (4096, 4096));
        assert!(matches!(request(file, 5..5, 0), Err(Error::Invalid)));
    }
}
