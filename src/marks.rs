// SPDX-License-Identifier: GPL-2.0

//! What unpinning leaves behind: which inodes have lost a pin since their records were last looked
//! at, and through whom.
//!
//! A pin has no owner when it goes, but most go in the context of the process that had them, and
//! that is noted, from any context and without a lock. An inode with records that are closed by
//! counting has a slot for notes, and one whose pins a breaker waits for; and so has each thread
//! group with records of it. What is unpinned by somebody without a slot may
//! have been anybody's: then everybody is under suspicion. So is everybody on an inode for which
//! there was no room: more careful, not wrong.
//!
//! Who wants to know takes the notes first and counts pins then. A pin that was lost before the
//! notes were taken is not counted any more; one that is lost later leaves a note for the next time.

use super::{
    kapi::{
        mapping::MappingKey,
        process::GroupId, //
    },
    slots::{Name, Slots},
};
use kernel::sync::{
    atomic::{Atomic, AtomicFlag, Full, Relaxed},
    barrier::smp_mb,
};

/// Has unpinned, or for an inode: somebody unknown has.
const GAVE: u64 = 1;
/// Of an inode: has lost a pin.
const LOST: u64 = 2;

/// The notes of [`Operations::unpin`](super::kapi::hooks::Operations::unpin).
pub(crate) static UNPINNED: Marks = Marks::new();

/// The notes.
pub(crate) struct Marks {
    slots: Slots<4096>,
    /// How many inodes have entered, and how many of them have no slot.
    inodes: Atomic<i64>,
    crowd: Atomic<i64>,
    /// Some inode without a slot may have lost a pin.
    lost: AtomicFlag,
}

fn name(key: MappingKey, group: Option<GroupId>) -> Name {
    Name::of(key.number(), group.map_or(0, |g| g.number()))
}

impl Marks {
    const fn new() -> Self {
        Self {
            slots: Slots::new(),
            inodes: Atomic::new(0),
            crowd: Atomic::new(0),
            lost: AtomicFlag::new(false),
        }
    }

    /// `key` has lost a pin, through `by` if that is known. True if someone has to look, and
    /// nobody does so far.
    pub(crate) fn set(&self, key: MappingKey, by: Option<GroupId>) -> bool {
        // Orders the loss of the pin before the look at what is noted already: pairs with the
        // full barriers of taking, which come before counting.
        smp_mb(Full);
        if self.inodes.load(Relaxed) == 0 {
            return false;
        }
        let group = by.and_then(|by| self.slots.leave(name(key, Some(by)), GAVE));
        let note = match group {
            Some(_) => LOST,
            None => LOST | GAVE,
        };
        match self.slots.leave(name(key, None), note) {
            Some(news) => news,
            None => self.crowd.load(Relaxed) > 0 && !self.lost() && !self.lost.xchg(true, Full),
        }
    }

    fn lost(&self) -> bool {
        self.lost.load(Relaxed)
    }

    /// What `key` loses is to be noted from now on. False if there is no slot for it.
    pub(crate) fn enter(&self, key: MappingKey) -> bool {
        let done = self.slots.claim(name(key, None));
        if !done {
            self.crowd.add(1, Relaxed);
        }
        // Before pins are counted: pairs with the barrier in `set()`.
        self.inodes.add(1, Relaxed);
        smp_mb(Full);
        done
    }

    /// No longer; `noted`: as [`Self::enter`] has said.
    pub(crate) fn leave(&self, key: MappingKey, noted: bool) {
        match noted {
            true => self.slots.release(name(key, None)),
            false => self.crowd.add(-1, Relaxed),
        }
        self.inodes.add(-1, Relaxed);
    }

    /// `group` gets its first record of `key`. False if there is no slot for it.
    pub(crate) fn enter_group(&self, key: MappingKey, group: GroupId) -> bool {
        self.slots.claim(name(key, Some(group)))
    }

    /// Its last one has gone. Only after its entering was successful.
    pub(crate) fn leave_group(&self, key: MappingKey, group: GroupId) {
        self.slots.release(name(key, Some(group)));
    }

    /// `key`, which has entered, is to be looked at again.
    pub(crate) fn again(&self, key: MappingKey) {
        if self.slots.leave(name(key, None), LOST).is_none() {
            self.lost.xchg(true, Full);
        }
    }

    /// Has `key`, which has a slot, lost a pin since this was last asked?
    pub(crate) fn take_lost(&self, key: MappingKey) -> bool {
        self.slots.take(name(key, None), LOST)
    }

    /// May inodes without a slot have lost a pin since this was last asked?
    pub(crate) fn take_crowd(&self) -> bool {
        self.lost() && self.lost.xchg(false, Full)
    }

    /// Has `key` lost a pin through `by` since this was last asked? [`None`]: through nobody knows
    /// whom.
    pub(crate) fn take(&self, key: MappingKey, by: Option<GroupId>) -> bool {
        self.slots.take(name(key, by), GAVE)
    }
}
