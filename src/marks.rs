// SPDX-License-Identifier: GPL-2.0

//! Which inodes have lost a pin since their records were last looked at.
//!
//! Written from any context, so a fixed number of flags; inodes may share one.

use super::kapi::mapping::MappingKey;
use kernel::sync::atomic::{AtomicFlag, Full, Relaxed};

const SLOTS: usize = 256;

/// The flags.
pub(crate) struct Marks([AtomicFlag; SLOTS]);

impl Marks {
    /// All off.
    pub(crate) const fn new() -> Self {
        Self([const { AtomicFlag::new(false) }; SLOTS])
    }

    /// Notes that `key` has lost a pin. True if that is news: then someone has to look.
    pub(crate) fn set(&self, key: MappingKey) -> bool {
        let flag = &self.0[key.slot(SLOTS)];
        // The full barrier of the exchange orders the loss of the pin before the flag; where it is
        // on already, whoever takes it next sees what was lost before it was set.
        !flag.xchg(true, Full)
    }

    /// Takes all flags: what is lost from here on is noted anew.
    pub(crate) fn take(&self) -> Taken {
        let mut taken = Taken([false; SLOTS]);
        for (flag, was) in self.0.iter().zip(taken.0.iter_mut()) {
            *was = flag.load(Relaxed) && flag.xchg(false, Full);
        }
        taken
    }
}

/// The flags as they were.
pub(crate) struct Taken([bool; SLOTS]);

impl Taken {
    /// Had `key` lost a pin?
    pub(crate) fn has(&self, key: MappingKey) -> bool {
        self.0[key.slot(SLOTS)]
    }
}
