// SPDX-License-Identifier: GPL-2.0

//! What the administrator decides. The one place that knows where it is written.

use super::{
    kapi::report::lease_break_time,
    machine::Terms, //
};

/// The shortest time between two steps of a break.
const SHORTEST_MS: u64 = 100;

/// What becomes of a pin for which there is no lease.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoLease {
    /// An automatic lease.
    Automatic,
}

/// The terms on which a break that begins now runs.
pub(crate) fn terms() -> Terms {
    let seconds = u64::try_from(lease_break_time()).unwrap_or(0);
    Terms {
        period: seconds.saturating_mul(1000).max(SHORTEST_MS),
        kill: false,
    }
}

/// What becomes of a pin for which there is no lease.
pub(crate) fn no_lease() -> NoLease {
    NoLease::Automatic
}
