// SPDX-License-Identifier: GPL-2.0
//! A lease is readable when an event waits, and closed once it was revoked.

use crate::Lease;
use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::io;
use std::os::fd::AsRawFd;

/// Make it nonblocking first, and read until [`Error::WouldBlock`], as mio is
/// edge triggered.
///
/// [`Error::WouldBlock`]: crate::Error::WouldBlock
impl Source for Lease {
    fn register(&mut self, to: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.as_raw_fd()).register(to, token, interests)
    }

    fn reregister(&mut self, to: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.as_raw_fd()).reregister(to, token, interests)
    }

    fn deregister(&mut self, from: &Registry) -> io::Result<()> {
        SourceFd(&self.as_raw_fd()).deregister(from)
    }
}
