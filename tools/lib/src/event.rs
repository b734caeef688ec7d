// SPDX-License-Identifier: GPL-2.0
//! What a lease has to say.

use crate::abi::{EVENT_BREAK, EVENT_END, EVENT_MERGED, EVENT_REVOKED, EVENT_SIZE};
use crate::{ByteRange, Deadline};
use std::fmt;

/// What has happened to a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What it is.
    pub kind: EventKind,
    /// It stands for several of its kind that nobody has read in time: `range`
    /// has all of theirs in it, `deadline` is the first of those that are not over.
    pub merged: bool,
    /// How many changes of the layout of the lease's range were completed since
    /// the lease was taken.
    pub generation: u64,
    /// What is to go, went or was not let go.  A break goes outward to whole
    /// folios (up to 2 MiB), so that this may reach beyond the lease.
    pub range: ByteRange,
    /// For [`EventKind::Break`]: until when to unpin.
    pub deadline: Option<Deadline>,
    /// Bytes that were pinned under the lease in that range when it happened.
    pub pinned: u64,
}

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A break begins, or comes to concern more of the lease: unpin what is
    /// there.
    Break,
    /// It is over, and new pins are admitted.  The layout has changed if the
    /// generation has risen.
    End,
    /// Too late: the lease is of no use any more.
    Revoked,
    /// A kind that this crate does not know.
    Unknown(u32),
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventKind::Break => f.write_str("break"),
            EventKind::End => f.write_str("end"),
            EventKind::Revoked => f.write_str("revoked"),
            EventKind::Unknown(number) => write!(f, "unknown ({number})"),
        }
    }
}

/// The events that one read gave, oldest first.
///
/// Empty only where the lease was revoked and there is nothing more to say.
#[derive(Clone)]
pub struct Events {
    // A lease keeps four at most; later kernels may make each of them longer.
    bytes: [u8; 1024],
    at: usize,
    len: usize,
}

impl Events {
    pub(crate) fn none() -> Self {
        Events {
            bytes: [0; 1024],
            at: 0,
            len: 0,
        }
    }

    /// Let a reader fill it; it returns how many bytes it has.
    pub(crate) fn fill<E>(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.at = 0;
        self.len = 0;
        self.len = read(&mut self.bytes)?;
        Ok(())
    }

    /// Is there none left?
    pub fn is_empty(&self) -> bool {
        self.at == self.len
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let rest = self.bytes.get(self.at..self.len)?;
        let size = u32_at(rest, 0)? as usize;
        // The kernel writes whole events only; what is none ends the list.
        let Some(bytes) = rest.get(..size).filter(|_| size >= EVENT_SIZE) else {
            self.at = self.len;
            return None;
        };
        self.at += size;
        Event::parse(bytes)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl Event {
    fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Event {
            kind: match u32_at(bytes, 4)? {
                EVENT_BREAK => EventKind::Break,
                EVENT_END => EventKind::End,
                EVENT_REVOKED => EventKind::Revoked,
                number => EventKind::Unknown(number),
            },
            merged: u32_at(bytes, 8)? & EVENT_MERGED != 0,
            generation: u64_at(bytes, 16)?,
            range: ByteRange {
                start: u64_at(bytes, 24)?,
                end: u64_at(bytes, 32)?,
            },
            deadline: Deadline::from_kernel(u64_at(bytes, 40)?),
            pinned: u64_at(bytes, 48)?,
        })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?;
    Some(u64::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
