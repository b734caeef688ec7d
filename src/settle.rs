// SPDX-License-Identifier: GPL-2.0

//! Closing the records whose pins have gone.
//!
//! Records that may share folios are settled together, a run at a time: the run is cut into cells,
//! the pins of each cell are counted once, and `ledger.rs` decides. The work grows with the records
//! and the folios at which they begin and end, not with how many of them lie over each other.

use super::{
    inode::{Inner, WHOLE_FILE},
    kapi::{
        deferred,
        mapping::ENTRY_PAGES,
        process::{GroupId, IdentityId, ThreadGroup},
        trace, //
    },
    ledger::{Cell, Claim, Entry, Ledger},
    range::PageRange,
    record::{pinned, Charge, Record},
};
use core::{num::NonZeroU64, ops::Range};
use kernel::prelude::*;

/// What is the same for two records of which either may go: the process stays on record, for the
/// same lease, to be told and stopped or not.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Kind {
    pinner: IdentityId,
    charge: Charge,
    spent: bool,
    stopped_at: Option<NonZeroU64>,
    young: bool,
    foreign: bool,
}

impl Entry for KBox<Record> {
    type Kind = Kind;

    fn range(&self) -> PageRange {
        self.range
    }

    fn kind(&self) -> Kind {
        Kind {
            pinner: self.pinner.id(),
            charge: self.charge,
            spent: self.spent,
            stopped_at: self.stopped_at,
            young: self.young,
            foreign: self.foreign,
        }
    }

    fn claim(&self) -> Claim {
        self.claim
    }

    fn suspect(&self) -> bool {
        self.suspect
    }

    fn settled(&self) -> bool {
        self.done
    }

    fn closed(&self) -> bool {
        self.gone
    }

    fn close(&mut self) {
        self.gone = true;
    }
}

impl Inner {
    /// Closes the records whose pins have gone.
    pub(crate) fn settle(&mut self) {
        self.settle_in(&WHOLE_FILE, None);
    }

    /// As [`Self::settle`], if pins have gone since then, or could not be counted. `crowd`: of some
    /// inode without a slot for notes.
    pub(crate) fn settle_if_lost(&mut self, crowd: bool) {
        let lost = self.records.lost(crowd);
        self.stirred |= lost;
        if lost || self.records.uncounted {
            self.settle();
        }
    }

    /// As [`Self::settle`], at least for those that have pages near `range`.
    pub(crate) fn settle_near(&mut self, range: &PageRange) {
        self.settle_in(range, None);
    }

    /// As [`Self::settle`], for `group`, which says that it has done with unpinning.
    pub(crate) fn settle_for(&mut self, group: &ThreadGroup) {
        self.settle_in(&WHOLE_FILE, Some(group.id()));
    }

    /// Where there is no memory to count pins this is done again, soon: the note that they have gone
    /// may have been taken, so that nobody else comes to look.
    fn settle_in(&mut self, range: &PageRange, done: Option<GroupId>) {
        // Before the counting: see `marks.rs`.
        self.records.gather();
        if !self.records.any_loose() {
            // Tags say when their pins go.
            self.records.uncounted = false;
            self.forgive(true);
            return;
        }
        let near = range.outward(ENTRY_PAGES);
        let mut complete = true;
        let mut closed = false;
        let mut uncounted = false;
        let mut from = 0;
        while from < self.records.len() {
            let (to, hull) = self.run(from);
            if !self.records[from..to].iter().any(|r| r.loose()) {
                // As above.
            } else if hull.overlaps(&near) {
                match self.settle_run(from..to, &hull, done) {
                    Ok(any) => closed |= any,
                    Err(e) => {
                        uncounted |= e == ENOMEM;
                        self.doubt(from..to, e == ENOMEM);
                    }
                }
                complete &= !self.records[from..to].iter().any(|r| r.doubt && !r.gone);
            } else {
                complete = false;
            }
            from = to;
        }
        if closed {
            let (id, mut out) = (self.id, self.discarded.take());
            let leases = &mut self.leases;
            self.records.sweep(&mut out, |r| {
                super::lease::account(leases, &r.charge, -(r.range.pages() as i64));
                trace::unpin(|| super::inode::fields(id, &r.range, r.pinner.group(), Ok(())));
            });
            self.discarded = out;
        }
        if *range == WHOLE_FILE {
            self.records.uncounted = false;
            self.forgive(complete);
        }
        if uncounted {
            self.records.uncounted = true;
            deferred::settle_again();
        }
    }

    /// The records from `from` on that may share folios with one another, and where they are. No
    /// folio crosses the border of the largest entry that there can be.
    pub(crate) fn run(&self, from: usize) -> (usize, PageRange) {
        let mut hull = self.records[from].range.outward(ENTRY_PAGES);
        let more = self.records[from + 1..].iter().take_while(|r| {
            let joins = r.range.first() <= hull.last();
            if joins {
                hull = hull.hull(&r.range.outward(ENTRY_PAGES));
            }
            joins
        });
        (from + 1 + more.count(), hull)
    }

    fn settle_run(
        &mut self,
        run: Range<usize>,
        hull: &PageRange,
        done: Option<GroupId>,
    ) -> Result<bool> {
        // Who unpins while pins are counted is missed by the count, and must not be made up for by
        // somebody who had unpinned before: then count again.
        let mut tries = 0;
        let mut cells = loop {
            let cells = self.cells(run.clone(), hull)?;
            if !self.news(run.clone()) {
                break cells;
            }
            tries += 1;
            if tries == 3 {
                return Err(EAGAIN);
            }
        };
        let unknown = self.records.unknown;
        for i in run.clone() {
            let group = self.records[i].pinner.group().id();
            let gave = self.records.party(group).is_some_and(|p| p.gave);
            let record = &mut self.records[i];
            record.suspect = unknown || gave;
            record.done = done == Some(group);
        }
        let ledger = Ledger::settle(&mut cells, &mut self.records[run.clone()]);
        let mut any = false;
        for record in self.records[run].iter_mut() {
            record.doubt = !ledger.complete(record);
            record.uncounted = false;
            any |= record.gone;
        }
        Ok(any)
    }

    /// Has anybody been noted meanwhile whom these records concern?
    fn news(&mut self, run: Range<usize>) -> bool {
        let mut news = self.records.gather_unknown();
        for i in run {
            let group = self.records[i].pinner.group().id();
            news |= self.records.gather_group(group);
        }
        news
    }

    fn doubt(&mut self, run: Range<usize>, uncounted: bool) {
        for record in self.records[run].iter_mut() {
            record.doubt = record.loose();
            record.uncounted = record.doubt && uncounted;
        }
    }

    /// The folios of a run, cut where records begin and end.
    pub(crate) fn cells(&self, run: Range<usize>, hull: &PageRange) -> Result<KVVec<Cell<Kind>>> {
        let mut cuts = KVVec::new();
        // The folios that were looked at last: many records may lie in one.
        let (mut at_first, mut at_last) = (None::<PageRange>, None::<PageRange>);
        for record in &self.records[run.clone()] {
            for (page, known) in [
                (record.range.first(), &mut at_first),
                (record.range.last(), &mut at_last),
            ] {
                let page = PageRange::of_pages(page, 1).ok_or(EINVAL)?;
                if known.is_none_or(|folio| !folio.overlaps(&page)) {
                    let folio = pinned(&record.file.mapping(), &page).folios;
                    cuts.push(folio.first(), GFP_KERNEL)?;
                    cuts.push(folio.last().saturating_add(1), GFP_KERNEL)?;
                    *known = Some(folio);
                }
            }
        }
        cuts.sort_unstable();

        let mapping = self.records[run.start].file.mapping();
        let in_flight = self.in_flight(hull);
        let mut cells = KVVec::new();
        for pair in cuts.windows(2) {
            let Some(range) = PageRange::new(pair[0], pair[1]) else {
                // The same cut twice.
                continue;
            };
            let found = pinned(&mapping, &range);
            // Folios that have become others just now, and pins that are nobody's yet.
            let odd = found.folios != range || (in_flight && self.in_flight(&range));
            cells.push(
                Cell::new(range, found.pins, found.exact && !odd),
                GFP_KERNEL,
            )?;
        }
        for record in &self.records[run] {
            if let Claim::Folded { .. } = record.claim {
                count_folios(&mut cells, record);
            }
        }
        Ok(cells)
    }

    /// What was noted about unpinning is accounted for, where nothing is in doubt.
    fn forgive(&mut self, complete: bool) {
        let doubtful = match self.records.any_loose() {
            true => self.records.len(),
            false => 0,
        };
        for i in 0..doubtful {
            if self.records[i].doubt {
                let group = self.records[i].pinner.group().id();
                if let Some(party) = self.records.party(group) {
                    party.doubt = true;
                }
            }
        }
        for party in self.records.parties.iter_mut() {
            party.gave &= party.doubt;
            party.doubt = false;
        }
        self.records.unknown &= !complete;
    }
}

/// Counts the folios of the cells in which a record has one pin for each. There are no holes.
fn count_folios(cells: &mut [Cell<Kind>], record: &Record) {
    let from = cells.partition_point(|c| c.range().last() < record.range.first());
    let within = cells[from..]
        .iter_mut()
        .take_while(|c| c.range().first() <= record.range.last());
    for cell in within {
        let (mut next, mut folios) = (cell.range().first(), 0);
        while let Some(page) = PageRange::of_pages(next, 1).filter(|_| next <= cell.range().last())
        {
            next = pinned(&record.file.mapping(), &page)
                .folios
                .last()
                .saturating_add(1);
            folios += 1;
        }
        cell.consists_of(folios);
    }
}
