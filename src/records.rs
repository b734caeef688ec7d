// SPDX-License-Identifier: GPL-2.0

//! The records of one inode, in the order of their first pages, so that those that meet a range are
//! found without looking at all; and the thread groups that they are of.

use super::{
    kapi::{
        mapping::MappingKey,
        process::GroupId, //
    },
    marks::UNPINNED,
    range::PageRange,
    record::{Discarded, Record},
};
use core::ops::{Deref, DerefMut};
use kernel::{alloc::kvec::InsertError, prelude::*};

/// How many records are tried that a new one may continue. The pieces of a region come one after
/// the other, so the one that it continues is near.
const LOOK_BACK: usize = 16;

/// A thread group with records. Its id is good as long as it has some.
pub(crate) struct Party {
    group: GroupId,
    records: usize,
    /// Has a slot for notes, see `marks.rs`.
    noted: bool,
    /// Has unpinned something that may not be accounted for yet.
    pub(crate) gave: bool,
    /// Of its records some may be closed but for a doubt.
    pub(crate) doubt: bool,
    /// In the present step: holds what a breaker waits for, beyond doubt.
    pub(crate) certain: bool,
    /// In the present step: what has become of the signal, once one was tried.
    pub(crate) hit: Option<bool>,
}

/// The records of one inode. Protected by its mutex.
///
/// What is sorted by, the first page of a record, does not change while it is in here.
pub(crate) struct Records {
    key: MappingKey,
    sorted: KVVec<KBox<Record>>,
    /// No record has more pages than this.
    longest: u64,
    /// By group.
    pub(crate) parties: KVVec<Party>,
    /// The inode has a slot for notes.
    noted: bool,
    /// Somebody unknown has unpinned something that may not be accounted for yet.
    pub(crate) unknown: bool,
}

impl Records {
    /// None.
    pub(crate) const fn new(key: MappingKey) -> Self {
        Self {
            key,
            sorted: KVVec::new(),
            longest: 0,
            parties: KVVec::new(),
            noted: false,
            unknown: false,
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
        self.parties.reserve(1, GFP_KERNEL_ACCOUNT)?;
        Ok(())
    }

    /// Lets a record that `new` continues absorb it; false if there is none.
    pub(crate) fn extend(&mut self, new: &Record) -> bool {
        let at = self.place_behind(new.range.first());
        let from = at.saturating_sub(LOOK_BACK);
        for record in self.sorted[from..at].iter_mut().rev() {
            if record.absorb(new) {
                self.longest = self.longest.max(record.range.pages());
                return true;
            }
        }
        false
    }

    /// Adds a record. It comes back if there is no room.
    pub(crate) fn insert(&mut self, new: KBox<Record>) -> Option<KBox<Record>> {
        let group = new.pinner.group().id();
        let pages = new.range.pages();
        let at = self.place_behind(new.range.first());
        match self.sorted.insert_within_capacity(at, new) {
            Ok(()) => {
                self.longest = self.longest.max(pages);
                self.enter(group);
                None
            }
            // Only without `reserve()` before it there is no room.
            Err(InsertError::IndexOutOfBounds(new) | InsertError::OutOfCapacity(new)) => Some(new),
        }
    }

    /// Behind its equals, so that the newest of them is the nearest to what continues it.
    fn place_behind(&self, first: u64) -> usize {
        self.sorted.partition_point(|r| r.range.first() <= first)
    }

    /// Where in [`Self::parties`] it is, or would be.
    pub(crate) fn place(&self, group: GroupId) -> usize {
        self.parties.partition_point(|p| p.group < group)
    }

    /// The party of a record's group.
    pub(crate) fn party(&mut self, group: GroupId) -> Option<&mut Party> {
        let i = self.place(group);
        self.parties.get_mut(i).filter(|p| p.group == group)
    }

    fn enter(&mut self, group: GroupId) {
        if self.parties.is_empty() {
            self.noted = UNPINNED.enter(self.key);
        }
        if let Some(party) = self.party(group) {
            party.records += 1;
            return;
        }
        let party = Party {
            group,
            records: 1,
            noted: UNPINNED.enter_group(self.key, group),
            gave: false,
            doubt: false,
            certain: false,
            hit: None,
        };
        let i = self.place(group);
        if self.parties.insert_within_capacity(i, party).is_err() {
            // Not without `reserve()`; then what the group unpins is anybody's.
            self.unknown = true;
        }
    }

    /// Is it worth looking whether pins have gone? `crowd`: some inode without a slot has lost one.
    pub(crate) fn lost(&self, crowd: bool) -> bool {
        match self.noted {
            true => UNPINNED.take_lost(self.key),
            false => crowd && !self.sorted.is_empty(),
        }
    }

    /// Takes what was noted about who has unpinned. To be done before pins are counted.
    pub(crate) fn gather(&mut self) {
        self.unknown |= !self.noted || UNPINNED.take(self.key, None);
        for party in self.parties.iter_mut() {
            party.gave |= party.noted && UNPINNED.take(self.key, Some(party.group));
        }
    }

    /// The same, for what somebody unknown has unpinned since: is there news?
    pub(crate) fn gather_unknown(&mut self) -> bool {
        let news = self.noted && UNPINNED.take(self.key, None);
        self.unknown |= news;
        news
    }

    /// The same, for one group.
    pub(crate) fn gather_group(&mut self, group: GroupId) -> bool {
        let key = self.key;
        let Some(party) = self.party(group) else {
            return false;
        };
        let news = party.noted && UNPINNED.take(key, Some(group));
        party.gave |= news;
        news
    }

    /// Moves out the records that are closed. One pass, however many they are.
    pub(crate) fn sweep(&mut self, out: &mut Discarded, mut each: impl FnMut(&Record)) {
        let mut kept = 0;
        self.longest = 0;
        for i in 0..self.sorted.len() {
            if self.sorted[i].gone {
                continue;
            }
            self.longest = self.longest.max(self.sorted[i].range.pages());
            self.sorted.swap(kept, i);
            kept += 1;
        }
        while self.sorted.len() > kept {
            let Some(record) = self.sorted.pop() else {
                break;
            };
            each(&record);
            if let Some(party) = self.party(record.pinner.group().id()) {
                party.records -= 1;
            }
            out.push(record);
        }
        self.dismiss();
    }

    /// Lets those go that have no records any more.
    fn dismiss(&mut self) {
        let key = self.key;
        self.parties.retain(|party| {
            if party.records == 0 && party.noted {
                UNPINNED.leave(key, Some(party.group));
            }
            party.records > 0
        });
        if self.parties.is_empty() {
            if self.noted {
                UNPINNED.leave(key, None);
            }
            self.noted = false;
            self.unknown = false;
        }
        if self.sorted.is_empty() {
            // Much memory may have been needed once.
            self.sorted = KVVec::new();
            self.parties = KVVec::new();
        }
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
