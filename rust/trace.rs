// SPDX-License-Identifier: GPL-2.0

//! The tracepoints of `src/trace.h`. A nop each while off: what an event says is worked out only
//! when someone listens.

use super::{bindings, mapping::InodeId};
use kernel::prelude::*;

/// What every event says beside its name.
#[derive(Clone, Copy)]
pub(crate) struct Fields {
    /// The file.
    pub(crate) inode: InodeId,
    /// First byte.
    pub(crate) start: i64,
    /// The byte behind the last one.
    pub(crate) end: i64,
    /// The thread group concerned, as the initial pid namespace numbers it.
    pub(crate) pid: i32,
    /// An errno or 0.
    pub(crate) result: i32,
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => { kernel::macros::paste! {$(
        $(#[$doc])*
        #[inline(always)]
        pub(crate) fn $name(fields: impl FnOnce() -> Fields) {
            // SAFETY: The key is a real static key, defined by TRACE_EVENT in `src/trace.c`.
            let on = unsafe {
                kernel::jump_label::static_branch_unlikely!(
                    bindings::[< __tracepoint_ $name >],
                    kernel::bindings::tracepoint,
                    key
                )
            };
            if on {
                let f = fields();
                // SAFETY: The event takes plain numbers and may fire in any context.
                unsafe {
                    bindings::[< rust_do_trace_ $name >](
                        f.inode.dev, f.inode.ino, f.start, f.end, f.pid, f.result,
                    )
                };
            }
        }
    )*}};
}

events! {
    /// A lease was taken, or taken again.
    lease_take,
    /// A lease ended.
    lease_release,
    /// A lease was revoked, its time being up.
    lease_revoke,
    /// Pages were pinned.
    pin,
    /// A record was closed, its pins having gone.
    unpin,
    /// An operation closed a range.
    break_begin,
    /// It has to wait.
    break_wait,
    /// It opened the range again.
    break_end,
    /// A lease's holder was notified.
    sigio,
    /// A holder of pins was sent SIGBUS.
    sigbus,
    /// A holder of pins was sent SIGKILL.
    sigkill,
    /// A breaker was refused.
    busy,
    /// A pin or a lease was refused.
    deny,
}

/// The machine of an inode took a step.
#[inline(always)]
pub(crate) fn break_state(inode: InodeId, from: &CStr, input: &CStr, to: &CStr) {
    // SAFETY: The key is a real static key, defined by TRACE_EVENT in `src/trace.c`.
    let on = unsafe {
        kernel::jump_label::static_branch_unlikely!(
            bindings::__tracepoint_break_state,
            kernel::bindings::tracepoint,
            key
        )
    };
    if on {
        // SAFETY: The event copies the strings, which end with a zero, and may fire anywhere.
        unsafe {
            bindings::rust_do_trace_break_state(
                inode.dev,
                inode.ino,
                from.as_char_ptr(),
                input.as_char_ptr(),
                to.as_char_ptr(),
            )
        };
    }
}
