// SPDX-License-Identifier: GPL-2.0
//! The lease fd.

use crate::{sys, Error, Event, EventKind, Events, Info, LeaseOptions, Result, State};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::io;
use std::ops::RangeBounds;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// A lease on a range of bytes of a file.
///
/// It ends when it is dropped, together with all its clones and copies in other
/// processes.  What is still pinned then stays counted and protected, but nobody
/// is told any more when somebody wants the blocks: unpin first.
#[derive(Debug)]
pub struct Lease {
    fd: OwnedFd,
}

impl Lease {
    /// Take a lease.  `..` is the whole file, now and later.  The file may be
    /// closed afterwards.
    ///
    /// Waits where a layout change of the range is under way; [`Lease::options`]
    /// has more to choose from.
    ///
    /// ```no_run
    /// # let file = std::fs::File::open("/mnt/dax/file").unwrap();
    /// let lease = longterm::Lease::take(&file, 0..2 << 20)?;
    /// # Ok::<(), longterm::Error>(())
    /// ```
    pub fn take(file: impl AsFd, range: impl RangeBounds<u64>) -> Result<Self> {
        LeaseOptions::new().take(file, range)
    }

    /// For other than ordinary leases.
    pub fn options() -> LeaseOptions {
        LeaseOptions::new()
    }

    /// The events that are there, at least one; waits for it unless the lease is
    /// nonblocking.  None if the lease was revoked and has nothing more to say.
    ///
    /// Several threads may read; each event goes to one of them.
    pub fn read(&self) -> Result<Events> {
        let mut events = Events::none();
        self.read_into(&mut events)?;
        Ok(events)
    }

    pub(crate) fn read_into(&self, events: &mut Events) -> Result<()> {
        Ok(events.fill(|bytes| rustix::io::read(&self.fd, bytes))?)
    }

    /// One event after the other, until the lease is revoked.
    ///
    /// Those that one read gave are kept in the iterator: use one of them, and
    /// use it up.
    ///
    /// ```no_run
    /// # let file = std::fs::File::open("/mnt/dax/file").unwrap();
    /// let lease = longterm::Lease::take(&file, ..)?;
    /// for event in lease.events() {
    ///     println!("{:?}", event?);
    /// }
    /// # Ok::<(), longterm::Error>(())
    /// ```
    pub fn events(&self) -> EventIter<'_> {
        EventIter {
            lease: self,
            events: Events::none(),
        }
    }

    /// How things stand now.
    pub fn info(&self) -> Result<Info> {
        Ok(sys::info(&self.fd, -1)?.into())
    }

    /// Wait until no break is under way, as told by the state that this returns:
    /// [`State::Held`], and new pins are admitted, or [`State::Revoked`].
    ///
    /// Reads the lease's events.  `more` gets each [`EventKind::Break`] among them,
    /// and must unpin what that concerns: another operation may come to want
    /// more of the lease while the first one waits.  Other readers must not take
    /// them away meanwhile.  Works for nonblocking leases, too.
    ///
    /// ```no_run
    /// # fn unpin(range: longterm::ByteRange) {}
    /// # let file = std::fs::File::open("/mnt/dax/file").unwrap();
    /// # let lease = longterm::Lease::take(&file, ..)?;
    /// let before = lease.info()?.generation;
    /// let now = lease.wait_for_break_end(|event| unpin(event.range))?;
    /// if now.generation != before {
    ///     println!("the layout has changed");
    /// }
    /// # Ok::<(), longterm::Error>(())
    /// ```
    pub fn wait_for_break_end(&self, mut more: impl FnMut(&Event)) -> Result<Info> {
        loop {
            while self.poll(Some(&Timespec::default()))? {
                let events = match self.read() {
                    Err(Error::WouldBlock) => break,
                    other => other?,
                };
                if events.is_empty() {
                    break;
                }
                for event in events.filter(|event| event.kind == EventKind::Break) {
                    more(&event);
                }
            }
            let info = self.info()?;
            if info.state != State::Breaking {
                return Ok(info);
            }
            self.poll(None)?;
        }
    }

    /// Is there something to read, within the time?
    fn poll(&self, timeout: Option<&Timespec>) -> Result<bool> {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        match poll(&mut fds, timeout) {
            Ok(ready) => Ok(ready > 0),
            // As in std: a signal is no reason to give up.
            Err(Errno::INTR) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }

    /// Become a holder beside those that are, after fork(2) or in a process that
    /// was sent the lease: what this process pins in the range is charged to the
    /// lease from here on.
    pub fn adopt(&self) -> Result<()> {
        Ok(sys::adopt(&self.fd)?)
    }

    /// May [`Lease::read`] wait?
    pub fn set_nonblocking(&self, yes: bool) -> Result<()> {
        Ok(rustix::io::ioctl_fionbio(&self.fd, yes)?)
    }

    /// Another descriptor of the same lease, which ends with the last of them.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Lease {
            fd: self.fd.try_clone()?,
        })
    }
}

/// See [`Lease::events`].
#[derive(Debug)]
pub struct EventIter<'a> {
    lease: &'a Lease,
    events: Events,
}

impl Iterator for EventIter<'_> {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.events.is_empty() {
            if let Err(error) = self.lease.read_into(&mut self.events) {
                return Some(Err(error));
            }
        }
        self.events.next().map(Ok)
    }
}

/// A descriptor that came by SCM_RIGHTS, say.  What is no lease is found out by
/// [`Error::NotALease`].
impl From<OwnedFd> for Lease {
    fn from(fd: OwnedFd) -> Self {
        Lease { fd }
    }
}

impl From<Lease> for OwnedFd {
    fn from(lease: Lease) -> Self {
        lease.fd
    }
}

impl AsFd for Lease {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Lease {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
