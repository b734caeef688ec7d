// SPDX-License-Identifier: GPL-2.0

//! `fs.longterm.*`: what the administrator sets. Values are within the limits of `sysctl.c`.

use super::bindings;
use kernel::{error::to_result, prelude::*};

/// The entries in /proc/sys while this lives. There is at most one.
pub(crate) struct Sysctls(());

impl Sysctls {
    /// Makes them, with the defaults.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: The table is static; module initialisation is the only caller.
        to_result(unsafe { bindings::lt_sysctl_start() })?;
        Ok(Self(()))
    }
}

impl Drop for Sysctls {
    fn drop(&mut self) {
        // SAFETY: They were made by `new()`, and are taken away this once.
        unsafe { bindings::lt_sysctl_stop() }
    }
}

/// One of them.
#[derive(Clone, Copy)]
pub(crate) enum Setting {
    /// What becomes of a pin without a lease.
    RequireLease,
    /// Seconds between two steps of a break, -1: as for other leases.
    BreakTime,
    /// Is there a last step, SIGKILL?
    Sigkill,
    /// Who may take unbreakable leases?
    Unbreakable,
    /// How many leases a user may have.
    MaxLeases,
    /// How many files a user may have leases or records on.
    MaxFiles,
    /// How many records a user may have.
    MaxRecords,
}

impl Setting {
    /// Its value now.
    pub(crate) fn get(self) -> i32 {
        let which = match self {
            Self::RequireLease => bindings::lt_setting_LT_REQUIRE_LEASE,
            Self::BreakTime => bindings::lt_setting_LT_BREAK_TIME,
            Self::Sigkill => bindings::lt_setting_LT_SIGKILL,
            Self::Unbreakable => bindings::lt_setting_LT_UNBREAKABLE,
            Self::MaxLeases => bindings::lt_setting_LT_MAX_LEASES,
            Self::MaxFiles => bindings::lt_setting_LT_MAX_FILES,
            Self::MaxRecords => bindings::lt_setting_LT_MAX_RECORDS,
        };
        // SAFETY: Reads one integer of a static table, which has all of these.
        unsafe { bindings::lt_setting(which) }
    }
}
