// SPDX-License-Identifier: GPL-2.0
//! Deadlines.

use rustix::time::{clock_gettime, ClockId};
use std::time::{Duration, Instant};

/// A point in time of CLOCK_MONOTONIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline {
    nanoseconds: u64,
}

impl Deadline {
    /// As the kernel gives it, where 0 is none.
    pub(crate) fn from_kernel(nanoseconds: u64) -> Option<Self> {
        (nanoseconds != 0).then_some(Deadline { nanoseconds })
    }

    /// Nanoseconds of CLOCK_MONOTONIC.
    pub fn as_nanos(self) -> u64 {
        self.nanoseconds
    }

    /// How long it is until then; zero if it has passed.
    pub fn remaining(self) -> Duration {
        let now = clock_gettime(ClockId::Monotonic);
        // Neither is negative on this clock.
        let now = Duration::new(now.tv_sec as u64, now.tv_nsec as u32);
        Duration::from_nanos(self.nanoseconds).saturating_sub(now)
    }

    /// The same for timers of the standard library and others that take its
    /// [`Instant`].
    pub fn instant(self) -> Instant {
        Instant::now() + self.remaining()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_none() {
        assert_eq!(Deadline::from_kernel(0), None);
    }

    #[test]
    fn what_has_passed_has_nothing_left() {
        let deadline = Deadline { nanoseconds: 1 };
        assert_eq!(deadline.remaining(), Duration::ZERO);
        assert!(deadline.instant() <= Instant::now());
    }

    #[test]
    fn what_is_to_come_comes_nearer() {
        let deadline = Deadline {
            nanoseconds: u64::MAX,
        };
        let left = deadline.remaining();
        assert!(left > Duration::from_secs(1_000_000));
        assert!(deadline.remaining() <= left);
    }
}
