// SPDX-License-Identifier: GPL-2.0
//! How a lease stands.

use crate::abi;
use crate::{ByteRange, Deadline};
use std::time::Duration;

/// How a lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// Held, breaking, or revoked.
    pub state: State,
    /// Can what is pinned under it not be taken away?
    pub unbreakable: bool,
    /// Processes that hold it.
    pub holders: u32,
    /// How many changes of the layout of its range were completed since it was
    /// taken.
    pub generation: u64,
    /// What it covers, in whole pages.
    pub range: ByteRange,
    /// What its holders were told of, in the break under way.
    pub breaking: Option<ByteRange>,
    /// Bytes that are pinned under it.
    pub pinned: u64,
    /// When the next thing happens to who still has pins in the way.
    pub deadline: Option<Deadline>,
    /// The same from now on.
    pub left: Option<Duration>,
}

/// States of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// All is well.
    Held,
    /// A break is under way, and its holders know.
    Breaking,
    /// The time was up with pins in the way.
    Revoked,
    /// A state that this crate does not know.
    Unknown(u32),
}

impl From<abi::Info> for Info {
    fn from(info: abi::Info) -> Self {
        let deadline = Deadline::from_kernel(info.deadline);
        Info {
            state: match info.state {
                abi::HELD => State::Held,
                abi::BREAKING => State::Breaking,
                abi::REVOKED => State::Revoked,
                number => State::Unknown(number),
            },
            unbreakable: info.kind & abi::LEASE_UNBREAKABLE != 0,
            holders: info.holders,
            generation: info.generation,
            range: ByteRange {
                start: info.start,
                end: info.end,
            },
            breaking: (info.break_end != 0).then_some(ByteRange {
                start: info.break_start,
                end: info.break_end,
            }),
            pinned: info.pinned,
            deadline,
            left: deadline.map(|_| Duration::from_nanos(info.left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_none() {
        let info = Info::from(abi::Info {
            end: abi::EOF,
            ..Default::default()
        });
        assert_eq!(info.state, State::Held);
        assert_eq!(
            (info.breaking, info.deadline, info.left),
            (None, None, None)
        );
        assert!(!info.unbreakable && info.range.is_to_eof());
    }

    #[test]
    fn a_break() {
        let info = Info::from(abi::Info {
            state: 1,
            kind: 1,
            break_end: 8192,
            deadline: 5_000_000_000,
            left: 1_000_000_000,
            ..Default::default()
        });
        assert_eq!(info.state, State::Breaking);
        assert!(info.unbreakable);
        assert_eq!(info.breaking, Some(ByteRange::from(0..8192)));
        assert_eq!(info.left, Some(Duration::from_secs(1)));
    }
}
