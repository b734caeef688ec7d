// SPDX-License-Identifier: GPL-2.0

//! The kernel's log, its clock and its settings.

use super::{
    bindings,
    mapping::InodeId,
    process::Comm,
    user::UserId, //
};
use kernel::prelude::*;

/// One rate-limited line of the log about something that was done to a process.
pub(crate) fn line(
    what: &CStr,
    inode: InodeId,
    bytes: (i64, i64),
    holder: (i32, &Comm),
    breaker: (i32, &Comm),
) {
    // SAFETY: All strings are zero terminated and live for the call.
    unsafe {
        bindings::lt_report(
            what.as_char_ptr(),
            inode.dev,
            inode.ino,
            bytes.0,
            bytes.1,
            holder.0,
            holder.1.as_ptr(),
            breaker.0,
            breaker.1.as_ptr(),
        )
    }
}

/// One rate-limited line of the log: the current task was refused as `user` has reached a limit.
pub(crate) fn limit(name: &CStr, value: u32, user: UserId) {
    // SAFETY: The string is zero terminated and lives for the call.
    unsafe { bindings::lt_report_limit(name.as_char_ptr(), value, user.number()) }
}

/// Milliseconds on the monotonic clock.
pub(crate) fn now_ms() -> u64 {
    // SAFETY: Reading the clock is always possible here.
    unsafe { bindings::lt_now_ms() }
}

/// `/proc/sys/fs/lease-break-time`, in seconds.
pub(crate) fn lease_break_time() -> i32 {
    // SAFETY: Reads one integer.
    unsafe { bindings::lt_break_time() }
}
