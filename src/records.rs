// SPDX-License-Identifier: GPL-2.0

//! The records of one inode, in the order of their first pages, so that those that meet a range are
//! found without looking at all.

use super::{
    range::PageRange,
    record::Record, //
};
use core::ops::{Deref, DerefMut};
use kernel::{alloc::kvec::InsertError, prelude::*};

/// The records of one inode. Protected by its mutex.
///
/// What is sorted by, the first page of a record, does not change while it is in here.
pub(crate) struct Records {
    sorted: KVec<KBox<Record>>,
    /// No record has more pages than this.
    longest: u64,
}

impl Records {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            sorted: KVec::new(),
            longest: 0,
        }
    }

    fn position(&self, first: u64) -> usize {
        self.sorted.partition_point(|r| r.range.first() < first)
    }

    /// Those that have pages in `range`.
    pub(crate) fn overlapping<'a>(
        &'a self,
        range: &'a PageRange,
    ) -> impl Iterator<Item = &'a Record> + 'a {
        let from = self.position(range.first().saturating_sub(self.longest));
        self.sorted[from..]
            .iter()
            .map(|r| &**r)
            .take_while(|r| r.range.first() <= range.last())
            .filter(|r| r.range.overlaps(range))
    }

    /// Makes room for one more: the next [`Self::insert`] does not fail.
    pub(crate) fn reserve(&mut self) -> Result {
        self.sorted.reserve(1, GFP_KERNEL_ACCOUNT)?;
        Ok(())
    }

    /// Lets a record that `new` continues absorb it; false if there is none.
    pub(crate) fn extend(&mut self, new: &Record) -> bool {
        let first = new.range.first();
        let at = self.position(first);
        let from = self.position(first.saturating_sub(self.longest));
        for record in self.sorted[from..at].iter_mut() {
            if record.absorb(new) {
                self.longest = self.longest.max(record.range.pages());
                return true;
            }
        }
        false
    }

    /// Adds a record. It comes back if there is no room.
    pub(crate) fn insert(&mut self, new: KBox<Record>) -> Option<KBox<Record>> {
        let at = self.position(new.range.first());
        self.longest = self.longest.max(new.range.pages());
        match self.sorted.insert_within_capacity(at, new) {
            Ok(()) => None,
            // Only without `reserve()` before it there is no room.
            Err(InsertError::IndexOutOfBounds(new) | InsertError::OutOfCapacity(new)) => Some(new),
        }
    }

    /// Takes out the record at place `i`.
    pub(crate) fn remove(&mut self, i: usize) -> Option<KBox<Record>> {
        let record = self.sorted.remove(i).ok()?;
        if self.sorted.is_empty() {
            self.longest = 0;
        }
        Some(record)
    }
}

impl Deref for Records {
    type Target = [KBox<Record>];

    fn deref(&self) -> &Self::Target {
        &self.sorted
    }
}

impl DerefMut for Records {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.sorted
    }
}
