// SPDX-License-Identifier: GPL-2.0

//! The records of one inode, in the order of their first pages, so that those that meet a range are
//! found without looking at all; and the thread groups that they are of.

use super::{
    kapi::{
        deferred,
        mapping::{Mapping, MappingKey},
        memory::DeviceMemory,
        process::GroupId,
        tag::Place, //
    },
    lengths::Lengths,
    marks::UNPINNED,
    range::PageRange,
    record::{Discarded, Piece, Record},
    stats,
};
use core::ops::{Deref, DerefMut};
use kernel::{alloc::kvec::InsertError, prelude::*};

/// How many records are tried that a new one without a tag may continue. The pieces of a region come one after
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
/// What is sorted by, the first page and the name of a record, does not change while it is in here.
pub(crate) struct Records {
    key: MappingKey,
    sorted: KVVec<KBox<Record>>,
    /// What the pages are in, as long as there are records: it is not to go under them.
    memory: KVec<DeviceMemory>,
    lengths: Lengths,
    /// How many are closed by counting.
    loose: usize,
    /// By group.
    pub(crate) parties: KVVec<Party>,
    /// A breaker waits for pins to go.
    awaited: bool,
    /// What is unpinned is noted; true: in a slot of its own.
    noted: Option<bool>,
    /// Somebody unknown has unpinned something that may not be accounted for yet.
    pub(crate) unknown: bool,
    /// Some were not settled, for want of memory, and are to be looked at again.
    pub(crate) uncounted: bool,
}

impl Records {
    /// None.
    pub(crate) const fn new(key: MappingKey) -> Self {
        Self {
            key,
            sorted: KVVec::new(),
            memory: KVec::new(),
            lengths: Lengths::new(),
            loose: 0,
            parties: KVVec::new(),
            awaited: false,
            noted: None,
            unknown: false,
            uncounted: false,
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
        let from = self.position(range.first().saturating_sub(self.lengths.bound()));
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

    /// Keeps the memory that pinned pages are in. To be followed by their record, or by
    /// [`Self::tidy`].
    ///
    /// A file has its pages on one device, or, by way of dm, on several behind one another: those
    /// of the first and the last page are kept.
    pub(crate) fn keep_memory(&mut self, mapping: &Mapping<'_>, range: &PageRange) -> Result {
        for index in [range.first(), range.last()] {
            if let Some(memory) = DeviceMemory::of(mapping, index, &self.memory)? {
                self.memory.push(memory, GFP_KERNEL_ACCOUNT)?;
            }
        }
        Ok(())
    }

    /// Keeps nothing that is not needed without records.
    pub(crate) fn tidy(&mut self) {
        if self.sorted.is_empty() {
            self.memory.clear();
        }
    }

    /// Where the record is that a tag names.
    pub(crate) fn find(&self, place: &Place) -> Option<usize> {
        self.sorted
            .binary_search_by_key(&(place.first, place.id), |r| (r.range.first(), r.id))
            .ok()
    }

    /// Lets a record that `new` continues absorb it; false if there is none. That of a tag is known.
    pub(crate) fn extend(&mut self, new: &Piece, known: Option<&Place>) -> bool {
        let near = match known {
            Some(place) => self.find(place).map_or(0..0, |i| i..i + 1),
            None => {
                let at = self.place_behind(new.range.first());
                at.saturating_sub(LOOK_BACK)..at
            }
        };
        for record in self.sorted[near].iter_mut().rev() {
            let before = record.range.pages();
            if record.absorb(new) {
                self.lengths.change(before, record.range.pages());
                return true;
            }
        }
        false
    }

    /// Adds a record, whose name is the newest. It comes back if there is no room.
    pub(crate) fn insert(&mut self, new: KBox<Record>) -> Option<KBox<Record>> {
        let group = new.pinner.group().id();
        let (pages, loose) = (new.range.pages(), new.loose());
        let at = self.place_behind(new.range.first());
        match self.sorted.insert_within_capacity(at, new) {
            Ok(()) => {
                stats::RECORDS.up();
                self.lengths.add(pages);
                self.loose += usize::from(loose);
                self.note();
                self.enter(group);
                None
            }
            // Only without `reserve()` before it there is no room.
            Err(InsertError::IndexOutOfBounds(new) | InsertError::OutOfCapacity(new)) => Some(new),
        }
    }

    /// Takes out the record that a tag names.
    pub(crate) fn remove(&mut self, place: &Place) -> Option<KBox<Record>> {
        let record = self.sorted.remove(self.find(place)?).ok()?;
        self.forget(&record);
        self.dismiss();
        Some(record)
    }

    /// Behind its equals, so that the newest of them is the nearest to what continues it.
    fn place_behind(&self, first: u64) -> usize {
        self.sorted.partition_point(|r| r.range.first() <= first)
    }

    /// Are there records that are closed by counting?
    pub(crate) fn any_loose(&self) -> bool {
        self.loose > 0
    }

    /// Says whether a breaker waits for pins to go. To be said before it counts them.
    pub(crate) fn await_unpins(&mut self, awaited: bool) {
        if self.awaited != awaited {
            self.awaited = awaited;
            self.note();
        }
    }

    /// Lets what is unpinned be noted from now on, or no longer.
    fn note(&mut self) {
        match (self.loose > 0 || self.awaited, self.noted) {
            (true, None) => self.noted = Some(UNPINNED.enter(self.key)),
            (false, Some(noted)) => {
                UNPINNED.leave(self.key, noted);
                self.noted = None;
                self.unknown = false;
            }
            _ => (),
        }
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
            Some(true) => UNPINNED.take_lost(self.key),
            Some(false) => crowd,
            None => false,
        }
    }

    /// What has become of the records is looked at soon, though nothing is unpinned.
    pub(crate) fn again(&self) {
        if self.noted.is_some() && self.loose > 0 {
            UNPINNED.again(self.key);
            deferred::settle_soon();
        }
    }

    /// Takes what was noted about who has unpinned. To be done before pins are counted.
    pub(crate) fn gather(&mut self) {
        self.unknown |= self.noted != Some(true) || UNPINNED.take(self.key, None);
        for party in self.parties.iter_mut() {
            party.gave |= party.noted && UNPINNED.take(self.key, Some(party.group));
        }
    }

    /// The same, for what somebody unknown has unpinned since: is there news?
    pub(crate) fn gather_unknown(&mut self) -> bool {
        let news = self.noted == Some(true) && UNPINNED.take(self.key, None);
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
        for i in 0..self.sorted.len() {
            if !self.sorted[i].gone {
                self.sorted.swap(kept, i);
                kept += 1;
            }
        }
        while self.sorted.len() > kept {
            let Some(record) = self.sorted.pop() else {
                break;
            };
            each(&record);
            self.forget(&record);
            out.push(record);
        }
        self.dismiss();
    }

    /// A record has been taken out.
    fn forget(&mut self, record: &Record) {
        self.lengths.remove(record.range.pages());
        let (key, group) = (self.key, record.pinner.group().id());
        self.loose -= usize::from(record.loose());
        let i = self.place(group);
        let Some(party) = self.party(group) else {
            return;
        };
        party.records -= 1;
        if party.records == 0 {
            if party.noted {
                UNPINNED.leave_group(key, group);
            }
            let _last = self.parties.remove(i);
        }
    }

    /// Gives back what is not needed without some records.
    fn dismiss(&mut self) {
        self.note();
        if self.sorted.is_empty() {
            // Much memory may have been needed once.
            self.sorted = KVVec::new();
            self.parties = KVVec::new();
            self.memory = KVec::new();
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
