// SPDX-License-Identifier: GPL-2.0

//! The module's deferred work: one queue, three items, see `helpers.c`.
//!
//! Queueing is possible from [`super::registration::Registration::new`] on and is refused once its
//! drop has begun; before the first registration nothing here is called, since hooks are what
//! calls it.

use super::bindings;

/// Look for records whose pins have gone, soon. Any context.
pub(crate) fn settle_soon() {
    // SAFETY: The work item is static and was initialised before the first hook ran; queueing
    // takes only locks that are safe in any context.
    unsafe { bindings::lt_work_settle() }
}

/// The same after a while in which memory may have come back. An item of its own: one that waits so
/// long would hold up [`settle_soon`], which is for all inodes. Any context.
pub(crate) fn settle_again() {
    // SAFETY: As in `settle_soon()`.
    unsafe { bindings::lt_work_settle_again() }
}

/// Look at the deadlines in `ms` milliseconds instead of whenever it was to be.
pub(crate) fn tick_in(ms: u64) {
    let ms = ms.min(i32::MAX as u64) as u32;
    // SAFETY: As in `settle_soon()`.
    unsafe { bindings::lt_work_tick(kernel::time::msecs_to_jiffies(ms)) }
}
