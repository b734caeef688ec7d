// SPDX-License-Identifier: GPL-2.0

//! What unpinning leaves behind: which inodes have lost a pin since their records were last looked
//! at, and through whom.
//!
//! A pin has no owner when it goes, but most go in the context of the process that had them, and
//! that is noted. Written from any context, so a fixed number of flags that inodes may share; one
//! that is on for another inode's sake makes settling more careful, not wrong.

use super::kapi::{
    mapping::MappingKey,
    process::GroupId, //
};
use kernel::sync::atomic::{AtomicFlag, Full, Relaxed};

const INODES: usize = 256;
const GIVERS: usize = 1024;

/// The notes of [`Operations::unpin`](super::kapi::hooks::Operations::unpin).
pub(crate) static UNPINNED: Marks = Marks::new();

/// The flags.
pub(crate) struct Marks {
    inodes: [AtomicFlag; INODES],
    givers: [AtomicFlag; GIVERS],
}

impl Marks {
    const fn new() -> Self {
        Self {
            inodes: [const { AtomicFlag::new(false) }; INODES],
            givers: [const { AtomicFlag::new(false) }; GIVERS],
        }
    }

    fn giver(&self, key: MappingKey, by: Option<GroupId>) -> &AtomicFlag {
        let by = by.map_or(0, |group| group.slot(GIVERS));
        &self.givers[(key.slot(GIVERS) + by) % GIVERS]
    }

    /// Notes that `key` has lost a pin, through `by` if that is known. True if it is news: then
    /// someone has to look.
    pub(crate) fn set(&self, key: MappingKey, by: Option<GroupId>) -> bool {
        let giver = self.giver(key, by);
        if !giver.load(Relaxed) {
            giver.store(true, Relaxed);
        }
        let flag = &self.inodes[key.slot(INODES)];
        // The full barrier of the exchange orders the loss of the pin before the flag; where it is
        // on already, whoever takes it next sees what was lost before it was set.
        !flag.xchg(true, Full)
    }

    /// Takes the inodes' flags: what is lost from here on is noted anew.
    pub(crate) fn take(&self) -> Taken {
        let mut taken = Taken([false; INODES]);
        for (flag, was) in self.inodes.iter().zip(taken.0.iter_mut()) {
            *was = flag.load(Relaxed) && flag.xchg(false, Full);
        }
        taken
    }

    /// May `key` have lost a pin through `by`? [`None`]: through nobody knows whom.
    pub(crate) fn gave(&self, key: MappingKey, by: Option<GroupId>) -> bool {
        self.giver(key, by).load(Relaxed)
    }

    /// All that `key` has lost through `by` is accounted for.
    pub(crate) fn forget(&self, key: MappingKey, by: Option<GroupId>) {
        self.giver(key, by).store(false, Relaxed);
    }
}

/// The flags as they were.
pub(crate) struct Taken([bool; INODES]);

impl Taken {
    /// Had `key` lost a pin?
    pub(crate) fn has(&self, key: MappingKey) -> bool {
        self.0[key.slot(INODES)]
    }
}
