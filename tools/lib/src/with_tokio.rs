// SPDX-License-Identifier: GPL-2.0
//! A lease whose events are awaited.

use crate::{Error, Event, EventKind, Events, Info, Lease, Result, State};
use std::io;
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

/// A [`Lease`] whose events are awaited.
///
/// ```no_run
/// # async fn run() -> Result<(), longterm::Error> {
/// # let file = std::fs::File::open("/mnt/dax/file").unwrap();
/// use longterm::{AsyncLease, Lease};
///
/// let mut lease = AsyncLease::new(Lease::take(&file, ..)?)?;
/// while let Some(event) = lease.next().await? {
///     println!("{event:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AsyncLease {
    lease: AsyncFd<Lease>,
    events: Events,
}

#[allow(unsafe_code)]
fn register(lease: Lease) -> io::Result<AsyncFd<Lease>> {
    // SAFETY: A lease owns its descriptor, and nothing here replaces or closes that
    // while tokio has it.
    Ok(unsafe { AsyncFd::register_with_interest(lease, Interest::READABLE) }?)
}

impl AsyncLease {
    /// Makes it nonblocking.  Must be called in a tokio runtime with I/O.
    pub fn new(lease: Lease) -> Result<Self> {
        lease.set_nonblocking(true)?;
        Ok(AsyncLease {
            lease: register(lease).map_err(Error::Other)?,
            events: Events::none(),
        })
    }

    /// The next event.  `None` once the lease was revoked and there is nothing
    /// more to say.  Nothing is lost where the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.events.next() {
                return Ok(Some(event));
            }
            let mut ready = self.lease.readable().await.map_err(Error::Other)?;
            let events = &mut self.events;
            match ready.try_io(|lease| {
                lease
                    .get_ref()
                    .read_into(events)
                    .map_err(|error| match error {
                        Error::WouldBlock => io::ErrorKind::WouldBlock.into(),
                        other => io::Error::from(other),
                    })
            }) {
                Ok(Ok(())) if self.events.is_empty() => return Ok(None),
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(Error::Other(error)),
                Err(_would_block) => {}
            }
        }
    }

    /// As [`Lease::wait_for_break_end`].
    pub async fn wait_for_break_end(&mut self, mut more: impl FnMut(&Event)) -> Result<Info> {
        loop {
            let info = self.get_ref().info()?;
            if info.state != State::Breaking {
                return Ok(info);
            }
            match self.next().await? {
                Some(event) if event.kind == EventKind::Break => more(&event),
                _ => {}
            }
        }
    }

    /// The lease itself, for all else.
    pub fn get_ref(&self) -> &Lease {
        self.lease.get_ref()
    }

    /// Give it back, nonblocking.  Events that were read, but not given out by
    /// [`AsyncLease::next`], are lost.
    pub fn into_inner(self) -> Lease {
        self.lease.into_inner()
    }
}
