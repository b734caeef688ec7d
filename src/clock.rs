// SPDX-License-Identifier: GPL-2.0

//! The alarm for the deadlines of all breaks. Breakers that wait look at the time themselves; this
//! is for what happens while none of them is awake, and after the last one has gone.

use super::kapi::deferred;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        lock::{Backend, Guard},
        CondVar,
        CondVarTimeoutResult,
        Mutex, //
    },
    time::msecs_to_jiffies, //
};

/// When [`super::manager::Manager`] looks at the deadlines next.
///
/// The mutex is a leaf: nothing but the timer is touched under it.
#[pin_data]
pub(crate) struct Clock {
    #[pin]
    next: Mutex<Option<u64>>,
}

impl Clock {
    /// No deadline.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            next <- new_mutex!(None, "longterm::clock"),
        })
    }

    /// Sees to it that deadlines are looked at when `deadline` comes.
    pub(crate) fn arm(&self, deadline: Option<u64>, now: u64) {
        let Some(deadline) = deadline else {
            return;
        };
        let mut next = self.next.lock();
        if next.map_or(true, |next| deadline < next) {
            *next = Some(deadline);
            deferred::tick_in(deadline.saturating_sub(now));
        }
    }

    /// The alarm went off: from here on [`Self::arm`] sets it anew.
    pub(crate) fn ring(&self) {
        *self.next.lock() = None;
    }
}

/// Waits for `bell` with the lock given up, at most `ms` milliseconds. Returns whether a signal is
/// pending.
pub(crate) fn wait_ms<T, B: Backend>(bell: &CondVar, guard: &mut Guard<'_, T, B>, ms: u64) -> bool {
    let jiffies = msecs_to_jiffies(ms.min(i32::MAX as u64) as u32);
    matches!(
        bell.wait_interruptible_timeout(guard, jiffies),
        CondVarTimeoutResult::Signal { .. }
    )
}
