// SPDX-License-Identifier: GPL-2.0

//! Users, and what the current one may.

use super::bindings;

/// A user, whatever namespaces call it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UserId(u32);

impl UserId {
    /// The real user of the current task.
    pub(crate) fn current() -> Self {
        // SAFETY: Reads the current task's credentials.
        Self(unsafe { bindings::lt_current_uid() })
    }

    /// Its number in the initial user namespace.
    pub(super) fn number(self) -> u32 {
        self.0
    }
}

/// Has the current task CAP_LEASE?
pub(crate) fn may_lease_any() -> bool {
    // SAFETY: Looks at the current task's credentials.
    unsafe { bindings::lt_cap_lease() }
}

/// Has the current task CAP_SYS_RESOURCE?
pub(crate) fn may_exceed_limits() -> bool {
    // SAFETY: Looks at the current task's credentials.
    unsafe { bindings::lt_cap_sys_resource() }
}
