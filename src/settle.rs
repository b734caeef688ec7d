// SPDX-License-Identifier: GPL-2.0

//! Closing the records whose pins have gone.
//!
//! The folios count pins without owners. Where none is left on a record's folios, the record goes.
//! Where some are missing, they are taken to be those of the one thread group that has unpinned;
//! if that could have been several, or nobody knows who, the record stays.

use super::{
    inode::Inner,
    kapi::{process::ThreadGroup, trace},
    ledger::Share,
    marks::UNPINNED,
    range::PageRange,
    record::{pinned, Pinned, Record},
};

/// How a record compares with what its folios say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// All pins that are recorded on its folios are there.
    Complete,
    /// Its process has unpinned nothing that would not be accounted for.
    Silent,
    /// Some are not there, or may not be, and they may be anybody's.
    Short,
    /// Its own have gone.
    Gone,
}

impl Inner {
    /// Closes the records whose pins have gone.
    pub(crate) fn settle(&mut self) {
        let mut complete = true;
        let mut i = 0;
        while i < self.records.len() {
            match self.standing(&self.records[i]) {
                Standing::Gone => {
                    self.close_record(i);
                    continue;
                }
                Standing::Short => complete = false,
                Standing::Complete | Standing::Silent => (),
            }
            i += 1;
        }
        if complete {
            // Nothing is missing: what was noted had to do with what has been closed, or with pins
            // that are not recorded.
            UNPINNED.forget(self.key, None);
            let open = self.records.iter().map(|r| &**r);
            for record in open.chain(self.discarded.iter()) {
                UNPINNED.forget(self.key, Some(record.pinner.group().id()));
            }
        }
    }

    fn standing(&self, record: &Record) -> Standing {
        let Pinned {
            pins,
            exact,
            folios,
        } = pinned(&record.file.mapping(), &record.range);
        if pins == 0 {
            return Standing::Gone;
        }
        let own = record.pinner.group().id();
        let unknown = UNPINNED.gave(self.key, None);
        if !unknown && !UNPINNED.gave(self.key, Some(own)) {
            return Standing::Silent;
        }
        let recorded = self
            .holders(&folios)
            .filter_map(|r| r.range.intersection(&folios))
            .fold(0u64, |sum, common| sum.saturating_add(common.pages()));
        if pins >= recorded {
            return match exact {
                true => Standing::Complete,
                false => Standing::Short,
            };
        }
        let alone = !unknown
            && !self.holders(&folios).any(|r| {
                let other = r.pinner.group().id();
                other != own && UNPINNED.gave(self.key, Some(other))
            });
        if alone && self.explains(record, &folios, recorded - pins) {
            Standing::Gone
        } else {
            Standing::Short
        }
    }

    /// Must this record be among those whose pins are missing? Its process may have others on the
    /// same folios: then only if it doesn't matter which of them goes, or if all of them do.
    fn explains(&self, record: &Record, folios: &PageRange, missing: u64) -> bool {
        let mut pages = 0u64;
        let mut alike = true;
        let mut only = true;
        for other in self.holders(folios) {
            if other.pinner.group() != record.pinner.group() {
                continue;
            }
            let common = other.range.intersection(folios).map_or(0, |c| c.pages());
            pages = pages.saturating_add(common);
            alike &= other.charge == record.charge
                && other.spent == record.spent
                && other.foreign == record.foreign;
            only &= core::ptr::eq(other, record);
        }
        let own = record.range.pages();
        missing >= pages || (only && missing >= own) || (alike && missing == own)
    }

    /// Does `group` hold pins on folios with pages in `range`, beyond doubt? Pins in flight are
    /// counted, and are nobody's yet.
    pub(crate) fn surely_holds(&self, group: &ThreadGroup, range: &PageRange) -> bool {
        let own = |r: &&Record| r.pinner.group() == group;
        let Some(record) = self.holders(range).find(own) else {
            return false;
        };
        let found = pinned(&record.file.mapping(), range);
        if found.pins == 0 || self.in_flight(&found.folios) {
            return false;
        }
        let mut share = Share::default();
        for r in self.holders(&found.folios) {
            if let Some(common) = r.range.intersection(&found.folios) {
                share.add(own(&r), common.pages());
            }
        }
        share.certain(found.pins, found.exact)
    }

    fn close_record(&mut self, i: usize) {
        if let Some(record) = self.records.remove(i) {
            trace::unpin(|| self.fields(&record.range, record.pinner.group(), Ok(())));
            self.discarded.push(record);
        }
    }
}
