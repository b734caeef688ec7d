// SPDX-License-Identifier: GPL-2.0

//! Counters: how many there are now, which decides whether a hook has anything to do, and how
//! often something has happened.

use kernel::sync::atomic::{Atomic, Relaxed};

/// A number that any context may change.
pub(crate) struct Counter(Atomic<i64>);

impl Counter {
    const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// One more.
    pub(crate) fn up(&self) {
        self.0.add(1, Relaxed);
    }

    /// One less.
    pub(crate) fn down(&self) {
        self.0.add(-1, Relaxed);
    }

    /// How many.
    pub(crate) fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// Leases there are.
pub(crate) static LEASES: Counter = Counter::new();
/// Records there are.
pub(crate) static RECORDS: Counter = Counter::new();

/// Leases taken, or taken again.
pub(crate) static TAKEN: Counter = Counter::new();
/// Notices sent to holders of leases.
pub(crate) static NOTIFIED: Counter = Counter::new();
/// Leases revoked.
pub(crate) static REVOKED: Counter = Counter::new();
/// Pins made: GUP calls, or their shares of several mappings.
pub(crate) static PINS: Counter = Counter::new();
/// Pins and leases refused.
pub(crate) static DENIED: Counter = Counter::new();
