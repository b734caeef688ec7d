// SPDX-License-Identifier: GPL-2.0
//! Long-term leases on the files of a DAX filesystem.
//!
//! Who pins the pages of such a file for long (an RDMA memory region, a fixed
//! buffer of io_uring) holds its blocks.  A [`Lease`] is the permission to do so,
//! and the way to be told when somebody needs the blocks: it is a file
//! descriptor on a range of bytes that becomes readable when a break begins.
//! Unpin what is in the way before the [`Deadline`], wait for the end of the
//! break, look at the file's new layout and pin again.  Who does not is stopped.
//!
//! ```no_run
//! use longterm::{EventKind, Lease};
//! use std::fs::File;
//!
//! # fn unpin(range: longterm::ByteRange) {}
//! # fn pin_again() {}
//! fn main() -> Result<(), longterm::Error> {
//!     let file = File::options().read(true).write(true).open("/mnt/dax/file").unwrap();
//!     let lease = Lease::take(&file, ..)?;
//!     // ... mmap the file and register memory regions on it ...
//!     for event in lease.events() {
//!         let event = event?;
//!         match event.kind {
//!             EventKind::Break => unpin(event.range),
//!             EventKind::End => pin_again(),
//!             EventKind::Revoked => break, // too late: take a new lease
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Nothing is ever lost when a program reads late: events are merged, see
//! [`Event::merged`].  A [`Lease`] has [`AsFd`](std::os::fd::AsFd), for poll(2),
//! epoll and io_uring; the features `mio` and `tokio` make it an event source
//! there.
//!
//! Where the kernel knows no lease fds every call says [`Error::NoModule`].

#[cfg(not(target_os = "linux"))]
compile_error!("long-term leases are Linux's");

mod abi;
mod device;
mod error;
mod event;
mod info;
mod lease;
mod range;
mod sys;
mod time;

#[cfg(feature = "mio")]
mod with_mio;
#[cfg(feature = "tokio")]
mod with_tokio;

pub use device::{Device, LeaseOptions};
pub use error::{Error, Result};
pub use event::{Event, EventKind, Events};
pub use info::{Info, State};
pub use lease::{EventIter, Lease};
pub use range::ByteRange;
pub use time::Deadline;
#[cfg(feature = "tokio")]
pub use with_tokio::AsyncLease;
