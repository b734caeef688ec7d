// SPDX-License-Identifier: GPL-2.0

//! Slots for notes about somebody, left in any context: each with the name of whom it is about, so
//! that a note is never taken for one about somebody else.
//!
//! A slot is claimed and released by one at a time; notes are left and taken by anybody, without a
//! lock. If all slots where a name may be are others', the claim fails.

use kernel::sync::atomic::{Atomic, Full, Relaxed};

/// In how many slots a name may be: as many as share half a cache line.
const PLACES: usize = 4;

/// The bits of a note. The others are the name.
const NOTE: u64 = 3;

/// What a slot is called by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Name(u64);

impl Name {
    /// The name of a pair of numbers. That two pairs have the same is possible in the way that
    /// two files can have the same hash.
    pub(crate) const fn of(a: u64, b: u64) -> Self {
        // Both halves of both numbers reach all bits: two rounds of multiply and fold.
        let x = (a ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let x = ((x ^ (x >> 32)) ^ b).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        let x = (x ^ (x >> 29)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        // Never 0, which is a slot that is free.
        Self((x ^ (x >> 32)) | (NOTE + 1)).without_note()
    }

    const fn without_note(self) -> Self {
        Self(self.0 & !NOTE)
    }

    fn is(self, slot: u64) -> bool {
        slot & !NOTE == self.0
    }
}

/// Slots. `N` is a power of two.
pub(crate) struct Slots<const N: usize>([Atomic<u64>; N]);

impl<const N: usize> Slots<N> {
    /// All free.
    pub(crate) const fn new() -> Self {
        Self([const { Atomic::new(0) }; N])
    }

    fn places(&self, name: Name) -> &[Atomic<u64>] {
        // The upper bits choose: the lowest ones are the note's.
        let group = (name.0 >> 32) as usize % (N / PLACES);
        &self.0[group * PLACES..][..PLACES]
    }

    fn find(&self, name: Name) -> Option<(&Atomic<u64>, u64)> {
        self.places(name).iter().find_map(|slot| {
            let now = slot.load(Relaxed);
            name.is(now).then_some((slot, now))
        })
    }

    /// Takes a slot for `name`, which has none; false if there is no room.
    pub(crate) fn claim(&self, name: Name) -> bool {
        self.places(name)
            .iter()
            .any(|slot| slot.cmpxchg(0, name.0, Full).is_ok())
    }

    /// Gives it back, with what was noted in it.
    pub(crate) fn release(&self, name: Name) {
        if let Some((slot, _)) = self.find(name) {
            slot.xchg(0, Full);
        }
    }

    /// Leaves `note` with `name`: whether that is news, [`None`] if the name has no slot.
    pub(crate) fn leave(&self, name: Name, note: u64) -> Option<bool> {
        let (slot, mut now) = self.find(name)?;
        while now & note != note {
            match slot.cmpxchg(now, now | note, Full) {
                Ok(_) => return Some(true),
                Err(other) if !name.is(other) => return None,
                Err(other) => now = other,
            }
        }
        Some(false)
    }

    /// Takes `note`: was it there? What is left from here on is news again.
    pub(crate) fn take(&self, name: Name, note: u64) -> bool {
        let Some((slot, mut now)) = self.find(name) else {
            return false;
        };
        while name.is(now) && now & note != 0 {
            match slot.cmpxchg(now, now & !note, Full) {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
        false
    }
}
