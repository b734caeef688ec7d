// SPDX-License-Identifier: GPL-2.0

//! What the administrator decides. The one place that knows what the values of fs.longterm mean.

use super::{
    kapi::{
        report::lease_break_time,
        sysctl::Setting,
        user::may_lease_any, //
    },
    limits::Limits,
    machine::Terms,
};
use kernel::prelude::*;

/// The shortest time between two steps of a break.
const SHORTEST_MS: u64 = 100;

/// The terms on which a break that begins now runs.
pub(crate) fn terms() -> Terms {
    let seconds = match Setting::BreakTime.get() {
        -1 => lease_break_time(),
        seconds => seconds,
    };
    let seconds = u64::try_from(seconds).unwrap_or(0);
    Terms {
        period: seconds.saturating_mul(1000).max(SHORTEST_MS),
        kill: Setting::Sigkill.get() != 0,
    }
}

/// May a pin for which there is no lease make one of its own?
pub(crate) fn automatic_leases() -> Result {
    match Setting::RequireLease.get() {
        0 => Ok(()),
        1 => Err(ENOLCK),
        // As without the module, so that applications fall back to what they do then.
        _ => Err(EOPNOTSUPP),
    }
}

/// May the current task take an unbreakable lease, on a file on which it may take a lease?
pub(crate) fn unbreakable_leases() -> Result {
    match Setting::Unbreakable.get() {
        0 => Err(EACCES),
        1 if !may_lease_any() => Err(EACCES),
        _ => Ok(()),
    }
}

/// What a user may have.
pub(crate) fn limits() -> Limits {
    let limit = |setting: Setting| setting.get().unsigned_abs();
    Limits {
        leases: limit(Setting::MaxLeases),
        files: limit(Setting::MaxFiles),
        records: limit(Setting::MaxRecords),
    }
}
